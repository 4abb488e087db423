//! Three-way merge.

pub mod record;
