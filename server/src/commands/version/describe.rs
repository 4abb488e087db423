//! Differences as clients read them, whole or within a scope.

use std::collections::BTreeSet;

use pulse_schemas::{
    command::{
        types::Scope,
        version::{ChangeKind, ConflictInfo, DiffCounts, EntityDiff, FieldChange, TrackCounts},
    },
    entity::{AnyEntity, Conflict, HistoryContext, OnDelete, field_context},
    id::AnyId,
};
use pulse_store::{
    diff::{self, DiffKind, TrackSummary},
    view::View,
};
use serde_json::Value;

use crate::refusal::Refusal;

/// What leads from one state to another, as far as it lies in the scope.
pub fn describe(before: &View, after: &View, scope: &Scope) -> Result<Vec<EntityDiff>, Refusal> {
    let mut found = Vec::new();
    for difference in diff::diff(before, after)?.entities {
        let id = difference.id;
        let (old, new) = (difference.before, difference.after);
        let named = difference.variant.is_some_and(|id| scope.entities.contains(&id));
        let known = named
            || within(before, old.as_ref(), id, scope)?
            || within(after, new.as_ref(), id, scope)?;
        if !known {
            continue;
        }
        let entity = new.as_ref().or(old.as_ref());
        let texts = difference.fields.iter().map(|field| field.text.as_str());
        let summary = match difference.kind {
            DiffKind::Added => format!("added {}", difference.name),
            DiffKind::Removed => format!("removed {}", difference.name),
            DiffKind::Changed => {
                format!("{}: {}", difference.name, texts.collect::<Vec<_>>().join(", "))
            }
        };
        let (change, fields) = match difference.kind {
            DiffKind::Added => (ChangeKind::Added, whole(new.as_ref(), true)),
            DiffKind::Removed => (ChangeKind::Removed, whole(old.as_ref(), false)),
            DiffKind::Changed => {
                let fields = difference.fields.iter().map(|field| FieldChange {
                    field: field.path.clone(),
                    before: present(&field.before),
                    after: present(&field.after),
                });
                (ChangeKind::Modified, fields.collect())
            }
        };
        let mut shown = EntityDiff {
            id,
            change,
            name: Some(difference.name),
            owner: entity.and_then(AnyEntity::owner),
            contexts: Vec::new(),
            fields,
            summary,
            group: difference.group,
        };
        if narrow(&mut shown, &scope.contexts) {
            found.push(shown);
        }
    }
    Ok(found)
}

/// The same by track, of the whole difference.
pub fn by_track(before: &View, after: &View) -> Result<Vec<TrackCounts>, Refusal> {
    let counts = |it: TrackSummary| TrackCounts {
        track: it.track,
        name: it.name,
        added: it.added as u64,
        removed: it.removed as u64,
        modified: it.changed as u64,
    };
    Ok(diff::diff(before, after)?.summary().into_iter().map(counts).collect())
}

/// Conflicts of a state, as it is stored, in words.
pub fn told_conflicts(
    stored: &View,
    conflicts: Vec<Conflict>,
) -> Result<Vec<ConflictInfo>, Refusal> {
    conflicts.into_iter().map(|conflict| told_conflict(stored, conflict)).collect()
}

fn told_conflict(stored: &View, conflict: Conflict) -> Result<ConflictInfo, Refusal> {
    let words = diff::conflict_words(&conflict, stored)?;
    Ok(ConflictInfo {
        id: conflict.id,
        subject: conflict.subject,
        subject_owner: conflict.subject_owner,
        field: conflict.field,
        cause: conflict.cause,
        base: conflict.base,
        ours: conflict.ours,
        theirs: conflict.theirs,
        ours_label: conflict.ours_label,
        theirs_label: conflict.theirs_label,
        subject_name: words.subject,
        title: words.title,
        base_text: words.base,
        ours_text: words.ours,
        theirs_text: words.theirs,
    })
}

fn present(value: &Value) -> Option<Value> {
    Some(value.clone()).filter(|value| !value.is_null())
}

fn whole(entity: Option<&AnyEntity>, added: bool) -> Vec<FieldChange> {
    let fields = entity.map(AnyEntity::fields).unwrap_or_default();
    let change = |(field, value)| match added {
        true => FieldChange { field, before: None, after: Some(value) },
        false => FieldChange { field, before: Some(value), after: None },
    };
    fields.into_iter().map(change).collect()
}

/// Notes the contexts; leaves only fields of the wanted ones, and says whether
/// anything is left.
fn narrow(shown: &mut EntityDiff, wanted: &[HistoryContext]) -> bool {
    let kind = shown.id.kind;
    let of_field = |field: &FieldChange| {
        let name = field.field.split('.').next().unwrap_or_default();
        match shown.change {
            ChangeKind::Modified => field_context(kind, name),
            ChangeKind::Added | ChangeKind::Removed => field_context(kind, ""),
        }
    };
    if !wanted.is_empty() {
        shown.fields.retain(|field| wanted.contains(&of_field(field)));
        if shown.fields.is_empty() {
            return false;
        }
    }
    let contexts: BTreeSet<HistoryContext> = shown.fields.iter().map(of_field).collect();
    shown.contexts = contexts.into_iter().collect();
    true
}

/// A record of a newer version is told about without being read.
fn readable(view: &View, id: AnyId) -> Option<AnyEntity> {
    view.any(id).ok().flatten()
}

/// Whether an entity is one of the scope's, or lives and dies with one of them.
pub fn within(
    view: &View,
    entity: Option<&AnyEntity>,
    id: AnyId,
    scope: &Scope,
) -> Result<bool, Refusal> {
    if scope.entities.is_empty() || scope.entities.contains(&id) {
        return Ok(true);
    }
    let mut seen = BTreeSet::from([id]);
    let mut open: Vec<AnyEntity> = entity.cloned().into_iter().collect();
    while let Some(entity) = open.pop() {
        for reference in entity.references() {
            if reference.on_delete != OnDelete::Cascade || !seen.insert(reference.target) {
                continue;
            }
            if scope.entities.contains(&reference.target) {
                return Ok(true);
            }
            open.extend(readable(view, reference.target));
        }
    }
    Ok(false)
}

pub fn counts(changes: &[EntityDiff]) -> DiffCounts {
    let count = |kind| changes.iter().filter(|change| change.change == kind).count() as u64;
    DiffCounts {
        added: count(ChangeKind::Added),
        removed: count(ChangeKind::Removed),
        modified: count(ChangeKind::Modified),
    }
}
