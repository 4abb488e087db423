//! What comes from the cache is what a render without one makes, bit for bit:
//! for every kind of node, in graphs that are rewired while they are edited, and
//! whatever has happened to the cache in between.
//!
//! A failure shrinks to the fewest edits that show it.

#![allow(clippy::disallowed_methods, reason = "a crash is made of files")]

use std::{cell::RefCell, fs, path::Path};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use pulse_schemas::{
    entity::{AnyEntity, SignalTap},
    record::EntityKey,
};
use tempfile::TempDir;

use super::*;

const LIMIT: u64 = 1 << 30;

/// What happens to the cache before the edited song is rendered, or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Plain,
    /// Content goes, all of it or the cheaper half; what was noted stays.
    Evicted,
    /// The process ends in the middle of the render, and the last bytes with it.
    Crashed,
    /// The edit is taken back: the sound of before must be there at once.
    Undone,
}

#[derive(Clone, Debug)]
struct Step {
    seed: u64,
    way: Way,
    threads: usize,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let way = prop_oneof![
        4 => Just(Way::Plain),
        1 => Just(Way::Evicted),
        1 => Just(Way::Crashed),
        2 => Just(Way::Undone),
    ];
    let step = (any::<u64>(), way, 1usize..=3);
    vec(step.prop_map(|(seed, way, threads)| Step { seed, way, threads }), 6..=16)
}

/// What was really exercised.
#[derive(Default, Debug)]
struct Counts {
    edits: usize,
    ways: BTreeMap<Way, usize>,
    /// Edits of several threads.
    parallel: usize,
    /// Edits of the graph.
    rewired: usize,
    /// Results that were noted and whose content was lost, and made again.
    remade: u64,
    /// Segments that an undo found.
    found: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.edits += other.edits;
        self.parallel += other.parallel;
        self.rewired += other.rewired;
        self.remade += other.remade;
        self.found += other.found;
        for (way, count) in &other.ways {
            *self.ways.entry(*way).or_default() += count;
        }
    }
}

/// A cache that can lose things.
struct Kept {
    cache: DiskCache,
    dir: TempDir,
}

impl Kept {
    fn new() -> Kept {
        let (dir, cache) = cache();
        Kept { cache, dir }
    }

    fn evict(&self, dice: &mut Dice) {
        let half = self.cache.stats().content_bytes / 2;
        self.cache.set_limit(if dice.roll(2) == 0 { 1 } else { half.max(1) }).unwrap();
        self.cache.set_limit(LIMIT).unwrap();
    }

    /// What a process leaves that ends while it renders: the index as it was saved
    /// last, and content that was on its way.
    fn crash(&mut self, song: &Song, dice: &mut Dice) {
        let options = Options { segment_frames: SEGMENT, threads: 2, ..Options::new(RATE) };
        let mut pieces = 0;
        let ended = render(song, &NoMedia, &self.cache, 0..FRAMES, &options, &mut |_| {
            pieces += 1;
            pieces < 2
        });
        assert!(matches!(ended, Err(RenderError::Cancelled)) || pieces < 2, "{ended:?}");
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("segments")).unwrap();
        fs::copy(self.dir.path().join("index.redb"), dir.path().join("index.redb")).unwrap();
        let from = self.dir.path().join("segments");
        let names = fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        for (at, name) in names.iter().enumerate() {
            let mut bytes = fs::read(from.join(name)).unwrap();
            if at + 1 == names.len() {
                bytes.truncate(bytes.len().saturating_sub(dice.roll(100_000) as usize));
                let sound = bytes.len().saturating_sub(100);
                bytes[sound..].fill(0xa5);
            }
            fs::write(dir.path().join("segments").join(name), bytes).unwrap();
        }
        self.cache = reopened(dir.path());
        self.dir = dir;
    }
}

fn reopened(dir: &Path) -> DiskCache {
    DiskCache::open(dir, LIMIT).unwrap()
}

