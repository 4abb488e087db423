//! What a crash leaves behind is shown first and decided about by somebody.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Server, Wire, new_project};

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
fn a_draft_is_adopted_when_somebody_says_so() {
    check("adopt", |(_, draft)| draft);
}

#[test]
fn a_draft_is_discarded_when_somebody_says_so() {
    check("discard", |(saved, _)| saved);
}
