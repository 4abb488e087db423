//! The file beneath the journal, behind a trait so that tests can cut the power.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

pub trait JournalFile: Send {
    fn read_all(&mut self) -> io::Result<Vec<u8>>;
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Returns once everything written so far survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// A journal file of the operating system.
pub struct DiskFile {
    file: File,
}

impl DiskFile {
    pub fn open(path: &Path) -> io::Result<DiskFile> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(DiskFile { file })
    }

    pub fn open_read_only(path: &Path) -> io::Result<DiskFile> {
        Ok(DiskFile { file: File::open(path)? })
    }
}

impl JournalFile for DiskFile {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.file.metadata()?.len() as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A journal that rests in memory, for stores which do.
#[derive(Default)]
pub struct MemoryFile {
    bytes: Vec<u8>,
}

impl MemoryFile {
    pub fn holding(bytes: Vec<u8>) -> MemoryFile {
        MemoryFile { bytes }
    }
}

impl JournalFile for MemoryFile {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes.clone())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset as usize + bytes.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.bytes.resize(len as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
