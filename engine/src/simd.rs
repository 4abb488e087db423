//! Eight nodes at once. Identical chains on many tracks run in lanes of one
//! vector instead of one after the other; a lane computes what the single node
//! would, operation by operation, so the bits are the same.
//!
//! Write a kernel once over [`Lane`], run it with `f64` in the node and with
//! [`Lanes`] in the [`LaneNode`], and hand it to [`dispatch`], which runs it with
//! the widest instructions of this machine. Rust never contracts `a * b + c`, so
//! the width changes the speed and nothing else.
#![allow(unsafe_code)]

use std::{
    ops::{Add, Div, Mul, Neg, Sub},
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{
    node::{MAX_CHANNELS, Setup, StateVisitor},
    param::Ramp,
};

/// Nodes in a batch.
pub const LANES: usize = 8;

/// Eight samples of one frame, one per lane.
pub type LaneFrame = [f32; LANES];

/// Arithmetic of one node or of eight.
pub trait Lane:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    fn splat(value: f64) -> Self;
    fn map(self, f: impl Fn(f64) -> f64) -> Self;
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self;

    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f64::sqrt)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f64::abs)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    /// See [`crate::math::flush`].
    #[inline(always)]
    fn flush(self) -> Self {
        self.map(crate::math::flush)
    }
}

impl Lane for f64 {
    #[inline(always)]
    fn splat(value: f64) -> f64 {
        value
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> f64 {
        f(self)
    }

    #[inline(always)]
    fn zip(self, other: f64, f: impl Fn(f64, f64) -> f64) -> f64 {
        f(self, other)
    }
}

/// One `f64` of each of eight nodes.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[repr(align(64))]
pub struct Lanes(pub [f64; LANES]);

impl Lanes {
    #[inline(always)]
    pub fn from_f32(frame: LaneFrame) -> Lanes {
        Lanes(frame.map(f64::from))
    }

    #[inline(always)]
    pub fn to_f32(self) -> LaneFrame {
        self.0.map(|value| value as f32)
    }
}

impl Lane for Lanes {
    #[inline(always)]
    fn splat(value: f64) -> Lanes {
        Lanes([value; LANES])
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Lanes {
        let mut out = self;
        for lane in 0..LANES {
            out.0[lane] = f(self.0[lane]);
        }
        out
    }

    #[inline(always)]
    fn zip(self, other: Lanes, f: impl Fn(f64, f64) -> f64) -> Lanes {
        let mut out = self;
        for lane in 0..LANES {
            out.0[lane] = f(self.0[lane], other.0[lane]);
        }
        out
    }
}

macro_rules! lane_operator {
    ($($trait:ident $method:ident $operator:tt;)*) => {$(
        impl $trait for Lanes {
            type Output = Lanes;

            #[inline(always)]
            fn $method(self, other: Lanes) -> Lanes {
                self.zip(other, |a, b| a $operator b)
            }
        }
    )*};
}

lane_operator! {
    Add add +;
    Sub sub -;
    Mul mul *;
    Div div /;
}

impl Neg for Lanes {
    type Output = Lanes;

    #[inline(always)]
    fn neg(self) -> Lanes {
        self.map(|value| -value)
    }
}

/// Eight nodes of one kind, layout and rate, in place. The nodes are effects with
/// one main input and output, no events and no latency; their tail follows from
/// the setup alone, because the single node is asked for it without having run.
pub trait LaneNode: Send {
    /// Off the audio thread. The same setup for every lane.
    fn prepare(&mut self, setup: &Setup);

