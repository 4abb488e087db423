//! Counters of the server, in the text form that Prometheus reads.
//!
//! A handful of atomics and no library: names and meanings are fixed in
//! `docs/operations.md`, and a registry would add a lock to the model thread.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pulse_engine::anticipate::AheadStats;

/// Upper bounds of the buckets of command latency, in microseconds.
const BUCKETS_US: [u64; 12] =
    [10, 25, 50, 100, 250, 500, 1_000, 5_000, 25_000, 100_000, 500_000, 2_500_000];

/// A count that only grows.
pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub static CONNECTIONS_OPENED: Counter = Counter::new();
pub static CONNECTIONS_REFUSED: Counter = Counter::new();
pub static CLIENTS_CUT_OFF: Counter = Counter::new();
pub static MESSAGES_IN: Counter = Counter::new();
pub static BYTES_IN: Counter = Counter::new();
pub static BYTES_OUT: Counter = Counter::new();
pub static MESSAGES_REFUSED: Counter = Counter::new();
pub static EVENTS_DROPPED: Counter = Counter::new();
pub static XRUNS: Counter = Counter::new();
pub static DEVICE_LOSSES: Counter = Counter::new();
pub static DEVICE_RECOVERIES: Counter = Counter::new();
pub static NODE_FAULTS: Counter = Counter::new();
pub static CACHE_HITS: Counter = Counter::new();
pub static CACHE_MISSES: Counter = Counter::new();
pub static CLIPS_TAKEN: Counter = Counter::new();

#[derive(Clone, Default)]
struct Histogram {
    buckets: [u64; BUCKETS_US.len()],
    count: u64,
    sum_us: u64,
}

static LATENCY: Mutex<BTreeMap<String, Histogram>> = Mutex::new(BTreeMap::new());

/// Notes how long a command took, from its last byte to its answer.
pub fn command_done(domain: &str, took: Duration) {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let mut all = LATENCY.lock().unwrap_or_else(PoisonError::into_inner);
    if !all.contains_key(domain) {
        all.insert(domain.to_owned(), Histogram::default());
    }
    if let Some(histogram) = all.get_mut(domain) {
        histogram.count += 1;
        histogram.sum_us += us;
        for (bucket, bound) in histogram.buckets.iter_mut().zip(BUCKETS_US) {
            *bucket += u64::from(us <= bound);
        }
    }
}

/// Values that are read when somebody asks.
#[derive(Clone, Copy, Default)]
pub struct Gauges {
    pub clients: usize,
    pub queue_depth: usize,
    pub queued_bytes: usize,
    pub engine_load: f64,
    pub revision: u64,
}

static ENGINE_LOAD: AtomicU64 = AtomicU64::new(0);
static REVISION: AtomicU64 = AtomicU64::new(0);

/// Notes what only the model thread knows.
pub fn note_session(engine_load: f64, revision: u64) {
    ENGINE_LOAD.store(engine_load.to_bits(), Ordering::Relaxed);
    REVISION.store(revision, Ordering::Relaxed);
}

static AHEAD: Mutex<Option<AheadStats>> = Mutex::new(None);

/// Notes how the part that is rendered ahead fares.
pub fn note_ahead(stats: Option<AheadStats>) {
    *AHEAD.lock().unwrap_or_else(PoisonError::into_inner) = stats;
}

/// Nothing where nothing is rendered ahead.
fn ahead(page: &mut String) {
    let stats = AHEAD.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(stats) = stats else { return };
    let rows: [(&str, &str, &str, f64); 14] = [
        ("units", "Parts that are rendered ahead.", "gauge", stats.units as f64),
        ("nodes", "Nodes that are rendered ahead.", "gauge", stats.nodes as f64),
        ("live_nodes", "Nodes of the audio thread.", "gauge", stats.live_nodes as f64),
        ("least_frames", "Least that is ahead.", "gauge", stats.least_ahead_frames as f64),
        ("mean_frames", "Mean that is ahead.", "gauge", stats.mean_ahead_frames as f64),
        ("wanted_frames", "What should be ahead.", "gauge", stats.look_ahead_frames as f64),
        ("worker_load", "Share of the time that workers render.", "gauge", stats.worker_load),
        (
            "underrun_frames_total",
            "Frames that were not there in time.",
            "counter",
            stats.underrun_frames as f64,
        ),
        ("fallen_behind_total", "Parts that fell behind.", "counter", stats.fallen_behind as f64),
        ("promotions_total", "Nodes that became live.", "counter", stats.promotions as f64),
        ("demotions_total", "Nodes that stopped being live.", "counter", stats.demotions as f64),
        ("rewinds_total", "Acts on what had been rendered.", "counter", stats.rewinds as f64),
        ("rendered_frames_total", "Frames rendered.", "counter", stats.rendered_frames as f64),
        (
            "taken_frames_total",
            "Frames taken from what renders had made.",
            "counter",
            stats.taken_frames as f64,
        ),
    ];
    for (name, help, kind, value) in rows {
        metric(page, &format!("pulse_ahead_{name}"), help, kind, &value.to_string());
    }
}

