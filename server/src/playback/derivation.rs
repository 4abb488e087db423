//! From revision to revision: the graph that plays, and of its content what an
//! edit changed.
//!
//! The thread that derives owns an incremental host of its own. The one of the
//! views belongs to the model thread, derives at the rate of the project and not
//! of the device, and must not wait until a graph is joined.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use pulse_engine::{
    device::{midi_out::Routes, midir::Target},
    material::{Patch, Slices},
    registry::Registry,
    rt::{Engine, Song},
};
use pulse_query::{
    ambient::Ambient,
    host::{Host, PlayError, Step},
    render::shelf::{CacheShelf, Open},
    source::SourceExt,
    stored::Stored,
    timeline::SongTime,
};
use pulse_schemas::{
    graph::{GraphSpec, NodeKey},
    id::{ChannelId, TrackId},
};

use pulse_store::cache::CacheStore;

use super::{
    clips::KeptClips,
    deriver::{DeriveError, Held, Revision},
    inputs::connect,
    outputs,
};
use crate::{
    metrics,
    rendering::{CacheSlot, ProjectMedia},
};

/// What a session wants to know of what plays.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Facts {
    /// Nodes that play the notes of a track.
    pub players: Arc<BTreeMap<TrackId, Vec<NodeKey>>>,
    /// The last frame at which anything begins or plays.
    pub end: i64,
    /// The channel that the master output belongs to.
    pub master: Option<ChannelId>,
    /// Held parameters whose held values were loaded with the content.
    pub baked: BTreeSet<(NodeKey, String)>,
}

/// A step to the revision that plays next.
pub struct Next {
    pub spec: Arc<GraphSpec>,
    pub time: SongTime,
    pub patch: Patch,
    /// There is nothing that the patch could be put into.
    pub whole: bool,
    /// Who hears MIDI.
    pub targets: Vec<Target>,
    /// Which port each node that sends notes plays to.
    pub routes: Routes,
    pub facts: Facts,
}

/// What was loaded, as those want to know it who play to it and for whom it plays.
pub struct Loaded {
    pub facts: Facts,
    pub targets: Vec<Target>,
    pub routes: Routes,
}

/// What is kept from one revision to the next.
pub struct Derivation {
    registry: Arc<Registry>,
    rate: u32,
    host: Option<Host>,
    dir: Option<PathBuf>,
    media: Option<ProjectMedia>,
    /// Inputs of the device that were in the last graph.
    heard: BTreeSet<NodeKey>,
    baked: BTreeSet<NodeKey>,
    /// The song that the engine has.
    time: Option<SongTime>,
    /// Where playback finds what renders have made, and the cache that it looks in.
    shelf: Option<Arc<CacheShelf>>,
    looks_in: Option<Arc<CacheSlot>>,
}

impl Derivation {
    pub fn new(registry: Arc<Registry>, rate: u32, shelf: Option<Arc<CacheShelf>>) -> Derivation {
        Derivation {
            shelf,
            looks_in: None,
            registry,
            rate,
            host: None,
            dir: None,
            media: None,
            heard: BTreeSet::new(),
            baked: BTreeSet::new(),
            time: None,
        }
    }

    /// Derives a revision and plays it.
    pub fn load(
        &mut self,
        engine: &Engine,
        revision: &Revision,
        held: &Held,
    ) -> Result<Loaded, DeriveError> {
        self.look_in(revision.cache.as_ref());
        let loaded = self.next(revision, held).and_then(|next| {
            let cache = revision.cache.as_deref();
            self.give(engine, next, cache)
        });
        if loaded.is_err() {
            // What the engine has is not what the next step would start from.
            self.start_over();
        }
        loaded
    }

    fn give(
        &mut self,
        engine: &Engine,
        next: Next,
        cache: Option<&CacheSlot>,
    ) -> Result<Loaded, DeriveError> {
        let Next { spec, time, patch, whole, targets, routes, facts } = next;
        let Some(media) = &self.media else { return Err(DeriveError::NoArrangement) };
        let clips = KeptClips::new(media, cache);
        if whole {
            let mut slices = Slices::default();
            slices.patch(patch);
            engine.load(&spec, slices, &clips)?;
        } else {
            engine.load_patch(&spec, patch, &clips)?;
        }
        metrics::CLIPS_TAKEN.add(clips.taken());
        let same = |before: &SongTime| {
            Arc::ptr_eq(&before.tempo, &time.tempo)
                && Arc::ptr_eq(&before.signatures, &time.signatures)
        };
        if !self.time.as_ref().is_some_and(same) {
            let (tempo, signatures) = ((*time.tempo).clone(), (*time.signatures).clone());
            if let Some(shelf) = &self.shelf {
                shelf.set_time(time.clone());
            }
            engine.set_song(Song::new(tempo, signatures, self.rate))?;
            self.time = Some(time);
        }
        Ok(Loaded { facts, targets, routes })
    }

