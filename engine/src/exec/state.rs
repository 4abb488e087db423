//! The state of a whole executor as bytes, node by node and line by line, so that
//! a render can stop and go on elsewhere.

// An error here names nodes and edges in full and is made once, off the audio thread.
#![allow(clippy::result_large_err)]

use pulse_schemas::graph::EdgeSpec;

use super::Executor;
use crate::{
    plan::StateKey,
    state::{Loader, Saver},
};

/// Everything that later output depends on, apart from content.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SavedState {
    pub nodes: Vec<(StateKey, Vec<u8>)>,
    pub lines: Vec<(EdgeSpec, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RestoreError {
    #[error("the saved state of node {} does not fit it; start the render afresh", key.node)]
    Node { key: StateKey },
    #[error("the saved state of {} → {} does not fit; start the render afresh", edge.from, edge.to)]
    Line { edge: EdgeSpec },
    #[error("the saved state is cut off or of another plan; start the render afresh")]
    Truncated,
}

/// Reads lengths and contents.
struct Parts<'a> {
    bytes: &'a [u8],
}

impl Iterator for Parts<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.bytes.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        self.bytes = rest;
        Some(part.to_vec())
    }
}

impl SavedState {
    /// One run of bytes: lengths and contents in the order of the plan.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let parts = self.nodes.iter().map(|(_, bytes)| bytes);
        for part in parts.chain(self.lines.iter().map(|(_, bytes)| bytes)) {
            out.extend_from_slice(&(part.len() as u64).to_le_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

impl Executor {
    /// Off the audio thread, between two blocks.
    pub fn save_state(&mut self) -> SavedState {
        let plan = self.core.plan.clone();
        let mut saved = SavedState::default();
        for node in 0..plan.nodes.len() as u32 {
            let mut bytes = Vec::new();
            self.save_node(node, &mut bytes);
            saved.nodes.push((plan.state_key(node), bytes));
        }
        for (index, planned) in plan.lines.iter().enumerate() {
            let mut bytes = Vec::new();
            self.core.lines.one(index).ring.save(&mut Saver(&mut bytes));
            saved.lines.push((planned.edge.clone(), bytes));
        }
        saved
    }

    /// The state of one node, wherever it runs.
    pub fn save_node(&mut self, node: u32, out: &mut Vec<u8>) {
        let batch = self.core.plan.nodes[node as usize].batch;
        let place = batch.map(|(batch, lane)| (batch, lane, self.stage_of(node, batch, lane)));
        let unit = self.core.units.one(node as usize);
        match place {
            None => unit.save(out, |unit, out| {
                if let Some(node) = &mut unit.node {
                    node.visit_state(&mut Saver(out));
                }
            }),
            Some((batch, lane, stage)) => {
                let run = self.core.batches.one(batch as usize);
                unit.save(out, |_, out| {
                    run.stages[stage].visit_lane(usize::from(lane), &mut Saver(out));
                });
            }
        }
    }

    pub(super) fn stage_of(&self, node: u32, batch: u32, lane: u8) -> usize {
        let chain = &self.core.plan.batches[batch as usize].members[usize::from(lane)];
        chain.iter().position(|&member| member == node).unwrap_or(0)
    }

    /// Takes a saved state. Nodes and lines that it lacks start fresh; what does
    /// not fit is an error and the executor is left reset.
    pub fn restore_state(&mut self, saved: &SavedState) -> Result<(), RestoreError> {
        self.reset();
        let restored = self.restore_parts(saved);
        if restored.is_err() {
            self.reset();
        }
        restored
    }

    /// Takes the bytes of [`SavedState::to_bytes`] of an equal plan.
    pub fn restore_bytes(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let plan = self.core.plan.clone();
        let mut parts = Parts { bytes };
        let mut saved = SavedState::default();
        for node in 0..plan.nodes.len() as u32 {
            let part = parts.next().ok_or(RestoreError::Truncated)?;
            saved.nodes.push((plan.state_key(node), part));
        }
        for line in &plan.lines {
            let part = parts.next().ok_or(RestoreError::Truncated)?;
            saved.lines.push((line.edge.clone(), part));
        }
        self.restore_state(&saved)
    }

    fn restore_parts(&mut self, saved: &SavedState) -> Result<(), RestoreError> {
        let plan = self.core.plan.clone();
        for (key, bytes) in &saved.nodes {
            let Some(node) = plan.find(key.node).filter(|&node| plan.state_key(node) == *key)
            else {
                continue;
            };
            self.load_node(node, bytes).ok_or(RestoreError::Node { key: *key })?;
        }
        for (edge, bytes) in &saved.lines {
            let Ok(index) = plan.lines.binary_search_by(|line| line.edge.cmp(edge)) else {
                continue;
            };
            let mut loader = Loader::new(bytes);
            self.core.lines.one(index).ring.load(&mut loader);
            if loader.rest().is_none_or(|rest| !rest.is_empty()) {
                return Err(RestoreError::Line { edge: edge.clone() });
            }
        }
        Ok(())
    }

    /// Loads what `save_node` gave.
    pub fn load_node(&mut self, node: u32, bytes: &[u8]) -> Option<()> {
        let batch = self.core.plan.nodes[node as usize].batch;
        let place = batch.map(|(batch, lane)| (batch, lane, self.stage_of(node, batch, lane)));
        let unit = self.core.units.one(node as usize);
        let rest = unit.load(bytes)?;
        let Some(node) = &mut unit.node else { return Some(()) };
        if crate::state::state_len(&mut **node) != rest.len() {
            return None;
        }
        let mut loader = Loader::new(rest);
        match place {
            None => node.visit_state(&mut loader),
            Some((batch, lane, stage)) => {
                let run = self.core.batches.one(batch as usize);
                run.stages[stage].visit_lane(usize::from(lane), &mut loader);
            }
        }
        Some(())
    }

    pub fn round_all(&mut self) {
        (0..self.core.plan.nodes.len() as u32).for_each(|node| self.round_node(node));
    }

    /// Rounds the state of one node to the 2⁻³² grid.
    pub fn round_node(&mut self, node: u32) {
        let batch = self.core.plan.nodes[node as usize].batch;
        match batch {
            None => self.core.units.one(node as usize).round(),
            Some((batch, lane)) => {
                let stage = self.stage_of(node, batch, lane);
                let run = self.core.batches.one(batch as usize);
                run.stages[stage].visit_lane(usize::from(lane), &mut crate::state::Rounder);
            }
        }
    }
}
