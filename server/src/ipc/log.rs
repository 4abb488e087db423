//! The recent events, so that a client which was away can be given what it
//! missed instead of everything.

use std::{collections::VecDeque, sync::Arc};

use pulse_schemas::envelope::{Envelope, Position};

/// Events in the order they were published, bounded in number.
pub struct EventLog {
    epoch: u64,
    next: u64,
    capacity: usize,
    recent: VecDeque<(u64, Arc<Envelope>)>,
}

/// What a client that was away is told.
#[derive(Debug, PartialEq)]
pub enum Recovery {
    /// Everything since then, complete.
    Recovered(Vec<Arc<Envelope>>),
    /// Something is gone: read the state again.
    Lost,
}

impl EventLog {
    pub fn new(epoch: u64, capacity: usize) -> EventLog {
        EventLog { epoch, next: 1, capacity, recent: VecDeque::new() }
    }

    /// The position of the last event.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, sequence: self.next - 1 }
    }

    /// Gives an event its position and keeps it for a while.
    pub fn append(&mut self, mut event: Envelope) -> Arc<Envelope> {
        event.position = Some(Position { epoch: self.epoch, sequence: self.next });
        let event = Arc::new(event);
        self.recent.push_back((self.next, Arc::clone(&event)));
        self.next += 1;
        if self.recent.len() > self.capacity {
            self.recent.pop_front();
        }
        event
    }

    pub fn since(&self, since: Position) -> Recovery {
        let oldest = self.recent.front().map_or(self.next, |(sequence, _)| *sequence);
        if since.epoch != self.epoch || since.sequence + 1 < oldest || since.sequence >= self.next {
            return Recovery::Lost;
        }
        let missed = self.recent.iter().filter(|(sequence, _)| *sequence > since.sequence);
        Recovery::Recovered(missed.map(|(_, event)| Arc::clone(event)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log(events: u64) -> EventLog {
        let mut log = EventLog::new(7, 3);
        for number in 0..events {
            log.append(Envelope::event(format!("e{number}"), "track", "create", json!({})));
        }
        log
    }

    fn check(events: u64, since: (u64, u64), expect: Option<&[&str]>) {
        let since = Position { epoch: since.0, sequence: since.1 };
        let found = match log(events).since(since) {
            Recovery::Recovered(missed) => {
                Some(missed.iter().map(|event| event.id.clone()).collect::<Vec<_>>())
            }
            Recovery::Lost => None,
        };
        assert_eq!(found, expect.map(|ids| ids.iter().map(|id| id.to_string()).collect()));
    }

    #[test]
    fn a_client_gets_what_it_missed_or_is_told_that_it_is_gone() {
        check(2, (7, 2), Some(&[]));
        check(2, (7, 1), Some(&["e1"]));
        check(5, (7, 2), Some(&["e2", "e3", "e4"]));
        check(5, (7, 1), None);
        check(2, (6, 2), None);
        check(2, (7, 3), None);
        check(0, (7, 0), Some(&[]));
    }
}
