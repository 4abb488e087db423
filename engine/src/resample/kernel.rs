//! The filter bank: a Kaiser-windowed sinc, sampled once per phase.
//!
//! When the fraction has few phases (44.1 → 48 kHz has 160) every phase is
//! stored and exact. Otherwise a dense table is interpolated with a cubic,
//! whose error at this density lies below the filter's own stop band.

use super::Step;

/// Zero crossings on each side. With `BETA` this puts the transition band
/// between 0.9 and 1.0 of the lower Nyquist frequency.
const CROSSINGS: usize = 80;
/// Kaiser's shape for a stop band of 125 dB.
const BETA: f64 = 12.82;
/// The middle of the transition band, relative to the lower Nyquist frequency.
const CUTOFF: f64 = 0.949;
/// Up to this many coefficients a fraction gets an exact bank.
const MAX_EXACT: u64 = 1 << 20;
const DENSE_PHASES: usize = 512;

#[derive(Debug, Clone)]
pub(super) struct Bank {
    half: usize,
    denominator: u64,
    /// `None`: phase = remainder. `Some(n)`: n dense phases, interpolated.
    dense: Option<usize>,
    coefficients: Vec<f64>,
}

impl Bank {
    pub(super) fn new(step: Step) -> Bank {
        let scale = (1.0 / step.as_f64()).min(1.0);
        let half = (CROSSINGS as f64 / scale).ceil() as usize;
        let exact = step.denominator.saturating_mul(2 * half as u64) <= MAX_EXACT;
        // A slower kernel needs proportionally fewer phases for the same error.
        let dense_phases = ((DENSE_PHASES as f64 * scale).ceil() as usize).max(8);
        let dense = (!exact).then_some(dense_phases);
        let shape = Shape { half: half as f64, cutoff: CUTOFF * scale };
        let coefficients = match dense {
            None => exact_rows(&shape, half, step.denominator as usize),
            Some(phases) => dense_rows(&shape, half, phases),
        };
        Bank { half, denominator: step.denominator, dense, coefficients }
    }

    pub(super) fn half(&self) -> usize {
        self.half
    }

    pub(super) fn taps(&self) -> usize {
        2 * self.half
    }

    /// The sum over `window`, whose first sample meets tap `skip`.
    pub(super) fn convolve(&self, remainder: u64, skip: usize, window: &[f32]) -> f64 {
        match self.dense {
            None => dot(&self.row(remainder as usize)[skip..], window),
            Some(phases) => self.interpolated(phases, remainder, skip, window),
        }
    }

    fn row(&self, phase: usize) -> &[f64] {
        &self.coefficients[phase * self.taps()..(phase + 1) * self.taps()]
    }

    /// Cubic Lagrange between four neighbouring phases; row 0 of the dense
    /// table is phase −1, so that all four always exist.
    fn interpolated(&self, phases: usize, remainder: u64, skip: usize, window: &[f32]) -> f64 {
        let scaled = u128::from(remainder) * phases as u128;
        let denominator = u128::from(self.denominator);
        let phase = (scaled / denominator) as usize;
        let t = (scaled % denominator) as f64 / self.denominator as f64;
        let weights = [
            -t * (t - 1.0) * (t - 2.0) / 6.0,
            (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
            -(t + 1.0) * t * (t - 2.0) / 2.0,
            (t + 1.0) * t * (t - 1.0) / 6.0,
        ];
        let mut sum = 0.0;
        for (offset, weight) in weights.iter().enumerate() {
            sum += weight * dot(&self.row(phase + offset)[skip..], window);
        }
        sum
    }
}

/// Four interleaved partial sums: the order is fixed by the code, not by the
/// width of a vector unit.
fn dot(coefficients: &[f64], window: &[f32]) -> f64 {
    let coefficients = &coefficients[..window.len()];
    let mut sums = [0.0f64; 4];
    let mut left = coefficients.chunks_exact(4);
    let mut right = window.chunks_exact(4);
    for (c, w) in left.by_ref().zip(right.by_ref()) {
        for lane in 0..4 {
            sums[lane] += c[lane] * f64::from(w[lane]);
        }
    }
    let tail = left.remainder().iter().zip(right.remainder());
    let rest: f64 = tail.map(|(c, w)| c * f64::from(*w)).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

struct Shape {
    half: f64,
    cutoff: f64,
}

impl Shape {
    fn at(&self, distance: f64) -> f64 {
        let x = distance / self.half;
        if x.abs() >= 1.0 {
            return 0.0;
        }
        let window = bessel_i0(BETA * (1.0 - x * x).sqrt()) / bessel_i0(BETA);
        self.cutoff * sinc(self.cutoff * distance) * window
    }

    fn push_row(&self, half: usize, fraction: f64, rows: &mut Vec<f64>) {
        // Tap k meets source frame `position − half + 1 + k`.
        let distance = |k: usize| (half as f64 - 1.0 - k as f64) + fraction;
        rows.extend((0..2 * half).map(|k| self.at(distance(k))));
    }
}

/// Every phase is normalised to a gain of exactly 1 at 0 Hz, so that a constant
/// carries no ripple at the phase rate.
fn exact_rows(shape: &Shape, half: usize, phases: usize) -> Vec<f64> {
    let mut rows = Vec::with_capacity(phases * 2 * half);
    for phase in 0..phases {
        shape.push_row(half, phase as f64 / phases as f64, &mut rows);
    }
    normalise(&mut rows, 2 * half);
    rows
}

fn dense_rows(shape: &Shape, half: usize, phases: usize) -> Vec<f64> {
    let mut rows = Vec::with_capacity((phases + 3) * 2 * half);
    for phase in -1..=phases as i64 + 1 {
        shape.push_row(half, phase as f64 / phases as f64, &mut rows);
    }
    normalise(&mut rows, 2 * half);
    rows
}

fn normalise(rows: &mut [f64], taps: usize) {
    for row in rows.chunks_exact_mut(taps) {
        let gain: f64 = row.iter().sum();
        row.iter_mut().for_each(|c| *c /= gain);
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let angle = std::f64::consts::PI * x;
    libm::sin(angle) / angle
}

/// The modified Bessel function I₀ by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}