    /// Nothing is open: whoever opens the files next must not find them in use.
    pub fn forget(&mut self) {
        (self.host, self.time) = (None, None);
        self.look_in(None);
    }

    /// Playback looks for renders in this cache, once there is one.
    fn look_in(&mut self, slot: Option<&Arc<CacheSlot>>) {
        let Some(shelf) = &self.shelf else { return };
        let same = match (&self.looks_in, slot) {
            (Some(known), Some(slot)) => Arc::ptr_eq(known, slot),
            (known, slot) => known.is_none() && slot.is_none(),
        };
        if !same {
            self.looks_in = slot.cloned();
            shelf.look_in(slot.cloned().map(opener));
        }
    }

    /// The next step is whole.
    pub fn start_over(&mut self) {
        self.host.iter_mut().for_each(Host::play_anew);
        self.time = None;
    }

    /// The step from what was derived last.
    pub fn next(&mut self, revision: &Revision, held: &Held) -> Result<Next, DeriveError> {
        let source = Stored::new(revision.view.clone());
        let arrangement = source.active_arrangement();
        source.check()?;
        let arrangement = arrangement.ok_or(DeriveError::NoArrangement)?;
        let moved = self.dir != revision.dir;
        let mut host = self.host_at(revision);
        host.set_ambient(Ambient { seeds: (*revision.seeds).clone(), ..Ambient::default() });
        let step = host.play(arrangement);
        let host = self.host.insert(host);
        let Step { mut spec, routing, gestures, time, mut patch, whole, media } =
            step.map_err(|error| match error {
                PlayError::Host(error) => DeriveError::Host(error),
                PlayError::Cycle(cycle) => DeriveError::Cycle(cycle),
            })?;
        if media || moved || self.media.is_none() {
            // Decoded audio is kept from one revision to the next.
            let fresh = ProjectMedia::of(&source, revision.dir.as_deref());
            self.media = Some(match self.media.take() {
                Some(before) => fresh.keeping(before),
                None => fresh,
            });
        }
        let Some(stage) = host.stage() else { return Err(DeriveError::NoArrangement) };
        let decides = |track: TrackId| gestures.contains_key(&track);
        let listening = routing.channels.iter().filter(|it| it.track.is_some_and(decides));
        let listening = listening.map(|channel| (channel, stage.players_of(channel.id)));
        let heard = connect(&source, &revision.hardware, listening);
        if !heard.audio.is_empty() {
            let mut own = (*spec).clone();
            heard.audio.iter().for_each(|input| input.add(&self.registry, &mut own));
            own.canonicalise();
            spec = Arc::new(own);
        }
        let mut routes = Routes::new();
        if outputs::has_any(&spec) {
            let mut own = (*spec).clone();
            routes = outputs::lead(&source, arrangement, &revision.hardware, &mut own);
            own.canonicalise();
            spec = Arc::new(own);
        }
        source.check()?;
        let before = std::mem::take(&mut self.heard);
        patch.params.extend(before.into_iter().map(|node| (node, None)));
        for input in &heard.audio {
            patch.params.insert(input.key(), Some(input.params()));
            self.heard.insert(input.key());
        }
        // Values in somebody's hand are not those of the project.
        let before = std::mem::take(&mut self.baked);
        for node in before.into_iter().chain(held.keys().map(|(node, _)| *node)) {
            patch.params.entry(node).or_insert_with(|| stage.params_of(node).cloned());
        }
        for ((node, name), value) in held {
            let params = patch.params.entry(*node).or_default().get_or_insert_default();
            params.insert(name.clone(), *value);
            self.baked.insert(*node);
        }
        let facts = Facts {
            players: Arc::clone(stage.players()),
            end: stage.end(),
            master: stage.master(),
            baked: held.keys().cloned().collect(),
        };
        Ok(Next { spec, time, patch, whole, targets: heard.midi, routes, facts })
    }

    /// The host at a revision. Another project, or one whose former revision is
    /// gone, begins with another host.
    fn host_at(&mut self, revision: &Revision) -> Host {
        let known = self.host.take().filter(|_| self.dir == revision.dir);
        self.dir.clone_from(&revision.dir);
        let moved = known.and_then(|mut host| {
            let moved = host.move_to(revision.view.clone());
            moved.ok().map(|()| host)
        });
        moved.unwrap_or_else(|| {
            self.time = None;
            Host::new(revision.view.clone(), Arc::clone(&self.registry)).at_rate(self.rate)
        })
    }
}

/// A project that was never rendered gets no cache because it is played.
fn opener(slot: Arc<CacheSlot>) -> Open {
    Arc::new(move || {
        let cache = slot.open_existing()?;
        Some(cache as Arc<dyn CacheStore>)
    })
}
