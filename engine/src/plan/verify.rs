//! Checks a finished plan against the graph it was made from, sharing no code
//! with the passes that made it.
//!
//! It runs the operations on symbols: a buffer holds the list of signals that
//! have been put into it, each with the delay it has had. At every node, port by
//! port, that list must be the edges of the graph, each exactly once and each
//! aligned; a buffer must be written before it is read, results must not land on
//! operands, and two tasks that touch one buffer must be ordered.

use std::collections::BTreeMap;

use pulse_schemas::graph::{EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, OutputKind};

use super::{Op, Plan, Slot};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VerifyError {
    #[error("task {task} reads {slot:?} before anything was written to it")]
    ReadBeforeWrite { task: usize, slot: Slot },
    #[error("task {task} names {slot:?}, which the plan does not have")]
    NoSuchSlot { task: usize, slot: Slot },
    #[error("node {node} writes {slot:?} while it reads it or writes it twice")]
    Aliased { node: NodeKey, slot: Slot },
    #[error("{node} runs {times} times")]
    NodeRuns { node: NodeKey, times: u32 },
    #[error("port {port} of {node} gets {found:?}, the graph says {expected:?}")]
    WrongInput { node: NodeKey, port: u16, found: Vec<String>, expected: Vec<String> },
    #[error("{from} → {node} is {found} frames late where {expected} are needed")]
    Misaligned { from: NodeKey, node: NodeKey, found: i64, expected: i64 },
    #[error("output {output} gets another signal than {node}, or none, or several")]
    WrongOutput { output: u32, node: NodeKey },
    #[error("tasks {first} and {second} both touch {slot:?} and are not ordered")]
    Unordered { first: usize, second: usize, slot: Slot },
    #[error("tasks {first} and {second} both need the delay of {from} → {to} and are not ordered")]
    UnorderedLine { first: usize, second: usize, from: NodeKey, to: NodeKey },
    #[error("tasks {first} and {second} both touch {node} and are not ordered")]
    UnorderedNode { first: usize, second: usize, node: NodeKey },
    #[error("task {task} waits for task {on}, which does not come before it")]
    TaskOrder { task: usize, on: u32 },
    #[error("operation {op} of task {task} names something that the plan does not have")]
    Dangling { task: usize, op: usize },
    #[error("a feedback line of {frames} frames is in a loop that runs {chunk} at a time")]
    LoopTooLong { frames: u32, chunk: u32 },
    #[error("{node} runs before a node whose events or control values it reads")]
    SenderOrder { node: NodeKey },
    #[error("lane {lane} of batch {batch} is run without having been filled")]
    EmptyLane { batch: u32, lane: u8 },
    #[error("batch {batch} joins nodes that are not of one class or have other members")]
    BatchClass { batch: u32 },
}

/// A signal in a buffer: output port of a node, delay so far.
type Term = (u32, u16, u32);
type Symbols = Vec<Term>;

/// An edge, by its ends.
struct Ending<'a> {
    to: u32,
    port: u16,
    from: u32,
    from_port: u16,
    edge: &'a EdgeSpec,
}

struct Verifier<'a> {
    plan: &'a Plan,
    edges: Vec<Ending<'a>>,
    slots: BTreeMap<(usize, Slot), Symbols>,
    lanes: BTreeMap<(usize, Slot, u8), Symbols>,
    runs: Vec<u32>,
    outputs: Vec<u32>,
    lines: Vec<Option<Symbols>>,
    /// The loop that is being run, counted from 1; 0 outside.
    region: u32,
    regions: u32,
    region_of: Vec<u32>,
    /// What each feedback line's reader and writer must agree on.
    feedback_ends: Vec<(u32, u32)>,
}

pub fn verify(plan: &Plan, spec: &GraphSpec) -> Result<(), VerifyError> {
    let mut verifier = Verifier {
        plan,
        edges: edges_by_port(plan, spec),
        slots: BTreeMap::new(),
        lanes: BTreeMap::new(),
        runs: vec![0; plan.nodes.len()],
        outputs: vec![0; plan.outputs.len()],
        lines: vec![None; plan.lines.len()],
        region: 0,
        regions: 0,
        region_of: vec![0; plan.nodes.len()],
        feedback_ends: vec![(0, 0); plan.lines.len()],
    };
    for (index, task) in plan.tasks.iter().enumerate() {
        if let Some(&on) = task.after.iter().find(|&&on| on as usize >= index) {
            return Err(VerifyError::TaskOrder { task: index, on });
        }
        verifier.task(index, &task.ops)?;
    }
    verifier.finish()?;
    ordered(plan)
}

