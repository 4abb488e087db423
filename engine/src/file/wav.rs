//! WAV, and RF64 once a file outgrows 32-bit sizes.
//!
//! The header reserves room for a `ds64` chunk as `JUNK`; growing beyond the
//! limit only rewrites the header (EBU Tech 3306), whatever the length.

use std::io::{self, Seek, SeekFrom, Write};

use super::{AudioWriter, Depth, FileSpec, Sink, WriteError, Written, check_planes};
use crate::dither::Quantiser;

/// Data sizes from here on are written as RF64; room is left for the header
/// and for chunks that other programs append.
pub const RF64_FROM: u64 = 0xFFFF_FFFF - 0x1_0000;
const MAX_CHANNELS: usize = 256;
const MAX_RATE: u32 = 1 << 24;
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113];

pub struct WavWriter {
    sink: Box<dyn Sink>,
    spec: FileSpec,
    rf64_from: u64,
    quantiser: Quantiser,
    frames: u64,
    header_bytes: u64,
    block: Vec<u8>,
}

impl WavWriter {
    /// `rf64_from` is `RF64_FROM` but in tests.
    pub fn new(
        sink: Box<dyn Sink>,
        spec: FileSpec,
        rf64_from: u64,
    ) -> Result<WavWriter, WriteError> {
        let (channels, rate, format) = (spec.channels, spec.rate, "WAV");
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(WriteError::ChannelCount { format, channels, limit: MAX_CHANNELS });
        }
        if !(1..=MAX_RATE).contains(&rate) {
            return Err(WriteError::Rate { format, rate, limit: MAX_RATE });
        }
        let quantiser = Quantiser::new(spec.depth.bits().into(), spec.dither, spec.dither_seed);
        let mut writer = WavWriter {
            sink,
            spec,
            rf64_from,
            quantiser,
            frames: 0,
            header_bytes: 0,
            block: Vec::new(),
        };
        let header = writer.header();
        writer.header_bytes = header.len() as u64;
        writer.sink.write_all(&header).map_err(|error| WriteError::io(0, &error))?;
        Ok(writer)
    }

    fn data_bytes(&self) -> u64 {
        self.frames * self.spec.channels as u64 * u64::from(self.spec.depth.bytes())
    }

    /// The whole header for the present length; its size never changes.
    fn header(&self) -> Vec<u8> {
        let data = self.data_bytes();
        let format = format_chunk(&self.spec);
        let fact = self.spec.depth == Depth::Float32;
        let header_bytes = 12 + 36 + 8 + format.len() as u64 + if fact { 12 } else { 0 } + 8;
        let riff = header_bytes - 8 + data + (data & 1);
        let large = data >= self.rf64_from;
        let short = |value: u64| if large { u32::MAX } else { value as u32 };
        let mut out = Vec::with_capacity(header_bytes as usize);
        out.extend(if large { b"RF64" } else { b"RIFF" });
        out.extend(short(riff).to_le_bytes());
        out.extend(b"WAVE");
        out.extend(if large { b"ds64" } else { b"JUNK" });
        out.extend(28u32.to_le_bytes());
        let mut sizes = [0u8; 28];
        if large {
            sizes[0..8].copy_from_slice(&riff.to_le_bytes());
            sizes[8..16].copy_from_slice(&data.to_le_bytes());
            sizes[16..24].copy_from_slice(&self.frames.to_le_bytes());
        }
        out.extend(sizes);
        out.extend(b"fmt ");
        out.extend((format.len() as u32).to_le_bytes());
        out.extend(format);
        if fact {
            out.extend(b"fact");
            out.extend(4u32.to_le_bytes());
            out.extend((self.frames.min(u64::from(u32::MAX)) as u32).to_le_bytes());
        }
        out.extend(b"data");
        out.extend(short(data).to_le_bytes());
        out
    }

    fn fill_block(&mut self, planes: &[&[f32]], frames: usize) {
        self.block.clear();
        for frame in 0..frames {
            let number = self.frames + frame as u64;
            for (channel, plane) in planes.iter().enumerate() {
                self.push_sample(plane[frame], channel, number);
            }
        }
    }

    fn push_sample(&mut self, sample: f32, channel: usize, frame: u64) {
        match self.spec.depth {
            Depth::Int16 => {
                let level = self.quantiser.quantise(sample, channel, frame) as i16;
                self.block.extend(level.to_le_bytes());
            }
            Depth::Int24 => {
                let level = self.quantiser.quantise(sample, channel, frame);
                self.block.extend(&level.to_le_bytes()[..3]);
            }
            Depth::Float32 => {
                let finite = sample.is_finite();
                self.quantiser.replaced += u64::from(!finite);
                self.block.extend(if finite { sample } else { 0.0 }.to_le_bytes());
            }
        }
    }

    fn patch_header(&mut self) -> io::Result<()> {
        let header = self.header();
        self.sink.seek(SeekFrom::Start(0))?;
        self.sink.write_all(&header)?;
        self.sink.seek(SeekFrom::Start(self.header_bytes + self.data_bytes()))?;
        self.sink.flush()
    }

    fn complete(&mut self) -> io::Result<u64> {
        // Chunks are padded to even sizes.
        let padding = self.data_bytes() & 1;
        self.sink.write_all(&[0][..padding as usize])?;
        self.patch_header()?;
        Ok(self.header_bytes + self.data_bytes() + padding)
    }
}

