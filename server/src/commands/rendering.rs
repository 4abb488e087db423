//! Renders as jobs: started here, done on a thread, told about by events.

pub mod bounce;
mod preview;
mod source;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_engine::{dither::Dither, file::Depth};
use pulse_schemas::{
    command::{
        rendering::{
            AudibleDiff, CacheInfoReply, Cleared, Command, CompareAudio, Freeze, RenderSettings,
            SampleFormat, Stems, Unfreeze,
        },
        session::{Severity, Warning},
        transport::Place,
        types::Rev as WireRev,
    },
    entity::{AudioFormat, Lifecycle, MediaItem, MediaOrigin, MediaStorage, Track},
    envelope::Timestamp,
    id::{ChannelId, MediaId, TrackId},
};
use pulse_store::{
    cache::CacheStore,
    project::{MEDIA_DIR, Project},
    rev::Rev,
    tx::TxMeta,
    view::View,
};
use serde_json::{Value, json};

use super::edit::{Edit, done, reply};
use crate::{
    refusal::{Refusal, Reply},
    rendering::{
        Bare, NOTHING_LEFT, Outcome, Renderer, RenderingError, Request, Watch, all_channels,
        audible_diff, file_name, scratch_cache,
    },
    renders::Finish,
    scratch::Scratch,
    session::{Caller, Session},
    transport::SongTime,
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Unfreeze(payload) => unfreeze(edit, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Progress(payload) => {
            let job = session.job(payload.job)?;
            let part =
                |name: &str| job.result.as_ref().and_then(|result| result.get(name)).cloned();
            Ok(json!({
                "job": job,
                "report": part("report"),
                "audible": part("audible").unwrap_or_else(|| json!([])),
            }))
        }
        Command::CacheInfo(_) => {
            let stats = session.render_cache_stats()?;
            reply(CacheInfoReply {
                bytes: stats.content_bytes,
                limit: stats.limit_bytes,
                segments: stats.objects,
                hits: stats.content_hits,
                misses: stats.content_misses,
            })
        }
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::Render(payload) => {
            let task =
                Task::of(session, payload.rev.as_ref())?.cached(session, &payload.settings)?;
            let request = request(&task, &payload.settings, payload.arrangement)?;
            let path = absolute(&payload.path, "path")?;
            let label = format!("Render {}", payload.path);
            let job = session.start_job("rendering.render", label, &caller.instance_id, {
                move |watch| {
                    let renderer = task.renderer();
                    report(renderer.mix(&request, &path, watch)?)
                }
            })?;
            Ok(json!({ "job": job }))
        }
        Command::Stems(payload) => stems(session, caller, payload),
        Command::Freeze(payload) => freeze(session, caller, payload),
        Command::Bounce(payload) => bounce::bounce(session, caller, payload),
        Command::Preview(payload) => preview::preview(session, caller, payload),
        Command::AudibleDiff(payload) => listen(session, caller, payload),
        Command::CompareAudio(payload) => compare(session, caller, payload),
        Command::Cancel(payload) => {
            session.cancel_job(payload.job)?;
            done()
        }
        Command::ClearCache(_) => {
            let cache = session.render_cache()?;
            let bytes = cache.stats().content_bytes;
            cache.clear().map_err(Refusal::internal)?;
            reply(Cleared { bytes })
        }
        other => Err(super::not_here(other.spec())),
    }
}

/// What a thread needs to render a revision.
struct Task {
    view: View,
    registry: Arc<pulse_engine::registry::Registry>,
    folder: Option<PathBuf>,
    cache: Arc<dyn CacheStore>,
    /// Where a cache lies that is thrown away; it goes after the cache.
    _scratch: Option<Arc<Scratch>>,
}

/// The two sides of a difference; the last commit is the older where none is named.
fn both(
    session: &mut Session,
    from: Option<&WireRev>,
    to: Option<&WireRev>,
) -> Result<(Task, Task), Refusal> {
    let to = Task::of(session, to)?;
    let from = match from {
        Some(from) => Task::of(session, Some(from))?,
        None => {
            let view = last_commit(session.project()?)?;
            Task { view, ..Task::of(session, None)? }
        }
    };
    Ok((from, to))
}

