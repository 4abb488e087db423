//! Bouncing: clips or tracks become new audio clips.
//!
//! The media are reserved first and finished before anything plays them, in
//! transactions of the server's own: what the caller's undo takes back is the
//! placing alone, in one step, and the render stays in the pool. A bounce that is
//! cancelled discards what it had reserved; what one that was killed had reserved
//! is discarded by the next who opens the project ([`settle`]).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_engine::file::Depth;
use pulse_schemas::{
    command::{
        media::{Discard, Reserve},
        rendering::Bounce,
        session::{Severity, Warning},
    },
    entity::{
        AudioRegion, AutomationEnvelope, AutomationPoint, Channel, Clip, ClipContent,
        EnvelopeOwner, Lane, LaneKind, Lifecycle, MediaItem, MediaOrigin, Send, Track, TrackKind,
    },
    envelope::Timestamp,
    error::ErrorCode,
    id::{
        AnyId, AudioRegionId, AutomationEnvelopeId, AutomationPointId, ChannelId, ClipId, LaneId,
        MediaId, SendId, TrackId,
    },
    time::{Moment, TempoMap, Ticks, Timebase},
};
use pulse_store::{tx::TxMeta, view::View};
use serde_json::{Value, json};

use super::{Task, complete, source::Source};
use crate::{
    commands::{
        clip::{clips_of, cut},
        edit::{Edit, place_before, sort, typed},
        media::{self, files::Probe},
        time::{Tempos, convert, end_of, tempo_map},
    },
    places::Places,
    refusal::{Refusal, Reply},
    rendering::{
        NOTHING_LEFT, Outcome, RenderingError, Request, Span, TAIL_SECONDS, Watch, partial_of,
    },
    renders::Finish,
    session::{Caller, Session},
};

/// In whose name media are reserved and finished: nobody's undo takes it back.
const SERVER: &str = "pulse";

/// The attribute by which a reserved item is known as a bounce's own. What a client
/// reserved is the client's to finish, whenever it comes back.
const RESERVED: &str = "bounce.reserved";

/// The warning about bounces that nobody finished.
pub const UNFINISHED: &str = "bounce-unfinished";

/// What the names of bounces end in.
const SUFFIX: &str = " bounce";

/// One source on its way to a clip.
struct Part {
    source: Source,
    track: Track,
    channel: Channel,
    name: String,
    start: Ticks,
    /// Where the source ends: a bounce of as many frames ends there and not a moment before.
    last: Option<Ticks>,
    span: Span,
}

/// A part as sound.
struct Made {
    part: Part,
    media: MediaId,
    outcome: Outcome,
    probe: Probe,
}

pub fn bounce(session: &mut Session, caller: &Caller, payload: &Bounce) -> Reply {
    let task = Task::of(session, None)?;
    if task.folder.is_none() {
        let text = "a project in memory has nowhere to keep a bounce; save it to a folder first";
        return Err(Refusal::new(ErrorCode::RenderImpossible, text).with("reason", "no folder"));
    }
    let parts = parts(&task, payload)?;
    if let Some(lane) = payload.lane {
        check_lane(&task.view, lane, &parts)?;
    }
    let label = match &parts[..] {
        [part] => format!("Bounce {}", part.name.trim_end_matches(SUFFIX)),
        parts => format!("Bounce {} sources", parts.len()),
    };
    let revision = session.project()?.seq();
    let reserved = own_edit(session, "Reserve media for a bounce", |edit| {
        parts.iter().map(|part| reserve(edit, part, revision)).collect::<Result<Vec<_>, _>>()
    })?;
    let media: Vec<MediaId> = reserved.iter().map(|(media, _)| *media).collect();
    session.renders.reserved.extend(&media);
    let meta = TxMeta {
        author: caller.author.clone(),
        ..TxMeta::new(label.clone(), caller.instance_id.clone())
    };
    let payload = payload.clone();
    let started =
        session.start_job("rendering.bounce", label, &caller.instance_id, move |watch| {
            let rendered = render(&task, &payload, parts, reserved, watch);
            let finish: Finish = Box::new(move |session| {
                session.renders.reserved.retain(|it| !media.contains(it));
                match rendered {
                    Ok(made) => adopt(session, made, &payload, revision, meta),
                    Err(refusal) => {
                        discard(session, &media)?;
                        Err(refusal)
                    }
                }
            });
            Ok(finish)
        })?;
    Ok(json!({ "job": started }))
}

