//! From a command to the sample: a session whose engine is driven by hand.

use std::time::Duration;

use pulse_engine::{
    device::DeviceConfig,
    registry::Registry,
    rt::{Config, Engine, ManualClock},
};
use serde_json::{Value, json};

use super::{Playback, player::Player};
use crate::commands::testing::Project;

const RATE: u32 = 48_000;
const QUARTER: i64 = 45_158_400;

/// A project that plays through an engine whose every frame is asked for here.
struct Stage {
    project: Project,
    clock: ManualClock,
}

impl Stage {
    fn new() -> Stage {
        let device = DeviceConfig::null(RATE);
        let (engine, clock) = Engine::manual(Config::new(device.clone())).unwrap();
        let player = Player::over(engine, device, Registry::standard()).unwrap();
        let mut project = Project::new();
        project.session.attach(Box::new(player));
        Stage { project, clock }
    }

    fn ok(&mut self, name: &str, payload: Value) -> Value {
        let reply = self.project.ok(name, payload);
        // What was edited plays from the next frame on.
        self.playback().settle(Duration::from_secs(60)).unwrap();
        self.playback().tick();
        self.playback().settle(Duration::from_secs(60)).unwrap();
        reply
    }

    fn playback(&mut self) -> &mut dyn Playback {
        &mut *self.project.session.live.playback
    }

    /// The left side of the next frames.
    fn hear(&mut self, frames: usize) -> Vec<f32> {
        let mut heard = Vec::new();
        while heard.len() < frames {
            let some = (frames - heard.len()).min(300);
            heard.extend(self.clock.run(some).chunks_exact(2).map(|frame| frame[0]));
        }
        heard
    }

    /// The loudest of the next frames.
    fn peak(&mut self, frames: usize) -> f32 {
        self.hear(frames).into_iter().fold(0.0, |most, sample| most.max(sample.abs()))
    }

    /// A track with a synth that begins and ends at once, and a clip with notes.
    fn track(&mut self, notes: Value) -> Value {
        let made = self.ok("track.create", json!({"kind": "instrument", "name": "Keys"}));
        let params = json!({"ampAttack": 0.1, "ampRelease": 0.1, "ampSustain": 1});
        let node = json!({"channel": made["channel"], "kind": "pulse.synth", "params": params});
        self.ok("node.add", node);
        let clip = json!({"lane": made["lane"], "start": 0, "length": 64 * QUARTER,
                          "notes": notes});
        self.ok("clip.create", clip);
        made
    }

    fn state(&mut self) -> (String, i64) {
        let state = self.project.ok("transport.state", json!({}))["state"].clone();
        (state["state"].as_str().unwrap().to_owned(), state["ticks"].as_i64().unwrap())
    }
}

fn first_sound(heard: &[f32]) -> Option<usize> {
    heard.iter().position(|sample| sample.abs() > 1e-6)
}

#[test]
fn a_note_sounds_at_its_sample_after_count_in_and_pre_roll() {
    let mut stage = Stage::new();
    // At 120 BPM a quarter is 24 000 frames.
    stage.track(json!([{"pitch": 60, "start": 5 * QUARTER, "length": QUARTER}]));
    stage.hear(4_800);
    stage.ok("transport.setCountIn", json!({"bars": 1, "preRoll": QUARTER}));
    let punch = json!({"start": 4 * QUARTER, "end": 5 * QUARTER});
    stage.ok("transport.setPunch", json!({"enabled": true, "range": punch}));
    stage.ok("transport.play", json!({"from": {"ticks": 4 * QUARTER}, "record": true}));
    let counted = stage.hear(95_000);
    assert!(first_sound(&counted[..100]).is_some(), "the first click");
    assert_eq!(stage.state().0, "countingIn");
    stage.hear(1_000);
    let (state, ticks) = stage.state();
    // The earliest tick of a frame lies up to half a frame before it.
    assert_eq!((state.as_str(), (3 * QUARTER - ticks) / 942), ("playing", 0));
    assert_eq!(stage.peak(24_000), 0.0, "nothing lies in the pre-roll");
    stage.hear(1_000);
    assert_eq!(stage.state().0, "recording");
    let heard = stage.hear(24_000);
    let onset = first_sound(&heard).unwrap();
    // The first sample of a sine or of an attack is zero or nearly so.
    assert!((23_000..23_006).contains(&onset), "{onset}");
    assert_eq!(stage.state().0, "playing", "behind the punch");
}

