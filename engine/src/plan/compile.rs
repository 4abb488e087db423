//! From a [`GraphSpec`] to a [`Plan`]: checks every end of every edge, gives each
//! node its class, and calls the passes in their order. Always the whole graph:
//! a compile is cheaper than deciding what could be kept of the last one.

// An error here names nodes and edges in full and is made once, off the audio thread.
#![allow(clippy::result_large_err)]

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::Arc,
    thread::{Builder, Scope, ScopedJoinHandle},
};

use pulse_schemas::{
    graph::{Cohort, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec},
    hash::Hash,
};

use super::{
    Class, EventSource, Modulation, Plan, PlanEdge, PlanNode, PlanOutput, Slot, buffers,
    flow::{self, Components},
    index::KeyIndex,
    latency, order, verify,
};
use crate::{
    node::{MAX_CHANNELS, MAX_PORTS, Port, Setup},
    param::GRID,
    registry::Registry,
};

/// The longest block that renders and devices usually have.
const USUAL_BLOCK: usize = 1_024;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CompileError {
    #[error("node {node} is in the graph twice; a key names one node")]
    DuplicateNode { node: NodeKey },
    #[error("a connection {from} → {to} names a node that is not in the graph: {missing}")]
    MissingNode { from: NodeKey, to: NodeKey, missing: NodeKey },
    #[error("output {node} port {port} does not exist; connect the output to another node")]
    MissingOutput { node: NodeKey, port: u16 },
    #[error("node {node} ({kind}) has no {direction} {edge:?} port {port}")]
    MissingPort {
        node: NodeKey,
        kind: String,
        direction: &'static str,
        edge: EdgeKind,
        port: String,
    },
    #[error("node {node} asks for {found} channels; this engine has 1 or 2")]
    Channels { node: NodeKey, found: u8 },
    #[error("node {node} has no parameter `{param}` that can be modulated")]
    MissingParam { node: NodeKey, param: String },
    #[error(
        "these nodes feed each other: {}; make one of the connections a feedback edge with a \
         delay (64 frames, say), for example {from} → {to}",
        path_text(path)
    )]
    Cycle { path: Vec<NodeKey>, from: NodeKey, to: NodeKey },
    #[error("the feedback edge {from} → {to} has no delay; give it at least 1 frame")]
    FeedbackDelay { from: NodeKey, to: NodeKey },
    #[error("{from} → {to} carries no audio; only audio can be fed back")]
    FeedbackKind { from: NodeKey, to: NodeKey },
    #[error("{rate} Hz is not a rate this engine runs at (8000 to 768000)")]
    Rate { rate: u32 },
    #[error("blocks of {frames} frames are not possible (1 to 65536)")]
    Block { frames: usize },
    #[error("node {node} ({kind}) panicked while being prepared: {reason}")]
    Prepare { node: NodeKey, kind: String, reason: String },
    #[error("the compiled plan is wrong: {0}; please report this graph")]
    Verify(#[from] verify::VerifyError),
}

fn path_text(path: &[NodeKey]) -> String {
    path.iter().map(NodeKey::to_string).collect::<Vec<_>>().join(" → ")
}

/// The channels of a node's audio inputs or outputs.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct Ports {
    channels: [u8; MAX_PORTS],
    count: u8,
}

impl Ports {
    fn of(ports: &[Port], channels: usize) -> Ports {
        let mut own = Ports::default();
        ports.iter().for_each(|port| own.push(port.count(channels) as u8));
        own
    }

    /// No node has more ports than there is room for.
    fn push(&mut self, channels: u8) {
        if let Some(place) = self.channels.get_mut(usize::from(self.count)) {
            *place = channels;
            self.count += 1;
        }
    }
}

impl Deref for Ports {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.channels[..usize::from(self.count)]
    }
}

/// A node while compiling.
pub(crate) struct GraphNode<'a> {
    pub spec: &'a NodeSpec,
    pub class: u32,
    pub cohort: Cohort,
    /// Audio ports, with their channels.
    pub inputs: Ports,
    pub outputs: Ports,
}

