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
        rig.set("smooth", 0.2);
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

#[test]
fn a_pattern_has_its_steps() {
    let mut rig = Rig::new(&KIND, 48_000);
    rig.set("shape", 7.0).set("rate", 1.0).set("stepCount", 4.0);
    for (id, value) in [("step1", 1.0), ("step2", -0.5), ("step3", 0.25), ("step4", -1.0)] {
        rig.set(id, value);
    }
    let got = values(&mut rig, 96_000, &[4_096]);
    for (step, expect) in [1.0, -0.5, 0.25, -1.0, 1.0, -0.5].into_iter().enumerate() {
        let (first, last) = (step * 750, step * 750 + 749);
        assert_eq!((got[first], got[last]), (expect, expect), "step {step}");
    }
}

#[test]
fn smoothing_is_the_mean_over_its_share_of_the_cycle() {
    let mut rig = Rig::new(&KIND, 48_000);
    rig.set("shape", 4.0).set("rate", 1.0).set("smooth", 0.5);
    let got = values(&mut rig, 48_000, &[4_096]);
    // A square smoothed over half a cycle is a triangle, in sixteen looks.
    for (point, expect) in [(750, 0.0), (1_500, 1.0), (2_250, 0.0), (2_999, -1.0)] {
        assert!((got[point] - expect).abs() <= 0.13, "{point}: {}", got[point]);
    }
    let most = got.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
    assert!(most <= 0.125 + 1e-9, "{most}");
}

#[test]
fn once_is_an_envelope_for_each_note() {
    let mut rig = Rig::new(&KIND, 48_000);
    rig.set("shape", 3.0).set("retrigger", 1.0).set("rate", 10.0).set("run", 1.0);
    rig.events = vec![note(4_800), note(24_000)];
    let got = values(&mut rig, 48_000, &[777]);
    let at = |frame: usize| got[frame / GRID as usize];
    for (frame, expect) in
        [(0, -1.0), (4_800, 1.0), (7_200, 0.0), (9_600, -1.0), (20_000, -1.0), (24_000, 1.0)]
    {
        assert!((at(frame) - expect).abs() < 1e-6, "{frame}: {}", at(frame));
    }
}
