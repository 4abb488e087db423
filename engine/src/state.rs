//! State as bytes, and what else follows from one walk over it: rounding,
//! hashing, copying from one node to another.

use crate::node::{Node, StateVisitor};

/// Anything whose state can be walked in a fixed order.
pub trait Visit {
    fn visit(&mut self, visitor: &mut dyn StateVisitor);
}

impl<N: Node + ?Sized> Visit for N {
    fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        self.visit_state(visitor);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadStateError {
    #[error(
        "the saved state has {found} bytes where this node needs {expected}; it belongs to \
         another version or layout, so start the node fresh"
    )]
    Length { expected: usize, found: usize },
}

/// Appends every value in its order, little-endian.
pub struct Saver<'a>(pub &'a mut Vec<u8>);

impl StateVisitor for Saver<'_> {
    fn f64(&mut self, value: &mut f64) {
        self.0.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    fn u64(&mut self, value: &mut u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn f32s(&mut self, values: &mut [f32]) {
        values.iter().for_each(|value| self.0.extend_from_slice(&value.to_bits().to_le_bytes()));
    }
}

/// Reads what [`Saver`] wrote. Running past the end leaves values alone and is
/// counted, so that the caller can refuse.
pub(crate) struct Loader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Loader<'a> {
    pub fn new(bytes: &'a [u8]) -> Loader<'a> {
        Loader { bytes, at: 0 }
    }

    /// What has not been read; none when more was read than there is.
    pub fn rest(&self) -> Option<&'a [u8]> {
        self.bytes.get(self.at..)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let found = self.bytes.get(self.at..self.at + N).and_then(|part| part.try_into().ok());
        self.at += N;
        found
    }
}

impl StateVisitor for Loader<'_> {
    fn f64(&mut self, value: &mut f64) {
        if let Some(bytes) = self.take() {
            *value = f64::from_bits(u64::from_le_bytes(bytes));
        }
    }

    fn u64(&mut self, value: &mut u64) {
        if let Some(bytes) = self.take() {
            *value = u64::from_le_bytes(bytes);
        }
    }

    fn f32s(&mut self, values: &mut [f32]) {
        for value in values {
            if let Some(bytes) = self.take() {
                *value = f32::from_bits(u32::from_le_bytes(bytes));
            }
        }
    }
}

/// Rounds every `f64` to the 2⁻³² grid; integers and audio stay.
pub struct Rounder;

impl StateVisitor for Rounder {
    fn f64(&mut self, value: &mut f64) {
        *value = crate::math::round_to_grid(*value);
    }

    fn u64(&mut self, _: &mut u64) {}

    fn f32s(&mut self, _: &mut [f32]) {}
}

struct Counter(usize);

impl StateVisitor for Counter {
    fn f64(&mut self, _: &mut f64) {
        self.0 += 8;
    }

    fn u64(&mut self, _: &mut u64) {
        self.0 += 8;
    }

    fn f32s(&mut self, values: &mut [f32]) {
        self.0 += 4 * values.len();
    }
}

pub fn save_state<V: Visit + ?Sized>(state: &mut V) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.visit(&mut Saver(&mut bytes));
    bytes
}

/// All or nothing: state of another length is refused and nothing is touched.
pub fn load_state<V: Visit + ?Sized>(state: &mut V, bytes: &[u8]) -> Result<(), LoadStateError> {
    let expected = state_len(state);
    if expected != bytes.len() {
        return Err(LoadStateError::Length { expected, found: bytes.len() });
    }
    state.visit(&mut Loader { bytes, at: 0 });
    Ok(())
}

/// Bytes that [`save_state`] would give. Real-time safe.
pub fn state_len<V: Visit + ?Sized>(state: &mut V) -> usize {
    let mut counter = Counter(0);
    state.visit(&mut counter);
    counter.0
}

pub fn round_state<V: Visit + ?Sized>(state: &mut V) {
    state.visit(&mut Rounder);
}
