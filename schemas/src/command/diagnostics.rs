//! Diagnostics: how Pulse is doing.

use super::prelude::*;

wire! {
    /// The audio engine.
    struct EngineReport {
        state: super::session::EngineState,
        /// Part of the time that there is, 0 to 1 and above: mean and worst of the last second.
        load: f64,
        load_peak: f64,
        xruns: u64,
        nodes: u64,
        /// Nodes that were bypassed after a fault.
        faults: Vec<NodeFault>,
        latency_frames: u32,
    }
}

wire! {
    struct NodeFault {
        node: AnyId,
        reason: String,
        count: u64,
    }
}

wire! {
    /// What the store holds.
    struct StoreReport {
        entities: u64,
        bytes: u64,
        journal_bytes: u64,
        journal_rows: u64,
        nodes_cached: u64,
    }
}

wire! {
    /// One check of `doctor`.
    struct Finding {
        severity: super::session::Severity,
        /// What was looked at: `audio device`, `disk`.
        subject: String,
        message: String,
        hint: Option<String>,
    }
}

wire! {
    struct NodeLoad {
        /// The entity that the node works for.
        node: AnyId,
        /// What it does for it: `node`, `strip`, `send`, `lane`, `in`.
        role: String,
        /// Its kind: `pulse.eq`.
        kind: String,
        track: Option<TrackId>,
        /// Microseconds per block: mean and worst.
        mean_us: f64,
        worst_us: f64,
        /// Part of the time that there is, 0 to 1.
        share: f64,
        /// Blocks that were measured.
        blocks: u64,
    }
}

commands! {
    /// Diagnostics: how Pulse is doing.
    domain Diagnostics;

    /// Reports on engine, store, clients and queues.
    ask Report {} -> DiagnosticsReport {
        version: String,
        uptime_ms: u64,
        memory_bytes: Option<u64>,
        engine: EngineReport,
        /// None while no project is open.
        store: Option<StoreReport>,
        clients: u32,
        queued_commands: u32,
        /// Counters and gauges by the names of the metrics endpoint.
        metrics: BTreeMap<String, f64>,
    }
    example r#"{}"#;

    /// Measures what each node costs, from now on or no longer. Off at first,
    /// because looking at the clock twice per node costs something itself.
    put Profile {
        enabled: bool,
    } -> Done
    example r#"{"enabled": true}"#;

    /// Tells which nodes cost most, the worst first, as measured since
    /// `diagnostics.profile` was turned on.
    ask NodeLoads {
        limit: Option<u32>,
    } -> NodeLoadList {
        /// Whether nodes are being measured.
        profiling: bool,
        loads: Vec<NodeLoad>,
    }
    example r#"{"limit": 10}"#;

    /// Checks set-up and project and says what to do about what it finds.
    ask Doctor {} -> Diagnosis {
        findings: Vec<Finding>,
        healthy: bool,
    }
    example r#"{}"#;

    /// Checks every record, hash and reference of the project.
    ask Check {
        /// Read media as well.
        #[serde(default)]
        media: bool,
    } -> CheckReply {
        checked: u64,
        findings: Vec<Finding>,
    }
    example r#"{}"#;

    /// Frees what nothing reaches any more.
    act CollectGarbage {
        /// Only count.
        #[serde(default)]
        dry_run: bool,
    } -> Collected {
        freed_bytes: u64,
        freed_nodes: u64,
        kept_nodes: u64,
    }
    example r#"{"dryRun": true}"#;

    /// Counts xruns and faults from zero again.
    put ResetCounters {} -> Done
    example r#"{}"#;
}