/// Another graph: a node more or less in a chain, a way more or less between
/// channels. The tested node stays, else it would not be tested any more.
fn rewire(entities: &mut Entities, kind: &str, dice: &mut Dice) -> String {
    let track = 1 + dice.roll(2) as u32;
    match dice.roll(7) {
        0 => {
            let added = NODES[dice.roll(NODES.len() as u64) as usize].descriptor.kind;
            let number = track * 10 + 5 + dice.roll(4) as u32;
            entities.put(node(number, track, added));
            format!("{added} as node {number}")
        }
        1 => {
            let nodes: Vec<DspNode> = entities.all();
            let gone: Vec<_> = nodes.iter().filter(|node| node.node_kind != kind).collect();
            let Some(gone) = gone.get(dice.roll(gone.len().max(1) as u64) as usize) else {
                return "nothing".into();
            };
            entities.remove(EntityKey::of(&AnyEntity::from((*gone).clone())));
            // Nothing may lead to what is gone.
            let routes: Vec<SidechainRoute> = entities.all();
            for route in routes.into_iter().filter(|route| route.to == gone.id) {
                entities.remove(EntityKey::of(&AnyEntity::from(route)));
            }
            format!("without {}", gone.node_kind)
        }
        2 => {
            let mut node: DspNode = {
                let nodes: Vec<DspNode> = entities.all();
                nodes[dice.roll(nodes.len() as u64) as usize].clone()
            };
            node.bypass = !node.bypass;
            let text = format!("{} bypassed: {}", node.node_kind, node.bypass);
            entities.put(node);
            text
        }
        3 => {
            let (number, pre) = (2 + dice.roll(2) as u32, dice.roll(2) == 0);
            let tap = if pre { SignalTap::PreFader } else { SignalTap::PostFader };
            let (from, to) = (ChannelId(id(1, track)), ChannelId(id(1, 9)));
            let gain_db = -dice.share() * 12.0;
            entities.put(Send {
                id: SendId(id(7, number)),
                from,
                to,
                gain_db,
                tap,
                ..Send::default()
            });
            format!("send {number} of track {track}, {tap:?}")
        }
        4 => {
            let mut send: Send = get(entities, id(7, 1));
            send.mute = !send.mute;
            entities.put(send);
            "a send muted".into()
        }
        5 => {
            let mut channel: Channel = get(entities, id(1, track));
            let through = channel.output == Some(ChannelId(id(1, 0)));
            channel.output = Some(ChannelId(id(1, if through { 9 } else { 0 })));
            entities.put(channel);
            format!("track {track} through the return: {through}")
        }
        _ => {
            let mut track: Track = get(entities, id(2, track));
            track.mute = !track.mute;
            entities.put(track);
            "a track muted".into()
        }
    }
}

/// Edits until something is another; says what.
fn edited(entities: &mut Entities, kind: &str, dice: &mut Dice, counts: &mut Counts) -> String {
    loop {
        let rewires = dice.roll(3) == 0;
        let what = if rewires { rewire(entities, kind, dice) } else { edit(entities, dice) };
        if what != "nothing" {
            counts.edits += 1;
            counts.rewired += usize::from(rewires);
            return what;
        }
    }
}

/// A few edits of one song, each heard from the cache and from nothing.
fn check(kind: &'static str, steps: &[Step]) -> Counts {
    let (mut kept, mut counts) = (Kept::new(), Counts::default());
    let mut entities = project(&kinds_with(kind));
    let mut before = whole(&song(&entities));
    from_cache(&song(&entities), &kept.cache, 2);
    for (round, step) in steps.iter().enumerate() {
        let mut dice = Dice(step.seed);
        let saved = entities.clone();
        let what = edited(&mut entities, kind, &mut dice, &mut counts);
        let song_now = song(&entities);
        let context = || format!("{kind}, round {round}, {step:?}: {what}");
        match step.way {
            Way::Evicted => kept.evict(&mut dice),
            Way::Crashed => kept.crash(&song_now, &mut dice),
            Way::Plain | Way::Undone => {}
        }
        *counts.ways.entry(step.way).or_default() += 1;
        counts.parallel += usize::from(step.threads > 1);
        let (found, report) = from_cache(&song_now, &kept.cache, step.threads);
        assert!(report.failed.is_empty(), "{}: {:?}", context(), report.failed);
        counts.remade += report.remade;
        let expect = whole(&song_now);
        same(&found, &expect, &context);
        if step.way == Way::Undone {
            entities = saved;
            counts.edits += 1;
            let (found, report) = from_cache(&song(&entities), &kept.cache, step.threads);
            same(&found, &before, &|| format!("undo of {}", context()));
            assert_eq!(report.rendered, 0, "undo of {}", context());
            counts.found += report.hit;
        } else {
            before = expect;
        }
    }
    counts
}

