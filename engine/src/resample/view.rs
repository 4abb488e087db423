//! A source seen at another rate: random access, prepared once, allocation-free.

use std::sync::Arc;

use super::{Resampler, Step};
use crate::buffer::{AudioSource, ReadError};

/// One reader's view; it owns scratch, so each voice has its own. The filter is
/// shared.
pub struct SourceView {
    source: Arc<dyn AudioSource>,
    resampler: Arc<Resampler>,
    scratch: Vec<Vec<f32>>,
    max_block: usize,
}

impl SourceView {
    /// Allocates for reads of up to `channels` × `max_block` frames.
    pub fn new(
        source: Arc<dyn AudioSource>,
        resampler: Arc<Resampler>,
        channels: usize,
        max_block: usize,
    ) -> SourceView {
        let room = resampler.max_span(max_block);
        SourceView { source, resampler, scratch: vec![vec![0.0; room]; channels], max_block }
    }

    pub fn source(&self) -> &Arc<dyn AudioSource> {
        &self.source
    }

    pub fn step(&self) -> Step {
        self.resampler.step()
    }

    /// The length at the view's rate.
    pub fn frames(&self) -> u64 {
        self.resampler.step().output_frames(self.source.frames())
    }

    /// As `AudioSource::read`, at the view's rate; all or nothing: returns 0
    /// when part of what the frames need is not in memory. Real-time safe for
    /// up to `max_block` frames (longer reads are cut to that).
    pub fn read(&mut self, start: u64, out: &mut [&mut [f32]]) -> usize {
        let count = self.count(start, out);
        let Some((from, length)) = self.needed(start, count) else { return 0 };
        let mut planes: [&mut [f32]; MAX_CHANNELS] = std::array::from_fn(|_| Default::default());
        let channels = self.scratch.len().min(out.len()).min(MAX_CHANNELS);
        for (plane, scratch) in planes.iter_mut().zip(&mut self.scratch).take(channels) {
            *plane = &mut scratch[..length];
        }
        if self.source.read(from, &mut planes[..channels]) < length {
            return 0;
        }
        self.render(start, from, length, count, out);
        count
    }

    /// As `read`, but waits; short only at the end.
    pub fn read_blocking(
        &mut self,
        start: u64,
        out: &mut [&mut [f32]],
    ) -> Result<usize, ReadError> {
        let count = self.count(start, out);
        let Some((from, length)) = self.needed(start, count) else { return Ok(0) };
        let mut planes: Vec<&mut [f32]> =
            self.scratch.iter_mut().take(out.len()).map(|plane| &mut plane[..length]).collect();
        let found = self.source.read_blocking(from, &mut planes)?;
        planes.iter_mut().for_each(|plane| plane[found..].fill(0.0));
        self.render(start, from, length, count, out);
        Ok(count)
    }

    /// Asks the source for what `frames` output frames need. Real-time safe.
    pub fn prefetch(&self, start: u64, frames: u64) {
        let step = self.resampler.step().as_f64();
        let first = self.resampler.span(start, 1).start.max(0) as u64;
        let length = (frames as f64 * step) as u64 + 2 * self.resampler.reach() as u64;
        self.source.prefetch(first, length);
    }

    fn count(&self, start: u64, out: &[&mut [f32]]) -> usize {
        let wanted = out.iter().map(|plane| plane.len()).min().unwrap_or(0).min(self.max_block);
        self.frames().saturating_sub(start).min(wanted as u64) as usize
    }

    /// The part of the span that the source has: first frame and length.
    fn needed(&self, start: u64, count: usize) -> Option<(u64, usize)> {
        let span = self.resampler.span(start, count);
        let from = span.start.max(0) as u64;
        let to = (span.end.max(0) as u64).min(self.source.frames());
        (count > 0 && from < to).then(|| (from, (to - from) as usize))
    }

    fn render(&self, start: u64, from: u64, length: usize, count: usize, out: &mut [&mut [f32]]) {
        for (channel, plane) in out.iter_mut().enumerate() {
            match self.scratch.get(channel) {
                Some(scratch) => {
                    let input = &scratch[..length];
                    self.resampler.render(start, from as i64, input, &mut plane[..count]);
                }
                None => plane[..count].fill(0.0),
            }
        }
    }
}

/// Channels one view can carry; the slices live on the stack.
const MAX_CHANNELS: usize = 16;
