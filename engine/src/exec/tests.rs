//! The sound of a graph depends on the graph and its content alone: not on block
//! sizes, threads, lanes, or on state having been saved on the way.

use super::*;
use crate::{
    material::Slices,
    testkit::{How, Sketch, bits, everything, key, note, run},
};

const FRAMES: usize = 6_000;

#[track_caller]
fn check_same(sketch: &Sketch, slices: &Slices, how: How) {
    let expect = run(sketch, slices, FRAMES, &How { lanes: false, ..How::default() });
    assert!(bits(&expect).iter().any(|&bits| bits << 1 != 0), "the reference is silent");
    let found = run(sketch, slices, FRAMES, &how);
    for (output, (a, b)) in expect.iter().zip(&found).enumerate() {
        for channel in 0..2 {
            let differ = (0..FRAMES).find(|&i| a[channel][i].to_bits() != b[channel][i].to_bits());
            assert_eq!(differ, None, "output {output} channel {channel} of {how:?}");
        }
    }
}

#[test]
fn no_cut_of_the_blocks_can_be_heard() {
    let (sketch, slices) = everything();
    for cuts in [vec![1], vec![16], vec![64], vec![511, 1], vec![7, 300, 64, 33, 512]] {
        check_same(&sketch, &slices, How { cuts, lanes: false, ..How::default() });
    }
    let cuts = vec![4096];
    check_same(&sketch, &slices, How { cuts, max_block: 4096, ..How::default() });
}

#[test]
fn lanes_sound_like_single_nodes() {
    let (sketch, slices) = everything();
    let plan = sketch.compile(&How::default());
    assert_eq!(plan.batches.iter().map(|batch| batch.members.len()).sum::<usize>(), 11);
    for cuts in [vec![512], vec![1], vec![100, 3, 16]] {
        check_same(&sketch, &slices, How { cuts, ..How::default() });
    }
}

/// A pluck at rest says zeros of both signs. Here they reach gains that are asleep
/// already, through loops that are none: a batch at rest is as silent as a node.
#[test]
fn lanes_that_sleep_have_no_negative_zeros_either() {
    let (mut sketch, slices) = (Sketch::default(), Slices::default());
    sketch.node(1, "test.pluck").node(5, "test.noise").output(5);
    for gain in 2..5 {
        sketch.node(gain, "test.gain").feedback(1, gain, 200).output(gain);
    }
    let plan = sketch.compile(&How::default());
    assert_eq!(plan.batches.len(), 1);
    for cuts in [vec![512], vec![1], vec![100, 3, 16]] {
        check_same(&sketch, &slices, How { cuts, ..How::default() });
    }
}

#[test]
fn any_number_of_threads_sounds_the_same() {
    let (sketch, slices) = everything();
    for threads in [2, 3, 4] {
        check_same(&sketch, &slices, How { threads, cuts: vec![512, 64], ..How::default() });
    }
}

#[test]
fn state_can_be_saved_and_restored_anywhere() {
    let (sketch, slices) = everything();
    for restore_at in [vec![1], vec![3, 4, 5], vec![10]] {
        check_same(&sketch, &slices, How { restore_at: restore_at.clone(), ..How::default() });
        let cuts = vec![100, 3];
        check_same(&sketch, &slices, How { restore_at, cuts, lanes: false, ..How::default() });
    }
}

#[test]
fn saved_state_does_not_depend_on_how_it_came_about() {
    let (sketch, slices) = everything();
    let state = |cuts: &[usize], lanes: bool| {
        let plan = Arc::new(sketch.compile(&How { lanes, ..How::default() }));
        let material = Arc::new(Material::bind(&plan, &slices, &crate::material::NoMedia));
        let mut executor = Executor::new(plan, material);
        let timeline = crate::transport::SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
        let (mut at, mut turn) = (0, 0);
        while at < 5_000 {
            let frames = cuts[turn % cuts.len()].min(5_000 - at);
            executor.process(&Block::offline(at as i64, frames, &timeline));
            (at, turn) = (at + frames, turn + 1);
        }
        executor.save_state()
    };
    let expect = state(&[512], false);
    for (cuts, lanes) in [(&[512][..], true), (&[1], false), (&[100, 7, 300], true)] {
        let found = state(cuts, lanes);
        for (a, b) in expect.nodes.iter().zip(&found.nodes) {
            assert!(a == b, "{} differs for {cuts:?}, lanes {lanes}", a.0.node);
        }
        assert!(expect.lines == found.lines);
    }
}

