//! The thread which owns the journal file and writes checkpoints.
//!
//! It takes its work in order. Rows that wait together are written together and share one
//! fdatasync (group commit). When a checkpoint's turn comes, every row it covers is already in
//! the journal and none behind it is, so the journal starts over empty once the checkpoint is
//! durable: no second file, no rotation.

use std::{
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use pulse_schemas::hash::Hash;

use super::{
    HEADER,
    file::JournalFile,
    frame,
    row::{Change, Row},
};
use crate::{
    backend::{BackendError, BackingStore, Batch},
    tree::{Snapshot, TreeStore, lock},
};

/// How many messages may wait; a faster caller waits for the disk.
const QUEUE: usize = 4096;
/// A group is cut here, so that a flood of large rows is acknowledged step by step.
const GROUP_BYTES: usize = 1 << 20;

/// Called once the row is durable, or will never be.
pub type OnDurable = Box<dyn FnOnce(Result<(), BackendError>) + Send>;
type Errand = Box<dyn FnOnce(&dyn BackingStore) -> Result<(), BackendError> + Send>;

enum Message {
    Append { row: Box<Row>, on_durable: Option<OnDurable> },
    Checkpoint(Box<Checkpoint>),
    Errand(Errand),
}

/// A batch for the backend and what it means once it is durable.
pub struct Checkpoint {
    pub batch: Batch,
    /// Every row up to this one is covered.
    pub seq: u64,
    pub root: Hash,
    /// Roots whose nodes must not be forgotten before they are written.
    pub pins: Vec<Snapshot>,
}

/// What is durable, shared between the keeper and everyone who waits for it.
#[derive(Default)]
pub struct Progress {
    state: Mutex<ProgressState>,
    changed: Condvar,
}

#[derive(Default)]
struct ProgressState {
    /// All rows up to this one are in the journal or in a checkpoint.
    durable: u64,
    /// All rows up to this one are in the backend.
    checkpointed: u64,
    checkpoints: u64,
    errands_done: u64,
    failure: Option<BackendError>,
}

impl Progress {
    pub fn durable(&self) -> u64 {
        lock(&self.state).durable
    }

    pub fn checkpointed(&self) -> u64 {
        lock(&self.state).checkpointed
    }

    /// How many checkpoints are done.
    pub fn checkpoints(&self) -> u64 {
        lock(&self.state).checkpoints
    }

    /// The first failure, after which nothing is written any more.
    pub fn failure(&self) -> Option<BackendError> {
        lock(&self.state).failure.clone()
    }

    fn update(&self, change: impl FnOnce(&mut ProgressState)) {
        change(&mut lock(&self.state));
        self.changed.notify_all();
    }

    fn fail(&self, error: BackendError) {
        self.update(|state| {
            state.failure.get_or_insert(error);
        });
    }

    fn wait_until(&self, reached: impl Fn(&ProgressState) -> bool) -> Result<(), BackendError> {
        let mut state = lock(&self.state);
        loop {
            if reached(&state) {
                return Ok(());
            }
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            let (next, _) = (self.changed.wait_timeout(state, Duration::from_secs(1)))
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            state = next;
        }
    }
}

/// Stands for the durability of one row.
#[derive(Clone)]
pub struct Ticket {
    seq: u64,
    progress: Arc<Progress>,
}

impl Ticket {
    pub(crate) fn new(seq: u64, progress: Arc<Progress>) -> Ticket {
        Ticket { seq, progress }
    }

    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub fn is_durable(&self) -> bool {
        self.progress.durable() >= self.seq
    }

    /// Returns once the row survives a power cut, or with the reason why it may not.
    pub fn wait(&self) -> Result<(), BackendError> {
        self.progress.wait_until(|state| state.durable >= self.seq)
    }
}

/// The caller's end of the thread; dropping it finishes the queued work and joins.
pub struct Keeper {
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    progress: Arc<Progress>,
    errands: u64,
}

/// What the thread works on.
pub struct Desk {
    pub path: PathBuf,
    pub journal: Box<dyn JournalFile>,
    pub end: u64,
    pub store_id: [u8; 16],
    pub backend: Arc<dyn BackingStore>,
    pub tree: Arc<TreeStore>,
}

impl Keeper {
    pub fn start(desk: Desk, durable: u64, checkpointed: u64) -> Result<Keeper, BackendError> {
        let state = ProgressState { durable, checkpointed, ..ProgressState::default() };
        let progress = Arc::new(Progress { state: Mutex::new(state), changed: Condvar::new() });
        let (queue, inbox) = sync_channel(QUEUE);
        let file = desk.path.clone();
        let shared = progress.clone();
        let thread = std::thread::Builder::new()
            .name("pulse-journal".into())
            .spawn(move || Worker { desk, progress: shared }.run(&inbox))
            .map_err(|source| BackendError::Io {
                file,
                action: "starting the journal thread",
                source: source.into(),
            })?;
        Ok(Keeper { queue: Some(queue), thread: Some(thread), progress, errands: 0 })
    }

    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub fn append(&self, row: Row, on_durable: Option<OnDurable>) -> Ticket {
        let ticket = Ticket { seq: row.seq, progress: self.progress.clone() };
        self.send(Message::Append { row: Box::new(row), on_durable });
        ticket
    }

    pub fn checkpoint(&self, checkpoint: Checkpoint) {
        self.send(Message::Checkpoint(Box::new(checkpoint)));
    }

    pub fn wait_checkpoint(&self, number: u64) -> Result<(), BackendError> {
        self.progress.wait_until(|state| state.checkpoints >= number)
    }

    /// Runs `errand` on the thread, behind everything queued so far, and waits for it.
    pub fn run<T: Send + 'static>(
        &mut self,
        errand: impl FnOnce(&dyn BackingStore) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<Option<T>, BackendError> {
        let result = Arc::new(Mutex::new(None));
        let slot = result.clone();
        self.send(Message::Errand(Box::new(move |backend| {
            *lock(&slot) = Some(errand(backend)?);
            Ok(())
        })));
        self.errands += 1;
        let number = self.errands;
        self.progress.wait_until(|state| state.errands_done >= number)?;
        let result = lock(&result).take();
        Ok(result)
    }

    fn send(&self, message: Message) {
        // The thread ends when this sender is dropped, or after a failure that every wait sees.
        if let Some(queue) = &self.queue {
            drop(queue.send(message));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The head goes along: should it be lost in the database, it is not lost.
fn mark(checkpoint: &Checkpoint) -> Row {
    Row {
        seq: checkpoint.seq,
        durable: checkpoint.seq,
        keep: false,
        after: checkpoint.root,
        change: Change::Mark,
        meta: None,
        info: checkpoint.batch.head.clone().unwrap_or_default(),
    }
}

struct Worker {
    desk: Desk,
    progress: Arc<Progress>,
}

/// Nobody waits for a thread that is no more.
impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (file, action) = (self.desk.path.clone(), "writing");
            self.progress.fail(BackendError::Damaged { file, action });
        }
    }
}

type Waiting = Vec<(u64, Option<OnDurable>)>;

impl Worker {
    fn run(mut self, inbox: &Receiver<Message>) {
        let mut next = inbox.recv().ok();
        while let Some(message) = next.take() {
            match message {
                Message::Append { row, on_durable } => {
                    next = self.append_group(inbox, *row, on_durable);
                }
                Message::Checkpoint(checkpoint) => self.checkpoint(*checkpoint),
                Message::Errand(errand) => self.errand(errand),
            }
            if next.is_none() {
                next = inbox.recv().ok();
            }
        }
    }

    /// Writes the row and all that wait behind it; returns the first message which is not a row.
    fn append_group(
        &mut self,
        inbox: &Receiver<Message>,
        row: Row,
        on_durable: Option<OnDurable>,
    ) -> Option<Message> {
        let durable = self.progress.durable();
        let mut waiting: Waiting = vec![(row.seq, on_durable)];
        let mut bytes = self.frame(row, durable);
        let mut other = None;
        while bytes.len() < GROUP_BYTES {
            match inbox.try_recv() {
                Ok(Message::Append { row, on_durable }) => {
                    waiting.push((row.seq, on_durable));
                    bytes.extend(self.frame(*row, durable));
                }
                Ok(message) => {
                    other = Some(message);
                    break;
                }
                Err(_) => break,
            }
        }
        let result = self.write_group(&bytes);
        self.release(waiting, result);
        other
    }

    fn frame(&self, mut row: Row, durable: u64) -> Vec<u8> {
        row.durable = durable;
        frame(&row, &self.desk.store_id)
    }

    fn write_group(&mut self, bytes: &[u8]) -> Result<(), BackendError> {
        if let Some(failure) = self.progress.failure() {
            return Err(failure);
        }
        let end = self.desk.end;
        let failed = |action, source: std::io::Error| BackendError::Io {
            file: self.desk.path.clone(),
            action,
            source: source.into(),
        };
        let journal = &mut self.desk.journal;
        journal
            .write_at(end, bytes)
            .map_err(|source| failed("appending to the journal", source))?;
        journal.sync().map_err(|source| failed("syncing the journal", source))?;
        self.desk.end += bytes.len() as u64;
        Ok(())
    }

    fn release(&self, waiting: Waiting, result: Result<(), BackendError>) {
        let last = waiting.last().map_or(0, |(seq, _)| *seq);
        match &result {
            Ok(()) => self.progress.update(|state| state.durable = last),
            Err(error) => self.progress.fail(error.clone()),
        }
        for (_, on_durable) in waiting {
            if let Some(on_durable) = on_durable {
                on_durable(result.clone());
            }
        }
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        if self.progress.failure().is_some() {
            return;
        }
        let (result, seq) = (self.write_checkpoint(&checkpoint), checkpoint.seq);
        // Whoever waits for the checkpoint may collect next, and must not find its pins.
        drop(checkpoint);
        match result {
            Ok(()) => self.progress.update(|state| {
                state.checkpointed = seq;
                state.durable = state.durable.max(seq);
                state.checkpoints += 1;
            }),
            Err(error) => self.progress.fail(error),
        }
    }

    fn write_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), BackendError> {
        self.desk.backend.write(&checkpoint.batch)?;
        self.desk.tree.saved(&checkpoint.batch.nodes);
        let failed = |source: std::io::Error| BackendError::Io {
            file: self.desk.path.clone(),
            action: "emptying the journal",
            source: source.into(),
        };
        let journal = &mut self.desk.journal;
        journal.set_len(HEADER as u64).map_err(failed)?;
        // Without this sync, rows of the next group could land before old rows are gone.
        journal.sync().map_err(failed)?;
        // The mark needs no sync of its own: without it only a rollback of the database that
        // follows at once would go unnoticed.
        let mark = frame(&mark(checkpoint), &self.desk.store_id);
        journal.write_at(HEADER as u64, &mark).map_err(failed)?;
        self.desk.end = (HEADER + mark.len()) as u64;
        Ok(())
    }

    fn errand(&mut self, errand: Errand) {
        let result = match self.progress.failure() {
            Some(failure) => Err(failure),
            None => errand(&*self.desk.backend),
        };
        match result {
            Ok(()) => self.progress.update(|state| state.errands_done += 1),
            Err(error) => self.progress.fail(error),
        }
    }
}
