//! Differences as clients read them, whole or within a scope.

use std::collections::BTreeSet;

use pulse_schemas::{
    command::{
        types::Scope,
        version::{ChangeKind, DiffCounts, EntityDiff, FieldChange},
    },
    entity::{AnyEntity, HistoryContext, OnDelete, field_context},
    id::AnyId,
};
use pulse_store::{
    diff::{self, DiffKind},
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
        };
        if narrow(&mut shown, &scope.contexts) {
            found.push(shown);
        }
    }
    Ok(found)
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
