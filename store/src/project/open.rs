//! Making, opening and finding projects.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use pulse_schemas::{
    entity::Project as ProjectEntity,
    id::{ActorId, ProjectId},
};

use super::{MEDIA_DIR, Project, STORE_DIR, stamp::Stamp};
use crate::{
    history::Action,
    refs::{Branch, Commit, Refs, RefsError},
    repo::{Access, OpenError as StoreError, Options, Repo, RepoError, fresh_store_id},
    tx::{TxError, TxMeta},
    version::VersionError,
    view::View,
};

/// The branch that a new project opens.
pub const FIRST_BRANCH: &str = "main";

/// What a new project begins with.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    pub name: String,
    /// Preferred rate of playback and render, in Hz.
    pub sample_rate: u32,
    pub author: String,
    /// Pins who makes the ids, so that a replay gives the same ones; none is a fresh actor.
    pub actor: Option<ActorId>,
    /// Milliseconds since 1970.
    pub time: i64,
}

impl Default for CreateOptions {
    fn default() -> CreateOptions {
        CreateOptions {
            name: "Untitled".into(),
            sample_rate: 48_000,
            author: String::new(),
            actor: None,
            time: 0,
        }
    }
}

impl CreateOptions {
    pub fn named(name: impl Into<String>) -> CreateOptions {
        CreateOptions { name: name.into(), ..CreateOptions::default() }
    }
}

/// What to do with unsaved work that a crash left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DraftPolicy {
    /// Refuse to open until somebody decides; open read-only to inspect.
    Ask,
    /// Go on with it.
    #[default]
    Adopt,
    /// Go back to the last commit; the work stays in the history and can be undone to.
    Discard,
}

#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    pub read_only: bool,
    pub draft: DraftPolicy,
    /// Where this process takes commands, for whoever finds the project locked.
    pub socket: Option<String>,
    /// A copy of a folder goes on making the ids that the original makes: for a
    /// replay, which has to. Such a copy must never be merged with its original.
    pub replica: bool,
}

/// Why a project cannot be created or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Refs(#[from] RefsError),
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error("the project cannot be set up: {0}")]
    Setup(#[from] TxError),
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(
        "{}: Pulse ended while {branch} had unsaved work ({rows} edits); \
         open it again with the draft adopted, discarded, or read-only to look at it",
        dir.display()
    )]
    DraftLeft { dir: PathBuf, branch: String, rows: u64 },
    #[error("{}: {source}; check that the folder can be written", dir.display())]
    Folder { dir: PathBuf, source: std::io::Error },
}

impl OpenError {
    /// The project is there, and this process may only look at it.
    pub fn is_about_writing(&self) -> bool {
        matches!(self, OpenError::Store(StoreError::Lock(error)) if error.is_about_writing())
    }
}

impl Project {
    /// Makes a project in `dir`, which is created if needed.
    pub fn create(dir: &Path, options: CreateOptions) -> Result<Project, OpenError> {
        let folder = |source| OpenError::Folder { dir: dir.to_owned(), source };
        let store = dir.join(STORE_DIR);
        let repo = Repo::create(&store, &new_store())?;
        std::fs::create_dir_all(dir.join(MEDIA_DIR)).map_err(folder)?;
        let mut project = Project::begin_new(repo, Some(dir.to_owned()), &options)?;
        project.set_up(options)?;
        project.flush()?;
        Ok(project)
    }

    /// A project that rests nowhere: for tests, previews and throw-away work.
    pub fn in_memory(options: CreateOptions) -> Result<Project, OpenError> {
        let repo = Repo::in_memory(&new_store())?;
        let mut project = Project::begin_new(repo, None, &options)?;
        project.set_up(options)?;
        Ok(project)
    }

