//! Leads what was written to the state that plays to where it lies in the stored state.
//!
//! A record lies in the innermost variant that plays around it. The subject of a variant lies in
//! two places: where it stands is said by the record outside, everything else by the one inside.
//! What was not written is not touched, so that a record which is silent while a variant plays,
//! or which lost a name to it, is stored as it was.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::{
    entity::{AnyEntity, Variant},
    hash::Hash,
    id::{EntityKind, VariantId},
    record::EntityKey,
};

use super::{follow::Followers, in_place, lay_over, parts, playing, whole_of};
use crate::{
    merge::record::{self, Deleted},
    overlay,
    staging::{Staging, Written},
    tx::{TxError, cascade_among},
    view::{ReadError, View, decode},
};

/// Variants around a record, outermost first.
pub(super) type Path = Vec<VariantId>;
/// Deeper than any sensible nesting; ends a loop in a damaged project.
const DEEPEST: usize = 64;

/// The variants that play around an entity, its own included.
pub(crate) fn home_of(view: &View, entity: &AnyEntity) -> Result<Path, ReadError> {
    let mut path = Path::new();
    // A variant lies beside its subject, not inside of itself.
    let mut next = match entity {
        AnyEntity::Variant(_) => match whole_of(entity) {
            Some(subject) => above(view, view.any(subject)?.as_ref())?,
            None => None,
        },
        _ => Some(entity.clone()),
    };
    for _ in 0..DEEPEST {
        let Some(here) = next.take() else { break };
        path.extend(playing(view, &here)?.map(|variant| variant.id));
        next = above(view, Some(&here))?;
    }
    path.reverse();
    Ok(path)
}

fn above(view: &View, entity: Option<&AnyEntity>) -> Result<Option<AnyEntity>, ReadError> {
    match entity.and_then(whole_of) {
        Some(id) => view.any(id),
        None => Ok(None),
    }
}

pub(super) fn home(view: &View, key: &EntityKey) -> Result<Path, ReadError> {
    match view.entity(key)? {
        Some(entity) => home_of(view, &entity),
        None => Ok(Path::new()),
    }
}

/// Where the subject's record outside of its own variant lies.
pub(crate) fn place_of_subject(view: &View, key: &EntityKey) -> Result<Vec<u8>, ReadError> {
    let path = outside(view, key, home(view, key)?)?;
    Ok(overlay::key(&path, &key.to_bytes()))
}

/// A home without the subject's own variant.
fn outside(view: &View, key: &EntityKey, mut path: Path) -> Result<Path, ReadError> {
    if is_subject(view, key)? {
        path.pop();
    }
    Ok(path)
}

fn is_subject(view: &View, key: &EntityKey) -> Result<bool, ReadError> {
    if !matches!(key.kind, EntityKind::Track | EntityKind::Clip) {
        return Ok(false);
    }
    match view.entity(key)? {
        Some(entity) => Ok(playing(view, &entity)?.is_some()),
        None => Ok(false),
    }
}

/// What lies inside of `path` as if it played: the keys there are those inside.
pub(crate) fn space(raw: &View, path: &[VariantId]) -> Result<View, ReadError> {
    let mut view = raw.clone();
    for id in path {
        let Some(variant) = view.get::<Variant>(*id)? else { break };
        let Some(subject) = variant.subject else { break };
        let mut staging = Staging::new(view.clone());
        lay_over(&mut staging, subject, overlay::records(&view, &variant)?)?;
        view = staging.finish()?.view;
    }
    Ok(view)
}

/// Takes the tree that an early variant names into the project's own.
pub(crate) fn make_inline(raw: &mut Staging, path: &[VariantId]) -> Result<(), ReadError> {
    let Some((id, around)) = path.split_last() else { return Ok(()) };
    let place = overlay::key(around, &EntityKey::standalone(*id).to_bytes());
    let Some(bytes) = raw.bytes(&place)? else { return Ok(()) };
    let AnyEntity::Variant(variant) = decode(id.any(), &bytes)? else { return Ok(()) };
    if !overlay::names_tree(&variant) {
        return Ok(());
    }
    for (key, value) in overlay::records(raw.view()?, &variant)? {
        raw.write(overlay::key(path, &key), Some(value))?;
    }
    raw.put_at(place, &Variant { overlay: Hash::ZERO, ..variant }.into())?;
    Ok(())
}

/// Leads everything written to `playing` into `raw`.
pub(crate) fn fold(raw: &mut Staging, playing: &mut Staging) -> Result<(), TxError> {
    let (before, after) = (playing.base().clone(), playing.view()?.clone());
    let written = playing.written();
    relocate(raw, &before, &after, &written)?;
    let followers = Followers::find(&before, &after, &written)?;
    let mut gone: BTreeMap<Path, Vec<EntityKey>> = BTreeMap::new();
    for (bytes, old, new) in written {
        let Ok(key) = EntityKey::from_bytes(&bytes) else {
            raw.write(bytes, new)?;
            continue;
        };
        if followers.has(&key) {
            continue;
        }
        match new {
            Some(new) => write(raw, &after, &key, old, new)?,
            None => {
                remove(raw, &before, &key)?;
                if !after.contains(key.any_id())? {
                    gone.entry(home(&before, &key)?).or_default().push(key);
                }
            }
        }
    }
    followers.fold(raw, &before, &after)?;
    forget(raw, &before, gone)
}

