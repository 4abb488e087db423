//! The oracle of merges: everything that a side changed must be in the result, or a conflict must
//! keep it. Anything else is a silent loss.

use pulse_schemas::{
    entity::{AnyEntity, Conflict, OnDelete, map_fields, set_fields},
    id::{AnyId, EntityKind},
};
use pulse_store::view::View;
use serde_json::{Map, Value};

type Fields = Map<String, Value>;

/// The three states that a merge begins with.
pub struct Sides<'a> {
    pub base: &'a View,
    pub ours: &'a View,
    pub theirs: &'a View,
}

/// The JSON of an entity where it has one.
pub fn fields(view: &View, id: AnyId) -> Option<Fields> {
    view.any(id).unwrap().map(|entity| entity.fields())
}

/// Everything that a side changed and that neither the merged state nor a conflict has.
pub fn losses(case: &Sides<'_>, side: &View, merged: &View, conflicts: &[Conflict]) -> Vec<String> {
    let mut lost = Vec::new();
    for change in pulse_store::diff::changes(case.base, side).unwrap() {
        let id = change.key.any_id();
        let (before, after) = (fields(case.base, id), fields(side, id));
        let now = fields(merged, id);
        let covered = |path: &str| is_covered(case, id, path, conflicts);
        match (&before, &after) {
            (Some(_), None) if now.is_some() && !covered("") => lost.push(format!("{id} deleted")),
            (None, Some(_)) if now.is_none() && !covered("") && !is_doubled(merged, side, id) => {
                lost.push(format!("{} added", id));
            }
            (before, Some(after)) => {
                let Some(now) = now else { continue };
                let empty = Fields::new();
                for path in lost_paths(id.kind, before.as_ref().unwrap_or(&empty), after, &now) {
                    if !covered(&path) {
                        lost.push(format!("{} {path}", id));
                    }
                }
            }
            _ => {}
        }
    }
    lost
}

/// Another point like it stands at its place.
fn is_doubled(merged: &View, side: &View, id: AnyId) -> bool {
    let Some(entity) = side.any(id).unwrap() else { return false };
    let without_id = |entity: &AnyEntity| {
        let mut fields = entity.fields();
        fields.remove("id");
        fields
    };
    let owner = entity.owner();
    let members = owner.map(|owner| merged.member_keys(owner).unwrap()).unwrap_or_default();
    members.iter().any(|key| {
        let other = merged.entity(key).unwrap().unwrap();
        key.kind == id.kind && without_id(&other) == without_id(&entity)
    })
}

fn lost_paths(kind: EntityKind, before: &Fields, after: &Fields, now: &Fields) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, value) in after {
        if before.get(name) == Some(value) || now.get(name) == Some(value) {
            continue;
        }
        let is_fade = kind == EntityKind::Clip && name.starts_with("fade");
        if map_fields(kind).contains(&name.as_str()) || is_fade {
            let as_map = |fields: &Fields| fields.get(name).and_then(Value::as_object).cloned();
            let [was, will, is] = [before, after, now].map(|it| as_map(it).unwrap_or_default());
            for key in was.keys().chain(will.keys()) {
                if was.get(key) != will.get(key) && is.get(key) != will.get(key) {
                    lost.push(format!("{name}.{key}"));
                }
            }
        } else if set_fields(kind).contains(&name.as_str()) {
            let as_list = |fields: &Fields| fields.get(name).and_then(Value::as_array).cloned();
            let [was, will, is] = [before, after, now].map(|it| as_list(it).unwrap_or_default());
            let added = will.iter().filter(|item| !was.contains(item));
            let removed = was.iter().filter(|item| !will.contains(item));
            if added.clone().any(|item| !is.contains(item))
                || removed.clone().any(|item| is.contains(item))
            {
                lost.push(name.clone());
            }
        } else {
            lost.push(name.clone());
        }
    }
    lost
}

/// A conflict about the field, the entity or something that the entity cannot live without.
fn is_covered(case: &Sides<'_>, id: AnyId, path: &str, conflicts: &[Conflict]) -> bool {
    let mut open = vec![id];
    let mut seen = Vec::new();
    while let Some(here) = open.pop() {
        let about = |conflict: &&Conflict| {
            conflict.subject == Some(here)
                && (conflict.field.is_empty() || (here == id && conflict.field == path))
        };
        if conflicts.iter().any(|conflict| about(&conflict)) {
            return true;
        }
        seen.push(here);
        for view in [case.base, case.ours, case.theirs] {
            let Some(entity) = view.any(here).unwrap() else { continue };
            let above = entity.references().into_iter();
            let above = above.filter(|it| it.on_delete != OnDelete::Keep);
            open.extend(above.map(|it| it.target).filter(|it| !seen.contains(it)));
        }
    }
    false
}
