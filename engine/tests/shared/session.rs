//! Graphs for tests and benches of the runtime, nodes by number: the short hand, and a session with
//! every kind of node that Pulse ships.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{collections::BTreeMap, sync::Arc};

use pulse_engine::{
    buffer::{AudioBuffer, AudioSource},
    material::{MediaResolver, Slices},
    nodes::NODES,
};
use pulse_schemas::{
    graph::{
        ClipLoop, Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec,
        OutputKind, OutputSpec, PlacedClip, Role, SpecEvent, SpecEventBody, Stretch, StretchMode,
        ZoneSpec,
    },
    hash::Hash,
    id::{AnyId, EntityId, EntityKind},
};

pub fn id(kind: EntityKind, number: u32) -> AnyId {
    AnyId { kind, id: EntityId(u128::from(number)) }
}

pub fn key(number: u32) -> NodeKey {
    NodeKey { entity: id(EntityKind::DspNode, number), role: Role::new("node") }
}

/// Live, in stereo, with one parameter that decides its layout, or none.
pub fn node(number: u32, kind: &str, layout: Option<(&str, u32)>) -> NodeSpec {
    let layout = layout.map(|(id, value)| (id.to_owned(), f64::from(value)));
    NodeSpec {
        key: key(number),
        kind: kind.to_owned(),
        dsp_version: 1,
        layout: BTreeMap::from_iter(layout),
        channels: 2,
        cohort: Cohort::Live,
    }
}

pub fn edge(from: u32, to: u32) -> EdgeSpec {
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

/// What the device plays.
pub fn master(number: u32) -> OutputSpec {
    OutputSpec { kind: OutputKind::Master, node: key(number), port: 0 }
}

pub fn tap(number: u32) -> OutputSpec {
    OutputSpec { kind: OutputKind::Tap(key(number).entity), node: key(number), port: 0 }
}

// -- every kind of node -------------------------------------------------------------------------

/// The node that all tracks end in.
pub const MASTER: u32 = 1;
/// Nodes of a track that are no effects.
const NOTES: u32 = 50;
const LFO: u32 = 51;
const LOOP: u32 = 52;
/// What tracks begin with, in turn.
pub const SOURCES: [&str; 5] =
    ["pulse.synth", "pulse.sampler", "pulse.drums", "pulse.lane", "pulse.input"];

/// The first node of a track: its source.
pub fn track(number: u32) -> u32 {
    (number + 1) * 100
}

fn source(number: u32) -> &'static str {
    SOURCES[number as usize % SOURCES.len()]
}

pub fn effects() -> Vec<&'static str> {
    let all = NODES.iter().map(|kind| kind.descriptor);
    all.filter(|it| !it.inputs.is_empty() && !it.outputs.is_empty()).map(|it| it.kind).collect()
}

/// The last effect of a track.
pub fn last(number: u32) -> u32 {
    track(number) + effects().len() as u32
}

/// Tracks that begin with one source after the other, go through every effect and end in one
/// master. Notes reach the instruments through a transform, an LFO moves a filter, and the first
/// track has a loop. Each track is metered. Five tracks have every kind.
pub fn session(tracks: u32) -> GraphSpec {
    let mut spec = GraphSpec::default();
    spec.nodes.push(node(MASTER, "pulse.strip", None));
    for number in 0..tracks {
        add_track(&mut spec, number);
    }
    spec.outputs.push(master(MASTER));
    spec.canonicalise();
    spec
}

fn add_track(spec: &mut GraphSpec, number: u32) {
    let base = track(number);
    spec.nodes.push(node(base, source(number), None));
    let plays_notes = matches!(source(number), "pulse.synth" | "pulse.sampler" | "pulse.drums");
    if plays_notes {
        spec.nodes.push(node(base + NOTES, "pulse.notes", None));
        spec.edges.push(EdgeSpec { kind: EdgeKind::Event, ..edge(base + NOTES, base) });
    }
    for (index, effect) in (1..).zip(effects()) {
        spec.nodes.push(node(base + index, effect, None));
        spec.edges.push(edge(base + index - 1, base + index));
        if effect == "pulse.filter" {
            let to_port = Inlet::Param("cutoff".to_owned());
            let kind = EdgeKind::Control;
            spec.nodes.push(node(base + LFO, "pulse.lfo", None));
            spec.edges.push(EdgeSpec { kind, to_port, ..edge(base + LFO, base + index) });
        }
    }
    spec.edges.push(edge(last(number), MASTER));
    spec.outputs.push(tap(last(number)));
    if number == 0 {
        spec.nodes.push(node(base + LOOP, "pulse.strip", None));
        spec.nodes.push(node(base + LOOP + 1, "pulse.filter", None));
        spec.edges.push(edge(last(number), base + LOOP));
        spec.edges.push(edge(base + LOOP, base + LOOP + 1));
        let back = edge(base + LOOP + 1, base + LOOP);
        spec.edges.push(EdgeSpec { feedback_frames: Some(64), ..back });
        spec.edges.push(edge(base + LOOP + 1, MASTER));
    }
}

