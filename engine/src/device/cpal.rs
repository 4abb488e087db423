//! Devices through cpal: ALSA always, JACK with the feature `jack`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cpal::{
    BufferSize, Device, ErrorKind, FromSample, HostId, Sample, SampleFormat, SizedSample, Stream,
    StreamConfig, SupportedStreamConfigRange,
    traits::{DeviceTrait, HostTrait, StreamTrait},
};

use super::{
    DeviceConfig, DeviceEntry, DeviceError, Door, Home, Host, Seat,
    capture::{self, Capture, Feed},
};
use crate::rt::callback::Callback;

/// Frames that are converted at once for devices that don't take floats.
const CONVERTED: usize = 1_024;

/// What a thread that left the callback needs to be back in the host's hands.
const ON_THE_WAY_OUT: Duration = Duration::from_millis(20);

/// A playing stream. Dropping it closes the device and sends the callback home.
pub struct CpalDevice {
    _stream: Stream,
    _input: Option<Stream>,
    pub name: String,
    /// Channels that are heard, or why none is: a device that can't be listened to
    /// still plays.
    pub inputs: Result<u16, String>,
    doors: [Arc<Door>; 2],
    host: Host,
}

impl Drop for CpalDevice {
    fn drop(&mut self) {
        self.doors.iter().for_each(|door| door.shut());
        if self.host == Host::Jack {
            // Who has just left is still on the way through the host's own code, where being
            // unwound would end the process, too.
            std::thread::sleep(ON_THE_WAY_OUT);
        }
    }
}

/// What the keeper wants to know of a stream.
#[derive(Clone)]
pub(crate) struct Signals {
    pub xruns: Arc<AtomicU64>,
    /// Calls of the callback: a device that stops calling has been lost.
    pub calls: Arc<AtomicU64>,
    pub lost: Arc<dyn Fn(String) + Send + Sync>,
}

fn host_id(host: Host) -> Result<HostId, DeviceError> {
    match host {
        Host::Alsa => Ok(HostId::Alsa),
        #[cfg(feature = "jack")]
        Host::Jack => Ok(HostId::Jack),
        host => Err(DeviceError::HostMissing { host }),
    }
}

fn open_host(host: Host) -> Result<cpal::Host, DeviceError> {
    cpal::host_from_id(host_id(host)?)
        .map_err(|error| DeviceError::HostUnavailable { host, reason: error.to_string() })
}

fn name_of(device: &Device) -> String {
    device.id().map_or_else(|_| device.to_string(), |id| id.id().to_owned())
}

/// Devices that play, of every host that answers.
pub fn list() -> Vec<DeviceEntry> {
    [Host::Alsa, Host::Jack].into_iter().flat_map(list_host).collect()
}

fn list_host(host: Host) -> Vec<DeviceEntry> {
    let Ok(opened) = open_host(host) else { return vec![] };
    let default = opened.default_output_device().map(|device| name_of(&device));
    let inputs = |device: &Device| {
        let formats = device.supported_input_configs().map(Iterator::collect::<Vec<_>>);
        let channels = formats.unwrap_or_default().iter().map(|format| format.channels()).max();
        channels.unwrap_or(0)
    };
    let Ok(devices) = opened.output_devices() else { return vec![] };
    devices
        .map(|device| {
            let name = name_of(&device);
            let formats: Vec<_> =
                device.supported_output_configs().map(Iterator::collect).unwrap_or_default();
            DeviceEntry {
                host,
                default: default.as_ref() == Some(&name),
                rates: rates(&formats),
                channels: formats.iter().map(|format| format.channels()).max().unwrap_or(0),
                inputs: inputs(&device),
                name,
            }
        })
        .collect()
}

fn rates(formats: &[SupportedStreamConfigRange]) -> Option<(u32, u32)> {
    let lowest = formats.iter().map(|format| format.min_sample_rate()).min()?;
    let highest = formats.iter().map(|format| format.max_sample_rate()).max()?;
    Some((lowest, highest))
}

/// The device that a configuration means.
fn find(config: &DeviceConfig) -> Result<Device, DeviceError> {
    let host = config.host;
    let opened = open_host(host)?;
    let Some(name) = &config.name else {
        return opened.default_output_device().ok_or(DeviceError::NoDefault { host });
    };
    let unavailable =
        |error: cpal::Error| DeviceError::HostUnavailable { host, reason: error.to_string() };
    let mut devices = opened.devices().map_err(unavailable)?;
    devices
        .find(|device| name_of(device) == *name || device.to_string() == *name)
        .ok_or_else(|| DeviceError::NotFound { host, name: name.clone() })
}

