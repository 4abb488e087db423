//! Time put into another order, with all that happens in it.
//!
//! Inserting, removing, stretching, doubling and moving time are one thing: the
//! timeline is cut into pieces, and every piece gets a new place. Clips that lie
//! across a cut are cut there; then each clip lies in one piece and goes with it.

use std::collections::BTreeSet;

use pulse_schemas::{
    command::{
        timebase::TimeEdited,
        types::{CopyOf, TimeRange},
    },
    entity::{
        Arrangement, AutomationEnvelope, AutomationPoint, Clip, ClipSlot, Comp, CompSegment,
        EnvelopeOwner, KeyPoint, Lane, Marker, Section, SignaturePoint, TempoPoint, TempoShape,
        Track,
    },
    id::{
        AnyId, ArrangementId, AutomationPointId, KeyPointId, MarkerId, SectionId, SignaturePointId,
        TempoPointId, TrackId,
    },
    time::{Moment, TempoMap, Ticks, Timebase},
};

use super::points::{Step, carry};
use crate::{
    commands::{
        clip::{
            clips_of,
            content::Contents,
            cut::{cut, is_inside, set_end, set_start},
            shape::stretch_to,
        },
        edit::Edit,
        note::times,
        time::{convert, end_of, tempo_map},
    },
    refusal::Refusal,
};

/// A stretch of the old time and its place in the new one.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub from: Ticks,
    pub until: Ticks,
    pub to: Ticks,
    /// Its new length.
    length: Ticks,
    gone: bool,
    /// It is there a second time, beside the original.
    copy: bool,
}

impl Piece {
    fn new(from: Ticks, until: Ticks, to: Ticks) -> Piece {
        let length = until.saturating_sub(from);
        Piece { from, until, to, length, gone: false, copy: false }
    }

    /// The new place of an old one; the end of the piece counts as part of it.
    pub fn place(&self, at: Ticks) -> Ticks {
        let into = at.saturating_sub(self.from);
        let into = match self.factor() {
            Some(factor) => Ticks(times(into.0, factor)),
            None => into,
        };
        self.to.saturating_add(into)
    }

    /// By what it is stretched, if it is.
    fn factor(&self) -> Option<f64> {
        let old = self.until.saturating_sub(self.from);
        (old != self.length).then(|| self.length.0 as f64 / old.0 as f64)
    }
}

/// The pieces of a timeline, in the old order.
pub struct Order {
    pieces: Vec<Piece>,
    /// Where time is put in that was not there.
    gap: Option<Ticks>,
}

impl Order {
    fn of(pieces: Vec<Piece>) -> Order {
        let pieces = pieces.into_iter().filter(|piece| piece.from < piece.until).collect();
        Order { pieces, gap: None }
    }

    pub fn insert(at: Ticks, length: Ticks) -> Order {
        let after = Piece::new(at, Ticks::MAX, at.saturating_add(length));
        let order = Order::of(vec![Piece::new(Ticks::ZERO, at, Ticks::ZERO), after]);
        Order { gap: Some(at), ..order }
    }

    pub fn remove(start: Ticks, end: Ticks) -> Order {
        let gone = Piece { gone: true, length: Ticks::ZERO, ..Piece::new(start, end, start) };
        let before = Piece::new(Ticks::ZERO, start, Ticks::ZERO);
        Order::of(vec![before, gone, Piece::new(end, Ticks::MAX, start)])
    }

    pub fn stretch(start: Ticks, end: Ticks, length: Ticks) -> Order {
        let before = Piece::new(Ticks::ZERO, start, Ticks::ZERO);
        let inside = Piece { length, ..Piece::new(start, end, start) };
        let after = Piece::new(end, Ticks::MAX, start.saturating_add(length));
        Order::of(vec![before, inside, after])
    }

    pub fn duplicate(start: Ticks, end: Ticks) -> Order {
        let before = Piece::new(Ticks::ZERO, end, Ticks::ZERO);
        let again = Piece { copy: true, ..Piece::new(start, end, end) };
        let behind = end.saturating_add(end.saturating_sub(start));
        Order::of(vec![before, again, Piece::new(end, Ticks::MAX, behind)])
    }

