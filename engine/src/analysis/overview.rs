//! The waveform as it is drawn: minimum, maximum and RMS per block, as a pyramid.
//!
//! Level n has blocks of 256 · 4ⁿ frames, so a view at any zoom reads about as
//! many blocks as it has pixels. All levels grow together while audio arrives,
//! hence a recording shows its waveform as it is made. Sums are kept in f64 per
//! block of 256 and combined upwards in a fixed order.

/// Frames in a block of level 0, and how many blocks make one of the next level.
const FIRST_BLOCK: usize = 256;
const FAN_IN: usize = 4;
const MAGIC: &[u8; 8] = b"PLSOVW01";
const HEADER: usize = 24;
const PEAK_BYTES: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Peak {
    pub min: f32,
    pub max: f32,
    pub rms: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WaveOverview {
    rate: u32,
    channels: usize,
    frames: u64,
    /// Per level: blocks in order, and in a block its channels.
    levels: Vec<Vec<Peak>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverviewError {
    #[error("these bytes are no waveform overview; analyse the media again")]
    Format,
    #[error("the waveform overview is cut off: {found} of {expected} bytes; analyse again")]
    Length { expected: u64, found: u64 },
    #[error("{found} planes of equal length were expected to be {expected}")]
    Planes { expected: usize, found: usize },
}

impl WaveOverview {
    pub fn rate(&self) -> u32 {
        self.rate
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    pub fn frames(&self) -> u64 {
        self.frames
    }

    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Frames in one block of a level.
    pub fn block_frames(level: usize) -> u64 {
        (FIRST_BLOCK as u64) << (2 * level)
    }

    pub fn blocks(&self, level: usize) -> usize {
        self.levels.get(level).map_or(0, |peaks| peaks.len() / self.channels)
    }

    /// One value per channel; the last block of a level may be shorter.
    pub fn block(&self, level: usize, block: usize) -> &[Peak] {
        &self.levels[level][block * self.channels..(block + 1) * self.channels]
    }

    /// The coarsest level that still gives a view its resolution.
    pub fn level_for(&self, frames_per_pixel: u64) -> usize {
        let fits = |level: &usize| WaveOverview::block_frames(*level) <= frames_per_pixel.max(1);
        (0..self.levels.len()).take_while(fits).last().unwrap_or(0)
    }

    /// A versioned little-endian form: header, then all levels in order.
    pub fn to_bytes(&self) -> Vec<u8> {
        let peaks: usize = self.levels.iter().map(Vec::len).sum();
        let mut out = Vec::with_capacity(HEADER + peaks * PEAK_BYTES);
        out.extend(MAGIC);
        out.extend(self.rate.to_le_bytes());
        out.extend((self.channels as u32).to_le_bytes());
        out.extend(self.frames.to_le_bytes());
        for peak in self.levels.iter().flatten() {
            for value in [peak.min, peak.max, peak.rms] {
                out.extend(value.to_le_bytes());
            }
        }
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<WaveOverview, OverviewError> {
        let word = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
        if bytes.len() < HEADER || &bytes[..8] != MAGIC {
            return Err(OverviewError::Format);
        }
        let rate = word(8).map_or(0, u32::from_le_bytes);
        let channels = word(12).map_or(0, u32::from_le_bytes) as usize;
        let low = word(16).map_or(0, u32::from_le_bytes);
        let high = word(20).map_or(0, u32::from_le_bytes);
        let frames = u64::from(low) | u64::from(high) << 32;
        if !(1..=super::ANALYSIS_MAX_CHANNELS).contains(&channels) {
            return Err(OverviewError::Format);
        }
        let sizes = level_sizes(frames);
        let expected = sizes.iter().fold(HEADER as u64, |sum, blocks| {
            sum.saturating_add(blocks.saturating_mul((channels * PEAK_BYTES) as u64))
        });
        let found = bytes.len() as u64;
        if found != expected {
            return Err(OverviewError::Length { expected, found });
        }
        let mut values = bytes[HEADER..]
            .chunks_exact(4)
            .map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]));
        let mut next = || values.next().unwrap_or(0.0);
        let mut peak = || Peak { min: next(), max: next(), rms: next() };
        let levels =
            sizes.iter().map(|blocks| (0..*blocks as usize * channels).map(|_| peak()).collect());
        Ok(WaveOverview { rate, channels, frames, levels: levels.collect() })
    }
}

/// Blocks per level, up to the level that has one.
fn level_sizes(frames: u64) -> Vec<u64> {
    let mut sizes = Vec::new();
    let mut blocks = frames.div_ceil(FIRST_BLOCK as u64);
    while blocks > 0 {
        sizes.push(blocks);
        blocks = if blocks == 1 { 0 } else { blocks.div_ceil(FAN_IN as u64) };
    }
    sizes
}

/// What a block needs to be merged with its neighbours exactly.
#[derive(Debug, Clone, Copy)]
struct Sum {
    min: f32,
    max: f32,
    squares: f64,
    frames: u64,
}

const NOTHING: Sum = Sum { min: f32::INFINITY, max: f32::NEG_INFINITY, squares: 0.0, frames: 0 };

impl Sum {
    fn add(&mut self, sample: f32) {
        self.min = self.min.min(sample);
        self.max = self.max.max(sample);
        self.squares += f64::from(sample) * f64::from(sample);
        self.frames += 1;
    }

    fn merge(&mut self, other: &Sum) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.squares += other.squares;
        self.frames += other.frames;
    }

    fn peak(&self) -> Peak {
        let rms = (self.squares / self.frames.max(1) as f64).sqrt() as f32;
        Peak { min: self.min, max: self.max, rms }
    }
}

