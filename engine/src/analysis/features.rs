//! Features over time: mel spectra, onset strength, chroma.
//!
//! Definitions follow librosa's, so that thresholds from the literature hold:
//! Slaney's mel scale with area-normalised triangles, spectral flux over log
//! mel bands, pitch classes from A4 = 440 Hz.

use super::spectrum::Frames;

const SIZE: usize = 2048;
const HOP: usize = 512;
/// Long windows tell neighbouring semitones apart down to about 110 Hz.
const CHROMA_SIZE: usize = 8192;
const CHROMA_HOP: usize = 2048;
const CHROMA_RANGE: [f64; 2] = [110.0, 5_000.0];
const ONSET_BANDS: usize = 40;

/// Power in mel bands; one row of `bands` values per hop.
pub struct MelSpectra {
    frames: Frames,
    bank: MelBank,
    bands: usize,
    rows: Vec<f32>,
}

impl MelSpectra {
    pub fn new(rate: u32, bands: usize) -> MelSpectra {
        let bands = bands.clamp(1, 512);
        let frames = Frames::new(SIZE, HOP);
        MelSpectra { bank: MelBank::new(rate, bands), frames, bands, rows: Vec::new() }
    }

    pub fn hop(&self) -> usize {
        HOP
    }

    pub fn push(&mut self, mono: &[f32]) {
        let (bank, rows) = (&self.bank, &mut self.rows);
        self.frames.push(mono, |magnitudes| bank.apply(magnitudes, rows));
    }

    /// All rows, one after the other.
    pub fn finish(mut self) -> Vec<f32> {
        let (bank, rows) = (&self.bank, &mut self.rows);
        self.frames.finish(|magnitudes| bank.apply(magnitudes, rows));
        debug_assert!(self.rows.len().is_multiple_of(self.bands));
        self.rows
    }
}

/// How strongly something begins at each hop: the rise of log band powers.
pub struct OnsetEnvelope {
    frames: Frames,
    flux: Flux,
}

struct Flux {
    bank: MelBank,
    row: Vec<f32>,
    before: Vec<f64>,
    values: Vec<f32>,
}

impl OnsetEnvelope {
    pub fn new(rate: u32) -> OnsetEnvelope {
        let flux = Flux {
            bank: MelBank::new(rate, ONSET_BANDS),
            row: Vec::new(),
            before: Vec::new(),
            values: Vec::new(),
        };
        OnsetEnvelope { frames: Frames::new(SIZE, HOP), flux }
    }

    pub fn hop(&self) -> usize {
        HOP
    }

    pub fn push(&mut self, mono: &[f32]) {
        let flux = &mut self.flux;
        self.frames.push(mono, |magnitudes| flux.add(magnitudes));
    }

    pub fn finish(self) -> Vec<f32> {
        let mut flux = self.flux;
        self.frames.finish(|magnitudes| flux.add(magnitudes));
        flux.values
    }
}

impl Flux {
    /// Decibels above −80 dB of a full-scale sine, so that noise far below any
    /// signal doesn't count as its beginning.
    fn add(&mut self, magnitudes: &[f32]) {
        self.row.clear();
        self.bank.apply(magnitudes, &mut self.row);
        let level =
            |power: &f32| (10.0 * libm::log10(f64::from(*power).max(1e-12)) + 80.0).max(0.0);
        let now: Vec<f64> = self.row.iter().map(level).collect();
        let rise: f64 = now.iter().zip(&self.before).map(|(a, b)| (a - b).max(0.0)).sum();
        self.values.push((rise / now.len() as f64) as f32);
        self.before = now;
    }
}

/// Energy per pitch class (C first); rows of 12, the largest value 1.
pub struct Chroma {
    frames: Frames,
    fold: Fold,
}

struct Fold {
    /// Pitch class and weight per bin; bins out of range have weight 0.
    classes: Vec<(usize, f64)>,
    rows: Vec<f32>,
}

