//! The graph of channels, with loops and delays.

use std::collections::BTreeMap;

use pulse_schemas::{
    entity::{Channel, ChannelKind, SignalTap},
    id::{AnyId, ArrangementId, ChannelId},
};
use serde::Serialize;

use super::{Row, Sheet};
use crate::{
    cohort::Cohorts,
    routing::{Route, RouteKind, Routing},
};

/// How late the sum at each channel's input is, and the whole mix, in frames.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Latencies {
    pub channels: BTreeMap<ChannelId, u32>,
    pub mix: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChannelRow<'a> {
    name: &'a str,
    channel_kind: ChannelKind,
    track: Option<pulse_schemas::id::TrackId>,
    channels: u8,
    cohort: Option<pulse_schemas::graph::Cohort>,
    /// Frames that its signal is behind the clock.
    latency: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RouteRow {
    from: ChannelId,
    to: ChannelId,
    by: AnyId,
    kind: RouteKind,
    tap: SignalTap,
    feedback: Option<u32>,
    /// It is part of the loop that keeps the project from playing.
    in_cycle: bool,
}

#[derive(Serialize)]
struct Cycle<'a> {
    path: &'a [ChannelId],
    names: &'a [String],
    message: String,
}

pub fn sheet(
    arrangement: ArrangementId,
    routing: &Routing,
    cohorts: Option<&Cohorts>,
    latencies: Option<&Latencies>,
) -> Sheet {
    let cycle = routing.check().err();
    let path = cycle.as_ref().map(|cycle| cycle.path.clone()).unwrap_or_default();
    let next = path.iter().skip(1).chain(path.first());
    let steps: Vec<(ChannelId, ChannelId)> = path.iter().copied().zip(next.copied()).collect();
    let channel = |channel: &Channel| {
        let row = ChannelRow {
            name: &channel.name,
            channel_kind: channel.channel_kind,
            track: channel.track,
            channels: channel.channels,
            cohort: cohorts.and_then(|cohorts| cohorts.of(channel.id)).map(|member| member.cohort),
            latency: latencies.and_then(|known| known.channels.get(&channel.id).copied()),
        };
        Row::new(channel.id, &row)
    };
    let route = |route: &Route| {
        let kind = match route.kind {
            RouteKind::Output => "output",
            RouteKind::Input => "input",
            RouteKind::Send => "send",
            RouteKind::Sidechain => "sidechain",
        };
        let row = RouteRow {
            from: route.from,
            to: route.to,
            by: route.by,
            kind: route.kind,
            tap: route.tap,
            feedback: route.feedback,
            in_cycle: route.feedback.is_none() && steps.contains(&(route.from, route.to)),
        };
        Row::new(format!("{}/{kind}", route.by), &row)
    };
    let shown = cycle.as_ref().map(|cycle| Cycle {
        path: &cycle.path,
        names: &cycle.names,
        message: cycle.to_string(),
    });
    Sheet::default()
        .field("arrangement", &arrangement)
        .field("cycle", &shown)
        .field("latency", &latencies.map(|known| known.mix))
        .list("channels", routing.channels.iter().map(channel).collect())
        .list("routes", routing.routes.iter().map(route).collect())
}
