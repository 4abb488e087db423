//! Runs a plan: the same code for the audio thread, for offline renders and for
//! one segment of a cached render, so that they can't differ.
//!
//! An [`Executor`] owns the plan's buffers and the state of its nodes. Building
//! one, and taking it apart, allocates and happens off the audio thread;
//! `process` and `adopt` never do. A recompile builds a second executor which
//! then adopts the state of the first, node by node.

mod adopt;
mod batch;
mod checkpoint;
mod delay;
mod join;
mod live;
mod memory;
mod node;
mod ops;
mod params;
pub mod profile;
mod scan;
mod state;
mod unit;

use std::sync::{Arc, atomic::AtomicU64};

use crate::{
    event::Event,
    material::Material,
    node::MAX_CHANNELS,
    plan::{Plan, StateKey},
    transport::{Timeline, Transport},
};
use batch::BatchRun;
use delay::Line;
use memory::{Arena, Cells};
use profile::Profile;
use unit::{Fault, ParamEvent, Unit};

pub(crate) use checkpoint::{Checkpoint, Fragment};
pub(crate) use ops::run_task;
pub use state::{RestoreError, SavedState};

/// One call of the executor.
pub struct Block<'a> {
    /// The absolute frame of the first sample.
    pub frame: i64,
    /// 1 to the plan's `max_block`.
    pub frames: usize,
    pub timeline: &'a dyn Timeline,
    /// One slice per channel of the audio device; empty offline.
    pub device_inputs: &'a [&'a [f32]],
    /// Whether nodes may wait for media: true offline, false on the audio thread.
    pub may_wait: bool,
    transport: Transport,
}

impl<'a> Block<'a> {
    /// A block as an offline render has it.
    pub fn offline(frame: i64, frames: usize, timeline: &'a dyn Timeline) -> Block<'a> {
        let transport = timeline.at(frame);
        Block { frame, frames, timeline, device_inputs: &[], may_wait: true, transport }
    }

    /// A block as the audio thread has it.
    pub fn live(
        frame: i64,
        frames: usize,
        timeline: &'a dyn Timeline,
        device_inputs: &'a [&'a [f32]],
    ) -> Block<'a> {
        let transport = timeline.at(frame);
        Block { frame, frames, timeline, device_inputs, may_wait: false, transport }
    }

    /// The transport for a call at a node's own frame.
    fn transport_at(&self, exact: bool, frame: i64, from: usize) -> Transport {
        let mut transport = if exact { self.timeline.at(frame) } else { self.transport };
        if !exact && transport.playing {
            transport.song_frame += frame - self.frame;
        }
        transport.jumped = self.transport.jumped && from == 0;
        transport
    }
}

/// All that the workers of one executor share.
pub(crate) struct Core {
    pub plan: Arc<Plan>,
    pub material: Arc<Material>,
    pub units: Cells<Unit>,
    pub lines: Cells<Line>,
    pub batches: Cells<BatchRun>,
    pub outputs: Cells<[Vec<f32>; MAX_CHANNELS]>,
    pub shared: Arena,
    pub faults: AtomicU64,
    pub profile: Option<Arc<Profile>>,
}

/// What one worker has for itself.
pub(crate) struct Scratch {
    pub local: Arena,
    pub dry: [Vec<f32>; MAX_CHANNELS],
    pub before: [Vec<f32>; MAX_CHANNELS],
    fits: (usize, usize, usize),
}

impl Scratch {
    pub fn new(plan: &Plan) -> Scratch {
        Scratch {
            fits: (plan.local_slots, plan.local_blocks, plan.max_block),
            local: Arena::new(plan.local_slots, plan.local_blocks, plan.max_block),
            dry: [vec![0.0; plan.max_block], vec![0.0; plan.max_block]],
            before: [vec![0.0; plan.max_block], vec![0.0; plan.max_block]],
        }
    }
}

impl Scratch {
    pub fn fits(&self, plan: &Plan) -> bool {
        let (slots, blocks, frames) = self.fits;
        slots >= plan.local_slots && blocks >= plan.local_blocks && frames >= plan.max_block
    }
}

/// A plan with state and buffers, ready to run.
pub struct Executor {
    pub(crate) core: Core,
    scratch: Scratch,
    told_faults: u64,
    /// Readers of nodes that were made anew though the running plan has them.
    replaced: Vec<u32>,
}

/// A node that was taken out because it failed.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultReport {
    pub node: u32,
    pub key: StateKey,
    pub reason: FaultReason,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FaultReason {
    /// Its output was not a number or infinite.
    NotFinite,
    /// It panicked, saying this.
    Panic(String),
}

