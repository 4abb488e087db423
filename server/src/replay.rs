//! Doing again what a log of commands says, line by line, and looking after each
//! line whether things stand as they stood then.

use std::{
    cell::Cell,
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_engine::registry::Registry;
use pulse_schemas::{command, error::ErrorBody, hash::Hash};
use pulse_store::project::{DraftPolicy, OpenOptions, Project};
use serde_json::Value;

use crate::{
    command_log::{Base, By, Header, Line, VERSION, What, digest, show_folder, unhex},
    config::Config,
    recent::Recent,
    refusal::Refusal,
    session::{Caller, Session},
};

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("the log can't be read: {0}")]
    Read(#[from] io::Error),
    #[error("this is no log of commands; `debug.logCommands` writes one")]
    NotALog,
    #[error("the log is of version {found}, and this Pulse reads {VERSION}; take a newer Pulse")]
    Version { found: u32 },
    #[error("line {line} of the log can't be read: {problem}")]
    Line { line: u64, problem: String },
    #[error(
        "the log starts at revision {revision} ({root}) of a project, and this one is at \
         revision {found}; replay it onto a copy of the project as it was then"
    )]
    Base { revision: u64, root: Hash, found: u64 },
    #[error(
        "{} holds a project already; this log starts with nothing and wants a new folder",
        dir.display()
    )]
    Taken { dir: PathBuf },
    #[error("line {line}, {name}: {what} is {found}, and was {expected} when it was logged")]
    Diverged { line: u64, name: String, what: &'static str, expected: String, found: String },
    #[error("{}", .0.message)]
    Open(ErrorBody),
}

/// How a replay went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Lines that were done again.
    pub lines: u64,
    /// Those that were refused, then and now.
    pub refused: u64,
    pub root: Option<Hash>,
    pub revision: u64,
}

thread_local! {
    /// The clock of the log.
    static NOW: Cell<i64> = const { Cell::new(0) };
}

/// Does a log again in `dir`: a folder that is not there yet, or for a log with a
/// base, a copy of the project where the log starts.
pub fn replay(log: impl BufRead, dir: &Path) -> Result<(Session, Replayed), ReplayError> {
    let mut lines = log.lines();
    let header = read_header(lines.next().transpose()?)?;
    let mut session = Session::new(Arc::new(Config::default()));
    session.recent = Recent::default();
    session.registry = Arc::new(Registry::standard().written_as(header.nodes.clone()));
    session.pan_law = header.pan_law;
    session.clock = || NOW.get();
    match &header.base {
        Some(base) => open(&mut session, dir, base)?,
        None if dir.join(pulse_store::project::STORE_DIR).exists() => {
            return Err(ReplayError::Taken { dir: dir.to_owned() });
        }
        None => {}
    }
    let of_this_release = header.pulse == env!("CARGO_PKG_VERSION");
    let mut replay = Replay { session, dir: dir.to_owned(), line: 1, refused: 0, of_this_release };
    for text in lines {
        replay.line += 1;
        let text = text?;
        let line: Line = serde_json::from_str(&text).map_err(|error| replay.unreadable(error))?;
        if matches!(line.what, What::End(_)) {
            break;
        }
        replay.again(line)?;
    }
    let Replay { session, line, refused, .. } = replay;
    let project = session.project().ok();
    let root = project.map(|project| project.root());
    let revision = project.map_or(0, |project| project.seq());
    Ok((session, Replayed { lines: line - 1, refused, root, revision }))
}

fn read_header(line: Option<String>) -> Result<Header, ReplayError> {
    let line: Value =
        line.and_then(|line| serde_json::from_str(&line).ok()).ok_or(ReplayError::NotALog)?;
    let version = line.get("pulseCommandLog").and_then(Value::as_u64);
    let version = version.ok_or(ReplayError::NotALog)?;
    if version != u64::from(VERSION) {
        return Err(ReplayError::Version { found: u32::try_from(version).unwrap_or(u32::MAX) });
    }
    serde_json::from_value(line).map_err(|_| ReplayError::NotALog)
}

