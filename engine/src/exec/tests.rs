//! The sound of a graph depends on the graph and its content alone: not on block
//! sizes, threads, lanes, or on state having been saved on the way.

use crate::{
    material::Slices,
    testkit::{How, Sketch, bits, key, note, run},
};

const FRAMES: usize = 6_000;

/// Everything the executor does, in one graph.
fn everything() -> (Sketch, Slices) {
    let (mut sketch, mut slices) = (Sketch::default(), Slices::default());
    for track in 0..11 {
        let base = track * 10;
        sketch.node(base, "test.noise").node(base + 1, "test.filter").node(base + 2, "test.gain");
        sketch.edge(base, base + 1).edge(base + 1, base + 2).edge(base + 2, 900);
        slices.params.set(key(base + 2), "gain", 0.1 * f64::from(track));
        slices.params.set(key(base + 1), "pace", 0.05 + 0.03 * f64::from(track));
    }
    sketch.node_with(200, "test.late", &[("frames", 333.0)]).edge(22, 200).edge(200, 900);
    sketch.node(201, "test.duck").edge(32, 201).edge_ports(200, 0, 201, 1).edge(201, 900);
    sketch.node(202, "test.split").edge(42, 202).edge(202, 900).edge_ports(202, 1, 901, 0);
    sketch.node(300, "test.notes").node(301, "test.pluck").events(300, 301).edge(301, 900);
    sketch.node(302, "test.wobble").node(303, "test.gain").control(302, 303, "gain");
    sketch.edge(301, 303).edge(303, 901);
    // A loop of two nodes, fed from outside.
    sketch.node(400, "test.gain").node(401, "test.filter");
    sketch.edge(52, 400).edge(400, 401).feedback(401, 400, 37).edge(401, 901);
    slices.params.set(key(400), "gain", 0.6);
    sketch.node(900, "test.gain").node(901, "test.filter").edge(901, 900).output(900).output(901);
    let notes = [(10, 1), (500, 2), (511, 3), (2_000, 4), (5_000, 5)];
    let events = slices.events.0.entry(key(300)).or_default();
    for (frame, id) in notes {
        events.push(note(frame, id, true));
        events.push(note(frame + 77, id, false));
    }
    slices.events.sort();
    (sketch, slices)
}

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
