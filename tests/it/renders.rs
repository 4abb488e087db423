//! The forms of a render: every file format from one sound, stems with the mix, tails, rates, and what
//! is refused.

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};

use crate::harness::{new_project, pulse, run, run_json};

/// A bass of two notes and a lead of one; the song is over after a second and a half.
pub fn song() -> tempfile::TempDir {
    let dir = new_project();
    let act = |name: &str, payload: Value| {
        run_json(&dir.path().join("song"), &["do", name, &payload.to_string()])
    };
    for (name, notes) in [("Bass", &[(36, 0), (43, 2)][..]), ("Lead", &[(72, 1)])] {
        let payload = json!({"name": name, "kind": "instrument", "nodes": ["pulse.synth"]});
        let track = act("track.create", payload);
        let beat = 45_158_400i64;
        let note =
            |&(pitch, at): &(i64, i64)| json!({"pitch": pitch, "start": at * beat, "length": beat});
        let notes: Vec<Value> = notes.iter().map(note).collect();
        let clip = json!({"lane": track["lane"], "start": 0, "length": 4 * beat, "notes": notes});
        act("clip.create", clip);
    }
    dir
}

fn render(dir: &Path, file: &str, more: &[&str]) -> Value {
    let output = format!("../{file}");
    let mut arguments = vec!["render", "-o", &output, "--no-cache"];
    arguments.extend(more);
    run_json(&dir.join("song"), &arguments)
}

