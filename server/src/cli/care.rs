//! Looking after a project and a machine.

use std::{path::Path, process::ExitCode};

use pulse_store::{
    fsck::{FsckError, Report, fsck as check},
    project::{DraftPolicy, OpenOptions, Project, STORE_DIR},
    refs::Refs,
};
use serde_json::{Value, json};

use super::{
    access::Place,
    output::{Failure, Output},
};
use crate::{config::Config, refusal::Refusal};

pub fn fsck(place: &Place, output: &Output, repair: bool) -> Result<ExitCode, Failure> {
    let dir = place.dir()?;
    let roots = |meta: &pulse_store::tree::Snapshot| Refs::new(meta).roots().unwrap_or_default();
    let report = check(&dir.join(STORE_DIR), repair, &roots).map_err(refusal)?;
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let value = json!({
        "clean": report.is_clean(),
        "findings": findings,
        "repaired": report.repaired,
        "nodes": report.nodes,
        "rows": report.rows,
        "journalRows": report.journal_rows,
        "tornBytes": report.torn_bytes,
    });
    output.result(&value, |output| page(output, &report));
    if report.is_clean() {
        return Ok(ExitCode::SUCCESS);
    }
    let text = format!("{} damages were found", report.findings.len());
    Err(Refusal::new(pulse_schemas::error::ErrorCode::ProjectCorrupt, text).into())
}

fn page(output: &Output, report: &Report) -> String {
    let mut page = format!(
        "checked {} nodes, {} history entries, {} journal rows\n",
        report.nodes, report.rows, report.journal_rows
    );
    for repaired in &report.repaired {
        page += &format!("{} {repaired}\n", output.paint("32", "repaired:"));
    }
    for finding in &report.findings {
        page += &format!("{} {finding}\n", output.paint("31", "damaged:"));
    }
    if report.is_clean() {
        page += "everything is as it should be\n";
    }
    page
}

fn refusal(error: FsckError) -> Failure {
    use pulse_schemas::error::ErrorCode;
    let code = match &error {
        FsckError::NotAStore { .. } => ErrorCode::ProjectNotFound,
        FsckError::Lock(_) => ErrorCode::ProjectLocked,
        FsckError::Open(_) => ErrorCode::ProjectNewer,
    };
    Refusal::new(code, error.to_string()).into()
}

pub fn gc(place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let dir = place.dir()?;
    let options = OpenOptions { draft: DraftPolicy::Adopt, ..OpenOptions::default() };
    let mut project = Project::open(&dir, options).map_err(Refusal::from)?;
    let cleaned = project.compact().map_err(Refusal::internal)?;
    let (swept, before, after) = (cleaned.nodes, cleaned.bytes_before, cleaned.bytes_after);
    project.close().map_err(Refusal::from)?;
    let value = json!({
        "removedNodes": swept.nodes, "bytesBefore": before, "bytesAfter": after,
    });
    Ok(output.result(&value, |_| {
        format!("{} nodes removed; {before} bytes before, {after} after\n", swept.nodes)
    }))
}

pub fn doctor(place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let mut checks = vec![
        check_of("pulse", true, format!("version {}", env!("CARGO_PKG_VERSION"))),
        check_of("cores", true, cores().to_string()),
        check_of(
            "settings",
            settings().is_ok(),
            settings().err().unwrap_or_else(|| "valid".into()),
        ),
    ];
    match place.dir() {
        Ok(dir) => checks.push(project(&dir)),
        Err(_) => checks.push(check_of("project", true, "none here".into())),
    }
    let good = checks.iter().all(|check| check["good"] == Value::Bool(true));
    let value = json!({"good": good, "checks": checks});
    output.result(&value, |output| {
        let line = |check: &Value| {
            let mark = if check["good"] == Value::Bool(true) {
                output.paint("32", "ok ")
            } else {
                output.paint("31", "bad")
            };
            let name = check["name"].as_str().unwrap_or_default();
            let text = check["text"].as_str().unwrap_or_default();
            format!("{mark} {name}: {text}\n")
        };
        checks.iter().map(line).collect()
    });
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn check_of(name: &str, good: bool, text: String) -> Value {
    json!({"name": name, "good": good, "text": text})
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn settings() -> Result<(), String> {
    let file = Path::new("pulse.toml");
    Config::load(Some(file).filter(|file| file.exists()), std::env::vars(), &[])
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn project(dir: &Path) -> Value {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    match Project::open(dir, options) {
        Ok(project) => {
            let text = format!("{}, revision {}", dir.display(), project.seq());
            check_of("project", true, text)
        }
        Err(error) => check_of("project", false, error.to_string()),
    }
}
