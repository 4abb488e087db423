//! A session is recorded and done again: the same project, the same events, the
//! same sound.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use pulse_schemas::{
    codec::Encoding,
    frame::stream::{NO_POSITION, StreamFrame, StreamKind},
};
use serde_json::{Value, json};

use crate::{
    harness::{Random, Server, Wire, new_project, run, run_json, soak},
    storm::{Known, Storm, commands},
    workspace::root,
};

const QUARTER: u64 = 45_158_400;

/// A log that is begun before there is a project.
fn record(dir: &Path) -> (Server, Wire) {
    let server = Server::without_project(dir, &["debug.enabled=true"]);
    let mut wire = server.client("first");
    wire.ok("debug.logCommands", json!({"path": dir.join("log.jsonl")}));
    wire.ok("project.new", json!({"path": dir.join("song")}));
    (server, wire)
}

/// A track that is heard whatever else there is.
fn sound(wire: &mut Wire) -> Value {
    let create = json!({"name": "Bass", "kind": "instrument", "nodes": ["pulse.synth"]});
    let track = wire.ok("track.create", create);
    let notes = json!([{"pitch": 36, "start": 0, "length": QUARTER}]);
    let clip = json!({"lane": track["lane"], "start": 0, "length": 4 * QUARTER, "notes": notes});
    wire.ok("clip.create", clip);
    track
}

/// Moves a fader by hand, by command and by frame, and lets go by leaving.
fn pull_the_plug(server: &Server, channel: &Value) {
    let mut hand = server.client("hand");
    let payload = json!({"target": channel, "parameter": "gainDb"});
    let gesture = hand.ok("parameter.beginGesture", payload)["gesture"].clone();
    hand.ok("parameter.updateGesture", json!({"gesture": gesture, "value": -3}));
    let (mut frame, stream) = (Vec::new(), gesture.as_u64().unwrap() as u32);
    let (kind, position) = (StreamKind::Gesture, NO_POSITION);
    let samples = vec![-4.5];
    StreamFrame { kind, stream, sequence: 0, position, samples }.write(&mut frame).unwrap();
    hand.write_frame(&frame);
    hand.ok("parameter.get", json!({"target": channel, "parameters": ["gainDb"]}));
}

fn freeze(wire: &mut Wire, track: &Value) {
    wire.subscribe(&["job"], None);
    let job = wire.ok("rendering.freeze", json!({"tracks": [track["track"]]}))["job"].clone();
    finished(wire, &job);
}

/// A track becomes a clip: work whose result is an edit that comes later.
fn bounce(wire: &mut Wire, track: &Value) {
    let payload = json!({"sources": [track["track"]], "withEffects": true});
    let job = wire.ok("rendering.bounce", payload)["job"].clone();
    wire.ok("track.create", json!({"name": "Made while it was bounced"}));
    finished(wire, &job);
}

fn finished(wire: &mut Wire, job: &Value) {
    loop {
        let event = wire.event("job.finished").payload["job"].clone();
        if event["id"] == *job {
            assert_eq!(event["state"], "done", "{event}");
            return;
        }
    }
}

fn pcm(dir: &Path, project: &str) -> Value {
    let out = format!("{project}.wav");
    let args = ["-p", project, "render", "-o", &out, "--from", "1.1.1", "--to", "2.1.1"];
    run_json(dir, &args)["pcm_hash"].clone()
}

