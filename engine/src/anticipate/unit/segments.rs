//! How a unit takes segments from the shelf instead of computing them.
//!
//! While it does, its executor stands still; where it has to compute again, it goes
//! back to a state within the segment and on from there. What it takes is what it
//! would compute, so nobody can hear which of both it did.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pulse_schemas::{graph::NodeKey, hash::Hash};

use super::{POINT, Point, Run, State};
use crate::{
    anticipate::shelf::{Shelf, Shelved, ShelvedSound, Want},
    material::Material,
    rt::transport::Mode,
};

/// Seconds before a segment at which it is asked for; half a segment, if that is less.
const ASK: u64 = 2;
/// Weight of the newest measurement of what a frame costs.
const NEWEST: f64 = 0.1;

/// What those who change a unit let it know.
#[derive(Default)]
pub struct Notice {
    /// The last change of what it plays or hears.
    pub changed: AtomicU64,
    /// Frames by which anything before it may be ahead of it.
    pub margin: AtomicU64,
    /// Frames that it took.
    pub taken: AtomicU64,
}

/// A segment that is being taken.
#[derive(Clone)]
struct Taking {
    from: u64,
    frames: u64,
    /// Of the state that computing it would lead to.
    after: Hash,
    sound: Arc<ShelvedSound>,
    material: Arc<Material>,
}

impl Taking {
    fn end(&self) -> u64 {
        self.from + self.frames
    }
}

/// A state on the way through a segment that was taken.
pub struct ShelvedState {
    sound: Arc<ShelvedSound>,
    index: usize,
    material: Arc<Material>,
}

/// What a run has to do with a shelf.
pub struct Segments {
    shelf: Arc<dyn Shelf>,
    unit: NodeKey,
    pub notice: Arc<Notice>,
    /// Frames of a segment.
    pub frames: u64,
    /// The change that it lives by.
    pub revision: u64,
    /// From here on it goes the way of a render.
    pub since: Option<u64>,
    /// Where something happens to it, or to what it hears.
    disturbed: BTreeSet<u64>,
    taking: Option<Taking>,
    /// It computes up to and at this place, whatever lies on the shelf.
    computes_to: u64,
    asked: Option<i64>,
    /// Nanoseconds that a frame costs.
    cost: f64,
}

impl Segments {
    pub fn new(
        shelf: Arc<dyn Shelf>,
        unit: NodeKey,
        notice: Arc<Notice>,
        frames: u64,
        revision: u64,
    ) -> Segments {
        Segments {
            shelf,
            unit,
            notice,
            frames,
            revision,
            since: None,
            disturbed: BTreeSet::new(),
            taking: None,
            computes_to: 0,
            asked: None,
            cost: 0.0,
        }
    }

    /// Where something will happen next.
    fn next_disturbance(&self, ran: u64) -> Option<u64> {
        self.disturbed.range(ran + 1..).next().copied()
    }

    /// What a frame cost lately.
    pub fn measure(&mut self, frames: u64, nanos: u64) {
        let newest = nanos as f64 / frames.max(1) as f64;
        self.cost += (newest - self.cost) * if self.cost == 0.0 { 1.0 } else { NEWEST };
    }

    /// What is known of a segment, where it holds for what this unit plays now.
    fn find(&self, number: i64) -> Option<Shelved> {
        let found = self.shelf.find(self.unit, number)?;
        // Of two contents, the one that is coming and this one, nobody can tell which.
        // Asked afterwards: whoever changes this unit says so before the shelf hears of
        // it, and both may happen in between.
        let changed = self.notice.changed.load(Ordering::Acquire);
        (self.revision == changed && found.revision >= changed).then_some(found)
    }
}

impl Run {
    /// Something happens at a position: what lies behind it is not as rendered.
    pub(super) fn disturb(&mut self, at: u64) {
        if let Some(own) = &mut self.segments {
            own.disturbed.insert(at);
            own.asked = None;
        }
    }

    /// Another content, from here on.
    pub(super) fn follow_revision(&mut self, revision: u64, frames: u64) {
        if let Some(own) = &mut self.segments {
            (own.revision, own.frames, own.asked) = (revision, frames, None);
        }
    }

    pub(super) fn forget_disturbances(&mut self, before: u64) {
        if let Some(own) = &mut self.segments {
            own.disturbed = own.disturbed.split_off(&before);
        }
    }

    pub(super) fn takes(&self) -> bool {
        self.segments.as_ref().is_some_and(|own| own.taking.is_some())
    }

    /// Takes, and is not at the end of what it takes.
    pub(super) fn is_taking(&self) -> bool {
        let taking = self.segments.as_ref().and_then(|own| own.taking.as_ref());
        taking.is_some_and(|taking| taking.end() != self.course.ran())
    }

