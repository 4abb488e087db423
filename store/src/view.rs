//! A view: one immutable state of the project with what follows from its references.
//!
//! Cheap to clone and to send; while one lives, nothing it reaches is collected. Records are read
//! when they are asked for, so opening a project of any size costs a few nodes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use pulse_schemas::{
    entity::{AnyEntity, Entity, is_owned},
    hash::Hash,
    id::{AnyId, EntityId, EntityKind},
    record::{EntityKey, KeyError, RecordError, RecordView},
    time::{Flicks, Moment, Ticks, Timebase},
};

use crate::{
    index::{self, Extent},
    node::Value,
    tree::{Snapshot, TreeError, lock, prefix_end},
};

/// Why a view cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("{id}: {source}")]
    Record { id: AnyId, source: RecordError },
    #[error("a key of the project is damaged: {0}; run `pulse fsck`")]
    Key(#[from] KeyError),
    #[error("{id} is the id of a {}, not of a {expected}; name a {expected}", id.kind)]
    WrongKind { id: AnyId, expected: EntityKind },
}

/// One state of the project.
#[derive(Clone)]
pub struct View {
    state: Snapshot,
    index: Arc<LazyIndex>,
    owners: Arc<OwnerHints>,
}

/// An index, or the state and index that it can be derived from.
struct LazyIndex {
    ready: OnceLock<Snapshot>,
    known: Option<(Snapshot, Snapshot)>,
}

/// The kinds that live under the key of an owner of `kind`.
pub fn member_kinds(kind: EntityKind) -> &'static [EntityKind] {
    match kind {
        EntityKind::Arrangement => &[
            EntityKind::Section,
            EntityKind::Marker,
            EntityKind::TempoPoint,
            EntityKind::SignaturePoint,
            EntityKind::KeyPoint,
        ],
        EntityKind::Clip => &[EntityKind::AudioRegion, EntityKind::Note, EntityKind::MidiEvent],
        EntityKind::AutomationEnvelope => &[EntityKind::AutomationPoint],
        EntityKind::Kit => &[EntityKind::KitSlot],
        _ => &[],
    }
}

/// Which owner a member was last seen under: only ever a hint, checked against the view at hand,
/// so that all views of a project can share it.
#[derive(Default)]
pub(crate) struct OwnerHints {
    kinds: Mutex<BTreeMap<EntityKind, BTreeMap<EntityId, EntityId>>>,
}

impl OwnerHints {
    fn find(&self, any: AnyId) -> Option<EntityId> {
        lock(&self.kinds).get(&any.kind)?.get(&any.id).copied()
    }

    /// Takes a member in; kinds that nobody asked for stay out of memory.
    pub(crate) fn note(&self, key: &EntityKey) {
        if let (Some(owner), Some(known)) = (key.owner, lock(&self.kinds).get_mut(&key.kind)) {
            known.insert(key.id, owner);
        }
    }
}

impl View {
    /// A state whose index is known.
    pub(crate) fn new(state: Snapshot, index: Snapshot, owners: Arc<OwnerHints>) -> View {
        let index = LazyIndex { ready: OnceLock::from(index), known: None };
        View { state, index: Arc::new(index), owners }
    }

    /// A state of which only the records are known; the index is made when it is needed.
    pub fn of_state(state: Snapshot) -> View {
        let index = LazyIndex { ready: OnceLock::new(), known: None };
        View { state, index: Arc::new(index), owners: Arc::default() }
    }

    /// Another state of the same project; its index follows from the difference to this one.
    pub fn sibling(&self, state: Snapshot) -> View {
        if state.root() == self.root() {
            return self.clone();
        }
        let known = match self.index.ready.get() {
            Some(index) => Some((self.state.clone(), index.clone())),
            None => self.index.known.clone(),
        };
        let index = LazyIndex { ready: OnceLock::new(), known };
        View { state, index: Arc::new(index), owners: self.owners.clone() }
    }

    /// The content hash of the whole state.
    pub fn root(&self) -> Hash {
        self.state.root()
    }

    pub fn state(&self) -> &Snapshot {
        &self.state
    }

    pub(crate) fn owners(&self) -> &Arc<OwnerHints> {
        &self.owners
    }

    /// The index tree of this state.
    pub fn index(&self) -> Result<&Snapshot, TreeError> {
        if let Some(index) = self.index.ready.get() {
            return Ok(index);
        }
        let made = match &self.index.known {
            Some((state, index)) => index::advance(index, state, &self.state)?,
            None => index::build(&self.state)?,
        };
        Ok(self.index.ready.get_or_init(|| made))
    }

    /// Whether the index is at hand, or follows from one that is.
    pub(crate) fn has_index(&self) -> bool {
        self.index.ready.get().is_some() || self.index.known.is_some()
    }

    /// How many records the state holds.
    pub fn len(&self) -> u64 {
        self.state.len()
    }

    pub fn is_empty(&self) -> bool {
        self.state.is_empty()
    }

    /// The bytes of a record, in place.
    pub fn record(&self, key: &EntityKey) -> Result<Option<Value>, ReadError> {
        Ok(self.state.get(&key.to_bytes())?)
    }

