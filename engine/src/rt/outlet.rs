//! The way out for notes that are played elsewhere: what `pulse.midi` nodes say, with the time at
//! which it is due.
//!
//! The audio thread works a block ahead of what is heard, and in bursts. So each event is due as long
//! after the end of its block as it lies behind the block's start, by a clock that follows the turns
//! of the device but not their unrest: two notes keep their distance to the sample, and the driver
//! decides what becomes of that. All of it goes through one ring of fixed size.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use pulse_schemas::graph::NodeKey;
use rtrb::{Consumer, Producer, RingBuffer};

use super::callback::Place;
use crate::{event::EventBody, node::midi_out, plan::Plan};

/// Events that may be on their way.
const CAPACITY: usize = 4_096;

/// Something to be sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sent {
    /// Microseconds since the engine was made.
    pub due_us: u64,
    pub node: NodeKey,
    pub body: EventBody,
}

/// A node of a plan that says things, and whether it was heard in the last block.
pub(crate) struct Speaker {
    pub node: u32,
    pub key: NodeKey,
    pub silent: bool,
}

/// Off the audio thread.
pub(crate) fn speakers(plan: &Plan) -> Vec<Speaker> {
    let nodes = plan.nodes.iter().enumerate().map(|(at, node)| (at as u32, node.key));
    let speaks = |&(at, _): &(u32, NodeKey)| plan.class(at).kind_name == midi_out::KIND_NAME;
    nodes.filter(speaks).map(|(node, key)| Speaker { node, key, silent: false }).collect()
}

pub(crate) fn channel(place: Arc<Place>, epoch: Instant) -> (Writer, Outlet) {
    let (queue, sent) = RingBuffer::new(CAPACITY);
    (Writer { queue, pace: Pace::default(), lost: 0 }, Outlet { sent, place, epoch })
}

/// The audio thread's end; all of it is real-time safe.
pub(crate) struct Writer {
    queue: Producer<Sent>,
    pace: Pace,
    lost: u64,
}

impl Writer {
    /// A turn of so many frames begins.
    pub fn begin(&mut self, now_us: u64, frames: u64, rate: u32) {
        self.pace.begin(now_us as f64, frames as f64 * 1e6 / f64::from(rate));
    }

    /// `offset` is counted in frames from the start of the turn.
    pub fn say(&mut self, node: NodeKey, offset: u64, rate: u32, body: EventBody) {
        let due_us = self.pace.due(offset as f64 * 1e6 / f64::from(rate));
        self.lost += u64::from(self.queue.push(Sent { due_us, node, body }).is_err());
    }

    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

/// When turns begin, smoothed, in microseconds.
#[derive(Default)]
struct Pace {
    began: f64,
    length: f64,
}

impl Pace {
    fn begin(&mut self, now: f64, length: f64) {
        let expected = self.began + self.length;
        let off = now - expected;
        // Who is late by a whole turn has lost his pace and finds another.
        let lost = off.abs() > self.length.max(length);
        self.began = if lost { now } else { expected + off / 16.0 };
        self.length = length;
    }

    fn due(&self, offset: f64) -> u64 {
        (self.began + self.length + offset).max(0.0) as u64
    }
}

/// The other end, for the thread that sends.
pub struct Outlet {
    sent: Consumer<Sent>,
    place: Arc<Place>,
    epoch: Instant,
}

impl Outlet {
    /// The next event, in the order of the audio thread.
    pub fn take(&mut self) -> Option<Sent> {
        self.sent.pop().ok()
    }

    /// Now, by the clock that events are due by.
    pub fn now_us(&self) -> u64 {
        self.epoch.elapsed().as_micros() as u64
    }

    /// Frames since the engine started: who looks twice sees whether it runs.
    pub fn clock(&self) -> u64 {
        self.place.clock.load(Ordering::Relaxed)
    }

    /// Whether the engine is gone.
    pub fn is_over(&self) -> bool {
        self.sent.is_abandoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a note at the start of each turn is due, turns beginning at these times.
    fn check(begins: &[f64], expect: &[u64]) {
        let mut pace = Pace::default();
        let due = begins.iter().map(|&now| {
            pace.begin(now, 10_000.0);
            pace.due(0.0)
        });
        assert_eq!(due.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn unrest_of_the_device_is_not_heard_and_a_gap_is() {
        check(&[50_000.0, 60_000.0, 70_000.0], &[60_000, 70_000, 80_000]);
        check(&[50_000.0, 61_600.0, 70_000.0], &[60_000, 70_100, 80_000 + 93]);
        check(&[50_000.0, 90_000.0, 100_000.0], &[60_000, 100_000, 110_000]);
    }
}
