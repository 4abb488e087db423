//! Tracks, lanes and clips in a window of time and rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use pulse_schemas::{
    command::view::Window,
    entity::{AudioRegion, Availability, Clip, Lane, Track},
    id::{ArrangementId, ClipId, EntityKind, LaneId, MediaId, TrackId},
    time::{TempoMap, Ticks},
};
use serde::Serialize;

use super::{Ctx, Looks, Row, Rows, Run, Sheet, cut_slice, looks, span};
use crate::{
    availability,
    content::sorted_lanes,
    pieces::{Item, Piece, Pieces},
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

/// A clip of a track: its row, and what its track needs to know of it.
#[derive(Clone, PartialEq, Debug)]
struct ClipPart {
    id: ClipId,
    lane: LaneId,
    range: Range<Ticks>,
    availability: Availability,
    row: Row,
}

#[derive(Clone, PartialEq, Debug)]
struct LanePart {
    id: LaneId,
    clips: usize,
    row: Row,
}

/// All rows of one track.
#[derive(Clone, PartialEq, Debug)]
pub struct TrackPart {
    track: Row,
    depth: u16,
    /// The worst of the media of its clips, and of what a frozen track plays.
    playing: Availability,
    lanes: Vec<LanePart>,
    /// By start.
    clips: Pieces<ClipPart>,
}

/// What is true of clips that follow each other.
#[derive(Default)]
struct ClipsSum {
    /// Where the last one ends, and how long the longest is.
    end: Option<Ticks>,
    longest: Ticks,
    playing: Availability,
}

impl Item for ClipPart {
    type Place<'a> = (Ticks, &'a str);
    type Sum = ClipsSum;

    fn place(&self) -> (Ticks, &str) {
        (self.range.start, self.row.key())
    }

    fn sum(clips: &[ClipPart]) -> ClipsSum {
        let length = |clip: &ClipPart| clip.range.end.saturating_sub(clip.range.start);
        ClipsSum {
            end: clips.iter().map(|clip| clip.range.end).max(),
            longest: clips.iter().map(length).max().unwrap_or(Ticks::ZERO),
            playing: clips.iter().map(|clip| clip.availability).max().unwrap_or_default(),
        }
    }
}

impl TrackPart {
    /// How many rows it has, about.
    pub fn size(&self) -> usize {
        1 + self.lanes.len() + self.clips.len()
    }

    /// Pieces that are not shared with an older state.
    #[cfg(test)]
    pub fn unshared(&self, before: &TrackPart) -> usize {
        self.clips.unshared(&before.clips)
    }
}

/// What of a track may differ from a part that was derived before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dirt {
    /// The fields of the track's own row.
    pub track: bool,
    /// Lanes, and which clips lie in them.
    pub lanes: bool,
    pub clips: BTreeSet<ClipId>,
    /// Windows of its notes.
    pub windows: BTreeSet<i64>,
}

impl Dirt {
    pub fn add(&mut self, other: &Dirt) {
        self.track |= other.track;
        self.lanes |= other.lanes;
        self.clips.extend(&other.clips);
        self.windows.extend(&other.windows);
    }
}

/// Derives the rows of one track.
pub fn track_part(ctx: &Ctx<'_>, tempo: &TempoMap, place: Place) -> Option<TrackPart> {
    renewed(ctx, tempo, place, None)
}

/// Derives the rows of one track; where an older part in the same time is known,
/// only those that may differ from it.
pub fn renewed(
    ctx: &Ctx<'_>,
    tempo: &TempoMap,
    place: Place,
    old: Option<(&TrackPart, &Dirt)>,
) -> Option<TrackPart> {
    let make = Maker { ctx, tempo, track: place.track };
    let (lanes, clips) = match old {
        Some((old, dirt)) if !dirt.lanes => make.changed(old, dirt)?,
        _ => make.listed(old)?,
    };
    let sums = clips.pieces().iter().map(|piece| piece.sum().playing);
    let playing = sums.max().unwrap_or_default();
    let count = |lanes: &[LanePart]| lanes.iter().map(|lane| lane.clips).sum::<usize>();
    let same_row = |(old, dirt): &(&TrackPart, &Dirt)| {
        let (was, is) = ((old.depth, old.playing), (place.depth, playing));
        !dirt.track && !dirt.lanes && was == is && count(&old.lanes) == count(&lanes)
    };
    Some(TrackPart {
        track: match old.filter(same_row) {
            Some((old, _)) => old.track.clone(),
            None => make.track_row(place, playing, count(&lanes))?,
        },
        depth: place.depth,
        playing,
        lanes,
        clips,
    })
}

/// Makes the rows of one track.
struct Maker<'a> {
    ctx: &'a Ctx<'a>,
    tempo: &'a TempoMap,
    track: TrackId,
}

