//! A minute of everything at once: every kind of node on a device that plays in real time, while
//! plans, content, parameters, places, loops and notes come as fast as they are taken, and the device
//! is lost and comes back. Every turn of the callback is watched: nothing is allocated or freed, no
//! mutex locked, the system never called. Three seconds in CI; a minute with `PULSE_SOAK`, on JACK's
//! dummy device (`--features jack`) and on those that keep no time.
//!
//! How long turns take is shown as a histogram and asserted nowhere: a machine under load proves
//! nothing.

#![allow(clippy::disallowed_methods, reason = "devices play in real time")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pulse_engine::{
    anticipate::Anticipation,
    device::{DeviceConfig, Host},
    event::{Event, EventBody},
    rt::{
        Config, Engine, EngineError, Song,
        transport::{Range, Start},
    },
};
use pulse_schemas::graph::Cohort;

#[cfg(feature = "jack")]
#[path = "shared/jack.rs"]
mod jack;
#[path = "shared/session.rs"]
mod session;
#[path = "shared/tripwire.rs"]
mod tripwire;
#[path = "shared/turns.rs"]
mod turns;

use session::{Tone, content, key, session, storm, track};

const RATE: u32 = 48_000;

// -- what is thrown at it -----------------------------------------------------------------------

impl Drop for Torture {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

struct Torture {
    engine: Engine,
    over: Arc<AtomicBool>,
    turn: u32,
    ahead: bool,
}

impl Torture {
    /// Loads as many tracks as the turn says; where tracks are rendered ahead, one is live.
    fn load(&self, tracks: u32) {
        let mut spec = session(tracks);
        let armed = track(self.turn % tracks);
        for node in spec.nodes.iter_mut().filter(|_| self.ahead) {
            let number = node.key.entity.id.0 as u32;
            let live = (armed..armed + 100).contains(&number);
            node.cohort = if live { Cohort::Live } else { Cohort::Anticipative };
        }
        let gain = -6.0 - f64::from(self.turn % 7);
        took(self.engine.load(&spec, content(tracks, gain), &Tone));
    }

    /// Everything once. What finds no room is let go: the device may be gone for a while.
    fn go_round(&mut self) {
        self.turn += 1;
        let (engine, turn) = (&self.engine, self.turn);
        let tracks = 5 + turn % 3;
        self.load(tracks);
        took(engine.set_song(Song::plain(RATE)));
        for (node, param, value) in storm(&session(tracks), u64::from(turn)) {
            took(engine.set_param(node, param, value));
        }
        took(engine.set_loop(Range::new(100, 2_000 + i64::from(turn % 5) * 1_000)));
        took(engine.set_punch(Range::new(500, 5_000).filter(|_| turn.is_multiple_of(2))));
        took(engine.set_metronome(turn.is_multiple_of(2), 0.3));
        for number in 0..tracks {
            took(engine.set_bypass(key(track(number) + 1 + turn % 10), turn % 3 == 0));
            let body = EventBody::NoteOn { channel: 0, key: 60, pitch: 60.0, velocity: 0.5 };
            took(engine.send_event(key(track(number)), u128::from(turn), body));
        }
        let start = Start { record: turn.is_multiple_of(3), from: Some(0), ..Start::default() };
        match turn % 6 {
            0 => took(engine.pause()),
            1 => took(engine.play(start)),
            2 => took(engine.seek(i64::from(turn) * 777 % 9_000)),
            3 => took(engine.play(Start { pre_roll: 500, ..start })),
            4 => took(engine.panic()),
            _ => {
                took(engine.stop());
                took(engine.play(Start { count_in: (turn % 2) as u8, ..start }));
            }
        }
        took(engine.tend());
        assert_eq!(engine.feedback().faults, []);
    }

