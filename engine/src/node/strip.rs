//! The channel strip: gain, pan, width, phase and mute as one 2 × 2 matrix.
//!
//! A matrix was chosen over a chain of stages because every one of them is linear and memoryless:
//! one multiplication covers all, any change is a walk between two matrices, and at its defaults the
//! strip passes every sample bit for bit.

use std::f64::consts::FRAC_PI_4;

use crate::{
    dsp::{
        decibel,
        fade::{self, Fade},
    },
    node::{
        Descriptor, NodeKind, Setup, StateVisitor, Tail,
        batch::{Batch, Core, Single, Values},
    },
    param::{ParamDesc, Unit},
    simd::{Kernel, LANES, LaneFrame, dispatch},
};

const GAIN: usize = 0;
const PAN: usize = 1;
const PAN_LAW: usize = 2;
const WIDTH: usize = 3;
const MUTE: usize = 4;
const INVERT_LEFT: usize = 5;
const INVERT_RIGHT: usize = 6;

/// At this gain and below the strip is silent.
const SILENT_DB: f64 = -100.0;

const PAN_LAWS: &[&str] = &["balance", "-3dB", "-4.5dB", "-6dB", "linear"];

const PARAMS: &[ParamDesc] = &[
    ParamDesc::new("gain", "Gain", Unit::Decibel, (SILENT_DB, 24.0), 0.0).power(0.5),
    ParamDesc::new("pan", "Pan", Unit::None, (-1.0, 1.0), 0.0),
    ParamDesc::choice("panLaw", "Pan law", PAN_LAWS, 0),
    ParamDesc::new("width", "Width", Unit::Percent, (0.0, 200.0), 100.0),
    ParamDesc::switch("mute", "Mute", false),
    ParamDesc::switch("invertLeft", "Invert left", false),
    ParamDesc::switch("invertRight", "Invert right", false),
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.strip", "Channel strip", PARAMS);
    descriptor.linear = true;
    descriptor
};

pub static KIND: NodeKind = {
    let mut kind = NodeKind::new(&DESCRIPTOR, Single::<Strip>::boxed);
    kind.lanes = Some(Batch::<Strip>::boxed);
    kind
};

/// left = ll·left + lr·right, right = rl·left + rr·right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Matrix {
    ll: f64,
    lr: f64,
    rl: f64,
    rr: f64,
}

impl Matrix {
    #[inline(always)]
    fn toward(&self, to: &Self, t: f64) -> Self {
        let mix = |from: f64, to: f64| from + (to - from) * t;
        Self {
            ll: mix(self.ll, to.ll),
            lr: mix(self.lr, to.lr),
            rl: mix(self.rl, to.rl),
            rr: mix(self.rr, to.rr),
        }
    }

    #[inline(always)]
    fn apply(&self, left: f32, right: f32) -> (f32, f32) {
        let (left, right) = (f64::from(left), f64::from(right));
        let out_left = self.ll * left + self.lr * right;
        let out_right = self.rl * left + self.rr * right;
        (out_left as f32, out_right as f32)
    }
}

/// Gains of the two sides for a pan position of −1..1. The laws are named by their level in the
/// middle; balance leaves the middle alone and only turns one side down.
fn pan_gains(law: u64, pan: f64) -> (f64, f64) {
    let (left, right) = (0.5 * (1.0 - pan), 0.5 * (1.0 + pan));
    let angle = (pan + 1.0) * FRAC_PI_4;
    let (cos, sin) = (libm::cos(angle).max(0.0), libm::sin(angle).max(0.0));
    match law {
        1 => (cos, sin),
        2 => ((left * cos).sqrt(), (right * sin).sqrt()),
        3 => (cos * cos, sin * sin),
        4 => (left, right),
        _ => ((1.0 - pan).min(1.0), (1.0 + pan).min(1.0)),
    }
}

/// The continuous parameters, at one edge of a grid cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Position {
    gain_db: f64,
    pan: f64,
    width: f64,
}

