//! One connection, from its first byte to its last.
//!
//! Two tasks: one reads, judges and hands on, one writes. Neither waits for the
//! other, so a client that sends without reading is cut off by its own queue
//! and holds nobody up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pulse_schemas::{
    codec::{self, Encoding},
    command::{self, Command, Effect, client},
    envelope::{Envelope, Kind},
    error::{ErrorBody, ErrorCode},
    frame::{FrameDecoder, FrameError, stream},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant as Deadline, timeout, timeout_at},
};

use super::{
    hub::{Client, Hub, Identity, Seen, encode},
    limits::Rate,
    outbox::{Class, Closed, Sink},
};
use crate::{
    commands, metrics,
    model::{Message, Model, Request},
};

/// The protocol that this server speaks.
pub const PROTOCOL: u16 = 1;

/// Times that a connection is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// From the first byte to a whole hello.
    pub hello: Duration,
    pub heartbeat: Duration,
    /// Without a sign of life.
    pub silence: Duration,
    /// From the first byte of a message to its last.
    pub message: Duration,
    /// Without a byte written to a client that has something to read.
    pub write: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            hello: Duration::from_secs(5),
            heartbeat: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            message: Duration::from_secs(30),
            write: Duration::from_secs(10),
        }
    }
}

/// What every connection shares.
#[derive(Clone)]
pub struct Shared {
    pub hub: Arc<Hub>,
    pub model: Model,
    pub timing: Timing,
    /// Changes with every start of the server.
    pub instance: Arc<str>,
    pub started: Instant,
    /// Folder of the open project, as the last `project.open` set it.
    pub project: Arc<std::sync::RwLock<Option<String>>>,
}

/// A socket, taken apart.
pub struct Ends<R, W> {
    pub reader: R,
    pub writer: W,
    /// For answers that are written by whoever has them.
    pub sink: Box<dyn Sink>,
}

/// Serves one connection to its end. `token` is what the client must know.
pub async fn serve<R, W>(shared: Shared, ends: Ends<R, W>, token: Option<Arc<str>>)
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let Ends { mut reader, mut writer, sink } = ends;
    metrics::CONNECTIONS_OPENED.add(1);
    let mut decoder = FrameDecoder::new(shared.hub.limits.max_message_bytes);
    let deadline = Deadline::now() + shared.timing.hello;
    let hello = timeout_at(deadline, first_message(&mut reader, &mut decoder)).await;
    let (encoding, envelope) = match hello {
        Ok(Some(Ok(hello))) => hello,
        Ok(None) => return,
        Ok(Some(Err(refusal))) => return refuse(&shared, &mut writer, refusal).await,
        Err(_) => {
            let body = ErrorBody::new(
                ErrorCode::ClientTimedOut,
                "no `client.hello` came in time; send it first",
            );
            return refuse(&shared, &mut writer, Refusal::plain(body)).await;
        }
    };
    let welcome = admit(&shared, encoding, &envelope, token.as_deref());
    let (client, reply) = match welcome {
        Ok(welcome) => welcome,
        Err(error) => {
            let refusal = Refusal { encoding, envelope: Some(envelope), error };
            return refuse(&shared, &mut writer, refusal).await;
        }
    };
    client.outbox.attach(sink);
    client.send(Class::Reply, &reply);
    let payload = json!({"client": info(&shared.hub, &client)});
    shared.hub.publish("client", "connected", payload, Some(client.cause()));
    let heard = Arc::new(AtomicU64::new(0));
    let mut writing =
        tokio::spawn(write(shared.clone(), Arc::clone(&client), writer, Arc::clone(&heard)));
    Reading { shared: &shared, client: &client, heard: &heard, rate: rate(&shared) }
        .run(&mut reader, &mut decoder)
        .await;
    let reason = reason(client.outbox.closed());
    client.outbox.close(Closed::Done);
    shared.hub.leave(&client);
    shared.model.insist(Message::Left(Arc::clone(&client)));
    let cause = client.cause();
    let payload = json!({
        "clientId": cause.client_id, "instanceId": cause.instance_id, "reason": reason,
    });
    shared.hub.publish("client", "disconnected", payload, Some(cause));
    let written = tokio::select! {
        written = &mut writing => written,
        () = discard(&mut reader) => writing.await,
    };
    client.outbox.detach();
    if written.is_err() {
        tracing::error!(client = client.number, "the writer of a connection panicked");
    }
}

/// Reads on to nowhere: a client that is stuck in sending gets to the point
/// where it reads why it was cut off.
async fn discard<R: AsyncRead + Unpin>(reader: &mut R) {
    let mut buffer = vec![0; 16 * 1024];
    while matches!(reader.read(&mut buffer).await, Ok(count) if count > 0) {}
}

