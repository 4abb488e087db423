//! Which part of a graph is rendered ahead and which part the audio thread runs.
//!
//! The split obeys the cohorts and what no wish can change: what hears something
//! live is live, and so is what speaks to something live in events, control values
//! or feedback, which no ring carries. Hearing what is rendered ahead makes nothing
//! live and being heard by something live doesn't, either.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pulse_schemas::graph::{Cohort, GraphSpec, NodeKey, NodeSpec, OutputKind, OutputSpec};

use super::source;
use crate::plan::units::binds;

/// A graph in two parts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Split {
    /// All that is rendered ahead; its outputs are the ports that somebody hears.
    pub ahead: Arc<GraphSpec>,
    /// What the audio thread runs, with a source for each node that it hears.
    pub live: GraphSpec,
    /// The ports of each such node.
    pub heard: BTreeMap<NodeKey, BTreeSet<u16>>,
}

/// Splits a canonical graph. Nodes in `held` are live whatever their cohort.
pub fn split(spec: &GraphSpec, held: &BTreeSet<NodeKey>) -> Split {
    let live = live_nodes(spec, held);
    let is_live = |key: &NodeKey| live.contains(key);
    let mut heard: BTreeMap<NodeKey, BTreeSet<u16>> = BTreeMap::new();
    for edge in spec.edges.iter().filter(|edge| !is_live(&edge.from) && is_live(&edge.to)) {
        heard.entry(edge.from).or_default().insert(edge.from_port);
    }
    for output in spec.outputs.iter().filter(|output| !is_live(&output.node)) {
        heard.entry(output.node).or_default().insert(output.port);
    }
    let (mut split, mut rest) = (Split::default(), GraphSpec::default());
    for node in &spec.nodes {
        if is_live(&node.key) {
            split.live.nodes.push(node.clone());
            continue;
        }
        rest.nodes.push(node.clone());
        if heard.contains_key(&node.key) {
            split.live.nodes.push(stand_in(node));
        }
    }
    for edge in &spec.edges {
        match (is_live(&edge.from), is_live(&edge.to)) {
            (false, false) => rest.edges.push(edge.clone()),
            (_, true) => split.live.edges.push(edge.clone()),
            (true, false) => {}
        }
    }
    split.live.outputs = spec.outputs.clone();
    let tap = |node: NodeKey, port| OutputSpec { kind: OutputKind::Tap(node.entity), node, port };
    rest.outputs = heard
        .iter()
        .flat_map(|(&node, ports)| ports.iter().map(move |&port| tap(node, port)))
        .collect();
    split.heard = heard;
    rest.canonicalise();
    split.ahead = Arc::new(rest);
    split.live.canonicalise();
    split
}

fn stand_in(node: &NodeSpec) -> NodeSpec {
    NodeSpec {
        key: node.key,
        kind: source::KIND_NAME.to_owned(),
        dsp_version: 1,
        layout: BTreeMap::new(),
        channels: 2,
        cohort: Cohort::Live,
    }
}

fn live_nodes(spec: &GraphSpec, held: &BTreeSet<NodeKey>) -> BTreeSet<NodeKey> {
    let wanted = |node: &&NodeSpec| node.cohort == Cohort::Live || held.contains(&node.key);
    let mut live: BTreeSet<NodeKey> =
        spec.nodes.iter().filter(wanted).map(|node| node.key).collect();
    let mut next: BTreeMap<NodeKey, Vec<NodeKey>> = BTreeMap::new();
    for edge in &spec.edges {
        next.entry(edge.from).or_default().push(edge.to);
        if binds(edge) {
            next.entry(edge.to).or_default().push(edge.from);
        }
    }
    let mut queue: Vec<NodeKey> = live.iter().copied().collect();
    while let Some(at) = queue.pop() {
        for &to in next.get(&at).into_iter().flatten() {
            if live.insert(to) {
                queue.push(to);
            }
        }
    }
    live
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Sketch, key};

    fn check(live: &[u32], held: &[u32], expect_live: &[u32], expect_heard: &[u32]) {
        // Two tracks of two nodes into a master; 5 plays notes for 2.
        let mut sketch = Sketch::default();
        sketch.node(1, "test.noise").node(2, "test.pluck").node(3, "test.noise");
        sketch.node(4, "test.filter").node(5, "test.notes").node(9, "test.gain");
        sketch.edge(1, 9).edge(2, 9).edge(3, 4).edge(4, 9).events(5, 2).output(9).output(4);
        for node in &mut sketch.spec.nodes {
            if live.iter().any(|&number| key(number) == node.key) {
                node.cohort = Cohort::Live;
            }
        }
        sketch.spec.canonicalise();
        let held: BTreeSet<NodeKey> = held.iter().map(|&number| key(number)).collect();
        let split = split(&sketch.spec, &held);
        let ahead: Vec<NodeKey> = split.ahead.nodes.iter().map(|node| node.key).collect();
        let numbers = [1, 2, 3, 4, 5, 9].into_iter();
        let live: Vec<u32> = numbers.filter(|&number| !ahead.contains(&key(number))).collect();
        let heard: Vec<NodeKey> = expect_heard.iter().map(|&number| key(number)).collect();
        assert_eq!(live, expect_live);
        assert_eq!(split.heard.keys().copied().collect::<Vec<_>>(), heard);
        let real = split.live.nodes.iter().filter(|node| node.kind != source::KIND_NAME).count();
        assert_eq!(split.live.nodes.len() - real, heard.len());
    }

    #[test]
    fn feeding_a_live_node_makes_nothing_live_but_speaking_to_it_does() {
        check(&[], &[], &[], &[4, 9]);
        check(&[1], &[], &[1, 9], &[2, 4]);
        check(&[], &[3], &[3, 4, 9], &[1, 2]);
        check(&[2], &[], &[2, 5, 9], &[1, 4]);
        check(&[9], &[], &[9], &[1, 2, 4]);
    }
}
