//! Which nodes are rendered and cached together. Coarser than the items of the
//! order: a chain is one unit whether or not parts of it run in lanes, and nodes
//! that exchange events, control values or feedback stay together, so that a unit
//! is a function of audio, content and its own state alone.

use std::{cmp::Reverse, collections::BinaryHeap};

use petgraph::{algo::kosaraju_scc, graph::DiGraph};
use pulse_schemas::graph::{EdgeKind, EdgeSpec};

use super::{
    Plan, PlanUnit, UnitInput,
    compile::{Graph, starts},
    flow::Components,
};

/// Chains and loops in the order of execution, and all that flows into their nodes.
#[derive(Default)]
pub(crate) struct Pieces {
    nodes: Vec<u32>,
    /// Where each piece ends in `nodes`, and whether it is a loop.
    ends: Vec<(u32, bool)>,
    pub inputs: Vec<UnitInput>,
}

impl Pieces {
    pub fn for_graph(graph: &Graph<'_>) -> Pieces {
        Pieces {
            nodes: Vec::with_capacity(graph.nodes.len()),
            ends: Vec::with_capacity(graph.nodes.len()),
            inputs: Vec::with_capacity(graph.edges.len()),
        }
    }

    pub fn push(&mut self, nodes: &[u32], feedback: bool) {
        self.nodes.extend_from_slice(nodes);
        self.ends.push((self.nodes.len() as u32, feedback));
    }
}

/// Makes the plan's units of pieces. `home` tells the unit of each node, see [`homes`].
pub(crate) fn fuse(plan: &mut Plan, graph: &Graph<'_>, home: &[u32], pieces: Pieces) {
    // Units by number, in the order of their first pieces.
    let mut number = vec![u32::MAX; graph.nodes.len()];
    let (mut sizes, mut feedback) = (vec![], vec![]);
    let mut start = 0;
    for &(end, is_loop) in &pieces.ends {
        let number = &mut number[home[pieces.nodes[start] as usize] as usize];
        if *number == u32::MAX {
            *number = sizes.len() as u32;
            sizes.push((0, 0));
            feedback.push(false);
        }
        sizes[*number as usize].0 += end as usize - start;
        feedback[*number as usize] |= is_loop;
        start = end as usize;
    }
    let unit_of: Vec<u32> = home.iter().map(|&home| number[home as usize]).collect();
    let unit_of = |node: u32| unit_of[node as usize];
    let crosses = |input: &&UnitInput| unit_of(input.node) != unit_of(input.to);
    for input in pieces.inputs.iter().filter(crosses) {
        sizes[unit_of(input.to) as usize].1 += 1;
    }
    let order = topological(graph, sizes.len(), &unit_of);
    let mut place = vec![0u32; order.len()];
    for (at, &unit) in order.iter().enumerate() {
        place[unit] = at as u32;
        let (nodes, inputs) = sizes[unit];
        plan.units.push(PlanUnit {
            nodes: Vec::with_capacity(nodes),
            feedback: feedback[unit],
            arrival: 0,
            inputs: Vec::with_capacity(inputs),
        });
    }
    for &node in &pieces.nodes {
        plan.units[place[unit_of(node) as usize] as usize].nodes.push(node);
    }
    for input in pieces.inputs.iter().filter(crosses) {
        plan.units[place[unit_of(input.to) as usize] as usize].inputs.push(*input);
    }
    for at in 0..plan.units.len() {
        let arrival = least_arrival(plan, &plan.units[at].nodes);
        let unit = &mut plan.units[at];
        unit.arrival = arrival;
        unit.inputs.sort_by_key(|input| (input.to, input.to_port, input.order));
    }
    shift_inputs(plan);
}

fn least_arrival(plan: &Plan, nodes: &[u32]) -> u32 {
    nodes.iter().map(|&node| plan.nodes[node as usize].arrival).min().unwrap_or(0)
}

