//! The cache of rendered audio: results that may be forgotten at any time, never wrong.
//!
//! Two stores apart, as in build systems: *actions* map the hash of everything a result depends
//! on to a small description of the result; *content* maps a hash to bytes. Content is checked
//! against its hash whenever it is read, so neither a crash nor a bad disk can turn into sound;
//! what fails the check goes to quarantine and counts as a miss. Losing the newest entries in a
//! crash is fine, so nothing here waits for the disk except [`CacheStore::flush`].

pub mod disk;
mod index;
mod policy;
mod segment;
#[cfg(test)]
mod tests;

use std::{io, path::PathBuf, sync::Arc};

use pulse_schemas::hash::Hash;

pub use self::disk::DiskCache;
use crate::backend::{BackendError, hint};

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("{}: {action} failed: {source}; {}", file.display(), hint(source))]
    Io { file: PathBuf, action: &'static str, source: io::Error },
    #[error(transparent)]
    Index(#[from] BackendError),
}

/// What a cache did since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    pub actions: u64,
    pub objects: u64,
    /// Bytes of live content.
    pub content_bytes: u64,
    /// Bytes of the files, garbage included.
    pub file_bytes: u64,
    pub limit_bytes: u64,
    pub action_hits: u64,
    pub action_misses: u64,
    pub content_hits: u64,
    pub content_misses: u64,
    pub evicted: u64,
    pub quarantined: u64,
}

/// What a check of some objects found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    pub checked: u64,
    /// Now in quarantine.
    pub damaged: Vec<Hash>,
}

/// A cache of results; a shared, remote one fits behind the same trait.
pub trait CacheStore: Send + Sync {
    /// The result noted for a key, if any. It may name content that is gone by now.
    fn get_action(&self, key: &Hash) -> Result<Option<Arc<[u8]>>, CacheError>;

    /// Notes a result that cost `cost` (microseconds, say; only ratios matter) to make.
    fn put_action(&self, key: &Hash, value: &[u8], cost: u64) -> Result<(), CacheError>;

    fn has_content(&self, hash: &Hash) -> Result<bool, CacheError>;

    /// Content by its hash, verified.
    fn get_content(&self, hash: &Hash) -> Result<Option<Vec<u8>>, CacheError>;

    fn put_content(&self, bytes: &[u8], cost: u64) -> Result<Hash, CacheError>;

    /// Sets content aside that proved wrong, with the actions the caller finds guilty.
    fn quarantine(&self, content: &Hash) -> Result<(), CacheError>;

    /// Forgets an action that proved wrong.
    fn forget_action(&self, key: &Hash) -> Result<(), CacheError>;

    /// Checks about `count` objects, chosen by `seed`, against their hashes.
    fn verify_sample(&self, count: u64, seed: u64) -> Result<Sampled, CacheError>;

    /// Evicts down to the new limit at once.
    fn set_limit(&self, bytes: u64) -> Result<(), CacheError>;

    /// Makes everything so far survive a crash.
    fn flush(&self) -> Result<(), CacheError>;

    /// Forgets everything.
    fn clear(&self) -> Result<(), CacheError>;

    fn stats(&self) -> CacheStats;
}
