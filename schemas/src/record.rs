//! A record: an entity as the store keeps it.
//!
//! The payload is the rkyv archive of the struct of one version; fields that
//! the version does not know lie beside it as JSON, so that a project that
//! passed through an older program loses nothing. A record of a kind or a
//! version from the future stays opaque: shown, kept, merged whole.

use serde_json::{Map, Value};

use crate::{
    entity::{AnyEntity, Entity, is_owned, version_of},
    id::{AnyId, EntityId, EntityKind},
};

/// Bytes before the payload: format, kind, version, payload length.
const HEADER: usize = 8;
const FORMAT: u8 = 1;

/// Where a record lies in the tree: `kind ‖ id`, or `kind ‖ owner ‖ id` for
/// entities that live and die with their owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey {
    pub kind: EntityKind,
    pub owner: Option<EntityId>,
    pub id: EntityId,
}

impl std::fmt::Debug for EntityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.owner {
            Some(owner) => write!(f, "{} of {owner:?}", self.any_id()),
            None => write!(f, "{}", self.any_id()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("kind {0} is from a newer version of Pulse")]
    UnknownKind(u8),
    #[error("a key of {found} bytes where {expected} were expected")]
    Length { expected: usize, found: usize },
    #[error("an empty key")]
    Empty,
}

impl EntityKey {
    pub fn of(entity: &AnyEntity) -> EntityKey {
        let owner = if is_owned(entity.kind()) {
            Some(entity.owner().map_or(EntityId::default(), |owner| owner.id))
        } else {
            None
        };
        EntityKey { kind: entity.kind(), owner, id: entity.id() }
    }

    pub fn standalone(id: impl Into<AnyId>) -> EntityKey {
        let AnyId { kind, id } = id.into();
        EntityKey { kind, owner: None, id }
    }

    pub fn owned(owner: EntityId, id: impl Into<AnyId>) -> EntityKey {
        let AnyId { kind, id } = id.into();
        EntityKey { kind, owner: Some(owner), id }
    }

