//! States within a segment, so that whoever plays it can leave it anywhere.
//!
//! Most of a state is parameters that stand still, so every state is written as
//! the words in which it differs from the first. See docs/file-format.md.

/// Frames from one point to the next, beginning with the segment.
pub const EVERY: u64 = 2_048;

const VERSION: u8 = 1;
const WHOLE: u8 = 0;
const CHANGES: u8 = 1;
const WORD: usize = 8;

/// States at multiples of [`EVERY`] frames, without those at both ends.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Points {
    bytes: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
}

impl Points {
    pub fn of(states: &[Vec<u8>]) -> Points {
        let mut points = Points { bytes: vec![VERSION], starts: vec![] };
        let first = states.first().map_or(&[][..], Vec::as_slice);
        for (index, state) in states.iter().enumerate() {
            points.starts.push(points.bytes.len());
            let (form, body) = match index > 0 && state.len() == first.len() {
                true => (CHANGES, changes(first, state)),
                false => (WHOLE, state.clone()),
            };
            points.bytes.push(form);
            points.bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
            points.bytes.extend_from_slice(&body);
        }
        points
    }

    /// None where the bytes are none of a version that is known.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Points> {
        let (&version, mut rest) = bytes.split_first()?;
        let mut starts = vec![];
        while !rest.is_empty() {
            starts.push(bytes.len() - rest.len());
            rest = split(rest)?.2;
        }
        (version == VERSION).then_some(Points { bytes, starts })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The state at a point; the first one lies [`EVERY`] frames behind the beginning.
    pub fn get(&self, index: usize) -> Option<Vec<u8>> {
        let (form, body, _) = split(self.bytes.get(*self.starts.get(index)?..)?)?;
        match form {
            WHOLE => Some(body.to_vec()),
            CHANGES => {
                let (_, first, _) = split(self.bytes.get(*self.starts.first()?..)?)?;
                changed(first, body)
            }
            _ => None,
        }
    }
}

/// Form and body of the state at the beginning, and what comes behind.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&form, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((form, body, rest))
}

/// One bit a word, set where it is another one, then those words. The last word may
/// be a short one.
fn changes(first: &[u8], state: &[u8]) -> Vec<u8> {
    let mut out = vec![0; first.len().div_ceil(WORD).div_ceil(8)];
    for (at, (old, new)) in first.chunks(WORD).zip(state.chunks(WORD)).enumerate() {
        if old != new {
            out[at / 8] |= 1 << (at % 8);
            out.extend_from_slice(new);
        }
    }
    out
}

fn changed(first: &[u8], changes: &[u8]) -> Option<Vec<u8>> {
    let (bits, mut words) = changes.split_at_checked(first.len().div_ceil(WORD).div_ceil(8))?;
    let mut state = first.to_vec();
    for (at, word) in state.chunks_mut(WORD).enumerate() {
        if bits[at / 8] & 1 << (at % 8) != 0 {
            let (new, rest) = words.split_at_checked(word.len())?;
            word.copy_from_slice(new);
            words = rest;
        }
    }
    words.is_empty().then_some(state)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn states_come_back_as_they_were(
            states in prop::collection::vec(prop::collection::vec(0u8..3, 0..40), 0..6),
        ) {
            let points = Points::of(&states);
            let read = Points::from_bytes(points.as_bytes().to_vec()).unwrap();
            prop_assert_eq!(&read, &points);
            prop_assert_eq!(read.len(), states.len());
            let back: Option<Vec<_>> = (0..states.len()).map(|at| read.get(at)).collect();
            prop_assert_eq!(back, Some(states));
            prop_assert_eq!(read.get(read.len()), None);
        }

        #[test]
        fn bytes_of_others_are_refused_or_read_without_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut versioned = vec![VERSION];
            versioned.extend(&bytes);
            for bytes in [bytes, versioned] {
                if let Some(points) = Points::from_bytes(bytes) {
                    (0..points.len()).for_each(|at| _ = points.get(at));
                }
            }
        }
    }

    #[test]
    fn what_stands_still_takes_a_bit_a_word() {
        let state = vec![7u8; 8_000];
        let mut moved = state.clone();
        moved[800] = 8;
        let points = Points::of(&[state, moved.clone(), moved]);
        assert_eq!(points.as_bytes().len(), 1 + (5 + 8_000) + 2 * (5 + 125 + 8));
    }

    #[test]
    fn the_bytes_are_those_of_the_first_version() {
        let points = Points::of(&[vec![1; 10], vec![1; 10], [vec![1; 8], vec![2; 2]].concat()]);
        let expect: &[u8] = &[
            1, // version
            0, 10, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // whole
            1, 1, 0, 0, 0, 0, // no changes
            1, 3, 0, 0, 0, 2, 2, 2, // the second word
        ];
        assert_eq!(points.as_bytes(), expect);
        assert_eq!(Points::from_bytes([&[2], &expect[1..]].concat()), None);
    }
}
