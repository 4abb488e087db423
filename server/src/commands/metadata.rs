//! Markers, sections, keys, grooves, tags, and the looks of things.

use pulse_schemas::{
    command::metadata::{
        AddGroove, AddKey, AddMarker, AddSection, ClearMarkers, Command, GrooveAdded, KeyAdded,
        List, MarkerAdded, MarkersCleared, MetadataList, RemoveGroove, RemoveKey, RemoveMarker,
        RemoveSection, SectionAdded, SetInfo, SetTags, SetView, Tags, UpdateKey, UpdateMarker,
        UpdateSection,
    },
    entity::{
        AnyEntity, Arrangement, GrooveTemplate, KeyPoint, Kit, Marker, MediaItem, Project, Section,
    },
    error::ErrorCode,
    id::{EntityKind, GrooveId, KeyPointId, MarkerId, SectionId},
    time::{Moment, Timebase},
};

use super::{
    edit::{Edit, active_arrangement, done, reply},
    looks::look,
    project::the_project,
    time::{convert, tempo_map},
    timebase,
    words::counted,
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::AddMarker(payload) => add_marker(edit, payload),
        Command::UpdateMarker(payload) => update_marker(edit, payload),
        Command::RemoveMarker(payload) => remove_marker(edit, payload),
        Command::ClearMarkers(payload) => clear_markers(edit, payload),
        Command::AddSection(payload) => add_section(edit, payload),
        Command::UpdateSection(payload) => update_section(edit, payload),
        Command::RemoveSection(payload) => remove_section(edit, payload),
        Command::MoveSection(payload) => timebase::move_section(edit, payload),
        Command::AddKey(payload) => add_key(edit, payload),
        Command::UpdateKey(payload) => update_key(edit, payload),
        Command::RemoveKey(payload) => remove_key(edit, payload),
        Command::SetInfo(payload) => set_info(edit, payload),
        Command::SetTags(payload) => set_tags(edit, payload),
        Command::SetView(payload) => set_view(edit, payload),
        Command::AddGroove(payload) => add_groove(edit, payload),
        Command::RemoveGroove(payload) => remove_groove(edit, payload),
        Command::List(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn add_marker(edit: &mut Edit<'_, '_>, payload: &AddMarker) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label(format!("Add marker {}", payload.name));
    let id = MarkerId(edit.id());
    edit.put(Marker {
        id,
        arrangement,
        name: payload.name.clone(),
        timebase: payload.timebase.unwrap_or_default(),
        at: payload.at,
        marker_kind: payload.kind.clone().unwrap_or_default(),
    })?;
    reply(MarkerAdded { marker: id })
}

fn update_marker(edit: &mut Edit<'_, '_>, payload: &UpdateMarker) -> Reply {
    let mut marker: Marker = edit.get(payload.marker)?;
    edit.label(match payload.at {
        Some(_) => format!("Move marker {}", marker.name),
        None => format!("Change marker {}", marker.name),
    });
    if let Some(name) = &payload.name {
        marker.name.clone_from(name);
    }
    if let Some(kind) = &payload.kind {
        marker.marker_kind = kind.clone();
    }
    marker.at = payload.at.unwrap_or(marker.at);
    edit.put(marker)?;
    done()
}

fn remove_marker(edit: &mut Edit<'_, '_>, payload: &RemoveMarker) -> Reply {
    let marker: Marker = edit.get(payload.marker)?;
    edit.label(format!("Remove marker {}", marker.name));
    edit.delete([marker.id])?;
    done()
}

fn clear_markers(edit: &mut Edit<'_, '_>, payload: &ClearMarkers) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    let tempo = tempo_map(&edit.view()?, arrangement)?;
    let mut markers = edit.members::<Marker>(arrangement)?;
    markers.retain(|marker| {
        let at = convert(&tempo, marker.timebase, marker.at, Timebase::Musical).as_ticks();
        (payload.range.start..payload.range.end).contains(&at)
    });
    edit.label(format!("Clear {}", counted(markers.len(), "marker")));
    edit.delete(markers.iter().map(|marker| marker.id))?;
    reply(MarkersCleared { removed: markers.len() as u64 })
}

fn add_section(edit: &mut Edit<'_, '_>, payload: &AddSection) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label(format!("Add section {}", payload.name));
    let id = SectionId(edit.id());
    edit.put(Section {
        id,
        arrangement,
        name: payload.name.clone(),
        start: payload.range.start,
        length: payload.range.end.saturating_sub(payload.range.start),
    })?;
    if let Some(colour) = &payload.colour {
        look(edit, id.any(), |meta| meta.colour = Some(colour.clone()))?;
    }
    reply(SectionAdded { section: id })
}

fn update_section(edit: &mut Edit<'_, '_>, payload: &UpdateSection) -> Reply {
    let mut section: Section = edit.get(payload.section)?;
    edit.label(format!("Change section {}", section.name));
    if let Some(name) = &payload.name {
        section.name.clone_from(name);
    }
    if let Some(range) = payload.range {
        section.start = range.start;
        section.length = range.end.saturating_sub(range.start);
    }
    edit.put(section)?;
    done()
}

fn remove_section(edit: &mut Edit<'_, '_>, payload: &RemoveSection) -> Reply {
    let section: Section = edit.get(payload.section)?;
    edit.label(format!("Remove section {}", section.name));
    edit.delete([section.id])?;
    done()
}