fn rate(shared: &Shared) -> Rate {
    Rate::new(shared.hub.limits.max_commands_per_second)
}

/// Why a connection ended, as `client.disconnected` says it.
fn reason(why: Option<Closed>) -> &'static str {
    match why {
        Some(Closed::Done) => "goodbye",
        Some(Closed::TooSlow) => "tooSlow",
        Some(Closed::TimedOut) => "timedOut",
        None => "closed",
    }
}

/// What others see of a client.
pub fn info(hub: &Hub, client: &Client) -> Value {
    let identity = client.identity();
    json!({
        "clientId": identity.client_id,
        "instanceId": identity.instance_id,
        "name": identity.name,
        "version": identity.version,
        "author": identity.author,
        "connected": client.connected,
        "isManager": hub.manager().as_deref() == Some(identity.client_id.as_str()),
    })
}

/// An answer to somebody who is not a client yet.
struct Refusal {
    encoding: Encoding,
    envelope: Option<Envelope>,
    error: ErrorBody,
}

impl Refusal {
    fn plain(error: ErrorBody) -> Refusal {
        Refusal { encoding: Encoding::Json, envelope: None, error }
    }
}

async fn refuse<W: AsyncWrite + Unpin>(shared: &Shared, writer: &mut W, refusal: Refusal) {
    metrics::CONNECTIONS_REFUSED.add(1);
    let id = shared.hub.message_id();
    let hello = || Envelope::command("", "client", "hello", json!({}));
    let envelope = match &refusal.envelope {
        Some(asked) => asked.failure(id, refusal.error),
        None => Envelope { cid: None, ..hello().failure(id, refusal.error) },
    };
    if let Some(bytes) = encode(refusal.encoding, &envelope, shared.hub.limits.max_message_bytes) {
        let farewell = async {
            writer.write_all(&bytes).await?;
            writer.shutdown().await
        };
        if let Ok(Err(error)) = timeout(shared.timing.write, farewell).await {
            tracing::debug!(%error, "a refused connection did not take its answer");
        }
    }
}

/// Reads until there is one whole message.
async fn first_message<R: AsyncRead + Unpin>(
    reader: &mut R,
    decoder: &mut FrameDecoder,
) -> Option<Result<(Encoding, Envelope), Refusal>> {
    let mut buffer = vec![0; 4_096];
    loop {
        match decoder.next() {
            Ok(Some(body)) => {
                return Some(codec::decode_any(body).map_err(|error| {
                    let mut refusal = Refusal::plain(error.body);
                    refusal.encoding = Encoding::sniff(body).unwrap_or(Encoding::Json);
                    refusal
                }));
            }
            Ok(None) => {}
            Err(error) => return Some(Err(Refusal::plain(frame_error(&error)))),
        }
        match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => decoder.push(&buffer[..count]),
        }
    }
}

fn frame_error(error: &FrameError) -> ErrorBody {
    let code = match error {
        FrameError::TooLong { .. } => ErrorCode::FrameTooLong,
        FrameError::Empty => ErrorCode::FrameEmpty,
        _ => ErrorCode::FrameLost,
    };
    ErrorBody::new(code, error.to_string())
}

/// Judges a hello and makes its sender a client.
fn admit(
    shared: &Shared,
    encoding: Encoding,
    envelope: &Envelope,
    token: Option<&str>,
) -> Result<(Arc<Client>, Envelope), ErrorBody> {
    if envelope.domain != "client" || envelope.name != "hello" || envelope.kind != Kind::Command {
        return Err(ErrorBody::new(
            ErrorCode::ClientHelloRequired,
            "the first message of a connection is `client.hello`",
        ));
    }
    let decoded = command::decode("client", "hello", &envelope.payload);
    let typed = decoded.map_err(|error| error.body())?;
    let Command::Client(client::Command::Hello(hello)) = typed.value else {
        return Err(ErrorBody::new(ErrorCode::InternalError, "a hello is no hello"));
    };
    if !hello.protocols.is_empty() && !hello.protocols.contains(&PROTOCOL) {
        let text = format!("none of the protocols {:?} is spoken here", hello.protocols);
        return Err(
            ErrorBody::new(ErrorCode::ClientProtocol, text).with("supported", vec![PROTOCOL])
        );
    }
    let given = hello.token.as_deref().unwrap_or_default();
    if token.is_some_and(|expected| !equal_in_constant_time(expected, given)) {
        return Err(ErrorBody::new(ErrorCode::ClientUnauthorised, "the token is missing or wrong"));
    }
    let encoding = hello.encoding.unwrap_or(encoding);
    let identity = Identity {
        client_id: hello.client_id,
        instance_id: hello.instance_id,
        name: hello.name,
        version: hello.version,
        author: hello.author,
        heartbeat: hello.capabilities.heartbeat,
        streams: hello.capabilities.streams,
        deltas: hello.capabilities.deltas,
    };
    let client = shared.hub.join(encoding, identity).ok_or_else(|| {
        ErrorBody::new(ErrorCode::ClientLimit, "too many clients are connected")
            .with("limit", shared.hub.limits.max_clients)
    })?;
    if shared.hub.manager().is_none() && client.identity().client_id == "aura" {
        shared.hub.claim_manager(&client);
    }
    let reply = envelope.result(shared.hub.message_id(), welcome(shared, &client));
    Ok((client, reply))
}

