//! The log of commands: what was done to a session, in the order in which it was
//! done, so that it can be done again.
//!
//! It is kept where commands are executed and not at the socket, because only
//! there is the order known. Every line says how things stood afterwards, so that
//! a replay that departs from its log says on which line it did. Format:
//! `docs/command-log.md`.

use std::{collections::BTreeMap, fs::File, io::Write, path::Path};

use pulse_schemas::{
    command::{Command, project, rendering},
    entity::{PanLaw, Project},
    hash::Hash,
    job::JobId,
    record::canonical_json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    model::Published,
    session::{Caller, Session},
};

/// The version of the format that is written and read.
pub const VERSION: u32 = 1;

/// What stands for the folder of the project, wherever that is.
const FOLDER: &str = "$PROJECT";

/// Events whose text depends on how fast the machine is, not on what was done.
const OF_THE_MOMENT: &[&str] = &["job", "transport", "metering", "hardware"];

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub pulse_command_log: u32,
    /// The release that wrote it.
    pub pulse: String,
    /// Where the log starts; without one it starts with `project.new`.
    pub base: Option<Base>,
    /// Kinds of nodes that were of another version than 1: new nodes of a replay are
    /// written under the versions that they had then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, u32>,
    /// How new channels panned; logs that say nothing are of a time when it was −3 dB.
    #[serde(default)]
    pub pan_law: PanLaw,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Base {
    pub root: Hash,
    pub revision: u64,
}

/// Every line but the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    #[serde(flatten)]
    pub what: What,
    /// Milliseconds since 1970: the clock while it was done.
    pub time: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// Where ids of gestures and jobs went on, if something that is not logged used some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// The code of the error that it ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Root of the project afterwards.
    pub root: Option<Hash>,
    /// Of the events that it caused.
    pub events: Hash,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum What {
    /// A command, done or refused.
    Do {
        name: String,
        payload: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect_revision: Option<u64>,
    },
    /// A binary frame of a gesture, in hexadecimal.
    Stream(String),
    /// A connection ended and let go of what it held.
    Left {},
    /// Work in the background ended and took effect.
    Job(JobId),
    /// The log ends: this command went to another folder.
    End(String),
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct By {
    pub client_id: String,
    pub instance_id: String,
    pub author: String,
    pub connection: u64,
}

impl From<&Caller> for By {
    fn from(caller: &Caller) -> By {
        By {
            client_id: caller.client_id.clone(),
            instance_id: caller.instance_id.clone(),
            author: caller.author.clone(),
            connection: caller.connection,
        }
    }
}

impl From<By> for Caller {
    fn from(by: By) -> Caller {
        let By { client_id, instance_id, author, connection } = by;
        Caller { instance_id, client_id, author, connection }
    }
}

/// Numbers that the next gesture and the next job get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub stream: u32,
    pub job: u64,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { stream: 1, job: 0 }
    }
}

/// Whether a command stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Yes,
    /// It leaves no trace in the project, or one outside of it.
    No,
    /// It goes to another folder, and a replay has only one.
    Ends,
}

fn kept(command: &Command, begun: bool) -> Kept {
    let spec = command.spec();
    if spec.is_edit() {
        return Kept::Yes;
    }
    if spec.read_only() {
        return Kept::No;
    }
    match command {
        Command::Project(project::Command::New(_)) if !begun => Kept::Yes,
        Command::Project(
            project::Command::New(_)
            | project::Command::Open(_)
            | project::Command::Close(_)
            | project::Command::SaveAs(_)
            | project::Command::Move(_),
        ) => Kept::Ends,
        Command::Project(project::Command::Export(_)) => Kept::No,
        Command::Rendering(rendering::Command::Freeze(_) | rendering::Command::Bounce(_)) => {
            Kept::Yes
        }
        Command::Arrangement(_)
        | Command::Cohort(_)
        | Command::Gesture(_)
        | Command::History(_)
        | Command::Media(_)
        | Command::Parameter(_)
        | Command::Project(_)
        | Command::Variant(_)
        | Command::Version(_) => Kept::Yes,
        _ => Kept::No,
    }
}

/// Writes the log.
pub struct Recorder {
    file: File,
    /// Whether a project is there that the lines are about.
    begun: bool,
    counters: Counters,
}

impl Recorder {
    /// Starts a log in a new file.
    pub fn start(
        path: &Path,
        base: Option<Base>,
        nodes: BTreeMap<String, u32>,
        pan_law: PanLaw,
    ) -> std::io::Result<Recorder> {
        let mut file = File::create_new(path)?;
        let begun = base.is_some();
        let pulse = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { pulse_command_log: VERSION, pulse, base, nodes, pan_law };
        writeln!(file, "{}", serde_json::to_string(&header)?)?;
        Ok(Recorder { file, begun, counters: Counters::default() })
    }

    fn write(&mut self, mut line: Line, before: Counters) -> std::io::Result<()> {
        line.counters = Some(before).filter(|before| *before != self.counters);
        writeln!(self.file, "{}", serde_json::to_string(&line)?)
    }
}

impl Session {
    /// Where ids of gestures and jobs go on.
    pub fn counters(&self) -> Counters {
        Counters { stream: self.live.next_stream(), job: self.renders.started() }
    }

