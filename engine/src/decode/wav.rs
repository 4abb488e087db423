//! PCM in RIFF/WAVE, RF64 and BW64.
//!
//! Sizes in headers are claims, not facts: they are cut to what the file holds,
//! and nothing is allocated by them. A header that was never finished (the
//! recorder crashed) reads to the end of the file.

use std::io::SeekFrom;

use crate::simd::{Kernel, dispatch};

use super::{
    Backend, Container, DecodeError, Info, Media, OpenError, SampleKind, Truncation, read_up_to,
};

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;
/// The last 14 bytes of the GUIDs that stand for PCM and float.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113];
/// A file with more chunks than this before its audio is hostile.
const MAX_CHUNKS: usize = 4096;
const UNKNOWN_32: u64 = 0xFFFF_FFFF;
/// Bytes read from the media in one go.
const BUFFER: usize = 1 << 16;

pub(super) enum Opened {
    Pcm(Header),
    /// Not ours; the reader is back at its start.
    Other,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    encoding: Encoding,
    rate: u32,
    channels: u16,
    valid_bits: u16,
    data_start: u64,
    frames: u64,
    declared: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
}

impl Encoding {
    fn bytes(self) -> usize {
        match self {
            Encoding::Unsigned8 => 1,
            Encoding::Signed16 => 2,
            Encoding::Signed24 => 3,
            Encoding::Signed32 | Encoding::Float32 => 4,
            Encoding::Float64 => 8,
        }
    }

    fn of(tag: u16, bytes: u16) -> Option<Encoding> {
        match (tag, bytes) {
            (PCM, 1) => Some(Encoding::Unsigned8),
            (PCM, 2) => Some(Encoding::Signed16),
            (PCM, 3) => Some(Encoding::Signed24),
            (PCM, 4) => Some(Encoding::Signed32),
            (FLOAT, 4) => Some(Encoding::Float32),
            (FLOAT, 8) => Some(Encoding::Float64),
            _ => None,
        }
    }

