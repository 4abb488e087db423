//! One zone while it sounds.

use super::{
    Patch,
    bind::{LoopBody, Zone, table},
    factor,
};
use crate::{
    dsp::{adsr::Adsr, svf},
    event::EventBody,
    math,
    node::{
        StateVisitor,
        controllers::push,
        voice_filter::{Filter, Mode},
        voices::{Expression, Line, Note},
    },
};

/// What all voices of a channel share at a grid point.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    /// Semitones by which all is played higher.
    pub tune: f64,
    /// −1..1.
    pub lfo: f64,
    pub pressure: f64,
    /// −1..1.
    pub brightness: f64,
    /// Gains of both sides by the controllers of the channel.
    pub sides: [f64; 2],
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Voice {
    pub active: bool,
    pub note: Note,
    /// The id of the zone.
    pub zone: u128,
    pub order: u64,
    pub on_pedal: bool,
    expression: Expression,
    /// Not a frame of it was heard yet.
    fresh: bool,
    /// 1 while playing; falls by `fade_step` per frame once choked or stolen.
    pub fade: f64,
    fade_step: f64,
    released: bool,
    level: f64,
    /// Frames of the whole sample, or of the loop's body once inside it.
    position: f64,
    in_loop: bool,
    /// Left the loop at note-off: what follows is played to its end.
    left_loop: bool,
    speed: Line,
    cutoff: Line,
    /// Level of the LFO and of the channel on both sides.
    sides: [Line; 2],
    amp: Adsr,
    tone: Adsr,
    filters: [Filter; 2],
}

impl Voice {
    pub fn start(zone: &Zone, note: Note, order: u64, patch: &Patch, common: &Common) -> Voice {
        let mut voice = Voice {
            active: true,
            note,
            zone: zone.id,
            order,
            fade: 1.0,
            level: 1.0 - patch.velocity + patch.velocity * note.velocity * note.velocity,
            fresh: true,
            ..Voice::default()
        };
        voice.amp.gate_on();
        voice.tone.gate_on();
        let skipped = (patch.start + patch.velocity_start * (1.0 - note.velocity)).min(0.999);
        voice.position = libm::floor(skipped * zone.sample.whole.frames as f64);
        voice.enter_loop(zone);
        voice.settle_on_targets(zone, patch, common);
        voice
    }

    fn settle_on_targets(&mut self, zone: &Zone, patch: &Patch, common: &Common) {
        self.speed = Line::start(self.speed_target(zone, patch, common));
        self.cutoff = Line::start(self.cutoff_target(patch, common));
        self.sides = self.sides_target(patch, common).map(Line::start);
    }

    /// Takes an event that may be about this note. What is said of it as it begins is how it begins.
    pub fn express(&mut self, body: &EventBody, zone: &Zone, patch: &Patch, common: &Common) {
        if self.expression.hear(body) && self.fresh {
            self.settle_on_targets(zone, patch, common);
        }
    }

    fn speed_target(&self, zone: &Zone, patch: &Patch, common: &Common) -> f64 {
        let mut semitones = zone.interval(&self.note) + self.expression.tuning + common.tune;
        if patch.pitch_envelope != 0.0 {
            semitones += patch.pitch_envelope * self.tone.level();
        }
        factor(semitones) * zone.source_rate / patch.rate
    }

    fn cutoff_target(&self, patch: &Patch, common: &Common) -> f64 {
        if patch.tone.mode == Mode::Off {
            return 0.0;
        }
        let pitch = patch.cutoff
            + patch.key_tracking * (self.note.pitch - 60.0)
            + patch.filter_envelope * self.tone.level()
            + patch.filter_velocity * (self.note.velocity - 1.0)
            + patch.filter_pressure * self.expression.pressure.max(common.pressure)
            + patch.timbre_filter * (push(self.expression.timbre) + common.brightness)
            + patch.lfo_filter * common.lfo;
        svf::integrator_gain(math::pitch_to_hertz(pitch), patch.rate)
    }

    fn sides_target(&self, patch: &Patch, common: &Common) -> [f64; 2] {
        let tremolo = 1.0 - patch.lfo_amp * (0.5 - 0.5 * common.lfo);
        let [left, right] = self.expression.sides();
        [common.sides[0] * left * tremolo, common.sides[1] * right * tremolo]
    }

