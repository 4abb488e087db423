use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use pulse_schemas::{
    graph::{ClipLoop, Fade, FadeShape, NodeKey, PlacedClip, Stretch, StretchMode, WarpAnchor},
    hash::Hash,
    id::{ActorId, AnyId, EntityId, NodeId},
};

use super::*;
use crate::{
    buffer::{AudioBuffer, AudioSource, ReadError},
    node::{BindContext, Derived, Made, OpenClip, media::balance},
    rig::{Rig, check_cuts, noise},
};

fn id(ordinal: u32) -> AnyId {
    NodeId(EntityId::derive(ActorId(1), 1, ordinal)).into()
}

fn media(rate: u32, frames: usize) -> Arc<AudioBuffer> {
    let planes = noise(7, 2, frames);
    Arc::new(AudioBuffer::from_channels(rate, &planes).expect("even"))
}

fn sine(rate: u32, hertz: f64, seconds: f64) -> Arc<AudioBuffer> {
    let frames = (f64::from(rate) * seconds) as usize;
    let turn = 2.0 * core::f64::consts::PI * hertz / f64::from(rate);
    let plane: Vec<f32> = (0..frames).map(|i| libm::sin(turn * i as f64) as f32 * 0.5).collect();
    Arc::new(AudioBuffer::from_channels(rate, &[plane]).expect("even"))
}

fn clip(start: i64, frames: u64) -> PlacedClip {
    PlacedClip {
        id: id(start as u32),
        media: Hash::of(b"media"),
        start_frame: start,
        frames,
        source_start: 0,
        source_frames: u64::MAX,
        slip: 0,
        repeat: None,
        gain: 1.0,
        pan: 0.0,
        fade_in: Fade::default(),
        fade_out: Fade::default(),
        reverse: false,
        stretch: Stretch { ratio: 1.0, ..Stretch::default() },
    }
}

fn content(rate: u32, clips: &[(PlacedClip, Option<Arc<dyn AudioSource>>)]) -> Content {
    content_from(rate, clips, None)
}

fn content_from(
    rate: u32,
    clips: &[(PlacedClip, Option<Arc<dyn AudioSource>>)],
    derived: Option<&dyn Derived>,
) -> Content {
    let mut content = Content::default();
    for (spec, source) in clips {
        let open = OpenClip { spec: spec.clone(), source: source.clone(), prepared: None };
        content.clips.push(open);
    }
    let context = BindContext {
        node: NodeKey::new(id(0), "lane"),
        sample_rate: rate,
        channels: 2,
        layout: BTreeMap::new(),
        derived,
    };
    bind::bind(&context, &mut content);
    content
}

fn rig(rate: u32, clips: &[(PlacedClip, Option<Arc<dyn AudioSource>>)]) -> Rig {
    let mut rig = Rig::new(&KIND, rate);
    rig.content = content(rate, clips);
    rig
}

fn play(rate: u32, spec: PlacedClip, source: &Arc<AudioBuffer>, frames: usize) -> Vec<Vec<f32>> {
    let source: Arc<dyn AudioSource> = source.clone();
    rig(rate, &[(spec, Some(source))]).run(&[], frames, &[300]).remove(0)
}

/// A clip at the rate of its media, frame by frame, as one would explain it.
fn naive(spec: &PlacedClip, source: &AudioBuffer, frames: usize) -> Vec<Vec<f32>> {
    let available = (source.frames() as u64 - spec.source_start).min(spec.source_frames);
    let sample = |channel: usize, n: i64| -> f32 {
        let passed = n - spec.start_frame;
        if passed < 0 || passed >= spec.frames as i64 {
            return 0.0;
        }
        let mut at = passed + spec.slip;
        if let Some(repeat) = spec.repeat
            && at >= (repeat.start + repeat.length) as i64
        {
            at = (repeat.start + (at as u64 - repeat.start) % repeat.length) as i64;
        }
        if at < 0 || at >= available as i64 {
            return 0.0;
        }
        let at = if spec.reverse { available as i64 - 1 - at } else { at };
        let value = source.channel(channel)[(spec.source_start as i64 + at) as usize];
        let fade_in = shape::fade_gain(&spec.fade_in, passed as u64);
        let fade_out = shape::fade_gain(&spec.fade_out, spec.frames - passed as u64);
        let pan = balance(spec.pan)[channel] * spec.gain;
        (f64::from(value) * pan * (fade_in * fade_out)) as f32
    };
    (0..2).map(|c| (0..frames).map(|n| sample(c, n as i64)).collect()).collect()
}

