//! Merging branches and settling what a merge left open.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::{
    entity::Conflict,
    id::{ConflictId, EntityId},
};

use super::{Project, Resolution, ResolveError};
use crate::{
    changes::{Change, Changes},
    history::Action,
    merge::{self, MergeRules, record::Deleted},
    refs::{Branch, CommitId, Merging},
    rev::Rev,
    staging::Staging,
    tx::{Committed, TxError, TxMeta},
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
        let mut staging = Staging::new(self.stored());
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
        self.require_branch()?;
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
