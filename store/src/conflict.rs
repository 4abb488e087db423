//! Conflicts as entities: stored in the tree like everything else, so that they travel with
//! commits, survive restarts and merge themselves.

use pulse_schemas::{
    entity::{AnyEntity, Conflict},
    id::{AnyId, ConflictId, EntityId, EntityKind, VariantId},
    record::{EntityKey, canonical_json},
};

use crate::{
    merge::record::FieldConflict,
    overlay,
    view::{ReadError, View},
};

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

/// Leads from a variant to what lies inside of it.
const INSIDE: &str = "overlay.";

/// A conflict between two states of a variant, as the variant's own.
pub(crate) fn of_variant(inner: Conflict, variant: VariantId) -> Conflict {
    let subject = inner.subject.map(|subject| subject.to_string()).unwrap_or_default();
    let field = match inner.field.is_empty() {
        true => format!("{INSIDE}{subject}"),
        false => format!("{INSIDE}{subject}.{}", inner.field),
    };
    Conflict { subject: Some(variant.any()), subject_owner: None, field, ..inner }
}

/// The variant that a conflict lies inside of, and the conflict as it is there.
pub(crate) fn inside(
    conflict: &Conflict,
    view: &View,
) -> Result<Option<(VariantId, Conflict)>, ReadError> {
    let Some(subject) = conflict.subject.filter(|it| it.kind == EntityKind::Variant) else {
        return Ok(None);
    };
    let Some(path) = conflict.field.strip_prefix(INSIDE) else { return Ok(None) };
    let (id, field) = path.split_once('.').unwrap_or((path, ""));
    let Ok(id) = id.parse::<AnyId>() else { return Ok(None) };
    let variant = VariantId(subject.id);
    let owner = match owner_kind(id.kind) {
        Some(_) => owner_inside(view, variant, id)?.or_else(|| owner_said(conflict, id.kind)),
        None => None,
    };
    let (subject, field) = (Some(id), field.to_owned());
    let inner = Conflict { subject, subject_owner: owner, field, ..conflict.clone() };
    Ok(Some((variant, inner)))
}

/// Who owns a member inside a variant; where it is gone, what the sides say.
fn owner_inside(view: &View, variant: VariantId, id: AnyId) -> Result<Option<AnyId>, ReadError> {
    let prefix = overlay::key(&[variant], &EntityKey::kind_prefix(id.kind));
    for entry in view.state().scan(&prefix) {
        let key = overlay::entity_key(&entry?.0)?;
        if key.id == id.id {
            return Ok(owner(&key));
        }
    }
    Ok(None)
}

fn owner_said(conflict: &Conflict, kind: EntityKind) -> Option<AnyId> {
    [&conflict.ours, &conflict.theirs, &conflict.base].into_iter().flatten().find_map(|text| {
        let fields = serde_json::from_str(text).ok()?;
        AnyEntity::from_fields(kind, fields).ok()?.0.owner()
    })
}
