//! `pulse.reverb`: a hall from a feedback delay network.
//!
//! The network is [`crate::dsp::fdn`]; this node adds what makes it a room: pre-delay,
//! filters before it, slow movement of the lines, width, and a mix at constant power.
//! The movement comes from the absolute frame, so it is the same wherever a render
//! starts. Wet level does not grow with the decay time: a longer tail is not louder.

use crate::{
    dsp::{
        delay_line::{DelayLine, flush},
        fade::{self, Fade},
        fdn::{Decay, Fdn, LINES, Losses, lengths},
        lfo::LfoPhase,
        longest_tail::{LongestTail, heard},
        oscillator::{Shape, Wavetables, wrap},
        svf,
    },
    math,
    node::{
        Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        parameters::parameters,
        voices::{Step, mapped, walk},
    },
    param::{GRID, ParamDesc, Ramp, Unit, cell_start},
};

#[cfg(test)]
mod tests;

const LARGEST_SIZE: f64 = 1.5;
const LONGEST_PRE_DELAY: f64 = 0.25;
/// Frames of one line at full depth, at 48 kHz.
const SWAY_SECONDS: f64 = 24.0 / 48_000.0;
/// Allpass gain at full diffusion.
const MOST_DIFFUSION: f64 = 0.72;
/// Makes steady noise as loud wet as dry (see [`level`]).
const WET_GAIN: f64 = 0.276;
/// Mean length of a line in seconds at size 1.
const MEAN_LENGTH: f64 = 0.047;
/// Decay times until a tail has fallen below the −300 dB at which lines are cleared,
/// with one for full-scale input.
const DECAYS_TO_SILENCE: f64 = 6.0;

/// When early reflections come, in seconds at size 1, left and right.
const EARLY_TIMES: [[f64; EARLY]; 2] = [
    [0.006_1, 0.010_9, 0.017_3, 0.024_7, 0.032_9, 0.043_1, 0.056_3, 0.071_9],
    [0.007_3, 0.012_7, 0.015_1, 0.027_1, 0.035_3, 0.040_9, 0.060_1, 0.068_3],
];
/// How loud they are: falling with distance, of both signs, of power 1 together.
const EARLY_GAINS: [f64; EARLY] =
    [0.661, -0.457_5, 0.372_3, 0.274_5, -0.229_5, 0.200_5, -0.162_2, 0.143_7];
const EARLY: usize = 8;

const fn hertz(id: &'static str, name: &'static str, range: (f64, f64), default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Hertz, range, default).exponential()
}

const fn ratio(id: &'static str, name: &'static str, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Ratio, (0.0, 1.0), default)
}

parameters!(PARAMS, P {
    Mix => ratio("mix", "Mix", 0.25),
    Decay => ParamDesc::new("decay", "Decay", Unit::Seconds, (0.1, 30.0), 2.0).exponential(),
    Size => ParamDesc::new("size", "Size", Unit::Ratio, (0.2, LARGEST_SIZE), 1.0).smoothing(200.0),
    PreDelay => ParamDesc::new(
        "preDelay", "Pre-delay", Unit::Milliseconds, (0.0, 1000.0 * LONGEST_PRE_DELAY), 12.0,
    ).smoothing(100.0),
    LowDecay => ParamDesc::new("lowDecay", "Decay of lows", Unit::Ratio, (0.2, 3.0), 1.1),
    HighDecay => ParamDesc::new("highDecay", "Decay of highs", Unit::Ratio, (0.05, 1.5), 0.45),
    LowEdge => hertz("lowEdge", "Edge of lows", (40.0, 1_000.0), 220.0),
    HighEdge => hertz("highEdge", "Edge of highs", (1_000.0, 16_000.0), 4_500.0),
    Diffusion => ratio("diffusion", "Diffusion", 0.85),
    ModDepth => ratio("modDepth", "Movement", 0.25),
    ModRate => hertz("modRate", "Speed of movement", (0.05, 5.0), 0.5),
    LowCut => hertz("lowCut", "Low cut", (10.0, 1_000.0), 30.0),
    HighCut => hertz("highCut", "High cut", (1_000.0, 20_000.0), 14_000.0),
    Width => ratio("width", "Width", 1.0),
    Early => ratio("early", "Early reflections", 0.0),
    Freeze => ParamDesc::switch("freeze", "Freeze", false),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.reverb", "Reverb", PARAMS);
    // 2: there is more state. 3: a tail under way ends by its own time when `decay` gets shorter.
    descriptor.dsp_version = 3;
    descriptor.linear = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Reverb::default()));

/// What the parameters amount to, apart from what moves within a grid cell.
#[derive(Clone, Copy)]
struct Design {
    losses: Losses,
    diffusion: f64,
    low_cut: svf::Coefficients,
    high_cut: svf::Coefficients,
    tail_frames: u64,
    freezes: bool,
}

