//! Events as nodes see them: offset within the call, identity, body. `Copy`, so
//! that queues on the audio thread never own anything.

use pulse_schemas::graph::{SpecEvent, SpecEventBody};

/// What happens. Pitch is in semitones (MIDI key numbers with a fraction), bends
/// are −1..1, everything else 0..1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum EventBody {
    /// Ends every note at once, without release. Sent on seek, loop and stop.
    AllSoundOff,
    /// Releases every held note.
    AllNotesOff,
    NoteOff {
        channel: u8,
        key: u8,
        velocity: f32,
    },
    PitchBend {
        channel: u8,
        value: f32,
    },
    Controller {
        channel: u8,
        controller: u8,
        value: f32,
    },
    Pressure {
        channel: u8,
        value: f32,
    },
    Program {
        channel: u8,
        program: u8,
    },
    /// Per-note expression, addressed by the id of the event; tuning in semitones.
    NoteTuning {
        semitones: f64,
    },
    NotePressure {
        value: f32,
    },
    NoteTimbre {
        value: f32,
    },
    /// Linear.
    NoteGain {
        value: f32,
    },
    /// −1..1.
    NotePan {
        value: f32,
    },
    NoteOn {
        channel: u8,
        key: u8,
        pitch: f64,
        velocity: f32,
    },
}

/// One event inside a call. `id` is the identity of the note where there is one:
/// note-on, note-off and expression of one note share it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Event {
    pub offset: u32,
    pub id: u128,
    pub body: EventBody,
}

impl EventBody {
    /// The order at one sample: transport, note-off, parameters and controllers,
    /// note-on, expression of notes. Smoothed parameters act between ranks 1 and 3.
    pub fn rank(&self) -> u8 {
        match self {
            EventBody::AllSoundOff | EventBody::AllNotesOff => 0,
            EventBody::NoteOff { .. } => 1,
            EventBody::NoteOn { .. } => 3,
            EventBody::NoteTuning { .. }
            | EventBody::NotePressure { .. }
            | EventBody::NoteTimbre { .. }
            | EventBody::NoteGain { .. }
            | EventBody::NotePan { .. } => 4,
            _ => 2,
        }
    }
}

impl Event {
    pub fn order(&self) -> (u32, u8, u128) {
        (self.offset, self.body.rank(), self.id)
    }

    pub(crate) const NOTHING: Event = Event { offset: 0, id: 0, body: EventBody::AllNotesOff };

    /// As numbers, for state that is saved.
    pub(crate) fn to_words(self) -> [u64; 6] {
        let (tag, a, b, c, d) = match self.body {
            EventBody::AllSoundOff => (0, 0, 0, 0, 0.0),
            EventBody::AllNotesOff => (1, 0, 0, 0, 0.0),
            EventBody::NoteOff { channel, key, velocity } => {
                (2, channel, key, velocity.to_bits(), 0.0)
            }
            EventBody::PitchBend { channel, value } => (3, channel, 0, value.to_bits(), 0.0),
            EventBody::Controller { channel, controller, value } => {
                (4, channel, controller, value.to_bits(), 0.0)
            }
            EventBody::Pressure { channel, value } => (5, channel, 0, value.to_bits(), 0.0),
            EventBody::Program { channel, program } => (6, channel, program, 0, 0.0),
            EventBody::NoteTuning { semitones } => (7, 0, 0, 0, semitones),
            EventBody::NotePressure { value } => (8, 0, 0, value.to_bits(), 0.0),
            EventBody::NoteTimbre { value } => (9, 0, 0, value.to_bits(), 0.0),
            EventBody::NoteGain { value } => (11, 0, 0, value.to_bits(), 0.0),
            EventBody::NotePan { value } => (12, 0, 0, value.to_bits(), 0.0),
            EventBody::NoteOn { channel, key, pitch, velocity } => {
                (10, channel, key, velocity.to_bits(), pitch)
            }
        };
        let bytes = u64::from(tag as u8) | u64::from(a) << 8 | u64::from(b) << 16;
        let (high, low) = ((self.id >> 64) as u64, self.id as u64);
        [u64::from(self.offset), high, low, bytes, u64::from(c), d.to_bits()]
    }

