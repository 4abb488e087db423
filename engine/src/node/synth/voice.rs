//! One voice: oscillators, filter, envelopes.
//!
//! Pitch, cutoff and level are worked out at the points of the absolute 16-frame
//! grid and run in straight lines between them, so a cut of the block changes
//! nothing. A voice that starts between two points starts at its targets and holds
//! them until the next.

use super::patch::{MAX_UNISON, Patch, Source};
use crate::{
    dsp::{
        adsr::Adsr,
        oscillator::{Wavetables, wrap},
        svf,
    },
    event::EventBody,
    math,
    node::{
        StateVisitor,
        controllers::push,
        voice_filter::Filter,
        voices::{Expression, Line, Note},
    },
    param::{GRID, Ramp, cell_start},
};

/// Seed of the LFO's random shapes.
const LFO_SEED: u64 = 0x1f0;

/// Which table each oscillator reads, and which it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Levels {
    from: usize,
    to: usize,
}

/// What all voices of a channel share at a grid point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Common {
    /// Cycles of the LFO that have passed at the next grid point.
    pub cycles: f64,
    /// Semitones.
    pub bend: f64,
    pub wheel: f64,
    pub pressure: f64,
    /// −1..1.
    pub brightness: f64,
    /// Gains of both sides by the controllers of the channel.
    pub sides: [f64; 2],
}

/// Levels of the sources during a call.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub a: Ramp,
    pub b: Ramp,
    pub noise: Ramp,
    pub sub: Ramp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Voice {
    pub note: Note,
    pub active: bool,
    /// When the note began.
    pub born: i64,
    /// Of its random numbers.
    seed: u64,
    /// Released by its key, held by the pedal.
    pub on_pedal: bool,
    /// 1 while playing, falling to 0 once stolen.
    pub fade: f64,
    pub stolen: bool,
    expression: Expression,
    /// Cycles of the LFO that had passed when the note began.
    lfo_start: f64,
    glide_from: f64,
    glide_start: i64,
    glide_frames: f64,
    pub amp: Adsr,
    filter_envelope: Adsr,
    phases: [[f64; MAX_UNISON]; 2],
    sub_phase: f64,
    increment: Line,
    cutoff: Line,
    level: Line,
    sides: [Line; 2],
    width: [Line; 2],
    tables: [Levels; 2],
    sub_tables: Levels,
    filters: [Filter; 2],
}

impl Voice {
    /// Begins a note at an absolute frame, as the so many-th there.
    pub fn start(note: Note, frame: i64, twin: u64, patch: &Patch, common: &Common) -> Voice {
        let seed = math::random_u64(frame as u64, u64::from(note.key) << 32 | twin);
        let mut voice =
            Voice { note, active: true, born: frame, seed, fade: 1.0, ..Voice::default() };
        voice.lfo_start = common.cycles;
        voice.glide_from = note.pitch;
        voice.amp.gate_on();
        voice.filter_envelope.gate_on();
        for copy in 1..patch.unison {
            // Copies start apart, or they would meet in one loud click.
            let start = 0.381_966 * copy as f64;
            voice.phases = voice.phases.map(|mut phases| {
                phases[copy] = wrap(start);
                phases
            });
        }
        if patch.random_phase {
            voice.scatter();
        }
        voice.settle_on_targets(frame, patch, common);
        voice
    }

    /// Starts every oscillator somewhere else at every note.
    fn scatter(&mut self) {
        let seed = self.seed;
        let mut count = 0;
        let mut throw = || {
            count += 1;
            math::random_unit(seed, count)
        };
        self.phases.iter_mut().flatten().for_each(|phase| *phase = throw());
        self.sub_phase = throw();
    }

    /// Starts where the targets are, without a ramp.
    fn settle_on_targets(&mut self, frame: i64, patch: &Patch, common: &Common) {
        let targets = self.targets(cell_start(frame) + GRID, patch, common);
        self.increment = Line::start(targets.increment);
        self.cutoff = Line::start(targets.cutoff);
        self.level = Line::start(targets.level);
        self.sides = targets.sides.map(Line::start);
        self.width = targets.width.map(Line::start);
        self.tables = targets.tables.map(|to| Levels { from: to, to });
        self.sub_tables = Levels { from: targets.sub_tables, to: targets.sub_tables };
    }

    /// Takes an event that may be about this note. What is said of it as it begins is how it begins.
    pub fn express(&mut self, body: &EventBody, frame: i64, patch: &Patch, common: &Common) {
        if self.expression.hear(body) && self.born == frame {
            self.settle_on_targets(frame, patch, common);
        }
    }

    /// Slides from the pitch of now to that of another note.
    pub fn glide_to(&mut self, note: Note, frame: i64, glide_frames: f64) {
        self.glide_from = self.pitch(frame);
        self.glide_start = frame;
        self.glide_frames = glide_frames;
        self.note = note;
    }

    /// Begins at another note's pitch and slides to this one.
    pub fn glide_from(
        &mut self,
        pitch: f64,
        frame: i64,
        glide_frames: f64,
        patch: &Patch,
        common: &Common,
    ) {
        self.glide_from = pitch;
        self.glide_start = frame;
        self.glide_frames = glide_frames;
        self.settle_on_targets(frame, patch, common);
    }

