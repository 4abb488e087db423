//! Short-time spectra: Hann windows at a fixed hop, amplitude or power per bin.
//!
//! Frame n is centred on sample n · hop (what lies outside is silence), so a
//! feature's time is its index times the hop, with no offset to remember.

use std::sync::Arc;

use rustfft::{Fft, FftPlannerScalar, num_complex::Complex32};

/// A windowed transform of one size, scaled so that a sine of amplitude 1 in
/// the middle of a bin has magnitude 1.
pub struct Spectrum {
    fft: Arc<dyn Fft<f32>>,
    window: Vec<f32>,
    buffer: Vec<Complex32>,
    scratch: Vec<Complex32>,
    scale: f32,
}

impl Spectrum {
    pub fn new(size: usize) -> Spectrum {
        let size = size.max(2);
        let fft = FftPlannerScalar::new().plan_fft_forward(size);
        let step = std::f64::consts::TAU / size as f64;
        let window: Vec<f32> =
            (0..size).map(|n| (0.5 - 0.5 * libm::cos(step * n as f64)) as f32).collect();
        let scratch = vec![Complex32::default(); fft.get_inplace_scratch_len()];
        // The mean of the window is 1/2, and half of a sine's power lies at
        // negative frequencies.
        let scale = 4.0 / size as f32;
        Spectrum { fft, window, buffer: vec![Complex32::default(); size], scratch, scale }
    }

    pub fn size(&self) -> usize {
        self.window.len()
    }

    /// Bins from 0 Hz to the Nyquist frequency.
    pub fn bins(&self) -> usize {
        self.size() / 2 + 1
    }

    /// Magnitudes of `size` samples; fewer are taken as followed by silence.
    pub fn magnitudes(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.buffer.fill(Complex32::default());
        for ((cell, sample), gain) in self.buffer.iter_mut().zip(samples).zip(&self.window) {
            *cell = Complex32::new(sample * gain, 0.0);
        }
        self.fft.process_with_scratch(&mut self.buffer, &mut self.scratch);
        out.clear();
        let bins = self.bins();
        out.extend(self.buffer[..bins].iter().map(|cell| cell.norm_sqr().sqrt() * self.scale));
    }
}

/// Cuts a stream into centred windows.
pub struct Frames {
    spectrum: Spectrum,
    hop: usize,
    held: Vec<f32>,
    magnitudes: Vec<f32>,
    received: u64,
    delivered: u64,
}

impl Frames {
    pub fn new(size: usize, hop: usize) -> Frames {
        let spectrum = Spectrum::new(size);
        let held = vec![0.0; spectrum.size() / 2];
        let hop = hop.clamp(1, spectrum.size());
        Frames { spectrum, hop, held, magnitudes: Vec::new(), received: 0, delivered: 0 }
    }

    pub fn hop(&self) -> usize {
        self.hop
    }

    pub fn bins(&self) -> usize {
        self.spectrum.bins()
    }

    /// Passes on the magnitudes of every window that is complete.
    pub fn push(&mut self, mono: &[f32], mut take: impl FnMut(&[f32])) {
        const PIECE: usize = 1 << 14;
        for piece in mono.chunks(PIECE) {
            self.held.extend_from_slice(piece);
            self.received += piece.len() as u64;
            self.drain(&mut take);
        }
    }

    /// Completes the last windows: 1 + (length − 1) / hop in all, none of nothing.
    pub fn finish(mut self, mut take: impl FnMut(&[f32])) {
        let windows = self.received.div_ceil(self.hop as u64);
        while self.delivered < windows {
            let missing = self.spectrum.size().saturating_sub(self.held.len());
            self.held.extend(std::iter::repeat_n(0.0, missing));
            self.deliver(0, &mut take);
            self.held.drain(..self.hop);
        }
    }

    fn drain(&mut self, take: &mut impl FnMut(&[f32])) {
        let mut start = 0;
        while start + self.spectrum.size() <= self.held.len() {
            self.deliver(start, take);
            start += self.hop;
        }
        self.held.drain(..start);
    }

    fn deliver(&mut self, start: usize, take: &mut impl FnMut(&[f32])) {
        let window = &self.held[start..start + self.spectrum.size()];
        self.spectrum.magnitudes(window, &mut self.magnitudes);
        self.delivered += 1;
        take(&self.magnitudes);
    }
}

/// The mean power spectrum of a stretch of audio as amplitudes per bin, each
/// that of the sine which would have this power.
pub fn spectrum_of(mono: &[f32], size: usize) -> Vec<f32> {
    let mut frames = Frames::new(size, size / 2);
    let mut power = vec![0.0f64; frames.bins()];
    let mut windows = 0u32;
    let mut add = |magnitudes: &[f32]| {
        windows += 1;
        for (sum, magnitude) in power.iter_mut().zip(magnitudes) {
            *sum += f64::from(*magnitude) * f64::from(*magnitude);
        }
    };
    frames.push(mono, &mut add);
    frames.finish(&mut add);
    let count = f64::from(windows.max(1));
    power.iter().map(|sum| (sum / count).sqrt() as f32).collect()
}
