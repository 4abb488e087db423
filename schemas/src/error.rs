//! The errors that cross the wire: a closed list of codes, each with what it
//! means and what to do next. Free-form codes would drift between the server,
//! its documentation and its clients; these three read one list.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

/// Who has to act on an error; the CLI derives its exit code from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ErrorClass {
    /// The request was wrong: send another one.
    User,
    /// The set-up is wrong: change the configuration, the machine or the file.
    Config,
    /// Somebody else was faster or disagrees: look at the present and decide.
    Conflict,
    /// Too much at once: wait and send the same again.
    Busy,
    /// Pulse failed: report it.
    Internal,
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $class:ident, $hint:literal;)*) => {
        /// What went wrong, as `domain.reason`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $name,)* }

        impl ErrorCode {
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $code,)* }
            }

            pub fn class(self) -> ErrorClass {
                match self { $(ErrorCode::$name => ErrorClass::$class,)* }
            }

            pub fn doc(self) -> &'static str {
                match self { $(ErrorCode::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// What to do next.
            pub fn hint(self) -> &'static str {
                match self { $(ErrorCode::$name => $hint,)* }
            }
        }

        impl FromStr for ErrorCode {
            type Err = UnknownErrorCode;

            fn from_str(text: &str) -> Result<ErrorCode, UnknownErrorCode> {
                match text {
                    $($code => Ok(ErrorCode::$name),)*
                    _ => Err(UnknownErrorCode { found: text.chars().take(80).collect() }),
                }
            }
        }
    };
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no error code that this version knows")]
pub struct UnknownErrorCode {
    pub found: String,
}

