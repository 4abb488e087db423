//! Ears on single outputs: the samples of whichever outputs somebody looks at,
//! on their way to spectra, phase and loudness.
//!
//! A scope is made off the audio thread and travels there in a parcel, so that
//! an engine that nobody looks at keeps no rings. When nobody empties a ring,
//! what is new is dropped: the audio thread never waits for a meter.

use std::sync::Arc;

use pulse_schemas::graph::OutputKind;
use rtrb::{Consumer, Producer, RingBuffer, chunks::ChunkError};

use crate::{analysis::Spectrum, dsp::loudness::Loudness, plan::Plan};

/// Outputs that can be looked at at once.
pub const SCOPES: usize = 64;
/// Samples that are kept for a spectrum: enough for the finest bands.
const WINDOW: usize = 8_192;
/// The smallest transform: bins of about 12 Hz at 48 kHz.
const TRANSFORM: usize = 4_096;
/// Frames of loudness that are weighted at once.
const CELL: usize = 64;
/// What silence reads in LUFS, because frames carry finite numbers only.
pub const SILENCE_LUFS: f64 = -144.0;

/// The end that the audio thread feeds.
pub struct Scope {
    of: OutputKind,
    ring: Producer<[f32; 2]>,
}

/// The scopes of an engine, by slot.
pub(crate) struct Scopes {
    slots: [Option<Box<Scope>>; SCOPES],
    /// The output of the running plan that each slot hears.
    bound: [Option<usize>; SCOPES],
}

/// All of it is called on the real-time thread.
impl Scopes {
    pub fn new() -> Scopes {
        Scopes { slots: [const { None }; SCOPES], bound: [None; SCOPES] }
    }

    /// Puts a scope into its slot and gives back what was there.
    pub fn replace(
        &mut self,
        slot: usize,
        scope: Option<Box<Scope>>,
        plan: Option<&Arc<Plan>>,
    ) -> Option<Box<Scope>> {
        let Some(held) = self.slots.get_mut(slot) else { return scope };
        let before = std::mem::replace(held, scope);
        self.bound[slot] = bind(self.slots[slot].as_deref(), plan.map(|plan| &**plan));
        before
    }

    /// Another plan has its outputs at other places.
    pub fn rebind(&mut self, plan: &Plan) {
        for (bound, slot) in self.bound.iter_mut().zip(&self.slots) {
            *bound = bind(slot.as_deref(), Some(plan));
        }
    }

    /// Hands every scope its output: `pair` gives both sides of one. A scope whose
    /// output doesn't play hears silence, so that its meters fall.
    pub fn hear(
        &mut self,
        frames: usize,
        mut feed: impl FnMut(usize, &mut dyn FnMut([&[f32]; 2])),
    ) {
        for (slot, bound) in self.slots.iter_mut().zip(&self.bound) {
            let Some(scope) = slot else { continue };
            match bound {
                Some(output) => feed(*output, &mut |sides| scope.push(sides, frames)),
                None => scope.rest(frames),
            }
        }
    }

    /// Nothing sounds.
    pub fn rest(&mut self, frames: usize) {
        self.slots.iter_mut().flatten().for_each(|scope| scope.rest(frames));
    }
}

fn bind(scope: Option<&Scope>, plan: Option<&Plan>) -> Option<usize> {
    let of = scope?.of;
    plan?.outputs.iter().position(|output| output.kind == of)
}

impl Scope {
    fn push(&mut self, [left, right]: [&[f32]; 2], frames: usize) {
        let sides = left.iter().zip(right).map(|(&left, &right)| [left, right]);
        self.write(sides, frames);
    }

    fn rest(&mut self, frames: usize) {
        self.write(std::iter::repeat_n([0.0; 2], frames), frames);
    }

