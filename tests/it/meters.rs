//! Somebody plays a note and watches it: levels, a spectrum and the transport
//! arrive as binary frames while the song plays, and a client that doesn't read
//! loses frames, never replies.

use pulse_schemas::frame::stream::StreamKind;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server, Wire, new_project};

/// An instrument that holds a sine of 440 Hz, until the server ends.
fn tone(client: &mut Wire) -> Value {
    let track = client.ok("track.create", json!({"kind": "instrument", "name": "Tone"}));
    let params = json!({"aShape": 0, "bLevel": 0, "noise": 0, "cutoff": 20_000, "ampSustain": 1});
    let node = json!({"channel": track["channel"], "kind": "pulse.synth", "params": params});
    client.ok("node.add", node);
    track
}

fn stream_of(reply: &Value) -> u32 {
    u32::try_from(reply["stream"].as_u64().unwrap()).unwrap()
}

/// Frames until one of them is as it should be.
fn until(client: &mut Wire, stream: u32, what: &str, good: impl Fn(&[f32]) -> bool) -> Vec<f32> {
    let began = std::time::Instant::now();
    loop {
        let frame = client.frame(stream);
        if good(&frame.samples) {
            return frame.samples;
        }
        let start = &frame.samples[..frame.samples.len().min(40)];
        assert!(began.elapsed() < PATIENCE, "no frame with {what}: {start:?}");
    }
}

#[test]
fn a_note_is_seen_in_levels_spectrum_and_transport() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["audio.host=null"]);
    let mut client = server.client("aura");
    let track = tone(&mut client);
    let channel = track["channel"].clone();
    let play = json!({"track": track["track"], "pitch": 69, "velocity": 65_535});
    client.ok("gesture.play", play.clone());

    let levels = client.ok("metering.open", json!({"kind": "level", "channels": [channel]}));
    assert_eq!(levels["layout"][0], json!({"channel": channel, "first": 0, "samples": 4}));
    let levels = stream_of(&levels);
    let first = client.frame(levels);
    assert_eq!((first.kind, first.sequence), (StreamKind::Meter, 0));
    // The note may have come before the graph that plays it.
    let began = std::time::Instant::now();
    let heard = loop {
        let frame = client.frame(levels);
        if frame.samples[0] > 0.01 && frame.samples[1] > 0.005 {
            break frame.samples;
        }
        assert!(began.elapsed() < PATIENCE, "silence: {:?}", frame.samples);
        if frame.sequence.is_multiple_of(30) {
            client.ok("gesture.play", play.clone());
        }
    };
    assert!(heard[0] >= heard[1] && heard[0] < 2.0, "peak and root mean square: {heard:?}");

    let bands = 1_024;
    let open = json!({"kind": "spectrum", "channels": [channel], "bands": bands, "rate": 60});
    let spectrum = client.ok("metering.open", open);
    let spectrum = stream_of(&spectrum);
    let loudest = |samples: &[f32]| {
        (0..samples.len()).max_by(|a, b| samples[*a].total_cmp(&samples[*b])).unwrap()
    };
    let rate = client.ok("hardware.status", json!({}))["config"]["rate"].as_f64().unwrap();
    let expect = (440.0 / (rate / 2.0) * f64::from(bands)) as usize;
    let seen = until(&mut client, spectrum, "a peak at 440 Hz", |samples| {
        // 440 Hz may lie on the edge of two bands.
        loudest(samples).abs_diff(expect) <= 1 && samples[loudest(samples)] > 0.01
    });
    assert_eq!(seen.len(), bands as usize);

    let phase = client.ok("metering.open", json!({"kind": "phase", "channels": [channel]}));
    until(&mut client, stream_of(&phase), "one signal on both sides", |samples| samples[0] > 0.99);
    let loudness = client.ok("metering.open", json!({"kind": "loudness", "channels": [channel]}));
    until(&mut client, stream_of(&loudness), "a loudness", |samples| {
        (-40.0..6.0).contains(&samples[0])
    });

    let transport = stream_of(&client.ok("metering.open", json!({"kind": "transport"})));
    until(&mut client, transport, "a transport at rest", |samples| samples[0] == 0.0);
    client.ok("transport.play", json!({"from": {"text": "2.1.0"}}));
    let moving = until(&mut client, transport, "the second beat", |samples| samples[3] >= 2.0);
    assert_eq!((moving[0], moving[1], moving[2]), (1.0, 120.0, 2.0));

    client.subscribe(&["metering"], None);
    let told = client.event("metering.levels").payload;
    let of_track = |level: &&Value| level["channel"] == channel;
    let level = told["levels"].as_array().unwrap().iter().find(of_track).unwrap().clone();
    assert!(level["peak"][0].as_f64().unwrap() > 0.01, "{level}");

    let held = client.ok("client.subscriptions", json!({}))["streams"].clone();
    assert_eq!(held.as_array().unwrap().len(), 5);
    for stream in held.as_array().unwrap() {
        client.ok("metering.close", json!({"stream": stream}));
    }
    client.frames.clear();
    client.ok("client.heartbeat", json!({}));
    client.ok("client.heartbeat", json!({}));
    assert!(client.frames.is_empty(), "frames of a closed stream");
}

#[test]
fn a_stream_of_all_channels_follows_the_mixer() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["audio.host=null"]);
    let mut client = server.client("aura");
    let opened = client.ok("metering.open", json!({"kind": "level"}));
    assert_eq!(opened["layout"].as_array().unwrap().len(), 1, "the master");
    let stream = stream_of(&opened);
    let bus = client.ok("channel.create", json!({"kind": "bus", "channels": 1}))["channel"].clone();
    let told = client.event("metering.layout").payload;
    let layout = told["layout"].as_array().unwrap();
    assert!(layout.iter().any(|slot| slot["channel"] == bus && slot["samples"] == 2), "{told}");
    let first = told["sequence"].as_u64().unwrap();
    loop {
        let frame = client.frame(stream);
        let expect = if frame.sequence < first { 4 } else { 6 };
        assert_eq!(frame.samples.len(), expect, "frame {} of {first}", frame.sequence);
        if frame.sequence > first + 2 {
            break;
        }
    }
}

#[test]
fn a_client_that_does_not_read_loses_frames_and_no_reply() {
    let dir = new_project();
    let server = Server::start(dir.path(), &["audio.host=null", "limits.queue_bytes=262144"]);
    let mut client = server.client("aura");
    let mut streams = Vec::new();
    for _ in 0..8 {
        let open = json!({"kind": "spectrum", "bands": 4_096, "rate": 60});
        streams.push(stream_of(&client.ok("metering.open", open)));
    }
    // 8 MB per second: sockets and queue are full long before it looks again.
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let envelope = client.envelope("client.heartbeat", json!({}));
            assert!(client.post(&envelope));
            std::thread::sleep(std::time::Duration::from_millis(100));
            envelope.id
        })
        .collect();
    for id in asked {
        assert_eq!(client.answer(&id).error, None);
    }
    // Now it reads: what comes next is what is now, after all that found no room.
    let began = std::time::Instant::now();
    let mut next = 0;
    loop {
        let frame = client.frame(streams[0]);
        assert!(frame.sequence >= next, "frames keep their order");
        if frame.sequence > next {
            break;
        }
        next = frame.sequence + 1;
        assert!(began.elapsed() < PATIENCE, "nothing was lost in {next} frames");
    }
}