/// An edit that belongs to no client.
fn own_edit<R>(
    session: &mut Session,
    label: &str,
    work: impl FnOnce(&mut Edit<'_, '_>) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    let time = (session.clock)();
    let meta = TxMeta { author: SERVER.into(), time, ..TxMeta::new(label, SERVER) };
    session.transact(meta, work)
}

fn reserve(
    edit: &mut Edit<'_, '_>,
    part: &Part,
    revision: u64,
) -> Result<(MediaId, PathBuf), Refusal> {
    let reserve = Reserve {
        name: part.name.clone(),
        kind: None,
        origin: Some(MediaOrigin::Generated),
        extension: Some("wav".into()),
    };
    let reserved = typed(edit, reserve)?;
    edit.update::<MediaItem>(reserved.media, |item| {
        item.attributes.insert(RESERVED.to_owned(), format!("op:{revision}"));
    })?;
    Ok((reserved.media, PathBuf::from(reserved.path)))
}

fn discard(session: &mut Session, media: &[MediaId]) -> Result<(), Refusal> {
    own_edit(session, "Discard a bounce", |edit| {
        for media in media {
            typed(edit, Discard { media: *media })?;
        }
        Ok(())
    })
}

/// Discards what bounces reserved that ended with their process. Those that run in
/// this one are left alone.
pub fn settle(session: &mut Session) -> Result<(), Refusal> {
    let project = session.project()?;
    if project.is_read_only() {
        return Ok(());
    }
    let mut left = project.view().all::<MediaItem>()?;
    left.retain(|item| {
        let ours = item.attributes.contains_key(RESERVED);
        let running = session.renders.reserved.contains(&item.id);
        item.lifecycle == Lifecycle::Pending && ours && !running
    });
    if left.is_empty() {
        return Ok(());
    }
    let media: Vec<MediaId> = left.iter().map(|item| item.id).collect();
    discard(session, &media)?;
    if let Some(folder) = session.open.as_ref().and_then(|open| open.path.as_deref()) {
        let places = Places::of(Some(folder));
        left.iter().filter_map(|item| places.named(item)).for_each(remove_partial);
    }
    let names: Vec<&str> = left.iter().map(|item| item.name.as_str()).collect();
    say_unfinished(session, &names.join(", "));
    Ok(())
}

fn remove_partial(path: PathBuf) {
    let path = partial_of(&path);
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "half a bounce could not be removed: {}", path.display());
    }
}

fn say_unfinished(session: &mut Session, names: &str) {
    let message = format!("Pulse ended while it bounced, and nothing was placed: {names}");
    let hint = "bounce again; what was reserved is discarded";
    tracing::warn!("{message}; {hint}");
    session.warn(Warning {
        id: UNFINISHED.into(),
        severity: Severity::Warning,
        domain: "rendering".into(),
        message,
        hint: Some(hint.into()),
        since: Timestamp((session.clock)()),
    });
}

// What is to be rendered

fn parts(task: &Task, payload: &Bounce) -> Result<Vec<Part>, Refusal> {
    payload.sources.iter().map(|source| part(task, *source, payload)).collect()
}

fn part(task: &Task, source: AnyId, payload: &Bounce) -> Result<Part, Refusal> {
    let view = &task.view;
    let source = Source::of(view, source, "payload.sources")?;
    let track: Track = view.get(source.track)?.ok_or_else(|| Refusal::not_found(source.track))?;
    let channel = source.bare(view)?.channel;
    let rate = task.renderer().rate(&Request::default());
    let tempo = tempo_map(view, track.arrangement)?;
    let extent = match (payload.range, &source.clip) {
        (Some(range), _) => {
            let frame = |at: Ticks| tempo.frame_at(at, rate);
            Some((range.start, frame(range.start), frame(range.end)))
        }
        (None, Some(clip)) => extent(std::slice::from_ref(clip), &tempo, rate),
        (None, None) => extent(&played_clips(view, track.id)?, &tempo, rate),
    };
    let (start, from, to) = match extent {
        Some(extent) => extent,
        // A track that plays what others send it sounds as long as they do.
        None => (Ticks(0), 0, task.end(rate)?),
    };
    if to <= from {
        return Err(RenderingError::Empty { start: from, end: to }.into());
    }
    // A range is kept to the frame unless told; what rings out behind a source belongs to it.
    let usual = if payload.range.is_some() { 0.0 } else { TAIL_SECONDS };
    let tail = payload.tail.map_or(usual, |tail| tail.as_seconds()).clamp(0.0, 600.0);
    let tail = (tail * f64::from(rate)) as i64;
    let span = match payload.range {
        Some(_) if tail == 0 => Span { range: from..to, trim_from: i64::MAX },
        _ => Span { range: from..to + tail, trim_from: to },
    };
    let last = match (payload.range, &source.clip) {
        (Some(range), _) => Some(range.end),
        (None, Some(clip)) => Some(tempo.ticks_of(clip.timebase, end_of(clip))),
        (None, None) => last_end(&played_clips(view, track.id)?, &tempo),
    };
    let own = source.clip.as_ref().map(|clip| clip.name.clone()).filter(|name| !name.is_empty());
    let name = own.unwrap_or_else(|| track.name.clone()) + SUFFIX;
    Ok(Part { source, track, channel, name, start, last, span })
}

