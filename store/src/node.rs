//! One immutable node of the tree: a block of bytes whose BLAKE3 hash is its name.
//!
//! Leaves and inner nodes share one layout (`docs/file-format.md`), so there is one parser and
//! one builder; an inner node's values are child links. Values are handed out as slices of the
//! node's own bytes: a record is read where it lies.

use std::{fmt, ops::Deref, sync::Arc};

use pulse_schemas::hash::Hash;

/// Bumped when the layout or the chunking changes.
pub const NODE_VERSION: u8 = 1;
/// Longer keys are refused before they reach a node.
pub const MAX_KEY: usize = 512;
/// Longer values belong into a blob.
pub const MAX_VALUE: usize = 1 << 20;
/// A tree of 2^64 entries is far lower than this; a higher level is damage.
pub const MAX_LEVEL: u8 = 32;

const HEADER: usize = 8;
const SLOT: usize = 6;
/// Bytes of one child link: hash and number of entries below.
pub const LINK: usize = 40;

/// Why bytes are not a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("{length} bytes are too few for a node")]
    Short { length: usize },
    #[error("node format {found} is not known (this program reads format {NODE_VERSION})")]
    Version { found: u8 },
    #[error("level {found} is too high for a node")]
    Level { found: u8 },
    #[error("slot {slot} points outside of the node")]
    Slot { slot: usize },
    #[error("key {slot} is not greater than the key before it")]
    Order { slot: usize },
    #[error("child link {slot} has the wrong size")]
    Link { slot: usize },
    #[error("an inner node without children")]
    Childless,
}

/// How long a node is that begins here, if one does: for finding nodes without a table.
pub(crate) fn length_of(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..HEADER)?;
    if header[0] != NODE_VERSION || header[1] > MAX_LEVEL || header[2] != 0 || header[3] != 0 {
        return None;
    }
    let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let slots = len.checked_mul(SLOT)?;
    let last = HEADER.checked_add(slots)?.checked_sub(SLOT).filter(|_| len > 0)?;
    let end = bytes.get(last..last.checked_add(4)?)?;
    let data = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
    let length = (HEADER + slots).checked_add(data)?;
    (length <= bytes.len()).then_some(length)
}

/// A parsed, validated node. Everything inside is immutable and shared.
pub struct Node {
    hash: Hash,
    level: u8,
    len: usize,
    entries: u64,
    bytes: Box<[u8]>,
}

/// A link to a child: its content hash and how many entries lie below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub hash: Hash,
    pub entries: u64,
}

impl Node {
    /// Checks the layout completely, so that no later access can fail. The caller compares the
    /// hash with the one it asked for.
    pub fn parse(bytes: Box<[u8]>) -> Result<Node, NodeError> {
        let short = NodeError::Short { length: bytes.len() };
        if bytes.len() < HEADER {
            return Err(short);
        }
        if bytes[0] != NODE_VERSION {
            return Err(NodeError::Version { found: bytes[0] });
        }
        let level = bytes[1];
        if level > MAX_LEVEL {
            return Err(NodeError::Level { found: level });
        }
        let len = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
        if bytes[2] != 0 || bytes[3] != 0 || len > (bytes.len() - HEADER) / SLOT {
            return Err(short);
        }
        let mut node = Node { hash: Hash::of(&bytes), level, len, entries: 0, bytes };
        node.validate()?;
        node.entries = node.count_entries();
        Ok(node)
    }

    fn validate(&self) -> Result<(), NodeError> {
        let data_len = self.bytes.len() - self.data_start();
        let mut start = 0;
        for slot in 0..self.len {
            let (end, key_len) = self.slot(slot);
            if end < start || end > data_len || key_len > end - start || key_len > MAX_KEY {
                return Err(NodeError::Slot { slot });
            }
            if self.level > 0 && end - start - key_len != LINK {
                return Err(NodeError::Link { slot });
            }
            if slot > 0 && self.key(slot - 1) >= self.key(slot) {
                return Err(NodeError::Order { slot });
            }
            start = end;
        }
        if start != data_len {
            return Err(NodeError::Slot { slot: self.len });
        }
        if self.level > 0 && self.len == 0 {
            return Err(NodeError::Childless);
        }
        Ok(())
    }

    fn count_entries(&self) -> u64 {
        match self.level {
            0 => self.len as u64,
            _ => {
                (0..self.len).fold(0, |sum: u64, slot| sum.saturating_add(self.link(slot).entries))
            }
        }
    }

    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// 0 for a leaf, one more for every step towards the root.
    pub fn level(&self) -> u8 {
        self.level
    }

