//! Cohorts: who is rendered live and who ahead of time, and why.

use super::prelude::*;

wire! {
    #[derive(Copy, Eq)]
    enum CohortKind { Live, Anticipative }
}

wire! {
    /// One member and the reason.
    struct CohortMember {
        /// A channel or a node.
        id: AnyId,
        cohort: CohortKind,
        /// `armed`, `monitored`, `editor open`, `forced`, `after trk_…`.
        reason: String,
        /// How far ahead it is rendered, in milliseconds.
        ahead_ms: Option<f64>,
    }
}

commands! {
    /// Cohorts: who is rendered live and who ahead of time, and why.
    domain Cohort;

    /// Forces a track or a node into a cohort, or lets Pulse decide again.
    put SetOverride emits ["cohort.changed"] {
        target: AnyId,
        /// Null lets Pulse decide.
        cohort: Option<CohortKind>,
    } -> Done
    example r#"{"target": "nod_1", "cohort": "live"}"#;

    /// Says that an editor is open on a track or a node, which makes it live.
    put SetEditorOpen emits ["cohort.changed"] {
        target: AnyId,
        open: bool,
    } -> Done
    example r#"{"target": "nod_1", "open": true}"#;

    /// Lists the members of the cohorts.
    ask List {} -> Cohorts {
        members: Vec<CohortMember>,
        /// Hash of the assignment; it is the same when nothing changed.
        hash: Hash,
    }
    example r#"{}"#;

    /// Tells why something is live or not: the chain of reasons.
    ask Explain {
        target: AnyId,
    } -> Explained {
        cohort: CohortKind,
        reasons: Vec<String>,
    }
    example r#"{"target": "chn_1"}"#;
}
