//! Level detectors for dynamics: peak and mean square.
//!
//! Both ignore bad input by construction: a comparison with NaN is false, so a NaN sample counts as
//! silence and never enters the state.

use super::{settle, smooth};

/// Follows |x| with separate rise and fall.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeakFollower {
    pub level: f64,
}

impl PeakFollower {
    /// `rise` and `fall` are factors from [`smooth::coefficient`].
    #[inline(always)]
    pub fn step(&mut self, magnitude: f64, rise: f64, fall: f64) -> f64 {
        let keep = if magnitude > self.level { rise } else { fall };
        self.level = smooth::step(self.level, finite(magnitude), keep);
        self.level
    }

    pub fn settle(&mut self) {
        self.level = settle::settle(self.level);
    }
}

/// Follows the mean of x² over a one-pole window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PowerFollower {
    pub power: f64,
}

impl PowerFollower {
    #[inline(always)]
    pub fn step(&mut self, power: f64, keep: f64) -> f64 {
        self.power = smooth::step(self.power, finite(power), keep);
        self.power
    }

    pub fn settle(&mut self) {
        self.power = settle::settle(self.power);
    }
}

/// A magnitude a detector can use: NaN and infinities count as silence.
#[inline(always)]
pub fn finite(magnitude: f64) -> f64 {
    if magnitude < 1e30 { magnitude } else { 0.0 }
}

/// The larger magnitude of a stereo pair; a NaN loses against any number.
#[inline(always)]
pub fn loudest(left: f64, right: f64) -> f64 {
    let (left, right) = (finite(left.abs()), finite(right.abs()));
    if left > right { left } else { right }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_of_a_sine_is_half_its_squared_peak() {
        let keep = smooth::coefficient(0.3, 48_000.0);
        let mut follower = PowerFollower::default();
        let mut power = 0.0;
        for frame in 0..192_000 {
            let x = libm::sin(std::f64::consts::TAU * 997.0 * f64::from(frame) / 48_000.0);
            power = follower.step(x * x, keep);
        }
        assert!((power - 0.5).abs() < 1e-3, "{power}");
    }

    #[test]
    fn a_nan_is_silence_to_a_detector() {
        let mut follower = PeakFollower { level: 0.5 };
        follower.step(f64::NAN, 0.0, 0.5);
        assert_eq!(follower.level, 0.25);
        assert_eq!(loudest(f64::NAN, -0.5), 0.5);
    }
}
