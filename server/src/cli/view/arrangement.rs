//! The arrangement in characters: tracks as rows, bars as columns, clips as
//! blocks with their names.

use pulse_schemas::time::{Signature, SignatureMap, SignatureMark, Ticks};
use serde_json::Value;

use super::{fit, rows, text};
use crate::cli::output::Output;

/// Columns of the names of the tracks.
const NAMES: usize = 18;

pub fn draw(data: &Value, timeline: &Value, width: usize, output: &Output) -> String {
    let bars = Bars::new(data, timeline, width.saturating_sub(NAMES + 1));
    let mut drawn = String::new();
    drawn.push_str(&output.dim(format!("{} {}", " ".repeat(NAMES), bars.ruler()).trim_end()));
    drawn.push('\n');
    for track in rows(data, "tracks") {
        let depth = track["depth"].as_u64().unwrap_or(0) as usize;
        let name = format!("{}{}{}", "  ".repeat(depth), text(track, "name"), marks(track));
        let id = text(track, "id");
        let clips: Vec<&Value> =
            rows(data, "clips").iter().filter(|clip| text(clip, "track") == id).collect();
        let line = format!("{}│{}", fit(&name, NAMES), bars.line(&clips));
        drawn.push_str(line.trim_end());
        drawn.push('\n');
    }
    if rows(data, "tracks").is_empty() {
        drawn.push_str("no tracks; `pulse do track.create '{\"name\": \"Bass\"}'` makes one\n");
    }
    drawn
}

/// What a track's name is followed by.
fn marks(track: &Value) -> String {
    let flags = [("mute", "M"), ("solo", "S"), ("armed", "R")];
    let mut marks: String = flags
        .iter()
        .filter(|(field, _)| track[*field] == Value::Bool(true))
        .map(|(_, mark)| *mark)
        .collect();
    if !track["frozen"].is_null() {
        marks.push('F');
    }
    if marks.is_empty() { marks } else { format!(" {marks}") }
}

/// Columns of time: each a whole number of bars, or a fraction of one.
struct Bars {
    signatures: SignatureMap,
    first: i64,
    columns: usize,
    /// Columns of one bar, or bars of one column.
    per_bar: usize,
    bars_each: i64,
}

impl Bars {
    fn new(data: &Value, timeline: &Value, width: usize) -> Bars {
        let marks: Vec<SignatureMark> =
            rows(timeline, "signatures").iter().filter_map(mark).collect();
        let signatures = SignatureMap::repaired(&marks).0;
        let tick = |clip: &Value, field: &str| Ticks(clip[field].as_i64().unwrap_or(0));
        let clips = rows(data, "clips");
        let start = clips.iter().map(|clip| tick(clip, "startTick")).min();
        let end = clips.iter().map(|clip| tick(clip, "endTick")).max();
        let first = signatures.bar_at(start.unwrap_or(Ticks::ZERO).max(Ticks::ZERO));
        let last = signatures.bar_at(end.unwrap_or(Ticks::ZERO).saturating_sub(Ticks(1)));
        // A song is seen from its start when that costs no more than as much again.
        let first = if first <= last - first + 1 { signatures.bar_at(Ticks::ZERO) } else { first };
        let count = (last - first + 1).max(4);
        let width = width.max(16);
        let per_bar = (width / usize::try_from(count).unwrap_or(width)).clamp(1, 8);
        let bars_each = (count + width as i64 - 1) / width as i64;
        let columns = match bars_each {
            ..=1 => count as usize * per_bar,
            each => ((count + each - 1) / each) as usize,
        };
        let per_bar = if bars_each > 1 { 1 } else { per_bar };
        Bars { signatures, first, columns, per_bar, bars_each: bars_each.max(1) }
    }

    /// Where a column begins.
    fn tick(&self, column: usize) -> i64 {
        let (bar, part) = (column / self.per_bar, column % self.per_bar);
        let bar = self.first + bar as i64 * self.bars_each;
        let (start, length) = (self.signatures.bar_start(bar), self.signatures.bar_length(bar));
        start.0 + length.0 * part as i64 / self.per_bar as i64
    }

