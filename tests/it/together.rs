//! Several people at one song: views that follow, merges that are looked at before
//! they are made, conflicts that somebody decides.

use serde_json::{Value, json};

use crate::harness::{Server, Wire, new_project};

fn fader(wire: &mut Wire, channel: &Value, value: i32) {
    wire.ok("channel.setGain", json!({"channel": channel, "gainDb": value}));
}

fn gain(wire: &mut Wire, channel: &Value) -> Value {
    let query = json!({"target": channel, "parameters": ["gainDb"]});
    wire.ok("parameter.get", query)["values"][0]["value"].clone()
}

#[test]
fn a_view_follows_what_others_do_and_comes_whole_when_asked() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let (mut window, mut hand) = (server.client("aura"), server.tcp_client("hand"));
    let query = json!({"query": {"view": "mixer"}, "maxRate": 60});
    let shown = window.ok("view.subscribe", query.clone());
    let subscription = shown["subscription"].clone();
    let mut hash = shown["state"]["hash"].clone();
    let channel = hand.ok("channel.create", json!({"kind": "bus"}))["channel"].clone();
    for value in [-3, -6, -9] {
        fader(&mut hand, &channel, value);
        // Each delta stands on the one before, with its revision and root.
        let delta = window.event("view.delta").payload;
        assert_eq!((&delta["base"], &delta["subscription"]), (&hash, &subscription));
        assert!(delta["root"].is_string() && delta["revision"].is_u64(), "{delta}");
        hash = delta["hash"].clone();
    }
    // Edits that came together may come as one delta; then the whole is the judge.
    let (root, _) = hand.state();
    let whole = loop {
        let whole = window.ok("view.resync", json!({"subscription": subscription}));
        if whole["state"]["root"] == root {
            break whole["state"].clone();
        }
    };
    assert!(whole["data"].to_string().contains("-9"), "{whole}");
    // Who comes back with the hash of what it shows is sent nothing.
    let mut back = server.client("back");
    let mut again = query;
    again["hash"] = whole["hash"].clone();
    assert_eq!(back.ok("view.subscribe", again)["state"], Value::Null);
    window.ok("view.unsubscribe", json!({"subscription": subscription}));
    let gone = json!({"subscription": subscription});
    window.refused("view.resync", gone, "client.subscriptionUnknown");
}

#[test]
fn a_merge_is_looked_at_made_and_its_conflict_decided_by_another_client() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let (mut ada, mut bob) = (server.client("ada"), server.tcp_client("bob"));
    bob.subscribe(&["version", "project"], None);
    let channel = ada.ok("channel.create", json!({"kind": "bus"}))["channel"].clone();
    ada.ok("version.commit", json!({"message": "A bus"}));
    ada.ok("version.branch", json!({"name": "loud"}));
    fader(&mut ada, &channel, -3);
    ada.ok("version.commit", json!({"message": "Quieter"}));
    ada.ok("version.switch", json!({"to": "loud"}));
    fader(&mut ada, &channel, 3);
    ada.ok("track.create", json!({"name": "Solo"}));
    ada.ok("version.commit", json!({"message": "Louder, with a solo"}));
    ada.ok("version.switch", json!({"to": "main"}));

    let before = ada.state();
    let preview = ada.ok("version.mergePreview", json!({"from": "loud"}))["preview"].clone();
    assert_eq!(preview["conflicts"].as_array().unwrap().len(), 1, "{preview}");
    assert_eq!(ada.state(), before, "a look changes nothing");
    let merged = ada.ok("version.merge", json!({"from": "loud"}));
    assert_eq!(merged["conflicts"].as_array().unwrap().len(), 1, "{merged}");
    assert_eq!(gain(&mut ada, &channel), -3.0);

    // Bob hears of it, sees both sides and takes theirs.
    let told = bob.event("version.conflictsChanged");
    assert_eq!((&told.payload["remaining"], &*told.by.unwrap().client_id), (&json!(1), "ada"));
    let conflict = bob.ok("version.conflicts", json!({}))["conflicts"][0].clone();
    assert_eq!(conflict["subject"], channel);
    assert_eq!((&conflict["ours"], &conflict["theirs"]), (&json!("-3.0"), &json!("3.0")));
    let take = json!({"conflicts": [conflict["id"]], "take": "theirs"});
    assert_eq!(bob.ok("version.resolve", take)["remaining"], 0);
    assert_eq!(gain(&mut ada, &channel), 3.0);
    let tracks = ada.ok("track.list", json!({}))["tracks"].clone();
    assert_eq!(tracks[0]["name"], "Solo");
    ada.ok("version.commit", json!({"message": "Together"}));
    let log = ada.ok("version.log", json!({}));
    assert_eq!(log["commits"][0]["label"], "Together");
}

#[test]
fn two_clients_edit_at_once_and_each_undoes_its_own() {
    let dir = new_project();
    let server = Server::start(dir.path(), &[]);
    let mut setup = server.client("setup");
    let channels: Vec<Value> = (0..2)
        .map(|_| setup.ok("channel.create", json!({"kind": "bus"}))["channel"].clone())
        .collect();
    setup.subscribe(&["project"], None);
    let edits = 30;
    let threads: Vec<_> = ["ada", "bob"]
        .into_iter()
        .zip(channels.clone())
        .map(|(name, channel)| {
            let mut wire = server.client(name);
            std::thread::spawn(move || {
                (1..=edits).for_each(|step| fader(&mut wire, &channel, -step));
                wire
            })
        })
        .collect();
    let mut wires: Vec<Wire> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    // Every edit is told once, in one order, with its author, standing on the last.
    let mut root = None;
    let mut by = std::collections::BTreeMap::<String, i32>::new();
    while by.values().sum::<i32>() < 2 * edits {
        let event = setup.event("project.changed");
        let author = event.by.as_ref().map(|by| by.client_id.clone()).unwrap();
        if author == "setup" {
            // An event leaves after its answer, so this one may still be on its way.
            continue;
        }
        assert!(root.is_none_or(|root| event.payload["baseRoot"] == root));
        root = Some(event.payload["root"].clone());
        *by.entry(author).or_default() += 1;
    }
    assert_eq!(by.into_iter().collect::<Vec<_>>(), [("ada".into(), edits), ("bob".into(), edits)]);
    // Ada's undo takes back what Ada did, whatever Bob did later.
    wires[0].ok("history.undo", json!({}));
    let moved = gain(&mut setup, &channels[0]);
    assert_ne!(moved, f64::from(-edits), "{moved}");
    assert_eq!(gain(&mut setup, &channels[1]), f64::from(-edits));
}
