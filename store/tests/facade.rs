//! The facade as its users see it: edit, undo, commit, branch, switch, reopen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{bus, by, gain, move_clip, options, project, set_gain, write_song};
use pulse_schemas::{
    entity::{Channel, ChannelKind, Clip, HistoryContext, Note, Send, Track},
    id::{ActorId, AnyId, ChannelId, ClipId, EntityId, EntityKind, LaneId, NoteId, SendId},
    record::EntityKey,
    time::{Moment, Ticks},
};
use pulse_store::{
    invariants::Breach,
    project::{HistoryError, OpenOptions, Project},
    rev::Rev,
    tx::{TxError, TxMeta},
    version::VersionError,
};

#[test]
fn references_are_found_in_the_order_people_see() {
    let mut project = project();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    let clips: Vec<ClipId> = (0..3).map(|_| ClipId(tx.new_id())).collect();
    for (at, id) in clips.iter().enumerate() {
        let start = Moment(9_000 - 1_000 * at as i64);
        tx.put(Clip { id: *id, lane: song.lane, start, length: Moment(500), ..Clip::default() })
            .unwrap();
    }
    let order = |view: &pulse_store::view::View| {
        let keys = view.referrers(song.lane, EntityKind::Clip).unwrap();
        keys.iter().map(|key| ClipId(key.id)).collect::<Vec<_>>()
    };
    let expect = vec![song.clip, clips[2], clips[1], clips[0]];
    assert_eq!(order(tx.view().unwrap()), expect);
    tx.commit().unwrap();
    let view = project.view();
    assert_eq!(order(&view), expect);
    let between = view.clips_between(song.lane, Ticks(500), Ticks(8_000)).unwrap();
    let between: Vec<ClipId> = between.iter().map(|key| ClipId(key.id)).collect();
    assert_eq!(between, [song.clip, clips[2]]);
    let notes = view.members::<Note>(song.clip).unwrap();
    assert!(notes.windows(2).all(|pair| pair[0].start < pair[1].start));
    assert_eq!(view.get::<Note>(song.notes[2]).unwrap().unwrap().start, Ticks(100));
}

#[test]
fn the_index_of_any_state_equals_one_built_from_scratch() {
    let mut project = project();
    let song = write_song(&mut project);
    let first = project.view();
    move_clip(&mut project, &song, "a", 777);
    // Looked at between two writes, and everything written twice.
    let mut tx = project.begin(by("a"));
    let id = ClipId(tx.new_id());
    for start in [4_000, 5_000] {
        let (start, length) = (Moment(start), Moment(500));
        tx.put(Clip { id, lane: song.lane, start, length, ..Clip::default() }).unwrap();
        tx.view().unwrap();
    }
    tx.update::<Clip>(id, |clip| clip.start = Moment(6_000)).unwrap();
    tx.commit().unwrap();
    for view in [project.view(), first, project.view_at(&Rev::op(1)).unwrap()] {
        let scratch = pulse_store::index::build(view.state()).unwrap();
        assert_eq!(view.index().unwrap().root(), scratch.root());
    }
}

