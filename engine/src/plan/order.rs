//! The order of execution, and with it the order of every sum.
//!
//! Depth first, post-order, by stable key: a signal is made just before it is
//! needed and given to everyone who sums it at once, so few buffers are alive at
//! a time (breadth first needs one per track). Sums run in the order that a walk
//! without lanes would have, in groups of sixteen: it is a function of the graph
//! and of nothing else.

use std::collections::BTreeMap;

use pulse_schemas::graph::EdgeKind;

use super::{
    Class, Lanes, Op, Plan, PlanBatch, PlanLine, SUM_GROUP, Slot, UnitInput,
    compile::{Graph, GraphEdge, starts},
    flow::Components,
    units::{self, Pieces},
};
use crate::simd::LANES;

/// What chains in one batch have in common: classes, depth, arrival, live or not, and
/// how much meets before them. A bus and a send of one track may be alike in all but
/// that, and a bus among sends would wait for half the tracks of the next bus.
type Alike = (u32, u32, u32, bool, u8);

/// Fewer chains than this run one by one: eight lanes cost about two nodes.
const MIN_BATCH: usize = 3;

/// Operations over slots that were never shared out yet, and the task that each
/// would be in if there were several workers.
#[derive(Default)]
pub(crate) struct Draft {
    pub ops: Vec<(Op, u32)>,
    pub slots: u32,
    pub blocks: u32,
    pub tasks: u32,
    /// Task pairs ordered by something other than a slot (events, control).
    pub orders: Vec<(u32, u32)>,
}

/// What runs together: the vertices of the depth-first walk.
#[derive(Clone, Copy)]
struct Item {
    kind: ItemKind,
    /// Chains, one per lane; or the members of a loop as one; or one chain.
    chains: (u32, u32),
}

#[derive(Clone, Copy, PartialEq)]
enum ItemKind {
    Chain,
    Batch,
    Loop { chunk: u32 },
}

/// All items, with the nodes of their chains in one list.
#[derive(Default)]
struct Items {
    list: Vec<Item>,
    /// Where each chain begins and ends in `nodes`.
    chains: Vec<(u32, u32)>,
    nodes: Vec<u32>,
}

impl Items {
    fn chain(&self, chain: u32) -> &[u32] {
        let (start, end) = self.chains[chain as usize];
        &self.nodes[start as usize..end as usize]
    }

    fn chains(&self, item: u32) -> impl Iterator<Item = &[u32]> {
        let (start, end) = self.list[item as usize].chains;
        (start..end).map(|chain| self.chain(chain))
    }

    fn each_node(&self, item: u32, f: &mut dyn FnMut(u32)) {
        self.chains(item).flatten().for_each(|&node| f(node));
    }

    /// The nodes of the first chain.
    fn first(&self, item: u32) -> &[u32] {
        self.chain(self.list[item as usize].chains.0)
    }

    fn push(&mut self, kind: ItemKind, nodes: &[u32]) {
        let start = self.nodes.len() as u32;
        self.nodes.extend_from_slice(nodes);
        let chain = (start, self.nodes.len() as u32);
        self.push_group(kind, std::iter::once(chain));
    }

    /// Of nodes that are in the list already.
    fn push_group(&mut self, kind: ItemKind, chains: impl Iterator<Item = (u32, u32)>) {
        let start = self.chains.len() as u32;
        self.chains.extend(chains);
        self.list.push(Item { kind, chains: (start, self.chains.len() as u32) });
    }
}

pub(crate) fn emit(
    plan: &mut Plan,
    graph: &Graph<'_>,
    components: &Components,
    component_of: &[u32],
    arrivals: &[u32],
    lanes: bool,
) -> Draft {
    let width = widths(graph, components);
    let rank = ranks(plan, graph, &width, components, component_of);
    let chains = Chains::new(plan, graph, components, component_of, arrivals);
    let next: Vec<Option<u32>> =
        (0..graph.nodes.len() as u32).map(|node| chains.next(node)).collect();
    let home = units::homes(graph, components, &next);
    let items = items(&chains, &next, lanes, &rank, &width);
    let mut item_of = vec![0u32; graph.nodes.len()];
    for index in 0..items.list.len() as u32 {
        items.each_node(index, &mut |node| item_of[node as usize] = index);
    }
    let members = |item, each: &mut dyn FnMut(u32)| items.each_node(item, each);
    let order = walk(plan, graph, &width, items.list.len(), &item_of, members);
    let order = eager(graph, &order, &item_of);
    for (node, component) in component_of.iter().enumerate() {
        let own = rank[*component as usize];
        plan.nodes[node].rank = graph.whole.as_ref().map_or(own, |whole| whole[node]);
    }
    let (draft, pieces) =
        Emitter::new(plan, graph, &items, &item_of, component_of, arrivals, &rank, &home)
            .run(&order);
    units::fuse(plan, graph, &home, pieces);
    draft
}

