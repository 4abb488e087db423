//! One definition for a node that also runs eight at a time.
//!
//! A [`Core`] is the DSP of such a node; [`Single`] makes it a [`Node`], [`Batch`] a [`LaneNode`]. A
//! batch keeps eight complete cores: while every lane stands still they run through the wide kernel,
//! and while any lane moves each runs through its own scalar code, so moving parameters need to be
//! right only once. Gathering states costs one pass per call, which a block of frames repays.

use crate::{
    node::{Io, Node, Setup, StateVisitor, Tail},
    param::{GRID, Ramp, cell_start},
    simd::{LANES, LaneFrame, LaneIo, LaneNode},
};

/// The parameters of one core during one call.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    ramps: &'a [Ramp],
    /// Whether any end value differs from the call before.
    pub changed: bool,
    /// Whether any parameter moves; then the call lies within one grid cell.
    pub moving: bool,
    /// Absolute frame of the call's first sample.
    pub frame: i64,
}

impl<'a> Values<'a> {
    pub fn of(io: &Io<'a>) -> Self {
        Self::new(io.ramps, io.params_changed, io.frame)
    }

    fn of_lane(io: &LaneIo<'a>, lane: usize) -> Self {
        Self::new(io.ramps[lane], io.params_changed[lane], io.frame)
    }

    fn new(ramps: &'a [Ramp], changed: bool, frame: i64) -> Self {
        let moving = ramps.iter().any(|ramp| !ramp.is_constant());
        Self { ramps, changed, moving, frame }
    }

    /// The value at the edge of the cell that the call lies in.
    pub fn start(&self, index: usize) -> f64 {
        let ramp = self.ramp(index);
        if ramp.is_constant() { ramp.end } else { ramp.base }
    }

    /// The value that the cell, and a call without motion, ends with.
    pub fn end(&self, index: usize) -> f64 {
        self.ramp(index).end
    }

    pub fn choice(&self, index: usize) -> u64 {
        self.end(index).max(0.0) as u64
    }

    pub fn is_on(&self, index: usize) -> bool {
        self.end(index) >= 0.5
    }

    pub fn ramp(&self, index: usize) -> Ramp {
        self.ramps.get(index).copied().unwrap_or_default()
    }

    /// How far frame `i` of the call is through its cell, 0..1: a walk from what follows of the start
    /// values to what follows of the end values is at this point.
    #[inline(always)]
    pub fn position(&self, i: usize) -> f64 {
        (self.phase() + i) as f64 * (1.0 / GRID as f64)
    }

    fn phase(&self) -> usize {
        (self.frame - cell_start(self.frame)) as usize
    }
}

/// The signal processing of an in-place effect of one or two channels.
pub trait Core: Default + Send + 'static {
    /// What the wide kernel works with beyond the cores: gathered states, say. Not state.
    type Wide: Default + Send;

    fn prepare(&mut self, setup: &Setup);

    /// Brings everything derived from parameters up to date, before each call. True if nothing moves
    /// during the call, so that the wide kernel may run it.
    fn update(&mut self, values: &Values<'_>) -> bool;

    /// Always called on the real-time thread, after `update`. `right` is empty for mono.
    fn process(&mut self, values: &Values<'_>, left: &mut [f32], right: &mut [f32]);

    /// As `process` for eight cores that are at rest. `right` is empty for mono.
    fn process_wide(
        cores: &mut [Self; LANES],
        wide: &mut Self::Wide,
        frame: i64,
        left: &mut [LaneFrame],
        right: &mut [LaneFrame],
    );

    fn visit(&mut self, visitor: &mut dyn StateVisitor);

    fn reset(&mut self);

    fn tail(&self) -> Tail;
}

/// A core as a node.
#[derive(Default)]
pub struct Single<C>(C);

impl<C: Core> Single<C> {
    pub fn boxed() -> Box<dyn Node> {
        Box::new(Self(C::default()))
    }
}

impl<C: Core> Node for Single<C> {
    fn prepare(&mut self, setup: &Setup) {
        self.0.prepare(setup);
        self.0.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let values = Values::of(io);
        self.0.update(&values);
        let (left, right) = io.output_pair(0);
        self.0.process(&values, left, right);
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.0.visit(visitor);
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn tail(&self) -> Tail {
        self.0.tail()
    }
}

/// Eight cores as one.
#[derive(Default)]
pub struct Batch<C: Core> {
    cores: [C; LANES],
    wide: C::Wide,
    /// One lane's audio while lanes run by themselves.
    planes: [Vec<f32>; 2],
}

impl<C: Core> Batch<C> {
    pub fn boxed() -> Box<dyn LaneNode> {
        Box::new(Self::default())
    }

    fn process_lane(&mut self, lane: usize, values: &Values<'_>, io: &mut LaneIo<'_>) {
        let (frames, stereo) = (io.frames(), io.channels() > 1);
        let [left, right] = &mut self.planes;
        let left = &mut left[..frames];
        let right = if stereo { &mut right[..frames] } else { &mut right[..0] };
        let (wide_left, wide_right) = io.pair();
        take_lane(wide_left, lane, left);
        take_lane(wide_right, lane, right);
        self.cores[lane].process(values, left, right);
        put_lane(left, lane, wide_left);
        put_lane(right, lane, wide_right);
    }
}

fn take_lane(wide: &[LaneFrame], lane: usize, plane: &mut [f32]) {
    for (sample, frame) in plane.iter_mut().zip(wide) {
        *sample = frame[lane];
    }
}

fn put_lane(plane: &[f32], lane: usize, wide: &mut [LaneFrame]) {
    for (sample, frame) in plane.iter().zip(wide) {
        frame[lane] = *sample;
    }
}

impl<C: Core> LaneNode for Batch<C> {
    fn prepare(&mut self, setup: &Setup) {
        for core in &mut self.cores {
            core.prepare(setup);
            core.reset();
        }
        self.planes = [vec![0.0; setup.max_block], vec![0.0; setup.max_block]];
    }

    fn process(&mut self, io: &mut LaneIo<'_>) {
        let mut at_rest = true;
        for lane in 0..LANES {
            let values = Values::of_lane(io, lane);
            at_rest &= self.cores[lane].update(&values);
        }
        if at_rest {
            let (frame, stereo) = (io.frame(), io.channels() > 1);
            let (left, right) = io.pair();
            let right = if stereo { right } else { &mut [] };
            return C::process_wide(&mut self.cores, &mut self.wide, frame, left, right);
        }
        for lane in 0..LANES {
            let values = Values::of_lane(io, lane);
            self.process_lane(lane, &values, io);
        }
    }

    fn visit_lane(&mut self, lane: usize, visitor: &mut dyn StateVisitor) {
        self.cores[lane].visit(visitor);
    }

    fn reset_lane(&mut self, lane: usize) {
        self.cores[lane].reset();
    }
}
