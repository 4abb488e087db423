//! Parameter values of a channel: its strip, its sends, its nodes.
//!
//! Mute and solo arrive here as one value, "does it sound", because to the
//! engine they are one: a gain that moves without a click.

use std::collections::{BTreeMap, BTreeSet};

use pulse_engine::{material::BYPASS, param::ParamDesc};
use pulse_schemas::{
    entity::{Channel, ChannelKind, DspNode, PanLaw, ParameterLink, ParameterRef, Track},
    graph::{NodeKey, ParamSlice},
    id::{ArrangementId, ChannelId, EntityKind, TrackId},
};

use super::Ctx;
use crate::{
    chain::{STRIP, node_key, playing_nodes, strip_key},
    graph::{send_key, sends_of},
    source::{Source, SourceExt},
};

/// Ids of the strip's parameters.
pub mod strip {
    pub const GAIN: &str = "gain";
    pub const PAN: &str = "pan";
    pub const PAN_LAW: &str = "panLaw";
    pub const WIDTH: &str = "width";
    pub const MUTE: &str = "mute";
    pub const INVERT_LEFT: &str = "invertLeft";
    pub const INVERT_RIGHT: &str = "invertRight";
}

/// The strip counts width in percent, a channel in parts of one.
const WIDTH_UNIT: f64 = 100.0;

/// Which channels sound, after mute and solo of channels, tracks and folders.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audible(pub BTreeSet<ChannelId>);

/// A track sounds when neither it nor a folder above it is muted and, while
/// anything is soloed, it is soloed itself, lies inside a soloed folder, holds
/// a soloed track, or is solo safe. Buses, returns and the master are deaf to
/// solo: what feeds them is silenced already.
pub fn audible(source: &dyn Source, arrangement: ArrangementId) -> Audible {
    let tracks: BTreeMap<TrackId, Track> =
        source.referring::<Track>(arrangement).into_iter().map(|track| (track.id, track)).collect();
    let soloed: BTreeSet<TrackId> =
        tracks.values().filter(|track| track.solo).map(|track| track.id).collect();
    let above_solo: BTreeSet<TrackId> =
        soloed.iter().flat_map(|id| lineage(&tracks, *id)).collect();
    let sounds = |track: TrackId| {
        let line = lineage(&tracks, track);
        let muted = line.iter().filter_map(|id| tracks.get(id)).any(|track| track.mute);
        let heard = soloed.is_empty()
            || above_solo.contains(&track)
            || line.iter().any(|id| soloed.contains(id))
            || tracks.get(&track).is_some_and(|track| track.solo_safe);
        !muted && heard
    };
    let channels = source.referring::<Channel>(arrangement);
    let audible = channels.iter().filter(|channel| !channel.mute).filter(|channel| {
        match (channel.channel_kind, channel.track) {
            (ChannelKind::Track, Some(track)) => sounds(track),
            _ => true,
        }
    });
    Audible(audible.map(|channel| channel.id).collect())
}

/// A track and everything above it.
fn lineage(tracks: &BTreeMap<TrackId, Track>, track: TrackId) -> Vec<TrackId> {
    let mut line = vec![track];
    let mut at = track;
    while let Some(parent) = tracks.get(&at).and_then(|track| track.parent) {
        if line.contains(&parent) {
            break;
        }
        line.push(parent);
        at = parent;
    }
    line
}

