//! The audio engine as the session drives it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pulse_engine::{
    anticipate::{AheadStats, Anticipation},
    device::{DeviceConfig, Host, midir},
    event::EventBody,
    registry::Registry,
    rt::{
        Config, Engine, EngineError, Feedback, Level, Mode, NodeCost,
        transport::{Range, Start},
    },
};
use pulse_query::{
    cohort::Seeds,
    content::EngineParam,
    render::shelf::{CacheShelf, How},
};
use pulse_schemas::{
    command::{
        diagnostics::{NodeFault, NodeLoad},
        hardware::{AudioConfig, AudioDevice, MidiPort},
        metering::{ChannelLevel, MeterKind},
        session::EngineState,
    },
    graph::NodeKey,
    id::{AnyId, ChannelId, HardwareRoleId, TrackId},
    time::Flicks,
};
use pulse_store::view::View;

use super::{
    Load, Metered, News, Playback, Roll, Rolling, Wanted,
    deriver::{Deriver, Revision, channel_of},
    inputs::Hardware,
    meters::Streams,
    said::Said,
};
use crate::{config::Config as Settings, rendering::CacheSlot};

const DEFAULT_RATE: u32 = 48_000;
const DEFAULT_BLOCK: u32 = 256;
/// Rates that the null device is offered with.
const RATES: [u32; 6] = [44_100, 48_000, 88_200, 96_000, 176_400, 192_000];

/// What was measured since counters were reset.
#[derive(Default)]
struct Meters {
    levels: BTreeMap<ChannelId, Level>,
    load: pulse_engine::rt::feedback::Load,
    faults: BTreeMap<AnyId, (String, u64)>,
    /// Faults that nobody was told of.
    fresh_faults: Vec<(AnyId, String)>,
    streams: Streams,
    /// Xruns before the last reset.
    forgotten: u64,
    xruns: u64,
}

pub struct Player {
    // The deriver first: it holds the engine, which must be the last to go.
    deriver: Deriver,
    engine: Arc<Engine>,
    registry: Registry,
    device: DeviceConfig,
    revision: Option<Revision>,
    cache: Option<Arc<CacheSlot>>,
    seeds: Arc<Seeds>,
    ahead: Option<Ahead>,
    playing: bool,
    /// Where the song was last sent to.
    landed: Flicks,
    /// Parameters that were held and are to be the project's again.
    released: Vec<(NodeKey, String)>,
    roles: BTreeMap<HardwareRoleId, (String, u16)>,
    /// MIDI ports that are heard.
    ports: BTreeMap<String, midir::MidiIn>,
    meters: Mutex<Meters>,
}

#[derive(Debug, thiserror::Error)]
pub enum PlayerError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The device that settings ask for.
pub fn device_of(wanted: &Wanted, before: &DeviceConfig) -> Result<DeviceConfig, String> {
    let host = match wanted.host.as_deref() {
        None => before.host,
        Some(name) => Host::parse(name).ok_or_else(|| {
            format!("there is no audio host `{name}`; there are null, alsa, jack")
        })?,
    };
    // Clients name devices with their host in front.
    let own = |name: &String| -> String {
        let prefix = format!("{}:", host.name());
        name.strip_prefix(&prefix).unwrap_or(name).to_owned()
    };
    let kept = before.name.clone().filter(|_| host == before.host);
    Ok(DeviceConfig {
        host,
        name: wanted.device.as_ref().map(own).or(kept).filter(|_| host != Host::Null),
        sample_rate: wanted.rate.unwrap_or(before.sample_rate),
        buffer_frames: wanted.block.or(before.buffer_frames),
        channels: before.channels,
        inputs: before.inputs,
    })
}

/// How what nobody plays by hand is rendered ahead.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ahead {
    pub how: Anticipation,
    /// How much of what renders made lies ready; none for nothing.
    pub ready: Option<How>,
}

/// How far ahead settings want sound to be rendered; none for not at all.
pub fn ahead_of(config: &Settings) -> Option<Ahead> {
    let defaults = Anticipation::default();
    let workers = usize::try_from(config.audio_workers).ok().filter(|workers| *workers > 0);
    let megabytes = usize::try_from(config.audio_ready_mb).ok().filter(|megabytes| *megabytes > 0);
    let how = Anticipation {
        look_ahead_ms: config.audio_look_ahead_ms as f64,
        lead_ms: config.audio_lead_ms as f64,
        workers: workers.unwrap_or(defaults.workers),
    };
    let ready = megabytes.map(|megabytes| How { limit: megabytes << 20, ..How::default() });
    (config.audio_look_ahead_ms > 0).then_some(Ahead { how, ready })
}