    /// Integers scale by a power of two, so the mapping is exact up to 24 bits
    /// and correctly rounded beyond.
    #[inline(always)]
    fn sample(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Encoding::Unsigned8, &[a]) => (f32::from(a) - 128.0) / 128.0,
            (Encoding::Signed16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            (Encoding::Signed24, &[a, b, c]) => {
                (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 / 8_388_608.0
            }
            (Encoding::Signed32, &[a, b, c, d]) => {
                i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0
            }
            (Encoding::Float32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Encoding::Float64, &[a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            _ => 0.0,
        }
    }
}

impl Header {
    pub(super) fn info(&self) -> Info {
        let bits = self.valid_bits as u8;
        let samples = match self.encoding {
            Encoding::Float32 => SampleKind::Float { bits: 32 },
            Encoding::Float64 => SampleKind::Float { bits: 64 },
            _ => SampleKind::Integer { bits },
        };
        Info {
            rate: self.rate,
            channels: usize::from(self.channels),
            frames: self.frames,
            container: Container::Wav,
            samples,
            codec: "pcm",
        }
    }

    pub(super) fn truncation(&self) -> Option<Truncation> {
        let cut = self.declared > self.frames;
        cut.then_some(Truncation { declared: self.declared, readable: self.frames })
    }

    fn frame_bytes(&self) -> u64 {
        u64::from(self.channels) * self.encoding.bytes() as u64
    }
}

/// Reads the header; on `Other` the reader stands at its start again.
pub(super) fn open(media: &mut dyn Media) -> Result<Opened, OpenError> {
    let length = media.seek(SeekFrom::End(0))?;
    media.seek(SeekFrom::Start(0))?;
    if length == 0 {
        return Err(OpenError::Empty);
    }
    let opened = parse(media, length)?;
    if matches!(opened, Opened::Other) {
        media.seek(SeekFrom::Start(0))?;
    }
    Ok(opened)
}

fn parse(media: &mut dyn Media, length: u64) -> Result<Opened, OpenError> {
    let mut riff = [0u8; 12];
    if read_up_to(media, &mut riff)? < riff.len() {
        return Ok(Opened::Other);
    }
    let form = &riff[0..4];
    if !(form == b"RIFF" || form == b"RF64" || form == b"BW64") || &riff[8..12] != b"WAVE" {
        return Ok(Opened::Other);
    }
    let unfinished = u32_at(&riff, 4) == 0;
    let mut scan = Scan { at: 12, length, long_data: None, format: None };
    for _ in 0..MAX_CHUNKS {
        match scan.next_chunk(media)? {
            Chunk::Data { start, size } => return scan.finish(start, size, unfinished),
            Chunk::Other => {}
            Chunk::End => break,
        }
    }
    match scan.format {
        Some(_) => Err(OpenError::Empty),
        None => Err(OpenError::Damaged { reason: "there is no `fmt ` chunk".into() }),
    }
}

enum Chunk {
    Data { start: u64, size: u64 },
    Other,
    End,
}

struct Scan {
    at: u64,
    length: u64,
    /// The data size of a `ds64` chunk.
    long_data: Option<u64>,
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    bytes: u16,
    valid_bits: u16,
}

impl Scan {
    fn next_chunk(&mut self, media: &mut dyn Media) -> Result<Chunk, OpenError> {
        let mut header = [0u8; 8];
        media.seek(SeekFrom::Start(self.at))?;
        if read_up_to(media, &mut header)? < header.len() {
            return Ok(Chunk::End);
        }
        let size = u64::from(u32_at(&header, 4));
        let start = self.at + 8;
        match &header[0..4] {
            b"data" => return Ok(Chunk::Data { start, size }),
            b"fmt " => self.format = Some(read_format(media, size)?),
            b"ds64" => self.long_data = read_long_sizes(media, size)?,
            _ => {}
        }
        // Chunks are padded to even sizes.
        self.at = start.saturating_add(size + (size & 1));
        Ok(if self.at >= self.length { Chunk::End } else { Chunk::Other })
    }

    fn finish(&self, start: u64, size: u64, unfinished: bool) -> Result<Opened, OpenError> {
        let format = self.format.ok_or_else(|| OpenError::Damaged {
            reason: "the audio comes before its `fmt ` chunk".into(),
        })?;
        let Some(encoding) = Encoding::of(format.tag, format.bytes) else {
            return Ok(Opened::Other);
        };
        if format.channels == 0 {
            return Err(OpenError::Channels { channels: 0 });
        }
        let present = self.length.saturating_sub(start);
        let declared = match size {
            UNKNOWN_32 => self.long_data.unwrap_or(present),
            0 if unfinished => present,
            size => size,
        };
        let frame_bytes = u64::from(format.channels) * encoding.bytes() as u64;
        Ok(Opened::Pcm(Header {
            encoding,
            rate: format.rate,
            channels: format.channels,
            valid_bits: format.valid_bits,
            data_start: start,
            frames: declared.min(present) / frame_bytes,
            declared: declared / frame_bytes,
        }))
    }
}

fn read_format(media: &mut dyn Media, size: u64) -> Result<Format, OpenError> {
    let mut bytes = [0u8; 40];
    let wanted = size.min(40) as usize;
    if wanted < 16 || read_up_to(media, &mut bytes[..wanted])? < wanted {
        return Err(OpenError::Damaged { reason: "its `fmt ` chunk is cut off".into() });
    }
    let bits = u16_at(&bytes, 14);
    let channels = u16_at(&bytes, 2);
    let mut tag = u16_at(&bytes, 0);
    let mut valid_bits = bits;
    if tag == EXTENSIBLE && wanted == 40 && bytes[26..40] == GUID_TAIL {
        tag = u16_at(&bytes, 24);
        let stated = u16_at(&bytes, 18);
        valid_bits = if stated == 0 { bits } else { stated.min(bits) };
    }
    let block = u16_at(&bytes, 12);
    let aligned = channels > 0 && block > 0 && block.is_multiple_of(channels);
    // The container size comes from the alignment: 20 bits may lie in 3 bytes.
    let bytes_per_sample = if aligned { block / channels } else { bits.div_ceil(8) };
    let valid_bits = valid_bits.clamp(1, bytes_per_sample.saturating_mul(8).max(1));
    let rate = u32_at(&bytes, 4);
    Ok(Format { tag, channels, rate, bytes: bytes_per_sample, valid_bits })
}

fn read_long_sizes(media: &mut dyn Media, size: u64) -> Result<Option<u64>, OpenError> {
    let mut bytes = [0u8; 16];
    if size < 16 || read_up_to(media, &mut bytes)? < 16 {
        return Ok(None);
    }
    let low = u64::from(u32_at(&bytes, 8));
    let high = u64::from(u32_at(&bytes, 12));
    Ok(Some(low | high << 32))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(super) struct Reader {
    media: Box<dyn Media>,
    header: Header,
    frame: u64,
    /// False after a seek or an error: the next read positions the media first.
    positioned: bool,
    bytes: Vec<u8>,
}

impl Reader {
    pub(super) fn new(media: Box<dyn Media>, header: Header) -> Reader {
        Reader { media, header, frame: 0, positioned: false, bytes: Vec::new() }
    }

    fn fetch(&mut self, wanted: usize) -> std::io::Result<usize> {
        let frame_bytes = self.header.frame_bytes();
        if !self.positioned {
            let at = self.header.data_start + self.frame * frame_bytes;
            self.media.seek(SeekFrom::Start(at))?;
        }
        self.positioned = false;
        self.bytes.resize(wanted * frame_bytes as usize, 0);
        let found = read_up_to(&mut self.media, &mut self.bytes)?;
        let frames = found / frame_bytes as usize;
        self.positioned = found == self.bytes.len();
        Ok(frames)
    }

    /// One loop per encoding, so that what kind of sample it is isn't asked per sample.
    fn unpack(&self, frames: usize, out: &mut [&mut [f32]]) {
        let bytes = &self.bytes[..];
        match self.header.encoding {
            kind @ Encoding::Unsigned8 => dispatch(Unpack::<1> { kind, bytes, frames, out }),
            kind @ Encoding::Signed16 => dispatch(Unpack::<2> { kind, bytes, frames, out }),
            kind @ Encoding::Signed24 => dispatch(Unpack::<3> { kind, bytes, frames, out }),
            kind @ (Encoding::Signed32 | Encoding::Float32) => {
                dispatch(Unpack::<4> { kind, bytes, frames, out });
            }
            kind @ Encoding::Float64 => dispatch(Unpack::<8> { kind, bytes, frames, out }),
        }
    }
}

/// Interleaved samples of `BYTES` each into planes.
struct Unpack<'a, 'o, const BYTES: usize> {
    kind: Encoding,
    bytes: &'a [u8],
    frames: usize,
    out: &'a mut [&'o mut [f32]],
}

impl<const BYTES: usize> Kernel for Unpack<'_, '_, BYTES> {
    #[inline(always)]
    fn run(self) {
        let Unpack { kind, bytes, frames, out } = self;
        let (cells, _) = bytes.as_chunks::<BYTES>();
        // Each arm is the same loop over one constant: the match is gone from it.
        match kind {
            Encoding::Unsigned8 => unpack(cells, frames, out, |c| Encoding::Unsigned8.sample(c)),
            Encoding::Signed16 => unpack(cells, frames, out, |c| Encoding::Signed16.sample(c)),
            Encoding::Signed24 => unpack(cells, frames, out, |c| Encoding::Signed24.sample(c)),
            Encoding::Signed32 => unpack(cells, frames, out, |c| Encoding::Signed32.sample(c)),
            Encoding::Float32 => unpack(cells, frames, out, |c| Encoding::Float32.sample(c)),
            Encoding::Float64 => unpack(cells, frames, out, |c| Encoding::Float64.sample(c)),
        }
    }
}

#[inline(always)]
fn unpack<const BYTES: usize>(
    cells: &[[u8; BYTES]],
    frames: usize,
    out: &mut [&mut [f32]],
    sample: impl Fn(&[u8]) -> f32,
) {
    if let [left, right] = out {
        let pairs = &cells.as_chunks::<2>().0[..frames];
        let (left, right) = (&mut left[..frames], &mut right[..frames]);
        for i in 0..frames {
            left[i] = sample(&pairs[i][0]);
            right[i] = sample(&pairs[i][1]);
        }
        return;
    }
    let channels = out.len();
    for (channel, plane) in out.iter_mut().enumerate() {
        let cells = cells.chunks_exact(channels).take(frames);
        for (to, frame) in plane.iter_mut().zip(cells) {
            *to = sample(&frame[channel]);
        }
    }
}

impl Backend for Reader {
    fn read(&mut self, out: &mut [&mut [f32]]) -> Result<usize, DecodeError> {
        let room = out.first().map_or(0, |plane| plane.len());
        let most = (BUFFER / self.header.frame_bytes() as usize).max(1);
        let left = self.header.frames.saturating_sub(self.frame);
        let wanted = left.min(room.min(most) as u64) as usize;
        if wanted == 0 {
            return Ok(0);
        }
        let frames = self.fetch(wanted).map_err(|error| DecodeError::io(self.frame, &error))?;
        self.unpack(frames, out);
        self.frame += frames as u64;
        Ok(frames)
    }

    fn may_be_non_finite(&self) -> bool {
        matches!(self.header.encoding, Encoding::Float32 | Encoding::Float64)
    }

    fn seek(&mut self, frame: u64) -> Result<(), DecodeError> {
        self.frame = frame;
        self.positioned = false;
        Ok(())
    }
}
