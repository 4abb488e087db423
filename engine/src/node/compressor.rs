//! The compressor: feed-forward, gain computed in decibels, smoothed by a decoupled detector.
//!
//! The detector (Giannoulis, Massberg and Reiss, 2012, "smooth, decoupled") was chosen over the
//! branching one because on a steady tone it settles on the static curve itself instead of a point
//! that depends on both time constants; its price is that release also passes the attack smoothing.

use crate::{
    dsp::{decibel, envelope_follower::PowerFollower, fixed_delay::FixedDelay, settle, smooth},
    node::{
        Descriptor, Io, Node, NodeKind, Port, Setup, StateVisitor, Tail,
        batch::Values,
        side_chain::{self, CELL, SideChain},
    },
    param::{ParamDesc, Ramp, Unit},
    simd::{Kernel, dispatch},
};

const THRESHOLD: usize = 0;
const RATIO: usize = 1;
const KNEE: usize = 2;
const ATTACK: usize = 3;
const RELEASE: usize = 4;
const DETECTOR: usize = 5;
const LOOK_AHEAD: usize = 6;
const MAKE_UP: usize = 7;
const MIX: usize = 8;
const HIGH_PASS: usize = 9;

/// Time constant of the mean-square detector.
const RMS_SECONDS: f64 = 0.010;
const LONGEST_RELEASE_MS: f64 = 3000.0;

const PARAMS: &[ParamDesc] = &[
    ParamDesc::new("threshold", "Threshold", Unit::Decibel, (-60.0, 0.0), -18.0),
    ParamDesc::new("ratio", "Ratio", Unit::Ratio, (1.0, 100.0), 4.0).exponential(),
    ParamDesc::new("knee", "Knee", Unit::Decibel, (0.0, 24.0), 6.0),
    ParamDesc::new("attack", "Attack", Unit::Milliseconds, (0.05, 250.0), 10.0).exponential(),
    ParamDesc::new("release", "Release", Unit::Milliseconds, (5.0, LONGEST_RELEASE_MS), 120.0)
        .exponential(),
    ParamDesc::choice("detector", "Detector", &["peak", "rms"], 0),
    ParamDesc::new("lookAhead", "Look-ahead", Unit::Milliseconds, (0.0, 20.0), 0.0).layout(),
    ParamDesc::new("makeUp", "Make-up", Unit::Decibel, (-24.0, 36.0), 0.0),
    ParamDesc::new("mix", "Mix", Unit::Percent, (0.0, 100.0), 100.0),
    side_chain::HIGH_PASS,
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.compressor", "Compressor", PARAMS);
    descriptor.inputs = &[Port::MAIN, Port::SIDE_CHAIN];
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Compressor::default()));

/// Gain reduction in dB (positive) for a level in dB: zero below the knee, `slope · over` above it, a
/// parabola between. `slope` is 1 − 1/ratio.
#[inline(always)]
fn reduction(level: f64, threshold: f64, slope: f64, knee: f64) -> f64 {
    let over = level - threshold;
    let half = 0.5 * knee;
    let into = over + half;
    let bent = slope * into * into / (2.0 * knee + 1e-30);
    let hard = slope * over;
    let above = if over >= half { hard } else { bent };
    if into > 0.0 { above } else { 0.0 }
}

#[derive(Default)]
struct Compressor {
    rate: f64,
    stereo: bool,
    delays: [FixedDelay; 2],
    side_chain: SideChain,
    power: PowerFollower,
    /// Reduction in dB after the release stage and after the attack stage.
    released: f64,
    reduction: f64,
    // Below: pure functions of the parameters.
    attack_keep: f64,
    release_keep: f64,
    rms_keep: f64,
}

impl Compressor {
    fn tune(&mut self, values: &Values<'_>) {
        self.attack_keep = smooth::coefficient(values.end(ATTACK) * 1e-3, self.rate);
        self.release_keep = smooth::coefficient(values.end(RELEASE) * 1e-3, self.rate);
        self.side_chain.tune(values.end(HIGH_PASS), self.rate);
    }

    fn settle(&mut self) {
        self.side_chain.settle();
        self.power.settle();
        self.released = settle::settle(self.released);
        self.reduction = settle::settle(self.reduction);
    }

