//! Transactions: the only way a project changes.
//!
//! A transaction collects writes, sees them itself, and takes effect as a whole or not at all:
//! what it breaks is found before anything is written.

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{AnyEntity, Conflict, Entity, HistoryContext, OnDelete, Reference},
    hash::Hash,
    id::{AnyId, EntityId, VariantId},
    record::{EntityKey, RecordError},
};

use crate::{
    backend::BackendError,
    changes::{Change, Changes},
    history::Action,
    invariants::{self, Breach},
    journal::keeper::{self, OnDurable},
    merge::{self, MergeRules},
    overlay,
    project::{Append, Playing, Project},
    refs::RefEdits,
    repo::RepoError,
    staging::{Staged, Staging},
    tree::{Edit, Snapshot, TreeError},
    variant,
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
    #[error(
        "{id} is a part of {variant} and of the original too, which keeps it; \
         put a copy there and delete it here"
    )]
    Shared { id: AnyId, variant: VariantId },
    #[error(
        "{id}, which all variants share, would name {target} in {field}, which only {variant} has; \
         make {target} while the original plays, or name another"
    )]
    OnlyInside { id: AnyId, field: &'static str, target: AnyId, variant: VariantId },
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
    /// What plays, before and after: what `changes` lead from and to. The roots above, unless a
    /// variant is active.
    pub played: (Hash, Hash),
    pub changes: Changes,
    pub ticket: Ticket,
}

/// One key of a patch: what it leads from and what to.
pub(crate) struct Step {
    pub key: Vec<u8>,
    pub base: Option<Vec<u8>>,
    pub theirs: Option<Vec<u8>>,
}

/// The variant that plays in the place of something.
type Active = Option<VariantId>;

/// What reads and writes of entities go to.
enum Front {
    /// No variant plays: the stored state itself.
    Raw,
    /// The state as it plays. What is written here is led to where it lies.
    Playing(Box<Staging>),
    /// The stored state was written to; what plays follows from it when somebody asks.
    Stale,
}

impl Front {
    fn of(playing: Option<View>) -> Front {
        playing.map_or(Front::Raw, |view| Front::Playing(Box::new(Staging::new(view))))
    }
}

/// A transaction in progress; dropping it leaves the project as it was.
///
/// It sees the project as it plays: an edit of a track whose variant B plays is an edit of B.
pub struct Tx<'p> {
    project: &'p mut Project,
    /// The stored state with what was written to it.
    raw: Staging,
    front: Front,
    /// What plays was derived anew since the transaction began.
    restaged: bool,
    meta: TxMeta,
    action: Action,
    ordinal: u32,
    pub(crate) refs: RefEdits,
    on_durable: Option<OnDurable>,
}

