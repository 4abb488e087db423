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
    for (frame, controller) in [(410, 7), (420, 10), (430, 11), (440, 74), (1_500, 121)] {
        events.push(event(frame, EventBody::Controller { channel: 0, controller, value: 0.3 }));
    }
    events.push((500, Event { offset: 0, id: 9, body: EventBody::NotePressure { value: 0.6 } }));
    let mut rig = rig(rate, events);
    rig.set("polyphony", 5.0).set("unison", 5.0).set("bLevel", 0.5).set("noise", 0.1);
    rig.set("bShape", 1.0).set("lfoWidth", 0.7).set("lfoPitch", 80.0).set("lfoFilter", 12.0);
    rig.set("lfoAmp", 0.5).set("glide", 20.0).set("filterEnvelope", 40.0);
    rig.set("sub", 0.4).set("subShape", 2.0).set("filterDrive", 12.0).set("spread", 0.6);
    rig.set("pitchEnvelope", 3.0).set("lfoRetrigger", 1.0).set("lfoDelay", 10.0);
    rig.set("lfoSync", 12.0).set("phase", 1.0).set("timbreFilter", 24.0).set("wheelFilter", 9.0);
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

fn controller(frame: i64, controller: u8, value: f32) -> (i64, Event) {
    let body = EventBody::Controller { channel: 0, controller, value };
    (frame, Event { offset: 0, id: 0, body })
}

fn peak(plane: &[f32]) -> f32 {
    plane.iter().fold(0.0, |peak, x| peak.max(x.abs()))
}

fn largest_step(plane: &[f32]) -> f32 {
    plane.windows(2).fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
}

#[test]
fn a_chord_that_takes_the_place_of_another_never_clicks() {
    let chord = |frame, first: u128| {
        (0..POLYPHONY as u128).map(move |i| on(frame, first + i, 36.0 + i as f64))
    };
    let mut rig = pure(RATE, chord(0, 1).chain(chord(9_000, 100)).collect());
    rig.set("ampAttack", 100.0);
    let signal = left(&mut rig, 12_000);
    let (before, during) = (largest_step(&signal[..9_000]), largest_step(&signal[8_990..9_400]));
    assert!(during < 1.5 * before, "{during} where the material has {before}");
    // The new chord is whole: all sixteen of its notes grow on.
    let mut alone = pure(RATE, chord(9_000, 100).collect());
    alone.set("ampAttack", 100.0);
    let expect = left(&mut alone, 12_000);
    let off = signal[9_300..].iter().zip(&expect[9_300..]);
    assert!(off.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-6);
}

#[test]
fn the_sub_oscillator_is_one_or_two_octaves_lower() {
    for (octave, pitch) in [(0.0, 57.0), (1.0, 45.0)] {
        let mut rig = pure(RATE, vec![on(0, 1, 69.0)]);
        rig.set("aLevel", 0.0).set("sub", 1.0).set("subOctave", octave).set("aTune", 7.0);
        let signal = left(&mut rig, 24_000);
        let error = cents_off(&signal[2_400..], pitch, RATE);
        assert!(error.abs() < 0.01, "{error} cents from {pitch}");
    }
}

#[test]
fn volume_and_expression_turn_a_channel_down_without_a_step() {
    let events = vec![on(0, 1, 57.0), controller(9_000, 7, 0.5), controller(18_000, 11, 0.0)];
    let signal = left(&mut pure(RATE, events), 24_000);
    let loud = peak(&signal[3_000..9_000]);
    assert!((peak(&signal[12_000..18_000]) / loud - 0.25).abs() < 1e-3);
    assert_eq!(peak(&signal[23_000..]), 0.0);
    assert!(largest_step(&signal[8_900..]) <= 1.02 * largest_step(&signal[3_000..9_000]));
}

#[test]
fn panorama_leaves_one_side() {
    let mut rig = pure(RATE, vec![controller(0, 10, 1.0), on(4_800, 1, 57.0)]);
    let out = rig.run(&[], 9_600, &[512]).remove(0);
    assert_eq!(peak(&out[0]), 0.0);
    assert!(peak(&out[1]) > 0.1);
}

