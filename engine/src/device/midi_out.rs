//! Sends what `pulse.midi` nodes say to the ports that they are led to, when it is due.
//!
//! A thread of its own, because ports block. It opens a port when a node is led to it and looks for one
//! that is not there until it is: a port that is missing is a state, not an error. It knows which notes
//! it began, and ends them when their node is led elsewhere or says that all notes end, when the port
//! closes and when the engine stands still.

#![allow(clippy::disallowed_methods, reason = "notes are sent by the clock")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use pulse_schemas::graph::NodeKey;

use super::midir::{self, MidiError, MidiOut};
use crate::{
    event::EventBody,
    rt::outlet::{Outlet, Sent},
};

/// How often a port is looked for: one that is missing, and one that may have gone.
const LOOK: Duration = Duration::from_millis(700);
/// How long the engine may stand still before notes end.
const STILL: Duration = Duration::from_millis(400);
/// How long a port stays open after its last message: JACK's are sent a period later.
const LINGER: Duration = Duration::from_millis(150);
/// The longest sleep while ports are open, and while none is.
const NAP: Duration = Duration::from_millis(1);
const REST: Duration = Duration::from_millis(20);

/// Which port each node plays to.
pub type Routes = BTreeMap<NodeKey, String>;

#[derive(Default)]
struct Shared {
    routes: Mutex<Routes>,
    /// Every port that a node is led to, and what is the matter with it.
    ports: Mutex<BTreeMap<String, Option<String>>>,
    stop: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running sender. Dropping it ends every note.
pub struct MidiSender {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl MidiSender {
    /// The outlet comes from [`crate::rt::Engine::outlet`].
    pub fn start(outlet: Outlet) -> std::io::Result<MidiSender> {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let named = std::thread::Builder::new().name("pulse-midi-out".into());
        let thread = named.spawn(move || Post::new(own, outlet).run())?;
        Ok(MidiSender { shared, thread: Some(thread) })
    }

    /// Leads nodes to ports; notes of those that are led elsewhere end.
    pub fn lead(&self, routes: Routes) {
        *lock(&self.shared.routes) = routes;
    }

    /// The ports that nodes are led to, and what is the matter with each.
    pub fn ports(&self) -> BTreeMap<String, Option<String>> {
        lock(&self.shared.ports).clone()
    }
}

impl Drop for MidiSender {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread knows.
struct Post {
    shared: Arc<Shared>,
    outlet: Outlet,
    routes: Routes,
    open: BTreeMap<String, MidiOut>,
    /// Ports that nobody is led to any more, since when.
    closing: Vec<(MidiOut, Instant)>,
    /// What is the matter with ports that are not open.
    missing: BTreeMap<String, String>,
    /// Sorted by when it is due.
    waiting: Vec<Sent>,
    /// Notes that were begun.
    held: BTreeMap<NodeKey, BTreeSet<(u8, u8)>>,
    looked: Option<Instant>,
    seen: (u64, Instant),
}

impl Post {
    fn new(shared: Arc<Shared>, outlet: Outlet) -> Post {
        Post {
            shared,
            outlet,
            routes: Routes::new(),
            open: BTreeMap::new(),
            closing: Vec::new(),
            missing: BTreeMap::new(),
            waiting: Vec::new(),
            held: BTreeMap::new(),
            looked: None,
            seen: (0, Instant::now()),
        }
    }

    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) && !self.outlet.is_over() {
            self.follow_routes();
            self.collect();
            self.send_due();
            self.watch_engine();
            std::thread::sleep(self.nap());
        }
        if !self.held.is_empty() {
            self.end_all();
            std::thread::sleep(LINGER);
        }
    }

    fn nap(&self) -> Duration {
        if self.open.is_empty() {
            return REST;
        }
        let next = self.waiting.first().map(|sent| sent.due_us);
        let left = next.map_or(u64::MAX, |due| due.saturating_sub(self.outlet.now_us()));
        NAP.min(Duration::from_micros(left))
    }

    fn follow_routes(&mut self) {
        let wanted = lock(&self.shared.routes).clone();
        let moved = wanted != self.routes;
        if moved {
            let led = |node: &NodeKey| wanted.get(node) == self.routes.get(node);
            let gone: Vec<NodeKey> =
                self.routes.keys().filter(|node| !led(node)).copied().collect();
            gone.into_iter().for_each(|node| self.end_notes(node));
            self.routes = wanted;
        }
        if moved || self.looked.is_none_or(|looked| looked.elapsed() > LOOK) {
            self.looked = Some(Instant::now());
            self.look_for_ports();
        }
    }

