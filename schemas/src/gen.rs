//! Everything that is generated from the command table, made by one function,
//! so that writing the files and testing that they are fresh cannot differ.

mod reference;
mod schema;
mod typescript;

use serde_json::Value;

pub use schema::{command_schema, document};
pub use typescript::type_text;

use crate::command::CommandSpec;

/// Every generated file: its path from the root of the repository, and its text.
pub fn all() -> Vec<(&'static str, String)> {
    let document = document();
    vec![
        ("schemas/generated/pulse.schema.json", json_text(&document)),
        ("schemas/generated/pulse.d.ts", typescript::declarations(&document)),
        ("docs/reference/commands.md", reference::commands(&document)),
        ("docs/reference/errors.md", reference::errors()),
        ("docs/reference/coverage.md", reference::coverage()),
    ]
}

/// The TypeScript types, as `pulse schema --format ts` prints them.
pub fn typescript() -> String {
    typescript::declarations(&document())
}

/// The reference, as `pulse schema --format md` prints it.
pub fn markdown() -> String {
    reference::commands(&document())
}

fn json_text(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// `TrackCreate` of `track.create`; its types are `TrackCreateCommand` and
/// `TrackCreateReply`, and no shared type ends in either word.
fn type_name(spec: &CommandSpec) -> String {
    format!("{}{}", capital(spec.domain.name()), capital(spec.name))
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// The fields of an object schema, each with whether it is required.
fn properties(schema: &Value) -> Vec<(&str, &Value, bool)> {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_required = |name: &str| required.iter().any(|other| other == name);
    schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, field)| (name.as_str(), field, is_required(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command;

    #[test]
    fn no_two_types_have_one_name() {
        let document = document();
        let mut names: BTreeSet<String> =
            document["$defs"].as_object().unwrap().keys().cloned().collect();
        let numbered: Vec<&String> = names
            .iter()
            .filter(|name| name.ends_with(|last: char| last.is_ascii_digit()))
            .collect();
        assert!(numbered.is_empty(), "two types are called {numbered:?}");
        for spec in command::all() {
            for name in [format!("{}Command", type_name(spec)), format!("{}Reply", type_name(spec))]
            {
                assert!(names.insert(name.clone()), "{name} is taken");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(target)) = fields.get("$ref") {
                        let pointer = target.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{target}");
                    }
                    fields.values().for_each(|field| check(field, document));
                }
                Value::Array(items) => items.iter().for_each(|item| check(item, document)),
                _ => {}
            }
        }
        let document = document();
        check(&document, &document);
    }
}
