//! Sound from the command line.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::Ordering,
    time::Duration,
};

use pulse_engine::{dither::Dither, file::Depth, registry::Registry};
use pulse_query::{content::tempo_map, source::SourceExt, stored::Stored};
use pulse_schemas::{
    command::rendering::{Normalise, SampleFormat},
    entity::Channel,
    error::ErrorCode,
    id::ChannelId,
    job::Job,
    time::{Flicks, SignatureMap, Ticks},
};
use pulse_store::{
    cache::CacheStore,
    project::{DraftPolicy, OpenOptions, Project},
    rev::Rev,
    view::View,
};
use serde_json::{Value, json};

use super::{
    access::{Access, Place},
    output::{Failure, Output, list, number, text},
};
use crate::{
    commands::rendering::last_commit,
    refusal::Refusal,
    rendering::{
        AudibleDiff, Outcome, Renderer, RenderingError, Request, Stems, Watch, all_channels,
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
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    from: Option<String>,
    /// Where to end.
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
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
    #[arg(long, default_value_t = crate::rendering::TAIL_SECONDS, value_parser = seconds)]
    tail: f64,
    /// With --stems: only channels that feed the master themselves, which sum to the mix.
    #[arg(long, requires = "stems")]
    top: bool,
    /// With --stems: only this channel, by name or id; several times for several.
    #[arg(long, value_name = "CHANNEL", requires = "stems")]
    only: Vec<String>,
    /// With --stems: FLAC instead of WAV.
    #[arg(long, requires = "stems")]
    flac: bool,
    /// One channel: the mean of left and right.
    #[arg(long)]
    mono: bool,
    /// Round to 16 or 24 bits without dither.
    #[arg(long)]
    no_dither: bool,
    /// Bring the mix to a true peak, `-1`, or to a loudness, `-14lufs`; stems are turned by as much.
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    normalise: Option<String>,
    /// Leave the cache out.
    #[arg(long)]
    no_cache: bool,
    /// Render what the cache has again and compare.
    #[arg(long)]
    verify: bool,
    /// Threads; all cores when absent.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=600.0).contains(seconds));
    seconds.ok_or_else(|| "give seconds, 0 to 600".to_owned())
}

/// `-1` or `-1dB` (true peak), `-14lufs` (loudness).
fn level(text: &str) -> Result<Normalise, Failure> {
    let lower = text.to_lowercase();
    let loudness = lower.strip_suffix("lufs");
    let number = loudness.unwrap_or(lower.strip_suffix("db").unwrap_or(&lower));
    let level: Option<f64> = number.trim().parse().ok().filter(|it| (-60.0..=0.0).contains(it));
    let wrong = || {
        let text = format!("--normalise takes a level such as -1 (dBTP) or -14lufs; found {text}");
        Failure::Usage(text)
    };
    let level = level.ok_or_else(wrong)?;
    Ok(if loudness.is_some() { Normalise::Loudness(level) } else { Normalise::Peak(level) })
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
        let project = match Project::open(&dir, options) {
            Err(error) if error.is_about_writing() => {
                Project::open(&dir, OpenOptions { read_only: true, ..OpenOptions::default() })
            }
            opened => opened,
        };
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

/// A project that is read here, or by the server that has it.
enum Opened {
    Here(Box<Reading>),
    Served(Access),
}

/// Who else renders is waited for: both use all cores, and the second finds in the cache what
/// the first has made.
fn open(place: &Place) -> Result<Opened, Failure> {
    let interrupted = super::play::interrupted();
    let mut told = false;
    loop {
        let body = match Reading::open(place) {
            Ok(reading) => return Ok(Opened::Here(Box::new(reading))),
            Err(Failure::Refused(body)) if body.code == ErrorCode::ProjectLocked.as_str() => body,
            Err(other) => return Err(other),
        };
        if let Some(socket) = body.details.get("socket").and_then(Value::as_str) {
            return Ok(Opened::Served(place.connect(Path::new(socket))?));
        }
        if interrupted.load(Ordering::Relaxed) {
            return Err(body.into());
        }
        if !told {
            tracing::warn!("{}; waiting until it is free", body.message);
            told = true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn render(place: &Place, output: &Output, arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.output.is_none() && arguments.stems.is_none() {
        return Err(Failure::Usage("give -o FILE, --stems DIR, or both".into()));
    }
    let form = Form::of(arguments)?;
    let report = match open(place)? {
        Opened::Here(reading) => here(*reading, output, arguments, &form)?.json(),
        Opened::Served(mut access) => {
            let (name, payload) = asked(&mut access, arguments, &form)?;
            let mut done = follow(&mut access, output, name, payload)?;
            done["report"].take()
        }
    };
    let told = told(&report);
    Ok(output.result(&told, |output| page(output, &told)))
}

/// What the words of the arguments mean.
struct Form {
    depth: Depth,
    normalise: Option<Normalise>,
}

impl Form {
    fn of(arguments: &Arguments) -> Result<Form, Failure> {
        let normalise = arguments.normalise.as_deref().map(level).transpose()?;
        Ok(Form { depth: depth(&arguments.bits)?, normalise })
    }
}

fn here(
    reading: Reading,
    output: &Output,
    arguments: &Arguments,
    form: &Form,
) -> Result<Outcome, Failure> {
    let view = reading.view(arguments.rev.as_deref())?;
    let stored = Stored::new(view.clone());
    let mut request = Request {
        rate: arguments.rate,
        depth: form.depth,
        from: position(&stored, arguments.from.as_deref())?,
        to: position(&stored, arguments.to.as_deref())?,
        tail: arguments.tail,
        use_cache: !arguments.no_cache,
        verify: if arguments.verify { 1.0 } else { 0.0 },
        dither: if arguments.no_dither { Dither::None } else { Dither::Triangular },
        mono: arguments.mono,
        normalise: form.normalise,
        ..Request::default()
    };
    request.threads = arguments.threads.map_or(request.threads, usize::from);
    let all = stored.all::<Channel>();
    let names = all.iter().map(|channel| (channel.id, channel.name.as_str()));
    let channels = chosen(&arguments.only, &names.collect::<Vec<_>>())?;
    let outcome = with_cache(&reading, request.use_cache, |cache| {
        let renderer = Renderer::new(view.clone(), &reading.registry, Some(&reading.dir), cache);
        watched(output, |watch| match (&arguments.stems, &arguments.output) {
            (Some(folder), mix) => {
                let stems = Stems {
                    channels: &channels,
                    mix: mix.as_deref(),
                    pre_fader: arguments.pre_fader,
                    top: arguments.top,
                    flac: arguments.flac,
                };
                renderer.stems(&request, folder, &stems, watch)
            }
            (None, Some(path)) => renderer.mix(&request, path, watch),
            (None, None) => Err(RenderingError::Name { path: PathBuf::new() }),
        })
    })?;
    reading.project.close().map_err(Refusal::from)?;
    Ok(outcome)
}

/// Channels by name or id.
fn chosen(only: &[String], all: &[(ChannelId, &str)]) -> Result<Vec<ChannelId>, Failure> {
    let mut chosen = Vec::new();
    for wanted in only {
        let before = chosen.len();
        let is = |(id, name): &&(ChannelId, &str)| {
            name.eq_ignore_ascii_case(wanted) || id.any().to_string() == *wanted
        };
        chosen.extend(all.iter().filter(is).map(|(id, _)| *id));
        if chosen.len() == before {
            let names: Vec<&str> = all.iter().map(|(_, name)| *name).collect();
            let text = format!("no channel is called {wanted}; there are {}", names.join(", "));
            return Err(Failure::Usage(text));
        }
    }
    Ok(chosen)
}

/// The arguments as a command for a server.
fn asked(
    access: &mut Access,
    arguments: &Arguments,
    form: &Form,
) -> Result<(&'static str, Value), Failure> {
    let place = |text: &Option<String>| text.as_deref().map(place_of).transpose();
    let settings = json!({
        "rate": arguments.rate,
        "format": match form.depth {
            Depth::Int16 => SampleFormat::Int16,
            Depth::Int24 => SampleFormat::Int24,
            Depth::Float32 => SampleFormat::Float32,
        },
        "from": place(&arguments.from)?,
        "to": place(&arguments.to)?,
        "tail": Flicks::from_seconds(arguments.tail),
        "noCache": arguments.no_cache,
        "verify": arguments.verify,
        "threads": arguments.threads,
        "noDither": arguments.no_dither,
        "mono": arguments.mono,
        "normalise": form.normalise,
    });
    let (rev, path) = (&arguments.rev, arguments.output.as_deref().map(absolute).transpose()?);
    let Some(folder) = &arguments.stems else {
        return Ok(("rendering.render", json!({"path": path, "rev": rev, "settings": settings})));
    };
    let listed = access.ask("channel.list")?;
    let listed: Vec<Channel> = serde_json::from_value(listed["channels"].clone())?;
    let names: Vec<_> = listed.iter().map(|channel| (channel.id, channel.name.as_str())).collect();
    let payload = json!({
        "folder": absolute(folder)?,
        "mix": path,
        "rev": rev,
        "channels": chosen(&arguments.only, &names)?,
        "preFader": arguments.pre_fader,
        "top": arguments.top,
        "flac": arguments.flac,
        "settings": settings,
    });
    Ok(("rendering.stems", payload))
}

/// The server may stand in another folder.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| super::access::io(&error, path))
}

/// A position as the wire has it.
fn place_of(text: &str) -> Result<Value, Failure> {
    Ok(match seconds_of(text)? {
        Some(flicks) => json!({ "flicks": flicks }),
        None => json!({ "text": text }),
    })
}

/// Starts a job of a server and waits for it; Ctrl-C cancels it there.
fn follow(
    access: &mut Access,
    output: &Output,
    name: &str,
    payload: Value,
) -> Result<Value, Failure> {
    let interrupted = super::play::interrupted();
    let started = access.call(name, payload)?;
    let asked = json!({ "job": started["job"] });
    let shown = !output.json && std::io::stderr().is_terminal();
    let mut cancelled = false;
    loop {
        let mut told = access.call("rendering.progress", asked.clone())?;
        let job: Job = serde_json::from_value(told["job"].clone())?;
        if shown {
            bar(job.progress);
        }
        if job.finished.is_some() {
            if shown {
                clear_line();
            }
            return match job.error {
                Some(error) => Err(error.into()),
                None => Ok(told.take()),
            };
        }
        if interrupted.load(Ordering::Relaxed) && !cancelled {
            cancelled = true;
            access.call("rendering.cancel", asked.clone())?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
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
            // Somebody may have it, or it can't be written: what is known is left out.
            Err(error) => {
                tracing::warn!("{error}; rendering without what is known");
                let cache = scratch_cache(bytes).map_err(RenderingError::from);
                cache.and_then(|(cache, _folder)| work(&cache))
            }
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

/// What `12.5s` means; nothing where it is a place in bars.
fn seconds_of(text: &str) -> Result<Option<Flicks>, Failure> {
    let Some(number) = text.strip_suffix('s') else { return Ok(None) };
    let seconds: f64 =
        number.parse().map_err(|_| Failure::Usage(format!("{text:?} is no time such as 12.5s")))?;
    if seconds < 0.0 {
        return Err(Failure::Usage(format!("{text} lies before the song, which starts at 0s")));
    }
    let flicks = Flicks::from_seconds(seconds);
    flicks.map(Some).ok_or_else(|| Failure::Usage(format!("{text:?} is beyond the timeline")))
}

/// `17.3.240`, or `12.5s`.
pub fn position(stored: &Stored, text: Option<&str>) -> Result<Option<Ticks>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let arrangement = stored
        .active_arrangement()
        .ok_or_else(|| Failure::from(Refusal::from(RenderingError::NoArrangement)))?;
    if let Some(flicks) = seconds_of(text)? {
        return Ok(Some(tempo_map(stored, arrangement).tick_at(flicks)));
    }
    let mut points = stored.members_of::<pulse_schemas::entity::SignaturePoint>(arrangement.0);
    points.sort_by_key(|point| (point.at, point.id));
    let marks: Vec<_> = points.iter().map(Into::into).collect();
    let map = SignatureMap::repaired(&marks).0;
    map.parse(text).map(Some).map_err(|error| Failure::Usage(error.to_string()))
}

/// A report of the wire as `--json` prints it.
pub fn told(report: &Value) -> Value {
    let file = |file: &Value| {
        json!({
            "path": file["path"],
            "source": file["source"],
            "pcm_hash": file["pcmHash"],
            "frames": file["frames"],
            "clipped_samples": file["clippedSamples"],
            "loudness": {
                "integrated_lufs": file["loudnessLufs"],
                "short_term_max_lufs": file["shortTermMaxLufs"],
                "range_lu": file["rangeLu"],
                "true_peak_dbtp": file["peakDb"],
            },
        })
    };
    let files = list(report, "files");
    json!({
        "frames": report["frames"],
        "rate": report["rate"],
        "pcm_hash": files.first().map(|file| &file["pcmHash"]),
        "wall_ms": report["wallMs"],
        "x_realtime": report["xRealtime"],
        "segments": report["segments"],
        "clips": report["clips"],
        "verified": report["verified"],
        "mismatched": report["mismatched"],
        "remade": report["remade"],
        "missing_media": report["missing"],
        "failed_nodes": report["failedNodes"],
        "volatile_nodes": report["volatileNodes"],
        "normalised_db": report["normalisedDb"],
        "files": files.iter().map(file).collect::<Vec<_>>(),
    })
}

/// What a report says to people.
pub fn page(output: &Output, told: &Value) -> String {
    let mut page = String::new();
    let db = |value: &Value| value.as_f64().unwrap_or(f64::NEG_INFINITY);
    let mut clipped = 0;
    for file in list(told, "files") {
        let loudness = &file["loudness"];
        page += &format!(
            "{} {:6.1} LUFS, true peak {:5.1} dBTP",
            output.bold(text(file, "path")),
            db(&loudness["integrated_lufs"]),
            db(&loudness["true_peak_dbtp"]),
        );
        let cut = number(file, "clipped_samples");
        if cut > 0 {
            page += &output.paint("31", &format!(", {cut} samples clipped"));
        }
        clipped += cut;
        page.push('\n');
    }
    if let Some(db) = told["normalised_db"].as_f64() {
        page += &format!("turned by {db:+.1} dB to reach the level\n");
    }
    page += &numbers(told);
    for line in complaints(told, clipped) {
        page += &output.paint("31", &line);
        page.push('\n');
    }
    page
}

fn complaints(told: &Value, clipped: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for missing in list(told, "missing_media") {
        lines.push(format!(
            "{} is missing and silent ({}); `pulse media relink DIR` looks for it",
            text(missing, "name"),
            text(missing, "path")
        ));
    }
    if clipped > 0 {
        lines.push("what is beyond full scale was cut off; turn the master down, or try `--normalise -1` or `--bits 32f`".to_owned());
    }
    let (remade, wrong) = (number(told, "remade"), number(told, "mismatched"));
    if remade > 0 {
        lines.push(format!(
            "{remade} segments were lost or damaged in the cache and rendered again"
        ));
    }
    if wrong > 0 {
        lines.push(format!(
            "{wrong} segments of the cache were wrong, are set aside and rendered again"
        ));
    }
    let failed = list(told, "failed_nodes").len();
    if failed > 0 {
        lines.push(format!("{failed} node(s) failed and were left out"));
    }
    let volatile = list(told, "volatile_nodes").len();
    if volatile > 0 {
        lines.push(format!(
            "{volatile} node(s) make other sound in every render; freeze their tracks to keep one"
        ));
    }
    lines
}

/// Speed and how much of the work was known already.
pub fn numbers(told: &Value) -> String {
    let rate = told["rate"].as_f64().unwrap_or(1.0).max(1.0);
    let part = |name: &str| told[name].as_f64().unwrap_or_default();
    format!(
        "{:.1} s of sound in {:.2} s ({:.0} × real time); {} of {} segments from the cache\n",
        part("frames") / rate,
        part("wall_ms") / 1_000.0,
        part("x_realtime"),
        told["segments"]["hit"],
        told["segments"]["total"]
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
    let (differences, report) = match open(place)? {
        Opened::Here(reading) => diff_here(*reading, output, from, to, folder)?,
        Opened::Served(mut access) => {
            let folder = absolute(folder)?;
            let payload = json!({"folder": folder, "from": from, "to": to, "each": true});
            let mut done = follow(&mut access, output, "rendering.audibleDiff", payload)?;
            let told = list(&done, "audible").iter().map(difference).collect();
            (told, done["report"].take())
        }
    };
    let report = told(&report);
    let value = json!({"differences": differences, "render": report});
    Ok(output.result(&value, |output| {
        if differences.is_empty() {
            return "the two sound the same, bit for bit\n".to_owned();
        }
        let line = |told: &Value| {
            let name = told["name"].as_str().unwrap_or("mix");
            let causes: Vec<&str> =
                list(told, "causes").iter().map(|cause| text(cause, "text")).collect();
            format!(
                "{:8.2} s to {:8.2} s, up to {:6.1} dB  {}  {}\n",
                told["start_s"].as_f64().unwrap_or_default(),
                told["end_s"].as_f64().unwrap_or_default(),
                told["peak_db"].as_f64().unwrap_or_default(),
                output.bold(name),
                output.dim(&causes.join("; ")),
            )
        };
        differences.iter().map(line).collect::<String>() + &page(output, &report)
    }))
}

/// A difference of the wire as `--json` prints it.
fn difference(audible: &Value) -> Value {
    let seconds = |field: &str| {
        let flicks: Option<Flicks> = serde_json::from_value(audible[field].clone()).ok();
        flicks.map(Flicks::as_seconds)
    };
    json!({
        "start_s": seconds("start"),
        "end_s": seconds("end"),
        "peak_db": audible["peakDb"],
        "channel": audible["channel"],
        "name": audible["name"],
        "causes": audible["causes"],
    })
}

fn diff_here(
    reading: Reading,
    output: &Output,
    from: Option<&str>,
    to: Option<&str>,
    folder: &Path,
) -> Result<(Vec<Value>, Value), Failure> {
    let view_a = match from {
        Some(from) => reading.view(Some(from))?,
        None => last_commit(&reading.project)?,
    };
    let view_b = reading.view(to)?;
    let found: AudibleDiff = with_cache(&reading, true, |cache| {
        let renderer =
            |view: View| Renderer::new(view, &reading.registry, Some(&reading.dir), cache);
        let (a, b) = (renderer(view_a.clone()), renderer(view_b.clone()));
        let (request, channels) = (Request::default(), all_channels(&a, &b));
        watched(output, |watch| audible_diff(&a, &b, &request, &channels, Some(folder), watch))
    })?;
    reading.project.close().map_err(Refusal::from)?;
    let rate = found.outcome.rate;
    let differences = found.differences.iter().map(|it| it.json(rate)).collect();
    Ok((differences, found.outcome.json()))
}
