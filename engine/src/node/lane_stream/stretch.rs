//! Changing the length of audio, behind a trait: the stretcher is a crate today and
//! may be another one tomorrow.

use timestretch::{
    Backend, Parameters, PitchRatio, RatePolicy, RatioConstraint, SessionConfig, SessionError,
    TempoRate, render,
};

use crate::{
    buffer::{AudioBuffer, BufferError},
    resample::{ResampleError, Resampler, Step},
};

#[derive(Debug, thiserror::Error)]
pub enum StretchError {
    #[error("tempo {tempo} at {semitones} semitones is out of reach; choose smaller changes")]
    Range { tempo: f64, semitones: f64 },
    #[error("the stretcher gave up ({0:?}); check the rate of the media")]
    Session(SessionError),
    #[error(transparent)]
    Resample(#[from] ResampleError),
    #[error(transparent)]
    Buffer(#[from] BufferError),
}

/// Makes audio last longer or shorter. Off the audio thread.
pub trait Stretcher {
    /// `source` at `rate`, `tempo` times as fast, shifted by `semitones`. The result has
    /// the source's length × rate ratio / tempo, give or take a frame.
    fn stretch(
        &self,
        source: &AudioBuffer,
        rate: u32,
        tempo: f64,
        semitones: f64,
    ) -> Result<AudioBuffer, StretchError>;
}

/// Length and pitch apart from each other: the `timestretch` crate.
pub struct Elastic;

impl Stretcher for Elastic {
    fn stretch(
        &self,
        source: &AudioBuffer,
        rate: u32,
        tempo: f64,
        semitones: f64,
    ) -> Result<AudioBuffer, StretchError> {
        let out_of_range = |_| StretchError::Range { tempo, semitones };
        let parameters = Parameters {
            tempo: TempoRate::new(tempo).map_err(out_of_range)?,
            pitch: PitchRatio::from_semitones(semitones).map_err(out_of_range)?,
            constraint: RatioConstraint::PreserveDuration,
        };
        parameters.validate().map_err(out_of_range)?;
        let config = SessionConfig {
            source_sample_rate: source.rate(),
            output_sample_rate: rate,
            channels: source.channels(),
            backend: Backend::Portable,
            rate_policy: RatePolicy::AllowConversion,
            parameters,
            ..SessionConfig::default()
        };
        let made = render(&interleaved(source), config).map_err(StretchError::Session)?;
        let channels = source.channels();
        let planes: Vec<Vec<f32>> = (0..channels)
            .map(|channel| made.samples.iter().skip(channel).step_by(channels).copied().collect())
            .collect();
        Ok(AudioBuffer::from_channels(rate, &planes)?)
    }
}

fn interleaved(source: &AudioBuffer) -> Vec<f32> {
    let planes = source.planes();
    (0..source.frames()).flat_map(|frame| planes.iter().map(move |plane| plane[frame])).collect()
}

/// Length and pitch together, like a tape: resampling. Ignores `semitones`.
pub struct Tape;

impl Stretcher for Tape {
    fn stretch(
        &self,
        source: &AudioBuffer,
        rate: u32,
        tempo: f64,
        _: f64,
    ) -> Result<AudioBuffer, StretchError> {
        let step = Step::with_speed(source.rate(), rate, tempo)?;
        let resampler = Resampler::new(step);
        let frames = step.output_frames(source.frames() as u64) as usize;
        let mut made = AudioBuffer::silent(rate, source.channels(), frames);
        for channel in 0..source.channels() {
            resampler.render(0, 0, source.channel(channel), made.channel_mut(channel));
        }
        Ok(made)
    }
}
