//! Sections that keep the shape of their analogue models up to the end of the spectrum.
//!
//! The bilinear transform squeezes all frequencies below half the rate, so a bell at 12 kHz is too
//! narrow on its upper side. Here the poles are those of the model, sampled (impulse invariance),
//! and the zeros are chosen so that the magnitude is the model's at zero, at half the rate and at the
//! band's own frequency (after Vicanek, "Matched second order digital filters", 2016).

use std::f64::consts::PI;

use super::{Coefficients, clamp_hz};
use crate::dsp::decibel;

/// The third frequency of agreement stays this far below half the rate, where all three would fall
/// together.
const HIGHEST_MATCH: f64 = 0.425;

/// (n₂s² + n₁s + n₀) / (s² + d₁s + d₀), with s in units of the band's frequency.
#[derive(Clone, Copy)]
struct Model {
    n: [f64; 3],
    d: [f64; 2],
}

impl Model {
    /// |H|² at `x` times the band's frequency.
    fn power(&self, x: f64) -> f64 {
        let Model { n: [n2, n1, n0], d: [d1, d0] } = *self;
        let square = x * x;
        let (top, bottom) = (n0 - n2 * square, d0 - square);
        (top * top + n1 * n1 * square) / (bottom * bottom + d1 * d1 * square)
    }

    fn sampled(&self, hz: f64, rate: f64) -> Coefficients {
        let hz = clamp_hz(hz, rate);
        let [d1, d0] = self.d;
        let pole = 2.0 * PI * hz * d0.sqrt() / rate;
        let damping = 0.5 * d1 / d0.sqrt();
        let fall = libm::exp(-damping * pole);
        let under = 1.0 - damping * damping;
        let turn = if under >= 0.0 {
            2.0 * fall * libm::cos(under.sqrt() * pole)
        } else {
            // The two real poles, summed without the overflow of a hyperbolic cosine.
            let split = (-under).sqrt();
            libm::exp((split - damping) * pole) + libm::exp((-split - damping) * pole)
        };
        let (a1, a2) = (-turn, fall * fall);
        let denominator = [(1.0 + a1 + a2) * (1.0 + a1 + a2), (1.0 - a1 + a2) * (1.0 - a1 + a2)];
        let x = (HIGHEST_MATCH * rate / hz).min(1.0);
        let sine = libm::sin(PI * x * hz / rate);
        let phi1 = sine * sine;
        let phi0 = 1.0 - phi1;
        let phi2 = 4.0 * phi0 * phi1;
        let at_zero = denominator[0] * self.power(0.0);
        let at_half = denominator[1] * self.power(0.5 * rate / hz);
        let bottom = denominator[0] * phi0 + denominator[1] * phi1 - 4.0 * a2 * phi2;
        let bend = (self.power(x) * bottom - at_zero * phi0 - at_half * phi1) / phi2;
        let (zero, half) = (at_zero.max(0.0).sqrt(), at_half.max(0.0).sqrt());
        let w = 0.5 * (zero + half);
        let b0 = 0.5 * (w + (w * w + bend).max(0.0).sqrt());
        let b2 = if b0 > 0.0 { -0.25 * bend / b0 } else { 0.0 };
        Coefficients { b0, b1: 0.5 * (zero - half), b2, a1, a2 }
    }
}

impl Coefficients {
    pub fn analogue_low_pass(hz: f64, q: f64, rate: f64) -> Self {
        Model { n: [0.0, 0.0, 1.0], d: [1.0 / q, 1.0] }.sampled(hz, rate)
    }

    pub fn analogue_high_pass(hz: f64, q: f64, rate: f64) -> Self {
        Model { n: [1.0, 0.0, 0.0], d: [1.0 / q, 1.0] }.sampled(hz, rate)
    }

    pub fn analogue_band_pass(hz: f64, q: f64, rate: f64) -> Self {
        Model { n: [0.0, 1.0 / q, 0.0], d: [1.0 / q, 1.0] }.sampled(hz, rate)
    }

    /// A cut undoes the boost of the same size: only for boosts do such zeros always exist.
    pub fn analogue_bell(hz: f64, q: f64, gain_db: f64, rate: f64) -> Self {
        if gain_db == 0.0 {
            return Self::IDENTITY;
        }
        let a = decibel::db_to_gain(gain_db.abs() * 0.5);
        let model = Model { n: [1.0, a / q, 1.0], d: [1.0 / (a * q), 1.0] };
        let boost = model.sampled(hz, rate);
        if gain_db > 0.0 { boost } else { boost.inverse() }
    }

