//! Reading files ahead of the command that needs them, on a thread of its own.
//!
//! A command of media is an edit like any other and runs on the model thread; but
//! a file may be long, or on a disk that sleeps. So whoever serves clients has the
//! files read here first, under a job that tells its progress and can be
//! cancelled, and runs the command when it is known what is in them. The command
//! finds its [`Facts`] and reads nothing. Without them it reads for itself, which
//! is right for a process that has nothing else to do.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use pulse_schemas::{
    command::{
        Command, diagnostics,
        media::{self, CopyMode, Import, Relink, Relocate, Waveform},
    },
    entity::{BlobRef, MediaItem, StorageBackend},
};
use pulse_store::{project::MEDIA_DIR, view::View};
use serde_json::Value;

use super::{files, find, is_lost, known_in, peaks, present};
use crate::{places::Places, refusal::Refusal, rendering::Watch, session::Session};

/// What was found out about files, as long as they stay as they were.
#[derive(Debug, Default)]
pub struct Facts {
    probes: BTreeMap<PathBuf, (Stamp, files::Probe)>,
    hashes: BTreeMap<PathBuf, (Stamp, BlobRef)>,
    /// What lies below some folders.
    walked: Option<Walk>,
    /// Copies that wait for their name, by what they are copies of.
    staged: BTreeMap<PathBuf, PathBuf>,
    touched: Touched,
}

/// Files that an edit made, and those which it moved away from.
#[derive(Debug, Default)]
pub struct Touched {
    pub made: Vec<PathBuf>,
    /// The originals go once the edit is certain and it is noted where they went.
    pub moved: Vec<Moved>,
}

/// A file that has a new place.
#[derive(Debug)]
pub struct Moved {
    pub from: PathBuf,
    pub to: PathBuf,
    pub file: Option<BlobRef>,
}

/// Folders, and every file below them with its length.
type Walk = (Vec<PathBuf>, Vec<(PathBuf, u64)>);

type Work = Box<dyn FnOnce(&Watch) -> Result<Ahead, Refusal> + Send>;

/// Length and time of a file.
type Stamp = (u64, Option<SystemTime>);

fn stamp(path: &Path) -> Option<Stamp> {
    let data = fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()))
}

impl Facts {
    /// What a file holds.
    pub fn probe(&mut self, path: &Path, watch: &Watch) -> Result<files::Probe, Refusal> {
        let now = stamp(path);
        if let Some((then, probe)) = self.probes.get(path)
            && now == Some(*then)
        {
            return Ok(probe.clone());
        }
        let probe = files::probe(path, watch)?;
        if let Some(now) = now {
            self.probes.insert(path.to_owned(), (now, probe.clone()));
        }
        Ok(probe)
    }

    /// Hash and length of a file.
    pub fn hash(&mut self, path: &Path, watch: &Watch) -> std::io::Result<BlobRef> {
        let now = stamp(path);
        if let Some((then, hash)) = self.hashes.get(path)
            && now == Some(*then)
        {
            return Ok(hash.clone());
        }
        let hash = files::hash_file(path, watch)?;
        if let Some(now) = now {
            self.hashes.insert(path.to_owned(), (now, hash.clone()));
        }
        Ok(hash)
    }

    /// Every file below some folders.
    pub fn walk(&mut self, roots: &[PathBuf]) -> Vec<(PathBuf, u64)> {
        if let Some((known, files)) = &self.walked
            && known == roots
        {
            return files.clone();
        }
        let found = files::walk(roots);
        self.walked = Some((roots.to_vec(), found.clone()));
        found
    }

    /// Copies a file, or gives the copy that waits its name.
    pub fn copy(&mut self, from: &Path, to: &Path) -> Result<(), Refusal> {
        match self.staged.remove(from) {
            Some(staged) if staged.parent() == to.parent() => files::settle(&staged, to),
            _ => files::copy(from, to),
        }?;
        self.touched.made.push(to.to_owned());
        Ok(())
    }