/// Chains are maximal: each next node has this one as its only source and this
/// one has no other reader.
struct Chains<'a, 'g> {
    graph: &'a Graph<'g>,
    component_of: &'a [u32],
    components: &'a Components,
    arrivals: &'a [u32],
    is_output: Vec<bool>,
    in_loop: Vec<bool>,
    /// Whether the nodes of each class can be one of eight.
    class_has_lanes: Vec<bool>,
    modulated: Vec<bool>,
}

impl<'a, 'g> Chains<'a, 'g> {
    fn new(
        plan: &'a Plan,
        graph: &'a Graph<'g>,
        components: &'a Components,
        component_of: &'a [u32],
        arrivals: &'a [u32],
    ) -> Chains<'a, 'g> {
        let mut is_output = vec![false; graph.nodes.len()];
        plan.outputs.iter().for_each(|output| is_output[output.node as usize] = true);
        let mut in_loop = vec![false; graph.nodes.len()];
        for members in components.iter().filter(|members| is_loop(graph, members)) {
            members.iter().for_each(|&member| in_loop[member as usize] = true);
        }
        let mut modulated = vec![false; graph.nodes.len()];
        for edge in graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Control) {
            modulated[edge.to as usize] = true;
        }
        let class_has_lanes = graph.classes.iter().map(class_has_lanes).collect();
        Chains {
            graph,
            component_of,
            components,
            arrivals,
            is_output,
            in_loop,
            class_has_lanes,
            modulated,
        }
    }

    /// The node that may be fused behind this one.
    fn next(&self, node: u32) -> Option<u32> {
        let &[edge] = self.graph.edges_out(node) else { return None };
        let edge = &self.graph.edges[edge as usize];
        let straight = edge.kind == EdgeKind::Audio
            && edge.to_port == 0
            && edge.from_port == 0
            && edge.feedback == 0
            && !self.is_output[node as usize]
            && self.graph.edges_into(edge.to).len() == 1
            && self.graph.nodes[node as usize].cohort == self.graph.nodes[edge.to as usize].cohort
            && delay(self.graph, self.arrivals, edge) == 0
            && !self.in_loop[node as usize]
            && !self.in_loop[edge.to as usize];
        straight.then_some(edge.to)
    }

    /// Whether the node can be one of eight.
    fn has_lanes(&self, node: u32) -> bool {
        let known = &self.graph.nodes[node as usize];
        self.class_has_lanes[known.class as usize]
            && !self.modulated[node as usize]
            && known.inputs == known.outputs
    }
}

fn class_has_lanes(class: &Class) -> bool {
    let Some(kind) = class.kind else { return false };
    let descriptor = kind.descriptor;
    kind.lanes.is_some()
        && descriptor.inputs.len() == 1
        && descriptor.outputs.len() == 1
        && descriptor.in_place
        && !descriptor.event_input
        && !descriptor.event_output
        && descriptor.controls.is_empty()
        && class.latency == 0
}

fn is_loop(graph: &Graph<'_>, members: &[u32]) -> bool {
    members.len() > 1 || graph.edges_into(members[0]).iter().any(|edge| edge.from == members[0])
}

fn closes_loop(component_of: &[u32], edge: &GraphEdge<'_>) -> bool {
    edge.feedback > 0 && component_of[edge.from as usize] == component_of[edge.to as usize]
}

/// Compensation of an edge, without what a feedback edge adds.
fn delay(graph: &Graph<'_>, arrivals: &[u32], edge: &GraphEdge<'_>) -> u32 {
    if !edge.compensated {
        return 0;
    }
    arrivals[edge.to as usize].saturating_sub(edge.ready(graph, arrivals))
}

