//! Commits, branches, tags, differences, merges.

use super::prelude::*;
use crate::envelope::Timestamp;

wire! {
    struct CommitInfo {
        id: Hash,
        /// Root of the tree.
        root: Hash,
        parents: Vec<Hash>,
        author: String,
        time: Timestamp,
        /// First line of the message.
        label: String,
        /// The rest of it.
        notes: String,
        branches: Vec<String>,
        tags: Vec<String>,
    }
}

wire! {
    struct BranchInfo {
        name: String,
        head: Option<Hash>,
        current: bool,
        /// It has edits that were not committed.
        draft: bool,
        /// The commit that its draft stands on, where the branch was moved away from there.
        /// Switching to it asks what is to become of the draft.
        draft_base: Option<Hash>,
        /// Commits that the current branch lacks, and the other way round.
        ahead: Option<u64>,
        behind: Option<u64>,
    }
}

wire! {
    struct TagInfo {
        name: String,
        commit: Hash,
        message: Option<String>,
    }
}

wire! {
    #[derive(Copy, Eq)]
    enum ChangeKind { Added, Removed, Modified }
}

wire! {
    /// One field that differs.
    struct FieldChange {
        /// Path inside the entity: `gainDb`, `params.freq`.
        field: String,
        /// Absent where there was nothing.
        before: Option<serde_json::Value>,
        after: Option<serde_json::Value>,
    }
}

wire! {
    /// One entity that differs.
    struct EntityDiff {
        id: AnyId,
        change: ChangeKind,
        name: Option<String>,
        owner: Option<AnyId>,
        contexts: Vec<HistoryContext>,
        /// Fields that differ; of a new or removed entity, all of them.
        fields: Vec<FieldChange>,
        /// In words: `moved 2 bars later`.
        summary: String,
        /// In words for all that changed alike in one owner, the same text for each of them:
        /// `Bass ▸ clip 3: 12 notes moved by 1/16 later`.
        group: Option<String>,
    }
}

wire! {
    /// How much differs below one track; none is what lies outside of tracks.
    struct TrackCounts {
        track: Option<AnyId>,
        name: String,
        added: u64,
        removed: u64,
        modified: u64,
    }
}

wire! {
    struct DiffCounts {
        added: u64,
        removed: u64,
        modified: u64,
    }
}

wire! {
    /// How one conflict is decided.
    enum Resolution {
        Ours,
        Theirs,
        Base,
        /// This value, for the field in question.
        Value { value: serde_json::Value },
    }
}

wire! {
    /// A stored conflict, with the words of `version.diff`.
    struct ConflictInfo {
        id: ConflictId,
        subject: Option<AnyId>,
        subject_owner: Option<AnyId>,
        /// Path of the field; empty where the whole entity is in question.
        field: String,
        cause: ConflictCause,
        /// JSON of the value both sides began with; none where there was nothing.
        base: Option<String>,
        ours: Option<String>,
        theirs: Option<String>,
        /// What the two sides are called: branch names or clients.
        ours_label: String,
        theirs_label: String,
        /// What the subject is called: `Bass ▸ clip 3`, in a variant `variant B: Bass ▸ clip 3`.
        subject_name: Option<String>,
        /// Subject and field: `Bass ▸ clip 3: gain`.
        title: String,
        /// The sides in words: `−3.0 dB`.
        base_text: String,
        ours_text: String,
        theirs_text: String,
    }
}

wire! {
    /// What becomes of a draft whose branch was moved meanwhile.
    #[derive(Copy, Eq)]
    enum ParkedChoice {
        /// Bring it onto where the branch stands now, like a merge: what both changed in different
        /// ways becomes a stored conflict.
        Adopt,
        /// Go on from where the branch stands. `history.undo` brings the draft back.
        Discard,
    }
}

wire! {
    /// The edits that were parked when a branch was left.
    struct ParkedDraft {
        branch: String,
        /// The commit that the draft stands on.
        base: Hash,
        /// Where the branch stands.
        head: Hash,
        /// The branch was moved away from `base`.
        base_moved: bool,
        /// What the draft did.
        changes: Vec<EntityDiff>,
        counts: DiffCounts,
        /// What adopting it does to where the branch stands, and what stays undecided.
        adopted: Vec<EntityDiff>,
        conflicts: Vec<ConflictInfo>,
    }
}

