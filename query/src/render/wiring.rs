//! Who hears whom, by index: looked up for every segment of every unit, so it is
//! worked out once for a render.

use std::collections::BTreeSet;

use pulse_engine::{
    plan::{Plan, PlanUnit},
    render::SegmentPort,
};
use pulse_schemas::graph::{EdgeSpec, GraphSpec};

/// An output of the plan's graph as its unit gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outlet {
    pub unit: usize,
    /// Index among the ports of the unit that are kept.
    pub port: usize,
}

pub struct Wiring {
    /// By node: its unit.
    units: Vec<Option<usize>>,
    /// By node: its ports that are kept, with their index.
    ports: Vec<Vec<(u16, usize)>>,
    /// By unit: the ports that others or outputs hear, as its runner orders them.
    kept: Vec<Vec<SegmentPort>>,
    /// By unit: the ports that hear others, as its runner orders them.
    heard: Vec<Vec<SegmentPort>>,
}

impl Wiring {
    pub fn of(plan: &Plan) -> Wiring {
        let mut units = vec![None; plan.nodes.len()];
        for (index, unit) in plan.units.iter().enumerate() {
            unit.nodes.iter().for_each(|node| units[*node as usize] = Some(index));
        }
        let kept = kept(plan, &units);
        let mut ports = vec![Vec::new(); plan.nodes.len()];
        for (index, port) in kept.iter().flat_map(|kept| kept.iter().enumerate()) {
            if let Some(node) = plan.find(port.node) {
                ports[node as usize].push((port.port, index));
            }
        }
        let heard = plan.units.iter().map(|unit| heard(plan, unit)).collect();
        Wiring { units, ports, kept, heard }
    }

    /// By unit: the edges within it, in the order of the graph.
    pub fn edges_within<'a>(&self, spec: &'a GraphSpec, plan: &Plan) -> Vec<Vec<&'a EdgeSpec>> {
        let mut within = vec![Vec::new(); plan.units.len()];
        let unit_of = |key| plan.find(key).and_then(|node| self.unit_of(node));
        for edge in &spec.edges {
            if let Some(unit) = unit_of(edge.from)
                && unit_of(edge.to) == Some(unit)
            {
                within[unit].push(edge);
            }
        }
        within
    }

    pub fn unit_of(&self, node: u32) -> Option<usize> {
        self.units.get(node as usize).copied().flatten()
    }

    pub fn outlet(&self, node: u32, port: u16) -> Option<Outlet> {
        let unit = self.unit_of(node)?;
        let kept = self.ports.get(node as usize)?.iter().find(|(number, _)| *number == port)?;
        Some(Outlet { unit, port: kept.1 })
    }

    pub fn kept(&self, unit: usize) -> &[SegmentPort] {
        self.kept.get(unit).map_or(&[], Vec::as_slice)
    }

    pub fn heard(&self, unit: usize) -> &[SegmentPort] {
        self.heard.get(unit).map_or(&[], Vec::as_slice)
    }
}

fn kept(plan: &Plan, units: &[Option<usize>]) -> Vec<Vec<SegmentPort>> {
    let mut found: Vec<BTreeSet<SegmentPort>> = vec![BTreeSet::new(); plan.units.len()];
    let mut add = |node: u32, port: u16| {
        let unit = units.get(node as usize).copied().flatten();
        if let Some(unit) = unit
            && let Some(slot) = plan.outputs_of(node).get(usize::from(port))
        {
            let node = plan.nodes[node as usize].key;
            found[unit].insert(SegmentPort { node, port, channels: slot.channels });
        }
    };
    plan.units.iter().flat_map(|unit| &unit.inputs).for_each(|input| add(input.node, input.port));
    plan.outputs.iter().for_each(|output| add(output.node, output.port));
    found.into_iter().map(|ports| ports.into_iter().collect()).collect()
}

fn heard(plan: &Plan, unit: &PlanUnit) -> Vec<SegmentPort> {
    let mut ports: Vec<(u32, u16)> =
        unit.inputs.iter().map(|input| (input.to, input.to_port)).collect();
    ports.sort_unstable();
    ports.dedup();
    let port = |(node, port): (u32, u16)| {
        let channels = plan.inputs(node).get(usize::from(port)).map_or(2, |slot| slot.channels);
        SegmentPort { node: plan.nodes[node as usize].key, port, channels }
    };
    ports.into_iter().map(port).collect()
}
