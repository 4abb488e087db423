use std::sync::Arc;

use super::{
    Config, Engine, Feedback, ManualClock, Mode, Song,
    events::Act,
    transport::{Range, Start},
};
use crate::{
    device::DeviceConfig,
    event::EventBody,
    material::{Material, NoMedia, Slices},
    render::{OfflineRenderer, Profile},
    testkit::{How, Sketch, everything, key, note, registry},
};

const RATE: u32 = 48_000;

fn engine(threads: usize) -> (Engine, ManualClock) {
    let mut config = Config::new(DeviceConfig::null(RATE));
    config.registry = registry();
    config.threads = threads;
    Engine::manual(config).unwrap()
}

fn load(engine: &Engine, sketch: &Sketch, slices: &Slices) {
    engine.load(&sketch.spec, slices.clone(), &NoMedia).unwrap();
}

fn play_from(engine: &Engine, frame: i64) {
    engine.play(Start { from: Some(frame), ..Start::default() }).unwrap();
}

/// The left channel of the next frames, in calls of a length that varies.
fn hear(clock: &mut ManualClock, frames: usize, cuts: &[usize]) -> Vec<f32> {
    let (mut heard, mut turn) = (vec![], 0);
    while heard.len() < frames {
        let cut = cuts[turn % cuts.len()].min(frames - heard.len());
        heard.extend(clock.run(cut).chunks_exact(2).map(|frame| frame[0]));
        turn += 1;
    }
    heard
}

/// The same from an offline render of the master, in the profile of the audio
/// thread, with the plan's latency in front.
fn offline(sketch: &Sketch, slices: &Slices, from: i64, frames: usize) -> (usize, Vec<f32>) {
    let plan = Arc::new(sketch.compile(&How::default()));
    let material = Arc::new(Material::bind(&plan, slices, &NoMedia));
    let timeline = Arc::new(Song::plain(RATE));
    let latency = plan.outputs[0].latency as usize;
    let mut renderer = OfflineRenderer::new(plan, material, Profile::Live, timeline, 1);
    let mut sound = vec![];
    renderer.render(from..from + frames as i64, &mut |block| {
        if block.output == 0 {
            sound.extend_from_slice(block.left);
        }
        true
    });
    (latency, sound)
}

fn equal(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let at = a.iter().zip(b).position(|(a, b)| a.to_bits() != b.to_bits());
    assert_eq!(at, None, "{what}: differs at {:?}", at.map(|at| (at, a[at], b[at])));
}

#[test]
fn what_is_heard_is_what_is_rendered_bit_for_bit() {
    let (sketch, slices) = everything();
    for from in [0, 3_333] {
        let (latency, expect) = offline(&sketch, &slices, from, 9_000);
        for cuts in [&[1][..], &[64], &[512], &[4_096], &[7, 130, 999]] {
            for threads in [1, 2] {
                let (engine, mut clock) = engine(threads);
                load(&engine, &sketch, &slices);
                play_from(&engine, from);
                let heard = hear(&mut clock, 9_000 + latency, cuts);
                let what = format!("from {from}, calls of {cuts:?}, {threads} threads");
                equal(&heard[latency..], &expect, &what);
            }
        }
    }
}

/// A click at song frame 300 and 700.
fn clicks() -> (Sketch, Slices) {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.pluck").output(1);
    let mut slices = Slices::default();
    let events = slices.events.0.entry(key(1)).or_default();
    events.extend([note(300, 1, true), note(700, 2, true)]);
    (sketch, slices)
}

fn onsets(heard: &[f32]) -> Vec<usize> {
    let loud = |at: &usize| heard[*at].abs() > 0.4 && (*at == 0 || heard[at - 1].abs() < 0.05);
    (0..heard.len()).filter(loud).collect()
}

#[test]
fn a_loop_wraps_at_its_sample_whatever_the_block() {
    let (sketch, slices) = clicks();
    for cuts in [&[1][..], &[64], &[512], &[4_096], &[13, 777]] {
        let (engine, mut clock) = engine(1);
        load(&engine, &sketch, &slices);
        engine.set_loop(Range::new(200, 450)).unwrap();
        play_from(&engine, 0);
        let heard = hear(&mut clock, 1_100, cuts);
        assert_eq!(onsets(&heard), [300, 550, 800, 1_050], "calls of {cuts:?}");
    }
}

