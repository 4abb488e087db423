//! A soft drive that folds little back: x·g / sqrt(1 + (g² − 1)·x²), the identity at 0 dB, at full
//! scale full scale, for small signals g.
//!
//! It stands in front of filters, in voices of which there may be dozens, so it may cost little and may
//! not be late. It runs at twice the rate, between half-band filters of allpasses (recursive: no
//! latency to make up for, at the price of their phase), as the mean of the curve between two samples
//! instead of its value at one (antiderivative antialiasing, Parker et al. 2016). For this curve the
//! mean has a closed form without a difference that could vanish:
//! g·(x₁ + x₀) / (sqrt(1 + b·x₁²) + sqrt(1 + b·x₀²)), b = g² − 1. What a mean loses at the top three taps
//! give back.

use super::settle;
use crate::node::StateVisitor;

/// A two-path half-band filter of order 12: 104 dB, from 0.49 of the lower rate on.
const PATHS: [[f64; SECTIONS]; 2] = [
    [
        0.036_681_502_163_648_017,
        0.274_631_759_379_454_1,
        0.561_098_969_787_919_5,
        0.769_741_833_862_266,
        0.892_260_818_003_878_9,
        0.962_094_548_378_084,
    ],
    [
        0.136_547_624_631_957_71,
        0.423_138_617_436_566_67,
        0.677_540_049_974_161_6,
        0.839_889_624_849_638,
        0.931_541_959_963_183_9,
        0.987_816_370_732_897_1,
    ],
];
const SECTIONS: usize = 6;

/// Undoes the cosine of the mean within 0.2 dB up to 20 kHz at 48 kHz.
const SHARPEN: f64 = 0.175_7;

/// What the drive amounts to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    gain: f64,
    /// gain² − 1: zero is off.
    bend: f64,
    /// Share of a blend per frame.
    step: f64,
}

impl Default for Amount {
    fn default() -> Amount {
        Amount { gain: 1.0, bend: 0.0, step: 1.0 }
    }
}

impl Amount {
    /// A gain of 1 is off. Going on or off blends in so many frames.
    pub fn new(gain: f64, blend_frames: u64) -> Amount {
        Amount { gain, bend: gain * gain - 1.0, step: 1.0 / blend_frames.max(1) as f64 }
    }

    pub fn is_off(&self) -> bool {
        self.bend == 0.0
    }
}

/// Past inputs of each section and the last output.
type Path = [f64; SECTIONS + 1];

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drive {
    /// How much of it is heard; −1 before the first frame, which takes what is set.
    heard: f64,
    up: [Path; 2],
    down: [Path; 2],
    /// The sample before, at twice the rate.
    before: f64,
    /// Two means before.
    means: [f64; 2],
}

impl Default for Drive {
    fn default() -> Drive {
        let path = [0.0; SECTIONS + 1];
        Drive { heard: -1.0, up: [path; 2], down: [path; 2], before: 0.0, means: [0.0; 2] }
    }
}

impl Drive {
    /// Neither heard nor fading out.
    pub fn is_off(&self) -> bool {
        self.heard <= 0.0
    }

    /// As frames that passed while it was off would leave it.
    pub fn rest(&mut self) {
        self.heard = self.heard.max(0.0);
    }

    #[inline]
    pub fn run(&mut self, x: f64, amount: &Amount) -> f64 {
        let wanted = if amount.is_off() { 0.0 } else { 1.0 };
        if self.heard != wanted {
            if self.heard < 0.0 {
                self.heard = wanted;
            } else if self.heard < wanted {
                self.heard = (self.heard + amount.step).min(1.0);
            } else {
                self.heard = (self.heard - amount.step).max(0.0);
                if self.heard == 0.0 {
                    *self = Drive { heard: 0.0, ..Drive::default() };
                }
            }
        }
        if self.heard == 0.0 {
            return x;
        }
        let driven = self.driven(x, amount);
        if self.heard == 1.0 { driven } else { x + (driven - x) * self.heard }
    }

    #[inline]
    fn driven(&mut self, x: f64, amount: &Amount) -> f64 {
        let [first, second] = &mut self.up;
        let twice = [allpasses(first, &PATHS[0], x), allpasses(second, &PATHS[1], x)];
        let mut shaped = [0.0; 2];
        for (shaped, x) in shaped.iter_mut().zip(twice) {
            let root = |x: f64| (1.0 + amount.bend * (x * x)).sqrt();
            let mean = amount.gain * (x + self.before) / (root(x) + root(self.before));
            self.before = x;
            let [last, one_before] = self.means;
            *shaped = (1.0 + 2.0 * SHARPEN) * last - SHARPEN * (mean + one_before);
            self.means = [mean, last];
        }
        let [first, second] = &mut self.down;
        0.5 * (allpasses(first, &PATHS[0], shaped[1]) + allpasses(second, &PATHS[1], shaped[0]))
    }