/// The device that is listened to beside the one that plays.
fn find_input(config: &DeviceConfig) -> Result<Device, DeviceError> {
    let host = config.host;
    let opened = open_host(host)?;
    let unavailable =
        |error: cpal::Error| DeviceError::HostUnavailable { host, reason: error.to_string() };
    let named = match &config.name {
        // JACK has one device each way.
        Some(name) if host != Host::Jack => {
            let mut devices = opened.input_devices().map_err(unavailable)?;
            let is = |device: &Device| name_of(device) == *name || device.to_string() == *name;
            devices.find(is)
        }
        _ => opened.default_input_device(),
    };
    named.ok_or(DeviceError::NoDefault { host })
}

/// The rates that a device plays at, as ranges.
pub(crate) fn rates_of(config: &DeviceConfig) -> Result<Vec<(u32, u32)>, DeviceError> {
    let device = find(config)?;
    let formats = device.supported_output_configs();
    let formats = formats.map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    Ok(formats.iter().map(|it| (it.min_sample_rate(), it.max_sample_rate())).collect())
}

/// Whether the device could be opened now, without opening it.
pub(crate) fn probe(config: &DeviceConfig) -> Result<(), DeviceError> {
    let device = find(config)?;
    choose(&device, config).map(|_| ())
}

/// The format that is nearest to what we make: floats, the wanted channels.
fn choose(
    device: &Device,
    config: &DeviceConfig,
) -> Result<(StreamConfig, SampleFormat), DeviceError> {
    let refused = |reason: String| DeviceError::Format {
        device: name_of(device),
        rate: config.sample_rate,
        channels: config.channels,
        reason,
    };
    let formats: Vec<_> =
        device.supported_output_configs().map_err(|error| refused(error.to_string()))?.collect();
    let rank = |format: &SupportedStreamConfigRange| {
        let missing = config.channels.saturating_sub(format.channels());
        let surplus = format.channels().saturating_sub(config.channels);
        (missing, surplus, format_rank(format.sample_format()))
    };
    let fitting = formats.iter().filter(|format| {
        format.contains_rate(config.sample_rate) && format_rank(format.sample_format()).is_some()
    });
    let Some(best) = fitting.min_by_key(|format| rank(format)) else {
        let reason = match rates(&formats) {
            Some((low, high)) => format!("it takes {low} to {high} Hz; choose a rate of those"),
            None => "it plays nothing".to_owned(),
        };
        return Err(refused(reason));
    };
    // A JACK server alone decides about its period.
    let buffer_size = match config.buffer_frames {
        Some(frames) if config.host != Host::Jack => BufferSize::Fixed(frames),
        _ => BufferSize::Default,
    };
    let stream =
        StreamConfig { channels: best.channels(), sample_rate: config.sample_rate, buffer_size };
    Ok((stream, best.sample_format()))
}

fn format_rank(format: SampleFormat) -> Option<u8> {
    match format {
        SampleFormat::F32 => Some(0),
        SampleFormat::F64 => Some(1),
        SampleFormat::I32 => Some(2),
        SampleFormat::I16 => Some(3),
        SampleFormat::U16 => Some(4),
        _ => None,
    }
}

impl CpalDevice {
    pub(crate) fn open(
        config: &DeviceConfig,
        callback: Box<Callback>,
        home: Home,
        signals: &Signals,
    ) -> Result<CpalDevice, DeviceError> {
        // From here on a failure sends the callback home.
        let seat = Seat::new(callback, home);
        let doors = [seat.door(), Arc::default()];
        let device = find(config)?;
        let name = name_of(&device);
        let (stream_config, format) = choose(&device, config)?;
        let build = match format {
            SampleFormat::F64 => build::<f64>,
            SampleFormat::I32 => build::<i32>,
            SampleFormat::I16 => build::<i16>,
            SampleFormat::U16 => build::<u16>,
            _ => build_floats,
        };
        let failed = |error: cpal::Error| refusal(&name, config, &error);
        let opened = (config.inputs > 0).then(|| listen(config, signals, &doors[1]));
        let (input, capture, inputs) = match opened {
            None => (None, Capture::none(), Ok(0)),
            Some(Ok((stream, capture))) => {
                let channels = capture.channels() as u16;
                (Some(stream), capture, Ok(channels))
            }
            Some(Err(error)) => (None, Capture::none(), Err(error.to_string())),
        };
        let stream =
            build(&device, stream_config, seat, capture, signals.clone()).map_err(failed)?;
        stream.play().map_err(failed)?;
        Ok(CpalDevice { _stream: stream, _input: input, name, inputs, doors, host: config.host })
    }
}

