//! The identity of audio: a hash over what is heard.
//!
//! It covers rate, channels, sample kind and every decoded sample, but not the
//! container, so that a WAV and the FLAC made from it are one item. What a lossy
//! codec decodes to depends on the decoder, whose version is therefore part of
//! the identity there; lossless PCM has one correct decoding.

use pulse_schemas::hash::Hash;

use super::{Info, SampleKind};

/// Changes when any lossy decoder's output may have changed.
pub const DECODER_VERSION: &str = "symphonia-0.6.1";

const DOMAIN: &[u8] = b"pulse.content.1";

pub struct ContentHasher {
    hasher: blake3::Hasher,
    bytes: Vec<u8>,
}

impl ContentHasher {
    pub fn new(info: &Info) -> ContentHasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN);
        hasher.update(&info.rate.to_le_bytes());
        hasher.update(&(info.channels as u32).to_le_bytes());
        match info.samples {
            SampleKind::Integer { bits } => hasher.update(&[0, bits]),
            SampleKind::Float { bits } => hasher.update(&[1, bits]),
            SampleKind::Lossy => hasher
                .update(&[2, info.codec.len() as u8])
                .update(info.codec.as_bytes())
                .update(&[DECODER_VERSION.len() as u8])
                .update(DECODER_VERSION.as_bytes()),
        };
        ContentHasher { hasher, bytes: Vec::new() }
    }

    /// Frame by frame, so that the id doesn't depend on how reads were cut.
    pub fn update(&mut self, planes: &[&[f32]]) {
        self.bytes.clear();
        for frame in 0..planes.first().map_or(0, |plane| plane.len()) {
            for plane in planes {
                self.bytes.extend_from_slice(&plane[frame].to_le_bytes());
            }
        }
        self.hasher.update(&self.bytes);
    }

    pub fn finish(self) -> Hash {
        self.hasher.finalize().into()
    }
}
