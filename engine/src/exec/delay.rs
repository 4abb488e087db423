//! Delay lines. Positions count frames processed, not frames of the song, so a
//! jump of the transport doesn't tear what is under way.

use crate::{
    node::StateVisitor,
    plan::PlanLine,
    state::{Loader, Saver},
};

/// A ring that can be written before it is read within one range of a block.
#[derive(Clone, Default)]
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

    /// One frame of what [`Ring::read`] gives.
    fn sample(&self, channel: usize, i: usize) -> f32 {
        let ring = &self.samples[channel];
        ring[(self.at + ring.len() - self.frames + i) % ring.len()]
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

/// A crossfade that begins after a while: from what was heard before an edit to
/// what is heard after it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Blend {
    wait: u32,
    left: u32,
    length: u32,
}

impl Blend {
    pub fn new(wait: u32, length: u32) -> Blend {
        Blend { wait, left: length, length }
    }

    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// The share of what is heard after, at frame `i` of the next ones.
    #[inline]
    fn gain(&self, i: usize) -> f32 {
        let done = (i as u32).saturating_sub(self.wait);
        1.0 - self.left.saturating_sub(done) as f32 / self.length.max(1) as f32
    }

    /// `before` gives the other signal at a frame of these.
    pub fn mix(&self, before: impl Fn(usize) -> f32, samples: &mut [f32]) {
        let whole = self.wait as usize + self.left as usize;
        for (i, sample) in samples.iter_mut().enumerate().take(whole) {
            let old = before(i);
            *sample = old + (*sample - old) * self.gain(i);
        }
    }

    pub fn advance(&mut self, frames: usize) {
        let frames = frames.min(u32::MAX as usize) as u32;
        let waited = self.wait.min(frames);
        self.wait -= waited;
        self.left = self.left.saturating_sub(frames - waited);
    }
}

/// What the reader of a line heard until an edit.
#[derive(Clone, Default)]
enum Before {
    #[default]
    Nothing,
    /// The signal itself, which did not wait.
    Straight,
    /// The signal out of the line that was there.
    Line(Ring),
}

/// What is in a line at one frame, and how far it has come in.
#[derive(Default)]
pub(crate) struct LinePoint {
    bytes: Vec<u8>,
    before: Before,
    blend: Blend,
}

/// One line of a plan.
///
/// A line that joins a running plan has to fill before it has something to say.
/// Until then its reader hears what it heard before the edit, and then the one
/// fades into the other.
pub(crate) struct Line {
    pub ring: Ring,
    before: Before,
    blend: Blend,
}

impl Line {
    pub fn new(planned: &PlanLine, max_block: usize) -> Line {
        let ring = Ring::new(planned.frames as usize, max_block);
        Line { ring, before: Before::Nothing, blend: Blend::default() }
    }

    /// Whether it fades from nothing that was heard before an edit.
    pub fn is_settled(&self) -> bool {
        self.blend.is_over()
    }

    pub fn settle(&mut self) {
        (self.before, self.blend) = (Before::Nothing, Blend::default());
    }

    /// What the line gives begins with a fade, because it heard nothing before.
    pub fn enter(&mut self, fade: u32) {
        self.before = Before::Nothing;
        self.blend = Blend::new(self.ring.frames() as u32, fade);
    }

    /// Its signal went to its reader at once until now.
    pub fn enter_straight(&mut self) {
        self.before = Before::Straight;
    }

    /// Its signal went through another line until now, which it takes along. False if that one
    /// had not yet come to rest itself.
    pub fn enter_after(&mut self, old: &mut Line) -> bool {
        self.before = Before::Line(std::mem::take(&mut old.ring));
        old.blend.is_over()
    }

    /// One channel of a range.
    pub fn pass(&mut self, channel: usize, input: &[f32], output: &mut [f32]) {
        self.ring.write(channel, input);
        self.ring.read(channel, output);
        if self.blend.is_over() {
            return;
        }
        match &mut self.before {
            Before::Nothing => self.blend.mix(|_| 0.0, output),
            Before::Straight => self.blend.mix(|i| input[i], output),
            Before::Line(ring) => {
                ring.write(channel, input);
                self.blend.mix(|i| ring.sample(channel, i), output);
            }
        }
    }

    /// The signal and, unless it comes out of another line, what is heard beside it.
    /// Allocates nothing where the point has room.
    pub fn save(&mut self, point: &mut LinePoint) {
        point.bytes.clear();
        self.ring.save(&mut Saver(&mut point.bytes));
        (point.before, point.blend) = match self.before {
            Before::Nothing => (Before::Nothing, self.blend),
            Before::Straight => (Before::Straight, self.blend),
            Before::Line(_) => (Before::Nothing, Blend::default()),
        };
    }

    /// All of it.
    pub fn save_whole(&mut self, point: &mut LinePoint) {
        self.save(point);
        if !self.blend.is_over() {
            (point.before, point.blend) = (self.before.clone(), self.blend);
        }
    }

    pub fn load(&mut self, point: &LinePoint) {
        self.ring.load(&mut Loader::new(&point.bytes));
        (self.before, self.blend) = (point.before.clone(), point.blend);
    }

    pub fn advance(&mut self, frames: usize) {
        self.ring.advance(frames);
        if let (Before::Line(ring), false) = (&mut self.before, self.blend.is_over()) {
            ring.advance(frames);
        }
        self.blend.advance(frames);
    }
}
