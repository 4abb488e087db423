//! How programs speak to Pulse.
//!
//! Two clients over one set of types: [`blocking`] for tools and scripts,
//! [`asynchronous`] for programs that do other things meanwhile. Both speak
//! MessagePack unless told otherwise and keep events apart from answers, so
//! that a call never swallows an event.

pub mod blocking;

pub mod asynchronous;

use pulse_schemas::{
    codec::Encoding,
    command::client::{Capabilities, Hello},
    envelope::{Envelope, EnvelopeError, Kind},
    error::ErrorBody,
    frame::{FrameError, stream::StreamFrame},
};

/// What a client tells about itself.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The program.
    pub client_id: String,
    /// This run of it: commands sent again under the same instance are
    /// answered, not done again.
    pub instance_id: String,
    pub author: Option<String>,
    pub encoding: Encoding,
    /// Required over TCP.
    pub token: Option<String>,
    pub streams: bool,
    pub heartbeat: bool,
}

impl Introduction {
    pub fn new(client_id: impl Into<String>, instance_id: impl Into<String>) -> Introduction {
        Introduction {
            client_id: client_id.into(),
            instance_id: instance_id.into(),
            author: None,
            encoding: Encoding::MessagePack,
            token: None,
            streams: false,
            heartbeat: false,
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            client_id: self.client_id.clone(),
            instance_id: self.instance_id.clone(),
            name: Some(self.client_id.clone()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            protocols: vec![1],
            encoding: Some(self.encoding),
            author: self.author.clone(),
            capabilities: Capabilities {
                streams: self.streams,
                deltas: true,
                heartbeat: self.heartbeat,
            },
            token: self.token.clone(),
        }
    }
}

/// Why a call has no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Pulse says no; the code says why, the hint what to do.
    #[error("{0}")]
    Refused(ErrorBody),
    #[error("the connection to Pulse failed: {0}; is it still running?")]
    Io(#[from] std::io::Error),
    #[error("Pulse closed the connection{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Closed { why: Option<ErrorBody> },
    #[error("Pulse sent what this client can't read: {0}; use client and server of one release")]
    Unreadable(String),
    #[error("no answer came in time")]
    TimedOut,
}

impl From<FrameError> for CallError {
    fn from(error: FrameError) -> CallError {
        CallError::Unreadable(error.to_string())
    }
}

impl From<EnvelopeError> for CallError {
    fn from(error: EnvelopeError) -> CallError {
        CallError::Unreadable(error.to_string())
    }
}

impl From<serde_json::Error> for CallError {
    fn from(error: serde_json::Error) -> CallError {
        CallError::Unreadable(error.to_string())
    }
}

/// What arrives without being asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    Event(Box<Envelope>),
    Stream(StreamFrame),
}

/// The answer in an envelope.
fn outcome(envelope: Envelope) -> Result<serde_json::Value, CallError> {
    match (envelope.kind, envelope.error) {
        (Kind::Error, Some(error)) => Err(CallError::Refused(error)),
        (Kind::Error, None) => Err(CallError::Unreadable("an error without a reason".into())),
        _ => Ok(envelope.payload),
    }
}

/// Ids of the commands of one connection. A program that comes back under its
/// old instance starts to count again; what it sends then must not be taken for
/// what it sent before, so every connection has a prefix of its own.
struct Ids {
    prefix: String,
    next: std::sync::atomic::AtomicU64,
}

impl Ids {
    fn new() -> Ids {
        use std::hash::{BuildHasher, RandomState};
        let prefix = format!("{:x}", RandomState::new().hash_one(std::process::id()));
        Ids { prefix, next: std::sync::atomic::AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("{}-{number}", self.prefix)
    }
}

/// Largest message that a client takes.
const LIMIT: usize = 1 << 30;
