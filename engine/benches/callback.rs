//! How long the callback takes, as a histogram: tracks of noise through EQ (four
//! bells), compressor and strip onto one bus, 128 frames at 48 kHz, every output
//! metered, as live. `cargo bench -p pulse-engine --bench callback [-- --long]`.
//!
//! Two clocks: the wall, and the CPU time of the calling thread, which leaves out
//! what others did meanwhile on a shared machine (but not what they did to its
//! caches). Caveat: driven by hand, so what a device adds is missing.

#![allow(clippy::disallowed_methods, reason = "a bench measures time")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may end")]

use std::time::{Duration, Instant};

use pulse_engine::{
    device::DeviceConfig,
    material::{NoMedia, Slices},
    rt::{Config, Engine, transport::Start},
};
use pulse_schemas::graph::GraphSpec;

#[path = "../tests/shared/session.rs"]
mod short;

use short::{edge, key, master, node, tap};

const FRAMES: usize = 128;
const RATE: u32 = 48_000;
const WARM: usize = 200;

fn session(tracks: u32) -> GraphSpec {
    let mut spec = GraphSpec::default();
    spec.nodes.push(node(1, "pulse.strip", None));
    for track in 1..=tracks {
        let base = track * 10;
        spec.nodes.push(node(base, "pulse.feed", Some(("index", track % 4))));
        for (at, kind) in (1..).zip(["pulse.eq", "pulse.compressor", "pulse.strip"]) {
            spec.nodes.push(node(base + at, kind, None));
            spec.edges.push(edge(base + at - 1, base + at));
        }
        spec.edges.push(edge(base + 3, 1));
        spec.outputs.push(tap(base + 3));
    }
    spec.outputs.push(master(1));
    spec.canonicalise();
    spec
}

/// Four bells a track, so that the equaliser has something to do.
fn settings(tracks: u32) -> Slices {
    let mut slices = Slices::default();
    for (track, band) in (1..=tracks).flat_map(|track| (1..=4).map(move |band| (track, band))) {
        let eq = key(track * 10 + 1);
        let mut set =
            |what: &str, value| slices.params.set(eq, &format!("band{band}{what}"), value);
        set("Type", 1.0);
        set("Frequency", 100.0 * f64::from(4u32.pow(band - 1)) + f64::from(track));
        set("Gain", if band % 2 == 0 { 3.0 } else { -4.0 });
        set("Q", 1.0);
    }
    slices
}

/// The CPU time that this thread has used.
#[allow(unsafe_code)]
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the timespec that it is given.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(told, 0, "this system has no clock per thread");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Microseconds of each call, ascending: by the wall, by the thread's CPU time.
fn measure(tracks: u32, calls: usize) -> [Vec<f64>; 2] {
    let (engine, mut clock) = Engine::manual(Config::new(DeviceConfig::null(RATE))).unwrap();
    engine.load(&session(tracks), settings(tracks), &NoMedia).unwrap();
    engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    // Two seconds of noise on eight inputs; every track hears two of them.
    let frames = RATE as usize * 2 / FRAMES * FRAMES;
    let sample = |channel, at| pulse_engine::math::random_bipolar(channel, at) as f32 * 0.25;
    let noise: Vec<Vec<f32>> =
        (0..8).map(|channel| (0..frames as u64).map(|at| sample(channel, at)).collect()).collect();
    let mut times = [vec![], vec![]];
    for call in 0..calls + WARM {
        let at = call * FRAMES % frames;
        let inputs: Vec<&[f32]> = noise.iter().map(|plane| &plane[at..at + FRAMES]).collect();
        let (wall, cpu) = (Instant::now(), cpu_time());
        clock.run_with(FRAMES, &inputs);
        let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
        if call >= WARM {
            times[0].push(wall.as_secs_f64() * 1e6);
            times[1].push(cpu.as_secs_f64() * 1e6);
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    times
}

fn main() {
    let calls = if std::env::args().any(|arg| arg == "--long") { 60_000 } else { 6_000 };
    let period = FRAMES as f64 / f64::from(RATE) * 1e6;
    println!("{FRAMES} frames at {RATE} Hz: {period:.0} us a call; {calls} calls");
    println!(
        "tracks clock      p50      p99    p99.9      max  p99.9 of period  calls per tenth of the period (last: beyond it)"
    );
    // `--tracks=64,250,2000` for others than these.
    let wanted = std::env::args().find_map(|arg| arg.strip_prefix("--tracks=").map(str::to_owned));
    let wanted = wanted.unwrap_or_else(|| "1,32,64,128".to_owned());
    for tracks in wanted.split(',').map(|tracks| tracks.parse().unwrap()) {
        for (clock, times) in ["wall", "cpu"].into_iter().zip(measure(tracks, calls)) {
            let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
            let mut histogram = [0u32; 11];
            times.iter().for_each(|time| histogram[((time / period * 10.0) as usize).min(10)] += 1);
            println!(
                "{tracks:>6} {clock:>5} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>14.1} %  {histogram:?}",
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0),
                at(0.999) / period * 100.0,
            );
        }
    }
}
