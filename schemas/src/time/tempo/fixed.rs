//! The time that a stretch of linearly changing tempo takes, in 128-bit whole
//! numbers.
//!
//! Floating point with a portable `ln` would be the same on every machine too,
//! but not monotone: over a long ramp its error grows past the time of one
//! tick. Here the error stays under 2⁻¹⁵ flick on any stretch that the range of
//! positions allows, and one tick takes at least 0.9 flick.
//!
//! With tempo b over t ticks rising from b₀ to b₁, the integral of 1/b is
//! t·ln(b₁/b₀)/(b₁−b₀), which is 2t/(b₀+b₁) · atanh(z)/z with z = (b₁−b₀)/(b₀+b₁).
//! In this form nothing cancels: equal tempos give z = 0 and the plain quotient.

/// Tempos carry 80 fractional bits, which holds every double from 1 to 1 000 exactly.
pub const TEMPO_BITS: u32 = 80;
/// Times carry 32 fractional bits of a flick.
pub const TIME_BITS: u32 = 32;

const UNIT_BITS: u32 = 96;
const ONE: u128 = 1 << UNIT_BITS;
/// 60 seconds in flicks over the ticks of a quarter note is 937.5; twice that.
const TWICE_FLICKS_PER_TICK_AT_1_BPM: u128 = 1875;
/// Enough of the series for |z| ≤ 1/9, which is a tempo ratio of 5/4.
const TERMS: u128 = 14;
/// From 1 to 1 000 BPM the slow end is gentle in 1/2¹² of the way.
const MOST_HALVINGS: u32 = 16;

/// A tempo in fixed point. `bpm` is from 1 to 1 000, or up to 2¹⁴ in a test.
pub fn tempo(bpm: f64) -> u128 {
    let bits = bpm.to_bits();
    let mantissa = u128::from((bits & ((1 << 52) - 1)) | (1 << 52));
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1075;
    mantissa << (TEMPO_BITS as i32 + exponent)
}

/// The tempo `ticks` after one of `from`, on the way to `to` over `length` ticks.
pub fn tempo_between(from: u128, to: u128, ticks: u64, length: u64) -> u128 {
    let part = scale(from.abs_diff(to), ticks, length);
    if to >= from { from + part } else { from - part }
}

/// Whether the tempo changes by more than a quarter, too much for the series.
pub fn is_steep(from: u128, to: u128) -> bool {
    from.max(to) * 4 > from.min(to) * 5
}

/// The time of `ticks` ticks while the tempo goes from `from` to `to`, rounded
/// down to 2⁻³² flick. A steep stretch is halved until
/// its parts are gentle, which costs time: long ramps are cut beforehand.
pub fn time(ticks: u64, from: u128, to: u128) -> u128 {
    time_of_part(u128::from(ticks) * TWICE_FLICKS_PER_TICK_AT_1_BPM, 0, from, to)
}

/// The time of `scaled` / 2^halvings.
fn time_of_part(scaled: u128, halvings: u32, from: u128, to: u128) -> u128 {
    if is_steep(from, to) && halvings < MOST_HALVINGS {
        let middle = from.midpoint(to);
        return time_of_part(scaled, halvings + 1, from, middle)
            + time_of_part(scaled, halvings + 1, middle, to);
    }
    let sum = from + to;
    let plain = divide(scaled, sum, TEMPO_BITS + TIME_BITS - halvings);
    if from == to {
        return plain;
    }
    multiply(plain, atanh_over_z(divide(from.abs_diff(to), sum, UNIT_BITS)))
}

/// 1 + z²/3 + z⁴/5 + …
fn atanh_over_z(z: u128) -> u128 {
    let square = multiply(z, z);
    (0..TERMS).rev().fold(0, |acc, term| ONE / (2 * term + 1) + multiply(acc, square))
}

/// value · numerator / denominator, rounded down; the numerator is the smaller
/// one, both are under 2⁵⁵ and the value is under 2⁹⁴.
fn scale(value: u128, numerator: u64, denominator: u64) -> u128 {
    let (numerator, denominator) = (u128::from(numerator), u128::from(denominator));
    value / denominator * numerator + value % denominator * numerator / denominator
}

/// numerator · 2^bits / denominator, rounded down; numerator < denominator < 2⁹⁵.
fn divide(numerator: u128, denominator: u128, bits: u32) -> u128 {
    let (mut quotient, mut rest, mut left) = (0, numerator, bits);
    while left > 0 {
        let step = left.min(32);
        rest <<= step;
        quotient = (quotient << step) | (rest / denominator);
        rest %= denominator;
        left -= step;
    }
    quotient
}

/// a · b / 2⁹⁶ of two numbers under 2⁹⁸, at most two units too small.
fn multiply(a: u128, b: u128) -> u128 {
    const HALF: u32 = UNIT_BITS / 2;
    const LOW: u128 = (1 << HALF) - 1;
    let (a_high, a_low) = (a >> HALF, a & LOW);
    let (b_high, b_low) = (b >> HALF, b & LOW);
    let middle = a_high * b_low + a_low * b_high + ((a_low * b_low) >> HALF);
    a_high * b_high + (middle >> HALF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_time(ticks: u64, from: f64, to: f64) {
        let found = time(ticks, tempo(from), tempo(to)) as f64 / (1u64 << TIME_BITS) as f64;
        let expect = if from == to {
            ticks as f64 * 937.5 / from
        } else {
            ticks as f64 * 937.5 * libm::log1p((to - from) / from) / (to - from)
        };
        assert!((found - expect).abs() <= expect * 1e-14 + 1e-7, "{found} {expect}");
    }

    #[test]
    fn a_tempo_keeps_every_bit() {
        for bpm in [1.0, 120.0, 93.7, 10_000.0, 1.0 + f64::EPSILON] {
            assert_eq!(tempo(bpm) as f64 / (TEMPO_BITS as f64).exp2(), bpm);
        }
    }

    #[test]
    fn times_agree_with_the_logarithm() {
        for ticks in [1, 47_040, 45_158_400, 1 << 40, 1 << 53] {
            check_time(ticks, 120.0, 120.0);
            check_time(ticks, 120.0, 120.000_001);
            check_time(ticks, 96.0, 120.0);
            check_time(ticks, 120.0, 96.0);
            check_time(ticks, 1.0, 1.25);
            check_time(ticks, 10_000.0, 8_000.0);
            check_time(ticks, 1.0, 10_000.0);
        }
    }
}
