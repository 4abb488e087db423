//! Large values and media by content hash: one file per object, in a folder per first hash byte.
//!
//! An object appears under its name only when it is whole and durable, so what is there is
//! complete; reading checks it against its name. That a blob is missing is a state of the
//! project (a drive that is not plugged in), not a failure of the store.

mod files;

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use pulse_schemas::hash::Hash;

use self::files::{Files, RealFiles, Sink};
use crate::backend::hint;

const OBJECTS: &str = "objects";
const INCOMING: &str = "incoming";
const BUFFER: usize = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("{}: {action} failed: {source}; {}", file.display(), hint(source))]
    Io { file: PathBuf, action: &'static str, source: io::Error },
    #[error(
        "{}: the content of blob {expected:?} is damaged (it hashes to {found:?}); \
         put back the original or remove the file", file.display()
    )]
    Corrupt { file: PathBuf, expected: Hash, found: Hash },
}

/// What the store knows about a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobState {
    Present {
        bytes: u64,
    },
    Missing,
    /// The file is there, its content is not what its name says.
    Corrupt,
}

/// The blobs below one folder.
pub struct BlobStore {
    files: Box<dyn Files>,
    root: PathBuf,
    incoming: AtomicU64,
}

impl BlobStore {
    /// Uses `root`, creating it if needed; what an interrupted write left is removed. One process
    /// at a time, which the lock of the store around it sees to.
    pub fn open(root: &Path) -> Result<BlobStore, BlobError> {
        BlobStore::open_on(root, Box::new(RealFiles))
    }

    pub(crate) fn open_on(root: &Path, files: Box<dyn Files>) -> Result<BlobStore, BlobError> {
        let incoming = root.join(INCOMING);
        for folder in [&incoming, &root.join(OBJECTS)] {
            files.make_folder(folder).map_err(|source| failed(folder, "creating", source))?;
        }
        let left =
            files.entries(&incoming).map_err(|source| failed(&incoming, "listing", source))?;
        for file in left {
            files.remove(&file).map_err(|source| failed(&file, "clearing", source))?;
        }
        let store = BlobStore { files, root: root.to_owned(), incoming: AtomicU64::new(0) };
        // A blob is as durable as the folders above it.
        let above = root.parent().filter(|above| *above != Path::new(""));
        for folder in [Some(root), above].into_iter().flatten() {
            store.files.sync_folder(folder).map_err(|it| failed(folder, "syncing", it))?;
        }
        Ok(store)
    }

    pub fn path(&self, hash: &Hash) -> PathBuf {
        let hex = hash.hex();
        self.root.join(OBJECTS).join(&hex[..2]).join(&hex[2..])
    }

    /// A sink for new content, whose name is known when all of it is written.
    pub fn writer(&self) -> Result<BlobWriter<'_>, BlobError> {
        let number = self.incoming.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(INCOMING).join(number.to_string());
        let file = self.files.create(&path).map_err(|source| failed(&path, "creating", source))?;
        Ok(BlobWriter { store: self, path, file, hasher: blake3::Hasher::new(), bytes: 0 })
    }

    pub fn put(&self, bytes: &[u8]) -> Result<Hash, BlobError> {
        let mut writer = self.writer()?;
        writer.write_all(bytes).map_err(|source| failed(&writer.path, "writing", source))?;
        writer.finish()
    }

    /// Whether the blob is there; its content is not read.
    pub fn state(&self, hash: &Hash) -> BlobState {
        match self.files.length(&self.path(hash)) {
            Some(bytes) => BlobState::Present { bytes },
            None => BlobState::Missing,
        }
    }

    /// Reads all of the blob to say whether it is what its name says.
    pub fn verify(&self, hash: &Hash) -> Result<BlobState, BlobError> {
        let Some(mut reader) = self.reader(hash)? else { return Ok(BlobState::Missing) };
        match io::copy(&mut reader, &mut io::sink()) {
            Ok(bytes) => Ok(BlobState::Present { bytes }),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(BlobState::Corrupt),
            Err(source) => Err(failed(&self.path(hash), "reading", source)),
        }
    }

    /// Streams a blob. The last read fails with `InvalidData` if the content was not right.
    pub fn reader(&self, hash: &Hash) -> Result<Option<BlobReader>, BlobError> {
        let path = self.path(hash);
        match self.files.open(&path) {
            Ok(file) => {
                Ok(Some(BlobReader { file, expected: *hash, hasher: blake3::Hasher::new(), path }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed(&path, "opening", source)),
        }
    }

    /// The whole content, verified.
    pub fn read(&self, hash: &Hash) -> Result<Option<Vec<u8>>, BlobError> {
        let path = self.path(hash);
        let mut bytes = Vec::new();
        let read = self.files.open(&path).and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(&path, "reading", source)),
        }
        let found = Hash::of(&bytes);
        if found != *hash {
            return Err(BlobError::Corrupt { file: path, expected: *hash, found });
        }
        Ok(Some(bytes))
    }

    /// The hashes of all blobs, in order.
    pub fn list(&self) -> Result<Vec<Hash>, BlobError> {
        let mut hashes = Vec::new();
        for folder in self.entries(&self.root.join(OBJECTS))? {
            for file in self.entries(&folder)? {
                hashes.extend(hash_of_path(&folder, &file));
            }
        }
        hashes.sort_unstable();
        Ok(hashes)
    }

    pub fn remove(&self, hash: &Hash) -> Result<(), BlobError> {
        let path = self.path(hash);
        match self.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(&path, "removing", error))
            }
            _ => Ok(()),
        }
    }

    /// Removes every blob which is not live; says how many.
    pub fn gc(&self, live: impl Fn(&Hash) -> bool) -> Result<u64, BlobError> {
        let mut removed = 0;
        for hash in self.list()?.into_iter().filter(|hash| !live(hash)) {
            self.remove(&hash)?;
            removed += 1;
        }
        Ok(removed)
    }

    fn entries(&self, folder: &Path) -> Result<Vec<PathBuf>, BlobError> {
        self.files.entries(folder).map_err(|source| failed(folder, "listing", source))
    }

    /// Makes durable what lies under `target`: its content, its name, and its folder's name.
    fn settle(&self, target: &Path) -> io::Result<()> {
        self.files.sync_folder(target.parent().unwrap_or(target))?;
        self.files.sync_folder(&self.root.join(OBJECTS))
    }
}

