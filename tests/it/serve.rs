//! A day with a server: a window and a controller make a song together, the
//! power goes, and everything is there.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use pulse_client::{Incoming, Introduction, blocking::Client};
use pulse_schemas::{codec::Encoding, envelope::Kind};
use serde_json::{Value, json};

use crate::harness::{Server, Wire, check_files, new_project, run, run_json};

const QUARTER: u64 = 45_158_400;

#[test]
fn a_server_says_where_it_is_and_ends_when_it_is_told() {
    let dir = new_project();
    let mut server = Server::start(dir.path(), &[]);
    assert_eq!(server.ready["ready"], true);
    assert_eq!(server.ready["pid"], server.child.id());
    assert_eq!(server.ready["socket"], server.socket.display().to_string());
    assert_eq!(server.token().len(), 32);
    let mode = std::fs::metadata(&server.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = Server::try_start(dir.path(), &[]).err().expect("two servers for one project");
    assert_eq!(second.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&second.stderr).unwrap();
    assert_eq!(error["error"]["code"], "project.locked");
    assert_eq!(error["error"]["details"]["socket"], server.ready["socket"]);

    let mut client = server.client("aura");
    client.subscribe(&["client"], None);
    assert_eq!(server.terminate().code(), Some(0));
    let last = client.rest();
    assert!(last.iter().any(|event| event.name == "stopping"), "{last:?}");
    assert!(!server.socket.exists());
    check_files(dir.path());
}

/// What the fake Aura makes; it speaks MessagePack through the client library.
struct Aura {
    client: Client,
}

impl Aura {
    fn connect(server: &Server) -> Aura {
        let mut who = Introduction::new("aura", "aura-1");
        who.author = Some("Ada".into());
        Aura { client: Client::connect_unix(&server.socket, &who).unwrap() }
    }

    fn ok(&mut self, name: &str, payload: Value) -> Value {
        let (domain, command) = name.split_once('.').unwrap();
        self.client
            .call(domain, command, payload.clone())
            .unwrap_or_else(|error| panic!("{name} {payload}: {error}"))
    }

    /// A track with an instrument, an equaliser, notes and automation.
    fn make_song(&mut self) -> Value {
        let payload = json!({"name": "Bass", "kind": "instrument", "nodes": ["pulse.synth"]});
        let track = self.ok("track.create", payload);
        let bar = 4 * QUARTER;
        let clip = self.ok(
            "clip.create",
            json!({"lane": track["lane"], "start": 0, "length": bar, "notes": [
                {"pitch": 36, "start": 0, "length": QUARTER},
                {"pitch": 43, "start": QUARTER, "length": QUARTER, "velocity": 40000}]}),
        );
        let notes = json!([{"pitch": 48, "start": 2 * QUARTER, "length": QUARTER}]);
        self.ok("note.add", json!({"clip": clip["clip"], "notes": notes}));
        let params = json!({"band1Frequency": 120, "band1Gain": -3});
        let node = json!({"channel": track["channel"], "kind": "pulse.eq", "params": params});
        let node = self.ok("node.add", node);
        let hall = json!({"kind": "return", "name": "Hall", "nodes": ["pulse.reverb"]});
        let hall = self.ok("channel.create", hall);
        let send = json!({"from": track["channel"], "to": hall["channel"], "gainDb": -12});
        self.ok("routing.addSend", send);
        let target = json!({"target": track["channel"], "parameter": "gainDb"});
        let points = json!([{"at": 0, "value": -20}, {"at": bar, "value": 0}]);
        let owner = json!({"lane": {"lane": track["lane"]}});
        self.ok(
            "automation.createEnvelope",
            json!({"owner": owner, "target": target, "points": points}),
        );
        json!({"track": track["track"], "channel": track["channel"], "clip": clip["clip"],
               "node": node["node"]})
    }
}

#[test]
fn a_song_made_over_two_connections_survives_a_kill() {
    let dir = new_project();
    let mut server = Server::start(dir.path(), &[]);
    let mut aura = Aura::connect(&server);
    let welcome = aura.client.welcome().unwrap();
    assert!(welcome.is_manager && welcome.project.is_some());
    let mut controller = server.tcp_client("controller");
    controller.subscribe(&["project"], None);

    let song = aura.make_song();
    let saved = aura.ok("project.save", json!({"message": "First take"}));
    assert_eq!(saved["created"], true);
    // What follows is not committed: it has to survive as a draft.
    aura.ok("note.move", json!({"clip": song["clip"], "transpose": 12}));
    controller.ok("channel.setGain", json!({"channel": song["channel"], "gainDb": -6}));

    let (root, revision) = controller.state();
    let entities = controller.snapshot();
    server.kill();

    let server = Server::start(dir.path(), &[]);
    let mut back = server.client("aura");
    let info = back.ok("project.info", json!({}))["info"].clone();
    assert_eq!((info["root"].as_str(), info["revision"].as_u64()), (Some(&*root), Some(revision)));
    assert_eq!(info["dirty"], true);
    assert_eq!(back.snapshot(), entities);
    let head = back.ok("version.log", json!({}));
    assert_eq!(head["commits"][0]["label"], "First take");
    assert_eq!(head["commits"][0]["author"], "Ada");
    drop(server);
    check_files(dir.path());
}

#[test]
fn both_clients_see_who_changed_what_and_where_it_stands() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut aura = Aura::connect(&server);
    let topics = json!({"topics": [{"domain": "project"}]});
    aura.ok("client.subscribe", topics);
    let mut controller = server.tcp_client("controller");
    let start = controller.subscribe(&["project"], None)["position"].clone();

    let track = aura.ok("track.create", json!({"name": "Drums", "kind": "audio"}));
    let mine = controller.event("project.changed");
    let by = mine.by.as_ref().unwrap();
    assert_eq!((&*by.client_id, &*by.instance_id, &*by.author), ("aura", "aura-1", "Ada"));
    let changes = mine.payload["changes"].to_string();
    assert!(changes.contains(track["track"].as_str().unwrap()), "{changes}");
    assert_eq!(mine.payload["root"], track["edit"]["root"]);
    assert_eq!(mine.payload["revision"], track["edit"]["revision"]);

    let gain = json!({"channel": track["channel"], "gainDb": -6});
    let edit = controller.ok("channel.setGain", gain);
    let second = controller.event("project.changed");
    assert_eq!(second.payload["baseRoot"], mine.payload["root"]);
    let (first, second) = (mine.position.unwrap(), second.position.unwrap());
    assert_eq!(json!(first)["epoch"], start["epoch"]);
    assert!(second.sequence > first.sequence);

    let mut theirs = Vec::new();
    while theirs.len() < 2 {
        match aura.client.next(Duration::from_secs(10)).unwrap() {
            Some(Incoming::Event(event)) if event.domain == "project" => theirs.push(event),
            Some(_) => {}
            None => panic!("Aura heard only {theirs:?}"),
        }
    }
    assert_eq!(theirs[1].by.as_ref().unwrap().client_id, "controller");
    assert_eq!(theirs[1].payload["root"], edit["edit"]["root"]);
    assert_eq!(theirs[0].position, Some(first));
}

