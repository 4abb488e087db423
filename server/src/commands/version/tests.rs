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
    desk.fail("version.commit", json!({"message": "X", "allowEmpty": true}), "version.detached");
    let info = desk.run("project.info", json!({}))["info"].clone();
    assert_eq!(info["detached"], info["head"]);
    let log = desk.run("version.log", json!({}));
    let named = |name: &Value| name.as_str().unwrap().starts_with('@');
    let names = log["commits"].as_array().unwrap().iter().flat_map(|it| it["branches"].as_array());
    assert!(!names.flatten().any(named), "{log}");
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
    let words = ["subjectName", "title", "baseText", "oursText", "theirsText"];
    let words = words.map(|word| conflicts[0][word].as_str().unwrap());
    let name = "Keys ▸ clip 1";
    assert_eq!(words, [name, "Keys ▸ clip 1: gain", "0.0 dB", "−6.0 dB", "6.0 dB"]);
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

/// `mix` with a parked draft, moved to where `main` stands, which changed other things too.
fn moved_under_a_draft() -> (Desk, Value) {
    let (mut desk, clip) = saved();
    desk.run("version.branch", json!({"name": "mix", "switch": true}));
    desk.run("clip.update", json!({"clips": [clip], "gainDb": 6, "mute": true}));
    desk.run("version.switch", json!({"to": "main"}));
    let parked = desk.run("version.draft", json!({"branch": "mix"}))["draft"].clone();
    assert_eq!((&parked["baseMoved"], &parked["counts"]["modified"]), (&json!(false), &json!(1)));
    desk.run("clip.update", json!({"clips": [clip], "gainDb": -6, "name": "Riff"}));
    desk.run("version.commit", json!({"message": "Quiet"}));
    desk.run("version.branch", json!({"name": "mix", "at": "main", "force": true}));
    (desk, clip)
}

#[test]
fn a_draft_whose_branch_was_moved_waits_for_a_choice_and_can_be_looked_at() {
    let (mut desk, clip) = moved_under_a_draft();
    let (root, head) = (desk.root(), desk.run("project.info", json!({}))["info"]["head"].clone());
    desk.fail("version.switch", json!({"to": "mix"}), "project.draftPending");
    let details = desk.try_run("version.switch", json!({"to": "mix"})).unwrap_err().1;
    assert_eq!((&details["head"], &details["conflicts"]), (&head, &json!(1)));
    let force = json!({"name": "mix", "at": "@", "force": true, "switch": true});
    desk.fail("version.branch", force, "project.draftPending");
    let branches = desk.run("version.branches", json!({}))["branches"].clone();
    let bases: Vec<_> = branches.as_array().unwrap().iter().map(|it| &it["draftBase"]).collect();
    assert_eq!(bases, [&json!(null), &details["base"]]);
    // A look changes nothing.
    let draft = desk.run("version.draft", json!({"branch": "mix"}))["draft"].clone();
    assert_eq!((&draft["baseMoved"], &draft["head"]), (&json!(true), &head), "{draft}");
    let summary = draft["changes"][0]["summary"].as_str().unwrap();
    assert!(summary.contains("gain 0.0 dB → 6.0 dB") && summary.contains("mute"), "{summary}");
    assert_eq!(draft["conflicts"][0]["title"], "Keys ▸ clip Riff: gain");
    assert_eq!(desk.root(), root);

    let adopted = desk.run("version.switch", json!({"to": "mix", "draft": "adopt"}));
    assert_eq!((&adopted["branch"], &adopted["draftRestored"]), (&json!("mix"), &json!(true)));
    assert_eq!(adopted["conflicts"][0]["theirsLabel"], "draft of mix");
    let now = desk.get(&clip);
    assert_eq!(
        (&now["name"], &now["mute"], &now["gainDb"]),
        (&json!("Riff"), &json!(true), &json!(-6.0))
    );
    desk.edit("version.resolve", json!({"take": "theirs"}));
    assert_eq!(desk.get(&clip)["gainDb"], json!(6.0));
}

#[test]
fn a_draft_that_is_discarded_comes_back_by_undo() {
    let (mut desk, clip) = moved_under_a_draft();
    let root = desk.root();
    let reply = desk.run("version.switch", json!({"to": "mix", "draft": "discard"}));
    assert_eq!((&reply["draftRestored"], desk.root()), (&json!(false), root));
    assert_eq!(desk.get(&clip)["mute"], false);
    desk.run("history.undo", json!({}));
    assert_eq!(
        (&desk.get(&clip)["mute"], &desk.get(&clip)["name"]),
        (&json!(true), &json!("Riff"))
    );
    let parked = desk.run("version.draft", json!({"branch": "main"}));
    assert_eq!(parked["draft"], json!(null));
    desk.fail("version.draft", json!({"branch": "nowhere"}), "version.notFound");
}

#[test]
fn what_changed_alike_is_told_in_one_line_and_too_much_by_track() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clip = desk.clip(&lane, 0, BAR, &[0, 1, 2]);
    desk.run("version.commit", json!({"message": "First"}));
    let notes = desk.run("note.list", json!({"clip": clip}))["notes"].clone();
    let ids: Vec<_> = notes.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    desk.run("note.move", json!({"clip": clip, "notes": ids, "by": BAR / 16}));
    let diff = desk.run("version.diff", json!({}));
    let changes = diff["changes"].as_array().unwrap();
    let moved = |it: &Value| it["group"] == "Keys ▸ clip 1: 3 notes moved by 1/16 later";
    assert!(changes.len() == 3 && changes.iter().all(moved), "{diff}");
    assert_eq!(diff["tracks"], json!([]));
    let cut = desk.run("version.diff", json!({"page": {"limit": 2}}));
    assert_eq!(
        (&cut["tracks"][0]["name"], &cut["tracks"][0]["modified"]),
        (&json!("Keys"), &json!(3))
    );
}