impl AudioWriter for WavWriter {
    fn write(&mut self, planes: &[&[f32]]) -> Result<(), WriteError> {
        const BLOCK: usize = 4096;
        let total = check_planes(planes, self.spec.channels)?;
        for start in (0..total).step_by(BLOCK) {
            let count = BLOCK.min(total - start);
            let part: Vec<&[f32]> =
                planes.iter().map(|plane| &plane[start..start + count]).collect();
            self.fill_block(&part, count);
            let written = self.sink.write_all(&self.block);
            written.map_err(|error| WriteError::io(self.frames, &error))?;
            self.frames += count as u64;
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), WriteError> {
        self.patch_header().map_err(|error| WriteError::io(self.frames, &error))
    }

    fn frames(&self) -> u64 {
        self.frames
    }

    fn finish(mut self: Box<Self>) -> Result<Written, WriteError> {
        let bytes = self.complete().map_err(|error| WriteError::io(self.frames, &error))?;
        Ok(Written {
            frames: self.frames,
            bytes,
            clipped_samples: self.quantiser.clipped,
            replaced_samples: self.quantiser.replaced,
        })
    }
}

/// Plain PCM or float where the format allows it, else EXTENSIBLE: more than
/// two channels, or more than 16 integer bits.
fn format_chunk(spec: &FileSpec) -> Vec<u8> {
    let tag: u16 = if spec.depth == Depth::Float32 { 3 } else { 1 };
    let extensible = spec.channels > 2 || spec.depth == Depth::Int24;
    let channels = spec.channels as u16;
    let block = channels * spec.depth.bytes();
    let bytes_per_second = u64::from(spec.rate) * u64::from(block);
    let mut out = Vec::new();
    out.extend(if extensible { 0xFFFE } else { tag }.to_le_bytes());
    out.extend(channels.to_le_bytes());
    out.extend(spec.rate.to_le_bytes());
    out.extend((bytes_per_second.min(u64::from(u32::MAX)) as u32).to_le_bytes());
    out.extend(block.to_le_bytes());
    out.extend(spec.depth.bits().to_le_bytes());
    if extensible {
        // Mono and stereo have speaker positions, more channels have none.
        let mask: u32 = [0, 4, 3].get(spec.channels).copied().unwrap_or(0);
        out.extend(22u16.to_le_bytes());
        out.extend(spec.depth.bits().to_le_bytes());
        out.extend(mask.to_le_bytes());
        out.extend(tag.to_le_bytes());
        out.extend(GUID_TAIL);
    } else if tag == 3 {
        out.extend(0u16.to_le_bytes());
    }
    out
}
