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
    /// `ramps[lane * params + param]`.
    pub(crate) ramps: &'a [Ramp],
    pub(crate) params: usize,
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
        self.ramps[lane * self.params + index].end
    }

    /// See [`crate::node::Io::param_ramp`].
    pub fn param_ramp(&self, lane: usize, index: usize) -> Ramp {
        self.ramps[lane * self.params + index]
    }

    pub fn params_changed(&self, lane: usize) -> bool {
        self.params_changed[lane]
    }

    /// A ramp of every lane at frame `i`.
    #[inline(always)]
    pub fn ramp_at(&self, index: usize, i: usize) -> Lanes {
        let mut out = Lanes::default();
        for lane in 0..LANES {
            out.0[lane] = self.ramps[lane * self.params + index].at(i);
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
