//! What the audio thread has to say, as numbers in a ring: it can't log, and
//! someone else has the time to put words to it.

use std::fmt;

use rtrb::{Consumer, Producer, RingBuffer};

const CAPACITY: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Messages that found no room.
    MessagesLost { count: u64 },
    /// A message named a node that doesn't play.
    NodeUnknown,
    /// A node takes no more events or parameters in one block.
    NodeFull,
    /// The callback itself panicked; the block was silent.
    Panicked,
}

/// Something that happened at a frame of the device's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Note {
    pub clock: u64,
    pub what: What,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at frame {}: {}", self.clock, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::MessagesLost { count } => {
                write!(f, "{count} messages were lost; send fewer at once")
            }
            What::NodeUnknown => f.write_str("a message was for a node that doesn't play"),
            What::NodeFull => f.write_str("a node had no room for an event or parameter"),
            What::Panicked => f.write_str("the audio callback panicked and played silence"),
        }
    }
}

pub struct Writer(Producer<Note>);

pub struct Reader(Consumer<Note>);

pub fn channel() -> (Writer, Reader) {
    let (writer, reader) = RingBuffer::new(CAPACITY);
    (Writer(writer), Reader(reader))
}

impl Writer {
    /// Real-time safe; what doesn't fit is dropped.
    pub fn note(&mut self, clock: u64, what: What) {
        let _ = self.0.push(Note { clock, what });
    }
}

impl Reader {
    pub fn drain(&mut self) -> Vec<Note> {
        std::iter::from_fn(|| self.0.pop().ok()).collect()
    }
}
