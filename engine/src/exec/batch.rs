//! Runs up to eight identical chains at once. Each lane keeps the unit of its
//! node, with its own parameters, sleep and bypass, so a lane does at every frame
//! what the node alone would do; only the arithmetic is shared.

// A lane is an index into several arrays at once.
#![allow(clippy::needless_range_loop)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Block, Core,
    memory::Buffers,
    node::{enter, next_sleep_point, prepare_block, span, wake},
    scan::finite_lanes,
    unit::{Fault, SLEEP_GRID, Unit},
};
use crate::{
    node::{MAX_CHANNELS, Tail},
    plan::{Plan, PlanBatch},
    simd::{LANES, LaneFrame, LaneIo, LaneNode},
    state::{Loader, Saver},
};

/// The running form of a [`PlanBatch`].
pub(crate) struct BatchRun {
    /// One per stage of the chain.
    pub stages: Vec<Box<dyn LaneNode>>,
    dry: [Vec<LaneFrame>; MAX_CHANNELS],
    /// Room for the state of one node, when state moves.
    scratch: Vec<u8>,
}

impl BatchRun {
    pub fn new(plan: &Plan, batch: &PlanBatch) -> BatchRun {
        let mut stages: Vec<Box<dyn LaneNode>> = Vec::with_capacity(batch.stages.len());
        for &class in &batch.stages {
            let class = &plan.classes[class as usize];
            if let Some(make) = class.kind.and_then(|kind| kind.lanes) {
                let mut node = make();
                node.prepare(&class.setup(plan.sample_rate, plan.max_block, 0));
                stages.push(node);
            }
        }
        let block = || vec![[0.0; LANES]; plan.max_block];
        BatchRun { stages, dry: [block(), block()], scratch: Vec::new() }
    }

    /// Makes room for the state of any of these nodes, so that moving it later
    /// allocates nothing.
    pub fn reserve(&mut self, bytes: usize) {
        self.scratch.reserve(bytes);
    }

    /// The state of a lane goes into its node. Real-time safe after `reserve`.
    pub fn lane_to_node(&mut self, stage: usize, lane: usize, unit: &mut Unit) {
        self.scratch.clear();
        self.stages[stage].visit_lane(lane, &mut Saver(&mut self.scratch));
        if let Some(node) = &mut unit.node {
            node.visit_state(&mut Loader::new(&self.scratch));
        }
        // The node has not run, so what follows from its parameters is not there yet.
        unit.params.changed = true;
    }

    /// The state of a node goes into its lane. Real-time safe after `reserve`.
    pub fn node_to_lane(&mut self, stage: usize, lane: usize, unit: &mut Unit) {
        self.scratch.clear();
        if let Some(node) = &mut unit.node {
            node.visit_state(&mut Saver(&mut self.scratch));
        }
        self.stages[stage].visit_lane(lane, &mut Loader::new(&self.scratch));
        unit.params.changed = true;
    }
}

