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
    /// note-on. Smoothed parameters act between ranks 1 and 3.
    pub fn rank(&self) -> u8 {
        match self {
            EventBody::AllSoundOff | EventBody::AllNotesOff => 0,
            EventBody::NoteOff { .. } => 1,
            EventBody::NoteOn { .. } => 3,
            _ => 2,
        }
    }
}

impl Event {
    pub fn order(&self) -> (u32, u8, u128) {
        (self.offset, self.body.rank(), self.id)
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
