//! From a revision to files: mixes, stems, differences.
//!
//! Everything here works on a view and a folder, so that it runs on a worker
//! of the server, in the process of the command line, and in a test.

mod bare;
mod causes;
mod diff;
mod files;
mod known;
mod level;
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
    dither::Dither,
    file::{Depth, WriteError},
    loudness_report::{LoudnessError, LoudnessReport},
    math,
    registry::Registry,
};
use pulse_query::{
    content::tempo_map,
    graph::Scope,
    render::{self, Options, Piece, RenderError, Report, Song},
    source::SourceExt,
    stored::Stored,
};
use pulse_schemas::{
    command::rendering::Normalise,
    entity::{Channel, ChannelKind, MediaItem},
    error::ErrorCode,
    graph::OutputKind,
    hash::Hash,
    id::{AnyId, ArrangementId, ChannelId, MediaId, TrackId},
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
pub use files::{file_name, partial_of};
pub use known::KnownMedia;
pub use media::ProjectMedia;
pub use slot::CacheSlot;

use files::{FileWriter, Form};

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
    #[error("the folder {} does not exist; make it first, or name another", path.display())]
    Folder { path: PathBuf },
    #[error("{}: the file's name ends in .wav or .flac", path.display())]
    Name { path: PathBuf },
    #[error(
        "there are no stems to render: no channel feeds the master, or none of those named is there"
    )]
    NoStems,
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
    #[error("there is nothing to hear: no clip sounds; give an end to render silence")]
    Nothing,
    #[error("{}; silence would be kept in its place", Missing::list(missing))]
    Missing { missing: Vec<Missing> },
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
            RenderingError::Folder { .. } => {
                Refusal::new(ErrorCode::IoFailed, text.clone()).with("reason", text)
            }
            RenderingError::Render(RenderError::Cancelled) => {
                Refusal::new(ErrorCode::RenderCancelled, text)
            }
            RenderingError::Missing { missing } => {
                let ids: Vec<_> = missing.iter().map(|it| it.media).collect();
                Refusal::new(ErrorCode::MediaOffline, text).with("media", json!(ids))
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

/// The same for what is heard in place of others, behind nodes and faders that may
/// raise it: −140 dBFS.
pub const NOTHING_LEFT: f32 = 1e-7;

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
    pub dither: Dither,
    /// One channel: the mean of both.
    pub mono: bool,
    pub normalise: Option<Normalise>,
    /// Below this a tail counts as silent.
    pub quiet: f32,
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
            dither: Dither::Triangular,
            mono: false,
            normalise: None,
            quiet: SILENT,
        }
    }
}

impl Request {
    fn form(&self, gain: f32) -> Form {
        let Request { depth, dither, mono, quiet, .. } = *self;
        Form { depth, dither, mono, gain, quiet }
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

/// Which channels get files of their own, and of what.
#[derive(Clone, Copy, Default)]
pub struct Stems<'a> {
    /// All where there are none.
    pub channels: &'a [ChannelId],
    /// The file of the mix, beside them.
    pub mix: Option<&'a Path>,
    pub pre_fader: bool,
    /// Only those that feed the master themselves.
    pub top: bool,
    pub flac: bool,
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
    /// Samples beyond full scale that the format cut off.
    pub clipped: u64,
    pub loudness: LoudnessReport,
}

/// A file that clips play and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    pub media: MediaId,
    pub name: String,
    pub path: String,
}

impl Missing {
    pub fn json(&self) -> Value {
        json!({ "media": self.media, "name": self.name, "path": self.path })
    }

    fn list(missing: &[Missing]) -> String {
        let names: Vec<&str> = missing.iter().map(|it| it.name.as_str()).collect();
        match &names[..] {
            [name] => format!("the file of {name} is missing"),
            names => format!("the files of {} are missing", names.join(", ")),
        }
    }
}

/// What a render made.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub files: Vec<Rendered>,
    pub rate: u32,
    pub frames: u64,
    pub wall_ms: f64,
    pub report: Report,
    /// Media that were heard as silence.
    pub missing: Vec<Missing>,
    /// By how much everything was turned to reach a level.
    pub normalised_db: Option<f64>,
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

    /// As the wire has it.
    pub fn json(&self) -> Value {
        let Report { total, hit, rendered, decoded, resampled, stretched, .. } = self.report;
        json!({
            "files": self.files.iter().map(Rendered::json).collect::<Vec<_>>(),
            "frames": self.frames,
            "rate": self.rate,
            "pcmHash": self.files.first().map(|file| file.pcm_hash).unwrap_or_default(),
            "wallMs": self.wall_ms,
            "xRealtime": self.x_realtime(),
            "segments": { "total": total, "hit": hit, "rendered": rendered },
            "clips": { "decoded": decoded, "resampled": resampled, "stretched": stretched },
            "verified": self.report.verified,
            "mismatched": self.report.mismatched.len(),
            "remade": self.report.remade,
            "missing": self.missing.iter().map(Missing::json).collect::<Vec<_>>(),
            "failedNodes": self.report.failed,
            "volatileNodes": self.report.volatile,
            "normalisedDb": self.normalised_db,
        })
    }
}

