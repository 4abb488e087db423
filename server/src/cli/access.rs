//! Where commands go: to a session of this process, or to the server that
//! holds the project.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pulse_client::{CallError, Introduction, blocking::Client};
use pulse_schemas::{
    command,
    envelope::Envelope,
    error::{ErrorBody, ErrorCode},
    job::Job,
};
use pulse_store::project::{DraftPolicy, OpenOptions, Project};
use serde_json::{Value, json};

use super::output::Failure;
use crate::{
    commands::rendering::bounce,
    config::Config,
    refusal::Refusal,
    session::{Caller, Session},
};

/// The settings of work done in this process: `pulse.toml` of the folder one
/// stands in, then the environment.
pub fn config() -> Result<Config, Failure> {
    Ok(Config::here()?)
}

/// Which project, and who asks.
pub struct Place {
    pub project: Option<PathBuf>,
    pub author: String,
}

impl Place {
    /// The project's folder: the one given, else the nearest upward.
    pub fn dir(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.project {
            return Ok(dir.clone());
        }
        let here = std::env::current_dir().map_err(|error| io(&error, Path::new(".")))?;
        Project::find(&here).ok_or_else(|| {
            Failure::Refused(ErrorBody::new(
                ErrorCode::ProjectNotFound,
                "there is no project here or above; `pulse new DIR` makes one, -p DIR names one",
            ))
        })
    }

    /// Opens the project here, or connects to who has it open.
    pub fn access(&self) -> Result<Access, Failure> {
        let dir = self.dir()?;
        let options = OpenOptions { draft: DraftPolicy::Adopt, ..OpenOptions::default() };
        match Project::open(&dir, options) {
            Ok(project) => {
                say_adopted(&project);
                let mut session = Session::over(Arc::new(config()?), project);
                bounce::settle(&mut session)?;
                Ok(Access::Local { session: Box::new(session), caller: self.caller() })
            }
            // Looking works where nothing may be written; edits are refused.
            Err(error) if error.is_about_writing() => {
                let options = OpenOptions { read_only: true, ..OpenOptions::default() };
                let project = Project::open(&dir, options).map_err(Refusal::from)?;
                tracing::info!("the project can't be written here and is open for looking");
                let session = Session::over(Arc::new(config()?), project);
                Ok(Access::Local { session: Box::new(session), caller: self.caller() })
            }
            Err(error) => {
                let Refusal(body) = Refusal::from(error);
                match body.details.get("socket").and_then(Value::as_str) {
                    Some(socket) => self.connect(Path::new(socket)),
                    None => Err(body.into()),
                }
            }
        }
    }

    pub fn caller(&self) -> Caller {
        Caller::local(self.author.clone())
    }

    /// Connects to a server at a socket.
    pub fn connect(&self, socket: &Path) -> Result<Access, Failure> {
        // One instance for every run, as in `Caller::local`: what one run did
        // another undoes. Ids of commands are then unique over all runs.
        let mut who = Introduction::new("pulse-cli", "cli");
        who.author = Some(self.author.clone());
        let client = Client::connect_unix(socket, &who).map_err(|error| call_failure(&error))?;
        Ok(Access::Remote(Box::new(client)))
    }
}

/// Nobody can be asked here, so unsaved work of a crash is taken over, aloud.
fn say_adopted(project: &Project) {
    let edits = project.repo().recovered().rows;
    if edits > 0 && project.is_dirty().unwrap_or(true) {
        tracing::warn!(
            "whoever had this project last did not close it; its {edits} unsaved edits are taken over: `pulse diff` shows them, `pulse undo` takes them back"
        );
    }
}

pub fn io(error: &std::io::Error, path: &Path) -> Failure {
    let text = format!("{}: {error}", path.display());
    ErrorBody::new(ErrorCode::IoFailed, text).with("reason", error.to_string()).into()
}

pub fn call_failure(error: &CallError) -> Failure {
    match error {
        CallError::Refused(body) => body.clone().into(),
        CallError::Closed { why: Some(body) } => body.clone().into(),
        other => ErrorBody::new(ErrorCode::IoFailed, other.to_string())
            .with("reason", other.to_string())
            .into(),
    }
}

/// An id that no other run of the command line has used.
fn unique_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{number}", std::process::id(), crate::clock::now().0)
}

pub enum Access {
    Local { session: Box<Session>, caller: Caller },
    Remote(Box<Client>),
}

impl Access {
    /// Does one command, `domain.name`.
    pub fn call(&mut self, name: &str, payload: Value) -> Result<Value, Failure> {
        let (domain, command) = name.split_once('.').ok_or_else(|| {
            Failure::Usage(format!("a command is DOMAIN.NAME, such as track.create; found {name}"))
        })?;
        match self {
            Access::Local { session, caller } => {
                let typed = command::decode(domain, command, &payload)
                    .map_err(|error| Failure::Refused(error.body()))?;
                let done = session.execute(caller, &typed.value, None);
                let reply = done.reply?;
                if let Some(ticket) = done.ticket {
                    ticket.wait().map_err(|error| {
                        ErrorBody::new(ErrorCode::IoFailed, error.to_string())
                            .with("reason", error.to_string())
                    })?;
                }
                Ok(reply)
            }
            Access::Remote(client) => {
                let id = unique_id();
                let envelope = Envelope::command(id.clone(), domain, command, payload);
                client.post_envelope(&envelope).map_err(|error| call_failure(&error))?;
                loop {
                    let (answered, outcome) =
                        client.answer().map_err(|error| call_failure(&error))?;
                    if answered == id {
                        return outcome.map_err(|error| call_failure(&error));
                    }
                }
            }
        }
    }

    /// Waits for the job that a reply names; what the job made is added as `result`.
    pub fn settle(&mut self, mut reply: Value) -> Result<Value, Failure> {
        let Some(id) = reply.get("job").filter(|job| job.is_string()).cloned() else {
            return Ok(reply);
        };
        let job = loop {
            if let Access::Local { session, .. } = self {
                session.collect_jobs();
            }
            let progress = self.call("rendering.progress", json!({ "job": id }))?;
            let job: Job = serde_json::from_value(progress["job"].clone())?;
            if job.finished.is_some() {
                break job;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        if let Some(error) = job.error {
            return Err(Failure::Refused(error));
        }
        reply["result"] = job.result.unwrap_or_default();
        Ok(reply)
    }

    pub fn ask(&mut self, name: &str) -> Result<Value, Failure> {
        self.call(name, json!({}))
    }

    /// Closes a local project cleanly. What was answered is in the journal, and safe either way:
    /// that tidying up failed is no failure of what was asked.
    pub fn finish(self) -> Result<(), Failure> {
        if let Access::Local { mut session, .. } = self {
            session.wait_for_jobs();
            let Some(open) = session.open else { return Ok(()) };
            if let Err(error) = open.project.close() {
                tracing::warn!("what was done is safe, but the project was not tidied up: {error}");
            }
        }
        Ok(())
    }
}