impl Design {
    fn read(value: impl Fn(P) -> f64, rate: f64) -> Design {
        let decay = Decay {
            seconds: value(P::Decay),
            low: value(P::LowDecay),
            high: value(P::HighDecay),
            low_edge: value(P::LowEdge),
            high_edge: value(P::HighEdge),
        };
        let butterworth = core::f64::consts::FRAC_1_SQRT_2;
        let longest = decay.seconds * decay.low.max(decay.high).max(1.0);
        let seconds = DECAYS_TO_SILENCE * longest + 0.1 * LARGEST_SIZE + LONGEST_PRE_DELAY + 1.0;
        Design {
            losses: Losses::new(&lengths(value(P::Size), rate), &decay, rate),
            diffusion: MOST_DIFFUSION * value(P::Diffusion),
            low_cut: svf::Coefficients::new(value(P::LowCut), butterworth, rate),
            high_cut: svf::Coefficients::new(value(P::HighCut), butterworth, rate),
            tail_frames: (seconds * rate) as u64,
            freezes: value(P::Freeze) >= 0.5,
        }
    }
}

#[derive(Default)]
struct Reverb {
    rate: f64,
    design: Option<Design>,
    pre_delay: [DelayLine; 2],
    low_cut: [svf::State; 2],
    high_cut: [svf::State; 2],
    fdn: Fdn,
    movement: LfoPhase,
    /// What enters the network, for early reflections.
    early: [DelayLine; 2],
    freeze: Fade,
    longest: LongestTail,
}

impl Node for Reverb {
    fn prepare(&mut self, setup: &Setup) {
        let _ = Wavetables::shared();
        self.rate = setup.rate();
        let longest = (LONGEST_PRE_DELAY * self.rate) as usize + 4;
        self.pre_delay = [DelayLine::new(longest), DelayLine::new(longest)];
        self.fdn = Fdn::new(self.rate, LARGEST_SIZE);
        let latest = (0.072 * LARGEST_SIZE * self.rate) as usize + 4;
        self.early = [DelayLine::new(latest), DelayLine::new(latest)];
        self.design = Some(Design::read(|param| setup.param(param as usize), self.rate));
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let design = match self.design {
            Some(design) if !io.params_changed() => design,
            _ => Design::read(|param| io.param(param as usize), self.rate),
        };
        self.design = Some(design);
        self.movement.set_rate(io.frame(), io.param(P::ModRate as usize) / self.rate);
        walk(io.frame(), io.frames(), &[], |step| match step {
            Step::GridPoint(_) => {
                self.settle();
                self.longest.lasts(design.tail_frames);
            }
            Step::Event(..) => {}
            Step::Render { at, length } => self.render(io, at, length, &design),
        });
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.pre_delay.iter_mut().for_each(|line| line.visit(visitor));
        for state in self.low_cut.iter_mut().chain(&mut self.high_cut) {
            visitor.f64(&mut state.ic1);
            visitor.f64(&mut state.ic2);
        }
        self.fdn.visit(visitor);
        self.movement.visit(visitor);
        self.early.iter_mut().for_each(|line| line.visit(visitor));
        self.freeze.visit(visitor);
        self.longest.visit(visitor);
    }

    fn reset(&mut self) {
        self.pre_delay.iter_mut().for_each(DelayLine::clear);
        self.low_cut = [svf::State::default(); 2];
        self.high_cut = [svf::State::default(); 2];
        self.fdn.clear();
        self.movement = LfoPhase::default();
        self.early.iter_mut().for_each(DelayLine::clear);
        self.freeze = Fade::default();
        self.longest = LongestTail::default();
    }

    fn tail(&self) -> Tail {
        match self.design {
            Some(design) if !design.freezes => self.longest.tail(design.tail_frames),
            _ => Tail::Infinite,
        }
    }
}

impl Reverb {
    fn settle(&mut self) {
        self.low_cut.iter_mut().chain(&mut self.high_cut).for_each(svf::State::settle);
    }

    /// Frames of each line at the start and at the end of a grid cell.
    fn delays(&self, io: &Io<'_>, cell: i64) -> [[f64; LINES]; 2] {
        let (size, depth) = (io.param_ramp(P::Size as usize), io.param_ramp(P::ModDepth as usize));
        let at = |frame: i64, size: f64, depth: f64| {
            let mut delays = lengths(size, self.rate);
            if depth > 0.0 {
                let (tables, cycles) = (Wavetables::shared(), self.movement.cycles(frame));
                for (line, delay) in delays.iter_mut().enumerate() {
                    let phase = wrap(cycles + line as f64 / LINES as f64);
                    let sway = 1.0 + tables.sample(Shape::Sine, 0, phase, 0.5);
                    *delay += 0.5 * sway * depth * SWAY_SECONDS * self.rate;
                }
            }
            delays
        };
        [at(cell, size.base, depth.base), at(cell + GRID, size.end, depth.end)]
    }