/// The latest commit of the branch that is open.
pub fn last_commit(project: &Project) -> Result<View, Refusal> {
    let commit = project.known_commit(project.tip()?)?;
    Ok(project.view_of_root(commit.root)?.resolved()?)
}

impl Task {
    fn of(session: &mut Session, rev: Option<&WireRev>) -> Result<Task, Refusal> {
        let view = match rev {
            None => session.view()?,
            Some(rev) => {
                let rev = Rev::parse(&rev.0).map_err(|error| {
                    Refusal::new(
                        pulse_schemas::error::ErrorCode::VersionNotFound,
                        error.to_string(),
                    )
                })?;
                session.project()?.view_at(&rev)?.resolved()?
            }
        };
        Ok(Task {
            view,
            registry: Arc::clone(&session.registry),
            folder: session.open.as_ref().and_then(|open| open.path.clone()),
            cache: session.render_cache()?,
            _scratch: None,
        })
    }

    /// With a cache that is thrown away, where the settings want none of what is known.
    fn cached(self, session: &Session, settings: &RenderSettings) -> Result<Task, Refusal> {
        if !settings.no_cache {
            return Ok(self);
        }
        let bytes = session.config.render_cache_bytes;
        let (cache, scratch) = scratch_cache(bytes).map_err(RenderingError::from)?;
        Ok(Task { cache: Arc::new(cache), _scratch: Some(Arc::new(scratch)), ..self })
    }

    /// Where the arrangement that plays ends, in frames.
    fn end(&self, rate: u32) -> Result<i64, Refusal> {
        let request = Request { rate: Some(rate), ..Request::default() };
        let song = self.renderer().song(&request, &pulse_query::graph::Scope::mix())?;
        Ok(song.end())
    }

    fn renderer(&self) -> Renderer<'_> {
        Renderer::new(self.view.clone(), &self.registry, self.folder.as_deref(), &*self.cache)
    }
}

fn request(
    task: &Task,
    settings: &RenderSettings,
    arrangement: Option<pulse_schemas::id::ArrangementId>,
) -> Result<Request, Refusal> {
    let defaults = Request::default();
    let heard = task.renderer().arrangement(&Request { arrangement, ..Request::default() })?;
    let time = SongTime::of(&task.view, heard);
    let place = |place: &Place| time.resolve(&task.view, place);
    let from = settings.from.as_ref().map(place).transpose()?;
    let to = settings.to.as_ref().map(place).transpose()?;
    Ok(Request {
        arrangement,
        rate: settings.rate,
        depth: match settings.format {
            SampleFormat::Int16 => Depth::Int16,
            SampleFormat::Int24 => Depth::Int24,
            SampleFormat::Float32 => Depth::Float32,
        },
        from: settings.range.map(|range| range.start).or(from),
        to: settings.range.map(|range| range.end).or(to),
        tail: settings.tail.map_or(defaults.tail, |tail| tail.as_seconds()),
        threads: settings.threads.map_or(defaults.threads, usize::from),
        use_cache: !settings.no_cache,
        verify: if settings.verify { 1.0 } else { 0.0 },
        segment: defaults.segment,
        dither: if settings.no_dither { Dither::None } else { Dither::Triangular },
        mono: settings.mono,
        normalise: settings.normalise,
        quiet: defaults.quiet,
    })
}

/// A path that means the same wherever the server stands.
fn absolute(path: &str, field: &str) -> Result<PathBuf, Refusal> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    let text = format!("{} is no absolute path", path.display());
    Err(Refusal::new(pulse_schemas::error::ErrorCode::PathForbidden, text)
        .with("path", format!("payload.{field}")))
}

/// The result of a job that made files.
fn report(outcome: Outcome) -> Result<Finish, Refusal> {
    let value = json!({ "report": outcome.json() });
    let volatile = outcome.report.volatile.len();
    Ok(Box::new(move |session| {
        if volatile > 0 {
            say_volatile(session, volatile);
        }
        Ok(value)
    }))
}

fn say_volatile(session: &mut Session, nodes: usize) {
    session.warn(Warning {
        id: "render-volatile".into(),
        severity: Severity::Info,
        domain: "rendering".into(),
        message: format!("{nodes} node(s) make other sound in every render"),
        hint: Some("freeze their tracks to keep what they made".into()),
        since: Timestamp((session.clock)()),
    });
}

