//! `pulse.notes`: changes notes on their way to an instrument.
//!
//! What becomes of a note is decided when it begins and remembered until it ends, so a
//! note-off always finds its note, whatever the parameters have done in between. Notes
//! that were filtered out lose their note-off too. Everything else passes unchanged.

use crate::{
    event::{Event, EventBody},
    math,
    node::{
        Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail, parameters::parameters,
        voices::is_same_note,
    },
    param::{ParamDesc, Unit},
};

#[cfg(test)]
mod tests;

/// Notes remembered at once; the oldest is ended when there are more.
const NOTES: usize = 128;
/// The softest note-on: a velocity of zero would be a note-off to MIDI.
const SOFTEST: f64 = 1.0 / 127.0;

const KEYS: &[&str] = &["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const SCALES: &[&str] = &[
    "off",
    "major",
    "minor",
    "harmonicMinor",
    "melodicMinor",
    "dorian",
    "phrygian",
    "lydian",
    "mixolydian",
    "locrian",
    "majorPentatonic",
    "minorPentatonic",
    "blues",
    "wholeTone",
];
/// Semitones above the root that belong to each scale, as bits.
const SCALE_TONES: [u16; 14] = [
    0xfff,
    tones(&[0, 2, 4, 5, 7, 9, 11]),
    tones(&[0, 2, 3, 5, 7, 8, 10]),
    tones(&[0, 2, 3, 5, 7, 8, 11]),
    tones(&[0, 2, 3, 5, 7, 9, 11]),
    tones(&[0, 2, 3, 5, 7, 9, 10]),
    tones(&[0, 1, 3, 5, 7, 8, 10]),
    tones(&[0, 2, 4, 6, 7, 9, 11]),
    tones(&[0, 2, 4, 5, 7, 9, 10]),
    tones(&[0, 1, 3, 5, 6, 8, 10]),
    tones(&[0, 2, 4, 7, 9]),
    tones(&[0, 3, 5, 7, 10]),
    tones(&[0, 3, 5, 6, 7, 10]),
    tones(&[0, 2, 4, 6, 8, 10]),
];

const fn tones(list: &[u16]) -> u16 {
    let (mut bits, mut at) = (0, 0);
    while at < list.len() {
        bits |= 1 << list[at];
        at += 1;
    }
    bits
}

const fn key(id: &'static str, name: &'static str, default: f64) -> ParamDesc {
    ParamDesc::new(id, name, Unit::None, (0.0, 127.0), default).stepped()
}

