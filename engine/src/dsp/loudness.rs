//! Loudness after ITU-R BS.1770-5 and EBU R 128: momentary, short-term, integrated, range.
//!
//! Written here rather than taken from a crate so that it runs on the audio thread without a lock or
//! allocation and is fed frame by frame. Energies are kept in blocks of 10 ms, ten times finer than
//! the gating blocks need, so that a 400 ms burst is read in full wherever it begins; gated sums live
//! in a histogram of a tenth of a LU whose bins keep their exact energy.

use super::{
    biquad::{Coefficients, WideCoefficients, WideState, run_wide},
    decibel,
};

/// 10 ms blocks of the momentary (400 ms) and short-term (3 s) windows, and of a gating step.
const MOMENTARY: usize = 40;
const SHORT_TERM: usize = 300;
const GATING_STEP: u64 = 10;

/// Absolute gate in LUFS: quieter blocks never count.
const ABSOLUTE_GATE: f64 = -70.0;

/// The K-weighting of BS.1770: a shelf for the head, then a high-pass, re-derived at any rate from the
/// analogue prototypes behind the table printed for 48 kHz.
pub fn k_weighting(rate: f64) -> [Coefficients; 2] {
    const SHELF_HZ: f64 = 1_681.974_450_955_533;
    const SHELF_DB: f64 = 3.999_843_853_973_347;
    const SHELF_Q: f64 = 0.707_175_236_955_419_6;
    const PASS_HZ: f64 = 38.135_470_876_024_44;
    const PASS_Q: f64 = 0.500_327_037_323_877_3;
    let k = libm::tan(std::f64::consts::PI * SHELF_HZ / rate);
    let high = libm::pow(10.0, SHELF_DB / 20.0);
    let band = libm::pow(high, 0.499_666_774_154_541_6);
    let scale = 1.0 + k / SHELF_Q + k * k;
    let shelf = Coefficients {
        b0: (high + band * k / SHELF_Q + k * k) / scale,
        b1: 2.0 * (k * k - high) / scale,
        b2: (high - band * k / SHELF_Q + k * k) / scale,
        a1: 2.0 * (k * k - 1.0) / scale,
        a2: (1.0 - k / SHELF_Q + k * k) / scale,
    };
    let k = libm::tan(std::f64::consts::PI * PASS_HZ / rate);
    let scale = 1.0 + k / PASS_Q + k * k;
    // The standard leaves this numerator without the usual normalisation.
    let pass = Coefficients {
        b0: 1.0,
        b1: -2.0,
        b2: 1.0,
        a1: 2.0 * (k * k - 1.0) / scale,
        a2: (1.0 - k / PASS_Q + k * k) / scale,
    };
    [shelf, pass]
}

/// LUFS of a mean energy summed over channels; minus infinity for silence.
pub fn lufs(energy: f64) -> f64 {
    if energy > 1e-20 { decibel::power_to_db(energy) - 0.691 } else { f64::NEG_INFINITY }
}

/// Counts and summed energies of blocks, by level.
struct Histogram {
    bins: Vec<(u64, f64)>,
}

impl Histogram {
    const BINS_PER_LU: f64 = 10.0;
    const BINS: usize = 1000;

    fn new() -> Self {
        Self { bins: vec![(0, 0.0); Self::BINS] }
    }

    fn add(&mut self, energy: f64) {
        let over = lufs(energy) - ABSOLUTE_GATE;
        if over < 0.0 {
            return;
        }
        let index = ((over * Self::BINS_PER_LU) as usize).min(Self::BINS - 1);
        self.bins[index].0 += 1;
        self.bins[index].1 += energy;
    }

    /// Count and mean energy of the bins whose own mean reaches `gate`.
    fn mean_above(&self, gate: f64) -> (u64, f64) {
        let (mut count, mut sum) = (0, 0.0);
        for (blocks, energy) in self.above(gate) {
            count += blocks;
            sum += energy;
        }
        (count, if count > 0 { sum / count as f64 } else { 0.0 })
    }

