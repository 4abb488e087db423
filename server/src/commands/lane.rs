//! Lanes: layers of a track, takes to choose from, comps of takes.

mod comp;

use pulse_schemas::{
    command::{
        lane::{
            AddTake, Command, Create, Created, Delete, DeleteTake, Duplicate, Move, TakeAdded,
            Update, UpdateTake,
        },
        types::Copied,
    },
    entity::{Clip, Lane, Take, Track},
    error::ErrorCode,
    id::{LaneId, TakeId, TrackId},
};

use super::{
    arrangement::subtree,
    edit::{Copier, Edit, done, numbered, place_before, reply, sort},
};
use crate::refusal::{Refusal, Reply};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Create(payload) => create(edit, payload),
        Command::Delete(payload) => delete(edit, payload),
        Command::Duplicate(payload) => duplicate(edit, payload),
        Command::Update(payload) => update(edit, payload),
        Command::Move(payload) => relocate(edit, payload),
        Command::AddTake(payload) => add_take(edit, payload),
        Command::UpdateTake(payload) => update_take(edit, payload),
        Command::DeleteTake(payload) => delete_take(edit, payload),
        Command::CreateComp(payload) => comp::create(edit, payload),
        Command::CompRange(payload) => comp::choose(edit, payload),
        Command::UpdateComp(payload) => comp::update(edit, payload),
        Command::DeleteComp(payload) => comp::delete(edit, payload),
        Command::FlattenComp(payload) => comp::flatten(edit, payload),
    }
}

/// The lanes of a track but one.
fn siblings(
    edit: &mut Edit<'_, '_>,
    track: TrackId,
    but: Option<LaneId>,
) -> Result<Vec<Lane>, Refusal> {
    let mut lanes = edit.referring::<Lane>(track)?;
    lanes.retain(|lane| lane.track == track && Some(lane.id) != but);
    Ok(lanes)
}

fn create(edit: &mut Edit<'_, '_>, payload: &Create) -> Reply {
    let track: Track = edit.get(payload.track)?;
    if let Some(before) = payload.before {
        edit.get::<Lane>(before)?;
    }
    edit.label(format!("Add a lane to {}", track.name));
    let order =
        place_before(&mut siblings(edit, track.id, None)?, payload.before.map(|before| before.0));
    let id = LaneId(edit.id());
    edit.put(Lane {
        id,
        track: track.id,
        order,
        name: payload.name.clone().unwrap_or_default(),
        lane_kind: payload.kind,
        timebase: payload.timebase.unwrap_or_default(),
        ..Lane::default()
    })?;
    reply(Created { lane: id })
}

fn delete(edit: &mut Edit<'_, '_>, payload: &Delete) -> Reply {
    let lane: Lane = edit.get(payload.lane)?;
    let track: Track = edit.get(lane.track)?;
    edit.label(format!("Delete a lane of {}", track.name));
    reply(edit.delete([lane.id])?)
}

fn duplicate(edit: &mut Edit<'_, '_>, payload: &Duplicate) -> Reply {
    let lane: Lane = edit.get(payload.lane)?;
    let track: Track = edit.get(lane.track)?;
    edit.label(format!("Duplicate a lane of {}", track.name));
    let mut lanes = siblings(edit, track.id, None)?;
    sort(&mut lanes);
    let at = lanes.iter().position(|other| other.id == lane.id);
    let next = at.and_then(|at| lanes.get(at + 1)).map(|lane| lane.id.0);
    let order = place_before(&mut lanes, next);
    let originals = subtree(&edit.view()?, lane.id.any())?;
    let copier = Copier::copy(edit, &originals, |_, _| true)?;
    if let Some(copy) = copier.of(lane.id) {
        edit.update::<Lane>(copy, |copy| copy.order = order)?;
    }
    reply(Copied { copies: copier.copies })
}

fn update(edit: &mut Edit<'_, '_>, payload: &Update) -> Reply {
    edit.get::<Lane>(payload.lane)?;
    edit.label(match payload.mute {
        Some(true) => "Mute a lane",
        Some(false) => "Unmute a lane",
        None => "Change a lane",
    });
    edit.update::<Lane>(payload.lane, |lane| {
        if let Some(name) = &payload.name {
            lane.name.clone_from(name);
        }
        lane.mute = payload.mute.unwrap_or(lane.mute);
        lane.timebase = payload.timebase.unwrap_or(lane.timebase);
    })?;
    done()
}

fn relocate(edit: &mut Edit<'_, '_>, payload: &Move) -> Reply {
    let lane: Lane = edit.get(payload.lane)?;
    let track: Track = edit.get(payload.track.unwrap_or(lane.track))?;
    let mut others = siblings(edit, track.id, Some(lane.id))?;
    if let Some(before) = payload.before
        && !others.iter().any(|other| other.id == before)
    {
        let text = format!("the lane that it should come before is none of {}", track.name);
        return Err(Refusal::new(ErrorCode::EntityInvalid, text).with("path", "payload.before"));
    }
    edit.label(format!("Move a lane to {}", track.name));
    let order = place_before(&mut others, payload.before.map(|before| before.0));
    edit.update::<Lane>(lane.id, |lane| (lane.track, lane.order) = (track.id, order))?;
    done()
}

fn takes(edit: &mut Edit<'_, '_>, lane: LaneId) -> Result<Vec<Take>, Refusal> {
    let mut takes = edit.referring::<Take>(lane)?;
    takes.retain(|take| take.lane == lane);
    Ok(takes)
}

fn add_take(edit: &mut Edit<'_, '_>, payload: &AddTake) -> Reply {
    let clip: Clip = edit.get(payload.clip)?;
    let mut others = takes(edit, clip.lane)?;
    if others.iter().any(|take| take.clip == clip.id) {
        let text = "the clip is a take already";
        return Err(Refusal::new(ErrorCode::EntityInvalid, text).with("path", "payload.clip"));
    }
    let names = others.iter().map(|take| take.name.as_str());
    let name = payload.name.clone().unwrap_or_else(|| numbered("Take", names));
    edit.label(format!("Add take {name}"));
    let id = TakeId(edit.id());
    let order = place_before(&mut others, None);
    edit.put(Take { id, lane: clip.lane, order, name, clip: clip.id, rating: 0 })?;
    reply(TakeAdded { take: id })
}

fn update_take(edit: &mut Edit<'_, '_>, payload: &UpdateTake) -> Reply {
    let take: Take = edit.get(payload.take)?;
    edit.label(format!("Change {}", take.name));
    edit.update::<Take>(take.id, |take| {
        if let Some(name) = &payload.name {
            take.name.clone_from(name);
        }
        take.rating = payload.rating.unwrap_or(take.rating);
    })?;
    done()
}

fn delete_take(edit: &mut Edit<'_, '_>, payload: &DeleteTake) -> Reply {
    let take: Take = edit.get(payload.take)?;
    edit.label(format!("Delete {}", take.name));
    comp::forget(edit, &take)?;
    match payload.with_clip {
        // The take goes with its clip.
        true => reply(edit.delete([take.clip])?),
        false => reply(edit.delete([take.id])?),
    }
}

#[cfg(test)]
mod tests;
