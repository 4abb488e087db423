//! The limiter: true-peak, look-ahead, linked.
//!
//! The gain that each frame needs is computed from peaks read between the samples; its exact sliding
//! minimum over the look-ahead, held by the release, is then averaged by two box filters that span the
//! same look-ahead. An average of values that are all low enough is low enough, so the ceiling is
//! kept by construction, not by a clipper; what remains is the curvature of the gain itself between
//! two samples. Nothing in the chain keeps a drifting sum: see [`sliding`](crate::dsp::sliding).

use crate::{
    dsp::{
        decibel,
        envelope_follower::finite,
        fixed_delay::FixedDelay,
        settle,
        sliding::{SlidingMean, SlidingMin, quantise_down},
        smooth,
        truepeak::{self, TruePeak},
    },
    node::{Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail, batch::Values},
    param::{ParamDesc, Unit},
};

const INPUT: usize = 0;
const CEILING: usize = 1;
const RELEASE: usize = 2;
const LOOK_AHEAD: usize = 3;
const AUTO_RELEASE: usize = 4;

const LONGEST_RELEASE_MS: f64 = 2000.0;
/// With automatic release, half of a reduction in dB that has lasted comes back this many times
/// slower.
const SLOW: f64 = 10.0;
/// And how many release times it takes to have lasted.
const LASTING: f64 = 5.0;

const PARAMS: &[ParamDesc] = &[
    ParamDesc::new("input", "Input gain", Unit::Decibel, (-12.0, 36.0), 0.0),
    ParamDesc::new("ceiling", "Ceiling", Unit::Decibel, (-24.0, 0.0), -1.0),
    ParamDesc::new("release", "Release", Unit::Milliseconds, (1.0, LONGEST_RELEASE_MS), 80.0)
        .exponential(),
    ParamDesc::new("lookAhead", "Look-ahead", Unit::Milliseconds, (0.5, 10.0), 2.0).layout(),
    ParamDesc::switch("autoRelease", "Automatic release", false),
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.limiter", "Limiter", PARAMS);
    // 2: there is more state.
    descriptor.dsp_version = 2;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Limiter::default()));

#[derive(Default)]
struct Limiter {
    rate: f64,
    stereo: bool,
    chain: Option<Chain>,
    release: Release,
}

/// What is kept per frame.
#[derive(Clone, Copy, Default)]
struct Release {
    keep: f64,
    /// Of what lasts: while it gets more, and while it gets less.
    lasting: Option<[f64; 2]>,
}

/// Everything whose size follows from rate and layout.
struct Chain {
    detectors: [TruePeak; 2],
    /// Peak of the interval before the present one: a sample lies between two intervals.
    previous_peak: f64,
    lowest: SlidingMin,
    held: f64,
    /// The gain that has lasted; 1 without automatic release.
    lasting: f64,
    boxes: [SlidingMean; 2],
    delays: [FixedDelay; 2],
    gain: f64,
}

impl Chain {
    fn new(rate: f64, look_ahead_ms: f64) -> Self {
        let window = (libm::round(look_ahead_ms * 1e-3 * rate) as usize).max(4);
        // Two boxes of a and b frames reach over a + b − 1.
        let second = window / 3;
        let first = window + 1 - second;
        let detector = || TruePeak::new(truepeak::limiter_factor(rate));
        let delay = || FixedDelay::new(truepeak::DELAY + window - 1);
        Self {
            detectors: [detector(), detector()],
            previous_peak: 0.0,
            lowest: SlidingMin::new(window, 1.0),
            held: 1.0,
            lasting: 1.0,
            boxes: [SlidingMean::new(first, 1.0), SlidingMean::new(second, 1.0)],
            delays: [delay(), delay()],
            gain: 1.0,
        }
    }

    /// Whether no peak of this cell can reach `ceiling`, so that the interpolation may be left out.
    /// Every outcome above the ceiling is the same either way.
    fn is_harmless(&mut self, cell: &[[f64; 2]], ceiling: f64) -> bool {
        let mut loudest = 0.0f64;
        for sample in cell.iter().flatten() {
            loudest = if sample.abs() > loudest { sample.abs() } else { loudest };
        }
        for detector in &mut self.detectors {
            loudest = detector.state().iter().fold(loudest, |max, x| max.max(x.abs()));
        }
        loudest * self.detectors[0].bound() < ceiling
    }