impl Executor {
    /// Builds everything afresh. Off the audio thread.
    pub fn new(plan: Arc<Plan>, material: Arc<Material>) -> Executor {
        let mut executor = Executor::without_nodes(plan, material);
        for node in 0..executor.core.plan.nodes.len() as u32 {
            executor.make_node(node);
        }
        executor.reserve_batches();
        executor
    }

    /// Builds the next plan of a running executor, leaving out the nodes that
    /// `adopt` will move over. Off the audio thread; `running` is the plan that
    /// runs when the new executor takes over.
    pub fn successor(plan: Arc<Plan>, material: Arc<Material>, running: &Plan) -> Executor {
        let mut executor = Executor::without_nodes(plan, material);
        for node in 0..executor.core.plan.nodes.len() as u32 {
            let key = executor.core.plan.state_key(node);
            let known = running.find(key.node).is_some_and(|at| running.state_key(at) == key);
            // A lane needs its node's memory for the tail and for moving state.
            if !known || executor.core.plan.max_block != running.max_block {
                executor.make_node(node);
            }
        }
        executor.enter_lines();
        executor.join(running);
        executor.reserve_batches();
        executor
    }

    /// Lines begin with a fade, where they join what runs already. Those that are
    /// adopted bring their own along.
    pub(crate) fn enter_lines(&mut self) {
        let plan = self.core.plan.clone();
        let fade = adopt::seam_frames(plan.sample_rate);
        for (line, planned) in self.core.lines.all().zip(&plan.lines) {
            if !planned.feedback {
                line.enter(fade);
            }
        }
    }

    fn without_nodes(plan: Arc<Plan>, material: Arc<Material>) -> Executor {
        let units = plan
            .nodes
            .iter()
            .map(|planned| Unit::new(&plan, planned, &plan.classes[planned.class as usize]));
        let mut units = Cells::new(units);
        for (unit, material) in units.all().zip(&material.nodes) {
            unit.start(material);
        }
        let core = Core {
            units,
            lines: Cells::new(plan.lines.iter().map(|line| Line::new(line, plan.max_block))),
            batches: Cells::new(plan.batches.iter().map(|batch| BatchRun::new(&plan, batch))),
            outputs: Cells::new(
                plan.outputs.iter().map(|_| [vec![0.0; plan.max_block], vec![0.0; plan.max_block]]),
            ),
            shared: Arena::new(plan.shared_slots, plan.shared_blocks, plan.max_block),
            faults: AtomicU64::new(0),
            profile: None,
            material,
            plan,
        };
        let scratch = Scratch::new(&core.plan);
        Executor { core, scratch, told_faults: 0, replaced: vec![] }
    }

    fn make_node(&mut self, node: u32) {
        let plan = self.core.plan.clone();
        let planned = &plan.nodes[node as usize];
        self.core.units.one(node as usize).make(&plan, planned, plan.class(node));
    }

    fn reserve_batches(&mut self) {
        let plan = self.core.plan.clone();
        for (index, batch) in plan.batches.iter().enumerate() {
            let nodes = batch.members.iter().flatten();
            let sizes = nodes.filter_map(|&node| {
                let node = self.core.units.one(node as usize).node.as_mut()?;
                Some(crate::state::state_len(&mut **node))
            });
            let largest = sizes.max().unwrap_or(0).max(4096);
            self.core.batches.one(index).reserve(largest);
        }
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.core.plan
    }

    pub fn material(&self) -> &Arc<Material> {
        &self.core.material
    }

    pub fn profile(&self) -> Option<&Arc<Profile>> {
        self.core.profile.as_ref()
    }

    /// Puts another profile under the running plan, or none, and gives back the
    /// old. Real-time safe. It must have been made for this very plan.
    pub fn swap_profile(&mut self, profile: Option<Arc<Profile>>) -> Option<Arc<Profile>> {
        std::mem::replace(&mut self.core.profile, profile)
    }

    /// Runs one block on this thread. Real-time safe.
    pub fn process(&mut self, block: &Block<'_>) {
        for task in &self.core.plan.tasks {
            run_task(&self.core, &mut self.scratch, block, task);
        }
    }

    /// One channel of an output after `process`; its first `block.frames` frames
    /// are valid.
    pub fn output(&mut self, output: usize, channel: usize) -> &[f32] {
        let planned = &self.core.plan.outputs[output];
        // A mono output sounds on both sides.
        let channel = channel.min(usize::from(planned.channels) - 1);
        &self.core.outputs.one(output)[channel]
    }

    /// Both channels of an output, see [`Executor::output`].
    pub fn output_pair(&mut self, output: usize) -> [&[f32]; 2] {
        let right = usize::from(self.core.plan.outputs[output].channels) - 1;
        let channels = &*self.core.outputs.one(output);
        [&channels[0], &channels[right]]
    }

