use std::io;

use super::{MAX_CHANNELS, MAX_RATE, MIN_RATE};

/// Why a file cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error(
        "this is no audio file we know; convert it to WAV, AIFF, FLAC, MP3, Ogg Vorbis or AAC/M4A"
    )]
    UnknownFormat,
    #[error("the file holds {codec} audio, which we cannot decode; convert it to WAV or FLAC")]
    UnsupportedCodec { codec: String },
    #[error("the file has no audio track; choose another file")]
    NoAudio,
    #[error("the file holds no audio frames; record or export it again")]
    Empty,
    #[error(
        "a sample rate of {rate} Hz is outside {MIN_RATE} to {MAX_RATE} Hz; the header is \
         probably damaged"
    )]
    Rate { rate: u32 },
    #[error("{channels} channels are outside 1 to {MAX_CHANNELS}; split the file")]
    Channels { channels: usize },
    #[error("the file is damaged ({reason}); try a repair or another copy")]
    Damaged { reason: String },
    #[error("the file cannot be read ({kind}: {reason}); check the drive and its permissions")]
    Io { kind: io::ErrorKind, reason: String },
}

/// Why reading on is impossible. Damage inside a file is no error: it ends the
/// readable part and shows in `Findings`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("reading failed at frame {frame} ({kind}: {reason}); check the drive, then try again")]
    Io { frame: u64, kind: io::ErrorKind, reason: String },
    #[error("cannot go to frame {frame} ({reason}); try another copy of the file")]
    Seek { frame: u64, reason: String },
    #[error("{found} planes were passed for {expected} channels")]
    Channels { expected: usize, found: usize },
    #[error("decoded audio needs {needed} bytes, the limit is {limit}; stream it instead")]
    TooLarge { needed: u64, limit: u64 },
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                OpenError::Damaged { reason: "the header is cut off".into() }
            }
            kind => OpenError::Io { kind, reason: error.to_string() },
        }
    }
}

impl DecodeError {
    pub(super) fn io(frame: u64, error: &io::Error) -> DecodeError {
        DecodeError::Io { frame, kind: error.kind(), reason: error.to_string() }
    }
}
