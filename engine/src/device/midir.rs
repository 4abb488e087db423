//! MIDI in and out through midir: the ALSA sequencer, or JACK with the feature
//! `jack`.

use midir::{MidiInput, MidiInputConnection, MidiOutput, MidiOutputConnection};
use pulse_schemas::graph::NodeKey;
use rtrb::Producer;

use crate::{
    event::{Event, EventBody},
    rt::events::{Act, Message},
};

const CLIENT: &str = "Pulse";
/// Live notes are told from notes of the project by this bit of their identity.
const LIVE: u128 = 1 << 127;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MidiError {
    #[error("MIDI can't be reached: {reason}; is the sequencer or JACK server running?")]
    Unavailable { reason: String },
    #[error("there is no MIDI port {name:?}; there are: {ports}")]
    NotFound { name: String, ports: String },
    #[error("MIDI port {name:?} can't be opened: {reason}")]
    Refused { name: String, reason: String },
    #[error("the MIDI message could not be sent: {reason}")]
    Send { reason: String },
}

/// Ports that can be listened to, and ports that can be played to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MidiPorts {
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
}

pub fn ports() -> Result<MidiPorts, MidiError> {
    let unavailable =
        |error: midir::InitError| MidiError::Unavailable { reason: error.to_string() };
    let input = MidiInput::new(CLIENT).map_err(unavailable)?;
    let output = MidiOutput::new(CLIENT).map_err(unavailable)?;
    let inputs = input.ports().iter().filter_map(|port| input.port_name(port).ok()).collect();
    let outputs = output.ports().iter().filter_map(|port| output.port_name(port).ok()).collect();
    Ok(MidiPorts { inputs, outputs })
}

/// An open input: what arrives goes to its nodes as soon as possible.
pub struct MidiIn {
    connection: MidiInputConnection<Route>,
}

/// Where messages of an input go.
struct Route {
    queue: Producer<Message>,
    nodes: Vec<NodeKey>,
}

impl MidiIn {
    /// `queue` comes from [`crate::rt::Engine::midi_queue`].
    pub fn open(
        name: &str,
        queue: Producer<Message>,
        nodes: Vec<NodeKey>,
    ) -> Result<MidiIn, MidiError> {
        let input = MidiInput::new(CLIENT)
            .map_err(|error| MidiError::Unavailable { reason: error.to_string() })?;
        let ports = input.ports();
        let named = |port: &&midir::MidiInputPort| input.port_name(port).is_ok_and(|at| at == name);
        let Some(port) = ports.iter().find(named).cloned() else {
            let names: Vec<_> =
                ports.iter().filter_map(|port| input.port_name(port).ok()).collect();
            return Err(MidiError::NotFound { name: name.to_owned(), ports: names.join(", ") });
        };
        let route = Route { queue, nodes };
        let take = |_: u64, bytes: &[u8], route: &mut Route| route.take(bytes);
        let connection = input.connect(&port, "in", take, route).map_err(|error| {
            MidiError::Refused { name: name.to_owned(), reason: error.to_string() }
        })?;
        Ok(MidiIn { connection })
    }

    /// Gives the ring back, for the next input.
    pub fn close(self) -> Producer<Message> {
        self.connection.close().1.queue
    }
}

impl Route {
    fn take(&mut self, bytes: &[u8]) {
        let Some((id, body)) = decode(bytes) else { return };
        for &node in &self.nodes {
            let act = Act::Event { node, event: Event { offset: 0, id, body } };
            // A full ring drops live notes rather than to wait.
            let _ = self.queue.push(Message { at: 0, act });
        }
    }
}

/// An open output.
pub struct MidiOut {
    connection: MidiOutputConnection,
}

