//! TypeScript types, out of the JSON Schema and not out of the structs: what a
//! client checks at run time and at compile time is then the same.

use std::fmt::Write;

use serde_json::Value;

use super::{capital, properties};
use crate::command;

const HEAD: &str = "\
// Generated from the command table; do not edit.
// `Commands` and `Events` map `domain.name` to payload and reply.

";

/// The declarations of everything in the document.
pub(super) fn declarations(document: &Value) -> String {
    let mut out = HEAD.to_owned();
    if let Some(definitions) = document["$defs"].as_object() {
        for (name, schema) in definitions {
            declare(&mut out, name, schema);
        }
    }
    declare(&mut out, "Envelope", &document["envelope"]);
    commands(&mut out, document);
    events(&mut out, document);
    errors(&mut out, document);
    out
}

fn commands(out: &mut String, document: &Value) {
    let mut map = String::new();
    for spec in command::all() {
        let (full, name) = (spec.full_name(), super::type_name(spec));
        let entry = &document["commands"][&full];
        declare(out, &format!("{name}Command"), &entry["payload"]);
        declare(out, &format!("{name}Reply"), &entry["reply"]);
        comment(&mut map, entry["doc"].as_str(), "  ");
        let _ = writeln!(map, "  \"{full}\": {{ payload: {name}Command; reply: {name}Reply }};");
    }
    let _ = write!(out, "export interface Commands {{\n{map}}}\n\n");
    out.push_str("export type CommandName = keyof Commands;\n\n");
}

fn events(out: &mut String, document: &Value) {
    let mut map = String::new();
    for spec in crate::event::ALL {
        let full = spec.full_name();
        let name = format!("{}{}Event", capital(spec.domain), capital(spec.name));
        let entry = &document["events"][&full];
        declare(out, &name, &entry["payload"]);
        comment(&mut map, entry["doc"].as_str(), "  ");
        let _ = writeln!(map, "  \"{full}\": {name};");
    }
    let _ = write!(out, "export interface Events {{\n{map}}}\n\n");
    out.push_str("export type EventName = keyof Events;\n\n");
}

fn errors(out: &mut String, document: &Value) {
    out.push_str("export type KnownErrorCode =\n");
    if let Some(codes) = document["errors"].as_object() {
        let codes: Vec<String> = codes.keys().map(|code| format!("  | {code:?}")).collect();
        out.push_str(&codes.join("\n"));
    }
    out.push_str(";\n");
}

fn declare(out: &mut String, name: &str, schema: &Value) {
    comment(out, schema["description"].as_str(), "");
    if is_interface(schema) {
        let _ = write!(out, "export interface {name} {}\n\n", object(schema, ""));
    } else {
        let _ = write!(out, "export type {name} = {};\n\n", inline(schema, ""));
    }
}

fn is_interface(schema: &Value) -> bool {
    schema["type"] == "object"
        && ["oneOf", "anyOf", "allOf", "additionalProperties"]
            .iter()
            .all(|keyword| schema.get(keyword).is_none())
}

fn comment(out: &mut String, text: Option<&str>, indent: &str) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        let _ = writeln!(out, "{indent}/** {} */", text.replace("*/", "* /"));
    }
}

/// A schema as one TypeScript type, for tables and messages.
pub fn type_text(schema: &Value) -> String {
    inline(schema, "")
}

fn inline(schema: &Value, indent: &str) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or("unknown").to_owned();
        return match schema["properties"].is_object() {
            true => format!("({name} & {})", object(schema, indent)),
            false => name,
        };
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema["enum"].as_array() {
        return union(values.iter().map(Value::to_string));
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[keyword].as_array() {
            let choices = union(choices.iter().map(|choice| inline(choice, indent)));
            return match schema["properties"].is_object() {
                true => format!("({choices}) & {}", object(schema, indent)),
                false => choices,
            };
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts: Vec<String> = parts.iter().map(|part| inline(part, indent)).collect();
        return parts.join(" & ");
    }
    match &schema["type"] {
        Value::String(name) => simple(name, schema, indent),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str);
            union(names.map(|name| simple(name, schema, indent)))
        }
        _ => "unknown".to_owned(),
    }
}

fn union(choices: impl Iterator<Item = String>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for choice in choices {
        if !distinct.contains(&choice) {
            distinct.push(choice);
        }
    }
    distinct.join(" | ")
}

fn simple(name: &str, schema: &Value, indent: &str) -> String {
    match name {
        "string" => "string".to_owned(),
        "integer" | "number" => "number".to_owned(),
        "boolean" => "boolean".to_owned(),
        "null" => "null".to_owned(),
        "array" => array(schema, indent),
        "object" => object(schema, indent),
        _ => "unknown".to_owned(),
    }
}

fn array(schema: &Value, indent: &str) -> String {
    if let Some(items) = schema["prefixItems"].as_array() {
        let items: Vec<String> = items.iter().map(|item| inline(item, indent)).collect();
        return format!("[{}]", items.join(", "));
    }
    let item = match schema.get("items") {
        Some(items) => inline(items, indent),
        None => "unknown".to_owned(),
    };
    let plain = item.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { format!("{item}[]") } else { format!("Array<{item}>") }
}

fn object(schema: &Value, indent: &str) -> String {
    let fields = properties(schema);
    if fields.is_empty() {
        return match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => "Record<string, never>".to_owned(),
            Some(values @ Value::Object(_)) => {
                format!("Record<string, {}>", inline(values, indent))
            }
            _ if schema.get("properties").is_some() => "{}".to_owned(),
            _ if is_interface(schema) && schema.get("description").is_some() => "{}".to_owned(),
            _ => "Record<string, unknown>".to_owned(),
        };
    }
    let deeper = format!("{indent}  ");
    let mut out = "{\n".to_owned();
    for (name, field, required) in fields {
        comment(&mut out, field["description"].as_str(), &deeper);
        let optional = if required { "" } else { "?" };
        let _ = writeln!(out, "{deeper}{}{optional}: {};", key(name), inline(field, &deeper));
    }
    out.push_str(indent);
    out.push('}');
    out
}

/// A name that is no identifier stands in quotes.
fn key(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_becomes_a_type() {
        let check = |schema: Value, expect: &str| assert_eq!(type_text(&schema), expect);
        check(json!({"type": ["integer", "null"]}), "number | null");
        check(json!({"type": "array", "items": {"$ref": "#/$defs/Note"}}), "Note[]");
        check(json!({"type": "array", "items": {"enum": ["a", "b"]}}), "Array<\"a\" | \"b\">");
        check(json!({"anyOf": [{"$ref": "#/$defs/Fade"}, {"type": "null"}]}), "Fade | null");
        check(
            json!({"type": "object", "additionalProperties": {"type": "number"}}),
            "Record<string, number>",
        );
        check(
            json!({"$ref": "#/$defs/Track", "type": "object", "required": ["kind"],
                   "properties": {"kind": {"const": "track"}}}),
            "(Track & {\n  kind: \"track\";\n})",
        );
        check(json!(true), "unknown");
        check(
            json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}),
            "{\n  a: boolean;\n}",
        );
    }
}
