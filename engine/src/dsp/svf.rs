//! State-variable filter in the trapezoidal form of Simper ("Linear trapezoidal state variable
//! filter", 2013): the two states are the integrators of the analogue circuit, so cutoff and
//! resonance may change at every sample without a step. That is why the filter node uses it and the
//! equaliser, which moves rarely, doesn't.

use std::f64::consts::PI;

use super::settle;

/// Designs stop short of Nyquist, where the integrator gain runs to infinity.
const HIGHEST_FRACTION: f64 = 0.49;
const LOWEST_HZ: f64 = 1.0;

/// Gains of one filter setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    pub k: f64,
    pub a1: f64,
    pub a2: f64,
    pub a3: f64,
}

impl Coefficients {
    pub fn new(hz: f64, q: f64, rate: f64) -> Self {
        Self::from_gain(integrator_gain(hz, rate), q)
    }

    #[inline(always)]
    pub fn from_gain(g: f64, q: f64) -> Self {
        let k = 1.0 / q;
        let a1 = 1.0 / (1.0 + g * (g + k));
        let a2 = g * a1;
        Self { k, a1, a2, a3: g * a2 }
    }
}

/// tan(π·hz/rate), the trapezoidal integrator's gain.
#[inline]
pub fn integrator_gain(hz: f64, rate: f64) -> f64 {
    let x = PI * hz.clamp(LOWEST_HZ, rate * HIGHEST_FRACTION) / rate;
    tan(x)
}

/// tan on 0..0.49π as sine over cosine of polynomials: the sample-rate cutoff modulation of a filter
/// would spend most of its time in a general-purpose tangent. Relative error below 1e-12.
#[inline(always)]
fn tan(x: f64) -> f64 {
    // Halving the angle keeps both series short: tan 2h = 2·sin h·cos h / (cos² h − sin² h).
    let h = 0.5 * x;
    let s = h * h;
    let mut sine = 1.605_904_383_682_161_5e-10;
    sine = sine * s - 2.505_210_838_544_172e-8;
    sine = sine * s + 2.755_731_922_398_589e-6;
    sine = sine * s - 1.984_126_984_126_984e-4;
    sine = sine * s + 8.333_333_333_333_333e-3;
    sine = sine * s - 1.666_666_666_666_666_6e-1;
    sine = (sine * s + 1.0) * h;
    let mut cosine = -1.147_074_559_772_972_5e-11;
    cosine = cosine * s + 2.087_675_698_786_81e-9;
    cosine = cosine * s - 2.755_731_922_398_589_4e-7;
    cosine = cosine * s + 2.480_158_730_158_73e-5;
    cosine = cosine * s - 1.388_888_888_888_889e-3;
    cosine = cosine * s + 4.166_666_666_666_666_4e-2;
    cosine = cosine * s - 0.5;
    cosine = cosine * s + 1.0;
    2.0 * sine * cosine / (cosine * cosine - sine * sine)
}

/// The simultaneous outputs of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outputs {
    pub low: f64,
    pub band: f64,
    pub high: f64,
}

/// The two integrator states.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    pub ic1: f64,
    pub ic2: f64,
}

impl State {
    #[inline(always)]
    pub fn step(&mut self, c: &Coefficients, x: f64) -> Outputs {
        let v3 = x - self.ic2;
        let v1 = c.a1 * self.ic1 + c.a2 * v3;
        let v2 = self.ic2 + c.a2 * self.ic1 + c.a3 * v3;
        self.ic1 = 2.0 * v1 - self.ic1;
        self.ic2 = 2.0 * v2 - self.ic2;
        Outputs { low: v2, band: v1, high: x - c.k * v1 - v2 }
    }

    pub fn settle(&mut self) {
        self.ic1 = settle::settle(self.ic1);
        self.ic2 = settle::settle(self.ic2);
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    #[test]
    fn tan_agrees_with_libm_up_to_the_highest_cutoff() {
        for step in 1..4900 {
            let x = f64::from(step) * 1e-4 * PI;
            let want = libm::tan(x);
            assert!((tan(x) / want - 1.0).abs() < 1e-12, "{x}: {} {want}", tan(x));
        }
    }

    /// Gain at one frequency, from the steady response to a sine.
    fn gain(pick: fn(Outputs) -> f64, hz: f64) -> f64 {
        let c = Coefficients::new(1000.0, std::f64::consts::FRAC_1_SQRT_2, 48_000.0);
        let mut state = State::default();
        let (mut re, mut im) = (0.0, 0.0);
        for n in 0..96_000 {
            let phase = TAU * hz * f64::from(n) / 48_000.0;
            let y = pick(state.step(&c, libm::sin(phase)));
            if n >= 48_000 {
                re += y * libm::sin(phase);
                im += y * libm::cos(phase);
            }
        }
        libm::hypot(re, im) / 24_000.0
    }

    #[test]
    fn outputs_have_the_closed_form_magnitude() {
        // Both sides of the bilinear transform: H(s) at the warped frequency.
        for hz in [100.0, 700.0, 1000.0, 3000.0, 15_000.0] {
            let w = libm::tan(PI * hz / 48_000.0) / libm::tan(PI * 1000.0 / 48_000.0);
            let bottom = libm::hypot(1.0 - w * w, w * std::f64::consts::SQRT_2);
            for (pick, want) in [
                ((|o: Outputs| o.low) as fn(Outputs) -> f64, 1.0 / bottom),
                (|o| o.band, w / bottom),
                (|o| o.high, w * w / bottom),
            ] {
                let got = gain(pick, hz);
                assert!((got - want).abs() < 1e-9, "{hz} Hz: {got} {want}");
            }
        }
    }
}
