//! Sound from the command line.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use pulse_engine::{file::Depth, registry::Registry};
use pulse_query::{content::tempo_map, source::SourceExt, stored::Stored};
use pulse_schemas::time::{SignatureMap, Ticks};
use pulse_store::{
    cache::{CacheError, CacheStore},
    project::{DraftPolicy, OpenOptions, Project},
    rev::Rev,
    view::View,
};
use serde_json::{Value, json};

use super::{
    access::Place,
    output::{Failure, Output},
};
use crate::{
    refusal::Refusal,
    rendering::{
        AudibleDiff, Difference, Outcome, Renderer, RenderingError, Request, Watch, all_channels,
        audible_diff, open_cache, scratch_cache,
    },
};

/// The arguments of `pulse render`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The file; its name ends in .wav or .flac.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The revision; the working copy when absent.
    #[arg(long)]
    rev: Option<String>,
    /// Where to start: a position such as 17.3.240, or seconds such as 12.5s.
    #[arg(long, value_name = "POSITION")]
    from: Option<String>,
    /// Where to end.
    #[arg(long, value_name = "POSITION")]
    to: Option<String>,
    /// A file for each channel, in this folder.
    #[arg(long, value_name = "DIR")]
    stems: Option<PathBuf>,
    /// Stems are what reaches the faders.
    #[arg(long, requires = "stems")]
    pre_fader: bool,
    /// Hz; the project's when absent.
    #[arg(long)]
    rate: Option<u32>,
    /// 16, 24 or 32f.
    #[arg(long, default_value = "24")]
    bits: String,
    /// Longest tail to wait for after the end, in seconds.
    #[arg(long, default_value_t = crate::rendering::TAIL_SECONDS)]
    tail: f64,
    /// Leave the cache out.
    #[arg(long)]
    no_cache: bool,
    /// Render what the cache has again and compare.
    #[arg(long)]
    verify: bool,
    /// Threads; all cores when absent.
    #[arg(long)]
    threads: Option<usize>,
}

pub fn depth(bits: &str) -> Result<Depth, Failure> {
    match bits {
        "16" => Ok(Depth::Int16),
        "24" => Ok(Depth::Int24),
        "32f" | "32" => Ok(Depth::Float32),
        _ => Err(Failure::Usage(format!("--bits takes 16, 24 or 32f; found {bits}"))),
    }
}

/// A project to read while a server may hold it.
pub struct Reading {
    pub project: Project,
    pub dir: PathBuf,
    pub registry: Registry,
}

impl Reading {
    pub fn open(place: &Place) -> Result<Reading, Failure> {
        let dir = place.dir()?;
        let options = OpenOptions { draft: DraftPolicy::Adopt, ..OpenOptions::default() };
        let project = Project::open(&dir, options).or_else(|_| {
            Project::open(&dir, OpenOptions { read_only: true, ..OpenOptions::default() })
        });
        let project = project.map_err(Refusal::from)?;
        Ok(Reading { project, dir, registry: Registry::standard() })
    }

    pub fn view(&self, rev: Option<&str>) -> Result<View, Failure> {
        let Some(rev) = rev else { return Ok(self.project.view()) };
        let rev = Rev::parse(rev).map_err(|error| Failure::Usage(error.to_string()))?;
        let stored = self.project.view_at(&rev).map_err(Refusal::from)?;
        Ok(stored.resolved().map_err(Refusal::from)?)
    }
}

