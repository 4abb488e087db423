//! The render cache of a project, opened by whoever needs it first and shared by all
//! of the process: renders, and playback that finds there what was made of clips.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use pulse_store::cache::{CacheError, CacheStats, CacheStore, DiskCache};

use super::{cache_dir, open_cache};

/// How long whoever played the project before it was closed may take to let go.
const LETTING_GO: Duration = Duration::from_secs(2);

pub struct CacheSlot {
    project: PathBuf,
    bytes: u64,
    open: Mutex<Option<Arc<DiskCache>>>,
}

impl CacheSlot {
    pub fn new(project: PathBuf, bytes: u64) -> CacheSlot {
        CacheSlot { project, bytes, open: Mutex::default() }
    }

    pub fn try_open(&self) -> Result<Arc<DiskCache>, CacheError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cache) = &*open {
            return Ok(Arc::clone(cache));
        }
        let cache = Arc::new(open_cache(&self.project, self.bytes)?);
        *open = Some(Arc::clone(&cache));
        Ok(cache)
    }

    /// None where nothing has been rendered, or somebody else has the cache.
    pub fn open_existing(&self) -> Option<Arc<DiskCache>> {
        if !cache_dir(&self.project).exists() {
            return None;
        }
        let opened = self.try_open();
        opened.inspect_err(|error| tracing::debug!(%error, "playback has no cache")).ok()
    }

    /// For those who can't do without.
    pub fn open(&self) -> Result<Arc<DiskCache>, CacheError> {
        let start = Instant::now();
        loop {
            match self.try_open() {
                Err(CacheError::Index(_)) if start.elapsed() < LETTING_GO => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                opened => return opened,
            }
        }
    }

    pub fn stats(&self) -> Result<CacheStats, CacheError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match &*open {
            Some(cache) => Ok(cache.stats()),
            None => Ok(open_cache(&self.project, self.bytes)?.stats()),
        }
    }
}