    /// Reads an archive where it lies, without building the entity.
    pub fn with_archived<E, R>(
        &self,
        key: &EntityKey,
        read: impl FnOnce(&E::Archived) -> R,
    ) -> Result<Option<R>, ReadError>
    where
        E: Entity + rkyv::Archive,
        E::Archived: rkyv::Portable
            + for<'b> rkyv::bytecheck::CheckBytes<
                rkyv::api::high::HighValidator<'b, rkyv::rancor::Error>,
            >,
    {
        let Some(bytes) = self.record(key)? else { return Ok(None) };
        let archived = RecordView::parse(&bytes).and_then(|record| record.archived::<E>());
        archived
            .map(|archived| Some(read(archived)))
            .map_err(|source| ReadError::Record { id: key.any_id(), source })
    }

    pub fn entity(&self, key: &EntityKey) -> Result<Option<AnyEntity>, ReadError> {
        self.record(key)?.map(|bytes| decode(key.any_id(), &bytes)).transpose()
    }

    pub fn any(&self, id: impl Into<AnyId>) -> Result<Option<AnyEntity>, ReadError> {
        match self.locate(id)? {
            Some(key) => self.entity(&key),
            None => Ok(None),
        }
    }

    pub fn get<E: Entity>(&self, id: impl Into<AnyId>) -> Result<Option<E>, ReadError> {
        let id = id.into();
        if id.kind != E::KIND {
            return Err(ReadError::WrongKind { id, expected: E::KIND });
        }
        Ok(self.any(id)?.and_then(narrow))
    }

    /// A member, by its owner: one look-up, where [`View::get`] may have to search.
    pub fn get_owned<E: Entity>(
        &self,
        owner: EntityId,
        id: impl Into<AnyId>,
    ) -> Result<Option<E>, ReadError> {
        Ok(self.entity(&EntityKey::owned(owner, id))?.and_then(narrow))
    }

    pub fn contains(&self, id: impl Into<AnyId>) -> Result<bool, ReadError> {
        Ok(self.locate(id)?.is_some())
    }

    /// The key under which an entity lies, if it is there.
    pub fn locate(&self, id: impl Into<AnyId>) -> Result<Option<EntityKey>, ReadError> {
        let id = id.into();
        if !is_owned(id.kind) {
            let key = EntityKey::standalone(id);
            return Ok(self.state.contains(&key.to_bytes())?.then_some(key));
        }
        if let Some(owner) = self.owners.find(id) {
            let key = EntityKey::owned(owner, id);
            if self.state.contains(&key.to_bytes())? {
                return Ok(Some(key));
            }
        }
        self.search(id)
    }

    /// Like [`View::locate`], but answers from what is known instead of searching: for members,
    /// an id that nobody looked up before counts as absent.
    pub(crate) fn locate_known(&self, id: AnyId) -> Result<Option<EntityKey>, ReadError> {
        if !is_owned(id.kind) {
            return self.locate(id);
        }
        let key = self.owners.find(id).map(|owner| EntityKey::owned(owner, id));
        let Some(key) = key else { return Ok(None) };
        Ok(self.state.contains(&key.to_bytes())?.then_some(key))
    }

    /// Looks through all members of a kind and remembers what it saw for the next time.
    fn search(&self, id: AnyId) -> Result<Option<EntityKey>, ReadError> {
        let (mut found, mut seen) = (None, BTreeMap::new());
        for entry in self.state.scan(&EntityKey::kind_prefix(id.kind)) {
            let key = EntityKey::from_bytes(&entry?.0)?;
            seen.extend(key.owner.map(|owner| (key.id, owner)));
            if key.id == id.id {
                found = Some(key);
            }
        }
        lock(&self.owners.kinds).entry(id.kind).or_default().extend(seen);
        Ok(found)
    }

    /// All entities of a kind in their own order, ties by id.
    pub fn all<E: Entity>(&self) -> Result<Vec<E>, ReadError> {
        self.scan_entities(&EntityKey::kind_prefix(E::KIND))
    }

    /// The members of one kind of an owner, in their own order (notes by start), ties by id.
    pub fn members<E: Entity>(&self, owner: impl Into<AnyId>) -> Result<Vec<E>, ReadError> {
        self.scan_entities(&EntityKey::owner_prefix(E::KIND, owner.into().id))
    }

    /// The keys of all members of an owner, of every kind.
    pub fn member_keys(&self, owner: impl Into<AnyId>) -> Result<Vec<EntityKey>, ReadError> {
        let owner = owner.into();
        let mut keys = Vec::new();
        for kind in member_kinds(owner.kind) {
            for entry in self.state.scan(&EntityKey::owner_prefix(*kind, owner.id)) {
                keys.push(EntityKey::from_bytes(&entry?.0)?);
            }
        }
        Ok(keys)
    }