#[test]
fn every_rate_keeps_the_promise() {
    let (sketch, slices) = everything();
    for rate in [44_100, 96_000, 192_000] {
        let expect = run(&sketch, &slices, 3_000, &How { rate, ..How::default() });
        let cuts = vec![33, 1, 256];
        let found = run(&sketch, &slices, 3_000, &How { rate, cuts, threads: 2, ..How::default() });
        assert!(bits(&expect) == bits(&found), "at {rate} Hz");
    }
}

/// One signal through two ways of different latency, one of them inverted, is
/// silence.
#[test]
fn parallel_paths_cancel_whatever_their_latency() {
    let latencies = [0.0, 1.0, 15.0, 16.0, 63.0, 64.0, 100.0, 511.0, 512.0, 4_999.0];
    for a in latencies {
        for b in latencies {
            let mut sketch = Sketch::default();
            sketch.node(1, "test.noise").node(4, "test.invert").node(5, "test.gain");
            sketch.node_with(2, "test.late", &[("frames", a)]);
            sketch.node_with(3, "test.late", &[("frames", b)]);
            sketch.edge(1, 2).edge(1, 3).edge(3, 4).edge(2, 5).edge(4, 5).output(5).output(2);
            let sound = run(&sketch, &Slices::default(), 12_000, &How::default());
            let peak =
                |channel: &Vec<f32>| channel.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
            assert!(peak(&sound[1][0]) > 0.1, "nothing to cancel");
            assert!(peak(&sound[0][0]) <= 1e-6, "{a} against {b} leaves {}", peak(&sound[0][0]));
        }
    }
}

#[test]
fn an_event_meets_the_audio_of_its_frame() {
    // A pluck behind nothing and one whose notes wait for a late side path.
    let mut sketch = Sketch::default();
    sketch.node(1, "test.notes").node(2, "test.pluck").events(1, 2);
    sketch.node_with(3, "test.late", &[("frames", 700.0)]).edge(2, 3);
    sketch.node(4, "test.pluck").node(5, "test.invert").edge(4, 5).events(1, 4);
    sketch.node(6, "test.gain").edge(3, 6).edge(5, 6).output(6).output(3);
    let mut slices = Slices::default();
    let events = slices.events.0.entry(key(1)).or_default();
    (0..5).for_each(|at| events.push(note(at * 701, at as u32, true)));
    let sound = run(&sketch, &slices, 6_000, &How::default());
    assert!(sound[1][0].iter().any(|&sample| sample != 0.0));
    assert!(sound[0][0].iter().all(|&sample| sample == 0.0));
}

#[test]
fn a_note_sounds_at_its_very_frame() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.pluck").output(1);
    for frame in 0..70 {
        let mut slices = Slices::default();
        slices.events.0.insert(key(1), vec![note(frame, 1, true)].into());
        let cuts = vec![64];
        let sound = run(&sketch, &slices, 200, &How { cuts, ..How::default() });
        let onset = sound[0][0].iter().position(|&sample| sample != 0.0);
        assert_eq!(onset, Some(frame as usize));
    }
}

