//! Decibels and the exponential pair beneath them, as branch-free polynomials.
//!
//! `libm::pow` and `libm::log10` are exact enough but cost a compressor more than the rest of its
//! work; these cost a few multiplications, vectorise, and give the same bits on every machine
//! because they use nothing but `+ - * /` and bit moves. 0 dB is exactly 1.

/// Decibels of a doubling: 20·log10(2).
const DB_PER_OCTAVE: f64 = 6.020_599_913_279_624;
const OCTAVES_PER_DB: f64 = 1.0 / DB_PER_OCTAVE;
/// The level that stands for silence, in dB: nothing below it is told apart.
pub const FLOOR_DB: f64 = -200.0;
/// The amplitude of [`FLOOR_DB`].
pub const FLOOR_GAIN: f64 = 1e-10;

/// Adding and subtracting this rounds to the nearest integer without a call.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// 2^x for |x| < 1000, relative error below 4e-15, exact at integers.
#[inline(always)]
pub fn exp2(x: f64) -> f64 {
    let shifted = x + ROUND;
    let whole = shifted - ROUND;
    let f = x - whole;
    // Taylor terms ln(2)^k / k!: on |f| <= 1/2 the thirteenth is below the last bit.
    let mut p = 2.567_843_599_348_820_5e-11;
    p = p * f + 4.455_382_718_538_154e-10;
    p = p * f + 7.054_911_620_801_123e-9;
    p = p * f + 1.017_808_600_923_97e-7;
    p = p * f + 1.321_548_679_014_431e-6;
    p = p * f + 1.525_273_380_405_984e-5;
    p = p * f + 1.540_353_039_338_161e-4;
    p = p * f + 1.333_355_814_642_844_3e-3;
    p = p * f + 9.618_129_107_628_477e-3;
    p = p * f + 5.550_410_866_482_158e-2;
    p = p * f + 2.402_265_069_591_007e-1;
    p = p * f + std::f64::consts::LN_2;
    p = p * f + 1.0;
    // The low bits of `shifted` hold the integer in two's complement; moving
    // them into the exponent field multiplies by its power of two.
    let scale = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()));
    p * scale
}

/// log2(x) for normal positive x, absolute error below 4e-15.
#[inline(always)]
pub fn log2(x: f64) -> f64 {
    // Splits x into 2^e * m with m in [sqrt(1/2), sqrt(2)).
    const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let e = ((shifted as i64) >> 52) as i32;
    let m = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF_BITS));
    let t = (m - 1.0) / (m + 1.0);
    let s = t * t;
    let mut p = 1.0 / 19.0;
    p = p * s + 1.0 / 17.0;
    p = p * s + 1.0 / 15.0;
    p = p * s + 1.0 / 13.0;
    p = p * s + 1.0 / 11.0;
    p = p * s + 1.0 / 9.0;
    p = p * s + 1.0 / 7.0;
    p = p * s + 1.0 / 5.0;
    p = p * s + 1.0 / 3.0;
    p = p * s + 1.0;
    f64::from(e) + t * p * (2.0 * std::f64::consts::LOG2_E)
}

/// e^x through [`exp2`].
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    exp2(x * std::f64::consts::LOG2_E)
}

/// Amplitude of a level in dB; 0 dB is exactly 1.
#[inline(always)]
pub fn db_to_gain(db: f64) -> f64 {
    exp2(db * OCTAVES_PER_DB)
}

/// Level in dB of a non-negative amplitude; everything below the floor, and a NaN, reads as the
/// floor.
#[inline(always)]
pub fn gain_to_db(gain: f64) -> f64 {
    let audible = if gain > FLOOR_GAIN { gain } else { FLOOR_GAIN };
    log2(audible) * DB_PER_OCTAVE
}

/// Level in dB of a non-negative power.
#[inline(always)]
pub fn power_to_db(power: f64) -> f64 {
    const FLOOR_POWER: f64 = FLOOR_GAIN * FLOOR_GAIN;
    let audible = if power > FLOOR_POWER { power } else { FLOOR_POWER };
    log2(audible) * (0.5 * DB_PER_OCTAVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "{got} is not {want} within {tolerance}");
    }

    #[test]
    fn exp2_and_log2_agree_with_libm() {
        for step in -4000..4000 {
            let x = f64::from(step) * 0.037;
            let want = libm::exp2(x);
            check(exp2(x) / want, 1.0, 4e-15);
            check(log2(want), x, 4e-15 * x.abs().max(1.0));
        }
    }

    #[test]
    fn unity_and_doubling_are_exact() {
        assert_eq!(db_to_gain(0.0), 1.0);
        assert_eq!(exp2(10.0), 1024.0);
        assert_eq!(log2(1.0), 0.0);
        assert_eq!(log2(8.0), 3.0);
        check(db_to_gain(20.0), 10.0, 1e-13);
        check(gain_to_db(0.1), -20.0, 1e-12);
    }

    #[test]
    fn silence_and_nan_read_as_the_floor() {
        check(gain_to_db(0.0), FLOOR_DB, 1e-9);
        check(gain_to_db(f64::NAN), FLOOR_DB, 1e-9);
        check(power_to_db(0.0), FLOOR_DB, 1e-9);
    }
}
