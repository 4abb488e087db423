//! The side of the engine that renders ahead: loads the two parts of a graph at
//! one frame, and gives every act that concerns what is ahead a frame that lies
//! far enough in the future.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pulse_schemas::{
    graph::{GraphSpec, NodeKey, OutputKind},
    id::AnyId,
};

use super::{Current, Engine, EngineError, Loaded, Loader, changed, profile_of};
use crate::{
    anticipate::{
        AheadStats, Anticipation,
        field::{Captured, Field, Maker, Moment},
        source::{self, Taps},
        split::{Split, split},
        unit::{Stamped, Unit, What},
        yard::Yard,
    },
    exec::Executor,
    material::{Bound, Material, MediaResolver, NoMedia, NodeMaterial, Slices},
    parallel::Crew,
    plan::Plan,
    rt::{
        course::Course,
        events::Act,
        feedback::Fault,
        handoff::{Capture, Parcel, Program},
        outlet::speakers,
        song::Song,
    },
};

/// What acts need to know; part of the control.
pub(super) struct Ahead {
    /// Where the audio thread will be at the frame of the last act.
    pilot: Course,
    song: Arc<Song>,
    look_ahead: u64,
    lead: u64,
    last: u64,
    pub field: Option<Arc<Field>>,
    pub yard: Arc<Yard>,
    rewinds: u64,
    /// What happened lately.
    log: VecDeque<Stamped>,
    /// Nodes that the audio thread will have, and when.
    arrivals: BTreeMap<NodeKey, u64>,
    #[cfg(test)]
    routed: u64,
}

/// What loading needs to know; part of the loader.
pub(super) struct AheadLoader {
    maker: Maker,
    /// Where the course stands on the audio thread.
    now: Arc<AtomicU64>,
    /// The graph that was loaded last, as a whole.
    whole: Option<GraphSpec>,
    split: Split,
    /// Nodes that are live whatever they are.
    held: BTreeMap<NodeKey, u64>,
    /// The number of the last change of what plays.
    revision: u64,
    /// The last capture that was asked for, and what came of it.
    captures: u64,
    captured: Option<Captured>,
    /// What every unit had missed at the last look.
    missed: BTreeMap<NodeKey, u64>,
    pub stats: AheadStats,
}

pub(super) fn assemble(
    config: &super::Config,
    anticipation: Anticipation,
    now: Arc<AtomicU64>,
) -> Result<(Ahead, AheadLoader), EngineError> {
    let rate = config.device.sample_rate;
    let frames = |ms: f64| libm::rint(ms.max(0.0) * 0.001 * f64::from(rate)) as u64;
    let lead = frames(anticipation.lead_ms).max(1);
    let look_ahead = frames(anticipation.look_ahead_ms).max(lead + 2 * config.max_block as u64);
    let shelf = config.shelf.clone();
    let maker = Maker::new(config.registry.clone(), rate, config.max_block, look_ahead, shelf)
        .map_err(Box::new)?;
    let yard = Yard::start(now.clone(), look_ahead, anticipation.workers)
        .map_err(|error| EngineError::Thread { reason: error.to_string() })?;
    let song = Arc::new(Song::plain(rate));
    let ahead = Ahead {
        pilot: Course::new(rate),
        song,
        look_ahead,
        lead,
        last: 0,
        field: None,
        yard: Arc::new(yard),
        rewinds: 0,
        log: VecDeque::new(),
        arrivals: BTreeMap::new(),
        #[cfg(test)]
        routed: 0,
    };
    let stats = AheadStats { look_ahead_frames: look_ahead, ..AheadStats::default() };
    let loader = AheadLoader {
        maker,
        now,
        whole: None,
        split: Split::default(),
        held: BTreeMap::new(),
        revision: 0,
        captures: 0,
        captured: None,
        missed: BTreeMap::new(),
        stats,
    };
    Ok((ahead, loader))
}