impl<'p> Tx<'p> {
    pub(crate) fn new(project: &'p mut Project, meta: TxMeta, action: Action) -> Tx<'p> {
        let raw = Staging::new(project.stored());
        let front = Front::of(project.varied());
        let refs = RefEdits::default();
        let (ordinal, restaged, on_durable) = (0, false, None);
        Tx { project, raw, front, restaged, meta, action, ordinal, refs, on_durable }
    }

    /// Where reads and writes of entities go.
    pub(crate) fn front(&mut self) -> Result<&mut Staging, TxError> {
        if matches!(self.front, Front::Stale) {
            self.front = Front::of(self.raw.view()?.varied()?);
            self.restaged = true;
        }
        match &mut self.front {
            Front::Playing(staging) => Ok(staging),
            _ => Ok(&mut self.raw),
        }
    }

    /// The stored state, with everything written so far where it lies.
    pub(crate) fn raw(&mut self) -> Result<&mut Staging, TxError> {
        if let Front::Playing(mut staging) = std::mem::replace(&mut self.front, Front::Stale) {
            variant::fold(&mut self.raw, &mut staging)?;
        }
        self.front = Front::Stale;
        Ok(&mut self.raw)
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

    /// The stored state before this transaction.
    pub fn before(&self) -> &View {
        self.raw.base()
    }

    /// The state with everything written so far.
    pub fn view(&mut self) -> Result<&View, TxError> {
        Ok(self.front()?.view()?)
    }

    pub fn any(&mut self, id: impl Into<AnyId>) -> Result<Option<AnyEntity>, TxError> {
        let front = self.front()?;
        match front.locate(id.into())? {
            Some(key) => Ok(front.entity(&key)?),
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
        let entity = self.front()?.entity(&EntityKey::owned(owner, id))?;
        Ok(entity.and_then(|any| E::try_from(any).ok()))
    }

    /// Writes an entity, whether it is new or not.
    pub fn put(&mut self, entity: impl Into<AnyEntity>) -> Result<(), TxError> {
        let mut entity = entity.into();
        let chosen = match self.chosen_anew(&entity)? {
            Some((present, chosen)) => {
                set_active(&mut entity, present);
                Some(chosen)
            }
            None => None,
        };
        self.front()?.put(&entity)?;
        match chosen {
            Some(chosen) => Ok(self.choose(entity.any_id(), chosen)?),
            None => Ok(()),
        }
    }

    /// The variant that plays and the one that is to play, where an entity changes that.
    fn chosen_anew(&mut self, entity: &AnyEntity) -> Result<Option<(Active, Active)>, TxError> {
        let Some(wanted) = active_of(entity) else { return Ok(None) };
        if wanted.is_none() && matches!(self.front, Front::Raw) {
            return Ok(None);
        }
        let present = self.front()?.entity(&EntityKey::of(entity))?;
        let present = present.as_ref().and_then(active_of).unwrap_or_default();
        Ok((present != wanted).then_some((present, wanted)))
    }

    /// Has another variant of `subject` play. What was written so far belongs to the one before.
    pub(crate) fn choose(
        &mut self,
        subject: AnyId,
        chosen: Option<VariantId>,
    ) -> Result<(), TxError> {
        let key = EntityKey::standalone(subject);
        let place = variant::place_of_subject(self.front()?.view()?, &key)?;
        let raw = self.raw()?;
        let bytes = raw.bytes(&place)?.ok_or(TxError::NotFound { id: subject })?;
        let mut entity = crate::view::decode(subject, &bytes)?;
        set_active(&mut entity, chosen);
        raw.put_at(place, &entity)?;
        Ok(())
    }

    /// Changes an entity in place.
    pub fn update<E: Entity>(
        &mut self,
        id: impl Into<AnyId>,
        change: impl FnOnce(&mut E),
    ) -> Result<(), TxError> {
        let id = id.into();
        let key = self.front()?.locate(id)?.ok_or(TxError::NotFound { id })?;
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
        let entity = self.front()?.entity(key)?.and_then(|any| E::try_from(any).ok());
        let mut entity = entity.ok_or(TxError::NotFound { id })?;
        change(&mut entity);
        if entity.id() != id.id {
            return Err(TxError::IdChanged { id });
        }
        let entity: AnyEntity = entity.into();
        if EntityKey::of(&entity) != *key {
            self.front()?.remove(key)?;
        }
        self.put(entity)
    }

    /// Removes one entity. Whoever names it has to be changed too; see [`Tx::remove_cascade`].
    pub fn remove(&mut self, id: impl Into<AnyId>) -> Result<(), TxError> {
        let id = id.into();
        let key = self.front()?.locate(id)?.ok_or(TxError::NotFound { id })?;
        Ok(self.front()?.remove(&key)?)
    }

    pub fn remove_owned(&mut self, owner: EntityId, id: impl Into<AnyId>) -> Result<(), TxError> {
        let key = EntityKey::owned(owner, id);
        if !self.front()?.contains(&key)? {
            return Err(TxError::NotFound { id: key.any_id() });
        }
        Ok(self.front()?.remove(&key)?)
    }

    /// Removes an entity with its members and everything that cannot live without it, and clears
    /// the fields that name what went. Returns what went, the entity itself first.
    pub fn remove_cascade(&mut self, id: impl Into<AnyId>) -> Result<Vec<AnyEntity>, TxError> {
        let id = id.into();
        let front = self.front()?;
        let first = front.locate(id)?.ok_or(TxError::NotFound { id })?;
        let Cascade { gone, keys, cleared } = cascade(front, first)?;
        for entity in cleared {
            self.put(entity)?;
        }
        let front = self.front()?;
        for key in &keys {
            front.remove(key)?;
        }
        Ok(gone)
    }

    /// Whether an entity lies in several places: in the original and in variants of it, which
    /// each have their own. Then it cannot leave the one that plays under its own id.
    pub fn is_shared(&mut self, id: impl Into<AnyId>) -> Result<bool, TxError> {
        let id = id.into();
        let Some(key) = self.front()?.locate(id)? else { return Ok(false) };
        let stored = self.raw.view()?.clone();
        Ok(variant::places(&stored, &key)? > 1)
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
            self.raw()?.write(difference.key.to_vec(), value)?;
        }
        Ok(())
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
        self.raw()?;
        let ordinal = &mut self.ordinal;
        let mut new_id = || {
            let id = EntityId::derive(actor, seq, *ordinal);
            *ordinal += 1;
            id
        };
        Ok(merge::merge(&mut self.raw, bases, theirs, rules, &mut new_id)?)
    }

    /// Writes a patch exactly, if nobody changed its keys since; whether that was so.
    pub(crate) fn put_back(&mut self, steps: &[Step]) -> Result<bool, TxError> {
        let raw = self.raw()?;
        for step in steps {
            let is_alone = |kind| merge::STANDS_ALONE.contains(&kind);
            let alone = overlay::entity_key(&step.key).is_ok_and(|key| is_alone(key.kind));
            // Two of these may have met at one place without sharing a key.
            if alone || raw.base().state().get(&step.key)?.as_deref() != step.base.as_deref() {
                return Ok(false);
            }
        }
        for step in steps {
            raw.write_over(step.key.clone(), step.base.clone(), step.theirs.clone(), None);
        }
        Ok(true)
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

    /// Checks everything and makes it so; the ticket says when it is durable.
    pub fn commit(self) -> Result<Committed, TxError> {
        self.finish(true, false)
    }

    /// `keep`: the state behind this gets a name. Unchecked is for states that were valid before.
    pub(crate) fn finish(mut self, check: bool, keep: bool) -> Result<Committed, TxError> {
        let front = std::mem::replace(&mut self.front, Front::Stale);
        let playing = match front {
            // One staging from the state that played before: its changes are the changes.
            Front::Playing(mut staging) if self.is_same_as_before(&staging) => {
                variant::fold(&mut self.raw, &mut staging)?;
                variant::sweep(&mut self.raw)?;
                variant::mirror(&self.raw, &mut staging)?;
                let staged = staging.finish()?;
                Some(Playing { view: Some(staged.view), changes: staged.changes })
            }
            Front::Playing(mut staging) => {
                variant::fold(&mut self.raw, &mut staging)?;
                None
            }
            Front::Raw | Front::Stale => None,
        };
        variant::sweep(&mut self.raw)?;
        let staged = self.raw.finish()?;
        let refs = self.refs.finish();
        if staged.edits.is_empty() && refs.is_empty() {
            return Ok(self.project.nothing());
        }
        let playing = match playing {
            Some(playing) => Some(playing),
            None => self.project.playing_after(&staged.view)?,
        };
        if check {
            refuse_stored(&staged, playing.as_ref())?;
            if let Some(Playing { view, changes }) = &playing {
                refuse_broken(view.as_ref().unwrap_or(&staged.view), changes)?;
            }
        }
        let (meta, action, on_durable) = (self.meta, self.action, self.on_durable);
        self.project.append(Append { staged, playing, refs, meta, action, keep, on_durable })
    }
}

impl Tx<'_> {
    /// Whether what was written was written to what played before the transaction.
    fn is_same_as_before(&self, playing: &Staging) -> bool {
        let known = self.project.varied().is_some_and(|it| it.root() == playing.base().root());
        known && !self.restaged
    }
}

fn refuse_broken(view: &View, changes: &[Change]) -> Result<(), TxError> {
    match invariants::breaches(view, changes)?.into_iter().next() {
        Some(breach) => Err(breach.into()),
        None => Ok(()),
    }
}

/// What is stored beside a variant cannot name what lies inside of it.
fn refuse_stored(staged: &Staged, playing: Option<&Playing>) -> Result<(), TxError> {
    let Err(error) = refuse_broken(&staged.view, &staged.changes) else { return Ok(()) };
    let shown = playing.and_then(|playing| playing.view.as_ref());
    if let (TxError::Breach(Breach::Dangling { id, field, target }), Some(shown)) = (&error, shown)
        && let Some(entity) = shown.any(*target)?
        && let Some(variant) = variant::home_of(shown, &entity)?.pop()
    {
        return Err(TxError::OnlyInside { id: *id, field, target: *target, variant });
    }
    Err(error)
}

/// The variant that plays in the place of an entity that can have some.
fn active_of(entity: &AnyEntity) -> Option<Active> {
    match entity {
        AnyEntity::Track(track) => Some(track.active_variant),
        AnyEntity::Clip(clip) => Some(clip.active_variant),
        _ => None,
    }
}

fn set_active(entity: &mut AnyEntity, active: Option<VariantId>) {
    match entity {
        AnyEntity::Track(track) => track.active_variant = active,
        AnyEntity::Clip(clip) => clip.active_variant = active,
        _ => {}
    }
}

/// What goes when something is deleted.
pub(crate) struct Cascade {
    /// The thing itself first.
    pub gone: Vec<AnyEntity>,
    pub keys: BTreeSet<EntityKey>,
    /// Those that stay, without the names of what goes.
    pub cleared: Vec<AnyEntity>,
}

/// Finds what deleting `first` means; changes nothing.
pub(crate) fn cascade(staging: &mut Staging, first: EntityKey) -> Result<Cascade, TxError> {
    cascade_among(staging, first, |_| true)
}

/// [`cascade`] that knows only of those who are `among` them.
pub(crate) fn cascade_among(
    staging: &mut Staging,
    first: EntityKey,
    among: impl Fn(&EntityKey) -> bool,
) -> Result<Cascade, TxError> {
    let view = staging.view()?.clone();
    let (mut gone, mut keys) = (Vec::new(), BTreeSet::from([first]));
    let mut open = vec![first];
    let mut clear: Vec<(EntityKey, AnyId)> = Vec::new();
    while let Some(key) = open.pop() {
        gone.extend(view.entity(&key)?);
        open.extend(view.member_keys(key.any_id())?.into_iter().filter(|it| keys.insert(*it)));
        for other in view.all_referrers(key.any_id())?.into_iter().filter(&among) {
            match on_delete(view.entity(&other)?, key.any_id()) {
                Some(OnDelete::Cascade) if keys.insert(other) => open.push(other),
                Some(OnDelete::Clear) => clear.push((other, key.any_id())),
                _ => {}
            }
        }
    }
    let mut left: std::collections::BTreeMap<EntityKey, AnyEntity> = Default::default();
    for (key, target) in clear.into_iter().filter(|(key, _)| !keys.contains(key)) {
        let entity = match left.remove(&key) {
            Some(entity) => Some(entity),
            None => view.entity(&key)?,
        };
        if let Some(entity) = entity {
            left.insert(key, cleared(&entity, target)?);
        }
    }
    Ok(Cascade { gone, keys, cleared: left.into_values().collect() })
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
