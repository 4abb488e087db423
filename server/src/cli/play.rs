//! Sound at once: plays a project through a device, and lists devices.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pulse_engine::{
    device::{DeviceConfig, Host},
    registry::Registry,
    rt::{Engine, Feedback},
};
use pulse_query::{source::SourceExt, stored::Stored};
use pulse_schemas::{
    error::{ErrorBody, ErrorCode},
    time::Flicks,
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    access::Place,
    output::{Failure, Output},
    render::{Reading, position},
};
use crate::{
    config::Config,
    playback::{
        Playback, Roll,
        player::{Player, ahead_of},
    },
    rendering::CacheSlot,
    transport::SongTime,
};

const LOADING: Duration = Duration::from_secs(120);
const TURN: Duration = Duration::from_millis(100);
/// What is waited for after the end, so that tails are heard.
const TAIL_SECONDS: f64 = 3.0;

/// The arguments of `pulse play`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The revision; the working copy when absent.
    rev: Option<String>,
    /// null, alsa or jack; null plays to nobody and keeps time.
    #[arg(long, default_value = "alsa")]
    host: String,
    /// As `pulse devices` lists it; the host's default when absent.
    #[arg(long)]
    device: Option<String>,
    /// Where to start: a position such as 17.3.240, or seconds such as 12.5s.
    #[arg(long, value_name = "POSITION")]
    from: Option<String>,
    /// Stop after so many seconds; at the end of the song when absent.
    #[arg(long)]
    seconds: Option<f64>,
    /// Hz; the project's when absent.
    #[arg(long)]
    rate: Option<u32>,
    /// Frames per call of the device.
    #[arg(long)]
    block: Option<u32>,
}

fn refused(text: impl Into<String>) -> Failure {
    ErrorBody::new(ErrorCode::IoFailed, text.into()).into()
}

pub fn play(place: &Place, output: &Output, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reading = Reading::open(place)?;
    let view = reading.view(arguments.rev.as_deref())?;
    let stored = Stored::new(view.clone());
    let from = position(&stored, arguments.from.as_deref())?.unwrap_or_default();
    let arrangement = stored
        .active_arrangement()
        .ok_or_else(|| refused("the project has no arrangement to play"))?;
    let time = SongTime::of(&view, arrangement);
    let project_rate = stored.project().map(|project| project.sample_rate);
    let (device, ahead) = (device(arguments, project_rate)?, ahead_of(&settings()?));
    let mut player = Player::start_ahead(device, Registry::standard(), ahead)
        .map_err(|error| refused(error.to_string()))?;
    let cache = CacheSlot::new(reading.dir.clone(), settings()?.render_cache_bytes);
    player.keep_clips_in(Some(Arc::new(cache)));
    player.follow(Some((&view, Some(&reading.dir))));
    player.settle(LOADING).map_err(refused)?;
    // What is rendered ahead begins there and not with a gap.
    player.settle_ahead(u64::from(player.engine().sample_rate()) / 10, LOADING);
    player.play(&Roll::from(time.tempo.flicks_at(from)));
    let heard = listen(&player, output, &time, arguments.seconds);
    player.halt(false);
    let summary = heard.json(&player);
    Ok(output.result(&summary, |_| {
        format!(
            "played {:.1} s on {}; peak {}, load {:.1} % (worst {:.1} %), {} xruns, {} faults\n",
            heard.seconds,
            summary["device"].as_str().unwrap_or_default(),
            decibels(heard.peak),
            heard.mean * 100.0,
            heard.worst * 100.0,
            heard.xruns,
            heard.faults,
        )
    }))
}

/// The settings of a server that began here.
fn settings() -> Result<Config, Failure> {
    let file = Path::new("pulse.toml");
    Config::load(Some(file).filter(|file| file.exists()), std::env::vars(), &[])
        .map_err(|error| Failure::Usage(error.to_string()))
}

fn device(arguments: &Arguments, project: Option<u32>) -> Result<DeviceConfig, Failure> {
    let host = Host::parse(&arguments.host).ok_or_else(|| {
        Failure::Usage(format!("--host takes null, alsa or jack; found {}", arguments.host))
    })?;
    let rate = arguments.rate.or(project).filter(|rate| *rate >= 8_000).unwrap_or(48_000);
    Ok(DeviceConfig {
        name: arguments.device.clone(),
        buffer_frames: arguments.block,
        ..DeviceConfig::of(host, rate)
    })
}

/// What there was to hear and to measure.
#[derive(Default)]
struct Heard {
    seconds: f64,
    peak: f32,
    mean: f32,
    worst: f32,
    xruns: u64,
    faults: usize,
    song_frame: i64,
}

