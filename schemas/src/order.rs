//! Order among siblings where musical time gives none: a fractional key, so
//! that an insertion writes one field of one entity and two branches that
//! insert at the same place merge without renumbering anything. Equal keys are
//! legal; the entity id breaks the tie.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A fractional key, compared byte by byte.
///
/// The first letter says how long the integer part is (`a` = one digit, `b` =
/// two …; `Z` = minus one digit …), so that appending costs a logarithm of the
/// number of siblings and not one digit for every few of them.
#[derive(
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[serde(transparent)]
pub struct OrderKey(pub String);

impl Default for OrderKey {
    fn default() -> OrderKey {
        OrderKey("a0".to_owned())
    }
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl OrderKey {
    /// A key after `low` and before `high`.
    ///
    /// Where the two leave no room (they are equal after a merge, or came in
    /// the wrong order), the key lies just after `low`.
    pub fn between(low: Option<&OrderKey>, high: Option<&OrderKey>) -> OrderKey {
        let low = low.filter(|key| key.is_valid());
        let high = high.filter(|key| key.is_valid());
        match (low, high) {
            (None, None) => OrderKey::default(),
            (Some(low), None) => low.next(),
            (None, Some(high)) => high.previous(),
            (Some(low), Some(high)) if low < high => low.middle(high),
            (Some(low), Some(_)) => low.just_after(),
        }
    }

    /// Whether the key has the form that [`OrderKey::between`] makes.
    pub fn is_valid(&self) -> bool {
        let bytes = self.0.as_bytes();
        bytes.len() <= 256
            && integer_length(bytes).is_some_and(|length| bytes.len() >= length)
            && bytes.iter().all(|byte| value(*byte).is_some())
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let bytes = self.0.as_bytes();
        bytes.split_at(integer_length(bytes).unwrap_or(bytes.len()).min(bytes.len()))
    }

    fn next(&self) -> OrderKey {
        let (integer, _) = self.split();
        increment(integer).map_or_else(|| self.just_after(), from_bytes)
    }

    fn previous(&self) -> OrderKey {
        let (integer, fraction) = self.split();
        if !fraction.is_empty() && fraction.iter().any(|byte| *byte != b'0') {
            return from_bytes(integer.to_vec());
        }
        decrement(integer).map_or_else(|| from_bytes(integer.to_vec()), from_bytes)
    }

    fn just_after(&self) -> OrderKey {
        from_bytes([self.0.as_bytes(), b"V"].concat())
    }

    fn middle(&self, high: &OrderKey) -> OrderKey {
        let (low_integer, low_fraction) = self.split();
        let (high_integer, high_fraction) = high.split();
        if low_integer == high_integer {
            let fraction = between_fractions(low_fraction, Some(high_fraction));
            return from_bytes([low_integer, &fraction].concat());
        }
        match increment(low_integer) {
            Some(next) if next.as_slice() < high.0.as_bytes() => from_bytes(next),
            _ => {
                let fraction = between_fractions(low_fraction, None);
                from_bytes([low_integer, &fraction].concat())
            }
        }
    }
}

fn from_bytes(bytes: Vec<u8>) -> OrderKey {
    OrderKey(bytes.into_iter().map(char::from).collect())
}

fn value(digit: u8) -> Option<usize> {
    DIGITS.iter().position(|known| *known == digit)
}

/// Bytes of the integer part, its head included.
fn integer_length(key: &[u8]) -> Option<usize> {
    match key.first()? {
        head @ b'a'..=b'z' => Some(usize::from(head - b'a') + 2),
        head @ b'A'..=b'Z' => Some(usize::from(b'Z' - head) + 2),
        _ => None,
    }
}

fn increment(integer: &[u8]) -> Option<Vec<u8>> {
    let mut digits = integer.to_vec();
    for at in (1..digits.len()).rev() {
        let next = value(digits[at])? + 1;
        if next < DIGITS.len() {
            digits[at] = DIGITS[next];
            return Some(digits);
        }
        digits[at] = DIGITS[0];
    }
    match digits[0] {
        b'Z' => Some(b"a0".to_vec()),
        b'z' => None,
        head => {
            let head = head + 1;
            let length = integer_length(&[head])?;
            Some([vec![head], vec![DIGITS[0]; length - 1]].concat())
        }
    }
}

fn decrement(integer: &[u8]) -> Option<Vec<u8>> {
    let mut digits = integer.to_vec();
    for at in (1..digits.len()).rev() {
        if let Some(previous) = value(digits[at])?.checked_sub(1) {
            digits[at] = DIGITS[previous];
            return Some(digits);
        }
        digits[at] = DIGITS[61];
    }
    match digits[0] {
        b'a' => Some(b"Zz".to_vec()),
        b'A' => None,
        head => {
            let head = head - 1;
            let length = integer_length(&[head])?;
            Some([vec![head], vec![DIGITS[61]; length - 1]].concat())
        }
    }
}

/// A fraction strictly between two; `None` is one. `low < high` as fractions
/// padded with zeros, or the result lies just after `low`.
fn between_fractions(low: &[u8], high: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bounded = high;
    for at in 0.. {
        let below = low.get(at).and_then(|digit| value(*digit)).unwrap_or(0);
        let above = match bounded {
            Some(high) => high.get(at).and_then(|digit| value(*digit)).unwrap_or(0),
            None => DIGITS.len(),
        };
        if above > below + 1 {
            out.push(DIGITS[(below + above) / 2]);
            return out;
        }
        out.push(DIGITS[below.min(61)]);
        if above > below || at >= low.len().max(high.map_or(0, <[u8]>::len)) {
            bounded = None;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn appending_ten_thousand_siblings_stays_short() {
        let mut last: Option<OrderKey> = None;
        for _ in 0..10_000 {
            let next = OrderKey::between(last.as_ref(), None);
            assert!(last.as_ref().is_none_or(|last| last < &next));
            last = Some(next);
        }
        assert!(last.unwrap().0.len() <= 4);
    }

    #[test]
    fn prepending_ten_thousand_siblings_stays_short() {
        let mut first: Option<OrderKey> = None;
        for _ in 0..10_000 {
            let next = OrderKey::between(None, first.as_ref());
            assert!(first.as_ref().is_none_or(|first| &next < first));
            first = Some(next);
        }
        assert!(first.unwrap().0.len() <= 4);
    }

    #[test]
    fn equal_neighbours_leave_a_place_after_both() {
        let key = OrderKey::default();
        assert!(OrderKey::between(Some(&key), Some(&key)) > key);
    }

    proptest! {
        #[test]
        fn an_insertion_anywhere_keeps_the_order(places in prop::collection::vec(0usize..1000, 1..300)) {
            let mut keys: Vec<OrderKey> = Vec::new();
            for place in places {
                let at = place % (keys.len() + 1);
                let low = at.checked_sub(1).map(|at| keys[at].clone());
                let key = OrderKey::between(low.as_ref(), keys.get(at));
                prop_assert!(key.is_valid(), "{key:?}");
                keys.insert(at, key);
            }
            prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
        }
    }
}
