//! Care: collecting what nothing reaches, checking, and the files beside the tree.

use std::{collections::BTreeSet, path::Path};

use pulse_schemas::{
    entity::{AnyEntity, Variant},
    hash::Hash,
    id::EntityKind,
    record::{EntityKey, RecordView},
};

use super::{HistoryError, Project, STORE_DIR};
use crate::{
    backend::Swept,
    blob::{BlobError, BlobStore},
    cache::{CacheError, DiskCache},
    fsck::{self, FsckError, Report},
    refs::{Refs, RefsError},
    repo::{HistoryChange, RepoError},
    tree::{Snapshot, TreeError, empty_root, lock},
    view::ReadError,
};

/// So much of the past can be undone; commits hold what lies further back.
const HISTORY_ROWS: u64 = 100_000;
/// Where the bytes beside the tree lie, inside the store's folder.
const BLOB_DIR: &str = "blobs";
const CACHE_DIR: &str = "cache";

#[derive(Debug, thiserror::Error)]
pub enum CareError {
    #[error("the project lies in memory and has no files; save it to a folder first")]
    InMemory,
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Refs(#[from] RefsError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    pub nodes: Swept,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

impl Project {
    /// Removes what no commit, draft, history entry, variant or open view reaches.
    pub fn gc(&mut self) -> Result<Cleaned, CareError> {
        let bytes_before = self.repo.size()?;
        self.prune_history(HISTORY_ROWS)?;
        self.save_stamp()?;
        let roots = self.live_roots()?;
        let nodes = self.repo.gc(&roots)?;
        let bytes_after = self.repo.size()?;
        Ok(Cleaned { nodes, bytes_before, bytes_after })
    }

    /// What [`Project::gc`] would remove; removes nothing.
    pub fn gc_preview(&mut self) -> Result<Swept, CareError> {
        let roots = self.live_roots()?;
        Ok(self.repo.gc_preview(&roots)?)
    }

    /// Collects when so much was written since the last time that it pays off; called by commits.
    pub(crate) fn gc_when_due(&mut self) -> Result<(), CareError> {
        if self.repo.gc_due() { self.gc().map(drop) } else { Ok(()) }
    }

    /// Collects, then gives free space back to the file system.
    pub fn compact(&mut self) -> Result<Cleaned, CareError> {
        let mut cleaned = self.gc()?;
        self.repo.compact()?;
        cleaned.bytes_after = self.repo.size()?;
        Ok(cleaned)
    }

    /// Every root that something other than the working copy names.
    pub fn live_roots(&self) -> Result<Vec<Hash>, CareError> {
        let mut roots: BTreeSet<Hash> = self.refs().roots()?.into_iter().collect();
        let mut overlays = BTreeSet::new();
        for root in roots.iter().chain([&self.root()]) {
            overlays_of(&self.repo.snapshot(*root)?, &mut overlays)?;
        }
        overlays.extend(self.past_overlays()?);
        overlays.remove(&empty_root());
        for overlay in overlays {
            // One that is gone already is a finding for `fsck`, not a reason to keep rubbish.
            if self.repo.snapshot(overlay).is_ok() {
                roots.insert(overlay);
            }
        }
        Ok(roots.into_iter().collect())
    }

    /// What variants of the past hold: undo can bring back one that no state has at present.
    fn past_overlays(&self) -> Result<Vec<Hash>, CareError> {
        let mut known = lock(&self.overlays);
        let PastOverlays { until, found } = &mut *known;
        self.repo.visit_history(*until, &mut |row| {
            let HistoryChange::Patch(changes) = &row.change else { return };
            for change in changes.iter().filter(|change| is_variant(&change.key)) {
                let sides = [&change.before, &change.after].into_iter().flatten();
                let overlays = sides.filter_map(|bytes| overlay_of(bytes));
                found.extend(overlays.map(|overlay| (row.seq, overlay)));
            }
        })?;
        *until = self.repo.seq() + 1;
        found.retain(|(seq, _)| *seq >= self.repo.rows_from());
        Ok(found.iter().map(|(_, overlay)| *overlay).collect())
    }

    /// Bytes by content hash: plugin states, edited audio.
    pub fn blobs(&self) -> Result<BlobStore, CareError> {
        let dir = self.dir().ok_or(CareError::InMemory)?;
        Ok(BlobStore::open(&dir.join(STORE_DIR).join(BLOB_DIR))?)
    }

    /// The cache of rendered audio, up to `limit_bytes`.
    pub fn cache(&self, limit_bytes: u64) -> Result<DiskCache, CareError> {
        let dir = self.dir().ok_or(CareError::InMemory)?;
        Ok(DiskCache::open(&dir.join(STORE_DIR).join(CACHE_DIR), limit_bytes)?)
    }

    /// Checks the closed project in `dir`; with `repair`, puts right what can be proved.
    pub fn fsck(dir: &Path, repair: bool) -> Result<Report, FsckError> {
        let roots_of = |meta: &Snapshot| Refs::new(meta).named_roots();
        fsck::fsck(&dir.join(STORE_DIR), repair, &roots_of)
    }
}

/// Overlays in the history as far as somebody looked, with the entry that names each.
#[derive(Default)]
pub(super) struct PastOverlays {
    until: u64,
    found: Vec<(u64, Hash)>,
}

fn is_variant(key: &[u8]) -> bool {
    EntityKey::from_bytes(key).is_ok_and(|key| key.kind == EntityKind::Variant)
}

fn overlay_of(bytes: &[u8]) -> Option<Hash> {
    match RecordView::parse(bytes).ok()?.entity().ok()? {
        AnyEntity::Variant(Variant { overlay, .. }) => Some(overlay).filter(|it| *it != Hash::ZERO),
        _ => None,
    }
}

fn overlays_of(state: &Snapshot, overlays: &mut BTreeSet<Hash>) -> Result<(), TreeError> {
    for entry in state.scan(&EntityKey::kind_prefix(EntityKind::Variant)) {
        overlays.extend(overlay_of(&entry?.1));
    }
    Ok(())
}
