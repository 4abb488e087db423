//! Conflicts as entities: stored in the tree like everything else, so that they travel with
//! commits, survive restarts and merge themselves.

use pulse_schemas::{
    entity::Conflict,
    id::{AnyId, ConflictId, EntityId, EntityKind},
    record::{EntityKey, canonical_json},
};

use crate::merge::record::FieldConflict;

/// The entity that keeps an undecided field.
pub fn entity(
    id: EntityId,
    subject: &EntityKey,
    conflict: FieldConflict,
    ours_label: &str,
    theirs_label: &str,
) -> Conflict {
    let text = |value: Option<serde_json::Value>| value.as_ref().map(canonical_json);
    Conflict {
        id: ConflictId(id),
        subject: Some(subject.any_id()),
        subject_owner: owner(subject),
        field: conflict.field,
        cause: conflict.cause,
        base: text(conflict.base),
        ours: text(conflict.ours),
        theirs: text(conflict.theirs),
        ours_label: ours_label.to_owned(),
        theirs_label: theirs_label.to_owned(),
    }
}

/// The owner of a member, with its kind.
pub fn owner(key: &EntityKey) -> Option<AnyId> {
    let kind = owner_kind(key.kind)?;
    key.owner.map(|id| AnyId { kind, id })
}

/// The kind of entity that owns members of `kind`.
pub fn owner_kind(kind: EntityKind) -> Option<EntityKind> {
    let owns = |owner: &&EntityKind| crate::view::member_kinds(**owner).contains(&kind);
    EntityKind::ALL.iter().find(owns).copied()
}

/// Where the subject of a conflict lies.
pub fn subject_key(conflict: &Conflict) -> Option<EntityKey> {
    let subject = conflict.subject?;
    Some(match conflict.subject_owner {
        Some(owner) => EntityKey::owned(owner.id, subject),
        None => EntityKey::standalone(subject),
    })
}
