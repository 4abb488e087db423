//! The song of the demo: eight bars in A minor at 112 BPM, all of it made by
//! the built-in nodes.
//!
//! It is data and not a recording, so that the demo shows what a project is:
//! notes, nodes, sends, a side chain and an envelope that can be compared and
//! merged.

use pulse_schemas::{
    command::track::{Create, Created},
    entity::{
        AutomationEnvelope, AutomationPoint, Channel, ChannelKind, Clip, ClipContent, DspNode,
        EnvelopeOwner, Lane, LaneKind, Note, PointShape, Section, Send, SidechainRoute, SignalTap,
        TempoPoint, TrackKind,
    },
    id::{
        ArrangementId, AutomationEnvelopeId, AutomationPointId, ChannelId, ClipId, LaneId, NodeId,
        NoteId, SectionId, SendId, SidechainRouteId,
    },
    order::OrderKey,
    time::{Moment, Ticks},
};

use crate::{
    commands::edit::{Edit, typed},
    refusal::Refusal,
};

const BEAT: i64 = Ticks::PER_QUARTER;
const STEP: i64 = BEAT / 4;
const BAR: i64 = 4 * BEAT;
const BARS: i64 = 8;
const BPM: f64 = 112.0;

/// Roots of the four bars of the progression: Am, F, C, G.
const ROOTS: [u8; 4] = [45, 41, 48, 43];
/// The chord over each root.
const CHORDS: [[u8; 4]; 4] =
    [[57, 60, 64, 71], [57, 60, 64, 65], [55, 60, 64, 67], [55, 59, 62, 69]];

/// One note: bar-relative step in sixteenths, length in steps, key, velocity 0–1.
type Hit = (i64, i64, u8, f64);

/// Builds the song in the arrangement that plays.
pub fn build(edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
    let arrangement = edit.arrangement(None)?;
    tempo(edit, arrangement)?;
    sections(edit, arrangement)?;
    let space = space(edit, arrangement)?;
    let drums = drums(edit)?;
    let bass = bass(edit)?;
    let chords = chords(edit)?;
    let lead = lead(edit)?;
    duck(edit, &bass, &drums)?;
    duck(edit, &chords, &drums)?;
    for (part, gain_db) in [(&drums, -22.0), (&chords, -12.0), (&lead, -10.0)] {
        send(edit, part, space, gain_db)?;
    }
    master(edit, arrangement)
}

fn tempo(edit: &mut Edit<'_, '_>, arrangement: ArrangementId) -> Result<(), Refusal> {
    for point in edit.members::<TempoPoint>(arrangement)? {
        edit.put(TempoPoint { bpm: BPM, ..point })?;
    }
    Ok(())
}

fn sections(edit: &mut Edit<'_, '_>, arrangement: ArrangementId) -> Result<(), Refusal> {
    for (name, from) in [("Verse", 0), ("Chorus", 4)] {
        let id = SectionId(edit.id());
        edit.put(Section {
            id,
            arrangement,
            name: name.into(),
            start: Ticks(from * BAR),
            length: Ticks(4 * BAR),
        })?;
    }
    Ok(())
}

fn part(edit: &mut Edit<'_, '_>, name: &str, nodes: &[&str]) -> Result<Created, Refusal> {
    typed(
        edit,
        Create {
            arrangement: None,
            name: Some(name.into()),
            kind: TrackKind::Instrument,
            parent: None,
            before: None,
            colour: None,
            output: None,
            nodes: nodes.iter().map(|node| node.to_string()).collect(),
        },
    )
}

fn set(
    edit: &mut Edit<'_, '_>,
    part: &Created,
    at: usize,
    params: &[(&str, f64)],
) -> Result<NodeId, Refusal> {
    let node = *part.nodes.get(at).ok_or_else(|| Refusal::internal("the demo lacks a node"))?;
    edit.update::<DspNode>(node, |node| {
        node.params.extend(params.iter().map(|(name, value)| (name.to_string(), *value)));
    })?;
    Ok(node)
}