/// An edge with its ends resolved, and what the passes ask of it: the edge itself
/// is large, and a pass over all of them would miss the cache at each.
#[derive(Clone, Copy)]
pub(crate) struct GraphEdge<'a> {
    pub spec: &'a EdgeSpec,
    pub kind: EdgeKind,
    pub compensated: bool,
    pub from_port: u16,
    pub from: u32,
    pub to: u32,
    /// The audio port, or the index of the parameter.
    pub to_port: u32,
    /// The least frames that the edge adds by itself.
    pub feedback: u32,
    /// Its place in the graph's list.
    pub index: u32,
}

impl GraphEdge<'_> {
    /// When the signal at the end of the edge is there, before compensation.
    pub fn ready(&self, graph: &Graph<'_>, arrivals: &[u32]) -> u32 {
        arrivals[self.from as usize] + graph.latency(self.from)
    }
}

pub(crate) struct Graph<'a> {
    pub nodes: Vec<GraphNode<'a>>,
    /// Sorted by target, then source key.
    pub edges: Vec<GraphEdge<'a>>,
    into: Vec<u32>,
    /// Edge indices sorted by source, and where each source's begin.
    pub out_edges: Vec<u32>,
    out_of: Vec<u32>,
    pub classes: Arc<Vec<Class>>,
    /// Of each node, its rank in the graph that this one is a part of.
    pub whole: Option<Vec<u32>>,
}

impl<'a> Graph<'a> {
    pub fn edges_into(&self, node: u32) -> &[GraphEdge<'a>] {
        &self.edges[self.into[node as usize] as usize..self.into[node as usize + 1] as usize]
    }

    pub fn edges_into_range(&self, node: u32) -> std::ops::Range<usize> {
        self.into[node as usize] as usize..self.into[node as usize + 1] as usize
    }

    pub fn edges_out(&self, node: u32) -> &[u32] {
        let (start, end) = (self.out_of[node as usize], self.out_of[node as usize + 1]);
        &self.out_edges[start as usize..end as usize]
    }

    pub fn class(&self, node: u32) -> &Class {
        &self.classes[self.nodes[node as usize].class as usize]
    }

    pub fn latency(&self, node: u32) -> u32 {
        self.class(node).latency
    }
}

/// From so many nodes on a thread of its own costs less than what it takes over.
const WORTH_A_THREAD: usize = 1_000;

/// The hash of a graph, and what the verifier expects of its plan: work that needs
/// nothing of the plan, and is done beside the compiling of a large one.
struct Aside<'scope, 'a>(Option<ScopedJoinHandle<'scope, (Hash, verify::Expected<'a>)>>);

impl<'scope, 'a> Aside<'scope, 'a> {
    fn begin<'env>(scope: &'scope Scope<'scope, 'env>, spec: &'a GraphSpec) -> Aside<'scope, 'a>
    where
        'a: 'scope,
    {
        let worth = spec.nodes.len() >= WORTH_A_THREAD;
        let begin = || Builder::new().spawn_scoped(scope, || Aside::work(spec)).ok();
        Aside(worth.then(begin).flatten())
    }

    fn work(spec: &'a GraphSpec) -> (Hash, verify::Expected<'a>) {
        (spec.hash(), verify::Expected::of(spec))
    }

    fn end(self, spec: &'a GraphSpec) -> (Hash, verify::Expected<'a>) {
        let done = self.0.and_then(|thread| thread.join().ok());
        done.unwrap_or_else(|| Aside::work(spec))
    }
}

/// Compiles graphs. Remembers what it learned about kinds and layouts, so that
/// each is probed once.
pub struct Compiler {
    registry: Registry,
    sample_rate: u32,
    max_block: usize,
    parallel: bool,
    lanes: bool,
    /// Classes by the fingerprint of what they are made of.
    known: BTreeMap<u64, Vec<u32>>,
    classes: Arc<Vec<Class>>,
}

impl Compiler {
    pub fn new(
        registry: Registry,
        sample_rate: u32,
        max_block: usize,
    ) -> Result<Compiler, CompileError> {
        if !(8_000..=768_000).contains(&sample_rate) {
            return Err(CompileError::Rate { rate: sample_rate });
        }
        if !(1..=65_536).contains(&max_block) {
            return Err(CompileError::Block { frames: max_block });
        }
        let registry = registry.with(&crate::render::feed::KIND);
        let registry = registry.with(&crate::anticipate::source::KIND);
        let (known, classes) = (BTreeMap::new(), Arc::default());
        let (parallel, lanes) = (false, true);
        Ok(Compiler { registry, sample_rate, max_block, parallel, lanes, known, classes })
    }

