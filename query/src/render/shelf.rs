//! Segments of the render cache for those who play ahead.
//!
//! A thread of its own looks for what will soon be wanted, as a render would that
//! finds everything: from state to state by keys alone. Where an edit has broken
//! that chain it goes on from the state that a segment began in before; whoever
//! plays compares states and takes nothing that begins in another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::JoinHandle,
};

use pulse_engine::{
    anticipate::shelf::{News, Shelf, Shelved, ShelvedSound, Want},
    material::{Material, Slices},
    plan::{Plan, UnitInput},
    render::Points,
};
use pulse_schemas::{
    graph::{EdgeSpec, GraphSpec, NodeKey},
    hash::Hash,
};
use pulse_store::cache::CacheStore;

use super::{
    SEGMENT_SECONDS,
    key::{Found, INITIAL, SILENCE, found, segment_key, slice_hash, unit_hash},
    known::Known,
    length,
    pcm::decode,
    wiring::Wiring,
};
use crate::timeline::SongTime;

/// What is found of a unit beyond this many segments from the last wish goes.
const NEAR: i64 = 1;

/// Where the shelf finds things.
pub type Open = Arc<dyn Fn() -> Option<Arc<dyn CacheStore>> + Send + Sync>;

/// A shelf over a render cache. Dropping it ends its thread.
pub struct CacheShelf {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    call: Condvar,
    how: How,
}

/// How much is taken.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct How {
    /// Bytes of sound that may lie ready.
    pub limit: usize,
    /// Nanoseconds of a frame from which on it is dearer to compute than to read,
    /// check and copy.
    pub pays_from: f64,
    /// The segments of renders that are not of the usual length.
    pub segment_frames: Option<u32>,
}

impl Default for How {
    fn default() -> How {
        How { limit: 512 * 1024 * 1024, pays_from: 8.0, segment_frames: None }
    }
}

#[derive(Default)]
struct State {
    stop: bool,
    open: Option<Open>,
    revision: u64,
    time: Option<SongTime>,
    /// The time that the engine has not heard of yet.
    coming: Option<SongTime>,
    slices: Arc<Slices>,
    graph: Option<Graph>,
    wants: BTreeMap<(NodeKey, i64), bool>,
    ready: BTreeMap<(NodeKey, i64), Shelved>,
    bytes: usize,
}