fn stems(session: &mut Session, caller: &Caller, payload: &Stems) -> Reply {
    let task = Task::of(session, payload.rev.as_ref())?.cached(session, &payload.settings)?;
    let request = request(&task, &payload.settings, payload.arrangement)?;
    let folder = absolute(&payload.folder, "folder")?;
    let mix = payload.mix.as_deref().map(|mix| absolute(mix, "mix")).transpose()?;
    let label = format!("Render stems to {}", payload.folder);
    let payload = payload.clone();
    let job = session.start_job("rendering.stems", label, &caller.instance_id, move |watch| {
        let stems = crate::rendering::Stems {
            channels: &payload.channels,
            mix: mix.as_deref(),
            pre_fader: payload.pre_fader,
            top: payload.top,
            flac: payload.flac,
        };
        report(task.renderer().stems(&request, &folder, &stems, watch)?)
    })?;
    Ok(json!({ "job": job }))
}

fn listen(session: &mut Session, caller: &Caller, payload: &AudibleDiff) -> Reply {
    let (a, b) = both(session, payload.from.as_ref(), payload.to.as_ref())?;
    let (a, b) = (a.cached(session, &payload.settings)?, b.cached(session, &payload.settings)?);
    let request = request(&b, &payload.settings, None)?;
    let folder = absolute(&payload.folder, "folder")?;
    let label = "Listen to the difference".to_owned();
    let channels = compared(&a, &b, &payload.channels, payload.each);
    let job =
        session.start_job("rendering.audibleDiff", label, &caller.instance_id, move |watch| {
            difference(&a, &b, &request, &channels, Some(&folder), watch)
        })?;
    Ok(json!({ "job": job }))
}

fn compare(session: &mut Session, caller: &Caller, payload: &CompareAudio) -> Reply {
    let (a, b) = both(session, payload.from.as_ref(), payload.to.as_ref())?;
    let label = "Compare two revisions by ear".to_owned();
    let channels = compared(&a, &b, &payload.channels, payload.each);
    let job =
        session.start_job("rendering.compareAudio", label, &caller.instance_id, move |watch| {
            difference(&a, &b, &Request::default(), &channels, None, watch)
        })?;
    Ok(json!({ "job": job }))
}

fn compared(a: &Task, b: &Task, named: &[ChannelId], each: bool) -> Vec<ChannelId> {
    match each {
        true => all_channels(&a.renderer(), &b.renderer()),
        false => named.to_vec(),
    }
}

fn difference(
    a: &Task,
    b: &Task,
    request: &Request,
    channels: &[ChannelId],
    folder: Option<&Path>,
    watch: &Watch,
) -> Result<Finish, Refusal> {
    let found = audible_diff(&a.renderer(), &b.renderer(), request, channels, folder, watch)?;
    let rate = found.outcome.rate;
    let flicks = |frame: i64| pulse_schemas::time::Flicks::of_frame(frame, rate);
    let audible: Vec<Value> = found
        .differences
        .iter()
        .map(|it| {
            let told = it.json(rate);
            json!({
                "start": flicks(it.start),
                "end": flicks(it.end),
                "channel": it.channel,
                "name": it.name,
                "peakDb": told["peak_db"],
                "causes": told["causes"],
            })
        })
        .collect();
    let value = json!({"report": found.outcome.json(), "audible": audible});
    Ok(Box::new(move |_| Ok(value)))
}

fn freeze(session: &mut Session, caller: &Caller, payload: &Freeze) -> Reply {
    let task = Task::of(session, None)?;
    let Some(folder) = task.folder.clone() else {
        let text = "a project in memory has nowhere to keep a frozen track";
        return Err(Refusal::new(pulse_schemas::error::ErrorCode::RenderImpossible, text)
            .with("reason", "no folder"));
    };
    for track in &payload.tracks {
        task.view.get::<Track>(*track)?.ok_or_else(|| Refusal::not_found(*track))?;
    }
    let mut tracks = payload.tracks.clone();
    tracks.sort();
    tracks.dedup();
    let tail = payload.tail.map(|tail| tail.as_seconds());
    let author = caller.author.clone();
    let client = caller.instance_id.clone();
    let label = counted(&task.view, "Freeze", &tracks)?;
    let job = session.start_job(
        "rendering.freeze",
        label.clone(),
        &caller.instance_id,
        move |watch| {
            let mut frozen = Vec::new();
            for track in &tracks {
                frozen.push(render_frozen(&task, &folder, *track, tail, watch)?);
            }
            let meta = TxMeta { author, ..TxMeta::new(label, client) };
            Ok(Box::new(move |session: &mut Session| adopt(session, frozen, meta)))
        },
    )?;
    Ok(json!({ "job": job }))
}

