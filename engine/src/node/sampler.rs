//! `pulse.sampler`: plays zones of recordings, pitched or as a drum kit.
//!
//! Binding turns each zone into guarded planes in memory, with loops unrolled, so that
//! a voice is a position, an envelope and a window into samples: no branch for loop
//! ends inside the interpolation, no I/O on the audio thread. A voice names its zone by
//! id, so it plays on when the content is swapped under it.

use crate::{
    dsp::{
        adsr::{AdsrRates, AdsrTimes},
        lfo::{LfoPhase, LfoShape, SHAPES as LFO_SHAPES},
    },
    event::{Event, EventBody},
    math,
    node::{
        Content, Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        controllers::{self, CHANNELS, Controllers, Order},
        note_value::{NAMES, beats, follow},
        parameters::parameters,
        voice_filter::{self, Mode, Setting},
        voices::{MOST_FRAMES, Note, Step, is_same_note, walk, write},
    },
    param::{GRID, ParamDesc, Unit, cell_start},
};

mod bind;
#[cfg(test)]
mod tests;
mod voice;

use bind::SamplerPlan;
use voice::{Common, Voice};

/// Most zones that sound together.
const POLYPHONY: usize = 32;
/// Voices, with those that fade out after being stolen or choked.
const VOICES: usize = 2 * POLYPHONY;
/// Round-robin counters; groups beyond share them.
const GROUPS: usize = 256;
/// Seconds in which a choked or stolen voice falls silent.
const CHOKE_SECONDS: f64 = 0.005;
/// Seed of the LFO's random shapes.
const LFO_SEED: u64 = 0x1f0;

const FILTERS: &[&str] = &["off", "lowPass12", "lowPass24", "bandPass12", "highPass12", "notch"];

const fn ratio(id: &'static str, name: &'static str, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Ratio, (0.0, 1.0), default)
}

const fn semitones(id: &'static str, name: &'static str, most: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Semitones, (-most, most), 0.0)
}

const fn time(id: &'static str, name: &'static str, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Milliseconds, (0.1, 20_000.0), default)
        .exponential()
        .smoothing(0.0)
}