/// One stage of a batch over one range.
struct StageRun<'a, 'u> {
    core: &'a Core,
    batch: &'a PlanBatch,
    stage: usize,
    units: [Option<&'u mut Unit>; LANES],
    block: [&'a mut [LaneFrame]; MAX_CHANNELS],
    channels: usize,
}

/// Always called on the real-time thread.
#[allow(unsafe_code)]
pub(crate) fn run_batch(
    core: &Core,
    run: &mut BatchRun,
    batch: &PlanBatch,
    buffers: Buffers<'_>,
    block: &Block<'_>,
    off: usize,
    len: usize,
) {
    let channels = usize::from(batch.channels);
    for channel in 0..channels {
        // SAFETY: the plan gives this batch its block for itself.
        unsafe { buffers.turn(batch.block, channel, off, len) };
    }
    for stage in 0..batch.stages.len() {
        let mut units: [Option<&mut Unit>; LANES] = Default::default();
        for (lane, chain) in batch.members.iter().enumerate() {
            // SAFETY: a node is a member of one batch, which one worker runs.
            let unit = unsafe { core.units.get(chain[stage] as usize) };
            prepare_block(unit, block, off);
            units[lane] = Some(unit);
        }
        let mut audio: [&mut [LaneFrame]; MAX_CHANNELS] = Default::default();
        for (channel, audio) in audio.iter_mut().enumerate().take(channels) {
            // SAFETY: the plan gives this batch its block for itself.
            *audio = unsafe { buffers.block(batch.block, channel, off, len) };
        }
        hide_seams(&mut units, &mut audio[..channels], stage > 0);
        let mut stage_run = StageRun { core, batch, stage, units, block: audio, channels };
        let start = core.plan.local_frame(batch.members[0][stage], block.frame) + off as i64;
        let mut at = 0;
        while at < len {
            at += stage_run.step(run, block, start + at as i64, at, len - at);
        }
    }
}

/// What packing does for the head of a chain, for the stages behind it: an edit may
/// have put something between them. `inner` is false for the heads.
fn hide_seams(units: &mut [Option<&mut Unit>; LANES], audio: &mut [&mut [LaneFrame]], inner: bool) {
    for (lane, unit) in units.iter_mut().enumerate().filter(|_| inner) {
        let Some(unit) = unit else { continue };
        let mut frames = 0;
        for (channel, samples) in audio.iter_mut().enumerate() {
            frames = samples.len();
            if unit.seam.left > 0 {
                unit.seam.apply_lane(channel, unit.last_input[channel], lane, samples);
            }
            unit.last_input[channel] = samples.last().map_or(0.0, |frame| frame[lane]);
        }
        unit.seam.advance(frames);
    }
}

impl StageRun<'_, '_> {
    fn step(
        &mut self,
        run: &mut BatchRun,
        block: &Block<'_>,
        frame: i64,
        at: usize,
        left: usize,
    ) -> usize {
        let mut frames = left;
        for lane in 0..self.batch.members.len() {
            frames = frames.min(self.enter_lane(block, lane, frame));
        }
        for lane in 0..self.batch.members.len() {
            frames = frames.min(self.wake_lane(run, lane, at, frames));
        }
        let grid = self.sleep_cut(frame, at, &mut frames);
        let mut quiet = [0u64; LANES];
        for (lane, quiet) in quiet.iter_mut().enumerate().take(self.batch.members.len()) {
            *quiet = self.quiet_after(lane, at, frames);
        }
        self.process(run, frame, at, frames);
        for lane in 0..self.batch.members.len() {
            if let Some(unit) = &mut self.units[lane] {
                unit.quiet = quiet[lane];
            }
            if grid == Some(frames) {
                self.fall_asleep(run, lane);
            }
        }
        frames
    }

    /// Parameters up to date; returns the frames until they need attention.
    fn enter_lane(&mut self, block: &Block<'_>, lane: usize, frame: i64) -> usize {
        let node = self.batch.members[lane][self.stage];
        let class = self.core.plan.class(node);
        let (Some(kind), Some(unit)) = (class.kind, &mut self.units[lane]) else {
            return usize::MAX;
        };
        let planned = &self.core.plan.nodes[node as usize];
        let material = &*self.core.material.nodes[node as usize];
        enter(self.core, planned, unit, kind.descriptor, material, block, frame);
        let mut frames = span(unit, frame);
        if unit.half_bypassed() && !unit.fully_bypassed() {
            frames = frames.min(unit.bypass_left());
        }
        frames
    }

    /// Wakes a lane at its first sound, or says how long it still sleeps.
    fn wake_lane(&mut self, run: &mut BatchRun, lane: usize, at: usize, frames: usize) -> usize {
        let unit = self.units[lane].as_ref();
        let asleep = unit.is_some_and(|unit| unit.asleep && !unit.held && !unit.fully_bypassed());
        if !asleep {
            return frames;
        }
        let block = &self.block[..self.channels];
        let sounds = |i: &usize| block.iter().any(|channel| channel[*i][lane] != 0.0);
        match (at..at + frames).find(sounds) {
            None => frames,
            Some(sound) if sound == at => {
                if let Some(unit) = &mut self.units[lane] {
                    wake(unit);
                }
                run.stages[self.stage].reset_lane(lane);
                frames
            }
            Some(sound) => sound - at,
        }
    }

    /// The next sleep point, when some lane could fall asleep there.
    fn sleep_cut(&self, frame: i64, at: usize, frames: &mut usize) -> Option<usize> {
        let any = self.units.iter().flatten().find(|unit| unit.may_sleep)?;
        let point = next_sleep_point(any, frame, *frames)?;
        let could = (0..self.batch.members.len()).any(|lane| {
            let awake = self.units[lane].as_ref().is_some_and(|u| !u.asleep && !u.fully_bypassed());
            awake && self.quiet_after(lane, at, point) >= SLEEP_GRID as u64
        });
        if could {
            *frames = point;
        }
        Some(point)
    }

    fn quiet_after(&self, lane: usize, at: usize, frames: usize) -> u64 {
        let Some(unit) = &self.units[lane] else { return 0 };
        if unit.held || unit.asleep || unit.fully_bypassed() {
            return unit.quiet;
        }
        let mut quiet = frames;
        for channel in &self.block[..self.channels] {
            let samples = channel[at..at + frames].iter().rev();
            quiet = quiet.min(samples.take_while(|frame| frame[lane] == 0.0).count());
        }
        if quiet == frames { unit.quiet + frames as u64 } else { quiet as u64 }
    }

    fn idle(&self, lane: usize) -> bool {
        self.units[lane]
            .as_ref()
            .is_none_or(|unit| unit.held || unit.asleep || unit.fully_bypassed())
    }

    /// Whether the block may stay as it is: every lane passes its input, or has
    /// silence for it.
    fn all_rest(&self, idle: &[bool; LANES]) -> bool {
        idle.iter().all(|&idle| idle) && !self.units.iter().flatten().any(|unit| unit.held)
    }

    /// What sleepers hear is silent, but may have negative zeros, which the single
    /// node would not pass on.
    fn silence_sleepers(&mut self, at: usize, frames: usize) {
        let members = self.batch.members.len();
        let sleeps = |unit: &Option<&mut Unit>| unit.as_ref().is_some_and(|u| !u.fully_bypassed());
        if self.units[..members].iter().all(sleeps) {
            for channel in &mut self.block[..self.channels] {
                channel[at..at + frames].fill([0.0; LANES]);
            }
            return;
        }
        for lane in (0..members).filter(|&lane| sleeps(&self.units[lane])) {
            for channel in &mut self.block[..self.channels] {
                channel[at..at + frames].iter_mut().for_each(|frame| frame[lane] = 0.0);
            }
        }
    }

    fn process(&mut self, run: &mut BatchRun, frame: i64, at: usize, frames: usize) {
        let members = self.batch.members.len();
        let mut idle = [true; LANES];
        for (lane, idle) in idle.iter_mut().enumerate().take(members) {
            *idle = self.idle(lane);
        }
        if self.all_rest(&idle) {
            return self.silence_sleepers(at, frames);
        }
        let bypassing =
            self.units.iter().flatten().any(|unit| unit.half_bypassed() || unit.fully_bypassed());
        if bypassing {
            for channel in 0..self.channels {
                run.dry[channel][..frames].copy_from_slice(&self.block[channel][at..at + frames]);
            }
        }
        self.silence_empty_lanes(&idle, at, frames);
        self.call(run, frame, at, frames);
        for lane in 0..members {
            self.finish_lane(run, lane, idle[lane], at, frames);
        }
    }

    /// Bypassed lanes carry sound that the kernel must not hear: it would move
    /// a state that has to stay as after a reset.
    fn silence_empty_lanes(&mut self, idle: &[bool; LANES], at: usize, frames: usize) {
        for lane in (0..LANES).filter(|&lane| idle[lane]) {
            for channel in &mut self.block[..self.channels] {
                channel[at..at + frames].iter_mut().for_each(|frame| frame[lane] = 0.0);
            }
        }
    }

    fn call(&mut self, run: &mut BatchRun, frame: i64, at: usize, frames: usize) {
        let mut params_changed = [false; LANES];
        for (changed, unit) in params_changed.iter_mut().zip(&mut self.units) {
            if let Some(unit) = unit {
                *changed = std::mem::take(&mut unit.params.changed);
            }
        }
        // Empty lanes follow the first, so that they never need a set of coefficients that nobody
        // else has.
        let first = params_changed[0];
        params_changed[self.batch.members.len()..].fill(first);
        let first = self.units.first().and_then(Option::as_deref);
        let ramps = self
            .units
            .each_ref()
            .map(|unit| unit.as_deref().or(first).map_or(&[][..], |unit| &unit.params.ramps[..]));
        let [left, right] = &mut self.block;
        let right_end = if self.channels > 1 { at + frames } else { 0 };
        let right_start = right_end.saturating_sub(if self.channels > 1 { frames } else { 0 });
        let mut io = LaneIo {
            frames,
            frame,
            channels: [&mut left[at..at + frames], &mut right[right_start..right_end]],
            count: self.channels,
            ramps,
            params_changed,
        };
        let stage = &mut run.stages[self.stage];
        let ended = catch_unwind(AssertUnwindSafe(|| stage.process(&mut io)));
        let mut finite = [true; LANES];
        if let Err(payload) = ended {
            // Which lane it was can't be known, so all of them are out.
            let mut payload = Some(payload);
            for lane in 0..self.batch.members.len() {
                self.fault(run, lane, Fault::Panic(payload.take()), at, frames);
            }
            return;
        }
        for channel in &self.block[..self.channels] {
            finite_lanes(&channel[at..at + frames], &mut finite);
        }
        for lane in 0..self.batch.members.len() {
            if !finite[lane] {
                self.fault(run, lane, Fault::NotFinite, at, frames);
            }
        }
    }

    fn fault(&mut self, run: &mut BatchRun, lane: usize, fault: Fault, at: usize, frames: usize) {
        for channel in &mut self.block[..self.channels] {
            channel[at..at + frames].iter_mut().for_each(|frame| frame[lane] = 0.0);
        }
        run.stages[self.stage].reset_lane(lane);
        if let Some(unit) = &mut self.units[lane] {
            unit.fault = Some(fault);
        }
        self.core.faults.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Mixes in the input where bypass asks for it.
    fn finish_lane(
        &mut self,
        run: &mut BatchRun,
        lane: usize,
        was_idle: bool,
        at: usize,
        frames: usize,
    ) {
        let Some(unit) = &mut self.units[lane] else { return };
        if was_idle {
            let bypassed = unit.fully_bypassed() && !unit.held;
            for (channel, dry) in self.block[..self.channels].iter_mut().zip(&run.dry) {
                for i in 0..frames {
                    channel[at + i][lane] = if bypassed { dry[i][lane] } else { 0.0 };
                }
            }
            return;
        }
        if !unit.half_bypassed() {
            return;
        }
        for i in 0..frames {
            let share = unit.bypass_tick();
            for (channel, dry) in self.block[..self.channels].iter_mut().zip(&run.dry) {
                let (wet, dry) = (&mut channel[at + i][lane], f64::from(dry[i][lane]));
                *wet = (f64::from(*wet) * (1.0 - share) + dry * share) as f32;
            }
        }
        if unit.bypass && unit.bypass_position >= 1.0 {
            run.stages[self.stage].reset_lane(lane);
            unit.quiet = 0;
            unit.params.changed = true;
        }
    }

    fn fall_asleep(&mut self, run: &mut BatchRun, lane: usize) {
        let Some(unit) = &mut self.units[lane] else { return };
        let resting = unit.held || unit.asleep || unit.fully_bypassed();
        let silent = unit.quiet >= SLEEP_GRID as u64 && !resting;
        // The single node is not the one that runs, but knows its tail.
        let over = match unit.node.as_ref().map(|node| node.tail()) {
            Some(Tail::Frames(tail)) => unit.quiet >= tail,
            _ => {
                unit.quiet = unit.quiet.min(SLEEP_GRID as u64);
                false
            }
        };
        if silent && over && unit.may_sleep {
            run.stages[self.stage].reset_lane(lane);
            unit.quiet = 0;
            unit.asleep = true;
        }
    }
}