    /// Moves a file, across drives too. The original stays until the edit that says where the
    /// file is now is durable: should it fail, the project still names the original.
    pub fn move_file(
        &mut self,
        from: &Path,
        to: &Path,
        file: Option<&BlobRef>,
    ) -> Result<(), Refusal> {
        self.copy(from, to)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        self.touched.moved.push(Moved { from, to, file: file.cloned() });
        Ok(())
    }

    /// What the present edit did to files.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    fn stage(&mut self, from: &Path, folder: &Path, watch: &Watch) -> Result<(), Refusal> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let staged = folder.join(format!(".{}-{number}.part", std::process::id()));
        self.staged.insert(from.to_owned(), staged.clone());
        files::copy_to_part(from, &staged, watch)
    }
}

impl Drop for Facts {
    /// A copy that nobody gave a name is nobody's.
    fn drop(&mut self) {
        for staged in self.staged.values() {
            if let Err(error) = fs::remove_file(staged) {
                tracing::debug!(%error, "a copy was not there to be removed");
            }
        }
    }
}

/// What reading ahead came to.
#[derive(Debug)]
pub enum Ahead {
    /// The command may run now.
    Facts(Facts),
    /// It was a question, and this is the answer.
    Reply(Value),
}

/// Work for a thread of its own.
pub struct Task {
    /// What the job is called.
    pub label: String,
    work: Work,
}

impl Task {
    /// Reads, when its turn comes.
    pub fn run(self, watch: &Watch) -> Result<Ahead, Refusal> {
        let _turn = Turn::take();
        (self.work)(watch)
    }
}

/// Reading from more files at once makes no disk faster.
const AT_ONCE: usize = 2;

static READING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

struct Turn;

impl Turn {
    fn take() -> Turn {
        let mut reading = READING.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *reading >= AT_ONCE {
            reading = READING.1.wait(reading).unwrap_or_else(PoisonError::into_inner);
        }
        *reading += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *READING.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        READING.1.notify_one();
    }
}

/// What is to be read before a command runs; none where it reads no file.
pub fn task(session: &Session, command: &Command) -> Option<Task> {
    let (view, folder) = (session.view().ok()?, super::folder(session).map(Path::to_owned));
    let reads = Reads { view, media: folder.as_ref().map(|folder| folder.join(MEDIA_DIR)), folder };
    if let Command::Media(media::Command::Waveform(payload)) = command {
        let payload = payload.clone();
        let work = move |watch: &Watch| Ok(Ahead::Reply(reads.waveform(&payload, watch)?));
        return Some(Task { label: "Draw a waveform".into(), work: Box::new(work) });
    }
    if let Command::Diagnostics(diagnostics::Command::Check(payload)) = command
        && payload.media
    {
        let work = move |watch: &Watch| {
            let folder = reads.folder.as_deref();
            Ok(Ahead::Reply(super::super::diagnostics::check(&reads.view, folder, true, watch)?))
        };
        return Some(Task { label: "Check the project's files".into(), work: Box::new(work) });
    }
    let (label, commands) = match command {
        Command::Media(command) => (label(command)?, vec![command.clone()]),
        Command::Project(pulse_schemas::command::project::Command::Batch(batch)) => {
            ("Read files".to_owned(), of_batch(&batch.commands))
        }
        _ => return None,
    };
    let alone = !matches!(command, Command::Project(_));
    let commands: Vec<_> = commands.into_iter().filter(|it| label_of(it).is_some()).collect();
    if commands.is_empty() {
        return None;
    }
    let work = move |watch: &Watch| {
        let mut facts = Facts::default();
        for command in &commands {
            let read = reads.of(command, &mut facts, watch);
            // In a batch the command itself says where it failed.
            if alone || watch.is_cancelled() {
                read?;
            }
        }
        Ok(Ahead::Facts(facts))
    };
    Some(Task { label, work: Box::new(work) })
}

fn label(command: &media::Command) -> Option<String> {
    label_of(command).map(str::to_owned)
}

fn label_of(command: &media::Command) -> Option<&'static str> {
    match command {
        media::Command::Import(_) => Some("Import a file"),
        media::Command::Register(_) | media::Command::Finalise(_) => Some("Read a file"),
        media::Command::Replace(_) => Some("Replace a file"),
        media::Command::Relink(_) => Some("Look for lost files"),
        media::Command::Relocate(_) => Some("Relocate a file"),
        _ => None,
    }
}

