//! Level metering: peak, RMS, correlation and overs of what passes through.
//!
//! As with the loudness meter the audio is not touched and readings are no render state.

use crate::{
    dsp::{decibel, settle, smooth},
    node::{
        Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        batch::Values,
        loudness::{clean, level_db},
    },
    param::ParamDesc,
};

const RESTART: usize = 0;
/// Fall of the peak meter: 20 dB in 1.5 s, as programme meters do (IEC 60268-10 type I).
const FALL_DB_PER_SECOND: f64 = 20.0 / 1.5;
/// Time constant of RMS and correlation.
const MEAN_SECONDS: f64 = 0.3;

const PARAMS: &[ParamDesc] = &[ParamDesc::switch("restart", "Restart", false)];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.meter", "Level meter", PARAMS);
    descriptor.linear = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Meter::default()));

#[derive(Clone, Copy, Default)]
struct Channel {
    peak: f64,
    power: f64,
    /// Largest sample since the restart, and how many reached full scale.
    highest: f64,
    overs: u64,
}

impl Channel {
    #[inline(always)]
    fn step(&mut self, x: f64, fall: f64, keep: f64) {
        let size = x.abs();
        let fallen = self.peak * fall;
        self.peak = if size > fallen { size } else { fallen };
        self.power = smooth::step(self.power, x * x, keep);
        self.highest = if size > self.highest { size } else { self.highest };
        self.overs += u64::from(size >= 1.0);
    }

    fn settle(&mut self) {
        self.peak = settle::settle(self.peak);
        self.power = settle::settle(self.power);
    }

    fn fall_silent(&mut self) {
        (self.peak, self.power) = (0.0, 0.0);
    }
}

#[derive(Default)]
struct Meter {
    rate: f64,
    stereo: bool,
    fall: f64,
    keep: f64,
    channels: [Channel; 2],
    /// Mean of left · right.
    product: f64,
}

impl Meter {
    /// −1 for opposed, 0 for unrelated, 1 for equal channels; 1 for silence.
    fn correlation(&self) -> f64 {
        let power = (self.channels[0].power * self.channels[1].power).sqrt();
        if power > 1e-20 { (self.product / power).clamp(-1.0, 1.0) } else { 1.0 }
    }
}

