//! What of a damaged store can be proved right, wherever in its files it lies.
//!
//! Nodes and rows bring their own proof, so the tables around them need not be trusted: the
//! bytes of the database are searched as they are, which also finds pages that were let go and
//! not written over. Bytes in which a single one is wrong are mended: the check says which.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    sync::{Arc, RwLock},
};

use pulse_schemas::hash::Hash;

use super::{
    mend::{Effort, Mended, TRIES, mend, mend_nodes},
    open_existing,
};
use crate::{
    backend::{BackendError, BackingStore},
    journal::{self, HEADER, row::Row},
    node::{self, Node},
    repo::{Head, HistoryRow},
    tree::{NodeSource, read, write},
};

/// The whole file is searched for a row this many times at most.
const SEARCHES: usize = 200;

/// Where a node's bytes lie.
enum Place {
    Database(Range<usize>),
    Here(Box<[u8]>),
}

/// Every node that is known to be right.
pub(super) struct Nodes {
    database: Vec<u8>,
    places: RwLock<BTreeMap<Hash, Place>>,
}

impl Nodes {
    pub(super) fn get(&self, hash: &Hash) -> Option<Box<[u8]>> {
        Some(match read(&self.places).get(hash)? {
            Place::Database(range) => self.database[range.clone()].into(),
            Place::Here(bytes) => bytes.clone(),
        })
    }

    pub(super) fn insert(&self, node: &Node) {
        let place = Place::Here(node.bytes().into());
        write(&self.places).entry(node.hash()).or_insert(place);
    }

    pub(super) fn hashes(&self) -> Vec<Hash> {
        read(&self.places).keys().copied().collect()
    }

    pub(super) fn parsed(&self, hash: &Hash) -> Option<Node> {
        Node::parse(self.get(hash)?).ok()
    }
}

/// The nodes as a tree reads them.
pub(super) struct Source(pub Arc<Nodes>);

impl NodeSource for Source {
    fn load(&self, hash: &Hash) -> Result<Option<Box<[u8]>>, BackendError> {
        Ok(self.0.get(hash))
    }
}

/// Everything that was found.
pub(super) struct Salvage {
    pub nodes: Arc<Nodes>,
    /// The nodes that the tables name, right ones only: they stay, needed or not.
    pub stored: BTreeSet<Hash>,
    /// Stored nodes in which one byte was wrong.
    pub mended: usize,
    /// Stored nodes that are no more what they are named after, and are found nowhere else.
    pub damaged: BTreeMap<Hash, Vec<u8>>,
    /// What is left of the values that may be tried in them.
    tries: u64,
    /// Of those that are needed, how many were not searched for every wrong byte.
    pub left_out: usize,
    pub rows: BTreeMap<u64, HistoryRow>,
    /// Stored rows that are damaged.
    pub damaged_rows: BTreeMap<u64, Vec<u8>>,
    /// Rows that are not where they belong in the table, or had one wrong byte.
    pub rows_restored: BTreeSet<u64>,
    pub head: Option<(Head, HeadFrom)>,
    pub journal: Vec<Row>,
}

/// Where the head was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadFrom {
    /// Where it belongs, as it should be.
    Table,
    /// There, with one byte put right.
    Mended,
    /// In the mark that follows each checkpoint.
    Journal,
    /// Nothing was stored yet, and the journal holds all.
    Beginning,
    /// In a page that was let go: it may be older than the rows.
    Old,
}

/// Reads what is there; `None` if the database file can't even be read as a file.
pub(super) fn salvage(database: &Path, journal: &[u8]) -> Option<Salvage> {
    let bytes = match std::fs::read(database) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(_) => return None,
    };
    let mut places = BTreeMap::new();
    carve(&bytes, |hash, range| drop(places.insert(hash, Place::Database(range))));
    let nodes = Arc::new(Nodes { database: bytes, places: RwLock::new(places) });
    let mut salvage = Salvage {
        nodes,
        stored: BTreeSet::new(),
        mended: 0,
        damaged: BTreeMap::new(),
        tries: TRIES,
        left_out: 0,
        rows: BTreeMap::new(),
        damaged_rows: BTreeMap::new(),
        rows_restored: BTreeSet::new(),
        head: None,
        journal: journal_rows(journal),
    };
    let backend = open_existing(database).ok();
    let found = backend.as_ref().and_then(|backend| backend.head().ok().flatten());
    salvage.head = salvage.find_head(found.as_deref(), journal);
    if let Some(backend) = &backend {
        salvage.take_nodes(backend);
        salvage.take_rows(backend);
    }
    salvage.carve_rows();
    Some(salvage)
}

