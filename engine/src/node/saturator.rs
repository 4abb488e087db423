//! The saturator: a memoryless curve, run at four, eight or sixteen times the rate.
//!
//! The half-band cascade has linear phase and a whole number of frames of latency, so the dry path of
//! the mix is aligned to the sample and parallel saturation doesn't comb. All curves have unit slope
//! at zero: drive alone decides how much of them is used.

use crate::{
    dsp::{
        decibel,
        fade::{self, Fade},
        fixed_delay::FixedDelay,
        oversample::{Factor, Oversampler},
        settle, smooth, svf,
    },
    node::{Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail, batch::Values},
    param::{ParamDesc, Unit},
};

const CURVE: usize = 0;
const DRIVE: usize = 1;
const MIX: usize = 2;
const OUTPUT: usize = 3;
const OVERSAMPLING: usize = 4;
const BIAS: usize = 5;
const LOW_CUT: usize = 6;
const HIGH_CUT: usize = 7;
const AUTO_GAIN: usize = 8;

const CURVES: &[&str] = &["soft", "warm", "hard", "tube", "fold"];
const TUBE: u64 = 3;
/// Offset of the tube curve: what makes it asymmetric.
const TUBE_BIAS: f64 = 0.35;
/// A bias of this much has its average taken away in full.
const FULL_BIAS: f64 = 0.05;
const LOWEST_CUT: f64 = 10.0;
const HIGHEST_CUT: f64 = 20_000.0;
/// What automatic gain takes the drive to be worth: the loudness of music grows by less than drive.
const AUTO_SHARE: f64 = 0.5;
/// The asymmetric curve's average is taken away below this frequency.
const DC_HZ: f64 = 5.0;

const PARAMS: &[ParamDesc] = &[
    ParamDesc::choice("curve", "Curve", CURVES, 0),
    ParamDesc::new("drive", "Drive", Unit::Decibel, (0.0, 48.0), 6.0),
    ParamDesc::new("mix", "Mix", Unit::Percent, (0.0, 100.0), 100.0),
    ParamDesc::new("output", "Output", Unit::Decibel, (-36.0, 12.0), 0.0),
    ParamDesc::choice("oversampling", "Oversampling", &["4x", "8x", "16x"], 0).layout(),
    ParamDesc::new("bias", "Bias", Unit::None, (-1.0, 1.0), 0.0),
    ParamDesc::new("lowCut", "Low cut", Unit::Hertz, (LOWEST_CUT, 2_000.0), LOWEST_CUT)
        .exponential(),
    ParamDesc::new("highCut", "High cut", Unit::Hertz, (500.0, HIGHEST_CUT), HIGHEST_CUT)
        .exponential(),
    ParamDesc::switch("autoGain", "Automatic gain", false),
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.saturator", "Saturator", PARAMS);
    // 2: there is more state.
    descriptor.dsp_version = 2;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Saturator::default()));

/// One curve at one point.
#[inline(always)]
fn shape(curve: u64, x: f64) -> f64 {
    match curve {
        0 => tanh(x),
        1 => x / (1.0 + x * x).sqrt(),
        2 => x.clamp(-1.0, 1.0),
        TUBE => {
            let rest = tanh(TUBE_BIAS);
            (tanh(x + TUBE_BIAS) - rest) / (1.0 - rest * rest)
        }
        _ => libm::sin(x),
    }
}

/// A curve around another working point.
#[inline(always)]
fn biased(curve: u64, x: f64, bias: f64) -> f64 {
    if bias == 0.0 { shape(curve, x) } else { shape(curve, x + bias) - shape(curve, bias) }
}

#[inline(always)]
fn tanh(x: f64) -> f64 {
    // Beyond ±20 the result is ±1 to the last bit.
    let x = x.clamp(-20.0, 20.0);
    1.0 - 2.0 / (decibel::exp(2.0 * x) + 1.0)
}

struct Channel {
    oversampler: Oversampler,
    dry: FixedDelay,
    /// Average of the wet signal.
    average: f64,
    low_cut: svf::State,
    high_cut: svf::State,
}

