//! MIDI in and out through midir: the ALSA sequencer, or JACK with the feature
//! `jack`.

use std::sync::{Arc, Mutex};

use midir::{MidiInput, MidiInputConnection, MidiOutput, MidiOutputConnection};
use pulse_schemas::graph::NodeKey;

use crate::{
    event::{Event, EventBody},
    rt::inlet::Inlet,
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

/// Who hears which ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// None hears every port.
    pub port: Option<String>,
    /// None hears every channel.
    pub channel: Option<u8>,
    pub node: NodeKey,
    /// Heard only while the song stands or is recorded.
    pub auto: bool,
}

/// Who hears the ports that are open, as the project has it now.
pub type Targets = Arc<Mutex<Vec<Target>>>;

/// A port as it is played: bytes in, events of the engine out.
pub struct Port {
    name: String,
    inlet: Inlet,
    targets: Targets,
    /// The targets of this port, as far as they are known.
    own: Vec<Target>,
}

impl Port {
    pub fn new(name: &str, inlet: Inlet, targets: Targets) -> Port {
        Port { name: name.to_owned(), inlet, targets, own: Vec::new() }
    }

    pub fn into_inlet(self) -> Inlet {
        self.inlet
    }

    /// A message that has just come, of `stamp` microseconds by its port's clock.
    pub fn take(&mut self, stamp: u64, bytes: &[u8]) {
        let at = self.inlet.due(stamp);
        self.take_at(at, bytes);
    }

    /// A message that sounds at a frame of the engine's clock.
    pub fn take_at(&mut self, at: u64, bytes: &[u8]) {
        let Some((id, body)) = decode(bytes) else { return };
        // Who writes the list holds it for a moment; the old one serves as well.
        if let Ok(targets) = self.targets.try_lock() {
            let hears = |target: &&Target| target.port.as_ref().is_none_or(|it| *it == self.name);
            self.own.clear();
            self.own.extend(targets.iter().filter(hears).cloned());
        }
        let channel = bytes.first().map(|status| status & 15);
        for target in &self.own {
            if target.channel.is_none() || target.channel == channel {
                let event = Event { offset: 0, id, body };
                // A full ring drops live notes rather than to wait.
                let _ = self.inlet.send(at, target.node, event, target.auto);
            }
        }
    }
}

/// An open input.
pub struct MidiIn {
    connection: MidiInputConnection<Port>,
}

impl MidiIn {
    /// The inlet comes from [`crate::rt::Engine::inlet`]; where the port can't be
    /// opened, it comes back.
    pub fn open(
        name: &str,
        inlet: Inlet,
        targets: Targets,
    ) -> Result<MidiIn, (MidiError, Option<Inlet>)> {
        let found = match find(name) {
            Ok(found) => found,
            Err(error) => return Err((error, Some(inlet))),
        };
        let (input, port) = found;
        let take = |stamp: u64, bytes: &[u8], port: &mut Port| port.take(stamp, bytes);
        match input.connect(&port, "in", take, Port::new(name, inlet, targets)) {
            Ok(connection) => Ok(MidiIn { connection }),
            Err(error) => {
                let reason = error.to_string();
                Err((MidiError::Refused { name: name.to_owned(), reason }, None))
            }
        }
    }

    /// Gives the inlet back, for the next input.
    pub fn close(self) -> Inlet {
        self.connection.close().1.into_inlet()
    }
}

fn find(name: &str) -> Result<(MidiInput, midir::MidiInputPort), MidiError> {
    let input = MidiInput::new(CLIENT)
        .map_err(|error| MidiError::Unavailable { reason: error.to_string() })?;
    let ports = input.ports();
    let named = |port: &&midir::MidiInputPort| input.port_name(port).is_ok_and(|at| at == name);
    let Some(port) = ports.iter().find(named).cloned() else {
        let names: Vec<_> = ports.iter().filter_map(|port| input.port_name(port).ok()).collect();
        return Err(MidiError::NotFound { name: name.to_owned(), ports: names.join(", ") });
    };
    Ok((input, port))
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
        | EventBody::NoteTimbre { .. }
        | EventBody::NoteGain { .. }
        | EventBody::NotePan { .. } => return None,
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
