//! `pulse.delay`: stereo echo, free or in tempo.
//!
//! Echo times are whole frames, so an echo in tempo stays on the beat however often it
//! repeats, and nothing is interpolated unless the time moves. A new time either
//! crossfades to a second reading point or slides there like a tape; both are counted
//! sample by sample and so don't depend on blocks. Everything in the loop is f64, and
//! what falls below −300 dB ends.

use crate::{
    dsp::{
        decibel,
        delay_line::{DelayLine, flush},
        envelope_follower::{PeakFollower, loudest},
        fade::{self, Fade},
        lfo::LfoPhase,
        longest_tail::{LongestTail, heard},
        smooth, svf,
    },
    math,
    node::{
        Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        note_value::{NAMES, beats},
        parameters::parameters,
        voices::{Step, mapped, walk},
    },
    param::{GRID, ParamDesc, Ramp, Unit, cell_start},
};

mod tap;
#[cfg(test)]
mod tests;

use tap::{Glide, Tap};

const LOWEST_CUT: f64 = 10.0;
const HIGHEST_CUT: f64 = 20_000.0;
const MOST_MOVEMENT_MS: f64 = 10.0;

parameters!(PARAMS, P {
    Mix => ParamDesc::new("mix", "Mix", Unit::Ratio, (0.0, 1.0), 0.3),
    Sync => ParamDesc::choice("sync", "Note value", NAMES, 8),
    Time => ParamDesc::new("time", "Time", Unit::Milliseconds, (1.0, 8_000.0), 350.0)
        .exponential()
        .smoothing(0.0),
    Offset => ParamDesc::new("offset", "Right against left", Unit::Ratio, (-0.5, 0.5), 0.0)
        .smoothing(0.0),
    Feedback => ParamDesc::new("feedback", "Feedback", Unit::Ratio, (0.0, 0.98), 0.4),
    Mode => ParamDesc::choice("mode", "Mode", &["stereo", "pingPong"], 0),
    Glide => ParamDesc::choice("glide", "Change of time", &["fade", "tape"], 0),
    LowCut => ParamDesc::new("lowCut", "Low cut", Unit::Hertz, (LOWEST_CUT, 2_000.0), 80.0)
        .exponential(),
    HighCut => ParamDesc::new("highCut", "High cut", Unit::Hertz, (500.0, HIGHEST_CUT), 7_000.0)
        .exponential(),
    Drive => ParamDesc::new("drive", "Drive", Unit::Ratio, (0.0, 1.0), 0.0),
    ModDepth => ParamDesc::new(
        "modDepth", "Movement", Unit::Milliseconds, (0.0, MOST_MOVEMENT_MS), 0.0,
    ),
    ModRate => ParamDesc::new("modRate", "Speed of movement", Unit::Hertz, (0.05, 10.0), 0.6)
        .exponential(),
    Width => ParamDesc::new("width", "Width", Unit::Ratio, (0.0, 1.0), 1.0),
    MaxTime => ParamDesc::new("maxTime", "Longest time", Unit::Seconds, (0.25, 8.0), 2.5).layout(),
    Ducking => ParamDesc::new("ducking", "Ducking", Unit::Decibel, (0.0, 40.0), 0.0),
    Freeze => ParamDesc::switch("freeze", "Freeze", false),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.delay", "Delay", PARAMS);
    // 2: there is more state. 3: echoes under way end by their own time when `feedback` or `time` fall.
    descriptor.dsp_version = 3;
    descriptor.reads_transport = true;
    descriptor.follows_tempo = crate::node::FollowsTempo::While("sync");
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Delay::default()));

/// What the parameters amount to within one call.
#[derive(Clone, Copy)]
struct Design {
    /// Frames of each channel.
    times: [f64; 2],
    glide: Glide,
    ping_pong: bool,
    drive: f64,
    feedback: f64,
    freezes: bool,
    low_cut: Option<svf::Coefficients>,
    high_cut: Option<svf::Coefficients>,
}

#[derive(Default)]
struct Channel {
    line: DelayLine,
    tap: Tap,
    low_cut: svf::State,
    high_cut: svf::State,
}

impl Channel {
    /// The echo of this frame, as it lies in the line and as it is heard.
    fn read(&mut self, time: f64, sway: f64, design: &Design) -> [f64; 2] {
        let echo = self.tap.read(&self.line, time, sway, &design.glide);
        let low = match &design.low_cut {
            Some(cut) => self.low_cut.step(cut, echo).high,
            None => echo,
        };
        let heard = match &design.high_cut {
            Some(cut) => self.high_cut.step(cut, low).low,
            None => low,
        };
        [echo, heard]
    }
}

/// How echoes give way to what is played: not at all below the lower level in dB, in full above the
/// upper one.
const DUCKING_RANGE: [f64; 2] = [-50.0, -10.0];
const DUCKING_RISE: f64 = 0.005;
const DUCKING_FALL: f64 = 0.25;

