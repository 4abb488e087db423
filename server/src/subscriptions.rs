//! Views that connections watch.
//!
//! After each command and on each tick the views that may have changed are
//! derived again, at most as often as their client wants, and what is different
//! goes to that client alone: as a delta where it takes deltas, else whole. A
//! change may be seen a moment before it is durable; the reply of the edit is
//! what promises that.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use pulse_query::{
    ambient::Ambient,
    view::{Sheet, delta},
};
use pulse_schemas::{
    command::{
        client::ViewSubscription,
        view::{
            Command, Resynced, SetWindow, Subscribe, ViewName, ViewQuery, ViewSubscribed, WindowSet,
        },
    },
    envelope::Envelope,
    error::ErrorCode,
    event::{ViewDelta, ViewSnapshot},
    hash::Hash,
};
use serde_json::Value;

use crate::{
    commands::{
        edit::{done, reply},
        view::{ambient, derive, state},
    },
    ipc::{
        hub::{Client, Hub},
        outbox::Class,
    },
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

/// Changes per second when nobody says how many.
const USUAL_RATE: u8 = 30;

struct Subscription {
    client: Arc<Client>,
    caller: Caller,
    query: ViewQuery,
    sheet: Sheet,
    hash: Hash,
    /// Up to which generation of the session it is right.
    seen: u64,
    every: Duration,
    due: Instant,
}

/// What views depend on, to tell whether any may have changed.
#[derive(PartialEq)]
struct Stamp {
    revision: u64,
    root: Option<Hash>,
    ambient: Ambient,
}

/// All subscriptions, by connection and number.
#[derive(Default)]
pub struct Subscriptions {
    all: BTreeMap<(u64, u32), Subscription>,
    stamp: Option<Stamp>,
    generation: u64,
}

impl Subscriptions {
    /// Does a command of a connection, if it is about its subscriptions.
    pub fn handle(
        &mut self,
        session: &mut Session,
        client: &Arc<Client>,
        caller: &Caller,
        command: &Command,
        hub: &Hub,
    ) -> Option<Reply> {
        match command {
            Command::Subscribe(payload) => {
                Some(self.subscribe(session, client, caller, payload, hub))
            }
            Command::SetWindow(payload) => Some(self.set_window(session, client, payload)),
            Command::Resync(payload) => Some(
                self.renew(session, client, payload.subscription, None)
                    .and_then(|state| reply(Resynced { state })),
            ),
            Command::Unsubscribe(payload) => Some(self.unsubscribe(client, payload.subscription)),
            Command::Get(_) | Command::List(_) => None,
        }
    }

    fn subscribe(
        &mut self,
        session: &mut Session,
        client: &Arc<Client>,
        caller: &Caller,
        payload: &Subscribe,
        hub: &Hub,
    ) -> Reply {
        let held = self.of_connection(client.number).count();
        if held >= hub.limits.max_subscriptions {
            let text = "this connection has all the subscriptions it may have";
            return Err(
                Refusal::new(ErrorCode::LimitReached, text).with("limit", "limits.subscriptions")
            );
        }
        self.look(session);
        let (sheet, revision, root) = derive(session, caller, &payload.query)?;
        let subscription = client.next_subscription();
        let shown = state(&sheet, revision, root);
        let rate = payload.max_rate.unwrap_or(USUAL_RATE).clamp(1, 60);
        let entry = Subscription {
            client: Arc::clone(client),
            caller: caller.clone(),
            query: payload.query.clone(),
            hash: shown.hash,
            sheet,
            seen: self.generation,
            every: Duration::from_secs(1) / u32::from(rate),
            due: Instant::now(),
        };
        self.all.insert((client.number, subscription), entry);
        let state = (payload.hash != Some(shown.hash)).then_some(shown);
        reply(ViewSubscribed { subscription, state })
    }

    fn set_window(&mut self, session: &mut Session, client: &Client, payload: &SetWindow) -> Reply {
        let state = self.renew(session, client, payload.subscription, Some(payload))?;
        reply(WindowSet { state })
    }

    /// The whole of a view again, through another window where one is given.
    fn renew(
        &mut self,
        session: &mut Session,
        client: &Client,
        number: u32,
        window: Option<&SetWindow>,
    ) -> Result<pulse_schemas::command::view::ViewState, Refusal> {
        self.look(session);
        let generation = self.generation;
        let entry = self.all.get_mut(&(client.number, number)).ok_or_else(|| unknown(number))?;
        let mut query = entry.query.clone();
        if let Some(payload) = window {
            query.window = Some(payload.window.clone());
        }
        let (sheet, revision, root) = derive(session, &entry.caller, &query)?;
        let shown = state(&sheet, revision, root);
        entry.query = query;
        entry.sheet = sheet;
        entry.hash = shown.hash;
        entry.seen = generation;
        Ok(shown)
    }

    fn unsubscribe(&mut self, client: &Client, number: u32) -> Reply {
        match self.all.remove(&(client.number, number)) {
            Some(_) => done(),
            None => Err(unknown(number)),
        }
    }

    /// Forgets a connection.
    pub fn left(&mut self, connection: u64) {
        self.all.retain(|(of, _), _| *of != connection);
    }

    pub fn list(&self, connection: u64) -> Vec<ViewSubscription> {
        self.of_connection(connection)
            .map(|(number, entry)| ViewSubscription {
                subscription: number,
                view: entry.query.view,
            })
            .collect()
    }

    fn of_connection(&self, connection: u64) -> impl Iterator<Item = (u32, &Subscription)> {
        let range = self.all.range((connection, 0)..=(connection, u32::MAX));
        range.map(|((_, number), entry)| (*number, entry))
    }

    /// Notes whether anything that views show may have changed.
    fn look(&mut self, session: &Session) {
        let project = session.open.as_ref().map(|open| &open.project);
        let stamp = Stamp {
            revision: project.map_or(0, |project| project.seq()),
            root: project.map(|project| project.root()),
            ambient: ambient(session),
        };
        if self.stamp.as_ref() != Some(&stamp) {
            self.stamp = Some(stamp);
            self.generation += 1;
        }
    }

    /// Sends what changed to whoever may have it by now.
    pub fn tick(&mut self, session: &mut Session, hub: &Hub) {
        if self.all.is_empty() {
            return;
        }
        self.look(session);
        let now = Instant::now();
        for ((_, number), entry) in &mut self.all {
            if entry.seen != self.generation && entry.due <= now {
                entry.seen = self.generation;
                entry.due = now + entry.every;
                if !entry.is_fixed() {
                    entry.refresh(session, *number, hub);
                }
            }
        }
    }
}

impl Subscription {
    /// Revisions never change, apart from the working copy.
    fn is_fixed(&self) -> bool {
        self.query.rev.is_some()
            && !matches!(self.query.view, ViewName::Diff | ViewName::History | ViewName::Branches)
    }

    fn refresh(&mut self, session: &mut Session, number: u32, hub: &Hub) {
        // What a view is about may be gone; it is empty until it comes back.
        let (sheet, revision, root) = match derive(session, &self.caller, &self.query) {
            Ok(derived) => derived,
            Err(Refusal(error)) => {
                tracing::debug!(error.message, "a watched view is empty until it can be derived");
                let Ok(project) = session.project() else { return };
                (Sheet::default(), project.seq(), project.root())
            }
        };
        let changes = delta::between(&self.sheet, &sheet);
        if changes.is_empty() {
            self.sheet = sheet;
            return;
        }
        let (base, hash) = (self.hash, sheet.hash());
        let has_lists = |sheet: &Sheet| !sheet.lists.is_empty();
        let takes_deltas = self.client.identity().deltas;
        // A delta names lists that the client must have.
        if takes_deltas && has_lists(&self.sheet) == has_lists(&sheet) {
            let delta = ViewDelta { subscription: number, base, revision, root, hash, changes };
            self.send("delta", serde_json::to_value(delta), hub);
        } else {
            let state = state(&sheet, revision, root);
            let snapshot = ViewSnapshot { subscription: number, state };
            self.send("state", serde_json::to_value(snapshot), hub);
        }
        self.sheet = sheet;
        self.hash = hash;
    }

    fn send(&self, name: &str, payload: Result<Value, serde_json::Error>, hub: &Hub) {
        match payload {
            Ok(payload) => {
                let mut event = Envelope::event(hub.message_id(), "view", name, payload);
                event.ts = Some(crate::clock::now());
                self.client.send(Class::Reply, &event);
            }
            Err(error) => tracing::error!(%error, "a view could not be written as JSON"),
        }
    }
}

fn unknown(number: u32) -> Refusal {
    let text = format!("this connection has no subscription {number} to a view");
    Refusal::new(ErrorCode::ClientSubscriptionUnknown, text)
}

#[cfg(test)]
mod tests {
    use pulse_schemas::{
        codec::{self, Encoding},
        event::ViewDelta,
        frame::FrameDecoder,
    };
    use serde_json::json;

    use super::*;
    use crate::{
        commands::testing::Project,
        ipc::hub::{Identity, Limits},
    };

    struct Bench {
        project: Project,
        hub: Hub,
        client: Arc<Client>,
        views: Subscriptions,
    }

    impl Bench {
        fn new(deltas: bool) -> Bench {
            let hub = Hub::new(1, Limits::default());
            let identity = Identity {
                client_id: "aura".into(),
                instance_id: "aura-1".into(),
                name: None,
                version: None,
                author: None,
                heartbeat: false,
                streams: false,
                deltas,
            };
            let client = hub.join(Encoding::Json, identity).unwrap();
            Bench { project: Project::new(), hub, client, views: Subscriptions::default() }
        }

        fn command(&mut self, name: &str, payload: Value) -> Value {
            let typed = pulse_schemas::command::decode("view", name, &payload).unwrap().value;
            let pulse_schemas::command::Command::View(command) = typed else { panic!("{name}") };
            let (session, client) = (&mut self.project.session, &self.client);
            let caller = Caller::local("Ada");
            let reply = self.views.handle(session, client, &caller, &command, &self.hub);
            reply.unwrap().unwrap()
        }

        fn tick(&mut self) {
            self.views.tick(&mut self.project.session, &self.hub);
        }

        /// What was sent since the last time.
        fn sent(&self) -> Vec<Envelope> {
            if self.client.outbox.stats().queued_bytes == 0 {
                return vec![];
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let batch = runtime.block_on(self.client.outbox.take());
            let mut decoder = FrameDecoder::new(1 << 24);
            decoder.push(&batch.bytes);
            let mut sent = Vec::new();
            while let Some(body) = decoder.next().unwrap() {
                sent.push(codec::decode(Encoding::Json, body).unwrap());
            }
            sent
        }
    }

    #[test]
    fn a_watched_view_follows_edits_by_deltas_that_name_what_they_stand_on() {
        let mut bench = Bench::new(true);
        let query = json!({"query": {"view": "arrangement"}, "maxRate": 60});
        let reply = bench.command("subscribe", query);
        let (mut data, mut hash) = (reply["state"]["data"].clone(), reply["state"]["hash"].clone());
        bench.tick();
        assert!(bench.sent().is_empty(), "nothing changed");
        for round in 0..3 {
            bench.project.ok("track.create", json!({"name": format!("Track {round}")}));
            // As often as the client wants, and no more.
            std::thread::sleep(Duration::from_millis(20));
            bench.tick();
            let [event] = &bench.sent()[..] else { panic!("one delta") };
            assert_eq!((event.domain.as_str(), event.name.as_str()), ("view", "delta"));
            let typed: ViewDelta = serde_json::from_value(event.payload.clone()).unwrap();
            assert_eq!(json!(typed.base), hash);
            delta::apply(&mut data, &typed.changes).unwrap();
            hash = json!(typed.hash);
        }
        let whole = bench.command("resync", json!({"subscription": reply["subscription"]}));
        assert_eq!((&whole["state"]["data"], &whole["state"]["hash"]), (&data, &hash));
    }

    #[test]
    fn a_client_without_deltas_gets_whole_views_and_none_after_it_left() {
        let mut bench = Bench::new(false);
        let reply = bench.command("subscribe", json!({"query": {"view": "mixer"}}));
        bench.project.ok("track.create", json!({"name": "Bass"}));
        bench.tick();
        let sent = bench.sent();
        assert_eq!((sent.len(), sent[0].name.as_str()), (1, "state"));
        assert_eq!(sent[0].payload["subscription"], reply["subscription"]);
        assert_eq!(bench.views.list(bench.client.number).len(), 1);
        bench.views.left(bench.client.number);
        bench.project.ok("track.create", json!({"name": "Lead"}));
        bench.tick();
        assert!(bench.sent().is_empty());
    }

    #[test]
    fn a_state_that_the_client_has_is_not_sent_again() {
        let mut bench = Bench::new(true);
        let first = bench.command("subscribe", json!({"query": {"view": "mixer"}}));
        let again = json!({"query": {"view": "mixer"}, "hash": first["state"]["hash"]});
        assert!(bench.command("subscribe", again)["state"].is_null());
        let moved = json!({"subscription": first["subscription"], "window": {"rows": 0}});
        let state = bench.command("setWindow", moved);
        assert_eq!(state["state"]["data"]["channels"], json!([]));
        let gone = json!({"subscription": first["subscription"]});
        bench.command("unsubscribe", gone);
        assert_eq!(bench.views.list(bench.client.number).len(), 1);
    }
}
