//! Eight 32-bit words that are worked on together.
//!
//! The compiler does not find the vectors in arrays of this much code by itself. What every
//! x86-64 has is taken by name; elsewhere it is arrays.

/// Words in one [`Lanes`].
pub const LANES: usize = 8;

#[cfg(target_arch = "x86_64")]
mod words {
    use std::arch::x86_64::*;

    pub type Words = [__m128i; 2];

    pub fn from([a, b, c, d, e, f, g, h]: [u32; 8]) -> Words {
        // SAFETY: SSE2 is a part of x86-64, and nothing here touches memory.
        let four = |a: u32, b: u32, c: u32, d: u32| unsafe {
            _mm_set_epi32(d as i32, c as i32, b as i32, a as i32)
        };
        [four(a, b, c, d), four(e, f, g, h)]
    }

    pub fn to(words: Words) -> [u32; 8] {
        let four = |half: __m128i| {
            // SAFETY: as above.
            let (low, high) = unsafe {
                (_mm_cvtsi128_si64(half), _mm_cvtsi128_si64(_mm_unpackhi_epi64(half, half)))
            };
            [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
        };
        let [[a, b, c, d], [e, f, g, h]] = words.map(four);
        [a, b, c, d, e, f, g, h]
    }

    #[inline(always)]
    pub fn add(a: Words, b: Words) -> Words {
        // SAFETY: as above.
        unsafe { [_mm_add_epi32(a[0], b[0]), _mm_add_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    pub fn xor(a: Words, b: Words) -> Words {
        // SAFETY: as above.
        unsafe { [_mm_xor_si128(a[0], b[0]), _mm_xor_si128(a[1], b[1])] }
    }

    /// To the right by `R`, which is 32 less `L`.
    #[inline(always)]
    pub fn rotate<const R: i32, const L: i32>(a: Words) -> Words {
        // SAFETY: as above.
        a.map(|half| unsafe { _mm_or_si128(_mm_srli_epi32::<R>(half), _mm_slli_epi32::<L>(half)) })
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod words {
    pub type Words = [u32; 8];

    pub fn from(words: [u32; 8]) -> Words {
        words
    }

    pub fn to(words: Words) -> [u32; 8] {
        words
    }

    #[inline(always)]
    pub fn add(a: Words, b: Words) -> Words {
        std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    pub fn xor(a: Words, b: Words) -> Words {
        std::array::from_fn(|lane| a[lane] ^ b[lane])
    }

    #[inline(always)]
    pub fn rotate<const R: i32, const L: i32>(a: Words) -> Words {
        a.map(|word| word.rotate_right(R as u32))
    }
}

#[derive(Clone, Copy)]
pub struct Lanes(words::Words);

impl Lanes {
    pub fn all(word: u32) -> Lanes {
        Lanes(words::from([word; LANES]))
    }

    pub fn each(all: [u32; LANES]) -> Lanes {
        Lanes(words::from(all))
    }

    pub fn to_array(self) -> [u32; LANES] {
        words::to(self.0)
    }

    #[inline(always)]
    pub fn plus(self, other: Lanes) -> Lanes {
        Lanes(words::add(self.0, other.0))
    }

    #[inline(always)]
    pub fn xor(self, other: Lanes) -> Lanes {
        Lanes(words::xor(self.0, other.0))
    }

    /// To the right by `R`, which is 32 less `L`.
    #[inline(always)]
    pub fn rotate<const R: i32, const L: i32>(self) -> Lanes {
        Lanes(words::rotate::<R, L>(self.0))
    }
}
