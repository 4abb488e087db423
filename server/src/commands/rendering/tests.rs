use std::path::Path;

use pulse_engine::buffer::AudioSource as _;
use pulse_schemas::{
    entity::{Lifecycle, MediaItem, Track},
    id::MediaId,
    job::JobState,
    time::Ticks,
};
use serde_json::{Value, json};

use crate::commands::testing::Project;

const BEAT: i64 = Ticks::PER_QUARTER;

/// A synth with an echo that plays two notes, mixed a little down and left.
fn project(dir: &Path) -> (Project, Value) {
    let mut project = Project::on_disk(dir);
    let made = project.ok(
        "track.create",
        json!({"name": "Lead", "kind": "instrument", "nodes": ["pulse.synth", "pulse.delay"]}),
    );
    let notes = json!([
        {"pitch": 60, "start": 0, "length": BEAT / 4},
        {"pitch": 67, "start": BEAT / 2, "length": BEAT / 4},
    ]);
    let clip = project.ok(
        "clip.create",
        json!({"lane": made["lane"], "start": BEAT, "length": BEAT, "notes": notes, "name": "Riff"}),
    );
    let channel = made["channel"].clone();
    project.ok("channel.setGain", json!({"channel": channel, "gainDb": -6.0}));
    project.ok("channel.setPan", json!({"channel": channel, "pan": -0.5}));
    let made = json!({"track": made["track"], "clip": clip["clip"], "lane": made["lane"]});
    (project, made)
}

/// The result of a job that a command starts.
fn job(project: &mut Project, name: &str, payload: Value) -> pulse_schemas::job::Job {
    let started = project.ok(name, payload);
    project.session.wait_for_jobs();
    let progress = project.ok("rendering.progress", json!({"job": started["job"]}));
    serde_json::from_value(progress["job"].clone()).unwrap()
}

fn done(project: &mut Project, name: &str, payload: Value) -> Value {
    let job = job(project, name, payload);
    assert_eq!(job.state, JobState::Done, "{name}: {:?}", job.error);
    job.result.unwrap()
}

/// The mix over a fixed range, as samples.
fn mix(project: &mut Project, dir: &Path) -> Vec<f32> {
    let path = dir.join("mix.wav");
    let settings = json!({"format": "float32", "range": {"start": 0, "end": 8 * BEAT}});
    done(project, "rendering.render", json!({"path": path, "settings": settings}));
    samples(&path)
}

fn samples(path: &Path) -> Vec<f32> {
    let file = std::fs::File::open(path).unwrap();
    let mut decoder = pulse_engine::decode::Decoder::open(Box::new(file), Some("wav")).unwrap();
    let audio = decoder.decode_all(1 << 30).unwrap().audio;
    let frames = audio.frames();
    let mut found = vec![vec![0.0; frames]; 2];
    let [left, right] = &mut found[..] else { panic!("stereo") };
    assert_eq!(audio.read(0, &mut [left, right]), frames);
    found.concat()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn media(project: &Project) -> Vec<MediaItem> {
    project.session.view().unwrap().all::<MediaItem>().unwrap()
}

#[test]
fn a_bounced_track_sounds_as_it_did_and_one_undo_takes_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    let before = mix(&mut project, dir.path());
    assert!(before.iter().any(|sample| sample.abs() > 0.01), "the song is silent");

    let payload = json!({"sources": [made["track"]], "withEffects": true, "muteSources": true});
    let result = done(&mut project, "rendering.bounce", payload);
    let bounced = &result["bounced"][0];
    assert_ne!(bounced["track"], made["track"]);
    let [item] = &media(&project)[..] else { panic!("one item") };
    assert_eq!((item.lifecycle, item.id), (Lifecycle::Final, id(&bounced["media"])));
    assert_eq!(json!(item.lineage), json!([made["track"]]));
    assert!(item.attributes["bounce.revision"].starts_with("op:"), "{:?}", item.attributes);
    // The tail is cut where it is below −90 dBFS.
    let after = mix(&mut project, dir.path());
    assert!(distance(&before, &after) < 1e-4, "{}", distance(&before, &after));

    project.ok("history.undo", json!({}));
    let view = project.session.view().unwrap();
    let tracks = view.all::<Track>().unwrap();
    assert!(tracks.len() == 1 && !tracks[0].mute, "{tracks:?}");
    assert_eq!(media(&project)[0].lifecycle, Lifecycle::Final);
    assert_eq!(mix(&mut project, dir.path()), before);
}

