//! A thread that turns revisions into sound, so that nobody waits for it.
//!
//! Only the latest revision counts: while one is being derived, later ones take
//! each other's place.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use pulse_engine::{
    device::midir::{Target, Targets},
    event::EventBody,
    registry::Registry,
    rt::{Engine, Song},
};
use pulse_query::{
    chain::chain,
    cohort::Seeds,
    content::content,
    graph::{Scope, cohort_graph},
    routing::routing,
    source::SourceExt,
    stored::Stored,
    timeline::SongTime,
};
use pulse_schemas::{
    entity::{Channel, ChannelKind},
    graph::{GraphSpec, NodeKey, OutputKind},
    id::{ArrangementId, ChannelId, TrackId},
};
use pulse_store::view::View;

use super::inputs::{Hardware, connect};
use crate::rendering::ProjectMedia;

/// How often the engine is tended while nothing is edited.
const TEND: Duration = Duration::from_millis(50);

/// A revision to play, with the folder that its media lie in.
#[derive(Clone)]
pub struct Revision {
    pub view: View,
    pub dir: Option<PathBuf>,
    pub hardware: Hardware,
    /// What makes tracks live beside what the project says.
    pub seeds: Arc<Seeds>,
}

#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    #[error("the project has no arrangement to play; add one")]
    NoArrangement,
    #[error(transparent)]
    Cycle(#[from] pulse_query::routing::RoutingCycle),
    #[error(transparent)]
    Read(#[from] pulse_store::view::ReadError),
    #[error(transparent)]
    Engine(#[from] pulse_engine::rt::EngineError),
}

/// What a session wants to know of what plays.
#[derive(Default)]
pub struct Playing {
    /// Nodes that play the notes of a track.
    pub players: BTreeMap<TrackId, Vec<NodeKey>>,
    /// Why the latest revision does not play.
    pub failed: Option<String>,
    /// The last frame at which anything begins or plays.
    pub end: i64,
    /// Held parameters whose held values were loaded with the content.
    baked: BTreeSet<(NodeKey, String)>,
}

/// Parameters in somebody's hand, with their values: an edit of the same node
/// must not move them.
pub type Held = BTreeMap<(NodeKey, String), f64>;

#[derive(Default)]
struct Work {
    next: Option<Revision>,
    busy: bool,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
    playing: Mutex<Playing>,
    held: Mutex<Held>,
    targets: Targets,
}

pub struct Deriver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deriver {
    pub fn start(engine: Arc<Engine>, registry: Registry) -> std::io::Result<Deriver> {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let named = std::thread::Builder::new().name("pulse-derive".into());
        let thread = named.spawn(move || run(&own, &engine, &registry))?;
        Ok(Deriver { shared, thread: Some(thread) })
    }

    pub fn show(&self, revision: Revision) {
        lock(&self.shared.work).next = Some(revision);
        self.shared.changed.notify_all();
    }

    /// Waits until what was shown plays; false when it takes too long.
    pub fn settle(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut work = lock(&self.shared.work);
        while work.next.is_some() || work.busy {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(work, left);
            work = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Whether the latest revision plays.
    pub fn is_idle(&self) -> bool {
        let work = lock(&self.shared.work);
        work.next.is_none() && !work.busy
    }

    /// Who hears the MIDI ports.
    pub fn targets(&self) -> Targets {
        self.shared.targets.clone()
    }

    pub fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.shared.held)
    }

    pub fn has_baked(&self, param: &(NodeKey, String)) -> bool {
        lock(&self.shared.playing).baked.contains(param)
    }

    pub fn playing(&self) -> MutexGuard<'_, Playing> {
        lock(&self.shared.playing)
    }
}

impl Drop for Deriver {
    fn drop(&mut self) {
        lock(&self.shared.work).stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, engine: &Engine, registry: &Registry) {
    let mut media = None;
    while let Some(revision) = next(shared, engine) {
        let held = lock(&shared.held).clone();
        let result = derive(engine, registry, &revision, &held, &shared.targets, &mut media);
        let mut playing = lock(&shared.playing);
        match result {
            Ok(found) => *playing = found,
            Err(error) => {
                tracing::warn!(%error, "the latest revision does not play");
                playing.failed = Some(error.to_string());
            }
        }
        drop(playing);
        lock(&shared.work).busy = false;
        shared.changed.notify_all();
    }
}

/// The next revision; while there is none, the engine is tended.
fn next(shared: &Shared, engine: &Engine) -> Option<Revision> {
    let mut work = lock(&shared.work);
    loop {
        if work.stop {
            return None;
        }
        if let Some(revision) = work.next.take() {
            work.busy = true;
            return Some(revision);
        }
        let waited = shared.changed.wait_timeout(work, TEND);
        let (waited, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        work = waited;
        if timeout.timed_out() && work.next.is_none() {
            drop(work);
            if let Err(error) = engine.tend() {
                tracing::warn!(%error, "what is rendered ahead could not be tended");
            }
            work = lock(&shared.work);
        }
    }
}

fn derive(
    engine: &Engine,
    registry: &Registry,
    revision: &Revision,
    held: &Held,
    heard: &Targets,
    media: &mut Option<ProjectMedia>,
) -> Result<Playing, DeriveError> {
    let source = Stored::new(revision.view.clone());
    let arrangement = source.active_arrangement().ok_or(DeriveError::NoArrangement)?;
    let rate = engine.sample_rate();
    let mut spec = live_graph(&source, registry, arrangement, &revision.seeds)?;
    let mut slices = content(&source, registry, arrangement, rate);
    for ((node, name), value) in held {
        slices.params.set(*node, name, *value);
    }
    let time = SongTime::of(&source, arrangement, rate);
    let routing = routing(&source, arrangement);
    let hardware = &revision.hardware;
    let targets = connect(&source, registry, &routing, hardware, &mut spec, &mut slices);
    spec.canonicalise();
    let players = routing
        .channels
        .iter()
        .filter_map(|channel| Some((channel.track?, chain(&source, registry, channel).players)));
    let players = players.collect();
    source.check()?;
    let events = slices.events.0.values().flatten().map(|event| event.frame);
    let clips = slices.clips.0.values().flatten();
    let end = events.chain(clips.map(|clip| clip.start_frame + clip.frames as i64)).max();
    // Decoded audio is kept from one revision to the next.
    let fresh = ProjectMedia::of(&source, revision.dir.as_deref());
    let kept = match media.take() {
        Some(before) => fresh.keeping(before),
        None => fresh,
    };
    let media = media.insert(kept);
    engine.load(&spec, slices, media)?;
    engine.set_song(Song::new((*time.tempo).clone(), (*time.signatures).clone(), rate))?;
    listen(engine, targets, heard);
    let baked = held.keys().cloned().collect();
    Ok(Playing { players, failed: None, end: end.unwrap_or(0), baked })
}

/// Has MIDI ports play other nodes. Notes of those that hear none any more end:
/// their note-offs would not come.
fn listen(engine: &Engine, targets: Vec<Target>, heard: &Targets) {
    let before = std::mem::replace(&mut *lock(heard), targets.clone());
    let gone = before.iter().filter(|old| !targets.contains(old));
    for target in gone {
        if let Err(error) = engine.send_event(target.node, 0, EventBody::AllNotesOff) {
            tracing::debug!(%error, "notes of a track that was disarmed go on");
        }
    }
}

/// The graph with every channel measured and in its cohort.
fn live_graph(
    source: &Stored,
    registry: &Registry,
    arrangement: ArrangementId,
    seeds: &Seeds,
) -> Result<GraphSpec, DeriveError> {
    let channels = source.referring::<Channel>(arrangement);
    let measured = channels.iter().filter(|channel| channel.channel_kind != ChannelKind::Master);
    let scope = Scope::with_stems(measured.map(|channel| channel.id));
    let mut spec = cohort_graph(source, registry, arrangement, &scope, seeds)?;
    for output in &mut spec.outputs {
        if let OutputKind::Stem(channel) = output.kind {
            output.kind = OutputKind::Tap(channel);
        }
    }
    spec.canonicalise();
    Ok(spec)
}

/// The channel that an output measures; none for the master's.
pub fn channel_of(kind: OutputKind) -> Option<ChannelId> {
    match kind {
        OutputKind::Tap(id) | OutputKind::Stem(id) => Some(ChannelId(id.id)),
        OutputKind::Master => None,
    }
}
