//! Whatever lies on the shelf, and whatever is done, what is heard is what would be
//! heard if nothing lay there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use proptest::prelude::*;
use pulse_schemas::{graph::NodeKey, hash::Hash};

use super::{
    Deed, Story, knob, play, prompt,
    random::{Wish, story_of, wish},
    tell_with, with_live,
};
use crate::{
    anticipate::{
        AheadStats,
        shelf::{News, Shelf, Shelved, ShelvedSound, Want},
    },
    exec::random::{Seedling, cases, seedling},
    material::{NoMedia, Slices},
    plan::{Compiler, Plan, PlanUnit},
    render::SegmentRunner,
    rt::{
        events::Act,
        feedback::Fault,
        transport::{Range, Start},
    },
    testkit::{How, Sketch, Streams, everything, key, note, registry, render, run_unit},
};

/// What of all frames is taken at least of a song of five segments.
const SHARE: f64 = 0.45;
const SEGMENT: usize = 4_096;
/// What of a song lies there.
const SPAN: usize = 6 * SEGMENT;

/// Has rendered all of what plays as soon as it is told of it.
#[derive(Default)]
struct Rendered {
    /// Whether anything is ever found.
    open: bool,
    /// Decides which segments are missing; 0 for none.
    holes: u64,
    /// From which segment on it knows nothing of a unit and has guessed what another
    /// hears of it; 0 for never.
    guesses_from: i64,
    state: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    revision: u64,
    wanted: BTreeSet<(NodeKey, i64)>,
    known: BTreeMap<(NodeKey, i64), Shelved>,
    /// A unit and one that hears it.
    pair: Option<(NodeKey, NodeKey)>,
}

impl Rendered {
    fn new(open: bool, holes: u64) -> Arc<Rendered> {
        Arc::new(Rendered { open, holes, ..Rendered::default() })
    }

    fn draw(&self, unit: NodeKey, number: i64) -> u64 {
        let place = crate::math::random_u64(self.holes, unit.entity.id.0 as u64);
        crate::math::random_u64(place, number as u64) % 8 * self.holes.min(1)
    }
}

/// Units of the bell are twice as long.
fn frames(plan: &Plan, unit: usize) -> usize {
    let bell = |&node: &u32| plan.class(node).kind_name == "test.pluck";
    SEGMENT * (1 + usize::from(plan.units[unit].nodes.iter().any(bell)))
}

impl Shelf for Rendered {
    fn frames(&self, plan: &Plan, unit: usize, _: &Slices) -> u64 {
        frames(plan, unit) as u64
    }

    fn follow(&self, revision: u64, news: Option<News<'_>>) {
        let mut state = self.state.lock().unwrap();
        state.revision = revision;
        let Some(News { plan, spec, slices, .. }) = news.filter(|_| self.open) else { return };
        let mut compiler = Compiler::new(registry(), plan.sample_rate, 300).unwrap();
        let mut streams = Streams::new();
        state.known.clear();
        let first = |unit: &PlanUnit| unit.nodes.iter().map(|&n| plan.nodes[n as usize].key).min();
        let hears = plan.units.iter().find(|unit| !unit.inputs.is_empty());
        state.pair = hears.and_then(|unit| {
            let heard = unit.inputs[0].node;
            let heard = plan.units.iter().find(|unit| unit.nodes.contains(&heard))?;
            first(heard).zip(first(unit))
        });
        for (unit, planned) in plan.units.iter().enumerate() {
            let first = first(planned).unwrap();
            let mut runner =
                SegmentRunner::new(&mut compiler, spec, plan, unit, slices, &NoMedia).unwrap();
            let (frames, rate) = (frames(plan, unit), plan.sample_rate);
            let mut number = 0;
            run_unit(plan, unit, &mut runner, &mut streams, frames, SPAN, rate, |before, made| {
                let outlets = made.outputs.iter().map(|sound| {
                    let silent = sound.iter().flatten().all(|sample| sample.to_bits() == 0);
                    (!silent).then(|| Arc::new(sound.clone()))
                });
                let sound =
                    ShelvedSound { outlets: outlets.collect(), points: made.points.clone() };
                let before = Hash::of(before.unwrap_or_default());
                let after = Hash::of(&made.state);
                let sound = Some(Arc::new(sound));
                let shelved = Shelved { revision, state: before, after, sound };
                state.known.insert((first, number), shelved);
                number += 1;
            });
        }
    }

