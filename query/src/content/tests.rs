use pulse_schemas::{
    entity::{
        AutomationEnvelope, AutomationPoint, ChannelKind, Clip, ClipContent, EnvelopeOwner, Note,
        PointShape,
    },
    graph::{NodeKey, SegmentShape, SpecEventBody},
    id::{
        ActorId, AutomationEnvelopeId, AutomationPointId, ChannelId, ClipId, EntityId, LaneId,
        NoteId, TrackId,
    },
    time::{Flicks, Moment, Ticks, Timebase},
};

use super::*;
use crate::source::Entities;

const RATE: u32 = 48_000;
const BEAT: i64 = Ticks::PER_QUARTER;

fn id(number: u32) -> EntityId {
    EntityId::derive(ActorId(1), 1, number)
}

fn arrangement() -> ArrangementId {
    ArrangementId(id(0))
}

/// Track `number` with its channel and one MIDI lane.
fn add_track(entities: &mut Entities, number: u32, change: impl FnOnce(&mut Track)) {
    let mut track =
        Track { id: TrackId(id(number)), arrangement: arrangement(), ..Track::default() };
    change(&mut track);
    entities.put(track);
    entities.put(Channel {
        id: ChannelId(id(number + 100)),
        arrangement: arrangement(),
        track: Some(TrackId(id(number))),
        channel_kind: ChannelKind::Track,
        ..Channel::default()
    });
    entities.put(Lane {
        id: LaneId(id(number + 200)),
        track: TrackId(id(number)),
        lane_kind: LaneKind::Midi,
        ..Lane::default()
    });
}

fn audible_tracks(entities: &Entities) -> Vec<u32> {
    let audible = audible(entities, arrangement());
    (1..10).filter(|number| audible.0.contains(&ChannelId(id(number + 100)))).collect()
}

#[test]
fn solo_is_heard_up_and_down_the_folders() {
    let project = |solo: &[u32], mute: &[u32], safe: &[u32]| {
        let mut entities = Entities::default();
        // 1 is a folder with 2 and 3 inside; 4 stands alone.
        for (number, parent) in [(1, None), (2, Some(1)), (3, Some(1)), (4, None)] {
            add_track(&mut entities, number, |track| {
                track.parent = parent.map(|parent| TrackId(id(parent)));
                track.solo = solo.contains(&number);
                track.mute = mute.contains(&number);
                track.solo_safe = safe.contains(&number);
            });
        }
        audible_tracks(&entities)
    };
    assert_eq!(project(&[], &[], &[]), [1, 2, 3, 4]);
    assert_eq!(project(&[2], &[], &[]), [1, 2]);
    assert_eq!(project(&[1], &[], &[]), [1, 2, 3]);
    assert_eq!(project(&[4], &[], &[2]), [2, 4]);
    assert_eq!(project(&[], &[1], &[]), [4]);
    assert_eq!(project(&[2], &[2], &[]), [1]);
}

fn clip(change: impl FnOnce(&mut Clip)) -> Clip {
    let mut clip = Clip {
        id: ClipId(id(300)),
        lane: LaneId(id(201)),
        content: ClipContent::Midi,
        start: Moment(4 * BEAT),
        length: Moment(4 * BEAT),
        ..Clip::default()
    };
    change(&mut clip);
    clip
}

fn note(number: u32, start: i64, length: i64) -> Note {
    Note {
        id: NoteId(id(400 + number)),
        clip: ClipId(id(300)),
        pitch: 60 + number as u8,
        start: Ticks(start),
        length: Ticks(length),
        velocity: 65_535,
        probability: 1.0,
        ..Note::default()
    }
}

/// Frames and keys of the notes of one clip at 120 BPM: 24,000 frames a beat.
fn played(clip: Clip, notes: &[Note]) -> Vec<(i64, i64, u8)> {
    let mut entities = Entities::default();
    add_track(&mut entities, 1, |_| {});
    entities.put(clip);
    notes.iter().for_each(|note| entities.put(note.clone()));
    let tempo = tempo_map(&entities, arrangement());
    let registry = Registry::standard();
    let ctx = Ctx { source: &entities, registry: &registry, tempo: &tempo, rate: RATE };
    let track = entities.get::<Track>(id(1)).unwrap();
    let events = track_events(&ctx, &track);
    let mut open: Vec<(i64, i64, u8)> = Vec::new();
    for event in events {
        match event.body {
            SpecEventBody::NoteOn { key, .. } => open.push((event.frame, -1, key)),
            SpecEventBody::NoteOff { key, .. } => {
                let note = open.iter_mut().find(|note| note.2 == key && note.1 < 0).unwrap();
                note.1 = event.frame;
            }
            _ => {}
        }
    }
    open
}

#[test]
fn notes_lie_where_their_clip_does() {
    let notes = [note(0, 0, BEAT), note(1, BEAT, 8 * BEAT)];
    let expect = [(96_000, 120_000, 60), (120_000, 192_000, 61)];
    assert_eq!(played(clip(|_| {}), &notes), expect);
}

#[test]
fn a_loop_plays_its_notes_again() {
    let looped = clip(|clip| clip.loop_length = Some(Moment(2 * BEAT)));
    let expect = [(96_000, 120_000, 60), (144_000, 168_000, 60)];
    assert_eq!(played(looped, &[note(0, 0, BEAT), note(1, 3 * BEAT, BEAT)]), expect);
}