/// What is to play from now on.
struct New<'a> {
    spec: &'a GraphSpec,
    slices: &'a Slices,
    /// Nodes whose content is not what it was.
    changed: &'a BTreeSet<NodeKey>,
    media: &'a dyn MediaResolver,
}

/// What becomes of an act.
pub(super) struct Routed {
    pub at: u64,
    /// Whether the audio thread has to know.
    pub heard: bool,
    /// Whether those have to know who render ahead.
    pub ahead: bool,
}

impl Ahead {
    /// A frame that nobody has to be late for, no earlier than `wanted`.
    fn stamp(&mut self, clock: u64, wanted: u64, latency: u64) -> u64 {
        let at = wanted.max(clock + self.lead + latency).max(self.last);
        self.last = at;
        self.pilot.run_to(at);
        at
    }

    fn latency(&self) -> u64 {
        self.field.as_ref().map_or(0, |field| u64::from(field.plan.latency()))
    }

    /// Decides when an act happens, before it is sent.
    pub fn route(&mut self, clock: u64, wanted: u64, act: Act) -> Routed {
        let routed = self.choose(clock, wanted, act);
        #[cfg(test)]
        {
            self.routed = routed.at.max(clock);
        }
        routed
    }

    fn choose(&mut self, clock: u64, wanted: u64, act: Act) -> Routed {
        let of_unit = |node| self.field.as_ref().is_some_and(|field| field.unit_of(node).is_some());
        match act {
            Act::Metronome { .. } => Routed { at: wanted, heard: true, ahead: false },
            Act::Event { node, .. } | Act::Param { node, .. } | Act::Bypass { node, .. }
                if !of_unit(node) =>
            {
                // Nobody listens before the node is there.
                let at = self.arrivals.get(&node).map_or(wanted, |&at| wanted.max(at));
                Routed { at, heard: true, ahead: false }
            }
            _ => {
                let at = self.stamp(clock, wanted, self.latency());
                Routed { at, heard: act.is_transport(), ahead: true }
            }
        }
    }

    /// Tells the units, after the act was sent.
    pub fn done(&mut self, routed: &Routed, act: Act) {
        let from = self.pilot.ran();
        let stamped = Stamped { at: routed.at, what: What::Act(act) };
        if !matches!(act, Act::Metronome { .. }) && routed.ahead {
            self.note(stamped.clone());
        }
        match act {
            Act::Metronome { .. } => return,
            Act::Event { node, .. } | Act::Param { node, .. } | Act::Bypass { node, .. } => {
                let Some(field) = &self.field else { return };
                let Some(unit) = field.unit_of(node) else { return };
                field.spread(from, |at| (at == unit).then(|| Some(stamped.clone())));
            }
            Act::Loop(_) => {
                let before = self.pilot.clone();
                self.pilot.act(act, &self.song);
                let Some(field) = &self.field else { return };
                // A loop is heard where it ends, which may be far away: what lies
                // before that is right as it is, and nobody has come further.
                let most = self.look_ahead + self.lead + 2 * self.latency() + SLACK;
                match before.parts_from(&self.pilot, most) {
                    // Who stands right there has jumped already, or has not.
                    Some(from) => {
                        field.spread(from.saturating_sub(1), |_| Some(Some(stamped.clone())));
                    }
                    None => {
                        field.units.iter().for_each(|unit| unit.tell(stamped.clone()));
                        return self.yard.call();
                    }
                }
            }
            _ => {
                self.pilot.act(act, &self.song);
                let Some(field) = &self.field else { return };
                field.spread(from, |_| Some(Some(stamped.clone())));
            }
        }
        self.rewinds += 1;
        self.yard.call();
    }

    /// Keeps what may have to be told again.
    fn note(&mut self, stamped: Stamped) {
        if self.log.len() >= LOG {
            self.log.pop_front();
        }
        self.log.push_back(stamped);
    }