    /// The stretch goes to `target`, which lies outside of it.
    pub fn relocate(start: Ticks, end: Ticks, target: Ticks) -> Order {
        let length = end.saturating_sub(start);
        let zero = Ticks::ZERO;
        Order::of(match target >= end {
            true => vec![
                Piece::new(zero, start, zero),
                Piece::new(start, end, target.saturating_sub(length)),
                Piece::new(end, target, start),
                Piece::new(target, Ticks::MAX, target),
            ],
            false => vec![
                Piece::new(zero, target, zero),
                Piece::new(target, start, target.saturating_add(length)),
                Piece::new(start, end, target),
                Piece::new(end, Ticks::MAX, end),
            ],
        })
    }

    /// What is there afterwards, copies included.
    pub fn in_new_order(&self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> =
            self.pieces.iter().filter(|piece| !piece.gone).copied().collect();
        pieces.sort_by_key(|piece| piece.to);
        pieces
    }

    fn piece(&self, at: Ticks) -> Option<&Piece> {
        let mut own = self.pieces.iter().filter(|piece| !piece.copy);
        own.find(|piece| at < piece.until)
    }

    /// The new place of what happens at an old one; none if that is gone.
    fn place(&self, at: Ticks) -> Option<Ticks> {
        self.piece(at).filter(|piece| !piece.gone).map(|piece| piece.place(at))
    }

    /// The new place of an end: it goes with what comes before it.
    fn end(&self, at: Ticks) -> Ticks {
        let before = at.saturating_sub(Ticks(1));
        self.piece(before).map_or(at, |piece| piece.place(at))
    }

    fn cuts(&self) -> BTreeSet<Ticks> {
        let own = self.pieces.iter().filter(|piece| !piece.copy);
        own.map(|piece| piece.from).filter(|at| *at > Ticks::ZERO).collect()
    }
}

/// One rearrangement at work.
pub struct Rearrange {
    arrangement: ArrangementId,
    order: Order,
    tracks: Vec<Track>,
    /// All tracks, and with them the arrangement's own points.
    whole: bool,
    old: TempoMap,
    new: TempoMap,
    edited: TimeEdited,
}

impl Rearrange {
    pub fn new(
        edit: &mut Edit<'_, '_>,
        arrangement: ArrangementId,
        order: Order,
        tracks: &[TrackId],
    ) -> Result<Rearrange, Refusal> {
        let whole = tracks.is_empty();
        let chosen = match whole {
            true => edit.referring::<Track>(arrangement)?,
            false => tracks.iter().map(|id| edit.get(*id)).collect::<Result<_, _>>()?,
        };
        let old = tempo_map(&edit.view()?, arrangement)?;
        let edited = TimeEdited { moved: 0, split: Vec::new(), deleted: Vec::new() };
        Ok(Rearrange { arrangement, order, tracks: chosen, whole, new: old.clone(), old, edited })
    }

    pub fn told(self) -> TimeEdited {
        self.edited
    }

    pub fn all(&mut self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        let lanes = self.lanes(edit)?;
        for lane in &lanes {
            self.cut_clips(edit, lane)?;
        }
        if self.whole {
            self.tempo(edit)?;
            self.signatures(edit)?;
            self.keys(edit)?;
            self.new = tempo_map(&edit.view()?, self.arrangement)?;
            self.markers(edit)?;
            self.sections(edit)?;
            self.end(edit)?;
        }
        for lane in &lanes {
            self.clips(edit, lane)?;
            self.curves(edit, lane)?;
            self.comps(edit, lane)?;
        }
        Ok(())
    }

    fn lanes(&self, edit: &mut Edit<'_, '_>) -> Result<Vec<Lane>, Refusal> {
        let mut lanes = Vec::new();
        for track in &self.tracks {
            lanes.extend(edit.referring::<Lane>(track.id)?);
        }
        Ok(lanes)
    }

    /// The clips of a lane that lie on the timeline and not in a scene.
    fn placed(&self, edit: &mut Edit<'_, '_>, lane: &Lane) -> Result<Vec<Clip>, Refusal> {
        let view = edit.view()?;
        let mut placed = Vec::new();
        for clip in clips_of(&view, lane.id)? {
            if view.referring::<ClipSlot>(clip.id)?.is_empty() {
                placed.push(clip);
            }
        }
        Ok(placed)
    }

