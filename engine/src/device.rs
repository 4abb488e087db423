//! Who asks for sound: a device of the machine, or a clock that stands in.
//!
//! A device owns the callback while it runs and gives it back when it closes,
//! so it can move from one to the next with everything that sounds.

pub mod cpal;
pub mod keeper;
pub mod midir;
pub mod null;

use crate::rt::callback::Callback;

/// Ways to reach devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Host {
    /// Keeps time and plays to nobody.
    Null,
    #[default]
    Alsa,
    Jack,
}

impl Host {
    pub const ALL: [Host; 3] = [Host::Null, Host::Alsa, Host::Jack];

    pub fn name(self) -> &'static str {
        match self {
            Host::Null => "null",
            Host::Alsa => "alsa",
            Host::Jack => "jack",
        }
    }

    pub fn parse(name: &str) -> Option<Host> {
        Host::ALL.into_iter().find(|host| host.name() == name)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceConfig {
    pub host: Host,
    /// As the list says it; the host's default when absent.
    pub name: Option<String>,
    pub sample_rate: u32,
    /// Frames per call; the device's own when absent.
    pub buffer_frames: Option<u32>,
    pub channels: u16,
}

impl DeviceConfig {
    pub fn null(sample_rate: u32) -> DeviceConfig {
        DeviceConfig::of(Host::Null, sample_rate)
    }

    pub fn of(host: Host, sample_rate: u32) -> DeviceConfig {
        DeviceConfig { host, name: None, sample_rate, buffer_frames: None, channels: 2 }
    }
}

/// One device as lists show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceEntry {
    pub host: Host,
    pub name: String,
    pub default: bool,
    /// Rates that it can play at, lowest to highest; none where it doesn't say.
    pub rates: Option<(u32, u32)>,
    pub channels: u16,
}

/// What plays at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceState {
    pub wanted: DeviceConfig,
    pub playing: Host,
    pub name: String,
    /// Why it isn't the wanted one.
    pub lost: Option<String>,
    /// How often a device was lost, and how often it came back.
    pub losses: u64,
    pub recoveries: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("this build has no {host}; build with `--features jack`", host = host.name())]
    HostMissing { host: Host },
    #[error("{host} can't be reached: {reason}", host = host.name())]
    HostUnavailable { host: Host, reason: String },
    #[error("{host} has no device {name:?}; `pulse devices` lists them", host = host.name())]
    NotFound { host: Host, name: String },
    #[error("{host} has no default device; name one of `pulse devices`", host = host.name())]
    NoDefault { host: Host },
    #[error("{device} can't play {rate} Hz with {channels} channels: {reason}")]
    Format { device: String, rate: u32, channels: u16, reason: String },
    #[error("{device} is in use: {reason}")]
    Busy { device: String, reason: String },
    #[error("{device} failed: {reason}")]
    Failed { device: String, reason: String },
    #[error("the thread of the device could not be started: {reason}")]
    Thread { reason: String },
    #[error("the engine has no device; start it with one")]
    Closed,
}

/// Where a callback goes when the device that ran it closes.
pub(crate) type Home = std::sync::mpsc::Sender<Box<Callback>>;

/// A callback inside a device. Closing the device drops the seat, which sends
/// the callback home.
pub(crate) struct Seat {
    callback: Option<Box<Callback>>,
    home: Home,
}

impl Seat {
    pub fn new(callback: Box<Callback>, home: Home) -> Seat {
        Seat { callback: Some(callback), home }
    }

    /// Real-time safe.
    pub fn run(&mut self, inputs: &[&[f32]], out: &mut [f32], channels: usize) {
        match &mut self.callback {
            Some(callback) => callback.run(inputs, out, channels),
            None => out.fill(0.0),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            // Nobody waits for it when the engine has ended.
            let _ = self.home.send(callback);
        }
    }
}

/// Every device of every host of this build, the null device first.
pub fn list() -> Vec<DeviceEntry> {
    let null = DeviceEntry {
        host: Host::Null,
        name: "null".to_owned(),
        default: true,
        rates: None,
        channels: 2,
    };
    std::iter::once(null).chain(cpal::list()).collect()
}
