//! Who is connected, what each listens to, and what each has been answered.
//!
//! The hub is the meeting point of the model thread, which publishes, and the
//! connections, which write. An event is encoded once for each encoding that
//! some subscriber speaks, however many subscribers there are.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use pulse_schemas::{
    codec::{self, Encoding},
    envelope::{Cause, Envelope, Position},
    event::{self, ChannelClass},
};

use super::{
    log::{EventLog, Recovery},
    outbox::{Bytes, Class, Closed, Outbox},
};

/// Limits that every connection is held to.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub max_message_bytes: usize,
    pub max_commands_per_second: u32,
    pub max_subscriptions: usize,
    pub max_queue_bytes: usize,
    pub max_clients: usize,
    pub max_batch: usize,
    /// Events kept for clients that come back.
    pub event_history: usize,
    /// Answers kept per instance for commands that are sent again.
    pub answer_history: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message_bytes: 16 * 1024 * 1024,
            max_commands_per_second: 100_000,
            max_subscriptions: 256,
            max_queue_bytes: 4 * 1024 * 1024,
            max_clients: 1_024,
            max_batch: 10_000,
            event_history: 10_000,
            answer_history: 512,
        }
    }
}

/// Domains and names that a subscription hears; no names is all of the domain.
pub type Topics = Vec<(String, BTreeSet<String>)>;

/// What a client has said about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub client_id: String,
    pub instance_id: String,
    pub name: Option<String>,
    pub version: Option<String>,
    pub author: Option<String>,
    pub heartbeat: bool,
    pub streams: bool,
    pub deltas: bool,
}

/// One connected client.
pub struct Client {
    /// Unique among connections of this server.
    pub number: u64,
    pub encoding: Encoding,
    pub outbox: Outbox,
    pub connected: pulse_schemas::envelope::Timestamp,
    /// Commands that wait for their answer.
    pub under_way: AtomicUsize,
    identity: Mutex<Identity>,
    subscriptions: Mutex<BTreeMap<u32, Topics>>,
    next_subscription: AtomicU64,
    max_message_bytes: usize,
}

impl Client {
    pub fn identity(&self) -> Identity {
        lock(&self.identity).clone()
    }

    pub fn update(&self, change: impl FnOnce(&mut Identity)) {
        change(&mut lock(&self.identity));
    }

    pub fn cause(&self) -> Cause {
        let identity = lock(&self.identity);
        Cause {
            author: identity.author.as_ref().unwrap_or(&identity.client_id).clone(),
            client_id: identity.client_id.clone(),
            instance_id: identity.instance_id.clone(),
        }
    }

    /// A number for a subscription of any kind on this connection.
    pub fn next_subscription(&self) -> u32 {
        self.next_subscription.fetch_add(1, Ordering::Relaxed) as u32
    }

    pub fn subscriptions(&self) -> BTreeMap<u32, Topics> {
        lock(&self.subscriptions).clone()
    }

    pub fn unsubscribe(&self, subscription: u32) -> bool {
        lock(&self.subscriptions).remove(&subscription).is_some()
    }

    fn hears(&self, domain: &str, name: &str) -> bool {
        lock(&self.subscriptions)
            .values()
            .flatten()
            .any(|(topic, names)| topic == domain && (names.is_empty() || names.contains(name)))
    }

    /// Encodes and queues a message of this client's own.
    pub fn send(&self, class: Class, envelope: &Envelope) {
        if let Some(bytes) = encode(self.encoding, envelope, self.max_message_bytes) {
            self.outbox.push(class, bytes);
        }
    }

    /// Encodes an answer and writes it at once, where nothing waits before it.
    pub fn send_now(&self, envelope: &Envelope) {
        if let Some(bytes) = encode(self.encoding, envelope, self.max_message_bytes) {
            self.outbox.push_now(bytes);
        }
    }
}

