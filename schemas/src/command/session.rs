//! What is going on in this Pulse, whichever project is open.

use super::prelude::*;
use crate::{
    envelope::Timestamp,
    job::Job,
};

wire! {
    /// Where the session stands.
    #[derive(Copy, Eq)]
    enum SessionState { Unloaded, Loading, Loaded, Saving, Closing }
}

wire! {
    /// Where the audio engine stands.
    #[derive(Copy, Eq)]
    enum EngineState { Stopped, Starting, Running, Recovering, Failed }
}

wire! {
    #[derive(Copy, Eq)]
    enum Severity { Info, Warning, Error }
}

wire! {
    /// Something that everybody should know until it is over.
    struct Warning {
        id: String,
        severity: Severity,
        /// Where it comes from: `media`, `hardware`.
        domain: String,
        message: String,
        /// What to do about it.
        hint: Option<String>,
        since: Timestamp,
    }
}

commands! {
    /// What is going on in this Pulse, whichever project is open.
    domain Session;

    /// Tells where session, engine and background work stand.
    ask Status {} -> SessionStatus {
        state: SessionState,
        engine: EngineState,
        /// Path of the open project.
        project: Option<String>,
        /// There are edits since the last commit.
        dirty: bool,
        read_only: bool,
        /// Counts transactions since the project was made.
        revision: u64,
        root: Option<Hash>,
        branch: Option<String>,
        warnings: Vec<Warning>,
        jobs: Vec<Job>,
        clients: u32,
    }
    example r#"{}"#;

    /// Lists the warnings that stand.
    ask Warnings {} -> WarningList {
        warnings: Vec<Warning>,
    }
    example r#"{}"#;

    /// Takes a warning away for everybody. It comes back if its cause does.
    put DismissWarning emits ["session.warningCleared"] {
        warning: String,
    } -> Done
    example r#"{"warning": "media-missing"}"#;

    /// Stops the audio engine and starts it again. Edits are not touched.
    act RestartEngine emits ["session.engineChanged"] {
        /// Leave plugins out that run in the process.
        #[serde(default)]
        safe_mode: bool,
    } -> Done
    example r#"{}"#;

    /// Lists projects that were open lately.
    ask Recent {
        #[serde(default)]
        page: Page,
    } -> RecentProjects {
        projects: Vec<RecentProject>,
    }
    example r#"{"page": {"limit": 10}}"#;
}

wire! {
    struct RecentProject {
        path: String,
        name: String,
        opened: Timestamp,
        /// The folder is there.
        available: bool,
    }
}
