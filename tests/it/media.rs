//! Files come into a project while the session goes on: reading them is a job that
//! tells how far it is and can be cancelled.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    harness::{PATIENCE, Server, Wire, check_files, new_project, run_json},
    workspace::root,
};

/// Takes minutes to read and no room on the disk.
fn endless(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("endless.wav");
    fs::File::create(&path).unwrap().set_len(1 << 38).unwrap();
    path
}

fn jobs(wire: &mut Wire) -> Vec<Value> {
    wire.ok("session.status", json!({}))["jobs"].as_array().unwrap().clone()
}

/// The job of a command that is under way.
fn running(wire: &mut Wire, command: &str) -> Value {
    let start = std::time::Instant::now();
    loop {
        let job = jobs(wire)
            .into_iter()
            .find(|job| job["command"] == command && job["state"] == "running");
        match job {
            Some(job) => return job["id"].clone(),
            None => assert!(start.elapsed() < PATIENCE, "`{command}` never ran"),
        }
    }
}

/// Nothing half done lies about.
fn leftovers(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("song/Media")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".part")).collect()
}

/// Starts a command that reads for minutes, works on meanwhile, and cancels it.
fn check_goes_on(dir: &Path, server: &Server, name: &str, payload: Value) {
    let (mut wire, mut other) = (server.client(name), server.client(&format!("beside {name}")));
    wire.subscribe(&["job"], None);
    let slow = wire.envelope(name, payload);
    assert!(wire.post(&slow));
    // Answers to later commands come first, on this connection and on others.
    for number in 0..20 {
        let create = wire.envelope("track.create", json!({"name": format!("T{number}")}));
        assert!(wire.post(&create));
        loop {
            let answer = wire.receive().unwrap();
            assert_ne!(answer.cid.as_deref(), Some(&*slow.id), "{:?}", answer.error);
            if answer.cid.as_deref() == Some(&*create.id) {
                break;
            }
        }
        other.ok("project.info", json!({}));
    }
    let job = running(&mut wire, name);
    other.ok("rendering.cancel", json!({"job": job}));
    let error = wire.answer(&slow.id).error.unwrap_or_else(|| panic!("{name} was not cancelled"));
    assert!(error.message.contains("cancelled"), "{error:?}");
    let ended = wire.event("job.finished").payload["job"].clone();
    assert_eq!((&ended["id"], &ended["state"]), (&job, &json!("cancelled")));
    assert_eq!(leftovers(dir), Vec::<String>::new());
}

#[test]
fn a_long_file_holds_nobody_up_and_can_be_cancelled() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let path = endless(dir.path());
    check_goes_on(dir.path(), &server, "media.import", json!({"path": path}));
    let call = json!({"domain": "media", "name": "import", "payload": {"path": path}});
    check_goes_on(dir.path(), &server, "project.batch", json!({"commands": [call]}));
    let mut wire = server.client("witness");
    assert_eq!(wire.ok("media.list", json!({}))["items"], json!([]));
}

#[test]
fn looking_for_a_lost_file_holds_nobody_up() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let sound = root().join("tests/fixtures/audio/tone_alaw.wav");
    let samples = dir.path().join("samples");
    fs::create_dir(&samples).unwrap();
    fs::copy(sound, samples.join("endless.wav")).unwrap();
    let mut wire = server.client("first");
    let import = json!({"path": samples.join("endless.wav"), "mode": "reference"});
    let item = wire.ok("media.import", import);
    let waveform = json!({"media": item["media"], "start": 0, "length": 0, "points": 16});
    let peaks = wire.ok("media.waveform", waveform.clone());
    assert!(!peaks["peaks"].as_array().unwrap().is_empty(), "{peaks}");

    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(samples.join("endless.wav"), elsewhere.join("found.wav")).unwrap();
    wire.refused("media.waveform", waveform.clone(), "media.offline");
    let nowhere = json!({"roots": [samples]});
    assert_eq!(wire.ok("media.relink", nowhere)["missing"], json!([item["media"]]));
    let found = wire.ok("media.relink", json!({"roots": [elsewhere]}));
    assert_eq!(found["found"][0]["sameContent"], true, "{found}");
    assert_eq!(wire.ok("media.waveform", waveform)["peaks"], peaks["peaks"]);
    // The last job ends a moment after its command.
    let start = std::time::Instant::now();
    while jobs(&mut wire).iter().any(|job| job["state"] == "running") {
        assert!(start.elapsed() < PATIENCE, "a job does not end");
    }
}