    /// Notes a command with what became of it. A log that can't be written ends
    /// with a warning instead of a gap.
    pub(crate) fn log_command(
        &mut self,
        caller: &Caller,
        command: &Command,
        expect_revision: Option<u64>,
        before: Counters,
        failed: Option<&str>,
    ) {
        let Some(log) = &self.live.command_log else { return };
        let name = command.spec().full_name();
        match kept(command, log.begun) {
            Kept::No => return,
            Kept::Ends if failed.is_some() => return,
            Kept::Ends => {
                self.log(What::End(name), None, before, None, 0);
                self.live.command_log = None;
                return;
            }
            Kept::Yes => {}
        }
        let mut payload = command.payload().unwrap_or_default();
        self.pin(&mut payload, command, failed.is_none());
        let what = What::Do { name, payload, expect_revision };
        self.log(what, Some(caller), before, failed, 0);
    }

    /// Says in the log what `project.new` left to chance: a new project gets the ids
    /// and the name in its replay that it got here.
    fn pin(&mut self, payload: &mut Value, command: &Command, done: bool) {
        if !matches!(command, Command::Project(project::Command::New(_))) || !done {
            return;
        }
        let Ok(project) = self.project() else { return };
        let actor = format!("{:032x}", project.actor().0);
        let name = project.view().all::<Project>().ok().and_then(|all| all.into_iter().next());
        payload["actor"] = actor.into();
        payload["name"] = name.map(|project| project.name).into();
        if let Some(log) = &mut self.live.command_log {
            log.begun = true;
        }
    }

    /// Writes one line about what was just done; of the outbox, its events are
    /// those from `first` on.
    pub(crate) fn log(
        &mut self,
        mut what: What,
        caller: Option<&Caller>,
        before: Counters,
        failed: Option<&str>,
        first: usize,
    ) {
        if self.live.command_log.is_none() {
            return;
        }
        let folder = self.folder_text();
        if let What::Do { payload, .. } = &mut what {
            hide_folder(payload, folder.as_deref());
        }
        let events = match failed {
            None => digest(self.outbox.get(first..).unwrap_or_default(), folder.as_deref()),
            Some(_) => digest(&[], None),
        };
        let line = Line {
            what,
            time: self.time,
            by: caller.map(By::from),
            counters: None,
            failed: failed.map(str::to_owned),
            root: self.project().ok().map(|project| project.root()),
            events,
        };
        let after = self.counters();
        let Some(log) = &mut self.live.command_log else { return };
        let written = log.write(line, before);
        log.counters = after;
        if let Err(error) = written {
            tracing::warn!(%error, "the log of commands ends here");
            self.live.command_log = None;
        }
    }

    pub(crate) fn folder_text(&self) -> Option<String> {
        let path = self.open.as_ref().and_then(|open| open.path.as_ref());
        path.map(|path| path.display().to_string())
    }
}

/// What some events say, whatever the folder is called and however long it took.
pub fn digest(events: &[Published], folder: Option<&str>) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for event in events.iter().filter(|event| !OF_THE_MOMENT.contains(&event.domain)) {
        let mut payload = event.payload.clone();
        hide_folder(&mut payload, folder);
        let text = canonical_json(&payload);
        for part in [event.domain, event.name, &text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.finalize().into()
}

/// Puts `$PROJECT` in the place of the project's folder.
fn hide_folder(value: &mut Value, folder: Option<&str>) {
    let Some(folder) = folder.filter(|folder| !folder.is_empty()) else { return };
    each_text(value, &mut |text| {
        let rest = text.strip_prefix(folder)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{FOLDER}{rest}"))
    });
}

/// Puts the folder of a replay in the place of `$PROJECT`.
pub fn show_folder(value: &mut Value, folder: &str) {
    each_text(value, &mut |text| {
        let rest = text.strip_prefix(FOLDER)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{folder}{rest}"))
    });
}

fn each_text(value: &mut Value, change: &mut impl FnMut(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(changed) = change(text) {
                *text = changed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_text(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Bytes as a log spells them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_folder_is_hidden_and_found_again() {
        let mut value = json!({"a": "/x/song", "b": ["/x/song/Media/k.wav", "/x/songs"]});
        hide_folder(&mut value, Some("/x/song"));
        assert_eq!(value, json!({"a": "$PROJECT", "b": ["$PROJECT/Media/k.wav", "/x/songs"]}));
        show_folder(&mut value, "/y");
        assert_eq!(value, json!({"a": "/y", "b": ["/y/Media/k.wav", "/x/songs"]}));
    }

    #[test]
    fn events_of_the_moment_are_left_out_of_the_digest() {
        let event = |domain, text: &str| Published {
            domain,
            name: "changed",
            payload: json!({ "text": text }),
        };
        let of = |events: &[Published]| digest(events, Some("/x"));
        let plain = of(&[event("project", "/x/a")]);
        assert_eq!(plain, digest(&[event("project", "/y/a")], Some("/y")));
        assert_eq!(plain, of(&[event("project", "/x/a"), event("job", "half done")]));
        assert_ne!(plain, of(&[event("project", "/x/b")]));
    }

    #[test]
    fn bytes_survive_their_spelling() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("xy"), None);
    }
}
