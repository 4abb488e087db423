//! The 64-track session that every mixing bench runs: feed → EQ → strip per track, tracks onto the
//! master. Four RBJ bells, a gain and a balance pan, all at constant settings, which is what the
//! rivals of `benches/compare/rivals.py` are given, too.

use pulse_engine::{material::Slices, render::feed};
use pulse_schemas::{
    graph::{
        Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec, OutputKind,
        OutputSpec, Role,
    },
    id::{ActorId, EntityId, NodeId},
};

pub fn key(track: u32, stage: u32) -> NodeKey {
    let id = EntityId::derive(ActorId(1), u64::from(track), stage);
    NodeKey { entity: NodeId(id).into(), role: Role::new("node") }
}

pub fn node(key: NodeKey, kind: &str, layout: &[(&str, f64)]) -> NodeSpec {
    NodeSpec {
        key,
        kind: kind.to_owned(),
        dsp_version: 1,
        layout: layout.iter().map(|(id, value)| ((*id).to_owned(), *value)).collect(),
        channels: 2,
        cohort: Cohort::Anticipative,
    }
}

pub fn edge(from: NodeKey, to: NodeKey) -> EdgeSpec {
    EdgeSpec {
        from,
        from_port: 0,
        to,
        to_port: Inlet::Port(0),
        kind: EdgeKind::Audio,
        feedback_frames: None,
        compensated: true,
        depth: Depth::FULL,
    }
}

/// Feed → EQ → strip per track, tracks onto the master.
pub fn session(tracks: u32) -> (GraphSpec, Slices) {
    let (mut spec, mut slices) = (GraphSpec::default(), Slices::default());
    let master = key(0, 0);
    spec.nodes.push(node(master, "pulse.sum", &[]));
    for track in 1..=tracks {
        let index = f64::from((track - 1) % 64);
        spec.nodes.push(node(key(track, 0), feed::KIND_NAME, &[("index", index)]));
        spec.nodes.push(node(key(track, 1), "pulse.eq", &[]));
        spec.nodes.push(node(key(track, 2), "pulse.strip", &[]));
        for band in 1..=4 {
            let mut set = |what: &str, value| {
                slices.params.set(key(track, 1), &format!("band{band}{what}"), value);
            };
            set("Type", 1.0);
            set("Frequency", 100.0 * f64::from(4u32.pow(band - 1)) + f64::from(track));
            set("Gain", if band % 2 == 0 { 3.0 } else { -4.0 });
            set("Q", 1.0);
        }
        slices.params.set(key(track, 2), "gain", -12.0);
        slices.params.set(key(track, 2), "pan", f64::from(track) / f64::from(tracks) - 0.5);
        spec.edges.push(edge(key(track, 0), key(track, 1)));
        spec.edges.push(edge(key(track, 1), key(track, 2)));
        spec.edges.push(edge(key(track, 2), master));
    }
    spec.outputs.push(OutputSpec { kind: OutputKind::Master, node: master, port: 0 });
    spec.canonicalise();
    (spec, slices)
}