    /// See [`super::settle`].
    pub fn settle(&mut self) {
        if self.heard > 0.0 {
            self.up.iter_mut().chain(&mut self.down).for_each(|path| settle::settle_all(path));
            self.before = settle::settle(self.before);
            settle::settle_all(&mut self.means);
        }
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.f64(&mut self.heard);
        self.up.iter_mut().chain(&mut self.down).for_each(|path| visitor.f64s(path));
        visitor.f64(&mut self.before);
        visitor.f64s(&mut self.means);
    }
}

/// A chain of first-order allpasses in the square of the delay.
#[inline]
fn allpasses(path: &mut Path, coefficients: &[f64; SECTIONS], x: f64) -> f64 {
    let mut x = x;
    for (at, coefficient) in coefficients.iter().enumerate() {
        let y = path[at] + coefficient * (x - path[at + 1]);
        path[at] = x;
        x = y;
    }
    path[SECTIONS] = x;
    x
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use rustfft::num_complex::Complex;

    use super::*;

    const RATE: usize = 48_000;

    /// A second of a driven tone, after another, as a spectrum in steps of a hertz.
    fn spectrum(hertz: usize, level: f64, drive_db: f64) -> Vec<f64> {
        let mut drive = Drive::default();
        let amount = Amount::new(crate::math::db_to_gain(drive_db), 480);
        let tone = |n: usize| level * libm::sin(TAU * hertz as f64 * n as f64 / RATE as f64);
        let driven: Vec<f64> = (0..2 * RATE).map(|n| drive.run(tone(n), &amount)).collect();
        let mut bins: Vec<Complex<f64>> =
            driven[RATE..].iter().map(|x| Complex::new(*x, 0.0)).collect();
        rustfft::FftPlanner::new().plan_fft_forward(RATE).process(&mut bins);
        bins[..RATE / 2].iter().map(|bin| bin.norm_sqr()).collect()
    }

    /// All below 20 kHz that is no harmonic, against all power, in dB.
    fn folded(hertz: usize, drive_db: f64) -> f64 {
        let powers = &spectrum(hertz, 1.0, drive_db)[1..20_000];
        let strange = powers.iter().enumerate().filter(|(at, _)| (at + 1) % hertz != 0);
        let total: f64 = powers.iter().sum();
        10.0 * libm::log10(strange.map(|(_, power)| power).sum::<f64>() / total)
    }

    #[test]
    fn what_folds_back_stays_below_the_stated_level() {
        for (hertz, drive, most) in [
            (997, 12.0, -120.0),
            (997, 24.0, -75.0),
            (4_999, 12.0, -68.0),
            (4_999, 24.0, -42.0),
            (4_999, 36.0, -37.0),
        ] {
            let found = folded(hertz, drive);
            println!("{hertz} Hz, {drive} dB: {found:.1} dB");
            assert!(found < most, "{hertz} Hz, {drive} dB: {found} dB");
        }
    }

    #[test]
    fn small_signals_rise_by_the_drive_at_every_frequency() {
        for hertz in [50, 997, 5_000, 10_000, 15_000, 20_000] {
            let power = spectrum(hertz, 1e-5, 12.0)[hertz];
            let gain = 10.0 * libm::log10(power) - 20.0 * libm::log10(1e-5 * RATE as f64 / 2.0);
            assert!((gain - 12.0).abs() < 0.25, "{hertz} Hz: {gain} dB");
        }
    }

    #[test]
    fn off_it_is_the_identity_and_going_on_and_off_leaves_no_trace() {
        let mut drive = Drive::default();
        let mut last = 0.0;
        for n in 0..9_600 {
            let x = 0.5 * libm::sin(TAU * 200.0 * f64::from(n) / 48_000.0);
            // As a knob comes and goes: the gain gets there before the drive is off.
            let way = f64::from((n - 1_000).min(5_000 - n)).clamp(0.0, 1_000.0) / 1_000.0;
            let y = drive.run(x, &Amount::new(1.0 + 3.0 * way, 480));
            // The material itself: 4 × 0.5 × sin(2π · 200 / 48 000) = 0.0524.
            assert!((y - last).abs() < 0.053, "a step of {} at {n}", y - last);
            last = y;
            if !(1_000..5_480).contains(&n) {
                assert_eq!(y, x, "{n}");
            }
        }
        assert_eq!(drive, Drive { heard: 0.0, ..Drive::default() });
    }
}
