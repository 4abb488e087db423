//! One clip, ready to be read at any frame.

use std::sync::Arc;

use pulse_schemas::graph::{ClipLoop, Fade};

use super::shape::fade_gain;
use crate::{buffer::AudioSource, resample::Resampler};

/// Frames that are rendered at once.
pub const CHUNK: usize = 256;
/// Source frames that one chunk may need, per channel.
pub const SCRATCH: usize = 16_384;

/// Where the content of a clip comes from.
pub enum Reader {
    /// Media that are missing, or nothing to show.
    Silent,
    /// At the rate of the render: content frame 0 is this source frame.
    Direct(Arc<dyn AudioSource>, u64),
    /// Converted while reading.
    Resampled(Arc<dyn AudioSource>, u64, Arc<Resampler>),
}

/// A clip in song frames with everything resolved.
pub struct ClipPlan {
    pub start: i64,
    pub frames: u64,
    pub slip: i64,
    pub repeat: Option<ClipLoop>,
    pub reverse: bool,
    /// Frames of the content; silence lies around it.
    pub length: u64,
    pub gains: [f64; 2],
    pub fade_in: Fade,
    pub fade_out: Fade,
    pub reader: Reader,
}

/// What reading needs from the node.
pub struct Chunk<'a> {
    pub scratch: &'a mut [Vec<f32>; 2],
    pub may_wait: bool,
    pub missing: u64,
}

impl ClipPlan {
    pub fn end(&self) -> i64 {
        self.start.saturating_add_unsigned(self.frames)
    }

    /// Adds what the clip sounds like from song frame `song` on.
    pub fn add(
        &self,
        chunk: &mut Chunk<'_>,
        song: i64,
        frames: usize,
        sum: &mut [[f64; CHUNK]; 2],
    ) {
        let skip = (self.start - song).clamp(0, frames as i64) as usize;
        let take = (self.end() - song).clamp(skip as i64, frames as i64) as usize;
        let passed = (song + skip as i64 - self.start) as u64;
        let mut raw = [[0.0_f32; CHUNK]; 2];
        self.content(chunk, passed, take - skip, &mut raw);
        for i in 0..take - skip {
            let gain = self.fade(passed + i as u64);
            for channel in 0..2 {
                sum[channel][skip + i] += f64::from(raw[channel][i]) * self.gains[channel] * gain;
            }
        }
    }

    fn fade(&self, passed: u64) -> f64 {
        let left = self.frames.saturating_sub(passed);
        if passed >= self.fade_in.frames && left >= self.fade_out.frames {
            return 1.0;
        }
        fade_gain(&self.fade_in, passed) * fade_gain(&self.fade_out, left)
    }

    /// The content under clip frames `passed..`, in runs without a seam.
    fn content(
        &self,
        chunk: &mut Chunk<'_>,
        passed: u64,
        frames: usize,
        raw: &mut [[f32; CHUNK]; 2],
    ) {
        let mut done = 0;
        while done < frames {
            let position = self.slip.saturating_add_unsigned(passed + done as u64);
            let (found, run) = self.locate(position);
            let run = run.min((frames - done) as u64) as usize;
            if let Some(content) = found {
                let [left, right] = raw;
                let out = [&mut left[done..done + run], &mut right[done..done + run]];
                self.read(chunk, content, out);
            }
            done += run;
        }
    }

    /// The content frame at a position, if any, and how many frames go on from there
    /// in one piece.
    fn locate(&self, position: i64) -> (Option<u64>, u64) {
        let Ok(position) = u64::try_from(position) else {
            return (None, position.unsigned_abs());
        };
        let (at, run) = match self.repeat {
            Some(repeat) if repeat.length > 0 => wrap(position, repeat),
            _ => (position, u64::MAX),
        };
        if at < self.length { (Some(at), run.min(self.length - at)) } else { (None, run) }
    }

    /// Reads content frames from `content` on, backwards where the clip is reversed.
    fn read(&self, chunk: &mut Chunk<'_>, content: u64, out: [&mut [f32]; 2]) {
        let frames = out[0].len() as u64;
        if !self.reverse {
            return self.reader.read(chunk, content, out);
        }
        let [left, right] = out;
        self.reader.read(chunk, self.length - content - frames, [&mut *left, &mut *right]);
        left.reverse();
        right.reverse();
    }

