//! The session behind the model thread: commands of connected clients.

use std::sync::Arc;

use pulse_schemas::{
    command::{
        Command,
        client::{self, ViewSubscription},
    },
    error::{ErrorBody, ErrorCode},
};
use serde_json::json;

use crate::{
    commands::media::ahead::{self, Ahead, Facts},
    ipc::{
        connection::{Shared, info},
        hub::{Client, Hub, Topics},
        outbox::Closed,
    },
    model::{Durable, Handler, Message, Outcome, Published, Request},
    refusal::{Refusal, Reply},
    rendering::Watch,
    renders::Finish,
    session::{Caller, Session, Traffic},
    subscriptions::Subscriptions,
};

/// How often the numbers of the metrics page are noted.
const NOTE_EVERY: std::time::Duration = std::time::Duration::from_millis(250);

/// Runs a session for the clients of a hub.
pub struct Host {
    /// When the metrics of the session were noted last.
    noted: std::time::Instant,
    pub session: Session,
    /// Views that connections watch.
    views: Subscriptions,
    shared: Shared,
    /// Told when a client asks the server to end.
    shutdown: Arc<tokio::sync::Notify>,
}

/// Where the open project lies, as a welcome says it.
pub fn project_path(session: &Session) -> Option<String> {
    let path = session.open.as_ref().and_then(|open| open.path.as_ref());
    path.map(|path| path.display().to_string())
}

impl Host {
    pub fn new(session: Session, shared: Shared, shutdown: Arc<tokio::sync::Notify>) -> Host {
        let noted = std::time::Instant::now();
        let views = Subscriptions::default();
        Host { noted, session, views, shared, shutdown }
    }

    /// Tells connections which project is open, for their welcome.
    fn note_project(&mut self) {
        let mut project =
            self.shared.project.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *project = project_path(&self.session);
    }

    /// Tells the session what it can't see itself, for those who ask about it.
    fn note_traffic(&mut self, hub: &Hub) {
        let clients = hub.clients();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.session.traffic = Traffic {
            clients: count(clients.len()),
            queued_commands: count(self.shared.model.depth()),
            queued_bytes: clients.iter().map(|client| client.outbox.stats().queued_bytes).sum(),
        };
    }

    /// Has files read on another thread, from where the command comes back.
    fn read_ahead(&mut self, request: &Request, task: ahead::Task) -> Outcome {
        let mut again = Request {
            client: Arc::clone(&request.client),
            envelope: request.envelope.clone(),
            command: request.command.clone(),
            received: request.received,
            remember: request.remember,
            ahead: None,
        };
        let (name, by) = (request.command.spec().full_name(), request.client.cause().instance_id);
        let model = self.shared.model.clone();
        let label = task.label.clone();
        let work = move |watch: &Watch| -> Result<Finish, Refusal> {
            let read = task.run(watch);
            let (told, ended) = match read {
                Ok(read) => (Ok(read), Ok(())),
                Err(Refusal(error)) => (Err(error.clone()), Err(Refusal(error))),
            };
            again.ahead = Some(told);
            model.send_again(Message::Command(Box::new(again)), watch);
            ended?;
            Ok(Box::new(|_| Ok(json!({}))))
        };
        match self.session.start_job(&name, label, &by, work) {
            Ok(_) => Outcome::later(),
            Err(Refusal(error)) => Outcome::failed(error),
        }
    }

    fn client(&mut self, request: &Request, command: &client::Command, hub: &Hub) -> Reply {
        let client = &request.client;
        match command {
            client::Command::Hello(_) | client::Command::Goodbye(_) => {
                Err(Refusal::internal("the connection handles this command"))
            }
            client::Command::Heartbeat(_) => {
                Ok(json!({"uptimeMs": self.shared.started.elapsed().as_millis() as u64}))
            }
            client::Command::Shutdown(_) => self.shut_down(client, hub),
            client::Command::ClaimManager(_) => claim(client, hub),
            client::Command::List(_) => {
                let clients: Vec<_> =
                    hub.clients().iter().map(|client| info(hub, client)).collect();
                Ok(json!({ "clients": clients }))
            }
            client::Command::Update(payload) => {
                client.update(|identity| {
                    identity.name = payload.name.clone().or(identity.name.take());
                    identity.author = payload.author.clone().or(identity.author.take());
                    if let Some(capabilities) = &payload.capabilities {
                        identity.streams = capabilities.streams;
                        identity.deltas = capabilities.deltas;
                        identity.heartbeat = capabilities.heartbeat;
                    }
                });
                Ok(json!({}))
            }
            client::Command::Subscribe(payload) => subscribe(client, payload, hub),
            client::Command::Unsubscribe(payload) => {
                if client.unsubscribe(payload.subscription) {
                    return Ok(json!({}));
                }
                let text = format!("there is no subscription {}", payload.subscription);
                Err(Refusal::new(ErrorCode::ClientSubscriptionUnknown, text))
            }
            client::Command::Subscriptions(_) => {
                let meters = &self.session.live.meters;
                let own = meters.values().filter(|it| it.connection == client.number);
                let streams: Vec<u32> = own.map(|stream| stream.number).collect();
                Ok(subscriptions(client, &self.views.list(client.number), &streams))
            }
        }
    }

    fn shut_down(&mut self, client: &Client, hub: &Hub) -> Reply {
        let manager = hub.manager();
        if manager.is_some_and(|manager| manager != client.identity().client_id) {
            return Err(Refusal::new(
                ErrorCode::ClientNotManager,
                "another client manages this Pulse",
            ));
        }
        self.shutdown.notify_one();
        Ok(json!({}))
    }
}