/// Above some thousand edits several threads work: nothing may show how many.
#[test]
fn a_large_transaction_ends_like_many_small_ones_and_tells_the_same_error() {
    let (mut large, mut small) = (project(), project());
    let song = write_song(&mut large);
    write_song(&mut small);
    let note = |number: u32| Note {
        id: NoteId(EntityId::derive(ActorId(9), 1, number)),
        clip: song.clip,
        start: Ticks(i64::from(number % 700)),
        length: Ticks(5),
        ..Note::default()
    };
    let clip = |number: u32| Clip {
        id: ClipId(EntityId::derive(ActorId(9), 2, number)),
        lane: song.lane,
        start: Moment(i64::from(number) * 500),
        length: Moment(400),
        ..Clip::default()
    };
    let mut tx = large.begin(by("a"));
    for number in 0..6_000 {
        tx.put(note(number)).unwrap();
        if number % 5 == 0 {
            tx.put(clip(number)).unwrap();
        }
    }
    let changes = tx.commit().unwrap().changes.list;
    assert!(changes.windows(2).all(|pair| pair[0].key < pair[1].key));
    assert_eq!(changes.len(), 7_200);
    for first in (0..6_000).step_by(1_000) {
        let mut tx = small.begin(by("a"));
        for number in first..first + 1_000 {
            tx.put(note(number)).unwrap();
            if number % 5 == 0 {
                tx.put(clip(number)).unwrap();
            }
        }
        tx.commit().unwrap();
    }
    assert_eq!(large.root(), small.root());
    let view = large.view();
    for prefix in (0..=255u8).map(|kind| vec![kind]).chain([vec![], vec![0xff; 3]]) {
        let found = view.state().scan(&prefix).count() as u64;
        assert_eq!(view.state().count(&prefix).unwrap(), found, "{prefix:?}");
    }
    let notes = EntityKey::owner_prefix(EntityKind::Note, song.clip.0);
    assert_eq!(view.state().count(&notes).unwrap(), 6_004);
    let index = |project: &Project| project.view().index().unwrap().root();
    assert_eq!(index(&large), index(&small));

    // The first in key order is told, wherever the work was parted.
    let mut tx = large.begin(by("a"));
    for number in 0..6_000 {
        let length = Ticks(if number % 1_000 == 7 { -1 } else { 6 });
        tx.put(Note { length, ..note(number) }).unwrap();
    }
    let broken = (0..6).map(|at| note(at * 1_000 + 7).id).min().unwrap();
    match tx.commit().unwrap_err() {
        TxError::Breach(Breach::Invalid { id, .. }) => assert_eq!(id, broken.any()),
        error => panic!("{error}"),
    }
    assert_eq!(large.root(), small.root());
}

#[test]
fn a_failed_transaction_leaves_nothing_behind() {
    let mut project = project();
    let song = write_song(&mut project);
    let (root, seq) = (project.root(), project.seq());
    let mut check = |edit: &dyn Fn(&mut pulse_store::tx::Tx<'_>), text: &str| {
        let mut tx = project.begin(by("a"));
        edit(&mut tx);
        let error = tx.commit().unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        assert_eq!((project.root(), project.seq()), (root, seq));
    };
    check(&|tx| tx.remove(song.track).unwrap(), "still names it in");
    check(&|tx| tx.remove(song.clip).unwrap(), "4 of its members are left");
    check(
        &|tx| tx.update::<Clip>(song.clip, |it| it.length = Moment(0)).unwrap(),
        "length: must be at least 1",
    );
    check(
        &|tx| {
            let lane = LaneId(tx.new_id());
            tx.update::<Clip>(song.clip, |it| it.lane = lane).unwrap();
        },
        "which does not exist",
    );
    check(
        &|tx| tx.update::<Track>(song.track, |it| it.parent = Some(song.track)).unwrap(),
        "another track",
    );
    check(
        &|tx| {
            let id = ChannelId(tx.new_id());
            let channel_kind = ChannelKind::Track;
            tx.put(Channel { channel_kind, track: Some(song.track), ..bus(id, song.arrangement) })
                .unwrap();
        },
        "would have two channels",
    );
}

#[test]
fn a_loop_in_the_routing_is_named() {
    let mut project = project();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    let buses: Vec<ChannelId> = (0..3).map(|_| ChannelId(tx.new_id())).collect();
    for (at, id) in buses.iter().enumerate() {
        let output = buses.get(at + 1).copied();
        tx.put(Channel { output, ..bus(*id, song.arrangement) }).unwrap();
    }
    tx.commit().unwrap();
    let send = |project: &mut Project, feedback| {
        let mut tx = project.begin(by("a"));
        let id = SendId(tx.new_id());
        tx.put(Send { id, from: buses[2], to: buses[0], feedback, ..Send::default() }).unwrap();
        tx.commit()
    };
    match send(&mut project, None) {
        Err(TxError::Breach(Breach::RoutingLoop { path, .. })) => {
            assert_eq!(path, [buses[2], buses[0], buses[1], buses[2]]);
        }
        other => panic!("{other:?}"),
    }
    send(&mut project, Some(64)).unwrap();
}

