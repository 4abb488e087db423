//! The events of a track in windows of the song.
//!
//! Windows are of four bars of four quarters, whatever the signature: they follow
//! ticks, so that an edit of the tempo leaves notes in their windows, and each ends
//! where the next begins, so that whoever plays them need not merge anything. A
//! window by clip would be as long as somebody records without stopping.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use pulse_schemas::{
    entity::{AnyEntity, Clip, ClipContent, LaneKind, Track},
    graph::SpecEvent,
    id::{ClipId, LaneId, TrackId},
    time::{Ticks, Timebase},
};

use super::{
    Ctx,
    events::Place,
    repeat::{Pass, passes},
    sorted_lanes, waits_in_slot,
};
use crate::{
    pieces::{Item, Pieces},
    score::{SHELF, Score},
    source::SourceExt,
    view::arrangement::Dirt,
};

/// Ticks of a window.
pub const WINDOW: i64 = SHELF;

/// Frames by which ends of notes and rounding reach over a boundary at most.
const REACH: i64 = 2;

/// Where windows lie at frames of a rate.
struct Grid<'a>(&'a Ctx<'a>);

impl Grid<'_> {
    fn frame(&self, number: i64) -> i64 {
        self.0.tempo.frame_at(Ticks(number.saturating_mul(WINDOW)), self.0.rate)
    }

    fn frames(&self, number: i64) -> Range<i64> {
        self.frame(number)..self.frame(number + 1)
    }

    /// The window that a frame lies in.
    fn number(&self, frame: i64) -> i64 {
        let mut number = self.tick(frame).0.div_euclid(WINDOW);
        while frame < self.frame(number) {
            number -= 1;
        }
        while frame >= self.frame(number + 1) {
            number += 1;
        }
        number
    }

    fn tick(&self, frame: i64) -> Ticks {
        self.0.tempo.tick_at_frame(frame, self.0.rate)
    }
}

/// A clip of notes that plays, and the first and last window that it may reach.
#[derive(Clone, PartialEq, Debug)]
struct NoteClip {
    clip: Arc<Clip>,
    first: i64,
    last: i64,
}

impl Item for NoteClip {
    type Place<'a> = (i64, ClipId);
    /// The last window that any of them reaches.
    type Sum = i64;

    fn place(&self) -> (i64, ClipId) {
        (self.first, self.clip.id)
    }

    fn sum(clips: &[NoteClip]) -> i64 {
        clips.iter().map(|clip| clip.last).max().unwrap_or(i64::MIN)
    }
}

/// The clips of notes that a track plays, by window.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Placed {
    /// A render plays in place of all clips.
    frozen: bool,
    lanes: Vec<LaneId>,
    clips: Pieces<NoteClip>,
}

/// Places the clips of a track; where an older state in the same time is known,
/// only those that may differ from it.
pub fn placed(ctx: &Ctx<'_>, track: TrackId, old: Option<(&Placed, &Dirt)>) -> Placed {
    if let Some((old, dirt)) = old
        && !dirt.lanes
        && !old.frozen
    {
        let mut placed = old.clone();
        for id in &dirt.clips {
            placed.clips.take(|it| it.clip.id == *id);
            if let Some(clip) = ctx.source.get::<Clip>(id.0) {
                placed.put(ctx, clip);
            }
        }
        return placed;
    }
    let mut placed = Placed::default();
    let Some(track) = ctx.source.get::<Track>(track.0) else { return placed };
    placed.frozen = track.frozen.is_some();
    if placed.frozen {
        return placed;
    }
    let lanes = sorted_lanes(ctx.source, &track).into_iter();
    let sounding = lanes.filter(|lane| lane.lane_kind == LaneKind::Midi && !lane.mute);
    placed.lanes = sounding.map(|lane| lane.id).collect();
    let mut clips = Vec::new();
    for lane in &placed.lanes {
        let found = ctx.source.referring::<Clip>(*lane).into_iter();
        clips.extend(found.filter(|clip| clip.lane == *lane).filter_map(|it| lie(ctx, it)));
    }
    placed.clips = Pieces::new(clips);
    placed
}

/// Where a clip lies, if it plays notes.
fn lie(ctx: &Ctx<'_>, clip: Clip) -> Option<NoteClip> {
    if clip.content != ClipContent::Midi || clip.mute || waits_in_slot(ctx.source, &clip) {
        return None;
    }
    let frame = |moment| ctx.tempo.frame_of(clip.timebase, moment, ctx.rate);
    let (start, end) = (frame(clip.start), frame(clip.start.saturating_add(clip.length)));
    let grid = Grid(ctx);
    let (first, last) = (grid.number(start - REACH), grid.number(end.max(start) + REACH));
    Some(NoteClip { clip: Arc::new(clip), first, last })
}

impl Placed {
    fn put(&mut self, ctx: &Ctx<'_>, clip: Clip) {
        if self.lanes.contains(&clip.lane)
            && let Some(clip) = lie(ctx, clip)
        {
            self.clips.put(clip);
        }
    }