#[test]
fn acts_happen_at_their_frame_of_the_clock() {
    let (sketch, slices) = clicks();
    for cuts in [&[1][..], &[64], &[512], &[4_096], &[13, 777]] {
        let (engine, mut clock) = engine(1);
        load(&engine, &sketch, &slices);
        engine.act_at(100, Act::Play(Start { from: Some(250), ..Start::default() })).unwrap();
        engine.act_at(401, Act::Seek(695)).unwrap();
        engine.act_at(500, Act::Stop).unwrap();
        engine.act_at(600, Act::Seek(290)).unwrap();
        engine.act_at(900, Act::Play(Start::default())).unwrap();
        let body = EventBody::NoteOn { channel: 0, key: 1, pitch: 60.0, velocity: 0.6 };
        let event = crate::event::Event { offset: 0, id: 9, body };
        engine.act_at(777, Act::Event { node: key(1), event }).unwrap();
        let heard = hear(&mut clock, 1_000, cuts);
        assert_eq!(onsets(&heard), [150, 406, 777, 910], "calls of {cuts:?}");
    }
}

#[test]
fn stop_ends_notes_and_holds_the_place() {
    let (sketch, slices) = clicks();
    let (engine, mut clock) = engine(1);
    load(&engine, &sketch, &slices);
    play_from(&engine, 290);
    hear(&mut clock, 15, &[5]);
    engine.stop().unwrap();
    let heard = hear(&mut clock, 3_000, &[512]);
    assert!(heard.iter().all(|&sample| sample == 0.0));
    let Feedback { mode, song_frame, clock: at, .. } = engine.feedback();
    assert_eq!((mode, song_frame, at), (Mode::Stopped, 305, 2_063));
}

#[test]
fn pause_keeps_voices_for_the_next_play() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").output(1);
    let (engine, mut clock) = engine(1);
    load(&engine, &sketch, &Slices::default());
    play_from(&engine, 0);
    hear(&mut clock, 100, &[64]);
    engine.pause().unwrap();
    let heard = hear(&mut clock, 2_000, &[64]);
    let step = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.01 && heard[300..].iter().all(|&sample| sample == 0.0));
    engine.play(Start::default()).unwrap();
    let heard = hear(&mut clock, 2_000, &[64]);
    assert_eq!(heard[1_999], 1.0);
    let feedback = engine.feedback();
    // The fade of 5 ms still moves the song, and may end a frame late.
    let silent = feedback.clock as i64 - feedback.song_frame;
    assert_eq!(feedback.mode, Mode::Playing);
    assert!((1_759..=1_760).contains(&silent), "{silent}");
}

#[test]
fn a_panic_at_once_after_a_pause_leaves_it_paused() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").output(1);
    let (engine, mut clock) = engine(1);
    load(&engine, &sketch, &Slices::default());
    play_from(&engine, 0);
    hear(&mut clock, 100, &[64]);
    engine.pause().unwrap();
    engine.panic().unwrap();
    let heard = hear(&mut clock, 2_000, &[64]);
    assert!(heard[300..].iter().all(|&sample| sample == 0.0));
    assert_eq!(engine.feedback().mode, Mode::Paused);
}

#[test]
fn a_swap_keeps_untouched_tracks_bit_equal() {
    let track = |sketch: &mut Sketch, base: u32| {
        sketch.node(base, "test.noise").node(base + 1, "test.filter").edge(base, base + 1);
    };
    let mut before = Sketch::default();
    [10, 20, 30].iter().for_each(|&base| track(&mut before, base));
    before.output(11);
    let mut after = before.clone();
    track(&mut after, 40);
    after.node(50, "test.gain").edge(21, 50).edge(41, 50).output(50);
    let (unedited, mut still) = engine(1);
    load(&unedited, &before, &Slices::default());
    play_from(&unedited, 0);
    let expect = hear(&mut still, 20_000, &[256]);
    let (edited, mut clock) = engine(1);
    load(&edited, &before, &Slices::default());
    play_from(&edited, 0);
    let mut heard = vec![];
    for turn in 0..10 {
        let sketch = if turn % 2 == 0 { &before } else { &after };
        load(&edited, sketch, &Slices::default());
        heard.extend(hear(&mut clock, 2_000, &[256]));
    }
    equal(&heard, &expect, "the direct out of a track");
}