#[test]
fn a_loop_a_seek_and_the_metronome_are_obeyed_to_the_sample() {
    let mut stage = Stage::new();
    stage.track(json!([{"pitch": 60, "start": 2 * QUARTER, "length": QUARTER / 4}]));
    let range = json!({"start": QUARTER, "end": 3 * QUARTER});
    stage.ok("transport.setLoop", json!({"enabled": true, "range": range}));
    stage.ok("transport.play", json!({"from": {"ticks": 0}}));
    let heard = stage.hear(120_000);
    let onsets: Vec<usize> = (4_000..heard.len())
        .filter(|&at| heard[at].abs() > 1e-6 && heard[at - 4_000..at].iter().all(|&s| s == 0.0))
        .collect();
    assert_eq!(onsets.len(), 2, "{onsets:?}");
    assert!((48_000..48_006).contains(&onsets[0]) && onsets[1] == onsets[0] + 48_000);
    stage.ok("transport.setLoop", json!({"enabled": false}));
    stage.ok("transport.setMetronome", json!({"enabled": true, "gainDb": 0}));
    stage.ok("transport.seek", json!({"to": {"ticks": 8 * QUARTER - QUARTER / 24}}));
    let heard = stage.hear(3_000);
    let click = first_sound(&heard[500..]).unwrap() + 500;
    assert!((1_000..1_003).contains(&click), "{click}");
}

#[test]
fn who_starts_within_a_note_hears_it() {
    let mut stage = Stage::new();
    stage.track(json!([{"pitch": 60, "start": 0, "length": 8 * QUARTER}]));
    stage.hear(4_800);
    stage.ok("transport.play", json!({"from": {"ticks": 4 * QUARTER}}));
    assert!(stage.peak(2_000) > 0.01);
    stage.ok("transport.seek", json!({"to": {"ticks": 9 * QUARTER}}));
    stage.hear(4_800);
    assert_eq!(stage.peak(4_800), 0.0);
}

/// The factor by which a channel's sound was turned, against what it was.
fn turned(stage: &mut Stage, before: f32) -> f64 {
    // Parameters glide, and a period of the note is 183 frames.
    stage.hear(9_600);
    20.0 * f64::log10(f64::from(stage.peak(4_800) / before))
}

#[test]
fn a_gesture_is_heard_before_it_is_an_edit_and_stays_when_it_is() {
    let mut stage = Stage::new();
    let made = stage.track(json!([{"pitch": 60, "start": 0, "length": 60 * QUARTER}]));
    stage.ok("transport.play", json!({"from": {"ticks": 0}}));
    stage.hear(9_600);
    let before = stage.peak(4_800);
    assert!(before > 0.01);
    let near = |found: f64, expect: f64| assert!((found - expect).abs() < 0.3, "{found} dB");
    let begin = json!({"target": made["channel"], "parameter": "gainDb"});
    let revision = stage.project.session.project().unwrap().seq();

    let gesture = stage.ok("parameter.beginGesture", begin.clone())["gesture"].clone();
    stage.ok("parameter.updateGesture", json!({"gesture": gesture, "value": -12}));
    near(turned(&mut stage, before), -12.0);
    assert_eq!(stage.project.session.project().unwrap().seq(), revision, "no edit yet");
    // An edit of the same node must not take the knob out of the hand.
    stage.ok("channel.setPan", json!({"channel": made["channel"], "width": 0.5}));
    near(turned(&mut stage, before), -12.0);
    stage.ok("parameter.endGesture", json!({"gesture": gesture}));
    // From the very next frame on: at no moment does the old value come back.
    assert!(stage.peak(2_400) < before * 0.3);
    near(turned(&mut stage, before), -12.0);

    let gesture = stage.ok("parameter.beginGesture", begin)["gesture"].clone();
    stage.ok("parameter.updateGesture", json!({"gesture": gesture, "value": -30}));
    near(turned(&mut stage, before), -30.0);
    stage.ok("parameter.endGesture", json!({"gesture": gesture, "cancel": true}));
    near(turned(&mut stage, before), -12.0);
    stage.project.ok("history.undo", json!({}));
    stage.project.ok("history.undo", json!({}));
    stage.playback().settle(Duration::from_secs(60)).unwrap();
    near(turned(&mut stage, before), 0.0);
}

