//! The incremental host: the one owner of the database that derives what
//! clients and the engine need from the project.
//!
//! It is told what an edit changed, gives new labels to what that concerns, and
//! derives when somebody asks. Results are shared; nothing outside ever sees the
//! database, so that nothing outside can hold up an edit. It can be thrown away
//! at any time, and throws its database away itself when too much of it stands
//! for what is gone.

mod db;
mod labels;
mod parts;
mod screens;
mod stage;
#[cfg(test)]
mod tests;
mod touch;
mod views;
mod windows;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pulse_engine::{
    material::{EventSlice, Window},
    registry::Registry,
};
use pulse_schemas::{
    command::view::ViewName,
    entity::AnyEntity,
    graph::{AutomationSlice, ClipSlice, GraphSpec, ParamSlice, ZoneSlice},
    hash::Hash,
    id::{ArrangementId, ChannelId, EntityKind, TrackId},
    time::{SignatureMap, Ticks},
};
use pulse_store::{
    changes::{Change, Changes},
    diff,
    tree::TreeError,
    view::{ReadError, View},
};
use salsa::{Durability, Setter};

use self::{
    db::{Database, Db, ProjectIn, World},
    labels::Labels,
    screens::Screens,
    stage::Stage,
    touch::{Touch, Touched},
    windows::{Side, Windows},
};
use crate::{
    ambient::Ambient,
    cohort::{Cohorts, Gesture},
    content::{Concerned, Says, WINDOW},
    memo::{Memo, MemoStats},
    routing::{Routing, RoutingCycle},
    score::Scores,
    stored::{Indexed, Stored},
    view::{ViewError, arrangement::Dirt},
};

pub use stage::{PlayError, Step};

/// Bytes of derived content that the memo keeps, about.
const MEMO: usize = 64 << 20;

/// Inputs of entities that are gone, until the database is made anew.
const GARBAGE: usize = 4_096;

