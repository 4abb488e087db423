//! Renders that go on in the background while the session does other things.
//!
//! A render works on a view, which nothing changes any more, and hands its
//! result back through a slot that the session looks into on its ticks. So the
//! model thread never waits for sound.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use pulse_schemas::{
    envelope::Timestamp,
    error::ErrorCode,
    id::MediaId,
    job::{Job, JobId, JobState},
};
use pulse_store::cache::{CacheStats, CacheStore, DiskCache};
use serde_json::{Value, json};

use crate::{
    command_log::What,
    model::Published,
    refusal::Refusal,
    rendering::{CacheSlot, RenderingError, Watch, open_cache, scratch_cache},
    scratch::Scratch,
    session::Session,
};

/// What a finished job still has to do on the model thread, and its result.
pub type Finish = Box<dyn FnOnce(&mut Session) -> Result<Value, Refusal> + Send>;

type Slot = Arc<Mutex<Option<Result<Finish, Refusal>>>>;

struct Active {
    watch: Watch,
    slot: Slot,
    thread: JoinHandle<()>,
    told: f64,
}

/// Jobs that are kept for those who ask later.
const KEPT: usize = 200;

#[derive(Default)]
pub struct Renders {
    next: u64,
    active: BTreeMap<JobId, Active>,
    /// The cache of the open project, and one for a project without a folder.
    slot: Option<Arc<CacheSlot>>,
    own: Option<Arc<DiskCache>>,
    /// What bounces reserved that run in this process.
    pub reserved: BTreeSet<MediaId>,
    /// Where the cache of a project without a folder lies.
    scratch: Option<Scratch>,
}

impl Renders {
    /// Jobs that were ever started; the last one has this number.
    pub fn started(&self) -> u64 {
        self.next
    }

    /// Goes on counting where a log of commands did.
    pub fn set_started(&mut self, started: u64) {
        self.next = started;
    }
}

/// Whether the end of a job changes the project, and not only files beside it.
fn takes_effect(command: &str) -> bool {
    matches!(command, "rendering.freeze" | "rendering.bounce")
}

impl Session {
    /// The render cache of the open project, opened when it is needed first.
    pub fn render_cache(&mut self) -> Result<Arc<DiskCache>, Refusal> {
        if let Some(slot) = self.cache_slot() {
            return Ok(slot.open().map_err(RenderingError::from)?);
        }
        if let Some(cache) = &self.renders.own {
            return Ok(Arc::clone(cache));
        }
        let bytes = self.config.render_cache_bytes;
        let (cache, folder) = scratch_cache(bytes).map_err(RenderingError::from)?;
        let cache = Arc::new(cache);
        self.renders.scratch = Some(folder);
        self.renders.own = Some(Arc::clone(&cache));
        Ok(cache)
    }

    /// The place of the open project's cache, where it has a folder.
    pub fn cache_slot(&mut self) -> Option<Arc<CacheSlot>> {
        let path = self.open.as_ref().and_then(|open| open.path.as_ref())?;
        let bytes = self.config.render_cache_bytes;
        let make = || Arc::new(CacheSlot::new(path.clone(), bytes));
        Some(Arc::clone(self.renders.slot.get_or_insert_with(make)))
    }

    /// What the cache holds, whether it is in use yet or not.
    pub fn render_cache_stats(&self) -> Result<CacheStats, Refusal> {
        if let Some(cache) = &self.renders.own {
            return Ok(cache.stats());
        }
        if let Some(slot) = &self.renders.slot {
            return Ok(slot.stats().map_err(RenderingError::from)?);
        }
        let limit_bytes = self.config.render_cache_bytes;
        let Some(path) = self.open.as_ref().and_then(|open| open.path.as_deref()) else {
            return Ok(CacheStats { limit_bytes, ..CacheStats::default() });
        };
        Ok(open_cache(path, limit_bytes).map_err(RenderingError::from)?.stats())
    }

    /// Starts work on a thread of its own.
    pub fn start_job(
        &mut self,
        command: &str,
        label: String,
        by: &str,
        work: impl FnOnce(&Watch) -> Result<Finish, Refusal> + Send + 'static,
    ) -> Result<JobId, Refusal> {
        self.renders.next += 1;
        let id = JobId(self.renders.next);
        let watch = Watch::default();
        let slot: Slot = Arc::default();
        let (theirs, result) = (watch.clone(), Arc::clone(&slot));
        let thread = std::thread::Builder::new()
            .name(format!("pulse-{id}"))
            .spawn(move || {
                let done = work(&theirs);
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            })
            .map_err(Refusal::internal)?;
        self.renders.active.insert(id, Active { watch, slot, thread, told: 0.0 });
        let now = Timestamp(self.time);
        self.jobs.push(Job {
            id,
            command: command.to_owned(),
            label,
            state: JobState::Running,
            progress: 0.0,
            step: None,
            started: Some(now),
            finished: None,
            by: Some(by.to_owned()),
            result: None,
            error: None,
        });
        let over = self.jobs.len().saturating_sub(KEPT);
        let active = &self.renders.active;
        let mut dropped = 0;
        self.jobs.retain(|job| {
            let drop = dropped < over && !active.contains_key(&job.id);
            dropped += usize::from(drop);
            !drop
        });
        Ok(id)
    }

