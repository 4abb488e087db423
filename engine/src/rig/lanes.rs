//! Compares a [`LaneNode`](crate::simd::LaneNode) with eight single nodes, bit by bit.

use super::{Rig, bits, noise};
use crate::{
    node::{NodeKind, Setup},
    param::{GRID, Ramp, cell_start},
    simd::{Isa, LANES, LaneFrame, LaneIo, LaneNode},
};

const FRAMES: usize = 3000;

/// Eight rigs set up by `configure` give the same output alone and in one batch, with every
/// instruction set of this machine.
pub fn check_lanes(kind: &'static NodeKind, channels: usize, configure: &dyn Fn(usize, &mut Rig)) {
    let make_rigs = || -> Vec<Rig> {
        (0..LANES)
            .map(|lane| {
                let mut setup = Setup::new(kind.descriptor, 48_000, 512);
                setup.channels = channels;
                let mut rig = Rig::with_setup(kind, setup);
                configure(lane, &mut rig);
                rig
            })
            .collect()
    };
    let inputs: Vec<_> = (0..LANES).map(|lane| noise(lane as u64 + 10, channels, FRAMES)).collect();
    let expect: Vec<Vec<u32>> = make_rigs()
        .iter_mut()
        .zip(&inputs)
        .map(|(rig, input)| bits(&rig.run(std::slice::from_ref(input), FRAMES, &[512])))
        .collect();
    for isa in [Isa::Sse2, Isa::Avx2, Isa::Avx512] {
        Isa::limit(isa);
        let got = run_batch(kind, &mut make_rigs(), &inputs, channels);
        for (lane, (got, expect)) in got.iter().zip(&expect).enumerate() {
            assert!(got == expect, "lane {lane} of {} differs with {isa:?}", kind.descriptor.kind);
        }
    }
}

/// The output of every lane, `[lane]`, as bits of its channels one after the other.
fn run_batch(
    kind: &'static NodeKind,
    rigs: &mut [Rig],
    inputs: &[Vec<Vec<f32>>],
    channels: usize,
) -> Vec<Vec<u32>> {
    let mut batch = (kind.lanes.expect("a kind with lanes"))();
    batch.prepare(&rigs[0].setup);
    let mut audio: Vec<Vec<LaneFrame>> = (0..channels)
        .map(|channel| {
            (0..FRAMES).map(|at| std::array::from_fn(|lane| inputs[lane][channel][at])).collect()
        })
        .collect();
    let moving = rigs.iter().any(|rig| rig.moving);
    let mut at = 0;
    while at < FRAMES {
        let mut frames = (FRAMES - at).min(512);
        if moving {
            frames = frames.min((cell_start(at as i64) + GRID - at as i64) as usize);
        }
        call(&mut *batch, rigs, &mut audio, at, frames);
        at += frames;
    }
    (0..LANES)
        .map(|lane| audio.iter().flatten().map(|frame| frame[lane].to_bits()).collect())
        .collect()
}

fn call(
    batch: &mut dyn LaneNode,
    rigs: &mut [Rig],
    audio: &mut [Vec<LaneFrame>],
    at: usize,
    frames: usize,
) {
    let mut ramps: Vec<Vec<Ramp>> = Vec::new();
    let mut params_changed = [false; LANES];
    for (rig, changed) in rigs.iter_mut().zip(&mut params_changed) {
        rig.frame = at as i64;
        let lane_ramps = rig.ramps();
        let values: Vec<f64> = lane_ramps.iter().map(|ramp| ramp.end).collect();
        *changed = rig.last.as_ref() != Some(&values);
        rig.last = Some(values);
        ramps.push(lane_ramps);
    }
    let count = audio.len();
    let mut planes = audio.iter_mut().map(|plane| &mut plane[at..at + frames]);
    let channels = [planes.next().unwrap_or_default(), planes.next().unwrap_or_default()];
    batch.process(&mut LaneIo {
        frames,
        frame: at as i64,
        channels,
        count,
        ramps: std::array::from_fn(|lane| &ramps[lane][..]),
        params_changed,
    });
}