    pub(crate) fn from_words(words: [u64; 6]) -> Event {
        let [offset, high, low, bytes, c, d] = words;
        let (channel, key) = ((bytes >> 8) as u8, (bytes >> 16) as u8);
        let value = f32::from_bits(c as u32);
        let wide = f64::from_bits(d);
        let body = match bytes as u8 {
            0 => EventBody::AllSoundOff,
            2 => EventBody::NoteOff { channel, key, velocity: value },
            3 => EventBody::PitchBend { channel, value },
            4 => EventBody::Controller { channel, controller: key, value },
            5 => EventBody::Pressure { channel, value },
            6 => EventBody::Program { channel, program: key },
            7 => EventBody::NoteTuning { semitones: wide },
            8 => EventBody::NotePressure { value },
            9 => EventBody::NoteTimbre { value },
            11 => EventBody::NoteGain { value },
            12 => EventBody::NotePan { value },
            10 => EventBody::NoteOn { channel, key, pitch: wide, velocity: value },
            _ => EventBody::AllNotesOff,
        };
        Event { offset: offset as u32, id: u128::from(high) << 64 | u128::from(low), body }
    }

    /// The event of a slice, `offset` frames into a call.
    pub fn from_spec(spec: &SpecEvent, offset: u32) -> Event {
        Event { offset, id: spec.id.id.0, body: EventBody::from(spec.body) }
    }
}

impl From<SpecEventBody> for EventBody {
    fn from(body: SpecEventBody) -> EventBody {
        match body {
            SpecEventBody::NoteOff { channel, key, velocity } => {
                EventBody::NoteOff { channel, key, velocity }
            }
            SpecEventBody::PitchBend { channel, value } => EventBody::PitchBend { channel, value },
            SpecEventBody::Controller { channel, controller, value } => {
                EventBody::Controller { channel, controller, value }
            }
            SpecEventBody::Pressure { channel, value } => EventBody::Pressure { channel, value },
            SpecEventBody::Program { channel, program } => EventBody::Program { channel, program },
            SpecEventBody::NoteTuning { semitones } => EventBody::NoteTuning { semitones },
            SpecEventBody::NotePressure { value } => EventBody::NotePressure { value },
            SpecEventBody::NoteTimbre { value } => EventBody::NoteTimbre { value },
            SpecEventBody::NoteGain { value } => EventBody::NoteGain { value },
            SpecEventBody::NotePan { value } => EventBody::NotePan { value },
            SpecEventBody::NoteOn { channel, key, pitch, velocity } => {
                EventBody::NoteOn { channel, key, pitch, velocity }
            }
        }
    }
}

/// A list of events with a fixed capacity, made off the audio thread. What does
/// not fit is counted, never allocated for.
#[derive(Debug, Clone)]
pub struct EventBuffer {
    events: Vec<Event>,
    capacity: usize,
    dropped: u64,
}

impl EventBuffer {
    pub fn new(capacity: usize) -> EventBuffer {
        EventBuffer { events: Vec::with_capacity(capacity), capacity, dropped: 0 }
    }

    /// Real-time safe.
    pub fn push(&mut self, event: Event) {
        if self.events.len() < self.capacity {
            self.events.push(event);
        } else {
            self.dropped += 1;
        }
    }

    /// Real-time safe: the sort is in place, stable and made for nearly sorted lists.
    pub fn sort(&mut self) {
        for at in 1..self.events.len() {
            let mut hole = at;
            while hole > 0 && self.events[hole].order() < self.events[hole - 1].order() {
                self.events.swap(hole, hole - 1);
                hole -= 1;
            }
        }
    }

    /// Moves the events from the `first`-th on later.
    pub(crate) fn shift_from(&mut self, first: usize, frames: u32) {
        self.events[first..].iter_mut().for_each(|event| event.offset += frames);
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn clear(&mut self) {
        self.events.clear();
    }

    pub fn as_slice(&self) -> &[Event] {
        &self.events
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many events did not fit since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}