    /// The gain for the frame that leaves the delay now.
    #[inline]
    fn step(&mut self, frame: [f64; 2], harmless: bool, ceiling: f64, release: &Release) -> f64 {
        let [left, right] = &mut self.detectors;
        let peak = if harmless {
            left.skip(frame[0]).max(right.skip(frame[1]))
        } else {
            left.step(frame[0]).max(right.step(frame[1]))
        };
        let around = peak.max(self.previous_peak);
        self.previous_peak = peak;
        let wanted = if around > ceiling { ceiling / around } else { 1.0 };
        let lowest = self.lowest.step(wanted);
        let risen = smooth::step(self.held, lowest, release.keep);
        self.held = if lowest < risen { lowest } else { risen };
        let held = self.held.min(self.lasting(release));
        let once = self.boxes[0].step(quantise_down(held));
        self.gain = self.boxes[1].step(quantise_down(once));
        self.gain
    }

    /// The root of the gain that has lasted, which is half of its decibels.
    #[inline]
    fn lasting(&mut self, release: &Release) -> f64 {
        let Some([more, less]) = release.lasting else {
            self.lasting = 1.0;
            return 1.0;
        };
        let keep = if self.held < self.lasting { more } else { less };
        self.lasting = smooth::step(self.lasting, self.held, keep);
        self.lasting.max(0.0).sqrt()
    }

    fn settle(&mut self) {
        self.held = settle::settle(self.held);
        self.lasting = settle::settle(self.lasting);
    }

    fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        for detector in &mut self.detectors {
            visitor.f64s(detector.state());
        }
        visitor.f64(&mut self.previous_peak);
        visitor.f64s(self.lowest.window_in_order());
        self.lowest.rebuild();
        visitor.f64(&mut self.held);
        visitor.f64(&mut self.lasting);
        for mean in &mut self.boxes {
            visitor.f64s(mean.window_in_order());
            mean.rebuild();
        }
        for delay in &mut self.delays {
            delay.visit(visitor);
        }
    }

    fn reset(&mut self) {
        self.detectors.iter_mut().for_each(TruePeak::clear);
        self.previous_peak = 0.0;
        self.lowest.fill(1.0);
        self.held = 1.0;
        self.lasting = 1.0;
        self.boxes.iter_mut().for_each(|mean| mean.fill(1.0));
        self.delays.iter_mut().for_each(FixedDelay::clear);
        self.gain = 1.0;
    }
}

/// A limiter is the last guard: a bad sample leaves it as silence.
#[inline(always)]
fn clean(sample: f32) -> f64 {
    let sample = f64::from(sample);
    if finite(sample.abs()) == sample.abs() { sample } else { 0.0 }
}

impl Node for Limiter {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.stereo = setup.channels > 1;
        self.chain = Some(Chain::new(self.rate, setup.param(LOOK_AHEAD)));
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let values = Values::of(io);
        if values.changed {
            let seconds = values.end(RELEASE) * 1e-3;
            let keep = |times: f64| smooth::coefficient(times * seconds, self.rate);
            let lasting = values.is_on(AUTO_RELEASE).then(|| [keep(LASTING), keep(SLOW)]);
            self.release = Release { keep: keep(1.0), lasting };
        }
        let Some(chain) = &mut self.chain else { return };
        let frames = io.frames();
        let (left, right) = io.output_pair(0);
        let (input, ceiling) = (values.ramp(INPUT), values.ramp(CEILING));
        let mut cell = [[0.0; 2]; settle::GRID as usize];
        for (from, to, due) in settle::cells(values.frame as u64, frames) {
            if due {
                chain.settle();
            }
            let cell = &mut cell[..to - from];
            for (i, frame) in cell.iter_mut().enumerate() {
                let gain = decibel::db_to_gain(input.at(from + i));
                let l = clean(left[from + i]);
                let r = if self.stereo { clean(right[from + i]) } else { l };
                // Through f32, which is what the delay keeps.
                *frame = [l, r].map(|x| f64::from((x * gain) as f32));
            }
            let edges = [input_at(&ceiling, from), input_at(&ceiling, to - 1)];
            let harmless = chain.is_harmless(cell, edges[0].min(edges[1]));
            for (i, frame) in cell.iter().enumerate() {
                let ceiling = input_at(&ceiling, from + i);
                let gain = chain.step(*frame, harmless, ceiling, &self.release);
                let [delay_left, delay_right] = &mut chain.delays;
                let l = delay_left.step(frame[0] as f32);
                left[from + i] = (f64::from(l) * gain) as f32;
                if self.stereo {
                    let r = delay_right.step(frame[1] as f32);
                    right[from + i] = (f64::from(r) * gain) as f32;
                }
            }
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        if let Some(chain) = &mut self.chain {
            chain.visit(visitor);
        }
    }

