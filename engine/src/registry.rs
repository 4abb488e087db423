//! Finds kinds by name. The list itself is `nodes.rs`; this module only looks
//! things up, so that a new node touches one line.

use std::{any::Any, collections::BTreeMap};

use crate::node::NodeKind;

/// Kinds by name. A registry of its own lets tests add theirs.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, &'static NodeKind>,
    /// Versions under which new nodes are written, where not the kinds' own.
    written: Option<BTreeMap<String, u32>>,
}

impl Registry {
    /// Every kind that Pulse ships.
    pub fn standard() -> Registry {
        Registry::of(crate::nodes::NODES)
    }

    pub fn of(kinds: &[&'static NodeKind]) -> Registry {
        let kinds = kinds.iter().map(|kind| (kind.descriptor.kind, *kind)).collect();
        Registry { kinds, written: None }
    }

    pub fn with(mut self, kind: &'static NodeKind) -> Registry {
        self.kinds.insert(kind.descriptor.kind, kind);
        self
    }

    pub fn get(&self, kind: &str) -> Option<&'static NodeKind> {
        self.kinds.get(kind).copied()
    }

    /// The version under which a new node of a kind is written.
    pub fn version(&self, kind: &str) -> u32 {
        match &self.written {
            Some(written) => written.get(kind).copied().unwrap_or(1),
            None => self.get(kind).map_or(1, |kind| kind.descriptor.dsp_version),
        }
    }

    /// Kinds of another version than 1.
    pub fn versions(&self) -> BTreeMap<String, u32> {
        let all = self.kinds.keys().map(|&kind| (kind.to_owned(), self.version(kind)));
        all.filter(|(_, version)| *version != 1).collect()
    }

    /// The same kinds, but new nodes are written as they once were.
    pub fn written_as(mut self, versions: BTreeMap<String, u32>) -> Registry {
        self.written = Some(versions);
        self
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