impl MidiOut {
    pub fn open(name: &str) -> Result<MidiOut, MidiError> {
        let output = MidiOutput::new(CLIENT)
            .map_err(|error| MidiError::Unavailable { reason: error.to_string() })?;
        let ports = output.ports();
        let named =
            |port: &&midir::MidiOutputPort| output.port_name(port).is_ok_and(|at| at == name);
        let Some(port) = ports.iter().find(named).cloned() else {
            let names: Vec<_> =
                ports.iter().filter_map(|port| output.port_name(port).ok()).collect();
            return Err(MidiError::NotFound { name: name.to_owned(), ports: names.join(", ") });
        };
        let connection = output.connect(&port, "out").map_err(|error| MidiError::Refused {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(MidiOut { connection })
    }

    pub fn send(&mut self, body: &EventBody) -> Result<(), MidiError> {
        let Some((bytes, length)) = encode(body) else { return Ok(()) };
        self.connection
            .send(&bytes[..length])
            .map_err(|error| MidiError::Send { reason: error.to_string() })
    }
}

/// The identity of a live note: what its note-on and note-off share.
pub fn live_id(channel: u8, key: u8) -> u128 {
    LIVE | u128::from(channel) << 8 | u128::from(key)
}

/// One MIDI 1.0 channel message as an event.
pub fn decode(bytes: &[u8]) -> Option<(u128, EventBody)> {
    let &[status, first, ..] = bytes else { return None };
    let (channel, first) = (status & 15, first & 127);
    let second = bytes.get(2).map(|byte| byte & 127);
    let part = |value: u8| f32::from(value) / 127.0;
    let id = live_id(channel, first);
    match (status & 0xf0, second) {
        (0x80, Some(velocity)) => {
            Some((id, EventBody::NoteOff { channel, key: first, velocity: part(velocity) }))
        }
        (0x90, Some(0)) => Some((id, EventBody::NoteOff { channel, key: first, velocity: 0.5 })),
        (0x90, Some(velocity)) => {
            let (pitch, velocity) = (f64::from(first), part(velocity));
            Some((id, EventBody::NoteOn { channel, key: first, pitch, velocity }))
        }
        (0xa0, Some(value)) => Some((id, EventBody::NotePressure { value: part(value) })),
        (0xb0, Some(_)) if first == 120 => Some((0, EventBody::AllSoundOff)),
        (0xb0, Some(_)) if first == 123 => Some((0, EventBody::AllNotesOff)),
        (0xb0, Some(value)) => {
            Some((0, EventBody::Controller { channel, controller: first, value: part(value) }))
        }
        (0xc0, _) => Some((0, EventBody::Program { channel, program: first })),
        (0xd0, _) => Some((0, EventBody::Pressure { channel, value: part(first) })),
        (0xe0, Some(high)) => {
            let wide = i32::from(high) << 7 | i32::from(first);
            let value = ((wide - 8_192) as f32 / 8_191.0).max(-1.0);
            Some((0, EventBody::PitchBend { channel, value }))
        }
        _ => None,
    }
}

/// The reverse; None for what MIDI 1.0 can't say.
fn encode(body: &EventBody) -> Option<([u8; 3], usize)> {
    let seven = |value: f32| libm::rintf(value.clamp(0.0, 1.0) * 127.0) as u8;
    Some(match *body {
        EventBody::NoteOn { channel, key, velocity, .. } => {
            ([0x90 | channel & 15, key & 127, seven(velocity).max(1)], 3)
        }
        EventBody::NoteOff { channel, key, velocity } => {
            ([0x80 | channel & 15, key & 127, seven(velocity)], 3)
        }
        EventBody::Controller { channel, controller, value } => {
            ([0xb0 | channel & 15, controller & 127, seven(value)], 3)
        }
        EventBody::Program { channel, program } => ([0xc0 | channel & 15, program & 127, 0], 2),
        EventBody::Pressure { channel, value } => ([0xd0 | channel & 15, seven(value), 0], 2),
        EventBody::PitchBend { channel, value } => {
            let wide = (libm::rintf(value.clamp(-1.0, 1.0) * 8_191.0) as i32 + 8_192) as u16;
            ([0xe0 | channel & 15, (wide & 127) as u8, (wide >> 7) as u8], 3)
        }
        EventBody::AllSoundOff => ([0xb0, 120, 0], 3),
        EventBody::AllNotesOff => ([0xb0, 123, 0], 3),
        EventBody::NoteTuning { .. }
        | EventBody::NotePressure { .. }
        | EventBody::NoteTimbre { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_messages_survive_the_way_out_and_in() {
        for bytes in [
            &[0x93, 60, 100][..],
            &[0x83, 60, 64],
            &[0xb1, 7, 127],
            &[0xc2, 12],
            &[0xd4, 99],
            &[0xe0, 0, 64],
            &[0xe0, 127, 127],
            &[0xb0, 123, 0],
        ] {
            let (_, body) = decode(bytes).unwrap();
            let (out, length) = encode(&body).unwrap();
            assert_eq!(&out[..length], bytes, "{body:?}");
        }
    }

    #[test]
    fn a_note_on_without_velocity_is_a_note_off_of_the_same_note() {
        let (on, _) = decode(&[0x90, 60, 1]).unwrap();
        let (off, body) = decode(&[0x90, 60, 0]).unwrap();
        assert_eq!(on, off);
        assert!(matches!(body, EventBody::NoteOff { key: 60, .. }));
    }

    #[test]
    fn junk_is_ignored() {
        for bytes in [&[][..], &[0x90], &[0x90, 60], &[0xf8], &[0xf0, 1, 2]] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
