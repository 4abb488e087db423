//! Folders that last as long as who made them.
//!
//! Nobody tidies up after a process that was killed, and a render may have
//! left gigabytes. So each folder holds a lock that ends with its process, and
//! whoever makes the next one removes those that nobody holds.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

const NAME: &str = "pulse-scratch-";
const LOCK: &str = "lock";

/// Between making a folder and locking it a moment passes, in which it looks
/// like one that was left behind.
const YOUNG: Duration = Duration::from_secs(60);

/// A folder of one's own, gone when this is.
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    pub fn new() -> io::Result<Scratch> {
        Scratch::below(&std::env::temp_dir(), YOUNG)
    }

    fn below(parent: &Path, young: Duration) -> io::Result<Scratch> {
        sweep(parent, young);
        let path = unused(parent)?;
        let lock = File::create(path.join(LOCK))?;
        lock.try_lock().map_err(io::Error::from)?;
        Ok(Scratch { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, folder = %self.path.display(), "a temporary cache stays behind");
        }
    }
}

fn unused(parent: &Path) -> io::Result<PathBuf> {
    use std::hash::{BuildHasher, RandomState};
    loop {
        let unique = RandomState::new().hash_one(std::process::id());
        let path = parent.join(format!("{NAME}{unique:016x}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
}

/// Removes what nobody holds any more. What can't be looked at is left alone:
/// it may be another user's.
fn sweep(parent: &Path, young: Duration) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(NAME) && abandoned(&entry, young) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn abandoned(entry: &fs::DirEntry, young: Duration) -> bool {
    let age = entry.metadata().and_then(|about| about.modified()).map(|at| at.elapsed());
    if !matches!(age, Ok(Ok(age)) if age >= young) {
        return false;
    }
    match File::open(entry.path().join(LOCK)) {
        Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_who_made_it() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::below(parent.path(), Duration::ZERO).unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("segment"), "pcm").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_held_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join("pulse-scratch-0123456789abcdef");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let older = parent.path().join("pulse-scratch-0000000000000000");
        fs::create_dir(&older).unwrap();
        let foreign = parent.path().join("somebody-elses");
        fs::create_dir(&foreign).unwrap();

        let young = Scratch::below(parent.path(), YOUNG).unwrap();
        assert!(left.exists(), "it may have been made this moment");
        let second = Scratch::below(parent.path(), Duration::ZERO).unwrap();
        assert!(!left.exists() && !older.exists());
        assert!(young.path().exists() && second.path().exists() && foreign.exists());
    }
}
