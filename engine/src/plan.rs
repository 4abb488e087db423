//! The compiled form of a graph: a flat list of operations over a few buffers.
//!
//! A plan is immutable and holds no signal: what a node remembers lives beside it
//! in units, keyed by [`StateKey`], so that a recompile (always of the whole
//! graph) keeps the state of whatever it didn't touch. Summation order, delays
//! and buffers are decided here, once, and never on the audio thread; every plan
//! passes [`verify`] before anyone sees it.

pub mod buffers;
pub mod compile;
pub mod dump;
mod flow;
mod index;
pub mod latency;
pub mod order;
pub mod units;
pub mod verify;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use pulse_schemas::{
    graph::{Cohort, EdgeSpec, NodeKey, OutputKind},
    hash::Hash,
};

use crate::node::NodeKind;

pub use compile::{CompileError, Compiler};
pub use verify::VerifyError;

/// Signals that are summed one after the other before the sums are summed.
pub const SUM_GROUP: usize = 16;
/// The delay of a feedback edge that doesn't say.
pub const DEFAULT_FEEDBACK_FRAMES: u32 = 64;

/// A buffer of two channels. In a finished plan those at and above
/// [`Slot::SHARED`] are common to all workers, the others belong to one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u32);

impl Slot {
    pub const NONE: Slot = Slot(u32::MAX);
    const SHARED: u32 = 1 << 31;

    pub fn shared(index: usize) -> Slot {
        Slot(index as u32 | Slot::SHARED)
    }

    pub fn is_none(self) -> bool {
        self == Slot::NONE
    }

    pub fn is_shared(self) -> bool {
        self.0 & Slot::SHARED != 0
    }

    pub fn index(self) -> usize {
        (self.0 & !Slot::SHARED) as usize
    }
}

/// One step of a plan, over some range of the current block. Every operation may
/// be run range by range: nothing depends on where a range ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Clear {
        dst: Slot,
        channels: u8,
    },
    Copy {
        src: Slot,
        dst: Slot,
        from: u8,
        to: u8,
    },
    /// `dst += src`. Mono into stereo goes to both channels, stereo into mono is
    /// the mean of the two.
    Add {
        src: Slot,
        dst: Slot,
        from: u8,
        to: u8,
    },
    /// Through a delay line.
    Delay {
        line: u32,
        src: Slot,
        dst: Slot,
        channels: u8,
    },
    FeedbackRead {
        line: u32,
        dst: Slot,
        channels: u8,
    },
    FeedbackWrite {
        line: u32,
        src: Slot,
        channels: u8,
    },
    Node {
        node: u32,
    },
    /// Into a lane of a block of eight; `head` is the first node of the chain.
    Pack {
        src: Slot,
        block: Slot,
        head: u32,
        lane: u8,
        channels: u8,
    },
    Batch {
        batch: u32,
    },
    Unpack {
        block: Slot,
        dst: Slot,
        lane: u8,
        channels: u8,
    },
    /// `dst += lane` for the lanes `first..end`, one after the other: what
    /// unpacking each and adding it would give, without the buffer between.
    AddLanes {
        block: Slot,
        dst: Slot,
        first: u8,
        end: u8,
        channels: u8,
    },
    Output {
        output: u32,
        src: Slot,
        channels: u8,
    },
    /// The next `ops` operations form a loop: they run in turns of at most
    /// `chunk` frames.
    Region {
        ops: u32,
        chunk: u32,
    },
}

/// What must be equal for state to move from one plan to the next: node, kind,
/// DSP version, layout, channels and rate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StateKey {
    pub node: NodeKey,
    pub class: Hash,
}

/// A port of a node and its buffer; [`Slot::NONE`] where nothing is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortSlot {
    pub slot: Slot,
    pub channels: u8,
}

/// Events arriving from another node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventSource {
    pub node: u32,
    /// Added to a frame in the source's time to get one in the receiver's.
    pub shift: i64,
}

/// A parameter moved by a control output.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Modulation {
    pub param: u32,
    pub node: u32,
    pub port: u32,
    /// Added to a frame in the receiver's time to get one in the source's.
    pub shift: i64,
    /// Share of the parameter's range that an output of 1 stands for.
    pub depth: f64,
}

/// All nodes of one kind, version, layout and channel count.
#[derive(Clone)]
pub struct Class {
    /// None for a kind that this build doesn't know: audio passes through.
    pub kind: Option<&'static NodeKind>,
    pub kind_name: String,
    pub dsp_version: u32,
    pub channels: usize,
    /// The setup's parameters: layout values over defaults.
    pub params: Vec<f64>,
    pub latency: u32,
    pub hash: Hash,
    pub(crate) layout: Vec<(String, f64)>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PlanNode {
    pub key: NodeKey,
    pub class: u32,
    pub cohort: Cohort,
    /// Frames by which the node's own time is late.
    pub arrival: u32,
    pub batch: Option<(u32, u8)>,
    ports: u32,
    inputs: u8,
    outputs: u8,
    pub events: Vec<EventSource>,
    pub modulations: Vec<Modulation>,
    /// Which edges end here, for telling whether an edit changed them.
    pub wiring: u64,
    /// Grid values that each control output keeps.
    pub control_ring: u32,
    /// Its place in the walk that decides the order of sums.
    pub rank: u32,
}

/// Sound from one port to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PlanEdge {
    pub to: u32,
    pub from: u32,
    pub from_port: u16,
    pub to_port: u16,
}

