//! The client of programs that do other things meanwhile: any number of calls
//! at a time, events on a channel.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pulse_schemas::{
    codec::{self, Encoding},
    command::{CommandType, client::Welcome},
    envelope::{Envelope, Kind},
    error::ErrorBody,
    frame::{
        FrameDecoder,
        stream::{StreamFrame, is_stream},
    },
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::{mpsc, oneshot},
};

use crate::{CallError, Ids, Incoming, Introduction, LIMIT, outcome};

type Answer = oneshot::Sender<Envelope>;

#[derive(Default)]
struct Pending {
    calls: HashMap<String, Answer>,
    /// Set when the connection is gone, with the reason that Pulse gave.
    ended: Option<Option<ErrorBody>>,
}

struct Inner {
    pending: Mutex<Pending>,
    ids: Ids,
    /// Frames on their way out.
    outgoing: mpsc::Sender<Vec<u8>>,
    encoding: Encoding,
}

/// A connection; clones share it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// Events that may wait until they are read; then the connection waits too.
const EVENTS: usize = 4_096;

impl Client {
    pub async fn connect_unix(
        path: &Path,
        who: &Introduction,
    ) -> Result<(Client, Welcome, mpsc::Receiver<Incoming>), CallError> {
        let (reader, writer) = UnixStream::connect(path).await?.into_split();
        Client::start(reader, writer, who).await
    }

    pub async fn connect_tcp(
        address: SocketAddr,
        who: &Introduction,
    ) -> Result<(Client, Welcome, mpsc::Receiver<Incoming>), CallError> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (reader, writer) = socket.into_split();
        Client::start(reader, writer, who).await
    }

    async fn start<R, W>(
        reader: R,
        writer: W,
        who: &Introduction,
    ) -> Result<(Client, Welcome, mpsc::Receiver<Incoming>), CallError>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (outgoing, frames) = mpsc::channel(1_024);
        let (events, incoming) = mpsc::channel(EVENTS);
        let inner = Arc::new(Inner {
            pending: Mutex::default(),
            ids: Ids::new(),
            outgoing,
            encoding: who.encoding,
        });
        tokio::spawn(write(writer, frames));
        tokio::spawn(read(reader, Arc::clone(&inner), events));
        let client = Client { inner };
        let welcome: Welcome = client.send(&who.hello()).await?;
        Ok((client, welcome, incoming))
    }

    /// Sends a typed command and waits for its typed answer.
    pub async fn send<C: CommandType>(&self, command: &C) -> Result<C::Reply, CallError> {
        let payload = serde_json::to_value(command)?;
        let reply = self.call(C::SPEC.domain.name(), C::SPEC.name, payload).await?;
        Ok(serde_json::from_value(reply)?)
    }

    /// Sends any command and waits for its answer.
    pub async fn call(&self, domain: &str, name: &str, payload: Value) -> Result<Value, CallError> {
        let id = self.inner.ids.next();
        let envelope = Envelope::command(id.clone(), domain, name, payload);
        let mut bytes = Vec::new();
        codec::encode_frame(self.inner.encoding, &envelope, LIMIT, &mut bytes)
            .map_err(|error| CallError::Unreadable(error.to_string()))?;
        let (answer, answered) = oneshot::channel();
        {
            let mut pending = lock(&self.inner.pending);
            if let Some(why) = &pending.ended {
                return Err(CallError::Closed { why: why.clone() });
            }
            pending.calls.insert(id, answer);
        }
        let closed =
            || CallError::Closed { why: lock(&self.inner.pending).ended.clone().flatten() };
        self.inner.outgoing.send(bytes).await.map_err(|_| closed())?;
        outcome(answered.await.map_err(|_| closed())?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut frames: mpsc::Receiver<Vec<u8>>) {
    let mut waiting = Vec::new();
    while frames.recv_many(&mut waiting, 256).await > 0 {
        let bytes = waiting.concat();
        waiting.clear();
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read<R: AsyncRead + Unpin>(
    mut reader: R,
    inner: Arc<Inner>,
    events: mpsc::Sender<Incoming>,
) {
    let mut decoder = FrameDecoder::new(LIMIT);
    let mut buffer = vec![0; 64 * 1024];
    let why = loop {
        match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => break None,
            Ok(count) => decoder.push(&buffer[..count]),
        }
        match take(&mut decoder, &inner, &events).await {
            Ok(()) => {}
            Err(why) => break why,
        }
    };
    let mut pending = lock(&inner.pending);
    pending.ended = Some(why);
    pending.calls.clear();
}

/// Hands on every whole frame; an error is the end, with its reason.
async fn take(
    decoder: &mut FrameDecoder,
    inner: &Inner,
    events: &mpsc::Sender<Incoming>,
) -> Result<(), Option<ErrorBody>> {
    while let Some(body) = decoder.next().map_err(|_| None)? {
        if is_stream(body) {
            if let Ok(frame) = StreamFrame::read(body) {
                // A program that dropped the receiver wants no events.
                let _ = events.send(Incoming::Stream(frame)).await;
            }
            continue;
        }
        let (_, envelope) = codec::decode_any(body).map_err(|_| None)?;
        let waiting = envelope.cid.as_ref().and_then(|cid| lock(&inner.pending).calls.remove(cid));
        match waiting {
            Some(answer) => {
                // The caller may have given up waiting.
                let _ = answer.send(envelope);
            }
            None if envelope.kind == Kind::Error && envelope.cid.is_none() => {
                return Err(envelope.error);
            }
            None if envelope.domain == "client" && envelope.name == "heartbeat" => {
                beat(inner).await;
            }
            None => {
                let _ = events.send(Incoming::Event(Box::new(envelope))).await;
            }
        }
    }
    Ok(())
}

async fn beat(inner: &Inner) {
    let id = inner.ids.next();
    let empty = Value::Object(serde_json::Map::new());
    let envelope = Envelope::event(id, "client", "heartbeat", empty);
    let mut bytes = Vec::new();
    if codec::encode_frame(inner.encoding, &envelope, LIMIT, &mut bytes).is_ok() {
        // A full or closed queue shows in the next call.
        let _ = inner.outgoing.send(bytes).await;
    }
}
