//! The events of a node, in windows that follow each other.
//!
//! A window is made once and shared: by what was derived, by the content that was
//! loaded last, and by what the audio thread reads. One flat list of a long track
//! would be copied, compared, converted and sorted by each of them for every note
//! that somebody moves.

use std::{
    collections::BTreeMap,
    fmt,
    iter::FlatMap,
    slice::Iter,
    sync::{Arc, OnceLock},
};

use pulse_schemas::{
    graph::{NodeKey, SpecEvent},
    id::AnyId,
};

use crate::event::{Event, EventBody};

/// Events of a part of the song, in order.
pub struct Window {
    events: Vec<SpecEvent>,
    /// Made when the first node is bound to it.
    run: OnceLock<Arc<Run>>,
}

fn place(event: &SpecEvent) -> (i64, u8, AnyId) {
    (event.frame, event.body.rank(), event.id)
}

impl Window {
    pub fn new(mut events: Vec<SpecEvent>) -> Window {
        if !events.is_sorted_by_key(place) {
            events.sort_by_key(place);
        }
        Window { events, run: OnceLock::new() }
    }

    pub fn events(&self) -> &[SpecEvent] {
        &self.events
    }

    fn run(&self) -> &Arc<Run> {
        self.run.get_or_init(|| Arc::new(Run::of(&self.events)))
    }
}

impl PartialEq for Window {
    fn eq(&self, other: &Window) -> bool {
        self.events == other.events
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.fmt(f)
    }
}

/// The events of one node in order. No window is empty, and all that one holds
/// comes before all that the next one holds.
#[derive(Clone, Default)]
pub struct Events(Arc<Vec<Arc<Window>>>);

/// Events in order.
pub type EventsIter<'a> =
    FlatMap<Iter<'a, Arc<Window>>, Iter<'a, SpecEvent>, fn(&'a Arc<Window>) -> Iter<'a, SpecEvent>>;

impl Events {
    /// Of windows that follow each other. Empty ones are left out.
    pub fn of_windows(windows: impl IntoIterator<Item = Arc<Window>>) -> Events {
        let filled = windows.into_iter().filter(|window| !window.events.is_empty());
        Events(Arc::new(filled.collect()))
    }

    pub fn windows(&self) -> &[Arc<Window>] {
        &self.0
    }

    pub fn iter(&self) -> EventsIter<'_> {
        self.0.iter().flat_map(|window| window.events.iter())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|window| window.events.len()).sum()
    }

    /// Those at frames of a range.
    pub fn between(&self, start: i64, end: i64) -> impl Iterator<Item = &SpecEvent> + Clone {
        let ends_before = |window: &Arc<Window>| last(&window.events) < Some(start);
        let windows = &self.0[self.0.partition_point(ends_before)..];
        let events = windows.iter().flat_map(|window| &window.events);
        events.skip_while(move |it| it.frame < start).take_while(move |it| it.frame < end)
    }

    pub fn last_frame(&self) -> Option<i64> {
        self.0.last().and_then(|window| last(&window.events))
    }

    /// Puts one event where it lies, into a window of all.
    pub fn push(&mut self, event: SpecEvent) {
        self.extend([event]);
    }
}

fn flat(windows: &[Arc<Window>]) -> impl Iterator<Item = &SpecEvent> {
    windows.iter().flat_map(|window| &window.events)
}

fn last(events: &[SpecEvent]) -> Option<i64> {
    events.last().map(|event| event.frame)
}

impl From<Vec<SpecEvent>> for Events {
    fn from(events: Vec<SpecEvent>) -> Events {
        Events::of_windows([Arc::new(Window::new(events))])
    }
}

impl Extend<SpecEvent> for Events {
    fn extend<T: IntoIterator<Item = SpecEvent>>(&mut self, events: T) {
        *self = Events::from(self.iter().copied().chain(events).collect::<Vec<_>>());
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a SpecEvent;
    type IntoIter = EventsIter<'a>;

    fn into_iter(self) -> EventsIter<'a> {
        self.iter()
    }
}

