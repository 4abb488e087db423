//! The command line as scripts see it: exit codes, errors, renders.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{new_project, pulse, run, run_json};

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

/// How a command fails: its exit code, and words of what it says about it.
fn check(dir: &Path, args: &[&str], code: i32, words: &str) {
    let mut all = vec!["-p", "song"];
    all.extend(args);
    let output = run(dir, &all);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(text.contains(words), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?}: errors go to stderr");
}

#[test]
fn what_goes_wrong_is_said_with_a_code() {
    let dir = song();
    let check = |args: &[&str], code, words| check(dir.path(), args, code, words);
    check(&["do", "trak.create"], 1, "(domain.unknown)");
    check(&["do", "track.creat"], 1, "did you mean `create`");
    check(&["do", "track.create", r#"{"name": 3}"#], 1, "(payload.invalid)");
    check(&["--json", "do", "track.create", r#"{"name": 3}"#], 1, r#""path":"payload.name""#);
    check(&["switch", "nowhere"], 1, "(version.notFound)");
    check(&["do", "track.create", "{"], 2, "the payload is not JSON");
    check(&["do", "nonsense"], 2, "a command is DOMAIN.NAME");
    check(&["serve", "--set", "limits.client=3"], 2, "there is no setting `limits.client`");
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

#[test]
fn settings_hold_for_work_done_without_a_server_and_a_cache_thrown_away_leaves_nothing() {
    let dir = song();
    let render = |setting: &str, out: &str| {
        let temporary = dir.path().join("temporary");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut pulse = pulse();
        pulse.current_dir(dir.path()).env("TMPDIR", &temporary);
        pulse.env("PULSE_RENDER_CACHE_BYTES", setting);
        let done = pulse.args(["-p", "song", "render", "--no-cache", "-o", out]).output().unwrap();
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "something stays behind");
        done
    };
    let refused = render("plenty", "none.wav");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("render.cache_bytes"), "{told}");
    let small = render("1048576", "small.wav");
    assert_eq!(small.status.code(), Some(0), "{small:?}");
}

#[test]
fn a_render_that_is_interrupted_says_so_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    run_json(dir.path(), &["new", "song", "--template", "stress:120x40"]);
    let temporary = dir.path().join("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    let mut command = pulse();
    command.current_dir(dir.path()).env("TMPDIR", &temporary);
    command.args(["-p", "song", "render", "--no-cache", "-o", "mix.wav"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let rendering = command.spawn().unwrap();
    // Who writes listens by then.
    while !dir.path().join("mix.wav.partial").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let pid = rendering.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = rendering.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("cancelled"), "{told}");
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the song and an empty folder: {left:?}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn a_project_begins_where_its_history_begins() {
    for template in ["empty", "demo", "stress:2x3"] {
        let dir = tempfile::tempdir().unwrap();
        run_json(dir.path(), &["new", "song", "--template", template]);
        check(dir.path(), &["undo"], 1, "nothing of yours to undo");
        check(dir.path(), &["undo", "--context", "mixer"], 1, "to undo");
    }
}

#[test]
fn the_schema_is_what_lies_in_the_repository_and_completions_know_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let out = |args: &[&str]| {
        let output = run(dir.path(), args);
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let root = crate::workspace::root();
    for (format, file) in [
        ("json", "schemas/generated/pulse.schema.json"),
        ("ts", "schemas/generated/pulse.d.ts"),
        ("md", "docs/reference/commands.md"),
    ] {
        let known = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(out(&["schema", "--format", format]) == known, "{format}");
    }
    let help = out(&["help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    // Deeper lines go on with what is said of a command.
    let commands = commands.filter_map(|line| line.strip_prefix("  "));
    let names: Vec<&str> =
        commands.filter_map(|line| line.split(' ').next()).filter(|it| !it.is_empty()).collect();
    assert!(names.contains(&"render") && names.contains(&"watch"), "{help}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = out(&["completions", shell]);
        let missing: Vec<_> = names.iter().filter(|name| !script.contains(**name)).collect();
        assert_eq!(missing, Vec::<&&str>::new(), "{shell}");
    }
}
