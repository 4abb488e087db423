//! Which nodes are rendered and cached together. Coarser than the items of the
//! order: a chain is one unit whether or not parts of it run in lanes, and nodes
//! that exchange events, control values or feedback stay together, so that a unit
//! is a function of audio, content and its own state alone.

use petgraph::{algo::kosaraju_scc, graph::DiGraph};
use pulse_schemas::graph::{EdgeKind, EdgeSpec};

use super::{
    Plan, PlanUnit,
    compile::{Graph, starts},
    flow::Components,
};

/// Replaces the plan's units by fused ones. `home` tells the unit of each node, see
/// [`homes`].
pub(crate) fn fuse(plan: &mut Plan, graph: &Graph<'_>, home: &[u32]) {
    let units = std::mem::take(&mut plan.units);
    let mut unit_of = vec![0u32; graph.nodes.len()];
    for (index, unit) in units.iter().enumerate() {
        unit.nodes.iter().for_each(|&node| unit_of[node as usize] = index as u32);
    }
    let mut first = vec![u32::MAX; graph.nodes.len()];
    let merged: Vec<u32> = (0..units.len() as u32)
        .map(|unit| {
            let first = &mut first[home[units[unit as usize].nodes[0] as usize] as usize];
            *first = (*first).min(unit);
            *first
        })
        .collect();
    let mut fused: Vec<Option<PlanUnit>> = vec![None; units.len()];
    let mut order = vec![];
    for (index, unit) in units.into_iter().enumerate() {
        let home = merged[index] as usize;
        match &mut fused[home] {
            Some(known) => {
                known.nodes.extend(unit.nodes);
                known.feedback |= unit.feedback;
                known.inputs.extend(unit.inputs);
            }
            empty => {
                *empty = Some(unit);
                order.push(home);
            }
        }
    }
    let home_of = |node: u32| merged[unit_of[node as usize] as usize];
    let order = topological(graph, &order, &home_of);
    for home in &order {
        let Some(mut unit) = fused[*home].take() else { continue };
        unit.inputs.retain(|input| home_of(input.node) != *home as u32);
        unit.inputs.sort_by_key(|input| (input.to, input.to_port, input.order));
        unit.arrival = least_arrival(plan, &unit.nodes);
        plan.units.push(unit);
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
fn topological(graph: &Graph<'_>, homes: &[usize], home_of: &dyn Fn(u32) -> u32) -> Vec<usize> {
    let count = homes.iter().max().map_or(0, |home| home + 1);
    let ends = |edge: &super::compile::GraphEdge<'_>| (home_of(edge.from), home_of(edge.to));
    let crossing = || graph.edges.iter().map(ends).filter(|(from, to)| from != to);
    let (begins, mut next) = starts(count, crossing().map(|(from, _)| from));
    let mut waits = vec![0usize; count];
    let mut then = vec![0usize; begins[count] as usize];
    for (from, to) in crossing() {
        waits[to as usize] += 1;
        then[next[from as usize] as usize] = to as usize;
        next[from as usize] += 1;
    }
    let mut ready: std::collections::BTreeSet<usize> =
        homes.iter().copied().filter(|&home| waits[home] == 0).collect();
    let mut order = Vec::with_capacity(homes.len());
    while let Some(home) = ready.pop_first() {
        order.push(home);
        for &next in &then[begins[home] as usize..begins[home + 1] as usize] {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.insert(next);
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