    fn ruler(&self) -> String {
        let mut ruler = String::new();
        for column in (0..self.columns).step_by(self.per_bar) {
            let bar = self.first + (column / self.per_bar) as i64 * self.bars_each;
            let position = self.signatures.position_at(self.signatures.bar_start(bar)).to_string();
            let name = position.split(['.', ':']).next().unwrap_or_default();
            // A number needs room, and a column of air behind it.
            if ruler.chars().count() <= column && (bar - self.first) % self.stride() == 0 {
                ruler.push_str(&" ".repeat(column - ruler.chars().count()));
                ruler.push_str(name);
                ruler.push(' ');
            }
        }
        ruler
    }

    /// Bars between two numbers of the ruler.
    fn stride(&self) -> i64 {
        let wanted = 5i64.div_euclid(self.per_bar as i64).max(1) * self.bars_each;
        [1, 2, 4, 8, 16, 32, 64, 128].into_iter().find(|step| *step >= wanted).unwrap_or(256)
    }

    fn line(&self, clips: &[&Value]) -> String {
        let mut cells = vec![' '; self.columns];
        let edges: Vec<i64> = (0..=self.columns).map(|column| self.tick(column)).collect();
        for clip in clips {
            let tick = |field: &str| clip[field].as_i64().unwrap_or(0);
            let first = edges.partition_point(|edge| *edge <= tick("startTick")).saturating_sub(1);
            let last = edges.partition_point(|edge| *edge < tick("endTick")).min(self.columns);
            self.block(&mut cells, first.min(self.columns), last, clip);
        }
        cells.into_iter().collect()
    }

    fn block(&self, cells: &mut [char], first: usize, last: usize, clip: &Value) {
        let length = last.saturating_sub(first).max(1);
        let name = match text(clip, "name") {
            "" => text(clip, "content"),
            name => name,
        };
        let fill = if clip["mute"] == Value::Bool(true) { '·' } else { '═' };
        let missing = !matches!(text(clip, "availability"), "local" | "externalOnline");
        let mut drawn: Vec<char> = vec![fill; length];
        if length >= 2 {
            drawn[0] = '[';
            drawn[length - 1] = if missing { '!' } else { ']' };
        }
        let room = length.saturating_sub(2);
        for (at, letter) in name.chars().take(room).enumerate() {
            drawn[at + 1] = letter;
        }
        for (cell, letter) in cells.iter_mut().skip(first).zip(drawn) {
            *cell = letter;
        }
    }
}

fn mark(point: &Value) -> Option<SignatureMark> {
    let part = |field: &str| point[field].as_u64().and_then(|value| u8::try_from(value).ok());
    let signature = Signature { numerator: part("numerator")?, denominator: part("denominator")? };
    Some(SignatureMark { at: Ticks(point["at"].as_i64()?), signature })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::{Colour, output::Output};

    const BAR: i64 = 4 * 45_158_400;

    fn clip(name: &str, from: i64, to: i64) -> Value {
        json!({
            "track": "trk_1", "name": name, "content": "midi", "mute": false,
            "startTick": from * BAR, "endTick": to * BAR, "availability": "local",
        })
    }

    #[test]
    fn clips_are_blocks_under_their_bars() {
        let data = json!({
            "tracks": [{"id": "trk_1", "name": "Bass", "depth": 0, "mute": true, "frozen": null}],
            "clips": [clip("Intro", 0, 2), clip("Verse", 2, 4)],
        });
        let output = Output::new(false, 0, Colour::Never);
        let drawn = draw(&data, &json!({}), NAMES + 1 + 32, &output);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[0].trim_start(), "1       2       3       4");
        assert_eq!(lines[1], "Bass M            │[Intro═════════][Verse═════════]");
    }

    #[test]
    fn a_long_song_has_several_bars_in_a_column() {
        let data = json!({
            "tracks": [{"id": "trk_1", "name": "Pad", "depth": 1, "frozen": null}],
            "clips": [clip("Drone", 0, 640)],
        });
        let output = Output::new(false, 0, Colour::Never);
        let drawn = draw(&data, &json!({}), 80, &output);
        assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
        assert!(drawn.contains("[Drone══"), "{drawn}");
    }
}
