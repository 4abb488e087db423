//! Random graphs and random stories: whatever is done, what is rendered ahead is
//! what a plan gives that runs on the audio thread as a whole.

use proptest::prelude::*;

use super::{Deed, Story, check_quiet, with_live};
use crate::{
    exec::random::{Seedling, cases, grow, is_sane, number, seedling},
    material::Slices,
    rt::{
        events::Act,
        transport::{Range, Start},
    },
    testkit::{How, Sketch, key, run},
};

/// What somebody will do, with numbers to choose by.
#[derive(Clone, Debug)]
pub enum Wish {
    Play(i64),
    Stop,
    Pause,
    GoOn,
    Seek(i64),
    Loop(i64, i64),
    NoLoop,
    Panic,
    Knob(usize, u32),
    /// A graph of so many nodes, other values, some of it live.
    Edit {
        nodes: usize,
        louder: u32,
        live: Vec<usize>,
    },
    /// What stopped being live may go ahead.
    Tend,
}

pub fn wish() -> impl Strategy<Value = Wish> {
    let place = 0i64..7_000;
    let edit = (1usize..12, 0u32..4, prop::collection::vec(0usize..12, 0..3));
    prop_oneof![
        2 => place.clone().prop_map(Wish::Play),
        1 => Just(Wish::Stop),
        1 => Just(Wish::Pause),
        2 => Just(Wish::GoOn),
        3 => place.clone().prop_map(Wish::Seek),
        3 => (place, 64i64..4_000).prop_map(|(from, length)| Wish::Loop(from, from + length)),
        1 => Just(Wish::NoLoop),
        1 => Just(Wish::Panic),
        3 => (0usize..12, any::<u32>()).prop_map(|(node, value)| Wish::Knob(node, value)),
        4 => edit.prop_map(|(nodes, louder, live)| Wish::Edit { nodes, louder, live }),
        2 => Just(Wish::Tend),
    ]
}

/// Without latency: the audio thread hears that of what it runs and not that of
/// what lies ready.
fn prompt(seedlings: &[Seedling], nodes: usize, louder: u32) -> (Sketch, Slices) {
    let (mut sketch, mut slices) = grow(&seedlings[..nodes.min(seedlings.len())]);
    for node in sketch.spec.nodes.iter_mut().filter(|node| node.kind == "test.late") {
        node.layout.insert("frames".to_owned(), 0.0);
    }
    for params in slices.params.0.values_mut() {
        if let Some(gain) = params.get_mut("gain") {
            *gain = (*gain + f64::from(louder) * 0.1).min(1.0);
        }
    }
    (sketch, slices)
}

/// The deeds that come of wishes, in graphs that give finite sound.
pub fn story_of(seedlings: &[Seedling], wishes: &[(usize, Wish)]) -> Option<Story> {
    let load = |nodes: usize, louder: u32, live: &[usize]| {
        let (sketch, slices) = prompt(seedlings, nodes, louder);
        let live: Vec<u32> = live.iter().map(|at| number(at % seedlings.len())).collect();
        let sane = is_sane(&run(&sketch, &slices, 20_000, &How::default()));
        sane.then(|| (with_live(&sketch, &live), slices))
    };
    let (sketch, slices) = load(seedlings.len(), 0, &[])?;
    let mut knobs = gains(&sketch);
    let mut story = vec![(0, Deed::Load(sketch, slices))];
    for (frames, wish) in wishes {
        let deed = match wish {
            Wish::Play(from) => {
                Deed::Act(Act::Play(Start { from: Some(*from), ..Start::default() }))
            }
            Wish::Stop => Deed::Act(Act::Stop),
            Wish::Pause => Deed::Act(Act::Pause),
            Wish::GoOn => Deed::Act(Act::Play(Start::default())),
            Wish::Seek(to) => Deed::Act(Act::Seek(*to)),
            Wish::Loop(from, to) => Deed::Act(Act::Loop(Range::new(*from, *to))),
            Wish::NoLoop => Deed::Act(Act::Loop(None)),
            Wish::Panic => Deed::Act(Act::Panic),
            Wish::Knob(at, value) => match knobs.get(at % knobs.len().max(1)) {
                Some(&node) => Deed::Param(node, "gain", f64::from(value % 100) / 100.0),
                None => continue,
            },
            Wish::Edit { nodes, louder, live } => {
                let (sketch, slices) = load(*nodes, *louder, live)?;
                knobs = gains(&sketch);
                Deed::Load(sketch, slices)
            }
            Wish::Tend => Deed::Tend,
        };
        story.push((*frames, deed));
    }
    Some(story)
}

/// Nodes with a knob.
fn gains(sketch: &Sketch) -> Vec<u32> {
    let gains = |number: &u32| {
        let found = sketch.spec.nodes.iter().find(|node| node.key == key(*number));
        found.is_some_and(|node| node.kind == "test.gain")
    };
    (0..12).map(number).filter(gains).collect()
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn whatever_is_done_to_it_what_lies_ahead_is_what_runs_at_once(
        seedlings in prop::collection::vec(seedling(), 2..12),
        wishes in prop::collection::vec((1usize..2_400, wish()), 1..9),
        cuts in prop_oneof![Just(vec![256]), prop::collection::vec(16usize..900, 1..5)],
        workers in 1usize..4,
    ) {
        let story = story_of(&seedlings, &wishes);
        prop_assume!(story.is_some());
        let story = story.unwrap_or_default();
        let (_, faults) = check_quiet(&story, 2_500, &cuts, workers, "a random story");
        // A loop that knobs have opened too far.
        prop_assume!(faults.is_empty());
    }
}
