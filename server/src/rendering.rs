//! From a revision to files: mixes, stems, differences.
//!
//! Everything here works on a view and a folder, so that it runs on a worker
//! of the server, in the process of the command line, and in a test.

mod bare;
mod causes;
mod diff;
mod files;
mod known;
pub mod media;
mod slot;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use pulse_engine::{
    file::{Depth, WriteError},
    loudness_report::LoudnessError,
    registry::Registry,
};
use pulse_query::{
    content::tempo_map,
    graph::Scope,
    render::{self, Options, RenderError, Report, Song},
    source::SourceExt,
    stored::Stored,
};
use pulse_schemas::{
    entity::{Channel, ChannelKind},
    error::ErrorCode,
    graph::OutputKind,
    hash::Hash,
    id::{AnyId, ArrangementId, ChannelId, TrackId},
    time::Ticks,
};
use pulse_store::{
    cache::{CacheError, CacheStore, DiskCache},
    view::{ReadError, View},
};
use serde_json::{Value, json};

use crate::{refusal::Refusal, scratch::Scratch};

pub use bare::Bare;
pub use causes::Cause;
pub use diff::{AudibleDiff, Difference, all_channels, audible_diff};
pub use files::partial_of;
pub use known::KnownMedia;
pub use media::ProjectMedia;
pub use slot::CacheSlot;

use files::FileWriter;

impl From<CacheError> for RenderingError {
    fn from(error: CacheError) -> RenderingError {
        RenderError::from(error).into()
    }
}

/// Why a render made no file.
#[derive(Debug, thiserror::Error)]
pub enum RenderingError {
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{}: {error}", path.display())]
    Write { path: PathBuf, error: WriteError },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{}: the file's name ends in .wav or .flac", path.display())]
    Name { path: PathBuf },
    #[error(transparent)]
    Loudness(#[from] LoudnessError),
    #[error("there is no arrangement to render; make one with `arrangement.create`")]
    NoArrangement,
    #[error("{track} has no channel, so it makes no sound of its own to render")]
    NoChannel { track: TrackId },
    #[error("{rate} Hz is not a rate to render at; choose one of {LEAST_RATE} to {MOST_RATE} Hz")]
    Rate { rate: u32 },
    #[error("the range to render is empty: it ends at frame {end} and starts at {start}")]
    Empty { start: i64, end: i64 },
}

impl From<RenderingError> for Refusal {
    fn from(error: RenderingError) -> Refusal {
        let text = error.to_string();
        match error {
            RenderingError::Render(RenderError::Cycle(_)) => {
                Refusal::new(ErrorCode::RoutingCycle, text)
            }
            RenderingError::Write { error: WriteError::DiskFull { .. }, .. } => {
                Refusal::new(ErrorCode::IoFull, text)
            }
            RenderingError::Write { error, .. } => {
                Refusal::new(ErrorCode::IoFailed, text).with("reason", error.to_string())
            }
            RenderingError::File { error, .. } => {
                Refusal::new(ErrorCode::IoFailed, text).with("reason", error.to_string())
            }
            RenderingError::Read(error) => error.into(),
            _ => Refusal::new(ErrorCode::RenderImpossible, text.clone()).with("reason", text),
        }
    }
}

/// The rates that the engine runs at.
const LEAST_RATE: u32 = 8_000;
const MOST_RATE: u32 = 768_000;

/// Longest tail that is waited for, in seconds.
pub const TAIL_SECONDS: f64 = 10.0;

/// Below this a tail counts as silent: −90 dBFS.
const SILENT: f32 = 3.2e-5;

/// What to render and how.
#[derive(Clone, Debug)]
pub struct Request {
    pub arrangement: Option<ArrangementId>,
    /// Hz; the project's when none.
    pub rate: Option<u32>,
    pub depth: Depth,
    /// Ticks; the whole arrangement when none.
    pub from: Option<Ticks>,
    pub to: Option<Ticks>,
    /// Longest tail after the end, in seconds.
    pub tail: f64,
    pub threads: usize,
    pub use_cache: bool,
    /// Share of hits that are rendered again and compared.
    pub verify: f64,
    /// Seconds of a segment.
    pub segment: f64,
}

impl Default for Request {
    fn default() -> Request {
        Request {
            arrangement: None,
            rate: None,
            depth: Depth::Int24,
            from: None,
            to: None,
            tail: TAIL_SECONDS,
            threads: cores(),
            use_cache: true,
            verify: 0.0,
            segment: 4.0,
        }
    }
}

/// Threads that a render uses unless told.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Frames to render, and from where on silence at the end is left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    pub range: std::ops::Range<i64>,
    pub trim_from: i64,
}

