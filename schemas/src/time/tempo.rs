//! The tempo map: from ticks to flicks and frames, and back.
//!
//! **Rounding.** The time of a tick is the integral of the tempo from tick 0,
//! rounded down to 2⁻³² flick at each tempo point, then to the nearest flick
//! with halves going up. A frame is the nearest frame to that flick, halves
//! going up. All of it is done in whole numbers, so it is the same on every
//! machine.
//!
//! **Inverse.** Both steps are monotone, and their inverses are the generalised
//! ones: the earliest tick whose flick (or frame) is the one asked for or later.
//! A tick at 1 BPM is 937.5 flicks, so up to 752 kHz every frame has a tick of
//! its own and `frame_at(tick_at_frame(f)) == f`.
//!
//! Before the first point its tempo holds, also at negative positions; tick 0
//! is flick 0. A map without points runs at 120 BPM.

mod fixed;
mod piece;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::piece::{Piece, push_ramp};
use super::{
    Flicks, Moment, POSITION_LIMIT, PointViolation, Ticks, Timebase,
    timeline::{check_positions, last_of_each},
};

/// The slowest tempo, in quarter notes per minute.
pub const MIN_BPM: f64 = 1.0;
/// The fastest tempo, in quarter notes per minute.
pub const MAX_BPM: f64 = 1_000.0;
/// The tempo of a map without points.
pub const DEFAULT_BPM: f64 = 120.0;

/// How the tempo gets from one point to the next.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[serde(rename_all = "camelCase")]
#[rkyv(derive(Clone, Copy, PartialEq, Eq, Debug))]
pub enum TempoShape {
    /// Holds until the next point.
    #[default]
    Step,
    /// Changes linearly in ticks to the tempo of the next point; holds when there is none.
    Ramp,
}

/// One point of a tempo map; `bpm` counts quarter notes per minute.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TempoMark {
    pub at: Ticks,
    pub bpm: f64,
    pub shape: TempoShape,
}

/// Why a number of quarter notes per minute is no tempo.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BpmViolation {
    #[error("the tempo is not a number; give one from {MIN_BPM} to {MAX_BPM} BPM")]
    NotANumber,
    #[error("a tempo of {bpm} BPM is out of range; give one from {MIN_BPM} to {MAX_BPM} BPM")]
    OutOfRange { bpm: f64 },
}