#[test]
fn a_parameter_moves_smoothly_and_content_follows() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").node(2, "test.gain").edge(1, 2).output(2);
    let (engine, mut clock) = engine(1);
    load(&engine, &sketch, &Slices::default());
    engine.set_param(key(2), "gain", 0.5).unwrap();
    let heard = hear(&mut clock, 4_000, &[512]);
    let step = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.01 && (heard[3_999] - 0.5).abs() < 1e-4);
    let mut slices = Slices::default();
    slices.params.set(key(2), "gain", 0.25);
    engine.update(slices, &NoMedia).unwrap();
    assert!((hear(&mut clock, 4_000, &[512])[3_999] - 0.25).abs() < 1e-4);
    let error = engine.set_param(key(2), "colour", 1.0).unwrap_err();
    assert!(error.to_string().contains("colour"), "{error}");
    assert!(engine.set_param(key(9), "gain", 1.0).is_err());
}

#[test]
fn a_failing_node_is_reported_and_the_rest_plays_on() {
    for (how, panicked) in [(1.0, false), (3.0, true)] {
        let mut sketch = Sketch::default();
        sketch.node(1, "test.steady").node(2, "test.fail").edge(1, 2);
        sketch.node(3, "test.steady").node(4, "test.gain").edge(2, 4).edge(3, 4).output(4);
        let (engine, mut clock) = engine(1);
        load(&engine, &sketch, &Slices::default());
        hear(&mut clock, 4_000, &[512]);
        engine.set_param(key(2), "how", how).unwrap();
        let heard = hear(&mut clock, 4_000, &[512]);
        assert!(heard[3_999] >= 1.0 && heard.iter().all(|sample| sample.is_finite()));
        let faults = engine.feedback().faults;
        let seen: Vec<_> = faults.iter().map(|fault| (fault.node, fault.panicked)).collect();
        assert_eq!(seen, [(key(2), panicked)]);
        assert_eq!(engine.feedback().faults, [], "a fault is told once");
    }
}

#[test]
fn a_broken_graph_leaves_the_old_one_playing() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").node(2, "test.gain").edge(1, 2).output(2);
    let (engine, mut clock) = engine(1);
    load(&engine, &sketch, &Slices::default());
    let mut broken = sketch.clone();
    broken.edge(2, 2);
    assert!(engine.load(&broken.spec, Slices::default(), &NoMedia).is_err());
    assert_eq!(hear(&mut clock, 600, &[64])[599], 1.0);
    engine.set_param(key(2), "gain", 0.0).unwrap();
}

#[test]
fn levels_and_spectrum_show_what_sounds() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").node(2, "test.gain").edge(1, 2).output(2).output(1);
    let mut slices = Slices::default();
    slices.params.set(key(2), "gain", 0.5);
    let (engine, mut clock) = engine(1);
    load(&engine, &sketch, &slices);
    play_from(&engine, 0);
    hear(&mut clock, 8_000, &[256]);
    let feedback = engine.feedback();
    let shown: Vec<_> =
        feedback.levels.iter().map(|(_, level)| (level.peak[0], level.rms[1])).collect();
    assert_eq!(shown, [(0.5, 0.5), (1.0, 1.0)]);
    let mut spectrum = vec![];
    engine.spectrum(&mut spectrum);
    assert!((spectrum[0] - 1.0).abs() < 0.01 && spectrum[9] < 0.01, "{:?}", &spectrum[..4]);
}

#[test]
fn the_null_device_keeps_time() {
    let mut config = Config::new(DeviceConfig::null(RATE));
    config.registry = registry();
    let engine = Engine::start(config).unwrap();
    let (sketch, slices) = everything();
    load(&engine, &sketch, &slices);
    play_from(&engine, 0);
    std::thread::sleep(std::time::Duration::from_millis(600));
    let feedback = engine.feedback();
    assert_eq!(feedback.mode, Mode::Playing);
    // A busy machine may be late, never early.
    assert!((4_000..32_000).contains(&feedback.song_frame), "{}", feedback.song_frame);
    assert!(feedback.master().is_some_and(|level| level.peak[0] > 0.01));
}

