//! Arithmetic that gives the same bits on every machine: transcendentals from
//! `libm` (never the platform's), random numbers from a counter (never a
//! running generator), and the 2⁻³² grid of the render profile.

pub use libm::{atan, cos, exp, exp2, log2, log10, pow, sin, sqrt, tan, tanh};

pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// Decibels → linear gain. `-inf` is silence.
pub fn db_to_gain(db: f64) -> f64 {
    if db == f64::NEG_INFINITY { 0.0 } else { libm::exp(db * (core::f64::consts::LN_10 / 20.0)) }
}

/// Linear gain → decibels; zero is `-inf`.
pub fn gain_to_db(gain: f64) -> f64 {
    if gain <= 0.0 { f64::NEG_INFINITY } else { libm::log10(gain) * 20.0 }
}

/// Frequency of a pitch in semitones (69 is 440 Hz).
pub fn pitch_to_hertz(pitch: f64) -> f64 {
    440.0 * libm::exp2((pitch - 69.0) / 12.0)
}

/// A random number for (seed, counter): a pure function, so that a render may
/// start anywhere. SplitMix64 over both.
pub fn random_u64(seed: u64, counter: u64) -> u64 {
    let mut z = seed ^ counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2 {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    z
}

/// Uniform in 0..1.
pub fn random_unit(seed: u64, counter: u64) -> f64 {
    (random_u64(seed, counter) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Uniform in −1..1.
pub fn random_bipolar(seed: u64, counter: u64) -> f64 {
    random_unit(seed, counter) * 2.0 - 1.0
}

/// Rounds to a multiple of 2⁻³². Values too large for the grid are whole
/// multiples already; what is not finite becomes zero.
pub fn round_to_grid(value: f64) -> f64 {
    const GRID: f64 = 4_294_967_296.0;
    if !value.is_finite() {
        return 0.0;
    }
    if value.abs() >= 1_048_576.0 {
        return value;
    }
    // `+ 0.0` turns −0 into 0: equal states must be equal bytes.
    libm::rint(value * GRID) / GRID + 0.0
}

/// Zero for what would soon be a denormal number: recursive state calls this, or
/// adds and thresholds itself, at every sample or on an absolute grid.
#[inline(always)]
pub fn flush(value: f64) -> f64 {
    if value.abs() < 1e-30 { 0.0 } else { value }
}