/// The device at a rate that it has. Where that can't be told, opening it says why.
fn fitting(wanted: &DeviceConfig) -> DeviceConfig {
    let found = pulse_engine::device::fitting(wanted).unwrap_or_else(|_| wanted.clone());
    if found.sample_rate != wanted.sample_rate {
        let (wanted, rate) = (wanted.sample_rate, found.sample_rate);
        tracing::info!(wanted, rate, "the audio device has another rate; playing at its own");
    }
    found
}

impl Player {
    /// Plays through a device: at its own rate, where it hasn't the wanted one.
    /// Computes everything when the device asks.
    pub fn start(device: DeviceConfig, registry: Registry) -> Result<Player, PlayerError> {
        Player::start_ahead(device, registry, None)
    }

    /// Renders what is not live ahead of time.
    pub fn start_ahead(
        device: DeviceConfig,
        registry: Registry,
        ahead: Option<Ahead>,
    ) -> Result<Player, PlayerError> {
        let device = fitting(&device);
        let shelf = ahead.and_then(|ahead| ahead.ready).map(CacheShelf::start).transpose()?;
        let shelf = shelf.map(Arc::new);
        let config = Config {
            registry: registry.clone(),
            anticipation: ahead.map(|ahead| ahead.how),
            shelf: shelf.clone().map(|shelf| shelf as _),
            ..Config::new(device.clone())
        };
        let player = Player::over_with(Engine::start(config)?, device, registry, shelf)?;
        Ok(Player { ahead, ..player })
    }

    /// A port that the program plays itself, heard like any other.
    pub fn port(&self, name: &str) -> Option<midir::Port> {
        Some(midir::Port::new(name, self.engine.inlet()?, self.deriver.targets()))
    }

    fn open_port(&mut self, name: &str) -> Result<(), String> {
        if self.ports.contains_key(name) {
            return Ok(());
        }
        let inlet = self.engine.inlet().ok_or_else(|| name.to_owned())?;
        match midir::MidiIn::open(name, inlet, self.deriver.targets()) {
            Ok(port) => {
                self.ports.insert(name.to_owned(), port);
                Ok(())
            }
            Err((error, inlet)) => {
                tracing::warn!(%error, "a MIDI port is not heard");
                if let Some(inlet) = inlet {
                    self.engine.return_inlet(inlet);
                }
                Err(name.to_owned())
            }
        }
    }

    fn close_port(&mut self, name: &str) {
        if let Some(port) = self.ports.remove(name) {
            self.engine.return_inlet(port.close());
        }
    }

    /// What the machine has, with the device that plays now.
    fn hardware(&self) -> Hardware {
        let device = self.engine.device();
        let device = device.map(|state| format!("{}:{}", state.playing.name(), state.name));
        Hardware { roles: self.roles.clone(), device: device.unwrap_or_default() }
    }

    /// Shows the project again where the machine has something else for it.
    fn rewire(&mut self) {
        let hardware = self.hardware();
        if let Some(revision) = &mut self.revision
            && revision.hardware != hardware
        {
            revision.hardware = hardware;
            self.deriver.show(revision.clone());
        }
    }

    /// Plays through an engine that runs already.
    pub fn over(
        engine: Engine,
        device: DeviceConfig,
        registry: Registry,
    ) -> Result<Player, PlayerError> {
        Player::over_with(engine, device, registry, None)
    }

    /// The same through one that takes from this shelf.
    pub fn over_with(
        engine: Engine,
        device: DeviceConfig,
        registry: Registry,
        shelf: Option<Arc<CacheShelf>>,
    ) -> Result<Player, PlayerError> {
        let engine = Arc::new(engine);
        let deriver = Deriver::start(engine.clone(), registry.clone(), shelf)?;
        Ok(Player {
            deriver,
            engine,
            registry,
            device,
            revision: None,
            cache: None,
            seeds: Arc::default(),
            ahead: None,
            playing: false,
            landed: Flicks(0),
            released: Vec::new(),
            roles: BTreeMap::new(),
            ports: BTreeMap::new(),
            meters: Mutex::default(),
        })
    }