    /// Puts new content under the running plan and gives back the old, which the
    /// caller frees elsewhere. Parameters move to their new values smoothly.
    /// Real-time safe. The material must have been bound to this very plan.
    pub fn swap_material(&mut self, material: &mut Arc<Material>) {
        std::mem::swap(&mut self.core.material, material);
        for (index, unit) in self.core.units.all().enumerate() {
            let new = &self.core.material.nodes[index];
            let same = material.nodes.get(index).is_some_and(|old| Arc::ptr_eq(old, new));
            if !same {
                unit.follow(new);
            }
        }
    }

    /// Sets a parameter from outside, `offset` frames into the next block, in
    /// native units. Real-time safe; false when too many are under way.
    pub fn set_param(&mut self, node: u32, param: u32, value: f64, next_frame: i64) -> bool {
        let frame = self.core.plan.local_frame(node, next_frame);
        let pending = &mut self.core.units.one(node as usize).pending_params;
        let fits = pending.len() < pending.capacity();
        if fits {
            pending.push(ParamEvent { frame, param, value });
        }
        fits
    }

    /// Bypasses a node, or stops bypassing it, through a crossfade. Real-time safe.
    pub fn set_bypass(&mut self, node: u32, bypass: bool) {
        self.core.units.one(node as usize).bypass = bypass;
    }

    /// Sends an event to a node at an absolute frame of the engine's clock.
    /// Real-time safe; false when too many are under way.
    pub fn send_event(&mut self, node: u32, frame: i64, event: Event) -> bool {
        let frame = self.core.plan.local_frame(node, frame);
        let pending = &mut self.core.units.one(node as usize).pending;
        let fits = pending.len() < pending.capacity();
        node::push_pending(pending, frame, event);
        fits
    }

    /// Events that a node sent during the last block, by offset. Real-time safe.
    pub fn emitted(&mut self, node: u32) -> &[Event] {
        self.core.units.one(node as usize).emitted.as_slice()
    }

    /// Whether a node failed since faults were last reported. Real-time safe.
    pub fn has_new_faults(&self) -> bool {
        self.core.faults.load(std::sync::atomic::Ordering::Relaxed) != self.told_faults
    }

    /// Calls `report` with the index of every node that failed since the last
    /// call. Real-time safe.
    pub fn new_faults(&mut self, mut report: impl FnMut(u32)) {
        if !self.has_new_faults() {
            return;
        }
        self.told_faults = self.core.faults.load(std::sync::atomic::Ordering::Relaxed);
        for (index, unit) in self.core.units.all().enumerate() {
            if unit.fault.is_some() && !unit.fault_told {
                unit.fault_told = true;
                report(index as u32);
            }
        }
    }

    /// Every node that is out, with the reason. Off the audio thread.
    pub fn faults(&mut self) -> Vec<FaultReport> {
        let plan = self.core.plan.clone();
        let units = self.core.units.all().enumerate();
        units
            .filter_map(|(index, unit)| {
                let reason = match unit.fault.as_ref()? {
                    Fault::NotFinite => FaultReason::NotFinite,
                    Fault::Panic(payload) => FaultReason::Panic(match payload {
                        Some(payload) => crate::registry::panic_text(&**payload).to_owned(),
                        None => "a node in the same batch panicked".to_owned(),
                    }),
                };
                let node = index as u32;
                Some(FaultReport { node, key: plan.state_key(node), reason })
            })
            .collect()
    }

    /// Lets a failed node play again, from the start. Off the audio thread.
    pub fn revive(&mut self, node: u32) {
        let unit = self.core.units.one(node as usize);
        unit.fault = None;
        unit.fault_told = false;
        unit.params.changed = true;
        if let Some(node) = &mut unit.node {
            node.reset();
        }
    }

    /// Everything as if nothing had been heard, for a seek in an offline render.
    /// Real-time safe.
    pub fn reset(&mut self) {
        for node in 0..self.core.plan.nodes.len() as u32 {
            self.reset_node(node);
        }
        self.core.lines.all().for_each(|line| line.ring.clear());
    }

    /// Keeps a node silent and untouched until it is reset. Real-time safe.
    pub(crate) fn hold_node(&mut self, node: u32) {
        self.core.units.one(node as usize).held = true;
    }

    /// One node as if it had heard nothing. Real-time safe.
    pub fn reset_node(&mut self, node: u32) {
        let batch = self.core.plan.nodes[node as usize].batch;
        let material = &self.core.material.nodes[node as usize];
        self.core.units.one(node as usize).reset_all(material);
        if let Some((batch, lane)) = batch {
            let stage = self.stage_of(node, batch, lane);
            self.core.batches.one(batch as usize).stages[stage].reset_lane(usize::from(lane));
        }
    }
}

#[cfg(test)]
pub(crate) mod random;
#[cfg(test)]
mod tests;
