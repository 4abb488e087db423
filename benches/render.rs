//! What a change costs to hear: `cargo bench -p pulse-benches --bench render
//! [-- --full | --tracks=N --seconds=N --threads=N --prove=1]`.
//!
//! Corpus: a generated song of 40 tracks × 60 s (100 × 300 s with `--full`):
//! drums, ducked basses and pads, leads with echo, keys, audio clips of which half
//! are stretched, all with equalisers, four compressed groups, a reverb and a delay return, a master with
//! equaliser, compressor and limiter; segments of 4 s; 48 kHz.
//!
//! Caveats: nine tracks in ten are synthesised and the recording of the tenth lies
//! in memory, which makes a full render dearer and the share of an edit look
//! better in time than with files (shares of segments do not depend on it).
//! Segments are counted by unit and, in brackets, times the nodes in it. The cache lies on the disk
//! of the workspace, warm, and takes about 3 GB a minute of 100 tracks; `--dir=`
//! names another place. Each edit starts from the cache of all before it and
//! is undone in the store afterwards; times are of one run. The sound after the
//! edit of one second is compared with a render into an empty cache, with
//! `--prove=1` that of every edit; of each undo, with the sound from before.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring program stops at the first error"
)]

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use pulse_benches::{Folder, full, heading, number, promise, row, show, song, time};
use pulse_engine::{
    buffer::{AudioBuffer, AudioSource},
    material::MediaResolver,
    registry::Registry,
};
use pulse_query::{
    graph::Scope,
    render::{Options, Report, Song as Derived, render},
    stored::Stored,
};
use pulse_schemas::{
    entity::{Channel, Clip, DspNode, Note, TempoPoint},
    id::TempoPointId,
    time::{Moment, Ticks},
};
use pulse_store::{cache::DiskCache, project::Project, tx::Tx};

const RATE: u32 = 48_000;

/// The recording of the audio tracks: a falling saw with a swell.
struct Take(Arc<AudioBuffer>);

impl Take {
    fn new() -> Take {
        let value = |at: u64| {
            let swell = (at % 24_000) as f32 / 24_000.0;
            ((at % 300) as f32 / 300.0 - 0.5) * 0.4 * swell
        };
        let samples: Vec<f32> = (0..song::SOUND_FRAMES).map(value).collect();
        Take(Arc::new(AudioBuffer::from_channels(RATE, &[samples]).unwrap()))
    }
}

impl MediaResolver for Take {
    fn open(&self, media: pulse_schemas::hash::Hash) -> Option<Arc<dyn AudioSource>> {
        (media == song::SOUND).then(|| Arc::clone(&self.0) as _)
    }
}

struct Bench {
    take: Take,
    project: Project,
    song: song::Song,
    seconds: usize,
    threads: usize,
    cache: DiskCache,
    whole: Duration,
    /// Where caches are made that know nothing.
    dir: PathBuf,
    prove: bool,
}

struct Run {
    derive: Duration,
    wall: Duration,
    report: Report,
    pcm: Vec<f32>,
}

impl Run {
    fn share(&self) -> f64 {
        self.report.rendered as f64 / self.report.total.max(1) as f64
    }
}

impl Bench {
    fn render(&self, cache: &DiskCache) -> Run {
        let source = Stored::new(self.project.view());
        let registry = Registry::standard();
        let arrangement = self.song.arrangement;
        let derived =
            || Derived::derive(&source, &registry, arrangement, RATE, &Scope::mix()).unwrap();
        let (derive, derived) = time(derived);
        let frames = (self.seconds * RATE as usize) as i64;
        let options = Options { threads: self.threads, ..Options::new(RATE) };
        let mut pcm = Vec::with_capacity(frames as usize * 2);
        let (wall, report) = time(|| {
            render(&derived, &self.take, cache, 0..frames, &options, &mut |piece| {
                pcm.extend_from_slice(piece.left);
                pcm.extend_from_slice(piece.right);
                true
            })
            .unwrap()
        });
        assert!(report.failed.is_empty(), "nodes failed: {:?}", report.failed);
        Run { derive, wall, report, pcm }
    }

