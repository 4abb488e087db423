//! What plays, kept up with the project: the graph, and of its content what
//! differs from what was taken before.
//!
//! salsa finds out what is still right by asking every channel. An edit knows the
//! channels and tracks that it touched, so only these are asked again, and whoever
//! plays is told about the nodes that differ and no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pulse_engine::material::{Differences, Events, Patch};
use pulse_schemas::{
    entity::{Channel, ChannelKind},
    graph::{AutomationSlice, Cohort, GraphSpec, NodeKey, ParamSlice, PlacedClip, ZoneSlice},
    id::{ArrangementId, ChannelId, TrackId},
};

use super::{Host, HostError, db, touch::Touch};
use crate::{
    cohort::Gesture,
    content::Played,
    graph::put_into,
    routing::{Routing, RoutingCycle},
    timeline::SongTime,
};

/// Why there is nothing to play.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Cycle(#[from] RoutingCycle),
}

/// From what was played before to what is played now.
pub struct Step {
    /// Equal graphs are the same `Arc`.
    pub spec: Arc<GraphSpec>,
    pub routing: Arc<Routing>,
    /// The tracks that decide about cohorts.
    pub gestures: Arc<BTreeMap<TrackId, Gesture>>,
    pub time: SongTime,
    /// Content that differs; all that there is when `whole`.
    pub patch: Patch,
    /// Nothing is known of what was played before.
    pub whole: bool,
    /// Media may be others than before.
    pub media: bool,
}

/// The content of one channel.
#[derive(Default)]
struct Part {
    track: Option<TrackId>,
    params: Arc<ParamSlice>,
    played: Arc<Played>,
    zones: Arc<ZoneSlice>,
    players: Vec<NodeKey>,
    /// Of these, those that have a track to play.
    fed: Vec<NodeKey>,
    /// The last frame at which anything begins or plays.
    end: Option<i64>,
}

impl Part {
    /// Takes in what is played from now on, and by whom; notes what differs. What
    /// has been found under another owner stays.
    fn play(&mut self, played: Arc<Played>, fed: Vec<NodeKey>, patch: &mut Patch) {
        for gone in self.fed.iter().filter(|node| !fed.contains(node)) {
            patch.events.entry(*gone).or_insert(None);
        }
        let same = self.played.same_events(&played);
        for player in fed.iter().filter(|node| !same || !self.fed.contains(node)) {
            patch.events.insert(*player, Some(played.events().clone()));
        }
        for (node, _) in self.played.audio().filter(|(node, _)| played.audio_of(*node).is_none()) {
            patch.clips.entry(node).or_insert(None);
        }
        for (node, clips) in played.audio() {
            if self.played.audio_of(node) != Some(clips) {
                patch.clips.insert(node, Some(clips.iter().cloned().collect()));
            }
        }
        let notes = if fed.is_empty() { None } else { played.notes_end() };
        self.end = notes.max(played.audio_end());
        (self.played, self.fed) = (played, fed);
    }

    fn events_of(&self, node: NodeKey) -> Option<Events> {
        self.fed.contains(&node).then(|| self.played.events().clone())
    }

    fn clips_of(&self, node: NodeKey) -> Option<Vec<PlacedClip>> {
        self.played.audio_of(node).map(|clips| clips.iter().cloned().collect())
    }
}

/// The graph that is played, which is the stage's own: who goes to the other
/// cohort is changed in place, and copies nothing unless somebody still holds it.
struct PlayedGraph {
    /// Before anybody is told to be live.
    base: Arc<GraphSpec>,
    live: Arc<BTreeSet<NodeKey>>,
    spec: Arc<GraphSpec>,
}

impl PlayedGraph {
    fn new(base: Arc<GraphSpec>, live: Arc<BTreeSet<NodeKey>>) -> PlayedGraph {
        let mut spec = (*base).clone();
        live.iter().for_each(|node| put_into(&mut spec, *node, Cohort::Live));
        PlayedGraph { base, live, spec: Arc::new(spec) }
    }

