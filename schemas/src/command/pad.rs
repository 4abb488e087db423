//! Pads: grids to play on.

use super::prelude::*;

commands! {
    /// Pads: grids to play on.
    domain Pad;

    /// Creates a workspace of pads.
    edit Create [media] {
        name: String,
        /// 1 to 16.
        rows: u8,
        columns: u8,
        track: Option<TrackId>,
    } -> Created {
        workspace: PadWorkspaceId,
    }
    check |payload, checker| {
        checker.required("name", &payload.name);
        checker.range("rows", f64::from(payload.rows), 1.0, 16.0);
        checker.range("columns", f64::from(payload.columns), 1.0, 16.0);
    };
    example r#"{"name": "Live", "rows": 8, "columns": 8}"#;

    /// Deletes a workspace.
    edit Delete [media] {
        workspace: PadWorkspaceId,
    } -> Deleted
    example r#"{"workspace": "pad_1"}"#;

    /// Says what a pad plays; null empties it.
    set Assign [media] {
        workspace: PadWorkspaceId,
        row: u8,
        column: u8,
        assignment: Option<PadAssignment>,
    } -> Done
    example r#"{"workspace": "pad_1", "row": 0, "column": 0, "assignment": {"key": 36}}"#;

    /// Plays or releases a pad.
    act Trigger {
        workspace: PadWorkspaceId,
        row: u8,
        column: u8,
        /// 16 bits; 0 releases.
        velocity: u16,
    } -> Done
    example r#"{"workspace": "pad_1", "row": 0, "column": 0, "velocity": 51200}"#;

    /// Lists the workspaces.
    ask List {} -> Workspaces {
        workspaces: Vec<PadWorkspace>,
    }
    example r#"{}"#;
}
