//! Undo and redo: the store appends them as transactions of its own, so they
//! are acts of the session and stand in no batch.

use std::sync::Arc;

use pulse_schemas::{
    command::{
        Command as Any,
        history::{
            Command, Entries, EntryShown, HistoryEntry, HistoryState, Jump, Jumped, List, NextStep,
            Redo, Redone, Show, State, Undo, Undone,
        },
    },
    entity::{AnyEntity, Arrangement, Conflict, HistoryContext},
    envelope::Timestamp,
    error::ErrorCode,
    id::AnyId,
};
use pulse_store::{
    history::{Action, Entry},
    overlay,
    project::{HistoryEntry as Row, Project},
    repo::HistoryChange,
    rev::{Rev, RevBase},
    tx::{Committed, TxMeta},
};
use serde_json::json;

use super::{
    edit::reply,
    page::window,
    version::describe::{describe, told_conflicts},
};
use crate::{
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    let meta = session.unlabelled(caller, &Any::History(command.clone()))?;
    match command {
        Command::Undo(payload) => undo(session, payload, &meta),
        Command::Redo(payload) => redo(session, payload, &meta),
        Command::Jump(payload) => jump(session, payload, meta),
        Command::State(payload) => state(session, caller, payload),
        Command::List(payload) => list(session, payload),
        Command::Show(payload) => show(session, payload),
    }
}

fn undo(session: &mut Session, payload: &Undo, meta: &TxMeta) -> Reply {
    let steps = walk(session, payload.count, meta, |project, meta| {
        let (next, _) = project.undoable(&meta.client, payload.context)?;
        Ok((next, project.undo_with(meta, payload.context)?))
    })?;
    let project = session.project()?;
    let conflicts = told_conflicts(&project.stored(), steps.conflicts)?;
    let undone = steps.entries;
    reply(Undone { undone, conflicts, revision: project.seq(), root: project.root() })
}

fn redo(session: &mut Session, payload: &Redo, meta: &TxMeta) -> Reply {
    let steps = walk(session, payload.count, meta, |project, meta| {
        let (_, next) = project.undoable(&meta.client, payload.context)?;
        Ok((next, project.redo_with(meta, payload.context)?))
    })?;
    let project = session.project()?;
    let conflicts = told_conflicts(&project.stored(), steps.conflicts)?;
    let redone = steps.entries;
    reply(Redone { redone, conflicts, revision: project.seq(), root: project.root() })
}

struct Steps {
    entries: Vec<NextStep>,
    conflicts: Vec<Conflict>,
}

/// Up to `count` steps; running out of entries is an error at the first only.
fn walk(
    session: &mut Session,
    count: Option<u32>,
    meta: &TxMeta,
    mut step: impl FnMut(&mut Project, TxMeta) -> Result<(Option<Entry>, Committed), Refusal>,
) -> Result<Steps, Refusal> {
    let mut steps = Steps { entries: Vec::new(), conflicts: Vec::new() };
    for _ in 0..count.unwrap_or(1) {
        let (entry, committed) = match step(session.project_mut()?, meta.clone()) {
            Ok(done) => done,
            Err(Refusal(error))
                if error.code == ErrorCode::HistoryEmpty.as_str() && !steps.entries.is_empty() =>
            {
                break;
            }
            Err(error) => return Err(error),
        };
        steps.entries.extend(entry.as_ref().map(next_step));
        steps.conflicts.extend(new_conflicts(&committed));
        session.committed(committed);
    }
    told(session, meta)?;
    Ok(steps)
}

/// Conflicts that a transaction left behind.
pub fn new_conflicts(committed: &Committed) -> Vec<Conflict> {
    let conflict = |entity: &Option<Arc<AnyEntity>>| match entity.as_deref() {
        Some(AnyEntity::Conflict(conflict)) => Some(conflict.clone()),
        _ => None,
    };
    committed.changes.list.iter().filter_map(|change| conflict(&change.after)).collect()
}

fn told(session: &mut Session, meta: &TxMeta) -> Result<(), Refusal> {
    let entry = session.project()?.seq();
    session.publish("history", "changed", json!({"entry": entry, "clientId": meta.client}));
    Ok(())
}

fn next_step(entry: &Entry) -> NextStep {
    NextStep { entry: entry.id(), label: entry.label.clone(), contexts: entry.contexts.clone() }
}

