//! Views: of the working copy through the incremental host, of older revisions
//! from nothing, of the history from the store.

use pulse_query::{
    ambient::Ambient,
    host::{Host, HostError},
    stored::Stored,
    view::{self, Ctx, Sheet, ViewError, scratch},
};
use pulse_schemas::{
    command::{
        history,
        types::{Page, Rev as RevText},
        version,
        view::{Command, Got, ViewList, ViewName, ViewQuery, ViewState, Window},
    },
    entity::Availability,
    error::ErrorCode,
    hash::Hash,
};
use serde_json::Value;

use super::edit::reply;
use crate::{
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

/// Rows of a history, a diff or a log when the window names no number.
const USUAL: u32 = 200;

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::Get(payload) => {
            let (sheet, revision, root) = derive(session, caller, &payload.query)?;
            reply(Got { state: state(&sheet, revision, root) })
        }
        Command::List(_) => reply(ViewList { views: view::infos() }),
        Command::Subscribe(_)
        | Command::SetWindow(_)
        | Command::Resync(_)
        | Command::Unsubscribe(_) => {
            let text = "a subscription needs a connection to send changes to";
            Err(Refusal::new(ErrorCode::SessionState, text)
                .with("state", "noConnection")
                .with("hint", "Start `pulse serve` and subscribe over its socket."))
        }
    }
}

/// The content of a view as it goes over the wire.
pub fn state(sheet: &Sheet, revision: u64, root: Hash) -> ViewState {
    ViewState { revision, root, hash: sheet.hash(), data: sheet.data() }
}

/// Derives a view: what it shows, of which revision, of which root.
pub fn derive(
    session: &mut Session,
    caller: &Caller,
    query: &ViewQuery,
) -> Result<(Sheet, u64, Hash), Refusal> {
    let window = query.window.clone().unwrap_or_default();
    let project = session.project()?;
    let (revision, root) = (project.seq(), project.root());
    match query.view {
        ViewName::History => Ok((history_sheet(session, caller, &window)?, revision, root)),
        ViewName::Branches => Ok((branches_sheet(session, &window)?, revision, root)),
        ViewName::Diff => Ok((diff_sheet(session, query, &window)?, revision, root)),
        _ => match &query.rev {
            Some(rev) => at(session, rev, query, &window),
            None => Ok((working(session, query, &window)?, revision, root)),
        },
    }
}

/// A view of the working copy: what was derived before is not derived again.
fn working(session: &mut Session, query: &ViewQuery, window: &Window) -> Result<Sheet, Refusal> {
    let (view, ambient) = (session.view()?, ambient(session));
    let registry = std::sync::Arc::clone(&session.registry);
    let derived = session.derived.get_or_insert_with(|| Host::new(view.clone(), registry));
    derived.move_to(view)?;
    derived.set_ambient(ambient);
    Ok(derived.view(query.view, query.subject, window)?)
}

fn at(
    session: &Session,
    rev: &RevText,
    query: &ViewQuery,
    window: &Window,
) -> Result<(Sheet, u64, Hash), Refusal> {
    let project = session.project()?;
    let view = project.view_at(&super::version::rev(rev)?)?.resolved()?;
    let (root, revision) = (view.root(), project.seq());
    Ok((from_scratch(session, view, query, window)?, revision, root))
}

fn from_scratch(
    session: &Session,
    view: pulse_store::view::View,
    query: &ViewQuery,
    window: &Window,
) -> Result<Sheet, Refusal> {
    let source = Stored::new(view);
    let ambient = ambient(session);
    let ctx = Ctx { source: &source, registry: &session.registry, ambient: &ambient };
    let sheet = scratch::sheet(&ctx, query.view, query.subject, window);
    source.check()?;
    Ok(sheet?)
}

/// What is true now and stands in no project.
pub fn ambient(session: &Session) -> Ambient {
    let missing = session.live.missing.iter().map(|media| (*media, Availability::Missing));
    Ambient { seeds: super::cohort::seeds(session), media: missing.collect() }
}

fn page(window: &Window) -> Page {
    let limit = Some(window.rows.unwrap_or(USUAL));
    Page { offset: u64::from(window.first_row.unwrap_or(0)), limit }
}

/// A list out of the reply of another command.
fn part<T: serde::de::DeserializeOwned>(reply: &mut Value, field: &str) -> Result<T, Refusal> {
    let value = reply.get_mut(field).map(Value::take).unwrap_or_default();
    Ok(serde_json::from_value(value)?)
}

fn history_sheet(
    session: &mut Session,
    caller: &Caller,
    window: &Window,
) -> Result<Sheet, Refusal> {
    let list = history::List { page: page(window), context: None, client_id: None, entity: None };
    let mut reply = super::history::act(session, caller, &history::Command::List(list))?;
    let entries: Vec<history::HistoryEntry> = part(&mut reply, "entries")?;
    Ok(view::versions::history(&entries, part(&mut reply, "more")?))
}

fn branches_sheet(session: &Session, window: &Window) -> Result<Sheet, Refusal> {
    let ask = |command| super::version::ask(session, &command);
    let mut branches = ask(version::Command::Branches(version::Branches {}))?;
    let mut tags = ask(version::Command::Tags(version::Tags {}))?;
    let log = version::Log { from: None, scope: Default::default(), page: page(window) };
    let mut log = ask(version::Command::Log(log))?;
    let branches: Vec<version::BranchInfo> = part(&mut branches, "branches")?;
    let tags: Vec<version::TagInfo> = part(&mut tags, "tags")?;
    let commits: Vec<Value> = part(&mut log, "commits")?;
    Ok(view::versions::branches(&branches, &tags, &commits))
}

fn diff_sheet(session: &Session, query: &ViewQuery, window: &Window) -> Result<Sheet, Refusal> {
    let ask = version::Diff {
        from: query.from.clone(),
        to: query.rev.clone(),
        scope: Default::default(),
        page: page(window),
    };
    let mut reply = super::version::ask(session, &version::Command::Diff(ask))?;
    let counts: version::DiffCounts = part(&mut reply, "counts")?;
    let rows = (counts.added + counts.removed + counts.modified) as usize;
    let changes: Vec<version::EntityDiff> = part(&mut reply, "changes")?;
    let (from, to) = (part(&mut reply, "from")?, part(&mut reply, "to")?);
    Ok(view::versions::diff(from, to, &changes, &counts, rows))
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Refusal {
        match error {
            HostError::Read(error) => (&*error).into(),
            HostError::View(error) => error.into(),
        }
    }
}

impl From<ViewError> for Refusal {
    fn from(error: ViewError) -> Refusal {
        let code = match &error {
            ViewError::SubjectMissing { .. } => ErrorCode::PayloadInvalid,
            ViewError::SubjectKind { .. } => ErrorCode::EntityWrongKind,
            ViewError::SubjectGone { .. } | ViewError::NoArrangement => ErrorCode::EntityNotFound,
            ViewError::NotOfARevision { .. } => ErrorCode::PayloadInvalid,
        };
        let refusal = Refusal::new(code, error.to_string());
        match error {
            ViewError::SubjectKind { subject, .. } | ViewError::SubjectGone { subject } => {
                refusal.with("entity", subject.to_string())
            }
            ViewError::SubjectMissing { .. } => refusal.with("path", "query.subject"),
            _ => refusal,
        }
    }
}

#[cfg(test)]
mod tests;
