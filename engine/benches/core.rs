//! The promises of the engine's core: the 64-track session against real time on
//! one thread and on all, what more tracks and more threads are, and the time to
//! compile plans of 64, 500 and 2,000 tracks, and what stretching costs. `cargo bench -p
//! pulse-engine --bench core [-- compile|session|scale|stretch]`.
//!
//! Corpus: 64 tracks of stereo noise made beforehand, each through gain, four
//! biquads and pan, summed; 60 s at 48 kHz, blocks of 256. Sources are memory
//! copies, so that what is timed is the mix and not a noise generator.

#![allow(clippy::disallowed_methods)]

use std::{
    collections::BTreeMap,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use pulse_engine::{
    buffer::AudioBuffer,
    exec::{Block, Executor},
    material::{Material, NoMedia, Slices},
    parallel::Crew,
    plan::{Compiler, Plan},
    registry::Registry,
    simd::Isa,
    stretch::{StretchRequest, Stretcher, Timestretch},
    transport::SteadyTempo,
};
use pulse_schemas::{
    graph::{GraphSpec, OutputKind, OutputSpec},
    hash::Hash,
};
use session::{edge, key, node, session};

#[path = "shared/session.rs"]
mod session;

const RATE: u32 = 48_000;
const BLOCK: usize = 256;
const SECONDS: usize = 60;

/// Five nodes a track, eight buses, one send: what compile times are measured on.
fn project(tracks: u32) -> GraphSpec {
    let mut spec = GraphSpec::default();
    let (master, send) = (key(0, 0), key(0, 1));
    spec.nodes.push(node(master, "pulse.strip", &[]));
    spec.nodes.push(node(send, "pulse.reverb", &[]));
    spec.edges.push(edge(send, master));
    for bus in 0..8 {
        spec.nodes.push(node(key(0, 10 + bus), "pulse.strip", &[]));
        spec.edges.push(edge(key(0, 10 + bus), master));
    }
    let kinds = ["pulse.sum", "pulse.eq", "pulse.compressor", "pulse.strip", "pulse.strip"];
    for track in 1..=tracks {
        for (stage, kind) in kinds.iter().enumerate() {
            spec.nodes.push(node(key(track, stage as u32), kind, &[]));
        }
        (0..3).for_each(|stage| spec.edges.push(edge(key(track, stage), key(track, stage + 1))));
        spec.edges.push(edge(key(track, 3), key(0, 10 + track % 8)));
        spec.edges.push(edge(key(track, 3), key(track, 4)));
        spec.edges.push(edge(key(track, 4), send));
    }
    spec.outputs.push(OutputSpec { kind: OutputKind::Master, node: master, port: 0 });
    spec.canonicalise();
    spec
}

/// Two seconds of noise for each of 128 channels, played round and round.
fn noise() -> Vec<Vec<f32>> {
    let frames = RATE as usize * 2 / BLOCK * BLOCK;
    (0..128u64)
        .map(|channel| {
            let sample = |at| pulse_engine::math::random_bipolar(channel, at) as f32 * 0.25;
            (0..frames as u64).map(sample).collect()
        })
        .collect()
}

struct Run {
    wall: Duration,
    /// Of the calling thread alone.
    cpu: Duration,
    hash: Hash,
}

fn render(
    plan: &Arc<Plan>,
    slices: &Slices,
    noise: &[Vec<f32>],
    threads: usize,
    seconds: usize,
) -> Run {
    let material = Arc::new(Material::bind(plan, slices, &NoMedia));
    let mut executor = Executor::new(plan.clone(), material);
    let mut crew = (threads > 1).then(|| Crew::new(plan, threads));
    let timeline = SteadyTempo { tempo: 120.0, sample_rate: RATE };
    let blocks = RATE as usize * seconds / BLOCK;
    let mut hasher = blake3::Hasher::new();
    let mut pcm = Vec::with_capacity(BLOCK * 8);
    let (start, cpu) = (Instant::now(), cpu_time());
    for block in 0..blocks {
        let at = block * BLOCK % noise[0].len();
        let feeds: Vec<&[f32]> = noise.iter().map(|channel| &channel[at..at + BLOCK]).collect();
        let mut call = Block::offline((block * BLOCK) as i64, BLOCK, &timeline);
        call.device_inputs = &feeds;
        match &mut crew {
            Some(crew) => executor.process_with(crew, &call),
            None => executor.process(&call),
        }
        if block % 64 == 0 {
            let [left, right] = executor.output_pair(0);
            pcm.clear();
            for sample in left[..BLOCK].iter().chain(&right[..BLOCK]) {
                pcm.extend_from_slice(&sample.to_le_bytes());
            }
            hasher.update(&pcm);
        }
    }
    Run { wall: start.elapsed(), cpu: cpu_time() - cpu, hash: hasher.finalize().into() }
}

/// What this thread has spent on a core, which says more than the clock on a
/// machine that others use. Zero where the system doesn't tell.
fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn median(mut runs: Vec<Duration>) -> Duration {
    runs.sort();
    runs[runs.len() / 2]
}

type Result = std::io::Result<()>;

fn fail(error: &dyn std::fmt::Display) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

/// `compile`, `session`, `scale` or `stretch` as argument run one part, `--row=` the rows of the session whose name
/// contains this; `--test` only that it starts.
fn main() -> Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| {
        arguments.iter().all(|argument| argument.starts_with("--") || argument == name)
    };
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    if wants("compile") {
        compile(&mut out)?;
    }
    if wants("session") {
        let row = arguments.iter().find_map(|argument| argument.strip_prefix("--row="));
        mix(&mut out, row)?;
    }
    if wants("scale") {
        scale(&mut out)?;
    }
    if wants("stretch") {
        stretching(&mut out)?;
    }
    Ok(())
}

