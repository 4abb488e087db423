//! The notes and events of clips in the order of time.
//!
//! The store has them by id, so that whoever wants those of four bars reads all of
//! the clip. Here they lie by time, in shelves of four bars: an edit of one note
//! makes its shelf anew, and what is read or shown of the others is shared. Purely
//! an index: made from the revision when somebody asks, kept up with its changes.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use pulse_schemas::{
    entity::{AnyEntity, MidiEvent, Note},
    id::{ClipId, EntityId, EntityKind},
    time::Ticks,
};
use pulse_store::changes::Change;

use crate::view::{Row, Run};

/// Four bars of four quarters: few enough notes that making a shelf or a window of
/// the song anew is nothing, few enough shelves that nobody notices to look through
/// all of them.
#[cfg(not(test))]
pub const SHELF: i64 = 16 * 45_158_400;
/// Songs of tests are short, and are to have many.
#[cfg(test)]
pub const SHELF: i64 = 45_158_400 / 4;

fn shelf_of(at: Ticks) -> i64 {
    at.0.div_euclid(SHELF)
}

/// An entity, and its row where somebody has shown it.
struct Kept<E> {
    entity: E,
    row: OnceLock<Row>,
}

trait Timed: Clone + serde::Serialize {
    type Place: Ord;

    fn id(&self) -> EntityId;
    fn place(&self) -> Self::Place;
    fn start(&self) -> Ticks;
    /// Where it is over.
    fn end(&self) -> Ticks;
}

impl Timed for Note {
    type Place = (Ticks, u8, EntityId);

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn place(&self) -> (Ticks, u8, EntityId) {
        (self.start, self.pitch, self.id.0)
    }

    fn start(&self) -> Ticks {
        self.start
    }

    fn end(&self) -> Ticks {
        self.start.saturating_add(self.length)
    }
}

impl Timed for MidiEvent {
    type Place = (Ticks, EntityId);

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn place(&self) -> (Ticks, EntityId) {
        (self.at, self.id.0)
    }

    fn start(&self) -> Ticks {
        self.at
    }

    /// It takes no time, and so lies in no range that begins where it does unless
    /// it had some.
    fn end(&self) -> Ticks {
        self.at.saturating_add(Ticks(1))
    }
}

/// What begins in the same four bars, in order.
struct Shelf<E> {
    items: Vec<Arc<Kept<E>>>,
    /// The earliest and the latest end.
    ends: (Ticks, Ticks),
    run: OnceLock<Arc<Run>>,
}

impl<E: Timed> Shelf<E> {
    fn new(mut items: Vec<Arc<Kept<E>>>) -> Shelf<E> {
        items.sort_by_key(|item| item.entity.place());
        let ends = || items.iter().map(|item| item.entity.end());
        let ends = (ends().min().unwrap_or(Ticks::MAX), ends().max().unwrap_or(Ticks::MIN));
        Shelf { items, ends, run: OnceLock::new() }
    }
}

struct Shelves<E> {
    /// With the latest end of each, which is what is asked for most.
    shelves: BTreeMap<i64, (Ticks, Arc<Shelf<E>>)>,
    len: usize,
}

impl<E> Clone for Shelves<E> {
    fn clone(&self) -> Shelves<E> {
        Shelves { shelves: self.shelves.clone(), len: self.len }
    }
}

impl<E: Timed> Shelves<E> {
    fn new(entities: Vec<E>) -> Shelves<E> {
        let len = entities.len();
        let mut shelves: BTreeMap<i64, Vec<Arc<Kept<E>>>> = BTreeMap::new();
        for entity in entities {
            let shelf = shelves.entry(shelf_of(entity.start())).or_default();
            shelf.push(Arc::new(Kept { entity, row: OnceLock::new() }));
        }
        let shelf = |items| {
            let shelf = Shelf::new(items);
            (shelf.ends.1, Arc::new(shelf))
        };
        Shelves {
            shelves: shelves.into_iter().map(|(at, items)| (at, shelf(items))).collect(),
            len,
        }
    }

    fn edit(&mut self, at: i64, change: impl FnOnce(&mut Vec<Arc<Kept<E>>>)) {
        let known = self.shelves.remove(&at);
        let mut items = known.map(|(_, shelf)| shelf.items.clone()).unwrap_or_default();
        self.len -= items.len();
        change(&mut items);
        self.len += items.len();
        if !items.is_empty() {
            let shelf = Shelf::new(items);
            self.shelves.insert(at, (shelf.ends.1, Arc::new(shelf)));
        }
    }

    fn take(&mut self, entity: &E) {
        let id = entity.id();
        self.edit(shelf_of(entity.start()), |items| items.retain(|item| item.entity.id() != id));
    }

    fn put(&mut self, entity: E) {
        let at = shelf_of(entity.start());
        self.edit(at, |items| items.push(Arc::new(Kept { entity, row: OnceLock::new() })));
    }

    /// Shelves of which anything may begin before the end of a range and end behind
    /// its start.
    fn reaching(&self, span: Range<Ticks>) -> impl Iterator<Item = &Arc<Shelf<E>>> {
        let start = span.start;
        let shelves = self.shelves.range(..=shelf_of(span.end)).map(|(_, shelf)| shelf);
        shelves.filter(move |(end, _)| *end > start).map(|(_, shelf)| shelf)
    }

