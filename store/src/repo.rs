//! The byte-level store as a whole: tree, journal, backend and history, kept in step.
//!
//! A [`Repo`] holds two maps of bytes to bytes: the project's content, whose root hash names the
//! version, and metadata (refs, commits) beside it. One transaction may change both; it is one
//! journal row, hence atomic. Content enters redb at checkpoints only.

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod bad_input_tests;
mod care;
#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod compat_tests;
pub mod head;
pub mod history;
// The files of a store, and the noise that tells one store from another.
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod layout;
#[allow(clippy::disallowed_methods, reason = "a lock between processes is a file")]
pub mod lock;
#[cfg(test)]
mod power_cut_tests;
pub(crate) mod recover;
#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use pulse_schemas::hash::Hash;

pub use self::{
    head::{FORMAT, Head},
    history::{HistoryChange, HistoryRow, KeyChange},
    layout::{Access, OpenError, Options, fresh_store_id},
    lock::{Holder, LockError, holder_of},
    recover::Recovered,
};
use crate::{
    backend::{BackendError, BackingStore, Batch},
    codec::Malformed,
    journal::{
        keeper::{Checkpoint, Keeper, OnDurable, Ticket},
        row::{Change, Delta, Row},
    },
    tree::{Edit, Snapshot, TreeError, TreeStore},
};

/// Patches above this size are stored as trees instead of rows.
const LARGE_PATCH: usize = 256 << 10;
/// Rows of the history that are read at a time.
const PAGE: u64 = 512;
/// A difference of more keys than this becomes a jump.
const LARGE_DIFF: usize = 512;

/// Why a change or a look into the past failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RepoError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("nothing can be saved any more: {0}")]
    Failed(#[source] BackendError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("{} is open read-only; open the project for writing first", file.display())]
    ReadOnly { file: PathBuf },
    #[error("history entry {seq} does not exist (the history holds {first} to {last})")]
    NoSuchRow { seq: u64, first: u64, last: u64 },
    #[error("history entry {seq} is damaged; run `pulse fsck`")]
    DamagedRow { seq: u64 },
    #[error("history entry {seq} leads to {found:?} instead of {expected:?}; run `pulse fsck`")]
    HistoryMismatch { seq: u64, expected: Hash, found: Hash },
}

/// What one transaction changes. Both edit lists are in strictly ascending key order.
#[derive(Default)]
pub struct Transaction<'a> {
    pub edits: &'a [Edit],
    pub meta: &'a [Edit],
    /// Label, author, contexts, command: kept with the row, returned by the history.
    pub info: Vec<u8>,
    /// The version behind this transaction gets a name (a commit, a tag): it is stored as a tree
    /// with the next checkpoint, and stays while a live root of [`Repo::gc`] names it.
    pub keep: bool,
    /// The current version with `edits` applied, where the caller has it already.
    pub after: Option<Snapshot>,
    /// Called on the journal thread once the outcome is certain; must not block.
    pub on_durable: Option<OnDurable>,
}

/// A transaction that took effect; it is durable once its ticket says so.
pub struct Committed {
    pub seq: u64,
    pub before: Snapshot,
    pub after: Snapshot,
    pub ticket: Ticket,
}

/// A store, open.
pub struct Repo {
    path: PathBuf,
    tree: Arc<TreeStore>,
    backend: Arc<dyn BackingStore>,
    /// Absent when the store is open read-only.
    keeper: Option<Keeper>,
    store_id: [u8; 16],
    head: Snapshot,
    meta: Snapshot,
    seq: u64,
    /// Rows that no finished checkpoint covers, in order.
    pending: VecDeque<Arc<HistoryRow>>,
    /// Versions to be stored as trees by the next checkpoint.
    kept: Vec<Snapshot>,
    /// The last row handed to a checkpoint, finished or not.
    checkpoint_sent: u64,
    /// That checkpoint's number.
    checkpoint_number: u64,
    checkpoint_rows: u64,
    recovered: Recovered,
    lock: Option<lock::Lock>,
    abandoned: bool,
    /// The first history row that was not pruned; 0 if nobody noted it.
    rows_from: u64,
    /// Nodes written since the last collection, and how many that one kept.
    nodes_written: u64,
    nodes_live: u64,
    jumps: Mutex<care::Jumps>,
}

impl Repo {
    /// The current version of the content.
    pub fn head(&self) -> &Snapshot {
        &self.head
    }

    /// The current metadata.
    pub fn meta(&self) -> &Snapshot {
        &self.meta
    }

