//! `pulse.sampler`: plays zones of recordings, pitched or as a drum kit.
//!
//! Binding turns each zone into guarded planes in memory, with loops unrolled, so that
//! a voice is a position, an envelope and a window into samples: no branch for loop
//! ends inside the interpolation, no I/O on the audio thread. A voice names its zone by
//! id, so it plays on when the content is swapped under it.

use crate::{
    dsp::adsr::{AdsrRates, AdsrTimes},
    event::{Event, EventBody},
    math,
    node::{
        Content, Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        parameters::parameters,
        voices::{MOST_FRAMES, Note, Step, is_same_note, walk, write},
    },
    param::{ParamDesc, Unit},
};

mod bind;
#[cfg(test)]
mod tests;
mod voice;

use bind::SamplerPlan;
use voice::Voice;

/// Most zones that sound together.
const POLYPHONY: usize = 32;
/// Voices, with those that fade out after being stolen or choked.
const VOICES: usize = POLYPHONY + 8;
const CHANNELS: usize = 16;
/// Round-robin counters; groups beyond share them.
const GROUPS: usize = 256;
/// Seconds in which a choked or stolen voice falls silent.
const CHOKE_SECONDS: f64 = 0.005;

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
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.sampler", "Sampler", PARAMS);
    // 2: voices are summed in the order in which they began.
    descriptor.dsp_version = 2;
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
}

impl Patch {
    fn read(io: &Io<'_>, rate: f64) -> Patch {
        let value = |param: P| io.param(param as usize);
        let times = AdsrTimes {
            attack: value(P::Attack) * 0.001,
            decay: value(P::Decay) * 0.001,
            sustain: value(P::Sustain),
            release: value(P::Release) * 0.001,
        };
        Patch {
            amp: AdsrRates::new(times, rate),
            tune: value(P::Tune) + value(P::Fine) / 100.0,
            bend_range: value(P::BendRange),
            velocity: value(P::Velocity),
            polyphony: io.param_index(P::Polyphony as usize).max(1),
            rate,
            choke: 1.0 / (CHOKE_SECONDS * rate),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct ChannelState {
    bend: f64,
    pedal: bool,
}

#[derive(Default)]
struct Sampler {
    rate: f64,
    patch: Option<Patch>,
    voices: Vec<Voice>,
    channels: [ChannelState; CHANNELS],
    turns: Vec<u64>,
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
        let empty = SamplerPlan::default();
        let plan = SamplerPlan::of(io.content()).unwrap_or(&empty);
        walk(io.frame(), io.frames(), io.events(), |step| match step {
            Step::GridPoint(_) => self.control(plan, &patch),
            Step::Event(event, _) => self.handle(event, plan, &patch),
            Step::Render { at, length } => self.render(io, at, length, plan, &patch),
        });
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.voices.iter_mut().for_each(|voice| voice.visit(visitor));
        for channel in &mut self.channels {
            visitor.f64(&mut channel.bend);
            visitor.bool(&mut channel.pedal);
        }
        self.turns.iter_mut().for_each(|turn| visitor.u64(turn));
    }

    fn reset(&mut self) {
        self.voices.fill(Voice::default());
        self.channels = [ChannelState::default(); CHANNELS];
        self.turns.fill(0);
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
    fn bend(&self, channel: u8, patch: &Patch) -> f64 {
        self.channels[usize::from(channel) % CHANNELS].bend * patch.bend_range
    }

    fn control(&mut self, plan: &SamplerPlan, patch: &Patch) {
        for slot in 0..VOICES {
            let voice = &self.voices[slot];
            if !voice.active {
                continue;
            }
            let bend = self.bend(voice.note.channel, patch);
            match plan.zone(voice.zone) {
                Some(zone) => self.voices[slot].control(zone, bend + patch.tune, patch.rate),
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
                Some(zone) => voice.render(&mut sum[..length], zone, &patch.amp),
                None => *voice = Voice::default(),
            }
        }
        write(io, at, &sum[..length], P::Gain as usize);
    }

    fn handle(&mut self, event: &Event, plan: &SamplerPlan, patch: &Patch) {
        match event.body {
            EventBody::NoteOn { channel, key, pitch, velocity } => {
                let velocity = f64::from(velocity);
                self.note_on(Note { id: event.id, channel, key, pitch, velocity }, plan, patch);
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
            EventBody::AllSoundOff => self.voices.fill(Voice::default()),
            EventBody::PitchBend { channel, value } => {
                self.channels[usize::from(channel) % CHANNELS].bend = f64::from(value);
            }
            EventBody::Controller { channel, controller: 64, value } => {
                self.pedal(channel, value >= 0.5, plan);
            }
            EventBody::NoteTuning { semitones } => {
                let of_note = |v: &&mut Voice| v.active && v.note.id == event.id;
                self.voices.iter_mut().filter(of_note).for_each(|v| v.tuning = semitones);
            }
            _ => {}
        }
    }

    fn pedal(&mut self, channel: u8, down: bool, plan: &SamplerPlan) {
        self.channels[usize::from(channel) % CHANNELS].pedal = down;
        if !down {
            let on_pedal = |v: &&mut Voice| v.on_pedal && v.note.channel == channel;
            self.voices.iter_mut().filter(on_pedal).for_each(|voice| release(voice, plan));
        }
    }

    fn note_on(&mut self, note: Note, plan: &SamplerPlan, patch: &Patch) {
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
            self.start(zone, note, plan, patch);
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

    fn start(&mut self, zone: usize, note: Note, plan: &SamplerPlan, patch: &Patch) {
        let Some(zone) = plan.at(zone) else { return };
        while self.voices.iter().filter(|v| v.active && !v.is_choked()).count() >= patch.polyphony {
            self.steal(patch);
        }
        let slot = self.slot();
        let loud = 1.0 - patch.velocity + patch.velocity * note.velocity * note.velocity;
        let tune = patch.tune + self.bend(note.channel, patch);
        self.voices[slot] = Voice::start(zone, note, slot as u64, loud, tune, patch.rate);
    }

    /// A place for a new voice behind all others. Those that sound close ranks in
    /// the order in which they began, so that what came before them leaves no trace
    /// in the state, and equal sound is equal state.
    fn slot(&mut self) -> usize {
        if self.voices.iter().all(|voice| voice.active) {
            let softest = |slot: &usize| (self.voices[*slot].fade.max(0.0) * 1e9) as u64;
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
