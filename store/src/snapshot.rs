//! A project as text: one entity per line in a stable order, so that `git diff` of two exports
//! reads like a difference of the project, and nothing is lost on the way there and back.
//!
//! The first line says what the file is. A record that JSON cannot give back byte by byte (one
//! of a newer version, for instance) stands as its bytes in base64.

use std::io::{self, BufRead, Write};

use pulse_schemas::{
    hash::Hash,
    id::{EntityKind, VariantId},
    record::{self, EntityKey, RecordView, canonical_json},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    base64, overlay,
    project::Project,
    tree::{Edit, TreeError},
    tx::{Committed, TxError, TxMeta},
    view::View,
};

/// Names the variants that a record lies inside of.
const WITHIN: &str = "within";
/// So many lines are in memory at once,
const BATCH: usize = 16_384;
/// and at least so many are worth a thread.
const SHARE: usize = 512;
/// What the first line says.
pub const FORMAT: &str = "pulse project";
pub const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    format: String,
    version: u32,
    root: Hash,
    records: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("writing the export failed: {0}; check the disk and try again")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("reading the export failed: {0}; check the file and try again")]
    Io(#[from] io::Error),
    #[error("the file does not begin like an export of Pulse; choose another file")]
    Foreign,
    #[error("the export has version {found}, this Pulse reads up to {VERSION}; update Pulse")]
    Future { found: u32 },
    #[error("line {line}: {what}; put the line right or export again")]
    Line { line: usize, what: String },
    #[error("the file ends after {found} of {expected} records; export again")]
    Short { found: u64, expected: u64 },
    #[error(transparent)]
    Tx(#[from] TxError),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Imported {
    pub committed: Committed,
    pub records: u64,
    /// The content is what was exported, byte by byte; false for a file that was edited.
    pub is_identical: bool,
}

/// Writes a state; the number of records.
pub fn export(view: &View, out: &mut impl Write) -> Result<u64, ExportError> {
    let records = view.len();
    let header = Header { format: FORMAT.into(), version: VERSION, root: view.root(), records };
    writeln!(out, "{}", serde_json::to_string(&header).unwrap_or_default())?;
    let mut entries = view.state().iter();
    loop {
        let batch: Vec<_> = entries.by_ref().take(BATCH).collect::<Result<_, _>>()?;
        for line in on_all_cores(&batch, |(key, value)| line_of(key, value)) {
            writeln!(out, "{line}")?;
        }
        if batch.len() < BATCH {
            break;
        }
    }
    out.flush()?;
    Ok(records)
}

/// Does `work` for every item, on several threads where that pays off; the results are in the
/// order of the items, whoever made them.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = items.len().div_ceil(threads).max(SHARE);
    if share >= items.len() {
        return items.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let start = |share| scope.spawn(move || Vec::from_iter(<[T]>::iter(share).map(work)));
        let workers: Vec<_> = items.chunks(share).map(start).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

pub(crate) fn line_of(key: &[u8], value: &[u8]) -> String {
    readable_line(key, value).unwrap_or_else(|| {
        let line = json!({ "key": base64::encode(key), "record": base64::encode(value) });
        canonical_json(&line)
    })
}

/// `{"track":{…}}`, if that gives the same bytes again.
fn readable_line(key: &[u8], value: &[u8]) -> Option<String> {
    let kind = overlay::entity_key(key).ok()?.kind;
    let fields = RecordView::parse(value).ok()?.fields().ok()?;
    let mut line = Map::new();
    line.insert(tag(kind)?, Value::Object(fields));
    let within: Vec<Value> = overlay::path(key).iter().map(|id| id.to_string().into()).collect();
    if !within.is_empty() {
        line.insert(WITHIN.to_owned(), within.into());
    }
    let text = canonical_json(&Value::Object(line));
    let (found_key, found_value) = read_line(&text).ok()?;
    (found_key == key && found_value == value).then_some(text)
}

fn tag(kind: EntityKind) -> Option<String> {
    serde_json::to_value(kind).ok()?.as_str().map(str::to_owned)
}

/// The key and the bytes of a record, or what is wrong with the line.
fn read_line(text: &str) -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut line: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))?;
    if let (Some(key), Some(record)) = (line.get("key"), line.get("record")) {
        let bytes = |value: &Value| value.as_str().and_then(base64::decode);
        return bytes(key).zip(bytes(record)).ok_or_else(|| "no base64".to_owned());
    }
    let within = line.remove(WITHIN).unwrap_or_else(|| json!([]));
    let within: Vec<VariantId> =
        serde_json::from_value(within).map_err(|error| format!("no ids of variants: {error}"))?;
    let (tag, fields) = line.into_iter().next().ok_or("an empty object")?;
    let kind: EntityKind = serde_json::from_value(Value::String(tag.clone()))
        .map_err(|_| format!("no kind of entity is called {tag:?}"))?;
    let Value::Object(fields) = fields else { return Err(format!("{tag} is no object")) };
    let bytes =
        record::encode_fields(kind, fields).map_err(|error| format!("no {tag}: {error}"))?;
    let entity = RecordView::parse(&bytes).and_then(|record| record.entity());
    let entity = entity.map_err(|error| error.to_string())?;
    Ok((overlay::key(&within, &EntityKey::of(&entity).to_bytes()), bytes))
}

