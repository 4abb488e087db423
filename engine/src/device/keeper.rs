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
