use pulse_schemas::time::Ticks;

use super::*;
use crate::{event::Event, param::GRID, rig::Rig};

fn values(rig: &mut Rig, frames: usize, cuts: &[usize]) -> Vec<f64> {
    let _ = rig.run(&[], frames, cuts);
    rig.controls[BIPOLAR].clone()
}

fn note(frame: i64) -> (i64, Event) {
    let body = EventBody::NoteOn { channel: 0, key: 60, pitch: 60.0, velocity: 1.0 };
    (frame, Event { offset: 0, id: 1, body })
}

#[test]
fn a_free_wave_follows_the_absolute_frame() {
    let mut rig = Rig::new(&KIND, 48_000);
    rig.set("rate", 3.0);
    rig.frame = 4_800;
    for (point, value) in values(&mut rig, 48_000, &[500]).into_iter().enumerate() {
        let seconds = (4_800 + point as i64 * GRID) as f64 / 48_000.0;
        let expect = libm::sin(2.0 * core::f64::consts::PI * 3.0 * seconds);
        assert!((value - expect).abs() < 1e-9, "{point}: {value} {expect}");
    }
}

#[test]
fn a_wave_in_tempo_starts_at_the_song_position() {
    let mut rig = Rig::new(&KIND, 48_000);
    rig.set("sync", 6.0).set("shape", 2.0);
    rig.transport.ticks = 0.25 * Ticks::PER_QUARTER as f64;
    let got = values(&mut rig, 24_000, &[500]);
    assert_eq!(got[0], -0.5);
    let half_a_beat = 12_000 / GRID as usize;
    assert!((got[half_a_beat] - 0.5).abs() < 1e-9);
}

#[test]
fn cuts_of_the_block_and_saved_state_change_no_value() {
    let make = || {
        let mut rig = Rig::new(&KIND, 44_100);
        rig.set("shape", 6.0).set("retrigger", 1.0).set("fadeIn", 20.0).set("skew", 0.3);
        rig.set_motion("rate", Box::new(|frame| 1.0 + frame as f64 / 100.0));
        rig.events = vec![note(333), note(1_600)];
        rig
    };
    let expect = values(&mut make(), 5_000, &[4_096]);
    for cuts in [&[1][..], &[7, 300, 1, 64, 33], &[16]] {
        assert_eq!(values(&mut make(), 5_000, cuts), expect, "{cuts:?}");
    }
    let mut rig = make();
    let _ = values(&mut rig, 1_700, &[100]);
    rig.save_and_restore();
    assert_eq!(values(&mut rig, 3_300, &[100]), expect);
}

#[test]
fn a_note_restarts_the_wave_and_its_fade() {
    let mut rig = Rig::new(&KIND, 48_000);
    rig.set("shape", 4.0).set("retrigger", 1.0).set("rate", 10.0).set("fadeIn", 10.0);
    rig.events = vec![note(3_200)];
    let got = values(&mut rig, 4_800, &[4_800]);
    let at = |frame: i64| got[(frame / GRID) as usize];
    assert_eq!((at(0), at(2_416), at(3_200)), (1.0, -1.0, 0.0));
    assert!((at(3_440) - 0.5).abs() < 1e-9);
    assert_eq!(at(4_000), 1.0);
}
