//! A store in one redb file.
//!
//! Nodes lie under sequential numbers with an index from hash to number: appending to the right
//! edge of a B-tree halves the bytes per checkpoint against keys that are hashes. Every commit
//! is immediate and carries quick-repair data, so opening after a crash does not walk the file.

use std::{
    collections::BTreeSet,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
};

use pulse_schemas::hash::Hash;
use redb::{
    Database, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, WriteTransaction,
};

use super::{BackendError, BackingStore, Batch, Swept, quiet};
use crate::{
    node::Node,
    tree::{lock, read, write},
};

const NODES: TableDefinition<u64, &[u8]> = TableDefinition::new("nodes");
const INDEX: TableDefinition<&[u8; 32], u64> = TableDefinition::new("index");
const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");
const HEAD: &str = "head";

pub struct RedbBackend {
    file: PathBuf,
    database: RwLock<Handle>,
    /// Open tables of the latest state: opening them for every read would cost more than the
    /// read. Replaced after each write, so that old pages are not held for longer than that.
    readers: RwLock<Option<Arc<Readers>>>,
    /// One writer at a time without waiting inside redb.
    writing: Mutex<()>,
}

enum Handle {
    ReadWrite(Box<Database>),
    ReadOnly(ReadOnlyDatabase),
    Closed,
}

struct Readers {
    nodes: ReadOnlyTable<u64, &'static [u8]>,
    index: ReadOnlyTable<&'static [u8; 32], u64>,
    rows: ReadOnlyTable<u64, &'static [u8]>,
    state: ReadOnlyTable<&'static str, &'static [u8]>,
}

/// Names the file and the step in every error.
struct Failed<'a> {
    file: &'a Path,
    action: &'static str,
}

impl Failed<'_> {
    fn with(&self, error: impl Into<::redb::Error>) -> BackendError {
        let (file, action) = (self.file.to_owned(), self.action);
        match error.into() {
            ::redb::Error::Io(source) => BackendError::Io { file, action, source: source.into() },
            source => BackendError::Database { file, action, source: source.into() },
        }
    }
}

/// redb checks the pages it reads only in part: on a damaged file it may run into an assertion.
/// That is a finding about the file, not a reason to end the process.
pub(crate) fn guarded<T>(
    file: &Path,
    action: &'static str,
    work: impl FnOnce() -> Result<T, BackendError>,
) -> Result<T, BackendError> {
    catch_unwind(AssertUnwindSafe(|| quiet::quietly(work)))
        .unwrap_or_else(|_| Err(BackendError::Damaged { file: file.to_owned(), action }))
}

impl RedbBackend {
    /// Opens the file, or creates it where there is none.
    pub fn open(file: &Path, cache_bytes: usize) -> Result<RedbBackend, BackendError> {
        let failed = Failed { file, action: "opening the database" };
        guarded(file, failed.action, || {
            let mut builder = Database::builder();
            let database = builder.set_cache_size(cache_bytes).create(file);
            RedbBackend::prepared(file, database.map_err(|error| failed.with(error))?)
        })
    }

    /// The same over any storage, such as one that loses power.
    pub fn open_on(
        file: &Path,
        storage: impl StorageBackend,
        cache_bytes: usize,
    ) -> Result<RedbBackend, BackendError> {
        let failed = Failed { file, action: "opening the database" };
        guarded(file, failed.action, || {
            let mut builder = Database::builder();
            let database = builder.set_cache_size(cache_bytes).create_with_backend(storage);
            RedbBackend::prepared(file, database.map_err(|error| failed.with(error))?)
        })
    }

    /// Opens an existing file without ever writing to it.
    pub fn open_read_only(file: &Path, cache_bytes: usize) -> Result<RedbBackend, BackendError> {
        let failed = Failed { file, action: "opening the database read-only" };
        guarded(file, failed.action, || {
            let mut builder = Database::builder();
            let database = builder.set_cache_size(cache_bytes).open_read_only(file);
            let database = database.map_err(|error| failed.with(error))?;
            Ok(RedbBackend::with_handle(file, Handle::ReadOnly(database)))
        })
    }

    /// Reading needs the tables to exist.
    fn prepared(file: &Path, database: Database) -> Result<RedbBackend, BackendError> {
        let backend = RedbBackend::with_handle(file, Handle::ReadWrite(Box::new(database)));
        if backend.readers().is_err() {
            backend.transaction("creating tables", |_, _| Ok(()))?;
        }
        Ok(backend)
    }