    pub fn any_id(&self) -> AnyId {
        AnyId { kind: self.kind, id: self.id }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind as u8];
        bytes.extend(self.owner.iter().flat_map(|owner| owner.to_bytes()));
        bytes.extend(self.id.to_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<EntityKey, KeyError> {
        let (&number, rest) = bytes.split_first().ok_or(KeyError::Empty)?;
        let kind = EntityKind::from_number(number).ok_or(KeyError::UnknownKind(number))?;
        let expected = if is_owned(kind) { 33 } else { 17 };
        let wrong = KeyError::Length { expected, found: bytes.len() };
        if bytes.len() != expected {
            return Err(wrong);
        }
        let mut ids = rest
            .chunks_exact(16)
            .filter_map(|chunk| chunk.try_into().ok())
            .map(EntityId::from_bytes);
        let owner = if is_owned(kind) { ids.next() } else { None };
        ids.next().map(|id| EntityKey { kind, owner, id }).ok_or(wrong)
    }

    /// Prefix of the keys of all records of a kind.
    pub fn kind_prefix(kind: EntityKind) -> Vec<u8> {
        vec![kind as u8]
    }

    /// Prefix of the keys of all members of one kind under one owner.
    pub fn owner_prefix(kind: EntityKind, owner: EntityId) -> Vec<u8> {
        let mut bytes = vec![kind as u8];
        bytes.extend(owner.to_bytes());
        bytes
    }
}

/// A record, borrowed from the bytes of a tree node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RecordView<'a> {
    pub kind_number: u8,
    pub version: u16,
    pub payload: &'a [u8],
    /// Canonical JSON of the fields that `version` does not know, or empty.
    pub unknown: &'a [u8],
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record is cut short or damaged ({found} bytes); run `pulse fsck`")]
    Damaged { found: usize },
    #[error("the record has format {found}, this version reads up to {FORMAT}; use a newer Pulse")]
    Format { found: u8 },
    #[error("kind {kind} version {version} is from a newer version of Pulse; it is kept as it is")]
    FromTheFuture { kind: u8, version: u16 },
    #[error("the record does not hold what it says: {0}; run `pulse fsck`")]
    Archive(#[from] rkyv::rancor::Error),
    #[error("the unknown fields of the record are not JSON: {0}; run `pulse fsck`")]
    Unknown(#[from] serde_json::Error),
}

impl<'a> RecordView<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<RecordView<'a>, RecordError> {
        let damaged = || RecordError::Damaged { found: bytes.len() };
        let header: &[u8; HEADER] = bytes.first_chunk().ok_or_else(damaged)?;
        if header[0] != FORMAT {
            return Err(RecordError::Format { found: header[0] });
        }
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let body = &bytes[HEADER..];
        if length > body.len() {
            return Err(damaged());
        }
        let (payload, unknown) = body.split_at(length);
        let version = u16::from_le_bytes([header[2], header[3]]);
        Ok(RecordView { kind_number: header[1], version, payload, unknown })
    }

    pub fn kind(&self) -> Option<EntityKind> {
        EntityKind::from_number(self.kind_number)
    }

    /// The entity, or why this version of Pulse cannot read it.
    pub fn entity(&self) -> Result<AnyEntity, RecordError> {
        let future = RecordError::FromTheFuture { kind: self.kind_number, version: self.version };
        match self.kind() {
            Some(kind) if self.version == version_of(kind) => {
                Ok(AnyEntity::from_archive(kind, self.payload)?)
            }
            _ => Err(future),
        }
    }

    /// The archive itself, read in place.
    pub fn archived<E>(&self) -> Result<&'a E::Archived, RecordError>
    where
        E: Entity + rkyv::Archive,
        E::Archived: rkyv::Portable
            + for<'b> rkyv::bytecheck::CheckBytes<
                rkyv::api::high::HighValidator<'b, rkyv::rancor::Error>,
            >,
    {
        if self.kind_number != E::KIND as u8 || self.version != E::VERSION {
            return Err(RecordError::FromTheFuture {
                kind: self.kind_number,
                version: self.version,
            });
        }
        Ok(rkyv::access::<E::Archived, rkyv::rancor::Error>(self.payload)?)
    }

    pub fn unknown_fields(&self) -> Result<Map<String, Value>, RecordError> {
        if self.unknown.is_empty() {
            return Ok(Map::new());
        }
        Ok(serde_json::from_slice(self.unknown)?)
    }

    /// All fields, known and unknown, as one JSON map.
    pub fn fields(&self) -> Result<Map<String, Value>, RecordError> {
        let mut fields = self.entity()?.fields();
        fields.extend(self.unknown_fields()?);
        Ok(fields)
    }
}

/// The bytes of a record: the same entity always gives the same bytes.
pub fn encode(entity: &AnyEntity, unknown: &Map<String, Value>) -> Result<Vec<u8>, RecordError> {
    let payload = entity.archive()?;
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend([FORMAT, entity.kind() as u8]);
    bytes.extend(entity.version().to_le_bytes());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(payload);
    if !unknown.is_empty() {
        bytes.extend(canonical_json(&Value::Object(unknown.clone())).into_bytes());
    }
    Ok(bytes)
}

/// Builds a record's bytes from a JSON map; fields that are not known are kept.
pub fn encode_fields(kind: EntityKind, fields: Map<String, Value>) -> Result<Vec<u8>, RecordError> {
    let (entity, unknown) = AnyEntity::from_fields(kind, fields)?;
    encode(&entity, &unknown)
}

/// JSON with sorted keys and no white space, whatever order a map was built in.
pub fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort();
            let fields: Vec<String> = names
                .into_iter()
                .map(|name| {
                    format!("{}:{}", Value::String(name.clone()), canonical_json(&map[name]))
                })
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical_json).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entity::{Clip, defaults},
        id::{ActorId, ClipId, EntityId},
    };

    #[test]
    fn every_kind_survives_the_record_form() {
        for entity in defaults() {
            let bytes = encode(&entity, &Map::new()).unwrap();
            let view = RecordView::parse(&bytes).unwrap();
            assert_eq!(view.entity().unwrap(), entity);
            let key = EntityKey::of(&entity);
            assert_eq!(EntityKey::from_bytes(&key.to_bytes()), Ok(key));
        }
    }

    #[test]
    fn a_field_is_read_in_place() {
        let id = ClipId(EntityId::derive(ActorId(1), 1, 0));
        let clip = Clip { id, gain_db: -3.0, name: "verse".into(), ..Clip::default() };
        let bytes = encode(&clip.into(), &Map::new()).unwrap();
        // One byte of offset: the archive must not need alignment.
        let shifted = [&[0][..], &bytes].concat();
        let view = RecordView::parse(&shifted[1..]).unwrap();
        let archived = view.archived::<Clip>().unwrap();
        assert_eq!((archived.gain_db.to_native(), archived.name.as_str()), (-3.0, "verse"));
    }

    #[test]
    fn unknown_fields_are_kept_in_canonical_order() {
        let mut fields = defaults().remove(0).fields();
        fields.insert("zebra".into(), 1.into());
        fields.insert("aardvark".into(), serde_json::json!({"b": 2, "a": [1.5]}));
        let bytes = encode_fields(EntityKind::Project, fields.clone()).unwrap();
        let view = RecordView::parse(&bytes).unwrap();
        assert_eq!(view.unknown, br#"{"aardvark":{"a":[1.5],"b":2},"zebra":1}"#);
        assert_eq!(view.fields().unwrap(), fields);
    }

    #[test]
    fn a_record_from_the_future_stays_opaque() {
        let mut bytes = encode(&defaults()[0], &Map::new()).unwrap();
        bytes[2] = 9;
        let view = RecordView::parse(&bytes).unwrap();
        assert!(matches!(view.entity(), Err(RecordError::FromTheFuture { version: 9, .. })));
        bytes[0] = 9;
        assert!(matches!(RecordView::parse(&bytes), Err(RecordError::Format { found: 9 })));
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let bytes = encode(&defaults()[0], &Map::new()).unwrap();
        for length in 0..bytes.len() {
            let cut = RecordView::parse(&bytes[..length]);
            assert!(matches!(cut, Err(RecordError::Damaged { .. })), "{length}");
        }
    }
}