pub fn render(place: &Place, output: &Output, arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.output.is_none() && arguments.stems.is_none() {
        return Err(Failure::Usage("give -o FILE, --stems DIR, or both".into()));
    }
    let reading = Reading::open(place)?;
    let view = reading.view(arguments.rev.as_deref())?;
    let stored = Stored::new(view.clone());
    let mut request = Request {
        rate: arguments.rate,
        depth: depth(&arguments.bits)?,
        from: position(&stored, arguments.from.as_deref())?,
        to: position(&stored, arguments.to.as_deref())?,
        tail: arguments.tail,
        use_cache: !arguments.no_cache,
        verify: if arguments.verify { 1.0 } else { 0.0 },
        ..Request::default()
    };
    request.threads = arguments.threads.unwrap_or(request.threads).clamp(1, 256);
    let outcome = with_cache(&reading, request.use_cache, |cache| {
        let renderer = Renderer::new(view.clone(), &reading.registry, Some(&reading.dir), cache);
        watched(output, |watch| match (&arguments.stems, &arguments.output) {
            (Some(folder), mix) => {
                let pre_fader = arguments.pre_fader;
                renderer.stems(&request, folder, &[], mix.as_deref(), pre_fader, watch)
            }
            (None, Some(path)) => renderer.mix(&request, path, watch),
            (None, None) => Err(RenderingError::Name { path: PathBuf::new() }),
        })
    })?;
    reading.project.close().map_err(Refusal::from)?;
    Ok(output.result(&outcome.json(), |output| page(output, &outcome)))
}

/// Runs with the project's cache, or with one that is thrown away.
fn with_cache<R>(
    reading: &Reading,
    keep: bool,
    work: impl FnOnce(&dyn CacheStore) -> Result<R, RenderingError>,
) -> Result<R, Failure> {
    let bytes = super::access::config()?.render_cache_bytes;
    let worked = if keep {
        match open_cache(&reading.dir, bytes) {
            Ok(cache) => work(&cache),
            // A server that has the project may have it, too.
            Err(error @ CacheError::Index(_)) => {
                tracing::warn!("{error}; rendering without what is known");
                let cache = scratch_cache(bytes).map_err(RenderingError::from);
                cache.and_then(|(cache, _folder)| work(&cache))
            }
            Err(error) => Err(error.into()),
        }
    } else {
        let cache = scratch_cache(bytes).map_err(RenderingError::from);
        cache.and_then(|(cache, _folder)| work(&cache))
    };
    Ok(worked.map_err(Refusal::from)?)
}

/// Runs a render with a progress bar on a terminal.
fn watched<R>(
    output: &Output,
    work: impl FnOnce(&Watch) -> Result<R, RenderingError>,
) -> Result<R, RenderingError> {
    let watch = Watch::until(super::play::interrupted());
    if output.json || !std::io::stderr().is_terminal() {
        return work(&watch);
    }
    let shown = watch.clone();
    let finished = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let end = std::sync::Arc::clone(&finished);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while !end.load(std::sync::atomic::Ordering::Relaxed) {
                bar(shown.share());
                std::thread::sleep(Duration::from_millis(80));
            }
            clear_line();
        });
        let result = work(&watch);
        finished.store(true, std::sync::atomic::Ordering::Relaxed);
        result
    })
}

fn bar(share: f64) {
    let width = 40;
    let full = ((share * f64::from(width)) as usize).min(width as usize);
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(width as usize - full));
    // A terminal that is gone has no progress to show.
    let _ = write!(std::io::stderr(), "\r{bar} {:3.0} %", share * 100.0);
}

fn clear_line() {
    let _ = write!(std::io::stderr(), "\r{}\r", " ".repeat(60));
}

/// `17.3.240`, or `12.5s`.
pub fn position(stored: &Stored, text: Option<&str>) -> Result<Option<Ticks>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let arrangement = stored
        .active_arrangement()
        .ok_or_else(|| Failure::from(Refusal::from(RenderingError::NoArrangement)))?;
    if let Some(seconds) = text.strip_suffix('s') {
        let seconds: f64 = seconds
            .parse()
            .map_err(|_| Failure::Usage(format!("{text:?} is no time such as 12.5s")))?;
        let flicks = pulse_schemas::time::Flicks::from_seconds(seconds)
            .ok_or_else(|| Failure::Usage(format!("{text:?} is beyond the timeline")))?;
        return Ok(Some(tempo_map(stored, arrangement).tick_at(flicks)));
    }
    let mut points = stored.members_of::<pulse_schemas::entity::SignaturePoint>(arrangement.0);
    points.sort_by_key(|point| (point.at, point.id));
    let marks: Vec<_> = points.iter().map(Into::into).collect();
    let map = SignatureMap::repaired(&marks).0;
    map.parse(text).map(Some).map_err(|error| Failure::Usage(error.to_string()))
}