fn of_batch(calls: &[pulse_schemas::command::Call]) -> Vec<media::Command> {
    let of_media = calls.iter().filter(|call| call.domain == "media");
    of_media
        .filter_map(|call| {
            let decoded = pulse_schemas::command::decode(&call.domain, &call.name, &call.payload);
            match decoded.ok()?.value {
                Command::Media(command) => Some(command),
                _ => None,
            }
        })
        .collect()
}

/// What the thread needs to know of the project.
struct Reads {
    view: View,
    folder: Option<PathBuf>,
    media: Option<PathBuf>,
}

impl Reads {
    fn of(
        &self,
        command: &media::Command,
        facts: &mut Facts,
        watch: &Watch,
    ) -> Result<(), Refusal> {
        match command {
            media::Command::Import(payload) => self.import(payload, facts, watch),
            media::Command::Register(payload) => {
                let Some(media) = &self.media else { return Ok(()) };
                facts.probe(&media.join(files::relative(&payload.path)?), watch).map(|_| ())
            }
            media::Command::Finalise(payload) => {
                let item = super::item(&self.view, payload.media)?;
                let Ok(path) = present(&item, self.folder.as_deref()) else { return Ok(()) };
                facts.probe(&path, watch).map(|_| ())
            }
            media::Command::Replace(payload) => {
                let path = files::absolute(&payload.path)?;
                facts.probe(&path, watch)?;
                let item = super::item(&self.view, payload.media)?;
                match (&self.media, item.storage.backend) {
                    (Some(media), StorageBackend::Project) => facts.stage(&path, media, watch),
                    _ => Ok(()),
                }
            }
            media::Command::Relink(payload) => self.relink(payload, facts, watch),
            media::Command::Relocate(payload) => self.relocate(payload, facts, watch),
            _ => Ok(()),
        }
    }

    fn import(&self, payload: &Import, facts: &mut Facts, watch: &Watch) -> Result<(), Refusal> {
        let path = files::absolute(&payload.path)?;
        let probe = facts.probe(&path, watch)?;
        let known = known_in(self.view.all::<MediaItem>()?, &probe).is_some();
        match &self.media {
            Some(media) if payload.mode == CopyMode::Copy && !known => {
                facts.stage(&path, media, watch)
            }
            _ => Ok(()),
        }
    }

    fn relocate(
        &self,
        payload: &Relocate,
        facts: &mut Facts,
        watch: &Watch,
    ) -> Result<(), Refusal> {
        let item = super::item(&self.view, payload.media)?;
        let from = present(&item, self.folder.as_deref())?;
        let to = payload.path.as_deref().map(files::absolute).transpose()?;
        let inside = self.media.as_ref().is_some_and(|media| from.starts_with(media));
        let folder = match (&to, payload.mode) {
            (Some(to), CopyMode::Reference) => return facts.probe(to, watch).map(|_| ()),
            (Some(to), _) if *to == from => None,
            (Some(to), _) => to.parent(),
            (None, CopyMode::Copy | CopyMode::Move) if !inside => self.media.as_deref(),
            (None, _) => None,
        };
        folder.map_or(Ok(()), |folder| facts.stage(&from, folder, watch))
    }

    fn relink(&self, payload: &Relink, facts: &mut Facts, watch: &Watch) -> Result<(), Refusal> {
        let roots = payload.roots.iter().map(|root| files::absolute(root));
        let all = facts.walk(&roots.collect::<Result<Vec<_>, _>>()?);
        let places = Places::of(self.folder.as_deref());
        for item in self.view.all::<MediaItem>()? {
            if !is_lost(&item, &payload.media, &places) {
                continue;
            }
            if let Some((path, _, false)) = find(&item, &all, payload.loose, facts, watch) {
                facts.probe(&path, watch)?;
            }
            files::go_on(watch)?;
        }
        Ok(())
    }

    fn waveform(&self, payload: &Waveform, watch: &Watch) -> Result<Value, Refusal> {
        peaks(&self.view, self.folder.as_deref(), payload, watch)
    }
}