    /// Cuts plans into tasks for several workers. The sound is the same.
    pub fn parallel(mut self, parallel: bool) -> Compiler {
        self.parallel = parallel;
        self
    }

    /// Whether identical chains run in lanes (they do unless told). The sound is
    /// the same.
    pub fn lanes(mut self, lanes: bool) -> Compiler {
        self.lanes = lanes;
        self
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub fn compile(&mut self, spec: &GraphSpec) -> Result<Plan, CompileError> {
        self.compile_within(spec, None)
    }

    /// Compiles a part of a graph that was compiled as a whole: sums have the order
    /// that they have there.
    pub(crate) fn compile_within(
        &mut self,
        spec: &GraphSpec,
        whole: Option<&Plan>,
    ) -> Result<Plan, CompileError> {
        let canonical;
        let spec = if spec.is_canonical() {
            spec
        } else {
            let mut sorted = spec.clone();
            sorted.canonicalise();
            canonical = sorted;
            &canonical
        };
        // What follows from the graph alone is worked out meanwhile.
        std::thread::scope(|scope| {
            let aside = Aside::begin(scope, spec);
            self.compile_beside(spec, whole, aside)
        })
    }

    fn compile_beside<'a>(
        &mut self,
        spec: &'a GraphSpec,
        whole: Option<&Plan>,
        aside: Aside<'_, 'a>,
    ) -> Result<Plan, CompileError> {
        let mut graph = self.resolve(spec)?;
        graph.whole = whole.map(|whole| {
            let rank = |key| whole.find(key).map_or(0, |at| whole.nodes[at as usize].rank);
            graph.nodes.iter().map(|node| rank(node.spec.key)).collect()
        });
        let components = components(&graph)?;
        let component_of = components.of(graph.nodes.len());
        let arrivals = latency::arrivals(&graph, &components, &component_of);
        let mut plan = self.skeleton(spec, &graph, &arrivals)?;
        let draft =
            order::emit(&mut plan, &graph, &components, &component_of, &arrivals, self.lanes);
        buffers::assign(&mut plan, draft, self.parallel);
        let (hash, expected) = aside.end(spec);
        plan.spec = hash;
        verify::verify_against(&plan, &expected)?;
        Ok(plan)
    }

    /// As `compile_within`, for one worker whatever the compiler was told.
    pub(crate) fn compile_task_within(
        &mut self,
        spec: &GraphSpec,
        whole: Option<&Plan>,
    ) -> Result<Plan, CompileError> {
        let parallel = std::mem::replace(&mut self.parallel, false);
        let plan = self.compile_within(spec, whole);
        self.parallel = parallel;
        plan
    }

