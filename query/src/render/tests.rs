mod equality;
mod kept;
mod long;
mod perturbation;
mod shelf;
mod tempo;

use std::{collections::BTreeMap, sync::Arc};

use pulse_engine::{
    material::{Material, NoMedia},
    nodes::NODES,
    render::{OfflineRenderer, Profile},
};
use pulse_schemas::{
    entity::{
        AutomationEnvelope, AutomationPoint, Channel, ChannelKind, Clip, ClipContent, DspNode,
        EnvelopeOwner, Lane, LaneKind, ModulationRoute, Note, ParameterRef, Send, SidechainRoute,
        TempoPoint, Track,
    },
    id::{
        ActorId, AutomationEnvelopeId, AutomationPointId, ChannelId, ClipId, EntityId, LaneId,
        ModulationRouteId, NodeId, NoteId, SendId, SidechainRouteId, TempoPointId, TrackId,
    },
    order::OrderKey,
    time::{Moment, Ticks},
};
use pulse_store::cache::{CacheStats, DiskCache, Sampled};

use super::*;
use crate::source::{Entities, SourceExt};

const RATE: u32 = 44_100;
const SEGMENT: u32 = 4_096;
const FRAMES: i64 = 5 * 4_096 + 700;
const BEAT: i64 = Ticks::PER_QUARTER;

fn id(group: u64, number: u32) -> EntityId {
    EntityId::derive(ActorId(3), group, number)
}

fn arrangement() -> ArrangementId {
    ArrangementId(id(0, 0))
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn share(&mut self) -> f64 {
        self.roll(10_001) as f64 / 10_000.0
    }
}

fn channel(number: u32, kind: ChannelKind, output: Option<u32>) -> Channel {
    Channel {
        id: ChannelId(id(1, number)),
        arrangement: arrangement(),
        track: (kind == ChannelKind::Track).then(|| TrackId(id(2, number))),
        channel_kind: kind,
        name: format!("C{number}"),
        width: 1.0,
        channels: 2,
        output: output.map(|output| ChannelId(id(1, output))),
        ..Channel::default()
    }
}

fn node(number: u32, channel: u32, kind: &str) -> DspNode {
    DspNode {
        id: NodeId(id(4, number)),
        channel: ChannelId(id(1, channel)),
        order: OrderKey(format!("a{}", number % 10)),
        node_kind: kind.into(),
        ..DspNode::default()
    }
}

fn note(number: u32, clip: u32, start: i64, pitch: u8) -> Note {
    Note {
        id: NoteId(id(6, number)),
        clip: ClipId(id(5, clip)),
        pitch,
        start: Ticks(start),
        length: Ticks(BEAT / 8),
        velocity: 50_000,
        probability: 1.0,
        ..Note::default()
    }
}

/// A track with a MIDI clip of a few short notes and the given nodes.
fn add_track(entities: &mut Entities, number: u32, kinds: &[&str]) {
    entities.put(Track {
        id: TrackId(id(2, number)),
        arrangement: arrangement(),
        ..Track::default()
    });
    entities.put(channel(number, ChannelKind::Track, Some(0)));
    entities.put(Lane {
        id: LaneId(id(3, number)),
        track: TrackId(id(2, number)),
        lane_kind: LaneKind::Midi,
        ..Lane::default()
    });
    entities.put(Clip {
        id: ClipId(id(5, number)),
        lane: LaneId(id(3, number)),
        content: ClipContent::Midi,
        length: Moment(BEAT),
        ..Clip::default()
    });
    for step in 0..4 {
        let pitch = 36 + (step as u8) * 7 + number as u8;
        entities.put(note(number * 100 + step, number, i64::from(step) * BEAT / 4, pitch));
    }
    for (at, kind) in kinds.iter().enumerate() {
        entities.put(node(number * 10 + at as u32, number, kind));
    }
}

/// Two tracks, a return, a master; the first track holds what is tested.
fn project(kinds: &[&str]) -> Entities {
    let mut entities = Entities::default();
    entities.put(TempoPoint {
        id: TempoPointId(id(9, 0)),
        arrangement: arrangement(),
        bpm: 150.0,
        ..TempoPoint::default()
    });
    entities.put(channel(0, ChannelKind::Master, None));
    entities.put(channel(9, ChannelKind::Return, Some(0)));
    entities.put(node(90, 9, "pulse.filter"));
    add_track(&mut entities, 1, kinds);
    add_track(&mut entities, 2, &["pulse.synth", "pulse.compressor"]);
    entities.put(Send {
        id: SendId(id(7, 1)),
        from: ChannelId(id(1, 1)),
        to: ChannelId(id(1, 9)),
        gain_db: -6.0,
        ..Send::default()
    });
    entities.put(SidechainRoute {
        id: SidechainRouteId(id(8, 1)),
        from: ChannelId(id(1, 1)),
        to: NodeId(id(4, 21)),
        port: 1,
        ..SidechainRoute::default()
    });
    entities
}