    /// A plan is on its way to the audio thread.
    fn arrive(&mut self, clock: u64, at: u64, plan: &Plan, running: Option<&Plan>) {
        let has = |plan: &Plan, key| {
            plan.find(key).is_some_and(|at| plan.class(at).kind_name != source::KIND_NAME)
        };
        self.arrivals.retain(|key, at| *at > clock && has(plan, *key));
        let keys = plan.nodes.iter().map(|node| node.key).filter(|&key| has(plan, key));
        let fresh = keys.filter(|&key| running.is_none_or(|running| !has(running, key)));
        self.arrivals.extend(fresh.map(|key| (key, at)));
    }

    /// Another song for whatever reads the transport.
    pub fn set_song(&mut self, clock: u64, song: &Arc<Song>, revision: u64) {
        if **song == *self.song {
            return;
        }
        let at = self.stamp(clock, 0, self.latency());
        self.song = song.clone();
        let Some(field) = &self.field else { return };
        let reads = |unit: usize| {
            field.units[unit].shape.nodes.iter().any(|&node| {
                let kind = field.plan.find(node).and_then(|at| field.plan.class(at).kind);
                kind.is_some_and(|kind| kind.descriptor.reads_transport)
            })
        };
        let stamped = Stamped { at, what: What::Song(song.clone()) };
        for (index, unit) in field.units.iter().enumerate() {
            if !reads(index) {
                unit.tell(stamped.clone());
            }
        }
        let told = |unit| reads(unit).then(|| Some(stamped.clone()));
        field.edit(self.pilot.ran(), at, revision, told);
        self.rewinds += 1;
        self.yard.call();
    }

    /// Whether what is heard next is there for so many frames.
    fn is_ready(&self, ran: u64, frames: u64) -> bool {
        let Some(field) = &self.field else { return true };
        let until = ran + frames + self.latency();
        field.units.iter().all(|unit| unit.is_ready(until))
    }
}

impl Loader {
    /// Loads a graph in two parts, both from one frame on.
    pub(super) fn load_ahead(
        &mut self,
        engine: &Engine,
        spec: &GraphSpec,
        slices: &Slices,
        changed: &BTreeSet<NodeKey>,
        media: &dyn MediaResolver,
    ) -> Result<(), EngineError> {
        let Some(mut own) = self.ahead.take() else { return Err(EngineError::NothingLoaded) };
        let mut running = self.loaded.take();
        let known = running.is_some();
        let new = New { spec, slices, changed, media };
        let (result, loaded) = self.load_parts(&mut own, engine, &new, running.as_ref());
        // The caller puts the new slices in where nothing failed.
        let before = running.as_mut().map(|running| std::mem::take(&mut running.slices));
        self.loaded = loaded.or(running);
        if let Some(loaded) = &mut self.loaded {
            loaded.slices = before.unwrap_or_default();
        }
        if result.is_ok() && own.whole.as_ref() != Some(spec) {
            own.whole = Some(spec.clone());
        }
        let mut control = engine.control();
        let field = control.ahead.as_ref().and_then(|ahead| ahead.field.clone());
        control.current = self.loaded.as_ref().map(|loaded| loaded.current(field.clone()));
        drop(control);
        if let Some(field) = field.filter(|_| result.is_ok()) {
            let (changed, spec) = (known.then_some(changed), &own.split.ahead);
            own.maker.tell_shelf(own.revision, &field, spec, slices, changed);
        }
        self.ahead = Some(own);
        result
    }

    /// New content for the graph that was loaded last.
    pub(super) fn update_ahead(
        &mut self,
        engine: &Engine,
        slices: Slices,
        media: &dyn MediaResolver,
    ) -> Result<(), EngineError> {
        let whole = self.ahead.as_ref().and_then(|own| own.whole.clone());
        let whole = whole.ok_or(EngineError::NothingLoaded)?;
        let running = self.loaded.as_ref().map(|loaded| changed(&loaded.slices, &slices));
        let result = self.load_ahead(engine, &whole, &slices, &running.unwrap_or_default(), media);
        if let (Ok(()), Some(loaded)) = (&result, &mut self.loaded) {
            loaded.slices = slices;
        }
        result
    }

