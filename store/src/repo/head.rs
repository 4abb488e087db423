//! What a checkpoint says about the whole store.

use pulse_schemas::hash::Hash;

use crate::{
    codec::{Malformed, Reader},
    journal::check_sum,
};

/// Bumped when anything about the store's files changes that an older program can't read.
pub const FORMAT: u32 = 1;
pub(crate) const MAGIC: &[u8; 4] = b"PHED";
/// Bytes of a head, with and without the first history row.
pub(crate) const LENGTHS: [usize; 2] = [113, 105];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub store_id: [u8; 16],
    /// The project's entities.
    pub root: Hash,
    /// Refs, commits and whatever else is not part of the project's content.
    pub meta: Hash,
    /// The last row this checkpoint covers.
    pub seq: u64,
    /// The journal was created: from now on its absence is damage.
    pub journal_ready: bool,
    /// The first history row that was not pruned: with it, rows that are gone are told from rows
    /// that were let go. 0 in heads written before this was noted.
    pub rows_from: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("the store's head is damaged")]
    Damaged,
    #[error("format {found} comes from a newer pulse (this one reads {FORMAT}); update pulse")]
    Future { found: u32 },
}

impl From<Malformed> for HeadError {
    fn from(_: Malformed) -> HeadError {
        HeadError::Damaged
    }
}

impl Head {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.root.0);
        bytes.extend_from_slice(&self.meta.0);
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.push(u8::from(self.journal_ready));
        bytes.extend_from_slice(&self.rows_from.to_le_bytes());
        let check = check_sum(&[&bytes]);
        bytes.extend_from_slice(&check);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Head, HeadError> {
        let (body, check) =
            bytes.split_at_checked(bytes.len().saturating_sub(8)).ok_or(HeadError::Damaged)?;
        let mut reader = Reader::new(body);
        if reader.take(4)? != MAGIC || check != check_sum(&[body]) {
            return Err(HeadError::Damaged);
        }
        let found = u32::from_le_bytes(reader.array()?);
        if found != FORMAT {
            return Err(HeadError::Future { found });
        }
        let head = Head {
            store_id: reader.array()?,
            root: Hash(reader.array()?),
            meta: Hash(reader.array()?),
            seq: u64::from_le_bytes(reader.array()?),
            journal_ready: reader.byte()? != 0,
            rows_from: match reader.rest().len() {
                0 => 0,
                _ => u64::from_le_bytes(reader.array()?),
            },
        };
        if reader.rest().is_empty() { Ok(head) } else { Err(HeadError::Damaged) }
    }
}
