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

use super::{Op, Plan, PlanNode, Slot, index::KeyIndex};
use crate::simd::LANES;

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
#[derive(Clone, Copy)]
struct Ending<'a> {
    to: u32,
    port: u16,
    from: u32,
    from_port: u16,
    compensated: bool,
    feedback: Option<u32>,
    edge: &'a EdgeSpec,
}

/// What a graph says about its plan.
pub(crate) struct Expected<'a> {
    nodes: Vec<NodeKey>,
    /// The audio edges, sorted by where they end, then by where they begin.
    edges: Vec<Ending<'a>>,
    /// Where those into each node begin.
    first: Vec<u32>,
}

/// The signals in a buffer or lane, and who put them there.
#[derive(Clone, Default)]
struct Held {
    symbols: Symbols,
    /// A task plus one; zero before anything was written.
    writer: usize,
}

/// Buffers or lanes by number: those of one worker, then those of all.
struct Places {
    held: Vec<Held>,
    private: usize,
}

impl Places {
    fn new(private: usize, shared: usize) -> Places {
        Places { held: vec![Held::default(); private + shared], private }
    }

    fn of(&self, slot: Slot, parts: usize, part: usize) -> Option<usize> {
        let index = slot.index().checked_mul(parts)?.checked_add(part)?;
        let (first, end) =
            if slot.is_shared() { (self.private, self.held.len()) } else { (0, self.private) };
        (!slot.is_none() && index < end - first).then_some(first + index)
    }

    /// What private places held for the task before means nothing to this one.
    fn get(&self, place: usize, task: usize) -> Option<&Symbols> {
        let held = &self.held[place];
        let known = held.writer == task + 1 || (place >= self.private && held.writer > 0);
        known.then_some(&held.symbols)
    }

    /// For writing anew: empty, with the room that it had.
    fn take(&mut self, place: usize) -> Symbols {
        let mut symbols = std::mem::take(&mut self.held[place].symbols);
        symbols.clear();
        symbols
    }

    fn put(&mut self, place: usize, task: usize, symbols: Symbols) {
        self.held[place] = Held { symbols, writer: task + 1 };
    }
}

struct Verifier<'a> {
    plan: &'a Plan,
    expected: &'a Expected<'a>,
    /// The arrival and the latency of each node.
    times: Vec<(u32, u32)>,
    slots: Places,
    lanes: Places,
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
    let nodes = plan.nodes.iter().map(|node| node.key).collect();
    verify_against(plan, &Expected::new(nodes, spec))
}

