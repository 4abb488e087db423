//! Looking after a project and a machine.

use std::{path::Path, process::ExitCode};

use pulse_schemas::{
    entity::{Lifecycle, MediaItem},
    error::ErrorCode,
};
use pulse_store::{
    fsck::{FsckError, Report},
    project::{DraftPolicy, OpenOptions, Project},
};
use serde_json::{Value, json};

use super::{
    access::Place,
    output::{Failure, Output, list, number, text},
    versions::plural,
};
use crate::{config::Config, places::Places, refusal::Refusal};

pub fn fsck(place: &Place, output: &Output, repair: bool) -> Result<ExitCode, Failure> {
    let dir = place.dir()?;
    let report = match Project::fsck(&dir, repair) {
        Ok(report) => report,
        Err(FsckError::Lock(_)) if !repair => return served_fsck(place, output),
        Err(error) => return Err(refusal(error)),
    };
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let value = json!({
        "clean": report.is_clean(),
        "findings": findings,
        "repaired": report.repaired,
        "lost": report.lost.iter().map(|it| json!({"what": it.what, "of": it.of})).collect::<Vec<_>>(),
        "setAside": report.set_aside,
        "writtenDown": report.written_down,
        "nodes": report.nodes,
        "rows": report.rows,
        "journalRows": report.journal_rows,
        "tornBytes": report.torn_bytes,
    });
    output.result(&value, |output| page(output, &report, repair));
    if report.is_clean() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(damaged(
        report.findings.len(),
        match repair {
            false => "`pulse fsck --repair` puts right what can be proved; nothing was changed.",
            true => "What is left needs a backup or a text export beside `.pulse`.",
        },
    ))
}

/// What the check found is on the page; this is the end of it.
fn damaged(count: usize, hint: &str) -> Failure {
    let text = match count {
        1 => "1 damage was found".to_owned(),
        count => format!("{count} damages were found"),
    };
    let refusal = Refusal::new(pulse_schemas::error::ErrorCode::ProjectCorrupt, text);
    refusal.with("hint", hint).into()
}

/// The files are in use, so the server that uses them looks: at every record and
/// reference, though not at the bytes below.
fn served_fsck(place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let mut access = place.access()?;
    let reply = access.ask("diagnostics.check")?;
    access.finish()?;
    let all = list(&reply, "findings");
    let damages = all.iter().filter(|finding| text(finding, "severity") == "error").count();
    let findings: Vec<&str> = all.iter().map(|finding| text(finding, "message")).collect();
    let value = json!({
        "clean": damages == 0, "findings": findings, "served": true,
        "checked": number(&reply, "checked"),
    });
    output.result(&value, |output| {
        let mut page = format!("checked {} records in the server\n", number(&reply, "checked"));
        for finding in &findings {
            page += &format!("{} {finding}\n", output.paint("31", "found:"));
        }
        if damages == 0 {
            page += "every record is as it should be\n";
        }
        page + &output.dim("to check the files themselves, stop the server first\n")
    });
    if damages == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Err(damaged(damages, "Stop the server, then `pulse fsck` checks the files themselves."))
}

fn page(output: &Output, report: &Report, repair: bool) -> String {
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
    for loss in &report.lost {
        page += &format!("{} {}, gone from {}\n", output.paint("31", "lost:"), loss.what, loss.of);
    }
    for file in &report.written_down {
        page += &format!("what the lost edits were: {}\n", file.display());
    }
    for file in &report.set_aside {
        page += &format!("the file as it was: {}\n", file.display());
    }
    page + &next_step(report, repair)
}

/// What a person does now.
fn next_step(report: &Report, repair: bool) -> String {
    let is_whole = report.is_clean() && report.lost.is_empty();
    match (report.is_clean(), repair) {
        (true, _) if is_whole && report.set_aside.is_empty() => {
            "everything is as it should be\n".into()
        }
        (true, _) if is_whole => "everything is as it should be again: open the project, and \
             delete the file that was set aside once you have looked around\n"
            .into(),
        (true, _) => "the project can be opened; what is lost may be in a backup: keep the file \
             that was set aside until you have looked\n"
            .into(),
        (false, false) => "next: close every program that uses the project and run \
             `pulse fsck --repair`; it keeps each file that it replaces\n"
            .into(),
        (false, true) => "next: put a backup of the project's folder or a text export of the \
             project beside `.pulse` and run `pulse fsck --repair` again; everything that is not \
             named here can still be opened\n"
            .into(),
    }
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
    let mut project = match Project::open(&dir, options).map_err(Refusal::from) {
        Ok(project) => project,
        Err(Refusal(error)) if error.details.contains_key("socket") => {
            return served_gc(place, output);
        }
        Err(error) => return Err(error.into()),
    };
    let cleaned = project.compact().map_err(Refusal::from)?;
    let (swept, before, after) = (cleaned.nodes, cleaned.bytes_before, cleaned.bytes_after);
    project.close().map_err(Refusal::from)?;
    let value = json!({
        "removedNodes": swept.nodes, "bytesBefore": before, "bytesAfter": after,
    });
    Ok(output.result(&value, |_| {
        let freed = size(before.saturating_sub(after));
        format!("{} nodes removed; {freed} freed, {} left\n", swept.nodes, size(after))
    }))
}

/// Asks the server that has the project open.
fn served_gc(place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let mut access = place.access()?;
    let reply = access.ask("diagnostics.collectGarbage")?;
    access.finish()?;
    let (nodes, bytes) = (number(&reply, "freedNodes"), number(&reply, "freedBytes"));
    let value = json!({"removedNodes": nodes, "freedBytes": bytes, "served": true});
    Ok(output.result(&value, |_| format!("{nodes} nodes removed; {} freed\n", size(bytes))))
}

/// Bytes as people count them.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} bytes"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
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
        Ok(dir) => checks.extend(project(&dir)),
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
    Config::here().map(|_| ()).map_err(|error| error.to_string())
}

/// Whether it opens, and whether the files that it names are there.
fn project(dir: &Path) -> Vec<Value> {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let project = match Project::open(dir, options) {
        Ok(project) => project,
        Err(error) => {
            let Refusal(body) = Refusal::from(error);
            // That somebody works on it is no defect of it.
            let fine = body.code == ErrorCode::ProjectLocked.as_str();
            return vec![check_of("project", fine, body.message)];
        }
    };
    let text = format!("{}, revision {}", dir.display(), project.seq());
    let items = project.view().all::<MediaItem>().unwrap_or_default();
    let places = Places::of(Some(dir));
    let gone = |item: &&MediaItem| {
        let named = places.named(item);
        item.lifecycle == Lifecycle::Final && named.is_some() && places.present(item).is_none()
    };
    let missing: Vec<&str> = items.iter().filter(gone).map(|item| item.name.as_str()).collect();
    let media = match &missing[..] {
        [] => check_of("media", true, format!("{}, all there", plural(items.len() as u64, "file"))),
        missing => {
            let (count, names) = (plural(missing.len() as u64, "file"), missing.join(", "));
            let text =
                format!("{count} missing ({names}); `pulse media relink DIR` looks for them");
            check_of("media", false, text)
        }
    };
    vec![check_of("project", true, text), media]
}
