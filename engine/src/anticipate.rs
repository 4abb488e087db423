//! What nobody plays by hand is rendered before it is heard.
//!
//! A graph is split: nodes that have to answer at once run on the audio thread,
//! all others in units that ordinary threads render some way ahead into rings.
//! Ahead and audio thread live through the same course of frames and acts, the
//! one earlier than the other. An act on what is ahead gets a frame a little in
//! the future, so that units which have passed it can go back and come by again
//! before it is heard; what it doesn't touch stays as it is. So the sound is that
//! of a plan which runs on the audio thread as a whole, bit for bit.

pub mod ring;
pub mod shelf;
pub mod source;

pub mod split;

pub(crate) mod field;
pub(crate) mod unit;

pub(crate) mod yard;

#[cfg(test)]
mod tests;

/// How far ahead, and who renders.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Anticipation {
    /// How far units are rendered before they are heard.
    pub look_ahead_ms: f64,
    /// How soon an act on what is rendered ahead is heard: the time that units
    /// have to come by again.
    pub lead_ms: f64,
    /// Threads that render; with none, everything falls behind.
    pub workers: usize,
}

impl Default for Anticipation {
    fn default() -> Anticipation {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // One is left for the audio thread.
        let workers = cores.saturating_sub(1).clamp(1, 16);
        Anticipation { look_ahead_ms: 200.0, lead_ms: 40.0, workers }
    }
}

/// How the part that is rendered ahead fares.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AheadStats {
    /// Parts that are rendered apart, and their nodes.
    pub units: usize,
    pub nodes: usize,
    /// Nodes that the audio thread runs.
    pub live_nodes: usize,
    /// How far the least and the mean of the units are ahead of what is heard.
    pub least_ahead_frames: u64,
    pub mean_ahead_frames: u64,
    /// How far they should be.
    pub look_ahead_frames: u64,
    /// Frames that were asked for and not there: silence was heard.
    pub underrun_frames: u64,
    /// Signals between units that had been overwritten before they were heard.
    pub lost_inputs: u64,
    /// Times that a unit fell behind and its nodes were given to the audio thread.
    pub fallen_behind: u64,
    /// Nodes that went over to the audio thread, and back.
    pub promotions: u64,
    pub demotions: u64,
    /// Times that a unit went back to come by again.
    pub rewinds: u64,
    pub rendered_frames: u64,
    /// Frames of units, of those, that were taken from what renders had made.
    pub taken_frames: u64,
    pub workers: usize,
    /// Part of the time that the mean worker was busy since the last look.
    pub worker_load: f64,
}