    fn load_parts(
        &mut self,
        own: &mut AheadLoader,
        engine: &Engine,
        new: &New<'_>,
        running: Option<&Loaded>,
    ) -> (Result<(), EngineError>, Option<Loaded>) {
        match self.prepare(own, engine, new, running) {
            Ok((parcel, loaded, stay)) => match parcel.map_or(Ok(()), |parcel| self.send(parcel)) {
                Ok(()) => (self.ask_for(own, &loaded, &stay), Some(loaded)),
                Err(error) => (Err(error), None),
            },
            Err(error) => (Err(error), None),
        }
    }

    fn prepare(
        &mut self,
        own: &mut AheadLoader,
        engine: &Engine,
        new: &New<'_>,
        running: Option<&Loaded>,
    ) -> Result<Prepared, EngineError> {
        let New { spec, slices, changed: touched, media } = *new;
        let mut whole = spec.clone();
        whole.canonicalise();
        let clock = engine.place.clock.load(Ordering::Acquire);
        own.held.retain(|_, until| *until > clock);
        let mut held: BTreeSet<NodeKey> = own.held.keys().copied().collect();
        let captured = own.captured.take();
        let stay = own.lingering(&whole, &held, captured.as_ref());
        held.extend(&stay);
        let parts = split(&whole, &held);
        let field = engine.control().ahead.as_ref().and_then(|ahead| ahead.field.clone());
        let mut bound = Bound { known: vec![], changed: touched };
        bound.known.extend(running.map(|running| (&*running.plan, &*running.material)));
        bound.known.extend(field.as_ref().map(|field| (&*field.plan, &*field.material)));
        let draft = own.maker.draft(&whole, &parts.ahead, slices, media, &bound, field.as_deref());
        let draft = draft.map_err(Box::new)?;
        let hash = parts.live.hash();
        let same = running.filter(|running| running.spec == hash);
        let plan = match same {
            Some(running) => running.plan.clone(),
            None => {
                let live = self.compiler.compile_within(&parts.live, Some(&draft.whole));
                Arc::new(live.map_err(Box::new)?)
            }
        };
        let mut material = bound.bind(&plan, slices, media);
        let mut executor = same.is_none().then(|| {
            let material = Arc::new(material.clone());
            match running {
                Some(running) => Executor::successor(plan.clone(), material, &running.plan),
                None => Executor::new(plan.clone(), material),
            }
        });
        // From here on nobody acts until everybody knows the new units.
        let mut control = engine.control();
        let clock = engine.place.clock.load(Ordering::Acquire);
        let serial = self.serial + 1;
        let Some(ahead) = &mut control.ahead else { return Err(EngineError::NothingLoaded) };
        let latency = ahead.latency().max(draft.latency());
        ahead.last += 1;
        let at = ahead.stamp(clock, 0, latency);
        let revision = own.next_revision();
        let (course, song) = (ahead.pilot.clone(), ahead.song.clone());
        let moment = Moment { course, song, revision };
        let captured = captured.map(|captured| {
            let since = ahead.log.iter().filter(|act| act.at >= captured.course.clock());
            Captured { since: since.cloned().collect(), ..captured }
        });
        let (before, live) = (field.as_deref(), executor.as_mut());
        let next = own.maker.commit(draft, before, &moment, live, captured.as_ref());
        next.units.iter().for_each(|unit| unit.measure(self.profiling));
        own.count(&parts, &plan);
        let retapped = tap(&mut material, &plan, running, next.sources(&parts, &own.now));
        let gone = |unit: &&Arc<Unit>| !next.units.iter().any(|other| Arc::ptr_eq(unit, other));
        let retired = field.iter().flat_map(|field| &field.units).filter(gone);
        for unit in retired {
            own.stats.underrun_frames += unit.missed();
            own.stats.taken_frames += unit.notice.taken.load(Ordering::Relaxed);
        }
        ahead.yard.set(next.units.clone(), u64::from(next.plan.latency()));
        ahead.field = Some(Arc::new(next));
        ahead.arrive(clock, at, &plan, running.map(|running| &*running.plan));
        let material = Arc::new(material);
        let parcel = if same.is_some() && !retapped {
            let equal = same.is_some_and(|running| {
                let pairs = running.material.nodes.iter().zip(&material.nodes);
                pairs.into_iter().all(|(a, b)| Arc::ptr_eq(a, b))
            });
            (!equal).then(|| Parcel::Material(at, material.clone()))
        } else {
            let kinds: Arc<[OutputKind]> = plan.outputs.iter().map(|output| output.kind).collect();
            let master = kinds.iter().position(|kind| *kind == OutputKind::Master);
            control.announce(serial, kinds);
            self.serial = serial;
            let mut executor = executor.take().unwrap_or_else(|| {
                let running = running.map_or(&plan, |running| &running.plan);
                Executor::successor(plan.clone(), material.clone(), running)
            });
            executor.swap_material(&mut material.clone());
            let profile = self.profiling.then(|| (plan.clone(), profile_of(&plan)));
            executor.swap_profile(profile.as_ref().map(|(_, profile)| profile.clone()));
            control.profile = profile;
            let crew =
                (self.threads > 1 && plan.tasks.len() > 1).then(|| Crew::new(&plan, self.threads));
            let speakers = speakers(&plan);
            let program = Program { serial, at, executor, crew, master, speakers };
            Some(Parcel::Program(Box::new(program)))
        };
        own.split = parts;
        let loaded = Loaded { plan, material, slices: Slices::default(), spec: hash };
        Ok((parcel, loaded, stay))
    }

