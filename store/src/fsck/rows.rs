//! Making history entries again that are lost: what the versions on both sides of them say.
//!
//! What an entry changed follows from its neighbours. What it was called, who did it and when
//! does not: that is lost, and said to be.

use std::{collections::BTreeMap, sync::Arc};

use pulse_schemas::{entity::HistoryContext, hash::Hash};

use super::salvage::Salvage;
use crate::{
    changes,
    codec::Reader,
    history::{Action, RowInfo},
    overlay,
    repo::{Head, HistoryChange, HistoryRow, KeyChange},
    staging,
    tree::{Snapshot, TreeError, TreeStore, empty_root},
};

/// What happened to entries that could not be found again.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// First and last entry of each gap that was filled.
    pub filled: Vec<(u64, u64)>,
    /// The history begins behind this entry now: what is before has no connection any more.
    pub cut: Option<u64>,
}

/// Fills every gap that can be filled, and cuts the history where one can't.
pub(super) fn fill(
    salvage: &mut Salvage,
    head: &mut Head,
    tree: &Arc<TreeStore>,
    names: &[Hash],
) -> Gaps {
    let mut gaps = Gaps::default();
    let first = match head.rows_from {
        0 => salvage.rows.keys().next().copied().unwrap_or(head.seq + 1),
        first => first,
    };
    let mut open: Option<u64> = None;
    for (from, until) in missing(&salvage.rows, first, head.seq) {
        // What lies between two gaps is known from neither side: then both are one.
        let from = open.take().unwrap_or(from);
        match fill_one(salvage, head, tree, names, (from, until)) {
            Some(rows) => take(salvage, rows, &mut gaps),
            None => open = Some(from),
        }
        gaps.cut = open.map(|_| until);
    }
    if let Some(until) = gaps.cut {
        head.rows_from = until + 1;
        salvage.rows = salvage.rows.split_off(&head.rows_from);
        gaps.filled.retain(|(from, _)| *from > until);
    }
    gaps
}

/// The row as it was, where the damage did not hit what only the row itself says.
fn proved(row: &HistoryRow, damaged: &[u8]) -> Option<HistoryRow> {
    let mut reader = Reader::new(damaged.get(1 + 64..)?);
    let info = reader.bytes().ok()?;
    let length = damaged.len().checked_sub(8)?;
    [false, true].into_iter().find_map(|keep| {
        let row = HistoryRow { keep, info: info.to_vec(), ..row.clone() };
        let bytes = row.encode();
        let same = |range: std::ops::Range<usize>| bytes.get(range.clone()) == damaged.get(range);
        let is_right =
            bytes.len() == damaged.len() && (same(length..length + 8) || same(0..length));
        is_right.then_some(row)
    })
}

fn take(salvage: &mut Salvage, rows: Vec<HistoryRow>, gaps: &mut Gaps) {
    if let [row] = &rows[..]
        && let Some(whole) = salvage.damaged_rows.get(&row.seq).and_then(|old| proved(row, old))
    {
        salvage.rows_restored.insert(row.seq);
        salvage.rows.insert(row.seq, whole);
        return;
    }
    let seqs = rows.first().zip(rows.last()).map(|(first, last)| (first.seq, last.seq));
    gaps.filled.extend(seqs);
    salvage.rows.extend(rows.into_iter().map(|row| (row.seq, row)));
}

fn missing(rows: &BTreeMap<u64, HistoryRow>, first: u64, last: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut next = first;
    for seq in rows.range(first..=last.max(first)).map(|(seq, _)| *seq).chain([last + 1]) {
        if next < seq {
            gaps.push((next, seq - 1));
        }
        next = seq + 1;
    }
    gaps
}

fn fill_one(
    salvage: &Salvage,
    head: &Head,
    tree: &Arc<TreeStore>,
    names: &[Hash],
    (from, until): (u64, u64),
) -> Option<Vec<HistoryRow>> {
    let rows = &salvage.rows;
    let before = match rows.get(&(from - 1)) {
        Some(row) => row.after,
        None => (from == 1).then(empty_root)?,
    };
    let after = rows.get(&(until + 1)).map_or(head.root, |row| row.before);
    let changes = changes(
        &version_before(tree, rows, from, before)?,
        &version_behind(tree, rows, head, until, after)?,
    );
    let changes = changes.ok()?;
    let kept = |root: Hash| names.contains(&root);
    // Where several are lost, the first one carries all that they did together.
    let first = HistoryRow {
        seq: from,
        before,
        after,
        keep: kept(after),
        info: info(rows, from, until, &changes),
        change: HistoryChange::Patch(changes),
    };
    let empty = |seq| HistoryRow {
        seq,
        before: after,
        after,
        keep: false,
        info: rows.get(&seq).map_or_else(|| info(rows, from, until, &[]), |row| row.info.clone()),
        change: HistoryChange::Patch(Vec::new()),
    };
    Some([first].into_iter().chain((from + 1..=until).map(empty)).collect())
}