fn open(session: &mut Session, dir: &Path, base: &Base) -> Result<(), ReplayError> {
    let options =
        OpenOptions { draft: DraftPolicy::Adopt, replica: true, ..OpenOptions::default() };
    let project = Project::open(dir, options).map_err(|error| {
        let Refusal(error) = error.into();
        ReplayError::Open(error)
    })?;
    if (project.root(), project.seq()) != (base.root, base.revision) {
        let found = project.seq();
        return Err(ReplayError::Base { revision: base.revision, root: base.root, found });
    }
    let path = project.dir().map(Path::to_owned);
    session.open = Some(crate::session::Open { project, path });
    session.state = pulse_schemas::command::session::SessionState::Loaded;
    Ok(())
}

struct Replay {
    session: Session,
    dir: PathBuf,
    line: u64,
    refused: u64,
    /// Another release may tell of the same in other words.
    of_this_release: bool,
}

impl Replay {
    fn unreadable(&self, problem: impl ToString) -> ReplayError {
        ReplayError::Line { line: self.line, problem: problem.to_string() }
    }

    fn again(&mut self, line: Line) -> Result<(), ReplayError> {
        NOW.set(line.time);
        if let Some(counters) = line.counters {
            self.session.live.set_next_stream(counters.stream);
            self.session.renders.set_started(counters.job);
        }
        let caller = line.by.map_or_else(Caller::default, By::into);
        let name = match &line.what {
            What::Do { name, .. } => name.clone(),
            What::Stream(_) => "a frame of a gesture".to_owned(),
            What::Left {} => "the end of a connection".to_owned(),
            What::Job(id) => format!("the end of {id}"),
            What::End(name) => name.clone(),
        };
        let (failed, events) = self.act(line.what, &caller)?;
        self.compare(&name, "the error", &line.failed, &failed)?;
        let root = self.session.project().ok().map(|project| project.root());
        self.compare(&name, "the root of the project", &line.root, &root)?;
        if self.of_this_release {
            self.compare(&name, "the hash of the events", &Some(line.events), &Some(events))?;
        }
        self.refused += u64::from(failed.is_some());
        Ok(())
    }

    /// Does one line: the code of its error, and a digest of its events.
    fn act(&mut self, what: What, caller: &Caller) -> Result<(Option<String>, Hash), ReplayError> {
        let events = match what {
            What::Do { name, mut payload, expect_revision } => {
                let dir = self.dir.display().to_string();
                show_folder(&mut payload, &dir);
                let (domain, command) =
                    name.split_once('.').ok_or_else(|| self.unreadable("no DOMAIN.NAME"))?;
                let command = command::decode(domain, command, &payload)
                    .map_err(|error| self.unreadable(error.body().message))?;
                let done = self.session.execute(caller, &command.value, expect_revision);
                if let Err(error) = done.reply {
                    return Ok((Some(error.code.to_string()), digest(&[], None)));
                }
                done.events
            }
            What::Stream(text) => {
                let bytes = unhex(&text).ok_or_else(|| self.unreadable("no hexadecimal"))?;
                let events = self.session.stream(caller, &bytes);
                events.map_err(|Refusal(error)| self.unreadable(error.message))?
            }
            What::Left {} => self.session.let_go(caller),
            What::Job(id) => self.session.finish_job(id),
            What::End(_) => Vec::new(),
        };
        let folder = self.session.folder_text();
        Ok((None, digest(&events, folder.as_deref())))
    }

    fn compare<T: PartialEq + ToString>(
        &self,
        name: &str,
        what: &'static str,
        expected: &Option<T>,
        found: &Option<T>,
    ) -> Result<(), ReplayError> {
        if expected == found {
            return Ok(());
        }
        let show = |it: &Option<T>| it.as_ref().map_or_else(|| "none".into(), T::to_string);
        let (expected, found) = (show(expected), show(found));
        Err(ReplayError::Diverged { line: self.line, name: name.into(), what, expected, found })
    }
}
