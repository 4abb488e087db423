//! Sound and state as bytes of the cache.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use pulse_schemas::hash::Hash;

/// Sound of one port for one segment: left, right. A mono port fills both.
pub type Sound = Arc<[Vec<f32>; 2]>;

/// Planar little-endian floats: all of the left, then all of the right.
pub fn encode(sound: &[Vec<f32>; 2]) -> Vec<u8> {
    sound.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// None where the bytes are no sound of this length.
pub fn decode(bytes: &[u8], frames: usize) -> Option<[Vec<f32>; 2]> {
    if bytes.len() != frames * 8 {
        return None;
    }
    let channel = |bytes: &[u8]| {
        let (chunks, _) = bytes.as_chunks::<4>();
        chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
    };
    let (left, right) = bytes.split_at(frames * 4);
    Some([channel(left), channel(right)])
}

pub fn is_silent(sound: &[Vec<f32>; 2]) -> bool {
    sound.iter().flatten().all(|sample| sample.to_bits() == 0)
}

/// Sound in memory, bounded: what is gone is read from the cache again.
pub struct Recent {
    limit: usize,
    bytes: usize,
    order: VecDeque<Hash>,
    by_hash: BTreeMap<Hash, Sound>,
}

impl Recent {
    pub fn new(limit: usize) -> Recent {
        Recent { limit, bytes: 0, order: VecDeque::new(), by_hash: BTreeMap::new() }
    }

    pub fn get(&self, hash: &Hash) -> Option<Sound> {
        self.by_hash.get(hash).cloned()
    }

    pub fn put(&mut self, hash: Hash, sound: Sound) {
        let size = sound[0].len() * 8;
        if self.by_hash.insert(hash, sound).is_none() {
            self.order.push_back(hash);
            self.bytes += size;
        }
        while self.bytes > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(sound) = self.by_hash.remove(&oldest) {
                self.bytes -= sound[0].len() * 8;
            }
        }
    }
}