/// Bits per sample and the samples, 0 dBFS being 1.
pub fn wav(path: &Path) -> (u16, Vec<f64>) {
    let file = fs::read(path).unwrap();
    let number = |at: usize, bytes: usize| {
        file[at..at + bytes].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (mut at, mut bits) = (12, 0u16);
    while &file[at..at + 4] != b"data" {
        if &file[at..at + 4] == b"fmt " {
            bits = number(at + 8 + 14, 2) as u16;
        }
        let size = number(at + 4, 4);
        at += 8 + (size + size % 2) as usize;
    }
    let (start, size) = (at + 8, number(at + 4, 4) as usize);
    let width = usize::from(bits / 8);
    let sample = |at: usize| match bits {
        32 => f64::from(f32::from_bits(number(at, 4) as u32)),
        bits => {
            let shift = 64 - u32::from(bits);
            ((number(at, width) << shift) as i64 >> shift) as f64 / 2f64.powi(i32::from(bits) - 1)
        }
    };
    (bits, (start..start + size).step_by(width).map(sample).collect())
}

pub fn largest(samples: impl Iterator<Item = f64>) -> f64 {
    samples.fold(0.0, |most, sample| most.max(sample.abs()))
}

#[test]
fn every_format_is_of_one_sound() {
    let dir = song();
    let forms = ["32f.wav", "24.wav", "16.wav", "24.flac", "16.flac"];
    let reports = forms.map(|form| {
        let bits = form.split('.').next().unwrap();
        render(dir.path(), form, &["--bits", bits])
    });
    for report in &reports {
        assert_eq!(report["pcm_hash"], reports[0]["pcm_hash"]);
        assert_eq!(report["files"][0]["loudness"], reports[0]["files"][0]["loudness"]);
    }
    let (bits, whole) = wav(&dir.path().join("32f.wav"));
    assert_eq!((bits, whole.len() as u64), (32, 2 * reports[0]["frames"].as_u64().unwrap()));
    for name in ["24.wav", "16.wav"] {
        let (bits, reduced) = wav(&dir.path().join(name));
        let step = 0.5f64.powi(i32::from(bits) - 1);
        assert_eq!(reduced.len(), whole.len());
        let off = largest(whole.iter().zip(&reduced).map(|(a, b)| a - b));
        // Half a step of rounding, and up to one of dither: more than half is there.
        assert!(off <= 1.51 * step && off > 0.6 * step, "{name}: {} steps", off / step);
    }
    for name in ["24.flac", "16.flac"] {
        let file = fs::read(dir.path().join(name)).unwrap();
        assert_eq!(&file[..4], b"fLaC", "{name}");
        assert!(file.len() < whole.len() * 2, "{name} has {} bytes", file.len());
    }
}

#[test]
fn stems_are_rendered_with_the_mix_and_sum_to_it() {
    let dir = song();
    let alone = render(dir.path(), "mix.wav", &["--bits", "32f"]);
    let both = render(dir.path(), "mix.wav", &["--bits", "32f", "--stems", "../stems"]);
    assert_eq!(both["pcm_hash"], alone["pcm_hash"]);
    // One pass: what the stems are made of is what the mix is made of.
    assert_eq!(both["segments"], alone["segments"]);
    let (_, mix) = wav(&dir.path().join("mix.wav"));
    let stems = ["Bass", "Lead"].map(|name| wav(&dir.path().join(format!("stems/{name}.wav"))).1);
    assert!(stems.iter().all(|stem| largest(stem.iter().copied()) > 0.01));
    // A file ends where its own sound does.
    let at = |stem: usize, at: usize| stems[stem].get(at).copied().unwrap_or(0.0);
    let rest = mix.iter().enumerate().map(|(i, mix)| mix - (at(0, i) + at(1, i)));
    assert!(largest(rest) < 1e-6);
}

#[test]
fn a_tail_is_waited_for_until_it_is_silent_and_no_longer_than_allowed() {
    let dir = song();
    let frames = |more: &[&str]| render(dir.path(), "tail.wav", more)["frames"].as_i64().unwrap();
    let (none, short, all) =
        (frames(&["--tail", "0"]), frames(&["--tail", "0.1"]), frames(&["--bits", "32f"]));
    // Two notes of a beat at 120 bpm end after three beats.
    assert_eq!((none, short), (72_000, 76_800));
    assert!(all > short && all < 72_000 + 480_000, "{all} frames");
    let (_, samples) = wav(&dir.path().join("tail.wav"));
    let end = largest(samples[samples.len() - 200..].iter().copied());
    assert!(end < 0.001, "it is cut off at {end}");
    let range = frames(&["--from", "0.25s", "--to", "0.75s"]);
    assert_eq!(range, 24_000, "a range is kept to the frame");
}

#[test]
fn a_song_is_as_loud_and_as_long_at_every_rate() {
    let dir = song();
    let told = |rate: &str| {
        let report = render(dir.path(), "rate.wav", &["--rate", rate, "--tail", "0"]);
        let loudness = report["files"][0]["loudness"]["integrated_lufs"].as_f64().unwrap();
        (report["frames"].as_i64().unwrap(), loudness)
    };
    let (_, expected) = told("48000");
    for (rate, frames) in [("44100", 66_150), ("96000", 144_000), ("192000", 288_000)] {
        let (found, loudness) = told(rate);
        assert_eq!(found, frames, "{rate} Hz");
        assert!((loudness - expected).abs() < 0.3, "{rate} Hz: {loudness} LUFS, not {expected}");
    }
}

#[test]
fn what_no_file_can_be_is_refused_and_leaves_none() {
    let dir = song();
    let check = |file: &str, more: &[&str], code: i32, words: &str| {
        let output = format!("../{file}");
        let mut arguments = vec!["render", "-o", &output];
        arguments.extend(more);
        let told = run(&dir.path().join("song"), &arguments);
        let text = String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), Some(code), "{more:?}: {text}");
        assert!(text.contains(words), "{more:?}: {text}");
        assert!(!dir.path().join(file).exists(), "{more:?} left a file");
    };
    check("x.wav", &["--rate", "0"], 1, "0 Hz is not a rate");
    check("x.wav", &["--rate", "7999"], 1, "choose one of 8000");
    check("x.wav", &["--rate", "4000000000"], 1, "4000000000 Hz");
    check("x.wav", &["--bits", "13"], 2, "16, 24 or 32f");
    check("x.flac", &["--bits", "32f"], 1, "choose 16 or 24 bits");
    check("x.mp3", &[], 1, "ends in .wav or .flac");
    check("x.wav", &["--from", "5.1.1", "--to", "2.1.1"], 1, "the range to render is empty");
}

/// The most memory that `pulse render` took for so many seconds of the song, in KiB, and the
/// frames that came out.
fn peak_of_render(dir: &Path, seconds: u32) -> (u64, u64) {
    let to = format!("{seconds}s");
    let mut child = pulse()
        .current_dir(dir.join("song"))
        .args(["--json", "render", "--no-cache", "--from", "0s", "--to", &to])
        .args(["--bits", "16", "-o", "../long.wav"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let found = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(found.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(3));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    (peak, report["frames"].as_u64().unwrap())
}

#[test]
fn a_long_render_takes_no_more_memory_than_a_short_one() {
    let dir = song();
    let (short, _) = peak_of_render(dir.path(), 20);
    let (long, frames) = peak_of_render(dir.path(), 320);
    // One more copy of the sound in memory would be 123 MB.
    assert!(frames >= 320 * 48_000 && short > 0, "{frames} frames, {short} KiB");
    assert!(long < short + 30_000, "{long} KiB for long, {short} KiB for short");
}