pub fn check_bpm(bpm: f64) -> Result<(), BpmViolation> {
    if bpm.is_nan() {
        Err(BpmViolation::NotANumber)
    } else if !(MIN_BPM..=MAX_BPM).contains(&bpm) {
        Err(BpmViolation::OutOfRange { bpm })
    } else {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum TempoViolation {
    #[error(transparent)]
    Point(#[from] PointViolation),
    #[error("tempo point {index}: {violation}")]
    Bpm { index: usize, violation: BpmViolation },
}

/// A table of the points with the time at which each begins.
#[derive(Debug, Clone)]
pub struct TempoMap {
    marks: Vec<TempoMark>,
    /// In order of position. The first one holds before the first mark too.
    pieces: Vec<Piece>,
}

impl Default for TempoMap {
    fn default() -> TempoMap {
        TempoMap::from_valid(Vec::new())
    }
}

impl PartialEq for TempoMap {
    fn eq(&self, other: &TempoMap) -> bool {
        self.marks == other.marks
    }
}

impl TempoMap {
    /// From marks in order of position; all violations at once when there are any.
    pub fn new(marks: &[TempoMark]) -> Result<TempoMap, Vec<TempoViolation>> {
        let violations = violations_of(marks);
        if violations.is_empty() {
            Ok(TempoMap::from_valid(marks.to_vec()))
        } else {
            Err(violations)
        }
    }

    /// A map from whatever marks there are, and what had to be done to them:
    /// marks out of range are left out, the rest is sorted, and of several at
    /// one tick the last one in the slice counts. A project whose merge left two
    /// tempos at one bar line has to keep playing while it says so.
    pub fn repaired(marks: &[TempoMark]) -> (TempoMap, Vec<TempoViolation>) {
        let kept = last_of_each(marks, |mark| mark.at, is_usable);
        (TempoMap::from_valid(kept), violations_of(marks))
    }

    pub fn constant(bpm: f64) -> Result<TempoMap, Vec<TempoViolation>> {
        TempoMap::new(&[TempoMark { at: Ticks::ZERO, bpm, shape: TempoShape::Step }])
    }

    fn from_valid(marks: Vec<TempoMark>) -> TempoMap {
        let first = marks.first().map_or(DEFAULT_BPM, |mark| mark.bpm);
        let mut pieces = vec![Piece::hold(0, 0, fixed::tempo(first))];
        for (index, mark) in marks.iter().enumerate() {
            let from = fixed::tempo(mark.bpm);
            let start = pieces.last().map_or(0, |last| last.time_at(mark.at.0));
            match marks.get(index + 1) {
                Some(next) if mark.shape == TempoShape::Ramp && next.bpm != mark.bpm => {
                    push_ramp(
                        &mut pieces,
                        start,
                        (mark.at.0, from),
                        (next.at.0, fixed::tempo(next.bpm)),
                    );
                }
                _ => pieces.push(Piece::hold(mark.at.0, start, from)),
            }
        }
        TempoMap { marks, pieces }
    }

    pub fn marks(&self) -> &[TempoMark] {
        &self.marks
    }

    /// The tempo at a position, in quarter notes per minute.
    pub fn bpm_at(&self, at: Ticks) -> f64 {
        let count = self.marks.partition_point(|mark| mark.at <= at);
        let Some(mark) = count.checked_sub(1).map(|index| self.marks[index]) else {
            return self.marks.first().map_or(DEFAULT_BPM, |mark| mark.bpm);
        };
        match self.marks.get(count) {
            Some(next) if mark.shape == TempoShape::Ramp => {
                let way = (at.0 - mark.at.0) as f64 / (next.at.0 - mark.at.0) as f64;
                mark.bpm + (next.bpm - mark.bpm) * way
            }
            _ => mark.bpm,
        }
    }

    /// The absolute position of a musical one; stops at the range of ticks.
    pub fn flicks_at(&self, at: Ticks) -> Flicks {
        let at = at.clamped().0;
        let index = self.pieces.partition_point(|piece| piece.at <= at).saturating_sub(1);
        Flicks(self.pieces[index].flicks_at(at))
    }

    /// The earliest tick whose flick is `flicks` or later; stops at the range of ticks.
    pub fn tick_at(&self, flicks: Flicks) -> Ticks {
        let flicks = flicks.0;
        let index = self.pieces.partition_point(|piece| piece.first_flick() < flicks);
        let before = match index.checked_sub(1) {
            Some(index) => self.pieces[index].at,
            None => -POSITION_LIMIT - 1,
        };
        let until = self.pieces.get(index).map_or(POSITION_LIMIT, |next| next.at);
        Ticks(self.pieces[index.saturating_sub(1)].tick_at(flicks, before, until))
    }

    /// The frame of a musical position at `rate` frames per second.
    pub fn frame_at(&self, at: Ticks, rate: u32) -> i64 {
        self.flicks_at(at).to_frame(rate)
    }

    /// The earliest tick whose frame is `frame` or later.
    pub fn tick_at_frame(&self, frame: i64, rate: u32) -> Ticks {
        self.tick_at(Flicks::of_frame(frame, rate))
    }

    /// The absolute position of a moment counted in `timebase`.
    pub fn flicks_of(&self, timebase: Timebase, moment: Moment) -> Flicks {
        match timebase {
            Timebase::Musical => self.flicks_at(moment.as_ticks()),
            Timebase::Absolute => moment.as_flicks(),
        }
    }

    /// The musical position of a moment counted in `timebase`.
    pub fn ticks_of(&self, timebase: Timebase, moment: Moment) -> Ticks {
        match timebase {
            Timebase::Musical => moment.as_ticks(),
            Timebase::Absolute => self.tick_at(moment.as_flicks()),
        }
    }

    /// The frame of a moment counted in `timebase`.
    pub fn frame_of(&self, timebase: Timebase, moment: Moment, rate: u32) -> i64 {
        self.flicks_of(timebase, moment).to_frame(rate)
    }

    /// The absolute end of a stretch that starts at `start` and lasts `length`,
    /// both counted in `timebase`.
    pub fn flicks_of_end(&self, timebase: Timebase, start: Moment, length: Moment) -> Flicks {
        self.flicks_of(timebase, start.saturating_add(length))
    }
}

fn is_usable(mark: &TempoMark) -> bool {
    !mark.at.is_negative() && mark.at.is_in_range() && check_bpm(mark.bpm).is_ok()
}

fn violations_of(marks: &[TempoMark]) -> Vec<TempoViolation> {
    let positions = check_positions(marks.iter().map(|mark| mark.at)).into_iter();
    let tempos = marks.iter().enumerate().filter_map(|(index, mark)| {
        check_bpm(mark.bpm).err().map(|violation| TempoViolation::Bpm { index, violation })
    });
    positions.map(TempoViolation::Point).chain(tempos).collect()
}

#[cfg(test)]
mod tests;
