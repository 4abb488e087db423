//! Clips going elsewhere: in time, to other lanes, again.

use pulse_schemas::{
    command::{
        clip::{Duplicate, Move, Nudge, Nudged, Quantise, Trimmed},
        types::{Copied, CopyOf},
    },
    entity::{Clip, Lane, Take},
    id::{ClipId, LaneId},
    time::{Moment, Ticks, Timebase},
};

use super::{content::Contents, cut::make_room, lane_for};
use crate::{
    commands::{
        edit::{Edit, done, reply},
        note::Pull,
        time::{Tempos, convert, end_of, later, out_of_range},
        words::counted,
    },
    refusal::{Refusal, Reply},
};

pub fn relocate(edit: &mut Edit<'_, '_>, payload: &Move) -> Reply {
    edit.label(format!("Move {}", counted(payload.moves.len(), "clip")));
    let (mut placed, mut copies) = (Vec::with_capacity(payload.moves.len()), Vec::new());
    for step in &payload.moves {
        let mut clip: Clip = edit.get(step.clip)?;
        let from = clip.lane;
        if let Some(lane) = step.lane {
            clip.lane = lane_for(edit, lane, clip.content)?.id;
        }
        clip.start = step.start.unwrap_or(clip.start);
        if leaves_others_behind(edit, &clip, from)? {
            placed.push(put_anew(edit, clip, &mut copies)?);
        } else {
            placed.push(clip.id);
            edit.put(clip)?;
        }
    }
    let trimmed = make_room(edit, &mut Tempos::default(), &placed, payload.overlap)?;
    reply(Trimmed { trimmed, copies })
}

/// Whether a clip goes to another track while variants of its track, or their original, have it
/// too. They keep it, so what arrives has to be another one.
fn leaves_others_behind(
    edit: &mut Edit<'_, '_>,
    clip: &Clip,
    from: LaneId,
) -> Result<bool, Refusal> {
    if clip.lane == from {
        return Ok(false);
    }
    let (from, to): (Lane, Lane) = (edit.get(from)?, edit.get(clip.lane)?);
    Ok(from.track != to.track && edit.tx.is_shared(clip.id)?)
}

/// Takes a clip away and writes it where it goes under a new id, as it plays.
fn put_anew(
    edit: &mut Edit<'_, '_>,
    clip: Clip,
    copies: &mut Vec<CopyOf>,
) -> Result<ClipId, Refusal> {
    let old: Clip = edit.get(clip.id)?;
    let takes = edit.referring::<Take>(old.id)?;
    let contents = Contents::read(&edit.view()?, old.clone())?;
    let new = contents.write(edit, Clip { active_variant: None, ..clip }, copies)?;
    for take in takes.into_iter().filter(|take| take.clip == old.id) {
        edit.update::<Take>(take.id, |take| take.clip = new)?;
    }
    edit.delete([old.id])?;
    Ok(new)
}

pub fn nudge(edit: &mut Edit<'_, '_>, payload: &Nudge) -> Reply {
    edit.label(format!("Nudge {}", counted(payload.clips.len(), "clip")));
    let mut tempos = Tempos::default();
    for id in &payload.clips {
        let mut clip: Clip = edit.get(*id)?;
        let tempo = tempos.of(edit, clip.lane)?;
        clip.start = later(&tempo, clip.timebase, clip.start, payload.by);
        if clip.start < Moment::ZERO {
            let text = "the clip would begin before the arrangement does";
            return Err(
                Refusal::range("payload.by", text).with("entity", clip.id.any().to_string())
            );
        }
        edit.put(clip)?;
    }
    let trimmed = make_room(edit, &mut tempos, &payload.clips, payload.overlap)?;
    reply(Nudged { trimmed })
}

pub fn duplicate(edit: &mut Edit<'_, '_>, payload: &Duplicate) -> Reply {
    edit.label(format!("Duplicate {}", counted(payload.clips.len(), "clip")));
    let mut tempos = Tempos::default();
    let mut originals = Vec::with_capacity(payload.clips.len());
    let (mut first, mut last) = (Ticks::MAX, Ticks::ZERO);
    for id in &payload.clips {
        let clip: Clip = edit.get(*id)?;
        let tempo = tempos.of(edit, clip.lane)?;
        let ticks = |at| convert(&tempo, clip.timebase, at, Timebase::Musical).as_ticks();
        first = first.min(ticks(clip.start));
        last = last.max(ticks(end_of(&clip)));
        originals.push(Contents::read(&edit.view()?, clip)?);
    }
    let offset = payload.offset.unwrap_or(last.saturating_sub(first));
    let (mut copies, mut placed) = (Vec::new(), Vec::new());
    for turn in 1..=i64::from(payload.count.unwrap_or(1)) {
        let by = offset.checked_mul(turn).ok_or_else(|| out_of_range("payload.offset"))?;
        for original in &originals {
            let mut clip = original.clip.clone();
            if let Some(lane) = payload.lane {
                clip.lane = lane_for(edit, lane, clip.content)?.id;
            }
            let tempo = tempos.of(edit, clip.lane)?;
            clip.start = later(&tempo, clip.timebase, clip.start, by);
            placed.push(original.write(edit, clip, &mut copies)?);
        }
    }
    make_room(edit, &mut tempos, &placed, payload.overlap)?;
    reply(Copied { copies })
}

pub fn quantise(edit: &mut Edit<'_, '_>, payload: &Quantise) -> Reply {
    edit.label(format!("Quantise {}", counted(payload.clips.len(), "clip")));
    let pull = Pull::new(edit, &payload.quantise)?;
    let mut tempos = Tempos::default();
    for id in &payload.clips {
        let mut clip: Clip = edit.get(*id)?;
        let tempo = tempos.of(edit, clip.lane)?;
        let pulled = |at: Moment| {
            let ticks = convert(&tempo, clip.timebase, at, Timebase::Musical).as_ticks();
            let ticks = Ticks(pull.apply(ticks, Ticks::ZERO).0.max(0));
            convert(&tempo, Timebase::Musical, ticks.into(), clip.timebase)
        };
        let (start, end) = (pulled(clip.start), pulled(end_of(&clip)));
        if pull.ends {
            clip.length = Moment(end.saturating_sub(start).0.max(1));
        }
        clip.start = start;
        edit.put(clip)?;
    }
    done()
}
