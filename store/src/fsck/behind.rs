//! Rows of the journal behind one that can't be mended.
//!
//! They are whole, but say what changed in terms of a state that nobody knows any more. Three
//! things lead across the hole: the damaged row itself, where the damage hit what only it says (a
//! label); a jump, whose version is stored as a tree; and a row whose root follows also without
//! what is lost, because that was taken back or written over. The roots prove each of them. Where
//! none does, the rows are no part of the project any more, and are written down for people.

use std::{collections::BTreeMap, sync::Arc};

use pulse_schemas::hash::Hash;
use serde_json::{Map, Value, json};

use super::rows;
use crate::{
    base64,
    history::{Action, RowInfo},
    journal::{
        FRAME,
        row::{Change, Delta, DeltaValue, Row},
    },
    repo::{Head, KeyChange},
    snapshot::line_of,
    tree::{Edit, Snapshot, TreeError, TreeStore},
};

/// The way across a hole.
pub(super) struct Bridge {
    /// What takes the place of the lost rows and of those behind them that were needed.
    pub rows: Vec<Row>,
    /// How many of the rows behind the hole are used up.
    pub used: usize,
    /// The entries of which no more is known than what they did together; none if the damaged row
    /// says itself what it did.
    pub made: Option<(u64, u64)>,
}

/// Content and metadata behind a row.
#[derive(Clone)]
struct State {
    content: Snapshot,
    meta: Snapshot,
    /// The last root that a row named for the metadata is another one.
    meta_differs: bool,
}

impl State {
    fn at(tree: &Arc<TreeStore>, head: &Head) -> Option<State> {
        let (content, meta) = (tree.snapshot(head.root).ok()?, tree.snapshot(head.meta).ok()?);
        Some(State { content, meta, meta_differs: false })
    }

    /// Does what a row says as far as it can be done; whether its roots prove the result.
    fn step(&mut self, tree: &Arc<TreeStore>, row: &Row) -> Option<bool> {
        match &row.change {
            Change::Patch(deltas) => self.content = patched(&self.content, deltas).ok()?,
            Change::Jump => {
                if let Ok(version) = tree.snapshot(row.after) {
                    self.content = version;
                }
            }
            Change::Mark => return None,
        }
        if let Some((deltas, root)) = &row.meta {
            self.meta = patched(&self.meta, deltas).ok()?;
            self.meta_differs = self.meta.root() != *root;
        }
        Some(!self.meta_differs && self.content.root() == row.after)
    }
}

/// A delta that does not fit what is there is left out: the root tells whether that matters.
fn patched(version: &Snapshot, deltas: &[Delta]) -> Result<Snapshot, TreeError> {
    let mut edits = Vec::with_capacity(deltas.len());
    for delta in deltas {
        let before = version.get(&delta.key)?;
        if let Ok(value) = delta.resolve(before.as_deref()) {
            edits.push(Edit { key: delta.key.clone(), value });
        }
    }
    version.edit(&edits)
}

/// Looks for a way from the rows before a hole to those behind it, which are in order.
pub(super) fn bridge(
    tree: &Arc<TreeStore>,
    head: &Head,
    before: &[Row],
    damaged: &[u8],
    behind: &[Row],
) -> Option<Bridge> {
    let mut start = State::at(tree, head)?;
    for row in before.iter().filter(|row| row.seq > head.seq) {
        start.step(tree, row)?.then_some(())?;
    }
    let lost = before.iter().map(|row| row.seq).max().unwrap_or_default().max(head.seq) + 1;
    let said = lenient(damaged, lost);
    said.and_then(|row| by_itself(tree, start.clone(), row, behind))
        .or_else(|| by_what_follows(tree, &start, lost, behind))
}

/// A row as it stands in bytes of which the checksum is wrong.
fn lenient(damaged: &[u8], seq: u64) -> Option<Row> {
    let row = Row::decode(damaged.get(FRAME..)?).ok()?;
    (row.seq == seq && row.change != Change::Mark).then_some(Row { durable: 0, ..row })
}

/// The row is right if its own root says so, or that of the row behind it.
fn by_itself(tree: &Arc<TreeStore>, mut state: State, row: Row, behind: &[Row]) -> Option<Bridge> {
    let proved = state.step(tree, &row)?;
    let row = Row { after: state.content.root(), info: told_damaged(&row), ..row };
    let follows =
        |next: &Row| next.seq == row.seq + 1 && state.clone().step(tree, next) == Some(true);
    let is_right = proved || (!state.meta_differs && behind.first().is_some_and(follows));
    is_right.then(|| Bridge { rows: vec![row], used: 0, made: None })
}

fn told_damaged(row: &Row) -> Vec<u8> {
    let mut info = RowInfo::decode(&row.info).unwrap_or_else(|_| unknown(row.seq, row.seq, None));
    info.label += " (damaged, kept by fsck)";
    info.encode()
}

fn by_what_follows(
    tree: &Arc<TreeStore>,
    start: &State,
    lost: u64,
    behind: &[Row],
) -> Option<Bridge> {
    let mut state = start.clone();
    let mut last = behind.first()?.seq.checked_sub(1).filter(|last| *last >= lost)?;
    for (at, row) in behind.iter().enumerate() {
        if row.seq != last + 1 {
            return None;
        }
        last = row.seq;
        if state.step(tree, row)? {
            let used = &behind[..=at];
            let rows = match row.change {
                Change::Jump => up_to_jump(start, lost, used),
                _ => as_one(start, &state, lost, used)?,
            };
            return Some(Bridge { rows, used: used.len(), made: Some((lost, last)) });
        }
    }
    None
}

