//! The whole of a running executor at one frame, to come back to it: more than
//! [`super::SavedState`], which leaves out what only matters between two blocks of
//! one run. Off the audio thread.

use std::{collections::BTreeSet, sync::Arc};

use pulse_schemas::graph::NodeKey;

use super::{
    Executor,
    unit::{Joining, ParamEvent, Seam},
};
use crate::{
    material::Material,
    plan::Plan,
    state::{Loader, Saver},
};

/// A frame and an event, as they are saved.
const EVENT_BYTES: usize = 7 * 8;

pub(crate) struct Checkpoint {
    plan: Arc<Plan>,
    material: Arc<Material>,
    nodes: Vec<NodePoint>,
    lines: Vec<Vec<u8>>,
}

/// One node and all that the executor remembers about it.
#[derive(Default)]
pub(crate) struct NodePoint {
    bytes: Vec<u8>,
    pending_params: Vec<ParamEvent>,
    seam: Seam,
    joining: Joining,
    last_input: [f32; 2],
    was_playing: bool,
}

impl Executor {
    pub(crate) fn checkpoint(&mut self) -> Checkpoint {
        let plan = self.core.plan.clone();
        let nodes = (0..plan.nodes.len() as u32).map(|node| {
            let mut point = NodePoint::default();
            self.save_point(node, &mut point);
            point
        });
        let nodes = nodes.collect();
        let lines = (0..plan.lines.len()).map(|index| {
            let mut bytes = Vec::new();
            self.core.lines.one(index).ring.save(&mut Saver(&mut bytes));
            bytes
        });
        let lines = lines.collect();
        Checkpoint { material: self.core.material.clone(), plan, nodes, lines }
    }

    /// Back to where a checkpoint of this very executor was taken, content
    /// included; false when it is of another plan. Nodes that have failed since
    /// stay out.
    pub(crate) fn roll_back(&mut self, point: &Checkpoint) -> bool {
        if !Arc::ptr_eq(&self.core.plan, &point.plan) {
            return false;
        }
        self.core.material = point.material.clone();
        self.reset();
        let mut whole = true;
        for (node, kept) in point.nodes.iter().enumerate() {
            whole &= self.load_point(node as u32, kept);
        }
        for (index, bytes) in point.lines.iter().enumerate() {
            self.core.lines.one(index).ring.load(&mut Loader::new(bytes));
        }
        whole
    }

    /// Allocates nothing where the point has room.
    fn save_point(&mut self, node: u32, point: &mut NodePoint) {
        point.bytes.clear();
        self.save_node(node, &mut point.bytes);
        let unit = self.core.units.one(node as usize);
        point.pending_params.clear();
        point.pending_params.extend_from_slice(&unit.pending_params);
        point.seam = unit.seam;
        point.joining = unit.joining;
        point.last_input = unit.last_input;
        point.was_playing = unit.was_playing;
    }

    /// Of a node that was reset.
    fn load_point(&mut self, node: u32, point: &NodePoint) -> bool {
        let loaded = self.load_node(node, &point.bytes).is_some();
        let unit = self.core.units.one(node as usize);
        unit.pending_params.clear();
        unit.pending_params.extend_from_slice(&point.pending_params);
        unit.seam = point.seam;
        unit.joining = point.joining;
        unit.last_input = point.last_input;
        unit.was_playing = point.was_playing;
        loaded
    }

    /// Room for the state of some nodes, for `capture` by another executor of this
    /// plan.
    pub(crate) fn room(&mut self, nodes: &BTreeSet<NodeKey>) -> Vec<(NodeKey, NodePoint)> {
        let plan = self.core.plan.clone();
        let room = nodes.iter().filter_map(|&key| {
            let node = plan.find(key)?;
            let mut point = NodePoint::default();
            self.save_point(node, &mut point);
            let unit = self.core.units.one(node as usize);
            point.bytes.reserve_exact(unit.pending.capacity() * EVENT_BYTES);
            point.pending_params.reserve_exact(unit.pending_params.capacity());
            Some((key, point))
        });
        room.collect()
    }

    /// Writes down the state of nodes that run. Real-time safe, given room.
    pub(crate) fn capture(&mut self, nodes: &mut [(NodeKey, NodePoint)]) {
        for (key, point) in nodes {
            if let Some(node) = self.core.plan.find(*key) {
                self.save_point(node, point);
            }
        }
    }

    /// Gives a node the state that another executor captured; false when it does
    /// not fit, and the node begins afresh.
    pub(crate) fn continue_from(&mut self, key: NodeKey, point: &NodePoint) -> bool {
        let Some(node) = self.core.plan.find(key) else { return false };
        self.reset_node(node);
        let loaded = self.load_point(node, point);
        if !loaded {
            self.reset_node(node);
        }
        loaded
    }
}
