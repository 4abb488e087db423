//! How long turns of the callback take, as a histogram.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "time is what is measured")]

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use crate::tripwire::watch as watch_thread;

/// Turns by how many tens of microseconds they took; the last took longer.
static TOOK: [AtomicU64; 10_000] = [const { AtomicU64::new(0) }; 10_000];

thread_local! {
    static BEGAN: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// The most that a turn waited for others to leave the core, in microseconds.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// What [`WAITED`] has come to since the last look.
pub fn take_waited() -> u64 {
    WAITED.swap(0, Ordering::Relaxed)
}

/// The CPU time of this thread in microseconds; 0 where it can't be told.
#[allow(unsafe_code)]
fn worked() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the timespec that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

/// What goes into `Config::tripwire`: counts what is forbidden and how long it takes.
pub fn watch(armed: bool) {
    if armed {
        let now = (Instant::now(), worked());
        BEGAN.with(|began| began.set(Some(now)));
        watch_thread(true);
        return;
    }
    watch_thread(false);
    let began = BEGAN.with(|began| began.take());
    let Some((began, before)) = began else { return };
    let took = began.elapsed().as_micros() as u64;
    WAITED.fetch_max(took.saturating_sub(worked() - before), Ordering::Relaxed);
    TOOK[((took / 10) as usize).min(TOOK.len() - 1)].fetch_add(1, Ordering::Relaxed);
}

pub fn count() -> u64 {
    TOOK.iter().map(|count| count.load(Ordering::Relaxed)).sum()
}

/// The turns so far, in words.
pub fn histogram() -> String {
    let counts: Vec<u64> = TOOK.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    let all: u64 = counts.iter().sum();
    let within = |part: f64| {
        let wanted = (all as f64 * part).ceil() as u64;
        let mut seen = 0;
        let at = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        (at.unwrap_or(0) + 1) * 10
    };
    let most = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let limits = [10, 20, 50, 100, 200, 500, 1_000];
    let mut from = 0;
    let mut steps = String::new();
    for limit in limits {
        let part: u64 = counts[from..limit].iter().sum();
        steps += &format!(" <{} us: {part}", limit * 10);
        from = limit;
    }
    let rest: u64 = counts[from..].iter().sum();
    format!(
        "{all} turns: p50 {} us, p99 {} us, p99.9 {} us, max {} us;{steps}, longer: {rest}",
        within(0.5),
        within(0.99),
        within(0.999),
        (most + 1) * 10,
    )
}
