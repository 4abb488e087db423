use serde_json::json;

use crate::commands::desk::{BAR, Desk};

#[test]
fn lanes_come_move_and_go() {
    let mut desk = Desk::new();
    let (track, lane) = desk.midi_track();
    desk.clip(&lane, 0, BAR, &[0, 1]);
    let payload = json!({"track": track, "kind": "midi", "name": "Ghost notes"});
    let second = desk.edit("lane.create", payload)["lane"].clone();
    desk.edit("lane.move", json!({"lane": second, "before": lane}));
    desk.fail("lane.move", json!({"lane": second, "before": second}), "entity.invalid");
    desk.edit("lane.update", json!({"lane": second, "mute": true}));
    assert_eq!(desk.label(), "Mute a lane");
    let copies = desk.edit("lane.duplicate", json!({"lane": lane}))["copies"].clone();
    assert_eq!(copies.as_array().unwrap().len(), 4, "lane, clip and two notes");
    let gone = desk.edit("lane.delete", json!({"lane": lane}));
    assert_eq!(gone["deleted"].as_array().unwrap().len(), 4);
    desk.fail("lane.delete", json!({"lane": lane}), "entity.notFound");
}

#[test]
fn a_comp_chooses_among_takes_and_becomes_clips() {
    let mut desk = Desk::new();
    let (_, lane) = desk.midi_track();
    let clips = [desk.clip(&lane, 0, 4 * BAR, &[]), desk.clip(&lane, 0, 4 * BAR, &[])];
    let takes = clips.map(|clip| desk.edit("lane.addTake", json!({"clip": clip}))["take"].clone());
    let segments = json!([{"start": 0, "take": takes[0]}]);
    let payload = json!({"lane": lane, "segments": segments, "active": true});
    let comp = desk.edit("lane.createComp", payload)["comp"].clone();
    let range = json!({"start": BAR, "end": 2 * BAR});
    desk.edit("lane.compRange", json!({"comp": comp, "range": range, "take": takes[1]}));
    let segments = desk.get(&comp)["segments"].clone();
    assert_eq!(
        segments,
        json!([{"start": 0, "take": takes[0]}, {"start": BAR, "take": takes[1]},
            {"start": 2 * BAR, "take": takes[0]}])
    );
    desk.edit("lane.updateTake", json!({"take": takes[0], "rating": 4}));
    desk.fail("lane.updateTake", json!({"take": takes[0], "rating": 9}), "payload.invalid");
    desk.edit("lane.updateComp", json!({"comp": comp, "active": false}));
    let flat = desk.edit("lane.flattenComp", json!({"comp": comp}));
    assert_eq!(flat["clips"].as_array().unwrap().len(), 3);
    assert!(desk.clips(&lane).contains(&(4.0, 4.0)), "{:?}", desk.clips(&lane));
    desk.edit("lane.deleteTake", json!({"take": takes[0], "withClip": true}));
    desk.edit("lane.deleteTake", json!({"take": takes[1]}));
}