    /// The sequence of the last transaction; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The first history row that was not pruned; 0 if nobody noted it.
    pub(crate) fn rows_from(&self) -> u64 {
        self.rows_from
    }

    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    pub fn tree(&self) -> &Arc<TreeStore> {
        &self.tree
    }

    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// What opening found and did.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    pub fn is_read_only(&self) -> bool {
        self.keeper.is_none()
    }

    /// The failure after which nothing is written any more, if there was one.
    pub fn failure(&self) -> Option<BackendError> {
        self.keeper.as_ref()?.progress().failure()
    }

    /// Notes in the lock file where this process takes commands.
    pub fn set_socket(&mut self, socket: Option<PathBuf>) -> Result<(), LockError> {
        match &mut self.lock {
            Some(lock) => lock.describe(&Holder::this_process(socket)),
            None => Ok(()),
        }
    }

    /// A version by its root, if the store still has it.
    pub fn snapshot(&self, root: Hash) -> Result<Snapshot, TreeError> {
        self.tree.snapshot(root)
    }

    /// Applies a transaction to the current version and metadata.
    pub fn commit(&mut self, mut transaction: Transaction<'_>) -> Result<Committed, RepoError> {
        self.check_writable()?;
        let after = match transaction.after.take() {
            Some(after) => after,
            None => self.head.edit(transaction.edits)?,
        };
        let value_bytes = |edit: &Edit| edit.value.as_ref().map_or(0, Vec::len);
        let size = |edit: &Edit| edit.key.len() + value_bytes(edit);
        if transaction.edits.iter().map(size).sum::<usize>() > LARGE_PATCH {
            return self.jump(after, transaction);
        }
        let (changes, deltas) = changes(&self.head, transaction.edits)?;
        self.record(after, HistoryChange::Patch(changes), Change::Patch(deltas), transaction)
    }

    /// Replaces the current version by `target`, which may lie anywhere: a switch, a jump in
    /// history, a merge prepared elsewhere. `transaction.edits` are applied on top of it.
    pub fn commit_version(
        &mut self,
        target: &Snapshot,
        transaction: Transaction<'_>,
    ) -> Result<Committed, RepoError> {
        self.check_writable()?;
        let target = target.edit(transaction.edits)?;
        let mut edits = Vec::new();
        for difference in self.head.diff(&target).take(LARGE_DIFF + 1) {
            let difference = difference?;
            edits.push(Edit {
                key: difference.key.to_vec(),
                value: difference.after.map(|value| value.to_vec()),
            });
        }
        if edits.len() > LARGE_DIFF {
            return self.jump(target, transaction);
        }
        self.commit(Transaction { edits: &edits, after: Some(target), ..transaction })
    }

    /// Both versions become durable trees first; the row only names them.
    fn jump(
        &mut self,
        after: Snapshot,
        transaction: Transaction<'_>,
    ) -> Result<Committed, RepoError> {
        self.kept.push(after.clone());
        self.send_checkpoint(None)?;
        self.record(after, HistoryChange::Jump, Change::Jump, transaction)
    }

    fn record(
        &mut self,
        after: Snapshot,
        history: HistoryChange,
        change: Change,
        transaction: Transaction<'_>,
    ) -> Result<Committed, RepoError> {
        let keeper = self.keeper.as_ref().ok_or_else(|| self.read_only())?;
        let meta = self.meta.edit(transaction.meta)?;
        let (_, meta_deltas) = changes(&self.meta, transaction.meta)?;
        let seq = self.seq + 1;
        let row = Row {
            seq,
            durable: 0,
            keep: transaction.keep,
            after: after.root(),
            change,
            meta: (!meta_deltas.is_empty()).then(|| (meta_deltas, meta.root())),
            info: transaction.info.clone(),
        };
        let ticket = keeper.append(row, transaction.on_durable);
        self.pending.push_back(Arc::new(HistoryRow {
            seq,
            before: self.head.root(),
            after: after.root(),
            keep: transaction.keep,
            change: history,
            info: transaction.info,
        }));
        if transaction.keep {
            self.kept.push(after.clone());
        }
        let before = std::mem::replace(&mut self.head, after.clone());
        (self.meta, self.seq) = (meta, seq);
        // The row is on its way and must not be reported as refused: a failure shows in its ticket.
        drop(self.checkpoint_when_due());
        Ok(Committed { seq, before, after, ticket })
    }

    /// Stands for the durability of everything committed so far.
    pub fn ticket(&self) -> Option<Ticket> {
        let keeper = self.keeper.as_ref()?;
        Some(Ticket::new(self.seq, keeper.progress().clone()))
    }

    /// Waits for everything committed so far.
    pub fn flush(&self) -> Result<(), RepoError> {
        let Some(keeper) = &self.keeper else { return Ok(()) };
        let progress = keeper.progress().clone();
        Ticket::new(self.seq, progress).wait().map_err(RepoError::Failed)
    }

    /// Moves everything into the backend and waits until it is durable there.
    pub fn checkpoint(&mut self) -> Result<(), RepoError> {
        self.send_checkpoint(None)?;
        self.wait_checkpoint()
    }

    /// The same without waiting, for idle moments.
    pub fn start_checkpoint(&mut self) -> Result<(), RepoError> {
        if self.pending.is_empty() && self.kept.is_empty() {
            return Ok(());
        }
        self.send_checkpoint(None)
    }

    /// Stores a version as a tree before any later row becomes durable. What names it has to
    /// count it among the live roots of [`Repo::gc`].
    pub fn keep(&mut self, version: &Snapshot) -> Result<(), RepoError> {
        self.check_writable()?;
        self.kept.push(version.clone());
        self.send_checkpoint(None)
    }

    /// Forgets history rows below `seq`: undo ends there. Refs are not touched.
    pub fn prune_history(&mut self, seq: u64) -> Result<(), RepoError> {
        self.send_checkpoint(Some(seq.min(self.seq + 1)))?;
        self.wait_checkpoint()
    }

    fn wait_checkpoint(&mut self) -> Result<(), RepoError> {
        let keeper = self.keeper.as_ref().ok_or_else(|| self.read_only())?;
        keeper.wait_checkpoint(self.checkpoint_number).map_err(RepoError::Failed)?;
        self.flush()?;
        self.forget_checkpointed();
        Ok(())
    }

    fn checkpoint_when_due(&mut self) -> Result<(), RepoError> {
        self.forget_checkpointed();
        let keeper = self.keeper.as_ref().ok_or_else(|| self.read_only())?;
        let in_flight = keeper.progress().checkpoints() < self.checkpoint_number;
        if !in_flight && self.pending.len() as u64 >= self.checkpoint_rows {
            self.send_checkpoint(None)?;
        }
        Ok(())
    }

    fn send_checkpoint(&mut self, drop_rows_below: Option<u64>) -> Result<(), RepoError> {
        self.check_writable()?;
        self.rows_from = self.rows_from.max(drop_rows_below.unwrap_or(0));
        let keeper = self.keeper.as_ref().ok_or_else(|| self.read_only())?;
        let mut pins = std::mem::take(&mut self.kept);
        pins.extend([self.head.clone(), self.meta.clone()]);
        let mut batch = Batch { drop_rows_below, ..Batch::default() };
        for pin in &pins {
            batch.nodes.extend(self.tree.unsaved(&pin.root()));
        }
        let unsent = self.pending.iter().filter(|row| row.seq > self.checkpoint_sent);
        batch.rows = unsent.map(|row| (row.seq, row.encode())).collect();
        batch.head = Some(self.encoded_head());
        self.nodes_written += batch.nodes.len() as u64;
        keeper.checkpoint(Checkpoint { batch, seq: self.seq, root: self.head.root(), pins });
        self.checkpoint_sent = self.seq;
        self.checkpoint_number += 1;
        Ok(())
    }

    fn encoded_head(&self) -> Vec<u8> {
        let (root, meta) = (self.head.root(), self.meta.root());
        let (store_id, seq) = (self.store_id, self.seq);
        Head { store_id, root, meta, seq, journal_ready: true, rows_from: self.rows_from }.encode()
    }

    /// Rows which the backend has are read from there.
    fn forget_checkpointed(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        let checkpointed = keeper.progress().checkpointed();
        while self.pending.front().is_some_and(|row| row.seq <= checkpointed) {
            self.pending.pop_front();
        }
    }

    fn check_writable(&self) -> Result<(), RepoError> {
        let keeper = self.keeper.as_ref().ok_or_else(|| self.read_only())?;
        keeper.progress().failure().map_or(Ok(()), |failure| Err(RepoError::Failed(failure)))
    }

    fn read_only(&self) -> RepoError {
        RepoError::ReadOnly { file: self.path.clone() }
    }

    /// The transactions of `from..until`, in order.
    pub fn history(&self, from: u64, until: u64) -> Result<Vec<Arc<HistoryRow>>, RepoError> {
        let until = until.min(self.seq + 1);
        let first_pending = self.pending.front().map_or(self.seq + 1, |row| row.seq);
        let mut rows = Vec::new();
        for (seq, bytes) in self.backend.rows(from, until.min(first_pending))? {
            let row = HistoryRow::decode(seq, &bytes)
                .map_err(|Malformed| RepoError::DamagedRow { seq })?;
            rows.push(Arc::new(row));
        }
        self.check_no_gap(&rows, from, until.min(first_pending))?;
        let inside = |row: &&Arc<HistoryRow>| (from..until).contains(&row.seq);
        rows.extend(self.pending.iter().filter(inside).cloned());
        Ok(rows)
    }

    /// Pruning takes rows below `rows_from` only: any other that is missing is damage.
    fn check_no_gap(
        &self,
        rows: &[Arc<HistoryRow>],
        from: u64,
        until: u64,
    ) -> Result<(), RepoError> {
        let noted = (self.rows_from > 0).then(|| from.max(self.rows_from));
        let Some(mut expected) = noted.or_else(|| Some(rows.first()?.seq)) else { return Ok(()) };
        for row in rows.iter().filter(|row| row.seq >= self.rows_from) {
            if row.seq != expected {
                break;
            }
            expected += 1;
        }
        if expected < until { Err(RepoError::DamagedRow { seq: expected }) } else { Ok(()) }
    }

    /// One transaction.
    pub fn history_row(&self, seq: u64) -> Result<Arc<HistoryRow>, RepoError> {
        let row = match self.pending.front() {
            Some(front) if seq >= front.seq => {
                self.pending.get((seq - front.seq) as usize).cloned()
            }
            _ => self.history(seq, seq.saturating_add(1))?.pop(),
        };
        row.ok_or_else(|| self.no_such_row(seq))
    }

    fn no_such_row(&self, seq: u64) -> RepoError {
        RepoError::NoSuchRow { seq, first: 1, last: self.seq }
    }

    /// The content as it was behind transaction `seq` (0: before the first one), checked against
    /// the root that the transaction noted.
    pub fn version_at(&self, seq: u64) -> Result<Snapshot, RepoError> {
        if seq > self.seq {
            return Err(self.no_such_row(seq));
        }
        match self.version_from(seq, true) {
            // A kept version that is damaged is no reason to take every entry's past along.
            Err(RepoError::Tree(_) | RepoError::HistoryMismatch { .. }) => {
                self.version_from(seq, false)
            }
            found => found,
        }
    }

    fn version_from(&self, seq: u64, kept: bool) -> Result<Snapshot, RepoError> {
        let (rows, start) = self.way_back(seq, kept)?;
        let Some(first) = rows.first() else { return Ok(start) };
        let version = start.edit(&fold_back(&rows))?;
        if version.root() != first.before {
            let (expected, found) = (first.before, version.root());
            return Err(RepoError::HistoryMismatch { seq, expected, found });
        }
        Ok(version)
    }

    /// The nearest version behind `seq` that is stored as a tree, and the rows that lead from
    /// there back to `seq`. Commits count among them if they are `kept`.
    fn way_back(
        &self,
        seq: u64,
        kept: bool,
    ) -> Result<(Vec<Arc<HistoryRow>>, Snapshot), RepoError> {
        let (mut rows, mut from) = (Vec::new(), seq + 1);
        while from <= self.seq {
            let until = from.saturating_add(PAGE).min(self.seq + 1);
            let page = self.history(from, until)?;
            if page.len() as u64 != until - from {
                return Err(self.no_such_row(seq));
            }
            for row in page {
                if row.is_jump() {
                    let start = self.snapshot(row.before)?;
                    return Ok((rows, start));
                }
                let stored = (kept && row.keep).then(|| self.snapshot(row.after).ok());
                rows.push(row);
                if let Some(start) = stored.flatten() {
                    return Ok((rows, start));
                }
            }
            from = until;
        }
        Ok((rows, self.head.clone()))
    }

    /// Lets go of the store as a crash would: without a checkpoint, so that the next open
    /// recovers from the journal.
    pub fn abandon(mut self) {
        self.abandoned = true;
    }

    /// Finishes all work and closes the store; dropping it does the same and keeps errors quiet.
    pub fn close(mut self) -> Result<(), RepoError> {
        if self.keeper.is_some() && self.seq > 0 {
            self.checkpoint()?;
        }
        Ok(())
    }
}