fn check(change: impl Fn(&mut PlacedClip)) {
    let source = media(48_000, 3_000);
    let mut spec = clip(500, 4_000);
    change(&mut spec);
    let expect = naive(&spec, &source, 6_000);
    assert!(play(48_000, spec.clone(), &source, 6_000) == expect, "{spec:?}");
}

#[test]
fn a_clip_equals_its_definition_bit_for_bit() {
    check(|_| {});
    check(|c| c.source_start = 700);
    check(|c| c.source_frames = 900);
    check(|c| c.slip = 123);
    check(|c| c.slip = -321);
    check(|c| c.reverse = true);
    check(|c| (c.reverse, c.slip, c.source_start) = (true, -77, 50));
    check(|c| c.repeat = Some(ClipLoop { start: 0, length: 777 }));
    check(|c| c.repeat = Some(ClipLoop { start: 300, length: 1 }));
    check(|c| c.repeat = Some(ClipLoop { start: 2_500, length: 900 }));
    check(|c| (c.repeat, c.slip) = (Some(ClipLoop { start: 100, length: 333 }), -50));
    check(|c| (c.repeat, c.reverse) = (Some(ClipLoop { start: 100, length: 333 }), true));
    check(|c| (c.gain, c.pan) = (0.7, -0.4));
    check(|c| c.start_frame = -1_000);
    for shape in
        [FadeShape::Linear, FadeShape::EqualPower, FadeShape::SCurve, FadeShape::Exponential]
    {
        check(|c| c.fade_in = Fade { frames: 1_000, shape });
        check(|c| c.fade_out = Fade { frames: 2_500, shape });
        check(|c| {
            (c.fade_in, c.fade_out) = (Fade { frames: 9_000, shape }, Fade { frames: 5, shape })
        });
    }
}

#[test]
fn crossing_fades_of_one_shape_add_up() {
    let steady = |shape: FadeShape, power: i32| {
        let fade = Fade { frames: 1_000, shape };
        (0..=1_000).for_each(|passed| {
            let (up, down) =
                (shape::fade_gain(&fade, passed), shape::fade_gain(&fade, 1_000 - passed));
            assert!((up.powi(power) + down.powi(power) - 1.0).abs() < 1e-12, "{shape:?} {passed}");
        });
    };
    steady(FadeShape::Linear, 1);
    steady(FadeShape::SCurve, 1);
    steady(FadeShape::EqualPower, 2);
}

#[test]
fn splitting_a_clip_changes_no_bit_at_any_rate() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        let source: Arc<dyn AudioSource> = media(44_100, 4_000);
        let whole = clip(100, 3_000);
        let (mut first, mut second) = (clip(100, 1_234), clip(1_334, 1_766));
        (first.slip, second.slip) = (0, 1_234);
        let one = rig(rate, &[(whole, Some(source.clone()))]).run(&[], 3_500, &[512]);
        let clips = [(first, Some(source.clone())), (second, Some(source.clone()))];
        assert!(one == rig(rate, &clips).run(&[], 3_500, &[512]), "at {rate}");
    }
}

#[test]
fn cuts_of_the_block_and_saved_state_change_no_bit() {
    let source: Arc<dyn AudioSource> = media(44_100, 9_000);
    let make = || {
        let mut looped = clip(0, 5_000);
        looped.repeat = Some(ClipLoop { start: 10, length: 700 });
        looped.fade_out = Fade { frames: 1_000, shape: FadeShape::SCurve };
        let mut reversed = clip(1_500, 2_000);
        (reversed.reverse, reversed.pan) = (true, 0.5);
        let mut fast = clip(2_000, 3_000);
        fast.stretch = Stretch { mode: StretchMode::Repitch, ratio: 1.37, ..Stretch::default() };
        let clips = [looped, reversed, fast].map(|spec| (spec, Some(source.clone())));
        let mut rig = rig(48_000, &clips);
        rig.set_motion("gain", Box::new(|frame| frame as f64 / -1_000.0));
        rig
    };
    check_cuts(make, &[], 5_000);
}

