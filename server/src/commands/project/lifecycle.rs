//! Making, opening, saving and closing projects.
//!
//! `unloaded → loading → loaded → saving → loaded → closing → unloaded`. One
//! project is open at a time; the next one is open before the last one is let
//! go, so that a failed open leaves everything as it was.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use pulse_schemas::{
    command::{
        project::{
            DraftChoice, DraftInfo, DraftSaved, Move, New, Open, Opened, OpenedOrDraft, Save,
            SaveAs, Saved, SavedAs, StressSize, Template,
        },
        session::SessionState,
    },
    entity::{MediaItem, Project as ProjectEntity, StorageBackend},
    envelope::Timestamp,
    error::ErrorCode,
    id::ActorId,
};
use pulse_store::{
    project::{CreateOptions, DraftPolicy, MEDIA_DIR, OpenError, OpenOptions, Project},
    repo::OpenError as StoreError,
    tx::TxMeta,
};
use serde_json::json;

use super::{
    contents::project_info,
    files::{absolute, copy, failed, relocate as move_folder, require_free},
    the_project,
};
use crate::{
    commands::{
        edit::{done, reply},
        rendering::bounce,
        version,
    },
    places::Places,
    recent::Entry,
    refusal::{Refusal, Reply},
    session::{Caller, Open as OpenProject, Session},
    templates::Template as Content,
};

/// What `stress` means where no size is said.
const STRESS: Content = Content::Stress { tracks: 100, clips: 50 };

pub fn new(session: &mut Session, caller: &Caller, payload: &New) -> Reply {
    let path = absolute("payload.path", &payload.path)?;
    require_free(&path)?;
    let actor = payload.actor.as_deref().map(parse_actor).transpose()?;
    let folder = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let template = match payload.template {
        None | Some(Template::Empty) => Content::Empty,
        Some(Template::Demo) => Content::Demo,
        Some(Template::Stress) => match payload.stress {
            Some(StressSize { tracks, clips }) => Content::Stress { tracks, clips },
            None => STRESS,
        },
    };
    let now = session.time;
    let options = CreateOptions {
        name: payload.name.clone().or(folder).unwrap_or_else(|| "Untitled".into()),
        author: caller.author.clone(),
        actor,
        time: now,
        ..CreateOptions::default()
    };
    let project = Project::create(&path, options)?;
    take_over(session, project, &path)?;
    begin(session, template, &caller.author, now)?;
    let info = opened(session)?;
    reply(Opened { info })
}

/// Fills a new project and commits that. It is nobody's edit: no undo reaches
/// behind the beginning.
pub fn begin(
    session: &mut Session,
    template: Content,
    author: &str,
    time: i64,
) -> Result<(), Refusal> {
    let meta = TxMeta { author: author.to_owned(), time, ..TxMeta::new("New project", "") };
    session.transact(meta.clone(), |edit| {
        template.build(edit)?;
        edit.label("New project");
        Ok(())
    })?;
    session.project_mut()?.commit("New project", meta)?;
    Ok(())
}

pub fn parse_actor(text: &str) -> Result<ActorId, Refusal> {
    let wrong = || {
        Refusal::new(ErrorCode::PayloadInvalid, "an actor is 32 hex digits")
            .with("path", "payload.actor")
    };
    if text.len() != 32 {
        return Err(wrong());
    }
    u128::from_str_radix(text, 16).map(ActorId).map_err(|_| wrong())
}

/// Lets the open project go and puts another in its place.
fn take_over(session: &mut Session, project: Project, path: &Path) -> Result<(), Refusal> {
    if session.open.is_some() {
        shut(session)?;
    }
    session.enter(SessionState::Loading)?;
    session.open = Some(OpenProject { project, path: Some(path.to_owned()) });
    session.enter(SessionState::Loaded)
}

/// Puts in order what the last process left, tells everybody what is open, and remembers it.
fn opened(session: &mut Session) -> Result<pulse_schemas::command::project::ProjectInfo, Refusal> {
    bounce::settle(session)?;
    let Some(open) = &session.open else { return Err(Refusal::internal("nothing is open")) };
    let info = project_info(open)?;
    if let Some(path) = &open.path {
        let (path, name) = (path.clone(), info.name.clone());
        session.recent.note(Entry { path, name, opened: session.time });
    }
    session.publish("project", "opened", json!({ "info": info }));
    session.settled()?;
    Ok(info)
}

