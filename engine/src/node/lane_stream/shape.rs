//! Fades of a clip.

use core::f64::consts::FRAC_PI_2;

use pulse_schemas::graph::{Fade, FadeShape};

use crate::math;

/// Steepness of the exponential fade: it begins at −60 dB.
const STEEPNESS: f64 = 6.907_755_278_982_137;

/// The gain of a fade after `passed` of its frames. Of two fades of one shape and
/// length that cross, gains add up to 1 (powers to 1 for equal power).
pub fn fade_gain(fade: &Fade, passed: u64) -> f64 {
    if passed >= fade.frames {
        return 1.0;
    }
    let x = passed as f64 / fade.frames as f64;
    match fade.shape {
        FadeShape::Linear => x,
        FadeShape::EqualPower => math::sin(x * FRAC_PI_2),
        FadeShape::SCurve => 0.5 - 0.5 * math::cos(x * core::f64::consts::PI),
        FadeShape::Exponential => (math::exp(STEEPNESS * x) - 1.0) / (math::exp(STEEPNESS) - 1.0),
    }
}
