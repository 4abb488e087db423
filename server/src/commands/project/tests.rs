use std::path::PathBuf;

use serde_json::json;

use crate::commands::desk::{BAR, Desk};

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("pulse-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn without_a_project_commands_say_where_the_session_stands() {
    let mut desk = Desk::bare();
    for name in ["project.save", "project.close", "history.undo", "version.branches"] {
        desk.fail(name, json!({}), "session.state");
    }
    assert_eq!(desk.run("project.info", json!({}))["info"], json!(null));
    assert_eq!(desk.run("session.status", json!({}))["state"], "unloaded");
    desk.fail("session.restartEngine", json!({}), "session.state");
}

#[test]
fn a_project_lives_through_its_files() {
    let folder = Folder::new("lifecycle");
    let (first, second, third) = (folder.path("a"), folder.path("b"), folder.path("c"));
    let mut desk = Desk::bare();
    desk.fail("project.new", json!({"path": "relative"}), "path.forbidden");
    desk.fail("project.open", json!({"path": first}), "project.notFound");
    let made = desk.run("project.new", json!({"path": first, "name": "Morning"}));
    assert_eq!((&made["info"]["name"], &made["info"]["dirty"]), (&json!("Morning"), &json!(false)));
    assert!(desk.events.contains(&"project.opened".to_owned()));
    desk.fail("history.undo", json!({}), "history.empty");
    let (_, lane) = desk.midi_track();
    desk.clip(&lane, 0, BAR, &[0]);
    assert_eq!(desk.run("project.save", json!({"message": "Riff"}))["created"], true);
    assert_eq!(desk.run("project.save", json!({}))["created"], false);
    desk.run("project.saveDraft", json!({}));
    let root = desk.root();
    desk.run("project.saveAs", json!({"path": second, "name": "Evening"}));
    assert_eq!(desk.run("project.info", json!({}))["info"]["name"], "Evening");
    desk.run("project.move", json!({"path": third}));
    assert_eq!(desk.run("session.status", json!({}))["project"], json!(third));
    desk.run("project.open", json!({"path": first}));
    assert_eq!(desk.root(), root);
    desk.fail("project.new", json!({"path": first}), "project.exists");
    desk.run("project.close", json!({}));
    assert_eq!(desk.run("session.status", json!({}))["state"], "unloaded");
    let recent = desk.run("session.recent", json!({}))["projects"].clone();
    assert_eq!((&recent[0]["path"], &recent[0]["available"]), (&json!(first), &json!(true)));
}

#[test]
fn nothing_leads_back_behind_the_beginning() {
    let folder = Folder::new("beginning");
    for template in ["empty", "demo", "stress"] {
        let mut desk = Desk::bare();
        let stress = (template == "stress").then(|| json!({"tracks": 2, "clips": 3}));
        let payload = json!({
            "path": folder.path(template), "template": template, "stress": stress,
        });
        desk.run("project.new", payload);
        let state = desk.run("history.state", json!({}));
        assert_eq!(state["undo"], json!(null), "{template}");
        desk.fail("history.undo", json!({}), "history.empty");
        for context in ["mixer", "timeline", "routing", "media", "timebase", "global"] {
            desk.fail("history.undo", json!({"context": context}), "history.empty");
        }
        desk.fail("history.jump", json!({"entry": 1}), "history.empty");
        desk.midi_track();
        desk.run("history.undo", json!({}));
        desk.run("project.close", json!({}));
    }
}

#[test]
fn a_stress_project_has_the_size_that_was_asked_for() {
    let folder = Folder::new("stress");
    let mut desk = Desk::bare();
    let new = |name: &str, stress| json!({"path": folder.path(name), "template": "stress", "stress": stress});
    let made = desk.run("project.new", new("a", json!({"tracks": 3, "clips": 5})));
    let entities = &made["info"]["entities"];
    assert_eq!((&entities["track"], &entities["clip"]), (&json!(3), &json!(15)), "{entities}");
    assert_eq!(entities["note"], 60);
    desk.fail("project.new", new("b", json!({"tracks": 0, "clips": 5})), "payload.invalid");
    desk.fail("project.new", new("b", json!({"tracks": 2_000, "clips": 1_001})), "payload.invalid");
    let mut empty = new("b", json!({"tracks": 1, "clips": 1}));
    empty["template"] = json!("empty");
    desk.fail("project.new", empty, "payload.invalid");
    desk.run("project.close", json!({}));
}

