//! The bounded cache of clean nodes: two generations instead of a linked list.
//!
//! A hit in the young generation takes a shared lock only, so readers on several threads don't
//! queue. When the young generation is full it becomes the old one and the old one is forgotten;
//! what is still in use returns with its next hit.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, RwLock},
};

use pulse_schemas::hash::Hash;

use super::{read, write};
use crate::node::Node;

/// Content hashes are uniform already; eight of their bytes serve as the table hash.
pub type ByHash = BuildHasherDefault<HashHasher>;

#[derive(Default)]
pub struct HashHasher(u64);

impl Hasher for HashHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        let len = bytes.len().min(8);
        word[..len].copy_from_slice(&bytes[..len]);
        self.0 ^= u64::from_le_bytes(word);
    }

    fn write_usize(&mut self, _length_prefix: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a node costs in memory beyond its bytes, roughly.
const OVERHEAD: usize = 160;

pub struct NodeCache {
    generations: RwLock<Generations>,
    young_limit: usize,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Hash, Arc<Node>, ByHash>,
    old: HashMap<Hash, Arc<Node>, ByHash>,
    young_bytes: usize,
}

impl NodeCache {
    pub fn new(limit_bytes: usize) -> NodeCache {
        NodeCache { generations: RwLock::default(), young_limit: limit_bytes / 2 }
    }

    pub fn get(&self, hash: &Hash) -> Option<Arc<Node>> {
        let generations = read(&self.generations);
        if let Some(node) = generations.young.get(hash) {
            return Some(node.clone());
        }
        let node = generations.old.get(hash)?.clone();
        drop(generations);
        self.insert(node.clone());
        Some(node)
    }

    pub fn insert(&self, node: Arc<Node>) {
        let mut generations = write(&self.generations);
        let bytes = node.bytes().len() + OVERHEAD;
        if generations.young_bytes + bytes > self.young_limit {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
        if generations.young.insert(node.hash(), node).is_none() {
            generations.young_bytes += bytes;
        }
    }

    /// How many nodes lie in memory; one that lies in both generations counts once.
    pub fn count(&self) -> usize {
        let generations = read(&self.generations);
        let Generations { young, old, .. } = &*generations;
        young.len() + old.keys().filter(|hash| !young.contains_key(*hash)).count()
    }

    pub fn clear(&self) {
        *write(&self.generations) = Generations::default();
    }
}