    fn resolve<'a>(&mut self, spec: &'a GraphSpec) -> Result<Graph<'a>, CompileError> {
        let mut nodes = Vec::with_capacity(spec.nodes.len());
        let mut recent = [u32::MAX; 8];
        for (index, node) in spec.nodes.iter().enumerate() {
            if index > 0 && spec.nodes[index - 1].key == node.key {
                return Err(CompileError::DuplicateNode { node: node.key });
            }
            nodes.push(self.resolve_node(node, &mut recent)?);
        }
        // Close together, because every edge looks some of them up.
        let keys: Vec<NodeKey> = spec.nodes.iter().map(|node| node.key).collect();
        let index = KeyIndex::new(keys.iter().copied());
        let find = |key: NodeKey, edge: &EdgeSpec| {
            let found = index.find(key, |at| keys[at as usize]);
            let (from, to) = (edge.from, edge.to);
            found.ok_or(CompileError::MissingNode { from, to, missing: key })
        };
        let mut edges = Vec::with_capacity(spec.edges.len());
        // Edges are sorted by source, so its index is looked up once per source.
        let mut last = None;
        for edge in &spec.edges {
            let from = match last {
                Some((key, index)) if key == edge.from => index,
                _ => find(edge.from, edge)?,
            };
            last = Some((edge.from, from));
            let to = find(edge.to, edge)?;
            edges.push(self.resolve_edge(edge, from, to, &mut nodes)?);
        }
        Ok(index_edges(nodes, edges, self.classes.clone()))
    }

    /// `recent` are classes of nodes before this one, which are most likely its own.
    fn resolve_node<'a>(
        &mut self,
        spec: &'a NodeSpec,
        recent: &mut [u32; 8],
    ) -> Result<GraphNode<'a>, CompileError> {
        if !(1..=MAX_CHANNELS as u8).contains(&spec.channels) {
            return Err(CompileError::Channels { node: spec.key, found: spec.channels });
        }
        let is_of = |class: &&u32| {
            self.classes.get(**class as usize).is_some_and(|class| class.is_of(spec))
        };
        let class = match recent.iter().find(is_of) {
            Some(&class) => class,
            None => {
                recent.rotate_right(1);
                recent[0] = self.class_of(spec)?;
                recent[0]
            }
        };
        let channels = usize::from(spec.channels);
        let mut unknown = Ports::default();
        unknown.push(spec.channels);
        let (inputs, outputs) = match self.classes[class as usize].kind {
            Some(kind) => {
                let descriptor = kind.descriptor;
                (Ports::of(descriptor.inputs, channels), Ports::of(descriptor.outputs, channels))
            }
            None => (unknown, unknown),
        };
        Ok(GraphNode { spec, class, cohort: spec.cohort, inputs, outputs })
    }

    fn class_of(&mut self, spec: &NodeSpec) -> Result<u32, CompileError> {
        let fingerprint = fingerprint(spec);
        let alike = self.known.get(&fingerprint).map_or(&[][..], Vec::as_slice);
        let known = alike.iter().find(|&&class| self.classes[class as usize].is_of(spec));
        if let Some(&class) = known {
            return Ok(class);
        }
        let class = self.probe(spec)?;
        let classes = Arc::make_mut(&mut self.classes);
        classes.push(class);
        let index = classes.len() as u32 - 1;
        self.known.entry(fingerprint).or_default().push(index);
        Ok(index)
    }

    /// Makes one node of the class, to ask for its latency.
    fn probe(&self, spec: &NodeSpec) -> Result<Class, CompileError> {
        let kind = self.registry.get(&spec.kind);
        let mut class = Class {
            kind,
            kind_name: spec.kind.clone(),
            dsp_version: spec.dsp_version,
            channels: usize::from(spec.channels),
            params: vec![],
            latency: 0,
            hash: self.class_hash(spec),
            layout: spec.layout.iter().map(|(id, value)| (id.clone(), *value)).collect(),
        };
        let Some(kind) = kind else { return Ok(class) };
        class.params = (kind.descriptor.params.iter())
            .map(|param| match spec.layout.get(param.id) {
                Some(&value) if param.layout => param.clamp(value),
                _ => param.default,
            })
            .collect();
        let setup = class.setup(self.sample_rate, self.max_block, 0);
        let made = std::panic::catch_unwind(|| {
            let mut node = (kind.make)();
            node.prepare(&setup);
            node.latency()
        });
        class.latency = made.map_err(|payload| CompileError::Prepare {
            node: spec.key,
            kind: spec.kind.clone(),
            reason: crate::registry::panic_text(&*payload).to_owned(),
        })?;
        Ok(class)
    }

    fn class_hash(&self, spec: &NodeSpec) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("pulse node class v1");
        hasher.update(&(spec.kind.len() as u64).to_be_bytes());
        hasher.update(spec.kind.as_bytes());
        hasher.update(&spec.dsp_version.to_be_bytes());
        hasher.update(&self.sample_rate.to_be_bytes());
        hasher.update(&[spec.channels]);
        for (id, value) in &spec.layout {
            hasher.update(&(id.len() as u64).to_be_bytes());
            hasher.update(id.as_bytes());
            hasher.update(&value.to_bits().to_be_bytes());
        }
        hasher.finalize().into()
    }

    fn resolve_edge<'a>(
        &self,
        spec: &'a EdgeSpec,
        from: u32,
        to: u32,
        nodes: &mut [GraphNode<'a>],
    ) -> Result<GraphEdge<'a>, CompileError> {
        let source = self.classes[nodes[from as usize].class as usize].kind.map(|k| k.descriptor);
        let target = self.classes[nodes[to as usize].class as usize].kind.map(|k| k.descriptor);
        let missing =
            |node: NodeKey, direction, port: String, nodes: &[GraphNode<'a>], index: u32| {
                let kind = nodes[index as usize].spec.kind.clone();
                CompileError::MissingPort { node, kind, direction, edge: spec.kind, port }
            };
        let no_source = |nodes: &[GraphNode<'a>]| {
            missing(spec.from, "output", spec.from_port.to_string(), nodes, from)
        };
        let no_target = |nodes: &[GraphNode<'a>]| {
            let port = match &spec.to_port {
                Inlet::Port(port) => port.to_string(),
                Inlet::Param(id) => id.clone(),
            };
            missing(spec.to, "input", port, nodes, to)
        };
        if spec.feedback_frames.is_some() && spec.kind != EdgeKind::Audio {
            return Err(CompileError::FeedbackKind { from: spec.from, to: spec.to });
        }
        if spec.feedback_frames == Some(0) {
            return Err(CompileError::FeedbackDelay { from: spec.from, to: spec.to });
        }
        let mut to_port = 0;
        match (spec.kind, &spec.to_port) {
            (EdgeKind::Audio, Inlet::Port(port)) => {
                // A kind that nobody knows has whatever ports are asked of it.
                let grow = |ports: &mut Ports, port: u16, channels: u8| {
                    while ports.len() <= usize::from(port) && ports.len() < MAX_PORTS {
                        ports.push(channels);
                    }
                };
                if source.is_none() {
                    let node = &mut nodes[from as usize];
                    grow(&mut node.outputs, spec.from_port, node.spec.channels);
                }
                if target.is_none() {
                    let node = &mut nodes[to as usize];
                    grow(&mut node.inputs, *port, node.spec.channels);
                }
                if usize::from(spec.from_port) >= nodes[from as usize].outputs.len() {
                    return Err(no_source(nodes));
                }
                if usize::from(*port) >= nodes[to as usize].inputs.len() {
                    return Err(no_target(nodes));
                }
                to_port = u32::from(*port);
            }
            (EdgeKind::Event, Inlet::Port(_)) => {
                if source.is_some_and(|descriptor| !descriptor.event_output) {
                    return Err(no_source(nodes));
                }
                if target.is_some_and(|descriptor| !descriptor.event_input) {
                    return Err(no_target(nodes));
                }
            }
            (EdgeKind::Control, Inlet::Param(id)) => {
                let outputs = source.map_or(MAX_PORTS, |descriptor| descriptor.controls.len());
                if usize::from(spec.from_port) >= outputs {
                    return Err(no_source(nodes));
                }
                if let Some(descriptor) = target {
                    let index = descriptor.param_index(id).filter(|&index| {
                        descriptor.params[index].automatable && !descriptor.params[index].layout
                    });
                    to_port = index.ok_or_else(|| CompileError::MissingParam {
                        node: spec.to,
                        param: id.clone(),
                    })? as u32;
                }
            }
            _ => return Err(no_target(nodes)),
        }
        let feedback = spec.feedback_frames.unwrap_or(0);
        let EdgeSpec { kind, compensated, from_port, .. } = *spec;
        Ok(GraphEdge { spec, kind, compensated, from_port, from, to, to_port, feedback, index: 0 })
    }

    fn skeleton(
        &self,
        spec: &GraphSpec,
        graph: &Graph<'_>,
        arrivals: &[u32],
    ) -> Result<Plan, CompileError> {
        let mut plan = Plan {
            spec: Hash::default(),
            sample_rate: self.sample_rate,
            max_block: self.max_block,
            classes: graph.classes.clone(),
            nodes: Vec::with_capacity(graph.nodes.len()),
            edges: Vec::with_capacity(graph.edges.len()),
            lines: vec![],
            batches: vec![],
            outputs: Vec::with_capacity(spec.outputs.len()),
            tasks: vec![],
            units: vec![],
            local_slots: 0,
            shared_slots: 0,
            local_blocks: 0,
            shared_blocks: 0,
            ports: Vec::with_capacity(graph.nodes.len() * 2),
        };
        let audio = graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Audio);
        plan.edges.extend(audio.map(|edge| PlanEdge {
            to: edge.to,
            from: edge.from,
            from_port: edge.from_port,
            to_port: edge.to_port as u16,
        }));
        let words: Vec<u64> = spec.nodes.iter().map(|node| key_word(&node.key)).collect();
        for (index, node) in graph.nodes.iter().enumerate() {
            let ports = plan.ports.len() as u32;
            for &channels in node.inputs.iter().chain(node.outputs.iter()) {
                plan.ports.push(super::PortSlot { slot: Slot::NONE, channels });
            }
            plan.nodes.push(plan_node(
                graph,
                index as u32,
                arrivals,
                &words,
                ports,
                self.max_block,
            ));
        }
        for output in &spec.outputs {
            plan.outputs.push(plan_output(&plan, graph, output, arrivals)?);
        }
        Ok(plan)
    }
}

