//! Where derivations read the project from.
//!
//! A trait of a few look-ups and not the store's view itself, so that a
//! derivation can run on a list of entities in a test, on an overlay of a
//! variant, or on any revision.

use std::{collections::BTreeMap, sync::Arc};

use pulse_schemas::{
    entity::{AnyEntity, Arrangement, Channel, Entity, Project},
    id::{AnyId, ArrangementId, ClipId, EntityId, EntityKind, TrackId},
    record::EntityKey,
};

use crate::score::Score;

/// One revision of one project, to read.
pub trait Source {
    fn entity(&self, key: EntityKey) -> Option<AnyEntity>;

    /// Every entity of a kind, by key.
    fn of_kind(&self, kind: EntityKind) -> Vec<AnyEntity>;

    /// The members of an owner (notes of a clip, points of an envelope), by id.
    fn members(&self, kind: EntityKind, owner: EntityId) -> Vec<AnyEntity>;

    /// The entities of a kind that name `target` in any field, by id.
    fn referrers(&self, kind: EntityKind, target: AnyId) -> Vec<AnyEntity>;

    /// The notes and events of a clip by time.
    fn score(&self, clip: ClipId) -> Arc<Score> {
        let (notes, events) = (self.members_of(clip.0), self.members_of(clip.0));
        Arc::new(Score::new(notes, events))
    }

    /// The same for one look at it, after which nothing of it is kept.
    fn passing_score(&self, clip: ClipId) -> Arc<Score> {
        self.score(clip)
    }

    /// How many notes a clip has.
    fn note_count(&self, clip: ClipId) -> usize {
        self.members(EntityKind::Note, clip.0).len()
    }

    /// The keys of [`Source::referrers`], without reading them.
    fn referrer_keys(&self, kind: EntityKind, target: AnyId) -> Vec<EntityKey> {
        self.referrers(kind, target).iter().map(EntityKey::of).collect()
    }
}

/// Typed forms of the look-ups.
pub trait SourceExt: Source {
    fn get<E: Entity + TryFrom<AnyEntity>>(&self, id: EntityId) -> Option<E> {
        let key = EntityKey { kind: E::KIND, owner: None, id };
        self.entity(key).and_then(|entity| E::try_from(entity).ok())
    }

    fn all<E: Entity + TryFrom<AnyEntity>>(&self) -> Vec<E> {
        typed(self.of_kind(E::KIND))
    }

    fn members_of<E: Entity + TryFrom<AnyEntity>>(&self, owner: EntityId) -> Vec<E> {
        typed(self.members(E::KIND, owner))
    }

    fn referring<E: Entity + TryFrom<AnyEntity>>(&self, target: impl Into<AnyId>) -> Vec<E> {
        typed(self.referrers(E::KIND, target.into()))
    }

    fn project(&self) -> Option<Project> {
        self.all::<Project>().into_iter().next()
    }

    /// The arrangement that plays: the project's choice, else the first in order.
    fn active_arrangement(&self) -> Option<ArrangementId> {
        let chosen = self.project().and_then(|project| project.active_arrangement);
        let exists = |id: &ArrangementId| self.get::<Arrangement>(id.0).is_some();
        chosen.filter(exists).or_else(|| {
            let mut all = self.all::<Arrangement>();
            all.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
            all.first().map(|arrangement| arrangement.id)
        })
    }

    fn channel_of(&self, track: TrackId) -> Option<Channel> {
        self.referring::<Channel>(track).into_iter().find(|channel| channel.track == Some(track))
    }
}

impl<S: Source + ?Sized> SourceExt for S {}

fn typed<E: TryFrom<AnyEntity>>(entities: Vec<AnyEntity>) -> Vec<E> {
    entities.into_iter().filter_map(|entity| E::try_from(entity).ok()).collect()
}

/// A project as a plain map: for tests and for what is small.
#[derive(Clone, Default)]
pub struct Entities(BTreeMap<EntityKey, AnyEntity>);

impl Entities {
    pub fn put(&mut self, entity: impl Into<AnyEntity>) {
        let entity = entity.into();
        self.0.insert(EntityKey::of(&entity), entity);
    }

    pub fn remove(&mut self, key: EntityKey) {
        self.0.remove(&key);
    }
}

impl Source for Entities {
    fn entity(&self, key: EntityKey) -> Option<AnyEntity> {
        self.0.get(&key).cloned()
    }

    fn of_kind(&self, kind: EntityKind) -> Vec<AnyEntity> {
        self.0.values().filter(|entity| entity.kind() == kind).cloned().collect()
    }

    fn members(&self, kind: EntityKind, owner: EntityId) -> Vec<AnyEntity> {
        let inside = |key: &EntityKey| key.kind == kind && key.owner == Some(owner);
        self.0.iter().filter(|(key, _)| inside(key)).map(|(_, entity)| entity.clone()).collect()
    }

    fn referrers(&self, kind: EntityKind, target: AnyId) -> Vec<AnyEntity> {
        let names = |entity: &&AnyEntity| {
            entity.kind() == kind && entity.references().iter().any(|found| found.target == target)
        };
        self.0.values().filter(names).cloned().collect()
    }
}
