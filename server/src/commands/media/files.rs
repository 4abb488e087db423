//! Files of media: what is in them, where they go.
//!
//! A file is copied under a name that nothing has, by way of a temporary one, so
//! that no name ever stands for half a file and no file is ever overwritten.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use pulse_engine::decode::{self, Container, Decoder, SampleKind};
use pulse_schemas::{
    entity::{AudioFormat, BlobRef, MediaKind},
    error::ErrorCode,
    hash::Hash,
};

use crate::{refusal::Refusal, rendering::Watch};

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub kind: MediaKind,
    pub format: AudioFormat,
    /// Of what is heard; of the file itself where nothing is decoded.
    pub content: Hash,
    pub file: BlobRef,
}

/// Extensions that are taken for films; the container isn't looked into.
const VIDEO: &[&str] = &["mp4", "mov", "mkv", "webm", "avi", "m4v"];

pub fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    let text = format!("{}: {error}", path.display());
    Refusal::new(ErrorCode::MediaUnreadable, text)
        .with("path", path.display().to_string())
        .with("reason", error.to_string())
}

/// A path that a client gave: absolute and without steps upwards.
pub fn absolute(text: &str) -> Result<PathBuf, Refusal> {
    let path = PathBuf::from(text);
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    if path.is_absolute() && !climbs {
        return Ok(path);
    }
    let text = format!("{text:?} is no absolute path");
    Err(Refusal::new(ErrorCode::PathForbidden, text).with("path", "payload.path"))
}

/// A path inside the project's folder of media.
pub fn relative(text: &str) -> Result<PathBuf, Refusal> {
    let path = PathBuf::from(text);
    let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if inside && path.file_name().is_some() {
        return Ok(path);
    }
    let text = format!("{text:?} does not lie inside the project's Media folder");
    Err(Refusal::new(ErrorCode::PathForbidden, text).with("path", "payload.path"))
}

/// Reads a file whole: its hash, its kind, its content.
pub fn probe(path: &Path, watch: &Watch) -> Result<Probe, Refusal> {
    let data = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !data.is_file() {
        // A pipe has no end, and a folder no beginning.
        return Err(unreadable(path, &io::Error::other("it is no plain file")));
    }
    let file = hash_file(path, watch).map_err(|error| refused(path, &error, watch))?;
    let extension = extension(path);
    let known = |kind, container: &str| Probe {
        kind,
        format: AudioFormat { container: container.to_owned(), ..AudioFormat::default() },
        content: file.hash,
        file: file.clone(),
    };
    if starts_with(path, b"MThd").map_err(|error| unreadable(path, &error))? {
        return Ok(known(MediaKind::Midi, "midi"));
    }
    match audio(path, watch) {
        Ok((format, content)) => Ok(Probe { kind: MediaKind::Audio, format, content, file }),
        Err(error) if watch.is_cancelled() => Err(error),
        Err(_) if VIDEO.contains(&extension.as_str()) => Ok(known(MediaKind::Video, &extension)),
        Err(error) => Err(error),
    }
}

fn extension(path: &Path) -> String {
    path.extension().and_then(|it| it.to_str()).unwrap_or_default().to_lowercase()
}

