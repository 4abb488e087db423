//! The append-only file which makes an edit durable with one small write and one fdatasync.
//!
//! Recovery is the last checkpoint plus the rows behind it. A row that was never acknowledged may
//! be torn: it is cut off. A row that *was* acknowledged must be whole: each row notes which rows
//! were durable when it was written, so damage in the middle is told from a torn tail without
//! guessing, and reported. `docs/file-format.md` has the layout.

#[allow(clippy::disallowed_methods, reason = "the journal is a file")]
pub mod file;
pub mod keeper;
pub mod row;

use std::path::PathBuf;

use pulse_schemas::hash::Hash;

use self::row::Row;

pub const MAGIC: &[u8; 8] = b"PULSEJNL";
pub const VERSION: u32 = 1;
pub const HEADER: usize = 64;
/// Marker, body length, checksum.
pub const FRAME: usize = 14;
const MARKER: [u8; 2] = [0x50, 0xa7];

/// Why a journal can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("{}: not a journal of a pulse project; run `pulse fsck`", file.display())]
    Foreign { file: PathBuf },
    #[error("{}: the journal's header is damaged; run `pulse fsck`", file.display())]
    Header { file: PathBuf },
    #[error(
        "{}: journal format {found} comes from a newer pulse (this one reads {VERSION}); \
         update pulse to open the project", file.display()
    )]
    Future { file: PathBuf, found: u32 },
    #[error(
        "{}: the journal belongs to another project; put back the file that was here",
        file.display()
    )]
    OtherStore { file: PathBuf },
    #[error(
        "{}: acknowledged row {seq} at byte {offset} is damaged; run `pulse fsck`",
        file.display()
    )]
    Damaged { file: PathBuf, seq: u64, offset: u64 },
    #[error(
        "{}: the database knows {found} rows, the journal says it had {expected}: it was rolled \
         back; run `pulse fsck`", file.display()
    )]
    RolledBack { file: PathBuf, expected: u64, found: u64 },
    #[error(
        "{}: row {found} follows where row {expected} should; run `pulse fsck`", file.display()
    )]
    Gap { file: PathBuf, expected: u64, found: u64 },
}

/// What a journal holds.
#[derive(Debug, Default)]
pub struct Scan {
    pub rows: Vec<Row>,
    /// Where the next row goes: everything behind is a torn tail.
    pub end: u64,
    /// Bytes of the tail that was never acknowledged.
    pub torn: u64,
}

pub fn header(store_id: &[u8; 16]) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..32].copy_from_slice(store_id);
    let check = check_sum(&[&bytes[..HEADER - 8]]);
    bytes[HEADER - 8..].copy_from_slice(&check);
    bytes
}

/// Checks the header and names what is wrong with it.
pub fn check_header(
    file: &std::path::Path,
    bytes: &[u8],
    store_id: &[u8; 16],
) -> Result<(), JournalError> {
    let file = || file.to_owned();
    if bytes.len() < HEADER {
        return Err(JournalError::Header { file: file() });
    }
    if &bytes[..8] != MAGIC {
        return Err(JournalError::Foreign { file: file() });
    }
    if bytes[HEADER - 8..HEADER] != check_sum(&[&bytes[..HEADER - 8]]) {
        return Err(JournalError::Header { file: file() });
    }
    let found = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if found != VERSION {
        return Err(JournalError::Future { file: file(), found });
    }
    if bytes[16..32] != store_id[..] {
        return Err(JournalError::OtherStore { file: file() });
    }
    Ok(())
}

/// Reads all rows; `bytes` is the whole file with a checked header. Rows up to `checkpointed`
/// are safe elsewhere, so damage to them is no loss.
pub fn scan(
    file: &std::path::Path,
    bytes: &[u8],
    store_id: &[u8; 16],
    checkpointed: u64,
) -> Result<Scan, JournalError> {
    let mut scan = Scan { end: HEADER as u64, ..Scan::default() };
    let mut at = first_row(bytes, store_id, checkpointed);
    while let Some((row, length)) = read_frame(&bytes[at..], store_id) {
        let expected = scan.rows.last().map_or(row.seq, |last: &Row| last.seq + 1);
        if row.seq != expected {
            return Err(JournalError::Gap { file: file.to_owned(), expected, found: row.seq });
        }
        scan.rows.push(row);
        at += length;
    }
    scan.end = at as u64;
    scan.torn = (bytes.len() - at) as u64;
    let durable = rows_behind(&bytes[at..], store_id).map(|(_, row)| row.durable).max();
    let next = scan.rows.last().map_or(0, |row| row.seq).max(checkpointed) + 1;
    match durable {
        Some(durable) if durable >= next => {
            Err(JournalError::Damaged { file: file.to_owned(), seq: next, offset: at as u64 })
        }
        _ => Ok(scan),
    }
}

/// The first row, skipping a broken mark: nothing is lost before a row that the checkpoint
/// covers or that comes right behind it.
fn first_row(bytes: &[u8], store_id: &[u8; 16], checkpointed: u64) -> usize {
    if read_frame(&bytes[HEADER..], store_id).is_some() {
        return HEADER;
    }
    let first = rows_behind(&bytes[HEADER..], store_id).next();
    let skip = first.filter(|(_, row)| row.seq <= checkpointed + 1).map_or(0, |(at, _)| at);
    HEADER + skip
}

/// Every whole row that lies anywhere in bytes which are not a row from the start.
pub(crate) fn rows_behind<'a>(
    bytes: &'a [u8],
    store_id: &'a [u8; 16],
) -> impl Iterator<Item = (usize, Row)> + 'a {
    let starts = bytes.windows(2).enumerate().filter(|(_, window)| *window == MARKER);
    starts.filter_map(|(at, _)| Some((at, read_frame(&bytes[at..], store_id)?.0)))
}

/// A row framed for the file.
pub fn frame(row: &Row, store_id: &[u8; 16]) -> Vec<u8> {
    let mut bytes = vec![0; FRAME];
    row.encode(&mut bytes);
    let length = ((bytes.len() - FRAME) as u32).to_le_bytes();
    let check = check_sum(&[store_id, &length, &bytes[FRAME..]]);
    bytes[..2].copy_from_slice(&MARKER);
    bytes[2..6].copy_from_slice(&length);
    bytes[6..FRAME].copy_from_slice(&check);
    bytes
}

pub(crate) fn read_frame(bytes: &[u8], store_id: &[u8; 16]) -> Option<(Row, usize)> {
    if bytes.len() < FRAME || bytes[..2] != MARKER {
        return None;
    }
    let length = [bytes[2], bytes[3], bytes[4], bytes[5]];
    let end = FRAME.checked_add(u32::from_le_bytes(length) as usize)?;
    let body = bytes.get(FRAME..end)?;
    if bytes[6..FRAME] != check_sum(&[store_id, &length, body]) {
        return None;
    }
    Some((Row::decode(body).ok()?, end))
}

/// The first eight bytes of a BLAKE3 hash.
pub(crate) fn check_sum(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let hash = Hash::from(hasher.finalize());
    let mut check = [0; 8];
    check.copy_from_slice(&hash.0[..8]);
    check
}
