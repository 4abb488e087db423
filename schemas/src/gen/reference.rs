//! The reference in Markdown: commands and events, errors, coverage.

use std::fmt::Write;

use serde_json::Value;

use super::{properties, type_text};
use crate::{
    command::{self, CommandSpec, Domain, table::paragraphs},
    error::ErrorCode,
    event,
};

const MARK: &str = "<!-- Generated from the command table by `just gen`; do not edit. -->\n\n";

pub(super) fn commands(document: &Value) -> String {
    let mut out = MARK.to_owned();
    out.push_str(
        "# Commands\n\n\
         Every command is sent as an envelope of kind `command` and answered by exactly one \
         envelope with its id as `cid`: an `event` of the same name, whose payload is the reply, \
         or an `error`. [The protocol](../protocol.md) describes envelope, framing and encodings; \
         [the list of errors](errors.md) what can go wrong. Field types are in TypeScript's \
         notation; times are ticks (45,158,400 to the quarter note) unless they are flicks \
         (705,600,000 to the second).\n\n\
         The word behind a command's name says what it does: **edit** and **set** change the \
         project, as a transaction that can be undone, and their reply has the field `edit` \
         with the new revision; **act** and **put** change the session, the history or the \
         machine; **ask** changes nothing. `set`, `put` and `ask` may be repeated without harm.\n\n",
    );
    contents(&mut out);
    for domain in Domain::ALL {
        let spec = domain.spec();
        let _ = write!(out, "## {}\n\n", domain.name());
        for paragraph in paragraphs(spec.doc) {
            let _ = write!(out, "{paragraph}\n\n");
        }
        for command in spec.commands {
            one_command(&mut out, command, document);
        }
        events_of(&mut out, domain.name(), document);
    }
    shared_types(&mut out, document);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn contents(out: &mut String) {
    out.push_str("| domain | commands |\n|---|---|\n");
    for domain in Domain::ALL {
        let names: Vec<String> = domain
            .spec()
            .commands
            .iter()
            .map(|spec| {
                let anchor = format!("{}{}", domain.name(), spec.name).to_lowercase();
                format!("[{}](#{anchor})", spec.name)
            })
            .collect();
        let name = domain.name();
        let _ = writeln!(out, "| [{name}](#{name}) | {} |", names.join(", "));
    }
    out.push('\n');
}

fn one_command(out: &mut String, spec: &CommandSpec, document: &Value) {
    let full = spec.full_name();
    let entry = &document["commands"][&full];
    let _ = write!(out, "### {full}\n\n{} **{}**", spec.summary(), spec.effect.name());
    if !spec.contexts.is_empty() {
        let contexts: Vec<&str> = spec.contexts.iter().map(|context| context.name()).collect();
        let _ = write!(out, " in {}", contexts.join(", "));
    }
    out.push_str(if spec.handled() { "\n\n" } else { "; not handled yet\n\n" });
    for paragraph in spec.details() {
        let _ = write!(out, "{paragraph}\n\n");
    }
    fields(out, "payload", &entry["payload"]);
    fields(out, "reply", &entry["reply"]);
    if !spec.events.is_empty() {
        let events: Vec<String> = spec.events.iter().map(|event| format!("`{event}`")).collect();
        let _ = write!(out, "Can cause {}.\n\n", events.join(", "));
    }
    let _ = write!(out, "```json\n{}\n```\n\n", entry["example"]);
}

fn fields(out: &mut String, title: &str, schema: &Value) {
    let fields = properties(schema);
    if fields.is_empty() {
        return;
    }
    let _ = writeln!(out, "| {title} | type | |\n|---|---|---|");
    for (name, field, required) in fields {
        let name = if required { format!("`{name}`") } else { format!("`{name}`?") };
        let doc = field["description"].as_str().unwrap_or_default();
        let _ = writeln!(out, "| {name} | {} | {} |", type_cell(field), doc.replace('|', "\\|"));
    }
    out.push('\n');
}

fn type_cell(schema: &Value) -> String {
    let text = type_text(schema);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("`{}`", line.replace('|', "\\|"))
}

fn events_of(out: &mut String, domain: &str, document: &Value) {
    for spec in event::ALL.iter().filter(|spec| spec.domain == domain) {
        let full = spec.full_name();
        let entry = &document["events"][&full];
        let kind = entry["kind"].as_str().unwrap_or_default();
        let _ = write!(
            out,
            "### {kind} {full}\n\n{} Channel: {}.\n\n",
            spec.summary(),
            spec.class.name()
        );
        fields(out, "payload", &entry["payload"]);
    }
}

fn shared_types(out: &mut String, document: &Value) {
    out.push_str("## Shared types\n\n");
    let Some(definitions) = document["$defs"].as_object() else { return };
    for (name, schema) in definitions {
        let _ = write!(out, "### type {name}\n\n");
        if let Some(doc) = schema["description"].as_str() {
            let _ = write!(out, "{doc}\n\n");
        }
        if properties(schema).is_empty() {
            let _ = write!(out, "{}\n\n", type_cell(schema));
        } else {
            fields(out, "field", schema);
        }
    }
}

pub(super) fn errors() -> String {
    let mut out = MARK.to_owned();
    out.push_str(
        "# Errors\n\n\
         An error is `{code, message, details}`. The code is stable; the message is for people; \
         `details.hint` says what to do next, and other details are named below. The class says \
         who has to act: **user** (send something else), **config** (change the set-up), \
         **conflict** (look at the present and decide), **busy** (wait and send again), \
         **internal** (report it). Later versions may add codes.\n\n\
         | code | class | meaning | what to do |\n|---|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        let class = serde_json::to_value(code.class()).unwrap_or_default();
        let class = class.as_str().unwrap_or_default();
        let _ = writeln!(out, "| `{code}` | {class} | {} | {} |", code.doc(), code.hint());
    }
    out
}

pub(super) fn coverage() -> String {
    let mut out = MARK.to_owned();
    out.push_str(
        "# Coverage\n\nWhich commands this version handles. The others are declared, so \
                  that clients can be built against them, and answer `command.notImplemented`.\n\n\
                  | domain | commands | handled | not handled yet |\n|---|---|---|---|\n",
    );
    let (mut total, mut handled) = (0, 0);
    for domain in Domain::ALL {
        let commands = domain.spec().commands;
        let pending: Vec<&str> =
            commands.iter().filter(|spec| !spec.handled()).map(|spec| spec.name).collect();
        let done = commands.len() - pending.len();
        total += commands.len();
        handled += done;
        let list = if done == 0 { "all".to_owned() } else { pending.join(", ") };
        let _ = writeln!(out, "| {} | {} | {done} | {list} |", domain.name(), commands.len());
    }
    let _ = writeln!(out, "| **all** | **{total}** | **{handled}** | **{}** |", total - handled);
    debug_assert_eq!(total, command::all().count());
    out
}
