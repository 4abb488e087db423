//! Changes on their way into a state: many small writes collected, few tree edits made.
//!
//! A write is held back until somebody asks a question that the tree has to answer, so that an
//! import of a hundred thousand entities edits the tree once and a command that reads its own
//! writes still sees them.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
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
    /// The base with everything but what is pending.
    view: View,
    pending: Pending,
    /// Every key written so far.
    touched: BTreeMap<Vec<u8>, Touched>,
}

/// Keys that were written since `view` was brought up to date.
enum Pending {
    /// Every key that was touched: nobody has asked yet, as in an import.
    All,
    Some(BTreeSet<Vec<u8>>),
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
        Staging { view: base.clone(), base, pending: Pending::All, touched: BTreeMap::new() }
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
        if let Pending::Some(keys) = &mut self.pending {
            keys.insert(key.clone());
        }
        let after = Some(Arc::new(entity.clone()));
        match self.touched.entry(key) {
            Entry::Occupied(mut known) => {
                let touched = known.get_mut();
                let is_new = touched.after.is_none();
                touched.after = Some(encode_over(touched.after.as_deref(), entity)?);
                touched.entity = after;
                Ok(is_new)
            }
            Entry::Vacant(free) => {
                let before = self.base.state().get(free.key())?.map(|value| value.to_vec());
                let is_new = before.is_none();
                let bytes = Some(encode_over(before.as_deref(), entity)?);
                free.insert(Touched { before, after: bytes, entity: after, indexed: None });
                Ok(is_new)
            }
        }
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
        if let Pending::Some(keys) = &mut self.pending {
            keys.insert(key.clone());
        }
        match self.touched.entry(key) {
            Entry::Occupied(mut known) => {
                let touched = known.get_mut();
                (touched.after, touched.entity) = (after, entity);
            }
            Entry::Vacant(free) => {
                free.insert(Touched { before, after, entity, indexed: None });
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
        let pending = match &mut self.pending {
            // Whoever asks first and has written nothing is still one who only writes.
            Pending::All if self.touched.is_empty() => return Ok(()),
            Pending::All => self.touched.keys().cloned().collect(),
            Pending::Some(keys) if keys.is_empty() => return Ok(()),
            Pending::Some(keys) => std::mem::take(keys),
        };
        self.pending = Pending::Some(BTreeSet::new());
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
        let at_once = matches!(self.pending, Pending::All);
        if !at_once {
            self.flush()?;
        }
        let differs = |touched: &Touched| touched.before != touched.after;
        let written = self.touched.into_iter().filter(|(_, touched)| differs(touched));
        let (edits, sides): (Vec<Edit>, Vec<Sides>) = written
            .map(|(key, touched)| {
                let Touched { before, after, entity, .. } = touched;
                (Edit { key, value: after }, Sides { before, after: entity })
            })
            .unzip();
        let mut view = self.view;
        if !at_once || edits.is_empty() {
            let Meant { changes, inside, .. } = Meant::by(&edits, sides, false);
            return Ok(Staged { view, edits, changes, inside });
        }
        // The tree is of bytes, and all else of what they mean: neither waits for the other.
        let (state, meant) = both(
            edits.len() >= LARGE,
            || view.state().edit(&edits),
            || Meant::by(&edits, sides, true),
        );
        let Meant { changes, inside, index } = meant;
        view = View::new(state?, index.apply(view.index()?)?, view.owners().clone());
        Ok(Staged { view, edits, changes, inside })
    }
}

/// Edits from which on a second thread is worth its while.
pub(crate) const LARGE: usize = 4_096;

/// Does two things, at the same time if they are `large`.
pub(crate) fn both<A, B: Send>(
    large: bool,
    here: impl FnOnce() -> A,
    there: impl FnOnce() -> B + Send,
) -> (A, B) {
    if !large {
        return (here(), there());
    }
    std::thread::scope(|scope| {
        let there = scope.spawn(there);
        let here = here();
        (here, there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// What an edit takes the place of, and the entity that it writes where it came as one.
struct Sides {
    before: Option<Vec<u8>>,
    after: Option<Arc<AnyEntity>>,
}

/// What edits mean.
#[derive(Default)]
struct Meant {
    changes: Vec<Change>,
    /// Of those within variants.
    inside: Vec<Change>,
    index: IndexEdits,
}

impl Meant {
    /// The index follows where it was not asked before.
    fn by(edits: &[Edit], sides: Vec<Sides>, for_index: bool) -> Meant {
        let changes = Vec::with_capacity(edits.len());
        let mut meant = Meant { changes, ..Meant::default() };
        for (edit, Sides { before, after }) in edits.iter().zip(sides) {
            let read = |bytes: &[u8]| readable(bytes).map(Arc::new);
            let after = after.or_else(|| edit.value.as_deref().and_then(read));
            let old = before.as_deref().map(read);
            let opaque = (edit.value.is_some() && after.is_none()) || old == Some(None);
            let (before, within) = (old.flatten(), overlay::path(&edit.key));
            if for_index && within.is_empty() {
                meant.index.change(before.as_deref(), after.as_deref());
            }
            // A key of a kind from the future has no entity to tell about.
            let Ok(key) = overlay::entity_key(&edit.key) else { continue };
            let list = if within.is_empty() { &mut meant.changes } else { &mut meant.inside };
            list.push(Change { key, within, before, after, opaque });
        }
        meant
    }
}

/// The bytes of an entity in the place of others: what those say that only a newer version knows
/// stays.
fn encode_over(before: Option<&[u8]>, entity: &AnyEntity) -> Result<Vec<u8>, ReadError> {
    let id = entity.any_id();
    let failed = |source: RecordError| ReadError::Record { id, source };
    let unknown = match before {
        Some(bytes) => {
            let record = RecordView::parse(bytes).map_err(failed)?;
            record.entity().map_err(failed)?;
            record.unknown_fields().map_err(failed)?
        }
        None => serde_json::Map::new(),
    };
    record::encode(entity, &unknown).map_err(failed)
}

/// What one key's bytes mean before and after.
pub(crate) fn change(key: EntityKey, before: Option<&[u8]>, after: Option<&[u8]>) -> Change {
    let read = |bytes: Option<&[u8]>| bytes.map(|bytes| (readable(bytes), ()));
    let (old, new) = (read(before), read(after));
    let opaque = [&old, &new].into_iter().flatten().any(|(entity, ())| entity.is_none());
    let entity = |side: Option<(Option<AnyEntity>, ())>| side.and_then(|it| it.0).map(Arc::new);
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
