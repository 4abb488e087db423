//! What flows through the graph: parameters, automation, notes, clips, zones,
//! in absolute frames of one rate.
//!
//! Each slice is derived owner by owner (a channel, a track, a lane), so that
//! an edit derives the slice of its owner again and no other.

mod automation;
mod clips;
mod events;
mod hearing;
mod params;
mod played;
mod repeat;
mod windows;

use pulse_engine::{
    material::{Events, Slices},
    registry::Registry,
};
use pulse_schemas::{
    entity::{Channel, Clip, ClipSlot, Lane, LaneKind, TempoPoint, Track},
    graph::ZoneSlice,
    id::ArrangementId,
    order::OrderKey,
    time::TempoMap,
};

pub use automation::{Curve, automation, track_automation};
pub use clips::{frozen_clip, lane_clips, zones};
pub use events::track_events;
pub use hearing::{Concerned, Hearing, Says};
pub use params::{Audible, EngineParam, audible, channel_params, engine_param};
pub use played::{Notes, Played, played};
pub use windows::{
    Placed, WINDOW, place_differs, placed, window, windows_of_clip, windows_of_member,
};

use crate::{
    chain::{chain, frozen_key, lane_key, node_key, playing_nodes},
    source::{Source, SourceExt},
};

/// What every derivation of content needs: the revision, the kinds, the time.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    pub source: &'a dyn Source,
    pub registry: &'a Registry,
    pub tempo: &'a TempoMap,
    pub rate: u32,
}

/// The tempo map of an arrangement. A merge may leave two tempos at one tick;
/// the map takes one and the project keeps playing.
pub fn tempo_map(source: &dyn Source, arrangement: ArrangementId) -> TempoMap {
    let mut points = source.members_of::<TempoPoint>(arrangement.0);
    points.sort_by_key(|point| (point.at, point.id));
    let marks: Vec<_> = points.iter().map(Into::into).collect();
    TempoMap::repaired(&marks).0
}

/// Everything at once, from scratch.
pub fn content(
    source: &dyn Source,
    registry: &Registry,
    arrangement: ArrangementId,
    rate: u32,
) -> Slices {
    let tempo = tempo_map(source, arrangement);
    let ctx = Ctx { source, registry, tempo: &tempo, rate };
    let audible = audible(source, arrangement);
    let mut content = Slices::default();
    for channel in source.referring::<Channel>(arrangement) {
        content.params.0.extend(channel_params(&ctx, &channel, &audible).0);
        channel_content(&ctx, &channel, &mut content);
    }
    content.automation = automation(&ctx, arrangement);
    content
}

/// Notes, clips and zones of one channel.
fn channel_content(ctx: &Ctx<'_>, channel: &Channel, content: &mut Slices) {
    content.zones.0.extend(channel_zones(ctx.source, channel).0);
    let Some(track) = channel.track.and_then(|track| ctx.source.get::<Track>(track.0)) else {
        return;
    };
    if let Some(media) = track.frozen {
        let clip = frozen_clip(ctx, &track, media);
        content.clips.0.insert(frozen_key(&track), clip.into_iter().collect());
        return;
    }
    for lane in sorted_lanes(ctx.source, &track) {
        if lane.lane_kind == LaneKind::Audio && !lane.mute {
            content.clips.0.insert(lane_key(&lane), lane_clips(ctx, &lane));
        }
    }
    let events = Events::from(track_events(ctx, &track));
    for player in chain(ctx.source, ctx.registry, channel).players {
        content.events.0.insert(player, events.clone());
    }
}

/// What the sampler nodes of one channel play.
pub fn channel_zones(source: &dyn Source, channel: &Channel) -> ZoneSlice {
    let mut slice = ZoneSlice::default();
    for node in playing_nodes(source, channel) {
        if let Some(kit) = node.kit {
            slice.0.insert(node_key(node.id), zones(source, kit));
        }
    }
    slice
}

/// Whether any node of a channel plays a kit.
pub fn samples(source: &dyn Source, channel: &Channel) -> bool {
    playing_nodes(source, channel).iter().any(|node| node.kit.is_some())
}

/// Whether a clip lies in a slot of the launcher: it waits to be launched and
/// has no place on the timeline.
pub fn waits_in_slot(source: &dyn Source, clip: &Clip) -> bool {
    source.referring::<ClipSlot>(clip.id).iter().any(|slot| slot.clip == Some(clip.id))
}

/// The lanes of a track in order.
pub fn sorted_lanes(source: &dyn Source, track: &Track) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = source.referring::<Lane>(track.id);
    lanes.retain(|lane| lane.track == track.id);
    let place = |lane: &Lane| -> (OrderKey, _) { (lane.order.clone(), lane.id) };
    lanes.sort_by_key(place);
    lanes
}

#[cfg(test)]
mod tests;
