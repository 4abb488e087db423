//! Who may do what, when: the session, its one writer thread, and the ways to
//! reach it.

pub mod session;

pub mod commands;

pub mod command_log;
pub mod replay;

pub mod renders;

pub mod rendering;
pub mod scratch;

pub mod model;

pub mod cli;

pub mod engine_news;
pub mod host;

pub mod subscriptions;

pub mod serve;

pub mod ipc;

pub mod live;
pub mod log;
pub mod playback;
pub mod transport;

mod changed;
pub mod clock;
pub mod config;
pub mod meters;
pub mod metrics;
mod places;
mod recent;
mod refusal;
mod song;
pub mod templates;
mod warnings;
