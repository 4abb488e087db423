//! How a clip shows its content: from the slip on, and round its loop.

use pulse_schemas::{
    entity::Clip,
    time::{Moment, Timebase},
};

use super::Ctx;

/// Most passes of one loop that are unrolled; a clip with more is a mistake
/// that must not take the memory of the machine.
const PASSES_MAX: i64 = 100_000;

/// One pass through content: what lies in `from..to` sounds `shift` later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    pub index: u32,
    /// Range of the content that the pass shows.
    pub from: i64,
    pub to: i64,
    /// Content position + `shift` = position after the start of the clip.
    pub shift: i64,
}

/// The passes of a clip, counted in the unit of its content: notes lie at ticks
/// in every clip, points of an envelope at moments of the envelope's timebase.
///
/// The first pass begins at the slip; each later one at the start of the loop.
pub fn passes(ctx: &Ctx<'_>, clip: &Clip, content: Timebase) -> Vec<Pass> {
    let inside = Inside { ctx, clip, content };
    let repeat = clip.loop_length.map(|length| {
        let start = inside.distance(clip.loop_start);
        (start, inside.distance(clip.loop_start.saturating_add(length)) - start)
    });
    passes_of(inside.distance(clip.length), inside.distance(clip.slip), repeat)
}

/// Lengths inside a clip in the unit of its content, measured from its start.
struct Inside<'a> {
    ctx: &'a Ctx<'a>,
    clip: &'a Clip,
    content: Timebase,
}

impl Inside<'_> {
    fn distance(&self, of: Moment) -> i64 {
        if self.clip.timebase == self.content {
            return of.0;
        }
        let ahead = self.at(Moment(of.0.saturating_abs())) - self.at(Moment::ZERO);
        if of.0 < 0 { -ahead } else { ahead }
    }

    fn at(&self, after_start: Moment) -> i64 {
        let place = self.clip.start.saturating_add(after_start);
        match self.content {
            Timebase::Musical => self.ctx.tempo.ticks_of(self.clip.timebase, place).0,
            Timebase::Absolute => self.ctx.tempo.flicks_of(self.clip.timebase, place).0,
        }
    }
}

fn passes_of(length: i64, slip: i64, repeat: Option<(i64, i64)>) -> Vec<Pass> {
    let Some((start, size)) = repeat.filter(|(start, size)| *size > 0 && slip < start + size)
    else {
        return vec![Pass { index: 0, from: slip, to: slip + length, shift: -slip }];
    };
    let mut passes = Vec::new();
    let (mut from, mut at) = (slip, 0);
    for index in 0..PASSES_MAX {
        if at >= length {
            break;
        }
        let to = (start + size).min(from + (length - at));
        passes.push(Pass { index: index as u32, from, to, shift: at - from });
        at += to - from;
        from = start;
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(length: i64, slip: i64, repeat: Option<(i64, i64)>, expect: &[(i64, i64, i64)]) {
        let found: Vec<_> = passes_of(length, slip, repeat)
            .iter()
            .map(|pass| (pass.from, pass.to, pass.from + pass.shift))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn a_clip_without_a_loop_is_one_pass() {
        check(10, 0, None, &[(0, 10, 0)]);
        check(10, 4, None, &[(4, 14, 0)]);
    }

    #[test]
    fn a_loop_repeats_until_the_clip_ends() {
        check(10, 0, Some((0, 4)), &[(0, 4, 0), (0, 4, 4), (0, 2, 8)]);
        check(10, 3, Some((2, 4)), &[(3, 6, 0), (2, 6, 3), (2, 5, 7)]);
    }

    #[test]
    fn a_slip_behind_the_loop_plays_once() {
        check(10, 9, Some((0, 4)), &[(9, 19, 0)]);
    }
}
