//! Rows in columns, and places in bars: what most views are for people.

use pulse_schemas::time::{Signature, SignatureMap, SignatureMark, Ticks};
use serde_json::Value;

use super::{fit, rows};
use crate::cli::output::Output;

/// Columns wider than this are cut.
const WIDEST: usize = 44;

/// A table; an empty one says `nothing` instead.
pub fn table(output: &Output, head: &[&str], body: Vec<Vec<String>>, nothing: &str) -> String {
    if body.is_empty() {
        return format!("{nothing}\n");
    }
    let width = |at: usize| {
        let cells = body.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain([head[at].chars().count()]).max().unwrap_or(0).min(WIDEST)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let fitted = cells.iter().zip(&widths).map(|(cell, width)| fit(cell, *width));
        fitted.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut page = format!("{}\n", output.bold(&line(head)));
    for row in &body {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        page += &format!("{}\n", line(&cells));
    }
    page
}

/// `3 tracks`, `1 track`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The bars of a timeline.
pub struct Bars(SignatureMap);

impl Bars {
    pub fn new(timeline: &Value) -> Bars {
        let marks: Vec<SignatureMark> =
            rows(timeline, "signatures").iter().filter_map(mark).collect();
        Bars(SignatureMap::repaired(&marks).0)
    }

    /// `5.1.1`; what doesn't lie on a beat ends in ticks.
    pub fn place(&self, tick: i64) -> String {
        self.0.position_at(Ticks(tick)).to_string()
    }
}

fn mark(point: &Value) -> Option<SignatureMark> {
    let part = |field: &str| point[field].as_u64().and_then(|value| u8::try_from(value).ok());
    let signature = Signature { numerator: part("numerator")?, denominator: part("denominator")? };
    Some(SignatureMark { at: Ticks(point["at"].as_i64()?), signature })
}

/// A length in quarters.
pub fn quarters(ticks: i64) -> String {
    let quarters = ticks as f64 / Ticks::PER_QUARTER as f64;
    let text = format!("{quarters:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::Colour;

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let output = Output::new(false, 0, Colour::Never);
        let body = vec![vec!["Bass".into(), "x".into()], vec!["A".into(), "y".into()]];
        let drawn = table(&output, &["name", "it"], body, "none");
        assert_eq!(drawn, "name  it\nBass  x\nA     y\n");
        assert_eq!(table(&output, &["name"], vec![], "no names"), "no names\n");
    }

    #[test]
    fn places_are_bars_and_lengths_are_quarters() {
        let bars = Bars::new(&json!({"signatures": [{"at": 0, "numerator": 3, "denominator": 4}]}));
        assert!(bars.place(3 * Ticks::PER_QUARTER).starts_with("2.1"));
        assert_eq!(quarters(Ticks::PER_QUARTER * 3 / 2), "1.5");
    }
}
