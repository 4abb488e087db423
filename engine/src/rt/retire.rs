//! The collector: a thread that frees what the audio thread gave away.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::handoff::{Capture, Parcel, Returns};
use crate::exec::FaultReport;

const TURN: Duration = Duration::from_millis(10);
/// Fault reports that are kept for whoever asks.
const KEPT_FAULTS: usize = 256;

/// What the collector found in retired executors.
pub type Faults = Arc<Mutex<Vec<FaultReport>>>;

/// States that were captured on the audio thread.
type Captures = Arc<Mutex<Vec<Capture>>>;

pub struct Collector {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    faults: Faults,
    captures: Captures,
}

impl Collector {
    pub fn start(mut returns: Returns) -> std::io::Result<Collector> {
        let (stop, faults) = (Arc::new(AtomicBool::new(false)), Faults::default());
        let captures = Captures::default();
        let (stopped, found) = (stop.clone(), faults.clone());
        let captured = captures.clone();
        let thread = std::thread::Builder::new().name("pulse-collect".into()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                while let Some(parcel) = returns.take() {
                    free(parcel, &found, &captured);
                }
                std::thread::park_timeout(TURN);
            }
        })?;
        Ok(Collector { stop, thread: Some(thread), faults, captures })
    }

    /// What was captured since the last call.
    pub fn take_capture(&self) -> Option<Capture> {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Faults of executors that have retired since the last call, with what
    /// their nodes said.
    pub fn take_faults(&self) -> Vec<FaultReport> {
        std::mem::take(&mut *self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn free(parcel: Parcel, found: &Faults, captured: &Captures) {
    if let Parcel::Capture(capture) = parcel {
        let mut captured = captured.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asked again wants the last.
        captured.clear();
        captured.push(*capture);
    } else if let Parcel::Program(mut program) = parcel {
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(program.executor.faults());
        let surplus = found.len().saturating_sub(KEPT_FAULTS);
        found.drain(..surplus);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