#[test]
fn half_a_modulation_depth_is_half_the_movement_at_the_output() {
    let moved = |depth: f64| {
        let mut stage = Stage::new();
        let made = stage.track(json!([{"pitch": 60, "start": 0, "length": 60 * QUARTER}]));
        let params = json!({"rate": 5, "depth": 1});
        let lfo = json!({"channel": made["channel"], "kind": "pulse.lfo", "params": params});
        let lfo = stage.ok("node.add", lfo)["node"].clone();
        let to = json!({"target": made["channel"], "parameter": "pan"});
        let route = json!({"from": lfo, "port": 0, "to": to, "depth": depth});
        stage.ok("parameter.addModulation", route);
        stage.ok("transport.play", json!({"from": {"ticks": 0}}));
        stage.hear(9_600);
        let peaks: Vec<f32> = (0..100).map(|_| stage.peak(480)).collect();
        let most = peaks.iter().copied().fold(0.0, f32::max);
        let least = peaks.iter().copied().fold(f32::MAX, f32::min);
        20.0 * f64::log10(f64::from(most / least))
    };
    let (none, half, whole) = (moved(0.0), moved(0.2), moved(0.4));
    assert!(none < 0.5 && half > 1.0 && whole > 1.8 * half, "{none} {half} {whole} dB");
}

#[test]
fn nodes_are_timed_when_somebody_asks() {
    let mut stage = Stage::new();
    let made = stage.track(json!([]));
    assert_eq!(
        stage.ok("diagnostics.nodeLoads", json!({})),
        json!({"profiling": false, "loads": []})
    );
    stage.ok("diagnostics.profile", json!({"enabled": true}));
    stage.hear(9_600);
    let found = stage.ok("diagnostics.nodeLoads", json!({"limit": 64}));
    let loads = found["loads"].as_array().unwrap();
    let synth = loads.iter().find(|load| load["kind"] == "pulse.synth").unwrap();
    assert_eq!((&synth["track"], &synth["role"]), (&made["track"], &json!("node")));
    assert!(synth["blocks"].as_u64().unwrap() >= 32 && synth["meanUs"].as_f64().unwrap() > 0.0);
    stage.ok("diagnostics.profile", json!({"enabled": false}));
    assert_eq!(stage.ok("diagnostics.nodeLoads", json!({}))["profiling"], json!(false));
}

#[test]
fn the_song_starts_where_it_is_told_to_and_not_before() {
    let mut stage = Stage::new();
    stage.track(json!([]));
    // On a frame, and between two.
    for from in [4 * QUARTER, 4 * QUARTER + 333, 9 * QUARTER - 1, 17] {
        stage.ok("transport.play", json!({"from": {"ticks": from}}));
        assert_eq!(stage.state(), ("playing".to_owned(), from));
        stage.hear(480);
        let (_, at) = stage.state();
        let moved = (at - from - QUARTER / 50).abs();
        assert!(moved <= QUARTER / 24_000, "{at} instead of 10 ms after {from}");
        stage.ok("transport.stop", json!({}));
        stage.ok("transport.seek", json!({"to": {"ticks": from + 5}}));
        assert_eq!(stage.state().1, from + 5);
    }
}

