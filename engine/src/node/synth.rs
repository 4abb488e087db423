//! `pulse.synth`: a polyphonic subtractive synthesiser.
//!
//! Sixteen voices, and four more in which stolen ones fade out, so that stealing
//! never clicks. Which voice is stolen depends on the notes alone: the oldest that
//! is being released, else the oldest. All that moves slowly is decided on the
//! absolute 16-frame grid (see `voice`), all that is periodic comes from the frame.

use crate::{
    dsp::lfo::{LfoPhase, SHAPES as LFO_SHAPES},
    dsp::oscillator::Wavetables,
    event::{Event, EventBody},
    node::{
        Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        parameters::parameters,
        voices::{MOST_FRAMES, Note, Step, is_same_note, walk, write},
    },
    param::{GRID, ParamDesc, Unit, cell_start},
};

mod patch;
#[cfg(test)]
mod tests;
mod voice;

use patch::{Patch, PlayMode};
use voice::{Common, Mix, Voice};

/// Most notes that sound together.
const POLYPHONY: usize = 16;
/// Voices, with those that fade out after being stolen.
const VOICES: usize = POLYPHONY + 4;
/// Notes that a monophonic synthesiser remembers as held.
const HELD: usize = 16;
const CHANNELS: usize = 16;
/// Seconds in which a stolen voice falls silent.
const STEAL_SECONDS: f64 = 0.004;

/// Oscillator shapes by index.
const SHAPES: &[&str] = &["saw", "pulse", "triangle", "sine", "noise"];
const FILTERS: &[&str] = &["lowPass12", "lowPass24", "bandPass12", "highPass12", "notch", "off"];
const PLAY_MODES: &[&str] = &["poly", "mono", "legato"];

const fn ratio(id: &'static str, name: &'static str, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Ratio, (0.0, 1.0), default)
}

const fn time(id: &'static str, name: &'static str, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Milliseconds, (0.1, 20_000.0), default)
        .exponential()
        .smoothing(0.0)
}

const fn semitones(id: &'static str, name: &'static str, most: f64, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Semitones, (-most, most), default)
}

const fn cents(id: &'static str, name: &'static str, range: (f64, f64), default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Cents, range, default)
}

const fn count(id: &'static str, name: &'static str, most: usize, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::None, (1.0, most as f64), default).stepped()
}

