//! A revision of the store as a source of derivations.

use std::{cell::RefCell, sync::Arc};

use pulse_schemas::{
    entity::AnyEntity,
    id::{AnyId, ClipId, EntityId, EntityKind},
    record::{EntityKey, RecordError},
};
use pulse_store::view::{ReadError, View, decode};

use crate::{
    score::{Score, Scores},
    source::{Source, SourceExt},
};

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

    /// Whether all that was asked for could be read.
    pub fn is_whole(&self) -> bool {
        self.failure.borrow().is_none()
    }

    fn note<T>(&self, read: Result<T, ReadError>) -> Option<T> {
        read.map_err(|error| {
            self.failure.borrow_mut().get_or_insert(error);
        })
        .ok()
    }

    /// All records below a prefix, decoded where the walk meets them: looking each up
    /// again by its key costs more than to read it.
    fn scan(&self, prefix: &[u8]) -> Vec<AnyEntity> {
        let read = || {
            let mut found = Vec::new();
            for entry in self.view.state().scan(prefix) {
                let (key, record) = entry?;
                let id = EntityKey::from_bytes(&key)?.any_id();
                found.extend(self.decoded(decode(id, &record)));
            }
            Ok(found)
        };
        self.note(read()).unwrap_or_default()
    }

    /// A record of a newer version is kept by the store and silent here.
    fn decoded(&self, read: Result<AnyEntity, ReadError>) -> Option<AnyEntity> {
        match read {
            Err(ReadError::Record { source: RecordError::FromTheFuture { .. }, .. }) => None,
            read => self.note(read),
        }
    }
}

/// A revision with what is known of its clips.
pub struct Indexed<'a> {
    pub stored: Stored,
    pub scores: &'a Scores,
}

impl Source for Indexed<'_> {
    fn entity(&self, key: EntityKey) -> Option<AnyEntity> {
        self.stored.entity(key)
    }

    fn of_kind(&self, kind: EntityKind) -> Vec<AnyEntity> {
        self.stored.of_kind(kind)
    }

    fn members(&self, kind: EntityKind, owner: EntityId) -> Vec<AnyEntity> {
        self.stored.members(kind, owner)
    }

    fn referrers(&self, kind: EntityKind, target: AnyId) -> Vec<AnyEntity> {
        self.stored.referrers(kind, target)
    }

    fn referrer_keys(&self, kind: EntityKind, target: AnyId) -> Vec<EntityKey> {
        self.stored.referrer_keys(kind, target)
    }

    fn score(&self, clip: ClipId) -> Arc<Score> {
        self.scores.score(clip, || {
            let (notes, events) = (self.members_of(clip.0), self.members_of(clip.0));
            (Score::new(notes, events), self.stored.is_whole())
        })
    }

    fn passing_score(&self, clip: ClipId) -> Arc<Score> {
        self.scores.known(clip).unwrap_or_else(|| {
            let (notes, events) = (self.members_of(clip.0), self.members_of(clip.0));
            Arc::new(Score::new(notes, events))
        })
    }

    fn note_count(&self, clip: ClipId) -> usize {
        self.scores
            .count(clip, || (self.members(EntityKind::Note, clip.0).len(), self.stored.is_whole()))
    }
}

impl Source for Stored {
    fn entity(&self, key: EntityKey) -> Option<AnyEntity> {
        self.decoded(self.view.entity(&key).transpose()?)
    }

    fn of_kind(&self, kind: EntityKind) -> Vec<AnyEntity> {
        self.scan(&EntityKey::kind_prefix(kind))
    }

    fn members(&self, kind: EntityKind, owner: EntityId) -> Vec<AnyEntity> {
        self.scan(&EntityKey::owner_prefix(kind, owner))
    }

    fn referrers(&self, kind: EntityKind, target: AnyId) -> Vec<AnyEntity> {
        let keys = self.referrer_keys(kind, target).into_iter();
        keys.filter_map(|key| self.entity(key)).collect()
    }

    fn referrer_keys(&self, kind: EntityKind, target: AnyId) -> Vec<EntityKey> {
        self.note(self.view.referrers(target, kind)).unwrap_or_default()
    }
}
