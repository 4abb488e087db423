//! The threads that render ahead. Each looks for the unit that is least far and
//! free, renders a little of it, and looks again; what a unit gives doesn't depend
//! on who renders it, or when.

#![allow(clippy::disallowed_methods, reason = "load is time; it never reaches audio")]

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::unit::Unit;

/// How long a worker rests that found nothing to do.
const REST: Duration = Duration::from_millis(4);

#[derive(Default)]
struct Work {
    units: Arc<Vec<Arc<Unit>>>,
    /// Frames that sources are read ahead at most.
    latency: u64,
    /// Raised by whoever makes work.
    calls: u64,
}

struct Shared {
    work: Mutex<Work>,
    call: Condvar,
    stop: AtomicBool,
    now: Arc<AtomicU64>,
    look_ahead: u64,
    busy_nanos: AtomicU64,
    frames: AtomicU64,
}

pub struct Yard {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    seen: Mutex<(Instant, u64)>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Yard {
    pub fn start(now: Arc<AtomicU64>, look_ahead: u64, workers: usize) -> std::io::Result<Yard> {
        let shared = Arc::new(Shared {
            work: Mutex::default(),
            call: Condvar::new(),
            stop: AtomicBool::new(false),
            now,
            look_ahead,
            busy_nanos: AtomicU64::new(0),
            frames: AtomicU64::new(0),
        });
        let mut yard = Yard { shared, threads: vec![], seen: Mutex::new((Instant::now(), 0)) };
        for worker in 0..workers {
            let shared = yard.shared.clone();
            let named = std::thread::Builder::new().name(format!("pulse-ahead-{worker}"));
            yard.threads.push(named.spawn(move || run(&shared))?);
        }
        Ok(yard)
    }

    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    pub fn set(&self, units: Vec<Arc<Unit>>, latency: u64) {
        let mut work = lock(&self.shared.work);
        (work.units, work.latency) = (Arc::new(units), latency);
        drop(work);
        self.call();
    }

    /// Something may be there to do.
    pub fn call(&self) {
        lock(&self.shared.work).calls += 1;
        self.shared.call.notify_all();
    }

    pub fn frames(&self) -> u64 {
        self.shared.frames.load(Ordering::Relaxed)
    }

    /// Part of the time that the mean worker was busy since the last call.
    pub fn load(&self) -> f64 {
        let busy = self.shared.busy_nanos.load(Ordering::Relaxed);
        let mut seen = lock(&self.seen);
        let (since, before) = std::mem::replace(&mut *seen, (Instant::now(), busy));
        let passed = since.elapsed().as_nanos() as f64 * self.workers().max(1) as f64;
        if passed > 0.0 { busy.saturating_sub(before) as f64 / passed } else { 0.0 }
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.call();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    crate::rt::quiet::quietly(|| {
        let mut seen = 0;
        while !shared.stop.load(Ordering::Acquire) {
            let (units, latency, calls) = {
                let work = lock(&shared.work);
                (work.units.clone(), work.latency, work.calls)
            };
            let began = Instant::now();
            let done = pass(shared, &units, latency);
            shared.busy_nanos.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
            shared.frames.fetch_add(done, Ordering::Relaxed);
            if done == 0 && calls == seen {
                rest(shared, calls);
            }
            seen = calls;
        }
    });
}

/// A little of every unit that is free and not far enough.
fn pass(shared: &Shared, units: &[Arc<Unit>], latency: u64) -> u64 {
    let mut done = 0;
    for unit in units {
        let now = shared.now.load(Ordering::Relaxed);
        done += unit.work(now, now + shared.look_ahead + latency);
    }
    done
}

fn rest(shared: &Shared, calls: u64) {
    let work = lock(&shared.work);
    if work.calls == calls && !shared.stop.load(Ordering::Acquire) {
        let _ = shared.call.wait_timeout(work, REST);
    }
}
