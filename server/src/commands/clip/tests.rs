use serde_json::json;

use crate::commands::desk::{BAR, BEAT, Desk};

#[test]
fn a_clip_is_made_with_its_notes_and_undone_as_one() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let payload = json!({"lane": lane, "name": "Riff", "start": 0, "length": BAR,
        "notes": [{"pitch": 36, "start": 0, "length": BEAT}], "colour": "#ff8800"});
    let made = desk.edit("clip.create", payload);
    assert_eq!(made["notes"].as_array().unwrap().len(), 1);
    assert_eq!(desk.label(), "Create clip Riff");
    desk.fail("clip.create", json!({"lane": lane, "start": 0, "length": 0}), "payload.invalid");
    let region = json!({"lane": lane, "start": 0, "length": 1, "content": "audio"});
    desk.fail("clip.create", region, "entity.invalid");
}

#[test]
fn clips_move_and_make_room() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let long = desk.clip(&lane, 0, 4 * BAR, &[]);
    let short = desk.clip(&lane, 8 * BAR, BAR, &[]);
    let refuse = json!({"moves": [{"clip": short, "start": BAR}], "overlap": "refuse"});
    desk.fail("clip.move", refuse, "range.invalid");
    let trim = json!({"moves": [{"clip": short, "start": BAR}], "overlap": "trim"});
    let reply = desk.edit("clip.move", trim);
    assert_eq!(reply["trimmed"], json!([long]));
    assert_eq!(desk.clips(&lane), [(0.0, 4.0), (4.0, 4.0), (8.0, 8.0)]);
    assert_eq!(desk.label(), "Move a clip");
    desk.edit("clip.nudge", json!({"clips": [short], "by": BEAT}));
    desk.fail("clip.nudge", json!({"clips": [long], "by": -BEAT}), "range.invalid");
    let (_, other) = desk.midi_track();
    desk.edit("clip.move", json!({"moves": [{"clip": short, "lane": other}]}));
    assert_eq!(desk.clips(&other), [(5.0, 4.0)]);
}

#[test]
fn edges_move_and_the_content_stays_where_it_is_in_time() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clip = desk.clip(&lane, 0, BAR, &[0, 1, 2]);
    let reply = desk.edit("clip.resize", json!({"clip": clip, "edge": "start", "to": BEAT}));
    assert_eq!((reply["start"].as_i64(), reply["length"].as_i64()), (Some(BEAT), Some(3 * BEAT)));
    assert_eq!(desk.get(&clip)["slip"], json!(BEAT));
    desk.edit("clip.resize", json!({"clip": clip, "edge": "end", "to": 2 * BAR}));
    desk.fail("clip.resize", json!({"clip": clip, "edge": "end", "to": BEAT}), "range.invalid");
    desk.edit("clip.slip", json!({"clip": clip, "by": BEAT}));
    assert_eq!(desk.get(&clip)["slip"], json!(0));
}

#[test]
fn a_cut_in_a_loop_goes_on_inside_the_loop() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clip = desk.clip(&lane, 0, 4 * BAR, &[0]);
    desk.edit("clip.setLoop", json!({"clip": clip, "length": BAR}));
    let reply = desk.edit("clip.split", json!({"clips": [clip], "at": 2 * BAR + BEAT}));
    let copies = reply["copies"].as_array().unwrap();
    assert_eq!(copies.len(), 2, "the clip and its note");
    let right = desk.get(&copies[0]["copy"]);
    assert_eq!(right["slip"], json!(BEAT));
    assert_eq!(desk.clips(&lane), [(0.0, 9.0), (9.0, 7.0)]);
    desk.fail("clip.split", json!({"clips": [clip], "at": 20 * BAR}), "range.invalid");
}

#[test]
fn joined_clips_hold_what_sounded() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let first = desk.clip(&lane, 0, 2 * BAR, &[0, 5]);
    desk.run("clip.setLoop", json!({"clip": first, "length": BAR}));
    let second = desk.clip(&lane, 2 * BAR, BAR, &[1, 9]);
    let reply = desk.edit("clip.merge", json!({"clips": [first, second], "name": "All"}));
    assert_eq!(reply["clip"], first);
    assert_eq!(desk.clips(&lane), [(0.0, 12.0)]);
    assert_eq!(desk.beats(&first), [0.0, 4.0, 9.0]);
    desk.fail("clip.merge", json!({"clips": [first, first]}), "range.invalid");
}

#[test]
fn parts_of_one_recording_join_and_others_do_not() {
    let mut desk = Desk::new();
    let made = desk.run("track.create", json!({"kind": "audio"}));
    let lane = &made["lane"];
    let payload = json!({"lane": lane, "start": 0, "length": 4 * BAR});
    let clip = desk.run("clip.create", payload)["clip"].clone();
    let split = desk.run("clip.split", json!({"clips": [clip], "at": BAR}));
    let right = split["copies"][0]["copy"].clone();
    desk.run("clip.update", json!({"clips": [right], "gainDb": -6}));
    desk.fail("clip.merge", json!({"clips": [clip, right]}), "entity.invalid");
    desk.run("clip.update", json!({"clips": [right], "gainDb": 0}));
    desk.edit("clip.merge", json!({"clips": [clip, right]}));
    assert_eq!(desk.clips(lane), [(0.0, 16.0)]);
}

