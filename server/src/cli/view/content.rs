//! What is inside: a track's strip, lanes and clips; a clip as a piano roll; curves.

use pulse_schemas::time::Ticks;
use serde_json::Value;

use super::{
    fit, mixer, rows,
    table::{Bars, counted, quarters, table},
    text,
};
use crate::cli::output::Output;

/// Columns of a drawing beside its axis.
const COLUMNS: usize = 80;

pub fn track(
    data: &Value,
    bars: &Bars,
    names: &dyn Fn(&str) -> Option<String>,
    output: &Output,
) -> String {
    let mut page = String::new();
    for track in rows(data, "tracks") {
        let kind = text(track, "trackKind");
        page += &format!("{} {}\n", output.bold(text(track, "name")), output.dim(kind));
    }
    page += &mixer::draw(data, names, output);
    let lanes = rows(data, "lanes");
    for lane in lanes {
        let id = text(lane, "id");
        let name = match text(lane, "name") {
            "" => text(lane, "laneKind").to_owned(),
            name => format!("{name} ({})", text(lane, "laneKind")),
        };
        page += &format!("\nlane {name}\n");
        let of_lane = rows(data, "clips").iter().filter(|clip| text(clip, "lane") == id);
        page += &clips(of_lane, bars, output);
    }
    let envelopes = rows(data, "envelopes").len();
    if envelopes > 0 {
        let told = counted(envelopes, "envelope");
        page += &format!("\n{told}; `pulse view automation ID` draws the curves of a track\n");
    }
    for (list, what) in [("takes", "take"), ("comps", "comp"), ("variants", "variant")] {
        let count = rows(data, list).len();
        if count > 0 {
            page += &format!("{}\n", counted(count, what));
        }
    }
    page
}

fn clips<'a>(clips: impl Iterator<Item = &'a Value>, bars: &Bars, output: &Output) -> String {
    let tick = |clip: &Value, field: &str| clip[field].as_i64().unwrap_or(0);
    let body = clips
        .map(|clip| {
            let mut marks = Vec::new();
            for (field, mark) in [("mute", "muted"), ("reverse", "reversed")] {
                marks.extend((clip[field] == Value::Bool(true)).then(|| mark.to_owned()));
            }
            marks.extend((!clip["loopLength"].is_null()).then(|| "loops".to_owned()));
            let gain = clip["gainDb"].as_f64().filter(|gain| *gain != 0.0);
            marks.extend(gain.map(|gain| format!("{gain:+.1} dB")));
            let found = text(clip, "availability");
            let lost = !matches!(found, "local" | "externalOnline" | "");
            marks.extend(lost.then(|| found.to_owned()));
            vec![
                text(clip, "name").to_owned(),
                bars.place(tick(clip, "startTick")),
                bars.place(tick(clip, "endTick")),
                match clip["notes"].as_u64() {
                    Some(notes) if text(clip, "content") == "midi" => {
                        counted(notes as usize, "note")
                    }
                    _ => text(clip, "content").to_owned(),
                },
                marks.join(", "),
            ]
        })
        .collect();
    table(output, &["clip", "from", "to", "holds", ""], body, "no clips")
}

pub fn clip(data: &Value, bars: &Bars, output: &Output) -> String {
    let clip = &data["clip"];
    let number = |field: &str| clip[field].as_i64().unwrap_or(0);
    let musical = text(clip, "timebase") != "absolute";
    let mut page = output.bold(match text(clip, "name") {
        "" => "(no name)",
        name => name,
    });
    page += &match musical {
        true => format!(
            " at {}, {} quarters long",
            bars.place(number("start")),
            quarters(number("length"))
        ),
        false => " fixed in time".to_owned(),
    };
    if let Some(length) = clip["loopLength"].as_i64().filter(|_| musical) {
        page += &format!(", loops {} quarters", quarters(length));
    }
    page.push('\n');
    let notes = rows(data, "notes");
    if !notes.is_empty() {
        page += &roll(notes, number("length").max(1), output);
    }
    let regions = rows(data, "regions");
    if !regions.is_empty() {
        page += &format!("{} of audio\n", counted(regions.len(), "region"));
    }
    let events = rows(data, "events").len();
    if events > 0 {
        page += &format!("{}\n", counted(events, "other event"));
    }
    if notes.is_empty() && regions.is_empty() && events == 0 {
        page += "nothing in it\n";
    }
    page
}

