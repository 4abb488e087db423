//! Rows of a list, shared between all views and states that show them.
//!
//! A list is a sequence of runs, one for each owner where there is one (the
//! clips of a track): an edit makes one run anew, and what is compared, hashed
//! or copied is one pointer for each of the others. A flat list would cost an
//! edit of one clip a walk over all clips of the song.

use std::sync::{Arc, OnceLock};

use pulse_schemas::{hash::Hash, record::canonical_json};
use serde::Serialize;
use serde_json::Value;

/// One row of a list.
#[derive(Clone)]
pub struct Row(Arc<RowData>);

struct RowData {
    key: String,
    value: Value,
    hash: OnceLock<Hash>,
}

impl Row {
    /// A row of anything that serialises to a map; `id` becomes its key.
    pub fn new(id: impl ToString, of: &impl Serialize) -> Row {
        let key = id.to_string();
        let mut value = serde_json::to_value(of).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            fields.insert("id".to_owned(), Value::String(key.clone()));
        }
        Row(Arc::new(RowData { key, value, hash: OnceLock::new() }))
    }

    pub fn key(&self) -> &str {
        &self.0.key
    }

    pub fn value(&self) -> &Value {
        &self.0.value
    }

    pub fn hash(&self) -> Hash {
        *self.0.hash.get_or_init(|| Hash::of(canonical_json(&self.0.value).as_bytes()))
    }

    pub fn is_same(&self, other: &Row) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.value == other.0.value
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        self.is_same(other)
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.value)
    }
}

/// Rows that follow each other and change together.
pub struct Run {
    rows: Vec<Row>,
    hash: OnceLock<Hash>,
}

impl Run {
    pub fn new(rows: Vec<Row>) -> Run {
        Run { rows, hash: OnceLock::new() }
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn hash(&self) -> Hash {
        *self.hash.get_or_init(|| {
            let mut bytes = Vec::with_capacity(self.rows.len() * 32);
            self.rows.iter().for_each(|row| bytes.extend_from_slice(row.hash().as_bytes()));
            Hash::of(&bytes)
        })
    }
}

/// The rows of a list in order. No run is empty.
#[derive(Clone, Default)]
pub struct Rows(Vec<Arc<Run>>);

impl Rows {
    /// Runs in order; empty ones are left out.
    pub fn of_runs(runs: impl IntoIterator<Item = Arc<Run>>) -> Rows {
        Rows(runs.into_iter().filter(|run| !run.rows.is_empty()).collect())
    }

    pub fn runs(&self) -> &[Arc<Run>] {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.0.iter().flat_map(|run| run.rows.iter())
    }
}

impl From<Vec<Row>> for Rows {
    fn from(rows: Vec<Row>) -> Rows {
        Rows::of_runs([Arc::new(Run::new(rows))])
    }
}

/// Of the rows, however they are cut into runs.
impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        let same = |(a, b): (&Arc<Run>, &Arc<Run>)| Arc::ptr_eq(a, b) || a.rows == b.rows;
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
            || self.iter().eq(other.iter())
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
