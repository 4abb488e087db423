//! What a node is to the engine: the one trait that every sound, effect and
//! modulator implements, and all it may see while it does.
//!
//! A node never learns how the executor cuts time into calls, and its output
//! must not depend on it: per-sample recursion in `f64` state, everything
//! periodic from [`Io::frame`], coefficients a pure function of [`Io::param`].
//! That is what makes live, offline, parallel and cached renders equal.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use pulse_schemas::{
    graph::{NodeKey, PlacedClip, ZoneSpec},
    hash::Hash,
};

use crate::{
    buffer::{AudioBuffer, AudioSource},
    event::{Event, EventBuffer},
    param::{GRID, ParamDesc, Ramp, cell_start},
    transport::Transport,
};

pub(crate) mod batch;
pub mod compressor;
mod controllers;
pub mod delay;
pub mod drums;
pub mod eq;
pub mod filter;
pub mod gate;
pub mod input;
pub mod lane_stream;
pub mod lfo;
pub mod limiter;
pub mod loudness;
mod media;
pub mod meter;
pub mod midi_out;
pub mod note_transform;
mod note_value;
mod parameters;
pub mod reverb;
pub mod sampler;
pub mod saturator;
pub(crate) mod side_chain;
pub mod strip;
pub mod sum;
pub mod synth;
mod voice_filter;
mod voices;

/// Most channels of one port.
pub const MAX_CHANNELS: usize = 2;
/// Most audio ports of one node in each direction, and most control outputs.
pub const MAX_PORTS: usize = 8;

/// Everything `prepare` may depend on. Content (clips, zones, parameter values
/// other than layout) arrives later and changes while the node runs.
#[derive(Clone, Debug)]
pub struct Setup {
    pub sample_rate: u32,
    /// The most frames of one call.
    pub max_block: usize,
    /// Channels of the node's main audio ports: 1 or 2.
    pub channels: usize,
    /// Seed of this node's random numbers: a function of its identity.
    pub seed: u64,
    /// Every parameter, layout parameters at the value that the plan was compiled
    /// with, the others at their default. Indexed as in the descriptor.
    pub params: Vec<f64>,
}

impl Setup {
    pub fn new(descriptor: &Descriptor, sample_rate: u32, max_block: usize) -> Setup {
        let params = descriptor.params.iter().map(|param| param.default).collect();
        Setup { sample_rate, max_block, channels: 2, seed: 0, params }
    }

    /// The rate as arithmetic wants it.
    pub fn rate(&self) -> f64 {
        f64::from(self.sample_rate)
    }

    /// The value of a layout parameter.
    pub fn param(&self, index: usize) -> f64 {
        self.params.get(index).copied().unwrap_or(0.0)
    }
}

/// An upper bound of the output after the input has fallen silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    Frames(u64),
    /// Never falls silent by itself: generators, frozen reverbs. Is never put to
    /// sleep.
    Infinite,
}

/// Walks the whole state of a node, which saving, loading, hashing, comparing and
/// grid rounding are derived from.
pub trait StateVisitor {
    fn f64(&mut self, value: &mut f64);
    fn u64(&mut self, value: &mut u64);

    fn f64s(&mut self, values: &mut [f64]) {
        values.iter_mut().for_each(|value| self.f64(value));
    }

    /// For buffers of audio: kept as they are, never rounded.
    fn f32s(&mut self, values: &mut [f32]);

    fn bool(&mut self, value: &mut bool) {
        let mut number = u64::from(*value);
        self.u64(&mut number);
        *value = number != 0;
    }

    fn u32(&mut self, value: &mut u32) {
        let mut number = u64::from(*value);
        self.u64(&mut number);
        *value = number as u32;
    }

    fn usize(&mut self, value: &mut usize) {
        let mut number = *value as u64;
        self.u64(&mut number);
        *value = number as usize;
    }

    fn i64(&mut self, value: &mut i64) {
        let mut number = *value as u64;
        self.u64(&mut number);
        *value = number as i64;
    }

    fn u128(&mut self, value: &mut u128) {
        let (mut high, mut low) = ((*value >> 64) as u64, *value as u64);
        self.u64(&mut high);
        self.u64(&mut low);
        *value = (u128::from(high) << 64) | u128::from(low);
    }
}

/// One running node.
///
/// The executor puts a node to sleep when its inputs have been silent for its
/// tail: it calls `reset` at that very frame and hands out zeros until the first
/// frame that is not silent. So the state after `reset` must be the state of a
/// node that has never heard anything, and only generators are [`Tail::Infinite`].
pub trait Node: Send {
    /// Off the audio thread: allocates everything for this rate and layout, and
    /// leaves the node as `reset` would.
    fn prepare(&mut self, setup: &Setup);