    pub fn retrigger(&mut self) {
        self.amp.gate_on();
        self.filter_envelope.gate_on();
    }

    pub fn release(&mut self) {
        self.on_pedal = false;
        self.amp.gate_off();
        self.filter_envelope.gate_off();
    }

    pub fn is_held(&self) -> bool {
        self.active && !self.stolen && !self.amp.is_releasing()
    }

    /// Pitch in semitones at a frame: a closed form, so that a glide is the same from
    /// wherever it is looked at.
    pub fn pitch(&self, frame: i64) -> f64 {
        let passed = (frame - self.glide_start) as f64;
        // A song that goes back to before its start leaves a glide behind.
        if !(0.0..self.glide_frames).contains(&passed) {
            return self.note.pitch;
        }
        let left = 1.0 - passed / self.glide_frames;
        self.note.pitch + (self.glide_from - self.note.pitch) * left
    }

    /// The LFO of this note at the next grid point, −1..1.
    fn lfo(&self, frame: i64, patch: &Patch, common: &Common) -> f64 {
        let (cycles, seed) = if patch.lfo_per_note {
            (common.cycles - self.lfo_start, LFO_SEED ^ self.seed)
        } else {
            (common.cycles, LFO_SEED)
        };
        let value = patch.lfo.at(cycles, seed);
        let passed = frame.saturating_sub(self.born) as f64;
        if !(0.0..patch.lfo_delay_frames).contains(&passed) {
            return value;
        }
        value * (passed / patch.lfo_delay_frames)
    }

    /// Gains of both sides: the channel's controllers, and the place of this note in the panorama.
    fn sides(&self, patch: &Patch, common: &Common) -> [f64; 2] {
        let [left, right] = self.expression.sides();
        let [left, right] = [common.sides[0] * left, common.sides[1] * right];
        if patch.spread == 0.0 {
            return [left, right];
        }
        let place = patch.spread * math::random_bipolar(self.seed, 0);
        [left * (1.0 - place).min(1.0), right * (1.0 + place).min(1.0)]
    }

    fn targets(&self, frame: i64, patch: &Patch, common: &Common) -> Targets {
        let lfo = self.lfo(frame, patch, common);
        let vibrato = lfo * (patch.lfo_pitch + patch.wheel_pitch * common.wheel);
        let pitch = self.pitch(frame)
            + self.expression.tuning
            + common.bend
            + patch.tune
            + vibrato
            + patch.pitch_envelope * self.filter_envelope.level();
        let increment = math::pitch_to_hertz(pitch) / patch.rate;
        let strength = 1.0 - patch.filter_velocity * (1.0 - self.note.velocity);
        let cutoff = patch.cutoff
            + patch.key_tracking * (pitch - 60.0)
            + patch.filter_envelope * self.filter_envelope.level() * strength
            + patch.lfo_filter * lfo
            + patch.filter_pressure * self.expression.pressure.max(common.pressure)
            + patch.timbre_filter * (push(self.expression.timbre) + common.brightness)
            + patch.wheel_filter * common.wheel;
        let tremolo = 1.0 - patch.lfo_amp * (0.5 - 0.5 * lfo);
        let tables = Wavetables::shared();
        Targets {
            increment,
            cutoff: svf::integrator_gain(math::pitch_to_hertz(cutoff), patch.rate),
            level: tremolo * patch.velocity_gain(self.note.velocity),
            sides: self.sides(patch, common),
            width: patch
                .oscillators
                .map(|o| (o.width + 0.45 * o.lfo_width * lfo).clamp(0.02, 0.98)),
            sub_tables: tables.level(increment * patch.sub_ratio),
            tables: patch
                .oscillators
                .map(|o| tables.level(increment * o.ratio * patch.highest_ratio)),
        }
    }

    /// At every point of the absolute grid.
    pub fn control(&mut self, frame: i64, patch: &Patch, common: &Common) {
        let targets = self.targets(frame + GRID, patch, common);
        self.increment.aim(targets.increment);
        self.cutoff.aim(targets.cutoff);
        self.level.aim(targets.level);
        for i in 0..2 {
            self.sides[i].aim(targets.sides[i]);
            self.width[i].aim(targets.width[i]);
            // The tables of both ends of the line are blended along it.
            self.tables[i] = Levels { from: self.tables[i].to, to: targets.tables[i] };
        }
        self.sub_tables = Levels { from: self.sub_tables.to, to: targets.sub_tables };
        self.filters.iter_mut().for_each(Filter::settle);
    }

