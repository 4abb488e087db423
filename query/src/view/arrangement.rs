//! Tracks, lanes and clips in a window of time and rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use pulse_schemas::{
    command::view::Window,
    entity::{AudioRegion, Availability, Clip, Lane, Note, Track},
    id::{ArrangementId, MediaId, TrackId},
    time::{TempoMap, Ticks},
};
use serde::Serialize;

use super::{Ctx, Looks, Row, Sheet, cut_slice, looks, span};
use crate::{
    availability,
    content::sorted_lanes,
    source::{Source, SourceExt},
};

/// A track's place in the tree of tracks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub track: TrackId,
    pub depth: u16,
}

/// The tracks of an arrangement as they are shown, children below their parent.
/// A track whose parents form a ring, as a merge may leave them, stands at the end.
pub fn places(source: &dyn Source, arrangement: ArrangementId) -> Vec<Place> {
    let mut tracks = source.referring::<Track>(arrangement);
    tracks.retain(|track| track.arrangement == arrangement);
    tracks.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
    let known: BTreeSet<TrackId> = tracks.iter().map(|track| track.id).collect();
    let mut children: BTreeMap<Option<TrackId>, Vec<TrackId>> = BTreeMap::new();
    for track in &tracks {
        let parent = track.parent.filter(|parent| known.contains(parent));
        children.entry(parent).or_default().push(track.id);
    }
    let mut places = Vec::with_capacity(tracks.len());
    let mut open: Vec<Place> = Vec::new();
    let below = |parent, depth| {
        let ids = children.get(&parent).into_iter().flatten().rev();
        ids.map(move |track| Place { track: *track, depth })
    };
    open.extend(below(None, 0));
    while let Some(place) = open.pop() {
        places.push(place);
        open.extend(below(Some(place.track), place.depth.saturating_add(1)));
    }
    let seen: BTreeSet<TrackId> = places.iter().map(|place| place.track).collect();
    let lost = tracks.iter().filter(|track| !seen.contains(&track.id));
    places.extend(lost.map(|track| Place { track: track.id, depth: 0 }));
    places
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackRow<'a> {
    #[serde(flatten)]
    track: &'a Track,
    depth: u16,
    channel: Option<pulse_schemas::id::ChannelId>,
    /// The worst of what its clips play.
    availability: Availability,
    clips: usize,
    #[serde(flatten)]
    looks: Looks,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneRow<'a> {
    #[serde(flatten)]
    lane: &'a Lane,
    clips: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClipRow<'a> {
    #[serde(flatten)]
    clip: &'a Clip,
    track: TrackId,
    /// Where it lies in musical time, whatever its timebase.
    start_tick: Ticks,
    end_tick: Ticks,
    media: Option<MediaId>,
    availability: Availability,
    notes: usize,
    colour: Option<String>,
}

/// All rows of one track.
#[derive(Clone, PartialEq, Debug)]
pub struct TrackPart {
    pub track: Row,
    pub lanes: Vec<Row>,
    /// By start, with the ticks that each covers.
    pub clips: Vec<(Range<Ticks>, Row)>,
}

/// Derives the rows of one track.
pub fn track_part(ctx: &Ctx<'_>, tempo: &TempoMap, place: Place) -> Option<TrackPart> {
    let track: Track = ctx.source.get(place.track.0)?;
    let mut lanes = Vec::new();
    let mut clips = Vec::new();
    let frozen = track.frozen.map(|media| availability::of_id(ctx.source, ctx.ambient, media));
    let mut worst = frozen.unwrap_or_default();
    for lane in sorted_lanes(ctx.source, &track) {
        let before = clips.len();
        let mut of_lane = ctx.source.referring::<Clip>(lane.id);
        of_lane.retain(|clip| clip.lane == lane.id);
        for clip in &of_lane {
            let (range, availability, row) = clip_row(ctx, tempo, track.id, clip);
            worst = worst.max(availability);
            clips.push((range, row));
        }
        lanes.push(Row::new(lane.id, &LaneRow { lane: &lane, clips: clips.len() - before }));
    }
    clips.sort_by(|(a, a_row), (b, b_row)| (a.start, a_row.key()).cmp(&(b.start, b_row.key())));
    let row = TrackRow {
        track: &track,
        depth: place.depth,
        channel: ctx.source.channel_of(track.id).map(|channel| channel.id),
        availability: worst,
        clips: clips.len(),
        looks: looks(ctx.source, track.id.any()),
    };
    Some(TrackPart { track: Row::new(track.id, &row), lanes, clips })
}

fn clip_row(
    ctx: &Ctx<'_>,
    tempo: &TempoMap,
    track: TrackId,
    clip: &Clip,
) -> (Range<Ticks>, Availability, Row) {
    let start_tick = tempo.ticks_of(clip.timebase, clip.start);
    let end_tick = tempo.ticks_of(clip.timebase, clip.start.saturating_add(clip.length));
    let regions = ctx.source.members_of::<AudioRegion>(clip.id.0);
    let of_region =
        |region: &AudioRegion| availability::of_id(ctx.source, ctx.ambient, region.media);
    let availability = regions.iter().map(of_region).max().unwrap_or_default();
    let notes = match clip.content {
        pulse_schemas::entity::ClipContent::Midi => ctx.source.members_of::<Note>(clip.id.0).len(),
        _ => 0,
    };
    let row = ClipRow {
        clip,
        track,
        start_tick,
        end_tick,
        media: regions.first().map(|region| region.media),
        availability,
        notes,
        colour: looks(ctx.source, clip.id.any()).colour,
    };
    (start_tick..end_tick, availability, Row::new(clip.id, &row))
}

/// The rows of the tracks in a window: `parts` are those of the window's rows.
pub fn sheet(
    arrangement: ArrangementId,
    tracks: usize,
    parts: &[impl AsRef<TrackPart>],
    window: &Window,
) -> Sheet {
    let span = span(window);
    let pixel = window.resolution.unwrap_or(Ticks::ZERO);
    let (mut rows, mut lanes, mut clips) = (Vec::new(), Vec::new(), Vec::new());
    let mut too_small = 0u64;
    for part in parts.iter().map(AsRef::as_ref) {
        rows.push(part.track.clone());
        lanes.extend(part.lanes.iter().cloned());
        // Clips lie by start, so what starts behind the window ends the search.
        for (range, row) in part.clips.iter().take_while(|(range, _)| range.start < span.end) {
            if range.end <= span.start {
                continue;
            }
            if range.end.saturating_sub(range.start) < pixel {
                too_small += 1;
            } else {
                clips.push(row.clone());
            }
        }
    }
    let end = parts.iter().flat_map(|part| &part.as_ref().clips).map(|(range, _)| range.end).max();
    Sheet::default()
        .field("arrangement", &arrangement)
        .field("rows", &tracks)
        .field("end", &end.unwrap_or(Ticks::ZERO))
        .field("tooSmall", &too_small)
        .list("tracks", rows)
        .list("lanes", lanes)
        .list("clips", clips)
}

/// The places that a window shows.
pub fn visible(places: &[Place], window: &Window) -> Vec<Place> {
    cut_slice(places, window).to_vec()
}
