//! What one hears is what one expects of a mixer, a freeze and an export: no level that changes
//! by itself, nothing silent or cut off without a word, and files that fit each other.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    harness::{Server, new_project, pulse, run, run_json},
    renders::{largest, song, wav},
};

const BEAT: i64 = 45_158_400;
const BAR: i64 = 4 * BEAT;

fn act(dir: &Path, name: &str, payload: Value) -> Value {
    run_json(&dir.join("song"), &["do", name, &payload.to_string()])
}

fn tracks(dir: &Path) -> Vec<Value> {
    act(dir, "track.list", json!({}))["tracks"].as_array().unwrap().clone()
}

fn channel(dir: &Path, name: &str) -> Value {
    let listed = act(dir, "channel.list", json!({}));
    let all = listed["channels"].as_array().unwrap().clone();
    all.into_iter().find(|channel| channel["name"] == name).unwrap()
}

fn render(dir: &Path, file: &str, more: &[&str]) -> (Value, Vec<f64>) {
    let output = format!("../{file}");
    let mut arguments = vec!["render", "-o", &output, "--bits", "32f"];
    arguments.extend(more);
    let report = run_json(&dir.join("song"), &arguments);
    (report, wav(&dir.join(file)).1)
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().max(b.len());
    let at = |samples: &[f64], at: usize| samples.get(at).copied().unwrap_or(0.0);
    largest((0..length).map(|frame| at(a, frame) - at(b, frame)))
}

/// Two seconds of a constant, which shows every level as it is.
fn constant(dir: &Path, name: &str, level: f32) -> PathBuf {
    let path = dir.join(name);
    let data: Vec<u8> = (0..2 * 96_000).flat_map(|_| level.to_le_bytes()).collect();
    let size = data.len() as u32;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + size).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    // Floats, two channels, 48 kHz, 8 bytes a frame.
    file.extend([3u16, 2].map(u16::to_le_bytes).concat());
    file.extend([48_000u32, 8 * 48_000].map(u32::to_le_bytes).concat());
    file.extend([8u16, 32].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(data);
    fs::write(&path, file).unwrap();
    path
}

/// A project with a track `Tone` that plays a constant for a bar.
fn tone(level: f32, mode: &str) -> tempfile::TempDir {
    let dir = new_project();
    let file = constant(dir.path(), "tone.wav", level);
    let media = act(dir.path(), "media.import", json!({"path": file, "mode": mode}));
    let track = act(dir.path(), "track.create", json!({"name": "Tone", "kind": "audio"}));
    let region = json!({"media": media["media"]});
    let clip = json!({"lane": track["lane"], "start": 0, "length": BAR, "region": region});
    act(dir.path(), "clip.create", clip);
    dir
}

#[test]
fn neither_a_track_nor_a_group_nor_a_bus_changes_a_level() {
    let dir = tone(0.25, "copy");
    let check = |what: &str| {
        let (_, samples) = render(dir.path(), "level.wav", &[]);
        let peak = largest(samples.into_iter());
        assert!((peak - 0.25).abs() < 1e-6, "{what}: {peak}");
    };
    check("a track");
    let group = json!({"tracks": [tracks(dir.path())[0]["id"]], "name": "Group", "sum": true});
    act(dir.path(), "track.group", group);
    check("a group");
    let bus = act(dir.path(), "channel.create", json!({"kind": "bus"}));
    let through = json!({"channel": channel(dir.path(), "Group")["id"], "output": bus["channel"]});
    act(dir.path(), "channel.setOutput", through);
    check("a bus");
}

