//! Loops: only the edges that a change added can close one, so only they are followed.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::{
    entity::{AnyEntity, Channel, ChannelInput, Connection, DspNode, Send, SidechainRoute},
    id::{AnyId, ChannelId, EntityKind, NodeId},
};

use super::Breach;
use crate::{
    changes::Change,
    index,
    view::{ReadError, View},
};

/// Above this many new edges one walk over all channels is cheaper than one per edge.
const MANY: usize = 16;

/// Signal from one channel to another without a delay that would make a loop legal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Edge {
    from: ChannelId,
    to: ChannelId,
    via: AnyId,
}

pub fn check(after: &View, changes: &[Change]) -> Result<Vec<Breach>, ReadError> {
    let mut found = Vec::new();
    let (edges, wired) = added(after, changes)?;
    if edges.len() > MANY {
        check_all(after, &edges, &mut found)?;
    } else {
        for edge in &edges {
            check_edge(after, edge, &mut found)?;
        }
    }
    for channel in wired {
        check_wires(after, channel, &mut found)?;
    }
    Ok(found)
}

/// The edges that the changes added, and the channels whose inner wires changed.
fn added(
    after: &View,
    changes: &[Change],
) -> Result<(BTreeSet<Edge>, BTreeSet<ChannelId>), ReadError> {
    let (mut edges, mut wired) = (BTreeSet::new(), BTreeSet::new());
    for change in changes {
        let Some(entity) = &change.after else { continue };
        let old = match &change.before {
            Some(before) => edges_of(after, before)?,
            None => Vec::new(),
        };
        edges.extend(edges_of(after, entity)?.into_iter().filter(|edge| !old.contains(edge)));
        match (&**entity, change.before.as_deref()) {
            (AnyEntity::Connection(wire), _) => {
                wired.insert(wire.channel);
            }
            // A node that moves takes the routes to its side inputs along.
            (AnyEntity::DspNode(node), Some(AnyEntity::DspNode(was)))
                if was.channel != node.channel =>
            {
                for route in after.referring::<SidechainRoute>(node.id)? {
                    edges.extend(edges_of(after, &route.into())?);
                }
            }
            _ => {}
        }
    }
    Ok((edges, wired))
}

fn edges_of(view: &View, entity: &AnyEntity) -> Result<Vec<Edge>, ReadError> {
    let via = entity.any_id();
    let mut edges = Vec::new();
    match entity {
        AnyEntity::Channel(channel) => {
            let output = channel.output.filter(|_| channel.output_feedback.is_none());
            edges.extend(output.map(|to| Edge { from: channel.id, to, via }));
            if let ChannelInput::Channel { source, .. } = channel.input {
                edges.push(Edge { from: source, to: channel.id, via });
            }
        }
        AnyEntity::Send(send) if send.feedback.is_none() => {
            edges.push(Edge { from: send.from, to: send.to, via });
        }
        AnyEntity::SidechainRoute(route) if route.feedback.is_none() => {
            if let Some(node) = view.get::<DspNode>(route.to)? {
                edges.push(Edge { from: route.from, to: node.channel, via });
            }
        }
        _ => {}
    }
    Ok(edges)
}

fn edges_from(view: &View, from: ChannelId) -> Result<Vec<ChannelId>, ReadError> {
    let mut targets = Vec::new();
    if let Some(channel) = view.get::<Channel>(from)? {
        targets.extend(channel.output.filter(|_| channel.output_feedback.is_none()));
    }
    for entry in view.index()?.scan(&index::referrer_prefix(from.any(), EntityKind::Channel)) {
        let (key, note) = entry?;
        let taps = note.first().is_some_and(|flags| flags & index::TAPS_TARGET != 0);
        let reader = index::referrer_of(&key).filter(|_| taps);
        targets.extend(reader.map(|key| ChannelId(key.id)));
    }
    let sends = view.referring::<Send>(from)?;
    let sends = sends.iter().filter(|send| send.from == from && send.feedback.is_none());
    targets.extend(sends.map(|send| send.to));
    for route in view.referring::<SidechainRoute>(from)? {
        targets.extend(edges_of(view, &route.into())?.into_iter().map(|edge| edge.to));
    }
    Ok(targets)
}