/// Why something could not be derived.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(transparent)]
    Read(#[from] Arc<ReadError>),
    #[error(transparent)]
    View(#[from] ViewError),
}

impl From<TreeError> for HostError {
    fn from(error: TreeError) -> HostError {
        HostError::Read(Arc::new(error.into()))
    }
}

/// What ran and what was only proved to be right still, by query.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub executed: BTreeMap<String, u64>,
    pub validated: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Seen {
    executed: Vec<salsa::DatabaseKeyIndex>,
    validated: Vec<salsa::DatabaseKeyIndex>,
    /// Views that were derived whole.
    views: Vec<ViewName>,
}

pub struct Host {
    db: Database,
    /// Set while somebody counts.
    seen: Arc<Mutex<Option<Seen>>>,
    screens: Mutex<Screens>,
    /// What plays, if anybody has asked.
    stage: Option<Stage>,
    dead: BTreeSet<Touch>,
    rebuilt: u64,
    garbage: usize,
}

impl Host {
    pub fn new(view: View, registry: Arc<Registry>) -> Host {
        let labels = Labels::default();
        let (ambient, scores) = (Ambient::default(), Scores::default());
        let world = World { view, registry, ambient, labels, rate: None, scores };
        let seen = Arc::default();
        let db = database(world, Arc::new(Memo::new(MEMO)), &seen);
        let (screens, dead) = (Mutex::default(), BTreeSet::new());
        Host { db, seen, screens, stage: None, dead, rebuilt: 0, garbage: GARBAGE }
    }

    /// Inputs of entities that are gone, until the database is made anew.
    pub fn with_garbage(mut self, inputs: usize) -> Host {
        self.garbage = inputs;
        self
    }

    /// Content lies at frames of this rate, whatever that of the project is.
    pub fn at_rate(mut self, rate: u32) -> Host {
        self.db.world.rate = Some(rate);
        self.rebuild();
        self
    }

    /// The root of the revision that is derived from.
    pub fn root(&self) -> Hash {
        self.db.world.view.root()
    }

    pub fn ambient(&self) -> &Ambient {
        &self.db.world.ambient
    }

    /// Takes in a transaction. `changes` lead from the present revision to `view`.
    pub fn apply(&mut self, changes: &Changes, view: View) {
        self.take(&changes.list, view);
    }

    /// Goes to any revision of the project, at the cost of what differs.
    pub fn move_to(&mut self, view: View) -> Result<(), HostError> {
        self.mend();
        if view.root() != self.root() {
            let changes = diff::changes(&self.db.world.view, &view)?;
            self.take(&changes, view);
        }
        Ok(())
    }

    fn take(&mut self, changes: &[Change], view: View) {
        self.mend();
        let (from, to) = (self.root(), view.root());
        if from == to {
            return;
        }
        let before = Stored::new(self.db.world.view.clone());
        let after = Stored::new(view.clone());
        let registry = Arc::clone(&self.db.world.registry);
        let mut touched = Touched::default();
        for change in changes {
            touched.add(touch::of_change(&before, &after, &registry, change));
            self.note_death(change);
        }
        let windows = self.step_windows(before.view(), &view, changes);
        for (track, numbers) in &windows {
            let dirt = Dirt { windows: numbers.clone(), ..Dirt::default() };
            touched.rows.entry(*track).or_default().add(&dirt);
        }
        let unread = before.check().is_err() || after.check().is_err();
        self.db.world.view = view;
        self.soil(&touched);
        self.renew_windows(&windows);
        if self.is_retimed(&touched.parts) {
            self.retime();
        }
        if let Some(stage) = &mut self.stage {
            stage.touch(&touched.parts);
        }
        for touch in touched.parts {
            if self.db.world.labels.move_on(touch, from, to) {
                self.set(touch);
            }
        }
        self.gestures(changes);
        self.hearings(changes);
        if unread {
            // Nobody knows what else the edit concerns.
            self.stage = None;
        }
        let shut = self.db.inputs().shut;
        if unread || self.dead.len() + shut > self.garbage {
            self.rebuild();
        }
    }

    /// Goes along with the notes of clips; tells which windows they are said in
    /// before and after.
    fn step_windows(&mut self, before: &View, after: &View, changes: &[Change]) -> Windows {
        let mut windows = Windows::new();
        for (side, view) in [(Side::Before, before), (Side::After, after)] {
            if matches!(side, Side::After) {
                self.db.world.scores.apply(changes);
            }
            let stored = Stored::new(view.clone());
            let source = Indexed { stored, scores: &self.db.world.scores };
            self.windows_of(&source, side, changes, &mut windows);
            if let Err(error) = source.stored.check() {
                db::Db::fail(&self.db, error);
            }
        }
        windows
    }

    /// Tells what was derived before of the rows that may differ.
    fn soil(&self, touched: &Touched) {
        for (track, dirt) in &touched.rows {
            self.db.parts.soil(*track, dirt);
            self.db.plays.soil(*track, dirt);
            self.db.laid.soil(*track, dirt);
        }
        let mut screens = self.screens();
        touched.parts.iter().for_each(|touch| screens.touch(*touch));
    }

    fn screens(&self) -> MutexGuard<'_, Screens> {
        self.screens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_view(&self, view: ViewName) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.as_mut() {
            seen.views.push(view);
        }
    }

    /// Rows that were derived from what could not be read are derived again.
    fn forget_rows(&self) {
        self.screens().clear();
        self.db.parts.clear();
        self.db.plays.clear();
        self.db.laid.clear();
        self.db.world.scores.clear();
    }

    fn note_death(&mut self, change: &Change) {
        let touch = match change.key.kind {
            EntityKind::Track => Touch::Track(TrackId(change.key.id)),
            EntityKind::Channel => Touch::Strip(ChannelId(change.key.id)),
            EntityKind::Clip => Touch::Clip(pulse_schemas::id::ClipId(change.key.id)),
            _ => return,
        };
        if let (Touch::Track(track), None) = (touch, &change.after) {
            self.db.inputs().shut(track, None);
        }
        match change.after {
            None => self.dead.insert(touch),
            Some(_) => self.dead.remove(&touch),
        };
    }

    /// Puts a label into its input, where there is one that has another.
    fn set(&mut self, touch: Touch) {
        let label = self.db.world.labels.of(touch);
        let (medium, low) = (Durability::MEDIUM, Durability::LOW);
        let arrangement =
            |host: &Host, id: ArrangementId| host.db.inputs().arrangements.get(&id).copied();
        let channel = |host: &Host, id: ChannelId| host.db.inputs().channels.get(&id).copied();
        macro_rules! put {
            ($input:expr, $read:ident, $write:ident, $durability:expr) => {
                if let Some(input) = $input
                    && input.$read(&self.db) != label
                {
                    input.$write(&mut self.db).with_durability($durability).to(label);
                }
            };
        }
        match touch {
            Touch::Tracks(id) => put!(arrangement(self, id), tracks, set_tracks, medium),
            Touch::Routing(id) => put!(arrangement(self, id), routing, set_routing, medium),
            Touch::Automation(id) => put!(arrangement(self, id), automation, set_automation, low),
            Touch::Tempo(id) => put!(arrangement(self, id), tempo, set_tempo, medium),
            Touch::Track(id) => {
                let track = self.db.inputs().tracks.get(&id).copied();
                put!(track, rows, set_rows, low);
            }
            Touch::Content(id) => {
                let track = self.db.inputs().tracks.get(&id).copied();
                put!(track, content, set_content, low);
            }
            Touch::Places(id) => {
                let track = self.db.inputs().tracks.get(&id).copied();
                put!(track, places, set_places, low);
            }
            Touch::Structure(id) => put!(channel(self, id), structure, set_structure, medium),
            Touch::Strip(id) => put!(channel(self, id), strip, set_strip, low),
            Touch::Links => put!(Some(ProjectIn::get(&self.db)), links, set_links, medium),
            Touch::Project => self.set_project(label),
            Touch::Media => put!(Some(ProjectIn::get(&self.db)), media, set_media, low),
            Touch::Timeline(id) => put!(arrangement(self, id), timeline, set_timeline, low),
            // Read beside the database, by its label.
            Touch::Clip(_) => {}
        }
    }

    fn set_project(&mut self, label: u64) {
        let input = ProjectIn::get(&self.db);
        let rate = self.db.world.sample_rate();
        if input.label(&self.db) != label {
            input.set_label(&mut self.db).with_durability(Durability::MEDIUM).to(label);
        }
        if input.sample_rate(&self.db) != rate {
            input.set_sample_rate(&mut self.db).with_durability(Durability::MEDIUM).to(rate);
        }
    }

    /// Keeps the tracks that decide about cohorts.
    fn gestures(&mut self, changes: &[Change]) {
        let known: Vec<_> =
            self.db.inputs().arrangements.iter().map(|(id, input)| (*id, *input)).collect();
        for (id, input) in known {
            let old = input.gestures(&self.db);
            let mut new = None;
            for change in changes.iter().filter(|change| change.key.kind == EntityKind::Track) {
                let track = TrackId(change.key.id);
                let gesture = match change.after.as_deref() {
                    Some(AnyEntity::Track(track)) if track.arrangement == id => {
                        Some(Gesture::of(track)).filter(Gesture::matters)
                    }
                    _ => None,
                };
                if old.get(&track) != gesture.as_ref() {
                    let new = new.get_or_insert_with(|| (*old).clone());
                    match gesture {
                        Some(gesture) => new.insert(track, gesture),
                        None => new.remove(&track),
                    };
                }
            }
            if let Some(new) = new {
                input.set_gestures(&mut self.db).with_durability(Durability::LOW).to(Arc::new(new));
            }
        }
    }

    /// Keeps who is heard, and tells those whom that concerns.
    fn hearings(&mut self, changes: &[Change]) {
        let tracks = changes.iter().filter(|change| change.key.kind == EntityKind::Track);
        let tracks: Vec<&Change> = tracks.collect();
        if tracks.is_empty() {
            return;
        }
        let known: Vec<_> =
            self.db.inputs().arrangements.iter().map(|(id, input)| (*id, *input)).collect();
        for (id, input) in known {
            let says = tracks.iter().map(|change| match change.after.as_deref() {
                Some(AnyEntity::Track(track)) if track.arrangement == id => {
                    (track.id, Says::of(track))
                }
                _ => (TrackId(change.key.id), Says::default()),
            });
            let Some((new, concerned)) = input.hearing(&self.db).after(says) else { continue };
            input.set_hearing(&mut self.db).with_durability(Durability::LOW).to(Arc::new(new));
            let channels = self.channels_of(&concerned);
            self.screens().heard(id, channels.as_ref());
            if let Some(stage) = &mut self.stage {
                stage.heard(id, channels.as_ref());
            }
        }
    }

    /// The channels of tracks; none for all that there are.
    fn channels_of(&self, concerned: &Concerned) -> Option<BTreeSet<ChannelId>> {
        let Concerned::Tracks(tracks) = concerned else { return None };
        let channels = db::read(&self.db, |ctx| {
            let keys = |track: &TrackId| ctx.source.referrer_keys(EntityKind::Channel, track.any());
            tracks.iter().flat_map(keys).map(|key| ChannelId(key.id)).collect()
        });
        Some(channels)
    }

    /// Takes in what stands in no project. What did not change costs nothing.
    pub fn set_ambient(&mut self, ambient: Ambient) {
        self.mend();
        let old = std::mem::replace(&mut self.db.world.ambient, ambient);
        let new = self.db.world.ambient.clone();
        if old.seeds != new.seeds {
            let seeds = Arc::new(new.seeds);
            let known: Vec<_> = self.db.inputs().arrangements.values().copied().collect();
            for input in known {
                let seeds = Arc::clone(&seeds);
                input.set_seeds(&mut self.db).with_durability(Durability::LOW).to(seeds);
            }
        }
        if old.media != new.media {
            self.db.world.labels.forget_former();
            let source = Stored::new(self.db.world.view.clone());
            let mut touched = Touched::default();
            let all = old.media.keys().chain(new.media.keys());
            for media in all.filter(|media| old.media.get(media) != new.media.get(media)) {
                touch::media_users(&source, media.any(), &mut touched);
            }
            self.soil(&touched);
            for touch in touched.parts {
                self.db.world.labels.renew(touch);
                self.set(touch);
            }
        }
    }

    /// Makes the database anew; what was derived stays known by its labels, as
    /// far as those of the present revision go.
    pub fn rebuild(&mut self) {
        let view = self.db.world.view.clone();
        let registry = Arc::clone(&self.db.world.registry);
        let ambient = self.db.world.ambient.clone();
        let mut labels = std::mem::take(&mut self.db.world.labels);
        labels.restart();
        let rate = self.db.world.rate;
        let world = World { view, registry, ambient, labels, rate, scores: Scores::default() };
        self.db = database(world, Arc::clone(&self.db.memo), &self.seen);
        self.screens().clear();
        self.dead.clear();
        self.rebuilt += 1;
    }

    /// How often the database was made anew.
    pub fn rebuilt(&self) -> u64 {
        self.rebuilt
    }

    /// Inputs and labels that are held.
    pub fn size(&self) -> usize {
        self.db.inputs().held()
            + self.db.world.labels.held()
            + self.db.parts.held()
            + self.db.plays.held()
            + self.db.laid.held()
    }

    pub fn memo(&self) -> MemoStats {
        self.db.memo.stats()
    }

    /// Counts what runs while `work` does.
    pub fn count<T>(&mut self, work: impl FnOnce(&mut Host) -> T) -> (T, Counts) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen::default());
        let result = work(self);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut counts = Counts::default();
        let name = |key: &salsa::DatabaseKeyIndex| {
            use salsa::Database as _;
            self.db.ingredient_debug_name(key.ingredient_index()).into_owned()
        };
        let Seen { executed, validated, views } = seen.unwrap_or_default();
        for view in views {
            let name = format!("{} view", crate::view::name(view));
            *counts.executed.entry(name).or_default() += 1;
        }
        for key in &executed {
            *counts.executed.entry(name(key)).or_default() += 1;
        }
        for key in &validated {
            *counts.validated.entry(name(key)).or_default() += 1;
        }
        (result, counts)
    }
}