    fn above(&self, gate: f64) -> impl Iterator<Item = (u64, f64)> + '_ {
        let reaches = move |bin: &&(u64, f64)| bin.0 > 0 && bin.1 >= gate * bin.0 as f64;
        self.bins.iter().filter(reaches).copied()
    }

    /// Mean energy above a gate that lies `below` LU under the ungated mean.
    fn gated(&self, below: f64) -> (u64, f64, f64) {
        let (_, ungated) = self.mean_above(0.0);
        let gate = ungated * decibel::exp2(-below * (std::f64::consts::LOG2_10 / 10.0));
        let (count, mean) = self.mean_above(gate);
        (count, mean, gate)
    }

    /// Level below which `share` of the blocks above the gate lie.
    fn percentile(&self, gate: f64, count: u64, share: f64) -> f64 {
        let wanted = ((count - 1) as f64 * share + 0.5) as u64;
        let mut seen = 0;
        for (blocks, energy) in self.above(gate) {
            seen += blocks;
            if seen > wanted {
                return lufs(energy / blocks as f64);
            }
        }
        f64::NEG_INFINITY
    }

    fn clear(&mut self) {
        self.bins.fill((0, 0.0));
    }
}

/// The meter of one or two channels.
pub struct Loudness {
    weighting: [WideCoefficients<2>; 2],
    states: [WideState<2>; 2],
    block_frames: u64,
    frames: u64,
    sum: f64,
    /// Mean energies of the last [`SHORT_TERM`] blocks, a ring.
    blocks: Vec<f64>,
    at: usize,
    /// Blocks since the start of the measurement.
    seen: u64,
    gating: Histogram,
    range: Histogram,
    max_momentary: f64,
    max_short_term: f64,
}

impl Loudness {
    pub fn new(rate: f64) -> Self {
        let silent = WideState { s1: [0.0; 2], s2: [0.0; 2] };
        let [shelf, pass] = k_weighting(rate);
        Self {
            weighting: [WideCoefficients::gather(|_| shelf), WideCoefficients::gather(|_| pass)],
            states: [silent; 2],
            block_frames: (libm::round(rate * 0.010) as u64).max(1),
            frames: 0,
            sum: 0.0,
            blocks: vec![0.0; SHORT_TERM],
            at: 0,
            seen: 0,
            gating: Histogram::new(),
            range: Histogram::new(),
            max_momentary: 0.0,
            max_short_term: 0.0,
        }
    }

