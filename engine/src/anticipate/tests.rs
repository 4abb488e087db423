//! What is rendered ahead is what a plan gives that runs on the audio thread as a
//! whole, whatever is done to it.

#![allow(clippy::disallowed_methods, reason = "patience is time; it never reaches audio")]

mod random;
mod shelves;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pulse_schemas::graph::Cohort;

use super::{Anticipation, shelf::Shelf};
use crate::{
    device::DeviceConfig,
    material::{NoMedia, Slices},
    rt::{
        Config, Engine, ManualClock,
        events::Act,
        feedback::Fault,
        transport::{Range, Start},
    },
    testkit::{Sketch, everything, key, note, registry},
};

const RATE: u32 = 48_000;
/// The latency of everything that the executor does.
const LATE: usize = 333;
const PATIENCE: Duration = Duration::from_secs(60);

fn engine(workers: Option<usize>, threads: usize) -> (Engine, ManualClock) {
    engine_with(workers, threads, None)
}

fn engine_with(
    workers: Option<usize>,
    threads: usize,
    shelf: Option<Arc<dyn Shelf>>,
) -> (Engine, ManualClock) {
    let mut config = Config::new(DeviceConfig::null(RATE));
    config.registry = registry();
    config.threads = threads;
    config.shelf = shelf;
    config.anticipation = workers.map(|workers| Anticipation { workers, ..Default::default() });
    Engine::manual(config).unwrap()
}

