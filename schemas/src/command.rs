//! The command table: everything a client can ask of Pulse, declared once.
//!
//! `Command` has two levels, domain and command, because that is how a server
//! is cut: one handler module per domain, each with one exhaustive match.

pub(crate) mod table;

pub mod pending;
pub mod reply;
pub mod types;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::Value;

pub use table::{CommandSpec, CommandType, Effect};

use crate::{
    codec::value::{Fault, Typed, ValueError},
    entity::Violation,
    error::{ErrorBody, ErrorCode},
};

/// What the domain files have in common.
mod prelude {
    pub(super) use std::collections::{BTreeMap, BTreeSet};

    pub(super) use super::table::{commands, wire};
    pub use super::types::*;
    pub use crate::{
        entity::*,
        hash::Hash,
        id::*,
        job::*,
        time::{Flicks, Moment, Ticks, Timebase},
    };
}

/// One domain and its commands.
pub struct DomainSpec {
    pub domain: Domain,
    pub doc: &'static str,
    pub commands: &'static [&'static CommandSpec],
}

macro_rules! domains {
    ($($domain:ident = $module:ident, $name:literal;)*) => {
        $(pub mod $module;)*

        /// Where a command belongs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Domain { $($domain,)* }

        impl Domain {
            pub const ALL: &'static [Domain] = &[$(Domain::$domain,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Domain::$domain => $name,)* }
            }

            pub fn from_name(name: &str) -> Option<Domain> {
                match name { $($name => Some(Domain::$domain),)* _ => None }
            }

            pub fn spec(self) -> &'static DomainSpec {
                match self { $(Domain::$domain => &$module::DOMAIN,)* }
            }
        }

        /// Any command, typed.
        #[allow(clippy::large_enum_variant, reason = "a command is moved a few times in its life")]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Command { $($domain($module::Command),)* }

        impl Command {
            pub fn spec(&self) -> &'static CommandSpec {
                match self { $(Command::$domain(command) => command.spec(),)* }
            }

            /// The payload as it goes over the wire.
            pub fn payload(&self) -> Result<Value, serde_json::Error> {
                match self { $(Command::$domain(command) => command.payload(),)* }
            }
        }
    };
}

domains! {
    Client = client, "client";
    Session = session, "session";
    Project = project, "project";
    Version = version, "version";
    History = history, "history";
    View = view, "view";
    Arrangement = arrangement, "arrangement";
    Track = track, "track";
    Lane = lane, "lane";
    Clip = clip, "clip";
    Note = note, "note";
    Channel = channel, "channel";
    Node = node, "node";
    Parameter = parameter, "parameter";
    Automation = automation, "automation";
    Routing = routing, "routing";
    Transport = transport, "transport";
    Timebase = timebase, "timebase";
    Metadata = metadata, "metadata";
    Scene = scene, "scene";
    Variant = variant, "variant";
    Media = media, "media";
    Library = library, "library";
    Kit = kit, "kit";
    Pad = pad, "pad";
    Rendering = rendering, "rendering";
    Recording = recording, "recording";
    Hardware = hardware, "hardware";
    Gesture = gesture, "gesture";
    Metering = metering, "metering";
    Cohort = cohort, "cohort";
    Plugin = plugin, "plugin";
    Job = job, "job";
    Diagnostics = diagnostics, "diagnostics";
    Debug = debug, "debug";
}

/// Every command, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static CommandSpec> {
    Domain::ALL.iter().flat_map(|domain| domain.spec().commands.iter().copied())
}

/// The command of this name.
pub fn find(domain: &str, name: &str) -> Result<&'static CommandSpec, CommandError> {
    let known = Domain::from_name(domain).ok_or_else(|| CommandError::UnknownDomain {
        domain: cut(domain),
        meant: nearest(domain, Domain::ALL.iter().map(|domain| domain.name())),
    })?;
    let commands = known.spec().commands;
    commands.iter().copied().find(|spec| spec.name == name).ok_or_else(|| {
        CommandError::UnknownCommand {
            domain: known,
            name: cut(name),
            meant: nearest(name, commands.iter().map(|spec| spec.name)),
        }
    })
}

/// Reads a payload as the command of this name. Fields that the command does
/// not know are tolerated and named in `ignored`.
pub fn decode(domain: &str, name: &str, payload: &Value) -> Result<Typed<Command>, CommandError> {
    find(domain, name)?.decode(payload)
}

/// Why something is no command; `body` is how the wire says it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CommandError {
    #[error("there is no domain `{domain}`{}", did_you_mean(.meant))]
    UnknownDomain { domain: String, meant: Option<&'static str> },
    #[error("`{}` has no command `{name}`{}", .domain.name(), did_you_mean(.meant))]
    UnknownCommand { domain: Domain, name: String, meant: Option<&'static str> },
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("{}", list(.violations))]
    Invalid { violations: Vec<Violation> },
}

impl CommandError {
    pub fn code(&self) -> ErrorCode {
        match self {
            CommandError::UnknownDomain { .. } => ErrorCode::DomainUnknown,
            CommandError::UnknownCommand { .. } => ErrorCode::CommandUnknown,
            CommandError::Value(error) if error.fault == Fault::NotFinite => {
                ErrorCode::PayloadNotFinite
            }
            CommandError::Value(_) | CommandError::Invalid { .. } => ErrorCode::PayloadInvalid,
        }
    }

