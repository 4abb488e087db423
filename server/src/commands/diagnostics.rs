//! Diagnostics: how Pulse is doing.

use std::{collections::BTreeMap, path::Path};

use pulse_schemas::{
    command::{
        diagnostics::{
            Check, CheckReply, CollectGarbage, Collected, Command, Diagnosis, DiagnosticsReport,
            EngineReport, Finding, NodeLoadList, NodeLoads, StoreReport,
        },
        session::Severity,
    },
    entity::{AnyEntity, Channel, DspNode, Lane, MediaItem, OnDelete, Send, Track},
    error::ErrorCode,
    id::{AnyId, ChannelId, EntityKind, LaneId, NodeId, SendId, TrackId},
    record::EntityKey,
};
use pulse_store::{
    overlay,
    project::CareError,
    repo::layout::JOURNAL_FILE,
    view::{self, ReadError, View},
};

use super::edit::{done, reply};
use crate::{
    metrics::{self, Gauges},
    places::Places,
    refusal::{Refusal, Reply},
    rendering::Watch,
    session::{Open, Session},
};

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Report(_) => report(session),
        Command::NodeLoads(payload) => node_loads(session, payload),
        Command::Doctor(_) => doctor(session),
        Command::Check(payload) => check_here(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, command: &Command) -> Reply {
    match command {
        Command::CollectGarbage(payload) => collect_garbage(session, payload),
        Command::Profile(payload) => {
            session.live.playback.set_profiling(payload.enabled);
            done()
        }
        Command::ResetCounters(_) => {
            session.live.playback.reset_counters();
            done()
        }
        other => Err(super::not_here(other.spec())),
    }
}

/// Pages of memory in use, from the system; none where it doesn't say.
fn memory() -> Option<u64> {
    const PAGE: u64 = 4_096;
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * PAGE)
}