    /// Never takes again.
    pub(super) fn compute_only(&mut self) {
        if let Some(own) = &mut self.segments {
            own.computes_to = u64::MAX;
        }
        self.compute_again();
    }

    fn set_since(&mut self, since: Option<u64>) {
        let Some(own) = &mut self.segments else { return };
        own.since = since;
        self.outlets.iter().for_each(|ring| ring.mark_as_rendered(since));
    }

    /// What has happened up to here.
    pub(super) fn pass_disturbances(&mut self) {
        let ran = self.ran();
        let Some(own) = &self.segments else { return };
        let last = own.disturbed.range(..=ran).next_back();
        if last.is_some_and(|last| own.since.is_some_and(|since| since < *last)) {
            self.set_since(None);
        }
    }

    /// The transport did something by itself.
    pub(super) fn break_off(&mut self) {
        if let Some(own) = &mut self.segments {
            own.asked = None;
            self.set_since(None);
        }
    }

    /// How far it is to the edge of a segment, when the song plays.
    pub(super) fn to_edge(&self) -> u64 {
        let Some(own) = self.segments.as_ref().filter(|own| own.frames > 0) else {
            return u64::MAX;
        };
        match (self.course.transport().mode(), self.course.transport().frame()) {
            (Mode::Playing, frame) => {
                own.frames - frame.rem_euclid(own.frames as i64).unsigned_abs()
            }
            _ => u64::MAX,
        }
    }

    /// Asks for the next segment some time before it begins.
    pub(super) fn ask(&mut self) {
        let rate = u64::from(self.executor.plan().sample_rate);
        let to_edge = self.to_edge();
        let frame = self.course.transport().frame();
        let Some(own) = self.segments.as_mut().filter(|_| to_edge < u64::MAX) else { return };
        let number = frame.div_euclid(own.frames as i64);
        if to_edge <= (ASK * rate).min(own.frames / 2) && own.asked != Some(number + 1) {
            own.asked = Some(number + 1);
            let sound = own.cost >= own.shelf.pays_from();
            own.shelf.want(Want { unit: own.unit, number: number + 1, sound });
        }
    }

    /// At an edge, decides about the segment that begins there.
    pub(super) fn edge(&mut self) {
        let (to_edge, frame) = (self.to_edge(), self.course.transport().frame());
        let Some(own) = self.segments.as_ref().filter(|own| own.frames == to_edge) else { return };
        if frame <= 0 {
            return;
        }
        let number = frame.div_euclid(own.frames as i64);
        let ran = self.course.ran();
        if own.taking.as_ref().is_none_or(|taking| taking.end() == ran) {
            self.at_edge(number);
        }
    }

    fn at_edge(&mut self, number: i64) {
        let ran = self.ran();
        let Some(own) = &self.segments else { return };
        let known = own.find(number);
        let sound = known.as_ref().and_then(|known| known.sound.clone());
        let sound = sound.filter(|sound| sound.fits(self.outlets.len(), own.frames));
        let free = ran > own.computes_to;
        if let Some(taking) = &own.taking {
            // The shelf may have guessed how this segment begins, too.
            let state = taking.after;
            let goes_on = known.filter(|known| known.state == state && own.since.is_some());
            match goes_on.zip(sound).filter(|_| free && self.hears_as_rendered()) {
                Some((known, sound)) => self.begin_taking(known.after, sound),
                None => self.compute_again(),
            }
            return;
        }
        let sound = sound.filter(|_| free);
        // Whoever comes back here comes to the edge again.
        if sound.is_some() && self.points.back().is_none_or(|point| point.course.ran() != ran) {
            self.mark();
        }
        self.executor.round_all();
        // Others may take what this unit's sound was guessed for, as long as it says
        // that it is that sound.
        let Some(known) = known else { return self.set_since(None) };
        let same = Hash::of(&self.executor.save_state().to_bytes()) == known.state;
        if !(same && self.executor.is_settled() && self.hears_as_rendered()) {
            self.set_since(None);
            return;
        }
        if self.segments.as_ref().is_some_and(|own| own.since.is_none()) {
            self.set_since(Some(ran));
        }
        if let Some(sound) = sound {
            self.begin_taking(known.after, sound);
        }
    }

    /// Whether everything that is heard goes the way of a render, too.
    fn hears_as_rendered(&self) -> bool {
        let ran = self.ran() as i64;
        let mut signals = self.inlets.iter().flat_map(|inlet| inlet.groups.iter().flatten());
        signals.all(|signal| signal.ring.is_as_rendered(ran + signal.shift))
    }

    fn begin_taking(&mut self, after: Hash, sound: Arc<ShelvedSound>) {
        let (from, material) = (self.ran(), self.executor.material().clone());
        if let Some(own) = &mut self.segments {
            own.taking = Some(Taking { from, frames: own.frames, after, sound, material });
        }
    }