    /// Renders after an edit, says what it took, and takes the edit back.
    fn after(&mut self, what: &str, edit: impl FnOnce(&mut Tx<'_>, &song::Song)) -> Run {
        let mut tx = self.project.begin(song::meta(what));
        edit(&mut tx, &self.song);
        tx.commit().unwrap();
        let run = self.render(&self.cache);
        let measured = self.says(&run);
        row(&format!("re-render after: {what}"), &measured);
        if self.prove {
            self.proves(&run);
        }
        run
    }

    /// The same bits as from a cache that knows nothing.
    fn proves(&self, run: &Run) {
        let dir = self.dir.join("empty");
        let empty = self.render(&open_cache(&dir));
        std::fs::remove_dir_all(dir).unwrap();
        let same = bits(&run.pcm).eq(bits(&empty.pcm));
        let (rendered, total) = (empty.report.rendered, empty.report.total);
        let measured = format!("equal: {same}; {rendered} of {total} segments rendered for it");
        promise("  its PCM against an empty cache", &measured, "bit-equal", same);
    }

    /// Takes the last edit back; the sound from before must be there at once.
    fn undo(&mut self, whole: &Run) {
        self.project.undo("bench", None).unwrap();
        let run = self.render(&self.cache);
        let same = bits(&run.pcm).eq(bits(&whole.pcm));
        let ratio = run.wall.as_secs_f64() / self.whole.as_secs_f64().max(1e-9) * 100.0;
        let measured = format!(
            "{} ({ratio:.2} % of a full render), {} segments, bits as before: {same}",
            show(run.wall),
            run.report.rendered
        );
        promise("  its undo", &measured, "0 segments", run.report.rendered == 0 && same);
    }

    fn says(&self, run: &Run) -> String {
        let Report { rendered, total, .. } = run.report;
        let (all_nodes, nodes) = run.report.node_segments();
        let nodes = nodes as f64 / all_nodes.max(1) as f64 * 100.0;
        let ratio = run.wall.as_secs_f64() / self.whole.as_secs_f64().max(1e-9);
        format!(
            "{} ({:.2} % of a full render), {rendered} of {total} segments \
             ({:.2} %; by nodes {nodes:.2} %); derive {}",
            show(run.wall),
            ratio * 100.0,
            run.share() * 100.0,
            show(run.derive)
        )
    }
}

fn bits(pcm: &[f32]) -> impl Iterator<Item = u32> {
    pcm.iter().map(|sample| sample.to_bits())
}

/// Reads a file of the same PCM, hashes and copies it: the least that handing
/// out checked sound can cost.
fn verify_and_copy(path: &Path) -> Duration {
    let read = || {
        let mut file = std::fs::File::open(path).unwrap();
        let (mut buffer, mut copy) = (vec![0; 1 << 20], Vec::new());
        let mut hasher = blake3::Hasher::new();
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => return (hasher.finalize(), copy),
                count => {
                    hasher.update(&buffer[..count]);
                    copy.extend_from_slice(&buffer[..count]);
                }
            }
        }
    };
    (0..3).map(|_| time(read).0).min().unwrap()
}

fn open_cache(dir: &Path) -> DiskCache {
    DiskCache::open(dir, 64 << 30).unwrap()
}

fn unchanged(bench: &Bench, whole: &Run, dir: &Path) {
    let path = dir.join("song.pcm");
    let bytes: Vec<u8> = whole.pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::fs::write(&path, &bytes).unwrap();
    let least = verify_and_copy(&path);
    let runs: Vec<Run> = (0..3).map(|_| bench.render(&bench.cache)).collect();
    assert!(runs.iter().all(|run| bits(&run.pcm).eq(bits(&whole.pcm))));
    let run = runs.into_iter().min_by_key(|run| run.wall).unwrap();
    let measured = format!("{} of {}", run.report.rendered, run.report.total);
    promise("no-change render: segments rendered", &measured, "0", run.report.rendered == 0);
    let ratio = run.wall.as_secs_f64() / least.as_secs_f64();
    let measured = format!(
        "{} = {ratio:.2} × reading, hashing and copying {} MB of PCM ({}); derive {}",
        show(run.wall),
        bytes.len() / 1_000_000,
        show(least),
        show(run.derive)
    );
    promise("no-change render: wall", &measured, "≤ 2 ×", ratio <= 2.0);
    let all = run.derive + run.wall;
    let ratio = all.as_secs_f64() / least.as_secs_f64();
    let measured = format!("{} = {ratio:.2} × the same", show(all));
    row("no-change render with deriving the song from the store: wall", &measured);
}

/// The keys track in the middle: it feeds a group and maybe a return.
fn edited(song: &song::Song) -> &song::Part {
    let middle = song.tracks.len() / 2;
    let keys = (0..song.tracks.len()).filter(|at| at % 5 == 4 && !song::is_audio(*at));
    &song.tracks[keys.min_by_key(|at| at.abs_diff(middle)).unwrap_or(0)]
}

