//! Band-limited oscillators from stacks of additive wavetables.
//!
//! Tables rather than polyBLEP: a stack with three tables per octave holds no
//! partial above half the sample rate, so the alias level is set by the
//! interpolation (below −90 dB) and not by the pitch, at the price of half a
//! megabyte that every synthesiser of the process shares. A pulse is the
//! difference of two saws, so its width can move without new tables. The
//! spectra go through a transform of our own, because the bits of a table must
//! not depend on which kernel an FFT planner happened to choose.

use std::f64::consts::PI;
use std::sync::OnceLock;

/// Tables per octave of fundamental pitch.
const LEVELS_PER_OCTAVE: usize = 3;
/// Most partials a table holds: 20 Hz reaches 20 kHz.
const MAX_PARTIALS: f64 = 1024.0;
/// The level of a pitch that no table can hold.
pub const SILENT: usize = usize::MAX;
/// The shortest table; short spectra are oversampled beyond need.
const MIN_TABLE: usize = 2048;
/// Table points for one period of the highest partial.
const POINTS_PER_PARTIAL: usize = 16;

/// What one cycle looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Rising ramp from −1 to 1.
    Saw,
    /// +1 for the first `width` of the cycle, −1 for the rest.
    Pulse,
    /// Symmetric triangle, starting at zero and rising.
    Triangle,
    /// Sine.
    Sine,
}

/// One cycle with three guard points, so that four-point interpolation never wraps.
struct Table {
    points: Vec<f32>,
    size: f64,
}

impl Table {
    fn at(&self, phase: f64) -> f64 {
        let position = phase * self.size;
        let index = position as usize;
        let fraction = position - index as f64;
        match self.points.get(index..index + 4) {
            Some(&[before, here, after, later]) => lagrange4(
                f64::from(before),
                f64::from(here),
                f64::from(after),
                f64::from(later),
                fraction,
            ),
            _ => 0.0,
        }
    }
}

/// Four-point, third-order Lagrange interpolation between `here` and `after`.
#[inline]
pub fn lagrange4(before: f64, here: f64, after: f64, later: f64, fraction: f64) -> f64 {
    let c1 = after - before / 3.0 - here / 2.0 - later / 6.0;
    let c2 = (before + after) / 2.0 - here;
    let c3 = (later - before) / 6.0 + (here - after) / 2.0;
    ((c3 * fraction + c2) * fraction + c1) * fraction + here
}

/// All tables; build once off the audio thread with [`Wavetables::shared`].
pub struct Wavetables {
    partials: Vec<f64>,
    saw: Vec<Table>,
    triangle: Vec<Table>,
    sine: Table,
}

impl Wavetables {
    /// The tables of this process. The first call computes them (some milliseconds).
    pub fn shared() -> &'static Wavetables {
        static TABLES: OnceLock<Wavetables> = OnceLock::new();
        TABLES.get_or_init(Wavetables::build)
    }

    fn build() -> Wavetables {
        let partials = partial_counts();
        let saw = partials.iter().map(|&count| table(count as usize, saw_partial)).collect();
        let triangle =
            partials.iter().map(|&count| table(count as usize, triangle_partial)).collect();
        let sine = table(1, |_| 1.0);
        Wavetables { partials, saw, triangle, sine }
    }

    /// The richest table without a partial above half the sample rate, for a phase
    /// increment in cycles per sample; [`SILENT`] when even the fundamental lies above.
    pub fn level(&self, increment: f64) -> usize {
        if increment.is_nan() || increment > 0.5 {
            return SILENT;
        }
        self.partials.partition_point(|&count| count * increment > 0.5)
    }

    /// One sample; `phase` in 0..1, `width` (pulses only) in 0..1.
    #[inline]
    pub fn sample(&self, shape: Shape, level: usize, phase: f64, width: f64) -> f64 {
        if level == SILENT {
            return 0.0;
        }
        match shape {
            Shape::Saw => read(&self.saw, level, phase),
            Shape::Triangle => read(&self.triangle, level, phase),
            Shape::Sine => self.sine.at(phase),
            Shape::Pulse => {
                let fall = wrap(phase - width);
                read(&self.saw, level, fall) - read(&self.saw, level, phase) + 2.0 * width - 1.0
            }
        }
    }
}