    /// Asks the audio thread for the state of nodes that are to be rendered ahead;
    /// [`Engine::tend`] does the rest when it has come.
    fn ask_for(
        &mut self,
        own: &mut AheadLoader,
        loaded: &Loaded,
        nodes: &BTreeSet<NodeKey>,
    ) -> Result<(), EngineError> {
        if nodes.is_empty() {
            return Ok(());
        }
        let mut made = Executor::new(loaded.plan.clone(), loaded.material.clone());
        own.captures += 1;
        let capture = Capture { number: own.captures, course: None, nodes: made.room(nodes) };
        self.send(Parcel::Capture(Box::new(capture)))
    }
}

/// Puts sources into the content of a live plan; whether any of them differs from
/// what plays.
fn tap(
    material: &mut Material,
    plan: &Plan,
    running: Option<&Loaded>,
    sources: BTreeMap<NodeKey, NodeMaterial>,
) -> bool {
    let taps_of = |material: &NodeMaterial| {
        let extra = material.content.extra.as_ref();
        extra.and_then(|extra| extra.downcast_ref::<Taps>()).map(|taps| taps.taps.clone())
    };
    let mut differs = false;
    for (node, source) in sources {
        let Some(at) = plan.find(node) else { continue };
        let before = running.and_then(|running| {
            let at = running.plan.find(node)?;
            running.material.nodes.get(at as usize).cloned()
        });
        let same = before.filter(|before| taps_of(before) == taps_of(&source));
        differs |= same.is_none();
        material.nodes[at as usize] = same.unwrap_or_else(|| Arc::new(source));
    }
    differs
}

/// What has to be sent, what is loaded then, and nodes whose state is wanted.
type Prepared = (Option<Parcel>, Loaded, BTreeSet<NodeKey>);

impl AheadLoader {
    pub fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    pub fn tell_time(&self, revision: u64) {
        self.maker.tell_shelf_of_time(revision);
    }

    /// Nodes that the audio thread runs and that are to be rendered ahead, but
    /// whose state nobody knows yet.
    fn lingering(
        &self,
        whole: &GraphSpec,
        held: &BTreeSet<NodeKey>,
        captured: Option<&Captured>,
    ) -> BTreeSet<NodeKey> {
        let is_live = |key: &NodeKey| {
            let nodes = &self.split.live.nodes;
            let found = nodes.binary_search_by_key(key, |node| node.key);
            found.is_ok() && !self.split.heard.contains_key(key)
        };
        let wanted = split(whole, held).ahead;
        let keys = wanted.nodes.iter().map(|node| node.key).filter(is_live);
        keys.filter(|key| captured.is_none_or(|known| !known.nodes.knows(key))).collect()
    }

