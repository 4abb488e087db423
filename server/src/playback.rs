//! What plays the session: the audio engine, or a clock where there is none.
//!
//! The session drives it and asks it; it never calls back. So a session without
//! audio hardware, in a test or on the command line, has a transport that moves
//! like any other, and the engine is one more implementation.

mod clips;
mod derivation;
pub mod deriver;
pub mod inputs;
pub mod meters;
pub mod outputs;
pub mod player;
mod said;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use pulse_engine::anticipate::AheadStats;
use pulse_query::{cohort::Seeds, content::EngineParam};
use pulse_schemas::{
    command::{
        diagnostics::{NodeFault, NodeLoad},
        hardware::{AudioConfig, AudioDevice, MidiPort},
        metering::{ChannelLevel, MeterKind},
        session::EngineState,
    },
    id::{AnyId, ChannelId, HardwareRoleId, TrackId},
    time::Flicks,
};
use pulse_store::view::View;

use crate::rendering::CacheSlot;

/// The device that somebody would like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub host: Option<String>,
    pub device: Option<String>,
    pub rate: Option<u32>,
    pub block: Option<u32>,
}

/// A channel as meters need to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metered {
    pub id: ChannelId,
    pub channels: u8,
    pub master: bool,
}

/// How to begin to play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    pub from: Flicks,
    /// A part of the song that is played before it.
    pub pre_roll: Flicks,
    /// Bars that are counted before anything plays, and how long they take.
    pub count_in: u8,
    pub count_in_time: Flicks,
    pub record: bool,
}

impl Roll {
    pub fn from(from: Flicks) -> Roll {
        Roll { from, ..Roll::default() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rolling {
    pub counting: bool,
    pub recording: bool,
}

/// What an engine has to say by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    pub state: Option<EngineState>,
    /// Why the device that was asked for doesn't play.
    pub lost: Option<String>,
    pub losses: u64,
    pub recoveries: u64,
    pub xruns: u64,
    pub load: f64,
    /// Nodes that failed since the last news, and how.
    pub faults: Vec<(AnyId, String)>,
}

/// How the engine has been doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Part of the time that there is: mean and worst of the last second.
    pub mean: f64,
    pub peak: f64,
    pub xruns: u64,
    pub nodes: u64,
    pub faults: Vec<NodeFault>,
    pub latency_frames: u32,
}

/// Plays what is open, from now on and until told otherwise. What is left out is
/// done as where nothing sounds.
pub trait Playback: Send {
    fn state(&self) -> EngineState;

    /// Plays another revision from now on, or nothing: what the project holds, with
    /// the folder that its media lie in.
    fn follow(&mut self, _revision: Option<(&View, Option<&Path>)>) {}

    /// Where what is made of clips is found and kept, from the next revision on.
    fn keep_clips_in(&mut self, _cache: Option<Arc<CacheSlot>>) {}

    /// What makes tracks live beside what the project says: open editors and what
    /// users decided for this session.
    fn set_seeds(&mut self, _seeds: &Seeds) {}

    /// How the part that is rendered ahead fares; none where nothing is.
    fn ahead(&self) -> Option<AheadStats> {
        None
    }

    /// Waits until so many frames lie ready; false when that takes too long.
    fn settle_ahead(&self, _frames: u64, _patience: std::time::Duration) -> bool {
        true
    }

    /// How far what an entity sounds through is rendered ahead; none for what is
    /// live and for what makes no sound.
    fn ahead_ms(&self, _entity: AnyId) -> Option<f64> {
        None
    }

    /// Where the song is now.
    fn position(&self) -> Flicks;

    /// Waits until what was shown plays; the reason when it doesn't.
    fn settle(&self, _patience: std::time::Duration) -> Result<(), String> {
        Ok(())
    }

    /// Called many times a second.
    fn tick(&mut self) {}

    /// What happened by itself since the last call.
    fn news(&mut self) -> News {
        News { state: Some(self.state()), ..News::default() }
    }

    /// Moves on.
    fn play(&mut self, roll: &Roll);

    /// Whether beats are being counted, and whether what sounds is recorded.
    fn rolling(&self) -> Rolling;

    /// Where recording begins and ends by itself.
    fn set_punch(&mut self, _range: Option<(Flicks, Flicks)>) {}

    /// Stands still; `keep_tails` for a pause, whose voices go on at the next play.
    fn halt(&mut self, keep_tails: bool);

    /// Jumps, playing or not.
    fn seek(&mut self, to: Flicks);

    /// Repeats a stretch whose end is reached, or none.
    fn set_loop(&mut self, range: Option<(Flicks, Flicks)>);

    fn set_metronome(&mut self, _enabled: bool, _gain_db: f64) {}