    fn cut_clips(&mut self, edit: &mut Edit<'_, '_>, lane: &Lane) -> Result<(), Refusal> {
        for at in self.order.cuts() {
            for clip in self.placed(edit, lane)? {
                let at = convert(&self.old, Timebase::Musical, at.into(), clip.timebase);
                if is_inside(&clip, at) {
                    let mut copies = Vec::new();
                    cut(edit, &clip, at, &mut copies)?;
                    // The first copy is that of the clip.
                    self.edited.split.extend(copies.into_iter().next());
                }
            }
        }
        Ok(())
    }

    /// The old place of a moment, in ticks.
    fn ticks(&self, timebase: Timebase, at: Moment) -> Ticks {
        convert(&self.old, timebase, at, Timebase::Musical).as_ticks()
    }

    /// A moment inside a piece, in the new time. What isn't stretched is moved
    /// by one distance, so that nothing shifts against its neighbours.
    fn moment(&self, piece: &Piece, timebase: Timebase, at: Moment) -> Moment {
        match (timebase, piece.factor()) {
            (Timebase::Musical, _) => piece.place(at.as_ticks()).into(),
            (Timebase::Absolute, None) => {
                let by = self.new.flicks_at(piece.to).0 - self.old.flicks_at(piece.from).0;
                Moment(at.0.saturating_add(by))
            }
            (Timebase::Absolute, Some(_)) => {
                let ticks = piece.place(self.ticks(timebase, at));
                self.new.flicks_at(ticks).into()
            }
        }
    }

    fn clips(&mut self, edit: &mut Edit<'_, '_>, lane: &Lane) -> Result<(), Refusal> {
        for clip in self.placed(edit, lane)? {
            let at = self.ticks(clip.timebase, clip.start);
            let Some(piece) = self.order.piece(at).copied() else { continue };
            if piece.gone {
                let gone = edit.delete([clip.id])?;
                self.edited.deleted.extend(gone.deleted);
                continue;
            }
            let start = self.moment(&piece, clip.timebase, clip.start);
            if piece.factor().is_some() {
                let end = self.moment(&piece, clip.timebase, end_of(&clip));
                let length = Moment(end.saturating_sub(start).0.max(1));
                stretch_to(edit, clip, start, length, &self.new)?;
            } else if start != clip.start {
                edit.put(Clip { start, ..clip })?;
            } else {
                continue;
            }
            self.edited.moved += 1;
        }
        Ok(())
    }

    /// Automation that lies on the lane itself.
    fn curves(&mut self, edit: &mut Edit<'_, '_>, lane: &Lane) -> Result<(), Refusal> {
        for envelope in self.envelopes(edit, lane)? {
            for point in edit.members::<AutomationPoint>(envelope.id)? {
                let ticks = self.ticks(envelope.timebase, point.at);
                let Some(piece) = self.order.piece(ticks).copied() else { continue };
                if piece.gone {
                    edit.tx.remove_owned(envelope.id.0, point.id)?;
                    self.edited.deleted.push(point.id.any());
                    continue;
                }
                let at = self.moment(&piece, envelope.timebase, point.at);
                if at != point.at {
                    edit.put(AutomationPoint { at, ..point })?;
                }
            }
        }
        Ok(())
    }

    fn envelopes(
        &self,
        edit: &mut Edit<'_, '_>,
        lane: &Lane,
    ) -> Result<Vec<AutomationEnvelope>, Refusal> {
        let mut envelopes = edit.referring::<AutomationEnvelope>(lane.id)?;
        envelopes.retain(|envelope| envelope.owner == EnvelopeOwner::Lane { lane: lane.id });
        Ok(envelopes)
    }

    fn comps(&mut self, edit: &mut Edit<'_, '_>, lane: &Lane) -> Result<(), Refusal> {
        for comp in edit.referring::<Comp>(lane.id)? {
            let points: Vec<_> = comp.segments.iter().map(|it| (it.start, it.take)).collect();
            let held = |at| points.iter().rev().find(|(from, _)| *from <= at).map(|it| it.1);
            let steps = carry(&self.order, &points, held);
            let segments = steps.into_iter().map(|it| CompSegment { start: it.at, take: it.value });
            let segments = segments.collect();
            if comp.segments != segments {
                edit.put(Comp { segments, ..comp })?;
            }
        }
        Ok(())
    }

