//! The gate: opens above one threshold, closes below a lower one, fades in decibels.
//!
//! Two thresholds and a hold time keep it from chattering; the fade runs on the attenuation in dB, so
//! that a release sounds even however deep the range is.

use crate::{
    dsp::{
        decibel,
        envelope_follower::PeakFollower,
        fade::{self, Fade},
        fixed_delay::FixedDelay,
        settle, smooth,
    },
    node::{
        Descriptor, Io, Node, NodeKind, Port, Setup, StateVisitor, Tail,
        batch::Values,
        side_chain::{self, CELL, SideChain},
    },
    param::{ParamDesc, Unit},
};

const THRESHOLD: usize = 0;
const HYSTERESIS: usize = 1;
const ATTACK: usize = 2;
const HOLD: usize = 3;
const RELEASE: usize = 4;
const RANGE: usize = 5;
const LOOK_AHEAD: usize = 6;
const HIGH_PASS: usize = 7;
const MODE: usize = 8;
const LOW_PASS: usize = 9;
const LISTEN: usize = 10;

const LONGEST_HOLD_MS: f64 = 2000.0;
const LONGEST_RELEASE_MS: f64 = 4000.0;
/// Fall of the level detector: bridges the zero crossings of a low note.
const FALL_SECONDS: f64 = 0.005;

const PARAMS: &[ParamDesc] = &[
    ParamDesc::new("threshold", "Threshold", Unit::Decibel, (-90.0, 0.0), -40.0),
    ParamDesc::new("hysteresis", "Hysteresis", Unit::Decibel, (0.0, 24.0), 4.0),
    ParamDesc::new("attack", "Attack", Unit::Milliseconds, (0.05, 250.0), 0.5).exponential(),
    ParamDesc::new("hold", "Hold", Unit::Milliseconds, (0.0, LONGEST_HOLD_MS), 20.0).power(2.0),
    ParamDesc::new("release", "Release", Unit::Milliseconds, (1.0, LONGEST_RELEASE_MS), 100.0)
        .exponential(),
    ParamDesc::new("range", "Range", Unit::Decibel, (0.0, 100.0), 80.0),
    ParamDesc::new("lookAhead", "Look-ahead", Unit::Milliseconds, (0.0, 10.0), 0.0).layout(),
    side_chain::HIGH_PASS,
    ParamDesc::choice("mode", "Mode", &["gate", "duck"], 0),
    side_chain::LOW_PASS,
    side_chain::LISTEN,
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.gate", "Gate", PARAMS);
    descriptor.inputs = &[Port::MAIN, Port::SIDE_CHAIN];
    // 2: there is more state.
    descriptor.dsp_version = 2;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Gate::default()));

/// Pure functions of the parameters.
#[derive(Default)]
struct Ballistics {
    open_above: f64,
    close_below: f64,
    hold_frames: u64,
    attack_keep: f64,
    release_keep: f64,
    fall_keep: f64,
}

#[derive(Default)]
struct Gate {
    rate: f64,
    stereo: bool,
    delays: [FixedDelay; 2],
    side_chain: SideChain,
    level: PeakFollower,
    open: bool,
    hold_left: u64,
    /// 0 is closed, 1 is open; the share of the range that is not attenuated.
    opening: f64,
    /// On the way from gate to duck.
    ducks: Fade,
    ballistics: Ballistics,
}

impl Gate {
    fn tune(&mut self, values: &Values<'_>) {
        let rate = self.rate;
        let keep = |index| smooth::coefficient(values.end(index) * 1e-3, rate);
        let threshold = values.end(THRESHOLD);
        self.ballistics = Ballistics {
            open_above: decibel::db_to_gain(threshold),
            close_below: decibel::db_to_gain(threshold - values.end(HYSTERESIS)),
            hold_frames: libm::round(values.end(HOLD) * 1e-3 * rate) as u64,
            attack_keep: keep(ATTACK),
            release_keep: keep(RELEASE),
            fall_keep: smooth::coefficient(FALL_SECONDS, rate),
        };
        self.side_chain.tune(values.end(HIGH_PASS), values.end(LOW_PASS), rate);
    }

