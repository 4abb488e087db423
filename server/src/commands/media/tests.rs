use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::commands::testing::{Project, id};

/// A folder of its own that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("pulse-media-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// A mono WAV of 16 bits whose samples rise from `first`.
    fn wav(&self, name: &str, first: i16, frames: u32) -> PathBuf {
        let data: Vec<u8> = (0..frames).flat_map(|at| (first + at as i16).to_le_bytes()).collect();
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + data.len() as u32).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16u32.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(48_000u32.to_le_bytes());
        bytes.extend(96_000u32.to_le_bytes());
        bytes.extend(2u16.to_le_bytes());
        bytes.extend(16u16.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        self.write(name, &bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn project(&self) -> Project {
        Project::on_disk(&self.0.join("song"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn import(project: &mut Project, path: &Path, mode: &str) -> Value {
    project.ok("media.import", json!({"path": path, "mode": mode}))
}

#[test]
fn a_file_is_copied_read_and_known_again() {
    let folder = Folder::new("import");
    let mut project = folder.project();
    let made = import(&mut project, &folder.wav("kick.wav", 0, 100), "copy");
    assert_eq!(made["item"]["format"]["frames"], 100);
    assert_eq!(made["item"]["storage"]["path"], "kick.wav");
    assert!(folder.0.join("song/Media/kick.wav").is_file());
    let again = import(&mut project, &folder.wav("other.wav", 0, 100), "copy");
    assert_eq!((&again["duplicate"], &again["media"]), (&json!(true), &made["media"]));
    let other = import(&mut project, &folder.wav("sub/kick.wav", 5, 100), "copy");
    assert_eq!(other["item"]["storage"]["path"], "kick-2.wav");
    let list = project.ok("media.list", json!({"filter": {"text": "KICK"}}));
    assert_eq!((&list["total"], &list["items"][0]["availability"]), (&json!(2), &json!("local")));
}

#[test]
fn the_original_of_a_moved_file_stays_until_the_edit_stands() {
    let folder = Folder::new("moved");
    let mut project = folder.project();
    let kick = folder.wav("kick.wav", 0, 100);
    let media = import(&mut project, &kick, "reference")["media"].clone();
    let relocate = json!({
        "domain": "media", "name": "relocate", "payload": {"media": media, "mode": "move"}
    });
    let wrong = json!({
        "domain": "track", "name": "rename", "payload": {"track": id("trk", 9), "name": "No"}
    });
    let batch = json!({"commands": [relocate, wrong]});
    project.refused("project.batch", batch, "batch.failed");
    assert!(kick.is_file(), "the project names it still");
    assert!(!folder.0.join("song/Media/kick.wav").exists(), "nothing of the batch was done");
    let found = project.ok("media.list", json!({}))["items"][0].clone();
    assert_eq!(found["storage"]["path"], json!(kick));
    project.ok("track.create", json!({}));
    assert!(kick.is_file(), "the next edit is another one");
    project.ok("media.relocate", json!({"media": media, "mode": "move"}));
    assert!(!kick.exists() && folder.0.join("song/Media/kick.wav").is_file());
}

#[test]
fn an_undone_move_leaves_the_file_where_it_is_and_the_item_finds_it() {
    let folder = Folder::new("undone");
    let mut project = folder.project();
    let kick = folder.wav("kick.wav", 0, 100);
    let media = import(&mut project, &kick, "reference")["media"].clone();
    let moved = folder.0.join("song/Media/kick.wav");
    let drive = folder.0.join("drive/kick.wav");
    let check = |project: &mut Project, named: &Path, lies: &Path| {
        let details = project.ok("media.details", json!({"media": media}));
        let stored = details["item"]["storage"]["path"].as_str().unwrap().to_owned();
        assert!(named.ends_with(&stored), "{stored} is not {}", named.display());
        assert_eq!((&details["availability"], &details["path"]), (&json!("local"), &json!(lies)));
        assert_eq!(project.ok("media.refresh", json!({}))["missing"], json!([]));
        project.ok("media.waveform", json!({"media": media, "points": 2}));
    };
    project.ok("media.relocate", json!({"media": media, "mode": "move"}));
    check(&mut project, &moved, &moved);
    project.ok("history.undo", json!({}));
    check(&mut project, &kick, &moved);
    assert!(!kick.exists(), "undo carries no file about");
    project.ok("history.redo", json!({}));
    check(&mut project, &moved, &moved);

    // On from where it is after an undo, and all the way back.
    project.ok("media.relocate", json!({"media": media, "path": drive, "mode": "move"}));
    check(&mut project, &drive, &drive);
    project.ok("history.undo", json!({"count": 2}));
    check(&mut project, &kick, &drive);
    let other = import(&mut project, &folder.wav("sub/kick.wav", 5, 100), "copy");
    assert_eq!(other["item"]["storage"]["path"], "kick-2.wav", "older versions name kick.wav");
    project.ok("history.undo", json!({}));
    project.ok("media.relocate", json!({"media": media, "path": drive, "mode": "move"}));
    check(&mut project, &drive, &drive);
    project.ok("media.relocate", json!({"media": media, "mode": "move"}));
    let again = folder.0.join("song/Media/kick-3.wav");
    check(&mut project, &again, &again);
    project.ok("history.undo", json!({}));
    check(&mut project, &drive, &again);
    project.ok("media.relocate", json!({"media": media, "mode": "copy"}));
    check(&mut project, &again, &again);
}

#[test]
fn an_undone_discard_finds_its_take_in_the_trash() {
    let folder = Folder::new("undiscard");
    let mut project = folder.project();
    let take = project.ok("media.reserve", json!({"name": "Take"}));
    let path = PathBuf::from(take["path"].as_str().unwrap());
    std::fs::copy(folder.wav("take.wav", 0, 50), &path).unwrap();
    project.ok("media.discard", json!({"media": take["media"]}));
    assert!(!path.exists());
    project.ok("history.undo", json!({}));
    let done = project.ok("media.finalise", json!({"media": take["media"]}));
    assert_eq!(done["item"]["format"]["frames"], 50);
    let details = project.ok("media.details", json!({"media": take["media"]}));
    assert_eq!(details["path"], json!(folder.0.join("song/Trash/Take.wav")));
}

#[test]
fn what_is_no_media_is_refused() {
    let folder = Folder::new("bad");
    let mut project = folder.project();
    let mut refuse = |path: &str, code| {
        project.refused("media.import", json!({"path": path}), code);
    };
    refuse("kick.wav", "path.forbidden");
    refuse("/tmp/../etc/passwd", "path.forbidden");
    refuse(folder.0.join("none.wav").to_str().unwrap(), "media.unreadable");
    let text = folder.write("readme.txt", b"no sound in here at all");
    refuse(text.to_str().unwrap(), "media.format");
    project.refused("media.register", json!({"path": "../kick.wav"}), "path.forbidden");
    project.refused("media.finalise", json!({"media": id("med", 9)}), "entity.notFound");
}

#[test]
fn a_reserved_item_is_finished_or_discarded_once() {
    let folder = Folder::new("reserve");
    let mut project = folder.project();
    let reserve = |project: &mut Project| {
        project.ok("media.reserve", json!({"name": "Take/1", "origin": "recorded"}))
    };
    let (first, second) = (reserve(&mut project), reserve(&mut project));
    assert_ne!(first["path"], second["path"]);
    project.refused("media.finalise", json!({"media": first["media"]}), "media.offline");
    let path = PathBuf::from(first["path"].as_str().unwrap());
    std::fs::copy(folder.wav("take.wav", 0, 50), &path).unwrap();
    let done = project.ok("media.finalise", json!({"media": first["media"]}));
    assert_eq!(done["item"]["lifecycle"], "final");
    project.refused("media.discard", json!({"media": first["media"]}), "media.lifecycle");
    std::fs::write(second["path"].as_str().unwrap(), b"half").unwrap();
    project.ok("media.discard", json!({"media": second["media"]}));
    assert!(!Path::new(second["path"].as_str().unwrap()).exists());
    assert!(folder.0.join("song/Trash").read_dir().unwrap().next().is_some());
}

#[test]
fn a_file_that_is_away_is_missed_found_again_and_never_forgotten() {
    let folder = Folder::new("relink");
    let mut project = folder.project();
    let path = folder.wav("drive/loop.wav", 7, 64);
    let media = import(&mut project, &path, "reference")["media"].clone();
    project.ok("media.update", json!({"media": media, "attributes": {"bpm": "128"}}));
    std::fs::create_dir_all(folder.0.join("moved")).unwrap();
    std::fs::rename(&path, folder.0.join("moved/renamed.wav")).unwrap();
    assert_eq!(project.ok("media.refresh", json!({}))["missing"], json!([media]));
    let details = project.ok("media.details", json!({"media": media}));
    assert_eq!((&details["availability"], &details["path"]), (&json!("missing"), &json!(null)));
    project.refused("media.waveform", json!({"media": media, "points": 4}), "media.offline");
    let roots = json!({"roots": [folder.0.join("moved")]});
    let found = project.ok("media.relink", roots)["found"].clone();
    assert_eq!((&found[0]["media"], &found[0]["sameContent"]), (&media, &json!(true)));
    assert_eq!(project.ok("media.refresh", json!({}))["missing"], json!([]));
    let details = project.ok("media.details", json!({"media": media}));
    assert_eq!(details["item"]["attributes"]["bpm"], "128");
}

#[test]
fn a_reference_becomes_a_copy_and_other_content_replaces_it() {
    let folder = Folder::new("relocate");
    let mut project = folder.project();
    let path = folder.wav("loop.wav", 7, 64);
    let media = import(&mut project, &path, "reference")["media"].clone();
    let moved = project.ok("media.relocate", json!({"media": media, "mode": "copy"}));
    assert_eq!(moved["item"]["storage"]["backend"], "project");
    let other = folder.wav("new.wav", 9, 64);
    let wrong = json!({"media": media, "path": other, "mode": "reference"});
    project.refused("media.relocate", wrong, "media.format");
    let replaced = project.ok("media.replace", json!({"media": media, "path": other}));
    assert_eq!(replaced["sameContent"], json!(false));
    let gone = project.ok("media.remove", json!({"media": [media]}));
    assert_eq!(gone["deleted"], json!([media]));
    assert!(folder.0.join("song/Media/new.wav").is_file(), "files stay");
}

#[test]
fn peaks_bound_the_samples_of_their_stretch() {
    let folder = Folder::new("peaks");
    let mut project = folder.project();
    let media = import(&mut project, &folder.wav("ramp.wav", 0, 100), "copy")["media"].clone();
    let peaks = project.ok("media.waveform", json!({"media": media, "points": 2}))["peaks"].clone();
    let sample = |value: f64| json!((value / 32_768.0) as f32);
    assert_eq!(peaks, json!([sample(0.0), sample(49.0), sample(50.0), sample(99.0)]));
    let behind = json!({"media": media, "start": 100, "points": 2});
    project.refused("media.waveform", behind, "range.invalid");
}
