//! Random graphs: the promise of `tests`, for whatever a user may build.

use proptest::prelude::*;

use crate::{
    material::Slices,
    plan::Plan,
    testkit::{How, Sketch, Sound, bits, key, note, run},
};

const FRAMES: usize = 2_600;

/// A node to come: its kind, a number to choose parameters with, its sources.
#[derive(Clone, Debug)]
pub(crate) struct Seedling {
    kind: usize,
    value: u32,
    sources: Vec<u32>,
    side: Option<u32>,
    feedback: Option<(u32, u32)>,
}

const KINDS: &[&str] = &[
    "test.noise",
    "test.gain",
    "test.filter",
    "test.filter",
    "test.late",
    "test.duck",
    "test.split",
    "test.pluck",
    "test.notes",
    "test.wobble",
    "pulse.strip",
    "other.wonder",
];

pub(crate) fn seedling() -> impl Strategy<Value = Seedling> {
    let sources = prop::collection::vec(any::<u32>(), 0..4);
    let feedback = prop::option::weighted(0.15, (any::<u32>(), 1u32..300));
    (0..KINDS.len(), any::<u32>(), sources, prop::option::of(any::<u32>()), feedback).prop_map(
        |(kind, value, sources, side, feedback)| Seedling { kind, value, sources, side, feedback },
    )
}

/// Ids in no order of the signal flow, as in a project.
pub(crate) fn number(index: usize) -> u32 {
    (index as u32 + 1).wrapping_mul(2_654_435_761) % 1_000_003
}

fn has_audio_output(kind: usize) -> bool {
    !matches!(KINDS[kind], "test.notes" | "test.wobble")
}

fn has_audio_input(kind: usize) -> bool {
    has_audio_output(kind) && !matches!(KINDS[kind], "test.noise" | "test.pluck")
}

pub(crate) fn grow(seedlings: &[Seedling]) -> (Sketch, Slices) {
    let (mut sketch, mut slices) = (Sketch::default(), Slices::default());
    for (index, seedling) in seedlings.iter().enumerate() {
        let own = number(index);
        let frames = f64::from(seedling.value % 150);
        let layout: &[(&str, f64)] =
            if KINDS[seedling.kind] == "test.late" { &[("frames", frames)] } else { &[] };
        sketch.node_with(own, KINDS[seedling.kind], layout);
        let share = f64::from(seedling.value % 97) / 97.0;
        match KINDS[seedling.kind] {
            "test.gain" => slices.params.set(key(own), "gain", share),
            "test.filter" => slices.params.set(key(own), "pace", 0.02 + share * 0.8),
            "pulse.strip" => slices.params.set(key(own), "pan", share * 2.0 - 1.0),
            "test.notes" | "test.pluck" => {
                let events = slices.events.0.entry(key(own)).or_default();
                for at in 0..seedling.value % 5 {
                    let frame = i64::from(seedling.value >> 8) % 400 + i64::from(at) * 411;
                    events.push(note(frame, own + at, true));
                    events.push(note(frame + 99, own + at, false));
                }
            }
            _ => {}
        }
        connect(&mut sketch, seedlings, index);
    }
    let audible = (0..seedlings.len()).filter(|&i| has_audio_output(seedlings[i].kind));
    audible.for_each(|index| _ = sketch.output(number(index)));
    (sketch, slices)
}

fn connect(sketch: &mut Sketch, seedlings: &[Seedling], index: usize) {
    let seedling = &seedlings[index];
    let own = number(index);
    let earlier = |pick: u32| (index > 0).then(|| pick as usize % index);
    let mut used = vec![];
    for source in seedling.sources.iter().filter_map(|&pick| earlier(pick)) {
        let kind = seedlings[source].kind;
        if used.contains(&source) {
            continue;
        }
        used.push(source);
        if has_audio_input(seedling.kind) && has_audio_output(kind) {
            sketch.edge(number(source), own);
        } else if KINDS[kind] == "test.notes"
            && matches!(KINDS[seedling.kind], "test.pluck" | "test.notes")
        {
            sketch.events(number(source), own);
        } else if KINDS[kind] == "test.wobble" {
            match KINDS[seedling.kind] {
                "test.gain" => _ = sketch.control(number(source), own, "gain"),
                "test.filter" => _ = sketch.control(number(source), own, "pace"),
                _ => {}
            }
        }
    }
    if let Some(side) = seedling.side.and_then(earlier)
        && KINDS[seedling.kind] == "test.duck"
        && has_audio_output(seedlings[side].kind)
    {
        sketch.edge_ports(number(side), 0, own, 1);
    }
    if let Some((pick, frames)) = seedling.feedback
        && has_audio_output(seedling.kind)
    {
        let target = pick as usize % (index + 1);
        if has_audio_input(seedlings[target].kind) {
            sketch.feedback(own, number(target), frames);
        }
    }
}

pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        prop::collection::vec(1usize..600, 1..6),
        Just(vec![1]),
        Just(vec![16]),
        Just(vec![512]),
    ]
}

pub(crate) fn is_sane(sound: &Sound) -> bool {
    sound.iter().flatten().flatten().all(|sample| sample.abs() < 1e9)
}

/// Nodes of the largest graph, in the short form and soaking.
fn at_most(short: usize) -> usize {
    if std::env::var_os("PULSE_SOAK").is_some() { short * 3 } else { short }
}

