//! Small nodes, graphs and one way to run them, for tests of the engine's core.
//! The nodes do little, but each has something the executor must get right: state,
//! latency, lanes, a side chain, two outputs, events, control, failure.

use std::{collections::BTreeMap, sync::Arc};

use pulse_schemas::{
    graph::{
        Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec, OutputKind,
        OutputSpec, SpecEvent, SpecEventBody,
    },
    id::{AnyId, EntityId, EntityKind},
};

use crate::{
    event::EventBody,
    exec::{Block, Executor},
    material::{Material, NoMedia, Slices},
    node::{Descriptor, Io, Node, NodeKind, Port, Setup, StateVisitor, Tail},
    param::{ParamDesc, Unit},
    plan::{Compiler, Plan},
    registry::Registry,
    render::{OfflineRenderer, Profile, SegmentPort, SegmentRunner, SegmentSound, sum_signals},
    simd::{LANES, Lane, LaneIo, LaneNode, Lanes},
    transport::SteadyTempo,
};

/// Noise, a function of the frame, in bursts: silence takes turns with sound.
struct Noise {
    seed: u64,
}

static NOISE: Descriptor = {
    let mut descriptor = Descriptor::instrument("test.noise", "Noise", &[]);
    descriptor.event_input = false;
    descriptor
};