fn level(edit: &mut Edit<'_, '_>, part: &Created, gain_db: f64, pan: f64) -> Result<(), Refusal> {
    let channel = channel(part)?;
    edit.update::<Channel>(channel, |channel| (channel.gain_db, channel.pan) = (gain_db, pan))
}

fn channel(part: &Created) -> Result<ChannelId, Refusal> {
    part.channel.ok_or_else(|| Refusal::internal("the demo lacks a channel"))
}

fn lane(part: &Created) -> Result<LaneId, Refusal> {
    part.lane.ok_or_else(|| Refusal::internal("the demo lacks a lane"))
}

/// A clip over some bars with hits given per bar.
fn clip(
    edit: &mut Edit<'_, '_>,
    part: &Created,
    name: &str,
    bars: std::ops::Range<i64>,
    hits: impl Fn(i64) -> Vec<Hit>,
) -> Result<ClipId, Refusal> {
    let id = ClipId(edit.id());
    edit.put(Clip {
        id,
        lane: lane(part)?,
        name: name.into(),
        content: ClipContent::Midi,
        start: Moment(bars.start * BAR),
        length: Moment((bars.end - bars.start) * BAR),
        ..Clip::default()
    })?;
    for bar in bars.clone() {
        for (step, length, pitch, velocity) in hits(bar) {
            let note = NoteId(edit.id());
            edit.put(Note {
                id: note,
                clip: id,
                pitch,
                start: Ticks((bar - bars.start) * BAR + step * STEP),
                length: Ticks(length * STEP - STEP / 8),
                velocity: (velocity * 65_535.0) as u16,
                probability: 1.0,
                ..Note::default()
            })?;
        }
    }
    Ok(id)
}

fn drums(edit: &mut Edit<'_, '_>) -> Result<Created, Refusal> {
    let part = part(edit, "Drums", &["pulse.drums", "pulse.compressor"])?;
    set(edit, &part, 0, &[("gain", -4.0)])?;
    let glue = [("threshold", -16.0), ("ratio", 2.5), ("attack", 20.0), ("release", 90.0)];
    set(edit, &part, 1, &glue)?;
    level(edit, &part, -3.0, 0.0)?;
    clip(edit, &part, "Verse beat", 0..4, verse_beat)?;
    clip(edit, &part, "Chorus beat", 4..BARS, chorus_beat)?;
    Ok(part)
}

fn verse_beat(bar: i64) -> Vec<Hit> {
    let mut hits = vec![(0, 1, 36, 0.95), (7, 1, 36, 0.6), (10, 1, 36, 0.85)];
    hits.extend([(4, 1, 38, 0.85), (12, 1, 38, 0.9)]);
    hits.extend((0..8).map(|eighth| (eighth * 2, 1, 42, if eighth % 2 == 0 { 0.5 } else { 0.3 })));
    if bar == 3 {
        hits.extend([(13, 1, 38, 0.4), (14, 1, 38, 0.6), (15, 1, 38, 0.8)]);
    }
    hits
}

fn chorus_beat(bar: i64) -> Vec<Hit> {
    let mut hits: Vec<Hit> = (0..4).map(|beat| (beat * 4, 1, 36, 0.95)).collect();
    hits.extend([(4, 1, 38, 0.9), (12, 1, 38, 0.9), (4, 1, 39, 0.6), (12, 1, 39, 0.6)]);
    let quiet = |step: i64| if step % 4 == 0 { 0.5 } else { 0.28 };
    hits.extend((0..16).filter(|step| step % 4 != 2).map(|step| (step, 1, 42, quiet(step))));
    hits.extend((0..4).map(|beat| (beat * 4 + 2, 2, 46, 0.4)));
    if bar == 4 {
        hits.push((0, 4, 49, 0.8));
    }
    hits
}

