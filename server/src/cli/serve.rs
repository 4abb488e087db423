//! The server from the command line, and talking to one.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use pulse_client::{Incoming, Introduction, blocking::Client};
use pulse_schemas::{
    codec::Encoding,
    command::{
        Domain,
        client::{Subscribe, Topic},
    },
    error::{ErrorBody, ErrorCode},
};
use serde_json::json;

use super::{
    access::{Place, call_failure, io},
    edit::{parse, print},
    output::{Failure, Output},
};
use crate::{
    config::{Config, ConfigError},
    refusal::Refusal,
    serve::{Options, ServeError, serve as run},
};

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Usage(error.to_string())
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Failure {
        match error {
            ServeError::Open(error) => Refusal::from(error).into(),
            ServeError::Settle(refusal) => refusal.into(),
            ServeError::Listen(error) => Failure::Usage(error.to_string()),
            ServeError::Start(error) => io(&error, Path::new("pulse serve")),
        }
    }
}

pub fn serve(
    place: &Place,
    output: &Output,
    socket: Option<PathBuf>,
    tcp: Option<String>,
    file: Option<PathBuf>,
    set: &[String],
) -> Result<ExitCode, Failure> {
    let mut flags = Vec::new();
    for pair in set {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("--set takes KEY=VALUE, found {pair:?}")))?;
        flags.push((key.to_owned(), value.to_owned()));
    }
    if let Some(tcp) = tcp {
        flags.push(("server.tcp".into(), tcp));
    }
    let file = file.or_else(|| Some(PathBuf::from("pulse.toml")).filter(|path| path.exists()));
    let config = Config::load(file.as_deref(), std::env::vars(), &flags)?;
    let project = place.dir().ok();
    let socket = socket
        .or_else(|| config.server_socket.clone())
        .unwrap_or_else(|| default_socket(project.as_deref()));
    let options = Options { config, socket, project };
    run(options, &mut std::io::stdout())?;
    output.note("Pulse has ended; everything acknowledged is on the disk");
    Ok(ExitCode::SUCCESS)
}

/// A socket of this user's own: one a project.
pub fn default_socket(project: Option<&Path>) -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let name = match project.and_then(|dir| dir.canonicalize().ok()) {
        Some(dir) => {
            let hash = blake3::hash(dir.as_os_str().as_encoded_bytes()).to_hex();
            format!("pulse-{}.sock", &hash[..12])
        }
        None => "pulse.sock".to_owned(),
    };
    folder.join(name)
}

fn connect(place: &Place, socket: Option<PathBuf>) -> Result<Client, Failure> {
    let socket = socket.unwrap_or_else(|| default_socket(place.dir().ok().as_deref()));
    let instance = format!("cli-{}-{}", std::process::id(), crate::clock::now().0);
    let mut who = Introduction::new("pulse-cli", instance);
    who.author = Some(place.author.clone());
    who.encoding = Encoding::Json;
    Client::connect_unix(&socket, &who).map_err(|error| match error {
        pulse_client::CallError::Io(error) => {
            let text = format!(
                "no Pulse listens at {} ({error}); start one with `pulse serve`",
                socket.display()
            );
            ErrorBody::new(ErrorCode::IoFailed, text).with("reason", error.to_string()).into()
        }
        other => call_failure(&other),
    })
}

pub fn call(
    place: &Place,
    output: &Output,
    name: &str,
    payload: Option<String>,
    socket: Option<PathBuf>,
) -> Result<ExitCode, Failure> {
    let (domain, command) = name.split_once('.').ok_or_else(|| {
        Failure::Usage(format!("a command is DOMAIN.NAME, such as session.status; found {name}"))
    })?;
    let payload = parse(payload.as_deref())?;
    let mut client = connect(place, socket)?;
    let reply = client.call(domain, command, payload).map_err(|error| call_failure(&error))?;
    Ok(print(output, &reply))
}

pub fn watch(
    place: &Place,
    output: &Output,
    domains: Vec<String>,
    socket: Option<PathBuf>,
    count: Option<u64>,
) -> Result<ExitCode, Failure> {
    let known = |name: &String| Domain::ALL.iter().any(|domain| domain.name() == name);
    if let Some(unknown) = domains.iter().find(|name| !known(name)) {
        let all: Vec<&str> = Domain::ALL.iter().map(|domain| domain.name()).collect();
        let text = format!("there is no domain `{unknown}`; there are {}", all.join(", "));
        return Err(Failure::Usage(text));
    }
    let mut client = connect(place, socket)?;
    let domains = if domains.is_empty() {
        Domain::ALL.iter().map(|domain| domain.name().to_owned()).collect()
    } else {
        domains
    };
    let topics = domains.into_iter().map(|domain| Topic { domain, names: vec![] }).collect();
    client.send(&Subscribe { topics, since: None }).map_err(|error| call_failure(&error))?;
    let mut seen = 0;
    while count.is_none_or(|count| seen < count) {
        let incoming =
            client.next(Duration::from_secs(3_600)).map_err(|error| call_failure(&error))?;
        if let Some(Incoming::Event(event)) = incoming {
            seen += 1;
            if output.json {
                output.text(&format!("{}\n", json!(*event)));
            } else {
                let by = event.by.as_ref().map_or("", |by| &by.author);
                let name = output.bold(&format!("{}.{}", event.domain, event.name));
                output.text(&format!("{name} {} {}\n", output.dim(by), event.payload));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
