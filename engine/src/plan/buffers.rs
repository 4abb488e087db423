//! Shares out buffers: a linear scan over the operations gives every slot the
//! lowest buffer that is free, so that the few which are used stay in the cache.
//!
//! For several workers the operations are first cut into tasks; what crosses from
//! one task to another gets a buffer of its own, everything else stays private.
//! The operations and their order on each signal don't change, so the sound
//! doesn't either.

use std::{cmp::Reverse, collections::BinaryHeap};

use petgraph::{algo::kosaraju_scc, graph::DiGraph};

use super::{Op, Plan, PlanTask, Slot, order::Draft};

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Read,
    Write,
    Both,
}

/// Calls `f` for every slot of an operation; blocks come after all slots.
fn accesses(plan: &Plan, slots: u32, op: &Op, mut f: impl FnMut(u32, Access)) {
    match *op {
        Op::Clear { dst, .. } | Op::FeedbackRead { dst, .. } => f(dst.0, Access::Write),
        Op::Copy { src, dst, .. } | Op::Delay { src, dst, .. } => {
            f(src.0, Access::Read);
            f(dst.0, Access::Write);
        }
        Op::Add { src, dst, .. } => {
            f(src.0, Access::Read);
            f(dst.0, Access::Both);
        }
        Op::FeedbackWrite { src, .. } | Op::Output { src, .. } => f(src.0, Access::Read),
        Op::Node { node } => {
            let outputs = plan.outputs_of(node);
            for input in plan.inputs(node).iter().filter(|port| !port.slot.is_none()) {
                if !outputs.iter().any(|output| output.slot == input.slot) {
                    f(input.slot.0, Access::Read);
                }
            }
            let inputs = plan.inputs(node);
            for output in outputs {
                let kept = inputs.iter().any(|input| input.slot == output.slot);
                f(output.slot.0, if kept { Access::Both } else { Access::Write });
            }
        }
        Op::Pack { src, block, .. } => {
            f(src.0, Access::Read);
            f(slots + block.0, Access::Both);
        }
        Op::Batch { batch } => {
            f(slots + plan.batches[batch as usize].block.0, Access::Both);
        }
        Op::Unpack { block, dst, .. } => {
            f(slots + block.0, Access::Read);
            f(dst.0, Access::Write);
        }
        Op::AddLanes { block, dst, .. } => {
            f(slots + block.0, Access::Read);
            f(dst.0, Access::Both);
        }
        Op::Region { .. } => {}
    }
}

/// Lanes that are taken out only to be added to a sum are added where they are. The order and
/// grouping of the sum stay as they were.
fn add_in_place(plan: &Plan, draft: &mut Draft) {
    let mut uses = vec![0u32; (draft.slots + draft.blocks) as usize];
    for (op, _) in &draft.ops {
        accesses(plan, draft.slots, op, |slot, _| uses[slot as usize] += 1);
    }
    let mut ops: Vec<(Op, u32)> = Vec::with_capacity(draft.ops.len());
    // Inside a loop operations are counted, so they stay.
    let mut counted = 0;
    for &(op, task) in &draft.ops {
        let fused = if counted > 0 { None } else { added_lane(ops.last(), op, &uses) };
        counted = match op {
            Op::Region { ops, .. } => ops,
            _ => counted.saturating_sub(1),
        };
        let Some(fused) = fused else {
            ops.push((op, task));
            continue;
        };
        ops.pop();
        match (ops.last_mut(), fused) {
            (
                Some((Op::AddLanes { block, dst, end, .. }, _)),
                Op::AddLanes { block: same_block, dst: same_dst, first, end: new_end, .. },
            ) if (*block, *dst, *end) == (same_block, same_dst, first) => *end = new_end,
            _ => ops.push((fused, task)),
        }
    }
    draft.ops = ops;
}

/// What an addition becomes if the operation before it did nothing but unpack its operand.
fn added_lane(before: Option<&(Op, u32)>, op: Op, uses: &[u32]) -> Option<Op> {
    let Some(&(Op::Unpack { block, dst: lane_slot, lane, channels }, _)) = before else {
        return None;
    };
    match op {
        Op::Add { src, dst, from, to }
            if src == lane_slot && uses[src.index()] == 2 && (from, to) == (channels, channels) =>
        {
            Some(Op::AddLanes { block, dst, first: lane, end: lane + 1, channels })
        }
        _ => None,
    }
}

