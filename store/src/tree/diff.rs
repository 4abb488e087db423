//! Comparing versions: two walks side by side which skip whatever both share.

use std::{cmp::Ordering, sync::Arc};

use super::{Snapshot, TreeError, TreeStore};
use crate::node::{Key, Link, Node, Value};

/// One key whose value differs; `None` where the key is absent.
#[derive(Clone, Debug)]
pub struct Difference {
    pub key: Key,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// The differences in key order; ends after the first error.
pub struct Diff {
    before: Side,
    after: Side,
    done: bool,
}

/// One walk: the path to the next item, which is an entry or a subtree not entered yet.
struct Side {
    store: Arc<TreeStore>,
    stack: Vec<(Arc<Node>, usize)>,
}

enum Item {
    Entry(Arc<Node>, usize),
    Subtree { link: Link, level: u8, parent: Arc<Node>, slot: usize },
}

impl Diff {
    pub(super) fn new(before: &Snapshot, after: &Snapshot) -> Diff {
        Diff {
            done: before.root() == after.root(),
            before: Side::new(before),
            after: Side::new(after),
        }
    }

    fn step(&mut self) -> Result<Option<Difference>, TreeError> {
        loop {
            match (self.before.peek(), self.after.peek()) {
                (None, None) => return Ok(None),
                (Some(Item::Subtree { .. }), None) => self.before.enter()?,
                (None, Some(Item::Subtree { .. })) => self.after.enter()?,
                (Some(Item::Entry(node, slot)), None) => return Ok(Some(self.removed(node, slot))),
                (None, Some(Item::Entry(node, slot))) => return Ok(Some(self.added(node, slot))),
                (Some(Item::Entry(a, i)), Some(Item::Entry(b, j))) => {
                    if let Some(difference) = self.compare(a, i, b, j) {
                        return Ok(Some(difference));
                    }
                }
                (Some(Item::Subtree { .. }), Some(Item::Entry(..))) => self.before.enter()?,
                (Some(Item::Entry(..)), Some(Item::Subtree { .. })) => self.after.enter()?,
                (Some(a @ Item::Subtree { .. }), Some(b @ Item::Subtree { .. })) => {
                    self.approach(&a, &b)?;
                }
            }
        }
    }

    /// Skips a shared subtree; else enters the higher one, or the one which ends first.
    fn approach(&mut self, a: &Item, b: &Item) -> Result<(), TreeError> {
        let (
            Item::Subtree { link: a_link, level: a_level, parent: a_parent, slot: i },
            Item::Subtree { link: b_link, level: b_level, parent: b_parent, slot: j },
        ) = (a, b)
        else {
            return Ok(());
        };
        if a_link.hash == b_link.hash {
            self.before.advance();
            self.after.advance();
            return Ok(());
        }
        let order = b_level.cmp(a_level).then_with(|| a_parent.key(*i).cmp(b_parent.key(*j)));
        if order != Ordering::Greater {
            self.before.enter()?;
        }
        if order != Ordering::Less {
            self.after.enter()?;
        }
        Ok(())
    }

    fn compare(&mut self, a: Arc<Node>, i: usize, b: Arc<Node>, j: usize) -> Option<Difference> {
        match a.key(i).cmp(b.key(j)) {
            Ordering::Less => Some(self.removed(a, i)),
            Ordering::Greater => Some(self.added(b, j)),
            Ordering::Equal => {
                self.before.advance();
                self.after.advance();
                (a.value(i) != b.value(j)).then(|| Difference {
                    key: Key::of(b.clone(), j),
                    before: Some(Value::of(a, i)),
                    after: Some(Value::of(b, j)),
                })
            }
        }
    }

    fn removed(&mut self, node: Arc<Node>, slot: usize) -> Difference {
        self.before.advance();
        let key = Key::of(node.clone(), slot);
        Difference { key, before: Some(Value::of(node, slot)), after: None }
    }

    fn added(&mut self, node: Arc<Node>, slot: usize) -> Difference {
        self.after.advance();
        let key = Key::of(node.clone(), slot);
        Difference { key, before: None, after: Some(Value::of(node, slot)) }
    }
}

impl Iterator for Diff {
    type Item = Result<Difference, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.step().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Side {
    fn new(snapshot: &Snapshot) -> Side {
        let root = snapshot.root_node().clone();
        let stack = if root.is_empty() { Vec::new() } else { vec![(root, 0)] };
        Side { store: snapshot.store().clone(), stack }
    }

    fn peek(&self) -> Option<Item> {
        let (node, slot) = self.stack.last()?;
        Some(match node.is_leaf() {
            true => Item::Entry(node.clone(), *slot),
            false => Item::Subtree {
                link: node.link(*slot),
                level: node.level() - 1,
                parent: node.clone(),
                slot: *slot,
            },
        })
    }

    fn advance(&mut self) {
        while let Some((node, slot)) = self.stack.last_mut() {
            *slot += 1;
            if *slot < node.len() {
                return;
            }
            self.stack.pop();
        }
    }

    /// Replaces the subtree at hand by its first child or entry; its slot is left behind.
    fn enter(&mut self) -> Result<(), TreeError> {
        let Some((node, slot)) = self.stack.last() else { return Ok(()) };
        let child = self.store.child(node, *slot)?;
        self.stack.push((child, 0));
        Ok(())
    }
}

/// Which side of a three-way comparison changed a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Ours,
    Theirs,
    /// Both, be it to the same value or to different ones.
    Both,
}

/// One key that at least one side changed, with its value in all three versions.
#[derive(Clone, Debug)]
pub struct ThreeWay {
    pub key: Key,
    pub changed: Changed,
    pub base: Option<Value>,
    pub ours: Option<Value>,
    pub theirs: Option<Value>,
}

/// Compares two versions with what they have in common, in key order, at the cost of both
/// differences.
pub fn diff3(
    base: &Snapshot,
    ours: &Snapshot,
    theirs: &Snapshot,
) -> impl Iterator<Item = Result<ThreeWay, TreeError>> {
    let mut ours = base.diff(ours).peekable();
    let mut theirs = base.diff(theirs).peekable();
    std::iter::from_fn(move || {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return None,
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
            (Some(Ok(a)), Some(Ok(b))) => a.key[..].cmp(&b.key[..]),
        };
        let a = if order == Ordering::Greater { None } else { ours.next() };
        let b = if order == Ordering::Less { None } else { theirs.next() };
        combine(a.transpose(), b.transpose()).transpose()
    })
}

fn combine(
    ours: Result<Option<Difference>, TreeError>,
    theirs: Result<Option<Difference>, TreeError>,
) -> Result<Option<ThreeWay>, TreeError> {
    Ok(Some(match (ours?, theirs?) {
        (Some(a), Some(b)) => ThreeWay {
            key: a.key,
            changed: Changed::Both,
            base: a.before,
            ours: a.after,
            theirs: b.after,
        },
        (Some(a), None) => ThreeWay {
            key: a.key,
            changed: Changed::Ours,
            theirs: a.before.clone(),
            base: a.before,
            ours: a.after,
        },
        (None, Some(b)) => ThreeWay {
            key: b.key,
            changed: Changed::Theirs,
            ours: b.before.clone(),
            base: b.before,
            theirs: b.after,
        },
        (None, None) => return Ok(None),
    }))
}
