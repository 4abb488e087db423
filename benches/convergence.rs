//! How far an edit travels: `cargo bench -p pulse-benches --bench convergence`
//! prints the table of docs/dsp.md.
//!
//! A synthesiser plays through one node for four minutes. One note in the second
//! segment gets another pitch, and what of the node's own unit is rendered again
//! is counted: the segment that hears the edit, and those behind it until the
//! state is the cached one. Once the music goes on, once it ends after 8 s.
//! Segments of 4 s, 48 kHz. Nothing is timed, so the load does not matter. An argument asks for
//! the nodes alone whose names have it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring program stops at the first error"
)]

use std::sync::Arc;

use pulse_engine::{
    buffer::{AudioBuffer, AudioSource},
    material::MediaResolver,
    registry::Registry,
};
use pulse_query::{
    graph::Scope,
    render::{Options, Song, render},
    source::Entities,
};
use pulse_schemas::{
    entity::{
        AudioFormat, AudioRegion, Channel, ChannelKind, Clip, ClipContent, DspNode, Kit, KitSlot,
        Lane, LaneKind, MediaItem, ModulationRoute, Note, ParameterRef, Track,
    },
    graph::NodeKey,
    hash::Hash,
    id::{
        ActorId, ArrangementId, AudioRegionId, ChannelId, ClipId, EntityId, KitId, KitSlotId,
        LaneId, MediaId, ModulationRouteId, NodeId, NoteId, TrackId,
    },
    order::OrderKey,
    time::{Moment, Ticks},
};
use pulse_store::cache::DiskCache;

const RATE: u32 = 48_000;
const SEGMENTS: i64 = 60;
const BEAT: i64 = Ticks::PER_QUARTER;
const SOUND: Hash = Hash([7; 32]);

type Params = &'static [(&'static str, f64)];

/// What is heard, through what, and which of the nodes is asked about.
struct Case {
    name: &'static str,
    track: &'static [(&'static str, Params)],
    bus: &'static [(&'static str, Params)],
}

const SYNTH: &[(&str, Params)] = &[("pulse.synth", &[])];

const CASES: &[Case] = &[
    Case { name: "`pulse.compressor`", track: SYNTH, bus: &[("pulse.compressor", LOUD)] },
    Case {
        name: "`pulse.compressor`, release 1 s, RMS",
        track: SYNTH,
        bus: &[("pulse.compressor", SLOW)],
    },
    Case {
        name: "`pulse.compressor`, automatic release",
        track: SYNTH,
        bus: &[("pulse.compressor", AUTOMATIC)],
    },
    Case {
        name: "`pulse.compressor`, automatic release, 1 s",
        track: SYNTH,
        bus: &[("pulse.compressor", AUTOMATIC_SLOW)],
    },
    Case { name: "`pulse.delay`", track: SYNTH, bus: &[("pulse.delay", &[])] },
    Case {
        name: "`pulse.delay`, feedback 0.9",
        track: SYNTH,
        bus: &[("pulse.delay", &[("feedback", 0.9), ("mix", 0.5)])],
    },
    Case { name: "`pulse.drums`", track: &[("pulse.drums", &[])], bus: &[] },
    Case { name: "`pulse.eq`, four bells", track: SYNTH, bus: &[("pulse.eq", BELLS)] },
    Case { name: "`pulse.eq`, low cut at 20 Hz", track: SYNTH, bus: &[("pulse.eq", LOW_CUT)] },
    Case { name: "`pulse.filter`", track: SYNTH, bus: &[("pulse.filter", &[])] },
    Case {
        name: "`pulse.filter`, resonant",
        track: SYNTH,
        bus: &[("pulse.filter", &[("resonance", 20.0)])],
    },
    Case {
        name: "`pulse.filter`, driven",
        track: SYNTH,
        bus: &[("pulse.filter", &[("drive", 12.0)])],
    },
    Case { name: "`pulse.gate`", track: SYNTH, bus: &[("pulse.gate", &[])] },
    Case {
        name: "`pulse.gate`, hold 500 ms",
        track: SYNTH,
        bus: &[("pulse.gate", &[("hold", 500.0), ("threshold", -20.0)])],
    },
    Case { name: "`pulse.lane`", track: &[("lane", &[])], bus: &[] },
    Case {
        name: "`pulse.lfo` on a filter",
        track: SYNTH,
        bus: &[("pulse.lfo", &[]), ("pulse.filter", &[])],
    },
    Case { name: "`pulse.limiter`", track: SYNTH, bus: &[("pulse.limiter", &[("input", 12.0)])] },
    Case {
        name: "`pulse.limiter`, automatic release",
        track: SYNTH,
        bus: &[("pulse.limiter", &[("input", 12.0), ("autoRelease", 1.0)])],
    },
    Case { name: "`pulse.loudness`", track: SYNTH, bus: &[("pulse.loudness", &[])] },
    Case { name: "`pulse.meter`", track: SYNTH, bus: &[("pulse.meter", &[])] },
    Case {
        name: "`pulse.notes` before a synth",
        track: &[("pulse.notes", &[]), ("pulse.synth", &[])],
        bus: &[],
    },
    Case { name: "`pulse.reverb`, decay 2 s", track: SYNTH, bus: &[("pulse.reverb", &[])] },
    Case {
        name: "`pulse.reverb`, decay 8 s",
        track: SYNTH,
        bus: &[("pulse.reverb", &[("decay", 8.0)])],
    },
    Case {
        name: "`pulse.reverb`, decay 30 s",
        track: SYNTH,
        bus: &[("pulse.reverb", &[("decay", 30.0)])],
    },
    Case {
        name: "`pulse.reverb`, decay 2 s, early reflections",
        track: SYNTH,
        bus: &[("pulse.reverb", &[("early", 0.5)])],
    },
    Case { name: "`pulse.sampler`", track: &[("pulse.sampler", &[])], bus: &[] },
    Case { name: "`pulse.saturator`", track: SYNTH, bus: &[("pulse.saturator", &[])] },
    Case { name: "`pulse.strip`, `pulse.sum`", track: SYNTH, bus: &[] },
    Case { name: "`pulse.synth`", track: SYNTH, bus: &[] },
    Case {
        name: "`pulse.synth`, sub-oscillator, LFO in tempo, drive",
        track: &[("pulse.synth", RICH)],
        bus: &[],
    },
    Case {
        name: "equaliser, compressor, limiter",
        track: SYNTH,
        bus: &[("pulse.eq", BELLS), ("pulse.compressor", LOUD), ("pulse.limiter", &[])],
    },
];

