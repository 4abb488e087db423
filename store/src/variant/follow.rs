//! Who goes, or loses a name, only because something else went.
//!
//! A deletion under a variant is one of the variant. Whoever stands outside of it and names what
//! went still finds it in the original: a send of another track to this one, an automation of a
//! node. It is silent while the variant plays, which follows from what is stored, and so nothing
//! is written for it.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::{
    entity::{AnyEntity, OnDelete, Reference},
    id::AnyId,
    record::{self, EntityKey, RecordView},
};
use serde_json::{Map, Value};

use super::fold::{self, Path, home, space};
use crate::{
    staging::{Staging, Written},
    tx::TxError,
    view::{ReadError, View, decode},
};

/// An entity that lost names of what went: before, after, and which names.
struct Cleared {
    old: Vec<u8>,
    new: Vec<u8>,
    names: Vec<Reference>,
}

/// What follows from deletions inside of variants, and lies outside of them.
#[derive(Default)]
pub(super) struct Followers {
    gone: BTreeMap<EntityKey, AnyEntity>,
    cleared: BTreeMap<EntityKey, Cleared>,
}

/// What went, by its id.
struct Gone<'a> {
    before: &'a View,
    by_id: BTreeMap<AnyId, (EntityKey, AnyEntity)>,
    homes: BTreeMap<EntityKey, Path>,
}

impl Gone<'_> {
    fn home(&mut self, key: &EntityKey) -> Result<Path, ReadError> {
        if let Some(path) = self.homes.get(key) {
            return Ok(path.clone());
        }
        let path = home(self.before, key)?;
        self.homes.insert(*key, path.clone());
        Ok(path)
    }

    /// Whether `target` went from a variant that `key` does not lie in.
    fn is_from_elsewhere(&mut self, key: &EntityKey, target: AnyId) -> Result<bool, ReadError> {
        let Some((place, _)) = self.by_id.get(&target) else { return Ok(false) };
        let place = *place;
        let from = self.home(&place)?;
        Ok(!from.is_empty() && !self.home(key)?.starts_with(&from))
    }
}

fn names(entity: &AnyEntity, on_delete: OnDelete) -> Vec<Reference> {
    let mut found = entity.references();
    found.retain(|it| it.on_delete == on_delete);
    found
}

impl Followers {
    pub(super) fn find(
        before: &View,
        after: &View,
        written: &[Written],
    ) -> Result<Followers, ReadError> {
        let mut by_id = BTreeMap::new();
        for (bytes, old, new) in written {
            let Ok(key) = EntityKey::from_bytes(bytes) else { continue };
            if let (Some(old), None) = (old, new)
                && !after.contains(key.any_id())?
                && let Ok(entity) = decode(key.any_id(), old)
            {
                by_id.insert(key.any_id(), (key, entity));
            }
        }
        let mut followers = Followers::default();
        if by_id.is_empty() {
            return Ok(followers);
        }
        let mut gone = Gone { before, by_id, homes: BTreeMap::new() };
        followers.find_gone(&mut gone)?;
        followers.find_cleared(&mut gone, written)?;
        Ok(followers)
    }