/// The same for nodes of one class; others may share it.
fn fingerprint(spec: &NodeSpec) -> u64 {
    let mut hash = u64::from(spec.dsp_version) << 8 | u64::from(spec.channels);
    let mut put = |word: u64| hash = mix(hash ^ word);
    let text = |text: &str, put: &mut dyn FnMut(u64)| {
        put(text.len() as u64);
        for part in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            put(u64::from_le_bytes(word));
        }
    };
    text(&spec.kind, &mut put);
    for (id, value) in &spec.layout {
        text(id, &mut put);
        put(value.to_bits());
    }
    hash
}

fn mix(word: u64) -> u64 {
    let word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^ word >> 29
}

impl Class {
    /// Whether a node is of this class.
    fn is_of(&self, spec: &NodeSpec) -> bool {
        let layout = self.layout.iter().map(|(id, value)| (id.as_str(), value.to_bits()));
        self.kind_name == spec.kind
            && self.dsp_version == spec.dsp_version
            && self.channels == usize::from(spec.channels)
            && layout.eq(spec.layout.iter().map(|(id, value)| (id.as_str(), value.to_bits())))
    }

    pub fn setup(&self, sample_rate: u32, max_block: usize, seed: u64) -> Setup {
        Setup { sample_rate, max_block, channels: self.channels, seed, params: self.params.clone() }
    }
}

