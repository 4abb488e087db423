//! A moment of the calendar, for people and logs. Text on the wire, a number
//! inside; made by whoever has a clock, which this crate has not.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const DAY_MS: i64 = 86_400_000;
/// 0000-01-01 and 9999-12-31T23:59:59.999: four digits of year.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

/// Milliseconds since 1970-01-01T00:00:00Z; in text ISO 8601 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant's method:
/// years start in March, so that the leap day is the last one).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.clamp(FIRST, LAST);
        let (year, month, day) = civil_from_days(ms.div_euclid(DAY_MS));
        let of_day = ms.rem_euclid(DAY_MS);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time looks like `2026-01-31T23:59:59.999Z`, found {found:?}")]
pub struct ParseTimestampError {
    found: String,
}

/// Reads digits and fixed marks off the front of a text.
struct Scanner<'a>(&'a str);

impl Scanner<'_> {
    fn number(&mut self, digits: usize, low: i64, high: i64) -> Option<i64> {
        let head = self.0.get(..digits)?;
        if !head.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = &self.0[digits..];
        head.parse().ok().filter(|number| (low..=high).contains(number))
    }

    fn mark(&mut self, marks: &[char]) -> Option<char> {
        let mark = self.0.chars().next().filter(|mark| marks.contains(mark))?;
        self.0 = &self.0[mark.len_utf8()..];
        Some(mark)
    }

    /// The fraction of a second in milliseconds; further digits are cut off.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let head = self.0.get(..digits).filter(|head| !head.is_empty())?;
        self.0 = &self.0[digits..];
        let padded: String = head.chars().chain("000".chars()).take(3).collect();
        padded.parse().ok()
    }

    fn offset_minutes(&mut self) -> Option<i64> {
        let sign = match self.mark(&['Z', 'z', '+', '-'])? {
            '+' => 1,
            '-' => -1,
            _ => return Some(0),
        };
        let hours = self.number(2, 0, 23)?;
        self.mark(&[':']);
        Some(sign * (hours * 60 + self.number(2, 0, 59)?))
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        let year = self.number(4, 0, 9999)?;
        self.mark(&['-'])?;
        let month = self.number(2, 1, 12)?;
        self.mark(&['-'])?;
        let day = self.number(2, 1, 31)?;
        let days = days_from_civil(year, month, day);
        if civil_from_days(days) != (year, month, day) {
            return None;
        }
        self.mark(&['T', 't', ' '])?;
        let hour = self.number(2, 0, 23)?;
        self.mark(&[':'])?;
        let minute = self.number(2, 0, 59)?;
        self.mark(&[':'])?;
        // A leap second is the last millisecond before it.
        let second = self.number(2, 0, 60)?.min(59);
        let milli = if self.mark(&['.', ',']).is_some() { self.fraction()? } else { 0 };
        let minutes = hour * 60 + minute - self.offset_minutes()?;
        let ms = days * DAY_MS + minutes * 60_000 + second * 1_000 + milli;
        (self.0.is_empty() && (FIRST..=LAST).contains(&ms)).then_some(Timestamp(ms))
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Timestamp, ParseTimestampError> {
        Scanner(text)
            .timestamp()
            .ok_or_else(|| ParseTimestampError { found: text.chars().take(40).collect() })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "ISO 8601; Pulse writes UTC with milliseconds.",
            "format": "date-time"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments_have_their_names() {
        let check = |ms: i64, text: &str| {
            assert_eq!(Timestamp(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(ms)));
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_827_696_789, "2000-02-29T12:34:56.789Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(LAST, "9999-12-31T23:59:59.999Z");
        check(FIRST, "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn other_spellings_are_read() {
        let check = |text: &str, ms: Option<i64>| {
            assert_eq!(text.parse().ok(), ms.map(Timestamp), "{text}");
        };
        check("1970-01-01T01:00:00+01:00", Some(0));
        check("1970-01-01 00:00:00.0015z", Some(1));
        check("2023-02-29T00:00:00Z", None);
        check("1970-01-01T00:00:00", None);
        check("1970-13-01T00:00:00Z", None);
        check("1970-01-01T00:00:00.Z", None);
        check("1970-01-01T00:00:00Zx", None);
        check("ü", None);
    }

    proptest! {
        #[test]
        fn every_moment_survives_its_text(ms in FIRST..=LAST) {
            prop_assert_eq!(Timestamp(ms).to_string().parse(), Ok(Timestamp(ms)));
        }
    }
}