fn items(
    chains: &Chains<'_, '_>,
    next: &[Option<u32>],
    lanes: bool,
    rank: &[u32],
    width: &[u8],
) -> Items {
    let Chains { graph, component_of, components, arrivals, .. } = *chains;
    let mut items = Items {
        list: Vec::with_capacity(components.len()),
        chains: Vec::with_capacity(components.len()),
        nodes: Vec::with_capacity(graph.nodes.len()),
    };
    // Chains that could share lanes, by their place in the walk: what they have in common,
    // and where their nodes begin and end.
    let mut lane_chains: Vec<Option<(u32, (u32, u32))>> = vec![None; components.len()];
    let mut groups: BTreeMap<Alike, u32> = BTreeMap::new();
    let mut signatures = Signatures { longer: vec![vec![]] };
    let mut depth = vec![0u32; graph.nodes.len()];
    let mut taken = vec![false; graph.nodes.len()];
    let mut chain = vec![];
    for members in components.iter() {
        let first = members[0];
        if chains.in_loop[first as usize] {
            let level = level(graph, &depth, members, component_of);
            members.iter().for_each(|&member| depth[member as usize] = level);
            let inside = |edge: &&GraphEdge<'_>| {
                edge.feedback > 0
                    && component_of[edge.from as usize] == component_of[first as usize]
            };
            let edges = members.iter().flat_map(|&member| graph.edges_into(member));
            let chunk = edges.filter(inside).map(|edge| edge.feedback).min().unwrap_or(1);
            items.push(ItemKind::Loop { chunk }, members);
            continue;
        }
        if taken[first as usize] {
            continue;
        }
        let level = level(graph, &depth, members, component_of);
        chain.clear();
        chain.push(first);
        let batchable = lanes && chains.has_lanes(first);
        let mut last = first;
        while let Some(next) = next[last as usize] {
            // A chain is all lanes or no lanes, so that a batch is a chain.
            if (lanes && chains.has_lanes(next)) != batchable {
                break;
            }
            chain.push(next);
            last = next;
        }
        for &node in &chain {
            depth[node as usize] = level;
            taken[node as usize] = true;
        }
        if !batchable {
            items.push(ItemKind::Chain, &chain);
            continue;
        }
        let signature = signatures.of(chain.iter().map(|&node| graph.nodes[node as usize].class));
        let first = first as usize;
        let live = graph.nodes[first].cohort == pulse_schemas::graph::Cohort::Live;
        let key = (signature, level, arrivals[first], live, width[first]);
        let start = items.nodes.len() as u32;
        items.nodes.extend_from_slice(&chain);
        let nodes = (start, items.nodes.len() as u32);
        let next = groups.len() as u32;
        let group = *groups.entry(key).or_insert(next);
        lane_chains[rank[component_of[first] as usize] as usize] = Some((group, nodes));
    }
    // Neighbours in the order of the walk, so that few sums are open at once.
    let mut alike: Vec<Vec<(u32, u32)>> = vec![vec![]; groups.len()];
    for (group, nodes) in lane_chains.into_iter().flatten() {
        alike[group as usize].push(nodes);
    }
    for chains in groups.into_values().map(|group| &alike[group as usize]) {
        for group in chains.chunks(LANES) {
            if group.len() < MIN_BATCH {
                group.iter().for_each(|&chain| {
                    items.push_group(ItemKind::Chain, std::iter::once(chain));
                });
            } else {
                items.push_group(ItemKind::Batch, group.iter().copied());
            }
        }
    }
    items
}

/// Numbers for the sequences of classes that chains are made of.
struct Signatures {
    /// Of each sequence, what comes of it with one class more; the first is the empty
    /// sequence. Few classes follow any.
    longer: Vec<Vec<(u32, u32)>>,
}

impl Signatures {
    fn of(&mut self, classes: impl Iterator<Item = u32>) -> u32 {
        classes.fold(0, |sequence, class| {
            let known = &self.longer[sequence as usize];
            if let Some((_, longer)) = known.iter().find(|(next, _)| *next == class) {
                return *longer;
            }
            let new = self.longer.len() as u32;
            self.longer[sequence as usize].push((class, new));
            self.longer.push(vec![]);
            new
        })
    }
}

/// The most signals that meet anywhere before each node, coarsely (powers of
/// four), so that few edits change the order of anything else.
fn widths(graph: &Graph<'_>, components: &Components) -> Vec<u8> {
    let mut most = vec![1u32; graph.nodes.len()];
    for members in components.iter() {
        let edges = members.iter().flat_map(|&node| graph.edges_into(node));
        let before = edges.map(|edge| most[edge.from as usize]).max().unwrap_or(1);
        let meeting = members.iter().map(|&node| graph.edges_into(node).len() as u32).max();
        for &member in members {
            most[member as usize] = before.max(meeting.unwrap_or(1));
        }
    }
    most.into_iter().map(|most| (most.max(1).ilog2() / 2) as u8).collect()
}

/// The place of each component in a walk that knows no batches.
fn ranks(
    plan: &Plan,
    graph: &Graph<'_>,
    width: &[u8],
    components: &Components,
    component_of: &[u32],
) -> Vec<u32> {
    let mut rank = vec![0; components.len()];
    let order = walk(plan, graph, width, components.len(), component_of, |item, each| {
        components.get(item as usize).iter().for_each(|&node| each(node));
    });
    let order = eager(graph, &order, component_of);
    for (place, component) in order.into_iter().enumerate() {
        rank[component as usize] = place as u32;
    }
    rank
}

/// The longest path to here. Nodes of one level never feed each other, which is
/// what makes them safe to run at once.
fn level(graph: &Graph<'_>, depth: &[u32], members: &[u32], component_of: &[u32]) -> u32 {
    let own = component_of[members[0] as usize];
    let edges = members.iter().flat_map(|&member| graph.edges_into(member));
    let outside = edges.filter(|edge| component_of[edge.from as usize] != own);
    outside.map(|edge| depth[edge.from as usize] + 1).max().unwrap_or(0)
}