/// Counters and gauges by name, without the buckets of histograms.
fn counters(page: &str) -> BTreeMap<String, f64> {
    let plain = page.lines().filter(|line| !line.starts_with('#') && !line.contains('{'));
    plain
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

fn engine(session: &Session) -> EngineReport {
    let load = session.live.playback.load();
    EngineReport {
        state: session.live.playback.state(),
        load: load.mean,
        load_peak: load.peak,
        xruns: load.xruns,
        nodes: load.nodes,
        faults: load.faults,
        latency_frames: load.latency_frames,
    }
}

fn store(open: &Open) -> Result<StoreReport, Refusal> {
    let repo = open.project.repo();
    let journal = repo.path().join(JOURNAL_FILE);
    Ok(StoreReport {
        entities: open.project.view().len(),
        bytes: repo.size()?,
        journal_bytes: std::fs::metadata(journal).map_or(0, |data| data.len()),
        journal_rows: repo.seq(),
        nodes_cached: repo.tree().cached_nodes() as u64,
    })
}

fn report(session: &Session) -> Reply {
    let gauges = Gauges {
        clients: session.traffic.clients as usize,
        queue_depth: session.traffic.queued_commands as usize,
        queued_bytes: session.traffic.queued_bytes,
        engine_load: session.live.playback.load().mean,
        revision: session.open.as_ref().map_or(0, |open| open.project.seq()),
    };
    reply(DiagnosticsReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: u64::try_from(session.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        memory_bytes: memory(),
        engine: engine(session),
        store: session.open.as_ref().map(store).transpose()?,
        clients: session.traffic.clients,
        queued_commands: session.traffic.queued_commands,
        metrics: counters(&metrics::page(&gauges)),
    })
}

fn node_loads(session: &Session, payload: &NodeLoads) -> Reply {
    let measured = session.live.playback.node_loads();
    let profiling = measured.is_some();
    let mut loads = measured.unwrap_or_default();
    loads.truncate(payload.limit.map_or(usize::MAX, |limit| limit as usize));
    if let Ok(view) = session.view() {
        for load in &mut loads {
            load.track = owner(&view, load.node).and_then(|channel| channel.track);
        }
    }
    reply(NodeLoadList { profiling, loads })
}

/// The channel that an entity sounds through.
pub fn owner(view: &View, id: AnyId) -> Option<Channel> {
    let track = |id| view.get::<Track>(id).ok().flatten();
    let of_track = |track: TrackId| {
        let channels = view.referring::<Channel>(track).ok()?;
        channels.into_iter().find(|channel| channel.track == Some(track))
    };
    let id = match id.kind {
        EntityKind::Channel => ChannelId(id.id),
        EntityKind::DspNode => view.get::<DspNode>(NodeId(id.id)).ok().flatten()?.channel,
        EntityKind::Send => view.get::<Send>(SendId(id.id)).ok().flatten()?.from,
        EntityKind::Lane => {
            return of_track(view.get::<Lane>(LaneId(id.id)).ok().flatten()?.track);
        }
        EntityKind::Track => return of_track(track(TrackId(id.id))?.id),
        _ => return None,
    };
    view.get::<Channel>(id).ok().flatten()
}

fn finding(severity: Severity, subject: &str, message: String, hint: Option<&str>) -> Finding {
    Finding { severity, subject: subject.to_owned(), message, hint: hint.map(str::to_owned) }
}

fn doctor(session: &Session) -> Reply {
    let mut findings = Vec::new();
    let config = session.live.playback.config();
    if config.host == "null" {
        let hint = "choose a device with `hardware.choose`; without one nothing is heard";
        let text = "the null device runs: the transport moves, without sound".to_owned();
        findings.push(finding(Severity::Info, "audio device", text, Some(hint)));
    }
    for fault in session.live.playback.load().faults {
        let text = format!("{} is bypassed: {}", fault.node, fault.reason);
        findings.push(finding(Severity::Error, "audio engine", text, None));
    }
    match &session.open {
        None => findings.push(finding(
            Severity::Info,
            "project",
            "no project is open".to_owned(),
            Some("open one with `project.open`"),
        )),
        Some(open) => examine(open, &mut findings)?,
    }
    let healthy = !findings.iter().any(|it| it.severity == Severity::Error);
    reply(Diagnosis { findings, healthy })
}

fn examine(open: &Open, findings: &mut Vec<Finding>) -> Result<(), Refusal> {
    if open.project.is_read_only() {
        let text = "the project can be read only".to_owned();
        findings.push(finding(Severity::Warning, "project", text, None));
    }
    if let Some(error) = open.project.repo().failure() {
        let text = format!("writing failed: {error}");
        let hint = "make room or check the drive, then open the project again";
        findings.push(finding(Severity::Error, "disk", text, Some(hint)));
    }
    missing_media(&open.project.view(), open.path.as_deref(), findings)
}

fn missing_media(
    view: &View,
    folder: Option<&Path>,
    findings: &mut Vec<Finding>,
) -> Result<(), Refusal> {
    let places = Places::of(folder);
    for item in view.all::<MediaItem>()? {
        if places.present(&item).is_none()
            && item.lifecycle == pulse_schemas::entity::Lifecycle::Final
        {
            let text = format!("{} is missing: {}", item.name, item.storage.path);
            let hint = "find it with `media.relink`";
            findings.push(finding(Severity::Warning, "media", text, Some(hint)));
        }
    }
    Ok(())
}

/// Every record is read, every rule and every reference checked; with media,
/// every file against its hash.
fn check_here(session: &Session, payload: &Check) -> Reply {
    let folder = session.open.as_ref().and_then(|open| open.path.as_deref());
    check(&session.view()?, folder, payload.media, &Watch::default())
}

/// The same on any thread: the files of a large project take their time.
pub fn check(view: &View, folder: Option<&Path>, media: bool, watch: &Watch) -> Reply {
    let (mut checked, mut findings) = (0, Vec::new());
    for entry in view.state().scan(&[]) {
        checked += 1;
        let found = entry.map_err(Refusal::from).and_then(|(key, record)| {
            let named = overlay::entity_key(&key);
            let named = named.map_err(|error| Refusal::internal(error.to_string()))?;
            match overlay::split(&key) {
                Some(_) => check_hidden(&named, &record, &mut findings),
                None => check_record(view, &named, &mut findings),
            }
        });
        if let Err(Refusal(error)) = found {
            let hint = "run `pulse fsck`";
            findings.push(finding(Severity::Error, "record", error.message, Some(hint)));
        }
    }
    missing_media(view, folder, &mut findings)?;
    if media {
        checked += check_files(view, folder, &mut findings, watch)?;
    }
    reply(CheckReply { checked, findings })
}

/// What lies in a variant that doesn't play. What it names may lie in there, too,
/// so references are checked when it plays.
fn check_hidden(key: &EntityKey, record: &[u8], into: &mut Vec<Finding>) -> Result<(), Refusal> {
    if let Some(entity) = told(view::decode(key.any_id(), record), into)? {
        check_fields(&entity, into);
    }
    Ok(())
}

fn check_record(view: &View, key: &EntityKey, findings: &mut Vec<Finding>) -> Result<(), Refusal> {
    let Some(entity) = told(view.entity(key), findings)?.flatten() else { return Ok(()) };
    check_fields(&entity, findings);
    let id = entity.any_id();
    for reference in entity.references() {
        if reference.on_delete != OnDelete::Keep && !view.contains(reference.target)? {
            let text =
                format!("{id}: {} names {}, which is gone", reference.field, reference.target);
            findings.push(finding(Severity::Error, "reference", text, None));
        }
    }
    Ok(())
}

fn check_fields(entity: &AnyEntity, findings: &mut Vec<Finding>) {
    let id = entity.any_id();
    for violation in entity.validate() {
        let text = format!("{id}: {violation}");
        findings.push(finding(Severity::Error, "record", text, None));
    }
}

/// What was read; a record that only a newer version can read is told of, not wrong.
fn told<T>(read: Result<T, ReadError>, into: &mut Vec<Finding>) -> Result<Option<T>, Refusal> {
    match read.map_err(Refusal::from) {
        Ok(read) => Ok(Some(read)),
        Err(Refusal(error)) if error.code == ErrorCode::EntityOpaque.as_str() => {
            into.push(finding(Severity::Info, "record", error.message, None));
            Ok(None)
        }
        Err(refusal) => Err(refusal),
    }
}

fn check_files(
    view: &View,
    folder: Option<&Path>,
    findings: &mut Vec<Finding>,
    watch: &Watch,
) -> Result<u64, Refusal> {
    let (mut checked, places) = (0, Places::of(folder));
    for item in view.all::<MediaItem>()? {
        let (Some(path), Some(file)) = (places.path(&item), &item.file) else { continue };
        let found = super::media::files::hash_file(&path, watch);
        super::media::files::go_on(watch)?;
        let Ok(found) = found else { continue };
        checked += 1;
        if found.hash != file.hash {
            let text =
                format!("{} is not the file that was imported: {}", item.name, path.display());
            let hint = "take it as it is with `media.replace`, or bring the old file back";
            findings.push(finding(Severity::Warning, "media", text, Some(hint)));
        }
    }
    Ok(checked)
}

impl From<CareError> for Refusal {
    fn from(error: CareError) -> Refusal {
        let text = error.to_string();
        match error {
            CareError::InMemory => Refusal::new(ErrorCode::SessionState, text),
            CareError::Repo(error) => error.into(),
            CareError::Tree(error) => error.into(),
            CareError::Read(error) => error.into(),
            _ => Refusal::new(ErrorCode::ProjectCorrupt, text),
        }
    }
}

fn collect_garbage(session: &mut Session, payload: &CollectGarbage) -> Reply {
    let project = session.project_mut()?;
    let swept = match payload.dry_run {
        true => project.gc_preview()?,
        false => project.compact()?.nodes,
    };
    reply(Collected { freed_bytes: swept.bytes, freed_nodes: swept.nodes, kept_nodes: swept.kept })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::testing::Project;

    #[test]
    fn a_report_counts_what_is_there() {
        let mut project = Project::new();
        let report = project.ok("diagnostics.report", json!({}));
        assert!(report["store"]["entities"].as_u64().unwrap() >= 4, "{report}");
        assert_eq!(report["engine"]["state"], "stopped");
        assert!(report["metrics"]["pulse_revision"].is_number(), "{report}");
        assert_eq!(project.ok("diagnostics.nodeLoads", json!({}))["loads"], json!([]));
        project.ok("diagnostics.resetCounters", json!({}));
    }

    #[test]
    fn a_sound_project_is_found_sound() {
        let mut project = Project::new();
        project.ok("track.create", json!({"nodes": ["pulse.eq"]}));
        let checked = project.ok("diagnostics.check", json!({"media": true}));
        assert_eq!(checked["findings"], json!([]));
        assert_eq!(project.ok("diagnostics.doctor", json!({}))["healthy"], json!(true));
    }

    #[test]
    fn what_lies_in_a_variant_is_looked_at_too() {
        let mut project = Project::new();
        let track = project.ok("track.create", json!({"nodes": ["pulse.eq"]}));
        let count = |project: &mut Project| {
            let checked = project.ok("diagnostics.check", json!({}));
            assert_eq!(checked["findings"], json!([]));
            checked["checked"].as_u64().unwrap()
        };
        let before = count(&mut project);
        let subject = json!({"subject": track["track"], "activate": true});
        project.ok("variant.create", subject);
        assert!(count(&mut project) > before + 1, "what doesn't play is there");
    }

    #[test]
    fn a_dry_run_counts_and_frees_nothing() {
        let mut project = Project::new();
        let dry = json!({"dryRun": true});
        let before = project.ok("diagnostics.collectGarbage", dry.clone());
        let again = project.ok("diagnostics.collectGarbage", dry);
        assert_eq!(before, again);
    }
}