/// Of the events, however they are cut into windows.
impl PartialEq for Events {
    fn eq(&self, other: &Events) -> bool {
        // What two states of a track share lies at both ends.
        let same = |(a, b): &(&Arc<Window>, &Arc<Window>)| Arc::ptr_eq(a, b);
        let (mut a, mut b) = (&self.0[..], &other.0[..]);
        let before = a.iter().zip(b).take_while(same).count();
        (a, b) = (&a[before..], &b[before..]);
        let after = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
        (a, b) = (&a[..a.len() - after], &b[..b.len() - after]);
        flat(a).eq(flat(b))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The events of all nodes.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct EventSlice(pub BTreeMap<NodeKey, Events>);

/// A window as nodes read it.
struct Run {
    /// By absolute frame; sorted.
    events: Vec<(i64, Event)>,
    /// Per event: where the note that it begins ends, and the latest such end up
    /// to here.
    ends: Vec<(i64, i64)>,
    /// Notes that begin here and end in a later window, if ever: their note-ons.
    open: Vec<usize>,
    /// What is said first here of each note, by id: where it ends, or that it begins.
    firsts: Vec<(u128, First)>,
}

#[derive(Clone, Copy)]
enum First {
    Begins,
    Ends(i64),
}

/// No end in the same window.
const LATER: i64 = i64::MAX;
const NEVER: i64 = i64::MIN;

impl Run {
    fn of(events: &[SpecEvent]) -> Run {
        let mut events: Vec<_> =
            events.iter().map(|event| (event.frame, Event::from_spec(event, 0))).collect();
        events.sort_by_key(|(frame, event)| (*frame, event.body.rank(), event.id));
        let mut ends = vec![(NEVER, NEVER); events.len()];
        let (mut held, mut firsts) = (BTreeMap::new(), BTreeMap::new());
        for (at, (frame, event)) in events.iter().enumerate() {
            match event.body {
                EventBody::NoteOn { .. } => {
                    firsts.entry(event.id).or_insert(First::Begins);
                    held.insert(event.id, at);
                }
                EventBody::NoteOff { .. } => {
                    firsts.entry(event.id).or_insert(First::Ends(*frame));
                    if let Some(on) = held.remove(&event.id) {
                        ends[on].0 = *frame;
                    }
                }
                _ => {}
            }
        }
        let mut open: Vec<usize> = held.into_values().collect();
        open.sort_unstable();
        open.iter().for_each(|on| ends[*on].0 = LATER);
        let mut latest = NEVER;
        for (end, reach) in &mut ends {
            latest = latest.max(*end);
            *reach = latest;
        }
        Run { events, ends, open, firsts: firsts.into_iter().collect() }
    }

    fn first(&self, id: u128) -> Option<First> {
        let at = self.firsts.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.firsts[at].1)
    }

    fn first_frame(&self) -> i64 {
        self.events.first().map_or(NEVER, |(frame, _)| *frame)
    }

    fn last_frame(&self) -> i64 {
        self.events.last().map_or(NEVER, |(frame, _)| *frame)
    }
}

/// A note that is held where a window begins.
#[derive(Clone, Copy)]
struct Held {
    on: i64,
    end: i64,
    event: Event,
}

/// What one node plays, in windows that it shares with whoever derived them.
#[derive(Clone, Default)]
pub struct Score {
    runs: Vec<Arc<Run>>,
    /// Notes that go over from window to window, in the order of their beginnings.
    held: Vec<Held>,
    /// Where those of each window begin among them, and where all end.
    held_from: Vec<usize>,
}

impl Score {
    /// Looks at windows as a whole, and at notes only where they go over into the
    /// next window.
    pub fn of(events: &Events) -> Score {
        let runs: Vec<Arc<Run>> =
            events.windows().iter().map(|window| Arc::clone(window.run())).collect();
        let spans = spans(&runs);
        let mut held_from = vec![0; runs.len() + 1];
        for (first, last, _) in &spans {
            (*first..=*last).for_each(|window| held_from[window + 1] += 1);
        }
        (0..runs.len()).for_each(|window| held_from[window + 1] += held_from[window]);
        let mut next = held_from.clone();
        let nothing = Held { on: 0, end: 0, event: Event::NOTHING };
        let mut held = vec![nothing; held_from.last().copied().unwrap_or(0)];
        for (first, last, note) in spans {
            for window in first..=last {
                held[next[window]] = note;
                next[window] += 1;
            }
        }
        Score { runs, held, held_from }
    }

    /// Events at frames of a range. Real-time safe.
    pub fn between(&self, start: i64, end: i64) -> impl Iterator<Item = &(i64, Event)> {
        let first = self.runs.partition_point(|run| run.last_frame() < start);
        let within = move |run: &'_ Arc<Run>| run.events.partition_point(|(at, _)| *at < start);
        let runs = self.runs[first..].iter().take_while(move |run| run.first_frame() < end);
        let events = runs.flat_map(move |run| run.events[within(run)..].iter());
        events.take_while(move |(frame, _)| *frame < end)
    }

    /// Calls `f` with every note-on before a frame whose note is still held there,
    /// the latest first. Real-time safe: looks no further back than one window and
    /// the notes that come into it.
    pub fn sounding(&self, frame: i64, mut f: impl FnMut(&Event)) {
        let after = self.runs.partition_point(|run| run.first_frame() < frame);
        let Some(window) = after.checked_sub(1) else { return };
        let run = &self.runs[window];
        let before = run.events.partition_point(|(at, _)| *at < frame);
        for at in (0..before).rev() {
            let (end, latest) = run.ends[at];
            if latest <= frame {
                break;
            }
            let (on, event) = &run.events[at];
            let end = if end == LATER { self.end_of(after, event.id, *on) } else { end };
            if end > frame {
                f(event);
            }
        }
        for note in self.held_into(window).iter().rev().filter(|note| note.end > frame) {
            f(&note.event);
        }
    }

    fn held_into(&self, window: usize) -> &[Held] {
        let ends = (self.held_from.get(window), self.held_from.get(window + 1));
        let (Some(&first), Some(&after)) = ends else { return &[] };
        &self.held[first..after]
    }