impl Drop for Repo {
    fn drop(&mut self) {
        if !self.abandoned {
            drop(self.start_checkpoint());
        }
    }
}

/// The edits that take all of `rows` back at once.
fn fold_back(rows: &[Arc<HistoryRow>]) -> Vec<Edit> {
    let mut edits = std::collections::BTreeMap::new();
    for row in rows {
        if let HistoryChange::Patch(changes) = &row.change {
            for change in changes {
                edits.entry(&change.key).or_insert(&change.before);
            }
        }
    }
    edits.into_iter().map(|(key, value)| Edit { key: key.clone(), value: value.clone() }).collect()
}

/// What edits really change, for the history and for the journal.
fn changes(before: &Snapshot, edits: &[Edit]) -> Result<(Vec<KeyChange>, Vec<Delta>), TreeError> {
    let (mut changes, mut deltas) = (Vec::new(), Vec::new());
    for edit in edits {
        let old = before.get(&edit.key)?;
        if old.as_deref() == edit.value.as_deref() {
            continue;
        }
        deltas.push(Delta::between(edit, old.as_deref()));
        changes.push(KeyChange {
            key: edit.key.clone(),
            before: old.map(|value| value.to_vec()),
            after: edit.value.clone(),
        });
    }
    Ok((changes, deltas))
}
