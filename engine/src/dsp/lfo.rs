//! A slow oscillator whose phase is a function of the absolute frame.
//!
//! At a constant rate the phase is rate × frame, so that a render that starts
//! anywhere agrees with one from the beginning. When the rate turns, the phase goes
//! on from where it is: the turning point is remembered, not a running sum.

use std::f64::consts::PI;

use crate::{math, node::StateVisitor};

/// Shapes in the order of their choice parameter.
pub const SHAPES: &[&str] =
    &["sine", "triangle", "rampUp", "rampDown", "square", "random", "smoothRandom"];

/// What one cycle looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LfoShape {
    /// Starts at zero, rising.
    Sine,
    /// Starts at zero, rising.
    Triangle,
    /// −1 to 1.
    RampUp,
    /// 1 to −1.
    RampDown,
    /// 1, then −1.
    Square,
    /// A new random value per cycle.
    Random,
    /// Random values joined by half cosines.
    SmoothRandom,
}

impl LfoShape {
    /// The shape at an index of [`SHAPES`].
    pub fn from_index(index: usize) -> LfoShape {
        match index {
            1 => LfoShape::Triangle,
            2 => LfoShape::RampUp,
            3 => LfoShape::RampDown,
            4 => LfoShape::Square,
            5 => LfoShape::Random,
            6 => LfoShape::SmoothRandom,
            _ => LfoShape::Sine,
        }
    }

    /// The value, −1..1, after `cycles` whole and part cycles.
    pub fn at(self, cycles: f64, seed: u64) -> f64 {
        let whole = libm::floor(cycles);
        let phase = cycles - whole;
        let random = |step: i64| math::random_bipolar(seed, (whole as i64 + step) as u64);
        match self {
            LfoShape::Sine => math::sin(2.0 * PI * phase),
            LfoShape::Triangle => triangle(phase),
            LfoShape::RampUp => 2.0 * phase - 1.0,
            LfoShape::RampDown => 1.0 - 2.0 * phase,
            LfoShape::Square => {
                if phase < 0.5 {
                    1.0
                } else {
                    -1.0
                }
            }
            LfoShape::Random => random(0),
            LfoShape::SmoothRandom => {
                let blend = 0.5 - 0.5 * math::cos(PI * phase);
                random(0) + (random(1) - random(0)) * blend
            }
        }
    }
}

fn triangle(phase: f64) -> f64 {
    if phase < 0.25 {
        4.0 * phase
    } else if phase < 0.75 {
        2.0 - 4.0 * phase
    } else {
        4.0 * phase - 4.0
    }
}

/// A phase that follows a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LfoPhase {
    /// Cycles per frame; zero until the first rate is set.
    rate: f64,
    turned_at: i64,
    cycles_then: f64,
}

impl LfoPhase {
    /// From `frame` on, the phase moves by `rate` cycles per frame. Call it whenever
    /// the rate may have changed; the same rate again changes nothing.
    pub fn set_rate(&mut self, frame: i64, rate: f64) {
        if rate.to_bits() == self.rate.to_bits() {
            return;
        }
        if self.rate != 0.0 {
            self.cycles_then = self.cycles(frame);
            self.turned_at = frame;
        }
        self.rate = rate;
    }

    /// At `frame`, so many cycles have passed.
    pub fn anchor(&mut self, frame: i64, cycles: f64) {
        self.turned_at = frame;
        self.cycles_then = cycles;
    }

    /// Whether no rate was ever set.
    pub fn is_fresh(&self) -> bool {
        self.rate == 0.0
    }

    /// Cycles passed at `frame`.
    pub fn cycles(&self, frame: i64) -> f64 {
        self.cycles_then + self.rate * frame.wrapping_sub(self.turned_at) as f64
    }

    /// The state: when the rate last turned, and how.
    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        // As bits: rounding of state to a grid must not change the rate that the next
        // call compares with, or it would see a turn where there is none.
        let mut rate = self.rate.to_bits();
        visitor.u64(&mut rate);
        self.rate = f64::from_bits(rate);
        visitor.i64(&mut self.turned_at);
        visitor.f64(&mut self.cycles_then);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_rate_gives_a_phase_that_depends_on_the_frame_alone() {
        let mut early = LfoPhase::default();
        early.set_rate(0, 1e-4);
        let mut late = LfoPhase::default();
        late.set_rate(123_456, 1e-4);
        assert_eq!(early, late);
        assert_eq!(early.cycles(20_000), 2.0);
        assert_eq!(early.cycles(-10_000), -1.0);
    }

    #[test]
    fn a_turned_rate_goes_on_from_the_phase_it_had() {
        let mut phase = LfoPhase::default();
        phase.set_rate(0, 1e-3);
        phase.set_rate(500, 1e-4);
        assert_eq!(phase.cycles(500), 0.5);
        assert!((phase.cycles(1500) - 0.6).abs() < 1e-12);
    }

    #[test]
    fn every_shape_stays_in_range_and_repeats() {
        for index in 0..SHAPES.len() {
            let shape = LfoShape::from_index(index);
            for i in -400..400 {
                let value = shape.at(f64::from(i) / 64.0, 9);
                assert!(value.abs() <= 1.0, "{shape:?} {i} {value}");
                let random = matches!(shape, LfoShape::Random | LfoShape::SmoothRandom);
                let next = shape.at(f64::from(i) / 64.0 + 1.0, 9);
                assert!(random || (next - value).abs() < 1e-9, "{shape:?} {i}");
            }
        }
    }

    #[test]
    fn smooth_shapes_have_no_steps() {
        for shape in [LfoShape::Sine, LfoShape::Triangle, LfoShape::SmoothRandom] {
            for i in 0..10_000 {
                let at = |i: i32| shape.at(f64::from(i) * 1e-3, 4);
                assert!((at(i) - at(i + 1)).abs() < 0.01, "{shape:?} {i}");
            }
        }
    }
}