/// A delay line, keyed so that it survives a recompile.
#[derive(Clone, PartialEq, Debug)]
pub struct PlanLine {
    pub edge: EdgeSpec,
    pub frames: u32,
    pub feedback: bool,
}

/// The chains of a batch, all of one length.
#[derive(Clone, PartialEq, Debug)]
pub struct Lanes {
    nodes: Vec<u32>,
    stages: usize,
}

impl Lanes {
    fn new<'a>(stages: usize, chains: impl Iterator<Item = &'a [u32]>) -> Lanes {
        let mut nodes = Vec::with_capacity(stages * crate::simd::LANES);
        chains.for_each(|chain| nodes.extend_from_slice(chain));
        Lanes { nodes, stages: stages.max(1) }
    }

    pub fn len(&self) -> usize {
        self.nodes.len() / self.stages
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn iter(&self) -> std::slice::ChunksExact<'_, u32> {
        self.nodes.chunks_exact(self.stages)
    }
}

impl std::ops::Index<usize> for Lanes {
    type Output = [u32];

    fn index(&self, lane: usize) -> &[u32] {
        &self.nodes[lane * self.stages..][..self.stages]
    }
}

/// Up to eight identical chains, run at once.
#[derive(Clone, PartialEq, Debug)]
pub struct PlanBatch {
    /// The class of each stage of the chain.
    pub stages: Vec<u32>,
    /// `members[lane][stage]`.
    pub members: Lanes,
    pub block: Slot,
    pub channels: u8,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PlanOutput {
    pub kind: OutputKind,
    pub node: u32,
    pub port: u16,
    /// Frames by which this output is late.
    pub latency: u32,
    pub channels: u8,
}

/// A run of operations for one worker, and which runs come first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PlanTask {
    pub ops: Vec<Op>,
    /// Indices of earlier tasks.
    pub after: Vec<u32>,
}

/// Nodes that are cached together: a chain without side exits, a loop, and
/// whatever exchanges events or control values. No unit needs a later one.
#[derive(Clone, PartialEq, Debug)]
pub struct PlanUnit {
    /// In the order of execution.
    pub nodes: Vec<u32>,
    /// Whether a loop is inside, so that a change may take long to die away.
    pub feedback: bool,
    /// The unit's own time is the absolute frame minus this.
    pub arrival: u32,
    /// Signals from other units, in the order of summation.
    pub inputs: Vec<UnitInput>,
}

/// One signal into a unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct UnitInput {
    pub node: u32,
    pub port: u16,
    pub to: u32,
    pub to_port: u16,
    /// Its place in the sum.
    pub order: u32,
    /// The group of partial sums that the signal belongs to: signals of one group
    /// are summed in their order, then the groups in theirs.
    pub group: u32,
    /// Frame `f` of the reader's own time hears frame `f + shift` of the source
    /// unit's: compensation, latency and feedback in one number.
    pub shift: i64,
    pub feedback: bool,
}

pub struct Plan {
    pub spec: Hash,
    pub sample_rate: u32,
    pub max_block: usize,
    pub classes: Arc<Vec<Class>>,
    /// Sorted by key.
    pub nodes: Vec<PlanNode>,
    /// Who hears whom, sorted.
    pub edges: Vec<PlanEdge>,
    /// Sorted by edge.
    pub lines: Vec<PlanLine>,
    pub batches: Vec<PlanBatch>,
    pub outputs: Vec<PlanOutput>,
    /// In an order that respects `after`. A plan for one thread has one.
    pub tasks: Vec<PlanTask>,
    /// In the order of execution.
    pub units: Vec<PlanUnit>,
    pub local_slots: usize,
    pub shared_slots: usize,
    pub local_blocks: usize,
    pub shared_blocks: usize,
    ports: Vec<PortSlot>,
}

impl Plan {
    pub fn class(&self, node: u32) -> &Class {
        &self.classes[self.nodes[node as usize].class as usize]
    }

    pub fn inputs(&self, node: u32) -> &[PortSlot] {
        let node = &self.nodes[node as usize];
        &self.ports[node.ports as usize..][..usize::from(node.inputs)]
    }

    pub fn outputs_of(&self, node: u32) -> &[PortSlot] {
        let node = &self.nodes[node as usize];
        let start = node.ports as usize + usize::from(node.inputs);
        &self.ports[start..][..usize::from(node.outputs)]
    }

    pub fn state_key(&self, node: u32) -> StateKey {
        StateKey { node: self.nodes[node as usize].key, class: self.class(node).hash }
    }

    pub fn find(&self, key: NodeKey) -> Option<u32> {
        self.nodes.binary_search_by_key(&key, |node| node.key).ok().map(|at| at as u32)
    }

    /// The edges of sound into a node.
    pub fn edges_into(&self, node: u32) -> &[PlanEdge] {
        let start = self.edges.partition_point(|edge| edge.to < node);
        let end = self.edges[start..].partition_point(|edge| edge.to == node);
        &self.edges[start..start + end]
    }

    /// The latest of the outputs.
    pub fn latency(&self) -> u32 {
        self.outputs.iter().map(|output| output.latency).max().unwrap_or(0)
    }
}
