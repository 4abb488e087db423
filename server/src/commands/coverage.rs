//! The table and the handlers say the same: a command is handled here, or it
//! stands among those that are not.

use std::sync::Arc;

use pulse_schemas::command::{self, Domain};
use pulse_store::{
    project::{CreateOptions, Project},
    tx::TxMeta,
};

use crate::{
    config::Config,
    session::{Caller, Session},
    templates::Template,
};

/// What the connection answers before a session sees it.
fn of_the_connection(domain: Domain) -> bool {
    domain == Domain::Client
}

#[test]
fn every_command_is_handled_or_listed_as_pending() {
    let mut wrong = Vec::new();
    for spec in command::all().filter(|spec| !of_the_connection(spec.domain)) {
        // A session for each, because some commands end what they find.
        let project = Project::in_memory(CreateOptions::default()).unwrap();
        let mut session = Session::over(Arc::new(Config::default()), project);
        session
            .transact(TxMeta::new("Set up", "test"), |edit| Template::Empty.build(edit))
            .unwrap();
        let command = spec.decode(&spec.example()).unwrap().value;
        let done = session.execute(&Caller::local("Ada"), &command, None);
        let refused = done.reply.is_err_and(|error| error.code == "command.notImplemented");
        if refused == spec.handled() {
            wrong.push(format!(
                "{} {}",
                spec.full_name(),
                if refused { "is not handled" } else { "is handled" }
            ));
        }
    }
    assert!(wrong.is_empty(), "pending.rs is wrong about: {}", wrong.join(", "));
}
