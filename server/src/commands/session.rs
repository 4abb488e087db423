//! What is going on: state, warnings, projects of late.

use pulse_schemas::{
    command::session::{
        Command, DismissWarning, Recent, RecentProject, RecentProjects, RestartEngine,
        SessionStatus, WarningList,
    },
    envelope::Timestamp,
    error::ErrorCode,
};
use serde_json::json;

use super::{
    edit::{done, reply},
    page::cut,
};
use crate::{
    refusal::{Refusal, Reply},
    session::{Open, Session},
};

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Status(_) => status(session),
        Command::Warnings(_) => reply(WarningList { warnings: session.warnings.clone() }),
        Command::Recent(payload) => recent(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, command: &Command) -> Reply {
    match command {
        Command::DismissWarning(payload) => dismiss_warning(session, payload),
        Command::RestartEngine(payload) => restart_engine(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn status(session: &Session) -> Reply {
    let project = session.open.as_ref().map(|open| &open.project);
    reply(SessionStatus {
        state: session.state,
        engine: session.engine,
        project: session.open.as_ref().map(Open::shown_path),
        dirty: project.map(|project| project.is_dirty()).transpose()?.unwrap_or(false),
        read_only: project.is_some_and(|project| project.is_read_only()),
        revision: project.map_or(0, |project| project.seq()),
        root: project.map(|project| project.root()),
        branch: project.map(|project| project.branch_name().to_owned()),
        warnings: session.warnings.clone(),
        jobs: session.jobs.clone(),
        clients: session.traffic.clients,
    })
}

fn recent(session: &Session, payload: &Recent) -> Reply {
    let known = session.recent.entries().iter().map(|entry| RecentProject {
        path: entry.path.display().to_string(),
        name: entry.name.clone(),
        opened: Timestamp(entry.opened),
        available: entry.path.is_dir(),
    });
    let (projects, _) = cut(known.collect(), &payload.page);
    reply(RecentProjects { projects })
}

fn dismiss_warning(session: &mut Session, payload: &DismissWarning) -> Reply {
    session.dismissed.insert(payload.warning.clone());
    session.unwarn(&payload.warning);
    done()
}

fn restart_engine(session: &mut Session, payload: &RestartEngine) -> Reply {
    let Some(mut restart) = session.restart_engine.take() else {
        let text = "no audio engine is attached to this session; start one with `pulse serve`";
        return Err(Refusal::new(ErrorCode::SessionState, text).with("state", "noEngine"));
    };
    let done_so = restart(payload.safe_mode);
    session.restart_engine = Some(restart);
    done_so?;
    session.publish("session", "engineChanged", json!({"state": session.engine, "reason": null}));
    done()
}