/// How far a render is, readable from anywhere.
#[derive(Clone, Default)]
pub struct Watch {
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
    pub cancel: Arc<AtomicBool>,
}

impl Watch {
    /// Cancelled by a flag that others raise.
    pub fn until(cancel: Arc<AtomicBool>) -> Watch {
        Watch { cancel, ..Watch::default() }
    }

    /// 0 to 1.
    pub fn share(&self) -> f64 {
        let total = self.total.load(Ordering::Relaxed);
        if total == 0 {
            return 0.0;
        }
        self.done.load(Ordering::Relaxed) as f64 / total as f64
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// There is more to do than was known.
    pub fn expect_more(&self, more: u64) {
        self.total.fetch_add(more, Ordering::Relaxed);
    }

    /// So much of it is done.
    pub fn advance(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    fn set(&self, done: i64, total: i64) {
        self.done.store(done.unsigned_abs(), Ordering::Relaxed);
        self.total.store(total.unsigned_abs(), Ordering::Relaxed);
    }
}

/// One file that was written.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub path: PathBuf,
    pub source: Option<AnyId>,
    pub pcm_hash: Hash,
    pub frames: u64,
    pub loudness: pulse_engine::loudness_report::LoudnessReport,
}

/// What a render made.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub files: Vec<Rendered>,
    pub rate: u32,
    pub frames: u64,
    pub wall_ms: f64,
    pub report: Report,
}

/// A number for JSON, where silence has no level.
fn level(db: f64) -> Option<f64> {
    Some(db).filter(|db| db.is_finite())
}

impl Outcome {
    pub fn x_realtime(&self) -> f64 {
        let seconds = self.frames as f64 / f64::from(self.rate.max(1));
        if self.wall_ms > 0.0 { seconds * 1_000.0 / self.wall_ms } else { 0.0 }
    }

    pub fn json(&self) -> Value {
        let file = |file: &Rendered| {
            json!({
                "path": file.path,
                "source": file.source,
                "pcm_hash": file.pcm_hash,
                "frames": file.frames,
                "loudness": {
                    "integrated_lufs": level(file.loudness.integrated_lufs),
                    "short_term_max_lufs": level(file.loudness.short_term_max_lufs),
                    "range_lu": level(file.loudness.range_lu),
                    "true_peak_dbtp": level(file.loudness.true_peak_dbtp),
                },
            })
        };
        json!({
            "frames": self.frames,
            "rate": self.rate,
            "pcm_hash": self.files.first().map(|file| file.pcm_hash),
            "wall_ms": self.wall_ms,
            "x_realtime": self.x_realtime(),
            "segments": {
                "total": self.report.total,
                "hit": self.report.hit,
                "rendered": self.report.rendered,
            },
            "clips": {
                "decoded": self.report.decoded,
                "resampled": self.report.resampled,
                "stretched": self.report.stretched,
            },
            "verified": self.report.verified,
            "mismatched": self.report.mismatched.len(),
            "failed_nodes": self.report.failed,
            "volatile_nodes": self.report.volatile,
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
        })
    }
}

/// One revision, ready to be rendered.
pub struct Renderer<'a> {
    stored: Stored,
    registry: &'a Registry,
    media: KnownMedia<'a>,
    cache: &'a dyn CacheStore,
}