impl Position {
    fn start(values: &Values<'_>) -> Self {
        Self::read(|index| values.start(index))
    }

    fn end(values: &Values<'_>) -> Self {
        Self::read(|index| values.end(index))
    }

    fn read(value: impl Fn(usize) -> f64) -> Self {
        Self { gain_db: value(GAIN), pan: value(PAN), width: value(WIDTH) * 0.01 }
    }
}

/// The stepped parameters as one number: the setting of the strip's [`Fade`].
fn encode(values: &Values<'_>) -> u64 {
    values.choice(PAN_LAW) << 3
        | u64::from(values.is_on(MUTE))
        | u64::from(values.is_on(INVERT_LEFT)) << 1
        | u64::from(values.is_on(INVERT_RIGHT)) << 2
}

fn matrix(code: u64, at: &Position, stereo: bool) -> Matrix {
    let muted = code & 1 != 0 || at.gain_db <= SILENT_DB;
    let gain = if muted { 0.0 } else { decibel::db_to_gain(at.gain_db) };
    let sign = |bit: u64| if code >> bit & 1 != 0 { -gain } else { gain };
    let (left, right) = (sign(1), sign(2));
    if !stereo {
        return Matrix { ll: left, ..Matrix::default() };
    }
    let (pan_left, pan_right) = pan_gains(code >> 3, at.pan);
    let (left, right) = (left * pan_left, right * pan_right);
    let (same, other) = (0.5 * (1.0 + at.width), 0.5 * (1.0 - at.width));
    Matrix { ll: left * same, lr: left * other, rl: right * other, rr: right * same }
}

#[derive(Default)]
struct Strip {
    stereo: bool,
    fade_length: u64,
    fade: Fade,
    /// The setting wanted now, and the matrix of a strip at rest.
    code: u64,
    rest: Matrix,
}

impl Core for Strip {
    type Wide = ();

    fn prepare(&mut self, setup: &Setup) {
        self.stereo = setup.channels > 1;
        self.fade_length = fade::length(setup.rate());
    }

    fn update(&mut self, values: &Values<'_>) -> bool {
        if values.changed {
            self.code = encode(values);
            self.rest = matrix(self.code, &Position::end(values), self.stereo);
        }
        !values.moving && self.fade.is_settled(self.code)
    }

    fn process(&mut self, values: &Values<'_>, left: &mut [f32], right: &mut [f32]) {
        let mut done = 0;
        while done < left.len() {
            let part = self.fade.advance(self.code, left.len() - done, self.fade_length);
            let end = done + part.frames;
            let right = if self.stereo { &mut right[done..end] } else { &mut [] };
            let left = &mut left[done..end];
            if !part.is_moving() && !values.moving {
                run(left, right, |_| self.rest);
            } else {
                let (start, end) = (Position::start(values), Position::end(values));
                let at = |code, position: &Position| matrix(code, position, self.stereo);
                let (from_start, from_end) = (at(part.from, &start), at(part.from, &end));
                let (to_start, to_end) = (at(part.to, &start), at(part.to, &end));
                run(left, right, |i| {
                    let walk = if values.moving { values.position(done + i) } else { 1.0 };
                    let from = from_start.toward(&from_end, walk);
                    from.toward(&to_start.toward(&to_end, walk), part.position(i))
                });
            }
            done = end;
        }
    }

    fn process_wide(
        cores: &mut [Self; LANES],
        (): &mut (),
        _frame: i64,
        left: &mut [LaneFrame],
        right: &mut [LaneFrame],
    ) {
        for core in cores.iter_mut() {
            core.fade.advance(core.code, left.len(), core.fade_length);
        }
        let at = |pick: fn(&Matrix) -> f64| std::array::from_fn(|i| pick(&cores[i].rest));
        dispatch(Wide {
            ll: at(|m| m.ll),
            lr: at(|m| m.lr),
            rl: at(|m| m.rl),
            rr: at(|m| m.rr),
            left,
            right,
        });
    }

    fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        self.fade.visit(visitor);
    }

    fn reset(&mut self) {
        self.fade = Fade::default();
    }

    fn tail(&self) -> Tail {
        Tail::Frames(0)
    }
}

/// Applies the matrix of each frame.
#[inline(always)]
fn run(left: &mut [f32], right: &mut [f32], matrix: impl Fn(usize) -> Matrix) {
    if right.is_empty() {
        for (i, left) in left.iter_mut().enumerate() {
            *left = matrix(i).apply(*left, 0.0).0;
        }
        return;
    }
    for (i, (left, right)) in left.iter_mut().zip(right).enumerate() {
        (*left, *right) = matrix(i).apply(*left, *right);
    }
}

/// Frames of all lanes in a row, as far as the kernel takes them at once.
const ROW: usize = 8 * LANES;

struct Wide<'a> {
    ll: [f64; LANES],
    lr: [f64; LANES],
    rl: [f64; LANES],
    rr: [f64; LANES],
    left: &'a mut [LaneFrame],
    right: &'a mut [LaneFrame],
}

/// The gains of each lane, over and over: a row of samples meets a row of gains, and the loop over
/// both is one that the compiler turns into whole vectors. Frame by frame it shuffles instead.
#[inline(always)]
fn tiled(lanes: &[f64; LANES]) -> [f64; ROW] {
    let mut row = [0.0; ROW];
    for (at, gain) in row.iter_mut().enumerate() {
        *gain = lanes[at % LANES];
    }
    row
}