    /// Where a note ends that is held into a window.
    fn end_of(&self, window: usize, id: u128, on: i64) -> i64 {
        let mut notes = self.held_into(window).iter();
        notes.find(|note| note.event.id == id && note.on == on).map_or(NEVER, |note| note.end)
    }
}

/// Notes that go over into other windows: the first and the last of these. In the
/// order in which they begin.
fn spans(runs: &[Arc<Run>]) -> Vec<(usize, usize, Held)> {
    let mut spans = Vec::new();
    // When a note began among all, after which window, and the note: a few at a time.
    let mut open: Vec<(usize, usize, i64, Event)> = Vec::new();
    let mut begun = 0;
    for (window, run) in runs.iter().enumerate() {
        open.retain(|(order, since, on, event)| match run.first(event.id) {
            None => true,
            Some(First::Begins) => false,
            Some(First::Ends(end)) => {
                let note = Held { on: *on, end, event: *event };
                spans.push((*order, (*since + 1, window, note)));
                false
            }
        });
        for &at in &run.open {
            let (on, event) = run.events[at];
            open.push((begun, window, on, event));
            begun += 1;
        }
    }
    spans.sort_unstable_by_key(|(order, _)| *order);
    spans.into_iter().map(|(_, span)| span).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::{key, note};

    /// Held notes by the definition: the next thing said of one after it began is
    /// its end, and that lies behind the frame.
    fn held_at(events: &[SpecEvent], frame: i64) -> Vec<(i64, u128)> {
        let mut held = Vec::new();
        for (at, on) in events.iter().enumerate().filter(|(_, it)| it.frame < frame) {
            if !matches!(EventBody::from(on.body), EventBody::NoteOn { .. }) {
                continue;
            }
            let said = |it: &&SpecEvent| {
                let body = EventBody::from(it.body);
                it.id == on.id
                    && matches!(body, EventBody::NoteOn { .. } | EventBody::NoteOff { .. })
            };
            let next = events[at + 1..].iter().find(said);
            if let Some(next) = next.filter(|it| it.frame > frame)
                && matches!(EventBody::from(next.body), EventBody::NoteOff { .. })
            {
                held.push((on.frame, on.id.id.0));
            }
        }
        held.reverse();
        held
    }

    fn cut(events: &[SpecEvent], size: i64) -> Events {
        let mut windows: BTreeMap<i64, Vec<SpecEvent>> = BTreeMap::new();
        events.iter().for_each(|it| windows.entry(it.frame / size).or_default().push(*it));
        Events::of_windows(windows.into_values().map(|window| Arc::new(Window::new(window))))
    }

    fn check(events: &[SpecEvent], size: i64) {
        let whole = Events::from(events.to_vec());
        let pieces = cut(whole.windows().first().map_or(&[], |it| it.events()), size);
        assert_eq!(pieces, whole);
        assert_eq!((pieces.len(), pieces.last_frame()), (events.len(), whole.last_frame()));
        let all: Vec<SpecEvent> = whole.iter().copied().collect();
        let score = Score::of(&pieces);
        for frame in 0..130 {
            let mut found = Vec::new();
            score.sounding(frame, |event| found.push(event.id));
            let expect: Vec<u128> = held_at(&all, frame).into_iter().map(|(_, id)| id).collect();
            assert_eq!(found, expect, "held at {frame} in windows of {size}: {all:?}");
            let found: Vec<i64> = score.between(frame, frame + 13).map(|(at, _)| *at).collect();
            let range = frame..frame + 13;
            let inside = all.iter().map(|it| it.frame).filter(|at| range.contains(at));
            assert_eq!(found, inside.clone().collect::<Vec<_>>());
            assert!(pieces.between(frame, frame + 13).map(|it| it.frame).eq(inside));
        }
    }

    proptest! {
        #[test]
        fn windows_say_what_one_list_says(
            said in prop::collection::vec((0i64..120, 0u32..9, any::<bool>()), 0..40),
            size in 1i64..60,
        ) {
            // Ids come again, ends come without beginnings, and notes never end.
            let events: Vec<_> = said.iter().map(|&(at, id, on)| note(at, id, on)).collect();
            check(&events, size);
        }
    }

    #[test]
    fn a_note_is_held_over_windows_that_say_nothing_of_it() {
        let events = [note(5, 1, true), note(30, 2, true), note(31, 2, false), note(99, 1, false)];
        check(&events, 10);
        let score = Score::of(&cut(&events, 10));
        assert_eq!(score.held.len(), 2, "into the window of the other note and into its last");
    }

    #[test]
    fn a_window_that_stays_is_bound_once() {
        let events: Vec<_> = (0..50).map(|at| note(at * 10, at as u32, true)).collect();
        let before = cut(&events, 100);
        let mut windows = before.windows().to_vec();
        windows[2] = Arc::new(Window::new(vec![note(205, 7, true)]));
        let after = Events::of_windows(windows);
        let (a, b) = (Score::of(&before), Score::of(&after));
        let shared = a.runs.iter().zip(&b.runs).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, 4);
        let mut slice = EventSlice::default();
        slice.0.insert(key(1), after);
        assert_eq!(slice.0[&key(1)].len(), 41);
    }
}
