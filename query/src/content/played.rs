//! What one track plays, clip by clip: what an edit of one clip changes is one
//! piece of it.
//!
//! Equal to what [`track_events`](super::track_events) and
//! [`lane_clips`](super::lane_clips) derive of the whole track, which know nothing
//! of pieces.

use std::sync::Arc;

use pulse_schemas::{
    entity::{Clip, ClipContent, Lane, LaneKind, Track},
    graph::{NodeKey, PlacedClip, SpecEvent},
    id::{AnyId, ClipId, LaneId, TrackId},
};

use super::{Ctx, clips::place, events::events_of, frozen_clip, sorted_lanes, waits_in_slot};
use crate::{
    chain::{frozen_key, lane_key},
    pieces::{Item, Pieces},
    source::SourceExt,
    view::arrangement::Dirt,
};

/// The notes and controllers of one clip, of which there are some.
#[derive(Clone, PartialEq, Debug)]
struct ClipNotes {
    clip: ClipId,
    events: Arc<[SpecEvent]>,
}

impl Item for ClipNotes {
    type Place<'a> = (i64, ClipId);
    /// All their events, in order.
    type Sum = Vec<SpecEvent>;

    fn place(&self) -> (i64, ClipId) {
        (self.events.first().map_or(0, |event| event.frame), self.clip)
    }

    fn sum(clips: &[ClipNotes]) -> Vec<SpecEvent> {
        let mut events: Vec<_> =
            clips.iter().flat_map(|clip| clip.events.iter().copied()).collect();
        events.sort_by_key(order);
        events
    }
}

fn order(event: &SpecEvent) -> (i64, u8, AnyId) {
    (event.frame, event.body.rank(), event.id)
}

impl Item for PlacedClip {
    type Place<'a> = (i64, AnyId);
    /// Where the last one ends.
    type Sum = Option<i64>;

    fn place(&self) -> (i64, AnyId) {
        (self.start_frame, self.id)
    }

    fn sum(clips: &[PlacedClip]) -> Option<i64> {
        clips.iter().map(|clip| clip.start_frame + clip.frames as i64).max()
    }
}

/// A lane that sounds.
#[derive(Clone, PartialEq, Debug)]
struct PlayedLane {
    id: LaneId,
    key: NodeKey,
    kind: LaneKind,
    audio: Pieces<PlacedClip>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Played {
    /// Then a render plays in place of all lanes.
    frozen: bool,
    lanes: Vec<PlayedLane>,
    notes: Pieces<ClipNotes>,
}

/// Derives what a track plays; where an older state in the same time is known,
/// only those clips that may differ from it.
pub fn played(ctx: &Ctx<'_>, track: TrackId, old: Option<(&Played, &Dirt)>) -> Played {
    if let Some((old, dirt)) = old
        && !dirt.lanes
        && !old.frozen
    {
        let mut played = old.clone();
        dirt.clips.iter().for_each(|id| played.renew(ctx, *id));
        return played;
    }
    let Some(track) = ctx.source.get::<Track>(track.0) else { return Played::default() };
    if let Some(media) = track.frozen {
        let clips = frozen_clip(ctx, &track, media).into_iter().collect();
        let (id, kind) = (LaneId::default(), LaneKind::Audio);
        let lane = PlayedLane { id, key: frozen_key(&track), kind, audio: Pieces::new(clips) };
        return Played { frozen: true, lanes: vec![lane], ..Played::default() };
    }
    let (mut lanes, mut notes) = (Vec::new(), Vec::new());
    for lane in sorted_lanes(ctx.source, &track) {
        if !lane.mute && matches!(lane.lane_kind, LaneKind::Audio | LaneKind::Midi) {
            lanes.push(listed(ctx, &lane, &mut notes));
        }
    }
    Played { frozen: false, lanes, notes: Pieces::new(notes) }
}

fn listed(ctx: &Ctx<'_>, lane: &Lane, notes: &mut Vec<ClipNotes>) -> PlayedLane {
    let (id, key, kind) = (lane.id, lane_key(lane), lane.lane_kind);
    let mut audio = Vec::new();
    for clip in ctx.source.referring::<Clip>(id).iter().filter(|clip| clip.lane == id) {
        match sound(ctx, kind, clip) {
            Some(Sound::Notes(found)) => notes.push(found),
            Some(Sound::Audio(found)) => audio.push(*found),
            None => {}
        }
    }
    PlayedLane { id, key, kind, audio: Pieces::new(audio) }
}

enum Sound {
    Notes(ClipNotes),
    Audio(Box<PlacedClip>),
}

/// What is heard of a clip in a lane of a kind.
fn sound(ctx: &Ctx<'_>, kind: LaneKind, clip: &Clip) -> Option<Sound> {
    if clip.mute || waits_in_slot(ctx.source, clip) {
        return None;
    }
    match (kind, clip.content) {
        (LaneKind::Midi, ClipContent::Midi) => {
            let mut events = events_of(ctx, clip);
            events.sort_by_key(order);
            let notes = ClipNotes { clip: clip.id, events: events.into() };
            (!notes.events.is_empty()).then_some(Sound::Notes(notes))
        }
        (LaneKind::Audio, ClipContent::Audio) => {
            place(ctx, clip).map(|placed| Sound::Audio(Box::new(placed)))
        }
        _ => None,
    }
}

impl Played {
    fn renew(&mut self, ctx: &Ctx<'_>, id: ClipId) {
        self.notes.take(|notes| notes.clip == id);
        for lane in &mut self.lanes {
            lane.audio.take(|placed| placed.id == id.any());
        }
        let Some(clip) = ctx.source.get::<Clip>(id.0) else { return };
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.id == clip.lane) else { return };
        match sound(ctx, lane.kind, &clip) {
            Some(Sound::Notes(found)) => self.notes.put(found),
            Some(Sound::Audio(found)) => lane.audio.put(*found),
            None => {}
        }
    }

