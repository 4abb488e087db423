//! The one thread that owns the session.
//!
//! Everything that changes anything passes through one queue and is done by one
//! thread with `&mut Session`, so that the order of commands is the history and
//! no lock guards the project. What a durable edit answers waits in a second
//! thread for its group's fsync, while the model goes on with the next command.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased, unbounded};
use pulse_schemas::{
    command::Command,
    envelope::{Cause, Envelope, Priority},
    error::{ErrorBody, ErrorCode},
};
use serde_json::Value;

use crate::{
    commands::media::ahead::Ahead,
    ipc::{
        hub::{Client, Hub},
        outbox::Class,
    },
    rendering::Watch,
};

/// Commands that may wait in each queue.
const QUEUE: usize = 8_192;

/// One command on its way to the model.
pub struct Request {
    pub client: Arc<Client>,
    pub envelope: Envelope,
    pub command: Command,
    pub received: Instant,
    /// The answer is kept, for the case that the command is sent again.
    pub remember: bool,
    /// What was read for it on another thread, when it comes the second time.
    pub ahead: Option<Result<Ahead, ErrorBody>>,
}

/// What wakes the model thread.
pub enum Message {
    Command(Box<Request>),
    /// A binary frame of a gesture.
    Stream {
        client: Arc<Client>,
        body: Vec<u8>,
    },
    /// A connection ended; what the client held is let go.
    Left(Arc<Client>),
    /// A worker has something for the session.
    Work(Work),
    Stop,
}

/// A result of a background worker, applied on the model thread.
pub type Work = Box<dyn FnOnce(&mut dyn std::any::Any) + Send>;

/// An event to publish when its command is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub domain: &'static str,
    pub name: &'static str,
    pub payload: Value,
}

/// Waits until an edit is on the disk.
pub type Durable = Box<dyn FnOnce() -> Result<(), ErrorBody> + Send>;

/// What became of a command.
pub struct Outcome {
    pub reply: Result<Value, ErrorBody>,
    pub events: Vec<Published>,
    pub durable: Option<Durable>,
    /// The command comes again when something has been read for it.
    pub later: bool,
}

impl Outcome {
    pub fn new(reply: Result<Value, ErrorBody>) -> Outcome {
        Outcome { reply, events: Vec::new(), durable: None, later: false }
    }

    pub fn later() -> Outcome {
        Outcome { later: true, ..Outcome::new(Ok(Value::Null)) }
    }

    pub fn failed(error: ErrorBody) -> Outcome {
        Outcome::new(Err(error))
    }
}

/// The session, as the thread sees it.
pub trait Handler: 'static {
    fn handle(&mut self, request: &mut Request, hub: &Hub) -> Outcome;
    fn stream(&mut self, client: &Client, body: &[u8], hub: &Hub);
    fn left(&mut self, client: &Client, hub: &Hub);
    /// Called after each message and when nothing came for a while: views,
    /// meters, checkpoints.
    fn tick(&mut self, hub: &Hub);
    /// The project is closed and everything is on the disk when it returns.
    fn stop(&mut self, hub: &Hub);
    fn as_any(&mut self) -> &mut dyn std::any::Any;
}

/// The way into the model thread; cheap to clone.
#[derive(Clone)]
pub struct Model {
    urgent: Sender<Message>,
    normal: Sender<Message>,
    low: Sender<Message>,
    depth: Arc<AtomicUsize>,
}

/// How often the session gets a tick when nothing else happens.
const TICK: std::time::Duration = std::time::Duration::from_millis(16);

impl Model {
    /// Starts the thread; `make` runs on it, because a session need not be `Send`.
    pub fn start<H: Handler>(
        hub: Arc<Hub>,
        make: impl FnOnce(Model) -> H + Send + 'static,
    ) -> std::io::Result<(Model, JoinHandle<()>)> {
        let (urgent, urgent_in) = bounded(QUEUE);
        let (normal, normal_in) = bounded(QUEUE);
        let (low, low_in) = bounded(QUEUE);
        let depth = Arc::new(AtomicUsize::new(0));
        let model = Model { urgent, normal, low, depth };
        let own = model.clone();
        let thread = std::thread::Builder::new().name("pulse-model".into()).spawn(move || {
            let handler = make(own.clone());
            run(handler, &hub, &own.depth, [urgent_in, normal_in, low_in]);
        })?;
        Ok((model, thread))
    }

    /// Queues a message; refused when too many wait.
    pub fn send(&self, priority: Priority, message: Message) -> Result<(), ErrorBody> {
        let queue = match priority {
            Priority::Realtime | Priority::High => &self.urgent,
            Priority::Normal => &self.normal,
            Priority::Low => &self.low,
        };
        // Counted before it can be taken out again: the depth never falls below none.
        self.depth.fetch_add(1, Ordering::Relaxed);
        let refused = match queue.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) => ErrorBody::new(
                ErrorCode::SessionBusy,
                format!("{QUEUE} commands are waiting already"),
            ),
            Err(TrySendError::Disconnected(_)) => {
                ErrorBody::new(ErrorCode::SessionShuttingDown, "Pulse is shutting down")
            }
        };
        self.depth.fetch_sub(1, Ordering::Relaxed);
        Err(refused)
    }

    /// Queues what must not be lost: it waits for room instead.
    pub fn insist(&self, message: Message) {
        self.depth.fetch_add(1, Ordering::Relaxed);
        if self.normal.send(message).is_err() {
            self.depth.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Queues a command again from a worker. It waits for room as long as the work
    /// is wanted: at the end of the server nobody makes room any more.
    pub fn send_again(&self, mut message: Message, watch: &Watch) {
        self.depth.fetch_add(1, Ordering::Relaxed);
        loop {
            match self.normal.try_send(message) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) if !watch.is_cancelled() => message = back,
                Err(_) => break,
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.depth.fetch_sub(1, Ordering::Relaxed);
    }

    /// Messages that wait.
    pub fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }
}

