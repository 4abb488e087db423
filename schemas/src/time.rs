//! Time: two units of whole numbers, and the maps between them.
//!
//! Positions are never samples of a project rate: a project has no rate, a
//! render has one. Musical positions are [`Ticks`] and follow the tempo map;
//! absolute ones are [`Flicks`] and do not.

mod amount;

pub use amount::{Flicks, Moment, POSITION_LIMIT, Ticks, Timebase};