parameters!(PARAMS, P {
    AShape => ParamDesc::choice("aShape", "Oscillator A shape", SHAPES, 0),
    AWidth => ParamDesc::new("aWidth", "Oscillator A pulse width", Unit::Ratio, (0.02, 0.98), 0.5),
    ATune => semitones("aTune", "Oscillator A tune", 36.0, 0.0),
    AFine => cents("aFine", "Oscillator A fine tune", (-100.0, 100.0), 0.0),
    ALevel => ratio("aLevel", "Oscillator A level", 1.0),
    BShape => ParamDesc::choice("bShape", "Oscillator B shape", SHAPES, 0),
    BWidth => ParamDesc::new("bWidth", "Oscillator B pulse width", Unit::Ratio, (0.02, 0.98), 0.5),
    BTune => semitones("bTune", "Oscillator B tune", 36.0, 0.0),
    BFine => cents("bFine", "Oscillator B fine tune", (-100.0, 100.0), 7.0),
    BLevel => ratio("bLevel", "Oscillator B level", 0.0),
    Noise => ratio("noise", "Noise level", 0.0),
    Unison => count("unison", "Unison copies", patch::MAX_UNISON, 1.0),
    UnisonDetune => cents("unisonDetune", "Unison detune", (0.0, 100.0), 12.0),
    UnisonWidth => ratio("unisonWidth", "Unison width", 0.8),
    FilterMode => ParamDesc::choice("filterMode", "Filter", FILTERS, 1),
    Cutoff => ParamDesc::new("cutoff", "Cutoff", Unit::Hertz, (16.0, 20_000.0), 8_000.0)
        .exponential(),
    Resonance => ratio("resonance", "Resonance", 0.1),
    KeyTracking => ratio("keyTracking", "Key tracking", 0.3),
    FilterEnvelope => semitones("filterEnvelope", "Filter envelope", 96.0, 0.0),
    FilterVelocity => ratio("filterVelocity", "Velocity to filter envelope", 0.0),
    FilterPressure => semitones("filterPressure", "Pressure to filter", 48.0, 0.0),
    AmpAttack => time("ampAttack", "Attack", 2.0),
    AmpDecay => time("ampDecay", "Decay", 600.0),
    AmpSustain => ratio("ampSustain", "Sustain", 0.8),
    AmpRelease => time("ampRelease", "Release", 250.0),
    FilterAttack => time("filterAttack", "Filter attack", 2.0),
    FilterDecay => time("filterDecay", "Filter decay", 600.0),
    FilterSustain => ratio("filterSustain", "Filter sustain", 0.0),
    FilterRelease => time("filterRelease", "Filter release", 250.0),
    LfoShape => ParamDesc::choice("lfoShape", "LFO shape", LFO_SHAPES, 0),
    LfoRate => ParamDesc::new("lfoRate", "LFO rate", Unit::Hertz, (0.01, 50.0), 5.0).exponential(),
    LfoPitch => cents("lfoPitch", "LFO to pitch", (0.0, 1200.0), 0.0),
    WheelVibrato => cents("wheelVibrato", "Modulation wheel to LFO pitch", (0.0, 1200.0), 50.0),
    LfoFilter => semitones("lfoFilter", "LFO to filter", 60.0, 0.0),
    LfoAmp => ratio("lfoAmp", "LFO to level", 0.0),
    LfoWidth => ratio("lfoWidth", "LFO to pulse width", 0.0),
    Tune => cents("tune", "Tune", (-100.0, 100.0), 0.0),
    BendRange => ParamDesc::new("bendRange", "Bend range", Unit::Semitones, (0.0, 48.0), 2.0)
        .stepped(),
    Glide => ParamDesc::new("glide", "Glide", Unit::Milliseconds, (0.0, 5_000.0), 0.0)
        .power(3.0)
        .smoothing(0.0),
    PlayMode => ParamDesc::choice("playMode", "Play mode", PLAY_MODES, 0),
    Polyphony => count("polyphony", "Voices", POLYPHONY, 16.0),
    Velocity => ratio("velocity", "Velocity to level", 0.7),
    Gain => ParamDesc::new("gain", "Gain", Unit::Decibel, (-60.0, 12.0), -12.0),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.synth", "Synthesiser", PARAMS);
    descriptor.uses_random = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Synth::default()));

/// What controllers of one channel last said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct ChannelState {
    bend: f64,
    wheel: f64,
    pressure: f64,
    pedal: bool,
}

#[derive(Default)]
struct Synth {
    rate: f64,
    patch: Option<Patch>,
    voices: Vec<Voice>,
    channels: [ChannelState; CHANNELS],
    /// Keys held in a monophonic mode, oldest first.
    held: [Note; HELD],
    held_count: usize,
    last_pitch: f64,
    /// Whether any note came before: the first one has nothing to glide from.
    played: bool,
    notes: u64,
    lfo: LfoPhase,
}

impl Node for Synth {
    fn prepare(&mut self, setup: &Setup) {
        let _ = Wavetables::shared();
        self.rate = setup.rate();
        self.patch = None;
        self.voices = vec![Voice::default(); VOICES];
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let patch = match self.patch {
            Some(patch) if !io.params_changed() => patch,
            _ => Patch::read(io, self.rate),
        };
        self.patch = Some(patch);
        let (frame, frames) = (io.frame(), io.frames());
        self.lfo.set_rate(frame, patch.lfo_rate);
        walk(frame, frames, io.events(), |step| match step {
            Step::GridPoint(now) => self.control(now, &patch),
            Step::Event(event, now) => self.handle(event, now, &patch),
            Step::Render { at, length } => self.render(io, at, length, &patch),
        });
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.voices.iter_mut().for_each(|voice| voice.visit(visitor));
        for channel in &mut self.channels {
            visitor.f64(&mut channel.bend);
            visitor.f64(&mut channel.wheel);
            visitor.f64(&mut channel.pressure);
            visitor.bool(&mut channel.pedal);
        }
        self.held.iter_mut().for_each(|note| note.visit(visitor));
        visitor.usize(&mut self.held_count);
        self.held_count = self.held_count.min(HELD);
        visitor.f64(&mut self.last_pitch);
        visitor.bool(&mut self.played);
        visitor.u64(&mut self.notes);
        self.lfo.visit(visitor);
    }

