//! A feedback delay network: sixteen delay lines mixed by a Hadamard matrix.
//!
//! The matrix is orthogonal, so only the loss filters decide how long the tail
//! lasts: each line loses exactly the decibels that its length is worth at the
//! wanted decay time, in three bands. Sixteen lines and four allpasses before
//! them reach a density that eight do not, for sixty-four additions more.
//! Everything recursive is f64; lines below −300 dB fall to exact zero, so a tail
//! ends and its state becomes that of a fresh network again.

use std::f64::consts::PI;

use super::delay_line::{DelayLine, flush};
use crate::node::StateVisitor;

/// Delay lines of a network.
pub const LINES: usize = 16;
/// Allpass stages before them, per channel.
const DIFFUSERS: usize = 4;

/// Line lengths in seconds at size 1: close to a geometric series from 23 to 79 ms and
/// without small common multiples, so that echoes of different lines do not coincide.
const LENGTHS: [f64; LINES] = [
    0.023_371, 0.025_439, 0.027_541, 0.029_863, 0.032_417, 0.035_129, 0.038_183, 0.041_399,
    0.044_893, 0.048_701, 0.052_889, 0.057_331, 0.062_137, 0.067_409, 0.073_091, 0.079_283,
];
/// Diffuser lengths in seconds, left and right.
const DIFFUSER_LENGTHS: [[f64; DIFFUSERS]; 2] =
    [[0.004_771, 0.003_595, 0.012_734, 0.009_307], [0.005_113, 0.003_371, 0.011_927, 0.010_009]];
/// Signs with which a line reaches the left output; the right one uses another row of
/// the same Hadamard matrix, so the two are uncorrelated.
const LEFT_SIGNS: u32 = 0b0110_1001_1001_0110;
const RIGHT_SIGNS: u32 = 0b0011_1100_0011_1100;

/// Decay times and the bands they hold for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    /// Seconds to −60 dB in the middle.
    pub seconds: f64,
    /// Factor on the decay time of the lows.
    pub low: f64,
    /// Factor on the decay time of the highs.
    pub high: f64,
    /// Upper edge of the lows in hertz.
    pub low_edge: f64,
    /// Lower edge of the highs in hertz.
    pub high_edge: f64,
}

/// First-order section: b0, b1, a1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shelf {
    b0: f64,
    b1: f64,
    a1: f64,
}

impl Shelf {
    /// Gain `gain` far below `edge`, one far above.
    fn low(gain: f64, edge: f64, rate: f64) -> Shelf {
        let root = gain.sqrt();
        Shelf::bilinear(1.0, root, 1.0, 1.0 / root, edge, rate)
    }

    /// Gain `gain` far above `edge`, one far below.
    fn high(gain: f64, edge: f64, rate: f64) -> Shelf {
        let root = gain.sqrt();
        Shelf::bilinear(root, 1.0, 1.0 / root, 1.0, edge, rate)
    }

    /// (n1·s + n0) / (d1·s + d0) with s in units of the edge frequency.
    fn bilinear(n1: f64, n0: f64, d1: f64, d0: f64, edge: f64, rate: f64) -> Shelf {
        let w = libm::tan(PI * edge.min(0.45 * rate) / rate);
        let scale = 1.0 / (d1 + d0 * w);
        Shelf { b0: (n1 + n0 * w) * scale, b1: (n0 * w - n1) * scale, a1: (d0 * w - d1) * scale }
    }

    /// Transposed direct form: one state per section.
    #[inline]
    fn run(&self, x: f64, state: &mut f64) -> f64 {
        let y = self.b0 * x + *state;
        *state = flush(self.b1 * x - self.a1 * y);
        y
    }
}

/// What a line loses per pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Loss {
    gain: f64,
    low: Shelf,
    high: Shelf,
}

impl Loss {
    fn new(length: f64, decay: &Decay, rate: f64) -> Loss {
        let gain = |seconds: f64| libm::pow(10.0, -3.0 * length / seconds.max(0.01));
        let middle = gain(decay.seconds);
        Loss {
            gain: middle,
            low: Shelf::low(gain(decay.seconds * decay.low) / middle, decay.low_edge, rate),
            high: Shelf::high(gain(decay.seconds * decay.high) / middle, decay.high_edge, rate),
        }
    }
}

/// Whole frames of each line in a room of `size` (1 is a hall of about 25 m).
pub fn lengths(size: f64, rate: f64) -> [f64; LINES] {
    LENGTHS.map(|length| libm::round(length * size * rate).max(8.0))
}

