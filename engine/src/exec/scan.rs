//! Looking through samples: for silence and for what is not a number. Both run
//! over everything a node hears or says, so they are kernels.

// Fixed counts that the compiler unrolls.
#![allow(clippy::needless_range_loop)]

use crate::simd::{Kernel, LANES, LaneFrame, dispatch};

/// Offset of the first frame that is not silent.
pub(crate) fn first_sound(samples: &[f32]) -> Option<usize> {
    // In steps, so that the inner loop has no exit and can be vectorised.
    for (step, chunk) in samples.chunks(64).enumerate() {
        if chunk.iter().fold(0u32, |bits, sample| bits | sample.to_bits()) << 1 != 0 {
            return chunk.iter().position(|&sample| sample != 0.0).map(|at| step * 64 + at);
        }
    }
    None
}

/// Frames of silence at the end.
pub(crate) fn trailing_silence(samples: &[f32]) -> usize {
    samples.iter().rev().take_while(|&&sample| sample == 0.0).count()
}

struct Finite<'a> {
    samples: &'a [f32],
    finite: &'a mut bool,
}

impl Kernel for Finite<'_> {
    #[inline(always)]
    fn run(self) {
        // A number times zero is zero, anything else is not.
        let mut lanes = [0.0f32; 16];
        let chunks = self.samples.chunks_exact(16);
        let rest = chunks.remainder();
        for chunk in chunks {
            for lane in 0..16 {
                lanes[lane] += chunk[lane] * 0.0;
            }
        }
        let rest = rest.iter().fold(0.0f32, |sum, sample| sum + sample * 0.0);
        *self.finite = lanes.iter().fold(rest, |sum, lane| sum + lane) == 0.0;
    }
}

pub(crate) fn all_finite(samples: &[f32]) -> bool {
    let mut finite = true;
    dispatch(Finite { samples, finite: &mut finite });
    finite
}

struct FiniteLanes<'a> {
    frames: &'a [LaneFrame],
    finite: &'a mut [bool; LANES],
}

impl Kernel for FiniteLanes<'_> {
    #[inline(always)]
    fn run(self) {
        // Several frames in one row of sums: one addition doesn't wait for the last,
        // and a row is what vectors hold.
        const ROW: usize = 4 * LANES;
        let mut sums = [0.0f32; ROW];
        let (rows, rest) = self.frames.as_flattened().as_chunks::<ROW>();
        for row in rows {
            for at in 0..ROW {
                sums[at] += row[at] * 0.0;
            }
        }
        for (sum, sample) in sums.iter_mut().zip(rest) {
            *sum += sample * 0.0;
        }
        for lane in 0..LANES {
            self.finite[lane] &= sums.iter().skip(lane).step_by(LANES).all(|&sum| sum == 0.0);
        }
    }
}

/// Clears the flag of every lane that holds what is not a number.
pub(crate) fn finite_lanes(frames: &[LaneFrame], finite: &mut [bool; LANES]) {
    dispatch(FiniteLanes { frames, finite });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_found_anywhere() {
        for len in [1, 15, 16, 17, 100] {
            let mut samples = vec![1.0f32; len];
            assert!(all_finite(&samples));
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for at in 0..len {
                    samples[at] = bad;
                    assert!(!all_finite(&samples), "{bad} at {at} of {len}");
                    samples[at] = -2.0;
                }
            }
        }
    }

    #[test]
    fn silence_has_an_exact_end() {
        let mut samples = vec![0.0f32; 200];
        samples[3] = -0.0;
        assert_eq!(first_sound(&samples), None);
        samples[130] = 1e-30;
        assert_eq!(first_sound(&samples), Some(130));
        assert_eq!(trailing_silence(&samples), 69);
    }
}
