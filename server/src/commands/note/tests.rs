use serde_json::json;

use crate::commands::desk::{BAR, BEAT, Desk};

fn desk_with(beats: &[i64]) -> (Desk, serde_json::Value) {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clip = desk.clip(&lane, BAR, 4 * BAR, beats);
    (desk, clip)
}

#[test]
fn notes_come_change_and_go() {
    let (mut desk, clip) = desk_with(&[]);
    let notes = json!([{"pitch": 60, "start": 0, "length": BEAT}, {"pitch": 64, "start": BEAT, "length": BEAT}]);
    let added = desk.edit("note.add", json!({"clip": clip, "notes": notes}));
    let first = &added["notes"][0];
    assert_eq!(desk.label(), "Add 2 notes");
    let change = json!({"clip": clip, "changes": [{"note": first, "pitch": 62}]});
    desk.edit("note.update", change);
    assert_eq!(desk.get(first)["pitch"], json!(62));
    desk.edit("note.delete", json!({"clip": clip, "notes": [first]}));
    assert_eq!(desk.beats(&clip), [1.0]);
    desk.fail("note.delete", json!({"clip": clip, "notes": [first]}), "entity.notFound");
    desk.fail("note.add", json!({"clip": clip, "notes": []}), "payload.invalid");
}

#[test]
fn notes_move_together_or_not_at_all() {
    let (mut desk, clip) = desk_with(&[0, 1]);
    desk.edit("note.move", json!({"clip": clip, "by": BEAT, "transpose": 12}));
    assert_eq!(desk.beats(&clip), [1.0, 2.0]);
    desk.fail("note.move", json!({"clip": clip, "transpose": 100}), "range.invalid");
}

#[test]
fn quantising_lands_on_the_bars_of_the_arrangement() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    // The clip itself begins off the beat.
    let clip = desk.clip(&lane, BEAT / 4, BAR, &[0, 1]);
    let payload = json!({"clip": clip, "quantise": {"grid": BEAT}});
    assert_eq!(desk.edit("note.quantise", payload)["changed"], 2);
    assert_eq!(desk.beats(&clip), [-0.25, 0.75]);
    assert_eq!(desk.label(), "Quantise 2 notes");
    let bad = json!({"clip": clip, "quantise": {"grid": 0}});
    desk.fail("note.quantise", bad, "payload.invalid");
}

#[test]
fn the_same_seed_loosens_in_the_same_way() {
    let (mut desk, clip) = desk_with(&[0, 1, 2]);
    let payload = json!({"clip": clip, "timing": BEAT / 8, "velocity": 4000, "seed": 7});
    desk.edit("note.humanise", payload.clone());
    let once = desk.beats(&clip);
    assert!(once.iter().zip([0.0, 1.0, 2.0]).all(|(a, b)| (a - b).abs() <= 0.125), "{once:?}");
    desk.run("history.undo", json!({}));
    desk.run("note.humanise", payload);
    assert_eq!(desk.beats(&clip), once);
}

#[test]
fn a_groove_is_measured_and_laid_over() {
    let (mut desk, clip) = desk_with(&[]);
    let late = BEAT / 16;
    let notes = json!([{"pitch": 60, "start": 0, "length": 1, "velocity": 60000},
        {"pitch": 60, "start": BEAT / 2 + late, "length": 1, "velocity": 30000}]);
    desk.run("note.add", json!({"clip": clip, "notes": notes}));
    let payload = json!({"clip": clip, "name": "Lazy", "step": BEAT / 2, "steps": 2});
    let groove = desk.edit("note.extractGroove", payload)["groove"].clone();
    assert_eq!(desk.get(&groove)["offsets"], json!([0, late]));
    desk.run("note.move", json!({"clip": clip, "by": 1000}));
    let payload = json!({"clip": clip, "quantise": {"grid": 1, "groove": groove}});
    desk.edit("note.quantise", payload);
    assert_eq!(desk.beats(&clip), [0.0, 0.5 + 1.0 / 16.0]);
}

#[test]
fn lengths_and_places_scale_and_join() {
    let (mut desk, clip) = desk_with(&[0, 1, 3]);
    desk.edit("note.scale", json!({"clip": clip, "time": 2.0, "velocity": 0.5}));
    assert_eq!(desk.beats(&clip), [0.0, 2.0, 6.0]);
    desk.edit("note.legato", json!({"clip": clip}));
    let notes = desk.run("note.list", json!({"clip": clip}))["notes"].clone();
    assert_eq!(notes[1]["length"], json!(4 * BEAT));
    let payload = json!({"clip": clip, "notes": [notes[1]["id"]], "at": 3 * BEAT});
    desk.edit("note.split", payload.clone());
    assert_eq!(desk.beats(&clip), [0.0, 2.0, 3.0, 6.0]);
    desk.fail("note.split", payload, "range.invalid");
    let payload = json!({"clip": clip, "notes": [notes[0]["id"]], "by": BAR});
    desk.edit("note.duplicate", payload);
    assert_eq!(desk.beats(&clip), [0.0, 2.0, 3.0, 4.0, 6.0]);
}

#[test]
fn events_come_change_and_go() {
    let (mut desk, clip) = desk_with(&[]);
    let events = json!([{"at": 0, "message": {"controller": {"number": 1, "value": 5}}}]);
    let added = desk.edit("note.addEvents", json!({"clip": clip, "events": events}));
    let event = &added["events"][0];
    desk.edit("note.updateEvent", json!({"clip": clip, "event": event, "at": BEAT}));
    desk.edit("note.deleteEvents", json!({"clip": clip, "events": [event]}));
    let bad = json!({"at": 0, "message": {"controller": {"number": 200, "value": 5}}});
    desk.fail("note.addEvents", json!({"clip": clip, "events": [bad]}), "entity.invalid");
}

#[test]
fn thousands_of_notes_move_at_once() {
    let (mut desk, clip) = desk_with(&[]);
    let notes: Vec<_> = (0..5_000)
        .map(|at| json!({"pitch": at % 128, "start": at * 1_000, "length": 500}))
        .collect();
    desk.edit("note.add", json!({"clip": clip, "notes": notes}));
    desk.edit("note.move", json!({"clip": clip, "by": 1}));
    let payload = json!({"clip": clip, "quantise": {"grid": 2_000}});
    assert_eq!(desk.edit("note.quantise", payload)["changed"], 5_000);
}