    /// Adds the frames from `frame` on, all within one grid cell. `at` is the offset of
    /// the first in the call, `fade_step` what a stolen voice loses per frame.
    pub fn render(
        &mut self,
        out: &mut [[f64; 2]],
        frame: i64,
        at: usize,
        patch: &Patch,
        mix: &Mix,
        fade_step: f64,
    ) {
        let phase = frame - cell_start(frame);
        for (i, frame_out) in out.iter_mut().enumerate() {
            let blend = (phase + 1 + i as i64) as f64 * (1.0 / GRID as f64);
            let sources = self.sources(blend, frame + i as i64, at + i, patch, mix);
            let g = self.cutoff.next();
            let left = self.filters[0].run(sources[0], g, &patch.filter_setting);
            let right = if patch.stereo {
                self.filters[1].run(sources[1], g, &patch.filter_setting)
            } else {
                left
            };
            let envelope = self.amp.next(&patch.amp);
            let _ = self.filter_envelope.next(&patch.filter);
            let gain = envelope * self.level.next() * self.fade;
            frame_out[0] += left * gain * self.sides[0].next();
            frame_out[1] += right * gain * self.sides[1].next();
            if self.stolen {
                self.fade = (self.fade - fade_step).max(0.0);
            }
        }
        if !patch.stereo {
            self.filters[1] = self.filters[0];
        }
        if self.amp.is_idle() || (self.stolen && self.fade == 0.0) {
            *self = Voice::default();
        }
    }

    #[inline]
    fn sources(&mut self, blend: f64, frame: i64, at: usize, patch: &Patch, mix: &Mix) -> [f64; 2] {
        let increment = self.increment.next();
        let levels = [mix.a.at(at), mix.b.at(at)];
        let mut sum = [0.0; 2];
        for (slot, level) in levels.into_iter().enumerate() {
            let width = self.width[slot].next();
            if level != 0.0 {
                let tone = self.tone(slot, width, blend, frame, patch);
                sum[0] += tone[0] * level;
                sum[1] += tone[1] * level;
            }
            let step = increment * patch.oscillators[slot].ratio;
            for copy in 0..patch.unison {
                let phase = self.phases[slot][copy] + step * patch.unison_ratio[copy];
                self.phases[slot][copy] = if phase >= 1.0 { wrap(phase) } else { phase };
            }
        }
        let sub = mix.sub.at(at);
        if sub != 0.0 {
            let value = self.sub(blend, patch) * sub;
            sum[0] += value;
            sum[1] += value;
        }
        self.sub_phase = wrap(self.sub_phase + increment * patch.sub_ratio);
        let noise = mix.noise.at(at);
        if noise != 0.0 {
            let value = self.noise(2, frame) * noise;
            sum[0] += value;
            sum[1] += value;
        }
        sum
    }

    fn tone(&self, slot: usize, width: f64, blend: f64, frame: i64, patch: &Patch) -> [f64; 2] {
        let shape = match patch.oscillators[slot].source {
            Source::Noise => return [self.noise(slot as u64, frame); 2],
            Source::Tone(shape) => shape,
        };
        let tables = Wavetables::shared();
        let Levels { from, to } = self.tables[slot];
        let mut sum = [0.0; 2];
        for copy in 0..patch.unison {
            let phase = self.phases[slot][copy];
            let mut value = tables.sample(shape, to, phase, width);
            if from != to {
                let old = tables.sample(shape, from, phase, width);
                value = old + (value - old) * blend;
            }
            sum[0] += value * patch.unison_pan[copy][0];
            sum[1] += value * patch.unison_pan[copy][1];
        }
        sum
    }

    fn sub(&self, blend: f64, patch: &Patch) -> f64 {
        let tables = Wavetables::shared();
        let Levels { from, to } = self.sub_tables;
        let value = tables.sample(patch.sub, to, self.sub_phase, 0.5);
        if from == to {
            return value;
        }
        let old = tables.sample(patch.sub, from, self.sub_phase, 0.5);
        old + (value - old) * blend
    }

    /// White noise of this voice, a function of the frame.
    fn noise(&self, stream: u64, frame: i64) -> f64 {
        math::random_bipolar(self.seed ^ stream, frame as u64)
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        self.note.visit(visitor);
        visitor.bool(&mut self.active);
        visitor.i64(&mut self.born);
        visitor.u64(&mut self.seed);
        visitor.bool(&mut self.on_pedal);
        visitor.f64(&mut self.fade);
        visitor.bool(&mut self.stolen);
        self.expression.visit(visitor);
        visitor.f64(&mut self.lfo_start);
        visitor.f64(&mut self.glide_from);
        visitor.i64(&mut self.glide_start);
        visitor.f64(&mut self.glide_frames);
        self.amp.visit(visitor);
        self.filter_envelope.visit(visitor);
        self.phases.iter_mut().for_each(|phases| visitor.f64s(phases));
        visitor.f64(&mut self.sub_phase);
        self.increment.visit(visitor);
        self.cutoff.visit(visitor);
        self.level.visit(visitor);
        self.sides.iter_mut().for_each(|side| side.visit(visitor));
        self.width.iter_mut().for_each(|width| width.visit(visitor));
        for levels in self.tables.iter_mut().chain([&mut self.sub_tables]) {
            visitor.usize(&mut levels.from);
            visitor.usize(&mut levels.to);
        }
        self.filters.iter_mut().for_each(|filter| filter.visit(visitor));
    }
}

struct Targets {
    increment: f64,
    cutoff: f64,
    level: f64,
    sides: [f64; 2],
    width: [f64; 2],
    tables: [usize; 2],
    sub_tables: usize,
}
