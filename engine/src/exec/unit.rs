//! One node and all that the executor remembers about it: parameters in motion,
//! sleep, bypass, faults, events under way. This is what survives a recompile.

use std::any::Any;

use super::{
    delay::{Blend, Ring},
    params::Params,
};
use crate::{
    event::{Event, EventBuffer},
    material::NodeMaterial,
    node::{Node, StateVisitor},
    plan::{Class, Plan, PlanNode},
    state::{Loader, Saver, Visit},
};

/// Sleep is decided on absolute multiples of this: after at least one whole cell
/// of silence, so that a signal never pays for it.
pub(crate) const SLEEP_GRID: i64 = 1024;
/// Length of a bypass crossfade.
const BYPASS_MS: f64 = 5.0;
/// Events that may be under way to a node, and that it may get or send per block.
pub(crate) const EVENTS: usize = 1024;

/// Why a node was taken out of the signal path.
pub(crate) enum Fault {
    NotFinite,
    Panic(Option<Box<dyn Any + Send>>),
}

/// A change of a parameter at a frame in the node's time.
#[derive(Clone, Copy)]
pub(crate) struct ParamEvent {
    pub frame: i64,
    pub param: u32,
    pub value: f64,
}

pub(crate) struct Unit {
    /// None for a kind that this build doesn't know.
    pub node: Option<Box<dyn Node>>,
    /// The state of such a kind, kept as it came.
    pub opaque: Vec<u8>,
    pub params: Params,
    /// Frames since the input was last heard.
    pub quiet: u64,
    pub asleep: bool,
    /// Not begun yet: silent, and hears nothing.
    pub held: bool,
    pub may_sleep: bool,
    pub bypass: bool,
    /// 0 is the node's output, 1 is its input.
    pub bypass_position: f64,
    pub bypass_step: f64,
    pub fault: Option<Fault>,
    pub fault_told: bool,
    /// Events by frame in the node's time.
    pub pending: Vec<(i64, Event)>,
    pub pending_params: Vec<ParamEvent>,
    /// Events of the current range, by offset from its start.
    pub events: EventBuffer,
    pub call_events: EventBuffer,
    /// Events sent in the current block, by offset from its start.
    pub emitted: EventBuffer,
    /// Control outputs by grid point.
    pub controls: Vec<Vec<f64>>,
    /// Values of one call, before they go into the rings.
    pub control_scratch: Vec<Vec<f64>>,
    /// The input, late by the node's latency, for bypass.
    pub dry: Option<Ring>,
    /// What the playing flag was, because automation follows it.
    pub was_playing: bool,
    /// The last sample of each input channel, to hide the seam of an edit.
    pub last_input: [f32; 2],
    pub seam: Seam,
    pub joining: Joining,
}

/// A node with latency that joined a running plan has nothing to say at first.
/// Until then its readers hear what they heard before the edit.
#[derive(Clone, Copy, Default)]
pub(crate) struct Joining {
    pub blend: Blend,
    /// It came in between two nodes: its input is what was heard before.
    pub between: bool,
}

/// A step between two plans, fading out.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seam {
    pub offset: [f32; 2],
    pub left: u32,
    pub length: u32,
    /// The offset still has to be measured at the next sample.
    pub fresh: bool,
}

impl Seam {
    pub fn open(&mut self, frames: u32) {
        *self = Seam { offset: [0.0; 2], left: frames, length: frames, fresh: true };
    }

    /// `last` is the sample before the first of these.
    pub fn apply(&mut self, channel: usize, last: f32, samples: &mut [f32]) {
        if self.fresh {
            self.offset[channel] = last - samples[0];
        }
        let length = self.length as f32;
        for (i, sample) in samples.iter_mut().enumerate().take(self.left as usize) {
            *sample += self.offset[channel] * ((self.left - i as u32) as f32 / length);
        }
    }

    /// The same for one lane of a block.
    pub fn apply_lane(
        &mut self,
        channel: usize,
        last: f32,
        lane: usize,
        frames: &mut [[f32; crate::simd::LANES]],
    ) {
        if self.fresh {
            self.offset[channel] = last - frames[0][lane];
        }
        let length = self.length as f32;
        for (i, frame) in frames.iter_mut().enumerate().take(self.left as usize) {
            frame[lane] += self.offset[channel] * ((self.left - i as u32) as f32 / length);
        }
    }

    pub fn advance(&mut self, frames: usize) {
        self.fresh = false;
        self.left = self.left.saturating_sub(frames.min(u32::MAX as usize) as u32);
    }
}

impl Unit {
    pub fn new(plan: &Plan, planned: &PlanNode, class: &Class) -> Unit {
        let descriptor = class.kind.map(|kind| kind.descriptor);
        let mut modulated: Vec<u32> =
            planned.modulations.iter().map(|modulation| modulation.param).collect();
        modulated.dedup();
        let has_events = descriptor.is_some_and(|d| d.event_input);
        let sends = descriptor.is_some_and(|d| d.event_output);
        let capacity = |used: bool| if used { EVENTS } else { 0 };
        let controls = descriptor.map_or(0, |d| d.controls.len());
        let fade_frames = BYPASS_MS * 0.001 * f64::from(plan.sample_rate);
        let inputs = descriptor.map_or(1, |d| d.inputs.len());
        Unit {
            node: None,
            opaque: vec![],
            params: Params::new(descriptor, &modulated, plan.sample_rate),
            quiet: 0,
            asleep: false,
            held: false,
            may_sleep: (inputs > 0 || has_events) && controls == 0 && !sends,
            bypass: false,
            bypass_position: 0.0,
            bypass_step: 1.0 / fade_frames.max(1.0),
            fault: None,
            fault_told: false,
            pending: Vec::with_capacity(capacity(has_events)),
            pending_params: Vec::with_capacity(64),
            events: EventBuffer::new(capacity(has_events)),
            call_events: EventBuffer::new(capacity(has_events)),
            emitted: EventBuffer::new(capacity(sends)),
            controls: vec![vec![0.0; planned.control_ring.max(1) as usize]; controls],
            control_scratch: vec![vec![0.0; plan.max_block / 16 + 2]; controls],
            dry: (class.latency > 0).then(|| Ring::new(class.latency as usize, plan.max_block)),
            was_playing: true,
            last_input: [0.0; 2],
            seam: Seam::default(),
            joining: Joining::default(),
        }
    }

