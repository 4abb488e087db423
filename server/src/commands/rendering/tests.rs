use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use pulse_engine::{
    buffer::AudioSource as _,
    node::{Descriptor, Determinism, Io, Node, NodeKind, Setup, StateVisitor},
    registry::Registry,
};
use pulse_schemas::{
    entity::{Channel, Lifecycle, MediaItem, Track},
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

    let undone = project.ok("history.undo", json!({}));
    assert_eq!(undone["undone"][0]["label"], "Bounce Lead", "{undone}");
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

/// A bounce under way is left alone, wherever one switches; one that ended with its
/// process is settled by whoever comes to its branch.
#[test]
fn what_a_lost_bounce_reserved_is_discarded_and_what_runs_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    let started = project.ok("rendering.bounce", endless(&made));
    project.ok("version.branch", json!({"name": "mix", "switch": true}));
    project.ok("version.switch", json!({"to": "main"}));
    assert_eq!(media(&project)[0].lifecycle, Lifecycle::Pending);
    // As if another process had begun it, and were gone.
    project.session.renders.reserved.clear();
    project.ok("version.switch", json!({"to": "mix"}));
    project.ok("version.switch", json!({"to": "main"}));
    assert_eq!(media(&project)[0].lifecycle, Lifecycle::Abandoned);
    let warnings = project.ok("session.warnings", json!({}))["warnings"].clone();
    assert_eq!(warnings[0]["id"], "bounce-unfinished", "{warnings}");
    project.ok("rendering.cancel", json!({"job": started["job"]}));
    project.session.wait_for_jobs();
}

#[test]
fn what_a_client_reserved_waits_for_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("song");
    let (mut project, _) = project(&folder);
    project.ok("media.reserve", json!({"name": "Take 1", "origin": "generated"}));
    project.ok("project.close", json!({}));
    project.ok("project.open", json!({"path": folder}));
    assert_eq!(media(&project)[0].lifecycle, Lifecycle::Pending);
    assert_eq!(project.ok("session.warnings", json!({}))["warnings"], json!([]));
}

#[test]
fn a_project_that_is_closed_takes_its_jobs_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("song");
    let (mut project, made) = project(&folder);
    project.ok("rendering.bounce", endless(&made));
    project.ok("project.close", json!({}));
    assert!(!project.session.has_jobs());
    project.ok("project.open", json!({"path": folder}));
    assert_eq!(media(&project)[0].lifecycle, Lifecycle::Abandoned);
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

#[test]
fn a_difference_is_told_per_channel_with_what_caused_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    let bass = project.ok(
        "track.create",
        json!({"name": "Bass", "kind": "instrument", "nodes": ["pulse.synth"]}),
    );
    let note = json!([{"pitch": 36, "start": 0, "length": BEAT}]);
    let low = json!({"lane": bass["lane"], "start": 4 * BEAT, "length": BEAT, "notes": note});
    let low = project.ok("clip.create", low);
    project.ok("version.commit", json!({"message": "Before"}));
    project.ok("clip.update", json!({"clips": [low["clip"]], "transpose": 12.0}));
    project.ok("track.rename", json!({"track": made["track"], "name": "Nobody hears this"}));

    let folder = dir.path().join("diff");
    let channels = |project: &mut Project| -> Vec<Value> {
        let tracks = project.session.view().unwrap();
        let channels = tracks.all::<pulse_schemas::entity::Channel>().unwrap();
        channels.iter().filter(|it| it.track.is_some()).map(|it| json!(it.id)).collect()
    };
    let channels = channels(&mut project);
    let payload = json!({"folder": folder, "from": "main", "channels": channels});
    let started = project.ok("rendering.audibleDiff", payload);
    project.session.wait_for_jobs();
    let progress = project.ok("rendering.progress", json!({"job": started["job"]}));
    let audible = progress["audible"].as_array().unwrap_or_else(|| panic!("{progress}")).clone();
    assert!(!audible.is_empty());
    for stretch in &audible {
        // Only the bass and the mix, from beat 4 on, and nothing but the clip is to blame.
        let of = &stretch["channel"];
        assert!(*of == json!(null) || *of == bass["channel"], "{stretch}");
        let start = stretch["start"].as_i64().unwrap();
        assert!(start >= 2 * 705_600_000, "{stretch}");
        let causes = stretch["causes"].as_array().unwrap();
        assert_eq!(causes.len(), 1, "{stretch}");
        assert_eq!(causes[0]["entity"], low["clip"], "{stretch}");
    }
    // A − B is what was taken away plus what came: B + (A − B) = A.
    let [a, b, apart] = ["a", "b", "difference"]
        .map(|name| samples(&folder.join("Bass").join(format!("{name}.wav"))));
    assert!(apart.iter().any(|sample| sample.abs() > 0.01));
    let sum: Vec<f32> = b.iter().zip(&apart).map(|(b, apart)| b + apart).collect();
    assert!(distance(&sum[..1_000], &a[..1_000]) < 1e-5);
    assert!(folder.join("difference.wav").exists() && !folder.join("Lead").exists());
}

