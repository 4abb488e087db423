//! What the benches share: clocks, orders, rows.
//!
//! Every row is a line of a Markdown table and carries the load of its minute,
//! so that a number from a busy machine cannot pass for one from a quiet one.

#![allow(clippy::print_stdout, reason = "a measuring program prints")]

pub mod song;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Whether the long form was asked for.
pub fn full() -> bool {
    std::env::args().any(|argument| argument == "--full")
}

/// A number from the command line: `--tracks=100`.
pub fn number(name: &str) -> Option<usize> {
    let prefix = format!("--{name}=");
    std::env::args().find_map(|argument| argument.strip_prefix(&prefix)?.parse().ok())
}

pub fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// Times in order.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Times {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort();
        Times(times)
    }

    /// The time that `share` (0 to 1) of all stay within.
    pub fn within(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(last)).copied().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn median(&self) -> Duration {
        self.within(0.5)
    }
}

/// `31.2 µs`, `4.10 ms`, `2.41 s`.
pub fn show(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        0.0..1e-3 => format!("{:.1} µs", seconds * 1e6),
        1e-3..1.0 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

/// The machine's load of the last minute, as the kernel tells it.
pub fn load() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("?").to_owned()
}

/// Opens the table of a bench.
pub fn heading(title: &str) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\n### {title}\n\n{cores} cores, load {} at the start\n", load());
    println!("| what | measured | budget | | load |\n|---|---|---|---|---|");
}

/// A row without a budget.
pub fn row(what: &str, measured: &str) {
    println!("| {what} | {measured} | | | {} |", load());
}

/// A row that holds or does not.
pub fn promise(what: &str, measured: &str, budget: &str, held: bool) {
    let verdict = if held { "met" } else { "**missed**" };
    println!("| {what} | {measured} | {budget} | {verdict} | {} |", load());
}

/// A folder that is gone when the bench is over.
pub struct Folder(PathBuf);

impl Folder {
    /// On the disk of the workspace: a temporary folder of the system may be
    /// memory, where a sync costs nothing. `--dir=PATH` puts it elsewhere.
    pub fn on_disk(name: &str) -> std::io::Result<Folder> {
        let chosen = std::env::args()
            .find_map(|argument| argument.strip_prefix("--dir=").map(PathBuf::from));
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        Folder::in_folder(&chosen.unwrap_or(target), name)
    }

    /// Where paths are short enough for a socket.
    pub fn for_socket(name: &str) -> std::io::Result<Folder> {
        Folder::in_folder(&std::env::temp_dir(), name)
    }

    fn in_folder(parent: &Path, name: &str) -> std::io::Result<Folder> {
        let path = parent.join(format!("pulse-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        path.canonicalize().map(Folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