    /// Magnitudes in, linear gains (make-up included) out; `at` is the cell's first frame of the call.
    #[inline(always)]
    fn gains(&mut self, values: &Values<'_>, at: usize, cell: &mut [f64]) {
        if values.choice(DETECTOR) == 1 {
            for level in cell.iter_mut() {
                // Twice the mean square: a sine then reads its peak, as with the other detector.
                let power = 2.0 * self.power.step(*level * *level, self.rms_keep);
                *level = decibel::power_to_db(power);
            }
        } else {
            for level in cell.iter_mut() {
                *level = decibel::gain_to_db(*level);
            }
        }
        let [threshold, ratio, knee] = [THRESHOLD, RATIO, KNEE].map(|index| values.ramp(index));
        if values.moving {
            for (i, level) in cell.iter_mut().enumerate() {
                let at = |ramp: Ramp| ramp.at(at + i);
                *level = reduction(*level, at(threshold), 1.0 - 1.0 / at(ratio), at(knee));
            }
        } else {
            let (threshold, slope, knee) = (threshold.end, 1.0 - 1.0 / ratio.end, knee.end);
            for level in cell.iter_mut() {
                *level = reduction(*level, threshold, slope, knee);
            }
        }
        for wanted in cell.iter_mut() {
            let fallen = smooth::step(self.released, *wanted, self.release_keep);
            self.released = if *wanted > fallen { *wanted } else { fallen };
            self.reduction = smooth::step(self.reduction, self.released, self.attack_keep);
            *wanted = self.reduction;
        }
        let make_up = values.ramp(MAKE_UP);
        for (i, gain) in cell.iter_mut().enumerate() {
            *gain = decibel::db_to_gain(make_up.at(at + i) - *gain);
        }
    }
}

/// One call, compiled per instruction set: logarithms and exponentials are most of it, and they are
/// polynomials that run as wide as the machine does.
struct Run<'a> {
    node: &'a mut Compressor,
    values: &'a Values<'a>,
    external: Option<[&'a [f32]; 2]>,
    left: &'a mut [f32],
    right: &'a mut [f32],
}

impl Kernel for Run<'_> {
    #[inline(always)]
    fn run(self) {
        let Run { node, values, external, left, right } = self;
        let mix = values.ramp(MIX);
        for (from, to, due) in settle::cells(values.frame as u64, left.len()) {
            if due {
                node.settle();
            }
            let mut cell = [0.0; CELL];
            let cell = &mut cell[..to - from];
            let heard = match external {
                Some([l, r]) => [&l[from..to], &r[from..to]],
                None if node.stereo => [&left[from..to], &right[from..to]],
                None => [&left[from..to], &left[from..to]],
            };
            node.side_chain.detect(heard, cell);
            node.gains(values, from, cell);
            for (i, gain) in cell.iter_mut().enumerate() {
                let wet = mix.at(from + i) * 0.01;
                *gain = (1.0 - wet) + wet * *gain;
            }
            scale(&mut node.delays[0], cell, &mut left[from..to]);
            if node.stereo {
                scale(&mut node.delays[1], cell, &mut right[from..to]);
            }
        }
    }
}

/// The delayed signal times the gains.
#[inline(always)]
fn scale(delay: &mut FixedDelay, gains: &[f64], samples: &mut [f32]) {
    if delay.frames() > 0 {
        samples.iter_mut().for_each(|sample| *sample = delay.step(*sample));
    }
    for (sample, gain) in samples.iter_mut().zip(gains) {
        *sample = (f64::from(*sample) * gain) as f32;
    }
}

impl Node for Compressor {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.stereo = setup.channels > 1;
        let frames = libm::round(setup.param(LOOK_AHEAD) * 1e-3 * self.rate) as usize;
        self.delays = [FixedDelay::new(frames), FixedDelay::new(frames)];
        self.rms_keep = smooth::coefficient(RMS_SECONDS, self.rate);
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let values = Values::of(io);
        if values.changed {
            self.tune(&values);
        }
        let external = side_chain::external(io);
        let (left, right) = io.output_pair(0);
        dispatch(Run { node: self, values: &values, external, left, right });
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.side_chain.visit(visitor);
        visitor.f64(&mut self.power.power);
        visitor.f64(&mut self.released);
        visitor.f64(&mut self.reduction);
        for delay in &mut self.delays {
            delay.visit(visitor);
        }
    }

    fn reset(&mut self) {
        self.side_chain.reset();
        self.power = PowerFollower::default();
        self.released = 0.0;
        self.reduction = 0.0;
        self.delays.iter_mut().for_each(FixedDelay::clear);
    }

    fn latency(&self) -> u32 {
        self.delays[0].frames() as u32
    }

    /// The sound ends with the look-ahead, but the gain has to have recovered before the node may
    /// forget: nine time constants take 60 dB of reduction below 0.01 dB.
    fn tail(&self) -> Tail {
        let recovery = 9.0 * LONGEST_RELEASE_MS * 1e-3 * self.rate;
        Tail::Frames(self.delays[0].frames() as u64 + recovery as u64)
    }

    fn readings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("gainReduction", -self.reduction);
    }
}

#[cfg(test)]
mod tests;
