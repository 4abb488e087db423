//! Variants: A, B and C of a track or a clip.
//!
//! The overlay of a variant is the whole of what the subject owns, not a list of differences:
//! work on the original must not leak into an alternative that was put aside. Which one plays is
//! one field of the subject, so switching writes one record; where the subject stands (its lane,
//! its start, its order) is never part of a variant.
//!
//! Nobody edits an overlay as such. A transaction sees the project as it plays, and what it
//! writes is led to where it lies: into the overlay that plays, or beside it.

mod fold;
mod follow;
pub(crate) mod merge;

pub(crate) use self::fold::{fold, home_of, make_inline, mirror, place_of_subject, space, sweep};

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{AnyEntity, EnvelopeOwner, OnDelete, Variant, VariantScope},
    hash::Hash,
    id::{AnyId, EntityKind, VariantId},
    order::OrderKey,
    record::EntityKey,
};

use crate::{
    history::Action,
    invariants::{self, Breach},
    overlay::{self, Records},
    project::Project,
    refs::{Branch, Commit, CommitId},
    repo::RepoError,
    staging::{Staging, change},
    tree::TreeError,
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
        AnyEntity::ParameterLink(it) => it.target.target?,
        // Which clip of the track a scene launches is said by the track, not by the scene.
        AnyEntity::ClipSlot(it) => it.track.any(),
        AnyEntity::ViewMeta(it) => it.subject?,
        AnyEntity::AutomationEnvelope(it) => match it.owner {
            EnvelopeOwner::Lane { lane } => lane.any(),
            EnvelopeOwner::Clip { clip } => clip.any(),
            EnvelopeOwner::None => return None,
        },
        // The variants of a clip come and go with it; those of a track stand beside it.
        AnyEntity::Variant(it) if it.scope == VariantScope::Clip => it.subject?,
        other => other.owner()?,
    })
}

/// The keys of the subject and of everything that is a part of it, variants of clips included;
/// its own variants only where they are asked for.
fn parts(view: &View, subject: AnyId, own: bool) -> Result<BTreeSet<Vec<u8>>, ReadError> {
    let mut keys = BTreeSet::new();
    let Some(top) = view.locate(subject)? else { return Ok(keys) };
    let mut open = vec![top];
    while let Some(here) = open.pop() {
        if !keys.insert(here.to_bytes()) {
            continue;
        }
        let id = here.any_id();
        if id.kind == EntityKind::Variant {
            for entry in view.state().scan(&overlay::prefix(VariantId(id.id))) {
                keys.insert(entry?.0.to_vec());
            }
        }
        open.extend(view.member_keys(id)?);
        for key in view.all_referrers(id)? {
            let is_own = id == subject && key.kind == EntityKind::Variant;
            if (!is_own || own) && view.entity(&key)?.as_ref().and_then(whole_of) == Some(id) {
                open.push(key);
            }
        }
    }
    Ok(keys)
}

/// The variant that plays in the place of an entity.
fn playing(view: &View, entity: &AnyEntity) -> Result<Option<Variant>, ReadError> {
    let active = match entity {
        AnyEntity::Track(track) => track.active_variant,
        AnyEntity::Clip(clip) => clip.active_variant,
        _ => None,
    };
    let Some(active) = active else { return Ok(None) };
    let variant = view.get::<Variant>(active)?;
    let Some(variant) = variant.filter(|it| it.subject == Some(entity.any_id())) else {
        return Ok(None);
    };
    Ok(if overlay::is_empty(view, &variant)? { None } else { Some(variant) })
}

/// In how many places a record lies: outside of all variants, and inside of each that has it but
/// its own.
pub(crate) fn places(stored: &View, key: &EntityKey) -> Result<usize, ReadError> {
    let (mut open, mut count) = (vec![Vec::new()], 0);
    while let Some(path) = open.pop() {
        count += usize::from(stored.state().contains(&overlay::key(&path, &key.to_bytes()))?);
        let variants = overlay::key(&path, &EntityKey::kind_prefix(EntityKind::Variant));
        for entry in stored.state().scan(&variants) {
            let (place, value) = entry?;
            let inner = overlay::entity_key(&place)?;
            let variant = crate::view::decode(inner.any_id(), &value);
            let is_own =
                matches!(variant, Ok(AnyEntity::Variant(it)) if it.subject == Some(key.any_id()));
            if !is_own {
                open.push([&path[..], &[VariantId(inner.id)]].concat());
            }
        }
    }
    Ok(count)
}

impl View {
    /// The state as it plays: every active variant in the place of its original. Tracks come
    /// before clips, so that a clip inside a track's variant has its own variant too.
    pub fn resolved(&self) -> Result<View, ReadError> {
        Ok(self.varied()?.unwrap_or_else(|| self.clone()))
    }

    /// [`View::resolved`]; none where no variant plays.
    pub(crate) fn varied(&self) -> Result<Option<View>, ReadError> {
        let (mut view, mut varied) = (self.clone(), false);
        for scope in [VariantScope::Track, VariantScope::Clip] {
            for variant in view.all::<Variant>()? {
                let Some(subject) = variant.subject.filter(|_| variant.scope == scope) else {
                    continue;
                };
                let entity = view.any(subject)?;
                let active = entity.map(|it| playing(&view, &it)).transpose()?.flatten();
                if active.is_some_and(|active| active.id == variant.id) {
                    view = view.with_variant(&variant)?;
                    varied = true;
                }
            }
        }
        Ok(varied.then_some(view))
    }

