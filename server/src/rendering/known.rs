//! The media of a render, read only where they are heard anew.
//!
//! A render asks of every clip whether its media are there. What a file holds is
//! known from the last time that somebody read it, as long as nobody has touched it
//! since, so that the answer costs a look at the folder and not a decoder. Who reads
//! checks again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Metadata,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use pulse_engine::{
    buffer::{AudioBuffer, AudioSource, ReadError},
    material::MediaResolver,
};
use pulse_query::source::Source;
use pulse_schemas::hash::Hash;
use pulse_store::cache::CacheStore;

use super::media::{paths, read};

/// A file that was written so lately could be written again and look the same: clocks
/// of file systems are coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// Content, rate, channels, frames, and whether the samples are compressed.
const FACT_BYTES: usize = 32 + 4 + 4 + 8 + 1;

/// What is known of a file without reading it.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Fact {
    content: Hash,
    rate: u32,
    channels: u32,
    frames: u64,
    compressed: bool,
}

impl Fact {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.content.0.to_vec();
        bytes.extend(self.rate.to_le_bytes());
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend(self.frames.to_le_bytes());
        bytes.push(u8::from(self.compressed));
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Fact> {
        let bytes: &[u8; FACT_BYTES] = bytes.try_into().ok()?;
        Some(Fact {
            content: Hash(*bytes.first_chunk()?),
            rate: u32::from_le_bytes(bytes[32..36].try_into().ok()?),
            channels: u32::from_le_bytes(bytes[36..40].try_into().ok()?),
            frames: u64::from_le_bytes(bytes[40..48].try_into().ok()?),
            compressed: bytes[48] != 0,
        })
    }
}

/// Changes with anything that is done to a file.
fn stamp(path: &Path, metadata: &Metadata) -> Option<Hash> {
    let mut hasher = blake3::Hasher::new_derive_key("pulse what a media file holds v1");
    let path = path.as_os_str().as_encoded_bytes();
    hasher.update(&(path.len() as u64).to_le_bytes());
    hasher.update(path);
    hasher.update(&metadata.len().to_le_bytes());
    let written = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    hasher.update(&written.as_nanos().to_le_bytes());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        for number in [metadata.dev(), metadata.ino()] {
            hasher.update(&number.to_le_bytes());
        }
        for number in [metadata.ctime(), metadata.ctime_nsec()] {
            hasher.update(&number.to_le_bytes());
        }
    }
    Some(hasher.finalize().into())
}

/// Whether a file was left alone long enough for its stamp to say something.
fn is_settled(metadata: &Metadata) -> bool {
    let written = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let now = Duration::from_millis(crate::clock::now().0.unsigned_abs());
    written.is_some_and(|at| now.saturating_sub(at) > SETTLED)
}

/// What is opened, and what had been promised wrongly.
type Opened = BTreeMap<Hash, Option<Arc<dyn AudioSource>>>;

pub struct KnownMedia<'a> {
    paths: BTreeMap<Hash, PathBuf>,
    cache: &'a dyn CacheStore,
    opened: Mutex<Opened>,
    failed: Arc<AtomicBool>,
}

impl<'a> KnownMedia<'a> {
    /// Facts are kept in `cache`.
    pub fn of(
        source: &dyn Source,
        project: Option<&Path>,
        cache: &'a dyn CacheStore,
    ) -> KnownMedia<'a> {
        KnownMedia {
            paths: paths(source, project),
            cache,
            opened: Mutex::default(),
            failed: Arc::default(),
        }
    }

    /// What was asked for and is not there.
    pub fn missing(&self) -> BTreeSet<Hash> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().filter(|(_, found)| found.is_none()).map(|(media, _)| *media).collect()
    }

    fn find(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        let path = self.paths.get(&media)?;
        let metadata = std::fs::metadata(path).ok();
        let stamp = metadata.as_ref().and_then(|metadata| stamp(path, metadata));
        let known = stamp.and_then(|stamp| self.cache.get_action(&stamp).ok().flatten());
        if let Some(fact) = known.and_then(|bytes| Fact::of_bytes(&bytes)) {
            if fact.content != media {
                tracing::warn!(path = %path.display(), "the file is not what it was; not played");
                return None;
            }
            return Some(self.file(path, fact, OnceLock::new()));
        }
        let (audio, info) = read(path, media)?;
        let fact = Fact {
            content: media,
            rate: audio.rate(),
            channels: audio.channels() as u32,
            frames: audio.frames() as u64,
            compressed: info.codec != "pcm",
        };
        if let (Some(stamp), Some(metadata)) = (stamp, &metadata)
            && is_settled(metadata)
        {
            // A cache that fails costs time: the file is read again.
            drop(self.cache.put_action(&stamp, &fact.to_bytes(), fact.frames));
        }
        Some(self.file(path, fact, OnceLock::from(Some(audio))))
    }

    fn file(
        &self,
        path: &Path,
        fact: Fact,
        audio: OnceLock<Option<AudioBuffer>>,
    ) -> Arc<dyn AudioSource> {
        let (path, failed) = (path.to_owned(), Arc::clone(&self.failed));
        Arc::new(MediaFile { path, fact, audio, failed })
    }
}

