//! The multimode filter: a state-variable filter of 12 or 24 dB per octave behind a soft drive.
//!
//! Cutoff, resonance and drive are computed at every frame while they move, so that an envelope or an
//! LFO on the cutoff sounds as smooth as it is. Modes blend by their output weights. Filters that
//! are driven run by themselves, the others eight at a time.

use crate::{
    dsp::{
        decibel,
        drive::{Amount, Drive},
        fade::{self, Fade},
        settle, svf,
    },
    node::{
        Descriptor, NodeKind, Setup, StateVisitor, Tail,
        batch::{Batch, Core, Single, Values},
    },
    param::{ParamDesc, Unit},
    simd::{Kernel, LANES, LaneFrame, dispatch},
};

const MODE: usize = 0;
const SLOPE: usize = 1;
const CUTOFF: usize = 2;
const RESONANCE: usize = 3;
const DRIVE: usize = 4;

const LOWEST_HZ: f64 = 20.0;
const HIGHEST_Q: f64 = 24.0;
const BUTTERWORTH_Q: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// Q of the two sections of a Butterworth filter of order 4; resonance scales the second.
const BUTTERWORTH_4: (f64, f64) = (0.541_196_100_146_197, 1.306_562_964_876_376_5);

const MODES: &[&str] = &["lowPass", "highPass", "bandPass", "notch", "peak"];
const SLOPES: &[&str] = &["12dB", "24dB"];

const PARAMS: &[ParamDesc] = &[
    ParamDesc::choice("mode", "Mode", MODES, 0),
    ParamDesc::choice("slope", "Slope", SLOPES, 0),
    ParamDesc::new("cutoff", "Cutoff", Unit::Hertz, (LOWEST_HZ, 20_000.0), 1000.0).exponential(),
    ParamDesc::new("resonance", "Resonance", Unit::Ratio, (0.5, HIGHEST_Q), BUTTERWORTH_Q)
        .exponential(),
    ParamDesc::new("drive", "Drive", Unit::Decibel, (0.0, 36.0), 0.0),
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.filter", "Filter", PARAMS);
    // 2: the drive is oversampled.
    descriptor.dsp_version = 2;
    descriptor
};

pub static KIND: NodeKind = {
    let mut kind = NodeKind::new(&DESCRIPTOR, Single::<Filter>::boxed);
    kind.lanes = Some(Batch::<Filter>::boxed);
    kind
};

/// A mode and slope as numbers that can be blended.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Blend {
    low: f64,
    band: f64,
    high: f64,
    /// Q of the two stages is `fixed + scaled · resonance`.
    first: (f64, f64),
    second: (f64, f64),
    /// How much of the second stage is heard.
    steep: f64,
}

impl Blend {
    fn of(code: u64) -> Self {
        let (mode, steep) = (code & 7, code >> 3 != 0);
        let (low, band, high) = match mode {
            0 => (1.0, 0.0, 0.0),
            1 => (0.0, 0.0, 1.0),
            2 => (0.0, 1.0, 0.0),
            3 => (1.0, 0.0, 1.0),
            _ => (1.0, 0.0, -1.0),
        };
        let cut = mode < 2;
        let first = if cut && steep { (BUTTERWORTH_4.0, 0.0) } else { (0.0, 1.0) };
        let second = if cut { (0.0, BUTTERWORTH_4.1 / BUTTERWORTH_Q) } else { (0.0, 1.0) };
        Self { low, band, high, first, second, steep: if steep { 1.0 } else { 0.0 } }
    }

    fn toward(&self, to: &Self, t: f64) -> Self {
        let mix = |from: f64, to: f64| from + (to - from) * t;
        let both = |from: (f64, f64), to: (f64, f64)| (mix(from.0, to.0), mix(from.1, to.1));
        Self {
            low: mix(self.low, to.low),
            band: mix(self.band, to.band),
            high: mix(self.high, to.high),
            first: both(self.first, to.first),
            second: both(self.second, to.second),
            steep: mix(self.steep, to.steep),
        }
    }
}

/// One stage: integrator gains, and the weights of input, band and low in its output.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stage {
    a1: f64,
    a2: f64,
    a3: f64,
    m0: f64,
    m1: f64,
    m2: f64,
}

impl Stage {
    #[inline(always)]
    fn new(g: f64, q: f64, blend: &Blend) -> Self {
        let svf::Coefficients { k, a1, a2, a3 } = svf::Coefficients::from_gain(g, q);
        Self {
            a1,
            a2,
            a3,
            m0: blend.high,
            m1: k * (blend.band - blend.high),
            m2: blend.low - blend.high,
        }
    }

    #[inline(always)]
    fn step(&self, state: &mut svf::State, x: f64) -> f64 {
        let v3 = x - state.ic2;
        let v1 = self.a1 * state.ic1 + self.a2 * v3;
        let v2 = state.ic2 + self.a2 * state.ic1 + self.a3 * v3;
        state.ic1 = 2.0 * v1 - state.ic1;
        state.ic2 = 2.0 * v2 - state.ic2;
        self.m0 * x + self.m1 * v1 + self.m2 * v2
    }
}