fn id(value: &Value) -> MediaId {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn a_clip_is_bounced_in_place_and_dry() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    // Another clip of the track is no part of it.
    let note = json!([{"pitch": 48, "start": 0, "length": BEAT}]);
    let other = json!({"lane": made["lane"], "start": 3 * BEAT, "length": BEAT, "notes": note});
    project.ok("clip.create", other);
    let lane = project.ok("lane.create", json!({"track": made["track"], "kind": "audio"}));
    let before = mix(&mut project, dir.path());

    let payload = json!({"sources": [made["clip"]], "lane": lane["lane"], "muteSources": true});
    let result = done(&mut project, "rendering.bounce", payload);
    let bounced = &result["bounced"][0];
    assert_eq!((&bounced["track"], &bounced["lane"]), (&made["track"], &lane["lane"]));
    let clips = project.ok("clip.list", json!({"track": made["track"]}))["clips"].clone();
    let find = |id: &Value| {
        clips.as_array().unwrap().iter().find(|clip| clip["id"] == *id).unwrap().clone()
    };
    assert_eq!(
        (&find(&made["clip"])["mute"], &find(&made["clip"])["start"]),
        (&json!(true), &json!(BEAT))
    );
    assert_eq!(find(&bounced["clip"])["start"], json!(BEAT));
    // What is dry goes through the track's own echo and fader again.
    let after = mix(&mut project, dir.path());
    assert!(distance(&before, &after) < 1e-3, "{}", distance(&before, &after));
}

#[test]
fn a_range_of_a_track_is_bounced_to_the_frame_and_mutes_what_it_covers() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    let range = json!({"start": BEAT, "end": BEAT + BEAT / 2});
    let payload = json!({"sources": [made["track"]], "range": range, "muteSources": true});
    done(&mut project, "rendering.bounce", payload);
    // 120 BPM: half a beat is a quarter of a second.
    assert_eq!(media(&project)[0].format.frames, 12_000);
    let clips = project.ok("clip.list", json!({"track": made["track"]}))["clips"].clone();
    let told: Vec<(Value, Value, Value)> = clips
        .as_array()
        .unwrap()
        .iter()
        .map(|clip| (clip["start"].clone(), clip["length"].clone(), clip["mute"].clone()))
        .collect();
    let half = json!(BEAT / 2);
    let expect =
        [(json!(BEAT), half.clone(), json!(true)), (json!(BEAT + BEAT / 2), half, json!(false))];
    assert_eq!(told, expect);
}

/// Long enough that no machine is through with it before it is cancelled.
fn endless(made: &Value) -> Value {
    json!({"sources": [made["track"]], "withEffects": true, "range": {"start": 0, "end": 40_000 * BEAT}})
}

#[test]
fn a_cancelled_bounce_discards_what_it_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("song");
    let (mut project, made) = project(&folder);
    let started = project.ok("rendering.bounce", endless(&made));
    assert_eq!(media(&project)[0].lifecycle, Lifecycle::Pending);
    project.ok("rendering.cancel", json!({"job": started["job"]}));
    project.session.wait_for_jobs();
    let progress = project.ok("rendering.progress", json!({"job": started["job"]}));
    assert_eq!(progress["job"]["state"], "cancelled", "{progress}");
    assert_eq!(media(&project)[0].lifecycle, Lifecycle::Abandoned);
    let left: Vec<_> = std::fs::read_dir(folder.join("Media")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let tracks = project.session.view().unwrap().all::<Track>().unwrap();
    assert_eq!(tracks.len(), 1);
}

#[test]
fn a_bounce_that_is_under_way_enters_no_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    project.ok("rendering.bounce", endless(&made));
    project.ok("version.commit", json!({"message": "While it renders"}));
    let main = pulse_store::rev::Rev::parse("main").unwrap();
    let committed = project.session.project().unwrap().view_at(&main).unwrap();
    assert!(committed.all::<MediaItem>().unwrap().is_empty());
    assert_eq!(media(&project)[0].lifecycle, Lifecycle::Pending);
    project.session.stop_jobs();
}

#[test]
fn what_can_not_be_bounced_is_refused_before_anything_is_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    let on_midi = json!({"sources": [made["track"]], "lane": made["lane"]});
    project.refused("rendering.bounce", on_midi, "entity.invalid");
    let lane = json!({"sources": [made["lane"]]});
    project.refused("rendering.bounce", lane, "entity.invalid");
    assert!(media(&project).is_empty());
}