#[test]
fn a_bad_node_is_bypassed_and_the_rest_plays_on() {
    for (how, text) in [(1.0, None), (2.0, None), (3.0, Some("this node fails on purpose"))] {
        for lanes in [false, true] {
            let mut sketch = Sketch::default();
            for track in [10, 20, 30, 40] {
                sketch.node(track, "test.noise").node(track + 1, "test.fail");
                sketch.edge(track, track + 1).edge(track + 1, 99);
            }
            sketch.node(99, "test.gain").output(99).output(11);
            let plan = Arc::new(sketch.compile(&How { lanes, ..How::default() }));
            let mut slices = Slices::default();
            slices.params.set(key(11), "how", how);
            let material = Arc::new(Material::bind(&plan, &slices, &crate::material::NoMedia));
            let mut executor = Executor::new(plan.clone(), material);
            let timeline = crate::transport::SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
            let hush = std::panic::take_hook();
            std::panic::set_hook(Box::new(|_| ()));
            executor.process(&Block::offline(0, 512, &timeline));
            std::panic::set_hook(hush);
            assert!(executor.output(0, 0).iter().all(|sample| sample.is_finite()));
            assert!(executor.has_new_faults());
            let mut told = vec![];
            executor.new_faults(|node| told.push(plan.nodes[node as usize].key));
            assert_eq!(told, [key(11)]);
            let reason = text.map_or(FaultReason::NotFinite, |t| FaultReason::Panic(t.to_owned()));
            assert_eq!(executor.faults()[0].reason, reason);
            // From the next block on its input passes.
            executor.process(&Block::offline(512, 512, &timeline));
            assert!(executor.output(1, 0).iter().any(|&sample| sample != 0.0));
            assert!(!executor.has_new_faults());
        }
    }
}

#[test]
fn an_unknown_kind_passes_audio_and_keeps_its_state() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.noise").node(2, "other.wonder").edge(1, 2).output(2).output(1);
    let sound = run(&sketch, &Slices::default(), 1_000, &How::default());
    assert_eq!(sound[0], sound[1]);
    let plan = Arc::new(sketch.compile(&How::default()));
    let material = Arc::new(Material::bind(&plan, &Slices::default(), &crate::material::NoMedia));
    let mut executor = Executor::new(plan.clone(), material);
    let mut saved = executor.save_state();
    let at = saved.nodes.iter().position(|(key, _)| key.node == self::key(2)).unwrap();
    saved.nodes[at].1.extend_from_slice(b"what only the maker understands");
    executor.restore_state(&saved).unwrap();
    assert_eq!(executor.save_state(), saved);
}

/// The largest step between two samples.
fn roughness(samples: &[f32]) -> f32 {
    samples.windows(2).fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
}

#[test]
fn bypass_fades_instead_of_clicking() {
    for lanes in [false, true] {
        let mut sketch = Sketch::default();
        for track in [10, 20, 30] {
            sketch.node(track, "test.steady").node(track + 1, "test.gain");
            sketch.edge(track, track + 1).edge(track + 1, 99);
        }
        sketch.node(99, "test.gain").output(11);
        let plan = Arc::new(sketch.compile(&How { lanes, ..How::default() }));
        let mut slices = Slices::default();
        slices.params.set(key(11), "gain", 0.0);
        let material = Arc::new(Material::bind(&plan, &slices, &crate::material::NoMedia));
        let mut executor = Executor::new(plan.clone(), material);
        let timeline = crate::transport::SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
        let mut heard = vec![];
        for block in 0..8 {
            executor.process(&Block::offline(block * 100, 100, &timeline));
            heard.extend_from_slice(&executor.output(0, 0)[..100]);
            if block == 1 || block == 5 {
                executor.set_bypass(plan.find(key(11)).unwrap(), block == 1);
            }
        }
        assert_eq!((heard[150], heard[550], heard[1]), (0.0, 1.0, 0.0));
        assert!(roughness(&heard) <= 0.006, "a step of {}", roughness(&heard));
    }
}

