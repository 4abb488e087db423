//! One record merged field by field.
//!
//! Fields are compared as JSON values. A map field merges key by key, a set field element by
//! element, a fade part by part; everything else is one value, because half a port or half of a
//! file's format means nothing. Where both sides set the same thing differently, ours stays and
//! a [`FieldConflict`] keeps all three.

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{AnyEntity, ConflictCause, map_fields, set_fields},
    id::EntityKind,
    record::{self, RecordView},
};
use serde_json::{Map, Value};

/// What is done where one side deleted what the other changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deleted {
    /// A merge keeps the entity: deleting again is easier than doing the work again.
    Keep,
    /// An undo leaves alone what somebody else has done since.
    KeepOurs,
}

/// One field, or one whole entity, that both sides changed differently.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldConflict {
    /// Path of the field; empty for the entity as a whole.
    pub field: String,
    pub cause: ConflictCause,
    pub base: Option<Value>,
    pub ours: Option<Value>,
    pub theirs: Option<Value>,
}

/// The merged record, `None` where it is gone, and what could not be decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    pub value: Option<Vec<u8>>,
    pub conflicts: Vec<FieldConflict>,
}

impl Merged {
    fn clean(value: Option<&[u8]>) -> Merged {
        Merged { value: value.map(<[u8]>::to_vec), conflicts: Vec::new() }
    }
}

/// What one value of three or more becomes.
enum Pick<T> {
    Take(T),
    Conflict,
}

/// The three-way rule, for any number of bases: each of them has to lead to the same answer.
fn pick<T: PartialEq + Copy>(bases: &[T], ours: T, theirs: T) -> Pick<T> {
    if ours == theirs || bases.iter().all(|base| *base == theirs) {
        return Pick::Take(ours);
    }
    if bases.iter().all(|base| *base == ours) {
        return Pick::Take(theirs);
    }
    Pick::Conflict
}

/// Merges the versions of the record under one key. There is more than one base where branches
/// were merged into each other crosswise.
pub fn merge(
    bases: &[Option<&[u8]>],
    ours: Option<&[u8]>,
    theirs: Option<&[u8]>,
    deleted: Deleted,
) -> Merged {
    if let Pick::Take(value) = pick(bases, ours, theirs) {
        return Merged::clean(value);
    }
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => merge_fields(bases, ours, theirs),
        _ => merge_deleted(bases, ours, theirs, deleted),
    }
}

fn merge_deleted(
    bases: &[Option<&[u8]>],
    ours: Option<&[u8]>,
    theirs: Option<&[u8]>,
    deleted: Deleted,
) -> Merged {
    let cause = match ours {
        None => ConflictCause::DeletedByUs,
        Some(_) => ConflictCause::DeletedByThem,
    };
    let kept = match deleted {
        Deleted::Keep => ours.or(theirs),
        Deleted::KeepOurs => ours,
    };
    let base = bases.iter().flatten().next().copied();
    Merged { value: kept.map(<[u8]>::to_vec), conflicts: vec![whole(cause, base, ours, theirs)] }
}

/// A conflict over the entity as a whole.
pub fn whole(
    cause: ConflictCause,
    base: Option<&[u8]>,
    ours: Option<&[u8]>,
    theirs: Option<&[u8]>,
) -> FieldConflict {
    FieldConflict {
        field: String::new(),
        cause,
        base: base.map(readable_json),
        ours: ours.map(readable_json),
        theirs: theirs.map(readable_json),
    }
}

/// The fields of a record, or its bytes where this version cannot read it.
pub fn readable_json(bytes: &[u8]) -> Value {
    match RecordView::parse(bytes).and_then(|record| record.fields()) {
        Ok(fields) => Value::Object(fields),
        Err(_) => serde_json::json!({ OPAQUE: crate::base64::encode(bytes) }),
    }
}

/// The name under which the bytes of an unreadable record stand in JSON.
pub const OPAQUE: &str = "$record";

/// The bytes of a record, from what [`readable_json`] made.
pub fn from_json(kind: EntityKind, json: &Value) -> Option<Vec<u8>> {
    let fields = json.as_object()?;
    if let Some(bytes) = fields.get(OPAQUE) {
        return crate::base64::decode(bytes.as_str()?);
    }
    record::encode_fields(kind, fields.clone()).ok()
}

fn merge_fields(bases: &[Option<&[u8]>], ours: &[u8], theirs: &[u8]) -> Merged {
    let first = bases.iter().flatten().next().copied();
    let cause = cause(bases);
    let Some((kind, [our_map, their_map], base_maps)) = readable(bases, ours, theirs) else {
        let conflict = whole(cause, first, Some(ours), Some(theirs));
        return Merged { value: Some(ours.to_vec()), conflicts: vec![conflict] };
    };
    let mut merge = FieldMerge { cause, merged: Map::new(), conflicts: Vec::new() };
    for name in names(base_maps.iter().chain([&our_map, &their_map])) {
        let bases: Vec<Option<&Value>> = base_maps.iter().map(|map| map.get(&name)).collect();
        let sides = Sides { bases: &bases, ours: our_map.get(&name), theirs: their_map.get(&name) };
        merge.field(shape_of(kind, &name), &name, sides);
    }
    let FieldMerge { merged, conflicts, .. } = merge;
    match record::encode_fields(kind, merged) {
        Ok(bytes) if is_valid(&bytes) => Merged { value: Some(bytes), conflicts },
        // Each side is fine alone; together they break a rule of the entity.
        _ => Merged {
            value: Some(ours.to_vec()),
            conflicts: vec![whole(ConflictCause::Invalid, first, Some(ours), Some(theirs))],
        },
    }
}

