//! What is done under one variant stays there: an edit or a deletion under B changes nothing that
//! the original has of its own, and the other way round. What both share, they share.
//! `PULSE_SOAK=1` runs more cases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{by, project};
use proptest::{prelude::*, test_runner::Config};
use pulse_schemas::{
    entity::{
        AnyEntity, Arrangement, AutomationEnvelope, AutomationPoint, Channel, ChannelInput,
        ChannelKind, Clip, ClipSlot, Comp, CompSegment, Connection, DspNode, EnvelopeOwner, Lane,
        MidiEvent, ModulationRoute, NodeStack, Note, OnDelete, ParameterGroup, ParameterLink,
        ParameterRef, PortRef, Scene, Send, SidechainRoute, StackAlternative, Take, Track, Variant,
        ViewMeta,
    },
    id::{
        AnyId, ArrangementId, AutomationEnvelopeId, AutomationPointId, ChannelId, ClipId,
        ClipSlotId, CompId, ConnectionId, EntityKind, LaneId, MidiEventId, ModulationRouteId,
        NodeId, NodeStackId, NoteId, ParameterGroupId, ParameterLinkId, SceneId, SendId,
        SidechainRouteId, TakeId, TrackId, VariantId, ViewMetaId,
    },
    order::OrderKey,
    record::EntityKey,
    time::{Moment, Ticks},
};
use pulse_store::{diff, overlay, project::Project, rev::Rev, tx::Tx, view::View};

fn cases(short: u32) -> Config {
    let soak = std::env::var_os("PULSE_SOAK").is_some_and(|value| value != "0");
    let cases = if soak { short * 20 } else { short };
    Config { failure_persistence: None, max_shrink_iters: 200, ..Config::with_cases(cases) }
}

/// What one track has; every kind of entity that can be a part of one.
#[derive(Clone)]
struct Part {
    track: TrackId,
    channel: ChannelId,
    lane: LaneId,
    clips: Vec<ClipId>,
    nodes: Vec<NodeId>,
    send: SendId,
    slot: ClipSlotId,
}

struct Song {
    /// The one with variants, and the other one.
    parts: [Part; 2],
    scene: SceneId,
    b: VariantId,
}

fn parameter(target: AnyId) -> ParameterRef {
    ParameterRef { target: Some(target), parameter: "gainDb".into() }
}

fn envelope(tx: &mut Tx<'_>, owner: EnvelopeOwner, target: AnyId) {
    let id = AutomationEnvelopeId(tx.new_id());
    let (target, parameter) = (Some(target), "gainDb".to_owned());
    tx.put(AutomationEnvelope { id, owner, target, parameter, ..AutomationEnvelope::default() })
        .unwrap();
    let point = AutomationPointId(tx.new_id());
    tx.put(AutomationPoint { id: point, envelope: id, ..AutomationPoint::default() }).unwrap();
}