/// Reads an export: its records by key and the root that it had.
pub(crate) fn read(input: &mut impl BufRead) -> Result<(Vec<Edit>, Hash), ImportError> {
    let mut lines = input.lines();
    let first = lines.next().ok_or(ImportError::Foreign)??;
    let header: Value = serde_json::from_str(&first).map_err(|_| ImportError::Foreign)?;
    if header["format"] != FORMAT {
        return Err(ImportError::Foreign);
    }
    let found = header["version"].as_u64().and_then(|version| u32::try_from(version).ok());
    match found {
        Some(VERSION) => {}
        Some(found) if found > VERSION => return Err(ImportError::Future { found }),
        _ => return Err(ImportError::Foreign),
    }
    let header: Header = serde_json::from_value(header).map_err(|_| ImportError::Foreign)?;
    let mut records = std::collections::BTreeMap::new();
    let mut lines = lines.enumerate().map(|(at, line)| line.map(|text| (at + 2, text)));
    loop {
        let batch: Vec<_> = lines.by_ref().take(BATCH).collect::<Result<_, _>>()?;
        let written = batch.iter().filter(|(_, text)| !text.trim().is_empty());
        let written: Vec<_> = written.collect();
        let read = on_all_cores(&written, |(_, text)| read_line(text));
        for ((line, _), record) in written.into_iter().zip(read) {
            let failed = |what| ImportError::Line { line: *line, what };
            let (key, value) = record.map_err(failed)?;
            if records.insert(key, value).is_some() {
                return Err(failed("the entity stands here twice".into()));
            }
        }
        if batch.len() < BATCH {
            break;
        }
    }
    let found = records.len() as u64;
    if found < header.records {
        return Err(ImportError::Short { found, expected: header.records });
    }
    let edits = records.into_iter().map(|(key, value)| Edit { key, value: Some(value) });
    Ok((edits.collect(), header.root))
}

impl Project {
    /// Writes a state as text; the number of records.
    pub fn snapshot_export(&self, view: &View, out: &mut impl Write) -> Result<u64, ExportError> {
        export(view, out)
    }

    /// Replaces the content by an export, as one edit that can be undone. A file that was edited
    /// by hand is checked like any other edit.
    pub fn snapshot_import(
        &mut self,
        input: &mut impl BufRead,
        meta: TxMeta,
    ) -> Result<Imported, ImportError> {
        let (edits, root) = read(input)?;
        let target = self.repo.tree().empty().edit(&edits)?;
        let mut tx = self.begin(meta);
        tx.stage_state(&target)?;
        let committed = tx.commit()?;
        let is_identical = committed.after == root;
        Ok(Imported { committed, records: edits.len() as u64, is_identical })
    }
}
