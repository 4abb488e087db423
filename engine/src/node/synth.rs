//! `pulse.synth`: a polyphonic subtractive synthesiser.
//!
//! Sixteen voices, and as many in which stolen ones fade out, so that stealing never
//! clicks, not even where a whole chord takes the place of another. Which voice is stolen depends on the notes alone: the oldest that
//! is being released, else the oldest. All that moves slowly is decided on the
//! absolute 16-frame grid (see `voice`), all that is periodic comes from the frame.

use crate::{
    dsp::lfo::{LfoPhase, SHAPES as LFO_SHAPES},
    dsp::oscillator::Wavetables,
    event::{Event, EventBody},
    node::{
        Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        controllers::{self, CHANNELS, Controllers, Order},
        note_value::{NAMES, beats, follow},
        parameters::parameters,
        voice_filter,
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
const VOICES: usize = 2 * POLYPHONY;
/// Notes that a monophonic synthesiser remembers as held.
const HELD: usize = 16;
/// Seconds in which a stolen voice falls silent.
const STEAL_SECONDS: f64 = 0.004;

/// Oscillator shapes by index.
const SHAPES: &[&str] = &["saw", "pulse", "triangle", "sine", "noise"];
const FILTERS: &[&str] = &["lowPass12", "lowPass24", "bandPass12", "highPass12", "notch", "off"];
const SUB_SHAPES: &[&str] = &["sine", "triangle", "pulse"];
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
    Sub => ratio("sub", "Sub-oscillator level", 0.0),
    SubShape => ParamDesc::choice("subShape", "Sub-oscillator shape", SUB_SHAPES, 0),
    SubOctave => ParamDesc::choice("subOctave", "Sub-oscillator octave", &["-1", "-2"], 0),
    Phase => ParamDesc::choice("phase", "Phase at note-on", &["fixed", "random"], 0),
    FilterDrive => voice_filter::drive("filterDrive", "Filter drive"),
    PitchEnvelope => semitones("pitchEnvelope", "Filter envelope to pitch", 48.0, 0.0),
    LfoSync => ParamDesc::choice("lfoSync", "LFO note value", NAMES, 0),
    LfoRetrigger => ParamDesc::choice("lfoRetrigger", "LFO restart", &["never", "note"], 0),
    LfoDelay => ParamDesc::new(
        "lfoDelay", "LFO fade in", Unit::Milliseconds, (0.0, 10_000.0), 0.0,
    ).power(3.0).smoothing(0.0),
    TimbreFilter => semitones("timbreFilter", "Brightness to filter", 60.0, 0.0),
    WheelFilter => semitones("wheelFilter", "Modulation wheel to filter", 60.0, 0.0),
    Spread => ratio("spread", "Spread of notes", 0.0),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.synth", "Synthesiser", PARAMS);
    // 2: volume, expression, panorama and brightness are obeyed; a voice fades out in a place of its
    // own however many are stolen at once. 3: the drive is oversampled. 4: random numbers go by the frame
    // and key of a note and not by the count of those before it; voices are summed in their order.
    descriptor.dsp_version = 4;
    descriptor.uses_random = true;
    descriptor.reads_transport = true;
    descriptor.follows_tempo = crate::node::FollowsTempo::While("lfoSync");
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Synth::default()));

