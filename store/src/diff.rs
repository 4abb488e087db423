//! What is different between two states, in words that name what people named.
//!
//! The trees are walked side by side, so the cost is that of the difference. A member that moved
//! to another owner is one change and no removal, because its id is the same.

mod conflict;
mod name;
mod text;

use std::{collections::BTreeMap, sync::Arc};

use pulse_schemas::{
    entity::{AnyEntity, Variant},
    hash::Hash,
    id::{AnyId, EntityKind, VariantId},
    record::EntityKey,
};
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::conflict::{ConflictWords, conflict_words};
use self::name::Namer;
use crate::{
    changes::Change,
    merge::record::readable_json,
    overlay,
    staging::{Staging, change},
    tree::TreeError,
    variant,
    view::{ReadError, View},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DiffKind {
    Added,
    Removed,
    Changed,
}

/// One field on both sides; null where it is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldDiff {
    /// `gainDb`, or `params.cutoff` inside a map.
    pub path: String,
    pub before: Value,
    pub after: Value,
    /// "gain 0.0 dB → −3.0 dB".
    pub text: String,
}

/// One entity that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityDiff {
    pub id: AnyId,
    #[serde(skip)]
    pub key: EntityKey,
    /// The variant that it lies inside of; none for what lies outside of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<AnyId>,
    /// "Bass ▸ clip 3", "variant B: Bass ▸ clip 3".
    pub name: String,
    pub kind: DiffKind,
    /// The track it belongs to; none for what lies outside of tracks.
    pub track: Option<AnyId>,
    /// Empty for what was added or removed.
    pub fields: Vec<FieldDiff>,
    /// The line that it shares with all members of its owner that changed alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip)]
    pub before: Option<AnyEntity>,
    #[serde(skip)]
    pub after: Option<AnyEntity>,
}

/// How much differs below one track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackSummary {
    pub track: Option<AnyId>,
    pub name: String,
    pub added: usize,
    pub removed: usize,
    pub changed: usize,
}

/// The difference between two states.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    pub before: Hash,
    pub after: Hash,
    pub entities: Vec<EntityDiff>,
    /// Names of the tracks, for the summary.
    #[serde(skip)]
    tracks: BTreeMap<AnyId, String>,
    /// What people read: one line per entity, alike members taken together.
    #[serde(skip)]
    lines: Vec<String>,
}

/// What leads from one state to another: entities only, no words. Members that moved to another
/// owner come as a removal and an addition.
pub fn changes(before: &View, after: &View) -> Result<Vec<Change>, TreeError> {
    let mut changes = Vec::new();
    for difference in before.state().diff(after.state()) {
        let difference = difference?;
        let Ok(key) = overlay::entity_key(&difference.key) else { continue };
        let (old, new) = (difference.before.as_deref(), difference.after.as_deref());
        let within = overlay::path(&difference.key);
        changes.push(Change { within, ..change(key, old, new) });
    }
    Ok(changes)
}

/// The state that `changes` lead to: what [`changes`] of two states gives, applied to the first,
/// is the second.
pub fn apply(before: &View, changes: &[Change]) -> Result<View, ReadError> {
    let mut staging = Staging::new(before.clone());
    for change in changes {
        let place = overlay::key(&change.within, &change.key.to_bytes());
        match &change.after {
            Some(entity) if change.within.is_empty() => staging.put(entity)?,
            Some(entity) => drop(staging.put_at(place, entity)?),
            None => staging.write(place, None)?,
        }
    }
    Ok(staging.finish()?.view)
}

/// Compares two states of one project, as they are stored: what plays and what is put aside.
pub fn diff(before: &View, after: &View) -> Result<Diff, ReadError> {
    let mut by_variant: BTreeMap<Vec<VariantId>, Vec<Change>> = BTreeMap::new();
    for change in changes(before, after)? {
        by_variant.entry(change.within.clone()).or_default().push(change);
    }
    let mut diff = Diff {
        before: before.root(),
        after: after.root(),
        entities: Vec::new(),
        tracks: BTreeMap::new(),
        lines: Vec::new(),
    };
    for (path, changes) in by_variant {
        if path.is_empty() {
            diff.add(before, after, changes, None)?;
        } else if let Some((old, new, within)) = both_inside(before, after, &path)? {
            diff.add(&old, &new, changes, Some(within))?;
        }
    }
    Ok(diff)
}

/// Both states with the variants of a path in place. A variant that is new or gone says so
/// itself, and what lies inside came or went with it.
fn both_inside(
    before: &View,
    after: &View,
    path: &[VariantId],
) -> Result<Option<(View, View, Within)>, ReadError> {
    let Some((last, around)) = path.split_last() else { return Ok(None) };
    let (old, new) = (variant::space(before, around)?, variant::space(after, around)?);
    let known = (old.get::<Variant>(*last)?, new.get::<Variant>(*last)?);
    let (Some(_), Some(variant)) = known else { return Ok(None) };
    let within = Within { id: last.any(), front: format!("variant {}: ", variant.name) };
    Ok(Some((variant::space(&old, &[*last])?, variant::space(&new, &[*last])?, within)))
}

struct Within {
    id: AnyId,
    front: String,
}

