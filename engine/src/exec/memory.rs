//! Buffers that several workers share without locks. Which worker may touch what
//! and when is decided by the plan and checked by `plan::verify`; this module is
//! where the compiler has to take that on trust.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;

use crate::{
    plan::Slot,
    simd::{LANES, LaneFrame, interleave},
};

/// Things of which each is used by one worker at a time, as the plan orders them.
pub(crate) struct Cells<T>(Vec<UnsafeCell<T>>);

// SAFETY: access goes through the unsafe methods below, whose callers hold the
// plan's promise that no two workers use one element at the same time.
unsafe impl<T: Send> Sync for Cells<T> {}

impl<T> Cells<T> {
    pub fn new(items: impl IntoIterator<Item = T>) -> Cells<T> {
        Cells(items.into_iter().map(UnsafeCell::new).collect())
    }

    pub fn all(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(UnsafeCell::get_mut)
    }

    pub fn one(&mut self, index: usize) -> &mut T {
        self.0[index].get_mut()
    }

    /// # Safety
    /// No other reference to this element is alive.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn get(&self, index: usize) -> &mut T {
        // SAFETY: promised by the caller.
        unsafe { &mut *self.0[index].get() }
    }

    /// # Safety
    /// No mutable reference to this element is alive.
    pub unsafe fn peek(&self, index: usize) -> &T {
        // SAFETY: promised by the caller.
        unsafe { &*self.0[index].get() }
    }
}

/// Stereo buffers and lane blocks in one piece each.
pub(crate) struct Arena {
    samples: Cells<Vec<f32>>,
    blocks: Cells<Vec<LaneFrame>>,
    /// What is on its way into the blocks, lane after lane: copying a plane is cheap, and one
    /// pass turns all of them into frames.
    planes: Cells<Vec<f32>>,
    max_block: usize,
}

impl Arena {
    pub fn new(slots: usize, blocks: usize, max_block: usize) -> Arena {
        Arena {
            samples: Cells::new((0..slots * 2).map(|_| vec![0.0; max_block])),
            blocks: Cells::new((0..blocks * 2).map(|_| vec![[0.0; LANES]; max_block])),
            planes: Cells::new((0..blocks * 2).map(|_| vec![0.0; max_block * LANES])),
            max_block,
        }
    }
}

/// What one worker sees: its own buffers and those of all.
#[derive(Clone, Copy)]
pub(crate) struct Buffers<'a> {
    pub local: &'a Arena,
    pub shared: &'a Arena,
}

impl<'a> Buffers<'a> {
    fn arena(&self, slot: Slot) -> &'a Arena {
        if slot.is_shared() { self.shared } else { self.local }
    }

    /// # Safety
    /// Nothing writes this range of the slot while the result is alive.
    pub unsafe fn read(&self, slot: Slot, channel: usize, at: usize, frames: usize) -> &'a [f32] {
        // SAFETY: promised by the caller.
        let samples = unsafe { self.arena(slot).samples.peek(slot.index() * 2 + channel) };
        &samples[at..at + frames]
    }

    /// # Safety
    /// Nothing else uses the slot's channel while the result is alive.
    pub unsafe fn write(
        &self,
        slot: Slot,
        channel: usize,
        at: usize,
        frames: usize,
    ) -> &'a mut [f32] {
        // SAFETY: promised by the caller.
        let samples = unsafe { self.arena(slot).samples.get(slot.index() * 2 + channel) };
        &mut samples[at..at + frames]
    }

    /// # Safety
    /// Nothing else uses the block's channel while the result is alive.
    pub unsafe fn block(
        &self,
        block: Slot,
        channel: usize,
        at: usize,
        frames: usize,
    ) -> &'a mut [LaneFrame] {
        // SAFETY: promised by the caller.
        let block = unsafe { self.arena(block).blocks.get(block.index() * 2 + channel) };
        &mut block[at..at + frames]
    }

    /// Where the samples of one lane wait until [`Buffers::turn`].
    ///
    /// # Safety
    /// Nothing else uses the block's channel while the result is alive.
    pub unsafe fn lane(
        &self,
        block: Slot,
        channel: usize,
        lane: usize,
        at: usize,
        frames: usize,
    ) -> &'a mut [f32] {
        let arena = self.arena(block);
        // SAFETY: promised by the caller.
        let planes = unsafe { arena.planes.get(block.index() * 2 + channel) };
        &mut planes[lane % LANES * arena.max_block + at..][..frames]
    }

    /// Fills a range of the block with what its lanes were given.
    ///
    /// # Safety
    /// Nothing else uses the block's channel meanwhile.
    pub unsafe fn turn(&self, block: Slot, channel: usize, at: usize, frames: usize) {
        let arena = self.arena(block);
        // SAFETY: promised by the caller.
        let planes = unsafe { arena.planes.peek(block.index() * 2 + channel) };
        // SAFETY: promised by the caller.
        let out = unsafe { self.block(block, channel, at, frames) };
        interleave(planes, arena.max_block, at, out);
    }
}
