//! The envelope: what surrounds every message that is not a binary stream.
//!
//! It is read by hand out of a `Value` and not derived whole, for three
//! reasons: fields of a later version survive in `extra`, the version is
//! judged before anything else, and an error still knows the id to answer.

mod timestamp;

pub use timestamp::{ParseTimestampError, Timestamp};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::{
    codec::value::{Fault, ValueError, from_value},
    error::{ErrorBody, ErrorCode},
};

/// The version of the envelope that this crate reads and writes.
pub const VERSION: u16 = 1;
/// Longest message id, in bytes.
pub const LONGEST_ID: usize = 128;

/// Who speaks or is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Party {
    Aura,
    Pulse,
    Signal,
    Composer,
    Tool,
}

/// What a message is; `name` alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A request. It gets exactly one answer: an event or an error with its id as `cid`.
    Command,
    /// Something happened; with `cid` it is the result of that command.
    Event,
    /// Authoritative state, which replaces what the receiver had.
    Snapshot,
    /// A command failed, or without `cid` the connection did.
    Error,
}

/// How soon a message is dealt with; order per connection holds inside one priority.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Priority {
    Realtime,
    High,
    Normal,
    Low,
}

/// Where a message stands in its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Changes when the counting starts afresh (a restart, another project).
    pub epoch: u64,
    /// Counts up by one per message of the channel.
    pub sequence: u64,
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    pub client_id: String,
    pub instance_id: String,
    /// The person, as commits name them.
    pub author: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub id: String,
    /// The id of the command that this answers.
    pub cid: Option<String>,
    /// When the sender made it. Pulse always says; a client may leave it out.
    pub ts: Option<Timestamp>,
    pub origin: Party,
    pub target: Party,
    pub domain: String,
    pub kind: Kind,
    pub name: String,
    pub priority: Priority,
    pub payload: Value,
    pub error: Option<ErrorBody>,
    /// Commands: fail with `conflict.stale` unless the project is at this revision.
    pub expect_revision: Option<u64>,
    /// Events and snapshots of a subscription: where they stand in it.
    pub position: Option<Position>,
    /// Events: who caused this.
    pub by: Option<Cause>,
    /// Fields of a later version, kept as they came.
    pub extra: Map<String, Value>,
}

/// The fields as they stand on the wire, for reading and for the JSON Schema.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Envelope")]
#[allow(dead_code)]
pub(crate) struct Wire {
    /// Version of the envelope: 1.
    v: u16,
    /// Unique per instance of the sender; a command sent again keeps its id and
    /// is answered, not done again.
    id: String,
    /// The id of the command that this answers, else null.
    cid: Option<String>,
    /// When the sender made it, ISO 8601 in UTC.
    ts: Option<Timestamp>,
    /// Who sends; `tool` when absent.
    origin: Option<Party>,
    /// Who is meant; `pulse` when absent.
    target: Option<Party>,
    domain: String,
    kind: Kind,
    /// Unqualified, present tense, camelCase; a command's result has its name.
    name: String,
    /// `normal` when absent.
    priority: Option<Priority>,
    /// What the domain and the name say it is; `{}` when absent.
    #[serde(default)]
    payload: Map<String, Value>,
    /// Set when `kind` is `error`.
    error: Option<ErrorBody>,
    expect_revision: Option<u64>,
    position: Option<Position>,
    by: Option<Cause>,
}

/// Why a document is no envelope, with what is needed to answer it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{body}")]
pub struct EnvelopeError {
    /// The id of the message, if it could be read.
    pub id: Option<String>,
    pub body: ErrorBody,
}

impl Envelope {
    pub fn command(id: impl Into<String>, domain: &str, name: &str, payload: Value) -> Envelope {
        Envelope {
            id: id.into(),
            cid: None,
            ts: None,
            origin: Party::Tool,
            target: Party::Pulse,
            domain: domain.to_owned(),
            kind: Kind::Command,
            name: name.to_owned(),
            priority: Priority::Normal,
            payload,
            error: None,
            expect_revision: None,
            position: None,
            by: None,
            extra: Map::new(),
        }
    }

    /// The successful answer to this command.
    pub fn result(&self, id: impl Into<String>, payload: Value) -> Envelope {
        Envelope { kind: Kind::Event, payload, ..self.answer(id.into()) }
    }

