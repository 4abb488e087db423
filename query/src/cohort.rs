//! Who must be computed live and who may be rendered ahead of time, and why.
//!
//! Live is what answers somebody now: an armed or monitored track, an open
//! editor, what a user forced, and all that hears one of these. Feeding a live
//! channel makes nothing live: a live node reads what was rendered ahead. So
//! arming one track leaves every track that only feeds the master ahead.
//!
//! Modulation and feedback are another matter: no ring carries them, so the engine
//! runs both of their ends on one side (`pulse_engine::anticipate::split`). A channel
//! whose LFO moves a live one, or that feeds back to it, is live as well, as a whole:
//! that costs more than its modulator alone and is a thing that one can be told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use pulse_schemas::{
    entity::{Channel, DspNode, ModulationRoute, Monitor, ProcessingPolicy, Track},
    graph::Cohort,
    hash::Hash,
    id::{AnyId, ArrangementId, ChannelId, EntityKind, NodeId, TrackId},
};

use crate::{
    chain::playing_nodes,
    routing::{RouteKind, Routing, routing},
    source::{Source, SourceExt},
};

#[cfg(test)]
mod engine_tests;

/// What no project holds: open editors, and what users decided for this session.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Seeds {
    /// Tracks, channels and nodes with an open editor.
    pub editors: BTreeSet<AnyId>,
    /// Tracks, channels and nodes that somebody put into a cohort.
    pub forced: BTreeMap<AnyId, Cohort>,
}

/// Why a channel is where it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    Forced,
    /// The track's own policy.
    Policy,
    Armed,
    Monitored,
    EditorOpen,
    /// It hears or obeys this one, which is live.
    After(ChannelId),
    /// It modulates this one, which is live.
    Modulates(ChannelId),
    /// It feeds back to this one, which is live.
    FeedsBack(ChannelId),
    /// Nobody needs it at once.
    NotNeeded,
}