fn cause(bases: &[Option<&[u8]>]) -> ConflictCause {
    if bases.windows(2).any(|pair| pair[0] != pair[1]) {
        ConflictCause::BasesDisagree
    } else if bases.iter().any(Option::is_some) {
        ConflictCause::BothChanged
    } else {
        ConflictCause::BothAdded
    }
}

fn is_valid(bytes: &[u8]) -> bool {
    let entity = RecordView::parse(bytes).and_then(|record| record.entity());
    entity.is_ok_and(|entity: AnyEntity| entity.validate().is_empty())
}

type Fields = Map<String, Value>;

/// The kind and the fields of all versions, if this program reads them all.
fn readable(
    bases: &[Option<&[u8]>],
    ours: &[u8],
    theirs: &[u8],
) -> Option<(EntityKind, [Fields; 2], Vec<Fields>)> {
    let fields = |bytes: &[u8]| RecordView::parse(bytes).ok()?.fields().ok();
    let kind = RecordView::parse(ours).ok()?.kind()?;
    let mut maps = Vec::with_capacity(bases.len());
    for base in bases {
        maps.push(match base {
            Some(base) => fields(base)?,
            None => Map::new(),
        });
    }
    Some((kind, [fields(ours)?, fields(theirs)?], maps))
}

fn names<'a>(maps: impl Iterator<Item = &'a Fields>) -> BTreeSet<String> {
    maps.flat_map(|map| map.keys().cloned()).collect()
}

/// The versions of one value.
#[derive(Clone, Copy)]
struct Sides<'a> {
    bases: &'a [Option<&'a Value>],
    ours: Option<&'a Value>,
    theirs: Option<&'a Value>,
}

/// How a field merges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Whole,
    Map,
    Set,
}

fn shape_of(kind: EntityKind, field: &str) -> Shape {
    let is_fade = kind == EntityKind::Clip && matches!(field, "fadeIn" | "fadeOut");
    if is_fade || map_fields(kind).contains(&field) {
        Shape::Map
    } else if set_fields(kind).contains(&field) {
        Shape::Set
    } else {
        Shape::Whole
    }
}

struct FieldMerge {
    cause: ConflictCause,
    merged: Fields,
    conflicts: Vec<FieldConflict>,
}

impl FieldMerge {
    fn field(&mut self, shape: Shape, name: &str, sides: Sides<'_>) {
        let value = match (pick(sides.bases, sides.ours, sides.theirs), shape) {
            (Pick::Take(value), _) => value.cloned(),
            (Pick::Conflict, Shape::Map) => self.map(name, sides),
            (Pick::Conflict, Shape::Set) => Some(merge_sets(sides)),
            (Pick::Conflict, Shape::Whole) => self.conflict(name.to_owned(), sides),
        };
        if let Some(value) = value {
            self.merged.insert(name.to_owned(), value);
        }
    }

    fn conflict(&mut self, field: String, sides: Sides<'_>) -> Option<Value> {
        self.conflicts.push(FieldConflict {
            field,
            cause: self.cause,
            base: sides.bases.iter().flatten().next().map(|base| (*base).clone()),
            ours: sides.ours.cloned(),
            theirs: sides.theirs.cloned(),
        });
        sides.ours.cloned()
    }

    fn map(&mut self, name: &str, sides: Sides<'_>) -> Option<Value> {
        let empty = Map::new();
        let as_map = |side: Option<&Value>| match side {
            Some(Value::Object(map)) => map.clone(),
            _ => empty.clone(),
        };
        let bases: Vec<Fields> = sides.bases.iter().map(|base| as_map(*base)).collect();
        let (ours, theirs) = (as_map(sides.ours), as_map(sides.theirs));
        let mut merged = Map::new();
        for key in names(bases.iter().chain([&ours, &theirs])) {
            let bases: Vec<Option<&Value>> = bases.iter().map(|map| map.get(&key)).collect();
            let sides = Sides { bases: &bases, ours: ours.get(&key), theirs: theirs.get(&key) };
            let value = match pick(sides.bases, sides.ours, sides.theirs) {
                Pick::Take(value) => value.cloned(),
                Pick::Conflict => self.conflict(format!("{name}.{key}"), sides),
            };
            if let Some(value) = value {
                merged.insert(key, value);
            }
        }
        Some(Value::Object(merged))
    }
}

/// Each element is there or not: that merges without conflict. The order is ours.
fn merge_sets(sides: Sides<'_>) -> Value {
    let empty = Vec::new();
    let items = |side: Option<&'_ Value>| match side {
        Some(Value::Array(items)) => items.clone(),
        _ => empty.clone(),
    };
    let bases: Vec<Vec<Value>> = sides.bases.iter().map(|base| items(*base)).collect();
    let (ours, theirs) = (items(sides.ours), items(sides.theirs));
    let added = theirs.iter().filter(|item| !ours.contains(item));
    let stays = |item: &&Value| {
        let bases: Vec<bool> = bases.iter().map(|base| base.contains(item)).collect();
        match pick(&bases, ours.contains(item), theirs.contains(item)) {
            Pick::Take(stays) => stays,
            // Bases that disagree: too much is better than too little.
            Pick::Conflict => true,
        }
    };
    Value::Array(ours.iter().chain(added).filter(stays).cloned().collect())
}
