//! Views that are made from the history and not from one revision. The server
//! reads the store; here is only how they are shown.

use pulse_schemas::command::{
    history::HistoryEntry,
    version::{BranchInfo, DiffCounts, EntityDiff, TagInfo},
};
use pulse_schemas::hash::Hash;
use serde::Serialize;
use serde_json::Value;

use super::{Row, Sheet};

pub fn history(entries: &[HistoryEntry], more: bool) -> Sheet {
    let row = |entry: &HistoryEntry| Row::new(entry.entry, entry);
    Sheet::default().field("more", &more).list("entries", entries.iter().map(row).collect())
}

/// A branch and its latest commits, as the command `version.log` tells them.
pub fn branches(branches: &[BranchInfo], tags: &[TagInfo], commits: &[Value]) -> Sheet {
    let commit = |commit: &Value| {
        let id = commit.get("id").and_then(Value::as_str).unwrap_or_default();
        Row::new(id, commit)
    };
    Sheet::default()
        .field("current", &branches.iter().find(|branch| branch.current).map(|branch| &branch.name))
        .list("branches", branches.iter().map(|branch| Row::new(&branch.name, branch)).collect())
        .list("tags", tags.iter().map(|tag| Row::new(&tag.name, tag)).collect())
        .list("commits", commits.iter().map(commit).collect())
}

#[derive(Serialize)]
struct Sides {
    from: Hash,
    to: Hash,
}

pub fn diff(
    from: Hash,
    to: Hash,
    changes: &[EntityDiff],
    counts: &DiffCounts,
    rows: usize,
) -> Sheet {
    Sheet::default()
        .field("sides", &Sides { from, to })
        .field("counts", counts)
        .field("rows", &rows)
        .list("changes", changes.iter().map(|change| Row::new(change.id, change)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use pulse_schemas::{
        command::version::ChangeKind,
        envelope::Timestamp,
        id::{ActorId, AnyId, EntityId, EntityKind},
    };
    use serde_json::json;

    use super::*;
    use crate::view::delta::{apply, between};

    /// Entries that a window shows.
    const WINDOW: usize = 6;

    /// What the views tell of, as a session changes it.
    #[derive(Default)]
    struct Past {
        entries: Vec<HistoryEntry>,
        branches: BTreeMap<u8, BranchInfo>,
        tags: BTreeMap<u8, TagInfo>,
        commits: Vec<Value>,
        changes: BTreeMap<u8, EntityDiff>,
    }

    fn hash(seed: impl std::fmt::Debug) -> Hash {
        Hash::of(format!("{seed:?}").as_bytes())
    }

    impl Past {
        /// One step of a session: `what` chooses it, `which` of what.
        fn step(&mut self, what: u8, which: u8) {
            match what {
                0..=2 => self.enter(which, None),
                3 => self.undo(which),
                4 => self.commit(which),
                5 => {
                    let name = format!("branch {which}");
                    let head = self.commits.first().map(|_| hash(self.commits.len()));
                    let (current, draft) = (false, which.is_multiple_of(2));
                    let (draft_base, ahead, behind) = (None, Some(0), None);
                    let info = BranchInfo { name, head, current, draft, draft_base, ahead, behind };
                    self.branches.insert(which, info);
                }
                6 => drop(self.branches.remove(&which)),
                7 => {
                    for (number, branch) in &mut self.branches {
                        branch.current = *number == which;
                    }
                }
                8 => {
                    let (name, message) = (format!("v{which}"), None);
                    self.tags.insert(which, TagInfo { name, commit: hash(which), message });
                }
                9 => drop(self.tags.remove(&which)),
                10 => drop(self.changes.remove(&which)),
                _ => self.change(what, which),
            }
        }

        fn enter(&mut self, which: u8, undoes: Option<u64>) {
            let entry = self.entries.len() as u64 + 1;
            self.entries.push(HistoryEntry {
                entry,
                label: format!("Edit {which}"),
                command: "track.update".into(),
                contexts: vec![],
                author: String::new(),
                client_id: which.to_string(),
                time: Timestamp(entry as i64),
                root: hash((entry, which)),
                undoes,
                applied: true,
            });
        }

        fn undo(&mut self, which: u8) {
            let last = self.entries.iter_mut().rev().find(|entry| entry.applied);
            let Some(last) = last else { return };
            last.applied = false;
            let undone = last.entry;
            self.enter(which, Some(undone));
        }

        fn commit(&mut self, which: u8) {
            let id = hash(("commit", self.commits.len())).hex();
            self.commits.insert(0, json!({ "id": id, "message": format!("Commit {which}") }));
            let ahead = self.branches.values_mut().filter(|branch| branch.current);
            ahead.for_each(|branch| branch.ahead = branch.ahead.map(|ahead| ahead + 1));
        }

        fn change(&mut self, what: u8, which: u8) {
            let id = EntityId::derive(ActorId(1), 1, u32::from(which));
            let kinds = [ChangeKind::Added, ChangeKind::Removed, ChangeKind::Modified];
            let change = EntityDiff {
                id: AnyId { kind: EntityKind::Track, id },
                change: kinds[usize::from(what) % 3],
                name: Some(format!("Track {which}")),
                owner: None,
                contexts: vec![],
                fields: vec![],
                summary: format!("changed {what}"),
                group: None,
            };
            self.changes.insert(which, change);
        }

        fn sheets(&self) -> [Sheet; 3] {
            let newest: Vec<HistoryEntry> =
                self.entries.iter().rev().take(WINDOW).cloned().collect();
            let all: Vec<BranchInfo> = self.branches.values().cloned().collect();
            let tags: Vec<TagInfo> = self.tags.values().cloned().collect();
            let changes: Vec<EntityDiff> = self.changes.values().cloned().collect();
            let count = |kind| changes.iter().filter(|it| it.change == kind).count() as u64;
            let counts = DiffCounts {
                added: count(ChangeKind::Added),
                removed: count(ChangeKind::Removed),
                modified: count(ChangeKind::Modified),
            };
            let (from, to) = (hash("from"), hash(&counts));
            [
                history(&newest, self.entries.len() > WINDOW),
                branches(&all, &tags, &self.commits[..self.commits.len().min(WINDOW)]),
                diff(from, to, &changes, &counts, changes.len()),
            ]
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(
            if std::env::var_os("PULSE_SOAK").is_some() { 2_000 } else { 48 }
        ))]

        /// What a client holds that took the first state and every step since.
        #[test]
        fn history_branches_and_diff_follow_a_session_by_steps(
            steps in prop::collection::vec((0u8..16, 0u8..7), 1..60),
        ) {
            let mut past = Past::default();
            let mut before = past.sheets();
            let mut held = before.clone().map(|sheet| sheet.data());
            for (what, which) in steps {
                past.step(what, which);
                let after = past.sheets();
                for ((held, old), new) in held.iter_mut().zip(&before).zip(&after) {
                    let changes = between(old, new);
                    prop_assert_eq!(changes.is_empty(), old.hash() == new.hash());
                    apply(held, &changes).unwrap();
                    prop_assert_eq!(&*held, &new.data());
                }
                before = after;
            }
        }
    }
}