/// The filters of the wet signal, where they are on.
#[derive(Clone, Copy, Default)]
struct Cuts {
    low: Option<svf::Coefficients>,
    high: Option<svf::Coefficients>,
}

impl Channel {
    fn new(factor: Factor) -> Self {
        Self {
            oversampler: Oversampler::new(factor),
            dry: FixedDelay::new(factor.latency()),
            average: 0.0,
            low_cut: svf::State::default(),
            high_cut: svf::State::default(),
        }
    }
}

/// What one frame needs.
#[derive(Clone, Copy)]
struct Frame {
    drive: f64,
    wet: f64,
    output: f64,
    bias: f64,
    from: u64,
    to: u64,
    position: f64,
}

impl Channel {
    #[inline(always)]
    fn step(&mut self, sample: f32, frame: &Frame, average_keep: f64, cuts: &Cuts) -> f32 {
        let x = f64::from(sample);
        let heard = if x.abs() < 1e15 { x * frame.drive } else { 0.0 };
        let &Frame { from, to, position, bias, .. } = frame;
        let shaped = if from == to {
            self.oversampler.step(heard, |x| biased(to, x, bias))
        } else {
            self.oversampler.step(heard, |x| {
                let old = biased(from, x, bias);
                old + (biased(to, x, bias) - old) * position
            })
        };
        self.average = smooth::step(self.average, shaped, average_keep);
        let tube = |curve| if curve == TUBE { 1.0 } else { 0.0 };
        let uneven = tube(from) + (tube(to) - tube(from)) * position;
        let uneven = uneven.max((bias.abs() / FULL_BIAS).min(1.0));
        let mut wet = shaped - uneven * self.average;
        if let Some(cut) = &cuts.low {
            wet = self.low_cut.step(cut, wet).high;
        }
        if let Some(cut) = &cuts.high {
            wet = self.high_cut.step(cut, wet).low;
        }
        let dry = f64::from(self.dry.step(sample));
        ((dry * (1.0 - frame.wet) + wet * frame.wet) * frame.output) as f32
    }
}

#[derive(Default)]
struct Saturator {
    rate: f64,
    stereo: bool,
    factor: Option<Factor>,
    fade_length: u64,
    fade: Fade,
    channels: Vec<Channel>,
    average_keep: f64,
    auto_gain: Fade,
    cuts: Cuts,
}

impl Saturator {
    fn tune(&mut self, values: &Values<'_>) {
        let design =
            |hz: f64| svf::Coefficients::new(hz, std::f64::consts::FRAC_1_SQRT_2, self.rate);
        let (low, high) = (values.end(LOW_CUT), values.end(HIGH_CUT));
        self.cuts = Cuts {
            low: (low > LOWEST_CUT).then(|| design(low)),
            high: (high < HIGHEST_CUT).then(|| design(high)),
        };
        // A filter that is off begins anew when it comes back.
        for channel in &mut self.channels {
            if self.cuts.low.is_none() {
                channel.low_cut = svf::State::default();
            }
            if self.cuts.high.is_none() {
                channel.high_cut = svf::State::default();
            }
        }
    }
}

