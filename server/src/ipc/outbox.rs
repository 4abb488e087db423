//! What waits to be written to one client.
//!
//! The queue is bounded in bytes and knows three kinds of message, because a
//! client that reads slowly must lose the right things first: replies are never
//! dropped, events are dropped as a whole and said to be, a latest value
//! replaces the one before it, and a stream frame simply goes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pulse_schemas::envelope::Position;
use tokio::sync::Notify;

/// The socket itself, for an answer that need not wait for the writer's turn.
pub trait Sink: Send + Sync {
    /// Writes what there is room for, and never waits.
    fn try_write(&self, bytes: &[u8]) -> std::io::Result<usize>;
}

/// One encoded frame, shared between all clients of an encoding.
pub type Bytes = Arc<[u8]>;

/// What becomes of a message when its client is slow.
#[derive(Clone, Debug, PartialEq)]
pub enum Class {
    /// An answer: kept until the queue's limit cuts the client off.
    Reply,
    /// One message of the event channel.
    Event { position: Position },
    /// Only the last of each key matters.
    Latest { key: String },
    /// Lossy by nature; its sequence numbers show the gap.
    Stream,
}

/// Why a client was cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// The client asked, or the server is going.
    Done,
    /// The queue ran over, or nothing was written for too long.
    TooSlow,
    TimedOut,
}

/// Counts for metrics and for the tests of isolation.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Stats {
    pub queued_bytes: usize,
    pub written_messages: u64,
    pub written_bytes: u64,
    pub dropped_events: u64,
    pub dropped_streams: u64,
    pub coalesced: u64,
}

/// Events that were dropped in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lag {
    /// The first one that is missing.
    pub since: Position,
    pub missed: u64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Class, Bytes)>,
    /// Latest values by key; the queue holds a place for each.
    latest: BTreeMap<String, Bytes>,
    stats: Stats,
    lagging: Option<Lag>,
    closed: Option<Closed>,
    /// The writer has taken bytes and has not come back for more.
    writing: bool,
    sink: Option<Box<dyn Sink>>,
    /// The end of an answer whose beginning is in the socket already. Nothing may come before it,
    /// and nothing takes it back: half a frame would make noise of all that follows.
    begun: Option<Bytes>,
}

impl State {
    /// Drops all that waits, except for the end of what was begun.
    fn forget(&mut self) {
        self.queue.clear();
        self.latest.clear();
        self.stats.queued_bytes = self.begun.as_ref().map_or(0, |rest| rest.len());
    }
}

pub struct Outbox {
    state: Mutex<State>,
    wake: Notify,
    /// Most bytes in the queue.
    limit: usize,
}

/// What a writer takes at once.
pub struct Batch {
    pub bytes: Vec<u8>,
    /// Events were dropped; the client has to be told.
    pub lagged: Option<Lag>,
    pub closed: Option<Closed>,
}

/// Answers may take so many times the room of what nobody asked for.
const ANSWERS: usize = 4;

/// Bytes that a writer takes in one go.
const BATCH: usize = 256 * 1024;

