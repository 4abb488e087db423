//! Zones made ready to play: samples in memory behind guards, loops unrolled.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use pulse_schemas::{
    graph::{ZoneLoop, ZoneSpec},
    hash::Hash,
};

use super::{P, PARAMS};
use crate::{
    buffer::{AudioBuffer, AudioSource},
    dsp::interpolate::{SincSpec, SincTable},
    node::{
        BindContext, Content, OpenZone,
        media::{Kept, balance, cached, keep, read_range},
        voices::Note,
    },
};

/// Silence (or the rest of the loop) on both sides of the samples: the widest window.
pub const GUARD: usize = 128;
/// Interpolation tables per octave of speed, up to three octaves.
const TABLES_PER_OCTAVE: f64 = 4.0;
const TABLES: usize = 13;

/// The table for a speed in source frames per output frame: the nearest of a quarter
/// octave each.
pub fn table(speed: f64) -> &'static SincTable {
    static MADE: OnceLock<Vec<SincTable>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        (0..TABLES)
            .map(|k| libm::exp2(k as f64 / TABLES_PER_OCTAVE))
            .map(|ratio| SincTable::new(SincSpec::voice(ratio)))
            .collect()
    });
    let nearest = if speed > 1.0 { libm::rint(libm::log2(speed) * TABLES_PER_OCTAVE) } else { 0.0 };
    &made[(nearest as usize).min(TABLES - 1)]
}

/// Samples with [`GUARD`] frames around them, per channel.
pub struct Guarded {
    planes: Vec<Vec<f32>>,
    pub frames: usize,
}

impl Guarded {
    fn new(channels: usize, frames: usize, sample: impl Fn(usize, i64) -> f32) -> Guarded {
        let range = -(GUARD as i64)..(frames + GUARD) as i64;
        let plane = |channel| range.clone().map(|frame| sample(channel, frame)).collect();
        Guarded { planes: (0..channels).map(plane).collect(), frames }
    }

    /// Both channels between samples, for a position in 0..frames.
    #[inline]
    pub fn at(&self, position: f64, table: &SincTable) -> [f64; 2] {
        let whole = position as usize;
        let start = whole + GUARD - table.lead();
        let mut out = [0.0; 2];
        for (value, plane) in out.iter_mut().zip(&self.planes) {
            if let Some(window) = plane.get(start..start + table.taps()) {
                *value = table.at(window, position - whole as f64);
            }
        }
        if self.planes.len() == 1 {
            out[1] = out[0];
        }
        out
    }
}

/// The repeating part of a sample.
pub struct LoopBody {
    pub samples: Guarded,
    /// First frame of the loop in the whole sample.
    pub start: f64,
    /// Frames of one pass; a ping-pong body holds two.
    pub length: f64,
    /// From here on the first pass reads the body, which knows what follows.
    pub from: f64,
    pub ping_pong: bool,
    pub through_release: bool,
}

/// What the audio of a zone is made of.
pub struct Sample {
    pub whole: Guarded,
    pub body: Option<LoopBody>,
}

/// A zone as voices see it.
pub struct Zone {
    pub id: u128,
    spec: ZoneSpec,
    pub choke_group: u16,
    pub one_shot: bool,
    /// Source frames per output frame at the root key, times the output rate.
    pub source_rate: f64,
    pub gains: [f64; 2],
    pub sample: Arc<Sample>,
}

impl Zone {
    /// Semitones by which a note is played higher than recorded.
    pub fn interval(&self, note: &Note) -> f64 {
        (note.pitch - self.spec.root_key) * self.spec.key_tracking + self.spec.tune_cents / 100.0
    }

    fn covers(&self, note: &Note) -> bool {
        let velocity = note.velocity as f32;
        (self.spec.key_low..=self.spec.key_high).contains(&note.key)
            && velocity >= self.spec.velocity_low
            && velocity <= self.spec.velocity_high
    }

    fn turn_group(&self) -> usize {
        usize::from(self.spec.round_robin_group) % super::GROUPS
    }
}

/// All zones of a sampler, by id.
#[derive(Default)]
pub struct SamplerPlan {
    zones: Vec<Zone>,
    by_key: Vec<Vec<usize>>,
}