/// Pitches as rows, the highest first; those between that nobody plays are left out.
fn roll(notes: &[Value], length: i64, output: &Output) -> String {
    let number = |note: &Value, field: &str| note[field].as_i64().unwrap_or(0);
    let mut pitches: Vec<i64> = notes.iter().map(|note| number(note, "pitch")).collect();
    pitches.sort_unstable();
    pitches.dedup();
    let end = notes.iter().map(|note| number(note, "start") + number(note, "length")).max();
    let end = end.unwrap_or(0).max(length.min(i64::MAX / 128));
    let column = |tick: i64| {
        let at = i128::from(tick.max(0)) * COLUMNS as i128 / i128::from(end.max(1));
        usize::try_from(at).unwrap_or(COLUMNS)
    };
    let mut page = String::new();
    for pitch in pitches.iter().rev() {
        let mut cells = vec!['·'; COLUMNS];
        for note in notes.iter().filter(|note| number(note, "pitch") == *pitch) {
            let first = column(number(note, "start")).min(COLUMNS - 1);
            let last = column(number(note, "start") + number(note, "length"));
            let last = last.clamp(first + 1, COLUMNS);
            let muted = note["mute"] == Value::Bool(true);
            cells[first..last].fill(if muted { '-' } else { '═' });
            cells[first] = if muted { 'x' } else { '■' };
        }
        let line: String = cells.into_iter().collect();
        page += &format!("{} │{line}│\n", fit(&pitch_name(*pitch), 4));
    }
    let quarter = Ticks::PER_QUARTER;
    let whole = format!("{}, {} quarters", counted(notes.len(), "note"), quarters(end));
    page +=
        &output.dim(&format!("{whole}; a column is {:.2}\n", end as f64 / quarter as f64 / 80.0));
    page
}

/// Pitch classes, sharps where there are two names.
pub const PITCHES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// `C4` for 60.
fn pitch_name(pitch: i64) -> String {
    let name = PITCHES[usize::try_from(pitch.rem_euclid(12)).unwrap_or(0)];
    format!("{name}{}", pitch.div_euclid(12) - 1)
}

/// One drawing for each envelope, values upwards, time to the right.
pub fn automation(data: &Value, bars: &Bars, output: &Output) -> String {
    let envelopes = rows(data, "envelopes");
    if envelopes.is_empty() {
        return "no envelopes\n".to_owned();
    }
    let mut page = String::new();
    for envelope in envelopes {
        let id = text(envelope, "id");
        let of_it = rows(data, "points").iter().filter(|it| text(it, "envelope") == id);
        let points: Vec<&Value> = of_it.collect();
        let target = match text(envelope, "targetName") {
            "" => text(envelope, "target"),
            name => name,
        };
        let title = format!("{target} {}", text(envelope, "parameter"));
        page += &format!(
            "{} {}\n",
            output.bold(title.trim()),
            output.dim(&counted(points.len(), "point"))
        );
        page += &curve(&points, bars);
    }
    page
}

/// Rows of a curve.
const ROWS: usize = 8;

