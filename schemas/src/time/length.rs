//! Musical lengths as musicians write them: `1/16`, `1/8T`, `1/4.`.
//!
//! A fraction of a whole note with an optional mark: `T` for a triplet (two
//! thirds of it), `.` for a dotted one (one and a half), `..` for a double
//! dotted one (one and three quarters). Every whole number of ticks has such a
//! text, an odd one as a plain fraction, so writing and reading loses nothing.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::Ticks;

const WHOLE: i64 = Ticks::PER_QUARTER * 4;

/// A length that follows the tempo; in JSON its text form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MusicalLength(pub Ticks);

/// Why a text is no musical length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseLengthError {
    #[error("{found:?} is no musical length; it looks like `1/16`, `1/8T` or `1/4.`")]
    Shape { found: String },
    #[error("a note can't be divided by 0")]
    DivisionByZero,
    #[error("{found} is no whole number of ticks; a denominator divides {WHOLE}")]
    TooFine { found: String },
    #[error("{found} is longer than any project")]
    TooLong { found: String },
}

impl FromStr for MusicalLength {
    type Err = ParseLengthError;

    fn from_str(text: &str) -> Result<MusicalLength, ParseLengthError> {
        let found = || text.chars().take(40).collect::<String>();
        let shape = || ParseLengthError::Shape { found: found() };
        let (fraction, (times, over)) = split_mark(text.trim());
        let (numerator, denominator) = fraction.split_once('/').ok_or_else(shape)?;
        let (negative, numerator) = match numerator.strip_prefix('-') {
            Some(numerator) => (true, numerator),
            None => (false, numerator),
        };
        let numerator = digits(numerator).ok_or_else(shape)?;
        let denominator = digits(denominator).ok_or_else(shape)?;
        if denominator == 0 {
            return Err(ParseLengthError::DivisionByZero);
        }
        let parts = numerator * times * i128::from(WHOLE);
        let denominator = denominator * over;
        if parts % denominator != 0 {
            return Err(ParseLengthError::TooFine { found: found() });
        }
        let ticks = parts / denominator;
        i64::try_from(if negative { -ticks } else { ticks })
            .ok()
            .map(Ticks)
            .filter(|ticks| ticks.is_in_range())
            .map(MusicalLength)
            .ok_or_else(|| ParseLengthError::TooLong { found: found() })
    }
}

/// The fraction without its mark, and the factor that the mark stands for.
fn split_mark(text: &str) -> (&str, (i128, i128)) {
    for (mark, factor) in [("..", (7, 4)), (".", (3, 2)), ("T", (2, 3)), ("t", (2, 3))] {
        if let Some(fraction) = text.strip_suffix(mark) {
            return (fraction, factor);
        }
    }
    (text, (1, 1))
}

/// Up to 18 digits, which no later product can overflow.
fn digits(text: &str) -> Option<i128> {
    let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for MusicalLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = i128::from(self.0.0);
        let divisor = greatest_common_divisor(ticks.abs(), i128::from(WHOLE));
        let (numerator, denominator) = (ticks / divisor, i128::from(WHOLE) / divisor);
        let sign = if ticks < 0 { "-" } else { "" };
        match (numerator.abs(), denominator) {
            (3, d) if d > 1 && is_power_of_two(d) => write!(f, "{sign}1/{}.", d / 2),
            (7, d) if d > 2 && is_power_of_two(d) => write!(f, "{sign}1/{}..", d / 4),
            (2, 3) => write!(f, "{sign}1/1T"),
            (1, d) if d % 3 == 0 && is_power_of_two(d / 3 * 2) => {
                write!(f, "{sign}1/{}T", d / 3 * 2)
            }
            (n, d) => write!(f, "{sign}{n}/{d}"),
        }
    }
}

fn is_power_of_two(number: i128) -> bool {
    number > 0 && number & (number - 1) == 0
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl Serialize for MusicalLength {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MusicalLength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MusicalLength, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for MusicalLength {
    fn schema_name() -> Cow<'static, str> {
        "MusicalLength".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Part of a whole note: 1/16, 1/8T (triplet), 1/4. (dotted), 1/4.. (double dotted).",
            "pattern": "^-?[0-9]{1,18}/[0-9]{1,18}([Tt]|\\.|\\.\\.)?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::cases;

    #[test]
    fn lengths_read_as_musicians_write_them() {
        let check = |text: &str, numerator: i64, denominator: i64| {
            let ticks = Ticks(WHOLE * numerator / denominator);
            assert_eq!(text.parse(), Ok(MusicalLength(ticks)));
            assert_eq!(MusicalLength(ticks).to_string(), text);
        };
        check("1/16", 1, 16);
        check("1/8T", 1, 12);
        check("1/1T", 2, 3);
        check("1/2T", 1, 3);
        check("1/4.", 3, 8);
        check("1/4..", 7, 16);
        check("1/1", 1, 1);
        check("3/1", 3, 1);
        check("5/16", 5, 16);
        check("-1/32", -1, 32);
        check("0/1", 0, 1);
        check("1/5", 1, 5);
    }

    #[test]
    fn a_bad_length_says_what_is_wrong() {
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<MusicalLength>().unwrap_err().to_string(), expect);
        };
        check("", "\"\" is no musical length; it looks like `1/16`, `1/8T` or `1/4.`");
        check("1/x", "\"1/x\" is no musical length; it looks like `1/16`, `1/8T` or `1/4.`");
        check("1/+4", "\"1/+4\" is no musical length; it looks like `1/16`, `1/8T` or `1/4.`");
        check("1/0", "a note can't be divided by 0");
        check("1/11", "1/11 is no whole number of ticks; a denominator divides 180633600");
        check("999999999999/1", "999999999999/1 is longer than any project");
    }

    proptest! {
        #![proptest_config(cases(256))]

        #[test]
        fn every_length_survives_its_text_form(
            ticks in prop_oneof![-super::super::POSITION_LIMIT..super::super::POSITION_LIMIT,
                (-4000i64..4000).prop_map(|n| n * 22_050)],
        ) {
            let length = MusicalLength(Ticks(ticks));
            prop_assert_eq!(length.to_string().parse(), Ok(length));
        }
    }
}