/// Everything one frame needs, a pure function of the parameters at that frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tone {
    drive: Amount,
    first: Stage,
    second: Stage,
    steep: f64,
}

impl Tone {
    fn new(blend: &Blend, hz: f64, resonance: f64, drive_db: f64, rate: f64) -> Self {
        let g = svf::integrator_gain(hz, rate);
        let q = |of: (f64, f64)| (of.0 + of.1 * resonance).max(0.1);
        let drive = if drive_db == 0.0 { 1.0 } else { decibel::db_to_gain(drive_db) };
        Self {
            drive: Amount::new(drive, fade::length(rate)),
            first: Stage::new(g, q(blend.first), blend),
            second: Stage::new(g, q(blend.second), blend),
            steep: blend.steep,
        }
    }

    #[inline(always)]
    fn step(&self, state: &mut [svf::State; 2], drive: &mut Drive, x: f64) -> f64 {
        let soft = drive.run(x, &self.drive);
        let shallow = self.first.step(&mut state[0], soft);
        let steep = self.second.step(&mut state[1], shallow);
        blend_slopes(shallow, steep, self.steep)
    }
}

#[inline(always)]
fn blend_slopes(shallow: f64, steep: f64, amount: f64) -> f64 {
    if amount == 0.0 { shallow } else { shallow + (steep - shallow) * amount }
}

#[derive(Default)]
struct Filter {
    rate: f64,
    stereo: bool,
    fade_length: u64,
    fade: Fade,
    code: u64,
    rest: Tone,
    /// `[channel][stage]`.
    states: [[svf::State; 2]; 2],
    drives: [Drive; 2],
}

impl Filter {
    fn process_channels<const N: usize>(
        &mut self,
        values: &Values<'_>,
        mut planes: [&mut [f32]; N],
    ) {
        let frames = planes.first().map_or(0, |plane| plane.len());
        for (from, to, due) in settle::cells(values.frame as u64, frames) {
            if due {
                self.settle();
            }
            let mut at = from;
            while at < to {
                let part = self.fade.advance(self.code, to - at, self.fade_length);
                let (old, new) = (Blend::of(part.from), Blend::of(part.to));
                for i in 0..part.frames {
                    let tone = if part.is_moving() {
                        self.tone(values, &old.toward(&new, part.position(i)), at + i)
                    } else if values.moving {
                        self.tone(values, &new, at + i)
                    } else {
                        self.rest
                    };
                    let states = self.states.iter_mut().zip(&mut self.drives);
                    for (plane, (state, drive)) in planes.iter_mut().zip(states) {
                        plane[at + i] = tone.step(state, drive, f64::from(plane[at + i])) as f32;
                    }
                }
                at += part.frames;
                self.rest_second_stage();
            }
        }
    }

    fn tone(&self, values: &Values<'_>, blend: &Blend, frame: usize) -> Tone {
        let value = |index: usize| values.ramp(index).at(frame);
        Tone::new(blend, value(CUTOFF), value(RESONANCE), value(DRIVE), self.rate)
    }

    /// The stage that a shallow filter doesn't hear starts empty when it is wanted.
    fn rest_second_stage(&mut self) {
        if self.code >> 3 == 0 && self.fade.is_settled(self.code) {
            for state in &mut self.states {
                state[1] = svf::State::default();
            }
        }
    }

    fn settle(&mut self) {
        self.states.iter_mut().flatten().for_each(svf::State::settle);
        self.drives.iter_mut().for_each(Drive::settle);
    }
}

impl Core for Filter {
    type Wide = ();

    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.stereo = setup.channels > 1;
        self.fade_length = fade::length(self.rate);
    }

    fn update(&mut self, values: &Values<'_>) -> bool {
        if values.changed {
            self.code = values.choice(MODE) | values.choice(SLOPE) << 3;
            let blend = Blend::of(self.code);
            let value = |index| values.end(index);
            self.rest = Tone::new(&blend, value(CUTOFF), value(RESONANCE), value(DRIVE), self.rate);
        }
        let driven = !self.rest.drive.is_off() || self.drives.iter().any(|drive| !drive.is_off());
        !driven && !values.moving && self.fade.is_settled(self.code)
    }

    fn process(&mut self, values: &Values<'_>, left: &mut [f32], right: &mut [f32]) {
        if self.stereo {
            self.process_channels(values, [left, right]);
        } else {
            self.process_channels(values, [left]);
        }
    }

    fn process_wide(
        cores: &mut [Self; LANES],
        (): &mut (),
        frame: i64,
        left: &mut [LaneFrame],
        right: &mut [LaneFrame],
    ) {
        for core in cores.iter_mut() {
            core.fade.advance(core.code, left.len(), core.fade_length);
        }
        for (channel, plane) in [left, right].into_iter().enumerate() {
            if !plane.is_empty() {
                cores.iter_mut().for_each(|core| core.drives[channel].rest());
            }
            dispatch(Run { cores, channel, frame, plane });
        }
        cores.iter_mut().for_each(Self::rest_second_stage);
    }

    fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        self.fade.visit(visitor);
        for state in self.states.iter_mut().flatten() {
            visitor.f64(&mut state.ic1);
            visitor.f64(&mut state.ic2);
        }
        self.drives.iter_mut().for_each(|drive| drive.visit(visitor));
    }

    fn reset(&mut self) {
        self.fade = Fade::default();
        self.states = Default::default();
        self.drives = Default::default();
    }

    /// The steep filter's second stage at the lowest cutoff and highest resonance falls by 120 dB in
    /// 6·ln(10)·Q/(π·f); a quarter more covers the first stage feeding it.
    fn tail(&self) -> Tail {
        let q = HIGHEST_Q * BUTTERWORTH_4.1 / BUTTERWORTH_Q;
        let seconds = 6.0 * std::f64::consts::LN_10 * q / (std::f64::consts::PI * LOWEST_HZ);
        Tail::Frames((1.25 * seconds * self.rate) as u64)
    }
}