/// Where clips begin, and their frames.
fn extent(clips: &[Clip], tempo: &TempoMap, rate: u32) -> Option<(Ticks, i64, i64)> {
    let frame = |clip: &Clip, at| tempo.frame_of(clip.timebase, at, rate);
    let first = clips.iter().min_by_key(|clip| frame(clip, clip.start))?;
    let from = frame(first, first.start);
    let to = clips.iter().map(|clip| frame(clip, end_of(clip))).max()?;
    let start = tempo.ticks_of(first.timebase, first.start);
    let exact = tempo.frame_at(start, rate) == from;
    Some((if exact { start } else { tempo.tick_at_frame(from, rate) }, from, to))
}

/// Where the last of some clips ends.
fn last_end(clips: &[Clip], tempo: &TempoMap) -> Option<Ticks> {
    clips.iter().map(|clip| tempo.ticks_of(clip.timebase, end_of(clip))).max()
}

/// The clips of a track that sound.
fn played_clips(view: &View, track: TrackId) -> Result<Vec<Clip>, Refusal> {
    let mut clips = Vec::new();
    for lane in view.referring::<Lane>(track)? {
        if lane.track == track && !lane.mute {
            clips.extend(clips_of(view, lane.id)?);
        }
    }
    clips.retain(|clip| {
        !clip.mute && matches!(clip.content, ClipContent::Audio | ClipContent::Midi)
    });
    Ok(clips)
}

fn check_lane(view: &View, lane: LaneId, parts: &[Part]) -> Result<(), Refusal> {
    let lane = view.get::<Lane>(lane)?.ok_or_else(|| Refusal::not_found(lane))?;
    let track = view.get::<Track>(lane.track)?.ok_or_else(|| Refusal::not_found(lane.track))?;
    let here = parts.iter().all(|part| part.track.arrangement == track.arrangement);
    if lane.lane_kind == LaneKind::Audio && here {
        return Ok(());
    }
    let text = "a bounce is placed on an audio lane of the arrangement that it comes from";
    Err(Refusal::new(ErrorCode::EntityInvalid, text)
        .with("entity", lane.id.any().to_string())
        .with("path", "payload.lane"))
}

// The job

fn render(
    task: &Task,
    payload: &Bounce,
    parts: Vec<Part>,
    reserved: Vec<(MediaId, PathBuf)>,
    watch: &Watch,
) -> Result<Vec<Made>, Refusal> {
    let mut all = Vec::new();
    for (part, (media, path)) in parts.into_iter().zip(reserved) {
        all.push(render_part(task, payload, part, media, &path, watch)?);
    }
    Ok(all)
}

fn render_part(
    task: &Task,
    payload: &Bounce,
    part: Part,
    media: MediaId,
    path: &Path,
    watch: &Watch,
) -> Result<Made, Refusal> {
    let mut bare = part.source.bare(&task.view)?;
    if !payload.with_effects {
        bare = bare.dry(&task.view, &task.registry)?;
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| RenderingError::File { path: folder.to_owned(), error })?;
    }
    let request = Request { depth: Depth::Float32, quiet: NOTHING_LEFT, ..Request::default() };
    let span = Some(part.span.clone());
    let outcome = task.renderer().alone(&request, &bare, span, path, watch)?;
    complete(&outcome, path)?;
    let probe = media::files::probe(path, watch)?;
    Ok(Made { part, media, outcome, probe })
}

// Taking it in