impl Node for Saturator {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.stereo = setup.channels > 1;
        self.fade_length = fade::length(self.rate);
        let factor = match setup.param(OVERSAMPLING) as u64 {
            0 => Factor::Four,
            1 => Factor::Eight,
            _ => Factor::Sixteen,
        };
        self.factor = Some(factor);
        self.channels = (0..setup.channels.clamp(1, 2)).map(|_| Channel::new(factor)).collect();
        self.average_keep = smooth::coefficient(1.0 / (std::f64::consts::TAU * DC_HZ), self.rate);
        self.fade = Fade::default();
        self.auto_gain = Fade::default();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let values = Values::of(io);
        if values.changed {
            self.tune(&values);
        }
        let bias = values.ramp(BIAS);
        let auto_gain = values.is_on(AUTO_GAIN);
        let curve = values.choice(CURVE);
        let [drive, mix, output] = [DRIVE, MIX, OUTPUT].map(|index| values.ramp(index));
        let frames = io.frames();
        for (from, to, due) in settle::cells(values.frame as u64, frames) {
            if due {
                for channel in &mut self.channels {
                    channel.average = settle::settle(channel.average);
                    channel.low_cut.settle();
                    channel.high_cut.settle();
                }
            }
            let mut auto = [0.0; settle::GRID as usize];
            let auto = &mut auto[..to - from];
            if auto_gain || !self.auto_gain.is_settled(0) {
                self.auto_gain.amounts(auto_gain, self.fade_length, auto);
            }
            let mut at = from;
            while at < to {
                let part = self.fade.advance(curve, to - at, self.fade_length);
                let (left, right) = io.output_pair(0);
                for (channel, plane) in self.channels.iter_mut().zip([left, right]) {
                    for (i, sample) in plane[at..at + part.frames].iter_mut().enumerate() {
                        let frame = Frame {
                            drive: decibel::db_to_gain(drive.at(at + i)),
                            wet: mix.at(at + i) * 0.01,
                            output: decibel::db_to_gain(
                                output.at(at + i)
                                    - auto[at + i - from] * AUTO_SHARE * drive.at(at + i),
                            ),
                            bias: bias.at(at + i),
                            from: part.from,
                            to: part.to,
                            position: part.position(i),
                        };
                        *sample = channel.step(*sample, &frame, self.average_keep, &self.cuts);
                    }
                }
                at += part.frames;
            }
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.fade.visit(visitor);
        for channel in &mut self.channels {
            channel.oversampler.visit(|history| visitor.f64s(history));
            channel.dry.visit(visitor);
            visitor.f64(&mut channel.average);
            for state in [&mut channel.low_cut, &mut channel.high_cut] {
                visitor.f64(&mut state.ic1);
                visitor.f64(&mut state.ic2);
            }
        }
        self.auto_gain.visit(visitor);
    }

    fn reset(&mut self) {
        self.fade = Fade::default();
        for channel in &mut self.channels {
            channel.oversampler.clear();
            channel.dry.clear();
            channel.average = 0.0;
            channel.low_cut = svf::State::default();
            channel.high_cut = svf::State::default();
        }
        self.auto_gain = Fade::default();
    }

    fn latency(&self) -> u32 {
        self.factor.map_or(0, |factor| factor.latency() as u32)
    }