    /// One frame of the open-or-closed decision.
    #[inline(always)]
    fn decide(&mut self, magnitude: f64) {
        let level = self.level.step(magnitude, 0.0, self.ballistics.fall_keep);
        if level >= self.ballistics.open_above {
            self.open = true;
        }
        if level >= self.ballistics.close_below {
            self.hold_left = self.ballistics.hold_frames;
        } else if self.hold_left > 0 {
            self.hold_left -= 1;
        } else {
            self.open = false;
        }
    }

    #[inline(always)]
    fn step(&mut self, magnitude: f64) -> f64 {
        self.decide(magnitude);
        let (target, keep) = if self.open {
            (1.0, self.ballistics.attack_keep)
        } else {
            (0.0, self.ballistics.release_keep)
        };
        self.opening = smooth::step(self.opening, target, keep);
        self.opening
    }

    /// Turns the gain around where the sound is to go down when the side chain comes up.
    fn duck(&mut self, on: bool, cell: &mut [f64]) {
        if !on && self.ducks.is_settled(0) {
            return;
        }
        let mut amounts = [0.0; CELL];
        let amounts = &mut amounts[..cell.len()];
        self.ducks.amounts(on, fade::length(self.rate), amounts);
        for (opening, amount) in cell.iter_mut().zip(amounts) {
            *opening += (1.0 - 2.0 * *opening) * *amount;
        }
    }

    fn settle(&mut self) {
        self.side_chain.settle();
        self.level.settle();
        self.opening = settle::settle(self.opening);
    }
}

impl Node for Gate {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.stereo = setup.channels > 1;
        let frames = libm::round(setup.param(LOOK_AHEAD) * 1e-3 * self.rate) as usize;
        self.delays = [FixedDelay::new(frames), FixedDelay::new(frames)];
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let values = Values::of(io);
        if values.changed {
            self.tune(&values);
        }
        let external = side_chain::external(io);
        let frames = io.frames();
        let range = values.ramp(RANGE);
        let (left, right) = io.output_pair(0);
        for (from, to, due) in settle::cells(values.frame as u64, frames) {
            if due {
                self.settle();
            }
            let mut cell = [0.0; CELL];
            let cell = &mut cell[..to - from];
            let heard = match external {
                Some([l, r]) => [&l[from..to], &r[from..to]],
                None if self.stereo => [&left[from..to], &right[from..to]],
                None => [&left[from..to], &left[from..to]],
            };
            let mut filtered = [[0.0; 2]; CELL];
            let filtered = &mut filtered[..to - from];
            self.side_chain.detect(heard, filtered, cell);
            for value in cell.iter_mut() {
                *value = self.step(*value);
            }
            self.duck(values.choice(MODE) == 1, cell);
            for (i, opening) in cell.iter().enumerate() {
                let at = from + i;
                let gain = decibel::db_to_gain(range.at(at) * (opening - 1.0));
                left[at] = (f64::from(self.delays[0].step(left[at])) * gain) as f32;
                if self.stereo {
                    right[at] = (f64::from(self.delays[1].step(right[at])) * gain) as f32;
                }
            }
            let right: &mut [f32] = if self.stereo { &mut right[from..to] } else { &mut [] };
            let outputs = [&mut left[from..to], right];
            self.side_chain.listen(values.is_on(LISTEN), filtered, outputs);
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.side_chain.visit(visitor);
        visitor.f64(&mut self.level.level);
        visitor.bool(&mut self.open);
        visitor.u64(&mut self.hold_left);
        visitor.f64(&mut self.opening);
        self.ducks.visit(visitor);
        for delay in &mut self.delays {
            delay.visit(visitor);
        }
    }

