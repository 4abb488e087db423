//! FLAC in blocks of up to 4,096 frames, each encoded and written as it fills.
//!
//! The crate's own whole-stream encoder would hold the entire file; its frame
//! encoder doesn't. `STREAMINFO` (length, frame sizes, MD5) is patched in last.

use std::io::{self, Seek, SeekFrom, Write};

use flacenc::{
    bitsink::ByteSink,
    component::{BitRepr, StreamInfo},
    config::Encoder,
    error::{Verified, Verify},
    source::{Context, Fill, FrameBuf},
};

use super::{AudioWriter, Depth, FileSpec, Sink, WriteError, Written, check_planes};
use crate::dither::Quantiser;

const LARGEST_BLOCK: usize = 4096;
/// Even a block that doesn't compress stays below this: some decoders, the one
/// we read with among them, lose frames that outgrow their 64 KiB buffer.
const FRAME_BYTES: usize = 48 << 10;
const MAX_CHANNELS: usize = 8;
/// What a frame header can state for any rate that is a multiple of 10.
const MAX_RATE: u32 = 655_350;
const HEADER_BYTES: u64 = 42;

pub(super) struct FlacWriter {
    sink: Box<dyn Sink>,
    spec: FileSpec,
    config: Verified<Encoder>,
    /// Frames in a block, fixed for the file.
    block: usize,
    stream: StreamInfo,
    context: Context,
    quantiser: Quantiser,
    /// Interleaved frames that don't fill a block yet.
    pending: Vec<i32>,
    frames: u64,
    blocks: usize,
    written: u64,
    smallest: u32,
    largest: u32,
}

impl FlacWriter {
    pub(super) fn new(sink: Box<dyn Sink>, spec: FileSpec) -> Result<FlacWriter, WriteError> {
        let (channels, rate, format) = (spec.channels, spec.rate, "FLAC");
        if spec.depth == Depth::Float32 {
            return Err(WriteError::FloatInFlac);
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(WriteError::ChannelCount { format, channels, limit: MAX_CHANNELS });
        }
        let bits = usize::from(spec.depth.bits());
        let stream = StreamInfo::new(rate as usize, channels, bits).ok();
        let stated = rate > 0 && rate <= MAX_RATE && (rate <= 65_535 || rate % 10 == 0);
        let (Some(stream), true) = (stream, stated) else {
            return Err(WriteError::Rate { format, rate, limit: MAX_RATE });
        };
        let config = Encoder::default().into_verified();
        let config = config.map_err(|(_, error)| encoder_error(0, &error))?;
        let block = block_frames(channels, usize::from(spec.depth.bytes()));
        let mut writer = FlacWriter {
            sink,
            spec,
            config,
            block,
            stream,
            context: Context::new(bits, channels),
            quantiser: Quantiser::new(bits as u32, spec.dither, spec.dither_seed),
            pending: Vec::with_capacity(block * channels),
            frames: 0,
            blocks: 0,
            written: HEADER_BYTES,
            smallest: 0,
            largest: 0,
        };
        let header = writer.header();
        writer.sink.write_all(&header).map_err(|error| WriteError::io(0, &error))?;
        Ok(writer)
    }

    /// `fLaC` and the one metadata block, `STREAMINFO`.
    fn header(&self) -> Vec<u8> {
        let packed = u64::from(self.spec.rate) << 44
            | (self.spec.channels as u64 - 1) << 41
            | (u64::from(self.spec.depth.bits()) - 1) << 36
            | (self.frames - (self.pending.len() / self.spec.channels) as u64) & 0xF_FFFF_FFFF;
        let mut out = b"fLaC".to_vec();
        out.extend([0x80, 0, 0, 34]);
        out.extend((self.block as u16).to_be_bytes());
        out.extend((self.block as u16).to_be_bytes());
        out.extend(&self.smallest.to_be_bytes()[1..]);
        out.extend(&self.largest.to_be_bytes()[1..]);
        out.extend(packed.to_be_bytes());
        out.extend(self.context.md5_digest());
        out
    }

    fn encode_pending(&mut self) -> Result<(), WriteError> {
        let frames = self.frames;
        let size = self.pending.len() / self.spec.channels;
        let refused = |error: &dyn std::error::Error| WriteError::Encoder {
            frames,
            reason: error.to_string(),
        };
        let mut block =
            FrameBuf::with_size(self.spec.channels, self.block).map_err(|error| refused(&error))?;
        block.fill_interleaved(&self.pending).map_err(|error| refused(&error))?;
        self.context.fill_interleaved(&self.pending).map_err(|error| refused(&error))?;
        debug_assert_eq!(block.filled_size(), size);
        let encoded =
            flacenc::encode_fixed_size_frame(&self.config, &block, self.blocks, &self.stream)
                .map_err(|error| refused(&error))?;
        let mut bytes = ByteSink::new();
        encoded.write(&mut bytes).map_err(|error| refused(&error))?;
        let bytes = bytes.as_slice();
        self.sink.write_all(bytes).map_err(|error| WriteError::io(frames, &error))?;
        let length = bytes.len() as u32;
        self.smallest = if self.blocks == 0 { length } else { self.smallest.min(length) };
        self.largest = self.largest.max(length);
        self.written += u64::from(length);
        self.blocks += 1;
        self.pending.clear();
        Ok(())
    }

    fn patch_header(&mut self) -> io::Result<()> {
        let header = self.header();
        self.sink.seek(SeekFrom::Start(0))?;
        self.sink.write_all(&header)?;
        self.sink.seek(SeekFrom::Start(self.written))?;
        self.sink.flush()
    }
}

impl AudioWriter for FlacWriter {
    fn write(&mut self, planes: &[&[f32]]) -> Result<(), WriteError> {
        let total = check_planes(planes, self.spec.channels)?;
        for frame in 0..total {
            for (channel, plane) in planes.iter().enumerate() {
                let level = self.quantiser.quantise(plane[frame], channel, self.frames);
                self.pending.push(level);
            }
            self.frames += 1;
            if self.pending.len() == self.block * self.spec.channels {
                self.encode_pending()?;
            }
        }
        Ok(())
    }

    /// Covers whole blocks: the frames of an unfinished one are still to come.
    fn checkpoint(&mut self) -> Result<(), WriteError> {
        self.patch_header().map_err(|error| WriteError::io(self.frames, &error))
    }

    fn frames(&self) -> u64 {
        self.frames
    }

    fn finish(mut self: Box<Self>) -> Result<Written, WriteError> {
        if !self.pending.is_empty() {
            self.encode_pending()?;
        }
        self.patch_header().map_err(|error| WriteError::io(self.frames, &error))?;
        Ok(Written {
            frames: self.frames,
            bytes: self.written,
            clipped_samples: self.quantiser.clipped,
            replaced_samples: self.quantiser.replaced,
        })
    }
}

/// The largest power of two whose uncompressed frames stay small enough.
fn block_frames(channels: usize, sample_bytes: usize) -> usize {
    let fitting = FRAME_BYTES / (channels * sample_bytes);
    (1 << fitting.ilog2()).min(LARGEST_BLOCK)
}

fn encoder_error(frames: u64, error: &dyn std::error::Error) -> WriteError {
    WriteError::Encoder { frames, reason: error.to_string() }
}