/// Of one case, the same in every run.
fn runner(seed: &[u8; 32]) -> TestRunner {
    let config =
        Config { cases: 1, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, seed))
}

#[test]
fn after_any_edit_of_any_node_the_cached_render_is_the_whole_one() {
    let (least, mut all) = (rounds(50), Counts::default());
    for (number, kind) in NODES.iter().map(|kind| kind.descriptor.kind).enumerate() {
        let counts = RefCell::new(Counts::default());
        for case in 0u64.. {
            if counts.borrow().edits >= least {
                break;
            }
            let mut seed = [number as u8 + 1; 32];
            seed[..8].copy_from_slice(&case.to_be_bytes());
            let found = runner(&seed).run(&steps(), |steps| {
                counts.borrow_mut().add(&check(kind, &steps));
                Ok(())
            });
            if let Err(failure) = found {
                panic!("{kind}: {failure}");
            }
        }
        let counts = counts.into_inner();
        if least > 50 {
            println!("{kind}: {counts:?}");
        }
        assert!(counts.edits >= least, "{kind}: {counts:?}");
        all.add(&counts);
    }
    // As many as were promised, and each way as often as it takes.
    let kinds = NODES.len();
    println!("{kinds} kinds: {all:?}");
    assert!(all.edits >= 1_000 && all.edits >= least * kinds, "{all:?}");
    for way in [Way::Plain, Way::Evicted, Way::Crashed, Way::Undone] {
        let count = all.ways.get(&way).copied().unwrap_or_default();
        assert!(count >= least * kinds / 20, "{way:?} {count} times: {all:?}");
    }
    assert!(all.parallel > all.edits / 4 && all.rewired > all.edits / 6, "{all:?}");
    assert!(all.remade > 0 && all.found > 0, "nothing was lost, or nothing found again: {all:?}");
}

/// Turns one byte in `every`, from `first` on, in all content of a cache.
fn poisoned(kept: Kept, first: usize, every: usize) -> Kept {
    let Kept { cache, dir } = kept;
    drop(cache);
    for entry in fs::read_dir(dir.path().join("segments")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().skip(first).step_by(every).for_each(|byte| *byte ^= 0x40);
        fs::write(path, bytes).unwrap();
    }
    Kept { cache: reopened(dir.path()), dir }
}

#[test]
fn altered_sound_and_altered_states_are_set_aside_and_rendered_again() {
    let before = project(&["pulse.drums", "pulse.reverb", "pulse.limiter"]);
    let mut after = before.clone();
    // Late, so that the render goes on from states that are kept.
    after.put(note(103, 1, BEAT * 7 / 8, 50));
    let filled = || {
        let kept = Kept::new();
        from_cache(&song(&before), &kept.cache, 1);
        kept
    };
    // Every object, then a byte here and there: few objects among sound ones.
    for (first, every) in [(0, 64), (5_000, 200_000), (77_000, 300_000), (140_001, 1_000_000)] {
        for entities in [&before, &after] {
            let kept = poisoned(filled(), first, every);
            let song = song(entities);
            let (found, report) = from_cache(&song, &kept.cache, 2);
            let context = || format!("a byte in {every} from {first}: {report:?}");
            same(&found, &whole(&song), &context);
            if every == 64 {
                assert!(kept.cache.stats().quarantined > 0, "{}", context());
                assert!(report.remade > 0, "{}", context());
            }
            let (again, report) = from_cache(&song, &kept.cache, 1);
            assert_eq!(report.rendered, 0, "what was set aside was made for good");
            same(&again, &found, &|| "again".into());
        }
    }
}
