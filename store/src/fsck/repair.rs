//! Putting a store right without guessing.
//!
//! The database is never changed in place: what is right is written to a new file, which is
//! checked, and only if it is better does it take the place of the old one, which stays beside
//! it. Whatever happens in between, one of the two has the name.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_schemas::hash::Hash;

use super::{
    Finding, Loss, Named, Report, RootsOf, behind, check_files, loss,
    mend::{Effort, mend},
    rebuild::{Rebuilt, Sources, rebuild, tree_over, wanted},
    rows::{Gaps, fill},
    salvage::{HeadFrom, Salvage, salvage},
};
use crate::{
    backend::{BackingStore, Batch, redb::RedbBackend},
    journal::{self, HEADER, JournalError, read_frame, row::Row, rows_behind},
    node::Node,
    project::stamp,
    repo::{
        Head, HistoryRow,
        head::HeadError,
        layout::{DATABASE_FILE, JOURNAL_FILE, sync_dir, write_format},
    },
    tree::{TreeStore, empty_root},
};

/// What a repair did.
#[derive(Default)]
pub(super) struct Repaired {
    pub done: Vec<String>,
    pub lost: Vec<Loss>,
    pub set_aside: Vec<PathBuf>,
    pub written_down: Vec<PathBuf>,
}

/// Repairs what it can; says in words what it did. What it could not do, the next check shows.
pub(super) fn repair(dir: &Path, report: &Report, roots_of: RootsOf<'_>) -> Repaired {
    let mut repaired = Repaired::default();
    let is_future = |it: &Finding| matches!(it, Finding::Head(HeadError::Future { .. }));
    if report.findings.iter().any(is_future) {
        return repaired;
    }
    if report.findings.iter().any(|finding| matches!(finding, Finding::Format { .. }))
        && write_format(dir).is_ok()
    {
        repaired.done.push("wrote the format file again".into());
    }
    let journal = std::fs::read(dir.join(JOURNAL_FILE)).unwrap_or_default();
    let Some(salvage) = salvage(&dir.join(DATABASE_FILE), &journal) else { return repaired };
    let Some((head, from)) = salvage.head.clone() else { return repaired };
    // The journal first: what it says about rows is held against the new database.
    let error = report.findings.iter().find_map(|finding| match finding {
        Finding::Journal(error) => Some(error.clone()),
        Finding::NoJournal { file } => Some(JournalError::Header { file: file.clone() }),
        _ => None,
    });
    let error = error.or_else(|| torn_or_damaged(dir, &journal, &head));
    if let Some(error) = error {
        let tree = tree_over(&salvage.nodes);
        repair_journal(&dir.join(JOURNAL_FILE), &journal, &head, &tree, &error, &mut repaired);
    }
    if report.findings.iter().any(is_of_the_database) {
        repair_database(dir, report, salvage, (head, from), roots_of, &mut repaired);
    }
    repaired
}

/// What the check did not look at, because the head was lost.
fn torn_or_damaged(dir: &Path, bytes: &[u8], head: &Head) -> Option<JournalError> {
    let file = dir.join(JOURNAL_FILE);
    if !head.journal_ready {
        return None;
    }
    let found = journal::check_header(&file, bytes, &head.store_id)
        .and_then(|()| journal::scan(&file, bytes, &head.store_id, head.seq));
    match found {
        Err(error) => Some(error),
        Ok(scan) if scan.torn > 0 => {
            // It may be one wrong byte in the last row: then that row comes back.
            let tail = bytes.get(scan.end as usize..)?;
            mended_frame(tail, &head.store_id)?;
            Some(JournalError::Damaged { file, seq: 0, offset: scan.end })
        }
        Ok(_) => None,
    }
}

fn is_of_the_database(finding: &Finding) -> bool {
    !matches!(finding, Finding::Format { .. } | Finding::Journal(_) | Finding::NoJournal { .. })
        || matches!(finding, Finding::Journal(JournalError::RolledBack { .. }))
}