impl SamplerPlan {
    pub fn zone(&self, id: u128) -> Option<&Zone> {
        self.zones.binary_search_by_key(&id, |zone| zone.id).ok().and_then(|at| self.at(at))
    }

    pub fn at(&self, index: usize) -> Option<&Zone> {
        self.zones.get(index)
    }

    pub fn choke_group(&self, index: usize) -> u16 {
        self.at(index).map_or(0, |zone| zone.choke_group)
    }

    pub fn of_key(&self, key: u8) -> impl Iterator<Item = usize> + '_ {
        self.by_key.get(usize::from(key)).into_iter().flatten().copied()
    }

    /// Whether a zone answers a note: it covers the note and it is its turn.
    pub fn is_chosen(&self, index: usize, note: &Note, turns: &[u64]) -> bool {
        let Some(zone) = self.at(index).filter(|zone| zone.covers(note)) else { return false };
        if zone.spec.round_robin_group == 0 {
            return true;
        }
        let (mut count, mut rank) = (0, 0);
        for (other_index, other) in self.rivals(zone, note) {
            count += 1;
            let place = (other.spec.round_robin_index, other_index);
            rank += u64::from(place < (zone.spec.round_robin_index, index));
        }
        turns.get(zone.turn_group()).is_some_and(|turn| turn % count == rank)
    }

    /// Zones that take turns with a zone for a note, itself among them.
    fn rivals<'a>(
        &'a self,
        zone: &'a Zone,
        note: &'a Note,
    ) -> impl Iterator<Item = (usize, &'a Zone)> {
        let group = zone.spec.round_robin_group;
        self.of_key(note.key)
            .filter_map(|index| Some((index, self.at(index)?)))
            .filter(move |(_, other)| other.spec.round_robin_group == group && other.covers(note))
    }

    /// Moves every group that a note touched on by one.
    pub fn take_turns(&self, note: &Note, turns: &mut [u64]) {
        for index in self.of_key(note.key) {
            let Some(zone) = self.at(index).filter(|zone| zone.covers(note)) else { continue };
            let first = self.rivals(zone, note).next().is_some_and(|(other, _)| other == index);
            if zone.spec.round_robin_group != 0 && first {
                turns[zone.turn_group()] += 1;
            }
        }
    }
}

pub fn bind(context: &BindContext, content: &mut Content) {
    let _ = table(1.0);
    let wishes = Wishes::of(&context.layout);
    let mut zones: Vec<Zone> =
        content.zones.iter().filter_map(|open| zone(open, &wishes)).collect();
    zones.sort_by_key(|zone| zone.id);
    let by_key = (0..=127)
        .map(|key| {
            let covers = |zone: &Zone| (zone.spec.key_low..=zone.spec.key_high).contains(&key);
            (0..zones.len()).filter(|&index| covers(&zones[index])).collect()
        })
        .collect();
    content.extra = Some(Arc::new(SamplerPlan { zones, by_key }));
}

/// What the sampler wants of all its zones.
struct Wishes {
    reverse: bool,
    ping_pong: bool,
    without_loop: bool,
    crossfade_seconds: f64,
}

impl Wishes {
    fn of(layout: &BTreeMap<String, f64>) -> Wishes {
        let value = |param: P| {
            let desc = &PARAMS[param as usize];
            layout.get(desc.id).copied().unwrap_or(desc.default)
        };
        Wishes {
            reverse: value(P::Reverse) >= 0.5,
            ping_pong: value(P::LoopMode) == 1.0,
            without_loop: value(P::LoopMode) == 2.0,
            crossfade_seconds: value(P::LoopCrossfade) * 0.001,
        }
    }

    /// The zone as it is to be played. A sampler in reverse turns a reversed zone around again.
    fn apply(&self, spec: &ZoneSpec, rate: u32) -> ZoneSpec {
        let mut spec = spec.clone();
        spec.reverse ^= self.reverse;
        let crossfade = libm::round(self.crossfade_seconds * f64::from(rate)) as u64;
        spec.repeat = spec.repeat.filter(|_| !self.without_loop).map(|repeat| ZoneLoop {
            crossfade: repeat.crossfade.max(crossfade),
            ping_pong: repeat.ping_pong || self.ping_pong,
            ..repeat
        });
        spec
    }
}