/// Opens the input of a device: at the rate of the engine, or not at all.
fn listen(
    config: &DeviceConfig,
    signals: &Signals,
    door: &Arc<Door>,
) -> Result<(Stream, Capture), DeviceError> {
    let device = find_input(config)?;
    let name = name_of(&device);
    let refused = |reason: String| DeviceError::Format {
        device: name.clone(),
        rate: config.sample_rate,
        channels: config.inputs,
        reason,
    };
    let formats = device.supported_input_configs().map_err(|error| refused(error.to_string()))?;
    let fitting = formats.filter(|format| {
        format.contains_rate(config.sample_rate) && format_rank(format.sample_format()).is_some()
    });
    let rank = |format: &SupportedStreamConfigRange| {
        let missing = config.inputs.saturating_sub(format.channels());
        let surplus = format.channels().saturating_sub(config.inputs);
        (missing, surplus, format_rank(format.sample_format()))
    };
    let Some(best) = fitting.min_by_key(rank) else {
        return Err(refused("it is not heard at this rate".to_owned()));
    };
    let stream_config = StreamConfig {
        channels: best.channels(),
        sample_rate: config.sample_rate,
        buffer_size: match config.buffer_frames {
            Some(frames) if config.host != Host::Jack => BufferSize::Fixed(frames),
            _ => BufferSize::Default,
        },
    };
    let (feed, capture) = capture::pair(usize::from(best.channels()), config.sample_rate);
    let build = match best.sample_format() {
        SampleFormat::F64 => hear::<f64>,
        SampleFormat::I32 => hear::<i32>,
        SampleFormat::I16 => hear::<i16>,
        SampleFormat::U16 => hear::<u16>,
        _ => hear::<f32>,
    };
    let failed = |error: cpal::Error| refusal(&name, config, &error);
    let stream =
        build(&device, stream_config, feed, door.clone(), signals.clone()).map_err(failed)?;
    stream.play().map_err(failed)?;
    Ok((stream, capture))
}

fn hear<T: SizedSample>(
    device: &Device,
    config: StreamConfig,
    mut feed: Feed,
    door: Arc<Door>,
    signals: Signals,
) -> Result<Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    device.build_input_stream(
        config,
        move |heard: &[T], _: &cpal::InputCallbackInfo| {
            if door.enter() {
                feed.push(heard.iter().map(|sample| f32::from_sample(*sample)), heard.len());
                door.leave();
            }
        },
        move |error| {
            // The side that plays says when the device is lost.
            if error.kind() == ErrorKind::Xrun {
                signals.xruns.fetch_add(1, Ordering::Relaxed);
            }
        },
        None,
    )
}

fn refusal(device: &str, config: &DeviceConfig, error: &cpal::Error) -> DeviceError {
    let (device, reason) = (device.to_owned(), error.to_string());
    match error.kind() {
        ErrorKind::UnsupportedConfig | ErrorKind::InvalidInput => DeviceError::Format {
            device,
            rate: config.sample_rate,
            channels: config.channels,
            reason,
        },
        ErrorKind::DeviceBusy => DeviceError::Busy { device, reason },
        ErrorKind::HostUnavailable => DeviceError::HostUnavailable { host: config.host, reason },
        _ => DeviceError::Failed { device, reason },
    }
}

fn build_floats(
    device: &Device,
    config: StreamConfig,
    mut seat: Seat,
    mut capture: Capture,
    signals: Signals,
) -> Result<Stream, cpal::Error> {
    let channels = usize::from(config.channels);
    let calls = signals.calls.clone();
    device.build_output_stream(
        config,
        move |out: &mut [f32], _: &cpal::OutputCallbackInfo| {
            calls.fetch_add(1, Ordering::Relaxed);
            capture.hear(out.len() / channels, |inputs| seat.run(inputs, out, channels));
        },
        move |error| watch(&signals, &error),
        None,
    )
}

fn build<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: StreamConfig,
    mut seat: Seat,
    mut capture: Capture,
    signals: Signals,
) -> Result<Stream, cpal::Error> {
    let channels = usize::from(config.channels);
    let calls = signals.calls.clone();
    let mut floats = vec![0.0f32; CONVERTED * channels];
    device.build_output_stream(
        config,
        move |out: &mut [T], _: &cpal::OutputCallbackInfo| {
            calls.fetch_add(1, Ordering::Relaxed);
            for piece in out.chunks_mut(CONVERTED * channels) {
                let floats = &mut floats[..piece.len()];
                let frames = floats.len() / channels;
                capture.hear(frames, |inputs| seat.run(inputs, floats, channels));
                for (sample, float) in piece.iter_mut().zip(floats) {
                    *sample = T::from_sample(float.clamp(-1.0, 1.0));
                }
            }
        },
        move |error| watch(&signals, &error),
        None,
    )
}

/// On whatever thread the host likes.
fn watch(signals: &Signals, error: &cpal::Error) {
    match error.kind() {
        ErrorKind::Xrun => {
            signals.xruns.fetch_add(1, Ordering::Relaxed);
        }
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => (signals.lost)(error.to_string()),
    }
}