#[test]
fn a_recorded_session_replays_to_the_same_root_events_and_sound() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, mut wire) = record(dir.path());
    let track = sound(&mut wire);
    freeze(&mut wire, &track);
    bounce(&mut wire, &track);
    pull_the_plug(&server, &track["channel"]);
    let known = Arc::new(Mutex::new(Known::default()));
    known.lock().unwrap().learn(&json!(wire.snapshot()));
    let (clients, total) = (3, soak(600, 10_000));
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            let mut wire = Wire::unix(&server, Encoding::MessagePack);
            wire.hello(&format!("player{number}"), None);
            let (known, specs) = (Arc::clone(&known), commands());
            let random = Random::new(0x5eed + number);
            let mut storm = Storm { wire, random, known, specs, wild: false };
            std::thread::spawn(move || storm.rage(total / clients as usize))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Vec::<String>::new());
    }
    // The storm may have gone to another branch or silenced everything.
    sound(&mut wire);
    let (root, revision) = wire.state();
    let entities = wire.snapshot();
    assert_eq!(server.terminate().code(), Some(0));

    let replayed = run_json(dir.path(), &["replay", "log.jsonl", "again"]);
    assert_eq!((&replayed["root"], &replayed["revision"]), (&json!(root), &json!(revision)));
    let (lines, refused) = (replayed["lines"].as_u64(), replayed["refused"].as_u64());
    let done = lines.unwrap() - refused.unwrap();
    assert!(done > total as u64 / 20, "{replayed}");
    assert_eq!(pcm(dir.path(), "song"), pcm(dir.path(), "again"));
    drop(server);
    let copy = tempfile::tempdir().unwrap();
    std::fs::rename(dir.path().join("again"), copy.path().join("song")).unwrap();
    let server = Server::start(copy.path(), &[]);
    assert_eq!(server.client("witness").snapshot(), entities);
}

/// What `pulse replay` says about a log that it does not follow to its end.
fn check(dir: &Path, log: &str, onto: &[&str], words: &str) {
    std::fs::write(dir.join("bad.jsonl"), log).unwrap();
    let output = run(dir, &[&["replay", "bad.jsonl"], onto].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_log_that_is_not_followed_says_where_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let (server, mut wire) = record(dir.path());
    sound(&mut wire);
    wire.refused("project.rename", json!({"name": ""}), "payload.invalid");
    wire.ok("project.rename", json!({"name": "Another"}));
    wire.ok("project.close", json!({}));
    drop(server);
    let log = std::fs::read_to_string(dir.path().join("log.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains(r#""end":"project.close""#), "{log}");
    let again = run_json(dir.path(), &["replay", "log.jsonl"]);
    assert_eq!(again["lines"], 5, "{again}: new, two of the sound, rename, end");
    let check = |log: &str, words| check(dir.path(), log, &[], words);
    check("", "is no log of commands");
    check("{}", "is no log of commands");
    check(&log.replace(r#""pulseCommandLog":1"#, r#""pulseCommandLog":9"#), "is of version 9");
    check(&log.replace("Another", "Third"), "line 5, project.rename: the root of the project");
    check(&log.replace(r#""Bass""#, r#""Base""#), "line 3, track.create");
    check(
        &log.replace(r#""do":{"name":"clip.create""#, r#""make":{"name":""#),
        "line 4 of the log",
    );
}

#[test]
fn a_log_of_an_open_project_replays_onto_a_copy_of_it() {
    let dir = new_project();
    let copy = |to: &str| {
        let mut copied = std::process::Command::new("cp");
        copied.args(["-r", "song", to]).current_dir(dir.path());
        assert!(copied.status().unwrap().success());
    };
    copy("before");
    let mut server = Server::start(dir.path(), &["debug.enabled=true"]);
    let mut wire = server.client("first");
    let path = dir.path().join("log.jsonl");
    wire.ok("debug.logCommands", json!({"path": path}));
    wire.refused("debug.logCommands", json!({"path": path}), "media.unreadable");
    sound(&mut wire);
    wire.ok("history.undo", json!({}));
    let (root, revision) = wire.state();
    assert_eq!(server.terminate().code(), Some(0));
    let log = std::fs::read_to_string(&path).unwrap();
    check(dir.path(), &log, &["song"], "onto a copy of the project");
    check(dir.path(), &log, &[], "no project");
    let replayed = run_json(dir.path(), &["replay", "log.jsonl", "before"]);
    assert_eq!((&replayed["root"], &replayed["revision"]), (&json!(root), &json!(revision)));
}

#[test]
fn a_log_of_the_first_format_replays_to_where_it_ended() {
    let log = root().join("tests/compat/v1/commands.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let replayed = run_json(Path::new("/"), &["replay", log.to_str().unwrap()]);
    assert_eq!(replayed["root"], last["root"]);
    assert_eq!(replayed["lines"], text.lines().count() as u64 - 1);
}