/// Items in depth-first post-order: from the outputs, then whatever reaches none.
/// `members` calls back with every node of an item.
///
/// Narrow sources come before wide ones: a group of tracks before the reverb that
/// hears every track, or every group would be half done at once.
fn walk(
    plan: &Plan,
    graph: &Graph<'_>,
    width: &[u8],
    items: usize,
    item_of: &[u32],
    members: impl Fn(u32, &mut dyn FnMut(u32)),
) -> Vec<u32> {
    let mut order = Vec::with_capacity(items);
    let mut seen = vec![false; items];
    // The open items with their next source; all sources lie in one list.
    let (mut stack, mut sources): (Vec<(u32, usize, usize)>, Vec<u32>) = (vec![], vec![]);
    let all = 0..graph.nodes.len() as u32;
    let roots = plan.outputs.iter().map(|output| output.node).chain(all);
    let mut by_width: Vec<u32> = vec![];
    let mut open = |item: u32, sources: &mut Vec<u32>| {
        let start = sources.len();
        members(item, &mut |node| {
            by_width.clear();
            by_width.extend(graph.edges_into(node).iter().map(|edge| edge.from));
            by_width.sort_by_key(|&from| width[from as usize]);
            let items = by_width.iter().map(|&from| item_of[from as usize]);
            sources.extend(items.filter(|&source| source != item));
        });
        (item, start, start)
    };
    for root in roots {
        let root = item_of[root as usize];
        if std::mem::replace(&mut seen[root as usize], true) {
            continue;
        }
        stack.push(open(root, &mut sources));
        while let Some((item, start, next)) = stack.last_mut() {
            if *next == sources.len() {
                order.push(*item);
                sources.truncate(*start);
                stack.pop();
                continue;
            }
            let source = sources[*next];
            *next += 1;
            if !std::mem::replace(&mut seen[source as usize], true) {
                stack.push(open(source, &mut sources));
            }
        }
    }
    order
}

/// The walk, but whoever has all its signals runs next: what is complete is passed
/// on before anything new is begun, or a send of every track would be held until
/// its reverb comes up.
fn eager(graph: &Graph<'_>, walk: &[u32], item_of: &[u32]) -> Vec<u32> {
    let ends = |edge: &u32| {
        let edge = &graph.edges[*edge as usize];
        (item_of[edge.from as usize], item_of[edge.to as usize])
    };
    let crossing = || graph.out_edges.iter().map(ends).filter(|(from, to)| from != to);
    let (begins, mut next) = starts(walk.len(), crossing().map(|(from, _)| from));
    let mut waits = vec![0u32; walk.len()];
    let mut then = vec![0u32; begins[walk.len()] as usize];
    for (from, to) in crossing() {
        waits[to as usize] += 1;
        then[next[from as usize] as usize] = to;
        next[from as usize] += 1;
    }
    let mut order = Vec::with_capacity(walk.len());
    let mut done = vec![false; walk.len()];
    let mut ready = vec![];
    for &root in walk {
        ready.push(root);
        while let Some(item) = ready.pop() {
            if std::mem::replace(&mut done[item as usize], true) {
                continue;
            }
            order.push(item);
            let start = ready.len();
            let (first, end) = (begins[item as usize] as usize, begins[item as usize + 1] as usize);
            for &target in &then[first..end] {
                waits[target as usize] -= 1;
                if waits[target as usize] == 0 {
                    ready.push(target);
                }
            }
            ready[start..].reverse();
        }
    }
    order
}

/// The place of each audio edge in the sum of its port: the order of a run without
/// lanes, and what comes back through a loop last.
///
/// Signals of other units come before those of the reader's own, because they arrive
/// as one sum where each unit is rendered by itself.
fn places(graph: &Graph<'_>, component_of: &[u32], rank: &[u32], home: &[u32]) -> Vec<u32> {
    let mut place = vec![0; graph.edges.len()];
    let mut edges: Vec<(u32, bool, bool, u32, u32)> = vec![];
    // Edges are sorted by where they end, so it is enough to sort those of each node.
    for node in 0..graph.nodes.len() as u32 {
        edges.clear();
        let own = graph.edges_into(node).iter().filter(|edge| edge.kind == EdgeKind::Audio);
        edges.extend(own.map(|edge| {
            let component = component_of[edge.from as usize];
            let returns = edge.feedback > 0 && component == component_of[edge.to as usize];
            let own = rank[component as usize];
            let rank = graph.whole.as_ref().map_or(own, |whole| whole[edge.from as usize]);
            (edge.to_port, is_inner(home, edge), returns, rank, edge.index)
        }));
        edges.sort_unstable();
        for port in edges.chunk_by(|a, b| a.0 == b.0) {
            for (at, &(_, _, _, _, index)) in port.iter().enumerate() {
                place[index as usize] = at as u32;
            }
        }
    }
    place
}

/// Whether both ends are in one unit.
fn is_inner(home: &[u32], edge: &GraphEdge<'_>) -> bool {
    home[edge.from as usize] == home[edge.to as usize]
}

/// The running sum of one input port.
#[derive(Clone, Copy, Default)]
struct Sum {
    total: Option<Slot>,
    group: Option<Slot>,
    seen: u32,
    expected: u32,
    /// The task of the current group.
    task: u32,
    /// Where its signals begin among those of all sums.
    first: u32,
    /// How many come from other units.
    outer: u32,
    /// How many the current group has.
    grouped: u32,
}

