//! Second-order sections: designs of the RBJ cookbook in `f64`, run in transposed direct form II.
//!
//! The form was chosen over a state-variable filter because an equaliser is eight of them on every
//! track and this is the cheapest stable recursion; what it lacks, smooth modulation, is repaired by
//! walking the coefficients linearly between two designs ([`run_ramp`]): the set of stable
//! coefficients is convex, so every point of the walk is stable.
//!
//! [`run_wide`] does `N` independent sections side by side with the same operations in the same
//! order, so lane `i` is bit-equal to [`run`] on that channel.

use std::f64::consts::TAU;

use super::{decibel, settle};

/// Designs stop short of Nyquist, where the bilinear transform folds every shape into a line.
pub const HIGHEST_FRACTION: f64 = 0.49;
const LOWEST_HZ: f64 = 1.0;

/// `y = b0·x + b1·x₁ + b2·x₂ − a1·y₁ − a2·y₂`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    pub b0: f64,
    pub b1: f64,
    pub b2: f64,
    pub a1: f64,
    pub a2: f64,
}

impl Default for Coefficients {
    fn default() -> Self {
        Self::IDENTITY
    }
}

/// Sine and cosine terms every cookbook design starts from.
struct Angle {
    cos: f64,
    alpha: f64,
}

impl Angle {
    fn new(hz: f64, q: f64, rate: f64) -> Self {
        let w = TAU * clamp_hz(hz, rate) / rate;
        Self { cos: libm::cos(w), alpha: libm::sin(w) / (2.0 * q) }
    }
}

/// The frequency a design really uses at this rate.
pub fn clamp_hz(hz: f64, rate: f64) -> f64 {
    hz.clamp(LOWEST_HZ, rate * HIGHEST_FRACTION)
}

impl Coefficients {
    pub const IDENTITY: Self = Self { b0: 1.0, b1: 0.0, b2: 0.0, a1: 0.0, a2: 0.0 };

    fn normalised(b: [f64; 3], a: [f64; 3]) -> Self {
        // Divisions, not a reciprocal: a bell of 0 dB must come out as the exact identity.
        Self { b0: b[0] / a[0], b1: b[1] / a[0], b2: b[2] / a[0], a1: a[1] / a[0], a2: a[2] / a[0] }
    }

