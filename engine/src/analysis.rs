//! What can be read off audio: pictures and features, never audio itself.
//!
//! Everything takes a stream piece by piece, in bounded memory, and gives the
//! same numbers however the stream was cut. Transforms run on the scalar FFT
//! planner, so that a vector unit doesn't show in the result.

mod features;
mod overview;
mod spectrum;

pub use features::{Chroma, MelSpectra, OnsetEnvelope};
pub use overview::{OverviewBuilder, OverviewError, Peak, WaveOverview};
pub use spectrum::{Frames, Spectrum, spectrum_of};

/// The most channels any analysis takes.
pub const ANALYSIS_MAX_CHANNELS: usize = 64;

/// The mean of all channels, as features are computed from it.
pub fn mix_to_mono(planes: &[&[f32]], out: &mut Vec<f32>) {
    out.clear();
    let frames = planes.iter().map(|plane| plane.len()).min().unwrap_or(0);
    let gain = 1.0 / planes.len().max(1) as f64;
    out.extend((0..frames).map(|frame| {
        let sum: f64 = planes.iter().map(|plane| f64::from(plane[frame])).sum();
        (sum * gain) as f32
    }));
}

#[cfg(test)]
mod tests;
