//! What the command line prints, word for word: for people and for programs.

use std::path::Path;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::harness::{new_project, run, run_json};

/// Hashes, ids, times and durations are different in every run.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_alphanumeric() || "_:.-".contains(letter) {
            word.push(letter);
            continue;
        }
        out.push_str(&mask(&word));
        word.clear();
        out.push(letter);
    }
    out.pop();
    out
}

fn mask(word: &str) -> String {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(hash) = word.strip_prefix("b3:")
        && hex(hash)
    {
        return "b3:…".into();
    }
    if word.len() == 10 && hex(word) && word.bytes().any(|byte| byte.is_ascii_digit()) {
        return "‹commit›".into();
    }
    if let Some((kind, id)) = word.split_once('_')
        && kind.len() == 3
        && id.len() == 26
    {
        return format!("{kind}_…");
    }
    if word.starts_with("20") && (word.contains('T') || word.matches('-').count() == 2) {
        return "‹time›".into();
    }
    if word.len() == 5 && word.as_bytes()[2] == b':' {
        return "‹time›".into();
    }
    word.to_owned()
}

/// A project with one track, two commits, a branch and an edit that is not committed.
fn song() -> tempfile::TempDir {
    let dir = new_project();
    let ok = |args: &[&str]| {
        let mut all = vec!["-p", "song"];
        all.extend(args);
        run_json(dir.path(), &all)
    };
    let payload = r#"{"name": "Bass", "kind": "instrument", "nodes": ["pulse.synth"]}"#;
    let track = ok(&["do", "track.create", payload]);
    let clip = json!({"lane": track["lane"], "start": 0, "length": 180_633_600, "notes": [
        {"pitch": 36, "start": 0, "length": 45_158_400},
        {"pitch": 43, "start": 90_316_800, "length": 45_158_400}]});
    ok(&["do", "clip.create", &clip.to_string()]);
    ok(&["commit", "-m", "Bass line"]);
    ok(&["branch", "idea"]);
    ok(&["tag", "v1"]);
    let gain = json!({"channel": track["channel"], "gainDb": -6});
    ok(&["do", "channel.setGain", &gain.to_string()]);
    dir
}

/// What a command prints and how it ends.
fn check(dir: &Path, args: &[&str], expect: &Expect) {
    let mut all = vec!["-p", "song"];
    all.extend(args);
    let output = run(dir, &all);
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !errors.is_empty() {
        text += &format!("--- stderr\n{errors}");
    }
    if output.status.code() != Some(0) {
        text += &format!("--- exit code {:?}\n", output.status.code().unwrap());
    }
    expect.assert_eq(&masked(&text));
}

#[test]
fn what_people_read() {
    let dir = song();
    let check = |args: &[&str], expect: Expect| check(dir.path(), args, &expect);
    check(&["status"], expect![[]]);
    check(&["log"], expect![[]]);
    check(&["diff"], expect![[]]);
    check(&["show", "@"], expect![[]]);
    check(&["branch"], expect![[]]);
    check(&["tag"], expect![[]]);
    check(&["merge", "idea", "--preview"], expect![[]]);
    check(&["view", "arrangement"], expect![[]]);
    check(&["view", "mixer"], expect![[]]);
    check(&["view", "routing", "--format", "dot"], expect![[]]);
    check(&["fsck"], expect![[]]);
    check(&["undo"], expect![[]]);
    check(&["redo"], expect![[]]);
    check(&["commit", "-m", "Quieter"], expect![[]]);
    check(&["switch", "idea"], expect![[]]);
    check(&["merge", "main"], expect![[]]);
}