#[test]
fn an_edit_keeps_the_state_of_what_it_does_not_touch() {
    let (before, slices) = everything();
    let mut after = before.clone();
    // A new track, and one chain fewer.
    after.node(700, "test.steady").node(701, "test.filter").edge(700, 701).edge(701, 900);
    after.spec.edges.retain(|edge| edge.from != key(62));
    for (old_lanes, new_lanes) in [(false, false), (true, true), (false, true), (true, false)] {
        let old_how = How { lanes: old_lanes, ..How::default() };
        let new_how = How { lanes: new_lanes, ..How::default() };
        let plan = Arc::new(before.compile(&old_how));
        let bind = |plan: &Plan| Arc::new(Material::bind(plan, &slices, &crate::material::NoMedia));
        let timeline = crate::transport::SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
        let mut unedited = Executor::new(plan.clone(), bind(&plan));
        let mut running = Executor::new(plan.clone(), bind(&plan));
        for block in 0..4 {
            unedited.process(&Block::offline(block * 512, 512, &timeline));
            running.process(&Block::offline(block * 512, 512, &timeline));
        }
        let next = Arc::new(after.compile(&new_how));
        let mut successor = Executor::successor(next.clone(), bind(&next), &plan);
        successor.adopt(&mut running);
        unedited.process(&Block::offline(2_048, 512, &timeline));
        successor.process(&Block::offline(2_048, 512, &timeline));
        // Everything behind tracks 0 to 5 is untouched: compare their nodes.
        for number in [2, 12, 22, 32, 42, 52, 200, 201, 301, 401] {
            let (a, b) = (plan.find(key(number)).unwrap(), next.find(key(number)).unwrap());
            let (mut left, mut right) = (vec![], vec![]);
            unedited.save_node(a, &mut left);
            successor.save_node(b, &mut right);
            assert!(left == right, "node {number} differs after the edit");
        }
    }
}

#[test]
fn an_edit_leaves_no_step_in_the_sum() {
    for lanes in [false, true] {
        let mut before = Sketch::default();
        before.node(1, "test.steady").node(2, "test.steady").node(9, "test.gain");
        before.edge(1, 9).edge(2, 9).output(9);
        // Company for the lanes.
        for other in [10, 20] {
            before.node(other, "test.steady").node(other + 1, "test.gain").edge(other, other + 1);
        }
        let mut after = before.clone();
        after.spec.edges.remove(1);
        let how = How { lanes, ..How::default() };
        let plan = Arc::new(before.compile(&how));
        let next = Arc::new(after.compile(&how));
        assert_eq!(next.batches.len(), usize::from(lanes));
        let bind = |plan: &Plan| {
            Arc::new(Material::bind(plan, &Slices::default(), &crate::material::NoMedia))
        };
        let timeline = crate::transport::SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
        let mut running = Executor::new(plan.clone(), bind(&plan));
        running.process(&Block::offline(0, 512, &timeline));
        let mut heard = running.output(0, 0).to_vec();
        let mut successor = Executor::successor(next.clone(), bind(&next), &plan);
        successor.adopt(&mut running);
        successor.process(&Block::offline(512, 512, &timeline));
        heard.extend_from_slice(successor.output(0, 0));
        assert_eq!((heard[511], heard[1_023]), (2.0, 1.0));
        assert!(roughness(&heard) <= 0.006, "a step of {}", roughness(&heard));
    }
}

/// What is heard when one graph takes over from another after 512 frames, of 2,048.
fn edited(before: &Sketch, after: &Sketch, how: &How) -> Vec<f32> {
    let plan = Arc::new(before.compile(how));
    let next = Arc::new(after.compile(how));
    let bind =
        |plan: &Plan| Arc::new(Material::bind(plan, &Slices::default(), &crate::material::NoMedia));
    let timeline = crate::transport::SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
    let mut running = Executor::new(plan.clone(), bind(&plan));
    let mut heard = vec![];
    for block in 0..4 {
        running.process(&Block::offline(block * 128, 128, &timeline));
        heard.extend_from_slice(&running.output(0, 0)[..128]);
    }
    let mut successor = Executor::successor(next.clone(), bind(&next), &plan);
    successor.adopt(&mut running);
    for block in 4..16 {
        successor.process(&Block::offline(block * 128, 128, &timeline));
        heard.extend_from_slice(&successor.output(0, 0)[..128]);
    }
    heard
}

/// Two sources into one sum, each through nodes of these latencies.
fn two_paths(latencies: [&[u32]; 2]) -> Sketch {
    let mut sketch = Sketch::default();
    sketch.node(99, "test.gain").output(99);
    for (source, latencies) in [10, 20].into_iter().zip(latencies) {
        sketch.node(source, "test.steady");
        let mut last = source;
        for (at, &frames) in latencies.iter().enumerate().filter(|(_, frames)| **frames > 0) {
            let own = source + 1 + at as u32;
            sketch.node_with(own, "test.late", &[("frames", f64::from(frames))]).edge(last, own);
            last = own;
        }
        sketch.edge(last, 99);
    }
    sketch
}