const LOUD: Params = &[("threshold", -40.0), ("ratio", 4.0)];
const SLOW: Params =
    &[("threshold", -40.0), ("ratio", 4.0), ("release", 1_000.0), ("detector", 1.0)];
const AUTOMATIC: Params = &[("threshold", -40.0), ("ratio", 4.0), ("autoRelease", 1.0)];
const AUTOMATIC_SLOW: Params =
    &[("threshold", -40.0), ("ratio", 4.0), ("autoRelease", 1.0), ("release", 1_000.0)];
const RICH: Params =
    &[("sub", 0.5), ("lfoSync", 6.0), ("lfoFilter", 24.0), ("filterDrive", 12.0), ("glide", 50.0)];
const BELLS: Params = &[
    ("band1Type", 1.0),
    ("band1Gain", 3.0),
    ("band2Type", 1.0),
    ("band2Gain", -3.0),
    ("band3Type", 1.0),
    ("band3Gain", 3.0),
    ("band4Type", 1.0),
    ("band4Gain", -3.0),
];
const LOW_CUT: Params = &[("band1Type", 4.0), ("band1Frequency", 20.0)];

fn id(group: u64, number: u32) -> EntityId {
    EntityId::derive(ActorId(3), group, number)
}

fn arrangement() -> ArrangementId {
    ArrangementId(id(0, 0))
}

fn channel(number: u32, channel_kind: ChannelKind, output: Option<u32>) -> Channel {
    Channel {
        id: ChannelId(id(1, number)),
        arrangement: arrangement(),
        track: (channel_kind == ChannelKind::Track).then(|| TrackId(id(2, 0))),
        channel_kind,
        width: 1.0,
        channels: 2,
        output: output.map(|output| ChannelId(id(1, output))),
        ..Channel::default()
    }
}

fn nodes(entities: &mut Entities, channel: u32, chain: &[(&str, Params)]) {
    for (at, (kind, params)) in chain.iter().enumerate().filter(|(_, (kind, _))| *kind != "lane") {
        entities.put(DspNode {
            id: NodeId(id(4, channel * 10 + at as u32)),
            channel: ChannelId(id(1, channel)),
            order: OrderKey(format!("a{at}")),
            node_kind: (*kind).into(),
            params: params.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
            kit: (*kind == "pulse.sampler").then(|| KitId(id(7, 0))),
            ..DspNode::default()
        });
    }
}

/// Half notes of 8 s or of the whole song.
fn notes(entities: &mut Entities, seconds: i64, pitch: impl Fn(i64) -> u8) {
    for step in 0..seconds * 4 {
        entities.put(Note {
            id: NoteId(id(6, step as u32)),
            clip: ClipId(id(5, 0)),
            pitch: pitch(step),
            start: Ticks(step * BEAT / 2),
            length: Ticks(BEAT * 3 / 8),
            velocity: 50_000,
            probability: 1.0,
            ..Note::default()
        });
    }
}