    /// Null at the rate and block that settings say.
    pub fn null_device(rate: Option<u32>) -> DeviceConfig {
        let rate = rate.filter(|rate| *rate >= 8_000).unwrap_or(DEFAULT_RATE);
        DeviceConfig { buffer_frames: Some(DEFAULT_BLOCK), ..DeviceConfig::null(rate) }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Waits until what was shown plays. The reason when it doesn't.
    pub fn settle(&self, patience: Duration) -> Result<(), String> {
        if !self.deriver.settle(patience) {
            return Err("the project takes too long to load".to_owned());
        }
        self.deriver.playing().failed.clone().map_or(Ok(()), Err)
    }

    /// The last frame at which anything begins or plays.
    pub fn end(&self) -> i64 {
        self.deriver.playing().facts.end
    }

    fn frame(&self, flicks: Flicks) -> i64 {
        flicks.to_frame(self.engine.sample_rate())
    }

    fn told(&self, result: Result<(), EngineError>) {
        self.all_told([result]);
    }

    /// Many commands of one kind, of which one line tells.
    fn all_told(&self, results: impl IntoIterator<Item = Result<(), EngineError>>) {
        for error in Said::of(results.into_iter().filter_map(Result::err)).lines() {
            tracing::warn!(error, "the engine did not take a command");
        }
    }

    /// Adds what was measured since the last look.
    fn look(&self) -> MutexGuard<'_, Meters> {
        let feedback = self.engine.feedback();
        let master = self.deriver.playing().facts.master;
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.add(&feedback, master);
        meters.streams.listen();
        // The frames differ, what is said does not.
        let notes = self.engine.notes();
        let at = notes.first().map_or(0, |note| note.clock);
        for what in Said::of(notes.iter().map(|note| note.what)).lines() {
            tracing::warn!("audio thread from frame {at} on: {what}");
        }
        let faults = self.engine.retired_faults();
        let node = faults.first().map(|fault| fault.key.node.to_string());
        for reason in Said::of(faults.iter().map(|fault| format!("{:?}", fault.reason))).lines() {
            tracing::warn!(first = node, reason, "nodes had failed");
        }
        meters
    }

    /// A new engine, for another rate: everything is compiled again.
    fn restart(&mut self, device: DeviceConfig) -> Result<(), PlayerError> {
        let position = self.position();
        let names: Vec<String> = self.ports.keys().cloned().collect();
        // Some drivers let nobody open a port twice.
        names.iter().for_each(|name| self.close_port(name));
        let mut next = Player::start_ahead(device, self.registry.clone(), self.ahead)?;
        next.seeds = self.seeds.clone();
        next.roles = self.roles.clone();
        next.cache = self.cache.clone();
        for name in names {
            // Why not is in the log.
            let _ = next.open_port(&name);
        }
        if let Some(Revision { view, dir, .. }) = &self.revision {
            next.follow(Some((view, dir.as_deref())));
        }
        if self.playing {
            next.play(&Roll::from(position));
        } else {
            next.seek(position);
        }
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut streams = std::mem::take(&mut meters.streams);
        drop(meters);
        streams.move_to(&next.engine);
        next.meters.get_mut().unwrap_or_else(PoisonError::into_inner).streams = streams;
        *self = next;
        Ok(())
    }

    fn change_device(&mut self, device: &DeviceConfig) -> Result<(), PlayerError> {
        let device = &fitting(device);
        if device.sample_rate != self.device.sample_rate {
            return self.restart(device.clone());
        }
        self.engine.open_device(device.clone())?;
        self.device = device.clone();
        self.rewire();
        Ok(())
    }
}

/// When a frame sounds; [`Flicks::of_frame`] is the earliest time that is rounded to it.
fn time_of(frame: i64, rate: u32) -> Flicks {
    let time = i128::from(frame) * i128::from(Flicks::PER_SECOND) / i128::from(rate.max(1));
    Flicks(time as i64)
}

