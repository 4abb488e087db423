//! What each command does.
//!
//! Three doors, by what a command may touch: an edit gets a transaction and
//! nothing else, a question gets the session to read, an act gets the session.
//! One file a domain, one function a command.

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod desk;
pub mod edit;
mod looks;
pub mod page;
#[cfg(test)]
pub mod testing;
mod time;
mod words;

mod arrangement;
mod automation;
mod channel;
mod clip;
pub mod cohort;
mod debug;
pub mod diagnostics;
pub mod gesture;
mod hardware;
mod history;
mod lane;
pub mod media;
mod metadata;
pub mod metering;
mod node;
mod note;
pub mod parameter;
mod project;
pub mod rendering;
mod routing;
mod scene;
mod session;
mod target;
mod timebase;
pub mod track;
pub mod transport;
mod variant;
mod version;
pub mod view;

use pulse_schemas::{
    command::{Command, CommandSpec, Domain},
    error::ErrorCode,
};

use pulse_store::tx::{Committed, TxMeta};
use serde_json::Value;

pub use project::{begin, parse_actor};

use crate::{
    commands::edit::Edit,
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

/// Does an edit inside a transaction; several may share one.
pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Arrangement(command) => arrangement::edit(edit, command),
        Command::Automation(command) => automation::edit(edit, command),
        Command::Channel(command) => channel::edit(edit, command),
        Command::Clip(command) => clip::edit(edit, command),
        Command::Gesture(command) => gesture::edit(edit, command),
        Command::Lane(command) => lane::edit(edit, command),
        Command::Media(command) => media::edit(edit, command),
        Command::Metadata(command) => metadata::edit(edit, command),
        Command::Node(command) => node::edit(edit, command),
        Command::Note(command) => note::edit(edit, command),
        Command::Parameter(command) => parameter::edit(edit, command),
        Command::Project(command) => project::edit(edit, command),
        Command::Rendering(command) => rendering::edit(edit, command),
        Command::Routing(command) => routing::edit(edit, command),
        Command::Scene(command) => scene::edit(edit, command),
        Command::Timebase(command) => timebase::edit(edit, command),
        Command::Track(command) => track::edit(edit, command),
        Command::Variant(command) => variant::edit(edit, command),
        Command::Version(command) => version::edit(edit, command),
        other => Err(not_here(other.spec())),
    }
}

/// Answers a question.
pub fn ask(session: &Session, _caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::Arrangement(command) => arrangement::ask(session, command),
        Command::Automation(command) => automation::ask(session, command),
        Command::Channel(command) => channel::ask(session, command),
        Command::Clip(command) => clip::ask(session, command),
        Command::Cohort(command) => cohort::ask(session, command),
        Command::Debug(command) => debug::ask(session, command),
        Command::Diagnostics(command) => diagnostics::ask(session, command),
        Command::Hardware(command) => hardware::ask(session, command),
        Command::Media(command) => media::ask(session, command),
        Command::Metadata(command) => metadata::ask(session, command),
        Command::Metering(command) => metering::ask(session, command),
        Command::Node(command) => node::ask(session, command),
        Command::Note(command) => note::ask(session, command),
        Command::Parameter(command) => parameter::ask(session, command),
        Command::Project(command) => project::ask(session, command),
        Command::Rendering(command) => rendering::ask(session, command),
        Command::Routing(command) => routing::ask(session, command),
        Command::Scene(command) => scene::ask(session, command),
        Command::Session(command) => session::ask(session, command),
        Command::Timebase(command) => timebase::ask(session, command),
        Command::Track(command) => track::ask(session, command),
        Command::Transport(command) => transport::ask(session, command),
        Command::Variant(command) => variant::ask(session, command),
        Command::Version(command) => version::ask(session, command),
        other => Err(not_here(other.spec())),
    }
}

/// Does what is no edit: sessions, versions, transport, devices.
pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::Arrangement(command) => arrangement::act(session, caller, command),
        Command::Cohort(command) => cohort::act(session, caller, command),
        Command::Debug(command) => debug::act(session, command),
        Command::Diagnostics(command) => diagnostics::act(session, command),
        Command::Gesture(command) => gesture::act(session, caller, command),
        Command::Hardware(command) => hardware::act(session, command),
        Command::History(command) => history::act(session, caller, command),
        Command::Media(command) => media::act(session, command),
        Command::Metering(command) => metering::act(session, caller, command),
        Command::Parameter(command) => parameter::act(session, caller, command),
        Command::Project(command) => {
            // Another project may be open afterwards.
            session.derived = None;
            project::act(session, caller, command)
        }
        Command::Rendering(command) => rendering::act(session, caller, command),
        Command::Session(command) => session::act(session, command),
        Command::Transport(command) => transport::act(session, command),
        Command::Variant(command) => variant::act(session, caller, command),
        Command::Version(command) => version::act(session, caller, command),
        Command::View(command) => view::act(session, caller, command),
        other => Err(not_here(other.spec())),
    }
}

/// A reply and the transaction that the store made.
pub type Whole = Result<(Value, Committed), Refusal>;

/// Edits whose transaction the store makes, because it brings back states
/// instead of writing entities. They stand in no batch.
pub fn whole(session: &mut Session, command: &Command, meta: &TxMeta) -> Option<Whole> {
    match command {
        Command::Arrangement(command) => arrangement::whole(session, command, meta.clone()),
        Command::Project(command) => project::whole(session, command, meta.clone()),
        Command::Version(command) => version::whole(session, command, meta.clone()),
        _ => None,
    }
}

/// Questions that read something in first: what can be undone is known only
/// once somebody asks.
pub fn loads(command: &Command) -> bool {
    matches!(command.spec().domain, Domain::History | Domain::View)
}

/// A hand on a knob is told by where the knob is: `parameter.gesture`, of which only
/// the latest counts. A second event for each step would be one too many.
pub fn tells_by_itself(command: &Command) -> bool {
    use pulse_schemas::command::parameter;
    matches!(command, Command::Parameter(parameter::Command::UpdateGesture(_)))
}

/// What a command opens for its connection and nobody else: when the connection
/// ends it is gone, so its answer means nothing to the next one.
pub fn ends_with_connection(command: &Command) -> bool {
    use pulse_schemas::command::{gesture, parameter};
    matches!(
        command,
        Command::Gesture(gesture::Command::Open(_))
            | Command::Parameter(parameter::Command::BeginGesture(_))
    )
}

/// An edit that can't share a transaction.
pub fn alone(spec: &CommandSpec) -> Refusal {
    let text = format!("`{}` can't stand in a batch", spec.full_name());
    Refusal::new(ErrorCode::BatchForbidden, text)
}

/// A command that came to the wrong door, or has none.
pub fn not_here(spec: &CommandSpec) -> Refusal {
    let name = spec.full_name();
    Refusal::new(
        ErrorCode::CommandNotImplemented,
        format!("`{name}` is declared and not handled by this version"),
    )
}
