//! How long the callback takes, as a histogram: tracks of EQ and compressor on
//! one bus, 128 frames at 48 kHz, every output measured, as live.
//!
//! Caveats: driven by hand, so what a device adds is missing; on a machine that
//! does other things the far tail is the machine's.

#![allow(clippy::disallowed_methods, reason = "a bench measures time")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may end")]

use std::{collections::BTreeMap, time::Instant};

use pulse_engine::{
    device::DeviceConfig,
    material::{NoMedia, Slices},
    rt::{Config, Engine, transport::Start},
};
use pulse_schemas::{
    graph::{
        Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec, OutputKind,
        OutputSpec, Role,
    },
    id::{AnyId, EntityId, EntityKind},
};

const FRAMES: usize = 128;
const RATE: u32 = 48_000;
const WARM: usize = 200;

fn key(number: u32) -> NodeKey {
    let id = AnyId { kind: EntityKind::DspNode, id: EntityId(u128::from(number)) };
    NodeKey { entity: id, role: Role::new("node") }
}

fn session(tracks: u32) -> GraphSpec {
    let mut spec = GraphSpec::default();
    let mut node = |number: u32, kind: &str| {
        spec.nodes.push(NodeSpec {
            key: key(number),
            kind: kind.to_owned(),
            dsp_version: 1,
            layout: BTreeMap::new(),
            channels: 2,
            cohort: Cohort::Live,
        });
    };
    let mut edges = vec![];
    node(1, "pulse.strip");
    for track in 1..=tracks {
        let base = track * 10;
        for (at, kind) in
            ["pulse.synth", "pulse.eq", "pulse.compressor", "pulse.strip"].into_iter().enumerate()
        {
            node(base + at as u32, kind);
        }
        edges.extend([(base, base + 1), (base + 1, base + 2), (base + 2, base + 3), (base + 3, 1)]);
    }
    spec.edges.extend(edges.into_iter().map(|(from, to)| EdgeSpec {
        from: key(from),
        from_port: 0,
        to: key(to),
        to_port: Inlet::Port(0),
        kind: EdgeKind::Audio,
        feedback_frames: None,
        compensated: true,
        depth: Depth::FULL,
    }));
    let tap = |track: u32| {
        let strip = key(track * 10 + 3);
        OutputSpec { kind: OutputKind::Tap(strip.entity), node: strip, port: 0 }
    };
    spec.outputs.extend((1..=tracks).map(tap));
    spec.outputs.push(OutputSpec { kind: OutputKind::Master, node: key(1), port: 0 });
    spec.canonicalise();
    spec
}

fn measure(tracks: u32, calls: usize) -> Vec<f64> {
    let (engine, mut clock) = Engine::manual(Config::new(DeviceConfig::null(RATE))).unwrap();
    engine.load(&session(tracks), Slices::default(), &NoMedia).unwrap();
    engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    // One held note a track, so that nothing sleeps.
    for track in 1..=tracks {
        let body = pulse_engine::event::EventBody::NoteOn {
            channel: 0,
            key: 60,
            pitch: 40.0 + f64::from(track % 40),
            velocity: 0.5,
        };
        engine.send_event(key(track * 10), u128::from(track), body).unwrap();
    }
    let mut times: Vec<f64> = (0..calls + WARM)
        .map(|_| {
            let began = Instant::now();
            clock.run(FRAMES);
            began.elapsed().as_secs_f64() * 1e6
        })
        .skip(WARM)
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn main() {
    let calls = if std::env::args().any(|arg| arg == "--long") { 60_000 } else { 6_000 };
    let period = FRAMES as f64 / f64::from(RATE) * 1e6;
    println!("{FRAMES} frames at {RATE} Hz: {period:.0} us a call; {calls} calls");
    println!("tracks      p50      p99    p99.9      max   p50 of period  p99.9 of period");
    for tracks in [1, 32, 64, 128] {
        let times = measure(tracks, calls);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        println!(
            "{tracks:>6} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>14.1} % {:>14.1} %",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            at(0.5) / period * 100.0,
            at(0.999) / period * 100.0
        );
    }
}
