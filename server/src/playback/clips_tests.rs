//! Playback takes what a render made of clips, and nobody hears it.

use std::{path::Path, time::Duration};

use pulse_engine::{
    anticipate::Anticipation,
    decode::Decoder,
    device::DeviceConfig,
    registry::Registry,
    rt::{Config, Engine},
};
use serde_json::json;

use super::{Headless, player::Player};
use crate::{commands::testing::Project, metrics};

const PATIENCE: Duration = Duration::from_secs(60);
const QUARTER: i64 = 45_158_400;
const FRAMES: usize = 40_000;

/// A song of two clips of a file at another rate, one of them stretched.
fn song(dir: &Path) -> Project {
    let mut project = Project::on_disk(dir);
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sound = sound.join("tests/fixtures/audio/tone_16.flac");
    let media = project.ok("media.import", json!({"path": sound}))["media"].clone();
    for (at, bpm) in [(0, None), (1, Some(96.0))] {
        let track = json!({"name": "A", "kind": "audio", "nodes": ["pulse.eq"]});
        let lane = project.ok("track.create", track)["lane"].clone();
        let region = json!({"media": media, "sourceBpm": bpm});
        let clip =
            json!({"lane": lane, "start": at * QUARTER / 4, "length": QUARTER, "region": region});
        let clip = project.ok("clip.create", clip)["clip"].clone();
        if bpm.is_some() {
            project.ok("clip.update", json!({"clips": [clip], "stretch": "stretch"}));
        }
    }
    project
}

/// Plays from the beginning on an engine of its own; what was heard, and how much of
/// the clips was found made.
fn play(project: &mut Project) -> (Vec<f32>, u64) {
    let device = DeviceConfig::null(48_000);
    let anticipation = Some(Anticipation { workers: 2, ..Anticipation::default() });
    let config = Config { anticipation, ..Config::new(device.clone()) };
    let (engine, mut clock) = Engine::manual(config).unwrap();
    let before = metrics::CLIPS_TAKEN.get();
    let player = Player::over(engine, device, Registry::standard()).unwrap();
    project.session.attach(Box::new(player));
    project.session.live.playback.settle(PATIENCE).unwrap();
    let taken = metrics::CLIPS_TAKEN.get() - before;
    project.ok("transport.play", json!({"from": {"ticks": 0}}));
    let mut heard = Vec::new();
    while heard.len() < FRAMES {
        assert!(project.session.live.playback.settle_ahead(256, PATIENCE));
        heard.extend(clock.run(256).chunks_exact(2).map(|frame| frame[0]));
    }
    project.ok("transport.stop", json!({}));
    project.session.attach(Box::new(Headless::default()));
    // The song begins a lead after somebody pressed play.
    let begins = heard.iter().position(|sample| *sample != 0.0).unwrap_or(0);
    (heard.split_off(begins), taken)
}

/// The left side of a file, from its first sound on.
fn left_of(path: &Path) -> Vec<f32> {
    let file = Box::new(std::fs::File::open(path).unwrap());
    let mut decoder = Decoder::open(file, Some("wav")).unwrap();
    let audio = decoder.decode_all(1 << 30).unwrap().audio;
    let left = audio.channel(0);
    left[left.iter().position(|sample| *sample != 0.0).unwrap_or(0)..].to_vec()
}

fn same(found: &[f32], expect: &[f32]) {
    let frames = found.len().min(expect.len());
    assert!(frames > FRAMES / 2, "{frames} frames were heard");
    let differ = (0..frames).find(|&at| found[at].to_bits() != expect[at].to_bits());
    assert_eq!(differ, None, "{} and {} frames", found.len(), expect.len());
}

#[test]
fn playback_takes_clips_that_a_render_made_and_sounds_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = song(&dir.path().join("song"));
    let (cold, taken) = play(&mut project);
    assert!(cold.iter().any(|sample| sample.abs() > 0.01), "the song is silent");
    assert_eq!(taken, 0, "nothing was made yet");
    // What playback stretched is kept; a render makes the rest.
    let (warm, stretched) = play(&mut project);
    let path = dir.path().join("mix.wav");
    let settings = json!({"format": "float32"});
    project.ok("rendering.render", json!({"path": path, "settings": settings}));
    project.session.wait_for_jobs();
    let (rendered, all) = play(&mut project);
    assert!(stretched > 0 && all > stretched, "{stretched} of {all}");
    same(&warm, &cold);
    same(&rendered, &cold);
    // Before the first edge of a segment a render rounds nothing.
    same(&left_of(&path), &cold);
}