/// A node that stands for the unit of each node: they are joined in loops, along
/// chains (`next` is the successor of each node), feedback, events and control, then along
/// whatever loop the joining has closed.
pub(crate) fn homes(graph: &Graph<'_>, components: &Components, next: &[Option<u32>]) -> Vec<u32> {
    let mut joined: Vec<u32> = (0..graph.nodes.len() as u32).collect();
    for pair in components.iter().flat_map(|members| members.windows(2)) {
        join(&mut joined, pair[0], pair[1]);
    }
    for (node, next) in next.iter().enumerate() {
        if let Some(next) = next {
            join(&mut joined, node as u32, *next);
        }
    }
    let mut silent = graph.edges.iter().filter(|edge| binds(edge.spec)).peekable();
    // Joining chains closes no loop, and what is in a loop is one unit already.
    if silent.peek().is_some() {
        silent.for_each(|edge| join(&mut joined, edge.from, edge.to));
        let mut digraph: DiGraph<(), (), u32> = DiGraph::new();
        graph.nodes.iter().for_each(|_| _ = digraph.add_node(()));
        for edge in &graph.edges {
            let (from, to) = (root(&mut joined, edge.from), root(&mut joined, edge.to));
            digraph.add_edge(from.into(), to.into(), ());
        }
        for members in kosaraju_scc(&digraph) {
            for pair in members.windows(2) {
                join(&mut joined, pair[0].index() as u32, pair[1].index() as u32);
            }
        }
    }
    (0..graph.nodes.len() as u32).map(|node| root(&mut joined, node)).collect()
}

/// Whether both ends of an edge are of one unit: what is under way between them is
/// part of its state.
pub(crate) fn binds(edge: &EdgeSpec) -> bool {
    edge.kind != EdgeKind::Audio || edge.feedback_frames.is_some()
}

fn root(joined: &mut [u32], mut unit: u32) -> u32 {
    while joined[unit as usize] != unit {
        joined[unit as usize] = joined[joined[unit as usize] as usize];
        unit = joined[unit as usize];
    }
    unit
}

fn join(joined: &mut [u32], a: u32, b: u32) {
    let (a, b) = (root(joined, a), root(joined, b));
    joined[a.max(b) as usize] = a.min(b);
}

/// Earliest first among those whose sources are done.
fn topological(graph: &Graph<'_>, count: usize, unit_of: &impl Fn(u32) -> u32) -> Vec<usize> {
    let ends = |edge: &super::compile::GraphEdge<'_>| (unit_of(edge.from), unit_of(edge.to));
    let crossing = || graph.edges.iter().map(ends).filter(|(from, to)| from != to);
    // As nearly every graph has it.
    if crossing().all(|(from, to)| from < to) {
        return (0..count).collect();
    }
    let (begins, mut next) = starts(count, crossing().map(|(from, _)| from));
    let mut waits = vec![0u32; count];
    let mut then = vec![0u32; begins[count] as usize];
    for (from, to) in crossing() {
        waits[to as usize] += 1;
        then[next[from as usize] as usize] = to;
        next[from as usize] += 1;
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..count).filter(|&unit| waits[unit] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(unit)) = ready.pop() {
        order.push(unit);
        for &next in &then[begins[unit] as usize..begins[unit + 1] as usize] {
            waits[next as usize] -= 1;
            if waits[next as usize] == 0 {
                ready.push(Reverse(next as usize));
            }
        }
    }
    order
}

/// Completes the shifts: until here they hold delays only.
fn shift_inputs(plan: &mut Plan) {
    let mut arrival_of = vec![0u32; plan.nodes.len()];
    for unit in &plan.units {
        unit.nodes.iter().for_each(|&node| arrival_of[node as usize] = unit.arrival);
    }
    for unit in &mut plan.units {
        for input in &mut unit.inputs {
            let source = i64::from(arrival_of[input.node as usize]);
            input.shift += i64::from(unit.arrival) - source;
        }
    }
}