impl Reason {
    /// The live channel that it is because of.
    pub fn because_of(&self) -> Option<ChannelId> {
        match self {
            Reason::After(channel) | Reason::Modulates(channel) | Reason::FeedsBack(channel) => {
                Some(*channel)
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::Forced => f.write_str("forced"),
            Reason::Policy => f.write_str("set on the track"),
            Reason::Armed => f.write_str("armed"),
            Reason::Monitored => f.write_str("monitored"),
            Reason::EditorOpen => f.write_str("editor open"),
            Reason::After(channel) => write!(f, "after {channel}"),
            Reason::Modulates(channel) => write!(f, "modulates {channel}"),
            Reason::FeedsBack(channel) => write!(f, "feeds back to {channel}"),
            Reason::NotNeeded => f.write_str("nobody needs it at once"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    pub cohort: Cohort,
    pub reason: Reason,
}

const REST: Member = Member { cohort: Cohort::Anticipative, reason: Reason::NotNeeded };

/// What cohorts are assigned on: it changes with the routing and with no gesture.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ground {
    channels: BTreeMap<ChannelId, Option<TrackId>>,
    of_track: BTreeMap<TrackId, Vec<ChannelId>>,
    nodes: BTreeMap<NodeId, ChannelId>,
    ways: Ways,
}

impl Ground {
    /// `nodes` and `speeches` are those of the routing's channels.
    pub fn of(
        routing: &Routing,
        nodes: BTreeMap<NodeId, ChannelId>,
        speeches: &Speeches,
    ) -> Ground {
        let channels = routing.channels.iter().map(|channel| (channel.id, channel.track)).collect();
        let mut of_track: BTreeMap<TrackId, Vec<ChannelId>> = BTreeMap::new();
        for channel in &routing.channels {
            if let Some(track) = channel.track {
                of_track.entry(track).or_default().push(channel.id);
            }
        }
        let ways = Ways::of(routing, speeches, &nodes);
        Ground { channels, of_track, nodes, ways }
    }

    fn channel_of(&self, id: AnyId) -> Option<ChannelId> {
        match id.kind {
            EntityKind::Channel => Some(ChannelId(id.id)),
            EntityKind::Track => self.of_track.get(&TrackId(id.id))?.last().copied(),
            EntityKind::DspNode => self.nodes.get(&NodeId(id.id)).copied(),
            _ => None,
        }
    }
}

/// Every channel and node of an arrangement with its cohort.
///
/// Most channels are at rest, so only the others are written down: what a gesture
/// changes is small, however many channels there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cohorts {
    ground: Arc<Ground>,
    /// All channels that are not at rest.
    decided: BTreeMap<ChannelId, Member>,
}

impl Cohorts {
    pub fn of(&self, channel: ChannelId) -> Option<Member> {
        self.ground.channels.get(&channel)?;
        Some(self.decided.get(&channel).copied().unwrap_or(REST))
    }

    pub fn of_node(&self, node: NodeId) -> Option<Member> {
        self.of(*self.ground.nodes.get(&node)?)
    }

    /// All channels, by id.
    pub fn channels(&self) -> impl Iterator<Item = (ChannelId, Member)> {
        let member = |id: &ChannelId| self.decided.get(id).copied().unwrap_or(REST);
        self.ground.channels.keys().map(move |id| (*id, member(id)))
    }

    /// The channel that each node runs in; it shares the channel's cohort.
    pub fn nodes(&self) -> &BTreeMap<NodeId, ChannelId> {
        &self.ground.nodes
    }

    pub fn live(&self) -> impl Iterator<Item = ChannelId> {
        let live = self.decided.iter().filter(|(_, member)| member.cohort == Cohort::Live);
        live.map(|(id, _)| *id)
    }

    /// The reasons from a channel back to the seed that made it live.
    pub fn chain(&self, channel: ChannelId) -> Vec<(ChannelId, Reason)> {
        let mut chain = Vec::new();
        let mut at = Some(channel);
        while let Some(here) = at {
            let Some(member) = self.of(here) else { break };
            chain.push((here, member.reason));
            at = member.reason.because_of();
        }
        chain
    }

    pub fn count(&self, cohort: Cohort) -> usize {
        let live = self.live().count();
        match cohort {
            Cohort::Live => live,
            Cohort::Anticipative => self.ground.channels.len() - live,
        }
    }

    /// The same when nobody changed sides.
    pub fn hash(&self) -> Hash {
        let mut sum = Sum::default();
        self.channels().for_each(|(channel, member)| sum.channel(channel, member.cohort));
        self.nodes().iter().for_each(|(node, channel)| sum.node(*node, *channel));
        sum.hash()
    }
}

/// A hash of an assignment that grows with it: whoever adds a channel need not go
/// through all the others again. It tells two assignments apart that come about by
/// themselves; nobody gains anything by forging one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum([u64; 4]);

impl Sum {
    pub fn channel(&mut self, channel: ChannelId, cohort: Cohort) {
        self.add(&[&channel.0.to_bytes(), &[u8::from(cohort == Cohort::Live)]]);
    }

    pub fn node(&mut self, node: NodeId, channel: ChannelId) {
        self.add(&[&node.0.to_bytes(), &channel.0.to_bytes()]);
    }

    fn add(&mut self, parts: &[&[u8]]) {
        let mut hasher = blake3::Hasher::new_derive_key("pulse cohorts v2");
        for part in parts {
            hasher.update(part);
        }
        let hash = hasher.finalize();
        for (lane, bytes) in self.0.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            let word = bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
            *lane = lane.wrapping_add(word);
        }
    }

    pub fn hash(&self) -> Hash {
        let bytes: Vec<u8> = self.0.iter().flat_map(|lane| lane.to_be_bytes()).collect();
        blake3::hash(&bytes).into()
    }
}

/// The channel that an entity sounds through.
pub fn channel_of(source: &dyn Source, id: AnyId) -> Option<ChannelId> {
    match id.kind {
        EntityKind::Channel => Some(ChannelId(id.id)),
        EntityKind::Track => source.channel_of(TrackId(id.id)).map(|channel| channel.id),
        EntityKind::DspNode => source.get::<DspNode>(id.id).map(|node| node.channel),
        _ => None,
    }
}

/// What of a track decides about its cohort.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gesture {
    pub armed: bool,
    pub monitor: Monitor,
    pub policy: ProcessingPolicy,
}

impl Gesture {
    pub fn of(track: &Track) -> Gesture {
        Gesture { armed: track.armed, monitor: track.monitor, policy: track.policy }
    }

    /// Whether it can move a channel: a track at rest decides nothing.
    pub fn matters(&self) -> bool {
        self.armed || self.monitor == Monitor::On || self.policy != ProcessingPolicy::Auto
    }
}