#[test]
fn a_frozen_group_sounds_as_it_did_and_its_tracks_are_not_heard_twice() {
    let dir = song();
    let ids: Vec<Value> = tracks(dir.path()).iter().map(|track| track["id"].clone()).collect();
    let group = act(dir.path(), "track.group", json!({"tracks": ids, "name": "All", "sum": true}));
    let (_, before) = render(dir.path(), "before.wav", &[]);
    act(dir.path(), "rendering.freeze", json!({"tracks": [group["track"]]}));
    let (_, frozen) = render(dir.path(), "frozen.wav", &[]);
    let off = apart(&before, &frozen);
    assert!(off < 1e-4, "{off}");
    let media = act(dir.path(), "media.list", json!({}));
    assert_eq!(media["items"][0]["name"], "All frozen", "{media}");
    act(dir.path(), "rendering.unfreeze", json!({"tracks": [group["track"]]}));
    let (_, after) = render(dir.path(), "after.wav", &[]);
    assert_eq!(apart(&before, &after), 0.0);
}

#[test]
fn a_bounce_follows_the_fader_and_ends_on_the_beat() {
    let dir = tone(0.25, "copy");
    let track = tracks(dir.path())[0].clone();
    let lane = act(dir.path(), "lane.create", json!({"track": track["id"], "kind": "automation"}));
    let fade = json!({
        "owner": {"lane": {"lane": lane["lane"]}},
        "target": {"target": channel(dir.path(), "Tone")["id"], "parameter": "gainDb"},
        "points": [{"at": 0, "value": -40.0}, {"at": BAR, "value": 0.0}],
    });
    act(dir.path(), "automation.createEnvelope", fade);
    let (_, before) = render(dir.path(), "before.wav", &[]);
    let bounce = json!({"sources": [track["id"]], "withEffects": true, "muteSources": true});
    let made = act(dir.path(), "rendering.bounce", bounce);
    let (_, after) = render(dir.path(), "after.wav", &[]);
    assert_eq!(apart(&before, &after), 0.0);
    let onto = &made["result"]["bounced"][0]["track"];
    let clips = act(dir.path(), "clip.list", json!({"track": onto}));
    assert_eq!(clips["clips"][0]["length"], BAR, "{clips}");
    // The copy goes with the bounce.
    run_json(&dir.path().join("song"), &["undo"]);
    let (_, undone) = render(dir.path(), "undone.wav", &[]);
    assert_eq!(apart(&before, &undone), 0.0);
}

#[test]
fn a_bounced_range_rings_out_where_one_asks_for_it() {
    let dir = song();
    let track = tracks(dir.path())[0].clone();
    let node = json!({"channel": channel(dir.path(), "Bass")["id"], "kind": "pulse.delay"});
    act(dir.path(), "node.add", node);
    let frames = |more: Value| {
        let mut payload = json!({
            "sources": [track["id"]], "withEffects": true, "range": {"start": 0, "end": BEAT},
        });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = act(dir.path(), "rendering.bounce", payload);
        made["result"]["report"]["frames"].as_i64().unwrap()
    };
    assert_eq!(frames(json!({})), 24_000);
    let rung = frames(json!({"tail": 5 * 705_600_000i64}));
    assert!(rung > 40_000 && rung <= 24_000 + 240_000, "{rung} frames");
}

