//! Plans as text, and what the verifier must not let pass.

use expect_test::{Expect, expect};

use super::*;
use crate::testkit::{How, Sketch, everything, registry};

fn how() -> How {
    How { max_block: 64, ..How::default() }
}

#[track_caller]
fn check_dump(build: impl Fn(&mut Sketch), how: &How, expect: Expect) {
    let mut sketch = Sketch::default();
    build(&mut sketch);
    expect.assert_eq(&sketch.compile(how).to_string());
}

#[test]
fn a_chain_stays_in_one_buffer() {
    check_dump(
        |sketch| {
            sketch.node(1, "test.noise").node(2, "test.gain").node(3, "test.filter");
            sketch.edge(1, 2).edge(2, 3).output(3);
        },
        &how(),
        expect![[r#"
            plan 48000 Hz, blocks of 64, 1+0 buffers, 0+0 lane blocks
              [b0] = test.noise nod_00000000000000000000000001/n()
              [b0] = test.gain nod_00000000000000000000000002/n(b0)
              [b0] = test.filter nod_00000000000000000000000003/n(b0)
              out Master = b0, 0 frames late
        "#]],
    );
}

#[test]
fn signals_are_summed_as_soon_as_they_are_there() {
    check_dump(
        |sketch| {
            sketch.node(9, "test.gain").output(9);
            for track in 1..=4 {
                sketch.node(track, "test.noise").edge(track, 9);
            }
        },
        &how(),
        expect![[r#"
            plan 48000 Hz, blocks of 64, 2+0 buffers, 0+0 lane blocks
              [b0] = test.noise nod_00000000000000000000000001/n()
              [b1] = test.noise nod_00000000000000000000000002/n()
              b0 += b1
              [b1] = test.noise nod_00000000000000000000000003/n()
              b0 += b1
              [b1] = test.noise nod_00000000000000000000000004/n()
              b0 += b1
              [b0] = test.gain nod_00000000000000000000000009/n(b0)
              out Master = b0, 0 frames late
        "#]],
    );
}

#[test]
fn the_early_path_waits_for_the_late_one() {
    check_dump(
        |sketch| {
            sketch.node(1, "test.noise").node_with(2, "test.late", &[("frames", 30.0)]);
            sketch.node(3, "test.duck").edge(1, 2).edge(2, 3).edge_ports(1, 0, 3, 1).output(3);
        },
        &how(),
        expect![[r#"
            plan 48000 Hz, blocks of 64, 2+0 buffers, 0+0 lane blocks
              [b0] = test.noise nod_00000000000000000000000001/n()
              b1 = b0 delayed 30
              [b0] = test.late nod_00000000000000000000000002/n(b0)
              [b0] = test.duck nod_00000000000000000000000003/n(b0 b1) at −30
              out Master = b0, 30 frames late
        "#]],
    );
}

#[test]
fn a_feedback_loop_runs_in_small_turns() {
    check_dump(
        |sketch| {
            sketch.node(1, "test.noise").node(2, "test.gain").node(3, "test.filter");
            sketch.edge(1, 2).edge(2, 3).feedback(3, 2, 24).output(3);
        },
        &how(),
        expect![[r#"
            plan 48000 Hz, blocks of 64, 2+0 buffers, 0+0 lane blocks
              [b0] = test.noise nod_00000000000000000000000001/n()
              loop of 6, at most 24 frames:
                b1 = nod_00000000000000000000000003/n from 24 frames ago
                b0 += b1
                [b0] = test.gain nod_00000000000000000000000002/n(b0)
                [b0] = test.filter nod_00000000000000000000000003/n(b0)
                out Master = b0, 0 frames late
                keep b0 for nod_00000000000000000000000002/n
        "#]],
    );
}

fn three_tracks(sketch: &mut Sketch) {
    sketch.node(99, "test.gain").output(99);
    for track in 1..=3 {
        let base = track * 10;
        sketch.node(base, "test.noise").node(base + 1, "test.filter");
        sketch.node(base + 2, "test.gain").edge(base, base + 1).edge(base + 1, base + 2);
        sketch.edge(base + 2, 99);
    }
}

#[test]
fn the_verifier_notices_a_wrong_sum_of_lanes() {
    for damage in [|end: &mut u8| *end -= 1, |end: &mut u8| *end += 1] {
        let mut sketch = Sketch::default();
        three_tracks(&mut sketch);
        let mut plan = sketch.compile(&how());
        sketch.spec.canonicalise();
        assert_eq!(verify::verify(&plan, &sketch.spec), Ok(()));
        let ops = plan.tasks.iter_mut().flat_map(|task| &mut task.ops);
        let ends = ops.filter_map(|op| match op {
            Op::AddLanes { end, .. } => Some(end),
            _ => None,
        });
        assert_eq!(ends.map(damage).count(), 1);
        assert!(verify::verify(&plan, &sketch.spec).is_err());
    }
}

#[test]
fn identical_chains_share_lanes() {
    check_dump(
        three_tracks,
        &how(),
        expect![[r#"
            plan 48000 Hz, blocks of 64, 1+0 buffers, 1+0 lane blocks
              [b0] = test.noise nod_0000000000000000000000000a/n()
              Lb0[0] = b0
              [b0] = test.noise nod_0000000000000000000000000m/n()
              Lb0[1] = b0
              [b0] = test.noise nod_0000000000000000000000000y/n()
              Lb0[2] = b0
              Lb0 = test.filter → test.gain ×3: nod_0000000000000000000000000b/n nod_0000000000000000000000000n/n nod_0000000000000000000000000z/n
              b0 = Lb0[0]
              b0 += Lb0[1..3]
              [b0] = test.gain nod_00000000000000000000000033/n(b0)
              out Master = b0, 0 frames late
        "#]],
    );
}

#[test]
fn a_plan_for_several_workers_is_cut_into_tasks() {
    check_dump(
        |sketch| {
            sketch.node(9, "test.gain").output(9);
            for track in 1..=2 {
                sketch.node(track, "test.noise").node(track + 10, "test.filter");
                sketch.edge(track, track + 10).edge(track + 10, 9);
            }
        },
        &How { threads: 2, ..how() },
        expect![[r#"
            plan 48000 Hz, blocks of 64, 0+2 buffers, 0+0 lane blocks
            task 0 after []
              [s0] = test.noise nod_00000000000000000000000001/n()
            task 1 after [0]
              [s0] = test.filter nod_0000000000000000000000000b/n(s0)
            task 2 after []
              [s1] = test.noise nod_00000000000000000000000002/n()
            task 3 after [2]
              [s1] = test.filter nod_0000000000000000000000000c/n(s1)
            task 4 after [1, 3]
              s0 += s1
            task 5 after [4]
              [s0] = test.gain nod_00000000000000000000000009/n(s0)
              out Master = s0, 0 frames late
        "#]],
    );
}

#[test]
fn an_unknown_kind_passes_audio() {
    check_dump(
        |sketch| {
            sketch.node(1, "test.noise").node(2, "other.wonder").edge(1, 2).output(2);
        },
        &how(),
        expect![[r#"
            plan 48000 Hz, blocks of 64, 1+0 buffers, 0+0 lane blocks
              [b0] = test.noise nod_00000000000000000000000001/n()
              [b0] = other.wonder (unknown) nod_00000000000000000000000002/n(b0)
              out Master = b0, 0 frames late
        "#]],
    );
}

#[track_caller]
fn check_refused(build: impl Fn(&mut Sketch), expect: Expect) {
    let mut sketch = Sketch::default();
    build(&mut sketch);
    let error = Compiler::new(registry(), 48_000, 64).unwrap().compile(&sketch.spec);
    expect.assert_eq(&error.err().map(|error| error.to_string()).unwrap_or_default());
}

#[test]
fn a_loop_without_delay_is_refused_by_name() {
    check_refused(
        |sketch| {
            sketch.node(1, "test.gain").node(2, "test.gain").node(3, "test.gain");
            sketch.edge(1, 2).edge(2, 3).edge(3, 2).output(3);
        },
        expect![
            "these nodes feed each other: nod_00000000000000000000000002/n → nod_00000000000000000000000003/n → nod_00000000000000000000000002/n; make one of the connections a feedback edge with a delay (64 frames, say), for example nod_00000000000000000000000003/n → nod_00000000000000000000000002/n"
        ],
    );
    check_refused(
        |sketch| _ = sketch.node(1, "test.gain").edge(1, 1),
        expect![
            "these nodes feed each other: nod_00000000000000000000000001/n → nod_00000000000000000000000001/n; make one of the connections a feedback edge with a delay (64 frames, say), for example nod_00000000000000000000000001/n → nod_00000000000000000000000001/n"
        ],
    );
    check_refused(
        |sketch| {
            sketch.node(1, "test.gain").node(2, "test.gain").edge(1, 2).feedback(2, 1, 0);
        },
        expect![
            "the feedback edge nod_00000000000000000000000002/n → nod_00000000000000000000000001/n has no delay; give it at least 1 frame"
        ],
    );
}

#[test]
fn a_wrong_end_of_an_edge_is_refused() {
    check_refused(
        |sketch| _ = sketch.node(1, "test.gain").edge(1, 2),
        expect![
            "a connection nod_00000000000000000000000001/n → nod_00000000000000000000000002/n names a node that is not in the graph: nod_00000000000000000000000002/n"
        ],
    );
    check_refused(
        |sketch| _ = sketch.node(1, "test.gain").node(2, "test.gain").edge_ports(1, 0, 2, 3),
        expect!["node nod_00000000000000000000000002/n (test.gain) has no input Audio port 3"],
    );
    check_refused(
        |sketch| _ = sketch.node(1, "test.gain").node(2, "test.gain").edge_ports(1, 1, 2, 0),
        expect!["node nod_00000000000000000000000001/n (test.gain) has no output Audio port 1"],
    );
    check_refused(
        |sketch| _ = sketch.node(1, "test.wobble").node(2, "test.gain").control(1, 2, "depth"),
        expect![
            "node nod_00000000000000000000000002/n has no parameter `depth` that can be modulated"
        ],
    );
    check_refused(
        |sketch| _ = sketch.node(1, "test.gain").node(2, "test.pluck").events(1, 2),
        expect!["node nod_00000000000000000000000001/n (test.gain) has no output Event port 0"],
    );
    check_refused(
        |sketch| _ = sketch.node(1, "test.gain").node(1, "test.filter"),
        expect![
            "node nod_00000000000000000000000001/n is in the graph twice; a key names one node"
        ],
    );
}

/// Every operation of a plan matters: leaving one out, or running it with another
/// buffer, is noticed.
#[test]
fn the_verifier_notices_every_broken_operation() {
    let (sketch, _) = everything();
    let mut spec = sketch.spec.clone();
    spec.canonicalise();
    for threads in [1, 2] {
        let how = How { threads, ..how() };
        let plan = sketch.compile(&how);
        assert_eq!(verify::verify(&plan, &spec), Ok(()));
        for task in 0..plan.tasks.len() {
            for at in 0..plan.tasks[task].ops.len() {
                let mut broken = sketch.compile(&how);
                let removed = broken.tasks[task].ops.remove(at);
                if let Op::Clear { .. } = removed {
                    continue;
                }
                let found = verify::verify(&broken, &spec);
                assert!(found.is_err(), "without {removed:?} nothing is noticed");
            }
        }
    }
}

#[test]
fn the_verifier_notices_wrong_buffers_delays_and_orders() {
    let (sketch, _) = everything();
    let mut spec = sketch.spec.clone();
    spec.canonicalise();
    let check = |threads: usize, what: &str, damage: &dyn Fn(&mut Plan) -> bool| {
        let mut plan = sketch.compile(&How { threads, ..how() });
        assert!(damage(&mut plan), "{what}: nothing to damage");
        assert!(verify::verify(&plan, &spec).is_err(), "{what} is not noticed");
    };
    let each = |plan: &mut Plan, f: &mut dyn FnMut(&mut Op) -> bool| {
        plan.tasks.iter_mut().flat_map(|task| &mut task.ops).any(f)
    };
    check(1, "a longer delay", &|plan| {
        plan.lines.iter_mut().find(|line| !line.feedback).map(|line| line.frames += 1).is_some()
    });
    check(1, "a shorter feedback delay", &|plan| {
        plan.lines.iter_mut().find(|line| line.feedback).map(|line| line.frames -= 1).is_some()
    });
    check(1, "a later arrival", &|plan| {
        plan.nodes.iter_mut().find(|node| node.arrival > 0).map(|node| node.arrival += 1).is_some()
    });
    check(1, "an earlier arrival", &|plan| {
        plan.nodes.iter_mut().find(|node| node.arrival > 0).map(|node| node.arrival = 0).is_some()
    });
    check(1, "a sum into another buffer", &|plan| {
        each(plan, &mut |op| match op {
            Op::Add { src, dst, .. } => {
                *dst = *src;
                true
            }
            _ => false,
        })
    });
    check(1, "a loop that is too long", &|plan| {
        each(plan, &mut |op| match op {
            Op::Region { chunk, .. } => {
                *chunk += 1;
                true
            }
            _ => false,
        })
    });
    check(1, "the wrong lane", &|plan| {
        each(plan, &mut |op| match op {
            Op::Unpack { lane, .. } => {
                *lane ^= 1;
                true
            }
            _ => false,
        })
    });
    check(1, "a buffer too few", &|plan| {
        plan.local_slots -= 1;
        true
    });
    check(1, "an output on its input", &|plan| {
        let split = plan.nodes.iter().position(|node| node.outputs == 2);
        let Some(split) = split else { return false };
        let input = plan.inputs(split as u32)[0].slot;
        let at = plan.nodes[split].ports as usize + 1;
        plan.ports[at].slot = input;
        true
    });
    check(2, "a forgotten wait", &|plan| {
        plan.tasks
            .iter_mut()
            .rev()
            .find(|task| !task.after.is_empty())
            .map(|task| task.after.clear())
            .is_some()
    });
    check(2, "a wait for a later task", &|plan| {
        plan.tasks[0].after.push(1);
        true
    });
}

#[test]
fn two_thousand_tracks_need_few_buffers() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.gain").node(2, "test.filter").edge(2, 1).output(1);
    for group in 0..32u32 {
        let bus = 10 + group;
        sketch.node(bus, "test.gain").edge(bus, 1);
        for track in 0..63 {
            // Ids in no order, as hashes are.
            let base = (group * 64 + track).wrapping_mul(2_654_435_761) | 1 << 10;
            for stage in 0..4u32 {
                let kind = ["test.noise", "test.filter", "test.duck", "test.gain"][stage as usize];
                sketch.node(base.wrapping_add(stage), kind);
            }
            sketch.edge(base, base.wrapping_add(1));
            sketch.edge(base.wrapping_add(1), base.wrapping_add(2));
            sketch.edge(base.wrapping_add(2), base.wrapping_add(3));
            sketch.edge(base.wrapping_add(3), bus).edge(base.wrapping_add(3), 2);
        }
    }
    sketch.spec.canonicalise();
    sketch.spec.nodes.dedup_by_key(|node| node.key);
    let plan = sketch.compile(&How::default());
    assert!(plan.local_slots <= 8, "{} buffers", plan.local_slots);
}

/// A bus and the send of a track are alike, but nobody waits for the other.
#[test]
fn buses_among_sends_need_few_buffers() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.gain").node(2, "test.filter").edge(2, 1).output(1);
    (0..8).for_each(|bus| _ = sketch.node(10 + bus, "test.gain").edge(10 + bus, 1));
    for track in 1..=500 {
        let base = track * 100;
        let kinds = ["test.noise", "test.filter", "test.duck", "test.gain", "test.gain"];
        (base..).zip(kinds).for_each(|(number, kind)| _ = sketch.node(number, kind));
        (base..base + 3).for_each(|stage| _ = sketch.edge(stage, stage + 1));
        sketch.edge(base + 3, 10 + track % 8).edge(base + 3, base + 4).edge(base + 4, 2);
    }
    let plan = sketch.compile(&How::default());
    assert!(plan.local_slots <= 8, "{} buffers", plan.local_slots);
}

#[test]
fn the_same_graph_in_any_order_is_the_same_plan() {
    let (sketch, _) = everything();
    let mut mixed = sketch.clone();
    mixed.spec.nodes.reverse();
    mixed.spec.edges.rotate_left(7);
    assert_eq!(sketch.compile(&how()).to_string(), mixed.compile(&how()).to_string());
    assert_eq!(sketch.spec.hash(), mixed.spec.hash());
}

/// Events and control values pass between tasks without any buffer.
#[test]
fn the_verifier_notices_tasks_that_share_a_node_unordered() {
    let mut sketch = Sketch::default();
    sketch.node(1, "test.notes").node(2, "test.pluck").node(3, "test.wobble");
    sketch.node(4, "test.gain").events(1, 2).control(3, 4, "gain").edge(2, 4).output(4);
    let mut plan = sketch.compile(&How { threads: 2, ..how() });
    sketch.spec.canonicalise();
    assert_eq!(verify::verify(&plan, &sketch.spec), Ok(()));
    let mut noticed = 0;
    for task in 0..plan.tasks.len() {
        let after = std::mem::take(&mut plan.tasks[task].after);
        if verify::verify(&plan, &sketch.spec).is_err() {
            noticed += 1;
        }
        plan.tasks[task].after = after;
    }
    assert_eq!(noticed, plan.tasks.iter().filter(|task| !task.after.is_empty()).count());
    assert!(noticed >= 2, "{plan}");
}
