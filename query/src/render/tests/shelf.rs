//! Whoever plays takes what renders have made, and nobody can hear it.

use std::time::Duration;

use pulse_engine::{
    anticipate::{AheadStats, Anticipation},
    device::DeviceConfig,
    rt::{
        Config, Engine, ManualClock, Song as Heard,
        transport::{Range as Loop, Start},
    },
};

use super::*;
use crate::{
    cohort::Seeds,
    graph::playing_graph,
    render::shelf::{CacheShelf, How},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What is done to the song while it plays, after so many frames.
#[derive(Clone)]
enum Deed {
    Show(Entities),
    Seek(i64),
    Repeat(i64, i64),
    Pause,
    GoOn,
}

struct Stage {
    engine: Engine,
    clock: ManualClock,
    shelf: Arc<CacheShelf>,
    heard: Vec<f32>,
}

impl Stage {
    fn new(cache: Option<Arc<dyn CacheStore>>) -> Stage {
        Stage::with_room(cache, How::default().limit)
    }

    fn with_room(cache: Option<Arc<dyn CacheStore>>, limit: usize) -> Stage {
        let how = How { pays_from: 0.0, segment_frames: Some(SEGMENT), limit };
        let shelf = Arc::new(CacheShelf::start(how).unwrap());
        shelf.look_in(cache.map(|cache| Arc::new(move || Some(cache.clone())) as _));
        let mut config = Config::new(DeviceConfig::null(RATE));
        // No further than a segment, so that all is looked for before anybody comes there.
        config.anticipation =
            Some(Anticipation { workers: 2, look_ahead_ms: 0.0, ..Anticipation::default() });
        config.shelf = Some(shelf.clone());
        let (engine, clock) = Engine::manual(config).unwrap();
        Stage { engine, clock, shelf, heard: vec![] }
    }

    fn show(&self, entities: &Entities) {
        let registry = Registry::standard();
        let spec = playing_graph(entities, &registry, arrangement(), &Seeds::default()).unwrap();
        let slices = content(entities, &registry, arrangement(), RATE);
        let time = SongTime::of(entities, arrangement(), RATE);
        let (tempo, signatures) = ((*time.tempo).clone(), (*time.signatures).clone());
        self.engine.load(&spec, slices, &NoMedia).unwrap();
        self.shelf.set_time(time);
        self.engine.set_song(Heard::new(tempo, signatures, RATE)).unwrap();
    }

    fn run(&mut self, frames: usize) {
        for _ in 0..frames.div_ceil(256) {
            // What is wanted is looked for before anybody comes there.
            self.shelf.settle();
            assert!(self.engine.settle_ahead(256, PATIENCE), "what lies ahead never came");
            self.heard.extend_from_slice(self.clock.run(256));
        }
    }

    fn tell(mut self, story: &[(usize, Deed)], frames: usize) -> (Vec<f32>, AheadStats) {
        for (pass, deed) in story {
            self.run(*pass);
            match deed {
                Deed::Show(entities) => self.show(entities),
                Deed::Seek(to) => self.engine.seek(*to).unwrap(),
                Deed::Repeat(from, to) => self.engine.set_loop(Loop::new(*from, *to)).unwrap(),
                Deed::Pause => self.engine.pause().unwrap(),
                Deed::GoOn => self.engine.play(Start::default()).unwrap(),
            }
        }
        self.run(frames);
        let stats = self.engine.ahead_stats().unwrap();
        assert_eq!((stats.underrun_frames, stats.lost_inputs), (0, 0), "{stats:?}");
        (self.heard, stats)
    }
}

/// The story with and without a cache that has renders of all that is shown.
fn check(story: &[(usize, Deed)], frames: usize, context: &str) -> u64 {
    let (_dir, cache) = cache();
    for (_, deed) in story {
        if let Deed::Show(entities) = deed {
            from_cache(&song(entities), &cache, 2);
        }
    }
    let (expect, cold) = Stage::new(None).tell(story, frames);
    let (heard, warm) = Stage::new(Some(Arc::new(cache))).tell(story, frames);
    let differ = heard.iter().zip(&expect).position(|(a, b)| a.to_bits() != b.to_bits());
    let differ = differ.map(|at| (at / 2, heard[at], expect[at]));
    assert_eq!(differ, None, "{context}");
    assert!(heard.iter().any(|sample| *sample != 0.0), "{context}: nothing is heard");
    assert_eq!(cold.taken_frames, 0);
    warm.taken_frames
}

/// From the start, around a loop, through a pause and an edit.
fn story(entities: &Entities, edited: &Entities) -> Vec<(usize, Deed)> {
    vec![
        (0, Deed::Show(entities.clone())),
        (0, Deed::GoOn),
        (3 * 4_096, Deed::Seek(5_000)),
        (9_000, Deed::Repeat(4_096 + 700, 2 * 4_096 + 3_000)),
        (9_000, Deed::Pause),
        (2_560, Deed::GoOn),
        (2_000, Deed::Repeat(0, 0)),
        (6_000, Deed::Show(edited.clone())),
        (4_096, Deed::Seek(2_000)),
    ]
}

#[test]
fn every_kind_of_node_sounds_the_same_taken_or_computed() {
    let mut taken = BTreeMap::new();
    for kind in NODES.iter().map(|kind| kind.descriptor.kind) {
        let mut entities = project(&kinds_with(kind));
        let before = entities.clone();
        let edit = edit(&mut entities, &mut Dice(kind.len() as u64));
        let frames = check(&story(&before, &entities), 9_000, &format!("{kind}, {edit}"));
        taken.insert(kind, frames);
    }
    let none: Vec<_> = taken.iter().filter(|(_, frames)| **frames == 0).collect();
    assert!(none.is_empty(), "nothing was taken: {none:?}");
}

/// What is heard from some seconds in is what a render gives.
#[test]
fn playback_with_and_without_a_cache_is_the_render() {
    let entities = project(&["pulse.drums", "pulse.eq"]);
    let expect = whole(&song(&entities));
    let (_dir, cache) = cache();
    from_cache(&song(&entities), &cache, 2);
    let cache: Arc<dyn CacheStore> = Arc::new(cache);
    for cache in [None, Some(cache)] {
        let warm = cache.is_some();
        let stage = Stage::new(cache);
        stage.show(&entities);
        stage.engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        let began = stage.engine.last_stamp() as usize;
        let (heard, stats) = stage.tell(&[], began + FRAMES as usize);
        assert_eq!(stats.taken_frames > 0, warm, "{stats:?}");
        for at in 4 * SEGMENT as usize..FRAMES as usize {
            let found = [heard[(began + at) * 2], heard[(began + at) * 2 + 1]].map(f32::to_bits);
            let expect = [expect[0][at], expect[1][at]].map(f32::to_bits);
            assert_eq!(found, expect, "frame {at}, warm {warm}");
        }
    }
}

/// Only what an edit touches is computed until it is rendered again.
#[test]
fn an_edit_that_nobody_rendered_leaves_the_other_tracks_to_the_cache() {
    let mut entities = project(&["pulse.drums", "pulse.eq"]);
    let before = entities.clone();
    let mut clip: Clip = get(&entities, id(5, 2));
    clip.transpose = 12.0;
    entities.put(clip);
    let (_dir, cache) = cache();
    from_cache(&song(&before), &cache, 2);
    let cache: Arc<dyn CacheStore> = Arc::new(cache);
    let tell = |cache: Option<&Arc<dyn CacheStore>>, entities: &Entities| {
        let story = [(0, Deed::Show(entities.clone())), (0, Deed::GoOn)];
        Stage::new(cache.cloned()).tell(&story, FRAMES as usize)
    };
    let (expect, _) = tell(None, &entities);
    let (_, whole) = tell(Some(&cache), &before);
    let (heard, part) = tell(Some(&cache), &entities);
    assert!(heard == expect, "an edit that nobody rendered");
    assert!(part.taken_frames > 0 && part.taken_frames < whole.taken_frames);
}

/// What is rendered while it plays is taken from then on, without any edit.
#[test]
fn a_render_that_comes_while_the_song_plays_is_found() {
    let entities = project(&["pulse.drums", "pulse.eq"]);
    let story = [(0, Deed::Show(entities.clone())), (0, Deed::GoOn)];
    let (expect, _) = Stage::new(None).tell(&story, 4_096 + 5 * 4_096);
    let (_dir, cache) = cache();
    let cache = Arc::new(cache);
    let mut stage = Stage::new(Some(cache.clone()));
    stage.show(&entities);
    stage.engine.play(Start::default()).unwrap();
    stage.run(4_096);
    from_cache(&song(&entities), &*cache, 2);
    let (heard, stats) = stage.tell(&[], 5 * 4_096);
    assert!(heard == expect, "what was rendered meanwhile");
    assert!(stats.taken_frames > 0, "{stats:?}");
}

#[test]
fn no_more_lies_ready_than_there_is_room_for() {
    let entities = project(&["pulse.drums", "pulse.eq"]);
    let (_dir, cache) = cache();
    from_cache(&song(&entities), &cache, 2);
    let cache: Arc<dyn CacheStore> = Arc::new(cache);
    let most = |limit: usize| {
        let mut stage = Stage::with_room(Some(cache.clone()), limit);
        stage.show(&entities);
        stage.engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        let mut most = 0;
        for _ in 0..FRAMES / 256 {
            stage.run(256);
            most = most.max(stage.shelf.held());
        }
        (most, stage.engine.ahead_stats().unwrap().taken_frames)
    };
    let (all, taken) = most(usize::MAX);
    let (half, some) = most(all / 2);
    assert!(all > 0 && half <= all / 2 && half > 0, "{half} of {all}");
    assert!(some < taken && some > 0, "{some} of {taken}");
    assert_eq!(most(0), (0, 0));
}

#[test]
fn nothing_lies_ready_for_tracks_that_are_gone() {
    let entities = project(&["pulse.drums", "pulse.eq"]);
    let (_dir, cache) = cache();
    from_cache(&song(&entities), &cache, 2);
    let mut stage = Stage::new(Some(Arc::new(cache)));
    stage.show(&entities);
    stage.engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    stage.run(3 * SEGMENT as usize);
    assert!(stage.shelf.held() > 0);
    let mut other = Entities::default();
    other.put(channel(0, ChannelKind::Master, None));
    add_track(&mut other, 5, &["pulse.synth"]);
    stage.show(&other);
    stage.run(3 * SEGMENT as usize);
    assert_eq!(stage.shelf.held(), 0);
}