/// The audio edges, sorted by where they end, then by where they begin.
fn edges_by_port<'a>(plan: &Plan, spec: &'a GraphSpec) -> Vec<Ending<'a>> {
    let mut edges = Vec::with_capacity(spec.edges.len());
    // Edges come sorted by source, so most sources are those of the edge before.
    let mut last = None;
    for edge in spec.edges.iter().filter(|edge| edge.kind == EdgeKind::Audio) {
        let from = match last {
            Some((key, from)) if key == edge.from => from,
            _ => plan.find(edge.from),
        };
        last = Some((edge.from, from));
        if let (Some(from), Some(to), Inlet::Port(port)) = (from, plan.find(edge.to), &edge.to_port)
        {
            edges.push(Ending { to, port: *port, from, from_port: edge.from_port, edge });
        }
    }
    edges.sort_by_key(|ending| (ending.to, ending.port, ending.from, ending.from_port));
    edges
}

impl Verifier<'_> {
    /// Private buffers are told apart by their task, common ones are not.
    fn place(task: usize, slot: Slot) -> (usize, Slot) {
        if slot.is_shared() { (usize::MAX, slot) } else { (task, slot) }
    }

    fn check_slot(&self, task: usize, slot: Slot) -> Result<(), VerifyError> {
        let limit = if slot.is_shared() { self.plan.shared_slots } else { self.plan.local_slots };
        if slot.is_none() || slot.index() >= limit {
            return Err(VerifyError::NoSuchSlot { task, slot });
        }
        Ok(())
    }

    fn read(&self, task: usize, slot: Slot) -> Result<&Symbols, VerifyError> {
        self.check_slot(task, slot)?;
        let found = self.slots.get(&Self::place(task, slot));
        found.ok_or(VerifyError::ReadBeforeWrite { task, slot })
    }

    fn write(&mut self, task: usize, slot: Slot, symbols: Symbols) -> Result<(), VerifyError> {
        self.check_slot(task, slot)?;
        self.slots.insert(Self::place(task, slot), symbols);
        Ok(())
    }

    fn task(&mut self, task: usize, ops: &[Op]) -> Result<(), VerifyError> {
        // What private buffers held for the task before means nothing to this one.
        self.region = 0;
        self.slots.retain(|(owner, _), _| *owner == usize::MAX);
        self.lanes.retain(|(owner, _, _), _| *owner == usize::MAX);
        let (mut loop_end, mut loop_chunk) = (0, u32::MAX);
        for (at, op) in ops.iter().enumerate() {
            if at >= loop_end {
                loop_chunk = u32::MAX;
                self.region = 0;
            }
            self.check_indices(task, at, op)?;
            match *op {
                Op::Region { ops: count, chunk } => {
                    (loop_end, loop_chunk) = (at + 1 + count as usize, chunk);
                    self.regions += 1;
                    self.region = self.regions;
                }
                Op::Clear { dst, .. } => self.write(task, dst, vec![])?,
                Op::Copy { src, dst, .. } => {
                    let symbols = self.read(task, src)?.clone();
                    self.write(task, dst, symbols)?;
                }
                Op::Add { src, dst, .. } => {
                    let more = self.read(task, src)?.clone();
                    self.read(task, dst)?;
                    if let Some(sum) = self.slots.get_mut(&Self::place(task, dst)) {
                        sum.extend(more);
                    }
                }
                Op::Delay { line, src, dst, .. } => {
                    let frames = self.plan.lines[line as usize].frames;
                    let late = |&(node, port, delay): &Term| (node, port, delay + frames);
                    let symbols = self.read(task, src)?.iter().map(late).collect();
                    self.feedback_ends[line as usize].0 += 1;
                    self.feedback_ends[line as usize].1 += 1;
                    self.write(task, dst, symbols)?;
                }
                Op::FeedbackRead { line, dst, .. } => {
                    self.feedback_ends[line as usize].0 += 1;
                    let symbols = self.feedback_source(line);
                    self.loop_fits(line, loop_chunk)?;
                    self.write(task, dst, symbols)?;
                }
                Op::FeedbackWrite { line, src, .. } => {
                    self.feedback_ends[line as usize].1 += 1;
                    self.loop_fits(line, loop_chunk)?;
                    self.lines[line as usize] = Some(self.read(task, src)?.clone());
                }
                Op::Node { node } => self.node(task, node)?,
                Op::Pack { src, block, lane, .. } => {
                    let symbols = self.read(task, src)?.clone();
                    self.lanes.insert(Self::block(task, block, lane), symbols);
                }
                Op::Batch { batch } => self.batch(task, batch)?,
                Op::Unpack { block, dst, lane, .. } => {
                    let lanes = self.lanes.get(&Self::block(task, block, lane));
                    let missing = VerifyError::ReadBeforeWrite { task, slot: block };
                    let symbols = lanes.ok_or(missing)?.clone();
                    self.write(task, dst, symbols)?;
                }
                Op::AddLanes { block, dst, first, end, .. } => {
                    self.read(task, dst)?;
                    for lane in first..end {
                        let lanes = self.lanes.get(&Self::block(task, block, lane));
                        let missing = VerifyError::ReadBeforeWrite { task, slot: block };
                        let more = lanes.ok_or(missing)?.clone();
                        if let Some(sum) = self.slots.get_mut(&Self::place(task, dst)) {
                            sum.extend(more);
                        }
                    }
                }
                Op::Output { output, src, .. } => self.output(task, output, src)?,
            }
        }
        Ok(())
    }

    fn block(task: usize, block: Slot, lane: u8) -> (usize, Slot, u8) {
        let (owner, slot) = Self::place(task, block);
        (owner, slot, lane)
    }

    fn check_indices(&self, task: usize, at: usize, op: &Op) -> Result<(), VerifyError> {
        let fine = match *op {
            Op::Delay { line, .. }
            | Op::FeedbackRead { line, .. }
            | Op::FeedbackWrite { line, .. } => (line as usize) < self.plan.lines.len(),
            Op::Node { node } => (node as usize) < self.plan.nodes.len(),
            Op::Batch { batch } => (batch as usize) < self.plan.batches.len(),
            Op::Output { output, .. } => (output as usize) < self.plan.outputs.len(),
            _ => true,
        };
        if fine { Ok(()) } else { Err(VerifyError::Dangling { task, op: at }) }
    }

    /// The signal that a feedback line carries, known before it is made.
    fn feedback_source(&self, line: u32) -> Symbols {
        let line = &self.plan.lines[line as usize];
        let from = self.plan.find(line.edge.from).unwrap_or(u32::MAX);
        vec![(from, line.edge.from_port, line.frames)]
    }

    fn loop_fits(&self, line: u32, chunk: u32) -> Result<(), VerifyError> {
        let frames = self.plan.lines[line as usize].frames;
        if chunk > frames { Err(VerifyError::LoopTooLong { frames, chunk }) } else { Ok(()) }
    }

    fn node(&mut self, task: usize, node: u32) -> Result<(), VerifyError> {
        let plan = self.plan;
        let (inputs, outputs) = (plan.inputs(node), plan.outputs_of(node));
        let key = plan.nodes[node as usize].key;
        self.region_of[node as usize] = self.region;
        self.check_senders(node)?;
        let in_place = plan.class(node).kind.is_none_or(|kind| kind.descriptor.in_place);
        for (port, input) in inputs.iter().enumerate() {
            let symbols =
                if input.slot.is_none() { vec![] } else { self.read(task, input.slot)?.clone() };
            self.check_input(node, port as u16, symbols)?;
        }
        for (port, output) in outputs.iter().enumerate() {
            let own = in_place && port == 0;
            let read = (inputs.iter().enumerate())
                .any(|(at, input)| input.slot == output.slot && !(own && at == 0));
            let twice = outputs[..port].iter().any(|other| other.slot == output.slot);
            if read || twice {
                return Err(VerifyError::Aliased { node: key, slot: output.slot });
            }
            self.write(task, output.slot, vec![(node, port as u16, 0)])?;
        }
        self.runs[node as usize] += 1;
        Ok(())
    }

    /// Whoever sends events or moves parameters has run already, in time.
    fn check_senders(&self, node: u32) -> Result<(), VerifyError> {
        let planned = &self.plan.nodes[node as usize];
        let senders = planned.events.iter().map(|source| source.node);
        let movers = planned.modulations.iter().map(|source| source.node);
        for sender in senders.chain(movers) {
            if self.runs.get(sender as usize) != Some(&1) {
                return Err(VerifyError::SenderOrder { node: planned.key });
            }
        }
        Ok(())
    }

    /// The signals at a port are its edges, each at the right time.
    fn check_input(&self, node: u32, port: u16, mut found: Symbols) -> Result<(), VerifyError> {
        let plan = self.plan;
        let first = self.edges.partition_point(|e| (e.to, e.port) < (node, port));
        let expected = self.edges[first..].iter().take_while(|e| (e.to, e.port) == (node, port));
        let expected = &self.edges[first..first + expected.count()];
        found.sort_unstable();
        let key = plan.nodes[node as usize].key;
        let same = found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| (a.0, a.1) == (b.from, b.from_port));
        if !same {
            let name = |node: u32, port: u16| match plan.nodes.get(node as usize) {
                Some(node) => format!("{}:{port}", node.key),
                None => format!("?:{port}"),
            };
            return Err(VerifyError::WrongInput {
                node: key,
                port,
                found: found.iter().map(|term| name(term.0, term.1)).collect(),
                expected: expected.iter().map(|e| name(e.from, e.from_port)).collect(),
            });
        }
        for ((from, _, delay), ending) in found.into_iter().zip(expected) {
            self.check_time(node, from, delay, ending.edge)?;
        }
        Ok(())
    }

    fn check_time(
        &self,
        node: u32,
        from: u32,
        delay: u32,
        edge: &EdgeSpec,
    ) -> Result<(), VerifyError> {
        let plan = self.plan;
        let arrival = i64::from(plan.nodes[node as usize].arrival);
        let latency = i64::from(plan.class(from).latency);
        let ready = i64::from(plan.nodes[from as usize].arrival) + latency;
        let extra = i64::from(edge.feedback_frames.unwrap_or(0));
        // Inside a loop nothing is compensated: its members arrive together.
        let line = plan.lines.binary_search_by(|line| line.edge.cmp(edge));
        let together = self.region != 0 && self.region_of[from as usize] == self.region;
        let in_loop = line.is_ok_and(|at| plan.lines[at].feedback) || together;
        let expected = if edge.compensated && !in_loop { arrival - ready + extra } else { extra };
        if i64::from(delay) != expected {
            let (from, node) = (plan.nodes[from as usize].key, plan.nodes[node as usize].key);
            return Err(VerifyError::Misaligned { from, node, found: delay.into(), expected });
        }
        Ok(())
    }

    fn batch(&mut self, task: usize, batch: u32) -> Result<(), VerifyError> {
        let plan = self.plan;
        let planned = &plan.batches[batch as usize];
        for (lane, chain) in planned.members.iter().enumerate() {
            let stages = chain.iter().map(|&node| plan.nodes[node as usize].class);
            let home = Some((batch, lane as u8));
            let known = chain.iter().all(|&node| plan.nodes[node as usize].batch == home);
            let alike = chain[0] as usize;
            let first = planned.members[0][0] as usize;
            let together = plan.nodes[alike].arrival == plan.nodes[first].arrival;
            if !stages.eq(planned.stages.iter().copied()) || !known || !together {
                return Err(VerifyError::BatchClass { batch });
            }
            let place = Self::block(task, planned.block, lane as u8);
            let empty = VerifyError::EmptyLane { batch, lane: lane as u8 };
            let mut symbols = self.lanes.remove(&place).ok_or(empty)?;
            for &node in chain {
                self.check_input(node, 0, symbols)?;
                symbols = vec![(node, 0, 0)];
                self.runs[node as usize] += 1;
            }
            self.lanes.insert(place, symbols);
        }
        Ok(())
    }

    fn output(&mut self, task: usize, output: u32, src: Slot) -> Result<(), VerifyError> {
        let planned = &self.plan.outputs[output as usize];
        let node = self.plan.nodes[planned.node as usize].key;
        if self.read(task, src)?[..] != [(planned.node, planned.port, 0)] {
            return Err(VerifyError::WrongOutput { output, node });
        }
        self.outputs[output as usize] += 1;
        Ok(())
    }

    fn finish(&self) -> Result<(), VerifyError> {
        for (node, &times) in self.plan.nodes.iter().zip(&self.runs) {
            if times != 1 {
                return Err(VerifyError::NodeRuns { node: node.key, times });
            }
        }
        for (index, output) in self.plan.outputs.iter().enumerate() {
            if self.outputs[index] != 1 {
                let node = self.plan.nodes[output.node as usize].key;
                return Err(VerifyError::WrongOutput { output: index as u32, node });
            }
        }
        for (line, ends) in self.feedback_ends.iter().enumerate() {
            let from = self.plan.lines[line].edge.from;
            let source = self.plan.find(from).unwrap_or(u32::MAX);
            let port = self.plan.lines[line].edge.from_port;
            let written =
                self.lines[line].as_ref().is_none_or(|found| found[..] == [(source, port, 0)]);
            if *ends != (1, 1) || !written {
                return Err(VerifyError::NodeRuns { node: from, times: ends.1 });
            }
        }
        Ok(())
    }
}

