//! When signals arrive. Every node runs in its own time: the absolute frame minus
//! its arrival, so that audio, events and automation of one frame meet there
//! whatever latency lies before it. Edges from earlier sources get a delay.
//!
//! A feedback loop is one node to the outside: its members share one arrival and
//! nothing inside is compensated.

use super::{compile::Graph, flow::Components};

/// The arrival of each node, given the components in topological order.
pub(crate) fn arrivals(
    graph: &Graph<'_>,
    components: &Components,
    component_of: &[u32],
) -> Vec<u32> {
    let mut arrivals = vec![0u32; graph.nodes.len()];
    for (index, members) in components.iter().enumerate() {
        let external = members
            .iter()
            .flat_map(|&node| graph.edges_into(node))
            .filter(|edge| edge.compensated && component_of[edge.from as usize] != index as u32);
        let latest = external.map(|edge| edge.ready(graph, &arrivals)).max().unwrap_or(0);
        for &member in members {
            arrivals[member as usize] = latest;
        }
    }
    arrivals
}