pub fn open(session: &mut Session, payload: &Open) -> Reply {
    let path = absolute("payload.path", &payload.path)?;
    let here = session.open.as_ref().and_then(|open| open.path.as_ref());
    if here.is_some_and(|here| *here == path) {
        // The lock is ours; it is a question of going on with what is open.
        let info = session.open.as_ref().map(project_info).transpose()?;
        return reply(OpenedOrDraft { info, draft: None });
    }
    let inspect = payload.draft == Some(DraftChoice::Inspect);
    let options = OpenOptions {
        read_only: payload.read_only || inspect,
        draft: match payload.draft {
            None | Some(DraftChoice::Inspect) => DraftPolicy::Ask,
            Some(DraftChoice::Adopt) => DraftPolicy::Adopt,
            Some(DraftChoice::Discard) => DraftPolicy::Discard,
        },
        socket: session.socket.clone(),
        ..OpenOptions::default()
    };
    let project = match open_patiently(&path, &options) {
        Ok(project) => project,
        Err(OpenError::DraftLeft { branch, rows, .. }) => {
            let draft = Some(draft_info(&path, branch, rows)?);
            return reply(OpenedOrDraft { info: None, draft });
        }
        Err(error) => return Err(error.into()),
    };
    let rows = project.repo().recovered().rows;
    let adopted = payload.draft.is_some() && rows > 0 && project.is_dirty()?;
    let branch = project.branch_name().to_owned();
    take_over(session, project, &path)?;
    let draft = match (adopted, session.project_mut()) {
        (true, Ok(project)) => Some(describe_draft(project, branch, rows)?),
        _ => None,
    };
    let info = Some(opened(session)?);
    reply(OpenedOrDraft { info, draft })
}