/// A stereo minute of two sines, made longer, shorter and higher.
fn stretching(out: &mut impl Write) -> Result {
    let sine = |frequency: f64| -> Vec<f32> {
        let omega = std::f64::consts::TAU * frequency / f64::from(RATE);
        (0..60 * RATE).map(|n| (0.5 * (omega * f64::from(n)).sin()) as f32).collect()
    };
    let input = AudioBuffer::from_channels(RATE, &[sine(440.0), sine(550.0)]);
    let input = input.map_err(|error| fail(&error))?;
    writeln!(out, "stretching a stereo minute, one thread")?;
    for (duration, pitch) in [(0.8, 0.0), (1.5, 0.0), (1.0, 3.0)] {
        let start = Instant::now();
        let stretched = Timestretch.stretch(&input, StretchRequest { duration, pitch });
        stretched.map_err(|error| fail(&error))?;
        let speed = 60.0 / start.elapsed().as_secs_f64();
        writeln!(out, "× {duration}, {pitch:+} semitones: {speed:.1} × real time")?;
    }
    Ok(())
}

/// The mix of the session at other sizes: what a second of sound costs one core, and what more
/// threads are worth.
fn scale(out: &mut impl Write) -> Result {
    writeln!(out, "tracks × (gain, 4 biquads, pan), least of 3; CPU of one thread, then the wall")?;
    let noise = noise();
    for tracks in [64, 250, 500, 1_000, 2_000] {
        let (spec, slices) = session(tracks);
        // About as much work in every row.
        let seconds = (1_280 / tracks as usize).max(2);
        let (mut text, mut hashes) = (String::new(), vec![]);
        for threads in [1, 2, 4] {
            let compiler =
                Compiler::new(Registry::standard(), RATE, BLOCK).map_err(|error| fail(&error))?;
            let plan = compiler.parallel(threads > 1).compile(&spec);
            let plan = Arc::new(plan.map_err(|error| fail(&error))?);
            let runs = (0..3).map(|_| render(&plan, &slices, &noise, threads, seconds));
            let Some(best) = runs.min_by_key(|run| run.wall) else { continue };
            let (wall, cpu) = (best.wall.as_secs_f64(), best.cpu.as_secs_f64());
            if threads == 1 {
                text = format!("{:>8.2} ms of CPU a second", cpu / seconds as f64 * 1e3);
            }
            text += &format!("; {threads} threads {:>6.1} × real time", seconds as f64 / wall);
            hashes.push(best.hash);
        }
        let same = hashes.iter().all(|hash| *hash == hashes[0]);
        writeln!(out, "  {tracks:>5} tracks: {text}; the same bits: {same}")?;
    }
    Ok(())
}