    fn tempo(&mut self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        let old = edit.members::<TempoPoint>(self.arrangement)?;
        let points: Vec<_> = old.iter().map(|it| (it.at, (it.bpm, it.shape))).collect();
        let shape = |at| points.iter().rev().find(|(from, _)| *from < at).map(|it| it.1.1);
        let held = |at| shape(at).map(|shape| (self.old.bpm_at(at), shape));
        let mut steps = carry(&self.order, &points, held);
        // New time inside a ramp stands still at the tempo that was reached.
        if let Some(at) = self.order.gap
            && shape(at) == Some(TempoShape::Ramp)
            && points.last().is_some_and(|(last, _)| *last > at)
        {
            let value = (self.old.bpm_at(at), TempoShape::Step);
            let index = steps.partition_point(|step| step.at < at);
            steps.insert(index, Step { at, value, source: None });
        }
        self.remove_unused(edit, &steps, old.iter().map(|it| it.id.any()).collect())?;
        for Step { at, value: (bpm, shape), source } in steps {
            let id = match source.and_then(|index| old.get(index)) {
                Some(point) => point.id,
                None => TempoPointId(edit.id()),
            };
            edit.put(TempoPoint { id, arrangement: self.arrangement, at, bpm, shape })?;
        }
        Ok(())
    }

    fn signatures(&mut self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        let old = edit.members::<SignaturePoint>(self.arrangement)?;
        let points: Vec<_> = old.iter().map(|it| (it.at, (it.numerator, it.denominator))).collect();
        let held = |at| points.iter().rev().find(|(from, _)| *from <= at).map(|it| it.1);
        let steps = carry(&self.order, &points, held);
        self.remove_unused(edit, &steps, old.iter().map(|it| it.id.any()).collect())?;
        for Step { at, value: (numerator, denominator), source } in steps {
            let id = match source.and_then(|index| old.get(index)) {
                Some(point) => point.id,
                None => SignaturePointId(edit.id()),
            };
            let arrangement = self.arrangement;
            edit.put(SignaturePoint { id, arrangement, at, numerator, denominator })?;
        }
        Ok(())
    }

    fn keys(&mut self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        let old = edit.members::<KeyPoint>(self.arrangement)?;
        let points: Vec<_> = old.iter().map(|it| (it.at, (it.tonic, it.scale.clone()))).collect();
        let held = |at| points.iter().rev().find(|(from, _)| *from <= at).map(|it| it.1.clone());
        let steps = carry(&self.order, &points, held);
        self.remove_unused(edit, &steps, old.iter().map(|it| it.id.any()).collect())?;
        for Step { at, value: (tonic, scale), source } in steps {
            let id = match source.and_then(|index| old.get(index)) {
                Some(point) => point.id,
                None => KeyPointId(edit.id()),
            };
            edit.put(KeyPoint { id, arrangement: self.arrangement, at, tonic, scale })?;
        }
        Ok(())
    }

    fn remove_unused<V>(
        &mut self,
        edit: &mut Edit<'_, '_>,
        steps: &[Step<V>],
        old: Vec<AnyId>,
    ) -> Result<(), Refusal> {
        for (index, id) in old.into_iter().enumerate() {
            if !steps.iter().any(|step| step.source == Some(index)) {
                edit.tx.remove_owned(self.arrangement.0, id)?;
                self.edited.deleted.push(id);
            }
        }
        Ok(())
    }

    fn markers(&mut self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        for marker in edit.members::<Marker>(self.arrangement)? {
            let ticks = self.ticks(marker.timebase, marker.at);
            let Some(piece) = self.order.piece(ticks).copied() else { continue };
            if piece.gone {
                let gone = edit.delete([marker.id])?;
                self.edited.deleted.extend(gone.deleted);
                continue;
            }
            let at = self.moment(&piece, marker.timebase, marker.at);
            if at != marker.at {
                edit.put(Marker { at, ..marker })?;
            }
        }
        Ok(())
    }

