//! What a project sounds like: plan compiler, nodes, real-time runtime, offline render.

pub mod buffer;
pub mod resample;
