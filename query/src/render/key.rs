//! The key of a segment: everything that its sound depends on, and nothing else.
//!
//! Under-keying is the classic defect of such caches: a field that is left out
//! is a wrong sound some day. So the key goes by what a unit *can* read: its
//! nodes, their whole parameter lists, every event, clip and automation value
//! of the segment, the tempo where a node says that it follows it.

use std::{borrow::Cow, collections::BTreeMap};

use pulse_engine::{
    material::{BYPASS, Slices},
    node::{Descriptor, Determinism, FollowsTempo},
    param::GRID,
    plan::{Plan, PlanUnit},
    render::SegmentPort,
    transport::Timeline as _,
};
use pulse_schemas::{
    graph::{
        AutomationSegment, EdgeSpec, Fade, NodeKey, PlacedClip, SpecEvent, SpecEventBody,
        StretchMode, ZoneSpec,
    },
    hash::Hash,
    time::TempoShape,
};
use serde::Serialize;

use super::FORMAT;
use crate::timeline::SongTime;

/// Stands for a segment of zeros wherever the hash of sound stands.
pub const SILENCE: Hash = Hash([0; 32]);

/// State of a unit that has never heard anything.
pub const INITIAL: Hash = Hash([0; 32]);

/// Frames around a segment within which a clip may reach into it: more than any
/// fade-less crossfade or interpolation needs.
const CLIP_MARGIN: i64 = 4_096;

pub struct Hasher(blake3::Hasher);

impl Hasher {
    pub fn new() -> Hasher {
        Hasher(blake3::Hasher::new_derive_key("pulse render key v1"))
    }

    pub fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    pub fn signed(&mut self, number: i64) {
        self.0.update(&number.to_le_bytes());
    }