fn add_key(edit: &mut Edit<'_, '_>, payload: &AddKey) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label("Set the key");
    let keys = edit.members::<KeyPoint>(arrangement)?;
    let known = keys.into_iter().find(|key| key.at == payload.at);
    let id = match known {
        Some(key) => key.id,
        None => KeyPointId(edit.id()),
    };
    let (at, tonic, scale) = (payload.at, payload.tonic, payload.scale.clone());
    edit.put(KeyPoint { id, arrangement, at, tonic, scale })?;
    reply(KeyAdded { key: id })
}

fn update_key(edit: &mut Edit<'_, '_>, payload: &UpdateKey) -> Reply {
    let mut key: KeyPoint = edit.get(payload.key)?;
    edit.label("Change a key");
    key.at = payload.at.unwrap_or(key.at);
    key.tonic = payload.tonic.unwrap_or(key.tonic);
    if let Some(scale) = &payload.scale {
        key.scale.clone_from(scale);
    }
    let others = edit.members::<KeyPoint>(key.arrangement)?;
    if others.iter().any(|other| other.at == key.at && other.id != key.id) {
        return Err(Refusal::range("payload.at", "there is another key at this place"));
    }
    edit.put(key)?;
    done()
}

fn remove_key(edit: &mut Edit<'_, '_>, payload: &RemoveKey) -> Reply {
    edit.get::<KeyPoint>(payload.key)?;
    edit.label("Remove a key");
    edit.delete([payload.key])?;
    done()
}

fn set_info(edit: &mut Edit<'_, '_>, payload: &SetInfo) -> Reply {
    let mut project = the_project(edit)?;
    edit.label("Change the project's information");
    for (key, value) in &payload.values {
        match value {
            Some(value) => project.metadata.insert(key.clone(), value.clone()),
            None => project.metadata.remove(key),
        };
    }
    edit.put(project)?;
    done()
}

fn set_tags(edit: &mut Edit<'_, '_>, payload: &SetTags) -> Reply {
    let target = match payload.target {
        Some(target) => edit.tx.any(target)?.ok_or_else(|| Refusal::not_found(target))?,
        None => the_project(edit)?.into(),
    };
    edit.label("Change tags");
    let mut target = target;
    let tags = match &mut target {
        AnyEntity::Project(Project { tags, .. })
        | AnyEntity::MediaItem(MediaItem { tags, .. })
        | AnyEntity::Kit(Kit { tags, .. }) => tags,
        other => {
            let text = format!("a {} has no tags; media items and kits have", other.kind());
            return Err(Refusal::new(ErrorCode::EntityWrongKind, text)
                .with("entity", other.any_id().to_string()));
        }
    };
    tags.extend(payload.add.iter().cloned());
    tags.retain(|tag| !payload.remove.contains(tag));
    let tags = tags.clone();
    edit.put(target)?;
    reply(Tags { tags })
}

fn set_view(edit: &mut Edit<'_, '_>, payload: &SetView) -> Reply {
    edit.label(format!("Change the looks of {}", counted(payload.entities.len(), "item")));
    for id in &payload.entities {
        if id.kind == EntityKind::ViewMeta {
            let text = "looks have no looks; name what they belong to";
            return Err(
                Refusal::new(ErrorCode::EntityWrongKind, text).with("entity", id.to_string())
            );
        }
        edit.tx.any(*id)?.ok_or_else(|| Refusal::not_found(*id))?;
        look(edit, *id, |meta| {
            payload.colour.clone().apply(&mut meta.colour);
            meta.x = payload.x.or(meta.x);
            meta.y = payload.y.or(meta.y);
            meta.collapsed = payload.collapsed.unwrap_or(meta.collapsed);
            payload.height.apply(&mut meta.height);
            meta.hidden = payload.hidden.unwrap_or(meta.hidden);
        })?;
    }
    done()
}

fn add_groove(edit: &mut Edit<'_, '_>, payload: &AddGroove) -> Reply {
    edit.label(format!("Add groove {}", payload.name));
    let id = GrooveId(edit.id());
    edit.put(GrooveTemplate {
        id,
        name: payload.name.clone(),
        step: payload.step,
        offsets: payload.offsets.clone(),
        accents: payload.accents.clone(),
    })?;
    reply(GrooveAdded { groove: id })
}

fn remove_groove(edit: &mut Edit<'_, '_>, payload: &RemoveGroove) -> Reply {
    let groove: GrooveTemplate = edit.get(payload.groove)?;
    edit.label(format!("Remove groove {}", groove.name));
    reply(edit.delete([groove.id])?)
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let arrangement = match payload.arrangement {
        Some(id) => view.get::<Arrangement>(id)?.ok_or_else(|| Refusal::not_found(id))?.id,
        None => active_arrangement(&view)?,
    };
    let project = view.all::<Project>()?.into_iter().next().unwrap_or_default();
    let tempo = tempo_map(&view, arrangement)?;
    let mut markers = view.members::<Marker>(arrangement)?;
    let place = |marker: &Marker| -> Moment {
        convert(&tempo, marker.timebase, marker.at, Timebase::Musical)
    };
    markers.sort_by_key(|marker| (place(marker), marker.id));
    reply(MetadataList {
        markers,
        sections: view.members(arrangement)?,
        keys: view.members(arrangement)?,
        grooves: view.all()?,
        info: project.metadata,
        tags: project.tags,
    })
}

#[cfg(test)]
mod tests;
