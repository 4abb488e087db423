//! The mixer as a table.

use serde_json::Value;

use super::{fit, rows, text};
use crate::cli::output::Output;

/// `names` knows the channels that are not in the window: most feed one of those.
pub fn draw(data: &Value, names: &dyn Fn(&str) -> Option<String>, output: &Output) -> String {
    let channels = rows(data, "channels");
    let name_of = |id: &Value| {
        let found = channels.iter().find(|channel| channel["id"] == *id);
        let here = found.map(|row| text(row, "name").to_owned());
        let id = id.as_str().unwrap_or("-");
        here.or_else(|| names(id)).unwrap_or_else(|| id.to_owned())
    };
    let head = ["channel", "kind", "gain", "pan", "", "output", "sends", "nodes"];
    let mut table: Vec<Vec<String>> = vec![head.iter().map(|name| (*name).to_owned()).collect()];
    for channel in channels {
        let sends = rows(channel, "sends")
            .iter()
            .map(|send| format!("{} {}", name_of(&send["to"]), decibel(&send["gainDb"])));
        let nodes = rows(channel, "nodes").iter().map(|node| {
            let kind = text(node, "nodeKind").trim_start_matches("pulse.");
            if node["bypass"] == Value::Bool(true) { format!("({kind})") } else { kind.to_owned() }
        });
        table.push(vec![
            text(channel, "name").to_owned(),
            text(channel, "channelKind").to_owned(),
            decibel(&channel["gainDb"]),
            pan(&channel["pan"]),
            flags(channel),
            name_of(&channel["output"]),
            sends.collect::<Vec<_>>().join(", "),
            nodes.collect::<Vec<_>>().join(" → "),
        ]);
    }
    let widths: Vec<usize> = (0..head.len())
        .map(|at| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0).min(32))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| fit(cell, *width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = table.iter().map(line);
    let head = lines.next().map(|head| output.bold(&head)).unwrap_or_default();
    std::iter::once(head).chain(lines).map(|line| format!("{line}\n")).collect()
}

fn decibel(value: &Value) -> String {
    match value.as_f64().unwrap_or(0.0) {
        silent if silent <= -144.0 => "-∞".to_owned(),
        gain => format!("{gain:+.1}"),
    }
}

fn pan(value: &Value) -> String {
    match (value.as_f64().unwrap_or(0.0) * 100.0).round() as i64 {
        0 => "C".to_owned(),
        left if left < 0 => format!("{}L", -left),
        right => format!("{right}R"),
    }
}

/// Muted, soloed, armed; a dash where something else keeps it from sounding.
fn flags(channel: &Value) -> String {
    let track = &channel["trackState"];
    let on = |value: &Value| *value == Value::Bool(true);
    let marks = [
        (on(&channel["mute"]) || on(&track["mute"]), 'M'),
        (on(&track["solo"]), 'S'),
        (on(&track["armed"]), 'R'),
        (on(&track["frozen"]), 'F'),
        (!on(&channel["audible"]), '-'),
    ];
    marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::Colour;

    #[test]
    fn a_channel_is_a_line() {
        let data = json!({"channels": [
            {"id": "chn_1", "name": "Bass", "channelKind": "track", "gainDb": -3.0, "pan": -0.25,
             "audible": false, "mute": true, "output": "chn_2", "trackState": {"solo": false},
             "sends": [], "nodes": [{"nodeKind": "pulse.eq", "bypass": false}]},
            {"id": "chn_2", "name": "Master", "channelKind": "master", "gainDb": 0.0, "pan": 0.0,
             "audible": true, "output": null, "sends": [], "nodes": []},
        ]});
        let drawn = draw(&data, &|_| None, &Output::new(false, 0, Colour::Never));
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[0], "channel  kind    gain  pan      output  sends  nodes");
        assert_eq!(lines[1], "Bass     track   -3.0  25L  M-  Master         eq");
        assert_eq!(lines[2], "Master   master  +0.0  C        -");
    }

    #[test]
    fn a_channel_outside_of_the_window_has_a_name_too() {
        let data = json!({"channels": [{"id": "chn_1", "name": "Bass", "output": "chn_2"}]});
        let names = |id: &str| (id == "chn_2").then(|| "Master".to_owned());
        let drawn = draw(&data, &names, &Output::new(false, 0, Colour::Never));
        assert!(drawn.contains("Master") && !drawn.contains("chn_2"), "{drawn}");
    }
}