/// Every parameter of every node that may move, somewhere in its range, and every bypass: what a storm
/// is made of.
pub fn storm(spec: &GraphSpec, seed: u64) -> Vec<(NodeKey, &'static str, f64)> {
    let mut knobs = vec![];
    for node in &spec.nodes {
        let kind = NODES.iter().find(|kind| kind.descriptor.kind == node.kind);
        let params = kind.into_iter().flat_map(|kind| kind.descriptor.params);
        for param in params.filter(|param| !param.layout) {
            let at = pulse_engine::math::random_unit(seed, knobs.len() as u64);
            knobs.push((node.key, param.id, param.denormalise(at)));
        }
    }
    knobs
}

const TONE: Hash = Hash([7; 32]);

/// Two seconds of a falling saw.
pub struct Tone;

impl MediaResolver for Tone {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        let value = |at: u32| ((at % 200) as f32 / 200.0 - 0.5) * 0.5;
        let samples: Vec<f32> = (0..96_000).map(value).collect();
        let buffer = AudioBuffer::from_channels(48_000, &[samples]).ok()?;
        (media == TONE).then(|| Arc::new(buffer) as _)
    }
}

/// Forty notes for whoever plays some, clips of every way of playing for lanes, one sample for
/// samplers, and the master's gain.
pub fn content(tracks: u32, gain: f64) -> Slices {
    let mut slices = Slices::default();
    slices.params.set(key(MASTER), "gain", gain);
    for number in 0..tracks {
        let base = key(track(number));
        match source(number) {
            "pulse.lane" => _ = slices.clips.0.insert(base, clips()),
            "pulse.input" => slices.params.set(base, "monitor", 2.0),
            "pulse.sampler" => _ = slices.zones.0.insert(base, vec![zone()]),
            _ => {}
        }
        if !matches!(source(number), "pulse.lane" | "pulse.input") {
            slices.events.0.insert(key(track(number) + NOTES), notes().into());
        }
        slices.params.set(key(track(number) + LOOP), "gain", -12.0);
    }
    slices
}

fn notes() -> Vec<SpecEvent> {
    let (channel, velocity) = (0, 0.8);
    let mut events = vec![];
    for at in 0..40u8 {
        let (frame, key) = (i64::from(at) * 200, 40 + at);
        let id = id(EntityKind::Note, u32::from(at));
        let on = SpecEventBody::NoteOn { channel, key, pitch: f64::from(key), velocity };
        let off = SpecEventBody::NoteOff { channel, key, velocity };
        events.push(SpecEvent { frame, id, body: on });
        events.push(SpecEvent { frame: frame + 900, id, body: off });
    }
    events
}

fn clips() -> Vec<PlacedClip> {
    let modes = [StretchMode::None, StretchMode::Repitch, StretchMode::Elastic];
    let clip = |at: u32| PlacedClip {
        id: id(EntityKind::Clip, at),
        media: TONE,
        start_frame: i64::from(at) * 1_500,
        frames: 3_000,
        source_start: 0,
        source_frames: 96_000,
        slip: 0,
        repeat: (at % 2 == 1).then_some(ClipLoop { start: 100, length: 700 }),
        gain: 0.8,
        pan: 0.2,
        fade_in: Default::default(),
        fade_out: Default::default(),
        reverse: at % 4 == 2,
        stretch: Stretch { mode: modes[at as usize % 3], ratio: 1.3, ..Stretch::default() },
    };
    (0..6).map(clip).collect()
}

fn zone() -> ZoneSpec {
    ZoneSpec {
        id: id(EntityKind::KitSlot, 1),
        media: TONE,
        source_start: 0,
        source_frames: 96_000,
        key_low: 0,
        key_high: 127,
        velocity_low: 0.0,
        velocity_high: 1.0,
        root_key: 60.0,
        key_tracking: 1.0,
        tune_cents: 0.0,
        gain: 0.5,
        pan: 0.0,
        repeat: None,
        one_shot: false,
        reverse: false,
        choke_group: 0,
        round_robin_group: 0,
        round_robin_index: 0,
    }
}