#[test]
fn an_output_that_is_looked_at_is_heard_through_every_plan() {
    use crate::{analysis::Spectrum, rt::scope::transform_size};
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").node(2, "test.gain").edge(1, 2).output(2).output(1);
    let (engine, mut clock) = engine(1);
    load(&engine, &sketch, &Slices::default());
    let mut look = engine.look_at(sketch.spec.outputs[1].kind, false).unwrap();
    let mut dc = |clock: &mut ManualClock| {
        hear(clock, 9_000, &[256]);
        look.listener.listen();
        let mut bands = vec![];
        look.listener.spectrum(&mut Spectrum::new(transform_size(512)), 512, &mut bands);
        bands[0]
    };
    assert!((dc(&mut clock) - 2.0).abs() < 0.01, "a steady 1 on both sides of 0 Hz");
    sketch.node(3, "test.gain").edge(2, 3);
    load(&engine, &sketch, &Slices::default());
    assert!((dc(&mut clock) - 2.0).abs() < 0.01);
    engine.look_away(look).unwrap();
    let master = sketch.spec.outputs[0].kind;
    for _ in 0..super::scope::SCOPES {
        engine.look_at(master, false).unwrap();
        hear(&mut clock, 64, &[64]);
    }
    assert!(engine.look_at(master, false).is_err());
}

#[test]
fn nodes_are_timed_while_somebody_asks() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").node(2, "test.gain").edge(1, 2).output(2);
    let (engine, mut clock) = engine(1);
    load(&engine, &sketch, &Slices::default());
    assert_eq!(engine.node_costs(), None);
    hear(&mut clock, 4_096, &[512]);
    engine.set_profiling(true).unwrap();
    hear(&mut clock, 4_096, &[512]);
    let costs = engine.node_costs().unwrap();
    let seen: Vec<_> = costs.iter().map(|cost| (cost.node, cost.cost.blocks)).collect();
    assert_eq!(seen, [(key(1), 8), (key(2), 8)]);
    assert!(costs.iter().all(|cost| cost.cost.worst <= cost.cost.nanos && cost.share > 0.0));
    sketch.node(3, "test.gain").edge(2, 3).output(3);
    load(&engine, &sketch, &Slices::default());
    hear(&mut clock, 1_024, &[512]);
    assert_eq!(engine.node_costs().unwrap().len(), 3, "a new plan is timed as well");
    engine.set_profiling(false).unwrap();
    assert_eq!(engine.node_costs(), None);
}

/// A held note: on at `on`, off at `off`.
fn held(slices: &mut Slices, number: u32, on: i64, off: i64) {
    let events = slices.events.0.entry(key(1)).or_default();
    events.extend([note(on, number, true), note(off, number, false)]);
}

#[test]
fn who_jumps_into_a_held_note_hears_it_begin() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.pluck").output(1);
    let mut slices = Slices::default();
    held(&mut slices, 1, 100, 5_000);
    held(&mut slices, 2, 200, 300);
    held(&mut slices, 3, 700, 800);
    for cuts in [&[1][..], &[64], &[512], &[13, 777]] {
        let check = |what: &str, act: &dyn Fn(&Engine), expect: &[usize]| {
            let (engine, mut clock) = engine(1);
            load(&engine, &sketch, &slices);
            act(&engine);
            let heard = hear(&mut clock, 600, cuts);
            assert_eq!(onsets(&heard), expect, "{what}, calls of {cuts:?}");
        };
        check("from the middle", &|engine| play_from(engine, 500), &[0, 200]);
        check("between notes", &|engine| play_from(engine, 5_001), &[]);
        check("from its very start", &|engine| play_from(engine, 700), &[0]);
        let sought = |engine: &Engine| {
            play_from(engine, 6_000);
            engine.act_at(50, Act::Seek(250)).unwrap();
        };
        check("after a seek", &sought, &[50, 500]);
        let looped = |engine: &Engine| {
            engine.set_loop(Range::new(4_000, 4_200)).unwrap();
            play_from(engine, 4_050);
        };
        check("at each turn of a loop", &looped, &[0, 150, 350, 550]);
    }
}

