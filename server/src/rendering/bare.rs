//! One channel as its frozen or bounced render has to sound: before the fader,
//! whatever is muted or soloed around it.
//!
//! A view over a revision and not a changed copy of one: nothing is written, and
//! what both have in common meets in the render cache.

use std::collections::BTreeSet;

use pulse_engine::registry::Registry;
use pulse_query::{
    source::{Source, SourceExt},
    stored::Stored,
};
use pulse_schemas::{
    entity::{
        AnyEntity, AutomationEnvelope, Channel, ClipSlot, DspNode, Lane, ModulationRoute, PanLaw,
        ParameterLink, Send, Track,
    },
    id::{AnyId, ClipId, EntityId, EntityKind, LaneId, TrackId},
    record::EntityKey,
};
use pulse_store::view::View;

use super::RenderingError;

/// What of a track is heard.
pub struct Bare {
    pub channel: Channel,
    /// Lanes of the track.
    lanes: BTreeSet<LaneId>,
    /// The only clip of the track that sounds, and nothing from other channels.
    only: Option<(ClipId, LaneId)>,
    /// Nodes that are left out.
    without: BTreeSet<EntityId>,
    dry: bool,
    /// Heard behind the fader after all.
    faded: bool,
}

impl Bare {
    /// All that a track plays, with its nodes.
    pub fn whole(view: &View, track: TrackId) -> Result<Bare, RenderingError> {
        let source = Stored::new(view.clone());
        let channel = source.channel_of(track).ok_or(RenderingError::NoChannel { track })?;
        let lanes = source.referring::<Lane>(track);
        let lanes = lanes.into_iter().filter(|lane| lane.track == track).map(|lane| lane.id);
        let lanes = lanes.collect();
        source.check()?;
        Ok(Bare { channel, lanes, only: None, without: BTreeSet::new(), dry: false, faded: false })
    }

    /// One clip of the track and nothing else.
    pub fn with_only(self, clip: ClipId, lane: LaneId) -> Bare {
        Bare { only: Some((clip, lane)), ..self }
    }

    /// Behind the fader, with its automation.
    pub fn faded(self) -> Bare {
        Bare { faded: true, ..self }
    }

    /// Without what works on sound: what makes sound of notes stays.
    pub fn dry(self, view: &View, registry: &Registry) -> Result<Bare, RenderingError> {
        let source = Stored::new(view.clone());
        let works_on_sound = |node: &DspNode| {
            registry.get(&node.node_kind).is_none_or(|kind| !kind.descriptor.inputs.is_empty())
        };
        let nodes = source.referring::<DspNode>(self.channel.id);
        let without = nodes.into_iter().filter(works_on_sound).map(|node| node.id.0).collect();
        source.check()?;
        Ok(Bare { without, dry: true, ..self })
    }

    /// The revision, so heard.
    pub fn over<'a>(&'a self, inner: &'a dyn Source) -> Heard<'a> {
        Heard { bare: self, inner }
    }

    /// An entity as it is heard; none where it is left out.
    fn bare(&self, entity: AnyEntity) -> Option<AnyEntity> {
        let own = self.channel.id;
        let is_own = |target: Option<AnyId>| !self.faded && target == Some(own.any());
        Some(match entity {
            AnyEntity::Track(track) => self.track(track).into(),
            AnyEntity::Channel(channel) if channel.id == own && self.faded => {
                Channel { mute: false, ..channel }.into()
            }
            AnyEntity::Channel(channel) if channel.id == own => neutral(channel).into(),
            AnyEntity::Channel(mut channel)
                if self.only.is_some() && channel.output == Some(own) =>
            {
                channel.output = None;
                channel.into()
            }
            AnyEntity::Clip(mut clip) => {
                if let Some((only, _)) = self.only
                    && self.lanes.contains(&clip.lane)
                {
                    clip.mute = clip.id != only;
                }
                clip.into()
            }
            AnyEntity::Lane(mut lane) => {
                lane.mute &= self.only.is_none_or(|(_, only)| lane.id != only);
                lane.into()
            }
            AnyEntity::Send(Send { to, .. }) if self.only.is_some() && to == own => return None,
            AnyEntity::ClipSlot(ClipSlot { clip, .. })
                if clip.is_some() && clip == self.only.map(|(only, _)| only) =>
            {
                return None;
            }
            AnyEntity::DspNode(DspNode { id, .. }) if self.without.contains(&id.0) => return None,
            // Wires of a chain lead through what is left out; what is left stands in order.
            AnyEntity::Connection(wire) if self.dry && wire.channel == own => return None,
            AnyEntity::AutomationEnvelope(AutomationEnvelope { target, .. }) if is_own(target) => {
                return None;
            }
            AnyEntity::ModulationRoute(ModulationRoute { to, .. }) if is_own(to.target) => {
                return None;
            }
            AnyEntity::ParameterLink(ParameterLink { target, .. }) if is_own(target.target) => {
                return None;
            }
            other => other,
        })
    }

    fn track(&self, track: Track) -> Track {
        let own = self.channel.track == Some(track.id);
        let frozen = track.frozen.filter(|_| !own);
        Track { mute: false, solo: false, frozen, ..track }
    }
}

/// The strip as if it were not there.
fn neutral(channel: Channel) -> Channel {
    Channel {
        gain_db: 0.0,
        pan: 0.0,
        width: 1.0,
        mute: false,
        invert_left: false,
        invert_right: false,
        pan_law: PanLaw::Balance,
        ..channel
    }
}

/// A revision heard through a [`Bare`].
pub struct Heard<'a> {
    bare: &'a Bare,
    inner: &'a dyn Source,
}

impl Heard<'_> {
    fn all(&self, entities: Vec<AnyEntity>) -> Vec<AnyEntity> {
        entities.into_iter().filter_map(|entity| self.bare.bare(entity)).collect()
    }
}

impl Source for Heard<'_> {
    fn entity(&self, key: EntityKey) -> Option<AnyEntity> {
        self.inner.entity(key).and_then(|entity| self.bare.bare(entity))
    }

    fn of_kind(&self, kind: EntityKind) -> Vec<AnyEntity> {
        self.all(self.inner.of_kind(kind))
    }

    fn members(&self, kind: EntityKind, owner: EntityId) -> Vec<AnyEntity> {
        self.all(self.inner.members(kind, owner))
    }

    fn referrers(&self, kind: EntityKind, target: AnyId) -> Vec<AnyEntity> {
        self.all(self.inner.referrers(kind, target))
    }
}