impl Maker<'_> {
    /// Lanes and clips as the lanes list them, with what is known of the clips.
    fn listed(
        &self,
        old: Option<(&TrackPart, &Dirt)>,
    ) -> Option<(Vec<LanePart>, Pieces<ClipPart>)> {
        let track: Track = self.ctx.source.get(self.track.0)?;
        let clean = |(old, dirt): (&TrackPart, &Dirt)| {
            let clean = old.clips.iter().filter(|clip| !dirt.clips.contains(&clip.id));
            clean.map(|clip| (clip.id, clip.clone())).collect()
        };
        let mut known: BTreeMap<ClipId, ClipPart> = old.map(clean).unwrap_or_default();
        let (mut lanes, mut clips) = (Vec::new(), Vec::new());
        for lane in sorted_lanes(self.ctx.source, &track) {
            let before = clips.len();
            for key in self.ctx.source.referrer_keys(EntityKind::Clip, lane.id.any()) {
                let id = ClipId(key.id);
                match known.remove(&id).filter(|clip| clip.lane == lane.id) {
                    Some(clip) => clips.push(clip),
                    None => clips.extend(self.clip(id).filter(|clip| clip.lane == lane.id)),
                }
            }
            lanes.push(lane_part(&lane, clips.len() - before));
        }
        Some((lanes, Pieces::new(clips)))
    }

    /// Lanes and clips as they were, apart from clips that changed.
    fn changed(&self, old: &TrackPart, dirt: &Dirt) -> Option<(Vec<LanePart>, Pieces<ClipPart>)> {
        let (mut lanes, mut clips) = (old.lanes.clone(), old.clips.clone());
        let mut counts: BTreeMap<LaneId, isize> = BTreeMap::new();
        for id in &dirt.clips {
            if let Some(clip) = clips.take(|clip| clip.id == *id) {
                *counts.entry(clip.lane).or_default() -= 1;
            }
            if let Some(clip) = self.clip(*id)
                && lanes.iter().any(|lane| lane.id == clip.lane)
            {
                *counts.entry(clip.lane).or_default() += 1;
                clips.put(clip);
            }
        }
        for lane in &mut lanes {
            let by = counts.get(&lane.id).copied().unwrap_or_default();
            if by != 0 {
                let count = lane.clips.saturating_add_signed(by);
                *lane = lane_part(&self.ctx.source.get(lane.id.0)?, count);
            }
        }
        Some((lanes, clips))
    }

    fn clip(&self, id: ClipId) -> Option<ClipPart> {
        let clip: Clip = self.ctx.source.get(id.0)?;
        let (range, availability, row) = clip_row(self.ctx, self.tempo, self.track, &clip);
        Some(ClipPart { id, lane: clip.lane, range, availability, row })
    }

    fn track_row(&self, place: Place, playing: Availability, clips: usize) -> Option<Row> {
        let (source, ambient) = (self.ctx.source, self.ctx.ambient);
        let track: Track = source.get(self.track.0)?;
        let frozen = track.frozen.map(|media| availability::of_id(source, ambient, media));
        let row = TrackRow {
            track: &track,
            depth: place.depth,
            channel: source.channel_of(track.id).map(|channel| channel.id),
            availability: playing.max(frozen.unwrap_or_default()),
            clips,
            looks: looks(source, track.id.any()),
        };
        Some(Row::new(track.id, &row))
    }
}

fn lane_part(lane: &Lane, clips: usize) -> LanePart {
    LanePart { id: lane.id, clips, row: Row::new(lane.id, &LaneRow { lane, clips }) }
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
        pulse_schemas::entity::ClipContent::Midi => ctx.source.note_count(clip.id),
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

/// What a window shows of one track.
pub struct Cut {
    track: Row,
    lanes: Vec<Row>,
    clips: Arc<Run>,
    too_small: u64,
    end: Option<Ticks>,
}

pub fn cut_of(part: &TrackPart, window: &Window) -> Cut {
    let span = span(window);
    let pixel = window.resolution.unwrap_or(Ticks::ZERO);
    let pieces = part.clips.pieces();
    // Clips lie by start: pieces that begin behind the window show nothing of it,
    // and those that end before it neither.
    let starts = |piece: &Arc<Piece<ClipPart>>| piece.items().first().map(|it| it.range.start);
    let last = pieces.partition_point(|piece| starts(piece) < Some(span.end));
    let reaches = |piece: &&Arc<Piece<ClipPart>>| piece.sum().end > Some(span.start);
    let (mut rows, mut too_small) = (Vec::new(), 0);
    for piece in pieces[..last].iter().filter(reaches) {
        let clips = piece.items();
        // None that ends in the window begins before its beginning by more than
        // the longest is long.
        let reach = span.start.saturating_sub(piece.sum().longest);
        let first = clips.partition_point(|clip| clip.range.start < reach);
        let last = clips.partition_point(|clip| clip.range.start < span.end);
        for ClipPart { range, row, .. } in &clips[first..last.max(first)] {
            if range.end <= span.start {
                continue;
            }
            if range.end.saturating_sub(range.start) < pixel {
                too_small += 1;
            } else {
                rows.push(row.clone());
            }
        }
    }
    Cut {
        track: part.track.clone(),
        lanes: part.lanes.iter().map(|lane| lane.row.clone()).collect(),
        clips: Arc::new(Run::new(rows)),
        too_small,
        end: pieces.iter().filter_map(|piece| piece.sum().end).max(),
    }
}

/// The rows of the tracks in a window.
pub fn sheet(arrangement: ArrangementId, tracks: usize, cuts: &[impl AsRef<Cut>]) -> Sheet {
    let (mut rows, mut lanes) = (Vec::with_capacity(cuts.len()), Vec::with_capacity(cuts.len()));
    let (mut too_small, mut end) = (0u64, None);
    for cut in cuts.iter().map(AsRef::as_ref) {
        rows.push(cut.track.clone());
        lanes.extend(cut.lanes.iter().cloned());
        too_small += cut.too_small;
        end = end.max(cut.end);
    }
    let clips = Rows::of_runs(cuts.iter().map(|cut| Arc::clone(&cut.as_ref().clips)));
    Sheet::default()
        .field("arrangement", &arrangement)
        .field("rows", &tracks)
        .field("end", &end.unwrap_or(Ticks::ZERO))
        .field("tooSmall", &too_small)
        .list("tracks", rows)
        .list("lanes", lanes)
        .rows("clips", clips)
}

/// The places that a window shows.
pub fn visible<'a>(places: &'a [Place], window: &Window) -> &'a [Place] {
    cut_slice(places, window)
}
