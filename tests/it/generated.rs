//! What is generated from the command table is what clients rely on: it is
//! valid by its own standard, and every command's example keeps it.

use std::collections::BTreeSet;

use pulse_schemas::command::{self, CommandSpec};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

/// The schema of a payload or a reply with all that it refers to.
fn whole(schema: fn(&mut SchemaGenerator) -> schemars::Schema) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut whole = schema(&mut generator).to_value();
    whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    whole["$defs"] = Value::Object(generator.take_definitions(true));
    whole
}

fn for_every_command(complain: impl Fn(&CommandSpec) -> Option<String>) {
    let complaints: Vec<String> = command::all()
        .filter_map(|spec| {
            complain(spec).map(|complaint| format!("{}: {complaint}", spec.full_name()))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_schema_is_valid_json_schema_2020_12() {
    for_every_command(|spec| {
        [spec.payload_schema, spec.reply_schema].into_iter().find_map(|schema| {
            let schema = whole(schema);
            jsonschema::draft202012::meta::validate(&schema).err().map(|error| error.to_string())
        })
    });
}

#[test]
fn every_example_keeps_its_schema_and_is_read() {
    for_every_command(|spec| {
        let example = spec.example();
        let validator = match jsonschema::draft202012::new(&whole(spec.payload_schema)) {
            Ok(validator) => validator,
            Err(error) => return Some(format!("the schema can't be used: {error}")),
        };
        if let Err(error) = validator.validate(&example) {
            return Some(format!("at {}: {error}", error.instance_path()));
        }
        spec.decode(&example).err().map(|error| error.to_string())
    });
}

#[test]
fn no_two_commands_have_one_name() {
    let mut names = BTreeSet::new();
    for spec in command::all() {
        assert!(names.insert(spec.full_name()), "{} is declared twice", spec.full_name());
    }
}