/// Derivations for the engine.
impl Host {
    pub fn routing(&self, id: ArrangementId) -> Result<Arc<Routing>, HostError> {
        let routing = db::routes(&self.db, db::arrangement_in(&self.db, id));
        self.checked(routing)
    }

    /// The loop that keeps an arrangement from playing, if there is one.
    pub fn cycle(&self, id: ArrangementId) -> Result<Option<RoutingCycle>, HostError> {
        Ok(self.routing(id)?.check().err())
    }

    /// The graph of the whole mix, with everything ahead of time; an equal one
    /// is the same `Arc` as before.
    pub fn graph(&self, id: ArrangementId) -> Result<Option<Arc<GraphSpec>>, HostError> {
        let graph = db::graph(&self.db, db::arrangement_in(&self.db, id));
        self.checked(graph)
    }

    pub fn cohorts(&self, id: ArrangementId) -> Result<Arc<Cohorts>, HostError> {
        let cohorts = db::cohorts(&self.db, db::arrangement_in(&self.db, id));
        self.checked(cohorts)
    }

    /// Frames that the mix is behind the clock.
    pub fn latency(&self, id: ArrangementId) -> Result<Option<u32>, HostError> {
        let latency = db::latency(&self.db, db::arrangement_in(&self.db, id));
        self.checked(latency.map(|known| known.mix))
    }

