//! Moving notes towards a grid or a feel, as pure functions of one position.
//!
//! Both work on one position at a time, so that the result for a note doesn't
//! depend on which other notes happen to be selected.

use super::Ticks;

/// A straight or swung grid, and how far positions are pulled towards it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantise {
    /// The distance of the lines. 0 or less leaves every position alone.
    pub grid: Ticks,
    /// 0 (stays) to 1 (lands on the line); what is outside counts as the nearer end.
    pub strength: f64,
    /// How late every second line comes, as a part of `grid` from 0 (straight)
    /// to 1; a third of it is a triplet feel.
    pub swing: f64,
}

impl Quantise {
    /// Where a position goes; the grid is counted from `origin`, such as the start
    /// of a clip. Between two lines equally near, the earlier one attracts.
    pub fn apply(&self, at: Ticks, origin: Ticks) -> Ticks {
        if self.grid.0 <= 0 {
            return at;
        }
        let target = self.nearest_line(at.saturating_sub(origin)).saturating_add(origin);
        at.saturating_add(part_of(target.saturating_sub(at), self.strength))
    }

    fn nearest_line(&self, at: Ticks) -> Ticks {
        let pair = self.grid.saturating_mul(2);
        let even = pair.saturating_mul(at.0.div_euclid(pair.0));
        let late = part_of(self.grid, self.swing);
        let odd = even.saturating_add(self.grid).saturating_add(late);
        let lines = [even, odd, even.saturating_add(pair)];
        lines.into_iter().min_by_key(|line| line.0.abs_diff(at.0)).unwrap_or(even)
    }
}

/// A feel: by how much the steps of a repeating pattern are early or late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Groove<'a> {
    /// The distance of the steps. 0 or less leaves every position alone.
    pub step: Ticks,
    /// One offset for each step, negative when early; the pattern repeats.
    pub offsets: &'a [Ticks],
}

impl Groove<'_> {
    /// Where a position goes: it moves by `amount` (0 to 1) of the offset of the
    /// step nearest to it, the later one of two equally near.
    pub fn apply(&self, at: Ticks, origin: Ticks, amount: f64) -> Ticks {
        if self.step.0 <= 0 || self.offsets.is_empty() {
            return at;
        }
        let from_origin = at.saturating_sub(origin);
        let step = from_origin.saturating_add(Ticks(self.step.0 / 2)).0.div_euclid(self.step.0);
        let index = step.rem_euclid(self.offsets.len() as i64) as usize;
        at.saturating_add(part_of(self.offsets[index], amount))
    }
}

/// A part of a length, to the nearest tick with halves going up. A part that
/// is no number counts as 0.
fn part_of(length: Ticks, part: f64) -> Ticks {
    let part = part.clamp(0.0, 1.0);
    if part == 1.0 { length } else { Ticks((length.0 as f64 * part + 0.5).floor() as i64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantising_pulls_towards_the_nearest_line() {
        let check = |at: i64, strength: f64, swing: f64, expect: i64| {
            let quantise = Quantise { grid: Ticks(120), strength, swing };
            assert_eq!(quantise.apply(Ticks(at + 7), Ticks(7)), Ticks(expect + 7));
        };
        check(100, 1.0, 0.0, 120);
        check(100, 0.5, 0.0, 110);
        check(100, 0.0, 0.0, 100);
        check(60, 1.0, 0.0, 0);
        check(-130, 1.0, 0.0, -120);
        check(130, 1.0, 1.0 / 3.0, 160);
        check(250, 1.0, 1.0 / 3.0, 240);
        check(100, f64::NAN, f64::NAN, 100);
        check(100, 7.0, -7.0, 120);
    }

    #[test]
    fn a_groove_moves_each_step_by_its_own_offset() {
        let groove = Groove { step: Ticks(100), offsets: &[Ticks(0), Ticks(30), Ticks(-20)] };
        let check = |at: i64, amount: f64, expect: i64| {
            assert_eq!(groove.apply(Ticks(at), Ticks::ZERO, amount), Ticks(expect));
        };
        check(0, 1.0, 0);
        check(100, 1.0, 130);
        check(149, 1.0, 179);
        check(150, 1.0, 130);
        check(100, 0.5, 115);
        check(-100, 1.0, -120);
        check(400, 1.0, 430);
        check(400, 0.0, 400);
    }

    #[test]
    fn without_a_grid_nothing_moves() {
        let quantise = Quantise { grid: Ticks(0), strength: 1.0, swing: 0.0 };
        assert_eq!(quantise.apply(Ticks(5), Ticks::ZERO), Ticks(5));
        let groove = Groove { step: Ticks(100), offsets: &[] };
        assert_eq!(groove.apply(Ticks(5), Ticks::ZERO, 1.0), Ticks(5));
    }
}