impl Meters {
    fn add(&mut self, feedback: &Feedback, master: Option<ChannelId>) {
        self.load = feedback.load;
        self.xruns = feedback.xruns;
        for (kind, level) in &feedback.levels {
            let Some(channel) = channel_of(*kind).or(master) else { continue };
            let held = self.levels.entry(channel).or_default();
            for side in 0..2 {
                held.peak[side] = held.peak[side].max(level.peak[side]);
            }
            held.rms = level.rms;
            if feedback.fresh {
                self.streams.level(channel, *level);
            }
        }
        for fault in &feedback.faults {
            let reason = if fault.panicked { "it panicked" } else { "its output was not finite" };
            let (_, count) = self.faults.entry(fault.node.entity).or_insert((reason.to_owned(), 0));
            *count += 1;
            self.fresh_faults.push((fault.node.entity, reason.to_owned()));
        }
    }
}

impl Playback for Player {
    fn state(&self) -> EngineState {
        match self.engine.device() {
            Some(device) if device.lost.is_some() => EngineState::Recovering,
            _ => EngineState::Running,
        }
    }

    fn follow(&mut self, revision: Option<(&View, Option<&Path>)>) {
        let Some((view, dir)) = revision else {
            // Nothing is open: nothing moves. The graph goes with the next one.
            self.halt(false);
            self.told(self.engine.panic());
            self.revision = None;
            self.deriver.forget();
            return;
        };
        let (view, dir) = (view.clone(), dir.map(Path::to_owned));
        let (hardware, seeds) = (self.hardware(), self.seeds.clone());
        let cache = self.cache.clone();
        let revision = Revision { view, dir, cache, hardware, seeds };
        self.deriver.show(revision.clone());
        self.revision = Some(revision);
    }

    fn keep_clips_in(&mut self, cache: Option<Arc<CacheSlot>>) {
        self.cache = cache;
    }

    fn set_seeds(&mut self, seeds: &Seeds) {
        if *self.seeds == *seeds {
            return;
        }
        self.seeds = Arc::new(seeds.clone());
        if let Some(revision) = &mut self.revision {
            revision.seeds = self.seeds.clone();
            self.deriver.show(revision.clone());
        }
    }

    fn ahead(&self) -> Option<AheadStats> {
        self.engine.ahead_stats()
    }

    fn settle_ahead(&self, frames: u64, patience: Duration) -> bool {
        self.engine.settle_ahead(frames, patience)
    }

    fn ahead_ms(&self, entity: AnyId) -> Option<f64> {
        let frames = self.engine.ahead_of(entity)?;
        Some(frames as f64 * 1_000.0 / f64::from(self.engine.sample_rate()))
    }

    fn position(&self) -> Flicks {
        let frame = self.engine.song_frame();
        // Who was sent between two frames stands where he was sent to, not before it.
        if self.frame(self.landed) == frame {
            return self.landed;
        }
        time_of(frame, self.engine.sample_rate())
    }

    fn settle(&self, patience: Duration) -> Result<(), String> {
        Player::settle(self, patience)
    }

    /// What was let go goes back to the project once the project that plays is the
    /// one it was let go in: before, its old value would be heard for a moment.
    fn tick(&mut self) {
        if self.released.is_empty() || !self.deriver.is_idle() {
            return;
        }
        let baked = self.released.iter().any(|param| self.deriver.has_baked(param));
        if baked && let Some(revision) = &self.revision {
            self.deriver.show(revision.clone());
        }
        let released = std::mem::take(&mut self.released);
        let released = released.into_iter().filter(|_| !baked);
        self.all_told(released.map(|param| self.engine.release_param(param.0, &param.1)));
    }

    fn news(&mut self) -> News {
        let device = self.engine.device();
        let state = self.state();
        let mut meters = self.look();
        News {
            state: Some(state),
            lost: device.as_ref().and_then(|device| device.lost.clone()),
            losses: device.as_ref().map_or(0, |device| device.losses),
            recoveries: device.as_ref().map_or(0, |device| device.recoveries),
            xruns: meters.xruns.saturating_sub(meters.forgotten),
            load: f64::from(meters.load.mean),
            faults: std::mem::take(&mut meters.fresh_faults),
        }
    }

    fn play(&mut self, roll: &Roll) {
        let from = self.frame(roll.from);
        self.landed = Flicks(roll.from.0 - roll.pre_roll.0);
        let first = self.frame(self.landed);
        let start = Start {
            from: Some(from),
            pre_roll: from - first,
            count_in: roll.count_in,
            record: roll.record,
        };
        self.told(self.engine.play(start));
        self.playing = true;
    }

