//! The tables of a cache: in memory while it is open, in redb between.
//!
//! An index that can't be read is no loss but that of a cache: it is set aside and made anew.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use pulse_schemas::hash::Hash;
use redb::{Database, ReadableTable, TableDefinition};

use super::{CacheError, segment::Place};
use crate::{
    backend::{BackendError, redb::guarded},
    codec::{Malformed, Reader, put_number},
};

const ACTIONS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("actions");
const CONTENT: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("content");
const REDB_CACHE_BYTES: usize = 8 << 20;

#[derive(Clone, Debug)]
pub struct Action {
    pub value: Arc<[u8]>,
    pub cost: u64,
    pub worth: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Content {
    pub place: Place,
    pub cost: u64,
    pub worth: u64,
}

pub struct Index {
    path: PathBuf,
    database: Database,
    pub actions: BTreeMap<Hash, Action>,
    pub content: BTreeMap<Hash, Content>,
    changed_actions: BTreeMap<Hash, ()>,
    changed_content: BTreeMap<Hash, ()>,
}

impl Index {
    pub fn open(path: &Path) -> Result<Index, CacheError> {
        let guarded = |action| guarded(path, action, || Index::load(path));
        match guarded("opening the cache index") {
            Ok(index) => Ok(index),
            Err(BackendError::Database { source, .. })
                if matches!(*source, ::redb::Error::DatabaseAlreadyOpen) =>
            {
                Err(database_error(path, "opening", ::redb::Error::DatabaseAlreadyOpen).into())
            }
            Err(_) => {
                let aside = path.with_extension("damaged");
                std::fs::rename(path, &aside)
                    .map_err(|source| super::segment::failed(path, "setting aside", source))?;
                Ok(guarded("making a new cache index")?)
            }
        }
    }

    fn load(path: &Path) -> Result<Index, BackendError> {
        let failed = |error| database_error(path, "opening the cache index", error);
        let database = Database::builder()
            .set_cache_size(REDB_CACHE_BYTES)
            .create(path)
            .map_err(|error| failed(error.into()))?;
        let (mut actions, mut content) = (BTreeMap::new(), BTreeMap::new());
        load_tables(&database, &mut actions, &mut content).map_err(failed)?;
        Ok(Index {
            path: path.to_owned(),
            database,
            actions,
            content,
            changed_actions: BTreeMap::new(),
            changed_content: BTreeMap::new(),
        })
    }

    pub fn touch_action(&mut self, key: Hash) {
        self.changed_actions.insert(key, ());
    }

    pub fn touch_content(&mut self, hash: Hash) {
        self.changed_content.insert(hash, ());
    }

    pub fn changes(&self) -> usize {
        self.changed_actions.len() + self.changed_content.len()
    }

    /// Writes what changed, durably.
    pub fn save(&mut self) -> Result<(), CacheError> {
        if self.changes() == 0 {
            return Ok(());
        }
        let action = "saving the cache index";
        guarded(&self.path, action, || {
            self.write().map_err(|error| database_error(&self.path, action, error))
        })?;
        self.changed_actions.clear();
        self.changed_content.clear();
        Ok(())
    }

    fn write(&self) -> Result<(), ::redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        {
            let mut table = transaction.open_table(ACTIONS)?;
            for key in self.changed_actions.keys() {
                match self.actions.get(key) {
                    Some(action) => drop(table.insert(&key.0, &action.encode()[..])?),
                    None => drop(table.remove(&key.0)?),
                }
            }
            let mut table = transaction.open_table(CONTENT)?;
            for hash in self.changed_content.keys() {
                match self.content.get(hash) {
                    Some(content) => drop(table.insert(&hash.0, &content.encode()[..])?),
                    None => drop(table.remove(&hash.0)?),
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn database_error(path: &Path, action: &'static str, source: ::redb::Error) -> BackendError {
    match source {
        ::redb::Error::Io(source) => {
            BackendError::Io { file: path.to_owned(), action, source: source.into() }
        }
        source => BackendError::Database { file: path.to_owned(), action, source: source.into() },
    }
}

fn load_tables(
    database: &Database,
    actions: &mut BTreeMap<Hash, Action>,
    content: &mut BTreeMap<Hash, Content>,
) -> Result<(), ::redb::Error> {
    let transaction = database.begin_write()?;
    for entry in transaction.open_table(ACTIONS)?.iter()? {
        let (key, bytes) = entry?;
        if let Ok(action) = Action::decode(bytes.value()) {
            actions.insert(Hash(*key.value()), action);
        }
    }
    for entry in transaction.open_table(CONTENT)?.iter()? {
        let (hash, bytes) = entry?;
        if let Ok(found) = Content::decode(bytes.value()) {
            content.insert(Hash(*hash.value()), found);
        }
    }
    transaction.commit()?;
    Ok(())
}

impl Action {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.value.len() + 28);
        put_number(&mut out, self.cost);
        put_number(&mut out, self.worth);
        out.extend_from_slice(&self.value);
        let check = crate::journal::check_sum(&[&out]);
        out.extend_from_slice(&check);
        out
    }

    /// An action has no hash to be held against, hence a checksum.
    fn decode(bytes: &[u8]) -> Result<Action, Malformed> {
        let (body, check) =
            bytes.split_at_checked(bytes.len().saturating_sub(8)).ok_or(Malformed)?;
        if check != crate::journal::check_sum(&[body]) {
            return Err(Malformed);
        }
        let mut reader = Reader::new(body);
        Ok(Action { cost: reader.number()?, worth: reader.number()?, value: reader.rest().into() })
    }
}

impl Content {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        let place = self.place;
        let fields = [place.segment.into(), place.offset, place.length, self.cost, self.worth];
        fields.into_iter().for_each(|field| put_number(&mut out, field));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Content, Malformed> {
        let mut reader = Reader::new(bytes);
        let segment = u32::try_from(reader.number()?).map_err(|_| Malformed)?;
        let place = Place { segment, offset: reader.number()?, length: reader.number()? };
        Ok(Content { place, cost: reader.number()?, worth: reader.number()? })
    }
}