    fn write(&mut self, sides: impl Iterator<Item = [f32; 2]>, frames: usize) {
        let chunk = match self.ring.write_chunk_uninit(frames) {
            Ok(chunk) => chunk,
            Err(ChunkError::TooFewSlots(0)) => return,
            Err(ChunkError::TooFewSlots(room)) => match self.ring.write_chunk_uninit(room) {
                Ok(chunk) => chunk,
                Err(_) => return,
            },
        };
        chunk.fill_from_iter(sides);
    }
}

/// The end that somebody looks at.
pub struct Listener {
    ring: Consumer<[f32; 2]>,
    window: Vec<[f32; 2]>,
    loudness: Option<Loudness>,
    mono: Vec<f32>,
}

/// Both ends of a scope; `loud` where loudness will be asked for, which has to
/// hear everything from the start on.
pub fn pair(of: OutputKind, rate: u32, loud: bool) -> (Box<Scope>, Listener) {
    let (producer, ring) = RingBuffer::new(rate.max(8_000) as usize);
    let listener = Listener {
        ring,
        window: Vec::with_capacity(2 * WINDOW),
        loudness: loud.then(|| Loudness::new(f64::from(rate))),
        mono: Vec::with_capacity(WINDOW),
    };
    (Box::new(Scope { of, ring: producer }), listener)
}

impl Listener {
    /// Takes in what has sounded since the last time.
    pub fn listen(&mut self) {
        let mut cell = [[0.0f64; 2]; CELL];
        let Ok(chunk) = self.ring.read_chunk(self.ring.slots()) else { return };
        let (first, second) = chunk.as_slices();
        for part in [first, second] {
            if let Some(loudness) = &mut self.loudness {
                for frames in part.chunks(CELL) {
                    for (cell, frame) in cell.iter_mut().zip(frames) {
                        *cell = frame.map(f64::from);
                    }
                    loudness.push(&mut cell[..frames.len()]);
                }
                loudness.settle();
            }
            self.window.extend(&part[part.len().saturating_sub(WINDOW)..]);
        }
        chunk.commit_all();
        let surplus = self.window.len().saturating_sub(WINDOW);
        self.window.drain(..surplus);
    }

    /// The largest magnitude in each of `bands` bands of equal width from 0 Hz to
    /// half the rate: a sine of amplitude 1 reads about 1 in its band.
    pub fn spectrum(&mut self, transform: &mut Spectrum, bands: usize, out: &mut Vec<f32>) {
        let size = transform.size();
        let first = self.window.len().saturating_sub(size);
        self.mono.clear();
        // What has not sounded yet is silence before the rest.
        self.mono.resize(size.saturating_sub(self.window.len()), 0.0);
        self.mono.extend(self.window[first..].iter().map(|[left, right]| (left + right) * 0.5));
        let mut magnitudes = Vec::with_capacity(transform.bins());
        transform.magnitudes(&self.mono, &mut magnitudes);
        let bins = transform.bins() - 1;
        let start = out.len();
        out.resize(start + bands, 0.0);
        for (bin, magnitude) in magnitudes[..bins].iter().enumerate() {
            let band = &mut out[start + bin * bands / bins];
            *band = band.max(*magnitude);
        }
    }

    /// Correlation of both sides, 1 for the same and −1 for the opposite, and
    /// balance, −1 for left only and 1 for right only, over the last moment.
    pub fn phase(&self) -> [f32; 2] {
        let first = self.window.len().saturating_sub(TRANSFORM);
        let (mut left, mut right, mut both) = (0.0f64, 0.0f64, 0.0f64);
        for frame in &self.window[first..] {
            let [a, b] = frame.map(f64::from);
            left += a * a;
            right += b * b;
            both += a * b;
        }
        let power = (left * right).sqrt();
        let correlation = if power > 1e-12 { both / power } else { 0.0 };
        let balance = if left + right > 1e-12 { (right - left) / (left + right) } else { 0.0 };
        [correlation.clamp(-1.0, 1.0) as f32, balance as f32]
    }

