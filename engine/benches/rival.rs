//! The 64-track session from files to a file, for `benches/compare/rivals.py`, which runs it beside
//! other programs: reads `track01.wav` and so on from `--dir=`, mixes, writes a float WAV to `--out=`.
//! One thread, streaming, decoder and file writer those of the product. Reports its own thread's CPU
//! time, because the machine may be doing other things.

#![allow(clippy::disallowed_methods, reason = "a bench measures time and opens files")]

use std::{
    fs::File,
    io::{BufWriter, Error, Write},
    sync::Arc,
    time::Instant,
};

use pulse_engine::{
    decode::Decoder,
    exec::{Block, Executor},
    file::{self, Depth, FileKind, FileSpec},
    material::{Material, NoMedia},
    plan::Compiler,
    registry::Registry,
    transport::SteadyTempo,
};
use session::session;

#[path = "shared/session.rs"]
mod session;

const RATE: u32 = 48_000;

fn fail(error: impl std::fmt::Display) -> Error {
    Error::other(error.to_string())
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name));
    let mut out = std::io::stdout().lock();
    let (Some(dir), Some(target)) = (given("--dir="), given("--out=")) else {
        return writeln!(out, "rival: run by benches/compare/rivals.py with --dir= and --out=");
    };
    let block = given("--block=").map_or(Ok(1024), str::parse).map_err(fail)?;
    let tracks: u32 = given("--tracks=").map_or(Ok(64), str::parse).map_err(fail)?;
    let began = Instant::now();
    let frames = mix(dir, target, tracks, block)?;
    writeln!(out, "{frames} frames, {:.4} s of wall inside", began.elapsed().as_secs_f64())
}

fn mix(dir: &str, target: &str, tracks: u32, block: usize) -> std::io::Result<u64> {
    let mut decoders = Vec::with_capacity(tracks as usize);
    for track in 1..=tracks {
        let media = File::open(format!("{dir}/track{track:02}.wav"))?;
        decoders.push(Decoder::open(Box::new(media), Some("wav")).map_err(fail)?);
    }
    let (spec, slices) = session(tracks);
    let mut compiler = Compiler::new(Registry::standard(), RATE, block).map_err(fail)?;
    let plan = Arc::new(compiler.compile(&spec).map_err(fail)?);
    let material = Arc::new(Material::bind(&plan, &slices, &NoMedia));
    let mut executor = Executor::new(plan, material);
    let sink = BufWriter::with_capacity(1 << 20, File::create(target)?);
    let spec = FileSpec::new(FileKind::Wav, Depth::Float32, RATE, 2);
    let mut writer = file::create(Box::new(sink), spec).map_err(fail)?;
    let timeline = SteadyTempo { tempo: 120.0, sample_rate: RATE };
    // Files are read in larger pieces than blocks, as a stream with pages does.
    let piece = block.max(4096) / block * block;
    let mut feeds = vec![vec![0.0f32; piece]; tracks as usize * 2];
    let mut at = 0u64;
    loop {
        let mut frames = 0;
        for (decoder, planes) in decoders.iter_mut().zip(feeds.chunks_mut(2)) {
            let (left, right) = planes.split_at_mut(1);
            let mut planes = [&mut left[0][..], &mut right[0][..]];
            let read = decoder.read(&mut planes).map_err(fail)?;
            planes.iter_mut().for_each(|plane| plane[read..].fill(0.0));
            frames = frames.max(read);
        }
        if frames == 0 {
            break;
        }
        for from in (0..frames).step_by(block) {
            let len = block.min(frames - from);
            let inputs: Vec<&[f32]> = feeds.iter().map(|plane| &plane[from..from + len]).collect();
            let mut call = Block::offline((at + from as u64) as i64, len, &timeline);
            call.device_inputs = &inputs;
            executor.process(&call);
            let [left, right] = executor.output_pair(0);
            writer.write(&[&left[..len], &right[..len]]).map_err(fail)?;
        }
        at += frames as u64;
    }
    writer.finish().map_err(fail)?;
    Ok(at)
}
