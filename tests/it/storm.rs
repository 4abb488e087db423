//! Several clients send whatever comes to mind, right and wrong: every command
//! gets one answer, nothing breaks, and the project is whole afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use pulse_schemas::{
    codec::Encoding,
    command::{self, CommandSpec},
};
use serde_json::{Value, json};

use crate::harness::{Random, Server, Wire, check_files, new_project, soak};

/// Commands that would end the storm, leave the folder, or take long.
const LEFT_OUT: &[&str] = &[
    "client.hello",
    "client.goodbye",
    "client.shutdown",
    "project.new",
    "project.open",
    "project.close",
    "project.saveAs",
    "project.move",
    "project.export",
    "project.import",
    "session.restartEngine",
    "debug.logCommands",
];

/// Domains of jobs and devices, which have journeys of their own.
const OTHER_DOMAINS: &[&str] = &["rendering", "media", "hardware", "transport", "metering"];

pub fn commands() -> Vec<&'static CommandSpec> {
    command::all()
        .filter(|spec| !LEFT_OUT.contains(&&*spec.full_name()))
        .filter(|spec| !OTHER_DOMAINS.contains(&spec.domain.name()))
        .collect()
}

/// Ids that answers have named, by their prefix.
#[derive(Default)]
pub struct Known(BTreeMap<String, Vec<String>>);

impl Known {
    pub fn learn(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                if let Some(prefix) = prefix(text) {
                    let ids = self.0.entry(prefix.to_owned()).or_default();
                    // Old ids make room: most of them are deleted by now.
                    if ids.len() >= 64 {
                        ids.remove(0);
                    }
                    if !ids.contains(text) {
                        ids.push(text.clone());
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.learn(field)),
            _ => {}
        }
    }

    /// Puts ids that exist where the example has invented ones.
    fn fill(&self, value: &mut Value, random: &mut Random) {
        match value {
            Value::String(text) => {
                let known = prefix(text).and_then(|prefix| self.0.get(prefix));
                if let Some(id) = known.and_then(|ids| random.pick(ids))
                    && !random.one_in(25)
                {
                    *text = id.clone();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(item, random)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.fill(field, random));
            }
            _ => {}
        }
    }
}

fn prefix(text: &str) -> Option<&str> {
    let (prefix, rest) = text.split_once('_')?;
    (prefix.len() == 3 && rest.len() == 26).then_some(prefix)
}

/// Other numbers, and now and then something that is wrong.
fn disturb(value: &mut Value, random: &mut Random) {
    match value {
        Value::Number(number) if random.one_in(3) => {
            let exact = number.as_i64().unwrap_or_default();
            *value = match random.below(8) {
                0 => json!(0),
                1 => json!(-exact),
                2 => json!(exact / 2),
                3 => json!(exact.saturating_mul(3)),
                4 => json!(exact as f64 + 0.5),
                5 => json!(1_u64 << 53),
                6 => json!(random.below(128)),
                _ => json!(random.below(4) * 45_158_400),
            };
        }
        Value::Bool(flag) if random.one_in(2) => *flag = !*flag,
        Value::String(text) if prefix(text).is_none() && random.one_in(30) => {
            *text = ["", "\u{0}", "ä/../b", "$1.track", "a-very-long-name-".repeat(40).as_str()]
                [random.below(5) as usize]
                .to_owned();
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| disturb(item, random));
            if random.one_in(20) {
                items.clear();
            }
            if random.one_in(20)
                && let Some(first) = items.first().cloned()
            {
                items.push(first);
            }
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| disturb(field, random));
            if random.one_in(20)
                && let Some(name) = fields.keys().next().cloned()
            {
                fields.insert(name, Value::Null);
            }
        }
        _ => {}
    }
}

pub struct Storm {
    pub wire: Wire,
    pub random: Random,
    pub known: Arc<Mutex<Known>>,
    pub specs: Vec<&'static CommandSpec>,
    /// Whether some of the commands are wrong on purpose.
    pub wild: bool,
}