#[test]
fn a_preview_is_short_and_a_newer_one_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    let path = dir.path().join("clip.wav");
    done(&mut project, "rendering.preview", json!({"path": path, "source": made["clip"]}));
    let sound = samples(&path);
    assert!(sound.iter().any(|sample| sample.abs() > 0.01));
    // A beat and what rings out, at 24 kHz.
    let frames = sound.len() / 2;
    assert!((12_000..=12_000 + 48_000).contains(&frames), "{frames}");

    let mix = |name: &str| json!({"path": dir.path().join(name), "range": {"start": 39_000 * BEAT, "end": 40_000 * BEAT}});
    let older = project.ok("rendering.preview", mix("older.wav"));
    let newer = project.ok("rendering.preview", mix("newer.wav"));
    project.ok("rendering.cancel", json!({"job": newer["job"]}));
    project.session.wait_for_jobs();
    let state = |project: &mut Project, job: &Value| {
        project.ok("rendering.progress", json!({"job": job["job"]}))["job"]["state"].clone()
    };
    assert_eq!(state(&mut project, &older), "cancelled");
    assert!(!dir.path().join("older.wav").exists());
}

#[test]
fn stems_before_the_fader_do_not_hear_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    let mut stem = |name: &str, pre: bool| {
        let folder = dir.path().join(name);
        let settings = json!({"format": "float32", "range": {"start": 0, "end": 4 * BEAT}});
        let payload = json!({"folder": folder, "preFader": pre, "settings": settings});
        done(&mut project, "rendering.stems", payload);
        samples(&folder.join("Lead.wav"))
    };
    let (loud, soft) = (stem("before", true), stem("behind", false));
    let peak = |sound: &[f32]| sound.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
    assert!(peak(&soft) < peak(&loud), "{} {}", peak(&soft), peak(&loud));
    let muted = json!({"tracks": [made["track"]], "mute": true});
    project.ok("track.setFlags", muted);
    let mut again = |pre: bool| {
        let folder = dir.path().join(format!("muted{pre}"));
        let settings = json!({"format": "float32", "range": {"start": 0, "end": 4 * BEAT}});
        let payload = json!({"folder": folder, "preFader": pre, "settings": settings});
        done(&mut project, "rendering.stems", payload);
        samples(&folder.join("Lead.wav"))
    };
    assert_eq!(again(true), loud);
    assert_eq!(peak(&again(false)), 0.0);
}

/// Gain that is another one each time it begins.
struct Moody(f32);

static MOODS: AtomicU32 = AtomicU32::new(1);

static MOODY: Descriptor = {
    let mut descriptor = Descriptor::effect("test.moody", "Moody", &[]);
    descriptor.determinism = Determinism::Volatile;
    descriptor
};

static MOODY_KIND: NodeKind = NodeKind::new(&MOODY, || Box::new(Moody(0.0)));

impl Node for Moody {
    fn prepare(&mut self, _: &Setup) {
        self.0 = 1.0 / MOODS.fetch_add(1, Ordering::Relaxed) as f32;
    }

    fn process(&mut self, io: &mut Io<'_>) {
        for channel in 0..2 {
            io.output(0, channel).iter_mut().for_each(|sample| *sample *= self.0);
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}

    fn reset(&mut self) {}
}

#[test]
fn a_frozen_track_pins_what_is_other_sound_in_every_render() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, made) = project(&dir.path().join("song"));
    project.session.registry = Arc::new(Registry::standard().with(&MOODY_KIND));
    let channels = project.session.view().unwrap().all::<Channel>().unwrap();
    let channel = channels.iter().find(|channel| channel.track.is_some()).unwrap().id;
    project.ok("node.add", json!({"channel": channel, "kind": "test.moody"}));
    let warned = |project: &mut Project| {
        let warnings = project.ok("session.warnings", json!({}))["warnings"].clone();
        project.ok("session.dismissWarning", json!({"warning": "render-volatile"}));
        warnings[0]["id"] == "render-volatile"
    };
    let first = mix(&mut project, dir.path());
    assert!(first != mix(&mut project, dir.path()) && warned(&mut project));

    let tracks = json!({"tracks": [made["track"]]});
    done(&mut project, "rendering.freeze", tracks.clone());
    let frozen = mix(&mut project, dir.path());
    assert!(frozen == mix(&mut project, dir.path()) && !warned(&mut project));
    assert!(frozen.iter().any(|sample| sample.abs() > 1e-3));
    project.ok("rendering.clearCache", json!({}));
    assert!(frozen == mix(&mut project, dir.path()), "no cache has to remember it");

    // Another freeze is another artefact; the first belongs to its revision.
    project.ok("version.commit", json!({"message": "Frozen"}));
    project.ok("rendering.unfreeze", tracks.clone());
    done(&mut project, "rendering.freeze", tracks);
    assert!(frozen != mix(&mut project, dir.path()));
    project.ok("version.commit", json!({"message": "Frozen anew"}));
    let path = dir.path().join("then.wav");
    let settings = json!({"format": "float32", "range": {"start": 0, "end": 8 * BEAT}});
    let then = json!({"path": path, "settings": settings, "rev": "@~1"});
    done(&mut project, "rendering.render", then);
    assert!(frozen == samples(&path));
}
