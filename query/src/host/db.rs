//! The salsa database: labels as inputs, derivations as queries.
//!
//! A query first reads the labels of what it depends on, then the revision
//! itself, which salsa does not see. What is asked for per owner has an input
//! per owner; what is asked for per arrangement reads labels of the arrangement,
//! never a thousand inputs. Structure is of medium durability and the rest of
//! low, so that an edit of a clip proves nothing about the graph again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pulse_engine::{
    material::{EventSlice, Window},
    registry::Registry,
};
use pulse_schemas::{
    entity::Channel,
    graph::{AutomationSlice, ClipSlice, GraphSpec, NodeKey, ParamSlice, ZoneSlice},
    id::{AnyId, ArrangementId, ChannelId, EntityKind, NodeId, TrackId},
    time::{SignatureMap, TempoMap},
};
use pulse_store::view::{ReadError, View};
use salsa::Durability;

use super::{labels::Labels, parts::Parts, touch::Touch};
use crate::{
    ambient::Ambient,
    chain::{self, Chain},
    cohort::{self, Cohorts, Gesture, Ground, Seeds, Speech},
    content::{self, Audible, Hearing, Placed, Played},
    graph::{Scope, SideInputs, join, side_inputs_of, tap, to_measure},
    memo::{Memo, MemoKey},
    routing::{Route, Routing, RoutingCycle, routes_of},
    score::Scores,
    source::SourceExt,
    stored::{Indexed, Stored},
    timeline,
    view::{
        Ctx, Row,
        arrangement::{self, Place, TrackPart},
        mixer,
        routing::Latencies,
        scratch,
    },
};

#[salsa::input]
pub struct ArrangementIn {
    #[returns(copy)]
    pub id: ArrangementId,
    #[returns(copy)]
    pub tracks: u64,
    #[returns(copy)]
    pub routing: u64,
    #[returns(copy)]
    pub automation: u64,
    #[returns(copy)]
    pub tempo: u64,
    #[returns(copy)]
    pub timeline: u64,
    #[returns(clone)]
    pub gestures: Arc<BTreeMap<TrackId, Gesture>>,
    #[returns(clone)]
    pub hearing: Arc<Hearing>,
    #[returns(clone)]
    pub seeds: Arc<Seeds>,
}

#[salsa::input]
pub struct TrackIn {
    #[returns(copy)]
    pub id: TrackId,
    #[returns(copy)]
    pub rows: u64,
    #[returns(copy)]
    pub content: u64,
    #[returns(copy)]
    pub places: u64,
}

/// A window of the notes of one track.
#[salsa::input]
pub struct WindowIn {
    #[returns(copy)]
    pub number: i64,
    /// Another after each change of what it holds. No label: which notes lie in a
    /// window depends on the tempo, so that it names no content.
    #[returns(copy)]
    pub revision: u64,
}

#[salsa::input]
pub struct ChannelIn {
    #[returns(copy)]
    pub id: ChannelId,
    #[returns(copy)]
    pub structure: u64,
    #[returns(copy)]
    pub strip: u64,
}

#[salsa::input(singleton)]
pub struct ProjectIn {
    #[returns(copy)]
    pub label: u64,
    #[returns(copy)]
    pub links: u64,
    /// Media, and who plays them in samplers.
    #[returns(copy)]
    pub media: u64,
    #[returns(copy)]
    pub sample_rate: u32,
}

/// What queries read behind their labels.
pub struct World {
    pub view: View,
    pub registry: Arc<Registry>,
    pub ambient: Ambient,
    pub labels: Labels,
    /// The rate of whoever plays; the project's when none.
    pub rate: Option<u32>,
    /// Of clips of the revision, by time.
    pub scores: Scores,
}

impl World {
    pub fn sample_rate(&self) -> u32 {
        let project = || Stored::new(self.view.clone()).project();
        self.rate.unwrap_or_else(|| project().map_or(48_000, |project| project.sample_rate))
    }
}

