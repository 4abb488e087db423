//! Finds nodes by key while compiling and verifying: open addressing over dense
//! indices, because a binary search over long keys misses the cache at each step.

use pulse_schemas::graph::NodeKey;

pub(crate) struct KeyIndex {
    /// Index plus one; zero is free. At most half of it is taken.
    places: Vec<u32>,
}

impl KeyIndex {
    /// Of equal keys the first is found.
    pub fn new(keys: impl ExactSizeIterator<Item = NodeKey>) -> KeyIndex {
        let size = (keys.len() * 2).next_power_of_two().max(2);
        let mut index = KeyIndex { places: vec![0; size] };
        for (at, key) in keys.enumerate() {
            let mut place = index.home(key);
            while index.places[place] != 0 {
                place = (place + 1) & (size - 1);
            }
            index.places[place] = at as u32 + 1;
        }
        index
    }

    /// `key_of` gives the key of an index, as `new` was given it.
    pub fn find(&self, key: NodeKey, key_of: impl Fn(u32) -> NodeKey) -> Option<u32> {
        let mut place = self.home(key);
        loop {
            let at = self.places[place].checked_sub(1)?;
            if key_of(at) == key {
                return Some(at);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }

    fn home(&self, key: NodeKey) -> usize {
        let id = key.entity.id.0;
        let role = u64::from_be_bytes(key.role.to_bytes());
        let word = (id >> 64) as u64 ^ (id as u64).rotate_left(17) ^ role ^ key.entity.kind as u64;
        let mixed = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::key;

    #[test]
    fn every_key_is_found_and_no_other() {
        for count in [0u32, 1, 2, 100, 3_000] {
            let keys: Vec<NodeKey> = (0..count).map(|at| key(at * 7)).collect();
            let index = KeyIndex::new(keys.iter().copied());
            let find = |wanted| index.find(wanted, |at| keys[at as usize]);
            (0..count).for_each(|at| assert_eq!(find(key(at * 7)), Some(at)));
            assert_eq!(find(key(3)), None);
        }
    }
}