    /// Opens the project in `dir`, recovering it if it was not closed.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Project, OpenError> {
        let access = if options.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let mut repo = Repo::open(&dir.join(STORE_DIR), &Options { access, ..Options::default() })?;
        if let Some(socket) = &options.socket {
            repo.set_socket(Some(PathBuf::from(socket))).map_err(StoreError::from)?;
        }
        if Refs::new(repo.meta()).is_new()? {
            // The process ended between making the store and its first transaction.
            let create = CreateOptions::default();
            let mut project = Project::begin_new(repo, Some(dir.to_owned()), &create)?;
            project.set_up(create)?;
            return Ok(project);
        }
        let refs = Refs::new(repo.meta());
        let (actor, branch) = (refs.actor()?, refs.head()?);
        let view = View::of_state(repo.head().clone());
        let dir = Some(dir.to_owned());
        let mut project = Project {
            repo,
            playing: None,
            view,
            dir,
            actor,
            branch,
            history: None,
            gestures: BTreeMap::new(),
            stamp: Stamp::none(),
            overlays: Default::default(),
        };
        project.load_stamp();
        project.playing = project.view.varied().map_err(TxError::from)?;
        if options.read_only {
            return Ok(project);
        }
        if let Err(error) = project.after_open(&options) {
            // A question leaves everything as it was, so that it is asked again.
            if matches!(error, OpenError::DraftLeft { .. }) {
                project.abandon();
            }
            return Err(error);
        }
        Ok(project)
    }

    /// The project folder that holds `start`, looking upward.
    pub fn find(start: &Path) -> Option<PathBuf> {
        let holds = |dir: &&Path| dir.join(STORE_DIR).is_dir();
        start.ancestors().find(holds).map(Path::to_owned)
    }

    fn begin_new(
        repo: Repo,
        dir: Option<PathBuf>,
        options: &CreateOptions,
    ) -> Result<Project, OpenError> {
        let actor = options.actor.unwrap_or(ActorId(u128::from_be_bytes(repo.store_id())));
        let view = View::of_state(repo.head().clone());
        let branch = FIRST_BRANCH.to_owned();
        Ok(Project {
            repo,
            playing: None,
            view,
            dir,
            actor,
            branch,
            history: None,
            gestures: BTreeMap::new(),
            stamp: Stamp::none(),
            overlays: Default::default(),
        })
    }

    /// The first transaction: the project entity, the first commit and the branch at it.
    fn set_up(&mut self, options: CreateOptions) -> Result<(), OpenError> {
        let (actor, branch, home) = (self.actor, self.branch.clone(), self.home());
        let meta = TxMeta {
            label: "Create project".into(),
            author: options.author.clone(),
            time: options.time,
            ..TxMeta::default()
        };
        let mut tx = self.begin_as(meta, Action::Refs);
        let id = ProjectId(tx.new_id());
        tx.put(ProjectEntity {
            id,
            name: options.name,
            sample_rate: options.sample_rate,
            ..ProjectEntity::default()
        })?;
        let commit = Commit {
            root: tx.view()?.root(),
            parents: Vec::new(),
            author: options.author,
            time: options.time,
            message: "Create project".into(),
            notes: String::new(),
        };
        tx.refs.actor(actor);
        tx.refs.head(&branch);
        tx.refs.home(home);
        let tip = tx.refs.commit(&commit);
        tx.refs.branch(&branch, &Branch::at(tip));
        tx.finish(true, true)?;
        Ok(())
    }

    /// Which folder this is, so that a copy of it is told from the original.
    fn home(&self) -> u64 {
        let path = self.dir.as_ref().map(|dir| dir.join(STORE_DIR));
        path.and_then(|path| file_number(&path)).unwrap_or_default()
    }

    fn after_open(&mut self, options: &OpenOptions) -> Result<(), OpenError> {
        if !options.replica {
            self.settle_home()?;
        }
        if !self.refs().withheld()?.is_empty() {
            self.restore_withheld()?;
        }
        let crashed = self.repo.recovered().rows > 0;
        if crashed && self.is_dirty()? {
            match options.draft {
                DraftPolicy::Ask => {
                    return Err(OpenError::DraftLeft {
                        dir: self.dir.clone().unwrap_or_default(),
                        branch: self.branch.clone(),
                        rows: self.repo.recovered().rows,
                    });
                }
                DraftPolicy::Adopt => {}
                DraftPolicy::Discard => {
                    self.discard_draft(TxMeta::new("Discard draft", ""))?;
                }
            }
        }
        Ok(())
    }

    /// A copied folder must not make ids that the original makes too.
    fn settle_home(&mut self) -> Result<(), OpenError> {
        let (known, home) = (self.refs().home()?, self.home());
        if known == Some(home) {
            return Ok(());
        }
        let fresh = ActorId(u128::from_be_bytes(fresh_store_id()));
        let mut tx = self.begin_as(TxMeta::new("Copy of a project", ""), Action::Refs);
        tx.refs.actor(fresh);
        tx.refs.home(home);
        tx.finish(false, false)?;
        self.actor = fresh;
        Ok(())
    }
}

fn new_store() -> Options {
    Options { store_id: fresh_store_id(), ..Options::default() }
}

#[cfg(unix)]
fn file_number(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| metadata.ino())
}

#[cfg(not(unix))]
fn file_number(_path: &Path) -> Option<u64> {
    None
}