    /// Always called on the real-time thread: no allocation, lock, wait or I/O.
    fn process(&mut self, io: &mut Io<'_>);

    /// The whole of the state that later output depends on, in a fixed order and
    /// with a fixed number of values between two calls of `prepare`. Parameter
    /// values and coefficients derived from them are not state: recompute those
    /// in the next `process`, whose [`Io::params_changed`] is true after a load.
    fn visit_state(&mut self, visitor: &mut dyn StateVisitor);

    /// As if nothing had ever been heard. Real-time safe.
    fn reset(&mut self);

    /// Frames by which the output is late, after `prepare`.
    fn latency(&self) -> u32 {
        0
    }

    fn tail(&self) -> Tail {
        Tail::Frames(0)
    }

    /// What there is to show of this node right now (levels, gain reduction,
    /// loudness), each under its id. Never influences audio and is not state.
    /// Real-time safe: called on the audio thread between blocks, at display rate.
    fn readings(&self, _show: &mut dyn FnMut(&'static str, f64)) {}
}

/// One audio input port during a call: a slice per channel, all of one length.
#[derive(Clone, Copy, Default)]
pub struct AudioIn<'a> {
    pub channels: [&'a [f32]; MAX_CHANNELS],
    pub count: usize,
}

/// One audio output port during a call.
#[derive(Default)]
pub struct AudioOut<'a> {
    pub channels: [&'a mut [f32]; MAX_CHANNELS],
    pub count: usize,
}

/// A clip with its media opened. Media that is missing leaves `source` empty.
#[derive(Clone)]
pub struct OpenClip {
    pub spec: PlacedClip,
    pub source: Option<Arc<dyn AudioSource>>,
    /// What [`NodeKind::bind`] made of it, such as stretched audio.
    pub prepared: Option<Arc<dyn AudioSource>>,
}

#[derive(Clone)]
pub struct OpenZone {
    pub spec: ZoneSpec,
    pub source: Option<Arc<dyn AudioSource>>,
    pub prepared: Option<Arc<dyn AudioSource>>,
}

/// Immutable material of one node, swapped whole while the node runs.
#[derive(Clone, Default)]
pub struct Content {
    /// Sorted by start, then id.
    pub clips: Vec<OpenClip>,
    /// Sorted by id.
    pub zones: Vec<OpenZone>,
    /// Whatever else the kind's `bind` prepared.
    pub extra: Option<Arc<dyn Any + Send + Sync>>,
}

/// Values of one control output: one per grid point within the call.
#[derive(Default)]
pub struct ControlOut<'a> {
    pub values: &'a mut [f64],
}

/// All that a node sees and touches during one call.
pub struct Io<'a> {
    pub(crate) frames: usize,
    pub(crate) frame: i64,
    pub(crate) inputs: &'a [AudioIn<'a>],
    pub(crate) outputs: &'a mut [AudioOut<'a>],
    pub(crate) events: &'a [Event],
    pub(crate) emitted: &'a mut EventBuffer,
    pub(crate) transport: &'a Transport,
    pub(crate) ramps: &'a [Ramp],
    pub(crate) params_changed: bool,
    pub(crate) controls: &'a mut [ControlOut<'a>],
    pub(crate) content: &'a Content,
    pub(crate) may_wait: bool,
    pub(crate) device_inputs: &'a [&'a [f32]],
    /// Where this call begins within the device's block.
    pub(crate) device_offset: usize,
}

impl<'a> Io<'a> {
    /// Frames of this call: 1..=max_block.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The absolute frame of the first sample, in the node's own time: inputs,
    /// events and automation at this frame belong together, whatever latency lies
    /// before the node. Can be negative.
    pub fn frame(&self) -> i64 {
        self.frame
    }