/// Before a project has an arrangement it is being made, and that is no place to go.
fn require_made(session: &Session, entry: u64) -> Result<(), Refusal> {
    let rev = Rev { base: RevBase::Op(entry), back: 0 };
    let view = session.project()?.view_at(&rev)?;
    if view.all::<Arrangement>()?.is_empty() {
        let text = format!("entry {entry} is a part of making the project; jump to a later one");
        return Err(Refusal::new(ErrorCode::HistoryEmpty, text));
    }
    Ok(())
}

fn jump(session: &mut Session, payload: &Jump, meta: TxMeta) -> Reply {
    require_made(session, payload.entry)?;
    let committed = session.project_mut()?.jump(payload.entry, meta.clone())?;
    session.committed(committed);
    told(session, &meta)?;
    let project = session.project()?;
    reply(Jumped { revision: project.seq(), root: project.root() })
}

fn state(session: &mut Session, caller: &Caller, _: &State) -> Reply {
    let project = session.project_mut()?;
    let (undo, redo) = project.undoable(&caller.instance_id, None)?;
    let mut state = HistoryState {
        undo: undo.as_ref().map(next_step),
        redo: redo.as_ref().map(next_step),
        undo_in: Default::default(),
        redo_in: Default::default(),
        revision: project.seq(),
    };
    for context in HistoryContext::ALL {
        let (undo, redo) = project.undoable(&caller.instance_id, Some(context))?;
        let name = || context.name().to_owned();
        state.undo_in.extend(undo.as_ref().map(|entry| (name(), next_step(entry))));
        state.redo_in.extend(redo.as_ref().map(|entry| (name(), next_step(entry))));
    }
    reply(state)
}

/// Rows that are read at a time on the way back.
const ROWS: u64 = 512;