    /// Always called on the real-time thread.
    fn process(&mut self, io: &mut LaneIo<'_>);

    /// The state of one lane: the very sequence of the single node's
    /// `visit_state`, because state moves between the two.
    fn visit_lane(&mut self, lane: usize, visitor: &mut dyn StateVisitor);

    /// As the single node's `reset`.
    fn reset_lane(&mut self, lane: usize);
}

/// What a [`LaneNode`] sees during one call.
pub struct LaneIo<'a> {
    pub(crate) frames: usize,
    pub(crate) frame: i64,
    pub(crate) channels: [&'a mut [LaneFrame]; MAX_CHANNELS],
    pub(crate) count: usize,
    /// Where each lane keeps its own: `ramps[lane][param]`.
    pub(crate) ramps: [&'a [Ramp]; LANES],
    pub(crate) params_changed: [bool; LANES],
}

impl LaneIo<'_> {
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// See [`crate::node::Io::frame`]: the same for every lane, or the nodes would
    /// not share a batch.
    pub fn frame(&self) -> i64 {
        self.frame
    }

    pub fn channels(&self) -> usize {
        self.count
    }

    /// One channel: on entry the input, on return the output. Lanes that are
    /// asleep or empty hold zeros and their output is ignored.
    pub fn channel(&mut self, channel: usize) -> &mut [LaneFrame] {
        &mut *self.channels[channel]
    }

    /// Both channels; the second is empty for mono.
    pub fn pair(&mut self) -> (&mut [LaneFrame], &mut [LaneFrame]) {
        let [left, right] = &mut self.channels;
        (&mut **left, &mut **right)
    }

    /// See [`crate::node::Io::param`].
    pub fn param(&self, lane: usize, index: usize) -> f64 {
        self.ramps[lane][index].end
    }

    /// See [`crate::node::Io::param_ramp`].
    pub fn param_ramp(&self, lane: usize, index: usize) -> Ramp {
        self.ramps[lane][index]
    }

    pub fn params_changed(&self, lane: usize) -> bool {
        self.params_changed[lane]
    }

    /// A ramp of every lane at frame `i`.
    #[inline(always)]
    pub fn ramp_at(&self, index: usize, i: usize) -> Lanes {
        let mut out = Lanes::default();
        for lane in 0..LANES {
            out.0[lane] = self.ramps[lane][index].at(i);
        }
        out
    }
}

/// An inner loop to be compiled once per instruction set. `run` and all that it
/// calls must be `#[inline(always)]`, or it stays at the baseline.
pub trait Kernel {
    fn run(self);
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Isa {
    Sse2 = 1,
    Avx2 = 2,
    Avx512 = 3,
}

/// 0 is "not looked yet".
static CHOSEN: AtomicU8 = AtomicU8::new(0);

impl Isa {
    /// What this machine can do.
    pub fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512vl")
                && std::arch::is_x86_feature_detected!("avx512dq")
                && std::arch::is_x86_feature_detected!("avx512bw");
            if avx512 {
                return Isa::Avx512;
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                return Isa::Avx2;
            }
        }
        Isa::Sse2
    }

    /// What kernels run with: the machine's best, unless [`Isa::limit`] said less.
    pub fn current() -> Isa {
        match CHOSEN.load(Ordering::Relaxed) {
            1 => Isa::Sse2,
            2 => Isa::Avx2,
            3 => Isa::Avx512,
            _ => {
                let isa = Isa::detect();
                CHOSEN.store(isa as u8, Ordering::Relaxed);
                isa
            }
        }
    }

