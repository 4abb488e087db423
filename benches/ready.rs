//! What it costs to play a song that was rendered before: `cargo bench -p pulse-benches
//! --bench ready [-- --tracks=N --seconds=N --dir=DIR]`.
//!
//! Corpus: the generated song of the render bench, 40 tracks × 60 s: drums, ducked
//! basses and pads, leads with echo, keys, audio clips of which half are stretched,
//! all with equalisers, four compressed groups, a reverb and a delay return, a master
//! with equaliser, compressor and limiter; 48 kHz, segments of 4 s, blocks of 512.
//!
//! It is played from its beginning by hand, as fast as it comes, all of it ahead, by
//! one worker: once with nothing to take, once after a render of it, once more where
//! a part has to pay nothing to be taken. Processor time is that of the whole program
//! (worker, audio thread, the thread that reads the cache), in ticks of 10 ms; what is
//! before the eighth second is left out, since until then echoes of the start keep
//! parts from being taken. The cache lies on the disk of the workspace, warm. All
//! three hear the same bits, which is checked.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring program stops at the first error"
)]

use std::{sync::Arc, time::Duration};

use pulse_benches::{Folder, heading, number, row, show, song};
use pulse_engine::{
    anticipate::{AheadStats, Anticipation},
    buffer::{AudioBuffer, AudioSource},
    device::DeviceConfig,
    material::MediaResolver,
    registry::Registry,
    rt::{Config, Engine, Song as Heard, transport::Start},
};
use pulse_query::{
    cohort::Seeds,
    content::content,
    graph::{Scope, playing_graph},
    render::{
        Options, Song as Derived, render,
        shelf::{CacheShelf, How},
    },
    stored::Stored,
    timeline::SongTime,
};
use pulse_store::cache::{CacheStore, DiskCache};

const RATE: u32 = 48_000;
const BLOCK: usize = 512;
/// Seconds before anything is measured.
const LEAD_IN: usize = 8;

struct Take(Arc<AudioBuffer>);

impl Take {
    fn new() -> Take {
        let value = |at: u64| ((at % 300) as f32 / 300.0 - 0.5) * 0.4;
        let samples: Vec<f32> = (0..song::SOUND_FRAMES).map(value).collect();
        Take(Arc::new(AudioBuffer::from_channels(RATE, &[samples]).unwrap()))
    }
}

impl MediaResolver for Take {
    fn open(&self, media: pulse_schemas::hash::Hash) -> Option<Arc<dyn AudioSource>> {
        (media == song::SOUND).then(|| Arc::clone(&self.0) as _)
    }
}

/// Processor time of this program so far.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

struct Played {
    heard: Vec<u32>,
    cost: Duration,
    stats: AheadStats,
}

fn play(
    source: &Stored,
    song: &song::Song,
    cache: Option<Arc<dyn CacheStore>>,
    how: How,
    seconds: usize,
) -> Played {
    let shelf = Arc::new(CacheShelf::start(how).unwrap());
    shelf.look_in(cache.map(|cache| Arc::new(move || Some(cache.clone())) as _));
    let mut config = Config::new(DeviceConfig::null(RATE));
    config.max_block = BLOCK;
    config.anticipation = Some(Anticipation { workers: 1, ..Anticipation::default() });
    config.shelf = Some(shelf.clone());
    let (engine, mut clock) = Engine::manual(config).unwrap();
    let registry = Registry::standard();
    let spec = playing_graph(source, &registry, song.arrangement, &Seeds::default()).unwrap();
    let slices = content(source, &registry, song.arrangement, RATE);
    let time = SongTime::of(source, song.arrangement, RATE);
    let (tempo, signatures) = ((*time.tempo).clone(), (*time.signatures).clone());
    engine.load(&spec, slices, &Take::new()).unwrap();
    shelf.set_time(time);
    engine.set_song(Heard::new(tempo, signatures, RATE)).unwrap();
    engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    let (mut heard, mut from) = (vec![], Duration::ZERO);
    for block in 0..seconds * RATE as usize / BLOCK {
        if block == LEAD_IN * RATE as usize / BLOCK {
            from = processor();
        }
        shelf.settle();
        assert!(engine.settle_ahead(BLOCK as u64, Duration::from_secs(60)));
        heard.extend(clock.run(BLOCK).iter().map(|sample| sample.to_bits()));
    }
    let stats = engine.ahead_stats().unwrap();
    assert_eq!(stats.underrun_frames, 0);
    Played { heard, cost: processor() - from, stats }
}

fn main() {
    let (tracks, seconds) = (number("tracks").unwrap_or(40), number("seconds").unwrap_or(60));
    let folder = Folder::on_disk("ready").unwrap();
    let (project, song) = song::build(tracks, seconds);
    let source = Stored::new(project.view());
    heading(&format!("playing {tracks} tracks × {seconds} s"));

    let cache = DiskCache::open(&folder.path().join("cache"), 1 << 36).unwrap();
    let derived =
        Derived::derive(&source, &Registry::standard(), song.arrangement, RATE, &Scope::mix());
    let options = Options { threads: 2, ..Options::new(RATE) };
    let end = (seconds * RATE as usize) as i64;
    render(&derived.unwrap(), &Take::new(), &cache, 0..end, &options, &mut |_| true).unwrap();
    let cache: Arc<dyn CacheStore> = Arc::new(cache);

    let (usual, all) = (How::default(), How { pays_from: 0.0, ..How::default() });
    let runs = [
        ("computed", None, usual),
        ("taken where it pays", Some(cache.clone()), usual),
        ("taken wherever it can be", Some(cache), How { limit: usize::MAX, ..all }),
    ];
    let mut first: Option<Played> = None;
    for (what, cache, how) in runs {
        let played = play(&source, &song, cache, how, seconds);
        let measured = (seconds - LEAD_IN) as f64;
        let share = |part: u64| part as f64 / played.stats.rendered_frames.max(1) as f64 * 100.0;
        row(
            what,
            &format!(
                "{} of processor time per second; {:.0} % of frames of parts taken",
                show(played.cost.div_f64(measured)),
                share(played.stats.taken_frames),
            ),
        );
        match &first {
            Some(first) => assert!(first.heard == played.heard, "{what} sounds otherwise"),
            None => first = Some(played),
        }
    }
}