fn entities(case: &Case, seconds: i64, edited: bool) -> Entities {
    let mut entities = Entities::default();
    entities.put(Track { id: TrackId(id(2, 0)), arrangement: arrangement(), ..Track::default() });
    entities.put(channel(0, ChannelKind::Master, None));
    entities.put(channel(1, ChannelKind::Bus, Some(0)));
    entities.put(channel(2, ChannelKind::Track, Some(1)));
    nodes(&mut entities, 1, case.bus);
    nodes(&mut entities, 2, case.track);
    let is_lane = case.track[0].0 == "lane";
    let drums = case.track[0].0 == "pulse.drums";
    entities.put(Lane {
        id: LaneId(id(3, 0)),
        track: TrackId(id(2, 0)),
        lane_kind: if is_lane { LaneKind::Audio } else { LaneKind::Midi },
        ..Lane::default()
    });
    let clip = |number: u32, start: i64, length: i64| Clip {
        id: ClipId(id(5, number)),
        lane: LaneId(id(3, 0)),
        content: if is_lane { ClipContent::Audio } else { ClipContent::Midi },
        start: Moment(start * BEAT),
        length: Moment(length * BEAT),
        ..Clip::default()
    };
    entities.put(MediaItem {
        id: MediaId(id(8, 0)),
        content: Some(SOUND),
        format: AudioFormat {
            sample_rate: RATE,
            channels: 1,
            frames: 4 * u64::from(RATE),
            ..AudioFormat::default()
        },
        ..MediaItem::default()
    });
    if is_lane {
        for number in 0..(seconds / 2) as u32 {
            let gain_db = if edited && number == 2 { -6.0 } else { 0.0 };
            entities.put(Clip { gain_db, ..clip(number, i64::from(number) * 4, 2) });
            entities.put(AudioRegion {
                id: AudioRegionId(id(9, number)),
                clip: ClipId(id(5, number)),
                media: MediaId(id(8, 0)),
                ..AudioRegion::default()
            });
        }
    } else {
        entities.put(clip(0, 0, SEGMENTS * 8));
        notes(&mut entities, seconds, |step| {
            let pitch = match drums {
                true => [36, 42, 38, 42][(step % 4) as usize],
                false => 40 + (step * 7 % 24) as u8,
            };
            if edited && step == 20 { pitch + 5 } else { pitch }
        });
    }
    entities.put(Kit { id: KitId(id(7, 0)), ..Kit::default() });
    entities.put(KitSlot {
        id: KitSlotId(id(7, 1)),
        kit: KitId(id(7, 0)),
        media: Some(MediaId(id(8, 0))),
        key_low: 0,
        key_high: 127,
        root: 60,
        velocity_high: 65_535,
        ..KitSlot::default()
    });
    if case.bus.first().is_some_and(|(kind, _)| *kind == "pulse.lfo") {
        entities.put(ModulationRoute {
            id: ModulationRouteId(id(10, 0)),
            from: NodeId(id(4, 10)),
            to: ParameterRef { target: Some(NodeId(id(4, 11)).any()), parameter: "cutoff".into() },
            depth: 0.5,
            enabled: true,
            ..ModulationRoute::default()
        });
    }
    entities
}

/// The node whose unit is counted.
fn tested(case: &Case) -> NodeKey {
    let node =
        |channel: u32, at: usize| NodeKey::new(NodeId(id(4, channel * 10 + at as u32)), "node");
    match (case.bus.len(), case.track[0].0) {
        (0, "lane") => NodeKey::new(LaneId(id(3, 0)), "lane"),
        (0, _) if case.name.contains("strip") => NodeKey::new(ChannelId(id(1, 1)), "strip"),
        (0, _) => node(2, case.track.len() - 1),
        (count, _) => node(1, count - 1),
    }
}

/// Four seconds of a falling saw.
struct Saw;

impl MediaResolver for Saw {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        let value = |at: u32| ((at % 200) as f32 / 200.0 - 0.5) * 0.5;
        let samples: Vec<f32> = (0..4 * RATE).map(value).collect();
        let buffer = AudioBuffer::from_channels(RATE, &[samples]).unwrap();
        (media == SOUND).then(|| Arc::new(buffer) as _)
    }
}

fn rendered(case: &Case, seconds: i64, edited: bool, cache: &DiskCache) -> u64 {
    let entities = entities(case, seconds, edited);
    let registry = Registry::standard();
    let song = Song::derive(&entities, &registry, arrangement(), RATE, &Scope::mix()).unwrap();
    let options = Options { threads: 4, ..Options::new(RATE) };
    let frames = SEGMENTS * 4 * i64::from(RATE);
    let report = render(&song, &Saw, cache, 0..frames, &options, &mut |_| true).unwrap();
    let key = tested(case);
    let unit = report.units.iter().find(|unit| unit.nodes.contains(&key)).unwrap();
    unit.rendered
}

/// Segments that an edit in the second one renders again.
fn travel(case: &Case, seconds: i64) -> String {
    let dir = tempfile::tempdir().unwrap();
    let cache = DiskCache::open(dir.path(), 16 << 30).unwrap();
    rendered(case, seconds, false, &cache);
    let count = rendered(case, seconds, true, &cache) as i64;
    match count {
        0 => "not heard".into(),
        _ if count >= SEGMENTS - 1 => format!("all {count}"),
        _ => count.to_string(),
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("| node | music goes on | silence after 8 s |\n|---|---|---|");
    let asked: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_asked = |case: &&Case| asked.iter().all(|part| case.name.contains(part.as_str()));
    for case in CASES.iter().filter(is_asked) {
        let (on, silence) = (travel(case, SEGMENTS * 4), travel(case, 8));
        println!("| {} | {on} | {silence} |", case.name);
    }
}
