//! Comps: which take sounds where.

use pulse_schemas::{
    command::{
        lane::{
            CompCreated, CompRange, CreateComp, DeleteComp, FlattenComp, Flattened, UpdateComp,
        },
        types::CopyOf,
    },
    entity::{Clip, Comp, CompSegment, Lane, Take},
    error::ErrorCode,
    id::{ClipId, CompId, LaneId, TakeId},
    time::{Ticks, Timebase},
};

use crate::{
    commands::{
        clip::{
            content::Contents,
            cut::{set_end, set_start},
        },
        edit::{Edit, done, numbered, reply},
        time::{Tempos, convert, end_of},
    },
    refusal::{Refusal, Reply},
};

/// Segments name takes of the comp's own lane.
fn require_takes(
    edit: &mut Edit<'_, '_>,
    lane: LaneId,
    takes: impl Iterator<Item = TakeId>,
) -> Result<(), Refusal> {
    for id in takes {
        let take: Take = edit.get(id)?;
        if take.lane != lane {
            let text = format!("{} is a take of another lane", take.name);
            return Err(
                Refusal::new(ErrorCode::EntityInvalid, text).with("entity", id.any().to_string())
            );
        }
    }
    Ok(())
}

fn named(segments: &[CompSegment]) -> impl Iterator<Item = TakeId> {
    segments.iter().filter_map(|segment| segment.take)
}

/// One comp of a lane plays at a time.
fn silence_others(edit: &mut Edit<'_, '_>, comp: &Comp) -> Result<(), Refusal> {
    for other in edit.referring::<Comp>(comp.lane)? {
        if other.active && other.id != comp.id {
            edit.update::<Comp>(other.id, |other| other.active = false)?;
        }
    }
    Ok(())
}

pub fn create(edit: &mut Edit<'_, '_>, payload: &CreateComp) -> Reply {
    let lane = edit.get::<Lane>(payload.lane)?.id;
    require_takes(edit, lane, named(&payload.segments))?;
    let comps = edit.referring::<Comp>(lane)?;
    let names = comps.iter().map(|comp| comp.name.as_str());
    let name = payload.name.clone().unwrap_or_else(|| numbered("Comp", names));
    edit.label(format!("Create {name}"));
    let id = CompId(edit.id());
    let segments = payload.segments.clone();
    let comp = Comp { id, lane, name, active: payload.active, segments };
    if comp.active {
        silence_others(edit, &comp)?;
    }
    edit.put(comp)?;
    reply(CompCreated { comp: id })
}

pub fn choose(edit: &mut Edit<'_, '_>, payload: &CompRange) -> Reply {
    let mut comp: Comp = edit.get(payload.comp)?;
    require_takes(edit, comp.lane, payload.take.into_iter())?;
    edit.label(format!("Choose a take in {}", comp.name));
    let (start, end) = (payload.range.start, payload.range.end);
    let after = sounding(&comp.segments, end);
    comp.segments.retain(|segment| segment.start < start || segment.start > end);
    comp.segments.push(CompSegment { start, take: payload.take });
    comp.segments.push(CompSegment { start: end, take: after });
    comp.segments.sort_by_key(|segment| segment.start);
    // A segment that says what the one before it says adds nothing.
    comp.segments.dedup_by(|next, last| next.take == last.take);
    edit.put(comp)?;
    done()
}

/// The take that sounds at a place.
fn sounding(segments: &[CompSegment], at: Ticks) -> Option<TakeId> {
    segments.iter().rev().find(|segment| segment.start <= at).and_then(|segment| segment.take)
}

pub fn update(edit: &mut Edit<'_, '_>, payload: &UpdateComp) -> Reply {
    let mut comp: Comp = edit.get(payload.comp)?;
    edit.label(format!("Change {}", comp.name));
    if let Some(name) = &payload.name {
        comp.name.clone_from(name);
    }
    if let Some(segments) = &payload.segments {
        require_takes(edit, comp.lane, named(segments))?;
        comp.segments.clone_from(segments);
    }
    comp.active = payload.active.unwrap_or(comp.active);
    if payload.active == Some(true) {
        silence_others(edit, &comp)?;
    }
    edit.put(comp)?;
    done()
}

pub fn delete(edit: &mut Edit<'_, '_>, payload: &DeleteComp) -> Reply {
    let comp: Comp = edit.get(payload.comp)?;
    edit.label(format!("Delete {}", comp.name));
    reply(edit.delete([comp.id])?)
}

/// Silence where a take that goes was chosen.
pub fn forget(edit: &mut Edit<'_, '_>, take: &Take) -> Result<(), Refusal> {
    for mut comp in edit.referring::<Comp>(take.lane)? {
        let mut found = false;
        for segment in comp.segments.iter_mut().filter(|it| it.take == Some(take.id)) {
            (segment.take, found) = (None, true);
        }
        if found {
            edit.put(comp)?;
        }
    }
    Ok(())
}

pub fn flatten(edit: &mut Edit<'_, '_>, payload: &FlattenComp) -> Reply {
    let comp: Comp = edit.get(payload.comp)?;
    edit.label(format!("Flatten {}", comp.name));
    let tempo = Tempos::default().of(edit, comp.lane)?;
    let (mut clips, mut copies): (Vec<ClipId>, Vec<CopyOf>) = (Vec::new(), Vec::new());
    for (at, segment) in comp.segments.iter().enumerate() {
        let Some(take) = segment.take else { continue };
        let until = comp.segments.get(at + 1).map_or(Ticks::MAX, |next| next.start);
        let take: Take = edit.get(take)?;
        let original: Clip = edit.get(take.clip)?;
        let place = |at: Ticks| convert(&tempo, Timebase::Musical, at.into(), original.timebase);
        let start = place(segment.start).max(original.start);
        let end = place(until).min(end_of(&original));
        if start >= end {
            continue;
        }
        let mut part = original.clone();
        part.mute = false;
        set_start(&mut part, start);
        set_end(&mut part, end);
        let contents = Contents::read(&edit.view()?, original)?;
        clips.push(contents.write(edit, part, &mut copies)?);
    }
    // What was chosen from stays, silent, so that one can choose again.
    for take in super::takes(edit, comp.lane)? {
        edit.update::<Clip>(take.clip, |clip| clip.mute = true)?;
    }
    edit.delete([comp.id])?;
    reply(Flattened { clips })
}
