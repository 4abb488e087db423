use std::{collections::BTreeMap, sync::Arc};

use pulse_schemas::{
    graph::{NodeKey, ZoneLoop, ZoneSpec},
    hash::Hash,
    id::{ActorId, AnyId, EntityId, NodeId},
};

use super::*;
use crate::{
    buffer::{AudioBuffer, AudioSource},
    node::{BindContext, OpenZone},
    rig::{Rig, check_cuts, noise},
};

fn id(ordinal: u32) -> AnyId {
    NodeId(EntityId::derive(ActorId(1), 1, ordinal)).into()
}

fn spec(ordinal: u32) -> ZoneSpec {
    ZoneSpec {
        id: id(ordinal),
        media: Hash::of(&ordinal.to_be_bytes()),
        source_start: 0,
        source_frames: u64::MAX,
        key_low: 0,
        key_high: 127,
        velocity_low: 0.0,
        velocity_high: 1.0,
        root_key: 60.0,
        key_tracking: 1.0,
        tune_cents: 0.0,
        gain: 1.0,
        pan: 0.0,
        repeat: None,
        one_shot: false,
        reverse: false,
        choke_group: 0,
        round_robin_group: 0,
        round_robin_index: 0,
    }
}

/// A second of a constant: tells zones apart by their level.
fn level(value: f32) -> Arc<dyn AudioSource> {
    Arc::new(AudioBuffer::from_channels(48_000, &[vec![value; 48_000]]).expect("even"))
}

fn sine(rate: u32, hertz: f64, frames: usize) -> Arc<dyn AudioSource> {
    let turn = 2.0 * core::f64::consts::PI * hertz / f64::from(rate);
    let plane: Vec<f32> = (0..frames).map(|i| libm::sin(turn * i as f64) as f32 * 0.5).collect();
    Arc::new(AudioBuffer::from_channels(rate, &[plane]).expect("even"))
}

type Zones = Vec<(ZoneSpec, Arc<dyn AudioSource>)>;

fn rig(rate: u32, zones: Zones, events: Vec<(i64, Event)>) -> Rig {
    let mut rig = Rig::new(&KIND, rate);
    for (spec, source) in zones {
        rig.content.zones.push(OpenZone { spec, source: Some(source), prepared: None });
    }
    let context = BindContext {
        node: NodeKey::new(id(0), "sampler"),
        sample_rate: rate,
        channels: 2,
        layout: BTreeMap::new(),
        derived: None,
    };
    bind::bind(&context, &mut rig.content);
    rig.events = events;
    rig
}

fn on(frame: i64, id: u128, key: u8, velocity: f32) -> (i64, Event) {
    let body = EventBody::NoteOn { channel: 0, key, pitch: f64::from(key), velocity };
    (frame, Event { offset: 0, id, body })
}

fn off(frame: i64, id: u128) -> (i64, Event) {
    (frame, Event { offset: 0, id, body: EventBody::NoteOff { channel: 0, key: 0, velocity: 0.0 } })
}

fn left(rig: &mut Rig, frames: usize) -> Vec<f32> {
    rig.run(&[], frames, &[512]).remove(0).remove(0)
}

fn rises(plane: &[f32]) -> usize {
    plane.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count()
}

#[test]
fn a_zone_at_its_root_key_is_its_recording_from_the_very_frame() {
    for onset in 0..20 {
        let source = noise(3, 1, 4_000);
        let audio = Arc::new(AudioBuffer::from_channels(48_000, &source).expect("even"));
        let mut rig = rig(48_000, vec![(spec(90), audio)], vec![on(onset, 1, 60, 1.0)]);
        let out = left(&mut rig, 3_000);
        assert!(out[..onset as usize].iter().all(|&x| x == 0.0));
        // The default attack of 0.1 ms lasts five frames; the interpolation passes band-limited
        // material, of which noise has 86 %.
        let power = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let ratio = power(&out[onset as usize + 10..2_900]) / power(&source[0][10..2_900]);
        assert!((0.75..1.0).contains(&ratio), "{ratio}");
    }
}

