//! From files to a running store: the last checkpoint plus the journal's rows.
//!
//! Rows are folded and applied together, not one by one: their checksums prove each of them, and
//! the after-root of the last row of a fold proves the fold. A fold ends at a row whose version
//! must exist as a tree (a kept one) and before a jump.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_schemas::hash::Hash;

use super::{
    Repo,
    head::{Head, HeadError},
    history::{HistoryChange, HistoryRow, KeyChange},
    layout::{Access, JOURNAL_FILE, OpenError, Options, io_error},
};
use crate::{
    backend::{BackendError, BackingStore, Batch},
    journal::{
        self, HEADER, JournalError, Scan,
        file::JournalFile,
        keeper::{Desk, Keeper},
        row::{Change, Delta, Row},
    },
    tree::{DEFAULT_CACHE_BYTES, Edit, NodeSource, Snapshot, TreeStore, empty_root},
};

/// What opening found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The store is new.
    pub created: bool,
    /// Rows replayed from the journal.
    pub rows: u64,
    /// Bytes of a row that was never acknowledged, cut off.
    pub torn_bytes: u64,
}

struct BackendSource(Arc<dyn BackingStore>);

impl NodeSource for BackendSource {
    fn load(&self, hash: &Hash) -> Result<Option<Box<[u8]>>, BackendError> {
        self.0.node(hash)
    }
}

/// The nodes of a backend, read with a cache of their own.
pub(crate) fn tree_over(backend: Arc<dyn BackingStore>) -> Arc<TreeStore> {
    TreeStore::new(Box::new(BackendSource(backend)), DEFAULT_CACHE_BYTES)
}

impl Repo {
    /// Opens or creates a store on any backend and journal file. `path` is the folder that error
    /// messages name.
    pub fn open_on(
        path: &Path,
        backend: Arc<dyn BackingStore>,
        mut journal: Box<dyn JournalFile>,
        options: &Options,
    ) -> Result<Repo, OpenError> {
        let file = path.join(JOURNAL_FILE);
        let writable = options.access == Access::ReadWrite;
        let (head, created) = match read_head(path, &*backend)? {
            Some(head) => (head, false),
            None if writable && options.create => {
                check_unused(&file, &mut *journal)?;
                (first_head(&*backend, &options.store_id)?, true)
            }
            None => return Err(OpenError::HeadMissing { file: path.to_owned() }),
        };
        let scan = open_journal(&file, &mut *journal, &*backend, &head, writable)?;
        let source = BackendSource(backend.clone());
        let tree = TreeStore::new(Box::new(source), options.cache_bytes);
        let replayed = replay(&file, &tree, &head, scan.rows)?;
        let recovered =
            Recovered { created, rows: replayed.pending.len() as u64, torn_bytes: scan.torn };
        let keeper = if writable {
            let desk = Desk {
                path: file,
                journal,
                end: scan.end,
                store_id: head.store_id,
                backend: backend.clone(),
                tree: tree.clone(),
            };
            Some(Keeper::start(desk, replayed.seq, head.seq)?)
        } else {
            None
        };
        Ok(Repo {
            path: path.to_owned(),
            tree,
            backend,
            keeper,
            store_id: head.store_id,
            head: replayed.head,
            meta: replayed.meta,
            seq: replayed.seq,
            pending: replayed.pending,
            kept: replayed.kept,
            checkpoint_sent: head.seq,
            checkpoint_number: 0,
            checkpoint_rows: options.checkpoint_rows,
            recovered,
            lock: None,
            abandoned: false,
            rows_from: head.rows_from,
            nodes_written: 0,
            nodes_live: 0,
            jumps: Default::default(),
        })
    }
}

fn read_head(path: &Path, backend: &dyn BackingStore) -> Result<Option<Head>, OpenError> {
    let Some(bytes) = backend.head()? else { return Ok(None) };
    match Head::decode(&bytes) {
        Ok(head) => Ok(Some(head)),
        Err(HeadError::Future { found }) => Err(OpenError::Future { file: path.to_owned(), found }),
        Err(source) => Err(OpenError::Head { file: path.to_owned(), source }),
    }
}