    fn want(&self, want: Want) {
        self.state.lock().unwrap().wanted.insert((want.unit, want.number));
    }

    fn find(&self, unit: NodeKey, number: i64) -> Option<Shelved> {
        let state = self.state.lock().unwrap();
        if !state.wanted.contains(&(unit, number)) {
            return None;
        }
        let mut shelved = state.known.get(&(unit, number))?.clone();
        shelved.revision = state.revision;
        let pair = state.pair.filter(|_| self.guesses_from > 0 && number >= self.guesses_from);
        if pair.is_some_and(|(heard, _)| heard == unit) {
            return None;
        }
        if pair.is_some_and(|(_, hears)| hears == unit) {
            shelved.sound = shelved.sound.map(|sound| Arc::new(silent(&sound)));
        }
        match self.draw(unit, number) {
            7 => return None,
            6 => shelved.sound = None,
            // How it began lately.
            5 => {
                shelved.state = Hash::of(b"another");
                shelved.sound = shelved.sound.map(|sound| Arc::new(silent(&sound)));
            }
            _ => {}
        }
        Some(shelved)
    }

    fn pays_from(&self) -> f64 {
        0.0
    }
}

fn silent(sound: &ShelvedSound) -> ShelvedSound {
    ShelvedSound { outlets: vec![None; sound.outlets.len()], points: sound.points.clone() }
}

/// The story with nothing there and with much; what was taken of it.
fn check_quiet(
    story: &Story,
    frames: usize,
    cuts: &[usize],
    workers: usize,
    holes: u64,
    what: &str,
) -> (AheadStats, Vec<Fault>) {
    let (expect, before, ..) =
        tell_with(story, frames, cuts, workers, Some(Rendered::new(false, 0)));
    let shelf = Rendered::new(true, holes);
    let (heard, stamps, stats, faults) = tell_with(story, frames, cuts, workers, Some(shelf));
    if faults.is_empty() {
        assert_eq!(stamps, before, "{what}");
        let differ = heard.iter().zip(&expect).position(|(a, b)| a.to_bits() != b.to_bits());
        let differ = differ.map(|at| (at / 2, heard[at], expect[at]));
        assert_eq!(differ, None, "{what}: stamps {stamps:?}");
    }
    (stats, faults)
}

fn check(story: &Story, frames: usize, cuts: &[usize], workers: usize, what: &str) -> u64 {
    let mut taken = 0;
    for holes in [0, 3] {
        let what = format!("{what}, holes {holes}");
        let (stats, faults) = check_quiet(story, frames, cuts, workers, holes, &what);
        assert!(faults.is_empty(), "{what}: {faults:?}");
        taken += stats.taken_frames;
    }
    taken
}

#[test]
fn what_is_taken_is_what_would_be_computed() {
    let (sketch, slices) = everything();
    for live in [&[][..], &[22, 900], &[300]] {
        let story =
            vec![(0, Deed::Load(with_live(&sketch, live), slices.clone())), (0, play(1_000))];
        for (workers, cuts) in [(1, &[512][..]), (3, &[64]), (2, &[7, 130, 999, 4_096])] {
            let what = format!("live {live:?}, {workers} workers");
            assert!(check(&story, 24_000, cuts, workers, &what) > 0, "{what}: nothing was taken");
        }
    }
}

#[test]
fn what_hears_a_guess_is_not_taken() {
    let (sketch, slices) = everything();
    let story = vec![(0, Deed::Load(sketch, slices)), (0, play(1_000))];
    let tell = |shelf| tell_with(&story, 24_000, &[256], 2, Some(Arc::new(shelf)));
    let (expect, ..) = tell(Rendered::default());
    let (heard, _, stats, _) =
        tell(Rendered { open: true, guesses_from: 3, ..Rendered::default() });
    assert!(stats.taken_frames > 0);
    let differ = heard.iter().zip(&expect).position(|(a, b)| a.to_bits() != b.to_bits());
    assert_eq!(differ.map(|at| at / 2), None);
}