#[test]
fn a_render_may_start_anywhere() {
    let source: Arc<dyn AudioSource> = media(44_100, 9_000);
    let whole = rig(48_000, &[(clip(0, 8_000), Some(source.clone()))]).run(&[], 8_000, &[512]);
    let mut late = rig(48_000, &[(clip(0, 8_000), Some(source))]);
    late.frame = 3_333;
    let part = late.run(&[], 4_667, &[512]);
    assert!(part[0][0][..] == whole[0][0][3_333..]);
}

#[test]
fn resampling_keeps_a_hundred_decibels() {
    let source = sine(44_100, 997.0, 0.5);
    let out = play(48_000, clip(0, 20_000), &source, 20_000);
    let (mut signal, mut error) = (0.0, 0.0);
    for (i, &x) in out[0].iter().enumerate().skip(2_000).take(16_000) {
        let turn = 2.0 * core::f64::consts::PI * 997.0 / 48_000.0;
        let expect = libm::sin(turn * i as f64) * 0.5;
        signal += expect * expect;
        error += (f64::from(x) - expect) * (f64::from(x) - expect);
    }
    let snr = 10.0 * libm::log10(signal / error);
    assert!(snr > 100.0, "{snr} dB");
    assert_eq!(out[0], out[1], "one source channel serves both");
}

/// Cycles by counting rises through zero.
fn rises(plane: &[f32]) -> usize {
    plane.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count()
}

#[test]
fn an_elastic_clip_changes_length_and_keeps_its_pitch() {
    let source = sine(48_000, 500.0, 1.0);
    let mut spec = clip(0, 80_000);
    spec.stretch = Stretch { mode: StretchMode::Elastic, ratio: 0.75, ..Stretch::default() };
    let out = play(48_000, spec, &source, 80_000);
    assert!(out[0][64_100..].iter().all(|&x| x == 0.0));
    assert!(out[0][62_000..63_500].iter().any(|x| x.abs() > 0.2));
    let cycles = rises(&out[0][8_000..56_000]);
    assert!((498..=502).contains(&cycles), "{cycles} cycles in a second");
}

#[test]
fn a_repitched_clip_changes_both() {
    let source = sine(48_000, 500.0, 1.0);
    let mut spec = clip(0, 80_000);
    spec.stretch = Stretch { mode: StretchMode::Repitch, ratio: 0.75, ..Stretch::default() };
    let out = play(48_000, spec, &source, 80_000);
    assert!(out[0][64_000..].iter().all(|&x| x == 0.0));
    assert_eq!(rises(&out[0][8_000..56_000]), 375);
}

#[test]
fn transpose_moves_the_pitch_and_not_the_length() {
    let source = sine(44_100, 500.0, 1.0);
    let mut spec = clip(0, 60_000);
    spec.stretch = Stretch { mode: StretchMode::Elastic, ratio: 1.0, pitch: 12.0, anchors: vec![] };
    let out = play(48_000, spec, &source, 60_000);
    let cycles = rises(&out[0][6_000..42_000]);
    assert!((745..=755).contains(&cycles), "{cycles} cycles in 0.75 s");
    assert!(out[0][48_100..].iter().all(|&x| x == 0.0));
}

