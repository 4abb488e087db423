//! What renders have left of the parts that are rendered ahead.
//!
//! A shelf knows segments: the sound of a unit for some seconds of the song, and
//! the state that it begins in. Where a unit comes to the edge of a segment in that
//! very state, and everything it hears goes its way undisturbed, the sound of the
//! segment is what it would compute, bit for bit, so it may be taken instead. To
//! make states meet, units round theirs at the edges of segments as renders do,
//! whether anything lies on the shelf or not.

use std::{collections::BTreeSet, sync::Arc};

use pulse_schemas::{
    graph::{GraphSpec, NodeKey},
    hash::Hash,
};

use crate::{
    material::{Material, Slices},
    plan::Plan,
    render::{Points, points::EVERY},
};

/// What plays from now on, as far as it is rendered ahead.
pub struct News<'a> {
    pub plan: &'a Arc<Plan>,
    pub spec: &'a Arc<GraphSpec>,
    pub material: &'a Arc<Material>,
    /// Content of all nodes, and those whose content is another; none for all.
    pub slices: &'a Slices,
    pub changed: Option<&'a BTreeSet<NodeKey>>,
}

/// Somebody will stand at the beginning of a segment soon.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Want {
    /// The first node of the unit.
    pub unit: NodeKey,
    pub number: i64,
    /// Whether its sound is wanted, too; else only how it begins.
    pub sound: bool,
}

/// What is known of a segment.
#[derive(Clone)]
pub struct Shelved {
    /// The change up to which it holds.
    pub revision: u64,
    /// Of the unit's state before it.
    pub state: Hash,
    /// Of the state behind it.
    pub after: Hash,
    pub sound: Option<Arc<ShelvedSound>>,
}

/// A segment that need not be computed.
pub struct ShelvedSound {
    /// By outlet; none is silence.
    pub outlets: Vec<Option<Arc<[Vec<f32>; 2]>>>,
    /// States within the segment, to go on from.
    pub points: Points,
}

impl ShelvedSound {
    /// Whether it is a segment of so many frames of a unit with so many outlets.
    pub fn fits(&self, outlets: usize, frames: u64) -> bool {
        let long =
            |sound: &Arc<[Vec<f32>; 2]>| sound.iter().all(|side| side.len() as u64 == frames);
        self.outlets.len() == outlets
            && self.outlets.iter().flatten().all(long)
            && self.points.len() as u64 == frames.saturating_sub(1) / EVERY
    }
}

/// Where segments are found. Units are named by their first node.
pub trait Shelf: Send + Sync {
    /// Frames of a segment of a unit: by graph and content alone.
    fn frames(&self, plan: &Plan, unit: usize, slices: &Slices) -> u64;

    /// Told of every change in its order, after the units; without news the song
    /// has another time.
    fn follow(&self, revision: u64, news: Option<News<'_>>);

    fn want(&self, want: Want);

    /// Never waits for a disk.
    fn find(&self, unit: NodeKey, number: i64) -> Option<Shelved>;

    /// Nanoseconds that a frame has to cost so that taking it pays.
    fn pays_from(&self) -> f64;
}
