//! The content of a clip as it was made from its media, in pieces that are kept
//! beyond one binding.
//!
//! A piece goes by the media, by where the content begins in them and by rate and
//! speed; by neither where the clip lies, nor how long it is, nor where it ends. So
//! a clip that is moved, cut, trimmed or looped finds its own, and so do its halves.
//! Only pieces that the clip shows are there.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
};

use pulse_schemas::{graph::PlacedClip, hash::Hash};

use super::plan::{CHUNK, Chunk, SCRATCH, resample};
use crate::{
    buffer::{AudioBuffer, AudioSource, ReadError},
    node::{
        Derived, Made,
        media::{Kept, cached, keep, read_range},
    },
    resample::Resampler,
};

/// Frames of a piece.
pub const PIECE: u64 = 1 << 16;

/// Channels that a read may ask for.
const CHANNELS: usize = 16;

/// What a piece was made of; its number says which.
#[derive(Clone, PartialEq)]
pub struct PieceKey {
    pub media: Hash,
    /// The source frame at which the content begins.
    pub start: u64,
    /// Of the media and of the content.
    pub rates: (u32, u32),
    pub speed: f64,
    pub made: Made,
}

impl PieceKey {
    fn hash(&self, number: u64) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("pulse clip pieces v1");
        hasher.update(&super::DESCRIPTOR.dsp_version.to_le_bytes());
        hasher.update(self.media.as_bytes());
        hasher.update(&[self.made as u8]);
        for whole in [self.start, self.rates.0.into(), self.rates.1.into(), PIECE, number] {
            hasher.update(&whole.to_le_bytes());
        }
        hasher.update(&self.speed.to_bits().to_le_bytes());
        hasher.finalize().into()
    }
}

static PIECES: Kept<(PieceKey, u64), AudioBuffer> = Mutex::new(Vec::new());

/// How a piece is made that nobody has.
pub trait Maker {
    fn make(&self, frames: Range<u64>) -> Option<AudioBuffer>;
}

/// Content at another rate or speed than its media.
pub struct Converter<'a> {
    pub source: &'a dyn AudioSource,
    pub start: u64,
    pub resampler: &'a Resampler,
    pub rate: u32,
}

impl Maker for Converter<'_> {
    /// As the player does while it plays, so that the bits are the same.
    fn make(&self, frames: Range<u64>) -> Option<AudioBuffer> {
        let length = usize::try_from(frames.end - frames.start).ok()?;
        let mut planes = [vec![0.0; length], vec![0.0; length]];
        let mut scratch = [vec![0.0; SCRATCH], vec![0.0; SCRATCH]];
        let mut done = 0;
        while done < length {
            let run = CHUNK.min(length - done);
            let mut chunk = Chunk { scratch: &mut scratch, may_wait: true, missing: 0 };
            let [left, right] = &mut planes;
            let out = [&mut left[done..done + run], &mut right[done..done + run]];
            let content = frames.start + done as u64;
            resample(&mut chunk, self.source, self.start, self.resampler, content, out);
            if chunk.missing > 0 {
                return None;
            }
            done += run;
        }
        let channels = self.source.channels().clamp(1, 2);
        AudioBuffer::from_channels(self.rate, &planes[..channels]).ok()
    }
}

/// Media as they are, from their first frame on.
pub struct Reading<'a>(pub &'a dyn AudioSource);

impl Maker for Reading<'_> {
    fn make(&self, frames: Range<u64>) -> Option<AudioBuffer> {
        let length = frames.end - frames.start;
        // What can't be read is not silence that anybody should keep.
        let mut first = [0.0; 1];
        let there = self.0.read_blocking(frames.end - 1, &mut [&mut first]).ok()?;
        (there == 1).then(|| read_range(self.0, frames.start, length)).flatten()
    }
}

/// Some pieces of content that is `frames` long.
pub struct Pieces {
    rate: u32,
    channels: usize,
    frames: u64,
    first: u64,
    pieces: Vec<Arc<AudioBuffer>>,
}

/// The pieces that hold `shown` of content that is `frames` long, found or made; none
/// where one can't be made.
pub fn pieces(
    key: &PieceKey,
    frames: u64,
    shown: Range<u64>,
    maker: &dyn Maker,
    derived: &dyn Derived,
) -> Option<Pieces> {
    let first = shown.start / PIECE;
    let mut pieces = Vec::new();
    for number in first..shown.end.div_ceil(PIECE) {
        let range = number * PIECE..((number + 1) * PIECE).min(frames);
        pieces.push(piece(key, number, range, maker, derived)?);
    }
    let channels = pieces.iter().map(|piece| piece.channels()).max().unwrap_or(1);
    Some(Pieces { rate: key.rates.1, channels, frames, first, pieces })
}

fn piece(
    key: &PieceKey,
    number: u64,
    range: Range<u64>,
    maker: &dyn Maker,
    derived: &dyn Derived,
) -> Option<Arc<AudioBuffer>> {
    let own = (key.clone(), number);
    if let Some(found) = cached(&PIECES, &own) {
        return Some(found);
    }
    let hash = key.hash(number);
    let length = range.end - range.start;
    let known = derived.get(&hash).filter(|audio| audio.frames() as u64 == length);
    let audio = match known {
        Some(audio) => Arc::new(audio),
        None if !derived.makes(key.made) => return None,
        None => {
            let made = Arc::new(maker.make(range)?);
            derived.put(key.made, &hash, &made);
            made
        }
    };
    keep(&PIECES, own, &audio);
    Some(audio)
}

/// The frames of its content that a clip shows at any time.
pub fn shown(spec: &PlacedClip, length: u64) -> Range<u64> {
    let end = spec.slip.saturating_add_unsigned(spec.frames).max(0) as u64;
    let mut range = spec.slip.max(0) as u64..end;
    if let Some(repeat) = spec.repeat.filter(|repeat| repeat.length > 0) {
        let over = repeat.start.saturating_add(repeat.length);
        if end > over {
            range = range.start.min(repeat.start)..over;
        }
    }
    let range = range.start.min(length)..range.end.min(length);
    if spec.reverse { length - range.end..length - range.start } else { range }
}

impl AudioSource for Pieces {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn frames(&self) -> u64 {
        self.frames
    }

    fn read(&self, start: u64, out: &mut [&mut [f32]]) -> usize {
        let wanted = out.iter().map(|plane| plane.len()).min().unwrap_or(0);
        let mut done = 0;
        while done < wanted {
            let at = start + done as u64;
            let piece = (at / PIECE).checked_sub(self.first);
            let Some(piece) = piece.and_then(|piece| self.pieces.get(piece as usize)) else {
                break;
            };
            let mut rest: [&mut [f32]; CHANNELS] = std::array::from_fn(|_| Default::default());
            let channels = out.len().min(CHANNELS);
            for (rest, plane) in rest.iter_mut().zip(out.iter_mut()) {
                *rest = &mut plane[done..wanted];
            }
            let read = AudioSource::read(&**piece, at % PIECE, &mut rest[..channels]);
            if read == 0 {
                break;
            }
            done += read;
        }
        done
    }

    fn read_blocking(&self, start: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError> {
        Ok(self.read(start, out))
    }
}