    /// Counts who changes sides.
    fn count(&mut self, parts: &Split, plan: &Plan) {
        let nodes = |spec: &GraphSpec| -> BTreeSet<NodeKey> {
            spec.nodes.iter().map(|node| node.key).collect()
        };
        let (before, after) = (nodes(&self.split.ahead), nodes(&parts.ahead));
        let real = |split: &Split| -> BTreeSet<NodeKey> {
            let live = nodes(&split.live);
            live.into_iter().filter(|key| !split.heard.contains_key(key)).collect()
        };
        let (was_live, is_live) = (real(&self.split), real(parts));
        self.stats.promotions += before.intersection(&is_live).count() as u64;
        self.stats.demotions += was_live.intersection(&after).count() as u64;
        self.stats.nodes = after.len();
        self.stats.live_nodes = plan.nodes.len() - parts.heard.len();
    }
}

/// Frames that units may be further than they were asked to be.
const SLACK: u64 = 16_384;
/// Acts that are kept for units that begin in the past.
const LOG: usize = 8_192;
/// How long the audio thread keeps what fell behind.
const HELD_SECONDS: u64 = 10;

impl Engine {
    /// Looks after what is rendered ahead: gives nodes over whose state has come
    /// from the audio thread, and the audio thread what has fallen behind. To be
    /// called some times a second, and cheap while nothing is the matter.
    pub fn tend(&self) -> Result<(), EngineError> {
        let mut loader = self.loader();
        let Some(own) = &mut loader.ahead else { return Ok(()) };
        let capture = self.collector.take_capture();
        let capture = capture.filter(|capture| capture.number == own.captures);
        let captured = capture.and_then(|capture| {
            Some(Captured { course: capture.course?, nodes: capture.nodes, since: vec![] })
        });
        let come = captured.is_some();
        own.captured = captured;
        let clock = self.place.clock.load(Ordering::Acquire);
        let behind = self.fallen_behind(own, clock);
        let over = own.held.values().any(|until| *until <= clock);
        let (Some(whole), true) = (own.whole.clone(), come || behind || over) else {
            return Ok(());
        };
        let slices = loader.loaded.as_mut().map(|loaded| std::mem::take(&mut loaded.slices));
        let slices = slices.unwrap_or_default();
        let result = loader.load_ahead(self, &whole, &slices, &BTreeSet::new(), &NoMedia);
        if let Some(loaded) = &mut loader.loaded {
            loaded.slices = slices;
        }
        result
    }

    /// Gives the nodes of units that are late again to the audio thread, for some
    /// time.
    fn fallen_behind(&self, own: &mut AheadLoader, clock: u64) -> bool {
        let field = self.control().ahead.as_ref().and_then(|ahead| ahead.field.clone());
        let Some(field) = field else { return false };
        let ran = self.place.ran.load(Ordering::Acquire);
        let until = clock + HELD_SECONDS * u64::from(self.rate);
        let mut behind = false;
        for unit in &field.units {
            let Some(&first) = unit.shape.nodes.first() else { continue };
            let missed = unit.missed();
            let before = own.missed.insert(first, missed).unwrap_or(0);
            if missed > before && unit.end() <= ran {
                own.held.extend(unit.shape.nodes.iter().map(|&node| (node, until)));
                own.stats.fallen_behind += 1;
                behind = true;
            }
        }
        behind
    }