impl Kernel for Wide<'_> {
    #[inline(always)]
    fn run(self) {
        let [ll, lr, rl, rr] = [self.ll, self.lr, self.rl, self.rr].each_ref().map(tiled);
        let (left, right) = (self.left.as_flattened_mut(), self.right.as_flattened_mut());
        if right.is_empty() {
            for row in left.chunks_mut(ROW) {
                for at in 0..row.len() {
                    row[at] = (ll[at] * f64::from(row[at]) + lr[at] * 0.0) as f32;
                }
            }
            return;
        }
        let (left_rows, left_rest) = left.as_chunks_mut::<ROW>();
        let (right_rows, right_rest) = right.as_chunks_mut::<ROW>();
        for (left, right) in left_rows.iter_mut().zip(right_rows) {
            for at in 0..ROW {
                let (l, r) = (f64::from(left[at]), f64::from(right[at]));
                left[at] = (ll[at] * l + lr[at] * r) as f32;
                right[at] = (rl[at] * l + rr[at] * r) as f32;
            }
        }
        for at in 0..left_rest.len().min(right_rest.len()) {
            let (l, r) = (f64::from(left_rest[at]), f64::from(right_rest[at]));
            left_rest[at] = (ll[at] * l + lr[at] * r) as f32;
            right_rest[at] = (rl[at] * l + rr[at] * r) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, check_cuts, lanes::check_lanes, noise};

    /// Level in dB of both sides for a constant input of one on both.
    fn check(settings: &[(&str, f64)], left_db: f64, right_db: f64) {
        let mut rig = Rig::new(&KIND, 48_000);
        for (id, value) in settings {
            rig.set(id, *value);
        }
        let ones = vec![vec![vec![1.0; 64]; 2]];
        let out = rig.block(&ones, 64);
        for (plane, want) in out[0].iter().zip([left_db, right_db]) {
            let got = decibel::gain_to_db(f64::from(plane[63].abs()));
            let ok = (got - want).abs() < 1e-5 || (got < -150.0 && want < -150.0);
            assert!(ok, "{settings:?}: {got} dB is not {want} dB");
        }
    }

    #[test]
    fn defaults_pass_every_bit() {
        let input = vec![noise(1, 2, 500)];
        assert_eq!(Rig::new(&KIND, 48_000).run(&input, 500, &[100]), input);
    }

    #[test]
    fn pan_laws_have_their_level_in_the_middle_and_full_level_at_the_side() {
        for (law, middle) in [(0.0, 0.0), (1.0, -3.010_300), (2.0, -4.515_450), (3.0, -6.020_600)] {
            check(&[("panLaw", law)], middle, middle);
            check(&[("panLaw", law), ("pan", -1.0)], 0.0, -200.0);
            check(&[("panLaw", law), ("pan", 1.0)], -200.0, 0.0);
        }
        check(&[("panLaw", 4.0), ("pan", 0.5)], -12.041_200, -2.498_775);
        check(&[("pan", 0.5)], -6.020_600, 0.0);
    }

    #[test]
    fn gain_width_and_mute_have_their_levels() {
        check(&[("gain", -6.0)], -6.0, -6.0);
        check(&[("gain", -100.0)], -200.0, -200.0);
        check(&[("mute", 1.0)], -200.0, -200.0);
        check(&[("width", 0.0)], 0.0, 0.0);
        check(&[("width", 200.0), ("invertLeft", 1.0)], 0.0, 0.0);
    }

    #[test]
    fn width_zero_is_mono_and_inversion_flips_one_side() {
        let input = vec![noise(2, 2, 100)];
        let out = Rig::new(&KIND, 48_000).set("width", 0.0).run(&input, 100, &[100]);
        assert_eq!(out[0][0], out[0][1]);
        let out = Rig::new(&KIND, 48_000).set("invertRight", 1.0).run(&input, 100, &[100]);
        assert_eq!(out[0][0], input[0][0]);
        assert!(out[0][1].iter().zip(&input[0][1]).all(|(a, b)| *a == -*b));
    }

    #[test]
    fn every_change_is_free_of_clicks() {
        let ones = vec![vec![vec![1.0; 4000]; 2]];
        for (id, value) in [("mute", 1.0), ("invertLeft", 1.0), ("panLaw", 3.0)] {
            let mut rig = Rig::new(&KIND, 48_000);
            rig.set_motion(id, Box::new(move |frame| if frame < 1600 { 0.0 } else { value }));
            let out = rig.run(&ones, 4000, &[333]);
            for plane in &out[0] {
                let step = plane.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
                assert!(step < 0.005, "{id}: a step of {step}");
            }
        }
    }

    fn moving_rig(rate: u32, channels: usize) -> Rig {
        let mut setup = Setup::new(KIND.descriptor, rate, 4096);
        setup.channels = channels;
        let mut rig = Rig::with_setup(&KIND, setup);
        rig.set_motion("pan", Box::new(|frame| libm::sin(frame as f64 * 0.002)));
        rig.set_motion("gain", Box::new(|frame| if frame < 900 { 0.0 } else { -7.0 }));
        rig.set_motion("mute", Box::new(|frame| f64::from(frame / 700 % 2 == 1)));
        rig.set_motion("panLaw", Box::new(|frame| (frame / 1000 % 5) as f64));
        rig
    }

    #[test]
    fn cuts_do_not_matter() {
        for rate in [44_100, 48_000, 96_000, 192_000] {
            for channels in [1, 2] {
                check_cuts(|| moving_rig(rate, channels), &[noise(3, channels, 5000)], 5000);
            }
        }
    }

    #[test]
    fn lanes_equal_single_strips() {
        for channels in [1, 2] {
            check_lanes(&KIND, channels, &|lane, rig| {
                rig.set("gain", lane as f64 - 5.0).set("pan", 0.2 * lane as f64 - 0.7);
                rig.set("panLaw", (lane % 5) as f64).set("width", 50.0 + 10.0 * lane as f64);
            });
            check_lanes(&KIND, channels, &|lane, rig| {
                if lane == 3 {
                    rig.set_motion("mute", Box::new(|frame| f64::from(frame > 500)));
                    rig.set_motion("gain", Box::new(|frame| -frame as f64 * 0.001));
                }
            });
        }
    }
}
