//! Signatures and the bars they make.
//!
//! Bars are counted from 1 at tick 0 and go backwards from there, so bar 0 is a
//! count-in. A signature always begins a bar; when it stands inside one, that
//! bar is short. Moving the signature to the next bar line instead would move
//! what the user has put there.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PointViolation, Ticks, position::BarBeatTick, timeline::check_positions};

/// A time signature such as 6/8.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    JsonSchema,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[serde(rename_all = "camelCase")]
#[rkyv(derive(Clone, Copy, PartialEq, Eq))]
pub struct Signature {
    /// Beats in a bar, 1 to 64.
    pub numerator: u8,
    /// Which note is a beat: a power of two from 1 to 64.
    pub denominator: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureViolation {
    #[error("a bar can't have {numerator} beats; give 1 to {}", Signature::MAX_NUMERATOR)]
    Numerator { numerator: u8 },
    #[error(
        "{denominator} is no beat; give a power of two from 1 to {}",
        Signature::MAX_DENOMINATOR
    )]
    Denominator { denominator: u8 },
}

impl Default for Signature {
    fn default() -> Signature {
        Signature { numerator: 4, denominator: 4 }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl Signature {
    pub const MAX_NUMERATOR: u8 = 64;
    /// The shortest beat is a 64th note, which is 60 shown ticks long.
    pub const MAX_DENOMINATOR: u8 = 64;

    pub fn check(self) -> Result<(), SignatureViolation> {
        let power = self.denominator.is_power_of_two() && self.denominator <= Self::MAX_DENOMINATOR;
        if !(1..=Self::MAX_NUMERATOR).contains(&self.numerator) {
            Err(SignatureViolation::Numerator { numerator: self.numerator })
        } else if !power {
            Err(SignatureViolation::Denominator { denominator: self.denominator })
        } else {
            Ok(())
        }
    }

    /// The length of a beat.
    pub fn beat(self) -> Ticks {
        Ticks(Ticks::PER_QUARTER * 4 / i64::from(self.denominator.max(1)))
    }

    /// The length of a bar.
    pub fn bar(self) -> Ticks {
        Ticks(self.beat().0 * i64::from(self.numerator))
    }
}

/// One point of a signature map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignatureMark {
    pub at: Ticks,
    pub signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MeterViolation {
    #[error(transparent)]
    Point(#[from] PointViolation),
    #[error("signature point {index}: {violation}")]
    Signature { index: usize, violation: SignatureViolation },
}

/// Where a text or a client wants a position that its bar doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    #[error("beats are counted from 1; the first of bar {bar} is `{bar}.1`")]
    BeatZero { bar: i64 },
    #[error("bar {bar} has {beats} beats, there is no beat {beat}")]
    Beat { bar: i64, beat: u32, beats: u8 },
    #[error("a beat in bar {bar} has {ticks} ticks, counted from 0; there is no tick {tick}")]
    Tick { bar: i64, tick: u32, ticks: u32 },
    #[error(
        "{rest} is too much after the `+`; a tick has {} parts, counted from 0",
        BarBeatTick::PARTS
    )]
    Rest { rest: u32 },
    #[error("bar {bar} is cut short by the signature at bar {}; it ends before {position}", bar + 1)]
    Cut { bar: i64, position: BarBeatTick },
    #[error("bar {bar} lies beyond the last possible position")]
    Beyond { bar: i64 },
}

/// Signatures by position, and the bars that follow from them.
#[derive(Debug, Clone, PartialEq)]
pub struct SignatureMap {
    /// In order of position. The first one holds before the first mark too.
    spans: Vec<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    at: i64,
    /// The number of the bar that begins at `at`.
    first_bar: i64,
    signature: Signature,
}

impl Default for SignatureMap {
    fn default() -> SignatureMap {
        SignatureMap::from_valid(&[])
    }
}

impl SignatureMap {
    /// From marks in order of position; all violations at once when there are any.
    /// Without marks every bar is 4/4; before the first one its signature holds.
    pub fn new(marks: &[SignatureMark]) -> Result<SignatureMap, Vec<MeterViolation>> {
        let violations = violations_of(marks);
        if violations.is_empty() { Ok(SignatureMap::from_valid(marks)) } else { Err(violations) }
    }

    /// A map from whatever marks there are, and what had to be done to them:
    /// impossible ones are left out, the rest is sorted, and of several at one
    /// tick the last one in the slice counts.
    pub fn repaired(marks: &[SignatureMark]) -> (SignatureMap, Vec<MeterViolation>) {
        let usable = |mark: &SignatureMark| {
            !mark.at.is_negative() && mark.at.is_in_range() && mark.signature.check().is_ok()
        };
        let kept = super::timeline::last_of_each(marks, |mark| mark.at, usable);
        (SignatureMap::from_valid(&kept), violations_of(marks))
    }

