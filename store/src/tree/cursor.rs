//! Walking along one level of the tree, and over the entries of a range.

use std::{ops::Bound, sync::Arc};

use super::{TreeError, TreeStore};
use crate::node::{Key, Node, Value};

/// A position among the nodes of one level: the path from the root down to the node.
pub(super) struct LevelCursor<'a> {
    store: &'a TreeStore,
    /// Ancestors with the slot taken in each.
    path: Vec<(Arc<Node>, usize)>,
    node: Arc<Node>,
}

impl<'a> LevelCursor<'a> {
    /// The node of `level` whose range holds `key`; the last one if all lie before it.
    pub fn seek(
        store: &'a TreeStore,
        root: &Arc<Node>,
        level: u8,
        key: &[u8],
    ) -> Result<LevelCursor<'a>, TreeError> {
        let mut cursor = LevelCursor { store, path: Vec::new(), node: root.clone() };
        while cursor.node.level() > level {
            let slot = cursor.node.lower_bound(key).min(cursor.node.len() - 1);
            cursor.descend(slot)?;
        }
        Ok(cursor)
    }

    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub fn is_last(&self) -> bool {
        self.path.iter().all(|(node, slot)| slot + 1 == node.len())
    }

    /// Moves to the next node of the level; stays when there is none.
    pub fn advance(&mut self) -> Result<(), TreeError> {
        let Some(turn) = self.path.iter().rposition(|(node, slot)| slot + 1 < node.len()) else {
            return Ok(());
        };
        let down = self.path.len() - turn;
        let (node, slot) = self.path[turn].clone();
        self.path.truncate(turn);
        self.node = node;
        self.descend(slot + 1)?;
        for _ in 1..down {
            self.descend(0)?;
        }
        Ok(())
    }

    fn descend(&mut self, slot: usize) -> Result<(), TreeError> {
        let child = self.store.child(&self.node, slot)?;
        self.path.push((std::mem::replace(&mut self.node, child), slot));
        Ok(())
    }
}

/// The entries of a range in key order; ends after the first error.
pub struct Range {
    store: Arc<TreeStore>,
    /// From the root to the leaf, each with the next slot to visit.
    stack: Vec<(Arc<Node>, usize)>,
    start: Option<(Vec<u8>, bool)>,
    end: Bound<Vec<u8>>,
}

impl Range {
    pub(super) fn new(
        store: Arc<TreeStore>,
        root: Arc<Node>,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) -> Range {
        let start = match start {
            Bound::Included(key) => Some((key.to_vec(), true)),
            Bound::Excluded(key) => Some((key.to_vec(), false)),
            Bound::Unbounded => None,
        };
        let mut range = Range { store, stack: Vec::new(), start, end: end.map(<[u8]>::to_vec) };
        range.enter(root);
        range
    }

    /// Pushes a node, positioned at the first slot which can hold the start of the range.
    fn enter(&mut self, node: Arc<Node>) {
        let slot = match &self.start {
            None => 0,
            Some((key, included)) => {
                let slot = node.lower_bound(key);
                let exact = node.is_leaf() && slot < node.len() && node.key(slot) == &key[..];
                slot + usize::from(exact && !included)
            }
        };
        if node.is_leaf() {
            self.start = None;
        }
        self.stack.push((node, slot));
    }

    fn step(&mut self) -> Result<Option<(Key, Value)>, TreeError> {
        while let Some((node, slot)) = self.stack.last_mut() {
            if *slot == node.len() {
                self.stack.pop();
                continue;
            }
            let (node, at) = (node.clone(), *slot);
            *slot += 1;
            if node.is_leaf() {
                return Ok(self
                    .inside(node.key(at))
                    .then(|| (Key::of(node.clone(), at), Value::of(node, at))));
            }
            let child = self.store.child(&node, at)?;
            self.enter(child);
        }
        Ok(None)
    }

    fn inside(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Included(end) => key <= &end[..],
            Bound::Excluded(end) => key < &end[..],
            Bound::Unbounded => true,
        }
    }
}

impl Iterator for Range {
    type Item = Result<(Key, Value), TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.step().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.stack.clear();
        }
        next
    }
}
