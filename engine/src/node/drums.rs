//! `pulse.drums`: a drum machine that needs no samples.
//!
//! Every hit is computed: membranes are falling sines, metal is six detuned pulses,
//! wires and hands are filtered noise. A hit's tuning, decay and level are taken
//! from the parameters when it starts and stay with it, as on the machines of 1980;
//! so a voice is its recipe and its age, and nothing has to be smoothed. Keys follow
//! General MIDI. Noise is seeded by the frame of a hit: no two are the same, every
//! render is.

use crate::{
    dsp::oscillator::Wavetables,
    event::{Event, EventBody},
    node::{
        Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail,
        parameters::parameters,
        voices::{MOST_FRAMES, Step, walk, write},
    },
    param::{ParamDesc, Unit},
};

mod recipe;
#[cfg(test)]
mod tests;
mod voice;

use recipe::{Knobs, Piece, recipe};
use voice::Voice;

/// Hits that sound together.
const POLYPHONY: usize = 24;
/// Voices, with those that fade out after being stolen or choked.
const VOICES: usize = 2 * POLYPHONY;
/// Seconds in which a closed hat silences an open one, and in which a stolen voice ends.
const CHOKE_SECONDS: f64 = 0.012;

const fn level(id: &'static str, name: &'static str) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Decibel, (-60.0, 12.0), 0.0).smoothing(0.0)
}

const fn tune(id: &'static str, name: &'static str) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Semitones, (-24.0, 24.0), 0.0).smoothing(0.0)
}

const fn decay(id: &'static str, name: &'static str) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Ratio, (0.1, 8.0), 1.0).exponential().smoothing(0.0)
}

const fn ratio(id: &'static str, name: &'static str, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Ratio, (0.0, 1.0), default).smoothing(0.0)
}

parameters!(PARAMS, P {
    KickLevel => level("kickLevel", "Kick level"),
    KickTune => tune("kickTune", "Kick tune"),
    KickDecay => decay("kickDecay", "Kick decay"),
    KickClick => ratio("kickClick", "Kick click", 0.4),
    KickDrive => ratio("kickDrive", "Kick drive", 0.3),
    SnareLevel => level("snareLevel", "Snare level"),
    SnareTune => tune("snareTune", "Snare tune"),
    SnareDecay => decay("snareDecay", "Snare decay"),
    SnareWires => ratio("snareWires", "Snare wires", 0.6),
    ClapLevel => level("clapLevel", "Clap level"),
    ClapDecay => decay("clapDecay", "Clap decay"),
    HatLevel => level("hatLevel", "Hat level"),
    HatTune => tune("hatTune", "Hat tune"),
    HatDecay => decay("hatDecay", "Hat decay"),
    HatMetal => ratio("hatMetal", "Hat metal against noise", 0.5),
    TomLevel => level("tomLevel", "Tom level"),
    TomTune => tune("tomTune", "Tom tune"),
    TomDecay => decay("tomDecay", "Tom decay"),
    CymbalLevel => level("cymbalLevel", "Cymbal level"),
    CymbalTune => tune("cymbalTune", "Cymbal tune"),
    CymbalDecay => decay("cymbalDecay", "Cymbal decay"),
    PercussionLevel => level("percussionLevel", "Percussion level"),
    PercussionTune => tune("percussionTune", "Percussion tune"),
    PercussionDecay => decay("percussionDecay", "Percussion decay"),
    Velocity => ratio("velocity", "Velocity to level", 0.9),
    Width => ratio("width", "Width", 0.6),
    Gain => ParamDesc::new("gain", "Gain", Unit::Decibel, (-60.0, 12.0), -6.0),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.drums", "Drum machine", PARAMS);
    // 2: all sound off fades in 12 ms. 3: a stolen hit fades out in a place of its own; hits are summed
    // in the order in which they began. 4: noise goes by the frame of a hit and not by the count of
    // those before it.
    descriptor.dsp_version = 4;
    descriptor.uses_random = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Drums::default()));

#[derive(Default)]
struct Drums {
    rate: f64,
    seed: u64,
    voices: Vec<Voice>,
}

impl Node for Drums {
    fn prepare(&mut self, setup: &Setup) {
        let _ = Wavetables::shared();
        self.rate = setup.rate();
        self.seed = setup.seed;
        self.voices = vec![Voice::default(); VOICES];
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        walk(io.frame(), io.frames(), io.events(), |step| match step {
            Step::GridPoint(_) => self.voices.iter_mut().for_each(Voice::settle),
            Step::Event(event, now) => self.handle(event, now, io),
            Step::Render { at, length } => self.render(io, at, length),
        });
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        self.voices.iter_mut().for_each(|voice| voice.visit(visitor));
    }

    fn reset(&mut self) {
        self.voices.fill(Voice::default());
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

impl Drums {
    fn handle(&mut self, event: &Event, now: i64, io: &Io<'_>) {
        match event.body {
            EventBody::NoteOn { key, velocity, .. } => {
                if let Some(piece) = Piece::of_key(key) {
                    self.hit(piece, f64::from(velocity), now, io);
                }
            }
            EventBody::AllSoundOff | EventBody::Controller { controller: 120, .. } => {
                let choke = 1.0 / (CHOKE_SECONDS * self.rate);
                self.voices.iter_mut().for_each(|voice| voice.choke(choke));
            }
            _ => {}
        }
    }

    fn hit(&mut self, piece: Piece, velocity: f64, now: i64, io: &Io<'_>) {
        let knobs = Knobs::of(piece, io);
        let choke = 1.0 / (CHOKE_SECONDS * self.rate);
        if piece.is_hat() {
            self.voices.iter_mut().filter(|v| v.piece.is_hat()).for_each(|v| v.choke(choke));
        }
        while self.playing().count() >= POLYPHONY {
            // The first is the oldest.
            if let Some(oldest) = self.playing().next() {
                oldest.choke(choke);
            }
        }
        let slot = self.slot();
        let twins = self.voices[..slot].iter().filter(|voice| voice.born == now).count() as u64;
        let seed = crate::math::random_u64(self.seed ^ twins, now as u64);
        let recipe = recipe(piece, &knobs, velocity, self.rate);
        self.voices[slot] = Voice::start(piece, recipe, seed, now);
    }

    /// Hits that are not fading out.
    fn playing(&mut self) -> impl Iterator<Item = &mut Voice> {
        self.voices.iter_mut().filter(|voice| voice.is_active() && !voice.is_choked())
    }

    /// A place for a new hit behind all others. Those that sound close ranks in the order in which
    /// they began, so that equal sound is equal state. Where even the places for fading out are
    /// taken, the softest of these ends at once.
    fn slot(&mut self) -> usize {
        if self.voices.iter().all(Voice::is_active) {
            let softest = self.voices.iter_mut().min_by_key(|voice| voice.softness());
            softest.into_iter().for_each(|voice| *voice = Voice::default());
        }
        let mut count = 0;
        for at in 0..VOICES {
            if self.voices[at].is_active() {
                self.voices.swap(count, at);
                count += 1;
            }
        }
        count
    }

    fn render(&mut self, io: &mut Io<'_>, at: usize, length: usize) {
        let mut sum = [[0.0; 2]; MOST_FRAMES];
        for voice in self.voices.iter_mut().filter(|voice| voice.is_active()) {
            voice.render(&mut sum[..length]);
        }
        write(io, at, &sum[..length], P::Gain as usize);
    }
}