pub(crate) fn assign(plan: &mut Plan, mut draft: Draft, parallel: bool) {
    if !parallel {
        // With several workers the addition may belong to another task than the lanes.
        add_in_place(plan, &mut draft);
    }
    let count = (draft.slots + draft.blocks) as usize;
    let tasks = if parallel { cut(plan, &draft) } else { vec![whole(&draft)] };
    let mut place = vec![u32::MAX; count];
    let mut owner = vec![u32::MAX; count];
    let mut last = vec![u32::MAX; count];
    let mut crosses = vec![false; count];
    for (index, task) in tasks.iter().enumerate() {
        for op in &task.ops {
            accesses(plan, draft.slots, op, |slot, _| {
                let owner = &mut owner[slot as usize];
                crosses[slot as usize] |= *owner != u32::MAX && *owner != index as u32;
                *owner = index as u32;
            });
        }
    }
    share(plan, draft.slots, &crosses, &mut place);
    for task in &tasks {
        let (slots, blocks) = scan(plan, draft.slots, &task.ops, &crosses, &mut place, &mut last);
        plan.local_slots = plan.local_slots.max(slots);
        plan.local_blocks = plan.local_blocks.max(blocks);
    }
    plan.tasks = tasks;
    rewrite(plan, draft.slots, &place);
}

fn whole(draft: &Draft) -> PlanTask {
    PlanTask { ops: draft.ops.iter().map(|(op, _)| *op).collect(), after: vec![] }
}

fn share(plan: &mut Plan, slots: u32, crosses: &[bool], place: &mut [u32]) {
    for (slot, _) in crosses.iter().enumerate().filter(|(_, crosses)| **crosses) {
        let next =
            if (slot as u32) < slots { &mut plan.shared_slots } else { &mut plan.shared_blocks };
        place[slot] = Slot::shared(*next).0;
        *next += 1;
    }
}

/// Buffers by number, the lowest free one first.
#[derive(Default)]
struct Pool {
    free: BinaryHeap<Reverse<u32>>,
    made: u32,
}

impl Pool {
    fn take(&mut self) -> u32 {
        if let Some(Reverse(lowest)) = self.free.pop() {
            return lowest;
        }
        self.made += 1;
        self.made - 1
    }
}

/// Places the slots of one task; gives how many buffers and blocks it needs.
fn scan(
    plan: &Plan,
    slots: u32,
    ops: &[Op],
    crosses: &[bool],
    place: &mut [u32],
    last: &mut [u32],
) -> (usize, usize) {
    for (at, op) in ops.iter().enumerate() {
        accesses(plan, slots, op, |slot, _| last[slot as usize] = at as u32);
    }
    let (mut buffers, mut blocks) = (Pool::default(), Pool::default());
    let mut ended = vec![];
    for (at, op) in ops.iter().enumerate() {
        ended.clear();
        accesses(plan, slots, op, |slot, _| {
            if crosses[slot as usize] {
                return;
            }
            let pool = if slot < slots { &mut buffers } else { &mut blocks };
            if place[slot as usize] == u32::MAX {
                place[slot as usize] = pool.take();
            }
            if last[slot as usize] == at as u32 {
                ended.push(slot);
            }
        });
        // Freed only now, so that no result lands on an operand.
        for &slot in &ended {
            let pool = if slot < slots { &mut buffers } else { &mut blocks };
            pool.free.push(Reverse(place[slot as usize]));
        }
    }
    (buffers.made as usize, blocks.made as usize)
}

fn rewrite(plan: &mut Plan, slots: u32, place: &[u32]) {
    let put = |slot: &mut Slot| {
        if !slot.is_none() {
            slot.0 = place[slot.0 as usize];
        }
    };
    let put_block = |slot: &mut Slot| slot.0 = place[(slots + slot.0) as usize];
    for op in plan.tasks.iter_mut().flat_map(|task| &mut task.ops) {
        match op {
            Op::Clear { dst, .. } | Op::FeedbackRead { dst, .. } => put(dst),
            Op::Copy { src, dst, .. } | Op::Delay { src, dst, .. } | Op::Add { src, dst, .. } => {
                put(src);
                put(dst);
            }
            Op::FeedbackWrite { src, .. } | Op::Output { src, .. } => put(src),
            Op::Pack { src, block, .. } => {
                put(src);
                put_block(block);
            }
            Op::Unpack { block, dst, .. } | Op::AddLanes { block, dst, .. } => {
                put(dst);
                put_block(block);
            }
            Op::Node { .. } | Op::Batch { .. } | Op::Region { .. } => {}
        }
    }
    plan.ports.iter_mut().for_each(|port| {
        put(&mut port.slot);
    });
    plan.batches.iter_mut().for_each(|batch| put_block(&mut batch.block));
}