/// A chain that lets every kind be heard.
fn kinds_with(kind: &'static str) -> Vec<&'static str> {
    let descriptor = Registry::standard().get(kind).map(|kind| kind.descriptor).unwrap();
    let instrument = descriptor.inputs.is_empty() && !descriptor.outputs.is_empty();
    match kind {
        "pulse.notes" | "pulse.lfo" => vec![kind, "pulse.synth"],
        _ if instrument => vec![kind],
        _ => vec!["pulse.drums", kind],
    }
}

fn song(entities: &Entities) -> Song {
    Song::derive(entities, &Registry::standard(), arrangement(), RATE, &Scope::mix()).unwrap()
}

type Stereo = [Vec<f32>; 2];

fn from_cache(song: &Song, cache: &dyn CacheStore, threads: usize) -> (Stereo, Report) {
    let options = Options { segment_frames: SEGMENT, threads, ..Options::new(RATE) };
    with_options(song, cache, 0..FRAMES, &options)
}

fn with_options(
    song: &Song,
    cache: &dyn CacheStore,
    range: Range<i64>,
    options: &Options,
) -> (Stereo, Report) {
    let mut sound = Stereo::default();
    let report = render(song, &NoMedia, cache, range, options, &mut |piece| {
        sound[0].extend_from_slice(piece.left);
        sound[1].extend_from_slice(piece.right);
        true
    });
    (sound, report.unwrap())
}

/// The whole render without any cache.
fn whole(song: &Song) -> Stereo {
    whole_until(song, FRAMES)
}

fn whole_until(song: &Song, end: i64) -> Stereo {
    let material = Arc::new(Material::bind(&song.plan, &song.slices, &NoMedia));
    let profile = Profile::Render { segment_frames: SEGMENT };
    let time = Arc::new(song.time.clone());
    let mut sound = Stereo::default();
    let multiples = (0..song.plan.units.len()).map(|unit| song.multiple(unit)).collect();
    let renderer = OfflineRenderer::new(Arc::clone(&song.plan), material, profile, time, 1);
    renderer.lengthen(multiples).render(0..end, &mut |block| {
        sound[0].extend_from_slice(block.left);
        sound[1].extend_from_slice(block.right);
        true
    });
    sound
}

fn bits(sound: &Stereo) -> Vec<u32> {
    sound.iter().flatten().map(|sample| sample.to_bits()).collect()
}

fn same(found: &Stereo, expect: &Stereo, context: &dyn Fn() -> String) {
    let (found, expect) = (bits(found), bits(expect));
    let differ = found.iter().zip(&expect).position(|(a, b)| a != b);
    assert!(found.len() == expect.len() && differ.is_none(), "{} at {differ:?}", context());
}

fn cache() -> (tempfile::TempDir, DiskCache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = DiskCache::open(dir.path(), 1 << 30).unwrap();
    (dir, cache)
}

fn get<E: pulse_schemas::entity::Entity + TryFrom<pulse_schemas::entity::AnyEntity>>(
    entities: &Entities,
    id: EntityId,
) -> E {
    entities.get(id).unwrap()
}

/// One random edit of anything that sounds; says what it was.
fn edit(entities: &mut Entities, dice: &mut Dice) -> String {
    match dice.roll(8) {
        0..=3 => edit_param(entities, dice),
        4 => {
            let (track, step) = (1 + dice.roll(2) as u32, dice.roll(4) as u32);
            let start = dice.roll(60) as i64 * BEAT / 64;
            entities.put(note(track * 100 + step, track, start, 30 + dice.roll(50) as u8));
            format!("note {step} of track {track} to {start}")
        }
        5 => {
            let number = [0, 1, 2, 9][dice.roll(4) as usize];
            let mut channel: Channel = get(entities, id(1, number));
            channel.gain_db = -dice.share() * 20.0;
            channel.pan = dice.share() * 2.0 - 1.0;
            entities.put(channel);
            format!("strip {number}")
        }
        6 => {
            let number = 1 + dice.roll(2) as u32;
            let mut clip: Clip = get(entities, id(5, number));
            clip.start = Moment(dice.roll(16) as i64 * BEAT / 32);
            entities.put(clip);
            format!("clip {number}")
        }
        _ => {
            let mut point: TempoPoint =
                entities.members_of(arrangement().0).into_iter().next().unwrap();
            point.bpm = 100.0 + dice.roll(100) as f64;
            entities.put(point);
            "tempo".into()
        }
    }
}

fn edit_param(entities: &mut Entities, dice: &mut Dice) -> String {
    let nodes: Vec<DspNode> = entities.all();
    let first: Vec<&DspNode> =
        nodes.iter().filter(|node| node.channel == ChannelId(id(1, 1))).collect();
    let pool: Vec<&DspNode> = if dice.roll(4) > 0 { first } else { nodes.iter().collect() };
    let mut node = pool[dice.roll(pool.len() as u64) as usize].clone();
    let registry = Registry::standard();
    let params = registry.get(&node.node_kind).map_or(&[][..], |kind| kind.descriptor.params);
    if params.is_empty() {
        return "nothing".into();
    }
    let param = &params[dice.roll(params.len() as u64) as usize];
    let value = param.denormalise(dice.share());
    node.params.insert(param.id.into(), value);
    let text = format!("{}.{} = {value}", node.node_kind, param.id);
    entities.put(node);
    text
}

fn rounds(short: usize) -> usize {
    if std::env::var_os("PULSE_SOAK").is_some() { 1_000 } else { short }
}

#[test]
fn nothing_is_rendered_when_nothing_changed_and_undo_is_free() {
    let (_dir, cache) = cache();
    let mut entities = project(&["pulse.drums", "pulse.reverb"]);
    let before = song(&entities);
    let (first, report) = from_cache(&before, &cache, 2);
    assert_eq!((report.hit, report.rendered), (0, report.total));
    let (again, report) = from_cache(&before, &cache, 2);
    assert_eq!((report.hit, report.rendered), (report.total, 0));
    same(&again, &first, &|| "again".into());

    let saved = entities.clone();
    edit_param(&mut entities, &mut Dice(5));
    from_cache(&song(&entities), &cache, 1);
    let (undone, report) = from_cache(&song(&saved), &cache, 1);
    assert_eq!(report.rendered, 0);
    same(&undone, &first, &|| "undone".into());
}

#[test]
fn an_edit_of_one_track_leaves_the_others_alone() {
    let (_dir, cache) = cache();
    let mut entities = project(&["pulse.drums", "pulse.eq"]);
    from_cache(&song(&entities), &cache, 1);
    let mut clip: Clip = get(&entities, id(5, 2));
    clip.transpose = 12.0;
    entities.put(clip);
    let (_, report) = from_cache(&song(&entities), &cache, 1);
    // Track 2 and the master; the first track, its send and the return stay.
    assert!(report.rendered < report.total / 2, "{report:?}");
}

#[test]
fn a_range_is_the_same_as_its_part_of_the_whole() {
    let (_dir, cache) = cache();
    let song = song(&project(&["pulse.drums", "pulse.limiter"]));
    let expect = whole(&song);
    let options = Options { segment_frames: SEGMENT, ..Options::new(RATE) };
    let (found, _) = with_options(&song, &cache, 5_000..13_001, &options);
    let part = [expect[0][5_000..13_001].to_vec(), expect[1][5_000..13_001].to_vec()];
    same(&found, &part, &|| "range".into());
}

#[test]
fn what_the_cache_has_lost_is_made_again() {
    let (_dir, cache) = cache();
    let song = song(&project(&["pulse.drums", "pulse.delay"]));
    let (first, _) = from_cache(&song, &cache, 1);
    // Content goes, what was noted about it stays.
    cache.set_limit(1).unwrap();
    cache.set_limit(1 << 30).unwrap();
    let (found, report) = from_cache(&song, &cache, 2);
    same(&found, &first, &|| format!("{report:?}"));
}

/// A cache whose notes lie: every one names the sound of the first.
struct Liar {
    truth: DiskCache,
    first: std::sync::Mutex<BTreeMap<usize, Arc<[u8]>>>,
}

impl CacheStore for Liar {
    fn get_action(&self, key: &Hash) -> Result<Option<Arc<[u8]>>, CacheError> {
        let found = self.truth.get_action(key)?;
        let mut first = self.first.lock().unwrap();
        Ok(found.map(|value| Arc::clone(first.entry(value.len()).or_insert(value))))
    }

    fn put_action(&self, key: &Hash, value: &[u8], cost: u64) -> Result<(), CacheError> {
        self.truth.put_action(key, value, cost)
    }

    fn has_content(&self, hash: &Hash) -> Result<bool, CacheError> {
        self.truth.has_content(hash)
    }

    fn get_content(&self, hash: &Hash) -> Result<Option<Vec<u8>>, CacheError> {
        self.truth.get_content(hash)
    }

    fn put_content(&self, bytes: &[u8], cost: u64) -> Result<Hash, CacheError> {
        self.truth.put_content(bytes, cost)
    }

    fn quarantine(&self, content: &Hash) -> Result<(), CacheError> {
        self.truth.quarantine(content)
    }

    fn forget_action(&self, key: &Hash) -> Result<(), CacheError> {
        self.truth.forget_action(key)
    }

    fn verify_sample(&self, count: u64, seed: u64) -> Result<Sampled, CacheError> {
        self.truth.verify_sample(count, seed)
    }

    fn set_limit(&self, bytes: u64) -> Result<(), CacheError> {
        self.truth.set_limit(bytes)
    }

    fn flush(&self) -> Result<(), CacheError> {
        self.truth.flush()
    }

    fn clear(&self) -> Result<(), CacheError> {
        self.truth.clear()
    }

    fn stats(&self) -> CacheStats {
        self.truth.stats()
    }
}

#[test]
fn a_lie_in_the_cache_is_found_by_verifying_and_rendered_again() {
    let (_dir, truth) = cache();
    let song = song(&project(&["pulse.drums", "pulse.eq"]));
    let (first, _) = from_cache(&song, &truth, 1);
    let options = Options { segment_frames: SEGMENT, verify: 1.0, ..Options::new(RATE) };
    let (found, report) = with_options(&song, &truth, 0..FRAMES, &options);
    assert_eq!((report.verified, report.mismatched.len()), (report.total, 0));
    same(&found, &first, &|| "verified".into());

    let liar = Liar { truth, first: Default::default() };
    let (found, report) = with_options(&song, &liar, 0..FRAMES, &options);
    assert!(!report.mismatched.is_empty());
    same(&found, &first, &|| "lied to".into());
}

#[test]
fn a_route_swings_to_both_sides_only_where_it_is_bipolar() {
    let render = |port: u16, bipolar: bool| {
        let mut entities = project(&["pulse.synth", "pulse.filter", "pulse.lfo"]);
        entities.put(ModulationRoute {
            id: ModulationRouteId(id(11, 0)),
            from: NodeId(id(4, 12)),
            port,
            to: ParameterRef { target: Some(NodeId(id(4, 11)).any()), parameter: "cutoff".into() },
            depth: 0.5,
            bipolar,
            enabled: true,
        });
        whole(&song(&entities))
    };
    let (one_side, both_sides) = (render(0, false), render(0, true));
    assert!(bits(&one_side) != bits(&both_sides));
    same(&render(1, false), &one_side, &|| "the other output of the pair".into());
    same(&render(1, true), &both_sides, &|| "the other output of the pair".into());
}

#[test]
fn a_modulator_and_an_envelope_are_part_of_the_key() {
    let (_dir, cache) = cache();
    let mut entities = project(&["pulse.synth", "pulse.filter", "pulse.lfo"]);
    entities.put(ModulationRoute {
        id: ModulationRouteId(id(11, 0)),
        from: NodeId(id(4, 12)),
        to: ParameterRef { target: Some(NodeId(id(4, 11)).any()), parameter: "cutoff".into() },
        depth: 0.5,
        enabled: true,
        ..ModulationRoute::default()
    });
    let envelope = AutomationEnvelopeId(id(12, 0));
    entities.put(AutomationEnvelope {
        id: envelope,
        owner: EnvelopeOwner::Lane { lane: LaneId(id(3, 1)) },
        target: Some(NodeId(id(4, 11)).any()),
        parameter: "resonance".into(),
        enabled: true,
        ..AutomationEnvelope::default()
    });
    for round in 0..4 {
        for (number, at) in [(0, 0), (1, BEAT / 2)] {
            entities.put(AutomationPoint {
                id: AutomationPointId(id(13, number)),
                envelope,
                at: Moment(at),
                value: 0.7 + f64::from(round * (number + 1)) * 0.3,
                ..AutomationPoint::default()
            });
        }
        let song = song(&entities);
        let (found, _) = from_cache(&song, &cache, 2);
        same(&found, &whole(&song), &|| format!("round {round}"));
    }
}
