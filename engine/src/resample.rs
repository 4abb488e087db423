//! Sample-rate conversion by a Kaiser-windowed sinc, as a pure function of position.
//!
//! Output frame `n` lies at source position `n · numerator / denominator`, an
//! exact integer division, and depends on the source frames around it and on
//! nothing else. Hence it doesn't matter how reads are cut, seeking needs no
//! warm-up and a cached piece equals a fresh one bit for bit. A crate with a
//! running filter state (rubato) gives up exactly that, and its vector paths
//! differ between machines.
//!
//! Frames outside the source are silence. Sums run in f64 in a fixed order.
//! Stated quality: images and aliases ≤ −120 dB, flat within 0.001 dB up to
//! 0.9 of the lower Nyquist frequency (the tests measure both).

use std::ops::Range;

mod kernel;
mod stream;
mod view;

pub use stream::StreamResampler;
pub use view::SourceView;

use kernel::Bank;

/// The largest change of rate in either direction.
pub const MAX_RATIO: u64 = 256;

/// Keeps every product of rates, speeds and positions inside its integer type.
pub const MAX_RATE: u32 = 1 << 24;

/// Source frames per output frame as an exact fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    numerator: u64,
    denominator: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ResampleError {
    #[error("cannot resample from {from} Hz to {to} Hz; use rates of 1 Hz to 16 MHz within 256:1")]
    Rates { from: u32, to: u32 },
    #[error("cannot play at speed {speed}; choose one between 1/256 and 256")]
    Speed { speed: f64 },
    #[error("{found} channels were passed to a resampler made for {expected}")]
    Channels { expected: usize, found: usize },
}

impl Step {
    pub fn between(from: u32, to: u32) -> Result<Step, ResampleError> {
        let (wide_from, wide_to) = (u64::from(from), u64::from(to));
        let far = wide_from > wide_to * MAX_RATIO || wide_to > wide_from * MAX_RATIO;
        if from == 0 || to == 0 || from.max(to) > MAX_RATE || far {
            return Err(ResampleError::Rates { from, to });
        }
        Ok(Step::reduced(wide_from, wide_to))
    }

    /// As `between`, played `speed` times as fast (and as high). The speed is
    /// rounded to a multiple of 2⁻²⁴, which is 0.0001 cent at speed 1.
    pub fn with_speed(from: u32, to: u32, speed: f64) -> Result<Step, ResampleError> {
        const UNIT: u64 = 1 << 24;
        let base = Step::between(from, to)?;
        let scaled = (speed * UNIT as f64 + 0.5).floor();
        let total = speed * from as f64 / to as f64;
        let limit = MAX_RATIO as f64;
        if !(scaled >= 1.0 && total <= limit && total >= 1.0 / limit && speed <= limit) {
            return Err(ResampleError::Speed { speed });
        }
        Ok(Step::reduced(base.numerator * scaled as u64, base.denominator * UNIT))
    }

    fn reduced(numerator: u64, denominator: u64) -> Step {
        let divisor = greatest_common_divisor(numerator, denominator);
        Step { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    pub fn is_identity(self) -> bool {
        self.numerator == self.denominator
    }

    pub fn as_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// The source frame at or before output frame `n`, and the remainder in
    /// units of 1 / denominator.
    fn locate(self, n: u64) -> (u64, u64) {
        let position = u128::from(n) * u128::from(self.numerator);
        let denominator = u128::from(self.denominator);
        ((position / denominator) as u64, (position % denominator) as u64)
    }

    /// How many output frames lie before the end of `frames` source frames.
    pub fn output_frames(self, frames: u64) -> u64 {
        let scaled = u128::from(frames) * u128::from(self.denominator);
        scaled.div_ceil(u128::from(self.numerator)).min(u128::from(u64::MAX)) as u64
    }
}

/// The filter for one step; immutable, hence shareable between threads.
#[derive(Debug, Clone)]
pub struct Resampler {
    step: Step,
    bank: Bank,
}

impl Resampler {
    pub fn new(step: Step) -> Resampler {
        Resampler { step, bank: Bank::new(step) }
    }

    pub fn step(&self) -> Step {
        self.step
    }

    /// How many source frames on each side of a position take part.
    pub fn reach(&self) -> usize {
        self.bank.half()
    }

    /// The source frames that output `start..start + frames` is computed from;
    /// it may begin before 0 and end behind the source (both are silence).
    pub fn span(&self, start: u64, frames: usize) -> Range<i64> {
        if frames == 0 {
            return 0..0;
        }
        let half = self.bank.half() as i64;
        let first = self.step.locate(start).0 as i64 - half + 1;
        let last = self.step.locate(start + frames as u64 - 1).0 as i64 + half;
        first..last + 1
    }

    /// The longest span of any `frames` output frames: what scratch must hold.
    pub fn max_span(&self, frames: usize) -> usize {
        (frames as f64 * self.step.as_f64()).ceil() as usize + 2 * self.bank.half() + 1
    }

    /// Computes output frames `start..` into `out` from `input`, whose first
    /// frame is source frame `input_start`; what `input` lacks of the span is
    /// silence. Real-time safe.
    pub fn render(&self, start: u64, input_start: i64, input: &[f32], out: &mut [f32]) {
        if self.step.is_identity() {
            return copy_shifted(start as i64 - input_start, input, out);
        }
        let taps = self.bank.taps();
        for (n, sample) in (start..).zip(out.iter_mut()) {
            let (frame, remainder) = self.step.locate(n);
            let first = frame as i64 - self.bank.half() as i64 + 1 - input_start;
            let end = first + taps as i64;
            let from = first.clamp(0, input.len() as i64);
            let to = end.clamp(from, input.len() as i64);
            let skip = (from - first).min(taps as i64) as usize;
            let window = &input[from as usize..to as usize];
            *sample = self.bank.convolve(remainder, skip, window) as f32;
        }
    }
}

fn copy_shifted(offset: i64, input: &[f32], out: &mut [f32]) {
    for (at, sample) in (offset..).zip(out.iter_mut()) {
        let found = usize::try_from(at).ok().and_then(|at| input.get(at));
        *sample = found.copied().unwrap_or(0.0);
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests;