    fn reaching(&self, number: i64) -> impl Iterator<Item = &Arc<Clip>> {
        let pieces = self.clips.pieces().iter().filter(move |piece| *piece.sum() >= number);
        let clips = pieces.flat_map(|piece| piece.items());
        let clips = clips.take_while(move |clip| clip.first <= number);
        clips.filter(move |clip| clip.last >= number).map(|clip| &clip.clip)
    }

    /// How many clips there are, about.
    pub fn size(&self) -> usize {
        self.clips.len()
    }

    /// All windows that anything is said in, with the events of each in any order.
    ///
    /// Clip by clip, each read once and let go: what is kept by time of every clip of
    /// a large song takes more memory than all that it plays.
    pub fn windows(&self, ctx: &Ctx<'_>) -> BTreeMap<i64, Vec<SpecEvent>> {
        let grid = Grid(ctx);
        let mut windows: BTreeMap<i64, Vec<SpecEvent>> = BTreeMap::new();
        let mut said = Vec::new();
        for clip in self.clips.iter().map(|placed| &placed.clip) {
            say_all(ctx, clip, &ctx.source.passing_score(clip.id), &mut said);
            // Most events lie where the one before them does.
            let (mut number, mut here) = (0, 0..0);
            for event in said.drain(..) {
                if !here.contains(&event.frame) {
                    number = grid.number(event.frame);
                    here = grid.frames(number);
                }
                windows.entry(number).or_default().push(event);
            }
        }
        windows.values_mut().for_each(Vec::shrink_to_fit);
        windows
    }
}

/// The events of a track in one window, in any order.
pub fn window(ctx: &Ctx<'_>, placed: &Placed, number: i64) -> Vec<SpecEvent> {
    let grid = Grid(ctx);
    let frames = grid.frames(number);
    let ticks = grid.tick(frames.start - REACH)..grid.tick(frames.end + REACH);
    let mut events = Vec::new();
    for clip in placed.reaching(number) {
        let score = ctx.source.score(clip.id);
        let place = Place::new(ctx, clip);
        for pass in passes(ctx, clip, Timebase::Musical) {
            let content =
                |at: Ticks| at.saturating_sub(place.start).saturating_sub(Ticks(pass.shift));
            let (from, to) = (content(ticks.start).0.max(pass.from), content(ticks.end).0);
            // An end may lie just where the pass does.
            let span = Ticks(from.saturating_sub(1))..Ticks(to.min(pass.to).saturating_add(1));
            if span.start < span.end {
                say(&place, &score, &pass, span, &mut events);
            }
        }
    }
    events.retain(|event| frames.contains(&event.frame));
    events
}

fn say(
    place: &Place<'_>,
    score: &Score,
    pass: &Pass,
    span: Range<Ticks>,
    events: &mut Vec<SpecEvent>,
) {
    score.notes_over(span.clone()).for_each(|note| place.note(note, pass, events));
    score.events_in(span).for_each(|other| place.other(other, pass, events));
}

/// All that a clip says.
fn say_all(ctx: &Ctx<'_>, clip: &Clip, score: &Score, events: &mut Vec<SpecEvent>) {
    let place = Place::new(ctx, clip);
    for pass in passes(ctx, clip, Timebase::Musical) {
        let span = Ticks(pass.from)..Ticks(pass.to.saturating_add(1));
        say(&place, score, &pass, span, events);
    }
}

/// The windows in which a clip says anything.
pub fn windows_of_clip(ctx: &Ctx<'_>, clip: &Clip) -> BTreeSet<i64> {
    let mut events = Vec::new();
    say_all(ctx, clip, &ctx.source.score(clip.id), &mut events);
    numbers(ctx, &events)
}

/// The windows in which a clip says something of one of its notes or events.
pub fn windows_of_member(ctx: &Ctx<'_>, clip: &Clip, member: &AnyEntity) -> BTreeSet<i64> {
    let place = Place::new(ctx, clip);
    let mut events = Vec::new();
    for pass in passes(ctx, clip, Timebase::Musical) {
        match member {
            AnyEntity::Note(note) => place.note(note, &pass, &mut events),
            AnyEntity::MidiEvent(event) => place.other(event, &pass, &mut events),
            _ => {}
        }
    }
    numbers(ctx, &events)
}

fn numbers(ctx: &Ctx<'_>, events: &[SpecEvent]) -> BTreeSet<i64> {
    let grid = Grid(ctx);
    let mut numbers = BTreeSet::new();
    // Most events lie where the one before them does.
    let mut here = 0..0;
    for event in events {
        if !here.contains(&event.frame) {
            let number = grid.number(event.frame);
            here = grid.frames(number);
            numbers.insert(number);
        }
    }
    numbers
}

/// Whether anything differs of where a clip lies, or of what it does to its notes.
pub fn place_differs(old: &Clip, new: &Clip) -> bool {
    let what = |clip: &Clip| {
        let Clip { lane, content, timebase, start, length, mute, transpose, .. } = *clip;
        let Clip { slip, loop_start, loop_length, .. } = *clip;
        let place = (lane, content, timebase, start, length, mute);
        (place, transpose.to_bits(), slip, loop_start, loop_length)
    };
    what(old) != what(new)
}