#[derive(Default)]
struct Synth {
    rate: f64,
    patch: Option<Patch>,
    voices: Vec<Voice>,
    channels: [Controllers; CHANNELS],
    /// Keys held in a monophonic mode, oldest first.
    held: [Note; HELD],
    held_count: usize,
    last_pitch: f64,
    /// Whether any note came before: the first one has nothing to glide from.
    played: bool,
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
        let beats = beats(io.param_index(P::LfoSync as usize));
        follow(&mut self.lfo, io, beats, io.param(P::LfoRate as usize), self.rate);
        walk(frame, frames, io.events(), |step| match step {
            Step::GridPoint(now) => self.control(now, &patch),
            Step::Event(event, now) => self.handle(event, now, &patch),
            Step::Render { at, length } => self.render(io, at, length, &patch),
        });
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.voices.iter_mut().for_each(|voice| voice.visit(visitor));
        self.channels.iter_mut().for_each(|channel| channel.visit(visitor));
        self.held.iter_mut().for_each(|note| note.visit(visitor));
        visitor.usize(&mut self.held_count);
        self.held_count = self.held_count.min(HELD);
        visitor.f64(&mut self.last_pitch);
        visitor.bool(&mut self.played);
        self.lfo.visit(visitor);
    }

    fn reset(&mut self) {
        self.voices.fill(Voice::default());
        self.channels = [Controllers::default(); CHANNELS];
        self.held = [Note::default(); HELD];
        self.held_count = 0;
        self.last_pitch = 0.0;
        self.played = false;
        self.lfo = LfoPhase::default();
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

impl Synth {
    fn common(&self, channel: u8, frame: i64, patch: &Patch) -> Common {
        let said = &self.channels[usize::from(channel) % CHANNELS];
        Common {
            cycles: self.lfo.cycles(cell_start(frame) + GRID),
            bend: said.bend * patch.bend_range,
            wheel: said.wheel,
            pressure: said.pressure,
            brightness: said.brightness(),
            sides: said.sides,
        }
    }

    fn control(&mut self, frame: i64, patch: &Patch) {
        let keep = controllers::keep(self.rate);
        self.channels.iter_mut().for_each(|channel| channel.slide(keep));
        for slot in 0..VOICES {
            if self.voices[slot].active {
                let common = self.common(self.voices[slot].note.channel, frame, patch);
                self.voices[slot].control(frame, patch, &common);
            }
        }
    }

    fn render(&mut self, io: &mut Io<'_>, at: usize, length: usize, patch: &Patch) {
        let mut sum = [[0.0; 2]; MOST_FRAMES];
        let mix = Mix {
            a: io.param_ramp(P::ALevel as usize),
            b: io.param_ramp(P::BLevel as usize),
            noise: io.param_ramp(P::Noise as usize),
            sub: io.param_ramp(P::Sub as usize),
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
                self.voices.iter_mut().for_each(|voice| voice.stolen = voice.active);
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
            EventBody::NoteTuning { .. }
            | EventBody::NotePressure { .. }
            | EventBody::NoteTimbre { .. }
            | EventBody::NoteGain { .. }
            | EventBody::NotePan { .. } => self.express(event, frame, patch),
            EventBody::Program { .. } => {}
        }
    }

    fn express(&mut self, event: &Event, frame: i64, patch: &Patch) {
        for slot in 0..VOICES {
            let note = self.voices[slot].note;
            if self.voices[slot].active && note.id == event.id {
                let common = self.common(note.channel, frame, patch);
                self.voices[slot].express(&event.body, frame, patch, &common);
            }
        }
    }

    fn controller(&mut self, channel: u8, controller: u8, value: f32) {
        let said = &mut self.channels[usize::from(channel) % CHANNELS];
        let order = said.hear(controller, value);
        let pedal = said.pedal;
        let of_channel =
            |voice: &&mut Voice| voice.active && voice.note.channel == channel && !voice.stolen;
        let voices = self.voices.iter_mut().filter(of_channel);
        match order {
            Order::Nothing => return,
            Order::PedalUp => voices.filter(|voice| voice.on_pedal).for_each(Voice::release),
            Order::SoundOff => voices.for_each(|voice| voice.stolen = true),
            // The pedal holds what keys no longer do.
            Order::NotesOff if pedal => voices.for_each(|voice| voice.on_pedal = true),
            Order::NotesOff => voices.for_each(Voice::release),
        }
        if order != Order::PedalUp {
            self.forget_held(channel);
        }
    }

    /// No key of the channel is held any more.
    fn forget_held(&mut self, channel: u8) {
        let mut kept = 0;
        for at in 0..self.held_count {
            if self.held[at].channel != channel {
                self.held[kept] = self.held[at];
                kept += 1;
            }
        }
        self.held[kept..self.held_count].fill(Note::default());
        self.held_count = kept;
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
        let slot = self.slot();
        let born = |voice: &&Voice| voice.born == frame;
        let twin = self.voices[..slot].iter().filter(born).count() as u64;
        let mut voice = Voice::start(note, frame, twin, patch, &common);
        if patch.glide_frames > 0.0 && self.played {
            voice.glide_from(self.last_pitch, frame, patch.glide_frames, patch, &common);
        }
        self.voices[slot] = voice;
        self.last_pitch = note.pitch;
        self.played = true;
    }

    /// A place for a new voice behind all others. Those that sound close ranks in the
    /// order in which they began, so that equal sound is equal state. Where all sound,
    /// the one that has faded most ends at once.
    fn slot(&mut self) -> usize {
        if self.voices.iter().all(|voice| voice.active) {
            let left = |voice: &&mut Voice| (!voice.stolen, (voice.fade.max(0.0) * 1e9) as u64);
            let softest = self.voices.iter_mut().min_by_key(left);
            softest.into_iter().for_each(|voice| *voice = Voice::default());
        }
        let mut count = 0;
        for at in 0..VOICES {
            if self.voices[at].active {
                self.voices.swap(count, at);
                count += 1;
            }
        }
        count
    }

    /// Fades out the oldest voice under release, else the oldest, which is the first.
    fn steal(&mut self) {
        let playing = self.voices.iter_mut().filter(|v| v.active && !v.stolen);
        if let Some(voice) = playing.min_by_key(|voice| voice.is_held()) {
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