/// One frame. A message over the limit is a defect of the server; it is logged
/// and replaced by nothing, because half a frame would lose the connection.
pub fn encode(encoding: Encoding, envelope: &Envelope, limit: usize) -> Option<Bytes> {
    let mut out = Vec::with_capacity(256);
    match codec::encode_frame(encoding, envelope, limit, &mut out) {
        Ok(()) => Some(out.into()),
        Err(error) => {
            tracing::error!(%error, domain = envelope.domain, name = envelope.name, "not sent");
            None
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an instance asked before and what it was told.
#[derive(Default)]
struct Answers {
    order: VecDeque<String>,
    by_id: BTreeMap<String, Answer>,
}

#[derive(Clone)]
struct Answer {
    /// What was asked, to tell a repetition from a mistake.
    question: pulse_schemas::hash::Hash,
    /// None while the command is under way.
    reply: Option<Arc<Envelope>>,
}

/// What the hub knows of a message id of an instance.
pub enum Seen {
    New,
    /// The same command is under way on an older connection.
    UnderWay,
    /// It was answered: here is the answer again.
    Answered(Arc<Envelope>),
    /// The id stood for another command.
    Reused,
}

/// Instances whose answers are kept.
const INSTANCES_MAX: usize = 4_096;

pub struct Hub {
    pub limits: Limits,
    clients: Mutex<BTreeMap<u64, Arc<Client>>>,
    next_client: AtomicU64,
    next_message: AtomicU64,
    log: Mutex<EventLog>,
    answers: Mutex<(VecDeque<String>, BTreeMap<String, Answers>)>,
    /// Client id of the manager: the program that this Pulse belongs to.
    manager: Mutex<Option<String>>,
}

impl Hub {
    /// `epoch` differs between two runs of the server.
    pub fn new(epoch: u64, limits: Limits) -> Hub {
        let log = EventLog::new(epoch, limits.event_history);
        Hub {
            limits,
            clients: Mutex::default(),
            next_client: AtomicU64::new(1),
            next_message: AtomicU64::new(1),
            log: Mutex::new(log),
            answers: Mutex::default(),
            manager: Mutex::default(),
        }
    }

    /// An id for a message of the server.
    pub fn message_id(&self) -> String {
        format!("s{}", self.next_message.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a client, unless there are too many.
    pub fn join(&self, encoding: Encoding, identity: Identity) -> Option<Arc<Client>> {
        let mut clients = lock(&self.clients);
        if clients.len() >= self.limits.max_clients {
            return None;
        }
        let client = Arc::new(Client {
            number: self.next_client.fetch_add(1, Ordering::Relaxed),
            encoding,
            outbox: Outbox::new(self.limits.max_queue_bytes),
            connected: crate::clock::now(),
            under_way: AtomicUsize::new(0),
            identity: Mutex::new(identity),
            subscriptions: Mutex::default(),
            next_subscription: AtomicU64::new(1),
            max_message_bytes: self.limits.max_message_bytes,
        });
        clients.insert(client.number, Arc::clone(&client));
        Some(client)
    }

    pub fn leave(&self, client: &Client) {
        lock(&self.clients).remove(&client.number);
        let mut manager = lock(&self.manager);
        if manager.as_deref() == Some(client.identity().client_id.as_str())
            && !self.is_connected(&client.identity().client_id)
        {
            *manager = None;
        }
    }

    fn is_connected(&self, client_id: &str) -> bool {
        self.clients().iter().any(|client| client.identity().client_id == client_id)
    }

    pub fn clients(&self) -> Vec<Arc<Client>> {
        lock(&self.clients).values().cloned().collect()
    }

    pub fn client(&self, number: u64) -> Option<Arc<Client>> {
        lock(&self.clients).get(&number).cloned()
    }

    /// Clients that listen to an event.
    pub fn listeners(&self, domain: &str, name: &str) -> Vec<Arc<Client>> {
        let clients = lock(&self.clients);
        clients.values().filter(|client| client.hears(domain, name)).cloned().collect()
    }

    /// Tells whoever listens the latest of something, which takes the place of what
    /// they have not read yet. It has no position: nobody misses it, and nobody
    /// who comes back has to hear all that has been. Who caused it knows it.
    fn tell_latest(&self, key: &str, event: &Envelope) {
        let own = event.by.as_ref().map(|by| by.instance_id.as_str());
        let mut encoded: [Option<Bytes>; 2] = [None, None];
        for client in self.listeners(&event.domain, &event.name) {
            if own == Some(client.identity().instance_id.as_str()) {
                continue;
            }
            let at = usize::from(client.encoding == Encoding::MessagePack);
            if encoded[at].is_none() {
                encoded[at] = encode(client.encoding, event, self.limits.max_message_bytes);
            }
            if let Some(bytes) = &encoded[at] {
                client.outbox.push(Class::Latest { key: key.to_owned() }, Arc::clone(bytes));
            }
        }
    }

    /// Tells one client something that belongs to it alone.
    pub fn tell(&self, client: &Client, domain: &str, name: &str, payload: serde_json::Value) {
        let mut event = Envelope::event(self.message_id(), domain, name, payload);
        event.ts = Some(crate::clock::now());
        client.send(Class::Reply, &event);
    }

    pub fn manager(&self) -> Option<String> {
        lock(&self.manager).clone()
    }

    /// Makes a client the manager, unless another one is connected.
    pub fn claim_manager(&self, client: &Client) -> bool {
        let id = client.identity().client_id;
        let mut manager = lock(&self.manager);
        let free = manager.as_ref().is_none_or(|held| *held == id || !self.is_connected(held));
        if free {
            *manager = Some(id);
        }
        free
    }

    /// Ends every connection after its queue is written.
    pub fn close_all(&self, why: Closed) {
        self.clients().iter().for_each(|client| client.outbox.close(why));
    }

    pub fn position(&self) -> Position {
        lock(&self.log).position()
    }

    /// Subscribes a client. Positions and what was missed are taken under one
    /// lock with publishing, so that nothing falls between.
    pub fn subscribe(
        &self,
        client: &Client,
        topics: Topics,
        since: Option<Position>,
    ) -> Option<(u32, Position, bool)> {
        let log = lock(&self.log);
        let mut subscriptions = lock(&client.subscriptions);
        if subscriptions.len() >= self.limits.max_subscriptions {
            return None;
        }
        let number = client.next_subscription();
        subscriptions.insert(number, topics);
        drop(subscriptions);
        let recovered = match since.map(|since| log.since(since)) {
            None => true,
            Some(Recovery::Lost) => false,
            Some(Recovery::Recovered(missed)) => {
                missed
                    .iter()
                    .filter(|event| client.hears(&event.domain, &event.name))
                    .for_each(|event| client.send(class_of(event), event));
                true
            }
        };
        Some((number, log.position(), recovered))
    }

    /// Publishes an event to everyone who listens.
    pub fn publish(&self, domain: &str, name: &str, payload: serde_json::Value, by: Option<Cause>) {
        let mut event = Envelope::event(self.message_id(), domain, name, payload);
        event.ts = Some(crate::clock::now());
        event.by = by;
        if let Some(key) = latest_key(&event) {
            return self.tell_latest(&key, &event);
        }
        let mut log = lock(&self.log);
        let event = log.append(event);
        let mut encoded: [Option<Bytes>; 2] = [None, None];
        for client in self.listeners(domain, name) {
            let at = usize::from(client.encoding == Encoding::MessagePack);
            if encoded[at].is_none() {
                encoded[at] = encode(client.encoding, &event, self.limits.max_message_bytes);
            }
            if let Some(bytes) = &encoded[at] {
                client.outbox.push(class_of(&event), Arc::clone(bytes));
            }
        }
    }

    /// Looks an id up before its command runs, and notes it where it is new.
    pub fn seen(&self, instance: &str, command: &Envelope) -> Seen {
        let question = question_of(command);
        let mut guard = lock(&self.answers);
        let (order, instances) = &mut *guard;
        if !instances.contains_key(instance) {
            order.push_back(instance.to_owned());
            if order.len() > INSTANCES_MAX
                && let Some(oldest) = order.pop_front()
            {
                instances.remove(&oldest);
            }
        }
        let answers = instances.entry(instance.to_owned()).or_default();
        match answers.by_id.get(&command.id) {
            Some(known) if known.question != question => Seen::Reused,
            Some(Answer { reply: Some(reply), .. }) => Seen::Answered(Arc::clone(reply)),
            Some(Answer { reply: None, .. }) => Seen::UnderWay,
            None => {
                answers.order.push_back(command.id.clone());
                answers.by_id.insert(command.id.clone(), Answer { question, reply: None });
                if answers.order.len() > self.limits.answer_history
                    && let Some(oldest) = answers.order.pop_front()
                {
                    answers.by_id.remove(&oldest);
                }
                Seen::New
            }
        }
    }

    /// A command that was noted did not run after all.
    pub fn forget(&self, instance: &str, id: &str) {
        let mut guard = lock(&self.answers);
        if let Some(answers) = guard.1.get_mut(instance) {
            answers.by_id.remove(id);
            answers.order.retain(|known| known != id);
        }
    }

    /// Keeps the answer to a command for the case that it is sent again.
    pub fn answered(&self, instance: &str, reply: &Arc<Envelope>) {
        let mut guard = lock(&self.answers);
        let answer =
            reply.cid.as_ref().and_then(|cid| guard.1.get_mut(instance)?.by_id.get_mut(cid));
        if let Some(answer) = answer {
            answer.reply = Some(Arc::clone(reply));
        }
    }
}

/// What an event is the latest of, where only the latest counts. One line of a log
/// is not the latest of another; of the same line said again it is.
fn latest_key(event: &Envelope) -> Option<String> {
    let spec = event::find(&event.domain, &event.name)?;
    if spec.class != ChannelClass::Latest {
        return None;
    }
    let mut key = spec.full_name();
    for pointer in ["/target", "/parameter", "/job/id", "/source", "/message"] {
        if let Some(part) = event.payload.pointer(pointer).and_then(|part| part.as_str()) {
            key.push('/');
            key.push_str(part);
        }
    }
    Some(key)
}

fn class_of(event: &Envelope) -> Class {
    match event.position {
        Some(position) => Class::Event { position },
        None => Class::Reply,
    }
}

fn question_of(command: &Envelope) -> pulse_schemas::hash::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(command.domain.as_bytes());
    hasher.update(&[0]);
    hasher.update(command.name.as_bytes());
    hasher.update(&[0]);
    hasher.update(pulse_schemas::record::canonical_json(&command.payload).as_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hub(limits: Limits) -> Hub {
        Hub::new(1, limits)
    }

    fn join(hub: &Hub, name: &str) -> Arc<Client> {
        let identity = Identity {
            client_id: name.into(),
            instance_id: format!("{name}-1"),
            name: None,
            version: None,
            author: None,
            heartbeat: false,
            streams: false,
            deltas: false,
        };
        hub.join(Encoding::Json, identity).unwrap()
    }

    fn topics(domain: &str, names: &[&str]) -> Topics {
        vec![(domain.to_owned(), names.iter().map(|name| name.to_string()).collect())]
    }

    #[test]
    fn a_subscriber_hears_its_topics_and_nothing_else() {
        let hub = hub(Limits::default());
        let client = join(&hub, "aura");
        hub.subscribe(&client, topics("track", &["create"]), None).unwrap();
        for (domain, name) in [("track", "create"), ("track", "delete"), ("clip", "create")] {
            hub.publish(domain, name, json!({}), None);
        }
        assert_eq!(hub.position().sequence, 3);
        hub.publish("track", "create", json!({}), None);
        assert!(client.outbox.stats().queued_bytes > 0);
        assert!(!client.hears("clip", "create"));
    }

    #[test]
    fn a_repeated_command_is_answered_again_and_a_reused_id_is_refused() {
        let hub = hub(Limits::default());
        let command = Envelope::command("c1", "track", "create", json!({"name": "a"}));
        assert!(matches!(hub.seen("i", &command), Seen::New));
        assert!(matches!(hub.seen("i", &command), Seen::UnderWay));
        hub.answered("i", &Arc::new(command.result("s1", json!({"done": true}))));
        assert!(matches!(hub.seen("i", &command), Seen::Answered(_)));
        assert!(matches!(hub.seen("other", &command), Seen::New));
        let other = Envelope::command("c1", "track", "create", json!({"name": "b"}));
        assert!(matches!(hub.seen("i", &other), Seen::Reused));
    }

    #[test]
    fn only_the_latest_value_waits_and_who_caused_it_hears_no_echo() {
        let hub = hub(Limits::default());
        let (mover, watcher) = (join(&hub, "mover"), join(&hub, "watcher"));
        for client in [&mover, &watcher] {
            hub.subscribe(client, topics("parameter", &["gesture"]), None).unwrap();
        }
        for value in 0..9 {
            for target in ["chn_1", "chn_2"] {
                let payload = json!({"target": target, "parameter": "pan", "value": value});
                hub.publish("parameter", "gesture", payload, Some(mover.cause()));
            }
        }
        assert_eq!(hub.position().sequence, 0, "it is not kept for who comes back");
        assert_eq!(mover.outbox.stats().queued_bytes, 0);
        assert_eq!(watcher.outbox.stats().coalesced, 16, "one waits per parameter");
    }

    #[test]
    fn what_is_told_of_two_things_is_told_of_both() {
        let hub = hub(Limits::default());
        let watcher = join(&hub, "watcher");
        let all = ["debug", "job", "library", "diagnostics"].map(|it| (it.into(), [].into()));
        hub.subscribe(&watcher, all.to_vec(), None).unwrap();
        let line = |message| json!({"severity": "info", "source": "pulse", "message": message});
        for (domain, name, payloads, coalesced) in [
            ("debug", "log", [line("a"), line("b")], 0),
            ("debug", "log", [line("a"), line("b")], 2),
            ("job", "progress", [json!({"job": {"id": "1"}}), json!({"job": {"id": "2"}})], 2),
            ("library", "changed", [json!({"items": 1}), json!({"items": 2})], 3),
            ("diagnostics", "xrun", [json!({"total": 1}), json!({"total": 2})], 4),
        ] {
            payloads.into_iter().for_each(|payload| hub.publish(domain, name, payload, None));
            assert_eq!(watcher.outbox.stats().coalesced, coalesced, "{domain}.{name}");
        }
    }

    #[test]
    fn limits_are_enforced() {
        let hub = hub(Limits { max_clients: 1, max_subscriptions: 1, ..Limits::default() });
        let client = join(&hub, "a");
        assert!(hub.join(Encoding::Json, client.identity()).is_none());
        assert!(hub.subscribe(&client, topics("track", &[]), None).is_some());
        assert!(hub.subscribe(&client, topics("clip", &[]), None).is_none());
        hub.leave(&client);
        assert!(hub.join(Encoding::Json, client.identity()).is_some());
    }

    #[test]
    fn there_is_one_manager_at_a_time() {
        let hub = hub(Limits::default());
        let (first, second) = (join(&hub, "a"), join(&hub, "b"));
        assert!(hub.claim_manager(&first));
        assert!(!hub.claim_manager(&second));
        hub.leave(&first);
        assert!(hub.claim_manager(&second));
    }
}