    fn turn(&mut self, live: Arc<BTreeSet<NodeKey>>) {
        if live != self.live {
            let spec = Arc::make_mut(&mut self.spec);
            for node in self.live.symmetric_difference(&live) {
                let is_live = live.contains(node);
                put_into(spec, *node, if is_live { Cohort::Live } else { Cohort::Anticipative });
            }
        }
        self.live = live;
    }
}

/// What was taken last, and what may differ by now.
pub struct Stage {
    arrangement: ArrangementId,
    touched: BTreeSet<Touch>,
    /// Channels that may be heard otherwise; none for all.
    heard: Option<BTreeSet<ChannelId>>,
    graph: Option<PlayedGraph>,
    routing: Arc<Routing>,
    parts: BTreeMap<ChannelId, Part>,
    automation: Arc<AutomationSlice>,
    of_track: BTreeMap<TrackId, BTreeSet<ChannelId>>,
    players: Arc<BTreeMap<TrackId, Vec<NodeKey>>>,
}

impl Stage {
    pub fn new(arrangement: ArrangementId) -> Stage {
        Stage {
            arrangement,
            touched: BTreeSet::new(),
            heard: Some(BTreeSet::new()),
            graph: None,
            routing: Arc::new(Routing::of(vec![], vec![])),
            parts: BTreeMap::new(),
            automation: Arc::default(),
            of_track: BTreeMap::new(),
            players: Arc::default(),
        }
    }

    pub fn touch(&mut self, touched: &BTreeSet<Touch>) {
        self.touched.extend(touched);
    }

    /// Channels of an arrangement, or all, may be heard otherwise.
    pub fn heard(&mut self, arrangement: ArrangementId, channels: Option<&BTreeSet<ChannelId>>) {
        if arrangement == self.arrangement {
            match (&mut self.heard, channels) {
                (Some(heard), Some(channels)) => heard.extend(channels),
                (heard, _) => *heard = None,
            }
        }
    }

    /// Nodes that play the notes of a track; as long as they are the same, so is
    /// the `Arc`.
    pub fn players(&self) -> &Arc<BTreeMap<TrackId, Vec<NodeKey>>> {
        &self.players
    }

    fn count_players(&mut self) {
        let parts = self.parts.values();
        let players = parts.filter_map(|part| Some((part.track?, part.players.clone())));
        self.players = Arc::new(players.collect());
    }

    pub fn players_of(&self, channel: ChannelId) -> &[NodeKey] {
        self.parts.get(&channel).map(|part| &part.players[..]).unwrap_or_default()
    }

    /// The last frame at which anything begins or plays.
    pub fn end(&self) -> i64 {
        self.parts.values().filter_map(|part| part.end).max().unwrap_or(0)
    }

    pub fn master(&self) -> Option<ChannelId> {
        let is_master = |it: &&Channel| it.channel_kind == ChannelKind::Master;
        self.routing.channels.iter().find(is_master).map(|channel| channel.id)
    }

    /// The values of a node as the project has them.
    pub fn params_of(&self, node: NodeKey) -> Option<&BTreeMap<String, f64>> {
        self.parts.values().find_map(|part| part.params.0.get(&node))
    }
}

/// What of a channel is derived again.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Dirty {
    params: bool,
    content: bool,
    zones: bool,
}

impl Dirty {
    const ALL: Dirty = Dirty { params: true, content: true, zones: true };
}

impl Host {
    /// What plays of an arrangement now, as a step from what was asked for last.
    /// After a refusal the next step is whole again.
    pub fn play(&mut self, id: ArrangementId) -> Result<Step, PlayError> {
        self.mend();
        let known = self.stage.take().filter(|stage| stage.arrangement == id);
        let whole = known.is_none();
        let mut stage = known.unwrap_or_else(|| Stage::new(id));
        let step = self.step(&mut stage, whole)?;
        self.stage = Some(stage);
        Ok(step)
    }

