use serde_json::json;

use crate::commands::desk::{BAR, BEAT, Desk};

#[test]
fn markers_come_move_and_go() {
    let mut desk = Desk::new();
    let made = desk.edit("metadata.addMarker", json!({"name": "Drop", "at": BAR}));
    desk.edit("metadata.updateMarker", json!({"marker": made["marker"], "at": 2 * BAR}));
    assert_eq!(desk.label(), "Move marker Drop");
    desk.run("metadata.addMarker", json!({"name": "End", "at": 9 * BAR}));
    let range = json!({"start": 0, "end": 3 * BAR});
    assert_eq!(desk.edit("metadata.clearMarkers", json!({"range": range}))["removed"], 1);
    desk.fail("metadata.removeMarker", json!({"marker": made["marker"]}), "entity.notFound");
    desk.fail("metadata.addMarker", json!({"name": "x", "at": -1}), "entity.invalid");
}

#[test]
fn sections_and_keys_come_change_and_go() {
    let mut desk = Desk::new();
    let range = json!({"start": 0, "end": BAR});
    let payload = json!({"name": "Verse", "range": range, "colour": "#102030"});
    let section = desk.edit("metadata.addSection", payload)["section"].clone();
    desk.edit("metadata.updateSection", json!({"section": section, "name": "Verse 1"}));
    desk.edit("metadata.removeSection", json!({"section": section}));
    let payload = json!({"at": 0, "tonic": 9, "scale": "minor"});
    let key = desk.edit("metadata.addKey", payload)["key"].clone();
    desk.edit("metadata.updateKey", json!({"key": key, "tonic": 0, "scale": "major"}));
    desk.edit("metadata.removeKey", json!({"key": key}));
    let empty = json!({"name": "None", "range": {"start": BAR, "end": BAR}});
    desk.fail("metadata.addSection", empty, "payload.invalid");
}

#[test]
fn information_tags_and_looks_change() {
    let mut desk = Desk::new();
    desk.edit("metadata.setInfo", json!({"values": {"genre": "house", "isrc": "X"}}));
    desk.edit("metadata.setInfo", json!({"values": {"isrc": null}}));
    assert_eq!(desk.run("metadata.list", json!({}))["info"], json!({"genre": "house"}));
    let tags = desk.edit("metadata.setTags", json!({"add": ["a", "b"], "remove": ["a"]}));
    assert_eq!(tags["tags"], json!(["b"]));
    let (track, _) = desk.midi_track();
    desk.fail("metadata.setTags", json!({"target": track, "add": ["a"]}), "entity.wrongKind");
    let payload = json!({"entities": [track], "colour": "#ff8800", "collapsed": true});
    desk.edit("metadata.setView", payload);
    desk.edit("metadata.setView", json!({"entities": [track], "colour": null}));
    desk.fail("metadata.setView", json!({"entities": [track], "colour": "red"}), "payload.invalid");
}

#[test]
fn grooves_come_and_go() {
    let mut desk = Desk::new();
    let payload = json!({"name": "Swing", "step": BEAT / 2, "offsets": [0, BEAT / 10]});
    let groove = desk.edit("metadata.addGroove", payload)["groove"].clone();
    desk.edit("metadata.removeGroove", json!({"groove": groove}));
    let wild = json!({"name": "Wild", "step": 10, "offsets": [99]});
    desk.fail("metadata.addGroove", wild, "entity.invalid");
}
