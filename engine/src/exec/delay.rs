//! Delay lines. Positions count frames processed, not frames of the song, so a
//! jump of the transport doesn't tear what is under way.

use crate::{node::StateVisitor, plan::PlanLine};

/// A ring that can be written before it is read within one range of a block.
pub(crate) struct Ring {
    samples: [Vec<f32>; 2],
    frames: usize,
    /// Frames written so far, modulo the size.
    at: usize,
    /// Whether one end of a feedback line has done its part of the range.
    half: bool,
}

impl Ring {
    pub fn new(frames: usize, max_block: usize) -> Ring {
        let size = frames + max_block;
        Ring { samples: [vec![0.0; size], vec![0.0; size]], frames, at: 0, half: false }
    }

    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Writes a range and moves on. Call once per range, with every channel.
    pub fn write(&mut self, channel: usize, input: &[f32]) {
        let ring = &mut self.samples[channel];
        let first = input.len().min(ring.len() - self.at);
        ring[self.at..self.at + first].copy_from_slice(&input[..first]);
        ring[..input.len() - first].copy_from_slice(&input[first..]);
    }

    /// What came `frames` before each frame of the range that starts at the
    /// current position.
    pub fn read(&self, channel: usize, output: &mut [f32]) {
        let ring = &self.samples[channel];
        let start = (self.at + ring.len() - self.frames) % ring.len();
        let first = output.len().min(ring.len() - start);
        output[..first].copy_from_slice(&ring[start..start + first]);
        let rest = output.len() - first;
        output[first..].copy_from_slice(&ring[..rest]);
    }

    pub fn advance(&mut self, frames: usize) {
        self.at = (self.at + frames) % self.samples[0].len();
    }

    /// One end of a feedback line is done with a range. Either may come first, so
    /// the ring moves on when both are.
    pub fn advance_half(&mut self, frames: usize) {
        self.half = !self.half;
        if !self.half {
            self.advance(frames);
        }
    }

    pub fn clear(&mut self) {
        self.samples.iter_mut().for_each(|channel| channel.fill(0.0));
    }

    /// The last `frames` frames, oldest first: the same bytes wherever the ring
    /// happens to stand.
    pub fn save(&mut self, visitor: &mut dyn StateVisitor) {
        for ring in &mut self.samples {
            let start = (self.at + ring.len() - self.frames) % ring.len();
            let first = self.frames.min(ring.len() - start);
            visitor.f32s(&mut ring[start..start + first]);
            visitor.f32s(&mut ring[..self.frames - first]);
        }
    }

    pub fn load(&mut self, visitor: &mut dyn StateVisitor) {
        let mut samples = vec![0.0; self.frames];
        self.at = 0;
        for channel in 0..2 {
            visitor.f32s(&mut samples);
            self.write(channel, &samples);
        }
        self.advance(self.frames);
    }
}

/// A fade from silence.
#[derive(Clone, Copy, Default)]
struct Entry {
    left: u32,
    length: u32,
}

impl Entry {
    fn open(&mut self, frames: u32) {
        *self = Entry { left: frames, length: frames };
    }

    /// The gain of frame `i` of the next ones.
    #[inline]
    fn gain(&self, i: usize) -> f32 {
        1.0 - self.left.saturating_sub(i as u32) as f32 / self.length.max(1) as f32
    }

    fn apply(&self, samples: &mut [f32]) {
        for (i, sample) in samples.iter_mut().enumerate().take(self.left as usize) {
            *sample *= self.gain(i);
        }
    }

    fn advance(&mut self, frames: usize) {
        self.left = self.left.saturating_sub(frames.min(u32::MAX as usize) as u32);
    }
}

/// One line of a plan.
pub(crate) struct Line {
    pub ring: Ring,
    /// Frames until a line that joined a running plan has something to say, and
    /// the fade with which it begins then.
    wait: usize,
    entry: Entry,
}

impl Line {
    pub fn new(planned: &PlanLine, max_block: usize) -> Line {
        let ring = Ring::new(planned.frames as usize, max_block);
        Line { ring, wait: 0, entry: Entry::default() }
    }

    /// What the line gives begins with a fade, because it heard nothing before.
    pub fn enter(&mut self, fade: u32) {
        self.wait = self.ring.frames();
        self.entry.open(fade);
    }

    /// Over what was read, a channel at a time.
    pub fn fade(&self, output: &mut [f32]) {
        if self.entry.left > 0 && self.wait < output.len() {
            self.entry.apply(&mut output[self.wait..]);
        }
    }

    pub fn advance(&mut self, frames: usize) {
        self.ring.advance(frames);
        let waited = self.wait.min(frames);
        self.wait -= waited;
        self.entry.advance(frames - waited);
    }
}