/// Inputs that exist, by what they stand for.
#[derive(Default)]
pub struct Inputs {
    pub arrangements: BTreeMap<ArrangementId, ArrangementIn>,
    pub tracks: BTreeMap<TrackId, TrackIn>,
    pub channels: BTreeMap<ChannelId, ChannelIn>,
    pub windows: BTreeMap<(TrackId, i64), WindowIn>,
    /// Windows that nobody asks for any more.
    pub shut: usize,
}

impl Inputs {
    pub fn held(&self) -> usize {
        self.arrangements.len() + self.tracks.len() + self.channels.len() + self.windows.len()
    }

    pub fn has_windows(&self, track: TrackId) -> bool {
        self.windows.range((track, i64::MIN)..=(track, i64::MAX)).next().is_some()
    }

    /// Gives up windows. Whoever asks for one again gets another.
    pub fn shut(&mut self, track: TrackId, number: Option<i64>) {
        let range = match number {
            Some(number) => (track, number)..=(track, number),
            None => (track, i64::MIN)..=(track, i64::MAX),
        };
        let gone: Vec<_> = self.windows.range(range).map(|(key, _)| *key).collect();
        self.shut += gone.iter().filter_map(|key| self.windows.remove(key)).count();
    }
}

#[salsa::db]
pub trait Db: salsa::Database {
    fn world(&self) -> &World;
    fn memo(&self) -> &Memo;
    fn parts(&self) -> &Parts<TrackPart>;
    fn plays(&self) -> &Parts<Played>;
    fn laid(&self) -> &Parts<Placed>;
    fn inputs(&self) -> MutexGuard<'_, Inputs>;
    /// Notes that something could not be read.
    fn fail(&self, error: ReadError);
    fn has_failed(&self) -> bool;
}

#[salsa::db]
pub struct Database {
    storage: salsa::Storage<Self>,
    pub world: World,
    pub memo: Arc<Memo>,
    pub parts: Parts<TrackPart>,
    pub plays: Parts<Played>,
    pub laid: Parts<Placed>,
    pub inputs: Mutex<Inputs>,
    /// What could not be read, from then on until the database is made anew.
    failure: Mutex<Option<Arc<ReadError>>>,
}

pub type OnEvent = Box<dyn Fn(salsa::Event) + Send + Sync>;

impl Database {
    pub fn new(world: World, memo: Arc<Memo>, on_event: Option<OnEvent>) -> Database {
        let storage = salsa::Storage::new(on_event);
        let (inputs, failure) = (Mutex::default(), Mutex::default());
        let (parts, plays, laid) = (Parts::default(), Parts::default(), Parts::default());
        let db = Database { storage, world, memo, parts, plays, laid, inputs, failure };
        let rate = db.world.sample_rate();
        let label = |touch| db.world.labels.of(touch);
        let (project, links, media) =
            (label(Touch::Project), label(Touch::Links), label(Touch::Media));
        let _singleton = ProjectIn::builder(project, links, media, rate)
            .durability(Durability::MEDIUM)
            .media_durability(Durability::LOW)
            .new(&db);
        db
    }

    /// Why nothing that was derived since can be trusted.
    pub fn failure(&self) -> Option<Arc<ReadError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[salsa::db]
impl salsa::Database for Database {}

#[salsa::db]
impl Db for Database {
    fn world(&self) -> &World {
        &self.world
    }

    fn memo(&self) -> &Memo {
        &self.memo
    }

    fn parts(&self) -> &Parts<TrackPart> {
        &self.parts
    }

    fn plays(&self) -> &Parts<Played> {
        &self.plays
    }

    fn laid(&self) -> &Parts<Placed> {
        &self.laid
    }

    fn inputs(&self) -> MutexGuard<'_, Inputs> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: ReadError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| Arc::new(error));
    }

    fn has_failed(&self) -> bool {
        self.failure().is_some()
    }
}