/// One task per tag, tasks that wait for each other merged, in a topological
/// order that follows the operations.
fn cut(plan: &Plan, draft: &Draft) -> Vec<PlanTask> {
    let edges = task_edges(plan, draft);
    let mut digraph: DiGraph<(), (), u32> = DiGraph::new();
    (0..draft.tasks).for_each(|_| _ = digraph.add_node(()));
    for &(from, to) in &edges {
        digraph.add_edge(from.into(), to.into(), ());
    }
    let mut merged = vec![0u32; draft.tasks as usize];
    let components = kosaraju_scc(&digraph);
    for (index, members) in components.iter().enumerate() {
        members.iter().for_each(|task| merged[task.index()] = index as u32);
    }
    let mut tasks = vec![PlanTask::default(); components.len()];
    let mut first = vec![usize::MAX; components.len()];
    for (at, (op, tag)) in draft.ops.iter().enumerate() {
        let task = merged[*tag as usize] as usize;
        first[task] = first[task].min(at);
        tasks[task].ops.push(*op);
    }
    for &(from, to) in &edges {
        let (from, to) = (merged[from as usize], merged[to as usize]);
        if from != to {
            tasks[to as usize].after.push(from);
        }
    }
    sort_tasks(tasks, &first)
}

fn task_edges(plan: &Plan, draft: &Draft) -> Vec<(u32, u32)> {
    let count = (draft.slots + draft.blocks) as usize;
    let mut writer = vec![u32::MAX; count];
    let mut readers: Vec<Vec<u32>> = vec![vec![]; count];
    let mut edges = draft.orders.clone();
    for (op, task) in &draft.ops {
        let task = *task;
        accesses(plan, draft.slots, op, |slot, access| {
            let slot = slot as usize;
            if writer[slot] != u32::MAX && writer[slot] != task {
                edges.push((writer[slot], task));
            }
            if access == Access::Read {
                readers[slot].push(task);
                return;
            }
            for reader in readers[slot].drain(..).filter(|&reader| reader != task) {
                edges.push((reader, task));
            }
            writer[slot] = task;
        });
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// Kahn's order, earliest operation first; empty tasks disappear.
fn sort_tasks(mut tasks: Vec<PlanTask>, first: &[usize]) -> Vec<PlanTask> {
    let mut waits: Vec<usize> = Vec::with_capacity(tasks.len());
    let mut then: Vec<Vec<u32>> = vec![vec![]; tasks.len()];
    for (index, task) in tasks.iter_mut().enumerate() {
        task.after.sort_unstable();
        task.after.dedup();
        waits.push(task.after.len());
        task.after.iter().for_each(|&before| then[before as usize].push(index as u32));
    }
    let mut ready: std::collections::BTreeSet<(usize, u32)> = (0..tasks.len() as u32)
        .filter(|&task| waits[task as usize] == 0)
        .map(|task| (first[task as usize], task))
        .collect();
    let mut place = vec![u32::MAX; tasks.len()];
    let mut sorted: Vec<PlanTask> = Vec::with_capacity(tasks.len());
    while let Some((_, task)) = ready.pop_first() {
        for &next in &then[task as usize] {
            waits[next as usize] -= 1;
            if waits[next as usize] == 0 {
                ready.insert((first[next as usize], next));
            }
        }
        let mut taken = std::mem::take(&mut tasks[task as usize]);
        if taken.ops.is_empty() {
            continue;
        }
        taken.after = taken.after.iter().map(|&before| place[before as usize]).collect();
        taken.after.retain(|&before| before != u32::MAX);
        taken.after.sort_unstable();
        place[task as usize] = sorted.len() as u32;
        sorted.push(taken);
    }
    sorted
}
