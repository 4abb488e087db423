//! A session over a project in memory, for the tests of every domain.

use std::sync::Arc;

use pulse_schemas::{command::decode, error::ErrorBody, id::ActorId};
use pulse_store::{project, tx::TxMeta};
use serde_json::Value;

use crate::{
    config::Config,
    session::{Caller, Session},
};

pub struct Project {
    pub session: Session,
}

impl Project {
    #[allow(clippy::new_without_default, reason = "a default project would hide that it is made")]
    pub fn new() -> Project {
        let options =
            project::CreateOptions { actor: Some(ActorId(7)), ..project::CreateOptions::default() };
        Project::over(project::Project::in_memory(options).unwrap())
    }

    /// A project with a folder of its own.
    pub fn on_disk(dir: &std::path::Path) -> Project {
        let options =
            project::CreateOptions { actor: Some(ActorId(7)), ..project::CreateOptions::default() };
        Project::over(project::Project::create(dir, options).unwrap())
    }

    fn over(project: project::Project) -> Project {
        let mut session = Session::over(Arc::new(Config::default()), project);
        session.clock = || 0;
        session.transact(TxMeta::new("Set up", "test"), crate::templates::empty).unwrap();
        Project { session }
    }

    pub fn run_as(
        &mut self,
        caller: &Caller,
        name: &str,
        payload: Value,
    ) -> Result<Value, ErrorBody> {
        let (domain, command) = name.split_once('.').unwrap();
        let command = decode(domain, command, &payload);
        let command = command.unwrap_or_else(|error| panic!("{name} {payload}: {error:?}")).value;
        self.session.execute(caller, &command, None).reply
    }

    pub fn ok(&mut self, name: &str, payload: Value) -> Value {
        let reply = self.run_as(&Caller::local("Ada"), name, payload.clone());
        reply.unwrap_or_else(|error| panic!("{name} {payload}: {error:?}"))
    }

    pub fn refused(&mut self, name: &str, payload: Value, code: &str) -> ErrorBody {
        match self.run_as(&Caller::local("Ada"), name, payload.clone()) {
            Err(error) if error.code.as_str() == code => error,
            other => panic!("{name} {payload}: expected {code}, got {other:?}"),
        }
    }
}

/// An id that nothing has.
pub fn id(prefix: &str, number: u32) -> String {
    format!("{prefix}_{number:0>26}")
}
