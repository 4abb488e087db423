//! Loudness metering: EBU R 128 and true peak of what passes through.
//!
//! The audio is not touched, so a render is the same with or without the meter; what was measured is
//! no state in the sense of a render and is neither saved nor keyed. Sleep, which calls `reset`, only
//! empties the windows: the programme measurement goes on until `restart` is switched on.

use crate::{
    dsp::{
        decibel,
        loudness::Loudness,
        settle,
        truepeak::{self, TruePeak},
    },
    node::{Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail, batch::Values},
    param::ParamDesc,
};

const RESTART: usize = 0;
/// Longer than the short-term window.
const WINDOW_SECONDS: f64 = 4.0;

const PARAMS: &[ParamDesc] = &[ParamDesc::switch("restart", "Restart", false)];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.loudness", "Loudness meter", PARAMS);
    descriptor.linear = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(LoudnessMeter::default()));

struct Measure {
    loudness: Loudness,
    detectors: [TruePeak; 2],
    true_peak: f64,
}

impl Measure {
    fn new(rate: f64) -> Self {
        let detector = || TruePeak::new(truepeak::meter_factor(rate));
        Self { loudness: Loudness::new(rate), detectors: [detector(), detector()], true_peak: 0.0 }
    }

    /// Only a new maximum matters, so the interpolation runs only where one is possible.
    fn read_peaks(&mut self, cell: &[[f64; 2]]) {
        for (channel, detector) in self.detectors.iter_mut().enumerate() {
            let magnitudes = cell.iter().map(|frame| frame[channel].abs());
            let history = detector.state().iter().map(|x| x.abs());
            let loudest = magnitudes.chain(history).fold(0.0f64, f64::max);
            let possible = loudest * detector.bound() > self.true_peak;
            for frame in cell {
                let peak = if possible {
                    detector.step(frame[channel])
                } else {
                    detector.skip(frame[channel])
                };
                self.true_peak = self.true_peak.max(peak);
            }
        }
    }

    fn restart(&mut self) {
        self.loudness.restart();
        self.true_peak = 0.0;
    }
}

#[derive(Default)]
struct LoudnessMeter {
    rate: f64,
    stereo: bool,
    measure: Option<Measure>,
}

impl Node for LoudnessMeter {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.stereo = setup.channels > 1;
        self.measure = Some(Measure::new(self.rate));
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let values = Values::of(io);
        let Some(measure) = &mut self.measure else { return };
        if values.is_on(RESTART) {
            measure.restart();
            return;
        }
        let frames = io.frames();
        let (left, right) = io.output_pair(0);
        let mut cell = [[0.0; 2]; settle::GRID as usize];
        for (from, to, due) in settle::cells(values.frame as u64, frames) {
            if due {
                measure.loudness.settle();
            }
            let cell = &mut cell[..to - from];
            for (i, frame) in cell.iter_mut().enumerate() {
                let right = if self.stereo { clean(right[from + i]) } else { 0.0 };
                *frame = [clean(left[from + i]), right];
            }
            measure.read_peaks(cell);
            measure.loudness.push(cell);
        }
    }

    fn visit_state(&mut self, _visitor: &mut dyn StateVisitor) {}

    fn reset(&mut self) {
        if let Some(measure) = &mut self.measure {
            measure.loudness.fall_silent();
            measure.detectors.iter_mut().for_each(TruePeak::clear);
        }
    }

    /// The sound ends at once; the windows need this long to empty.
    fn tail(&self) -> Tail {
        Tail::Frames((WINDOW_SECONDS * self.rate) as u64)
    }

    /// LUFS, LU and dBTP; minus infinity where nothing was measured yet.
    fn readings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let Some(measure) = &self.measure else { return };
        show("momentary", measure.loudness.momentary());
        show("shortTerm", measure.loudness.short_term());
        show("integrated", measure.loudness.integrated());
        show("range", measure.loudness.range());
        show("maxMomentary", measure.loudness.max_momentary());
        show("maxShortTerm", measure.loudness.max_short_term());
        show("truePeak", level_db(measure.true_peak));
    }
}

/// A meter shall not be blinded by a bad sample, which the engine reports elsewhere.
#[inline(always)]
pub(crate) fn clean(sample: f32) -> f64 {
    let sample = f64::from(sample);
    if sample.abs() < 1e30 { sample } else { 0.0 }
}

