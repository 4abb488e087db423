//! The files of a store in its folder, and opening them.
//!
//! `format` is plain text and is read first, so that a store from the future is named as such
//! whatever its other files look like. It is also written last: a folder without it holds no
//! finished store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Repo,
    head::{FORMAT, Head, HeadError},
    lock::{Holder, Lock, LockError, holder_of},
};
use crate::{
    backend::{BackendError, BackingStore, memory::MemoryBackend, redb::RedbBackend},
    journal::{
        HEADER, JournalError,
        file::{DiskFile, JournalFile, MemoryFile},
    },
    tree::{DEFAULT_CACHE_BYTES, TreeError},
};

pub const FORMAT_FILE: &str = "format";
pub const DATABASE_FILE: &str = "project.redb";
pub const JOURNAL_FILE: &str = "project.journal";
pub const LOCK_FILE: &str = "lock";
const FORMAT_PREFIX: &str = "pulse store ";
/// redb's own page cache; nodes have a cache of their own above it.
const REDB_CACHE_BYTES: usize = 64 << 20;

/// Whether a store may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Access {
    #[default]
    ReadWrite,
    ReadOnly,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub access: Access,
    /// Names a new store; see [`fresh_store_id`].
    pub store_id: [u8; 16],
    /// Memory for clean nodes.
    pub cache_bytes: usize,
    /// A checkpoint follows at the latest when this many rows wait for one: what bounds the work
    /// of recovery.
    pub checkpoint_rows: u64,
    /// Where there is nothing, [`Repo::open_on`] makes a new store.
    pub create: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            access: Access::ReadWrite,
            store_id: [0; 16],
            cache_bytes: DEFAULT_CACHE_BYTES,
            checkpoint_rows: 512,
            create: true,
        }
    }
}

/// Why a store can't be opened or created.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{}: there is no project here; create one with `pulse new`", dir.display())]
    NotAStore { dir: PathBuf },
    #[error("{}: there is a project here already; open it, or choose another folder", dir.display())]
    Exists { dir: PathBuf },
    #[error(
        "{}: store format {found} comes from a newer pulse (this one reads {FORMAT}); \
         update pulse to open the project", file.display()
    )]
    Future { file: PathBuf, found: u32 },
    #[error(
        "{}: the `format` file is missing beside a project's data; run `pulse fsck`", dir.display()
    )]
    FormatMissing { dir: PathBuf },
    #[error("{}: not the format file of a pulse project; run `pulse fsck`", file.display())]
    Foreign { file: PathBuf },
    #[error("{}: the store's head is missing; run `pulse fsck`", file.display())]
    HeadMissing { file: PathBuf },
    #[error("{}: {source}; run `pulse fsck`", file.display())]
    Head { file: PathBuf, source: HeadError },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("{}: {action} failed: {source}; {}", file.display(), crate::backend::hint(source))]
    Io { file: PathBuf, action: &'static str, source: Arc<io::Error> },
    #[error(
        "{}: replaying row {seq} gives {found:?} instead of {expected:?}; run `pulse fsck`",
        file.display()
    )]
    Replay {
        file: PathBuf,
        seq: u64,
        expected: pulse_schemas::hash::Hash,
        found: pulse_schemas::hash::Hash,
    },
    #[error("{}: row {seq} can't be applied; run `pulse fsck`", file.display())]
    ReplayRow { file: PathBuf, seq: u64 },
}

/// 128 bits that no other store has: what tells a copied journal from the store's own.
pub fn fresh_store_id() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let noise = [RandomState::new().hash_one(0u8), RandomState::new().hash_one(1u8)];
    let mut hasher = blake3::Hasher::new();
    for word in noise {
        hasher.update(&word.to_le_bytes());
    }
    hasher.update(&std::process::id().to_le_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    id
}

impl Repo {
    /// Makes a new, empty store in `dir`, which is created if needed.
    pub fn create(dir: &Path, options: &Options) -> Result<Repo, OpenError> {
        std::fs::create_dir_all(dir).map_err(|source| io_error(dir, "creating", source))?;
        if dir.join(FORMAT_FILE).exists() {
            return Err(OpenError::Exists { dir: dir.to_owned() });
        }
        let lock = Lock::acquire(&dir.join(LOCK_FILE), &Holder::this_process(None))?;
        set_aside_unfinished(dir)?;
        let mut repo = open_files(dir, options)?;
        sync_dir(dir)?;
        write_format(dir)?;
        repo.lock = Some(lock);
        Ok(repo)
    }

