//! Which media can be read, rolled up from the item to the clip, the track and
//! the project: the worst of the parts is the whole.

use std::collections::BTreeMap;

use pulse_schemas::{
    entity::{AudioRegion, Availability, Clip, MediaItem, Track},
    id::MediaId,
};
use serde::Serialize;

use crate::{
    ambient::Ambient,
    content::sorted_lanes,
    source::{Source, SourceExt},
};

/// What is known of one item: what was found when it was looked for, else what
/// the project remembers.
pub fn of_media(ambient: &Ambient, media: &MediaItem) -> Availability {
    ambient.media.get(&media.id).copied().unwrap_or(media.availability)
}

/// An id that no item has is as missing as a file that is gone.
pub fn of_id(source: &dyn Source, ambient: &Ambient, media: MediaId) -> Availability {
    let item = source.get::<MediaItem>(media.0);
    item.map_or(Availability::Missing, |item| of_media(ambient, &item))
}

/// The worst of the media that a clip plays; a clip without media is complete.
pub fn of_clip(source: &dyn Source, ambient: &Ambient, clip: &Clip) -> Availability {
    let regions = source.members_of::<AudioRegion>(clip.id.0);
    regions
        .iter()
        .map(|region| of_id(source, ambient, region.media))
        .max()
        .unwrap_or(Availability::Local)
}

pub fn of_track(source: &dyn Source, ambient: &Ambient, track: &Track) -> Availability {
    let frozen = track.frozen.map(|media| of_id(source, ambient, media));
    sorted_lanes(source, track)
        .iter()
        .flat_map(|lane| source.referring::<Clip>(lane.id))
        .map(|clip| of_clip(source, ambient, &clip))
        .chain(frozen)
        .max()
        .unwrap_or(Availability::Local)
}

/// How many items are in which state.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub worst: Availability,
    pub counts: BTreeMap<Availability, u64>,
}

pub fn summary(ambient: &Ambient, items: &[MediaItem]) -> Summary {
    let mut summary = Summary::default();
    for item in items {
        let availability = of_media(ambient, item);
        summary.worst = summary.worst.max(availability);
        *summary.counts.entry(availability).or_default() += 1;
    }
    summary
}

#[cfg(test)]
mod tests {
    use pulse_schemas::{
        entity::{Lane, LaneKind},
        id::{ActorId, AudioRegionId, ClipId, EntityId, LaneId, TrackId},
    };

    use super::*;
    use crate::source::Entities;

    fn id(number: u32) -> EntityId {
        EntityId::derive(ActorId(3), 0, number)
    }

    fn project(stored: Availability) -> (Entities, Track, Clip, MediaItem) {
        let mut entities = Entities::default();
        let track = Track { id: TrackId(id(1)), ..Track::default() };
        let lane = Lane {
            id: LaneId(id(2)),
            track: track.id,
            lane_kind: LaneKind::Audio,
            ..Lane::default()
        };
        let clip = Clip { id: ClipId(id(3)), lane: lane.id, ..Clip::default() };
        let media = MediaItem { id: MediaId(id(4)), availability: stored, ..MediaItem::default() };
        entities.put(track.clone());
        entities.put(lane);
        entities.put(clip.clone());
        entities.put(media.clone());
        entities.put(AudioRegion {
            id: AudioRegionId(id(5)),
            clip: clip.id,
            media: media.id,
            ..AudioRegion::default()
        });
        (entities, track, clip, media)
    }

    #[test]
    fn the_worst_part_is_the_whole() {
        let (entities, track, clip, media) = project(Availability::ExternalOffline);
        let ambient = Ambient::default();
        assert_eq!(of_clip(&entities, &ambient, &clip), Availability::ExternalOffline);
        assert_eq!(of_track(&entities, &ambient, &track), Availability::ExternalOffline);
        let summary = summary(&ambient, &[media]);
        assert_eq!(summary.worst, Availability::ExternalOffline);
    }

    #[test]
    fn what_was_found_counts_more_than_what_was_remembered() {
        let (entities, track, _, media) = project(Availability::Missing);
        let mut ambient = Ambient::default();
        ambient.media.insert(media.id, Availability::Local);
        assert_eq!(of_track(&entities, &ambient, &track), Availability::Local);
    }

    #[test]
    fn a_clip_of_an_unknown_item_is_missing() {
        let (mut entities, track, clip, media) = project(Availability::Local);
        entities.remove(pulse_schemas::record::EntityKey::standalone(media.id.any()));
        let ambient = Ambient::default();
        assert_eq!(of_clip(&entities, &ambient, &clip), Availability::Missing);
        assert_eq!(of_track(&entities, &ambient, &track), Availability::Missing);
    }
}