    pub fn job(&self, id: JobId) -> Result<&Job, Refusal> {
        self.jobs
            .iter()
            .find(|job| job.id == id)
            .ok_or_else(|| Refusal::new(ErrorCode::JobNotFound, format!("there is no {id}")))
    }

    pub fn cancel_job(&mut self, id: JobId) -> Result<(), Refusal> {
        self.job(id)?;
        let Some(active) = self.renders.active.get(&id) else {
            return Err(Refusal::new(ErrorCode::JobFinished, format!("{id} is over")));
        };
        active.watch.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Stops what a client has under way of one command.
    pub fn cancel_jobs_of(&mut self, command: &str, by: &str) {
        let of = |job: &&Job| job.command == command && job.by.as_deref() == Some(by);
        for job in self.jobs.iter().filter(of) {
            if let Some(active) = self.renders.active.get(&job.id) {
                active.watch.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    /// Whether background work is under way.
    pub fn has_jobs(&self) -> bool {
        !self.renders.active.is_empty()
    }

    /// Takes in what background work has reached; events go to the outbox.
    pub fn collect_jobs(&mut self) {
        let ids: Vec<JobId> = self.renders.active.keys().copied().collect();
        for id in ids {
            self.collect_job(id);
        }
    }

    fn collect_job(&mut self, id: JobId) {
        let Some(active) = self.renders.active.get_mut(&id) else { return };
        let done = active.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = active.thread.is_finished();
        let share = active.watch.share();
        let news = share - active.told >= 0.01;
        if news {
            active.told = share;
        }
        if done.is_none() && !ended {
            if news {
                self.change_job(id, |job| job.progress = share);
                self.tell_job(id, "progress");
            }
            return;
        }
        self.renders.active.remove(&id);
        self.time = (self.clock)();
        self.doing.0 = self.job(id).map(|job| job.command.clone()).unwrap_or_default();
        let (counters, first) = (self.counters(), self.outbox.len());
        let result = match done {
            Some(Ok(finish)) => {
                let result = finish(self);
                self.show();
                result
            }
            Some(Err(error)) => Err(error),
            None => Err(Refusal::internal("the thread of a job panicked")),
        };
        let now = Timestamp(self.time);
        let of_project = self.job(id).is_ok_and(|job| takes_effect(&job.command));
        if of_project && result.is_ok() {
            self.log(What::Job(id), None, counters, None, first);
        }
        self.change_job(id, |job| {
            job.finished = Some(now);
            match result {
                Ok(value) => {
                    (job.state, job.progress, job.result) = (JobState::Done, 1.0, Some(value));
                }
                Err(Refusal(error)) => {
                    let cancelled = error.code == ErrorCode::RenderCancelled.as_str()
                        || error.message.contains("cancelled");
                    job.state = if cancelled { JobState::Cancelled } else { JobState::Failed };
                    job.error = Some(error);
                }
            }
        });
        self.tell_job(id, "finished");
    }

    /// Waits for one job and takes its result in.
    pub fn finish_job(&mut self, id: JobId) -> Vec<Published> {
        self.outbox.clear();
        while self.renders.active.contains_key(&id) {
            self.collect_job(id);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::mem::take(&mut self.outbox)
    }

    fn change_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            change(job);
        }
    }

    fn tell_job(&mut self, id: JobId, name: &'static str) {
        if let Ok(job) = self.job(id) {
            let payload = json!({ "job": job });
            self.publish("job", name, payload);
        }
    }

    /// Lets every job end, for a process that is about to.
    pub fn wait_for_jobs(&mut self) {
        while self.has_jobs() {
            self.collect_jobs();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Stops what goes on and lets go of the cache: the project closes.
    pub fn stop_jobs(&mut self) {
        for active in self.renders.active.values() {
            active.watch.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        self.wait_for_jobs();
        self.renders.reserved.clear();
        (self.renders.slot, self.renders.own) = (None, None);
        self.renders.scratch = None;
    }
}
