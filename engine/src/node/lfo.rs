//! `pulse.lfo`: a slow wave that moves parameters.
//!
//! It has no sound, only control outputs: a value per point of the absolute 16-frame
//! grid. Free-running, its phase is rate × absolute frame. In tempo, the phase is that
//! of the song position where the transport starts or jumps, and follows the tempo from
//! there, so it stays on the beat through tempo changes.

use crate::{
    dsp::lfo::{LfoPhase, LfoShape},
    event::EventBody,
    node::{
        Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        note_value::{NAMES, beats, follow},
        parameters::parameters,
    },
    param::{ParamDesc, Unit},
};

#[cfg(test)]
mod tests;

/// The end of a cycle, still in it.
const LAST: f64 = 1.0 - 1e-9;

/// The control output in −1..1.
const BIPOLAR: usize = 0;
/// The same in 0..1.
const UNIPOLAR: usize = 1;

/// Those of every LFO, and a pattern.
const SHAPES: &[&str] =
    &["sine", "triangle", "rampUp", "rampDown", "square", "random", "smoothRandom", "steps"];
const STEPS: usize = 7;
const MOST_STEPS: usize = 16;
/// Looks at the wave that a smoothed value is the mean of.
const LOOKS: usize = 16;

const fn step(id: &'static str, name: &'static str) -> ParamDesc {
    ParamDesc::new(id, name, Unit::None, (-1.0, 1.0), 0.0)
}

parameters!(PARAMS, P {
    Shape => ParamDesc::choice("shape", "Shape", SHAPES, 0),
    Sync => ParamDesc::choice("sync", "Note value", NAMES, 0),
    Rate => ParamDesc::new("rate", "Rate", Unit::Hertz, (0.01, 50.0), 1.0).exponential(),
    Phase => ParamDesc::new("phase", "Phase", Unit::Degrees, (0.0, 360.0), 0.0),
    Skew => ParamDesc::new("skew", "Skew", Unit::Ratio, (0.01, 0.99), 0.5),
    Depth => ParamDesc::new("depth", "Depth", Unit::Ratio, (0.0, 1.0), 1.0),
    Offset => ParamDesc::new("offset", "Offset", Unit::None, (-1.0, 1.0), 0.0),
    Retrigger => ParamDesc::choice("retrigger", "Restart", &["never", "note"], 0),
    FadeIn => ParamDesc::new("fadeIn", "Fade in", Unit::Milliseconds, (0.0, 10_000.0), 0.0)
        .power(3.0),
    Run => ParamDesc::choice("run", "Run", &["loop", "once"], 0),
    Smooth => ParamDesc::new("smooth", "Smoothing", Unit::Ratio, (0.0, 1.0), 0.0),
    StepCount => ParamDesc::new("stepCount", "Steps", Unit::None, (1.0, MOST_STEPS as f64), 16.0)
        .stepped(),
    Step1 => step("step1", "Step 1"),
    Step2 => step("step2", "Step 2"),
    Step3 => step("step3", "Step 3"),
    Step4 => step("step4", "Step 4"),
    Step5 => step("step5", "Step 5"),
    Step6 => step("step6", "Step 6"),
    Step7 => step("step7", "Step 7"),
    Step8 => step("step8", "Step 8"),
    Step9 => step("step9", "Step 9"),
    Step10 => step("step10", "Step 10"),
    Step11 => step("step11", "Step 11"),
    Step12 => step("step12", "Step 12"),
    Step13 => step("step13", "Step 13"),
    Step14 => step("step14", "Step 14"),
    Step15 => step("step15", "Step 15"),
    Step16 => step("step16", "Step 16"),
});

const STEP_PARAMS: [P; MOST_STEPS] = [
    P::Step1,
    P::Step2,
    P::Step3,
    P::Step4,
    P::Step5,
    P::Step6,
    P::Step7,
    P::Step8,
    P::Step9,
    P::Step10,
    P::Step11,
    P::Step12,
    P::Step13,
    P::Step14,
    P::Step15,
    P::Step16,
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.lfo", "LFO", PARAMS);
    descriptor.outputs = &[];
    descriptor.controls = &[crate::node::BIPOLAR, crate::node::UNIPOLAR];
    descriptor.reads_transport = true;
    descriptor.follows_tempo = crate::node::FollowsTempo::While("sync");
    descriptor.uses_random = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Lfo::default()));