    pub fn params(
        &self,
        id: ArrangementId,
        channel: ChannelId,
    ) -> Result<Arc<ParamSlice>, HostError> {
        let arrangement = db::arrangement_in(&self.db, id);
        let params = db::params(&self.db, arrangement, db::channel_in(&self.db, channel));
        self.checked(params)
    }

    pub fn events(&self, id: ArrangementId, track: TrackId) -> Result<Arc<EventSlice>, HostError> {
        let arrangement = db::arrangement_in(&self.db, id);
        self.played(arrangement, track);
        let events = db::events(&self.db, arrangement, db::track_in(&self.db, track));
        self.checked(events)
    }

    /// The notes of a track from one tick to another, in whole windows of four bars
    /// of four quarters: at the cost of these windows.
    pub fn windows(
        &self,
        id: ArrangementId,
        track: TrackId,
        from: Ticks,
        to: Ticks,
    ) -> Result<Vec<Arc<Window>>, HostError> {
        let (of, input) = (db::arrangement_in(&self.db, id), db::track_in(&self.db, track));
        let number = |at: Ticks| at.0.div_euclid(WINDOW);
        let windows = (number(from)..=number(to.saturating_sub(Ticks(1)).max(from)))
            .map(|number| db::window(&self.db, of, input, db::window_in(&self.db, track, number)))
            .collect();
        self.checked(windows)
    }