    /// Momentary, short-term and integrated loudness in LUFS.
    pub fn loudness(&self) -> [f32; 3] {
        let Some(meter) = &self.loudness else { return [SILENCE_LUFS as f32; 3] };
        [meter.momentary(), meter.short_term(), meter.integrated()]
            .map(|lufs| lufs.max(SILENCE_LUFS) as f32)
    }

    /// Begins a new measurement.
    pub fn restart(&mut self) {
        self.window.clear();
        if let Some(loudness) = &mut self.loudness {
            loudness.restart();
        }
    }
}

/// The size of the transform that so many bands need.
pub fn transform_size(bands: usize) -> usize {
    (2 * bands).next_power_of_two().clamp(TRANSFORM, WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    fn heard(left: impl Fn(f64) -> f64, right: impl Fn(f64) -> f64) -> Listener {
        let (mut scope, mut listener) = pair(OutputKind::Master, RATE, true);
        for block in 0..60 {
            let time = |frame: usize| (block * 512 + frame) as f64 / f64::from(RATE);
            let side = |wave: &dyn Fn(f64) -> f64| -> Vec<f32> {
                (0..512).map(|frame| wave(time(frame)) as f32).collect()
            };
            let (left, right) = (side(&left), side(&right));
            scope.push([&left, &right], 512);
            listener.listen();
        }
        listener
    }

    fn sine(hertz: f64, gain: f64) -> impl Fn(f64) -> f64 {
        move |time| gain * libm::sin(std::f64::consts::TAU * hertz * time)
    }

    #[test]
    fn a_sine_peaks_in_its_band_whatever_the_number_of_bands() {
        for bands in [16, 100, 512, 2_048, 4_096] {
            let mut listener = heard(sine(3_000.0, 0.5), sine(3_000.0, 0.5));
            let mut out = vec![];
            listener.spectrum(&mut Spectrum::new(transform_size(bands)), bands, &mut out);
            let loudest = (0..bands).max_by(|a, b| out[*a].total_cmp(&out[*b])).unwrap();
            let (low, high) = (loudest * 24_000 / bands, (loudest + 1) * 24_000 / bands);
            assert!((low..=high).contains(&3_000), "{bands} bands: {low} to {high} Hz");
            assert!((0.4..0.51).contains(&out[loudest]), "{}", out[loudest]);
        }
    }

    #[test]
    fn phase_and_balance_are_those_of_the_sides() {
        let check = |left: f64, right: f64, expect: [f32; 2]| {
            let [correlation, balance] = heard(sine(997.0, left), sine(997.0, right)).phase();
            assert!((correlation - expect[0]).abs() < 1e-3, "{left} {right}: {correlation}");
            assert!((balance - expect[1]).abs() < 1e-3, "{left} {right}: {balance}");
        };
        check(0.5, 0.5, [1.0, 0.0]);
        check(0.5, -0.5, [-1.0, 0.0]);
        check(0.5, 0.0, [0.0, -1.0]);
        check(0.0, 0.0, [0.0, 0.0]);
    }

    #[test]
    fn loudness_is_that_of_the_tone_and_silence_is_a_number() {
        // 0 dBFS at 997 Hz on one side is −3.01 LUFS.
        let [momentary, ..] = heard(sine(997.0, 1.0), sine(997.0, 0.0)).loudness();
        assert!((momentary + 3.01).abs() < 0.05, "{momentary}");
        assert_eq!(heard(sine(1.0, 0.0), sine(1.0, 0.0)).loudness(), [-144.0; 3]);
    }

    #[test]
    fn a_ring_that_nobody_empties_drops_what_is_new() {
        let (mut scope, mut listener) = pair(OutputKind::Master, 8_000, false);
        for _ in 0..40 {
            scope.rest(512);
        }
        listener.listen();
        assert_eq!(listener.window.len(), 8_000);
    }
}
