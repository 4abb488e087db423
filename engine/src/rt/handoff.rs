//! Handing plans, content and songs to the audio thread, and what they replace
//! back.
//!
//! A parcel is only sent when a place for what it replaces is reserved on the
//! way back, so the audio thread can always give something away and never has to
//! free it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rtrb::{Consumer, Producer, RingBuffer};

use super::{course::Course, outlet::Speaker, scope::Scope, song::Song};
use crate::{
    exec::{Executor, Fragment, profile::Profile},
    material::Material,
    parallel::Crew,
};

/// Parcels that may be on their way there and back.
pub const CAPACITY: usize = 64;

/// An executor ready to run, with the threads that help it.
pub struct Program {
    pub serial: u64,
    /// The frame of the clock from which on it plays; in the past means at once.
    pub at: u64,
    pub executor: Executor,
    pub crew: Option<Crew>,
    /// The output that the device plays.
    pub master: Option<usize>,
    /// Nodes whose words leave as MIDI.
    pub(crate) speakers: Vec<Speaker>,
}

/// The state of nodes that the audio thread runs, for who takes them over.
pub struct Capture {
    pub number: u64,
    /// The course where it was taken.
    pub course: Option<Course>,
    pub(crate) nodes: Fragment,
}

pub enum Parcel {
    Program(Box<Program>),
    /// Asks for the state of nodes of the program that was sent before it.
    Capture(Box<Capture>),
    /// Bound to the plan of the program that was sent before it; from a frame on.
    Material(u64, Arc<Material>),
    Song(Arc<Song>),
    /// An ear for a slot, or none any more.
    Scope(usize, Option<Box<Scope>>),
    /// Made for the program that was sent before it.
    Profile(Option<Arc<Profile>>),
    /// What comes back where nothing was replaced.
    Empty,
}

/// The sending end.
pub struct Sender {
    out: Producer<Parcel>,
    under_way: Arc<AtomicUsize>,
}

/// The audio thread's end.
pub struct Receiver {
    incoming: Consumer<Parcel>,
    back: Producer<Parcel>,
}

/// Where replaced things arrive, to be freed.
pub struct Returns {
    back: Consumer<Parcel>,
    under_way: Arc<AtomicUsize>,
}

pub fn channel() -> (Sender, Receiver, Returns) {
    let (out, incoming) = RingBuffer::new(CAPACITY);
    let (back, returned) = RingBuffer::new(CAPACITY);
    let under_way = Arc::new(AtomicUsize::new(0));
    (
        Sender { out, under_way: under_way.clone() },
        Receiver { incoming, back },
        Returns { back: returned, under_way },
    )
}

impl Sender {
    /// Gives the parcel back when too many are on their way.
    pub fn send(&mut self, parcel: Parcel) -> Result<(), Parcel> {
        let reserve = |count: usize| (count < CAPACITY).then_some(count + 1);
        if self.under_way.fetch_update(Ordering::AcqRel, Ordering::Acquire, reserve).is_err() {
            return Err(parcel);
        }
        self.out.push(parcel).map_err(|rtrb::PushError::Full(parcel)| {
            self.under_way.fetch_sub(1, Ordering::AcqRel);
            parcel
        })
    }
}

impl Receiver {
    /// Always called on the real-time thread, as is `give_back`, once for each.
    pub fn receive(&mut self) -> Option<Parcel> {
        self.incoming.pop().ok()
    }

    /// The frame at which the next parcel may be received.
    pub fn next_at(&self) -> Option<u64> {
        self.incoming.peek().ok().map(|parcel| match parcel {
            Parcel::Program(program) => program.at,
            Parcel::Material(at, _) => *at,
            _ => 0,
        })
    }

    pub fn give_back(&mut self, parcel: Parcel) {
        if let Err(rtrb::PushError::Full(parcel)) = self.back.push(parcel) {
            // Can't happen: its place was reserved. A leak is better than a free.
            std::mem::forget(parcel);
        }
    }
}

impl Returns {
    pub fn take(&mut self) -> Option<Parcel> {
        let parcel = self.back.pop().ok()?;
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        Some(parcel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_without_a_place_on_the_way_back() {
        let (mut sender, mut receiver, mut returns) = channel();
        let song = Arc::new(Song::plain(48_000));
        for _ in 0..CAPACITY {
            assert!(sender.send(Parcel::Song(song.clone())).is_ok());
        }
        let taken = receiver.receive().unwrap();
        assert!(sender.send(Parcel::Empty).is_err(), "taken is not returned");
        receiver.give_back(taken);
        assert!(sender.send(Parcel::Empty).is_err(), "returned is not collected");
        assert!(returns.take().is_some());
        assert!(sender.send(Parcel::Empty).is_ok());
    }
}