/// Compares tokens in a time that does not tell how much of them was right.
fn equal_in_constant_time(left: &str, right: &str) -> bool {
    blake3::hash(left.as_bytes()) == blake3::hash(right.as_bytes())
}

fn welcome(shared: &Shared, client: &Client) -> Value {
    let limits = &shared.hub.limits;
    let manager = shared.hub.manager();
    let heartbeat = client.identity().heartbeat;
    json!({
        "protocol": PROTOCOL,
        "encoding": client.encoding,
        "server": "pulse",
        "serverVersion": env!("CARGO_PKG_VERSION"),
        "serverInstance": &*shared.instance,
        "isManager": manager.as_deref() == Some(client.identity().client_id.as_str()),
        "managerClientId": manager,
        "heartbeatMs": if heartbeat { shared.timing.heartbeat.as_millis() as u64 } else { 0 },
        "limits": {
            "maxMessageBytes": limits.max_message_bytes,
            "maxCommandsPerSecond": limits.max_commands_per_second,
            "maxSubscriptions": limits.max_subscriptions,
            "maxQueueBytes": limits.max_queue_bytes,
            "maxBatch": limits.max_batch,
        },
        "project": project(shared),
    })
}

fn project(shared: &Shared) -> Option<String> {
    shared.project.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

struct Reading<'a> {
    shared: &'a Shared,
    client: &'a Arc<Client>,
    /// Milliseconds since the server started at which the client was heard.
    heard: &'a AtomicU64,
    rate: Rate,
}

/// Whether a connection goes on.
#[derive(PartialEq)]
enum Next {
    Read,
    Close,
}