    pub fn is_leaf(&self) -> bool {
        self.level == 0
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many entries of the map lie in or below this node.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn key(&self, slot: usize) -> &[u8] {
        let start = self.entry_start(slot);
        &self.bytes[start..start + self.slot(slot).1]
    }

    pub fn value(&self, slot: usize) -> &[u8] {
        let (start, end) = self.value_range(slot);
        &self.bytes[start..end]
    }

    pub fn last_key(&self) -> Option<&[u8]> {
        self.len.checked_sub(1).map(|slot| self.key(slot))
    }

    /// The child behind `slot` of an inner node.
    pub fn link(&self, slot: usize) -> Link {
        Link::read(self.value(slot))
    }

    /// The first slot whose key is not below `key`; `len` when all are.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = (low + high) / 2;
            if self.key(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn value_range(&self, slot: usize) -> (usize, usize) {
        let (end, key_len) = self.slot(slot);
        (self.entry_start(slot) + key_len, self.data_start() + end)
    }

    fn entry_start(&self, slot: usize) -> usize {
        self.data_start() + if slot == 0 { 0 } else { self.slot(slot - 1).0 }
    }

    fn data_start(&self) -> usize {
        HEADER + self.len * SLOT
    }

    fn slot(&self, slot: usize) -> (usize, usize) {
        let at = HEADER + slot * SLOT;
        let b = &self.bytes[at..at + SLOT];
        let end = u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize;
        (end, u16::from_le_bytes([b[4], b[5]]) as usize)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?}, level {}, {} slots)", self.hash, self.level, self.len)
    }
}

impl Link {
    pub fn to_bytes(self) -> [u8; LINK] {
        let mut bytes = [0; LINK];
        bytes[..32].copy_from_slice(&self.hash.0);
        bytes[32..].copy_from_slice(&self.entries.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Link {
        let mut hash = [0; 32];
        let mut entries = [0; 8];
        hash.copy_from_slice(&bytes[..32]);
        entries.copy_from_slice(&bytes[32..LINK]);
        Link { hash: Hash(hash), entries: u64::from_le_bytes(entries) }
    }
}

/// A value that keeps its node alive: no copy, and no borrow of the tree.
#[derive(Clone)]
pub struct Value {
    node: Arc<Node>,
    start: u32,
    end: u32,
}

impl Value {
    pub fn of(node: Arc<Node>, slot: usize) -> Value {
        let (start, end) = node.value_range(slot);
        Value { node, start: start as u32, end: end as u32 }
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.node.bytes[self.start as usize..self.end as usize]
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.len())
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        **self == **other
    }
}

impl Eq for Value {}

/// A key that keeps its node alive, like [`Value`].
#[derive(Clone)]
pub struct Key {
    node: Arc<Node>,
    slot: u32,
}

impl Key {
    pub fn of(node: Arc<Node>, slot: usize) -> Key {
        Key { node, slot: slot as u32 }
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.node.key(self.slot as usize)
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:02x?})", &**self)
    }
}

/// Lays entries out as a node; the entries come in key order.
pub struct NodeBuilder {
    level: u8,
    slots: Vec<u8>,
    data: Vec<u8>,
    len: usize,
    entries: u64,
}

impl NodeBuilder {
    pub fn new(level: u8) -> NodeBuilder {
        NodeBuilder { level, slots: Vec::new(), data: Vec::new(), len: 0, entries: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
        self.slots.extend_from_slice(&(self.data.len() as u32).to_le_bytes());
        self.slots.extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.len += 1;
        self.entries += if self.level == 0 { 1 } else { Link::read(value).entries };
    }

    /// The finished node; the builder starts over, empty.
    pub fn finish(&mut self) -> Node {
        let mut bytes = Vec::with_capacity(HEADER + self.slots.len() + self.data.len());
        bytes.extend_from_slice(&[NODE_VERSION, self.level, 0, 0]);
        bytes.extend_from_slice(&(self.len as u32).to_le_bytes());
        bytes.extend_from_slice(&self.slots);
        bytes.extend_from_slice(&self.data);
        let node = Node {
            hash: Hash::of(&bytes),
            level: self.level,
            len: self.len,
            entries: self.entries,
            bytes: bytes.into(),
        };
        self.slots.clear();
        self.data.clear();
        (self.len, self.entries) = (0, 0);
        node
    }
}

/// How many bytes an entry takes in a node, which is what the chunker counts.
pub fn entry_bytes(key: &[u8], value: &[u8]) -> usize {
    SLOT + key.len() + value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(entries: &[(&[u8], &[u8])]) -> Node {
        let mut builder = NodeBuilder::new(0);
        entries.iter().for_each(|(key, value)| builder.push(key, value));
        builder.finish()
    }

    #[test]
    fn a_node_reads_back_what_was_built() {
        let built = leaf(&[(b"a", b"one"), (b"b", b""), (b"cc", b"three")]);
        let node = Node::parse(built.bytes().into()).unwrap();
        assert_eq!(node.hash(), built.hash());
        assert_eq!((node.len(), node.entries()), (3, 3));
        assert_eq!((node.key(2), node.value(2)), (&b"cc"[..], &b"three"[..]));
        assert_eq!(node.value(1), b"");
        assert_eq!(node.lower_bound(b"b"), 1);
        assert_eq!(node.lower_bound(b"bb"), 2);
        assert_eq!(node.lower_bound(b"d"), 3);
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_panic() {
        let good = leaf(&[(b"a", b"one"), (b"b", b"two"), (b"c", b"three")]);
        for at in 0..good.bytes().len() {
            for bit in 0..8 {
                let mut bytes = good.bytes().to_vec();
                bytes[at] ^= 1 << bit;
                if let Ok(node) = Node::parse(bytes.into()) {
                    assert_ne!(node.hash(), good.hash());
                    let read = |slot| node.key(slot).len() + node.value(slot).len();
                    assert!((0..node.len()).map(read).sum::<usize>() <= node.bytes().len());
                }
            }
        }
        for cut in 0..good.bytes().len() {
            assert!(Node::parse(good.bytes()[..cut].into()).is_err());
        }
    }
}