    fn with_handle(file: &Path, handle: Handle) -> RedbBackend {
        RedbBackend {
            file: file.to_owned(),
            database: RwLock::new(handle),
            readers: RwLock::new(None),
            writing: Mutex::new(()),
        }
    }

    fn failed(&self, action: &'static str) -> Failed<'_> {
        Failed { file: &self.file, action }
    }

    fn readers(&self) -> Result<Arc<Readers>, BackendError> {
        if let Some(readers) = &*read(&self.readers) {
            return Ok(readers.clone());
        }
        // Opened under the lock: a commit in between clears the slot only after this fills it, so
        // an old state is never left in it.
        let mut slot = write(&self.readers);
        if let Some(readers) = &*slot {
            return Ok(readers.clone());
        }
        let readers = Arc::new(self.open_readers()?);
        *slot = Some(readers.clone());
        Ok(readers)
    }

    fn open_readers(&self) -> Result<Readers, BackendError> {
        let failed = self.failed("reading");
        let transaction = match &*read(&self.database) {
            Handle::ReadWrite(database) => database.begin_read(),
            Handle::ReadOnly(database) => database.begin_read(),
            Handle::Closed => {
                Err(::redb::TransactionError::Storage(::redb::StorageError::DatabaseClosed))
            }
        }
        .map_err(|error| failed.with(error))?;
        Ok(Readers {
            nodes: transaction.open_table(NODES).map_err(|error| failed.with(error))?,
            index: transaction.open_table(INDEX).map_err(|error| failed.with(error))?,
            rows: transaction.open_table(ROWS).map_err(|error| failed.with(error))?,
            state: transaction.open_table(STATE).map_err(|error| failed.with(error))?,
        })
    }

    /// Runs one look at the latest state.
    fn reading<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Readers) -> Result<T, ::redb::Error>,
    ) -> Result<T, BackendError> {
        guarded(&self.file, action, || {
            work(&*self.readers()?).map_err(|error| self.failed(action).with(error))
        })
    }

    /// Runs one durable transaction.
    fn transaction<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&WriteTransaction, &mut Tables<'_>) -> Result<T, ::redb::Error>,
    ) -> Result<T, BackendError> {
        let _one = lock(&self.writing);
        let failed = self.failed(action);
        let result = {
            let Handle::ReadWrite(database) = &*read(&self.database) else {
                return Err(BackendError::ReadOnly { file: self.file.clone() });
            };
            guarded(&self.file, action, || run(database, work).map_err(|error| failed.with(error)))
        };
        *write(&self.readers) = None;
        result
    }
}

struct Tables<'t> {
    nodes: ::redb::Table<'t, u64, &'static [u8]>,
    index: ::redb::Table<'t, &'static [u8; 32], u64>,
    rows: ::redb::Table<'t, u64, &'static [u8]>,
    state: ::redb::Table<'t, &'static str, &'static [u8]>,
}

fn run<T>(
    database: &Database,
    work: impl FnOnce(&WriteTransaction, &mut Tables<'_>) -> Result<T, ::redb::Error>,
) -> Result<T, ::redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let result = {
        let mut tables = Tables {
            nodes: transaction.open_table(NODES)?,
            index: transaction.open_table(INDEX)?,
            rows: transaction.open_table(ROWS)?,
            state: transaction.open_table(STATE)?,
        };
        work(&transaction, &mut tables)?
    };
    transaction.commit()?;
    Ok(result)
}

impl Tables<'_> {
    fn add_nodes(&mut self, nodes: &[Arc<Node>]) -> Result<(), ::redb::Error> {
        let mut next = self.nodes.last()?.map_or(0, |(id, _)| id.value() + 1);
        let mut named = Vec::with_capacity(nodes.len());
        let mut seen = BTreeSet::new();
        for node in nodes {
            let hash = node.hash();
            if seen.insert(hash) && self.index.get(hash.as_bytes())?.is_none() {
                self.nodes.insert(next, node.bytes())?;
                named.push((hash, next));
                next += 1;
            }
        }
        // In the order of the table: neighbours are written while their page is at hand.
        named.sort_unstable();
        for (hash, id) in named {
            self.index.insert(hash.as_bytes(), id)?;
        }
        Ok(())
    }
}

impl BackingStore for RedbBackend {
    fn node(&self, hash: &Hash) -> Result<Option<Box<[u8]>>, BackendError> {
        self.reading("reading a node", |readers| {
            let Some(id) = readers.index.get(hash.as_bytes())? else { return Ok(None) };
            Ok(readers.nodes.get(id.value())?.map(|bytes| bytes.value().into()))
        })
    }