    fn scan_entities<E: Entity>(&self, prefix: &[u8]) -> Result<Vec<E>, ReadError> {
        let mut found: Vec<(Vec<u8>, E)> = Vec::new();
        for entry in self.state.scan(prefix) {
            let (key, bytes) = entry?;
            let key = EntityKey::from_bytes(&key)?;
            match decode(key.any_id(), &bytes) {
                Ok(entity) => {
                    let sort = index::sort_key(&entity);
                    found.extend(narrow(entity).map(|entity| (sort, entity)));
                }
                // Shown by whoever can read it, skipped by this version.
                Err(ReadError::Record { source: RecordError::FromTheFuture { .. }, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found.into_iter().map(|(_, entity)| entity).collect())
    }

    /// Who of `kind` names `target`, in stable order: lanes of a track by order key, clips of a
    /// lane by start, nodes of a channel by order key; ties by id.
    pub fn referrers(
        &self,
        target: impl Into<AnyId>,
        kind: EntityKind,
    ) -> Result<Vec<EntityKey>, ReadError> {
        self.referrer_keys(&index::referrer_prefix(target.into(), kind))
    }

    /// Who names `target`, whatever it is, without the members that `target` owns.
    pub fn all_referrers(&self, target: impl Into<AnyId>) -> Result<Vec<EntityKey>, ReadError> {
        self.referrer_keys(&index::target_prefix(target.into()))
    }

    fn referrer_keys(&self, prefix: &[u8]) -> Result<Vec<EntityKey>, ReadError> {
        let mut keys = Vec::new();
        for entry in self.index()?.scan(prefix) {
            keys.extend(index::referrer_of(&entry?.0));
        }
        Ok(keys)
    }

    /// The last of [`View::referrers`], at the cost of one look-up.
    pub fn last_referrer(
        &self,
        target: impl Into<AnyId>,
        kind: EntityKind,
    ) -> Result<Option<EntityKey>, ReadError> {
        let prefix = index::referrer_prefix(target.into(), kind);
        let Some(end) = prefix_end(&prefix) else { return Ok(None) };
        let entry = self.index()?.entry_before(&end)?;
        let key = entry.map(|(key, _)| key).filter(|key| key.starts_with(&prefix));
        Ok(key.and_then(|key| index::referrer_of(&key)))
    }

    /// The master of an arrangement; it stands before the channels that were made after it.
    pub fn master_of(&self, arrangement: impl Into<AnyId>) -> Result<Option<EntityKey>, ReadError> {
        let prefix = index::referrer_prefix(arrangement.into(), EntityKind::Channel);
        for entry in self.index()?.scan(&prefix) {
            let (key, note) = entry?;
            if note.first().is_some_and(|flags| flags & index::IS_MASTER != 0) {
                return Ok(index::referrer_of(&key));
            }
        }
        Ok(None)
    }

    /// The entities behind [`View::referrers`].
    pub fn referring<E: Entity>(&self, target: impl Into<AnyId>) -> Result<Vec<E>, ReadError> {
        let mut found = Vec::new();
        for key in self.referrers(target, E::KIND)? {
            found.extend(self.entity(&key)?.and_then(narrow));
        }
        Ok(found)
    }

    /// The musical clips of a lane that sound between two places, by start.
    pub fn clips_between(
        &self,
        lane: impl Into<AnyId>,
        from: Ticks,
        to: Ticks,
    ) -> Result<Vec<EntityKey>, ReadError> {
        self.clips_in(lane.into(), Timebase::Musical, from.0, to.0)
    }

    /// The clips of a lane in absolute time that sound between two places, by start.
    pub fn clips_between_absolute(
        &self,
        lane: impl Into<AnyId>,
        from: Flicks,
        to: Flicks,
    ) -> Result<Vec<EntityKey>, ReadError> {
        self.clips_in(lane.into(), Timebase::Absolute, from.0, to.0)
    }

    fn clips_in(
        &self,
        lane: AnyId,
        timebase: Timebase,
        from: i64,
        to: i64,
    ) -> Result<Vec<EntityKey>, ReadError> {
        let (start, end) = (index::clip_prefix(lane, i64::MIN), index::clip_prefix(lane, to));
        let bounds = (std::ops::Bound::Included(&start[..]), std::ops::Bound::Excluded(&end[..]));
        let mut keys = Vec::new();
        for entry in self.index()?.range(bounds.0, bounds.1) {
            let (key, value) = entry?;
            let extent = Extent::read(&value);
            if extent.is_some_and(|it| it.timebase == timebase && it.end > Moment(from)) {
                keys.extend(index::referrer_of(&key));
            }
        }
        Ok(keys)
    }
}

impl PartialEq for View {
    fn eq(&self, other: &View) -> bool {
        self.root() == other.root()
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({:?}, {} records)", self.root(), self.len())
    }
}

/// A record as the entity that it is.
pub fn decode(id: AnyId, bytes: &[u8]) -> Result<AnyEntity, ReadError> {
    RecordView::parse(bytes)
        .and_then(|record| record.entity())
        .map_err(|source| ReadError::Record { id, source })
}

fn narrow<E: Entity>(any: AnyEntity) -> Option<E> {
    E::try_from(any).ok()
}