    /// Opens the store in `dir`, recovering it if it was not closed.
    pub fn open(dir: &Path, options: &Options) -> Result<Repo, OpenError> {
        check_format(dir)?;
        if options.access == Access::ReadOnly {
            return open_read_only(dir, options);
        }
        let lock = Lock::acquire(&dir.join(LOCK_FILE), &Holder::this_process(None))?;
        let database = dir.join(DATABASE_FILE);
        // redb would make a new database of an empty file.
        if std::fs::metadata(&database).map_or(0, |metadata| metadata.len()) == 0 {
            return Err(OpenError::HeadMissing { file: database });
        }
        let mut repo = open_files(dir, &Options { create: false, ..options.clone() })?;
        repo.lock = Some(lock);
        Ok(repo)
    }

    /// A store that rests in memory and is gone with the `Repo`.
    pub fn in_memory(options: &Options) -> Result<Repo, OpenError> {
        let journal = Box::new(MemoryFile::default());
        Repo::open_on(Path::new("memory"), Arc::new(MemoryBackend::default()), journal, options)
    }
}

/// A creation that was cut short left files without a `format`. They hold nothing, but so would
/// look a store whose `format` was deleted: nothing is removed, and rows or a head are an error.
fn set_aside_unfinished(dir: &Path) -> Result<(), OpenError> {
    let (database, journal) = (dir.join(DATABASE_FILE), dir.join(JOURNAL_FILE));
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length(&journal) > HEADER as u64 {
        return Err(OpenError::FormatMissing { dir: dir.to_owned() });
    }
    if !database.exists() {
        return Ok(());
    }
    let head = RedbBackend::open(&database, REDB_CACHE_BYTES).and_then(|backend| backend.head());
    match head {
        Ok(Some(head)) if Head::decode(&head).is_ok_and(|head| head.seq == 0) => Ok(()),
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(OpenError::FormatMissing { dir: dir.to_owned() }),
        Err(_) => {
            let aside = dir.join("project.redb.unfinished");
            std::fs::rename(&database, &aside)
                .map_err(|source| io_error(&database, "setting aside", source))
        }
    }
}

fn open_files(dir: &Path, options: &Options) -> Result<Repo, OpenError> {
    let backend = RedbBackend::open(&dir.join(DATABASE_FILE), REDB_CACHE_BYTES)?;
    let path = dir.join(JOURNAL_FILE);
    let journal = DiskFile::open(&path).map_err(|source| io_error(&path, "opening", source))?;
    Repo::open_on(dir, Arc::new(backend), Box::new(journal), options)
}

fn open_read_only(dir: &Path, options: &Options) -> Result<Repo, OpenError> {
    let lock = dir.join(LOCK_FILE);
    if let Some(holder) = holder_of(&lock) {
        return Err(LockError::Held { file: lock, holder }.into());
    }
    let backend = RedbBackend::open_read_only(&dir.join(DATABASE_FILE), REDB_CACHE_BYTES)?;
    let path = dir.join(JOURNAL_FILE);
    let journal: Box<dyn JournalFile> = Box::new(
        DiskFile::open_read_only(&path).map_err(|source| io_error(&path, "opening", source))?,
    );
    let backend: Arc<dyn BackingStore> = Arc::new(backend);
    Repo::open_on(dir, backend, journal, options)
}

/// Says whether `dir` holds a store this program can read.
pub fn check_format(dir: &Path) -> Result<(), OpenError> {
    let file = dir.join(FORMAT_FILE);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::NotAStore { dir: dir.to_owned() });
        }
        Err(source) => return Err(io_error(&file, "reading", source)),
    };
    let number = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.strip_prefix(FORMAT_PREFIX)?.lines().next()?.parse::<u32>().ok());
    match number {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(OpenError::Future { file, found }),
        _ => Err(OpenError::Foreign { file }),
    }
}

pub(crate) fn write_format(dir: &Path) -> Result<(), OpenError> {
    let (path, temporary) = (dir.join(FORMAT_FILE), dir.join("format.new"));
    let text = format!("{FORMAT_PREFIX}{FORMAT}\n");
    std::fs::write(&temporary, text)
        .and_then(|()| std::fs::File::open(&temporary)?.sync_all())
        .and_then(|()| std::fs::rename(&temporary, &path))
        .map_err(|source| io_error(&path, "writing", source))?;
    sync_dir(dir)
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), OpenError> {
    std::fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| io_error(dir, "syncing", source))
}

pub(super) fn io_error(file: &Path, action: &'static str, source: io::Error) -> OpenError {
    OpenError::Io { file: file.to_owned(), action, source: source.into() }
}
