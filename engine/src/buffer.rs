//! Audio in memory and audio that may still be on disk, behind one trait.
//!
//! `AudioSource` is what a clip player holds: it never blocks, so the same node
//! code runs on the audio thread and offline. Whether a frame was *there* is in
//! the return value and never hidden behind silence; the offline renderer calls
//! `read_blocking`, which differs in waiting and in nothing else.

use std::sync::Arc;

pub mod stream;

/// Planar audio: one allocation, channel after channel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AudioBuffer {
    rate: u32,
    channels: usize,
    frames: usize,
    samples: Vec<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BufferError {
    #[error("channel {channel} has {found} frames where channel 0 has {expected}; cut or pad it")]
    Ragged { channel: usize, expected: usize, found: usize },
    #[error("no channels were given; pass at least one, even when it has no frames")]
    NoChannels,
}

impl AudioBuffer {
    pub fn silent(rate: u32, channels: usize, frames: usize) -> AudioBuffer {
        AudioBuffer { rate, channels, frames, samples: vec![0.0; channels * frames] }
    }

    pub fn from_channels<C: AsRef<[f32]>>(
        rate: u32,
        channels: &[C],
    ) -> Result<AudioBuffer, BufferError> {
        let frames = channels.first().ok_or(BufferError::NoChannels)?.as_ref().len();
        let mut samples = Vec::with_capacity(channels.len() * frames);
        for (channel, data) in channels.iter().enumerate() {
            let data = data.as_ref();
            if data.len() != frames {
                let found = data.len();
                return Err(BufferError::Ragged { channel, expected: frames, found });
            }
            samples.extend_from_slice(data);
        }
        Ok(AudioBuffer { rate, channels: channels.len(), frames, samples })
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    pub fn frames(&self) -> usize {
        self.frames
    }

    /// One channel; panics when `channel` is out of range, as slices do.
    pub fn channel(&self, channel: usize) -> &[f32] {
        &self.samples[channel * self.frames..(channel + 1) * self.frames]
    }

    pub fn channel_mut(&mut self, channel: usize) -> &mut [f32] {
        &mut self.samples[channel * self.frames..(channel + 1) * self.frames]
    }

    /// All channels as slices, for calls that take `&[&[f32]]`.
    pub fn planes(&self) -> Vec<&[f32]> {
        (0..self.channels).map(|channel| self.channel(channel)).collect()
    }

    pub fn planes_mut(&mut self) -> Vec<&mut [f32]> {
        if self.frames == 0 {
            return (0..self.channels).map(|_| Default::default()).collect();
        }
        self.samples.chunks_exact_mut(self.frames).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("frame {frame} cannot be decoded: {reason}; relink or replace the media file")]
    Decode { frame: u64, reason: String },
    #[error("the media file cannot be read at frame {frame}: {reason}; check the drive")]
    Io { frame: u64, reason: String },
}

/// Random access to audio of a known length, shared by every clip that plays it.
///
/// `out` holds one slice per wanted channel, all of one length. A channel that
/// the source lacks is filled with silence, surplus source channels are skipped.
pub trait AudioSource: Send + Sync {
    fn rate(&self) -> u32;
    fn channels(&self) -> usize;
    fn frames(&self) -> u64;

    /// Copies frames from `start` on and returns how many leading frames of
    /// `out` are valid. Fewer than asked, though `start + n` lies before
    /// `frames()`, means they are not in memory yet (and have been asked for).
    /// What lies behind the returned count is unspecified.
    ///
    /// Called on the real-time thread: no allocation, lock, wait or I/O.
    fn read(&self, start: u64, out: &mut [&mut [f32]]) -> usize;

    /// As `read`, but waits for what is missing; short only at the end.
    /// Never called on the real-time thread.
    fn read_blocking(&self, start: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError>;

    /// Asks for a range that will be read soon (a seek, reverse play, a clip
    /// that is about to start). Real-time safe, without effect when resident.
    fn prefetch(&self, _start: u64, _frames: u64) {}

    /// Whether reading costs much more than to read the same samples from elsewhere,
    /// because they are still compressed.
    fn is_dear(&self) -> bool {
        false
    }

    /// Whether `read` of this range would be complete. Real-time safe.
    fn resident(&self, _start: u64, _frames: u64) -> bool {
        true
    }
}

/// A source whose audio is wholly in memory: every read is complete.
impl AudioSource for AudioBuffer {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn frames(&self) -> u64 {
        self.frames as u64
    }

    fn read(&self, start: u64, out: &mut [&mut [f32]]) -> usize {
        let wanted = out.iter().map(|plane| plane.len()).min().unwrap_or(0);
        let left = (self.frames as u64).saturating_sub(start);
        let count = left.min(wanted as u64) as usize;
        if count == 0 {
            return 0;
        }
        let start = start as usize;
        for (channel, plane) in out.iter_mut().enumerate() {
            if channel < self.channels {
                plane[..count].copy_from_slice(&self.channel(channel)[start..start + count]);
            } else {
                plane[..count].fill(0.0);
            }
        }
        count
    }

    fn read_blocking(&self, start: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError> {
        Ok(self.read(start, out))
    }
}

impl<S: AudioSource + ?Sized> AudioSource for Arc<S> {
    fn rate(&self) -> u32 {
        (**self).rate()
    }

    fn channels(&self) -> usize {
        (**self).channels()
    }

    fn frames(&self) -> u64 {
        (**self).frames()
    }

    fn read(&self, start: u64, out: &mut [&mut [f32]]) -> usize {
        (**self).read(start, out)
    }

    fn read_blocking(&self, start: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError> {
        (**self).read_blocking(start, out)
    }

    fn prefetch(&self, start: u64, frames: u64) {
        (**self).prefetch(start, frames);
    }

    fn is_dear(&self) -> bool {
        (**self).is_dear()
    }

    fn resident(&self, start: u64, frames: u64) -> bool {
        (**self).resident(start, frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(channels: usize, frames: usize) -> AudioBuffer {
        let planes: Vec<Vec<f32>> =
            (0..channels).map(|c| (0..frames).map(|i| (c * 1000 + i) as f32).collect()).collect();
        AudioBuffer::from_channels(48_000, &planes).unwrap()
    }

    fn check(start: u64, wanted: usize, expect: &[f32]) {
        let mut left = vec![-1.0; wanted];
        let mut right = vec![-1.0; wanted];
        let count = ramp(1, 10).read(start, &mut [&mut left, &mut right]);
        assert_eq!(&left[..count], expect);
        assert!(right[..count].iter().all(|&s| s == 0.0), "a missing channel is silent");
    }

    #[test]
    fn a_read_is_short_only_at_the_end() {
        check(0, 3, &[0.0, 1.0, 2.0]);
        check(8, 3, &[8.0, 9.0]);
        check(10, 3, &[]);
        check(u64::MAX, 3, &[]);
        check(4, 0, &[]);
    }

    #[test]
    fn ragged_channels_are_refused_by_name() {
        let planes = [vec![0.0; 4], vec![0.0; 3]];
        assert_eq!(
            AudioBuffer::from_channels(48_000, &planes),
            Err(BufferError::Ragged { channel: 1, expected: 4, found: 3 })
        );
    }

    #[test]
    fn planes_cover_every_channel_even_when_empty() {
        let mut empty = AudioBuffer::silent(48_000, 2, 0);
        assert_eq!(empty.planes().len(), 2);
        assert_eq!(empty.planes_mut().len(), 2);
        assert_eq!(ramp(3, 4).planes()[2], &[2000.0, 2001.0, 2002.0, 2003.0]);
    }
}