    fn for_seconds(&mut self, seconds: f64) {
        let began = Instant::now();
        while began.elapsed().as_secs_f64() < seconds {
            self.go_round();
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn took(result: Result<(), EngineError>) {
    match result {
        Ok(()) | Err(EngineError::Crowded | EngineError::Stuck) => {}
        Err(error) => panic!("{error}"),
    }
}

fn start(device: DeviceConfig, ahead: bool) -> Torture {
    let anticipation = ahead.then(|| Anticipation { workers: 1, ..Anticipation::default() });
    let config = Config { anticipation, tripwire: Some(turns::watch), ..Config::new(device) };
    let over = Arc::new(AtomicBool::new(false));
    let engine = Engine::start(config).unwrap();
    let (mut inlet, ended) = (engine.inlet().unwrap(), over.clone());
    // A keyboard on a thread of its own.
    std::thread::spawn(move || {
        for at in (0u64..).take_while(|_| !ended.load(Ordering::Relaxed)) {
            let body = EventBody::NoteOn { channel: 0, key: 61, pitch: 61.0, velocity: 0.5 };
            let due = inlet.due(at * 3_000);
            let event = Event { offset: 0, id: 77, body };
            inlet.send(due, key(track(0)), event, at.is_multiple_of(2));
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    Torture { engine, over, turn: 0, ahead }
}

fn seconds() -> f64 {
    let soak = std::env::var_os("PULSE_SOAK").is_some_and(|value| value != "0");
    if soak { 60.0 } else { 3.0 }
}

/// Nothing of what is counted was done since.
fn check(before: tripwire::Counts, what: &str) {
    let after = tripwire::counts();
    let calls = match (before.calls, after.calls) {
        (Some(before), Some(after)) => (after - before).to_string(),
        _ => "uncounted".to_owned(),
    };
    eprintln!(
        "{what}: {} allocations, {} locks, {calls} calls of the system; {}",
        after.allocations - before.allocations,
        after.locks - before.locks,
        turns::histogram(),
    );
    assert_eq!(after, before, "{what}; the last call was number {}", tripwire::last_call());
}

#[cfg(feature = "jack")]
fn wait(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// -- the devices --------------------------------------------------------------------------------

#[test]
fn the_callback_does_nothing_forbidden_while_devices_come_and_go() {
    let before = tripwire::counts();
    for ahead in [false, true] {
        let mut torture = start(DeviceConfig::null(RATE), ahead);
        let null =
            |frames| DeviceConfig { buffer_frames: Some(frames), ..DeviceConfig::null(RATE) };
        let alsa =
            DeviceConfig { name: Some("null".to_owned()), ..DeviceConfig::of(Host::Alsa, RATE) };
        for device in [null(64), null(1_024), alsa, null(333)] {
            torture.for_seconds(seconds() / 10.0);
            // ALSA's null device is not everywhere, and it asks as fast as it is answered.
            let _ = torture.engine.open_device(device);
        }
        torture.for_seconds(seconds() / 10.0);
        assert!(turns::count() > 50, "{} turns", turns::count());
    }
    check(before, "devices that keep no time");
}

#[cfg(feature = "jack")]
mod on_jack {
    use super::*;

    const SERVER: &str = "pulse-torture-test";
    const PERIOD: u32 = 256;

    #[test]
    fn a_minute_on_jack_allocates_locks_and_calls_nothing() {
        let own = "on_jack::a_minute_on_jack_allocates_locks_and_calls_nothing";
        if !jack::within(SERVER, own) {
            return;
        }
        let Some(mut server) = jack::Server::start(SERVER, PERIOD) else { return };
        let before = tripwire::counts();
        let device = DeviceConfig { inputs: 2, ..DeviceConfig::of(Host::Jack, RATE) };
        let mut torture = start(device, false);
        let (mut losses, began) = (0, Instant::now());
        while began.elapsed().as_secs_f64() < seconds() {
            torture.for_seconds(seconds() / 6.0);
            drop(server);
            wait("the loss", || torture.engine.device().unwrap().lost.is_some());
            torture.for_seconds(0.3);
            server = jack::Server::start(SERVER, PERIOD).unwrap();
            wait("the recovery", || torture.engine.device().unwrap().lost.is_none());
            losses += 1;
        }
        torture.for_seconds(0.3);
        let state = torture.engine.device().unwrap();
        assert_eq!((state.playing, state.inputs), (Host::Jack, 2));
        check(before, &format!("{:.0} s, {losses} losses of JACK", began.elapsed().as_secs_f64()));
        drop((torture, server));
    }
}
