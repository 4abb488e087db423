//! Keeps something playing: opens the wanted device, notices when it is lost,
//! lets the null device take over and goes back when it can.
//!
//! A thread of its own, because closing a device waits for the device.

#![allow(clippy::disallowed_methods, reason = "a device is lost by the clock on the wall")]

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    DeviceConfig, DeviceError, DeviceState, Host,
    cpal::{self, CpalDevice, Signals},
    null::NullDevice,
};
use crate::rt::callback::Callback;

/// How often a lost device is looked for.
const RETRY: Duration = Duration::from_millis(500);
/// How long a device may be silent before it counts as lost.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a closing device may take to give the callback back.
const RETURN: Duration = Duration::from_secs(5);
const TURN: Duration = Duration::from_millis(100);

enum Order {
    Open(DeviceConfig, Sender<Result<(), DeviceError>>),
    Lost { generation: u64, reason: String },
    Close,
}

pub struct Keeper {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
    state: Arc<Mutex<DeviceState>>,
    xruns: Arc<AtomicU64>,
}

impl Keeper {
    pub fn start(config: DeviceConfig, callback: Box<Callback>) -> Result<Keeper, DeviceError> {
        let (orders, inbox) = mpsc::channel();
        let (home, returned) = mpsc::channel();
        let xruns = Arc::new(AtomicU64::new(0));
        let state = Arc::new(Mutex::new(DeviceState {
            wanted: config.clone(),
            playing: Host::Null,
            name: String::new(),
            inputs: 0,
            input_failed: None,
            lost: None,
            losses: 0,
            recoveries: 0,
        }));
        let mut watch = Watch {
            orders: orders.clone(),
            home,
            returned,
            waiting: Some(callback),
            playing: None,
            state: state.clone(),
            xruns: xruns.clone(),
            calls: Arc::default(),
            generation: 0,
            heard: (0, Instant::now()),
            retried: Instant::now(),
        };
        let (told, opened) = mpsc::channel();
        let named = std::thread::Builder::new().name("pulse-device".into());
        let run = move || {
            let result = watch.open(&config);
            let failed = result.is_err();
            // The engine waits for this.
            let _ = told.send(result);
            if !failed {
                watch.run(&inbox);
            }
        };
        let thread =
            named.spawn(run).map_err(|error| DeviceError::Thread { reason: error.to_string() })?;
        opened.recv().map_err(|_| DeviceError::Closed)??;
        Ok(Keeper { orders, thread: Some(thread), state, xruns })
    }

    pub fn state(&self) -> DeviceState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn xruns(&self) -> u64 {
        self.xruns.load(Ordering::Relaxed)
    }

