//! Which derivations a changed entity concerns.
//!
//! Precise where precision pays (a fader must not reach the graph) and generous
//! elsewhere: a touch too many costs a comparison, one too few shows something
//! that is not so. Every rule reads both sides of a change, each in the revision
//! that it belongs to, so that what moves touches where it was and where it is.

use std::collections::{BTreeMap, BTreeSet};

use pulse_engine::registry::Registry;
use pulse_schemas::{
    entity::{
        AnyEntity, Channel, Clip, DspNode, EnvelopeOwner, Lane, SidechainRoute, Track, ViewMeta,
    },
    id::{AnyId, ArrangementId, ChannelId, ClipId, EntityId, EntityKind, LaneId, NodeId, TrackId},
};
use pulse_store::changes::Change;

use crate::{
    content::place_differs,
    source::{Source, SourceExt},
    view::arrangement::Dirt,
};

/// A part of the project with a label of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Touch {
    /// Tracks, their nesting and order.
    Tracks(ArrangementId),
    /// Channels and the ways between them.
    Routing(ArrangementId),
    Automation(ArrangementId),
    /// Where ticks lie in time.
    Tempo(ArrangementId),
    /// Tempo, signatures, keys, markers, sections.
    Timeline(ArrangementId),
    /// The track, its lanes, clips, their content and their looks.
    Track(TrackId),
    /// Of these, what plays.
    Content(TrackId),
    /// Of these, which clips play notes, and where.
    Places(TrackId),
    Clip(ClipId),
    /// What the chain of a channel is built of.
    Structure(ChannelId),
    /// Everything that a mixer strip shows.
    Strip(ChannelId),
    Media,
    Links,
    Project,
}

/// What a change concerns.
#[derive(Default)]
pub struct Touched {
    pub parts: BTreeSet<Touch>,
    /// What of the rows of tracks may differ. All other rows of a touched track
    /// are as they were.
    pub rows: BTreeMap<TrackId, Dirt>,
}

impl Touched {
    fn insert(&mut self, touch: Touch) {
        self.parts.insert(touch);
    }

    fn rows_of(&mut self, track: TrackId) -> &mut Dirt {
        self.insert(Touch::Track(track));
        self.rows.entry(track).or_default()
    }

    pub fn add(&mut self, other: Touched) {
        self.parts.extend(other.parts);
        for (track, dirt) in other.rows {
            self.rows.entry(track).or_default().add(&dirt);
        }
    }
}

/// Collects the touches of one change.
pub fn of_change(
    before: &dyn Source,
    after: &dyn Source,
    registry: &Registry,
    change: &Change,
) -> Touched {
    let mut touched = Touched::default();
    let (old, new) = (change.before.as_deref(), change.after.as_deref());
    let name = |entity: Option<&AnyEntity>| entity.and_then(|it| it.label().map(str::to_owned));
    if name(old) != name(new) {
        named(after, change.key.any_id(), &mut touched);
    }
    if let (Some(old), Some(new)) = (old, new)
        && let Some(precise) = precisely(after, registry, old, new)
    {
        touched.add(precise);
        return touched;
    }
    for (source, entity) in [(before, old), (after, new)] {
        if let Some(entity) = entity {
            Toucher { source, touched: &mut touched }.entity(entity);
        }
    }
    if change.opaque {
        touched.insert(Touch::Project);
    }
    touched
}

/// Envelopes are shown with the name of what they move.
fn named(source: &dyn Source, target: AnyId, touched: &mut Touched) {
    for envelope in source.referrers(EntityKind::AutomationEnvelope, target) {
        if let AnyEntity::AutomationEnvelope(envelope) = envelope {
            Toucher { source, touched: &mut *touched }.envelope(&envelope.owner);
        }
    }
}