    pub fn analogue_low_shelf(hz: f64, q: f64, gain_db: f64, rate: f64) -> Self {
        if gain_db == 0.0 {
            return Self::IDENTITY;
        }
        let a = decibel::db_to_gain(gain_db.abs() * 0.5);
        let slope = a.sqrt() / q;
        let model = Model { n: [1.0, slope, a], d: [slope / a, 1.0 / a] };
        let boost = model.sampled(hz, rate);
        if gain_db > 0.0 { boost } else { boost.inverse() }
    }

    /// All of the gain, and a low shelf that takes it away again.
    pub fn analogue_high_shelf(hz: f64, q: f64, gain_db: f64, rate: f64) -> Self {
        if gain_db == 0.0 {
            return Self::IDENTITY;
        }
        Self::analogue_low_shelf(hz, q, -gain_db, rate).scaled(decibel::db_to_gain(gain_db))
    }

    /// The section after which all is as before. Its zeros must lie inside the unit circle.
    fn inverse(self) -> Self {
        Self {
            b0: 1.0 / self.b0,
            b1: self.a1 / self.b0,
            b2: self.a2 / self.b0,
            a1: self.b1 / self.b0,
            a2: self.b2 / self.b0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn db(power: f64) -> f64 {
        10.0 * libm::log10(power.max(1e-20))
    }

    /// The largest departure from the model up to `part` of the rate, where the model is above −60 dB.
    fn departure(model: &Model, section: &Coefficients, hz: f64, rate: f64, part: f64) -> f64 {
        let mut most = 0.0f64;
        for step in 1..400 {
            let at = part * rate * f64::from(step) / 400.0;
            let want = db(model.power(at / hz));
            let got = 2.0 * db(section.magnitude(at, rate));
            if want > -60.0 {
                most = most.max((got - want).abs());
            }
        }
        most
    }

    #[test]
    fn a_bell_keeps_its_shape_where_the_bilinear_one_narrows() {
        let (hz, rate, gain_db) = (12_000.0, 48_000.0, 12.0);
        let a = decibel::db_to_gain(0.5 * gain_db);
        let model = Model { n: [1.0, a, 1.0], d: [1.0 / a, 1.0] };
        let matched = Coefficients::analogue_bell(hz, 1.0, gain_db, rate);
        let bent = Coefficients::bell(hz, 1.0, gain_db, rate);
        let (matched, bent) =
            (departure(&model, &matched, hz, rate, 0.49), departure(&model, &bent, hz, rate, 0.49));
        assert!(matched < 0.8 && bent > 4.0, "{matched} against {bent} dB");
    }

    #[test]
    fn every_section_is_stable_and_agrees_at_zero_and_at_its_frequency() {
        for rate in [44_100.0, 48_000.0, 96_000.0, 192_000.0] {
            for hz in [20.0, 100.0, 1_000.0, 8_000.0, 16_000.0, 22_000.0] {
                for q in [0.1, 0.7, 4.0, 24.0] {
                    for gain in [-24.0, -6.0, 3.0, 24.0] {
                        let bell = Coefficients::analogue_bell(hz, q, gain, rate);
                        let low = Coefficients::analogue_low_shelf(hz, q, gain, rate);
                        let high = Coefficients::analogue_high_shelf(hz, q, gain, rate);
                        for section in [bell, low, high] {
                            let finite = section.magnitude(0.3 * rate, rate).is_finite();
                            assert!(section.is_stable() && finite, "{hz} {q} {gain} {rate}");
                        }
                        let at =
                            |section: &Coefficients, hz: f64| 2.0 * db(section.magnitude(hz, rate));
                        let check = |name, section, hz, want: f64| {
                            let got = at(section, hz);
                            let case = format!("{name} {hz} {q} {gain} {rate}");
                            assert!((got - want).abs() < 0.01, "{case}: {got}, not {want}");
                        };
                        check("bell", &bell, 0.0, 0.0);
                        check("high", &high, 0.0, 0.0);
                        check("low", &low, 0.0, gain);
                        if hz < HIGHEST_MATCH * rate {
                            check("bell", &bell, hz, gain);
                            check("high", &high, hz, 0.5 * gain);
                            check("low", &low, hz, 0.5 * gain);
                        }
                    }
                }
            }
        }
    }
}