parameters!(PARAMS, P {
    Transpose => ParamDesc::new("transpose", "Transpose", Unit::Semitones, (-48.0, 48.0), 0.0)
        .stepped(),
    Scale => ParamDesc::choice("scale", "Scale", SCALES, 0),
    Root => ParamDesc::choice("root", "Root", KEYS, 0),
    KeyLow => key("keyLow", "Lowest key", 0.0),
    KeyHigh => key("keyHigh", "Highest key", 127.0),
    VelocityCurve => ParamDesc::new(
        "velocityCurve", "Velocity curve", Unit::None, (-1.0, 1.0), 0.0,
    ).smoothing(0.0),
    VelocityScale => ParamDesc::new(
        "velocityScale", "Velocity scale", Unit::Ratio, (0.0, 2.0), 1.0,
    ).smoothing(0.0),
    VelocityOffset => ParamDesc::new(
        "velocityOffset", "Velocity offset", Unit::None, (-1.0, 1.0), 0.0,
    ).smoothing(0.0),
    VelocityRandom => ParamDesc::new(
        "velocityRandom", "Velocity random", Unit::Ratio, (0.0, 1.0), 0.0,
    ).smoothing(0.0),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.notes", "Note transform", PARAMS);
    descriptor.outputs = &[];
    descriptor.event_output = true;
    descriptor.uses_random = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(NoteTransform::default()));

/// A note that was passed on and has not ended.
#[derive(Clone, Copy, Default, PartialEq)]
struct Held {
    id: u128,
    channel: u8,
    key: u8,
    /// The key it was passed on with.
    sent: u8,
}

#[derive(Default)]
struct NoteTransform {
    seed: u64,
    /// Oldest first.
    held: Vec<Held>,
    count: usize,
    passed: u64,
}

impl Node for NoteTransform {
    fn prepare(&mut self, setup: &Setup) {
        self.seed = setup.seed;
        self.held = vec![Held::default(); NOTES];
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        for event in io.events() {
            match event.body {
                EventBody::NoteOn { .. } => self.note_on(event, io),
                EventBody::NoteOff { channel, key, velocity } => {
                    self.note_off(event, (channel, key), velocity, io);
                }
                EventBody::AllSoundOff | EventBody::AllNotesOff => {
                    self.forget();
                    io.emit(*event);
                }
                _ => io.emit(*event),
            }
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        for held in &mut self.held {
            visitor.u128(&mut held.id);
            let mut keys = u64::from(held.channel) << 16 | u64::from(held.key) << 8;
            keys |= u64::from(held.sent);
            visitor.u64(&mut keys);
            (held.channel, held.key, held.sent) =
                ((keys >> 16) as u8, (keys >> 8) as u8, keys as u8);
        }
        visitor.usize(&mut self.count);
        self.count = self.count.min(NOTES);
        visitor.u64(&mut self.passed);
    }

    fn reset(&mut self) {
        self.forget();
        self.passed = 0;
    }

    /// A held note must not be forgotten while nothing arrives.
    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

impl NoteTransform {
    fn forget(&mut self) {
        self.held.fill(Held::default());
        self.count = 0;
    }

    fn note_on(&mut self, event: &Event, io: &mut Io<'_>) {
        let EventBody::NoteOn { channel, key, pitch, velocity } = event.body else { return };
        let range = io.param(P::KeyLow as usize)..=io.param(P::KeyHigh as usize);
        let Some(sent) = range.contains(&f64::from(key)).then(|| new_key(key, io)).flatten() else {
            return;
        };
        if self.count == NOTES {
            self.end(0, event.offset, 0.0, io);
        }
        self.held[self.count] = Held { id: event.id, channel, key, sent };
        self.count += 1;
        let pitch = pitch + f64::from(sent) - f64::from(key);
        let velocity = self.velocity(f64::from(velocity), io) as f32;
        self.passed += 1;
        let body = EventBody::NoteOn { channel, key: sent, pitch, velocity };
        io.emit(Event { body, ..*event });
    }

    fn velocity(&self, velocity: f64, io: &Io<'_>) -> f64 {
        let value = |param: P| io.param(param as usize);
        let curve = value(P::VelocityCurve);
        let bent =
            if curve == 0.0 { velocity } else { math::pow(velocity, math::exp2(-2.0 * curve)) };
        let random = value(P::VelocityRandom) * math::random_bipolar(self.seed, self.passed) * 0.5;
        let wanted = bent * value(P::VelocityScale) + value(P::VelocityOffset) + random;
        wanted.clamp(SOFTEST, 1.0)
    }

    fn note_off(&mut self, event: &Event, of: (u8, u8), velocity: f32, io: &mut Io<'_>) {
        let named = (event.id, of.0, of.1);
        let same = |held: &Held| is_same_note(named, (held.id, held.channel, held.key));
        if let Some(slot) = self.held[..self.count].iter().position(same) {
            self.end(slot, event.offset, velocity, io);
        }
    }

    /// Sends the note-off of a held note.
    fn end(&mut self, slot: usize, offset: u32, velocity: f32, io: &mut Io<'_>) {
        let Held { id, channel, sent, .. } = self.held[slot];
        self.held.copy_within(slot + 1..self.count, slot);
        self.count -= 1;
        self.held[self.count] = Held::default();
        io.emit(Event { offset, id, body: EventBody::NoteOff { channel, key: sent, velocity } });
    }
}

/// The key after transposition and scale; `None` if there is no such key.
fn new_key(key: u8, io: &Io<'_>) -> Option<u8> {
    let moved = i32::from(key) + io.param(P::Transpose as usize) as i32;
    let scale = SCALE_TONES.get(io.param_index(P::Scale as usize)).copied().unwrap_or(0xfff);
    let root = io.param_index(P::Root as usize) as i32;
    let fits = |key: i32| scale >> (key - root).rem_euclid(12) & 1 == 1;
    // The nearest tone; of two equally near ones the lower.
    let found = (0..12).flat_map(|way| [moved - way, moved + way]).find(|&key| fits(key))?;
    u8::try_from(found).ok().filter(|&key| key < 128)
}