    fn rolling(&self) -> Rolling {
        let _meters = self.look();
        let (mode, recording) = self.engine.mode();
        Rolling { counting: mode == Mode::CountIn, recording }
    }

    fn set_punch(&mut self, range: Option<(Flicks, Flicks)>) {
        let range = range.and_then(|(start, end)| Range::new(self.frame(start), self.frame(end)));
        self.told(self.engine.set_punch(range));
    }

    fn halt(&mut self, keep_tails: bool) {
        let halted = if keep_tails { self.engine.pause() } else { self.engine.stop() };
        self.told(halted);
        self.playing = false;
    }

    fn seek(&mut self, to: Flicks) {
        self.landed = to;
        self.told(self.engine.seek(self.frame(to)));
    }

    fn set_loop(&mut self, range: Option<(Flicks, Flicks)>) {
        let range = range.and_then(|(start, end)| Range::new(self.frame(start), self.frame(end)));
        self.told(self.engine.set_loop(range));
    }

    fn set_metronome(&mut self, enabled: bool, gain_db: f64) {
        let gain = pulse_engine::dsp::decibel::db_to_gain(gain_db.clamp(-144.0, 24.0));
        self.told(self.engine.set_metronome(enabled, gain as f32));
    }

    fn panic(&mut self) {
        self.told(self.engine.panic());
    }

    fn hold(&mut self, parameter: &EngineParam, value: Option<f64>) {
        let param = (parameter.node, parameter.name.clone());
        self.released.retain(|released| *released != param);
        match value {
            Some(value) => {
                self.told(self.engine.set_param(parameter.node, &parameter.name, value));
                self.deriver.held().insert(param, value);
            }
            None => {
                self.deriver.held().remove(&param);
                self.released.push(param);
            }
        }
    }

    fn note(&mut self, track: TrackId, channel: u8, pitch: u8, velocity: u16) {
        let players = self.deriver.playing().facts.players.get(&track).cloned().unwrap_or_default();
        let (key, level) = (pitch & 127, f32::from(velocity) / 65_535.0);
        let body = if velocity == 0 {
            EventBody::NoteOff { channel, key, velocity: 0.5 }
        } else {
            EventBody::NoteOn { channel, key, pitch: f64::from(key), velocity: level }
        };
        let id = midir::live_id(channel, key);
        self.all_told(players.into_iter().map(|node| self.engine.send_event(node, id, body)));
    }

    fn levels(&self, channels: &[ChannelId]) -> Vec<ChannelLevel> {
        let meters = self.look();
        let wanted = |id: &&ChannelId| channels.is_empty() || channels.contains(id);
        let found = meters.levels.keys().filter(wanted).map(|channel| {
            let level = meters.levels[channel];
            let peak = level.peak.map(f64::from).to_vec();
            ChannelLevel { channel: *channel, peak, rms: level.rms.to_vec() }
        });
        found.collect()
    }

    fn reset_levels(&mut self, channels: &[ChannelId]) {
        let mut meters = self.look();
        meters.levels.retain(|id, _| !channels.is_empty() && !channels.contains(id));
        meters.streams.reset(channels);
    }

    fn watch(&mut self, stream: u32, kind: MeterKind, channels: &[Metered]) -> Result<(), String> {
        let engine = self.engine.clone();
        self.look().streams.open(&engine, stream, kind, channels)
    }

    fn unwatch(&mut self, stream: u32) {
        let engine = self.engine.clone();
        self.look().streams.close(&engine, stream);
    }

    fn measure(
        &mut self,
        stream: u32,
        _kind: MeterKind,
        _channels: &[Metered],
        bands: u16,
        out: &mut Vec<f32>,
    ) {
        self.look().streams.measure(stream, usize::from(bands), out);
    }

    fn load(&self) -> Load {
        let meters = self.look();
        let fault = |(node, (reason, count)): (&AnyId, &(String, u64))| NodeFault {
            node: *node,
            reason: reason.clone(),
            count: *count,
        };
        Load {
            mean: f64::from(meters.load.mean),
            peak: f64::from(meters.load.peak),
            xruns: meters.xruns.saturating_sub(meters.forgotten),
            nodes: self.engine.nodes() as u64,
            faults: meters.faults.iter().map(fault).collect(),
            latency_frames: self.engine.latency(),
        }
    }