    fn reset(&mut self) {
        self.side_chain.reset();
        self.level = PeakFollower::default();
        self.open = false;
        self.hold_left = 0;
        self.opening = 0.0;
        self.ducks = Fade::default();
        self.delays.iter_mut().for_each(FixedDelay::clear);
    }

    fn latency(&self) -> u32 {
        self.delays[0].frames() as u32
    }

    /// After hold and nine release times a gate is as closed as one that never opened.
    fn tail(&self) -> Tail {
        let closing = (LONGEST_HOLD_MS + 9.0 * LONGEST_RELEASE_MS) * 1e-3 * self.rate;
        Tail::Frames(self.delays[0].frames() as u64 + closing as u64)
    }

    fn readings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("opening", self.opening);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, check_cuts, noise};

    fn rig(rate: u32, channels: usize, look_ahead_ms: f64) -> Rig {
        let mut setup = Setup::new(KIND.descriptor, rate, 4096);
        setup.channels = channels;
        setup.params[LOOK_AHEAD] = look_ahead_ms;
        Rig::with_setup(&KIND, setup)
    }

    fn alternating(level_db: f64, frames: usize) -> Vec<f32> {
        let level = decibel::db_to_gain(level_db);
        (0..frames).map(|n| if n % 2 == 0 { level as f32 } else { -level as f32 }).collect()
    }

    /// Plays 200 ms at each level; expects the gain in dB at the end of each.
    fn check(settings: &[(&str, f64)], steps: &[(f64, f64)]) {
        let mut rig = rig(48_000, 1, 0.0);
        rig.set("release", 10.0).set("hold", 0.0);
        for (id, value) in settings {
            rig.set(id, *value);
        }
        for (level, want) in steps {
            let input = alternating(*level, 9600);
            let out = rig.run(&[vec![input.clone()]], 9600, &[333]);
            let gain = f64::from(out[0][0][9599] / input[9599]);
            let got = decibel::gain_to_db(gain);
            assert!((got - want).abs() < 0.01, "{settings:?} at {level}: {got}, not {want} dB");
        }
    }

    #[test]
    fn it_opens_above_the_threshold_and_closes_below_the_hysteresis() {
        let steps = [(-45.0, -80.0), (-39.0, 0.0), (-43.0, 0.0), (-45.0, -80.0), (-41.0, -80.0)];
        check(&[], &steps);
        check(&[("hysteresis", 0.0)], &[(-39.0, 0.0), (-41.0, -80.0)]);
        check(&[("range", 12.0)], &[(-39.0, 0.0), (-60.0, -12.0)]);
        check(&[("hold", 2000.0)], &[(-39.0, 0.0), (-60.0, 0.0)]);
    }

    #[test]
    fn attack_hold_and_release_take_their_time_at_every_rate() {
        for rate in [44_100, 48_000, 96_000, 192_000] {
            let mut rig = rig(rate, 1, 0.0);
            rig.set("attack", 10.0).set("hold", 50.0).set("release", 100.0);
            let frames = |ms: f64| (ms * 1e-3 * f64::from(rate)) as usize;
            let opening = |rig: &Rig| {
                let mut found = 0.0;
                rig.node.readings(&mut |_, value| found = value);
                found
            };
            let mut play = |level_db: f64, ms: f64| {
                let input = alternating(level_db, frames(ms));
                rig.run(&[vec![input]], frames(ms), &[100]);
                opening(&rig)
            };
            assert!((play(-10.0, 10.0) - 0.632).abs() < 0.005, "{rate}");
            play(-10.0, 200.0);
            // The detector falls 34 dB in 19.6 ms before the hold of 50 ms begins.
            assert!(play(-200.0, 69.0) > 0.999, "{rate}");
            let released = play(-200.0, 100.5);
            assert!((released - 0.368).abs() < 0.005, "{rate}: {released}");
        }
    }

    #[test]
    fn the_side_chain_opens_it_and_look_ahead_is_its_latency() {
        let mut rig = rig(48_000, 2, 2.0);
        assert_eq!(rig.node.latency(), 96);
        let quiet = vec![alternating(-60.0, 4800); 2];
        let loud = vec![alternating(-6.0, 4800); 2];
        let out = rig.run(&[quiet.clone(), loud], 4800, &[64]);
        assert!((out[0][0][4000] - quiet[0][4000]).abs() < 1e-9);
    }

    #[test]
    fn it_may_duck_instead() {
        let mut rig = rig(48_000, 2, 0.0);
        rig.set("mode", 1.0).set("range", 20.0).set("release", 10.0).set("hold", 0.0);
        let sound = vec![alternating(-20.0, 9_600); 2];
        let gain = |rig: &mut Rig, level: f64| {
            let key = vec![alternating(level, 9_600); 2];
            let out = rig.run(&[sound.clone(), key], 9_600, &[333]);
            decibel::gain_to_db(f64::from(out[0][1][9_599] / sound[1][9_599]))
        };
        assert!(gain(&mut rig, -200.0).abs() < 0.01);
        assert!((gain(&mut rig, -6.0) + 20.0).abs() < 0.01);
        assert!(gain(&mut rig, -200.0).abs() < 0.01);
    }

    #[test]
    fn the_side_chain_can_be_heard_through_its_filters() {
        let sine = |hz: f64| -> Vec<f32> {
            let turn = std::f64::consts::TAU * hz / 48e3;
            (0..24_000).map(|n| (0.5 * libm::sin(turn * f64::from(n))) as f32).collect()
        };
        let mut rig = rig(48_000, 2, 0.0);
        rig.set("listen", 1.0).set("sideChainLowPass", 1_000.0).set("sideChainHighPass", 10.0);
        let level = |rig: &mut Rig, hz: f64| {
            let out = rig.run(&[vec![vec![0.0; 24_000]; 2], vec![sine(hz); 2]], 24_000, &[512]);
            let peak = out[0][0][12_000..].iter().fold(0.0f32, |max, x| max.max(x.abs()));
            decibel::gain_to_db(f64::from(peak) / 0.5)
        };
        assert!(level(&mut rig, 100.0).abs() < 0.01);
        assert!((level(&mut rig, 1_000.0) + 3.01).abs() < 0.02);
        assert!(level(&mut rig, 8_000.0) < -36.0);
    }

    fn busy_rig(rate: u32, channels: usize) -> Rig {
        let mut rig = rig(rate, channels, 0.7);
        rig.set_motion("listen", Box::new(|n| f64::from(n % 3000 > 2500)));
        rig.set_motion("mode", Box::new(|n| f64::from(n % 4000 > 1500)));
        rig.set("sideChainLowPass", 5000.0);
        rig.set("hold", 1.0).set("release", 5.0);
        rig.set_motion("threshold", Box::new(|n| -12.0 + 6.0 * libm::sin(n as f64 * 0.004)));
        rig.set_motion("range", Box::new(|n| if n < 2000 { 80.0 } else { 20.0 }));
        rig
    }

    #[test]
    fn cuts_do_not_matter() {
        for rate in [44_100, 48_000, 96_000, 192_000] {
            let inputs = [noise(3, 2, 5000), noise(4, 2, 5000)];
            check_cuts(|| busy_rig(rate, 2), &inputs, 5000);
            check_cuts(|| rig(rate, 2, 0.0), &inputs[..1], 5000);
        }
        check_cuts(|| busy_rig(48_000, 1), &[noise(5, 1, 5000)], 5000);
    }

    #[test]
    fn a_bad_sample_never_reaches_the_detector() {
        let mut input = vec![noise(5, 2, 4000)];
        input[0][0][100] = f32::NAN;
        let out = rig(48_000, 2, 0.0).run(&input, 4000, &[4096]);
        assert!(out[0].iter().all(|plane| plane[101..].iter().all(|x| x.is_finite())));
    }
}
