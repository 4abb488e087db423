//! What each node costs, while somebody wants to know.
//!
//! Off unless it was asked for, because it looks at the clock twice per node.
//! Cells are atomics that the audio threads add to and anybody may read; a plan
//! has its own, so that nothing is resized while sound runs.

#![allow(clippy::disallowed_methods, reason = "cost is time; it never reaches audio")]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

#[derive(Default)]
struct Cell {
    nanos: AtomicU64,
    worst: AtomicU64,
    blocks: AtomicU64,
}

/// The cost of the nodes of one plan since it began to play.
pub struct Profile {
    cells: Box<[Cell]>,
    /// Frames that were played meanwhile.
    frames: AtomicU64,
}

/// What one node has cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    pub nanos: u64,
    /// Of a single call.
    pub worst: u64,
    pub blocks: u64,
}

impl Profile {
    pub fn new(nodes: usize) -> Profile {
        let cells = (0..nodes).map(|_| Cell::default()).collect();
        Profile { cells, frames: AtomicU64::new(0) }
    }

    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    pub fn cost(&self, node: usize) -> Cost {
        let Some(cell) = self.cells.get(node) else { return Cost::default() };
        Cost {
            nanos: cell.nanos.load(Ordering::Relaxed),
            worst: cell.worst.load(Ordering::Relaxed),
            blocks: cell.blocks.load(Ordering::Relaxed),
        }
    }

    /// Real-time safe, as all below.
    pub(crate) fn played(&self, frames: usize) {
        self.frames.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// One call of a node; a loop calls its nodes several times in a block.
    pub(crate) fn note(&self, node: usize, nanos: u64, begins_block: bool) {
        let Some(cell) = self.cells.get(node) else { return };
        cell.nanos.fetch_add(nanos, Ordering::Relaxed);
        cell.worst.fetch_max(nanos, Ordering::Relaxed);
        cell.blocks.fetch_add(u64::from(begins_block), Ordering::Relaxed);
    }
}

/// Runs `work` and gives its time to `take`, where a profile is kept.
#[inline]
pub(crate) fn timed<R>(
    profile: Option<&Profile>,
    work: impl FnOnce() -> R,
    take: impl FnOnce(&Profile, u64),
) -> R {
    let Some(profile) = profile else { return work() };
    let began = Instant::now();
    let result = work();
    take(profile, u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    result
}