/// What somebody does at a frame.
#[derive(Clone)]
enum Deed {
    Load(Sketch, Slices),
    Act(Act),
    Param(u32, &'static str, f64),
    /// Waits until what was live is rendered ahead.
    Demote,
    /// Looks after what has changed sides, if it can be done already.
    Tend,
}

fn play(from: i64) -> Deed {
    Deed::Act(Act::Play(Start { from: Some(from), ..Start::default() }))
}

fn knob(node: u32, name: &'static str, value: f64) -> Deed {
    Deed::Param(node, name, value)
}

/// A story: frames to run, then a deed.
type Story = Vec<(usize, Deed)>;

fn run(
    clock: &mut ManualClock,
    frames: usize,
    cuts: &[usize],
    engine: &Engine,
    out: &mut Vec<f32>,
) {
    let (mut left, mut turn) = (frames, 0);
    while left > 0 {
        let cut = cuts[turn % cuts.len()].min(left);
        assert!(engine.settle_ahead(cut as u64, PATIENCE), "what lies ahead never came");
        out.extend_from_slice(clock.run(cut));
        left -= cut;
        turn += 1;
    }
}

fn doing(engine: &Engine, deed: &Deed, at: u64) {
    match deed {
        Deed::Load(sketch, slices) => engine.load(&sketch.spec, slices.clone(), &NoMedia).unwrap(),
        Deed::Act(act) => engine.act_at(at, *act).unwrap(),
        Deed::Param(node, name, value) => engine.set_param(key(*node), name, *value).unwrap(),
        Deed::Tend => engine.tend().unwrap(),
        Deed::Demote => {}
    }
}

/// The story ahead of time, and the frames at which things happened.
fn tell_ahead(
    story: &Story,
    frames: usize,
    cuts: &[usize],
    workers: usize,
) -> (Vec<f32>, Vec<u64>, super::AheadStats, Vec<Fault>) {
    tell_with(story, frames, cuts, workers, None)
}

/// The same with what renders have made.
fn tell_with(
    story: &Story,
    frames: usize,
    cuts: &[usize],
    workers: usize,
    shelf: Option<Arc<dyn Shelf>>,
) -> (Vec<f32>, Vec<u64>, super::AheadStats, Vec<Fault>) {
    let (engine, mut clock) = engine_with(Some(workers), 1, shelf);
    let (mut heard, mut stamps) = (vec![], vec![]);
    for (pass, deed) in story {
        run(&mut clock, *pass, cuts, &engine, &mut heard);
        doing(&engine, deed, 0);
        if let Deed::Demote = deed {
            demote(&engine);
        }
        let acts = matches!(deed, Deed::Act(_) | Deed::Param(..));
        stamps.push(if acts { engine.last_routed() } else { engine.last_stamp() });
    }
    run(&mut clock, frames, cuts, &engine, &mut heard);
    let stats = engine.ahead_stats().unwrap();
    assert_eq!((stats.underrun_frames, stats.lost_inputs), (0, 0), "{stats:?}");
    (heard, stamps, stats, clock_faults(&engine))
}

fn demote(engine: &Engine) {
    let demotions = || engine.ahead_stats().unwrap().demotions;
    let (before, began) = (demotions(), Instant::now());
    while demotions() == before {
        engine.tend().unwrap();
        assert!(began.elapsed() < PATIENCE, "nothing was demoted");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn clock_faults(engine: &Engine) -> Vec<Fault> {
    engine.feedback().faults
}

/// The same story on the audio thread alone, every deed at its frame.
fn tell_plain(story: &Story, stamps: &[u64], frames: usize) -> Vec<f32> {
    let (engine, mut clock) = engine(None, 1);
    let mut heard = vec![];
    let mut deeds: Vec<(u64, &Deed)> =
        stamps.iter().copied().zip(story.iter().map(|(_, deed)| deed)).collect();
    deeds.sort_by_key(|(at, _)| *at);
    for (at, deed) in deeds {
        let now = heard.len() / 2;
        run(&mut clock, at as usize - now, &[512], &engine, &mut heard);
        doing(&engine, deed, at);
    }
    let now = heard.len() / 2;
    run(&mut clock, frames.saturating_sub(now), &[512], &engine, &mut heard);
    heard
}

fn check(story: &Story, frames: usize, cuts: &[usize], workers: usize, what: &str) {
    let (heard, faults) = check_quiet(story, frames, cuts, workers, what);
    assert!(faults.is_empty(), "{what}: {faults:?}");
    assert!(heard.iter().any(|sample| *sample != 0.0), "{what}: nothing is heard");
}

/// The same for what may be silent, or explode: then there is nothing to compare.
fn check_quiet(
    story: &Story,
    frames: usize,
    cuts: &[usize],
    workers: usize,
    what: &str,
) -> (Vec<f32>, Vec<Fault>) {
    let (heard, stamps, _, faults) = tell_ahead(story, frames, cuts, workers);
    if !faults.is_empty() {
        return (heard, faults);
    }
    let expect = tell_plain(story, &stamps, heard.len() / 2);
    let differ = heard.iter().zip(&expect).position(|(a, b)| a.to_bits() != b.to_bits());
    let differ = differ.map(|at| (at / 2, heard[at], expect[at]));
    assert_eq!(differ, None, "{what}: stamps {stamps:?}");
    (heard, faults)
}

/// Everything the executor does, without latency.
fn prompt() -> (Sketch, Slices) {
    let (mut sketch, slices) = everything();
    for node in &mut sketch.spec.nodes {
        if node.kind == "test.late" {
            node.layout.insert("frames".to_owned(), 0.0);
        }
    }
    (sketch, slices)
}

fn with_live(sketch: &Sketch, live: &[u32]) -> Sketch {
    let mut sketch = sketch.clone();
    for node in &mut sketch.spec.nodes {
        let is = live.iter().any(|&number| key(number) == node.key);
        node.cohort = if is { Cohort::Live } else { Cohort::Anticipative };
    }
    sketch
}

#[test]
fn what_lies_ahead_is_what_runs_at_once_bit_for_bit() {
    let (sketch, slices) = prompt();
    for live in [&[][..], &[22, 900], &[300]] {
        let story =
            vec![(0, Deed::Load(with_live(&sketch, live), slices.clone())), (0, play(3_333))];
        for (workers, cuts) in [(1, &[512][..]), (3, &[64]), (2, &[7, 130, 999, 4_096])] {
            check(&story, 14_000, cuts, workers, &format!("live {live:?}, {workers} workers"));
        }
    }
}

#[test]
fn loops_seeks_pauses_and_knobs_come_at_their_frame() {
    let (sketch, slices) = prompt();
    for live in [&[][..], &[32]] {
        let story = vec![
            (0, Deed::Load(with_live(&sketch, live), slices.clone())),
            (0, Deed::Act(Act::Loop(Range::new(400, 2_900)))),
            (500, play(0)),
            (9_000, knob(2, "gain", 0.9)),
            (700, knob(900, "gain", 0.5)),
            (100, Deed::Act(Act::Seek(4_900))),
            (3_000, Deed::Act(Act::Pause)),
            (4_000, Deed::Act(Act::Play(Start::default()))),
            (3_000, Deed::Act(Act::Stop)),
            (2_500, play(100)),
            (10, Deed::Act(Act::Loop(None))),
            (2_500, Deed::Act(Act::Panic)),
        ];
        check(&story, 6_000, &[256, 31], 2, &format!("live {live:?}"));
    }
}

#[test]
fn edits_touch_what_they_touch() {
    let (sketch, slices) = prompt();
    let mut louder = slices.clone();
    louder.params.set(key(32), "gain", 0.7);
    louder.events.0.entry(key(300)).or_default().push(note(6_000, 77, true));
    let mut more = sketch.clone();
    more.node(500, "test.noise").node(501, "test.filter").edge(500, 501).edge(501, 900);
    let story = vec![
        (0, Deed::Load(sketch.clone(), slices.clone())),
        (0, play(0)),
        (4_000, Deed::Load(sketch.clone(), louder.clone())),
        (3_000, Deed::Load(more.clone(), louder.clone())),
        (2_500, Deed::Load(sketch.clone(), louder)),
        (2_500, Deed::Load(with_live(&sketch, &[12]), slices.clone())),
    ];
    check(&story, 6_000, &[256], 2, "edits");
}

#[test]
fn who_becomes_live_and_who_stops_being_live_is_not_heard() {
    let (sketch, slices) = prompt();
    let load = |live: &[u32]| Deed::Load(with_live(&sketch, live), slices.clone());
    let story = vec![
        (0, load(&[])),
        (0, play(0)),
        (3_000, load(&[12])),
        (4_000, load(&[])),
        (2_500, Deed::Demote),
        (1_000, Deed::Act(Act::Seek(2_000))),
        (3_000, load(&[300, 400])),
        (2_600, load(&[300])),
        (2_600, Deed::Demote),
        (2_500, knob(400, "gain", 0.2)),
    ];
    check(&story, 6_000, &[256, 100], 2, "sides");
}

#[test]
fn an_edit_of_one_track_leaves_the_rings_of_the_others() {
    let (sketch, slices) = prompt();
    let (engine, mut clock) = engine(Some(1), 1);
    engine.load(&sketch.spec, slices.clone(), &NoMedia).unwrap();
    let mut heard = vec![];
    run(&mut clock, 4_096, &[512], &engine, &mut heard);
    let far = engine.lead() + 5_000;
    assert!(engine.settle_ahead(far, PATIENCE));
    let before = engine.ahead_stats().unwrap().rendered_frames;
    let mut louder = slices;
    louder.params.set(key(2), "gain", 0.9);
    engine.load(&sketch.spec, louder, &NoMedia).unwrap();
    assert!(engine.settle_ahead(far, PATIENCE));
    let stats = engine.ahead_stats().unwrap();
    // The track, what hears it, and some frames towards what was asked anyway.
    let whole = stats.units as u64 * stats.look_ahead_frames;
    let again = stats.rendered_frames - before;
    assert!(again < whole / 2, "{again} of {whole}: {stats:?}");
}

#[test]
fn latency_lies_behind_what_is_rendered_ahead() {
    let (sketch, slices) = everything();
    let story = vec![(0, Deed::Load(sketch.clone(), slices.clone())), (0, play(0))];
    let (heard, stamps, ..) = tell_ahead(&story, 16_000, &[512], 2);
    let late = LATE;
    let plain = tell_plain(&story, &stamps, heard.len() / 2);
    let from = stamps[1] as usize;
    for at in from * 2..heard.len() - late * 2 {
        assert_eq!(heard[at].to_bits(), plain[at + late * 2].to_bits(), "frame {}", at / 2);
    }
}

#[test]
fn a_node_that_fails_ahead_is_reported_and_the_rest_plays_on() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").node(2, "test.fail").edge(1, 2);
    sketch.node(3, "test.steady").node(4, "test.gain").edge(2, 4).edge(3, 4).output(4);
    let (engine, mut clock) = engine(Some(1), 1);
    engine.load(&sketch.spec, Slices::default(), &NoMedia).unwrap();
    let mut heard = vec![];
    run(&mut clock, 4_000, &[512], &engine, &mut heard);
    engine.set_param(key(2), "how", 3.0).unwrap();
    run(&mut clock, 4_000, &[512], &engine, &mut heard);
    assert!(heard.iter().all(|sample| sample.is_finite()) && heard[7_999 * 2] >= 1.0);
    let (mut seen, began) = (vec![], Instant::now());
    while seen.is_empty() && began.elapsed() < PATIENCE {
        seen.extend(clock_faults(&engine).iter().map(|fault| (fault.node, fault.panicked)));
    }
    assert_eq!(seen, [(key(2), true)]);
}

#[test]
fn what_is_not_there_in_time_is_silence_that_is_counted() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").output(1);
    let (engine, mut clock) = engine(Some(1), 1);
    engine.load(&sketch.spec, Slices::default(), &NoMedia).unwrap();
    // Far more at once than anybody is ahead.
    let heard: Vec<f32> = clock.run(40_000).iter().step_by(2).copied().collect();
    let step = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    let silent = heard[engine.lead() as usize..].iter().filter(|&&sample| sample == 0.0).count();
    let stats = engine.ahead_stats().unwrap();
    assert!(stats.underrun_frames as usize >= silent && silent > 0, "{stats:?}, {silent}");
    assert!(step <= 1.0 / 32.0 || heard[..2_000].contains(&1.0), "a step of {step}");
}

#[test]
fn held_notes_begin_ahead_where_the_song_is_gone_to() {
    let mut sketch = Sketch::default();
    for number in [1, 2] {
        sketch.node(number, "test.pluck");
    }
    sketch.node(3, "test.gain").edge(1, 3).edge(2, 3).output(3);
    let mut slices = Slices::default();
    for (node, on, off) in [(1, 100, 50_000), (2, 3_000, 9_000)] {
        let events = slices.events.0.entry(key(node)).or_default();
        events.extend([note(on, node, true), note(off, node, false)]);
    }
    let story = vec![
        (0, Deed::Load(sketch, slices)),
        (100, play(6_000)),
        (5_000, Deed::Act(Act::Seek(20_000))),
        (5_000, Deed::Act(Act::Loop(Range::new(4_000, 8_000)))),
        (10, Deed::Act(Act::Seek(4_500))),
    ];
    check(&story, 20_000, &[256], 2, "held notes");
}

#[test]
fn a_loop_takes_back_what_lies_behind_its_end_and_nothing_before() {
    let (sketch, slices) = prompt();
    let (engine, mut clock) = engine(Some(2), 1);
    engine.load(&sketch.spec, slices, &NoMedia).unwrap();
    engine.act(Act::Play(Start { from: Some(0), ..Start::default() })).unwrap();
    let mut heard = vec![];
    run(&mut clock, 8_192, &[512], &engine, &mut heard);
    let far = 9_000;
    let again = |act: Act| {
        // Nobody has anything to do before.
        let rest = || {
            let mut before = 0;
            loop {
                let now = engine.ahead_stats().unwrap().rendered_frames;
                if now == before && engine.settle_ahead(far, PATIENCE) {
                    return now;
                }
                before = now;
                std::thread::sleep(Duration::from_millis(30));
            }
        };
        let before = rest();
        engine.act(act).unwrap();
        rest() - before
    };
    let whole = again(Act::Seek(4_000));
    let distant = again(Act::Loop(Range::new(0, 400_000)));
    let none = again(Act::Loop(None));
    assert!(whole > 0, "a seek concerns everybody");
    assert_eq!((distant, none), (0, 0), "of {whole}");
}

#[test]
fn seeks_and_loops_of_late_nodes_are_heard_as_on_the_audio_thread_and_earlier() {
    let (sketch, slices) = everything();
    let story = vec![
        (0, Deed::Load(sketch, slices)),
        (0, play(0)),
        (3_000, Deed::Act(Act::Seek(5_000))),
        (2_600, Deed::Act(Act::Loop(Range::new(4_000, 9_000)))),
        (2_600, knob(2, "gain", 0.9)),
        (2_600, Deed::Act(Act::Seek(8_000))),
        (9_000, Deed::Act(Act::Loop(None))),
    ];
    let (heard, stamps, ..) = tell_ahead(&story, 9_000, &[256, 31], 2);
    let plain = tell_plain(&story, &stamps, heard.len() / 2 + LATE);
    for at in stamps[1] as usize..heard.len() / 2 - LATE {
        let (found, expect) = (heard[at * 2].to_bits(), plain[(at + LATE) * 2].to_bits());
        assert_eq!(found, expect, "frame {at}: {stamps:?}");
    }
}

#[test]
fn who_hears_what_is_late_comes_to_a_pause_as_others_do() {
    let (sketch, slices) = everything();
    let story = vec![
        (0, Deed::Load(sketch, slices)),
        (0, play(0)),
        (6_000, Deed::Act(Act::Pause)),
        (4_000, Deed::Act(Act::Play(Start::default()))),
    ];
    let (heard, stamps, stats, _) = tell_ahead(&story, 9_000, &[256, 31], 2);
    assert_eq!((stats.fallen_behind, stats.promotions), (0, 0), "{stats:?}");
    // What plays on is what would have been there without the pause.
    let straight = tell_plain(&story[..2].to_vec(), &stamps[..2], heard.len() / 2);
    let fade = RATE as usize / 200;
    let paused = (stamps[3] - stamps[2]) as usize - fade;
    for at in stamps[3] as usize + fade..heard.len() / 2 {
        let expect = straight[(at - paused + LATE) * 2];
        assert_eq!(heard[at * 2].to_bits(), expect.to_bits(), "frame {at}: {stamps:?}");
    }
}

#[test]
fn who_falls_behind_is_given_to_the_audio_thread_without_a_step() {
    // One unit: who hears others that are late hears silence until they come too.
    let (mut sketch, slices) = (Sketch::default(), Slices::default());
    sketch.node(1, "test.noise").node(2, "test.filter").node(3, "test.gain");
    sketch.edge(1, 2).edge(2, 3).output(3);
    // Nobody renders ahead at all.
    let (engine, mut clock) = engine(Some(0), 1);
    engine.load(&sketch.spec, slices.clone(), &NoMedia).unwrap();
    engine.act(Act::Play(Start { from: Some(0), ..Start::default() })).unwrap();
    let began = engine.last_stamp();
    let mut heard: Vec<f32> = clock.run(6_000).to_vec();
    engine.tend().unwrap();
    let (stamp, stats) = (engine.last_stamp() as usize, engine.ahead_stats().unwrap());
    assert!(stats.fallen_behind > 0 && stats.units == 0, "{stats:?}");
    assert!(stats.promotions > 0 && stats.underrun_frames > 0, "{stats:?}");
    for _ in 0..40 {
        heard.extend_from_slice(clock.run(500));
    }
    let story = vec![(0, Deed::Load(sketch, slices)), (0, play(0))];
    let plain = tell_plain(&story, &[0, began], heard.len() / 2);
    // Silence, a fade, and then the sound that would have been there all along.
    let faded = (stamp + RATE as usize / 50) * 2;
    assert!(heard[..stamp * 2].iter().all(|sample| *sample == 0.0));
    let differ = (faded..heard.len()).find(|&at| heard[at].to_bits() != plain[at].to_bits());
    assert_eq!(differ, None, "stamp {stamp}");
    let step = |sound: &[f32]| {
        let pairs = sound.windows(4).map(|it| (it[2] - it[0]).abs().max((it[3] - it[1]).abs()));
        pairs.fold(0.0, f32::max)
    };
    assert!(step(&heard[..faded]) <= step(&plain[faded..]), "the fade has a step");
}

#[test]
fn an_act_that_comes_too_late_leads_where_it_would_have_led_in_time() {
    let (sketch, slices) = prompt();
    let (engine, mut clock) = engine(Some(2), 1);
    let mut story = vec![(0, Deed::Load(sketch.clone(), slices.clone())), (0, play(0))];
    let mut stamps = vec![];
    for (_, deed) in &story {
        doing(&engine, deed, 0);
        stamps.push(engine.last_stamp());
    }
    let mut heard = vec![];
    run(&mut clock, 6_000, &[256], &engine, &mut heard);
    let acts = [
        Act::Seek(3_000),
        Act::Pause,
        Act::Play(Start::default()),
        Act::Loop(Range::new(4_000, 6_000)),
        Act::Stop,
        Act::Play(Start { from: Some(500), ..Start::default() }),
    ];
    for act in acts {
        engine.act_held_up(act, || run(&mut clock, 5_000, &[256], &engine, &mut heard));
        let (from, stamp) = (heard.len(), engine.last_stamp());
        assert!(stamp < from as u64 / 2, "it comes too late");
        story.push((0, Deed::Act(act)));
        stamps.push(stamp);
        run(&mut clock, 3_000, &[256], &engine, &mut heard);
        let expect = tell_plain(&story, &stamps, heard.len() / 2);
        // The edges of what was not there are hidden.
        let from = from + 2 * 400;
        let differ = (from..heard.len()).find(|&at| heard[at].to_bits() != expect[at].to_bits());
        assert_eq!(differ, None, "{act:?} at {stamp}, heard from {}", from / 2);
    }
}

#[test]
fn an_insert_with_latency_comes_without_a_step() {
    let sketch = |late: bool, live: &[u32]| {
        let mut sketch = Sketch::default();
        for track in [10, 20] {
            sketch.node(track, "test.noise").node(track + 1, "test.filter");
            sketch.node(track + 2, "test.filter").edge(track, track + 1);
            sketch.edge(track + 1, track + 2).edge(track + 2, 90);
        }
        sketch.node(90, "test.gain").node(91, "test.gain").edge(90, 91).output(91);
        if late {
            sketch.spec.edges.retain(|edge| edge.from != key(11));
            sketch.node_with(13, "test.late", &[("frames", 333.0)]).edge(11, 13).edge(13, 12);
        }
        with_live(&sketch, live)
    };
    let mut slices = Slices::default();
    [11, 12, 21, 22].iter().for_each(|&node| slices.params.set(key(node), "pace", 0.01));
    let check = |live: &[u32]| {
        let story = [false, true, false].map(|late| Deed::Load(sketch(late, live), slices.clone()));
        let story = story.map(|deed| (8_000, deed)).to_vec();
        let (heard, stamps, ..) = tell_ahead(&story, 6_000, &[256], 2);
        let left: Vec<f32> = heard.iter().step_by(2).copied().collect();
        let steepest = |from: u64, to: u64| {
            let pairs = left[from as usize..to as usize].windows(2);
            pairs.map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
        };
        let usual = steepest(stamps[0] + 2_000, stamps[1] - 1);
        for &stamp in &stamps[1..] {
            let found = steepest(stamp - 1, stamp + 3_000);
            assert!(usual > 0.0 && found < usual * 1.7, "live {live:?}: {found} over {usual}");
        }
    };
    // All of it ahead; then the sums on the audio thread.
    check(&[]);
    check(&[90]);
    check(&[91]);
}

#[test]
fn nodes_ahead_are_timed_as_those_of_the_audio_thread() {
    let (sketch, slices) = prompt();
    let (engine, mut clock) = engine(Some(1), 1);
    engine.load(&with_live(&sketch, &[22]).spec, slices.clone(), &NoMedia).unwrap();
    assert_eq!(engine.node_costs(), None);
    engine.set_profiling(true).unwrap();
    let mut heard = vec![];
    let check = |what: &str| {
        let costs = engine.node_costs().unwrap();
        let mut timed: Vec<_> = costs.iter().map(|cost| cost.node).collect();
        timed.sort_unstable();
        let mut nodes: Vec<_> = sketch.spec.nodes.iter().map(|node| node.key).collect();
        nodes.sort_unstable();
        assert_eq!(timed, nodes, "{what}");
        assert!(costs.iter().all(|cost| cost.share > 0.0), "{what}: {costs:?}");
    };
    run(&mut clock, 12_000, &[512], &engine, &mut heard);
    check("one track live");
    engine.load(&with_live(&sketch, &[300]).spec, slices, &NoMedia).unwrap();
    run(&mut clock, 12_000, &[512], &engine, &mut heard);
    check("another");
    engine.set_profiling(false).unwrap();
    assert_eq!(engine.node_costs(), None);
}

#[test]
fn a_knob_that_is_turned_in_a_pause_is_where_it_was_put_after_an_edit() {
    let (sketch, slices) = prompt();
    let mut more = sketch.clone();
    more.node(500, "test.noise").edge(500, 2);
    let load = |sketch: &Sketch, live: &[u32]| Deed::Load(with_live(sketch, live), slices.clone());
    for edit in [load(&more, &[]), load(&sketch, &[2])] {
        let story = vec![
            (0, load(&sketch, &[])),
            (0, play(0)),
            (4_000, Deed::Act(Act::Pause)),
            (4_000, knob(2, "gain", 0.1)),
            (500, edit),
            (3_000, Deed::Act(Act::Play(Start::default()))),
        ];
        check(&story, 6_000, &[256], 2, "a knob, an edit");
    }
}