    /// The filters ring as long again as their delay; the average of the tube curve then takes 14 of
    /// its time constants to fall by 120 dB.
    fn tail(&self) -> Tail {
        let average = 14.0 * self.rate / (std::f64::consts::TAU * DC_HZ);
        Tail::Frames(2 * u64::from(self.latency()) + 2 + average as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::rig::{Rig, check_cuts, noise};

    fn rig(rate: u32, channels: usize, eight: bool) -> Rig {
        let mut setup = Setup::new(KIND.descriptor, rate, 4096);
        setup.channels = channels;
        setup.params[OVERSAMPLING] = f64::from(eight);
        Rig::with_setup(&KIND, setup)
    }

    /// Power of one frequency in a signal of one second.
    fn power_at(samples: &[f32], hz: f64) -> f64 {
        let rate = samples.len() as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for (n, x) in samples.iter().enumerate() {
            let phase = TAU * hz * n as f64 / rate;
            re += f64::from(*x) * libm::cos(phase);
            im += f64::from(*x) * libm::sin(phase);
        }
        2.0 * (re * re + im * im) / (rate * rate)
    }

    /// Everything that is neither a harmonic below 20 kHz nor DC, relative to all power, in dB, with
    /// what lies above 20 kHz left out: for a tone of 4999 Hz at full scale with the given drive.
    fn aliasing(mut rig: Rig, curve: usize, drive: f64) -> f64 {
        const HZ: f64 = 4999.0;
        rig.set("curve", curve as f64).set("drive", drive);
        let input: Vec<f32> =
            (0..96_000).map(|n| libm::sin(TAU * HZ * f64::from(n) / 48_000.0) as f32).collect();
        let out = rig.run(&[vec![input]], 96_000, &[4096]);
        let second = &out[0][0][48_000..];
        // Images of the harmonics fold to known whole frequencies.
        let mut alias = 0.0;
        for harmonic in 5..120u32 {
            let folded = (f64::from(harmonic) * HZ) % 48_000.0;
            let folded = folded.min(48_000.0 - folded);
            if folded < 20_000.0 && folded > 0.5 {
                alias += power_at(second, folded);
            }
        }
        let total: f64 = second.iter().map(|x| f64::from(x * x)).sum::<f64>() / 48_000.0;
        10.0 * libm::log10(alias / total)
    }

    fn check(curve: usize, drive: f64, four_db: f64, eight_db: f64) {
        for (eight, limit) in [(false, four_db), (true, eight_db)] {
            let got = aliasing(rig(48_000, 1, eight), curve, drive);
            assert!(got < limit, "{} {drive} dB, eight {eight}: {got} dB", CURVES[curve]);
        }
    }

    #[test]
    fn aliasing_stays_below_the_stated_level() {
        check(0, 12.0, -115.0, -125.0);
        check(1, 12.0, -90.0, -120.0);
        check(2, 12.0, -50.0, -60.0);
        check(3, 12.0, -115.0, -120.0);
        check(4, 12.0, -120.0, -120.0);
    }

    #[test]
    fn without_wet_signal_it_is_a_pure_delay_of_its_latency() {
        for (eight, latency) in [(false, 87), (true, 90)] {
            let mut rig = rig(48_000, 2, eight);
            assert_eq!(rig.node.latency(), latency);
            let input = noise(1, 2, 2000);
            let out = rig.set("mix", 0.0).run(std::slice::from_ref(&input), 2000, &[64]);
            let latency = latency as usize;
            assert_eq!(out[0][0][latency..], input[0][..2000 - latency]);
        }
    }

    #[test]
    fn a_quiet_signal_passes_unchanged_and_aligned() {
        let sine = |n: usize| 1e-3 * libm::sin(0.1 * n as f64);
        let input: Vec<f32> = (0..4000).map(|n| sine(n) as f32).collect();
        for curve in 0..5 {
            let mut rig = rig(48_000, 1, false);
            rig.set("curve", f64::from(curve)).set("drive", 0.0);
            let out = rig.run(&[vec![input.clone()]], 4000, &[512]);
            for (n, y) in out[0][0].iter().enumerate().skip(1000) {
                let error = (f64::from(*y) - sine(n - 87)).abs();
                // The tube curve's average is still settling.
                let tolerance = if curve == 3 { 2e-5 } else { 2e-6 };
                assert!(error < tolerance, "curve {curve}: {error}");
            }
        }
    }

    #[test]
    fn curves_have_unit_slope_and_stay_bounded() {
        for curve in 0..5 {
            let slope = (shape(curve, 1e-6) - shape(curve, -1e-6)) / 2e-6;
            assert!((slope - 1.0).abs() < 1e-6, "{curve}: {slope}");
            assert_eq!(shape(curve, 0.0), 0.0);
            let bound = if curve == TUBE { 1.6 } else { 1.0 };
            assert!((-400..400).all(|x| shape(curve, f64::from(x)).abs() <= bound), "{curve}");
        }
    }

    /// Level in dB of a harmonic of 1 kHz at −6 dBFS.
    fn harmonic(settings: &[(&str, f64)], number: u32) -> f64 {
        let input: Vec<f32> = (0..96_000)
            .map(|n| (0.5 * libm::sin(TAU * 1000.0 * f64::from(n) / 48_000.0)) as f32)
            .collect();
        let mut rig = rig(48_000, 1, false);
        settings.iter().for_each(|(id, value)| {
            rig.set(id, *value);
        });
        let out = rig.run(&[vec![input]], 96_000, &[4096]);
        10.0 * libm::log10(power_at(&out[0][0][48_000..], f64::from(number) * 1000.0).max(1e-20))
    }

    #[test]
    fn bias_makes_even_harmonics_and_no_dc() {
        assert!(harmonic(&[], 2) < -120.0);
        assert!(harmonic(&[("bias", 0.4)], 2) > -40.0);
        assert!(harmonic(&[("bias", 0.4)], 0) < -100.0);
    }

    #[test]
    fn cuts_and_automatic_gain_shape_the_wet_signal() {
        let quiet = [("drive", 12.0), ("curve", 2.0)];
        let set = |more: (&'static str, f64)| [quiet[0], quiet[1], more];
        let third = harmonic(&quiet, 3);
        // Butterworth of 12 dB per octave at 3 kHz, and what autoGain takes away: half the drive.
        assert!((harmonic(&set(("highCut", 3_000.0)), 3) - third + 3.01).abs() < 0.01);
        assert!((harmonic(&set(("lowCut", 1_000.0)), 1) - harmonic(&quiet, 1) + 3.01).abs() < 0.01);
        assert!((harmonic(&set(("autoGain", 1.0)), 3) - third + 6.0).abs() < 1e-3);
    }

    #[test]
    fn sixteen_times_is_finer_still() {
        let aliasing_of = |factor: f64| {
            let mut setup = Setup::new(KIND.descriptor, 48_000, 4096);
            setup.channels = 1;
            setup.params[OVERSAMPLING] = factor;
            aliasing(Rig::with_setup(&KIND, setup), 2, 12.0)
        };
        let (eight, sixteen) = (aliasing_of(1.0), aliasing_of(2.0));
        assert!(sixteen < -72.0 && sixteen < eight - 6.0, "{sixteen} against {eight} dB");
    }

    #[test]
    fn the_tube_curve_leaves_no_dc() {
        let input: Vec<f32> = (0..96_000).map(|n| libm::sin(f64::from(n) * 0.05) as f32).collect();
        let mut rig = rig(48_000, 1, false);
        rig.set("curve", 3.0).set("drive", 18.0);
        let out = rig.run(&[vec![input]], 96_000, &[4096]);
        let late = &out[0][0][83_433..96_000];
        let mean = late.iter().map(|x| f64::from(*x)).sum::<f64>() / late.len() as f64;
        assert!(mean.abs() < 1e-3, "{mean}");
    }

    fn busy_rig(rate: u32, channels: usize, eight: bool) -> Rig {
        let mut rig = rig(rate, channels, eight);
        rig.set_motion("curve", Box::new(|frame| (frame / 600 % 5) as f64));
        rig.set_motion("drive", Box::new(|n| 12.0 + 6.0 * libm::sin(n as f64 * 0.003)));
        rig.set_motion("mix", Box::new(|n| if n < 1500 { 100.0 } else { 30.0 }));
        rig.set_motion("bias", Box::new(|n| (n as f64 / 3000.0 - 0.3).max(0.0)));
        rig.set_motion("highCut", Box::new(|n| 2000.0 + 10.0 * n as f64));
        rig.set_motion("lowCut", Box::new(|n| 10.0 + (n as f64 - 1000.0).max(0.0)));
        rig.set_motion("autoGain", Box::new(|n| f64::from(n > 1700)));
        rig
    }

    #[test]
    fn cuts_do_not_matter() {
        for (rate, eight) in [(44_100, false), (48_000, true), (96_000, false), (192_000, true)] {
            check_cuts(|| busy_rig(rate, 2, eight), &[noise(3, 2, 3000)], 3000);
        }
        check_cuts(|| rig(48_000, 1, false), &[noise(4, 1, 3000)], 3000);
    }

    #[test]
    fn a_bad_sample_passes_through_but_is_not_remembered() {
        let mut input = vec![noise(5, 2, 3000)];
        input[0][0][100] = f32::NAN;
        input[0][1][101] = f32::INFINITY;
        let mut rig = rig(48_000, 2, false);
        rig.set("mix", 50.0);
        let out = rig.run(&input, 3000, &[4096]);
        let bad = out[0].iter().flatten().filter(|x| !x.is_finite()).count();
        assert_eq!(bad, 2);
    }
}