impl Diff {
    fn add(
        &mut self,
        before: &View,
        after: &View,
        changes: Vec<Change>,
        within: Option<Within>,
    ) -> Result<(), ReadError> {
        let (mut old, mut new) = (Namer::new(before), Namer::new(after));
        let mut entities = Vec::new();
        for pair in paired(changes) {
            let namer = if pair.after.is_some() { &mut new } else { &mut old };
            let entity = pair.after.as_ref().or(pair.before.as_ref());
            let (name, track) = match entity {
                Some(entity) => (namer.name(entity)?, namer.track(entity)?),
                None => (pair.key.any_id().to_string(), None),
            };
            if let Some(track) = track {
                let name = namer.any_name(track)?;
                self.tracks.insert(track, name);
            }
            let (kind, fields) = pair.fields(&mut old, &mut new, before, after)?;
            let Pair { key, before, after, .. } = pair;
            let (id, variant) = (key.any_id(), within.as_ref().map(|within| within.id));
            entities.push(EntityDiff {
                id,
                key,
                variant,
                name,
                kind,
                track,
                fields,
                group: None,
                before: before.map(Arc::unwrap_or_clone),
                after: after.map(Arc::unwrap_or_clone),
            });
        }
        let lines = text::lines(&mut entities, &mut old, &mut new)?;
        let front = within.map(|within| within.front).unwrap_or_default();
        self.lines.extend(lines.into_iter().map(|line| format!("{front}{line}")));
        for entity in &mut entities {
            entity.name.insert_str(0, &front);
            entity.group.iter_mut().for_each(|group| group.insert_str(0, &front));
        }
        self.entities.extend(entities);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// One line for each entity, alike members of one owner taken together.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    pub fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Counts per track, for differences that are too large to read; what lies outside of tracks
    /// comes first.
    pub fn summary(&self) -> Vec<TrackSummary> {
        let mut counts: BTreeMap<Option<AnyId>, TrackSummary> = BTreeMap::new();
        for entity in &self.entities {
            let track = entity.track;
            let name = track.and_then(|id| self.tracks.get(&id).cloned());
            let summary = counts.entry(track).or_insert_with(|| TrackSummary {
                track,
                name: name.unwrap_or_else(|| "project".into()),
                added: 0,
                removed: 0,
                changed: 0,
            });
            match entity.kind {
                DiffKind::Added => summary.added += 1,
                DiffKind::Removed => summary.removed += 1,
                DiffKind::Changed => summary.changed += 1,
            }
        }
        counts.into_values().collect()
    }
}

/// A change, with the removal and the addition of a moved member taken together.
struct Pair {
    key: EntityKey,
    before: Option<Arc<AnyEntity>>,
    after: Option<Arc<AnyEntity>>,
    /// Where an unreadable record lay before and lies after.
    opaque: bool,
}

fn paired(changes: Vec<Change>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::with_capacity(changes.len());
    let mut members: BTreeMap<AnyId, usize> = BTreeMap::new();
    for change in changes {
        let Change { key, before, after, opaque, .. } = change;
        let known = key.owner.and_then(|_| members.get(&key.any_id()).copied());
        if let Some(pair) = known.and_then(|at| pairs.get_mut(at)) {
            if pair.before.is_none() && before.is_some() {
                pair.before = before;
                continue;
            }
            if pair.after.is_none() && after.is_some() {
                (pair.after, pair.key) = (after, key);
                continue;
            }
        }
        if key.owner.is_some() {
            members.insert(key.any_id(), pairs.len());
        }
        pairs.push(Pair { key, before, after, opaque });
    }
    pairs
}

impl Pair {
    fn fields(
        &self,
        old: &mut Namer<'_>,
        new: &mut Namer<'_>,
        before: &View,
        after: &View,
    ) -> Result<(DiffKind, Vec<FieldDiff>), ReadError> {
        let kind = self.key.kind;
        let (before, after) = if self.opaque {
            (opaque_fields(before, &self.key)?, opaque_fields(after, &self.key)?)
        } else {
            let fields = |entity: &Option<Arc<AnyEntity>>| entity.as_deref().map(AnyEntity::fields);
            (fields(&self.before), fields(&self.after))
        };
        Ok(match (before, after) {
            (None, _) => (DiffKind::Added, Vec::new()),
            (_, None) => (DiffKind::Removed, Vec::new()),
            (Some(before), Some(after)) => {
                (DiffKind::Changed, field_diffs(kind, &before, &after, old, new)?)
            }
        })
    }
}

fn opaque_fields(view: &View, key: &EntityKey) -> Result<Option<Map<String, Value>>, ReadError> {
    let json = view.record(key)?.map(|bytes| readable_json(&bytes));
    Ok(json.and_then(|json| json.as_object().cloned()))
}

fn field_diffs(
    kind: EntityKind,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    old: &mut Namer<'_>,
    new: &mut Namer<'_>,
) -> Result<Vec<FieldDiff>, ReadError> {
    let mut diffs = Vec::new();
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (a, b) = (before.get(name), after.get(name));
        if a == b {
            continue;
        }
        if pulse_schemas::entity::map_fields(kind).contains(&name.as_str()) {
            let empty = Map::new();
            let maps = [a, b].map(|side| side.and_then(Value::as_object).unwrap_or(&empty));
            let mut keys: Vec<&String> = maps[0].keys().chain(maps[1].keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys.into_iter().filter(|key| maps[0].get(*key) != maps[1].get(*key)) {
                let path = format!("{name}.{key}");
                let (a, b) = (maps[0].get(key), maps[1].get(key));
                diffs.push(text::field(kind, path, a, b, [before, after], old, new)?);
            }
        } else {
            diffs.push(text::field(kind, name.clone(), a, b, [before, after], old, new)?);
        }
    }
    Ok(diffs)
}