    /// Forgets what was played: the next step is whole.
    pub fn play_anew(&mut self) {
        self.stage = None;
    }

    /// What was taken last.
    pub fn stage(&self) -> Option<&Stage> {
        self.stage.as_ref()
    }

    fn step(&self, stage: &mut Stage, whole: bool) -> Result<Step, PlayError> {
        let of = db::arrangement_in(&self.db, stage.arrangement);
        let (base, routing) = (db::measured(&self.db, of), db::routes(&self.db, of));
        let live = db::live_nodes(&self.db, of);
        let touched = std::mem::take(&mut stage.touched);
        let media = whole || touched.contains(&Touch::Media);
        let rerouted = !Arc::ptr_eq(&stage.routing, &routing);
        let dirty = stage.dirty(&touched, &routing);
        let mut patch = Patch::default();
        if rerouted {
            stage.forget_gone(&routing, &mut patch);
        }
        let mut cast = rerouted;
        for (channel, dirty) in dirty {
            cast |= self.renew(stage, channel, dirty, &mut patch);
        }
        if cast {
            stage.count_players();
        }
        stage.restore(&mut patch);
        let automation = db::automation(&self.db, of);
        if !Arc::ptr_eq(&stage.automation, &automation) {
            differ(&stage.automation.0, &automation.0, &mut patch.automation);
            stage.automation = automation;
        }
        let tempo = db::tempo(&self.db, of);
        let signatures = db::signatures(&self.db, of);
        let rate = db::ProjectIn::get(&self.db).sample_rate(&self.db);
        let time = SongTime { tempo: tempo.map, signatures, rate };
        let gestures = of.gestures(&self.db);
        self.checked(())?;
        let spec = stage.enliven(base?, live);
        Ok(Step { spec, routing, gestures, time, patch, whole, media })
    }

    /// True where other nodes play than did.
    fn renew(&self, stage: &mut Stage, id: ChannelId, dirty: Dirty, patch: &mut Patch) -> bool {
        let of = db::arrangement_in(&self.db, stage.arrangement);
        let channel = db::channel_in(&self.db, id);
        let part = stage.parts.entry(id).or_default();
        if dirty.params {
            let params = db::params(&self.db, of, channel);
            differ(&part.params.0, &params.0, &mut patch.params);
            part.params = params;
        }
        if dirty.zones {
            let zones = db::zones(&self.db, channel);
            differ(&part.zones.0, &zones.0, &mut patch.zones);
            part.zones = zones;
        }
        if dirty.content {
            let chain = db::chain_of(&self.db, channel);
            let players = chain.map(|chain| chain.players.clone()).unwrap_or_default();
            let fed = if part.track.is_some() { players.clone() } else { vec![] };
            let played = part.track.map(|track| self.played(of, track)).unwrap_or_default();
            let recast = part.players != players;
            part.players = players;
            part.play(played, fed, patch);
            return recast;
        }
        false
    }
}

impl Stage {
    /// The graph that is played. Equal ones are the same `Arc`.
    fn enliven(&mut self, base: Arc<GraphSpec>, live: Arc<BTreeSet<NodeKey>>) -> Arc<GraphSpec> {
        let known = self.graph.take();
        let known = known.filter(|known| Arc::ptr_eq(&known.base, &base) || known.base == base);
        let graph = match known {
            Some(mut known) => {
                known.base = base;
                known.turn(live);
                known
            }
            None => PlayedGraph::new(base, live),
        };
        Arc::clone(&self.graph.insert(graph).spec)
    }