/// What tasks may have in common.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Common {
    Buffer(Slot),
    Block(Slot),
    Line(u32),
    /// A node with all that is kept beside it: parameters, events, control values.
    Node(u32),
}

/// Any two tasks that touch something in common, one of them writing, are ordered.
fn ordered(plan: &Plan) -> Result<(), VerifyError> {
    if plan.tasks.len() < 2 {
        return Ok(());
    }
    let before = ancestors(plan);
    let mut users: BTreeMap<Common, BTreeMap<usize, bool>> = BTreeMap::new();
    for (task, planned) in plan.tasks.iter().enumerate() {
        for op in &planned.ops {
            touch(plan, op, |common, write| {
                let private = matches!(common, Common::Buffer(slot) | Common::Block(slot) if !slot.is_shared());
                if !private {
                    *users.entry(common).or_default().entry(task).or_default() |= write;
                }
            });
        }
    }
    for (&common, users) in &users {
        for (&writer, _) in users.iter().filter(|(_, writes)| **writes) {
            for &user in users.keys().filter(|&&user| user != writer) {
                let (first, second) = (writer.min(user), writer.max(user));
                if before[second][first / 64] >> (first % 64) & 1 == 0 {
                    return Err(unordered(plan, first, second, common));
                }
            }
        }
    }
    Ok(())
}

