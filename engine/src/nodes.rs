//! The list of node kinds. A new node is one file in `node/`, its `pub mod` line
//! in `node.rs` and one line here, sorted by name.

use crate::node::{NodeKind, synth};

/// Every kind that Pulse ships.
pub static NODES: &[&NodeKind] = &[&synth::KIND];
