//! Edits while a variant plays: they are the variant's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{Song, by, gain, project, set_gain, write_song};
use pulse_schemas::{
    entity::{AnyEntity, Clip, Lane, Note, Track, Variant},
    id::{AnyId, ClipId, LaneId, NoteId, VariantId},
    order::OrderKey,
    time::{Moment, Ticks},
};
use pulse_store::{
    diff,
    project::{OpenOptions, Project, Resolution},
    rev::Rev,
    snapshot,
    view::View,
};

fn create(project: &mut Project, subject: AnyId, name: &str) -> VariantId {
    let mut tx = project.begin(by("a"));
    let id = tx.create_variant(subject, name, OrderKey::default()).unwrap();
    tx.commit().unwrap();
    id
}

fn play(project: &mut Project, subject: AnyId, variant: Option<VariantId>) {
    let mut tx = project.begin(by("a"));
    tx.activate_variant(subject, variant).unwrap();
    tx.commit().unwrap();
    agrees(project);
}

/// What plays is what follows from what is stored, and so does its index.
fn agrees(project: &Project) {
    let resolved = project.stored().resolved().unwrap();
    assert_eq!(project.view().root(), resolved.root());
    let scratch = pulse_store::index::build(resolved.state()).unwrap();
    assert_eq!(project.view().index().unwrap().root(), scratch.root());
}

fn starts(view: &View, clip: ClipId) -> Vec<i64> {
    view.members::<Note>(clip).unwrap().iter().map(|note| note.start.0).collect()
}

fn move_note(project: &mut Project, note: NoteId, start: i64) {
    let mut tx = project.begin(by("a"));
    tx.update::<Note>(note, |note| note.start = Ticks(start)).unwrap();
    tx.commit().unwrap();
    agrees(project);
}

/// A song with B, which plays.
fn under_b() -> (Project, Song, VariantId) {
    let mut project = project();
    let song = write_song(&mut project);
    let b = create(&mut project, song.track.any(), "B");
    play(&mut project, song.track.any(), Some(b));
    (project, song, b)
}

#[test]
fn an_edit_under_b_is_one_of_b_and_each_shows_its_own() {
    let (mut project, song, b) = under_b();
    let track = song.track.any();
    let before = project.stored();
    move_note(&mut project, song.notes[0], 301);
    set_gain(&mut project, &song, "a", -6.0);
    let c = create(&mut project, track, "C");
    play(&mut project, track, Some(c));
    move_note(&mut project, song.notes[0], 302);
    set_gain(&mut project, &song, "a", -9.0);
    for (variant, start, db) in [(None, 300, 0.0), (Some(b), 301, -6.0), (Some(c), 302, -9.0)] {
        play(&mut project, track, variant);
        assert_eq!(starts(&project.view(), song.clip), [0, 100, 200, start]);
        assert_eq!(gain(&project, &song), db);
    }
    // The original is as it was, whatever played.
    assert_eq!(starts(&project.stored(), song.clip), starts(&before, song.clip));
    let unchanged: Option<Track> = before.get(song.track).unwrap();
    let now = project.stored().get::<Track>(song.track).unwrap().unwrap();
    assert_eq!(
        Track { active_variant: None, ..now },
        Track { active_variant: None, ..unchanged.unwrap() }
    );
}

#[test]
fn switching_writes_one_record_and_undo_goes_back_through_all_of_it() {
    let (mut project, song, b) = under_b();
    let track = song.track.any();
    let root = project.root();
    move_note(&mut project, song.notes[0], 301);
    let edited = project.root();
    let stored = project.stored();
    play(&mut project, track, None);
    assert_eq!(diff::changes(&stored, &project.stored()).unwrap().len(), 1);
    // Undo of the edit alone reaches B, though the original plays.
    project.undo("a", None).unwrap();
    assert_eq!(project.root(), edited);
    project.undo("a", None).unwrap();
    assert_eq!(project.root(), root);
    agrees(&project);
    project.redo("a", None).unwrap();
    agrees(&project);
    assert_eq!(starts(&project.view(), song.clip), [0, 100, 200, 301]);
    let names: Vec<String> =
        project.view().all::<Variant>().unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!((names, b.0), (vec!["B".to_owned()], b.0));
}

#[test]
fn undo_by_context_reaches_into_the_variant_that_was_edited() {
    let (mut project, song, b) = under_b();
    set_gain(&mut project, &song, "a", -6.0);
    play(&mut project, song.track.any(), None);
    set_gain(&mut project, &song, "b", 3.0);
    project.undo("a", Some(pulse_schemas::entity::HistoryContext::Mixer)).unwrap();
    agrees(&project);
    assert_eq!(gain(&project, &song), 3.0);
    play(&mut project, song.track.any(), Some(b));
    assert_eq!(gain(&project, &song), 0.0);
    assert!(project.conflicts().unwrap().is_empty());
}