fn repair_database(
    dir: &Path,
    report: &Report,
    mut salvage: Salvage,
    (mut head, from): (Head, HeadFrom),
    roots_of: RootsOf<'_>,
    repaired: &mut Repaired,
) {
    let mut done = Vec::new();
    if from == HeadFrom::Old {
        done.extend(advance_old_head(&salvage, &mut head));
    }
    let rebuilt = rebuild_and_mend(&mut salvage, dir, &head, roots_of);
    let tree = tree_over(&salvage.nodes);
    let named = named_roots(&tree, &head, roots_of);
    let names: Vec<Hash> = named.iter().map(|named| named.root).collect();
    let gaps = fill(&mut salvage, &mut head, &tree, &names);
    // With more entries there may be a way to more nodes.
    let roots = roots_to_keep(&tree, dir, &head, &salvage, roots_of);
    let again = {
        let rows = salvage.rows.values().collect();
        rebuild(&salvage.nodes, &roots, &Sources { rows, head: head.root, dir })
    };
    let tree = tree_over(&salvage.nodes);
    let named = named_roots(&tree, &head, roots_of);
    tell_head(from, &head, &mut done);
    tell_nodes(&salvage, &rebuilt, &again, &mut done);
    tell_rows(&salvage, &gaps, &mut done);
    let lost = loss::losses(&tree, &named, gaps.cut);
    let batch = batch(&tree, &salvage, &head, &roots);
    match swap(dir, report, &batch, roots_of) {
        Some(aside) => {
            if done.is_empty() {
                done.push("wrote the database anew from what is right in it".into());
            }
            repaired.done.extend(done);
            repaired.set_aside.push(aside);
        }
        None => repaired.done.push(
            "left the database as it is: nothing that can be proved would make it better".into(),
        ),
    }
    repaired.lost = lost;
}

/// Makes nodes again from what is right, and searches those for a wrong byte to which nothing
/// leads: that takes long, and what comes back shows that others are needed too.
fn rebuild_and_mend(
    salvage: &mut Salvage,
    dir: &Path,
    head: &Head,
    roots_of: RootsOf<'_>,
) -> Rebuilt {
    let mut rebuilt = Rebuilt::default();
    loop {
        let tree = tree_over(&salvage.nodes);
        let roots = roots_to_keep(&tree, dir, head, salvage, roots_of);
        let rows = salvage.rows.values().collect();
        rebuilt += rebuild(&salvage.nodes, &roots, &Sources { rows, head: head.root, dir });
        let tree = tree_over(&salvage.nodes);
        let missing = wanted(&tree, &roots).into_iter().map(|it| it.hash).collect();
        if salvage.mend(&missing, Effort::Bytes) == 0 {
            return rebuilt;
        }
    }
}

/// A head of former times, brought to where the history ends.
fn advance_old_head(salvage: &Salvage, head: &mut Head) -> Option<String> {
    let (seq, row) = salvage.rows.last_key_value().filter(|(seq, _)| **seq > head.seq)?;
    let noted = head.seq;
    (head.seq, head.root) = (*seq, row.after);
    Some(format!(
        "branches, tags and commits are as they were behind entry {noted}; \
         the content is that of entry {seq}"
    ))
}

fn named_roots(tree: &Arc<TreeStore>, head: &Head, roots_of: RootsOf<'_>) -> Vec<Named> {
    let mut named = vec![Named { root: head.root, name: "the working copy".into() }];
    if let Ok(meta) = tree.snapshot(head.meta) {
        named.extend(roots_of(&meta));
    }
    named
}

fn roots_to_keep(
    tree: &Arc<TreeStore>,
    dir: &Path,
    head: &Head,
    salvage: &Salvage,
    roots_of: RootsOf<'_>,
) -> BTreeSet<Hash> {
    let mut roots = BTreeSet::from([head.root, head.meta]);
    roots.extend(named_roots(tree, head, roots_of).into_iter().map(|named| named.root));
    let jumps = salvage.rows.values().filter(|row| row.is_jump());
    roots.extend(jumps.flat_map(|row| [row.before, row.after]));
    roots.extend(stamp::read(dir).map(|(_, index)| index));
    roots
}

