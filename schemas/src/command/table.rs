//! The one declaration of a command, and what follows from it.
//!
//! A domain file declares each command once, with the `commands!` macro:
//!
//! ```text
//! commands! {
//!     /// Tracks: the rows of an arrangement.
//!     domain Track;
//!
//!     /// Creates a track.
//!     ///
//!     /// What else there is to know.
//!     edit Create [timeline mixer] {
//!         /// Shown to people.
//!         name: Option<String>,
//!     } -> Created {
//!         track: TrackId,
//!     }
//!     check |payload, checker| checker.name("name", payload.name());
//!     example r#"{"name": "Bass"}"#;
//! }
//! ```
//!
//! From it come the payload and reply structs, the domain's `Command` enum, the
//! static [`CommandSpec`], the decoder, and through those the JSON Schema, the
//! TypeScript types, the reference and the coverage table. The wire name is the
//! struct's name with a small first letter.
//!
//! The first word says what a command does to the world:
//!
//! | word | changes | undoable | may be repeated without harm |
//! |---|---|---|---|
//! | `edit` | the project | yes | no |
//! | `set` | the project | yes | yes |
//! | `act` | the session, the history or the machine | no | no |
//! | `put` | the session, the history or the machine | no | yes |
//! | `ask` | nothing | no | yes |

use schemars::{Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Command, CommandError, Domain};
use crate::{
    codec::value::{Typed, from_value},
    entity::{Checker, HistoryContext, Violation},
    id::EntityKind,
};

/// What a command does to the world; see the table above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Edit,
    Set,
    Act,
    Put,
    Ask,
}

impl Effect {
    pub fn name(self) -> &'static str {
        match self {
            Effect::Edit => "edit",
            Effect::Set => "set",
            Effect::Act => "act",
            Effect::Put => "put",
            Effect::Ask => "ask",
        }
    }
}

/// One command, as everything that is generated sees it.
pub struct CommandSpec {
    pub domain: Domain,
    pub name: &'static str,
    pub doc: &'static str,
    pub effect: Effect,
    /// The histories that its undo entry belongs to.
    pub contexts: &'static [HistoryContext],
    /// Events that it can cause beside its result and `project.changed`.
    pub events: &'static [&'static str],
    /// A payload that validates, as JSON with short ids; see `example()`.
    pub example: &'static str,
    /// Rust names of the payload and the reply.
    pub payload_type: &'static str,
    pub reply_type: &'static str,
    pub payload_schema: fn(&mut SchemaGenerator) -> Schema,
    pub reply_schema: fn(&mut SchemaGenerator) -> Schema,
    pub(super) decode: fn(&Value) -> Result<Typed<Command>, CommandError>,
}

impl CommandSpec {
    /// `domain.name`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.domain.name(), self.name)
    }

    /// Changes the project, so that it is a transaction of the store.
    pub fn is_edit(&self) -> bool {
        matches!(self.effect, Effect::Edit | Effect::Set)
    }

    pub fn undoable(&self) -> bool {
        self.is_edit()
    }

    pub fn idempotent(&self) -> bool {
        matches!(self.effect, Effect::Set | Effect::Put | Effect::Ask)
    }

    pub fn read_only(&self) -> bool {
        self.effect == Effect::Ask
    }

    /// Whether this version handles it; else it answers `command.notImplemented`.
    pub fn handled(&self) -> bool {
        !super::pending::is_pending(self.domain.name(), self.name)
    }

    /// The first paragraph of the documentation.
    pub fn summary(&self) -> String {
        paragraphs(self.doc).into_iter().next().unwrap_or_default()
    }

    /// What follows the first paragraph.
    pub fn details(&self) -> Vec<String> {
        paragraphs(self.doc).into_iter().skip(1).collect()
    }

    /// A payload that validates. In the table ids are short (`trk_1`, `b3:1`);
    /// here they have their full length.
    pub fn example(&self) -> Value {
        let mut example = serde_json::from_str(self.example).unwrap_or_default();
        lengthen_ids(&mut example);
        example
    }

    /// Reads a payload as this command; null is an empty payload.
    pub fn decode(&self, payload: &Value) -> Result<Typed<Command>, CommandError> {
        (self.decode)(payload)
    }
}

impl std::fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CommandSpec({})", self.full_name())
    }
}