impl<'a> Renderer<'a> {
    /// `project` is the folder, for media that lie in it.
    pub fn new(
        view: View,
        registry: &'a Registry,
        project: Option<&Path>,
        cache: &'a dyn CacheStore,
    ) -> Renderer<'a> {
        let stored = Stored::new(view);
        let media = KnownMedia::of(&stored, project, cache);
        Renderer { stored, registry, media, cache }
    }

    pub fn arrangement(&self, request: &Request) -> Result<ArrangementId, RenderingError> {
        request
            .arrangement
            .or_else(|| self.stored.active_arrangement())
            .ok_or(RenderingError::NoArrangement)
    }

    pub fn rate(&self, request: &Request) -> u32 {
        let own = || self.stored.project().map(|project| project.sample_rate);
        request.rate.or_else(own).filter(|rate| *rate >= LEAST_RATE).unwrap_or(48_000)
    }

    pub fn song(&self, request: &Request, scope: &Scope) -> Result<Song, RenderingError> {
        let odd = |rate: &u32| !(LEAST_RATE..=MOST_RATE).contains(rate);
        if let Some(rate) = request.rate.filter(odd) {
            return Err(RenderingError::Rate { rate });
        }
        let arrangement = self.arrangement(request)?;
        let rate = self.rate(request);
        let song = Song::derive(&self.stored, self.registry, arrangement, rate, scope)?;
        self.stored.check()?;
        Ok(song)
    }

    /// Names of the channels, for files of stems.
    fn channel_names(&self) -> BTreeMap<ChannelId, String> {
        let channels = self.stored.all::<Channel>();
        channels.into_iter().map(|channel| (channel.id, channel.name)).collect()
    }

    /// Frames to render: where the request says, else all and a tail.
    pub fn range(
        &self,
        request: &Request,
        song: &Song,
    ) -> Result<std::ops::Range<i64>, RenderingError> {
        let tempo = tempo_map(&self.stored, self.arrangement(request)?);
        let frame = |ticks: Ticks| tempo.frame_at(ticks, song.rate());
        let start = request.from.map_or(0, frame);
        let tail = (request.tail.clamp(0.0, 600.0) * f64::from(song.rate())) as i64;
        let end = request.to.map_or_else(|| song.end() + tail, frame);
        if end <= start {
            return Err(RenderingError::Empty { start, end });
        }
        Ok(start..end)
    }

    /// A fixed end is kept to the frame; an open one gives silence away.
    fn span(&self, request: &Request, song: &Song) -> Result<Span, RenderingError> {
        let range = self.range(request, song)?;
        let trim_from = if request.to.is_some() { i64::MAX } else { song.end() };
        Ok(Span { range, trim_from })
    }

    fn options(&self, request: &Request, song: &Song, watch: &Watch) -> Options {
        Options {
            threads: request.threads,
            verify: request.verify,
            cancel: Arc::clone(&watch.cancel),
            segment_frames: (request.segment * f64::from(song.rate())) as u32,
        }
    }

    /// Renders every output of a scope into the file that `path` gives for it.
    pub fn to_files(
        &self,
        request: &Request,
        scope: &Scope,
        path: impl Fn(OutputKind, &BTreeMap<ChannelId, String>) -> Option<PathBuf>,
        watch: &Watch,
    ) -> Result<Outcome, RenderingError> {
        let song = self.song(request, scope)?;
        let span = self.span(request, &song)?;
        self.song_to_files(request, &song, span, path, watch)
    }

    fn song_to_files(
        &self,
        request: &Request,
        song: &Song,
        Span { range, trim_from }: Span,
        path: impl Fn(OutputKind, &BTreeMap<ChannelId, String>) -> Option<PathBuf>,
        watch: &Watch,
    ) -> Result<Outcome, RenderingError> {
        let began = Instant::now();
        let names = self.channel_names();
        let mut writers: Vec<Option<FileWriter>> = Vec::new();
        for kind in song.outputs() {
            writers.push(match path(kind, &names) {
                Some(path) => Some(FileWriter::create(path, kind, request.depth, song.rate())?),
                None => None,
            });
        }
        let options = self.options(request, song, watch);
        let mut failed = None;
        watch.set(0, range.end - range.start);
        let report =
            render::render(song, &self.media, self.cache, range.clone(), &options, &mut |piece| {
                watch.set(piece.frame - range.start, range.end - range.start);
                let Some(Some(writer)) = writers.get_mut(piece.output) else { return true };
                let written = writer.write(piece.frame, piece.left, piece.right, trim_from);
                written.map_err(|error| failed = Some(error)).is_ok()
            });
        if let Some(error) = failed {
            return Err(error);
        }
        let report = report?;
        let mut files = Vec::new();
        for writer in writers.into_iter().flatten() {
            files.push(writer.finish()?);
        }
        watch.set(1, 1);
        crate::metrics::CACHE_HITS.add(report.hit);
        crate::metrics::CACHE_MISSES.add(report.rendered);
        let frames = files.iter().map(|file| file.frames).max().unwrap_or(0);
        let wall_ms = began.elapsed().as_secs_f64() * 1_000.0;
        Ok(Outcome { files, rate: song.rate(), frames, wall_ms, report })
    }

    /// The mix in one file.
    pub fn mix(
        &self,
        request: &Request,
        path: &Path,
        watch: &Watch,
    ) -> Result<Outcome, RenderingError> {
        let only_mix = |kind, _: &BTreeMap<ChannelId, String>| {
            (kind == OutputKind::Master).then(|| path.to_owned())
        };
        self.to_files(request, &Scope::mix(), only_mix, watch)
    }

    /// A span of the mix in one file.
    pub fn mix_of(
        &self,
        request: &Request,
        song: &Song,
        span: Span,
        path: &Path,
        watch: &Watch,
    ) -> Result<Outcome, RenderingError> {
        let only = |kind, _: &BTreeMap<ChannelId, String>| {
            (kind == OutputKind::Master).then(|| path.to_owned())
        };
        self.song_to_files(request, song, span, only, watch)
    }

    /// One channel alone in one file, as `bare` hears it; a whole song with its
    /// tail where no span is given.
    pub fn alone(
        &self,
        request: &Request,
        bare: &Bare,
        span: Option<Span>,
        path: &Path,
        watch: &Watch,
    ) -> Result<Outcome, RenderingError> {
        let seen = bare.over(&self.stored);
        let scope = Scope::channel(bare.channel.id);
        let rate = self.rate(request);
        let arrangement = bare.channel.arrangement;
        let song = Song::derive(&seen, self.registry, arrangement, rate, &scope)?;
        self.stored.check()?;
        let span = match span {
            Some(span) => span,
            None => self.span(request, &song)?,
        };
        let only = |kind, _: &BTreeMap<ChannelId, String>| {
            matches!(kind, OutputKind::Stem(_)).then(|| path.to_owned())
        };
        self.song_to_files(request, &song, span, only, watch)
    }

    /// The channels of the arrangement that have a stem of their own.
    fn stem_channels(&self) -> Vec<ChannelId> {
        let Some(arrangement) = self.stored.active_arrangement() else { return Vec::new() };
        let all = self.stored.referring::<Channel>(arrangement);
        let stem = |channel: &&Channel| channel.channel_kind != ChannelKind::Master;
        all.iter().filter(stem).map(|channel| channel.id).collect()
    }

    /// One file a channel, beside the mix where a path is given for it.
    pub fn stems(
        &self,
        request: &Request,
        folder: &Path,
        channels: &[ChannelId],
        mix: Option<&Path>,
        pre_fader: bool,
        watch: &Watch,
    ) -> Result<Outcome, RenderingError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| RenderingError::File { path: folder.to_owned(), error })?;
        let arrangement = self.arrangement(request)?;
        let wanted: Vec<ChannelId> = if channels.is_empty() {
            let all = self.stored.referring::<Channel>(arrangement);
            let stem = |channel: &&Channel| channel.channel_kind != ChannelKind::Master;
            all.iter().filter(stem).map(|channel| channel.id).collect()
        } else {
            channels.to_vec()
        };
        let scope = Scope { pre_fader, ..Scope::with_stems(wanted) };
        let taken = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let name = |kind, names: &BTreeMap<ChannelId, String>| match kind {
            OutputKind::Master => mix.map(Path::to_owned),
            OutputKind::Stem(id) | OutputKind::Tap(id) => {
                let name = names.get(&ChannelId(id.id)).map_or("channel", String::as_str);
                Some(folder.join(files::file_name(name, &mut taken.borrow_mut())))
            }
        };
        self.to_files(request, &scope, name, watch)
    }
}

/// The cache of a project, in its own folder.
pub fn open_cache(project: &Path, bytes: u64) -> Result<DiskCache, CacheError> {
    DiskCache::open(&project.join(pulse_store::project::STORE_DIR).join("cache"), bytes)
}

/// A cache that is thrown away, for `--no-cache` and for projects without a
/// folder: segments of one render still meet there. The folder goes with its
/// second half.
pub fn scratch_cache(bytes: u64) -> Result<(DiskCache, Scratch), CacheError> {
    let folder = Scratch::new().map_err(|source| CacheError::Io {
        file: std::env::temp_dir(),
        action: "making a folder below it",
        source,
    })?;
    Ok((DiskCache::open(folder.path(), bytes)?, folder))
}