impl Node for Meter {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.stereo = setup.channels > 1;
        self.fall = decibel::db_to_gain(-FALL_DB_PER_SECOND / self.rate);
        self.keep = smooth::coefficient(MEAN_SECONDS, self.rate);
        self.channels = Default::default();
        self.product = 0.0;
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let values = Values::of(io);
        if values.is_on(RESTART) {
            self.channels = Default::default();
            self.product = 0.0;
            return;
        }
        let frames = io.frames();
        let (left, right) = io.output_pair(0);
        for (from, to, due) in settle::cells(values.frame as u64, frames) {
            if due {
                self.channels.iter_mut().for_each(Channel::settle);
                self.product = settle::settle(self.product);
            }
            for i in from..to {
                let l = clean(left[i]);
                self.channels[0].step(l, self.fall, self.keep);
                if self.stereo {
                    let r = clean(right[i]);
                    self.channels[1].step(r, self.fall, self.keep);
                    self.product = smooth::step(self.product, l * r, self.keep);
                }
            }
        }
    }

    fn visit_state(&mut self, _visitor: &mut dyn StateVisitor) {}

    fn reset(&mut self) {
        self.channels.iter_mut().for_each(Channel::fall_silent);
        self.product = 0.0;
    }

    /// The sound ends at once; the needles need this long to come down.
    fn tail(&self) -> Tail {
        Tail::Frames((14.0 * MEAN_SECONDS * self.rate) as u64)
    }

    /// dBFS; minus infinity for silence.
    fn readings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let [left, right] = &self.channels;
        show("peakLeft", level_db(left.peak));
        show("rmsLeft", level_db(left.power.sqrt()));
        show("highestLeft", level_db(left.highest));
        show("oversLeft", left.overs as f64);
        if self.stereo {
            show("peakRight", level_db(right.peak));
            show("rmsRight", level_db(right.power.sqrt()));
            show("highestRight", level_db(right.highest));
            show("oversRight", right.overs as f64);
            show("correlation", self.correlation());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, f64::consts::TAU};

    use super::*;
    use crate::rig::{Rig, noise};

    fn readings(rig: &Rig) -> BTreeMap<&'static str, f64> {
        let mut found = BTreeMap::new();
        rig.node.readings(&mut |id, value| {
            found.insert(id, value);
        });
        found
    }

    fn check(rig: &Rig, id: &str, want: f64, tolerance: f64) {
        let got = readings(rig)[id];
        assert!((got - want).abs() <= tolerance, "{id}: {got} is not {want}");
    }

    fn sine(rate: u32, peak: f64, seconds: f64) -> Vec<f32> {
        let frames = (seconds * f64::from(rate)) as u32;
        (0..frames)
            .map(|n| (peak * libm::sin(TAU * 997.0 * f64::from(n) / f64::from(rate))) as f32)
            .collect()
    }

    #[test]
    fn a_sine_reads_its_peak_and_rms_at_every_rate() {
        for rate in [44_100, 48_000, 96_000, 192_000] {
            let mut rig = Rig::new(&KIND, rate);
            let tone = sine(rate, 0.5, 3.0);
            let frames = tone.len();
            let flipped = tone.iter().map(|x| -x).collect();
            rig.run(&[vec![tone, flipped]], frames, &[4096]);
            check(&rig, "peakLeft", -6.02, 0.02);
            check(&rig, "rmsRight", -9.03, 0.02);
            check(&rig, "correlation", -1.0, 1e-6);
            // One second of silence: the needle falls by 13.3 dB, RMS by 1/0.3 time constants.
            let second = rate as usize;
            rig.run(&[vec![vec![0.0; second]; 2]], second, &[4096]);
            check(&rig, "peakLeft", -19.35, 0.05);
            check(&rig, "rmsLeft", -9.03 - 14.48, 0.05);
            check(&rig, "highestLeft", -6.02, 0.01);
        }
    }

    #[test]
    fn unrelated_channels_have_no_correlation_and_equal_ones_all() {
        let mut rig = Rig::new(&KIND, 48_000);
        rig.run(&[noise(1, 2, 96_000)], 96_000, &[4096]);
        check(&rig, "correlation", 0.0, 0.03);
        let same = noise(2, 1, 96_000).remove(0);
        let mut rig = Rig::new(&KIND, 48_000);
        rig.run(&[vec![same.clone(), same]], 96_000, &[4096]);
        check(&rig, "correlation", 1.0, 1e-9);
    }

    #[test]
    fn audio_passes_untouched_and_readings_do_not_depend_on_cuts() {
        let input = vec![noise(1, 2, 9000)];
        let mut whole = Rig::new(&KIND, 48_000);
        assert_eq!(whole.run(&input, 9000, &[4096]), input);
        for cuts in [&[1][..], &[7, 333, 64], &[16]] {
            let mut cut = Rig::new(&KIND, 48_000);
            cut.run(&input, 9000, cuts);
            assert_eq!(readings(&whole), readings(&cut), "{cuts:?}");
        }
    }

    #[test]
    fn overs_are_counted_until_restart() {
        let mut rig = Rig::new(&KIND, 48_000);
        let clipped = vec![vec![1.0, -1.5, 0.5, f32::NAN], vec![0.0; 4]];
        rig.run(&[clipped], 4, &[4]);
        check(&rig, "oversLeft", 2.0, 0.0);
        rig.node.reset();
        check(&rig, "oversLeft", 2.0, 0.0);
        rig.set("restart", 1.0).run(&[vec![vec![0.0; 4]; 2]], 4, &[4]);
        check(&rig, "oversLeft", 0.0, 0.0);
    }
}