/// Whether any signal may come into a channel. A new one has none, and where none comes in there
/// is no loop: behind its output may lie a master that thousands of channels go to.
fn is_fed(view: &View, channel: ChannelId) -> Result<bool, ReadError> {
    let own = view.get::<Channel>(channel)?;
    if own.is_some_and(|it| matches!(it.input, ChannelInput::Channel { .. })) {
        return Ok(true);
    }
    if has_referrer(view, channel.any(), EntityKind::Channel)? {
        return Ok(true);
    }
    if view.referring::<Send>(channel)?.iter().any(|send| send.to == channel) {
        return Ok(true);
    }
    for node in view.referrers(channel, EntityKind::DspNode)? {
        if has_referrer(view, node.any_id(), EntityKind::SidechainRoute)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_referrer(view: &View, target: AnyId, kind: EntityKind) -> Result<bool, ReadError> {
    let first = view.index()?.scan(&index::referrer_prefix(target, kind)).next();
    Ok(first.transpose()?.is_some())
}

/// Looks for a way from the end of a new edge back to its start.
fn check_edge(view: &View, edge: &Edge, found: &mut Vec<Breach>) -> Result<(), ReadError> {
    if edge.from != edge.to && !is_fed(view, edge.from)? {
        return Ok(());
    }
    let mut came_from: BTreeMap<ChannelId, ChannelId> = BTreeMap::new();
    let mut open = vec![edge.to];
    while let Some(here) = open.pop() {
        if here == edge.from {
            let path = way_back(&came_from, edge);
            found.push(Breach::RoutingLoop { via: edge.via, path });
            return Ok(());
        }
        for next in edges_from(view, here)? {
            if next != edge.to && !came_from.contains_key(&next) {
                came_from.insert(next, here);
                open.push(next);
            }
        }
    }
    Ok(())
}

fn way_back(came_from: &BTreeMap<ChannelId, ChannelId>, edge: &Edge) -> Vec<ChannelId> {
    let mut path = vec![edge.from];
    let mut here = edge.from;
    while here != edge.to {
        let Some(previous) = came_from.get(&here) else { break };
        here = *previous;
        path.push(here);
    }
    path.push(edge.from);
    path.reverse();
    path.dedup();
    path
}

/// Removes channels nobody feeds until none is left; what is left lies on or behind a loop.
fn check_all(
    view: &View,
    edges: &BTreeSet<Edge>,
    found: &mut Vec<Breach>,
) -> Result<(), ReadError> {
    let mut targets: BTreeMap<ChannelId, Vec<ChannelId>> = BTreeMap::new();
    let mut feeders: BTreeMap<ChannelId, usize> = BTreeMap::new();
    for channel in view.all::<Channel>()? {
        let outgoing = edges_from(view, channel.id)?;
        outgoing.iter().for_each(|to| *feeders.entry(*to).or_default() += 1);
        targets.insert(channel.id, outgoing);
    }
    let unfed = |id: &&ChannelId| feeders.get(id).is_none_or(|count| *count == 0);
    let mut open: Vec<ChannelId> = targets.keys().filter(unfed).copied().collect();
    while let Some(here) = open.pop() {
        for to in targets.remove(&here).unwrap_or_default() {
            let count = feeders.entry(to).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.push(to);
            }
        }
    }
    for edge in edges.iter().filter(|edge| targets.contains_key(&edge.from)) {
        check_edge(view, edge, found)?;
    }
    Ok(())
}

/// The wires inside one channel.
fn check_wires(view: &View, channel: ChannelId, found: &mut Vec<Breach>) -> Result<(), ReadError> {
    let mut wires: BTreeMap<NodeId, Vec<(NodeId, AnyId)>> = BTreeMap::new();
    for wire in view.referring::<Connection>(channel)? {
        if let (Some(from), Some(to), None) = (wire.from.node, wire.to.node, wire.feedback) {
            wires.entry(from).or_default().push((to, wire.id.any()));
        }
    }
    let mut done = BTreeSet::new();
    let starts: Vec<NodeId> = wires.keys().copied().collect();
    for start in starts {
        if let Some(breach) = follow(&wires, start, &mut done) {
            found.push(breach);
            return Ok(());
        }
    }
    Ok(())
}

/// Depth first with an explicit stack: a chain of any length must not exhaust ours.
fn follow(
    wires: &BTreeMap<NodeId, Vec<(NodeId, AnyId)>>,
    start: NodeId,
    done: &mut BTreeSet<NodeId>,
) -> Option<Breach> {
    let mut path: Vec<(NodeId, usize)> = vec![(start, 0)];
    while let Some((here, at)) = path.last_mut() {
        let here = *here;
        let next = wires.get(&here).and_then(|wires| wires.get(*at)).copied();
        *at += 1;
        match next {
            None => {
                done.insert(here);
                path.pop();
            }
            Some((to, _)) if done.contains(&to) => {}
            Some((to, via)) if path.iter().any(|(node, _)| *node == to) => {
                let from = path.iter().position(|(node, _)| *node == to).unwrap_or_default();
                let mut nodes: Vec<NodeId> = path[from..].iter().map(|(node, _)| *node).collect();
                nodes.push(to);
                return Some(Breach::WireLoop { via, path: nodes });
            }
            Some((to, _)) => path.push((to, 0)),
        }
    }
    None
}
