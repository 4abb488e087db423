//! Merging branches and settling what a merge left open.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::{
    entity::{AnyEntity, Conflict, ConflictCause},
    id::{AnyId, ConflictId, EntityId},
    record::EntityKey,
};
use serde_json::Value;

use super::Project;
use crate::{
    changes::{Change, Changes},
    conflict::subject_key,
    history::Action,
    merge::{
        self, MergeRules,
        record::{Deleted, from_json},
    },
    refs::{Branch, CommitId, Merging},
    rev::Rev,
    staging::Staging,
    tx::{Committed, Tx, TxError, TxMeta},
    version::{CommitOptions, VersionError},
    view::{ReadError, View},
};

/// Why a merge did not happen.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("{name} is the branch that is open; name another one")]
    Itself { name: String },
    #[error("{ours} and {theirs} have no commit in common, so there is nothing to merge from")]
    Unrelated { ours: String, theirs: String },
    #[error("\"{message}\" is not finished: commit it or abort it first")]
    Unfinished { message: String },
    #[error("there is no unfinished merge")]
    NoMerge,
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(transparent)]
    Tx(#[from] TxError),
}

impl From<ReadError> for MergeError {
    fn from(error: ReadError) -> MergeError {
        MergeError::Tx(error.into())
    }
}

/// Why a conflict could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no conflict {id}; it may have been settled already")]
    Unknown { id: ConflictId },
    #[error("{subject} of the conflict is gone; settle it as `ours` to drop the conflict")]
    SubjectGone { subject: AnyId },
    #[error("{field} cannot be {value}; give a value that the field can have")]
    BadValue { field: String, value: String },
    #[error(transparent)]
    Tx(#[from] TxError),
}

impl From<ReadError> for ResolveError {
    fn from(error: ReadError) -> ResolveError {
        ResolveError::Tx(error.into())
    }
}

