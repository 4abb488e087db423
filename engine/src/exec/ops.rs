//! Runs the operations of one task. Sums, copies and delays are plain loops over
//! a range; everything with a state of its own is elsewhere.
#![allow(unsafe_code, clippy::needless_range_loop)]

use super::{
    Block, Core, Scratch, batch::run_batch, memory::Buffers, node::NodeRun, profile::timed,
    unit::Unit,
};
use crate::{
    plan::{Op, PlanTask, Slot},
    simd::{Kernel, LANES, add_lanes, dispatch},
};

/// Always called on the real-time thread.
pub(crate) fn run_task(core: &Core, scratch: &mut Scratch, block: &Block<'_>, task: &PlanTask) {
    let mut at = 0;
    while let Some(op) = task.ops.get(at) {
        match *op {
            Op::Region { ops, chunk } => {
                let inner = &task.ops[at + 1..at + 1 + ops as usize];
                let mut off = 0;
                while off < block.frames {
                    let len = (block.frames - off).min(chunk as usize);
                    for op in inner {
                        run_op(core, scratch, block, op, off, len);
                    }
                    off += len;
                }
                at += ops as usize;
            }
            _ => run_op(core, scratch, block, op, 0, block.frames),
        }
        at += 1;
    }
}

/// One operation over one range.
///
/// SAFETY of all below: `plan::verify` has checked that an operation's operands
/// and results are different slots, and that tasks which touch a common slot,
/// line, node or batch are ordered; a task is run by one worker at a time.
fn run_op(core: &Core, scratch: &mut Scratch, block: &Block<'_>, op: &Op, off: usize, len: usize) {
    let Scratch { local, dry, before, .. } = scratch;
    let buffers = Buffers { local, shared: &core.shared };
    match *op {
        Op::Clear { dst, channels } => {
            for channel in 0..usize::from(channels) {
                // SAFETY: see above.
                unsafe { buffers.write(dst, channel, off, len) }.fill(0.0);
            }
        }
        Op::Copy { src, dst, from, to } => mix(buffers, src, dst, from, to, off, len, false),
        Op::Add { src, dst, from, to } => mix(buffers, src, dst, from, to, off, len, true),
        Op::Delay { line, src, dst, channels } => {
            // SAFETY: a line belongs to one operation.
            let line = unsafe { core.lines.get(line as usize) };
            for channel in 0..usize::from(channels) {
                // SAFETY: see above.
                let input = unsafe { buffers.read(src, channel, off, len) };
                // SAFETY: see above.
                line.pass(channel, input, unsafe { buffers.write(dst, channel, off, len) });
            }
            line.advance(len);
        }
        Op::FeedbackRead { line, dst, channels } => {
            // SAFETY: both ends of a feedback line are in one task.
            let ring = &mut unsafe { core.lines.get(line as usize) }.ring;
            for channel in 0..usize::from(channels) {
                // SAFETY: see above.
                ring.read(channel, unsafe { buffers.write(dst, channel, off, len) });
            }
            ring.advance_half(len);
        }
        Op::FeedbackWrite { line, src, channels } => {
            // SAFETY: as for the other end.
            let ring = &mut unsafe { core.lines.get(line as usize) }.ring;
            for channel in 0..usize::from(channels) {
                // SAFETY: see above.
                ring.write(channel, unsafe { buffers.read(src, channel, off, len) });
            }
            ring.advance_half(len);
        }
        Op::Node { node } => {
            // SAFETY: a node belongs to one operation.
            let unit = unsafe { core.units.get(node as usize) };
            if let Some(input) = core.plan.inputs(node).first().filter(|port| !port.slot.is_none())
            {
                hide_seam(unit, buffers, input.slot, input.channels, off, len);
            }
            let run = || NodeRun { core, block, buffers, dry, before, node, off, len }.run(unit);
            timed(core.profile.as_deref(), run, |profile, nanos| {
                profile.note(node as usize, nanos, off == 0);
            });
        }
        Op::Pack { src, block: lanes, head, lane, channels } => {
            // SAFETY: a node is the head of one chain, which is packed once.
            hide_seam(unsafe { core.units.get(head as usize) }, buffers, src, channels, off, len);
            for channel in 0..usize::from(channels) {
                // SAFETY: see above.
                let samples = unsafe { buffers.read(src, channel, off, len) };
                // SAFETY: see above.
                let plane = unsafe { buffers.lane(lanes, channel, usize::from(lane), off, len) };
                plane.copy_from_slice(samples);
            }
        }
        Op::Batch { batch } => {
            // SAFETY: a batch belongs to one operation.
            let run = unsafe { core.batches.get(batch as usize) };
            let planned = &core.plan.batches[batch as usize];
            let work = || run_batch(core, run, planned, buffers, block, off, len);
            timed(core.profile.as_deref(), work, |profile, nanos| {
                // Lanes run at once: each member bears its share.
                let members = planned.members.iter().flatten();
                let share = nanos / (members.clone().count() as u64).max(1);
                members.for_each(|&node| profile.note(node as usize, share, off == 0));
            });
        }
        Op::Unpack { block: lanes, dst, lane, channels } => {
            for channel in 0..usize::from(channels) {
                // SAFETY: see above.
                let frames = unsafe { buffers.block(lanes, channel, off, len) };
                // SAFETY: see above.
                let samples = unsafe { buffers.write(dst, channel, off, len) };
                let lane = usize::from(lane) % LANES;
                for (frame, sample) in frames.iter().zip(samples) {
                    *sample = frame[lane];
                }
            }
        }
        Op::AddLanes { block: lanes, dst, first, end, channels } => {
            for channel in 0..usize::from(channels) {
                // SAFETY: see above.
                let frames = unsafe { buffers.block(lanes, channel, off, len) };
                // SAFETY: see above.
                let sum = unsafe { buffers.write(dst, channel, off, len) };
                add_lanes(frames, usize::from(first), usize::from(end), sum);
            }
        }
        Op::Output { output, src, channels } => {
            // SAFETY: an output belongs to one operation.
            let out = unsafe { core.outputs.get(output as usize) };
            for channel in 0..usize::from(channels) {
                // SAFETY: see above.
                let samples = unsafe { buffers.read(src, channel, off, len) };
                out[channel][off..off + len].copy_from_slice(samples);
            }
        }
        Op::Region { .. } => {}
    }
}