#[derive(Clone)]
struct Graph {
    plan: Arc<Plan>,
    spec: Arc<GraphSpec>,
    material: Arc<Material>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CacheShelf {
    /// A shelf that is empty until it knows a cache and the song's time.
    pub fn start(how: How) -> std::io::Result<CacheShelf> {
        let shared = Shared { state: Mutex::default(), call: Condvar::new(), how };
        let shared = Arc::new(shared);
        let own = shared.clone();
        let named = std::thread::Builder::new().name("pulse-shelf".to_owned());
        let thread = named.spawn(move || work(&own))?;
        Ok(CacheShelf { shared, thread: Some(thread) })
    }

    /// Looks in another cache from now on; nothing is opened before it is wanted.
    pub fn look_in(&self, open: Option<Open>) {
        let mut state = lock(&self.shared.state);
        state.open = open;
        state.put_away();
    }

    /// The time of the song, to be said before the engine hears of it.
    pub fn set_time(&self, time: SongTime) {
        lock(&self.shared.state).coming = Some(time);
    }

    /// Bytes of sound that lie ready.
    pub fn held(&self) -> usize {
        lock(&self.shared.state).bytes
    }

    /// Waits until nothing is wanted that was not looked for.
    pub fn settle(&self) {
        let mut state = lock(&self.shared.state);
        while !state.wants.is_empty() {
            state = self.shared.call.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for CacheShelf {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.call.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shelf for CacheShelf {
    fn frames(&self, plan: &Plan, unit: usize, slices: &Slices) -> u64 {
        self.shared.how.length(plan, unit, slices) as u64
    }

    fn follow(&self, revision: u64, news: Option<News<'_>>) {
        let mut state = lock(&self.shared.state);
        state.revision = revision;
        if news.is_none() {
            state.time = state.coming.take().or(state.time.take());
        }
        let Some(News { plan, spec, material, slices, changed }) = news else { return };
        match changed {
            Some(changed) => Arc::make_mut(&mut state.slices).copy(changed, slices),
            None => state.slices = Arc::new(slices.clone()),
        }
        let (plan, spec, material) = (plan.clone(), spec.clone(), material.clone());
        state.graph = Some(Graph { plan, spec, material });
    }

    fn want(&self, want: Want) {
        let mut state = lock(&self.shared.state);
        if state.open.is_none() {
            return;
        }
        state.put_away_far(want);
        state.wants.insert((want.unit, want.number), want.sound);
        drop(state);
        self.shared.call.notify_all();
    }

    fn find(&self, unit: NodeKey, number: i64) -> Option<Shelved> {
        lock(&self.shared.state).ready.get(&(unit, number)).cloned()
    }

    fn pays_from(&self) -> f64 {
        self.shared.how.pays_from
    }
}

impl State {
    fn put_away(&mut self) {
        (self.ready, self.wants, self.bytes) = Default::default();
    }

    /// Whoever wants a segment has no use for others of that unit that lie elsewhere.
    fn put_away_far(&mut self, want: Want) {
        let of_unit = (want.unit, i64::MIN)..=(want.unit, i64::MAX);
        let far = self.ready.range(of_unit).map(|(place, _)| *place);
        let far: Vec<_> = far.filter(|place| (place.1 - want.number).abs() > NEAR).collect();
        for place in far {
            self.take_away(place);
        }
    }

    fn take_away(&mut self, place: (NodeKey, i64)) {
        if let Some(gone) = self.ready.remove(&place) {
            self.bytes -= size(&gone);
        }
    }

    /// What was found of units that are gone goes, too.
    fn keep_units(&mut self, units: &BTreeMap<NodeKey, usize>) {
        let gone = self.ready.keys().filter(|(unit, _)| !units.contains_key(unit));
        for place in gone.copied().collect::<Vec<_>>() {
            self.take_away(place);
        }
    }

    /// Without its sound where there is no room for that.
    fn put_up(&mut self, place: (NodeKey, i64), mut shelved: Shelved, limit: usize) {
        self.take_away(place);
        if self.bytes + size(&shelved) > limit {
            shelved.sound = None;
        }
        self.bytes += size(&shelved);
        self.ready.insert(place, shelved);
    }
}

fn size(shelved: &Shelved) -> usize {
    let Some(sound) = &shelved.sound else { return 0 };
    let sides = sound.outlets.iter().flatten().flat_map(|sound| sound.iter());
    sound.points.as_bytes().len() + sides.map(|side| side.len() * 4).sum::<usize>()
}

impl How {
    /// Frames of a segment of a unit, as renders have them.
    fn length(&self, plan: &Plan, unit: usize, slices: &Slices) -> i64 {
        let multiple = length::multiple(plan, &plan.units[unit], slices);
        let usual = plan.sample_rate * SEGMENT_SECONDS;
        i64::from(self.segment_frames.unwrap_or(usual)) * i64::from(multiple)
    }
}

/// What the thread does: one wish after the other, the earliest first.
fn work(shared: &Shared) {
    let mut search: Option<Search> = None;
    let mut states = BTreeMap::new();
    loop {
        let mut state = lock(&shared.state);
        let (place, sound) = loop {
            if state.stop {
                return;
            }
            let first = state.wants.iter().min_by_key(|((_, number), _)| *number);
            if let Some((&place, &sound)) = first {
                break (place, sound);
            }
            state = shared.call.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        if search.as_ref().is_none_or(|search| search.revision != state.revision) {
            let (graph, slices) = (state.graph.clone(), state.slices.clone());
            let time = state.time.clone();
            let parts = graph.zip(time).map(|(graph, time)| (graph, slices, time, state.revision));
            drop(state);
            search = parts.map(|(graph, slices, time, revision)| {
                Search::new(shared.how, graph, slices, time, revision)
            });
            state = lock(&shared.state);
            if let Some(search) = &search {
                state.keep_units(&search.units);
                states.retain(|(unit, _), _| search.units.contains_key(unit));
            }
        }
        let open = state.open.clone();
        drop(state);
        let Some(cache) = open.and_then(|open| open()) else {
            // Whoever has it will have it for a while.
            lock(&shared.state).wants.clear();
            shared.call.notify_all();
            continue;
        };
        let found = search.as_mut();
        let found = found.and_then(|search| search.look_for(&*cache, &mut states, place, sound));
        drop(cache);
        let mut state = lock(&shared.state);
        // What was wished for anew after an edit is looked for once more.
        if search.as_ref().is_none_or(|search| search.revision == state.revision) {
            state.wants.remove(&place);
        }
        if let Some(found) = found {
            state.put_up(place, found, shared.how.limit);
        }
        drop(state);
        shared.call.notify_all();
    }
}

/// States in which segments began, whatever played then.
type States = BTreeMap<(NodeKey, i64), Hash>;

/// What is known of one revision.
struct Search {
    how: How,
    revision: u64,
    graph: Graph,
    slices: Arc<Slices>,
    time: SongTime,
    wiring: Wiring,
    units: BTreeMap<NodeKey, usize>,
    /// By unit: the edges within it, and what all of its keys share.
    edges: Vec<Vec<EdgeSpec>>,
    bases: Vec<OnceLock<Hash>>,
    /// By unit and number: the state that a segment begins in, and what was noted.
    known: BTreeMap<(usize, i64), Option<(Hash, Known)>>,
}

impl Search {
    fn new(how: How, graph: Graph, slices: Arc<Slices>, time: SongTime, revision: u64) -> Search {
        let plan = &graph.plan;
        let wiring = Wiring::of(plan);
        let edges = wiring.edges_within(&graph.spec, plan);
        let edges = edges.into_iter().map(|edges| edges.into_iter().cloned().collect()).collect();
        let first = |unit: &pulse_engine::plan::PlanUnit| {
            unit.nodes.iter().map(|&node| plan.nodes[node as usize].key).min()
        };
        let units = plan.units.iter().enumerate();
        let units = units.filter_map(|(at, unit)| Some((first(unit)?, at))).collect();
        let bases = plan.units.iter().map(|_| OnceLock::new()).collect();
        let known = BTreeMap::new();
        Search { how, revision, slices, time, wiring, units, edges, bases, known, graph }
    }

    fn look_for(
        &mut self,
        cache: &dyn CacheStore,
        states: &mut States,
        (first, number): (NodeKey, i64),
        sound: bool,
    ) -> Option<Shelved> {
        // What was not there may have been rendered since.
        self.known.retain(|_, known| known.is_some());
        let unit = *self.units.get(&first)?;
        let (state, known) = self.known(cache, states, unit, number)?;
        let sound = sound.then(|| self.load(cache, unit, &known)).flatten().map(Arc::new);
        let after = known.state;
        Some(Shelved { revision: self.revision, state, after, sound })
    }

    fn load(&self, cache: &dyn CacheStore, unit: usize, known: &Known) -> Option<ShelvedSound> {
        if known.points == SILENCE {
            return None;
        }
        let frames = self.length(unit) as usize;
        let read = |hash: &Hash| cache.get_content(hash).ok().flatten();
        let points = Points::from_bytes(read(&known.points)?)?;
        let outlet = |hash: &Hash| match *hash {
            SILENCE => Some(None),
            _ => Some(Some(Arc::new(decode(&read(hash)?, frames)?))),
        };
        let outlets = known.ports.iter().map(outlet).collect::<Option<Vec<_>>>()?;
        Some(ShelvedSound { outlets, points })
    }

    fn first(&self, unit: usize) -> Option<NodeKey> {
        let plan = &self.graph.plan;
        plan.units[unit].nodes.iter().map(|&node| plan.nodes[node as usize].key).min()
    }

    fn length(&self, unit: usize) -> i64 {
        self.how.length(&self.graph.plan, unit, &self.slices)
    }

    /// The state before a segment and what a render noted of it: from the state that
    /// it began in lately, else along the whole row of segments.
    fn known(
        &mut self,
        cache: &dyn CacheStore,
        states: &mut States,
        unit: usize,
        number: i64,
    ) -> Option<(Hash, Known)> {
        let place = (self.first(unit)?, number);
        let mut tried = None;
        if let Some(&state) = states.get(&place) {
            if let Some(known) = self.look_up(cache, states, unit, number, state) {
                return Some((state, known));
            }
            tried = Some(state);
        }
        let mut at = number;
        let known = |search: &Search, at| search.known.get(&(unit, at)).cloned();
        while at > 0 && known(self, at - 1).is_none() {
            at -= 1;
        }
        loop {
            let state = match at {
                0 => INITIAL,
                _ => known(self, at - 1).flatten()?.1.state,
            };
            if at == number {
                if tried == Some(state) {
                    return None;
                }
                states.insert(place, state);
                return Some((state, self.look_up(cache, states, unit, at, state)?));
            }
            let found = self.look_up(cache, states, unit, at, state);
            let found = found.map(|found| (state, found));
            let found = self.known.entry((unit, at)).or_insert(found);
            found.as_ref()?;
            at += 1;
        }
    }

    /// What was noted of a segment that begins in a state.
    fn look_up(
        &mut self,
        cache: &dyn CacheStore,
        states: &mut States,
        unit: usize,
        number: i64,
        state: Hash,
    ) -> Option<Known> {
        let plan = self.graph.plan.clone();
        let planned = &plan.units[unit];
        if number < 0 || found(&plan, planned, &BTreeMap::new()) != Found::ByInput {
            return None;
        }
        let (frames, start) = (self.length(unit), number * self.length(unit));
        let mut heard = Vec::with_capacity(planned.inputs.len());
        for input in &planned.inputs {
            self.hear(cache, states, input, start..start + frames, &mut heard)?;
        }
        let present = |media: &Hash| self.is_present(planned, media);
        let (slices, time) = (&self.slices, &self.time);
        let slice = slice_hash(&plan, planned, slices, time, &present, start, frames);
        let kept = self.wiring.kept(unit);
        let base = self.bases[unit].get_or_init(|| {
            let edges: Vec<&EdgeSpec> = self.edges[unit].iter().collect();
            unit_hash(&edges, &plan, planned, kept, slices, frames)
        });
        let key = segment_key(base, &slice, &state, heard);
        let value = cache.get_action(&key).ok().flatten()?;
        Known::from_bytes(key, &value, kept.len())
    }

    /// Hashes of what an input hears within some frames of its reader.
    fn hear(
        &mut self,
        cache: &dyn CacheStore,
        states: &mut States,
        input: &UnitInput,
        frames: std::ops::Range<i64>,
        heard: &mut Vec<Hash>,
    ) -> Option<()> {
        let outlet = self.wiring.outlet(input.node, input.port)?;
        let segment = self.length(outlet.unit);
        let (from, to) = (frames.start + input.shift, frames.end + input.shift - 1);
        let mut before = None;
        for number in from.div_euclid(segment)..to.div_euclid(segment) + 1 {
            if number < 0 {
                heard.push(SILENCE);
                continue;
            }
            let place = (outlet.unit, number);
            // Everybody goes by the same guess: the unit itself compares it.
            let lately = states.get(&(self.first(outlet.unit)?, number));
            let agrees = |known: &Option<(Hash, Known)>| {
                known.as_ref().is_none_or(|(state, _)| lately.is_none_or(|lately| lately == state))
            };
            let known = match self.known.get(&place).filter(|known| agrees(known)) {
                Some(known) => known.clone(),
                None => {
                    let found = self.known(cache, states, outlet.unit, number);
                    self.known.insert(place, found.clone());
                    found
                }
            };
            let (state, known) = known?;
            // Of two guesses whoever plays would compare the first only.
            if before.is_some_and(|before| before != state) {
                return None;
            }
            before = Some(known.state);
            heard.push(*known.ports.get(outlet.port)?);
        }
        Some(())
    }

    /// Whether what plays has this media open.
    fn is_present(&self, unit: &pulse_engine::plan::PlanUnit, media: &Hash) -> bool {
        unit.nodes.iter().any(|&node| {
            let content = &self.graph.material.nodes[node as usize].content;
            let clips = content.clips.iter().map(|clip| (clip.spec.media, &clip.source));
            let zones = content.zones.iter().map(|zone| (zone.spec.media, &zone.source));
            clips.chain(zones).any(|(hash, source)| hash == *media && source.is_some())
        })
    }
}

/// Copies the content of some nodes.
trait Copy {
    fn copy(&mut self, nodes: &BTreeSet<NodeKey>, from: &Slices);
}

impl Copy for Slices {
    fn copy(&mut self, nodes: &BTreeSet<NodeKey>, from: &Slices) {
        fn put<T: Clone>(
            node: NodeKey,
            into: &mut BTreeMap<NodeKey, T>,
            from: &BTreeMap<NodeKey, T>,
        ) {
            match from.get(&node) {
                Some(content) => drop(into.insert(node, content.clone())),
                None => drop(into.remove(&node)),
            }
        }
        for &node in nodes {
            put(node, &mut self.params.0, &from.params.0);
            put(node, &mut self.automation.0, &from.automation.0);
            put(node, &mut self.events.0, &from.events.0);
            put(node, &mut self.clips.0, &from.clips.0);
            put(node, &mut self.zones.0, &from.zones.0);
        }
    }
}
