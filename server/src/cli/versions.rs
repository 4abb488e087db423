//! Status, log, diff, merge and undo, as people read them.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    access::{Access, Place},
    output::{Failure, Output, list, number, text},
};

/// A hash as people quote it.
pub fn short(hash: &str) -> String {
    hash.strip_prefix("b3:").unwrap_or(hash).chars().take(10).collect()
}

/// A time as people read it: `2026-01-31 23:59`.
pub fn minute(time: &str) -> String {
    time.chars().take(16).collect::<String>().replace('T', " ")
}

pub fn plural(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Asks, closes, prints.
fn once(
    place: &Place,
    output: &Output,
    name: &str,
    payload: Value,
    human: impl FnOnce(&Output, &Value) -> String,
) -> Result<ExitCode, Failure> {
    let mut access = place.access()?;
    let reply = access.call(name, payload)?;
    access.finish()?;
    Ok(output.long(&reply, |output| human(output, &reply)))
}

pub fn status(place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let mut access = place.access()?;
    let info = access.ask("project.info")?["info"].take();
    let diff = access.call("version.diff", json!({"page": {"limit": 1}}))?;
    let conflicts = access.ask("version.conflicts")?;
    let missing = access.ask("media.refresh")?;
    let missing = list(&missing, "missing").len() as u64;
    let branches = access.ask("version.branches")?;
    let standing = standing(&branches, text(&info, "branch")) + &waiting(output, &branches);
    let served = matches!(access, Access::Remote(_));
    access.finish()?;
    let counts = diff["counts"].clone();
    let conflicts = list(&conflicts, "conflicts").len() as u64;
    let value = json!({
        "project": info, "dirty": info["dirty"], "changes": counts,
        "conflicts": conflicts, "missing": missing, "served": served,
    });
    let code = output.result(&value, |output| {
        let mut page =
            format!("{} {}\n", output.bold(text(&info, "name")), place_of(output, &info));
        page += &standing;
        let head = info["head"].as_str().map(short).unwrap_or_else(|| "no commit".into());
        page += &format!("at {head}, revision {}\n", number(&info, "revision"));
        let (added, removed, modified) =
            (number(&counts, "added"), number(&counts, "removed"), number(&counts, "modified"));
        page += &if added + removed + modified == 0 {
            "nothing to commit\n".to_owned()
        } else {
            format!("uncommitted: {added} added, {removed} removed, {modified} changed\n")
        };
        if conflicts > 0 {
            page += &output.paint("33", &format!("{} to decide\n", plural(conflicts, "conflict")));
        }
        if missing > 0 {
            let text = format!(
                "{} missing: `pulse media relink DIR` looks for what is lost\n",
                plural(missing, "file")
            );
            page += &output.paint("33", &text);
        }
        if served {
            page += &output.dim("a server has the project open\n");
        }
        page
    });
    Ok(code)
}

/// "on branch main"; a bare commit says what to do about it.
fn place_of(output: &Output, info: &Value) -> String {
    match info["detached"].as_str() {
        Some(commit) => detached(output, commit),
        None => format!("on branch {}", output.paint("36", text(info, "branch"))),
    }
}

fn detached(output: &Output, commit: &str) -> String {
    format!(
        "at commit {}, on no branch: `pulse branch NAME` makes one here, `pulse switch BRANCH` \
         goes back to one",
        output.paint("33", &short(commit))
    )
}

/// Drafts that wait for somebody's choice, because their branch was moved.
fn waiting(output: &Output, reply: &Value) -> String {
    let line = |branch: &Value| {
        let (name, base) = (text(branch, "name"), short(branch["draftBase"].as_str()?));
        let line = format!(
            "{name} has unsaved edits from commit {base} and was moved since: `pulse switch {name} \
             --draft inspect` shows them, `adopt` or `discard` decides\n"
        );
        Some(output.paint("33", &line))
    };
    list(reply, "branches").iter().filter_map(line).collect()
}

/// How far the other branches are from the one that is open.
fn standing(reply: &Value, open: &str) -> String {
    let others = list(reply, "branches").iter().filter(|branch| text(branch, "name") != open);
    let apart = others.filter(|branch| !text(branch, "name").starts_with('@'));
    apart
        .filter_map(|branch| Some(format!("{} {}\n", text(branch, "name"), apart_by(branch)?)))
        .collect()
}

/// "is 2 commits ahead, 1 behind"; nothing for what stands where the open branch does.
fn apart_by(branch: &Value) -> Option<String> {
    let (ahead, behind) = (number(branch, "ahead"), number(branch, "behind"));
    match (ahead, behind) {
        (0, 0) => None,
        (ahead, 0) => Some(format!("is {} ahead", plural(ahead, "commit"))),
        (0, behind) => Some(format!("is {} behind", plural(behind, "commit"))),
        (ahead, behind) => Some(format!("is {} ahead, {behind} behind", plural(ahead, "commit"))),
    }
}

pub fn log(
    place: &Place,
    output: &Output,
    rev: Option<String>,
    count: u32,
) -> Result<ExitCode, Failure> {
    let payload = json!({"from": rev, "page": {"limit": count}});
    let mut access = place.access()?;
    let reply = access.call("version.log", payload)?;
    let info = access.ask("project.info")?["info"].take();
    access.finish()?;
    Ok(output.long(&reply, |output| {
        let here = info["detached"].as_str().filter(|_| rev.is_none());
        let front = here.map(|commit| detached(output, commit) + "\n").unwrap_or_default();
        let entries = list(&reply, "commits").iter().map(|commit| log_entry(output, commit));
        front + &entries.collect::<String>()
    }))
}

fn log_entry(output: &Output, commit: &Value) -> String {
    let mut names: Vec<&str> = Vec::new();
    for field in ["branches", "tags"] {
        names.extend(list(commit, field).iter().filter_map(Value::as_str));
    }
    let names = if names.is_empty() {
        String::new()
    } else {
        format!(" {}", output.paint("36", &format!("({})", names.join(", "))))
    };
    format!(
        "{}{names} {}\n    {}\n",
        output.paint("33", &short(text(commit, "id"))),
        output.dim(&format!("{}, {}", text(commit, "author"), minute(text(commit, "time")))),
        text(commit, "label")
    )
}

pub fn show(place: &Place, output: &Output, rev: String) -> Result<ExitCode, Failure> {
    once(place, output, "version.show", json!({"rev": rev}), |output, reply| {
        log_entry(output, &reply["commit"]) + &changes(output, reply)
    })
}

pub fn diff(
    place: &Place,
    output: &Output,
    from: Option<String>,
    to: Option<String>,
) -> Result<ExitCode, Failure> {
    let payload = json!({"from": from, "to": to, "page": {"limit": 1000}});
    once(place, output, "version.diff", payload, changes)
}

/// A list of differences, one line an entity; what changed alike in one owner shares one. What
/// is too long to read is told by track.
pub fn changes(output: &Output, reply: &Value) -> String {
    let all = list(reply, "changes");
    if all.is_empty() {
        return "no differences\n".to_owned();
    }
    let tracks = list(reply, "tracks");
    let mut page = String::new();
    let mut told = std::collections::BTreeSet::new();
    for change in all.iter().filter(|_| tracks.is_empty()) {
        let (sign, colour) = match text(change, "change") {
            "added" => ("+", "32"),
            "removed" => ("-", "31"),
            _ => ("~", "33"),
        };
        let line = match change["group"].as_str() {
            Some(group) if !told.insert(group) => continue,
            Some(group) => group,
            // The sign says it already.
            None => {
                let summary = text(change, "summary");
                summary.strip_prefix(text(change, "change")).unwrap_or(summary).trim_start()
            }
        };
        page += &format!("{} {line}\n", output.paint(colour, sign));
    }
    let counted = |of: &Value| {
        let (added, removed) = (number(of, "added"), number(of, "removed"));
        format!("{added} added, {removed} removed, {} changed\n", number(of, "modified"))
    };
    page.extend(tracks.iter().map(|track| format!("{}: {}", text(track, "name"), counted(track))));
    let of = |kind: &str| all.iter().filter(|change| text(change, "change") == kind).count() as u64;
    let shown = json!({"added": of("added"), "removed": of("removed"), "modified": of("modified")});
    let counts = if reply["counts"].is_object() { &reply["counts"] } else { &shown };
    page += &output.dim(&counted(counts));
    page
}

pub fn commit(
    place: &Place,
    output: &Output,
    message: String,
    allow_empty: bool,
) -> Result<ExitCode, Failure> {
    let payload = json!({"message": message, "allowEmpty": allow_empty});
    once(place, output, "version.commit", payload, |output, reply| {
        let commit = &reply["commit"];
        let id = output.paint("33", &short(text(commit, "id")));
        format!("{id} {}\n", text(commit, "label"))
    })
}

pub fn branch(
    place: &Place,
    output: &Output,
    name: Option<String>,
    at: Option<String>,
) -> Result<ExitCode, Failure> {
    let Some(name) = name else {
        return once(place, output, "version.branches", json!({}), |output, reply| {
            let line = |branch: &Value| {
                let current = branch["current"].as_bool().unwrap_or_default();
                let mark = if current { "*" } else { " " };
                let has_draft = branch["draft"].as_bool().unwrap_or_default();
                let draft = match branch["draftBase"].as_str() {
                    Some(base) => {
                        let text = format!(" (unsaved edits from {}, moved since)", short(base));
                        output.paint("33", &text)
                    }
                    None if has_draft => output.dim(" (unsaved edits)"),
                    None => String::new(),
                };
                let name = match text(branch, "name").strip_prefix('@') {
                    Some(commit) => format!("commit {} (no branch)", short(commit)),
                    None => text(branch, "name").to_owned(),
                };
                let name = output.paint(if current { "32" } else { "0" }, &name);
                let apart = apart_by(branch).map(|apart| output.dim(&format!(" {apart}")));
                format!("{mark} {name}{}{draft}\n", apart.unwrap_or_default())
            };
            list(reply, "branches").iter().map(line).collect()
        });
    };
    let payload = json!({"name": name, "at": at});
    once(place, output, "version.branch", payload, |_, reply| {
        format!("branch {}\n", text(&reply["branch"], "name"))
    })
}

/// What becomes of the draft of a branch that was moved.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftWord {
    Adopt,
    Discard,
    Inspect,
}

