//! Who is rendered ahead and who is live, as clients are told; and that what is
//! played from the command line is rendered ahead too.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Server, Wire, new_project, run_json};

const QUARTER: i64 = 45_158_400;

fn track(wire: &mut Wire, name: &str) -> Value {
    let made = wire.ok("track.create", json!({"kind": "instrument", "name": name}));
    let node = json!({"channel": made["channel"], "kind": "pulse.synth"});
    let node = wire.ok("node.add", node)["node"].clone();
    let note = json!({"pitch": 60, "start": 0, "length": 8 * QUARTER});
    let clip = json!({"lane": made["lane"], "start": 0, "length": 8 * QUARTER, "notes": [note]});
    wire.ok("clip.create", clip);
    json!({"track": made["track"], "channel": made["channel"], "node": node})
}

/// The side of everybody, with the reason.
fn sides(wire: &mut Wire) -> BTreeMap<String, (String, String, bool)> {
    let members = wire.ok("cohort.list", json!({}))["members"].clone();
    let side = |member: &Value| {
        let text = |field: &str| member[field].as_str().unwrap().to_owned();
        (text("id"), (text("cohort"), text("reason"), member["aheadMs"].is_number()))
    };
    members.as_array().unwrap().iter().map(side).collect()
}

#[test]
fn arming_a_track_of_a_running_server_is_told_with_its_reason_and_leaves_the_others_ahead() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["audio.host=null"]);
    let (mut hand, mut window) = (server.client("hand"), server.tcp_client("window"));
    let tracks: Vec<Value> =
        ["Bass", "Keys", "Pad"].map(|name| track(&mut hand, name)).into_iter().collect();
    let master = hand.ok("channel.list", json!({}))["channels"][0]["id"].clone();
    window.subscribe(&["cohort"], None);
    let query = json!({"query": {"view": "cohorts"}});
    let shown = window.ok("view.subscribe", query)["state"].clone();
    let of = |data: &Value, id: &Value| {
        let members = data["members"].as_array().unwrap();
        members.iter().find(|member| member["id"] == *id).unwrap().clone()
    };
    assert_eq!(of(&shown["data"], &tracks[0]["node"])["cohort"], "anticipative");

    let arm = |armed| json!({"tracks": [tracks[0]["track"]], "armed": armed});
    hand.ok("track.setFlags", arm(true));
    // Everybody is told that somebody changed sides, and who shows it what and why.
    let told = window.event("cohort.changed").payload;
    assert_eq!((&told["live"], &told["anticipative"]), (&json!(2), &json!(2)), "{told}");
    let delta = window.event("view.delta").payload;
    let changes = delta["changes"].as_array().unwrap().iter();
    let moved: BTreeMap<&str, (&Value, &Value)> = changes
        .filter_map(|change| {
            let (key, row) = (change["put"]["key"].as_str()?, &change["put"]["value"]);
            Some((key, (&row["cohort"], &row["reason"])))
        })
        .collect();
    let (bass, synth) = (&tracks[0]["channel"], &tracks[0]["node"]);
    let (now, armed) = (json!("live"), json!("armed"));
    let after = json!(format!("after {}", bass.as_str().unwrap()));
    let expect = [(bass, &armed), (synth, &armed), (&master, &after)];
    let expect = expect.map(|(id, reason)| (id.as_str().unwrap(), (&now, reason)));
    assert_eq!(moved, BTreeMap::from(expect), "these and nobody else");
    let live = |reason: String| ("live".to_owned(), reason, false);
    // The engine plays it a moment later.
    let found = loop {
        let found = sides(&mut hand);
        let key = |of: &Value, field: &str| of[field].as_str().unwrap().to_owned();
        let ahead = |at: usize| found[&key(&tracks[at], "channel")].2;
        if !ahead(0) && ahead(1) && ahead(2) {
            break found;
        }
    };
    let name = |value: &Value| value.as_str().unwrap().to_owned();
    for id in ["channel", "node"] {
        assert_eq!(found[&name(&tracks[0][id])], live("armed".into()));
    }
    assert_eq!(found[&name(&master)], live(format!("after {}", name(&tracks[0]["channel"]))));
    for (other, id) in tracks[1..].iter().flat_map(|it| [(it, "channel"), (it, "node")]) {
        let (cohort, reason, ahead) = &found[&name(&other[id])];
        assert_eq!((&**cohort, *ahead), ("anticipative", true), "{other}");
        assert_eq!(reason, "nobody needs it at once");
    }

    hand.ok("track.setFlags", arm(false));
    let told = window.event("cohort.changed").payload;
    assert_eq!((&told["live"], &told["anticipative"]), (&json!(0), &json!(4)), "{told}");
}

#[test]
fn what_the_command_line_plays_is_rendered_ahead_unless_settings_say_no() {
    let dir = new_project();
    for _ in 0..2 {
        let track = r#"{"kind": "instrument", "nodes": ["pulse.synth"]}"#;
        run_json(dir.path(), &["-p", "song", "do", "track.create", track]);
    }
    let play = ["-p", "song", "play", "--host", "null", "--seconds", "0.5"];
    let played = run_json(dir.path(), &play);
    assert!(played["ahead"]["units"].as_u64().unwrap() >= 2, "{played}");
    std::fs::write(dir.path().join("pulse.toml"), "[audio]\nlook_ahead_ms = 0\n").unwrap();
    assert_eq!(run_json(dir.path(), &play)["ahead"], Value::Null);
}
