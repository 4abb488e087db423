//! The two ways in which a piece of a clip changes its length, off the audio thread.

use crate::{
    buffer::AudioBuffer,
    resample::{Resampler, Step},
    stretch::{StretchRequest, Stretcher, Timestretch},
};

/// A piece at another rate, so many times as fast, shifted by semitones; `None` where
/// that is out of reach.
pub type Method = fn(&AudioBuffer, u32, f64, f64) -> Option<AudioBuffer>;

/// Length and pitch apart from each other.
pub fn elastic(source: &AudioBuffer, rate: u32, tempo: f64, semitones: f64) -> Option<AudioBuffer> {
    let request = StretchRequest { duration: 1.0 / tempo, pitch: semitones };
    let stretched = Timestretch.stretch(source, request).ok()?;
    tape(&stretched, rate, 1.0, 0.0)
}

/// Length and pitch together, like a tape: resampling. Ignores the semitones.
pub fn tape(source: &AudioBuffer, rate: u32, tempo: f64, _: f64) -> Option<AudioBuffer> {
    let step = Step::with_speed(source.rate(), rate, tempo).ok()?;
    let resampler = Resampler::new(step);
    let frames = step.output_frames(source.frames() as u64) as usize;
    let mut made = AudioBuffer::silent(rate, source.channels(), frames);
    for channel in 0..source.channels() {
        resampler.render(0, 0, source.channel(channel), made.channel_mut(channel));
    }
    Some(made)
}