    /// Takes some frames of the segment; none, and computes again, where something
    /// is about to happen.
    pub(super) fn take(&mut self, limit: u64) -> u64 {
        let ran = self.ran();
        let due = self.acts.get(self.next - self.dropped).map(|act| act.at - self.course.clock());
        let Some(own) = &self.segments else { return 0 };
        let Some(taking) = own.taking.clone() else { return 0 };
        // Where the course turns, whoever is ahead of this unit has turned before.
        let margin = own.notice.margin.load(Ordering::Acquire) + 1;
        let mut frames = limit.min(self.course.span().saturating_sub(margin));
        frames = frames.min(POINT - (ran - taking.from) % POINT).min(taking.end() - ran);
        frames = frames.min(own.next_disturbance(ran).map_or(u64::MAX, |at| at - ran));
        frames = frames.min(due.unwrap_or(u64::MAX));
        if own.since.is_none() || frames == 0 {
            self.compute_again();
            return 0;
        }
        own.notice.taken.fetch_add(frames, Ordering::Relaxed);
        let at = (ran - taking.from) as usize;
        for (ring, sound) in self.outlets.iter().zip(&taking.sound.outlets) {
            for channel in 0..2 {
                match sound {
                    Some(sound) => {
                        let samples = &sound[channel];
                        let to = (at + frames as usize).min(samples.len());
                        ring.write(ran, channel, &samples[at.min(to)..to]);
                    }
                    None => ring.silence(ran, channel, frames as usize),
                }
            }
        }
        let effect = self.course.advance(frames);
        debug_assert_eq!(effect, Default::default(), "a turn was taken");
        self.keep_point(&taking);
        frames
    }

    /// Where it could go on computing.
    fn keep_point(&mut self, taking: &Taking) {
        let done = self.ran() - taking.from;
        if !done.is_multiple_of(POINT) || done >= taking.frames {
            return;
        }
        let index = (done / POINT) as usize - 1;
        let state =
            ShelvedState { sound: taking.sound.clone(), index, material: taking.material.clone() };
        let point = self.point(State::Shelved(state));
        self.points.push_back(point);
    }

    /// Stops taking: back to where a state is, to come by again computing.
    pub(super) fn compute_again(&mut self) {
        let ran = self.ran();
        let Some(own) = &mut self.segments else { return };
        if own.taking.take().is_none() {
            return;
        }
        own.computes_to = own.computes_to.max(ran);
        self.return_to(ran);
    }

    /// To the last point at or before a position from which computing leads there.
    pub(super) fn return_to(&mut self, to: u64) {
        // A state of the shelf doesn't know the last sample that was heard, which the
        // next edit may want to fade from.
        let beyond = |point: &Point| match &point.state {
            State::Whole(_) => point.course.ran() > to,
            State::Shelved(_) => point.course.ran() >= to,
        };
        while self.points.len() > 1 && self.points.back().is_some_and(beyond) {
            self.points.pop_back();
        }
        let Some(point) = self.points.back() else { return };
        let there = match &point.state {
            State::Whole(state) => self.executor.roll_back(state),
            State::Shelved(kept) => {
                let state = kept.sound.points.get(kept.index);
                state.is_some_and(|state| self.executor.go_to(&state, &kept.material))
            }
        };
        if there {
            self.course = point.course.clone();
            self.song = point.song.clone();
            self.next = point.next;
            self.waiting.clear();
            let (since, revision, frames) = (point.since, point.revision, point.frames);
            if let Some(own) = &mut self.segments {
                own.taking = None;
                own.computes_to = own.computes_to.max(to);
                (own.revision, own.frames) = (revision, frames);
                self.set_since(since);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{anticipate::shelf::News, material::Slices, plan::Plan};

    /// While it is asked, an edit is made and the shelf hears of it.
    struct Edited(Arc<Notice>);

    impl Shelf for Edited {
        fn frames(&self, _: &Plan, _: usize, _: &Slices) -> u64 {
            4_096
        }

        fn follow(&self, _: u64, _: Option<News<'_>>) {}

        fn want(&self, _: Want) {}

        fn find(&self, _: NodeKey, number: i64) -> Option<Shelved> {
            let revision = self.0.changed.load(Ordering::Acquire) + number as u64;
            self.0.changed.store(revision, Ordering::Release);
            Some(Shelved { revision, state: Hash([0; 32]), after: Hash([0; 32]), sound: None })
        }

        fn pays_from(&self) -> f64 {
            0.0
        }
    }

    #[test]
    fn what_is_known_of_an_edit_that_came_meanwhile_is_not_taken_for_what_plays() {
        let notice = Arc::new(Notice::default());
        let shelf = Arc::new(Edited(notice.clone()));
        let own = Segments::new(shelf, crate::testkit::key(1), notice, 4_096, 0);
        assert!(own.find(0).is_some());
        assert!(own.find(1).is_none());
    }
}
