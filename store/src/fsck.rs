//! Checking a store from its bytes up, and repairing what can be proved right.
//!
//! Every node is held against its hash, every row against its checksum and its neighbours, the
//! tree's structure against the keys in it. A repair never guesses: a node is put back only if
//! its hash is the one that is missing, and a damaged file is copied aside before it is changed.

mod repair;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_schemas::hash::Hash;

use crate::{
    backend::{BackendError, BackingStore, redb::RedbBackend},
    codec::Malformed,
    journal::{
        self, JournalError,
        row::{Change, Row},
    },
    node::{Node, NodeError},
    repo::{
        Access, Head, HistoryRow, LockError, OpenError, Options, Repo,
        head::HeadError,
        layout::{DATABASE_FILE, FORMAT_FILE, JOURNAL_FILE, LOCK_FILE, check_format},
        lock::{Holder, Lock},
        recover::tree_over,
    },
    tree::{TreeError, TreeStore, empty_root},
};

/// One thing that is wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Finding {
    #[error("{}: the format file is missing or damaged", file.display())]
    Format { file: PathBuf },
    #[error("the database can't be read: {0}")]
    Database(BackendError),
    #[error("{0}")]
    Pages(String),
    #[error("the store's head is missing")]
    NoHead,
    #[error("{0}")]
    Head(HeadError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{}: the journal can't be read", file.display())]
    NoJournal { file: PathBuf },
    #[error("stored node {hash} is damaged: {source}")]
    Node { hash: Hash, source: NodeError },
    #[error("stored node {hash} holds content of hash {found}")]
    NodeHash { hash: Hash, found: Hash },
    #[error("version {root}: {source}")]
    Unreadable { root: Hash, source: TreeError },
    #[error("version {root}: node {hash} does not fit the link in its parent")]
    Link { root: Hash, hash: Hash },
    #[error("history entry {seq} is damaged")]
    Row { seq: u64 },
    #[error("history entries {from} to {until} are missing")]
    RowsMissing { from: u64, until: u64 },
    #[error("history entry {seq} does not follow from the entry before it")]
    RowChain { seq: u64 },
    #[error("the journal can't be replayed: {text}")]
    Replay { text: String },
}

/// What a check saw.
#[derive(Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// What was put right, in words.
    pub repaired: Vec<String>,
    pub nodes: u64,
    pub rows: u64,
    pub journal_rows: u64,
    /// Bytes of a row that was never acknowledged: no damage.
    pub torn_bytes: u64,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Why a check could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    #[error("{}: there is no project here", dir.display())]
    NotAStore { dir: PathBuf },
    /// Newer stores are left alone.
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Names the versions that metadata entries hold on to: the layer above knows how to read them.
pub type RootsOf<'r> = &'r dyn Fn(&crate::tree::Snapshot) -> Vec<Hash>;

/// Checks the store in `dir`; with `repair`, puts right what can be proved, then checks again.
pub fn fsck(dir: &Path, repair: bool, roots_of: RootsOf<'_>) -> Result<Report, FsckError> {
    let known = [FORMAT_FILE, DATABASE_FILE, JOURNAL_FILE];
    if !known.iter().any(|file| dir.join(file).exists()) {
        return Err(FsckError::NotAStore { dir: dir.to_owned() });
    }
    if let Err(error @ OpenError::Future { .. }) = check_format(dir) {
        return Err(error.into());
    }
    let _lock = Lock::acquire(&dir.join(LOCK_FILE), &Holder::this_process(None))?;
    let mut report = check_dir(dir, roots_of);
    if repair && !report.is_clean() {
        let repaired = repair::repair(dir, &report, roots_of);
        report = check_dir(dir, roots_of);
        report.repaired = repaired;
    }
    Ok(report)
}

fn check_dir(dir: &Path, roots_of: RootsOf<'_>) -> Report {
    let mut report = Report::default();
    if check_format(dir).is_err() {
        report.findings.push(Finding::Format { file: dir.join(FORMAT_FILE) });
    }
    let journal = std::fs::read(dir.join(JOURNAL_FILE)).ok();
    match open_existing(dir) {
        Ok(backend) => check(dir, Arc::new(backend), journal.as_deref(), roots_of, &mut report),
        Err(error) => report.findings.push(Finding::Database(error)),
    }
    report
}

fn open_existing(dir: &Path) -> Result<RedbBackend, BackendError> {
    let file = dir.join(DATABASE_FILE);
    match std::fs::metadata(&file) {
        Ok(metadata) if metadata.len() > 0 => RedbBackend::open(&file, 32 << 20),
        result => Err(BackendError::Io {
            file,
            action: "opening the database",
            source: Arc::new(result.err().unwrap_or(std::io::ErrorKind::UnexpectedEof.into())),
        }),
    }
}

/// Checks a store on any backend.
pub fn check(
    path: &Path,
    backend: Arc<dyn BackingStore>,
    journal: Option<&[u8]>,
    roots_of: RootsOf<'_>,
    report: &mut Report,
) {
    if let Err(error) = check_backend(path, &backend, journal, roots_of, report) {
        report.findings.push(Finding::Database(error));
    }
}

