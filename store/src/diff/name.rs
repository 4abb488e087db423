//! What things are called: by their own name, else by their number among their siblings.

use std::collections::BTreeMap;

use pulse_schemas::{
    entity::{AnyEntity, EnvelopeOwner, SignaturePoint},
    id::{AnyId, ArrangementId, EntityKind},
    record::EntityKey,
    time::{Signature, SignatureMap, SignatureMark},
};

use crate::view::{ReadError, View};

/// Between the parts of a name.
const STEP: &str = " ▸ ";
/// Deeper than any sensible nesting; ends a loop in a damaged project.
const DEEPEST: usize = 64;

/// Names entities of one view and remembers what it had to count.
pub struct Namer<'v> {
    view: &'v View,
    numbers: BTreeMap<(AnyId, EntityKind), BTreeMap<EntityKey, usize>>,
    meters: BTreeMap<ArrangementId, SignatureMap>,
}

/// What an entity belongs to, in the eyes of people.
fn parent(entity: &AnyEntity) -> Option<AnyId> {
    Some(match entity {
        AnyEntity::Lane(it) => it.track.any(),
        AnyEntity::Clip(it) => it.lane.any(),
        AnyEntity::Take(it) => it.lane.any(),
        AnyEntity::Comp(it) => it.lane.any(),
        AnyEntity::Channel(it) => it.track?.any(),
        AnyEntity::DspNode(it) => it.channel.any(),
        AnyEntity::NodeStack(it) => it.channel.any(),
        AnyEntity::Connection(it) => it.channel.any(),
        AnyEntity::Send(it) => it.from.any(),
        AnyEntity::SidechainRoute(it) => it.to.any(),
        AnyEntity::ModulationRoute(it) => it.from.any(),
        AnyEntity::ClipSlot(it) => it.track.any(),
        AnyEntity::Variant(it) => it.subject?,
        AnyEntity::ViewMeta(it) => it.subject?,
        AnyEntity::AnalysisArtefact(it) => it.media.any(),
        AnyEntity::AutomationEnvelope(it) => match it.owner {
            EnvelopeOwner::Lane { lane } => lane.any(),
            EnvelopeOwner::Clip { clip } => clip.any(),
            EnvelopeOwner::None => return None,
        },
        AnyEntity::Conflict(it) => it.subject?,
        other => other.owner().filter(|owner| owner.kind != EntityKind::Arrangement)?,
    })
}

impl<'v> Namer<'v> {
    pub fn new(view: &'v View) -> Namer<'v> {
        Namer { view, numbers: BTreeMap::new(), meters: BTreeMap::new() }
    }

    /// Another of the same view.
    pub(super) fn again(&self) -> Namer<'v> {
        Namer::new(self.view)
    }

    /// "Bass ▸ clip 3".
    pub fn name(&mut self, entity: &AnyEntity) -> Result<String, ReadError> {
        let mut parts = vec![self.own_name(entity)?];
        let mut next = parent(entity);
        while let Some(id) = next.take().filter(|_| parts.len() < DEEPEST) {
            let Some(above) = self.view.any(id)? else { break };
            next = parent(&above);
            // A lane without a name and the channel of a track add nothing.
            let is_plumbing = match &above {
                AnyEntity::Lane(lane) => lane.name.is_empty(),
                AnyEntity::Channel(channel) => channel.track.is_some(),
                _ => false,
            };
            if !is_plumbing {
                parts.push(self.own_name(&above)?);
            }
        }
        parts.reverse();
        Ok(parts.join(STEP))
    }

    /// The name of whatever an id names.
    pub fn any_name(&mut self, id: AnyId) -> Result<String, ReadError> {
        match self.view.any(id)? {
            Some(entity) => self.name(&entity),
            None => Ok(id.to_string()),
        }
    }

    fn own_name(&mut self, entity: &AnyEntity) -> Result<String, ReadError> {
        let kind = entity.kind();
        if let AnyEntity::Channel(channel) = entity
            && channel.track.is_some()
        {
            return Ok("channel".into());
        }
        if let Some(label) = entity.label().filter(|label| !label.is_empty()) {
            return Ok(match kind {
                EntityKind::Track | EntityKind::Channel | EntityKind::DspNode => label.to_owned(),
                _ => format!("{kind} {label}"),
            });
        }
        Ok(match self.number(entity)? {
            Some(number) => format!("{kind} {number}"),
            None => kind.to_string(),
        })
    }

    /// Its place among its siblings, from 1.
    fn number(&mut self, entity: &AnyEntity) -> Result<Option<usize>, ReadError> {
        let Some(above) = parent(entity).or_else(|| entity.owner()) else { return Ok(None) };
        let (kind, key) = (entity.kind(), EntityKey::of(entity));
        if !self.numbers.contains_key(&(above, kind)) {
            let keys = match key.owner {
                Some(_) => self.members_in_order(above, kind)?,
                None => self.view.referrers(above, kind)?,
            };
            let numbers = keys.into_iter().enumerate().map(|(at, key)| (key, at + 1)).collect();
            self.numbers.insert((above, kind), numbers);
        }
        Ok(self.numbers.get(&(above, kind)).and_then(|numbers| numbers.get(&key)).copied())
    }

    fn members_in_order(
        &self,
        owner: AnyId,
        kind: EntityKind,
    ) -> Result<Vec<EntityKey>, ReadError> {
        let mut keys = Vec::new();
        for key in self.view.member_keys(owner)?.into_iter().filter(|key| key.kind == kind) {
            if let Some(entity) = self.view.entity(&key)? {
                keys.push((crate::index::sort_key(&entity), key));
            }
        }
        keys.sort();
        Ok(keys.into_iter().map(|(_, key)| key).collect())
    }

    /// The track that an entity belongs to; a track belongs to itself.
    pub fn track(&self, entity: &AnyEntity) -> Result<Option<AnyId>, ReadError> {
        let mut here = entity.clone();
        for _ in 0..DEEPEST {
            if let AnyEntity::Track(track) = here {
                return Ok(Some(track.id.any()));
            }
            let Some(above) = parent(&here) else { return Ok(None) };
            let Some(entity) = self.view.any(above)? else { return Ok(None) };
            here = entity;
        }
        Ok(None)
    }

    /// The bars and beats that an entity lives in.
    pub fn meter(&mut self, entity: &AnyEntity) -> Result<Option<&SignatureMap>, ReadError> {
        let arrangement = match self.track(entity)? {
            Some(track) => match self.view.any(track)? {
                Some(AnyEntity::Track(track)) => Some(track.arrangement),
                _ => None,
            },
            None => entity.owner().and_then(|owner| ArrangementId::try_from(owner).ok()),
        };
        let Some(arrangement) = arrangement else { return Ok(None) };
        if !self.meters.contains_key(&arrangement) {
            let points = self.view.members::<SignaturePoint>(arrangement)?;
            let marks: Vec<SignatureMark> = points
                .iter()
                .map(|point| SignatureMark {
                    at: point.at,
                    signature: Signature {
                        numerator: point.numerator,
                        denominator: point.denominator,
                    },
                })
                .collect();
            self.meters.insert(arrangement, SignatureMap::repaired(&marks).0);
        }
        Ok(self.meters.get(&arrangement))
    }
}