    fn from_valid(marks: &[SignatureMark]) -> SignatureMap {
        let signature = marks.first().map_or_else(Signature::default, |mark| mark.signature);
        let mut last = Span { at: 0, first_bar: 1, signature };
        let mut spans = vec![last];
        for mark in marks {
            let bars = -(last.at - mark.at.0).div_euclid(last.signature.bar().0);
            let first_bar = last.first_bar + bars;
            last = Span { at: mark.at.0, first_bar, signature: mark.signature };
            spans.push(last);
        }
        SignatureMap { spans }
    }

    pub fn signature_at(&self, at: Ticks) -> Signature {
        self.span_at(at).signature
    }

    /// The number of the bar in which a position lies.
    pub fn bar_at(&self, at: Ticks) -> i64 {
        let span = self.span_at(at);
        span.first_bar + (at.clamped().0 - span.at).div_euclid(span.signature.bar().0)
    }

    /// Where a bar begins; stops at the range of positions.
    pub fn bar_start(&self, bar: i64) -> Ticks {
        let span = self.span_of_bar(bar);
        let bars = bar.saturating_sub(span.first_bar);
        Ticks(span.at).saturating_add(span.signature.bar().saturating_mul(bars))
    }

    /// How long a bar is, which is less than its signature says when another
    /// signature cuts it short.
    pub fn bar_length(&self, bar: i64) -> Ticks {
        self.bar_start(bar.saturating_add(1)).saturating_sub(self.bar_start(bar))
    }

    /// Bar, beat and tick of a position.
    pub fn position_at(&self, at: Ticks) -> BarBeatTick {
        let (at, span) = (at.clamped(), self.span_at(at));
        let within = (at.0 - span.at).rem_euclid(span.signature.bar().0);
        let beat = span.signature.beat().0;
        let in_beat = within % beat;
        BarBeatTick {
            bar: self.bar_at(at),
            beat: (within / beat) as u32 + 1,
            tick: (in_beat / BarBeatTick::PARTS) as u32,
            rest: (in_beat % BarBeatTick::PARTS) as u32,
        }
    }

    /// The tick of a bar, beat and tick, which has to exist.
    pub fn ticks_of(&self, position: BarBeatTick) -> Result<Ticks, PositionError> {
        let BarBeatTick { bar, beat, tick, rest } = position;
        let signature = self.span_of_bar(bar).signature;
        let ticks = (signature.beat().0 / BarBeatTick::PARTS) as u32;
        let beats = signature.numerator;
        if beat == 0 {
            return Err(PositionError::BeatZero { bar });
        } else if beat > u32::from(beats) {
            return Err(PositionError::Beat { bar, beat, beats });
        } else if tick >= ticks {
            return Err(PositionError::Tick { bar, tick, ticks });
        } else if i64::from(rest) >= BarBeatTick::PARTS {
            return Err(PositionError::Rest { rest });
        }
        let within = signature.beat().0 * i64::from(beat - 1)
            + i64::from(tick) * BarBeatTick::PARTS
            + i64::from(rest);
        let at = self.bar_start(bar).saturating_add(Ticks(within));
        if at.clamped() != at || at == Ticks::MAX || at == Ticks::MIN {
            return Err(PositionError::Beyond { bar });
        }
        if self.bar_at(at) != bar {
            return Err(PositionError::Cut { bar, position });
        }
        Ok(at)
    }

    /// Reads `17.3.240`, see [`BarBeatTick`].
    pub fn parse(&self, text: &str) -> Result<Ticks, super::ParsePositionError> {
        Ok(self.ticks_of(text.parse()?)?)
    }

    /// Writes `17.3.240`, see [`BarBeatTick`].
    pub fn format(&self, at: Ticks) -> String {
        self.position_at(at).to_string()
    }

    fn span_at(&self, at: Ticks) -> &Span {
        let count = self.spans.partition_point(|span| span.at <= at.0);
        &self.spans[count.saturating_sub(1)]
    }

    fn span_of_bar(&self, bar: i64) -> &Span {
        let count = self.spans.partition_point(|span| span.first_bar <= bar);
        &self.spans[count.saturating_sub(1)]
    }
}

