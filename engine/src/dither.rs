//! Dither: triangular noise of ±1 LSB, added before samples lose bits.
//!
//! It makes the rounding error's mean and power independent of the signal (the
//! least noise that does both). The noise is a pure function of (seed, channel,
//! frame): the same render gives the same file, a range of it the same bits, and
//! channels are independent of each other. No noise shaping: a file may be
//! processed again, where shaped noise no longer hides.

use crate::math::random_u64;

/// Whether bits that are cut off leave noise or distortion behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dither {
    /// Rounding only: lossless for samples that already have these bits.
    None,
    #[default]
    Triangular,
}

/// Turns f32 into integers of `bits`, counting what it had to change.
#[derive(Debug, Clone)]
pub struct Quantiser {
    scale: f64,
    dither: Dither,
    seed: u64,
    pub clipped: u64,
    pub replaced: u64,
}

impl Quantiser {
    pub fn new(bits: u32, dither: Dither, seed: u64) -> Quantiser {
        let scale = (1u64 << (bits.clamp(2, 32) - 1)) as f64;
        Quantiser { scale, dither, seed, clipped: 0, replaced: 0 }
    }

    /// `channel` and `frame` select the noise. NaN and infinity become 0.
    pub fn quantise(&mut self, sample: f32, channel: usize, frame: u64) -> i32 {
        if !sample.is_finite() {
            self.replaced += 1;
            return 0;
        }
        let noise = match self.dither {
            Dither::None => 0.0,
            Dither::Triangular => triangular(self.seed, channel, frame),
        };
        let level = (f64::from(sample) * self.scale + noise + 0.5).floor();
        let limited = level.clamp(-self.scale, self.scale - 1.0);
        // A full-scale sample that only noise pushes over is no clipping.
        let over = f64::from(sample) * self.scale;
        self.clipped += u64::from(over > self.scale || over < -self.scale);
        limited as i32
    }
}

/// The difference of two uniform numbers, in LSB: −1 to 1, triangular.
pub fn triangular(seed: u64, channel: usize, frame: u64) -> f64 {
    const UNIT: f64 = 1.0 / (1u64 << 32) as f64;
    let bits = random_u64(seed ^ random_u64(0x6469_7468_6572, channel as u64), frame);
    let (high, low) = ((bits >> 32) as f64, (bits & 0xFFFF_FFFF) as f64);
    (high - low) * UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_samples_pass_rounding_unchanged() {
        let mut plain = Quantiser::new(16, Dither::None, 0);
        for level in [-32_768i32, -12_345, -1, 0, 1, 77, 32_767] {
            assert_eq!(plain.quantise(level as f32 / 32_768.0, 0, 9), level);
        }
        assert_eq!((plain.clipped, plain.replaced), (0, 0));
    }

    #[test]
    fn what_is_changed_is_counted() {
        let mut plain = Quantiser::new(16, Dither::None, 0);
        assert_eq!(plain.quantise(1.5, 0, 0), 32_767);
        assert_eq!(plain.quantise(-1.5, 0, 1), -32_768);
        assert_eq!(plain.quantise(f32::NAN, 0, 2), 0);
        assert_eq!((plain.clipped, plain.replaced), (2, 1));
    }

    #[test]
    fn the_error_has_no_mean_and_a_constant_power() {
        // Triangular noise (1/6) and rounding (1/12) make 1/4 LSB² in all.
        for level in [0.0, 0.25, 0.5, 0.83] {
            let mut dithered = Quantiser::new(16, Dither::Triangular, 1);
            let sample = (1_000.0 + level) as f32 / 32_768.0;
            let (mut mean, mut power) = (0.0, 0.0);
            let count = 200_000;
            for frame in 0..count {
                let error =
                    f64::from(dithered.quantise(sample, 0, frame)) - f64::from(sample) * 32_768.0;
                mean += error / count as f64;
                power += error * error / count as f64;
            }
            assert!(mean.abs() < 0.005, "{level}: mean {mean}");
            assert!((power - 0.25).abs() < 0.005, "{level}: power {power}");
        }
    }

    #[test]
    fn channels_have_their_own_noise() {
        let product: f64 = (0..100_000).map(|n| triangular(7, 0, n) * triangular(7, 1, n)).sum();
        assert!((product / 100_000.0).abs() < 0.003);
        assert_eq!(triangular(7, 1, 5), triangular(7, 1, 5));
    }
}
