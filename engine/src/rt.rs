//! Sound while it is made: what lies between a running [`crate::exec::Executor`]
//! and a device that asks for the next frames.
//!
//! One side is the audio thread, which owns a [`callback::Callback`] and nothing
//! else: it never allocates, frees, locks, waits or logs. The other side is
//! [`engine::Engine`], which does all of that. Between them lie rings of fixed
//! size: parcels (plans, content, songs) one way and what they replace back,
//! messages one way, snapshots of what sounded back.

pub mod course;
pub mod song;
pub mod transport;
mod wake;

pub mod events;
pub mod inlet;
pub mod params;

pub mod handoff;
pub mod retire;

pub mod callback;
pub mod feedback;
pub mod log;
pub mod metronome;
pub mod outlet;
pub mod quiet;
pub mod scope;

pub mod engine;

pub use engine::{Config, Engine, EngineError, ManualClock, NodeCost};
pub use feedback::{Feedback, Level};
pub use song::Song;
pub use transport::Mode;

#[cfg(test)]
mod tests;
