//! A reading point of a delay line and how it gets to a new place.

use crate::{dsp::delay_line::DelayLine, node::StateVisitor};

const FADE_SECONDS: f64 = 0.03;
const TAPE_SECONDS: f64 = 0.12;
/// A tape this close, in frames, is there.
const THERE: f64 = 1e-3;

/// How a new time is reached.
#[derive(Clone, Copy, Debug)]
pub struct Glide {
    tape: bool,
    /// Share per frame: of the crossfade, or of the way that is left.
    step: f64,
}

impl Glide {
    pub fn new(tape: bool, rate: f64) -> Glide {
        let seconds = if tape { TAPE_SECONDS } else { FADE_SECONDS };
        Glide { tape, step: 1.0 / (seconds * rate) }
    }
}

/// Where the line is read, and where it was read until a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tap {
    /// Frames; zero until the first read.
    now: f64,
    before: f64,
    /// What is left of `before`, 1 to 0.
    left: f64,
}

impl Tap {
    /// Reads one frame on the way to `time`, with the point swayed by some frames.
    pub fn read(&mut self, line: &DelayLine, time: f64, sway: f64, glide: &Glide) -> f64 {
        if self.now == 0.0 {
            self.now = time;
        }
        if glide.tape {
            self.slide(time, glide.step);
        } else if self.left == 0.0 && self.now != time {
            *self = Tap { now: time, before: self.now, left: 1.0 };
        }
        let new = line.read_between(self.now + sway);
        if self.left == 0.0 {
            return new;
        }
        let old = line.read_between(self.before + sway);
        let mixed = new + (old - new) * self.left;
        self.left = (self.left - glide.step).max(0.0);
        if self.left == 0.0 {
            self.before = 0.0;
        }
        mixed
    }

    fn slide(&mut self, time: f64, step: f64) {
        let way = time - self.now;
        self.now = if way.abs() < THERE { time } else { self.now + way * step };
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.f64(&mut self.now);
        visitor.f64(&mut self.before);
        visitor.f64(&mut self.left);
    }
}
