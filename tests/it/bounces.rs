//! A bounce whose process is killed leaves nothing half done: whoever opens the
//! project next is told, and the user's own history is as it was.

use std::{fs, path::Path, time::Instant};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server, Wire, check_files, new_project, pulse};

const BEAT: i64 = 45_158_400;

fn media(wire: &mut Wire) -> Vec<Value> {
    wire.ok("media.list", json!({}))["items"].as_array().unwrap().clone()
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("song/Media")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A project whose server was killed in the middle of a bounce, and what the project
/// was before.
fn killed(dir: &Path) -> String {
    let mut server = Server::start(dir, &["audio.host=none"]);
    let mut wire = server.client("aura");
    let track = json!({"name": "Keys", "kind": "instrument", "nodes": ["pulse.synth"]});
    let made = wire.ok("track.create", track);
    let note = json!([{"pitch": 60, "start": 0, "length": BEAT}]);
    let clip = json!({"lane": made["lane"], "start": 0, "length": BEAT, "notes": note});
    wire.ok("clip.create", clip);
    let (before, _) = wire.state();
    wire.ok("track.rename", json!({"track": made["track"], "name": "Piano"}));
    // Longer than anybody waits.
    let range = json!({"start": 0, "end": 40_000 * BEAT});
    let bounce = json!({"sources": [made["track"]], "withEffects": true, "range": range});
    wire.ok("rendering.bounce", bounce);
    assert_eq!(media(&mut wire)[0]["lifecycle"], "pending");
    let start = Instant::now();
    while files(dir).is_empty() {
        assert!(start.elapsed() < PATIENCE, "the bounce never began to write");
    }
    server.kill();
    before
}

#[test]
fn the_next_server_discards_what_a_killed_bounce_reserved_and_says_so() {
    let dir = new_project();
    let before = killed(dir.path());
    let server = Server::start(dir.path(), &["audio.host=none"]);
    let mut wire = server.client("aura");
    let items = media(&mut wire);
    assert_eq!((items.len(), &items[0]["lifecycle"]), (1, &json!("abandoned")), "{items:?}");
    assert_eq!(files(dir.path()), Vec::<String>::new());
    let warnings = wire.ok("session.warnings", json!({}))["warnings"].clone();
    let told = warnings[0]["message"].as_str().unwrap();
    assert!(told.contains("Piano bounce"), "{warnings}");
    // The user's last edit is the user's own.
    wire.ok("history.undo", json!({}));
    let tracks = wire.ok("track.list", json!({}));
    assert_eq!(tracks["tracks"][0]["name"], "Keys", "{tracks}");
    // But for the item in the pool all is what it was.
    wire.ok("media.remove", json!({"media": [items[0]["id"]]}));
    assert_eq!(wire.state().0, before);
    drop(wire);
    drop(server);
    check_files(dir.path());
}

#[test]
fn the_command_line_discards_it_aloud_and_once() {
    let dir = new_project();
    killed(dir.path());
    let told = || {
        let status =
            pulse().current_dir(dir.path()).args(["-p", "song", "status"]).output().unwrap();
        assert!(status.status.success(), "{status:?}");
        String::from_utf8_lossy(&status.stderr).contains("ended while it bounced")
    };
    assert!(told(), "somebody waits for that bounce");
    assert!(!told(), "it is settled");
}
