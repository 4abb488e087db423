use super::*;
use crate::rig::Rig;

fn on(frame: i64, id: u128, key: u8, velocity: f32) -> (i64, Event) {
    let body = EventBody::NoteOn { channel: 2, key, pitch: f64::from(key) + 0.25, velocity };
    (frame, Event { offset: 0, id, body })
}

fn off(frame: i64, id: u128, key: u8) -> (i64, Event) {
    let body = EventBody::NoteOff { channel: 2, key, velocity: 0.5 };
    (frame, Event { offset: 0, id, body })
}

fn run(change: impl Fn(&mut Rig), events: Vec<(i64, Event)>) -> Vec<(i64, Event)> {
    let mut rig = Rig::new(&KIND, 48_000);
    rig.events = events;
    change(&mut rig);
    let _ = rig.run(&[], 2_000, &[100]);
    rig.emitted
}

/// The keys of all notes that came out.
fn keys(events: &[(i64, Event)]) -> Vec<u8> {
    let key = |event: &Event| match event.body {
        EventBody::NoteOn { key, .. } => Some(key),
        _ => None,
    };
    events.iter().filter_map(|(_, event)| key(event)).collect()
}

fn check(change: impl Fn(&mut Rig), played: &[u8], expect: &[u8]) {
    let events = played.iter().enumerate().map(|(i, &key)| on(i as i64, 1 + i as u128, key, 0.8));
    assert_eq!(keys(&run(change, events.collect())), expect);
}

#[test]
fn keys_move_snap_and_are_filtered() {
    check(|_| {}, &[0, 60, 127], &[0, 60, 127]);
    check(|rig| _ = rig.set("transpose", 12.0), &[60, 120], &[72]);
    check(|rig| _ = rig.set("transpose", -12.0), &[5, 60], &[48]);
    check(|rig| _ = rig.set("scale", 1.0), &[60, 61, 63, 66, 68, 70], &[60, 60, 62, 65, 67, 69]);
    check(|rig| _ = rig.set("scale", 2.0).set("root", 9.0), &[61, 68, 69], &[60, 67, 69]);
    check(|rig| _ = rig.set("scale", 11.0), &[61, 62, 64], &[60, 63, 63]);
    check(|rig| _ = rig.set("keyLow", 50.0).set("keyHigh", 60.0), &[49, 50, 60, 61], &[50, 60]);
}

#[test]
fn pitch_keeps_its_fraction() {
    let events = run(|rig| _ = rig.set("transpose", 7.0), vec![on(0, 1, 60, 0.8)]);
    let EventBody::NoteOn { pitch, .. } = events[0].1.body else { panic!("a note-on") };
    assert_eq!(pitch, 67.25);
}

#[test]
fn velocity_is_bent_scaled_and_kept_in_range() {
    let velocity = |change: &dyn Fn(&mut Rig), velocity: f32| -> f32 {
        let events = run(|rig| change(rig), vec![on(0, 1, 60, velocity)]);
        let EventBody::NoteOn { velocity, .. } = events[0].1.body else { panic!("a note-on") };
        velocity
    };
    assert_eq!(velocity(&|_| {}, 0.37), 0.37);
    assert_eq!(velocity(&|rig| _ = rig.set("velocityScale", 0.5), 0.8), 0.4);
    assert_eq!(velocity(&|rig| _ = rig.set("velocityOffset", 1.0), 0.8), 1.0);
    assert_eq!(velocity(&|rig| _ = rig.set("velocityScale", 0.0), 0.8), 1.0 / 127.0);
    assert!((velocity(&|rig| _ = rig.set("velocityCurve", 0.5), 0.25) - 0.5).abs() < 1e-6);
    assert!((velocity(&|rig| _ = rig.set("velocityCurve", -0.5), 0.5) - 0.25).abs() < 1e-6);
}

#[test]
fn a_note_off_ends_what_its_note_on_became() {
    for ids in [true, false] {
        let id = |id: u128| if ids { id } else { 0 };
        let mut events = Vec::new();
        for i in 0..10_u8 {
            events.push(on(100 * i64::from(i), id(1 + u128::from(i)), 50 + i, 0.8));
            events.push(off(100 * i64::from(i) + 730, id(1 + u128::from(i)), 50 + i));
        }
        let sent = run(
            |rig| {
                rig.set_motion("transpose", Box::new(|frame| libm::floor(frame as f64 / 90.0)));
                rig.set_motion("keyLow", Box::new(|frame| if frame > 900 { 127.0 } else { 52.0 }));
            },
            events,
        );
        let mut sounding = std::collections::BTreeMap::new();
        for (_, event) in sent {
            match event.body {
                EventBody::NoteOn { key, .. } => *sounding.entry((event.id, key)).or_insert(0) += 1,
                EventBody::NoteOff { key, .. } => {
                    *sounding.entry((event.id, key)).or_insert(0) -= 1
                }
                _ => {}
            }
        }
        assert!(sounding.len() >= 5 && sounding.values().all(|&left| left == 0), "{sounding:?}");
    }
}

#[test]
fn cuts_of_the_block_and_saved_state_change_no_event() {
    let make = || {
        let mut rig = Rig::new(&KIND, 48_000);
        rig.set("velocityRandom", 0.8).set("scale", 5.0);
        rig.set_motion("transpose", Box::new(|frame| libm::floor(frame as f64 / 300.0)));
        for i in 0..40_u8 {
            let id = 1 + u128::from(i);
            rig.events.push(on(37 * i64::from(i), id, 40 + i, 0.5));
            rig.events.push(off(37 * i64::from(i) + 411, id, 40 + i));
        }
        let bend = EventBody::PitchBend { channel: 2, value: 0.5 };
        rig.events.push((700, Event { offset: 0, id: 0, body: bend }));
        rig
    };
    let whole = |cuts: &[usize]| {
        let mut rig = make();
        let _ = rig.run(&[], 2_000, cuts);
        rig.emitted.into_iter().map(|(f, e)| (f, e.id, e.body)).collect::<Vec<_>>()
    };
    let expect = whole(&[4_096]);
    assert_eq!(expect.len(), 81);
    for cuts in [&[1][..], &[7, 300, 64], &[16]] {
        assert_eq!(whole(cuts), expect);
    }
    let mut rig = make();
    let _ = rig.run(&[], 800, &[100]);
    rig.save_and_restore();
    let _ = rig.run(&[], 1_200, &[100]);
    let got: Vec<_> = rig.emitted.into_iter().map(|(f, e)| (f, e.id, e.body)).collect();
    assert_eq!(got, expect);
}

#[test]
fn too_many_notes_end_the_oldest() {
    let events = (0..130).map(|i| on(i, 1 + i as u128, 60, 0.8)).collect();
    let offs: Vec<u128> = run(|_| {}, events)
        .into_iter()
        .filter(|(_, event)| matches!(event.body, EventBody::NoteOff { .. }))
        .map(|(_, event)| event.id)
        .collect();
    assert_eq!(offs, [1, 2]);
}
