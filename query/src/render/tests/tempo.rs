//! What another tempo, or another end, leaves as it was.

use pulse_engine::node::FollowsTempo;
use pulse_schemas::{
    entity::{Fade, StretchMode},
    time::{TempoShape, Timebase},
};

use super::{
    kept::{render_with, stretched, tone},
    *,
};

/// Four segments after the start, and a little.
const CHANGE: i64 = 4 * SEGMENT as i64 + 100;

/// Notes behind the change, which another tempo moves.
fn with_late_notes(mut entities: Entities) -> Entities {
    for track in [1, 2] {
        entities.put(note(track * 100 + 9, track, BEAT * 31 / 32, 38));
    }
    entities
}

/// Another tempo from [`CHANGE`] on.
fn slower(entities: &mut Entities) {
    let at = song(entities).time.ticks_at(CHANGE);
    entities.put(TempoPoint {
        id: TempoPointId(id(9, 1)),
        arrangement: arrangement(),
        at,
        bpm: 93.0,
        shape: TempoShape::Step,
    });
}

#[test]
fn what_lies_before_a_changed_tempo_is_found() {
    for kind in NODES.iter().map(|kind| kind.descriptor) {
        let (_dir, cache) = cache();
        let mut entities = with_late_notes(project(&kinds_with(kind.kind)));
        // In tempo wherever a kind can be.
        if let FollowsTempo::While(param) = kind.follows_tempo {
            let nodes: Vec<DspNode> = entities.all();
            for mut node in nodes.into_iter().filter(|node| node.node_kind == kind.kind) {
                node.params.insert(param.into(), 6.0);
                entities.put(node);
            }
        }
        from_cache(&song(&entities), &cache, 2);
        slower(&mut entities);
        let song = song(&entities);
        let options = Options { segment_frames: SEGMENT, ..Options::new(RATE) };
        // Where a node looks ahead, the segment after is needed to its end.
        let before = 0..3 * i64::from(SEGMENT) - 1_000;
        let (_, report) = with_options(&song, &cache, before, &options);
        assert_eq!(report.rendered, 0, "{}: {:?}", kind.kind, report.units);
        let (found, report) = from_cache(&song, &cache, 2);
        assert!(report.rendered > 0, "{}: nobody hears the tempo", kind.kind);
        same(&found, &whole(&song), &|| kind.kind.into());
    }
}

#[test]
fn who_says_that_it_does_not_follow_the_tempo_sounds_the_same_in_any() {
    for kind in NODES.iter().map(|kind| kind.descriptor) {
        let mut entities = project(&kinds_with(kind.kind));
        if let FollowsTempo::While(param) = kind.follows_tempo {
            let nodes: Vec<DspNode> = entities.all();
            for mut node in nodes.into_iter().filter(|node| node.node_kind == kind.kind) {
                node.params.insert(param.into(), 0.0);
                entities.put(node);
            }
        }
        let before = song(&entities);
        let mut faster = entities.clone();
        let mut point: TempoPoint = faster.members_of(arrangement().0).into_iter().next().unwrap();
        point.bpm = 171.3;
        faster.put(point);
        // Nothing but the tempo: what is played lies at the frames where it lay.
        let (spec, slices) = (before.spec.clone(), before.slices.clone());
        let after = Song::of(spec, slices, song(&faster).time, before.registry.clone()).unwrap();
        same(&whole(&after), &whole(&before), &|| kind.kind.into());
    }
}

/// A long clip of the recording in a lane of its own.
fn with_long_clip(change: impl FnOnce(&mut Clip)) -> Entities {
    let mut entities = with_late_notes(stretched());
    entities.remove(pulse_schemas::record::EntityKey::standalone(ClipId(id(5, 30))));
    let mut clip: Clip = get(&entities, id(5, 31));
    (clip.stretch, clip.transpose, clip.start) = (StretchMode::Off, 0.0, Moment(0));
    clip.length = Moment(BEAT * 3 / 2);
    change(&mut clip);
    entities.put(clip);
    entities.put(node(39, 3, "pulse.eq"));
    entities
}

/// Segments of the units of the audio track that a render made: those of the lane
/// and of the chain behind it.
fn made(song: &Song, report: &Report) -> (u64, u64) {
    let lane = LaneId(id(3, 3)).any();
    let holds = |unit: &&UnitReport| {
        let own = [lane, NodeId(id(4, 39)).any(), ChannelId(id(1, 3)).any()];
        unit.nodes.iter().any(|node| own.contains(&node.entity))
    };
    assert!(song.spec.nodes.iter().any(|node| node.key.entity == lane));
    let units = report.units.iter().filter(holds);
    units.fold((0, 0), |sum, unit| (sum.0 + unit.rendered, sum.1 + unit.total))
}

#[test]
fn a_recording_that_is_fixed_in_time_is_not_rendered_again_in_another_tempo() {
    let (_dir, cache) = cache();
    let mut entities = with_long_clip(|clip| {
        (clip.timebase, clip.length) = (Timebase::Absolute, Moment(705_600 * 2 / 5));
    });
    let tone = tone();
    render_with(&entities, &tone, &cache);
    slower(&mut entities);
    let (found, report) = render_with(&entities, &tone, &cache);
    let (rendered, total) = made(&song(&entities), &report);
    assert!(total > 0 && rendered == 0, "{rendered} of {total}: {:?}", report.units);
    assert!(report.rendered > 0, "the others moved");
    let (_other, empty) = super::cache();
    same(&found, &render_with(&entities, &tone, &empty).0, &|| "another tempo".into());
}

#[test]
fn a_clip_that_ends_elsewhere_is_rendered_again_where_it_ends() {
    let (_dir, cache) = cache();
    let tone = tone();
    let fade = |beats: i64| Fade { length: Moment(BEAT / beats), ..Fade::default() };
    let mut entities = with_long_clip(|clip| clip.fade_out = fade(64));
    render_with(&entities, &tone, &cache);
    for (length, beats) in [(BEAT * 11 / 8, 64), (BEAT * 11 / 8, 16), (BEAT * 3 / 2, 8)] {
        let mut clip: Clip = get(&entities, id(5, 31));
        (clip.length, clip.fade_out) = (Moment(length), fade(beats));
        entities.put(clip);
        let (found, report) = render_with(&entities, &tone, &cache);
        let (rendered, total) = made(&song(&entities), &report);
        assert!(rendered > 0 && rendered * 3 < total * 2, "{rendered} of {total}");
        let (_other, empty) = super::cache();
        same(&found, &render_with(&entities, &tone, &empty).0, &|| format!("{length}, {beats}"));
    }
}
