//! What follows from a project.
//!
//! Everything here is derived: it can be thrown away and made again from a
//! revision of the store. Nothing here writes to a project, reads a clock or
//! opens a file.

pub mod source;
pub mod stored;

pub mod score;

pub mod routing;

pub mod cohort;

pub mod ambient;
pub mod availability;

pub mod chain;

pub mod graph;

pub mod content;
pub mod timeline;

pub mod render;

pub mod view;

pub mod memo;
mod pieces;

pub mod host;