fn violations_of(marks: &[SignatureMark]) -> Vec<MeterViolation> {
    let positions = check_positions(marks.iter().map(|mark| mark.at)).into_iter();
    let signatures = marks.iter().enumerate().filter_map(|(index, mark)| {
        let violation = mark.signature.check().err()?;
        Some(MeterViolation::Signature { index, violation })
    });
    positions.map(MeterViolation::Point).chain(signatures).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::cases;

    fn mark(at: i64, numerator: u8, denominator: u8) -> SignatureMark {
        SignatureMark { at: Ticks(at), signature: Signature { numerator, denominator } }
    }

    const QUARTER: i64 = Ticks::PER_QUARTER;

    /// Two bars of 4/4, two of 6/8, and a 3/4 that cuts the third one short.
    fn mixed() -> SignatureMap {
        let marks = [mark(0, 4, 4), mark(8 * QUARTER, 6, 8), mark(15 * QUARTER, 3, 4)];
        SignatureMap::new(&marks).unwrap()
    }

    #[test]
    fn bars_follow_the_signatures() {
        let map = mixed();
        let check = |quarters: i64, expect: &str| {
            assert_eq!(map.format(Ticks::quarters(quarters)), expect);
            assert_eq!(map.parse(expect), Ok(Ticks::quarters(quarters)));
        };
        check(0, "1.1.0");
        check(-1, "0.4.0");
        check(-4, "0.1.0");
        check(-5, "-1.4.0");
        check(8, "3.1.0");
        check(9, "3.3.0");
        check(14, "5.1.0");
        check(15, "6.1.0");
        check(18, "7.1.0");
        assert_eq!(map.bar_length(4), Ticks::quarters(3));
        assert_eq!(map.bar_length(5), Ticks::quarters(1));
        assert_eq!(map.bar_start(7), Ticks::quarters(18));
    }

    #[test]
    fn a_position_that_its_bar_does_not_have_is_refused() {
        let map = mixed();
        let check = |text: &str, expect: &str| {
            assert_eq!(map.parse(text).unwrap_err().to_string(), expect);
        };
        check("1.0", "beats are counted from 1; the first of bar 1 is `1.1`");
        check("1.5", "bar 1 has 4 beats, there is no beat 5");
        check("1.1.960", "a beat in bar 1 has 960 ticks, counted from 0; there is no tick 960");
        check("3.1.480", "a beat in bar 3 has 480 ticks, counted from 0; there is no tick 480");
        check(
            "1.1.0+47040",
            "47040 is too much after the `+`; a tick has 47040 parts, counted from 0",
        );
        check("5.3", "bar 5 is cut short by the signature at bar 6; it ends before 5.3.0");
        check("999999999999", "bar 999999999999 lies beyond the last possible position");
        check("-999999999999", "bar -999999999999 lies beyond the last possible position");
    }

    #[test]
    fn impossible_signatures_are_all_named() {
        let found = SignatureMap::new(&[mark(0, 0, 4), mark(0, 4, 3)]).unwrap_err();
        assert_eq!(found.len(), 3);
        assert_eq!(
            found[2].to_string(),
            "signature point 1: 3 is no beat; give a power of two from 1 to 64"
        );
        let (map, violations) = SignatureMap::repaired(&[mark(0, 0, 4), mark(0, 3, 4)]);
        assert_eq!(map.bar_length(1), Ticks::quarters(3));
        assert_eq!(violations.len(), 2);
    }

    fn marks() -> impl Strategy<Value = Vec<SignatureMark>> {
        let gap = prop_oneof![1i64..10, (1i64..64).prop_map(|n| n * QUARTER / 2), 1i64..1 << 40];
        prop::collection::vec((gap, 1u8..=64, 0u32..7), 0..8).prop_map(|points| {
            let mut at = 0;
            let place = |(gap, numerator, power): (i64, u8, u32)| {
                at += gap;
                mark(at, numerator, 1 << power)
            };
            points.into_iter().map(place).collect()
        })
    }

    proptest! {
        #![proptest_config(cases(256))]

        #[test]
        fn every_tick_survives_its_text_form(marks in marks(), at in -(1i64 << 44)..1i64 << 44) {
            let map = SignatureMap::new(&marks).unwrap();
            let near = marks.iter().map(|mark| mark.at.0 + at % 5);
            for at in near.chain([at]) {
                let text = map.format(Ticks(at));
                prop_assert_eq!(map.parse(&text), Ok(Ticks(at)), "{}", text);
            }
        }

        #[test]
        fn bars_follow_each_other_without_gap_or_overlap(marks in marks(), bar in -20i64..200) {
            let map = SignatureMap::new(&marks).unwrap();
            let (start, next) = (map.bar_start(bar), map.bar_start(bar + 1));
            prop_assert!(start < next);
            prop_assert_eq!(map.bar_at(start), bar);
            prop_assert_eq!(map.bar_at(Ticks(next.0 - 1)), bar);
        }
    }
}
