//! A real process is killed in the middle of writing, again and again: every edit it
//! acknowledged on its standard output is in the store afterwards.
//!
//! `PULSE_SOAK=1` kills 200 times.

#![allow(clippy::unwrap_used, reason = "a test ends at the first failure")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it starts processes")]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use pulse_store::{
    fsck::fsck,
    repo::{Options, Repo, Transaction},
    tree::Edit,
};

const VICTIM: &str = "PULSE_KILL_TEST_STORE";

fn options() -> Options {
    Options { store_id: [4; 16], checkpoint_rows: 40, ..Options::default() }
}

/// What the process does which will be killed: a no-op unless the parent started it.
#[test]
fn the_victim_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(VICTIM) else { return };
    let mut repo = Repo::open(Path::new(&dir), &options()).unwrap();
    let mut out = std::io::stdout().lock();
    loop {
        let number = repo.seq() + 1;
        let key = (number % 97).to_be_bytes();
        let edits = [Edit::put(key, number.to_le_bytes()), Edit::put(*b"last key", key)];
        let transaction = Transaction { edits: &edits, ..Transaction::default() };
        repo.commit(transaction).unwrap().ticket.wait().unwrap();
        writeln!(out, "acknowledged {number}").unwrap();
        out.flush().unwrap();
        if number.is_multiple_of(101) {
            repo.gc(&[]).unwrap();
        }
    }
}

/// Runs the victim for a while, kills it, and returns the last edit it acknowledged.
fn kill(dir: &Path, life: Duration) -> u64 {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["the_victim_writes_until_it_is_killed", "--exact", "--nocapture"])
        .env(VICTIM, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        let number = |line: String| line.split("acknowledged ").nth(1)?.parse::<u64>().ok();
        lines.map_while(Result::ok).filter_map(number).last().unwrap_or(0)
    });
    std::thread::sleep(life);
    victim.kill().unwrap();
    victim.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    Repo::create(dir.path(), &options()).unwrap().close().unwrap();
    let kills = if std::env::var_os("PULSE_SOAK").is_some() { 200 } else { 6 };
    let mut acknowledged = 0;
    for round in 0..kills {
        acknowledged =
            kill(dir.path(), Duration::from_millis(60 + round * 37 % 160)).max(acknowledged);
        let repo = Repo::open(dir.path(), &options()).unwrap();
        assert!(repo.seq() >= acknowledged, "{acknowledged} was lost, {} is there", repo.seq());
        for seq in repo.seq().saturating_sub(90).max(1)..=repo.seq() {
            let value = repo.head().get(&(seq % 97).to_be_bytes()).unwrap().unwrap();
            assert_eq!(*value, seq.to_le_bytes());
        }
        repo.abandon();
    }
    assert!(acknowledged > 0, "the victim never got to work");
    let report = fsck(dir.path(), false, &|_| Vec::new()).unwrap();
    assert!(report.is_clean(), "{report:?}");
}