/// The version in front of a gap: what is stored, or where the entries before lead.
fn version_before(
    tree: &Arc<TreeStore>,
    rows: &BTreeMap<u64, HistoryRow>,
    from: u64,
    root: Hash,
) -> Option<Snapshot> {
    let (start, steps) = nearest(tree, root, rows.range(..from).rev(), |row| row.before)?;
    let steps = steps.into_iter().rev();
    walk(start, steps.map(|row| row.edits())).filter(|version| version.root() == root)
}

/// The version behind a gap: what is stored, or where the entries behind lead back to.
fn version_behind(
    tree: &Arc<TreeStore>,
    rows: &BTreeMap<u64, HistoryRow>,
    head: &Head,
    until: u64,
    root: Hash,
) -> Option<Snapshot> {
    let behind = rows.range(until + 1..=head.seq.max(until + 1));
    let (start, steps) = nearest(tree, root, behind, |row| row.after)?;
    let steps = steps.into_iter().rev();
    walk(start, steps.map(|row| row.inverse())).filter(|version| version.root() == root)
}

/// The nearest version that can be read, and the entries on the way to it, nearest first.
fn nearest<'r>(
    tree: &Arc<TreeStore>,
    root: Hash,
    rows: impl Iterator<Item = (&'r u64, &'r HistoryRow)>,
    far_side: impl Fn(&HistoryRow) -> Hash,
) -> Option<(Snapshot, Vec<&'r HistoryRow>)> {
    let mut steps: Vec<&HistoryRow> = Vec::new();
    let mut at = root;
    for (seq, row) in rows {
        if let Ok(version) = tree.snapshot(at) {
            return Some((version, steps));
        }
        let is_next = steps.last().is_none_or(|last| last.seq.abs_diff(*seq) == 1);
        if !is_next || row.is_jump() {
            return None;
        }
        at = far_side(row);
        steps.push(row);
    }
    tree.snapshot(at).ok().map(|version| (version, steps))
}

fn walk(
    start: Snapshot,
    steps: impl Iterator<Item = Option<Vec<crate::tree::Edit>>>,
) -> Option<Snapshot> {
    let mut version = start;
    for edits in steps {
        version = version.edit(&edits?).ok()?;
    }
    Some(version)
}

pub(super) fn changes(before: &Snapshot, after: &Snapshot) -> Result<Vec<KeyChange>, TreeError> {
    let bytes = |value: Option<crate::node::Value>| value.map(|value| value.to_vec());
    let change = |it: crate::tree::Difference| KeyChange {
        key: it.key.to_vec(),
        before: bytes(it.before),
        after: bytes(it.after),
    };
    before.diff(after).map(|difference| difference.map(change)).collect()
}

/// What can still be said about an entry: whose it was, if both neighbours are of one client.
fn info(rows: &BTreeMap<u64, HistoryRow>, from: u64, until: u64, changes: &[KeyChange]) -> Vec<u8> {
    let decode = |row: &HistoryRow| RowInfo::decode(&row.info).ok();
    let above = rows.range(..from).rev().find_map(|(_, row)| decode(row));
    let below = rows.range(until + 1..).find_map(|(_, row)| decode(row));
    let branch = above.as_ref().or(below.as_ref()).map_or("main", |info| &info.branch).to_owned();
    let client = match (&above, &below) {
        (Some(above), Some(below)) if above.client != below.client && !above.client.is_empty() => {
            String::new()
        }
        (Some(info), None) | (None, Some(info)) | (Some(_), Some(info)) => info.client.clone(),
        (None, None) => String::new(),
    };
    let time = above.as_ref().or(below.as_ref()).map_or(0, |info| info.time);
    let is_edit = !changes.is_empty();
    RowInfo {
        action: if is_edit { Action::Edit } else { Action::Refs },
        contexts: if is_edit { contexts(changes) } else { Vec::new() },
        time,
        branch,
        client,
        author: String::new(),
        label: format!("Entry {from} (made again by fsck)"),
        coalesce: String::new(),
        command: Vec::new(),
    }
    .encode()
}

pub(super) fn contexts(list: &[KeyChange]) -> Vec<HistoryContext> {
    let entities: Vec<_> = (list.iter())
        .filter_map(|it| {
            let key = overlay::entity_key(&it.key).ok()?;
            Some(staging::change(key, it.before.as_deref(), it.after.as_deref()))
        })
        .collect();
    changes::contexts(entities.iter(), &[])
}