/// What every line loses: a pure function of lengths, decay and rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses([Loss; LINES]);

impl Losses {
    pub fn new(lengths: &[f64; LINES], decay: &Decay, rate: f64) -> Losses {
        Losses(lengths.map(|frames| Loss::new(frames / rate, decay, rate)))
    }
}

#[derive(Clone, Debug, Default)]
struct Line {
    past: DelayLine,
    low: f64,
    high: f64,
}

#[derive(Clone, Debug, Default)]
struct Diffuser {
    past: DelayLine,
    delay: usize,
}

impl Diffuser {
    #[inline]
    fn run(&mut self, x: f64, amount: f64) -> f64 {
        let delayed = self.past.read(self.delay);
        let inner = flush(x - amount * delayed);
        self.past.push(inner);
        delayed + amount * inner
    }
}

/// The network itself.
#[derive(Clone, Debug, Default)]
pub struct Fdn {
    lines: Vec<Line>,
    diffusers: [Vec<Diffuser>; 2],
}

impl Fdn {
    /// Silence, with room for sizes up to `largest_size` and for modulation.
    pub fn new(rate: f64, largest_size: f64) -> Fdn {
        let line = |seconds: f64| Line {
            past: DelayLine::new((seconds * largest_size * rate) as usize + 64),
            low: 0.0,
            high: 0.0,
        };
        let diffuser = |seconds: f64| {
            let delay = libm::round(seconds * rate).max(1.0) as usize;
            Diffuser { past: DelayLine::new(delay), delay }
        };
        Fdn {
            lines: LENGTHS.iter().map(|&seconds| line(seconds)).collect(),
            diffusers: DIFFUSER_LENGTHS
                .map(|lengths| lengths.iter().map(|&seconds| diffuser(seconds)).collect()),
        }
    }

    /// Forgets all sound.
    pub fn clear(&mut self) {
        for line in &mut self.lines {
            line.past.clear();
            (line.low, line.high) = (0.0, 0.0);
        }
        self.diffusers.iter_mut().flatten().for_each(|diffuser| diffuser.past.clear());
    }

    /// One frame in, one frame out. `delays` are frames, 8 and more; whole numbers are
    /// read without interpolation loss. `frozen`, 0..=1, is the share of the losses that is given back:
    /// at 1 what is in the lines goes round for ever.
    #[inline]
    pub fn run(
        &mut self,
        input: [f64; 2],
        diffusion: f64,
        delays: &[f64; LINES],
        losses: &Losses,
        frozen: f64,
    ) -> [f64; 2] {
        let mut fed = input;
        for (sample, stages) in fed.iter_mut().zip(&mut self.diffusers) {
            for stage in stages {
                *sample = stage.run(*sample, diffusion);
            }
        }
        let mut values = [0.0; LINES];
        let mut output = [0.0; 2];
        for (i, line) in self.lines.iter_mut().enumerate() {
            let loss = &losses.0[i];
            let delayed = line.past.read_between(delays[i]);
            output[0] += if LEFT_SIGNS >> i & 1 == 0 { delayed } else { -delayed };
            output[1] += if RIGHT_SIGNS >> i & 1 == 0 { delayed } else { -delayed };
            let low = loss.low.run(delayed * loss.gain, &mut line.low);
            values[i] = loss.high.run(low, &mut line.high);
            if frozen > 0.0 {
                values[i] += (delayed - values[i]) * frozen;
            }
        }
        hadamard(&mut values);
        for (i, line) in self.lines.iter_mut().enumerate() {
            line.past.push(flush(fed[i & 1] + 0.25 * values[i]));
        }
        output
    }

    /// Every ring and filter, in a fixed order.
    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        for line in &mut self.lines {
            line.past.visit(visitor);
            visitor.f64(&mut line.low);
            visitor.f64(&mut line.high);
        }
        self.diffusers.iter_mut().flatten().for_each(|diffuser| diffuser.past.visit(visitor));
    }
}