impl Reading<'_> {
    async fn run<R: AsyncRead + Unpin>(mut self, reader: &mut R, decoder: &mut FrameDecoder) {
        let mut buffer = vec![0; 64 * 1024];
        let mut unfinished_since: Option<Deadline> = None;
        self.note_life();
        loop {
            if self.frames(decoder) == Next::Close || self.client.outbox.is_closed() {
                return;
            }
            unfinished_since = match decoder.pending() {
                0 => None,
                _ => unfinished_since.or_else(|| Some(Deadline::now())),
            };
            let check = Deadline::now() + Duration::from_millis(250);
            match timeout_at(check, reader.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(count)) => {
                    metrics::BYTES_IN.add(count as u64);
                    self.note_life();
                    decoder.push(&buffer[..count]);
                }
                Err(_) => {}
            }
            let stalled =
                unfinished_since.is_some_and(|since| since.elapsed() > self.shared.timing.message);
            if stalled {
                self.refuse(None, ErrorCode::ClientTimedOut, "a message did not end in time");
                self.client.outbox.close(Closed::TimedOut);
                return;
            }
        }
    }

    fn note_life(&self) {
        let now = self.shared.started.elapsed().as_millis() as u64;
        self.heard.store(now, Ordering::Relaxed);
    }

    fn frames(&mut self, decoder: &mut FrameDecoder) -> Next {
        loop {
            match decoder.next() {
                Ok(None) => return Next::Read,
                Ok(Some(body)) => {
                    metrics::MESSAGES_IN.add(1);
                    if self.frame(body) == Next::Close {
                        return Next::Close;
                    }
                }
                Err(error) => {
                    self.fail(None, frame_error(&error));
                    if error.is_fatal() {
                        return Next::Close;
                    }
                }
            }
        }
    }

    fn frame(&mut self, body: &[u8]) -> Next {
        if let Err(wait) = self.rate.take(Instant::now()) {
            let error = ErrorBody::new(ErrorCode::ClientRateLimited, "commands come too fast")
                .with("retryAfterMs", wait.as_millis() as u64);
            let id = codec::decode(self.client.encoding, body).ok();
            self.fail(id.as_ref(), error);
            return Next::Read;
        }
        if stream::is_stream(body) {
            self.stream(body);
            return Next::Read;
        }
        match codec::decode(self.client.encoding, body) {
            Ok(envelope) => self.envelope(envelope),
            Err(error) => {
                let asked = error.id.map(|id| Envelope::command(id, "client", "error", json!({})));
                self.fail(asked.as_ref(), error.body);
                Next::Read
            }
        }
    }

    fn stream(&self, body: &[u8]) {
        let message = Message::Stream { client: Arc::clone(self.client), body: body.to_vec() };
        if let Err(error) = stream::StreamFrame::read(body) {
            self.fail(None, ErrorBody::new(ErrorCode::FrameBinary, error.to_string()));
        } else if let Err(error) =
            self.shared.model.send(pulse_schemas::envelope::Priority::Realtime, message)
        {
            self.fail(None, error);
        }
    }

    fn envelope(&self, envelope: Envelope) -> Next {
        let heartbeat = envelope.domain == "client" && envelope.name == "heartbeat";
        if envelope.kind == Kind::Event && heartbeat {
            return Next::Read;
        }
        if envelope.kind != Kind::Command {
            let error = ErrorBody::new(ErrorCode::EnvelopeKind, "a client sends commands");
            self.fail(Some(&envelope), error);
            return Next::Read;
        }
        let decoded = command::decode(&envelope.domain, &envelope.name, &envelope.payload);
        let command = match decoded {
            Ok(typed) => typed.value,
            Err(error) => {
                self.fail(Some(&envelope), error.body());
                return Next::Read;
            }
        };
        match command {
            Command::Client(client::Command::Hello(_)) => {
                let text = "this connection has introduced itself already";
                self.fail(Some(&envelope), ErrorBody::new(ErrorCode::ClientHelloTwice, text));
                Next::Read
            }
            Command::Client(client::Command::Goodbye(_)) => {
                let reply = envelope.result(self.shared.hub.message_id(), json!({}));
                self.client.send(Class::Reply, &reply);
                self.client.outbox.close(Closed::Done);
                Next::Close
            }
            command => {
                self.command(envelope, command);
                Next::Read
            }
        }
    }

    fn command(&self, envelope: Envelope, command: Command) {
        let spec = command.spec();
        if !spec.handled() {
            let text = format!("`{}` is declared and not handled yet", spec.full_name());
            let error = ErrorBody::new(ErrorCode::CommandNotImplemented, text);
            return self.fail(Some(&envelope), error);
        }
        let lasts = !commands::ends_with_connection(&command);
        let remember = lasts && (spec.is_edit() || spec.effect == Effect::Act);
        if remember {
            match self.shared.hub.seen(&self.client.identity().instance_id, &envelope) {
                Seen::New => {}
                Seen::Answered(reply) => return self.client.send(Class::Reply, &reply),
                Seen::UnderWay => {
                    let text = "this command is being done; ask again in a moment";
                    let error = ErrorBody::new(ErrorCode::SessionBusy, text);
                    return self.fail(Some(&envelope), error);
                }
                Seen::Reused => {
                    let text = format!("the id {:?} stood for another command", envelope.id);
                    let error = ErrorBody::new(ErrorCode::EnvelopeIdReused, text);
                    return self.fail(Some(&envelope), error);
                }
            }
        }
        let priority = envelope.priority;
        // What an answer needs of the question.
        let asked =
            Envelope::command(envelope.id.clone(), &envelope.domain, &envelope.name, Value::Null);
        let request = Request {
            client: Arc::clone(self.client),
            envelope,
            command,
            received: Instant::now(),
            remember,
            ahead: None,
        };
        self.client.under_way.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.shared.model.send(priority, Message::Command(Box::new(request))) {
            self.client.under_way.fetch_sub(1, Ordering::Relaxed);
            self.shared.hub.forget(&self.client.identity().instance_id, &asked.id);
            self.fail(Some(&asked), error);
        }
    }

    fn refuse(&self, asked: Option<&Envelope>, code: ErrorCode, text: &str) {
        self.fail(asked, ErrorBody::new(code, text));
    }

    fn fail(&self, asked: Option<&Envelope>, error: ErrorBody) {
        metrics::MESSAGES_REFUSED.add(1);
        let id = self.shared.hub.message_id();
        let envelope = match asked {
            Some(asked) => asked.failure(id, error),
            None => {
                let nothing = Envelope::command("", "client", "error", json!({}));
                Envelope { cid: None, ..nothing.failure(id, error) }
            }
        };
        self.client.send(Class::Reply, &envelope);
    }
}