    fn set_profiling(&mut self, on: bool) {
        self.told(self.engine.set_profiling(on));
    }

    fn node_loads(&self) -> Option<Vec<NodeLoad>> {
        let mut costs = self.engine.node_costs()?;
        costs.sort_by(|a, b| (b.cost.nanos, a.node).cmp(&(a.cost.nanos, b.node)));
        let load = |cost: NodeCost| NodeLoad {
            node: cost.node.entity,
            role: cost.node.role.to_string(),
            kind: cost.kind,
            track: None,
            mean_us: cost.cost.nanos as f64 / 1_000.0 / cost.cost.blocks.max(1) as f64,
            worst_us: cost.cost.worst as f64 / 1_000.0,
            share: cost.share,
            blocks: cost.cost.blocks,
        };
        Some(costs.into_iter().map(load).collect())
    }

    fn reset_counters(&mut self) {
        let mut meters = self.look();
        meters.forgotten = meters.xruns;
        meters.faults.clear();
    }

    fn config(&self) -> AudioConfig {
        let state = self.engine.device();
        let inputs = state.as_ref().map_or(0, |state| state.inputs);
        let block = self.device.buffer_frames.unwrap_or(DEFAULT_BLOCK);
        let rate = self.engine.sample_rate();
        let frames = f64::from(block) + f64::from(self.engine.latency());
        AudioConfig {
            host: state.as_ref().map_or(self.device.host, |state| state.playing).name().into(),
            device: state.map(|state| state.name).filter(|name| !name.is_empty()),
            rate,
            block,
            inputs,
            outputs: self.device.channels,
            latency_ms: frames * 1_000.0 / f64::from(rate),
            running: true,
            xruns: self.load().xruns,
        }
    }

    fn devices(&self) -> (Vec<AudioDevice>, Vec<MidiPort>) {
        let state = self.engine.device();
        let audio = Engine::devices().into_iter().map(|entry| AudioDevice {
            id: format!("{}:{}", entry.host.name(), entry.name),
            active: state
                .as_ref()
                .is_some_and(|state| state.playing == entry.host && state.name == entry.name),
            name: entry.name,
            host: entry.host.name().to_owned(),
            inputs: entry.inputs,
            outputs: entry.channels,
            rates: RATES
                .into_iter()
                .filter(|rate| entry.rates.is_none_or(|(low, high)| (low..=high).contains(rate)))
                .collect(),
            block_min: None,
            block_max: None,
            default: entry.default,
        });
        let ports = midir::ports().unwrap_or_default();
        let led = self.deriver.ports_out();
        let port = |name: String, input: bool| MidiPort {
            id: name.clone(),
            active: match input {
                true => self.ports.contains_key(&name),
                false => led.get(&name).is_some_and(Option::is_none),
            },
            name,
            input,
        };
        // What notes are led to and isn't there is shown, and waited for.
        let gone = led.keys().filter(|name| !ports.outputs.contains(name));
        let missing: Vec<MidiPort> = gone
            .map(|name| MidiPort {
                id: name.clone(),
                name: format!("{name} (not connected)"),
                input: false,
                active: false,
            })
            .collect();
        let inputs = ports.inputs.into_iter().map(|name| port(name, true));
        let outputs = ports.outputs.into_iter().map(|name| port(name, false));
        (audio.collect(), inputs.chain(outputs).chain(missing).collect())
    }

    fn configure(&mut self, wanted: &Wanted) -> Option<String> {
        let device = match device_of(wanted, &self.device) {
            Ok(device) => device,
            Err(reason) => return Some(reason),
        };
        let error = self.change_device(&device).err()?;
        let null = DeviceConfig { host: Host::Null, name: None, ..self.device.clone() };
        if let Err(error) = self.change_device(&null) {
            tracing::error!(%error, "not even the null device plays");
        }
        Some(error.to_string())
    }

    fn set_roles(&mut self, roles: &BTreeMap<HardwareRoleId, (String, u16)>) {
        self.roles.clone_from(roles);
        self.rewire();
    }

    fn set_midi(&mut self, ports: &[String], active: bool) -> Result<(), String> {
        for port in ports {
            match active {
                true => self.open_port(port)?,
                false => self.close_port(port),
            }
        }
        Ok(())
    }
}
