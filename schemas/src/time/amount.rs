//! Amounts of time as whole numbers of two units, never of a sample rate.
//!
//! There is no `+` on purpose: a position comes from files and networks, and an
//! overflow has to be either an answer (`checked_`) or a stop at the edge
//! (`saturating_`), never a wrap or a panic.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest position or length that every part agrees on, in either unit:
/// whole numbers up to here are exact in a JSON number and in a JavaScript client.
pub const POSITION_LIMIT: i64 = (1 << 53) - 1;

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug,
            Serialize, Deserialize, JsonSchema,
            rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
        )]
        #[serde(transparent)]
        #[rkyv(derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash))]
        pub struct $name(pub i64);

        impl $name {
            pub const ZERO: $name = $name(0);
            pub const MIN: $name = $name(-POSITION_LIMIT);
            pub const MAX: $name = $name(POSITION_LIMIT);

            /// Whether every part of Pulse, and a JSON number, holds it exactly.
            pub const fn is_in_range(self) -> bool {
                self.0 >= -POSITION_LIMIT && self.0 <= POSITION_LIMIT
            }

            pub const fn is_negative(self) -> bool {
                self.0 < 0
            }

            pub fn checked_add(self, other: $name) -> Option<$name> {
                self.0.checked_add(other.0).map($name).filter(|sum| sum.is_in_range())
            }

            pub fn checked_sub(self, other: $name) -> Option<$name> {
                self.0.checked_sub(other.0).map($name).filter(|rest| rest.is_in_range())
            }

            pub fn checked_mul(self, factor: i64) -> Option<$name> {
                self.0.checked_mul(factor).map($name).filter(|product| product.is_in_range())
            }

            /// The sum, stopped at [`Self::MIN`] and [`Self::MAX`].
            pub fn saturating_add(self, other: $name) -> $name {
                $name(self.0.saturating_add(other.0)).clamped()
            }

            /// The difference, stopped at [`Self::MIN`] and [`Self::MAX`].
            pub fn saturating_sub(self, other: $name) -> $name {
                $name(self.0.saturating_sub(other.0)).clamped()
            }

            /// The product, stopped at [`Self::MIN`] and [`Self::MAX`].
            pub fn saturating_mul(self, factor: i64) -> $name {
                $name(self.0.saturating_mul(factor)).clamped()
            }

            pub fn clamped(self) -> $name {
                $name(self.0.clamp(-POSITION_LIMIT, POSITION_LIMIT))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$name> for Moment {
            fn from(amount: $name) -> Moment {
                Moment(amount.0)
            }
        }
    };
}

amount! {
    /// Musical time: a position or length in ticks, [`Ticks::PER_QUARTER`] to the quarter note.
    Ticks
}

amount! {
    /// Absolute time: a position or length in flicks, [`Flicks::PER_SECOND`] to the second.
    Flicks
}

impl Ticks {
    /// 705 600 × 64: every common PPQ divides it, and at 60 BPM a tick is far
    /// shorter than a sample at 192 kHz.
    pub const PER_QUARTER: i64 = 45_158_400;

    pub const fn quarters(count: i64) -> Ticks {
        Ticks(count.saturating_mul(Ticks::PER_QUARTER))
    }

    /// For display and estimates: the count of quarter notes, with a fraction.
    pub fn as_quarters(self) -> f64 {
        self.0 as f64 / Ticks::PER_QUARTER as f64
    }
}

impl Flicks {
    /// Divisible by every usual sample rate and frame rate (24, 25, 30, 44 100, 48 000 … 192 000).
    pub const PER_SECOND: i64 = 705_600_000;

    pub const fn seconds(count: i64) -> Flicks {
        Flicks(count.saturating_mul(Flicks::PER_SECOND))
    }