/// How a conflict is settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    Ours,
    Theirs,
    Base,
    Value(Value),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeOptions {
    /// Message of the merge commit.
    pub message: Option<String>,
    /// Leave the result in the working copy even without conflicts.
    pub no_commit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeKind {
    /// Everything of theirs is here already.
    UpToDate,
    /// Nothing was done here since: the branch moved to theirs.
    FastForward,
    Merged,
}

/// What a merge did.
#[derive(Clone, Debug)]
pub struct MergeOutcome {
    pub kind: MergeKind,
    /// The merge commit, or theirs for a fast-forward; none while conflicts remain.
    pub commit: Option<CommitId>,
    pub conflicts: Vec<Conflict>,
    pub committed: Committed,
}

impl MergeOutcome {
    pub fn changes(&self) -> &Changes {
        &self.committed.changes
    }
}

/// What a merge would do.
#[derive(Clone, Debug)]
pub struct MergePreview {
    pub kind: MergeKind,
    pub conflicts: Vec<Conflict>,
    pub changes: Vec<Change>,
    /// The merged state.
    pub view: View,
}

impl Project {
    /// The best common ancestors of two commits: several where branches were merged crosswise.
    pub fn merge_bases(&self, a: CommitId, b: CommitId) -> Result<Vec<CommitId>, VersionError> {
        let (of_a, of_b) = (self.ancestors(a)?, self.ancestors(b)?);
        let common: BTreeSet<CommitId> =
            of_a.keys().filter(|id| of_b.contains_key(*id)).copied().collect();
        // Whatever a common ancestor builds on is not the best one.
        let mut below = BTreeSet::new();
        let mut open: Vec<CommitId> =
            common.iter().flat_map(|id| of_a.get(id).into_iter().flatten()).copied().collect();
        while let Some(id) = open.pop() {
            if below.insert(id) {
                open.extend(of_a.get(&id).into_iter().flatten());
            }
        }
        Ok(common.difference(&below).copied().collect())
    }

    /// A commit and all before it, with their parents.
    fn ancestors(&self, id: CommitId) -> Result<BTreeMap<CommitId, Vec<CommitId>>, VersionError> {
        let mut seen = BTreeMap::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if seen.contains_key(&id) {
                continue;
            }
            let parents = self.known_commit(id)?.parents;
            open.extend(&parents);
            seen.insert(id, parents);
        }
        Ok(seen)
    }

    /// What [`Project::merge`] would do, without doing it. Unsaved work counts as ours.
    pub fn merge_preview(&self, theirs: &Rev) -> Result<MergePreview, MergeError> {
        let plan = self.plan(theirs)?;
        let mut staging = Staging::new(self.view());
        let (actor, seq, mut ordinal) = (self.actor(), self.next_seq(), 0);
        let mut new_id = || {
            ordinal += 1;
            EntityId::derive(actor, seq, ordinal - 1)
        };
        let conflicts =
            merge::merge(&mut staging, &plan.bases, &plan.theirs, &plan.rules, &mut new_id)?;
        let staged = staging.finish()?;
        Ok(MergePreview { kind: plan.kind, conflicts, changes: staged.changes, view: staged.view })
    }

    /// [`Project::merge_with`] that commits unless there are conflicts.
    pub fn merge(&mut self, theirs: &Rev, meta: TxMeta) -> Result<MergeOutcome, MergeError> {
        self.merge_with(theirs, MergeOptions::default(), meta)
    }

    /// Merges a branch, tag or commit into the open branch. Unsaved work is committed first, so
    /// that the merge never mixes with it. While conflicts remain, the result is left in the
    /// working copy and the next commit is the merge commit; it may hold conflicts.
    pub fn merge_with(
        &mut self,
        theirs: &Rev,
        options: MergeOptions,
        meta: TxMeta,
    ) -> Result<MergeOutcome, MergeError> {
        if let Some(merging) = self.merging()? {
            return Err(MergeError::Unfinished { message: merging.message });
        }
        if self.plan(theirs)?.kind != MergeKind::UpToDate {
            match self.commit(&format!("Before merging {theirs}"), meta.clone()) {
                Ok(_) | Err(VersionError::NothingToCommit) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let plan = self.plan(theirs)?;
        let (kind, tip) = (plan.kind, self.tip()?);
        if kind == MergeKind::UpToDate {
            let (conflicts, committed) = (Vec::new(), self.nothing());
            return Ok(MergeOutcome { kind, commit: Some(tip), conflicts, committed });
        }
        let default = format!("Merge {theirs} into {}", self.branch);
        let message = options.message.unwrap_or(default);
        let (branch, before) = (self.branch.clone(), self.root());
        if before != self.known_commit(tip)?.root {
            self.keep_draft(&meta)?;
        }
        let mut tx = self.begin_as(TxMeta { label: message.clone(), ..meta.clone() }, Action::Edit);
        let conflicts = tx.merge(&plan.bases, &plan.theirs, &plan.rules)?;
        if kind == MergeKind::FastForward && !options.no_commit {
            let commit = Some(plan.their_commit);
            tx.refs.branch(&branch, &Branch::at(plan.their_commit));
            let committed = tx.finish(true, true)?;
            return Ok(MergeOutcome { kind, commit, conflicts, committed });
        }
        let merging = Merging { theirs: plan.their_commit, before, message: message.clone() };
        tx.refs.branch(&branch, &Branch { merging: Some(merging), ..Branch::at(tip) });
        let committed = tx.finish(true, true)?;
        let mut commit = None;
        if conflicts.is_empty() && !options.no_commit {
            let options = CommitOptions { message, ..CommitOptions::default() };
            commit = Some(self.commit_with(options, meta)?);
        }
        Ok(MergeOutcome { kind, commit, conflicts, committed })
    }

    /// Goes back to the working copy before a merge that no commit holds yet.
    pub fn abort_merge(&mut self, meta: TxMeta) -> Result<Committed, MergeError> {
        let merging = self.merging()?.ok_or(MergeError::NoMerge)?;
        let (branch, tip) = (self.branch.clone(), self.tip()?);
        let state = self.repo.snapshot(merging.before).map_err(VersionError::from)?;
        let label = format!("Abort: {}", merging.message);
        let mut tx = self.begin(TxMeta { label, ..meta });
        tx.stage_state(&state)?;
        tx.refs.branch(&branch, &Branch::at(tip));
        Ok(tx.finish(false, false)?)
    }

    fn plan(&self, theirs: &Rev) -> Result<Plan, MergeError> {
        if *theirs == Rev::name(self.branch.as_str()) {
            return Err(MergeError::Itself { name: self.branch.clone() });
        }
        let (tip, their_commit) = (self.tip()?, self.resolve_commit(theirs)?);
        let base_ids = self.merge_bases(tip, their_commit)?;
        let kind = match base_ids[..] {
            [base] if base == their_commit => MergeKind::UpToDate,
            [base] if base == tip => MergeKind::FastForward,
            [] => {
                let (ours, theirs) = (self.branch.clone(), theirs.to_string());
                return Err(MergeError::Unrelated { ours, theirs });
            }
            _ => MergeKind::Merged,
        };
        let mut bases = Vec::with_capacity(base_ids.len());
        for id in base_ids {
            bases.push(self.view_of_root(self.known_commit(id)?.root)?);
        }
        let rules = MergeRules {
            ours_label: self.branch.clone(),
            theirs_label: theirs.to_string(),
            deleted: Deleted::Keep,
            cause: None,
        };
        let theirs = self.view_of_root(self.known_commit(their_commit)?.root)?;
        Ok(Plan { kind, bases, theirs, their_commit, rules })
    }

    /// Everything that waits to be settled, by id.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReadError> {
        self.view.all::<Conflict>()
    }

    /// Settles a conflict; an edit that can be undone.
    pub fn resolve(
        &mut self,
        id: ConflictId,
        resolution: &Resolution,
        meta: TxMeta,
    ) -> Result<Committed, ResolveError> {
        let mut tx = self.begin(meta);
        tx.resolve(id, resolution)?;
        Ok(tx.commit()?)
    }
}

struct Plan {
    kind: MergeKind,
    bases: Vec<View>,
    theirs: View,
    their_commit: CommitId,
    rules: MergeRules,
}

impl Tx<'_> {
    /// Settles a conflict as part of this transaction.
    pub fn resolve(&mut self, id: ConflictId, resolution: &Resolution) -> Result<(), ResolveError> {
        let conflict = self.get::<Conflict>(id)?.ok_or(ResolveError::Unknown { id })?;
        self.remove(id)?;
        let parse = |text: &Option<String>| {
            text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok())
        };
        let chosen = match resolution {
            Resolution::Ours => parse(&conflict.ours),
            Resolution::Theirs => parse(&conflict.theirs),
            Resolution::Base => parse(&conflict.base),
            Resolution::Value(value) => Some(value.clone()),
        };
        let Some(key) = subject_key(&conflict) else { return Ok(()) };
        if conflict.field.is_empty() {
            self.resolve_whole(&conflict, key, resolution, chosen)
        } else {
            self.resolve_field(&conflict, key, resolution, chosen)
        }
    }

    fn resolve_field(
        &mut self,
        conflict: &Conflict,
        key: EntityKey,
        resolution: &Resolution,
        chosen: Option<Value>,
    ) -> Result<(), ResolveError> {
        let subject = key.any_id();
        let Some(key) = self.staging().locate(subject)? else {
            let drops = *resolution == Resolution::Ours;
            return if drops { Ok(()) } else { Err(ResolveError::SubjectGone { subject }) };
        };
        let entity = self.staging().entity(&key)?.ok_or(ResolveError::SubjectGone { subject })?;
        let mut fields = entity.fields();
        set_path(&mut fields, &conflict.field, chosen.clone());
        match AnyEntity::from_fields(key.kind, fields) {
            Ok((entity, _)) => Ok(self.put(entity)?),
            Err(_) => Err(ResolveError::BadValue {
                field: conflict.field.clone(),
                value: chosen.unwrap_or_default().to_string(),
            }),
        }
    }

    fn resolve_whole(
        &mut self,
        conflict: &Conflict,
        key: EntityKey,
        resolution: &Resolution,
        chosen: Option<Value>,
    ) -> Result<(), ResolveError> {
        let subject = key.any_id();
        let present = self.staging().locate(subject)?;
        let Some(chosen) = chosen else {
            if present.is_some() {
                self.remove_cascade(subject)?;
            }
            return Ok(());
        };
        // What was kept may have been worked on since; it stays as it is now.
        let was_deleted = conflict.ours.is_none() || conflict.theirs.is_none();
        let keeps = *resolution == Resolution::Ours
            || (was_deleted && !matches!(resolution, Resolution::Value(_) | Resolution::Base));
        if keeps && present.is_some() {
            return Ok(());
        }
        if *resolution == Resolution::Ours && conflict.cause == ConflictCause::BothAdded {
            return Ok(());
        }
        self.make_way(conflict, subject)?;
        let bytes = from_json(key.kind, &chosen).ok_or_else(|| ResolveError::BadValue {
            field: subject.to_string(),
            value: "that".into(),
        })?;
        Ok(self.staging().write(key.to_bytes(), Some(bytes))?)
    }

    /// Two points met at one place and ours stayed: it goes when theirs is chosen.
    fn make_way(&mut self, conflict: &Conflict, subject: AnyId) -> Result<(), ResolveError> {
        let ours = conflict.ours.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let id = ours.as_ref().and_then(|ours: &Value| ours.get("id")?.as_str()?.parse().ok());
        if let Some(other) = id.filter(|id: &AnyId| *id != subject && id.kind == subject.kind)
            && self.staging().locate(other)?.is_some()
        {
            self.remove_cascade(other)?;
        }
        Ok(())
    }
}

/// Sets `gainDb`, or `params.cutoff` inside a map; nothing removes a map's entry.
fn set_path(fields: &mut serde_json::Map<String, Value>, path: &str, value: Option<Value>) {
    if let Some((name, key)) = path.split_once('.')
        && let Some(Value::Object(map)) = fields.get_mut(name)
    {
        match value {
            Some(value) => map.insert(key.to_owned(), value),
            None => map.remove(key),
        };
        return;
    }
    fields.insert(path.to_owned(), value.unwrap_or(Value::Null));
}
