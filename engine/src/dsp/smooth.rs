//! One-pole coefficients: the time constant that every ballistic of this engine is stated in.
//!
//! `coefficient` is a pure function of time and rate, so a node may compute it at any moment and
//! still be independent of how blocks are cut.

use super::decibel;

/// The factor a one-pole keeps per frame: after `seconds` a step has covered 63.2 % of its way. Zero
/// or negative time means at once.
#[inline]
pub fn coefficient(seconds: f64, rate: f64) -> f64 {
    let frames = seconds * rate;
    if frames > 1e-3 { decibel::exp(-1.0 / frames) } else { 0.0 }
}

/// One step towards `target`. Written so that a state equal to its target stays there exactly.
#[inline(always)]
pub fn step(state: f64, target: f64, keep: f64) -> f64 {
    target + (state - target) * keep
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_covers_63_percent_in_one_time_constant_at_every_rate() {
        for rate in [44_100.0, 48_000.0, 96_000.0, 192_000.0] {
            let keep = coefficient(0.010, rate);
            let mut state = 0.0;
            for _ in 0..(0.010 * rate) as usize {
                state = step(state, 1.0, keep);
            }
            assert!((state - 0.632_120_56).abs() < 1e-3, "{rate}: {state}");
        }
    }

    #[test]
    fn no_time_means_at_once() {
        assert_eq!(step(3.0, 1.0, coefficient(0.0, 48_000.0)), 1.0);
    }
}
