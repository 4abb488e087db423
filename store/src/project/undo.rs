//! Undo, redo and jumps: each is a transaction of its own, so nothing is ever rewritten.
//!
//! Taking an entry back is a merge of three states: what it left behind, what there is now, and
//! what was before. Where nobody touched its fields since, that is exactly the old state; where
//! somebody did, their value stays and a conflict keeps both.

use std::{collections::BTreeMap, ops::Range};

use pulse_schemas::{
    entity::{ConflictCause, HistoryContext},
    hash::Hash,
};

use super::Project;
use crate::{
    history::{Action, Entry, History, RowInfo},
    merge::{MergeRules, record::Deleted},
    repo::{HistoryChange, RepoError},
    tree::TreeError,
    tx::{Committed, Step, TxError, TxMeta},
};

/// Why nothing could be undone, redone or jumped to.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("there is nothing {} to undo on this branch", describe(*context))]
    NothingToUndo { context: Option<HistoryContext> },
    #[error("there is nothing {} to redo on this branch", describe(*context))]
    NothingToRedo { context: Option<HistoryContext> },
    #[error("history entry {seq} belongs to branch {branch}; switch to it first")]
    OtherBranch { seq: u64, branch: String },
    #[error("history entry {seq} was made by a newer version of Pulse; update Pulse to use it")]
    Newer { seq: u64 },
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Tx(#[from] TxError),
}

impl From<TreeError> for HistoryError {
    fn from(error: TreeError) -> HistoryError {
        HistoryError::Tx(error.into())
    }
}

fn describe(context: Option<HistoryContext>) -> &'static str {
    context.map_or("of yours", HistoryContext::name)
}

/// One row of the history as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    pub seq: u64,
    pub before: Hash,
    pub after: Hash,
    pub info: RowInfo,
    /// It is taken back at present.
    pub undone: bool,
}

/// One key's value on both sides of an entry.
type Patch = BTreeMap<Vec<u8>, (Option<Vec<u8>>, Option<Vec<u8>>)>;

impl Project {
    /// Takes back the latest entry of a client on this branch, or its latest one in a context.
    pub fn undo(
        &mut self,
        client: &str,
        context: Option<HistoryContext>,
    ) -> Result<Committed, HistoryError> {
        self.undo_with(TxMeta::new("", client), context)
    }

    /// Does again what the client took back last.
    pub fn redo(
        &mut self,
        client: &str,
        context: Option<HistoryContext>,
    ) -> Result<Committed, HistoryError> {
        self.redo_with(TxMeta::new("", client), context)
    }

    /// [`Project::undo`] with author, time and command of the caller.
    pub fn undo_with(
        &mut self,
        meta: TxMeta,
        context: Option<HistoryContext>,
    ) -> Result<Committed, HistoryError> {
        let branch = self.branch.clone();
        let stacks = self.loaded_history()?.stacks(&branch, &meta.client);
        let entry = stacks.and_then(|stacks| stacks.to_undo(context)).cloned();
        let entry = entry.ok_or(HistoryError::NothingToUndo { context })?;
        self.take_back(&entry, true, meta)
    }

    /// [`Project::redo`] with author, time and command of the caller.
    pub fn redo_with(
        &mut self,
        meta: TxMeta,
        context: Option<HistoryContext>,
    ) -> Result<Committed, HistoryError> {
        let branch = self.branch.clone();
        let stacks = self.loaded_history()?.stacks(&branch, &meta.client);
        let entry = stacks.and_then(|stacks| stacks.to_redo(context)).cloned();
        let entry = entry.ok_or(HistoryError::NothingToRedo { context })?;
        self.take_back(&entry, false, meta)
    }

    /// What the client could undo or redo next: label and number of the entry.
    pub fn undoable(
        &mut self,
        client: &str,
        context: Option<HistoryContext>,
    ) -> Result<(Option<Entry>, Option<Entry>), HistoryError> {
        let branch = self.branch.clone();
        let stacks = self.loaded_history()?.stacks(&branch, client);
        let undo = stacks.and_then(|stacks| stacks.to_undo(context)).cloned();
        let redo = stacks.and_then(|stacks| stacks.to_redo(context)).cloned();
        Ok((undo, redo))
    }

    /// Brings back the state behind history entry `seq`; itself an entry that can be undone.
    pub fn jump(&mut self, seq: u64, meta: TxMeta) -> Result<Committed, HistoryError> {
        let row = self.repo.history_row(seq)?;
        let info = RowInfo::decode(&row.info).map_err(|_| HistoryError::Newer { seq })?;
        if info.branch != self.branch {
            return Err(HistoryError::OtherBranch { seq, branch: info.branch });
        }
        let target = self.repo.version_at(seq)?;
        let label = format!("Jump to {seq}: {}", info.label);
        Ok(self.begin(TxMeta { label, ..meta }).become_state(&target)?)
    }