#[test]
fn warp_anchors_put_transients_where_they_belong() {
    let mut plane = vec![0.0_f32; 48_000];
    for hit in [12_000, 30_000] {
        for (i, x) in plane[hit..hit + 400].iter_mut().enumerate() {
            *x = (1.0 - i as f32 / 400.0) * if i % 12 < 6 { 0.8 } else { -0.8 };
        }
    }
    let source = Arc::new(AudioBuffer::from_channels(48_000, &[plane]).expect("even"));
    for mode in [StretchMode::Elastic, StretchMode::Repitch] {
        let mut spec = clip(0, 60_000);
        let anchor = |source_frame, content_frame| WarpAnchor { source_frame, content_frame };
        spec.stretch.mode = mode;
        spec.stretch.anchors = vec![anchor(12_000.0, 15_000.0), anchor(30_000.0, 28_500.0)];
        let out = play(48_000, spec, &source, 60_000);
        for place in [15_000_usize, 28_500] {
            let around = &out[0][place - 2_000..place + 2_000];
            let onset = around.iter().position(|x| x.abs() > 0.3).expect("the hit sounds");
            let off = onset as i64 - 2_000;
            assert!(off.abs() <= 240, "{mode:?} off by {off} frames at {place}");
        }
    }
}

#[test]
fn binding_again_does_not_stretch_again() {
    let source: Arc<dyn AudioSource> = sine(48_000, 300.0, 0.3);
    let mut spec = clip(0, 20_000);
    spec.media = Hash::of(b"binding twice");
    spec.stretch = Stretch { mode: StretchMode::Elastic, ratio: 0.8, ..Stretch::default() };
    let first = content(48_000, &[(spec.clone(), Some(source.clone()))]);
    spec.start_frame = 5_000;
    let second = content(48_000, &[(spec, Some(source))]);
    let pointer = |content: &Content| {
        content.clips[0].prepared.as_ref().map(|audio| Arc::as_ptr(audio).cast::<()>())
    };
    assert!(pointer(&first).is_some());
    assert_eq!(pointer(&first), pointer(&second));
}

#[test]
fn stopping_and_jumping_fade_what_was_playing() {
    let source = Arc::new(AudioBuffer::from_channels(48_000, &[vec![0.5; 9_000]]).expect("even"));
    let mut rig = rig(48_000, &[(clip(0, 9_000), Some(source))]);
    let _ = rig.run(&[], 1_000, &[250]);
    rig.transport.playing = false;
    let out = rig.run(&[], 1_000, &[100]).remove(0).remove(0);
    let step = out.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.01 && out[0] > 0.49, "a step of {step}");
    assert!(out[DECLICK as usize..].iter().all(|&x| x == 0.0));
}

#[test]
fn absurd_clips_are_silent_or_finite() {
    let good: Arc<dyn AudioSource> = media(48_000, 1_000);
    let empty: Arc<dyn AudioSource> = Arc::new(AudioBuffer::silent(48_000, 2, 0));
    let strange: Arc<dyn AudioSource> = Arc::new(AudioBuffer::silent(3, 2, 50));
    let bad = AudioBuffer::from_channels(44_100, &[vec![f32::NAN; 500]]).expect("even");
    let bad: Arc<dyn AudioSource> = Arc::new(bad);
    let changes: Vec<fn(&mut PlacedClip)> = vec![
        |_| {},
        |c| c.frames = 0,
        |c| c.frames = u64::MAX,
        |c| c.source_start = u64::MAX,
        |c| c.slip = i64::MAX,
        |c| c.slip = i64::MIN,
        |c| c.start_frame = i64::MIN,
        |c| c.repeat = Some(ClipLoop { start: u64::MAX, length: u64::MAX }),
        |c| c.repeat = Some(ClipLoop { start: 0, length: 0 }),
        |c| (c.gain, c.pan) = (f64::NAN, f64::NAN),
        |c| c.stretch.ratio = 0.0,
        |c| (c.stretch.mode, c.stretch.ratio) = (StretchMode::Repitch, f64::NAN),
        |c| (c.stretch.mode, c.stretch.ratio) = (StretchMode::Repitch, 100.0),
        |c| (c.stretch.mode, c.stretch.ratio) = (StretchMode::Elastic, -1.0),
        |c| (c.stretch.mode, c.stretch.ratio) = (StretchMode::Elastic, 1e9),
        |c| (c.stretch.mode, c.stretch.pitch) = (StretchMode::Elastic, 900.0),
    ];
    for source in [None, Some(good), Some(empty), Some(strange), Some(bad)] {
        for change in &changes {
            let mut spec = clip(10, 500);
            change(&mut spec);
            let out = rig(48_000, &[(spec, source.clone())]).run(&[], 700, &[64]);
            assert!(out.iter().flatten().flatten().all(|x| x.is_finite()));
        }
    }
}

