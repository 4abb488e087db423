//! Moving state from one executor to its successor, between two blocks. Nothing
//! is made or freed: boxes change places, and the old executor keeps what is left
//! until a collector drops it.

use std::sync::Arc;

use super::{Executor, unit::Unit};
use crate::plan::Plan;

/// How long a seam fades: half of full scale then goes by less than −60 dBFS a sample.
const SEAM_MS: f64 = 10.0;

impl Executor {
    /// Takes over the state of every node, delay line and batch that both plans
    /// have. What changed in front of a node is hidden by a short fade.
    /// Real-time safe.
    pub fn adopt(&mut self, old: &mut Executor) {
        self.return_lanes(old);
        let (new_plan, old_plan) = (self.core.plan.clone(), old.core.plan.clone());
        each_common(
            (new_plan.nodes.len(), |at| new_plan.nodes[at].key),
            (old_plan.nodes.len(), |at| old_plan.nodes[at].key),
            |new, known| {
                let (a, b) = (new_plan.state_key(new as u32), old_plan.state_key(known as u32));
                let unit = self.core.units.one(new);
                let old_unit = old.core.units.one(known);
                if a == b && new_plan.max_block == old_plan.max_block {
                    unit.take(old_unit, new_plan.nodes[new].control_ring.max(1) as usize);
                    // A knob that somebody turns stays where it is unless the edit moved it.
                    let content = &self.core.material.nodes[new];
                    if !Arc::ptr_eq(content, &old.core.material.nodes[known]) {
                        unit.follow(content);
                    }
                }
                let other = new_plan.nodes[new].wiring != old_plan.nodes[known].wiring;
                if other && stands_in(&new_plan, new as u32) == stands_in(&old_plan, known as u32) {
                    unit.open_seam(&new_plan);
                }
            },
        );
        if new_plan.max_block == old_plan.max_block {
            self.take_lines(old, &new_plan, &old_plan);
        }
        self.open_line_seams(&new_plan, &old_plan);
        for index in 0..self.replaced.len() {
            self.core.units.one(self.replaced[index] as usize).open_seam(&new_plan);
        }
        self.fill_lanes();
    }

    /// Lines that both plans have change places. A line that is longer or shorter than it was,
    /// or that is new where a signal came at once before, fades over from that.
    fn take_lines(&mut self, old: &mut Executor, new_plan: &Plan, old_plan: &Plan) {
        for (new, planned) in new_plan.lines.iter().enumerate() {
            let line = self.core.lines.one(new);
            let Some(known) = old_plan.line(&planned.edge) else {
                if !planned.feedback && old_plan.hears_at_once(&planned.edge) {
                    line.enter_straight();
                }
                continue;
            };
            let old_line = old.core.lines.one(known);
            let was = &old_plan.lines[known];
            if was.frames == planned.frames {
                std::mem::swap(line, old_line);
            } else if !planned.feedback && !was.feedback && !line.enter_after(old_line) {
                let heard = new_plan.find(planned.edge.to);
                if let Some(at) = heard {
                    self.core.units.one(at as usize).open_seam(new_plan);
                }
            }
        }
    }

    /// Where a signal no longer waits, or waits for the first time and was not heard before, or
    /// comes back sooner or later through a loop, the sum is another one, too. Both plans have to
    /// know who hears it.
    fn open_line_seams(&mut self, new_plan: &Plan, old_plan: &Plan) {
        let gone = old_plan.lines.iter().filter(|line| match new_plan.line(&line.edge) {
            None => true,
            Some(at) => line.feedback && new_plan.lines[at].frames != line.frames,
        });
        let came = new_plan.lines.iter().filter(|line| {
            old_plan.line(&line.edge).is_none()
                && (line.feedback || !old_plan.hears_at_once(&line.edge))
        });
        for line in gone.chain(came) {
            let ends = old_plan.find(line.edge.to).zip(new_plan.find(line.edge.to));
            let same = ends.filter(|&(a, b)| stands_in(old_plan, a) == stands_in(new_plan, b));
            if let Some((_, at)) = same {
                self.core.units.one(at as usize).open_seam(new_plan);
            }
        }
    }

    /// The state in the old executor's lanes goes back into its nodes.
    fn return_lanes(&mut self, old: &mut Executor) {
        let plan = old.core.plan.clone();
        for (index, batch) in plan.batches.iter().enumerate() {
            let run = old.core.batches.one(index);
            for (lane, chain) in batch.members.iter().enumerate() {
                for (stage, &node) in chain.iter().enumerate() {
                    run.lane_to_node(stage, lane, old.core.units.one(node as usize));
                }
            }
        }
    }

    /// The state of nodes goes into the lanes that run them.
    pub(super) fn fill_lanes(&mut self) {
        let plan = self.core.plan.clone();
        for (index, batch) in plan.batches.iter().enumerate() {
            let run = self.core.batches.one(index);
            for (lane, chain) in batch.members.iter().enumerate() {
                for (stage, &node) in chain.iter().enumerate() {
                    run.node_to_lane(stage, lane, self.core.units.one(node as usize));
                }
            }
        }
    }
}

/// Who stands in for a node says what it said.
pub(super) fn stands_in(plan: &Plan, at: u32) -> bool {
    plan.class(at).kind_name == crate::anticipate::source::KIND_NAME
}

/// Walks two sorted lists and calls `f` with the indices of equal keys.
fn each_common<K: Ord>(
    (len_a, key_a): (usize, impl Fn(usize) -> K),
    (len_b, key_b): (usize, impl Fn(usize) -> K),
    mut f: impl FnMut(usize, usize),
) {
    let (mut a, mut b) = (0, 0);
    while a < len_a && b < len_b {
        match key_a(a).cmp(&key_b(b)) {
            std::cmp::Ordering::Less => a += 1,
            std::cmp::Ordering::Greater => b += 1,
            std::cmp::Ordering::Equal => {
                f(a, b);
                a += 1;
                b += 1;
            }
        }
    }
}

impl Unit {
    /// Takes the whole of another unit but what belongs to its place in the plan.
    fn take(&mut self, old: &mut Unit, control_ring: usize) {
        std::mem::swap(self, old);
        let same = self.controls.first().is_none_or(|ring| ring.len() == control_ring);
        if !same {
            std::mem::swap(&mut self.controls, &mut old.controls);
        }
        // Which parameters are modulated is a matter of the plan.
        self.params.rewire(&old.params);
    }

    /// The last input came along with `take`; a fresh node has heard silence.
    fn open_seam(&mut self, plan: &Plan) {
        self.seam.open(seam_frames(plan.sample_rate));
    }
}

pub(crate) fn seam_frames(rate: u32) -> u32 {
    (SEAM_MS * 0.001 * f64::from(rate)) as u32
}
