//! Every transaction of the past: what it changed, both ways, and what the layer above noted.
//!
//! Intermediate versions are not stored as trees; a row's changes lead from one to its
//! neighbour, and its root hash proves that the way was right.

use pulse_schemas::hash::Hash;

use crate::{
    codec::{Malformed, Reader, put_bytes},
    journal::{
        check_sum,
        row::{Delta, DeltaValue},
    },
    tree::Edit,
};

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    pub seq: u64,
    pub before: Hash,
    pub after: Hash,
    pub keep: bool,
    pub change: HistoryChange,
    /// Opaque to this layer.
    pub info: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryChange {
    /// In key order.
    Patch(Vec<KeyChange>),
    /// A change so large that both versions are kept as trees instead.
    Jump,
}

/// One key's value on both sides of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    pub key: Vec<u8>,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
}

const KEEP: u8 = 1;
const JUMP: u8 = 2;

impl HistoryRow {
    /// The edits that take the transaction back; `None` for a jump (use its `before` root).
    pub fn inverse(&self) -> Option<Vec<Edit>> {
        let HistoryChange::Patch(changes) = &self.change else { return None };
        let back =
            |change: &KeyChange| Edit { key: change.key.clone(), value: change.before.clone() };
        Some(changes.iter().map(back).collect())
    }

    /// The edits of the transaction; `None` for a jump.
    pub fn edits(&self) -> Option<Vec<Edit>> {
        let HistoryChange::Patch(changes) = &self.change else { return None };
        let forth =
            |change: &KeyChange| Edit { key: change.key.clone(), value: change.after.clone() };
        Some(changes.iter().map(forth).collect())
    }

    pub fn is_jump(&self) -> bool {
        self.change == HistoryChange::Jump
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![(KEEP * u8::from(self.keep)) | (JUMP * u8::from(self.is_jump()))];
        out.extend_from_slice(&self.before.0);
        out.extend_from_slice(&self.after.0);
        put_bytes(&mut out, &self.info);
        if let HistoryChange::Patch(changes) = &self.change {
            changes.iter().for_each(|change| change.encode(&mut out));
        }
        let check = row_check(self.seq, &out);
        out.extend_from_slice(&check);
        out
    }

    pub fn decode(seq: u64, bytes: &[u8]) -> Result<HistoryRow, Malformed> {
        let (body, check) =
            bytes.split_at_checked(bytes.len().saturating_sub(8)).ok_or(Malformed)?;
        if check != row_check(seq, body) {
            return Err(Malformed);
        }
        let mut reader = Reader::new(body);
        let flags = reader.byte()?;
        let (before, after) = (Hash(reader.array()?), Hash(reader.array()?));
        let info = reader.bytes()?.to_vec();
        let mut changes = Vec::new();
        while !reader.rest().is_empty() {
            changes.push(KeyChange::decode(&mut reader)?);
        }
        let change = match flags {
            0 | KEEP => HistoryChange::Patch(changes),
            _ if flags & !(KEEP | JUMP) == 0 && changes.is_empty() => HistoryChange::Jump,
            _ => return Err(Malformed),
        };
        Ok(HistoryRow { seq, before, after, keep: flags & KEEP != 0, change, info })
    }
}

impl HistoryRow {
    /// A row that begins here and ends somewhere, and its length: the check says where.
    pub(crate) fn decode_prefix(seq: u64, bytes: &[u8]) -> Option<(HistoryRow, usize)> {
        let mut reader = Reader::new(bytes);
        if reader.byte().ok()? & !(KEEP | JUMP) != 0 {
            return None;
        }
        reader.take(64).ok()?;
        reader.bytes().ok()?;
        loop {
            let length = bytes.len() - reader.rest().len();
            let check = reader.rest().get(..8)?;
            if check == row_check(seq, &bytes[..length]) {
                let row = HistoryRow::decode(seq, &bytes[..length + 8]).ok()?;
                return Some((row, length + 8));
            }
            KeyChange::skip(&mut reader).ok()?;
        }
    }
}

/// A database page has no checksum that is verified on reading, so a row brings its own.
fn row_check(seq: u64, body: &[u8]) -> [u8; 8] {
    check_sum(&[&seq.to_le_bytes(), body])
}

impl KeyChange {
    /// Key, the value before behind a flag byte, the value after in terms of it.
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        out.push(u8::from(self.before.is_some()));
        if let Some(before) = &self.before {
            put_bytes(out, before);
        }
        let edit = Edit { key: Vec::new(), value: self.after.clone() };
        Delta::between(&edit, self.before.as_deref()).value.encode(out);
    }

    fn skip(reader: &mut Reader<'_>) -> Result<(), Malformed> {
        reader.bytes()?;
        if reader.byte()? == 1 {
            reader.bytes()?;
        }
        DeltaValue::decode(reader).map(drop)
    }

    fn decode(reader: &mut Reader<'_>) -> Result<KeyChange, Malformed> {
        let key = reader.bytes()?.to_vec();
        let before = match reader.byte()? {
            0 => None,
            1 => Some(reader.bytes()?.to_vec()),
            _ => return Err(Malformed),
        };
        let value = DeltaValue::decode(reader)?;
        let after = Delta { key: Vec::new(), value }.resolve(before.as_deref())?;
        Ok(KeyChange { key, before, after })
    }
}
