//! The list of node kinds. A new node is one file in `node/`, its `pub mod` line
//! in `node.rs` and one line here, sorted by name.

use crate::node::{self, NodeKind};

/// Every kind that Pulse ships.
#[rustfmt::skip]
pub static NODES: &[&NodeKind] = &[
    &node::compressor::KIND,
    &node::delay::KIND,
    &node::drums::KIND,
    &node::eq::KIND,
    &node::filter::KIND,
    &node::gate::KIND,
    &node::lane_stream::KIND,
    &node::limiter::KIND,
    &node::loudness::KIND,
    &node::meter::KIND,
    &node::reverb::KIND,
    &node::saturator::KIND,
    &node::strip::KIND,
    &node::sum::KIND,
    &node::synth::KIND,
];
