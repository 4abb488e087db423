//! The compressor: feed-forward, gain computed in decibels, smoothed by a decoupled detector.
//!
//! The detector (Giannoulis, Massberg and Reiss, 2012, "smooth, decoupled") was chosen over the
//! branching one because on a steady tone it settles on the static curve itself instead of a point
//! that depends on both time constants; its price is that release also passes the attack smoothing.

use crate::{
    dsp::{
        decibel,
        envelope_follower::{PowerFollower, loudest},
        fade::{self, Fade},
        fixed_delay::FixedDelay,
        settle, smooth,
    },
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
const AUTO_MAKE_UP: usize = 10;
const AUTO_RELEASE: usize = 11;
const HOLD: usize = 12;
const RANGE: usize = 13;
const LINK: usize = 14;
const LOW_PASS: usize = 15;
const LISTEN: usize = 16;

/// Time constant of the mean-square detector.
const RMS_SECONDS: f64 = 0.010;
const LONGEST_RELEASE_MS: f64 = 3000.0;
const LONGEST_HOLD_MS: f64 = 500.0;
/// A level that falls by less counts as steady to the hold.
const STEADY_DB: f64 = 0.1;
/// With automatic release, half of a reduction that has lasted comes back this many times slower.
const SLOW: f64 = 10.0;
/// And how many release times it takes to have lasted.
const LASTING: f64 = 5.0;

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
    ParamDesc::switch("autoMakeUp", "Automatic make-up", false),
    ParamDesc::switch("autoRelease", "Automatic release", false),
    ParamDesc::new("hold", "Hold", Unit::Milliseconds, (0.0, LONGEST_HOLD_MS), 0.0).power(2.0),
    ParamDesc::new("range", "Range", Unit::Decibel, (0.0, 100.0), 100.0),
    ParamDesc::new("link", "Stereo link", Unit::Percent, (0.0, 100.0), 100.0),
    side_chain::LOW_PASS,
    side_chain::LISTEN,
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.compressor", "Compressor", PARAMS);
    descriptor.inputs = &[Port::MAIN, Port::SIDE_CHAIN];
    // 2: there is more state.
    descriptor.dsp_version = 2;
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

/// What one channel's detector remembers; both do the same while they are linked.
#[derive(Clone, Copy, Default)]
struct Lane {
    power: PowerFollower,
    /// Reduction in dB after the release stage, what of it has lasted, and after the attack stage.
    released: f64,
    lasting: f64,
    reduction: f64,
    hold_left: u64,
}

impl Lane {
    fn settle(&mut self) {
        self.power.settle();
        self.released = settle::settle(self.released);
        self.lasting = settle::settle(self.lasting);
        self.reduction = settle::settle(self.reduction);
    }

    fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.f64(&mut self.power.power);
        visitor.f64(&mut self.released);
        visitor.f64(&mut self.lasting);
        visitor.f64(&mut self.reduction);
        visitor.u64(&mut self.hold_left);
    }

    /// One frame of the reduction that is wanted to the one that is had.
    #[inline(always)]
    fn step(&mut self, wanted: f64, times: &Times) -> f64 {
        let falls = wanted + STEADY_DB < self.released;
        if falls && self.hold_left > 0 {
            self.hold_left -= 1;
        } else {
            let fallen = smooth::step(self.released, wanted, times.release);
            self.released = if wanted > fallen { wanted } else { fallen };
        }
        if !falls {
            self.hold_left = times.hold_frames;
        }
        let mut held = self.released;
        if times.auto_release {
            let rises = self.released > self.lasting;
            let keep = if rises { times.lasting } else { times.slow };
            self.lasting = smooth::step(self.lasting, self.released, keep);
            held = held.max(0.5 * self.lasting);
        } else {
            self.lasting = 0.0;
        }
        self.reduction = smooth::step(self.reduction, held, times.attack);
        self.reduction
    }
}

/// Pure functions of the parameters: what is kept per frame, and the like.
#[derive(Clone, Copy, Default)]
struct Times {
    attack: f64,
    release: f64,
    lasting: f64,
    slow: f64,
    hold_frames: u64,
    auto_release: bool,
}

#[derive(Default)]
struct Compressor {
    rate: f64,
    stereo: bool,
    delays: [FixedDelay; 2],
    side_chain: SideChain,
    lanes: [Lane; 2],
    auto_make_up: Fade,
    // Below: pure functions of the parameters.
    times: Times,
    rms_keep: f64,
}

impl Compressor {
    fn tune(&mut self, values: &Values<'_>) {
        let keep = |ms: f64| smooth::coefficient(ms * 1e-3, self.rate);
        let release = values.end(RELEASE);
        self.times = Times {
            attack: keep(values.end(ATTACK)),
            release: keep(release),
            lasting: keep(LASTING * release),
            slow: keep(SLOW * release),
            hold_frames: libm::round(values.end(HOLD) * 1e-3 * self.rate) as u64,
            auto_release: values.is_on(AUTO_RELEASE),
        };
        self.side_chain.tune(values.end(HIGH_PASS), values.end(LOW_PASS), self.rate);
    }

    fn settle(&mut self) {
        self.side_chain.settle();
        self.lanes.iter_mut().for_each(Lane::settle);
    }

