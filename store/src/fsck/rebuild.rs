//! Making nodes again of which only the hash is left.
//!
//! Each way here may produce anything: what counts is that the hash is the one that is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    path::Path,
    sync::Arc,
};

use pulse_schemas::hash::Hash;

use super::salvage::{Nodes, Source};
use crate::{
    index,
    node::{Link, Node, NodeBuilder},
    project::stamp,
    repo::HistoryRow,
    snapshot,
    tree::{DEFAULT_CACHE_BYTES, Snapshot, TreeError, TreeStore, empty_root},
};

/// An inner node is looked for among this many combinations of stored children at most.
const COMBINATIONS: usize = 4096;

/// A node that is needed and not there (or wrong), with what its parent knows about it.
pub(super) struct Wanted {
    pub hash: Hash,
    pub place: Option<Place>,
}

/// What the parent of a node says about it; a root has none.
pub(super) struct Place {
    pub level: u8,
    /// The node holds keys behind this one,
    pub start: Bound<Vec<u8>>,
    /// up to this one.
    pub end: Vec<u8>,
    pub entries: u64,
}

/// What nodes can be made from, beside other nodes.
pub(super) struct Sources<'a> {
    pub rows: Vec<&'a HistoryRow>,
    pub head: Hash,
    /// The store's folder: the index and exports lie in and beside it.
    pub dir: &'a Path,
}

/// Nodes that were made again, and by which way.
#[derive(Default)]
pub(super) struct Rebuilt {
    pub from_children: usize,
    pub from_history: usize,
    pub from_index: usize,
    pub from_export: usize,
}

impl std::ops::AddAssign for Rebuilt {
    fn add_assign(&mut self, more: Rebuilt) {
        self.from_children += more.from_children;
        self.from_history += more.from_history;
        self.from_index += more.from_index;
        self.from_export += more.from_export;
    }
}

/// Makes what is missing below `roots` as far as it goes.
pub(super) fn rebuild(
    nodes: &Arc<Nodes>,
    roots: &BTreeSet<Hash>,
    sources: &Sources<'_>,
) -> Rebuilt {
    let mut rebuilt = Rebuilt::default();
    // A node that comes back may show that others below it are needed too.
    for _ in 0..crate::node::MAX_LEVEL {
        // Anew each time: it must not know nodes that only this search made.
        let tree = &tree_over(nodes);
        let wanted = wanted(tree, roots);
        if wanted.is_empty() {
            break;
        }
        let mut hashes: BTreeSet<Hash> = wanted.iter().map(|wanted| wanted.hash).collect();
        let mut take = |found: Vec<Arc<Node>>, count: &mut usize| {
            for node in found {
                if hashes.remove(&node.hash()) {
                    nodes.insert(&node);
                    *count += 1;
                }
            }
            hashes.clone()
        };
        let left = match wanted.iter().any(|it| it.place.as_ref().is_some_and(|it| it.level > 0)) {
            true => take(from_children(&inventory(nodes), &wanted), &mut rebuilt.from_children),
            false => take(Vec::new(), &mut 0),
        };
        let left = match left.is_empty() {
            true => left,
            false => take(from_history(tree, sources, &left), &mut rebuilt.from_history),
        };
        let left = match left.is_empty() {
            true => left,
            false => take(from_index(tree, sources.dir, &left), &mut rebuilt.from_index),
        };
        let left = match left.is_empty() {
            true => left,
            false => take(from_exports(tree, sources.dir, &left), &mut rebuilt.from_export),
        };
        if left.len() == wanted.iter().map(|it| it.hash).collect::<BTreeSet<_>>().len() {
            break;
        }
    }
    rebuilt
}

/// The trees of all nodes that are right.
pub(super) fn tree_over(nodes: &Arc<Nodes>) -> Arc<TreeStore> {
    TreeStore::new(Box::new(Source(nodes.clone())), DEFAULT_CACHE_BYTES)
}

/// Every node below `roots` that can't be read.
pub(super) fn wanted(tree: &TreeStore, roots: &BTreeSet<Hash>) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    roots.iter().for_each(|root| look_for_wanted(tree, *root, &mut wanted));
    wanted
}