    /// First those that name what went elsewhere, then those that name them.
    fn find_gone(&mut self, gone: &mut Gone<'_>) -> Result<(), ReadError> {
        let mut naming: BTreeMap<AnyId, Vec<AnyId>> = BTreeMap::new();
        let mut open = Vec::new();
        let all: Vec<(EntityKey, AnyEntity)> = gone.by_id.values().cloned().collect();
        for (key, entity) in &all {
            for name in names(entity, OnDelete::Cascade) {
                if gone.is_from_elsewhere(key, name.target)? {
                    open.push(key.any_id());
                } else if gone.by_id.contains_key(&name.target) {
                    naming.entry(name.target).or_default().push(key.any_id());
                }
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            open.extend(naming.remove(&id).unwrap_or_default());
            if let Some((key, entity)) = gone.by_id.get(&id) {
                self.gone.insert(*key, entity.clone());
            }
        }
        Ok(())
    }

    fn find_cleared(&mut self, gone: &mut Gone<'_>, written: &[Written]) -> Result<(), ReadError> {
        let followers: BTreeSet<AnyId> = self.gone.keys().map(EntityKey::any_id).collect();
        for (bytes, old, new) in written {
            let (Ok(key), Some(old), Some(new)) = (EntityKey::from_bytes(bytes), old, new) else {
                continue;
            };
            let (Ok(was), Ok(is)) = (decode(key.any_id(), old), decode(key.any_id(), new)) else {
                continue;
            };
            let left = names(&is, OnDelete::Clear);
            let mut lost = names(&was, OnDelete::Clear);
            lost.retain(|name| left.iter().all(|it| it.field != name.field));
            let mut names = Vec::new();
            for name in lost {
                let follows = followers.contains(&name.target);
                if follows || gone.is_from_elsewhere(&key, name.target)? {
                    names.push(name);
                }
            }
            if !names.is_empty() {
                let (old, new) = (old.clone(), new.clone());
                self.cleared.insert(key, Cleared { old, new, names });
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, key: &EntityKey) -> bool {
        self.gone.contains_key(key) || self.cleared.contains_key(key)
    }

    /// Once everything else is where it lies: what still finds whom it names stays as it is.
    pub(super) fn fold(
        mut self,
        raw: &mut Staging,
        before: &View,
        after: &View,
    ) -> Result<(), TxError> {
        loop {
            let mut spaces = Spaces::default();
            let mut lost = Vec::new();
            for (key, entity) in &self.gone {
                let path = home(before, key)?;
                for name in names(entity, OnDelete::Cascade) {
                    if !spaces.has(raw, &path, name.target)? {
                        lost.push(*key);
                        break;
                    }
                }
            }
            for key in &lost {
                self.gone.remove(key);
                fold::remove(raw, before, key)?;
            }
            if lost.is_empty() {
                break;
            }
        }
        let mut spaces = Spaces::default();
        let mut kept = Vec::new();
        for (key, cleared) in self.cleared {
            let path = home(before, &key)?;
            let mut names = Vec::new();
            for name in &cleared.names {
                if spaces.has(raw, &path, name.target)? {
                    names.push(name.field);
                }
            }
            kept.push((key, cleared, names));
        }
        for (key, Cleared { old, new, .. }, names) in kept {
            let new = with_names(&key, &old, new, &names)?;
            if new != old {
                fold::write(raw, after, &key, Some(old), new)?;
            }
        }
        Ok(())
    }
}

/// What lies inside of paths as if they played, each derived once.
#[derive(Default)]
struct Spaces {
    known: BTreeMap<Path, View>,
}

impl Spaces {
    fn has(&mut self, raw: &mut Staging, path: &Path, id: AnyId) -> Result<bool, ReadError> {
        if let Some(view) = self.known.get(path) {
            return view.contains(id);
        }
        let view = space(raw.view()?, path)?;
        let found = view.contains(id);
        self.known.insert(path.clone(), view);
        found
    }
}

/// A record with some of its fields as they were.
fn with_names(
    key: &EntityKey,
    old: &[u8],
    new: Vec<u8>,
    fields: &[&'static str],
) -> Result<Vec<u8>, ReadError> {
    let id = key.any_id();
    let failed = |source| ReadError::Record { id, source };
    let was: Map<String, Value> = decode(id, old)?.fields();
    let mut is = decode(id, &new)?.fields();
    for field in fields {
        if let Some(value) = was.get(*field) {
            is.insert((*field).to_owned(), value.clone());
        }
    }
    let Ok((entity, _)) = AnyEntity::from_fields(id.kind, is) else { return Ok(new) };
    let unknown = RecordView::parse(&new).and_then(|it| it.unknown_fields()).map_err(failed)?;
    record::encode(&entity, &unknown).map_err(failed)
}