fn check_backend(
    path: &Path,
    backend: &Arc<dyn BackingStore>,
    journal: Option<&[u8]>,
    roots_of: RootsOf<'_>,
    report: &mut Report,
) -> Result<(), BackendError> {
    report.findings.extend(backend.verify()?.into_iter().map(Finding::Pages));
    check_nodes(&**backend, report)?;
    let head = match backend.head()?.map(|bytes| Head::decode(&bytes)) {
        Some(Ok(head)) => head,
        Some(Err(error)) => {
            report.findings.push(Finding::Head(error));
            return Ok(());
        }
        None => {
            report.findings.push(Finding::NoHead);
            return Ok(());
        }
    };
    let tree = tree_over(backend.clone());
    let rows = check_rows(&**backend, &head, report)?;
    let mut roots = BTreeSet::from([head.root, head.meta]);
    for row in rows.iter().filter(|row| row.is_jump()) {
        roots.extend([row.before, row.after]);
    }
    if let Ok(meta) = tree.snapshot(head.meta) {
        roots.extend(roots_of(&meta));
    }
    for root in roots {
        check_version(&tree, root, report);
    }
    check_journal(path, backend, &head, journal, report);
    Ok(())
}

fn check_nodes(backend: &dyn BackingStore, report: &mut Report) -> Result<(), BackendError> {
    backend.visit_nodes(&mut |hash, bytes| {
        report.nodes += 1;
        match Node::parse(bytes.into()) {
            Ok(node) if node.hash() == hash => {}
            Ok(node) => report.findings.push(Finding::NodeHash { hash, found: node.hash() }),
            Err(source) => report.findings.push(Finding::Node { hash, source }),
        }
    })
}

/// Rows must be whole, without gaps, each starting where the one before ended.
fn check_rows(
    backend: &dyn BackingStore,
    head: &Head,
    report: &mut Report,
) -> Result<Vec<HistoryRow>, BackendError> {
    let mut rows: Vec<HistoryRow> = Vec::new();
    for (seq, bytes) in backend.rows(0, u64::MAX)? {
        report.rows += 1;
        let Ok(row) = HistoryRow::decode(seq, &bytes).map_err(|Malformed| ()) else {
            report.findings.push(Finding::Row { seq });
            continue;
        };
        if let Some(last) = rows.last() {
            if last.seq + 1 != seq {
                let (from, until) = (last.seq + 1, seq - 1);
                report.findings.push(Finding::RowsMissing { from, until });
            } else if last.after != row.before {
                report.findings.push(Finding::RowChain { seq });
            }
        }
        rows.push(row);
    }
    let first = rows.first().map_or(head.seq + 1, |row| row.seq);
    if head.rows_from > 0 && head.rows_from < first {
        let (from, until) = (head.rows_from, first - 1);
        report.findings.push(Finding::RowsMissing { from, until });
    }
    if let Some(last) = rows.last() {
        if last.seq < head.seq {
            let (from, until) = (last.seq + 1, head.seq);
            report.findings.push(Finding::RowsMissing { from, until });
        } else if last.seq > head.seq || last.after != head.root {
            report.findings.push(Finding::RowChain { seq: last.seq });
        }
    }
    Ok(rows)
}

/// Walks a whole version: each node must be there, right, and where its parent says.
fn check_version(tree: &TreeStore, root: Hash, report: &mut Report) {
    if root == empty_root() {
        return;
    }
    let mut open: Vec<Arc<Node>> = Vec::new();
    match tree.node(&root) {
        Ok(node) => open.push(node),
        Err(source) => report.findings.push(Finding::Unreadable { root, source }),
    }
    while let Some(node) = open.pop() {
        if node.is_leaf() {
            continue;
        }
        for slot in 0..node.len() {
            match tree.child(&node, slot) {
                Ok(child) => {
                    let fits = child.last_key() == Some(node.key(slot))
                        && child.entries() == node.link(slot).entries;
                    if !fits {
                        report.findings.push(Finding::Link { root, hash: child.hash() });
                    }
                    open.push(child);
                }
                Err(source) => report.findings.push(Finding::Unreadable { root, source }),
            }
        }
    }
}

fn check_journal(
    path: &Path,
    backend: &Arc<dyn BackingStore>,
    head: &Head,
    journal: Option<&[u8]>,
    report: &mut Report,
) {
    let file = path.join(JOURNAL_FILE);
    let Some(bytes) = journal else {
        report.findings.push(Finding::NoJournal { file });
        return;
    };
    if !head.journal_ready {
        return;
    }
    if let Err(error) = journal::check_header(&file, bytes, &head.store_id) {
        report.findings.push(Finding::Journal(error));
        return;
    }
    match journal::scan(&file, bytes, &head.store_id, head.seq) {
        Ok(scan) => {
            let is_row = |row: &&Row| row.change != Change::Mark;
            report.journal_rows = scan.rows.iter().filter(is_row).count() as u64;
            report.torn_bytes = scan.torn;
        }
        Err(error) => {
            report.findings.push(Finding::Journal(error));
            return;
        }
    }
    let options = Options { access: Access::ReadOnly, ..Options::default() };
    let memory = crate::journal::file::MemoryFile::holding(bytes.to_vec());
    if let Err(error) = Repo::open_on(path, backend.clone(), Box::new(memory), &options) {
        report.findings.push(Finding::Replay { text: error.to_string() });
    }
}

/// Stored nodes that are right, by level and last key.
type Inventory = BTreeMap<(u8, Vec<u8>), Vec<Arc<Node>>>;

fn inventory(backend: &dyn BackingStore) -> Result<Inventory, BackendError> {
    let mut inventory = Inventory::new();
    backend.visit_nodes(&mut |hash, bytes| {
        if let Ok(node) = Node::parse(bytes.into())
            && node.hash() == hash
            && let Some(key) = node.last_key()
        {
            let key = (node.level(), key.to_vec());
            inventory.entry(key).or_default().push(Arc::new(node));
        }
    })?;
    Ok(inventory)
}

/// The rows of a journal whose header may be damaged.
fn rows_of(file: &Path, bytes: &[u8], head: &Head) -> Result<Vec<Row>, JournalError> {
    journal::scan(file, bytes, &head.store_id, head.seq).map(|scan| scan.rows)
}