fn curve(points: &[&Value], bars: &Bars) -> String {
    let value = |point: &Value| point["value"].as_f64().unwrap_or(0.0);
    let tick = |point: &Value| point["tick"].as_i64().unwrap_or(0);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return "  no points\n".to_owned();
    };
    let low = points.iter().map(|it| value(it)).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|it| value(it)).fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    let (from, to) = (tick(first), tick(last).max(tick(first) + 1));
    let mut cells = vec![vec![' '; COLUMNS]; ROWS];
    for at in 0..COLUMNS {
        let here = from + (to - from) / (COLUMNS as i64 - 1) * at as i64;
        let level = (level(points, here) - low) / span;
        let row = ((1.0 - level) * (ROWS - 1) as f64).round() as usize;
        if let Some(cell) = cells.get_mut(row.min(ROWS - 1)).and_then(|row| row.get_mut(at)) {
            *cell = '─';
        }
    }
    for point in points {
        let at = i128::from(tick(point) - from) * (COLUMNS as i128 - 1) / i128::from(to - from);
        let row = ((high - value(point)) / span * (ROWS - 1) as f64).round() as usize;
        cells[row.min(ROWS - 1)][usize::try_from(at).unwrap_or(0).min(COLUMNS - 1)] = '●';
    }
    let mut page = String::new();
    for (row, cells) in cells.into_iter().enumerate() {
        let axis = match row {
            0 => format!("{high:>10.3}"),
            row if row == ROWS - 1 => format!("{low:>10.3}"),
            _ => " ".repeat(10),
        };
        let line: String = cells.into_iter().collect();
        page += format!("{axis} │{line}").trim_end();
        page.push('\n');
    }
    let (start, end) = (bars.place(from), bars.place(to));
    let room = COLUMNS.saturating_sub(start.chars().count() + end.chars().count());
    page + &format!("{}{start}{}{end}\n", " ".repeat(12), " ".repeat(room))
}

/// The curve at a place: a point's shape governs what follows it.
fn level(points: &[&Value], at: i64) -> f64 {
    let value = |point: &Value| point["value"].as_f64().unwrap_or(0.0);
    let tick = |point: &Value| point["tick"].as_i64().unwrap_or(0);
    let next = points.partition_point(|point| tick(point) <= at);
    let Some(from) = next.checked_sub(1).map(|it| points[it]) else {
        return points.first().map_or(0.0, |it| value(it));
    };
    let Some(to) = points.get(next) else { return value(from) };
    let x = (at - tick(from)) as f64 / (tick(to) - tick(from)).max(1) as f64;
    let (a, b) = (value(from), value(to));
    let shape = &from["shape"];
    let bend = shape["bezier"]["bend"].as_f64().or_else(|| shape["bend"].as_f64());
    match (shape.as_str().or_else(|| shape["kind"].as_str()), bend) {
        (Some("hold"), _) => a,
        (Some("exponential"), _) if a * b > 0.0 => a * (b / a).powf(x),
        (_, Some(bend)) => a + (b - a) * (x + bend.clamp(-1.0, 1.0) * x * (1.0 - x)),
        _ => a + (b - a) * x,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::Colour;

    const BEAT: i64 = Ticks::PER_QUARTER;

    #[test]
    fn a_piano_roll_has_a_row_for_each_pitch_that_is_played() {
        let note =
            |pitch: i64, start: i64| json!({"pitch": pitch, "start": start * BEAT, "length": BEAT});
        let data = json!({
            "clip": {"name": "Riff", "start": 0, "length": 4 * BEAT, "timebase": "musical"},
            "notes": [note(60, 0), note(63, 2)],
        });
        let output = Output::new(false, 0, Colour::Never);
        let drawn = clip(&data, &Bars::new(&json!({})), &output);
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines[0].starts_with("Riff at 1.1"), "{drawn}");
        assert!(lines[1].starts_with("D#4  │····"), "{drawn}");
        assert!(lines[2].starts_with("C4   │■═══"), "{drawn}");
        assert_eq!(
            lines[1].find('■').map(|_| lines[1].chars().position(|it| it == '■')),
            Some(Some(46))
        );
    }

    #[test]
    fn a_curve_runs_through_its_points_as_their_shapes_say() {
        let point =
            |at: i64, value: f64, shape: &str| json!({"tick": at, "value": value, "shape": shape});
        let points = [
            point(0, 0.0, "linear"),
            point(100, 1.0, "hold"),
            point(200, 4.0, "exponential"),
            point(300, 1.0, "linear"),
        ];
        let points: Vec<&Value> = points.iter().collect();
        for (at, expect) in [(-5, 0.0), (50, 0.5), (150, 1.0), (250, 2.0), (400, 1.0)] {
            assert!((level(&points, at) - expect).abs() < 1e-9, "at {at}");
        }
        let drawn = curve(&points, &Bars::new(&json!({})));
        assert_eq!(drawn.matches('●').count(), 4, "{drawn}");
    }
}