#[test]
fn what_is_made_or_deleted_under_b_is_made_or_deleted_there() {
    let (mut project, song, _) = under_b();
    let track = song.track.any();
    let mut tx = project.begin(by("a"));
    let lane = LaneId(tx.new_id());
    tx.put(Lane { id: lane, track: song.track, name: "Second".into(), ..Lane::default() }).unwrap();
    let clip = ClipId(tx.new_id());
    tx.put(Clip { id: clip, lane, length: Moment(9), ..Clip::default() }).unwrap();
    let note = NoteId(tx.new_id());
    tx.put(Note { id: note, clip, length: Ticks(5), ..Note::default() }).unwrap();
    tx.remove_cascade(song.clip).unwrap();
    tx.commit().unwrap();
    agrees(&project);
    let lives = |project: &Project, id: AnyId| project.view().contains(id).unwrap();
    assert!(lives(&project, note.any()) && !lives(&project, song.clip.any()));
    play(&mut project, track, None);
    assert!(!lives(&project, lane.any()) && lives(&project, song.notes[0].any()));
    // The track goes with everything that it has and had put aside.
    let len = {
        let mut tx = project.begin(by("a"));
        tx.remove_cascade(song.track).unwrap();
        tx.commit().unwrap();
        project.stored().len()
    };
    assert_eq!(len, 2, "the project and its arrangement");
    project.undo("a", None).unwrap();
    let back = project.view().all::<Variant>().unwrap()[0].id;
    play(&mut project, track, Some(back));
    assert!(lives(&project, note.any()));
    let mut tx = project.begin(by("a"));
    tx.remove_cascade(song.track).unwrap();
    tx.commit().unwrap();
    assert_eq!(project.stored().len(), 2);
    agrees(&project);
}

#[test]
fn where_a_track_stands_is_the_same_for_all() {
    let (mut project, song, _) = under_b();
    let mut tx = project.begin(by("a"));
    tx.update::<Track>(song.track, |track| {
        track.order = OrderKey("a7".into());
        track.name = "Low".into();
    })
    .unwrap();
    tx.commit().unwrap();
    agrees(&project);
    let track = |view: View| view.get::<Track>(song.track).unwrap().unwrap();
    assert_eq!(track(project.view()).name, "Low");
    play(&mut project, song.track.any(), None);
    let original = track(project.view());
    assert_eq!((original.order.0.as_str(), original.name.as_str()), ("a7", "Bass"));
}

#[test]
fn a_clip_that_leaves_a_variant_takes_its_notes_along() {
    let (mut project, song, _) = under_b();
    let mut tx = project.begin(by("a"));
    let (track, lane) = (pulse_schemas::id::TrackId(tx.new_id()), LaneId(tx.new_id()));
    let arrangement = song.arrangement;
    tx.put(Track { id: track, arrangement, name: "Keys".into(), ..Track::default() }).unwrap();
    tx.put(Lane { id: lane, track, ..Lane::default() }).unwrap();
    let clip = ClipId(tx.new_id());
    tx.put(Clip { id: clip, lane: song.lane, length: Moment(9), ..Clip::default() }).unwrap();
    let note = NoteId(tx.new_id());
    tx.put(Note { id: note, clip, start: Ticks(7), length: Ticks(5), ..Note::default() }).unwrap();
    tx.commit().unwrap();
    let mut tx = project.begin(by("a"));
    tx.update::<Clip>(clip, |clip| clip.lane = lane).unwrap();
    tx.commit().unwrap();
    agrees(&project);
    assert_eq!(starts(&project.stored(), clip), [7]);
    // And back in.
    let mut tx = project.begin(by("a"));
    tx.update::<Clip>(clip, |clip| clip.lane = song.lane).unwrap();
    tx.commit().unwrap();
    agrees(&project);
    assert_eq!((starts(&project.view(), clip), starts(&project.stored(), clip)), (vec![7], vec![]));
    // One that the original has too would vanish from it: a copy has to go.
    assert!(project.begin(by("a")).is_shared(song.clip).unwrap());
    assert!(!project.begin(by("a")).is_shared(clip).unwrap());
    let mut tx = project.begin(by("a"));
    tx.update::<Clip>(song.clip, |clip| clip.lane = lane).unwrap();
    let error = tx.commit().unwrap_err();
    assert!(matches!(error, pulse_store::tx::TxError::Shared { .. }), "{error}");
}

