//! Renders a plan from one frame to another as fast as the machine can, in a
//! memory that doesn't grow with the length.

use std::{ops::Range, sync::Arc};

use super::Profile;
use crate::{
    exec::{Block, Executor, FaultReport},
    material::Material,
    parallel::Crew,
    plan::Plan,
    transport::Timeline,
};

/// A piece of one output. Pieces of an output come in order and without gaps;
/// those of different outputs take turns.
#[derive(Clone, Copy, Debug)]
pub struct OutputBlock<'a> {
    /// Index into the plan's outputs.
    pub output: usize,
    /// The frame of the song of the first sample: latency has been taken out.
    pub frame: i64,
    pub left: &'a [f32],
    pub right: &'a [f32],
}

/// One render of one plan.
pub struct OfflineRenderer {
    executor: Executor,
    crew: Option<Crew>,
    profile: Profile,
    /// By unit: how many segments of the profile are one of it; the others have one.
    multiples: Vec<u32>,
    timeline: Arc<dyn Timeline + Send + Sync>,
}

impl OfflineRenderer {
    /// For more than one thread the plan must be compiled for several workers, or
    /// it will run on one; the sound is the same.
    pub fn new(
        plan: Arc<Plan>,
        material: Arc<Material>,
        profile: Profile,
        timeline: Arc<dyn Timeline + Send + Sync>,
        threads: usize,
    ) -> OfflineRenderer {
        let crew = (threads > 1 && plan.tasks.len() > 1).then(|| Crew::new(&plan, threads));
        let executor = Executor::new(plan, material);
        OfflineRenderer { executor, crew, profile, multiples: vec![], timeline }
    }

    /// Units with longer segments than the profile's, as so many of those.
    pub fn lengthen(mut self, multiples: Vec<u32>) -> OfflineRenderer {
        self.multiples = multiples;
        self
    }

    fn segment(&self, unit: usize, segment_frames: u32) -> i64 {
        let multiple = self.multiples.get(unit).copied().unwrap_or(1);
        i64::from(segment_frames.max(1)) * i64::from(multiple.max(1))
    }

    /// Renders frames of the song, from silence before the first, in blocks of the
    /// plan's length. Stops early when `sink` says false; true when it ran to the
    /// end.
    pub fn render(
        &mut self,
        range: Range<i64>,
        sink: &mut dyn FnMut(OutputBlock<'_>) -> bool,
    ) -> bool {
        self.executor.reset();
        let plan = self.executor.plan().clone();
        let timeline = self.timeline.clone();
        // A unit begins when its own clock reaches the start, not before.
        for unit in plan.units.iter().filter(|unit| unit.arrival > 0) {
            unit.nodes.iter().for_each(|&node| self.executor.hold_node(node));
        }
        let mut frame = range.start;
        let end = range.end + i64::from(plan.latency());
        while frame < end {
            self.pass_boundaries(frame, range.start);
            let most = (end - frame).min(plan.max_block as i64);
            let frames = self.until_boundary(frame, range.start).min(most);
            let block = Block::offline(frame, frames as usize, &*timeline);
            match &mut self.crew {
                Some(crew) => self.executor.process_with(crew, &block),
                None => self.executor.process(&block),
            }
            if !self.hand_out(&plan, &range, frame, frames, sink) {
                return false;
            }
            frame += frames;
        }
        true
    }

    /// Nodes that failed during the render.
    pub fn faults(&mut self) -> Vec<FaultReport> {
        self.executor.faults()
    }

    /// Each unit begins afresh when its own clock reaches the start, and is
    /// rounded whenever it passes a multiple of the segment length.
    fn pass_boundaries(&mut self, frame: i64, start: i64) {
        let plan = self.executor.plan().clone();
        for (index, unit) in plan.units.iter().enumerate() {
            let own = frame - i64::from(unit.arrival);
            if own == start && unit.arrival > 0 {
                unit.nodes.iter().for_each(|&node| self.executor.reset_node(node));
            }
            let Profile::Render { segment_frames } = self.profile else { continue };
            if own > start && own.rem_euclid(self.segment(index, segment_frames)) == 0 {
                unit.nodes.iter().for_each(|&node| self.executor.round_node(node));
            }
        }
    }

    /// Frames to the next instant at which some unit needs attention.
    fn until_boundary(&self, frame: i64, start: i64) -> i64 {
        let plan = self.executor.plan();
        let next = plan.units.iter().enumerate().map(|(index, unit)| {
            let own = frame - i64::from(unit.arrival);
            if own < start {
                return start - own;
            }
            match self.profile {
                Profile::Live => i64::MAX,
                Profile::Render { segment_frames } => {
                    let segment = self.segment(index, segment_frames);
                    segment - own.rem_euclid(segment)
                }
            }
        });
        next.min().unwrap_or(i64::MAX)
    }

    fn hand_out(
        &mut self,
        plan: &Plan,
        range: &Range<i64>,
        frame: i64,
        frames: i64,
        sink: &mut dyn FnMut(OutputBlock<'_>) -> bool,
    ) -> bool {
        for (index, output) in plan.outputs.iter().enumerate() {
            let song = frame - i64::from(output.latency);
            let (from, to) = (song.max(range.start), (song + frames).min(range.end));
            if from >= to {
                continue;
            }
            let part = (from - song) as usize..(to - song) as usize;
            let [left, right] = self.executor.output_pair(index);
            let (left, right) = (&left[part.clone()], &right[part]);
            if !sink(OutputBlock { output: index, frame: from, left, right }) {
                return false;
            }
        }
        true
    }
}
