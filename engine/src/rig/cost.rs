//! Cost of every node, printed, not asserted: a machine under load proves nothing. Run with
//! `cargo test --release -p pulse-engine --lib -- --ignored --nocapture cost`.

use super::{Rig, noise};
use crate::{
    event::{Event, EventBody},
    node::{NodeKind, Setup},
    param::Ramp,
    simd::{LANES, LaneFrame, LaneIo},
};

const FRAMES: usize = 512;
const BLOCKS: usize = 200;

#[allow(clippy::disallowed_methods)]
fn nanoseconds(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = std::time::Instant::now();
        for _ in 0..BLOCKS {
            run();
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / (BLOCKS * FRAMES) as f64
}

/// Four bells for an equaliser, defaults for everything else.
fn configure(rig: &mut Rig) {
    if rig.kind.descriptor.kind == "pulse.eq" {
        for band in 1..=4 {
            rig.set(&format!("band{band}Type"), 1.0).set(&format!("band{band}Gain"), 3.0);
        }
    }
}

fn lanes_cost(kind: &'static NodeKind) -> Option<f64> {
    let mut rig = Rig::new(kind, 48_000);
    configure(&mut rig);
    let mut batch = (kind.lanes?)();
    batch.prepare(&Setup::new(kind.descriptor, 48_000, FRAMES));
    let ramps: Vec<Ramp> = rig.ramps();
    let input = noise(1, 1, FRAMES).remove(0);
    let mut planes: [Vec<LaneFrame>; 2] =
        std::array::from_fn(|_| input.iter().map(|x| [*x; LANES]).collect());
    let mut frame = 0;
    Some(nanoseconds(|| {
        for plane in &mut planes {
            for (out, x) in plane.iter_mut().zip(&input) {
                *out = [*x; LANES];
            }
        }
        let [left, right] = &mut planes;
        batch.process(&mut LaneIo {
            frames: FRAMES,
            frame,
            channels: [left, right],
            count: 2,
            ramps: [&ramps; LANES],
            params_changed: [frame == 0; LANES],
        });
        frame += FRAMES as i64;
    }))
}

#[test]
#[ignore = "prints costs; run it alone, in release"]
fn cost_of_every_node_per_stereo_frame() {
    for kind in crate::nodes::NODES {
        let mut rig = Rig::new(kind, 48_000);
        configure(&mut rig);
        let ports = kind.descriptor.inputs.len().min(1);
        let input = vec![noise(1, 2, FRAMES); ports];
        let alone = nanoseconds(|| {
            rig.block(&input, FRAMES);
        });
        let lanes = lanes_cost(kind)
            .map_or(String::new(), |all| format!(", in lanes {:.2} ns", all / LANES as f64));
        println!("{}: {alone:.1} ns{lanes}", kind.descriptor.kind);
    }
    some_nodes_at_work();
}

/// Eight notes that are held, for what plays notes.
fn hold(rig: &mut Rig) {
    for key in 0..8_u8 {
        let pitch = 48.0 + 3.0 * f64::from(key);
        let body = EventBody::NoteOn { channel: 0, key: 48 + 3 * key, pitch, velocity: 0.8 };
        rig.events.push((0, Event { offset: 0, id: 1 + u128::from(key), body }));
    }
}

fn some_nodes_at_work() {
    let check = |name: &str, settings: &[(&str, f64)]| {
        let is_named = |kind: &&&NodeKind| kind.descriptor.kind == name;
        let kind = crate::nodes::NODES.iter().find(is_named).expect("a kind");
        let mut rig = Rig::new(kind, 48_000);
        settings.iter().for_each(|(id, value)| _ = rig.set(id, *value));
        if kind.descriptor.event_input {
            hold(&mut rig);
        }
        let ports = kind.descriptor.inputs.len().min(1);
        let input = vec![noise(1, 2, FRAMES); ports];
        let cost = nanoseconds(|| _ = rig.block(&input, FRAMES));
        println!("{name}, {settings:?}: {cost:.1} ns");
    };
    check("pulse.filter", &[("drive", 12.0)]);
    check("pulse.synth", &[("ampSustain", 1.0)]);
    check("pulse.synth", &[("ampSustain", 1.0), ("filterDrive", 12.0)]);
    check("pulse.reverb", &[("early", 0.5)]);
    check("pulse.compressor", &[("autoRelease", 1.0), ("link", 50.0)]);
}