/// The tracks of an arrangement that decide anything.
pub fn gestures(source: &dyn Source, arrangement: ArrangementId) -> BTreeMap<TrackId, Gesture> {
    let tracks = source.referring::<Track>(arrangement);
    let gestures = tracks.iter().map(|track| (track.id, Gesture::of(track)));
    gestures.filter(|(_, gesture)| gesture.matters()).collect()
}

/// The channel that each node of a routing runs in.
pub fn places(source: &dyn Source, routing: &Routing) -> BTreeMap<NodeId, ChannelId> {
    let of_channel = |channel: &Channel| {
        let id = channel.id;
        nodes_of(source, id).into_iter().map(move |node| (node, id))
    };
    routing.channels.iter().flat_map(of_channel).collect()
}

/// The nodes that run in a channel.
pub fn nodes_of(source: &dyn Source, channel: ChannelId) -> Vec<NodeId> {
    let nodes = source.referring::<DspNode>(channel).into_iter();
    nodes.filter(|node| node.channel == channel).map(|node| node.id).collect()
}

/// What the nodes of a channel move in other channels, and which of them don't run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Speech {
    /// Parameters' owners that are modulated from here: nodes, channels, sends.
    pub modulates: BTreeSet<AnyId>,
    /// Nodes of a frozen track and of alternatives that rest: nobody moves these.
    pub resting: BTreeSet<NodeId>,
}

impl Speech {
    fn is_silent(&self) -> bool {
        self.modulates.is_empty() && self.resting.is_empty()
    }
}

/// Channels that have anything to say.
pub type Speeches = BTreeMap<ChannelId, Speech>;

/// What one channel says, as its chain has it (see [`crate::chain`]).
pub fn speech_of(source: &dyn Source, channel: &Channel) -> Speech {
    let mut speech = Speech::default();
    let mut nodes = nodes_of(source, channel.id);
    if nodes.is_empty() {
        return speech;
    }
    let track = channel.track.and_then(|track| source.get::<Track>(track.0));
    if track.is_none_or(|track| track.frozen.is_none()) {
        let playing = playing_nodes(source, channel);
        for node in &playing {
            let routes = source.referring::<ModulationRoute>(node.id).into_iter();
            let told = routes.filter(|route| route.from == node.id && route.enabled);
            speech.modulates.extend(told.filter_map(|route| route.to.target));
        }
        nodes.retain(|node| playing.iter().all(|playing| playing.id != *node));
    }
    speech.resting = nodes.into_iter().collect();
    speech
}

/// Collects what channels say.
pub fn speeches(of: impl IntoIterator<Item = (ChannelId, Speech)>) -> Speeches {
    of.into_iter().filter(|(_, speech)| !speech.is_silent()).collect()
}

/// What the channels of a routing say.
pub fn speeches_of(source: &dyn Source, routing: &Routing) -> Speeches {
    speeches(routing.channels.iter().map(|channel| (channel.id, speech_of(source, channel))))
}

/// Assigns every channel of an arrangement.
pub fn cohorts(source: &dyn Source, arrangement: ArrangementId, seeds: &Seeds) -> Cohorts {
    let routing = routing(source, arrangement);
    let (nodes, speeches) = (places(source, &routing), speeches_of(source, &routing));
    let ground = Ground::of(&routing, nodes, &speeches);
    assign(Arc::new(ground), &gestures(source, arrangement), seeds)
}

/// Assigns the channels of a routing, at the cost of those that anybody decides
/// about and of what hears them.
pub fn assign(
    ground: Arc<Ground>,
    gestures: &BTreeMap<TrackId, Gesture>,
    seeds: &Seeds,
) -> Cohorts {
    let editors: BTreeSet<ChannelId> =
        seeds.editors.iter().filter_map(|id| ground.channel_of(*id)).collect();
    let forced = seeds.forced.iter();
    let forced: BTreeMap<ChannelId, Cohort> =
        forced.filter_map(|(id, cohort)| Some((ground.channel_of(*id)?, *cohort))).collect();
    let gestured = gestures.keys().filter_map(|track| ground.of_track.get(track)).flatten();
    let concerned: BTreeSet<ChannelId> =
        gestured.chain(&editors).chain(forced.keys()).copied().collect();
    let mut decided = BTreeMap::new();
    for id in concerned {
        let Some(track) = ground.channels.get(&id) else { continue };
        let gesture = track.and_then(|track| gestures.get(&track)).copied();
        let open = editors.contains(&id);
        let member = own(gesture.unwrap_or_default(), forced.get(&id), open);
        if member != REST {
            decided.insert(id, member);
        }
    }
    close(&ground, &mut decided);
    Cohorts { ground, decided }
}

