//! Hands on knobs: who holds what, with several runs of one program, and when a
//! program comes back.

use pulse_client::{CallError, Introduction, blocking::Client};
use pulse_schemas::codec::Encoding;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server, Wire, new_project};

fn connect(server: &Server, instance: &str) -> Client {
    Client::connect_unix(&server.socket, &Introduction::new("aura", instance)).unwrap()
}

fn begin(client: &mut Client, channel: &Value, parameter: &str) -> Result<Value, CallError> {
    let payload = json!({"target": channel, "parameter": parameter});
    Ok(client.call("parameter", "beginGesture", payload)?["gesture"].clone())
}

fn update(client: &mut Client, gesture: &Value, value: f64) -> Result<Value, CallError> {
    client.call("parameter", "updateGesture", json!({"gesture": gesture, "value": value}))
}

fn end(client: &mut Client, gesture: &Value) -> Value {
    client.call("parameter", "endGesture", json!({"gesture": gesture})).unwrap()
}

fn code(result: Result<Value, CallError>) -> String {
    match result.unwrap_err() {
        CallError::Refused(error) => error.code.as_str().to_owned(),
        other => panic!("{other}"),
    }
}

fn bus(client: &mut Client) -> Value {
    client.call("channel", "create", json!({"kind": "bus"})).unwrap()["channel"].clone()
}

#[test]
fn two_runs_of_one_program_keep_their_hands_off_each_others_gestures() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let (mut left, mut right) = (connect(&server, "aura-1"), connect(&server, "aura-2"));
    let channels = [bus(&mut left), bus(&mut left)];
    let first = begin(&mut left, &channels[0], "gainDb").unwrap();
    let second = begin(&mut right, &channels[1], "gainDb").unwrap();
    assert_ne!(first, second);
    for step in 0..50 {
        update(&mut left, &first, -f64::from(step)).unwrap();
        update(&mut right, &second, -f64::from(step) / 2.0).unwrap();
    }
    assert_eq!(code(update(&mut right, &first, 0.0)), "parameter.gesture");
    assert_eq!(code(begin(&mut right, &channels[0], "gainDb")), "parameter.gesture");
    // One run ends; the other goes on, and what the first moved is kept.
    drop(left);
    assert_eq!(end(&mut right, &second)["value"], -24.5);
    let query = json!({"target": channels[0], "parameters": ["gainDb"]});
    let start = std::time::Instant::now();
    loop {
        let state = right.call("parameter", "get", query.clone()).unwrap();
        if state["values"][0]["value"] == -49.0 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{state}");
    }
}

#[test]
fn a_program_that_comes_back_takes_hold_anew() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut first = connect(&server, "aura-1");
    let channel = bus(&mut first);
    let gesture = begin(&mut first, &channel, "gainDb").unwrap();
    end(&mut first, &gesture);
    drop(first);
    // The same instance, whose library counts from the start again.
    let mut back = connect(&server, "aura-1");
    bus(&mut back);
    let gesture = begin(&mut back, &channel, "gainDb").unwrap();
    update(&mut back, &gesture, -6.0).unwrap();
    end(&mut back, &gesture);
}

/// A gesture dies with its connection, so its beginning is the one answer that a
/// command sent again must not repeat.
#[test]
fn a_beginning_that_is_sent_again_begins_again() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut wire = server.client("aura");
    let channel = wire.ok("channel.create", json!({"kind": "bus"}))["channel"].clone();
    let payload = json!({"target": channel, "parameter": "gainDb"});
    let command = wire.envelope("parameter.beginGesture", payload);
    let first = wire.ask(&command).payload["gesture"].clone();
    drop(wire);
    let mut back = Wire::unix(&server, Encoding::Json).with_prefix("later");
    back.hello("aura", None);
    let start = std::time::Instant::now();
    let second = loop {
        // The model thread may not have noticed yet that the first one is gone.
        let reply = back.ask(&command);
        match reply.error {
            None => break reply.payload["gesture"].clone(),
            Some(error) => assert_eq!(error.code.as_str(), "parameter.gesture"),
        }
        assert!(start.elapsed() < PATIENCE, "the gesture of a connection that ended is held");
    };
    assert_ne!(first, second);
    back.ok("parameter.updateGesture", json!({"gesture": second, "value": -6}));
    back.ok("parameter.endGesture", json!({"gesture": second}));
}

#[test]
fn a_report_counts_clients_and_what_waits() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let _other = server.client("other");
    let mut wire = server.client("aura");
    assert_eq!(wire.ok("diagnostics.report", json!({}))["clients"], 2);
    assert_eq!(wire.ok("session.status", json!({}))["clients"], 2);
    let start = std::time::Instant::now();
    let mut deepest = 0;
    while deepest == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing ever waited");
        let asked: Vec<_> =
            (0..200).map(|_| wire.envelope("diagnostics.report", json!({}))).collect();
        assert!(asked.iter().all(|envelope| wire.post(envelope)));
        let depths = asked.iter().map(|_| wire.receive().unwrap().payload);
        let depths = depths.map(|report| report["queuedCommands"].as_u64().unwrap());
        deepest = depths.max().unwrap_or(0);
    }
    assert!(deepest <= 200, "{deepest} of 200 wait");
}