fn first_head(backend: &dyn BackingStore, store_id: &[u8; 16]) -> Result<Head, OpenError> {
    let (root, store_id) = (empty_root(), *store_id);
    let head = Head { store_id, root, meta: root, seq: 0, journal_ready: false, rows_from: 1 };
    write_head(backend, &head)?;
    Ok(head)
}

/// Rows without a database are what is left of a damaged store, not the start of a new one.
fn check_unused(file: &Path, journal: &mut dyn JournalFile) -> Result<(), OpenError> {
    let bytes = journal.read_all().map_err(|source| io_error(file, "reading", source))?;
    match bytes.len() <= HEADER {
        true => Ok(()),
        false => Err(OpenError::HeadMissing { file: file.to_owned() }),
    }
}

fn write_head(backend: &dyn BackingStore, head: &Head) -> Result<(), BackendError> {
    backend.write(&Batch { head: Some(head.encode()), ..Batch::default() })
}

/// Reads the journal, having created it if the store was never finished, and cuts a torn tail.
fn open_journal(
    file: &Path,
    journal: &mut dyn JournalFile,
    backend: &dyn BackingStore,
    head: &Head,
    writable: bool,
) -> Result<Scan, OpenError> {
    if !head.journal_ready && writable {
        create_journal(file, journal, &head.store_id)?;
        write_head(backend, &Head { journal_ready: true, ..head.clone() })?;
    }
    let bytes = journal.read_all().map_err(|source| io_error(file, "reading", source))?;
    journal::check_header(file, &bytes, &head.store_id)?;
    let scan = journal::scan(file, &bytes, &head.store_id, head.seq)?;
    if scan.torn > 0 && writable {
        (journal.set_len(scan.end))
            .and_then(|()| journal.sync())
            .map_err(|source| io_error(file, "cutting the torn tail of", source))?;
    }
    Ok(scan)
}

fn create_journal(
    file: &Path,
    journal: &mut dyn JournalFile,
    store_id: &[u8; 16],
) -> Result<(), OpenError> {
    (journal.write_at(0, &journal::header(store_id)))
        .and_then(|()| journal.set_len(HEADER as u64))
        .and_then(|()| journal.sync())
        .map_err(|source| io_error(file, "creating", source))
}

struct Replayed {
    head: Snapshot,
    meta: Snapshot,
    seq: u64,
    pending: VecDeque<Arc<HistoryRow>>,
    kept: Vec<Snapshot>,
}

fn replay(
    file: &Path,
    tree: &Arc<TreeStore>,
    head: &Head,
    rows: Vec<Row>,
) -> Result<Replayed, OpenError> {
    let mut replay = Replay {
        file: file.to_owned(),
        content: Fold::new(tree.snapshot(head.root)?),
        meta: Fold::new(tree.snapshot(head.meta)?),
        last_root: head.root,
        done: Replayed {
            head: tree.snapshot(head.root)?,
            meta: tree.snapshot(head.meta)?,
            seq: head.seq,
            pending: VecDeque::new(),
            kept: Vec::new(),
        },
    };
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.seq > head.seq).collect();
    if let Some(mark) = rows.iter().find(|row| row.change == Change::Mark) {
        let (expected, found) = (mark.seq, head.seq);
        return Err(JournalError::RolledBack { file: file.to_owned(), expected, found }.into());
    }
    warm(&replay.content.base, &rows);
    for row in rows {
        replay.row(tree, row)?;
    }
    replay.finish()
}

/// Loads the nodes that the rows will need on several threads: nearly all the time of a replay
/// goes into fetching and verifying them. Errors show again when the row itself is replayed.
fn warm(base: &Snapshot, rows: &[Row]) {
    let mut keys: Vec<&[u8]> = (rows.iter())
        .take_while(|row| row.change != Change::Jump)
        .filter_map(|row| match &row.change {
            Change::Patch(deltas) => Some(deltas.iter().map(|delta| &delta.key[..])),
            Change::Jump | Change::Mark => None,
        })
        .flatten()
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    if keys.len() < 64 || threads == 1 {
        return;
    }
    std::thread::scope(|scope| {
        for share in keys.chunks(keys.len().div_ceil(threads)) {
            scope.spawn(move || share.iter().for_each(|key| drop(base.get(key))));
        }
    });
}

