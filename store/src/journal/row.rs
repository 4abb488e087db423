//! One transaction as the journal keeps it.
//!
//! A changed value is written as what differs from the value before (common head and tail are
//! only counted): moving a clip costs a few bytes, however long its record is. The value before is
//! at hand wherever a row is replayed, and the after-root proves the result.

use pulse_schemas::hash::Hash;

use crate::{
    codec::{Malformed, Reader, put_bytes, put_number},
    tree::Edit,
};

const KEEP: u8 = 1;
const JUMP: u8 = 2;
const META: u8 = 4;
const MARK: u8 = 8;

/// A journal row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub seq: u64,
    /// The last sequence known to be durable when this row was written.
    pub durable: u64,
    /// The root behind this row outlives the next checkpoint.
    pub keep: bool,
    pub after: Hash,
    pub change: Change,
    /// Changes of the metadata tree and its root behind them, if there are any.
    pub meta: Option<(Vec<Delta>, Hash)>,
    /// Label, contexts, author, command: the business of the layer above.
    pub info: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Patch(Vec<Delta>),
    /// The root was replaced by one whose nodes were made durable before this row was written.
    Jump,
    /// No transaction: the checkpoint which emptied the journal covered `seq`. A database that
    /// knows less was rolled back.
    Mark,
}

/// One key's new value, in terms of its old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    pub key: Vec<u8>,
    pub value: DeltaValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaValue {
    Remove,
    Put(Vec<u8>),
    /// Keep `head` bytes and the last `tail` bytes of the old value, `middle` between them.
    Splice {
        head: usize,
        tail: usize,
        middle: Vec<u8>,
    },
}

impl Delta {
    /// The shorter of the whole value and what differs from the old one.
    pub fn between(edit: &Edit, before: Option<&[u8]>) -> Delta {
        let value = match (&edit.value, before) {
            (None, _) => DeltaValue::Remove,
            (Some(after), None) => DeltaValue::Put(after.clone()),
            (Some(after), Some(before)) => splice(before, after),
        };
        Delta { key: edit.key.clone(), value }
    }

    /// The new value; the old one is asked for only when it matters.
    pub fn resolve(&self, before: Option<&[u8]>) -> Result<Option<Vec<u8>>, Malformed> {
        Ok(match &self.value {
            DeltaValue::Remove => None,
            DeltaValue::Put(value) => Some(value.clone()),
            DeltaValue::Splice { head, tail, middle } => {
                let before = before.ok_or(Malformed)?;
                let end = before.len().checked_sub(*tail).ok_or(Malformed)?;
                if *head > end {
                    return Err(Malformed);
                }
                Some([&before[..*head], middle, &before[end..]].concat())
            }
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        self.value.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Delta, Malformed> {
        Ok(Delta { key: reader.bytes()?.to_vec(), value: DeltaValue::decode(reader)? })
    }
}

impl DeltaValue {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            DeltaValue::Remove => out.push(0),
            DeltaValue::Put(value) => {
                out.push(1);
                put_bytes(out, value);
            }
            DeltaValue::Splice { head, tail, middle } => {
                out.push(2);
                put_number(out, *head as u64);
                put_number(out, *tail as u64);
                put_bytes(out, middle);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<DeltaValue, Malformed> {
        Ok(match reader.byte()? {
            0 => DeltaValue::Remove,
            1 => DeltaValue::Put(reader.bytes()?.to_vec()),
            2 => DeltaValue::Splice {
                head: reader.length()?,
                tail: reader.length()?,
                middle: reader.bytes()?.to_vec(),
            },
            _ => return Err(Malformed),
        })
    }
}

fn splice(before: &[u8], after: &[u8]) -> DeltaValue {
    let same = |(a, b): &(&u8, &u8)| a == b;
    let head = before.iter().zip(after).take_while(same).count();
    let (rest_before, rest_after) = (&before[head..], &after[head..]);
    let tail = rest_before.iter().rev().zip(rest_after.iter().rev()).take_while(same).count();
    if head + tail < 4 {
        return DeltaValue::Put(after.to_vec());
    }
    DeltaValue::Splice { head, tail, middle: rest_after[..rest_after.len() - tail].to_vec() }
}

fn encode_deltas(deltas: &[Delta], out: &mut Vec<u8>) {
    put_number(out, deltas.len() as u64);
    deltas.iter().for_each(|delta| delta.encode(out));
}

fn decode_deltas(reader: &mut Reader<'_>) -> Result<Vec<Delta>, Malformed> {
    let count = reader.length()?;
    (0..count).map(|_| Delta::decode(reader)).collect()
}

impl Row {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.seq);
        put_number(out, self.seq.saturating_sub(self.durable));
        let flags = (KEEP * u8::from(self.keep))
            | (JUMP * u8::from(self.change == Change::Jump))
            | (MARK * u8::from(self.change == Change::Mark))
            | (META * u8::from(self.meta.is_some()));
        out.push(flags);
        out.extend_from_slice(&self.after.0);
        if let Change::Patch(deltas) = &self.change {
            encode_deltas(deltas, out);
        }
        if let Some((deltas, root)) = &self.meta {
            encode_deltas(deltas, out);
            out.extend_from_slice(&root.0);
        }
        out.extend_from_slice(&self.info);
    }

    pub fn decode(bytes: &[u8]) -> Result<Row, Malformed> {
        let mut reader = Reader::new(bytes);
        let seq = reader.number()?;
        let durable = seq.checked_sub(reader.number()?).ok_or(Malformed)?;
        let flags = reader.byte()?;
        if flags & !(KEEP | JUMP | META | MARK) != 0 {
            return Err(Malformed);
        }
        let after = Hash(reader.array()?);
        let change = match flags & (JUMP | MARK) {
            0 => Change::Patch(decode_deltas(&mut reader)?),
            JUMP => Change::Jump,
            MARK => Change::Mark,
            _ => return Err(Malformed),
        };
        let meta = match flags & META {
            0 => None,
            _ => Some((decode_deltas(&mut reader)?, Hash(reader.array()?))),
        };
        let info = reader.rest().to_vec();
        Ok(Row { seq, durable, keep: flags & KEEP != 0, after, change, meta, info })
    }
}