struct Sum<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Sum<'_> {
    #[inline(always)]
    fn run(self) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to += *from;
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn mix(
    buffers: Buffers<'_>,
    src: Slot,
    dst: Slot,
    from: u8,
    to: u8,
    off: usize,
    len: usize,
    add: bool,
) {
    for channel in 0..usize::from(to) {
        // SAFETY: see `run_op`.
        let out = unsafe { buffers.write(dst, channel, off, len) };
        // SAFETY: see `run_op`.
        let first = unsafe { buffers.read(src, channel.min(usize::from(from) - 1), off, len) };
        if from == 2 && to == 1 {
            // SAFETY: see `run_op`.
            let second = unsafe { buffers.read(src, 1, off, len) };
            for ((out, left), right) in out.iter_mut().zip(first).zip(second) {
                let mono = (left + right) * 0.5;
                *out = if add { *out + mono } else { mono };
            }
        } else if add {
            dispatch(Sum { from: first, to: out });
        } else {
            out.copy_from_slice(first);
        }
    }
}

/// After an edit changed what flows into a node, the step between the old sum and
/// the new is taken out and fades away. Only the main input; it costs nothing
/// while no seam is open.
fn hide_seam(
    unit: &mut Unit,
    buffers: Buffers<'_>,
    slot: Slot,
    channels: u8,
    off: usize,
    len: usize,
) {
    for channel in 0..usize::from(channels) {
        if unit.seam.left > 0 {
            // SAFETY: whoever reads this sum runs next, and nobody reads it after.
            let samples = unsafe { buffers.write(slot, channel, off, len) };
            unit.seam.apply(channel, unit.last_input[channel], samples);
        }
        // SAFETY: as above.
        unit.last_input[channel] = unsafe { buffers.read(slot, channel, off, len) }[len - 1];
    }
    unit.seam.advance(len);
}
