//! Which nodes a set of versions reaches: what garbage collection must keep.
//!
//! Leaves are never read: their hashes stand in their parents, so marking costs about a
//! fortieth of the store.

use std::collections::HashSet;

use pulse_schemas::hash::Hash;

use crate::tree::{TreeError, TreeStore, cache::ByHash, empty_root};

/// Hashes of everything reachable so far.
#[derive(Default)]
pub struct Marks {
    live: HashSet<Hash, ByHash>,
}

impl Marks {
    /// Marks a version. Fails rather than mark less than all of it.
    pub fn add(&mut self, tree: &TreeStore, root: Hash) -> Result<(), TreeError> {
        // The empty map need not be stored to be there.
        let mut open = if root == empty_root() { Vec::new() } else { vec![root] };
        self.live.insert(empty_root());
        while let Some(hash) = open.pop() {
            if !self.live.insert(hash) {
                continue;
            }
            let node = tree.node(&hash)?;
            if node.is_leaf() {
                continue;
            }
            for slot in 0..node.len() {
                let child = node.link(slot).hash;
                if node.level() == 1 {
                    self.live.insert(child);
                } else {
                    open.push(child);
                }
            }
        }
        Ok(())
    }

    pub fn contains(&self, hash: &Hash) -> bool {
        self.live.contains(hash)
    }

    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }
}
