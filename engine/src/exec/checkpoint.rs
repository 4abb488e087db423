//! The whole of a running executor at one frame, to come back to it: more than
//! [`super::SavedState`], which leaves out what only matters between two blocks of
//! one run. Off the audio thread.

use std::sync::Arc;

use super::{
    Executor,
    unit::{ParamEvent, Seam},
};
use crate::{
    material::Material,
    plan::Plan,
    state::{Loader, Saver},
};

pub(crate) struct Checkpoint {
    plan: Arc<Plan>,
    material: Arc<Material>,
    nodes: Vec<NodePoint>,
    lines: Vec<Vec<u8>>,
}

struct NodePoint {
    bytes: Vec<u8>,
    pending_params: Vec<ParamEvent>,
    seam: Seam,
    last_input: [f32; 2],
    was_playing: bool,
}

impl Executor {
    pub(crate) fn checkpoint(&mut self) -> Checkpoint {
        let plan = self.core.plan.clone();
        let nodes = (0..plan.nodes.len() as u32).map(|node| {
            let mut bytes = Vec::new();
            self.save_node(node, &mut bytes);
            let unit = self.core.units.one(node as usize);
            NodePoint {
                bytes,
                pending_params: unit.pending_params.clone(),
                seam: unit.seam,
                last_input: unit.last_input,
                was_playing: unit.was_playing,
            }
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
            whole &= self.load_node(node as u32, &kept.bytes).is_some();
            let unit = self.core.units.one(node);
            unit.pending_params.extend_from_slice(&kept.pending_params);
            unit.seam = kept.seam;
            unit.last_input = kept.last_input;
            unit.was_playing = kept.was_playing;
        }
        for (index, bytes) in point.lines.iter().enumerate() {
            self.core.lines.one(index).ring.load(&mut Loader::new(bytes));
        }
        whole
    }
}
