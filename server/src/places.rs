//! Where the files of media lie: where their items say, or where Pulse has moved them since.
//!
//! A move is an edit like any other: undo puts back what the item said, at once and whatever
//! drive is away, and does not carry the file back. Older commits, other branches and parked
//! drafts name the old place for ever, and there is one file. So every move is noted beside the
//! store before its original goes, and whoever looks for a file that is not where its item says
//! follows the notes to where it lies now. Notes are no part of a version and are never taken
//! back: they say where a file went, and that stays true.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use pulse_schemas::{
    entity::{BlobRef, MediaItem, StorageBackend},
    hash::Hash,
};
use pulse_store::project::{MEDIA_DIR, STORE_DIR};
use serde::{Deserialize, Serialize};

/// One JSON object on each line, oldest first.
const NOTES: &str = "moved-media.jsonl";

/// One move of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Relative to the project's folder where it lies in there: the folder may move, too.
    pub from: String,
    pub to: String,
    /// The file's hash, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Hash>,
}

impl Move {
    pub fn new(folder: &Path, from: &Path, to: &Path, file: Option<&BlobRef>) -> Move {
        let file = file.map(|file| file.hash);
        Move { from: told(folder, from), to: told(folder, to), file }
    }

    fn concerns(&self, item: &MediaItem) -> bool {
        match (&self.file, &item.file) {
            (Some(moved), Some(known)) => *moved == known.hash,
            _ => true,
        }
    }
}

fn told(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned()
}

/// Writes down durably what was moved. Until that is done the originals have to stay.
pub fn note(folder: &Path, moves: &[Move]) -> io::Result<()> {
    let path = folder.join(STORE_DIR).join(NOTES);
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
    let mut lines = match ends_whole(&mut file)? {
        true => Vec::new(),
        // Half a line of somebody who was killed spoils no other.
        false => b"\n".to_vec(),
    };
    for one in moves {
        serde_json::to_writer(&mut lines, one)?;
        lines.push(b'\n');
    }
    file.write_all(&lines)?;
    file.sync_all()?;
    if is_new {
        File::open(folder.join(STORE_DIR))?.sync_all()?;
    }
    Ok(())
}

fn ends_whole(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// What became of each place that a file was moved away from, newest first.
type Notes = BTreeMap<String, Vec<Move>>;

fn read(folder: &Path) -> Notes {
    let path = folder.join(STORE_DIR).join(NOTES);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Notes::new(),
        Err(error) => {
            tracing::warn!(%error, "where files were moved to can't be read: {}", path.display());
            return Notes::new();
        }
    };
    let mut notes = Notes::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).rev() {
        match serde_json::from_slice::<Move>(line) {
            Ok(one) => notes.entry(one.from.clone()).or_default().push(one),
            Err(error) => tracing::debug!(%error, "a note of a moved file is damaged"),
        }
    }
    notes
}

/// The places of one project's files, as long as one question lasts.
pub struct Places<'a> {
    folder: Option<&'a Path>,
    notes: OnceCell<Notes>,
}

impl<'a> Places<'a> {
    pub fn of(folder: Option<&'a Path>) -> Places<'a> {
        Places { folder, notes: OnceCell::new() }
    }

    fn notes(&self) -> &Notes {
        self.notes.get_or_init(|| self.folder.map(read).unwrap_or_default())
    }

    /// Where an item says that its file lies on this machine.
    pub fn named(&self, item: &MediaItem) -> Option<PathBuf> {
        let path = Path::new(&item.storage.path);
        match item.storage.backend {
            StorageBackend::Project => Some(self.folder?.join(MEDIA_DIR).join(path)),
            _ => path.is_absolute().then(|| path.to_owned()),
        }
    }

    /// Where its file is to be looked for: there, or where it was moved from there. Only a
    /// place that something was moved away from costs a look at the disk.
    pub fn path(&self, item: &MediaItem) -> Option<PathBuf> {
        let named = self.named(item)?;
        let Some(folder) = self.folder else { return Some(named) };
        let place = told(folder, &named);
        if !self.notes().contains_key(&place) || fits(&named, item) {
            return Some(named);
        }
        Some(self.follow(folder, place, item).unwrap_or(named))
    }

    /// The path of an item whose file is there.
    pub fn present(&self, item: &MediaItem) -> Option<PathBuf> {
        self.path(item).filter(|path| path.is_file())
    }

    /// Whether a file was moved away from here: older versions look for it under this name, so
    /// that it is nobody else's.
    pub fn is_left(&self, path: &Path) -> bool {
        self.folder.is_some_and(|folder| self.notes().contains_key(&told(folder, path)))
    }

    fn follow(&self, folder: &Path, place: String, item: &MediaItem) -> Option<PathBuf> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![place]);
        while let Some(place) = open.pop() {
            let moves = self.notes().get(&place).into_iter().flatten();
            for one in moves.filter(|one| one.concerns(item)) {
                let path = folder.join(&one.to);
                if fits(&path, item) {
                    return Some(path);
                }
                if seen.insert(one.to.clone()) {
                    open.push(one.to.clone());
                }
            }
        }
        None
    }
}