    fn reset(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.reset();
        }
    }

    fn latency(&self) -> u32 {
        self.chain.as_ref().map_or(0, |chain| chain.delays[0].frames() as u32)
    }

    /// The sound ends with the delay; nine release times later the gain is back at one.
    fn tail(&self) -> Tail {
        let slowest = if self.release.lasting.is_some() { SLOW } else { 1.0 };
        let recovery = 9.0 * slowest * LONGEST_RELEASE_MS * 1e-3 * self.rate;
        Tail::Frames(u64::from(self.latency()) + recovery as u64)
    }

    fn readings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let gain = self.chain.as_ref().map_or(1.0, |chain| chain.gain);
        show("gainReduction", decibel::gain_to_db(gain));
    }
}

/// The ceiling as an amplitude, at a frame of the call.
#[inline(always)]
fn input_at(ramp: &crate::param::Ramp, frame: usize) -> f64 {
    decibel::db_to_gain(ramp.at(frame))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, check_cuts, noise};

    fn rig(rate: u32, channels: usize) -> Rig {
        let mut setup = Setup::new(KIND.descriptor, rate, 4096);
        setup.channels = channels;
        Rig::with_setup(&KIND, setup)
    }

    /// True peak of a signal in dB, read 32 times finer than its samples by a long interpolator.
    fn true_peak_db(samples: &[f32]) -> f64 {
        const HALF: usize = 32;
        let mut peak = 0.0f64;
        for phase in 0..32 {
            let offset = f64::from(phase) / 32.0;
            let taps: Vec<f64> = (0..2 * HALF)
                .map(|i| {
                    let at = i as f64 - (HALF as f64 - 1.0) - offset;
                    let edge = at / HALF as f64;
                    let window = 0.5 + 0.5 * libm::cos(std::f64::consts::PI * edge);
                    let x = std::f64::consts::PI * at;
                    if x.abs() < 1e-12 { 1.0 } else { libm::sin(x) / x * window }
                })
                .collect();
            for window in samples.windows(2 * HALF) {
                let value: f64 = taps.iter().zip(window).map(|(tap, x)| tap * f64::from(*x)).sum();
                peak = peak.max(value.abs());
            }
        }
        20.0 * libm::log10(peak)
    }

    /// Leaves what lies below 0.42 of the rate, 20 kHz at 48 kHz.
    fn band_limited(input: Vec<f32>) -> Vec<f32> {
        const HALF: i32 = 60;
        let tap = |at: i32| {
            let x = std::f64::consts::PI * f64::from(at);
            let window = 0.42
                + 0.5 * libm::cos(x / f64::from(HALF))
                + 0.08 * libm::cos(2.0 * x / f64::from(HALF));
            if at == 0 { 0.84 } else { libm::sin(0.84 * x) / x * window }
        };
        let taps: Vec<f64> = (-HALF..=HALF).map(tap).collect();
        let sum =
            |window: &[f32]| taps.iter().zip(window).map(|(t, x)| t * f64::from(*x)).sum::<f64>();
        input.windows(taps.len()).map(|window| sum(window) as f32).collect()
    }

    /// The stated tolerance above the ceiling, for material below 0.42 of the rate. Above 64 kHz the
    /// worst case is ultrasonic.
    fn tolerance_db(rate: u32) -> f64 {
        if rate < 64_000 { 0.05 } else { 0.2 }
    }

    fn check(rate: u32, name: &str, input: Vec<f32>) {
        let mut rig = rig(rate, 1);
        rig.set("ceiling", -1.0).set("release", 20.0);
        let frames = input.len();
        let out = rig.run(&[vec![input]], frames, &[512]);
        let top = out[0][0].iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let ceiling = decibel::db_to_gain(-1.0);
        assert!(f64::from(top) <= ceiling * (1.0 + 1e-6), "{name}: a sample of {top}");
        let peak = true_peak_db(&out[0][0][200..]);
        assert!(peak < -1.0 + tolerance_db(rate), "{name} at {rate}: {peak} dBTP");
    }

    #[test]
    fn the_ceiling_holds_between_the_samples() {
        use std::f64::consts::TAU;
        for rate in [44_100, 48_000, 96_000, 192_000] {
            let sine = |hz: f64, phase: f64, peak: f64| -> Vec<f32> {
                (0..6000)
                    .map(|n| libm::sin(TAU * hz * f64::from(n) / f64::from(rate) + phase))
                    .map(|x| (peak * x) as f32)
                    .collect()
            };
            check(rate, "a quarter of the rate", sine(f64::from(rate) / 4.0, TAU / 8.0, 1.4));
            check(rate, "a third of the rate", sine(f64::from(rate) / 3.0, 0.3, 2.0));
            check(rate, "20 kHz", sine(20_000.0, 0.1, 3.0));
            check(rate, "997 Hz", sine(997.0, 0.0, 4.0));
            let loud = noise(7, 1, 6000)[0].iter().map(|x| x * 6.0).collect();
            check(rate, "noise", band_limited(loud));
            let bursts = (0..6000)
                .map(|n| if n % 701 < 3 { if n % 2 == 0 { 4.0 } else { -4.0 } } else { 0.01 })
                .collect();
            check(rate, "bursts", bursts);
        }
    }

    #[test]
    fn below_the_ceiling_it_is_a_pure_delay() {
        let input = noise(2, 2, 3000);
        let mut rig = rig(48_000, 2);
        rig.set("ceiling", 0.0);
        let latency = rig.node.latency() as usize;
        assert_eq!(latency, 16 + 96 - 1);
        let quiet: Vec<Vec<f32>> =
            input.iter().map(|plane| plane.iter().map(|x| x * 0.5).collect()).collect();
        let out = rig.run(std::slice::from_ref(&quiet), 3000, &[100]);
        for (out, input) in out[0].iter().zip(&quiet) {
            assert_eq!(out[latency..], input[..3000 - latency]);
        }
    }

    #[test]
    fn a_steady_tone_loses_exactly_what_exceeds() {
        let input: Vec<f32> =
            (0..48_000).map(|n| (2.0 * libm::sin(0.13 * f64::from(n))) as f32).collect();
        let mut rig = rig(48_000, 1);
        rig.set("release", 1000.0);
        rig.run(&[vec![input]], 48_000, &[512]);
        let mut found = 0.0;
        rig.node.readings(&mut |_, value| found = value);
        assert!((found + 7.0206).abs() < 0.02, "{found}");
    }

    #[test]
    fn automatic_release_is_fast_after_peaks_and_slow_after_what_lasted() {
        let left_after = |loud_ms: f64, auto: f64| {
            let mut rig = rig(48_000, 1);
            rig.set("ceiling", -12.0).set("release", 50.0).set("autoRelease", auto);
            let (loud, quiet) = ((loud_ms * 48.0) as usize, 7_200);
            let sine = |n: usize| libm::sin(0.05 * n as f64) as f32;
            let input: Vec<f32> =
                (0..loud + quiet).map(|n| if n < loud { sine(n) } else { 0.0 }).collect();
            let frames = input.len();
            rig.run(&[vec![input]], frames, &[512]);
            let mut found = 0.0;
            rig.node.readings(&mut |_, value| found = value);
            found
        };
        let (peak, lasted) = (left_after(5.0, 1.0), left_after(4_000.0, 1.0));
        assert!(peak > -1.5, "{peak} dB after a peak");
        // Of 12 dB half has lasted and has come back by a good tenth.
        assert!((-6.0..-4.0).contains(&lasted), "{lasted} dB after four seconds");
        assert!(left_after(4_000.0, 0.0) > -1.5);
    }

    fn busy_rig(rate: u32, channels: usize) -> Rig {
        let mut rig = rig(rate, channels);
        rig.set_motion("autoRelease", Box::new(|n| f64::from(n % 3_000 > 1_500)));
        rig.set("release", 10.0);
        rig.set_motion("input", Box::new(|n| 6.0 + 6.0 * libm::sin(n as f64 * 0.003)));
        rig.set_motion("ceiling", Box::new(|n| if n < 2500 { -1.0 } else { -6.0 }));
        rig
    }

    #[test]
    fn cuts_do_not_matter() {
        for rate in [44_100, 48_000, 96_000, 192_000] {
            check_cuts(|| busy_rig(rate, 2), &[noise(3, 2, 5000)], 5000);
        }
        let still = || {
            let mut rig = rig(48_000, 1);
            rig.set("input", 9.0);
            rig
        };
        check_cuts(still, &[noise(5, 1, 5000)], 5000);
    }

    #[test]
    fn a_bad_sample_leaves_as_silence() {
        let mut input = vec![noise(5, 2, 4000)];
        input[0][0][100] = f32::NAN;
        input[0][1][101] = f32::INFINITY;
        let out = rig(48_000, 2).run(&input, 4000, &[4096]);
        assert!(out[0].iter().flatten().all(|x| x.is_finite()));
        assert_eq!(out[0][0][100 + 111], 0.0);
    }
}
