//! New projects, any command, the contract.

use std::{io::BufRead, path::Path, process::ExitCode, sync::Arc};

use pulse_store::project::{CreateOptions, Project};
use serde_json::{Value, json};

use super::{
    SchemaFormat,
    access::Place,
    output::{Failure, Output},
};
use crate::{
    commands::{begin, parse_actor},
    refusal::Refusal,
    session::Session,
    templates,
};

pub fn new(
    place: &Place,
    output: &Output,
    dir: &Path,
    template: &str,
    actor: Option<&str>,
) -> Result<ExitCode, Failure> {
    let template = templates::Template::parse(template).map_err(Failure::Usage)?;
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let options = CreateOptions {
        name: name.unwrap_or_else(|| "Untitled".into()),
        author: place.author.clone(),
        time: crate::clock::now().0,
        actor: actor.map(parse_actor).transpose()?,
        ..CreateOptions::default()
    };
    let project = Project::create(dir, options).map_err(Refusal::from)?;
    let mut session = Session::over(Arc::new(super::access::config()?), project);
    begin(&mut session, template, &place.author, crate::clock::now().0)?;
    let root = session.project()?.root();
    super::access::Access::Local { session: Box::new(session), caller: place.caller() }.finish()?;
    let path = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let value = json!({"path": path, "template": template.to_string(), "root": root});
    Ok(output
        .result(&value, |output| format!("{} {}\n", output.bold("New project in"), path.display())))
}

pub fn run(
    place: &Place,
    output: &Output,
    name: &str,
    payload: Option<String>,
) -> Result<ExitCode, Failure> {
    let mut access = place.access()?;
    if name != "-" {
        let reply = access.call(name, parse(payload.as_deref())?)?;
        let reply = access.settle(reply)?;
        access.finish()?;
        return Ok(print(output, &reply));
    }
    let mut replies = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| super::access::io(&error, Path::new("stdin")))?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, payload) = line.split_once(char::is_whitespace).unwrap_or((line, "{}"));
        let reply = access.call(name, parse(Some(payload))?)?;
        replies.push(access.settle(reply)?);
    }
    access.finish()?;
    Ok(print(output, &Value::Array(replies)))
}

pub fn parse(payload: Option<&str>) -> Result<Value, Failure> {
    let text = payload.unwrap_or("{}");
    serde_json::from_str(text)
        .map_err(|error| Failure::Usage(format!("the payload is not JSON: {error}; found {text}")))
}

/// A reply as it is: JSON is what it is for people too, only indented.
pub fn print(output: &Output, reply: &Value) -> ExitCode {
    output.result(reply, |_| format!("{reply:#}\n"))
}

pub fn schema(output: &Output, format: SchemaFormat) -> Result<ExitCode, Failure> {
    let wanted = match format {
        SchemaFormat::Json => "schemas/generated/pulse.schema.json",
        SchemaFormat::Ts => "schemas/generated/pulse.d.ts",
        SchemaFormat::Md => "docs/reference/commands.md",
    };
    let all = pulse_schemas::r#gen::all();
    let found = all.into_iter().find(|(path, _)| *path == wanted);
    let (_, text) = found.ok_or_else(|| Refusal::internal(format!("no generator for {wanted}")))?;
    output.text(&text);
    Ok(ExitCode::SUCCESS)
}