#[test]
fn removing_a_track_takes_everything_along_and_undo_brings_it_back() {
    let mut project = project();
    let song = write_song(&mut project);
    let root = project.root();
    let mut tx = project.begin(by("a"));
    let gone = tx.remove_cascade(song.track).unwrap();
    let kinds: Vec<EntityKind> = gone.iter().map(|entity| entity.kind()).collect();
    assert_eq!((kinds[0], kinds.len()), (EntityKind::Track, 8));
    tx.commit().unwrap();
    assert!(!project.view().contains(AnyId::from(song.notes[0])).unwrap());
    project.undo("a", None).unwrap();
    assert_eq!(project.root(), root);
}

#[test]
fn clearing_a_reference_spares_who_names_it() {
    let mut project = project();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    let target = ChannelId(tx.new_id());
    tx.put(bus(target, song.arrangement)).unwrap();
    tx.update::<Channel>(song.channel, |it| it.output = Some(target)).unwrap();
    tx.commit().unwrap();
    let mut tx = project.begin(by("a"));
    assert_eq!(tx.remove_cascade(target).unwrap().len(), 1);
    tx.commit().unwrap();
    assert_eq!(project.view().get::<Channel>(song.channel).unwrap().unwrap().output, None);
}

#[test]
fn undo_and_redo_are_exact_inverses() {
    let mut project = project();
    let song = write_song(&mut project);
    let mut roots = vec![project.root()];
    for step in 1..6 {
        move_clip(&mut project, &song, "a", step * 10);
        roots.push(project.root());
    }
    for root in roots.iter().rev().skip(1) {
        project.undo("a", None).unwrap();
        assert_eq!(project.root(), *root);
    }
    for root in &roots[1..] {
        project.redo("a", None).unwrap();
        assert_eq!(project.root(), *root);
    }
    assert!(matches!(project.redo("a", None), Err(HistoryError::NothingToRedo { .. })));
}

#[test]
fn each_client_undoes_its_own_work() {
    let mut project = project();
    let song = write_song(&mut project);
    set_gain(&mut project, &song, "a", -3.0);
    move_clip(&mut project, &song, "b", 500);
    project.undo("a", None).unwrap();
    assert_eq!(gain(&project, &song), 0.0);
    let clip = project.view().get::<Clip>(song.clip).unwrap().unwrap();
    assert_eq!(clip.start, Moment(500));
    assert!(matches!(project.undo("c", None), Err(HistoryError::NothingToUndo { .. })));
}

#[test]
fn a_context_has_its_own_undo() {
    let mut project = project();
    let song = write_song(&mut project);
    set_gain(&mut project, &song, "a", -3.0);
    move_clip(&mut project, &song, "a", 500);
    let done = project.undo("a", Some(HistoryContext::Mixer)).unwrap();
    assert_eq!(done.changes.contexts, [HistoryContext::Mixer]);
    assert_eq!(gain(&project, &song), 0.0);
    project.redo("a", Some(HistoryContext::Mixer)).unwrap();
    assert_eq!(gain(&project, &song), -3.0);
}

#[test]
fn undo_never_overwrites_what_somebody_changed_since() {
    let mut project = project();
    let song = write_song(&mut project);
    set_gain(&mut project, &song, "a", -3.0);
    set_gain(&mut project, &song, "b", -9.0);
    project.undo("a", None).unwrap();
    assert_eq!(gain(&project, &song), -9.0);
    let conflicts = project.view().all::<pulse_schemas::entity::Conflict>().unwrap();
    let conflict = &conflicts[0];
    assert_eq!(conflict.field, "gainDb");
    assert_eq!(conflict.subject, Some(song.channel.any()));
    assert_eq!((conflict.ours.as_deref(), conflict.theirs.as_deref()), (Some("-9.0"), Some("0.0")));
}

