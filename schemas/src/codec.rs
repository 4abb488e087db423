//! Bytes to messages and back.
//!
//! frame body → document (`Value`) → envelope → typed command. The first two
//! steps are here; typing is `command::decode`, so that an envelope of an
//! unknown domain can still be answered.

pub mod document;
pub mod path;
pub mod value;

pub use document::{DocumentError, Encoding, WriteError};
pub use value::{Fault, Typed, ValueError, from_value};

use crate::{
    envelope::{Envelope, EnvelopeError},
    error::{ErrorBody, ErrorCode},
    frame::{self, FrameError},
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Reads the body of one frame.
pub fn decode(encoding: Encoding, body: &[u8]) -> Result<Envelope, EnvelopeError> {
    let document = document::read(encoding, body)
        .map_err(|error| EnvelopeError { id: None, body: malformed(&error) })?;
    Envelope::from_value(document)
}

/// Reads the body of one frame in whichever encoding it has, for the first
/// message of a connection.
pub fn decode_any(body: &[u8]) -> Result<(Encoding, Envelope), EnvelopeError> {
    let Some(encoding) = Encoding::sniff(body) else {
        let first = body.first().copied().unwrap_or_default();
        let body = malformed(&DocumentError::Unrecognised { first });
        return Err(EnvelopeError { id: None, body });
    };
    decode(encoding, body).map(|envelope| (encoding, envelope))
}

/// Appends the body of one frame.
pub fn encode(
    encoding: Encoding,
    envelope: &Envelope,
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    document::write(encoding, envelope, out)
}

/// Appends one whole frame, length included.
pub fn encode_frame(
    encoding: Encoding,
    envelope: &Envelope,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    frame::write_with(limit, out, |out| Ok(encode(encoding, envelope, out)?))
}

fn malformed(error: &DocumentError) -> ErrorBody {
    match error {
        DocumentError::Value(value) => {
            let code = match value.fault {
                Fault::NotFinite => ErrorCode::PayloadNotFinite,
                _ => ErrorCode::EnvelopeMalformed,
            };
            ErrorBody::new(code, value.to_string()).with("path", value.path.clone())
        }
        other => ErrorBody::new(ErrorCode::EnvelopeMalformed, other.to_string()),
    }
}