#[test]
fn what_programs_read() {
    let dir = song();
    let check = |args: &[&str], expect: Expect| {
        let mut all = vec!["--json"];
        all.extend(args);
        check(dir.path(), &all, &expect);
    };
    check(&["status"], expect![[]]);
    check(&["log", "-n", "1"], expect![[]]);
    check(&["diff"], expect![[]]);
    check(&["branch"], expect![[]]);
    check(&["tag"], expect![[]]);
    check(&["fsck"], expect![[]]);
    check(&["do", "track.list"], expect![[]]);
    check(&["undo"], expect![[]]);
    check(&["commit", "-m", "Nothing"], expect![[]]);
}

#[test]
fn what_goes_wrong_is_said_with_a_code() {
    let dir = song();
    let check = |args: &[&str], expect: Expect| check(dir.path(), args, &expect);
    check(&["show", "nowhere"], expect![[]]);
    check(&["switch", "nowhere"], expect![[]]);
    check(&["branch", "idea"], expect![[]]);
    check(&["do", "trak.create"], expect![[]]);
    check(&["do", "track.create", r#"{"name": 3}"#], expect![[]]);
    check(&["--json", "do", "track.create", r#"{"name": 3}"#], expect![[]]);
    check(&["do", "track.create", "{"], expect![[]]);
    check(&["do", "nonsense"], expect![[]]);
    check(&["serve", "--set", "limits.client=3"], expect![[]]);
    check(&["render", "-o", "mix.mp3"], expect![[]]);
    check(&["call", "session.status", "--socket", "none.sock"], expect![[]]);
}

/// Both sides set one fader: the merge says so, exit code 3, until somebody decides.
#[test]
fn conflicts_have_an_exit_code_of_their_own() {
    let dir = song();
    let ok = |args: &[&str]| {
        let mut all = vec!["-p", "song"];
        all.extend(args);
        run_json(dir.path(), &all)
    };
    let channels = ok(&["do", "channel.list"]);
    let of_bass = |channel: &&Value| channel["name"] == "Bass" || channel["gainDb"] == -6.0;
    let all = channels["channels"].as_array().unwrap();
    let bass = all.iter().find(of_bass).unwrap_or_else(|| panic!("{channels}"))["id"].clone();
    ok(&["commit", "-m", "Quieter"]);
    ok(&["switch", "idea"]);
    ok(&["do", "channel.setGain", &json!({"channel": bass, "gainDb": -12}).to_string()]);
    ok(&["commit", "-m", "Much quieter"]);
    let merge = run(dir.path(), &["-p", "song", "merge", "main"]);
    assert_eq!(merge.status.code(), Some(3), "{merge:?}");
    let resolve = run(dir.path(), &["-p", "song", "resolve", "--theirs"]);
    assert_eq!(resolve.status.code(), Some(0), "{resolve:?}");
    ok(&["commit", "-m", "Merged"]);
    assert_eq!(ok(&["status"])["conflicts"], 0);
}

#[test]
fn a_render_is_the_same_however_it_is_made_and_the_second_one_is_free() {
    let dir = song();
    let render = |file: &str, more: &[&str]| {
        let mut all = vec!["-p", "song", "render", "-o", file];
        all.extend(more);
        run_json(dir.path(), &all)
    };
    let first = render("a.wav", &[]);
    assert!(first["frames"].as_u64().unwrap() > 0, "{first}");
    assert!(first["segments"]["rendered"].as_u64().unwrap() > 0, "{first}");
    let second = render("b.wav", &[]);
    assert_eq!(second["segments"]["rendered"], 0, "{second}");
    assert_eq!(second["segments"]["hit"], second["segments"]["total"]);
    for more in [
        &["--no-cache"][..],
        &["--no-cache", "--threads", "1"],
        &["--no-cache", "--threads", "2"],
        &["--no-cache", "--threads", "4"],
    ] {
        let other = render("c.wav", more);
        assert_eq!(other["pcm_hash"], first["pcm_hash"], "{more:?}");
    }
    let bytes = |file: &str| std::fs::read(dir.path().join(file)).unwrap();
    assert!(bytes("a.wav") == bytes("b.wav") && bytes("a.wav") == bytes("c.wav"));
}
