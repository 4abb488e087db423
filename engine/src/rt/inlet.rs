//! The way in for what is played by hand: a ring of its own for each MIDI port.
//!
//! A message that comes while a block is being played can't sound in it any more.
//! Played as soon as possible, it would sound at the start of the next one, and
//! two notes would be moved against each other by up to a block. So it sounds as
//! far behind the start of the next block as it came behind the start of this
//! one: late by one block, always, and in time to the sample as far as its
//! driver tells the time (ALSA does; JACK's, through midir, to its period).

#![allow(clippy::disallowed_methods, reason = "what is played by hand has a time")]

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use pulse_schemas::graph::NodeKey;
use rtrb::Producer;

use super::{
    callback::Place,
    events::{Act, Message},
};
use crate::event::Event;

pub struct Inlet {
    queue: Producer<Message>,
    place: Arc<Place>,
    epoch: Instant,
    rate: u32,
    /// What the clock of the port is behind our own, in microseconds: the least
    /// that was seen, since messages are only ever late.
    offset: Option<i64>,
}

impl Inlet {
    pub(crate) fn new(
        queue: Producer<Message>,
        place: Arc<Place>,
        epoch: Instant,
        rate: u32,
    ) -> Inlet {
        Inlet { queue, place, epoch, rate, offset: None }
    }

    pub(crate) fn into_queue(self) -> Producer<Message> {
        self.queue
    }

    /// The frame of the engine's clock at which a message sounds that its port
    /// says is of `stamp` microseconds and that has just come.
    pub fn due(&mut self, stamp: u64) -> u64 {
        let now = i64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(i64::MAX);
        let late = now.saturating_sub_unsigned(stamp);
        // Clocks drift apart: the least lateness is forgotten by and by.
        let offset = self.offset.map_or(late, |offset| late.min(offset.saturating_add(1)));
        self.offset = Some(offset);
        let began = self.place.began_us.load(Ordering::Relaxed) as i64;
        let (clock, block) = (
            self.place.began_clock.load(Ordering::Relaxed),
            self.place.frames.load(Ordering::Relaxed),
        );
        let since = offset.saturating_add_unsigned(stamp).saturating_sub(began).max(0) as u64;
        let frames = (u128::from(since) * u128::from(self.rate) / 1_000_000) as u64;
        clock + block + frames.min(block)
    }

    /// A full ring drops what is played rather than to wait.
    pub fn send(&mut self, at: u64, node: NodeKey, event: Event, auto: bool) -> bool {
        self.queue.push(Message { at, act: Act::Played { node, event, auto } }).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Messages of these stamps, which come just now, one after the other.
    fn check(stamps: &[u64], began_us: u64, expect: &[u64]) {
        let place = Arc::new(Place::default());
        place.began_us.store(began_us, Ordering::Relaxed);
        place.began_clock.store(10_000, Ordering::Relaxed);
        place.frames.store(480, Ordering::Relaxed);
        let (queue, _incoming) = rtrb::RingBuffer::new(8);
        let epoch = Instant::now() - Duration::from_secs(5);
        let mut inlet = Inlet::new(queue, place, epoch, 48_000);
        let found: Vec<u64> = stamps.iter().map(|stamp| inlet.due(*stamp)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn a_message_is_a_block_late_and_never_more_than_two() {
        // The block began long ago: as late as may be.
        check(&[7], 0, &[10_960]);
        // It has not begun yet, by a clock that is behind.
        check(&[7], 60_000_000, &[10_480]);
    }

    #[test]
    fn messages_keep_their_distance_whenever_they_are_delivered() {
        let place = Arc::new(Place::default());
        place.frames.store(48_000, Ordering::Relaxed);
        let (queue, _incoming) = rtrb::RingBuffer::new(8);
        let mut inlet = Inlet::new(queue, place, Instant::now(), 48_000);
        let first = inlet.due(1_000_000);
        // The second comes later than it says.
        std::thread::sleep(Duration::from_millis(30));
        let second = inlet.due(1_010_000);
        assert!((479..=482).contains(&(second - first)), "{first} {second}");
    }
}