/// Waits until these ports are wanted and not there.
fn missing(stage: &mut Stage, expect: &[&str]) {
    let mut found = Vec::new();
    for _ in 0..3_000 {
        let listed = stage.ok("hardware.list", json!({}))["midi"].clone();
        let gone = |port: &&Value| port["name"].as_str().unwrap().ends_with("(not connected)");
        found = listed.as_array().unwrap().iter().filter(gone).map(|it| it["id"].clone()).collect();
        if found == expect {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{found:?} instead of {expect:?}");
}

#[test]
fn notes_are_led_to_the_port_that_their_node_is_named_after() {
    let mut stage = Stage::new();
    let made = stage.track(json!([{"pitch": 60, "start": 0, "length": QUARTER}]));
    let node = json!({"channel": made["channel"], "kind": "pulse.midi", "params": {"channel": 2}});
    let node = stage.ok("node.add", node)["node"].clone();
    let name = |name: &str| json!({"node": node, "name": name});
    stage.ok("node.rename", name("Bells of nobody"));
    missing(&mut stage, &["Bells of nobody"]);
    stage.ok("node.rename", name("Horns of nobody"));
    missing(&mut stage, &["Horns of nobody"]);
    // A track that is muted plays nowhere.
    stage.ok("channel.setMute", json!({"channels": [made["channel"]], "mute": true}));
    missing(&mut stage, &[]);
    stage.ok("channel.setMute", json!({"channels": [made["channel"]], "mute": false}));
    missing(&mut stage, &["Horns of nobody"]);
    // A role of the name is what each machine fills with a port of its own.
    let role = json!({"name": "Brass", "direction": "midiOutput", "channels": 0});
    let role = stage.ok("routing.createRole", role)["role"].clone();
    stage.ok("hardware.mapRole", json!({"role": role, "device": "Horns of nobody"}));
    stage.ok("node.rename", name("Brass"));
    missing(&mut stage, &["Horns of nobody"]);
    stage.ok("node.remove", json!({"nodes": [node]}));
    missing(&mut stage, &[]);
}

/// A track that listens to the second input of the device.
fn singer(stage: &mut Stage) -> Value {
    let role = json!({"name": "Mics", "direction": "audioInput", "channels": 2});
    let role = stage.ok("routing.createRole", role)["role"].clone();
    let made = stage.ok("track.create", json!({"kind": "audio", "name": "Voice"}));
    let input = json!({"audio": {"role": role, "firstChannel": 1}});
    stage.ok("channel.setInput", json!({"channel": made["channel"], "input": input}));
    made
}

impl Stage {
    /// The loudest of what is heard while `level` comes in.
    fn sing(&mut self, level: f32) -> f32 {
        let (silence, voice) = (vec![0.0; 256], vec![level; 256]);
        let mut peak = 0.0f32;
        for turn in 0..20 {
            let out = self.clock.run_with(256, &[&silence, &voice]);
            // Fades and knobs have come to rest by then.
            if turn >= 10 {
                peak = out.iter().fold(peak, |most, sample| most.max(sample.abs()));
            }
        }
        peak
    }
}

#[test]
fn a_track_hears_its_input_as_its_monitor_says() {
    let mut stage = Stage::new();
    let track = singer(&mut stage)["track"].clone();
    assert_eq!(stage.sing(0.5), 0.0, "not armed");
    stage.ok("track.setFlags", json!({"tracks": [track], "armed": true}));
    let heard = stage.sing(0.5);
    assert!((0.2..0.6).contains(&heard), "{heard}");
    stage.ok("transport.play", json!({}));
    assert_eq!(stage.sing(0.5), 0.0, "while the song plays");
    stage.ok("transport.play", json!({"record": true, "from": {"ticks": 0}}));
    assert!(stage.sing(0.5) > 0.2, "while it is recorded");
    stage.ok("transport.stop", json!({}));
    stage.ok("track.setFlags", json!({"tracks": [track], "monitor": "off"}));
    assert_eq!(stage.sing(0.5), 0.0, "monitor off");
    stage.ok("track.setFlags", json!({"tracks": [track], "armed": false}));
    stage.ok("track.setFlags", json!({"tracks": [track], "monitor": "on"}));
    stage.ok("transport.play", json!({}));
    assert!(stage.sing(0.5) > 0.2, "monitor on");
}

#[test]
fn who_is_monitored_waits_for_no_other_track() {
    let mut stage = Stage::new();
    let made = singer(&mut stage);
    let late = json!({"kind": "audio", "name": "Late", "nodes": ["pulse.limiter"]});
    stage.ok("track.create", late);
    stage.ok("track.setFlags", json!({"tracks": [made["track"]], "monitor": "on"}));
    stage.sing(0.0);
    let (silence, mut voice) = (vec![0.0; 256], vec![0.0; 256]);
    voice[100] = 1.0;
    let out = stage.clock.run_with(256, &[&silence, &voice]);
    let heard = out.chunks_exact(2).position(|frame| frame[0].abs() > 0.1);
    assert_eq!(heard, Some(100));
}

#[test]
fn an_armed_instrument_is_played_from_its_port() {
    let device = DeviceConfig::null(RATE);
    let (engine, clock) = Engine::manual(Config::new(device.clone())).unwrap();
    let player = Player::over(engine, device, Registry::standard()).unwrap();
    let mut port = player.port("Keys").unwrap();
    let mut project = Project::new();
    project.session.attach(Box::new(player));
    let mut stage = Stage { project, clock };
    let made = stage.track(json!([]));
    let input = json!({"midi": {"channel": 3}});
    stage.ok("channel.setInput", json!({"channel": made["channel"], "input": input}));
    stage.hear(1_000);
    let mut strike = |stage: &mut Stage, status: u8| {
        port.take_at(0, &[status, 60, 127]);
        let heard = stage.peak(4_800);
        port.take_at(0, &[status, 60, 0]);
        stage.hear(9_600);
        heard > 0.01
    };
    assert!(!strike(&mut stage, 0x93), "not armed");
    stage.ok("track.setFlags", json!({"tracks": [made["track"]], "armed": true}));
    assert!(strike(&mut stage, 0x93));
    assert!(!strike(&mut stage, 0x94), "another channel");
    port.take_at(0, &[0x93, 60, 127]);
    assert!(stage.peak(4_800) > 0.01);
    stage.ok("track.setFlags", json!({"tracks": [made["track"]], "armed": false}));
    stage.hear(9_600);
    assert_eq!(stage.peak(4_800), 0.0, "who is disarmed holds no note");
}