    /// Runs kernels with at most this from now on: for tests and measurements,
    /// since the output doesn't depend on it. Never exceeds the machine.
    pub fn limit(isa: Isa) {
        CHOSEN.store(isa.min(Isa::detect()) as u8, Ordering::Relaxed);
    }
}

/// Runs a kernel with the widest instructions of this machine. Real-time safe.
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) {
    match Isa::current() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Isa` exceeds SSE2 only after these features were detected.
        Isa::Avx512 => unsafe { run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { run_avx2(kernel) },
        _ => kernel.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
fn run_avx512<K: Kernel>(kernel: K) {
    kernel.run();
}

/// Eight planes, each `stride` samples after the one before, into frames: `frames[i][lane]` is
/// sample `from + i` of plane `lane`. Moves samples and computes nothing.
pub(crate) fn interleave(planes: &[f32], stride: usize, from: usize, frames: &mut [LaneFrame]) {
    let rows: [&[f32]; LANES] =
        std::array::from_fn(|lane| &planes[lane * stride + from..][..frames.len()]);
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if Isa::current() >= Isa::Avx2 {
        // SAFETY: `Isa` exceeds SSE2 only after AVX2 was detected.
        done = unsafe { square::interleave(&rows, frames) };
    }
    for (lane, row) in rows.iter().enumerate() {
        for (frame, sample) in frames.iter_mut().zip(*row).skip(done) {
            frame[lane] = *sample;
        }
    }
}

/// Adds lanes `first..end` of each frame to its sum, one after the other in that order.
pub(crate) fn add_lanes(frames: &[LaneFrame], first: usize, end: usize, sums: &mut [f32]) {
    let lanes = first..end.min(LANES);
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if Isa::current() >= Isa::Avx2 {
        // SAFETY: as in `interleave`.
        done = unsafe { square::add_lanes(frames, lanes.clone(), sums) };
    }
    for (sum, frame) in sums.iter_mut().zip(frames).skip(done) {
        *sum = frame[lanes.clone()].iter().fold(*sum, |sum, sample| sum + sample);
    }
}

/// Eight frames of eight lanes at a time. The compiler finds no good way to turn such a square by
/// itself, so here are the instructions. Each function returns the frames it has done: all but the
/// last few.
#[cfg(target_arch = "x86_64")]
mod square {
    use std::{
        arch::x86_64::{
            __m256, _mm256_add_ps, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_shuffle_ps,
            _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
        },
        ops::Range,
    };

    use super::{LANES, LaneFrame};

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(from: &[f32; LANES]) -> __m256 {
        // SAFETY: the array is as long as the register.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(value: __m256, to: &mut [f32; LANES]) {
        // SAFETY: the array is as long as the register.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) }
    }

    /// `out[i]` holds element `i` of every row.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn turned(rows: [__m256; LANES]) -> [__m256; LANES] {
        let [a, b, c, d, e, f, g, h] = rows;
        let (ab0, ab1) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd0, cd1) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let (ef0, ef1) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
        let (gh0, gh1) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
        // 0x44 takes the low pairs of both, 0xEE the high ones.
        let top = [
            _mm256_shuffle_ps::<0x44>(ab0, cd0),
            _mm256_shuffle_ps::<0xEE>(ab0, cd0),
            _mm256_shuffle_ps::<0x44>(ab1, cd1),
            _mm256_shuffle_ps::<0xEE>(ab1, cd1),
        ];
        let bottom = [
            _mm256_shuffle_ps::<0x44>(ef0, gh0),
            _mm256_shuffle_ps::<0xEE>(ef0, gh0),
            _mm256_shuffle_ps::<0x44>(ef1, gh1),
            _mm256_shuffle_ps::<0xEE>(ef1, gh1),
        ];
        // 0x20 joins the low halves of both, 0x31 the high ones.
        [
            _mm256_permute2f128_ps::<0x20>(top[0], bottom[0]),
            _mm256_permute2f128_ps::<0x20>(top[1], bottom[1]),
            _mm256_permute2f128_ps::<0x20>(top[2], bottom[2]),
            _mm256_permute2f128_ps::<0x20>(top[3], bottom[3]),
            _mm256_permute2f128_ps::<0x31>(top[0], bottom[0]),
            _mm256_permute2f128_ps::<0x31>(top[1], bottom[1]),
            _mm256_permute2f128_ps::<0x31>(top[2], bottom[2]),
            _mm256_permute2f128_ps::<0x31>(top[3], bottom[3]),
        ]
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn interleave(rows: &[&[f32]; LANES], frames: &mut [LaneFrame]) -> usize {
        let (squares, _) = frames.as_chunks_mut::<LANES>();
        let rows = rows.map(|row| row.as_chunks::<LANES>().0);
        let rows = rows.map(|row| &row[..squares.len()]);
        for (at, square) in squares.iter_mut().enumerate() {
            let out = turned([
                load(&rows[0][at]),
                load(&rows[1][at]),
                load(&rows[2][at]),
                load(&rows[3][at]),
                load(&rows[4][at]),
                load(&rows[5][at]),
                load(&rows[6][at]),
                load(&rows[7][at]),
            ]);
            for i in 0..LANES {
                store(out[i], &mut square[i]);
            }
        }
        squares.len() * LANES
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn add_lanes(frames: &[LaneFrame], lanes: Range<usize>, sums: &mut [f32]) -> usize {
        let squares = frames.as_chunks::<LANES>().0;
        let sums = sums.as_chunks_mut::<LANES>().0;
        let done = squares.len().min(sums.len()) * LANES;
        for (square, sums) in squares.iter().zip(sums) {
            let rows = turned([
                load(&square[0]),
                load(&square[1]),
                load(&square[2]),
                load(&square[3]),
                load(&square[4]),
                load(&square[5]),
                load(&square[6]),
                load(&square[7]),
            ]);
            let mut sum = load(sums);
            for row in &rows[lanes.clone()] {
                sum = _mm256_add_ps(sum, *row);
            }
            store(sum, sums);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length and offset around a square, at every instruction set.
    #[test]
    fn samples_turn_into_frames_and_sums_as_one_by_one() {
        let stride = 40;
        let value = |at: usize| crate::math::random_bipolar(9, at as u64) as f32;
        let planes: Vec<f32> = (0..LANES * stride).map(value).collect();
        for isa in [Isa::Sse2, Isa::Avx2, Isa::Avx512] {
            Isa::limit(isa);
            for (from, len) in [(0, 40), (0, 8), (1, 7), (3, 17), (5, 31), (39, 1), (7, 0)] {
                let mut frames = vec![[f32::NAN; LANES]; len];
                interleave(&planes, stride, from, &mut frames);
                for (i, frame) in frames.iter().enumerate() {
                    let want: LaneFrame = std::array::from_fn(|l| planes[l * stride + from + i]);
                    assert_eq!(*frame, want, "{isa:?}, frame {i} of {len} from {from}");
                }
                for (first, end) in [(0, 8), (1, 8), (0, 3), (2, 7), (4, 4)] {
                    let mut sums: Vec<f32> = (0..len).map(|i| value(1000 + i)).collect();
                    let want: Vec<u32> = (sums.iter().zip(&frames))
                        .map(|(sum, frame)| frame[first..end].iter().fold(*sum, |a, b| a + b))
                        .map(f32::to_bits)
                        .collect();
                    add_lanes(&frames, first, end, &mut sums);
                    let found: Vec<u32> = sums.iter().map(|sum| sum.to_bits()).collect();
                    assert_eq!(found, want, "{isa:?}, lanes {first}..{end} of {len} frames");
                }
            }
        }
        Isa::limit(Isa::Avx512);
    }
}