#[test]
fn what_was_read_ahead_is_one_edit_that_survives() {
    let dir = new_project();
    let mut server = Server::start(dir.path(), &[]);
    let mut wire = server.client("aura");
    wire.subscribe(&["job", "project"], None);
    let sound = root().join("tests/fixtures/audio/tone_alaw.wav");
    let import = json!({"path": sound, "tags": ["tone"]});
    let first = wire.ok("media.import", import.clone());
    assert_eq!((&first["duplicate"], &first["item"]["tags"]), (&json!(false), &json!(["tone"])));
    assert_eq!(wire.ok("media.import", import)["duplicate"], true);
    let ended = wire.event("job.finished").payload["job"].clone();
    assert_eq!((&ended["command"], &ended["state"]), (&json!("media.import"), &json!("done")));
    let changed = wire.event("project.changed");
    assert_eq!(changed.payload["root"], first["edit"]["root"]);
    assert_eq!(changed.by.unwrap().client_id, "aura");
    wire.refused("media.import", json!({"path": dir.path()}), "media.unreadable");
    let text = dir.path().join("notes.txt");
    fs::write(&text, "no sound").unwrap();
    wire.refused("media.import", json!({"path": text}), "media.format");
    assert!(dir.path().join("song/Media/tone_alaw.wav").is_file());
    assert_eq!(leftovers(dir.path()), Vec::<String>::new());
    let (root, _) = wire.state();
    server.kill();
    let mut server = Server::start(dir.path(), &[]);
    assert_eq!(server.client("aura").state().0, root);
    server.terminate();
    check_files(dir.path());
}

