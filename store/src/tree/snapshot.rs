//! One immutable version of the map.

use std::{ops::Bound, sync::Arc};

use pulse_schemas::hash::Hash;

use super::{Diff, Edit, Range, TreeError, TreeStore, apply};
use crate::node::{Key, Node, Value};

/// A version of the map. Cheap to clone and to send; while one lives, nothing it reaches is
/// collected.
pub struct Snapshot {
    store: Arc<TreeStore>,
    root: Arc<Node>,
}

impl Snapshot {
    /// Takes over a pin that the caller has set.
    pub(super) fn pinned(store: Arc<TreeStore>, root: Arc<Node>) -> Snapshot {
        Snapshot { store, root }
    }

    /// The content hash of the whole map.
    pub fn root(&self) -> Hash {
        self.root.hash()
    }

    pub fn store(&self) -> &Arc<TreeStore> {
        &self.store
    }

    pub(crate) fn root_node(&self) -> &Arc<Node> {
        &self.root
    }

    pub fn len(&self) -> u64 {
        self.root.entries()
    }

    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, TreeError> {
        let mut node = self.root.clone();
        loop {
            let slot = node.lower_bound(key);
            if slot == node.len() {
                return Ok(None);
            }
            if node.is_leaf() {
                let found = node.key(slot) == key;
                return Ok(found.then(|| Value::of(node, slot)));
            }
            node = self.store.child(&node, slot)?;
        }
    }

    pub fn contains(&self, key: &[u8]) -> Result<bool, TreeError> {
        Ok(self.get(key)?.is_some())
    }

    /// The entries from `start` on, up to `end`, in key order.
    pub fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Range {
        Range::new(self.store.clone(), self.root.clone(), start, end)
    }

    pub fn iter(&self) -> Range {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// The entries whose keys start with `prefix`.
    pub fn scan(&self, prefix: &[u8]) -> Range {
        match prefix_end(prefix) {
            Some(end) => self.range(Bound::Included(prefix), Bound::Excluded(&end)),
            None => self.range(Bound::Included(prefix), Bound::Unbounded),
        }
    }

    /// How many keys start with `prefix`, at the cost of two paths: links say what is below them.
    pub fn count(&self, prefix: &[u8]) -> Result<u64, TreeError> {
        let end = match prefix_end(prefix) {
            Some(end) => self.count_below(&end)?,
            None => self.len(),
        };
        Ok(end.saturating_sub(self.count_below(prefix)?))
    }

    fn count_below(&self, key: &[u8]) -> Result<u64, TreeError> {
        let (mut node, mut before) = (self.root.clone(), 0);
        loop {
            let slot = node.lower_bound(key);
            if node.is_leaf() {
                return Ok(before + slot as u64);
            }
            before += (0..slot).map(|slot| node.link(slot).entries).sum::<u64>();
            if slot == node.len() {
                return Ok(before);
            }
            node = self.store.child(&node, slot)?;
        }
    }

    /// The last entry whose key is below `key`.
    pub fn entry_before(&self, key: &[u8]) -> Result<Option<(Key, Value)>, TreeError> {
        let mut node = self.root.clone();
        // The left neighbour of the path: where the answer lies if the leaf starts behind `key`.
        let mut neighbour = None;
        while !node.is_leaf() {
            let slot = node.lower_bound(key);
            if slot > 0 {
                neighbour = Some((node.clone(), slot - 1));
            }
            if slot == node.len() {
                break;
            }
            node = self.store.child(&node, slot)?;
        }
        let slot = if node.is_leaf() { node.lower_bound(key) } else { 0 };
        if slot > 0 {
            return Ok(Some((Key::of(node.clone(), slot - 1), Value::of(node, slot - 1))));
        }
        let Some((mut node, mut slot)) = neighbour else { return Ok(None) };
        while !node.is_leaf() {
            node = self.store.child(&node, slot)?;
            slot = node.len().saturating_sub(1);
        }
        Ok(Some((Key::of(node.clone(), slot), Value::of(node, slot))))
    }

    /// The version with `edits` applied; they are in strictly ascending key order. Deleting an
    /// absent key and writing the present value change nothing.
    pub fn edit(&self, edits: &[Edit]) -> Result<Snapshot, TreeError> {
        apply::check(edits)?;
        let (root, nodes) = apply::apply(&self.store, &self.root, edits)?;
        if root.hash() == self.root() {
            return Ok(self.clone());
        }
        Ok(self.store.adopt(root, nodes))
    }

    /// What to change here to get `other`, at the cost of the difference. Both must be of one
    /// store.
    pub fn diff(&self, other: &Snapshot) -> Diff {
        Diff::new(self, other)
    }
}

impl Clone for Snapshot {
    fn clone(&self) -> Snapshot {
        self.store.pin(self.root.hash());
        Snapshot { store: self.store.clone(), root: self.root.clone() }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.store.unpin(self.root.hash());
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({:?}, {} entries)", self.root.hash(), self.len())
    }
}

/// The first key behind all keys that start with `prefix`, if there is one.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