    /// All events in order.
    pub fn events(&self) -> Vec<SpecEvent> {
        let pieces = self.notes.pieces();
        let count = pieces.iter().map(|piece| piece.sum().len()).sum();
        let mut events: Vec<SpecEvent> = Vec::with_capacity(count);
        let mut sorted = true;
        for piece in pieces {
            let (last, first) = (events.last().map(order), piece.sum().first().map(order));
            sorted &= last <= first;
            events.extend_from_slice(piece.sum());
        }
        if !sorted {
            events.sort_by_key(order);
        }
        events
    }

    pub fn same_events(&self, other: &Played) -> bool {
        self.notes == other.notes
    }

    /// The node that plays each lane of audio, and its clips by start.
    pub fn audio(&self) -> impl Iterator<Item = (NodeKey, &Pieces<PlacedClip>)> {
        let lanes = self.lanes.iter().filter(|lane| lane.kind == LaneKind::Audio);
        lanes.map(|lane| (lane.key, &lane.audio))
    }

    pub fn audio_of(&self, node: NodeKey) -> Option<&Pieces<PlacedClip>> {
        self.audio().find(|(key, _)| *key == node).map(|(_, clips)| clips)
    }

    /// The last frame at which a note begins or ends.
    pub fn notes_end(&self) -> Option<i64> {
        let last = |events: &Vec<SpecEvent>| events.last().map(|event| event.frame);
        self.notes.pieces().iter().filter_map(|piece| last(piece.sum())).max()
    }

    /// The last frame at which a recording plays.
    pub fn audio_end(&self) -> Option<i64> {
        let audio = self.audio().flat_map(|(_, clips)| clips.pieces());
        audio.filter_map(|piece| *piece.sum()).max()
    }

    /// Pieces that are not shared with an older state.
    #[cfg(test)]
    pub fn unshared(&self, before: &Played) -> usize {
        let of = |lane: &PlayedLane| {
            let old = before.audio_of(lane.key).cloned().unwrap_or_default();
            lane.audio.unshared(&old)
        };
        self.notes.unshared(&before.notes) + self.lanes.iter().map(of).sum::<usize>()
    }

    /// How many clips it has, about.
    pub fn size(&self) -> usize {
        self.notes.len() + self.lanes.iter().map(|lane| lane.audio.len()).sum::<usize>()
    }
}