fn write_track(
    tx: &mut Tx<'_>,
    arrangement: ArrangementId,
    bus: ChannelId,
    scene: SceneId,
) -> Part {
    let track = TrackId(tx.new_id());
    tx.put(Track { id: track, arrangement, name: "Track".into(), ..Track::default() }).unwrap();
    let channel = ChannelId(tx.new_id());
    let strip = Channel { id: channel, arrangement, channels: 2, ..Channel::default() };
    tx.put(Channel { track: Some(track), output: Some(bus), ..strip }).unwrap();
    let nodes: Vec<NodeId> = (0..3).map(|_| NodeId(tx.new_id())).collect();
    for (at, id) in nodes.iter().enumerate() {
        let (order, node_kind) = (OrderKey(format!("a{at}")), "pulse.eq".to_owned());
        tx.put(DspNode { id: *id, channel, order, node_kind, ..DspNode::default() }).unwrap();
    }
    let stack = NodeStackId(tx.new_id());
    let alternatives = vec![StackAlternative { name: "A".into(), nodes: vec![nodes[2]] }];
    tx.put(NodeStack { id: stack, channel, alternatives, ..NodeStack::default() }).unwrap();
    let wire = ConnectionId(tx.new_id());
    let port = |node: NodeId| PortRef { node: Some(node), port: 0 };
    let (from, to) = (port(nodes[0]), port(nodes[1]));
    tx.put(Connection { id: wire, channel, from, to, ..Connection::default() }).unwrap();
    let send = SendId(tx.new_id());
    tx.put(Send { id: send, from: channel, to: bus, ..Send::default() }).unwrap();
    let lane = LaneId(tx.new_id());
    tx.put(Lane { id: lane, track, ..Lane::default() }).unwrap();
    let clips: Vec<ClipId> = (0..3).map(|_| ClipId(tx.new_id())).collect();
    for (at, clip) in clips.iter().enumerate() {
        let start = Moment(at as i64 * 1000);
        tx.put(Clip { id: *clip, lane, start, length: Moment(900), ..Clip::default() }).unwrap();
        for at in 0..2 {
            let (id, start, length) = (NoteId(tx.new_id()), Ticks(at * 100), Ticks(50));
            tx.put(Note { id, clip: *clip, start, length, ..Note::default() }).unwrap();
        }
        let id = MidiEventId(tx.new_id());
        tx.put(MidiEvent { id, clip: *clip, ..MidiEvent::default() }).unwrap();
        envelope(tx, EnvelopeOwner::Clip { clip: *clip }, nodes[0].any());
    }
    let take = TakeId(tx.new_id());
    tx.put(Take { id: take, lane, clip: clips[2], ..Take::default() }).unwrap();
    let comp = CompId(tx.new_id());
    let segments = vec![CompSegment { start: Ticks(0), take: Some(take) }];
    tx.put(Comp { id: comp, lane, segments, ..Comp::default() }).unwrap();
    let slot = ClipSlotId(tx.new_id());
    let clip = Some(clips[1]);
    tx.put(ClipSlot { id: slot, scene, track, clip, ..ClipSlot::default() }).unwrap();
    let (look, subject) = (ViewMetaId(tx.new_id()), Some(clips[0].any()));
    tx.put(ViewMeta { id: look, subject, ..ViewMeta::default() }).unwrap();
    Part { track, channel, lane, clips, nodes, send, slot }
}

/// Everything by which one track can name another.
fn cross(tx: &mut Tx<'_>, from: &Part, to: &Part) {
    let id = SendId(tx.new_id());
    let ends = (from.channel, to.channel);
    tx.put(Send { id, from: ends.0, to: ends.1, feedback: Some(64), ..Send::default() }).unwrap();
    envelope(tx, EnvelopeOwner::Lane { lane: from.lane }, id.any());
    envelope(tx, EnvelopeOwner::Lane { lane: from.lane }, to.send.any());
    for target in [to.channel.any(), to.nodes[1].any()] {
        envelope(tx, EnvelopeOwner::Lane { lane: from.lane }, target);
        envelope(tx, EnvelopeOwner::Clip { clip: from.clips[0] }, target);
    }
    let id = SidechainRouteId(tx.new_id());
    let (source, target, feedback) = (from.channel, to.nodes[2], Some(64));
    let tap = Default::default();
    tx.put(SidechainRoute { id, from: source, tap, to: target, port: 1, feedback }).unwrap();
    let id = ModulationRouteId(tx.new_id());
    let (source, target) = (from.nodes[0], parameter(to.nodes[1].any()));
    tx.put(ModulationRoute { id, from: source, to: target, ..ModulationRoute::default() }).unwrap();
    let id = ParameterLinkId(tx.new_id());
    let (source, target) = (parameter(from.nodes[2].any()), parameter(to.nodes[2].any()));
    tx.put(ParameterLink { id, source, target, ..ParameterLink::default() }).unwrap();
    let take = TakeId(tx.new_id());
    tx.put(Take { id: take, lane: from.lane, clip: to.clips[2], ..Take::default() }).unwrap();
}