struct Replay {
    file: PathBuf,
    content: Fold,
    meta: Fold,
    last_root: Hash,
    done: Replayed,
}

impl Replay {
    fn row(&mut self, tree: &Arc<TreeStore>, row: Row) -> Result<(), OpenError> {
        let (expected, found) = (self.done.seq + 1, row.seq);
        if found != expected {
            return Err(JournalError::Gap { file: self.file.clone(), expected, found }.into());
        }
        let before = self.last_root;
        let change = match &row.change {
            Change::Patch(deltas) => {
                let changes = self.content.take(deltas)?;
                HistoryChange::Patch(changes.ok_or_else(|| self.bad_row(found))?)
            }
            Change::Jump => {
                self.content.apply_checked(&self.file)?;
                self.content = Fold::new(tree.snapshot(row.after)?);
                HistoryChange::Jump
            }
            Change::Mark => return Err(self.bad_row(found)),
        };
        if let Some((deltas, root)) = &row.meta {
            self.meta.take(deltas)?.ok_or_else(|| self.bad_row(found))?;
            self.meta.expected = Some((found, *root));
        }
        self.content.expected = Some((found, row.after));
        (self.last_root, self.done.seq) = (row.after, found);
        if row.keep {
            self.content.apply_checked(&self.file)?;
            self.done.kept.push(self.content.base.clone());
        }
        let (after, keep, info) = (row.after, row.keep, row.info);
        let row = HistoryRow { seq: found, before, after, keep, change, info };
        self.done.pending.push_back(Arc::new(row));
        Ok(())
    }

    fn finish(mut self) -> Result<Replayed, OpenError> {
        self.content.apply_checked(&self.file)?;
        self.meta.apply_checked(&self.file)?;
        Ok(Replayed { head: self.content.base, meta: self.meta.base, ..self.done })
    }

    fn bad_row(&self, seq: u64) -> OpenError {
        OpenError::ReplayRow { file: self.file.clone(), seq }
    }
}

/// A version and changes on top of it that were not applied yet.
struct Fold {
    base: Snapshot,
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The root that applying must give, and the row which says so.
    expected: Option<(u64, Hash)>,
}

impl Fold {
    fn new(base: Snapshot) -> Fold {
        Fold { base, changed: BTreeMap::new(), expected: None }
    }

    /// Adds one row's changes; `None` if they don't fit the values they build on.
    fn take(&mut self, deltas: &[Delta]) -> Result<Option<Vec<KeyChange>>, OpenError> {
        let mut changes = Vec::with_capacity(deltas.len());
        for delta in deltas {
            let before = match self.changed.get(&delta.key) {
                Some(value) => value.clone(),
                None => self.base.get(&delta.key)?.map(|value| value.to_vec()),
            };
            let Ok(after) = delta.resolve(before.as_deref()) else { return Ok(None) };
            self.changed.insert(delta.key.clone(), after.clone());
            changes.push(KeyChange { key: delta.key.clone(), before, after });
        }
        Ok(Some(changes))
    }

    fn apply(&mut self) -> Result<(), OpenError> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let edits: Vec<Edit> = changed.map(|(key, value)| Edit { key, value }).collect();
        self.base = self.base.edit(&edits)?;
        Ok(())
    }

    fn apply_checked(&mut self, file: &Path) -> Result<(), OpenError> {
        self.apply()?;
        match self.expected.take() {
            Some((seq, expected)) if expected != self.base.root() => {
                let found = self.base.root();
                Err(OpenError::Replay { file: file.to_owned(), seq, expected, found })
            }
            _ => Ok(()),
        }
    }
}
