//! Finds kinds by name. The list itself is `nodes.rs`; this module only looks
//! things up, so that a new node touches one line.

use std::{any::Any, collections::BTreeMap};

use crate::node::NodeKind;

/// Kinds by name. A registry of its own lets tests add theirs.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, &'static NodeKind>,
}

impl Registry {
    /// Every kind that Pulse ships.
    pub fn standard() -> Registry {
        Registry::of(crate::nodes::NODES)
    }

    pub fn of(kinds: &[&'static NodeKind]) -> Registry {
        Registry { kinds: kinds.iter().map(|kind| (kind.descriptor.kind, *kind)).collect() }
    }

    pub fn with(mut self, kind: &'static NodeKind) -> Registry {
        self.kinds.insert(kind.descriptor.kind, kind);
        self
    }

    pub fn get(&self, kind: &str) -> Option<&'static NodeKind> {
        self.kinds.get(kind).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static NodeKind> + '_ {
        self.kinds.values().copied()
    }
}

/// Says what a caught panic said, for the report about its node.
pub fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}