#[test]
fn what_is_beyond_full_scale_is_counted_and_can_be_brought_down() {
    let dir = tone(2.0, "copy");
    let told = |more: &[&str]| {
        let mut arguments = vec!["render", "-o", "../loud.wav"];
        arguments.extend(more);
        run_json(&dir.path().join("song"), &arguments)["files"][0].clone()
    };
    // Silence at the end is none of it; both sides count.
    assert_eq!(told(&["--bits", "24"])["clipped_samples"], 192_000);
    assert_eq!(told(&["--bits", "32f"])["clipped_samples"], 0);
    let page = run(&dir.path().join("song"), &["render", "-o", "../loud.wav"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("192000 samples clipped") && page.contains("--normalise"), "{page}");
    let brought = told(&["--normalise", "-6", "--bits", "32f"]);
    let peak = brought["loudness"]["true_peak_dbtp"].as_f64().unwrap();
    assert!((peak + 6.0).abs() < 0.05 && brought["clipped_samples"] == 0, "{brought}");
    let wrong = run(&dir.path().join("song"), &["render", "-o", "../x.wav", "--normalise", "loud"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn loudness_is_brought_to_a_level_and_stems_are_turned_by_as_much() {
    let dir = song();
    let (plain, _) = render(dir.path(), "plain.wav", &["--stems", "../plain"]);
    let arguments = ["--stems", "../turned", "--normalise", "-23lufs", "--no-cache"];
    let (turned, mix) = render(dir.path(), "turned.wav", &arguments);
    let lufs = turned["files"][0]["loudness"]["integrated_lufs"].as_f64().unwrap();
    assert!((lufs + 23.0).abs() < 0.05, "{lufs}");
    assert_eq!(turned["segments"], plain["segments"], "what was measured is not rendered again");
    let gain = 10f64.powf(turned["normalised_db"].as_f64().unwrap() / 20.0);
    let mut sum = vec![0.0; mix.len()];
    for name in ["Bass", "Lead"] {
        let before = wav(&dir.path().join(format!("plain/{name}.wav"))).1;
        let after = wav(&dir.path().join(format!("turned/{name}.wav"))).1;
        // Files of one render are of one length.
        assert_eq!(after.len(), mix.len());
        let louder: Vec<f64> = before.iter().map(|sample| sample * gain).collect();
        assert!(apart(&louder, &after) < 1e-6);
        sum.iter_mut().zip(&after).for_each(|(sum, sample)| *sum += sample);
    }
    assert!(apart(&sum, &mix) < 1e-6);
}

#[test]
fn stems_can_be_chosen_written_as_flac_and_in_mono() {
    let dir = song();
    let ids: Vec<Value> = tracks(dir.path()).iter().map(|track| track["id"].clone()).collect();
    act(dir.path(), "track.group", json!({"tracks": ids, "name": "All", "sum": true}));
    let files = |folder: &str, more: &[&str]| {
        let into = format!("../{folder}");
        let mut arguments = vec!["render", "--stems", &into];
        arguments.extend(more);
        run_json(&dir.path().join("song"), &arguments);
        let entries = fs::read_dir(dir.path().join(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(files("every", &[]), ["All.wav", "Bass.wav", "Lead.wav"]);
    assert_eq!(files("top", &["--top", "--flac"]), ["All.flac"]);
    assert_eq!(files("one", &["--only", "lead"]), ["Lead.wav"]);
    let wrong = run(&dir.path().join("song"), &["render", "--stems", "../x", "--only", "Drums"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let (_, stereo) = render(dir.path(), "stereo.wav", &[]);
    let (_, mono) = render(dir.path(), "mono.wav", &["--mono"]);
    let mean: Vec<f64> = stereo.chunks(2).map(|both| (both[0] + both[1]) / 2.0).collect();
    assert!(apart(&mean, &mono) < 1e-7);
    // Without dither what needs none is written as it is.
    run_json(
        &dir.path().join("song"),
        &["render", "-o", "../x.wav", "--to", "2s", "--no-dither", "--bits", "16"],
    );
    let (_, samples) = wav(&dir.path().join("x.wav"));
    assert!(samples[samples.len() - 2000..].iter().filter(|it| **it == 0.0).count() > 1900);
}

#[test]
fn a_missing_file_is_told_of_and_never_frozen_as_silence() {
    let dir = tone(0.25, "reference");
    let song = dir.path().join("song");
    let (_, before) = render(dir.path(), "before.wav", &[]);
    fs::rename(dir.path().join("tone.wav"), dir.path().join("elsewhere.wav")).unwrap();
    let (report, _) = render(dir.path(), "after.wav", &[]);
    assert_eq!(report["missing_media"][0]["name"], "tone", "{report}");
    let page = run(&song, &["render", "-o", "../after.wav"]);
    assert!(String::from_utf8_lossy(&page.stdout).contains("tone is missing and silent"));
    let view = |name: &str| String::from_utf8(run(&song, &["view", name]).stdout).unwrap();
    assert!(view("media").contains("missing"), "{}", view("media"));
    let doctor = run(&song, &["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
    let track = tracks(dir.path())[0]["id"].clone();
    for (name, payload) in [
        ("rendering.freeze", json!({"tracks": [track]})),
        ("rendering.bounce", json!({"sources": [track], "withEffects": true})),
    ] {
        let told = run(&song, &["do", name, &payload.to_string()]);
        let text = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(!told.status.success() && text.contains("media.offline"), "{name}: {text}");
    }
    run_json(&song, &["media", "relink", dir.path().to_str().unwrap()]);
    let (found, after) = render(dir.path(), "after.wav", &[]);
    assert_eq!(found["missing_media"], json!([]));
    assert_eq!(apart(&before, &after), 0.0);
}

#[test]
fn names_that_no_file_can_have_are_cut_and_paths_are_absolute() {
    let dir = tone(0.25, "copy");
    let song = dir.path().join("song");
    let track = tracks(dir.path())[0]["id"].clone();
    act(dir.path(), "track.rename", json!({"track": track, "name": "x".repeat(300)}));
    let made = run_json(&song, &["render", "--stems", "../stems"]);
    assert_eq!(made["files"].as_array().unwrap().len(), 1);
    act(dir.path(), "rendering.freeze", json!({"tracks": [track]}));
    for (name, payload) in [
        ("rendering.render", json!({"path": "mix.wav"})),
        ("rendering.stems", json!({"folder": "stems"})),
        ("rendering.preview", json!({"path": "preview.wav"})),
        ("rendering.audibleDiff", json!({"folder": "diff"})),
    ] {
        let told = run(&song, &["do", name, &payload.to_string()]);
        let text = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(text.contains("path.forbidden"), "{name}: {text}");
    }
}

#[test]
fn a_frozen_tail_is_kept_until_nothing_of_it_is_left() {
    let dir = song();
    let node = json!({"channel": channel(dir.path(), "Bass")["id"], "kind": "pulse.delay"});
    act(dir.path(), "node.add", node);
    let track = tracks(dir.path())[0]["id"].clone();
    let (_, before) = render(dir.path(), "before.wav", &[]);
    act(dir.path(), "rendering.freeze", json!({"tracks": [track]}));
    let (_, frozen) = render(dir.path(), "frozen.wav", &[]);
    // Up to the end of the shorter file not even the last bits of the tail are missing.
    let length = before.len().min(frozen.len());
    assert_eq!(apart(&before[..length], &frozen[..length]), 0.0);
    let length = act(dir.path(), "media.list", json!({}))["items"][0]["format"]["frames"].clone();
    assert!(length.as_u64().unwrap() as usize * 2 > before.len(), "{length} frames");
}

#[test]
fn nothing_to_hear_is_no_empty_file() {
    let dir = new_project();
    let song = dir.path().join("song");
    let told = run(&song, &["render", "-o", "../nothing.wav"]);
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(!told.status.success() && text.contains("nothing to hear"), "{text}");
    assert!(!dir.path().join("nothing.wav").exists());
    run_json(&song, &["render", "-o", "../silence.wav", "--to", "2s"]);
    let told = run(&song, &["render", "-o", "../nowhere/x.wav", "--to", "2s"]);
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(text.contains("does not exist; make it first"), "{text}");
}

#[test]
fn a_cache_that_cannot_be_opened_is_left_out() {
    let dir = song();
    let (_, before) = render(dir.path(), "before.wav", &["--no-cache"]);
    let cache = dir.path().join("song/.pulse/cache");
    fs::remove_dir_all(&cache).ok();
    fs::write(&cache, "in the way").unwrap();
    let (_, after) = render(dir.path(), "after.wav", &[]);
    assert_eq!(apart(&before, &after), 0.0);
}

#[test]
fn a_cache_that_lost_its_sound_is_said_to_have() {
    let dir = song();
    let (first, before) = render(dir.path(), "before.wav", &[]);
    assert_eq!(first["remade"], 0);
    let segments = dir.path().join("song/.pulse/cache/segments");
    for entry in fs::read_dir(segments).unwrap() {
        fs::write(entry.unwrap().path(), b"").unwrap();
    }
    let (second, after) = render(dir.path(), "after.wav", &[]);
    assert!(second["remade"].as_u64().unwrap() > 0, "{second}");
    assert_eq!(apart(&before, &after), 0.0);
}

#[test]
fn a_difference_is_to_the_last_commit_and_names_what_was_removed() {
    let dir = song();
    let song = dir.path().join("song");
    run_json(&song, &["commit", "-m", "two tracks"]);
    let difference = || run_json(&song, &["diff", "--audio", "../diff"]);
    assert_eq!(difference()["differences"], json!([]), "nothing was edited since");
    let lead = tracks(dir.path()).into_iter().find(|track| track["name"] == "Lead").unwrap();
    act(dir.path(), "track.delete", json!({"tracks": [lead["id"]]}));
    let told = difference();
    let names: Vec<&Value> =
        told["differences"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert!(names.contains(&&json!("Lead")), "{told}");
    assert!(dir.path().join("diff/Lead/a.wav").exists());
}

#[test]
fn who_renders_beside_a_server_is_rendered_for_by_it() {
    let dir = song();
    let song = dir.path().join("song");
    let arguments = |name: &'static str| ["render", "-o", name, "--bits", "32f", "--from", "1.2"];
    let alone = run_json(&song, &arguments("../alone.wav"));
    run_json(&song, &["commit", "-m", "before"]);
    let server = Server::start(dir.path(), &["audio.host=none"]);
    let served = run_json(&song, &arguments("../served.wav"));
    for field in ["pcm_hash", "frames", "rate", "segments"] {
        let (alone, served) = (&alone[field], &served[field]);
        if field == "segments" {
            assert_eq!(served["total"], alone["total"]);
        } else {
            assert_eq!(served, alone, "{field}");
        }
    }
    assert_eq!(served["files"][0]["loudness"], alone["files"][0]["loudness"]);
    let stems = ["render", "--stems", "../stems", "--only", "Bass", "-o", "../with.wav"];
    assert_eq!(run_json(&song, &stems)["files"].as_array().unwrap().len(), 2);
    assert!(dir.path().join("stems/Bass.wav").exists() && dir.path().join("with.wav").exists());
    act(
        dir.path(),
        "channel.setGain",
        json!({"channel": channel(dir.path(), "Bass")["id"], "gainDb": -3}),
    );
    let told = run_json(&song, &["diff", "--audio", "../diff"]);
    assert_eq!(told["differences"][0]["channel"], Value::Null);
    assert!(told["differences"][0]["start_s"].is_f64(), "{told}");
    let refused = run(&song, &["render", "-o", "../x.wav", "--from", "nowhere"]);
    assert!(!refused.status.success());
    // Without the cache means without it there, too.
    let mut wire = server.client("aura");
    let path = dir.path().join("fresh.wav");
    let settings = json!({"noCache": true});
    let job =
        wire.ok("rendering.render", json!({"path": path, "settings": settings}))["job"].clone();
    let report = loop {
        let told = wire.ok("rendering.progress", json!({"job": job}));
        if told["job"]["finished"].is_null() {
            std::thread::sleep(std::time::Duration::from_millis(5));
            continue;
        }
        break told["report"].clone();
    };
    assert_eq!(report["segments"]["hit"], 0, "{report}");
}

#[test]
fn two_renders_at_once_both_come_to_their_end() {
    let dir = song();
    let start = |name: &str| {
        let mut command = pulse();
        command.current_dir(dir.path().join("song")).args(["--json", "render", "-o", name]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [start("../one.wav"), start("../two.wav"), start("../three.wav")];
    let hashes: Vec<Value> = both
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            serde_json::from_slice::<Value>(&output.stdout).unwrap()["pcm_hash"].clone()
        })
        .collect();
    assert!(hashes.iter().all(|hash| *hash == hashes[0] && hash.is_string()), "{hashes:?}");
}