    fn reset(&mut self) {
        self.voices.fill(Voice::default());
        self.channels = [ChannelState::default(); CHANNELS];
        self.held = [Note::default(); HELD];
        self.held_count = 0;
        self.last_pitch = 0.0;
        self.played = false;
        self.notes = 0;
        self.lfo = LfoPhase::default();
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

impl Synth {
    fn common(&self, channel: u8, frame: i64, patch: &Patch) -> Common {
        let state = self.channels[usize::from(channel) % CHANNELS];
        let cycles = self.lfo.cycles(cell_start(frame) + GRID);
        Common {
            lfo: patch.lfo.at(cycles, 0x1f0),
            bend: state.bend * patch.bend_range,
            wheel: state.wheel,
            pressure: state.pressure,
        }
    }

    fn control(&mut self, frame: i64, patch: &Patch) {
        if !self.voices.iter().any(|voice| voice.active) {
            return;
        }
        let lfo = self.common(0, frame, patch).lfo;
        for voice in self.voices.iter_mut().filter(|voice| voice.active) {
            let state = self.channels[usize::from(voice.note.channel) % CHANNELS];
            let bend = state.bend * patch.bend_range;
            let common = Common { lfo, bend, wheel: state.wheel, pressure: state.pressure };
            voice.control(frame, patch, &common);
        }
    }

    fn render(&mut self, io: &mut Io<'_>, at: usize, length: usize, patch: &Patch) {
        let mut sum = [[0.0; 2]; MOST_FRAMES];
        let mix = Mix {
            a: io.param_ramp(P::ALevel as usize),
            b: io.param_ramp(P::BLevel as usize),
            noise: io.param_ramp(P::Noise as usize),
        };
        let fade_step = 1.0 / (STEAL_SECONDS * self.rate);
        let frame = io.frame() + at as i64;
        for voice in self.voices.iter_mut().filter(|voice| voice.active) {
            voice.render(&mut sum[..length], frame, at, patch, &mix, fade_step);
        }
        write(io, at, &sum[..length], P::Gain as usize);
    }

    fn handle(&mut self, event: &Event, frame: i64, patch: &Patch) {
        match event.body {
            EventBody::NoteOn { channel, key, pitch, velocity } => {
                let velocity = f64::from(velocity);
                self.note_on(Note { id: event.id, channel, key, pitch, velocity }, frame, patch);
            }
            EventBody::NoteOff { channel, key, .. } => {
                self.note_off(event.id, channel, key, frame, patch);
            }
            EventBody::AllNotesOff => {
                self.held_count = 0;
                self.channels.iter_mut().for_each(|channel| channel.pedal = false);
                self.voices.iter_mut().for_each(Voice::release);
            }
            EventBody::AllSoundOff => {
                self.held_count = 0;
                self.voices.fill(Voice::default());
            }
            EventBody::PitchBend { channel, value } => {
                self.channels[usize::from(channel) % CHANNELS].bend = f64::from(value);
            }
            EventBody::Controller { channel, controller, value } => {
                self.controller(channel, controller, value);
            }
            EventBody::Pressure { channel, value } => {
                self.channels[usize::from(channel) % CHANNELS].pressure = f64::from(value);
            }
            EventBody::NoteTuning { semitones } => {
                self.express(event.id, |voice| voice.tuning = semitones);
            }
            EventBody::NotePressure { value } => {
                self.express(event.id, |voice| voice.pressure = f64::from(value));
            }
            EventBody::NoteTimbre { .. } | EventBody::Program { .. } => {}
        }
    }

    fn express(&mut self, id: u128, change: impl Fn(&mut Voice)) {
        self.voices.iter_mut().filter(|v| v.active && v.note.id == id).for_each(change);
    }

    fn controller(&mut self, channel: u8, controller: u8, value: f32) {
        let state = &mut self.channels[usize::from(channel) % CHANNELS];
        match controller {
            1 => state.wheel = f64::from(value),
            64 => {
                state.pedal = value >= 0.5;
                if !state.pedal {
                    let on_pedal = |v: &&mut Voice| v.on_pedal && v.note.channel == channel;
                    self.voices.iter_mut().filter(on_pedal).for_each(Voice::release);
                }
            }
            _ => {}
        }
    }

    fn note_on(&mut self, note: Note, frame: i64, patch: &Patch) {
        if patch.play == PlayMode::Poly {
            self.start_voice(note, frame, patch);
            return;
        }
        let sounding = self.voices.iter().position(Voice::is_held);
        self.hold(note);
        match sounding {
            Some(slot) => {
                self.voices[slot].glide_to(note, frame, patch.glide_frames);
                self.voices[slot].on_pedal = false;
                if patch.play == PlayMode::Mono {
                    self.voices[slot].retrigger();
                }
                self.last_pitch = note.pitch;
            }
            None => self.start_voice(note, frame, patch),
        }
    }

    /// Remembers a held key; the oldest is forgotten when there are too many.
    fn hold(&mut self, note: Note) {
        if self.held_count == HELD {
            self.held.copy_within(1.., 0);
            self.held_count -= 1;
        }
        self.held[self.held_count] = note;
        self.held_count += 1;
    }

    fn let_go(&mut self, id: u128, channel: u8, key: u8) {
        let held = &self.held[..self.held_count];
        if let Some(slot) =
            held.iter().position(|note| is_same_note((id, channel, key), note.identity()))
        {
            self.held.copy_within(slot + 1..self.held_count, slot);
            self.held_count -= 1;
            self.held[self.held_count] = Note::default();
        }
    }

    fn start_voice(&mut self, note: Note, frame: i64, patch: &Patch) {
        let limit = if patch.play == PlayMode::Poly { patch.polyphony } else { 1 };
        while self.voices.iter().filter(|v| v.active && !v.stolen).count() >= limit {
            self.steal();
        }
        let common = self.common(note.channel, frame, patch);
        let mut voice = Voice::start(note, frame, self.notes, patch, &common);
        if patch.glide_frames > 0.0 && self.played {
            voice.glide_from(self.last_pitch, frame, patch.glide_frames, patch, &common);
        }
        let slot = self.free_slot();
        self.voices[slot] = voice;
        self.notes += 1;
        self.last_pitch = note.pitch;
        self.played = true;
    }

    /// An idle voice, else the one that has faded most.
    fn free_slot(&self) -> usize {
        let rank = |slot: &usize| {
            let voice = &self.voices[*slot];
            if voice.active { 1 + (voice.fade.max(0.0) * 1e9) as u64 } else { 0 }
        };
        (0..VOICES).min_by_key(rank).unwrap_or(0)
    }

    /// Fades out the oldest voice under release, else the oldest.
    fn steal(&mut self) {
        let rank = |voice: &&mut Voice| (voice.is_held(), voice.order);
        let playing = self.voices.iter_mut().filter(|v| v.active && !v.stolen);
        if let Some(voice) = playing.min_by_key(rank) {
            voice.stolen = true;
        }
    }

    fn note_off(&mut self, id: u128, channel: u8, key: u8, frame: i64, patch: &Patch) {
        self.let_go(id, channel, key);
        let pedal = self.channels[usize::from(channel) % CHANNELS].pedal;
        let held = self.held_count.checked_sub(1).map(|last| self.held[last]);
        for voice in &mut self.voices {
            if !(voice.is_held() && is_same_note((id, channel, key), voice.note.identity())) {
                continue;
            }
            match held {
                Some(note) if patch.play != PlayMode::Poly => {
                    voice.glide_to(note, frame, patch.glide_frames);
                    self.last_pitch = note.pitch;
                }
                _ if pedal => voice.on_pedal = true,
                _ => voice.release(),
            }
        }
    }
}