fn read(tables: &[Table], level: usize, phase: f64) -> f64 {
    tables.get(level).map_or(0.0, |table| table.at(phase))
}

/// Brings a phase within one cycle of 0..1 back into it.
#[inline]
pub fn wrap(phase: f64) -> f64 {
    let whole = libm::floor(phase);
    let rest = phase - whole;
    if rest >= 1.0 { 0.0 } else { rest }
}

/// Partials per level, falling by a third of an octave down to a lone fundamental.
fn partial_counts() -> Vec<f64> {
    let mut counts = Vec::new();
    let mut step = 0;
    loop {
        let octaves = step as f64 / LEVELS_PER_OCTAVE as f64;
        let count = libm::floor(MAX_PARTIALS / libm::exp2(octaves) + 1e-9);
        if counts.last() != Some(&count) {
            counts.push(count);
        }
        if count <= 1.0 {
            return counts;
        }
        step += 1;
    }
}

fn saw_partial(k: usize) -> f64 {
    -2.0 / (PI * k as f64)
}

fn triangle_partial(k: usize) -> f64 {
    if k.is_multiple_of(2) {
        return 0.0;
    }
    let sign = if k % 4 == 1 { 1.0 } else { -1.0 };
    sign * 8.0 / (PI * PI * (k * k) as f64)
}

fn table(partials: usize, amplitude: impl Fn(usize) -> f64) -> Table {
    let size = (partials * POINTS_PER_PARTIAL).next_power_of_two().max(MIN_TABLE);
    let mut re = vec![0.0; size];
    let mut im = vec![0.0; size];
    for k in 1..=partials {
        // A sine of amplitude a is −ia/2 at k and +ia/2 at −k.
        im[k] = -amplitude(k) / 2.0;
        im[size - k] = amplitude(k) / 2.0;
    }
    inverse_transform(&mut re, &mut im);
    let points = (0..size + 3).map(|i| re[(i + size - 1) % size] as f32).collect();
    Table { points, size: size as f64 }
}