    /// For display and estimates: seconds, with a fraction.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / Flicks::PER_SECOND as f64
    }

    /// The flick nearest to `seconds` (halves go up), stopped at the range; `None` for NaN.
    pub fn from_seconds(seconds: f64) -> Option<Flicks> {
        let flicks = (seconds * Flicks::PER_SECOND as f64 + 0.5).floor();
        (!flicks.is_nan()).then(|| Flicks(flicks as i64).clamped())
    }
}

/// What the positions and lengths of a clip or an envelope are counted in.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[serde(rename_all = "camelCase")]
#[rkyv(derive(Clone, Copy, PartialEq, Eq, Debug))]
pub enum Timebase {
    /// Ticks: follows the tempo map.
    #[default]
    Musical,
    /// Flicks: stays where it is when the tempo changes.
    Absolute,
}

/// A position or length whose unit the owner's [`Timebase`] tells: ticks when
/// musical, flicks when absolute.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Debug,
    Serialize,
    Deserialize,
    JsonSchema,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[serde(transparent)]
#[rkyv(derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash))]
pub struct Moment(pub i64);

impl Moment {
    pub const ZERO: Moment = Moment(0);

    pub const fn is_in_range(self) -> bool {
        Ticks(self.0).is_in_range()
    }

    /// As ticks, which it is only under [`Timebase::Musical`].
    pub const fn as_ticks(self) -> Ticks {
        Ticks(self.0)
    }

    /// As flicks, which it is only under [`Timebase::Absolute`].
    pub const fn as_flicks(self) -> Flicks {
        Flicks(self.0)
    }

    pub fn checked_add(self, other: Moment) -> Option<Moment> {
        Ticks(self.0).checked_add(Ticks(other.0)).map(Moment::from)
    }

    pub fn checked_sub(self, other: Moment) -> Option<Moment> {
        Ticks(self.0).checked_sub(Ticks(other.0)).map(Moment::from)
    }

    pub fn saturating_add(self, other: Moment) -> Moment {
        Ticks(self.0).saturating_add(Ticks(other.0)).into()
    }

    pub fn saturating_sub(self, other: Moment) -> Moment {
        Ticks(self.0).saturating_sub(Ticks(other.0)).into()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stop_at_the_range_or_say_so() {
        assert_eq!(Ticks(2).checked_add(Ticks(3)), Some(Ticks(5)));
        assert_eq!(Ticks::MAX.checked_add(Ticks(1)), None);
        assert_eq!(Ticks(i64::MAX).checked_mul(2), None);
        assert_eq!(Ticks::MAX.saturating_add(Ticks(i64::MAX)), Ticks::MAX);
        assert_eq!(Flicks::MIN.saturating_sub(Flicks(i64::MAX)), Flicks::MIN);
        assert_eq!(Moment(5).checked_sub(Moment(7)), Some(Moment(-2)));
    }

    #[test]
    fn usual_resolutions_divide_the_units() {
        for ppq in [24, 48, 96, 120, 192, 240, 384, 480, 960, 1920, 3840, 15_360] {
            assert_eq!(Ticks::PER_QUARTER % ppq, 0, "{ppq}");
        }
        for rate in [24, 25, 30, 60, 8_000, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000] {
            assert_eq!(Flicks::PER_SECOND % rate, 0, "{rate}");
        }
    }

    #[test]
    fn json_forms_are_bare_numbers_and_words() {
        assert_eq!(serde_json::to_string(&Ticks(-3)).unwrap(), "-3");
        assert_eq!(serde_json::to_string(&Timebase::Musical).unwrap(), "\"musical\"");
        assert!(serde_json::from_str::<Flicks>("1.5").is_err());
    }

    #[test]
    fn seconds_become_the_nearest_flick() {
        assert_eq!(Flicks::from_seconds(1.0), Some(Flicks::seconds(1)));
        assert_eq!(Flicks::from_seconds(-1e-10), Some(Flicks::ZERO));
        assert_eq!(Flicks::from_seconds(f64::INFINITY), Some(Flicks::MAX));
        assert_eq!(Flicks::from_seconds(f64::NAN), None);
    }
}