/// A zone without media, or without a frame to play, is silent: it is left out.
fn zone(open: &OpenZone, wishes: &Wishes) -> Option<Zone> {
    let source = open.source.as_ref()?;
    let spec = &wishes.apply(&open.spec, source.rate());
    let gain = if spec.gain.is_finite() { spec.gain } else { return None };
    Some(Zone {
        id: spec.id.id.0,
        choke_group: spec.choke_group,
        one_shot: spec.one_shot,
        source_rate: f64::from(source.rate()),
        gains: balance(spec.pan).map(|side| side * gain),
        sample: sample(spec, &**source)?,
        spec: spec.clone(),
    })
}

/// Everything that a sample depends on.
#[derive(PartialEq)]
struct SampleKey {
    media: Hash,
    range: (u64, u64),
    reverse: bool,
    repeat: Option<ZoneLoop>,
}

static SAMPLES: Kept<SampleKey, Sample> = Mutex::new(Vec::new());

fn sample(spec: &ZoneSpec, source: &dyn AudioSource) -> Option<Arc<Sample>> {
    let frames = source.frames().saturating_sub(spec.source_start).min(spec.source_frames);
    if frames == 0 {
        return None;
    }
    let key = SampleKey {
        media: spec.media,
        range: (spec.source_start, frames),
        reverse: spec.reverse,
        repeat: spec.repeat,
    };
    if let Some(found) = cached(&SAMPLES, &key) {
        return Some(found);
    }
    let mut audio = read_range(source, spec.source_start, frames)?;
    let mut repeat = spec.repeat;
    if spec.reverse {
        audio.planes_mut().into_iter().for_each(<[f32]>::reverse);
        // The loop stays where it is in the recording: its end is now its start.
        let mirrored = |frame: u64| {
            let from_start = frame.saturating_sub(spec.source_start).min(frames);
            spec.source_start + (frames - from_start)
        };
        repeat = repeat.map(|repeat| ZoneLoop {
            start: mirrored(repeat.end),
            end: mirrored(repeat.start),
            ..repeat
        });
    }
    let made = Arc::new(Sample {
        whole: Guarded::new(audio.channels(), audio.frames(), |channel, frame| {
            usize::try_from(frame)
                .ok()
                .and_then(|frame| audio.channel(channel).get(frame))
                .copied()
                .unwrap_or(0.0)
        }),
        body: repeat.and_then(|repeat| body(&audio, repeat, spec.source_start)),
    });
    keep(&SAMPLES, key, &made);
    Some(made)
}

/// Unrolls a loop. Its bounds are frames of the media, as the zone's range is.
fn body(audio: &AudioBuffer, repeat: ZoneLoop, offset: u64) -> Option<LoopBody> {
    let place = |frame: u64| usize::try_from(frame.saturating_sub(offset)).ok();
    let (start, end) = (place(repeat.start)?, place(repeat.end)?.min(audio.frames()));
    let length = end.checked_sub(start).filter(|&length| length >= 2)?;
    let crossfade = if repeat.ping_pong {
        0
    } else {
        usize::try_from(repeat.crossfade).ok()?.min(start).min(length)
    };
    let turns = if repeat.ping_pong { 2 * length - 2 } else { length };
    let samples = Guarded::new(audio.channels(), turns, |channel, frame| {
        let plane = audio.channel(channel);
        let at = frame.rem_euclid(turns as i64) as usize;
        if at >= length {
            return plane[start + turns - at];
        }
        let faded = at + crossfade;
        if faded < length || crossfade == 0 {
            return plane[start + at];
        }
        let share = (faded - length) as f64 / crossfade as f64;
        let before = f64::from(plane[start - crossfade + (faded - length)]);
        let here = f64::from(plane[start + at]);
        (here + (before - here) * share) as f32
    });
    let from = (end as f64 - GUARD.max(crossfade) as f64).max(start as f64);
    Some(LoopBody {
        samples,
        start: start as f64,
        length: length as f64,
        from,
        ping_pong: repeat.ping_pong,
        through_release: repeat.through_release,
    })
}
