//! The flat prolly tree: an ordered map of bytes to bytes whose root hash depends on its content
//! alone, however it came about.
//!
//! A [`Snapshot`] is one immutable version of the map. Editing one gives another which shares
//! every untouched node; nothing is written anywhere until the repository's checkpoint. New
//! nodes are *dirty*: they live in memory while a snapshot reaches them. Everything else is
//! loaded lazily, verified against its hash and kept in a bounded cache.

pub mod apply;
pub mod cache;
pub mod cursor;
pub mod diff;
pub mod snapshot;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use pulse_schemas::hash::Hash;

use self::cache::{ByHash, NodeCache};
pub use self::{
    apply::Edit,
    cursor::Range,
    diff::{Changed, Diff, Difference, ThreeWay, diff3},
    snapshot::{Snapshot, prefix_end},
};
use crate::{
    backend::BackendError,
    node::{MAX_KEY, MAX_VALUE, Node, NodeBuilder, NodeError},
};

/// Where nodes come from that are not in memory.
pub trait NodeSource: Send + Sync {
    fn load(&self, hash: &Hash) -> Result<Option<Box<[u8]>>, BackendError>;
}

/// Why the tree can't be read or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TreeError {
    #[error("node {hash:?} is not in the store; run `pulse fsck`")]
    Missing { hash: Hash },
    #[error("node {hash:?} is damaged ({source}); run `pulse fsck`")]
    Damaged { hash: Hash, source: NodeError },
    #[error("node {hash:?} holds content of hash {found:?}; run `pulse fsck`")]
    Mismatch { hash: Hash, found: Hash },
    #[error("node {hash:?} lies at level {found}, its parent says {expected}; run `pulse fsck`")]
    Level { hash: Hash, expected: u8, found: u8 },
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("a key has {length} bytes, the limit is {MAX_KEY}")]
    KeyLength { length: usize },
    #[error("a value has {length} bytes, the limit is {MAX_VALUE}; store it as a blob")]
    ValueLength { length: usize },
    #[error("edit {index} does not follow the edit before it in key order")]
    Unsorted { index: usize },
}

/// All nodes of one store: dirty ones in memory, the others behind a cache.
pub struct TreeStore {
    source: Box<dyn NodeSource>,
    cache: NodeCache,
    dirty: RwLock<HashMap<Hash, Arc<Node>, ByHash>>,
    /// How many snapshots hold each root; what they reach survives every sweep. Locked after
    /// `dirty` when both are needed.
    pins: Mutex<BTreeMap<Hash, usize>>,
    sweep_at: Mutex<usize>,
}

/// Sweeping dirty nodes pays off only when there are many.
const SWEEP_FLOOR: usize = 4096;
pub const DEFAULT_CACHE_BYTES: usize = 64 << 20;

struct NoSource;

impl NodeSource for NoSource {
    fn load(&self, _hash: &Hash) -> Result<Option<Box<[u8]>>, BackendError> {
        Ok(None)
    }
}

impl TreeStore {
    pub fn new(source: Box<dyn NodeSource>, cache_bytes: usize) -> Arc<TreeStore> {
        Arc::new(TreeStore {
            source,
            cache: NodeCache::new(cache_bytes),
            dirty: RwLock::default(),
            pins: Mutex::default(),
            sweep_at: Mutex::new(SWEEP_FLOOR),
        })
    }

    /// A store that lives in memory only: for tests, previews and scratch work.
    pub fn in_memory() -> Arc<TreeStore> {
        TreeStore::new(Box::new(NoSource), DEFAULT_CACHE_BYTES)
    }

    /// The map without entries.
    pub fn empty(self: &Arc<Self>) -> Snapshot {
        self.adopt(Arc::new(NodeBuilder::new(0).finish()), Vec::new())
    }

    /// The version whose root is `root`; the root node is read now, the rest when asked for.
    pub fn snapshot(self: &Arc<Self>, root: Hash) -> Result<Snapshot, TreeError> {
        if root == empty_root() {
            return Ok(self.empty());
        }
        self.pin(root);
        match self.node(&root) {
            Ok(node) => Ok(Snapshot::pinned(self.clone(), node)),
            Err(error) => {
                self.unpin(root);
                Err(error)
            }
        }
    }

    /// A node by its hash, verified when it comes from outside of memory.
    pub fn node(&self, hash: &Hash) -> Result<Arc<Node>, TreeError> {
        if let Some(node) = self.cache.get(hash) {
            return Ok(node);
        }
        if let Some(node) = read(&self.dirty).get(hash) {
            return Ok(node.clone());
        }
        let Some(bytes) = self.source.load(hash)? else {
            return self.missing(hash);
        };
        let node =
            Node::parse(bytes).map_err(|source| TreeError::Damaged { hash: *hash, source })?;
        if node.hash() != *hash {
            return Err(TreeError::Mismatch { hash: *hash, found: node.hash() });
        }
        let node = Arc::new(node);
        self.cache.insert(node.clone());
        Ok(node)
    }

