//! Keys of what lies inside a variant.
//!
//! An overlay is no tree of its own: its records lie in the project's tree, each under the key
//! that it has outside with the variant in front (`0xfe ‖ variant ‖ key`). So a journal row
//! carries an edit inside a variant like any other, and history, difference and merge go by
//! record there too. A variant inside a variant puts one front before the other.

use pulse_schemas::{
    entity::Variant,
    hash::Hash,
    id::{EntityId, VariantId},
    record::{EntityKey, KeyError},
};

use crate::{
    tree::{Snapshot, TreeError, empty_root},
    view::{ReadError, View},
};

/// No kind of entity has this number.
const MARK: u8 = 0xfe;
const FRONT: usize = 17;

/// The front of the keys of a variant's records.
pub fn prefix(variant: VariantId) -> Vec<u8> {
    let mut bytes = vec![MARK];
    bytes.extend(variant.0.to_bytes());
    bytes
}

/// Where a record lies that is inside of `path`, outermost first.
pub fn key(path: &[VariantId], inner: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = path.iter().flat_map(|variant| prefix(*variant)).collect();
    bytes.extend(inner);
    bytes
}

/// The outermost variant of a key, and the key inside of it.
pub fn split(key: &[u8]) -> Option<(VariantId, &[u8])> {
    let (front, inner) = key.split_at_checked(FRONT)?;
    let (mark, id) = front.split_first()?;
    let id: [u8; 16] = id.try_into().ok()?;
    (*mark == MARK).then(|| (VariantId(EntityId::from_bytes(id)), inner))
}

/// The entity that a key names, inside of however many variants.
pub fn entity_key(key: &[u8]) -> Result<EntityKey, KeyError> {
    match split(key) {
        Some((_, inner)) => entity_key(inner),
        None => EntityKey::from_bytes(key),
    }
}

/// The variants that a key lies inside of, outermost first.
pub fn path(mut key: &[u8]) -> Vec<VariantId> {
    let mut path = Vec::new();
    while let Some((variant, inner)) = split(key) {
        path.push(variant);
        key = inner;
    }
    path
}

pub(crate) fn is_inside(key: &[u8]) -> bool {
    split(key).is_some()
}

/// The records of a variant by their keys inside of it.
pub(crate) type Records = Vec<(Vec<u8>, Vec<u8>)>;

fn within(state: &Snapshot, prefix: &[u8]) -> Result<Records, TreeError> {
    let mut records = Vec::new();
    for entry in state.scan(prefix) {
        let (key, value) = entry?;
        records.push((key[prefix.len()..].to_vec(), value.to_vec()));
    }
    Ok(records)
}

/// What is laid over the subject. Early projects kept it as a tree that the variant names.
pub(crate) fn records(view: &View, variant: &Variant) -> Result<Records, ReadError> {
    let records = within(view.state(), &prefix(variant.id))?;
    if records.is_empty() && names_tree(variant) {
        return Ok(within(&view.state().store().snapshot(variant.overlay)?, &[])?);
    }
    Ok(records)
}

pub(crate) fn names_tree(variant: &Variant) -> bool {
    variant.overlay != Hash::ZERO && variant.overlay != empty_root()
}

/// Whether anything is laid over the subject.
pub(crate) fn is_empty(view: &View, variant: &Variant) -> Result<bool, ReadError> {
    let first = view.state().scan(&prefix(variant.id)).next().transpose()?;
    Ok(first.is_none() && !names_tree(variant))
}

#[cfg(test)]
mod tests {
    use pulse_schemas::id::{ActorId, EntityKind};

    use super::*;

    #[test]
    fn a_key_inside_two_variants_is_taken_apart_from_outside() {
        let id = |ordinal| EntityId::derive(ActorId(1), 1, ordinal);
        let (outer, inner) = (VariantId(id(1)), VariantId(id(2)));
        let clip = EntityKey { kind: EntityKind::Clip, owner: None, id: id(3) };
        let bytes = key(&[outer, inner], &clip.to_bytes());
        let (found, rest) = split(&bytes).unwrap();
        assert_eq!((found, split(rest).map(|it| it.0)), (outer, Some(inner)));
        assert_eq!(entity_key(&bytes), Ok(clip));
        assert!(split(&clip.to_bytes()).is_none());
        assert!(EntityKind::from_number(MARK).is_none());
    }
}