    /// The answer that says why this command was not done.
    pub fn failure(&self, id: impl Into<String>, error: ErrorBody) -> Envelope {
        Envelope { kind: Kind::Error, error: Some(error), ..self.answer(id.into()) }
    }

    /// An event that answers nothing.
    pub fn event(id: impl Into<String>, domain: &str, name: &str, payload: Value) -> Envelope {
        Envelope {
            kind: Kind::Event,
            origin: Party::Pulse,
            target: Party::Aura,
            ..Envelope::command(id, domain, name, payload)
        }
    }

    fn answer(&self, id: String) -> Envelope {
        Envelope {
            cid: Some(self.id.clone()),
            origin: self.target,
            target: self.origin,
            priority: self.priority,
            ..Envelope::command(id, &self.domain, &self.name, Value::Object(Map::new()))
        }
    }

    pub fn from_value(document: Value) -> Result<Envelope, EnvelopeError> {
        let Value::Object(mut fields) = document else {
            let body = ErrorBody::new(ErrorCode::EnvelopeMalformed, "an envelope is an object");
            return Err(EnvelopeError { id: None, body });
        };
        let id = fields.get("id").and_then(Value::as_str).map(str::to_owned);
        match read(&mut fields) {
            Ok(envelope) => Ok(envelope),
            Err(body) => Err(EnvelopeError { id, body }),
        }
    }
}

fn read(fields: &mut Map<String, Value>) -> Result<Envelope, ErrorBody> {
    check_version(fields.get("v"))?;
    let payload = take_payload(fields)?;
    let rest = Value::Object(std::mem::take(fields));
    let typed = from_value::<Wire>("", &rest).map_err(|error| invalid(&error))?;
    let Value::Object(mut rest) = rest else { return Err(invalid_field("", "not an object")) };
    rest.retain(|name, _| typed.ignored.contains(name));
    let wire = typed.value;
    check_text("id", &wire.id, LONGEST_ID)?;
    check_text("domain", &wire.domain, LONGEST_ID)?;
    check_text("name", &wire.name, LONGEST_ID)?;
    Ok(Envelope {
        id: wire.id,
        cid: wire.cid,
        ts: wire.ts,
        origin: wire.origin.unwrap_or(Party::Tool),
        target: wire.target.unwrap_or(Party::Pulse),
        domain: wire.domain,
        kind: wire.kind,
        name: wire.name,
        priority: wire.priority.unwrap_or(Priority::Normal),
        payload,
        error: wire.error,
        expect_revision: wire.expect_revision,
        position: wire.position,
        by: wire.by,
        extra: rest,
    })
}

fn check_version(version: Option<&Value>) -> Result<(), ErrorBody> {
    match version.and_then(Value::as_f64) {
        Some(version) if version == f64::from(VERSION) => Ok(()),
        Some(found) => Err(ErrorBody::new(
            ErrorCode::EnvelopeVersion,
            format!("envelope version {found} isn't spoken here; this is version {VERSION}"),
        )
        .with("supported", vec![VERSION])),
        None => Err(invalid_field("v", "expected the version of the envelope, a number")),
    }
}

/// A payload is an object; leaving it out or sending null means an empty one.
fn take_payload(fields: &mut Map<String, Value>) -> Result<Value, ErrorBody> {
    match fields.remove("payload") {
        None | Some(Value::Null) => Ok(Value::Object(Map::new())),
        Some(payload @ Value::Object(_)) => Ok(payload),
        Some(_) => Err(invalid_field("payload", "expected an object")),
    }
}

fn check_text(field: &str, text: &str, longest: usize) -> Result<(), ErrorBody> {
    if text.is_empty() || text.len() > longest {
        return Err(invalid_field(field, &format!("expected 1 to {longest} bytes of text")));
    }
    Ok(())
}

fn invalid(error: &ValueError) -> ErrorBody {
    let code = match error.fault {
        Fault::NotFinite => ErrorCode::PayloadNotFinite,
        Fault::Missing | Fault::Type | Fault::Value => ErrorCode::EnvelopeInvalid,
    };
    ErrorBody::new(code, error.to_string()).with("path", error.path.clone())
}

