//! Click-free switching between settings that have no in-between: a filter type, a pan law, mute.
//!
//! A node keeps the setting it came from and the one it goes to, and blends what the two produce
//! (coefficients, a mixing matrix) over a fixed time. A change that arrives during a blend waits for
//! its end, so the blend itself never jumps.

use crate::node::StateVisitor;

/// One switch. Settings are encoded by the node as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fade {
    from: u64,
    to: u64,
    left: u64,
    /// Zero until the first setting is known, which is taken over at once.
    started: u64,
}

/// A stretch of frames within which a switch stands still or moves in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    pub frames: usize,
    pub from: u64,
    pub to: u64,
    /// Frames of the blend before this segment.
    done: u64,
    step: f64,
}

impl Segment {
    pub fn is_moving(&self) -> bool {
        self.step != 0.0
    }

    /// How far frame `i` of the segment is on the way from `from` to `to`, 0..=1.
    #[inline(always)]
    pub fn position(&self, i: usize) -> f64 {
        if self.is_moving() { (self.done + i as u64 + 1) as f64 * self.step } else { 1.0 }
    }
}

/// Frames of one blend at a rate: 10 ms.
pub fn length(rate: f64) -> u64 {
    ((0.010 * rate) as u64).max(1)
}

impl Fade {
    /// The next stretch, of at most `frames` frames, towards the setting `want`. Call it again with
    /// what is left of the block until nothing is.
    #[inline]
    pub fn advance(&mut self, want: u64, frames: usize, length: u64) -> Segment {
        if self.started == 0 {
            (self.from, self.to, self.started) = (want, want, 1);
        }
        if self.left == 0 {
            self.from = self.to;
            if want != self.to {
                (self.to, self.left) = (want, length);
            }
        }
        if self.left == 0 {
            return Segment { frames, from: self.to, to: self.to, done: 0, step: 0.0 };
        }
        let step = 1.0 / length as f64;
        let done = length.saturating_sub(self.left);
        let frames = frames.min(self.left as usize);
        self.left -= frames as u64;
        Segment { frames, from: self.from, to: self.to, done, step }
    }

    /// Where it is or is going to; none before the first setting is known.
    pub fn target(&self) -> Option<u64> {
        (self.started != 0).then_some(self.to)
    }

    /// The setting `want` is in force and no blend is running.
    #[inline]
    pub fn is_settled(&self, want: u64) -> bool {
        self.left == 0 && (self.to == want || self.started == 0)
    }

    /// For a switch: how far each frame is from off to on.
    pub fn amounts(&mut self, on: bool, length: u64, out: &mut [f64]) {
        let mut done = 0;
        while done < out.len() {
            let part = self.advance(u64::from(on), out.len() - done, length);
            let (from, to) = (part.from as f64, part.to as f64);
            for (i, amount) in out[done..done + part.frames].iter_mut().enumerate() {
                *amount = from + (to - from) * part.position(i);
            }
            done += part.frames;
        }
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.u64(&mut self.from);
        visitor.u64(&mut self.to);
        visitor.u64(&mut self.left);
        visitor.u64(&mut self.started);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions of every frame when `plan` = (wanted setting, frames) calls follow each other.
    fn positions(plan: &[(u64, usize)]) -> Vec<(u64, u64, f64)> {
        let mut fade = Fade::default();
        let mut out = Vec::new();
        for &(want, frames) in plan {
            let mut done = 0;
            while done < frames {
                let segment = fade.advance(want, frames - done, 10);
                out.extend(
                    (0..segment.frames).map(|i| (segment.from, segment.to, segment.position(i))),
                );
                done += segment.frames;
            }
        }
        out
    }

    #[test]
    fn the_first_setting_is_taken_over_at_once() {
        assert!(positions(&[(3, 5)]).iter().all(|at| *at == (3, 3, 1.0)));
    }

    #[test]
    fn a_change_during_a_blend_waits_for_its_end() {
        let got = positions(&[(1, 4), (2, 5), (3, 20)]);
        assert_eq!(got[4], (1, 2, 0.1));
        assert_eq!(got[13], (1, 2, 1.0));
        assert_eq!(got[14], (2, 3, 0.1));
        assert_eq!(got[28], (3, 3, 1.0));
    }

    #[test]
    fn cuts_do_not_matter() {
        let whole = positions(&[(1, 4), (2, 40)]);
        let cut = positions(&[(1, 1), (1, 3), (2, 3), (2, 4), (2, 33)]);
        assert_eq!(whole, cut);
    }
}