#[test]
fn a_clip_inside_a_variant_has_variants_of_its_own() {
    let (mut project, song, _) = under_b();
    let (track, clip) = (song.track.any(), song.clip.any());
    let dark = create(&mut project, clip, "Dark");
    play(&mut project, clip, Some(dark));
    move_note(&mut project, song.notes[0], 999);
    assert_eq!(starts(&project.view(), song.clip).last(), Some(&999));
    play(&mut project, clip, None);
    assert_eq!(starts(&project.view(), song.clip).last(), Some(&300));
    play(&mut project, clip, Some(dark));
    play(&mut project, track, None);
    assert_eq!(starts(&project.view(), song.clip).last(), Some(&300));
    assert!(!project.view().contains(dark).unwrap());
    project.undo("a", None).unwrap();
    agrees(&project);
    assert_eq!(starts(&project.view(), song.clip).last(), Some(&999));
    let mut tx = project.begin(by("a"));
    tx.remove_cascade(dark).unwrap();
    tx.commit().unwrap();
    agrees(&project);
    assert_eq!(starts(&project.view(), song.clip).last(), Some(&300));
}

#[test]
fn a_difference_says_in_which_variant_it_lies() {
    let (mut project, song, _) = under_b();
    let before = project.stored();
    set_gain(&mut project, &song, "a", -6.0);
    move_note(&mut project, song.notes[0], 301);
    let diff = diff::diff(&before, &project.stored()).unwrap();
    assert!(diff.text().contains("variant B: Bass ▸ channel: gain 0.0 dB → −6.0 dB"), "{diff:?}");
    assert_eq!(diff.entities.len(), 2);
    let changes = diff::changes(&before, &project.stored()).unwrap();
    let applied = diff::apply(&before, &changes).unwrap();
    assert_eq!(applied.root(), project.stored().root());
}

#[test]
fn two_edits_of_one_variant_merge_by_field_and_settle() {
    let (mut project, song, b) = under_b();
    project.commit("base", by("a")).unwrap();
    project.branch("theirs", &Rev::working(), by("a")).unwrap();
    set_gain(&mut project, &song, "a", -6.0);
    move_note(&mut project, song.notes[0], 301);
    project.switch("theirs", by("a")).unwrap();
    agrees(&project);
    set_gain(&mut project, &song, "a", -9.0);
    move_note(&mut project, song.notes[1], 222);
    project.commit("theirs", by("a")).unwrap();
    project.switch("main", by("a")).unwrap();
    let outcome = project.merge(&Rev::name("theirs"), by("a")).unwrap();
    agrees(&project);
    let [conflict] = &outcome.conflicts[..] else { panic!("{:?}", outcome.conflicts) };
    let field = format!("overlay.{}.gainDb", song.channel.any());
    assert_eq!((conflict.subject, &conflict.field), (Some(b.any()), &field));
    let words = diff::conflict_words(conflict, &project.stored()).unwrap();
    assert_eq!(words.title, "variant B: Bass ▸ channel: gain");
    assert_eq!([words.base, words.ours, words.theirs], ["0.0 dB", "−6.0 dB", "−9.0 dB"]);
    assert_eq!(starts(&project.view(), song.clip), [0, 100, 222, 301]);
    assert_eq!(gain(&project, &song), -6.0);
    project.resolve(conflict.id, &Resolution::Theirs, by("a")).unwrap();
    agrees(&project);
    assert_eq!(gain(&project, &song), -9.0);
    assert_eq!(
        project
            .stored()
            .get::<pulse_schemas::entity::Channel>(song.channel)
            .unwrap()
            .unwrap()
            .gain_db,
        0.0
    );
    project.undo("a", None).unwrap();
    project.resolve(conflict.id, &Resolution::Ours, by("a")).unwrap();
    assert_eq!(gain(&project, &song), -6.0);
}

#[test]
fn what_plays_survives_a_crash_an_export_and_a_collection() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = Project::create(dir.path(), common::options()).unwrap();
    let song = write_song(&mut project);
    let b = create(&mut project, song.track.any(), "B");
    play(&mut project, song.track.any(), Some(b));
    project.commit("B", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -6.0);
    project.flush().unwrap();
    let root = project.root();
    project.abandon();
    let mut project = Project::open(dir.path(), OpenOptions::default()).unwrap();
    agrees(&project);
    assert_eq!((project.root(), gain(&project, &song)), (root, -6.0));
    project.gc().unwrap();
    let mut text = Vec::new();
    let stored = project.stored();
    snapshot::export(&stored, &mut text).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("\"record\""), "all of it is readable");
    let mut copy = common::project();
    let imported = copy.snapshot_import(&mut &text[..], by("a")).unwrap();
    assert!(imported.is_identical);
    agrees(&copy);
    let any: Option<AnyEntity> = copy.view().any(song.channel).unwrap();
    assert_eq!(any, project.view().any(song.channel).unwrap());
}