#[test]
fn an_edit_of_an_older_revision_is_refused() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client("aura");
    let (root, revision) = client.state();
    let mut stale = client.envelope("track.create", json!({"name": "A", "kind": "audio"}));
    stale.expect_revision = Some(revision);
    assert_eq!(client.ask(&stale).kind, Kind::Event);
    let mut stale = client.envelope("track.create", json!({"name": "B", "kind": "audio"}));
    stale.expect_revision = Some(revision);
    let refused = client.ask(&stale).error.unwrap();
    assert_eq!(refused.code.as_str(), "conflict.stale");
    assert!(refused.details.contains_key("revision"), "{refused:?}");
    assert_ne!(client.state().0, root);
    assert_eq!(client.ok("track.list", json!({}))["tracks"].as_array().unwrap().len(), 1);
}

#[test]
fn a_command_that_is_sent_again_is_answered_and_not_done_again() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client("aura");
    let command = client.envelope("track.create", json!({"name": "Once", "kind": "audio"}));
    let first = client.ask(&command);
    let again = client.ask(&command);
    assert_eq!((&first.payload, &first.id), (&again.payload, &again.id));
    // The connection breaks; the same instance comes back and asks once more.
    drop(client);
    let mut back = Wire::unix(&server, Encoding::Json).with_prefix("later");
    back.hello("aura", None);
    assert_eq!(back.ask(&command).payload, first.payload);
    assert_eq!(back.ok("track.list", json!({}))["tracks"].as_array().unwrap().len(), 1);
    let mut other = command.clone();
    other.payload = json!({"name": "Twice", "kind": "audio"});
    assert_eq!(back.ask(&other).error.unwrap().code.as_str(), "envelope.idReused");
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["limits.event_history=20"]);
    let mut aura = server.client("aura");
    let mut listener = server.tcp_client("listener");
    let since = listener.subscribe(&["project"], None)["position"].clone();
    drop(listener);
    let make = |aura: &mut Wire, name: &str| {
        aura.ok("track.create", json!({"name": name, "kind": "audio"}))["edit"]["root"].clone()
    };
    let roots = [make(&mut aura, "A"), make(&mut aura, "B")];
    let mut back = server.tcp_client("listener");
    let reply = back.subscribe(&["project"], Some(since.clone()));
    assert_eq!(reply["recovered"], true, "{reply}");
    for root in &roots {
        assert_eq!(back.event("project.changed").payload["root"], *root);
    }
    // Longer away than events are kept: it is told to read again.
    drop(back);
    for number in 0..20 {
        make(&mut aura, &format!("T{number}"));
    }
    let mut late = server.tcp_client("listener");
    assert_eq!(late.subscribe(&["project"], Some(since.clone()))["recovered"], false);
    // Positions of another run of the server mean nothing to this one.
    let other = json!({"epoch": 1, "sequence": since["sequence"]});
    assert_eq!(late.subscribe(&["project"], Some(other))["recovered"], false);
}