/// Every render is a process of its own: what it finds lies in the cache.
#[test]
fn a_moved_clip_is_neither_decoded_nor_resampled_again() {
    let dir = new_project();
    let song = dir.path().join("song");
    let act = |name: &str, payload: Value| run_json(&song, &["do", name, &payload.to_string()]);
    let render = |rate| {
        let arguments = ["render", "-o", "../mix.wav", "--to", "9.1.1", "--rate", rate];
        run_json(&song, &arguments)
    };
    let sound = root().join("tests/fixtures/audio/tone_16.flac");
    let media = act("media.import", json!({"path": sound}))["media"].clone();
    let lane = act("track.create", json!({"name": "A", "kind": "audio"}))["lane"].clone();
    let clip = json!({
        "lane": lane, "start": 0, "length": 2 * 45_158_400i64, "region": {"media": media},
    });
    let clip = act("clip.create", clip)["clip"].clone();
    // The file's own rate, and another.
    let rates = [("44100", "decoded"), ("48000", "resampled")];
    let first = rates.map(|(rate, made)| {
        let report = render(rate);
        assert!(report["clips"][made].as_u64().unwrap() > 0, "{report}");
        report["pcm_hash"].clone()
    });
    act("clip.move", json!({"moves": [{"clip": clip, "start": 45_158_400i64 / 3}]}));
    for ((rate, _), first) in rates.iter().zip(first) {
        let report = render(rate);
        assert!(report["segments"]["rendered"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["clips"], json!({"decoded": 0, "resampled": 0, "stretched": 0}));
        assert_ne!(report["pcm_hash"], first);
    }
}

/// The clip of a song sounds the same while its file wanders, in every version and in every
/// process that comes after.
#[test]
fn a_moved_file_is_found_after_undo_and_redo_and_by_every_version() {
    let dir = new_project();
    let song = dir.path().join("song");
    let act = |name: &str, payload: Value| run_json(&song, &["do", name, &payload.to_string()]);
    let sound = dir.path().join("drive/tone.flac");
    fs::create_dir(sound.parent().unwrap()).unwrap();
    fs::copy(root().join("tests/fixtures/audio/tone_16.flac"), &sound).unwrap();
    let media = act("media.import", json!({"path": sound, "mode": "reference"}))["media"].clone();
    let lane = act("track.create", json!({"name": "A", "kind": "audio"}))["lane"].clone();
    let region = json!({ "media": media });
    let clip = json!({"lane": lane, "start": 0, "length": 45_158_400i64, "region": region});
    act("clip.create", clip);
    run_json(&song, &["commit", "-m", "On the drive"]);
    let render = |rev: &str| {
        let arguments = ["render", "-o", "../mix.wav", "--to", "2.1.1", "--rev", rev, "--no-cache"];
        run_json(&song, &arguments)["pcm_hash"].clone()
    };
    let heard = render("@");
    let check = |backend: &str, lies: &Path| {
        let details = act("media.details", json!({"media": media}));
        assert_eq!(details["item"]["storage"]["backend"], backend);
        assert_eq!((&details["availability"], &details["path"]), (&json!("local"), &json!(lies)));
        assert_eq!((render("@"), render("main")), (heard.clone(), heard.clone()));
    };
    let inside = song.join("Media/tone.flac");
    act("media.relocate", json!({"media": media, "mode": "move"}));
    assert!(!sound.exists(), "the drive can be put away");
    check("project", &inside);
    run_json(&song, &["undo"]);
    check("reference", &inside);
    run_json(&song, &["redo"]);
    check("project", &inside);
    let relink = json!({"roots": [dir.path()]});
    assert_eq!(act("media.relink", relink)["found"], json!([]), "nothing is lost");
    fs::remove_file(&inside).unwrap();
    assert_ne!(render("main"), heard, "it was this file that was heard");
    check_files(dir.path());
}

/// Everybody else is answered while a file is copied that takes long.
#[test]
fn a_relocation_under_way_holds_nobody_up() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let sound = dir.path().join("tone.wav");
    fs::copy(root().join("tests/fixtures/audio/tone_alaw.wav"), &sound).unwrap();
    let (mut wire, mut other) = (server.client("mover"), server.client("beside"));
    let import = json!({"path": sound, "mode": "reference"});
    let media = wire.ok("media.import", import)["media"].clone();
    // A hundredth of it is copied before its progress is told: little enough for any disk.
    fs::File::options().write(true).open(&sound).unwrap().set_len(1 << 34).unwrap();

    for mode in ["move", "copy"] {
        let slow = wire.envelope("media.relocate", json!({"media": media, "mode": mode}));
        assert!(wire.post(&slow));
        let job = copying(&mut other, "media.relocate");
        other.ok("track.create", json!({"name": mode}));
        other.ok("rendering.cancel", json!({"job": job}));
        let error = wire.answer(&slow.id).error.expect("nobody can copy all of this");
        assert!(error.message.contains("cancelled"), "{error:?}");
        assert_eq!(leftovers(dir.path()), Vec::<String>::new());
        let item = wire.ok("media.details", json!({"media": media}));
        assert_eq!(item["path"], json!(sound), "it is where it was");
    }
}

/// The job of a command that has read a part of what it reads.
fn copying(wire: &mut Wire, command: &str) -> Value {
    let start = std::time::Instant::now();
    loop {
        let is_at_it = |job: &Value| {
            let progress = job["progress"].as_f64().unwrap_or_default();
            job["command"] == command && job["state"] == "running" && progress > 0.0
        };
        if let Some(job) = jobs(wire).into_iter().find(is_at_it) {
            return job["id"].clone();
        }
        assert!(start.elapsed() < PATIENCE, "`{command}` never got anywhere");
    }
}
