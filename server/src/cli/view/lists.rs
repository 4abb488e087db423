//! Views that are lists: media, history, branches, differences, the timeline.

use serde_json::Value;

use super::{
    content::PITCHES,
    rows,
    table::{Bars, counted, quarters, table},
    text,
};
use crate::cli::{
    output::Output,
    versions::{minute, short},
};

pub fn media(data: &Value, output: &Output) -> String {
    let body = rows(data, "items")
        .iter()
        .map(|item| {
            let format = &item["format"];
            let frames = format["frames"].as_u64().or_else(|| item["frames"].as_u64());
            let rate = format["sampleRate"].as_u64().or_else(|| item["sampleRate"].as_u64());
            let length = frames.zip(rate.filter(|rate| *rate > 0));
            vec![
                text(item, "name").to_owned(),
                text(item, "found").to_owned(),
                length.map_or(String::new(), |(frames, rate)| {
                    format!("{:.2} s", frames as f64 / rate as f64)
                }),
                rate.map_or(String::new(), |rate| format!("{rate} Hz")),
                counted(rows(item, "clips").len(), "clip"),
                text(&item["storage"], "path").to_owned(),
            ]
        })
        .collect();
    let nothing = "no media; `pulse media add FILE` takes a file in";
    table(output, &["name", "found", "length", "rate", "used by", "file"], body, nothing)
}

pub fn history(data: &Value, output: &Output) -> String {
    let body = rows(data, "entries")
        .iter()
        .map(|entry| {
            let label = text(entry, "label");
            let undone = entry["applied"] == Value::Bool(false);
            let contexts: Vec<&str> =
                rows(entry, "contexts").iter().filter_map(Value::as_str).collect();
            vec![
                entry["entry"].to_string(),
                minute(text(entry, "time")),
                text(entry, "author").to_owned(),
                if undone { format!("({label})") } else { label.to_owned() },
                contexts.join(" "),
            ]
        })
        .collect();
    let page = table(output, &["entry", "time", "author", "edit", "contexts"], body, "no edits");
    let more = data["more"] == Value::Bool(true);
    let note = if more { "older entries: `'{\"window\": {\"firstRow\": 100}}'`\n" } else { "" };
    format!("{page}{}", output.dim(note))
}

pub fn branches(data: &Value, output: &Output) -> String {
    let mut page = String::new();
    for branch in rows(data, "branches") {
        let here = branch["current"] == Value::Bool(true);
        let name = text(branch, "name");
        let mark =
            if here { output.paint("36", &format!("* {name}")) } else { format!("  {name}") };
        let mut about = Vec::new();
        for (field, word) in [("ahead", "ahead"), ("behind", "behind")] {
            let count = branch[field].as_u64().unwrap_or(0);
            about.extend((count > 0).then(|| format!("{count} {word}")));
        }
        about
            .extend((branch["draft"] == Value::Bool(true)).then(|| "uncommitted edits".to_owned()));
        let about =
            if about.is_empty() { String::new() } else { format!("  ({})", about.join(", ")) };
        page += &format!("{mark}  {}{about}\n", short(text(branch, "head")));
    }
    page.push('\n');
    for commit in rows(data, "commits") {
        let names = rows(commit, "branches").iter().chain(rows(commit, "tags"));
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        let names =
            if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        let merge = if rows(commit, "parents").len() > 1 { "◆" } else { "●" };
        page += &format!(
            "{merge} {} {}{}  {}\n",
            output.paint("33", &short(text(commit, "id"))),
            text(commit, "label"),
            output.paint("36", &names),
            output.dim(&format!("{}, {}", text(commit, "author"), minute(text(commit, "time"))))
        );
    }
    page
}

pub fn timeline(data: &Value, bars: &Bars, output: &Output) -> String {
    let tick = |row: &Value, field: &str| row[field].as_i64().unwrap_or(0);
    let mut all: Vec<(i64, &str, String)> = Vec::new();
    for row in rows(data, "tempo") {
        let ramp = if text(row, "shape") == "step" { "" } else { ", towards the next" };
        let bpm = row["bpm"].as_f64().unwrap_or(0.0);
        all.push((tick(row, "at"), "tempo", format!("{bpm} BPM{ramp}")));
    }
    for row in rows(data, "signatures") {
        let meter = format!("{}/{}", row["numerator"], row["denominator"]);
        all.push((tick(row, "at"), "signature", meter));
    }
    for row in rows(data, "keys") {
        let tonic = usize::try_from(tick(row, "tonic").rem_euclid(12)).unwrap_or(0);
        all.push((tick(row, "at"), "key", format!("{} {}", PITCHES[tonic], text(row, "scale"))));
    }
    for row in rows(data, "markers") {
        all.push((tick(row, "at"), "marker", text(row, "name").to_owned()));
    }
    for row in rows(data, "sections") {
        let length = quarters(tick(row, "length"));
        let name = format!("{}, {length} quarters", text(row, "name"));
        all.push((tick(row, "start"), "section", name));
    }
    all.sort_by_key(|(at, _, _)| *at);
    let body = all
        .into_iter()
        .map(|(at, kind, what)| vec![bars.place(at), kind.to_owned(), what])
        .collect();
    table(output, &["at", "kind", "what"], body, "an empty timeline")
}
