//! One row of the tempo table: a stretch whose tempo is linear and changes by a
//! quarter at most, so that a short series gives its time.

use super::fixed::{self, TIME_BITS};
use crate::time::frames::saturate;

#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// The tick at which it begins.
    pub at: i64,
    /// The time at which it begins, in 2⁻³² flicks.
    start: i128,
    from: u128,
    to: u128,
    /// In ticks. 0 when the tempo holds, and then the length is not limited.
    length: u64,
}

impl Piece {
    pub fn hold(at: i64, start: i128, tempo: u128) -> Piece {
        Piece { at, start, from: tempo, to: tempo, length: 0 }
    }

    /// In 2⁻³² flicks. Before `at` only a holding piece has an answer of meaning.
    pub fn time_at(&self, at: i64) -> i128 {
        let ticks = at.abs_diff(self.at);
        let to = match self.length {
            0 => self.from,
            length => fixed::tempo_between(self.from, self.to, ticks.min(length), length),
        };
        let time = fixed::time(ticks, self.from, to) as i128;
        if at < self.at { self.start - time } else { self.start + time }
    }

    pub fn flicks_at(&self, at: i64) -> i64 {
        nearest(self.time_at(at))
    }

    pub fn first_flick(&self) -> i64 {
        nearest(self.start)
    }

    /// The earliest tick after `before` and up to `until` whose flick is
    /// `flicks` or later; `until` when none is.
    pub fn tick_at(&self, flicks: i64, before: i64, until: i64) -> i64 {
        earliest(before, until, self.estimate(flicks), |at| self.flicks_at(at) >= flicks)
    }

    /// A tick near the one of `flicks`. It decides how long the search takes and
    /// nothing else, so floating point will do.
    fn estimate(&self, flicks: i64) -> i64 {
        let tempo = |fixed: u128| fixed as f64 / (fixed::TEMPO_BITS as f64).exp2();
        let start = self.start as f64 / (TIME_BITS as f64).exp2();
        let quarter_minutes = (flicks as f64 - start) / 937.5;
        let from = tempo(self.from);
        let ticks = match self.length {
            0 => quarter_minutes * from,
            length => {
                let slope = (tempo(self.to) - from) / length as f64;
                libm::expm1(quarter_minutes * slope) * from / slope
            }
        };
        self.at.saturating_add(ticks as i64)
    }
}

/// The nearest flick to a time, halves going up.
fn nearest(time: i128) -> i64 {
    saturate((time + (1 << (TIME_BITS - 1))) >> TIME_BITS)
}

/// Adds the pieces of a ramp, halved until each is gentle enough for the series.
pub fn push_ramp(pieces: &mut Vec<Piece>, start: i128, from: (i64, u128), to: (i64, u128)) -> i128 {
    let length = to.0.abs_diff(from.0);
    if fixed::is_steep(from.1, to.1) && length > 1 {
        let half = length / 2;
        let middle = (from.0 + half as i64, fixed::tempo_between(from.1, to.1, half, length));
        let start = push_ramp(pieces, start, from, middle);
        return push_ramp(pieces, start, middle, to);
    }
    let piece = Piece { at: from.0, start, from: from.1, to: to.1, length };
    pieces.push(piece);
    piece.time_at(to.0)
}

/// The smallest number in `before + 1 ..= until` for which `holds`, which is
/// false up to some number and true from there on; `until` when it is never true.
/// Doubling steps around `guess`, then halving ones.
fn earliest(mut before: i64, mut until: i64, guess: i64, holds: impl Fn(i64) -> bool) -> i64 {
    let guess = guess.clamp(before + 1, until);
    let mut step = 1;
    if holds(guess) {
        until = guess;
        while until - before > step && holds(until - step) {
            until -= step;
            step *= 2;
        }
        before = before.max(until - step);
    } else {
        before = guess;
        while until - before > step && !holds(before + step) {
            before += step;
            step *= 2;
        }
        until = until.min(before + step);
    }
    while until - before > 1 {
        let middle = before + (until - before) / 2;
        if holds(middle) { until = middle } else { before = middle }
    }
    until
}