fn invalid_field(path: &str, message: &str) -> ErrorBody {
    invalid(&ValueError::new(path.to_owned(), Fault::Value, message.to_owned()))
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = usize::from(self.expect_revision.is_some())
            + usize::from(self.position.is_some())
            + usize::from(self.by.is_some());
        let mut map = serializer.serialize_map(Some(12 + optional + self.extra.len()))?;
        map.serialize_entry("v", &VERSION)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("cid", &self.cid)?;
        map.serialize_entry("ts", &self.ts)?;
        map.serialize_entry("origin", &self.origin)?;
        map.serialize_entry("target", &self.target)?;
        map.serialize_entry("domain", &self.domain)?;
        map.serialize_entry("kind", &self.kind)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("priority", &self.priority)?;
        map.serialize_entry("payload", &self.payload)?;
        map.serialize_entry("error", &self.error)?;
        if let Some(revision) = self.expect_revision {
            map.serialize_entry("expectRevision", &revision)?;
        }
        if let Some(position) = &self.position {
            map.serialize_entry("position", position)?;
        }
        if let Some(by) = &self.by {
            map.serialize_entry("by", by)?;
        }
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(document: Value, expect: &str) {
        let found = match Envelope::from_value(document) {
            Ok(envelope) => format!("{}.{}", envelope.domain, envelope.name),
            Err(error) => format!("{:?} {}", error.id, error.body),
        };
        assert_eq!(found, expect);
    }

    #[test]
    fn only_what_says_what_to_do_is_required() {
        check(
            json!({"v": 1, "id": "a", "domain": "track", "kind": "command", "name": "create"}),
            "track.create",
        );
    }

    #[test]
    fn a_bad_envelope_says_where_and_keeps_the_id_to_answer() {
        check(json!([1]), "None envelope.malformed: an envelope is an object");
        check(
            json!({"v": 2, "id": "a", "domain": 7}),
            "Some(\"a\") envelope.version: envelope version 2 isn't spoken here; this is version 1",
        );
        check(
            json!({"id": "a"}),
            "Some(\"a\") envelope.invalid: `v`: expected the version of the envelope, a number",
        );
        check(
            json!({"v": 1, "id": "a", "kind": "command", "name": "x"}),
            "Some(\"a\") envelope.invalid: `domain`: this field is required",
        );
        check(
            json!({"v": 1, "id": "a", "domain": "d", "kind": "wish", "name": "x"}),
            "Some(\"a\") envelope.invalid: `kind`: unknown variant `wish`, expected one of \
             `command`, `event`, `snapshot`, `error`",
        );
        check(
            json!({"v": 1, "id": "", "domain": "d", "kind": "event", "name": "x"}),
            "Some(\"\") envelope.invalid: `id`: expected 1 to 128 bytes of text",
        );
        check(
            json!({"v": 1, "id": "a", "domain": "d", "kind": "event", "name": "x", "payload": []}),
            "Some(\"a\") envelope.invalid: `payload`: expected an object",
        );
        check(
            json!({"v": 1, "id": "a", "domain": "d", "kind": "event", "name": "x", "ts": "noon"}),
            "Some(\"a\") envelope.invalid: `ts`: a time looks like `2026-01-31T23:59:59.999Z`, \
             found \"noon\"",
        );
    }

    #[test]
    fn fields_of_a_later_version_are_kept() {
        let document = json!({
            "v": 1, "id": "a", "cid": null, "ts": null, "origin": "aura", "target": "pulse",
            "domain": "d", "kind": "event", "name": "x", "priority": "low", "payload": {"deep": 1},
            "error": null, "traceId": {"deep": [1]}
        });
        let envelope = Envelope::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(&envelope).unwrap(), document);
    }

    #[test]
    fn an_answer_goes_back_where_the_command_came_from() {
        let command = Envelope::command("c1", "track", "create", json!({}));
        let answer = command.failure("e1", ErrorBody::new(ErrorCode::SessionBusy, "busy"));
        assert_eq!(answer.cid.as_deref(), Some("c1"));
        assert_eq!((answer.origin, answer.target), (Party::Pulse, Party::Tool));
        assert_eq!(answer.kind, Kind::Error);
    }
}
