//! What a project sounds like: plan compiler, nodes, real-time runtime, offline render.

pub mod analysis;
pub mod anticipate;
pub mod buffer;
pub mod decode;
pub mod device;
pub mod dither;
pub mod dsp;
pub mod event;
pub mod exec;
pub mod file;
pub mod loudness_report;
pub mod material;
pub mod math;
pub mod node;
pub mod nodes;
pub mod parallel;
pub mod param;
pub mod plan;
pub mod registry;
pub mod render;
pub mod resample;
#[cfg(test)]
pub mod rig;
pub mod rt;
pub mod simd;
pub mod state;
pub mod stretch;
#[cfg(test)]
pub mod testkit;
pub mod transport;

/// Tests of nodes end the process when a node allocates in `process`.
#[cfg(test)]
#[global_allocator]
static TRIPWIRE: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
