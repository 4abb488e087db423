//! The executor never allocates or frees while it runs: a counting allocator
//! watches every block of a session with the shipped nodes, of a plan swap and of
//! a content swap.

#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
    sync::Arc,
};

use pulse_engine::{
    exec::{Block, Executor},
    material::{Material, NoMedia, Slices},
    plan::Compiler,
    registry::Registry,
    transport::SteadyTempo,
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

/// How often `f` allocated or freed.
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

/// A synth through every effect, in `tracks` tracks, onto one bus.
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
        spec.edges.push(edge(base + effects.len() as u32, 1));
    }
    spec.outputs.push(OutputSpec { kind: OutputKind::Master, node: key(1), port: 0 });
    spec
}

fn notes(tracks: u32) -> Slices {
    let mut slices = Slices::default();
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

#[test]
fn running_a_session_allocates_nothing() {
    let timeline = SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
    let mut compiler = Compiler::new(Registry::standard(), 48_000, 256).unwrap();
    let plan = Arc::new(compiler.compile(&session(9)).unwrap());
    let slices = notes(12);
    let material = Arc::new(Material::bind(&plan, &slices, &NoMedia));
    let mut executor = Executor::new(plan.clone(), material.clone());
    let first = allocations(|| {
        for block in 0..40 {
            executor.process(&Block::live(block * 256, 256, &timeline, &[]));
        }
    });
    assert_eq!(first, 0, "while playing");

    let mut louder = slices.clone();
    louder.params.set(key(1), "gain", -6.0);
    let mut material = Arc::new(material.rebind(&plan, &[key(1)], &louder, &NoMedia));
    let swapped = allocations(|| {
        executor.swap_material(&mut material);
        executor.set_bypass(0, true);
        executor.set_param(3, 0, 1.0, 10_240);
        for block in 40..60 {
            executor.process(&Block::live(block * 256, 250, &timeline, &[]));
        }
    });
    assert_eq!(swapped, 0, "while content changes");

    let next = Arc::new(compiler.compile(&session(12)).unwrap());
    let material = Arc::new(Material::bind(&next, &slices, &NoMedia));
    let mut successor = Executor::successor(next, material, &plan);
    let adopted = allocations(|| {
        successor.adopt(&mut executor);
        for block in 60..80 {
            successor.process(&Block::live(block * 256, 256, &timeline, &[]));
        }
    });
    assert_eq!(adopted, 0, "while plans change");
    assert_eq!(successor.faults(), []);
}
