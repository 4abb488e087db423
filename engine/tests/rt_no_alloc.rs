//! The audio callback does nothing that an audio thread must not do: every turn of a session with
//! every kind of node is watched while plans, content, songs, parameters, notes and transport change
//! under it. `torture.rs` does the same to a device.

use std::cell::Cell;

use pulse_engine::{
    anticipate::Anticipation,
    device::DeviceConfig,
    event::EventBody,
    rt::{
        Config, Engine, ManualClock, Song,
        transport::{Range, Start},
    },
};
use pulse_schemas::graph::{Cohort, OutputKind};

#[path = "shared/session.rs"]
mod session;
#[path = "shared/tripwire.rs"]
mod tripwire;

use session::{MASTER, Tone, content, key, session, storm, track};
use tripwire::offences;

fn run(engine: &Engine, clock: &mut ManualClock, calls: usize, what: &str) {
    for call in 0..calls {
        let frames = [64, 250, 512, 33][call % 4];
        let counted = offences(|| {
            clock.run(frames);
        });
        assert_eq!(counted, 0, "{what}, call {call}");
        let faults = engine.feedback().faults;
        assert_eq!(faults, [], "{what}, call {call}");
    }
}

#[test]
fn the_callback_allocates_nothing_whatever_is_thrown_at_it() {
    torture(None);
}

#[test]
fn nor_does_it_when_most_is_rendered_ahead() {
    torture(Some(Anticipation { workers: 2, ..Anticipation::default() }));
}

/// Ahead of time, one track after the other becomes live.
#[allow(clippy::unwrap_used, reason = "the body of two tests")]
fn torture(anticipation: Option<Anticipation>) {
    let config = Config { anticipation, ..Config::new(DeviceConfig::null(48_000)) };
    let (engine, mut clock) = Engine::manual(config).unwrap();
    let turn = Cell::new(0);
    // The buffer of the clock itself is no part of the callback.
    clock.run(512);
    let load = |tracks: u32, gain: f64| {
        let mut spec = session(tracks);
        turn.set(turn.get() + 1);
        let live = turn.get() % (tracks + 1) * 100;
        for node in spec.nodes.iter_mut().filter(|_| anticipation.is_some()) {
            let number = node.key.entity.id.0 as u32;
            let armed = live > 0 && (live..live + 100).contains(&number);
            node.cohort = if armed { Cohort::Live } else { Cohort::Anticipative };
        }
        engine.load(&spec, content(tracks, gain), &Tone).unwrap();
    };
    load(5, 0.0);
    let taps: Vec<OutputKind> = session(5).outputs.iter().map(|output| output.kind).collect();
    let mut looks: Vec<_> =
        taps.iter().take(4).map(|tap| engine.look_at(*tap, true).unwrap()).collect();
    engine.set_profiling(true).unwrap();
    let mut inlet = engine.inlet().unwrap();
    engine.set_loop(Range::new(100, 9_000)).unwrap();
    engine.set_metronome(true, 0.5).unwrap();
    engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    run(&engine, &mut clock, 40, "while playing");
    for turn in 0..6u32 {
        let tracks = 5 + turn % 3;
        load(tracks, 0.0);
        engine.set_song(Song::plain(48_000)).unwrap();
        run(&engine, &mut clock, 10, "while plans change");
        load(tracks, -3.0 - f64::from(turn));
        run(&engine, &mut clock, 10, "while content changes");
        for (node, param, value) in storm(&session(tracks), u64::from(turn)) {
            engine.set_param(node, param, value).unwrap();
        }
        for step in 0..300 {
            let track = track(step % tracks);
            engine.set_param(key(MASTER), "gain", -f64::from(step % 40)).unwrap();
            engine.set_bypass(key(track + 1), step % 2 == 0).unwrap();
            let body = EventBody::NoteOn { channel: 0, key: 60, pitch: 60.0, velocity: 0.5 };
            engine.send_event(key(track), u128::from(step), body).unwrap();
        }
        for at in 0..64 {
            let body = EventBody::NoteOn { channel: 0, key: 61, pitch: 61.0, velocity: 0.5 };
            let event = pulse_engine::event::Event { offset: 0, id: 77, body };
            inlet.send(at, key(100), event, at % 2 == 0);
        }
        run(&engine, &mut clock, 10, "while parameters storm and somebody plays");
        looks.iter_mut().for_each(|look| look.listener.listen());
        engine.seek(i64::from(turn) * 1_000).unwrap();
        engine.pause().unwrap();
        run(&engine, &mut clock, 8, "while paused");
        engine.play(Start { count_in: 1, from: Some(0), ..Start::default() }).unwrap();
        run(&engine, &mut clock, 8, "while counting in");
        engine.stop().unwrap();
        engine.panic().unwrap();
        run(&engine, &mut clock, 8, "after a panic");
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        run(&engine, &mut clock, 8, "after all that");
        // Room for the collector, so that nothing waits.
        std::thread::sleep(std::time::Duration::from_millis(15));
    }
}
