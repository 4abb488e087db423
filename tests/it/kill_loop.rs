//! The server is killed in mid-sentence, over and over, while clients edit and
//! commit: what it had answered is there, and the files are whole.
//! `PULSE_SOAK=1` kills 200 times and says what it counted.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use pulse_schemas::codec::Encoding;
use serde_json::{Value, json};

use crate::harness::{Random, Server, Wire, check_files, new_project, soak};

/// What one client was told before the lights went out.
#[derive(Default)]
struct Told {
    /// Ids of entities whose creation was acknowledged.
    ids: Vec<Value>,
    /// The highest revision in an answer.
    revision: u64,
    /// Commits that were acknowledged.
    commits: Vec<Value>,
    /// The last value of its fader that was acknowledged, and the last one sent.
    fader: (u64, u64),
}

/// A fader position that says which edit it comes from.
fn gain(number: u64) -> f64 {
    -(number as f64) / 64.0
}

/// Edits until the connection breaks.
fn edit(mut wire: Wire, channel: Value, ready: &AtomicBool) -> Told {
    let mut told = Told::default();
    for number in 1..2_000 {
        if number % 4 == 0 {
            let message = json!({"message": format!("Take {number}"), "allowEmpty": true});
            let command = wire.envelope("version.commit", message);
            if !wire.post(&command) {
                break;
            }
            let Some(reply) = wire.receive() else { break };
            assert!(reply.error.is_none(), "{:?}", reply.error);
            told.commits.push(reply.payload["commit"]["id"].clone());
            continue;
        }
        let fader = number % 5 != 0;
        let command = if fader {
            told.fader.1 = number;
            json!({"channel": channel, "gainDb": gain(number)})
        } else {
            json!({"name": format!("T{number}"), "kind": "audio"})
        };
        let name = if fader { "channel.setGain" } else { "track.create" };
        let command = wire.envelope(name, command);
        if !wire.post(&command) {
            break;
        }
        let Some(reply) = wire.receive() else { break };
        assert!(reply.error.is_none(), "{:?}", reply.error);
        told.revision = reply.payload["edit"]["revision"].as_u64().unwrap();
        if fader {
            told.fader.0 = number;
        } else {
            told.ids.extend([reply.payload["track"].clone(), reply.payload["channel"].clone()]);
        }
        ready.store(true, Ordering::Relaxed);
    }
    told
}

/// One life of the server: started, kept busy by three clients, killed.
fn live_and_die(dir: &Path, life: usize, random: &mut Random) -> Vec<(Value, Told)> {
    let mut server = Server::start(dir, &[]);
    let ready = Arc::new(AtomicBool::new(false));
    let clients: Vec<(Value, JoinHandle<Told>)> = (0..3)
        .map(|number| {
            let mut wire = Wire::unix(&server, Encoding::MessagePack);
            wire.hello(&format!("c{life}-{number}"), None);
            let track = json!({"name": format!("{life}-{number}"), "kind": "audio"});
            let channel = wire.ok("track.create", track)["channel"].clone();
            let (mine, ready) = (channel.clone(), Arc::clone(&ready));
            (channel, std::thread::spawn(move || edit(wire, mine, &ready)))
        })
        .collect();
    while !ready.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_micros(random.below(250_000)));
    server.kill();
    clients.into_iter().map(|(channel, thread)| (channel, thread.join().unwrap())).collect()
}

fn check_all_there(dir: &Path, told: &[(Value, Told)]) {
    let server = Server::start(dir, &[]);
    let mut wire = server.client("auditor");
    let (_, revision) = wire.state();
    for (channel, told) in told {
        assert!(revision >= told.revision, "revision {revision}, told {}", told.revision);
        if !told.ids.is_empty() {
            let found = wire.ok("project.get", json!({"ids": told.ids}));
            assert_eq!(found["missing"], json!([]), "acknowledged and not there");
        }
        for commit in &told.commits {
            wire.ok("version.show", json!({"rev": commit}));
        }
        let query = json!({"target": channel, "parameters": ["gainDb"]});
        let state = &wire.ok("parameter.get", query)["values"][0];
        let value = state["value"].as_f64().unwrap();
        let (acknowledged, sent) = told.fader;
        // The kill may have caught an edit between the disk and its answer.
        let possible = (acknowledged..=sent).any(|number| gain(number) == value);
        assert!(possible, "the fader stands at {value}, {acknowledged}..={sent} of {state}");
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let dir = new_project();
    let mut random = Random::new(6);
    let (mut edits, mut commits) = (0, 0);
    let kills = soak(8, 200);
    for life in 0..kills {
        let told = live_and_die(dir.path(), life, &mut random);
        edits += told.iter().map(|(_, told)| told.ids.len() + told.fader.0 as usize).sum::<usize>();
        commits += told.iter().map(|(_, told)| told.commits.len()).sum::<usize>();
        check_all_there(dir.path(), &told);
    }
    check_files(dir.path());
    println!("{kills} kills, {edits} edits and {commits} commits acknowledged, 0 lost");
    assert!(edits > 0);
}
