//! Undo and redo, per branch and per client, and the entries they walk.

use super::prelude::*;
use crate::envelope::Timestamp;

wire! {
    /// One transaction, as the history panel shows it.
    struct HistoryEntry {
        entry: u64,
        /// In words: `Move 3 clips`.
        label: String,
        /// `domain.name` of the command.
        command: String,
        contexts: Vec<HistoryContext>,
        author: String,
        client_id: String,
        time: Timestamp,
        root: Hash,
        /// What it undoes or redoes.
        undoes: Option<u64>,
        /// It is in effect: not undone.
        applied: bool,
    }
}

wire! {
    /// What undo or redo would do next.
    struct NextStep {
        entry: u64,
        label: String,
        contexts: Vec<HistoryContext>,
    }
}

commands! {
    /// Undo and redo, per branch and per client, and the entries they walk.
    domain History;

    /// Undoes the caller's own latest edits. An undo is an edit that is appended:
    /// nothing is ever cut out of the history, and it survives a restart.
    ///
    /// With `context`, the latest edit of that history is undone, whatever came
    /// later in others. A field that somebody changed since becomes a conflict
    /// and is never overwritten.
    act Undo emits ["history.changed" "version.conflictsChanged"] {
        context: Option<HistoryContext>,
        /// 1 when absent.
        count: Option<u32>,
    } -> Undone {
        undone: Vec<NextStep>,
        conflicts: Vec<super::version::ConflictInfo>,
        revision: u64,
        root: Hash,
    }
    check |payload, checker| {
        checker.range("count", f64::from(payload.count.unwrap_or(1)), 1.0, 10_000.0);
    };
    example r#"{"context": "mixer"}"#;

    /// Does again what the caller undid last.
    act Redo emits ["history.changed" "version.conflictsChanged"] {
        context: Option<HistoryContext>,
        count: Option<u32>,
    } -> Redone {
        redone: Vec<NextStep>,
        conflicts: Vec<super::version::ConflictInfo>,
        revision: u64,
        root: Hash,
    }
    check |payload, checker| {
        checker.range("count", f64::from(payload.count.unwrap_or(1)), 1.0, 10_000.0);
    };
    example r#"{}"#;

    /// Goes to how things were after an entry, as one edit that can be undone.
    act Jump emits ["history.changed"] {
        entry: u64,
    } -> Jumped {
        revision: u64,
        root: Hash,
    }
    example r#"{"entry": 41}"#;

    /// Tells what undo and redo would do, per context.
    ask State {} -> HistoryState {
        undo: Option<NextStep>,
        redo: Option<NextStep>,
        undo_in: BTreeMap<String, NextStep>,
        redo_in: BTreeMap<String, NextStep>,
        revision: u64,
    }
    example r#"{}"#;

    /// Lists entries, newest first.
    ask List {
        context: Option<HistoryContext>,
        /// Only those of this client.
        client_id: Option<String>,
        /// Only those that touch this entity.
        entity: Option<AnyId>,
        #[serde(default)]
        page: Page,
    } -> Entries {
        entries: Vec<HistoryEntry>,
        more: bool,
    }
    example r#"{"context": "timeline", "page": {"limit": 50}}"#;

    /// Shows what one entry changed.
    ask Show {
        entry: u64,
    } -> EntryShown {
        entry: HistoryEntry,
        changes: Vec<super::version::EntityDiff>,
    }
    example r#"{"entry": 41}"#;
}