/// Neither path is ever missing from the sum while latencies come and go.
#[track_caller]
fn check_whole(before: [&[u32]; 2], after: [&[u32]; 2]) {
    let heard = edited(&two_paths(before), &two_paths(after), &How::default());
    let late = before.iter().flat_map(|path| path.iter()).sum::<u32>() as usize;
    let off = heard[late..].iter().map(|sample| (sample - 2.0).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "{before:?} to {after:?}: off by {off}");
}

#[test]
fn an_insert_with_latency_is_heard_through_until_it_has_something_to_say() {
    check_whole([&[], &[]], [&[30], &[]]);
    check_whole([&[], &[]], [&[700], &[]]);
    check_whole([&[], &[]], [&[30, 50], &[]]);
    check_whole([&[], &[]], [&[30], &[200]]);
}

#[test]
fn a_signal_that_waits_longer_or_shorter_than_before_is_never_missing() {
    check_whole([&[30], &[]], [&[30, 100], &[]]);
    check_whole([&[30, 100], &[]], [&[30], &[]]);
    check_whole([&[30, 100], &[]], [&[0, 100], &[40]]);
    check_whole([&[300], &[]], [&[], &[]]);
    check_whole([&[300], &[]], [&[], &[20]]);
}

#[test]
fn an_insert_whose_latency_changes_is_never_missing() {
    check_whole([&[30], &[]], [&[90], &[]]);
    check_whole([&[90], &[]], [&[30], &[]]);
    check_whole([&[90], &[30]], [&[30], &[90]]);
}

#[test]
fn a_late_node_in_a_path_of_its_own_begins_with_silence() {
    let mut before = Sketch::default();
    before.node(1, "test.steady").node(9, "test.gain").edge(1, 9).output(9);
    let mut after = before.clone();
    after.node_with(2, "test.late", &[("frames", 200.0)]).edge(1, 2).edge(2, 9);
    let heard = edited(&before, &after, &How::default());
    assert!(heard[..712].iter().all(|&sample| sample == 1.0), "nothing came yet");
    assert_eq!(heard[1_400], 2.0);
    assert!(roughness(&heard) <= 0.006, "a step of {}", roughness(&heard));
}

#[test]
fn a_loop_is_as_late_as_it_says_whichever_end_runs_first() {
    for swapped in [false, true] {
        // The source of the loop has the lower or the higher key.
        let (a, b) = if swapped { (8, 2) } else { (2, 8) };
        let mut sketch = Sketch::default();
        sketch.node(5, "test.pluck").node(a, "test.gain").node(b, "test.gain");
        sketch.edge(5, a).feedback(a, b, 50).feedback(b, a, 70).output(b);
        let mut slices = Slices::default();
        slices.events.0.insert(key(5), vec![note(10, 1, true)].into());
        for cuts in [vec![512], vec![1], vec![33]] {
            let sound = run(&sketch, &slices, 400, &How { cuts, ..How::default() });
            let onset = sound[0][0].iter().position(|&sample| sample != 0.0);
            assert_eq!(onset, Some(60));
        }
    }
}

#[test]
fn a_live_path_waits_for_nothing() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.noise").node(2, "test.steady").node(5, "test.gain").node(9, "test.gain");
    sketch.node_with(3, "test.late", &[("frames", 400.0)]).edge(2, 3).edge(3, 9);
    sketch.edge(1, 5).edge(5, 9).output(9).output(1);
    let live = sketch.spec.edges.iter_mut().find(|edge| edge.from == key(5)).unwrap();
    live.compensated = false;
    let sound = run(&sketch, &Slices::default(), 300, &How::default());
    assert_eq!(sound[0], sound[1], "the live signal is heard at once");
}

#[test]
fn executors_can_be_handed_to_the_audio_thread() {
    fn check<T: Send>() {}
    check::<Executor>();
    check::<crate::parallel::Crew>();
    check::<Arc<Plan>>();
    check::<Arc<Material>>();
}