impl Rendered {
    fn json(&self) -> Value {
        let LoudnessReport {
            integrated_lufs, short_term_max_lufs, range_lu, true_peak_dbtp, ..
        } = self.loudness;
        json!({
            "path": self.path,
            "source": self.source,
            "media": null,
            "frames": self.frames,
            "peakDb": level(true_peak_dbtp),
            "loudnessLufs": level(integrated_lufs),
            "shortTermMaxLufs": level(short_term_max_lufs),
            "rangeLu": level(range_lu),
            "clippedSamples": self.clipped,
            "pcmHash": self.pcm_hash,
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

    /// Media that the renders so far asked for in vain.
    pub fn missing(&self) -> Vec<Missing> {
        let gone = self.media.missing();
        let items = self.stored.all::<MediaItem>().into_iter();
        let items =
            items.filter(|item| item.content.is_some_and(|content| gone.contains(&content)));
        items
            .map(|MediaItem { id, name, storage, .. }| Missing {
                media: id,
                name,
                path: storage.path,
            })
            .collect()
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
        span: Span,
        path: impl Fn(OutputKind, &BTreeMap<ChannelId, String>) -> Option<PathBuf>,
        watch: &Watch,
    ) -> Result<Outcome, RenderingError> {
        let began = Instant::now();
        let names = self.channel_names();
        let paths: Vec<_> =
            song.outputs().into_iter().map(|kind| (kind, path(kind, &names))).collect();
        let measured = match request.normalise {
            Some(level) => Some(self.measure(request, song, &span, &paths, level, watch)?),
            None => None,
        };
        let Span { range, trim_from } = span;
        let db = measured.as_ref().map(|(db, _)| *db);
        let form = request.form(db.map_or(1.0, |db| math::db_to_gain(db) as f32));
        let mut writers: Vec<Option<FileWriter>> = Vec::new();
        for (kind, path) in paths {
            writers.push(match path {
                Some(path) => Some(FileWriter::create(path, kind, form, song.rate())?),
                None => None,
            });
        }
        let mut failed = None;
        let report = self.run(request, song, range, watch, &mut |piece| {
            let Some(Some(writer)) = writers.get_mut(piece.output) else { return true };
            let written = writer.write(piece.frame, piece.left, piece.right, trim_from);
            written.map_err(|error| failed = Some(error)).is_ok()
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let report = report?;
        let mut writers: Vec<FileWriter> = writers.into_iter().flatten().collect();
        // Files of one render are of one length, so that they line up in any program.
        let frames = writers.iter().map(FileWriter::frames).max().unwrap_or(0);
        if frames == 0 && !writers.is_empty() {
            return Err(RenderingError::Nothing);
        }
        let mut files = Vec::new();
        for mut writer in writers.drain(..) {
            writer.extend_to(frames)?;
            files.push(writer.finish()?);
        }
        watch.set(1, 1);
        crate::metrics::CACHE_HITS.add(report.hit);
        crate::metrics::CACHE_MISSES.add(report.rendered);
        let wall_ms = began.elapsed().as_secs_f64() * 1_000.0;
        // What was measured was rendered then.
        let report = measured.map_or(report, |(_, report)| report);
        let (rate, missing) = (song.rate(), self.missing());
        Ok(Outcome { files, rate, frames, wall_ms, report, missing, normalised_db: db })
    }

    fn run(
        &self,
        request: &Request,
        song: &Song,
        range: std::ops::Range<i64>,
        watch: &Watch,
        sink: &mut dyn FnMut(Piece<'_>) -> bool,
    ) -> Result<Report, RenderError> {
        let options = self.options(request, song, watch);
        watch.set(0, range.end - range.start);
        render::render(song, &self.media, self.cache, range.clone(), &options, &mut |piece| {
            watch.set(piece.frame - range.start, range.end - range.start);
            sink(piece)
        })
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
        stems: &Stems<'_>,
        watch: &Watch,
    ) -> Result<Outcome, RenderingError> {
        let Stems { channels, mix, pre_fader, top, flac } = *stems;
        let arrangement = self.arrangement(request)?;
        let all = self.stored.referring::<Channel>(arrangement);
        let masters: Vec<ChannelId> = all
            .iter()
            .filter(|it| it.channel_kind == ChannelKind::Master)
            .map(|it| it.id)
            .collect();
        let wanted = |channel: &&Channel| {
            let named = channels.is_empty() || channels.contains(&channel.id);
            let direct = channel.output.is_some_and(|output| masters.contains(&output));
            channel.channel_kind != ChannelKind::Master && named && (direct || !top)
        };
        let wanted: Vec<ChannelId> = all.iter().filter(wanted).map(|channel| channel.id).collect();
        if wanted.is_empty() {
            return Err(RenderingError::NoStems);
        }
        std::fs::create_dir_all(folder)
            .map_err(|error| RenderingError::File { path: folder.to_owned(), error })?;
        let scope = Scope { pre_fader, ..Scope::with_stems(wanted) };
        let extension = if flac { ".flac" } else { ".wav" };
        let taken = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let name = |kind, names: &BTreeMap<ChannelId, String>| match kind {
            OutputKind::Master => mix.map(Path::to_owned),
            OutputKind::Stem(id) | OutputKind::Tap(id) => {
                let name = names.get(&ChannelId(id.id)).map_or("channel", String::as_str);
                Some(folder.join(files::file_name(name, extension, &mut taken.borrow_mut())))
            }
        };
        self.to_files(request, &scope, name, watch)
    }
}

/// The cache of a project, in its own folder.
pub fn open_cache(project: &Path, bytes: u64) -> Result<DiskCache, CacheError> {
    DiskCache::open(&cache_dir(project), bytes)
}

fn cache_dir(project: &Path) -> PathBuf {
    project.join(pulse_store::project::STORE_DIR).join("cache")
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
