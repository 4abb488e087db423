//! Scenes and clip slots, as data; launching them is another matter.

use pulse_schemas::{
    command::{
        scene::{
            ClearSlot, Command, Create, Created, Delete, Duplicate, List, Move, Place, Scenes,
            SetSlot, SlotSet, Update,
        },
        types::{Copied, Deleted, Patch},
    },
    entity::{AnyEntity, Clip, ClipSlot, Lane, Scene, Track},
    error::ErrorCode,
    id::{AnyId, ArrangementId, ClipId, ClipSlotId, EntityKind, SceneId, TrackId},
    record::EntityKey,
    time::{Moment, Timebase},
};
use serde_json::Value;

use super::{
    edit::{Copier, Edit, active_arrangement, done, numbered, place_before, reply, sort},
    track::belongings,
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
    transport::SongTime,
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Create(payload) => create(edit, payload),
        Command::Delete(payload) => delete(edit, payload),
        Command::Duplicate(payload) => duplicate(edit, payload),
        Command::Update(payload) => update(edit, payload),
        Command::Move(payload) => relocate(edit, payload),
        Command::SetSlot(payload) => set_slot(edit, payload),
        Command::ClearSlot(payload) => clear_slot(edit, payload),
        Command::Place(payload) => place(edit, payload),
        Command::List(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn slots(edit: &mut Edit<'_, '_>, scene: SceneId) -> Result<Vec<ClipSlot>, Refusal> {
    let mut slots = edit.referring::<ClipSlot>(scene)?;
    slots.sort_by_key(|slot| slot.id);
    Ok(slots)
}

fn siblings(
    edit: &mut Edit<'_, '_>,
    arrangement: ArrangementId,
    moving: Option<SceneId>,
) -> Result<Vec<Scene>, Refusal> {
    let mut scenes = edit.referring::<Scene>(arrangement)?;
    scenes.retain(|scene| Some(scene.id) != moving);
    Ok(scenes)
}

fn create(edit: &mut Edit<'_, '_>, payload: &Create) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    let mut scenes = siblings(edit, arrangement, None)?;
    let names = scenes.iter().map(|scene| scene.name.as_str());
    let name = payload.name.clone().unwrap_or_else(|| numbered("Scene", names));
    edit.label(format!("Create scene {name}"));
    let id = SceneId(edit.id());
    let order = place_before(&mut scenes, payload.before.map(|before| before.0));
    edit.put(Scene { id, arrangement, order, name, bpm: payload.bpm })?;
    reply(Created { scene: id })
}

fn delete(edit: &mut Edit<'_, '_>, payload: &Delete) -> Reply {
    let scene: Scene = edit.get(payload.scene)?;
    edit.label(format!("Delete scene {}", scene.name));
    let slots = slots(edit, scene.id)?;
    let clips = slots.iter().filter_map(|slot| slot.clip).map(ClipId::any);
    let gone: Vec<AnyId> = [scene.id.any()].into_iter().chain(clips).collect();
    let deleted: Deleted = edit.delete(gone)?;
    reply(deleted)
}

/// A copy plays itself and not a variant of its original.
fn without_variant(fields: &mut serde_json::Map<String, Value>, kind: EntityKind) -> bool {
    if kind == EntityKind::Clip {
        fields.insert("activeVariant".into(), Value::Null);
    }
    true
}

fn duplicate(edit: &mut Edit<'_, '_>, payload: &Duplicate) -> Reply {
    let scene: Scene = edit.get(payload.scene)?;
    edit.label(format!("Duplicate scene {}", scene.name));
    let view = edit.view()?;
    let mut originals: Vec<AnyEntity> = vec![scene.clone().into()];
    for slot in slots(edit, scene.id)? {
        if let Some(clip) = slot.clip {
            originals.extend(belongings(&view, clip.any(), true)?);
        }
        originals.push(slot.into());
    }
    originals.sort_by_key(EntityKey::of);
    originals.dedup_by_key(|entity| EntityKey::of(entity));
    let copier = Copier::copy(edit, &originals, without_variant)?;
    if let Some(copy) = copier.of(scene.id) {
        let mut scenes = siblings(edit, scene.arrangement, Some(SceneId(copy.id)))?;
        sort(&mut scenes);
        let at = scenes.iter().position(|it| it.id == scene.id);
        let next = at.and_then(|at| scenes.get(at + 1)).map(|next| next.id.0);
        let order = place_before(&mut scenes, next);
        let name = format!("{} copy", scene.name);
        edit.update::<Scene>(copy, |copy| (copy.order, copy.name) = (order, name))?;
    }
    reply(Copied { copies: copier.copies })
}

fn update(edit: &mut Edit<'_, '_>, payload: &Update) -> Reply {
    let scene: Scene = edit.get(payload.scene)?;
    edit.label(format!("Change scene {}", scene.name));
    edit.update::<Scene>(scene.id, |scene| {
        scene.name = payload.name.clone().unwrap_or_else(|| scene.name.clone());
        payload.bpm.apply(&mut scene.bpm);
    })?;
    done()
}

fn relocate(edit: &mut Edit<'_, '_>, payload: &Move) -> Reply {
    let scene: Scene = edit.get(payload.scene)?;
    edit.label(format!("Move scene {}", scene.name));
    let mut scenes = siblings(edit, scene.arrangement, Some(scene.id))?;
    let order = place_before(&mut scenes, payload.before.map(|before| before.0));
    edit.update::<Scene>(scene.id, |scene| scene.order = order)?;
    done()
}

/// A clip can stand in a slot of its own track only.
fn check_clip(edit: &mut Edit<'_, '_>, clip: ClipId, track: TrackId) -> Result<(), Refusal> {
    let clip: Clip = edit.get(clip)?;
    let lane: Lane = edit.get(clip.lane)?;
    if lane.track == track {
        return Ok(());
    }
    let text = "the clip belongs to another track; move it there first";
    Err(Refusal::new(ErrorCode::EntityInvalid, text).with("entity", clip.id.to_string()))
}

fn set_slot(edit: &mut Edit<'_, '_>, payload: &SetSlot) -> Reply {
    let scene: Scene = edit.get(payload.scene)?;
    let track: Track = edit.get(payload.track)?;
    edit.label(format!("Slot of {} in {}", track.name, scene.name));
    if track.arrangement != scene.arrangement {
        let text = format!("{} belongs to another arrangement", track.name);
        return Err(
            Refusal::new(ErrorCode::EntityInvalid, text).with("entity", track.id.to_string())
        );
    }
    if let Patch::Set(clip) = payload.clip {
        check_clip(edit, clip, track.id)?;
        let others = edit.referring::<ClipSlot>(clip)?;
        let other = others.iter().find(|slot| (slot.scene, slot.track) != (scene.id, track.id));
        if let Some(other) = other {
            let text = "the clip stands in another slot already";
            return Err(Refusal::new(ErrorCode::EntityInUse, text)
                .with("users", vec![other.id.to_string()]));
        }
    }
    let known = slots(edit, scene.id)?.into_iter().find(|slot| slot.track == track.id);
    let mut slot = match known {
        Some(slot) => slot,
        None => ClipSlot {
            id: ClipSlotId(edit.id()),
            scene: scene.id,
            track: track.id,
            ..ClipSlot::default()
        },
    };
    payload.clip.apply(&mut slot.clip);
    slot.quantise = payload.quantise.unwrap_or(slot.quantise);
    slot.stop_when_empty = payload.stop_when_empty.unwrap_or(slot.stop_when_empty);
    let id = slot.id;
    edit.put(slot)?;
    reply(SlotSet { slot: id })
}

fn clear_slot(edit: &mut Edit<'_, '_>, payload: &ClearSlot) -> Reply {
    let slot: ClipSlot = edit.get(payload.slot)?;
    edit.label("Clear slot");
    let gone: Vec<AnyId> = [slot.id.any()].into_iter().chain(slot.clip.map(ClipId::any)).collect();
    reply(edit.delete(gone)?)
}

fn place(edit: &mut Edit<'_, '_>, payload: &Place) -> Reply {
    let scene: Scene = edit.get(payload.scene)?;
    edit.label(format!("Place scene {}", scene.name));
    let view = edit.view()?;
    let time = SongTime::of(&view, scene.arrangement);
    let mut clips: Vec<Clip> = Vec::new();
    for slot in slots(edit, scene.id)? {
        if let Some(clip) = slot.clip {
            clips.push(edit.get(clip)?);
        }
    }
    if payload.at.0 < 0 {
        return Err(Refusal::range("payload.at", "the song starts at 0"));
    }
    // In ticks at the place: a clip in absolute time takes what the tempo there says.
    let end = |clip: &Clip| match clip.timebase {
        Timebase::Musical => payload.at.0.saturating_add(clip.length.0),
        Timebase::Absolute => {
            let start = time.tempo.flicks_at(payload.at).0;
            let end = Moment(start.saturating_add(clip.length.0));
            time.tempo.ticks_of(Timebase::Absolute, end).0
        }
    };
    let longest = clips.iter().map(end).max().unwrap_or(payload.at.0);
    let last = payload.length.map_or(longest, |length| payload.at.0.saturating_add(length.0));
    let mut originals = Vec::new();
    for clip in &clips {
        originals.extend(belongings(&view, clip.id.any(), true)?);
    }
    originals.sort_by_key(EntityKey::of);
    let copier = Copier::copy(edit, &originals, without_variant)?;
    for clip in &clips {
        let Some(copy) = copier.of(clip.id) else { continue };
        let until = if clip.loop_length.is_some() { last } else { end(clip).min(last) };
        let (start, stop) = match clip.timebase {
            Timebase::Musical => (payload.at.0, until),
            Timebase::Absolute => {
                let flicks = |ticks| time.tempo.flicks_at(pulse_schemas::time::Ticks(ticks)).0;
                (flicks(payload.at.0), flicks(until))
            }
        };
        edit.update::<Clip>(copy, |copy| {
            copy.start = Moment(start);
            copy.length = Moment(stop - start);
        })?;
    }
    reply(Copied { copies: copier.copies })
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let arrangement = match payload.arrangement {
        Some(arrangement) => arrangement,
        None => active_arrangement(&view)?,
    };
    let mut scenes = view.referring::<Scene>(arrangement)?;
    sort(&mut scenes);
    let mut found = Vec::new();
    for scene in &scenes {
        let mut slots = view.referring::<ClipSlot>(scene.id)?;
        slots.sort_by_key(|slot| slot.id);
        found.extend(slots);
    }
    reply(Scenes { scenes, slots: found })
}

#[cfg(test)]
mod tests {
    use pulse_schemas::{
        entity::{Clip, ClipContent},
        id::{AnyId, ClipId, LaneId},
        time::Moment,
    };
    use pulse_store::tx::TxMeta;
    use serde_json::{Value, json};

    use crate::commands::testing::Project;

    /// A track with a looping clip of `length` ticks.
    fn track(project: &mut Project, length: i64) -> (Value, Value) {
        let made = project.ok("track.create", json!({"kind": "instrument"}));
        let lane: AnyId = made["lane"].as_str().unwrap().parse().unwrap();
        let clip = project.session.transact(TxMeta::new("Clip", "test"), |edit| {
            let id = ClipId(edit.id());
            edit.put(Clip {
                id,
                lane: LaneId(lane.id),
                content: ClipContent::Midi,
                length: Moment(length),
                loop_length: Some(Moment(length)),
                ..Clip::default()
            })?;
            Ok(id)
        });
        (made["track"].clone(), json!(clip.unwrap()))
    }

    #[test]
    fn a_scene_is_made_copied_placed_and_deleted_with_its_clips() {
        let mut project = Project::new();
        let (drums, beat) = track(&mut project, 400);
        let (bass, line) = track(&mut project, 100);
        let scene = project.ok("scene.create", json!({"bpm": 126}))["scene"].clone();
        let slot =
            |track: &Value, clip: &Value| json!({"scene": scene, "track": track, "clip": clip});
        project.refused("scene.setSlot", slot(&drums, &line), "entity.invalid");
        project.ok("scene.setSlot", slot(&drums, &beat));
        let second = project.ok("scene.setSlot", slot(&bass, &line))["slot"].clone();
        let copied = project.ok("scene.duplicate", json!({"scene": scene}));
        assert_eq!(copied["copies"].as_array().unwrap().len(), 5);
        let list = project.ok("scene.list", json!({}));
        assert_eq!(list["scenes"][1]["name"], "Scene 1 copy");
        assert_eq!(list["slots"].as_array().unwrap().len(), 4);

        let placed = project.ok("scene.place", json!({"scene": scene, "at": 1000}));
        let view = project.session.view().unwrap();
        for of in placed["copies"].as_array().unwrap() {
            let copy: AnyId = of["copy"].as_str().unwrap().parse().unwrap();
            let clip = view.get::<Clip>(copy).unwrap().unwrap();
            assert_eq!((clip.start, clip.length), (Moment(1000), Moment(400)));
        }
        project.ok("scene.clearSlot", json!({"slot": second}));
        let gone = project.ok("scene.delete", json!({"scene": scene}))["deleted"].clone();
        assert!(gone.as_array().unwrap().contains(&beat), "{gone}");
        project.refused("scene.delete", json!({"scene": scene}), "entity.notFound");
    }

    #[test]
    fn scenes_move_and_change_and_a_slot_is_emptied() {
        let mut project = Project::new();
        let (drums, beat) = track(&mut project, 400);
        let first = project.ok("scene.create", json!({"name": "A"}))["scene"].clone();
        let second = project.ok("scene.create", json!({"name": "B"}))["scene"].clone();
        project.ok("scene.move", json!({"scene": second, "before": first}));
        project.ok("scene.update", json!({"scene": first, "name": "C", "bpm": null}));
        let slot = |clip: Value| json!({"scene": first, "track": drums, "clip": clip});
        let set = project.ok("scene.setSlot", slot(beat.clone()));
        let other = json!({"scene": second, "track": drums, "clip": beat});
        project.refused("scene.setSlot", other, "entity.inUse");
        let emptied = project.ok("scene.setSlot", slot(json!(null)));
        assert_eq!(set["slot"], emptied["slot"]);
        let list = project.ok("scene.list", json!({}));
        let names: Vec<&str> = list["scenes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert_eq!((names, &list["slots"][0]["clip"]), (vec!["B", "C"], &json!(null)));
    }
}
