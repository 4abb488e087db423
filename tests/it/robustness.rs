//! Clients that misbehave, by accident or not: each gets a reason, and nobody
//! else notices.

use std::time::{Duration, Instant};

use pulse_schemas::{codec::Encoding, envelope::Envelope};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server, Wire, new_project, soak};

/// What a server says last before it closes, as a code.
fn last_word(wire: &mut Wire) -> Option<String> {
    wire.rest().pop()?.error.map(|error| error.code.as_str().to_owned())
}

/// Works on after whatever happened before.
fn is_well(server: &Server) {
    let mut client = server.client("witness");
    client.ok("project.info", json!({}));
}

fn hello(fields: Value) -> Value {
    let mut payload = json!({"clientId": "tool", "instanceId": "tool-1", "protocols": [1]});
    payload.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    payload
}

#[test]
fn who_does_not_introduce_itself_properly_is_told_why_and_let_go() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["timing.hello_ms=1500"]);
    let check = |name: &str, payload: Value, tcp: bool, code: &str| {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let mut wire =
                if tcp { Wire::tcp(&server, encoding) } else { Wire::unix(&server, encoding) };
            let error = wire.refused(name, payload.clone(), code);
            assert!(error["message"].as_str().is_some_and(|text| text.len() > 10), "{error}");
            assert!(wire.rest().is_empty(), "the connection goes on after {code}");
        }
    };
    let wrong = json!({"token": "0123456789abcdef0123456789abcdef"});
    check("client.hello", hello(wrong), true, "client.unauthorised");
    check("client.hello", hello(json!({})), true, "client.unauthorised");
    check("client.hello", hello(json!({"protocols": [2, 7]})), false, "client.protocol");
    check("client.hello", hello(json!({"clientId": ""})), false, "payload.invalid");
    check("client.hello", json!({"clientId": 3}), false, "payload.invalid");
    check("project.info", json!({}), false, "client.helloRequired");
    // Right, and a socket that needs no token does not mind one.
    let mut wire = Wire::unix(&server, Encoding::Json);
    wire.ok("client.hello", hello(json!({"token": "whatever"})));
    wire.refused("client.hello", hello(json!({})), "client.helloTwice");
    wire.ok("project.info", json!({}));
    is_well(&server);
}

#[test]
fn garbage_instead_of_a_hello_ends_the_connection_with_a_reason() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["timing.hello_ms=1500"]);
    let check = |frame: &[u8], code: &str| {
        let mut wire = Wire::unix(&server, Encoding::Json);
        wire.write_frame(frame);
        assert_eq!(last_word(&mut wire).as_deref(), Some(code), "{frame:?}");
    };
    check(b"GET / HTTP/1.1", "envelope.malformed");
    check(b"{\"v\": 1", "envelope.malformed");
    check(b"{}", "envelope.invalid");
    check(&[0x81, 0xff], "envelope.malformed");
    check(&[0xc1, 1, 1, 0], "envelope.malformed");
    check(b"", "frame.empty");
    let mut wire = Wire::unix(&server, Encoding::Json);
    wire.write(&[0xff; 64]);
    assert_eq!(last_word(&mut wire).as_deref(), Some("frame.lost"));
    is_well(&server);
}

#[test]
fn a_message_that_is_no_command_is_answered_and_the_connection_goes_on() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["limits.message_bytes=65536"]);
    let mut wire = Wire::unix(&server, Encoding::Json);
    wire.hello("tool", None);
    let error_of =
        |wire: &mut Wire| wire.receive().unwrap().error.unwrap().code.as_str().to_owned();
    wire.write_frame(b"");
    assert_eq!(error_of(&mut wire), "frame.empty");
    wire.write_frame(&vec![b' '; 70_000]);
    assert_eq!(error_of(&mut wire), "frame.tooLong");
    wire.write_frame(b"{\"v\": 1, \"id\": \"x\"");
    assert_eq!(error_of(&mut wire), "envelope.malformed");
    wire.write_frame(&[0xc1, 1, 9, 0]);
    assert_eq!(error_of(&mut wire), "frame.binary");

    let new = json!({"v": 2, "id": "v2", "domain": "project", "name": "info", "kind": "command"});
    wire.write_frame(new.to_string().as_bytes());
    assert_eq!(error_of(&mut wire), "envelope.version");
    let mut event = wire.envelope("project.info", json!({}));
    event.kind = pulse_schemas::envelope::Kind::Event;
    assert_eq!(wire.ask(&event).error.unwrap().code.as_str(), "envelope.kind");

    let check =
        |wire: &mut Wire, name: &str, payload: Value, code: &str, detail: &str, is: &str| {
            let error = wire.refused(name, payload, code);
            assert_eq!(error["details"][detail], is, "{error}");
        };
    check(&mut wire, "trak.create", json!({}), "domain.unknown", "didYouMean", "track");
    check(&mut wire, "track.creat", json!({}), "command.unknown", "didYouMean", "create");
    let note = json!({"clip": format!("clp_{:0>26}", 1),
                      "notes": [{"pitch": 60, "start": 0, "length": 1},
                                {"pitch": "C", "start": 0, "length": 1}]});
    check(&mut wire, "note.add", note, "payload.invalid", "path", "payload.notes[1].pitch");
    let track = json!({"tracks": ["chn_1"]});
    check(&mut wire, "track.delete", track, "payload.invalid", "path", "payload.tracks[0]");
    let missing = json!({"tracks": [format!("trk_{:0>26}", 1)]});
    wire.refused("track.delete", missing, "entity.notFound");
    wire.ok("project.info", json!({}));
}

