//! What changed between two states of one view, row by row.
//!
//! What is the same at both ends is passed over, by runs and then by rows. In
//! between, rows that stay in order are left alone, found as the longest rising
//! sequence of them; everything else is put behind its neighbour. A row is always sent whole:
//! rows are small, and a client that applies half of one shows something that
//! never was.

use std::{collections::BTreeMap, sync::Arc};

use pulse_schemas::event::ViewChange;
use serde_json::Value;

use super::{Row, Rows, Run, Sheet};

/// The steps from one state to another.
pub fn between(old: &Sheet, new: &Sheet) -> Vec<ViewChange> {
    let mut changes = Vec::new();
    for (name, value) in &new.fields {
        if old.fields.get(name) != Some(value) {
            changes.push(ViewChange::Set { field: (*name).to_owned(), value: value.clone() });
        }
    }
    for name in old.fields.keys().filter(|name| !new.fields.contains_key(*name)) {
        changes.push(ViewChange::Set { field: (*name).to_owned(), value: Value::Null });
    }
    let nothing = Rows::default();
    for (name, rows) in &new.lists {
        list(name, old.lists.get(name).unwrap_or(&nothing), rows, &mut changes);
    }
    for (name, rows) in old.lists.iter().filter(|(name, _)| !new.lists.contains_key(*name)) {
        list(name, rows, &nothing, &mut changes);
    }
    changes
}

fn list(name: &str, old: &Rows, new: &Rows, changes: &mut Vec<ViewChange>) {
    let (old, new) = (old.runs(), new.runs());
    let same = |a: &Arc<Run>, b: &Arc<Run>| Arc::ptr_eq(a, b);
    let (first, last) = around(old, new, same);
    let before = first.checked_sub(1).and_then(|run| new[run].rows().last());
    let rows = |runs: &[Arc<Run>]| -> Vec<Row> {
        runs.iter().flat_map(|run| run.rows()).cloned().collect()
    };
    let (old, new) = (rows(&old[first..old.len() - last]), rows(&new[first..new.len() - last]));
    let (first, last) = around(&old, &new, |a, b| a == b);
    let before = first.checked_sub(1).map_or(before, |row| new.get(row));
    middle(name, &old[first..old.len() - last], &new[first..new.len() - last], before, changes);
}

/// How many are the same at the beginning and, beyond these, at the end.
fn around<T>(old: &[T], new: &[T], same: impl Fn(&T, &T) -> bool) -> (usize, usize) {
    let pairs = old.iter().zip(new);
    let first = pairs.take_while(|(a, b)| same(a, b)).count();
    let pairs = old[first..].iter().rev().zip(new[first..].iter().rev());
    (first, pairs.take_while(|(a, b)| same(a, b)).count())
}

/// The steps between what differs; `before` stands in front of it.
fn middle(
    name: &str,
    old: &[Row],
    new: &[Row],
    before: Option<&Row>,
    changes: &mut Vec<ViewChange>,
) {
    let places: BTreeMap<&str, usize> =
        new.iter().enumerate().map(|(at, row)| (row.key(), at)).collect();
    let mut kept = Vec::new();
    for row in old {
        match places.get(row.key()) {
            Some(place) => kept.push((*place, row)),
            None => {
                let (list, key) = (name.to_owned(), row.key().to_owned());
                changes.push(ViewChange::Remove { list, key });
            }
        }
    }
    let order: Vec<usize> = kept.iter().map(|(place, _)| *place).collect();
    let mut stays = vec![None; new.len()];
    for at in rising(&order) {
        let (place, row) = kept[at];
        stays[place] = Some(row);
    }
    for (at, row) in new.iter().enumerate() {
        if stays[at] != Some(row) {
            let after = at.checked_sub(1).map_or(before, |before| new.get(before));
            changes.push(ViewChange::Put {
                list: name.to_owned(),
                key: row.key().to_owned(),
                after: after.map(|row| row.key().to_owned()),
                value: row.value().clone(),
            });
        }
    }
}

/// Indices of a longest rising subsequence.
fn rising(values: &[usize]) -> Vec<usize> {
    // `ends[n]` is where the best run of n + 1 values ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; values.len()];
    for (at, value) in values.iter().enumerate() {
        let length = ends.partition_point(|end| values[*end] < *value);
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut run: Vec<usize> =
        std::iter::successors(ends.last().copied(), |at| before[*at]).collect();
    run.reverse();
    run
}

/// A step that does not fit the state it was applied to.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the view has no list `{list}`; ask for it again with `view.resync`")]
    NoList { list: String },
    #[error("`{list}` has no row {key}; ask for the view again with `view.resync`")]
    NoRow { list: String, key: String },
}

