//! Events that answer no command: what Pulse tells by itself.
//!
//! A command's result is an event too; it has the command's name and its reply
//! as payload, so it needs no line here. Everything in this table is sent with
//! `cid` null to whoever subscribed to it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    command::{
        client::ClientInfo,
        hardware::AudioConfig,
        metering::MeterSlot,
        project::ProjectInfo,
        session::{EngineState, SessionState, Severity, Warning},
        table::{paragraphs, wire},
        transport::TransportState,
        types::Rev,
        version::{ChangeKind, FieldChange},
        view::ViewState,
    },
    entity::{AnyEntity, HistoryContext},
    envelope::Kind,
    hash::Hash,
    id::{AnyId, ArrangementId, ChannelId, MediaId, TrackId},
    job::Job,
};

/// How an event travels when a client reads slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelClass {
    /// Every one arrives, or the client is told `client.lagged`.
    State,
    /// The latest value per key arrives; those between may be left out, and
    /// the client that caused it gets none.
    Latest,
}

impl ChannelClass {
    pub fn name(self) -> &'static str {
        match self {
            ChannelClass::State => "state",
            ChannelClass::Latest => "latest value",
        }
    }
}

/// One event, as everything that is generated sees it.
pub struct EventSpec {
    pub domain: &'static str,
    pub name: &'static str,
    pub doc: &'static str,
    pub class: ChannelClass,
    /// `event`, or `snapshot` for whole state.
    pub kind: Kind,
    pub payload_type: &'static str,
    pub payload_schema: fn(&mut SchemaGenerator) -> Schema,
}

impl EventSpec {
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.domain, self.name)
    }

    pub fn summary(&self) -> String {
        paragraphs(self.doc).join(" ")
    }
}

/// A payload struct, tied to its event.
pub trait EventType: Serialize + DeserializeOwned + JsonSchema {
    const SPEC: &'static EventSpec;
}

macro_rules! class {
    (state) => {
        ChannelClass::State
    };
    (latest) => {
        ChannelClass::Latest
    };
}

macro_rules! kind {
    () => {
        Kind::Event
    };
    (snapshot) => {
        Kind::Snapshot
    };
}