fn bass(edit: &mut Edit<'_, '_>) -> Result<Created, Refusal> {
    let part = part(edit, "Bass", &["pulse.synth", "pulse.saturator", "pulse.compressor"])?;
    set(
        edit,
        &part,
        0,
        &[
            ("aShape", 0.0),
            ("bShape", 1.0),
            ("bLevel", 0.6),
            ("bTune", -12.0),
            ("cutoff", 320.0),
            ("resonance", 0.25),
            ("filterEnvelope", 26.0),
            ("filterDecay", 180.0),
            ("ampSustain", 0.7),
            ("ampRelease", 60.0),
            ("playMode", 1.0),
            ("gain", -9.0),
        ],
    )?;
    level(edit, &part, -4.0, 0.0)?;
    clip(edit, &part, "Bass line", 0..BARS, |bar| {
        let root = ROOTS[(bar % 4) as usize] - 12;
        let pattern = [(0, 3), (3, 3), (6, 2), (8, 2), (10, 2), (12, 2), (14, 2)];
        let key = |step: i64| {
            if step == 14 {
                root + 7
            } else if step == 6 {
                root + 12
            } else {
                root
            }
        };
        pattern.iter().map(|(step, length)| (*step, *length, key(*step), 0.8)).collect()
    })?;
    Ok(part)
}

fn chords(edit: &mut Edit<'_, '_>) -> Result<Created, Refusal> {
    let part = part(edit, "Chords", &["pulse.synth", "pulse.filter", "pulse.compressor"])?;
    set(
        edit,
        &part,
        0,
        &[
            ("unison", 5.0),
            ("unisonDetune", 14.0),
            ("bShape", 2.0),
            ("bLevel", 0.4),
            ("bTune", 12.0),
            ("cutoff", 5_000.0),
            ("ampAttack", 60.0),
            ("ampSustain", 0.75),
            ("ampRelease", 400.0),
            ("gain", -19.0),
        ],
    )?;
    let filter = set(edit, &part, 1, &[("cutoff", 900.0), ("resonance", 0.9)])?;
    level(edit, &part, -3.0, 0.0)?;
    clip(edit, &part, "Pad", 0..BARS, |bar| {
        let chord = CHORDS[(bar % 4) as usize];
        chord.iter().map(|key| (0, 16, *key, 0.6)).collect()
    })?;
    sweep(edit, &part, filter)?;
    Ok(part)
}

/// The filter of the pad opens towards the chorus and stays open.
fn sweep(edit: &mut Edit<'_, '_>, part: &Created, filter: NodeId) -> Result<(), Refusal> {
    let track = part.track;
    let lane = LaneId(edit.id());
    edit.put(Lane {
        id: lane,
        track,
        order: OrderKey::between(Some(&OrderKey::default()), None),
        name: "Filter".into(),
        lane_kind: LaneKind::Automation,
        ..Lane::default()
    })?;
    let envelope = AutomationEnvelopeId(edit.id());
    edit.put(AutomationEnvelope {
        id: envelope,
        owner: EnvelopeOwner::Lane { lane },
        target: Some(filter.any()),
        parameter: "cutoff".into(),
        enabled: true,
        ..AutomationEnvelope::default()
    })?;
    for (bar, value) in [(0, 500.0), (3, 1_200.0), (4, 6_000.0), (BARS, 9_000.0)] {
        let id = AutomationPointId(edit.id());
        edit.put(AutomationPoint {
            id,
            envelope,
            at: Moment(bar * BAR),
            value,
            shape: PointShape::Exponential,
        })?;
    }
    Ok(())
}

