use serde_json::{Value, json};

use crate::commands::desk::{BAR, Desk};

fn saved() -> (Desk, Value) {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clip = desk.clip(&lane, 0, BAR, &[0]);
    desk.run("version.commit", json!({"message": "First\nwith a note"}));
    (desk, clip)
}

#[test]
fn commits_are_made_listed_and_shown() {
    let (mut desk, clip) = saved();
    assert!(desk.events.contains(&"version.moved".to_owned()), "{:?}", desk.events);
    desk.fail("version.commit", json!({"message": "Again"}), "version.nothing");
    desk.run("version.commit", json!({"message": "Empty", "allowEmpty": true}));
    desk.run("clip.update", json!({"clips": [clip], "mute": true}));
    let amended = desk.run("version.commit", json!({"message": "Mute", "amend": true}));
    let log = desk.run("version.log", json!({}));
    let labels: Vec<_> = log["commits"].as_array().unwrap().iter().map(|it| &it["label"]).collect();
    assert_eq!(labels[..2], ["Mute", "First"]);
    assert_eq!(log["commits"][1]["notes"], "with a note");
    let shown = desk.run("version.show", json!({"rev": amended["commit"]["id"]}));
    assert_eq!((&shown["counts"]["modified"], &shown["changes"][0]["id"]), (&json!(1), &clip));
    let scope = json!({"entities": [clip]});
    let touching = desk.run("version.log", json!({"scope": scope}));
    assert_eq!(touching["commits"].as_array().unwrap().len(), 2);
    desk.fail("version.show", json!({"rev": "nowhere"}), "version.notFound");
}

#[test]
fn a_diff_names_what_differs_within_its_scope() {
    let (mut desk, clip) = saved();
    desk.run("clip.update", json!({"clips": [clip], "gainDb": -3}));
    desk.run("timebase.addTempo", json!({"at": 0, "bpm": 90}));
    let diff = desk.run("version.diff", json!({}));
    assert_eq!(diff["counts"]["modified"], 2);
    let scope = json!({"contexts": ["timebase"]});
    let diff = desk.run("version.diff", json!({"scope": scope}));
    assert_eq!(diff["changes"][0]["fields"][0]["field"], "bpm");
}

#[test]
fn branches_and_tags_come_move_and_go() {
    let (mut desk, clip) = saved();
    let made = desk.run("version.branch", json!({"name": "mix", "switch": true}));
    assert_eq!(made["branch"]["current"], true);
    desk.run("clip.update", json!({"clips": [clip], "mute": true}));
    let reply = desk.run("version.switch", json!({"to": "main"}));
    assert_eq!((&reply["branch"], &reply["draftRestored"]), (&json!("main"), &json!(false)));
    assert_eq!(desk.get(&clip)["mute"], false);
    assert_eq!(desk.run("version.switch", json!({"to": "mix"}))["draftRestored"], true);
    assert_eq!(desk.get(&clip)["mute"], true);
    desk.fail("version.branch", json!({"name": "main"}), "version.exists");
    desk.fail("version.deleteBranch", json!({"name": "mix"}), "version.current");
    desk.fail("version.switch", json!({"to": "op:1"}), "version.notFound");
    let reply = desk.run("version.switch", json!({"to": "@~1"}));
    assert_eq!((&reply["branch"], desk.get(&clip)["mute"] == true), (&json!(null), false));
    desk.fail("version.commit", json!({"message": "X", "allowEmpty": true}), "version.current");
    assert_eq!(desk.run("version.switch", json!({"to": "mix"}))["draftRestored"], true);
    desk.run("version.commit", json!({"message": "Mute"}));
    desk.run("version.switch", json!({"to": "main"}));
    desk.fail("version.deleteBranch", json!({"name": "mix"}), "entity.inUse");
    desk.run("version.tag", json!({"name": "v1", "at": "mix", "message": "Sent"}));
    desk.run("version.renameBranch", json!({"name": "mix", "to": "dark"}));
    desk.run("version.deleteBranch", json!({"name": "dark"}));
    assert_eq!(desk.run("version.tags", json!({}))["tags"][0]["message"], "Sent");
    desk.run("version.deleteTag", json!({"name": "v1"}));
    assert_eq!(desk.run("version.branches", json!({}))["branches"].as_array().unwrap().len(), 1);
}