macro_rules! events {
    ($(
        $(#[doc = $doc:literal])+
        $class:ident $($kind:ident)? : $domain:ident $name:ident => $payload:ident {
            $($(#[$fmeta:meta])* $field:ident : $ty:ty),* $(,)?
        }
    )+) => {
        $(
            wire! {
                $(#[doc = $doc])+
                struct $payload { $($(#[$fmeta])* $field: $ty),* }
            }

            impl EventType for $payload {
                const SPEC: &'static EventSpec = &EventSpec {
                    domain: stringify!($domain),
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),+),
                    class: class!($class),
                    kind: kind!($($kind)?),
                    payload_type: stringify!($payload),
                    payload_schema: <$payload as JsonSchema>::json_schema,
                };
            }
        )+

        /// Every event, in the order of the reference.
        pub const ALL: &[&EventSpec] = &[$(<$payload as EventType>::SPEC),+];
    };
}

wire! {
    /// One entity that an edit made, changed or removed.
    enum EntityChange {
        Added { entity: Box<AnyEntity> },
        Modified {
            id: AnyId,
            owner: Option<AnyId>,
            fields: Vec<FieldChange>,
        },
        Removed { id: AnyId, owner: Option<AnyId> },
    }
}

impl EntityChange {
    pub fn kind(&self) -> ChangeKind {
        match self {
            EntityChange::Added { .. } => ChangeKind::Added,
            EntityChange::Modified { .. } => ChangeKind::Modified,
            EntityChange::Removed { .. } => ChangeKind::Removed,
        }
    }

    pub fn id(&self) -> AnyId {
        match self {
            EntityChange::Added { entity } => entity.any_id(),
            EntityChange::Modified { id, .. } | EntityChange::Removed { id, .. } => *id,
        }
    }
}

wire! {
    /// One step of a view's delta.
    enum ViewChange {
        /// The row, clip or item with this key is now this.
        Put {
            /// Path of the list inside the view's data: `tracks`, `tracks/trk_…/clips`.
            list: String,
            key: String,
            /// The key that it follows; first when null, unchanged when absent.
            after: Option<String>,
            value: serde_json::Value,
        },
        /// It is gone.
        Remove { list: String, key: String },
        /// A field beside the lists.
        Set { field: String, value: serde_json::Value },
    }
}

events! {
    /// A client introduced itself.
    state: client connected => ClientConnected {
        client: ClientInfo,
    }

    /// A client has gone.
    state: client disconnected => ClientDisconnected {
        client_id: String,
        instance_id: String,
        /// `goodbye`, `closed`, `timedOut`, `tooSlow`, `protocol`.
        reason: String,
    }

    /// Another client is the manager now, or none.
    state: client managerChanged => ManagerChanged {
        client_id: Option<String>,
    }

    /// Pulse ends. Clients should not connect again at once.
    state: client stopping => ShutdownNotice {
        reason: Option<String>,
    }

    /// Events were left out because the client read too slowly. It has to read
    /// again what it shows; views resync by themselves.
    state: client lagged => Lagged {
        /// The subscription that has a gap; all of them when null.
        subscription: Option<u32>,
        /// The first position that is missing.
        since: Option<crate::envelope::Position>,
        missed: u64,
    }

    /// The session moved on: a project is being loaded, saved, closed.
    state: session changed => SessionChanged {
        state: SessionState,
        /// There are edits since the last commit.
        dirty: bool,
        project: Option<String>,
    }

    /// Something that everybody should know.
    state: session warningAdded => WarningAdded {
        warning: Warning,
    }

    /// A warning is over or was dismissed.
    state: session warningCleared => WarningCleared {
        id: String,
    }

    /// The audio engine started, stopped or failed.
    state: session engineChanged => EngineChanged {
        state: EngineState,
        reason: Option<String>,
    }

    /// A project was opened.
    state: project opened => ProjectOpened {
        info: ProjectInfo,
    }

    /// The project was closed.
    state: project closed => ProjectClosed {
        path: String,
    }

    /// The content of the project changed: by an edit, an undo, a switch, a merge.
    ///
    /// `base` is what the changes stand on. A client whose root is another one
    /// has missed something and reads again.
    state: project changed => ProjectChanged {
        base_revision: u64,
        base_root: Hash,
        revision: u64,
        root: Hash,
        /// `domain.name` of the command.
        command: String,
        /// What the history calls it.
        label: String,
        contexts: Vec<HistoryContext>,
        changes: Vec<EntityChange>,
        /// The list of changes is whole. Else they were too many: read again.
        complete: bool,
    }

    /// A branch or a tag points elsewhere, is new or gone.
    state: version moved => VersionMoved {
        name: String,
        tag: bool,
        /// Null if it is gone.
        commit: Option<Hash>,
    }

    /// Named versions of arrangements came or went.
    state: arrangement versionsChanged => ArrangementVersionsChanged {
        arrangement: ArrangementId,
        name: String,
        /// Null if it is gone.
        commit: Option<Hash>,
    }

    /// Another branch or revision is the working copy.
    state: version switched => VersionSwitched {
        branch: Option<String>,
        to: Rev,
        root: Hash,
    }

    /// Conflicts were added or decided.
    state: version conflictsChanged => ConflictsChanged {
        remaining: u64,
    }

    /// What can be undone and redone changed.
    state: history changed => HistoryChanged {
        /// The latest entry.
        entry: Option<u64>,
        /// The client whose undo it is.
        client_id: Option<String>,
    }

    /// A subscribed view, whole.
    state snapshot: view state => ViewSnapshot {
        subscription: u32,
        state: ViewState,
    }

    /// What changed in a subscribed view.
    state: view delta => ViewDelta {
        subscription: u32,
        /// Hash of the content that the changes stand on.
        base: Hash,
        revision: u64,
        root: Hash,
        /// Hash of the content afterwards.
        hash: Hash,
        changes: Vec<ViewChange>,
    }

    /// The transport started, stopped or jumped; while it plays, where it is.
    latest: transport state => TransportChanged {
        state: TransportState,
    }

    /// Somebody moves a parameter. It is no edit yet.
    latest: parameter gesture => ParameterGesture {
        target: AnyId,
        parameter: String,
        value: f64,
        /// It is held: `parameter.endGesture` has not come.
        active: bool,
    }

    /// Who is rendered live changed.
    state: cohort changed => CohortChanged {
        /// Hash of the new assignment; `cohort.list` gives it.
        hash: Hash,
        live: u32,
        anticipative: u32,
    }

    /// The samples of a meter stream mean something else from a frame on.
    state: metering layout => MeterLayout {
        stream: u32,
        /// First frame of the new layout.
        sequence: u64,
        layout: Vec<MeterSlot>,
    }

    /// Peaks for clients without binary streams.
    latest: metering levels => MeterLevels {
        levels: Vec<crate::command::metering::ChannelLevel>,
    }

    /// A job got further.
    latest: job progress => JobProgress {
        job: Job,
    }

    /// A job is over, one way or another.
    state: job finished => JobFinished {
        job: Job,
    }

    /// Files came or went.
    state: media availabilityChanged => MediaAvailabilityChanged {
        available: Vec<MediaId>,
        missing: Vec<MediaId>,
    }

    /// The library has other content.
    latest: library changed => LibraryChanged {
        items: u64,
    }

    /// Recording started, stopped or was set differently.
    state: recording changed => RecordingChanged {
        active: bool,
    }

    /// The audio device, a MIDI port or a mapping changed, or a device went away.
    state: hardware changed => HardwareChanged {
        config: AudioConfig,
        /// The device was lost; the null device runs in its place.
        lost: bool,
    }

    /// The list of plugins changed.
    state: plugin changed => PluginChanged {
        count: u64,
    }

    /// A node gave values that are no numbers, or failed, and is bypassed.
    state: diagnostics fault => NodeFaulted {
        node: AnyId,
        /// What the node is called, or its kind.
        name: String,
        channel: Option<ChannelId>,
        track: Option<TrackId>,
        /// What the track is called.
        track_name: Option<String>,
        reason: String,
    }

    /// The engine missed its time.
    latest: diagnostics xrun => Xrun {
        /// Since the engine started.
        total: u64,
        load: f64,
    }

    /// A line of the log, for clients that subscribed to it.
    latest: debug log => LogLine {
        severity: Severity,
        /// Module that says it.
        source: String,
        message: String,
    }
}

/// The event of this name.
pub fn find(domain: &str, name: &str) -> Option<&'static EventSpec> {
    ALL.iter().copied().find(|spec| spec.domain == domain && spec.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command;

    #[test]
    fn every_event_that_a_command_can_cause_exists() {
        for spec in command::all() {
            for event in spec.events {
                let (domain, name) = event.split_once('.').unwrap();
                assert!(find(domain, name).is_some(), "{}: {event}", spec.full_name());
            }
        }
    }

    #[test]
    fn no_event_has_the_name_of_a_result() {
        let mut seen = BTreeSet::new();
        for spec in ALL {
            let name = spec.full_name();
            assert!(command::Domain::from_name(spec.domain).is_some(), "{name}");
            let is_result = command::find(spec.domain, spec.name).is_ok_and(|command| {
                // `transport.state` and `view.state` tell what the question of that name tells.
                !command.read_only()
            });
            assert!(!is_result, "{name} is the result of a command");
            assert!(spec.summary().ends_with('.'), "{name} has no sentence");
            assert!(seen.insert(name));
        }
    }
}