error_codes! {
    /// The frame is longer than the limit that `client.hello` answered.
    FrameTooLong = "frame.tooLong", User, "Send less at once, for instance in several commands; the limit is `maxMessageBytes` in the reply to `client.hello`.";
    /// The length in front of a frame is negative or absurd, so the start of the next one is lost.
    FrameLost = "frame.lost", User, "Put the length of the body in front of it as 4 bytes, big-endian, then connect again.";
    /// A frame has no content.
    FrameEmpty = "frame.empty", User, "Send an envelope in each frame.";
    /// A binary stream frame can't be read.
    FrameBinary = "frame.binary", User, "Compare the frame with the layout in docs/protocol.md.";
    /// The body is neither JSON nor MessagePack, or ends too early.
    EnvelopeMalformed = "envelope.malformed", User, "Send one JSON object or one MessagePack map, in the encoding that `client.hello` asked for.";
    /// A field of the envelope is missing or has the wrong type.
    EnvelopeInvalid = "envelope.invalid", User, "Compare the envelope with its JSON Schema (`pulse schema`).";
    /// The envelope has a version that this Pulse doesn't speak.
    EnvelopeVersion = "envelope.version", User, "Send `\"v\": 1`.";
    /// Pulse takes commands, and events that answer its own heartbeat, from a client; nothing else.
    EnvelopeKind = "envelope.kind", User, "Send `\"kind\": \"command\"`.";
    /// The message id was used for a different command in this instance.
    EnvelopeIdReused = "envelope.idReused", User, "Give every command its own `id`; repeat one only to send the same command again.";
    /// There is no such domain.
    DomainUnknown = "domain.unknown", User, "`pulse schema` lists the domains.";
    /// The domain has no such command.
    CommandUnknown = "command.unknown", User, "`pulse schema` lists the commands of each domain.";
    /// The command is declared, but this version doesn't handle it yet.
    CommandNotImplemented = "command.notImplemented", User, "docs/reference/coverage.md says which commands are handled.";
    /// The payload has a missing field, a wrong type or an impossible value; `details.path` says where.
    PayloadInvalid = "payload.invalid", User, "Correct the field named in `details.path`; the command's schema and example are in `pulse schema`.";
    /// A number is not finite.
    PayloadNotFinite = "payload.notFinite", User, "Send finite numbers only; leave a field out to say nothing.";
    /// An entity would break its own rules; `details.violations` lists every one.
    EntityInvalid = "entity.invalid", User, "Correct the fields listed in `details.violations`.";
    /// There is no entity with this id.
    EntityNotFound = "entity.notFound", User, "It may have been deleted by another client; read the view again.";
    /// The id names an entity of another kind than the command needs.
    EntityWrongKind = "entity.wrongKind", User, "The prefix of an id tells its kind (`trk_` is a track).";
    /// Other entities need this one.
    EntityInUse = "entity.inUse", Conflict, "Remove what `details.users` lists first, or ask for a cascade.";
    /// The move would make an entity its own ancestor.
    EntityCycle = "entity.cycle", User, "Choose a parent outside the entity's own descendants.";
    /// A record was written by a newer Pulse and is kept unread.
    EntityOpaque = "entity.opaque", Config, "Edit this entity with the version of Pulse that wrote it.";
    /// The range is empty, reversed or outside what it refers to.
    RangeInvalid = "range.invalid", User, "Give a start before the end.";
    /// The client hasn't introduced itself.
    ClientHelloRequired = "client.helloRequired", User, "Send `client.hello` first.";
    /// `client.hello` was sent twice on one connection.
    ClientHelloTwice = "client.helloTwice", User, "Keep the first hello, or open another connection.";
    /// The protocol version of the client isn't spoken here.
    ClientProtocol = "client.protocol", Config, "Use the client of the same release; `details.supported` lists the versions spoken here.";
    /// The token is missing or wrong.
    ClientUnauthorised = "client.unauthorised", Config, "Pass the token that `pulse serve` was started with.";
    /// Only the manager client may do this.
    ClientNotManager = "client.notManager", User, "Ask the client that manages this Pulse, or become it with `client.claimManager`.";
    /// Too many clients are connected.
    ClientLimit = "client.limit", Busy, "Close an unused client, or raise `limits.clients`.";
    /// The client sends faster than the limit.
    ClientRateLimited = "client.rateLimited", Busy, "Wait `details.retryAfterMs` milliseconds; send many edits as one `project.batch`.";
    /// The client reads slower than Pulse writes; the connection is closed.
    ClientTooSlow = "client.tooSlow", Busy, "Connect again with the last position; subscribe to less, or read faster.";
    /// No heartbeat came in time; the connection is closed.
    ClientTimedOut = "client.timedOut", Busy, "Answer `client.heartbeat` within `heartbeatMs`.";
    /// There is no subscription or stream with this id on this connection.
    ClientSubscriptionUnknown = "client.subscriptionUnknown", User, "Use the id from the reply that opened it; it ends with the connection.";
    /// The command doesn't fit the state of the session (for instance: no project is open).
    SessionState = "session.state", User, "`details.state` is where the session stands; `project.open` or `project.new` first.";
    /// The model thread has more commands waiting than it may keep.
    SessionBusy = "session.busy", Busy, "Send the command again in a moment.";
    /// Pulse is shutting down.
    SessionShuttingDown = "session.shuttingDown", Busy, "Connect again after the restart.";
    /// The revision that the command expected is no longer the latest.
    ConflictStale = "conflict.stale", Conflict, "Look at what changed since (`details.revision`), then send the command again with the new revision.";
    /// Conflicts remain that somebody has to decide.
    ConflictUnresolved = "conflict.unresolved", Conflict, "List them with `version.conflicts`, decide each with `version.resolve`.";
    /// There is no project at this path.
    ProjectNotFound = "project.notFound", User, "Give the folder that contains the project.";
    /// There is a project or something else at this path already.
    ProjectExists = "project.exists", User, "Choose another folder.";
    /// Another process has the project open.
    ProjectLocked = "project.locked", Conflict, "Talk to that process (`details.socket`), or close it.";
    /// The project can be read but not changed.
    ProjectReadOnly = "project.readOnly", Config, "Open a copy, or remove what `details.reason` names.";
    /// The draft holds edits that nobody has decided about.
    ProjectDraftPending = "project.draftPending", Conflict, "Say `draft`: adopt, discard, or, to look first, inspect (`version.draft` for a branch).";
    /// The project has unsaved edits.
    ProjectDirty = "project.dirty", Conflict, "Save first, or say `discard`.";
    /// The project's files are damaged.
    ProjectCorrupt = "project.corrupt", Internal, "Run `pulse fsck`; nothing was changed.";
    /// The project was written by a newer Pulse.
    ProjectNewer = "project.newer", Config, "Open it with that version or a newer one.";
    /// No commit, branch, tag or history entry has this name.
    VersionNotFound = "version.notFound", User, "`version.log`, `version.branches` and `version.tags` list what there is.";
    /// The short form of a commit id fits several commits.
    VersionAmbiguous = "version.ambiguous", User, "Give more digits; `details.candidates` lists the commits.";
    /// A branch or tag of this name exists.
    VersionExists = "version.exists", User, "Choose another name, or move the existing one.";
    /// The name can't be a branch or a tag.
    VersionName = "version.name", User, "Use letters, digits, `-`, `_`, `.` and `/`; start with a letter or digit.";
    /// The branch is checked out and can't be deleted.
    VersionCurrent = "version.current", User, "Switch to another branch first.";
    /// A commit is open and no branch, so that there is nothing that a commit could move.
    VersionDetached = "version.detached", User, "`version.branch` makes a branch here, with the edits; `version.switch` goes to another.";
    /// There is nothing to commit, merge, revert or pick.
    VersionNothing = "version.nothing", User, "Nothing needs doing.";
    /// A merge is under way.
    VersionMerging = "version.merging", Conflict, "Finish it with `version.resolve` and `version.commit`, or leave it with `version.abortMerge`.";
    /// There is nothing to undo or redo in this context for this client.
    HistoryEmpty = "history.empty", User, "`history.state` says what can be undone.";
    /// The history entry doesn't exist or was compacted.
    HistoryNotFound = "history.notFound", User, "`history.list` shows the entries that are left.";
    /// The route would close a loop that isn't marked as feedback.
    RoutingCycle = "routing.cycle", User, "Break the loop named in `details.path`, or set `feedback` on one of its edges.";
    /// The two ends don't fit together (kind, layout or direction).
    RoutingIncompatible = "routing.incompatible", User, "Connect an output to an input of the same signal type.";
    /// The channel is the master and can't be deleted, routed or soloed like the others.
    RoutingMaster = "routing.master", User, "Choose another channel, or name another master first.";
    /// The node kind isn't known here.
    NodeUnknownKind = "node.unknownKind", User, "`node.kinds` lists what this Pulse can host.";
    /// The node has no such parameter.
    ParameterUnknown = "parameter.unknown", User, "`node.describe` lists a node's parameters.";
    /// The value lies outside the parameter's range.
    ParameterRange = "parameter.range", User, "`details.min` and `details.max` bound the value.";
    /// The gesture isn't open, or another client holds the parameter.
    ParameterGesture = "parameter.gesture", Conflict, "Begin a gesture first; one client holds a parameter at a time.";
    /// The file can't be read.
    MediaUnreadable = "media.unreadable", Config, "Check that the file exists and may be read.";
    /// The file is no audio, MIDI or video that Pulse understands.
    MediaFormat = "media.format", User, "Convert it to WAV, FLAC, AIFF, MP3, Ogg or a standard MIDI file.";
    /// The media item isn't available at the moment.
    MediaOffline = "media.offline", Config, "Connect the drive, or find the file with `media.relink`.";
    /// The media item is in the wrong stage of its life (for instance: finalised twice).
    MediaLifecycle = "media.lifecycle", User, "A pending item is finalised or discarded once.";
    /// The path leaves the places that Pulse may touch.
    PathForbidden = "path.forbidden", User, "Give an absolute path, or one inside the project folder.";
    /// The device isn't there.
    HardwareNotFound = "hardware.notFound", Config, "`hardware.list` shows the devices that are connected.";
    /// The device refused the configuration.
    HardwareConfiguration = "hardware.configuration", Config, "Choose a rate and block size that `hardware.list` offers for it.";
    /// There is no job with this id.
    JobNotFound = "job.notFound", User, "`job.list` shows the jobs that are kept.";
    /// The job is over.
    JobFinished = "job.finished", User, "Read its result with `job.get`.";
    /// The render can't run.
    RenderImpossible = "rendering.impossible", User, "Change what the message names; no file was written.";
    /// The render was stopped before its end.
    RenderCancelled = "rendering.cancelled", User, "No file was written; what is rendered stays in the cache, and a new render goes on from there.";
    /// A re-rendered segment differed from the cached one.
    RenderMismatch = "rendering.mismatch", Internal, "The segment was quarantined and rendered afresh; please report it.";
    /// The view's name or window doesn't fit.
    ViewInvalid = "view.invalid", User, "`view.list` names the views and what each takes.";
    /// A command of a batch failed, so none of it was done; `details.index` and `details.cause` say which and why.
    BatchFailed = "batch.failed", User, "Correct the command at `details.index`; nothing of the batch was done.";
    /// This command can't stand in a batch.
    BatchForbidden = "batch.forbidden", User, "Send it by itself: a batch takes edits, and no other batch.";
    /// Debug commands are switched off.
    DebugDisabled = "debug.disabled", Config, "Start Pulse with `debug.enabled = true`.";
    /// A disk or network operation failed.
    IoFailed = "io.failed", Config, "`details.reason` is the system's own message; the project keeps what was acknowledged.";
    /// The disk is full.
    IoFull = "io.full", Config, "Make room; nothing acknowledged is lost, and edits continue once there is space.";
    /// A resource limit of this Pulse was reached.
    LimitReached = "limit.reached", Busy, "`details.limit` names the configuration key.";
    /// Something that can't happen did.
    InternalError = "internal.error", Internal, "Please report this with the log of the server.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ErrorCode, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for ErrorCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "What went wrong, as `domain.reason`. Later versions may add codes.",
            "pattern": "^[a-z][A-Za-z]*\\.[a-z][A-Za-z]*$",
            "examples": ["payload.invalid", "conflict.stale"]
        })
    }
}

/// The `error` field of an envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ErrorBody {
    /// `domain.reason`; kept as text so that a newer code survives an older reader.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What programs need to act: paths, ids, limits. `hint` says what to do next.
    #[serde(default)]
    pub details: Map<String, Value>,
}

impl ErrorBody {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ErrorBody {
        let mut details = Map::new();
        details.insert("hint".to_owned(), Value::from(code.hint()));
        ErrorBody { code: code.as_str().to_owned(), message: message.into(), details }
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> ErrorBody {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// The code, if this version knows it.
    pub fn known(&self) -> Option<ErrorCode> {
        self.code.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_unique_documented_and_survives_its_text_form() {
        let mut seen = BTreeSet::new();
        for &code in ErrorCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert_eq!(code.as_str().parse(), Ok(code));
            assert!(code.doc().ends_with('.'), "{code} has no sentence");
            assert!(code.hint().ends_with('.'), "{code} has no hint");
            assert_eq!(code.as_str().matches('.').count(), 1);
        }
    }
}
