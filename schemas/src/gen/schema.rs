//! The JSON Schema document: `pulse schema --format json`.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    command::{self, CommandSpec, Domain, types::EditReceipt},
    envelope::{self, Kind},
    error::ErrorCode,
    event::{self, EventSpec},
};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The whole contract: `envelope`, `commands` and `events` by `domain.name`,
/// `errors`, and under `$defs` what they share.
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut commands = Map::new();
    for spec in command::all() {
        commands.insert(spec.full_name(), command_entry(spec, &mut generator));
    }
    let mut events = Map::new();
    for spec in event::ALL {
        events.insert(spec.full_name(), event_entry(spec, &mut generator));
    }
    let envelope = plain(envelope::Wire::json_schema(&mut generator));
    let mut definitions = generator.take_definitions(true);
    definitions.values_mut().for_each(tidy);
    sorted(json!({
        "$schema": DRAFT,
        "title": "Pulse protocol",
        "description": "Generated from the command table; do not edit.",
        "protocol": envelope::VERSION,
        "envelope": envelope,
        "domains": domains(),
        "commands": commands,
        "events": events,
        "errors": errors(),
        "$defs": definitions,
    }))
}

/// One command with all that it refers to, for `debug.schema`.
pub fn command_schema(spec: &CommandSpec) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut entry = command_entry(spec, &mut generator);
    let mut definitions = generator.take_definitions(true);
    definitions.values_mut().for_each(tidy);
    entry["$schema"] = DRAFT.into();
    entry["$defs"] = Value::Object(definitions);
    entry
}

fn command_entry(spec: &CommandSpec, generator: &mut SchemaGenerator) -> Value {
    let contexts: Vec<&str> = spec.contexts.iter().map(|context| context.name()).collect();
    json!({
        "doc": spec.summary(),
        "details": spec.details(),
        "effect": spec.effect.name(),
        "undoable": spec.undoable(),
        "idempotent": spec.idempotent(),
        "handled": spec.handled(),
        "contexts": contexts,
        "events": spec.events,
        "payload": plain((spec.payload_schema)(generator)),
        "reply": reply_schema(spec, generator),
        "example": spec.example(),
    })
}

/// The result of an edit carries the receipt beside its own fields.
fn reply_schema(spec: &CommandSpec, generator: &mut SchemaGenerator) -> Value {
    let mut schema = plain((spec.reply_schema)(generator));
    if let Some(fields) = schema.as_object_mut().filter(|_| spec.is_edit()) {
        let properties = fields.entry("properties").or_insert_with(|| json!({}));
        properties["edit"] = generator.subschema_for::<EditReceipt>().to_value();
    }
    schema
}

fn event_entry(spec: &EventSpec, generator: &mut SchemaGenerator) -> Value {
    json!({
        "doc": spec.summary(),
        "kind": if spec.kind == Kind::Snapshot { "snapshot" } else { "event" },
        "channel": spec.class.name(),
        "payload": plain((spec.payload_schema)(generator)),
    })
}

fn domains() -> Map<String, Value> {
    Domain::ALL
        .iter()
        .map(|domain| {
            let doc = command::table::paragraphs(domain.spec().doc).join(" ");
            (domain.name().to_owned(), Value::from(doc))
        })
        .collect()
}

fn errors() -> Map<String, Value> {
    ErrorCode::ALL
        .iter()
        .map(|code| {
            let entry = json!({"doc": code.doc(), "hint": code.hint(), "class": code.class()});
            (code.as_str().to_owned(), entry)
        })
        .collect()
}

fn plain(schema: Schema) -> Value {
    let mut schema = schema.to_value();
    tidy(&mut schema);
    schema
}

/// Doc comments are wrapped for the source; in the schema each is one line.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Whether a `Map` keeps the order of insertion depends on which other crates
/// are in the build; the generated files must not.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut entries: Vec<(String, Value)> = fields.into_iter().collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            entries.into_iter().map(|(name, value)| (name, sorted(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
