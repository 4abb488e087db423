//! The event `project.changed`: every entity that is different, and between
//! which two states.

use pulse_schemas::{
    command::version::FieldChange,
    entity::{AnyEntity, map_fields},
    event::{EntityChange, ProjectChanged},
};
use pulse_store::{changes::Change, tx::Committed};
use serde_json::{Map, Value};

/// Changes that one event carries; whoever sees more of them reads again.
const MOST: usize = 2_000;

pub fn changed(committed: &Committed, command: &str, label: &str) -> ProjectChanged {
    let list = &committed.changes.list;
    ProjectChanged {
        base_revision: committed.seq.saturating_sub(1),
        base_root: committed.before,
        revision: committed.seq,
        root: committed.after,
        command: command.to_owned(),
        label: label.to_owned(),
        contexts: committed.changes.contexts.clone(),
        changes: list.iter().filter_map(change).take(MOST).collect(),
        complete: list.len() <= MOST && list.iter().all(|change| !change.opaque),
    }
}

/// None for a record of a newer version, which has no fields to name.
fn change(change: &Change) -> Option<EntityChange> {
    let (id, owner) = (change.key.any_id(), owner(change));
    match (change.before.as_deref(), change.after.as_deref()) {
        (None, Some(after)) => Some(EntityChange::Added { entity: Box::new(after.clone()) }),
        (Some(_), None) => Some(EntityChange::Removed { id, owner }),
        (Some(before), Some(after)) => {
            Some(EntityChange::Modified { id, owner, fields: fields(before, after) })
        }
        (None, None) => None,
    }
}

fn owner(change: &Change) -> Option<pulse_schemas::id::AnyId> {
    let entity = change.after.as_deref().or(change.before.as_deref());
    entity.and_then(AnyEntity::owner)
}

/// The fields that differ; of maps that merge key by key, the keys.
fn fields(before: &AnyEntity, after: &AnyEntity) -> Vec<FieldChange> {
    let maps = map_fields(after.kind());
    let (before, after) = (before.fields(), after.fields());
    let mut found = Vec::new();
    for (name, new) in &after {
        let old = before.get(name);
        if old == Some(new) {
            continue;
        }
        match (old, new) {
            (Some(Value::Object(old)), Value::Object(new)) if maps.contains(&name.as_str()) => {
                entries(name, old, new, &mut found);
            }
            _ => found.push(FieldChange {
                field: name.clone(),
                before: old.cloned(),
                after: Some(new.clone()),
            }),
        }
    }
    found
}

fn entries(
    name: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    found: &mut Vec<FieldChange>,
) {
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let (before, after) = (old.get(key).cloned(), new.get(key).cloned());
        if before != after {
            found.push(FieldChange { field: format!("{name}.{key}"), before, after });
        }
    }
}
