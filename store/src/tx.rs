//! Transactions: the only way a project changes.
//!
//! A transaction collects writes, sees them itself, and takes effect as a whole or not at all:
//! what it breaks is found before anything is written.

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{AnyEntity, Conflict, Entity, HistoryContext, OnDelete, Reference},
    hash::Hash,
    id::{AnyId, EntityId},
    record::{EntityKey, RecordError},
};

use crate::{
    backend::BackendError,
    changes::Changes,
    history::Action,
    invariants::{self, Breach},
    journal::keeper::{self, OnDurable},
    merge::{self, MergeRules},
    project::{Append, Project},
    refs::RefEdits,
    repo::RepoError,
    staging::Staging,
    tree::{Edit, Snapshot, TreeError},
    view::{ReadError, View},
};

/// Why a transaction did not happen. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum TxError {
    #[error("{id} does not exist; it may have been removed meanwhile")]
    NotFound { id: AnyId },
    #[error(
        "{id} comes from a newer version of Pulse and can only be removed; update Pulse to edit it"
    )]
    Newer { id: AnyId },
    #[error(transparent)]
    Breach(#[from] Breach),
    #[error("{id}: the {kind} keeps its id while it changes; make a new one instead", kind = id.kind)]
    IdChanged { id: AnyId },
    #[error("the clear of {id}.{field} is not possible; remove {id} instead")]
    NotClearable { id: AnyId, field: &'static str },
    #[error(transparent)]
    Read(ReadError),
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl From<ReadError> for TxError {
    fn from(error: ReadError) -> TxError {
        match error {
            ReadError::Record { id, source: RecordError::FromTheFuture { .. } } => {
                TxError::Newer { id }
            }
            other => TxError::Read(other),
        }
    }
}

impl From<TreeError> for TxError {
    fn from(error: TreeError) -> TxError {
        TxError::Read(error.into())
    }
}

/// What is noted about a transaction beside its changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxMeta {
    /// What people read in the history: "Move clip".
    pub label: String,
    /// Histories beside those that follow from the changed fields.
    pub contexts: Vec<HistoryContext>,
    pub author: String,
    /// Whose undo this belongs to.
    pub client: String,
    /// The command's bytes, kept with the history.
    pub command: Vec<u8>,
    /// Transactions of one client with the same key, one after another, are undone together.
    pub coalesce: Option<String>,
    /// Milliseconds since 1970; the store reads no clock.
    pub time: i64,
}

impl TxMeta {
    pub fn new(label: impl Into<String>, client: impl Into<String>) -> TxMeta {
        TxMeta { label: label.into(), client: client.into(), ..TxMeta::default() }
    }
}

/// Stands for the durability of a transaction.
#[derive(Clone)]
pub struct Ticket(Option<keeper::Ticket>);

impl Ticket {
    pub(crate) fn of(ticket: keeper::Ticket) -> Ticket {
        Ticket(Some(ticket))
    }

    /// For a transaction that changed nothing.
    pub(crate) fn nothing() -> Ticket {
        Ticket(None)
    }

    /// Returns once the transaction survives a power cut, or with the reason why it may not.
    pub fn wait(&self) -> Result<(), BackendError> {
        self.0.as_ref().map_or(Ok(()), keeper::Ticket::wait)
    }

    pub fn is_durable(&self) -> bool {
        self.0.as_ref().is_none_or(keeper::Ticket::is_durable)
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket(durable: {})", self.is_durable())
    }
}

/// A transaction that took effect.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its number in the history; that of the last one where nothing changed.
    pub seq: u64,
    pub before: Hash,
    pub after: Hash,
    pub changes: Changes,
    pub ticket: Ticket,
}

/// One key of a patch: what it leads from and what to.
pub(crate) struct Step {
    pub key: Vec<u8>,
    pub base: Option<Vec<u8>>,
    pub theirs: Option<Vec<u8>>,
}

/// A transaction in progress; dropping it leaves the project as it was.
pub struct Tx<'p> {
    project: &'p mut Project,
    staging: Staging,
    meta: TxMeta,
    action: Action,
    ordinal: u32,
    pub(crate) refs: RefEdits,
    on_durable: Option<OnDurable>,
    /// Trees that the content names by hash: durable before the transaction is.
    trees: Vec<Snapshot>,
}