#[test]
fn mode_messages_end_the_notes_of_their_channel() {
    let other = |body: EventBody| match body {
        EventBody::NoteOn { key, pitch, velocity, .. } => {
            EventBody::NoteOn { channel: 3, key, pitch, velocity }
        }
        other => other,
    };
    // All sound off: silence within 4 ms, without a step; the other channel plays on.
    for (message, frames) in [(120, 200), (123, 970)] {
        let signal = |with_other: bool| {
            let mut events = vec![on(0, 1, 57.0), controller(9_000, message, 0.0)];
            if with_other {
                let (frame, mut event) = on(0, 2, 64.0);
                event.body = other(event.body);
                events.push((frame, event));
            }
            let mut rig = pure(RATE, events);
            rig.set("ampRelease", 20.0);
            left(&mut rig, 12_000)
        };
        let alone = signal(false);
        assert!(peak(&alone[8_500..9_000]) > 0.1);
        assert_eq!(peak(&alone[9_000 + frames..]), 0.0, "controller {message}");
        assert!(largest_step(&alone) <= 1.25 * largest_step(&alone[3_000..9_000]));
        assert!(peak(&signal(true)[11_000..]) > 0.1);
    }
}

#[test]
fn the_pedal_holds_and_lets_go() {
    let down = controller(100, 64, 1.0);
    let events = vec![on(0, 1, 57.0), down, off(2_000, 1), controller(9_000, 64, 0.0)];
    let mut rig = pure(RATE, events);
    rig.set("ampRelease", 20.0);
    let signal = left(&mut rig, 12_000);
    assert!(peak(&signal[8_000..9_000]) > 0.1);
    assert_eq!(peak(&signal[9_970..]), 0.0);
    // A key that is struck again under the pedal and held on outlives the pedal.
    let again = vec![on(0, 1, 57.0), down, off(2_000, 1), on(3_000, 2, 57.0)];
    let mut rig = pure(RATE, [again, vec![controller(9_000, 64, 0.0)]].concat());
    assert!(peak(&left(&mut rig, 12_000)[11_000..]) > 0.1);
}

/// Level of a steady sine around a frame.
fn level_at(signal: &[f32], frame: usize) -> f32 {
    peak(&signal[frame - 100..frame + 100])
}

#[test]
fn the_lfo_may_run_in_tempo() {
    let mut rig = pure(RATE, vec![on(0, 1, 81.0)]);
    // A quarter at 120 BPM lasts 24,000 frames; a sine is lowest at three quarters of it.
    rig.set("lfoSync", 6.0).set("lfoAmp", 1.0).set("lfoRate", 50.0);
    let signal = left(&mut rig, 48_000);
    for cycle in [0, 24_000] {
        assert!(level_at(&signal, cycle + 18_000) < 0.01 * level_at(&signal, cycle + 6_000));
    }
}

#[test]
fn the_lfo_may_begin_anew_with_every_note() {
    let signal = |retrigger: f64| {
        let mut rig = pure(RATE, vec![on(7_000, 1, 81.0)]);
        rig.set("lfoShape", 2.0).set("lfoAmp", 1.0).set("lfoRate", 2.0);
        rig.set("lfoRetrigger", retrigger);
        left(&mut rig, 48_000)
    };
    // A ramp of 24,000 frames from silence to full level, from wherever it began.
    let full = level_at(&signal(1.0), 7_000 + 23_500);
    for (share, frame) in [(0.25, 6_000), (0.5, 12_000), (0.75, 18_000)] {
        let got = level_at(&signal(1.0), 7_000 + frame) / full;
        assert!((got - share * 24.0 / 23.5).abs() < 0.02, "{got} for {share}");
    }
    let free = level_at(&signal(0.0), 12_000) / full;
    assert!((free - 0.5).abs() < 0.02, "{free}");
}

#[test]
fn the_lfo_may_fade_in() {
    let mut rig = pure(RATE, vec![on(0, 1, 81.0)]);
    rig.set("lfoShape", 4.0).set("lfoAmp", 1.0).set("lfoRate", 0.01).set("lfoDelay", 500.0);
    let signal = left(&mut rig, 36_000);
    let full = level_at(&signal, 30_000);
    for (frame, share) in [(2_400, 0.55), (12_000, 0.75), (21_600, 0.95)] {
        let got = level_at(&signal, frame) / full;
        assert!((got - share).abs() < 0.01, "{got} for {share}");
    }
}

#[test]
fn the_filter_envelope_may_move_pitch() {
    let mut rig = pure(RATE, vec![on(0, 1, 60.0)]);
    rig.set("pitchEnvelope", 7.0).set("filterSustain", 1.0).set("filterAttack", 1.0);
    let error = cents_off(&left(&mut rig, 24_000)[2_400..], 67.0, RATE);
    assert!(error.abs() < 0.01, "{error} cents");
}

#[test]
fn drive_lifts_what_is_soft_and_keeps_full_scale() {
    let level = |source: f64, drive: f64| {
        let mut rig = pure(RATE, vec![on(0, 1, 57.0)]);
        rig.set("aLevel", source).set("filterDrive", drive).set("gain", 0.0);
        rig.set("velocity", 0.0);
        f64::from(peak(&left(&mut rig, 9_600)[2_400..]))
    };
    let expect = 0.01 * 10.0 / libm::sqrt(1.0 + 99.0 * 1e-4);
    assert!((level(0.01, 20.0) / expect - 1.0).abs() < 1e-3, "{}", level(0.01, 20.0));
    assert!((level(1.0, 20.0) - 1.0).abs() < 1e-3);
}

