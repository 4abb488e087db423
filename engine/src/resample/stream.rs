//! Resampling of a stream that is pushed in pieces: memory is bounded by the
//! piece plus the filter, the result equals a resampling of the whole.

use super::{ResampleError, Resampler, Step};

#[derive(Debug)]
pub struct StreamResampler {
    pub(super) resampler: Resampler,
    pub(super) history: Vec<Vec<f32>>,
    /// The source frame that `history` begins with.
    history_start: i64,
    received: u64,
    produced: u64,
}

impl StreamResampler {
    pub fn new(step: Step, channels: usize) -> StreamResampler {
        StreamResampler {
            resampler: Resampler::new(step),
            history: vec![Vec::new(); channels],
            history_start: 0,
            received: 0,
            produced: 0,
        }
    }

    /// Takes source frames and appends every output frame they complete.
    pub fn push(&mut self, input: &[&[f32]], out: &mut [Vec<f32>]) -> Result<(), ResampleError> {
        self.check_channels(input.len())?;
        self.check_channels(out.len())?;
        for (history, plane) in self.history.iter_mut().zip(input) {
            history.extend_from_slice(plane);
        }
        self.received += input.first().map_or(0, |plane| plane.len()) as u64;
        // An output frame is complete once the last frame of its span is here.
        let known = self.received.saturating_sub(self.resampler.reach() as u64);
        self.produce_until(self.resampler.step().output_frames(known), out);
        self.forget();
        Ok(())
    }

    /// Appends what is left; afterwards exactly `output_frames(received)` frames
    /// have been produced in all.
    pub fn finish(mut self, out: &mut [Vec<f32>]) -> Result<u64, ResampleError> {
        self.check_channels(out.len())?;
        self.produce_until(self.resampler.step().output_frames(self.received), out);
        Ok(self.produced)
    }

    fn check_channels(&self, found: usize) -> Result<(), ResampleError> {
        let expected = self.history.len();
        if found == expected { Ok(()) } else { Err(ResampleError::Channels { expected, found }) }
    }

    fn produce_until(&mut self, end: u64, out: &mut [Vec<f32>]) {
        let count = end.saturating_sub(self.produced) as usize;
        for (history, plane) in self.history.iter().zip(out) {
            let from = plane.len();
            plane.resize(from + count, 0.0);
            let fresh = &mut plane[from..];
            self.resampler.render(self.produced, self.history_start, history, fresh);
        }
        self.produced += count as u64;
    }

    fn forget(&mut self) {
        let needed = self.resampler.span(self.produced, 1).start;
        let surplus = (needed - self.history_start).max(0) as usize;
        for history in &mut self.history {
            history.drain(..surplus.min(history.len()));
        }
        self.history_start += surplus as i64;
    }
}
