//! The content hash: BLAKE3, because it hashes faster than the disk reads and
//! its tree mode lets large media be verified while they stream.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const PREFIX: &str = "b3:";

/// A 256-bit BLAKE3 hash; in text `b3:` and 64 lower-case hex digits.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[rkyv(derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash))]
pub struct Hash(pub [u8; 32]);

impl Hash {
    pub const ZERO: Hash = Hash([0; 32]);

    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// The first hex digits, as people quote them.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for Hash {
    fn from(hash: blake3::Hash) -> Hash {
        Hash(*hash.as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.short())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseHashError {
    #[error("a hash starts with `b3:`, found {found:?}")]
    Prefix { found: String },
    #[error("a hash has 64 hex digits after `b3:`, found {found}")]
    Length { found: usize },
    #[error("{found:?} at position {at} is not a hex digit")]
    Digit { found: char, at: usize },
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Hash, ParseHashError> {
        let Some(digits) = text.strip_prefix(PREFIX) else {
            return Err(ParseHashError::Prefix { found: text.chars().take(8).collect() });
        };
        if digits.chars().count() != 64 {
            return Err(ParseHashError::Length { found: digits.chars().count() });
        }
        let mut bytes = [0u8; 32];
        for (at, digit) in digits.chars().enumerate() {
            let Some(value) = digit.to_digit(16) else {
                return Err(ParseHashError::Digit { found: digit, at });
            };
            bytes[at / 2] = (bytes[at / 2] << 4) | value as u8;
        }
        Ok(Hash(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Hash {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hash".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "BLAKE3 content hash.",
            "pattern": "^b3:[0-9a-f]{64}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_its_text_form() {
        let hash = Hash::of(b"pulse");
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn a_bad_hash_says_what_is_wrong() {
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<Hash>().unwrap_err().to_string(), expect);
        };
        check("sha:00", "a hash starts with `b3:`, found \"sha:00\"");
        check("b3:00", "a hash has 64 hex digits after `b3:`, found 2");
        check(&format!("b3:{}", "x".repeat(64)), "'x' at position 0 is not a hex digit");
    }
}
