//! The whole of a running executor at one frame, to come back to it: more than
//! [`super::SavedState`], which leaves out what only matters between two blocks of
//! one run. Off the audio thread.

use std::{collections::BTreeSet, sync::Arc};

use pulse_schemas::graph::{EdgeSpec, NodeKey};

use super::{
    Executor,
    delay::{Line, LinePoint},
    unit::{Joining, ParamEvent, Seam},
};
use crate::{
    material::Material,
    plan::{Plan, PlanLine},
};

/// A frame and an event, as they are saved.
const EVENT_BYTES: usize = 7 * 8;

pub(crate) struct Checkpoint {
    plan: Arc<Plan>,
    material: Arc<Material>,
    nodes: Vec<NodePoint>,
    lines: Vec<LinePoint>,
}

/// Some nodes of an executor at one frame, and the lines between them: what has to
/// go along when they change over to another one.
pub(crate) struct Fragment {
    nodes: Vec<(NodeKey, NodePoint)>,
    /// By edge and frames.
    lines: Vec<(EdgeSpec, u32, LinePoint)>,
}

impl Fragment {
    pub fn knows(&self, node: &NodeKey) -> bool {
        self.nodes.binary_search_by_key(node, |(key, _)| *key).is_ok()
    }
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
        let lines = self.core.lines.all().map(|line| {
            let mut point = LinePoint::default();
            line.save_whole(&mut point);
            point
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
        for (line, kept) in self.core.lines.all().zip(&point.lines) {
            line.load(kept);
        }
        whole
    }

    /// Goes to a state of this very plan that somebody saved, with content of then;
    /// false, and as if nothing had been heard, where it does not fit.
    pub(crate) fn go_to(&mut self, state: &[u8], material: &Arc<Material>) -> bool {
        self.core.material = material.clone();
        self.core.lines.all().for_each(Line::settle);
        self.restore_bytes(state).is_ok()
    }

    /// Whether saved state says everything about what comes: no edit is fading, no
    /// knob is on its way, nothing has failed.
    pub(crate) fn is_settled(&mut self) -> bool {
        let units = self.core.units.all().all(|unit| {
            let fades = unit.seam.left > 0 || !unit.joining.blend.is_over();
            !fades && unit.pending_params.is_empty() && unit.fault.is_none() && !unit.held
        });
        units && self.core.lines.all().all(|line| line.is_settled())
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
    pub(crate) fn room(&mut self, nodes: &BTreeSet<NodeKey>) -> Fragment {
        let plan = self.core.plan.clone();
        let inside =
            |line: &PlanLine| nodes.contains(&line.edge.from) && nodes.contains(&line.edge.to);
        let lines = plan.lines.iter().zip(self.core.lines.all());
        let lines = lines.filter(|(planned, _)| inside(planned)).map(|(planned, line)| {
            let mut point = LinePoint::default();
            line.save(&mut point);
            (planned.edge.clone(), planned.frames, point)
        });
        let lines = lines.collect();
        let room = nodes.iter().filter_map(|&key| {
            let node = plan.find(key)?;
            let mut point = NodePoint::default();
            self.save_point(node, &mut point);
            let unit = self.core.units.one(node as usize);
            point.bytes.reserve_exact(unit.pending.capacity() * EVENT_BYTES);
            point.pending_params.reserve_exact(unit.pending_params.capacity());
            Some((key, point))
        });
        Fragment { nodes: room.collect(), lines }
    }

    /// Writes down the state of nodes that run. Real-time safe, given room.
    pub(crate) fn capture(&mut self, fragment: &mut Fragment) {
        for (key, point) in &mut fragment.nodes {
            if let Some(node) = self.core.plan.find(*key) {
                self.save_point(node, point);
            }
        }
        for (edge, frames, point) in &mut fragment.lines {
            if let Some(line) = self.line_of(edge, *frames) {
                self.core.lines.one(line).save(point);
            }
        }
    }

    /// Gives nodes and the lines between them the state that another executor
    /// captured; false when a node was not captured or its state doesn't fit, and
    /// it begins afresh.
    pub(crate) fn continue_from(&mut self, fragment: &Fragment, nodes: &[NodeKey]) -> bool {
        for (edge, frames, point) in &fragment.lines {
            if let Some(line) = self.line_of(edge, *frames) {
                self.core.lines.one(line).load(point);
            }
        }
        let mut whole = true;
        for key in nodes {
            let found = fragment.nodes.binary_search_by_key(key, |(key, _)| *key);
            whole &= found.is_ok_and(|at| self.continue_node(*key, &fragment.nodes[at].1));
        }
        whole
    }

    fn line_of(&self, edge: &EdgeSpec, frames: u32) -> Option<usize> {
        let plan = &self.core.plan;
        plan.line(edge).filter(|&line| plan.lines[line].frames == frames)
    }

    fn continue_node(&mut self, key: NodeKey, point: &NodePoint) -> bool {
        let Some(node) = self.core.plan.find(key) else { return false };
        self.reset_node(node);
        let loaded = self.load_point(node, point);
        if !loaded {
            self.reset_node(node);
        }
        loaded
    }
}
