//! Audio files to planar f32: one streaming decoder over a handed-in reader.
//!
//! PCM in WAV (RF64 and BW64 too) goes through our own parser: its mapping from
//! bits to samples is part of what a project sounds like, a crash while
//! recording must leave a readable file, and RF64 is missing elsewhere. All
//! other formats go through symphonia.
//!
//! Promises: a seek is exact to the sample, also in lossy formats, so a frame
//! decodes to the same bits however it was reached. A file that ends early
//! keeps what is readable and says so. NaN and infinity are replaced by 0 and
//! counted. Memory doesn't depend on what a header claims.

use std::io::{Read, Seek};

use crate::buffer::AudioBuffer;

mod aiff;
mod compressed;
mod content_id;
mod edit_list;
mod error;
mod wav;

pub use content_id::{ContentHasher, DECODER_VERSION};
pub use error::{DecodeError, OpenError};

use pulse_schemas::hash::Hash;

/// Rates outside are taken for a damaged header.
pub const MIN_RATE: u32 = 100;
pub const MAX_RATE: u32 = 1_536_000;
pub const MAX_CHANNELS: usize = 64;

/// What the engine reads media from. Blanket: every seekable reader is one.
pub trait Media: Read + Seek + Send {}

impl<M: Read + Seek + Send> Media for M {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Container {
    Wav,
    Aiff,
    Flac,
    Mp3,
    Ogg,
    Adts,
    Mp4,
}

/// What the samples were before they became f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SampleKind {
    Integer { bits: u8 },
    Float { bits: u8 },
    Lossy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    pub rate: u32,
    pub channels: usize,
    /// Frames that a full read gives, if nothing turns out to be damaged.
    pub frames: u64,
    pub container: Container,
    pub samples: SampleKind,
    /// The codec's short name, such as `pcm`, `flac`, `mp3`.
    pub codec: &'static str,
}

/// A file that ends before its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncation {
    pub declared: u64,
    pub readable: u64,
}

/// What reading has met so far; a second read of one place counts twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Findings {
    pub truncated: Option<Truncation>,
    /// Samples that were NaN or infinite and are now 0.
    pub replaced_samples: u64,
    /// Frames that could not be decoded and are now silent.
    pub silenced_frames: u64,
}

/// A backend delivers frames one after the other, or from a given frame on.
trait Backend: Send {
    /// Writes up to `out[0].len()` frames; 0 at the end or when damaged.
    fn read(&mut self, out: &mut [&mut [f32]]) -> Result<usize, DecodeError>;
    fn seek(&mut self, frame: u64) -> Result<(), DecodeError>;
    fn silenced_frames(&self) -> u64 {
        0
    }
    /// False where samples are whole numbers in the file, which are always finite.
    fn may_be_non_finite(&self) -> bool {
        true
    }
}