fn unordered(plan: &Plan, first: usize, second: usize, common: Common) -> VerifyError {
    match common {
        Common::Buffer(slot) | Common::Block(slot) => {
            VerifyError::Unordered { first, second, slot }
        }
        Common::Line(line) => {
            let edge = &plan.lines[line as usize].edge;
            VerifyError::UnorderedLine { first, second, from: edge.from, to: edge.to }
        }
        Common::Node(node) => {
            VerifyError::UnorderedNode { first, second, node: plan.nodes[node as usize].key }
        }
    }
}

/// For each task, all that come before it, as bits.
fn ancestors(plan: &Plan) -> Vec<Vec<u64>> {
    let words = plan.tasks.len().div_ceil(64);
    let mut before: Vec<Vec<u64>> = Vec::with_capacity(plan.tasks.len());
    for task in &plan.tasks {
        let mut own = vec![0u64; words];
        for &on in &task.after {
            own[on as usize / 64] |= 1 << (on % 64);
            for (word, inherited) in own.iter_mut().zip(&before[on as usize]) {
                *word |= inherited;
            }
        }
        before.push(own);
    }
    before
}

fn touch(plan: &Plan, op: &Op, mut f: impl FnMut(Common, bool)) {
    use Common::{Block, Buffer, Line, Node};
    match *op {
        Op::Clear { dst, .. } => f(Buffer(dst), true),
        Op::Copy { src, dst, .. } | Op::Add { src, dst, .. } => {
            f(Buffer(src), false);
            f(Buffer(dst), true);
        }
        Op::Delay { line, src, dst, .. } => {
            f(Line(line), true);
            f(Buffer(src), false);
            f(Buffer(dst), true);
        }
        Op::FeedbackRead { line, dst, .. } => {
            f(Line(line), true);
            f(Buffer(dst), true);
        }
        Op::FeedbackWrite { line, src, .. } => {
            f(Line(line), true);
            f(Buffer(src), false);
        }
        Op::Output { src, .. } => f(Buffer(src), false),
        Op::Node { node } => {
            touch_node(plan, node, &mut f);
            plan.inputs(node).iter().for_each(|port| f(Buffer(port.slot), false));
            plan.outputs_of(node).iter().for_each(|port| f(Buffer(port.slot), true));
        }
        Op::Pack { src, block, head, .. } => {
            f(Node(head), true);
            f(Buffer(src), false);
            f(Block(block), true);
        }
        Op::Batch { batch } => {
            let planned = &plan.batches[batch as usize];
            planned.members.iter().flatten().for_each(|&node| touch_node(plan, node, &mut f));
            f(Block(planned.block), true);
        }
        Op::Unpack { block, dst, .. } | Op::AddLanes { block, dst, .. } => {
            f(Block(block), false);
            f(Buffer(dst), true);
        }
        Op::Region { .. } => {}
    }
}

/// A node and those whose events and control values it reads.
fn touch_node(plan: &Plan, node: u32, f: &mut impl FnMut(Common, bool)) {
    f(Common::Node(node), true);
    let planned = &plan.nodes[node as usize];
    planned.events.iter().for_each(|source| f(Common::Node(source.node), false));
    planned.modulations.iter().for_each(|source| f(Common::Node(source.node), false));
}

impl VerifyError {
    /// The output that an error is about, if any.
    pub fn output(&self, plan: &Plan) -> Option<OutputKind> {
        match self {
            VerifyError::WrongOutput { output, .. } => {
                plan.outputs.get(*output as usize).map(|output| output.kind)
            }
            _ => None,
        }
    }
}