/// Whether there is a file that may be the item's: a cheap look.
fn fits(path: &Path, item: &MediaItem) -> bool {
    let known = item.file.as_ref().map(|file| file.bytes);
    let is_fit =
        |data: std::fs::Metadata| data.is_file() && known.is_none_or(|known| known == data.len());
    std::fs::metadata(path).is_ok_and(is_fit)
}

#[cfg(test)]
mod tests {
    use pulse_schemas::entity::MediaStorage;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pulse-places-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join(STORE_DIR)).unwrap();
        std::fs::create_dir_all(path.join(MEDIA_DIR)).unwrap();
        path
    }

    fn put(path: &Path, content: &str) -> BlobRef {
        std::fs::write(path, content).unwrap();
        BlobRef { hash: blake3::hash(content.as_bytes()).into(), bytes: content.len() as u64 }
    }

    fn item(path: &str, file: &BlobRef) -> MediaItem {
        let storage = MediaStorage { path: path.into(), ..MediaStorage::default() };
        MediaItem { storage, file: Some(file.clone()), ..MediaItem::default() }
    }

    #[test]
    fn a_file_is_followed_over_all_its_moves_and_round_in_circles() {
        let folder = folder("follow");
        let at = |name: &str| folder.join(MEDIA_DIR).join(name);
        let file = put(&at("d"), "sound");
        for (from, to) in [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d")] {
            note(&folder, &[Move::new(&folder, &at(from), &at(to), Some(&file))]).unwrap();
        }
        let check = |name: &str, file: &BlobRef, expect: &str| {
            assert_eq!(Places::of(Some(&folder)).path(&item(name, file)), Some(at(expect)));
        };
        for name in ["a", "b", "c", "d"] {
            check(name, &file, "d");
        }
        check("never-moved", &file, "never-moved");
        let other = BlobRef { hash: blake3::hash(b"other").into(), bytes: 5 };
        check("a", &other, "a");
        put(&at("b"), "another");
        check("b", &file, "d");
        std::fs::remove_file(at("d")).unwrap();
        check("a", &file, "a");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn half_a_note_spoils_no_other_and_the_folder_may_move() {
        let folder = folder("torn");
        let file = put(&folder.join("Media/new"), "sound");
        let notes = folder.join(STORE_DIR).join(NOTES);
        std::fs::write(&notes, "{\"from\":\"Media/x\",\"to").unwrap();
        let one = Move::new(&folder, &folder.join("Media/old"), &folder.join("Media/new"), None);
        note(&folder, std::slice::from_ref(&one)).unwrap();
        let elsewhere = folder.with_extension("elsewhere");
        let _ = std::fs::remove_dir_all(&elsewhere);
        std::fs::rename(&folder, &elsewhere).unwrap();
        let places = Places::of(Some(&elsewhere));
        assert_eq!(places.present(&item("old", &file)), Some(elsewhere.join("Media/new")));
        assert!(places.is_left(&elsewhere.join("Media/old")));
        assert!(!places.is_left(&elsewhere.join("Media/x")));
        std::fs::remove_dir_all(&elsewhere).unwrap();
    }
}