/// Two tracks full of everything that name each other, and B of the first.
fn write_song(project: &mut Project) -> Song {
    let mut tx = project.begin(by("a"));
    let arrangement = ArrangementId(tx.new_id());
    tx.put(Arrangement { id: arrangement, name: "Song".into(), ..Arrangement::default() }).unwrap();
    let bus = ChannelId(tx.new_id());
    tx.put(common::bus(bus, arrangement)).unwrap();
    let scene = SceneId(tx.new_id());
    tx.put(Scene { id: scene, arrangement, name: "One".into(), ..Scene::default() }).unwrap();
    let parts = [(); 2].map(|()| write_track(&mut tx, arrangement, bus, scene));
    cross(&mut tx, &parts[0], &parts[1]);
    cross(&mut tx, &parts[1], &parts[0]);
    // A bus that listens to the first track; the feeds of the second may go there too.
    let listener = ChannelId(tx.new_id());
    let input = ChannelInput::Channel { source: parts[0].channel, tap: Default::default() };
    let kind = ChannelKind::Bus;
    let strip = Channel { channel_kind: kind, arrangement, channels: 2, ..Channel::default() };
    tx.put(Channel { id: listener, input, ..strip }).unwrap();
    let group = ParameterGroupId(tx.new_id());
    let members = parts.iter().map(|part| parameter(part.channel.any())).collect();
    tx.put(ParameterGroup { id: group, name: "All".into(), members, enabled: true }).unwrap();
    tx.commit().unwrap();
    let mut tx = project.begin(by("a"));
    let b = tx.create_variant(parts[0].track.any(), "B", OrderKey::default()).unwrap();
    tx.commit().unwrap();
    let song = Song { parts, scene, b };
    // Inside of B a clip has a variant of its own, which plays wherever B does.
    play(project, &song, Some(b));
    let mut tx = project.begin(by("a"));
    let clip = song.parts[0].clips[0].any();
    let dark = tx.create_variant(clip, "Dark", OrderKey::default()).unwrap();
    tx.activate_variant(clip, Some(dark)).unwrap();
    tx.commit().unwrap();
    play(project, &song, None);
    song
}

fn song() -> (Project, Song) {
    let mut project = project();
    let song = write_song(&mut project);
    (project, song)
}

fn play(project: &mut Project, song: &Song, variant: Option<VariantId>) {
    let mut tx = project.begin(by("a"));
    tx.activate_variant(song.parts[0].track.any(), variant).unwrap();
    tx.commit().unwrap();
    agrees(project);
}

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn records(view: &View) -> Records {
    let entries = view.state().scan(&[]).map(|entry| entry.unwrap());
    entries.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// What lies beside all variants, without who plays in the place of the first track.
fn outside(project: &Project, song: &Song) -> Records {
    let mut records = records(&project.stored());
    records.retain(|key, _| overlay::split(key).is_none());
    records.remove(&EntityKey::standalone(song.parts[0].track.any()).to_bytes());
    records
}

fn inside(project: &Project) -> Records {
    let mut records = records(&project.stored());
    records.retain(|key, _| overlay::split(key).is_some());
    records
}

/// What plays follows from what is stored, and nothing in it names what is not there.
fn agrees(project: &Project) {
    let shown = project.view();
    assert_eq!(shown.root(), project.stored().resolved().unwrap().root());
    let scratch = pulse_store::index::build(shown.state()).unwrap();
    assert_eq!(shown.index().unwrap().root(), scratch.root());
    for view in [shown, project.stored()] {
        for key in records(&view).keys() {
            let Ok(key) = EntityKey::from_bytes(key) else { continue };
            for name in view.entity(&key).unwrap().unwrap().references() {
                let keeps = name.on_delete == OnDelete::Keep;
                let there = keeps || view.contains(name.target).unwrap();
                assert!(there, "{key:?} names {} in {}", name.target, name.field);
            }
        }
    }
}

/// The keys of what the first track's playing variant holds, or of what the original does.
fn own(project: &Project, song: &Song, under_b: bool) -> Vec<EntityKey> {
    let front = overlay::prefix(song.b);
    let keys = records(&project.stored()).into_keys();
    // The same things began in both; what was made since is found by what it belongs to.
    let keys = keys.filter_map(|key| match under_b {
        true => EntityKey::from_bytes(key.strip_prefix(&front[..])?).ok(),
        false => EntityKey::from_bytes(&key).ok().filter(|key| is_part(project, song, *key)),
    });
    let shown = project.view();
    let shows = |key: &EntityKey| shown.contains(key.any_id()).unwrap();
    keys.filter(|key| key.any_id() != song.parts[0].track.any() && shows(key)).collect()
}

/// Whether the original's record began as one of B.
fn is_part(project: &Project, song: &Song, key: EntityKey) -> bool {
    let begun = overlay::key(&[song.b], &key.to_bytes());
    project.stored().state().get(&begun).unwrap().is_some()
}

type Step = (u8, u16, u16);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((any::<u8>(), any::<u16>(), any::<u16>()), 1..12)
}

