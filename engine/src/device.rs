//! Who asks for sound: a device of the machine, or a clock that stands in.
//!
//! A device owns the callback while it runs and gives it back when it closes,
//! so it can move from one to the next with everything that sounds.

pub mod capture;
pub mod cpal;
pub mod keeper;
pub mod midi_out;
pub mod midir;
pub mod null;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

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
    /// Channels that are listened to; 0 opens no input.
    pub inputs: u16,
}

impl DeviceConfig {
    pub fn null(sample_rate: u32) -> DeviceConfig {
        DeviceConfig::of(Host::Null, sample_rate)
    }

    pub fn of(host: Host, sample_rate: u32) -> DeviceConfig {
        DeviceConfig { host, name: None, sample_rate, buffer_frames: None, channels: 2, inputs: 0 }
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
    /// Channels that can be listened to.
    pub inputs: u16,
}

/// What plays at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceState {
    pub wanted: DeviceConfig,
    pub playing: Host,
    pub name: String,
    /// Channels that are heard, and why none is where some were wanted.
    pub inputs: u16,
    pub input_failed: Option<String>,
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
    door: Arc<Door>,
}

impl Seat {
    pub fn new(callback: Box<Callback>, home: Home) -> Seat {
        Seat { callback: Some(callback), home, door: Arc::default() }
    }

    /// To be shut before the stream is closed.
    pub fn door(&self) -> Arc<Door> {
        self.door.clone()
    }

    /// Real-time safe.
    pub fn run(&mut self, inputs: &[&[f32]], out: &mut [f32], channels: usize) {
        match &mut self.callback {
            Some(callback) if self.door.enter() => {
                callback.run(inputs, out, channels);
                self.door.leave();
            }
            _ => out.fill(0.0),
        }
    }
}

/// Keeps a closing stream and its callback apart. JACK ends its thread wherever
/// that happens to be, by unwinding it; a node's panic guard would meet this unwinding,
/// and the process would end.
#[derive(Default)]
pub(crate) struct Door {
    shut: AtomicBool,
    inside: AtomicBool,
}

impl Door {
    fn enter(&self) -> bool {
        // Announced first, looked at then: either the closer sees us or we see it.
        self.inside.store(true, Ordering::SeqCst);
        let open = !self.shut.load(Ordering::SeqCst);
        if !open {
            self.leave();
        }
        open
    }

    fn leave(&self) {
        self.inside.store(false, Ordering::SeqCst);
    }

    /// From now on the callback is left alone. Returns when it has ended, or when
    /// it has long been overdue: a thread that was killed inside never leaves.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        for _ in 0..1_000 {
            if !self.inside.load(Ordering::SeqCst) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
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

/// The same device at a rate that it has: the wanted one, or the nearest. The
/// engine runs at the device's rate and places the song by time, so nothing is
/// resampled but clips.
pub fn fitting(config: &DeviceConfig) -> Result<DeviceConfig, DeviceError> {
    if config.host == Host::Null {
        return Ok(config.clone());
    }
    match cpal::probe(config) {
        Err(DeviceError::Format { .. }) => {}
        other => return other.map(|()| config.clone()),
    }
    let ranges = cpal::rates_of(config)?;
    let sample_rate = nearest_rate(config.sample_rate, &ranges).unwrap_or(config.sample_rate);
    let config = DeviceConfig { sample_rate, ..config.clone() };
    cpal::probe(&config).map(|()| config)
}

/// The rate within some ranges that is nearest to a wanted one; the higher of two.
fn nearest_rate(wanted: u32, ranges: &[(u32, u32)]) -> Option<u32> {
    let nearest = |&(low, high): &(u32, u32)| wanted.clamp(low, high.max(low));
    let by_distance = |rate: &u32| (rate.abs_diff(wanted), std::cmp::Reverse(*rate));
    ranges.iter().map(nearest).min_by_key(by_distance)
}

/// Every device of every host of this build, the null device first.
pub fn list() -> Vec<DeviceEntry> {
    let null = DeviceEntry {
        host: Host::Null,
        name: "null".to_owned(),
        default: true,
        rates: None,
        channels: 2,
        inputs: 0,
    };
    std::iter::once(null).chain(cpal::list()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rate_is_taken_and_the_higher_of_two() {
        let check = |wanted, ranges: &[(u32, u32)], expect| {
            assert_eq!(nearest_rate(wanted, ranges), expect, "{wanted} of {ranges:?}");
        };
        check(44_100, &[(48_000, 48_000)], Some(48_000));
        check(44_100, &[(32_000, 32_000), (48_000, 96_000)], Some(48_000));
        check(192_000, &[(44_100, 44_100), (48_000, 96_000)], Some(96_000));
        check(46_050, &[(44_100, 44_100), (48_000, 48_000)], Some(48_000));
        check(48_000, &[(8_000, 192_000)], Some(48_000));
        check(48_000, &[], None);
    }

    #[test]
    fn the_null_device_has_every_rate() {
        let odd = DeviceConfig::null(31_337);
        assert_eq!(fitting(&odd), Ok(odd));
    }
}
