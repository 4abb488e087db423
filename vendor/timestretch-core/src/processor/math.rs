//! Safe scalar equivalents of the numerical adapters. Immutable vector seeds
//! live in tables.rs; dynamic phase/trigonometry retain documented provider drift.
pub(super) fn magnitude(re: f32, im: f32) -> f32 {
    // The vector provider rounds the real square before fusing the imaginary
    // square. Reversing these operations changes low-energy selector decisions.
    im.mul_add(im, re * re).sqrt()
}
/// Selects the numerical provider for polar conversion, reciprocals, and sine/cosine.
/// Portable operations use scalar libm and fused arithmetic; immutable constructor
/// seeds are supplied separately.
pub(super) struct Math {
    #[cfg(all(feature = "accelerate", target_os = "macos"))]
    apple: bool,
}
impl Math {
    pub fn new(_numerics: crate::Numerics) -> Self {
        Self {
            #[cfg(all(feature = "accelerate", target_os = "macos"))]
            apple: _numerics.apple_math(),
        }
    }
    pub fn is_apple(&self) -> bool {
        #[cfg(all(feature = "accelerate", target_os = "macos"))]
        {
            self.apple
        }
        #[cfg(not(all(feature = "accelerate", target_os = "macos")))]
        {
            false
        }
    }
    pub fn polar(&self, packed: &mut [f32], phase: &mut [f32], mag: &mut [f32]) {
        #[cfg(all(feature = "accelerate", target_os = "macos"))]
        if self.apple {
            timestretch_accelerate::polar(packed, phase, mag);
            return;
        }
        let h = packed.len() / 2;
        for k in 0..h {
            let re = packed[k];
            let im = if k == 0 { 0. } else { packed[h + k] };
            phase[k] = libm::atan2f(im, re);
            mag[k] = magnitude(re, im);
        }
    }
    pub fn reciprocal(&self, denominator: &[f32], out: &mut [f32]) {
        #[cfg(all(feature = "accelerate", target_os = "macos"))]
        if self.apple {
            timestretch_accelerate::reciprocal(denominator, out);
            return;
        }
        for (&d, x) in denominator.iter().zip(out) {
            *x = 1. / d;
        }
    }
    pub fn sin_cos(&self, input: &[f32], sin: &mut [f32], cos: &mut [f32]) {
        #[cfg(all(feature = "accelerate", target_os = "macos"))]
        if self.apple {
            timestretch_accelerate::sin_cos(input, sin, cos);
            return;
        }
        for ((&x, s), c) in input.iter().zip(sin).zip(cos) {
            (*s, *c) = libm::sincosf(x);
        }
    }
}
