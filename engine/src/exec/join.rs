//! What an executor finds out about its own plan and the one that runs, before it
//! takes over: which nodes begin where something was heard before. Off the audio
//! thread.

use pulse_schemas::graph::{EdgeSpec, Inlet, NodeKey};

use super::{
    Executor,
    adopt::{seam_frames, stands_in},
    delay::Blend,
    unit::Joining,
};
use crate::plan::{Plan, PlanEdge};

impl Executor {
    /// Tells the nodes that were made for this plan how to begin.
    pub(super) fn join(&mut self, running: &Plan) {
        let plan = self.core.plan.clone();
        let fade = seam_frames(plan.sample_rate);
        let made = |node: &u32| {
            let key = plan.state_key(*node);
            running.find(key.node).is_none_or(|at| running.state_key(at) != key)
        };
        let mut onwards: Option<Vec<PlanEdge>> = None;
        for node in (0..plan.nodes.len() as u32).filter(made) {
            let replaces = running
                .find(plan.nodes[node as usize].key)
                .is_some_and(|at| stands_in(running, at) == stands_in(&plan, node));
            let latency = plan.class(node).latency;
            if latency == 0 && !replaces {
                continue;
            }
            let onwards = onwards.get_or_insert_with(|| by_source(&plan));
            if replaces {
                self.replaced.extend(readers(onwards, node).iter().map(|edge| edge.to));
            }
            if latency > 0 {
                let targets: Vec<u32> = readers(onwards, node).iter().map(|edge| edge.to).collect();
                let between = replaces || stands_between(&plan, running, onwards, node, &targets);
                let blend = Blend::new(latency, fade);
                self.core.units.one(node as usize).joining = Joining { blend, between };
            }
        }
        // Signals that come another way than before, and have to wait on it.
        for (index, line) in plan.lines.iter().enumerate().filter(|(_, line)| !line.feedback) {
            if running.line(&line.edge).is_some() || running.hears_at_once(&line.edge) {
                continue;
            }
            let (Some(from), Some(to)) = (plan.find(line.edge.from), plan.find(line.edge.to))
            else {
                continue;
            };
            let onwards = onwards.get_or_insert_with(|| by_source(&plan));
            if stands_between(&plan, running, onwards, from, &[to]) {
                self.core.lines.one(index).enter_straight();
            }
        }
    }
}

impl Plan {
    /// The delay line of an edge.
    pub(super) fn line(&self, edge: &EdgeSpec) -> Option<usize> {
        self.lines.binary_search_by(|line| line.edge.cmp(edge)).ok()
    }

    /// Whether an edge that has no delay line is there, between the same ports.
    pub(super) fn hears_at_once(&self, edge: &EdgeSpec) -> bool {
        let (Some(from), Some(to)) = (self.find(edge.from), self.find(edge.to)) else {
            return false;
        };
        let Inlet::Port(to_port) = edge.to_port else { return false };
        let known = PlanEdge { to, from, from_port: edge.from_port, to_port };
        // A line of another edge between the two: one that is compensated, say, where this is not.
        let start = self.lines.partition_point(|line| line.edge.from < edge.from);
        let own = self.lines[start..].iter().take_while(|line| line.edge.from == edge.from);
        self.edges.binary_search(&known).is_ok()
            && !own.map(|line| &line.edge).any(|other| {
                (other.from_port, other.to, &other.to_port)
                    == (edge.from_port, edge.to, &edge.to_port)
            })
    }
}

fn by_source(plan: &Plan) -> Vec<PlanEdge> {
    let mut edges = plan.edges.clone();
    edges.sort_unstable_by_key(|edge| (edge.from, edge.to));
    edges
}

fn readers(onwards: &[PlanEdge], node: u32) -> &[PlanEdge] {
    let start = onwards.partition_point(|edge| edge.from < node);
    let end = onwards[start..].partition_point(|edge| edge.from == node);
    &onwards[start..start + end]
}

/// Whether somebody that a way from a node to its readers leads to heard, until now and
/// without it, what comes this way from now on. A way of its own replaces nothing: before
/// it there was silence.
fn stands_between(
    plan: &Plan,
    running: &Plan,
    onwards: &[PlanEdge],
    node: u32,
    targets: &[u32],
) -> bool {
    let key = plan.nodes[node as usize].key;
    let before = match running.find(key) {
        Some(_) => vec![key],
        None => heard_through(plan, running, node),
    };
    let (mut open, mut seen) = (targets.to_vec(), targets.to_vec());
    while let Some(reader) = open.pop() {
        let Some(known) = running.find(plan.nodes[reader as usize].key) else {
            for next in readers(onwards, reader).iter().map(|edge| edge.to) {
                if !seen.contains(&next) {
                    seen.push(next);
                    open.push(next);
                }
            }
            continue;
        };
        let others = plan.edges_into(reader).iter().filter(|edge| edge.from != node);
        let still: Vec<NodeKey> = others.map(|edge| plan.nodes[edge.from as usize].key).collect();
        let was = heard_through(running, plan, known);
        if was.iter().any(|key| before.contains(key) && !still.contains(key)) {
            return true;
        }
    }
    false
}

/// The nodes that both plans have and that a node of the first hears, at once or
/// through nodes that the other lacks.
fn heard_through(plan: &Plan, other: &Plan, node: u32) -> Vec<NodeKey> {
    let (mut open, mut seen, mut found) = (vec![node], vec![node], vec![]);
    while let Some(at) = open.pop() {
        for source in plan.edges_into(at).iter().map(|edge| edge.from) {
            if seen.contains(&source) {
                continue;
            }
            seen.push(source);
            let key = plan.nodes[source as usize].key;
            match other.find(key) {
                Some(_) => found.push(key),
                None => open.push(source),
            }
        }
    }
    found
}