#[test]
fn the_command_line_talks_to_the_server_that_has_the_project() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut aura = server.client("aura");
    aura.subscribe(&["project"], None);
    let payload = r#"{"name": "Keys", "kind": "instrument"}"#;
    let track =
        run_json(dir.path(), &["-p", "song", "--author", "Bob", "do", "track.create", payload]);
    let event = aura.event("project.changed");
    assert_eq!(event.payload["root"], track["edit"]["root"]);
    assert_eq!(event.by.unwrap().author, "Bob");
    let status = run_json(dir.path(), &["-p", "song", "status"]);
    assert_eq!((&status["served"], &status["dirty"]), (&json!(true), &json!(true)), "{status}");
    let commit = run(dir.path(), &["-p", "song", "commit", "-m", "Keys"]);
    assert!(commit.status.success(), "{commit:?}");
    assert_eq!(aura.ok("version.log", json!({}))["commits"][0]["label"], "Keys");
}

#[test]
fn what_was_done_at_the_command_line_is_undone_there_while_a_server_runs() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut aura = server.client("aura");
    let (before, _) = aura.state();
    let payload = r#"{"name": "Keys", "kind": "instrument"}"#;
    run_json(dir.path(), &["-p", "song", "do", "track.create", payload]);
    let undo = run(dir.path(), &["-p", "song", "undo"]);
    assert!(undo.status.success(), "{undo:?}");
    assert_eq!(aura.state().0, before);
}

#[test]
fn a_watcher_prints_what_others_do_for_people_and_for_programs() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let socket = server.socket.display().to_string();
    for json in [false, true] {
        let over = std::sync::atomic::AtomicBool::new(false);
        let told = std::thread::scope(|scope| {
            // Nobody knows when the watcher begins to listen.
            scope.spawn(|| {
                let mut other = server.client(if json { "Bo" } else { "Al" });
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    other.ok("metadata.setInfo", json!({"values": {"isrc": "DE-A00-26-00001"}}));
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            });
            let mut args = vec!["watch", "metadata", "-n", "1", "--socket", &socket];
            args.extend(json.then_some("--json"));
            let output = crate::harness::run(dir.path(), &args);
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            output
        });
        let told = String::from_utf8(told.stdout).unwrap();
        assert_eq!(told.lines().count(), 1, "{told}");
        if json {
            let event: serde_json::Value = serde_json::from_str(&told).unwrap();
            assert_eq!((&event["domain"], &event["name"]), (&json!("metadata"), &json!("setInfo")));
        } else {
            assert!(told.starts_with("metadata.setInfo Al "), "{told}");
        }
    }
}
