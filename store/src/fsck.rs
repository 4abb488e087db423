//! Checking a store from its bytes up, and repairing what can be proved right.
//!
//! Every node is held against its hash, every row against its checksum and its neighbours, the
//! tree's structure against the keys in it. A check writes nothing. A repair never guesses: a node
//! is put back only if its hash is the one that is missing, an entry of the history only if the
//! versions on both sides prove it, and a damaged file stays beside the one that replaces it.

mod behind;
mod loss;
mod mend;
mod rebuild;
mod repair;
mod rows;
mod salvage;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_schemas::hash::Hash;

pub use self::loss::Loss;
use crate::{
    backend::{BackendError, BackingStore, overlay::Overlay, redb::RedbBackend},
    codec::Malformed,
    journal::{
        self, JournalError,
        row::{Change, Row},
    },
    node::{Node, NodeError},
    project::stamp,
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
    #[error("{name} (version {root}): {source}")]
    Unreadable { name: String, root: Hash, source: TreeError },
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
    /// What a repair could not bring back.
    pub lost: Vec<Loss>,
    /// The damaged files as they were before a repair.
    pub set_aside: Vec<PathBuf>,
    /// Edits that are no part of the project any more, as text for people.
    pub written_down: Vec<PathBuf>,
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

/// A version, and what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub root: Hash,
    pub name: String,
}

/// Names the versions that metadata entries hold on to: the layer above knows how to read them.
pub type RootsOf<'r> = &'r dyn Fn(&crate::tree::Snapshot) -> Vec<Named>;

/// Checks the store in `dir`; with `repair`, puts right what can be proved, then checks again.
pub fn fsck(dir: &Path, repair: bool, roots_of: RootsOf<'_>) -> Result<Report, FsckError> {
    let known = [FORMAT_FILE, DATABASE_FILE, JOURNAL_FILE];
    if !known.iter().any(|file| dir.join(file).exists()) {
        return Err(FsckError::NotAStore { dir: dir.to_owned() });
    }
    if let Err(error @ OpenError::Future { .. }) = check_format(dir) {
        return Err(error.into());
    }
    let (lock, holder) = (dir.join(LOCK_FILE), Holder::this_process(None));
    let _lock = match repair {
        true => Some(Lock::acquire(&lock, &holder)?),
        false => Lock::acquire_to_look(&lock, &holder)?,
    };
    let mut report = check_dir(dir, roots_of);
    if repair && !report.is_clean() {
        let repaired = repair::repair(dir, &report, roots_of);
        report = check_dir(dir, roots_of);
        report.repaired = repaired.done;
        report.lost = repaired.lost;
        report.set_aside = repaired.set_aside;
        report.written_down = repaired.written_down;
    }
    Ok(report)
}

fn check_dir(dir: &Path, roots_of: RootsOf<'_>) -> Report {
    check_files(dir, &dir.join(DATABASE_FILE), roots_of)
}

/// Checks the store in `dir` with a database that need not have its place yet.
fn check_files(dir: &Path, database: &Path, roots_of: RootsOf<'_>) -> Report {
    let mut report = Report::default();
    if check_format(dir).is_err() {
        report.findings.push(Finding::Format { file: dir.join(FORMAT_FILE) });
    }
    let journal = std::fs::read(dir.join(JOURNAL_FILE)).ok();
    match open_existing(database) {
        Ok(backend) => check(dir, Arc::new(backend), journal.as_deref(), roots_of, &mut report),
        Err(error) => report.findings.push(Finding::Database(error)),
    }
    report
}

/// The database, with whatever redb writes on opening kept from the file.
fn open_existing(file: &Path) -> Result<RedbBackend, BackendError> {
    let failed = |source: std::io::Error| BackendError::Io {
        file: file.to_owned(),
        action: "opening the database",
        source: Arc::new(source),
    };
    let opened = std::fs::File::open(file).map_err(failed)?;
    if opened.metadata().map_err(failed)?.len() == 0 {
        return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
    }
    RedbBackend::open_on(file, Overlay::new(opened).map_err(failed)?, 32 << 20)
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
    // Last, because it may roll a damaged database back.
    match backend.verify() {
        Ok(texts) => report.findings.extend(texts.into_iter().map(Finding::Pages)),
        Err(error) => report.findings.push(Finding::Database(error)),
    }
}

fn check_backend(
    path: &Path,
    backend: &Arc<dyn BackingStore>,
    journal: Option<&[u8]>,
    roots_of: RootsOf<'_>,
    report: &mut Report,
) -> Result<(), BackendError> {
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
    for Named { root, name } in versions(path, &tree, &head, &rows, roots_of) {
        check_version(&tree, root, &name, report);
    }
    check_journal(path, backend, &head, journal, report);
    Ok(())
}

/// Every version that has to be readable, each once.
fn versions(
    path: &Path,
    tree: &Arc<TreeStore>,
    head: &Head,
    rows: &[HistoryRow],
    roots_of: RootsOf<'_>,
) -> Vec<Named> {
    let named = |root, name: &str| Named { root, name: name.to_owned() };
    let mut all = vec![named(head.root, "the working copy"), named(head.meta, "the metadata")];
    if let Ok(meta) = tree.snapshot(head.meta) {
        all.extend(roots_of(&meta));
    }
    let jumps = rows.iter().filter(|row| row.is_jump());
    all.extend(jumps.flat_map(|row| [row.before, row.after]).map(|it| named(it, "the history")));
    // An index that is gone is built anew on opening; one with holes would be believed.
    let index = stamp::read(path).map(|(_, index)| index);
    let index = index.filter(|index| tree.node(index).is_ok());
    all.extend(index.map(|index| named(index, "the index")));
    let mut seen = BTreeSet::new();
    all.retain(|named| seen.insert(named.root));
    all
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
fn check_version(tree: &TreeStore, root: Hash, name: &str, report: &mut Report) {
    let unreadable = |source| Finding::Unreadable { name: name.to_owned(), root, source };
    if root == empty_root() {
        return;
    }
    let mut open: Vec<Arc<Node>> = Vec::new();
    match tree.node(&root) {
        Ok(node) => open.push(node),
        Err(source) => report.findings.push(unreadable(source)),
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
                Err(source) => report.findings.push(unreadable(source)),
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
