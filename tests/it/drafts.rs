//! What a crash leaves behind is shown first and decided about by somebody.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Server, Wire, new_project, pulse, run, run_json};

/// A project whose server was killed with one edit that nobody had saved: what the
/// project was when it was saved last, and what it was at the end.
fn crashed(dir: &Path) -> (String, String) {
    let mut server = Server::start(dir, &[]);
    let mut wire = server.client("aura");
    wire.ok("track.create", json!({"name": "Saved"}));
    wire.ok("project.save", json!({"message": "First"}));
    let (saved, _) = wire.state();
    wire.ok("track.create", json!({"name": "Draft"}));
    let (draft, _) = wire.state();
    server.kill();
    (saved, draft)
}

fn open(wire: &mut Wire, dir: &Path, draft: Value) -> Value {
    wire.ok("project.open", json!({"path": dir.join("song"), "draft": draft}))
}

/// Opens what a crash left with `choice`, after a look at it.
fn check(choice: &str, of: fn((String, String)) -> String) {
    let dir = new_project();
    let known = crashed(dir.path());
    let server = Server::without_project(dir.path(), &[]);
    let mut wire = server.client("aura");
    let asked = open(&mut wire, dir.path(), Value::Null);
    assert_eq!((&asked["info"], &asked["draft"]["edits"].is_u64()), (&Value::Null, &true));
    assert_eq!(asked["draft"]["author"], "aura", "{asked}");
    wire.refused("track.list", json!({}), "session.state");
    // A look changes nothing, and the question stays.
    let inspected = open(&mut wire, dir.path(), json!("inspect"));
    assert_eq!(inspected["info"]["root"], known.1, "{inspected}");
    wire.refused("track.create", json!({}), "project.readOnly");
    wire.ok("project.close", json!({}));
    assert_eq!(open(&mut wire, dir.path(), Value::Null)["info"], Value::Null);

    let opened = open(&mut wire, dir.path(), json!(choice));
    let expected = of(known);
    assert_eq!(opened["info"]["root"], expected, "{opened}");
    wire.ok("track.create", json!({"name": "Later"}));
    wire.ok("history.undo", json!({}));
    assert_eq!(wire.state().0, expected);
}

#[test]
fn the_command_line_takes_a_draft_over_aloud_and_once() {
    let dir = new_project();
    crashed(dir.path());
    let told = || {
        let status =
            pulse().current_dir(dir.path()).args(["-p", "song", "status"]).output().unwrap();
        assert!(status.status.success(), "{status:?}");
        String::from_utf8_lossy(&status.stderr).contains("unsaved edits are taken over")
    };
    assert!(told(), "somebody who did not know of the crash should");
    assert!(!told(), "it is theirs now");
}

#[test]
fn a_draft_is_adopted_when_somebody_says_so() {
    check("adopt", |(_, draft)| draft);
}

#[test]
fn a_draft_is_discarded_when_somebody_says_so() {
    check("discard", |(saved, _)| saved);
}

/// Branch `mix` was left with edits and moved since: asked about, looked at, adopted.
#[test]
fn a_parked_draft_whose_branch_was_moved_is_asked_about_shown_and_adopted() {
    let dir = new_project();
    let song = dir.path().join("song");
    let run = |words: &[&str]| {
        let output = pulse().current_dir(&song).args(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let ok = |words: &[&str]| {
        let (code, text) = run(words);
        assert_eq!(code, Some(0), "{words:?}: {text}");
        text
    };
    ok(&["do", "project.rename", r#"{"name": "Morning"}"#]);
    ok(&["commit", "-m", "Base"]);
    ok(&["branch", "mix"]);
    ok(&["switch", "mix"]);
    ok(&["do", "project.rename", r#"{"name": "Evening"}"#]);
    ok(&["do", "track.create", r#"{"name": "Keys"}"#]);
    ok(&["switch", "main"]);
    ok(&["do", "project.rename", r#"{"name": "Noon"}"#]);
    ok(&["commit", "-m", "Noon"]);
    ok(&["do", "version.branch", r#"{"name": "mix", "at": "main", "force": true}"#]);
    for page in [ok(&["status"]), ok(&["branch"])] {
        assert!(page.contains("moved since"), "{page}");
    }
    let (code, asked) = run(&["switch", "mix"]);
    assert!(code != Some(0) && asked.contains("adopt|discard|inspect"), "{asked}");
    let look = ok(&["switch", "mix", "--draft", "inspect"]);
    let told = ["+ Keys", "“Evening”", "conflict", "“Noon”"];
    assert!(told.iter().all(|word| look.contains(word)), "{look}");
    assert!(ok(&["status"]).contains("on branch main"));
    let (code, adopted) = run(&["switch", "mix", "--draft", "adopt"]);
    assert!(code == Some(3) && adopted.contains("unsaved edits are back"), "{adopted}");
    let listed = ok(&["resolve"]);
    assert!(listed.contains("name (both changed it)"), "{listed}");
    ok(&["resolve", "--theirs"]);
    assert!(ok(&["status"]).contains("Evening"));
}

#[test]
fn where_no_branch_is_open_every_page_says_so_and_how_to_get_back() {
    let dir = new_project();
    let song = dir.path().join("song");
    let run = |words: &[&str]| pulse().current_dir(&song).args(words).output().unwrap();
    let said = |words: &[&str]| String::from_utf8(run(words).stdout).unwrap();
    run(&["switch", "@~1"]);
    for page in [said(&["status"]), said(&["log"])] {
        let line = page.lines().find(|line| line.contains("on no branch")).unwrap_or(&page);
        assert!(line.contains("pulse branch NAME") && line.contains("pulse switch"), "{page}");
    }
    run(&["do", "project.rename", r#"{"name": "Keys"}"#]);
    let refused = run(&["--json", "commit", "-m", "Keys"]);
    let reply: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(reply["error"]["code"], "version.detached", "{reply}");
    run(&["branch", "keys"]);
    assert!(run(&["commit", "-m", "Keys"]).status.success());
    assert!(said(&["status"]).contains("on branch keys"));
}

#[test]
fn a_merge_says_which_edits_of_the_other_branch_it_leaves_out() {
    let dir = new_project();
    let pulse = |args: &[&str]| run_json(dir.path(), &[&["-p", "song"], args].concat());
    pulse(&["branch", "idea"]);
    pulse(&["switch", "idea"]);
    pulse(&["do", "track.create", r#"{"name": "Unsaved"}"#]);
    pulse(&["switch", "main"]);
    let page = run(dir.path(), &["-p", "song", "merge", "idea"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("left out: idea has unsaved edits"), "{page}");
    assert!(page.contains("`pulse switch idea`"), "{page}");
    let preview = pulse(&["merge", "idea", "--preview"]);
    assert!(preview["leftOut"]["added"].as_u64() > Some(0), "{preview}");
    pulse(&["switch", "idea"]);
    pulse(&["commit", "-m", "Saved"]);
    pulse(&["switch", "main"]);
    assert_eq!(pulse(&["merge", "idea"])["leftOut"], Value::Null);
}