/// Everything that is right: needed nodes in the order of the trees, then what else was stored.
fn batch(tree: &Arc<TreeStore>, salvage: &Salvage, head: &Head, roots: &BTreeSet<Hash>) -> Batch {
    let mut nodes = Vec::new();
    let mut seen = BTreeSet::new();
    for root in [head.root, head.meta].iter().chain(roots) {
        collect(tree, *root, &mut seen, &mut nodes);
    }
    let others = salvage.stored.iter().filter(|hash| !seen.contains(hash));
    nodes.extend(others.filter_map(|hash| salvage.nodes.parsed(hash).map(Arc::new)));
    let rows = salvage.rows.iter().map(|(seq, row): (&u64, &HistoryRow)| (*seq, row.encode()));
    Batch { nodes, rows: rows.collect(), head: Some(head.encode()), ..Batch::default() }
}

fn collect(tree: &TreeStore, root: Hash, seen: &mut BTreeSet<Hash>, nodes: &mut Vec<Arc<Node>>) {
    if root == empty_root() || !seen.insert(root) {
        return;
    }
    let Ok(node) = tree.node(&root) else { return };
    for slot in 0..if node.is_leaf() { 0 } else { node.len() } {
        collect(tree, node.link(slot).hash, seen, nodes);
    }
    nodes.push(node);
}

/// Writes the new database beside the old one and exchanges them if that is an improvement;
/// where the old one is now.
fn swap(dir: &Path, report: &Report, batch: &Batch, roots_of: RootsOf<'_>) -> Option<PathBuf> {
    let (database, fresh) = (dir.join(DATABASE_FILE), dir.join("project.redb.new"));
    drop(std::fs::remove_file(&fresh));
    let written = RedbBackend::open(&fresh, 32 << 20).and_then(|backend| backend.write(batch));
    let better = written.is_ok() && {
        let after = check_files(dir, &fresh, roots_of);
        after.findings.len() < report.findings.len() || after.is_clean() || is_head_back(report)
    };
    if !better {
        drop(std::fs::remove_file(&fresh));
        return None;
    }
    let aside = unused_name(&database)?;
    if database.exists() {
        let linked = std::fs::hard_link(&database, &aside);
        linked.or_else(|_| std::fs::copy(&database, &aside).map(drop)).ok()?;
    }
    std::fs::rename(&fresh, &database).ok()?;
    sync_dir(dir).ok()?;
    Some(aside)
}

/// Without a head nothing else could be looked at: more findings than before are no step back.
fn is_head_back(report: &Report) -> bool {
    report
        .findings
        .iter()
        .any(|finding| matches!(finding, Finding::NoHead | Finding::Head(_) | Finding::Database(_)))
}

/// Keeps every row up to the first damaged one, which is mended if one byte is all that is wrong
/// with it, and those behind it if something leads there. The rest is written down for people; the
/// file as it was stays beside the new one.
fn repair_journal(
    file: &Path,
    bytes: &[u8],
    head: &Head,
    tree: &Arc<TreeStore>,
    error: &JournalError,
    repaired: &mut Repaired,
) {
    if matches!(
        error,
        JournalError::Future { .. }
            | JournalError::OtherStore { .. }
            | JournalError::RolledBack { .. }
    ) {
        return;
    }
    // A gap says that rows of another time follow: none of them is of use.
    let kept = match error {
        JournalError::Gap { .. } => Kept::default(),
        _ => kept_rows(bytes, head, tree),
    };
    let mut fresh = journal::header(&head.store_id).to_vec();
    fresh.extend_from_slice(&kept.frames);
    let Some(aside) = exchange(file, bytes, &fresh) else { return };
    let last = kept.rows.last().map_or(head.seq, |row| row.seq.max(head.seq));
    let behind = rows_lost(bytes, head, last);
    tell_journal(&kept, last, behind, repaired);
    if behind > 0 {
        repaired.lost.push(Loss {
            what: format!("{behind} edits behind entry {last}: a row of the journal is damaged"),
            of: "the working copy".into(),
        });
        repaired.written_down.extend(write_down(file, bytes, head, last));
    }
    repaired.set_aside.push(aside);
}

