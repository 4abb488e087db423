//! Append-only files that hold cached content, many objects each.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::CacheError;

/// A segment takes no more objects once it is this long.
const SEGMENT_BYTES: u64 = 64 << 20;

pub struct Segments {
    dir: PathBuf,
    open: BTreeMap<u32, Segment>,
}

struct Segment {
    file: Arc<File>,
    length: u64,
    live: u64,
    dirty: bool,
}

/// Where an object lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub segment: u32,
    pub offset: u64,
    pub length: u64,
}

impl Segments {
    pub fn open(dir: &Path) -> Result<Segments, CacheError> {
        let failed = |source| failed(dir, "opening", source);
        fs::create_dir_all(dir).map_err(failed)?;
        let mut open = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let Some(number) = number {
                open.insert(number, Segment::open(&path)?);
            }
        }
        Ok(Segments { dir: dir.to_owned(), open })
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{number:08}.seg"))
    }

    /// Tells whether the bytes can be there; counts them as live if so.
    pub fn claim(&mut self, place: Place) -> bool {
        match self.open.get_mut(&place.segment) {
            Some(segment) if place.offset.saturating_add(place.length) <= segment.length => {
                segment.live += place.length;
                true
            }
            _ => false,
        }
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<Place, CacheError> {
        let number = self.segment_for(bytes.len() as u64)?;
        let path = self.path(number);
        let Some(segment) = self.open.get_mut(&number) else {
            return Err(failed(&path, "finding", io::ErrorKind::NotFound.into()));
        };
        let (offset, length) = (segment.length, bytes.len() as u64);
        segment.file.write_all_at(bytes, offset).map_err(|e| failed(&path, "writing", e))?;
        segment.length += length;
        segment.live += length;
        segment.dirty = true;
        Ok(Place { segment: number, offset, length })
    }

    fn segment_for(&mut self, length: u64) -> Result<u32, CacheError> {
        let last = self.open.last_key_value();
        match last {
            Some((number, last)) if last.length == 0 || last.length + length <= SEGMENT_BYTES => {
                Ok(*number)
            }
            _ => {
                let number = last.map_or(0, |(number, _)| number + 1);
                self.open.insert(number, Segment::open(&self.path(number))?);
                Ok(number)
            }
        }
    }

    /// The file behind a place: reading it needs no lock, and outlives its deletion.
    pub fn file(&self, place: Place) -> Option<Arc<File>> {
        self.open.get(&place.segment).map(|segment| segment.file.clone())
    }

    pub fn release(&mut self, place: Place) {
        if let Some(segment) = self.open.get_mut(&place.segment) {
            segment.live = segment.live.saturating_sub(place.length);
        }
    }

    /// Full segments of which less than half is live: worth moving.
    pub fn sparse(&self) -> Vec<u32> {
        let last = self.open.last_key_value().map(|(number, _)| *number);
        let sparse = |(number, segment): (&u32, &Segment)| {
            let old = Some(*number) != last && segment.live * 2 < segment.length;
            old.then_some(*number)
        };
        self.open.iter().filter_map(sparse).collect()
    }

    pub fn remove(&mut self, number: u32) -> Result<(), CacheError> {
        self.open.remove(&number);
        let path = self.path(number);
        fs::remove_file(&path).map_err(|source| failed(&path, "removing", source))
    }

    pub fn remove_all(&mut self) -> Result<(), CacheError> {
        let numbers: Vec<_> = self.open.keys().copied().collect();
        numbers.into_iter().try_for_each(|number| self.remove(number))
    }

    pub fn sync(&mut self) -> Result<(), CacheError> {
        for (number, segment) in &mut self.open {
            if std::mem::take(&mut segment.dirty) {
                let path = self.dir.join(format!("{number:08}.seg"));
                segment.file.sync_data().map_err(|source| failed(&path, "syncing", source))?;
            }
        }
        Ok(())
    }

    pub fn file_bytes(&self) -> u64 {
        self.open.values().map(|segment| segment.length).sum()
    }
}

impl Segment {
    fn open(path: &Path) -> Result<Segment, CacheError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|source| failed(path, "opening", source))?;
        let length = file.metadata().map_err(|source| failed(path, "measuring", source))?.len();
        Ok(Segment { file: Arc::new(file), length, live: 0, dirty: false })
    }
}

pub fn read(file: &File, place: Place) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; place.length as usize];
    file.read_exact_at(&mut bytes, place.offset)?;
    Ok(bytes)
}

pub fn failed(file: &Path, action: &'static str, source: io::Error) -> CacheError {
    CacheError::Io { file: file.to_owned(), action, source }
}