fn lead(edit: &mut Edit<'_, '_>) -> Result<Created, Refusal> {
    let part = part(edit, "Lead", &["pulse.synth", "pulse.delay"])?;
    set(
        edit,
        &part,
        0,
        &[
            ("aShape", 2.0),
            ("bShape", 1.0),
            ("bLevel", 0.25),
            ("bFine", 9.0),
            ("cutoff", 3_200.0),
            ("filterEnvelope", 18.0),
            ("filterDecay", 240.0),
            ("ampAttack", 3.0),
            ("ampDecay", 500.0),
            ("ampSustain", 0.35),
            ("ampRelease", 220.0),
            ("lfoPitch", 6.0),
            ("gain", -12.0),
        ],
    )?;
    let echo = [("mix", 0.28), ("feedback", 0.38), ("mode", 1.0), ("highCut", 4_500.0)];
    set(edit, &part, 1, &echo)?;
    level(edit, &part, -5.0, 0.12)?;
    clip(edit, &part, "Melody", 4..BARS, |bar| {
        let line: [&[(i64, i64, u8)]; 4] = [
            &[(0, 3, 76), (3, 3, 74), (6, 4, 72), (10, 2, 69), (12, 4, 71)],
            &[(0, 6, 72), (6, 2, 69), (8, 4, 65), (12, 4, 69)],
            &[(0, 3, 67), (3, 3, 72), (6, 4, 76), (10, 2, 74), (12, 4, 72)],
            &[(0, 6, 71), (6, 2, 74), (8, 8, 67)],
        ];
        line[(bar % 4) as usize].iter().map(|(at, length, key)| (*at, *length, *key, 0.7)).collect()
    })?;
    Ok(part)
}

/// The return channel with the reverb.
fn space(edit: &mut Edit<'_, '_>, arrangement: ArrangementId) -> Result<ChannelId, Refusal> {
    let output = edit.master(arrangement)?.map(|master| master.id);
    let id = ChannelId(edit.id());
    edit.put(Channel {
        id,
        arrangement,
        channel_kind: ChannelKind::Return,
        order: OrderKey::between(Some(&OrderKey::default()), None),
        name: "Space".into(),
        width: 1.0,
        channels: 2,
        pan_law: edit.pan_law,
        output,
        ..Channel::default()
    })?;
    let params = [("mix", 1.0), ("decay", 1.8), ("highDecay", 0.35)];
    node(edit, id, "pulse.reverb", &params)?;
    Ok(id)
}

fn node(
    edit: &mut Edit<'_, '_>,
    channel: ChannelId,
    kind: &str,
    params: &[(&str, f64)],
) -> Result<NodeId, Refusal> {
    let id = NodeId(edit.id());
    edit.put(DspNode {
        id,
        channel,
        node_kind: kind.into(),
        node_version: edit.registry.version(kind),
        params: params.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
        ..DspNode::default()
    })?;
    Ok(id)
}

fn send(
    edit: &mut Edit<'_, '_>,
    from: &Created,
    to: ChannelId,
    gain_db: f64,
) -> Result<(), Refusal> {
    let id = SendId(edit.id());
    let from = channel(from)?;
    edit.put(Send { id, from, to, gain_db, tap: SignalTap::PostFader, ..Send::default() })
}

/// The last node of `part` is a compressor that hears the drums.
fn duck(edit: &mut Edit<'_, '_>, part: &Created, drums: &Created) -> Result<(), Refusal> {
    let last = part.nodes.len().saturating_sub(1);
    let params = [("threshold", -28.0), ("ratio", 4.0), ("attack", 2.0), ("release", 140.0)];
    let to = set(edit, part, last, &params)?;
    let id = SidechainRouteId(edit.id());
    let from = channel(drums)?;
    edit.put(SidechainRoute { id, from, to, port: 1, ..SidechainRoute::default() })
}

fn master(edit: &mut Edit<'_, '_>, arrangement: ArrangementId) -> Result<(), Refusal> {
    if let Some(master) = edit.master(arrangement)? {
        node(edit, master.id, "pulse.limiter", &[("ceiling", -1.0), ("input", 6.0)])?;
    }
    Ok(())
}
