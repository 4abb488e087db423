//! A view of the store as what derivations read from.
//!
//! A derivation has no way to fail on a damaged record, so one that can't be
//! read is as good as absent here; `fsck` is who names it.

use pulse_query::source::Source;
use pulse_schemas::{
    entity::AnyEntity,
    id::{AnyId, EntityId, EntityKind},
    record::EntityKey,
};
use pulse_store::{view::View, view::member_kinds};

/// One revision of the open project.
#[derive(Clone)]
pub struct Revision(pub View);

impl Revision {
    fn entities(&self, keys: impl IntoIterator<Item = EntityKey>) -> Vec<AnyEntity> {
        keys.into_iter().filter_map(|key| self.0.entity(&key).ok().flatten()).collect()
    }

    fn under(&self, prefix: &[u8]) -> Vec<AnyEntity> {
        let keys = self.0.state().scan(prefix).filter_map(|entry| {
            let (key, _) = entry.ok()?;
            EntityKey::from_bytes(&key).ok()
        });
        self.entities(keys)
    }
}

impl Source for Revision {
    fn entity(&self, key: EntityKey) -> Option<AnyEntity> {
        self.0.entity(&key).ok().flatten()
    }

    fn of_kind(&self, kind: EntityKind) -> Vec<AnyEntity> {
        self.under(&EntityKey::kind_prefix(kind))
    }

    fn members(&self, kind: EntityKind, owner: EntityId) -> Vec<AnyEntity> {
        self.under(&EntityKey::owner_prefix(kind, owner))
    }

    fn referrers(&self, kind: EntityKind, target: AnyId) -> Vec<AnyEntity> {
        let mut keys = self.0.referrers(target, kind).unwrap_or_default();
        if member_kinds(target.kind).contains(&kind) {
            let members = self.0.member_keys(target).unwrap_or_default();
            keys.extend(members.into_iter().filter(|key| key.kind == kind));
        }
        keys.sort_by_key(|key| key.id);
        keys.dedup();
        self.entities(keys)
    }
}