/// What a channel would be if nothing fed it.
fn own(gesture: Gesture, forced: Option<&Cohort>, editor_open: bool) -> Member {
    let live = |reason| Member { cohort: Cohort::Live, reason };
    let ahead = |reason| Member { cohort: Cohort::Anticipative, reason };
    if let Some(cohort) = forced {
        return Member { cohort: *cohort, reason: Reason::Forced };
    }
    match gesture.policy {
        ProcessingPolicy::Live => return live(Reason::Policy),
        ProcessingPolicy::Anticipative => return ahead(Reason::Policy),
        ProcessingPolicy::Auto => {}
    }
    if gesture.armed {
        live(Reason::Armed)
    } else if gesture.monitor == Monitor::On {
        live(Reason::Monitored)
    } else if editor_open {
        live(Reason::EditorOpen)
    } else {
        ahead(Reason::NotNeeded)
    }
}

/// What hears something live is live, whatever anybody wants: its input does not
/// exist ahead of time. So is what modulates something live or feeds back to it.
fn close(ground: &Ground, decided: &mut BTreeMap<ChannelId, Member>) {
    let live = decided.iter().filter(|(_, member)| member.cohort == Cohort::Live);
    let mut queue: VecDeque<(AnyId, ChannelId)> =
        live.map(|(channel, _)| (channel.any(), *channel)).collect();
    let mut sends: BTreeSet<AnyId> = BTreeSet::new();
    while let Some((at, cause)) = queue.pop_front() {
        for &(next, bond) in ground.ways.0.get(&at).into_iter().flatten() {
            if next.kind == EntityKind::Send {
                if sends.insert(next) {
                    queue.push_back((next, cause));
                }
                continue;
            }
            let next = ChannelId(next.id);
            if !ground.channels.contains_key(&next) {
                continue;
            }
            let member = decided.entry(next).or_insert(REST);
            if member.cohort != Cohort::Live {
                *member = Member { cohort: Cohort::Live, reason: bond.reason(cause) };
                queue.push_back((next.any(), next));
            }
        }
    }
}

/// Who goes over with whom, and why: from channels, and from sends that can be live
/// where their channel is not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Ways(BTreeMap<AnyId, Vec<(AnyId, Bond)>>);

/// Why one goes over with another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bond {
    Follows,
    Modulates,
    FeedsBack,
}

impl Bond {
    fn reason(self, cause: ChannelId) -> Reason {
        match self {
            Bond::Follows => Reason::After(cause),
            Bond::Modulates => Reason::Modulates(cause),
            Bond::FeedsBack => Reason::FeedsBack(cause),
        }
    }
}

impl Ways {
    fn of(routing: &Routing, speeches: &Speeches, nodes: &BTreeMap<NodeId, ChannelId>) -> Ways {
        let mut ways = Ways::default();
        let told = || speeches.values().flat_map(|speech| &speech.modulates);
        let moved: BTreeSet<AnyId> =
            told().filter(|id| id.kind == EntityKind::Send).copied().collect();
        let mut sends = BTreeSet::new();
        for route in &routing.routes {
            let (from, to) = (route.from.any(), route.to.any());
            let mut last = from;
            if route.kind == RouteKind::Send
                && (route.feedback.is_some() || moved.contains(&route.by))
            {
                ways.add(from, route.by, Bond::Follows);
                sends.insert(route.by);
                last = route.by;
            }
            ways.add(last, to, Bond::Follows);
            if route.feedback.is_some() {
                ways.add(to, last, Bond::FeedsBack);
            }
        }
        let rests = |node: &NodeId, channel: &ChannelId| {
            speeches.get(channel).is_some_and(|speech| speech.resting.contains(node))
        };
        for (channel, speech) in speeches {
            for target in &speech.modulates {
                let part = match target.kind {
                    EntityKind::Channel => Some(*target),
                    EntityKind::Send => sends.contains(target).then_some(*target),
                    EntityKind::DspNode => {
                        let node = NodeId(target.id);
                        let place = nodes.get(&node).filter(|place| !rests(&node, place));
                        place.map(|channel| channel.any())
                    }
                    _ => None,
                };
                if let Some(part) = part.filter(|part| *part != channel.any()) {
                    ways.add(channel.any(), part, Bond::Follows);
                    ways.add(part, channel.any(), Bond::Modulates);
                }
            }
        }
        ways
    }

