//! What a dynamics node listens to: its side chain where one is connected, else its own input, through
//! a high-pass and a low-pass, which can be listened to.

use crate::{
    dsp::{
        biquad::{Coefficients, State, WideCoefficients, WideState, run_wide},
        envelope_follower::loudest,
        fade::{self, Fade},
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

/// The low-pass that it may have. At its highest there is none.
pub const LOW_PASS: ParamDesc = ParamDesc::new(
    "sideChainLowPass",
    "Side chain low-pass",
    Unit::Hertz,
    (200.0, HIGHEST_LOW_PASS),
    HIGHEST_LOW_PASS,
)
.exponential();
const HIGHEST_LOW_PASS: f64 = 20_000.0;

/// Lets the side chain be heard in place of the sound.
pub const LISTEN: ParamDesc = ParamDesc::switch("listen", "Listen to the side chain", false);

/// The signal to listen to during one call; `None` means the node's own input.
pub fn external<'a>(io: &Io<'a>) -> Option<[&'a [f32]; 2]> {
    io.connected(1).then(|| [io.input_channel(1, 0), io.input_channel(1, 1)])
}

#[derive(Default)]
pub struct SideChain {
    states: [[State; 2]; 2],
    high_pass: Coefficients,
    low_pass: Option<Coefficients>,
    listen: Fade,
    fade_length: u64,
}

impl SideChain {
    pub fn tune(&mut self, high_pass: f64, low_pass: f64, rate: f64) {
        let q = std::f64::consts::FRAC_1_SQRT_2;
        self.high_pass = Coefficients::high_pass(high_pass, q, rate);
        let is_there = low_pass < HIGHEST_LOW_PASS;
        self.low_pass = is_there.then(|| Coefficients::low_pass(low_pass, q, rate));
        self.fade_length = fade::length(rate);
    }

    /// Both channels after the filters, frame by frame.
    #[inline(always)]
    pub fn filter(&mut self, [left, right]: [&[f32]; 2], out: &mut [[f64; 2]]) {
        for (sample, (l, r)) in out.iter_mut().zip(left.iter().zip(right)) {
            *sample = [clean(*l), clean(*r)];
        }
        run(&mut self.states[0], &self.high_pass, out);
        match &self.low_pass {
            Some(low_pass) => run(&mut self.states[1], low_pass, out),
            None => self.states[1] = Default::default(),
        }
    }

    /// The louder of both channels' magnitudes after the filters, which stay in `filtered`.
    #[inline(always)]
    pub fn detect(&mut self, heard: [&[f32]; 2], filtered: &mut [[f64; 2]], out: &mut [f64]) {
        self.filter(heard, filtered);
        for (out, sample) in out.iter_mut().zip(filtered) {
            *out = loudest(sample[0], sample[1]);
        }
    }

    /// Blends what was heard over the output while `on`.
    #[inline(always)]
    pub fn listen(&mut self, on: bool, filtered: &[[f64; 2]], outputs: [&mut [f32]; 2]) {
        if !on && self.listen.is_settled(0) {
            return;
        }
        let mut amounts = [0.0; CELL];
        let amounts = &mut amounts[..filtered.len()];
        self.listen.amounts(on, self.fade_length, amounts);
        for (channel, output) in outputs.into_iter().enumerate() {
            for ((out, heard), amount) in output.iter_mut().zip(filtered).zip(&*amounts) {
                let sound = f64::from(*out);
                *out = (sound + (heard[channel] - sound) * amount) as f32;
            }
        }
    }

    pub fn settle(&mut self) {
        self.states.iter_mut().flatten().for_each(State::settle);
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        for state in self.states.iter_mut().flatten() {
            visitor.f64(&mut state.s1);
            visitor.f64(&mut state.s2);
        }
        self.listen.visit(visitor);
    }

    pub fn reset(&mut self) {
        self.states = Default::default();
        self.listen = Fade::default();
    }
}

#[inline(always)]
fn run(states: &mut [State; 2], section: &Coefficients, samples: &mut [[f64; 2]]) {
    let mut wide = WideState::gather(|channel| states[channel]);
    run_wide(&mut wide, &WideCoefficients::gather(|_| *section), samples);
    *states = [wide.get(0), wide.get(1)];
}

/// A detector must not remember a bad sample: it hears silence instead.
#[inline(always)]
fn clean(sample: f32) -> f64 {
    let sample = f64::from(sample);
    if sample.abs() < 1e30 { sample } else { 0.0 }
}