/// Fast Walsh-Hadamard transform, unscaled (norm 4 for sixteen values).
#[inline]
fn hadamard(values: &mut [f64; LINES]) {
    let mut half = 1;
    while half < LINES {
        for start in (0..LINES).step_by(2 * half) {
            for i in start..start + half {
                let (a, b) = (values[i], values[i + half]);
                values[i] = a + b;
                values[i + half] = a - b;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: Decay =
        Decay { seconds: 1.2, low: 1.0, high: 1.0, low_edge: 200.0, high_edge: 4_000.0 };

    fn impulse_response(decay: &Decay, rate: f64, seconds: f64) -> Vec<[f64; 2]> {
        let delays = lengths(1.0, rate);
        let losses = Losses::new(&delays, decay, rate);
        let mut fdn = Fdn::new(rate, 1.0);
        (0..(seconds * rate) as usize)
            .map(|i| {
                let x = if i == 0 { 1.0 } else { 0.0 };
                fdn.run([x, x], 0.6, &delays, &losses, 0.0)
            })
            .collect()
    }

    /// Decay time by Schroeder integration between −5 and −35 dB.
    fn t60(response: &[f64], rate: f64) -> f64 {
        let mut left: Vec<f64> = response.iter().map(|x| x * x).collect();
        for i in (1..left.len()).rev() {
            left[i - 1] += left[i];
        }
        let first = |db: f64| left.iter().position(|&e| e < left[0] * libm::pow(10.0, db / 10.0));
        let (start, end) = (first(-5.0).expect("decays"), first(-35.0).expect("decays"));
        2.0 * (end - start) as f64 / rate
    }

    /// A two-pole resonance wide enough to ring much shorter than a tail.
    fn band(response: &[f64], hertz: f64, rate: f64) -> Vec<f64> {
        let w = 2.0 * PI * hertz / rate;
        let alpha = libm::sin(w) / (2.0 * 1.4);
        let (a1, a2) = (-2.0 * libm::cos(w) / (1.0 + alpha), (1.0 - alpha) / (1.0 + alpha));
        let b = alpha / (1.0 + alpha);
        let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
        let run = |&x: &f64| {
            let y = b * (x - x2) - a1 * y1 - a2 * y2;
            (x2, x1, y2, y1) = (x1, x, y1, y);
            y
        };
        response.iter().map(run).collect()
    }

    fn left(response: &[[f64; 2]]) -> Vec<f64> {
        response.iter().map(|frame| frame[0]).collect()
    }

    #[test]
    fn a_flat_tail_decays_in_the_time_it_names() {
        for rate in [44_100.0, 48_000.0, 96_000.0] {
            let response = left(&impulse_response(&FLAT, rate, 2.0));
            let got = t60(&response, rate);
            assert!((got / FLAT.seconds - 1.0).abs() < 0.05, "{got} s at {rate}");
        }
    }

    #[test]
    fn lows_and_highs_decay_in_times_of_their_own() {
        let decay = Decay { low: 1.5, high: 0.4, ..FLAT };
        let response = left(&impulse_response(&decay, 48_000.0, 3.0));
        for (hertz, factor) in [(60.0, 1.5), (900.0, 1.0), (14_000.0, 0.4)] {
            let got = t60(&band(&response, hertz, 48_000.0), 48_000.0);
            let expect = decay.seconds * factor;
            assert!((got / expect - 1.0).abs() < 0.12, "{got} s for {expect} s at {hertz} Hz");
        }
    }

    #[test]
    fn the_two_channels_are_uncorrelated_and_equally_loud() {
        let response = impulse_response(&FLAT, 48_000.0, 1.5);
        let sum = |f: fn(&[f64; 2]) -> f64| response.iter().map(f).sum::<f64>();
        let (ll, rr, lr) = (sum(|f| f[0] * f[0]), sum(|f| f[1] * f[1]), sum(|f| f[0] * f[1]));
        assert!((lr / (ll * rr).sqrt()).abs() < 0.1, "{}", lr / (ll * rr).sqrt());
        assert!((ll / rr - 1.0).abs() < 0.1, "{}", ll / rr);
    }

    struct Silent;

    impl StateVisitor for Silent {
        fn f64(&mut self, value: &mut f64) {
            assert_eq!(value.to_bits(), 0);
        }
        fn u64(&mut self, _: &mut u64) {}
        fn f32s(&mut self, _: &mut [f32]) {}
    }

    #[test]
    fn a_tail_ends_in_the_state_of_a_fresh_network() {
        let decay = Decay { seconds: 0.1, ..FLAT };
        let delays = lengths(0.5, 44_100.0);
        let losses = Losses::new(&delays, &decay, 44_100.0);
        let mut fdn = Fdn::new(44_100.0, 0.5);
        let _ = fdn.run([1.0, -0.5], 0.6, &delays, &losses, 0.0);
        for _ in 0..66_150 {
            let _ = fdn.run([0.0; 2], 0.6, &delays, &losses, 0.0);
        }
        fdn.visit(&mut Silent);
    }
}
