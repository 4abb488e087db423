//! Note values that times and rates may be given in: one list for every node, because
//! a choice is stored by its index.

use pulse_schemas::time::Ticks;

use crate::{dsp::lfo::LfoPhase, node::Io};

/// Names by index; the first means that the time is not in tempo. D is dotted, T a
/// triplet.
pub const NAMES: &[&str] = &[
    "free", "1/1", "1/2D", "1/2", "1/2T", "1/4D", "1/4", "1/4T", "1/8D", "1/8", "1/8T", "1/16D",
    "1/16", "1/16T", "1/32", "2/1", "4/1", "8/1",
];

const BEATS: [f64; 18] = [
    0.0,
    4.0,
    3.0,
    2.0,
    4.0 / 3.0,
    1.5,
    1.0,
    2.0 / 3.0,
    0.75,
    0.5,
    1.0 / 3.0,
    0.375,
    0.25,
    1.0 / 6.0,
    0.125,
    8.0,
    16.0,
    32.0,
];

/// Quarter notes of a choice; zero is not in tempo.
pub fn beats(index: usize) -> f64 {
    BEATS.get(index).copied().unwrap_or(0.0)
}

/// Sets the rate of a phase for this call: free in hertz, or, where `beats` is not zero, so that a
/// cycle lasts so many quarter notes. In tempo the phase is that of the song position where the
/// transport starts or jumps.
pub fn follow(phase: &mut LfoPhase, io: &Io<'_>, beats: f64, hertz: f64, sample_rate: f64) {
    if beats == 0.0 {
        return phase.set_rate(io.frame(), hertz / sample_rate);
    }
    let transport = io.transport();
    let fresh = phase.is_fresh();
    let tempo = transport.tempo.clamp(1.0, 10_000.0);
    phase.set_rate(io.frame(), tempo / (60.0 * beats * sample_rate));
    if fresh || (transport.playing && transport.jumped) {
        phase.anchor(io.frame(), transport.ticks / (Ticks::PER_QUARTER as f64 * beats));
    }
}