#[test]
fn playing_is_the_render_once_the_start_is_forgotten() {
    let (sketch, slices) = everything();
    let frames = 5 * SEGMENT;
    // The loop, the notes and all that hears them take long to forget.
    let mut sketch = sketch;
    let loud = |node: NodeKey| [300, 301, 303, 400, 401, 901].iter().any(|&n| key(n) == node);
    sketch.spec.nodes.retain(|node| !loud(node.key) && node.key != key(302));
    sketch.spec.edges.retain(|edge| !loud(edge.from) && !loud(edge.to) && edge.from != key(302));
    sketch.spec.outputs.retain(|output| output.node != key(901));
    let expect = render(&sketch, &slices, frames, SEGMENT, &How::default());
    let story = vec![(0, Deed::Load(sketch, slices)), (0, play(0))];
    for open in [false, true] {
        let shelf = Rendered::new(open, 0);
        let (heard, stamps, stats, _) = tell_with(&story, frames, &[512], 2, Some(shelf));
        // From the second segment on, one after the other.
        let share = stats.taken_frames as f64 / stats.rendered_frames as f64;
        assert!(if open { share > SHARE } else { share == 0.0 }, "{share}: {stats:?}");
        let began = stamps[1] as usize;
        for at in 2 * SEGMENT..heard.len() / 2 - began {
            let found = heard[(at + began) * 2].to_bits();
            assert_eq!(found, expect[0][0][at].to_bits(), "frame {at}, open {open}");
        }
    }
}

#[test]
fn who_takes_can_turn_anywhere() {
    let (sketch, slices) = everything();
    let mut louder = slices.clone();
    louder.params.set(key(32), "gain", 0.7);
    louder.events.0.entry(key(300)).or_default().push(note(14_000, 77, true));
    let mut more = sketch.clone();
    more.node(500, "test.noise").node(501, "test.filter").edge(500, 501).edge(501, 900);
    for live in [&[][..], &[32]] {
        let load =
            |sketch: &Sketch, slices: &Slices| Deed::Load(with_live(sketch, live), slices.clone());
        let story = vec![
            (0, load(&sketch, &slices)),
            (0, play(0)),
            (14_000, knob(2, "gain", 0.9)),
            (100, Deed::Act(Act::Seek(2_900))),
            (9_000, Deed::Act(Act::Pause)),
            (4_000, Deed::Act(Act::Play(Start::default()))),
            (6_000, load(&sketch, &louder)),
            (9_000, Deed::Act(Act::Stop)),
            (2_500, play(100)),
            (13_000, load(&more, &louder)),
            (9_000, Deed::Act(Act::Loop(Range::new(11_111, 15_555)))),
            (7_000, Deed::Act(Act::Loop(None))),
            (2_500, Deed::Act(Act::Panic)),
        ];
        let taken = check(&story, 12_000, &[256, 31], 2, &format!("live {live:?}"));
        assert!(taken > 50_000, "{taken}");
    }
}

#[test]
fn tracks_change_sides_while_their_sound_is_taken() {
    let (sketch, slices) = prompt();
    let load = |live: &[u32]| Deed::Load(with_live(&sketch, live), slices.clone());
    let story = vec![
        (0, load(&[])),
        (0, play(0)),
        (11_000, load(&[12])),
        (4_000, load(&[12, 32])),
        (9_000, load(&[300, 400])),
    ];
    assert!(check(&story, 9_000, &[256, 100], 2, "sides") > 0);
}

/// Without what depends on when state comes back from the audio thread.
fn story(seedlings: &[Seedling], wishes: &[(usize, Wish)]) -> Option<Story> {
    let story = story_of(seedlings, wishes)?;
    let steady = |(frames, deed): (usize, Deed)| match deed {
        Deed::Tend => (frames, Deed::Act(Act::Punch(None))),
        deed => (frames, deed),
    };
    Some(story.into_iter().map(steady).collect())
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn whatever_is_done_nobody_hears_what_was_taken(
        seedlings in prop::collection::vec(seedling(), 2..12),
        wishes in prop::collection::vec((1usize..9_000, wish()), 1..9),
        cuts in prop_oneof![Just(vec![256]), prop::collection::vec(16usize..900, 1..5)],
        workers in 1usize..4,
        holes in 0u64..4,
    ) {
        let story = story(&seedlings, &wishes);
        prop_assume!(story.is_some());
        let story = story.unwrap_or_default();
        let (_, faults) = check_quiet(&story, 9_000, &cuts, workers, holes, "a random story");
        prop_assume!(faults.is_empty());
    }
}
