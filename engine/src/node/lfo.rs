//! `pulse.lfo`: a slow wave that moves parameters.
//!
//! It has no sound, only control outputs: a value per point of the absolute 16-frame
//! grid. Free-running, its phase is rate × absolute frame. In tempo, the phase is that
//! of the song position where the transport starts or jumps, and follows the tempo from
//! there, so it stays on the beat through tempo changes.

use crate::{
    dsp::lfo::{LfoPhase, LfoShape, SHAPES},
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

/// The control output in −1..1.
const BIPOLAR: usize = 0;
/// The same in 0..1.
const UNIPOLAR: usize = 1;

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
});

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
        let cycles = self.phase.cycles(frame) + value(P::Phase) / 360.0;
        let shape = LfoShape::from_index(io.param_index(P::Shape as usize));
        let wave = shape.at(skewed(cycles, value(P::Skew)), self.seed);
        let depth = value(P::Depth) * self.fade(frame, value(P::FadeIn));
        (wave * depth + value(P::Offset)).clamp(-1.0, 1.0)
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
