//! Windowed-sinc interpolation at any position, for voices that change pitch.
//!
//! [`crate::resample`] serves clips, whose ratio is exact and whose quality has no
//! price; a sampler has many voices at ratios that move, so its tables are shorter
//! and blend two neighbouring rows. What they have in common: a value depends on a
//! position and the samples around it and on nothing else.

use std::f64::consts::PI;

/// Rows of a table. Blending two of them is exact to −94 dB at the band edge and
/// better below.
const PHASES: usize = 256;

/// What a table is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SincSpec {
    /// Source samples on each side of a position, before widening for a low cutoff.
    pub half_taps: usize,
    /// Kaiser window parameter: about 0.11 × (stop-band attenuation in dB − 8.7).
    pub beta: f64,
    /// −6 dB point against half the source rate, at most 1.
    pub cutoff: f64,
}

impl SincSpec {
    /// For sampler voices: −80 dB stop band at a quarter of the work.
    ///
    /// The cutoff is lowered and the kernel widened where source frames go by faster
    /// than output frames, which would otherwise alias.
    pub fn voice(source_per_output: f64) -> SincSpec {
        SincSpec { half_taps: 12, beta: 7.8, cutoff: 0.86 }.lowered(source_per_output)
    }

    fn lowered(self, source_per_output: f64) -> SincSpec {
        if source_per_output <= 1.0 {
            return self;
        }
        let half_taps = libm::ceil(self.half_taps as f64 * source_per_output) as usize;
        SincSpec { half_taps, cutoff: self.cutoff / source_per_output, ..self }
    }
}

/// Filter rows for a set of fractional positions.
#[derive(Clone, Debug)]
pub struct SincTable {
    taps: usize,
    rows: Vec<f32>,
}

impl SincTable {
    /// A table; computes some ten thousand weights, so off the audio thread.
    pub fn new(spec: SincSpec) -> SincTable {
        let taps = 2 * spec.half_taps.max(2);
        let rows = (0..=PHASES).flat_map(|row| kernel(spec, taps, row as f64 / PHASES as f64));
        SincTable { taps, rows: rows.collect() }
    }

    /// Samples a window must hold.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// How many samples of the window lie before the whole part of the position.
    pub fn lead(&self) -> usize {
        self.taps / 2 - 1
    }

    #[inline]
    fn row(&self, window: &[f32], row: usize) -> f64 {
        let start = row * self.taps;
        dot(self.rows.get(start..start + self.taps).unwrap_or(&[]), window)
    }

    /// The value at whole part + `fraction` in 0..1; `window` starts
    /// [`SincTable::lead`] samples before the whole part.
    #[inline]
    pub fn at(&self, window: &[f32], fraction: f64) -> f64 {
        let position = fraction * PHASES as f64;
        let row = position as usize;
        let blend = position - row as f64;
        let low = self.row(window, row);
        if blend == 0.0 { low } else { low + (self.row(window, row + 1) - low) * blend }
    }
}

/// Four running sums in a fixed order: fast, and the same bits on every machine.
#[inline]
fn dot(row: &[f32], window: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 4];
    let (row_quads, window_quads) = (row.chunks_exact(4), window.chunks_exact(4));
    let (row_rest, window_rest) = (row_quads.remainder(), window_quads.remainder());
    for (a, b) in row_quads.zip(window_quads) {
        for lane in 0..4 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let mut sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (a, b) in row_rest.iter().zip(window_rest) {
        sum += f64::from(*a) * f64::from(*b);
    }
    sum
}

/// One row, scaled so that a constant passes unchanged whatever the phase.
fn kernel(spec: SincSpec, taps: usize, fraction: f64) -> Vec<f32> {
    let half = (taps / 2) as f64;
    let weights: Vec<f64> = (0..taps)
        .map(|tap| {
            let distance = tap as f64 - (half - 1.0) - fraction;
            sinc(distance * spec.cutoff) * kaiser(distance / half, spec.beta)
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-12 { 1.0 } else { libm::sin(PI * x) / (PI * x) }
}

fn kaiser(x: f64, beta: f64) -> f64 {
    if x.abs() > 1.0 {
        return 0.0;
    }
    bessel_i0(beta * (1.0 - x * x).sqrt()) / bessel_i0(beta)
}

/// Modified Bessel function of order zero by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 && k < 200.0 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, rate: f64, frames: usize) -> Vec<f32> {
        (0..frames).map(|i| libm::sin(2.0 * PI * hertz * i as f64 / rate) as f32).collect()
    }

    /// Signal to error of reading a sine at `ratio` source frames per frame, in dB.
    fn snr(hertz: f64, ratio: f64) -> f64 {
        let source = sine(hertz, 48_000.0, 12_000);
        let table = SincTable::new(SincSpec::voice(ratio));
        let (mut signal, mut error) = (0.0, 0.0);
        for i in 500..3_000 {
            let position = f64::from(i) * ratio;
            let window = &source[position as usize - table.lead()..][..table.taps()];
            let got = table.at(window, position - libm::floor(position));
            let expect = libm::sin(2.0 * PI * hertz * position / 48_000.0);
            signal += expect * expect;
            error += (got - expect) * (got - expect);
        }
        10.0 * libm::log10(signal / error)
    }

    #[test]
    fn a_voice_keeps_seventy_five_decibels_up_to_a_fifth_of_the_rate() {
        for ratio in [1.0, 0.918_75, 1.333_3, 0.501, 2.999] {
            for hertz in [200.0, 2_000.0, 10_000.0] {
                let hertz = if ratio > 1.0 { hertz / ratio } else { hertz };
                let got = snr(hertz, ratio);
                assert!(got > 75.0, "{hertz} Hz at {ratio}: {got:.1} dB");
            }
        }
    }

    #[test]
    fn what_would_alias_is_removed() {
        let source = sine(15_000.0, 48_000.0, 20_000);
        let table = SincTable::new(SincSpec::voice(2.0));
        let peak = (1000..5000)
            .map(|i| table.at(&source[2 * i - table.lead()..][..table.taps()], 0.0).abs())
            .fold(0.0, f64::max);
        assert!(peak < 2e-4, "{peak}");
    }

    #[test]
    fn a_constant_passes_unchanged_at_every_phase() {
        let table = SincTable::new(SincSpec::voice(1.0));
        let window = vec![0.5_f32; table.taps()];
        for i in 0..100 {
            let got = table.at(&window, f64::from(i) / 100.0);
            assert!((got - 0.5).abs() < 1e-7, "{got}");
        }
    }
}
