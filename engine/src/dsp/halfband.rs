//! Half-band FIR filters: doubling and halving of the rate with every second tap zero.
//!
//! Linear phase was chosen over the cheaper all-pass kind: a saturator's dry path can then be aligned
//! to the sample, and an oversampled node nulls against its own delayed input.

use std::f64::consts::PI;

/// A windowed-sinc half-band low-pass of `4k − 1` taps, stored as its `2k` odd-phase taps (the even
/// phase is the single centre tap of one half). Sums to one per phase.
#[derive(Clone, Debug)]
pub struct Taps {
    odd: Vec<f64>,
}

impl Taps {
    /// Kaiser window; `beta` trades stop-band depth against transition width.
    pub fn kaiser(k: usize, beta: f64) -> Self {
        let count = 2 * k;
        let half_length = (2 * k) as f64;
        let bottom = bessel_i0(beta);
        let mut odd: Vec<f64> = (0..count)
            .map(|i| {
                let at = (2 * i + 1) as f64 - half_length;
                let edge = at / half_length;
                let window = bessel_i0(beta * (1.0 - edge * edge).sqrt()) / bottom;
                libm::sin(0.5 * PI * at) / (PI * at) * window
            })
            .collect();
        // The odd phase alone carries half of the gain: scaling it to exactly one half puts a
        // perfect null at Nyquist and exact unity at zero.
        let sum: f64 = odd.iter().sum();
        for tap in &mut odd {
            *tap *= 0.5 / sum;
        }
        Self { odd }
    }

    /// Delay of one pass, in frames of the higher rate.
    pub fn delay(&self) -> usize {
        self.odd.len() - 1
    }

    fn len(&self) -> usize {
        self.odd.len()
    }

    /// Response at a frequency given as a fraction of the higher rate.
    pub fn magnitude(&self, fraction: f64) -> f64 {
        let centre = (self.odd.len()) as f64;
        let ripple: f64 = self
            .odd
            .iter()
            .enumerate()
            .map(|(i, tap)| tap * libm::cos(2.0 * PI * fraction * ((2 * i + 1) as f64 - centre)))
            .sum();
        (0.5 + ripple).abs()
    }
}

pub(super) fn bessel_i0(x: f64) -> f64 {
    let quarter = 0.25 * x * x;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..60 {
        let k = f64::from(k);
        term *= quarter / (k * k);
        sum += term;
    }
    sum
}

/// Fixed-order dot product: four interleaved partial sums, which a compiler may keep in one vector
/// register without changing a bit.
#[inline(always)]
pub fn dot(taps: &[f64], samples: &[f64]) -> f64 {
    let mut sums = [0.0f64; 4];
    let (taps, samples) = (taps.chunks_exact(4), samples.chunks_exact(4));
    let rest: f64 = taps.remainder().iter().zip(samples.remainder()).map(|(tap, x)| tap * x).sum();
    for (tap, x) in taps.zip(samples) {
        for lane in 0..4 {
            sums[lane] += tap[lane] * x[lane];
        }
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

/// A delay line whose newest `n` samples are always one contiguous slice, so that [`dot`] needs no
/// wrap. It moves its content once per `n` samples.
#[derive(Clone, Debug)]
pub struct History {
    line: Vec<f64>,
    n: usize,
    end: usize,
}

impl History {
    pub fn new(n: usize) -> Self {
        let n = n.max(1);
        Self { line: vec![0.0; 4 * n], n, end: n }
    }

    #[inline(always)]
    pub fn push(&mut self, sample: f64) {
        if self.end == self.line.len() {
            self.line.copy_within(self.end - self.n.., 0);
            self.end = self.n;
        }
        self.line[self.end] = sample;
        self.end += 1;
    }

    /// The newest `n` samples, oldest first.
    #[inline(always)]
    pub fn window(&self) -> &[f64] {
        &self.line[self.end - self.n..self.end]
    }

    /// The sample pushed `age` pushes before the newest.
    #[inline(always)]
    pub fn back(&self, age: usize) -> f64 {
        self.line[self.end - 1 - age]
    }

    /// The whole state, for saving and loading.
    pub fn state(&mut self) -> &mut [f64] {
        &mut self.line[self.end - self.n..self.end]
    }

    pub fn clear(&mut self) {
        self.line.fill(0.0);
    }
}

/// Doubles the rate: one sample in, two out.
#[derive(Clone, Debug)]
pub struct Up {
    taps: Taps,
    history: History,
}

impl Up {
    pub fn new(taps: Taps) -> Self {
        let history = History::new(taps.len());
        Self { taps, history }
    }

    /// Output pair in time order, delayed by [`Taps::delay`] frames of the higher rate.
    #[inline]
    pub fn step(&mut self, sample: f64) -> [f64; 2] {
        self.history.push(sample);
        // The taps are symmetric, so the order of the window doesn't matter.
        let odd = 2.0 * dot(&self.taps.odd, self.history.window());
        [odd, self.history.back(self.taps.len() / 2 - 1)]
    }

    pub fn history(&mut self) -> &mut History {
        &mut self.history
    }
}

/// Halves the rate: two samples in, one out.
#[derive(Clone, Debug)]
pub struct Down {
    taps: Taps,
    odd: History,
    even: History,
}

impl Down {
    pub fn new(taps: Taps) -> Self {
        let (odd, even) = (History::new(taps.len()), History::new(taps.len() / 2));
        Self { taps, odd, even }
    }

    /// Takes a pair in time order; the output is delayed by [`Taps::delay`] frames of the higher rate
    /// counted from the pair's first sample.
    #[inline]
    pub fn step(&mut self, pair: [f64; 2]) -> f64 {
        self.odd.push(pair[0]);
        let centre = self.even.back(self.taps.len() / 2 - 1);
        self.even.push(pair[1]);
        dot(&self.taps.odd, self.odd.window()) + 0.5 * centre
    }

    pub fn histories(&mut self) -> [&mut History; 2] {
        [&mut self.odd, &mut self.even]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steep_filter_is_flat_to_20_khz_and_deep_above_the_mirror() {
        let taps = Taps::kaiser(36, 9.0);
        let db = |hz: f64| 20.0 * libm::log10(taps.magnitude(hz / 88_200.0).max(1e-12));
        for hz in [0.0, 1000.0, 15_000.0, 20_000.0] {
            assert!(db(hz).abs() < 0.001, "{hz}: {}", db(hz));
        }
        for hz in [24_100.0, 26_000.0, 30_000.0, 44_100.0] {
            assert!(db(hz) < -85.0, "{hz}: {}", db(hz));
        }
    }

    #[test]
    fn up_then_down_is_a_pure_delay_for_a_low_sine() {
        let taps = Taps::kaiser(36, 9.0);
        let delay = taps.delay();
        let (mut up, mut down) = (Up::new(taps.clone()), Down::new(taps));
        let sine = |n: usize| libm::sin(0.3 * n as f64);
        for n in 0..2000 {
            let y = down.step(up.step(sine(n)));
            if n > 300 {
                let want = sine(n - delay);
                assert!((y - want).abs() < 1e-4, "{n}: {y} {want}");
            }
        }
    }
}