impl Salvage {
    fn take_nodes(&mut self, backend: &dyn BackingStore) {
        // A table that breaks in the middle has shown what is before; carving finds the rest.
        let shown = backend.visit_nodes(&mut |hash, bytes| {
            let found = Node::parse(bytes.into()).ok();
            if let Some(node) = &found {
                self.stored.insert(node.hash());
                self.nodes.insert(node);
            }
            if found.is_none_or(|node| node.hash() != hash) && self.nodes.get(&hash).is_none() {
                self.damaged.insert(hash, bytes.to_vec());
            }
        });
        drop(shown);
        let all = self.damaged.keys().copied().collect();
        self.mend(&all, Effort::Bits);
    }

    /// Searches damaged nodes for a wrong byte; how many it put right.
    pub(super) fn mend(&mut self, hashes: &BTreeSet<Hash>, effort: Effort) -> usize {
        let searched: Vec<(Hash, &[u8])> = self
            .damaged
            .iter()
            .filter(|(hash, _)| hashes.contains(hash) && self.nodes.get(hash).is_none())
            .map(|(hash, bytes)| (*hash, &bytes[..]))
            .collect();
        let mended = mend_nodes(&searched, effort, &mut self.tries);
        let Mended { nodes, given_up, left_out } = mended;
        self.left_out = left_out;
        if effort == Effort::Bytes {
            given_up.iter().for_each(|hash| drop(self.damaged.remove(hash)));
        }
        for node in &nodes {
            self.nodes.insert(node);
            self.stored.insert(node.hash());
            self.damaged.remove(&node.hash());
        }
        self.mended += nodes.len();
        nodes.len()
    }

    fn take_rows(&mut self, backend: &dyn BackingStore) {
        let last = self.head.as_ref().map_or(0, |(head, _)| head.seq);
        let rows = backend.rows(0, u64::MAX).unwrap_or_else(|_| {
            let one = |seq: u64| backend.rows(seq, seq + 1).unwrap_or_default();
            (1..=last).flat_map(one).collect()
        });
        for (seq, bytes) in rows {
            if let Ok(row) = HistoryRow::decode(seq, &bytes) {
                self.rows.insert(seq, row);
            } else if let Some(row) = mend_row(seq, &bytes) {
                self.rows_restored.insert(seq);
                self.rows.insert(seq, row);
            } else {
                self.damaged_rows.insert(seq, bytes);
            }
        }
    }

    /// Finds rows that the table does not give, by the root that they follow from.
    fn carve_rows(&mut self) {
        let Some((head, _)) = &self.head else { return };
        let (from, until, root) = (head.rows_from.max(1), head.seq, head.root);
        let (mut searches, mut next) = (0, None);
        for seq in from..=until {
            if self.rows.contains_key(&seq) {
                next = None;
                continue;
            }
            let bytes = &self.nodes.database;
            // Rows of one page lie back to back.
            let beside = next.take().and_then(|at| carved_at(bytes, seq, at));
            if let Some((row, end)) = beside {
                next = Some(end);
                self.rows_restored.insert(seq);
                self.rows.insert(seq, row);
                continue;
            }
            searches += 1;
            if searches > SEARCHES {
                return;
            }
            let before = match seq {
                1 => Some(crate::tree::empty_root()),
                _ => self.rows.get(&(seq - 1)).map(|row| row.after),
            };
            let after = match self.rows.get(&(seq + 1)) {
                Some(row) => Some(row.before),
                None => (seq == until).then_some(root),
            };
            let found = before
                .and_then(|before| carve_row(bytes, seq, &before, 1))
                .or_else(|| carve_row(bytes, seq, &after?, 33));
            if let Some((row, end)) = found {
                next = Some(end);
                self.rows_restored.insert(seq);
                self.rows.insert(seq, row);
            }
        }
    }

