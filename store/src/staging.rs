//! Changes on their way into a state: many small writes collected, few tree edits made.
//!
//! A write is held back until somebody asks a question that the tree has to answer, so that an
//! import of a hundred thousand entities edits the tree once and a command that reads its own
//! writes still sees them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pulse_schemas::{
    entity::AnyEntity,
    id::AnyId,
    record::{self, EntityKey, RecordError, RecordView},
};

use crate::{
    changes::Change,
    index::IndexEdits,
    overlay,
    tree::{Edit, Snapshot, TreeError},
    view::{ReadError, View, decode},
};

/// Writes over a view.
pub struct Staging {
    base: View,
    /// The base with everything but `pending`.
    view: View,
    pending: BTreeSet<Vec<u8>>,
    /// Whether `view` holds anything that the base doesn't.
    flushed: bool,
    /// Every key written so far.
    touched: BTreeMap<Vec<u8>, Touched>,
}

/// The value of a key in the base and now. Entities are large, and a map moves what lies in it
/// each time that it grows: so they lie beside it.
struct Touched {
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    /// What `after` says, where it came as an entity.
    entity: Option<Arc<AnyEntity>>,
    /// What the index holds for the key at present; none is what `before` says.
    indexed: Option<Option<Arc<AnyEntity>>>,
}

impl Touched {
    fn after_entity(&self) -> Option<Arc<AnyEntity>> {
        match &self.entity {
            Some(entity) => Some(entity.clone()),
            None => self.after.as_deref().and_then(readable).map(Arc::new),
        }
    }
}

/// A key, its value in the base and its value now.
pub type Written = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

/// A finished staging: the new state and what leads to it.
pub struct Staged {
    pub view: View,
    pub edits: Vec<Edit>,
    pub changes: Vec<Change>,
    /// What changed inside of variants.
    pub inside: Vec<Change>,
}

impl Staging {
    pub fn new(base: View) -> Staging {
        let (pending, touched) = Default::default();
        Staging { view: base.clone(), base, pending, flushed: false, touched }
    }

    pub fn base(&self) -> &View {
        &self.base
    }

    /// The state with all writes so far.
    pub fn view(&mut self) -> Result<&View, ReadError> {
        self.flush()?;
        Ok(&self.view)
    }

    /// The bytes under a key, own writes included.
    pub fn bytes(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TreeError> {
        match self.touched.get(key) {
            Some(touched) => Ok(touched.after.clone()),
            None => Ok(self.base.state().get(key)?.map(|value| value.to_vec())),
        }
    }

    pub fn entity(&self, key: &EntityKey) -> Result<Option<AnyEntity>, ReadError> {
        let bytes = self.bytes(&key.to_bytes())?;
        bytes.map(|bytes| decode(key.any_id(), &bytes)).transpose()
    }

    pub fn contains(&self, key: &EntityKey) -> Result<bool, ReadError> {
        Ok(self.bytes(&key.to_bytes())?.is_some())
    }

    /// The key of an entity, own writes included.
    pub fn locate(&mut self, id: AnyId) -> Result<Option<EntityKey>, ReadError> {
        if pulse_schemas::entity::is_owned(id.kind) {
            return self.view()?.locate(id);
        }
        let key = EntityKey::standalone(id);
        Ok(self.contains(&key)?.then_some(key))
    }

    /// Writes an entity; fields that only a newer version knows stay beside it.
    pub fn put(&mut self, entity: &AnyEntity) -> Result<(), ReadError> {
        let key = EntityKey::of(entity);
        let is_new = self.put_at(key.to_bytes(), entity)?;
        if is_new {
            self.view.owners().note(&key);
        }
        Ok(())
    }

    /// Writes an entity under a key that may lie inside a variant; whether nothing was there.
    pub(crate) fn put_at(&mut self, key: Vec<u8>, entity: &AnyEntity) -> Result<bool, ReadError> {
        let id = entity.any_id();
        let failed = |source: RecordError| ReadError::Record { id, source };
        let before = self.bytes(&key)?;
        let unknown = match &before {
            Some(bytes) => {
                let record = RecordView::parse(bytes).map_err(failed)?;
                record.entity().map_err(failed)?;
                record.unknown_fields().map_err(failed)?
            }
            None => serde_json::Map::new(),
        };
        let bytes = record::encode(entity, &unknown).map_err(failed)?;
        let is_new = before.is_none();
        self.write_over(key, before, Some(bytes), Some(entity.clone()));
        Ok(is_new)
    }

    pub fn remove(&mut self, key: &EntityKey) -> Result<(), ReadError> {
        self.write(key.to_bytes(), None)
    }

    /// Writes raw bytes under a raw key: for records that this version cannot read.
    pub fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), ReadError> {
        let before = match self.touched.contains_key(&key) {
            true => None,
            false => self.base.state().get(&key)?.map(|value| value.to_vec()),
        };
        self.write_over(key, before, value, None);
        Ok(())
    }