impl Outbox {
    pub fn new(limit: usize) -> Outbox {
        Outbox { state: Mutex::default(), wake: Notify::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has answers written straight to the socket where nothing waits before them.
    pub fn attach(&self, sink: Box<dyn Sink>) {
        self.lock().sink = Some(sink);
    }

    /// Lets go of the socket.
    pub fn detach(&self) {
        self.lock().sink = None;
    }

    /// Writes an answer in the caller's own thread where nothing waits before it, and
    /// queues what the socket did not take: waking the writer costs more than writing.
    pub fn push_now(&self, bytes: Bytes) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        let waits = state.writing || state.begun.is_some() || !state.queue.is_empty();
        let free = !waits && state.lagging.is_none();
        let taken = match &state.sink {
            Some(sink) if free => sink.try_write(&bytes).unwrap_or(0),
            _ => 0,
        };
        state.stats.written_bytes += taken as u64;
        crate::metrics::BYTES_OUT.add(taken as u64);
        if taken == bytes.len() {
            state.stats.written_messages += 1;
            return;
        }
        if taken == 0 {
            drop(state);
            return self.push(Class::Reply, bytes);
        }
        state.stats.queued_bytes += bytes.len() - taken;
        state.begun = Some(bytes[taken..].into());
        drop(state);
        self.wake.notify_one();
    }

    /// Queues a message, or does what its class says when there is no room.
    pub fn push(&self, class: Class, bytes: Bytes) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        if let Class::Latest { key } = &class
            && let Some(waiting) = state.latest.get_mut(key)
        {
            let (old, new) = (waiting.len(), bytes.len());
            *waiting = bytes;
            state.stats.queued_bytes = state.stats.queued_bytes - old + new;
            state.stats.coalesced += 1;
            return;
        }
        if !self.admit(&mut state, &class, bytes.len()) {
            drop(state);
            self.wake.notify_one();
            return;
        }
        state.stats.queued_bytes += bytes.len();
        match &class {
            Class::Latest { key } => {
                state.latest.insert(key.clone(), bytes);
                state.queue.push_back((class, Arc::new([])));
            }
            _ => state.queue.push_back((class, bytes)),
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Whether there is room. Streams may fill an eighth of the queue and events a half; answers
    /// find room when that is full.
    fn admit(&self, state: &mut State, class: &Class, size: usize) -> bool {
        let after = state.stats.queued_bytes + size;
        match class {
            Class::Stream if after > self.limit / 8 => {
                state.stats.dropped_streams += 1;
                false
            }
            Class::Latest { .. } if after > self.limit / 2 => {
                state.stats.coalesced += 1;
                false
            }
            Class::Event { position } if state.lagging.is_some() || after > self.limit / 2 => {
                let lag = state.lagging.get_or_insert(Lag { since: *position, missed: 0 });
                lag.missed += 1;
                state.stats.dropped_events += 1;
                false
            }
            // Who asks several long questions at once and reads the answers is not slow, and one
            // answer may be longer than the whole queue.
            Class::Reply if state.stats.queued_bytes <= self.limit / 2 => true,
            Class::Reply if after <= self.limit * ANSWERS => true,
            _ if after > self.limit => {
                state.closed = Some(Closed::TooSlow);
                state.forget();
                false
            }
            _ => true,
        }
    }

    /// Ends the client after what is queued has been written.
    pub fn close(&self, why: Closed) {
        let mut state = self.lock();
        state.closed.get_or_insert(why);
        if why == Closed::TooSlow {
            // Who does not read needs no queue.
            state.forget();
        }
        drop(state);
        self.wake.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.closed().is_some()
    }

    pub fn closed(&self) -> Option<Closed> {
        self.lock().closed
    }

    pub fn stats(&self) -> Stats {
        self.lock().stats
    }

    /// Waits for something to write.
    pub async fn take(&self) -> Batch {
        loop {
            let woken = self.wake.notified();
            if let Some(batch) = self.try_take() {
                return batch;
            }
            woken.await;
        }
    }

    fn try_take(&self) -> Option<Batch> {
        let mut state = self.lock();
        state.writing = false;
        let mut bytes = Vec::new();
        if let Some(rest) = state.begun.take() {
            state.stats.queued_bytes -= rest.len();
            state.stats.written_messages += 1;
            bytes.extend_from_slice(&rest);
        }
        while bytes.len() < BATCH
            && let Some((class, frame)) = state.queue.pop_front()
        {
            let frame = match &class {
                Class::Latest { key } => state.latest.remove(key).unwrap_or(frame),
                _ => frame,
            };
            state.stats.queued_bytes -= frame.len();
            state.stats.written_messages += 1;
            bytes.extend_from_slice(&frame);
        }
        state.stats.written_bytes += bytes.len() as u64;
        let drained = state.queue.is_empty();
        let lagged = if drained { state.lagging.take() } else { None };
        let closed = state.closed.filter(|_| drained);
        if bytes.is_empty() && lagged.is_none() && closed.is_none() {
            return None;
        }
        state.writing = true;
        Some(Batch { bytes, lagged, closed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(size: usize, fill: u8) -> Bytes {
        vec![fill; size].into()
    }

    fn event(sequence: u64) -> Class {
        Class::Event { position: Position { epoch: 1, sequence } }
    }

    /// A socket with room for so many bytes.
    struct Socket {
        room: usize,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Sink for Socket {
        fn try_write(&self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut taken = self.taken.lock().unwrap();
            let count = bytes.len().min(self.room.saturating_sub(taken.len()));
            if count == 0 {
                return Err(std::io::ErrorKind::WouldBlock.into());
            }
            taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }
    }

    fn with_socket(room: usize) -> (Outbox, Arc<Mutex<Vec<u8>>>) {
        let (outbox, taken) = (Outbox::new(1_000), Arc::default());
        outbox.attach(Box::new(Socket { room, taken: Arc::clone(&taken) }));
        (outbox, taken)
    }

    #[test]
    fn an_answer_goes_straight_to_the_socket_and_what_finds_no_room_waits() {
        let (outbox, taken) = with_socket(5);
        outbox.push_now(bytes(3, 1));
        assert_eq!(*taken.lock().unwrap(), [1, 1, 1]);
        outbox.push_now(bytes(3, 2));
        outbox.push_now(bytes(2, 3));
        assert_eq!(*taken.lock().unwrap(), [1, 1, 1, 2, 2]);
        assert_eq!(outbox.try_take().unwrap().bytes, [2, 3, 3]);
        assert_eq!(outbox.stats().queued_bytes, 0);
    }

    #[test]
    fn what_was_begun_is_ended_before_anything_else_is_said() {
        let (outbox, taken) = with_socket(2);
        outbox.push_now(bytes(5, 1));
        assert_eq!(*taken.lock().unwrap(), [1, 1]);
        outbox.push(event(1), bytes(2, 2));
        outbox.push_now(bytes(2, 3));
        assert_eq!(outbox.stats().queued_bytes, 7);
        assert_eq!(outbox.try_take().unwrap().bytes, [1, 1, 1, 2, 2, 3, 3]);
        assert_eq!(outbox.stats().queued_bytes, 0);

        // Also for who is cut off: the reason has to be readable.
        let (outbox, _) = with_socket(2);
        outbox.push_now(bytes(5, 1));
        outbox.push(event(1), bytes(2, 2));
        outbox.close(Closed::TooSlow);
        let last = outbox.try_take().unwrap();
        assert_eq!((&last.bytes[..], last.closed), (&[1, 1, 1][..], Some(Closed::TooSlow)));
    }

    #[test]
    fn an_answer_never_overtakes_what_waits_or_is_being_written() {
        let (outbox, taken) = with_socket(100);
        outbox.push(event(1), bytes(2, 1));
        outbox.push_now(bytes(2, 2));
        let batch = outbox.try_take().unwrap();
        assert_eq!(batch.bytes, [1, 1, 2, 2]);
        outbox.push_now(bytes(2, 3));
        assert!(taken.lock().unwrap().is_empty(), "the writer has not come back");
        assert_eq!(outbox.try_take().unwrap().bytes, [3, 3]);
        assert!(outbox.try_take().is_none());
        outbox.push_now(bytes(2, 4));
        assert_eq!(*taken.lock().unwrap(), [4, 4]);
        outbox.close(Closed::Done);
        outbox.push_now(bytes(2, 5));
        assert_eq!(taken.lock().unwrap().len(), 2, "who is gone is told nothing");
    }

    #[test]
    fn messages_leave_in_the_order_they_came() {
        let outbox = Outbox::new(1_000);
        for fill in 0..5 {
            outbox.push(Class::Reply, bytes(1, fill));
        }
        assert_eq!(outbox.try_take().unwrap().bytes, [0, 1, 2, 3, 4]);
        assert!(outbox.try_take().is_none());
    }

    #[test]
    fn the_latest_value_takes_the_place_of_the_first() {
        let outbox = Outbox::new(1_000);
        let key = || Class::Latest { key: "gain".into() };
        outbox.push(key(), bytes(1, 1));
        outbox.push(Class::Reply, bytes(1, 9));
        outbox.push(key(), bytes(1, 2));
        assert_eq!(outbox.try_take().unwrap().bytes, [2, 9]);
        assert_eq!(outbox.stats().queued_bytes, 0);
        assert_eq!(outbox.stats().coalesced, 1);
    }

    #[test]
    fn a_slow_client_is_told_after_which_event_it_lags() {
        let outbox = Outbox::new(100);
        for sequence in 1..=10 {
            outbox.push(event(sequence), bytes(20, 0));
        }
        let batch = outbox.try_take().unwrap();
        assert_eq!(batch.bytes.len(), 40);
        let since = Position { epoch: 1, sequence: 3 };
        assert_eq!(batch.lagged, Some(Lag { since, missed: 8 }));
        outbox.push(event(11), bytes(20, 0));
        assert_eq!(outbox.try_take().unwrap().bytes.len(), 20);
    }

    #[test]
    fn replies_have_room_when_events_and_streams_have_none() {
        let outbox = Outbox::new(100);
        for sequence in 1..=10 {
            outbox.push(Class::Stream, bytes(5, 0));
            outbox.push(event(sequence), bytes(20, 0));
        }
        outbox.push(Class::Reply, bytes(40, 0));
        assert!(!outbox.is_closed());
        assert!(outbox.stats().dropped_streams > 0);
    }

    #[test]
    fn one_answer_may_be_longer_than_the_queue() {
        let outbox = Outbox::new(100);
        outbox.push(event(1), bytes(50, 0));
        outbox.push(Class::Reply, bytes(5_000, 0));
        assert_eq!((outbox.is_closed(), outbox.try_take().unwrap().bytes.len()), (false, 5_050));
    }

    #[test]
    fn a_client_that_never_reads_is_cut_off_and_its_memory_freed() {
        let outbox = Outbox::new(100);
        for _ in 0..20 {
            outbox.push(Class::Reply, bytes(20, 0));
            assert!(!outbox.is_closed());
        }
        outbox.push(Class::Reply, bytes(20, 0));
        assert_eq!(outbox.stats().queued_bytes, 0);
        assert_eq!(outbox.try_take().unwrap().closed, Some(Closed::TooSlow));
    }

    #[test]
    fn what_was_queued_before_a_goodbye_is_still_written() {
        let outbox = Outbox::new(100);
        outbox.push(Class::Reply, bytes(3, 7));
        outbox.close(Closed::Done);
        outbox.push(Class::Reply, bytes(3, 8));
        let batch = outbox.try_take().unwrap();
        assert_eq!((batch.bytes, batch.closed), (vec![7, 7, 7], Some(Closed::Done)));
    }
}