/// The parameters of every engine node that a channel stands for.
pub fn channel_params(ctx: &Ctx<'_>, channel: &Channel, audible: &Audible) -> ParamSlice {
    let mut slice = ParamSlice::default();
    let key = strip_key(channel);
    let flag = |on: bool| if on { 1.0 } else { 0.0 };
    slice.set(key, strip::GAIN, channel.gain_db);
    slice.set(key, strip::PAN, channel.pan);
    slice.set(key, strip::PAN_LAW, pan_law(channel.pan_law));
    slice.set(key, strip::WIDTH, channel.width * WIDTH_UNIT);
    slice.set(key, strip::MUTE, flag(!audible.0.contains(&channel.id)));
    slice.set(key, strip::INVERT_LEFT, flag(channel.invert_left));
    slice.set(key, strip::INVERT_RIGHT, flag(channel.invert_right));
    for send in sends_of(ctx.source, channel.id) {
        let key = send_key(send.id.any());
        slice.set(key, strip::GAIN, send.gain_db);
        slice.set(key, strip::PAN, send.pan);
        slice.set(key, strip::MUTE, flag(send.mute));
    }
    for node in playing_nodes(ctx.source, channel) {
        for (name, value) in &node.params {
            slice.set(node_key(node.id), name, *value);
        }
        slice.set(node_key(node.id), BYPASS, flag(node.bypass));
    }
    follow_links(ctx, &mut slice);
    slice
}

fn pan_law(law: PanLaw) -> f64 {
    match law {
        PanLaw::Balance => 0.0,
        PanLaw::Minus3 => 1.0,
        PanLaw::Minus4_5 => 2.0,
        PanLaw::Minus6 => 3.0,
    }
}

/// A parameter of an engine node, and what one unit of the entity's is there.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineParam {
    pub node: NodeKey,
    pub name: String,
    pub unit: f64,
}

/// The engine's parameter that an entity's parameter is.
pub fn engine_param(parameter: &ParameterRef) -> Option<EngineParam> {
    let target = parameter.target?;
    let role = match target.kind {
        EntityKind::DspNode => "node",
        EntityKind::Channel => "strip",
        EntityKind::Send => "send",
        _ => return None,
    };
    let field = parameter.parameter.as_str();
    let (name, unit) = match (role, field) {
        ("strip" | "send", "gainDb") => (strip::GAIN, 1.0),
        ("strip", strip::WIDTH) => (strip::WIDTH, WIDTH_UNIT),
        _ => (field, 1.0),
    };
    Some(EngineParam { node: NodeKey::new(target, role), name: name.to_owned(), unit })
}

/// Linked parameters of this channel's nodes take the value of their source.
fn follow_links(ctx: &Ctx<'_>, slice: &mut ParamSlice) {
    let mut links = ctx.source.all::<ParameterLink>();
    links.retain(|link| link.enabled);
    links.sort_by_key(|link| link.id);
    for link in links {
        let (Some(from), Some(to)) = (engine_param(&link.source), engine_param(&link.target))
        else {
            continue;
        };
        if !slice.0.contains_key(&to.node) {
            continue;
        }
        let here = slice.get(from.node, &from.name);
        let value = here.or_else(|| Some(stored(ctx, &link.source)? * from.unit));
        let (Some(value), Some(source), Some(target)) =
            (value, described(ctx, &from), described(ctx, &to))
        else {
            continue;
        };
        let place = source.normalise(value) * link.scale + link.offset;
        slice.set(to.node, &to.name, target.denormalise(place));
    }
}

/// What the engine says of a parameter: a link is between places in ranges.
fn described(ctx: &Ctx<'_>, param: &EngineParam) -> Option<&'static ParamDesc> {
    let kind = match param.node.entity.kind {
        EntityKind::DspNode => ctx.source.get::<DspNode>(param.node.entity.id)?.node_kind,
        _ => STRIP.to_owned(),
    };
    let descriptor = ctx.registry.get(&kind)?.descriptor;
    descriptor.params.get(descriptor.param_index(&param.name)?)
}

/// The value of a parameter as the project stores it.
fn stored(ctx: &Ctx<'_>, parameter: &ParameterRef) -> Option<f64> {
    let target = parameter.target?;
    let entity = ctx.source.entity(pulse_schemas::record::EntityKey::standalone(target))?;
    let fields = entity.fields();
    let value = match target.kind {
        EntityKind::DspNode => fields.get("params")?.get(&parameter.parameter)?,
        _ => fields.get(&parameter.parameter)?,
    };
    value.as_f64()
}