#[test]
fn pitch_follows_key_rate_and_bend() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        let second = rate as usize;
        for (key, bend, expect) in
            [(60, 0.0, 500), (72, 0.0, 1_000), (48, 0.0, 250), (60, 1.0, 561)]
        {
            let bend = EventBody::PitchBend { channel: 0, value: bend };
            let events = vec![(0, Event { offset: 0, id: 0, body: bend }), on(0, 1, key, 1.0)];
            let zones = vec![(spec(91), sine(44_100, 500.0, 120_000))];
            let cycles = rises(&left(&mut rig(rate, zones, events), second + 100)[100..]);
            assert!(cycles.abs_diff(expect) <= 1, "{cycles} for {expect} at {rate}");
        }
    }
}

#[test]
fn velocity_layers_and_keys_choose_their_zone() {
    let mut soft = spec(1);
    (soft.velocity_high, soft.key_high) = (0.5, 60);
    let mut hard = spec(2);
    (hard.velocity_low, hard.key_high) = (0.51, 60);
    let zones = vec![(soft, level(0.1)), (hard, level(0.8))];
    for (key, velocity, expect) in [(60, 0.3, 0.1), (60, 0.9, 0.8), (61, 0.9, 0.0)] {
        let mut rig = rig(48_000, zones.clone(), vec![on(0, 1, key, velocity)]);
        rig.set("velocity", 0.0);
        let got = left(&mut rig, 500)[400];
        assert!((got - expect).abs() < 1e-4, "{got} for {expect}");
    }
}