fn starts_with(path: &Path, magic: &[u8; 4]) -> io::Result<bool> {
    let mut found = [0; 4];
    let mut file = File::open(path)?;
    match file.read_exact(&mut found) {
        Ok(()) => Ok(found == *magic),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that tells how much of it was read, and ends where nobody wants it any more.
struct Watched {
    file: File,
    watch: Watch,
}

impl Watched {
    fn open(path: &Path, watch: &Watch) -> io::Result<Watched> {
        let file = File::open(path)?;
        watch.expect_more(file.metadata()?.len());
        Ok(Watched { file, watch: watch.clone() })
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.file.read(buffer)?;
        self.watch.advance(count as u64);
        Ok(count)
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// An error, once the work is cancelled.
pub fn go_on(watch: &Watch) -> Result<(), Refusal> {
    match watch.is_cancelled() {
        false => Ok(()),
        true => Err(Refusal::new(ErrorCode::JobFinished, "reading the files was cancelled")),
    }
}

fn refused(path: &Path, error: &io::Error, watch: &Watch) -> Refusal {
    go_on(watch).err().unwrap_or_else(|| unreadable(path, error))
}

/// BLAKE3 and length of a file, in bounded memory.
pub fn hash_file(path: &Path, watch: &Watch) -> io::Result<BlobRef> {
    let mut reader = BufReader::with_capacity(1 << 16, Watched::open(path, watch)?);
    let mut hasher = blake3::Hasher::new();
    let bytes = io::copy(&mut reader, &mut hasher)?;
    Ok(BlobRef { hash: hasher.finalize().into(), bytes })
}

pub fn decoder(path: &Path, watch: &Watch) -> Result<Decoder, Refusal> {
    let file = Watched::open(path, watch).map_err(|error| unreadable(path, &error))?;
    Decoder::open(Box::new(BufReader::new(file)), Some(&extension(path))).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        let code = match error {
            decode::OpenError::Io { .. } => ErrorCode::MediaUnreadable,
            _ => ErrorCode::MediaFormat,
        };
        Refusal::new(code, text).with("path", path.display().to_string())
    })
}

pub fn undecodable(path: &Path, error: &decode::DecodeError) -> Refusal {
    let text = format!("{}: {error}", path.display());
    Refusal::new(ErrorCode::MediaUnreadable, text).with("path", path.display().to_string())
}

fn audio(path: &Path, watch: &Watch) -> Result<(AudioFormat, Hash), Refusal> {
    let mut decoder = decoder(path, watch).and_then(|decoder| go_on(watch).map(|()| decoder))?;
    let content = decoder.content_id();
    go_on(watch)?;
    let content = content.map_err(|error| undecodable(path, &error))?;
    let info = *decoder.info();
    let truncated = decoder.findings().truncated;
    let (bits, float) = match info.samples {
        SampleKind::Integer { bits } => (u16::from(bits), false),
        SampleKind::Float { bits } => (u16::from(bits), true),
        SampleKind::Lossy => (0, false),
    };
    let format = AudioFormat {
        container: container(info.container).to_owned(),
        sample_rate: info.rate,
        channels: u16::try_from(info.channels).unwrap_or(u16::MAX),
        bits,
        float,
        frames: truncated.map_or(info.frames, |it| it.readable.min(info.frames)),
    };
    Ok((format, content))
}

fn container(container: Container) -> &'static str {
    match container {
        Container::Wav => "wav",
        Container::Aiff => "aiff",
        Container::Flac => "flac",
        Container::Mp3 => "mp3",
        Container::Ogg => "ogg",
        Container::Adts => "aac",
        Container::Mp4 => "m4a",
    }
}

/// `kick.wav`, or `kick-2.wav` where that is taken: a path in `folder` that
/// neither a file nor `taken` has.
pub fn free_path(folder: &Path, name: &Path, taken: impl Fn(&Path) -> bool) -> PathBuf {
    let stem = name.file_stem().and_then(|it| it.to_str()).unwrap_or("media");
    let extension = name.extension().and_then(|it| it.to_str());
    let candidate = |number: u32| {
        let stem = if number == 1 { stem.to_owned() } else { format!("{stem}-{number}") };
        PathBuf::from(extension.map_or(stem.clone(), |extension| format!("{stem}.{extension}")))
    };
    let free = |path: &PathBuf| !taken(path) && !folder.join(path).exists();
    (1..).map(candidate).find(free).unwrap_or_else(|| PathBuf::from(stem))
}

/// A name that every file system takes.
pub fn file_name(name: &str) -> String {
    let usable = |letter: char| {
        let plain = letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_' | '.');
        if plain { letter } else { '_' }
    };
    let text: String = name.chars().take(100).map(usable).collect();
    let text = text.trim().trim_start_matches('.').to_owned();
    if text.is_empty() { "media".to_owned() } else { text }
}

/// Copies a file to a name that nothing has, durably and whole.
pub fn copy(from: &Path, to: &Path) -> Result<(), Refusal> {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = to.with_file_name(name);
    copy_to_part(from, &part, &Watch::default())?;
    settle(&part, to)
}

/// Writes the copy of a file durably under a passing name.
pub fn copy_to_part(from: &Path, part: &Path, watch: &Watch) -> Result<(), Refusal> {
    let write = || -> io::Result<()> {
        if let Some(folder) = part.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut copy = File::create(part)?;
        io::copy(&mut Watched::open(from, watch)?, &mut copy)?;
        copy.sync_all()
    };
    write().map_err(|error| match go_on(watch) {
        Err(cancelled) => cancelled,
        Ok(()) => not_copied(from, part, &error),
    })
}

/// Gives a copy its name, which nothing may have.
pub fn settle(part: &Path, to: &Path) -> Result<(), Refusal> {
    // Fails where somebody else made the file meanwhile.
    let done = match fs::hard_link(part, to) {
        Ok(()) => fs::remove_file(part),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => take_name(part, to),
    };
    done.map_err(|error| not_copied(part, to, &error))
}

/// The same on drives without links (exFAT, some of networks): an empty file holds the name
/// until the whole one takes its place.
fn take_name(part: &Path, to: &Path) -> io::Result<()> {
    File::create_new(to)?;
    fs::rename(part, to).inspect_err(|_| drop(fs::remove_file(to)))
}

fn not_copied(from: &Path, to: &Path, error: &io::Error) -> Refusal {
    let text = format!("{} can't be copied to {}: {error}", from.display(), to.display());
    let full = error.kind() == io::ErrorKind::StorageFull;
    let code = if full { ErrorCode::IoFull } else { ErrorCode::IoFailed };
    Refusal::new(code, text).with("reason", error.to_string())
}

/// Removes the original of what was moved, or a copy that nobody needs now.
pub fn remove(from: &Path) -> io::Result<()> {
    match fs::remove_file(from) {
        // One file may have been moved twice at once.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Every file below some folders with its length, in one order everywhere.
/// Links are not followed: they may lead in circles.
pub fn walk(roots: &[PathBuf]) -> Vec<(PathBuf, u64)> {
    let (mut found, mut open) = (Vec::new(), roots.to_vec());
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file()
                && let Ok(data) = entry.metadata()
            {
                found.push((entry.path(), data.len()));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_gets_its_name_on_drives_without_links_and_takes_nobody_elses() {
        let folder = std::env::temp_dir().join(format!("pulse-names-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for name in [take_name, |part: &Path, to: &Path| {
            settle(part, to).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))
        }] {
            let (part, to) = (folder.join("a.part"), folder.join("a.wav"));
            fs::write(&part, "sound").unwrap();
            name(&part, &to).unwrap();
            assert_eq!((fs::read(&to).unwrap(), part.exists()), (b"sound".to_vec(), false));
            fs::write(&part, "other").unwrap();
            assert_eq!(name(&part, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!((fs::read(&to).unwrap(), part.exists()), (b"sound".to_vec(), true));
            let lost = folder.join("no.part");
            assert!(name(&lost, &folder.join("b.wav")).is_err());
            assert!(!folder.join("b.wav").exists(), "no name for nothing");
            fs::remove_file(&to).unwrap();
            fs::remove_file(&part).unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