/// `Freeze Bass`, `Freeze 3 tracks`.
fn counted(view: &View, what: &str, tracks: &[TrackId]) -> Result<String, Refusal> {
    Ok(match tracks {
        [track] => {
            let track = view.get::<Track>(*track)?;
            format!("{what} {}", track.map(|track| track.name).unwrap_or_default())
        }
        tracks => format!("{what} {} tracks", tracks.len()),
    })
}

/// A frozen render on its way into the project.
struct Frozen {
    track: TrackId,
    item: MediaItem,
}

fn render_frozen(
    task: &Task,
    folder: &Path,
    track: TrackId,
    tail: Option<f64>,
    watch: &Watch,
) -> Result<Frozen, Refusal> {
    let renderer = task.renderer();
    let usual = Request::default();
    let tail = tail.unwrap_or(usual.tail);
    let request = Request { depth: Depth::Float32, tail, quiet: NOTHING_LEFT, ..usual };
    let called = task.view.get::<Track>(track)?.map(|track| track.name).unwrap_or_default();
    let folder = folder.join(MEDIA_DIR);
    let path = folder.join(format!("Frozen/{}.new.wav", track.any()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Refusal::internal)?;
    }
    let bare = Bare::whole(&task.view, track)?;
    let outcome = renderer.alone(&request, &bare, None, &path, watch)?;
    complete(&outcome, &path)?;
    let file = std::fs::File::open(&path).map_err(Refusal::internal)?;
    let mut decoder = pulse_engine::decode::Decoder::open(Box::new(file), Some("wav"))
        .map_err(Refusal::internal)?;
    let content = decoder.content_id().map_err(Refusal::internal)?;
    // What was frozen before stays: other revisions play it.
    let short: String = content.hex().chars().take(16).collect();
    let stem = file_name(&called, "", &mut BTreeSet::new());
    let name = format!("Frozen/{stem}-{short}.wav");
    std::fs::rename(&path, folder.join(&name)).map_err(Refusal::internal)?;
    let item = MediaItem {
        name: format!("{called} frozen"),
        origin: MediaOrigin::Generated,
        storage: MediaStorage { path: name, ..MediaStorage::default() },
        format: AudioFormat {
            container: "wav".into(),
            sample_rate: outcome.rate,
            channels: 2,
            bits: 32,
            float: true,
            frames: outcome.frames,
        },
        lifecycle: Lifecycle::Final,
        content: Some(content),
        lineage: vec![track.any()],
        ..MediaItem::default()
    };
    Ok(Frozen { track, item })
}

/// What stands in for others later must not be silent where a file is away for a while.
fn complete(outcome: &Outcome, path: &Path) -> Result<(), Refusal> {
    if outcome.missing.is_empty() {
        return Ok(());
    }
    drop(std::fs::remove_file(path));
    Err(RenderingError::Missing { missing: outcome.missing.clone() }.into())
}

/// Puts frozen renders in the place of their tracks, as one edit.
fn adopt(session: &mut Session, frozen: Vec<Frozen>, meta: TxMeta) -> Result<Value, Refusal> {
    let meta = TxMeta { time: session.time, ..meta };
    session.transact(meta, |edit| {
        for Frozen { track, item } in frozen {
            let id = MediaId(edit.id());
            edit.put(MediaItem { id, ..item })?;
            edit.update::<Track>(track, |track| track.frozen = Some(id))?;
        }
        Ok(())
    })?;
    Ok(json!({}))
}

fn unfreeze(edit: &mut Edit<'_, '_>, payload: &Unfreeze) -> Reply {
    for track in &payload.tracks {
        edit.update::<Track>(*track, |track| track.frozen = None)?;
    }
    let label = counted(&edit.view()?, "Unfreeze", &payload.tracks)?;
    edit.label(label);
    done()
}
