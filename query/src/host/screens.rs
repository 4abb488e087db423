//! What clients look at: the rows of a view as they were shown last.
//!
//! salsa finds out what is still right by asking every row on the screen, and a
//! thousand rows answer in milliseconds. An edit knows the tracks and channels
//! that it touched; a screen that is told asks only these again. What a screen
//! as a whole depends on (order, time, who is heard) is asked for each time.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pulse_schemas::{
    command::view::{ViewName, Window},
    id::{AnyId, ArrangementId, ChannelId, TrackId},
};

use super::{db, touch::Touch};
use crate::view::{
    Row, Sheet, ViewError,
    arrangement::{self, Cut, Place},
    cut_slice, mixer,
};

/// Screens of each kind that are remembered.
const REMEMBERED: usize = 64;

/// The slots of a screen by what they show.
type Index<Id> = BTreeMap<Id, usize>;

struct Tracks {
    arrangement: ArrangementId,
    window: Window,
    places: Arc<Vec<Place>>,
    tempo: u64,
    slots: Vec<Option<Arc<Cut>>>,
    index: Index<TrackId>,
    dirty: BTreeSet<TrackId>,
    /// Of the rows as they are, until one is dirty.
    sheet: Option<Sheet>,
}

struct Strips {
    arrangement: ArrangementId,
    window: Window,
    order: Arc<Vec<ChannelId>>,
    slots: Vec<Option<Row>>,
    index: Index<ChannelId>,
    dirty: BTreeSet<ChannelId>,
    sheet: Option<Sheet>,
}

/// What a view was derived from: labels of parts of the project, and results.
#[derive(Default)]
pub struct Stamp {
    labels: Vec<u64>,
    /// Compared by their places, which are theirs as long as they are held.
    results: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Stamp {
    pub fn label(mut self, label: u64) -> Stamp {
        self.labels.push(label);
        self
    }

    pub fn result<T: Send + Sync + 'static>(mut self, result: &Arc<T>) -> Stamp {
        self.results.push(Arc::clone(result) as Arc<dyn Any + Send + Sync>);
        self
    }
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Stamp) -> bool {
        let place = |result: &Arc<dyn Any + Send + Sync>| Arc::as_ptr(result).cast::<()>();
        self.labels == other.labels
            && self.results.iter().map(place).eq(other.results.iter().map(place))
    }
}

/// A view that is derived whole, and stays while what it was made from does.
struct Whole {
    view: ViewName,
    subject: AnyId,
    window: Window,
    stamp: Stamp,
    sheet: Sheet,
}

#[derive(Default)]
pub struct Screens {
    tracks: Vec<Tracks>,
    strips: Vec<Strips>,
    wholes: Vec<Whole>,
}

impl Screens {
    /// Tells all screens that a part of the project is another.
    pub fn touch(&mut self, touch: Touch) {
        match touch {
            Touch::Track(id) => {
                for screen in self.tracks.iter_mut().filter(|it| it.index.contains_key(&id)) {
                    screen.dirty.insert(id);
                    screen.sheet = None;
                }
            }
            Touch::Strip(id) => {
                for screen in self.strips.iter_mut().filter(|it| it.index.contains_key(&id)) {
                    screen.dirty.insert(id);
                    screen.sheet = None;
                }
            }
            _ => {}
        }
    }

    /// Tells the mixers of an arrangement that channels, or all, may be heard
    /// otherwise.
    pub fn heard(&mut self, arrangement: ArrangementId, channels: Option<&BTreeSet<ChannelId>>) {
        for screen in self.strips.iter_mut().filter(|it| it.arrangement == arrangement) {
            match channels {
                None => screen.dirty.extend(screen.index.keys()),
                Some(channels) => {
                    let shown = channels.iter().filter(|id| screen.index.contains_key(*id));
                    screen.dirty.extend(shown);
                }
            }
        }
    }

    pub fn clear(&mut self) {
        *self = Screens::default();
    }

    /// A view as it was derived last, if it was made from the same.
    pub fn whole(
        &mut self,
        view: ViewName,
        subject: AnyId,
        window: &Window,
        stamp: Stamp,
        derive: impl FnOnce() -> Result<Sheet, ViewError>,
    ) -> Result<Sheet, ViewError> {
        let is_it = |it: &Whole| it.view == view && it.subject == subject && it.window == *window;
        let known = self.wholes.iter().position(is_it).map(|at| self.wholes.remove(at));
        let sheet = match known {
            Some(known) if known.stamp == stamp => known.sheet,
            _ => derive()?,
        };
        let (shown, window) = (sheet.clone(), window.clone());
        self.wholes.push(Whole { view, subject, window, stamp, sheet });
        if self.wholes.len() > REMEMBERED {
            self.wholes.remove(0);
        }
        Ok(shown)
    }

