//! Arming a track through commands: who is live then, who stays ahead, and that
//! nobody hears the difference.

use std::time::{Duration, Instant};

use pulse_engine::{
    anticipate::Anticipation,
    device::DeviceConfig,
    registry::Registry,
    rt::{Config, Engine, ManualClock},
};
use serde_json::{Value, json};

use super::player::Player;
use crate::commands::testing::Project;

const PATIENCE: Duration = Duration::from_secs(60);
const QUARTER: i64 = 45_158_400;

struct Stage {
    project: Project,
    clock: ManualClock,
}

impl Stage {
    fn new() -> Stage {
        let device = DeviceConfig::null(48_000);
        let anticipation = Some(Anticipation { workers: 2, ..Anticipation::default() });
        let config = Config { anticipation, ..Config::new(device.clone()) };
        let (engine, clock) = Engine::manual(config).unwrap();
        let player = Player::over(engine, device, Registry::standard()).unwrap();
        let mut project = Project::new();
        project.session.attach(Box::new(player));
        Stage { project, clock }
    }

    fn ok(&mut self, name: &str, payload: Value) -> Value {
        let reply = self.project.ok(name, payload);
        self.project.session.live.playback.settle(PATIENCE).unwrap();
        reply
    }

    /// The left side of the next frames, once they lie ready.
    fn hear(&mut self, frames: usize) -> Vec<f32> {
        let mut heard = Vec::new();
        while heard.len() < frames {
            let some = (frames - heard.len()).min(256);
            assert!(self.project.session.live.playback.settle_ahead(some as u64, PATIENCE));
            heard.extend(self.clock.run(some).chunks_exact(2).map(|frame| frame[0]));
        }
        heard
    }

    /// Whether a channel is rendered ahead, as clients are told.
    fn is_ahead(&mut self, channel: &Value) -> bool {
        let members = self.ok("cohort.list", json!({}))["members"].clone();
        let member = members.as_array().unwrap().iter().find(|it| it["id"] == *channel).unwrap();
        let ahead = member["aheadMs"].is_number();
        assert!(!ahead || member["cohort"] == "anticipative", "{member}");
        ahead
    }

    fn playing_track(&mut self, name: &str, pitch: u8) -> Value {
        let made = self.ok("track.create", json!({"kind": "instrument", "name": name}));
        self.ok("node.add", json!({"channel": made["channel"], "kind": "pulse.synth"}));
        let note = json!({"pitch": pitch, "start": 0, "length": 32 * QUARTER});
        let clip = json!({"lane": made["lane"], "start": 0, "length": 32 * QUARTER,
                          "notes": [note]});
        self.ok("clip.create", clip);
        made
    }
}

#[test]
fn arming_a_track_moves_it_and_what_hears_it_and_nobody_else() {
    let mut stage = Stage::new();
    let bass = stage.playing_track("Bass", 40);
    let keys = stage.playing_track("Keys", 64);
    let master = stage.ok("channel.list", json!({}))["channels"][0]["id"].clone();
    stage.ok("transport.play", json!({"from": {"ticks": 0}}));
    let heard = stage.hear(12_000);
    assert!(heard.iter().any(|sample| sample.abs() > 0.01), "both play");
    let sides = |stage: &mut Stage| {
        [&bass["channel"], &keys["channel"], &master].map(|channel| stage.is_ahead(channel))
    };
    assert_eq!(sides(&mut stage), [true; 3]);
    stage.ok("track.setFlags", json!({"tracks": [bass["track"]], "armed": true}));
    assert_eq!(sides(&mut stage), [false, true, false]);
    let live = stage.hear(6_000);
    stage.ok("track.setFlags", json!({"tracks": [bass["track"]], "armed": false}));
    let mut after = stage.hear(6_000);
    let began = Instant::now();
    // The audio thread has to give the state away first, which the next frames do.
    while sides(&mut stage) != [true; 3] {
        assert!(began.elapsed() < PATIENCE, "the track stays live");
        std::thread::sleep(Duration::from_millis(20));
        after.extend(stage.hear(64));
    }
    after.extend(stage.hear(6_000));
    let all: Vec<f32> = heard.into_iter().chain(live).chain(after).collect();
    let step = |part: &[f32]| part.windows(2).map(|it| (it[1] - it[0]).abs()).fold(0.0, f32::max);
    // Once the notes have begun, no step is larger than the sound itself makes.
    assert!(step(&all[12_000..]) <= 1.5 * step(&all[6_000..12_000]));
    let stats = stage.project.session.live.playback.ahead().unwrap();
    assert_eq!(stats.underrun_frames, 0, "{stats:?}");
    assert!(stats.promotions > 0 && stats.demotions > 0, "{stats:?}");
}
