//! Attack, decay, sustain, release with curved segments of exact length.
//!
//! Each segment is an exponential that aims a little past its goal and stops when
//! it gets there, the way a capacitor charged through a comparator does. Aiming
//! past the goal gives every segment a finite length: a release ends at exactly
//! zero, so a voice can be freed, its tail has a bound, and two renders that
//! differed once agree again bit for bit.

use crate::node::StateVisitor;

/// How far past its goal a rising segment aims, as part of its height.
const RISE_OVERSHOOT: f64 = 0.3;
/// How far past its goal a falling segment aims: the −60 dB point of the curve.
const FALL_OVERSHOOT: f64 = 0.001;

/// Segment times in seconds and the sustain level, 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdsrTimes {
    /// From silence to full level.
    pub attack: f64,
    /// From full level to silence; it stops at the sustain level on its way.
    pub decay: f64,
    /// Level held until note-off.
    pub sustain: f64,
    /// From full level to silence after note-off.
    pub release: f64,
}

/// Per-sample coefficients: a pure function of times and rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AdsrRates {
    attack: f64,
    decay: f64,
    sustain: f64,
    release: f64,
}

impl AdsrRates {
    /// Coefficients for segments of these times at `sample_rate`.
    pub fn new(times: AdsrTimes, sample_rate: f64) -> AdsrRates {
        AdsrRates {
            attack: step_share(times.attack * sample_rate, RISE_OVERSHOOT),
            decay: step_share(times.decay * sample_rate, FALL_OVERSHOOT),
            sustain: times.sustain.clamp(0.0, 1.0),
            release: step_share(times.release * sample_rate, FALL_OVERSHOOT),
        }
    }
}

/// Share of the remaining way covered per frame, so that a full-height segment that
/// aims `overshoot` past its goal takes `frames`. One frame is the shortest segment.
fn step_share(frames: f64, overshoot: f64) -> f64 {
    if frames <= 1.0 {
        return 1.0;
    }
    1.0 - libm::exp(libm::log(overshoot / (1.0 + overshoot)) / frames)
}

/// Where an envelope is. The numbers are part of saved state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Silent and free.
    Idle = 0,
    /// Rising to full level.
    Attack = 1,
    /// Falling to the sustain level.
    Decay = 2,
    /// Held.
    Sustain = 3,
    /// Falling to zero.
    Release = 4,
}

impl Stage {
    fn from_number(number: u64) -> Stage {
        match number {
            1 => Stage::Attack,
            2 => Stage::Decay,
            3 => Stage::Sustain,
            4 => Stage::Release,
            _ => Stage::Idle,
        }
    }
}

/// One running envelope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adsr {
    stage: Stage,
    level: f64,
}

impl Default for Adsr {
    fn default() -> Adsr {
        Adsr { stage: Stage::Idle, level: 0.0 }
    }
}

impl Adsr {
    /// Note-on. Starts from the present level, so a retriggered voice does not click.
    pub fn gate_on(&mut self) {
        self.stage = Stage::Attack;
    }

    /// Note-off.
    pub fn gate_off(&mut self) {
        if self.stage != Stage::Idle {
            self.stage = Stage::Release;
        }
    }

    /// Whether the envelope has ended (or never begun).
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// Whether the note is over and only the release sounds.
    pub fn is_releasing(&self) -> bool {
        self.stage == Stage::Release
    }

    /// Level of the last sample.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Advances one frame and returns the new level.
    #[inline]
    pub fn next(&mut self, rates: &AdsrRates) -> f64 {
        match self.stage {
            Stage::Idle => {}
            Stage::Attack => {
                self.level += (1.0 + RISE_OVERSHOOT - self.level) * rates.attack;
                if self.level >= 1.0 {
                    self.level = 1.0;
                    self.stage = Stage::Decay;
                }
            }
            Stage::Decay => {
                self.level += (-FALL_OVERSHOOT - self.level) * rates.decay;
                if self.level <= rates.sustain {
                    self.level = rates.sustain;
                    self.stage = Stage::Sustain;
                }
            }
            Stage::Sustain => self.follow_sustain(rates),
            Stage::Release => {
                self.level += (-FALL_OVERSHOOT - self.level) * rates.release;
                if self.level <= 0.0 {
                    *self = Adsr::default();
                }
            }
        }
        self.level
    }

    /// A sustain level turned during the note is approached, never jumped to.
    fn follow_sustain(&mut self, rates: &AdsrRates) {
        let gap = rates.sustain - self.level;
        self.level = if gap.abs() < 1e-6 { rates.sustain } else { self.level + gap * 0.005 };
    }

    /// The state: stage and level.
    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        let mut stage = self.stage as u64;
        visitor.u64(&mut stage);
        self.stage = Stage::from_number(stage);
        visitor.f64(&mut self.level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: AdsrTimes = AdsrTimes { attack: 0.01, decay: 0.2, sustain: 0.25, release: 0.1 };

    fn frames_until(adsr: &mut Adsr, rates: &AdsrRates, stage: Stage) -> usize {
        (1..1_000_000)
            .find(|_| {
                adsr.next(rates);
                adsr.stage == stage
            })
            .expect("the segment ends")
    }

    #[test]
    fn segments_take_the_time_they_name_at_every_rate() {
        for rate in [44_100.0, 48_000.0, 96_000.0, 192_000.0] {
            let rates = AdsrRates::new(AdsrTimes { sustain: 1.0, ..TIMES }, rate);
            let mut adsr = Adsr::default();
            adsr.gate_on();
            let attack = frames_until(&mut adsr, &rates, Stage::Decay);
            assert!((attack as f64 - 0.01 * rate).abs() <= 1.0, "{attack} at {rate}");
            frames_until(&mut adsr, &rates, Stage::Sustain);
            adsr.gate_off();
            let release = frames_until(&mut adsr, &rates, Stage::Idle);
            assert!((release as f64 - 0.1 * rate).abs() <= 1.0, "{release} at {rate}");
            assert_eq!(adsr, Adsr::default());
        }
    }

    #[test]
    fn an_envelope_is_monotone_within_its_segments_and_ends_at_zero() {
        let rates = AdsrRates::new(TIMES, 48_000.0);
        let mut adsr = Adsr::default();
        adsr.gate_on();
        let mut last = 0.0;
        while adsr.stage == Stage::Attack {
            let level = adsr.next(&rates);
            assert!(level > last);
            last = level;
        }
        while adsr.stage == Stage::Decay {
            let level = adsr.next(&rates);
            assert!(level < last);
            last = level;
        }
        assert_eq!(adsr.next(&rates), 0.25);
        adsr.gate_off();
        frames_until(&mut adsr, &rates, Stage::Idle);
        assert_eq!(adsr.level(), 0.0);
    }

    #[test]
    fn a_zero_attack_is_full_level_at_the_first_frame() {
        let rates = AdsrRates::new(AdsrTimes { attack: 0.0, ..TIMES }, 48_000.0);
        let mut adsr = Adsr::default();
        adsr.gate_on();
        assert_eq!(adsr.next(&rates), 1.0);
    }
}