fn pick<T: Copy>(of: &[T], choice: u16) -> Option<T> {
    of.get(usize::from(choice) % of.len().max(1)).copied()
}

/// One edit of what the first track has of its own; most of them deletions.
fn act(project: &mut Project, song: &Song, under_b: bool, client: &str, step: Step) {
    let (what, which, number) = step;
    let own = own(project, song, under_b);
    let Some(key) = pick(&own, which) else { return };
    let mut tx = project.begin(by(client));
    let of =
        |kind| pick(&own.iter().filter(|it| it.kind == kind).copied().collect::<Vec<_>>(), which);
    let done = match what % 8 {
        0..=3 => tx.remove_cascade(key.any_id()).map(drop),
        4 => match of(EntityKind::Channel) {
            Some(key) => {
                tx.update::<Channel>(key.any_id(), |it| it.gain_db = f64::from(number % 9))
            }
            None => return,
        },
        5 => match of(EntityKind::Lane) {
            Some(key) => {
                let clip = ClipId(tx.new_id());
                let (lane, length) = (LaneId(key.id), Moment(5));
                tx.put(Clip { id: clip, lane, length, ..Clip::default() }).unwrap();
                // The new one is launched, if there is a slot.
                match of(EntityKind::ClipSlot) {
                    Some(slot) => tx.update::<ClipSlot>(slot.any_id(), |it| it.clip = Some(clip)),
                    None => Ok(()),
                }
            }
            None => return,
        },
        6 => match of(EntityKind::ClipSlot) {
            Some(key) => {
                let clip = of(EntityKind::Clip).map(|key| ClipId(key.id));
                tx.update::<ClipSlot>(key.any_id(), |it| it.clip = clip)
            }
            None => return,
        },
        _ => match of(EntityKind::Note) {
            Some(key) => tx.update::<Note>(key.any_id(), |it| it.start = Ticks(i64::from(number))),
            None => return,
        },
    };
    done.unwrap();
    tx.commit().unwrap();
}

/// Deletes anything at all but the first track and its variant.
fn delete_anything(project: &mut Project, song: &Song, client: &str, choice: u16) {
    let view = project.view();
    let keys = records(&view).into_keys().filter_map(|key| EntityKey::from_bytes(&key).ok());
    let spared = [song.parts[0].track.any(), song.b.any()];
    let spared = |key: &EntityKey| {
        spared.contains(&key.any_id())
            || matches!(key.kind, EntityKind::Project | EntityKind::Arrangement)
    };
    let keys: Vec<EntityKey> = keys.filter(|key| !spared(key)).collect();
    let Some(key) = pick(&keys, choice) else { return };
    let mut tx = project.begin(by(client));
    tx.remove_cascade(key.any_id()).unwrap();
    tx.commit().unwrap();
}

/// Deletes under B; what the others name stays as it is stored and is silent under B.
fn deletion_under_b(what: impl Fn(&Song) -> AnyId) {
    let (mut project, song) = song();
    let shown = project.view();
    play(&mut project, &song, Some(song.b));
    let before = outside(&project, &song);
    let mut tx = project.begin(by("a"));
    tx.remove_cascade(what(&song)).unwrap();
    tx.commit().unwrap();
    agrees(&project);
    assert!(!project.view().contains(what(&song)).unwrap());
    assert_eq!(outside(&project, &song), before);
    play(&mut project, &song, None);
    assert_eq!(project.view().root(), project.stored().root());
    let now = diff::changes(&shown, &project.stored()).unwrap();
    assert!(now.iter().all(|change| !change.within.is_empty()), "{now:?}");
}

#[test]
fn a_clip_deleted_under_b_stays_in_its_slot_of_the_original() {
    deletion_under_b(|song| song.parts[0].clips[1].any());
}

