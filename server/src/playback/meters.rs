//! What streams of meters measure: levels of every channel as they come from the
//! audio thread, and ears on those channels whose spectrum, phase or loudness
//! somebody wants to see.

use std::collections::BTreeMap;

use pulse_engine::{
    analysis::Spectrum,
    rt::{
        Engine, Level,
        engine::Look,
        scope::{SILENCE_LUFS, transform_size},
    },
};
use pulse_schemas::{command::metering::MeterKind, graph::OutputKind, id::ChannelId};

use super::{Metered, said::Said};

/// A channel that somebody listens to.
struct Ear {
    look: Look,
    /// Streams that want it.
    users: usize,
    loud: bool,
}

/// One open stream.
struct Stream {
    kind: MeterKind,
    channels: Vec<Metered>,
    /// Since the last frame of the stream, and what that frame said.
    levels: BTreeMap<ChannelId, (Option<Level>, Level)>,
}

/// Every open stream and what it listens to.
#[derive(Default)]
pub struct Streams {
    open: BTreeMap<u32, Stream>,
    /// By channel, and whether loudness is measured.
    ears: BTreeMap<(ChannelId, bool), Ear>,
    transforms: BTreeMap<usize, Spectrum>,
}

/// Whether a kind needs the samples themselves, and all of them.
fn ear_of(kind: MeterKind) -> Option<bool> {
    match kind {
        MeterKind::Spectrum | MeterKind::Phase => Some(false),
        MeterKind::Loudness => Some(true),
        MeterKind::Level | MeterKind::Transport => None,
    }
}

impl Streams {
    /// Opens a stream, or gives an open one other channels. Where not all of them
    /// can be listened to, none is and the stream stays as it was.
    pub fn open(
        &mut self,
        engine: &Engine,
        number: u32,
        kind: MeterKind,
        channels: &[Metered],
    ) -> Result<(), String> {
        let mut taken = Vec::new();
        for channel in channels {
            let Some(loud) = ear_of(kind) else { break };
            if let Err(error) = self.take_ear(engine, channel, loud) {
                self.drop_ears(engine, &taken, loud);
                return Err(error.to_string());
            }
            taken.push(channel.id);
        }
        self.close(engine, number);
        let (channels, levels) = (channels.to_vec(), BTreeMap::new());
        self.open.insert(number, Stream { kind, channels, levels });
        Ok(())
    }

    fn take_ear(
        &mut self,
        engine: &Engine,
        channel: &Metered,
        loud: bool,
    ) -> Result<(), pulse_engine::rt::EngineError> {
        if let Some(ear) = self.ears.get_mut(&(channel.id, loud)) {
            ear.users += 1;
            return Ok(());
        }
        let of = match channel.master {
            true => OutputKind::Master,
            false => OutputKind::Tap(channel.id.any()),
        };
        let look = engine.look_at(of, loud)?;
        self.ears.insert((channel.id, loud), Ear { look, users: 1, loud });
        Ok(())
    }

    fn drop_ears(&mut self, engine: &Engine, channels: &[ChannelId], loud: bool) {
        let failed = channels.iter().filter_map(|channel| self.drop_ear(engine, *channel, loud));
        for error in Said::of(failed).lines() {
            tracing::warn!(error, "the engine goes on listening to channels");
        }
    }

    fn drop_ear(
        &mut self,
        engine: &Engine,
        channel: ChannelId,
        loud: bool,
    ) -> Option<pulse_engine::rt::EngineError> {
        let ear = self.ears.get_mut(&(channel, loud))?;
        ear.users -= 1;
        if ear.users > 0 {
            return None;
        }
        let ear = self.ears.remove(&(channel, loud))?;
        engine.look_away(ear.look).err()
    }

    pub fn close(&mut self, engine: &Engine, number: u32) {
        let Some(stream) = self.open.remove(&number) else { return };
        if let Some(loud) = ear_of(stream.kind) {
            let channels: Vec<ChannelId> = stream.channels.iter().map(|it| it.id).collect();
            self.drop_ears(engine, &channels, loud);
        }
    }

    /// Takes every stream to another engine.
    pub fn move_to(&mut self, engine: &Engine) {
        self.ears.clear();
        for (number, stream) in std::mem::take(&mut self.open) {
            if let Err(reason) = self.open(engine, number, stream.kind, &stream.channels) {
                tracing::warn!(reason, number, "a stream of meters ends with its engine");
            }
        }
    }

    /// A level that was measured.
    pub fn level(&mut self, channel: ChannelId, level: Level) {
        for stream in self.open.values_mut() {
            if stream.kind != MeterKind::Level {
                continue;
            }
            let (new, _) = stream.levels.entry(channel).or_default();
            *new = Some(match new {
                Some(held) => Level {
                    peak: [0, 1].map(|side| held.peak[side].max(level.peak[side])),
                    rms: level.rms,
                },
                None => level,
            });
        }
    }

    /// Begins the measurements of these channels again, of all when none is named.
    pub fn reset(&mut self, channels: &[ChannelId]) {
        for ((channel, _), ear) in &mut self.ears {
            if channels.is_empty() || channels.contains(channel) {
                ear.look.listener.restart();
            }
        }
    }

    /// Rings are emptied even while nobody asks, so that loudness misses nothing.
    pub fn listen(&mut self) {
        for ear in self.ears.values_mut().filter(|ear| ear.loud) {
            ear.look.listener.listen();
        }
    }

    /// The samples of one frame.
    pub fn measure(&mut self, number: u32, bands: usize, out: &mut Vec<f32>) {
        let Streams { open, ears, transforms } = self;
        let Some(stream) = open.get_mut(&number) else { return };
        let kind = stream.kind;
        for channel in &stream.channels {
            let ear = ear_of(kind).and_then(|loud| ears.get_mut(&(channel.id, loud)));
            let listener = ear.map(|ear| {
                ear.look.listener.listen();
                &mut ear.look.listener
            });
            match (kind, listener) {
                (MeterKind::Level, _) => {
                    let (new, last) = stream.levels.entry(channel.id).or_default();
                    *last = new.take().unwrap_or(*last);
                    let sides = 0..usize::from(channel.channels.clamp(1, 2));
                    out.extend(sides.flat_map(|side| [last.peak[side], last.rms[side] as f32]));
                }
                (MeterKind::Spectrum, Some(listener)) => {
                    let size = transform_size(bands);
                    let transform = transforms.entry(size).or_insert_with(|| Spectrum::new(size));
                    listener.spectrum(transform, bands, out);
                }
                (MeterKind::Phase, Some(listener)) => out.extend(listener.phase()),
                (MeterKind::Loudness, Some(listener)) => out.extend(listener.loudness()),
                _ => silence(kind, channel, bands, out),
            }
        }
    }
}

/// What a channel reads that doesn't sound.
pub fn silence(kind: MeterKind, channel: &Metered, bands: usize, out: &mut Vec<f32>) {
    match kind {
        MeterKind::Level => {
            out.extend(std::iter::repeat_n(0.0, 2 * usize::from(channel.channels.clamp(1, 2))));
        }
        MeterKind::Spectrum => out.extend(std::iter::repeat_n(0.0, bands)),
        MeterKind::Phase => out.extend([0.0; 2]),
        MeterKind::Loudness => out.extend([SILENCE_LUFS as f32; 3]),
        MeterKind::Transport => {}
    }
}
