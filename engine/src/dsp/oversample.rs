//! Oversampling by 4, 8 or 16 around a memoryless function: a cascade of half-band stages whose whole
//! delay is an integer number of base-rate frames.
//!
//! Only the outermost stage has to be steep, the inner ones guard a spectrum that is already half
//! empty; so the cascade costs a fraction of one long filter at the top rate.

use super::halfband::{Down, History, Taps, Up};

/// Half-lengths and Kaiser betas from the outermost stage inwards. All but the first half-length
/// must be even: the pad below then makes the total delay an integer.
const STAGES: [(usize, f64); 4] = [(40, 9.2), (8, 9.0), (6, 9.0), (4, 9.0)];

#[derive(Clone, Debug)]
struct Stage {
    up: Up,
    down: Down,
    /// An inner stage delays by an odd number of its own frames; one frame more makes it even, so
    /// that it is whole at the rate outside.
    pad: Option<f64>,
}

impl Stage {
    fn new(index: usize) -> Self {
        let (k, beta) = STAGES[index];
        let taps = Taps::kaiser(k, beta);
        let pad = if index == 0 { None } else { Some(0.0) };
        Self { up: Up::new(taps.clone()), down: Down::new(taps), pad }
    }

    fn histories(&mut self) -> [&mut History; 3] {
        let [odd, even] = self.down.histories();
        [self.up.history(), odd, even]
    }
}

/// How far above the base rate the function runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    Four,
    Eight,
    Sixteen,
}

impl Factor {
    fn stages(self) -> usize {
        match self {
            Self::Four => 2,
            Self::Eight => 3,
            Self::Sixteen => 4,
        }
    }

    /// Base-rate frames between input and output of [`Oversampler::step`].
    pub fn latency(self) -> usize {
        // 2k − 1 for the outermost stage; each inner one 2k of its own frames.
        let inner = (1..self.stages()).map(|i| (2 * STAGES[i].0) >> i).sum::<usize>();
        2 * STAGES[0].0 - 1 + inner
    }
}

/// One channel's cascade.
#[derive(Clone, Debug)]
pub struct Oversampler {
    stages: Vec<Stage>,
}

impl Oversampler {
    pub fn new(factor: Factor) -> Self {
        Self { stages: (0..factor.stages()).map(Stage::new).collect() }
    }

    /// One base-rate frame through `shape` at the high rate.
    #[inline]
    pub fn step(&mut self, sample: f64, mut shape: impl FnMut(f64) -> f64) -> f64 {
        run(&mut self.stages, sample, &mut shape)
    }

    /// Every history in a fixed order.
    pub fn visit(&mut self, mut visit: impl FnMut(&mut [f64])) {
        for stage in &mut self.stages {
            for history in stage.histories() {
                visit(history.state());
            }
            if let Some(pad) = &mut stage.pad {
                visit(std::slice::from_mut(pad));
            }
        }
    }

    pub fn clear(&mut self) {
        for stage in &mut self.stages {
            for history in stage.histories() {
                history.clear();
            }
            if let Some(pad) = &mut stage.pad {
                *pad = 0.0;
            }
        }
    }
}

fn run(stages: &mut [Stage], sample: f64, shape: &mut impl FnMut(f64) -> f64) -> f64 {
    let Some((stage, inner)) = stages.split_first_mut() else {
        return shape(sample);
    };
    let [first, second] = stage.up.step(sample);
    let first = run(inner, first, shape);
    let second = run(inner, second, shape);
    let out = stage.down.step([first, second]);
    match &mut stage.pad {
        Some(pad) => std::mem::replace(pad, out),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(factor: Factor, latency: usize) {
        assert_eq!(factor.latency(), latency);
        let mut over = Oversampler::new(factor);
        let sine = |n: usize| libm::sin(0.21 * n as f64);
        for n in 0..3000 {
            let y = over.step(sine(n), |x| x);
            if n > 400 {
                let error = (y - sine(n - latency)).abs();
                assert!(error < 1e-4, "{factor:?} frame {n}: {error}");
            }
        }
    }

    #[test]
    fn the_identity_comes_out_delayed_by_exactly_the_stated_latency() {
        check(Factor::Four, 87);
        check(Factor::Eight, 90);
        check(Factor::Sixteen, 91);
    }
}