#[test]
fn a_node_deleted_under_b_stays_automated_modulated_and_linked_from_other_tracks() {
    for at in 0..3 {
        deletion_under_b(|song| song.parts[0].nodes[at].any());
    }
}

#[test]
fn a_channel_deleted_under_b_is_still_fed_and_heard_by_others() {
    deletion_under_b(|song| song.parts[0].channel.any());
    deletion_under_b(|song| song.parts[0].send.any());
    deletion_under_b(|song| song.parts[0].lane.any());
}

#[test]
fn a_slot_is_filled_under_b_with_a_clip_that_only_b_has() {
    let (mut project, song) = song();
    play(&mut project, &song, Some(song.b));
    let before = outside(&project, &song);
    let mut tx = project.begin(by("a"));
    let clip = ClipId(tx.new_id());
    let lane = song.parts[0].lane;
    tx.put(Clip { id: clip, lane, length: Moment(9), ..Clip::default() }).unwrap();
    tx.update::<ClipSlot>(song.parts[0].slot, |it| it.clip = Some(clip)).unwrap();
    tx.commit().unwrap();
    agrees(&project);
    assert_eq!(outside(&project, &song), before);
    let slot = |project: &Project| project.view().get::<ClipSlot>(song.parts[0].slot).unwrap();
    assert_eq!(slot(&project).unwrap().clip, Some(clip));
    play(&mut project, &song, None);
    assert_eq!(slot(&project).unwrap().clip, Some(song.parts[0].clips[1]));
    // A scene is shared: with it go the slots of all.
    let mut tx = project.begin(by("a"));
    tx.remove_cascade(song.scene).unwrap();
    tx.commit().unwrap();
    play(&mut project, &song, Some(song.b));
    assert_eq!(slot(&project), None);
}

#[test]
fn what_is_shared_and_deleted_on_purpose_together_with_what_it_names_is_gone_for_all() {
    let (mut project, song) = song();
    play(&mut project, &song, Some(song.b));
    let mut tx = project.begin(by("a"));
    tx.remove_cascade(song.parts[1].track).unwrap();
    tx.remove_cascade(song.parts[0].clips[1]).unwrap();
    tx.commit().unwrap();
    agrees(&project);
    play(&mut project, &song, None);
    let view = project.view();
    assert!(!view.contains(song.parts[1].channel).unwrap());
    assert!(view.contains(song.parts[0].clips[1]).unwrap());
}

#[test]
fn a_name_that_others_cannot_find_is_refused_with_what_to_do() {
    let (mut project, song) = song();
    play(&mut project, &song, Some(song.b));
    let mut tx = project.begin(by("a"));
    let node = NodeId(tx.new_id());
    let (channel, node_kind) = (song.parts[0].channel, "pulse.eq".to_owned());
    tx.put(DspNode { id: node, channel, node_kind, ..DspNode::default() }).unwrap();
    envelope(&mut tx, EnvelopeOwner::Lane { lane: song.parts[1].lane }, node.any());
    let error = tx.commit().unwrap_err();
    let pulse_store::tx::TxError::OnlyInside { target, variant, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*target, *variant), (node.any(), song.b));
}

