//! A revision of the store as a source of derivations.

use std::cell::RefCell;

use pulse_schemas::{
    entity::AnyEntity,
    id::{AnyId, EntityId, EntityKind},
    record::EntityKey,
};
use pulse_store::view::{ReadError, View};

use crate::source::Source;

/// A view that remembers the first thing it could not read, so that a
/// derivation over a damaged project is an error and not a quieter song.
pub struct Stored {
    view: View,
    failure: RefCell<Option<ReadError>>,
}

impl Stored {
    pub fn new(view: View) -> Stored {
        Stored { view, failure: RefCell::new(None) }
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    /// What could not be read so far.
    pub fn check(&self) -> Result<(), ReadError> {
        self.failure.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn note<T>(&self, read: Result<T, ReadError>) -> Option<T> {
        read.map_err(|error| {
            self.failure.borrow_mut().get_or_insert(error);
        })
        .ok()
    }

    fn entities(&self, keys: Result<Vec<EntityKey>, ReadError>) -> Vec<AnyEntity> {
        let keys = self.note(keys).unwrap_or_default();
        keys.into_iter().filter_map(|key| self.entity(key)).collect()
    }

    fn scan(&self, prefix: &[u8]) -> Vec<AnyEntity> {
        let read = || {
            let mut keys = Vec::new();
            for entry in self.view.state().scan(prefix) {
                keys.push(EntityKey::from_bytes(&entry?.0)?);
            }
            Ok(keys)
        };
        self.entities(read())
    }
}

impl Source for Stored {
    /// A record of a newer version is kept by the store and silent here.
    fn entity(&self, key: EntityKey) -> Option<AnyEntity> {
        match self.view.entity(&key) {
            Err(ReadError::Record {
                source: pulse_schemas::record::RecordError::FromTheFuture { .. },
                ..
            }) => None,
            read => self.note(read).flatten(),
        }
    }

    fn of_kind(&self, kind: EntityKind) -> Vec<AnyEntity> {
        self.scan(&EntityKey::kind_prefix(kind))
    }

    fn members(&self, kind: EntityKind, owner: EntityId) -> Vec<AnyEntity> {
        self.scan(&EntityKey::owner_prefix(kind, owner))
    }

    fn referrers(&self, kind: EntityKind, target: AnyId) -> Vec<AnyEntity> {
        self.entities(self.view.referrers(target, kind))
    }

    fn referrer_keys(&self, kind: EntityKind, target: AnyId) -> Vec<EntityKey> {
        self.note(self.view.referrers(target, kind)).unwrap_or_default()
    }
}
