//! Where the notes of `pulse.midi` nodes go on this machine.
//!
//! A node is named after the instrument that it plays. That is a role of the project for MIDI out, which
//! each machine fills with a port of its own, or, where no role has the name, the port itself. A node
//! whose port is missing is led to it all the same: the sender waits for it.

use pulse_engine::{device::midi_out::Routes, node::midi_out::KIND_NAME};
use pulse_query::{
    content::audible,
    source::{Source, SourceExt},
};
use pulse_schemas::{
    entity::{DspNode, HardwareDirection, HardwareRole},
    graph::{Cohort, GraphSpec},
    id::ArrangementId,
};

use super::inputs::Hardware;

pub fn has_any(spec: &GraphSpec) -> bool {
    spec.nodes.iter().any(|node| node.kind == KIND_NAME)
}

/// Makes what leaves live, since a note that is sent can't be taken back, and tells which port each node
/// plays to: none while its channel is muted.
pub fn lead(
    source: &dyn Source,
    arrangement: ArrangementId,
    hardware: &Hardware,
    spec: &mut GraphSpec,
) -> Routes {
    let audible = audible(source, arrangement);
    let mut routes = Routes::new();
    for node in spec.nodes.iter_mut().filter(|node| node.kind == KIND_NAME) {
        node.cohort = Cohort::Live;
        let found = source.get::<DspNode>(node.key.entity.id);
        let found = found.filter(|found| audible.0.contains(&found.channel));
        if let Some(port) = found.and_then(|found| port(source, hardware, found)) {
            routes.insert(node.key, port);
        }
    }
    routes
}

fn port(source: &dyn Source, hardware: &Hardware, node: DspNode) -> Option<String> {
    let named = |role: &HardwareRole| {
        role.direction == HardwareDirection::MidiOutput && role.name == node.name
    };
    let role = source.all::<HardwareRole>().into_iter().find(named);
    let port = match role {
        Some(role) => hardware.roles.get(&role.id).map_or(role.device, |(port, _)| port.clone()),
        None => node.name,
    };
    (!port.is_empty()).then_some(port)
}