    /// Takes frames of finite samples, at most a settling cell of them; they are overwritten.
    pub fn push(&mut self, frames: &mut [[f64; 2]]) {
        for (state, c) in self.states.iter_mut().zip(&self.weighting) {
            run_wide(state, c, frames);
        }
        for frame in frames {
            self.sum += frame[0] * frame[0] + frame[1] * frame[1];
            self.frames += 1;
            if self.frames == self.block_frames {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        self.blocks[self.at] = self.sum / self.block_frames as f64;
        self.at = (self.at + 1) % SHORT_TERM;
        self.seen += 1;
        (self.sum, self.frames) = (0.0, 0);
        let (momentary, short_term) = (self.mean(MOMENTARY), self.mean(SHORT_TERM));
        self.max_momentary = self.max_momentary.max(momentary);
        self.max_short_term = self.max_short_term.max(short_term);
        if self.seen.is_multiple_of(GATING_STEP) {
            if self.seen >= MOMENTARY as u64 {
                self.gating.add(momentary);
            }
            if self.seen >= SHORT_TERM as u64 {
                self.range.add(short_term);
            }
        }
    }

    /// Mean energy of the last `n` blocks; what was before the start counts as silence.
    fn mean(&self, n: usize) -> f64 {
        let first = self.at + SHORT_TERM - n;
        let sum: f64 = (first..first + n).map(|i| self.blocks[i % SHORT_TERM]).sum();
        sum / n as f64
    }

    pub fn momentary(&self) -> f64 {
        lufs(self.mean(MOMENTARY))
    }

    pub fn short_term(&self) -> f64 {
        lufs(self.mean(SHORT_TERM))
    }

    pub fn max_momentary(&self) -> f64 {
        lufs(self.max_momentary)
    }

    pub fn max_short_term(&self) -> f64 {
        lufs(self.max_short_term)
    }

    /// Gated programme loudness in LUFS; minus infinity while nothing passed the gate.
    pub fn integrated(&self) -> f64 {
        lufs(self.gating.gated(10.0).1)
    }

    /// Loudness range in LU after EBU Tech 3342.
    pub fn range(&self) -> f64 {
        let (count, _, gate) = self.range.gated(20.0);
        if count == 0 {
            return 0.0;
        }
        self.range.percentile(gate, count, 0.95) - self.range.percentile(gate, count, 0.10)
    }

    /// See [`super::settle`].
    pub fn settle(&mut self) {
        self.states.iter_mut().for_each(WideState::settle);
    }

    /// Lets the windows fall silent without touching what was measured.
    pub fn fall_silent(&mut self) {
        self.states = [WideState { s1: [0.0; 2], s2: [0.0; 2] }; 2];
        (self.sum, self.frames) = (0.0, 0);
        self.blocks.fill(0.0);
    }

    /// Begins a new measurement.
    pub fn restart(&mut self) {
        self.fall_silent();
        self.seen = 0;
        self.gating.clear();
        self.range.clear();
        (self.max_momentary, self.max_short_term) = (0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weighting_is_the_table_of_bs_1770_at_48_khz() {
        let [shelf, pass] = k_weighting(48_000.0);
        for (got, want) in [
            (shelf.b0, 1.535_124_859_586_97),
            (shelf.b1, -2.691_696_189_406_38),
            (shelf.b2, 1.198_392_810_852_85),
            (shelf.a1, -1.690_659_293_182_41),
            (shelf.a2, 0.732_480_774_215_85),
            (pass.a1, -1.990_047_454_833_98),
            (pass.a2, 0.990_072_250_366_21),
        ] {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    /// Plays tones of 1 kHz on both channels.
    struct Player {
        rate: f64,
        meter: Loudness,
        frames: u64,
        /// A sine by rotation: a libm call per frame would dominate the test.
        step: [f64; 2],
        now: [f64; 2],
    }

    impl Player {
        fn new(rate: f64) -> Player {
            let w = std::f64::consts::TAU * 1000.0 / rate;
            let step = [libm::cos(w), libm::sin(w)];
            Player { rate, meter: Loudness::new(rate), frames: 0, step, now: [1.0, 0.0] }
        }

        /// `(dBFS, seconds)` one after the other; silence is −∞.
        fn play(&mut self, parts: &[(f64, f64)]) {
            for (level, seconds) in parts {
                let peak = if level.is_finite() { decibel::db_to_gain(*level) } else { 0.0 };
                let mut left = libm::round(seconds * self.rate) as u64;
                while left > 0 {
                    let mut cell = [[0.0; 2]; 64];
                    let frames = left.min(64 - self.frames % 64) as usize;
                    for frame in &mut cell[..frames] {
                        let ([c, s], [cos, sin]) = (self.step, self.now);
                        self.now = [cos * c - sin * s, cos * s + sin * c];
                        *frame = [peak * self.now[1]; 2];
                    }
                    self.meter.push(&mut cell[..frames]);
                    left -= frames as u64;
                    self.frames += frames as u64;
                }
            }
        }
    }

    fn play(rate: f64, parts: &[(f64, f64)]) -> Loudness {
        let mut player = Player::new(rate);
        player.play(parts);
        player.meter
    }

    fn check(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "{got} is not {want} within {tolerance}");
    }

    const SILENCE: f64 = f64::NEG_INFINITY;

    #[test]
    fn ebu_3341_cases_1_and_2_steady_tones_at_every_rate() {
        for rate in [44_100.0, 48_000.0, 96_000.0, 192_000.0] {
            let meter = play(rate, &[(-23.0, 4.0)]);
            check(meter.momentary(), -23.0, 0.03);
            check(meter.short_term(), -23.0, 0.03);
            check(meter.integrated(), -23.0, 0.03);
        }
        check(play(48_000.0, &[(-33.0, 20.0)]).integrated(), -33.0, 0.02);
    }

    #[test]
    fn ebu_3341_cases_3_to_5_gating() {
        let three = [(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)];
        check(play(48_000.0, &three).integrated(), -23.0, 0.05);
        let four = [(-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)];
        check(play(48_000.0, &four).integrated(), -23.0, 0.05);
        let five = [(-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)];
        check(play(48_000.0, &five).integrated(), -23.0, 0.05);
    }

    #[test]
    fn ebu_3341_cases_9_and_10_short_term() {
        let nine: Vec<_> = (0..5).flat_map(|_| [(-20.0, 1.34), (-30.0, 1.66)]).collect();
        check(play(48_000.0, &nine).short_term(), -23.0, 0.05);
        for i in [0u32, 7, 13, 19] {
            let ten = [(SILENCE, f64::from(i) * 0.15), (-23.0, 3.0), (SILENCE, 1.0)];
            check(play(48_000.0, &ten).max_short_term(), -23.0, 0.05);
        }
    }

    #[test]
    fn ebu_3341_cases_12_and_13_momentary() {
        let twelve: Vec<_> = (0..25).flat_map(|_| [(-20.0, 0.18), (-30.0, 0.22)]).collect();
        check(play(48_000.0, &twelve).momentary(), -23.0, 0.05);
        for i in 0..20u32 {
            let thirteen = [(SILENCE, f64::from(i) * 0.02), (-23.0, 0.4), (SILENCE, 1.0)];
            check(play(48_000.0, &thirteen).max_momentary(), -23.0, 0.05);
        }
    }

    /// Twenty tones, each a dB louder than the one before and later within its turn.
    fn louder_and_later(tone: f64, shift: f64, turn: f64, max: impl Fn(&Loudness) -> f64) {
        let mut player = Player::new(48_000.0);
        for i in 0..20u32 {
            let (level, wait) = (-38.0 + f64::from(i), f64::from(i) * shift);
            player.play(&[(SILENCE, wait), (level, tone), (SILENCE, turn - tone - wait)]);
            check(max(&player.meter), level, 0.05);
        }
    }

    #[test]
    fn ebu_3341_cases_11_and_14_of_a_meter_that_runs_on() {
        louder_and_later(3.0, 0.15, 6.85, Loudness::max_short_term);
        louder_and_later(0.4, 0.02, 1.18, Loudness::max_momentary);
    }

    #[test]
    fn ebu_3342_cases_1_to_4_loudness_range() {
        check(play(48_000.0, &[(-20.0, 20.0), (-30.0, 20.0)]).range(), 10.0, 0.1);
        check(play(48_000.0, &[(-20.0, 20.0), (-15.0, 20.0)]).range(), 5.0, 0.1);
        check(play(48_000.0, &[(-40.0, 20.0), (-20.0, 20.0)]).range(), 20.0, 0.1);
        let four = [(-50.0, 20.0), (-35.0, 20.0), (-20.0, 20.0), (-35.0, 20.0), (-50.0, 20.0)];
        check(play(48_000.0, &four).range(), 15.0, 0.1);
    }

    #[test]
    fn silence_has_no_loudness() {
        let meter = play(48_000.0, &[(SILENCE, 5.0)]);
        assert_eq!(meter.integrated(), f64::NEG_INFINITY);
        assert_eq!(meter.range(), 0.0);
    }
}