/// One second of notes of one clip, a whole tone up.
fn transpose_second(tx: &mut Tx<'_>, song: &song::Song) {
    let clips = &edited(song).clips;
    let clip = clips[clips.len() / 2];
    let notes = tx.before().members::<Note>(clip).unwrap();
    for note in notes.into_iter().filter(|note| note.start.0 < 2 * song::BEAT) {
        tx.put(Note { pitch: note.pitch + 2, ..note }).unwrap();
    }
}

fn second(bench: &mut Bench, before: &Run) {
    let run = bench.after("1 s of notes on one track", transpose_second);
    let share = run.share() * 100.0;
    promise("1 s edit: segments rendered", &format!("{share:.2} %"), "≤ 5 %", share <= 5.0);
    if !bench.prove {
        bench.proves(&run);
    }
    let changed = !bits(&run.pcm).eq(bits(&before.pcm));
    promise("1 s edit: is heard", &changed.to_string(), "true", changed);
    bench.undo(before);
}

/// The audio track nearest to the middle, and the clip in its middle.
fn audio_clip(song: &song::Song, stretched: bool) -> pulse_schemas::id::ClipId {
    let audio = (0..song.tracks.len()).filter(|number| song::is_audio(*number));
    let track = audio.min_by_key(|number| number.abs_diff(song.tracks.len() / 2)).unwrap_or(9);
    let clips = &song.tracks[track].clips;
    clips[clips.len() / 2 / 2 * 2 + usize::from(stretched)]
}

fn others(bench: &mut Bench, whole: &Run, seconds: usize) {
    bench.after("gain of one clip", |tx, song| {
        tx.update::<Clip>(audio_clip(song, false), |clip| clip.gain_db = -8.0).unwrap();
    });
    bench.undo(whole);
    let later = |clip: &mut Clip| clip.start = Moment(clip.start.0 + song::BEAT);
    bench.after("one stretched clip moved by a beat", |tx, song| {
        tx.update::<Clip>(audio_clip(song, true), later).unwrap();
    });
    bench.undo(whole);
    bench.after("one clip of notes moved by a beat", |tx, song| {
        let clips = &edited(song).clips;
        tx.update::<Clip>(clips[clips.len() / 2], later).unwrap();
    });
    bench.undo(whole);
    bench.after("EQ of one track", |tx, song| {
        let eq = edited(song).eq;
        tx.update::<DspNode>(eq, |node| {
            node.params.insert("band1Gain".into(), 4.0);
        })
        .unwrap();
    });
    bench.undo(whole);
    bench.after("fader of one channel", |tx, song| {
        tx.update::<Channel>(edited(song).channel, |channel| channel.gain_db = -7.5).unwrap();
    });
    bench.undo(whole);
    bench.after("compressor of the master", |tx, song| {
        tx.update::<DspNode>(song.master_compressor, |node| {
            node.params.insert("ratio".into(), 3.0);
        })
        .unwrap();
    });
    bench.undo(whole);
    let at = Ticks(seconds as i64 * 2 * song::BEAT * 2 / 5);
    bench.after("tempo from two fifths of the song on", |tx, song| {
        let id = TempoPointId(tx.new_id());
        let arrangement = song.arrangement;
        let point = TempoPoint { id, arrangement, at, bpm: 126.0, ..TempoPoint::default() };
        tx.put(point).unwrap();
    });
    bench.undo(whole);
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (tracks, seconds) = if full() { (100, 300) } else { (40, 60) };
    let tracks = number("tracks").unwrap_or(tracks);
    let seconds = number("seconds").unwrap_or(seconds);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = number("threads").unwrap_or(cores);
    let dir = Folder::on_disk("render").unwrap();
    let (project, song) = song::build(tracks, seconds);
    let cache = open_cache(&dir.path().join("cache"));
    let mut bench = Bench {
        take: Take::new(),
        project,
        song,
        seconds,
        threads,
        cache,
        whole: Duration::ZERO,
        dir: dir.path().to_owned(),
        prove: number("prove").is_some_and(|prove| prove > 0),
    };
    heading(&format!("render, {tracks} tracks × {seconds} s, {threads} threads"));
    let whole = bench.render(&bench.cache);
    bench.whole = whole.wall;
    let speed = seconds as f64 / whole.wall.as_secs_f64();
    let peak = whole.pcm.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
    let measured = format!(
        "{} = {speed:.1} × real time, {} segments, peak {peak:.2}; derive {}",
        show(whole.wall),
        whole.report.rendered,
        show(whole.derive)
    );
    row("full render into an empty cache", &measured);
    unchanged(&bench, &whole, dir.path());
    second(&mut bench, &whole);
    others(&mut bench, &whole, seconds);
}