    fn add(&mut self, from: AnyId, to: AnyId, bond: Bond) {
        self.0.entry(from).or_default().push((to, bond));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Entities;
    use pulse_schemas::id::{ActorId, EntityId};

    fn arrangement() -> ArrangementId {
        ArrangementId(EntityId::derive(ActorId(1), 0, 0))
    }

    fn id(kind: u64, number: u32) -> EntityId {
        EntityId::derive(ActorId(1), kind, number)
    }

    fn channel(number: u32) -> ChannelId {
        ChannelId(id(1, number))
    }

    fn track(number: u32) -> TrackId {
        TrackId(id(2, number))
    }

    /// Channel 0 is the master; tracks 1 and 2 feed it, 3 feeds it through bus 4.
    fn project(change: impl Fn(u32, &mut Track)) -> Entities {
        let mut entities = Entities::default();
        let put = |entities: &mut Entities, number: u32, output: Option<u32>, of: Option<u32>| {
            entities.put(Channel {
                id: channel(number),
                arrangement: arrangement(),
                track: of.map(track),
                output: output.map(channel),
                ..Channel::default()
            });
        };
        put(&mut entities, 0, None, None);
        put(&mut entities, 4, Some(0), None);
        for (number, output) in [(1, 0), (2, 0), (3, 4)] {
            put(&mut entities, number, Some(output), Some(number));
            let mut made =
                Track { id: track(number), arrangement: arrangement(), ..Track::default() };
            change(number, &mut made);
            entities.put(made);
        }
        entities
    }

    fn live(entities: &Entities, seeds: &Seeds) -> Vec<u32> {
        let cohorts = cohorts(entities, arrangement(), seeds);
        let is_live = |number: &u32| cohorts.of(channel(*number)).unwrap().cohort == Cohort::Live;
        (0..5).filter(is_live).collect()
    }

    #[test]
    fn arming_one_track_makes_only_what_hears_it_live() {
        let check = |armed: u32, expect: &[u32]| {
            let entities = project(|number, track| track.armed = number == armed);
            assert_eq!(live(&entities, &Seeds::default()), expect);
        };
        check(9, &[]);
        check(1, &[0, 1]);
        check(3, &[0, 3, 4]);
    }

    #[test]
    fn users_decide_about_seeds_and_not_about_what_follows() {
        let entities = project(|number, track| track.armed = number == 3);
        let force = |id: AnyId, cohort| Seeds {
            forced: BTreeMap::from([(id, cohort)]),
            ..Seeds::default()
        };
        let ahead = Cohort::Anticipative;
        assert_eq!(live(&entities, &force(track(3).any(), ahead)), &[] as &[u32]);
        assert_eq!(live(&entities, &force(channel(4).any(), ahead)), [0, 3, 4]);
        assert_eq!(live(&entities, &force(channel(2).any(), Cohort::Live)), [0, 2, 3, 4]);
    }

    #[test]
    fn the_reasons_lead_back_to_the_seed() {
        let entities = project(|_, _| {});
        let seeds = Seeds { editors: BTreeSet::from([track(3).any()]), ..Seeds::default() };
        let cohorts = cohorts(&entities, arrangement(), &seeds);
        let reasons: Vec<Reason> =
            cohorts.chain(channel(0)).into_iter().map(|(_, reason)| reason).collect();
        let expect = [Reason::After(channel(4)), Reason::After(channel(3)), Reason::EditorOpen];
        assert_eq!(reasons, expect);
    }

    #[test]
    fn the_hash_follows_the_assignment() {
        let hash = |armed: u32| {
            let entities = project(|number, track| track.armed = number == armed);
            cohorts(&entities, arrangement(), &Seeds::default()).hash()
        };
        assert_eq!(hash(8), hash(9));
        assert_ne!(hash(1), hash(2));
    }
}