fn adopt(
    session: &mut Session,
    made: Vec<Made>,
    payload: &Bounce,
    revision: u64,
    meta: TxMeta,
) -> Result<Value, Refusal> {
    own_edit(session, "Finish a bounce", |edit| {
        made.iter().try_for_each(|made| finalise(edit, made, revision))
    })?;
    let meta = TxMeta { time: (session.clock)(), ..meta };
    let placed = session.transact(meta, |edit| place_all(edit, &made, payload))?;
    let reports: Vec<Value> = made.iter().map(report).collect();
    Ok(json!({ "report": reports.first(), "reports": reports, "bounced": placed }))
}

fn finalise(edit: &mut Edit<'_, '_>, made: &Made, revision: u64) -> Result<(), Refusal> {
    let Made { part, media, outcome, probe } = made;
    let start = part.span.range.start;
    media::finish(edit, *media, probe.clone(), |item| {
        item.lineage = vec![part.source.id];
        let facts = [
            ("bounce.revision", format!("op:{revision}")),
            ("bounce.startFrame", start.to_string()),
            ("bounce.endFrame", (start + outcome.frames as i64).to_string()),
            ("bounce.rate", outcome.rate.to_string()),
        ];
        item.attributes.remove(RESERVED);
        item.attributes.extend(facts.map(|(name, value)| (name.to_owned(), value)));
    })
}

fn report(made: &Made) -> Value {
    let mut report = made.outcome.json();
    report["files"][0]["media"] = json!(made.media);
    report["files"][0]["source"] = json!(made.part.source.id);
    report
}

fn place_all(
    edit: &mut Edit<'_, '_>,
    made: &[Made],
    payload: &Bounce,
) -> Result<Vec<Value>, Refusal> {
    let mut tracks: BTreeMap<TrackId, LaneId> = BTreeMap::new();
    let mut placed = Vec::new();
    for it in made {
        let lane = match (payload.lane, tracks.get(&it.part.track.id)) {
            (Some(lane), _) | (None, Some(&lane)) => lane,
            (None, None) => {
                let lane = new_track(edit, &it.part)?;
                tracks.insert(it.part.track.id, lane);
                lane
            }
        };
        let clip = place(edit, it, lane)?;
        let track = edit.get::<Lane>(lane)?.track;
        placed.push(json!({
            "source": it.part.source.id, "media": it.media, "track": track, "lane": lane, "clip": clip,
        }));
        if payload.mute_sources {
            mute(edit, it, clip, track, payload)?;
        }
    }
    Ok(placed)
}

/// The clip that plays a bounce, as long as its sound to the frame.
fn place(edit: &mut Edit<'_, '_>, made: &Made, lane: LaneId) -> Result<ClipId, Refusal> {
    let lane: Lane = edit.get(lane)?;
    let tempo = Tempos::default().of(edit, lane.id)?;
    let Made { part, outcome, .. } = made;
    let end = part.span.range.start + outcome.frames as i64;
    let exact = part.last.filter(|last| tempo.frame_at(*last, outcome.rate) == end);
    let end = exact.unwrap_or_else(|| tempo.tick_at_frame(end, outcome.rate));
    let at = |ticks: Ticks| convert(&tempo, Timebase::Musical, ticks.into(), lane.timebase);
    let start = at(part.start);
    let id = ClipId(edit.id());
    edit.put(Clip {
        id,
        lane: lane.id,
        name: part.name.clone(),
        content: ClipContent::Audio,
        timebase: lane.timebase,
        start,
        length: Moment((at(end).0 - start.0).max(1)),
        ..Clip::default()
    })?;
    let region = AudioRegionId(edit.id());
    edit.put(AudioRegion { id: region, clip: id, media: made.media, ..AudioRegion::default() })?;
    Ok(id)
}

