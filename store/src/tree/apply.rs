//! Editing: level by level, only the nodes along the changed paths are built anew.
//!
//! A changed node is chunked again from its first entry, where the chunker's state is empty by
//! construction, and so are the nodes behind it until a new boundary falls on an old one. From
//! there on the old nodes are what a build from scratch would give, which is why the result
//! doesn't depend on the way to it. The replaced nodes are the edits of the level above.

use std::{cmp::Ordering, sync::Arc};

use super::{TreeError, TreeStore, cursor::LevelCursor};
use crate::{
    chunk::Chunker,
    node::{Link, MAX_KEY, MAX_VALUE, Node, NodeBuilder, entry_bytes},
};

/// Write a value under a key, or remove the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

impl Edit {
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Edit {
        Edit { key: key.into(), value: Some(value.into()) }
    }

    pub fn remove(key: impl Into<Vec<u8>>) -> Edit {
        Edit { key: key.into(), value: None }
    }
}

/// Refuses edits that could not be stored or found again.
pub(super) fn check(edits: &[Edit]) -> Result<(), TreeError> {
    for (index, edit) in edits.iter().enumerate() {
        if edit.key.len() > MAX_KEY {
            return Err(TreeError::KeyLength { length: edit.key.len() });
        }
        let length = edit.value.as_ref().map_or(0, Vec::len);
        if length > MAX_VALUE {
            return Err(TreeError::ValueLength { length });
        }
        if index > 0 && edits[index - 1].key >= edit.key {
            return Err(TreeError::Unsorted { index });
        }
    }
    Ok(())
}

/// The new root and all new nodes below it.
pub(super) fn apply(
    store: &TreeStore,
    root: &Arc<Node>,
    edits: &[Edit],
) -> Result<(Arc<Node>, Vec<Arc<Node>>), TreeError> {
    let mut fresh = Vec::new();
    if edits.is_empty() {
        return Ok((root.clone(), fresh));
    }
    let mut outcome = rebuild(store, root, 0, edits)?;
    for level in 0..root.level() {
        let edits = outcome.into_parent_edits(&mut fresh);
        if edits.is_empty() {
            return Ok((root.clone(), Vec::new()));
        }
        outcome = rebuild(store, root, level + 1, &edits)?;
    }
    let root = grow(outcome.added, &mut fresh);
    Ok((shrink(store, root, &fresh)?, fresh))
}

/// Old nodes of one level and what takes their place, both in key order.
#[derive(Default)]
struct Outcome {
    removed: Vec<Arc<Node>>,
    added: Vec<Arc<Node>>,
}

impl Outcome {
    /// What the level above has to change; nodes that came out as they were drop out.
    fn into_parent_edits(self, fresh: &mut Vec<Arc<Node>>) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut removed = self.removed.into_iter().peekable();
        for node in self.added {
            while let Some(old) = removed.next_if(|old| old.last_key() < node.last_key()) {
                edits.push(Edit { key: last_key(&old), value: None });
            }
            let same_key = removed.next_if(|old| old.last_key() == node.last_key());
            if same_key.is_some_and(|old| old.hash() == node.hash()) {
                continue;
            }
            edits.push(Edit::put(last_key(&node), link(&node)));
            fresh.push(node);
        }
        edits.extend(removed.map(|old| Edit { key: last_key(&old), value: None }));
        edits
    }
}

fn last_key(node: &Node) -> Vec<u8> {
    node.last_key().unwrap_or_default().to_vec()
}

fn link(node: &Node) -> [u8; crate::node::LINK] {
    Link { hash: node.hash(), entries: node.entries() }.to_bytes()
}

/// Applies the edits of one level to the nodes they fall into.
fn rebuild(
    store: &TreeStore,
    root: &Arc<Node>,
    level: u8,
    edits: &[Edit],
) -> Result<Outcome, TreeError> {
    let mut outcome = Outcome::default();
    let mut writer = Writer::new(level);
    let mut edits = edits.iter().peekable();
    while let Some(first) = edits.peek() {
        let mut cursor = LevelCursor::seek(store, root, level, &first.key)?;
        loop {
            let node = cursor.node().clone();
            merge(&node, &mut edits, &mut writer);
            let is_last = cursor.is_last();
            if is_last {
                edits.by_ref().for_each(|edit| writer.edit(edit));
                writer.finish();
            }
            outcome.removed.push(node);
            if writer.at_boundary() {
                break;
            }
            cursor.advance()?;
        }
    }
    outcome.added = writer.nodes;
    Ok(outcome)
}

/// Writes a node's entries with the edits up to its last key among them.
fn merge<'e>(
    node: &Node,
    edits: &mut std::iter::Peekable<impl Iterator<Item = &'e Edit>>,
    writer: &mut Writer,
) {
    for slot in 0..node.len() {
        let key = node.key(slot);
        while let Some(edit) = edits.next_if(|edit| edit.key[..] < *key) {
            writer.edit(edit);
        }
        match edits.next_if(|edit| edit.key[..].cmp(key) == Ordering::Equal) {
            Some(edit) => writer.edit(edit),
            None => writer.push(key, node.value(slot)),
        }
    }
}

/// Builds the levels above a finished one until a single node is left.
fn grow(mut nodes: Vec<Arc<Node>>, fresh: &mut Vec<Arc<Node>>) -> Arc<Node> {
    while nodes.len() > 1 {
        let mut writer = Writer::new(nodes[0].level() + 1);
        nodes.iter().for_each(|node| writer.push(node.last_key().unwrap_or_default(), &link(node)));
        writer.finish();
        fresh.append(&mut nodes);
        nodes = writer.nodes;
    }
    let root = nodes.pop().unwrap_or_else(|| Arc::new(NodeBuilder::new(0).finish()));
    fresh.push(root.clone());
    root
}

/// An inner root with one child is not a tree that a build from scratch would give.
fn shrink(
    store: &TreeStore,
    mut root: Arc<Node>,
    fresh: &[Arc<Node>],
) -> Result<Arc<Node>, TreeError> {
    while !root.is_leaf() && root.len() == 1 {
        let hash = root.link(0).hash;
        root = match fresh.iter().find(|node| node.hash() == hash) {
            Some(node) => node.clone(),
            None => store.child(&root, 0)?,
        };
    }
    Ok(root)
}

/// Chunks a stream of entries into nodes.
struct Writer {
    level: u8,
    chunker: Chunker,
    builder: NodeBuilder,
    nodes: Vec<Arc<Node>>,
}

impl Writer {
    fn new(level: u8) -> Writer {
        Writer {
            level,
            chunker: Chunker::new(level),
            builder: NodeBuilder::new(level),
            nodes: Vec::new(),
        }
    }

    fn edit(&mut self, edit: &Edit) {
        if let Some(value) = &edit.value {
            self.push(&edit.key, value);
        }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.builder.push(key, value);
        if self.chunker.ends_behind(key, entry_bytes(key, value)) {
            self.nodes.push(Arc::new(self.builder.finish()));
        }
    }

    fn at_boundary(&self) -> bool {
        self.builder.is_empty()
    }

    /// The stream ends here, whatever the chunker says.
    fn finish(&mut self) {
        if !self.builder.is_empty() {
            self.nodes.push(Arc::new(self.builder.finish()));
        }
        self.chunker = Chunker::new(self.level);
    }
}