pub fn page(output: &Output, outcome: &Outcome) -> String {
    let mut page = String::new();
    for file in &outcome.files {
        page += &format!(
            "{} {:6.1} LUFS, true peak {:5.1} dBTP\n",
            output.bold(&file.path.display().to_string()),
            file.loudness.integrated_lufs,
            file.loudness.true_peak_dbtp
        );
    }
    page += &numbers(outcome);
    if !outcome.report.volatile.is_empty() {
        page += &format!(
            "{} node(s) make other sound in every render; freeze their tracks to keep one\n",
            outcome.report.volatile.len()
        );
    }
    page
}

/// Speed and how much of the work was known already.
pub fn numbers(outcome: &Outcome) -> String {
    let seconds = outcome.frames as f64 / f64::from(outcome.rate.max(1));
    format!(
        "{seconds:.1} s of sound in {:.2} s ({:.0} × real time); {} of {} segments from the cache\n",
        outcome.wall_ms / 1_000.0,
        outcome.x_realtime(),
        outcome.report.hit,
        outcome.report.total
    )
}

/// `pulse diff --audio`: A, B and A − B as files.
pub fn diff_audio(
    place: &Place,
    output: &Output,
    from: Option<&str>,
    to: Option<&str>,
    folder: &Path,
) -> Result<ExitCode, Failure> {
    let reading = Reading::open(place)?;
    let (view_a, view_b) = (reading.view(Some(from.unwrap_or("@~1")))?, reading.view(to)?);
    let found: AudibleDiff = with_cache(&reading, true, |cache| {
        let renderer =
            |view: View| Renderer::new(view, &reading.registry, Some(&reading.dir), cache);
        let (a, b) = (renderer(view_a.clone()), renderer(view_b.clone()));
        let (request, channels) = (Request::default(), all_channels(&a, &b));
        watched(output, |watch| audible_diff(&a, &b, &request, &channels, Some(folder), watch))
    })?;
    reading.project.close().map_err(Refusal::from)?;
    let rate = found.outcome.rate;
    let channels = Stored::new(view_b).all::<pulse_schemas::entity::Channel>();
    let names: std::collections::BTreeMap<_, String> =
        channels.into_iter().map(|channel| (channel.id, channel.name)).collect();
    let differences: Vec<Value> = found.differences.iter().map(|it| it.json(rate)).collect();
    let value = json!({"differences": differences, "render": found.outcome.json()});
    Ok(output.result(&value, |output| {
        if differences.is_empty() {
            return "the two sound the same, bit for bit\n".to_owned();
        }
        let line = |(it, told): (&Difference, &Value)| {
            let name = it
                .channel
                .map_or("mix", |channel| names.get(&channel).map_or("channel", String::as_str));
            let causes: Vec<&str> = it.causes.iter().map(|cause| cause.text.as_str()).collect();
            format!(
                "{:8.2} s to {:8.2} s, up to {:6.1} dB  {}  {}\n",
                told["start_s"].as_f64().unwrap_or_default(),
                told["end_s"].as_f64().unwrap_or_default(),
                told["peak_db"].as_f64().unwrap_or_default(),
                output.bold(name),
                output.dim(&causes.join("; ")),
            )
        };
        let lines: String = found.differences.iter().zip(&differences).map(line).collect();
        lines + &page(output, &found.outcome)
    }))
}