#[test]
fn a_clip_that_is_fixed_in_time_shows_the_notes_that_it_covers() {
    // At 120 BPM a beat is half a second.
    let fixed = |change: fn(&mut Clip, i64)| {
        let half = Flicks::PER_SECOND / 2;
        clip(|clip| {
            clip.timebase = Timebase::Absolute;
            (clip.start, clip.length) = (Moment(4 * half), Moment(4 * half));
            change(clip, half);
        })
    };
    let notes = [note(0, 0, BEAT), note(1, BEAT, 8 * BEAT), note(2, 4 * BEAT, BEAT)];
    let expect = [(96_000, 120_000, 60), (120_000, 192_000, 61)];
    assert_eq!(played(fixed(|_, _| {}), &notes), expect);
    let slipped = fixed(|clip, half| clip.slip = Moment(half));
    assert_eq!(played(slipped, &notes), [(96_000, 192_000, 61), (168_000, 192_000, 62)]);
    let looped = fixed(|clip, half| clip.loop_length = Some(Moment(2 * half)));
    let expect = [(96_000, 120_000, 60), (144_000, 168_000, 60)];
    assert_eq!(played(looped, &notes[..1]), expect);
}

#[test]
fn slip_mute_and_transpose_are_obeyed() {
    let slipped = clip(|clip| clip.slip = Moment(BEAT));
    let notes = [note(0, 0, BEAT), note(1, BEAT, BEAT)];
    assert_eq!(played(slipped, &notes), [(96_000, 120_000, 61)]);
    assert_eq!(played(clip(|clip| clip.mute = true), &notes), []);
    let up = clip(|clip| clip.transpose = 12.0);
    assert_eq!(played(up, &notes[..1]), [(96_000, 120_000, 72)]);
}

#[test]
fn a_chance_is_the_same_each_time_and_about_right() {
    let looped = |probability: f64| {
        let note = Note { probability, ..note(0, 0, BEAT / 4) };
        let clip = clip(|clip| {
            clip.length = Moment(1_000 * BEAT);
            clip.loop_length = Some(Moment(BEAT));
        });
        played(clip, &[note])
    };
    assert_eq!(looped(0.5), looped(0.5));
    let count = looped(0.5).len();
    assert!((400..600).contains(&count), "{count} of 1000");
    assert_eq!((looped(0.0).len(), looped(1.0).len()), (0, 1_000));
}

#[test]
fn an_envelope_becomes_segments_in_the_units_of_the_strip() {
    let mut entities = Entities::default();
    add_track(&mut entities, 1, |_| {});
    let envelope = AutomationEnvelopeId(id(500));
    entities.put(AutomationEnvelope {
        id: envelope,
        owner: EnvelopeOwner::Lane { lane: LaneId(id(201)) },
        target: Some(ChannelId(id(101)).any()),
        parameter: "width".into(),
        enabled: true,
        ..AutomationEnvelope::default()
    });
    for (number, at, value) in [(0, 0, 1.0), (1, BEAT, 0.5)] {
        entities.put(AutomationPoint {
            id: AutomationPointId(id(600 + number)),
            envelope,
            at: Moment(at),
            value,
            shape: PointShape::Linear,
        });
    }
    let content = content(&entities, &Registry::standard(), arrangement(), RATE);
    let strip = NodeKey::new(ChannelId(id(101)), "strip");
    let segments = &content.automation.0[&strip]["width"];
    let found: Vec<_> = segments
        .iter()
        .map(|segment| (segment.start_frame, segment.end_frame, segment.from, segment.to))
        .collect();
    assert_eq!(found, [(0, 24_000, 100.0, 50.0), (24_000, 24_001, 50.0, 50.0)]);
    assert_eq!(segments[1].shape, SegmentShape::Hold);
}

#[test]
fn a_bypassed_node_is_bypassed_in_the_engine() {
    let mut entities = Entities::default();
    add_track(&mut entities, 1, |_| {});
    let node = pulse_schemas::id::NodeId(id(700));
    entities.put(pulse_schemas::entity::DspNode {
        id: node,
        channel: ChannelId(id(101)),
        node_kind: "pulse.eq".into(),
        bypass: true,
        ..Default::default()
    });
    let content = content(&entities, &Registry::standard(), arrangement(), RATE);
    let params = &content.params.0[&NodeKey::new(node, "node")];
    assert_eq!(params[pulse_engine::material::BYPASS], 1.0);
}

#[test]
fn a_clip_in_a_slot_is_not_on_the_timeline() {
    let mut entities = Entities::default();
    add_track(&mut entities, 1, |_| {});
    entities.put(clip(|_| {}));
    entities.put(note(0, 0, BEAT));
    let events = |entities: &Entities| {
        let tempo = tempo_map(entities, arrangement());
        let registry = Registry::standard();
        let ctx = Ctx { source: entities, registry: &registry, tempo: &tempo, rate: RATE };
        track_events(&ctx, &entities.get::<Track>(id(1)).unwrap()).len()
    };
    assert_eq!(events(&entities), 2);
    entities.put(pulse_schemas::entity::ClipSlot {
        id: pulse_schemas::id::ClipSlotId(id(800)),
        clip: Some(ClipId(id(300))),
        ..Default::default()
    });
    assert_eq!(events(&entities), 0);
}