/// A source of which nothing is in memory yet.
struct Away;

impl AudioSource for Away {
    fn rate(&self) -> u32 {
        48_000
    }
    fn channels(&self) -> usize {
        1
    }
    fn frames(&self) -> u64 {
        1_000
    }
    fn read(&self, _: u64, _: &mut [&mut [f32]]) -> usize {
        0
    }
    fn read_blocking(&self, _: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError> {
        out.iter_mut().for_each(|plane| plane.fill(0.25));
        Ok(out[0].len())
    }
}

#[test]
fn offline_the_player_waits_for_its_media() {
    let out = rig(48_000, &[(clip(0, 500), Some(Arc::new(Away)))]).run(&[], 500, &[64]);
    assert!(out[0][1].iter().all(|&x| x == 0.25));
}

/// Where pieces are kept.
#[derive(Default)]
struct Shelf {
    kept: Mutex<BTreeMap<Hash, AudioBuffer>>,
    made: Mutex<Vec<Made>>,
}

impl Derived for Shelf {
    fn get(&self, key: &Hash) -> Option<AudioBuffer> {
        self.kept.lock().unwrap().get(key).cloned()
    }

    fn put(&self, made: Made, key: &Hash, audio: &AudioBuffer) {
        self.made.lock().unwrap().push(made);
        self.kept.lock().unwrap().insert(*key, audio.clone());
    }
}

/// A file of which no sample is in memory.
struct Packed(AudioBuffer);

impl AudioSource for Packed {
    fn rate(&self) -> u32 {
        self.0.rate()
    }

    fn channels(&self) -> usize {
        AudioSource::channels(&self.0)
    }

    fn frames(&self) -> u64 {
        AudioSource::frames(&self.0)
    }

    fn read(&self, _: u64, _: &mut [&mut [f32]]) -> usize {
        0
    }

    fn read_blocking(&self, start: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError> {
        self.0.read_blocking(start, out)
    }

    fn is_dear(&self) -> bool {
        true
    }
}

/// Any clip sounds from kept pieces as it does from its media, whether the pieces
/// were made for it or for another.
#[test]
fn a_clip_sounds_from_pieces_as_from_its_media() {
    let mut state = 7u64;
    let mut roll = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for rate in [48_000, 44_100, 32_000] {
        let channels = 1 + (rate == 44_100) as usize;
        let whole = AudioBuffer::from_channels(rate, &noise(3, channels, 200_000)).unwrap();
        let (packed, whole) = (Arc::new(Packed(whole.clone())), Arc::new(whole));
        let shelf = Shelf::default();
        for _ in 0..12 {
            let mut spec = clip(roll(500) as i64, 2_000 + roll(3_000));
            spec.source_start = [0, 1_234][roll(2) as usize];
            spec.source_frames = [u64::MAX, 150_000, 70_000][roll(3) as usize];
            spec.slip = roll(75_000) as i64 - 1_000;
            spec.reverse = roll(2) == 1;
            spec.repeat =
                (roll(2) == 1).then(|| ClipLoop { start: roll(70_000), length: 1 + roll(2_000) });
            let hear = |source: Arc<dyn AudioSource>, derived| {
                let mut rig = Rig::new(&KIND, 48_000);
                rig.content = content_from(48_000, &[(spec.clone(), Some(source))], derived);
                rig.run(&[], 6_000, &[300]).remove(0)
            };
            let expect = hear(whole.clone(), None);
            assert_eq!(hear(packed.clone(), Some(&shelf)), expect, "{rate} {spec:?}");
            let made = shelf.made.lock().unwrap().len();
            assert_eq!(hear(packed.clone(), Some(&shelf)), expect, "{rate} {spec:?}, again");
            assert_eq!(shelf.made.lock().unwrap().len(), made);
        }
        let kind = if rate == 48_000 { Made::Decoded } else { Made::Resampled };
        let made = shelf.made.lock().unwrap();
        assert!(!made.is_empty() && made.iter().all(|it| *it == kind), "{made:?}");
    }
}
