//! `pulse replay`: a log of commands, done again.

use std::{fs::File, io::BufReader, path::Path, process::ExitCode, time::Instant};

use pulse_schemas::error::{ErrorBody, ErrorCode};
use serde_json::json;

use super::{
    access::io,
    output::{Failure, Output},
};
use crate::{
    refusal::Refusal,
    replay::{ReplayError, replay as run},
    scratch::Scratch,
};

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Failure {
        let text = error.to_string();
        let body = match error {
            ReplayError::Read(error) => {
                ErrorBody::new(ErrorCode::IoFailed, text).with("reason", error.to_string())
            }
            ReplayError::NotALog => ErrorBody::new(ErrorCode::PayloadInvalid, text),
            ReplayError::Version { found } => {
                ErrorBody::new(ErrorCode::ProjectNewer, text).with("found", found)
            }
            ReplayError::Line { line, .. } => {
                ErrorBody::new(ErrorCode::PayloadInvalid, text).with("line", line)
            }
            ReplayError::Base { revision, .. } => {
                ErrorBody::new(ErrorCode::ConflictStale, text).with("revision", revision)
            }
            ReplayError::Diverged { line, expected, found, .. } => {
                ErrorBody::new(ErrorCode::ConflictStale, text)
                    .with("line", line)
                    .with("expected", expected)
                    .with("found", found)
            }
            ReplayError::Taken { .. } => ErrorBody::new(ErrorCode::ProjectExists, text),
            ReplayError::Open(body) => body,
        };
        Failure::Refused(body)
    }
}

pub fn replay(output: &Output, log: &Path, dir: Option<&Path>) -> Result<ExitCode, Failure> {
    let file = File::open(log).map_err(|error| io(&error, log))?;
    // Gone with the end of this function, or with the next one if this process is killed.
    let scratch = match dir {
        None => Some(Scratch::new().map_err(|error| io(&error, &std::env::temp_dir()))?),
        Some(_) => None,
    };
    let place = match (dir, &scratch) {
        (Some(dir), _) => std::path::absolute(dir).map_err(|error| io(&error, dir))?,
        (None, scratch) => scratch.iter().map(|it| it.path().join("project")).collect(),
    };
    let start = Instant::now();
    let done = run(BufReader::new(file), &place).map_err(Failure::from);
    let closed = done.and_then(|(session, replayed)| {
        if let Some(open) = session.open {
            open.project.close().map_err(Refusal::from)?;
        }
        Ok(replayed)
    });
    let replayed = closed?;
    let kept = dir.map(|_| place.display().to_string());
    let value = json!({
        "lines": replayed.lines,
        "refused": replayed.refused,
        "root": replayed.root,
        "revision": replayed.revision,
        "dir": kept,
    });
    Ok(output.result(&value, |output| {
        let root = replayed.root.map_or_else(|| "no project".into(), |root| root.to_string());
        format!(
            "{} {} commands, {} of them refused, as they were then\nrevision {}, {}\n{}",
            output.bold("Replayed"),
            replayed.lines,
            replayed.refused,
            replayed.revision,
            output.dim(&root),
            output.dim(&format!("{:.2} s\n", start.elapsed().as_secs_f64())),
        )
    }))
}