pub(crate) fn verify_against(plan: &Plan, expected: &Expected<'_>) -> Result<(), VerifyError> {
    let keys = plan.nodes.iter().map(|node| node.key);
    if let Some((node, _)) = keys.zip(&expected.nodes).find(|(node, known)| node != *known) {
        return Err(VerifyError::NodeRuns { node, times: 0 });
    }
    if let Some(&node) = expected.nodes.get(plan.nodes.len()) {
        return Err(VerifyError::NodeRuns { node, times: 0 });
    }
    let latency = |node: &PlanNode| plan.classes[node.class as usize].latency;
    let mut verifier = Verifier {
        plan,
        expected,
        times: plan.nodes.iter().map(|node| (node.arrival, latency(node))).collect(),
        slots: Places::new(plan.local_slots, plan.shared_slots),
        lanes: Places::new(plan.local_blocks * LANES, plan.shared_blocks * LANES),
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

impl<'a> Expected<'a> {
    /// Of a graph in its canonical order, which is that of its plan's nodes.
    pub fn of(spec: &'a GraphSpec) -> Expected<'a> {
        Expected::new(spec.nodes.iter().map(|node| node.key).collect(), spec)
    }

    fn new(nodes: Vec<NodeKey>, spec: &'a GraphSpec) -> Expected<'a> {
        let index = KeyIndex::new(nodes.iter().copied());
        let find = |key| index.find(key, |at| nodes[at as usize]);
        let mut found = Vec::with_capacity(spec.edges.len());
        // Edges come sorted by source, so most sources are those of the edge before.
        let mut last = None;
        for edge in spec.edges.iter().filter(|edge| edge.kind == EdgeKind::Audio) {
            let from = match last {
                Some((key, from)) if key == edge.from => from,
                _ => find(edge.from),
            };
            last = Some((edge.from, from));
            if let (Some(from), Some(to), Inlet::Port(port)) = (from, find(edge.to), &edge.to_port)
            {
                found.push(Ending {
                    to,
                    port: *port,
                    from,
                    from_port: edge.from_port,
                    compensated: edge.compensated,
                    feedback: edge.feedback_frames,
                    edge,
                });
            }
        }
        let mut first = vec![0u32; nodes.len() + 1];
        found.iter().for_each(|ending| first[ending.to as usize + 1] += 1);
        (1..first.len()).for_each(|at| first[at] += first[at - 1]);
        let (mut next, mut edges) = (first.clone(), found.clone());
        for ending in found {
            edges[next[ending.to as usize] as usize] = ending;
            next[ending.to as usize] += 1;
        }
        for node in first.windows(2) {
            let own = &mut edges[node[0] as usize..node[1] as usize];
            own.sort_by_key(|ending| (ending.port, ending.from, ending.from_port));
        }
        Expected { nodes, edges, first }
    }

    fn into(&self, node: u32) -> &[Ending<'a>] {
        let (start, end) = (self.first[node as usize], self.first[node as usize + 1]);
        &self.edges[start as usize..end as usize]
    }
}

impl Verifier<'_> {
    fn slot(&self, task: usize, slot: Slot) -> Result<usize, VerifyError> {
        self.slots.of(slot, 1, 0).ok_or(VerifyError::NoSuchSlot { task, slot })
    }

    fn read(&self, task: usize, slot: Slot) -> Result<&Symbols, VerifyError> {
        let found = self.slots.get(self.slot(task, slot)?, task);
        found.ok_or(VerifyError::ReadBeforeWrite { task, slot })
    }

    fn write(&mut self, task: usize, slot: Slot, terms: &[Term]) -> Result<(), VerifyError> {
        let place = self.slot(task, slot)?;
        let mut symbols = self.slots.take(place);
        symbols.extend_from_slice(terms);
        self.slots.put(place, task, symbols);
        Ok(())
    }

    /// Puts into a buffer what another holds, each signal so many frames later.
    fn pass(&mut self, task: usize, src: Slot, dst: Slot, late: u32) -> Result<(), VerifyError> {
        self.read(task, src)?;
        let (from, to) = (self.slot(task, src)?, self.slot(task, dst)?);
        if from == to {
            self.slots.held[to].symbols.iter_mut().for_each(|term| term.2 += late);
            return Ok(());
        }
        let mut symbols = self.slots.take(to);
        let terms = self.slots.held[from].symbols.iter();
        symbols.extend(terms.map(|&(node, port, delay)| (node, port, delay + late)));
        self.slots.put(to, task, symbols);
        Ok(())
    }

    fn add(&mut self, task: usize, src: Slot, dst: Slot) -> Result<(), VerifyError> {
        self.read(task, src)?;
        self.read(task, dst)?;
        let (from, to) = (self.slot(task, src)?, self.slot(task, dst)?);
        let mut sum = std::mem::take(&mut self.slots.held[to].symbols);
        if from == to {
            sum.extend_from_within(..);
        } else {
            sum.extend_from_slice(&self.slots.held[from].symbols);
        }
        self.slots.held[to].symbols = sum;
        Ok(())
    }

    fn lane(&self, task: usize, block: Slot, lane: u8) -> Result<usize, VerifyError> {
        let place = self.lanes.of(block, LANES, usize::from(lane));
        let fits = usize::from(lane) < LANES;
        place.filter(|_| fits).ok_or(VerifyError::NoSuchSlot { task, slot: block })
    }

    fn lane_symbols(&self, task: usize, block: Slot, lane: u8) -> Result<&Symbols, VerifyError> {
        let found = self.lanes.get(self.lane(task, block, lane)?, task);
        found.ok_or(VerifyError::ReadBeforeWrite { task, slot: block })
    }

    fn task(&mut self, task: usize, ops: &[Op]) -> Result<(), VerifyError> {
        self.region = 0;
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
                Op::Clear { dst, .. } => self.write(task, dst, &[])?,
                Op::Copy { src, dst, .. } => self.pass(task, src, dst, 0)?,
                Op::Add { src, dst, .. } => self.add(task, src, dst)?,
                Op::Delay { line, src, dst, .. } => {
                    self.feedback_ends[line as usize].0 += 1;
                    self.feedback_ends[line as usize].1 += 1;
                    self.pass(task, src, dst, self.plan.lines[line as usize].frames)?;
                }
                Op::FeedbackRead { line, dst, .. } => {
                    self.feedback_ends[line as usize].0 += 1;
                    self.loop_fits(line, loop_chunk)?;
                    self.write(task, dst, &[self.feedback_source(line)])?;
                }
                Op::FeedbackWrite { line, src, .. } => {
                    self.feedback_ends[line as usize].1 += 1;
                    self.loop_fits(line, loop_chunk)?;
                    self.lines[line as usize] = Some(self.read(task, src)?.clone());
                }
                Op::Node { node } => self.node(task, node)?,
                Op::Pack { src, block, lane, .. } => {
                    let place = self.lane(task, block, lane)?;
                    let mut symbols = self.lanes.take(place);
                    symbols.extend_from_slice(self.read(task, src)?);
                    self.lanes.put(place, task, symbols);
                }
                Op::Batch { batch } => self.batch(task, batch)?,
                Op::Unpack { block, dst, lane, .. } => {
                    let place = self.slot(task, dst)?;
                    let mut symbols = self.slots.take(place);
                    symbols.extend_from_slice(self.lane_symbols(task, block, lane)?);
                    self.slots.put(place, task, symbols);
                }
                Op::AddLanes { block, dst, first, end, .. } => {
                    self.read(task, dst)?;
                    let place = self.slot(task, dst)?;
                    let mut sum = std::mem::take(&mut self.slots.held[place].symbols);
                    for lane in first..end {
                        sum.extend_from_slice(self.lane_symbols(task, block, lane)?);
                    }
                    self.slots.held[place].symbols = sum;
                }
                Op::Output { output, src, .. } => self.output(task, output, src)?,
            }
        }
        Ok(())
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
    fn feedback_source(&self, line: u32) -> Term {
        let line = &self.plan.lines[line as usize];
        let from = self.plan.find(line.edge.from).unwrap_or(u32::MAX);
        (from, line.edge.from_port, line.frames)
    }

    fn loop_fits(&self, line: u32, chunk: u32) -> Result<(), VerifyError> {
        let frames = self.plan.lines[line as usize].frames;
        if chunk > frames { Err(VerifyError::LoopTooLong { frames, chunk }) } else { Ok(()) }
    }

    fn node(&mut self, task: usize, node: u32) -> Result<(), VerifyError> {
        let plan = self.plan;
        let (inputs, outputs) = (plan.inputs(node), plan.outputs_of(node));
        self.region_of[node as usize] = self.region;
        self.check_senders(node)?;
        let in_place = plan.class(node).kind.is_none_or(|kind| kind.descriptor.in_place);
        for (port, input) in inputs.iter().enumerate() {
            if input.slot.is_none() {
                self.check_input(node, port as u16, &mut [])?;
                continue;
            }
            self.read(task, input.slot)?;
            let place = self.slot(task, input.slot)?;
            let mut symbols = std::mem::take(&mut self.slots.held[place].symbols);
            self.check_input(node, port as u16, &mut symbols)?;
            self.slots.held[place].symbols = symbols;
        }
        for (port, output) in outputs.iter().enumerate() {
            let own = in_place && port == 0;
            let read = (inputs.iter().enumerate())
                .any(|(at, input)| input.slot == output.slot && !(own && at == 0));
            let twice = outputs[..port].iter().any(|other| other.slot == output.slot);
            if read || twice {
                let node = plan.nodes[node as usize].key;
                return Err(VerifyError::Aliased { node, slot: output.slot });
            }
            self.write(task, output.slot, &[(node, port as u16, 0)])?;
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
    fn check_input(&self, node: u32, port: u16, found: &mut [Term]) -> Result<(), VerifyError> {
        let plan = self.plan;
        let own = self.expected.into(node);
        let first = own.partition_point(|ending| ending.port < port);
        let count = own[first..].iter().take_while(|ending| ending.port == port).count();
        let expected = &own[first..first + count];
        found.sort_unstable();
        let same = found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| (a.0, a.1) == (b.from, b.from_port));
        if !same {
            let name = |node: u32, port: u16| match plan.nodes.get(node as usize) {
                Some(node) => format!("{}:{port}", node.key),
                None => format!("?:{port}"),
            };
            return Err(VerifyError::WrongInput {
                node: plan.nodes[node as usize].key,
                port,
                found: found.iter().map(|term| name(term.0, term.1)).collect(),
                expected: expected.iter().map(|e| name(e.from, e.from_port)).collect(),
            });
        }
        for ((from, _, delay), ending) in found.iter().zip(expected) {
            self.check_time(node, *from, *delay, ending)?;
        }
        Ok(())
    }

    fn check_time(
        &self,
        node: u32,
        from: u32,
        delay: u32,
        ending: &Ending<'_>,
    ) -> Result<(), VerifyError> {
        let plan = self.plan;
        let arrival = i64::from(self.times[node as usize].0);
        let (begins, latency) = self.times[from as usize];
        let ready = i64::from(begins) + i64::from(latency);
        let extra = i64::from(ending.feedback.unwrap_or(0));
        // Inside a loop nothing is compensated: its members arrive together.
        let together = self.region != 0 && self.region_of[from as usize] == self.region;
        let returns = || {
            let line = plan.lines.binary_search_by(|line| line.edge.cmp(ending.edge));
            line.is_ok_and(|at| plan.lines[at].feedback)
        };
        let in_loop = together || (ending.feedback.is_some() && returns());
        let expected = if ending.compensated && !in_loop { arrival - ready + extra } else { extra };
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
            let place = self.lane(task, planned.block, lane as u8)?;
            if self.lanes.get(place, task).is_none() {
                return Err(VerifyError::EmptyLane { batch, lane: lane as u8 });
            }
            let mut symbols = std::mem::take(&mut self.lanes.held[place].symbols);
            for &node in chain {
                self.check_input(node, 0, &mut symbols)?;
                symbols.clear();
                symbols.push((node, 0, 0));
                self.runs[node as usize] += 1;
            }
            self.lanes.put(place, task, symbols);
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