    /// An input port that is not the in-place port. A port that nothing is
    /// connected to is silence of the right length.
    pub fn input(&self, port: usize) -> AudioIn<'a> {
        self.inputs.get(port).copied().unwrap_or_default()
    }

    /// Whether anything is connected to an input (a side chain, say).
    pub fn connected(&self, port: usize) -> bool {
        self.inputs.get(port).is_some_and(|input| input.count > 0)
    }

    /// One channel of an input; a mono input gives its one channel for each.
    pub fn input_channel(&self, port: usize, channel: usize) -> &'a [f32] {
        let input = self.input(port);
        input.channels[channel.min(input.count.saturating_sub(1))]
    }

    /// Channels of an output port.
    pub fn output_channels(&self, port: usize) -> usize {
        self.outputs.get(port).map_or(0, |output| output.count)
    }

    /// One channel of an output. Where the descriptor says `in_place`, output 0
    /// holds the audio of input 0 on entry, and `input(0)` is empty. Elsewhere
    /// its content on entry is unspecified and every frame must be written.
    pub fn output(&mut self, port: usize, channel: usize) -> &mut [f32] {
        match self.outputs.get_mut(port) {
            Some(output) if channel < output.count => &mut *output.channels[channel],
            _ => &mut [],
        }
    }

    /// Both channels of an output; the second is empty for a mono node.
    pub fn output_pair(&mut self, port: usize) -> (&mut [f32], &mut [f32]) {
        match self.outputs.get_mut(port) {
            Some(output) => {
                let [left, right] = &mut output.channels;
                (&mut **left, &mut **right)
            }
            None => (&mut [], &mut []),
        }
    }

    /// Events of this call in their order: offset, rank, id. Every offset is
    /// below `frames()`.
    pub fn events(&self) -> &'a [Event] {
        self.events
    }

    /// Sends an event from the node's event output, in any order of offsets.
    pub fn emit(&mut self, event: Event) {
        self.emitted.push(event);
    }

    pub fn transport(&self) -> &'a Transport {
        self.transport
    }

    /// The value for coefficients: constant over the call and a pure function of
    /// the absolute grid cell. While it moves, calls don't cross a cell's edge.
    pub fn param(&self, index: usize) -> f64 {
        self.ramps.get(index).map_or(0.0, |ramp| ramp.end)
    }

    /// The value for gains and the like, at every frame of the call.
    pub fn param_ramp(&self, index: usize) -> Ramp {
        self.ramps.get(index).copied().unwrap_or_default()
    }

    /// A switch or the index of a choice.
    pub fn param_index(&self, index: usize) -> usize {
        self.param(index).max(0.0) as usize
    }

    /// Whether any `param` differs from the call before. True on the first call
    /// and after state was loaded.
    pub fn params_changed(&self) -> bool {
        self.params_changed
    }

    /// Frames of this call, from its start, that are grid points, as (index,
    /// offset): a control output has one value for each.
    pub fn grid_points(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        grid_points(self.frame, self.frames)
    }

    /// Sets the value of a control output at a grid point, in −1..1 or 0..1.
    pub fn set_control(&mut self, port: usize, point: usize, value: f64) {
        if let Some(slot) = self.controls.get_mut(port).and_then(|out| out.values.get_mut(point)) {
            *slot = value;
        }
    }

    pub fn content(&self) -> &'a Content {
        self.content
    }

    /// What an audio device hears during this call; None where there is no such
    /// channel. Only live inputs ask.
    pub fn device_input(&self, channel: usize) -> Option<&'a [f32]> {
        let block = self.device_inputs.get(channel)?;
        block.get(self.device_offset..self.device_offset + self.frames)
    }

    /// Offline, where a node reads its media with `read_blocking`. On the audio
    /// thread this is false and what is not in memory is silence.
    pub fn may_wait(&self) -> bool {
        self.may_wait
    }
}

/// The grid points within `frames` frames from `frame`, as (index, offset).
pub(crate) fn grid_points(frame: i64, frames: usize) -> impl Iterator<Item = (usize, usize)> {
    let first = (cell_start(frame + GRID - 1) - frame) as usize;
    (first..frames).step_by(GRID as usize).enumerate()
}

/// How many grid points lie within `frames` frames from `frame`.
pub(crate) fn grid_count(frame: i64, frames: usize) -> usize {
    let first = (cell_start(frame + GRID - 1) - frame) as usize;
    frames.saturating_sub(first).div_ceil(GRID as usize)
}

/// Channels of a port, by the node's channel count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channels {
    Node,
    Mono,
    Stereo,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Port {
    pub id: &'static str,
    pub channels: Channels,
}

impl Port {
    pub const MAIN: Port = Port { id: "main", channels: Channels::Node };
    pub const SIDE_CHAIN: Port = Port { id: "sideChain", channels: Channels::Node };

    pub fn count(&self, node_channels: usize) -> usize {
        match self.channels {
            Channels::Node => node_channels,
            Channels::Mono => 1,
            Channels::Stereo => 2,
        }
    }
}

/// How far the output bits can be trusted to be the same elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Determinism {
    /// The same bits on every x86-64 machine.
    Portable,
    /// The same bits on one kind of machine and library version.
    Machine,
    /// Other bits each time: what is to be kept must be pinned.
    Volatile,
}

