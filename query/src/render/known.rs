//! What a render notes of a segment of a unit.

use pulse_schemas::hash::Hash;

/// The value of an action: the hashes of what was made.
#[derive(Clone, PartialEq, Debug)]
pub struct Known {
    pub key: Hash,
    /// Of the sound of each port, in the runner's order.
    pub ports: Vec<Hash>,
    /// Of the state behind it.
    pub state: Hash,
    /// Of states within it, for who plays it; zeros where none are kept.
    pub points: Hash,
}

impl Known {
    pub fn to_bytes(&self) -> Vec<u8> {
        self.ports.iter().chain([&self.state, &self.points]).flat_map(|hash| hash.0).collect()
    }

    /// None where it is not of a unit with so many ports.
    pub fn from_bytes(key: Hash, bytes: &[u8], ports: usize) -> Option<Known> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let mut hashes: Vec<Hash> = hashes.iter().map(|hash| Hash(*hash)).collect();
        if !rest.is_empty() || hashes.len() != ports + 2 {
            return None;
        }
        let (points, state) = (hashes.pop()?, hashes.pop()?);
        Some(Known { key, ports: hashes, state, points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_for_a_unit_of_its_kind_only() {
        let hash = |byte| Hash([byte; 32]);
        let known =
            Known { key: hash(9), ports: vec![hash(1), hash(2)], state: hash(3), points: hash(4) };
        let bytes = known.to_bytes();
        assert_eq!(Known::from_bytes(hash(9), &bytes, 2), Some(known));
        for ports in [0, 1, 3] {
            assert_eq!(Known::from_bytes(hash(9), &bytes, ports), None);
        }
        assert_eq!(Known::from_bytes(hash(9), &bytes[1..], 2), None);
    }
}
