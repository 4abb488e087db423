//! The sound of a graph depends on the graph and its content alone: not on block
//! sizes, threads, lanes, or on state having been saved on the way.

use crate::{
    material::Slices,
    testkit::{How, Sketch, bits, everything, run},
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