/// A track behind the source's that sounds as the source's strip has it.
fn new_track(edit: &mut Edit<'_, '_>, part: &Part) -> Result<LaneId, Refusal> {
    let source = &part.track;
    let mut siblings = edit.referring::<Track>(source.arrangement)?;
    siblings.retain(|track| track.parent == source.parent);
    sort(&mut siblings);
    let at = siblings.iter().position(|track| track.id == source.id);
    let next = at.and_then(|at| siblings.get(at + 1)).map(|track| track.id.0);
    let track = TrackId(edit.id());
    let name = format!("{}{SUFFIX}", source.name);
    edit.put(Track {
        id: track,
        arrangement: source.arrangement,
        parent: source.parent,
        order: place_before(&mut siblings, next),
        name: name.clone(),
        track_kind: TrackKind::Audio,
        ..Track::default()
    })?;
    let mut channels = edit.referring::<Channel>(source.arrangement)?;
    let channel = ChannelId(edit.id());
    edit.put(Channel {
        id: channel,
        track: Some(track),
        order: place_before(&mut channels, None),
        name,
        mute: false,
        input: Default::default(),
        ..part.channel.clone()
    })?;
    let mut copies = vec![(part.channel.id.any(), channel.any())];
    for send in edit.referring::<Send>(part.channel.id)? {
        if send.from == part.channel.id {
            let id = SendId(edit.id());
            copies.push((send.id.any(), id.any()));
            edit.put(Send { id, from: channel, ..send })?;
        }
    }
    copy_automation(edit, track, &copies)?;
    let lane = LaneId(edit.id());
    edit.put(Lane { id: lane, track, lane_kind: LaneKind::Audio, ..Lane::default() })?;
    Ok(lane)
}

/// Draws for the copies of a strip and its sends what lanes draw for the originals.
fn copy_automation(
    edit: &mut Edit<'_, '_>,
    track: TrackId,
    copies: &[(AnyId, AnyId)],
) -> Result<(), Refusal> {
    let mut lanes: BTreeMap<LaneId, LaneId> = BTreeMap::new();
    for (original, copy) in copies {
        for envelope in edit.referring::<AutomationEnvelope>(*original)? {
            let EnvelopeOwner::Lane { lane } = envelope.owner else { continue };
            if envelope.target != Some(*original) {
                continue;
            }
            let lane = match lanes.get(&lane) {
                Some(lane) => *lane,
                None => {
                    let Lane { timebase, mute, .. } = edit.get(lane)?;
                    let id = LaneId(edit.id());
                    let lane_kind = LaneKind::Automation;
                    edit.put(Lane { id, track, lane_kind, timebase, mute, ..Lane::default() })?;
                    lanes.insert(lane, id);
                    id
                }
            };
            let id = AutomationEnvelopeId(edit.id());
            for point in edit.members::<AutomationPoint>(envelope.id)? {
                let point_id = AutomationPointId(edit.id());
                edit.put(AutomationPoint { id: point_id, envelope: id, ..point })?;
            }
            let owner = EnvelopeOwner::Lane { lane };
            edit.put(AutomationEnvelope { id, owner, target: Some(*copy), ..envelope })?;
        }
    }
    Ok(())
}

/// Silences what was bounced: a clip, a track, or the stretch of a track whose
/// bounce lies on the track itself or is a part of it.
fn mute(
    edit: &mut Edit<'_, '_>,
    made: &Made,
    bounced: ClipId,
    onto: TrackId,
    payload: &Bounce,
) -> Result<(), Refusal> {
    let part = &made.part;
    if let Some(clip) = &part.source.clip {
        return edit.update::<Clip>(clip.id, |clip| clip.mute = true);
    }
    if payload.range.is_none() && onto != part.track.id {
        return edit.update::<Track>(part.track.id, |track| track.mute = true);
    }
    let view = edit.view()?;
    let tempo: Arc<TempoMap> = Arc::new(tempo_map(&view, part.track.arrangement)?);
    for clip in played_clips(&view, part.track.id)? {
        if clip.id != bounced {
            mute_within(edit, clip, &tempo, payload)?;
        }
    }
    Ok(())
}

/// Mutes the stretch of a clip that lies in the range, cutting it at the edges.
fn mute_within(
    edit: &mut Edit<'_, '_>,
    mut clip: Clip,
    tempo: &TempoMap,
    payload: &Bounce,
) -> Result<(), Refusal> {
    if let Some(range) = payload.range {
        let at = |ticks: Ticks| convert(tempo, Timebase::Musical, ticks.into(), clip.timebase);
        let (from, to) = (at(range.start), at(range.end));
        if end_of(&clip) <= from || to <= clip.start {
            return Ok(());
        }
        if cut::is_inside(&clip, to) {
            cut::cut(edit, &clip, to, &mut Vec::new())?;
            clip = edit.get(clip.id)?;
        }
        if cut::is_inside(&clip, from) {
            let right = cut::cut(edit, &clip, from, &mut Vec::new())?;
            clip = edit.get(right)?;
        }
    }
    edit.update::<Clip>(clip.id, |clip| clip.mute = true)
}
