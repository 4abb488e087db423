//! What could not be decided, kept with all sides until somebody decides.

use super::{Checker, Entity, HistoryContext, Reference, data};
use crate::id::{AnyId, ConflictId, EntityId, EntityKind};

data! {
    /// One undecided field or entity. The project keeps `ours` and stays
    /// playable; all three sides are kept as JSON text.
    pub struct Conflict {
        pub id: ConflictId,
        pub subject: Option<AnyId>,
        /// The owner of the subject, where it lives under one.
        pub subject_owner: Option<AnyId>,
        /// Path of the field; empty where the whole entity is in question.
        pub field: String,
        pub cause: ConflictCause,
        /// JSON of the value both sides began with; none where there was nothing.
        pub base: Option<String>,
        pub ours: Option<String>,
        pub theirs: Option<String>,
        /// What the two sides are called: branch names or clients.
        pub ours_label: String,
        pub theirs_label: String,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum ConflictCause {
        /// Both sides set the field, to different values.
        #[default]
        BothChanged,
        /// Ours deleted what theirs changed.
        DeletedByUs,
        /// Theirs deleted what ours changed.
        DeletedByThem,
        /// Both sides made the entity, differently.
        BothAdded,
        /// What one side added or changed lost its owner on the other.
        OwnerDeleted,
        /// Both edits are fine alone and make a routing loop together.
        RoutingCycle,
        /// Both edits are fine alone and break a rule of the entity together.
        Invalid,
        /// Several common ancestors disagree.
        BasesDisagree,
        /// An undo met a later change of the same field.
        ChangedSince,
    }
}

impl Entity for Conflict {
    const KIND: EntityKind = EntityKind::Conflict;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Global;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        self.subject.map(|subject| Reference::keep("subject", subject)).into_iter().collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.form("subject", self.subject.is_some(), "the id of an entity");
    }
}
