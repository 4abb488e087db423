//! A ring of past samples with whole and fractional reads.
//!
//! For saved state the ring is turned so that the oldest sample comes first: two
//! lines that hold the same past save the same bytes wherever their write heads
//! stand, and what no read can reach is left out.

use super::oscillator::lagrange4;
use crate::node::StateVisitor;

/// Below this a sample written into a feedback path counts as silence (−300 dB), so
/// that loops end instead of creeping through denormal numbers.
pub const SILENCE: f64 = 1e-15;

/// Above this, or not a number, a sample came from bad input and is dropped.
const RUNAWAY: f64 = 1e30;

/// Zero for what is below [`SILENCE`] and for what would poison a loop for good.
#[inline]
pub fn flush(x: f64) -> f64 {
    if (SILENCE..RUNAWAY).contains(&x.abs()) { x } else { 0.0 }
}

/// Frames of margin a fractional read needs behind its position.
const MARGIN: usize = 3;

/// Past samples of one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DelayLine {
    ring: Vec<f64>,
    /// Where the next sample goes, which is where the oldest lies.
    head: usize,
    longest: usize,
}

impl DelayLine {
    /// Silence, long enough for delays up to `longest` frames.
    pub fn new(longest: usize) -> DelayLine {
        DelayLine { ring: vec![0.0; (longest + MARGIN).next_power_of_two()], head: 0, longest }
    }

    /// The longest delay that may be read.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Forgets the past.
    pub fn clear(&mut self) {
        self.ring.fill(0.0);
        self.head = 0;
    }

    /// Appends a sample.
    #[inline]
    pub fn push(&mut self, sample: f64) {
        if let Some(slot) = self.ring.get_mut(self.head) {
            *slot = sample;
            self.head = (self.head + 1) & (self.ring.len() - 1);
        }
    }

    /// The sample pushed `delay` pushes before the next one: 1 is the latest.
    #[inline]
    pub fn read(&self, delay: usize) -> f64 {
        let mask = self.ring.len().wrapping_sub(1);
        self.ring.get(self.head.wrapping_sub(delay) & mask).copied().unwrap_or(0.0)
    }

    /// A read between samples, third order; `delay` is at least 2 frames.
    #[inline]
    pub fn read_between(&self, delay: f64) -> f64 {
        let whole = delay as usize;
        let fraction = delay - whole as f64;
        if fraction == 0.0 {
            return self.read(whole);
        }
        lagrange4(
            self.read(whole - 1),
            self.read(whole),
            self.read(whole + 1),
            self.read(whole + 2),
            fraction,
        )
    }

    /// The past that a read can still reach, oldest sample first.
    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        self.ring.rotate_left(self.head);
        self.head = 0;
        let out_of_reach = self.ring.len().saturating_sub(self.longest + MARGIN);
        let (beyond, past) = self.ring.split_at_mut(out_of_reach);
        beyond.fill(0.0);
        visitor.f64s(past);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(frames: usize) -> DelayLine {
        let mut line = DelayLine::new(20);
        (1..=frames).for_each(|i| line.push(i as f64));
        line
    }

    #[test]
    fn a_read_finds_the_sample_of_that_age() {
        let line = filled(50);
        assert_eq!(line.read(1), 50.0);
        assert_eq!(line.read(20), 31.0);
        assert_eq!(line.read_between(7.0), line.read(7));
        assert!((line.read_between(7.25) - 43.75).abs() < 1e-12);
        assert!(line.longest() >= 20);
    }

    struct Tape(Vec<f64>, bool);

    impl StateVisitor for Tape {
        fn f64(&mut self, value: &mut f64) {
            if self.1 {
                *value = self.0.remove(0);
            } else {
                self.0.push(*value);
            }
        }
        fn u64(&mut self, _: &mut u64) {}
        fn f32s(&mut self, _: &mut [f32]) {}
    }

    #[test]
    fn saving_and_loading_keeps_what_a_read_finds() {
        let mut tape = Tape(Vec::new(), false);
        let mut line = filled(11);
        line.visit(&mut tape);
        let mut again = Tape(Vec::new(), false);
        line.visit(&mut again);
        assert_eq!(tape.0, again.0, "saving changes nothing");
        tape.1 = true;
        let mut other = filled(45);
        other.visit(&mut tape);
        (1..=22).for_each(|delay| assert_eq!(other.read(delay), line.read(delay)));
        assert_eq!(other, line);
        assert!(tape.0.is_empty());
    }

    #[test]
    fn an_empty_line_is_silent() {
        let mut line = DelayLine::default();
        line.push(1.0);
        assert_eq!(line.read(5), 0.0);
        assert_eq!(line.longest(), 0);
    }
}
