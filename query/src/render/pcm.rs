//! Sound and state as bytes of the cache.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use pulse_schemas::hash::Hash;

/// Sound of one port for one segment: left, right. A mono port fills both.
pub type Sound = Arc<[Vec<f32>; 2]>;

/// Planar little-endian floats: all of the left, then all of the right; where both
/// are the same bits, once. One sound has one form, so hashes of forms tell sounds
/// apart.
pub fn encode(sound: &[Vec<f32>; 2]) -> Vec<u8> {
    let [left, right] = sound;
    let channels = if same_bits(left, right) { &sound[..1] } else { &sound[..] };
    let mut bytes = vec![0; channels.iter().map(|channel| channel.len() * 4).sum()];
    let (words, _) = bytes.as_chunks_mut::<4>();
    for (word, sample) in words.iter_mut().zip(channels.iter().flat_map(|channel| &channel[..])) {
        *word = sample.to_le_bytes();
    }
    bytes
}

fn same_bits(left: &[f32], right: &[f32]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
}

/// None where the bytes are no sound of this length.
pub fn decode(bytes: &[u8], frames: usize) -> Option<[Vec<f32>; 2]> {
    let channel = |bytes: &[u8]| -> Vec<f32> {
        let (words, _) = bytes.as_chunks::<4>();
        words.iter().map(|word| f32::from_le_bytes(*word)).collect()
    };
    if bytes.len() == frames * 4 {
        let both = channel(bytes);
        return Some([both.clone(), both]);
    }
    let (left, right) = bytes.split_at_checked(frames * 4)?;
    (right.len() == left.len()).then(|| [channel(left), channel(right)])
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &[f32], right: &[f32], bytes: usize) {
        let sound = [left.to_vec(), right.to_vec()];
        let form = encode(&sound);
        assert_eq!(form.len(), bytes);
        let bits = |sound: &[Vec<f32>; 2]| sound.clone().map(|channel| bits_of(&channel));
        let back = decode(&form, left.len()).unwrap();
        assert_eq!(bits(&back), bits(&sound));
        assert!(decode(&form[1..], left.len()).is_none());
        assert!(decode(&form, left.len() + 1).is_none());
    }

    fn bits_of(channel: &[f32]) -> Vec<u32> {
        channel.iter().map(|sample| sample.to_bits()).collect()
    }

    #[test]
    fn two_equal_channels_take_the_room_of_one() {
        check(&[0.5, -0.25, 1.0], &[0.5, -0.25, 1.0], 12);
        check(&[0.5, -0.25, 1.0], &[0.5, -0.25, 0.5], 24);
        // Zeros of two signs are two sounds.
        check(&[0.0, 0.5, 0.5], &[-0.0, 0.5, 0.5], 24);
    }
}