pub(crate) fn level_db(gain: f64) -> f64 {
    if gain > decibel::FLOOR_GAIN { decibel::gain_to_db(gain) } else { f64::NEG_INFINITY }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, f64::consts::TAU};

    use super::*;
    use crate::rig::{Rig, bits, check_cuts, noise};

    fn rig(rate: u32, channels: usize) -> Rig {
        let mut setup = Setup::new(KIND.descriptor, rate, 4096);
        setup.channels = channels;
        Rig::with_setup(&KIND, setup)
    }

    fn readings(rig: &Rig) -> BTreeMap<&'static str, u64> {
        let mut found = BTreeMap::new();
        rig.node.readings(&mut |id, value| {
            found.insert(id, value.to_bits());
        });
        found
    }

    fn reading(rig: &Rig, id: &str) -> f64 {
        f64::from_bits(readings(rig)[id])
    }

    fn sine(rate: u32, hz: f64, peak: f64, degrees: f64, frames: usize) -> Vec<f32> {
        let phase = degrees / 360.0 * TAU;
        (0..frames)
            .map(|n| (peak * libm::sin(TAU * hz * n as f64 / f64::from(rate) + phase)) as f32)
            .collect()
    }

    // EBU Tech 3341 cases 15 to 19 allow +0.2 and −0.4 dB.
    #[test]
    fn true_peaks_lie_within_the_bounds_of_ebu_3341() {
        for (divisor, degrees, peak, want) in [
            (4.0, 0.0, 0.5, -6.02),
            (4.0, 45.0, 0.5, -6.02),
            (6.0, 60.0, 0.5, -6.02),
            (8.0, 67.5, 0.5, -6.02),
            (4.0, 45.0, 1.41, 2.98),
        ] {
            let mut rig = rig(48_000, 2);
            let mut tone = sine(48_000, 48_000.0 / divisor, peak, degrees, 9600);
            // As the EBU does: an onset is no band-limited signal.
            for (n, x) in tone.iter_mut().enumerate().take(480) {
                *x *= n as f32 / 480.0;
            }
            rig.run(&[vec![tone.clone(), tone]], 9600, &[512]);
            let got = reading(&rig, "truePeak");
            assert!(got > want - 0.2 && got < want + 0.2, "{divisor} {degrees}: {got}");
        }
    }

    // EBU Tech 3341 cases 20 to 23: 0 dBTP, +0.2 and −0.4 dB.
    #[test]
    fn a_burst_is_read_alike_wherever_between_samples_it_lies() {
        let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
        for offset in 0..4 {
            let (burst, peak) = crate::dsp::truepeak::bursts::ebu(offset);
            let frames = burst.len();
            let mut rig = rig(48_000, 2);
            rig.run(&[vec![burst.clone(), burst]], frames, &[512]);
            let got = reading(&rig, "truePeak");
            println!("offset {offset}: {got:.3} dBTP of {:.3}", decibel::gain_to_db(peak));
            assert!(got > -0.4 && got < 0.2, "offset {offset}: {got} dBTP");
            (lowest, highest) = (lowest.min(got), highest.max(got));
        }
        assert!(highest - lowest < 0.1, "{lowest} to {highest} dBTP");
    }

    #[test]
    fn audio_passes_untouched_and_readings_do_not_depend_on_cuts() {
        let input = vec![noise(1, 2, 30_000)];
        let mut whole = rig(48_000, 2);
        assert_eq!(whole.run(&input, 30_000, &[4096]), input);
        for cuts in [&[1][..], &[7, 333, 64], &[16]] {
            let mut cut = rig(48_000, 2);
            cut.run(&input, 30_000, cuts);
            assert_eq!(readings(&whole), readings(&cut), "{cuts:?}");
        }
        check_cuts(|| rig(44_100, 2), &[noise(2, 2, 3000)], 3000);
    }

    #[test]
    fn one_channel_counts_once_and_bad_samples_not_at_all() {
        let mut tone = sine(48_000, 1000.0, 1.0, 0.0, 48_000);
        let mut mono = rig(48_000, 1);
        mono.run(&[vec![tone.clone()]], 48_000, &[4096]);
        assert!((reading(&mono, "momentary") + 3.01).abs() < 0.02);
        tone[30_000] = f32::NAN;
        let mut bad = rig(48_000, 1);
        let out = bad.run(&[vec![tone.clone()]], 48_000, &[4096]);
        assert_eq!(bits(&out), bits(&[vec![tone]]));
        assert!((reading(&bad, "momentary") + 3.01).abs() < 0.05);
    }

    #[test]
    fn sleep_keeps_the_measurement_and_restart_drops_it() {
        let tone = sine(48_000, 1000.0, 0.1, 0.0, 48_000);
        let mut rig = rig(48_000, 1);
        rig.run(&[vec![tone]], 48_000, &[4096]);
        let integrated = reading(&rig, "integrated");
        rig.node.reset();
        assert_eq!(reading(&rig, "integrated"), integrated);
        assert_eq!(reading(&rig, "momentary"), f64::NEG_INFINITY);
        rig.set("restart", 1.0).run(&[vec![vec![0.0; 64]]], 64, &[64]);
        assert_eq!(reading(&rig, "integrated"), f64::NEG_INFINITY);
    }
}