impl Storm {
    /// Sends `count` commands, some at a time, and reads as many answers.
    pub fn rage(&mut self, count: usize) -> Vec<String> {
        let mut defects = Vec::new();
        let mut left = count;
        let mut number = 0;
        while left > 0 {
            let some = (1 + self.random.below(8) as usize).min(left);
            left -= some;
            let mut open = BTreeMap::new();
            for _ in 0..some {
                number += 1;
                let (name, payload) = self.command(number);
                let envelope = self.wire.envelope(&name, payload.clone());
                assert!(self.wire.post(&envelope), "closed at {name} {payload}");
                open.insert(envelope.id.clone(), (name, payload));
            }
            while !open.is_empty() {
                let reply = self.wire.receive().unwrap_or_else(|| panic!("closed at {open:?}"));
                let Some(cid) = &reply.cid else {
                    if let Some(error) = reply.error {
                        panic!("cut off: {error:?}; open: {open:?}");
                    }
                    continue;
                };
                let asked = open.remove(cid);
                let (name, payload) = asked.unwrap_or_else(|| panic!("a second answer: {reply:?}"));
                self.known.lock().unwrap().learn(&reply.payload);
                if let Some(error) =
                    reply.error.filter(|error| error.code.as_str() == "internal.error")
                {
                    defects.push(format!("{name} {payload}: {}", error.message));
                }
            }
        }
        self.wire.ok("client.heartbeat", json!({}));
        assert!(self.wire.events.iter().all(|event| event.cid.is_none()), "answers to nothing");
        defects
    }

    fn command(&mut self, number: usize) -> (String, Value) {
        // What deletes wins over what makes; so make more.
        let made = ["track.create", "clip.create", "note.add", "node.add", "channel.create"];
        let name = made[number % made.len()];
        let found = |name: &str| self.specs.iter().copied().find(|spec| spec.full_name() == name);
        let spec = match self.random.one_in(3) {
            true => found(name).unwrap(),
            false => self.random.pick(&self.specs).copied().unwrap(),
        };
        let mut payload = spec.example();
        self.known.lock().unwrap().fill(&mut payload, &mut self.random);
        if self.wild && self.random.one_in(3) {
            disturb(&mut payload, &mut self.random);
        }
        (spec.full_name(), payload)
    }
}

/// No two entities have one id.
fn check_ids(entities: &[Value]) {
    let ids: BTreeSet<_> = entities.iter().map(crate::harness::id_of).collect();
    assert_eq!(ids.len(), entities.len());
}

#[test]
fn a_storm_of_right_and_wrong_commands_breaks_nothing() {
    let dir = new_project();
    let mut server = Server::start(dir.path(), &["debug.enabled=true"]);
    let known = Arc::new(Mutex::new(Known::default()));
    known.lock().unwrap().learn(&json!(server.client("first").snapshot()));
    let (clients, total) = (4, soak(2_000, 100_000));
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            let encoding = if number % 2 == 0 { Encoding::Json } else { Encoding::MessagePack };
            let mut wire = Wire::unix(&server, encoding);
            wire.hello(&format!("storm{number}"), None);
            let random = Random::new(0xd0 + number);
            let (known, specs) = (Arc::clone(&known), commands());
            let mut storm = Storm { wire, random, known, specs, wild: true };
            std::thread::spawn(move || storm.rage(total / clients as usize))
        })
        .collect();
    let defects: Vec<String> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert!(defects.is_empty(), "{} defects:\n{}", defects.len(), defects.join("\n"));

    let mut witness = server.client("witness");
    let check = witness.ok("diagnostics.check", json!({}));
    assert_eq!(check["findings"], json!([]), "{check}");
    let (state, entities) = (witness.state(), witness.snapshot());
    // How much is left depends on who undid what last; that much was done does not.
    assert!(state.1 > 100, "the storm made only {} edits", state.1);
    check_ids(&entities);
    drop(witness);
    assert_eq!(server.terminate().code(), Some(0));
    check_files(dir.path());
    let server = Server::start(dir.path(), &[]);
    let mut witness = server.client("witness");
    assert_eq!(witness.state(), state);
    assert_eq!(witness.snapshot(), entities);
}
