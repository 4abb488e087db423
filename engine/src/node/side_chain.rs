//! What a dynamics node listens to: its side chain where one is connected, else its own input, through
//! a high-pass, linked to one magnitude per frame.

use crate::{
    dsp::{
        biquad::{Coefficients, State, WideCoefficients, WideState, run_wide},
        envelope_follower::loudest,
        settle,
    },
    node::{Io, StateVisitor},
    param::{ParamDesc, Unit},
};

/// Most frames of one call to [`SideChain::detect`]: a cell of the settling grid.
pub const CELL: usize = settle::GRID as usize;

/// The high-pass that every side chain has. At its lowest it only blocks DC.
pub const HIGH_PASS: ParamDesc =
    ParamDesc::new("sideChainHighPass", "Side chain high-pass", Unit::Hertz, (10.0, 2000.0), 10.0)
        .exponential();

/// The signal to listen to during one call; `None` means the node's own input.
pub fn external<'a>(io: &Io<'a>) -> Option<[&'a [f32]; 2]> {
    io.connected(1).then(|| [io.input_channel(1, 0), io.input_channel(1, 1)])
}

#[derive(Default)]
pub struct SideChain {
    states: [State; 2],
    high_pass: Coefficients,
}

impl SideChain {
    pub fn tune(&mut self, hz: f64, rate: f64) {
        self.high_pass = Coefficients::high_pass(hz, std::f64::consts::FRAC_1_SQRT_2, rate);
    }

    /// The louder of both channels' magnitudes after the high-pass, frame by frame.
    #[inline(always)]
    pub fn detect(&mut self, [left, right]: [&[f32]; 2], out: &mut [f64]) {
        let mut samples = [[0.0; 2]; CELL];
        let samples = &mut samples[..out.len().min(CELL)];
        for (sample, (l, r)) in samples.iter_mut().zip(left.iter().zip(right)) {
            *sample = [clean(*l), clean(*r)];
        }
        let mut wide = WideState::gather(|channel| self.states[channel]);
        run_wide(&mut wide, &WideCoefficients::gather(|_| self.high_pass), samples);
        self.states = [wide.get(0), wide.get(1)];
        for (out, sample) in out.iter_mut().zip(samples) {
            *out = loudest(sample[0], sample[1]);
        }
    }

    pub fn settle(&mut self) {
        self.states.iter_mut().for_each(State::settle);
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        for state in &mut self.states {
            visitor.f64(&mut state.s1);
            visitor.f64(&mut state.s2);
        }
    }

    pub fn reset(&mut self) {
        self.states = Default::default();
    }
}

/// A detector must not remember a bad sample: it hears silence instead.
#[inline(always)]
fn clean(sample: f32) -> f64 {
    let sample = f64::from(sample);
    if sample.abs() < 1e30 { sample } else { 0.0 }
}