/// One channel of eight filters at rest that nothing drives.
struct Run<'a> {
    cores: &'a mut [Filter; LANES],
    channel: usize,
    frame: i64,
    plane: &'a mut [LaneFrame],
}

impl Kernel for Run<'_> {
    #[inline(always)]
    fn run(self) {
        let (cores, channel) = (self.cores, self.channel);
        let mut state = [0, 1].map(|stage| WideState::gather(cores, channel, stage));
        let first = WideStage::gather(cores, |tone| &tone.first);
        let second = WideStage::gather(cores, |tone| &tone.second);
        let of = |pick: fn(&Tone) -> f64| std::array::from_fn(|lane| pick(&cores[lane].rest));
        let steep: Wide = of(|tone| tone.steep);
        let start = self.frame as u64;
        for (i, frame) in self.plane.iter_mut().enumerate() {
            if start.wrapping_add(i as u64).is_multiple_of(settle::GRID) {
                state.iter_mut().for_each(WideState::settle);
            }
            let x = frame.map(f64::from);
            let shallow = first.step(&mut state[0], &x);
            let deep = second.step(&mut state[1], &shallow);
            for lane in 0..LANES {
                frame[lane] = blend_slopes(shallow[lane], deep[lane], steep[lane]) as f32;
            }
        }
        for (stage, state) in state.iter().enumerate() {
            for (lane, core) in cores.iter_mut().enumerate() {
                core.states[channel][stage] =
                    svf::State { ic1: state.ic1[lane], ic2: state.ic2[lane] };
            }
        }
    }
}

type Wide = [f64; LANES];

struct WideState {
    ic1: Wide,
    ic2: Wide,
}

impl WideState {
    #[inline(always)]
    fn gather(cores: &[Filter; LANES], channel: usize, stage: usize) -> Self {
        let of = |lane: usize| cores[lane].states[channel][stage];
        Self {
            ic1: std::array::from_fn(|lane| of(lane).ic1),
            ic2: std::array::from_fn(|lane| of(lane).ic2),
        }
    }

    #[inline(always)]
    fn settle(&mut self) {
        for lane in 0..LANES {
            self.ic1[lane] = settle::settle(self.ic1[lane]);
            self.ic2[lane] = settle::settle(self.ic2[lane]);
        }
    }
}

/// [`Stage`] of eight filters.
struct WideStage {
    a1: Wide,
    a2: Wide,
    a3: Wide,
    m0: Wide,
    m1: Wide,
    m2: Wide,
}

impl WideStage {
    #[inline(always)]
    fn gather(cores: &[Filter; LANES], stage: fn(&Tone) -> &Stage) -> Self {
        let of = |pick: fn(&Stage) -> f64| -> Wide {
            std::array::from_fn(|lane| pick(stage(&cores[lane].rest)))
        };
        Self {
            a1: of(|stage| stage.a1),
            a2: of(|stage| stage.a2),
            a3: of(|stage| stage.a3),
            m0: of(|stage| stage.m0),
            m1: of(|stage| stage.m1),
            m2: of(|stage| stage.m2),
        }
    }

    /// The operations of [`Stage::step`], in their order.
    #[inline(always)]
    fn step(&self, state: &mut WideState, x: &Wide) -> Wide {
        let mut out = [0.0; LANES];
        for i in 0..LANES {
            let v3 = x[i] - state.ic2[i];
            let v1 = self.a1[i] * state.ic1[i] + self.a2[i] * v3;
            let v2 = state.ic2[i] + self.a2[i] * state.ic1[i] + self.a3[i] * v3;
            state.ic1[i] = 2.0 * v1 - state.ic1[i];
            state.ic2[i] = 2.0 * v2 - state.ic2[i];
            out[i] = self.m0[i] * x[i] + self.m1[i] * v1 + self.m2[i] * v2;
        }
        out
    }
}

#[cfg(test)]
mod tests;