/// Reads the present revision; what can't be read is noted.
pub fn read<T>(db: &dyn Db, derive: impl FnOnce(&Ctx<'_>) -> T) -> T {
    let world = db.world();
    let source = Indexed { stored: Stored::new(world.view.clone()), scores: &world.scores };
    let ctx = Ctx { source: &source, registry: &world.registry, ambient: &world.ambient };
    let value = derive(&ctx);
    if let Err(error) = source.stored.check() {
        db.fail(error);
    }
    value
}

/// Like [`read`], by way of the memo: content that was seen before is known. What
/// was derived from less than there is, here or in a query below, is not kept.
fn recall<T: Send + Sync + 'static>(
    db: &dyn Db,
    query: &'static str,
    subject: impl Into<AnyId>,
    labels: &[u64],
    derive: impl FnOnce(&Ctx<'_>) -> (T, usize),
) -> Arc<T> {
    let key = MemoKey { query, revision: 1, subject: subject.into(), labels: labels.to_vec() };
    let derived = db.memo().get(key, || {
        let (value, cost) = read(db, derive);
        if db.has_failed() { Err(value) } else { Ok((value, cost)) }
    });
    derived.unwrap_or_else(Arc::new)
}

pub fn arrangement_in(db: &dyn Db, id: ArrangementId) -> ArrangementIn {
    if let Some(known) = db.inputs().arrangements.get(&id) {
        return *known;
    }
    let labels = &db.world().labels;
    let gestures = read(db, |ctx| cohort::gestures(ctx.source, id));
    let hearing = read(db, |ctx| Hearing::of(ctx.source, id));
    let made = ArrangementIn::builder(
        id,
        labels.of(Touch::Tracks(id)),
        labels.of(Touch::Routing(id)),
        labels.of(Touch::Automation(id)),
        labels.of(Touch::Tempo(id)),
        labels.of(Touch::Timeline(id)),
        Arc::new(gestures),
        Arc::new(hearing),
        Arc::new(db.world().ambient.seeds.clone()),
    )
    .durability(Durability::LOW)
    .id_durability(Durability::NEVER_CHANGE)
    .tracks_durability(Durability::MEDIUM)
    .routing_durability(Durability::MEDIUM)
    .tempo_durability(Durability::MEDIUM)
    .new(db);
    db.inputs().arrangements.insert(id, made);
    made
}

pub fn track_in(db: &dyn Db, id: TrackId) -> TrackIn {
    if let Some(known) = db.inputs().tracks.get(&id) {
        return *known;
    }
    let labels = &db.world().labels;
    let (rows, content) = (labels.of(Touch::Track(id)), labels.of(Touch::Content(id)));
    let made = TrackIn::builder(id, rows, content, labels.of(Touch::Places(id)))
        .durability(Durability::LOW)
        .id_durability(Durability::NEVER_CHANGE)
        .new(db);
    db.inputs().tracks.insert(id, made);
    made
}

pub fn window_in(db: &dyn Db, track: TrackId, number: i64) -> WindowIn {
    if let Some(known) = db.inputs().windows.get(&(track, number)) {
        return *known;
    }
    let made = WindowIn::builder(number, 0)
        .durability(Durability::LOW)
        .number_durability(Durability::NEVER_CHANGE)
        .new(db);
    db.inputs().windows.insert((track, number), made);
    made
}

pub fn channel_in(db: &dyn Db, id: ChannelId) -> ChannelIn {
    if let Some(known) = db.inputs().channels.get(&id) {
        return *known;
    }
    let labels = &db.world().labels;
    let (structure, strip) = (labels.of(Touch::Structure(id)), labels.of(Touch::Strip(id)));
    let made = ChannelIn::builder(id, structure, strip)
        .durability(Durability::LOW)
        .id_durability(Durability::NEVER_CHANGE)
        .structure_durability(Durability::MEDIUM)
        .new(db);
    db.inputs().channels.insert(id, made);
    made
}

/// Tempo maps do not compare; the label does it for them.
#[derive(Clone)]
pub struct Tempo {
    label: u64,
    pub map: Arc<TempoMap>,
}

impl Tempo {
    pub fn label(&self) -> u64 {
        self.label
    }
}

impl PartialEq for Tempo {
    fn eq(&self, other: &Tempo) -> bool {
        self.label == other.label
    }
}

#[salsa::tracked(returns(clone))]
pub fn tempo(db: &dyn Db, of: ArrangementIn) -> Tempo {
    let (label, id) = (of.tempo(db), of.id(db));
    let map =
        recall(db, "tempo", id.any(), &[label], |ctx| (content::tempo_map(ctx.source, id), 1_024));
    Tempo { label, map }
}

/// The tracks of an arrangement in order.
#[salsa::tracked(returns(clone))]
pub fn places(db: &dyn Db, of: ArrangementIn) -> Arc<Vec<Place>> {
    let (label, id) = (of.tracks(db), of.id(db));
    recall(db, "places", id.any(), &[label], |ctx| {
        let places = arrangement::places(ctx.source, id);
        let cost = places.len() * 32;
        (places, cost)
    })
}

/// How deep tracks lie, for those that do not lie at the top.
#[salsa::tracked(returns(clone))]
pub fn depths(db: &dyn Db, of: ArrangementIn) -> Arc<BTreeMap<TrackId, u16>> {
    let places = places(db, of);
    let nested = places.iter().filter(|place| place.depth > 0);
    Arc::new(nested.map(|place| (place.track, place.depth)).collect())
}

/// The depth of one track, so that a row depends on its own alone.
#[salsa::tracked(returns(copy))]
pub fn depth(db: &dyn Db, of: ArrangementIn, track: TrackIn) -> u16 {
    depths(db, of).get(&track.id(db)).copied().unwrap_or(0)
}

/// What one channel brings to the routing of its arrangement.
#[derive(Clone, PartialEq, Debug)]
pub struct Wiring {
    channel: Channel,
    routes: Vec<Route>,
    nodes: Vec<NodeId>,
    side_inputs: SideInputs,
}

#[salsa::tracked(returns(clone))]
pub fn wiring(db: &dyn Db, of: ChannelIn) -> Option<Arc<Wiring>> {
    let (label, id) = (of.structure(db), of.id(db));
    let wiring = recall(db, "wiring", id.any(), &[label], |ctx| {
        let channel: Option<Channel> = ctx.source.get(id.0);
        let wiring = channel.map(|channel| {
            Arc::new(Wiring {
                routes: routes_of(ctx.source, &channel),
                nodes: cohort::nodes_of(ctx.source, id),
                side_inputs: side_inputs_of(ctx.source, id),
                channel: super::touch::skeleton(&channel),
            })
        });
        (wiring, 1_024)
    });
    (*wiring).clone()
}

/// What one channel says to others. Apart from its wiring, which a modulation leaves alone.
#[salsa::tracked(returns(clone))]
pub fn speech(db: &dyn Db, of: ChannelIn) -> Arc<Speech> {
    let (label, id) = (of.structure(db), of.id(db));
    recall(db, "speech", id.any(), &[label], |ctx| {
        let channel: Option<Channel> = ctx.source.get(id.0);
        (channel.map(|it| cohort::speech_of(ctx.source, &it)).unwrap_or_default(), 64)
    })
}

#[salsa::tracked(returns(clone))]
pub fn routes(db: &dyn Db, of: ArrangementIn) -> Arc<Routing> {
    let (label, id) = (of.routing(db), of.id(db));
    recall(db, "routing", id.any(), &[label], |ctx| {
        let keys = ctx.source.referrer_keys(EntityKind::Channel, id.any());
        let wirings = keys.iter().filter_map(|key| wiring(db, channel_in(db, ChannelId(key.id))));
        let wirings: Vec<_> = wirings.filter(|wiring| wiring.channel.arrangement == id).collect();
        let routes = wirings.iter().flat_map(|wiring| wiring.routes.iter().cloned()).collect();
        let channels = wirings.iter().map(|wiring| wiring.channel.clone()).collect();
        let routing = Routing::of(channels, routes);
        let cost = routing.channels.len() * 256 + routing.routes.len() * 128;
        (routing, cost)
    })
}

#[salsa::tracked(returns(clone))]
pub fn chain_of(db: &dyn Db, of: ChannelIn) -> Option<Arc<Chain>> {
    let (label, id) = (of.structure(db), of.id(db));
    let chain = recall(db, "chain", id.any(), &[label], |ctx| {
        let channel: Option<Channel> = ctx.source.get(id.0);
        let chain = channel.map(|channel| {
            Arc::new(chain::chain(ctx.source, ctx.registry, &super::touch::skeleton(&channel)))
        });
        let cost = chain.as_ref().map_or(64, |chain| 512 + chain.nodes.len() * 256);
        (chain, cost)
    });
    (*chain).clone()
}

/// The channels as a mixer has them.
#[salsa::tracked(returns(clone))]
pub fn mixer_order(db: &dyn Db, of: ArrangementIn) -> Arc<Vec<ChannelId>> {
    let (routing, places) = (routes(db, of), places(db, of));
    Arc::new(mixer::order(&routing.channels, &places))
}

/// The graph of the whole mix; none while the routing has a loop.
#[salsa::tracked(returns(clone))]
pub fn graph(db: &dyn Db, of: ArrangementIn) -> Option<Arc<GraphSpec>> {
    let routing = routes(db, of);
    joined(db, &routing, &Scope::mix()).ok().map(Arc::new)
}

/// The graph that is played, before anybody is told to be live.
#[salsa::tracked(returns(clone))]
pub fn measured(db: &dyn Db, of: ArrangementIn) -> Result<Arc<GraphSpec>, RoutingCycle> {
    let routing = routes(db, of);
    let mut spec = joined(db, &routing, &to_measure(&routing))?;
    tap(&mut spec);
    Ok(Arc::new(spec))
}

/// The nodes of that graph that are played live.
#[salsa::tracked(returns(clone))]
pub fn live_nodes(db: &dyn Db, of: ArrangementIn) -> Arc<BTreeSet<NodeKey>> {
    let (routing, cohorts) = (routes(db, of), cohorts(db, of));
    let chain = |channel| chain_of(db, channel_in(db, channel));
    Arc::new(crate::graph::live_nodes(&routing, &cohorts, chain))
}

fn joined(db: &dyn Db, routing: &Routing, scope: &Scope) -> Result<GraphSpec, RoutingCycle> {
    let chains: BTreeMap<ChannelId, Chain> = routing
        .channels
        .iter()
        .filter_map(|channel| {
            let chain = chain_of(db, channel_in(db, channel.id))?;
            Some((channel.id, (*chain).clone()))
        })
        .collect();
    let wirings = routing.channels.iter().filter_map(|it| wiring(db, channel_in(db, it.id)));
    let mut side = SideInputs::new();
    wirings.for_each(|wiring| side.extend(wiring.side_inputs.clone()));
    join(&db.world().registry, routing, &chains, &side, scope)
}

#[salsa::tracked(returns(clone))]
pub fn latency(db: &dyn Db, of: ArrangementIn) -> Option<Arc<Latencies>> {
    let rate = ProjectIn::get(db).sample_rate(db);
    let spec = graph(db, of)?;
    scratch::latencies(&db.world().registry, &spec, rate).map(Arc::new)
}

/// What cohorts are assigned on: the structure that they need.
#[salsa::tracked(returns(clone))]
pub fn ground(db: &dyn Db, of: ArrangementIn) -> Arc<Ground> {
    let routing = routes(db, of);
    let wirings = routing.channels.iter().filter_map(|it| wiring(db, channel_in(db, it.id)));
    let (mut places, mut speaking) = (BTreeMap::new(), Vec::new());
    for wiring in wirings.filter(|wiring| !wiring.nodes.is_empty()) {
        let channel = wiring.channel.id;
        places.extend(wiring.nodes.iter().map(|node| (*node, channel)));
        speaking.push((channel, (*speech(db, channel_in(db, channel))).clone()));
    }
    Arc::new(Ground::of(&routing, places, &cohort::speeches(speaking)))
}

#[salsa::tracked(returns(clone))]
pub fn cohorts(db: &dyn Db, of: ArrangementIn) -> Arc<Cohorts> {
    let (gestures, seeds) = (of.gestures(db), of.seeds(db));
    Arc::new(cohort::assign(ground(db, of), &gestures, &seeds))
}

/// Whether one channel is heard: what keeps a mute of one from all the others.
#[salsa::tracked(returns(copy))]
pub fn heard(db: &dyn Db, of: ArrangementIn, channel: ChannelIn) -> bool {
    // The label of what is read of the channel itself.
    let (_, id) = (channel.strip(db), channel.id(db));
    let hearing = of.hearing(db);
    let found: Option<Channel> = read(db, |ctx| ctx.source.get(id.0));
    found.is_some_and(|channel| channel.arrangement == of.id(db) && hearing.hears(&channel))
}

#[salsa::tracked(returns(clone))]
pub fn strip(db: &dyn Db, of: ArrangementIn, channel: ChannelIn) -> Option<Row> {
    let (label, id) = (channel.strip(db), channel.id(db));
    let heard = heard(db, of, channel);
    let row = recall(db, "strip", id.any(), &[label, u64::from(heard)], |ctx| {
        let channel: Option<Channel> = ctx.source.get(id.0);
        (channel.map(|channel| mixer::channel_row(ctx, &channel, heard)), 2_048)
    });
    (*row).clone()
}

/// Parameter values of the engine nodes of one channel.
#[salsa::tracked(returns(clone))]
pub fn params(db: &dyn Db, of: ArrangementIn, channel: ChannelIn) -> Arc<ParamSlice> {
    let (label, id) = (channel.strip(db), channel.id(db));
    let links = ProjectIn::get(db).links(db);
    let heard = heard(db, of, channel);
    recall(db, "params", id.any(), &[label, links, u64::from(heard)], |ctx| {
        let found: Option<Channel> = ctx.source.get(id.0);
        let audible = Audible(heard.then_some(id).into_iter().collect());
        let tempo = TempoMap::repaired(&[]).0;
        // Values of parameters have no place in time; the map is not read.
        let ctx = content::Ctx {
            source: ctx.source,
            registry: ctx.registry,
            tempo: &tempo,
            rate: 48_000,
        };
        let slice = found.map(|channel| content::channel_params(&ctx, &channel, &audible));
        (slice.unwrap_or_default(), 2_048)
    })
}

#[salsa::tracked(returns(clone))]
pub fn track_rows(db: &dyn Db, of: ArrangementIn, track: TrackIn) -> Option<Arc<TrackPart>> {
    let (label, id) = (track.rows(db), track.id(db));
    let (tempo, depth) = (tempo(db, of), depth(db, of, track));
    let labels = [label, tempo.label, u64::from(depth)];
    let part = recall(db, "trackRows", id.any(), &labels, |ctx| {
        let last = db.parts().last(id, (tempo.label, 0));
        let old = last.as_ref().map(|(part, dirt)| (&**part, dirt));
        let part = arrangement::renewed(ctx, &tempo.map, Place { track: id, depth }, old);
        // Rows that stay are shared with the part before.
        let cost = match (&part, old) {
            (None, _) => 64,
            (Some(part), Some((_, dirt))) if !dirt.lanes => {
                2_048 + part.size() + dirt.clips.len() * 8_192
            }
            (Some(part), _) => 1_024 + part.size() * 1_536,
        };
        (part.map(Arc::new), cost)
    });
    db.parts().keep(id, (tempo.label, 0), part.as_ref().as_ref());
    (*part).clone()
}

/// Which clips of a track play notes, and in which windows.
#[salsa::tracked(returns(clone))]
pub fn placed(db: &dyn Db, of: ArrangementIn, track: TrackIn) -> Arc<Placed> {
    let (label, id) = (track.places(db), track.id(db));
    let (tempo, rate) = (tempo(db, of), ProjectIn::get(db).sample_rate(db));
    let time = (tempo.label, rate);
    let placed = recall(db, "placed", id.any(), &[label, tempo.label, u64::from(rate)], |ctx| {
        let last = db.laid().last(id, time);
        let old = last.as_ref().map(|(placed, dirt)| (&**placed, dirt));
        let (source, registry) = (ctx.source, ctx.registry);
        let inner = content::Ctx { source, registry, tempo: &tempo.map, rate };
        let placed = content::placed(&inner, id, old);
        let cost = match old {
            Some((_, dirt)) if !dirt.lanes => 256 + placed.size() + dirt.clips.len() * 16_384,
            _ => 256 + placed.size() * 384,
        };
        (placed, cost)
    });
    db.laid().keep(id, time, Some(&placed));
    placed
}

/// What is said in one window of the notes of a track.
#[salsa::tracked(returns(clone))]
pub fn window(db: &dyn Db, of: ArrangementIn, track: TrackIn, at: WindowIn) -> Arc<Window> {
    let (_, number, id) = (at.revision(db), at.number(db), track.id(db));
    let (tempo, rate) = (tempo(db, of), ProjectIn::get(db).sample_rate(db));
    recall_window(db, &placed(db, of, track), id, number, &tempo, rate)
}

/// A window behind the label of all that the track plays.
fn recall_window(
    db: &dyn Db,
    placed: &Placed,
    track: TrackId,
    number: i64,
    tempo: &Tempo,
    rate: u32,
) -> Arc<Window> {
    let content = db.world().labels.of(Touch::Content(track));
    let labels = [content, number as u64, tempo.label, u64::from(rate)];
    recall(db, "window", track.any(), &labels, |ctx| {
        let (source, registry) = (ctx.source, ctx.registry);
        let inner = content::Ctx { source, registry, tempo: &tempo.map, rate };
        let window = Window::new(content::window(&inner, placed, number));
        let cost = 256 + window.events().len() * 256;
        (window, cost)
    })
}

/// What one track plays, whoever plays it.
#[salsa::tracked(returns(clone))]
pub fn played(db: &dyn Db, of: ArrangementIn, track: TrackIn) -> Arc<Played> {
    let (label, id) = (track.content(db), track.id(db));
    let (tempo, rate) = (tempo(db, of), ProjectIn::get(db).sample_rate(db));
    let time = (tempo.label, rate);
    // Always asked for, whether the memo knows the rest or not: a query must not
    // depend on what salsa doesn't see. Windows are behind the label of the content.
    let placed = placed(db, of, track);
    let played = recall(db, "played", id.any(), &[label, tempo.label, u64::from(rate)], |ctx| {
        let last = db.plays().last(id, time);
        let old = last.as_ref().map(|(played, dirt)| (&**played, dirt));
        let (source, registry) = (ctx.source, ctx.registry);
        let inner = content::Ctx { source, registry, tempo: &tempo.map, rate };
        let notes = content::Notes {
            whole: &|| {
                let windows = placed.windows(&inner).into_iter();
                windows.map(|(number, said)| (number, Arc::new(Window::new(said)))).collect()
            },
            window: &|number| recall_window(db, &placed, id, number, &tempo, rate),
        };
        let played = content::played(&inner, id, &notes, old);
        // What stays is shared with the state before, and windows are known apart.
        let cost = match old {
            Some((_, dirt)) if !dirt.lanes => {
                1_024 + played.size() * 16 + dirt.clips.len() * 16_384
            }
            _ => 256 + played.size() * 384 + played.events().len() * 96,
        };
        (played, cost)
    });
    db.plays().keep(id, time, Some(&played));
    played
}

/// The channel that plays a track.
#[salsa::tracked(returns(copy))]
pub fn sounds_in(db: &dyn Db, track: TrackIn) -> Option<ChannelId> {
    let (_, id) = (track.content(db), track.id(db));
    read(db, |ctx| ctx.source.channel_of(id)).map(|channel| channel.id)
}

/// Notes and controllers of one track at frames.
#[salsa::tracked(returns(clone))]
pub fn events(db: &dyn Db, of: ArrangementIn, track: TrackIn) -> Arc<EventSlice> {
    let found = played(db, of, track);
    let chain = sounds_in(db, track).and_then(|channel| chain_of(db, channel_in(db, channel)));
    let players = chain.as_ref().map(|chain| chain.players.clone()).unwrap_or_default();
    let slice = players.into_iter().map(|player| (player, found.events().clone()));
    Arc::new(EventSlice(slice.collect()))
}

/// What the sampler nodes of one channel play. A channel without a sampler does
/// not depend on any media.
#[salsa::tracked(returns(clone))]
pub fn zones(db: &dyn Db, channel: ChannelIn) -> Arc<ZoneSlice> {
    let (label, id) = (channel.structure(db), channel.id(db));
    let samples = read(db, |ctx| {
        let channel: Option<Channel> = ctx.source.get(id.0);
        channel.is_some_and(|channel| content::samples(ctx.source, &channel))
    });
    if !samples {
        return Arc::default();
    }
    let media = ProjectIn::get(db).media(db);
    recall(db, "zones", id.any(), &[label, media], |ctx| {
        let channel: Option<Channel> = ctx.source.get(id.0);
        let slice = channel.map(|channel| content::channel_zones(ctx.source, &channel));
        let slice = slice.unwrap_or_default();
        let cost = 64 + slice.0.values().map(|zones| zones.len() * 256).sum::<usize>();
        (slice, cost)
    })
}

/// When things are, beside the tempo.
#[salsa::tracked(returns(clone))]
pub fn signatures(db: &dyn Db, of: ArrangementIn) -> Arc<SignatureMap> {
    let (label, id) = (of.timeline(db), of.id(db));
    recall(db, "signatures", id.any(), &[label], |ctx| {
        (timeline::signature_map(ctx.source, id), 1_024)
    })
}

/// The audio clips of one track at frames, by the node that plays them.
#[salsa::tracked(returns(clone))]
pub fn clips(db: &dyn Db, of: ArrangementIn, track: TrackIn) -> Arc<ClipSlice> {
    let found = played(db, of, track);
    // Nobody hears a track that has no channel.
    let found = sounds_in(db, track).map(|_| found).unwrap_or_default();
    let lanes = found.audio().map(|(node, clips)| (node, clips.iter().cloned().collect()));
    Arc::new(ClipSlice(lanes.collect()))
}

/// The automation of an arrangement at frames.
#[salsa::tracked(returns(clone))]
pub fn automation(db: &dyn Db, of: ArrangementIn) -> Arc<AutomationSlice> {
    let (label, id) = (of.automation(db), of.id(db));
    let (tempo, rate) = (tempo(db, of), ProjectIn::get(db).sample_rate(db));
    recall(db, "automation", id.any(), &[label, tempo.label, u64::from(rate)], |ctx| {
        let (source, registry) = (ctx.source, ctx.registry);
        let inner = content::Ctx { source, registry, tempo: &tempo.map, rate };
        // Track by track, each known by the label of what it plays: an edit of one
        // reads no other.
        let mut slice = AutomationSlice::default();
        for key in source.referrer_keys(EntityKind::Track, id.any()) {
            let track = TrackId(key.id);
            let content = db.world().labels.of(Touch::Content(track));
            let labels = [content, tempo.label, u64::from(rate)];
            let part = recall(db, "trackAutomation", track.any(), &labels, |_| {
                let curves = content::track_automation(&inner, track);
                let points: usize = curves.iter().map(content::Curve::points).sum();
                (curves, 64 + points * 48)
            });
            part.iter().for_each(|curve| curve.add_to(&mut slice));
        }
        let points: usize = slice.0.values().flat_map(|params| params.values()).map(Vec::len).sum();
        (slice, 64 + points * 48)
    })
}