/// The frequent edits that stay inside of one owner and one aspect.
fn precisely(
    source: &dyn Source,
    registry: &Registry,
    old: &AnyEntity,
    new: &AnyEntity,
) -> Option<Touched> {
    let mut touched = Touched::default();
    // A linked parameter follows this one, wherever it is.
    let is_source =
        matches!(new.kind(), EntityKind::Channel | EntityKind::DspNode | EntityKind::Send);
    if is_source && !source.referrers(EntityKind::ParameterLink, new.any_id()).is_empty() {
        touched.insert(Touch::Links);
    }
    match (old, new) {
        (AnyEntity::Channel(old), AnyEntity::Channel(new)) => {
            if (old.arrangement, old.track) != (new.arrangement, new.track) {
                return None;
            }
            touched.insert(Touch::Strip(new.id));
            if skeleton(old) != skeleton(new) {
                touched.insert(Touch::Structure(new.id));
                touched.insert(Touch::Routing(new.arrangement));
            }
        }
        (AnyEntity::DspNode(old), AnyEntity::DspNode(new)) => {
            let still = DspNode {
                params: new.params.clone(),
                name: new.name.clone(),
                bypass: new.bypass,
                state: new.state.clone(),
                ..old.clone()
            };
            if still != *new {
                return None;
            }
            touched.insert(Touch::Strip(new.channel));
            if !same_layout(registry, old, new) {
                touched.insert(Touch::Structure(new.channel));
            }
        }
        (AnyEntity::Send(old), AnyEntity::Send(new)) => {
            let still = pulse_schemas::entity::Send {
                gain_db: new.gain_db,
                pan: new.pan,
                mute: new.mute,
                order: new.order.clone(),
                ..old.clone()
            };
            if still != *new {
                return None;
            }
            touched.insert(Touch::Strip(new.from));
        }
        (AnyEntity::Track(old), AnyEntity::Track(new)) => track(source, old, new, &mut touched)?,
        (AnyEntity::Clip(old), AnyEntity::Clip(new)) if old.lane == new.lane => {
            let mut toucher = Toucher { source, touched: &mut touched };
            toucher.clip(new.id);
            toucher.automation_of_clip(new.id);
            if place_differs(old, new) {
                toucher.place(new.lane);
            }
        }
        _ => return None,
    }
    Some(touched)
}

fn track(source: &dyn Source, old: &Track, new: &Track, touched: &mut Touched) -> Option<()> {
    if (old.arrangement, &old.frozen) != (new.arrangement, &new.frozen) {
        return None;
    }
    touched.rows_of(new.id).track = true;
    if let Some(channel) = source.channel_of(new.id) {
        touched.insert(Touch::Strip(channel.id));
    }
    if (old.parent, &old.order) != (new.parent, &new.order) {
        touched.insert(Touch::Tracks(new.arrangement));
    }
    Some(())
}

/// Whether the parameters that plans are compiled from are equal.
fn same_layout(registry: &Registry, old: &DspNode, new: &DspNode) -> bool {
    let kind = registry.get(&new.node_kind);
    let mut layout = kind.iter().flat_map(|kind| kind.descriptor.params).filter(|it| it.layout);
    layout.all(|param| old.params.get(param.id) == new.params.get(param.id))
}

/// A channel without what no route and no chain depends on.
pub fn skeleton(channel: &Channel) -> Channel {
    let plain = Channel::default();
    Channel {
        gain_db: plain.gain_db,
        pan: plain.pan,
        pan_law: plain.pan_law,
        width: plain.width,
        mute: plain.mute,
        invert_left: plain.invert_left,
        invert_right: plain.invert_right,
        ..channel.clone()
    }
}

struct Toucher<'a> {
    source: &'a dyn Source,
    touched: &'a mut Touched,
}

