//! Who feeds whom, channel by channel.
//!
//! A loop is legal only through a route with a delay of its own. Any other is
//! an error that names the whole path, because "routing loop" alone leaves a
//! producer with two hundred channels to look through.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pulse_schemas::{
    entity::{Channel, ChannelInput, DspNode, Send, SendMode, SidechainRoute, SignalTap},
    id::{AnyId, ArrangementId, ChannelId},
};
use serde::Serialize;

use crate::source::{Source, SourceExt};

/// One way from a channel to another.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    pub from: ChannelId,
    pub to: ChannelId,
    /// The entity that makes the route: the channel itself, a send, a side chain.
    pub by: AnyId,
    pub kind: RouteKind,
    pub tap: SignalTap,
    /// Delay in frames, where the route may close a loop.
    pub feedback: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RouteKind {
    Output,
    Input,
    Send,
    Sidechain,
}

/// All channels of an arrangement and the routes between them, by id.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    pub channels: Vec<Channel>,
    pub routes: Vec<Route>,
}

#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error(
    "the routing has a loop: {}; remove one of these routes, or give it a feedback delay",
    names.join(" → ")
)]
pub struct RoutingCycle {
    /// Each channel feeds the next, the last one the first.
    pub path: Vec<ChannelId>,
    pub names: Vec<String>,
}

/// Collects the routing of one arrangement. Routes whose other end does not
/// exist are left out: a reference that dangles must not silence the rest.
pub fn routing(source: &dyn Source, arrangement: ArrangementId) -> Routing {
    let mut channels: Vec<Channel> = source
        .referring::<Channel>(arrangement)
        .into_iter()
        .filter(|channel| channel.arrangement == arrangement)
        .collect();
    channels.sort_by_key(|channel| channel.id);
    let routes = channels.iter().flat_map(|channel| routes_of(source, channel)).collect();
    Routing::of(channels, routes)
}

/// The routes that one channel, its sends and the side inputs of its nodes make.
pub fn routes_of(source: &dyn Source, channel: &Channel) -> Vec<Route> {
    let mut routes = Vec::new();
    if let Some(to) = channel.output {
        routes.push(Route {
            from: channel.id,
            to,
            by: channel.id.any(),
            kind: RouteKind::Output,
            tap: SignalTap::PostFader,
            feedback: channel.output_feedback,
        });
    }
    if let ChannelInput::Channel { source: from, tap } = channel.input {
        let by = channel.id.any();
        let (to, kind) = (channel.id, RouteKind::Input);
        routes.push(Route { from, to, by, kind, tap, feedback: None });
    }
    for send in source.referring::<Send>(channel.id) {
        if send.from == channel.id && send.mode == SendMode::Audio {
            routes.push(Route {
                from: send.from,
                to: send.to,
                by: send.id.any(),
                kind: RouteKind::Send,
                tap: send.tap,
                feedback: send.feedback,
            });
        }
    }
    for node in source.referring::<DspNode>(channel.id) {
        for sidechain in source.referring::<SidechainRoute>(node.id) {
            routes.push(Route {
                from: sidechain.from,
                to: channel.id,
                by: sidechain.id.any(),
                kind: RouteKind::Sidechain,
                tap: sidechain.tap,
                feedback: sidechain.feedback,
            });
        }
    }
    routes
}

impl Routing {
    /// The routes of channels, those whose ends exist.
    pub fn of(mut channels: Vec<Channel>, mut routes: Vec<Route>) -> Routing {
        channels.sort_by_key(|channel| channel.id);
        let known: BTreeSet<ChannelId> = channels.iter().map(|channel| channel.id).collect();
        routes.retain(|route| known.contains(&route.from) && known.contains(&route.to));
        routes.sort_by_key(|route| (route.from, route.to, route.by));
        Routing { channels, routes }
    }

    pub fn channel(&self, id: ChannelId) -> Option<&Channel> {
        let at = self.channels.binary_search_by_key(&id, |channel| channel.id).ok()?;
        self.channels.get(at)
    }

    /// The routes that lead away from a channel.
    pub fn from(&self, id: ChannelId) -> &[Route] {
        let first = self.routes.partition_point(|route| route.from < id);
        let after = self.routes.partition_point(|route| route.from <= id);
        &self.routes[first..after]
    }

    /// The shortest loop through routes without a delay, if there is one.
    pub fn check(&self) -> Result<(), RoutingCycle> {
        let forward = self.forward(|route| route.feedback.is_none());
        let shortest = self
            .channels
            .iter()
            .filter_map(|channel| loop_from(&forward, channel.id))
            .min_by_key(|path| path.len());
        match shortest {
            None => Ok(()),
            Some(path) => Err(self.cycle(path)),
        }
    }

    /// Whether a new route would close a loop.
    pub fn would_loop(&self, from: ChannelId, to: ChannelId) -> Option<RoutingCycle> {
        let forward = self.forward(|route| route.feedback.is_none());
        let path = if from == to { vec![from] } else { path_between(&forward, to, from)? };
        Some(self.cycle(path))
    }