pub fn switch(
    place: &Place,
    output: &Output,
    name: String,
    draft: Option<DraftWord>,
) -> Result<ExitCode, Failure> {
    let draft = match draft {
        Some(DraftWord::Inspect) => {
            let payload = json!({"branch": name});
            return once(place, output, "version.draft", payload, parked);
        }
        Some(DraftWord::Adopt) => Some("adopt"),
        Some(DraftWord::Discard) => Some("discard"),
        None => None,
    };
    let mut access = place.access()?;
    let reply = access.call("version.switch", json!({"to": name, "draft": draft}))?;
    access.finish()?;
    output.result(&reply, |output| {
        let restored = reply["draftRestored"].as_bool().unwrap_or_default();
        let note = if restored { output.dim(" (unsaved edits are back)") } else { String::new() };
        let place = match reply["branch"].as_str() {
            Some(branch) => format!("on {branch}"),
            None => detached(output, text(&reply, "head")),
        };
        let conflicts = list(&reply, "conflicts").iter().map(|it| conflict(output, it));
        format!("{place}{note}\n") + &conflicts.collect::<String>()
    });
    conflicts_of(&reply)
}

/// A parked draft: what it did, and what adopting it would do.
fn parked(output: &Output, reply: &Value) -> String {
    let draft = &reply["draft"];
    if draft.is_null() {
        return "no unsaved edits are parked there\n".to_owned();
    }
    let (name, base, head) = (text(draft, "branch"), text(draft, "base"), text(draft, "head"));
    let mut page =
        format!("unsaved edits of {name}, from commit {}:\n", output.paint("33", &short(base)));
    page += &changes(output, draft);
    if draft["baseMoved"].as_bool().unwrap_or_default() {
        let head = output.paint("33", &short(head));
        page += &format!("{name} was moved to commit {head} since; adopted there they are:\n");
        page += &changes(output, &json!({"changes": draft["adopted"]}));
        page += &list(draft, "conflicts").iter().map(|it| conflict(output, it)).collect::<String>();
        page += &format!("`pulse switch {name} --draft adopt` or `--draft discard` decides\n");
    }
    page
}