#[test]
fn copies_follow_each_other() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clip = desk.clip(&lane, 0, BAR, &[0]);
    let reply = desk.edit("clip.duplicate", json!({"clips": [clip], "count": 3}));
    assert_eq!(reply["copies"].as_array().unwrap().len(), 6);
    assert_eq!(desk.clips(&lane), [(0.0, 4.0), (4.0, 4.0), (8.0, 4.0), (12.0, 4.0)]);
    desk.edit("clip.delete", json!({"clips": [clip]}));
    assert_eq!(desk.clips(&lane).len(), 3);
}

#[test]
fn fields_change_and_bad_ones_are_refused() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clip = desk.clip(&lane, BEAT / 4, BAR, &[0]);
    desk.edit(
        "clip.update",
        json!({"clips": [clip], "mute": true, "fadeIn": {"length": 99 * BAR}}),
    );
    assert_eq!(desk.get(&clip)["fadeIn"]["length"], json!(BAR));
    desk.fail("clip.update", json!({"clips": [clip], "gainDb": 99}), "payload.invalid");
    desk.fail("clip.update", json!({"clips": []}), "payload.invalid");
    desk.edit("clip.quantise", json!({"clips": [clip], "quantise": {"grid": BEAT}}));
    assert_eq!(desk.clips(&lane), [(0.0, 4.0)]);
    desk.edit("clip.stretch", json!({"clip": clip, "length": 2 * BAR}));
    assert_eq!(desk.clips(&lane), [(0.0, 8.0)]);
    desk.fail("clip.list", json!({}), "payload.invalid");
}

#[test]
fn a_clip_in_absolute_time_is_where_it_was() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clip = desk.clip(&lane, BAR, BAR, &[]);
    desk.edit("clip.setTimebase", json!({"clips": [clip], "timebase": "absolute"}));
    // A bar at 120 BPM is two seconds.
    assert_eq!(desk.get(&clip)["start"], json!(2 * 705_600_000_i64));
    desk.edit("clip.setTimebase", json!({"clips": [clip], "timebase": "musical"}));
    assert_eq!(desk.clips(&lane), [(4.0, 4.0)]);
}

#[test]
fn neighbours_cross_fade_around_where_they_meet() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let left = desk.clip(&lane, 0, BAR, &[]);
    let right = desk.clip(&lane, BAR, BAR, &[]);
    desk.edit("clip.crossfade", json!({"left": left, "right": right, "length": BEAT}));
    assert_eq!(desk.clips(&lane), [(0.0, 4.5), (3.5, 4.5)]);
    let swapped = json!({"left": right, "right": left, "length": BEAT});
    desk.fail("clip.crossfade", swapped, "range.invalid");
}

#[test]
fn a_clip_that_the_original_has_too_leaves_a_variant_as_another_one() {
    let mut desk = Desk::new();
    let (bass, lane) = desk.midi_track();
    let (_, other) = desk.midi_track();
    let clip = desk.clip(&lane, 0, BAR, &[0, 1]);
    desk.edit("variant.create", json!({"subject": bass, "name": "B", "activate": true}));
    let within = json!({"moves": [{"clip": clip, "start": BAR}]});
    assert_eq!(desk.edit("clip.move", within)["copies"], json!([]));
    let out = json!({"moves": [{"clip": clip, "lane": other, "start": 2 * BAR}]});
    let moved = desk.edit("clip.move", out);
    assert_eq!(moved["copies"].as_array().unwrap().len(), 3, "the clip and its notes: {moved}");
    let copy = moved["copies"][0]["copy"].clone();
    assert_eq!((desk.clips(&lane), desk.clips(&other)), (vec![], vec![(8.0, 4.0)]));
    let notes = desk.run("note.list", json!({"clip": copy}))["notes"].clone();
    assert_eq!(notes.as_array().unwrap().len(), 2);
    // The original has what it had; the other track is shared.
    desk.edit("variant.activate", json!({"subject": bass, "variant": null}));
    assert_eq!((desk.clips(&lane), desk.clips(&other)), (vec![(0.0, 4.0)], vec![(8.0, 4.0)]));
    // And the other way: B has it again and keeps it when the original's goes elsewhere.
    desk.edit("variant.create", json!({"subject": bass, "name": "C"}));
    let out = json!({"moves": [{"clip": clip, "lane": other, "start": 0}]});
    assert!(!desk.edit("clip.move", out)["copies"].as_array().unwrap().is_empty());
    assert_eq!((desk.clips(&lane), desk.clips(&other)), (vec![], vec![(0.0, 4.0), (8.0, 4.0)]));
    // Back to where B plays.
    desk.run("history.undo", json!({"count": 3}));
    assert_eq!((desk.clips(&lane), desk.clips(&other)), (vec![], vec![(8.0, 4.0)]));
    // What only B has keeps its id.
    let own = desk.clip(&lane, 0, BAR, &[]);
    let out = json!({"moves": [{"clip": own, "lane": other}]});
    assert_eq!(desk.edit("clip.move", out)["copies"], json!([]));
}
