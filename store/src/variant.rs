//! Variants: A, B and C of a track or a clip.
//!
//! The overlay of a variant is a tree of its own with the whole of what the subject owns, not a
//! list of differences: work on the original must not leak into an alternative that was put
//! aside. Which one plays is one field of the subject, so switching writes one record; where the
//! subject stands (its lane, its start, its order) is never part of a variant.

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{AnyEntity, Clip, EnvelopeOwner, OnDelete, Track, Variant, VariantScope},
    hash::Hash,
    id::{AnyId, EntityKind, VariantId},
    order::OrderKey,
    record::EntityKey,
};

use crate::{
    history::Action,
    invariants::{self, Breach},
    project::Project,
    refs::{Branch, Commit, CommitId},
    repo::RepoError,
    staging::{Staging, change},
    tree::{Edit, Snapshot, TreeError, empty_root},
    tx::{Tx, TxError, TxMeta, cleared},
    version::VersionError,
    view::{ReadError, View},
};

/// Why a variant could not be made, edited or promoted.
#[derive(Debug, thiserror::Error)]
pub enum VariantError {
    #[error("{id} can have no variants; name a track or a clip")]
    NoSubject { id: AnyId },
    #[error("{id} does not belong to {subject}; edit it outside of the variant")]
    Outside { id: AnyId, subject: AnyId },
    #[error(transparent)]
    Tx(#[from] TxError),
    #[error(transparent)]
    Version(#[from] VersionError),
}

impl From<ReadError> for VariantError {
    fn from(error: ReadError) -> VariantError {
        VariantError::Tx(error.into())
    }
}

impl From<TreeError> for VariantError {
    fn from(error: TreeError) -> VariantError {
        VariantError::Tx(error.into())
    }
}

impl From<RepoError> for VariantError {
    fn from(error: RepoError) -> VariantError {
        VariantError::Tx(error.into())
    }
}

/// What an entity is a part of, in the sense of variants: one owner each, so that a send of
/// another track to this one is not a part of this one.
fn whole_of(entity: &AnyEntity) -> Option<AnyId> {
    Some(match entity {
        AnyEntity::Lane(it) => it.track.any(),
        AnyEntity::Clip(it) => it.lane.any(),
        AnyEntity::Take(it) => it.lane.any(),
        AnyEntity::Comp(it) => it.lane.any(),
        AnyEntity::Channel(it) => it.track?.any(),
        AnyEntity::DspNode(it) => it.channel.any(),
        AnyEntity::NodeStack(it) => it.channel.any(),
        AnyEntity::Connection(it) => it.channel.any(),
        AnyEntity::Send(it) => it.from.any(),
        AnyEntity::SidechainRoute(it) => it.to.any(),
        AnyEntity::ModulationRoute(it) => it.from.any(),
        AnyEntity::AutomationEnvelope(it) => match it.owner {
            EnvelopeOwner::Lane { lane } => lane.any(),
            EnvelopeOwner::Clip { clip } => clip.any(),
            EnvelopeOwner::None => return None,
        },
        other => other.owner()?,
    })
}

/// The subject and everything that is a part of it.
fn parts(view: &View, subject: AnyId) -> Result<Vec<EntityKey>, ReadError> {
    let Some(top) = view.locate(subject)? else { return Ok(Vec::new()) };
    let (mut keys, mut seen) = (Vec::new(), BTreeSet::from([top]));
    let mut open = vec![top];
    while let Some(here) = open.pop() {
        keys.push(here);
        let id = here.any_id();
        open.extend(view.member_keys(id)?.into_iter().filter(|key| seen.insert(*key)));
        for key in view.all_referrers(id)? {
            let entity = view.entity(&key)?;
            if entity.as_ref().and_then(whole_of) == Some(id) && seen.insert(key) {
                open.push(key);
            }
        }
    }
    keys.sort_by_key(EntityKey::to_bytes);
    Ok(keys)
}

impl View {
    /// The state as it plays: every active variant in the place of its original. Tracks come
    /// before clips, so that a clip inside a track's variant has its own variant too.
    pub fn resolved(&self) -> Result<View, ReadError> {
        let mut view = self.clone();
        for track in self.all::<Track>()? {
            if let Some(variant) = active(&view, track.active_variant)? {
                view = view.with_variant(&variant)?;
            }
        }
        for variant in self.all::<Variant>()? {
            let Some(subject) = variant.subject.filter(|_| variant.scope == VariantScope::Clip)
            else {
                continue;
            };
            let clip = view.get::<Clip>(subject)?;
            if clip.is_some_and(|clip| clip.active_variant == Some(variant.id)) {
                view = view.with_variant(&variant)?;
            }
        }
        Ok(view)
    }

    /// The state with one variant in the place of its original.
    pub fn with_variant(&self, variant: &Variant) -> Result<View, ReadError> {
        let Some(subject) = variant.subject else { return Ok(self.clone()) };
        let mut staging = Staging::new(self.clone());
        lay_over(&mut staging, subject, variant.overlay)?;
        settle(&mut staging)?;
        Ok(staging.finish()?.view)
    }
}

fn active(view: &View, id: Option<VariantId>) -> Result<Option<Variant>, ReadError> {
    match id {
        Some(id) => view.get::<Variant>(id),
        None => Ok(None),
    }
}

/// Replaces the parts of the subject by those of an overlay.
fn lay_over(staging: &mut Staging, subject: AnyId, overlay: Hash) -> Result<(), ReadError> {
    if overlay == Hash::ZERO || overlay == empty_root() {
        return Ok(());
    }
    let view = staging.view()?.clone();
    let original = view.any(subject)?;
    for key in parts(&view, subject)? {
        staging.remove(&key)?;
    }
    for entry in view.state().store().snapshot(overlay)?.iter() {
        let (key, value) = entry?;
        staging.write(key.to_vec(), Some(value.to_vec()))?;
    }
    let Some(key) = view.locate(subject)? else { return Ok(()) };
    if let (Some(original), Some(entity)) = (original, staging.entity(&key)?) {
        staging.put(&in_place(original, entity))?;
    }
    Ok(())
}

/// The variant's subject, standing where the original stands.
fn in_place(original: AnyEntity, variant: AnyEntity) -> AnyEntity {
    match (original, variant) {
        (AnyEntity::Track(original), AnyEntity::Track(mut track)) => {
            track.arrangement = original.arrangement;
            track.parent = original.parent;
            track.order = original.order;
            track.active_variant = original.active_variant;
            track.into()
        }
        (AnyEntity::Clip(original), AnyEntity::Clip(mut clip)) => {
            clip.lane = original.lane;
            clip.start = original.start;
            clip.timebase = original.timebase;
            clip.active_variant = original.active_variant;
            clip.into()
        }
        (_, variant) => variant,
    }
}

/// What others name may be absent from a variant: who cannot do without it is silent while the
/// variant plays.
fn settle(staging: &mut Staging) -> Result<(), ReadError> {
    loop {
        let mut changes = Vec::new();
        for (key, before, after) in staging.written() {
            if let Ok(key) = EntityKey::from_bytes(&key) {
                changes.push(change(key, before.as_deref(), after.as_deref()));
            }
        }
        let mut settled = true;
        for breach in invariants::breaches(staging.view()?, &changes)? {
            let (id, target) = match breach {
                Breach::StillNamed { id, by, .. } => (by, id),
                Breach::Dangling { id, target, .. } => (id, target),
                _ => continue,
            };
            let Some(key) = staging.locate(id)? else { continue };
            let Some(entity) = staging.entity(&key)? else { continue };
            let needs = |it: &pulse_schemas::entity::Reference| {
                it.target == target && it.on_delete == OnDelete::Cascade
            };
            settled = false;
            match cleared(&entity, target) {
                Ok(entity) if !entity.references().iter().any(needs) => staging.put(&entity)?,
                _ => staging.remove(&key)?,
            }
        }
        if settled {
            return Ok(());
        }
    }
}

/// The overlay that holds a state of the subject.
fn overlay_of(view: &View, subject: AnyId) -> Result<Snapshot, ReadError> {
    let mut edits = Vec::new();
    for key in parts(view, subject)? {
        let value = view.record(&key)?.map(|bytes| bytes.to_vec());
        edits.push(Edit { key: key.to_bytes(), value });
    }
    Ok(view.state().store().empty().edit(&edits)?)
}

impl Tx<'_> {
    /// Keeps the present state of a track or a clip as a variant of it.
    pub fn create_variant(
        &mut self,
        subject: AnyId,
        name: impl Into<String>,
        order: OrderKey,
    ) -> Result<VariantId, VariantError> {
        let scope = match subject.kind {
            EntityKind::Track => VariantScope::Track,
            EntityKind::Clip => VariantScope::Clip,
            _ => return Err(VariantError::NoSubject { id: subject }),
        };
        let overlay = overlay_of(self.view()?, subject)?;
        let (id, root) = (VariantId(self.new_id()), overlay.root());
        let subject = Some(subject);
        self.put(Variant { id, subject, scope, name: name.into(), order, overlay: root })?;
        self.keep_tree(overlay);
        Ok(id)
    }

    /// Chooses what plays; none is the original.
    pub fn activate_variant(
        &mut self,
        subject: AnyId,
        variant: Option<VariantId>,
    ) -> Result<(), VariantError> {
        match subject.kind {
            EntityKind::Track => {
                self.update::<Track>(subject, |track| track.active_variant = variant)?;
            }
            EntityKind::Clip => {
                self.update::<Clip>(subject, |clip| clip.active_variant = variant)?
            }
            _ => return Err(VariantError::NoSubject { id: subject }),
        }
        Ok(())
    }

    /// Edits inside a variant: the staging shows the project with the variant in place. The
    /// edits must stay within what belongs to the subject.
    pub fn in_variant(
        &mut self,
        id: VariantId,
        edit: impl FnOnce(&mut Staging) -> Result<(), TxError>,
    ) -> Result<(), VariantError> {
        let variant = self.get::<Variant>(id)?.ok_or(TxError::NotFound { id: id.any() })?;
        let Some(subject) = variant.subject else { return Ok(()) };
        let before = self.view()?.with_variant(&variant)?;
        let mut staging = Staging::new(before.clone());
        edit(&mut staging)?;
        let staged = staging.finish()?;
        let mut inside: BTreeSet<EntityKey> = parts(&before, subject)?.into_iter().collect();
        inside.extend(parts(&staged.view, subject)?);
        if let Some(change) = staged.changes.iter().find(|it| !inside.contains(&it.key)) {
            return Err(VariantError::Outside { id: change.key.any_id(), subject });
        }
        let breach = invariants::breaches(&staged.view, &staged.changes)?.into_iter().next();
        if let Some(breach) = breach {
            return Err(TxError::from(breach).into());
        }
        let overlay = overlay_of(&staged.view, subject)?;
        self.put(Variant { overlay: overlay.root(), ..variant })?;
        self.keep_tree(overlay);
        Ok(())
    }

    /// Writes a variant into the original, which becomes like it.
    pub fn apply_variant(&mut self, id: VariantId) -> Result<(), VariantError> {
        let variant = self.get::<Variant>(id)?.ok_or(TxError::NotFound { id: id.any() })?;
        if let Some(subject) = variant.subject {
            lay_over(self.staging(), subject, variant.overlay)?;
            settle(self.staging())?;
            self.activate_variant(subject, None)?;
        }
        Ok(())
    }
}

impl Project {
    /// Makes a branch whose first commit has the variant in the place of its original.
    pub fn promote_variant(
        &mut self,
        id: VariantId,
        branch: &str,
        meta: TxMeta,
    ) -> Result<CommitId, VariantError> {
        let view = self.view().sibling(self.without_pending()?);
        let variant = view.get::<Variant>(id)?.ok_or(TxError::NotFound { id: id.any() })?;
        self.check_new_branch(branch)?;
        let mut staging = Staging::new(view.with_variant(&variant)?);
        if let Some(subject) = variant.subject
            && let Some(key) = staging.locate(subject)?
            && let Some(entity) = staging.entity(&key)?
        {
            staging.put(&cleared(&entity, id.any())?)?;
        }
        let state = staging.finish()?.view.state().clone();
        self.repo.keep(&state)?;
        let message = format!("Promote variant {}", variant.name);
        let commit = Commit {
            root: state.root(),
            parents: vec![self.tip()?],
            author: meta.author.clone(),
            time: meta.time,
            message: message.clone(),
            notes: String::new(),
        };
        let mut tx = self.begin_as(TxMeta { label: message, ..meta }, Action::Refs);
        let tip = tx.refs.commit(&commit);
        tx.refs.branch(branch, &Branch::at(tip));
        tx.finish(false, false)?;
        Ok(tip)
    }
}