pub struct Decoder {
    backend: Box<dyn Backend>,
    info: Info,
    findings: Findings,
    position: u64,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Decoder {
    /// `hint` is a file extension; it breaks ties, the content decides.
    pub fn open(mut media: Box<dyn Media>, hint: Option<&str>) -> Result<Decoder, OpenError> {
        match wav::open(&mut media)? {
            wav::Opened::Pcm(header) => {
                let (info, truncated) = (header.info(), header.truncation());
                check_limits(&info)?;
                let findings = Findings { truncated, ..Findings::default() };
                let backend = Box::new(wav::Reader::new(media, header));
                Ok(Decoder { backend, info, findings, position: 0 })
            }
            wav::Opened::Other => {
                let (media, truncated) = aiff::mend(media)?;
                let backend = compressed::Reader::open(media, hint)?;
                let info = backend.info();
                check_limits(&info)?;
                let findings = Findings { truncated, ..Findings::default() };
                Ok(Decoder { backend: Box::new(backend), info, findings, position: 0 })
            }
        }
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    pub fn findings(&self) -> Findings {
        let silenced_frames = self.backend.silenced_frames();
        Findings { silenced_frames, ..self.findings }
    }

    /// The frame that the next read begins with.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Fills `out` (one slice per channel of the file) and returns the frames
    /// read: short only at the end of what is readable.
    pub fn read(&mut self, out: &mut [&mut [f32]]) -> Result<usize, DecodeError> {
        if out.len() != self.info.channels {
            return Err(DecodeError::Channels { expected: self.info.channels, found: out.len() });
        }
        let room = out.iter().map(|plane| plane.len()).min().unwrap_or(0);
        let left = self.readable().saturating_sub(self.position);
        let wanted = left.min(room as u64) as usize;
        let mut filled = 0;
        while filled < wanted {
            let mut rest: Vec<&mut [f32]> =
                out.iter_mut().map(|plane| &mut plane[filled..wanted]).collect();
            let count = self.backend.read(&mut rest)?;
            if count == 0 {
                self.note_end(self.position + filled as u64);
                break;
            }
            filled += count;
        }
        let suspect = if self.backend.may_be_non_finite() { &mut *out } else { &mut [] };
        for plane in suspect {
            self.findings.replaced_samples += replace_non_finite(&mut plane[..filled]);
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// The next read begins exactly at `frame` (at the end, if that is behind it).
    pub fn seek(&mut self, frame: u64) -> Result<(), DecodeError> {
        let frame = frame.min(self.info.frames);
        if frame != self.position && frame < self.readable() {
            self.backend.seek(frame)?;
        }
        self.position = frame;
        Ok(())
    }

    /// The whole file, refused when its samples need more than `max_bytes`.
    pub fn decode_all(&mut self, max_bytes: u64) -> Result<Decoded, DecodeError> {
        let channels = self.info.channels;
        let needed = self.info.frames.saturating_mul(channels as u64 * 4);
        if needed > max_bytes {
            return Err(DecodeError::TooLarge { needed, limit: max_bytes });
        }
        self.seek(0)?;
        let mut planes = vec![Vec::new(); channels];
        let mut hasher = ContentHasher::new(&self.info);
        self.for_each_block(|block| {
            hasher.update(block);
            planes.iter_mut().zip(block).for_each(|(plane, data)| plane.extend_from_slice(data));
        })?;
        let frames = planes[0].len();
        let mut audio = AudioBuffer::silent(self.info.rate, channels, frames);
        for (channel, plane) in planes.iter().enumerate() {
            audio.channel_mut(channel).copy_from_slice(plane);
        }
        Ok(Decoded { audio, content_id: hasher.finish(), findings: self.findings() })
    }

    /// Reads the whole file in bounded memory and returns its content id.
    pub fn content_id(&mut self) -> Result<Hash, DecodeError> {
        self.seek(0)?;
        let mut hasher = ContentHasher::new(&self.info);
        self.for_each_block(|block| hasher.update(block))?;
        Ok(hasher.finish())
    }

    /// Passes the rest of the file on, block by block.
    pub fn for_each_block(&mut self, mut take: impl FnMut(&[&[f32]])) -> Result<u64, DecodeError> {
        const BLOCK: usize = 8192;
        let mut block = AudioBuffer::silent(self.info.rate, self.info.channels, BLOCK);
        let mut total = 0;
        loop {
            let count = self.read(&mut block.planes_mut())?;
            if count == 0 {
                return Ok(total);
            }
            let planes: Vec<&[f32]> = block.planes().iter().map(|plane| &plane[..count]).collect();
            take(&planes);
            total += count as u64;
        }
    }

    /// Where reading ends: the length, or where damage was met.
    fn readable(&self) -> u64 {
        self.findings.truncated.map_or(self.info.frames, |t| t.readable.min(self.info.frames))
    }

    fn note_end(&mut self, readable: u64) {
        let declared = self.info.frames;
        self.findings.truncated = Some(Truncation { declared, readable });
    }
}

/// A whole file in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    pub audio: AudioBuffer,
    pub content_id: Hash,
    pub findings: Findings,
}

/// Reads until `out` is full or the file ends.
fn read_up_to<R: Read + ?Sized>(media: &mut R, out: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match media.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn check_limits(info: &Info) -> Result<(), OpenError> {
    if !(MIN_RATE..=MAX_RATE).contains(&info.rate) {
        return Err(OpenError::Rate { rate: info.rate });
    }
    if !(1..=MAX_CHANNELS).contains(&info.channels) {
        return Err(OpenError::Channels { channels: info.channels });
    }
    if info.frames == 0 {
        return Err(OpenError::Empty);
    }
    Ok(())
}

fn replace_non_finite(samples: &mut [f32]) -> u64 {
    // A number times zero is zero, anything else is not. In chunks without an exit, because good
    // files are the rule and every sample of them passes here.
    let good = |chunk: &[f32; 64]| {
        let mut sums = [0.0f32; 8];
        for part in chunk.as_chunks::<8>().0 {
            for (sum, sample) in sums.iter_mut().zip(part) {
                *sum += sample * 0.0;
            }
        }
        sums == [0.0; 8]
    };
    let (chunks, rest) = samples.as_chunks_mut::<64>();
    let bad = chunks.iter_mut().filter(|chunk| !good(chunk));
    bad.map(|chunk| replace_each(chunk)).sum::<u64>() + replace_each(rest)
}

fn replace_each(samples: &mut [f32]) -> u64 {
    let mut replaced = 0;
    for sample in samples.iter_mut().filter(|sample| !sample.is_finite()) {
        *sample = 0.0;
        replaced += 1;
    }
    replaced
}

#[cfg(test)]
mod tests;