/// How long the last reader of a project that was closed may take to let go of it.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Opens a project that this process may just have closed: the playback reads in a
/// thread of its own and lets go of the files a moment later.
fn open_patiently(path: &Path, options: &OpenOptions) -> Result<Project, OpenError> {
    let start = Instant::now();
    loop {
        match Project::open(path, options.clone()) {
            // Another process would be named by the lock, before the files are touched.
            Err(OpenError::Store(StoreError::Backend(_))) if start.elapsed() < LETTING_GO => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// What is known about a draft that nobody has decided about.
fn draft_info(path: &Path, branch: String, rows: u64) -> Result<DraftInfo, Refusal> {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let mut project = Project::open(path, options)?;
    describe_draft(&mut project, branch, rows)
}

fn describe_draft(project: &mut Project, branch: String, rows: u64) -> Result<DraftInfo, Refusal> {
    let last = project.seq();
    let entries = project.history(last.saturating_sub(rows) + 1..last + 1)?;
    let edit = entries.iter().rev().find(|entry| !entry.info.contexts.is_empty());
    Ok(DraftInfo {
        branch,
        edits: rows,
        last: edit.map(|entry| Timestamp(entry.info.time)),
        author: edit.map(|entry| entry.info.author.clone()),
        base: project.tip().ok(),
        // The draft and its branch are one journal, so neither moves alone.
        base_moved: false,
        unclean: true,
    })
}

/// Closes what is open; everything is on the disk when it returns.
fn shut(session: &mut Session) -> Result<(), Refusal> {
    session.project()?;
    session.enter(SessionState::Closing)?;
    // A job that went on would end in whichever project is open then.
    session.stop_jobs();
    session.unwarn(bounce::UNFINISHED);
    let Some(open) = session.open.take() else { return Ok(()) };
    let path = open.shown_path();
    session.derived = None;
    session.show();
    let closed = open.project.close();
    session.publish("project", "closed", json!({ "path": path }));
    session.enter(SessionState::Unloaded)?;
    Ok(closed?)
}

pub fn close(session: &mut Session) -> Reply {
    shut(session)?;
    done()
}

pub fn save(session: &mut Session, payload: &Save, meta: TxMeta) -> Reply {
    session.project()?;
    session.enter(SessionState::Saving)?;
    let message = payload.message.as_deref().unwrap_or("Save");
    let meta = TxMeta { label: String::new(), ..meta };
    let saved = version::save(session, message, meta);
    session.enter(SessionState::Loaded)?;
    let (commit, created) = saved?;
    reply(Saved { commit, created })
}

pub fn save_draft(session: &mut Session) -> Reply {
    let project = session.project_mut()?;
    project.flush()?;
    project.repo_mut().checkpoint()?;
    reply(DraftSaved { revision: project.seq(), root: project.root() })
}

pub fn discard_draft(session: &mut Session, meta: TxMeta) -> crate::commands::Whole {
    let meta = TxMeta { label: "Discard the draft".into(), ..meta };
    let committed = session.project_mut()?.discard_draft(meta)?;
    Ok((done()?, committed))
}

/// The folder of the open project; one in memory has none.
fn folder(session: &Session) -> Result<std::path::PathBuf, Refusal> {
    session.project()?;
    let path = session.open.as_ref().and_then(|open| open.path.clone());
    path.ok_or_else(|| {
        Refusal::new(ErrorCode::ProjectNotFound, "the open project lies in memory, in no folder")
    })
}

/// Closes the project, lets `work` handle its folder, and opens what `work`
/// names; the old place again if it failed.
fn reopen_after(
    session: &mut Session,
    from: &Path,
    work: impl FnOnce() -> Result<std::path::PathBuf, Refusal>,
) -> Result<(), Refusal> {
    let read_only = session.project()?.is_read_only();
    shut(session)?;
    let worked = work();
    let path = worked.as_ref().map_or(from, |path| path.as_path());
    let options = OpenOptions { read_only, socket: session.socket.clone(), ..Default::default() };
    let project = open_patiently(path, &options)?;
    take_over(session, project, path)?;
    worked.map(|_| ())
}

pub fn save_as(session: &mut Session, caller: &Caller, payload: &SaveAs) -> Reply {
    let to = absolute("payload.path", &payload.path)?;
    let from = folder(session)?;
    require_free(&to)?;
    reopen_after(session, &from, || copy(&from, &to).map(|()| to.clone()))?;
    let meta = session.meta(caller, &payload.clone().into())?;
    if let Some(name) = &payload.name {
        let label = format!("Rename the project to {name}");
        session.transact(TxMeta { label, ..meta.clone() }, |edit| {
            let project = the_project(edit)?;
            edit.update::<ProjectEntity>(project.id, |project| project.name = name.clone())
        })?;
    }
    if payload.collect_media {
        let meta = TxMeta { label: "Collect media".into(), ..meta };
        collect_media(session, &to, meta)?;
    }
    let info = opened(session)?;
    reply(SavedAs { info })
}

/// Copies referenced files into the project's own folder. What isn't there at
/// the moment keeps its reference.
fn collect_media(session: &mut Session, folder: &Path, meta: TxMeta) -> Result<(), Refusal> {
    let media = folder.join(MEDIA_DIR);
    let (mut collected, places) = (Vec::new(), Places::of(Some(folder)));
    for item in session.view()?.all::<MediaItem>()? {
        let Some(source) = places.present(&item) else { continue };
        if item.storage.backend == StorageBackend::Project {
            continue;
        }
        // Moved in before, and the move undone.
        if let Ok(place) = source.strip_prefix(&media) {
            collected.push((item.id, place.to_string_lossy().into_owned()));
            continue;
        }
        let name = source.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = free_name(&media, &name.unwrap_or_else(|| item.id.any().to_string()));
        let target = media.join(&name);
        std::fs::copy(&source, &target).map_err(|error| failed(&target, &error))?;
        collected.push((item.id, name));
    }
    if collected.is_empty() {
        return Ok(());
    }
    session.transact(meta, |edit| {
        for (id, name) in collected {
            edit.update::<MediaItem>(id, |item| {
                item.storage.backend = StorageBackend::Project;
                item.storage.path = name;
                item.storage.volume = None;
            })?;
        }
        Ok(())
    })
}

/// `kick.wav`, else `kick 2.wav` and so on.
fn free_name(folder: &Path, name: &str) -> String {
    let (stem, end) = match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => (stem, format!(".{end}")),
        _ => (name, String::new()),
    };
    let numbered = (2..).map(|number: u32| format!("{stem} {number}{end}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !folder.join(name).exists())
        .unwrap_or_else(|| name.to_owned())
}

pub fn relocate(session: &mut Session, payload: &Move) -> Reply {
    let to = absolute("payload.path", &payload.path)?;
    let from = folder(session)?;
    reopen_after(session, &from, || move_folder(&from, &to).map(|()| to.clone()))?;
    opened(session)?;
    done()
}
