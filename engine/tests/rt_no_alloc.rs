//! The audio callback never allocates or frees: a counting allocator watches
//! every call of a session with the shipped nodes while plans, content, songs,
//! parameters, notes and transport change under it.

#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
};

use pulse_engine::{
    anticipate::Anticipation,
    device::DeviceConfig,
    event::EventBody,
    material::{NoMedia, Slices},
    registry::Registry,
    rt::{
        Config, Engine, ManualClock, Song,
        transport::{Range, Start},
    },
};
use pulse_schemas::{
    graph::{
        Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec, OutputKind,
        OutputSpec, Role, SpecEvent, SpecEventBody,
    },
    id::{AnyId, EntityId, EntityKind},
};

struct Counting;

thread_local! {
    static CALLS: Cell<Option<u64>> = const { Cell::new(None) };
}

fn count() {
    CALLS.with(|calls| calls.set(calls.get().map(|calls| calls + 1)));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    CALLS.with(|calls| calls.set(Some(0)));
    f();
    CALLS.with(|calls| calls.replace(None)).unwrap_or(0)
}

fn key(number: u32) -> NodeKey {
    let id = AnyId { kind: EntityKind::DspNode, id: EntityId(u128::from(number)) };
    NodeKey { entity: id, role: Role::new("node") }
}

fn node(number: u32, kind: &str) -> NodeSpec {
    NodeSpec {
        key: key(number),
        kind: kind.to_owned(),
        dsp_version: 1,
        layout: BTreeMap::new(),
        channels: 2,
        cohort: Cohort::Live,
    }
}

fn edge(from: u32, to: u32) -> EdgeSpec {
    EdgeSpec {
        from: key(from),
        from_port: 0,
        to: key(to),
        to_port: Inlet::Port(0),
        kind: EdgeKind::Audio,
        feedback_frames: None,
        compensated: true,
        depth: Depth::FULL,
    }
}

/// Every effect behind a synth, `tracks` times, on one bus; each track is metered.
fn session(tracks: u32) -> GraphSpec {
    let registry = Registry::standard();
    let effects: Vec<&str> = (registry.iter())
        .map(|kind| kind.descriptor)
        .filter(|d| !d.inputs.is_empty() && !d.outputs.is_empty())
        .map(|d| d.kind)
        .collect();
    let mut spec = GraphSpec::default();
    spec.nodes.push(node(1, "pulse.strip"));
    for track in 0..tracks {
        let base = (track + 1) * 100;
        spec.nodes.push(node(base, "pulse.synth"));
        for (index, effect) in effects.iter().enumerate() {
            let number = base + 1 + index as u32;
            spec.nodes.push(node(number, effect));
            spec.edges.push(edge(number - 1, number));
        }
        let last = base + effects.len() as u32;
        spec.edges.push(edge(last, 1));
        let kind = OutputKind::Tap(key(last).entity);
        spec.outputs.push(OutputSpec { kind, node: key(last), port: 0 });
    }
    spec.outputs.push(OutputSpec { kind: OutputKind::Master, node: key(1), port: 0 });
    spec.canonicalise();
    spec
}

fn notes(tracks: u32, gain: f64) -> Slices {
    let mut slices = Slices::default();
    slices.params.set(key(1), "gain", gain);
    for track in 0..tracks {
        let events = slices.events.0.entry(key((track + 1) * 100)).or_default();
        for at in 0..40i64 {
            let id = AnyId { kind: EntityKind::Note, id: EntityId(at as u128) };
            let (channel, key, velocity) = (0, 40 + at as u8, 0.8);
            let on = SpecEventBody::NoteOn { channel, key, pitch: f64::from(key), velocity };
            let off = SpecEventBody::NoteOff { channel, key, velocity };
            events.push(SpecEvent { frame: at * 200, id, body: on });
            events.push(SpecEvent { frame: at * 200 + 900, id, body: off });
        }
    }
    slices.events.sort();
    slices
}

fn run(clock: &mut ManualClock, calls: usize, what: &str) {
    for call in 0..calls {
        let frames = [64, 250, 512, 33][call % 4];
        let counted = allocations(|| {
            clock.run(frames);
        });
        assert_eq!(counted, 0, "{what}, call {call}");
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
        engine.load(&spec, notes(tracks, gain), &NoMedia).unwrap();
    };
    load(3, 0.0);
    let taps: Vec<OutputKind> = session(3).outputs.iter().map(|output| output.kind).collect();
    let mut looks: Vec<_> = taps.iter().map(|tap| engine.look_at(*tap, true).unwrap()).collect();
    engine.set_profiling(true).unwrap();
    let mut inlet = engine.inlet().unwrap();
    engine.set_loop(Range::new(100, 9_000)).unwrap();
    engine.set_metronome(true, 0.5).unwrap();
    engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    run(&mut clock, 40, "while playing");
    for turn in 0..6u32 {
        load(3 + turn % 3, 0.0);
        engine.set_song(Song::plain(48_000)).unwrap();
        run(&mut clock, 10, "while plans change");
        load(3 + turn % 3, -3.0 - f64::from(turn));
        run(&mut clock, 10, "while content changes");
        for step in 0..300 {
            let track = 100 * (step % 3 + 1);
            engine.set_param(key(1), "gain", -f64::from(step % 40)).unwrap();
            engine.set_param(key(track), "cutoff", 200.0 + f64::from(step) * 20.0).unwrap();
            engine.set_bypass(key(track + 1), step % 2 == 0).unwrap();
            let body = EventBody::NoteOn { channel: 0, key: 60, pitch: 60.0, velocity: 0.5 };
            engine.send_event(key(track), u128::from(step), body).unwrap();
        }
        for at in 0..64 {
            let body = EventBody::NoteOn { channel: 0, key: 61, pitch: 61.0, velocity: 0.5 };
            let event = pulse_engine::event::Event { offset: 0, id: 77, body };
            inlet.send(at, key(100), event, at % 2 == 0);
        }
        run(&mut clock, 10, "while parameters storm and somebody plays");
        looks.iter_mut().for_each(|look| look.listener.listen());
        engine.seek(i64::from(turn) * 1_000).unwrap();
        engine.pause().unwrap();
        run(&mut clock, 8, "while paused");
        engine.play(Start { count_in: 1, from: Some(0), ..Start::default() }).unwrap();
        run(&mut clock, 8, "while counting in");
        engine.stop().unwrap();
        engine.panic().unwrap();
        run(&mut clock, 8, "after a panic");
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        run(&mut clock, 8, "after all that");
        // Room for the collector, so that nothing waits.
        std::thread::sleep(std::time::Duration::from_millis(15));
        assert_eq!(engine.feedback().faults, []);
    }
}