    /// The history rows of a range of sequences, oldest first.
    pub fn history(&mut self, range: Range<u64>) -> Result<Vec<HistoryEntry>, HistoryError> {
        let undone: Vec<u64> =
            self.loaded_history()?.undone().flat_map(|entry| entry.rows.clone()).collect();
        let mut entries = Vec::new();
        for row in self.repo.history(range.start, range.end)? {
            let seq = row.seq;
            let info = RowInfo::decode(&row.info).map_err(|_| HistoryError::Newer { seq })?;
            let undone = undone.contains(&seq);
            entries.push(HistoryEntry { seq, before: row.before, after: row.after, info, undone });
        }
        Ok(entries)
    }

    /// Forgets history rows so that at most `rows` are left. Commits, branches and tags keep
    /// what they name.
    pub fn prune_history(&mut self, rows: u64) -> Result<(), HistoryError> {
        let first = (self.repo.seq() + 1).saturating_sub(rows);
        if first > 1 {
            self.repo.prune_history(first)?;
            self.loaded_history()?.prune(first);
        }
        Ok(())
    }

    fn loaded_history(&mut self) -> Result<&mut History, HistoryError> {
        if self.history.is_none() {
            let mut history = History::default();
            for row in self.repo.history(0, self.repo.seq() + 1)? {
                // A row of a newer version cannot be undone by this one, and hinders nothing.
                if let Ok(info) = RowInfo::decode(&row.info) {
                    history.take(row.seq, &info);
                }
            }
            self.history = Some(history);
        }
        Ok(self.history.get_or_insert_default())
    }

    /// What all rows of an entry changed together.
    fn patch(&self, entry: &Entry) -> Result<Patch, HistoryError> {
        let mut patch = Patch::new();
        for seq in &entry.rows {
            let row = self.repo.history_row(*seq)?;
            match &row.change {
                HistoryChange::Patch(changes) => {
                    for change in changes {
                        note(&mut patch, &change.key, &change.before, &change.after);
                    }
                }
                HistoryChange::Jump => {
                    let before = self.repo.snapshot(row.before)?;
                    for difference in before.diff(&self.repo.snapshot(row.after)?) {
                        let difference = difference?;
                        let bytes = |value: &Option<crate::node::Value>| {
                            value.as_ref().map(|value| value.to_vec())
                        };
                        let (before, after) = (bytes(&difference.before), bytes(&difference.after));
                        note(&mut patch, &difference.key, &before, &after);
                    }
                }
            }
        }
        Ok(patch)
    }

    fn take_back(
        &mut self,
        entry: &Entry,
        undo: bool,
        meta: TxMeta,
    ) -> Result<Committed, HistoryError> {
        let patch = self.patch(entry)?;
        let (verb, entry_id) = (if undo { "Undo" } else { "Redo" }, entry.id());
        let action = match undo {
            true => Action::Undo { entry: entry_id },
            false => Action::Redo { entry: entry_id },
        };
        let label = match meta.label.is_empty() {
            true => format!("{verb} {}", entry.label),
            false => meta.label.clone(),
        };
        let rules = MergeRules {
            ours_label: "present".into(),
            theirs_label: label.clone(),
            deleted: Deleted::KeepOurs,
            cause: Some(ConflictCause::ChangedSince),
        };
        let steps = patch.into_iter().map(|(key, (before, after))| match undo {
            true => Step { key, base: after, theirs: before },
            false => Step { key, base: before, theirs: after },
        });
        let steps: Vec<Step> = steps.collect();
        let meta = TxMeta { label, ..meta };
        let mut tx = self.begin_as(meta.clone(), action);
        if tx.put_back(&steps)? {
            match tx.finish(true, false) {
                // Something else needs what goes, or lacks what it needs: a merge settles that.
                Err(TxError::Breach(_)) => {}
                done => return Ok(done?),
            }
        }
        let mut tx = self.begin_as(meta, action);
        tx.merge_steps(steps, &rules)?;
        Ok(tx.finish(true, false)?)
    }
}

fn note(patch: &mut Patch, key: &[u8], before: &Option<Vec<u8>>, after: &Option<Vec<u8>>) {
    match patch.get_mut(key) {
        Some((_, last)) => last.clone_from(after),
        None => {
            patch.insert(key.to_vec(), (before.clone(), after.clone()));
        }
    }
}
