//! `pulse serve`: everything put together, until somebody says stop.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Instant,
};

use pulse_engine::device::DeviceConfig;
use pulse_schemas::entity;
use pulse_store::project::{OpenError, OpenOptions, Project};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

use crate::{
    commands::rendering::bounce,
    config::Config,
    host::{Host, project_path},
    ipc::{
        connection::Shared,
        hub::Hub,
        listen::{self, ListenError},
    },
    metrics::{self, Gauges},
    model::{Message, Model},
    playback::{
        Wanted,
        player::{Player, ahead_of, device_of},
    },
    refusal::Refusal,
    session::Session,
};

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("what the last process left can't be settled: {}", .0.0.message)]
    Settle(Refusal),
    #[error("the server can't start: {0}")]
    Start(#[from] std::io::Error),
}

/// What `pulse serve` is asked for beside its settings.
pub struct Options {
    pub config: Config,
    pub socket: PathBuf,
    pub project: Option<PathBuf>,
}

/// Serves until a signal or a client ends it. `ready` gets one JSON line once
/// connections are accepted.
pub fn serve(options: Options, ready: &mut dyn std::io::Write) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(options.config.server_threads).unwrap_or(2))
        .enable_all()
        .build()?;
    runtime.block_on(run(options, ready))
}

async fn run(options: Options, ready: &mut dyn std::io::Write) -> Result<(), ServeError> {
    let Options { config, socket, project } = options;
    let config = Arc::new(config);
    let epoch = crate::clock::now().0.unsigned_abs();
    let hub = Arc::new(Hub::new(epoch, config.limits()));
    let session = open_session(&config, project, &socket)?;
    let shutdown = Arc::new(Notify::new());
    let started = Instant::now();
    let instance: Arc<str> = format!("{epoch:x}-{}", std::process::id()).into();
    // Known before the model thread runs: the first client may be faster than it.
    let open_path = Arc::new(RwLock::new(project_path(&session)));
    let timing = config.timing();
    let parts = (Arc::clone(&hub), Arc::clone(&open_path), Arc::clone(&shutdown));
    let name = Arc::clone(&instance);
    let make = move |model: Model| {
        let (hub, project, shutdown) = parts;
        let shared = Shared { hub, model, timing, instance: name, started, project };
        Host::new(session, shared, shutdown)
    };
    let (model, thread) = Model::start(Arc::clone(&hub), make)?;
    let shared = Shared {
        hub: Arc::clone(&hub),
        model: model.clone(),
        timing,
        instance,
        started,
        project: open_path,
    };
    let unix = listen::unix(&socket, shared.clone())?;
    let token = token(&config);
    let tcp = match config.server_tcp {
        Some(address) => Some(listen::tcp(address, Arc::clone(&token), shared.clone()).await?),
        None => None,
    };
    let page = match config.metrics_listen {
        Some(address) => Some(serve_metrics(address, shared.clone()).await?),
        None => None,
    };
    let line = serde_json::json!({
        "ready": true,
        "socket": socket,
        "tcp": tcp.as_ref().map(|(address, _)| address.to_string()),
        "token": tcp.as_ref().map(|_| &*token),
        "metrics": page.map(|address| address.to_string()),
        "pid": std::process::id(),
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    writeln!(ready, "{line}")?;
    ready.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = shutdown.notified() => {}
    }
    tracing::info!("shutting down");
    unix.abort();
    if let Some((_, task)) = tcp {
        task.abort();
    }
    model.insist(Message::Stop);
    let ended = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
    if !matches!(ended, Ok(true)) {
        tracing::error!("the model thread panicked");
    }
    drain(&hub).await;
    if let Err(error) = std::fs::remove_file(&socket) {
        tracing::debug!(%error, "the socket was gone already");
    }
    Ok(())
}

fn open_session(
    config: &Arc<Config>,
    project: Option<PathBuf>,
    socket: &std::path::Path,
) -> Result<Session, ServeError> {
    let mut session = match project {
        None => Session::new(Arc::clone(config)),
        Some(dir) => {
            let socket = Some(socket.display().to_string());
            let options = OpenOptions { socket, ..OpenOptions::default() };
            let mut session = Session::over(Arc::clone(config), Project::open(&dir, options)?);
            bounce::settle(&mut session).map_err(ServeError::Settle)?;
            session
        }
    };
    attach_engine(&mut session, config);
    Ok(session)
}

/// The audio engine that settings ask for. A server whose device can't be opened
/// plays to nobody and says so.
fn attach_engine(session: &mut Session, config: &Config) {
    if config.audio_host == "none" {
        return;
    }
    let project = session.view().ok().and_then(|view| view.all::<entity::Project>().ok());
    let own = project.into_iter().flatten().map(|project| project.sample_rate).next();
    let number = |value: u64| u32::try_from(value).ok().filter(|value| *value > 0);
    let rate = number(config.audio_sample_rate).or(own);
    let inputs = u16::try_from(config.audio_inputs).unwrap_or(0);
    let null = DeviceConfig { inputs, ..Player::null_device(rate) };
    let device = (!config.audio_device.is_empty()).then(|| config.audio_device.clone());
    let host = Some(config.audio_host.clone());
    let wanted = Wanted { host, device, rate, block: number(config.audio_block) };
    let asked = device_of(&wanted, &null);
    let start = |device| {
        let registry = (*session.registry).clone();
        Player::start_ahead(device, registry, ahead_of(config)).map_err(|error| error.to_string())
    };
    let opened = asked.and_then(start);
    let player = opened.or_else(|reason| {
        tracing::warn!(reason, "the audio device can't be used; playing to nobody");
        start(null)
    });
    match player {
        Ok(player) => session.attach(Box::new(player)),
        Err(reason) => tracing::error!(reason, "there is no audio engine"),
    }
}

/// The token of the settings, or one that nobody can guess.
fn token(config: &Config) -> Arc<str> {
    if !config.server_token.is_empty() {
        return config.server_token.as_str().into();
    }
    use std::hash::{BuildHasher, RandomState};
    let mut hasher = blake3::Hasher::new();
    for round in 0..8u8 {
        hasher.update(&RandomState::new().hash_one(round).to_le_bytes());
    }
    hasher.finalize().to_hex()[..32].into()
}

/// Gives connections a moment to write what is queued.
async fn drain(hub: &Hub) {
    for _ in 0..100 {
        if hub.clients().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tracing::warn!(clients = hub.clients().len(), "some clients did not take their last messages");
}

/// A page of metrics for each HTTP request, whatever it asks for.
async fn serve_metrics(address: SocketAddr, shared: Shared) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let shared = shared.clone();
            tokio::spawn(async move {
                let mut request = [0; 1_024];
                let read = stream.read(&mut request);
                if tokio::time::timeout(shared.timing.hello, read).await.is_err() {
                    return;
                }
                let body = metrics::page(&gauges(&shared));
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                if let Err(error) = stream.write_all((head + &body).as_bytes()).await {
                    tracing::debug!(%error, "a scraper left");
                }
            });
        }
    });
    Ok(bound)
}

