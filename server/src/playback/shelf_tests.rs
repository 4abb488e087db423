//! Playback takes what renders have made of whole chains, and nobody hears it.

use std::{path::Path, sync::Arc, time::Duration};

use pulse_engine::{
    anticipate::{AheadStats, Anticipation},
    decode::Decoder,
    device::DeviceConfig,
    registry::Registry,
    rt::{Config, Engine},
};
use pulse_query::render::shelf::{CacheShelf, How};
use serde_json::{Value, json};

use super::{Headless, player::Player};
use crate::commands::testing::Project;

const PATIENCE: Duration = Duration::from_secs(60);
const QUARTER: i64 = 45_158_400;
const RATE: usize = 48_000;
const SECONDS: usize = 14;
/// Where the render and what is played have met.
const MET: usize = 8 * RATE;

/// Two instruments that play on and on.
fn song(dir: &Path) -> (Project, Value) {
    let mut project = Project::on_disk(dir);
    let mut first = None;
    for (name, pitch) in [("Bass", 40), ("Keys", 64)] {
        let track = json!({"kind": "instrument", "name": name,
                           "nodes": ["pulse.synth", "pulse.compressor"]});
        let made = project.ok("track.create", track);
        let notes: Vec<Value> = (0..64)
            .map(|at| {
                let start = at * QUARTER / 2;
                json!({"pitch": pitch + at % 5, "start": start, "length": QUARTER / 3})
            })
            .collect();
        let clip = json!({"lane": made["lane"], "start": 0, "length": 32 * QUARTER,
                          "notes": notes});
        project.ok("clip.create", clip);
        first.get_or_insert(made);
    }
    (project, first.unwrap_or_default())
}

/// Plays from the beginning; what was heard from then on, and how it was come by.
fn play(project: &mut Project) -> (Vec<f32>, AheadStats) {
    let device = DeviceConfig::null(RATE as u32);
    let shelf = CacheShelf::start(How { pays_from: 0.0, ..How::default() });
    let shelf = Arc::new(shelf.unwrap());
    let mut config = Config::new(device.clone());
    config.anticipation = Some(Anticipation { workers: 2, ..Anticipation::default() });
    config.shelf = Some(shelf.clone());
    let (engine, mut clock) = Engine::manual(config).unwrap();
    let player =
        Player::over_with(engine, device, Registry::standard(), Some(shelf.clone())).unwrap();
    project.session.attach(Box::new(player));
    project.session.live.playback.settle(PATIENCE).unwrap();
    project.ok("transport.play", json!({"from": {"ticks": 0}}));
    let mut heard = Vec::new();
    while heard.len() < SECONDS * RATE {
        shelf.settle();
        assert!(project.session.live.playback.settle_ahead(512, PATIENCE));
        heard.extend(clock.run(512).chunks_exact(2).map(|frame| frame[0]));
    }
    let stats = project.session.live.playback.ahead().unwrap();
    project.ok("transport.stop", json!({}));
    project.session.attach(Box::new(Headless::default()));
    let begins = heard.iter().position(|sample| *sample != 0.0).unwrap_or(0);
    (heard.split_off(begins), stats)
}

fn render(project: &mut Project, path: &Path) -> Vec<f32> {
    project.ok("rendering.render", json!({"path": path, "settings": {"format": "float32"}}));
    project.session.wait_for_jobs();
    let file = Box::new(std::fs::File::open(path).unwrap());
    let mut decoder = Decoder::open(file, Some("wav")).unwrap();
    let left = decoder.decode_all(1 << 30).unwrap().audio.channel(0).to_vec();
    left[left.iter().position(|sample| *sample != 0.0).unwrap_or(0)..].to_vec()
}

fn same(found: &[f32], expect: &[f32], from: usize, what: &str) {
    let frames = found.len().min(expect.len());
    assert!(frames > MET + RATE, "{what}: {frames} frames were heard");
    let differ = (from..frames).find(|&at| found[at].to_bits() != expect[at].to_bits());
    assert_eq!(differ, None, "{what}");
}

#[test]
fn playback_takes_the_chains_that_a_render_made_and_sounds_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, track) = song(&dir.path().join("song"));
    let (cold, before) = play(&mut project);
    assert!(cold.iter().any(|sample| sample.abs() > 0.01), "the song is silent");
    assert_eq!(before.taken_frames, 0, "nothing was made yet");
    let cache = dir.path().join("song/.pulse/cache");
    assert!(!cache.exists(), "a project that nobody rendered has a cache");

    let rendered = render(&mut project, &dir.path().join("mix.wav"));
    let (warm, after) = play(&mut project);
    assert!(after.taken_frames > 10 * RATE as u64, "{after:?}");
    same(&warm, &cold, 0, "what is taken is what was computed");
    same(&warm, &rendered, MET, "what is heard is what was rendered");

    // What an edit touches is computed; the other track is not.
    project.ok("channel.setGain", json!({"channel": track["channel"], "gainDb": -3.0}));
    let (edited, part) = play(&mut project);
    assert!(part.taken_frames > 0 && part.taken_frames < after.taken_frames, "{part:?}");
    let fresh = render(&mut project, &dir.path().join("edited.wav"));
    same(&edited, &fresh, MET, "an edit");
    let (again, all) = play(&mut project);
    assert!(all.taken_frames > part.taken_frames, "{all:?}");
    same(&again, &edited, 0, "an edit that was rendered");
}