#[test]
fn brightness_and_wheel_open_the_filter() {
    let level = |events: Vec<(i64, Event)>| {
        let mut rig = pure(RATE, [vec![on(0, 1, 100.0)], events].concat());
        rig.set("filterMode", 1.0).set("cutoff", 200.0).set("keyTracking", 0.0);
        rig.set("resonance", 0.0).set("timbreFilter", 60.0).set("wheelFilter", 60.0);
        peak(&left(&mut rig, 9_600)[4_800..])
    };
    let timbre = EventBody::NoteTimbre { value: 1.0 };
    let closed = level(vec![controller(0, 74, 64.0 / 127.0)]);
    for open in [
        vec![(0, Event { offset: 0, id: 1, body: timbre })],
        vec![controller(0, 74, 1.0)],
        vec![controller(0, 1, 1.0)],
    ] {
        assert!(level(open.clone()) > 30.0 * closed, "{open:?}");
    }
}

#[test]
fn notes_may_begin_anywhere_in_their_cycle_and_anywhere_in_the_panorama() {
    let run = |phase: f64, spread: f64| {
        let events = vec![on(0, 1, 57.0), off(4_000, 1), on(9_600, 2, 57.0)];
        let mut rig = pure(RATE, events);
        rig.set("phase", phase).set("spread", spread).set("ampRelease", 1.0);
        rig.set("wheelVibrato", 0.0);
        rig.run(&[], 12_000, &[512]).remove(0)
    };
    let fixed = run(0.0, 0.0);
    assert_eq!(fixed[0], fixed[1]);
    assert_eq!(fixed[0][500..2_000], fixed[0][10_100..11_600]);
    let random = run(1.0, 0.0);
    assert_ne!(random[0][500..2_000], random[0][10_100..11_600]);
    let spread = run(0.0, 1.0);
    let ratio =
        |range: core::ops::Range<usize>| peak(&spread[0][range.clone()]) / peak(&spread[1][range]);
    let (first, second) = (ratio(1_000..3_000), ratio(10_600..11_600));
    assert!((first / second - 1.0).abs() > 0.05, "{first} {second}");
}

#[test]
fn what_is_said_of_a_note_as_it_begins_is_how_it_begins() {
    let about = |body| (37, Event { offset: 0, id: 1, body });
    let bent = left(
        &mut pure(RATE, vec![on(37, 1, 60.0), about(EventBody::NoteTuning { semitones: 5.0 })]),
        4_800,
    );
    let (frame, mut higher) = on(37, 1, 60.0);
    if let EventBody::NoteOn { pitch, .. } = &mut higher.body {
        *pitch = 65.0;
    }
    assert_eq!(bent, left(&mut pure(RATE, vec![(frame, higher)]), 4_800));
    let sides = |body| {
        let out = pure(RATE, vec![on(37, 1, 60.0), about(body)]).run(&[], 4_800, &[512]).remove(0);
        [peak(&out[0]), peak(&out[1])]
    };
    let [full, _] = sides(EventBody::NotePressure { value: 0.0 });
    assert_eq!(sides(EventBody::NotePan { value: 1.0 }), [0.0, full]);
    let [half, _] = sides(EventBody::NoteGain { value: 0.5 });
    assert!((half / full - 0.5).abs() < 1e-6);
}

#[test]
fn a_note_that_came_and_went_leaves_no_trace() {
    let heard = |early: bool| {
        // Notes overlap, so that never all voices are free.
        let later = (0..200u32).flat_map(|at| {
            let (from, id) = (2_000 + 1_500 * i64::from(at), u128::from(at) + 10);
            [on(from, id, 40.0 + f64::from(at % 7)), off(from + 4_000, id)]
        });
        let first = [on(100, 1, 72.0), off(3_000, 1)];
        let mut events: Vec<_> = first.into_iter().filter(|_| early).chain(later).collect();
        events.sort_by_key(|(frame, _)| *frame);
        let mut rig = rig(RATE, events);
        rig.set("phase", 1.0).set("noise", 0.3).set("spread", 0.5).set("ampRelease", 40.0);
        let sound = left(&mut rig, 300_000);
        (sound[200_000..].to_vec(), rig.state())
    };
    let (with, without) = (heard(true), heard(false));
    assert!(without.0.iter().any(|&x| x != 0.0));
    assert!(with == without, "what follows a note goes by how many came before it");
}