    /// Notes off, tails cut.
    fn panic(&mut self) {}

    /// Holds a parameter at a value that is no edit yet; none lets go of it.
    fn hold(&mut self, _parameter: &EngineParam, _value: Option<f64>) {}

    /// A note played by hand; velocity 0 ends it.
    fn note(&mut self, _track: TrackId, _channel: u8, _pitch: u8, _velocity: u16) {}

    /// Levels of the channels that are metered.
    fn levels(&self, _channels: &[ChannelId]) -> Vec<ChannelLevel> {
        Vec::new()
    }

    /// Takes held peaks back; all when none is named.
    fn reset_levels(&mut self, _channels: &[ChannelId]) {}

    /// Begins to measure for a stream, or to measure other channels for it. The
    /// reason comes back where it can't.
    fn watch(
        &mut self,
        _stream: u32,
        _kind: MeterKind,
        _channels: &[Metered],
    ) -> Result<(), String> {
        Ok(())
    }

    fn unwatch(&mut self, _stream: u32) {}

    /// Adds the samples of one frame of a stream: nothing sounds, unless somebody
    /// knows better.
    fn measure(
        &mut self,
        _stream: u32,
        kind: MeterKind,
        channels: &[Metered],
        bands: u16,
        out: &mut Vec<f32>,
    ) {
        let bands = usize::from(bands);
        channels.iter().for_each(|channel| meters::silence(kind, channel, bands, out));
    }

    fn load(&self) -> Load {
        Load::default()
    }

    /// Measures the cost of each node, from now on or no longer.
    fn set_profiling(&mut self, _on: bool) {}

    /// The most expensive nodes, the worst first; none while nobody measures.
    fn node_loads(&self) -> Option<Vec<NodeLoad>> {
        None
    }

    fn reset_counters(&mut self) {}

    fn config(&self) -> AudioConfig;

    fn devices(&self) -> (Vec<AudioDevice>, Vec<MidiPort>);

    /// Changes the device. Where it can't, the null device runs and the reason
    /// comes back.
    fn configure(&mut self, wanted: &Wanted) -> Option<String>;

    /// What fills the roles of the project on this machine.
    fn set_roles(&mut self, _roles: &BTreeMap<HardwareRoleId, (String, u16)>) {}

    /// Opens or closes MIDI ports; the name of the first that isn't there fails.
    fn set_midi(&mut self, ports: &[String], active: bool) -> Result<(), String>;
}

/// Flicks of one nanosecond are 0.7056: positions are counted from the start of
/// play in whole nanoseconds, so that nothing adds up.
const FLICKS_PER_SECOND: i128 = 705_600_000;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// No sound: the song moves with the clock on the wall.
pub struct Headless {
    clock: Box<dyn Fn() -> u64 + Send>,
    /// Where the song was, and when; it moves while this is set.
    since: Option<u64>,
    at: Flicks,
    repeat: Option<(Flicks, Flicks)>,
    /// Nanoseconds until the song moves.
    wait: u64,
    record_from: Option<Flicks>,
    punch: Option<(Flicks, Flicks)>,
    rate: u32,
    block: u32,
}

impl Default for Headless {
    fn default() -> Headless {
        let start = Instant::now();
        let nanos = move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Headless::over(nanos)
    }
}

impl Headless {
    /// Moves with a clock of nanoseconds.
    pub fn over(clock: impl Fn() -> u64 + Send + 'static) -> Headless {
        Headless {
            clock: Box::new(clock),
            since: None,
            at: Flicks(0),
            repeat: None,
            wait: 0,
            record_from: None,
            punch: None,
            rate: 48_000,
            block: 512,
        }
    }

    /// Starts counting again from `at`.
    fn rebase(&mut self, at: Flicks) {
        self.at = at;
        self.wait = 0;
        if self.since.is_some() {
            self.since = Some((self.clock)());
        }
    }

    /// The song's position, folded into the loop once it has reached its end.
    fn fold(&self, at: i128) -> i128 {
        match self.repeat {
            Some((start, end)) if self.at < end && at >= i128::from(end.0) && start < end => {
                let (start, length) = (i128::from(start.0), i128::from(end.0 - start.0));
                start + (at - start) % length
            }
            _ => at,
        }
    }
}

impl Playback for Headless {
    fn state(&self) -> EngineState {
        EngineState::Stopped
    }

    fn position(&self) -> Flicks {
        let Some(since) = self.since else { return self.at };
        let nanos = (self.clock)().saturating_sub(since).saturating_sub(self.wait);
        let passed = i128::from(nanos) * FLICKS_PER_SECOND / NANOS_PER_SECOND;
        let at = self.fold(i128::from(self.at.0) + passed);
        Flicks(i64::try_from(at).unwrap_or(i64::MAX)).clamped()
    }