    pub fn clips(&self, id: ArrangementId, track: TrackId) -> Result<Arc<ClipSlice>, HostError> {
        let arrangement = db::arrangement_in(&self.db, id);
        let clips = db::clips(&self.db, arrangement, db::track_in(&self.db, track));
        self.checked(clips)
    }

    /// What the samplers of a channel play.
    pub fn zones(&self, channel: ChannelId) -> Result<Arc<ZoneSlice>, HostError> {
        let zones = db::zones(&self.db, db::channel_in(&self.db, channel));
        self.checked(zones)
    }

    pub fn signatures(&self, id: ArrangementId) -> Result<Arc<SignatureMap>, HostError> {
        let signatures = db::signatures(&self.db, db::arrangement_in(&self.db, id));
        self.checked(signatures)
    }

    pub fn automation(&self, id: ArrangementId) -> Result<Arc<AutomationSlice>, HostError> {
        let automation = db::automation(&self.db, db::arrangement_in(&self.db, id));
        self.checked(automation)
    }

    /// A result, unless something of the project could not be read, for it or
    /// since the last time that the host could begin anew.
    fn checked<T>(&self, value: T) -> Result<T, HostError> {
        self.db.failure().map_or(Ok(value), |error| Err(error.into()))
    }

    /// Begins anew after something could not be read: what was derived since then
    /// may be less than there is. Perhaps it can be read now.
    fn mend(&mut self) {
        if self.db.failure().is_some() {
            self.rebuild();
        }
    }
}

fn database(world: World, memo: Arc<Memo>, seen: &Arc<Mutex<Option<Seen>>>) -> Database {
    let seen = Arc::clone(seen);
    let on_event = move |event: salsa::Event| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = seen.as_mut() else { return };
        match event.kind {
            salsa::EventKind::WillExecute { database_key } => seen.executed.push(database_key),
            salsa::EventKind::DidValidateMemoizedValue { database_key } => {
                seen.validated.push(database_key);
            }
            _ => {}
        }
    };
    Database::new(world, memo, Some(Box::new(on_event)))
}