impl Chroma {
    pub fn new(rate: u32) -> Chroma {
        let frames = Frames::new(CHROMA_SIZE, CHROMA_HOP);
        let width = f64::from(rate) / CHROMA_SIZE as f64;
        let classes = (0..frames.bins()).map(|bin| pitch_class(bin as f64 * width)).collect();
        Chroma { frames, fold: Fold { classes, rows: Vec::new() } }
    }

    pub fn hop(&self) -> usize {
        CHROMA_HOP
    }

    pub fn push(&mut self, mono: &[f32]) {
        let fold = &mut self.fold;
        self.frames.push(mono, |magnitudes| fold.add(magnitudes));
    }

    pub fn finish(self) -> Vec<f32> {
        let mut fold = self.fold;
        self.frames.finish(|magnitudes| fold.add(magnitudes));
        fold.rows
    }
}

impl Fold {
    fn add(&mut self, magnitudes: &[f32]) {
        let mut row = [0.0f64; 12];
        for ((class, weight), magnitude) in self.classes.iter().zip(magnitudes) {
            row[*class] += weight * f64::from(*magnitude) * f64::from(*magnitude);
        }
        let largest = row.iter().fold(0.0f64, |a, b| a.max(*b));
        let gain = if largest > 1e-12 { 1.0 / largest } else { 0.0 };
        self.rows.extend(row.iter().map(|energy| (energy * gain) as f32));
    }
}

/// The nearest pitch class; a bin between two semitones counts for little.
fn pitch_class(frequency: f64) -> (usize, f64) {
    if !(CHROMA_RANGE[0]..=CHROMA_RANGE[1]).contains(&frequency) {
        return (0, 0.0);
    }
    let pitch = 69.0 + 12.0 * libm::log2(frequency / 440.0);
    let nearest = (pitch + 0.5).floor();
    let away = (pitch - nearest) / 0.25;
    (nearest.rem_euclid(12.0) as usize, libm::exp(-0.5 * away * away))
}

/// Triangles on Slaney's mel scale, each of area 2 / width in hertz.
struct MelBank {
    /// Per band: the first bin, and the weights from there on.
    bands: Vec<(usize, Vec<f64>)>,
}

impl MelBank {
    fn new(rate: u32, bands: usize) -> MelBank {
        let top = mel(f64::from(rate) / 2.0);
        let edge = |n: usize| hertz(top * n as f64 / (bands + 1) as f64);
        let width = f64::from(rate) / SIZE as f64;
        let band = |n: usize| triangle([edge(n), edge(n + 1), edge(n + 2)], width);
        MelBank { bands: (0..bands).map(band).collect() }
    }

    fn apply(&self, magnitudes: &[f32], out: &mut Vec<f32>) {
        for (first, weights) in &self.bands {
            let bins = magnitudes.iter().skip(*first);
            let power = |magnitude: &f32| f64::from(*magnitude) * f64::from(*magnitude);
            let sum: f64 = weights.iter().zip(bins).map(|(w, m)| w * power(m)).sum();
            out.push(sum as f32);
        }
    }
}

fn triangle([low, centre, high]: [f64; 3], width: f64) -> (usize, Vec<f64>) {
    let height = 2.0 / (high - low);
    let weight = |bin: usize| {
        let at = bin as f64 * width;
        let rise = (at - low) / (centre - low);
        let fall = (high - at) / (high - centre);
        rise.min(fall).max(0.0) * height
    };
    let first = (low / width).ceil() as usize;
    let last = ((high / width).floor() as usize).min(SIZE / 2);
    (first, (first..=last.max(first)).map(weight).collect())
}

/// Linear to 1 kHz (15 mel), logarithmic above.
fn mel(hertz: f64) -> f64 {
    if hertz < 1_000.0 {
        return hertz * 3.0 / 200.0;
    }
    15.0 + 27.0 * libm::log(hertz / 1_000.0) / libm::log(6.4)
}

fn hertz(mel: f64) -> f64 {
    if mel < 15.0 {
        return mel * 200.0 / 3.0;
    }
    1_000.0 * libm::exp((mel - 15.0) * libm::log(6.4) / 27.0)
}
