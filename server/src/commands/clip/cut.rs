//! Cutting clips: in two, at an edge, out of the way of others.

use std::collections::BTreeSet;

use pulse_schemas::{
    command::{
        clip::{Overlap, Split},
        types::{Copied, CopyOf},
    },
    entity::{Clip, Fade},
    error::ErrorCode,
    id::ClipId,
    time::{Moment, Timebase},
};

use super::{content::Contents, shape::fit_fades};
use crate::{
    commands::{
        edit::{Edit, reply},
        time::{Tempos, convert, end_of},
        words::counted,
    },
    refusal::{Refusal, Reply},
};

/// Where in the content a place lies that is `offset` after the clip's start.
pub fn content_at(clip: &Clip, offset: i64) -> Moment {
    let at = clip.slip.0.saturating_add(offset);
    let Some(length) = clip.loop_length.filter(|length| length.0 > 0) else { return Moment(at) };
    let (start, end) = (clip.loop_start.0, clip.loop_start.0.saturating_add(length.0));
    let loops = clip.slip.0 < end && (at >= end || (at < start && clip.slip.0 >= start));
    match loops {
        true => Moment(start + (at - start).rem_euclid(length.0)),
        false => Moment(at),
    }
}

/// Moves the start; the end and the content stay.
pub fn set_start(clip: &mut Clip, to: Moment) {
    let by = to.0.saturating_sub(clip.start.0);
    clip.slip = content_at(clip, by);
    clip.start = to;
    clip.length = clip.length.saturating_sub(Moment(by));
    fit_fades(clip);
}

/// Moves the end; the start and the content stay.
pub fn set_end(clip: &mut Clip, to: Moment) {
    clip.length = to.saturating_sub(clip.start);
    fit_fades(clip);
}

/// Cuts a clip at a place inside it and returns the part behind.
pub fn cut(
    edit: &mut Edit<'_, '_>,
    clip: &Clip,
    at: Moment,
    copies: &mut Vec<CopyOf>,
) -> Result<ClipId, Refusal> {
    let contents = Contents::read(&edit.view()?, clip.clone())?;
    let mut right = clip.clone();
    set_start(&mut right, at);
    right.fade_in = Fade { length: Moment::ZERO, ..right.fade_in };
    let mut left = clip.clone();
    set_end(&mut left, at);
    left.fade_out = Fade { length: Moment::ZERO, ..left.fade_out };
    edit.put(left)?;
    contents.write(edit, right, copies)
}

/// Whether a place lies inside a clip and not at one of its ends.
pub fn is_inside(clip: &Clip, at: Moment) -> bool {
    clip.start < at && at < end_of(clip)
}

pub fn split(edit: &mut Edit<'_, '_>, payload: &Split) -> Reply {
    let mut tempos = Tempos::default();
    let mut copies = Vec::new();
    let mut count = 0;
    for id in &payload.clips {
        let clip: Clip = edit.get(*id)?;
        let tempo = tempos.of(edit, clip.lane)?;
        let at = convert(&tempo, Timebase::Musical, payload.at.into(), clip.timebase);
        if is_inside(&clip, at) {
            cut(edit, &clip, at, &mut copies)?;
            count += 1;
        }
    }
    if count == 0 {
        return Err(Refusal::range("payload.at", "none of the clips goes on at this place"));
    }
    edit.label(format!("Split {}", counted(count, "clip")));
    reply(Copied { copies })
}

/// Handles what is in the way of clips that were placed; those that were cut or
/// removed.
pub fn make_room(
    edit: &mut Edit<'_, '_>,
    tempos: &mut Tempos,
    placed: &[ClipId],
    overlap: Overlap,
) -> Result<Vec<ClipId>, Refusal> {
    let mut trimmed = Vec::new();
    if overlap == Overlap::Allow {
        return Ok(trimmed);
    }
    let stay: BTreeSet<ClipId> = placed.iter().copied().collect();
    for id in placed {
        let clip: Clip = edit.get(*id)?;
        let tempo = tempos.of(edit, clip.lane)?;
        let place = |at: Moment, timebase| convert(&tempo, clip.timebase, at, timebase);
        for other in in_the_way(edit, &clip, &tempo)? {
            if stay.contains(&other.id) {
                continue;
            }
            if overlap == Overlap::Refuse {
                let users = vec![other.id.any().to_string()];
                let text = "another clip is in the way";
                return Err(Refusal::new(ErrorCode::RangeInvalid, text).with("users", users));
            }
            let from = place(clip.start, other.timebase);
            let to = place(end_of(&clip), other.timebase);
            take_out(edit, other.clone(), from, to)?;
            trimmed.push(other.id);
        }
    }
    trimmed.sort();
    trimmed.dedup();
    Ok(trimmed)
}

fn in_the_way(
    edit: &mut Edit<'_, '_>,
    clip: &Clip,
    tempo: &pulse_schemas::time::TempoMap,
) -> Result<Vec<Clip>, Refusal> {
    let view = edit.view()?;
    let at = |timebase| {
        let place = |at| convert(tempo, clip.timebase, at, timebase);
        (place(clip.start), place(end_of(clip)))
    };
    let (from, to) = at(Timebase::Musical);
    let mut keys = view.clips_between(clip.lane, from.as_ticks(), to.as_ticks())?;
    let (from, to) = at(Timebase::Absolute);
    keys.extend(view.clips_between_absolute(clip.lane, from.as_flicks(), to.as_flicks())?);
    let mut clips = Vec::new();
    for key in keys {
        if let Some(pulse_schemas::entity::AnyEntity::Clip(other)) = view.entity(&key)? {
            clips.push(other);
        }
    }
    clips.retain(|other| other.id != clip.id);
    Ok(clips)
}

/// Takes a stretch out of a clip, all of it if need be.
fn take_out(
    edit: &mut Edit<'_, '_>,
    mut clip: Clip,
    from: Moment,
    to: Moment,
) -> Result<(), Refusal> {
    let (start, end) = (clip.start, end_of(&clip));
    if from <= start && end <= to {
        edit.delete([clip.id])?;
    } else if from <= start {
        set_start(&mut clip, to);
        edit.put(clip)?;
    } else if end <= to {
        set_end(&mut clip, from);
        edit.put(clip)?;
    } else {
        let right = cut(edit, &clip, from, &mut Vec::new())?;
        let mut right: Clip = edit.get(right)?;
        set_start(&mut right, to);
        edit.put(right)?;
    }
    Ok(())
}