    /// Make-up in dB, by hand and automatic; `at` is the cell's first frame of the call.
    #[inline(always)]
    fn make_up(&mut self, values: &Values<'_>, at: usize, cell: &mut [f64]) {
        let by_hand = values.ramp(MAKE_UP);
        let on = values.is_on(AUTO_MAKE_UP);
        if !on && self.auto_make_up.is_settled(0) {
            cell.iter_mut().enumerate().for_each(|(i, db)| *db = by_hand.at(at + i));
            return;
        }
        self.auto_make_up.amounts(on, fade::length(self.rate), cell);
        let [threshold, ratio, knee] = [THRESHOLD, RATIO, KNEE].map(|index| values.ramp(index));
        for (i, db) in cell.iter_mut().enumerate() {
            let value = |ramp: Ramp| ramp.at(at + i);
            // Half of what full scale loses: what is loud gets softer, what is soft louder.
            let slope = 1.0 - 1.0 / value(ratio);
            let lost = reduction(0.0, value(threshold), slope, value(knee));
            *db = value(by_hand) + *db * 0.5 * lost.min(values.ramp(RANGE).at(at + i));
        }
    }

    /// Magnitudes in, linear gains (make-up included) out; `at` is the cell's first frame of the call.
    #[inline(always)]
    fn gains(
        &mut self,
        lane: usize,
        values: &Values<'_>,
        at: usize,
        make_up: &[f64],
        cell: &mut [f64],
    ) {
        let lane = &mut self.lanes[lane];
        if values.choice(DETECTOR) == 1 {
            for level in cell.iter_mut() {
                // Twice the mean square: a sine then reads its peak, as with the other detector.
                let power = 2.0 * lane.power.step(*level * *level, self.rms_keep);
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
        let range = values.ramp(RANGE);
        for (i, wanted) in cell.iter_mut().enumerate() {
            let most = range.at(at + i);
            let bounded = if *wanted > most { most } else { *wanted };
            *wanted = lane.step(bounded, &self.times);
        }
        for (gain, make_up) in cell.iter_mut().zip(make_up) {
            *gain = decibel::db_to_gain(make_up - *gain);
        }
    }

    /// Gains of both channels for what they heard.
    #[inline(always)]
    fn both(&mut self, values: &Values<'_>, at: usize, heard: &[[f64; 2]], gains: [&mut [f64]; 2]) {
        let mut make_up = [0.0; CELL];
        let make_up = &mut make_up[..heard.len()];
        self.make_up(values, at, make_up);
        let link = values.ramp(LINK);
        let [left, right] = gains;
        if !self.stereo || (link.is_constant() && link.end >= 100.0) {
            for (gain, sample) in left.iter_mut().zip(heard) {
                *gain = loudest(sample[0], sample[1]);
            }
            self.gains(0, values, at, make_up, left);
            self.lanes[1] = self.lanes[0];
            right.copy_from_slice(left);
            return;
        }
        for (i, sample) in heard.iter().enumerate() {
            let most = loudest(sample[0], sample[1]);
            let share = link.at(at + i) * 0.01;
            let toward = |own: f64| own + (most - own) * share;
            (left[i], right[i]) =
                (toward(loudest(sample[0], 0.0)), toward(loudest(sample[1], 0.0)));
        }
        self.gains(0, values, at, make_up, left);
        self.gains(1, values, at, make_up, right);
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
            let own_right: &[f32] = if node.stereo { &right[from..to] } else { &left[from..to] };
            let heard = match external {
                Some([l, r]) => [&l[from..to], &r[from..to]],
                None => [&left[from..to], own_right],
            };
            let mut filtered = [[0.0; 2]; CELL];
            let filtered = &mut filtered[..to - from];
            node.side_chain.filter(heard, filtered);
            let mut gains = [[0.0; CELL]; 2];
            let [a, b] = &mut gains;
            let (a, b) = (&mut a[..to - from], &mut b[..to - from]);
            node.both(values, from, filtered, [&mut *a, &mut *b]);
            for cell in [&mut *a, &mut *b] {
                for (i, gain) in cell.iter_mut().enumerate() {
                    let wet = mix.at(from + i) * 0.01;
                    *gain = (1.0 - wet) + wet * *gain;
                }
            }
            scale(&mut node.delays[0], a, &mut left[from..to]);
            let right: &mut [f32] = if node.stereo { &mut right[from..to] } else { &mut [] };
            if node.stereo {
                scale(&mut node.delays[1], b, right);
            }
            let outputs = [&mut left[from..to], right];
            node.side_chain.listen(values.is_on(LISTEN), filtered, outputs);
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
        self.lanes.iter_mut().for_each(|lane| lane.visit(visitor));
        self.auto_make_up.visit(visitor);
        for delay in &mut self.delays {
            delay.visit(visitor);
        }
    }

    fn reset(&mut self) {
        self.side_chain.reset();
        self.lanes = Default::default();
        self.auto_make_up = Fade::default();
        self.delays.iter_mut().for_each(FixedDelay::clear);
    }

    fn latency(&self) -> u32 {
        self.delays[0].frames() as u32
    }

    /// The sound ends with the look-ahead, but the gain has to have recovered before the node may
    /// forget: nine time constants take 60 dB of reduction below 0.01 dB.
    fn tail(&self) -> Tail {
        let slowest = if self.times.auto_release { SLOW } else { 1.0 };
        let recovery = (LONGEST_HOLD_MS + 9.0 * slowest * LONGEST_RELEASE_MS) * 1e-3 * self.rate;
        Tail::Frames(self.delays[0].frames() as u64 + recovery as u64)
    }

    fn readings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("gainReduction", -self.lanes[0].reduction.max(self.lanes[1].reduction));
    }
}

#[cfg(test)]
mod tests;