    /// Makes and prepares the node itself.
    pub fn make(&mut self, plan: &Plan, planned: &PlanNode, class: &Class) {
        if let Some(kind) = class.kind {
            let mut node = (kind.make)();
            node.prepare(&class.setup(plan.sample_rate, plan.max_block, seed(planned)));
            self.node = Some(node);
        }
    }

    /// Takes all values at once.
    pub fn start(&mut self, material: &NodeMaterial) {
        self.params.start(material);
        self.bypass = material.bypass;
        self.bypass_position = if material.bypass { 1.0 } else { 0.0 };
    }

    /// Takes new values smoothly.
    pub fn follow(&mut self, material: &NodeMaterial) {
        self.params.follow(material);
        self.bypass = material.bypass;
    }

    pub fn fully_bypassed(&self) -> bool {
        self.fault.is_some() || (self.bypass && self.bypass_position >= 1.0)
    }

    pub fn half_bypassed(&self) -> bool {
        self.fault.is_none() && (self.bypass_position > 0.0 || self.bypass)
    }

    /// As if nothing had been heard.
    pub fn reset_all(&mut self, material: &NodeMaterial) {
        if let Some(node) = &mut self.node {
            node.reset();
        }
        if let Some(dry) = &mut self.dry {
            dry.clear();
        }
        self.quiet = 0;
        self.asleep = false;
        self.held = false;
        self.pending.clear();
        self.pending_params.clear();
        self.emitted.clear();
        self.controls.iter_mut().for_each(|ring| ring.fill(0.0));
        self.seam = Seam::default();
        self.joining = Joining::default();
        self.last_input = [0.0; 2];
        self.start(material);
        self.params.disturb();
        self.params.changed = true;
    }

    /// Frames until a bypass crossfade has ended.
    pub fn bypass_left(&self) -> usize {
        let way = if self.bypass { 1.0 - self.bypass_position } else { self.bypass_position };
        let frames = way / self.bypass_step;
        (libm::ceil(frames) as usize).max(1)
    }

    /// One frame on. Returns the share of the dry signal.
    #[inline]
    pub fn bypass_tick(&mut self) -> f64 {
        let step = if self.bypass { self.bypass_step } else { -self.bypass_step };
        self.bypass_position = (self.bypass_position + step).clamp(0.0, 1.0);
        self.bypass_position
    }

    /// What the executor remembers, without the node's own state.
    fn visit_header(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.u64(&mut self.quiet);
        visitor.bool(&mut self.asleep);
        visitor.bool(&mut self.bypass);
        visitor.f64(&mut self.bypass_position);
        self.params.visit(visitor);
        self.controls.iter_mut().for_each(|ring| visitor.f64s(ring));
    }

    /// Everything as bytes: header, events under way, dry line, then the node.
    pub fn save(&mut self, out: &mut Vec<u8>, node: impl FnOnce(&mut Unit, &mut Vec<u8>)) {
        self.visit_header(&mut Saver(out));
        let mut count = self.pending.len() as u64;
        let mut saver = Saver(out);
        saver.u64(&mut count);
        for (frame, event) in &mut self.pending {
            saver.i64(frame);
            event.visit(&mut saver);
        }
        if let Some(dry) = &mut self.dry {
            dry.save(&mut Saver(out));
        }
        match self.node {
            Some(_) => node(self, out),
            None => out.extend_from_slice(&self.opaque),
        }
    }

    /// Reads what `save` wrote; the rest of the bytes belongs to the node.
    pub fn load<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let mut loader = Loader::new(bytes);
        self.visit_header(&mut loader);
        let mut count = 0;
        loader.u64(&mut count);
        self.pending.clear();
        for _ in 0..(count as usize).min(self.pending.capacity()) {
            let (mut frame, mut event) = (0, Event::NOTHING);
            loader.i64(&mut frame);
            event.visit(&mut loader);
            self.pending.push((frame, event));
        }
        if let Some(dry) = &mut self.dry {
            dry.load(&mut loader);
        }
        self.params.loaded();
        self.joining = Joining::default();
        let rest = loader.rest()?;
        if self.node.is_none() {
            self.opaque = rest.to_vec();
        }
        Some(rest)
    }

    /// Rounds what is recursive; parameters have closed forms and stay.
    pub fn round(&mut self) {
        if let Some(node) = &mut self.node {
            crate::state::round_state(&mut **node);
        }
    }
}

/// A node's random numbers follow from its identity.
fn seed(planned: &PlanNode) -> u64 {
    let id = planned.key.entity.id.0;
    let role = u64::from_be_bytes(planned.key.role.to_bytes());
    crate::math::random_u64((id >> 64) as u64 ^ id as u64, role)
}

impl Visit for Event {
    fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        let mut words = self.to_words();
        words.iter_mut().for_each(|word| visitor.u64(word));
        *self = Event::from_words(words);
    }
}