fn lengthen_ids(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(long) = long_id(text) {
                *text = long;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(lengthen_ids),
        Value::Object(fields) => fields.values_mut().for_each(lengthen_ids),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn long_id(text: &str) -> Option<String> {
    let (head, digit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !digit.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match head {
        "b3:" => Some(format!("b3:{digit:0>64}")),
        _ => {
            let prefix = head.strip_suffix('_')?;
            EntityKind::from_prefix(prefix).map(|_| format!("{prefix}_{digit:0>26}"))
        }
    }
}

/// Doc comments arrive as lines, each with a leading space; a blank one ends a paragraph.
pub(crate) fn paragraphs(doc: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in doc.lines().map(str::trim) {
        match found.last_mut() {
            Some(last) if !line.is_empty() => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(line);
            }
            _ => found.push(String::new()),
        }
    }
    found.retain(|paragraph| !paragraph.is_empty());
    found
}

/// A payload struct, tied to its command and its reply.
pub trait CommandType: Serialize + DeserializeOwned + Into<Command> {
    type Reply: Serialize + DeserializeOwned;
    const SPEC: &'static CommandSpec;

    /// Rules that go beyond the types of the fields.
    fn check(&self, _checker: &mut Checker) {}

    /// All rules that the payload breaks, with paths from `payload` on.
    fn validate(&self) -> Vec<Violation> {
        let mut checker = Checker::default();
        self.check(&mut checker);
        let mut violations = checker.finish();
        for violation in &mut violations {
            violation.field = format!("payload.{}", violation.field);
        }
        violations
    }
}

pub(super) fn decode_as<C: CommandType>(payload: &Value) -> Result<Typed<Command>, CommandError> {
    let empty = Value::Object(serde_json::Map::new());
    let payload = if payload.is_null() { &empty } else { payload };
    let typed = from_value::<C>("payload", payload)?;
    let violations = typed.value.validate();
    if violations.is_empty() {
        Ok(Typed { value: typed.value.into(), ignored: typed.ignored })
    } else {
        Err(CommandError::Invalid { violations })
    }
}

/// `SetColour` to the bytes of `setColour`, at compile time.
pub const fn lower_first<const N: usize>(name: &str) -> [u8; N] {
    let bytes = name.as_bytes();
    let mut lower = [0; N];
    let mut at = 0;
    while at < N {
        lower[at] = if at == 0 { bytes[at].to_ascii_lowercase() } else { bytes[at] };
        at += 1;
    }
    lower
}

/// The wire name of a payload struct.
macro_rules! wire_name {
    ($name:ident) => {{
        const LENGTH: usize = stringify!($name).len();
        const BYTES: [u8; LENGTH] = $crate::command::table::lower_first(stringify!($name));
        match ::core::str::from_utf8(&BYTES) {
            Ok(name) => name,
            Err(_) => "",
        }
    }};
}

/// A plain struct of the wire: what payloads, replies and events consist of.
macro_rules! wire {
    ($(#[$meta:meta])* struct $name:ident { $($(#[$fmeta:meta])* $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(rename_all = "camelCase")]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty),* }
    };
    ($(#[$meta:meta])* enum $name:ident { $($body:tt)* }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
        pub enum $name { $($body)* }
    };
}

macro_rules! effect {
    (edit) => {
        $crate::command::Effect::Edit
    };
    (set) => {
        $crate::command::Effect::Set
    };
    (act) => {
        $crate::command::Effect::Act
    };
    (put) => {
        $crate::command::Effect::Put
    };
    (ask) => {
        $crate::command::Effect::Ask
    };
}

macro_rules! context {
    (mixer) => {
        $crate::entity::HistoryContext::Mixer
    };
    (timeline) => {
        $crate::entity::HistoryContext::Timeline
    };
    (routing) => {
        $crate::entity::HistoryContext::Routing
    };
    (media) => {
        $crate::entity::HistoryContext::Media
    };
    (timebase) => {
        $crate::entity::HistoryContext::Timebase
    };
    (global) => {
        $crate::entity::HistoryContext::Global
    };
}

macro_rules! commands {
    (
        $(#[doc = $domain_doc:literal])+
        domain $domain:ident;
        $(
            $(#[doc = $doc:literal])+
            $effect:ident $name:ident $([$($context:ident)*])? $(emits [$($event:literal)*])? {
                $($(#[$fmeta:meta])* $field:ident : $ty:ty),* $(,)?
            } -> $reply:ident $({
                $($(#[$rmeta:meta])* $rfield:ident : $rty:ty),* $(,)?
            })?
            $(check $check:expr;)?
            example $example:literal;
        )+
    ) => {
        pub(super) static DOMAIN: $crate::command::DomainSpec = $crate::command::DomainSpec {
            domain: $crate::command::Domain::$domain,
            doc: concat!($($domain_doc, "\n"),+),
            commands: &[$(<$name as $crate::command::CommandType>::SPEC),+],
        };

        #[doc = concat!("A command of the `", stringify!($domain), "` domain.")]
        #[allow(clippy::large_enum_variant, reason = "a command is moved a few times in its life")]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Command { $($name($name),)+ }

        impl Command {
            pub fn spec(&self) -> &'static $crate::command::CommandSpec {
                match self { $(Command::$name(_) => <$name as $crate::command::CommandType>::SPEC,)+ }
            }

            /// The payload as it goes over the wire.
            pub fn payload(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self { $(Command::$name(payload) => serde_json::to_value(payload),)+ }
            }
        }

        $(
            $crate::command::table::wire! {
                $(#[doc = $doc])+
                struct $name { $($(#[$fmeta])* $field: $ty),* }
            }

            $($crate::command::table::wire! {
                #[doc = concat!("What `", stringify!($name), "` answers.")]
                struct $reply { $($(#[$rmeta])* $rfield: $rty),* }
            })?

            impl From<$name> for $crate::command::Command {
                fn from(payload: $name) -> $crate::command::Command {
                    $crate::command::Command::$domain(Command::$name(payload))
                }
            }

            impl $crate::command::CommandType for $name {
                type Reply = $reply;
                const SPEC: &'static $crate::command::CommandSpec = &$crate::command::CommandSpec {
                    domain: $crate::command::Domain::$domain,
                    name: $crate::command::table::wire_name!($name),
                    doc: concat!($($doc, "\n"),+),
                    effect: $crate::command::table::effect!($effect),
                    contexts: &[$($($crate::command::table::context!($context)),*)?],
                    events: &[$($($event),*)?],
                    example: $example,
                    payload_type: stringify!($name),
                    reply_type: stringify!($reply),
                    payload_schema: <$name as schemars::JsonSchema>::json_schema,
                    reply_schema: <$reply as schemars::JsonSchema>::json_schema,
                    decode: $crate::command::table::decode_as::<$name>,
                };

                $(fn check(&self, checker: &mut $crate::entity::Checker) {
                    let check: fn(&$name, &mut $crate::entity::Checker) = $check;
                    check(self, checker);
                })?
            }
        )+
    };
}

pub(crate) use {commands, context, effect, wire, wire_name};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doc_comment_falls_into_paragraphs() {
        assert_eq!(paragraphs(" One\n two.\n\n Three.\n"), ["One two.", "Three."]);
    }
}