#[test]
fn half_a_frame_and_a_slow_one_hold_nobody_up() {
    let dir = new_project();
    let settings = ["timing.hello_ms=400", "timing.message_ms=400"];
    let server = Server::start(dir.path(), &settings);
    // Nothing at all, and a hello that comes byte by byte.
    let mut silent = Wire::unix(&server, Encoding::Json);
    let mut slow = Wire::unix(&server, Encoding::Json);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1_200) && slow.write(b"\0") {
        std::thread::sleep(Duration::from_millis(20));
        if start.elapsed() < Duration::from_millis(300) {
            is_well(&server);
        }
    }
    assert_eq!(last_word(&mut silent).as_deref(), Some("client.timedOut"));
    assert!(!slow.write(b"\0") || slow.rest().last().is_none_or(|last| last.error.is_some()));

    // Half a frame from a client that is known, then silence.
    let mut half = server.client("half");
    half.write(&[0, 0, 1, 0, b'{']);
    assert_eq!(last_word(&mut half).as_deref(), Some("client.timedOut"));
    // Half a frame, then gone.
    let mut gone = server.client("gone");
    gone.write(&[0, 0, 1, 0, b'{']);
    drop(gone);
    is_well(&server);
}

#[test]
fn a_client_that_stops_breathing_is_let_go() {
    let dir = new_project();
    let settings = ["timing.heartbeat_ms=50", "timing.silence_ms=300"];
    let server = Server::start(dir.path(), &settings);
    let mut promised = Wire::unix(&server, Encoding::Json);
    let capabilities = json!({"capabilities": {"heartbeat": true}});
    let welcome = promised.ok("client.hello", hello(capabilities));
    assert_eq!(welcome["heartbeatMs"], 50);
    // Without the promise, silence is nobody's business.
    let mut quiet = server.client("quiet");
    assert_eq!(last_word(&mut promised).as_deref(), Some("client.timedOut"));
    quiet.ok("project.info", json!({}));
}

