//! The vocabulary that every part of Pulse speaks.
//!
//! Plain data only: this crate performs no I/O, reads no clock and knows no
//! paths of the machine. What is written here is a file format, a wire format,
//! or both, so every change is a change of a contract.

pub mod codec;
pub mod command;
pub mod entity;
pub mod envelope;
pub mod error;
pub mod event;
pub mod frame;
pub mod r#gen;
pub mod graph;
pub mod hash;
pub mod id;
pub mod job;
pub mod order;
pub mod record;
pub mod time;
