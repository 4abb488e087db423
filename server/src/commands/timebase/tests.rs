use serde_json::{Value, json};

use crate::commands::desk::{BAR, BEAT, Desk};

/// Places of the tempo points in beats, with their tempos.
fn tempos(desk: &mut Desk) -> Vec<(f64, f64)> {
    let list = desk.run("timebase.list", json!({}));
    let points = list["tempo"].as_array().unwrap().iter();
    points
        .map(|it| (it["at"].as_i64().unwrap() as f64 / BEAT as f64, it["bpm"].as_f64().unwrap()))
        .collect()
}

fn song() -> (Desk, Value) {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    for bar in 0..4 {
        desk.clip(&lane, bar * BAR, BAR, &[bar]);
    }
    desk.run("timebase.addTempo", json!({"at": 2 * BAR, "bpm": 90}));
    desk.run("metadata.addMarker", json!({"name": "Drop", "at": 2 * BAR}));
    for (name, bar) in [("A", 0), ("B", 2)] {
        let range = json!({"start": bar * BAR, "end": (bar + 2) * BAR});
        desk.run("metadata.addSection", json!({"name": name, "range": range}));
    }
    (desk, lane)
}

fn marker(desk: &mut Desk) -> i64 {
    let list = desk.run("metadata.list", json!({}));
    list["markers"][0]["at"].as_i64().unwrap_or(-1)
}

#[test]
fn tempo_and_signature_points_come_change_and_go() {
    let mut desk = Desk::new();
    let point = desk.edit("timebase.addTempo", json!({"at": BAR, "bpm": 90}))["point"].clone();
    assert_eq!(desk.label(), "Set the tempo to 90 BPM");
    desk.edit("timebase.updateTempo", json!({"point": point, "bpm": 91.5}));
    desk.fail("timebase.updateTempo", json!({"point": point, "at": 0}), "range.invalid");
    desk.fail("timebase.addTempo", json!({"at": 0, "bpm": 0}), "payload.invalid");
    desk.edit("timebase.removeTempo", json!({"point": point}));
    assert_eq!(tempos(&mut desk), [(0.0, 120.0)]);
    let seven = json!({"at": BAR, "numerator": 7, "denominator": 8});
    let point = desk.edit("timebase.addSignature", seven)["point"].clone();
    let off = json!({"at": BAR + BEAT, "numerator": 3, "denominator": 4});
    desk.fail("timebase.addSignature", off, "range.invalid");
    desk.edit("timebase.updateSignature", json!({"point": point, "numerator": 5}));
    desk.edit("timebase.removeSignature", json!({"point": point}));
}

#[test]
fn inserted_time_moves_what_comes_after_it() {
    let (mut desk, lane) = song();
    let payload = json!({"at": BAR + 2 * BEAT, "length": BAR});
    let reply = desk.edit("timebase.insertTime", payload);
    assert_eq!(reply["edited"]["split"].as_array().unwrap().len(), 1);
    assert_eq!(desk.clips(&lane), [(0.0, 4.0), (4.0, 2.0), (10.0, 2.0), (12.0, 4.0), (16.0, 4.0)]);
    assert_eq!(tempos(&mut desk), [(0.0, 120.0), (12.0, 90.0)]);
    assert_eq!(marker(&mut desk), 3 * BAR);
}

#[test]
fn removed_time_takes_what_is_in_it() {
    let (mut desk, lane) = song();
    let range = json!({"start": BAR, "end": 3 * BAR});
    let reply = desk.edit("timebase.removeTime", json!({"range": range}));
    assert!(reply["edited"]["deleted"].as_array().unwrap().len() >= 4, "{reply}");
    assert_eq!(desk.clips(&lane), [(0.0, 4.0), (4.0, 4.0)]);
    // The tempo that held behind it still does.
    assert_eq!(tempos(&mut desk), [(0.0, 120.0), (4.0, 90.0)]);
    assert_eq!(marker(&mut desk), -1);
}

#[test]
fn stretched_time_stretches_content() {
    let (mut desk, lane) = song();
    let payload = json!({"range": {"start": BAR, "end": 2 * BAR}, "length": 2 * BAR});
    desk.edit("timebase.stretchTime", payload);
    assert_eq!(desk.clips(&lane), [(0.0, 4.0), (4.0, 8.0), (12.0, 4.0), (16.0, 4.0)]);
    let clips = desk.run("clip.list", json!({"lane": lane}));
    assert_eq!(desk.beats(&clips["clips"][1]["id"]), [2.0]);
}

#[test]
fn doubled_time_holds_everything_twice() {
    let (mut desk, lane) = song();
    let range = json!({"start": BAR, "end": 3 * BAR});
    let reply = desk.edit("timebase.duplicateTime", json!({"range": range}));
    assert!(!reply["copies"].as_array().unwrap().is_empty());
    let bars: Vec<_> = desk.clips(&lane).iter().map(|(start, _)| start / 4.0).collect();
    assert_eq!(bars, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(tempos(&mut desk), [(0.0, 120.0), (8.0, 90.0), (12.0, 120.0), (16.0, 90.0)]);
}

#[test]
fn a_section_moves_with_all_that_is_in_it() {
    let (mut desk, lane) = song();
    let sections = desk.run("metadata.list", json!({}))["sections"].clone();
    let payload = json!({"section": sections[1]["id"], "before": sections[0]["id"]});
    desk.edit("metadata.moveSection", payload);
    // What comes after both keeps the tempo that it had.
    assert_eq!(tempos(&mut desk), [(0.0, 90.0), (8.0, 120.0), (16.0, 90.0)]);
    assert_eq!(marker(&mut desk), 0);
    let clips = desk.run("clip.list", json!({"lane": lane}));
    assert_eq!(desk.beats(&clips["clips"][0]["id"]), [2.0]);
    let after = desk.run("metadata.list", json!({}))["sections"].clone();
    assert_eq!((after[0]["name"].as_str(), after[1]["name"].as_str()), (Some("B"), Some("A")));
}

#[test]
fn only_the_named_tracks_move() {
    let (mut desk, lane) = song();
    let (track, other) = desk.midi_track();
    desk.clip(&other, 0, BAR, &[]);
    desk.edit("timebase.insertTime", json!({"at": 0, "length": BAR, "tracks": [track]}));
    assert_eq!(desk.clips(&other), [(4.0, 4.0)]);
    assert_eq!(desk.clips(&lane)[0], (0.0, 4.0));
    assert_eq!(marker(&mut desk), 2 * BAR);
}

#[test]
fn a_place_is_told_in_every_unit() {
    let mut desk = Desk::new();
    let payload = json!({"at": {"text": "2.1.0"}, "rate": 48_000});
    let place = desk.run("timebase.convert", payload)["place"].clone();
    assert_eq!((place["ticks"].as_i64(), place["frame"].as_i64()), (Some(BAR), Some(96_000)));
    desk.fail("timebase.convert", json!({"at": {"text": "2.9.0"}}), "payload.invalid");
    desk.fail("timebase.convert", json!({"at": {}}), "payload.invalid");
}
