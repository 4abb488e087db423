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

/// Merges the three versions of the record under one key.
pub fn merge(
    base: Option<&[u8]>,
    ours: Option<&[u8]>,
    theirs: Option<&[u8]>,
    deleted: Deleted,
) -> Merged {
    if ours == theirs || base == theirs {
        return Merged::clean(ours);
    }
    if base == ours {
        return Merged::clean(theirs);
    }
    match (base, ours, theirs) {
        (_, Some(ours), Some(theirs)) => merge_fields(base, ours, theirs),
        (base, ours, theirs) => merge_deleted(base, ours, theirs, deleted),
    }
}

fn merge_deleted(
    base: Option<&[u8]>,
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

fn merge_fields(base: Option<&[u8]>, ours: &[u8], theirs: &[u8]) -> Merged {
    let Some((kind, maps)) = readable(base, ours, theirs) else {
        let conflict = whole(cause(base), base, Some(ours), Some(theirs));
        return Merged { value: Some(ours.to_vec()), conflicts: vec![conflict] };
    };
    let [base_map, our_map, their_map] = maps;
    let mut merge = FieldMerge { cause: cause(base), merged: Map::new(), conflicts: Vec::new() };
    for name in names([&base_map, &our_map, &their_map]) {
        let sides = [base_map.get(&name), our_map.get(&name), their_map.get(&name)];
        merge.field(shape_of(kind, &name), &name, sides);
    }
    let FieldMerge { merged, conflicts, .. } = merge;
    match record::encode_fields(kind, merged) {
        Ok(bytes) if is_valid(&bytes) => Merged { value: Some(bytes), conflicts },
        // Each side is fine alone; together they break a rule of the entity.
        _ => Merged {
            value: Some(ours.to_vec()),
            conflicts: vec![whole(ConflictCause::Invalid, base, Some(ours), Some(theirs))],
        },
    }
}

fn cause(base: Option<&[u8]>) -> ConflictCause {
    if base.is_some() { ConflictCause::BothChanged } else { ConflictCause::BothAdded }
}

fn is_valid(bytes: &[u8]) -> bool {
    let entity = RecordView::parse(bytes).and_then(|record| record.entity());
    entity.is_ok_and(|entity: AnyEntity| entity.validate().is_empty())
}

/// The kind and the fields of all three, if this version reads them all.
fn readable(
    base: Option<&[u8]>,
    ours: &[u8],
    theirs: &[u8],
) -> Option<(EntityKind, [Map<String, Value>; 3])> {
    let ours = RecordView::parse(ours).ok()?;
    let theirs = RecordView::parse(theirs).ok()?;
    let base = match base {
        Some(base) => RecordView::parse(base).ok()?.fields().ok()?,
        None => Map::new(),
    };
    Some((ours.kind()?, [base, ours.fields().ok()?, theirs.fields().ok()?]))
}

fn names(maps: [&Map<String, Value>; 3]) -> BTreeSet<String> {
    maps.into_iter().flat_map(|map| map.keys().cloned()).collect()
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
    merged: Map<String, Value>,
    conflicts: Vec<FieldConflict>,
}

impl FieldMerge {
    fn field(&mut self, shape: Shape, name: &str, sides: [Option<&Value>; 3]) {
        let [base, ours, theirs] = sides;
        let value = match shape {
            _ if ours == theirs || base == theirs => ours.cloned(),
            _ if base == ours => theirs.cloned(),
            Shape::Map => self.map(name, sides),
            Shape::Set => Some(merge_sets(sides)),
            Shape::Whole => self.conflict(name.to_owned(), sides),
        };
        if let Some(value) = value {
            self.merged.insert(name.to_owned(), value);
        }
    }

    fn conflict(
        &mut self,
        field: String,
        [base, ours, theirs]: [Option<&Value>; 3],
    ) -> Option<Value> {
        self.conflicts.push(FieldConflict {
            field,
            cause: self.cause,
            base: base.cloned(),
            ours: ours.cloned(),
            theirs: theirs.cloned(),
        });
        ours.cloned()
    }

    fn map(&mut self, name: &str, sides: [Option<&Value>; 3]) -> Option<Value> {
        let empty = Map::new();
        let maps = sides.map(|side| side.and_then(Value::as_object).unwrap_or(&empty));
        let mut merged = Map::new();
        for key in names(maps) {
            let [base, ours, theirs] = maps.map(|map| map.get(&key));
            let value = match () {
                () if ours == theirs || base == theirs => ours.cloned(),
                () if base == ours => theirs.cloned(),
                () => self.conflict(format!("{name}.{key}"), [base, ours, theirs]),
            };
            if let Some(value) = value {
                merged.insert(key, value);
            }
        }
        Some(Value::Object(merged))
    }
}

/// Ours, with what theirs added and without what theirs took away. The order is ours.
fn merge_sets(sides: [Option<&Value>; 3]) -> Value {
    let empty = Vec::new();
    let [base, ours, theirs] = sides.map(|side| side.and_then(Value::as_array).unwrap_or(&empty));
    let kept = ours.iter().filter(|item| theirs.contains(item) || !base.contains(item));
    let added = theirs.iter().filter(|item| !ours.contains(item) && !base.contains(item));
    Value::Array(kept.chain(added).cloned().collect())
}