fn gauges(shared: &Shared) -> Gauges {
    let clients = shared.hub.clients();
    let (engine_load, revision) = metrics::noted_session();
    Gauges {
        engine_load,
        revision,
        clients: clients.len(),
        queue_depth: shared.model.depth(),
        queued_bytes: clients.iter().map(|client| client.outbox.stats().queued_bytes).sum(),
    }
}

#[cfg(test)]
mod tests {
    use pulse_client::{Incoming, Introduction, asynchronous::Client};
    use serde_json::json;

    use super::*;

    /// One connection, many calls at a time, events beside them.
    async fn speak(socket: &std::path::Path, project: &std::path::Path) {
        let who = Introduction::new("tool", "tool-1");
        let mut connected = Client::connect_unix(socket, &who).await;
        while connected.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            connected = Client::connect_unix(socket, &who).await;
        }
        let (client, welcome, mut events) = connected.unwrap();
        assert_eq!(welcome.project, None);
        client.call("project", "new", json!({"path": project})).await.unwrap();
        let topics = json!({"topics": [{"domain": "project", "names": ["changed"]}]});
        client.call("client", "subscribe", topics).await.unwrap();
        let calls: Vec<_> = (0..100)
            .map(|number| {
                let client = client.clone();
                let payload = json!({"name": format!("T{number}")});
                tokio::spawn(async move { client.call("track", "create", payload).await })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        for _ in 0..100 {
            let Some(Incoming::Event(event)) = events.recv().await else { panic!("no event") };
            assert_eq!(event.name, "changed");
        }
        let wrong = client.call("track", "create", json!({"name": 3})).await.unwrap_err();
        assert!(wrong.to_string().contains("payload.invalid"), "{wrong}");
        client.call("client", "shutdown", json!({})).await.unwrap();
        while events.recv().await.is_some() {}
        let closed = client.call("project", "info", json!({})).await.unwrap_err();
        assert!(matches!(closed, pulse_client::CallError::Closed { .. }), "{closed}");
    }

    #[test]
    fn an_asynchronous_client_does_many_things_at_a_time() {
        let folder = std::env::temp_dir().join(format!("pulse-serve-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (socket, project) = (folder.join("s"), folder.join("song"));
        let config = Config { audio_host: "none".into(), ..Config::default() };
        let options = Options { config, socket: socket.clone(), project: None };
        let server = std::thread::spawn(move || serve(options, &mut std::io::sink()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(speak(&socket, &project));
        server.join().unwrap().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
