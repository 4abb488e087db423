//! What a project looks like, for people at a terminal.

mod arrangement;
mod content;
mod dot;
mod graph;
mod lists;
mod mixer;
mod table;

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
    /// Drawn for people.
    Text,
    Json,
    /// Graphviz, of `routing` and `cohorts`.
    Dot,
}

/// Columns that a drawing may take.
const WIDTH: usize = 100;

/// Views that say which files are there.
const LOOKS: [&str; 4] = ["arrangement", "clip", "media", "track"];

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
    // A server looks by itself; here nobody has yet.
    if matches!(access, Access::Local { .. }) && LOOKS.contains(&name) {
        access.ask("media.refresh")?;
    }
    let state = get(&mut access, &query)?;
    let drawing = match format {
        _ if output.json => None,
        Format::Json => None,
        Format::Dot => {
            let other = if name == "routing" { "cohorts" } else { "routing" };
            let other = get(&mut access, &about(other, &query))?;
            let (routing, cohorts) =
                if name == "routing" { (&state, &other) } else { (&other, &state) };
            Some(dot::draw(&routing["data"], &cohorts["data"]))
        }
        Format::Text => Some(draw(&mut access, name, &query, &state["data"], output)?),
    };
    access.finish()?;
    Ok(output.result(&state, |_| drawing.unwrap_or_else(|| format!("{:#}\n", state["data"]))))
}

fn draw(
    access: &mut Access,
    name: &str,
    query: &Value,
    data: &Value,
    output: &Output,
) -> Result<String, Failure> {
    // A subject of these is no arrangement: bars and names are those of the one that plays.
    let other = |access: &mut Access, name: &str| {
        let inner = matches!(self::text(query, "view"), "track" | "clip" | "automation");
        let mut other = about(name, query);
        if let Some(fields) = other.as_object_mut().filter(|_| inner) {
            fields.remove("subject");
        }
        Ok::<Value, Failure>(get(access, &other)?["data"].take())
    };
    let names = match name {
        "mixer" | "track" => other(access, "routing")?,
        _ => Value::Null,
    };
    let names = |id: &str| {
        let found = rows(&names, "channels").iter().find(|it| text(it, "id") == id);
        found.map(|channel| text(channel, "name").to_owned())
    };
    let timeline = match name {
        "arrangement" | "track" | "clip" | "automation" => other(access, "timeline")?,
        "timeline" => data.clone(),
        _ => Value::Null,
    };
    let bars = table::Bars::new(&timeline);
    Ok(match name {
        "arrangement" => arrangement::draw(data, &timeline, WIDTH, output),
        "mixer" => mixer::draw(data, &names, output),
        "track" => content::track(data, &bars, &names, output),
        "clip" => content::clip(data, &bars, output),
        "automation" => content::automation(data, &bars, output),
        "routing" => graph::routing(data, output),
        "cohorts" => graph::cohorts(data, output),
        "media" => lists::media(data, output),
        "history" => lists::history(data, output),
        "branches" => lists::branches(data, output),
        "diff" => super::versions::changes(output, data),
        "timeline" => lists::timeline(data, &bars, output),
        _ => format!("{data:#}\n"),
    })
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