fn plan_output(
    plan: &Plan,
    graph: &Graph<'_>,
    output: &pulse_schemas::graph::OutputSpec,
    arrivals: &[u32],
) -> Result<PlanOutput, CompileError> {
    let missing = CompileError::MissingOutput { node: output.node, port: output.port };
    let Some(node) = plan.find(output.node) else { return Err(missing) };
    let Some(&channels) = graph.nodes[node as usize].outputs.get(usize::from(output.port)) else {
        return Err(missing);
    };
    let latency = arrivals[node as usize] + graph.latency(node);
    Ok(PlanOutput { kind: output.kind, node, port: output.port, latency, channels })
}

fn plan_node(
    graph: &Graph<'_>,
    index: u32,
    arrivals: &[u32],
    words: &[u64],
    ports: u32,
    max_block: usize,
) -> PlanNode {
    let node = &graph.nodes[index as usize];
    let arrival = arrivals[index as usize];
    let (mut events, mut modulations) = (vec![], vec![]);
    let mut wiring = 0xcbf2_9ce4_8422_2325u64;
    for edge in graph.edges_into(index) {
        let late = i64::from(arrivals[edge.from as usize]) - i64::from(arrival);
        match edge.kind {
            EdgeKind::Audio => wiring = wire(wiring, edge, words),
            EdgeKind::Event => {
                let own = i64::from(graph.latency(edge.from));
                let shift = if edge.compensated { -own } else { late };
                events.push(EventSource { node: edge.from, shift });
            }
            EdgeKind::Control => {
                let shift = if edge.compensated { 0 } else { -late };
                let (param, port) = (edge.to_port, u32::from(edge.from_port));
                let depth = edge.spec.depth.0;
                modulations.push(Modulation { param, node: edge.from, port, shift, depth });
            }
        }
    }
    let readers = graph.edges_out(index).iter().map(|&edge| &graph.edges[edge as usize]);
    let latest = readers
        .filter(|edge| edge.kind == EdgeKind::Control)
        .map(|edge| arrivals[edge.to as usize].saturating_sub(arrival) as usize)
        .max();
    // Of one length whatever the block is: rings are part of states, which are compared.
    let block = max_block.max(USUAL_BLOCK);
    let control_ring = latest.map_or(0, |wait| ((wait + block) / GRID as usize + 4) as u32);
    PlanNode {
        key: node.spec.key,
        class: node.class,
        cohort: node.cohort,
        arrival,
        batch: None,
        ports,
        inputs: node.inputs.len() as u8,
        outputs: node.outputs.len() as u8,
        events,
        modulations,
        wiring,
        control_ring,
        rank: 0,
    }
}

