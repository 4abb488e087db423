//! One voice: oscillators, filter, envelopes.
//!
//! Pitch, cutoff and level are worked out at the points of the absolute 16-frame
//! grid and run in straight lines between them, so a cut of the block changes
//! nothing. A voice that starts between two points starts at its targets and holds
//! them until the next.

use super::patch::{FilterMode, MAX_UNISON, Patch, Source};
use crate::{
    dsp::{
        adsr::Adsr,
        oscillator::{Wavetables, wrap},
        svf,
    },
    math,
    node::{
        StateVisitor,
        voices::{Line, Note},
    },
    param::{GRID, Ramp, cell_start},
};

/// Damping of the second stage of the 24 dB filter.
const SECOND_DAMPING: f64 = 1.44;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Filter([svf::State; 2]);

impl Filter {
    #[inline]
    fn run(&mut self, x: f64, g: f64, patch: &Patch) -> f64 {
        if patch.mode == FilterMode::Off {
            return x;
        }
        let x = x * patch.drive;
        let [first, second] = &mut self.0;
        let out = first.step(&coefficients(g, patch.damping), x);
        match patch.mode {
            FilterMode::Low24 => second.step(&coefficients(g, SECOND_DAMPING), out.low).low,
            FilterMode::Band12 => out.band * patch.damping,
            FilterMode::High12 => out.high,
            FilterMode::Notch => out.high + out.low,
            _ => out.low,
        }
    }
}

#[inline]
fn coefficients(g: f64, k: f64) -> svf::Coefficients {
    let a1 = 1.0 / (1.0 + g * (g + k));
    let a2 = g * a1;
    svf::Coefficients { k, a1, a2, a3: g * a2 }
}

/// Which table each oscillator reads, and which it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Levels {
    from: usize,
    to: usize,
}

/// What all voices of a channel share at a grid point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Common {
    /// LFO at the next grid point, −1..1.
    pub lfo: f64,
    /// Semitones.
    pub bend: f64,
    pub wheel: f64,
    pub pressure: f64,
}

/// Levels of the sources during a call.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub a: Ramp,
    pub b: Ramp,
    pub noise: Ramp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Voice {
    pub note: Note,
    pub active: bool,
    /// When the note began: orders voices and seeds their noise.
    pub born: i64,
    pub order: u64,
    /// Released by its key, held by the pedal.
    pub on_pedal: bool,
    /// 1 while playing, falling to 0 once stolen.
    pub fade: f64,
    pub stolen: bool,
    pub tuning: f64,
    pub pressure: f64,
    glide_from: f64,
    glide_start: i64,
    glide_frames: f64,
    pub amp: Adsr,
    filter_envelope: Adsr,
    phases: [[f64; MAX_UNISON]; 2],
    increment: Line,
    cutoff: Line,
    level: Line,
    width: [Line; 2],
    tables: [Levels; 2],
    filters: [Filter; 2],
}

impl Voice {
    /// Begins a note at an absolute frame.
    pub fn start(note: Note, frame: i64, order: u64, patch: &Patch, common: &Common) -> Voice {
        let mut voice =
            Voice { note, active: true, born: frame, order, fade: 1.0, ..Voice::default() };
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
        voice.settle_on_targets(frame, patch, common);
        voice
    }

    /// Starts where the targets are, without a ramp.
    fn settle_on_targets(&mut self, frame: i64, patch: &Patch, common: &Common) {
        let targets = self.targets(cell_start(frame) + GRID, patch, common);
        self.increment = Line::start(targets.increment);
        self.cutoff = Line::start(targets.cutoff);
        self.level = Line::start(targets.level);
        self.width = targets.width.map(Line::start);
        self.tables = targets.tables.map(|to| Levels { from: to, to });
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

    fn targets(&self, frame: i64, patch: &Patch, common: &Common) -> Targets {
        let vibrato = common.lfo * (patch.lfo_pitch + patch.wheel_pitch * common.wheel);
        let pitch = self.pitch(frame) + self.tuning + common.bend + patch.tune + vibrato;
        let increment = math::pitch_to_hertz(pitch) / patch.rate;
        let strength = 1.0 - patch.filter_velocity * (1.0 - self.note.velocity);
        let cutoff = patch.cutoff
            + patch.key_tracking * (pitch - 60.0)
            + patch.filter_envelope * self.filter_envelope.level() * strength
            + patch.lfo_filter * common.lfo
            + patch.filter_pressure * self.pressure.max(common.pressure);
        let tremolo = 1.0 - patch.lfo_amp * (0.5 - 0.5 * common.lfo);
        let tables = Wavetables::shared();
        Targets {
            increment,
            cutoff: svf::integrator_gain(math::pitch_to_hertz(cutoff), patch.rate),
            level: tremolo * patch.velocity_gain(self.note.velocity),
            width: patch
                .oscillators
                .map(|o| (o.width + 0.45 * o.lfo_width * common.lfo).clamp(0.02, 0.98)),
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
            self.width[i].aim(targets.width[i]);
            // The tables of both ends of the line are blended along it.
            self.tables[i] = Levels { from: self.tables[i].to, to: targets.tables[i] };
        }
        self.filters.iter_mut().flat_map(|f| f.0.iter_mut()).for_each(svf::State::settle);
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
            let left = self.filters[0].run(sources[0], g, patch);
            let right = if patch.stereo { self.filters[1].run(sources[1], g, patch) } else { left };
            let envelope = self.amp.next(&patch.amp);
            let _ = self.filter_envelope.next(&patch.filter);
            let gain = envelope * self.level.next() * self.fade;
            frame_out[0] += left * gain;
            frame_out[1] += right * gain;
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

    /// White noise of this voice, a function of the frame.
    fn noise(&self, stream: u64, frame: i64) -> f64 {
        let seed = self.order.wrapping_mul(4) ^ stream ^ ((self.born as u64) << 20);
        math::random_bipolar(seed, frame as u64)
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        self.note.visit(visitor);
        visitor.bool(&mut self.active);
        visitor.i64(&mut self.born);
        visitor.u64(&mut self.order);
        visitor.bool(&mut self.on_pedal);
        visitor.f64(&mut self.fade);
        visitor.bool(&mut self.stolen);
        visitor.f64(&mut self.tuning);
        visitor.f64(&mut self.pressure);
        visitor.f64(&mut self.glide_from);
        visitor.i64(&mut self.glide_start);
        visitor.f64(&mut self.glide_frames);
        self.amp.visit(visitor);
        self.filter_envelope.visit(visitor);
        self.phases.iter_mut().for_each(|phases| visitor.f64s(phases));
        self.increment.visit(visitor);
        self.cutoff.visit(visitor);
        self.level.visit(visitor);
        self.width.iter_mut().for_each(|width| width.visit(visitor));
        for levels in &mut self.tables {
            visitor.usize(&mut levels.from);
            visitor.usize(&mut levels.to);
        }
        for integrators in self.filters.iter_mut().flat_map(|filter| filter.0.iter_mut()) {
            visitor.f64(&mut integrators.ic1);
            visitor.f64(&mut integrators.ic2);
        }
    }
}

struct Targets {
    increment: f64,
    cutoff: f64,
    level: f64,
    width: [f64; 2],
    tables: [usize; 2],
}