/// Takes along the parts of what went from one variant to another, or out of it.
fn relocate(
    raw: &mut Staging,
    before: &View,
    after: &View,
    written: &[Written],
) -> Result<(), TxError> {
    let keys: BTreeSet<&[u8]> = written.iter().map(|(key, ..)| &key[..]).collect();
    for (bytes, old, new) in written {
        let Ok(key) = EntityKey::from_bytes(bytes) else { continue };
        if old.is_none() || new.is_none() {
            continue;
        }
        let from = outside(before, &key, home(before, &key)?)?;
        let to = outside(after, &key, home(after, &key)?)?;
        if from == to {
            continue;
        }
        [&from, &to].into_iter().try_for_each(|path| make_inline(raw, path))?;
        for part in parts(&space(raw.view()?, &from)?, key.any_id(), true)? {
            let (old_place, new_place) = (overlay::key(&from, &part), overlay::key(&to, &part));
            let Some(value) = raw.bytes(&old_place)? else { continue };
            if raw.bytes(&new_place)?.is_some() {
                let variant = from.last().or(to.last()).copied().unwrap_or_default();
                return Err(TxError::Shared { id: key.any_id(), variant });
            }
            raw.write(old_place, None)?;
            // What was written says itself what it became.
            if part == *bytes || !keys.contains(&part[..]) {
                raw.write(new_place, Some(value))?;
            }
        }
    }
    Ok(())
}

pub(super) fn write(
    raw: &mut Staging,
    after: &View,
    key: &EntityKey,
    old: Option<Vec<u8>>,
    new: Vec<u8>,
) -> Result<(), TxError> {
    let path = home(after, key)?;
    make_inline(raw, &path)?;
    let bytes = key.to_bytes();
    if is_subject(after, key)? {
        let place = place_of_subject(after, key)?;
        if let Some(outer) = raw.bytes(&place)? {
            let (outer, new) = (decode(key.any_id(), &outer)?, decode(key.any_id(), &new)?);
            raw.put_at(place, &in_place(new, outer))?;
        }
    }
    let place = overlay::key(&path, &bytes);
    let value = match (raw.bytes(&place)?, old) {
        // Where it is stored it says more than what plays; only what was changed changes.
        (Some(stored), Some(old)) if stored != old => {
            let merged = record::merge(&[Some(&old)], Some(&new), Some(&stored), Deleted::Keep);
            merged.value.unwrap_or(new)
        }
        _ => new,
    };
    Ok(raw.write(place, Some(value))?)
}

pub(super) fn remove(raw: &mut Staging, before: &View, key: &EntityKey) -> Result<(), TxError> {
    let path = home(before, key)?;
    make_inline(raw, &path)?;
    raw.write(overlay::key(&path, &key.to_bytes()), None)?;
    if is_subject(before, key)? {
        // With the subject goes the original that the variant played for.
        let around = outside(before, key, path)?;
        for part in parts(&space(raw.view()?, &around)?, key.any_id(), false)? {
            raw.write(overlay::key(&around, &part), None)?;
        }
    }
    Ok(())
}

/// Deletes what hidden originals have that cannot live without what went from beside them, as
/// deleting it would have done had they played.
fn forget(
    raw: &mut Staging,
    before: &View,
    gone: BTreeMap<Path, Vec<EntityKey>>,
) -> Result<(), TxError> {
    if gone.is_empty() {
        return Ok(());
    }
    let mut hiding = BTreeSet::new();
    for variant in before.all::<Variant>()? {
        hiding.insert(home_of(before, &variant.into())?);
    }
    for (path, keys) in gone.into_iter().filter(|(path, _)| hiding.contains(path)) {
        let mut here = Staging::new(space(raw.view()?, &path)?);
        for key in keys {
            if here.view()?.contains(key.any_id())? {
                continue;
            }
            let place = |key: &EntityKey| overlay::key(&path, &key.to_bytes());
            let lies_here = |key: &EntityKey| raw.bytes(&place(key)).is_ok_and(|it| it.is_some());
            let found = cascade_among(&mut here, key, lies_here)?;
            for entity in found.cleared {
                raw.put_at(place(&EntityKey::of(&entity)), &entity)?;
                here.put(&entity)?;
            }
            for key in &found.keys {
                raw.write(place(key), None)?;
                here.remove(key)?;
            }
        }
    }
    Ok(())
}

/// Shows what lies inside of variants in the state that plays, which has it beside what plays:
/// a variant inside of one that plays lies there as if it were outside.
pub(crate) fn mirror(raw: &Staging, playing: &mut Staging) -> Result<(), ReadError> {
    for (place, _, value) in raw.written() {
        let mut key = &place[..];
        while let Some((variant, inner)) = overlay::split(key) {
            playing.write(key.to_vec(), value.clone())?;
            let shown = playing.view()?.get::<Variant>(variant)?;
            let subject = shown.and_then(|variant| variant.subject);
            let subject = subject.map(|id| playing.view()?.any(id)).transpose()?.flatten();
            let active = match subject {
                Some(subject) => super::playing(playing.view()?, &subject)?,
                None => None,
            };
            key = if active.is_some_and(|active| active.id == variant) { inner } else { &[] };
        }
    }
    Ok(())
}

/// Variants that went take along what was laid over their subject.
pub(crate) fn sweep(raw: &mut Staging) -> Result<(), ReadError> {
    let mut gone = Vec::new();
    for place in raw.removed() {
        if let Ok(key) = overlay::entity_key(place)
            && key.kind == EntityKind::Variant
        {
            let around = &place[..place.len() - key.to_bytes().len()];
            gone.push([around, &overlay::prefix(VariantId(key.id))].concat());
        }
    }
    for prefix in gone {
        let view = raw.view()?.clone();
        for entry in view.state().scan(&prefix) {
            raw.write(entry?.0.to_vec(), None)?;
        }
    }
    Ok(())
}
