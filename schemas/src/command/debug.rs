//! Debug: for those who build clients and Pulse itself.

use super::prelude::*;
use crate::error::ErrorCode;

commands! {
    /// Debug: for those who build clients and Pulse itself. `simulateError` and
    /// `logCommands` need `debug.enabled`.
    domain Debug;

    /// Gives back what it was given.
    ask Echo {
        #[serde(default)]
        value: serde_json::Value,
    } -> Echoed {
        value: serde_json::Value,
    }
    example r#"{"value": {"any": ["thing", 1]}}"#;

    /// Sets how much is logged, as in `info,pulse_store=debug`.
    put SetLogLevel {
        filter: String,
    } -> Done
    check |payload, checker| checker.required("filter", &payload.filter);
    example r#"{"filter": "info,pulse_store=debug"}"#;

    /// Answers with an error of this code.
    ask SimulateError {
        code: ErrorCode,
    } -> Done
    example r#"{"code": "session.busy"}"#;

    /// Gives the schema of a command, or of all.
    ask Schema {
        /// `domain.name`; all of them when absent.
        command: Option<String>,
    } -> SchemaReply {
        schema: serde_json::Value,
    }
    example r#"{"command": "track.create"}"#;

    /// Tells hashes of the state, so that two runs can be compared.
    ask StateHash {} -> StateHashes {
        revision: u64,
        root: Hash,
        /// Hash of the graph that the engine plays.
        graph: Option<Hash>,
    }
    example r#"{}"#;

    /// Writes every command to a file from which `pulse` can replay it.
    put LogCommands {
        /// Absolute path; null stops.
        path: Option<String>,
    } -> Done
    example r#"{"path": "/tmp/session.jsonl"}"#;
}