#[test]
fn count_in_pre_roll_loop_and_clicks_lie_on_their_samples() {
    let (sketch, slices) = clicks();
    for cuts in [&[64][..], &[512], &[4_096], &[13, 777]] {
        let (engine, mut clock) = engine(1);
        load(&engine, &sketch, &slices);
        engine.set_punch(Range::new(650, 720)).unwrap();
        let start = Start { from: Some(600), pre_roll: 400, count_in: 1, record: true };
        engine.play(start).unwrap();
        let counted = hear(&mut clock, 96_000, cuts);
        let beats: Vec<_> = (0..4).map(|beat| beat * 24_000).collect();
        let clicks: Vec<_> = beats.iter().filter(|&&at| counted[at + 1].abs() > 0.01).collect();
        assert_eq!(clicks.len(), 4, "calls of {cuts:?}");
        assert_eq!(engine.mode(), (Mode::Playing, false));
        // The last click of the count-in has died away; 200 and on: notes at 300, 700.
        let heard = hear(&mut clock, 460, cuts);
        assert_eq!(onsets(&heard), [100], "calls of {cuts:?}");
        assert_eq!(engine.mode(), (Mode::Playing, true), "at 660, within the punch");
        hear(&mut clock, 100, cuts);
        assert_eq!((engine.mode(), engine.song_frame()), ((Mode::Playing, false), 760));
    }
}

#[test]
fn the_metronome_follows_tempo_and_loop() {
    use pulse_schemas::time::{SignatureMap, TempoMap, TempoMark, TempoShape, Ticks};
    let quarter = Ticks(Ticks::PER_QUARTER);
    let marks = [
        TempoMark { at: Ticks(0), bpm: 120.0, shape: TempoShape::default() },
        TempoMark { at: Ticks(2 * quarter.0), bpm: 240.0, shape: TempoShape::default() },
    ];
    let song = Song::new(TempoMap::new(&marks).unwrap(), SignatureMap::default(), RATE);
    for cuts in [&[64][..], &[512], &[13, 777]] {
        let (engine, mut clock) = engine(1);
        engine.set_song(song.clone()).unwrap();
        engine.set_metronome(true, 1.0).unwrap();
        engine.set_loop(Range::new(24_000, 60_000)).unwrap();
        play_from(&engine, 100);
        let heard = hear(&mut clock, 120_000, cuts);
        // Beats at 24 000 and 48 000, then every 12 000; the loop goes back from 60 000.
        let expect = [23_900, 47_900, 59_900, 83_900, 95_900, 119_900];
        let mut quiet = 2_000;
        let mut found = vec![];
        for (at, sample) in heard.iter().enumerate() {
            if *sample != 0.0 && quiet >= 1_000 {
                found.push(at - 1);
            }
            quiet = if *sample == 0.0 { quiet + 1 } else { 0 };
        }
        assert_eq!(found, expect, "calls of {cuts:?}");
    }
}

/// A level that says at which frame of the clock it was heard.
fn ramp(from: usize, frames: usize) -> Vec<f32> {
    (from..from + frames).map(|at| (at % 1_000) as f32 / 1_000.0).collect()
}

fn hear_inputs(clock: &mut ManualClock, from: usize, frames: usize, cuts: &[usize]) -> Vec<f32> {
    let (mut heard, mut turn) = (vec![], 0);
    while heard.len() < frames {
        let cut = cuts[turn % cuts.len()].min(frames - heard.len());
        let (left, right) = (ramp(from + heard.len(), cut), vec![f32::NAN; cut]);
        let out = clock.run_with(cut, &[&right, &left]);
        heard.extend(out.chunks_exact(2).map(|frame| frame[0]));
        turn += 1;
    }
    heard
}

