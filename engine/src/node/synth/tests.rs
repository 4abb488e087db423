use super::*;
use crate::{
    math::{self, cos, log2, sin},
    rig::{Rig, check_cuts},
};

const RATE: u32 = 48_000;

fn on(frame: i64, id: u128, pitch: f64) -> (i64, Event) {
    let body = EventBody::NoteOn { channel: 0, key: pitch as u8, pitch, velocity: 1.0 };
    (frame, Event { offset: 0, id, body })
}

fn off(frame: i64, id: u128) -> (i64, Event) {
    (frame, Event { offset: 0, id, body: EventBody::NoteOff { channel: 0, key: 0, velocity: 0.0 } })
}

fn rig(rate: u32, events: Vec<(i64, Event)>) -> Rig {
    let mut rig = Rig::new(&KIND, rate);
    rig.events = events;
    rig
}

/// A sine without filter, for measuring pitch.
fn pure(rate: u32, events: Vec<(i64, Event)>) -> Rig {
    let mut rig = rig(rate, events);
    rig.set("aShape", 3.0).set("filterMode", 5.0).set("ampAttack", 0.1).set("ampSustain", 1.0);
    rig
}

fn left(rig: &mut Rig, frames: usize) -> Vec<f32> {
    rig.run(&[], frames, &[512]).remove(0).remove(0)
}

/// Frequency by the phase advance between two windowed transforms.
fn frequency(signal: &[f32], near: f64, rate: f64) -> f64 {
    let half = signal.len() / 2;
    let phase = |part: &[f32]| {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, &x) in part.iter().enumerate() {
            let window = 0.5 - 0.5 * cos(2.0 * core::f64::consts::PI * i as f64 / half as f64);
            let angle = 2.0 * core::f64::consts::PI * near * i as f64 / rate;
            re += f64::from(x) * window * cos(angle);
            im -= f64::from(x) * window * sin(angle);
        }
        libm::atan2(im, re)
    };
    let turn = near * half as f64 / rate;
    let moved = (phase(&signal[half..2 * half]) - phase(&signal[..half]))
        / (2.0 * core::f64::consts::PI)
        - turn;
    near + (moved - libm::rint(moved)) * rate / half as f64
}

fn cents_off(signal: &[f32], pitch: f64, rate: u32) -> f64 {
    let wanted = math::pitch_to_hertz(pitch);
    1200.0 * log2(frequency(signal, wanted, f64::from(rate)) / wanted)
}

#[test]
fn the_pitch_is_right_within_a_hundredth_of_a_cent() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        for pitch in [21.0, 36.5, 60.0, 69.0, 93.25, 108.0] {
            let frames = rate as usize / 2;
            let signal = left(&mut pure(rate, vec![on(0, 1, pitch)]), frames);
            let error = cents_off(&signal[rate as usize / 20..], pitch, rate);
            assert!(error.abs() < 0.01, "{error} cents at {pitch}, {rate} Hz");
        }
    }
}

#[test]
fn bend_tuning_and_tune_add_up() {
    let bend = EventBody::PitchBend { channel: 0, value: 0.5 };
    let tuning = EventBody::NoteTuning { semitones: -0.25 };
    let mut events = vec![on(0, 1, 60.0)];
    events.push((0, Event { offset: 0, id: 0, body: bend }));
    events.push((10, Event { offset: 0, id: 1, body: tuning }));
    let mut rig = pure(RATE, events);
    rig.set("bendRange", 12.0).set("tune", 20.0);
    let error = cents_off(&left(&mut rig, 24_000)[2_400..], 65.95, RATE);
    assert!(error.abs() < 0.01, "{error} cents");
}

#[test]
fn a_note_begins_on_its_very_frame() {
    for onset in 0..64 {
        let mut rig = rig(RATE, vec![on(onset, 1, 69.0)]);
        rig.set("aShape", 4.0).set("filterMode", 5.0);
        let signal = left(&mut rig, 200);
        let first = signal.iter().position(|&x| x != 0.0);
        assert_eq!(first, Some(onset as usize));
    }
}

#[test]
fn a_note_ends_in_exact_silence_after_its_release() {
    let mut rig = rig(RATE, vec![on(0, 1, 50.0), off(1_000, 1)]);
    rig.set("ampRelease", 20.0);
    let signal = left(&mut rig, 4_000);
    assert!(signal[1_900] != 0.0);
    assert!(signal[1_000 + 961..].iter().all(|&x| x == 0.0));
}