#[test]
fn a_parameter_moves_smoothly_and_the_same_in_any_cut() {
    let play = |cuts: &[usize], lanes: bool| -> Vec<f32> {
        let mut sketch = Sketch::default();
        for track in [10, 20, 30] {
            sketch.node(track, "test.steady").node(track + 1, "test.gain");
            sketch.edge(track, track + 1).edge(track + 1, 99);
        }
        sketch.node(99, "test.gain").output(11);
        let plan = Arc::new(sketch.compile(&How { lanes, ..How::default() }));
        let material =
            Arc::new(Material::bind(&plan, &Slices::default(), &crate::material::NoMedia));
        let mut executor = Executor::new(plan.clone(), material);
        let node = plan.find(key(11)).unwrap();
        let timeline = crate::transport::SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
        let (mut heard, mut at, mut turn) = (vec![], 0, 0);
        executor.set_param(node, 0, 0.25, 333);
        while at < 2_000 {
            let frames = cuts[turn % cuts.len()].min(2_000 - at);
            executor.process(&Block::offline(at as i64, frames, &timeline));
            heard.extend_from_slice(&executor.output(0, 0)[..frames]);
            (at, turn) = (at + frames, turn + 1);
        }
        heard
    };
    let expect = play(&[500], false);
    assert_eq!(expect[335], 1.0);
    assert!((expect[1_999] - 0.25).abs() < 1e-4);
    assert!(roughness(&expect) < 0.01);
    for cuts in [&[1][..], &[512], &[7, 100, 16]] {
        for lanes in [false, true] {
            assert!(play(cuts, lanes) == expect, "blocks of {cuts:?}, lanes {lanes}");
        }
    }
}

#[test]
fn automation_is_heard_where_it_is_drawn() {
    use pulse_schemas::graph::{AutomationSegment, SegmentShape};
    let mut sketch = Sketch::default();
    sketch.node(1, "test.steady").node_with(2, "test.late", &[("frames", 333.0)]);
    sketch.node(3, "test.gain").edge(1, 2).edge(2, 3).output(3);
    let mut slices = Slices::default();
    let segment = AutomationSegment {
        start_frame: 320,
        end_frame: 1_280,
        from: 0.0,
        to: 1.0,
        shape: SegmentShape::Linear,
    };
    let node = slices.automation.0.entry(key(3)).or_default();
    node.insert("gain".to_owned(), vec![segment]);
    let expect = run(&sketch, &slices, 3_000, &How::default());
    let heard = &expect[0][0][333..];
    for frame in [0, 319, 320, 500, 801, 1_279, 1_280, 2_000] {
        let drawn = ((frame as f32 - 320.0) / 960.0).clamp(0.0, 1.0);
        assert!((heard[frame] - drawn).abs() < 1e-6, "{} at {frame}, not {drawn}", heard[frame]);
    }
    for cuts in [vec![1], vec![100, 3]] {
        let found = run(&sketch, &slices, 3_000, &How { cuts, ..How::default() });
        assert!(bits(&found) == bits(&expect));
    }
}

#[test]
fn half_the_depth_is_half_the_movement() {
    let moved = |depth: f64| {
        let mut sketch = Sketch::default();
        sketch.node(1, "test.steady").node(2, "test.gain").edge(1, 2).output(2);
        sketch.node(3, "test.wobble").control_by(3, 2, "gain", depth);
        let mut slices = Slices::default();
        slices.params.set(key(2), "gain", 0.5);
        let heard = run(&sketch, &slices, FRAMES, &How::default());
        let sound: Vec<f64> = heard[0][0].iter().map(|sample| f64::from(*sample) - 0.5).collect();
        sound
    };
    let (whole, half, back, none) = (moved(0.2), moved(0.1), moved(-0.1), moved(0.0));
    let widest = whole.iter().fold(0.0f64, |most, sample| most.max(sample.abs()));
    assert!(widest > 0.01, "nothing moves: {widest}");
    for (((whole, half), back), none) in whole.iter().zip(&half).zip(&back).zip(&none) {
        assert!((half * 2.0 - whole).abs() < 1e-6, "{half} of {whole}");
        assert!((half + back).abs() < 1e-6, "{back} is not the opposite of {half}");
        assert_eq!(*none, 0.0);
    }
}
