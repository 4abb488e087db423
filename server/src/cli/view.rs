//! What a project looks like, for people at a terminal.

mod arrangement;
mod dot;
mod mixer;

use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::{
    access::{Access, Place},
    edit::parse,
    output::{Failure, Output},
};

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Drawn for people, where the view has such a form; else JSON.
    Text,
    Json,
    /// Graphviz, of `routing` and `cohorts`.
    Dot,
}

/// Columns that a drawing may take.
const WIDTH: usize = 100;

pub fn view(
    place: &Place,
    output: &Output,
    name: &str,
    query: Option<&str>,
    format: Format,
) -> Result<ExitCode, Failure> {
    let query = read_query(name, query)?;
    let graph = matches!(name, "routing" | "cohorts");
    if format == Format::Dot && !graph {
        let text = "`--format dot` draws graphs: `routing` and `cohorts`";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut access = place.access()?;
    let state = get(&mut access, &query)?;
    let drawing = match (format, name) {
        _ if output.json => None,
        (Format::Text, "arrangement") => {
            let timeline = get(&mut access, &about("timeline", &query))?;
            Some(arrangement::draw(&state["data"], &timeline["data"], WIDTH, output))
        }
        (Format::Text, "mixer") => Some(mixer::draw(&state["data"], output)),
        (Format::Dot, "routing") => {
            let cohorts = get(&mut access, &about("cohorts", &query))?;
            Some(dot::draw(&state["data"], &cohorts["data"]))
        }
        (Format::Dot, _) => {
            let routing = get(&mut access, &about("routing", &query))?;
            Some(dot::draw(&routing["data"], &state["data"]))
        }
        _ => None,
    };
    access.finish()?;
    Ok(output.result(&state, |_| drawing.unwrap_or_else(|| format!("{:#}\n", state["data"]))))
}

fn get(access: &mut Access, query: &Value) -> Result<Value, Failure> {
    let mut reply = access.call("view.get", json!({ "query": query }))?;
    Ok(reply["state"].take())
}

/// The same revision and arrangement through another view.
fn about(name: &str, query: &Value) -> Value {
    let mut other = Map::from_iter([("view".to_owned(), json!(name))]);
    for field in ["rev", "subject"] {
        if let Some(value) = query.get(field) {
            other.insert(field.to_owned(), value.clone());
        }
    }
    Value::Object(other)
}

/// `{"window": …}`, or only the id of the subject.
fn read_query(name: &str, text: Option<&str>) -> Result<Value, Failure> {
    let mut query = match text {
        Some(text) if !text.trim_start().starts_with('{') => json!({ "subject": text }),
        text => parse(text)?,
    };
    if let Value::Object(fields) = &mut query {
        fields.insert("view".to_owned(), json!(name));
    }
    Ok(query)
}

/// A list of a view's data.
fn rows<'a>(data: &'a Value, list: &str) -> &'a [Value] {
    data[list].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

/// Cut or padded to a width in characters.
fn fit(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return format!("{text}{}", " ".repeat(width - count));
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_alone_is_the_subject() {
        let query = read_query("track", Some("trk_1")).unwrap();
        assert_eq!(query, json!({"view": "track", "subject": "trk_1"}));
        let query = read_query("mixer", None).unwrap();
        assert_eq!(query, json!({"view": "mixer"}));
        assert!(read_query("mixer", Some("{")).is_err());
    }

    #[test]
    fn text_is_cut_or_padded_to_its_column() {
        for (given, expect) in [("Bass", "Bass  "), ("Long name", "Long …"), ("", "      ")] {
            assert_eq!(fit(given, 6), expect);
        }
    }
}