    fn find_head(&self, stored: Option<&[u8]>, journal: &[u8]) -> Option<(Head, HeadFrom)> {
        let decode = |bytes: &[u8]| Head::decode(bytes).ok();
        let mut found: Vec<(Head, HeadFrom)> = Vec::new();
        if let Some(bytes) = stored {
            match decode(bytes) {
                Some(head) => found.push((head, HeadFrom::Table)),
                None => {
                    let mended = mend(bytes, |bytes| decode(bytes).is_some());
                    let head = mended.and_then(|bytes| decode(&bytes));
                    found.extend(head.map(|head| (head, HeadFrom::Mended)));
                }
            }
        }
        let marks = self.journal.iter().rev().filter_map(|row| decode(&row.info));
        found.extend(marks.take(1).map(|head| (head, HeadFrom::Journal)));
        // Of equals the first one counts; a later head is there if the database was rolled back.
        let whole = |head: &Head| {
            [head.root, head.meta]
                .iter()
                .all(|root| *root == crate::tree::empty_root() || self.nodes.get(root).is_some())
        };
        let last = found.iter().filter(|(head, _)| whole(head)).map(|(head, _)| head.seq).max();
        let best = found.iter().find(|(head, _)| last.is_none_or(|last| head.seq == last));
        if let Some(best) = best {
            return Some(best.clone());
        }
        if let Some(head) = self.beginning(journal) {
            return Some((head, HeadFrom::Beginning));
        }
        let old = carve_heads(&self.nodes.database).max_by_key(|head| head.seq)?;
        Some((old, HeadFrom::Old))
    }

    /// A store whose first row is still in the journal.
    fn beginning(&self, journal: &[u8]) -> Option<Head> {
        let first = self.journal.first().filter(|row| row.seq == 1)?;
        let store_id: [u8; 16] = journal.get(16..32)?.try_into().ok()?;
        let root = crate::tree::empty_root();
        let head = Head { store_id, root, meta: root, seq: 0, journal_ready: true, rows_from: 1 };
        (first.change != journal::row::Change::Mark).then_some(head)
    }
}

/// The rows of a journal as far as they are whole.
fn journal_rows(bytes: &[u8]) -> Vec<Row> {
    let Some(store_id) = bytes.get(16..32).and_then(|id| <[u8; 16]>::try_from(id).ok()) else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    let mut at = HEADER;
    while let Some((row, length)) =
        bytes.get(at..).and_then(|it| journal::read_frame(it, &store_id))
    {
        rows.push(row);
        at += length;
    }
    rows
}

/// Every whole node in `bytes`, found by its layout.
fn carve(bytes: &[u8], mut found: impl FnMut(Hash, Range<usize>)) {
    for at in 0..bytes.len() {
        if bytes[at] != node::NODE_VERSION {
            continue;
        }
        let Some(length) = node::length_of(&bytes[at..]) else { continue };
        if let Ok(node) = Node::parse(bytes[at..at + length].into()) {
            found(node.hash(), at..at + length);
        }
    }
}

fn carve_heads(bytes: &[u8]) -> impl Iterator<Item = Head> + '_ {
    let starts = bytes.windows(4).enumerate().filter(|(_, it)| it == crate::repo::head::MAGIC);
    starts.filter_map(|(at, _)| {
        let lengths = crate::repo::head::LENGTHS.iter();
        lengths.filter_map(|length| Head::decode(bytes.get(at..at + length)?).ok()).next()
    })
}

/// A row that holds `root` at `offset`.
fn carve_row(bytes: &[u8], seq: u64, root: &Hash, offset: usize) -> Option<(HistoryRow, usize)> {
    let is_root = |it: &[u8]| it[0] == root.0[0] && *it == root.0;
    let places = bytes.windows(32).enumerate().filter(|(_, it)| is_root(it));
    let mut starts = places.filter_map(|(at, _)| at.checked_sub(offset));
    starts.find_map(|start| carved_at(bytes, seq, start))
}

fn carved_at(bytes: &[u8], seq: u64, at: usize) -> Option<(HistoryRow, usize)> {
    let (row, length) = HistoryRow::decode_prefix(seq, bytes.get(at..)?)?;
    Some((row, at + length))
}

fn mend_row(seq: u64, bytes: &[u8]) -> Option<HistoryRow> {
    let bytes = mend(bytes, |bytes| HistoryRow::decode(seq, bytes).is_ok())?;
    HistoryRow::decode(seq, &bytes).ok()
}