    /// What has to be derived again, by channel.
    fn dirty(
        &mut self,
        touched: &BTreeSet<Touch>,
        routing: &Arc<Routing>,
    ) -> BTreeMap<ChannelId, Dirty> {
        let mut dirty: BTreeMap<ChannelId, Dirty> = BTreeMap::new();
        if !Arc::ptr_eq(&self.routing, routing) {
            self.routing = Arc::clone(routing);
            self.of_track.clear();
            for channel in &routing.channels {
                if let Some(track) = channel.track {
                    self.of_track.entry(track).or_default().insert(channel.id);
                }
                let new = !self.parts.contains_key(&channel.id);
                let part = self.parts.entry(channel.id).or_default();
                if new || part.track != channel.track {
                    part.track = channel.track;
                    dirty.insert(channel.id, Dirty::ALL);
                }
            }
        }
        let heard = self.heard.replace(BTreeSet::new());
        let mut all = Dirty { params: heard.is_none(), ..Dirty::default() };
        for id in heard.into_iter().flatten() {
            dirty.entry(id).or_default().params = true;
        }
        for touch in touched {
            match *touch {
                Touch::Strip(id) => dirty.entry(id).or_default().params = true,
                Touch::Structure(id) => *dirty.entry(id).or_default() = Dirty::ALL,
                Touch::Content(track) => {
                    for id in self.of_track.get(&track).into_iter().flatten() {
                        dirty.entry(*id).or_default().content = true;
                    }
                }
                Touch::Links => all.params = true,
                Touch::Tempo(_) | Touch::Project => all.content = true,
                Touch::Media => all.zones = true,
                Touch::Tracks(_)
                | Touch::Routing(_)
                | Touch::Automation(_)
                | Touch::Timeline(_)
                | Touch::Track(_)
                | Touch::Places(_)
                | Touch::Clip(_) => {}
            }
        }
        if all != Dirty::default() {
            for (id, part) in &self.parts {
                let of = dirty.entry(*id).or_default();
                of.params |= all.params;
                of.content |= all.content;
                of.zones |= all.zones && !part.zones.0.is_empty();
            }
        }
        dirty.retain(|id, _| routing.channel(*id).is_some());
        dirty
    }

    /// Channels that are there no more take their content along.
    fn forget_gone(&mut self, routing: &Routing, patch: &mut Patch) {
        let gone: Vec<ChannelId> =
            self.parts.keys().filter(|id| routing.channel(**id).is_none()).copied().collect();
        for part in gone.iter().filter_map(|id| self.parts.remove(id)) {
            differ(&part.params.0, &BTreeMap::new(), &mut patch.params);
            let mut part = part;
            part.play(Arc::default(), vec![], patch);
            differ(&part.zones.0, &BTreeMap::new(), &mut patch.zones);
        }
    }

    /// What one channel has lost another may have: it moved there, or both play
    /// one track.
    fn restore(&self, patch: &mut Patch) {
        fn find<T: Clone>(differences: &mut Differences<T>, has: impl Fn(&NodeKey) -> Option<T>) {
            for (node, lost) in differences.iter_mut().filter(|(_, value)| value.is_none()) {
                *lost = has(node);
            }
        }
        let parts = || self.parts.values();
        find(&mut patch.params, |node| parts().find_map(|part| part.params.0.get(node).cloned()));
        find(&mut patch.events, |node| parts().find_map(|part| part.events_of(*node)));
        find(&mut patch.clips, |node| parts().find_map(|part| part.clips_of(*node)));
        find(&mut patch.zones, |node| parts().find_map(|part| part.zones.0.get(node).cloned()));
    }
}

/// Adds what differs between two slices of one owner. What has been found under
/// another owner stays.
fn differ<T: Clone + PartialEq>(
    old: &BTreeMap<NodeKey, T>,
    new: &BTreeMap<NodeKey, T>,
    differences: &mut Differences<T>,
) {
    for node in old.keys().filter(|node| !new.contains_key(node)) {
        differences.entry(*node).or_insert(None);
    }
    for (node, value) in new.iter().filter(|(node, value)| old.get(node) != Some(value)) {
        differences.insert(*node, Some(value.clone()));
    }
}