    fn cycle(&self, path: Vec<ChannelId>) -> RoutingCycle {
        let name = |id: &ChannelId| {
            self.channel(*id).map_or_else(|| id.to_string(), |channel| channel.name.clone())
        };
        let mut names: Vec<String> = path.iter().map(name).collect();
        names.extend(path.first().map(name));
        RoutingCycle { path, names }
    }

    /// Successors by channel, over the routes that `keep` accepts.
    pub fn forward(
        &self,
        keep: impl Fn(&Route) -> bool,
    ) -> BTreeMap<ChannelId, BTreeSet<ChannelId>> {
        let mut forward: BTreeMap<ChannelId, BTreeSet<ChannelId>> = BTreeMap::new();
        for route in self.routes.iter().filter(|route| keep(route)) {
            forward.entry(route.from).or_default().insert(route.to);
        }
        forward
    }
}

type Successors = BTreeMap<ChannelId, BTreeSet<ChannelId>>;

/// The shortest way from a channel back to itself.
fn loop_from(forward: &Successors, start: ChannelId) -> Option<Vec<ChannelId>> {
    let after = forward.get(&start)?;
    if after.contains(&start) {
        return Some(vec![start]);
    }
    after
        .iter()
        .filter_map(|next| path_between(forward, *next, start))
        .min_by_key(Vec::len)
        .map(|path| [vec![start], path[..path.len() - 1].to_vec()].concat())
}

/// The shortest path, both ends included.
fn path_between(forward: &Successors, from: ChannelId, to: ChannelId) -> Option<Vec<ChannelId>> {
    let mut came_from = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            return Some(trace(&came_from, from, to));
        }
        for next in forward.get(&at).into_iter().flatten() {
            if !came_from.contains_key(next) {
                came_from.insert(*next, at);
                queue.push_back(*next);
            }
        }
    }
    None
}

fn trace(
    came_from: &BTreeMap<ChannelId, ChannelId>,
    from: ChannelId,
    to: ChannelId,
) -> Vec<ChannelId> {
    let mut path = vec![to];
    let mut at = to;
    while at != from {
        at = came_from[&at];
        path.push(at);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Entities;
    use pulse_schemas::id::{ActorId, EntityId, SendId};

    fn arrangement() -> ArrangementId {
        ArrangementId(EntityId::derive(ActorId(1), 0, 0))
    }

    fn channel(number: u32) -> ChannelId {
        ChannelId(EntityId::derive(ActorId(1), 1, number))
    }

    /// `outputs` as `from>to`, `sends` as `from>to` with an optional delay.
    fn project(outputs: &[(u32, u32)], sends: &[(u32, u32, Option<u32>)]) -> Routing {
        let mut entities = Entities::default();
        let numbers: BTreeSet<u32> = outputs.iter().flat_map(|(from, to)| [*from, *to]).collect();
        for number in numbers {
            let output = outputs.iter().find(|(from, _)| *from == number);
            entities.put(Channel {
                id: channel(number),
                arrangement: arrangement(),
                name: format!("C{number}"),
                output: output.map(|(_, to)| channel(*to)),
                ..Channel::default()
            });
        }
        for (at, (from, to, feedback)) in sends.iter().enumerate() {
            entities.put(Send {
                id: SendId(EntityId::derive(ActorId(1), 2, at as u32)),
                from: channel(*from),
                to: channel(*to),
                feedback: *feedback,
                ..Send::default()
            });
        }
        routing(&entities, arrangement())
    }

    #[test]
    fn a_tree_of_buses_has_no_loop() {
        assert_eq!(project(&[(1, 3), (2, 3), (3, 4)], &[(1, 2, None)]).check(), Ok(()));
    }

    #[test]
    fn a_loop_is_named_from_end_to_end() {
        let error = project(&[(1, 2), (2, 3), (3, 9)], &[(3, 1, None)]).check().unwrap_err();
        assert_eq!(error.path.len(), 3);
        let text = error.to_string();
        for name in ["C1 → C2", "C2 → C3", "C3 → C1"] {
            let around = format!("{text} → {}", &text["the routing has a loop: ".len()..]);
            assert!(text.contains(name) || around.contains(name), "{text}");
        }
        assert!(text.ends_with("or give it a feedback delay"), "{text}");
    }

    #[test]
    fn a_loop_through_a_delay_is_legal() {
        assert_eq!(project(&[(1, 2), (2, 9)], &[(2, 1, Some(64))]).check(), Ok(()));
    }

    #[test]
    fn a_route_that_would_close_a_loop_is_told_before_it_is_made() {
        let routing = project(&[(1, 2), (2, 3)], &[]);
        assert!(routing.would_loop(channel(3), channel(1)).is_some());
        assert!(routing.would_loop(channel(1), channel(3)).is_none());
        assert!(routing.would_loop(channel(1), channel(1)).is_some());
    }

    #[test]
    fn a_route_to_nowhere_is_left_out() {
        let routing = project(&[(1, 2)], &[(1, 77, None)]);
        assert_eq!(routing.routes.len(), 1);
    }
}
