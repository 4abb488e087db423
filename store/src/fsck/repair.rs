//! Putting a store right without guessing.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_schemas::hash::Hash;

use super::{Finding, Inventory, Report, RootsOf, inventory, open_existing, rows_of};
use crate::{
    backend::{BackendError, BackingStore},
    journal::{self, HEADER, JournalError},
    node::{Link, Node, NodeBuilder},
    repo::{
        Head, HistoryRow,
        layout::{JOURNAL_FILE, write_format},
        recover::tree_over,
    },
    tree::{Snapshot, TreeError, TreeStore, empty_root},
};

/// An inner node is looked for among this many combinations of stored children at most.
const COMBINATIONS: usize = 4096;

/// Repairs what it can; says in words what it did. What it could not do, the next check shows.
pub fn repair(dir: &Path, report: &Report, roots_of: RootsOf<'_>) -> Vec<String> {
    let mut done = Vec::new();
    let Ok(backend) = open_existing(dir) else { return done };
    let backend: Arc<dyn BackingStore> = Arc::new(backend);
    let Some(head) = backend.head().ok().flatten().and_then(|head| Head::decode(&head).ok()) else {
        return done;
    };
    if report.findings.iter().any(|finding| matches!(finding, Finding::Format { .. }))
        && write_format(dir).is_ok()
    {
        done.push("wrote the format file again".into());
    }
    match repair_nodes(&backend, &head, roots_of) {
        Ok(0) | Err(_) => {}
        Ok(nodes) => done.push(format!("put {nodes} nodes back, each proved by its hash")),
    }
    let journal = report.findings.iter().find_map(|finding| match finding {
        Finding::Journal(error) => Some(error.clone()),
        Finding::NoJournal { file } => Some(JournalError::Header { file: file.clone() }),
        _ => None,
    });
    if let Some(error) = journal {
        done.extend(repair_journal(&dir.join(JOURNAL_FILE), &head, &error));
    }
    done
}

/// Keeps every row up to the first damaged one; the file as it was stays beside the new one.
fn repair_journal(file: &Path, head: &Head, error: &JournalError) -> Option<String> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(_) => return None,
    };
    let end = match error {
        JournalError::Future { .. }
        | JournalError::OtherStore { .. }
        | JournalError::RolledBack { .. } => return None,
        JournalError::Damaged { offset, .. } => usize::try_from(*offset).ok()?,
        JournalError::Gap { .. } => HEADER,
        JournalError::Foreign { .. } | JournalError::Header { .. } => {
            rows_of(file, &bytes, head).ok()?;
            bytes.len().max(HEADER)
        }
    };
    let mut repaired = journal::header(&head.store_id).to_vec();
    repaired.extend_from_slice(bytes.get(HEADER..end.min(bytes.len())).unwrap_or_default());
    let aside = unused_name(file)?;
    let fresh = file.with_extension("journal.new");
    std::fs::write(&aside, &bytes).ok()?;
    std::fs::write(&fresh, repaired).ok()?;
    std::fs::File::open(&fresh).and_then(|file| file.sync_all()).ok()?;
    std::fs::rename(&fresh, file).ok()?;
    Some(format!("rewrote the journal; the damaged one is {}", aside.display()))
}

fn unused_name(file: &Path) -> Option<PathBuf> {
    let name = |number: u32| file.with_extension(format!("journal.damaged-{number}"));
    (1..1_000).map(name).find(|path| !path.exists())
}

/// A node that is needed and not there (or wrong), with what its parent knows about it.
struct Wanted {
    hash: Hash,
    /// Level and key range, unless the node is a root.
    place: Option<(u8, Bound<Vec<u8>>, Vec<u8>)>,
}

fn repair_nodes(
    backend: &Arc<dyn BackingStore>,
    head: &Head,
    roots_of: RootsOf<'_>,
) -> Result<usize, BackendError> {
    let mut total = 0;
    // A node that comes back may show that others below it are needed too.
    for _ in 0..crate::node::MAX_LEVEL {
        let tree = tree_over(backend.clone());
        let rows = rows(&**backend)?;
        let mut roots = BTreeSet::from([head.root, head.meta]);
        roots.extend(
            rows.iter().filter(|row| row.is_jump()).flat_map(|row| [row.before, row.after]),
        );
        if let Ok(meta) = tree.snapshot(head.meta) {
            roots.extend(roots_of(&meta));
        }
        let mut wanted = Vec::new();
        roots.iter().for_each(|root| look_for_wanted(&tree, *root, &mut wanted));
        if wanted.is_empty() {
            break;
        }
        let mut found = from_children(&inventory(&**backend)?, &wanted);
        found.extend(from_history(&tree, &rows, &wanted));
        if found.is_empty() {
            break;
        }
        let nodes: Vec<Arc<Node>> = found.into_values().collect();
        backend.replace(&nodes)?;
        total += nodes.len();
    }
    Ok(total)
}

