//! The project as a whole: files, drafts, identity, batches.

use super::{Call, prelude::*};
use crate::envelope::Timestamp;

wire! {
    /// What to do with edits that were never committed.
    #[derive(Copy, Eq)]
    enum DraftChoice {
        /// Go on with them.
        Adopt,
        /// Start from the last commit; the draft is parked, not destroyed.
        Discard,
        /// Open read-only and look.
        Inspect,
    }
}

wire! {
    /// Edits that were found when the project was opened.
    struct DraftInfo {
        branch: String,
        edits: u64,
        last: Option<Timestamp>,
        author: Option<String>,
        /// The commit that the draft stands on.
        base: Option<Hash>,
        /// The branch has moved since.
        base_moved: bool,
        /// Pulse did not close the project: it crashed or lost power.
        unclean: bool,
    }
}

wire! {
    /// What is open.
    struct ProjectInfo {
        project: ProjectId,
        path: String,
        name: String,
        /// What is open; the short form of a commit behind an `@` where no branch is.
        branch: String,
        /// The commit that is open without a branch.
        detached: Option<Hash>,
        head: Option<Hash>,
        revision: u64,
        root: Hash,
        dirty: bool,
        read_only: bool,
        active_arrangement: Option<ArrangementId>,
        /// Number of entities of each kind.
        entities: BTreeMap<String, u64>,
    }
}

wire! {
    #[derive(Copy, Eq)]
    enum Template { Empty, Demo, Stress }
}

wire! {
    /// How much of everything the template `stress` has: each clip with four notes.
    #[derive(Copy, Eq)]
    struct StressSize {
        /// Instrument tracks, 1 to 100,000.
        tracks: u32,
        /// Clips on each of them; 2,000,000 in all at most.
        clips: u32,
    }
}

fn check_stress(payload: &New, checker: &mut Checker) {
    let Some(size) = payload.stress else { return };
    checker.form("stress", payload.template == Some(Template::Stress), "only with `stress`");
    checker.range("stress.tracks", f64::from(size.tracks), 1.0, 100_000.0);
    let clips = f64::from(size.tracks) * f64::from(size.clips);
    checker.range("stress.clips", clips, 0.0, 2_000_000.0);
}

wire! {
    /// One command of a batch failed or was answered.
    struct BatchReply {
        domain: String,
        name: String,
        /// The reply of the command.
        #[schemars(schema_with = "super::any_object")]
        payload: serde_json::Value,
    }
}