    /// Goes to another device; on failure the one that played goes on.
    pub fn open(&self, config: DeviceConfig) -> Result<(), DeviceError> {
        let (told, opened) = mpsc::channel();
        self.orders.send(Order::Open(config, told)).map_err(|_| DeviceError::Closed)?;
        opened.recv().map_err(|_| DeviceError::Closed)?
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Playing {
    Null { _device: NullDevice },
    Cpal { device: CpalDevice },
}

impl Playing {
    /// Channels that are heard, and why none is.
    fn inputs(&self) -> (u16, Option<String>) {
        match self {
            Playing::Null { .. } => (0, None),
            Playing::Cpal { device } => match &device.inputs {
                Ok(channels) => (*channels, None),
                Err(reason) => (0, Some(reason.clone())),
            },
        }
    }
}

struct Watch {
    orders: Sender<Order>,
    home: super::Home,
    returned: Receiver<Box<Callback>>,
    /// The callback while no device has it.
    waiting: Option<Box<Callback>>,
    playing: Option<Playing>,
    state: Arc<Mutex<DeviceState>>,
    xruns: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
    /// Counts devices, so that late news of a closed one are told apart.
    generation: u64,
    heard: (u64, Instant),
    retried: Instant,
}

impl Watch {
    fn run(&mut self, inbox: &Receiver<Order>) {
        loop {
            match inbox.recv_timeout(TURN) {
                Ok(Order::Open(config, told)) => {
                    let result = self.change(config);
                    let _ = told.send(result);
                }
                Ok(Order::Lost { generation, reason }) if generation == self.generation => {
                    self.lost(reason);
                }
                Ok(Order::Lost { .. }) => {}
                Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.look(),
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut DeviceState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn wanted(&self) -> DeviceConfig {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).wanted.clone()
    }

    /// The callback, from wherever it is.
    fn call_home(&mut self) -> Result<Box<Callback>, DeviceError> {
        self.playing = None;
        if let Some(callback) = self.waiting.take() {
            return Ok(callback);
        }
        self.returned.recv_timeout(RETURN).map_err(|_| DeviceError::Failed {
            device: "the device".to_owned(),
            reason: "it does not close; restart Pulse".to_owned(),
        })
    }

    fn open(&mut self, config: &DeviceConfig) -> Result<(), DeviceError> {
        let callback = self.call_home()?;
        self.generation += 1;
        let result = self.open_with(config, callback);
        match &result {
            Ok((playing, name)) => {
                let (name, inputs) = (name.clone(), playing.inputs());
                self.note(|state| {
                    (state.playing, state.name) = (config.host, name);
                    (state.inputs, state.input_failed) = inputs;
                });
            }
            Err(_) => self.waiting = self.returned.recv_timeout(RETURN).ok(),
        }
        self.playing = Some(result?.0);
        self.heard = (self.calls.load(Ordering::Relaxed), Instant::now());
        Ok(())
    }

    fn open_with(
        &self,
        config: &DeviceConfig,
        callback: Box<Callback>,
    ) -> Result<(Playing, String), DeviceError> {
        let home = self.home.clone();
        if config.host == Host::Null {
            let device = NullDevice::open(config, callback, home, self.xruns.clone())?;
            return Ok((Playing::Null { _device: device }, "null".to_owned()));
        }
        let (orders, generation) = (Mutex::new(self.orders.clone()), self.generation);
        let lost = move |reason: String| {
            let orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
            // When the keeper is gone nobody cares.
            let _ = orders.send(Order::Lost { generation, reason });
        };
        let signals =
            Signals { xruns: self.xruns.clone(), calls: self.calls.clone(), lost: Arc::new(lost) };
        let device = CpalDevice::open(config, callback, home, &signals)?;
        let name = device.name.clone();
        Ok((Playing::Cpal { device }, name))
    }

    fn change(&mut self, config: DeviceConfig) -> Result<(), DeviceError> {
        let before = self.wanted();
        let result = self.open(&config);
        match &result {
            Ok(()) => self.note(|state| (state.wanted, state.lost) = (config, None)),
            Err(_) => {
                if let Err(error) = self.open(&before) {
                    self.lost(error.to_string());
                }
            }
        }
        result
    }

    /// The null device takes over.
    fn lost(&mut self, reason: String) {
        let wanted = self.wanted();
        self.note(|state| {
            state.losses += u64::from(state.lost.is_none());
            state.lost = Some(reason);
        });
        let stand_in = DeviceConfig { host: Host::Null, name: None, ..wanted };
        if let Err(error) = self.open(&stand_in) {
            self.note(|state| state.lost = Some(error.to_string()));
        }
        self.retried = Instant::now();
    }

    /// Once in a while: does the device still call, is the lost one back?
    fn look(&mut self) {
        let (lost, host) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.lost.is_some(), state.playing)
        };
        let calls = self.calls.load(Ordering::Relaxed);
        if calls != self.heard.0 {
            self.heard = (calls, Instant::now());
        }
        if host != Host::Null && self.heard.1.elapsed() > SILENCE {
            self.lost("it stopped asking for sound".to_owned());
        } else if lost && self.retried.elapsed() > RETRY {
            self.retry();
        }
    }

    fn retry(&mut self) {
        self.retried = Instant::now();
        let wanted = self.wanted();
        if wanted.host != Host::Null && cpal::probe(&wanted).is_err() {
            return;
        }
        match self.open(&wanted) {
            Ok(()) => self.note(|state| {
                state.lost = None;
                state.recoveries += 1;
            }),
            Err(error) => self.lost(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::{Config, Engine, transport::Start};

    fn wait(what: &str, done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < Duration::from_secs(60), "{what} takes too long");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// An engine that plays from the start, and the keeper of its device.
    fn start(device: &DeviceConfig) -> (Engine, Keeper) {
        let (engine, clock) = Engine::manual(Config::new(device.clone())).unwrap();
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        let keeper = Keeper::start(device.clone(), clock.into_callback()).unwrap();
        (engine, keeper)
    }

    fn goes_on(engine: &Engine, what: &str) {
        let before = engine.song_frame();
        wait(what, || engine.song_frame() > before + 2_000);
    }

    #[test]
    fn a_lost_device_is_replaced_and_found_again_by_itself() {
        let (engine, keeper) = start(&DeviceConfig::null(48_000));
        goes_on(&engine, "the device");
        let lose = |generation| {
            let reason = "pulled out".to_owned();
            keeper.orders.send(Order::Lost { generation, reason }).unwrap();
        };
        // News of a device that was closed long ago are none.
        lose(0);
        goes_on(&engine, "the device after old news");
        assert_eq!((keeper.state().lost, keeper.state().losses), (None, 0));
        lose(1);
        wait("the loss", || keeper.state().losses == 1);
        goes_on(&engine, "the stand-in");
        wait("the recovery", || keeper.state().recoveries == 1);
        assert_eq!((keeper.state().lost, keeper.state().playing), (None, Host::Null));
        goes_on(&engine, "the device that was found again");
    }

    #[test]
    fn a_device_that_refuses_leaves_the_callback_where_it_was() {
        let (engine, keeper) = start(&DeviceConfig::null(48_000));
        let odd = DeviceConfig {
            name: Some("no such card".to_owned()),
            ..DeviceConfig::of(Host::Alsa, 48_000)
        };
        for _ in 0..3 {
            let refused = keeper.open(odd.clone());
            assert!(matches!(refused, Err(DeviceError::NotFound { .. })), "{refused:?}");
            assert_eq!(keeper.state().wanted.host, Host::Null);
            goes_on(&engine, "what played before");
        }
        let (rate, wide) = (4_000_000_000, DeviceConfig::null(48_000));
        let absurd = [
            DeviceConfig { sample_rate: 0, ..wide.clone() },
            DeviceConfig { sample_rate: rate, ..wide.clone() },
            DeviceConfig { channels: 0, ..wide.clone() },
            DeviceConfig { buffer_frames: Some(u32::MAX), ..wide.clone() },
        ];
        for config in absurd {
            let refused = keeper.open(config.clone());
            assert!(matches!(refused, Err(DeviceError::Format { .. })), "{config:?}: {refused:?}");
            goes_on(&engine, "what played before");
        }
        // Other blocks are taken, and the callback goes over with all it has.
        let small = DeviceConfig { buffer_frames: Some(33), ..wide };
        keeper.open(small.clone()).unwrap();
        assert_eq!(keeper.state().wanted, small);
        goes_on(&engine, "smaller blocks");
    }

    #[test]
    fn turns_that_come_late_are_counted() {
        let (engine, keeper) = start(&DeviceConfig::null(48_000));
        let before = keeper.xruns();
        // A device whose period is shorter than any machine can wait.
        let fast = DeviceConfig { buffer_frames: Some(1), ..DeviceConfig::null(192_000) };
        keeper.open(fast).unwrap();
        wait("late turns", || keeper.xruns() > before);
        drop(keeper);
        drop(engine);
    }
}