impl Heard {
    fn add(&mut self, feedback: &Feedback) {
        let master = feedback.master().unwrap_or_default();
        self.peak = master.peak.into_iter().fold(self.peak, f32::max);
        self.mean = feedback.load.mean;
        self.worst = self.worst.max(feedback.load.peak);
        self.xruns = feedback.xruns;
        self.faults += feedback.faults.len();
        self.song_frame = feedback.song_frame;
    }

    fn json(&self, player: &Player) -> Value {
        let device = player.engine().device();
        json!({
            "seconds": self.seconds,
            "song_frame": self.song_frame,
            "rate": player.engine().sample_rate(),
            "peak": self.peak,
            "load": {"mean": self.mean, "worst": self.worst},
            "xruns": self.xruns,
            "faults": self.faults,
            "latency_frames": player.engine().latency(),
            "ahead": player.ahead().map(|ahead| json!({
                "units": ahead.units,
                "missing_frames": ahead.underrun_frames,
                "fallen_behind": ahead.fallen_behind,
                "rendered_frames": ahead.rendered_frames,
                "taken_frames": ahead.taken_frames,
            })),
            "host": device.as_ref().map(|device| device.playing.name()),
            "device": device.as_ref().map(|device| device.name.clone()),
            "lost": device.and_then(|device| device.lost),
        })
    }
}

/// Shows position and levels until the end, the time that was given, or Ctrl-C.
fn listen(player: &Player, output: &Output, time: &SongTime, seconds: Option<f64>) -> Heard {
    let stop = interrupted();
    let began = Instant::now();
    let rate = player.engine().sample_rate();
    let end = player.end() + (TAIL_SECONDS * f64::from(rate)) as i64;
    let mut heard = Heard::default();
    let shown = !output.json && std::io::stderr().is_terminal();
    loop {
        std::thread::sleep(TURN.min(left(began, seconds)));
        let feedback = player.engine().feedback();
        heard.add(&feedback);
        if shown {
            show(&feedback, time, rate);
        }
        let over = seconds.map_or(feedback.song_frame >= end, |_| left(began, seconds).is_zero());
        if over || stop.load(Ordering::Relaxed) {
            break;
        }
    }
    if shown {
        eprint_line("\n");
    }
    heard.seconds = began.elapsed().as_secs_f64();
    heard
}

fn left(began: Instant, seconds: Option<f64>) -> Duration {
    let Some(seconds) = seconds else { return TURN };
    Duration::from_secs_f64(seconds.clamp(0.0, 1e6)).saturating_sub(began.elapsed())
}

fn show(feedback: &Feedback, time: &SongTime, rate: u32) {
    let ticks = time.tempo.tick_at(Flicks::of_frame(feedback.song_frame, rate));
    let [left, right] = feedback.master().unwrap_or_default().peak;
    eprint_line(&format!(
        "\r{:>12}  {:>9} {:>9}  load {:>5.1} %  xruns {}   ",
        time.bars.format(ticks),
        decibels(left),
        decibels(right),
        feedback.load.peak * 100.0,
        feedback.xruns
    ));
}

fn eprint_line(text: &str) {
    let mut out = std::io::stderr().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        // A terminal that is gone shows nothing.
    }
}

fn decibels(peak: f32) -> String {
    if peak <= 0.0 {
        return "silence".to_owned();
    }
    format!("{:.1} dB", pulse_engine::dsp::decibel::gain_to_db(f64::from(peak)))
}

/// Raised by Ctrl-C, where that can be listened for; when it returns, it is.
pub fn interrupted() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = flag.clone();
    let (listening, begun) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async move {
            let Ok(mut pressed) = signal(SignalKind::interrupt()) else { return };
            // Nobody waits any more where the caller is gone.
            let _ = listening.send(());
            if pressed.recv().await.is_some() {
                raised.store(true, Ordering::Relaxed);
            }
        });
    });
    let _ = begun.recv();
    flag
}

pub fn devices(output: &Output) -> Result<ExitCode, Failure> {
    let devices = Engine::devices();
    let value: Vec<Value> = devices
        .iter()
        .map(|device| {
            json!({
                "host": device.host.name(),
                "name": device.name,
                "default": device.default,
                "channels": device.channels,
                "rates": device.rates,
            })
        })
        .collect();
    Ok(output.result(&json!({ "devices": value }), |output| {
        let line = |device: &pulse_engine::device::DeviceEntry| {
            let rates = device.rates.map_or("any rate".to_owned(), |(low, high)| {
                if low == high { format!("{low} Hz") } else { format!("{low} to {high} Hz") }
            });
            let mark = if device.default { " (default)" } else { "" };
            let name = output.bold(&device.name);
            format!(
                "{:<5} {name}{mark}  {} channels, {rates}\n",
                device.host.name(),
                device.channels
            )
        };
        devices.iter().map(line).collect()
    }))
}