/// Nodes that are right, by level and last key.
type Inventory = BTreeMap<(u8, Vec<u8>), Vec<Arc<Node>>>;

fn inventory(nodes: &Nodes) -> Inventory {
    let mut inventory = Inventory::new();
    for node in nodes.hashes().iter().filter_map(|hash| nodes.parsed(hash)) {
        if let Some(key) = node.last_key() {
            let key = (node.level(), key.to_vec());
            inventory.entry(key).or_default().push(Arc::new(node));
        }
    }
    inventory
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
                    let link = node.link(slot);
                    let (level, end) = (node.level() - 1, node.key(slot).to_vec());
                    let place = Place { level, start, end, entries: link.entries };
                    wanted.push(Wanted { hash: link.hash, place: Some(place) });
                }
            }
        }
    }
}

/// An inner node is its children's keys, hashes and counts: if they are all there, so is it.
fn from_children(inventory: &Inventory, wanted: &[Wanted]) -> Vec<Arc<Node>> {
    let mut found = Vec::new();
    for wanted in wanted {
        let Some(Place { level, start, end, .. }) = &wanted.place else { continue };
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
            found.push(node);
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

/// Repeats the past, forwards and backwards, from every version that can still be read: the
/// nodes it makes on the way are the ones that were stored.
fn from_history(
    tree: &Arc<TreeStore>,
    sources: &Sources<'_>,
    wanted: &BTreeSet<Hash>,
) -> Vec<Arc<Node>> {
    let mut found = Found { tree, wanted, nodes: Vec::new() };
    let mut version: Option<Snapshot> = None;
    for row in &sources.rows {
        let start = version.take().filter(|version| version.root() == row.before);
        let start = start.or_else(|| tree.snapshot(row.before).ok());
        version = start.and_then(|start| step(&start, row.edits()).ok().flatten());
        found.take(version.as_ref());
    }
    let mut version = tree.snapshot(sources.head).ok();
    for row in sources.rows.iter().rev() {
        let start = version.take().filter(|version| version.root() == row.after);
        let start = start.or_else(|| tree.snapshot(row.after).ok());
        version = start.and_then(|start| step(&start, row.inverse()).ok().flatten());
        found.take(version.as_ref());
    }
    found.nodes
}

fn step(
    start: &Snapshot,
    edits: Option<Vec<crate::tree::Edit>>,
) -> Result<Option<Snapshot>, TreeError> {
    edits.map(|edits| start.edit(&edits)).transpose()
}

/// Picks what is wanted out of new versions.
struct Found<'a> {
    tree: &'a TreeStore,
    wanted: &'a BTreeSet<Hash>,
    nodes: Vec<Arc<Node>>,
}

impl Found<'_> {
    fn take(&mut self, version: Option<&Snapshot>) {
        let Some(version) = version else { return };
        let fresh = self.tree.unsaved(&version.root()).into_iter();
        self.nodes.extend(fresh.filter(|node| self.wanted.contains(&node.hash())));
    }
}

/// The index follows from the state that it belongs to.
fn from_index(tree: &Arc<TreeStore>, dir: &Path, wanted: &BTreeSet<Hash>) -> Vec<Arc<Node>> {
    let mut found = Found { tree, wanted, nodes: Vec::new() };
    if let Some((state, _)) = stamp::read(dir) {
        let index = tree.snapshot(state).and_then(|state| index::build(&state));
        found.take(index.ok().as_ref());
    }
    found.nodes
}

/// Text exports in the project's folder hold the records of one version.
fn from_exports(tree: &Arc<TreeStore>, dir: &Path, wanted: &BTreeSet<Hash>) -> Vec<Arc<Node>> {
    let mut found = Found { tree, wanted, nodes: Vec::new() };
    let folder = dir.parent().unwrap_or(dir);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        let Ok(file) = std::fs::File::open(file) else { continue };
        let records = snapshot::read(&mut std::io::BufReader::new(file));
        let version = records.ok().and_then(|(edits, _)| tree.empty().edit(&edits).ok());
        found.take(version.as_ref());
    }
    found.nodes
}