    fn play(&mut self, roll: &Roll) {
        self.since = Some((self.clock)());
        self.at = Flicks(roll.from.0 - roll.pre_roll.0.max(0));
        let wait = i128::from(roll.count_in_time.0.max(0)) * NANOS_PER_SECOND / FLICKS_PER_SECOND;
        self.wait = u64::try_from(wait).unwrap_or(u64::MAX);
        self.record_from = roll.record.then_some(roll.from);
    }

    fn rolling(&self) -> Rolling {
        let Some(since) = self.since else { return Rolling::default() };
        let counting = (self.clock)().saturating_sub(since) < self.wait;
        let at = self.position();
        let inside = self.punch.is_none_or(|(start, end)| (start..end).contains(&at));
        let begun = self.record_from.is_some_and(|from| at >= from);
        Rolling { counting, recording: !counting && begun && inside }
    }

    fn set_punch(&mut self, range: Option<(Flicks, Flicks)>) {
        self.punch = range;
    }

    fn halt(&mut self, _keep_tails: bool) {
        self.at = self.position();
        self.since = None;
        self.record_from = None;
    }

    fn seek(&mut self, to: Flicks) {
        self.rebase(to);
    }

    fn set_loop(&mut self, range: Option<(Flicks, Flicks)>) {
        let at = self.position();
        self.repeat = range;
        self.rebase(at);
    }

    fn config(&self) -> AudioConfig {
        AudioConfig {
            host: "null".into(),
            device: None,
            rate: self.rate,
            block: self.block,
            inputs: 0,
            outputs: 2,
            latency_ms: 0.0,
            running: false,
            xruns: 0,
        }
    }

    fn devices(&self) -> (Vec<AudioDevice>, Vec<MidiPort>) {
        let null = AudioDevice {
            id: "null:clock".into(),
            name: "No sound".into(),
            host: "null".into(),
            inputs: 0,
            outputs: 2,
            rates: vec![44_100, 48_000, 88_200, 96_000, 176_400, 192_000],
            block_min: Some(16),
            block_max: Some(8_192),
            default: true,
            active: true,
        };
        (vec![null], Vec::new())
    }

    fn configure(&mut self, wanted: &Wanted) -> Option<String> {
        self.rate = wanted.rate.unwrap_or(self.rate);
        self.block = wanted.block.unwrap_or(self.block);
        let host = wanted.host.as_deref().filter(|host| *host != "null");
        let device = wanted.device.as_deref().filter(|device| *device != "null:clock");
        let asked = host.or(device)?;
        Some(format!("no audio engine is attached that could open `{asked}`"))
    }

    fn set_midi(&mut self, ports: &[String], _active: bool) -> Result<(), String> {
        ports.first().map_or(Ok(()), |port| Err(port.clone()))
    }
}

/// A playback that says what a test writes for it.
#[cfg(test)]
pub struct Scripted {
    pub inner: Headless,
    pub script: std::sync::Arc<std::sync::Mutex<News>>,
}

#[cfg(test)]
mod scripted;

#[cfg(test)]
mod ahead_tests;
#[cfg(test)]
mod clips_tests;
#[cfg(test)]
mod derivation_tests;
#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod shelf_tests;

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    const SECOND: i64 = 705_600_000;

    #[test]
    fn the_clock_moves_the_song_and_the_loop_folds_it() {
        let now = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&now);
        let mut playback = Headless::over(move || clock.load(Ordering::Relaxed));
        let pass = |seconds: u64| now.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
        playback.play(&Roll::from(Flicks(SECOND)));
        pass(2);
        assert_eq!(playback.position(), Flicks(3 * SECOND));
        playback.set_loop(Some((Flicks(2 * SECOND), Flicks(4 * SECOND))));
        pass(2);
        assert_eq!(playback.position(), Flicks(3 * SECOND));
        playback.seek(Flicks(9 * SECOND));
        pass(1);
        assert_eq!(playback.position(), Flicks(10 * SECOND), "behind the loop's end");
        playback.halt(false);
        pass(5);
        assert_eq!(playback.position(), Flicks(10 * SECOND));
    }

    #[test]
    fn only_the_null_device_is_there() {
        let mut playback = Headless::default();
        let jack = Wanted { host: Some("jack".into()), rate: Some(96_000), ..Wanted::default() };
        assert!(playback.configure(&jack).is_some());
        assert_eq!((playback.config().host.as_str(), playback.config().rate), ("null", 96_000));
        assert!(playback.configure(&Wanted::default()).is_none());
    }
}
