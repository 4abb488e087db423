//! What a blob store asks of a file system, so that a test can cut its power.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// A file that is being written.
pub trait Sink: Write + Send {
    /// Makes the content durable; the name is another matter.
    fn sync(&self) -> io::Result<()>;
}

/// Folders and files below one root.
pub trait Files: Send + Sync {
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes the names inside a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>>;
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;
    /// Makes the content of a finished file durable.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// The length of a file; none where there is no file.
    fn length(&self, path: &Path) -> Option<u64>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn entries(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The file system of this machine.
pub struct RealFiles;

impl Sink for File {
    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Files for RealFiles {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(File::create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn length(&self, path: &Path) -> Option<u64> {
        fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }
}