    fn sections(&mut self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        for section in edit.members::<Section>(self.arrangement)? {
            let old_end = section.start.saturating_add(section.length);
            let end = self.order.end(old_end);
            let start = self.order.place(section.start);
            let is_gone = start.is_none() && end <= self.collapsed(section.start);
            if is_gone {
                let gone = edit.delete([section.id])?;
                self.edited.deleted.extend(gone.deleted);
                continue;
            }
            let start = start.unwrap_or_else(|| self.collapsed(section.start));
            // One that was torn apart stays as long as it was.
            let length = match end > start {
                true => end.saturating_sub(start),
                false => section.length,
            };
            if (start, length) != (section.start, section.length) {
                edit.put(Section { start, length, ..section })?;
            }
        }
        Ok(())
    }

    /// Where a place that is gone would be.
    fn collapsed(&self, at: Ticks) -> Ticks {
        self.order.piece(at).map_or(at, |piece| piece.to)
    }

    fn end(&mut self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        let arrangement: Arrangement = edit.get(self.arrangement)?;
        let end = arrangement.end.map(|end| self.order.end(end));
        if end != arrangement.end {
            edit.update::<Arrangement>(arrangement.id, |it| it.end = end)?;
        }
        Ok(())
    }

    /// Copies what happens in a stretch to right behind it, where time was made.
    pub fn copy_behind(
        &mut self,
        edit: &mut Edit<'_, '_>,
        range: TimeRange,
    ) -> Result<Vec<CopyOf>, Refusal> {
        let mut copies = Vec::new();
        let piece = Piece::new(range.start, range.end, range.end);
        for lane in self.lanes(edit)? {
            for clip in self.placed(edit, &lane)? {
                self.copy_clip(edit, clip, &piece, &mut copies)?;
            }
            for envelope in self.envelopes(edit, &lane)? {
                for point in edit.members::<AutomationPoint>(envelope.id)? {
                    let ticks = self.ticks(envelope.timebase, point.at);
                    if piece.from <= ticks && ticks < piece.until {
                        let id = AutomationPointId(edit.id());
                        let at = self.moment(&piece, envelope.timebase, point.at);
                        copies.push(CopyOf { original: point.id.any(), copy: id.any() });
                        edit.put(AutomationPoint { id, at, ..point })?;
                    }
                }
            }
        }
        if self.whole {
            self.copy_marks(edit, &piece, &mut copies)?;
        }
        Ok(copies)
    }

    fn copy_clip(
        &self,
        edit: &mut Edit<'_, '_>,
        clip: Clip,
        piece: &Piece,
        copies: &mut Vec<CopyOf>,
    ) -> Result<(), Refusal> {
        let edge = |at: Ticks| convert(&self.old, Timebase::Musical, at.into(), clip.timebase);
        let start = clip.start.max(edge(piece.from));
        let end = end_of(&clip).min(edge(piece.until));
        if start >= end {
            return Ok(());
        }
        let mut part = clip.clone();
        set_start(&mut part, start);
        set_end(&mut part, end);
        part.start = self.moment(piece, clip.timebase, start);
        let contents = Contents::read(&edit.view()?, clip)?;
        contents.write(edit, part, copies)?;
        Ok(())
    }

    fn copy_marks(
        &self,
        edit: &mut Edit<'_, '_>,
        piece: &Piece,
        copies: &mut Vec<CopyOf>,
    ) -> Result<(), Refusal> {
        for marker in edit.members::<Marker>(self.arrangement)? {
            let ticks = self.ticks(marker.timebase, marker.at);
            if piece.from <= ticks && ticks < piece.until {
                let id = MarkerId(edit.id());
                let at = self.moment(piece, marker.timebase, marker.at);
                copies.push(CopyOf { original: marker.id.any(), copy: id.any() });
                edit.put(Marker { id, at, ..marker })?;
            }
        }
        for section in edit.members::<Section>(self.arrangement)? {
            let end = section.start.saturating_add(section.length);
            if piece.from <= section.start && end <= piece.until {
                let id = SectionId(edit.id());
                let start = piece.place(section.start);
                copies.push(CopyOf { original: section.id.any(), copy: id.any() });
                edit.put(Section { id, start, ..section })?;
            }
        }
        Ok(())
    }
}