pub fn tag(
    place: &Place,
    output: &Output,
    name: Option<String>,
    at: Option<String>,
) -> Result<ExitCode, Failure> {
    let Some(name) = name else {
        return once(place, output, "version.tags", json!({}), |_, reply| {
            let line =
                |tag: &Value| format!("{} {}\n", short(text(tag, "commit")), text(tag, "name"));
            list(reply, "tags").iter().map(line).collect()
        });
    };
    once(place, output, "version.tag", json!({"name": name, "at": at}), |_, reply| {
        format!("tag {}\n", text(&reply["tag"], "name"))
    })
}

pub fn merge(
    place: &Place,
    output: &Output,
    branch: String,
    preview: bool,
    message: Option<String>,
) -> Result<ExitCode, Failure> {
    let mut access = place.access()?;
    // What is merged are commits; a commit or a tag has no draft.
    let draft = access.call("version.draft", json!({"branch": branch}));
    let parked = draft.map(|mut reply| reply["draft"].take()).unwrap_or_default();
    let (mut reply, told) = if preview {
        let reply = access.call("version.mergePreview", json!({"from": branch}))?;
        let told = reply["preview"].clone();
        (reply, told)
    } else {
        let payload = json!({"from": branch, "message": message});
        let reply = access.call("version.merge", payload)?;
        (reply.clone(), reply)
    };
    access.finish()?;
    if !parked.is_null() {
        reply["leftOut"] = parked["counts"].clone();
    }
    let conflicts = list(&told, "conflicts").len() as u64;
    output.result(&reply, |output| {
        let counts = &told["counts"];
        let mut page = if told["upToDate"].as_bool().unwrap_or_default() {
            "already merged\n".to_owned()
        } else {
            format!(
                "{}: {} added, {} removed, {} changed\n",
                if preview { "would merge" } else { "merged" },
                number(counts, "added"),
                number(counts, "removed"),
                number(counts, "modified")
            )
        };
        page += &list(&told, "conflicts").iter().map(|it| conflict(output, it)).collect::<String>();
        if !parked.is_null() {
            page += &left_out(output, &branch, &parked["counts"]);
        }
        page
    });
    if conflicts > 0 && !preview {
        return Err(Failure::Conflicts { count: conflicts });
    }
    Ok(ExitCode::SUCCESS)
}

