//! Audio files, written as a stream into a handed-in sink.
//!
//! Memory doesn't depend on the length. Headers are patched at the end and at
//! every `checkpoint`, so a recording that is cut off by a crash is readable up
//! to the last one. The writers are our own where the format is trivial (WAV)
//! and a crate's frame encoder where it isn't (FLAC).

use std::io::{self, Seek, Write};

use crate::dither::Dither;

mod flac;
mod wav;

pub use wav::{RF64_FROM, WavWriter};

/// What files are written into. Blanket: every seekable writer is one.
pub trait Sink: Write + Seek + Send {}

impl<S: Write + Seek + Send> Sink for S {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Wav,
    Flac,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Int16,
    Int24,
    Float32,
}

impl Depth {
    pub fn bits(self) -> u16 {
        match self {
            Depth::Int16 => 16,
            Depth::Int24 => 24,
            Depth::Float32 => 32,
        }
    }

    pub fn bytes(self) -> u16 {
        self.bits() / 8
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSpec {
    pub kind: FileKind,
    pub depth: Depth,
    pub rate: u32,
    pub channels: usize,
    /// Applies to integer depths; floats are written as they are.
    pub dither: Dither,
    pub dither_seed: u64,
}

impl FileSpec {
    /// With dither and seed 0, as a render has it.
    pub fn new(kind: FileKind, depth: Depth, rate: u32, channels: usize) -> FileSpec {
        FileSpec { kind, depth, rate, channels, dither: Dither::Triangular, dither_seed: 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("the disk is full after {frames} frames; free some space or choose another drive")]
    DiskFull { frames: u64 },
    #[error("writing failed after {frames} frames ({kind}: {reason}); check the drive")]
    Io { frames: u64, kind: io::ErrorKind, reason: String },
    #[error("{format} cannot hold {channels} channels; use 1 to {limit}")]
    ChannelCount { format: &'static str, channels: usize, limit: usize },
    #[error("{format} cannot hold a rate of {rate} Hz; use up to {limit} Hz")]
    Rate { format: &'static str, rate: u32, limit: u32 },
    #[error("FLAC has no floating-point samples; choose 16 or 24 bits")]
    FloatInFlac,
    #[error("{found} planes were passed for {expected} channels")]
    Planes { expected: usize, found: usize },
    #[error("plane {plane} has {found} frames where plane 0 has {expected}")]
    Ragged { plane: usize, expected: usize, found: usize },
    #[error("the encoder refused a block at frame {frames} ({reason}); write WAV instead")]
    Encoder { frames: u64, reason: String },
}

impl WriteError {
    fn io(frames: u64, error: &io::Error) -> WriteError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                WriteError::DiskFull { frames }
            }
            kind => WriteError::Io { frames, kind, reason: error.to_string() },
        }
    }
}

/// What a finished file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    pub frames: u64,
    pub bytes: u64,
    /// Samples beyond full scale that an integer format cut off.
    pub clipped_samples: u64,
    /// NaN and infinite samples that were written as 0.
    pub replaced_samples: u64,
}

pub trait AudioWriter: Send {
    /// Appends frames: one slice per channel, all of one length.
    fn write(&mut self, planes: &[&[f32]]) -> Result<(), WriteError>;
    /// Makes what was written so far a complete file.
    fn checkpoint(&mut self) -> Result<(), WriteError>;
    fn frames(&self) -> u64;
    /// Completes the file and flushes the sink (syncing it is the caller's).
    fn finish(self: Box<Self>) -> Result<Written, WriteError>;
}

pub fn create(sink: Box<dyn Sink>, spec: FileSpec) -> Result<Box<dyn AudioWriter>, WriteError> {
    match spec.kind {
        FileKind::Wav => Ok(Box::new(WavWriter::new(sink, spec, RF64_FROM)?)),
        FileKind::Flac => Ok(Box::new(flac::FlacWriter::new(sink, spec)?)),
    }
}

fn check_planes(planes: &[&[f32]], channels: usize) -> Result<usize, WriteError> {
    if planes.len() != channels {
        return Err(WriteError::Planes { expected: channels, found: planes.len() });
    }
    let expected = planes.first().map_or(0, |plane| plane.len());
    for (plane, data) in planes.iter().enumerate() {
        if data.len() != expected {
            return Err(WriteError::Ragged { plane, expected, found: data.len() });
        }
    }
    Ok(expected)
}

#[cfg(test)]
mod tests;