#[derive(Default)]
struct Lfo {
    rate: f64,
    seed: u64,
    phase: LfoPhase,
    /// When a note last restarted the wave: fading in counts from here.
    restarted: i64,
    was_restarted: bool,
}

impl Node for Lfo {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.seed = setup.seed;
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        self.set_rate(io);
        let mut events = io.events().iter().peekable();
        let restarts = io.param_index(P::Retrigger as usize) == 1;
        for (point, offset) in io.grid_points() {
            while let Some(event) = events.next_if(|event| event.offset as usize <= offset) {
                self.handle(event.body, io.frame() + i64::from(event.offset), restarts);
            }
            let value = self.value(io, io.frame() + offset as i64);
            io.set_control(BIPOLAR, point, value);
            io.set_control(UNIPOLAR, point, 0.5 + 0.5 * value);
        }
        for event in events {
            self.handle(event.body, io.frame() + i64::from(event.offset), restarts);
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.phase.visit(visitor);
        visitor.i64(&mut self.restarted);
        visitor.bool(&mut self.was_restarted);
    }

    fn reset(&mut self) {
        self.phase = LfoPhase::default();
        self.restarted = 0;
        self.was_restarted = false;
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

impl Lfo {
    fn set_rate(&mut self, io: &Io<'_>) {
        let beats = beats(io.param_index(P::Sync as usize));
        follow(&mut self.phase, io, beats, io.param(P::Rate as usize), self.rate);
    }

    fn handle(&mut self, body: EventBody, frame: i64, restarts: bool) {
        if restarts && matches!(body, EventBody::NoteOn { .. }) {
            self.phase.anchor(frame, 0.0);
            self.restarted = frame;
            self.was_restarted = true;
        }
    }

    fn value(&self, io: &Io<'_>, frame: i64) -> f64 {
        let value = |param: P| io.param(param as usize);
        let mut cycles = self.phase.cycles(frame);
        if io.param_index(P::Run as usize) == 1 {
            // Before the first note it lies where it will come to rest.
            cycles = if self.was_restarted { cycles.min(LAST) } else { LAST };
        }
        let cycles = cycles + value(P::Phase) / 360.0;
        let (skew, smooth) = (value(P::Skew), value(P::Smooth));
        let wave = if smooth == 0.0 {
            self.wave(io, skewed(cycles, skew))
        } else {
            let look = |i: usize| cycles - smooth * i as f64 / LOOKS as f64;
            let sum: f64 = (0..LOOKS).map(|i| self.wave(io, skewed(look(i), skew))).sum();
            sum / LOOKS as f64
        };
        let depth = value(P::Depth) * self.fade(frame, value(P::FadeIn));
        (wave * depth + value(P::Offset)).clamp(-1.0, 1.0)
    }

    fn wave(&self, io: &Io<'_>, cycles: f64) -> f64 {
        let shape = io.param_index(P::Shape as usize);
        if shape != STEPS {
            return LfoShape::from_index(shape).at(cycles, self.seed);
        }
        let count = io.param_index(P::StepCount as usize).clamp(1, MOST_STEPS);
        let phase = cycles - libm::floor(cycles);
        let at = ((phase * count as f64) as usize).min(count - 1);
        io.param(STEP_PARAMS[at] as usize)
    }

    fn fade(&self, frame: i64, ms: f64) -> f64 {
        let frames = ms * 0.001 * self.rate;
        let passed = frame.saturating_sub(self.restarted) as f64;
        if !self.was_restarted || passed >= frames { 1.0 } else { passed / frames }
    }
}

/// Gives the first half of each cycle the share `skew` of its time.
fn skewed(cycles: f64, skew: f64) -> f64 {
    if skew == 0.5 {
        return cycles;
    }
    let whole = libm::floor(cycles);
    let phase = cycles - whole;
    let bent =
        if phase < skew { 0.5 * phase / skew } else { 0.5 + 0.5 * (phase - skew) / (1.0 - skew) };
    whole + bent.min(1.0 - f64::EPSILON)
}
