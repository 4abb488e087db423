//! The lock file: one writer per store, and a name for whoever holds it.
//!
//! The lock itself is the operating system's, so that a killed process leaves none behind. What
//! the file says is for people and for clients, who find the holder's socket there.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Who holds a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    pub pid: u32,
    pub host: String,
    /// Where the holder takes commands, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(
        "{}: the project is open in process {} on {}{}; close it there or connect to it",
        file.display(), holder.pid, holder.host, socket_text(holder)
    )]
    Held { file: PathBuf, holder: Holder },
    #[error("{}: the project is open in another process; close it there", file.display())]
    HeldByUnknown { file: PathBuf },
    #[error("{}: locking failed: {source}; {}", file.display(), crate::backend::hint(source))]
    Io { file: PathBuf, source: io::Error },
}

impl LockError {
    /// Nobody holds the lock, but it can't be written.
    pub fn is_about_writing(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let LockError::Io { source, .. } = self else { return false };
        matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem)
    }
}

fn socket_text(holder: &Holder) -> String {
    holder.socket.as_ref().map_or(String::new(), |path| format!(" (socket {})", path.display()))
}

/// Held while the store is open; released when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    pub fn acquire(path: &Path, holder: &Holder) -> Result<Lock, LockError> {
        let failed = |source| LockError::Io { file: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(path)),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut lock = Lock { path: path.to_owned(), file };
        lock.describe(holder)?;
        Ok(lock)
    }

    /// For who only looks: where nothing may be written, there is no writer to keep out, and a
    /// lock file that can be read tells whether somebody holds it all the same.
    pub fn acquire_to_look(path: &Path, holder: &Holder) -> Result<Option<Lock>, LockError> {
        match Lock::acquire(path, holder) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.is_about_writing() => {
                let taken = File::open(path).is_ok_and(|file| {
                    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
                });
                if taken { Err(held(path)) } else { Ok(None) }
            }
            Err(error) => Err(error),
        }
    }

    /// Writes who holds the lock, for instance once a socket is known.
    pub fn describe(&mut self, holder: &Holder) -> Result<(), LockError> {
        let text = serde_json::to_vec(holder).unwrap_or_default();
        let file = &mut self.file;
        (file.rewind())
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.write_all(&text))
            .map_err(|source| LockError::Io { file: self.path.clone(), source })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file stays: deleting it would let two processes lock two different files.
        drop(self.file.set_len(0));
        drop(self.file.unlock());
    }
}

fn held(path: &Path) -> LockError {
    let file = path.to_owned();
    match holder(path) {
        Some(holder) => LockError::Held { file, holder },
        None => LockError::HeldByUnknown { file },
    }
}

/// Who holds the store, if anyone does.
pub fn holder_of(path: &Path) -> Option<Holder> {
    let file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Ok(()) => None,
        Err(_) => holder(path),
    }
}

fn holder(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

impl Holder {
    pub fn this_process(socket: Option<PathBuf>) -> Holder {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = match host.trim() {
            "" => std::env::var("HOSTNAME").unwrap_or_else(|_| "this machine".into()),
            host => host.to_owned(),
        };
        Holder { pid: std::process::id(), host, socket }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_learns_who_the_first_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Holder { pid: 7, host: "studio".into(), socket: Some("/run/p.sock".into()) };
        let lock = Lock::acquire(&path, &first).unwrap();
        let text = Lock::acquire(&path, &first).unwrap_err().to_string();
        assert!(text.contains("open in process 7 on studio (socket /run/p.sock)"), "{text}");
        assert_eq!(holder_of(&path), Some(first.clone()));
        drop(lock);
        assert_eq!(holder_of(&path), None);
        Lock::acquire(&path, &first).unwrap();
    }

    #[test]
    fn what_a_dead_holder_left_behind_locks_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, br#"{"pid":1,"host":"gone"}"#).unwrap();
        Lock::acquire(&path, &Holder::this_process(None)).unwrap();
    }
}
