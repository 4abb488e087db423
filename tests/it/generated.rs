//! What is generated from the command table is what clients rely on: as it is
//! published, it is valid by its own standard, every example keeps it, and the
//! TypeScript types compile. That the files are fresh is tested beside their
//! generator.

use std::process::Command;

use pulse_schemas::{command, r#gen};
use serde_json::{Value, json};

use crate::workspace;

/// One schema of the document with all that it may refer to.
fn whole(document: &Value, schema: &Value) -> Value {
    let mut whole = schema.clone();
    whole["$schema"] = document["$schema"].clone();
    whole["$defs"] = document["$defs"].clone();
    whole
}

/// Every schema of the document, with a name for messages.
fn schemas(document: &Value) -> Vec<(String, &Value)> {
    let mut found = vec![("envelope".to_owned(), &document["envelope"])];
    for (group, parts) in [("commands", &["payload", "reply"][..]), ("events", &["payload"])] {
        for (name, entry) in document[group].as_object().unwrap() {
            found.extend(parts.iter().map(|part| (format!("{name} {part}"), &entry[part])));
        }
    }
    found
}

#[test]
fn every_schema_is_valid_json_schema_2020_12() {
    let document = r#gen::document();
    assert_eq!(document["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
    let definitions = json!({"$schema": document["$schema"], "$defs": document["$defs"]});
    jsonschema::draft202012::meta::validate(&definitions).unwrap();
    for (name, schema) in schemas(&document) {
        if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn every_reference_in_a_schema_leads_somewhere() {
    let document = r#gen::document();
    for (name, schema) in schemas(&document) {
        if let Err(error) = jsonschema::draft202012::new(&whole(&document, schema)) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn every_example_keeps_its_schema_and_is_read() {
    let document = r#gen::document();
    let complaint = |spec: &command::CommandSpec| {
        let entry = &document["commands"][spec.full_name()];
        let validator = jsonschema::draft202012::new(&whole(&document, &entry["payload"])).unwrap();
        if let Err(error) = validator.validate(&entry["example"]) {
            return Some(format!("at {}: {error}", error.instance_path()));
        }
        spec.decode(&entry["example"]).err().map(|error| error.to_string())
    };
    let complaints: Vec<String> = command::all()
        .filter_map(|spec| complaint(spec).map(|text| format!("{}: {text}", spec.full_name())))
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn no_two_commands_have_one_name() {
    let document = r#gen::document();
    assert_eq!(document["commands"].as_object().unwrap().len(), command::all().count());
}

/// Where TypeScript is installed; elsewhere it says that it didn't run.
#[test]
fn the_typescript_types_compile_strictly() {
    let types = workspace::root().join("schemas/generated/pulse.d.ts");
    assert!(types.exists(), "run `just gen`");
    let flags = ["--strict", "--noEmit", "--lib", "es2022"];
    let Ok(output) = Command::new("tsc").args(flags).arg(&types).output() else {
        println!("tsc is not on PATH; the types were not compiled");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