#[test]
fn a_merge_with_a_conflict_is_resolved_and_committed() {
    let (mut desk, clip) = saved();
    desk.run("version.branch", json!({"name": "loud", "switch": true}));
    desk.run("clip.update", json!({"clips": [clip], "gainDb": 6}));
    desk.run("version.commit", json!({"message": "Loud"}));
    desk.run("version.switch", json!({"to": "main"}));
    desk.run("clip.update", json!({"clips": [clip], "gainDb": -6}));
    desk.run("version.commit", json!({"message": "Quiet"}));
    let preview = desk.run("version.mergePreview", json!({"from": "loud"}));
    assert_eq!(preview["preview"]["conflicts"].as_array().unwrap().len(), 1);
    let merged = desk.run("version.merge", json!({"from": "loud"}));
    assert_eq!(merged["commit"], Value::Null);
    assert!(desk.events.contains(&"version.conflictsChanged".to_owned()));
    desk.fail("version.merge", json!({"from": "loud"}), "version.merging");
    let conflicts = desk.run("version.conflicts", json!({}))["conflicts"].clone();
    assert_eq!(conflicts[0]["field"], "gainDb");
    let resolved = desk.edit("version.resolve", json!({"take": "theirs"}));
    assert_eq!(resolved["remaining"], 0);
    assert_eq!(desk.get(&clip)["gainDb"], json!(6.0));
    desk.fail("version.resolve", json!({"take": "ours"}), "version.nothing");
    let made = desk.run("version.commit", json!({"message": "Merge loud"}));
    assert_eq!(made["commit"]["parents"].as_array().unwrap().len(), 2);
}

#[test]
fn a_merge_is_left_as_if_it_never_was() {
    let (mut desk, clip) = saved();
    desk.run("version.branch", json!({"name": "loud", "switch": true}));
    desk.run("clip.update", json!({"clips": [clip], "gainDb": 6}));
    desk.run("version.commit", json!({"message": "Loud"}));
    desk.run("version.switch", json!({"to": "main"}));
    let before = desk.root();
    desk.run("version.merge", json!({"from": "loud", "noCommit": true}));
    assert_ne!(desk.root(), before);
    desk.run("version.abortMerge", json!({}));
    assert_eq!(desk.root(), before);
    desk.fail("version.abortMerge", json!({}), "version.nothing");
}

#[test]
fn commits_are_taken_back_brought_over_and_restored_in_part() {
    let (mut desk, clip) = saved();
    desk.run("clip.update", json!({"clips": [clip], "gainDb": 6}));
    desk.run("timebase.addTempo", json!({"at": 0, "bpm": 90}));
    desk.run("version.commit", json!({"message": "Faster and louder"}));
    let part = json!({"rev": "@", "scope": {"contexts": ["timebase"]}});
    desk.edit("version.revert", part);
    assert_eq!(desk.label(), "Revert \"Faster and louder\" (timebase)");
    assert_eq!(desk.get(&clip)["gainDb"], json!(6.0));
    desk.edit("version.restore", json!({"rev": "@~2", "scope": {"entities": [clip]}}));
    assert_eq!(desk.get(&clip)["gainDb"], json!(0.0));
    desk.edit("version.pick", json!({"rev": "main"}));
    assert_eq!(desk.get(&clip)["gainDb"], json!(6.0));
    let call = json!({"domain": "version", "name": "pick", "payload": {"rev": "main"}});
    desk.fail("project.batch", json!({"commands": [call]}), "batch.failed");
}