fn failed(file: &Path, action: &'static str, source: io::Error) -> BlobError {
    BlobError::Io { file: file.to_owned(), action, source }
}

fn hash_of_path(folder: &Path, file: &Path) -> Option<Hash> {
    let (first, rest) = (folder.file_name()?.to_str()?, file.file_name()?.to_str()?);
    format!("b3:{first}{rest}").parse().ok()
}

/// Takes content in; dropped unfinished, it leaves nothing behind.
pub struct BlobWriter<'s> {
    store: &'s BlobStore,
    path: PathBuf,
    file: Box<dyn Sink>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl BlobWriter<'_> {
    /// Makes the blob durable under its hash. Content that is there already is not written again.
    pub fn finish(self) -> Result<Hash, BlobError> {
        let hash = Hash::from(self.hasher.finalize());
        let target = self.store.path(&hash);
        let files = &self.store.files;
        let stored = if self.store.verify(&hash)? == (BlobState::Present { bytes: self.bytes }) {
            // Whoever wrote it may have ended before it was durable.
            files.sync_file(&target)
        } else {
            let folder = target.parent().unwrap_or(&target);
            files
                .make_folder(folder)
                .and_then(|()| self.file.sync())
                .and_then(|()| files.rename(&self.path, &target))
        };
        let settled = stored.and_then(|()| self.store.settle(&target));
        settled.map_err(|source| failed(&target, "storing", source))?;
        Ok(hash)
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        drop(self.store.files.remove(&self.path));
    }
}

/// Gives content out and checks it while it passes.
pub struct BlobReader {
    file: Box<dyn Read + Send>,
    path: PathBuf,
    expected: Hash,
    hasher: blake3::Hasher,
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let limit = out.len().min(BUFFER);
        let read = self.file.read(&mut out[..limit])?;
        self.hasher.update(&out[..read]);
        if read == 0 && limit > 0 {
            let found = Hash::from(self.hasher.finalize());
            if found != self.expected {
                let (file, expected) = (self.path.clone(), self.expected);
                let error = BlobError::Corrupt { file, expected, found };
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod power_cut_tests;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_blob_streams_in_and_out_under_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let content: Vec<u8> = (0..300_000u32).map(|index| (index * 7) as u8).collect();
        let mut writer = store.writer().unwrap();
        content.chunks(1_000).for_each(|piece| writer.write_all(piece).unwrap());
        let hash = writer.finish().unwrap();
        assert_eq!(hash, Hash::of(&content));
        let mut read = Vec::new();
        store.reader(&hash).unwrap().unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
        assert_eq!(store.list().unwrap(), [hash]);
        assert_eq!(store.put(&content).unwrap(), hash);
        assert_eq!(fs::read_dir(dir.path().join(INCOMING)).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_blob_is_a_state_and_a_damaged_one_is_never_returned() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        assert_eq!(store.state(&Hash::ZERO), BlobState::Missing);
        assert!(store.read(&Hash::ZERO).unwrap().is_none());
        let hash = store.put(b"a take").unwrap();
        fs::write(store.path(&hash), b"b take").unwrap();
        assert_eq!(store.verify(&hash).unwrap(), BlobState::Corrupt);
        assert!(matches!(store.read(&hash), Err(BlobError::Corrupt { .. })));
        let mut reader = store.reader(&hash).unwrap().unwrap();
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        store.put(b"a take").unwrap();
        assert_eq!(store.verify(&hash).unwrap(), BlobState::Present { bytes: 6 });
    }

    #[test]
    fn what_nobody_names_is_removed_and_an_aborted_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let (kept, dropped) = (store.put(b"kept").unwrap(), store.put(b"dropped").unwrap());
        store.writer().unwrap().write_all(b"half").unwrap();
        assert_eq!(store.gc(|hash| *hash == kept).unwrap(), 1);
        assert_eq!(store.state(&dropped), BlobState::Missing);
        assert_eq!(store.list().unwrap(), [kept]);
        assert_eq!(fs::read_dir(dir.path().join(INCOMING)).unwrap().count(), 0);
    }
}