    pub fn low_pass(hz: f64, q: f64, rate: f64) -> Self {
        let Angle { cos, alpha } = Angle::new(hz, q, rate);
        let b = 1.0 - cos;
        Self::normalised([0.5 * b, b, 0.5 * b], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    pub fn high_pass(hz: f64, q: f64, rate: f64) -> Self {
        let Angle { cos, alpha } = Angle::new(hz, q, rate);
        let b = 1.0 + cos;
        Self::normalised([0.5 * b, -b, 0.5 * b], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    pub fn notch(hz: f64, q: f64, rate: f64) -> Self {
        let Angle { cos, alpha } = Angle::new(hz, q, rate);
        Self::normalised([1.0, -2.0 * cos, 1.0], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    /// Unit gain in the middle.
    pub fn band_pass(hz: f64, q: f64, rate: f64) -> Self {
        let Angle { cos, alpha } = Angle::new(hz, q, rate);
        Self::normalised([alpha, 0.0, -alpha], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    /// Turns the phase by 180° at `hz`.
    pub fn all_pass(hz: f64, q: f64, rate: f64) -> Self {
        let Angle { cos, alpha } = Angle::new(hz, q, rate);
        Self::normalised(
            [1.0 - alpha, -2.0 * cos, 1.0 + alpha],
            [1.0 + alpha, -2.0 * cos, 1.0 - alpha],
        )
    }

    /// 6 dB per octave.
    pub fn first_low_pass(hz: f64, rate: f64) -> Self {
        let k = libm::tan(0.5 * TAU * clamp_hz(hz, rate) / rate);
        Self::normalised([k, k, 0.0], [k + 1.0, k - 1.0, 0.0])
    }

    pub fn first_high_pass(hz: f64, rate: f64) -> Self {
        let k = libm::tan(0.5 * TAU * clamp_hz(hz, rate) / rate);
        Self::normalised([1.0, -1.0, 0.0], [k + 1.0, k - 1.0, 0.0])
    }

    /// All of the output times `gain`.
    pub fn scaled(self, gain: f64) -> Self {
        Self { b0: self.b0 * gain, b1: self.b1 * gain, b2: self.b2 * gain, ..self }
    }

    pub fn bell(hz: f64, q: f64, gain_db: f64, rate: f64) -> Self {
        let Angle { cos, alpha } = Angle::new(hz, q, rate);
        let a = decibel::db_to_gain(gain_db * 0.5);
        Self::normalised(
            [1.0 + alpha * a, -2.0 * cos, 1.0 - alpha * a],
            [1.0 + alpha / a, -2.0 * cos, 1.0 - alpha / a],
        )
    }

    pub fn low_shelf(hz: f64, q: f64, gain_db: f64, rate: f64) -> Self {
        Self::shelf(Angle::new(hz, q, rate), gain_db, 1.0)
    }

    pub fn high_shelf(hz: f64, q: f64, gain_db: f64, rate: f64) -> Self {
        Self::shelf(Angle::new(hz, q, rate), gain_db, -1.0)
    }

    /// Both shelves are one formula: the high one mirrors the cosine and the odd coefficients.
    fn shelf(angle: Angle, gain_db: f64, side: f64) -> Self {
        let a = decibel::db_to_gain(gain_db * 0.5);
        let cos = angle.cos * side;
        let slope = 2.0 * a.sqrt() * angle.alpha;
        let (up, down) = (a + 1.0, a - 1.0);
        Self::normalised(
            [
                a * (up - down * cos + slope),
                side * (2.0 * a * (down - up * cos)),
                a * (up - down * cos - slope),
            ],
            [up + down * cos + slope, side * (-2.0 * (down + up * cos)), up + down * cos - slope],
        )
    }

    /// The point at `t` (0..=1) of the straight walk from `self` to `to`.
    #[inline]
    pub fn toward(&self, to: &Self, t: f64) -> Self {
        let mix = |from: f64, to: f64| from + (to - from) * t;
        Self {
            b0: mix(self.b0, to.b0),
            b1: mix(self.b1, to.b1),
            b2: mix(self.b2, to.b2),
            a1: mix(self.a1, to.a1),
            a2: mix(self.a2, to.a2),
        }
    }

    /// |H| at a frequency, from the transfer function itself.
    pub fn magnitude(&self, hz: f64, rate: f64) -> f64 {
        let w = TAU * hz / rate;
        let (c1, s1) = (libm::cos(w), libm::sin(w));
        let (c2, s2) = (libm::cos(2.0 * w), libm::sin(2.0 * w));
        let top = libm::hypot(self.b0 + self.b1 * c1 + self.b2 * c2, self.b1 * s1 + self.b2 * s2);
        let bottom = libm::hypot(1.0 + self.a1 * c1 + self.a2 * c2, self.a1 * s1 + self.a2 * s2);
        top / bottom
    }

    /// Numerator and denominator cancel: a section of silent state passes its input bit for bit.
    pub fn is_identity(&self) -> bool {
        self.b0 == 1.0 && self.b1 == self.a1 && self.b2 == self.a2
    }

    /// Both poles lie inside the unit circle.
    pub fn is_stable(&self) -> bool {
        self.a2 < 1.0 && self.a1.abs() < 1.0 + self.a2
    }

    /// Frames until an impulse has fallen below −120 dB, from the larger pole radius.
    pub fn decay_frames(&self) -> u64 {
        let half = -0.5 * self.a1;
        let under = half * half - self.a2;
        let radius = if under < 0.0 { self.a2.sqrt() } else { half.abs() + under.sqrt() };
        if radius <= 1e-6 {
            return 2;
        }
        // A double pole decays as n·rⁿ; the factor 1.5 covers the n for every audible radius.
        let frames = -6.0 / libm::log10(radius.min(1.0 - 1e-9));
        (1.5 * frames) as u64 + 2
    }
}

/// The two delayed sums of one section.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    pub s1: f64,
    pub s2: f64,
}

impl State {
    #[inline(always)]
    pub fn step(&mut self, c: &Coefficients, x: f64) -> f64 {
        let y = c.b0 * x + self.s1;
        // This grouping keeps all but one product and two sums off the recursion's critical path.
        self.s1 = (c.b1 * x + self.s2) - c.a1 * y;
        self.s2 = c.b2 * x - c.a2 * y;
        y
    }

    /// See [`settle`]; due at absolute multiples of [`settle::GRID`].
    #[inline]
    pub fn settle(&mut self) {
        self.s1 = settle::settle(self.s1);
        self.s2 = settle::settle(self.s2);
    }

    pub fn is_silent(&self) -> bool {
        self.s1 == 0.0 && self.s2 == 0.0
    }
}

/// Filters a slice in place with fixed coefficients.
#[inline]
pub fn run(state: &mut State, c: &Coefficients, samples: &mut [f64]) {
    let mut local = *state;
    for sample in samples {
        *sample = local.step(c, *sample);
    }
    *state = local;
}

/// Filters while the coefficients walk from `from` to `to`; `position(i)` in 0..=1 is where on the
/// walk sample `i` is, a function of the absolute frame only.
#[inline]
pub fn run_ramp(
    state: &mut State,
    from: &Coefficients,
    to: &Coefficients,
    position: impl Fn(usize) -> f64,
    samples: &mut [f64],
) {
    for (i, sample) in samples.iter_mut().enumerate() {
        let c = from.toward(to, position(i));
        *sample = state.step(&c, *sample);
    }
}

/// Coefficients of `N` sections side by side, aligned as the widest registers want them: there are
/// more of them than registers, so inner loops read them again for every frame.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub struct WideCoefficients<const N: usize> {
    pub b0: [f64; N],
    pub b1: [f64; N],
    pub b2: [f64; N],
    pub a1: [f64; N],
    pub a2: [f64; N],
}

impl<const N: usize> WideCoefficients<N> {
    /// What changes nothing, in every lane.
    pub const FLAT: Self =
        Self { b0: [1.0; N], b1: [0.0; N], b2: [0.0; N], a1: [0.0; N], a2: [0.0; N] };

    #[inline(always)]
    pub fn gather(of: impl Fn(usize) -> Coefficients) -> Self {
        let of: [Coefficients; N] = std::array::from_fn(of);
        Self {
            b0: of.map(|c| c.b0),
            b1: of.map(|c| c.b1),
            b2: of.map(|c| c.b2),
            a1: of.map(|c| c.a1),
            a2: of.map(|c| c.a2),
        }
    }
}

/// States of `N` sections side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub struct WideState<const N: usize> {
    pub s1: [f64; N],
    pub s2: [f64; N],
}

impl<const N: usize> WideState<N> {
    pub const REST: Self = Self { s1: [0.0; N], s2: [0.0; N] };

    #[inline(always)]
    pub fn gather(of: impl Fn(usize) -> State) -> Self {
        let of: [State; N] = std::array::from_fn(of);
        Self { s1: of.map(|state| state.s1), s2: of.map(|state| state.s2) }
    }

    #[inline(always)]
    pub fn get(&self, i: usize) -> State {
        State { s1: self.s1[i], s2: self.s2[i] }
    }

    #[inline(always)]
    pub fn step(&mut self, c: &WideCoefficients<N>, x: [f64; N]) -> [f64; N] {
        let mut y = [0.0; N];
        for i in 0..N {
            y[i] = c.b0[i] * x[i] + self.s1[i];
            self.s1[i] = (c.b1[i] * x[i] + self.s2[i]) - c.a1[i] * y[i];
            self.s2[i] = c.b2[i] * x[i] - c.a2[i] * y[i];
        }
        y
    }

    #[inline(always)]
    pub fn settle(&mut self) {
        for i in 0..N {
            self.s1[i] = settle::settle(self.s1[i]);
            self.s2[i] = settle::settle(self.s2[i]);
        }
    }
}

/// `K` sections in series over `N` lanes of `C` channels, frame by frame, in one pass over the samples;
/// a lane has the same coefficients in every channel. Each frame's sections wait for each other, but a
/// section is busy with the next channel and frame while the ones behind it are still at this one, so
/// the recursions overlap instead of adding up; and audio is read and written once instead of `K`
/// times. Lane by lane the operations and their order are those of [`run`] section after section.
#[inline(always)]
pub fn run_series<const K: usize, const C: usize, const N: usize, In, Out>(
    states: &mut [[WideState<N>; C]; K],
    c: &[WideCoefficients<N>; K],
    frames: usize,
    input: In,
    mut output: Out,
) where
    In: Fn(usize) -> [[f64; N]; C],
    Out: FnMut(usize, [[f64; N]; C]),
{
    let (mut local, c) = (*states, *c);
    for i in 0..frames {
        let mut x = input(i);
        for k in 0..K {
            for channel in 0..C {
                x[channel] = local[k][channel].step(&c[k], x[channel]);
            }
        }
        output(i, x);
    }
    *states = local;
}

/// [`run`] for `N` channels in structure-of-arrays form. `#[inline(always)]` lets a caller compile it
/// under a wider instruction set; the bits don't change.
#[inline(always)]
pub fn run_wide<const N: usize>(
    state: &mut WideState<N>,
    c: &WideCoefficients<N>,
    samples: &mut [[f64; N]],
) {
    let (mut local, c) = (*state, *c);
    for sample in samples {
        *sample = local.step(&c, *sample);
    }
    *state = local;
}

pub mod analogue;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(c: Coefficients, hz: f64, want_db: f64) {
        let got = decibel::gain_to_db(c.magnitude(hz, 48_000.0));
        assert!((got - want_db).abs() < 1e-9, "{hz} Hz: {got} dB is not {want_db} dB");
    }

    #[test]
    fn designs_meet_their_defining_points() {
        let q = std::f64::consts::FRAC_1_SQRT_2;
        let half_power = -10.0 * libm::log10(2.0);
        check(Coefficients::low_pass(1000.0, q, 48_000.0), 1000.0, half_power);
        check(Coefficients::high_pass(1000.0, q, 48_000.0), 1000.0, half_power);
        check(Coefficients::low_pass(1000.0, q, 48_000.0), 0.0, 0.0);
        check(Coefficients::bell(3000.0, 2.0, 9.0, 48_000.0), 3000.0, 9.0);
        check(Coefficients::low_shelf(200.0, q, -6.0, 48_000.0), 0.0, -6.0);
        check(Coefficients::low_shelf(200.0, q, -6.0, 48_000.0), 200.0, -3.0);
        check(Coefficients::high_shelf(5000.0, q, 7.5, 48_000.0), 24_000.0, 7.5);
        check(Coefficients::high_shelf(5000.0, q, 7.5, 48_000.0), 5000.0, 3.75);
    }

    #[test]
    fn every_design_is_stable_at_every_rate() {
        for rate in [8_000.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0, 384_000.0] {
            for hz in [0.0, 5.0, 20.0, 1000.0, 20_000.0, 200_000.0] {
                for q in [0.1, 0.7, 40.0] {
                    for db in [-30.0, 0.0, 30.0] {
                        for c in [
                            Coefficients::low_pass(hz, q, rate),
                            Coefficients::high_pass(hz, q, rate),
                            Coefficients::notch(hz, q, rate),
                            Coefficients::bell(hz, q, db, rate),
                            Coefficients::low_shelf(hz, q, db, rate),
                            Coefficients::high_shelf(hz, q, db, rate),
                        ] {
                            assert!(c.is_stable(), "{rate} {hz} {q} {db}: {c:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_impulse_is_inaudible_after_the_stated_decay() {
        for c in [
            Coefficients::bell(40.0, 10.0, 18.0, 48_000.0),
            Coefficients::low_pass(30.0, 0.5, 48_000.0),
            Coefficients::high_pass(200.0, 0.7, 48_000.0),
        ] {
            let mut state = State::default();
            let mut samples = vec![0.0; c.decay_frames() as usize + 2000];
            samples[0] = 1.0;
            run(&mut state, &c, &mut samples);
            let rest = &samples[c.decay_frames() as usize..];
            let loudest = rest.iter().fold(0.0f64, |max, x| max.max(x.abs()));
            assert!(loudest < 1e-6, "{c:?}: {loudest}");
        }
    }

    #[test]
    fn wide_sections_are_bit_equal_to_scalar_ones() {
        const N: usize = 16;
        let design = |i: usize| {
            Coefficients::bell(100.0 * (i as f64 + 1.0), 0.7, 3.0 * i as f64 - 9.0, 48_000.0)
        };
        let input: Vec<[f64; N]> = (0..500)
            .map(|n| std::array::from_fn(|i| libm::sin(0.01 * f64::from(n) * (i as f64 + 1.0))))
            .collect();
        let mut wide = input.clone();
        let mut state = WideState::<N>::gather(|_| State::default());
        run_wide(&mut state, &WideCoefficients::gather(design), &mut wide);
        for i in 0..N {
            let mut scalar: Vec<f64> = input.iter().map(|frame| frame[i]).collect();
            let mut alone = State::default();
            run(&mut alone, &design(i), &mut scalar);
            assert!(scalar.iter().zip(&wide).all(|(a, b)| a.to_bits() == b[i].to_bits()));
            assert_eq!(alone, state.get(i));
        }
    }

    #[test]
    fn a_bell_or_shelf_of_0_db_is_the_exact_identity() {
        for hz in [20.0, 137.0, 1000.0, 19_999.0] {
            assert!(Coefficients::bell(hz, 1.3, 0.0, 48_000.0).is_identity());
            assert!(Coefficients::low_shelf(hz, 1.3, 0.0, 48_000.0).is_identity());
            assert!(Coefficients::high_shelf(hz, 1.3, 0.0, 48_000.0).is_identity());
        }
    }
}