    fn head(&self) -> Result<Option<Vec<u8>>, BackendError> {
        self.reading("reading the head", |readers| {
            Ok(readers.state.get(HEAD)?.map(|head| head.value().to_vec()))
        })
    }

    fn rows(&self, from: u64, until: u64) -> Result<Vec<(u64, Vec<u8>)>, BackendError> {
        if from >= until {
            return Ok(Vec::new());
        }
        self.reading("reading history", |readers| {
            let rows = readers.rows.range(from..until)?;
            rows.map(|row| {
                row.map(|(seq, row)| (seq.value(), row.value().to_vec())).map_err(Into::into)
            })
            .collect()
        })
    }

    fn write(&self, batch: &Batch) -> Result<(), BackendError> {
        self.transaction("writing a checkpoint", |_, tables| {
            tables.add_nodes(&batch.nodes)?;
            for (seq, row) in &batch.rows {
                tables.rows.insert(seq, &row[..])?;
            }
            if let Some(below) = batch.drop_rows_below {
                tables.rows.retain_in(..below, |_, _| false)?;
            }
            if let Some(head) = &batch.head {
                tables.state.insert(HEAD, &head[..])?;
            }
            Ok(())
        })
    }

    fn sweep(&self, live: &dyn Fn(&Hash) -> bool) -> Result<Swept, BackendError> {
        self.transaction("collecting garbage", |_, tables| {
            let mut swept = Swept::default();
            let mut dead = Vec::new();
            tables.index.retain(|hash, id| {
                let keep = live(&Hash(*hash));
                if keep {
                    swept.kept += 1;
                } else {
                    dead.push(id);
                }
                keep
            })?;
            for id in dead {
                if let Some(bytes) = tables.nodes.remove(id)? {
                    swept.nodes += 1;
                    swept.bytes += bytes.value().len() as u64;
                }
            }
            Ok(swept)
        })
    }

    fn visit_nodes(&self, visit: &mut dyn FnMut(Hash, &[u8])) -> Result<(), BackendError> {
        self.reading("reading nodes", |readers| {
            for entry in readers.index.iter()? {
                let (hash, id) = entry?;
                let bytes = readers.nodes.get(id.value())?;
                visit(Hash(*hash.value()), bytes.as_ref().map_or(&[], |bytes| bytes.value()));
            }
            Ok(())
        })
    }

    fn replace(&self, nodes: &[Arc<Node>]) -> Result<(), BackendError> {
        self.transaction("repairing nodes", |_, tables| {
            for node in nodes {
                if let Some(id) = tables.index.remove(node.hash().as_bytes())? {
                    let id = id.value();
                    tables.nodes.remove(id)?;
                }
            }
            tables.add_nodes(nodes)
        })
    }

    fn compact(&self) -> Result<(), BackendError> {
        let _one = lock(&self.writing);
        *write(&self.readers) = None;
        let mut handle = write(&self.database);
        let Handle::ReadWrite(database) = &mut *handle else {
            return Err(BackendError::ReadOnly { file: self.file.clone() });
        };
        guarded(&self.file, "compacting", || match database.compact() {
            Ok(_) => Ok(()),
            // Someone is reading this very moment; the next compaction will do.
            Err(::redb::CompactionError::TransactionInProgress) => Ok(()),
            Err(error) => Err(self.failed("compacting").with(error)),
        })
    }

    fn verify(&self) -> Result<Vec<String>, BackendError> {
        let _one = lock(&self.writing);
        *write(&self.readers) = None;
        let mut handle = write(&self.database);
        let Handle::ReadWrite(database) = &mut *handle else { return Ok(Vec::new()) };
        guarded(&self.file, "verifying pages", || match database.check_integrity() {
            Ok(true) => Ok(Vec::new()),
            Ok(false) => {
                Ok(vec![format!("{}: the page structure was damaged", self.file.display())])
            }
            Err(error) => Err(self.failed("verifying pages").with(error)),
        })
    }

    fn size(&self) -> Result<u64, BackendError> {
        match std::fs::metadata(&self.file) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(self.failed("measuring").with(::redb::Error::Io(error))),
        }
    }
}

/// Closing writes, hence may meet what is damaged.
impl Drop for RedbBackend {
    fn drop(&mut self) {
        *write(&self.readers) = None;
        let handle = std::mem::replace(&mut *write(&self.database), Handle::Closed);
        drop(guarded(&self.file, "closing the database", || {
            drop(handle);
            Ok(())
        }));
    }
}

impl fmt::Debug for RedbBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedbBackend({})", self.file.display())
    }
}