fn tell_journal(kept: &Kept, last: u64, behind: u64, repaired: &mut Repaired) {
    let done = &mut repaired.done;
    match kept.mended {
        0 => {}
        mended => done.push(format!("put {mended} damaged rows of the journal right")),
    }
    for seq in &kept.said {
        done.push(format!(
            "kept entry {seq}: what it did to the content is proved; its label, author and time may \
             be damaged"
        ));
    }
    for (from, until) in &kept.made {
        done.push(format!(
            "kept the edits of entries {from} to {until} as one: one of them is lost, what they \
             led to is proved; a branch, tag or commit that the lost one made is lost"
        ));
    }
    if behind > 0 {
        done.push(format!("kept the journal up to entry {last}"));
    } else if kept.mended + kept.said.len() + kept.made.len() == 0 {
        done.push("rewrote the journal's header".to_owned());
    }
}

/// The rows of a journal that stay.
#[derive(Default)]
struct Kept {
    frames: Vec<u8>,
    rows: Vec<Row>,
    mended: usize,
    /// Rows that are proved by their roots alone.
    said: Vec<u64>,
    /// First and last of rows that are one now.
    made: Vec<(u64, u64)>,
}

impl Kept {
    fn take(&mut self, row: Row, frame: &[u8]) {
        self.frames.extend_from_slice(frame);
        self.rows.push(row);
    }
}

/// Goes through a journal as far as something leads on.
fn kept_rows(bytes: &[u8], head: &Head, tree: &Arc<TreeStore>) -> Kept {
    let (mut kept, store_id) = (Kept::default(), &head.store_id);
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    while !rest.is_empty() {
        if let Some((row, length)) = read_frame(rest, store_id) {
            kept.take(row, &rest[..length]);
            rest = &rest[length..];
            continue;
        }
        let next = rows_behind(rest, store_id).next().map_or(rest.len(), |(at, _)| at);
        let (damaged, behind) = rest.split_at(next);
        rest = behind;
        if let Some(frame) = mended_frame(damaged, store_id) {
            kept.mended += 1;
            kept.take_frame(&frame, store_id);
        } else if starts_at_head(behind, head) {
            // The database has all that was before: a broken mark or row there is no loss.
            kept = Kept { mended: kept.mended + 1, ..Kept::default() };
        } else {
            let rows = back_to_back(behind, store_id);
            let all: Vec<Row> = rows.iter().map(|(row, _)| row.clone()).collect();
            let Some(bridge) = behind::bridge(tree, head, &kept.rows, damaged, &all) else { break };
            let used: usize = rows[..bridge.used].iter().map(|(_, length)| length).sum();
            rest = &rest[used..];
            match bridge.made {
                Some(made) => kept.made.push(made),
                None => kept.said.extend(bridge.rows.first().map(|row| row.seq)),
            }
            for row in bridge.rows {
                let frame = journal::frame(&row, store_id);
                kept.take(row, &frame);
            }
        }
    }
    kept
}

impl Kept {
    fn take_frame(&mut self, frame: &[u8], store_id: &[u8; 16]) {
        if let Some((row, _)) = read_frame(frame, store_id) {
            self.take(row, frame);
        }
    }
}

fn starts_at_head(rows: &[u8], head: &Head) -> bool {
    read_frame(rows, &head.store_id).is_some_and(|(row, _)| row.seq <= head.seq + 1)
}

/// Whole rows from the start on, with their lengths.
fn back_to_back(mut bytes: &[u8], store_id: &[u8; 16]) -> Vec<(Row, usize)> {
    let mut rows = Vec::new();
    while let Some((row, length)) = read_frame(bytes, store_id) {
        rows.push((row, length));
        bytes = &bytes[length..];
    }
    rows
}