/// Seeds of failures are kept beside the sources and run first from then on.
pub(crate) fn cases(short: u32) -> ProptestConfig {
    let factor = if std::env::var_os("PULSE_SOAK").is_some() { 50 } else { 1 };
    ProptestConfig::with_cases(short * factor)
}

/// The earliest frame at which two runs differ, by output, channel and frame. Of
/// several outputs the one that the plan makes first: those behind it differ with it.
fn first_difference(plan: &Plan, expect: &Sound, found: &Sound) -> Option<(usize, usize, usize)> {
    let rank = |output: usize| plan.nodes[plan.outputs[output].node as usize].rank;
    let differing = expect.iter().zip(found).enumerate().flat_map(|(output, (a, b))| {
        (0..2).filter_map(move |channel| {
            let same = |at: &usize| a[channel][*at].to_bits() == b[channel][*at].to_bits();
            let at = (0..a[channel].len().min(b[channel].len())).find(|at| !same(at))?;
            Some((output, channel, at))
        })
    });
    differing.min_by_key(|&(output, channel, at)| (at, rank(output), channel))
}

/// What there is to say when two runs of one graph differ: enough to find the reason
/// without a second failure, which may be thousands of runs away.
fn tell(sketch: &Sketch, slices: &Slices, expect: &Sound, how: &How) -> Option<String> {
    let found = run(sketch, slices, FRAMES, how);
    let plan = sketch.compile(how);
    let (output, channel, at) = first_difference(&plan, expect, &found)?;
    let node = plan.outputs[output].node;
    let (a, b) = (expect[output][channel][at], found[output][channel][at]);
    let again = |how: &How| {
        let runs = (0..10).map(|_| bits(&run(sketch, slices, FRAMES, how)) != bits(expect));
        runs.filter(|differs| *differs).count()
    };
    let alone = How { lanes: false, ..How::default() };
    let ways = [
        ("again", how.clone()),
        ("as the reference", alone.clone()),
        ("on one thread", How { threads: 1, ..how.clone() }),
        ("without lanes", How { lanes: false, ..how.clone() }),
        ("without restoring", How { restore_at: vec![], ..how.clone() }),
        ("in whole blocks", How { cuts: vec![512], ..how.clone() }),
    ];
    let ways = ways.map(|(name, how)| format!("{name}: {} of 10", again(&how)));
    Some(format!(
        "{} ({}) differs first, channel {channel}, frame {at}: {a:?} ({:08x}) is {b:?} ({:08x})\n\
         {how:?}\nit differs when run {}\nthe reference is {}\nthis is {plan}\n{sketch:?}",
        plan.nodes[node as usize].key,
        plan.class(node).kind_name,
        a.to_bits(),
        b.to_bits(),
        ways.join(", "),
        sketch.compile(&alone),
    ))
}

#[test]
fn a_difference_is_told_with_its_first_node_and_frame() {
    let (mut sketch, slices) = (Sketch::default(), Slices::default());
    sketch.node(1, "test.noise").node(2, "test.gain").node(3, "test.gain");
    sketch.edge(1, 2).edge(2, 3).output(3).output(2);
    let how = How { cuts: vec![100], ..How::default() };
    let mut sound = run(&sketch, &slices, FRAMES, &how);
    assert_eq!(tell(&sketch, &slices, &sound, &how), None);
    sound.iter_mut().for_each(|output| output[1][700] += 0.5);
    let told = tell(&sketch, &slices, &sound, &how).unwrap_or_default();
    let start = format!("{} (test.gain) differs first, channel 1, frame 700", key(2));
    assert!(told.starts_with(&start), "{told}");
    assert!(told.contains("again: 10 of 10, as the reference: 10 of 10"), "{told}");
}

proptest! {
    // Compiling alone is quick, and what the verifier lets pass can't race.
    #![proptest_config(cases(300))]

    #[test]
    fn tasks_of_random_graphs_are_ordered(
        seedlings in prop::collection::vec(seedling(), 1..40),
    ) {
        let (sketch, _) = grow(&seedlings);
        let plan = sketch.compile(&How { threads: 2, ..How::default() });
        prop_assert!(!plan.tasks.is_empty());
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn random_graphs_sound_the_same_however_they_are_run(
        seedlings in prop::collection::vec(seedling(), 1..24),
        cuts in cuts(),
        threads in 1usize..4,
        lanes: bool,
        restore_at in prop::collection::vec(0usize..8, 0..2),
    ) {
        let (sketch, slices) = grow(&seedlings);
        let expect = run(&sketch, &slices, FRAMES, &How { lanes: false, ..How::default() });
        // A loop that explodes is cut off by the guard, in the call that finds it.
        prop_assume!(is_sane(&expect));
        let how = How { cuts, threads, lanes, restore_at, max_block: 600, ..How::default() };
        let told = tell(&sketch, &slices, &expect, &how);
        prop_assert!(told.is_none(), "{}", told.unwrap_or_default());
    }

    #[test]
    fn random_graphs_render_in_segments_as_in_one_go(
        seedlings in prop::collection::vec(seedling(), 1..at_most(16)),
        segment in 300usize..1_200,
    ) {
        let (sketch, slices) = grow(&seedlings);
        let sound = run(&sketch, &slices, FRAMES, &How::default());
        prop_assume!(is_sane(&sound));
        crate::testkit::check_segments(&sketch, &slices, 2_000, segment);
    }
}
