//! What each command does.
//!
//! Three doors, by what a command may touch: an edit gets a transaction and
//! nothing else, a question gets the session to read, an act gets the session.
//! One file a domain, one function a command.

pub mod edit;

mod track;

use pulse_schemas::{
    command::{Command, CommandSpec},
    error::ErrorCode,
};

use crate::{
    commands::edit::Edit,
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

/// Does an edit inside a transaction; several may share one.
pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Track(command) => track::edit(edit, command),
        other => Err(not_here(other.spec())),
    }
}

/// Answers a question.
pub fn ask(session: &Session, _caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::Track(command) => track::ask(session, command),
        other => Err(not_here(other.spec())),
    }
}

/// Does what is no edit: sessions, versions, transport, devices.
pub fn act(_session: &mut Session, _caller: &Caller, command: &Command) -> Reply {
    Err(not_here(command.spec()))
}

/// A command that came to the wrong door, or has none.
pub fn not_here(spec: &CommandSpec) -> Refusal {
    let name = spec.full_name();
    Refusal::new(
        ErrorCode::CommandNotImplemented,
        format!("`{name}` is declared and not handled by this version"),
    )
}
