//! What happens to a project from outside: a typed error that names the file, the
//! cause and what to do next, and nothing made worse by it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::harness::{Server, check_files, new_project, pulse, run, run_json};

/// Runs `pulse` with no file able to grow beyond `blocks` of 512 bytes: what a
/// full disk is to a program, without needing one.
#[cfg(unix)]
fn run_full(dir: &Path, blocks: u32, args: &[&str]) -> Output {
    let program = pulse().get_program().to_owned();
    // Ignored, the signal becomes an error of the write.
    let script = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "sh"]).arg(program).args(args).current_dir(dir);
    shell.output().unwrap()
}

/// How it fails: one typed error with all of these words, and no panic.
fn fails(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} in {text}");
    }
    assert!(!text.contains("panicked") && !text.contains("(project.corrupt)"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_new_project_on_a_full_disk_says_so_and_can_be_made_later() {
    let dir = tempfile::tempdir().unwrap();
    for blocks in [0, 1, 16, 100] {
        let output = run_full(dir.path(), blocks, &["new", "song"]);
        fails(&output, &["song/.pulse/", "check the disk", "(io.failed)"]);
    }
    run_json(dir.path(), &["new", "song"]);
    check_files(dir.path());
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_in_mid_commit_loses_nothing_that_was_there() {
    let dir = new_project();
    let make = ["-p", "song", "do", "track.create", r#"{"name": "Bass"}"#];
    run_json(dir.path(), &make);
    run_json(dir.path(), &["-p", "song", "commit", "-m", "Bass"]);
    let before = run_json(dir.path(), &["-p", "song", "status"]);
    for args in [&make[..], &["-p", "song", "commit", "--allow-empty", "-m", "More"]] {
        fails(&run_full(dir.path(), 0, args), &["song/.pulse/", "disk"]);
    }
    let after = run_json(dir.path(), &["-p", "song", "status"]);
    assert_eq!(before["project"]["head"], after["project"]["head"]);
    run_json(dir.path(), &make);
    run_json(dir.path(), &["-p", "song", "commit", "-m", "More"]);
    check_files(dir.path());
}

#[test]
fn a_media_folder_that_is_gone_is_a_state_and_comes_back() {
    let dir = new_project();
    let media = dir.path().join("song/Media");
    fs::remove_dir_all(&media).unwrap();
    run_json(dir.path(), &["-p", "song", "do", "track.create", "{}"]);
    assert_eq!(run_json(dir.path(), &["-p", "song", "status"])["missing"], 0);
    run_json(dir.path(), &["-p", "song", "commit", "-m", "Without media"]);
    let sound = dir.path().join("tone.wav");
    fs::copy(crate::workspace::root().join("tests/fixtures/audio/tone_ms.wav"), &sound).unwrap();
    run_json(dir.path(), &["-p", "song", "media", "add", "tone.wav"]);
    assert!(media.is_dir(), "adding a file makes the folder");
    fs::remove_dir_all(&media).unwrap();
    assert_eq!(run_json(dir.path(), &["-p", "song", "status"])["missing"], 1);
    check_files(dir.path());
}

#[test]
fn a_folder_that_moves_while_it_is_open_goes_on_and_is_found_at_its_new_place() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client("mover");
    client.ok("track.create", serde_json::json!({"name": "Before"}));
    fs::rename(dir.path().join("song"), dir.path().join("moved")).unwrap();
    client.ok("track.create", serde_json::json!({"name": "After"}));
    drop(client);
    drop(server);
    let found = run_json(dir.path(), &["-p", "moved", "do", "track.list"]);
    assert_eq!(found["tracks"].as_array().unwrap().len(), 2);
    let output = run(dir.path(), &["-p", "song", "status"]);
    fails(&output, &["song/.pulse", "pulse new", "(project.notFound)"]);
}

/// Whoever may not write asks for a check of what lies on a medium that nobody writes to.
#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_can_be_checked() {
    use std::os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    };
    let dir = new_project();
    let (song, store) = (dir.path().join("song"), dir.path().join("song/.pulse"));
    run_json(dir.path(), &["-p", "song", "do", "track.create", "{}"]);
    let is_root = fs::metadata(dir.path()).unwrap().uid() == 0;
    let mut check = Command::new(crate::harness::binary());
    if is_root {
        // Permissions are nothing to root, so somebody else checks.
        const NOBODY: u32 = 65_534;
        let program = dir.path().join("pulse");
        // Not by this process: what other tests start meanwhile would hold the file open for
        // writing for a moment, and it could not be run.
        let copied = Command::new("cp").arg(crate::harness::binary()).arg(&program).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        check = Command::new(program);
        check.uid(NOBODY);
        chown(&song, Some(0), None).unwrap();
    }
    let modes = |folder: u32, file: u32| {
        for entry in fs::read_dir(&store).unwrap() {
            let path = entry.unwrap().path();
            fs::set_permissions(path, fs::Permissions::from_mode(file)).unwrap();
        }
        fs::set_permissions(&store, fs::Permissions::from_mode(folder)).unwrap();
    };
    modes(0o555, 0o444);
    check.current_dir(&song).args(["--json", "fsck"]).env("HOME", dir.path());
    let checked = check.output().unwrap();
    let text = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    assert!(text.contains(r#""clean": true"#) || text.contains(r#""clean":true"#), "{text}");
    // A repair has to write, and says that it can't.
    fails(&check.arg("--repair").output().unwrap(), &["lock", "make the folder writable"]);
    // So is everything else that only looks; an edit is refused.
    let act = |args: &[&str]| {
        let mut pulse = Command::new(check.get_program());
        if is_root {
            pulse.uid(65_534);
        }
        pulse.current_dir(&song).args(args).env("HOME", dir.path()).output().unwrap()
    };
    for args in [&["status"][..], &["log"], &["view", "arrangement"], &["do", "track.list"]] {
        let seen = act(args);
        assert!(seen.status.success() && !seen.stdout.is_empty(), "{args:?}: {seen:?}");
    }
    fails(&act(&["do", "track.create", "{}"]), &["read-only", "(project.readOnly)"]);
    modes(0o755, 0o644);
    check_files(dir.path());
}

/// What the database says of pages that make no sense is an error with a next step; what the code
/// below it says to its own developers is nobody's.
#[test]
fn damaged_pages_are_told_of_in_one_line_and_no_panic_is_shown() {
    let dir = new_project();
    let database = dir.path().join("song/.pulse/project.redb");
    let whole = fs::read(&database).unwrap();
    let mut impossible = 0;
    for page in 1..12 {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xff);
        fs::write(&database, &bytes).unwrap();
        for args in [&["-p", "song", "fsck"][..], &["-p", "song", "status"]] {
            let output = run(dir.path(), args);
            let text = format!("{output:?}");
            assert!(!text.contains("panicked") && !text.contains("backtrace"), "{text}");
            impossible += usize::from(text.contains("met impossible data"));
        }
    }
    assert!(impossible > 0, "no page led the database into an assertion");
}

/// What `fsck` finds in a store that is made worse byte by byte, and what `--repair` says.
#[test]
fn a_damaged_project_is_repaired_and_told_so_in_words() {
    let dir = new_project();
    for number in 0..30 {
        let payload = format!(r#"{{"name": "Track {number}", "kind": "audio"}}"#);
        run_json(dir.path(), &["-p", "song", "do", "track.create", &payload]);
    }
    let status = run_json(dir.path(), &["-p", "song", "status"]);
    let database = dir.path().join("song/.pulse/project.redb");
    let mut bytes = std::fs::read(&database).unwrap();
    // In a name that several rows and nodes hold.
    let places: Vec<usize> = (bytes.windows(8).enumerate())
        .filter(|(_, it)| *it == b"Track 17")
        .map(|(at, _)| at)
        .collect();
    places.iter().for_each(|at| bytes[at + 2] ^= 4);
    std::fs::write(&database, &bytes).unwrap();

    let found = run(dir.path(), &["-p", "song", "fsck"]);
    let page = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(!found.status.success(), "{page}");
    assert!(page.contains("damaged: stored node"), "{page}");
    assert!(page.contains("run `pulse fsck --repair`"), "{page}");
    assert_eq!(std::fs::read(&database).unwrap(), bytes, "a check writes nothing");

    let repaired = run(dir.path(), &["-p", "song", "fsck", "--repair"]);
    let page = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert_eq!(repaired.status.code(), Some(0), "{page}");
    assert!(page.contains("each proved by its hash: one wrong byte put right"), "{page}");
    assert!(page.contains("as it should be again: open the project"), "{page}");
    let aside = dir.path().join("song/.pulse/project.redb.damaged-1");
    assert!(page.contains("project.redb.damaged-1"), "{page}");
    assert_eq!(std::fs::read(aside).unwrap(), bytes);
    assert_eq!(run_json(dir.path(), &["-p", "song", "status"]), status);
    check_files(dir.path());
}

/// A disk with room for a row of the journal and not for a checkpoint.
#[cfg(unix)]
#[test]
fn what_was_answered_on_a_full_disk_is_done_and_what_only_looks_still_looks() {
    let dir = new_project();
    let database = dir.path().join("song/.pulse/project.redb");
    // No file grows beyond the database as it is: the journal does, up to there.
    let blocks = (fs::metadata(&database).unwrap().len() / 512) as u32;
    let make = ["-p", "song", "do", "track.create", "{}"];
    let mut made = 0;
    for _ in 0..60 {
        let output = run_full(dir.path(), blocks, &make);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains("panicked"), "{text}");
        made += usize::from(output.status.success());
        if text.contains("not tidied up") {
            let seen = run_full(dir.path(), blocks, &["-p", "song", "status"]);
            assert!(seen.status.success() && !seen.stdout.is_empty(), "{seen:?}");
        }
    }
    let found = run_json(dir.path(), &["-p", "song", "do", "track.list"]);
    assert!(found["tracks"].as_array().unwrap().len() >= made);
    check_files(dir.path());
}