impl Node for Noise {
    fn prepare(&mut self, setup: &Setup) {
        self.seed = setup.seed;
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let (frame, frames) = (io.frame(), io.frames());
        for channel in 0..io.output_channels(0) {
            for i in 0..frames {
                let at = frame + i as i64;
                let counter = (at as u64) << 1 | channel as u64;
                let on = at.rem_euclid(7_000) < 3_500 && at >= 0;
                let value = crate::math::random_bipolar(self.seed, counter) as f32 * 0.25;
                io.output(0, channel)[i] = if on { value } else { 0.0 };
            }
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

/// One, always.
struct Steady;

static STEADY: Descriptor = {
    let mut descriptor = Descriptor::instrument("test.steady", "Steady", &[]);
    descriptor.event_input = false;
    descriptor
};

impl Node for Steady {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        (0..io.output_channels(0)).for_each(|channel| io.output(0, channel).fill(1.0));
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

static INVERT: Descriptor = Descriptor::effect("test.invert", "Invert", &[]);

struct Invert;

impl Node for Invert {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        for channel in 0..io.output_channels(0) {
            io.output(0, channel).iter_mut().for_each(|sample| *sample = -*sample);
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
}

const GAIN_PARAMS: &[ParamDesc] =
    &[ParamDesc::new("gain", "Gain", Unit::Ratio, (0.0, 4.0), 1.0).smoothing(3.0)];
static GAIN: Descriptor = Descriptor::effect("test.gain", "Gain", GAIN_PARAMS);

struct Gain;

impl Node for Gain {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        let ramp = io.param_ramp(0);
        for channel in 0..io.output_channels(0) {
            for (i, sample) in io.output(0, channel).iter_mut().enumerate() {
                *sample = (f64::from(*sample) * ramp.at(i)) as f32;
            }
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
}

struct GainLanes;

impl LaneNode for GainLanes {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut LaneIo<'_>) {
        for channel in 0..io.channels() {
            for i in 0..io.frames() {
                let gain = io.ramp_at(0, i);
                let frame = &mut io.channel(channel)[i];
                *frame = (Lanes::from_f32(*frame) * gain).to_f32();
            }
        }
    }

    fn visit_lane(&mut self, _: usize, _: &mut dyn StateVisitor) {}
    fn reset_lane(&mut self, _: usize) {}
}

const FILTER_PARAMS: &[ParamDesc] =
    &[ParamDesc::new("pace", "Pace", Unit::Ratio, (0.01, 0.9), 0.2).exponential()];
static FILTER: Descriptor = Descriptor::effect("test.filter", "One pole", FILTER_PARAMS);

#[derive(Default)]
struct Filter {
    state: [f64; 2],
}

#[inline(always)]
fn one_pole<L: Lane>(state: &mut L, input: L, pace: L) -> L {
    *state = (*state + (input - *state) * pace).flush();
    *state
}

impl Node for Filter {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        let pace = io.param(0);
        for channel in 0..io.output_channels(0) {
            let mut state = self.state[channel];
            for sample in io.output(0, channel) {
                *sample = one_pole(&mut state, f64::from(*sample), pace) as f32;
            }
            self.state[channel] = state;
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.f64s(&mut self.state);
    }

    fn reset(&mut self) {
        self.state = [0.0; 2];
    }

    fn tail(&self) -> Tail {
        Tail::Frames(1_500)
    }
}

#[derive(Default)]
struct FilterLanes {
    state: [Lanes; 2],
}

impl LaneNode for FilterLanes {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut LaneIo<'_>) {
        let mut pace = Lanes::default();
        for lane in 0..LANES {
            pace.0[lane] = io.param(lane, 0);
        }
        for channel in 0..io.channels() {
            let mut state = self.state[channel];
            for frame in io.channel(channel) {
                *frame = one_pole(&mut state, Lanes::from_f32(*frame), pace).to_f32();
            }
            self.state[channel] = state;
        }
    }

    fn visit_lane(&mut self, lane: usize, visitor: &mut dyn StateVisitor) {
        self.state.iter_mut().for_each(|state| visitor.f64(&mut state.0[lane]));
    }

    fn reset_lane(&mut self, lane: usize) {
        self.state.iter_mut().for_each(|state| state.0[lane] = 0.0);
    }
}

const LATE_PARAMS: &[ParamDesc] =
    &[ParamDesc::new("frames", "Frames", Unit::Frames, (0.0, 5000.0), 100.0).layout()];
static LATE: Descriptor = Descriptor::effect("test.late", "Late", LATE_PARAMS);

/// Gives its input back later and says so.
#[derive(Default)]
struct Late {
    ring: [Vec<f32>; 2],
    at: usize,
}

impl Node for Late {
    fn prepare(&mut self, setup: &Setup) {
        let frames = setup.param(0) as usize;
        self.ring = [vec![0.0; frames], vec![0.0; frames]];
        self.at = 0;
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let size = self.ring[0].len();
        if size == 0 {
            return;
        }
        for channel in 0..io.output_channels(0) {
            for (i, sample) in io.output(0, channel).iter_mut().enumerate() {
                std::mem::swap(sample, &mut self.ring[channel][(self.at + i) % size]);
            }
        }
        self.at = (self.at + io.frames()) % size;
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.ring.iter_mut().for_each(|ring| visitor.f32s(ring));
        visitor.usize(&mut self.at);
    }

    fn reset(&mut self) {
        self.ring.iter_mut().for_each(|ring| ring.fill(0.0));
        self.at = 0;
    }

    fn latency(&self) -> u32 {
        self.ring[0].len() as u32
    }

    fn tail(&self) -> Tail {
        Tail::Frames(self.ring[0].len() as u64)
    }
}

static DUCK: Descriptor = {
    let mut descriptor = Descriptor::effect("test.duck", "Duck", &[]);
    descriptor.inputs = &[Port::MAIN, Port::SIDE_CHAIN];
    descriptor
};

struct Duck;

impl Node for Duck {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        if !io.connected(1) {
            return;
        }
        for channel in 0..io.output_channels(0) {
            let side = io.input_channel(1, channel);
            for (sample, side) in io.output(0, channel).iter_mut().zip(side) {
                *sample *= 1.0 - side.abs();
            }
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
}

static SPLIT: Descriptor = {
    let mut descriptor = Descriptor::effect("test.split", "Mid and side", &[]);
    descriptor.outputs = &[Port::MAIN, Port { id: "side", channels: crate::node::Channels::Mono }];
    descriptor.in_place = false;
    descriptor
};

struct Split;

impl Node for Split {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        for i in 0..io.frames() {
            let read = |channel: usize| io.input_channel(0, channel).get(i).copied().unwrap_or(0.0);
            let (left, right) = (read(0), read(1));
            for channel in 0..io.output_channels(0) {
                io.output(0, channel)[i] = (left + right) * 0.5;
            }
            io.output(1, 0)[i] = (left - right) * 0.5;
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
}

static PLUCK: Descriptor = {
    let mut descriptor = Descriptor::instrument("test.pluck", "Pluck", &[]);
    descriptor.event_output = false;
    descriptor
};

/// One voice that dies away: its level at any frame depends on events alone.
#[derive(Default)]
struct Pluck {
    level: f64,
    sign: f64,
}

impl Node for Pluck {
    fn prepare(&mut self, _: &Setup) {
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let events = io.events();
        let mut next = 0;
        for i in 0..io.frames() {
            while let Some(event) = events.get(next).filter(|event| event.offset as usize <= i) {
                match event.body {
                    EventBody::NoteOn { velocity, key, .. } => {
                        self.level = f64::from(velocity) + f64::from(key) * 0.001;
                    }
                    EventBody::NoteOff { .. } => self.level *= 0.5,
                    _ => self.level = 0.0,
                }
                next += 1;
            }
            self.sign = -self.sign;
            self.level = crate::math::flush(self.level * 0.95);
            let value = (self.level * self.sign) as f32;
            for channel in 0..io.output_channels(0) {
                io.output(0, channel)[i] = value;
            }
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.f64(&mut self.level);
        visitor.f64(&mut self.sign);
    }

    fn reset(&mut self) {
        *self = Pluck { level: 0.0, sign: 1.0 };
    }

    fn tail(&self) -> Tail {
        if self.level == 0.0 { Tail::Frames(0) } else { Tail::Infinite }
    }
}

static ECHO_NOTES: Descriptor = {
    let mut descriptor = Descriptor::instrument("test.notes", "Notes", &[]);
    descriptor.event_output = true;
    descriptor.outputs = &[];
    descriptor
};

/// Passes notes on, a semitone higher.
struct Notes;

impl Node for Notes {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        for event in io.events() {
            let mut event = *event;
            if let EventBody::NoteOn { key, .. } = &mut event.body {
                *key += 1;
            }
            io.emit(event);
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
}

static WOBBLE: Descriptor = {
    let mut descriptor = Descriptor::instrument("test.wobble", "Wobble", &[]);
    descriptor.event_input = false;
    descriptor.outputs = &[];
    descriptor.controls = &["out"];
    descriptor
};

struct Wobble;

impl Node for Wobble {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        let frame = io.frame();
        for (index, offset) in io.grid_points() {
            let phase = (frame + offset as i64) as f64 * 0.003;
            io.set_control(0, index, crate::math::sin(phase) * 0.3);
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
}

const FAIL_PARAMS: &[ParamDesc] =
    &[ParamDesc::choice("how", "How", &["not", "nan", "infinite", "panic"], 0)];
static FAIL: Descriptor = Descriptor::effect("test.fail", "Fail", FAIL_PARAMS);

struct Fail;

impl Node for Fail {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        let bad = match io.param_index(0) {
            1 => f32::NAN,
            2 => f32::INFINITY,
            3 => panic!("this node fails on purpose"),
            _ => return,
        };
        io.output(0, 0)[0] = bad;
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}
    fn reset(&mut self) {}
}

macro_rules! kinds {
    ($($name:ident = $descriptor:ident, $make:expr;)*) => {
        $(static $name: NodeKind = NodeKind::new(&$descriptor, || Box::new($make));)*
    };
}

kinds! {
    NOISE_KIND = NOISE, Noise { seed: 0 };
    STEADY_KIND = STEADY, Steady;
    INVERT_KIND = INVERT, Invert;
    LATE_KIND = LATE, Late::default();
    DUCK_KIND = DUCK, Duck;
    SPLIT_KIND = SPLIT, Split;
    PLUCK_KIND = PLUCK, Pluck::default();
    NOTES_KIND = ECHO_NOTES, Notes;
    WOBBLE_KIND = WOBBLE, Wobble;
    FAIL_KIND = FAIL, Fail;
}

static GAIN_KIND: NodeKind = {
    let mut kind = NodeKind::new(&GAIN, || Box::new(Gain));
    kind.lanes = Some(|| Box::new(GainLanes));
    kind
};

static FILTER_KIND: NodeKind = {
    let mut kind = NodeKind::new(&FILTER, || Box::<Filter>::default());
    kind.lanes = Some(|| Box::<FilterLanes>::default());
    kind
};

pub fn registry() -> Registry {
    [
        &NOISE_KIND,
        &STEADY_KIND,
        &INVERT_KIND,
        &GAIN_KIND,
        &FILTER_KIND,
        &LATE_KIND,
        &DUCK_KIND,
        &SPLIT_KIND,
        &PLUCK_KIND,
        &NOTES_KIND,
        &WOBBLE_KIND,
        &FAIL_KIND,
    ]
    .into_iter()
    .fold(Registry::standard(), Registry::with)
}

pub fn key(number: u32) -> NodeKey {
    let id = AnyId { kind: EntityKind::DspNode, id: EntityId(u128::from(number)) };
    NodeKey { entity: id, role: pulse_schemas::graph::Role::new("n") }
}

/// A graph under construction, nodes by number.
#[derive(Clone, Default, Debug)]
pub struct Sketch {
    pub spec: GraphSpec,
}

impl Sketch {
    pub fn node(&mut self, number: u32, kind: &str) -> &mut Sketch {
        self.node_with(number, kind, &[])
    }

    pub fn node_with(&mut self, number: u32, kind: &str, layout: &[(&str, f64)]) -> &mut Sketch {
        let layout: BTreeMap<String, f64> =
            layout.iter().map(|(id, value)| ((*id).to_owned(), *value)).collect();
        self.spec.nodes.push(NodeSpec {
            key: key(number),
            kind: kind.to_owned(),
            dsp_version: 1,
            layout,
            channels: 2,
            cohort: Cohort::Anticipative,
        });
        self
    }

    pub fn edge(&mut self, from: u32, to: u32) -> &mut Sketch {
        self.edge_ports(from, 0, to, 0)
    }

    pub fn edge_ports(&mut self, from: u32, out: u16, to: u32, port: u16) -> &mut Sketch {
        self.push(from, out, to, Inlet::Port(port), EdgeKind::Audio, None)
    }

    pub fn feedback(&mut self, from: u32, to: u32, frames: u32) -> &mut Sketch {
        self.push(from, 0, to, Inlet::Port(0), EdgeKind::Audio, Some(frames))
    }

    pub fn events(&mut self, from: u32, to: u32) -> &mut Sketch {
        self.push(from, 0, to, Inlet::Port(0), EdgeKind::Event, None)
    }

    pub fn control(&mut self, from: u32, to: u32, param: &str) -> &mut Sketch {
        self.push(from, 0, to, Inlet::Param(param.to_owned()), EdgeKind::Control, None)
    }

    /// Moves a parameter by a share of what the modulator says.
    pub fn control_by(&mut self, from: u32, to: u32, param: &str, depth: f64) -> &mut Sketch {
        self.control(from, to, param);
        if let Some(edge) = self.spec.edges.last_mut() {
            edge.depth = Depth(depth);
        }
        self
    }

    fn push(
        &mut self,
        from: u32,
        from_port: u16,
        to: u32,
        to_port: Inlet,
        kind: EdgeKind,
        feedback_frames: Option<u32>,
    ) -> &mut Sketch {
        self.spec.edges.push(EdgeSpec {
            from: key(from),
            from_port,
            to: key(to),
            to_port,
            kind,
            feedback_frames,
            compensated: true,
            depth: Depth::FULL,
        });
        self
    }

    pub fn output(&mut self, number: u32) -> &mut Sketch {
        let kind = if self.spec.outputs.is_empty() {
            OutputKind::Master
        } else {
            OutputKind::Tap(key(number).entity)
        };
        self.spec.outputs.push(OutputSpec { kind, node: key(number), port: 0 });
        self
    }

    pub fn compile(&self, how: &How) -> Plan {
        let compiler = Compiler::new(registry(), how.rate, how.max_block).unwrap();
        let mut compiler = compiler.parallel(how.threads > 1).lanes(how.lanes);
        compiler.compile(&self.spec).unwrap_or_else(|error| panic!("{error}"))
    }
}

pub fn note(frame: i64, number: u32, on: bool) -> SpecEvent {
    let id = AnyId { kind: EntityKind::Note, id: EntityId(u128::from(number)) };
    let (channel, key, velocity) = (0, 60, 0.5);
    let body = if on {
        SpecEventBody::NoteOn { channel, key, pitch: 60.0, velocity }
    } else {
        SpecEventBody::NoteOff { channel, key, velocity }
    };
    SpecEvent { frame, id, body }
}

/// How a graph is run. The sound must not depend on any of it but the rate.
#[derive(Clone, Debug)]
pub struct How {
    pub rate: u32,
    pub max_block: usize,
    pub cuts: Vec<usize>,
    pub threads: usize,
    pub lanes: bool,
    /// Save and restore into a new executor at these blocks.
    pub restore_at: Vec<usize>,
}

impl Default for How {
    fn default() -> How {
        How {
            rate: 48_000,
            max_block: 512,
            cuts: vec![512],
            threads: 1,
            lanes: true,
            restore_at: vec![],
        }
    }
}

/// Per output, left then right.
pub type Sound = Vec<[Vec<f32>; 2]>;

pub fn run(sketch: &Sketch, slices: &Slices, frames: usize, how: &How) -> Sound {
    let plan = Arc::new(sketch.compile(how));
    let material = Arc::new(Material::bind(&plan, slices, &NoMedia));
    let mut executor = Executor::new(plan.clone(), material.clone());
    let mut crew = (how.threads > 1).then(|| crate::parallel::Crew::new(&plan, how.threads));
    let timeline = SteadyTempo { tempo: 120.0, sample_rate: how.rate };
    let mut sound: Sound = vec![Default::default(); plan.outputs.len()];
    let (mut at, mut turn) = (0, 0);
    while at < frames {
        if how.restore_at.contains(&turn) {
            let saved = executor.save_state();
            executor = Executor::new(plan.clone(), material.clone());
            executor.restore_state(&saved).unwrap();
        }
        let cut = how.cuts[turn % how.cuts.len()].clamp(1, how.max_block).min(frames - at);
        let block = Block::offline(at as i64, cut, &timeline);
        match &mut crew {
            Some(crew) => executor.process_with(crew, &block),
            None => executor.process(&block),
        }
        for (output, sound) in sound.iter_mut().enumerate() {
            for (channel, samples) in sound.iter_mut().enumerate() {
                samples.extend_from_slice(&executor.output(output, channel)[..cut]);
            }
        }
        at += cut;
        turn += 1;
    }
    sound
}

pub fn bits(sound: &Sound) -> Vec<u32> {
    sound.iter().flatten().flatten().map(|sample| sample.to_bits()).collect()
}

/// Everything the executor does, in one graph.
pub fn everything() -> (Sketch, Slices) {
    let (mut sketch, mut slices) = (Sketch::default(), Slices::default());
    for track in 0..11 {
        let base = track * 10;
        sketch.node(base, "test.noise").node(base + 1, "test.filter").node(base + 2, "test.gain");
        sketch.edge(base, base + 1).edge(base + 1, base + 2).edge(base + 2, 900);
        slices.params.set(key(base + 2), "gain", 0.1 * f64::from(track));
        slices.params.set(key(base + 1), "pace", 0.05 + 0.03 * f64::from(track));
    }
    sketch.node_with(200, "test.late", &[("frames", 333.0)]).edge(22, 200).edge(200, 900);
    sketch.node(201, "test.duck").edge(32, 201).edge_ports(200, 0, 201, 1).edge(201, 900);
    sketch.node(202, "test.split").edge(42, 202).edge(202, 900).edge_ports(202, 1, 901, 0);
    sketch.node(300, "test.notes").node(301, "test.pluck").events(300, 301).edge(301, 900);
    sketch.node(302, "test.wobble").node(303, "test.gain").control(302, 303, "gain");
    sketch.edge(301, 303).edge(303, 901);
    // A loop of two nodes, fed from outside.
    sketch.node(400, "test.gain").node(401, "test.filter");
    sketch.edge(52, 400).edge(400, 401).feedback(401, 400, 37).edge(401, 901);
    slices.params.set(key(400), "gain", 0.6);
    sketch.node(900, "test.gain").node(901, "test.filter").edge(901, 900).output(900).output(901);
    let notes = [(10, 1), (500, 2), (511, 3), (2_000, 4), (5_000, 5)];
    let events = slices.events.0.entry(key(300)).or_default();
    for (frame, id) in notes {
        events.push(note(frame, id, true));
        events.push(note(frame + 77, id, false));
    }
    (sketch, slices)
}

/// A render of the profile `Render`.
pub fn render(sketch: &Sketch, slices: &Slices, frames: usize, segment: usize, how: &How) -> Sound {
    let plan = Arc::new(sketch.compile(how));
    let material = Arc::new(Material::bind(&plan, slices, &NoMedia));
    let mut sound: Sound = vec![Default::default(); plan.outputs.len()];
    let profile = Profile::Render { segment_frames: segment as u32 };
    let timeline = Arc::new(SteadyTempo { tempo: 120.0, sample_rate: how.rate });
    let mut renderer = OfflineRenderer::new(plan, material, profile, timeline, how.threads);
    renderer.render(0..frames as i64, &mut |block| {
        assert_eq!(block.frame, sound[block.output][0].len() as i64);
        sound[block.output][0].extend_from_slice(block.left);
        sound[block.output][1].extend_from_slice(block.right);
        true
    });
    sound
}

/// What each port has given so far, in the time of its unit.
pub type Streams = BTreeMap<(u32, u16), [Vec<f32>; 2]>;

/// Samples and how many channels of them count.
type Signal = ([Vec<f32>; 2], u8);

/// The finished sum at a port for `frames` frames from `start`, by groups.
fn port_sum(
    plan: &Plan,
    unit: usize,
    port: SegmentPort,
    start: i64,
    frames: usize,
    streams: &Streams,
) -> [Vec<f32>; 2] {
    let node = plan.find(port.node).unwrap();
    let mut groups: BTreeMap<u32, Vec<Signal>> = BTreeMap::new();
    for input in &plan.units[unit].inputs {
        if (input.to, input.to_port) != (node, port.port) {
            continue;
        }
        let stream = &streams[&(input.node, input.port)];
        let channels = plan.outputs_of(input.node)[usize::from(input.port)].channels;
        let cut = |channel: &Vec<f32>| -> Vec<f32> {
            (start..start + frames as i64)
                .map(|at| usize::try_from(at + input.shift).map_or(0.0, |at| channel[at]))
                .collect()
        };
        let signal = [cut(&stream[0]), cut(&stream[1])];
        groups.entry(input.group).or_default().push((signal, channels));
    }
    let as_slices = |signals: &[Signal]| {
        let signals: Vec<([&[f32]; 2], u8)> =
            signals.iter().map(|([l, r], n)| ([&l[..], &r[..]], *n)).collect();
        sum_signals(&signals, port.channels)
    };
    let sums: Vec<Signal> =
        groups.values().map(|signals| (as_slices(signals), port.channels)).collect();
    as_slices(&sums)
}

/// Renders unit by unit and segment by segment, as a cache would on its first
/// run, and compares with the whole render.
pub fn check_segments(sketch: &Sketch, slices: &Slices, frames: usize, segment: usize) {
    let how = How::default();
    let expect = render(sketch, slices, frames, segment, &how);
    let plan = sketch.compile(&how);
    let mut compiler = Compiler::new(registry(), how.rate, 300).unwrap();
    let mut spec = sketch.spec.clone();
    spec.canonicalise();
    let mut streams = Streams::new();
    // Far enough that every reader finds what it needs.
    let span = frames + plan.latency() as usize * 4 + segment * (plan.units.len() + 2);
    for unit in 0..plan.units.len() {
        let mut runner =
            SegmentRunner::new(&mut compiler, &spec, &plan, unit, slices, &NoMedia).unwrap();
        run_unit(&plan, unit, &mut runner, &mut streams, segment, span, how.rate, |_, _| {});
    }
    for (index, output) in plan.outputs.iter().enumerate() {
        let unit = plan.units.iter().find(|unit| unit.nodes.contains(&output.node)).unwrap();
        let late = (output.latency - unit.arrival) as usize;
        for channel in 0..2 {
            let found = &streams[&(output.node, output.port)][channel][late..late + frames];
            let wanted = &expect[index][channel];
            let differ = (0..frames).find(|&i| found[i].to_bits() != wanted[i].to_bits());
            assert_eq!(differ, None, "output {index}, channel {channel}");
        }
    }
}

/// All segments of a unit whose sources have been run; `each` gets the state before
/// a segment and what it made.
#[allow(clippy::too_many_arguments)]
pub fn run_unit(
    plan: &Plan,
    unit: usize,
    runner: &mut SegmentRunner,
    streams: &mut Streams,
    segment: usize,
    span: usize,
    rate: u32,
    mut each: impl FnMut(Option<&[u8]>, &SegmentSound),
) {
    let profile = Profile::Render { segment_frames: segment as u32 };
    let timeline = SteadyTempo { tempo: 120.0, sample_rate: rate };
    let mut state = None;
    for start in (0..span as i64).step_by(segment) {
        let reachable = plan.units[unit].inputs.iter().all(|input| {
            let have = streams[&(input.node, input.port)][0].len() as i64;
            start + segment as i64 + input.shift <= have
        });
        if !reachable {
            break;
        }
        let sums: Vec<[Vec<f32>; 2]> = (runner.inputs().iter())
            .map(|&port| port_sum(plan, unit, port, start, segment, streams))
            .collect();
        let inputs: Vec<[&[f32]; 2]> = sums.iter().map(|[l, r]| [&l[..], &r[..]]).collect();
        let state_in = state.as_deref();
        let sound = runner.run(state_in, &inputs, start, segment, profile, &timeline).unwrap();
        each(state_in, &sound);
        state = Some(sound.state);
        for (port, new) in runner.outputs().iter().zip(sound.outputs) {
            let node = plan.find(port.node).unwrap();
            let stream = streams.entry((node, port.port)).or_default();
            stream.iter_mut().zip(new).for_each(|(all, new)| all.extend(new));
        }
    }
}
