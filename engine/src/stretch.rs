//! Time-stretch and pitch-shift of whole pieces, behind a trait.
//!
//! Stretching is done off the audio thread and its result is cached by content,
//! so the trait is whole-buffer: the exact length is a promise that a streaming
//! interface could not keep. The default is the `timestretch` crate: pure Rust, and 74 dB
//! on a sine where its rivals give 50. Its kernel runs from `vendor/`, with a transform and
//! transcendentals that give the same bits on every machine; the published one takes what
//! processor and C library offer.

use timestretch::{
    AppliedParameters, Backend, DurationRatio, Parameters, PitchRatio, PreparedSession,
    RatioConstraint, SessionConfig, SessionError,
};

use crate::{
    buffer::{AudioBuffer, BufferError},
    resample::{ResampleError, Resampler, Step},
};

/// What a stretch algorithm is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StretchRequest {
    /// Output length over input length; 2 is half the tempo.
    pub duration: f64,
    /// Semitones up.
    pub pitch: f64,
}

impl StretchRequest {
    pub fn output_frames(&self, frames: usize) -> usize {
        (frames as f64 * self.duration).round() as usize
    }

    fn is_identity(&self) -> bool {
        self.duration == 1.0 && self.pitch == 0.0
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StretchError {
    #[error(
        "cannot stretch to {duration} times the length at {pitch} semitones; use 0.25 to 32 times \
         and −24 to 24 semitones, and less of one with more of the other"
    )]
    Range { duration: f64, pitch: f64 },
    #[error("the stretched audio needs {frames} frames, which exceeds memory; split the clip")]
    TooLong { frames: f64 },
    #[error("the input holds a sample that is not finite at frame {frame}; decode it again")]
    NotFinite { frame: usize },
    #[error("the stretcher failed ({reason}); render the clip without stretching")]
    Failed { reason: String },
    #[error(transparent)]
    Rate(#[from] ResampleError),
    #[error(transparent)]
    Buffer(#[from] BufferError),
}

/// An algorithm: pure, so that equal input gives equal bits on every machine.
pub trait Stretcher: Send + Sync {
    /// Part of cache keys: changes whenever results may.
    fn version(&self) -> &'static str;

    /// Exactly `request.output_frames(input.frames())` frames at the same rate.
    fn stretch(
        &self,
        input: &AudioBuffer,
        request: StretchRequest,
    ) -> Result<AudioBuffer, StretchError>;
}

/// The `timestretch` crate. Channels beyond two are stretched in pairs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timestretch;

/// Rates that its core runs at; all others are resampled by us, exactly.
const CORE_RATES: [u32; 3] = [44_100, 48_000, 96_000];
const MAX_FRAMES: f64 = (1u64 << 32) as f64;

impl Stretcher for Timestretch {
    fn version(&self) -> &'static str {
        "timestretch-0.16.0-portable/1"
    }

    fn stretch(
        &self,
        input: &AudioBuffer,
        request: StretchRequest,
    ) -> Result<AudioBuffer, StretchError> {
        let parameters = parameters(request)?;
        let frames = input.frames() as f64 * request.duration;
        if frames > MAX_FRAMES {
            return Err(StretchError::TooLong { frames });
        }
        check_finite(input)?;
        let target = request.output_frames(input.frames());
        if input.frames() == 0 || target == 0 {
            return Ok(AudioBuffer::silent(input.rate(), input.channels(), target));
        }
        if request.is_identity() {
            return Ok(input.clone());
        }
        let mut planes = Vec::with_capacity(input.channels());
        for first in (0..input.channels()).step_by(2) {
            let count = (input.channels() - first).min(2);
            let pair: Vec<&[f32]> = (first..first + count).map(|c| input.channel(c)).collect();
            planes.extend(stretch_pair(&pair, input.rate(), parameters, target)?);
        }
        Ok(AudioBuffer::from_channels(input.rate(), &planes)?)
    }
}

fn parameters(request: StretchRequest) -> Result<Parameters, StretchError> {
    let StretchRequest { duration, pitch } = request;
    let range = |_: SessionError| StretchError::Range { duration, pitch };
    let parameters = Parameters {
        tempo: DurationRatio::new(duration).map_err(range)?.tempo(),
        pitch: PitchRatio::new(libm::exp2(pitch / 12.0)).map_err(range)?,
        // Hops are whole frames; the length is what must hold, so the pitch
        // gives way (by up to three cents).
        constraint: RatioConstraint::PreserveDuration,
    };
    parameters.validate().map_err(range)?;
    Ok(parameters)
}

fn check_finite(input: &AudioBuffer) -> Result<(), StretchError> {
    for plane in input.planes() {
        if let Some(frame) = plane.iter().position(|sample| !sample.is_finite()) {
            return Err(StretchError::NotFinite { frame });
        }
    }
    Ok(())
}

fn stretch_pair(
    planes: &[&[f32]],
    rate: u32,
    parameters: Parameters,
    target: usize,
) -> Result<Vec<Vec<f32>>, StretchError> {
    let core = if CORE_RATES.contains(&rate) { rate } else { nearest_core(rate) };
    let inside = resampled(planes, rate, core)?;
    let channels = planes.len();
    let input = interleave(&inside);
    let config = |parameters| session_config(core, channels, parameters);
    let best = best_parameters(parameters, config)?;
    let rendered = timestretch::render(&input, config(best)).map_err(failed)?;
    let outside = deinterleave(&rendered.samples, channels);
    let slices: Vec<&[f32]> = outside.iter().map(Vec::as_slice).collect();
    let mut outside = resampled(&slices, core, rate)?;
    // What is left to correct is the rounding of hops: a few frames at the end.
    outside.iter_mut().for_each(|plane| plane.resize(target, 0.0));
    Ok(outside)
}

fn session_config(rate: u32, channels: usize, parameters: Parameters) -> SessionConfig {
    SessionConfig {
        source_sample_rate: rate,
        output_sample_rate: rate,
        channels,
        backend: Backend::Portable,
        parameters,
        ..SessionConfig::default()
    }
}

fn applied(config: SessionConfig) -> Result<AppliedParameters, StretchError> {
    Ok(PreparedSession::new(config).map_err(failed)?.activate().applied_parameters())
}

fn failed(error: SessionError) -> StretchError {
    StretchError::Failed { reason: format!("{error:?}") }
}

/// The crate rounds hops down, which leaves the pitch up to four cents flat;
/// asking for as much more reaches the hop above, and the nearer one is taken.
fn best_parameters(
    wanted: Parameters,
    config: impl Fn(Parameters) -> SessionConfig,
) -> Result<Parameters, StretchError> {
    let target: f64 = wanted.pitch.get();
    let error = |found: f64| (found / target - 1.0).abs();
    let below: f64 = applied(config(wanted))?.achieved_pitch;
    let missing = (2.0 - below / target).clamp(1.0, 1.01);
    let Ok(pitch) = PitchRatio::new(target * missing * 1.000_001) else { return Ok(wanted) };
    let higher = Parameters { pitch, ..wanted };
    if higher.validate().is_err() {
        return Ok(wanted);
    }
    let above = applied(config(higher))?.achieved_pitch;
    Ok(if error(above) < error(below) { higher } else { wanted })
}

fn nearest_core(rate: u32) -> u32 {
    if rate > 48_000 { 96_000 } else { 48_000 }
}

fn resampled(planes: &[&[f32]], from: u32, to: u32) -> Result<Vec<Vec<f32>>, StretchError> {
    if from == to {
        return Ok(planes.iter().map(|plane| plane.to_vec()).collect());
    }
    let resampler = Resampler::new(Step::between(from, to)?);
    let convert = |plane: &&[f32]| {
        let frames = resampler.step().output_frames(plane.len() as u64) as usize;
        let mut out = vec![0.0; frames];
        resampler.render(0, 0, plane, &mut out);
        out
    };
    Ok(planes.iter().map(convert).collect())
}

fn interleave(planes: &[Vec<f32>]) -> Vec<f32> {
    let frames = planes.first().map_or(0, Vec::len);
    (0..frames).flat_map(|frame| planes.iter().map(move |plane| plane[frame])).collect()
}

fn deinterleave(samples: &[f32], channels: usize) -> Vec<Vec<f32>> {
    (0..channels).map(|c| samples.iter().skip(c).step_by(channels).copied().collect()).collect()
}

#[cfg(test)]
mod tests;