/// Writes down what is behind entry `last` and was no torn tail.
fn write_down(file: &Path, bytes: &[u8], head: &Head, last: u64) -> Option<PathBuf> {
    let all = bytes.get(HEADER..).unwrap_or_default();
    let rows = rows_behind(all, &head.store_id).map(|(_, row)| row);
    let lost: Vec<Row> =
        rows.filter(|row| row.seq > last && row.change != journal::row::Change::Mark).collect();
    let path = (1..1_000)
        .map(|number| file.with_file_name(format!("lost-edits-{number}.jsonl")))
        .find(|path| !path.exists())?;
    let written = !lost.is_empty() && std::fs::write(&path, behind::written_down(&lost)).is_ok();
    written.then_some(path)
}

fn mended_frame(bytes: &[u8], store_id: &[u8; 16]) -> Option<Vec<u8>> {
    mend(bytes, |bytes| read_frame(bytes, store_id).is_some_and(|(_, end)| end == bytes.len()))
}

/// Rows that were acknowledged and are not in the repaired journal.
fn rows_lost(bytes: &[u8], head: &Head, last: u64) -> u64 {
    let all = bytes.get(HEADER..).unwrap_or_default();
    let known = rows_behind(all, &head.store_id).map(|(_, row)| row.seq.max(row.durable)).max();
    known.unwrap_or_default().saturating_sub(last)
}

fn exchange(file: &Path, old: &[u8], new: &[u8]) -> Option<PathBuf> {
    let aside = unused_name(file)?;
    let fresh = file.with_extension("journal.new");
    for (path, bytes) in [(&aside, old), (&fresh, new)] {
        std::fs::write(path, bytes).ok()?;
        std::fs::File::open(path).and_then(|file| file.sync_all()).ok()?;
    }
    std::fs::rename(&fresh, file).ok()?;
    sync_dir(file.parent()?).ok()?;
    Some(aside)
}

fn unused_name(file: &Path) -> Option<PathBuf> {
    let extension = file.extension()?.to_str()?.to_owned();
    let name = |number: u32| file.with_extension(format!("{extension}.damaged-{number}"));
    (1..1_000).map(name).find(|path| !path.exists())
}

fn tell_head(from: HeadFrom, head: &Head, done: &mut Vec<String>) {
    let seq = head.seq;
    match from {
        HeadFrom::Table => {}
        HeadFrom::Mended => done.push("put one wrong byte of the head right".into()),
        HeadFrom::Journal => {
            done.push(format!("took the head (entry {seq}) from the journal's copy of it"));
        }
        HeadFrom::Beginning => done.push("made the head again: the journal holds all".into()),
        HeadFrom::Old => done.push(format!("made the head again from older pages (entry {seq})")),
    }
}

fn tell_nodes(salvage: &Salvage, first: &Rebuilt, second: &Rebuilt, done: &mut Vec<String>) {
    let mut tell = |count: usize, how: &str| {
        if count > 0 {
            done.push(format!("put {count} nodes back, each proved by its hash: {how}"));
        }
    };
    tell(salvage.mended, "one wrong byte put right");
    tell(first.from_children + second.from_children, "made again from their children");
    tell(first.from_history + second.from_history, "made again from the history");
    tell(first.from_index + second.from_index, "the index, made again from the content");
    tell(first.from_export + second.from_export, "from a text export in the project's folder");
    if salvage.left_out > 0 {
        done.push(format!(
            "searched {} damaged nodes for wrong bits only: there are too many for more",
            salvage.left_out
        ));
    }
}

fn tell_rows(salvage: &Salvage, gaps: &Gaps, done: &mut Vec<String>) {
    match salvage.rows_restored.len() {
        0 => {}
        1 => done.push("put 1 history entry back as it was".into()),
        count => done.push(format!("put {count} history entries back as they were")),
    }
    for (from, until) in &gaps.filled {
        let which = match from == until {
            true => format!("history entry {from}"),
            false => format!("history entries {from} to {until} as one"),
        };
        done.push(format!(
            "made {which} again from the versions around it; its label, author and time are lost"
        ));
    }
}