proptest! {
    #![proptest_config(cases(10))]

    #[test]
    fn an_edit_under_b_never_changes_what_the_original_shows(steps in steps()) {
        let (mut project, song) = song();
        play(&mut project, &song, Some(song.b));
        let (start, before) = (project.root(), outside(&project, &song));
        let base = project.stored();
        for step in &steps {
            act(&mut project, &song, true, "a", *step);
            agrees(&project);
            prop_assert_eq!(&outside(&project, &song), &before);
        }
        let changes = diff::changes(&base, &project.stored()).unwrap();
        prop_assert!(changes.iter().all(|it| it.within.first() == Some(&song.b)), "{changes:?}");
        diff::diff(&base, &project.stored()).unwrap();
        play(&mut project, &song, None);
        prop_assert_eq!(&outside(&project, &song), &before);
        // Undone while the original plays, and redone.
        let end = project.root();
        let mut undone = 0;
        while project.root() != start && project.undo("a", None).is_ok() {
            agrees(&project);
            prop_assert_eq!(&outside(&project, &song), &before);
            undone += 1;
        }
        prop_assert_eq!(project.root(), start);
        for _ in 0..undone {
            project.redo("a", None).unwrap();
        }
        prop_assert_eq!(project.root(), end);
        agrees(&project);
    }

    #[test]
    fn an_edit_of_the_original_never_changes_what_b_has(steps in steps()) {
        let (mut project, song) = song();
        let before = inside(&project);
        for step in &steps {
            act(&mut project, &song, false, "a", *step);
            agrees(&project);
            prop_assert_eq!(&inside(&project), &before);
        }
        play(&mut project, &song, Some(song.b));
        prop_assert_eq!(&inside(&project), &before);
    }

    #[test]
    fn deleting_what_is_shared_takes_from_hidden_ones_only_what_cannot_be_without_it(
        steps in proptest::collection::vec((any::<bool>(), any::<u16>()), 1..8),
    ) {
        let (mut project, song) = song();
        for (under_b, choice) in steps {
            play(&mut project, &song, under_b.then_some(song.b));
            let (had, kept) = (project.stored(), inside(&project));
            delete_anything(&mut project, &song, "a", choice);
            agrees(&project);
            if !under_b {
                prop_assert_eq!(&inside(&project), &kept);
                continue;
            }
            let now = project.stored();
            let changes = diff::changes(&had, &now).unwrap();
            let gone: BTreeSet<AnyId> = changes.iter().filter(|it| it.within.is_empty())
                .filter(|it| it.after.is_none()).map(|it| it.key.any_id()).collect();
            for change in changes.iter().filter(|it| it.within.is_empty()) {
                let names = change.before.as_deref().into_iter().flat_map(AnyEntity::references);
                let follows = names.map(|it| it.target).any(|id| gone.contains(&id));
                let part = is_part(&project, &song, change.key);
                prop_assert!(follows || !part, "{change:?}");
            }
        }
    }

    #[test]
    fn work_under_b_and_work_on_the_original_merge_side_by_side(
        ours in steps(), theirs in steps(),
    ) {
        let (mut project, song) = song();
        project.commit("base", by("a")).unwrap();
        project.branch("theirs", &Rev::working(), by("a")).unwrap();
        // Both sides play what they play on their own.
        for step in &ours {
            act(&mut project, &song, false, "a", *step);
        }
        let _ = project.commit("ours", by("a"));
        let expected = outside(&project, &song);
        project.switch("theirs", by("a")).unwrap();
        play(&mut project, &song, Some(song.b));
        for step in &theirs {
            act(&mut project, &song, true, "a", *step);
        }
        play(&mut project, &song, None);
        let _ = project.commit("theirs", by("a"));
        let of_b = inside(&project);
        project.switch("main", by("a")).unwrap();
        let merged = project.merge(&Rev::name("theirs"), by("a")).unwrap();
        prop_assert!(merged.conflicts.is_empty(), "{:?}", merged.conflicts);
        agrees(&project);
        prop_assert_eq!(&outside(&project, &song), &expected);
        prop_assert_eq!(&inside(&project), &of_b);
        play(&mut project, &song, Some(song.b));
    }

    #[test]
    fn two_people_delete_and_edit_under_b_and_neither_touches_the_original(
        ours in steps(), theirs in steps(),
    ) {
        let (mut project, song) = song();
        play(&mut project, &song, Some(song.b));
        project.commit("base", by("a")).unwrap();
        project.branch("theirs", &Rev::working(), by("a")).unwrap();
        let before = outside(&project, &song);
        ours.iter().for_each(|step| act(&mut project, &song, true, "a", *step));
        let _ = project.commit("ours", by("a"));
        project.switch("theirs", by("a")).unwrap();
        theirs.iter().for_each(|step| act(&mut project, &song, true, "b", *step));
        let _ = project.commit("theirs", by("a"));
        project.switch("main", by("a")).unwrap();
        project.merge(&Rev::name("theirs"), by("a")).unwrap();
        agrees(&project);
        let mut after = outside(&project, &song);
        after.retain(|key, _| !key.starts_with(&EntityKey::kind_prefix(EntityKind::Conflict)));
        prop_assert_eq!(&after, &before);
        let variants: Vec<Variant> = project.stored().all().unwrap();
        prop_assert_eq!(variants.len(), 1);
    }
}
