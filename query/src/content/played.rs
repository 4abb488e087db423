//! What one track plays: its notes window by window, its recordings clip by clip.
//! What an edit changes is one window or one piece of it.
//!
//! Equal to what [`track_events`](super::track_events) and
//! [`lane_clips`](super::lane_clips) derive of the whole track, which know nothing
//! of windows and pieces.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pulse_engine::material::{Events, Window};
use pulse_schemas::{
    entity::{Clip, ClipContent, Lane, LaneKind, Track},
    graph::{NodeKey, PlacedClip},
    id::{AnyId, ClipId, LaneId, TrackId},
};

use super::{Ctx, clips::place, frozen_clip, sorted_lanes, waits_in_slot};
use crate::{
    chain::{frozen_key, lane_key},
    pieces::{Item, Pieces},
    source::SourceExt,
    view::arrangement::Dirt,
};

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

/// A lane of recordings that sounds.
#[derive(Clone, PartialEq, Debug)]
struct PlayedLane {
    id: LaneId,
    key: NodeKey,
    audio: Pieces<PlacedClip>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Played {
    /// Then a render plays in place of all lanes.
    frozen: bool,
    lanes: Vec<PlayedLane>,
    /// The numbers of the windows that hold events.
    windows: Arc<Vec<i64>>,
    events: Events,
}

/// The notes of a track, as they are asked for.
pub struct Notes<'a> {
    /// All windows that hold events.
    pub whole: &'a dyn Fn() -> BTreeMap<i64, Arc<Window>>,
    pub window: &'a dyn Fn(i64) -> Arc<Window>,
}

/// Derives what a track plays; where an older state in the same time is known,
/// only those windows and clips that may differ from it.
pub fn played(
    ctx: &Ctx<'_>,
    track: TrackId,
    notes: &Notes<'_>,
    old: Option<(&Played, &Dirt)>,
) -> Played {
    if let Some((old, dirt)) = old
        && !dirt.lanes
        && !old.frozen
    {
        let mut played = old.clone();
        dirt.clips.iter().for_each(|id| played.renew(ctx, *id));
        played.renew_windows(&dirt.windows, notes);
        return played;
    }
    let Some(track) = ctx.source.get::<Track>(track.0) else { return Played::default() };
    if let Some(media) = track.frozen {
        let clips = frozen_clip(ctx, &track, media).into_iter().collect();
        let (id, key) = (LaneId::default(), frozen_key(&track));
        let lane = PlayedLane { id, key, audio: Pieces::new(clips) };
        return Played { frozen: true, lanes: vec![lane], ..Played::default() };
    }
    let lanes = sorted_lanes(ctx.source, &track).into_iter();
    let sounding = lanes.filter(|lane| lane.lane_kind == LaneKind::Audio && !lane.mute);
    let lanes = sounding.map(|lane| listed(ctx, &lane)).collect();
    let mut windows = (notes.whole)();
    windows.retain(|_, window| !window.events().is_empty());
    let numbers = Arc::new(windows.keys().copied().collect());
    let events = Events::of_windows(windows.into_values());
    Played { frozen: false, lanes, windows: numbers, events }
}

fn listed(ctx: &Ctx<'_>, lane: &Lane) -> PlayedLane {
    let (id, key) = (lane.id, lane_key(lane));
    let clips = ctx.source.referring::<Clip>(id).into_iter();
    let audio = clips.filter(|clip| clip.lane == id).filter_map(|clip| sound(ctx, &clip));
    PlayedLane { id, key, audio: Pieces::new(audio.collect()) }
}

/// What is heard of a clip in a lane of recordings.
fn sound(ctx: &Ctx<'_>, clip: &Clip) -> Option<PlacedClip> {
    let silent = clip.content != ClipContent::Audio || clip.mute || waits_in_slot(ctx.source, clip);
    if silent { None } else { place(ctx, clip) }
}

impl Played {
    fn renew(&mut self, ctx: &Ctx<'_>, id: ClipId) {
        for lane in &mut self.lanes {
            lane.audio.take(|placed| placed.id == id.any());
        }
        if self.lanes.is_empty() {
            return;
        }
        let Some(clip) = ctx.source.get::<Clip>(id.0) else { return };
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.id == clip.lane)
            && let Some(found) = sound(ctx, &clip)
        {
            lane.audio.put(found);
        }
    }

    /// Puts windows in as they are now.
    fn renew_windows(&mut self, numbers: &BTreeSet<i64>, notes: &Notes<'_>) {
        if numbers.is_empty() {
            return;
        }
        let mut windows: Vec<i64> = Vec::with_capacity(self.windows.len() + numbers.len());
        let mut events = Vec::with_capacity(self.windows.len() + numbers.len());
        let mut old = self.windows.iter().copied().zip(self.events.windows()).peekable();
        let keep =
            |(number, window): (i64, &Arc<Window>), windows: &mut Vec<i64>, events: &mut Vec<_>| {
                windows.push(number);
                events.push(Arc::clone(window));
            };
        for number in numbers {
            while let Some(before) = old.next_if(|(at, _)| at < number) {
                keep(before, &mut windows, &mut events);
            }
            old.next_if(|(at, _)| at == number);
            let window = (notes.window)(*number);
            if !window.events().is_empty() {
                keep((*number, &window), &mut windows, &mut events);
            }
        }
        old.for_each(|rest| keep(rest, &mut windows, &mut events));
        self.windows = Arc::new(windows);
        self.events = Events::of_windows(events);
    }

    /// All events in order.
    pub fn events(&self) -> &Events {
        &self.events
    }

    pub fn same_events(&self, other: &Played) -> bool {
        self.events == other.events
    }

    /// The node that plays each lane of audio, and its clips by start.
    pub fn audio(&self) -> impl Iterator<Item = (NodeKey, &Pieces<PlacedClip>)> {
        self.lanes.iter().map(|lane| (lane.key, &lane.audio))
    }

    pub fn audio_of(&self, node: NodeKey) -> Option<&Pieces<PlacedClip>> {
        self.audio().find(|(key, _)| *key == node).map(|(_, clips)| clips)
    }

    /// The last frame at which a note begins or ends.
    pub fn notes_end(&self) -> Option<i64> {
        self.events.last_frame()
    }

    /// The last frame at which a recording plays.
    pub fn audio_end(&self) -> Option<i64> {
        let audio = self.audio().flat_map(|(_, clips)| clips.pieces());
        audio.filter_map(|piece| *piece.sum()).max()
    }

    /// Windows and pieces that are not shared with an older state.
    #[cfg(test)]
    pub fn unshared(&self, before: &Played) -> usize {
        let of = |lane: &PlayedLane| {
            let old = before.audio_of(lane.key).cloned().unwrap_or_default();
            lane.audio.unshared(&old)
        };
        let old = before.events.windows();
        let new = |window: &&Arc<Window>| !old.iter().any(|it| Arc::ptr_eq(it, window));
        let windows = self.events.windows().iter().filter(new).count();
        windows + self.lanes.iter().map(of).sum::<usize>()
    }

    /// How many windows and clips it has, about.
    pub fn size(&self) -> usize {
        self.windows.len() + self.lanes.iter().map(|lane| lane.audio.len()).sum::<usize>()
    }
}