fn compile(out: &mut impl Write) -> Result {
    writeln!(out, "compile (by the wall, verify included: median of 101, and the least)")?;
    for tracks in [64, 500, 2_000] {
        let spec = project(tracks);
        let mut compiler =
            Compiler::new(Registry::standard(), RATE, BLOCK).map_err(|error| fail(&error))?;
        compiler.compile(&spec).map_err(|error| fail(&error))?;
        let mut times = vec![];
        let mut text = String::new();
        for _ in 0..101 {
            let start = Instant::now();
            let plan = compiler.compile(&spec).map_err(|error| fail(&error))?;
            times.push(start.elapsed());
            text = format!(
                "{} nodes, {} buffers, {} lane blocks",
                plan.nodes.len(),
                plan.local_slots,
                plan.local_blocks
            );
        }
        writeln!(
            out,
            "  {tracks:>5} tracks: {:>8.3} ms {:>8.3} ms   {text}",
            median(times.clone()).as_secs_f64() * 1e3,
            times.iter().min().map_or(0.0, Duration::as_secs_f64) * 1e3,
        )?;
    }
    Ok(())
}

fn mix(out: &mut impl Write, wanted: Option<&str>) -> Result {
    writeln!(out, "64 tracks × (gain, 4 biquads, pan) × {SECONDS} s (median of 3)")?;
    let (spec, slices) = session(64);
    let noise = noise();
    let mut rows: BTreeMap<String, Hash> = BTreeMap::new();
    let best = Isa::detect();
    for (name, lanes, isa, threads) in [
        ("1 thread, lanes, best", true, best, 1),
        ("1 thread, lanes, AVX2", true, Isa::Avx2, 1),
        ("1 thread, lanes, SSE2", true, Isa::Sse2, 1),
        ("1 thread, no lanes", false, best, 1),
        ("2 threads, lanes", true, best, 2),
        ("4 threads, lanes", true, best, 4),
    ] {
        if wanted.is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        Isa::limit(isa);
        let compiler =
            Compiler::new(Registry::standard(), RATE, BLOCK).map_err(|error| fail(&error))?;
        let plan = compiler.lanes(lanes).parallel(threads > 1).compile(&spec);
        let plan = Arc::new(plan.map_err(|error| fail(&error))?);
        let runs: Vec<Run> =
            (0..3).map(|_| render(&plan, &slices, &noise, threads, SECONDS)).collect();
        let hash = runs[0].hash;
        let cpu = median(runs.iter().map(|run| run.cpu).collect()).as_secs_f64();
        let wall = median(runs.iter().map(|run| run.wall).collect()).as_secs_f64();
        let speed = SECONDS as f64 / wall;
        let by_cpu = SECONDS as f64 / cpu;
        writeln!(
            out,
            "  {name:<24} {wall:>7.3} s {speed:>7.1} × real time; {cpu:>7.3} s of CPU {by_cpu:>7.1} ×  {}",
            hash.short()
        )?;
        rows.insert(name.to_owned(), hash);
    }
    let same = rows.values().all(|hash| Some(hash) == rows.values().next());
    writeln!(out, "  the same bits in every row: {same}")?;
    Ok(())
}