/// What is known of a kind without running it.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// `pulse.eq`. File format: never renamed.
    pub kind: &'static str,
    /// Raised whenever the same input may give other bits.
    pub dsp_version: u32,
    pub name: &'static str,
    pub params: &'static [ParamDesc],
    pub inputs: &'static [Port],
    pub outputs: &'static [Port],
    pub event_input: bool,
    pub event_output: bool,
    /// Control outputs by id; their values are in −1..1 or 0..1.
    pub controls: &'static [&'static str],
    /// Output 0 holds input 0 on entry of `process`.
    pub in_place: bool,
    pub determinism: Determinism,
    pub reads_transport: bool,
    /// Of those who read the transport, whether the tempo or the place in the bar is what
    /// they read: then a changed tempo is another sound.
    pub follows_tempo: FollowsTempo,
    pub uses_random: bool,
    /// Whether output is linear in input while parameters stand still.
    pub linear: bool,
}

/// When a node that reads the transport reads more of it than the frame and whether it rolls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowsTempo {
    Never,
    /// While a choice is another than its first, as a note value for an LFO is.
    While(&'static str),
    Always,
}

/// The two sides of one modulation, where a kind offers both.
pub const BIPOLAR: &str = "bipolar";
pub const UNIPOLAR: &str = "unipolar";

impl Descriptor {
    /// The control output that a route of this port reads: of a pair that swings around a value or
    /// only away from it, the one that is asked for; any other is itself.
    pub fn control(&self, port: u16, bipolar: bool) -> u16 {
        let paired = |id: &&str| [BIPOLAR, UNIPOLAR].contains(id);
        if !self.controls.get(usize::from(port)).is_some_and(paired) {
            return port;
        }
        let wanted = if bipolar { BIPOLAR } else { UNIPOLAR };
        let found = self.controls.iter().position(|id| *id == wanted);
        found.map_or(port, |found| found as u16)
    }

    /// An effect with one main input and output, processed in place.
    pub const fn effect(
        kind: &'static str,
        name: &'static str,
        params: &'static [ParamDesc],
    ) -> Descriptor {
        Descriptor {
            kind,
            dsp_version: 1,
            name,
            params,
            inputs: &[Port::MAIN],
            outputs: &[Port::MAIN],
            event_input: false,
            event_output: false,
            controls: &[],
            in_place: true,
            determinism: Determinism::Portable,
            reads_transport: false,
            follows_tempo: FollowsTempo::Always,
            uses_random: false,
            linear: false,
        }
    }

    /// Something that plays events: no audio input, one main output.
    pub const fn instrument(
        kind: &'static str,
        name: &'static str,
        params: &'static [ParamDesc],
    ) -> Descriptor {
        let mut descriptor = Descriptor::effect(kind, name, params);
        descriptor.inputs = &[];
        descriptor.event_input = true;
        descriptor.in_place = false;
        descriptor
    }

    pub fn param_index(&self, id: &str) -> Option<usize> {
        self.params.iter().position(|param| param.id == id)
    }
}

/// How audio was made from media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    Decoded,
    Resampled,
    Stretched,
}

/// Audio that was made from media at a cost, kept under the hash of all that it
/// depends on. What it holds may be gone at any time.
pub trait Derived {
    fn get(&self, key: &Hash) -> Option<AudioBuffer>;
    fn put(&self, made: Made, key: &Hash, audio: &AudioBuffer);

    /// Whether what is not there is worth making now for those who ask later; else
    /// clips that can be played from their media are.
    fn makes(&self, _made: Made) -> bool {
        true
    }
}

/// What `bind` may depend on.
#[derive(Clone)]
pub struct BindContext<'a> {
    pub node: NodeKey,
    pub sample_rate: u32,
    pub channels: usize,
    pub layout: BTreeMap<String, f64>,
    /// Where audio that was decoded, resampled or stretched before may be found.
    pub derived: Option<&'a dyn Derived>,
}

/// One line of the registry: all that the engine needs to run a kind.
pub struct NodeKind {
    pub descriptor: &'static Descriptor,
    pub make: fn() -> Box<dyn Node>,
    /// Prepares content off the audio thread (stretching, resampling).
    pub bind: Option<fn(&BindContext<'_>, &mut Content)>,
    /// Eight nodes at once, bit-equal to eight times one.
    pub lanes: Option<fn() -> Box<dyn crate::simd::LaneNode>>,
}

impl NodeKind {
    pub const fn new(descriptor: &'static Descriptor, make: fn() -> Box<dyn Node>) -> NodeKind {
        NodeKind { descriptor, make, bind: None, lanes: None }
    }
}
