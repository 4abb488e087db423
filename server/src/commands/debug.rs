//! Debug: for those who build clients and Pulse itself.

use pulse_query::{
    graph::{Scope, graph},
    stored::Stored,
};
use pulse_schemas::{
    command::{
        debug::{Command, Echoed, LogCommands, Schema, SchemaReply, SetLogLevel, StateHashes},
        find,
    },
    error::{ErrorBody, ErrorCode},
    r#gen as schema,
};

use super::edit::{active_arrangement, done, reply};
use crate::{
    command_log::{Base, Recorder},
    commands::media::files::{absolute, unreadable},
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Echo(payload) => reply(Echoed { value: payload.value.clone() }),
        Command::SimulateError(payload) => {
            allowed(session)?;
            let text = format!("as asked for: {}", payload.code.doc());
            Err(Refusal(ErrorBody::new(payload.code, text)))
        }
        Command::Schema(payload) => schema_of(payload),
        Command::StateHash(_) => state_hash(session),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, command: &Command) -> Reply {
    match command {
        Command::SetLogLevel(payload) => set_log_level(payload),
        Command::LogCommands(payload) => log_commands(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn allowed(session: &Session) -> Result<(), Refusal> {
    if session.config.debug_enabled {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::DebugDisabled, "this Pulse runs without debug commands"))
}

fn schema_of(payload: &Schema) -> Reply {
    let schema = match &payload.command {
        None => schema::document(),
        Some(name) => {
            let unknown = || {
                let text = format!("there is no command `{name}`");
                Refusal::new(ErrorCode::CommandUnknown, text)
            };
            let (domain, command) = name.split_once('.').ok_or_else(unknown)?;
            schema::command_schema(find(domain, command).map_err(|_| unknown())?)
        }
    };
    reply(SchemaReply { schema })
}

/// The graph is derived here, so that two runs can be compared without an engine.
fn state_hash(session: &Session) -> Reply {
    let project = session.project()?;
    let source = Stored::new(project.view());
    let arrangement = active_arrangement(source.view())?;
    let spec = graph(&source, &session.registry, arrangement, &Scope::mix());
    reply(StateHashes {
        revision: project.seq(),
        root: project.root(),
        graph: spec.ok().map(|spec| spec.hash()),
    })
}

fn set_log_level(payload: &SetLogLevel) -> Reply {
    match crate::log::set_filter(&payload.filter) {
        Ok(()) => done(),
        Err(problem) => {
            Err(Refusal::new(ErrorCode::PayloadInvalid, problem).with("path", "payload.filter"))
        }
    }
}

fn log_commands(session: &mut Session, payload: &LogCommands) -> Reply {
    allowed(session)?;
    session.live.command_log = match &payload.path {
        None => None,
        Some(text) => {
            let path = absolute(text)?;
            let project = session.project().ok();
            let base = project.map(|it| Base { root: it.root(), revision: it.seq() });
            Some(
                Recorder::start(&path, base, session.registry.versions(), session.pan_law)
                    .map_err(|error| unreadable(&path, &error))?,
            )
        }
    };
    done()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use crate::{commands::testing::Project, config::Config};

    #[test]
    fn what_is_sent_comes_back_and_errors_need_permission() {
        let mut project = Project::new();
        assert_eq!(project.ok("debug.echo", json!({"value": [1]}))["value"], json!([1]));
        let simulate = json!({"code": "session.busy"});
        project.refused("debug.simulateError", simulate.clone(), "debug.disabled");
        let config = Config { debug_enabled: true, ..Config::default() };
        project.session.config = Arc::new(config);
        project.refused("debug.simulateError", simulate, "session.busy");
    }

    #[test]
    fn the_hash_of_the_graph_changes_with_the_graph_only() {
        let mut project = Project::new();
        let made = project.ok("track.create", json!({}));
        let hash = |project: &mut Project| project.ok("debug.stateHash", json!({}));
        let before = hash(&mut project);
        project.ok("channel.setGain", json!({"channel": made["channel"], "gainDb": -3}));
        let after = hash(&mut project);
        assert_ne!(before["root"], after["root"]);
        assert_eq!(before["graph"], after["graph"]);
        project.ok("node.add", json!({"channel": made["channel"], "kind": "pulse.eq"}));
        assert_ne!(hash(&mut project)["graph"], before["graph"]);
    }

    #[test]
    fn commands_are_written_to_a_log() {
        let mut project = Project::new();
        let config = Config { debug_enabled: true, ..Config::default() };
        project.session.config = Arc::new(config);
        let path = std::env::temp_dir().join(format!("pulse-log-{}.jsonl", std::process::id()));
        let _ = std::fs::remove_file(&path);
        project.ok("debug.logCommands", json!({"path": path}));
        project.ok("track.create", json!({"name": "A"}));
        project.ok("track.list", json!({}));
        let nobody = json!({"track": crate::commands::testing::id("trk", 1), "name": "B"});
        project.refused("track.rename", nobody, "entity.notFound");
        project.refused("debug.logCommands", json!({"path": path}), "media.unreadable");
        project.ok("debug.logCommands", json!({"path": null}));
        let text = std::fs::read_to_string(&path).unwrap();
        let _ = std::fs::remove_file(&path);
        let names: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["do"]["name"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(names, ["", "track.create", "track.rename"]);
    }

    #[test]
    fn schemas_are_told_by_name() {
        let mut project = Project::new();
        let schema = project.ok("debug.schema", json!({"command": "track.create"}));
        assert_eq!(schema["schema"]["effect"], "edit");
        project.refused("debug.schema", json!({"command": "x.y"}), "command.unknown");
    }
}
