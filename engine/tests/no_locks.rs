//! What the audio thread runs names no lock: one that nobody holds leaves no trace when it is taken,
//! so the source is read. And the tripwire of the other tests sees what is forbidden.

#![allow(clippy::disallowed_methods, reason = "sources are read")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{fs, path::Path, sync::Mutex, time::Duration};

#[path = "shared/tripwire.rs"]
mod tripwire;

/// Files and folders of the crate that the audio thread runs.
const AUDIO: &[&str] = &[
    "anticipate/ring.rs",
    "anticipate/source.rs",
    "buffer.rs",
    "device/capture.rs",
    "dsp",
    "event.rs",
    "exec",
    "exec.rs",
    "node",
    "parallel.rs",
    "param.rs",
    "rt/callback.rs",
    "rt/course.rs",
    "rt/events.rs",
    "rt/feedback.rs",
    "rt/handoff.rs",
    "rt/log.rs",
    "rt/metronome.rs",
    "rt/quiet.rs",
    "rt/scope.rs",
    "rt/song.rs",
    "rt/transport.rs",
    "simd.rs",
];

/// Files in those folders that make what nodes play, elsewhere.
const ELSEWHERE: &[&str] = &[
    "node/lane_stream/bind.rs",
    "node/lane_stream/pieces.rs",
    "node/media.rs",
    "node/sampler/bind.rs",
];

const LOCKS: &[&str] =
    &["Mutex", "RwLock", "Condvar", "mpsc", ".lock(", "println!", "thread::sleep"];

fn read(at: &Path, seen: &mut usize) {
    if at.is_dir() {
        for entry in fs::read_dir(at).unwrap() {
            read(&entry.unwrap().path(), seen);
        }
        return;
    }
    if ELSEWHERE.iter().any(|other| at.ends_with(other)) || at.ends_with("tests.rs") {
        return;
    }
    let source = fs::read_to_string(at).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
    let shipped = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    for lock in LOCKS {
        assert!(!shipped.contains(lock), "{} has {lock}", at.display());
    }
    *seen += 1;
}

#[test]
fn what_the_audio_thread_runs_has_no_locks() {
    let mut seen = 0;
    for part in AUDIO {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(part), &mut seen);
    }
    assert!(seen > 60, "{seen} files");
}

#[test]
fn what_is_forbidden_is_seen() {
    let mutex = Mutex::new(0);
    assert_eq!(tripwire::offences(|| ()), 0);
    assert!(tripwire::offences(|| drop(std::hint::black_box(Box::new(1)))) >= 2);
    assert_eq!(tripwire::offences(|| *mutex.lock().unwrap() += 1), 0, "nobody else holds it");
    if tripwire::counts().calls.is_none() {
        return;
    }
    assert_eq!(tripwire::offences(std::thread::yield_now), 1);
    assert_eq!(tripwire::offences(|| std::thread::sleep(Duration::from_micros(1))), 1);
    // What is held by another is waited for, which is a call.
    let held = mutex.lock().unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| tripwire::offences(|| *mutex.lock().unwrap() += 1));
        std::thread::sleep(Duration::from_millis(50));
        drop(held);
        assert_eq!(waits.join().unwrap(), 1);
    });
}