/// The unsaved edits of a branch are no part of what is merged.
fn left_out(output: &Output, branch: &str, counts: &Value) -> String {
    format!(
        "{} {branch} has unsaved edits that no commit holds ({} added, {} removed, {} changed): \
         `pulse switch {branch}` and `pulse commit`, then merge again\n",
        output.paint("33", "left out:"),
        number(counts, "added"),
        number(counts, "removed"),
        number(counts, "modified")
    )
}

fn conflict(output: &Output, conflict: &Value) -> String {
    let label = |name: &str, fallback: &str| match text(conflict, name) {
        "" => fallback.to_owned(),
        label => label.to_owned(),
    };
    format!(
        "{} {} ({})\n    base: {}, {}: {}, {}: {}\n    {}\n",
        output.paint("33", "conflict"),
        text(conflict, "title"),
        cause(text(conflict, "cause")),
        text(conflict, "baseText"),
        label("oursLabel", "ours"),
        text(conflict, "oursText"),
        label("theirsLabel", "theirs"),
        text(conflict, "theirsText"),
        output.dim(text(conflict, "id")),
    )
}

/// Why something could not be decided.
fn cause(name: &str) -> &str {
    match name {
        "bothChanged" => "both changed it",
        "deletedByUs" => "we deleted what they changed",
        "deletedByThem" => "they deleted what we changed",
        "bothAdded" => "both added it",
        "ownerDeleted" => "what it belongs to was deleted",
        "routingCycle" => "together they make a loop",
        "invalid" => "together they break a rule",
        "basesDisagree" => "the common ancestors disagree",
        "changedSince" => "it was changed since",
        other => other,
    }
}