    pub fn float(&mut self, value: f64) {
        self.0.update(&value.to_bits().to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn hash(&mut self, hash: &Hash) {
        self.0.update(hash.as_bytes());
    }

    /// A value as JSON: its fields come in the order of their declaration, its
    /// maps in the order of their keys, and every number exactly.
    fn value<T: Serialize>(&mut self, value: &T) {
        let text = serde_json::to_vec(value).unwrap_or_default();
        self.bytes(&text);
    }

    pub fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

/// What of a unit's key does not change from segment to segment; `edges` are those
/// within it, in the order of the graph, `kept` the ports whose sound is.
pub fn unit_hash(
    edges: &[&EdgeSpec],
    plan: &Plan,
    unit: &PlanUnit,
    kept: &[SegmentPort],
    slices: &Slices,
    segment_frames: i64,
) -> Hash {
    let mut hasher = Hasher::new();
    hasher.number(u64::from(FORMAT));
    hasher.number(u64::from(plan.sample_rate));
    hasher.signed(segment_frames);
    for node in &unit.nodes {
        node_hash(&mut hasher, plan, *node, slices);
    }
    edges.iter().for_each(|edge| hasher.value(edge));
    for input in &unit.inputs {
        hasher.bytes(&plan.nodes[input.to as usize].key.to_bytes());
        hasher.number(u64::from(input.to_port));
        hasher.number(u64::from(input.group));
        hasher.signed(input.shift);
        let outputs = plan.outputs_of(input.node);
        let channels = outputs.get(usize::from(input.port)).map_or(0, |port| port.channels);
        hasher.number(u64::from(channels));
    }
    // What is noted under the key is of these.
    hasher.number(kept.len() as u64);
    for port in kept {
        hasher.bytes(&port.node.to_bytes());
        hasher.number(u64::from(port.port));
    }
    hasher.finish()
}

/// The key of a segment: of its unit, of its place in the song, of the state before
/// it and of all that it hears.
pub fn segment_key(
    unit: &Hash,
    slice: &Hash,
    state: &Hash,
    heard: impl IntoIterator<Item = Hash>,
) -> Hash {
    let mut hasher = Hasher::new();
    [unit, slice, state].into_iter().for_each(|hash| hasher.hash(hash));
    heard.into_iter().for_each(|hash| hasher.hash(&hash));
    hasher.finish()
}

fn node_hash(hasher: &mut Hasher, plan: &Plan, node: u32, slices: &Slices) {
    let class = plan.class(node);
    let key = plan.nodes[node as usize].key;
    // The identity seeds random numbers and names the node's state.
    hasher.bytes(&key.to_bytes());
    hasher.hash(&class.hash);
    let Some(kind) = class.kind else { return };
    if kind.descriptor.determinism != Determinism::Portable {
        hasher.text(&machine());
    }
    let given = slices.params.0.get(&key);
    for param in kind.descriptor.params.iter().filter(|param| !param.layout) {
        let value = given.and_then(|given| given.get(param.id)).copied();
        hasher.float(param.clamp(value.unwrap_or(param.default)));
    }
    let bypass = given.and_then(|given| given.get(BYPASS)).copied().unwrap_or(0.0);
    hasher.number(u64::from(bypass >= 0.5));
    // Values that steer modulation edges are parameters of the target.
    hasher.number(plan.nodes[node as usize].modulations.len() as u64);
    let zones: &[ZoneSpec] = slices.zones.0.get(&key).map_or(&[], Vec::as_slice);
    hasher.value(&zones);
}

/// What the bits of a kind that is not portable depend on beside its version:
/// libraries choose their loops by what the processor offers.
pub fn machine() -> String {
    #[cfg(target_arch = "x86_64")]
    let features = [
        ("sse4.1", std::is_x86_feature_detected!("sse4.1")),
        ("avx", std::is_x86_feature_detected!("avx")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let features: [(&str, bool); 0] = [];
    let there = features.iter().filter(|(_, there)| *there).map(|(name, _)| *name);
    std::iter::once(std::env::consts::ARCH).chain(there).collect::<Vec<_>>().join("+")
}

/// How the results of a unit are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// By what they are made of.
    ByInput,
    /// By the artefacts that were pinned, whatever enters.
    ByArtefact(Hash),
    /// Never: they are other ones each time.
    Never,
}

/// Whether a node makes other sound of the same each time.
pub fn is_volatile(plan: &Plan, node: u32) -> bool {
    let kind = plan.class(node).kind;
    kind.is_some_and(|kind| kind.descriptor.determinism == Determinism::Volatile)
}

/// A unit with a volatile node is never a hit by its inputs: what it made once is
/// an artefact with an id of its own, or is not kept.
pub fn found(plan: &Plan, unit: &PlanUnit, pins: &BTreeMap<NodeKey, Hash>) -> Found {
    let mut hasher = Hasher::new();
    hasher.text("pinned");
    let mut any = false;
    for node in unit.nodes.iter().filter(|node| is_volatile(plan, **node)) {
        let key = plan.nodes[*node as usize].key;
        let Some(pin) = pins.get(&key) else { return Found::Never };
        hasher.bytes(&key.to_bytes());
        hasher.hash(pin);
        any = true;
    }
    if any { Found::ByArtefact(hasher.finish()) } else { Found::ByInput }
}

/// Whether a node may read the tempo: the kind can, and the parameter that decides
/// says so or is moved by anybody.
pub fn reads_tempo(plan: &Plan, node: u32, descriptor: &Descriptor, slices: &Slices) -> bool {
    let decides = match descriptor.follows_tempo {
        _ if !descriptor.reads_transport => return false,
        FollowsTempo::Never => return false,
        FollowsTempo::Always => return true,
        FollowsTempo::While(decides) => decides,
    };
    let Some(index) = descriptor.param_index(decides) else { return true };
    let planned = &plan.nodes[node as usize];
    let automated = slices.automation.0.get(&planned.key);
    let is_moved = automated.is_some_and(|curves| curves.contains_key(decides))
        || planned.modulations.iter().any(|source| source.param as usize == index);
    let given = slices.params.0.get(&planned.key).and_then(|given| given.get(decides)).copied();
    let param = &descriptor.params[index];
    is_moved || param.clamp(given.unwrap_or(param.default)) != 0.0
}

/// What of a key belongs to the frames `start..start + frames` of the unit's
/// own time, sound and state excepted.
pub fn slice_hash(
    plan: &Plan,
    unit: &PlanUnit,
    slices: &Slices,
    time: &SongTime,
    present: &dyn Fn(&Hash) -> bool,
    start: i64,
    frames: i64,
) -> Hash {
    let mut hasher = Hasher::new();
    hasher.signed(start);
    hasher.signed(frames);
    let mut follows_tempo = false;
    for node in &unit.nodes {
        let key = plan.nodes[*node as usize].key;
        let Some(kind) = plan.class(*node).kind else { continue };
        follows_tempo |= reads_tempo(plan, *node, kind.descriptor, slices);
        automation(&mut hasher, kind.descriptor, slices, key, start, frames);
        events(&mut hasher, slices, key, start, frames);
        clips(&mut hasher, slices, key, present, start, frames);
        for zone in slices.zones.0.get(&key).into_iter().flatten() {
            hasher.number(u64::from(present(&zone.media)));
        }
    }
    if follows_tempo {
        transport(&mut hasher, time, start, frames);
    }
    hasher.finish()
}

fn automation(
    hasher: &mut Hasher,
    descriptor: &Descriptor,
    slices: &Slices,
    key: NodeKey,
    start: i64,
    frames: i64,
) {
    let Some(curves) = slices.automation.0.get(&key) else { return };
    for param in descriptor.params.iter().filter(|param| param.automatable) {
        let Some(segments) = curves.get(param.id) else { continue };
        hasher.text(param.id);
        for segment in heard(segments, start, start + frames + GRID) {
            hasher.value(segment);
        }
    }
}

/// The segments that decide the values within `from..to`: those that reach
/// into it, the last before it, whose end value holds, or the first of all.
fn heard(segments: &[AutomationSegment], from: i64, to: i64) -> &[AutomationSegment] {
    let first = segments.partition_point(|segment| segment.end_frame <= from).saturating_sub(1);
    let last = segments.partition_point(|segment| segment.start_frame < to).max(first + 1);
    &segments[first..last.min(segments.len())]
}

fn events(hasher: &mut Hasher, slices: &Slices, key: NodeKey, start: i64, frames: i64) {
    let Some(events) = slices.events.0.get(&key) else { return };
    let events = events.between(start, start + frames);
    let count = events.clone().count();
    hasher.number(count as u64);
    let mut bytes = Vec::with_capacity(count * EVENT_BYTES);
    events.for_each(|event| event_bytes(event, &mut bytes));
    hasher.bytes(&bytes);
}

/// What an event takes at most.
const EVENT_BYTES: usize = 48;

/// All of an event, of each kind in a length of its own. Songs hold them by the
/// hundred thousand, which is why they are not written as other values are.
fn event_bytes(event: &SpecEvent, bytes: &mut Vec<u8>) {
    let SpecEvent { frame, id, body } = event;
    bytes.extend(frame.to_le_bytes());
    bytes.push(id.kind as u8);
    bytes.extend(id.id.0.to_le_bytes());
    let mut put = |kind: u8, small: &[u8], value: f64, other: f32| {
        bytes.push(kind);
        bytes.extend(small);
        bytes.extend(value.to_bits().to_le_bytes());
        bytes.extend(other.to_bits().to_le_bytes());
    };
    match *body {
        SpecEventBody::NoteOff { channel, key, velocity } => put(0, &[channel, key], 0.0, velocity),
        SpecEventBody::PitchBend { channel, value } => put(1, &[channel], 0.0, value),
        SpecEventBody::Controller { channel, controller, value } => {
            put(2, &[channel, controller], 0.0, value);
        }
        SpecEventBody::Pressure { channel, value } => put(3, &[channel], 0.0, value),
        SpecEventBody::Program { channel, program } => put(4, &[channel, program], 0.0, 0.0),
        SpecEventBody::NoteTuning { semitones } => put(5, &[], semitones, 0.0),
        SpecEventBody::NotePressure { value } => put(6, &[], 0.0, value),
        SpecEventBody::NoteTimbre { value } => put(7, &[], 0.0, value),
        SpecEventBody::NoteGain { value } => put(9, &[], 0.0, value),
        SpecEventBody::NotePan { value } => put(10, &[], 0.0, value),
        SpecEventBody::NoteOn { channel, key, pitch, velocity } => {
            put(8, &[channel, key], pitch, velocity);
        }
    }
}

fn clips(
    hasher: &mut Hasher,
    slices: &Slices,
    key: NodeKey,
    present: &dyn Fn(&Hash) -> bool,
    start: i64,
    frames: i64,
) {
    let reaches = |clip: &&PlacedClip| {
        clip.start_frame < start + frames + CLIP_MARGIN
            && clip.start_frame + clip.frames as i64 > start - CLIP_MARGIN
    };
    for clip in slices.clips.0.get(&key).into_iter().flatten().filter(reaches) {
        hasher.value(&*heard_of(clip, start + frames + CLIP_MARGIN));
        hasher.number(u64::from(present(&clip.media)));
    }
}

/// A clip as it is heard before a frame: where it ends is not heard as long as it
/// and its fading out lie behind that. What is stretched is made as a whole.
fn heard_of(clip: &PlacedClip, before: i64) -> Cow<'_, PlacedClip> {
    let end = clip.start_frame.saturating_add_unsigned(clip.frames);
    let fades = end.saturating_sub_unsigned(clip.fade_out.frames);
    if clip.stretch.mode != StretchMode::None || fades <= before {
        return Cow::Borrowed(clip);
    }
    // No clip has no frames, so that this is no other clip's key.
    Cow::Owned(PlacedClip { frames: 0, fade_out: Fade::default(), ..clip.clone() })
}

/// The tempo and the signature wherever they may be read.
fn transport(hasher: &mut Hasher, time: &SongTime, start: i64, frames: i64) {
    let (from, to) = (time.ticks_at(start), time.ticks_at(start + frames));
    let at_start = time.at(start);
    hasher.float(at_start.ticks);
    hasher.float(at_start.tempo);
    let marks = time.tempo.marks();
    let first = marks.partition_point(|mark| mark.at <= from).saturating_sub(1);
    let last = marks.partition_point(|mark| mark.at <= to);
    // The mark after the last one that is heard is where a ramp leads. A step holds
    // whatever comes after it: what lies before a new tempo is found.
    let leads = last.checked_sub(1).is_some_and(|at| marks[at].shape == TempoShape::Ramp);
    let last = (last + usize::from(leads)).min(marks.len());
    for mark in &marks[first.min(last)..last] {
        hasher.signed(mark.at.0);
        hasher.float(mark.bpm);
        hasher.number(mark.shape as u64);
    }
    for frame in [start, start + frames] {
        let transport = time.at(frame);
        hasher.number(u64::from(transport.signature_numerator));
        hasher.number(u64::from(transport.signature_denominator));
    }
}
