//! What happens to a running engine at a frame: notes, parameters, transport.
//!
//! Messages are `Copy` and name nodes by key, not by index: between sending and
//! arriving another plan may have taken over.

use pulse_schemas::graph::NodeKey;

use super::transport::{Range, Start};
use crate::event::Event;

/// How many messages may be on their way, and how many may wait for their frame.
pub const CAPACITY: usize = 4_096;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Act {
    Play(Start),
    Stop,
    Pause,
    Seek(i64),
    Loop(Option<Range>),
    Punch(Option<Range>),
    Metronome {
        on: bool,
        gain: f32,
    },
    /// Everything silent at once, tails included.
    Panic,
    Event {
        node: NodeKey,
        event: Event,
    },
    /// An event that was played by hand. With `auto` it is only heard while the
    /// song stands or is recorded; what ends notes is always heard.
    Played {
        node: NodeKey,
        event: Event,
        auto: bool,
    },
    Param {
        node: NodeKey,
        param: u32,
        value: f64,
    },
    Bypass {
        node: NodeKey,
        on: bool,
    },
}

impl Act {
    /// The order at one frame; executors order notes and parameters further.
    fn rank(&self) -> u8 {
        match self {
            Act::Event { .. } | Act::Played { .. } | Act::Param { .. } | Act::Bypass { .. } => 1,
            _ => 0,
        }
    }

    pub fn is_transport(&self) -> bool {
        self.rank() == 0
    }
}

/// An act and the frame of the device's clock at which it happens; in the past
/// means as soon as possible.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Message {
    pub at: u64,
    pub act: Act,
}

/// Messages that wait for their frame, sorted. Fixed in size.
pub struct Waiting {
    list: Vec<Message>,
    lost: u64,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { list: Vec::with_capacity(CAPACITY), lost: 0 }
    }
}

/// All of it is called on the real-time thread.
impl Waiting {
    pub fn push(&mut self, message: Message) {
        if self.list.len() == self.list.capacity() {
            self.lost += 1;
            return;
        }
        let place = |other: &Message| (other.at, other.act.rank());
        let own = place(&message);
        let at = self.list.iter().rposition(|other| place(other) <= own).map_or(0, |at| at + 1);
        self.list.insert(at, message);
    }

    /// The frame of the first transport act.
    pub fn next_transport(&self) -> Option<u64> {
        self.list.iter().find(|message| message.act.is_transport()).map(|message| message.at)
    }

    /// The first transport act that is due at `clock`.
    pub fn pop_transport(&mut self, clock: u64) -> Option<Message> {
        let due = |message: &Message| message.act.is_transport() && message.at <= clock;
        let at = self.list.iter().position(due)?;
        Some(self.list.remove(at))
    }

    /// Hands out, in order, every message before `until` that `wanted` takes.
    pub fn take(&mut self, until: u64, wanted: impl Fn(&Act) -> bool, mut f: impl FnMut(Message)) {
        self.list.retain(|message| {
            let due = message.at < until && wanted(&message.act);
            if due {
                f(*message);
            }
            !due
        });
    }

    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_by_frame_and_transport_first() {
        let mut waiting = Waiting::default();
        let node = NodeKey::new(pulse_schemas::id::TrackId::default(), "node");
        let bypass = |on| Act::Bypass { node, on };
        for (at, act) in [(9, bypass(true)), (5, bypass(false)), (9, Act::Stop), (9, bypass(false))]
        {
            waiting.push(Message { at, act });
        }
        assert_eq!(waiting.next_transport(), Some(9));
        let mut seen = vec![];
        waiting.take(10, |_| true, |message| seen.push((message.at, message.act)));
        assert_eq!(
            seen,
            [(5, bypass(false)), (9, Act::Stop), (9, bypass(true)), (9, bypass(false))]
        );
    }
}