    /// `before` counts only for a key that was not written yet: it is the value in the base then.
    pub(crate) fn write_over(
        &mut self,
        key: Vec<u8>,
        before: Option<Vec<u8>>,
        after: Option<Vec<u8>>,
        entity: Option<AnyEntity>,
    ) {
        let entity = entity.map(Arc::new);
        self.pending.insert(key.clone());
        match self.touched.get_mut(&key) {
            Some(touched) => (touched.after, touched.entity) = (after, entity),
            None => {
                let touched = Touched { before, after, entity, indexed: None };
                self.touched.insert(key, touched);
            }
        }
    }

    /// Everything written so far that differs from the base: key, value there, value here.
    pub fn written(&self) -> Vec<Written> {
        let differs = |touched: &Touched| touched.before != touched.after;
        let written = self.touched.iter().filter(|(_, touched)| differs(touched));
        written.map(|(key, it)| (key.clone(), it.before.clone(), it.after.clone())).collect()
    }

    /// Keys that are in the base and not here any more.
    pub fn removed(&self) -> impl Iterator<Item = &[u8]> {
        let gone = |touched: &Touched| touched.after.is_none() && touched.before.is_some();
        self.touched.iter().filter(move |(_, it)| gone(it)).map(|(key, _)| &key[..])
    }

    fn flush(&mut self) -> Result<(), ReadError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.flushed = true;
        let pending = std::mem::take(&mut self.pending);
        let mut index = IndexEdits::default();
        let mut edits = Vec::with_capacity(pending.len());
        for key in pending {
            let Some(touched) = self.touched.get_mut(&key) else { continue };
            let before = match touched.indexed.take() {
                Some(indexed) => indexed,
                None => touched.before.as_deref().and_then(readable).map(Arc::new),
            };
            let after = touched.after_entity();
            // What lies inside a variant names nobody until it plays.
            if !overlay::is_inside(&key) {
                index.change(before.as_deref(), after.as_deref());
            }
            touched.indexed = Some(after);
            edits.push(Edit { key, value: touched.after.clone() });
        }
        let state = self.view.state().edit(&edits)?;
        let index = index.apply(self.view.index()?)?;
        self.view = View::new(state, index, self.view.owners().clone());
        Ok(())
    }

    /// The new state with all that changed; writes that came back to the old value drop out.
    pub fn finish(mut self) -> Result<Staged, ReadError> {
        // Where nobody asked in between, as in an import, the edits of the tree are those that are
        // told, and each is looked at once.
        let at_once = !self.flushed;
        if !at_once {
            self.flush()?;
        }
        let count = self.touched.len();
        let (mut edits, mut changes) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut inside, mut index) = (Vec::new(), IndexEdits::default());
        for (key, touched) in self.touched {
            if touched.before == touched.after {
                continue;
            }
            let after = touched.after_entity();
            let Touched { before, after: value, entity, indexed } = touched;
            // What holds the entity beside `after`.
            drop((entity, indexed));
            let old = before.as_deref().map(readable);
            let opaque = (value.is_some() && after.is_none()) || old == Some(None);
            let (old, within) = (old.flatten(), overlay::path(&key));
            if at_once && within.is_empty() {
                index.change(old.as_ref(), after.as_deref());
            }
            // A key of a kind from the future has no entity to tell about.
            if let Ok(entity_key) = overlay::entity_key(&key) {
                let list = if within.is_empty() { &mut changes } else { &mut inside };
                let after = after.map(Arc::unwrap_or_clone);
                list.push(Change { key: entity_key, within, before: old, after, opaque });
            }
            edits.push(Edit { key, value });
        }
        let mut view = self.view;
        if at_once && !edits.is_empty() {
            let state = view.state().edit(&edits)?;
            let index = index.apply(view.index()?)?;
            view = View::new(state, index, view.owners().clone());
        }
        Ok(Staged { view, edits, changes, inside })
    }
}

/// What one key's bytes mean before and after.
pub(crate) fn change(key: EntityKey, before: Option<&[u8]>, after: Option<&[u8]>) -> Change {
    let read = |bytes: Option<&[u8]>| bytes.map(|bytes| (readable(bytes), ()));
    let (old, new) = (read(before), read(after));
    let opaque = [&old, &new].into_iter().flatten().any(|(entity, ())| entity.is_none());
    let entity = |side: Option<(Option<AnyEntity>, ())>| side.and_then(|(entity, ())| entity);
    Change { key, within: Vec::new(), before: entity(old), after: entity(new), opaque }
}

/// The changes outside of variants that lead from one state to another, at the cost of the
/// difference.
pub fn changes_between(from: &Snapshot, to: &Snapshot) -> Result<Vec<Change>, TreeError> {
    let mut changes = Vec::new();
    for difference in from.diff(to) {
        let difference = difference?;
        if let Ok(key) = EntityKey::from_bytes(&difference.key) {
            changes.push(change(key, difference.before.as_deref(), difference.after.as_deref()));
        }
    }
    Ok(changes)
}

fn readable(bytes: &[u8]) -> Option<AnyEntity> {
    RecordView::parse(bytes).ok()?.entity().ok()
}
