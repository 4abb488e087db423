//! Several cores for one plan. A plan for several workers is cut into tasks;
//! workers take them in their order and wait, spinning, for those that a task
//! needs. What each task computes is fixed by the plan, so the sound doesn't
//! depend on how many workers there are or who takes what.
//!
//! Tasks are taken in an order that respects their dependencies, and whatever a
//! worker waits for has been taken by one that runs: nobody waits forever, and
//! nothing is locked.
#![allow(unsafe_code)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use crate::{
    exec::{Block, Core, Executor, Scratch, run_task},
    plan::Plan,
};

/// Spins before a waiting worker lets others have the core.
const SPINS: u32 = 2_000;
/// Idle turns before a worker sleeps until it is woken.
const IDLE_SPINS: u32 = 20_000;

/// What all workers look at.
struct Stage {
    /// Raised for every block; odd numbers mean that one is running.
    round: AtomicU64,
    job: AtomicPtr<Job<'static>>,
    /// Workers inside the current job.
    inside: AtomicUsize,
    stop: AtomicBool,
    /// Raised when the worker threads leave: how many there are.
    sleepers: AtomicU32,
}

/// One block, as workers see it.
struct Job<'a> {
    core: &'a Core,
    block: &'a Block<'a>,
    next: &'a AtomicUsize,
    /// Per task, the round in which it was last finished.
    done: &'a [AtomicU64],
    round: u64,
}

impl Job<'_> {
    /// Takes tasks until there are none. Real-time safe.
    fn work(&self, scratch: &mut Scratch) {
        let tasks = &self.core.plan.tasks;
        loop {
            let index = self.next.fetch_add(1, Ordering::AcqRel);
            let Some(task) = tasks.get(index) else { return };
            for &before in &task.after {
                self.wait(before as usize);
            }
            run_task(self.core, scratch, self.block, task);
            self.done[index].store(self.round, Ordering::Release);
        }
    }

    fn wait(&self, task: usize) {
        let mut spins = 0;
        while self.done[task].load(Ordering::Acquire) != self.round {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// Worker threads and what they need for one plan. Made and dropped off the audio
/// thread; a new plan needs a [`Crew::fit`].
pub struct Crew {
    stage: Arc<Stage>,
    threads: Vec<JoinHandle<()>>,
    scratch: Arc<Vec<ScratchCell>>,
    next: AtomicUsize,
    done: Vec<AtomicU64>,
}

/// A worker's scratch, shared with its thread.
struct ScratchCell(std::cell::UnsafeCell<Scratch>);

// SAFETY: each is used by one worker, except while no job runs.
unsafe impl Sync for ScratchCell {}

impl Crew {
    /// `workers` counts the calling thread, too.
    pub fn new(plan: &Plan, workers: usize) -> Crew {
        let stage = Arc::new(Stage {
            round: AtomicU64::new(0),
            job: AtomicPtr::new(std::ptr::null_mut()),
            inside: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            sleepers: AtomicU32::new(0),
        });
        let cell = || ScratchCell(std::cell::UnsafeCell::new(Scratch::new(plan)));
        let scratch = Arc::new((0..workers.max(1)).map(|_| cell()).collect::<Vec<_>>());
        let threads = (1..workers).filter_map(|worker| {
            let (stage, scratch) = (stage.clone(), scratch.clone());
            let named = std::thread::Builder::new().name(format!("pulse-audio-{worker}"));
            named.spawn(move || follow(&stage, &scratch[worker])).ok()
        });
        let threads = threads.collect();
        let done = plan.tasks.iter().map(|_| AtomicU64::new(0)).collect();
        Crew { stage, threads, scratch, next: AtomicUsize::new(0), done }
    }

    /// Threads that work, the caller among them.
    pub fn workers(&self) -> usize {
        self.threads.len() + 1
    }

    /// A crew for another plan, with the same number of threads.
    pub fn fit(&self, plan: &Plan) -> Crew {
        Crew::new(plan, self.workers())
    }

    /// Runs one block with all workers. Real-time safe: no lock and no allocation;
    /// waking a sleeping worker is one system call.
    fn run(&mut self, core: &Core, block: &Block<'_>) {
        let round = self.stage.round.load(Ordering::Relaxed) + 1;
        self.next.store(0, Ordering::Relaxed);
        let job = Job { core, block, next: &self.next, done: &self.done, round };
        let erased: *const Job<'_> = &raw const job;
        self.stage.job.store(erased.cast_mut().cast(), Ordering::Release);
        self.stage.round.store(round, Ordering::SeqCst);
        if self.stage.sleepers.load(Ordering::SeqCst) > 0 {
            self.threads.iter().for_each(|thread| thread.thread().unpark());
        }
        // SAFETY: scratch 0 belongs to the caller, who has `&mut self`.
        job.work(unsafe { &mut *self.scratch[0].0.get() });
        // No task is left to take; those taken finish before their workers leave.
        self.stage.job.store(std::ptr::null_mut(), Ordering::SeqCst);
        let mut spins = 0;
        while self.stage.inside.load(Ordering::SeqCst) > 0 {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.stage.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// The life of a worker thread.
fn follow(stage: &Stage, scratch: &ScratchCell) {
    let (mut seen, mut idle) = (0, 0);
    while !stage.stop.load(Ordering::Acquire) {
        let round = stage.round.load(Ordering::SeqCst);
        if round == seen {
            idle += 1;
            wait_for_work(stage, seen, idle);
            continue;
        }
        (seen, idle) = (round, 0);
        // Announce first, look then: the owner clears the job before it waits for
        // those inside, so either it sees us or we see that there is no job.
        stage.inside.fetch_add(1, Ordering::SeqCst);
        let job = stage.job.load(Ordering::SeqCst);
        if !job.is_null() {
            // SAFETY: the job lives until nobody is inside, and this worker is the
            // only user of its scratch.
            unsafe { (*job).work(&mut *scratch.0.get()) };
        }
        stage.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

fn wait_for_work(stage: &Stage, seen: u64, idle: u32) {
    if idle < SPINS {
        std::hint::spin_loop();
    } else if idle < IDLE_SPINS {
        std::thread::yield_now();
    } else {
        stage.sleepers.fetch_add(1, Ordering::SeqCst);
        if stage.round.load(Ordering::SeqCst) == seen && !stage.stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(std::time::Duration::from_millis(100));
        }
        stage.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Executor {
    /// Runs one block with several workers. The sound is that of [`process`].
    /// Real-time safe. The crew must have been made for this executor's plan.
    ///
    /// [`process`]: Executor::process
    pub fn process_with(&mut self, crew: &mut Crew, block: &Block<'_>) {
        if crew.done.len() == self.core.plan.tasks.len() && crew.fits(&self.core.plan) {
            crew.run(&self.core, block);
        } else {
            self.process(block);
        }
    }
}

impl Crew {
    /// Whether the scratch of this crew is large enough for a plan.
    fn fits(&mut self, plan: &Plan) -> bool {
        // SAFETY: no job runs, so nobody uses any scratch.
        self.scratch.iter().all(|cell| unsafe { &*cell.0.get() }.fits(plan))
    }
}