/// Applies steps to the JSON of a view, as a client does.
pub fn apply(data: &mut Value, changes: &[ViewChange]) -> Result<(), ApplyError> {
    changes.iter().try_for_each(|change| step(data, change))
}

fn step(data: &mut Value, change: &ViewChange) -> Result<(), ApplyError> {
    match change {
        ViewChange::Set { field, value } => {
            if let Value::Object(fields) = data {
                fields.insert(field.clone(), value.clone());
            }
            Ok(())
        }
        ViewChange::Remove { list, key } => {
            let rows = rows(data, list)?;
            let at = find(rows, list, key)?;
            rows.remove(at);
            Ok(())
        }
        ViewChange::Put { list, key, after, value } => {
            let rows = rows(data, list)?;
            if let Ok(at) = find(rows, list, key) {
                rows.remove(at);
            }
            let at = match after {
                None => 0,
                Some(after) => find(rows, list, after)? + 1,
            };
            rows.insert(at, value.clone());
            Ok(())
        }
    }
}

fn rows<'a>(data: &'a mut Value, list: &str) -> Result<&'a mut Vec<Value>, ApplyError> {
    match data.get_mut(list) {
        Some(Value::Array(rows)) => Ok(rows),
        _ => Err(ApplyError::NoList { list: list.to_owned() }),
    }
}

fn find(rows: &[Value], list: &str, key: &str) -> Result<usize, ApplyError> {
    let is_it = |row: &Value| row.get("id").and_then(Value::as_str) == Some(key);
    let missing = || ApplyError::NoRow { list: list.to_owned(), key: key.to_owned() };
    rows.iter().position(is_it).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sheet(rows: &[(u8, u8)], field: u8) -> Sheet {
        let row = |(key, value): &(u8, u8)| Row::new(key, &json!({ "value": value }));
        Sheet::default().field("field", &field).list("rows", rows.iter().map(row).collect())
    }

    /// The same rows cut into runs, as `cuts` has it.
    fn in_runs(sheet: &Sheet, cuts: usize) -> Sheet {
        let rows: Vec<Row> = sheet.lists["rows"].iter().cloned().collect();
        let runs = rows.chunks(cuts.max(1)).map(|rows| Arc::new(Run::new(rows.to_vec())));
        Sheet { lists: BTreeMap::from([("rows", Rows::of_runs(runs))]), ..sheet.clone() }
    }

    fn check(old: &Sheet, new: &Sheet) -> Vec<ViewChange> {
        let changes = between(old, new);
        let mut data = old.data();
        apply(&mut data, &changes).unwrap();
        assert_eq!(data, new.data());
        changes
    }

    #[test]
    fn a_moved_row_is_one_step() {
        let changes = check(
            &sheet(&[(1, 0), (2, 0), (3, 0), (4, 0)], 0),
            &sheet(&[(4, 0), (1, 0), (2, 0), (3, 0)], 0),
        );
        assert_eq!(changes.len(), 1, "{changes:?}");
    }

    #[test]
    fn equal_states_need_no_step() {
        assert_eq!(check(&sheet(&[(1, 0)], 5), &sheet(&[(1, 0)], 5)), vec![]);
    }

    #[test]
    fn equal_content_has_an_equal_hash_and_other_order_another() {
        let one = sheet(&[(1, 0), (2, 0)], 0);
        assert_eq!(one.hash(), sheet(&[(1, 0), (2, 0)], 0).hash());
        assert_ne!(one.hash(), sheet(&[(2, 0), (1, 0)], 0).hash());
        assert_ne!(one.hash(), sheet(&[(1, 0), (2, 0)], 1).hash());
    }

    fn rows() -> impl Strategy<Value = Vec<(u8, u8)>> {
        prop::collection::btree_map(0u8..24, 0u8..3, 0..16)
            .prop_flat_map(|rows| Just(rows.into_iter().collect::<Vec<_>>()).prop_shuffle())
    }

    proptest! {
        #[test]
        fn a_delta_applied_to_the_old_state_is_the_new_one(
            old in rows(), new in rows(), a in 0u8..2, b in 0u8..2,
        ) {
            let (old, new) = (sheet(&old, a), sheet(&new, b));
            check(&old, &new);
            prop_assert_eq!(between(&old, &new).is_empty(), old.hash() == new.hash());
        }

        #[test]
        fn a_delta_does_not_depend_on_how_lists_are_cut_into_runs(
            old in rows(), new in rows(), a in 1usize..8, b in 1usize..8,
        ) {
            let (old, new) = (sheet(&old, 0), sheet(&new, 0));
            let expect = between(&old, &new);
            let found = check(&in_runs(&old, a), &in_runs(&new, b));
            prop_assert_eq!(found, expect);
            prop_assert_eq!(in_runs(&old, a), old);
        }
    }
}
