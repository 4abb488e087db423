//! Where a store's nodes, history rows and head rest: behind one trait, so that memory, redb and
//! a disk that loses power are the same to everything above.
//!
//! A backend is written by checkpoints only. Each is one atomic, durable [`Batch`]; the journal
//! carries what came after the last one.

pub mod failing;
pub mod memory;
#[allow(clippy::disallowed_methods, reason = "it lies over a file")]
pub mod overlay;
mod quiet;
// Backends are where the store meets files.
#[allow(clippy::disallowed_methods)]
pub mod redb;

use std::{io, path::PathBuf, sync::Arc};

use pulse_schemas::hash::Hash;

use crate::node::Node;

/// Why the place where a store rests refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    #[error("{}: {action} failed: {source}; {}", file.display(), hint(source))]
    Io { file: PathBuf, action: &'static str, source: Arc<io::Error> },
    #[error("{}: {action} failed: {source}; run `pulse fsck`", file.display())]
    Database { file: PathBuf, action: &'static str, source: Arc<::redb::Error> },
    #[error("{}: {action} met impossible data; run `pulse fsck`", file.display())]
    Damaged { file: PathBuf, action: &'static str },
    #[error("{} is open read-only; open the project for writing first", file.display())]
    ReadOnly { file: PathBuf },
}

/// The next step a person can take about an I/O error.
pub(crate) fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space on the disk, then open the project again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make the folder writable or open the project read-only"
        }
        io::ErrorKind::NotFound => "check that the project folder was not moved or deleted",
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            "the file is damaged; run `pulse fsck`"
        }
        _ => "check the disk, then open the project again",
    }
}

/// What one checkpoint writes, all or nothing.
#[derive(Default)]
pub struct Batch {
    /// Children before parents; nodes already present are skipped.
    pub nodes: Vec<Arc<Node>>,
    /// History rows by sequence.
    pub rows: Vec<(u64, Vec<u8>)>,
    /// History rows below this sequence are dropped.
    pub drop_rows_below: Option<u64>,
    /// The encoded [`Head`](crate::repo::Head).
    pub head: Option<Vec<u8>>,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub nodes: u64,
    pub bytes: u64,
    pub kept: u64,
}

pub trait BackingStore: Send + Sync {
    /// The bytes stored under `hash`; nobody has verified them yet.
    fn node(&self, hash: &Hash) -> Result<Option<Box<[u8]>>, BackendError>;

    fn head(&self) -> Result<Option<Vec<u8>>, BackendError>;

    /// The history rows of `from..until`, in order.
    fn rows(&self, from: u64, until: u64) -> Result<Vec<(u64, Vec<u8>)>, BackendError>;

    /// Makes a batch durable.
    fn write(&self, batch: &Batch) -> Result<(), BackendError>;

    /// Removes every node which is not live.
    fn sweep(&self, live: &dyn Fn(&Hash) -> bool) -> Result<Swept, BackendError>;

    /// Shows every stored node, in the order they were written.
    fn visit_nodes(&self, visit: &mut dyn FnMut(Hash, &[u8])) -> Result<(), BackendError>;

    /// Puts right bytes under a hash whose stored bytes are damaged or absent.
    fn replace(&self, nodes: &[Arc<Node>]) -> Result<(), BackendError>;

    /// Gives free space back to the file system.
    fn compact(&self) -> Result<(), BackendError>;

    /// Has the backend verify its own structure; a text for every finding.
    fn verify(&self) -> Result<Vec<String>, BackendError>;

    /// Bytes taken on disk.
    fn size(&self) -> Result<u64, BackendError>;
}