struct Emitter<'a, 'g> {
    plan: &'a mut Plan,
    graph: &'a Graph<'g>,
    items: &'a Items,
    item_of: &'a [u32],
    component_of: &'a [u32],
    arrivals: &'a [u32],
    draft: Draft,
    /// Of each audio edge, its place in the sum.
    place: Vec<u32>,
    /// Signals that came before their turn, with their channels, by where the sum's
    /// signals begin in this list plus the place.
    held: Vec<Option<(Slot, u8)>>,
    /// Where each node's sums begin in `sums`.
    sum_start: Vec<u32>,
    sums: Vec<Sum>,
    /// The batch and lane of each head of a chain that waits to be packed.
    lane_of: Vec<Option<(u32, u8)>>,
    /// Of each tail of a chain that stays in its lane until its only reader runs: that
    /// reader.
    packed_for: Vec<u32>,
    lines: Vec<(PlanLine, u32)>,
    /// Of each edge, its feedback line.
    line_of: Vec<u32>,
    /// The outputs by node, and where those of each node begin.
    outputs: Vec<u32>,
    first_output: Vec<u32>,
    pieces: Pieces,
    /// Of each node, where its ports begin in the plan, and its batch and lane: the
    /// plan's own nodes are large, and are not looked at from everywhere.
    ports: Vec<u32>,
    batch_of: Vec<Option<(u32, u8)>>,
    item_task: Vec<u32>,
}

