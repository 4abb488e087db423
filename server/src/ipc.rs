//! How programs reach the session: sockets, frames, queues.

pub mod connection;
pub mod hub;
pub mod limits;
pub mod listen;
pub mod log;
pub mod outbox;
