//! The text form of a musical position: `17.3.240`.
//!
//! Bar, beat and tick, where bars and beats are counted from 1 and ticks from 0
//! at 960 to the quarter note, as musicians know them. What is finer than such
//! a tick stands after a plus, in 47 040ths of it: `17.3.240+12`. It is left
//! out when it is zero, so that the short form is the usual one and yet no
//! position is rounded by being written down.

use std::{fmt, str::FromStr};

use super::{PositionError, Ticks};

/// A position as bar, beat and tick. Whether it exists, the
/// [`SignatureMap`](super::SignatureMap) knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BarBeatTick {
    /// Bar 1 begins at tick 0; bar 0 is the one before.
    pub bar: i64,
    /// From 1.
    pub beat: u32,
    /// From 0, [`BarBeatTick::PER_QUARTER`] to the quarter note.
    pub tick: u32,
    /// What is finer, from 0, [`BarBeatTick::PARTS`] to a `tick`.
    pub rest: u32,
}

impl BarBeatTick {
    /// Shown ticks in a quarter note.
    pub const PER_QUARTER: i64 = 960;
    /// [`Ticks`] in a shown tick.
    pub const PARTS: i64 = Ticks::PER_QUARTER / BarBeatTick::PER_QUARTER;
}

impl fmt::Display for BarBeatTick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.bar, self.beat, self.tick)?;
        if self.rest == 0 { Ok(()) } else { write!(f, "+{}", self.rest) }
    }
}

/// Why a text is no musical position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePositionError {
    #[error("a position looks like `17.3.240` (bar.beat.tick), found nothing")]
    Empty,
    #[error("a position has a bar, a beat and a tick at most, found {found} numbers")]
    TooMany { found: usize },
    #[error("{found:?} is no {part}; a position looks like `17.3.240` (bar.beat.tick)")]
    Number { part: &'static str, found: String },
    #[error("what follows the `+` belongs to a tick; write the beat and the tick before it")]
    RestWithoutTick,
    #[error(transparent)]
    Position(#[from] PositionError),
}

impl FromStr for BarBeatTick {
    type Err = ParsePositionError;

    /// Beat and tick may be left out: `17` is the start of bar 17.
    fn from_str(text: &str) -> Result<BarBeatTick, ParsePositionError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParsePositionError::Empty);
        }
        let (text, rest) = match text.split_once('+') {
            Some((text, rest)) => (text, Some(rest)),
            None => (text, None),
        };
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() > 3 {
            return Err(ParsePositionError::TooMany { found: parts.len() });
        }
        if rest.is_some() && parts.len() < 3 {
            return Err(ParsePositionError::RestWithoutTick);
        }
        Ok(BarBeatTick {
            bar: number("bar", parts[0])?,
            beat: parts.get(1).map_or(Ok(1), |beat| number("beat", beat))?,
            tick: parts.get(2).map_or(Ok(0), |tick| number("tick", tick))?,
            rest: rest.map_or(Ok(0), |rest| number("part of a tick", rest))?,
        })
    }
}

fn number<T: FromStr>(part: &'static str, text: &str) -> Result<T, ParsePositionError> {
    let error = || ParsePositionError::Number { part, found: text.chars().take(24).collect() };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    text.parse().map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parts_are_the_first_ones() {
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<BarBeatTick>().unwrap().to_string(), expect);
        };
        check("17", "17.1.0");
        check("17.3", "17.3.0");
        check(" 17.3.240 ", "17.3.240");
        check("-2.1.007", "-2.1.7");
        check("1.1.0+12", "1.1.0+12");
        check("1.1.0+0", "1.1.0");
    }

    #[test]
    fn a_bad_position_says_what_is_wrong() {
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<BarBeatTick>().unwrap_err().to_string(), expect);
        };
        check("  ", "a position looks like `17.3.240` (bar.beat.tick), found nothing");
        check("1.2.3.4", "a position has a bar, a beat and a tick at most, found 4 numbers");
        check("a.2", "\"a\" is no bar; a position looks like `17.3.240` (bar.beat.tick)");
        check("1..3", "\"\" is no beat; a position looks like `17.3.240` (bar.beat.tick)");
        check("1.2.-3", "\"-3\" is no tick; a position looks like `17.3.240` (bar.beat.tick)");
        check(
            "1.2+3",
            "what follows the `+` belongs to a tick; write the beat and the tick before it",
        );
        check(
            "1.99999999999",
            "\"99999999999\" is no beat; a position looks like `17.3.240` (bar.beat.tick)",
        );
    }

    proptest::proptest! {
        #![proptest_config(crate::time::cases(256))]

        #[test]
        fn any_text_gives_a_position_or_an_error(text in "[-+.0-9aT/ ]{0,24}|\\PC{0,12}") {
            let map = crate::time::SignatureMap::default();
            if let Ok(at) = map.parse(&text) {
                proptest::prop_assert_eq!(map.parse(&map.format(at)), Ok(at));
            }
            if let Ok(length) = text.parse::<crate::time::MusicalLength>() {
                proptest::prop_assert_eq!(length.to_string().parse(), Ok(length));
            }
        }
    }
}