fn rows(backend: &dyn BackingStore) -> Result<Vec<HistoryRow>, BackendError> {
    let rows = backend.rows(0, u64::MAX)?;
    Ok(rows.iter().filter_map(|(seq, bytes)| HistoryRow::decode(*seq, bytes).ok()).collect())
}

fn look_for_wanted(tree: &TreeStore, root: Hash, wanted: &mut Vec<Wanted>) {
    if root == empty_root() {
        return;
    }
    let Ok(node) = tree.node(&root) else {
        wanted.push(Wanted { hash: root, place: None });
        return;
    };
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        for slot in 0..if node.is_leaf() { 0 } else { node.len() } {
            match tree.child(&node, slot) {
                Ok(child) => open.push(child),
                Err(_) => {
                    let start = match slot {
                        0 => Bound::Unbounded,
                        _ => Bound::Excluded(node.key(slot - 1).to_vec()),
                    };
                    let place = Some((node.level() - 1, start, node.key(slot).to_vec()));
                    wanted.push(Wanted { hash: node.link(slot).hash, place });
                }
            }
        }
    }
}

/// An inner node is its children's keys, hashes and counts: if they are all there, so is it.
fn from_children(inventory: &Inventory, wanted: &[Wanted]) -> BTreeMap<Hash, Arc<Node>> {
    let mut found = BTreeMap::new();
    for wanted in wanted {
        let Some((level, start, end)) = &wanted.place else { continue };
        if *level == 0 {
            continue;
        }
        let below = level - 1;
        let start = match start {
            Bound::Excluded(key) => Bound::Excluded((below, key.clone())),
            _ => Bound::Included((below, Vec::new())),
        };
        let children: Vec<&Vec<Arc<Node>>> = inventory
            .range((start, Bound::Included((below, end.clone()))))
            .map(|(_, v)| v)
            .collect();
        if let Some(node) = combine(*level, &children, wanted.hash) {
            found.insert(wanted.hash, node);
        }
    }
    found
}

/// Tries which of several stored versions of each child belong together.
fn combine(level: u8, children: &[&Vec<Arc<Node>>], hash: Hash) -> Option<Arc<Node>> {
    // Each key may also be one that the wanted version did not have.
    let single = children.iter().all(|versions| versions.len() == 1);
    let choices = |versions: &Vec<Arc<Node>>| versions.len() + usize::from(!single);
    let total = children.iter().try_fold(1usize, |total, versions| {
        total.checked_mul(choices(versions)).filter(|total| *total <= COMBINATIONS)
    })?;
    (0..total).find_map(|mut number| {
        let mut builder = NodeBuilder::new(level);
        for versions in children {
            let choice = number % choices(versions);
            number /= choices(versions);
            if let Some(child) = versions.get(choice) {
                let link = Link { hash: child.hash(), entries: child.entries() };
                builder.push(child.last_key()?, &link.to_bytes());
            }
        }
        let node = builder.finish();
        (node.hash() == hash).then(|| Arc::new(node))
    })
}

/// Repeats the past from every version that can still be read: the nodes it makes on the way are
/// the ones that were stored.
fn from_history(
    tree: &Arc<TreeStore>,
    rows: &[HistoryRow],
    wanted: &[Wanted],
) -> BTreeMap<Hash, Arc<Node>> {
    let wanted: BTreeSet<Hash> = wanted.iter().map(|wanted| wanted.hash).collect();
    let mut found = BTreeMap::new();
    let mut version: Option<Snapshot> = None;
    for row in rows {
        let start = version.take().filter(|version| version.root() == row.before);
        let start = match start {
            Some(start) => Some(start),
            None if row.before == empty_root() => Some(tree.empty()),
            None => tree.snapshot(row.before).ok(),
        };
        version = start.and_then(|start| redo(&start, row).ok().flatten());
        if let Some(version) = &version {
            let fresh = tree.unsaved(&version.root()).into_iter();
            let fresh = fresh.filter(|node| wanted.contains(&node.hash()));
            found.extend(fresh.map(|node| (node.hash(), node)));
        }
    }
    found
}

fn redo(start: &Snapshot, row: &HistoryRow) -> Result<Option<Snapshot>, TreeError> {
    row.edits().map(|edits| start.edit(&edits)).transpose()
}