    fn over(&self, span: Range<Ticks>) -> impl Iterator<Item = &E> {
        let items = self.reaching(span.clone()).flat_map(|shelf| &shelf.items);
        let entities = items.map(|item| &item.entity);
        entities.filter(move |it| it.start() < span.end && it.end() > span.start)
    }

    fn rows(&self, span: Range<Ticks>, row: impl Fn(&E) -> Row) -> Vec<Arc<Run>> {
        let row = |item: &Kept<E>| item.row.get_or_init(|| row(&item.entity)).clone();
        let mut runs = Vec::new();
        for shelf in self.reaching(span.clone()) {
            let last = shelf.items.last().map_or(Ticks::MIN, |item| item.entity.start());
            if last < span.end && shelf.ends.0 > span.start {
                let all = || Arc::new(Run::new(shelf.items.iter().map(|it| row(it)).collect()));
                runs.push(Arc::clone(shelf.run.get_or_init(all)));
                continue;
            }
            let shown = shelf
                .items
                .iter()
                .filter(|item| item.entity.start() < span.end && item.entity.end() > span.start);
            runs.push(Arc::new(Run::new(shown.map(|item| row(item)).collect())));
        }
        runs
    }
}

/// The notes and events of one clip.
#[derive(Clone)]
pub struct Score {
    notes: Shelves<Note>,
    events: Shelves<MidiEvent>,
}

impl Score {
    pub fn new(notes: Vec<Note>, events: Vec<MidiEvent>) -> Score {
        Score { notes: Shelves::new(notes), events: Shelves::new(events) }
    }

    /// Notes that begin before the end of a range and end behind its start.
    pub fn notes_over(&self, span: Range<Ticks>) -> impl Iterator<Item = &Note> {
        self.notes.over(span)
    }

    pub fn events_in(&self, span: Range<Ticks>) -> impl Iterator<Item = &MidiEvent> {
        self.events.over(span)
    }

    /// Their rows by start, pitch and id, in runs.
    pub fn note_rows(&self, span: Range<Ticks>) -> Vec<Arc<Run>> {
        self.notes.rows(span, |note| Row::new(note.id, note))
    }

    pub fn event_rows(&self, span: Range<Ticks>) -> Vec<Arc<Run>> {
        self.events.rows(span, |event| Row::new(event.id, event))
    }

    /// Takes in what a note or an event was and is.
    fn change(&mut self, before: Option<&AnyEntity>, after: Option<&AnyEntity>) {
        match before {
            Some(AnyEntity::Note(note)) => self.notes.take(note),
            Some(AnyEntity::MidiEvent(event)) => self.events.take(event),
            _ => {}
        }
        match after {
            Some(AnyEntity::Note(note)) => self.notes.put(note.clone()),
            Some(AnyEntity::MidiEvent(event)) => self.events.put(event.clone()),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Known {
    scores: BTreeMap<ClipId, Arc<Score>>,
    /// Notes of clips of which nobody wanted more.
    counts: BTreeMap<ClipId, usize>,
}

/// What is known of the clips of one revision.
#[derive(Default)]
pub struct Scores(Mutex<Known>);

impl Scores {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `read` gives the members of the clip, or none if they could not all be read.
    pub fn score(&self, clip: ClipId, read: impl FnOnce() -> (Score, bool)) -> Arc<Score> {
        if let Some(known) = self.lock().scores.get(&clip) {
            return Arc::clone(known);
        }
        let (score, whole) = read();
        let score = Arc::new(score);
        if whole {
            let mut known = self.lock();
            known.counts.remove(&clip);
            known.scores.insert(clip, Arc::clone(&score));
        }
        score
    }

    pub fn known(&self, clip: ClipId) -> Option<Arc<Score>> {
        self.lock().scores.get(&clip).cloned()
    }

    /// How many clips are known by all that they hold.
    pub fn held(&self) -> usize {
        self.lock().scores.len()
    }

    pub fn count(&self, clip: ClipId, read: impl FnOnce() -> (usize, bool)) -> usize {
        let known = self.lock();
        let score = known.scores.get(&clip).map(|score| score.notes.len);
        if let Some(count) = score.or_else(|| known.counts.get(&clip).copied()) {
            return count;
        }
        drop(known);
        let (count, whole) = read();
        if whole {
            self.lock().counts.insert(clip, count);
        }
        count
    }

    /// Goes along with the revision.
    pub fn apply(&self, changes: &[Change]) {
        let mut known = self.lock();
        for change in changes {
            match change.key.kind {
                EntityKind::Note | EntityKind::MidiEvent => known.member(change),
                EntityKind::Clip => known.forget_gone(change),
                _ => {}
            }
        }
    }

    pub fn clear(&self) {
        *self.lock() = Known::default();
    }
}

impl Known {
    fn member(&mut self, change: &Change) {
        let Some(clip) = change.key.owner.map(ClipId) else { return };
        if change.opaque || !change.within.is_empty() {
            // What this is to the clip that plays is for the store to say.
            self.scores.remove(&clip);
            self.counts.remove(&clip);
            return;
        }
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        if let Some(score) = self.scores.get_mut(&clip) {
            Arc::make_mut(score).change(before, after);
        }
        if change.key.kind == EntityKind::Note
            && let Some(count) = self.counts.get_mut(&clip)
        {
            *count = *count + usize::from(after.is_some()) - usize::from(before.is_some());
        }
    }

    fn forget_gone(&mut self, change: &Change) {
        if change.after.is_none() {
            self.scores.remove(&ClipId(change.key.id));
            self.counts.remove(&ClipId(change.key.id));
        }
    }
}
