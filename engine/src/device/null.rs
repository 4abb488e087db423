//! A device that keeps time by the machine's clock and plays to nobody: what
//! takes over when a real one is lost, and what servers without sound play on.

#![allow(clippy::disallowed_methods, reason = "this device is a clock")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{DeviceConfig, DeviceError, Home, Seat};
use crate::rt::callback::Callback;

const DEFAULT_FRAMES: u32 = 256;

pub struct NullDevice {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NullDevice {
    /// Counts a late turn as an xrun, as a real device would.
    pub(crate) fn open(
        config: &DeviceConfig,
        callback: Box<Callback>,
        home: Home,
        xruns: Arc<AtomicU64>,
    ) -> Result<NullDevice, DeviceError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let frames = config.buffer_frames.unwrap_or(DEFAULT_FRAMES).max(1);
        let channels = usize::from(config.channels.max(1));
        let period = Duration::from_secs_f64(f64::from(frames) / f64::from(config.sample_rate));
        let mut seat = Seat::new(callback, home);
        let run = move || {
            let mut buffer = vec![0.0; frames as usize * channels];
            let mut due = Instant::now();
            while !stopped.load(Ordering::Acquire) {
                seat.run(&[], &mut buffer, channels);
                due += period;
                let now = Instant::now();
                if now > due + period {
                    xruns.fetch_add(1, Ordering::Relaxed);
                    due = now;
                }
                std::thread::sleep(due.saturating_duration_since(now));
            }
        };
        let thread = std::thread::Builder::new().name("pulse-null".into()).spawn(run);
        let thread = thread.map_err(|error| DeviceError::Thread { reason: error.to_string() })?;
        Ok(NullDevice { stop, thread: Some(thread) })
    }
}

impl Drop for NullDevice {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