/// Everything on at once: moving cutoff and pitch, unison, pedal, stealing, bends.
fn busy(rate: u32) -> Rig {
    let mut events = Vec::new();
    for i in 0..30_i64 {
        let id = 1 + i as u128;
        events.push(on(37 * i, id, 40.0 + (i * 7 % 40) as f64));
        events.push(off(37 * i + 400 + (i * 31 % 200), id));
    }
    let event = |frame, body| (frame, Event { offset: 0, id: 0, body });
    events.push(event(100, EventBody::PitchBend { channel: 0, value: 0.7 }));
    events.push(event(333, EventBody::Controller { channel: 0, controller: 1, value: 0.8 }));
    events.push(event(350, EventBody::Controller { channel: 0, controller: 64, value: 1.0 }));
    events.push(event(900, EventBody::Controller { channel: 0, controller: 64, value: 0.0 }));
    events.push((500, Event { offset: 0, id: 9, body: EventBody::NotePressure { value: 0.6 } }));
    let mut rig = rig(rate, events);
    rig.set("polyphony", 5.0).set("unison", 5.0).set("bLevel", 0.5).set("noise", 0.1);
    rig.set("bShape", 1.0).set("lfoWidth", 0.7).set("lfoPitch", 80.0).set("lfoFilter", 12.0);
    rig.set("lfoAmp", 0.5).set("glide", 20.0).set("filterEnvelope", 40.0);
    rig.set("filterPressure", 12.0).set("ampRelease", 5.0).set("resonance", 0.7);
    rig.set_motion("cutoff", Box::new(|frame| 500.0 + frame as f64));
    rig.set_motion("gain", Box::new(|frame| -30.0 + frame as f64 / 200.0));
    rig.set_motion("lfoRate", Box::new(|frame| if frame < 700 { 5.0 } else { 9.0 }));
    rig
}

#[test]
fn cuts_of_the_block_and_saved_state_change_no_bit() {
    check_cuts(|| busy(RATE), &[], 1_700);
    for mode in [1.0, 2.0] {
        let make = || {
            let mut rig = busy(44_100);
            rig.set("playMode", mode);
            rig
        };
        check_cuts(make, &[], 1_300);
    }
}

#[test]
fn stealing_takes_the_oldest_and_does_not_click() {
    let notes: Vec<_> = (0..8).map(|i| on(2_000 * i, 1 + i as u128, 40.0 + i as f64)).collect();
    let mut rig = pure(RATE, notes);
    rig.set("polyphony", 2.0).set("gain", 0.0).set("ampAttack", 5.0);
    let signal = left(&mut rig, 16_000);
    let step = signal.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.05, "a step of {step}");
    let late = &signal[15_000..16_000];
    let power = |pitch: f64| {
        let hertz = math::pitch_to_hertz(pitch);
        let (mut re, mut im) = (0.0, 0.0);
        for (i, &x) in late.iter().enumerate() {
            let angle = 2.0 * core::f64::consts::PI * hertz * i as f64 / f64::from(RATE);
            re += f64::from(x) * cos(angle);
            im += f64::from(x) * sin(angle);
        }
        (re * re + im * im).sqrt() / 500.0
    };
    assert!(power(47.0) > 0.7 && power(46.0) > 0.5, "{} {}", power(47.0), power(46.0));
}

#[test]
fn a_monophonic_synthesiser_returns_to_the_key_still_held() {
    let events = vec![on(0, 1, 60.0), on(6_000, 2, 72.0), off(12_000, 2)];
    let mut rig = pure(RATE, events);
    rig.set("playMode", 2.0);
    let signal = left(&mut rig, 36_000);
    for (range, pitch) in [(500..5_500, 60.0), (6_500..11_500, 72.0), (12_500..36_000, 60.0)] {
        let error = cents_off(&signal[range], pitch, RATE);
        assert!(error.abs() < 0.5, "{error} cents from {pitch}");
    }
}

#[test]
fn velocity_scales_the_level_by_its_square() {
    let peak = |velocity: f32| {
        let body = EventBody::NoteOn { channel: 0, key: 60, pitch: 60.0, velocity };
        let mut rig = pure(RATE, vec![(0, Event { offset: 0, id: 1, body })]);
        rig.set("velocity", 1.0).set("gain", 0.0);
        left(&mut rig, 4_800).iter().fold(0.0_f32, |peak, x| peak.max(x.abs()))
    };
    assert!((peak(1.0) - 1.0).abs() < 1e-3, "{}", peak(1.0));
    assert!((peak(0.5) - 0.25).abs() < 1e-3, "{}", peak(0.5));
}

#[test]
fn absurd_notes_give_finite_sound() {
    let pitches = [-500.0, 0.0, 127.0, 200.0, 1e6];
    let events = pitches.iter().enumerate().map(|(i, &p)| on(0, 1 + i as u128, p)).collect();
    let signal = left(&mut rig(RATE, events), 2_000);
    assert!(signal.iter().all(|x| x.is_finite() && x.abs() < 4.0));
}

#[test]
fn a_glide_ends_where_the_song_goes_back_to_before_it() {
    for glide in [0.0, 50.0] {
        let mut rig = pure(RATE, vec![on(5_000, 1, 60.0), on(6_000, 2, 72.0)]);
        rig.set("playMode", 2.0).set("glide", glide);
        left(&mut rig, 6_500);
        rig.frame = 0;
        let signal = left(&mut rig, 4_800);
        assert!(signal.iter().all(|x| x.is_finite()));
        let error = cents_off(&signal[500..], 72.0, RATE);
        assert!(error.abs() < 0.5, "{error} cents");
    }
}