#[test]
fn round_robin_takes_turns() {
    let zones: Zones = (0..3)
        .map(|turn| {
            let mut zone = spec(10 + u32::from(turn));
            (zone.round_robin_group, zone.round_robin_index) = (5, turn);
            (zone, level(0.1 * f32::from(turn + 1)))
        })
        .collect();
    let mut events = Vec::new();
    for i in 0..7 {
        events.push(on(1_000 * i, 1 + i as u128, 60, 1.0));
        events.push(off(1_000 * i + 500, 1 + i as u128));
    }
    let mut rig = rig(48_000, zones, events);
    rig.set("release", 1.0);
    let out = left(&mut rig, 7_000);
    let heard: Vec<i32> = (0..7).map(|i| (out[1_000 * i + 400] * 10.0).round() as i32).collect();
    assert_eq!(heard, [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn a_choke_group_silences_without_a_click() {
    let mut open = spec(20);
    (open.choke_group, open.one_shot, open.key_low) = (3, true, 60);
    let mut closed = spec(21);
    (closed.choke_group, closed.key_high, closed.key_low) = (3, 42, 42);
    let zones = vec![(open, level(0.5)), (closed, level(0.0))];
    let mut rig = rig(48_000, zones, vec![on(0, 1, 60, 1.0), on(2_000, 2, 42, 1.0)]);
    let out = left(&mut rig, 4_000);
    assert!((out[1_999] - 0.5).abs() < 1e-4);
    assert!(out[2_300..].iter().all(|&x| x == 0.0));
    let step = out[100..].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.01, "a step of {step}");
}

#[test]
fn gated_notes_end_and_one_shots_play_on() {
    for one_shot in [false, true] {
        let mut zone = spec(30 + u32::from(one_shot));
        (zone.one_shot, zone.source_frames) = (one_shot, 10_000);
        let mut rig = rig(48_000, vec![(zone, level(0.5))], vec![on(0, 1, 60, 1.0), off(2_000, 1)]);
        rig.set("release", 10.0);
        let out = left(&mut rig, 12_000);
        assert_eq!(out[3_000] != 0.0, one_shot);
        assert!(out[10_001..].iter().all(|&x| x == 0.0), "the recording is over");
    }
}

#[test]
fn loops_repeat_without_a_seam() {
    // 20 cycles of 100 frames; the loop holds ten of them.
    for (ping_pong, crossfade) in [(false, 0), (false, 300), (true, 0)] {
        let mut zone = spec(40 + u32::from(ping_pong) + crossfade as u32);
        let repeat =
            ZoneLoop { start: 525, end: 1_525, crossfade, ping_pong, through_release: true };
        zone.repeat = Some(repeat);
        if ping_pong {
            // Turning points at the crests, where a sine is its own mirror image.
            zone.repeat = Some(ZoneLoop { end: 1_526, ..repeat });
        }
        let zones = vec![(zone, sine(48_000, 480.0, 2_000))];
        let out = left(&mut rig(48_000, zones, vec![on(0, 1, 60, 1.0)]), 30_000);
        for (i, &x) in out.iter().enumerate().skip(100) {
            let turn = 2.0 * core::f64::consts::PI / 100.0;
            let expect = libm::sin(turn * i as f64) * 0.5;
            assert!((f64::from(x) - expect).abs() < 1e-3, "{ping_pong} {crossfade}: {i} {x}");
        }
    }
}

#[test]
fn a_loop_that_ends_at_release_plays_the_rest() {
    let mut zone = spec(50);
    zone.repeat = Some(ZoneLoop {
        start: 500,
        end: 1_500,
        crossfade: 0,
        ping_pong: false,
        through_release: false,
    });
    let zones = vec![(zone, sine(48_000, 480.0, 2_000))];
    let mut rig = rig(48_000, zones, vec![on(0, 1, 60, 1.0), off(5_000, 1)]);
    rig.set("release", 20_000.0);
    let out = left(&mut rig, 8_000);
    assert!(out[5_000..5_900].iter().any(|x| x.abs() > 0.3));
    assert!(out[6_100..].iter().all(|&x| x == 0.0));
}

#[test]
fn a_reversed_zone_starts_with_its_end() {
    let mut plane = vec![0.0_f32; 1_000];
    plane[900..].fill(0.5);
    let source: Arc<dyn AudioSource> =
        Arc::new(AudioBuffer::from_channels(48_000, &[plane]).expect("even"));
    let mut zone = spec(60);
    zone.reverse = true;
    let out = left(&mut rig(48_000, vec![(zone, source)], vec![on(0, 1, 60, 1.0)]), 1_000);
    assert!(out[50] > 0.45 && out[200].abs() < 0.01);
}

#[test]
fn cuts_of_the_block_and_saved_state_change_no_bit() {
    let make = || {
        let mut looped = spec(70);
        looped.repeat = Some(ZoneLoop {
            start: 100,
            end: 900,
            crossfade: 50,
            ping_pong: true,
            through_release: false,
        });
        let mut turns = spec(71);
        (turns.round_robin_group, turns.choke_group, turns.pan) = (2, 1, -0.5);
        let other = ZoneSpec { id: id(72), round_robin_index: 1, ..turns.clone() };
        let audio: Arc<dyn AudioSource> =
            Arc::new(AudioBuffer::from_channels(44_100, &noise(4, 2, 1_500)).expect("even"));
        let zones = vec![(looped, audio.clone()), (turns, audio.clone()), (other, audio)];
        let mut events = Vec::new();
        for i in 0..20_i64 {
            events.push(on(61 * i, 1 + i as u128, 45 + (i * 5 % 30) as u8, 0.8));
            events.push(off(61 * i + 200, 1 + i as u128));
        }
        events.push((
            300,
            Event { offset: 0, id: 0, body: EventBody::PitchBend { channel: 0, value: -0.7 } },
        ));
        let mut rig = rig(48_000, zones, events);
        rig.set("polyphony", 6.0).set("filterMode", 2.0).set("filterEnvelope", 30.0);
        rig.set("lfoPitch", 90.0).set("lfoAmp", 0.5).set("lfoSync", 12.0).set("start", 0.1);
        rig.events.push(controller(700, 7, 0.3));
        rig.set_motion("tune", Box::new(|frame| frame as f64 / 500.0));
        rig
    };
    check_cuts(make, &[], 1_700);
}

#[test]
fn absurd_zones_are_silent_or_finite() {
    let empty: Arc<dyn AudioSource> = Arc::new(AudioBuffer::silent(48_000, 1, 0));
    let bad: Arc<dyn AudioSource> =
        Arc::new(AudioBuffer::from_channels(8_000, &[vec![f32::NAN; 50]]).expect("even"));
    let repeat = |start, end| {
        Some(ZoneLoop { start, end, crossfade: u64::MAX, ping_pong: true, through_release: true })
    };
    type Change = Box<dyn Fn(&mut ZoneSpec)>;
    let changes: Vec<Change> = vec![
        Box::new(|_| {}),
        Box::new(move |z| z.repeat = repeat(0, 0)),
        Box::new(move |z| z.repeat = repeat(9, 3)),
        Box::new(move |z| z.repeat = repeat(0, u64::MAX)),
        Box::new(|z| z.source_start = u64::MAX),
        Box::new(|z| (z.root_key, z.tune_cents) = (-1e9, f64::INFINITY)),
        Box::new(|z| z.gain = f64::NAN),
        Box::new(|z| (z.key_low, z.key_high) = (255, 255)),
    ];
    for (i, source) in [empty, bad, level(0.2)].into_iter().enumerate() {
        for (j, change) in changes.iter().enumerate() {
            let mut zone = spec(200 + 20 * i as u32 + j as u32);
            change(&mut zone);
            let zones = vec![(zone, source.clone())];
            let out = left(&mut rig(48_000, zones, vec![on(0, 1, 200, 1.0)]), 300);
            assert!(out.iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn notes_that_are_over_leave_no_trace_in_the_state() {
    // Long notes follow each other so closely that never all voices are silent.
    let song = |early: &[(i64, Event)]| {
        let mut events = early.to_vec();
        events.extend((0..12).map(|step| on(5_000 + step * 12_000, 10 + step as u128, 60, 0.8)));
        events.sort_by_key(|(frame, _)| *frame);
        let mut rig = rig(48_000, vec![(spec(90), level(0.25))], events);
        let out = left(&mut rig, 144_000);
        (rig.state(), out[110_000..].to_vec())
    };
    let plain = song(&[]);
    // One more note before all others, and one that ends among them.
    assert!(song(&[on(100, 1, 72, 0.5)]) == plain);
    assert!(song(&[on(100, 1, 72, 0.5), on(7_000, 2, 80, 0.5)]) == plain);
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

/// Binds again, as a new plan would.
fn lay_out(rig: &mut Rig, layout: &[(&str, f64)]) {
    let context = BindContext {
        node: NodeKey::new(id(0), "sampler"),
        sample_rate: 48_000,
        channels: 2,
        layout: layout.iter().map(|(id, value)| ((*id).to_owned(), *value)).collect(),
        derived: None,
    };
    bind::bind(&context, &mut rig.content);
}

#[test]
fn the_filter_has_its_response_and_follows_its_envelope() {
    // A sine an octave above the cutoff of a low pass of 12 dB without resonance's peak.
    let level = |settings: &[(&str, f64)]| {
        let zones = vec![(spec(120), sine(48_000, 2_000.0, 48_000))];
        let mut rig = rig(48_000, zones, vec![on(0, 1, 60, 1.0)]);
        rig.set("resonance", 0.0).set("cutoff", 1_000.0);
        settings.iter().for_each(|(id, value)| {
            rig.set(id, *value);
        });
        20.0 * libm::log10(f64::from(peak(&left(&mut rig, 24_000)[12_000..])) / 0.5)
    };
    assert!(level(&[]).abs() < 0.01);
    // |H| of 1 / (1 + k·s + s²) with k = 1.48 at the warped octave.
    let w = libm::tan(core::f64::consts::PI / 24.0) / libm::tan(core::f64::consts::PI / 48.0);
    let expect = -20.0 * libm::log10(libm::hypot(1.0 - w * w, 1.48 * w));
    let got = level(&[("filterMode", 1.0)]);
    assert!((got - expect).abs() < 0.02, "{got}, not {expect} dB");
    assert!(level(&[("filterMode", 2.0)]) < got - 9.0);
    assert!(level(&[("filterMode", 4.0)]) > -4.0);
    let open = [("filterMode", 1.0), ("filterEnvelope", 48.0), ("filterSustain", 1.0)];
    assert!(level(&open) > -0.6, "{}", level(&open));
    let tracking = [("filterMode", 1.0), ("keyTracking", 1.0)];
    assert!((level(&tracking) - got).abs() < 0.02);
}

#[test]
fn soft_notes_may_be_darker_and_begin_later() {
    let run = |velocity: f32, settings: &[(&str, f64)]| {
        let zones = vec![(spec(121), sine(48_000, 4_000.0, 48_000))];
        let mut rig = rig(48_000, zones, vec![on(0, 1, 60, velocity)]);
        rig.set("velocity", 0.0).set("cutoff", 8_000.0).set("resonance", 0.0);
        settings.iter().for_each(|(id, value)| {
            rig.set(id, *value);
        });
        left(&mut rig, 48_000)
    };
    let darker = [("filterMode", 2.0), ("filterVelocity", 60.0)];
    let ratio = peak(&run(1.0, &darker)[4_000..24_000]) / peak(&run(0.0, &darker)[4_000..24_000]);
    assert!(ratio > 100.0, "{ratio}");
    let ends = |signal: Vec<f32>| signal.iter().rposition(|&x| x != 0.0).expect("sound");
    let later = [("velocityStart", 0.5)];
    assert!(ends(run(1.0, &later)).abs_diff(48_000) < 10);
    assert!(ends(run(0.0, &later)).abs_diff(24_000) < 10);
    assert!(ends(run(1.0, &[("start", 0.25)])).abs_diff(36_000) < 10);
}

#[test]
fn a_start_within_the_loop_stays_in_it() {
    let mut zone = spec(122);
    zone.repeat = Some(ZoneLoop {
        start: 480,
        end: 960,
        crossfade: 0,
        ping_pong: false,
        through_release: true,
    });
    let mut rig = rig(48_000, vec![(zone, sine(48_000, 100.0, 9_600))], vec![on(0, 1, 60, 1.0)]);
    rig.set("start", 0.9);
    let signal = left(&mut rig, 48_000);
    assert!((rises(&signal[100..]) as i64 - 99).abs() <= 1);
}

#[test]
fn the_lfo_moves_pitch_level_and_filter() {
    let run = |settings: &[(&str, f64)]| {
        let zones = vec![(spec(123), sine(48_000, 2_000.0, 96_000))];
        let events = vec![on(0, 1, 60, 1.0), controller(0, 1, 1.0)];
        let mut rig = rig(48_000, zones, events);
        // A square wave: half a second up, half a second down.
        rig.set("lfoShape", 4.0).set("lfoRate", 1.0);
        settings.iter().for_each(|(id, value)| {
            rig.set(id, *value);
        });
        left(&mut rig, 48_000)
    };
    for id in ["lfoPitch", "wheelVibrato"] {
        let signal = run(&[(id, 1200.0)]);
        let (up, down) = (rises(&signal[1_000..23_000]), rises(&signal[25_000..47_000]));
        assert!(up.abs_diff(4 * down) <= 3, "{id}: {up} {down}");
    }
    let signal = run(&[("lfoAmp", 1.0)]);
    assert!(peak(&signal[1_000..23_000]) > 0.4 && peak(&signal[25_000..47_000]) < 1e-6);
    let filter = [("lfoFilter", 48.0), ("filterMode", 2.0), ("cutoff", 1_000.0)];
    let signal = run(&filter);
    let (open, closed) = (peak(&signal[1_000..23_000]), peak(&signal[30_000..47_000]));
    assert!(open > 100.0 * closed, "{open} {closed}");
    // In tempo: a cycle of a half note at 120 BPM is a second.
    let synced = run(&[("lfoAmp", 1.0), ("lfoSync", 3.0), ("lfoRate", 20.0)]);
    assert!(peak(&synced[1_000..23_000]) > 0.4 && peak(&synced[25_000..47_000]) < 1e-6);
}

#[test]
fn the_filter_envelope_may_move_pitch() {
    let zones = vec![(spec(124), sine(48_000, 500.0, 96_000))];
    let mut rig = rig(48_000, zones, vec![on(0, 1, 60, 1.0)]);
    rig.set("pitchEnvelope", 12.0).set("filterSustain", 1.0).set("filterAttack", 0.1);
    assert!(rises(&left(&mut rig, 36_000)[100..24_100]).abs_diff(500) <= 1);
}

#[test]
fn a_chord_that_takes_the_place_of_another_never_clicks() {
    let chord = |frame, first: u128| {
        (0..POLYPHONY as u128).map(move |i| on(frame, first + i, 40 + i as u8, 0.3))
    };
    let zones = || vec![(spec(125), sine(48_000, 200.0, 96_000))];
    let events = chord(0, 1).chain(chord(9_000, 100)).collect();
    let mut both = rig(48_000, zones(), events);
    both.set("attack", 100.0);
    let signal = left(&mut both, 12_000);
    let (before, during) = (largest_step(&signal[..9_000]), largest_step(&signal[8_990..9_400]));
    assert!(during < 1.5 * before, "{during} where the material has {before}");
    let mut alone = rig(48_000, zones(), chord(9_000, 100).collect());
    alone.set("attack", 100.0);
    let expect = left(&mut alone, 12_000);
    let off = signal[9_300..].iter().zip(&expect[9_300..]);
    assert!(off.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-6);
}

#[test]
fn volume_panorama_and_mode_messages_are_obeyed() {
    let run = |messages: Vec<(i64, Event)>| {
        let zones = vec![(spec(126), sine(48_000, 300.0, 96_000))];
        let mut rig = rig(48_000, zones, [vec![on(0, 1, 60, 1.0)], messages].concat());
        rig.set("release", 20.0);
        rig.run(&[], 12_000, &[512]).remove(0)
    };
    let plain = largest_step(&run(vec![])[0]);
    let quiet = run(vec![controller(4_800, 7, 0.5)]);
    assert!((peak(&quiet[0][9_000..]) - 0.125).abs() < 1e-3);
    let aside = run(vec![controller(4_800, 10, 0.0)]);
    assert!(peak(&aside[0][9_000..]) > 0.49 && peak(&aside[1][9_000..]) == 0.0);
    for (message, frames) in [(120, 250), (123, 970)] {
        let ended = run(vec![controller(4_800, message, 0.0)]);
        assert_eq!(peak(&ended[0][4_800 + frames..]), 0.0, "controller {message}");
        assert!(largest_step(&ended[0]) < 1.25 * plain);
    }
}

#[test]
fn the_sampler_may_turn_zones_around_and_loop_them_otherwise() {
    let ramp: Vec<f32> = (0..4_800).map(|i| i as f32 / 4_800.0).collect();
    let audio: Arc<dyn AudioSource> =
        Arc::new(AudioBuffer::from_channels(48_000, &[ramp]).expect("even"));
    let mut zone = spec(127);
    zone.repeat = Some(ZoneLoop {
        start: 2_400,
        end: 3_600,
        crossfade: 0,
        ping_pong: false,
        through_release: true,
    });
    let run = |layout: &[(&str, f64)]| {
        let mut rig = rig(48_000, vec![(zone.clone(), audio.clone())], vec![on(0, 1, 60, 1.0)]);
        lay_out(&mut rig, layout);
        left(&mut rig, 12_000)
    };
    let check = |signal: &[f32], at: usize, frame: f32| {
        let got = signal[at] * 4_800.0;
        assert!((got - frame).abs() < 40.0, "frame {got}, not {frame}, after {at}");
    };
    let plain = run(&[]);
    check(&plain, 3_500, 3_500.0);
    check(&plain, 3_700, 2_500.0);
    let there_and_back = run(&[("loopMode", 1.0)]);
    check(&there_and_back, 3_700, 3_500.0);
    let once = run(&[("loopMode", 2.0)]);
    check(&once, 4_700, 4_700.0);
    assert_eq!(peak(&once[4_900..]), 0.0);
    // Backwards the same part of the recording goes round.
    let back = run(&[("reverse", 1.0)]);
    check(&back, 1_000, 3_800.0);
    check(&back, 2_300, 2_500.0);
    check(&back, 2_500, 3_500.0);
    let smooth = run(&[("loopCrossfade", 20.0)]);
    assert!(largest_step(&smooth[1_000..]) < 0.1 * largest_step(&plain[1_000..]));
}

#[test]
fn what_is_said_of_a_note_as_it_begins_is_how_it_begins() {
    let run = |body| {
        let zones = vec![(spec(128), sine(48_000, 300.0, 96_000))];
        let about = (37, Event { offset: 0, id: 1, body });
        rig(48_000, zones, vec![on(37, 1, 60, 1.0), about]).run(&[], 4_800, &[512]).remove(0)
    };
    let bent = run(EventBody::NoteTuning { semitones: 7.0 });
    let zones = vec![(spec(128), sine(48_000, 300.0, 96_000))];
    let higher = rig(48_000, zones, vec![on(37, 1, 67, 1.0)]).run(&[], 4_800, &[512]).remove(0);
    assert_eq!(bent, higher);
    let aside = run(EventBody::NotePan { value: -1.0 });
    assert!(peak(&aside[0]) > 0.4 && peak(&aside[1]) == 0.0);
    let quiet = run(EventBody::NoteGain { value: 0.25 });
    assert!((peak(&quiet[0]) - 0.125).abs() < 1e-3);
}
