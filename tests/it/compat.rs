//! Projects written by earlier versions: opened, checked, played, edited.
//!
//! `PULSE_WRITE_FIXTURE=1 cargo test -p pulse-tests --test it -- compat` writes the current
//! version's, which is done once per version, never to make a test pass.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    harness::{run, run_json},
    workspace::root,
};

fn fixture(version: u32) -> PathBuf {
    root().join(format!("tests/compat/v{version}/project"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn call(dir: &Path, name: &str, payload: Value) -> Value {
    run_json(dir, &["-p", "song", "do", name, &payload.to_string()])
}

fn status(dir: &Path) -> Value {
    run_json(dir, &["-p", "song", "status"])["project"]["root"].clone()
}

fn gain(dir: &Path, channel: &Value) -> f64 {
    let listed = call(dir, "channel.list", json!({}));
    let all = listed["channels"].as_array().unwrap();
    let found = all.iter().find(|it| it["id"] == *channel).unwrap_or_else(|| panic!("{listed}"));
    found["gainDb"].as_f64().unwrap()
}

/// The project as text, which holds every record of it.
fn export(dir: &Path) -> String {
    let path = dir.join("project.jsonl");
    let _ = fs::remove_file(&path);
    call(dir, "project.export", json!({"path": path}));
    pulse_schemas::hash::Hash::of(&fs::read(&path).unwrap()).to_string()
}

/// A song with notes, automation of a mixer, a track in two variants, one of them with a slot of
/// a scene, a branch with other work, a tag, and edits that nobody committed.
fn write(dir: &Path) -> Value {
    run_json(dir, &["new", "song", "--template", "demo"]);
    let made = call(
        dir,
        "track.create",
        json!({"name": "Lead", "kind": "instrument", "nodes": ["pulse.synth"]}),
    );
    let notes = json!([{"pitch": 60, "start": 0, "length": 45_158_400}]);
    let clip = json!({"lane": made["lane"], "start": 0, "length": 180_633_600, "notes": notes});
    call(dir, "clip.create", clip);
    run_json(dir, &["-p", "song", "commit", "-m", "Lead"]);
    run_json(dir, &["-p", "song", "tag", "first"]);
    run_json(dir, &["-p", "song", "branch", "idea"]);
    let subject = json!({"subject": made["track"], "activate": true});
    let variant = call(dir, "variant.create", subject)["variant"].clone();
    call(dir, "channel.setGain", json!({"channel": made["channel"], "gainDb": -9}));
    call(dir, "variant.activate", json!({"subject": made["track"], "variant": null}));
    call(dir, "channel.setGain", json!({"channel": made["channel"], "gainDb": -3}));
    run_json(dir, &["-p", "song", "commit", "-m", "Two leads"]);
    run_json(dir, &["-p", "song", "switch", "idea"]);
    call(dir, "project.rename", json!({"name": "Idea"}));
    run_json(dir, &["-p", "song", "commit", "-m", "Another name"]);
    run_json(dir, &["-p", "song", "switch", "main"]);
    call(dir, "metadata.addMarker", json!({"at": 0, "name": "Not committed"}));
    // What is true of it now; the fader of the original comes before that of the variant.
    json!({"root": status(dir), "export": export(dir), "track": made["track"],
        "channel": made["channel"], "variant": variant, "gains": [-3.0, -9.0]})
}

fn check(version: u32) {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(version), &dir.path().join("song/.pulse"));
    let text = fs::read_to_string(fixture(version).with_extension("json")).unwrap();
    let known: Value = serde_json::from_str(&text).unwrap();
    let fsck = run(dir.path(), &["-p", "song", "fsck"]);
    assert!(fsck.status.success(), "{fsck:?}");
    let dir = dir.path();
    assert_eq!(status(dir), known["root"]);
    assert_eq!(export(dir), known["export"]);

    assert_eq!(gain(dir, &known["channel"]), known["gains"][0]);
    let activate = json!({"subject": known["track"], "variant": known["variant"]});
    call(dir, "variant.activate", activate);
    assert_eq!(gain(dir, &known["channel"]), known["gains"][1]);
    run_json(dir, &["-p", "song", "undo"]);
    assert_eq!(status(dir), known["root"]);
    run_json(dir, &["-p", "song", "undo"]);
    run_json(dir, &["-p", "song", "merge", "idea"]);
    assert_eq!(call(dir, "project.info", json!({}))["info"]["name"], "Idea");
    run_json(dir, &["-p", "song", "switch", "first"]);
    assert_eq!(gain(dir, &known["channel"]), 0.0);
}

#[test]
fn a_project_of_format_1_is_what_it_was() {
    if std::env::var_os("PULSE_WRITE_FIXTURE").is_some() {
        let dir = tempfile::tempdir().unwrap();
        let known = write(dir.path());
        copy(&dir.path().join("song/.pulse"), &fixture(1));
        fs::remove_file(fixture(1).join("lock")).unwrap();
        let text = serde_json::to_string_pretty(&known).unwrap();
        fs::write(fixture(1).with_extension("json"), text + "\n").unwrap();
    }
    check(1);
}
