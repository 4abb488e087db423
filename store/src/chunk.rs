//! Where nodes end: a decision from the hashes of keys and the sizes of entries since the last
//! boundary, never from the bytes of values: a value changed in place keeps its node's borders,
//! and two trees of the same content have the same nodes.
//!
//! The chance that a node ends behind an entry grows with the cube of the bytes already in it
//! (Weibull, shape 4, as in Dolt): sizes gather around the target instead of scattering
//! geometrically. All of it is integer arithmetic, because this is file format.

/// Nodes gather around this many bytes.
pub const TARGET: u64 = 1024;
/// A node never takes another entry once it holds this many bytes.
pub const LIMIT: u64 = 4096;
/// `TARGET / gamma(5/4)`: the scale which makes `TARGET` the mean of the distribution.
const SCALE: u128 = 1130;

/// Collects the size of the node under construction and says where it ends.
#[derive(Clone, Debug)]
pub struct Chunker {
    level: u8,
    size: u64,
}

impl Chunker {
    pub fn new(level: u8) -> Chunker {
        Chunker { level, size: 0 }
    }

    /// Takes the next entry and says whether the node ends behind it.
    pub fn ends_behind(&mut self, key: &[u8], entry_bytes: usize) -> bool {
        let before = self.size;
        self.size += entry_bytes as u64;
        let ends = self.size >= LIMIT || key_hash(self.level, key) < threshold(before, self.size);
        if ends {
            self.size = 0;
        }
        ends
    }
}

/// The probability, scaled to 2^32, that a node of `before` bytes ends within the entry which
/// makes it `after` bytes: (after⁴ − before⁴) / SCALE⁴, the rise of the cumulative hazard.
fn threshold(before: u64, after: u64) -> u64 {
    let fourth = |bytes: u64| u128::from(bytes).pow(4);
    let rise = fourth(after.min(LIMIT)) - fourth(before.min(LIMIT));
    ((rise << 32) / SCALE.pow(4)).min(1 << 32) as u64
}

/// 32 well-mixed bits of a key (SplitMix64's finalizer over little-endian words), salted by the
/// level: without the salt a key that ends a leaf would tend to end every node above it too.
fn key_hash(level: u8, key: &[u8]) -> u64 {
    let mut hash = mix(0x9e37_79b9_7f4a_7c15 ^ (u64::from(level) << 56) ^ key.len() as u64);
    for word in key.chunks(8) {
        let mut bytes = [0u8; 8];
        bytes[..word.len()].copy_from_slice(word);
        hash = mix(hash ^ u64::from_le_bytes(bytes));
    }
    hash >> 32
}

fn mix(mut word: u64) -> u64 {
    word ^= word >> 30;
    word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word ^= word >> 27;
    word = word.wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(entries: u64, entry_bytes: usize) -> Vec<u64> {
        let mut chunker = Chunker::new(0);
        let (mut sizes, mut size) = (Vec::new(), 0);
        for index in 0..entries {
            size += entry_bytes as u64;
            if chunker.ends_behind(&index.to_be_bytes(), entry_bytes) {
                sizes.push(size);
                size = 0;
            }
        }
        sizes
    }

    #[test]
    fn nodes_gather_around_the_target_and_respect_the_limit() {
        for entry_bytes in [20, 90, 300] {
            let sizes = sizes(20_000, entry_bytes);
            let mean = sizes.iter().sum::<u64>() / sizes.len() as u64;
            assert!((900..1250).contains(&mean), "{entry_bytes} B entries: mean {mean}");
            assert!(sizes.iter().all(|size| *size < LIMIT + entry_bytes as u64));
        }
    }

    #[test]
    fn an_entry_over_the_limit_ends_its_node() {
        assert!(Chunker::new(0).ends_behind(b"k", LIMIT as usize));
    }

    #[test]
    fn the_key_hash_is_file_format() {
        expect_test::expect!["3793791033"].assert_eq(&key_hash(0, b"").to_string());
        expect_test::expect!["392790537"].assert_eq(&key_hash(3, b"pulse-store").to_string());
    }
}
