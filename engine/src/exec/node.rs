//! Runs one node over one range of a block: cuts the range at grid cells while
//! parameters move, at the frame where a node wakes or falls asleep, at a
//! parameter event. Each cut is a function of the absolute frame and of the
//! signal, never of the block, so a node can't tell how it is being called.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Block, Core,
    memory::Buffers,
    params::Clock,
    scan::{all_finite, first_sound, trailing_silence},
    unit::{Fault, SLEEP_GRID, Unit},
};
use crate::{
    event::{Event, EventBuffer},
    material::NodeMaterial,
    node::{
        AudioIn, AudioOut, ControlOut, Descriptor, Io, MAX_CHANNELS, MAX_PORTS, Tail, grid_count,
        grid_points,
    },
    param::{GRID, cell_start},
    plan::{Plan, PlanNode, PortSlot},
};

/// One node in one range.
pub(crate) struct NodeRun<'a> {
    pub core: &'a Core,
    pub block: &'a Block<'a>,
    pub buffers: Buffers<'a>,
    /// Room for one copy of the input, while bypass fades.
    pub dry: &'a mut [Vec<f32>; MAX_CHANNELS],
    /// Room for another, while the node joins a running plan.
    pub before: &'a mut [Vec<f32>; MAX_CHANNELS],
    pub node: u32,
    /// The range within the block.
    pub off: usize,
    pub len: usize,
}

impl Plan {
    pub(crate) fn local_frame(&self, node: u32, block_frame: i64) -> i64 {
        block_frame - i64::from(self.nodes[node as usize].arrival)
    }
}

