//! The project as a whole: what it is called, what is in it, and its files.

mod contents;
mod files;
mod lifecycle;
mod text;

pub use lifecycle::{begin, parse_actor};

use pulse_schemas::{
    command::{
        Command as Any,
        project::{Command, Rename, Update},
    },
    entity::{Arrangement, Project},
};
use pulse_store::tx::TxMeta;

use super::edit::{Edit, done};
use crate::{
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Rename(payload) => rename(edit, payload),
        Command::Update(payload) => update(edit, payload),
        other => Err(super::alone(other.spec())),
    }
}

/// Edits whose transaction the store makes.
pub fn whole(session: &mut Session, command: &Command, meta: TxMeta) -> Option<super::Whole> {
    match command {
        Command::DiscardDraft(_) => Some(lifecycle::discard_draft(session, meta)),
        Command::Import(payload) => Some(text::import(session, payload, meta)),
        _ => None,
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Info(_) => contents::info(session),
        Command::Snapshot(payload) => contents::snapshot(session, payload),
        Command::Get(payload) => contents::get(session, payload),
        Command::Find(payload) => contents::find(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::New(payload) => lifecycle::new(session, caller, payload),
        Command::Open(payload) => lifecycle::open(session, payload),
        Command::Close(_) => lifecycle::close(session),
        Command::Save(payload) => {
            let meta = session.meta(caller, &Any::Project(command.clone()))?;
            lifecycle::save(session, payload, meta)
        }
        Command::SaveAs(payload) => lifecycle::save_as(session, caller, payload),
        Command::SaveDraft(_) => lifecycle::save_draft(session),
        Command::Export(payload) => text::export(session, payload),
        Command::Move(payload) => lifecycle::relocate(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// The one project entity.
pub fn the_project(edit: &mut Edit<'_, '_>) -> Result<Project, Refusal> {
    let project = edit.all::<Project>()?.into_iter().next();
    project.ok_or_else(|| Refusal::internal("the project has no project entity"))
}

fn rename(edit: &mut Edit<'_, '_>, payload: &Rename) -> Reply {
    let project = the_project(edit)?;
    edit.label(format!("Rename the project to {}", payload.name));
    edit.update::<Project>(project.id, |project| project.name = payload.name.clone())?;
    done()
}

fn update(edit: &mut Edit<'_, '_>, payload: &Update) -> Reply {
    let project = the_project(edit)?;
    if let Some(arrangement) = payload.active_arrangement {
        edit.get::<Arrangement>(arrangement)?;
    }
    edit.label("Change the project's settings");
    edit.update::<Project>(project.id, |project| {
        if let Some(artist) = &payload.artist {
            project.artist.clone_from(artist);
        }
        if let Some(comment) = &payload.comment {
            project.comment.clone_from(comment);
        }
        project.sample_rate = payload.sample_rate.unwrap_or(project.sample_rate);
        project.active_arrangement = payload.active_arrangement.or(project.active_arrangement);
    })?;
    done()
}

#[cfg(test)]
mod tests;