impl<'p> Tx<'p> {
    pub(crate) fn new(project: &'p mut Project, meta: TxMeta, action: Action) -> Tx<'p> {
        let staging = Staging::new(project.view());
        let refs = RefEdits::default();
        Tx { project, staging, meta, action, ordinal: 0, refs, on_durable: None, trees: Vec::new() }
    }

    /// An id that no entity has or had, and that a replay of the same transactions gives again.
    pub fn new_id(&mut self) -> EntityId {
        let id = EntityId::derive(self.project.actor(), self.project.next_seq(), self.ordinal);
        self.ordinal += 1;
        id
    }

    pub fn set_label(&mut self, label: impl Into<String>) {
        self.meta.label = label.into();
    }

    /// What the history will call this.
    pub fn label(&self) -> &str {
        &self.meta.label
    }

    /// Called on the journal's thread once the outcome is certain; must not block.
    pub fn on_durable(&mut self, call: OnDurable) {
        self.on_durable = Some(call);
    }

    /// The state before this transaction.
    pub fn before(&self) -> &View {
        self.staging.base()
    }

    /// The state with everything written so far.
    pub fn view(&mut self) -> Result<&View, TxError> {
        Ok(self.staging.view()?)
    }

    pub fn any(&mut self, id: impl Into<AnyId>) -> Result<Option<AnyEntity>, TxError> {
        match self.staging.locate(id.into())? {
            Some(key) => Ok(self.staging.entity(&key)?),
            None => Ok(None),
        }
    }

    pub fn get<E: Entity>(&mut self, id: impl Into<AnyId>) -> Result<Option<E>, TxError> {
        let id = id.into();
        if id.kind != E::KIND {
            return Err(ReadError::WrongKind { id, expected: E::KIND }.into());
        }
        Ok(self.any(id)?.and_then(|any| E::try_from(any).ok()))
    }

    pub fn get_owned<E: Entity>(
        &mut self,
        owner: EntityId,
        id: impl Into<AnyId>,
    ) -> Result<Option<E>, TxError> {
        let entity = self.staging.entity(&EntityKey::owned(owner, id))?;
        Ok(entity.and_then(|any| E::try_from(any).ok()))
    }

    /// Writes an entity, whether it is new or not.
    pub fn put(&mut self, entity: impl Into<AnyEntity>) -> Result<(), TxError> {
        Ok(self.staging.put(&entity.into())?)
    }

    /// Changes an entity in place.
    pub fn update<E: Entity>(
        &mut self,
        id: impl Into<AnyId>,
        change: impl FnOnce(&mut E),
    ) -> Result<(), TxError> {
        let id = id.into();
        let key = self.staging.locate(id)?.ok_or(TxError::NotFound { id })?;
        self.update_at(&key, change)
    }

    /// Changes a member, by its owner: one look-up, where [`Tx::update`] may have to search.
    pub fn update_owned<E: Entity>(
        &mut self,
        owner: EntityId,
        id: impl Into<AnyId>,
        change: impl FnOnce(&mut E),
    ) -> Result<(), TxError> {
        self.update_at(&EntityKey::owned(owner, id), change)
    }

    fn update_at<E: Entity>(
        &mut self,
        key: &EntityKey,
        change: impl FnOnce(&mut E),
    ) -> Result<(), TxError> {
        let id = key.any_id();
        if id.kind != E::KIND {
            return Err(ReadError::WrongKind { id, expected: E::KIND }.into());
        }
        let entity = self.staging.entity(key)?.and_then(|any| E::try_from(any).ok());
        let mut entity = entity.ok_or(TxError::NotFound { id })?;
        change(&mut entity);
        if entity.id() != id.id {
            return Err(TxError::IdChanged { id });
        }
        let entity: AnyEntity = entity.into();
        if EntityKey::of(&entity) != *key {
            self.staging.remove(key)?;
        }
        Ok(self.staging.put(&entity)?)
    }

    /// Removes one entity. Whoever names it has to be changed too; see [`Tx::remove_cascade`].
    pub fn remove(&mut self, id: impl Into<AnyId>) -> Result<(), TxError> {
        let id = id.into();
        let key = self.staging.locate(id)?.ok_or(TxError::NotFound { id })?;
        Ok(self.staging.remove(&key)?)
    }

    pub fn remove_owned(&mut self, owner: EntityId, id: impl Into<AnyId>) -> Result<(), TxError> {
        let key = EntityKey::owned(owner, id);
        if !self.staging.contains(&key)? {
            return Err(TxError::NotFound { id: key.any_id() });
        }
        Ok(self.staging.remove(&key)?)
    }

    /// Removes an entity with its members and everything that cannot live without it, and clears
    /// the fields that name what went. Returns what went, the entity itself first.
    pub fn remove_cascade(&mut self, id: impl Into<AnyId>) -> Result<Vec<AnyEntity>, TxError> {
        let id = id.into();
        let first = self.staging.locate(id)?.ok_or(TxError::NotFound { id })?;
        let (mut gone, mut seen) = (Vec::new(), BTreeSet::from([first]));
        let mut open = vec![first];
        let mut clear = Vec::new();
        while let Some(key) = open.pop() {
            gone.push(self.staging.entity(&key)?.ok_or(TxError::NotFound { id: key.any_id() })?);
            let view = self.staging.view()?;
            let members = view.member_keys(key.any_id())?;
            for other in members {
                if seen.insert(other) {
                    open.push(other);
                }
            }
            for other in self.staging.view()?.all_referrers(key.any_id())? {
                match on_delete(self.staging.entity(&other)?, key.any_id()) {
                    Some(OnDelete::Cascade) if seen.insert(other) => open.push(other),
                    Some(OnDelete::Clear) => clear.push((other, key.any_id())),
                    _ => {}
                }
            }
        }
        for (key, target) in clear {
            if !seen.contains(&key) {
                self.clear(&key, target)?;
            }
        }
        for key in &seen {
            self.staging.remove(key)?;
        }
        Ok(gone)
    }

    /// Sets the fields of `key` that name `target` to nothing.
    fn clear(&mut self, key: &EntityKey, target: AnyId) -> Result<(), TxError> {
        if let Some(entity) = self.staging.entity(key)? {
            let cleared = cleared(&entity, target)?;
            self.staging.put(&cleared)?;
        }
        Ok(())
    }

    /// Turns the working copy into a state that was valid before, at the cost of the difference.
    pub(crate) fn become_state(mut self, target: &Snapshot) -> Result<Committed, TxError> {
        self.stage_state(target)?;
        self.finish(false, false)
    }

    pub(crate) fn stage_state(&mut self, target: &Snapshot) -> Result<(), TxError> {
        let base = self.before().state().clone();
        for difference in base.diff(target) {
            let difference = difference?;
            let value = difference.after.map(|value| value.to_vec());
            self.staging.write(difference.key.to_vec(), value)?;
        }
        Ok(())
    }

    pub(crate) fn keep_tree(&mut self, tree: Snapshot) {
        self.trees.push(tree);
    }

    /// Merges what leads from `bases` to `theirs` into everything written so far; conflicts are
    /// written as entities and returned.
    pub(crate) fn merge(
        &mut self,
        bases: &[View],
        theirs: &View,
        rules: &MergeRules,
    ) -> Result<Vec<Conflict>, TxError> {
        let (actor, seq) = (self.project.actor(), self.project.next_seq());
        let ordinal = &mut self.ordinal;
        let mut new_id = || {
            let id = EntityId::derive(actor, seq, *ordinal);
            *ordinal += 1;
            id
        };
        Ok(merge::merge(&mut self.staging, bases, theirs, rules, &mut new_id)?)
    }

    /// Merges a patch, in key order, into the state before this transaction: exactly where
    /// nobody changed its keys since, field by field where somebody did.
    pub(crate) fn merge_steps(
        &mut self,
        steps: Vec<Step>,
        rules: &MergeRules,
    ) -> Result<Vec<Conflict>, TxError> {
        let ours = self.before().clone();
        let (mut base, mut theirs) = (Vec::new(), Vec::new());
        for step in steps {
            base.push(Edit { key: step.key.clone(), value: step.base });
            theirs.push(Edit { key: step.key, value: step.theirs });
        }
        let base = ours.sibling(ours.state().edit(&base)?);
        let theirs = ours.sibling(ours.state().edit(&theirs)?);
        self.merge(&[base], &theirs, rules)
    }

    pub(crate) fn staging(&mut self) -> &mut Staging {
        &mut self.staging
    }

    /// Checks everything and makes it so; the ticket says when it is durable.
    pub fn commit(self) -> Result<Committed, TxError> {
        self.finish(true, false)
    }

    /// `keep`: the state behind this gets a name. Unchecked is for states that were valid before.
    pub(crate) fn finish(self, check: bool, keep: bool) -> Result<Committed, TxError> {
        let staged = self.staging.finish()?;
        let refs = self.refs.finish();
        if staged.edits.is_empty() && refs.is_empty() {
            return Ok(self.project.nothing());
        }
        if check
            && let Some(breach) =
                invariants::breaches(&staged.view, &staged.changes)?.into_iter().next()
        {
            return Err(breach.into());
        }
        for tree in &self.trees {
            self.project.repo.keep(tree)?;
        }
        let (meta, action, on_durable) = (self.meta, self.action, self.on_durable);
        self.project.append(Append { staged, refs, meta, action, keep, on_durable })
    }
}

/// What deleting `target` means for an entity that names it.
fn on_delete(entity: Option<AnyEntity>, target: AnyId) -> Option<OnDelete> {
    let names = |reference: &Reference| reference.target == target;
    let references = entity?.references();
    let mut found = references.iter().filter(|it| names(it)).map(|it| it.on_delete);
    let first = found.next()?;
    // One field that cannot live without the target decides for the whole entity.
    Some(found.fold(first, |worst, it| match (worst, it) {
        (OnDelete::Cascade, _) | (_, OnDelete::Cascade) => OnDelete::Cascade,
        (OnDelete::Clear, _) | (_, OnDelete::Clear) => OnDelete::Clear,
        _ => OnDelete::Keep,
    }))
}

/// The entity with the clearable fields that name `target` set to nothing.
pub(crate) fn cleared(entity: &AnyEntity, target: AnyId) -> Result<AnyEntity, TxError> {
    let id = entity.any_id();
    let mut fields = entity.fields();
    let mut last = "";
    for reference in entity.references() {
        if reference.target != target || reference.on_delete != OnDelete::Clear {
            continue;
        }
        last = reference.field;
        let nothing = match (entity, reference.field) {
            // The only clearable field that is no option.
            (AnyEntity::Channel(_), "input") => serde_json::json!("none"),
            _ => serde_json::Value::Null,
        };
        fields.insert(last.to_owned(), nothing);
    }
    let rebuilt = AnyEntity::from_fields(id.kind, fields);
    rebuilt.map(|(entity, _)| entity).map_err(|_| TxError::NotClearable { id, field: last })
}
