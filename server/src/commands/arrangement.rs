//! Arrangements: made whole, copied whole, deleted whole.

use std::collections::BTreeSet;

use pulse_schemas::{
    command::{
        Command as Any,
        arrangement::{
            Activate, ArrangementVersionInfo, Arrangements, Command, Create, Created, Delete,
            DeleteVersion, Duplicate, Duplicated, Move, NameVersion, Rename, RestoreVersion,
            Update, VersionList, VersionNamed, VersionRestored, Versions,
        },
    },
    entity::{AnyEntity, Arrangement, OnDelete, Project},
    error::ErrorCode,
    hash::Hash,
    id::{AnyId, ArrangementId},
    record::EntityKey,
};
use pulse_store::{
    project::{Scope, Taken},
    rev::Rev,
    tx::{Committed, TxMeta},
    view::View,
};
use serde_json::json;

use super::{
    edit::{Copier, Edit, active_arrangement, done, numbered, place_before, reply, sort},
    project::the_project,
    version::{self, describe::describe},
};
use crate::{
    refusal::{Refusal, Reply},
    session::{Caller, Session},
    templates,
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Create(payload) => create(edit, payload),
        Command::Delete(payload) => delete(edit, payload),
        Command::Duplicate(payload) => duplicate(edit, payload),
        Command::Rename(payload) => rename(edit, payload),
        Command::Update(payload) => update(edit, payload),
        Command::Move(payload) => relocate(edit, payload),
        Command::Activate(payload) => activate(edit, payload),
        Command::RestoreVersion(_) => Err(super::alone(command.spec())),
        Command::List(_)
        | Command::NameVersion(_)
        | Command::DeleteVersion(_)
        | Command::Versions(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(_) => list(session),
        Command::Versions(payload) => versions(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    let meta = session.unlabelled(caller, &Any::Arrangement(command.clone()))?;
    match command {
        Command::NameVersion(payload) => name_version(session, payload, meta),
        Command::DeleteVersion(payload) => delete_version(session, payload, meta),
        other => Err(super::not_here(other.spec())),
    }
}

/// Edits whose transaction the store makes.
pub fn whole(session: &mut Session, command: &Command, meta: TxMeta) -> Option<super::Whole> {
    match command {
        Command::RestoreVersion(payload) => Some(restore_version(session, payload, meta)),
        _ => None,
    }
}

fn name_version(session: &mut Session, payload: &NameVersion, meta: TxMeta) -> Reply {
    let at = payload.at.as_ref().map(version::rev).transpose()?.unwrap_or_else(Rev::working);
    let project = session.project_mut()?;
    let (arrangement, name) = (payload.arrangement, payload.name.clone());
    let committed = project.name_arrangement(arrangement, &name, &at, meta)?;
    let commit = project.known_arrangement_version(arrangement.any(), &name)?.commit;
    versions_changed(session, committed, arrangement, &name, Some(commit))?;
    reply(VersionNamed { version: ArrangementVersionInfo { arrangement, name, commit } })
}

fn delete_version(session: &mut Session, payload: &DeleteVersion, meta: TxMeta) -> Reply {
    let project = session.project_mut()?;
    let (arrangement, name) = (payload.arrangement, &payload.name);
    let committed = project.delete_arrangement_version(arrangement, name, meta)?;
    versions_changed(session, committed, arrangement, name, None)?;
    done()
}

fn versions_changed(
    session: &mut Session,
    committed: Committed,
    arrangement: ArrangementId,
    name: &str,
    commit: Option<Hash>,
) -> Result<(), Refusal> {
    session.committed(committed);
    let payload = json!({"arrangement": arrangement, "name": name, "commit": commit});
    session.publish("arrangement", "versionsChanged", payload);
    session.settled()
}

fn versions(session: &Session, payload: &Versions) -> Reply {
    let mut found = Vec::new();
    for version in session.project()?.arrangement_versions()? {
        let Ok(arrangement) = ArrangementId::try_from(version.arrangement) else { continue };
        if payload.arrangement.is_none_or(|wanted| wanted == arrangement) {
            let (name, commit) = (version.name, version.commit);
            found.push(ArrangementVersionInfo { arrangement, name, commit });
        }
    }
    reply(VersionList { versions: found })
}

fn restore_version(session: &mut Session, payload: &RestoreVersion, meta: TxMeta) -> super::Whole {
    let project = session.project_mut()?;
    let arrangement = payload.arrangement.any();
    let commit = project.known_arrangement_version(arrangement, &payload.name)?.commit;
    let before = project.stored();
    let scope = Scope { entities: vec![arrangement], alone: false, contexts: Vec::new() };
    let meta = TxMeta { label: format!("Restore version {}", payload.name), ..meta };
    let rev = Rev::name(commit.to_string());
    let Taken { committed, .. } = project.restore(&rev, &scope, meta)?;
    let changes = describe(&before, &project.stored(), &Default::default())?;
    Ok((reply(VersionRestored { changes })?, committed))
}

/// The others, to find a place or a name among.
fn siblings(edit: &mut Edit<'_, '_>, but: ArrangementId) -> Result<Vec<Arrangement>, Refusal> {
    let mut all = edit.all::<Arrangement>()?;
    all.retain(|arrangement| arrangement.id != but);
    Ok(all)
}

fn create(edit: &mut Edit<'_, '_>, payload: &Create) -> Reply {
    let all = edit.all::<Arrangement>()?;
    let names = all.iter().map(|arrangement| arrangement.name.as_str());
    let name = payload.name.clone().unwrap_or_else(|| numbered("Arrangement", names));
    edit.label(format!("Create arrangement {name}"));
    let arrangement = templates::empty(edit)?;
    let order = place_before(&mut siblings(edit, arrangement)?, None);
    edit.update::<Arrangement>(arrangement, |made| (made.order, made.name) = (order, name))?;
    let master = edit.master(arrangement)?.ok_or_else(|| Refusal::internal("no master"))?.id;
    reply(Created { arrangement, master })
}

fn delete(edit: &mut Edit<'_, '_>, payload: &Delete) -> Reply {
    let arrangement: Arrangement = edit.get(payload.arrangement)?;
    let mut others = siblings(edit, arrangement.id)?;
    sort(&mut others);
    let Some(next) = others.first() else {
        let text = "this is the last arrangement; make another one before deleting it";
        return Err(Refusal::new(ErrorCode::EntityInUse, text)
            .with("entity", arrangement.id.any().to_string()));
    };
    edit.label(format!("Delete arrangement {}", arrangement.name));
    let project = the_project(edit)?;
    if project.active_arrangement == Some(arrangement.id) {
        edit.update::<Project>(project.id, |project| project.active_arrangement = Some(next.id))?;
    }
    reply(edit.delete([arrangement.id])?)
}

/// Everything that could not live without an entity, itself included.
pub fn subtree(view: &View, top: AnyId) -> Result<Vec<AnyEntity>, Refusal> {
    let (mut found, mut seen, mut open) = (Vec::new(), BTreeSet::new(), vec![top]);
    while let Some(id) = open.pop() {
        let Some(key) = view.locate(id)?.filter(|key| seen.insert(*key)) else { continue };
        let Some(entity) = view.entity(&key)? else { continue };
        open.extend(view.member_keys(id)?.iter().map(EntityKey::any_id));
        for key in view.all_referrers(id)? {
            let Some(other) = view.entity(&key)? else { continue };
            let mut references = other.references().into_iter();
            if references.any(|it| it.target == id && it.on_delete == OnDelete::Cascade) {
                open.push(key.any_id());
            }
        }
        found.push(entity);
    }
    found.sort_by_key(EntityKey::of);
    Ok(found)
}

fn duplicate(edit: &mut Edit<'_, '_>, payload: &Duplicate) -> Reply {
    let original: Arrangement = edit.get(payload.arrangement)?;
    let originals = subtree(&edit.view()?, original.id.any())?;
    let name = payload.name.clone().unwrap_or_else(|| format!("{} copy", original.name));
    edit.label(format!("Duplicate arrangement {}", original.name));
    let mut all = edit.all::<Arrangement>()?;
    sort(&mut all);
    let at = all.iter().position(|arrangement| arrangement.id == original.id);
    let next = at.and_then(|at| all.get(at + 1)).map(|arrangement| arrangement.id.0);
    let order = place_before(&mut all, next);
    let copier = Copier::copy(edit, &originals, |_, _| true)?;
    let copy = copier.of(original.id).ok_or_else(|| Refusal::internal("no copy"))?;
    edit.update::<Arrangement>(copy, |copy| (copy.order, copy.name) = (order, name))?;
    reply(Duplicated { arrangement: ArrangementId(copy.id), copies: copier.copies })
}

fn rename(edit: &mut Edit<'_, '_>, payload: &Rename) -> Reply {
    let arrangement: Arrangement = edit.get(payload.arrangement)?;
    edit.label(format!("Rename {} to {}", arrangement.name, payload.name));
    edit.update::<Arrangement>(arrangement.id, |it| it.name.clone_from(&payload.name))?;
    done()
}

fn update(edit: &mut Edit<'_, '_>, payload: &Update) -> Reply {
    let arrangement: Arrangement = edit.get(payload.arrangement)?;
    edit.label(format!("Change {}", arrangement.name));
    edit.update::<Arrangement>(arrangement.id, |it| {
        if let Some(notes) = &payload.notes {
            it.notes.clone_from(notes);
        }
        payload.end.apply(&mut it.end);
    })?;
    done()
}

fn relocate(edit: &mut Edit<'_, '_>, payload: &Move) -> Reply {
    let arrangement: Arrangement = edit.get(payload.arrangement)?;
    if let Some(before) = payload.before {
        edit.get::<Arrangement>(before)?;
    }
    edit.label(format!("Move {}", arrangement.name));
    let mut others = siblings(edit, arrangement.id)?;
    let order = place_before(&mut others, payload.before.map(|before| before.0));
    edit.update::<Arrangement>(arrangement.id, |it| it.order = order)?;
    done()
}

fn activate(edit: &mut Edit<'_, '_>, payload: &Activate) -> Reply {
    let arrangement: Arrangement = edit.get(payload.arrangement)?;
    edit.label(format!("Activate {}", arrangement.name));
    let project = the_project(edit)?;
    edit.update::<Project>(project.id, |it| it.active_arrangement = Some(arrangement.id))?;
    done()
}

fn list(session: &Session) -> Reply {
    let view = session.view()?;
    let mut arrangements = view.all::<Arrangement>()?;
    sort(&mut arrangements);
    reply(Arrangements { arrangements, active: active_arrangement(&view).ok() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::desk::{BAR, Desk};

    #[test]
    fn arrangements_come_change_and_go() {
        let mut desk = Desk::new();
        let first = desk.run("arrangement.list", json!({}))["active"].clone();
        desk.fail("arrangement.delete", json!({"arrangement": first}), "entity.inUse");
        let made = desk.edit("arrangement.create", json!({"name": "Radio edit"}));
        assert!(made["master"].is_string());
        let second = made["arrangement"].clone();
        desk.edit("arrangement.rename", json!({"arrangement": second, "name": "Short"}));
        assert_eq!(desk.label(), "Rename Radio edit to Short");
        desk.edit("arrangement.update", json!({"arrangement": second, "end": BAR}));
        desk.edit("arrangement.move", json!({"arrangement": second, "before": first}));
        desk.edit("arrangement.activate", json!({"arrangement": second}));
        let list = desk.run("arrangement.list", json!({}));
        assert_eq!((&list["active"], &list["arrangements"][0]["id"]), (&second, &second));
        desk.edit("arrangement.delete", json!({"arrangement": second}));
        assert_eq!(desk.run("arrangement.list", json!({}))["active"], first);
    }

    #[test]
    fn a_copied_arrangement_leads_to_its_own_channels() {
        let mut desk = Desk::new();
        let (track, lane) = desk.midi_track();
        desk.clip(&lane, 0, BAR, &[0]);
        let first = desk.run("arrangement.list", json!({}))["active"].clone();
        let reply = desk.edit("arrangement.duplicate", json!({"arrangement": first}));
        let copies = reply["copies"].as_array().unwrap().clone();
        let copy = copies.iter().find(|of| of["original"] == track).unwrap()["copy"].clone();
        assert_eq!(desk.get(&copy)["arrangement"], reply["arrangement"]);
        assert!(copies.iter().all(|of| of["original"] != of["copy"]));
    }

    #[test]
    fn how_an_arrangement_was_has_a_name_and_comes_back_by_it() {
        let mut desk = Desk::new();
        let (_, lane) = desk.midi_track();
        let clip = desk.clip(&lane, 0, BAR, &[0]);
        desk.run("version.commit", json!({"message": "First"}));
        let arrangement = desk.run("arrangement.list", json!({}))["active"].clone();
        let radio = json!({"arrangement": arrangement, "name": "radio"});
        let named = desk.run("arrangement.nameVersion", radio.clone())["version"].clone();
        assert!(desk.events.contains(&"arrangement.versionsChanged".to_owned()));
        desk.fail("arrangement.nameVersion", radio.clone(), "version.exists");
        desk.run("clip.delete", json!({"clips": [clip]}));
        desk.run("project.rename", json!({"name": "Other"}));
        desk.run("version.commit", json!({"message": "Second"}));
        let restored = desk.edit("arrangement.restoreVersion", radio.clone());
        assert_eq!(restored["changes"].as_array().unwrap().len(), 2, "{restored}");
        assert_eq!(desk.label(), "Restore version radio");
        assert_eq!(desk.clips(&lane), [(0.0, 4.0)]);
        assert_eq!(desk.run("project.info", json!({}))["info"]["name"], "Other");
        assert_eq!(desk.run("arrangement.versions", json!({}))["versions"], json!([named]));
        desk.run("arrangement.deleteVersion", radio.clone());
        desk.fail("arrangement.restoreVersion", radio, "version.notFound");
        assert_eq!(desk.run("arrangement.versions", json!({}))["versions"], json!([]));
    }
}
