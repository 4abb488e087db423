//! Signal kernels shared by the nodes: plain structs that know samples and coefficients, but
//! neither ports nor parameters. They exist apart from the nodes so that a kernel can be measured
//! against a closed form without an executor around it.
//!
//! Invariants: state and coefficients are `f64`, only `+ - * / sqrt` and this crate's own or
//! `libm`'s transcendentals are used, nothing is fused, sums have a fixed order. A kernel gives the
//! same bits however its input is cut into slices.

pub mod adsr;
pub mod biquad;
pub mod decibel;
pub mod delay_line;
pub mod drive;
pub mod envelope_follower;
pub mod fade;
pub mod fdn;
pub mod fixed_delay;
pub mod halfband;
pub mod interpolate;
pub mod lfo;
pub mod longest_tail;
pub mod loudness;
pub mod oscillator;
pub mod oversample;
pub mod settle;
pub mod sliding;
pub mod smooth;
pub mod svf;
pub mod truepeak;