    fn look_for_ports(&mut self) {
        let wanted: BTreeSet<String> = self.routes.values().cloned().collect();
        for (_, port) in self.open.extract_if(.., |name, _| !wanted.contains(name)) {
            self.closing.push((port, Instant::now()));
        }
        self.closing.retain(|(_, since)| since.elapsed() < LINGER);
        self.missing.clear();
        if !wanted.is_empty() {
            match midir::ports() {
                Ok(there) => wanted.iter().for_each(|name| self.look_for(name, &there.outputs)),
                Err(error) => self.lose(&wanted, &error),
            }
        }
        let trouble = |name: &String| (name.clone(), self.missing.get(name).cloned());
        *lock(&self.shared.ports) = wanted.iter().map(trouble).collect();
    }

    fn look_for(&mut self, name: &str, there: &[String]) {
        if !there.iter().any(|port| port == name) {
            // Its notes can't be ended any more.
            self.open.remove(name);
            let ports = there.join(", ");
            let error = MidiError::NotFound { name: name.to_owned(), ports };
            self.missing.insert(name.to_owned(), error.to_string());
        } else if !self.open.contains_key(name) {
            match MidiOut::open(name) {
                Ok(port) => _ = self.open.insert(name.to_owned(), port),
                Err(error) => _ = self.missing.insert(name.to_owned(), error.to_string()),
            }
        }
    }

    fn lose(&mut self, wanted: &BTreeSet<String>, error: &MidiError) {
        self.open.clear();
        self.missing.extend(wanted.iter().map(|name| (name.clone(), error.to_string())));
    }

    /// Takes what the audio thread said, in the order in which it is due.
    fn collect(&mut self) {
        while let Some(sent) = self.outlet.take() {
            let at = self.waiting.partition_point(|other| other.due_us <= sent.due_us);
            self.waiting.insert(at, sent);
        }
    }

    fn send_due(&mut self) {
        let now = self.outlet.now_us();
        let due = self.waiting.partition_point(|sent| sent.due_us <= now);
        let due: Vec<Sent> = self.waiting.drain(..due).collect();
        due.into_iter().for_each(|sent| self.say(sent.node, sent.body));
    }

    fn say(&mut self, node: NodeKey, body: EventBody) {
        match body {
            EventBody::NoteOn { channel, key, .. } => {
                self.held.entry(node).or_default().insert((channel & 15, key & 127));
            }
            EventBody::NoteOff { channel, key, .. } => {
                self.held.entry(node).or_default().remove(&(channel & 15, key & 127));
            }
            EventBody::AllNotesOff | EventBody::AllSoundOff => return self.end_notes(node),
            _ => {}
        }
        self.send(node, body);
    }

    fn send(&mut self, node: NodeKey, body: EventBody) {
        let Some(name) = self.routes.get(&node) else { return };
        let Some(port) = self.open.get_mut(name) else { return };
        if let Err(error) = port.send(&body) {
            self.open.remove(name);
            self.missing.insert(name.clone(), error.to_string());
            lock(&self.shared.ports).insert(name.clone(), Some(error.to_string()));
        }
    }

    /// Ends what a node has begun, note by note, and its pedals.
    fn end_notes(&mut self, node: NodeKey) {
        let held = self.held.remove(&node).unwrap_or_default();
        let channels: BTreeSet<u8> = held.iter().map(|(channel, _)| *channel).collect();
        for (channel, key) in held {
            self.send(node, EventBody::NoteOff { channel, key, velocity: 0.5 });
        }
        for channel in channels {
            for controller in [64, 123] {
                self.send(node, EventBody::Controller { channel, controller, value: 0.0 });
            }
        }
    }

    fn end_all(&mut self) {
        let nodes: Vec<NodeKey> = self.held.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.end_notes(node));
    }

    /// A device that is lost asks for nothing until another takes over.
    fn watch_engine(&mut self) {
        let clock = self.outlet.clock();
        if clock != self.seen.0 {
            self.seen = (clock, Instant::now());
        } else if self.seen.1.elapsed() > STILL && !self.held.is_empty() {
            self.collect();
            self.waiting.clear();
            self.end_all();
        }
    }
}