#[derive(Default)]
struct Delay {
    rate: f64,
    longest: f64,
    channels: Vec<Channel>,
    movement: LfoPhase,
    freeze: Fade,
    played: PeakFollower,
    longest_tail: LongestTail,
    /// Of the last call, for the tail only.
    design: Option<Design>,
}

impl Node for Delay {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.longest = libm::floor(setup.param(P::MaxTime as usize) * self.rate);
        let movement = MOST_MOVEMENT_MS * 0.001 * self.rate;
        let room = (self.longest + movement) as usize + 4;
        let channel = || Channel { line: DelayLine::new(room), ..Channel::default() };
        self.channels = (0..setup.channels.clamp(1, 2)).map(|_| channel()).collect();
        self.design = None;
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let design = self.read_design(io);
        self.design = Some(design);
        let tail = self.tail_frames(&design);
        self.movement.set_rate(io.frame(), io.param(P::ModRate as usize) / self.rate);
        walk(io.frame(), io.frames(), &[], |step| match step {
            Step::GridPoint(_) => {
                self.settle();
                self.longest_tail.lasts(tail);
            }
            Step::Event(..) => {}
            Step::Render { at, length } => {
                let (left, right) = io.output_pair(0);
                if heard([&*left, &*right], at, length) {
                    self.longest_tail.begins(tail);
                }
                self.render(io, at, length, &design);
            }
        });
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        for channel in &mut self.channels {
            channel.line.visit(visitor);
            channel.tap.visit(visitor);
            for state in [&mut channel.low_cut, &mut channel.high_cut] {
                visitor.f64(&mut state.ic1);
                visitor.f64(&mut state.ic2);
            }
        }
        self.movement.visit(visitor);
        self.freeze.visit(visitor);
        visitor.f64(&mut self.played.level);
        self.longest_tail.visit(visitor);
    }

    fn reset(&mut self) {
        for channel in &mut self.channels {
            channel.line.clear();
            channel.tap = Tap::default();
            channel.low_cut = svf::State::default();
            channel.high_cut = svf::State::default();
        }
        self.movement = LfoPhase::default();
        self.freeze = Fade::default();
        self.played = PeakFollower::default();
        self.longest_tail = LongestTail::default();
    }

    fn tail(&self) -> Tail {
        match self.design {
            Some(design) if !design.freezes => self.longest_tail.tail(self.tail_frames(&design)),
            _ => Tail::Infinite,
        }
    }
}

impl Delay {
    /// Echoes until the last has fallen by 300 dB, with one second for the filters. A line that is
    /// read at another place now is empty after its longest time, whatever that is.
    fn tail_frames(&self, design: &Design) -> u64 {
        let time = design.times[0].max(design.times[1]);
        let loss = -20.0 * math::log10(design.feedback.max(1e-15));
        let echoes = libm::ceil(330.0 / loss) + 2.0;
        (echoes * (time + MOST_MOVEMENT_MS * 0.001 * self.rate) + self.rate) as u64
    }

    fn read_design(&self, io: &Io<'_>) -> Design {
        let value = |param: P| io.param(param as usize);
        let beats = beats(io.param_index(P::Sync as usize));
        let seconds = if beats > 0.0 {
            beats * 60.0 / io.transport().tempo.clamp(1.0, 10_000.0)
        } else {
            value(P::Time) * 0.001
        };
        let frames =
            |seconds: f64| libm::round(seconds * self.rate).clamp(2.0, self.longest.max(2.0));
        let (low, high) = (value(P::LowCut), value(P::HighCut));
        let cut =
            |hertz: f64| svf::Coefficients::new(hertz, core::f64::consts::FRAC_1_SQRT_2, self.rate);
        Design {
            times: [frames(seconds), frames(seconds * (1.0 + value(P::Offset)))],
            glide: Glide::new(io.param_index(P::Glide as usize) == 1, self.rate),
            ping_pong: io.param_index(P::Mode as usize) == 1 && self.channels.len() == 2,
            drive: value(P::Drive) * 2.0,
            feedback: value(P::Feedback),
            freezes: value(P::Freeze) >= 0.5,
            low_cut: (low > LOWEST_CUT).then(|| cut(low)),
            high_cut: (high < HIGHEST_CUT).then(|| cut(high)),
        }
    }

    /// The gain of the echoes while this is played. Not ducked at all, it listens to nothing.
    fn duck(&mut self, played: [f64; 2], ducking: Option<f64>) -> f64 {
        let Some(most) = ducking else {
            self.played = PeakFollower::default();
            return 1.0;
        };
        let rise = smooth::coefficient(DUCKING_RISE, self.rate);
        let fall = smooth::coefficient(DUCKING_FALL, self.rate);
        let level = self.played.step(loudest(played[0], played[1]), rise, fall);
        let [low, high] = DUCKING_RANGE;
        let share = (decibel::gain_to_db(level) - low) / (high - low);
        decibel::db_to_gain(-most * share.clamp(0.0, 1.0))
    }