    /// Waits until what is rendered ahead is there for the next frames; false when
    /// that takes longer than `patience`. True at once where nothing is.
    pub fn settle_ahead(&self, frames: u64, patience: std::time::Duration) -> bool {
        let began = std::time::Instant::now();
        loop {
            {
                let control = self.control();
                let ran = self.place.ran.load(Ordering::Acquire);
                if control.ahead.as_ref().is_none_or(|ahead| ahead.is_ready(ran, frames)) {
                    return true;
                }
            }
            if began.elapsed() > patience {
                return false;
            }
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
    }

    /// Frames between telling the part that is rendered ahead something and
    /// hearing it; 0 where nothing is.
    pub fn lead(&self) -> u64 {
        let control = self.control();
        control.ahead.as_ref().map_or(0, |ahead| ahead.lead + ahead.latency())
    }

    /// How far what an entity's nodes make is rendered ahead; None for what is live
    /// or not there.
    pub fn ahead_of(&self, entity: AnyId) -> Option<u64> {
        let control = self.control();
        let field = control.ahead.as_ref()?.field.as_ref()?;
        let ran = self.place.ran.load(Ordering::Relaxed);
        let of = |unit: &&Arc<Unit>| unit.shape.nodes.iter().any(|node| node.entity == entity);
        let ends = field.units.iter().filter(of).map(|unit| unit.end());
        ends.min().map(|end| end.saturating_sub(ran))
    }

    /// The frame of the clock at which the last act or edit of what is rendered
    /// ahead happens.
    pub fn last_stamp(&self) -> u64 {
        self.control().ahead.as_ref().map_or(0, |ahead| ahead.last)
    }

    /// The frame of the last act, wherever it went.
    #[cfg(test)]
    pub(crate) fn last_routed(&self) -> u64 {
        self.control().ahead.as_ref().map_or(0, |ahead| ahead.routed)
    }

    /// A transport act whose sender is held up after it was given its frame.
    #[cfg(test)]
    pub(crate) fn act_held_up(&self, act: Act, meanwhile: impl FnOnce()) {
        let clock = self.place.clock.load(Ordering::Acquire);
        let at = {
            let mut control = self.control();
            let Some(ahead) = &mut control.ahead else { return };
            let routed = ahead.route(clock, 0, act);
            ahead.done(&routed, act);
            routed.at
        };
        meanwhile();
        let _ = self.control().messages.push(crate::rt::events::Message { at, act });
    }

    /// How the part that is rendered ahead fares; None where nothing is.
    pub fn ahead_stats(&self) -> Option<AheadStats> {
        let mut stats = self.loader().ahead.as_ref()?.stats.clone();
        let control = self.control();
        let ahead = control.ahead.as_ref()?;
        let ran = self.place.ran.load(Ordering::Relaxed);
        stats.rewinds = ahead.rewinds;
        stats.workers = ahead.yard.workers();
        stats.worker_load = ahead.yard.load();
        stats.rendered_frames = ahead.yard.frames();
        let Some(field) = &ahead.field else { return Some(stats) };
        let taken = field.units.iter().map(|unit| unit.notice.taken.load(Ordering::Relaxed));
        stats.taken_frames += taken.sum::<u64>();
        stats.units = field.units.len();
        let heard = field.units.iter().filter(|unit| !unit.rings.is_empty());
        let far: Vec<u64> = heard.map(|unit| unit.end().saturating_sub(ran)).collect();
        stats.least_ahead_frames = far.iter().copied().min().unwrap_or(0);
        stats.mean_ahead_frames = far.iter().sum::<u64>() / far.len().max(1) as u64;
        stats.lost_inputs = field.units.iter().map(|unit| unit.lost()).sum();
        stats.underrun_frames += field.units.iter().map(|unit| unit.missed()).sum::<u64>();
        Some(stats)
    }
}

impl Ahead {
    /// Nodes that failed where nobody heard them fail.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = vec![];
        for unit in self.field.iter().flat_map(|field| &field.units) {
            unit.faults(&mut |node, panicked| faults.push(Fault { node, panicked }));
        }
        faults
    }
}

impl Current {
    /// The plan and content that a node is in.
    pub(super) fn home(&self, node: NodeKey) -> (&Arc<Plan>, &Arc<Material>) {
        match &self.ahead {
            Some(field) if field.unit_of(node).is_some() => (&field.plan, &field.material),
            _ => (&self.plan, &self.material),
        }
    }
}