/// Unscaled inverse DFT, radix two, in place.
fn inverse_transform(re: &mut [f64], im: &mut [f64]) {
    let n = re.len();
    let mut j = 0;
    for i in 1..n {
        let mut bit = n >> 1;
        while j & bit != 0 {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
        if i < j {
            re.swap(i, j);
            im.swap(i, j);
        }
    }
    let twiddles: Vec<(f64, f64)> = (0..n / 2)
        .map(|k| libm::sincos(2.0 * PI * k as f64 / n as f64))
        .map(|(sin, cos)| (cos, sin))
        .collect();
    let mut half = 1;
    while half < n {
        let stride = n / (2 * half);
        for start in (0..n).step_by(2 * half) {
            for k in 0..half {
                let (wr, wi) = twiddles[k * stride];
                let (a, b) = (start + k, start + k + half);
                let (tr, ti) = (re[b] * wr - im[b] * wi, re[b] * wi + im[b] * wr);
                re[b] = re[a] - tr;
                im[b] = im[a] - ti;
                re[a] += tr;
                im[a] += ti;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;

    fn render(shape: Shape, hertz: f64, width: f64, frames: usize) -> Vec<f64> {
        let tables = Wavetables::shared();
        let increment = hertz / RATE;
        let level = tables.level(increment);
        (0..frames)
            .map(|i| tables.sample(shape, level, wrap(increment * i as f64), width))
            .collect()
    }

    /// Power at `bin` of a rectangular window over a whole number of cycles.
    fn bin_power(signal: &[f64], bin: usize) -> f64 {
        let n = signal.len() as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for (i, x) in signal.iter().enumerate() {
            let (sin, cos) = libm::sincos(2.0 * PI * (bin * i % signal.len()) as f64 / n);
            re += x * cos;
            im += x * sin;
        }
        4.0 * (re * re + im * im) / (n * n)
    }

    /// Everything that is no partial of the cycle count `cycles`, against the whole, in dB.
    fn alias_level(shape: Shape, width: f64, cycles: usize) -> f64 {
        let frames = 4_800;
        let signal = render(shape, cycles as f64 * RATE / frames as f64, width, frames);
        let mean = signal.iter().sum::<f64>() / frames as f64;
        let total = signal.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
        let mut rest: Vec<f64> = signal.iter().map(|x| x - mean).collect();
        for bin in (cycles..frames / 2).step_by(cycles) {
            remove_bin(&mut rest, bin);
        }
        10.0 * libm::log10(rest.iter().map(|x| x * x).sum::<f64>() / total)
    }

    fn remove_bin(signal: &mut [f64], bin: usize) {
        let n = signal.len();
        let turn = |i: usize| libm::sincos(2.0 * PI * (bin * i % n) as f64 / n as f64);
        let (mut re, mut im) = (0.0, 0.0);
        for (i, x) in signal.iter().enumerate() {
            let (sin, cos) = turn(i);
            re += x * cos;
            im += x * sin;
        }
        for (i, x) in signal.iter_mut().enumerate() {
            let (sin, cos) = turn(i);
            *x -= 2.0 * (re * cos + im * sin) / n as f64;
        }
    }

    #[test]
    fn aliases_stay_below_minus_ninety_decibels_at_every_pitch() {
        // Cycle counts that do not divide the window: an alias never hides behind a partial.
        for cycles in [7, 43, 127, 257, 509, 1013] {
            for (shape, width) in [
                (Shape::Saw, 0.5),
                (Shape::Pulse, 0.5),
                (Shape::Pulse, 0.13),
                (Shape::Triangle, 0.5),
                (Shape::Sine, 0.5),
            ] {
                let level = alias_level(shape, width, cycles);
                assert!(level < -90.0, "{shape:?} {width} at {cycles} cycles: {level:.1} dB");
            }
        }
    }

    #[test]
    fn partials_have_the_amplitudes_of_the_series() {
        let frames = 4_800;
        let signal = render(Shape::Saw, 100.0, 0.5, frames);
        for k in [1, 2, 5, 17, 100] {
            let power = bin_power(&signal, 10 * k);
            let expect = saw_partial(k) * saw_partial(k);
            let error = 10.0 * libm::log10(power / expect);
            assert!(error.abs() < 0.02, "partial {k} is off by {error} dB");
        }
    }

    #[test]
    fn shapes_follow_their_ideal_away_from_the_corners() {
        for (shape, phase, expect) in [
            (Shape::Saw, 0.25, -0.5),
            (Shape::Saw, 0.75, 0.5),
            (Shape::Pulse, 0.25, 1.0),
            (Shape::Pulse, 0.75, -1.0),
            (Shape::Triangle, 0.25, 1.0),
            (Shape::Triangle, 0.5, 0.0),
            (Shape::Sine, 0.25, 1.0),
        ] {
            let got = Wavetables::shared().sample(shape, 0, phase, 0.5);
            assert!((got - expect).abs() < 0.01, "{shape:?} at {phase}: {got}");
        }
    }

    #[test]
    fn a_fundamental_above_half_the_rate_has_no_table() {
        let tables = Wavetables::shared();
        assert_eq!(tables.level(0.51), SILENT);
        assert_eq!(tables.level(f64::NAN), SILENT);
        assert_eq!(tables.level(0.5), tables.partials.len() - 1);
        assert_eq!(tables.level(0.0), 0);
        assert_eq!(tables.sample(Shape::Pulse, SILENT, 0.2, 0.1), 0.0);
    }
}