impl NodeRun<'_> {
    /// Always called on the real-time thread.
    pub fn run(mut self, unit: &mut Unit) {
        if unit.joining.blend.is_over() {
            return self.play(unit);
        }
        self.keep_before(unit);
        self.play(unit);
        self.join(unit);
    }

    /// What was heard in the place of this node until an edit put it there.
    fn keep_before(&mut self, unit: &Unit) {
        let input = self.core.plan.inputs(self.node).first().copied();
        let input = input.filter(|port| unit.joining.between && !port.slot.is_none());
        for channel in 0..MAX_CHANNELS {
            let mut before = std::mem::take(&mut self.before[channel]);
            match input.filter(|port| port.channels > 0) {
                Some(port) => {
                    let from = channel.min(usize::from(port.channels) - 1);
                    before[..self.len].copy_from_slice(self.samples(&port, from, 0, self.len));
                }
                None => before[..self.len].fill(0.0),
            }
            self.before[channel] = before;
        }
    }

    /// Fades from there to what the node says.
    fn join(&mut self, unit: &mut Unit) {
        let blend = &mut unit.joining.blend;
        for (port, output) in self.core.plan.outputs_of(self.node).iter().enumerate() {
            for channel in 0..usize::from(output.channels) {
                let before = &self.before[channel];
                let before = |i: usize| if port == 0 { before[i] } else { 0.0 };
                blend.mix(before, self.output(output, channel, 0, self.len));
            }
        }
        blend.advance(self.len);
    }

    fn play(&mut self, unit: &mut Unit) {
        let plan = &*self.core.plan;
        let planned = &plan.nodes[self.node as usize];
        let Some(kind) = plan.class(self.node).kind else { return self.pass_through() };
        if unit.held {
            unit.emitted.clear();
            return self.silence(0, self.len);
        }
        let material = &*self.core.material.nodes[self.node as usize];
        let descriptor = kind.descriptor;
        let start = plan.local_frame(self.node, self.block.frame) + self.off as i64;
        prepare_block(unit, self.block, self.off);
        if descriptor.event_input {
            gather_events(
                self.core, planned, unit, material, self.block, start, self.off, self.len,
            );
        }
        let mut at = 0;
        while at < self.len {
            let frame = start + at as i64;
            let left = self.len - at;
            enter(self.core, planned, unit, descriptor, material, self.block, frame);
            let frames = left.min(span(unit, frame));
            at += self.step(unit, descriptor, material, frame, at, frames);
        }
        unit.events.clear();
    }

    /// A kind that nobody knows: port 0 was compiled in place, the rest is silent.
    fn pass_through(&mut self) {
        let plan = &*self.core.plan;
        let (inputs, outputs) = (plan.inputs(self.node), plan.outputs_of(self.node));
        for (port, output) in outputs.iter().enumerate() {
            if port > 0 || inputs.is_empty() {
                self.clear(output, 0, self.len);
            }
        }
    }

    /// Runs at most `frames` frames; returns how many.
    #[allow(clippy::too_many_arguments)]
    fn step(
        &mut self,
        unit: &mut Unit,
        descriptor: &Descriptor,
        material: &NodeMaterial,
        frame: i64,
        at: usize,
        frames: usize,
    ) -> usize {
        if unit.fully_bypassed() {
            self.bypassed(unit, descriptor, at, frames);
            return frames;
        }
        let mut frames = frames;
        if unit.asleep {
            match self.first_activity(unit, at, frames) {
                None => {
                    self.silence(at, frames);
                    return frames;
                }
                Some(0) => wake(unit),
                Some(sound) => {
                    self.silence(at, sound);
                    return sound;
                }
            }
        }
        let grid = next_sleep_point(unit, frame, frames);
        if let Some(point) = grid
            && self.could_sleep(unit, descriptor, at, point)
        {
            frames = point;
        }
        if unit.half_bypassed() {
            frames = frames.min(unit.bypass_left());
        }
        let quiet = self.quiet_after(unit, at, frames);
        self.dry_in(unit, at, frames);
        self.call(unit, descriptor, material, frame, at, frames);
        self.dry_out(unit, at, frames);
        unit.quiet = quiet;
        if grid == Some(frames) {
            fall_asleep(unit);
        }
        frames
    }

    /// Whether everything heard up to the sleep point is silent for a whole cell.
    fn could_sleep(&self, unit: &Unit, descriptor: &Descriptor, at: usize, point: usize) -> bool {
        // What plays events may have let go of its last note anywhere.
        descriptor.event_input || self.quiet_after(unit, at, point) >= SLEEP_GRID as u64
    }

    fn each_input(&self, mut f: impl FnMut(&[f32]), at: usize, frames: usize) {
        for input in self.core.plan.inputs(self.node).iter().filter(|port| !port.slot.is_none()) {
            for channel in 0..usize::from(input.channels) {
                // SAFETY-relevant reads live in `samples`.
                f(self.samples(input, channel, at, frames));
            }
        }
    }

    #[allow(unsafe_code)]
    fn samples(&self, port: &PortSlot, channel: usize, at: usize, frames: usize) -> &[f32] {
        // SAFETY: a node's input is written only by operations that the plan puts
        // before or after this one, and by the node itself during `call`.
        unsafe { self.buffers.read(port.slot, channel, self.off + at, frames) }
    }

    #[allow(unsafe_code, clippy::mut_from_ref)]
    fn output(&self, port: &PortSlot, channel: usize, at: usize, frames: usize) -> &mut [f32] {
        // SAFETY: the plan gives this node its outputs for itself; callers use one
        // slice at a time and never together with an input in the same slot.
        unsafe { self.buffers.write(port.slot, channel, self.off + at, frames) }
    }

    fn first_activity(&self, unit: &Unit, at: usize, frames: usize) -> Option<usize> {
        let mut first = frames;
        self.each_input(
            |samples| first = first.min(first_sound(samples).unwrap_or(frames)),
            at,
            frames,
        );
        for event in unit.events.as_slice() {
            let offset = event.offset as usize;
            if offset >= at {
                first = first.min(offset - at);
            }
        }
        (first < frames).then_some(first)
    }

    /// Frames of silence at the end of a range, counting what came before.
    fn quiet_after(&self, unit: &Unit, at: usize, frames: usize) -> u64 {
        if !unit.may_sleep {
            return 0;
        }
        let mut quiet = frames;
        self.each_input(|samples| quiet = quiet.min(trailing_silence(samples)), at, frames);
        for event in unit.events.as_slice() {
            let offset = event.offset as usize;
            if (at..at + frames).contains(&offset) {
                quiet = quiet.min(at + frames - offset - 1);
            }
        }
        if quiet == frames { unit.quiet + frames as u64 } else { quiet as u64 }
    }

    fn clear(&self, port: &PortSlot, at: usize, frames: usize) {
        for channel in 0..usize::from(port.channels) {
            self.output(port, channel, at, frames).fill(0.0);
        }
    }

    fn silence(&self, at: usize, frames: usize) {
        for output in self.core.plan.outputs_of(self.node) {
            self.clear(output, at, frames);
        }
    }

    /// Keeps the input, which an in-place node is about to overwrite.
    fn dry_in(&mut self, unit: &mut Unit, at: usize, frames: usize) {
        if !unit.half_bypassed() && !unit.fully_bypassed() && unit.dry.is_none() {
            return;
        }
        let plan = &*self.core.plan;
        let channels = usize::from(plan.outputs_of(self.node).first().map_or(0, |p| p.channels));
        let input = plan.inputs(self.node).first().copied();
        for channel in 0..channels {
            let mut dry = std::mem::take(&mut self.dry[channel]);
            match input.filter(|port| !port.slot.is_none() && port.channels > 0) {
                Some(port) => {
                    let from = channel.min(usize::from(port.channels) - 1);
                    dry[..frames].copy_from_slice(self.samples(&port, from, at, frames));
                }
                None => dry[..frames].fill(0.0),
            }
            if let Some(ring) = &mut unit.dry {
                ring.write(channel, &dry[..frames]);
                ring.read(channel, &mut dry[..frames]);
            }
            self.dry[channel] = dry;
        }
        if let Some(ring) = &mut unit.dry {
            ring.advance(frames);
        }
    }

    /// Fades between the node's output and its input.
    fn dry_out(&mut self, unit: &mut Unit, at: usize, frames: usize) {
        if !unit.half_bypassed() || unit.fault.is_some() {
            return;
        }
        let plan = &*self.core.plan;
        let outputs = plan.outputs_of(self.node);
        for i in 0..frames {
            let share = unit.bypass_tick();
            for (port, output) in outputs.iter().enumerate() {
                for channel in 0..usize::from(output.channels) {
                    let dry = if port == 0 { f64::from(self.dry[channel][i]) } else { 0.0 };
                    let wet = &mut self.output(output, channel, at + i, 1)[0];
                    *wet = (f64::from(*wet) * (1.0 - share) + dry * share) as f32;
                }
            }
        }
        if unit.bypass && unit.bypass_position >= 1.0 {
            reset(unit);
        }
    }

    /// The input instead of the node, late by its latency.
    fn bypassed(&mut self, unit: &mut Unit, descriptor: &Descriptor, at: usize, frames: usize) {
        let plan = &*self.core.plan;
        let outputs = plan.outputs_of(self.node);
        if descriptor.event_input && descriptor.event_output {
            pass_events(unit, at, frames, self.off);
        }
        let straight = descriptor.in_place && unit.dry.is_none();
        if !straight && !outputs.is_empty() {
            self.dry_in(unit, at, frames);
            for channel in 0..usize::from(outputs[0].channels) {
                let dry = std::mem::take(&mut self.dry[channel]);
                self.output(&outputs[0], channel, at, frames).copy_from_slice(&dry[..frames]);
                self.dry[channel] = dry;
            }
        }
        for output in outputs.iter().skip(1) {
            self.clear(output, at, frames);
        }
    }

    /// One call of the node.
    #[allow(unsafe_code, clippy::too_many_arguments)]
    fn call(
        &mut self,
        unit: &mut Unit,
        descriptor: &Descriptor,
        material: &NodeMaterial,
        frame: i64,
        at: usize,
        frames: usize,
    ) {
        let plan = &*self.core.plan;
        let (inputs, outputs) = (plan.inputs(self.node), plan.outputs_of(self.node));
        let from = self.off + at;
        let mut ins = [AudioIn::default(); MAX_PORTS];
        for (port, input) in inputs.iter().enumerate() {
            if input.slot.is_none() || (descriptor.in_place && port == 0) {
                continue;
            }
            ins[port].count = usize::from(input.channels);
            for channel in 0..ins[port].count {
                // SAFETY: verified plans never put an input into a slot that this
                // node writes, except the in-place port, which is left out here.
                let samples = unsafe { self.buffers.read(input.slot, channel, from, frames) };
                ins[port].channels[channel] = samples;
            }
        }
        let mut outs: [AudioOut<'_>; MAX_PORTS] = Default::default();
        for (port, output) in outputs.iter().enumerate() {
            outs[port].count = usize::from(output.channels);
            for channel in 0..outs[port].count {
                // SAFETY: verified plans give every output a slot of its own.
                let samples = unsafe { self.buffers.write(output.slot, channel, from, frames) };
                outs[port].channels[channel] = samples;
            }
        }
        call_events(unit, at, frames);
        let points = grid_count(frame, frames);
        let mut controls: [ControlOut<'_>; MAX_PORTS] = Default::default();
        for (control, scratch) in controls.iter_mut().zip(&mut unit.control_scratch) {
            control.values = &mut scratch[..points];
        }
        let transport = self.block.transport_at(descriptor.reads_transport, frame, from);
        let sent = unit.emitted.len();
        let Some(node) = &mut unit.node else { return self.silence(at, frames) };
        let mut io = Io {
            frames,
            frame,
            inputs: &ins[..inputs.len()],
            outputs: &mut outs[..outputs.len()],
            events: unit.call_events.as_slice(),
            emitted: &mut unit.emitted,
            transport: &transport,
            ramps: &unit.params.ramps,
            params_changed: std::mem::take(&mut unit.params.changed),
            controls: &mut controls[..descriptor.controls.len()],
            content: &material.content,
            may_wait: self.block.may_wait,
            device_inputs: self.block.device_inputs,
            device_offset: from,
        };
        let ended = catch_unwind(AssertUnwindSafe(|| node.process(&mut io)));
        unit.emitted.shift_from(sent, from as u32);
        keep_controls(unit, frame, frames);
        let fault = match ended {
            Err(payload) => Some(Fault::Panic(Some(payload))),
            Ok(()) if !self.finite(at, frames) => Some(Fault::NotFinite),
            Ok(()) => return,
        };
        unit.fault = fault;
        self.core.faults.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.silence(at, frames);
        reset_quietly(unit);
    }

    fn finite(&self, at: usize, frames: usize) -> bool {
        self.core.plan.outputs_of(self.node).iter().all(|output| {
            (0..usize::from(output.channels))
                .all(|channel| all_finite(self.samples(output, channel, at, frames)))
        })
    }
}

/// What has to be done once per block and node.
pub(crate) fn prepare_block(unit: &mut Unit, block: &Block<'_>, off: usize) {
    if off == 0 {
        unit.emitted.clear();
    }
    if unit.was_playing != block.transport.playing || block.transport.jumped {
        unit.was_playing = block.transport.playing;
        if off == 0 {
            unit.params.disturb();
        }
    }
}

/// Parameter events that are due, then the cell.
pub(crate) fn enter(
    core: &Core,
    planned: &PlanNode,
    unit: &mut Unit,
    descriptor: &Descriptor,
    material: &NodeMaterial,
    block: &Block<'_>,
    frame: i64,
) {
    // What happened up to the start of the cell takes part in it; what happened
    // since waits for the next, unless it is a step.
    apply_params(unit, descriptor, cell_start(frame));
    let late = i64::from(planned.arrival);
    let clock =
        Clock { playing: block.transport.playing, song_frame: block.transport.song_frame - late };
    unit.params.enter(frame, descriptor, material, clock, |param, cell| {
        modulation(core, planned, param, cell)
    });
    apply_params(unit, descriptor, frame);
}

fn apply_params(unit: &mut Unit, descriptor: &Descriptor, until: i64) {
    if unit.pending_params.is_empty() {
        return;
    }
    let params = &mut unit.params;
    unit.pending_params.retain(|event| {
        if event.frame <= until {
            let desc = descriptor.params.get(event.param as usize);
            let value = desc.map_or(event.value, |desc| desc.clamp(event.value));
            params.aim(event.param as usize, value);
        }
        event.frame > until
    });
}

#[allow(unsafe_code)]
fn modulation(core: &Core, planned: &PlanNode, param: u32, cell: i64) -> f64 {
    let mut sum = 0.0;
    for source in planned.modulations.iter().filter(|source| source.param == param) {
        // SAFETY: the plan runs a modulator before whoever it moves, in an earlier
        // operation, and nothing writes its rings while others read them.
        let unit = unsafe { core.units.peek(source.node as usize) };
        let point = (cell + source.shift).div_euclid(GRID);
        let Some(ring) = unit.controls.get(source.port as usize) else { continue };
        sum += ring[point.rem_euclid(ring.len() as i64) as usize] * source.depth;
    }
    sum
}

/// Frames until something other than sound may need attention.
pub(crate) fn span(unit: &Unit, frame: i64) -> usize {
    let mut span = unit.params.span(frame);
    for event in &unit.pending_params {
        span = span.min(usize::try_from(event.frame - frame).unwrap_or(1).max(1));
    }
    span
}

/// The next point at which the node could fall asleep, if within `frames`.
pub(crate) fn next_sleep_point(unit: &Unit, frame: i64, frames: usize) -> Option<usize> {
    let point = (frame.div_euclid(SLEEP_GRID) + 1) * SLEEP_GRID - frame;
    (unit.may_sleep && point as usize <= frames).then_some(point as usize)
}

/// Called exactly at a sleep point.
pub(crate) fn fall_asleep(unit: &mut Unit) {
    if unit.quiet < SLEEP_GRID as u64 || unit.fully_bypassed() {
        return;
    }
    let latency = unit.dry.as_ref().map_or(0, |ring| ring.frames() as u64);
    let over = match unit.node.as_ref().map(|node| node.tail()) {
        Some(Tail::Frames(tail)) => unit.quiet >= tail.max(latency),
        // The count would go on for ever and make every state another one.
        _ => {
            unit.quiet = unit.quiet.min(SLEEP_GRID as u64);
            false
        }
    };
    if over {
        reset(unit);
        unit.asleep = true;
    }
}

pub(crate) fn wake(unit: &mut Unit) {
    unit.asleep = false;
    unit.quiet = 0;
    unit.params.changed = true;
}

fn reset(unit: &mut Unit) {
    if let Some(node) = &mut unit.node {
        node.reset();
    }
    if let Some(ring) = unit.dry.as_mut().filter(|_| !unit.bypass) {
        ring.clear();
    }
    unit.quiet = 0;
    unit.params.changed = true;
}

/// After a fault the node may be in any condition, so a panic here is ignored.
fn reset_quietly(unit: &mut Unit) {
    if let Some(node) = &mut unit.node {
        let _ = catch_unwind(AssertUnwindSafe(|| node.reset()));
    }
}

/// Events of the song, of other nodes and from outside, in one order.
#[allow(unsafe_code, clippy::too_many_arguments)]
fn gather_events(
    core: &Core,
    planned: &PlanNode,
    unit: &mut Unit,
    material: &NodeMaterial,
    block: &Block<'_>,
    start: i64,
    off: usize,
    len: usize,
) {
    unit.events.clear();
    let end = start + len as i64;
    if block.transport.playing {
        for (frame, event) in material.events.between(start, end) {
            unit.events.push(Event { offset: (frame - start) as u32, ..*event });
        }
    }
    for source in &planned.events {
        // SAFETY: the plan runs the sender in an earlier operation.
        let sender = unsafe { core.units.peek(source.node as usize) };
        let own = core.plan.local_frame(source.node, block.frame);
        for event in sender.emitted.as_slice() {
            if (off..off + len).contains(&(event.offset as usize)) {
                let frame = own + i64::from(event.offset) + source.shift;
                push_pending(&mut unit.pending, frame, *event);
            }
        }
    }
    if !unit.pending.is_empty() {
        let events = &mut unit.events;
        unit.pending.retain(|(frame, event)| {
            if *frame < end {
                let offset = (*frame - start).max(0) as u32;
                events.push(Event { offset, ..*event });
            }
            *frame >= end
        });
    }
    unit.events.sort();
}

pub(crate) fn push_pending(pending: &mut Vec<(i64, Event)>, frame: i64, event: Event) {
    if pending.len() < pending.capacity() {
        pending.push((frame, event));
    }
}

/// The events of one call, by offset from its start.
fn call_events(unit: &mut Unit, at: usize, frames: usize) {
    unit.call_events.clear();
    for event in unit.events.as_slice() {
        let offset = event.offset as usize;
        if (at..at + frames).contains(&offset) {
            unit.call_events.push(Event { offset: (offset - at) as u32, ..*event });
        }
    }
}

/// A bypassed note effect lets notes through.
fn pass_events(unit: &mut Unit, at: usize, frames: usize, off: usize) {
    let (events, emitted): (&EventBuffer, &mut EventBuffer) = (&unit.events, &mut unit.emitted);
    for event in events.as_slice() {
        if (at..at + frames).contains(&(event.offset as usize)) {
            emitted.push(Event { offset: event.offset + off as u32, ..*event });
        }
    }
}

fn keep_controls(unit: &mut Unit, frame: i64, frames: usize) {
    for (ring, scratch) in unit.controls.iter_mut().zip(&unit.control_scratch) {
        for (index, offset) in grid_points(frame, frames) {
            let point = (frame + offset as i64).div_euclid(GRID);
            let value = scratch[index];
            let at = point.rem_euclid(ring.len() as i64) as usize;
            ring[at] = if value.is_finite() { value } else { 0.0 };
        }
    }
}