    /// The arrangement through a window.
    pub fn arrangement(&mut self, db: &db::Database, id: ArrangementId, window: &Window) -> Sheet {
        let input = db::arrangement_in(db, id);
        let (places, tempo) = (db::places(db, input), db::tempo(db, input).label());
        let is_it = |it: &Tracks| it.arrangement == id && it.window == *window;
        let mut screen = match self.tracks.iter().position(is_it) {
            Some(at) => self.tracks.remove(at),
            None => Tracks::new(id, window, &places, tempo),
        };
        if !same(&screen.places, &places) || screen.tempo != tempo {
            screen = Tracks::new(id, window, &places, tempo);
        }
        screen.places = places;
        let sheet = screen.show(db, input);
        self.tracks.push(screen);
        if self.tracks.len() > REMEMBERED {
            self.tracks.remove(0);
        }
        sheet
    }

    /// The mixer through a window.
    pub fn mixer(&mut self, db: &db::Database, id: ArrangementId, window: &Window) -> Sheet {
        let input = db::arrangement_in(db, id);
        let order = db::mixer_order(db, input);
        let is_it = |it: &Strips| it.arrangement == id && it.window == *window;
        let mut screen = match self.strips.iter().position(is_it) {
            Some(at) => self.strips.remove(at),
            None => Strips::new(id, window, &order),
        };
        if !same(&screen.order, &order) {
            screen = Strips::new(id, window, &order);
        }
        screen.order = order;
        let sheet = screen.show(db, input);
        self.strips.push(screen);
        if self.strips.len() > REMEMBERED {
            self.strips.remove(0);
        }
        sheet
    }
}

fn same<T: PartialEq>(a: &Arc<T>, b: &Arc<T>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

impl Tracks {
    fn new(
        arrangement: ArrangementId,
        window: &Window,
        places: &Arc<Vec<Place>>,
        tempo: u64,
    ) -> Tracks {
        let shown = arrangement::visible(places, window).iter().map(|place| place.track);
        let index: Index<TrackId> = shown.enumerate().map(|(at, track)| (track, at)).collect();
        Tracks {
            arrangement,
            window: window.clone(),
            places: Arc::clone(places),
            tempo,
            slots: vec![None; index.len()],
            dirty: index.keys().copied().collect(),
            index,
            sheet: None,
        }
    }

    fn show(&mut self, db: &db::Database, input: db::ArrangementIn) -> Sheet {
        if let Some(sheet) = &self.sheet {
            return sheet.clone();
        }
        for track in std::mem::take(&mut self.dirty) {
            if let Some(slot) = self.index.get(&track).and_then(|at| self.slots.get_mut(*at)) {
                let part = db::track_rows(db, input, db::track_in(db, track));
                *slot = part.map(|part| Arc::new(arrangement::cut_of(&part, &self.window)));
            }
        }
        let cuts: Vec<_> = self.slots.iter().flatten().cloned().collect();
        let sheet = arrangement::sheet(self.arrangement, self.places.len(), &cuts);
        self.sheet.insert(sheet).clone()
    }
}

impl Strips {
    fn new(arrangement: ArrangementId, window: &Window, order: &Arc<Vec<ChannelId>>) -> Strips {
        let shown = cut_slice(order, window).iter();
        let index: Index<ChannelId> = shown.enumerate().map(|(at, id)| (*id, at)).collect();
        Strips {
            arrangement,
            window: window.clone(),
            order: Arc::clone(order),
            slots: vec![None; index.len()],
            dirty: index.keys().copied().collect(),
            index,
            sheet: None,
        }
    }

    fn show(&mut self, db: &db::Database, input: db::ArrangementIn) -> Sheet {
        if let Some(sheet) = self.sheet.as_ref().filter(|_| self.dirty.is_empty()) {
            return sheet.clone();
        }
        for channel in std::mem::take(&mut self.dirty) {
            if let Some(slot) = self.index.get(&channel).and_then(|at| self.slots.get_mut(*at)) {
                *slot = db::strip(db, input, db::channel_in(db, channel));
            }
        }
        let rows: Vec<Row> = self.slots.iter().flatten().cloned().collect();
        let sheet = mixer::sheet(self.arrangement, self.order.len(), rows);
        self.sheet.insert(sheet).clone()
    }
}