    /// A checkpoint may have moved the node from the dirty set to the source between the two
    /// looks of [`TreeStore::node`]; never the other way round.
    fn missing(&self, hash: &Hash) -> Result<Arc<Node>, TreeError> {
        if let Some(node) = self.cache.get(hash) {
            return Ok(node);
        }
        read(&self.dirty).get(hash).cloned().ok_or(TreeError::Missing { hash: *hash })
    }

    /// A child, whose level must be one below its parent's: what bounds every descent.
    pub(crate) fn child(&self, parent: &Node, slot: usize) -> Result<Arc<Node>, TreeError> {
        let hash = parent.link(slot).hash;
        let node = self.node(&hash)?;
        let expected = parent.level() - 1;
        if node.level() != expected {
            return Err(TreeError::Level { hash, expected, found: node.level() });
        }
        Ok(node)
    }

    /// Takes in the nodes of a new version and pins its root, in one step, so that a sweep can't
    /// fall between the two.
    pub(crate) fn adopt(self: &Arc<Self>, root: Arc<Node>, nodes: Vec<Arc<Node>>) -> Snapshot {
        let mut dirty = write(&self.dirty);
        for node in nodes {
            dirty.insert(node.hash(), node);
        }
        dirty.entry(root.hash()).or_insert_with(|| root.clone());
        self.pin(root.hash());
        let mut sweep_at = lock(&self.sweep_at);
        if dirty.len() > *sweep_at {
            self.sweep(&mut dirty);
            *sweep_at = (dirty.len() * 2).max(SWEEP_FLOOR);
        }
        drop((dirty, sweep_at));
        Snapshot::pinned(self.clone(), root)
    }

    /// Forgets dirty nodes which no pinned root reaches.
    fn sweep(&self, dirty: &mut HashMap<Hash, Arc<Node>, ByHash>) {
        let mut live: HashSet<Hash, ByHash> = HashSet::default();
        for root in lock(&self.pins).keys() {
            mark_dirty(dirty, *root, &mut live);
        }
        dirty.retain(|hash, _| live.contains(hash));
    }

    /// The nodes below `root` which only memory holds, children before parents.
    pub(crate) fn unsaved(&self, root: &Hash) -> Vec<Arc<Node>> {
        let dirty = read(&self.dirty);
        let (mut found, mut seen) = (Vec::new(), HashSet::default());
        collect_dirty(&dirty, root, &mut seen, &mut found);
        found
    }

    /// Notes that the source holds these nodes now.
    pub(crate) fn saved(&self, nodes: &[Arc<Node>]) {
        nodes.iter().for_each(|node| self.cache.insert(node.clone()));
        let mut dirty = write(&self.dirty);
        nodes.iter().for_each(|node| drop(dirty.remove(&node.hash())));
    }

    /// The roots that snapshots hold right now.
    pub fn pinned_roots(&self) -> Vec<Hash> {
        lock(&self.pins).keys().copied().collect()
    }

    pub fn is_pinned(&self, root: &Hash) -> bool {
        lock(&self.pins).contains_key(root)
    }

    pub fn dirty_nodes(&self) -> usize {
        read(&self.dirty).len()
    }

    pub fn cached_nodes(&self) -> usize {
        self.cache.count()
    }

    /// Forgets every cached node, so that reads see what the source holds: for `fsck`.
    pub fn drop_cache(&self) {
        self.cache.clear();
    }

    fn pin(&self, root: Hash) {
        *lock(&self.pins).entry(root).or_default() += 1;
    }

    pub(crate) fn unpin(&self, root: Hash) {
        let mut pins = lock(&self.pins);
        if let Some(count) = pins.get_mut(&root) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&root);
            }
        }
    }
}

/// The root hash of the map without entries.
pub fn empty_root() -> Hash {
    static ROOT: std::sync::OnceLock<Hash> = std::sync::OnceLock::new();
    *ROOT.get_or_init(|| NodeBuilder::new(0).finish().hash())
}

fn mark_dirty(
    dirty: &HashMap<Hash, Arc<Node>, ByHash>,
    hash: Hash,
    live: &mut HashSet<Hash, ByHash>,
) {
    let Some(node) = dirty.get(&hash) else { return };
    if live.insert(hash) && !node.is_leaf() {
        (0..node.len()).for_each(|slot| mark_dirty(dirty, node.link(slot).hash, live));
    }
}

fn collect_dirty(
    dirty: &HashMap<Hash, Arc<Node>, ByHash>,
    hash: &Hash,
    seen: &mut HashSet<Hash, ByHash>,
    found: &mut Vec<Arc<Node>>,
) {
    let Some(node) = dirty.get(hash) else { return };
    if !seen.insert(*hash) {
        return;
    }
    if !node.is_leaf() {
        (0..node.len()).for_each(|slot| collect_dirty(dirty, &node.link(slot).hash, seen, found));
    }
    found.push(node.clone());
}

/// A panic of another thread never leaves these maps half-changed: each change is one call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