impl<'a, 'g> Emitter<'a, 'g> {
    #[allow(clippy::too_many_arguments)]
    fn new(
        plan: &'a mut Plan,
        graph: &'a Graph<'g>,
        items: &'a Items,
        item_of: &'a [u32],
        component_of: &'a [u32],
        arrivals: &'a [u32],
        rank: &[u32],
        home: &[u32],
    ) -> Emitter<'a, 'g> {
        let (mut sum_start, mut sums) = (vec![], vec![]);
        for node in &graph.nodes {
            sum_start.push(sums.len() as u32);
            sums.resize(sums.len() + node.inputs.len(), Sum::default());
        }
        for edge in graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Audio) {
            let sum = &mut sums[(sum_start[edge.to as usize] + edge.to_port) as usize];
            sum.expected += 1;
            sum.outer += u32::from(!is_inner(home, edge));
        }
        let mut signals = 0;
        for sum in &mut sums {
            sum.first = signals;
            signals += sum.expected;
        }
        let nodes = graph.nodes.len();
        let (first_output, mut next) = starts(nodes, plan.outputs.iter().map(|out| out.node));
        let mut outputs = vec![0; plan.outputs.len()];
        for (index, output) in plan.outputs.iter().enumerate() {
            outputs[next[output.node as usize] as usize] = index as u32;
            next[output.node as usize] += 1;
        }
        Emitter {
            place: places(graph, component_of, rank, home),
            held: vec![None; signals as usize],
            draft: Draft {
                tasks: items.list.len() as u32,
                // About one operation for each node and each of its ends.
                ops: Vec::with_capacity(nodes + 2 * graph.edges.len()),
                ..Draft::default()
            },
            sum_start,
            sums,
            lane_of: vec![None; nodes],
            packed_for: vec![u32::MAX; nodes],
            lines: vec![],
            line_of: vec![u32::MAX; graph.edges.len()],
            outputs,
            first_output,
            pieces: Pieces::for_graph(graph),
            ports: plan.nodes.iter().map(|node| node.ports).collect(),
            batch_of: vec![None; nodes],
            item_task: (0..items.list.len() as u32).collect(),
            plan,
            graph,
            items,
            item_of,
            component_of,
            arrivals,
        }
    }

    fn run(mut self, order: &[u32]) -> (Draft, Pieces) {
        for &item in order {
            if self.items.list[item as usize].kind == ItemKind::Batch {
                self.announce_batch(item);
            }
        }
        for &item in order {
            self.list_pieces(item);
        }
        order.iter().for_each(|&item| self.item(item));
        for (node, &batch) in self.plan.nodes.iter_mut().zip(&self.batch_of) {
            node.batch = batch;
        }
        self.order_events();
        self.sort_lines();
        (self.draft, self.pieces)
    }

    fn item(&mut self, item: u32) {
        let items = self.items;
        match items.list[item as usize].kind {
            ItemKind::Chain => items.first(item).iter().for_each(|&node| self.node(node)),
            ItemKind::Loop { chunk } => self.region(item, chunk),
            ItemKind::Batch => self.batch(item),
        }
    }

    /// What units are made of, in their order.
    fn list_pieces(&mut self, item: u32) {
        let items = self.items;
        let feedback = matches!(items.list[item as usize].kind, ItemKind::Loop { .. });
        items.chains(item).for_each(|nodes| self.pieces.push(nodes, feedback));
    }

    fn announce_batch(&mut self, item: u32) {
        let items = self.items;
        let batch = self.plan.batches.len() as u32;
        let block = Slot(self.draft.blocks);
        self.draft.blocks += 1;
        for (lane, chain) in items.chains(item).enumerate() {
            self.lane_of[chain[0] as usize] = Some((batch, lane as u8));
            for &node in chain {
                self.batch_of[node as usize] = Some((batch, lane as u8));
            }
        }
        let first = items.first(item);
        let stages = first.iter().map(|&node| self.graph.nodes[node as usize].class);
        self.plan.batches.push(PlanBatch {
            stages: stages.collect(),
            members: Lanes::new(first.len(), items.chains(item)),
            block,
            channels: self.graph.nodes[first[0] as usize].spec.channels,
        });
    }

    fn batch(&mut self, item: u32) {
        let items = self.items;
        let task = self.item_task[item as usize];
        let Some((batch, _)) = self.lane_of[items.first(item)[0] as usize] else { return };
        for (lane, chain) in items.chains(item).enumerate() {
            self.unpack_for(chain[0]);
            self.close_lane(chain[0], batch, lane as u8);
        }
        self.op(Op::Batch { batch }, task);
        for chain in items.chains(item) {
            let tail = chain[chain.len() - 1];
            match self.only_reader(tail) {
                Some(reader) => self.packed_for[tail as usize] = reader,
                None => self.unpack(tail),
            }
        }
    }

    /// The one node that reads this signal, at a port that wants nothing else.
    fn only_reader(&self, tail: u32) -> Option<u32> {
        let &[edge] = self.graph.edges_out(tail) else { return None };
        let edge = &self.graph.edges[edge as usize];
        let alone =
            self.sums[(self.sum_start[edge.to as usize] + edge.to_port) as usize].expected == 1;
        let is_output = !self.outputs_of(tail).is_empty();
        (alone && !is_output && edge.feedback == 0).then_some(edge.to)
    }

    /// Takes the signal of a chain out of its lane.
    fn unpack(&mut self, tail: u32) {
        let Some((batch, lane)) = self.batch_of[tail as usize] else { return };
        let task = self.item_task[self.item_of[tail as usize] as usize];
        let (block, channels) = {
            let batch = &self.plan.batches[batch as usize];
            (batch.block, batch.channels)
        };
        let dst = self.slot();
        self.op(Op::Unpack { block, dst, lane, channels }, task);
        self.produced(tail, 0, dst);
    }

    /// Whatever is still packed for this reader.
    fn unpack_for(&mut self, reader: u32) {
        for at in self.graph.edges_into_range(reader) {
            let tail = self.graph.edges[at].from;
            if self.packed_for[tail as usize] == reader {
                self.packed_for[tail as usize] = u32::MAX;
                self.unpack(tail);
            }
        }
    }

    fn outputs_of(&self, node: u32) -> &[u32] {
        let (start, end) = (self.first_output[node as usize], self.first_output[node as usize + 1]);
        &self.outputs[start as usize..end as usize]
    }

    /// A lane that nothing feeds is silent.
    fn close_lane(&mut self, head: u32, batch: u32, lane: u8) {
        if self.sums[self.sum_start[head as usize] as usize].expected > 0 {
            return;
        }
        let task = self.item_task[self.item_of[head as usize] as usize];
        let channels = self.plan.batches[batch as usize].channels;
        let src = self.slot();
        self.op(Op::Clear { dst: src, channels }, task);
        self.pack(src, batch, lane, task);
    }

    fn pack(&mut self, src: Slot, batch: u32, lane: u8, task: u32) {
        let (block, channels) = {
            let batch = &self.plan.batches[batch as usize];
            (batch.block, batch.channels)
        };
        let head = self.plan.batches[batch as usize].members[usize::from(lane)][0];
        self.op(Op::Pack { src, block, head, lane, channels }, task);
    }

    fn region(&mut self, item: u32, chunk: u32) {
        let task = self.item_task[item as usize];
        let start = self.draft.ops.len();
        self.op(Op::Region { ops: 0, chunk }, task);
        for node in self.inner_order(item) {
            self.node(node);
        }
        // Sums outside that a loop feeds run with the loop: a range of a block is
        // complete only together with it.
        let ops = (self.draft.ops.len() - start - 1) as u32;
        self.draft.ops[start].0 = Op::Region { ops, chunk };
        self.draft.ops[start..].iter_mut().for_each(|(_, tag)| *tag = task);
    }

    /// Post-order inside a loop, feedback edges aside.
    fn inner_order(&self, item: u32) -> Vec<u32> {
        let members = self.items.first(item);
        let mut order = Vec::with_capacity(members.len());
        let mut seen = vec![false; members.len()];
        let place = |node: u32| members.binary_search(&node).ok();
        for root in 0..members.len() {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            let mut stack = vec![(members[root], 0usize)];
            while let Some((node, at)) = stack.last_mut() {
                let edges = self.graph.edges_into(*node);
                let Some(edge) = edges.get(*at) else {
                    order.push(*node);
                    stack.pop();
                    continue;
                };
                *at += 1;
                let inside = if edge.feedback > 0 { None } else { place(edge.from) };
                if let Some(index) = inside.filter(|&index| !seen[index]) {
                    seen[index] = true;
                    stack.push((edge.from, 0));
                }
            }
        }
        order
    }

    fn node(&mut self, node: u32) {
        let task = self.item_task[self.item_of[node as usize] as usize];
        self.unpack_for(node);
        self.read_feedback(node);
        let (inputs, outputs) = {
            let graph_node = &self.graph.nodes[node as usize];
            (graph_node.inputs.len(), graph_node.outputs.len())
        };
        let ports = self.ports[node as usize] as usize;
        for port in 0..inputs {
            let sum = self.sums[self.sum_start[node as usize] as usize + port];
            self.plan.ports[ports + port].slot = sum.total.unwrap_or(Slot::NONE);
        }
        let in_place = self.graph.class(node).kind.is_none_or(|kind| kind.descriptor.in_place);
        let shares = in_place
            && inputs > 0
            && outputs > 0
            && self.graph.nodes[node as usize].inputs[0]
                == self.graph.nodes[node as usize].outputs[0];
        if shares && self.plan.ports[ports].slot.is_none() {
            let channels = self.graph.nodes[node as usize].inputs[0];
            let dst = self.slot();
            self.op(Op::Clear { dst, channels }, task);
            self.plan.ports[ports].slot = dst;
        }
        for port in 0..outputs {
            let slot = if shares && port == 0 { self.plan.ports[ports].slot } else { self.slot() };
            self.plan.ports[ports + inputs + port].slot = slot;
        }
        self.op(Op::Node { node }, task);
        for port in 0..outputs {
            let slot = self.plan.ports[ports + inputs + port].slot;
            self.produced(node, port as u32, slot);
        }
    }

    /// Signals that come back from later in the loop.
    fn read_feedback(&mut self, node: u32) {
        let task = self.item_task[self.item_of[node as usize] as usize];
        for at in self.graph.edges_into_range(node) {
            let edge = self.graph.edges[at];
            if !self.closes_loop(&edge) {
                continue;
            }
            let channels = self.source_channels(&edge);
            let line = self.line(&edge, edge.feedback, true);
            let dst = self.slot();
            self.op(Op::FeedbackRead { line, dst, channels }, task);
            self.add(&edge, dst, true, 0);
        }
    }

    fn closes_loop(&self, edge: &GraphEdge<'_>) -> bool {
        closes_loop(self.component_of, edge)
    }

    fn source_channels(&self, edge: &GraphEdge<'_>) -> u8 {
        self.graph.nodes[edge.from as usize].outputs[usize::from(edge.from_port)]
    }

    /// Gives a finished signal to everyone who wants it, the owner last.
    fn produced(&mut self, node: u32, port: u32, slot: Slot) {
        let task = self.item_task[self.item_of[node as usize] as usize];
        let channels = self.graph.nodes[node as usize].outputs[port as usize];
        for at in self.first_output[node as usize]..self.first_output[node as usize + 1] {
            let output = self.outputs[at as usize];
            if u32::from(self.plan.outputs[output as usize].port) == port {
                self.op(Op::Output { output, src: slot, channels }, task);
            }
        }
        let (graph, arrivals, component_of) = (self.graph, self.arrivals, self.component_of);
        let readers = graph.edges_out(node).iter().map(|&edge| &graph.edges[edge as usize]);
        let edges = readers
            .filter(|edge| edge.kind == EdgeKind::Audio && u32::from(edge.from_port) == port);
        let plain = |edge: &&GraphEdge<'g>| {
            !closes_loop(component_of, edge) && delay(graph, arrivals, edge) + edge.feedback == 0
        };
        let last_plain = edges.clone().rfind(plain).map(|edge| edge.index);
        // Copies first: the plain reader that may keep the buffer comes last.
        for edge in edges.filter(|edge| Some(edge.index) != last_plain) {
            self.give(edge, slot, false);
        }
        if let Some(last) = last_plain {
            self.give(&graph.edges[last as usize], slot, true);
        }
    }

    fn give(&mut self, edge: &GraphEdge<'g>, slot: Slot, owned: bool) {
        let channels = self.source_channels(edge);
        let task = self.item_task[self.item_of[edge.from as usize] as usize];
        if self.closes_loop(edge) {
            let line = self.line(edge, edge.feedback, true);
            self.op(Op::FeedbackWrite { line, src: slot, channels }, task);
            return;
        }
        let wait = delay(self.graph, self.arrivals, edge);
        let frames = wait + edge.feedback;
        if frames == 0 {
            return self.add(edge, slot, owned, wait);
        }
        let line = self.line(edge, frames, false);
        let dst = self.slot();
        self.op(Op::Delay { line, src: slot, dst, channels }, task);
        self.add(edge, dst, true, wait);
    }

    fn line(&mut self, edge: &GraphEdge<'_>, frames: u32, feedback: bool) -> u32 {
        // The two ends of a feedback line ask for it, every other line has one user.
        if feedback {
            let known = self.line_of[edge.index as usize];
            if known != u32::MAX {
                return known;
            }
        }
        let index = self.lines.len() as u32;
        self.line_of[edge.index as usize] = index;
        self.lines.push((PlanLine { edge: edge.spec.clone(), frames, feedback }, index));
        index
    }

    /// One more signal into a port. `owned`: nobody reads the slot after this. A
    /// signal whose turn has not come is held: the order of a sum doesn't depend
    /// on what happens to run together.
    fn add(&mut self, edge: &GraphEdge<'g>, slot: Slot, owned: bool, wait: u32) {
        let from = self.source_channels(edge);
        let at = (self.sum_start[edge.to as usize] + edge.to_port) as usize;
        let order = self.place[edge.index as usize];
        let source = self.item_task[self.item_of[edge.from as usize] as usize];
        self.pieces.inputs.push(UnitInput {
            node: edge.from,
            port: edge.from_port,
            to: edge.to,
            to_port: edge.to_port as u16,
            order,
            group: order / SUM_GROUP as u32,
            shift: -i64::from(wait + edge.feedback),
            feedback: edge.feedback > 0,
        });
        if order != self.sums[at].seen {
            let kept = if owned { slot } else { self.slot() };
            if !owned {
                self.op(Op::Copy { src: slot, dst: kept, from, to: from }, source);
            }
            self.held[(self.sums[at].first + order) as usize] = Some((kept, from));
            return;
        }
        self.accumulate(edge, at, slot, owned, from, source);
        while let Some((slot, from)) = self.take_held(at) {
            self.accumulate(edge, at, slot, true, from, source);
        }
        let sum = self.sums[at];
        if sum.seen == sum.expected {
            self.pack_when_ready(edge.to, sum);
        }
    }

    /// The signal whose turn it is, if it came already.
    fn take_held(&mut self, sum: usize) -> Option<(Slot, u8)> {
        let Sum { first, seen, expected, .. } = self.sums[sum];
        if seen < expected { self.held[(first + seen) as usize].take() } else { None }
    }

    /// The next signal of a sum, in its turn.
    fn accumulate(
        &mut self,
        edge: &GraphEdge<'g>,
        at: usize,
        slot: Slot,
        owned: bool,
        from: u8,
        source: u32,
    ) {
        let to = self.graph.nodes[edge.to as usize].inputs[edge.to_port as usize];
        let mut sum = self.sums[at];
        let target = self.item_task[self.item_of[edge.to as usize] as usize];
        if sum.group.is_none() {
            // A lone signal needs no task of its own.
            sum.task = if sum.expected == 1 {
                source
            } else {
                self.draft.tasks += 1;
                self.draft.tasks - 1
            };
        }
        match sum.group {
            Some(dst) => self.op(Op::Add { src: slot, dst, from, to }, sum.task),
            None if owned && from == to => sum.group = Some(slot),
            None => {
                let dst = self.slot();
                self.op(Op::Copy { src: slot, dst, from, to }, sum.task);
                sum.group = Some(dst);
            }
        }
        sum.seen += 1;
        sum.grouped += 1;
        let outer_done = sum.seen == sum.outer;
        if sum.seen == sum.expected || outer_done || sum.grouped as usize == SUM_GROUP {
            sum.grouped = 0;
            match (sum.total, sum.group.take()) {
                (Some(dst), Some(src)) => self.op(Op::Add { src, dst, from: to, to }, target),
                (_, group) => sum.total = group,
            }
        }
        if outer_done && sum.seen < sum.expected {
            // The sum of what comes from other units is the first signal of a group.
            (sum.group, sum.grouped, sum.task) = (sum.total.take(), 1, target);
        }
        self.sums[at] = sum;
    }

    /// The head of a batched chain goes into its lane as soon as it is complete.
    fn pack_when_ready(&mut self, node: u32, sum: Sum) {
        let Some((batch, lane)) = self.lane_of[node as usize] else { return };
        let Some(src) = sum.total else { return };
        let task = self.item_task[self.item_of[node as usize] as usize];
        self.pack(src, batch, lane, task);
    }

    fn slot(&mut self) -> Slot {
        self.draft.slots += 1;
        Slot(self.draft.slots - 1)
    }

    fn op(&mut self, op: Op, task: u32) {
        self.draft.ops.push((op, task));
    }

    fn order_events(&mut self) {
        for edge in self.graph.edges.iter().filter(|edge| edge.kind != EdgeKind::Audio) {
            let from = self.item_task[self.item_of[edge.from as usize] as usize];
            let to = self.item_task[self.item_of[edge.to as usize] as usize];
            if from != to {
                self.draft.orders.push((from, to));
            }
        }
    }

    /// Lines by edge, as the executor merges them with those of the last plan.
    fn sort_lines(&mut self) {
        self.lines.sort_by(|(a, _), (b, _)| a.edge.cmp(&b.edge));
        let mut renumbered = vec![0; self.lines.len()];
        for (new, (_, old)) in self.lines.iter().enumerate() {
            renumbered[*old as usize] = new as u32;
        }
        for (op, _) in &mut self.draft.ops {
            if let Op::Delay { line, .. }
            | Op::FeedbackRead { line, .. }
            | Op::FeedbackWrite { line, .. } = op
            {
                *line = renumbered[*line as usize];
            }
        }
        self.plan.lines =
            std::mem::take(&mut self.lines).into_iter().map(|(line, _)| line).collect();
    }
}