fn list(session: &mut Session, payload: &List) -> Reply {
    let (skip, limit) = window(&payload.page);
    let project = session.project_mut()?;
    let mut entries = Vec::new();
    let mut passed = 0;
    let mut until = project.seq() + 1;
    while until > 0 && entries.len() <= limit {
        let from = until.saturating_sub(ROWS);
        for row in project.history(from..until)?.iter().rev() {
            if !is_listed(project, row, payload)? {
                continue;
            }
            passed += 1;
            if passed > skip && entries.len() <= limit {
                entries.push(entry(row));
            }
        }
        until = from;
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    reply(Entries { entries, more })
}

/// Only edits of the branch that is open: of others nothing is applied here, and nobody can jump
/// to them from here. Going from one to another is no edit.
fn is_listed(project: &Project, row: &Row, payload: &List) -> Result<bool, Refusal> {
    let is_edit = !matches!(row.info.action, Action::Refs | Action::Switch);
    let here = row.info.branch == project.branch_name();
    let context = payload.context.is_none_or(|context| row.info.contexts.contains(&context));
    let client = payload.client_id.as_ref().is_none_or(|client| *client == row.info.client);
    if !is_edit || !here || !context || !client {
        return Ok(false);
    }
    match payload.entity {
        Some(entity) => touches(project, row, entity),
        None => Ok(true),
    }
}

fn touches(project: &Project, row: &Row, entity: AnyId) -> Result<bool, Refusal> {
    let concerns = |bytes: &[u8]| {
        overlay::entity_key(bytes)
            .is_ok_and(|key| key.any_id() == entity || key.owner == Some(entity.id))
    };
    match &project.repo().history_row(row.seq)?.change {
        HistoryChange::Patch(changes) => Ok(changes.iter().any(|change| concerns(&change.key))),
        HistoryChange::Jump => {
            let before = project.repo().snapshot(row.before)?;
            for difference in before.diff(&project.repo().snapshot(row.after)?) {
                if concerns(&difference?.key) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

fn entry(row: &Row) -> HistoryEntry {
    let info = &row.info;
    let command: serde_json::Value = serde_json::from_slice(&info.command).unwrap_or_default();
    let part = |name: &str| command.get(name).and_then(|part| part.as_str());
    HistoryEntry {
        entry: row.seq,
        label: info.label.clone(),
        command: match (part("domain"), part("name")) {
            (Some(domain), Some(name)) => format!("{domain}.{name}"),
            _ => String::new(),
        },
        contexts: info.contexts.clone(),
        author: info.author.clone(),
        client_id: info.client.clone(),
        time: Timestamp(info.time),
        root: row.after,
        undoes: match info.action {
            Action::Undo { entry } | Action::Redo { entry } => Some(entry),
            Action::Edit | Action::Refs | Action::Switch => None,
        },
        applied: !row.undone,
    }
}

fn show(session: &mut Session, payload: &Show) -> Reply {
    let project = session.project_mut()?;
    let rows = project.history(payload.entry..payload.entry.saturating_add(1))?;
    let Some(row) = rows.first() else {
        let text = format!("the history has no entry {}", payload.entry);
        return Err(Refusal::new(ErrorCode::HistoryNotFound, text));
    };
    let before = project.view_at(&Rev::op(payload.entry.saturating_sub(1)))?;
    let after = project.view_at(&Rev::op(payload.entry))?;
    let changes = describe(&before, &after, &Default::default())?;
    reply(EntryShown { entry: entry(row), changes })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::desk::{BAR, Desk};

    #[test]
    fn the_history_is_that_of_the_branch_which_is_open() {
        let mut desk = Desk::new();
        desk.run("version.commit", json!({"message": "First", "allowEmpty": true}));
        let labels = |desk: &mut Desk| {
            let list = desk.run("history.list", json!({}));
            let entries = list["entries"].as_array().unwrap().clone();
            entries.iter().map(|it| it["label"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        desk.run("track.create", json!({"name": "Bass"}));
        let main = labels(&mut desk);
        assert_eq!(main[0], "Create track Bass");
        desk.run("version.branch", json!({"name": "idea"}));
        desk.run("version.switch", json!({"to": "idea"}));
        assert!(labels(&mut desk).is_empty(), "what was done elsewhere can't be undone here");
        desk.run("track.create", json!({"name": "Drums"}));
        assert_eq!(labels(&mut desk), ["Create track Drums"]);
        desk.run("version.switch", json!({"to": "main"}));
        assert_eq!(labels(&mut desk), main);
    }

    #[test]
    fn steps_are_told_and_stop_where_there_are_no_more() {
        let mut desk = Desk::new();
        desk.fail("history.undo", json!({}), "history.empty");
        let begin = desk.root();
        let (_, lane) = desk.midi_track();
        let clip = desk.clip(&lane, 0, BAR, &[0]);
        let end = desk.root();
        let undone = desk.run("history.undo", json!({"count": 9}))["undone"].clone();
        assert_eq!(undone.as_array().unwrap().len(), 2);
        assert_eq!(undone[0]["label"], "Create a clip");
        assert_eq!(desk.root(), begin);
        assert!(desk.events.contains(&"history.changed".to_owned()));
        desk.run("history.redo", json!({"count": 2}));
        assert_eq!(desk.root(), end);
        assert_eq!(desk.get(&clip)["id"], clip);
        desk.fail("history.redo", json!({}), "history.empty");
    }

    #[test]
    fn contexts_are_undone_apart() {
        let mut desk = Desk::new();
        let (track, lane) = desk.midi_track();
        desk.run("track.setFlags", json!({"tracks": [track], "mute": true}));
        let clip = desk.clip(&lane, 0, BAR, &[]);
        let state = desk.run("history.state", json!({}));
        assert_eq!(state["undoIn"]["mixer"]["label"], "Mute Keys");
        desk.run("history.undo", json!({"context": "mixer"}));
        assert_eq!(desk.get(&track)["mute"], false);
        assert_eq!(desk.get(&clip)["id"], clip);
    }

    #[test]
    fn entries_are_listed_shown_and_jumped_to() {
        let mut desk = Desk::new();
        let (_, lane) = desk.midi_track();
        let clip = desk.clip(&lane, 0, BAR, &[]);
        let then = desk.root();
        desk.run("clip.update", json!({"clips": [clip], "mute": true}));
        let all = desk.run("history.list", json!({}))["entries"].clone();
        assert_eq!(
            (&all[0]["label"], &all[0]["command"]),
            (&json!("Mute a clip"), &json!("clip.update"))
        );
        let touching = desk.run("history.list", json!({"entity": clip}))["entries"].clone();
        assert_eq!(touching.as_array().unwrap().len(), 2);
        let page = desk.run("history.list", json!({"page": {"offset": 1, "limit": 1}}));
        assert_eq!((&page["entries"][0]["entry"], &page["more"]), (&all[1]["entry"], &json!(true)));
        let shown = desk.run("history.show", json!({"entry": all[0]["entry"]}));
        assert_eq!(shown["changes"][0]["fields"][0]["field"], "mute");
        desk.run("history.jump", json!({"entry": all[1]["entry"]}));
        assert_eq!(desk.root(), then);
        desk.fail("history.show", json!({"entry": 9_999}), "history.notFound");
    }
}
