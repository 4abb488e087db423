//! Every limit that a server is given is broken here on purpose: the table has a
//! row for each, and a limit without a row fails.

use std::time::Instant;

use pulse_schemas::codec::Encoding;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server, Wire, new_project};

/// A setting, a small value for it, and what happens to who goes beyond.
type Row = (&'static str, &'static str, fn(&Server));

const BROKEN: &[Row] = &[
    ("limits.clients", "1", |server| {
        let _first = server.client("first");
        let mut second = Wire::unix(server, Encoding::Json);
        second.refused("client.hello", hello(), "client.limit");
    }),
    ("limits.message_bytes", "1024", |server| {
        let mut wire = server.client("long");
        wire.write_frame(&[b' '; 2_000]);
        assert_eq!(code(&mut wire), "frame.tooLong");
    }),
    ("limits.commands_per_second", "1", |server| {
        let mut wire = server.client("fast");
        let asked: Vec<_> = (0..20).map(|_| wire.envelope("project.info", json!({}))).collect();
        assert!(asked.iter().all(|command| wire.post(command)));
        let refused = asked.iter().filter(|_| wire.receive().unwrap().error.is_some());
        assert!(refused.count() > 0, "twenty commands at once, one a second allowed");
    }),
    ("limits.subscriptions", "1", |server| {
        let mut wire = server.client("curious");
        wire.subscribe(&["track"], None);
        let topics = json!({"topics": [{"domain": "clip"}]});
        let error = wire.refused("client.subscribe", topics, "limit.reached");
        assert_eq!(error["details"]["limit"], "limits.subscriptions");
    }),
    ("limits.queue_bytes", "4096", |server| {
        let mut wire = server.client("greedy");
        for _ in 0..20_000 {
            let command = wire.envelope("project.snapshot", json!({}));
            if !wire.post(&command) {
                break;
            }
        }
        assert_eq!(last_word(&mut wire), "client.tooSlow");
    }),
    ("limits.batch", "2", |server| {
        let mut wire = server.client("many");
        let call = json!({"domain": "track", "name": "create", "payload": {}});
        wire.ok("project.batch", json!({"commands": [call, call]}));
        let three = json!({"commands": [call, call, call]});
        let error = wire.refused("project.batch", three, "limit.reached");
        assert_eq!(error["details"]["limit"], "limits.batch");
    }),
    ("limits.event_history", "1", |server| {
        let mut wire = server.client("away");
        let since = wire.subscribe(&["project"], None)["position"].clone();
        for _ in 0..3 {
            wire.ok("track.create", json!({}));
        }
        let back = server.client("back").subscribe(&["project"], Some(since));
        assert_eq!(back["recovered"], false);
    }),
    ("limits.answer_history", "1", |server| {
        let mut wire = server.client("again");
        let first = wire.envelope("track.create", json!({"name": "A"}));
        let made = wire.ask(&first).payload;
        assert_eq!(wire.ask(&first).payload, made);
        wire.ok("track.create", json!({"name": "B"}));
        // Nobody remembers the first answer, so it is done once more.
        assert_ne!(wire.ask(&first).payload["track"], made["track"]);
    }),
    ("timing.hello_ms", "100", |server| {
        let mut wire = Wire::unix(server, Encoding::Json);
        assert_eq!(last_word(&mut wire), "client.timedOut");
    }),
    ("timing.heartbeat_ms", "20", |server| {
        let mut wire = Wire::unix(server, Encoding::Json);
        assert_eq!(wire.ok("client.hello", breathing())["heartbeatMs"], 20);
        wire.event("client.heartbeat");
    }),
    ("timing.silence_ms", "100", |server| {
        let mut wire = Wire::unix(server, Encoding::Json);
        wire.ok("client.hello", breathing());
        assert_eq!(last_word(&mut wire), "client.timedOut");
    }),
    ("timing.message_ms", "100", |server| {
        let mut wire = server.client("half");
        wire.write(&[0, 0, 1, 0, b'{']);
        assert_eq!(last_word(&mut wire), "client.timedOut");
    }),
    ("timing.write_ms", "50", |server| {
        let mut stuck = server.client("stuck");
        stuck.subscribe(&["project"], None);
        assert_eq!(cut_off(server, &mut stuck), "client.tooSlow");
    }),
];

fn hello() -> Value {
    json!({"clientId": "tool", "instanceId": "tool-1", "protocols": [1]})
}

/// A hello that promises to answer heartbeats.
fn breathing() -> Value {
    let mut hello = hello();
    hello["capabilities"] = json!({"heartbeat": true});
    hello
}

fn code(wire: &mut Wire) -> String {
    wire.receive().unwrap().error.unwrap().code
}

/// What a server says last before it closes.
fn last_word(wire: &mut Wire) -> String {
    wire.rest().pop().and_then(|last| last.error).map(|error| error.code).unwrap_or_default()
}

/// Makes events until `stuck`, which only listens and never reads, is let go:
/// its last word.
fn cut_off(server: &Server, stuck: &mut Wire) -> String {
    let mut loud = server.client("loud");
    loud.subscribe(&["client"], None);
    let start = Instant::now();
    let is = |event: &pulse_schemas::envelope::Envelope| event.name == "disconnected";
    while !loud.events.iter().any(is) {
        assert!(start.elapsed() < PATIENCE, "a client that never reads is still there");
        let name = "a name that fills the buffers of a socket ".repeat(20);
        let call = json!({"domain": "track", "name": "create", "payload": {"name": name}});
        loud.ok("project.batch", json!({"commands": vec![call; 50]}));
    }
    let gone = loud.event("client.disconnected");
    assert_eq!(gone.payload["reason"], "tooSlow", "{:?}", gone.payload);
    loud.ok("project.info", json!({}));
    last_word(stuck)
}

/// Keys of the reference, which is generated from the settings.
fn keys() -> Vec<String> {
    let text = crate::workspace::read("docs/reference/config.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn every_limit_has_a_row_that_breaks_it() {
    let limits = |key: &&String| key.starts_with("limits.") || key.starts_with("timing.");
    let keys = keys();
    let without: Vec<_> = keys
        .iter()
        .filter(limits)
        .filter(|key| !BROKEN.iter().any(|(known, ..)| *known == key.as_str()))
        .collect();
    assert!(keys.len() > 20 && without.is_empty(), "no row breaks {without:?}");
    for (key, ..) in BROKEN {
        assert!(keys.iter().any(|known| known == key), "{key} is no setting");
    }
}

#[test]
fn who_goes_beyond_a_limit_is_told_and_nobody_else_notices() {
    for (key, value, breaks) in BROKEN {
        let dir = new_project();
        let setting = format!("{key}={value}");
        // Who has to be silent for long needs to be looked at often.
        let beat = if *key == "timing.silence_ms" {
            "timing.heartbeat_ms=20"
        } else {
            "debug.enabled=false"
        };
        let server = Server::start(dir.path(), &[&setting, beat]);
        breaks(&server);
    }
}

/// The other settings, where one can tell from outside.
#[test]
fn tokens_debugging_and_small_doors_are_kept() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["server.token=correct-horse"]);
    assert_eq!(server.token(), "correct-horse");
    let mut wire = Wire::tcp(&server, Encoding::Json);
    wire.refused("client.hello", hello(), "client.unauthorised");
    let mut wire = server.client("plain");
    let code = json!({"code": "session.busy"});
    wire.refused("debug.simulateError", code, "debug.disabled");
}