#[test]
fn the_draft_of_a_crash_is_offered() {
    let folder = Folder::new("draft");
    let path = folder.path("song");
    let mut desk = Desk::bare();
    desk.run("project.new", json!({"path": path}));
    desk.midi_track();
    let root = desk.root();
    let open = desk.session.open.take().unwrap();
    open.project.flush().unwrap();
    open.project.abandon();
    let mut desk = Desk::bare();
    let reply = desk.run("project.open", json!({"path": path}));
    assert_eq!(reply["info"], json!(null));
    assert_eq!(
        (&reply["draft"]["branch"], &reply["draft"]["unclean"]),
        (&json!("main"), &json!(true))
    );
    let reply = desk.run("project.open", json!({"path": path, "draft": "inspect"}));
    assert_eq!(reply["info"]["readOnly"], true);
    desk.fail("project.rename", json!({"name": "x"}), "project.readOnly");
    desk.run("project.close", json!({}));
    let reply = desk.run("project.open", json!({"path": path, "draft": "adopt"}));
    assert!(reply["draft"].is_object(), "{reply}");
    assert_eq!(desk.root(), root);
    desk.run("project.close", json!({}));
}

#[test]
fn settings_change_and_the_draft_can_be_set_aside() {
    let mut desk = Desk::new();
    desk.run("version.commit", json!({"message": "Begin"}));
    let begin = desk.root();
    desk.edit("project.rename", json!({"name": "Song"}));
    assert_eq!(desk.label(), "Rename the project to Song");
    desk.edit("project.update", json!({"artist": "Ada", "sampleRate": 96_000}));
    desk.fail("project.update", json!({"sampleRate": 1}), "payload.invalid");
    desk.edit("project.discardDraft", json!({}));
    assert_eq!(desk.root(), begin);
}

#[test]
fn records_are_read_in_pages_and_found_by_name() {
    let mut desk = Desk::new();
    let (track, lane) = desk.midi_track();
    desk.clip(&lane, 0, BAR, &[0, 1]);
    let all = desk.run("project.snapshot", json!({}))["entities"].as_array().unwrap().len();
    let page = desk.run("project.snapshot", json!({"limit": 3}));
    assert_eq!(page["more"], true);
    let last = page["entities"][2]["id"].clone();
    let rest = desk.run("project.snapshot", json!({"after": last}));
    assert_eq!(rest["entities"].as_array().unwrap().len(), all - 3);
    let part = desk.run("project.snapshot", json!({"scope": {"entities": [lane]}}));
    assert_eq!(part["entities"].as_array().unwrap().len(), 4, "lane, clip, notes");
    let found = desk.run("project.find", json!({"kind": "track", "name": "KEY"}));
    assert_eq!(found["entities"][0]["id"], track);
    let missing = json!({"ids": ["trk_00000000000000000000000000"]});
    assert_eq!(desk.run("project.get", missing)["missing"].as_array().unwrap().len(), 1);
}

#[test]
fn an_export_brings_everything_back() {
    let folder = Folder::new("export");
    let path = folder.path("song.json");
    let mut desk = Desk::new();
    let (track, lane) = desk.midi_track();
    desk.clip(&lane, 0, BAR, &[0]);
    let root = desk.root();
    desk.run("project.export", json!({"path": path}));
    desk.run("track.delete", json!({"tracks": [track]}));
    desk.edit("project.import", json!({"path": path}));
    assert_eq!(desk.root(), root);
    std::fs::write(&path, "nonsense").unwrap();
    desk.fail("project.import", json!({"path": path}), "payload.invalid");
}
