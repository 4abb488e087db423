//! Exact sliding minimum and exact sliding mean, the two halves of a look-ahead gain computer.
//!
//! Neither keeps a running sum that could drift: the minimum is an ordered queue, and the mean adds
//! values quantised to 2⁻³⁰, whose sums are exact in `f64`. So what they hold is a function of the
//! last `n` inputs alone, which is what lets an edited render rejoin a cached one.

/// The finest step of a value given to [`SlidingMean`].
pub const QUANTUM: f64 = 1.0 / 1_073_741_824.0;

/// Rounds a value in 0..=1 down to the quantum, so that a limiter's gain never errs upwards.
#[inline(always)]
pub fn quantise_down(value: f64) -> f64 {
    // The integer fits 31 bits, so the cast is exact truncation.
    (value * 1_073_741_824.0) as i64 as f64 * QUANTUM
}

/// Smallest of the last `n` values.
#[derive(Clone, Debug)]
pub struct SlidingMin {
    /// The last `n` inputs, a ring whose oldest entry is at `at`.
    window: Vec<f64>,
    at: usize,
    /// Ring of ages-with-values, ascending; the head is the minimum. `seen` numbers the inputs.
    queue: Vec<(u64, f64)>,
    head: usize,
    len: usize,
    seen: u64,
}

impl SlidingMin {
    /// A window of `n` values, all `initial`.
    pub fn new(n: usize, initial: f64) -> Self {
        let n = n.max(1);
        let mut min = Self {
            window: vec![initial; n],
            at: 0,
            queue: vec![(0, 0.0); n + 1],
            head: 0,
            len: 0,
            seen: 0,
        };
        min.rebuild();
        min
    }

    #[inline]
    pub fn step(&mut self, value: f64) -> f64 {
        self.window[self.at] = value;
        self.at += 1;
        if self.at == self.window.len() {
            self.at = 0;
        }
        self.enqueue(value)
    }

    #[inline]
    fn enqueue(&mut self, value: f64) -> f64 {
        let capacity = self.queue.len();
        let wrap = |i: usize| if i >= capacity { i - capacity } else { i };
        while self.len > 0 && self.queue[wrap(self.head + self.len - 1)].1 >= value {
            self.len -= 1;
        }
        self.queue[wrap(self.head + self.len)] = (self.seen, value);
        self.len += 1;
        self.seen += 1;
        if self.queue[self.head].0 + (self.window.len() as u64) < self.seen {
            self.head = wrap(self.head + 1);
            self.len -= 1;
        }
        self.queue[self.head].1
    }

    /// The inputs, oldest first. Call [`SlidingMin::rebuild`] after writing to them.
    pub fn window_in_order(&mut self) -> &mut [f64] {
        self.window.rotate_left(self.at);
        self.at = 0;
        &mut self.window
    }

    /// Derives the queue from the window again.
    pub fn rebuild(&mut self) {
        self.window.rotate_left(self.at);
        self.at = 0;
        (self.head, self.len, self.seen) = (0, 0, 0);
        for i in 0..self.window.len() {
            self.enqueue(self.window[i]);
        }
    }

    pub fn fill(&mut self, value: f64) {
        self.window.fill(value);
        self.rebuild();
    }
}

/// Mean of the last `n` quantised values.
#[derive(Clone, Debug)]
pub struct SlidingMean {
    window: Vec<f64>,
    at: usize,
    sum: f64,
    scale: f64,
}

impl SlidingMean {
    pub fn new(n: usize, initial: f64) -> Self {
        let n = n.max(1);
        let mut mean = Self { window: vec![initial; n], at: 0, sum: 0.0, scale: 1.0 / n as f64 };
        mean.rebuild();
        mean
    }

    /// `value` must be a multiple of [`QUANTUM`] in 0..=1, see [`quantise_down`].
    #[inline]
    pub fn step(&mut self, value: f64) -> f64 {
        let slot = &mut self.window[self.at];
        self.sum += value - *slot;
        *slot = value;
        self.at += 1;
        if self.at == self.window.len() {
            self.at = 0;
        }
        self.sum * self.scale
    }

    /// The inputs, oldest first. Call [`SlidingMean::rebuild`] after writing to them.
    pub fn window_in_order(&mut self) -> &mut [f64] {
        self.window.rotate_left(self.at);
        self.at = 0;
        &mut self.window
    }

    /// Derives the sum from the window again.
    pub fn rebuild(&mut self) {
        self.sum = self.window.iter().sum();
    }

    pub fn fill(&mut self, value: f64) {
        self.window.fill(value);
        self.rebuild();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: u64) -> f64 {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn minimum_and_mean_equal_the_naive_window() {
        for n in [1, 2, 7, 64] {
            let mut min = SlidingMin::new(n, 1.0);
            let mut mean = SlidingMean::new(n, 1.0);
            let mut history = vec![1.0; n];
            for i in 0..1000 {
                if i % 97 == 50 {
                    min.window_in_order();
                    min.rebuild();
                    mean.window_in_order();
                    mean.rebuild();
                }
                let value = quantise_down(noise(i));
                history.push(value);
                let window = &history[history.len() - n..];
                let want = window.iter().fold(1.0f64, |least, x| least.min(*x));
                assert_eq!(min.step(value), want);
                assert_eq!(mean.step(value), window.iter().sum::<f64>() * (1.0 / n as f64));
            }
        }
    }

    #[test]
    fn quantising_never_raises_a_value() {
        for i in 0..1000 {
            let value = noise(i);
            let got = quantise_down(value);
            assert!(got <= value && value - got < QUANTUM);
        }
        assert_eq!(quantise_down(1.0), 1.0);
    }
}