    /// At every point of the absolute grid.
    pub fn control(&mut self, zone: &Zone, patch: &Patch, common: &Common) {
        self.speed.aim(self.speed_target(zone, patch, common));
        self.cutoff.aim(self.cutoff_target(patch, common));
        let sides = self.sides_target(patch, common);
        self.sides.iter_mut().zip(sides).for_each(|(side, target)| side.aim(target));
        self.filters.iter_mut().for_each(Filter::settle);
    }

    pub fn is_choked(&self) -> bool {
        self.fade_step > 0.0
    }

    pub fn is_released(&self) -> bool {
        self.released
    }

    pub fn choke(&mut self, fade_step: f64) {
        if self.fade_step == 0.0 {
            self.fade_step = fade_step;
        }
    }

    pub fn release(&mut self, zone: &Zone) {
        self.on_pedal = false;
        if zone.one_shot || self.released {
            return;
        }
        self.released = true;
        self.amp.gate_off();
        self.tone.gate_off();
        if let Some(body) = zone.sample.body.as_ref().filter(|body| !body.through_release) {
            self.leave(body);
        }
    }

    /// Back from the body of a loop to the same place in the whole sample.
    fn leave(&mut self, body: &LoopBody) {
        self.left_loop = true;
        if self.in_loop {
            self.in_loop = false;
            let turn = 2.0 * body.length - 2.0;
            let back = body.ping_pong && self.position >= body.length;
            let at = if back { turn - self.position } else { self.position };
            self.position = body.start + at;
        }
    }

    pub fn render(&mut self, out: &mut [[f64; 2]], zone: &Zone, patch: &Patch) {
        self.fresh = false;
        for frame in out {
            let envelope = self.amp.next(&patch.amp);
            let _ = self.tone.next(&patch.filter);
            let gain = envelope * self.level * self.fade;
            let g = self.cutoff.next();
            for (channel, value) in self.read(zone).into_iter().enumerate() {
                let value = self.filters[channel].run(value, g, &patch.tone);
                let side = self.sides[channel].next();
                frame[channel] += value * gain * zone.gains[channel] * side;
            }
            self.fade = (self.fade - self.fade_step).max(0.0);
            self.advance(zone);
            if self.fade == 0.0 || self.amp.is_idle() || !self.active {
                *self = Voice::default();
                return;
            }
        }
    }

    fn read(&self, zone: &Zone) -> [f64; 2] {
        let table = table(self.speed.value());
        match &zone.sample.body {
            Some(body) if self.in_loop => body.samples.at(self.position, table),
            _ => zone.sample.whole.at(self.position, table),
        }
    }

    fn advance(&mut self, zone: &Zone) {
        self.position += self.speed.next();
        self.enter_loop(zone);
    }

    /// Into the loop where it begins, around at its end; or to the end of the recording.
    fn enter_loop(&mut self, zone: &Zone) {
        match &zone.sample.body {
            Some(body) if !self.left_loop => {
                if !self.in_loop && self.position >= body.from {
                    self.in_loop = true;
                    self.position -= body.start;
                }
                let turn = body.samples.frames as f64;
                if self.in_loop && self.position >= turn {
                    self.position = libm::fmod(self.position, turn);
                }
            }
            _ => self.active = self.position < zone.sample.whole.frames as f64,
        }
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.bool(&mut self.active);
        self.note.visit(visitor);
        visitor.u128(&mut self.zone);
        visitor.u64(&mut self.order);
        visitor.bool(&mut self.on_pedal);
        self.expression.visit(visitor);
        visitor.bool(&mut self.fresh);
        visitor.f64(&mut self.fade);
        visitor.f64(&mut self.fade_step);
        visitor.bool(&mut self.released);
        visitor.f64(&mut self.level);
        visitor.f64(&mut self.position);
        visitor.bool(&mut self.in_loop);
        visitor.bool(&mut self.left_loop);
        self.speed.visit(visitor);
        self.cutoff.visit(visitor);
        self.sides.iter_mut().for_each(|side| side.visit(visitor));
        self.amp.visit(visitor);
        self.tone.visit(visitor);
        self.filters.iter_mut().for_each(|filter| filter.visit(visitor));
    }
}
