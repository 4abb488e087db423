//! What is in the project, for those who read records instead of views.

use std::{collections::BTreeMap, ops::Bound};

use pulse_schemas::{
    command::project::{
        Entities, Find, Found, FoundEntity, Get, InfoReply, ProjectInfo, ProjectSnapshot, Snapshot,
    },
    entity::{AnyEntity, HistoryContext, Project, field_context},
    id::{AnyId, EntityKind},
    record::EntityKey,
};
use pulse_store::view::View;

use crate::{
    commands::{
        edit::reply,
        page::window,
        version::{describe::within, rev},
    },
    refusal::{Refusal, Reply},
    session::{Open, Session},
};

/// Records of a page when nobody says how many, and at most.
const USUAL: usize = 1_000;
const MOST: usize = 100_000;

pub fn info(session: &Session) -> Reply {
    let info = session.open.as_ref().map(project_info).transpose()?;
    reply(InfoReply { info })
}

pub fn project_info(open: &Open) -> Result<ProjectInfo, Refusal> {
    let project = &open.project;
    let view = project.view();
    let entity = view.all::<Project>()?.into_iter().next().unwrap_or_default();
    Ok(ProjectInfo {
        project: entity.id,
        path: open.shown_path(),
        name: entity.name,
        branch: project.branch_name().to_owned(),
        detached: project.detached()?,
        head: project.tip().ok(),
        revision: project.seq(),
        root: project.root(),
        dirty: project.is_dirty()?,
        read_only: project.is_read_only(),
        active_arrangement: entity.active_arrangement,
        entities: count(&view)?,
    })
}

fn count(view: &View) -> Result<BTreeMap<String, u64>, Refusal> {
    let mut counts = BTreeMap::new();
    for kind in EntityKind::ALL {
        let count = view.state().count(&EntityKey::kind_prefix(*kind))?;
        if count > 0 {
            counts.insert(kind.name().to_owned(), count);
        }
    }
    Ok(counts)
}

fn view_at(
    session: &Session,
    at: Option<&pulse_schemas::command::types::Rev>,
) -> Result<View, Refusal> {
    match at {
        Some(at) => Ok(session.project()?.view_at(&rev(at)?)?.resolved()?),
        None => session.view(),
    }
}

pub fn snapshot(session: &Session, payload: &Snapshot) -> Reply {
    let view = view_at(session, payload.rev.as_ref())?;
    let limit = payload.limit.map_or(USUAL, |limit| limit as usize).clamp(1, MOST);
    let after = match payload.after {
        Some(after) => Some(view.locate(after)?.ok_or_else(|| Refusal::not_found(after))?),
        None => None,
    };
    let start = after.map(|key| key.to_bytes());
    let start = start.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let (mut entities, mut more) = (Vec::new(), false);
    for entry in view.state().range(start, Bound::Unbounded) {
        let Ok(key) = EntityKey::from_bytes(&entry?.0) else { continue };
        if !in_contexts(key.kind, &payload.scope.contexts) {
            continue;
        }
        // A record of a newer version is kept and can't be shown as this one's.
        let Ok(Some(entity)) = view.entity(&key) else { continue };
        if !within(&view, Some(&entity), key.any_id(), &payload.scope)? {
            continue;
        }
        if entities.len() == limit {
            more = true;
            break;
        }
        entities.push(entity);
    }
    let revision = session.project()?.seq();
    reply(ProjectSnapshot { revision, root: view.root(), entities, more })
}

fn in_contexts(kind: EntityKind, contexts: &[HistoryContext]) -> bool {
    contexts.is_empty() || contexts.contains(&field_context(kind, ""))
}

pub fn get(session: &Session, payload: &Get) -> Reply {
    let view = view_at(session, payload.rev.as_ref())?;
    let (mut entities, mut missing) = (Vec::new(), Vec::new());
    for id in &payload.ids {
        match view.any(*id)? {
            Some(entity) => entities.push(entity),
            None => missing.push(*id),
        }
    }
    reply(Entities { entities, missing })
}

pub fn find(session: &Session, payload: &Find) -> Reply {
    let view = session.view()?;
    let (skip, limit) = window(&payload.page);
    let wanted = payload.name.as_ref().map(|name| name.to_lowercase());
    let named = |entity: &AnyEntity| match &wanted {
        Some(wanted) => entity.label().is_some_and(|name| name.to_lowercase().contains(wanted)),
        None => true,
    };
    let prefix = payload.kind.map(EntityKey::kind_prefix).unwrap_or_default();
    let mut entities = Vec::new();
    let mut passed = 0;
    for entry in view.state().scan(&prefix) {
        let Ok(key) = EntityKey::from_bytes(&entry?.0) else { continue };
        let Ok(Some(entity)) = view.entity(&key) else { continue };
        if !named(&entity) {
            continue;
        }
        passed += 1;
        if passed > skip {
            entities.push(found(&entity));
        }
        if entities.len() == limit {
            break;
        }
    }
    reply(Found { entities })
}

fn found(entity: &AnyEntity) -> FoundEntity {
    FoundEntity {
        id: entity.any_id(),
        kind: entity.kind(),
        name: entity.label().map(str::to_owned),
        owner: entity.owner().or_else(|| container(entity)),
    }
}

/// What an entity with a key of its own lies in.
fn container(entity: &AnyEntity) -> Option<AnyId> {
    match entity {
        AnyEntity::Track(track) => Some(track.arrangement.any()),
        AnyEntity::Channel(channel) => {
            Some(channel.track.map_or(channel.arrangement.any(), |track| track.any()))
        }
        AnyEntity::Lane(lane) => Some(lane.track.any()),
        AnyEntity::Clip(clip) => Some(clip.lane.any()),
        AnyEntity::Take(take) => Some(take.lane.any()),
        AnyEntity::Comp(comp) => Some(comp.lane.any()),
        AnyEntity::DspNode(node) => Some(node.channel.any()),
        _ => None,
    }
}