wire! {
    struct Preview {
        base: Vec<Hash>,
        /// Nothing to do: theirs is part of ours.
        up_to_date: bool,
        /// Ours is part of theirs, so that no merge commit is needed.
        fast_forward: bool,
        changes: Vec<EntityDiff>,
        counts: DiffCounts,
        conflicts: Vec<ConflictInfo>,
    }
}

commands! {
    /// Commits, branches, tags, differences, merges.
    domain Version;

    /// Commits the edits of the working copy on the current branch.
    act Commit emits ["version.moved"] {
        message: String,
        /// Commit although nothing was edited.
        #[serde(default)]
        allow_empty: bool,
        /// Replace the last commit instead of adding one.
        #[serde(default)]
        amend: bool,
    } -> Committed {
        commit: CommitInfo,
    }
    check |payload, checker| checker.required("message", &payload.message);
    example r#"{"message": "Second verse"}"#;

    /// Makes a branch at a revision, and switches to it if asked.
    act Branch emits ["version.moved" "version.switched"] {
        name: String,
        at: Option<Rev>,
        #[serde(default)]
        switch: bool,
        /// Move a branch that exists.
        #[serde(default)]
        force: bool,
    } -> Branched {
        branch: BranchInfo,
    }
    check |payload, checker| check_ref_name("name", &payload.name, checker);
    example r#"{"name": "mix/dark", "switch": true}"#;

    /// Lists branches.
    ask Branches {} -> BranchList {
        branches: Vec<BranchInfo>,
    }
    example r#"{}"#;

    /// Renames a branch.
    act RenameBranch emits ["version.moved"] {
        name: String,
        to: String,
    } -> Done
    check |payload, checker| check_ref_name("to", &payload.to, checker);
    example r#"{"name": "mix/dark", "to": "mix/night"}"#;

    /// Deletes a branch. Its commits stay as long as something reaches them.
    act DeleteBranch emits ["version.moved"] {
        name: String,
        /// Also if commits are reachable through this branch only.
        #[serde(default)]
        force: bool,
    } -> Done
    example r#"{"name": "mix/dark"}"#;

    /// Switches to a branch or an older revision. The draft of the branch that
    /// is left is parked there and is back when one returns. Where the branch was
    /// moved away from under its draft, nothing happens without `draft`:
    /// `project.draftPending` asks, and `version.draft` shows what it is about.
    act Switch emits ["version.switched" "version.conflictsChanged"] {
        to: Rev,
        draft: Option<ParkedChoice>,
    } -> Switched {
        /// None when `to` is no branch: edits there belong to no branch yet.
        branch: Option<String>,
        head: Option<Hash>,
        root: Hash,
        /// Edits of an earlier visit were found and are there again.
        draft_restored: bool,
        /// What the draft and the branch, which was moved, changed in different ways.
        conflicts: Vec<ConflictInfo>,
    }
    check |payload, checker| payload.to.check("to", checker);
    example r#"{"to": "main"}"#;

    /// Tells what the parked draft of a branch did, and what adopting it would do
    /// where the branch was moved meanwhile. Does nothing.
    ask Draft {
        branch: String,
    } -> DraftReply {
        /// None where nothing is parked.
        draft: Option<ParkedDraft>,
    }
    example r#"{"branch": "mix/dark"}"#;

    /// Names a revision for good.
    act Tag emits ["version.moved"] {
        name: String,
        at: Option<Rev>,
        message: Option<String>,
        #[serde(default)]
        force: bool,
    } -> Tagged {
        tag: TagInfo,
    }
    check |payload, checker| check_ref_name("name", &payload.name, checker);
    example r#"{"name": "v1.0", "message": "As sent to the label"}"#;

    /// Lists tags.
    ask Tags {} -> TagList {
        tags: Vec<TagInfo>,
    }
    example r#"{}"#;

    /// Takes a tag away.
    act DeleteTag emits ["version.moved"] {
        name: String,
    } -> Done
    example r#"{"name": "v1.0"}"#;

    /// Lists commits, newest first.
    ask Log {
        from: Option<Rev>,
        /// Only commits that touch this.
        #[serde(default)]
        scope: Scope,
        #[serde(default)]
        page: Page,
    } -> LogReply {
        commits: Vec<CommitInfo>,
        more: bool,
    }
    example r#"{"from": "main", "page": {"limit": 20}}"#;

    /// Shows one commit and what it changed.
    ask Show {
        rev: Rev,
    } -> Shown {
        commit: CommitInfo,
        changes: Vec<EntityDiff>,
        counts: DiffCounts,
    }
    check |payload, checker| payload.rev.check("rev", checker);
    example r#"{"rev": "@~1"}"#;

    /// Compares two revisions, at the cost of what differs.
    ask Diff {
        /// The last commit when absent.
        from: Option<Rev>,
        /// The working copy when absent.
        to: Option<Rev>,
        #[serde(default)]
        scope: Scope,
        #[serde(default)]
        page: Page,
    } -> DiffReply {
        from: Hash,
        to: Hash,
        changes: Vec<EntityDiff>,
        counts: DiffCounts,
        /// The same by track, where there is more than the page holds.
        tracks: Vec<TrackCounts>,
        more: bool,
    }
    example r#"{"from": "main", "to": "@"}"#;

    /// Merges a revision into the working copy. What both sides changed in
    /// different ways becomes a stored conflict; the field keeps ours, and the
    /// project stays playable.
    act Merge emits ["version.moved" "version.conflictsChanged"] {
        from: Rev,
        /// Message of the merge commit.
        message: Option<String>,
        /// Leave the result in the working copy.
        #[serde(default)]
        no_commit: bool,
    } -> Merged {
        up_to_date: bool,
        fast_forward: bool,
        /// None while conflicts remain or with `noCommit`.
        commit: Option<Hash>,
        counts: DiffCounts,
        conflicts: Vec<ConflictInfo>,
    }
    check |payload, checker| payload.from.check("from", checker);
    example r#"{"from": "mix/dark"}"#;

    /// Tells what a merge would do, and does nothing.
    ask MergePreview {
        from: Rev,
        /// The working copy when absent.
        into: Option<Rev>,
    } -> PreviewReply {
        preview: Preview,
    }
    check |payload, checker| payload.from.check("from", checker);
    example r#"{"from": "mix/dark"}"#;

    /// Undoes a merge that is not committed.
    act AbortMerge emits ["version.conflictsChanged"] {} -> Done
    example r#"{}"#;

    /// Lists conflicts that nobody has decided.
    ask Conflicts {
        #[serde(default)]
        scope: Scope,
    } -> ConflictList {
        conflicts: Vec<ConflictInfo>,
    }
    example r#"{}"#;

    /// Decides conflicts. Deciding the last one does not commit.
    edit Resolve [global] emits ["version.conflictsChanged"] {
        /// All of them when empty.
        #[serde(default)]
        conflicts: Vec<ConflictId>,
        take: Resolution,
    } -> Resolved {
        remaining: u64,
    }
    example r#"{"conflicts": ["cnf_1"], "take": "theirs"}"#;

    /// Undoes what a commit did, by an edit of the present. With a scope, only
    /// that part of it.
    edit Revert [global] emits ["version.conflictsChanged"] {
        rev: Rev,
        #[serde(default)]
        scope: Scope,
    } -> Applied {
        changes: Vec<EntityDiff>,
        /// What could not be decided.
        conflicts: Vec<ConflictInfo>,
    }
    check |payload, checker| payload.rev.check("rev", checker);
    example r#"{"rev": "@~1", "scope": {"contexts": ["mixer"]}}"#;

    /// Sets entities back to how they were at a revision.
    edit Restore [global] {
        rev: Rev,
        scope: Scope,
    } -> Restored {
        changes: Vec<EntityDiff>,
    }
    check |payload, checker| payload.rev.check("rev", checker);
    example r#"{"rev": "v1.0", "scope": {"entities": ["trk_1"]}}"#;

    /// Does what a commit of another branch did, here. With a scope, only that
    /// part of it.
    edit Pick [global] emits ["version.conflictsChanged"] {
        rev: Rev,
        #[serde(default)]
        scope: Scope,
    } -> Picked {
        changes: Vec<EntityDiff>,
        conflicts: Vec<ConflictInfo>,
    }
    check |payload, checker| payload.rev.check("rev", checker);
    example r#"{"rev": "mix/dark"}"#;
}