    fn render(&mut self, io: &mut Io<'_>, at: usize, length: usize, design: &Design) {
        let cell = cell_start(io.frame() + at as i64);
        let into_cell = (io.frame() + at as i64 - cell) as usize;
        let [start, end] = self.delays(io, cell);
        let pre_delay =
            mapped(io.param_ramp(P::PreDelay as usize), |ms| libm::round(ms * 0.001 * self.rate));
        let ramps = Ramps {
            dry: mapped(io.param_ramp(P::Mix as usize), |mix| math::sqrt(1.0 - mix)),
            wet: mapped(io.param_ramp(P::Mix as usize), math::sqrt),
            level: mapped(io.param_ramp(P::Decay as usize), level),
            width: io.param_ramp(P::Width as usize),
        };
        let early = io.param_ramp(P::Early as usize);
        let has_early = early.base != 0.0 || early.end != 0.0;
        let size = io.param_ramp(P::Size as usize);
        let mut frozen = [0.0; GRID as usize];
        let frozen = &mut frozen[..length];
        if design.freezes || !self.freeze.is_settled(0) {
            self.freeze.amounts(design.freezes, fade::length(self.rate), frozen);
        }
        let still = [lengths(size.base, self.rate), lengths(size.end, self.rate)];
        let taps = [self.taps(size.base), self.taps(size.end)];
        let mono = io.output_channels(0) < 2;
        let (left, right) = io.output_pair(0);
        if heard([&*left, &*right], at, length) {
            self.longest.begins(design.tail_frames);
        }
        let mut delays = start;
        for i in 0..length {
            let share = (into_cell + i) as f64 * (1.0 / GRID as f64);
            for line in 0..LINES {
                delays[line] = start[line] + (end[line] - start[line]) * share;
            }
            if frozen[i] > 0.0 {
                // A line that sways is interpolated, which costs highs at every turn.
                for (line, delay) in delays.iter_mut().enumerate() {
                    let still = still[0][line] + (still[1][line] - still[0][line]) * share;
                    *delay += (still - *delay) * frozen[i];
                }
            }
            let n = at + i;
            let dry = [left[n], if mono { left[n] } else { right[n] }].map(f64::from);
            let mut fed = self.before(dry, pre_delay.at(n), design);
            let frozen = frozen[i];
            if frozen > 0.0 {
                fed = fed.map(|sample| sample * (1.0 - frozen));
            }
            let mut wet = self.fdn.run(fed, design.diffusion, &delays, &design.losses, frozen);
            for (line, sample) in self.early.iter_mut().zip(fed) {
                line.push(flush(sample));
            }
            if has_early {
                let first = self.early(&taps, share);
                // The level of the network is taken out again: reflections don't build up.
                let gain = early.at(n) / ramps.level.at(n);
                wet = [wet[0] + first[0] * gain, wet[1] + first[1] * gain];
            }
            let out = ramps.combine(n, dry, wet);
            if mono {
                left[n] = (0.5 * (out[0] + out[1])) as f32;
            } else {
                (left[n], right[n]) = (out[0] as f32, out[1] as f32);
            }
        }
    }

    /// Whole frames of the early reflections in a room of this size.
    fn taps(&self, size: f64) -> [[f64; EARLY]; 2] {
        EARLY_TIMES
            .map(|times| times.map(|time| 1.0 + libm::round(time * size * self.rate).max(2.0)))
    }

    /// Early reflections, `share` of the way from one set of taps to the other.
    fn early(&self, [from, to]: &[[[f64; EARLY]; 2]; 2], share: f64) -> [f64; 2] {
        let mut sum = [0.0; 2];
        for (channel, sum) in sum.iter_mut().enumerate() {
            for (tap, gain) in EARLY_GAINS.iter().enumerate() {
                let (from, to) = (from[channel][tap], to[channel][tap]);
                *sum += gain * self.early[channel].read_between(from + (to - from) * share);
            }
        }
        sum
    }

    /// Pre-delay and filters.
    fn before(&mut self, dry: [f64; 2], delay: f64, design: &Design) -> [f64; 2] {
        let mut fed = [0.0; 2];
        for (channel, sample) in dry.into_iter().enumerate() {
            let line = &mut self.pre_delay[channel];
            line.push(sample);
            let low = self.low_cut[channel].step(&design.low_cut, line.read_between(delay + 1.0));
            fed[channel] = self.high_cut[channel].step(&design.high_cut, low.high).low;
        }
        fed
    }
}

/// The gain that undoes how a steady sound builds up in the lines: each pass leaves
/// 10^(−6·length/decay) of the energy, so a line holds 1/(1 − that) of what is fed.
fn level(decay: f64) -> f64 {
    WET_GAIN * math::sqrt(1.0 - math::pow(10.0, -6.0 * MEAN_LENGTH / decay))
}

struct Ramps {
    dry: Ramp,
    wet: Ramp,
    level: Ramp,
    width: Ramp,
}

impl Ramps {
    fn combine(&self, n: usize, dry: [f64; 2], wet: [f64; 2]) -> [f64; 2] {
        let level = self.wet.at(n) * self.level.at(n);
        let middle = 0.5 * (wet[0] + wet[1]) * level;
        let side = 0.5 * (wet[0] - wet[1]) * self.width.at(n) * level;
        let dry_gain = self.dry.at(n);
        [dry[0] * dry_gain + middle + side, dry[1] * dry_gain + middle - side]
    }
}
