//! Files of the project from the command line.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    access::{Place, io},
    output::{Failure, Output, list, number, text},
};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List files with what is known of them.
    #[command(after_help = "Examples:\n  pulse media list\n  pulse media list kick --unused")]
    List {
        /// Part of a name or a path.
        text: Option<String>,
        /// Only what is not where it should be.
        #[arg(long)]
        missing: bool,
        /// Only what no clip plays.
        #[arg(long)]
        unused: bool,
    },
    /// Bring files into the project.
    #[command(
        after_help = "Examples:\n  pulse media add kick.wav\n  pulse media add --reference /samples/*.flac --tag drums"
    )]
    Add {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Leave them where they are and refer to them.
        #[arg(long)]
        reference: bool,
        #[arg(long)]
        tag: Vec<String>,
    },
    /// Find missing files again, by name, size and content.
    #[command(after_help = "Example:\n  pulse media relink /media/disk/Samples ~/Downloads")]
    Relink {
        /// Folders to look in.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// Take a file of the same name and length whose content differs.
        #[arg(long)]
        loose: bool,
    },
}

pub fn media(place: &Place, output: &Output, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List { text, missing, unused } => show(place, output, text, missing, unused),
        Command::Add { files, reference, tag } => add(place, output, &files, reference, &tag),
        Command::Relink { folders, loose } => relink(place, output, &folders, loose),
    }
}

fn is_missing(item: &Value) -> bool {
    matches!(text(item, "availability"), "missing" | "externalOffline" | "remoteOffline")
}

fn show(
    place: &Place,
    output: &Output,
    part: Option<String>,
    missing: bool,
    unused: bool,
) -> Result<ExitCode, Failure> {
    let mut access = place.access()?;
    let filter = json!({"text": part, "unused": unused});
    let mut items = Vec::new();
    loop {
        let page = json!({"offset": items.len(), "limit": 1_000});
        let reply = access.call("media.list", json!({"filter": filter, "page": page}))?;
        items.extend(list(&reply, "items").iter().cloned());
        if reply["more"] != true {
            break;
        }
    }
    access.finish()?;
    items.retain(|item| !missing || is_missing(item));
    let value = json!({ "items": items });
    Ok(output.result(&value, |output| {
        if items.is_empty() && missing {
            return "nothing is missing\n".to_owned();
        }
        if items.is_empty() {
            return "no files; `pulse media add FILE` brings some in\n".to_owned();
        }
        items.iter().map(|item| line(output, item)).collect()
    }))
}

fn line(output: &Output, item: &Value) -> String {
    let format = &item["format"];
    let (rate, frames) = (number(format, "sampleRate"), number(format, "frames"));
    let length = match rate {
        0 => String::new(),
        rate => format!("{:.2} s", frames as f64 / rate as f64),
    };
    let sound = match rate {
        0 => text(item, "mediaKind").to_owned(),
        rate => format!(
            "{} {:.1} kHz {} ch",
            text(format, "container"),
            rate as f64 / 1_000.0,
            number(format, "channels")
        ),
    };
    let tags: Vec<&str> = list(item, "tags").iter().filter_map(Value::as_str).collect();
    let state = match is_missing(item) {
        true => output.paint("31", "  missing"),
        false => String::new(),
    };
    let rest = [text(&item["storage"], "path").to_owned(), tags.join(" ")].join("  ");
    format!(
        "{}  {:<24} {sound:<18} {length:>9}  {}{state}\n",
        output.dim(text(item, "id")),
        text(item, "name"),
        output.dim(rest.trim_end())
    )
}

/// Paths as a server sees them, which has another working folder.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| io(&error, path))
}

fn add(
    place: &Place,
    output: &Output,
    files: &[PathBuf],
    reference: bool,
    tags: &[String],
) -> Result<ExitCode, Failure> {
    let files = files.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
    let mode = if reference { "reference" } else { "copy" };
    let mut access = place.access()?;
    let mut added = Vec::new();
    for (at, file) in files.iter().enumerate() {
        output.progress("adding", at, files.len(), &file.display().to_string());
        let payload = json!({"path": file, "mode": mode, "tags": tags});
        added.push(access.call("media.import", payload)?);
    }
    output.progress_done();
    access.finish()?;
    let value = json!({ "added": added });
    Ok(output.result(&value, |output| {
        let told = |reply: &Value| match reply["duplicate"] == true {
            true => format!("{} is there already\n", text(&reply["item"], "name")),
            false => line(output, &reply["item"]),
        };
        added.iter().map(told).collect()
    }))
}

fn relink(
    place: &Place,
    output: &Output,
    folders: &[PathBuf],
    loose: bool,
) -> Result<ExitCode, Failure> {
    let roots = folders.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
    let mut access = place.access()?;
    let reply = access.call("media.relink", json!({"roots": roots, "loose": loose}))?;
    access.finish()?;
    Ok(output.result(&reply, |output| {
        let found = list(&reply, "found");
        let mut page: String = found
            .iter()
            .map(|item| {
                let other = if item["sameContent"] == true { "" } else { " (other content)" };
                format!("{} {}{other}\n", output.paint("32", "found"), text(item, "path"))
            })
            .collect();
        let missing = list(&reply, "missing");
        for id in missing.iter().filter_map(Value::as_str) {
            page += &format!("{} {id}\n", output.paint("31", "still missing"));
        }
        if found.is_empty() && missing.is_empty() {
            page += "nothing is missing\n";
        }
        page
    }))
}