/// Writes what is queued, says what was dropped, asks for signs of life.
async fn write<W: AsyncWrite + Unpin>(
    shared: Shared,
    client: Arc<Client>,
    mut writer: W,
    heard: Arc<AtomicU64>,
) {
    let mut beat = tokio::time::interval(shared.timing.heartbeat);
    loop {
        let batch = tokio::select! {
            batch = client.outbox.take() => batch,
            _ = beat.tick() => {
                heartbeat(&shared, &client, &heard);
                continue;
            }
        };
        metrics::BYTES_OUT.add(batch.bytes.len() as u64);
        let mut bytes = &batch.bytes[..];
        match write_all(&mut writer, &mut bytes, shared.timing.write).await {
            Written::All => {}
            Written::Gone => return client.outbox.close(Closed::Done),
            Written::Stuck => {
                // It is a client no longer, and costs nothing but this batch; should
                // it look once more, it reads the rest of its message and the reason.
                client.outbox.close(Closed::TooSlow);
                let last = shared.timing.silence;
                if write_all(&mut writer, &mut bytes, last).await == Written::All {
                    farewell(&shared, &client, &mut writer, Closed::TooSlow).await;
                } else {
                    metrics::CLIENTS_CUT_OFF.add(1);
                }
                return;
            }
        }
        if let Some(lag) = batch.lagged {
            metrics::EVENTS_DROPPED.add(lag.missed);
            let payload = json!({"subscription": null, "since": lag.since, "missed": lag.missed});
            let event = Envelope::event(shared.hub.message_id(), "client", "lagged", payload);
            client.send(Class::Reply, &event);
        }
        if let Some(why) = batch.closed {
            farewell(&shared, &client, &mut writer, why).await;
            return;
        }
    }
}

/// How writing went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Written {
    All,
    /// Nothing was taken for too long.
    Stuck,
    /// The other side has closed.
    Gone,
}

/// Writes, and leaves in `bytes` what was not taken.
async fn write_all<W: AsyncWrite + Unpin>(
    writer: &mut W,
    bytes: &mut &[u8],
    limit: Duration,
) -> Written {
    while !bytes.is_empty() {
        match timeout(limit, writer.write(bytes)).await {
            Ok(Ok(count)) if count > 0 => *bytes = &bytes[count..],
            Ok(_) => return Written::Gone,
            Err(_) => return Written::Stuck,
        }
    }
    Written::All
}

fn heartbeat(shared: &Shared, client: &Client, heard: &AtomicU64) {
    if !client.identity().heartbeat {
        return;
    }
    let now = shared.started.elapsed().as_millis() as u64;
    let silent = now.saturating_sub(heard.load(Ordering::Relaxed));
    if silent > shared.timing.silence.as_millis() as u64 {
        return client.outbox.close(Closed::TimedOut);
    }
    let payload = json!({"uptimeMs": now});
    let event = Envelope::event(shared.hub.message_id(), "client", "heartbeat", payload);
    client.send(Class::Latest { key: "client.heartbeat".to_owned() }, &event);
}

/// Says why a connection ends, where the client did not ask for it.
async fn farewell<W: AsyncWrite + Unpin>(
    shared: &Shared,
    client: &Client,
    writer: &mut W,
    why: Closed,
) {
    let error = match why {
        Closed::Done => None,
        Closed::TooSlow => {
            metrics::CLIENTS_CUT_OFF.add(1);
            let text = "the client reads slower than Pulse writes";
            Some(ErrorBody::new(ErrorCode::ClientTooSlow, text))
        }
        Closed::TimedOut => {
            let text = "nothing was heard of the client for too long";
            Some(ErrorBody::new(ErrorCode::ClientTimedOut, text))
        }
    };
    if let Some(error) = error {
        // Whoever was slow until now is given the time that it takes to look.
        let patience = shared.timing.write.max(shared.timing.silence);
        let nothing = Envelope::command("", "client", "error", json!({}));
        let id = shared.hub.message_id();
        let envelope = Envelope { cid: None, ..nothing.failure(id, error) };
        if let Some(bytes) = encode(client.encoding, &envelope, shared.hub.limits.max_message_bytes)
        {
            let mut bytes = &bytes[..];
            if write_all(writer, &mut bytes, patience).await != Written::All {
                tracing::debug!(client = client.number, "the reason of a cut-off was not taken");
            }
        }
    }
    if let Err(error) = writer.shutdown().await {
        tracing::debug!(%error, "the other side was gone already");
    }
}