    /// The state with one variant in the place of its original.
    pub fn with_variant(&self, variant: &Variant) -> Result<View, ReadError> {
        let Some(subject) = variant.subject else { return Ok(self.clone()) };
        let mut staging = Staging::new(self.clone());
        lay_over(&mut staging, subject, overlay::records(self, variant)?)?;
        settle(&mut staging)?;
        Ok(staging.finish()?.view)
    }
}

/// Replaces the parts of the subject by those of an overlay.
fn lay_over(staging: &mut Staging, subject: AnyId, records: Records) -> Result<(), ReadError> {
    if records.is_empty() {
        return Ok(());
    }
    let view = staging.view()?.clone();
    let original = view.any(subject)?;
    for key in parts(&view, subject, false)? {
        staging.write(key, None)?;
    }
    for (key, value) in records {
        staging.write(key, Some(value))?;
    }
    let Some(key) = staging.view()?.locate(subject)? else { return Ok(()) };
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
    settle_where(staging, |_| true)
}

/// [`settle`] of those that `may` say so.
fn settle_where(staging: &mut Staging, may: impl Fn(&[u8]) -> bool) -> Result<(), ReadError> {
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
                Breach::Orphans { id, .. } => {
                    for key in staging.view()?.member_keys(id)? {
                        if may(&key.to_bytes()) {
                            settled = false;
                            staging.remove(&key)?;
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            let Some(key) = staging.locate(id)?.filter(|key| may(&key.to_bytes())) else {
                continue;
            };
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

/// What an overlay of the subject holds that is like its present state.
fn overlay_of(view: &View, subject: AnyId) -> Result<Records, ReadError> {
    let mut records = Vec::new();
    for key in parts(view, subject, false)? {
        if let Some(value) = view.state().get(&key)? {
            records.push((key, value.to_vec()));
        }
    }
    Ok(records)
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
        let view = self.view()?.clone();
        let records = overlay_of(&view, subject)?;
        let id = VariantId(self.new_id());
        let (subject, name, overlay) = (Some(subject), name.into(), Hash::ZERO);
        let variant = AnyEntity::from(Variant { id, subject, scope, name, order, overlay });
        let path = fold::home_of(&view, &variant)?;
        let raw = self.raw()?;
        raw.put_at(overlay::key(&path, &EntityKey::of(&variant).to_bytes()), &variant)?;
        let inside = [path, vec![id]].concat();
        for (key, value) in records {
            raw.write(overlay::key(&inside, &key), Some(value))?;
        }
        Ok(id)
    }

    /// Chooses what plays; none is the original.
    pub fn activate_variant(
        &mut self,
        subject: AnyId,
        variant: Option<VariantId>,
    ) -> Result<(), VariantError> {
        match subject.kind {
            EntityKind::Track | EntityKind::Clip => self.choose(subject, variant)?,
            _ => return Err(VariantError::NoSubject { id: subject }),
        }
        Ok(())
    }

    /// Edits inside a variant, whichever plays: the staging shows the project with the variant in
    /// place. The edits must stay within what belongs to the subject.
    pub fn in_variant(
        &mut self,
        id: VariantId,
        edit: impl FnOnce(&mut Staging) -> Result<(), TxError>,
    ) -> Result<(), VariantError> {
        let raw = self.raw()?.view()?.clone();
        let variant = raw.get::<Variant>(id)?.ok_or(TxError::NotFound { id: id.any() })?;
        let Some(subject) = variant.subject else { return Ok(()) };
        // One that holds nothing yet begins as the original.
        if overlay::is_empty(&raw, &variant)? {
            let staging = self.raw()?;
            for (key, value) in overlay_of(&raw, subject)? {
                staging.write(overlay::key(&[id], &key), Some(value))?;
            }
        }
        let before = self.raw()?.view()?.with_variant(&variant)?;
        let mut staging = Staging::new(before.clone());
        edit(&mut staging)?;
        let staged = staging.finish()?;
        let mut inside = parts(&before, subject, false)?;
        inside.extend(parts(&staged.view, subject, false)?);
        if let Some(change) = staged.changes.iter().find(|it| !inside.contains(&it.key.to_bytes()))
        {
            return Err(VariantError::Outside { id: change.key.any_id(), subject });
        }
        let breach = invariants::breaches(&staged.view, &staged.changes)?.into_iter().next();
        if let Some(breach) = breach {
            return Err(TxError::from(breach).into());
        }
        let raw = self.raw()?;
        fold::make_inline(raw, &[id])?;
        for edit in staged.edits {
            raw.write(overlay::key(&[id], &edit.key), edit.value)?;
        }
        Ok(())
    }

    /// Writes a variant into the original, which becomes like it.
    pub fn apply_variant(&mut self, id: VariantId) -> Result<(), VariantError> {
        let raw = self.raw()?;
        let view = raw.view()?.clone();
        let variant = view.get::<Variant>(id)?.ok_or(TxError::NotFound { id: id.any() })?;
        if let Some(subject) = variant.subject {
            lay_over(raw, subject, overlay::records(&view, &variant)?)?;
            settle(raw)?;
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
        let view = self.stored().sibling(self.without_pending()?);
        let variant = view.get::<Variant>(id)?.ok_or(TxError::NotFound { id: id.any() })?;
        self.check_new_branch(branch)?;
        let mut staging = Staging::new(view.with_variant(&variant)?);
        if let Some(subject) = variant.subject
            && let Some(key) = staging.locate(subject)?
            && let Some(entity) = staging.entity(&key)?
        {
            staging.put(&cleared(&entity, id.any())?)?;
        }
        fold::sweep(&mut staging)?;
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