/// How conflicts are decided on the command line.
pub struct Side(Option<Value>);

impl Side {
    pub fn of(
        ours: bool,
        theirs: bool,
        base: bool,
        value: Option<String>,
    ) -> Result<Side, Failure> {
        if let Some(text) = value {
            let value: Value = serde_json::from_str(&text)
                .map_err(|error| Failure::Usage(format!("--value takes JSON: {error}")))?;
            return Ok(Side(Some(json!({"value": {"value": value}}))));
        }
        let side = [(ours, "ours"), (theirs, "theirs"), (base, "base")];
        Ok(Side(side.iter().find(|(set, _)| *set).map(|(_, name)| json!(name))))
    }
}

pub fn resolve(
    place: &Place,
    output: &Output,
    conflicts: Vec<String>,
    Side(take): Side,
) -> Result<ExitCode, Failure> {
    let Some(take) = take else {
        return once(place, output, "version.conflicts", json!({}), |output, reply| {
            let all = list(reply, "conflicts");
            if all.is_empty() {
                return "no conflicts\n".to_owned();
            }
            all.iter().map(|it| conflict(output, it)).collect()
        });
    };
    let mut access = place.access()?;
    let reply = access.call("version.resolve", json!({"conflicts": conflicts, "take": take}))?;
    access.finish()?;
    let remaining = number(&reply, "remaining");
    output.result(&reply, |_| format!("{} left\n", plural(remaining, "conflict")));
    if remaining > 0 {
        return Err(Failure::Conflicts { count: remaining });
    }
    Ok(ExitCode::SUCCESS)
}

pub fn undo(
    place: &Place,
    output: &Output,
    context: Option<String>,
    count: u32,
) -> Result<ExitCode, Failure> {
    step(place, output, "undo", "undone", context, count)
}

pub fn redo(
    place: &Place,
    output: &Output,
    context: Option<String>,
    count: u32,
) -> Result<ExitCode, Failure> {
    step(place, output, "redo", "redone", context, count)
}

fn step(
    place: &Place,
    output: &Output,
    name: &str,
    field: &str,
    context: Option<String>,
    count: u32,
) -> Result<ExitCode, Failure> {
    let mut access = place.access()?;
    let payload = json!({"context": context, "count": count});
    let reply = access.call(&format!("history.{name}"), payload)?;
    access.finish()?;
    output.result(&reply, |_| {
        list(&reply, field)
            .iter()
            .map(|step| format!("{field}: {}\n", text(step, "label")))
            .collect()
    });
    conflicts_of(&reply)
}

fn conflicts_of(reply: &Value) -> Result<ExitCode, Failure> {
    match list(reply, "conflicts").len() as u64 {
        0 => Ok(ExitCode::SUCCESS),
        count => Err(Failure::Conflicts { count }),
    }
}

/// `revert` and `pick`: a commit's changes, taken back or done here.
pub fn apply(
    place: &Place,
    output: &Output,
    name: &str,
    rev: String,
    only: &[String],
) -> Result<ExitCode, Failure> {
    let (entities, contexts): (Vec<&String>, Vec<&String>) =
        only.iter().partition(|part| part.contains('_'));
    let payload = json!({"rev": rev, "scope": {"entities": entities, "contexts": contexts}});
    let mut access = place.access()?;
    let reply = access.call(&format!("version.{name}"), payload)?;
    access.finish()?;
    output.result(&reply, |output| changes(output, &reply));
    conflicts_of(&reply)
}