parameters!(PARAMS, P {
    Attack => time("attack", "Attack", 0.1),
    Decay => time("decay", "Decay", 1_000.0),
    Sustain => ParamDesc::new("sustain", "Sustain", Unit::Ratio, (0.0, 1.0), 1.0),
    Release => time("release", "Release", 60.0),
    Tune => ParamDesc::new("tune", "Tune", Unit::Semitones, (-36.0, 36.0), 0.0),
    Fine => ParamDesc::new("fine", "Fine tune", Unit::Cents, (-100.0, 100.0), 0.0),
    BendRange => ParamDesc::new("bendRange", "Bend range", Unit::Semitones, (0.0, 48.0), 2.0)
        .stepped(),
    Velocity => ParamDesc::new("velocity", "Velocity to level", Unit::Ratio, (0.0, 1.0), 0.8),
    Polyphony => ParamDesc::new(
        "polyphony", "Voices", Unit::None, (1.0, POLYPHONY as f64), POLYPHONY as f64,
    ).stepped(),
    Gain => ParamDesc::new("gain", "Gain", Unit::Decibel, (-60.0, 12.0), 0.0),
    FilterMode => ParamDesc::choice("filterMode", "Filter", FILTERS, 0),
    Cutoff => ParamDesc::new("cutoff", "Cutoff", Unit::Hertz, (16.0, 20_000.0), 8_000.0)
        .exponential(),
    Resonance => ratio("resonance", "Resonance", 0.1),
    FilterDrive => voice_filter::drive("filterDrive", "Filter drive"),
    KeyTracking => ratio("keyTracking", "Key tracking", 0.0),
    FilterEnvelope => semitones("filterEnvelope", "Filter envelope", 96.0),
    FilterVelocity => semitones("filterVelocity", "Velocity to filter", 96.0),
    FilterPressure => semitones("filterPressure", "Pressure to filter", 48.0),
    TimbreFilter => semitones("timbreFilter", "Brightness to filter", 60.0),
    FilterAttack => time("filterAttack", "Filter attack", 2.0),
    FilterDecay => time("filterDecay", "Filter decay", 600.0),
    FilterSustain => ratio("filterSustain", "Filter sustain", 0.0),
    FilterRelease => time("filterRelease", "Filter release", 250.0),
    PitchEnvelope => semitones("pitchEnvelope", "Filter envelope to pitch", 48.0),
    LfoShape => ParamDesc::choice("lfoShape", "LFO shape", LFO_SHAPES, 0),
    LfoRate => ParamDesc::new("lfoRate", "LFO rate", Unit::Hertz, (0.01, 50.0), 5.0).exponential(),
    LfoSync => ParamDesc::choice("lfoSync", "LFO note value", NAMES, 0),
    LfoPitch => ParamDesc::new("lfoPitch", "LFO to pitch", Unit::Cents, (0.0, 1200.0), 0.0),
    WheelVibrato => ParamDesc::new(
        "wheelVibrato", "Modulation wheel to LFO pitch", Unit::Cents, (0.0, 1200.0), 0.0,
    ),
    LfoFilter => semitones("lfoFilter", "LFO to filter", 60.0),
    LfoAmp => ratio("lfoAmp", "LFO to level", 0.0),
    Start => ratio("start", "Start", 0.0).smoothing(0.0),
    VelocityStart => ratio("velocityStart", "Softness to start", 0.0).smoothing(0.0),
    LoopMode => ParamDesc::choice("loopMode", "Loop", &["zone", "pingPong", "off"], 0).layout(),
    LoopCrossfade => ParamDesc::new(
        "loopCrossfade", "Loop crossfade", Unit::Milliseconds, (0.0, 1_000.0), 0.0,
    ).layout(),
    Reverse => ParamDesc::switch("reverse", "Reverse", false).layout(),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.sampler", "Sampler", PARAMS);
    // 2: voices are summed in the order in which they began. 3: volume, expression and panorama are
    // obeyed; a voice fades out in a place of its own however many are stolen at once.
    // 4: the drive is oversampled.
    descriptor.dsp_version = 4;
    descriptor.reads_transport = true;
    descriptor.follows_tempo = crate::node::FollowsTempo::While("lfoSync");
    descriptor
};

pub static KIND: NodeKind = {
    let mut kind = NodeKind::new(&DESCRIPTOR, || Box::new(Sampler::default()));
    kind.bind = Some(bind::bind);
    kind
};

/// What the parameters amount to.
#[derive(Clone, Copy)]
struct Patch {
    amp: AdsrRates,
    /// Semitones.
    tune: f64,
    bend_range: f64,
    velocity: f64,
    polyphony: usize,
    rate: f64,
    /// What a choked voice loses per frame.
    choke: f64,
    tone: Setting,
    /// The cutoff as a pitch in semitones.
    cutoff: f64,
    key_tracking: f64,
    filter_envelope: f64,
    filter_velocity: f64,
    filter_pressure: f64,
    timbre_filter: f64,
    filter: AdsrRates,
    pitch_envelope: f64,
    lfo: LfoShape,
    lfo_pitch: f64,
    wheel_pitch: f64,
    lfo_filter: f64,
    lfo_amp: f64,
    start: f64,
    velocity_start: f64,
}

impl Patch {
    fn read(io: &Io<'_>, rate: f64) -> Patch {
        let value = |param: P| io.param(param as usize);
        let envelope = |[attack, decay, sustain, release]: [P; 4]| {
            let times = AdsrTimes {
                attack: value(attack) * 0.001,
                decay: value(decay) * 0.001,
                sustain: value(sustain),
                release: value(release) * 0.001,
            };
            AdsrRates::new(times, rate)
        };
        let filter = [P::FilterAttack, P::FilterDecay, P::FilterSustain, P::FilterRelease];
        let mode = filter_mode(io.param_index(P::FilterMode as usize));
        Patch {
            amp: envelope([P::Attack, P::Decay, P::Sustain, P::Release]),
            tune: value(P::Tune) + value(P::Fine) / 100.0,
            bend_range: value(P::BendRange),
            velocity: value(P::Velocity),
            polyphony: io.param_index(P::Polyphony as usize).max(1),
            rate,
            choke: 1.0 / (CHOKE_SECONDS * rate),
            tone: Setting::new(mode, value(P::Resonance), value(P::FilterDrive), rate),
            cutoff: 69.0 + 12.0 * math::log2(value(P::Cutoff) / 440.0),
            key_tracking: value(P::KeyTracking),
            filter_envelope: value(P::FilterEnvelope),
            filter_velocity: value(P::FilterVelocity),
            filter_pressure: value(P::FilterPressure),
            timbre_filter: value(P::TimbreFilter),
            filter: envelope(filter),
            pitch_envelope: value(P::PitchEnvelope),
            lfo: LfoShape::from_index(io.param_index(P::LfoShape as usize)),
            lfo_pitch: value(P::LfoPitch) / 100.0,
            wheel_pitch: value(P::WheelVibrato) / 100.0,
            lfo_filter: value(P::LfoFilter),
            lfo_amp: value(P::LfoAmp),
            start: value(P::Start),
            velocity_start: value(P::VelocityStart),
        }
    }
}

fn filter_mode(index: usize) -> Mode {
    match index {
        1 => Mode::Low12,
        2 => Mode::Low24,
        3 => Mode::Band12,
        4 => Mode::High12,
        5 => Mode::Notch,
        _ => Mode::Off,
    }
}

#[derive(Default)]
struct Sampler {
    rate: f64,
    patch: Option<Patch>,
    voices: Vec<Voice>,
    channels: [Controllers; CHANNELS],
    turns: Vec<u64>,
    lfo: LfoPhase,
}

impl Node for Sampler {
    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.patch = None;
        self.voices = vec![Voice::default(); VOICES];
        self.turns = vec![0; GROUPS];
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let patch = match self.patch {
            Some(patch) if !io.params_changed() => patch,
            _ => Patch::read(io, self.rate),
        };
        self.patch = Some(patch);
        let beats = beats(io.param_index(P::LfoSync as usize));
        follow(&mut self.lfo, io, beats, io.param(P::LfoRate as usize), self.rate);
        let empty = SamplerPlan::default();
        let plan = SamplerPlan::of(io.content()).unwrap_or(&empty);
        walk(io.frame(), io.frames(), io.events(), |step| match step {
            Step::GridPoint(now) => self.control(now, plan, &patch),
            Step::Event(event, now) => self.handle(event, now, plan, &patch),
            Step::Render { at, length } => self.render(io, at, length, plan, &patch),
        });
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.voices.iter_mut().for_each(|voice| voice.visit(visitor));
        self.channels.iter_mut().for_each(|channel| channel.visit(visitor));
        self.turns.iter_mut().for_each(|turn| visitor.u64(turn));
        self.lfo.visit(visitor);
    }

    fn reset(&mut self) {
        self.voices.fill(Voice::default());
        self.channels = [Controllers::default(); CHANNELS];
        self.turns.fill(0);
        self.lfo = LfoPhase::default();
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

impl SamplerPlan {
    fn of(content: &Content) -> Option<&SamplerPlan> {
        content.extra.as_ref().and_then(|extra| extra.downcast_ref())
    }
}

impl Sampler {
    /// What all voices of a channel share at the next grid point.
    fn common(&self, channel: u8, frame: i64, patch: &Patch) -> Common {
        let said = &self.channels[usize::from(channel) % CHANNELS];
        let lfo = patch.lfo.at(self.lfo.cycles(cell_start(frame) + GRID), LFO_SEED);
        let vibrato = lfo * (patch.lfo_pitch + patch.wheel_pitch * said.wheel);
        Common {
            tune: patch.tune + said.bend * patch.bend_range + vibrato,
            lfo,
            pressure: said.pressure,
            brightness: said.brightness(),
            sides: said.sides,
        }
    }

    fn control(&mut self, frame: i64, plan: &SamplerPlan, patch: &Patch) {
        let keep = controllers::keep(self.rate);
        self.channels.iter_mut().for_each(|channel| channel.slide(keep));
        for slot in 0..VOICES {
            let voice = &self.voices[slot];
            if !voice.active {
                continue;
            }
            let common = self.common(voice.note.channel, frame, patch);
            match plan.zone(voice.zone) {
                Some(zone) => self.voices[slot].control(zone, patch, &common),
                None => self.voices[slot] = Voice::default(),
            }
        }
    }

    fn render(
        &mut self,
        io: &mut Io<'_>,
        at: usize,
        length: usize,
        plan: &SamplerPlan,
        patch: &Patch,
    ) {
        let mut sum = [[0.0; 2]; MOST_FRAMES];
        for voice in self.voices.iter_mut().filter(|voice| voice.active) {
            match plan.zone(voice.zone) {
                Some(zone) => voice.render(&mut sum[..length], zone, patch),
                None => *voice = Voice::default(),
            }
        }
        write(io, at, &sum[..length], P::Gain as usize);
    }

    fn handle(&mut self, event: &Event, frame: i64, plan: &SamplerPlan, patch: &Patch) {
        match event.body {
            EventBody::NoteOn { channel, key, pitch, velocity } => {
                let velocity = f64::from(velocity);
                let note = Note { id: event.id, channel, key, pitch, velocity };
                self.note_on(note, frame, plan, patch);
            }
            EventBody::NoteOff { channel, key, .. } => {
                self.note_off((event.id, channel, key), plan)
            }
            EventBody::AllNotesOff => {
                self.channels.iter_mut().for_each(|channel| channel.pedal = false);
                for voice in self.voices.iter_mut().filter(|voice| voice.active) {
                    release(voice, plan);
                }
            }
            EventBody::AllSoundOff => {
                let playing = self.voices.iter_mut().filter(|voice| voice.active);
                playing.for_each(|voice| voice.choke(patch.choke));
            }
            EventBody::PitchBend { channel, value } => {
                self.channels[usize::from(channel) % CHANNELS].bend = f64::from(value);
            }
            EventBody::Controller { channel, controller, value } => {
                self.controller(channel, (controller, value), plan, patch);
            }
            EventBody::Pressure { channel, value } => {
                self.channels[usize::from(channel) % CHANNELS].pressure = f64::from(value);
            }
            EventBody::NoteTuning { .. }
            | EventBody::NotePressure { .. }
            | EventBody::NoteTimbre { .. }
            | EventBody::NoteGain { .. }
            | EventBody::NotePan { .. } => self.express(event, frame, plan, patch),
            EventBody::Program { .. } => {}
        }
    }

    fn express(&mut self, event: &Event, frame: i64, plan: &SamplerPlan, patch: &Patch) {
        for slot in 0..VOICES {
            let voice = &self.voices[slot];
            if !voice.active || voice.note.id != event.id {
                continue;
            }
            let common = self.common(voice.note.channel, frame, patch);
            if let Some(zone) = plan.zone(voice.zone) {
                self.voices[slot].express(&event.body, zone, patch, &common);
            }
        }
    }

    fn controller(
        &mut self,
        channel: u8,
        (controller, value): (u8, f32),
        plan: &SamplerPlan,
        patch: &Patch,
    ) {
        let said = &mut self.channels[usize::from(channel) % CHANNELS];
        let order = said.hear(controller, value);
        let pedal = said.pedal;
        let of_channel = |v: &&mut Voice| v.active && v.note.channel == channel;
        let voices = self.voices.iter_mut().filter(of_channel);
        match order {
            Order::Nothing => {}
            Order::PedalUp => {
                voices.filter(|voice| voice.on_pedal).for_each(|voice| release(voice, plan));
            }
            Order::SoundOff => voices.for_each(|voice| voice.choke(patch.choke)),
            // The pedal holds what keys no longer do.
            Order::NotesOff if pedal => {
                let held = voices.filter(|voice| !voice.is_released());
                held.for_each(|voice| voice.on_pedal = true);
            }
            Order::NotesOff => voices.for_each(|voice| release(voice, plan)),
        }
    }

    fn note_on(&mut self, note: Note, frame: i64, plan: &SamplerPlan, patch: &Patch) {
        let chosen = |zone: &usize| plan.is_chosen(*zone, &note, &self.turns);
        let mut slots = [0_usize; POLYPHONY];
        let mut count = 0;
        for zone in plan.of_key(note.key).filter(chosen).take(POLYPHONY) {
            slots[count] = zone;
            count += 1;
        }
        plan.take_turns(&note, &mut self.turns);
        for &zone in &slots[..count] {
            self.choke_others(plan.choke_group(zone), note.id, plan, patch);
            self.start(zone, note, frame, plan, patch);
        }
    }

    /// Silences what sounds in a choke group, except for this very note.
    fn choke_others(&mut self, group: u16, id: u128, plan: &SamplerPlan, patch: &Patch) {
        if group == 0 {
            return;
        }
        for voice in self.voices.iter_mut().filter(|v| v.active && v.note.id != id) {
            if plan.zone(voice.zone).is_some_and(|zone| zone.choke_group == group) {
                voice.choke(patch.choke);
            }
        }
    }

    fn start(&mut self, zone: usize, note: Note, frame: i64, plan: &SamplerPlan, patch: &Patch) {
        let Some(zone) = plan.at(zone) else { return };
        while self.voices.iter().filter(|v| v.active && !v.is_choked()).count() >= patch.polyphony {
            self.steal(patch);
        }
        let slot = self.slot();
        let common = self.common(note.channel, frame, patch);
        self.voices[slot] = Voice::start(zone, note, slot as u64, patch, &common);
    }

    /// A place for a new voice behind all others. Those that sound close ranks in
    /// the order in which they began, so that what came before them leaves no trace
    /// in the state, and equal sound is equal state.
    fn slot(&mut self) -> usize {
        if self.voices.iter().all(|voice| voice.active) {
            let softest = |slot: &usize| {
                let voice = &self.voices[*slot];
                (!voice.is_choked(), (voice.fade.max(0.0) * 1e9) as u64)
            };
            let slot = (0..VOICES).min_by_key(softest).unwrap_or(0);
            self.voices[slot] = Voice::default();
        }
        let mut count = 0;
        for at in 0..VOICES {
            if self.voices[at].active {
                self.voices.swap(count, at);
                self.voices[count].order = count as u64;
                count += 1;
            }
        }
        count
    }

    /// Ends the oldest voice under release, else the oldest.
    fn steal(&mut self, patch: &Patch) {
        let rank = |voice: &&mut Voice| (!voice.is_released(), voice.order);
        let playing = self.voices.iter_mut().filter(|v| v.active && !v.is_choked());
        if let Some(voice) = playing.min_by_key(rank) {
            voice.choke(patch.choke);
        }
    }

    fn note_off(&mut self, of_event: (u128, u8, u8), plan: &SamplerPlan) {
        let pedal = self.channels[usize::from(of_event.1) % CHANNELS].pedal;
        for voice in self.voices.iter_mut().filter(|v| v.active && !v.is_released()) {
            if !is_same_note(of_event, voice.note.identity()) {
                continue;
            }
            if pedal {
                voice.on_pedal = true;
            } else {
                release(voice, plan);
            }
        }
    }
}

/// Note-off for a voice; one-shots play on.
fn release(voice: &mut Voice, plan: &SamplerPlan) {
    if let Some(zone) = plan.zone(voice.zone) {
        voice.release(zone);
    }
}

/// Frequency factor of an interval.
fn factor(semitones: f64) -> f64 {
    math::exp2(semitones.clamp(-240.0, 240.0) / 12.0)
}