    /// Asks for what `frames` frames from song frame `song` on will need.
    pub fn prefetch(&self, song: i64, frames: usize) {
        let passed = (song - self.start).max(0) as u64;
        let (Some(content), run) = self.locate(self.slip.saturating_add_unsigned(passed)) else {
            return;
        };
        let run = run.min(frames as u64);
        let first = if self.reverse { self.length - content - run } else { content };
        self.reader.prefetch(first, run);
    }
}

/// Where a position lies in content of which a part repeats.
fn wrap(position: u64, repeat: ClipLoop) -> (u64, u64) {
    let end = repeat.start.saturating_add(repeat.length);
    if position < end {
        return (position, end - position);
    }
    let at = repeat.start + (position - repeat.start) % repeat.length;
    (at, end - at)
}

impl Reader {
    fn read(&self, chunk: &mut Chunk<'_>, content: u64, out: [&mut [f32]; 2]) {
        match self {
            Reader::Silent => out.into_iter().for_each(|plane| plane.fill(0.0)),
            Reader::Direct(source, offset) => {
                let may_wait = chunk.may_wait;
                chunk.missing += fill(&**source, offset + content, may_wait, out);
            }
            Reader::Resampled(source, offset, resampler) => {
                resample(chunk, &**source, *offset, resampler, content, out);
            }
        }
    }

    fn prefetch(&self, content: u64, frames: u64) {
        match self {
            Reader::Silent => {}
            Reader::Direct(source, offset) => source.prefetch(offset + content, frames),
            Reader::Resampled(source, offset, resampler) => {
                let first = resampler.span(content, 1).start + *offset as i64;
                let step = resampler.step().as_f64();
                let length = (frames as f64 * step) as u64 + 2 * resampler.reach() as u64;
                source.prefetch(first.max(0) as u64, length);
            }
        }
    }
}

/// Material before and behind the clip's range takes part in the interpolation at its
/// edges, so that a cut through running audio is not a step.
pub fn resample(
    chunk: &mut Chunk<'_>,
    source: &dyn AudioSource,
    offset: u64,
    resampler: &Resampler,
    content: u64,
    out: [&mut [f32]; 2],
) {
    let span = resampler.span(content, out[0].len());
    let from = (span.start + offset as i64).clamp(0, source.frames() as i64);
    let to = (span.end + offset as i64).clamp(from, source.frames() as i64);
    let length = ((to - from) as usize).min(SCRATCH);
    let may_wait = chunk.may_wait;
    let [left, right] = &mut *chunk.scratch;
    let (left, right) = (&mut left[..length], &mut right[..length]);
    chunk.missing += fill(source, from as u64, may_wait, [&mut *left, &mut *right]);
    let input_start = from - offset as i64;
    let [out_left, out_right] = out;
    resampler.render(content, input_start, left, out_left);
    if source.channels() < 2 {
        out_right.copy_from_slice(out_left);
    } else {
        resampler.render(content, input_start, right, out_right);
    }
}

/// Reads two channels (one source channel serves both) and returns how many frames
/// should have been there and were not. What is not a number is silence.
fn fill(source: &dyn AudioSource, start: u64, may_wait: bool, out: [&mut [f32]; 2]) -> u64 {
    let [left, right] = out;
    let mono = source.channels() < 2;
    let wanted = source.frames().saturating_sub(start).min(left.len() as u64) as usize;
    let found = if mono {
        get(source, start, may_wait, &mut [&mut left[..wanted]])
    } else {
        get(source, start, may_wait, &mut [&mut left[..wanted], &mut right[..wanted]])
    };
    left[found..].fill(0.0);
    clean(left);
    if mono {
        right.copy_from_slice(left);
    } else {
        right[found..].fill(0.0);
        clean(right);
    }
    (wanted - found) as u64
}

fn get(source: &dyn AudioSource, start: u64, may_wait: bool, out: &mut [&mut [f32]]) -> usize {
    let wanted = out.first().map_or(0, |plane| plane.len());
    let found = if may_wait {
        source.read_blocking(start, out).unwrap_or(0)
    } else {
        source.read(start, out)
    };
    found.min(wanted)
}

fn clean(plane: &mut [f32]) {
    for sample in plane {
        if !sample.is_finite() {
            *sample = 0.0;
        }
    }
}