/// Grows an overview while audio arrives.
#[derive(Debug, Clone)]
pub struct OverviewBuilder {
    rate: u32,
    channels: usize,
    frames: u64,
    /// Per level: the block being filled (one sum per channel), how many blocks
    /// of the level below it holds, and the finished ones.
    open: Vec<Vec<Sum>>,
    held: Vec<usize>,
    done: Vec<Vec<Peak>>,
}

impl OverviewBuilder {
    pub fn new(rate: u32, channels: usize) -> OverviewBuilder {
        let channels = channels.clamp(1, super::ANALYSIS_MAX_CHANNELS);
        OverviewBuilder {
            rate,
            channels,
            frames: 0,
            open: vec![vec![NOTHING; channels]],
            held: vec![0],
            done: vec![Vec::new()],
        }
    }

    pub fn push(&mut self, planes: &[&[f32]]) -> Result<(), OverviewError> {
        let total = planes.first().map_or(0, |plane| plane.len());
        let equal = planes.iter().all(|plane| plane.len() == total);
        if planes.len() != self.channels || !equal {
            return Err(OverviewError::Planes { expected: self.channels, found: planes.len() });
        }
        let mut start = 0;
        while start < total {
            let count = (FIRST_BLOCK - self.held[0]).min(total - start);
            for (sum, plane) in self.open[0].iter_mut().zip(planes) {
                plane[start..start + count].iter().for_each(|sample| sum.add(*sample));
            }
            self.held[0] += count;
            start += count;
            if self.held[0] == FIRST_BLOCK {
                self.close(0);
            }
        }
        self.frames += total as u64;
        Ok(())
    }

    /// Everything so far, unfinished blocks included; more may follow.
    pub fn snapshot(&self) -> WaveOverview {
        let mut tail = self.clone();
        for level in 0..tail.open.len() {
            if tail.held[level] > 0 {
                tail.close(level);
            }
        }
        let levels = level_sizes(self.frames).len();
        tail.done.truncate(levels);
        WaveOverview {
            rate: self.rate,
            channels: self.channels,
            frames: self.frames,
            levels: tail.done,
        }
    }

    fn close(&mut self, level: usize) {
        if self.open.len() == level + 1 {
            self.open.push(vec![NOTHING; self.channels]);
            self.held.push(0);
            self.done.push(Vec::new());
        }
        for channel in 0..self.channels {
            let sum = self.open[level][channel];
            self.done[level].push(sum.peak());
            self.open[level + 1][channel].merge(&sum);
            self.open[level][channel] = NOTHING;
        }
        self.held[level] = 0;
        self.held[level + 1] += 1;
        if self.held[level + 1] == FAN_IN {
            self.close(level + 1);
        }
    }
}
