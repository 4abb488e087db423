//! A store that rests nowhere: for tests and for throw-away projects.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use pulse_schemas::hash::Hash;

use super::{BackendError, BackingStore, Batch, Swept};
use crate::{node::Node, tree::lock};

#[derive(Default)]
pub struct MemoryBackend {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<Hash, Arc<Node>>,
    rows: BTreeMap<u64, Vec<u8>>,
    head: Option<Vec<u8>>,
}

impl BackingStore for MemoryBackend {
    fn node(&self, hash: &Hash) -> Result<Option<Box<[u8]>>, BackendError> {
        Ok(lock(&self.state).nodes.get(hash).map(|node| node.bytes().into()))
    }

    fn head(&self) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(lock(&self.state).head.clone())
    }

    fn rows(&self, from: u64, until: u64) -> Result<Vec<(u64, Vec<u8>)>, BackendError> {
        if from >= until {
            return Ok(Vec::new());
        }
        let state = lock(&self.state);
        Ok(state.rows.range(from..until).map(|(seq, row)| (*seq, row.clone())).collect())
    }

    fn write(&self, batch: &Batch) -> Result<(), BackendError> {
        let mut state = lock(&self.state);
        batch.nodes.iter().for_each(|node| drop(state.nodes.insert(node.hash(), node.clone())));
        state.rows.extend(batch.rows.iter().cloned());
        if let Some(seq) = batch.drop_rows_below {
            state.rows = state.rows.split_off(&seq);
        }
        if batch.head.is_some() {
            state.head.clone_from(&batch.head);
        }
        Ok(())
    }

    fn sweep(&self, live: &dyn Fn(&Hash) -> bool) -> Result<Swept, BackendError> {
        let mut swept = Swept::default();
        lock(&self.state).nodes.retain(|hash, node| {
            if live(hash) {
                swept.kept += 1;
                return true;
            }
            swept.nodes += 1;
            swept.bytes += node.bytes().len() as u64;
            false
        });
        Ok(swept)
    }

    fn visit_nodes(&self, visit: &mut dyn FnMut(Hash, &[u8])) -> Result<(), BackendError> {
        lock(&self.state).nodes.iter().for_each(|(hash, node)| visit(*hash, node.bytes()));
        Ok(())
    }

    fn replace(&self, nodes: &[Arc<Node>]) -> Result<(), BackendError> {
        self.write(&Batch { nodes: nodes.to_vec(), ..Batch::default() })
    }

    fn compact(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn verify(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    fn size(&self) -> Result<u64, BackendError> {
        Ok(0)
    }
}
