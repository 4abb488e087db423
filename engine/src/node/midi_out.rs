//! `pulse.midi`: notes on their way out, to an instrument that is not in the computer.
//!
//! The node makes no sound. It says again what it hears, on a channel of its own if it is given one;
//! the runtime takes that down with its time and a thread sends it to the port
//! ([`crate::device::midi_out`]). Which port is no business of the node: a project plays on machines
//! with other ports. What is rendered offline says it to nobody.

use crate::{
    event::{Event, EventBody},
    node::{Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail, parameters::parameters},
    param::{ParamDesc, Unit},
};

pub const KIND_NAME: &str = "pulse.midi";

parameters!(PARAMS, P {
    Channel => ParamDesc::new("channel", "Channel", Unit::None, (0.0, 16.0), 0.0).stepped(),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument(KIND_NAME, "MIDI out", PARAMS);
    descriptor.outputs = &[];
    descriptor.event_output = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(MidiOut));

struct MidiOut;

impl Node for MidiOut {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, io: &mut Io<'_>) {
        let channel = io.param_index(P::Channel as usize);
        for event in io.events() {
            io.emit(Event { body: on_channel(event.body, channel), ..*event });
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}

    fn reset(&mut self) {}

    /// Never put to sleep: what comes must go out.
    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

/// The same on a channel from 1 to 16; 0 leaves it where it is.
fn on_channel(body: EventBody, wanted: usize) -> EventBody {
    let Some(to) = wanted.checked_sub(1).map(|to| to as u8) else { return body };
    match body {
        EventBody::NoteOn { key, pitch, velocity, .. } => {
            EventBody::NoteOn { channel: to, key, pitch, velocity }
        }
        EventBody::NoteOff { key, velocity, .. } => {
            EventBody::NoteOff { channel: to, key, velocity }
        }
        EventBody::PitchBend { value, .. } => EventBody::PitchBend { channel: to, value },
        EventBody::Controller { controller, value, .. } => {
            EventBody::Controller { channel: to, controller, value }
        }
        EventBody::Pressure { value, .. } => EventBody::Pressure { channel: to, value },
        EventBody::Program { program, .. } => EventBody::Program { channel: to, program },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::Rig;

    #[test]
    fn everything_is_said_again_on_the_wanted_channel() {
        let check = |wanted: f64, expect: u8| {
            let mut rig = Rig::new(&KIND, 48_000);
            let on = EventBody::NoteOn { channel: 3, key: 60, pitch: 60.0, velocity: 0.5 };
            let bend = EventBody::PitchBend { channel: 3, value: 0.25 };
            rig.set("channel", wanted);
            rig.events = [(7, on), (90, bend), (99, EventBody::AllNotesOff)]
                .map(|(frame, body)| (frame, Event { offset: 0, id: 1, body }))
                .to_vec();
            rig.run(&[], 128, &[50]);
            let said: Vec<_> = rig.emitted.iter().map(|(at, event)| (*at, event.body)).collect();
            let on = EventBody::NoteOn { channel: expect, key: 60, pitch: 60.0, velocity: 0.5 };
            let bend = EventBody::PitchBend { channel: expect, value: 0.25 };
            assert_eq!(said, [(7, on), (90, bend), (99, EventBody::AllNotesOff)]);
        };
        check(0.0, 3);
        check(1.0, 0);
        check(16.0, 15);
    }
}
