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
