//! One session in memory for the tests of every domain.

use std::sync::Arc;

use pulse_schemas::{command::decode, id::ActorId, time::Ticks};
use pulse_store::{
    project::{CreateOptions, Project},
    tx::TxMeta,
};
use serde_json::{Value, json};

use crate::{
    config::Config,
    session::{Caller, Session},
};

pub const BEAT: i64 = Ticks::PER_QUARTER;
pub const BAR: i64 = 4 * BEAT;

/// A project with an arrangement, and a way to do commands by name.
pub struct Desk {
    pub session: Session,
    /// Events of the last command, as `domain.name`.
    pub events: Vec<String>,
}

impl Desk {
    pub fn new() -> Desk {
        let actor = Some(ActorId(7));
        let project = Project::in_memory(CreateOptions { actor, ..Default::default() }).unwrap();
        let mut session = Session::over(Arc::new(Config::default()), project);
        session.clock = || 1_000;
        session.transact(TxMeta::new("Set up", ""), crate::templates::empty).unwrap();
        Desk { session, events: Vec::new() }
    }

    /// A desk without a project.
    pub fn bare() -> Desk {
        let mut session = Session::new(Arc::new(Config::default()));
        session.clock = || 1_000;
        Desk { session, events: Vec::new() }
    }

    pub fn try_run(&mut self, name: &str, payload: Value) -> Result<Value, (String, Value)> {
        let (domain, command) = name.split_once('.').unwrap();
        let command = match decode(domain, command, &payload) {
            Ok(command) => command.value,
            Err(error) => {
                let body = error.body();
                return Err((body.code.clone(), json!(body.details)));
            }
        };
        let done = self.session.execute(&Caller::local("Ada"), &command, None);
        self.events = done.events.iter().map(|it| format!("{}.{}", it.domain, it.name)).collect();
        done.reply
            .map_err(|error| (format!("{}: {}", error.code, error.message), json!(error.details)))
    }

    /// Does a command that must succeed.
    pub fn run(&mut self, name: &str, payload: Value) -> Value {
        self.try_run(name, payload).unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// Does a command that must fail, with this code.
    pub fn fail(&mut self, name: &str, payload: Value, code: &str) {
        let root = self.root();
        match self.try_run(name, payload) {
            Ok(reply) => panic!("{name} answered {reply}"),
            Err((found, _)) => assert_eq!(found.split(':').next(), Some(code), "{name}: {found}"),
        }
        assert_eq!(self.root(), root, "{name} failed and changed something");
    }

    /// Does an edit, undoes and redoes it, and leaves it done; the reply.
    pub fn edit(&mut self, name: &str, payload: Value) -> Value {
        let before = self.root();
        let reply = self.run(name, payload);
        let after = self.root();
        assert_ne!(before, after, "{name} changed nothing");
        self.run("history.undo", json!({}));
        assert_eq!(self.root(), before, "undo of {name} leads elsewhere");
        self.run("history.redo", json!({}));
        assert_eq!(self.root(), after, "redo of {name} leads elsewhere");
        reply
    }

    pub fn root(&self) -> Option<String> {
        self.session.project().ok().map(|project| project.root().to_string())
    }

    /// One entity as JSON.
    pub fn get(&mut self, id: &Value) -> Value {
        self.run("project.get", json!({"ids": [id]}))["entities"][0].clone()
    }

    /// What the history calls the last edit.
    pub fn label(&mut self) -> String {
        let state = self.run("history.state", json!({}));
        state["undo"]["label"].as_str().unwrap().to_owned()
    }

    /// A MIDI track: its id and the id of its lane.
    pub fn midi_track(&mut self) -> (Value, Value) {
        let made = self.run("track.create", json!({"name": "Keys", "kind": "instrument"}));
        (made["track"].clone(), made["lane"].clone())
    }

    /// A clip with notes on the given beats.
    pub fn clip(&mut self, lane: &Value, start: i64, length: i64, beats: &[i64]) -> Value {
        let notes: Vec<Value> = beats
            .iter()
            .map(|beat| json!({"pitch": 60, "start": beat * BEAT, "length": BEAT / 2}))
            .collect();
        let payload = json!({"lane": lane, "start": start, "length": length, "notes": notes});
        self.run("clip.create", payload)["clip"].clone()
    }

    /// Starts of a clip's notes, in beats.
    pub fn beats(&mut self, clip: &Value) -> Vec<f64> {
        let list = self.run("note.list", json!({"clip": clip}));
        let notes = list["notes"].as_array().unwrap().iter();
        notes.map(|note| note["start"].as_i64().unwrap() as f64 / BEAT as f64).collect()
    }

    /// Start and length of the clips of a lane, in beats.
    pub fn clips(&mut self, lane: &Value) -> Vec<(f64, f64)> {
        let list = self.run("clip.list", json!({"lane": lane}));
        let beats = |value: &Value| value.as_i64().unwrap() as f64 / BEAT as f64;
        let clips = list["clips"].as_array().unwrap().iter();
        clips.map(|clip| (beats(&clip["start"]), beats(&clip["length"]))).collect()
    }
}

#[test]
fn no_command_of_these_domains_is_without_a_handler() {
    use pulse_schemas::command::Domain;
    let domains = [
        Domain::Session,
        Domain::Project,
        Domain::Version,
        Domain::History,
        Domain::Arrangement,
        Domain::Track,
        Domain::Lane,
        Domain::Clip,
        Domain::Note,
        Domain::Timebase,
        Domain::Metadata,
    ];
    // Their examples name folders that a test has no business with.
    let files = ["new", "open", "saveAs", "move", "export"];
    let mut desk = Desk::new();
    for spec in domains.iter().flat_map(|domain| domain.spec().commands) {
        if spec.domain == Domain::Project && files.contains(&spec.name) {
            continue;
        }
        let reply = desk.try_run(&spec.full_name(), spec.example());
        let code = reply.err().map(|(code, _)| code).unwrap_or_default();
        assert!(!code.starts_with("command.notImplemented"), "{}", spec.full_name());
        assert!(!code.starts_with("internal"), "{}: {code}", spec.full_name());
        if spec.full_name() == "project.close" {
            desk = Desk::new();
        }
    }
}