    pub fn body(&self) -> ErrorBody {
        let body = ErrorBody::new(self.code(), self.to_string());
        match self {
            CommandError::UnknownDomain { meant, .. }
            | CommandError::UnknownCommand { meant, .. } => match meant {
                Some(meant) => body.with("didYouMean", *meant),
                None => body,
            },
            CommandError::Value(error) => body.with("path", error.path.clone()),
            CommandError::Invalid { violations } => {
                let path = violations.first().map(|violation| violation.field.clone());
                let all = serde_json::to_value(violations).unwrap_or_default();
                body.with("path", path).with("violations", all)
            }
        }
    }
}

fn did_you_mean(meant: &Option<&'static str>) -> String {
    meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("; ")
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The known name at the smallest edit distance, if it is small.
fn nearest(found: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let found = cut(found);
    let limit = found.chars().count().div_ceil(3);
    known
        .map(|name| (distance(&found, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, ignoring case.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, left) in left.chars().map(|c| c.to_ascii_lowercase()).enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (to, right) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[to + 1];
            row[to + 1] = replaced.min(row[to] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// A command outside an envelope: in a batch, a log, a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Domain of the command.
    pub domain: String,
    /// Name of the command.
    pub name: String,
    /// Payload of the command.
    #[serde(default)]
    #[schemars(schema_with = "any_object")]
    pub payload: Value,
}

pub(crate) fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}

impl Call {
    pub fn decode(&self) -> Result<Typed<Command>, CommandError> {
        decode(&self.domain, &self.name, &self.payload)
    }
}

impl Command {
    pub fn call(&self) -> Result<Call, serde_json::Error> {
        let spec = self.spec();
        Ok(Call {
            domain: spec.domain.name().to_owned(),
            name: spec.name.to_owned(),
            payload: self.payload()?,
        })
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.call().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Command, D::Error> {
        let call = Call::deserialize(deserializer)?;
        call.decode().map(|typed| typed.value).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_example_is_its_command_and_survives_both_ways() {
        for spec in all() {
            let name = spec.full_name();
            let typed = spec.decode(&spec.example()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(typed.ignored.is_empty(), "{name} ignores {:?}", typed.ignored);
            assert_eq!(typed.value.spec().full_name(), name);
            let again = spec.decode(&typed.value.payload().unwrap()).unwrap();
            assert_eq!(again.value, typed.value, "{name}");
            let text = serde_json::to_string(&typed.value).unwrap();
            assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), typed.value);
        }
    }

    #[test]
    fn every_command_is_documented_and_follows_the_naming_rules() {
        let mut seen = BTreeSet::new();
        for spec in all() {
            let name = spec.full_name();
            assert!(spec.summary().ends_with('.'), "{name} has no sentence");
            assert!(spec.name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
            assert!(spec.name.starts_with(|first: char| first.is_ascii_lowercase()), "{name}");
            assert!(!spec.name.ends_with("ed"), "{name} is no present tense");
            assert_eq!(spec.is_edit(), !spec.contexts.is_empty(), "{name}: contexts");
            assert!(seen.insert(name), "a command stands twice");
        }
        for domain in Domain::ALL {
            assert_eq!(Domain::from_name(domain.name()), Some(*domain));
        }
    }

    #[test]
    fn a_bad_command_says_what_is_wrong() {
        let check = |domain: &str, name: &str, payload: Value, code: ErrorCode, expect: &str| {
            let error = decode(domain, name, &payload).unwrap_err();
            assert_eq!((error.code(), error.to_string().as_str()), (code, expect));
        };
        check(
            "trak",
            "create",
            json!({}),
            ErrorCode::DomainUnknown,
            "there is no domain `trak`; did you mean `track`?",
        );
        check(
            "track",
            "setColor",
            json!({}),
            ErrorCode::CommandUnknown,
            "`track` has no command `setColor`",
        );
        check(
            "note",
            "add",
            json!({"clip": "clp_00000000000000000000000001", "notes": [
                {"pitch": 200, "start": 0, "length": 0}]}),
            ErrorCode::PayloadInvalid,
            "payload.notes[0].pitch: must lie between 0 and 127, found 200; \
             payload.notes[0].length: must be at least 1, found 0",
        );
        check(
            "note",
            "add",
            json!({"clip": "trk_00000000000000000000000001", "notes": []}),
            ErrorCode::PayloadInvalid,
            "`payload.clip`: expected the id of a clip (`clp_…`), found one of a track (`trk_…`)",
        );
        check(
            "timebase",
            "addTempo",
            json!({"at": 0, "bpm": 0}),
            ErrorCode::PayloadInvalid,
            "payload.bpm: must lie between 1 and 1000, found 0",
        );
        check(
            "timebase",
            "addTempo",
            json!({"at": 0, "bpm": null}),
            ErrorCode::PayloadInvalid,
            "`payload.bpm`: expected a number, found null",
        );
    }

    #[test]
    fn null_is_an_empty_payload() {
        assert!(decode("session", "status", &Value::Null).is_ok());
    }
}