#[test]
fn an_input_is_heard_at_its_sample_and_monitors_as_it_is_told() {
    let mut config = Config::new(DeviceConfig::null(RATE));
    config.registry = crate::registry::Registry::standard();
    let mut sketch = Sketch::default();
    sketch.node(1, "pulse.input").output(1);
    let set = |monitor: f64, first: f64| {
        let mut slices = Slices::default();
        slices.params.set(key(1), "monitor", monitor);
        slices.params.set(key(1), "first", first);
        slices.params.set(key(1), "width", 0.0);
        slices
    };
    for cuts in [&[1][..], &[64], &[4_096], &[13, 777]] {
        let (engine, mut clock) = Engine::manual(config.clone()).unwrap();
        load(&engine, &sketch, &set(2.0, 1.0));
        // 5 ms of fading in.
        hear_inputs(&mut clock, 0, 480, cuts);
        let heard = hear_inputs(&mut clock, 480, 2_000, cuts);
        equal(&heard, &ramp(480, 2_000), &format!("calls of {cuts:?}"));
        let silent = |heard: &[f32]| heard.iter().all(|sample| *sample == 0.0);
        for (monitor, first, what) in [
            (0.0, 1.0, "off"),
            (2.0, 0.0, "no numbers"),
            (2.0, 7.0, "a channel that the device lacks"),
        ] {
            load(&engine, &sketch, &set(monitor, first));
            hear_inputs(&mut clock, 0, 480, cuts);
            assert!(silent(&hear_inputs(&mut clock, 480, 500, cuts)), "{what}");
        }
        load(&engine, &sketch, &set(1.0, 1.0));
        hear_inputs(&mut clock, 0, 480, cuts);
        assert!(!silent(&hear_inputs(&mut clock, 0, 500, cuts)), "auto, at rest");
        play_from(&engine, 0);
        hear_inputs(&mut clock, 0, 480, cuts);
        assert!(silent(&hear_inputs(&mut clock, 0, 500, cuts)), "auto, while playing");
        let start = Start { from: Some(0), record: true, ..Start::default() };
        engine.play(start).unwrap();
        hear_inputs(&mut clock, 0, 480, cuts);
        assert!(!silent(&hear_inputs(&mut clock, 0, 500, cuts)), "auto, while recording");
    }
}

#[test]
fn midi_lands_on_its_sample_for_whoever_listens() {
    use std::sync::Mutex;

    use crate::device::midir::{Port, Target, Targets};
    let mut sketch = Sketch::default();
    sketch.node(1, "test.pluck").output(1);
    let target = |port: Option<&str>, channel, auto| Target {
        port: port.map(str::to_owned),
        channel,
        node: key(1),
        auto,
    };
    let check = |target: Target, playing: bool, expect: &[usize]| {
        for cuts in [&[1][..], &[64], &[512], &[13, 777]] {
            let (engine, mut clock) = engine(1);
            load(&engine, &sketch, &Slices::default());
            if playing {
                play_from(&engine, 0);
                hear(&mut clock, 10, &[10]);
            }
            let now = engine.feedback().clock.max(if playing { 10 } else { 0 });
            let targets: Targets = Arc::new(Mutex::new(vec![target.clone()]));
            let mut port = Port::new("Keys", engine.inlet().unwrap(), targets);
            for (at, key) in [(5, 60), (333, 61), (700, 62)] {
                port.take_at(now + at, &[0x92, key, 127]);
                port.take_at(now + at + 100, &[0x82, key, 0]);
            }
            port.take_at(now + 900, &[0xf8]);
            let heard = hear(&mut clock, 1_000, cuts);
            assert_eq!(onsets(&heard), expect, "{target:?}, calls of {cuts:?}");
        }
    };
    check(target(None, None, false), false, &[5, 333, 700]);
    check(target(Some("Keys"), Some(2), true), false, &[5, 333, 700]);
    check(target(Some("Pads"), None, false), false, &[]);
    check(target(None, Some(3), false), false, &[]);
    check(target(None, None, false), true, &[5, 333, 700]);
    check(target(None, None, true), true, &[]);
}

#[test]
fn an_inlet_can_be_returned_and_there_is_an_end_to_them() {
    let (engine, _clock) = engine(1);
    let mut inlets: Vec<_> = std::iter::from_fn(|| engine.inlet()).collect();
    assert_eq!(inlets.len(), 32);
    engine.return_inlet(inlets.pop().unwrap());
    assert!(engine.inlet().is_some() && engine.inlet().is_none());
}
