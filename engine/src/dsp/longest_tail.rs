//! How long a loop sounds on after its input has fallen silent, where the settings that decide about
//! it move meanwhile.
//!
//! A node sleeps once its input has been silent for its tail, and what it still held is gone. A tail
//! computed from the settings of this moment would cut off what was fed under longer ones: echoes that
//! repeat for a minute, and then somebody turns the feedback down. So the longest tail counts that held
//! since sound was last heard. Sound itself falls by whatever holds now, so it is never too short.

use crate::node::{StateVisitor, Tail};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongestTail(u64);

impl LongestTail {
    /// Sound is heard, with the settings of this grid cell.
    pub fn begins(&mut self, tail: u64) {
        self.0 = tail;
    }

    /// At a grid point: nothing is said about the input.
    pub fn lasts(&mut self, tail: u64) {
        self.0 = self.0.max(tail);
    }

    /// With the settings of the last call.
    pub fn tail(&self, now: u64) -> Tail {
        Tail::Frames(self.0.max(now))
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.u64(&mut self.0);
    }
}

/// Whether any of these frames is not silent.
pub fn heard(channels: [&[f32]; 2], at: usize, length: usize) -> bool {
    let sounds = |channel: &[f32]| {
        channel.get(at..at + length).is_some_and(|frames| frames.iter().any(|x| *x != 0.0))
    };
    sounds(channels[0]) || sounds(channels[1])
}