/// What the model thread noted last: engine load and revision.
pub fn noted_session() -> (f64, u64) {
    (f64::from_bits(ENGINE_LOAD.load(Ordering::Relaxed)), REVISION.load(Ordering::Relaxed))
}

/// The page that a scraper gets.
pub fn page(gauges: &Gauges) -> String {
    let mut page = String::new();
    let counters: [(&str, &str, &Counter); 15] = [
        ("pulse_connections_opened_total", "Connections accepted.", &CONNECTIONS_OPENED),
        ("pulse_connections_refused_total", "Connections refused.", &CONNECTIONS_REFUSED),
        (
            "pulse_clients_cut_off_total",
            "Clients cut off for reading too slowly.",
            &CLIENTS_CUT_OFF,
        ),
        ("pulse_messages_in_total", "Messages received.", &MESSAGES_IN),
        ("pulse_bytes_in_total", "Bytes received.", &BYTES_IN),
        ("pulse_bytes_out_total", "Bytes written.", &BYTES_OUT),
        ("pulse_messages_refused_total", "Messages answered with an error.", &MESSAGES_REFUSED),
        ("pulse_events_dropped_total", "Events dropped for slow clients.", &EVENTS_DROPPED),
        ("pulse_xruns_total", "Times that the audio engine was late.", &XRUNS),
        ("pulse_device_losses_total", "Audio devices that went away.", &DEVICE_LOSSES),
        ("pulse_device_recoveries_total", "Audio devices that came back.", &DEVICE_RECOVERIES),
        ("pulse_node_faults_total", "Nodes that failed and were bypassed.", &NODE_FAULTS),
        ("pulse_cache_hits_total", "Render segments found in the cache.", &CACHE_HITS),
        ("pulse_cache_misses_total", "Render segments rendered.", &CACHE_MISSES),
        ("pulse_clips_taken_total", "Pieces of clips that playback found made.", &CLIPS_TAKEN),
    ];
    for (name, help, counter) in counters {
        metric(&mut page, name, help, "counter", &counter.get().to_string());
    }
    let gauges: [(&str, &str, String); 5] = [
        ("pulse_clients", "Connected clients.", gauges.clients.to_string()),
        ("pulse_queue_depth", "Commands that wait.", gauges.queue_depth.to_string()),
        ("pulse_queued_bytes", "Bytes that wait for clients.", gauges.queued_bytes.to_string()),
        ("pulse_engine_load", "Share of the audio period in use.", gauges.engine_load.to_string()),
        ("pulse_revision", "Transactions of the open project.", gauges.revision.to_string()),
    ];
    for (name, help, value) in gauges {
        metric(&mut page, name, help, "gauge", &value);
    }
    ahead(&mut page);
    latency(&mut page);
    page
}

fn metric(page: &mut String, name: &str, help: &str, kind: &str, value: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
}

fn latency(page: &mut String) {
    let name = "pulse_command_seconds";
    let _ = writeln!(page, "# HELP {name} Time from a command to its answer.");
    let _ = writeln!(page, "# TYPE {name} histogram");
    let all = LATENCY.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (domain, histogram) in all {
        for (count, bound) in histogram.buckets.iter().zip(BUCKETS_US) {
            let le = bound as f64 / 1e6;
            let _ = writeln!(page, "{name}_bucket{{domain=\"{domain}\",le=\"{le}\"}} {count}");
        }
        let (count, sum) = (histogram.count, histogram.sum_us as f64 / 1e6);
        let _ = writeln!(page, "{name}_bucket{{domain=\"{domain}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(page, "{name}_sum{{domain=\"{domain}\"}} {sum}");
        let _ = writeln!(page, "{name}_count{{domain=\"{domain}\"}} {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_metric_with_help_and_type() {
        command_done("track", Duration::from_micros(40));
        let page = page(&Gauges { clients: 3, ..Gauges::default() });
        assert!(page.contains("pulse_clients 3\n"));
        assert!(page.contains("pulse_command_seconds_bucket{domain=\"track\",le=\"0.00005\"}"));
        let names = page.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(names, page.lines().filter(|line| line.starts_with("# HELP")).count());
    }
}