fn run<H: Handler>(
    mut handler: H,
    hub: &Arc<Hub>,
    depth: &AtomicUsize,
    [urgent, normal, low]: [Receiver<Message>; 3],
) {
    let releaser = Releaser::start(Arc::clone(hub));
    loop {
        let message = select_biased! {
            recv(urgent) -> message => message.ok(),
            recv(normal) -> message => message.ok(),
            recv(low) -> message => message.ok(),
            default(TICK) => {
                handler.tick(hub);
                continue;
            }
        };
        depth.fetch_sub(1, Ordering::Relaxed);
        match message {
            None | Some(Message::Stop) => break,
            Some(Message::Command(request)) => {
                // Who is behind in its work does not also write; the writers do that in rows.
                let write =
                    if depth.load(Ordering::Relaxed) == 0 { Write::Now } else { Write::Soon };
                command(&mut handler, hub, &releaser, *request, write);
            }
            Some(Message::Stream { client, body }) => handler.stream(&client, &body, hub),
            Some(Message::Left(client)) => handler.left(&client, hub),
            Some(Message::Work(work)) => work(handler.as_any()),
        }
        handler.tick(hub);
    }
    handler.stop(hub);
    releaser.stop();
}

/// What holds the model thread up for so long is told in the log.
const LONG: std::time::Duration = std::time::Duration::from_secs(1);

/// Who writes an answer: the thread that has it, or the writer of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Write {
    Now,
    Soon,
}

fn command<H: Handler>(
    handler: &mut H,
    hub: &Hub,
    releaser: &Releaser,
    mut request: Request,
    write: Write,
) {
    let begun = Instant::now();
    // A defect in one command must not take the session of everybody else with it.
    let outcome = catch_unwind(AssertUnwindSafe(|| handler.handle(&mut request, hub)))
        .unwrap_or_else(|panic| Outcome::failed(defect(&request, panic.as_ref())));
    let took = begun.elapsed();
    if took >= LONG {
        let command = format!("{}.{}", request.envelope.domain, request.envelope.name);
        let ms = took.as_millis() as u64;
        tracing::warn!(command, ms, "a command kept everybody waiting");
    }
    if outcome.later {
        return;
    }
    releaser.release(request, outcome, hub, write);
}

fn defect(request: &Request, panic: &(dyn std::any::Any + Send)) -> ErrorBody {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    let name = format!("{}.{}", request.envelope.domain, request.envelope.name);
    tracing::error!(command = name, text, "a command panicked");
    ErrorBody::new(ErrorCode::InternalError, format!("`{name}` failed inside Pulse: {text}"))
}

/// Holds answers back until what they say is on the disk.
struct Releaser {
    queue: Sender<Held>,
    thread: Option<JoinHandle<()>>,
    /// Answers in the queue: while there are any, others queue behind them, so
    /// that answers keep the order of the commands.
    waiting: Arc<AtomicUsize>,
}

struct Held {
    request: Request,
    outcome: Outcome,
}

impl Releaser {
    fn start(hub: Arc<Hub>) -> Releaser {
        let (queue, held) = unbounded::<Held>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("pulse-release".into())
            .spawn(move || {
                for Held { request, outcome } in held {
                    release(&hub, request, outcome, Write::Now);
                    count.fetch_sub(1, Ordering::AcqRel);
                }
            })
            .inspect_err(|error| tracing::error!(%error, "no thread for durable answers"))
            .ok();
        Releaser { queue, thread, waiting }
    }

    fn release(&self, request: Request, outcome: Outcome, hub: &Hub, write: Write) {
        let direct = outcome.durable.is_none() && self.waiting.load(Ordering::Acquire) == 0;
        if direct || self.thread.is_none() {
            return release(hub, request, outcome, write);
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if let Err(back) = self.queue.send(Held { request, outcome }) {
            let Held { request, outcome } = back.into_inner();
            release(hub, request, outcome, write);
        }
    }

    fn stop(self) {
        drop(self.queue);
        if let Some(thread) = self.thread
            && thread.join().is_err()
        {
            tracing::error!("the thread for durable answers panicked");
        }
    }
}

/// Waits for the disk where it must, then answers and publishes.
fn release(hub: &Hub, request: Request, outcome: Outcome, write: Write) {
    let Outcome { reply, events, durable, .. } = outcome;
    let reply = match durable.map(|wait| wait()) {
        None | Some(Ok(())) => reply,
        Some(Err(error)) => Err(error),
    };
    let published = reply.is_ok();
    answer(hub, &request, reply, write);
    if published {
        let by: Cause = request.client.cause();
        for event in events {
            hub.publish(event.domain, event.name, event.payload, Some(by.clone()));
        }
    }
}

fn answer(hub: &Hub, request: &Request, reply: Result<Value, ErrorBody>, write: Write) {
    let id = hub.message_id();
    let mut envelope = match reply {
        Ok(payload) => request.envelope.result(id, payload),
        Err(error) => request.envelope.failure(id, error),
    };
    envelope.ts = Some(crate::clock::now());
    let envelope = Arc::new(envelope);
    if request.remember {
        hub.answered(&request.client.identity().instance_id, &envelope);
    }
    crate::metrics::command_done(&request.envelope.domain, request.received.elapsed());
    // Answers to a client that has sent more than it waits for are written in rows.
    let last = request.client.under_way.fetch_sub(1, Ordering::Relaxed) == 1;
    match write {
        Write::Now if last => request.client.send_now(&envelope),
        _ => request.client.send(Class::Reply, &envelope),
    }
}
