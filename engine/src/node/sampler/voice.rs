//! One zone while it sounds.

use super::{
    bind::{LoopBody, Zone, table},
    factor,
};
use crate::{
    dsp::adsr::{Adsr, AdsrRates},
    node::{
        StateVisitor,
        voices::{Line, Note},
    },
};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Voice {
    pub active: bool,
    pub note: Note,
    /// The id of the zone.
    pub zone: u128,
    pub order: u64,
    pub on_pedal: bool,
    pub tuning: f64,
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
    amp: Adsr,
}

impl Voice {
    pub fn start(zone: &Zone, note: Note, order: u64, level: f64, tune: f64, rate: f64) -> Voice {
        let mut voice = Voice {
            active: true,
            note,
            zone: zone.id,
            order,
            fade: 1.0,
            level,
            ..Voice::default()
        };
        voice.amp.gate_on();
        voice.speed = Line::start(voice.target(zone, tune, rate));
        voice
    }

    fn target(&self, zone: &Zone, tune: f64, rate: f64) -> f64 {
        factor(zone.interval(&self.note) + self.tuning + tune) * zone.source_rate / rate
    }

    /// At every point of the absolute grid.
    pub fn control(&mut self, zone: &Zone, tune: f64, rate: f64) {
        let target = self.target(zone, tune, rate);
        self.speed.aim(target);
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

    pub fn render(&mut self, out: &mut [[f64; 2]], zone: &Zone, amp: &AdsrRates) {
        for frame in out {
            let envelope = self.amp.next(amp);
            let gain = envelope * self.level * self.fade;
            let value = self.read(zone);
            frame[0] += value[0] * gain * zone.gains[0];
            frame[1] += value[1] * gain * zone.gains[1];
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
        visitor.f64(&mut self.tuning);
        visitor.f64(&mut self.fade);
        visitor.f64(&mut self.fade_step);
        visitor.bool(&mut self.released);
        visitor.f64(&mut self.level);
        visitor.f64(&mut self.position);
        visitor.bool(&mut self.in_loop);
        visitor.bool(&mut self.left_loop);
        self.speed.visit(visitor);
        self.amp.visit(visitor);
    }
}
