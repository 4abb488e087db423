//! Channels with sends and nodes, one row each.

use std::collections::BTreeMap;

use pulse_schemas::{
    entity::{Channel, ChannelKind, DspNode, Monitor, ProcessingPolicy, Send, Track},
    id::{ArrangementId, ChannelId, NodeId, TrackId},
    order::OrderKey,
};
use serde::Serialize;

use super::{Ctx, Row, Sheet, arrangement::Place, looks};
use crate::{
    chain::playing_nodes,
    graph::sends_of,
    source::{Source, SourceExt},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelRow<'a> {
    #[serde(flatten)]
    channel: &'a Channel,
    /// Whether it is heard, after mute and solo of everything around it.
    audible: bool,
    colour: Option<String>,
    track_state: Option<TrackState>,
    sends: Vec<Send>,
    nodes: Vec<NodeCell>,
}

/// What a strip shows of its track.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TrackState {
    name: String,
    mute: bool,
    solo: bool,
    solo_safe: bool,
    armed: bool,
    monitor: Monitor,
    policy: ProcessingPolicy,
    frozen: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeCell {
    id: NodeId,
    name: String,
    node_kind: String,
    bypass: bool,
    params: BTreeMap<String, f64>,
    /// Not the one that plays, among the alternatives of its stack.
    resting: bool,
    /// This version has no such node; it passes audio through.
    unknown: bool,
}

/// Derives the row of one channel.
pub fn channel_row(ctx: &Ctx<'_>, channel: &Channel, audible: bool) -> Row {
    let track = channel.track.and_then(|track| ctx.source.get::<Track>(track.0));
    let subject = track.as_ref().map_or(channel.id.any(), |track| track.id.any());
    let row = ChannelRow {
        channel,
        audible,
        colour: looks(ctx.source, subject).colour,
        track_state: track.map(|track| TrackState {
            name: track.name,
            mute: track.mute,
            solo: track.solo,
            solo_safe: track.solo_safe,
            armed: track.armed,
            monitor: track.monitor,
            policy: track.policy,
            frozen: track.frozen.is_some(),
        }),
        sends: sends(ctx.source, channel.id),
        nodes: nodes(ctx, channel),
    };
    Row::new(channel.id, &row)
}

fn sends(source: &dyn Source, channel: ChannelId) -> Vec<Send> {
    let mut sends = sends_of(source, channel);
    sends.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
    sends
}

/// The nodes of a channel: those that play in their order, then those that rest.
pub fn nodes(ctx: &Ctx<'_>, channel: &Channel) -> Vec<NodeCell> {
    let playing = playing_nodes(ctx.source, channel);
    let mut resting = ctx.source.referring::<DspNode>(channel.id);
    resting.retain(|node| {
        node.channel == channel.id && playing.iter().all(|other| other.id != node.id)
    });
    resting.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
    let cell = |node: DspNode, resting| NodeCell {
        id: node.id,
        name: node.name,
        unknown: ctx.registry.get(&node.node_kind).is_none(),
        node_kind: node.node_kind,
        bypass: node.bypass,
        params: node.params,
        resting,
    };
    let playing = playing.into_iter().map(|node| cell(node, false));
    playing.chain(resting.into_iter().map(|node| cell(node, true))).collect()
}

/// Channels as a mixer shows them: tracks as the arrangement has them, then
/// buses, returns, the master.
pub fn order(channels: &[Channel], places: &[Place]) -> Vec<ChannelId> {
    let rank: BTreeMap<TrackId, usize> =
        places.iter().enumerate().map(|(at, place)| (place.track, at)).collect();
    let kind = |channel: &Channel| match channel.channel_kind {
        ChannelKind::Track => 0u8,
        ChannelKind::Bus => 1,
        ChannelKind::Return => 2,
        ChannelKind::Master => 3,
    };
    let key = |channel: &Channel| -> (u8, usize, OrderKey, ChannelId) {
        let place = channel.track.and_then(|track| rank.get(&track)).copied();
        (kind(channel), place.unwrap_or(usize::MAX), channel.order.clone(), channel.id)
    };
    let mut keyed: Vec<_> = channels.iter().map(key).collect();
    keyed.sort();
    keyed.into_iter().map(|(_, _, _, id)| id).collect()
}

pub fn sheet(arrangement: ArrangementId, channels: usize, rows: Vec<Row>) -> Sheet {
    Sheet::default()
        .field("arrangement", &arrangement)
        .field("rows", &channels)
        .list("channels", rows)
}
