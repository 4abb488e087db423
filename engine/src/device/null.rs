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
/// What it keeps time for, and no more than memory is had for at once.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;
const MOST_FRAMES: u32 = 65_536;
const MOST_CHANNELS: u16 = 256;

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
        // From here on a failure sends the callback home.
        let mut seat = Seat::new(callback, home);
        check(config)?;
        let period = Duration::from_secs_f64(f64::from(frames) / f64::from(config.sample_rate));
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

/// It plays to nobody, but not at a rate that is none.
fn check(config: &DeviceConfig) -> Result<(), DeviceError> {
    let reason = if !RATES.contains(&config.sample_rate) {
        format!("it takes {} to {} Hz; choose a rate of those", RATES.start(), RATES.end())
    } else if !(1..=MOST_CHANNELS).contains(&config.channels) {
        format!("it takes 1 to {MOST_CHANNELS} channels")
    } else if !(1..=MOST_FRAMES).contains(&config.buffer_frames.unwrap_or(DEFAULT_FRAMES)) {
        format!("it takes 1 to {MOST_FRAMES} frames at once")
    } else {
        return Ok(());
    };
    let (rate, channels) = (config.sample_rate, config.channels);
    Err(DeviceError::Format { device: "null".to_owned(), rate, channels, reason })
}

impl Drop for NullDevice {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