    fn settle(&mut self) {
        self.played.settle();
        for channel in &mut self.channels {
            channel.low_cut.settle();
            channel.high_cut.settle();
        }
    }

    /// Frames by which the reading points sway, as a line through the grid cell.
    fn sway(&self, depth: Ramp, cell: i64, into_cell: usize) -> Ramp {
        if depth.base == 0.0 && depth.end == 0.0 {
            return Ramp::constant(0.0);
        }
        let at = |frame: i64, ms: f64| {
            let cycles = self.movement.cycles(frame);
            let phase = cycles - libm::floor(cycles);
            let sine = math::sin(2.0 * core::f64::consts::PI * phase);
            0.5 * (1.0 + sine) * ms * 0.001 * self.rate
        };
        Ramp::cell(at(cell, depth.base), at(cell + GRID, depth.end), into_cell as u32)
    }

    fn render(&mut self, io: &mut Io<'_>, at: usize, length: usize, design: &Design) {
        let cell = cell_start(io.frame() + at as i64);
        let into_cell = (io.frame() + at as i64 - cell) as usize;
        let sway = self.sway(io.param_ramp(P::ModDepth as usize), cell, into_cell);
        let mix = io.param_ramp(P::Mix as usize);
        let dry = mapped(mix, |mix| math::sqrt(1.0 - mix));
        let wet = mapped(mix, math::sqrt);
        let (feedback, width) =
            (io.param_ramp(P::Feedback as usize), io.param_ramp(P::Width as usize));
        let ducking = io.param_ramp(P::Ducking as usize);
        let ducks = ducking.base != 0.0 || ducking.end != 0.0;
        let mut frozen = [0.0; GRID as usize];
        let frozen = &mut frozen[..length];
        if design.freezes || !self.freeze.is_settled(0) {
            self.freeze.amounts(design.freezes, fade::length(self.rate), frozen);
        }
        let (left, right) = io.output_pair(0);
        for (i, frozen) in frozen.iter().copied().enumerate() {
            let n = at + i;
            let sway = if sway.is_constant() { sway.end } else { sway.at(i) };
            // What comes in, and what goes round: frozen, only the line itself does.
            let fed = |input: f64, back: f64, held: f64| {
                let open = input + back;
                if frozen > 0.0 { open + (held - open) * frozen } else { open }
            };
            let loop_gain = feedback.at(n);
            let ducking = ducks.then(|| ducking.at(n));
            if self.channels.len() == 1 {
                let input = f64::from(left[n]);
                let duck = self.duck([input, 0.0], ducking);
                let one = &mut self.channels[0];
                let [held, echo] = one.read(design.times[0], sway, design);
                one.line.push(flush(fed(input, drive(echo, design.drive) * loop_gain, held)));
                left[n] = (input * dry.at(n) + echo * duck * wet.at(n)) as f32;
                continue;
            }
            let input = [f64::from(left[n]), f64::from(right[n])];
            let duck = self.duck(input, ducking);
            let [first, second] = &mut self.channels[..] else { return };
            let [held_left, echo_left] = first.read(design.times[0], sway, design);
            let [held_right, echo_right] = second.read(design.times[1], sway, design);
            let echoes = [echo_left, echo_right];
            let back = echoes.map(|echo| drive(echo, design.drive) * loop_gain);
            let next = if design.ping_pong {
                let middle = 0.5 * (input[0] + input[1]);
                [fed(middle, back[1], held_right), fed(0.0, back[0], held_left)]
            } else {
                [fed(input[0], back[0], held_left), fed(input[1], back[1], held_right)]
            };
            first.line.push(flush(next[0]));
            second.line.push(flush(next[1]));
            let shown = narrow(echoes, width.at(n)).map(|echo| echo * duck);
            left[n] = (input[0] * dry.at(n) + shown[0] * wet.at(n)) as f32;
            right[n] = (input[1] * dry.at(n) + shown[1] * wet.at(n)) as f32;
        }
    }
}

/// Scales the difference of the channels; at full width nothing changes.
fn narrow(sides: [f64; 2], width: f64) -> [f64; 2] {
    if width == 1.0 {
        return sides;
    }
    let (middle, side) = (0.5 * (sides[0] + sides[1]), 0.5 * (sides[0] - sides[1]) * width);
    [middle + side, middle - side]
}

/// A soft limit that never amplifies.
fn drive(x: f64, amount: f64) -> f64 {
    if amount == 0.0 { x } else { x / math::sqrt(1.0 + (amount * x) * (amount * x)) }
}