#[test]
fn a_flood_is_slowed_down_and_a_crowd_kept_out() {
    let dir = new_project();
    let settings = ["limits.commands_per_second=50", "limits.clients=3"];
    let server = Server::start(dir.path(), &settings);
    let mut flood = server.client("flood");
    let asked: Vec<_> = (0..200).map(|_| flood.envelope("project.info", json!({}))).collect();
    assert!(asked.iter().all(|envelope| flood.post(envelope)));
    let mut refused = 0;
    for envelope in &asked {
        // One answer each, in whatever order errors and results come.
        if let Some(error) = flood.receive().unwrap().error {
            assert_eq!(error.code.as_str(), "client.rateLimited");
            assert!(error.details["retryAfterMs"].is_u64(), "{envelope:?}");
            refused += 1;
        }
    }
    assert!((50..=151).contains(&refused), "{refused} of 200 refused");
    std::thread::sleep(Duration::from_millis(100));
    flood.ok("project.info", json!({}));

    let _others = [server.client("a"), server.client("b")];
    let mut fourth = Wire::unix(&server, Encoding::Json);
    let error = fourth.refused("client.hello", hello(json!({})), "client.limit");
    assert_eq!(error["details"]["limit"], 3);
    drop(flood);
    let start = Instant::now();
    loop {
        let mut again = Wire::unix(&server, Encoding::Json);
        if again.call("client.hello", hello(json!({}))).error.is_none() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the place of a client that left is not free");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let dir = new_project();
    let settings = ["metrics.listen=127.0.0.1:0", "timing.hello_ms=2000"];
    let server = Server::start(dir.path(), &settings);
    for number in 0..soak(200, 1_000) {
        let mut wire = if number % 2 == 0 {
            Wire::unix(&server, Encoding::Json)
        } else {
            Wire::tcp(&server, Encoding::MessagePack)
        };
        match number % 4 {
            0 => drop(wire.write(&[0, 0])),
            1 => drop(wire.hello(&format!("c{number}"), Some(server.token()))),
            2 => {
                wire.hello("same", None);
                let command = wire.envelope("project.snapshot", json!({}));
                wire.post(&command);
            }
            _ => {}
        }
    }
    is_well(&server);
    let start = Instant::now();
    while server.metric("pulse_clients") > 0.0 {
        assert!(start.elapsed() < PATIENCE, "clients that are gone are still counted");
        std::thread::sleep(Duration::from_millis(50));
    }
    let opened = server.metric("pulse_connections_opened_total");
    assert!(opened >= soak(200, 1_000) as f64, "{opened}");
}

/// Posts without ever reading what comes back.
fn flood(wire: &mut Wire, count: usize) {
    for _ in 0..count {
        let command: Envelope = wire.envelope("project.snapshot", json!({}));
        if !wire.post(&command) {
            return;
        }
    }
}

#[test]
fn a_client_that_never_reads_costs_the_others_nothing() {
    let dir = new_project();
    let settings =
        ["limits.queue_bytes=262144", "timing.write_ms=300000", "metrics.listen=127.0.0.1:0"];
    let server = Server::start(dir.path(), &settings);
    let mut healthy: Vec<_> = (0..8).map(|number| server.client(&format!("h{number}"))).collect();
    for client in &mut healthy {
        client.subscribe(&["project"], None);
    }
    let mut stuck = server.client("stuck");
    stuck.subscribe(&["project"], None);
    // More than the buffers of any socket hold: it stands still in its sending too.
    flood(&mut stuck, 20_000);
    let edits = 40;
    for number in 0..edits {
        let author = &mut healthy[number % 8];
        author.ok("track.create", json!({"name": format!("T{number}"), "kind": "audio"}));
    }
    for client in &mut healthy {
        let mut last = None;
        for _ in 0..edits {
            let event = client.event("project.changed");
            let position = event.position.unwrap().sequence;
            // Positions count every event; this client hears only some domains.
            assert!(last.is_none_or(|last| position > last));
            if let Some(before) = last {
                assert!(position > before, "{position} after {before}");
            }
            last = Some(position);
        }
        assert!(client.events.iter().all(|event| event.name != "lagged"));
    }
    // The stuck one is cut off, with a reason once it looks.
    assert_eq!(last_word(&mut stuck).as_deref(), Some("client.tooSlow"));
    assert!(server.metric("pulse_clients_cut_off_total") >= 1.0);
    assert!(server.metric("pulse_queued_bytes") < 262_144.0 * 9.0);
}

#[test]
fn a_client_that_dies_in_mid_gesture_leaves_its_last_value() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut aura = server.client("aura");
    let track = aura.ok("track.create", json!({"name": "Bass", "kind": "instrument"}));
    let mut hand = server.client("hand");
    let target = json!({"target": track["channel"], "parameter": "gainDb"});
    let gesture = hand.ok("parameter.beginGesture", target.clone());
    let update = json!({"gesture": gesture["gesture"], "value": -3.5});
    hand.ok("parameter.updateGesture", update);
    aura.subscribe(&["project"], None);
    drop(hand);
    let event = aura.event("project.changed");
    assert_eq!(event.by.map(|by| by.client_id).as_deref(), Some("hand"));
    let channels = aura.ok("project.get", json!({"ids": [track["channel"]]}));
    let text = channels["entities"][0].to_string();
    assert!(text.contains("-3.5"), "{text}");
}

/// Whoever reads again in time is told what it missed, and can have it.
#[test]
fn a_client_that_falls_behind_is_told_and_catches_up() {
    let dir = new_project();
    let settings =
        ["limits.queue_bytes=65536", "limits.event_history=100000", "timing.write_ms=300000"];
    let server = Server::start(dir.path(), &settings);
    let (mut loud, mut slow) = (server.client("loud"), server.client("slow"));
    slow.subscribe(&["cohort"], None);
    let channel = loud.ok("channel.create", json!({"kind": "bus"}))["channel"].clone();
    // More than the buffers of a socket and half of a queue hold.
    for _ in 0..80 {
        let updates: Vec<_> = (0..100)
            .map(|_| json!({"target": channel, "cohort": null}))
            .map(|payload| loud.envelope("cohort.setOverride", payload))
            .collect();
        assert!(updates.iter().all(|update| loud.post(update)));
        updates.iter().for_each(|update| assert!(loud.answer(&update.id).error.is_none()));
    }
    let lagged = slow.event("client.lagged").payload;
    let (epoch, first) = (&lagged["since"]["epoch"], lagged["since"]["sequence"].as_u64());
    assert!(lagged["missed"].as_u64().is_some_and(|missed| missed > 0), "{lagged}");
    let heard = slow.events.iter().filter_map(|event| event.position).map(|it| it.sequence);
    assert!(heard.max() < first, "what came before the gap came whole: {lagged}");
    let since = json!({"epoch": epoch, "sequence": first.unwrap() - 1});
    let topics = json!({"topics": [{"domain": "cohort"}], "since": since});
    assert_eq!(slow.ok("client.subscribe", topics.clone())["recovered"], true);
    // What was on its way comes too; and should it fall behind once more, it asks again.
    while !slow.events.iter().any(|event| event.position.map(|it| it.sequence) == first) {
        match slow.events.iter().position(|event| event.name == "lagged") {
            Some(at) => {
                slow.events.remove(at);
                assert_eq!(slow.ok("client.subscribe", topics.clone())["recovered"], true);
            }
            None => {
                let event = slow.receive().expect("the server closed instead of an event");
                slow.events.push_back(event);
            }
        }
    }
    slow.ok("project.info", json!({}));
}
