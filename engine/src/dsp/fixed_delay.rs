//! A delay of a fixed number of frames, for look-ahead.
//!
//! The state is walked oldest sample first, so two lines that hold the same sound are the same state
//! however long they have been running.

use crate::node::StateVisitor;

#[derive(Clone, Debug, Default)]
pub struct FixedDelay {
    line: Vec<f32>,
    at: usize,
}

impl FixedDelay {
    pub fn new(frames: usize) -> Self {
        Self { line: vec![0.0; frames], at: 0 }
    }

    pub fn frames(&self) -> usize {
        self.line.len()
    }

    /// The sample from `frames` frames ago.
    #[inline(always)]
    pub fn step(&mut self, sample: f32) -> f32 {
        match self.line.get_mut(self.at) {
            Some(slot) => {
                let out = std::mem::replace(slot, sample);
                self.at += 1;
                if self.at == self.line.len() {
                    self.at = 0;
                }
                out
            }
            None => sample,
        }
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        self.line.rotate_left(self.at);
        self.at = 0;
        visitor.f32s(&mut self.line);
    }

    pub fn clear(&mut self) {
        self.line.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_comes_out_after_exactly_its_delay() {
        for frames in [0, 1, 5] {
            let mut delay = FixedDelay::new(frames);
            let out: Vec<f32> = (1..20u8).map(|n| delay.step(f32::from(n))).collect();
            for (i, y) in out.into_iter().enumerate() {
                assert_eq!(y, (i + 1).saturating_sub(frames) as f32);
            }
        }
    }
}