impl MediaResolver for KnownMedia<'_> {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.entry(media).or_insert_with(|| self.find(media)).clone()
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// A file of which everything is known; its samples once somebody wants them.
struct MediaFile {
    path: PathBuf,
    fact: Fact,
    audio: OnceLock<Option<AudioBuffer>>,
    failed: Arc<AtomicBool>,
}

impl MediaFile {
    fn audio(&self) -> Option<&AudioBuffer> {
        let read = || {
            let found = read(&self.path, self.fact.content).map(|(audio, _)| audio);
            if found.is_none() {
                self.failed.store(true, Ordering::Relaxed);
            }
            found
        };
        self.audio.get_or_init(read).as_ref()
    }

    fn is_read(&self) -> bool {
        self.audio.get().is_some_and(Option::is_some)
    }
}

impl AudioSource for MediaFile {
    fn rate(&self) -> u32 {
        self.fact.rate
    }

    fn channels(&self) -> usize {
        self.fact.channels as usize
    }

    fn frames(&self) -> u64 {
        self.fact.frames
    }

    fn read(&self, start: u64, out: &mut [&mut [f32]]) -> usize {
        self.audio.get().and_then(Option::as_ref).map_or(0, |audio| audio.read(start, out))
    }

    fn read_blocking(&self, start: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError> {
        let reason = || format!("{} is not what it was", self.path.display());
        let audio = self.audio().ok_or_else(|| ReadError::Io { frame: start, reason: reason() })?;
        audio.read_blocking(start, out)
    }

    fn is_dear(&self) -> bool {
        self.fact.compressed
    }

    fn resident(&self, _: u64, _: u64) -> bool {
        self.is_read()
    }
}

#[cfg(test)]
mod tests {
    use pulse_engine::file::{Depth, FileKind, FileSpec, create};
    use pulse_store::cache::DiskCache;

    use super::*;

    const RATE: u32 = 48_000;

    /// Writes a tone that was there for an hour; gives its content.
    fn write(path: &Path, period: usize) -> Hash {
        let file = std::fs::File::create(path).unwrap();
        let spec = FileSpec::new(FileKind::Flac, Depth::Int16, RATE, 1);
        let mut writer = create(Box::new(file), spec).unwrap();
        let samples: Vec<f32> = (0..4_800).map(|at| (at % period) as f32 / 1e3).collect();
        writer.write(&[&samples]).unwrap();
        writer.finish().unwrap();
        let hour = Duration::from_secs(3_600);
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(file.metadata().unwrap().modified().unwrap() - hour).unwrap();
        let file = Box::new(std::fs::File::open(path).unwrap());
        pulse_engine::decode::Decoder::open(file, Some("flac")).unwrap().content_id().unwrap()
    }

    fn media<'a>(path: &Path, content: Hash, cache: &'a DiskCache) -> KnownMedia<'a> {
        KnownMedia {
            paths: [(content, path.to_owned())].into(),
            cache,
            opened: Mutex::default(),
            failed: Arc::default(),
        }
    }

    fn is_read(source: &Arc<dyn AudioSource>) -> bool {
        source.resident(0, 1)
    }

    #[test]
    fn a_file_that_nobody_touched_is_not_read_to_know_that_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(&dir.path().join("cache"), 1 << 20).unwrap();
        let path = dir.path().join("take.flac");
        let content = write(&path, 100);
        assert!(is_read(&media(&path, content, &cache).open(content).unwrap()));

        let known = media(&path, content, &cache);
        assert!(known.has(content));
        let source = known.open(content).unwrap();
        assert!(!is_read(&source) && source.is_dear());
        assert_eq!((source.rate(), source.channels(), source.frames()), (RATE, 1, 4_800));
        let mut samples = [0.0; 3];
        assert_eq!(source.read_blocking(7, &mut [&mut samples]).unwrap(), 3);
        assert!(is_read(&source) && (samples[0] - 0.007).abs() < 1e-4 && !known.has_failed());

        // Another file under the same name is not the same media.
        write(&path, 99);
        assert!(!media(&path, content, &cache).has(content));
        std::fs::remove_file(&path).unwrap();
        assert!(!media(&path, content, &cache).has(content));
    }

    #[test]
    fn a_file_that_changed_since_it_was_promised_is_no_silence() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(&dir.path().join("cache"), 1 << 20).unwrap();
        let path = dir.path().join("take.flac");
        let content = write(&path, 100);
        media(&path, content, &cache).open(content).unwrap();
        let known = media(&path, content, &cache);
        let source = known.open(content).unwrap();
        write(&path, 99);
        assert!(source.read_blocking(0, &mut [&mut [0.0; 3]]).is_err());
        assert!(known.has_failed());
    }
}
