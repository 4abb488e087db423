//! A thread that turns revisions into sound, so that nobody waits for it.
//!
//! Only the latest revision counts: while one is being derived, later ones take
//! each other's place.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use pulse_engine::{
    device::{
        midi_out::MidiSender,
        midir::{Target, Targets},
    },
    event::EventBody,
    registry::Registry,
    rt::Engine,
};
use pulse_query::{cohort::Seeds, render::shelf::CacheShelf};
use pulse_schemas::{
    graph::{NodeKey, OutputKind},
    id::ChannelId,
};
use pulse_store::view::View;

use super::{
    derivation::{Derivation, Facts},
    inputs::Hardware,
};
use crate::rendering::CacheSlot;

/// How often the engine is tended while nothing is edited.
const TEND: Duration = Duration::from_millis(50);

/// A revision to play, with the folder that its media lie in.
#[derive(Clone)]
pub struct Revision {
    pub view: View,
    pub dir: Option<PathBuf>,
    /// Where what is made of clips is found and kept.
    pub cache: Option<Arc<CacheSlot>>,
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
    Host(#[from] pulse_query::host::HostError),
    #[error(transparent)]
    Engine(#[from] pulse_engine::rt::EngineError),
}

/// What plays, and why the latest revision does not.
#[derive(Default)]
pub struct Playing {
    pub facts: Facts,
    pub failed: Option<String>,
}

/// Parameters in somebody's hand, with their values: an edit of the same node
/// must not move them.
pub type Held = BTreeMap<(NodeKey, String), f64>;

#[derive(Default)]
struct Work {
    next: Option<Revision>,
    /// What was derived is to be let go first.
    forget: bool,
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
    /// Sends notes to ports; another player of the same engine may have it.
    sender: Option<MidiSender>,
}

pub struct Deriver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deriver {
    pub fn start(
        engine: Arc<Engine>,
        registry: Registry,
        shelf: Option<Arc<CacheShelf>>,
    ) -> std::io::Result<Deriver> {
        let sender = engine.outlet().map(MidiSender::start).transpose()?;
        let shared = Arc::new(Shared { sender, ..Shared::default() });
        let own = shared.clone();
        let named = std::thread::Builder::new().name("pulse-derive".into());
        let thread = named.spawn(move || run(&own, &engine, registry, shelf))?;
        Ok(Deriver { shared, thread: Some(thread) })
    }

    pub fn show(&self, revision: Revision) {
        lock(&self.shared.work).next = Some(revision);
        self.shared.changed.notify_all();
    }

    /// Lets go of what was derived, which holds the project that it came from.
    pub fn forget(&self) {
        let mut work = lock(&self.shared.work);
        (work.next, work.forget) = (None, true);
        self.shared.changed.notify_all();
    }

    /// Waits until what was shown plays; false when it takes too long.
    pub fn settle(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut work = lock(&self.shared.work);
        while work.next.is_some() || work.forget || work.busy {
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

    /// The ports that notes are led to, and what is the matter with each.
    pub fn ports_out(&self) -> BTreeMap<String, Option<String>> {
        self.shared.sender.as_ref().map(MidiSender::ports).unwrap_or_default()
    }

    pub fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.shared.held)
    }

    pub fn has_baked(&self, param: &(NodeKey, String)) -> bool {
        lock(&self.shared.playing).facts.baked.contains(param)
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

fn run(shared: &Shared, engine: &Engine, registry: Registry, shelf: Option<Arc<CacheShelf>>) {
    let mut derivation = Derivation::new(Arc::new(registry), engine.sample_rate(), shelf);
    while let Some(job) = next(shared, engine) {
        let Job::Play(revision) = job else {
            derivation.forget();
            lock(&shared.work).busy = false;
            shared.changed.notify_all();
            continue;
        };
        let held = lock(&shared.held).clone();
        let result = derivation.load(engine, &revision, &held);
        let mut playing = lock(&shared.playing);
        match result {
            Ok(loaded) => {
                *playing = Playing { facts: loaded.facts, failed: None };
                drop(playing);
                listen(engine, loaded.targets, &shared.targets);
                if let Some(sender) = &shared.sender {
                    sender.lead(loaded.routes);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the latest revision does not play");
                playing.failed = Some(error.to_string());
            }
        }
        lock(&shared.work).busy = false;
        shared.changed.notify_all();
    }
}

enum Job {
    Play(Revision),
    Forget,
}

/// What is to be done next; while there is nothing, the engine is tended.
fn next(shared: &Shared, engine: &Engine) -> Option<Job> {
    let mut work = lock(&shared.work);
    loop {
        if work.stop {
            return None;
        }
        if std::mem::take(&mut work.forget) {
            work.busy = true;
            return Some(Job::Forget);
        }
        if let Some(revision) = work.next.take() {
            work.busy = true;
            return Some(Job::Play(revision));
        }
        let waited = shared.changed.wait_timeout(work, TEND);
        let (waited, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        work = waited;
        if timeout.timed_out() && work.next.is_none() && !work.forget {
            drop(work);
            if let Err(error) = engine.tend() {
                tracing::warn!(%error, "what is rendered ahead could not be tended");
            }
            work = lock(&shared.work);
        }
    }
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

/// The channel that an output measures; none for the master's.
pub fn channel_of(kind: OutputKind) -> Option<ChannelId> {
    match kind {
        OutputKind::Tap(id) | OutputKind::Stem(id) => Some(ChannelId(id.id)),
        OutputKind::Master => None,
    }
}
