//! Clips: made, moved, cut and joined, with what is in them.
//!
//! A place inside a clip's content is `slip` plus the way from the clip's start;
//! edits of the edges keep that sum, so that content stays where it is in time.

pub mod content;
pub mod cut;
mod join;
mod place;
mod region;
pub mod shape;

use pulse_schemas::{
    command::{
        clip::{Clips, Command, Create, Created, Delete, List, Overlap, Update},
        types::TimeRange,
    },
    entity::{Clip, ClipContent, Lane, LaneKind, Track},
    error::ErrorCode,
    id::{ClipId, LaneId},
    time::{Moment, Timebase},
};
use pulse_store::view::View;

use super::{
    edit::{Edit, done, reply},
    looks::look,
    note::made,
    page::cut as page,
    time::{Tempos, convert, end_of, tempo_map},
    words::counted,
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Create(payload) => create(edit, payload),
        Command::Delete(payload) => delete(edit, payload),
        Command::Move(payload) => place::relocate(edit, payload),
        Command::Nudge(payload) => place::nudge(edit, payload),
        Command::Resize(payload) => shape::resize(edit, payload),
        Command::Slip(payload) => shape::slip(edit, payload),
        Command::Split(payload) => cut::split(edit, payload),
        Command::Merge(payload) => join::join(edit, payload),
        Command::Duplicate(payload) => place::duplicate(edit, payload),
        Command::Update(payload) => update(edit, payload),
        Command::SetLoop(payload) => shape::set_loop(edit, payload),
        Command::SetTimebase(payload) => shape::set_timebase(edit, payload),
        Command::Stretch(payload) => shape::stretch(edit, payload),
        Command::Quantise(payload) => place::quantise(edit, payload),
        Command::Crossfade(payload) => shape::crossfade(edit, payload),
        Command::AddRegion(payload) => region::add(edit, payload),
        Command::UpdateRegion(payload) => region::update(edit, payload),
        Command::DeleteRegion(payload) => region::delete(edit, payload),
        Command::List(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// What a lane holds.
fn content_of(kind: LaneKind) -> ClipContent {
    match kind {
        LaneKind::Audio => ClipContent::Audio,
        LaneKind::Midi | LaneKind::Device => ClipContent::Midi,
        LaneKind::Automation => ClipContent::Automation,
        LaneKind::Video => ClipContent::Video,
    }
}

/// The lane, if it takes clips of this content.
fn lane_for(edit: &mut Edit<'_, '_>, lane: LaneId, content: ClipContent) -> Result<Lane, Refusal> {
    let lane: Lane = edit.get(lane)?;
    if content_of(lane.lane_kind) == content {
        return Ok(lane);
    }
    let text = "the lane takes clips of another kind; choose one of the clip's own kind";
    Err(Refusal::new(ErrorCode::EntityInvalid, text).with("entity", lane.id.any().to_string()))
}

fn create(edit: &mut Edit<'_, '_>, payload: &Create) -> Reply {
    let lane: Lane = edit.get(payload.lane)?;
    let content = payload.content.unwrap_or(content_of(lane.lane_kind));
    lane_for(edit, lane.id, content)?;
    if !payload.notes.is_empty() && content != ClipContent::Midi {
        let text = "notes lie in MIDI clips; this one would hold something else";
        return Err(Refusal::new(ErrorCode::EntityInvalid, text).with("path", "payload.notes"));
    }
    let clip = Clip {
        id: ClipId(edit.id()),
        lane: lane.id,
        name: payload.name.clone().unwrap_or_default(),
        content,
        timebase: payload.timebase.unwrap_or(lane.timebase),
        start: payload.start,
        length: payload.length,
        loop_length: payload.loop_length,
        ..Clip::default()
    };
    edit.label(match &payload.name {
        Some(name) if !name.is_empty() => format!("Create clip {name}"),
        _ => "Create a clip".to_owned(),
    });
    let id = clip.id;
    edit.put(clip)?;
    let region = match &payload.region {
        Some(new) => Some(region::put(edit, id, new)?),
        None => None,
    };
    let mut notes = Vec::with_capacity(payload.notes.len());
    for new in &payload.notes {
        let note = made(edit, id, new);
        notes.push(note.id);
        edit.put(note)?;
    }
    if let Some(colour) = &payload.colour {
        look(edit, id.any(), |meta| meta.colour = Some(colour.clone()))?;
    }
    let trimmed = make_room(edit, &[id], payload.overlap)?;
    reply(Created { clip: id, region, notes, trimmed })
}

/// Handles what is in the way of clips that were placed.
fn make_room(
    edit: &mut Edit<'_, '_>,
    placed: &[ClipId],
    overlap: Overlap,
) -> Result<Vec<ClipId>, Refusal> {
    cut::make_room(edit, &mut Tempos::default(), placed, overlap)
}

fn delete(edit: &mut Edit<'_, '_>, payload: &Delete) -> Reply {
    for id in &payload.clips {
        edit.get::<Clip>(*id)?;
    }
    edit.label(format!("Delete {}", counted(payload.clips.len(), "clip")));
    reply(edit.delete(payload.clips.iter().copied())?)
}

fn update(edit: &mut Edit<'_, '_>, payload: &Update) -> Reply {
    let clips = counted(payload.clips.len(), "clip");
    edit.label(match (payload.mute, &payload.name, payload.gain_db) {
        (Some(true), _, _) => format!("Mute {clips}"),
        (Some(false), _, _) => format!("Unmute {clips}"),
        (_, Some(name), _) => format!("Rename {clips} to {name}"),
        (_, _, Some(gain)) => format!("Set the gain of {clips} to {gain} dB"),
        _ => format!("Change {clips}"),
    });
    for id in &payload.clips {
        edit.update::<Clip>(*id, |clip| apply(clip, payload))?;
    }
    done()
}

fn apply(clip: &mut Clip, payload: &Update) {
    if let Some(name) = &payload.name {
        clip.name.clone_from(name);
    }
    clip.mute = payload.mute.unwrap_or(clip.mute);
    clip.gain_db = payload.gain_db.unwrap_or(clip.gain_db);
    clip.pan = payload.pan.unwrap_or(clip.pan);
    if let Some(fade) = &payload.fade_in {
        clip.fade_in = fade.clone();
    }
    if let Some(fade) = &payload.fade_out {
        clip.fade_out = fade.clone();
    }
    clip.stretch = payload.stretch.unwrap_or(clip.stretch);
    clip.reverse = payload.reverse.unwrap_or(clip.reverse);
    clip.transpose = payload.transpose.unwrap_or(clip.transpose);
    shape::fit_fades(clip);
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let lanes: Vec<Lane> = match (payload.lane, payload.track) {
        (Some(lane), _) => {
            vec![view.get::<Lane>(lane)?.ok_or_else(|| Refusal::not_found(lane))?]
        }
        (None, Some(track)) => {
            view.get::<Track>(track)?.ok_or_else(|| Refusal::not_found(track))?;
            view.referring::<Lane>(track)?
        }
        (None, None) => {
            let text = "name a lane or a track";
            return Err(Refusal::new(ErrorCode::PayloadInvalid, text).with("path", "payload.lane"));
        }
    };
    let mut found = Vec::new();
    for lane in &lanes {
        let track = view.get::<Track>(lane.track)?.ok_or_else(|| Refusal::not_found(lane.track))?;
        let tempo = tempo_map(&view, track.arrangement)?;
        for clip in clips_of(&view, lane.id)? {
            let ticks = |at: Moment| convert(&tempo, clip.timebase, at, Timebase::Musical);
            let (start, end) = (ticks(clip.start), ticks(end_of(&clip)));
            if payload.range.is_none_or(|range| overlaps(&range, start, end)) {
                found.push((start, clip));
            }
        }
    }
    found.sort_by_key(|(start, clip)| (*start, clip.id));
    let clips = found.into_iter().map(|(_, clip)| clip).collect();
    let (clips, more) = page(clips, &payload.page);
    reply(Clips { clips, more })
}

fn overlaps(range: &TimeRange, start: Moment, end: Moment) -> bool {
    start.0 < range.end.0 && end.0 > range.start.0
}

/// The clips on a lane, by start.
pub fn clips_of(view: &View, lane: LaneId) -> Result<Vec<Clip>, Refusal> {
    let mut clips = view.referring::<Clip>(lane)?;
    clips.retain(|clip| clip.lane == lane);
    Ok(clips)
}

#[cfg(test)]
mod tests;
