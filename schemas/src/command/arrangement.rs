//! Arrangements: timelines of tracks, each with its own tempo map.

use super::prelude::*;

wire! {
    /// A name for how one arrangement was at a commit.
    struct ArrangementVersionInfo {
        arrangement: ArrangementId,
        name: String,
        commit: Hash,
    }
}

commands! {
    /// Arrangements: timelines of tracks, each with its own tempo map.
    domain Arrangement;

    /// Creates an empty arrangement with a master channel.
    edit Create [timeline] {
        name: Option<String>,
    } -> Created {
        arrangement: ArrangementId,
        master: ChannelId,
    }
    example r#"{"name": "Radio edit"}"#;

    /// Deletes an arrangement with everything in it. The last one stays.
    edit Delete [timeline] {
        arrangement: ArrangementId,
    } -> Deleted
    example r#"{"arrangement": "arr_1"}"#;

    /// Copies an arrangement with its tracks, channels, clips and tempo map.
    edit Duplicate [timeline] {
        arrangement: ArrangementId,
        name: Option<String>,
    } -> Duplicated {
        arrangement: ArrangementId,
        copies: Vec<CopyOf>,
    }
    example r#"{"arrangement": "arr_1", "name": "Extended"}"#;

    /// Renames an arrangement.
    set Rename [timeline] {
        arrangement: ArrangementId,
        name: String,
    } -> Done
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"arrangement": "arr_1", "name": "Album version"}"#;

    /// Changes notes and end of an arrangement.
    set Update [timeline] {
        arrangement: ArrangementId,
        notes: Option<String>,
        /// Where it ends when nothing plays longer; null lets the content decide.
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        end: Patch<Ticks>,
    } -> Done
    example r#"{"arrangement": "arr_1", "end": null}"#;

    /// Moves an arrangement in the list.
    edit Move [timeline] {
        arrangement: ArrangementId,
        /// It comes before this one; last when absent.
        before: Option<ArrangementId>,
    } -> Done
    example r#"{"arrangement": "arr_2", "before": "arr_1"}"#;

    /// Makes an arrangement the one that plays.
    set Activate [timeline] {
        arrangement: ArrangementId,
    } -> Done
    example r#"{"arrangement": "arr_2"}"#;

    /// Names how an arrangement is at a commit. `arrangement.restoreVersion` brings it back.
    act NameVersion emits ["arrangement.versionsChanged"] {
        arrangement: ArrangementId,
        name: String,
        /// The last commit when absent.
        at: Option<Rev>,
    } -> VersionNamed {
        version: ArrangementVersionInfo,
    }
    check |payload, checker| check_ref_name("name", &payload.name, checker);
    example r#"{"arrangement": "arr_1", "name": "radio"}"#;

    /// Takes the name of a version away. The commit stays.
    act DeleteVersion emits ["arrangement.versionsChanged"] {
        arrangement: ArrangementId,
        name: String,
    } -> Done
    example r#"{"arrangement": "arr_1", "name": "radio"}"#;

    /// Lists named versions.
    ask Versions {
        /// Those of all arrangements when absent.
        arrangement: Option<ArrangementId>,
    } -> VersionList {
        versions: Vec<ArrangementVersionInfo>,
    }
    example r#"{"arrangement": "arr_1"}"#;

    /// Sets an arrangement with everything in it back to a named version, by an edit of the
    /// present.
    edit RestoreVersion [global] {
        arrangement: ArrangementId,
        name: String,
    } -> VersionRestored {
        changes: Vec<super::version::EntityDiff>,
    }
    example r#"{"arrangement": "arr_1", "name": "radio"}"#;

    /// Lists arrangements in order.
    ask List {} -> Arrangements {
        arrangements: Vec<Arrangement>,
        active: Option<ArrangementId>,
    }
    example r#"{}"#;
}