/// Mixes in what matters of an edge, `words` being the keys of all nodes, mixed.
fn wire(hash: u64, edge: &GraphEdge<'_>, words: &[u64]) -> u64 {
    let ports = u64::from(edge.from_port) << 40 | u64::from(edge.to_port) << 8;
    mix(mix(hash ^ words[edge.from as usize]) ^ ports)
}

fn key_word(key: &NodeKey) -> u64 {
    let (id, role) = (key.entity.id.0, u64::from_be_bytes(key.role.to_bytes()));
    [(id >> 64) as u64, id as u64, role]
        .into_iter()
        .fold(key.entity.kind as u64, |hash, word| mix(hash ^ word))
}

fn index_edges<'a>(
    nodes: Vec<GraphNode<'a>>,
    mut given: Vec<GraphEdge<'a>>,
    classes: Arc<Vec<Class>>,
) -> Graph<'a> {
    // Both sorts count, which keeps what is equal in its order.
    let (into, mut next) = starts(nodes.len(), given.iter().map(|edge| edge.to));
    let mut place = vec![0u32; given.len()];
    for (edge, place) in given.iter().zip(&mut place) {
        *place = next[edge.to as usize];
        next[edge.to as usize] += 1;
    }
    let mut edges = given.clone();
    given.drain(..).zip(place).for_each(|(edge, place)| edges[place as usize] = edge);
    for node in 0..nodes.len() {
        let own = &mut edges[into[node] as usize..into[node + 1] as usize];
        own.sort_by_key(|edge| (edge.from, edge.from_port, edge.to_port));
    }
    edges.iter_mut().enumerate().for_each(|(index, edge)| edge.index = index as u32);
    let (out_of, mut next) = starts(nodes.len(), edges.iter().map(|edge| edge.from));
    let mut out_edges = vec![0u32; edges.len()];
    for edge in &edges {
        out_edges[next[edge.from as usize] as usize] = edge.index;
        next[edge.from as usize] += 1;
    }
    Graph { nodes, edges, into, out_edges, out_of, classes, whole: None }
}

/// Where the items of each of `count` lists begin if all lie one after the other;
/// twice, the second to count in.
pub(crate) fn starts(count: usize, lists: impl Iterator<Item = u32>) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; count + 1];
    lists.for_each(|list| starts[list as usize + 1] += 1);
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let next = starts.clone();
    (starts, next)
}

/// The strongly connected components in topological order. Fails on a loop that
/// no feedback edge breaks.
fn components(graph: &Graph<'_>) -> Result<Components, CompileError> {
    flow::components(graph).map_err(|members| cycle_error(graph, &members))
}

/// Walks from the first member along the first edge that stays inside, until a
/// node comes again: always the same loop for the same graph.
fn cycle_error(graph: &Graph<'_>, members: &[u32]) -> CompileError {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    let inside =
        |edge: &GraphEdge<'_>| edge.feedback == 0 && sorted.binary_search(&edge.to).is_ok();
    let mut path = vec![sorted[0]];
    loop {
        let here = path[path.len() - 1];
        let mut next = graph.edges_out(here).iter().map(|&edge| &graph.edges[edge as usize]);
        let Some(edge) = next.find(|edge| inside(edge)) else { break };
        if let Some(start) = path.iter().position(|&node| node == edge.to) {
            path.drain(..start);
            path.push(edge.to);
            break;
        }
        path.push(edge.to);
    }
    let keys: Vec<NodeKey> = path.iter().map(|&node| graph.nodes[node as usize].spec.key).collect();
    let (from, to) = (keys[keys.len().saturating_sub(2)], keys[keys.len() - 1]);
    CompileError::Cycle { path: keys, from, to }
}