/// What a jump leads away from is not known; where it leads is.
fn up_to_jump(start: &State, lost: u64, used: &[Row]) -> Vec<Row> {
    let Some((jump, others)) = used.split_last() else { return Vec::new() };
    let root = start.content.root();
    let mut rows: Vec<Row> = (lost..jump.seq).map(|seq| empty(seq, root, others)).collect();
    rows.push(jump.clone());
    rows
}

/// The first row carries what all did together.
fn as_one(start: &State, end: &State, lost: u64, used: &[Row]) -> Option<Vec<Row>> {
    let root = end.content.root();
    let changes = rows::changes(&start.content, &end.content).ok()?;
    let meta = rows::changes(&start.meta, &end.meta).ok()?;
    let until = used.last()?.seq;
    let info = RowInfo { contexts: rows::contexts(&changes), ..unknown(lost, until, used.first()) };
    let first = Row {
        seq: lost,
        durable: 0,
        keep: false,
        after: root,
        change: Change::Patch(deltas(&changes)),
        meta: (!meta.is_empty()).then(|| (deltas(&meta), end.meta.root())),
        info: info.encode(),
    };
    let others = (lost + 1..=until).map(|seq| empty(seq, root, used));
    Some([first].into_iter().chain(others).collect())
}

fn deltas(changes: &[KeyChange]) -> Vec<Delta> {
    let delta = |change: &KeyChange| {
        let edit = Edit { key: change.key.clone(), value: change.after.clone() };
        Delta::between(&edit, change.before.as_deref())
    };
    changes.iter().map(delta).collect()
}

/// A row that does nothing, with what is known of it.
fn empty(seq: u64, after: Hash, known: &[Row]) -> Row {
    let info = known.iter().find(|row| row.seq == seq).map(|row| row.info.clone());
    Row {
        seq,
        durable: 0,
        keep: false,
        after,
        change: Change::Patch(Vec::new()),
        meta: None,
        info: info.unwrap_or_else(|| unknown(seq, seq, known.first()).encode()),
    }
}

/// Who did it, when and how it was called is lost; the branch is that of the row behind.
fn unknown(from: u64, until: u64, next: Option<&Row>) -> RowInfo {
    let next = next.and_then(|row| RowInfo::decode(&row.info).ok());
    let which =
        if from == until { format!("Entry {from}") } else { format!("Entries {from} to {until}") };
    RowInfo {
        action: Action::Edit,
        contexts: Vec::new(),
        time: next.as_ref().map_or(0, |next| next.time),
        branch: next.map_or_else(|| "main".to_owned(), |next| next.branch),
        client: String::new(),
        author: String::new(),
        label: format!("{which} (made again by fsck)"),
        coalesce: String::new(),
        command: Vec::new(),
    }
}

/// Rows that are no part of the project any more, a line of JSON for each: who did what when, the
/// command that did it, and what it wrote.
pub(super) fn written_down(rows: &[Row]) -> String {
    let first = json!({
        "format": "pulse lost edits",
        "version": 1,
        "rows": rows.len(),
        "note": "These edits lie behind a damaged one and could not be applied. `command` is what \
                 `pulse do DOMAIN.NAME 'PAYLOAD'` takes; `writes` are whole records, or what \
                 differs from a state that is lost.",
    });
    let mut text = format!("{first}\n");
    let mut known = BTreeMap::new();
    for row in rows {
        text += &format!("{}\n", line(row, &mut known));
    }
    text
}

fn line(row: &Row, known: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Value {
    let mut line = Map::new();
    line.insert("entry".into(), row.seq.into());
    if let Ok(info) = RowInfo::decode(&row.info) {
        let command: Value = serde_json::from_slice(&info.command).unwrap_or(Value::Null);
        let texts = [("label", info.label), ("author", info.author), ("client", info.client)];
        line.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
        line.insert("branch".into(), info.branch.into());
        line.insert("timeMs".into(), info.time.into());
        line.insert("command".into(), command);
    }
    let deltas = match &row.change {
        Change::Patch(deltas) => &deltas[..],
        Change::Jump | Change::Mark => &[],
    };
    let writes: Vec<Value> = deltas.iter().map(|delta| write(delta, known)).collect();
    line.insert("writes".into(), writes.into());
    line.insert("jump".into(), (row.change == Change::Jump).into());
    line.insert("versions".into(), row.meta.is_some().into());
    line.insert("root".into(), row.after.to_string().into());
    Value::Object(line)
}

/// A record is told whole once a row behind the damage has written all of it.
fn write(delta: &Delta, known: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Value {
    let key = match crate::overlay::entity_key(&delta.key) {
        Ok(key) => key.any_id().to_string(),
        Err(_) => base64::encode(&delta.key),
    };
    let before = known.get(&delta.key).cloned();
    match (&delta.value, delta.resolve(before.as_deref())) {
        (DeltaValue::Remove, _) => {
            known.remove(&delta.key);
            json!({ "id": key, "removed": true })
        }
        (_, Ok(Some(value))) => {
            let record = line_of(&delta.key, &value);
            known.insert(delta.key.clone(), value);
            let record: Value = serde_json::from_str(&record).unwrap_or(Value::Null);
            json!({ "id": key, "record": record })
        }
        (DeltaValue::Splice { head, tail, middle }, _) => {
            json!({ "id": key, "keepsFirst": head, "keepsLast": tail, "between": base64::encode(middle) })
        }
        (DeltaValue::Put(value), _) => json!({ "id": key, "bytes": base64::encode(value) }),
    }
}