impl Toucher<'_> {
    fn add(&mut self, touch: Touch) {
        self.touched.insert(touch);
    }

    fn entity(&mut self, entity: &AnyEntity) {
        match entity {
            AnyEntity::Project(_) => self.add(Touch::Project),
            AnyEntity::Arrangement(it) => {
                self.add(Touch::Timeline(it.id));
                self.add(Touch::Project);
            }
            AnyEntity::Section(it) => self.add(Touch::Timeline(it.arrangement)),
            AnyEntity::Marker(it) => self.add(Touch::Timeline(it.arrangement)),
            AnyEntity::TempoPoint(it) => {
                self.add(Touch::Tempo(it.arrangement));
                self.add(Touch::Timeline(it.arrangement));
            }
            AnyEntity::SignaturePoint(it) => self.add(Touch::Timeline(it.arrangement)),
            AnyEntity::KeyPoint(it) => self.add(Touch::Timeline(it.arrangement)),
            AnyEntity::Track(it) => self.whole_track(it),
            AnyEntity::Lane(it) => self.lane_entity(it),
            AnyEntity::Take(it) => self.lane(it.lane),
            AnyEntity::Comp(it) => self.lane(it.lane),
            AnyEntity::Clip(it) => {
                self.add(Touch::Clip(it.id));
                self.clip_of_lane(it.lane, it.id);
                self.automation_of_lane(it.lane);
                self.place(it.lane);
            }
            AnyEntity::AudioRegion(it) => {
                self.clip(it.clip);
                self.add(Touch::Media);
            }
            AnyEntity::Note(it) => self.clip(it.clip),
            AnyEntity::MidiEvent(it) => self.clip(it.clip),
            AnyEntity::AutomationEnvelope(it) => self.envelope(&it.owner),
            AnyEntity::AutomationPoint(it) => {
                let found: Option<pulse_schemas::entity::AutomationEnvelope> =
                    self.source.get(it.envelope.0);
                if let Some(envelope) = found {
                    self.envelope(&envelope.owner);
                }
            }
            AnyEntity::Channel(it) => self.channel_entity(it),
            AnyEntity::DspNode(it) => {
                self.channel(it.channel);
                self.routing_of_channel(it.channel);
            }
            AnyEntity::NodeStack(it) => self.channel(it.channel),
            AnyEntity::Connection(it) => self.channel(it.channel),
            AnyEntity::ModulationRoute(it) => self.node(it.from),
            AnyEntity::Send(it) => {
                self.channel(it.from);
                self.routing_of_channel(it.from);
                self.routing_of_channel(it.to);
            }
            AnyEntity::SidechainRoute(it) => self.sidechain(it),
            AnyEntity::ParameterLink(_) | AnyEntity::ParameterGroup(_) => self.add(Touch::Links),
            AnyEntity::ViewMeta(it) => self.looks(it),
            AnyEntity::MediaItem(it) => self.media(it.id.any()),
            AnyEntity::Kit(_) | AnyEntity::KitSlot(_) => self.add(Touch::Media),
            // What waits in a slot has no place on the timeline.
            AnyEntity::ClipSlot(it) => {
                if let Some(clip) = it.clip {
                    self.clip(clip);
                    if let Some(clip) = self.source.get::<Clip>(clip.0) {
                        self.place(clip.lane);
                    }
                }
            }
            AnyEntity::Variant(it) => {
                for reference in it.references_to(EntityKind::Track) {
                    self.add(Touch::Track(TrackId(reference)));
                }
            }
            _ => {}
        }
    }

    fn whole_track(&mut self, track: &Track) {
        let rows = self.content_of(track.id);
        (rows.track, rows.lanes) = (true, true);
        self.add(Touch::Places(track.id));
        self.add(Touch::Tracks(track.arrangement));
        self.add(Touch::Automation(track.arrangement));
        if let Some(channel) = self.source.channel_of(track.id) {
            self.channel(channel.id);
        }
    }

    fn lane_entity(&mut self, lane: &Lane) {
        self.content_of(lane.track).lanes = true;
        self.add(Touch::Places(lane.track));
        self.automation_of_track(lane.track);
        if let Some(channel) = self.source.channel_of(lane.track) {
            self.add(Touch::Structure(channel.id));
        }
    }

    fn content_of(&mut self, track: TrackId) -> &mut Dirt {
        self.add(Touch::Content(track));
        self.touched.rows_of(track)
    }

    /// What lies in a lane and has no row beside those of clips.
    fn lane(&mut self, lane: LaneId) {
        if let Some(lane) = self.source.get::<Lane>(lane.0) {
            self.content_of(lane.track);
        }
    }

    fn clip_of_lane(&mut self, lane: LaneId, clip: ClipId) {
        if let Some(lane) = self.source.get::<Lane>(lane.0) {
            self.content_of(lane.track).clips.insert(clip);
        }
    }

    /// Other clips play in a lane, or elsewhere.
    fn place(&mut self, lane: LaneId) {
        if let Some(lane) = self.source.get::<Lane>(lane.0) {
            self.add(Touch::Places(lane.track));
        }
    }

    fn clip(&mut self, clip: ClipId) {
        self.add(Touch::Clip(clip));
        if let Some(found) = self.source.get::<Clip>(clip.0) {
            self.clip_of_lane(found.lane, clip);
        }
    }

    fn automation_of_track(&mut self, track: TrackId) {
        if let Some(track) = self.source.get::<Track>(track.0) {
            self.add(Touch::Automation(track.arrangement));
        }
    }

    fn automation_of_lane(&mut self, lane: LaneId) {
        if let Some(lane) = self.source.get::<Lane>(lane.0) {
            self.automation_of_track(lane.track);
        }
    }

    /// A clip that moves takes its envelopes along.
    fn automation_of_clip(&mut self, clip: ClipId) {
        let envelopes = self.source.referrers(EntityKind::AutomationEnvelope, clip.any());
        if !envelopes.is_empty()
            && let Some(clip) = self.source.get::<Clip>(clip.0)
        {
            self.automation_of_lane(clip.lane);
        }
    }

    fn envelope(&mut self, owner: &EnvelopeOwner) {
        match owner {
            EnvelopeOwner::Lane { lane } => {
                self.lane(*lane);
                self.automation_of_lane(*lane);
            }
            EnvelopeOwner::Clip { clip } => {
                self.clip(*clip);
                if let Some(clip) = self.source.get::<Clip>(clip.0) {
                    self.automation_of_lane(clip.lane);
                }
            }
            EnvelopeOwner::None => {}
        }
    }

    fn channel_entity(&mut self, channel: &Channel) {
        self.channel(channel.id);
        self.add(Touch::Routing(channel.arrangement));
        if let Some(track) = channel.track {
            self.content_of(track).track = true;
        }
    }

    fn channel(&mut self, channel: ChannelId) {
        self.add(Touch::Structure(channel));
        self.add(Touch::Strip(channel));
    }

    fn routing_of_channel(&mut self, channel: ChannelId) {
        if let Some(channel) = self.source.get::<Channel>(channel.0) {
            self.add(Touch::Routing(channel.arrangement));
        }
    }

    fn node(&mut self, node: NodeId) {
        if let Some(node) = self.source.get::<DspNode>(node.0) {
            self.channel(node.channel);
        }
    }

    fn sidechain(&mut self, route: &SidechainRoute) {
        self.routing_of_channel(route.from);
        if let Some(node) = self.source.get::<DspNode>(route.to.0) {
            self.channel(node.channel);
            self.routing_of_channel(node.channel);
        }
    }

    fn looks(&mut self, meta: &ViewMeta) {
        let Some(subject) = meta.subject else { return };
        match subject.kind {
            EntityKind::Track => {
                self.touched.rows_of(TrackId(subject.id)).track = true;
                let channel = self.source.channel_of(TrackId(subject.id));
                if let Some(channel) = channel {
                    self.add(Touch::Strip(channel.id));
                }
            }
            EntityKind::Clip => self.clip(ClipId(subject.id)),
            EntityKind::Channel => self.add(Touch::Strip(ChannelId(subject.id))),
            _ => {}
        }
    }

    /// An item and every clip that plays it.
    fn media(&mut self, media: AnyId) {
        media_users(self.source, media, self.touched);
    }
}

/// What shows a media item: the pool, its clips, the tracks that it stands in for.
pub fn media_users(source: &dyn Source, media: AnyId, touched: &mut Touched) {
    touched.insert(Touch::Media);
    let clips: BTreeSet<EntityId> = source
        .referrers(EntityKind::AudioRegion, media)
        .iter()
        .filter_map(|region| region.owner())
        .map(|owner| owner.id)
        .collect();
    let mut toucher = Toucher { source, touched };
    clips.into_iter().for_each(|clip| toucher.clip(ClipId(clip)));
    for track in source.referrers(EntityKind::Track, media) {
        toucher.content_of(TrackId(track.id())).track = true;
    }
}

/// What an entity names, by kind.
trait ReferencesTo {
    fn references_to(&self, kind: EntityKind) -> Vec<EntityId>;
}

impl<E: pulse_schemas::entity::Entity> ReferencesTo for E {
    fn references_to(&self, kind: EntityKind) -> Vec<EntityId> {
        let references = self.references().into_iter();
        references.map(|found| found.target).filter(|id| id.kind == kind).map(|id| id.id).collect()
    }
}
