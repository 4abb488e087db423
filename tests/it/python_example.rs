//! The example client runs as it is printed, with nothing but Python.

use std::process::Command;

use crate::{
    harness::{Server, check_files, new_project},
    workspace,
};

fn check(over_tcp: bool) {
    let dir = new_project();
    let mut server = Server::start(dir.path(), &[]);
    let address =
        if over_tcp { server.tcp().to_owned() } else { server.socket.display().to_string() };
    let wav = dir.path().join("mix.wav");
    let mut python = Command::new("python3");
    python.arg(workspace::root().join("docs/examples/pulse_client.py"));
    python.args([&address, wav.to_str().unwrap()]).env("USER", "Ada");
    let output = python
        .env("PULSE_TOKEN", server.token())
        .output()
        .expect("python3 is missing; run ./setup.sh");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "track made by Ada at revision",
        "refused: payload.invalid payload.gainDb",
        "the branches differ in 8 entities",
        "undone: True",
        "rendered ",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    let sound = std::fs::read(&wav).unwrap();
    assert_eq!((&sound[..4], &sound[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    assert!(sound.iter().skip(100).any(|byte| *byte != 0), "silence");
    assert_eq!(server.terminate().code(), Some(0));
    check_files(dir.path());
}

#[test]
fn the_python_example_drives_a_whole_session() {
    check(false);
}

#[test]
fn the_python_example_drives_a_whole_session_over_tcp() {
    check(true);
}