fn claim(client: &Client, hub: &Hub) -> Reply {
    if hub.claim_manager(client) {
        let by = client.cause();
        hub.publish("client", "managerChanged", json!({"clientId": by.client_id}), Some(by));
        return Ok(json!({}));
    }
    Err(Refusal::new(ErrorCode::ClientNotManager, "another manager is connected"))
}

fn subscribe(client: &Client, payload: &client::Subscribe, hub: &Hub) -> Reply {
    let topics: Topics = payload
        .topics
        .iter()
        .map(|topic| (topic.domain.clone(), topic.names.iter().cloned().collect()))
        .collect();
    let Some((subscription, position, recovered)) = hub.subscribe(client, topics, payload.since)
    else {
        let text = "this connection has all the subscriptions it may have";
        return Err(
            Refusal::new(ErrorCode::LimitReached, text).with("limit", "limits.subscriptions")
        );
    };
    Ok(json!({"subscription": subscription, "position": position, "recovered": recovered}))
}

fn subscriptions(
    client: &Client,
    views: &[ViewSubscription],
    streams: &[u32],
) -> serde_json::Value {
    let events: Vec<_> = client
        .subscriptions()
        .into_iter()
        .map(|(subscription, topics)| {
            let topics: Vec<_> = topics
                .into_iter()
                .map(|(domain, names)| json!({"domain": domain, "names": names}))
                .collect();
            json!({"subscription": subscription, "topics": topics})
        })
        .collect();
    json!({"events": events, "views": views, "streams": streams})
}

fn caller(client: &Client) -> Caller {
    let cause = client.cause();
    Caller {
        instance_id: cause.instance_id,
        client_id: cause.client_id,
        author: cause.author,
        connection: client.number,
    }
}

fn publish(hub: &Hub, events: Vec<Published>, by: Option<&Client>) {
    for event in events {
        hub.publish(event.domain, event.name, event.payload, by.map(Client::cause));
    }
}

impl Handler for Host {
    fn handle(&mut self, request: &mut Request, hub: &Hub) -> Outcome {
        match request.ahead.take() {
            Some(Ok(Ahead::Reply(reply))) => return Outcome::new(Ok(reply)),
            Some(Ok(Ahead::Facts(facts))) => self.session.live.facts = facts,
            Some(Err(error)) => return Outcome::failed(error),
            None => {
                if let Some(task) = ahead::task(&self.session, &request.command) {
                    return self.read_ahead(request, task);
                }
            }
        }
        if let Command::Client(command) = &request.command {
            let command = command.clone();
            let reply = self.client(request, &command, hub).map_err(|Refusal(error)| error);
            return Outcome::new(reply);
        }
        let caller = caller(&request.client);
        if let Command::View(command) = &request.command
            && let Some(reply) =
                self.views.handle(&mut self.session, &request.client, &caller, command, hub)
        {
            let reply = reply.map_err(|Refusal(error)| error);
            return Outcome::new(reply);
        }
        if matches!(request.command, Command::Diagnostics(_) | Command::Session(_)) {
            self.note_traffic(hub);
        }
        let expect = request.envelope.expect_revision;
        let done = self.session.execute(&caller, &request.command, expect);
        self.session.live.facts = Facts::default();
        if matches!(request.command, Command::Project(_)) {
            self.note_project();
        }
        let durable: Option<Durable> = done.ticket.map(|ticket| -> Durable {
            Box::new(move || {
                ticket.wait().map_err(|error| {
                    let text = format!("the edit may not survive a power cut: {error}");
                    ErrorBody::new(ErrorCode::IoFailed, text).with("reason", error.to_string())
                })
            })
        });
        Outcome { reply: done.reply, events: done.events, durable, later: false }
    }

    fn stream(&mut self, client: &Client, body: &[u8], hub: &Hub) {
        match self.session.stream(&caller(client), body) {
            Ok(events) => publish(hub, events, Some(client)),
            Err(Refusal(error)) => {
                tracing::debug!(client = client.number, %error.message, "a frame is left out");
            }
        }
    }

    fn left(&mut self, client: &Client, hub: &Hub) {
        self.views.left(client.number);
        let events = self.session.let_go(&caller(client));
        publish(hub, events, Some(client));
    }

    fn tick(&mut self, hub: &Hub) {
        if self.noted.elapsed() > NOTE_EVERY {
            self.noted = std::time::Instant::now();
            let revision = self.session.open.as_ref().map_or(0, |open| open.project.seq());
            crate::metrics::note_session(self.session.live.playback.load().mean, revision);
            crate::metrics::note_ahead(self.session.live.playback.ahead());
        }
        publish(hub, self.session.tick(), None);
        let mut news = crate::engine_news::look(&mut self.session);
        news.extend(crate::warnings::look(&mut self.session));
        publish(hub, news, None);
        crate::meters::pump(&mut self.session, hub);
        self.views.tick(&mut self.session, hub);
        if self.session.has_jobs() {
            self.session.collect_jobs();
            publish(hub, std::mem::take(&mut self.session.outbox), None);
        }
    }

    fn stop(&mut self, hub: &Hub) {
        let event = Published {
            domain: "client",
            name: "stopping",
            payload: json!({"reason": "Pulse is shutting down"}),
        };
        hub.publish(event.domain, event.name, event.payload, None);
        self.session.stop_jobs();
        if let Some(open) = self.session.open.take()
            && let Err(error) = open.project.close()
        {
            tracing::error!(%error, "the project did not close cleanly; its journal has everything");
        }
        hub.close_all(Closed::Done);
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}