commands! {
    /// The project as a whole: files, drafts, identity, batches.
    domain Project;

    /// Makes a project in a new folder and opens it.
    act New emits ["project.opened" "project.closed"] {
        /// Absolute path of the folder; it must be empty or not exist.
        path: String,
        /// Title; the name of the folder when absent.
        name: Option<String>,
        template: Option<Template>,
        /// The size of `stress`; 100 tracks with 50 clips each when absent.
        stress: Option<StressSize>,
        /// Pins the source of ids, so that a replay gives the same ones: 32 hex digits.
        actor: Option<String>,
    } -> Opened {
        info: ProjectInfo,
    }
    check |payload, checker| {
        checker.required("path", &payload.path);
        check_stress(payload, checker);
    };
    example r#"{"path": "/home/ada/Songs/Morning", "name": "Morning"}"#;

    /// Opens a project. With a draft that nobody has decided about and without
    /// `draft`, it opens nothing and answers what the draft is.
    act Open emits ["project.opened" "project.closed"] {
        path: String,
        draft: Option<DraftChoice>,
        #[serde(default)]
        read_only: bool,
    } -> OpenedOrDraft {
        /// Set when the project is open.
        info: Option<ProjectInfo>,
        /// Set when a decision is needed, or when a draft was adopted.
        draft: Option<DraftInfo>,
    }
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"path": "/home/ada/Songs/Morning", "draft": "adopt"}"#;

    /// Closes the project. The draft stays and is there at the next open.
    act Close emits ["project.closed"] {} -> Done
    example r#"{}"#;

    /// Commits what was edited on the current branch. Answers the present commit
    /// if nothing was.
    act Save emits ["version.moved"] {
        message: Option<String>,
    } -> Saved {
        commit: Hash,
        /// A commit was made.
        created: bool,
    }
    example r#"{"message": "Chorus"}"#;

    /// Copies the project to a new folder, with its history, and goes on there.
    act SaveAs emits ["project.opened"] {
        path: String,
        name: Option<String>,
        /// Copy referenced files into the new folder as well.
        #[serde(default)]
        collect_media: bool,
    } -> SavedAs {
        info: ProjectInfo,
    }
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"path": "/home/ada/Songs/Morning 2"}"#;

    /// Makes the draft durable now. Every acknowledged edit is durable already;
    /// this also writes a checkpoint, so that the next open is fast.
    put SaveDraft {} -> DraftSaved {
        revision: u64,
        root: Hash,
    }
    example r#"{}"#;

    /// Sets aside all edits since the last commit. They stay in the history and
    /// `history.jump` brings them back.
    edit DiscardDraft [global] {} -> Done
    example r#"{}"#;

    /// Changes the title.
    set Rename [global] {
        name: String,
    } -> Done
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"name": "Morning Song"}"#;

    /// Moves the project's folder. The project stays open.
    act Move {
        path: String,
    } -> Done
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"path": "/media/disk/Morning"}"#;

    /// Changes settings of the project.
    set Update [global] {
        artist: Option<String>,
        comment: Option<String>,
        /// Preferred rate of playback and render, in Hz.
        sample_rate: Option<u32>,
        active_arrangement: Option<ArrangementId>,
    } -> Done
    check |payload, checker| {
        if let Some(rate) = payload.sample_rate {
            checker.range("sampleRate", f64::from(rate), 8_000.0, 384_000.0);
        }
    };
    example r#"{"artist": "Ada", "sampleRate": 48000}"#;

    /// Tells what is open.
    ask Info {} -> InfoReply {
        /// None while no project is open.
        info: Option<ProjectInfo>,
    }
    example r#"{}"#;

    /// Gives the whole project, or the named entities, as records.
    ///
    /// Large projects are better read through views. Entities come in key
    /// order; `after` continues.
    ask Snapshot {
        rev: Option<Rev>,
        #[serde(default)]
        scope: Scope,
        /// The last entity of the page before.
        after: Option<AnyId>,
        /// Entities per page; 1,000 when absent.
        limit: Option<u32>,
    } -> ProjectSnapshot {
        revision: u64,
        root: Hash,
        entities: Vec<AnyEntity>,
        /// There are more.
        more: bool,
    }
    example r#"{"scope": {"entities": ["trk_1"]}}"#;

    /// Gives single entities by id.
    ask Get {
        ids: Vec<AnyId>,
        rev: Option<Rev>,
    } -> Entities {
        entities: Vec<AnyEntity>,
        /// Ids that name nothing at this revision.
        missing: Vec<AnyId>,
    }
    check |payload, checker| check_list("ids", &payload.ids, checker);
    example r#"{"ids": ["trk_1", "chn_1"]}"#;

    /// Finds entities by kind and name.
    ask Find {
        kind: Option<EntityKind>,
        /// Part of the name, in any case.
        name: Option<String>,
        #[serde(default)]
        page: Page,
    } -> Found {
        entities: Vec<FoundEntity>,
    }
    example r#"{"kind": "track", "name": "bass"}"#;

    /// Does several commands as one transaction: all of them or none, one entry
    /// of history, one event of change.
    ///
    /// A string `"$2.track"` in a payload stands for the field `track` of the
    /// reply of command 2 of the same batch (from 0; `$2.copies[0].copy` goes
    /// deeper), so that a track can be made and filled at once. Only edits may stand
    /// in a batch.
    edit Batch [global] {
        commands: Vec<Call>,
        /// What the history calls it.
        label: Option<String>,
    } -> BatchDone {
        replies: Vec<BatchReply>,
    }
    check |payload, checker| check_list("commands", &payload.commands, checker);
    example r#"{"label": "Add bass", "commands": [
        {"domain": "track", "name": "create", "payload": {"name": "Bass", "kind": "instrument"}},
        {"domain": "lane", "name": "create", "payload": {"track": "$0.track", "kind": "midi"}}]}"#;

    /// Writes a readable JSON form of the project, without loss.
    act Export {
        path: String,
        rev: Option<Rev>,
    } -> Exported {
        bytes: u64,
        entities: u64,
    }
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"path": "/tmp/morning.json"}"#;

    /// Replaces the project's content by what `project.export` wrote.
    edit Import [global] {
        path: String,
    } -> Imported {
        entities: u64,
    }
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"path": "/tmp/morning.json"}"#;
}

wire! {
    struct FoundEntity {
        id: AnyId,
        kind: EntityKind,
        name: Option<String>,
        /// What it lies in: a clip's lane, a note's clip.
        owner: Option<AnyId>,
    }
}