#[test]
fn a_gesture_is_undone_at_once() {
    let mut project = project();
    let song = write_song(&mut project);
    for step in 0..100 {
        let mut tx = project.begin(TxMeta { coalesce: Some("drag 1".into()), ..by("a") });
        tx.update::<Channel>(song.channel, |it| it.gain_db = -0.1 * f64::from(step)).unwrap();
        tx.commit().unwrap();
    }
    project.undo("a", None).unwrap();
    assert_eq!(gain(&project, &song), 0.0);
    project.redo("a", None).unwrap();
    assert_eq!(gain(&project, &song), -0.1 * 99.0);
}

#[test]
fn a_jump_is_an_edit_like_any_other() {
    let mut project = project();
    let song = write_song(&mut project);
    let (seq, root) = (project.seq(), project.root());
    set_gain(&mut project, &song, "a", -3.0);
    let later = project.root();
    project.jump(seq, by("a")).unwrap();
    assert_eq!(project.root(), root);
    project.undo("a", None).unwrap();
    assert_eq!(project.root(), later);
}

#[test]
fn switching_parks_unsaved_work_and_finds_it_again() {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    project.branch("try", &Rev::working(), by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    project.switch("try", by("a")).unwrap();
    assert_eq!((project.branch_name(), gain(&project, &song)), ("try", 0.0));
    set_gain(&mut project, &song, "a", -6.0);
    project.switch("main", by("a")).unwrap();
    assert_eq!(gain(&project, &song), -3.0);
    let dirty: Vec<bool> = project.branches().unwrap().iter().map(|it| it.is_dirty).collect();
    assert_eq!(dirty, [true, true]);
    project.undo("a", None).unwrap();
    assert_eq!(gain(&project, &song), 0.0);
    project.switch("try", by("a")).unwrap();
    assert_eq!(gain(&project, &song), -6.0);
}

#[test]
fn revisions_name_states() {
    let mut project = project();
    let song = write_song(&mut project);
    let first = project.commit("song", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    project.commit("quieter", by("a")).unwrap();
    project.tag("mix-1", &Rev::working(), "", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -6.0);
    let check = |rev: &str, expect: f64| {
        let view = project.view_at(&Rev::parse(rev).unwrap()).unwrap();
        assert_eq!(view.get::<Channel>(song.channel).unwrap().unwrap().gain_db, expect, "{rev}");
    };
    check("@", -6.0);
    check("@~1", -3.0);
    check("@~2", 0.0);
    check("main", -3.0);
    check("main~1", 0.0);
    check("mix-1", -3.0);
    check(&first.short(), 0.0);
    check(&first.hex()[..8], 0.0);
    check("op:2", 0.0);
    let log = project.log(&Rev::name("main"), 10).unwrap();
    let messages: Vec<&str> = log.iter().map(|it| it.commit.message.as_str()).collect();
    assert_eq!(messages, ["quieter", "song", "Create project"]);
    assert!(matches!(project.view_at(&Rev::name("nobody")), Err(VersionError::UnknownRev { .. })));
}

#[test]
fn the_same_transactions_give_the_same_root_anywhere() {
    let run = || {
        let mut project = project();
        let song = write_song(&mut project);
        set_gain(&mut project, &song, "a", -3.0);
        project.undo("a", None).unwrap();
        move_clip(&mut project, &song, "b", 12);
        (project.root(), project.commit("done", by("a")).unwrap())
    };
    assert_eq!(run(), run());
    let root = run().0.to_string();
    expect_test::expect!["b3:977c67f5e15170f30361a0c813867bee7b1515f0faf2432ad56a9d7059b0f47c"]
        .assert_eq(&root);
}

#[test]
fn undo_survives_a_restart_and_a_crash() {
    for crash in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), options()).unwrap();
        let song = write_song(&mut project);
        let root = project.root();
        set_gain(&mut project, &song, "a", -3.0);
        project.flush().unwrap();
        if crash {
            project.abandon()
        } else {
            project.close().unwrap()
        }
        let mut project = Project::open(dir.path(), OpenOptions::default()).unwrap();
        assert_eq!((project.actor(), gain(&project, &song)), (ActorId(7), -3.0));
        project.undo("a", None).unwrap();
        assert_eq!(project.root(), root);
        project.redo("a", None).unwrap();
        assert_eq!(gain(&project, &song), -3.0);
    }
}
