//! Diff, merge, conflicts, revert and pick through the facade.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{by, gain, move_clip, project, set_gain, write_song};
use pulse_schemas::{
    entity::{Channel, Clip, HistoryContext, MediaItem, Note, TempoPoint, Track},
    id::{EntityKind, MediaId, NoteId, TempoPointId},
    time::{Moment, Ticks},
};
use pulse_store::{
    diff::{self, DiffKind},
    project::{MergeKind, Project, Resolution, Scope},
    rev::Rev,
    version::VersionError,
};

#[test]
fn a_bare_commit_is_open_without_a_branch_and_loses_nothing() {
    let mut project = project();
    let song = write_song(&mut project);
    let first = project.commit("first", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    project.commit("second", by("a")).unwrap();
    project.tag("v1", &Rev::parse("@~1").unwrap(), "", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -6.0);
    project.switch_to_commit(&Rev::name("v1"), by("a")).unwrap();
    assert_eq!((project.detached().unwrap(), gain(&project, &song)), (Some(first), 0.0));
    assert_eq!(project.log(&Rev::working(), 9).unwrap()[0].id, first);
    set_gain(&mut project, &song, "a", 2.0);
    let refused = project.commit("nowhere", by("a")).unwrap_err();
    assert!(matches!(refused, VersionError::Detached { .. }), "{refused}");
    assert!(refused.to_string().contains("pulse branch NAME"));
    let merged = project.merge(&Rev::name("main"), by("a")).map(drop).unwrap_err();
    assert!(merged.to_string().contains("pulse branch NAME"), "{merged}");
    // Away and back: the edits of both places are where they were made.
    project.switch("main", by("a")).unwrap();
    assert_eq!(gain(&project, &song), -6.0);
    project.switch_to_commit(&Rev::name("v1"), by("a")).unwrap();
    assert_eq!(gain(&project, &song), 2.0);
    project.branch("side", &Rev::working(), by("a")).unwrap();
    assert_eq!((project.branch_name(), project.detached().unwrap()), ("side", None));
    assert_eq!(gain(&project, &song), 2.0);
    let tip = project.commit("side", by("a")).unwrap();
    assert_eq!(project.known_commit(tip).unwrap().parents, [first]);
    project.switch("main", by("a")).unwrap();
    // What was only looked at leaves no trace.
    project.switch_to_commit(&Rev::name("side"), by("a")).unwrap();
    project.switch("main", by("a")).unwrap();
    let names: Vec<String> =
        project.branches().unwrap().into_iter().map(|branch| branch.name).collect();
    assert_eq!(names, ["main", "side"]);
}

#[test]
fn a_draft_whose_branch_was_moved_is_brought_onto_where_it_stands() {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("first", by("a")).unwrap();
    project.branch("side", &Rev::working(), by("a")).unwrap();
    project.switch("side", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -6.0);
    move_clip(&mut project, &song, "a", 77);
    project.switch("main", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    let track = |project: &Project| project.view().get::<Track>(song.track).unwrap().unwrap();
    let mut tx = project.begin(by("a"));
    tx.update::<Track>(song.track, |it| it.name = "Low".into()).unwrap();
    tx.commit().unwrap();
    project.commit("second", by("a")).unwrap();
    assert_eq!(project.moved_under_draft("side").unwrap(), None);
    project.move_branch("side", &Rev::name("main"), by("a")).unwrap();
    assert!(project.moved_under_draft("side").unwrap().is_some());
    let side = project.branches().unwrap().into_iter().find(|it| it.name == "side").unwrap();
    let draft = project.parked_draft("side").unwrap().unwrap();
    assert_eq!(
        (side.draft_base, draft.tip, draft.base_moved()),
        (Some(draft.base), side.tip, true)
    );
    let did = diff::diff(&draft.begun, &draft.draft).unwrap();
    assert_eq!(did.entities.len(), 2, "{did:?}");
    assert_eq!(draft.conflicts.len(), 1);
    let adopted = draft.adopted.get::<Clip>(song.clip).unwrap().unwrap();
    assert_eq!(adopted.start.0, 77);
    project.switch("side", by("a")).unwrap();
    let start = project.view().get::<Clip>(song.clip).unwrap().unwrap().start.0;
    // What the branch gained stays, what the draft did is there, and where both meet both are.
    assert_eq!((track(&project).name.as_str(), start, gain(&project, &song)), ("Low", 77, -3.0));
    let conflicts = project.conflicts().unwrap();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert_eq!(conflicts[0].theirs.as_deref(), Some("-6.0"));
}

#[test]
fn a_diff_says_what_changed_in_words() {
    let mut project = project();
    let song = write_song(&mut project);
    let before = project.view();
    set_gain(&mut project, &song, "a", -3.0);
    let mut tx = project.begin(by("a"));
    for id in &song.notes {
        tx.update::<Note>(*id, |note| note.start.0 += Ticks::PER_QUARTER / 4).unwrap();
    }
    tx.update::<Clip>(song.clip, |clip| clip.start = Moment(Ticks::PER_QUARTER * 4)).unwrap();
    tx.update::<Track>(song.track, |track| track.name = "Sub".into()).unwrap();
    tx.commit().unwrap();
    let diff = diff::diff(&before, &project.view()).unwrap();
    let expect = expect_test::expect![[r#"
        Sub: name “Bass” → “Sub”
        Sub ▸ clip 1: start 1.1.0 → 2.1.0 (1/1 later)
        Sub ▸ channel: gain 0.0 dB → −3.0 dB
        Sub ▸ clip 1: 4 notes moved by 1/16 later
    "#]];
    expect.assert_eq(&diff.text());
    let counts: Vec<_> = diff.summary().iter().map(|it| (it.name.clone(), it.changed)).collect();
    assert_eq!(counts, [("Sub".to_owned(), 7)]);
    assert_eq!(diff.json()["entities"][0]["fields"][0]["path"], "name");
}

#[test]
fn applying_a_difference_gives_the_other_state() {
    let mut project = project();
    let before = project.view();
    let song = write_song(&mut project);
    let middle = project.view();
    project.begin(by("a")).remove_cascade(song.clip).unwrap();
    let mut tx = project.begin(by("a"));
    tx.remove_cascade(song.clip).unwrap();
    tx.commit().unwrap();
    let after = project.view();
    for (from, to) in [(&before, &middle), (&middle, &after), (&after, &before), (&before, &before)]
    {
        let changes = diff::changes(from, to).unwrap();
        assert_eq!(diff::apply(from, &changes).unwrap().root(), to.root());
    }
    let diff = diff::diff(&middle, &after).unwrap();
    assert!(diff.entities.iter().all(|entity| entity.kind == DiffKind::Removed));
    assert!(diff.text().contains("Bass ▸ clip 1: removed"), "{}", diff.text());
}

#[test]
fn edits_of_different_things_merge_without_a_conflict() {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    project.branch("mix", &Rev::working(), by("a")).unwrap();
    move_clip(&mut project, &song, "a", 500);
    project.commit("moved", by("a")).unwrap();
    project.switch("mix", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    let mut tx = project.begin(by("a"));
    tx.update::<Note>(song.notes[0], |note| note.pitch = 40).unwrap();
    tx.commit().unwrap();
    project.commit("mixed", by("a")).unwrap();
    project.switch("main", by("a")).unwrap();
    let preview = project.merge_preview(&Rev::name("mix")).unwrap();
    let root = project.root();
    let outcome = project.merge(&Rev::name("mix"), by("a")).unwrap();
    assert_ne!(root, project.root());
    assert_eq!((outcome.kind, outcome.conflicts.len()), (MergeKind::Merged, 0));
    assert_eq!(preview.view.root(), project.root());
    assert_eq!(gain(&project, &song), -3.0);
    assert_eq!(project.view().get::<Clip>(song.clip).unwrap().unwrap().start, Moment(500));
    assert!(!project.is_dirty().unwrap());
    assert_eq!(project.known_commit(outcome.commit.unwrap()).unwrap().parents.len(), 2);
    let again = project.merge(&Rev::name("mix"), by("a")).unwrap();
    assert_eq!(again.kind, MergeKind::UpToDate);
    project.switch("mix", by("a")).unwrap();
    let forward = project.merge(&Rev::name("main"), by("a")).unwrap();
    assert_eq!((forward.kind, forward.commit), (MergeKind::FastForward, outcome.commit));
    assert!(!project.is_dirty().unwrap());
}

/// Two branches with different gains, merged: one conflict.
fn conflicted() -> (pulse_store::project::Project, common::Song) {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    project.branch("mix", &Rev::working(), by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    project.switch("mix", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -6.0);
    project.commit("mixed", by("a")).unwrap();
    project.switch("main", by("a")).unwrap();
    let outcome = project.merge(&Rev::name("mix"), by("a")).unwrap();
    assert_eq!(outcome.commit, None);
    (project, song)
}

#[test]
fn a_conflict_keeps_ours_and_is_settled_any_way() {
    for (resolution, expect) in [
        (Resolution::Ours, -3.0),
        (Resolution::Theirs, -6.0),
        (Resolution::Base, 0.0),
        (Resolution::Value(serde_json::json!(-4.5)), -4.5),
    ] {
        let (mut project, song) = conflicted();
        assert_eq!(gain(&project, &song), -3.0);
        let conflicts = project.conflicts().unwrap();
        assert_eq!(conflicts.len(), 1);
        assert_eq!((&conflicts[0].ours_label[..], &conflicts[0].theirs_label[..]), ("main", "mix"));
        project.resolve(conflicts[0].id, &resolution, by("a")).unwrap();
        assert_eq!((gain(&project, &song), project.conflicts().unwrap().len()), (expect, 0));
    }
}

#[test]
fn crosswise_merges_conflict_only_where_their_bases_disagree() {
    let (mut project, song) = conflicted();
    let id = project.conflicts().unwrap()[0].id;
    project.resolve(id, &Resolution::Ours, by("a")).unwrap();
    project.commit("kept -3", by("a")).unwrap();
    // The other branch merged the old main and decided otherwise.
    project.switch("mix", by("a")).unwrap();
    project.merge(&Rev::parse("main~1").unwrap(), by("a")).unwrap();
    let id = project.conflicts().unwrap()[0].id;
    project.resolve(id, &Resolution::Ours, by("a")).unwrap();
    move_clip(&mut project, &song, "a", 700);
    let tip = project.commit("kept -6", by("a")).unwrap();
    assert_eq!(project.known_commit(tip).unwrap().parents.len(), 2);
    project.switch("main", by("a")).unwrap();
    let (ours, theirs) = (project.tip().unwrap(), project.resolve_commit(&Rev::name("mix")));
    assert_eq!(project.merge_bases(ours, theirs.unwrap()).unwrap().len(), 2);
    let outcome = project.merge(&Rev::name("mix"), by("a")).unwrap();
    let fields: Vec<&str> = outcome.conflicts.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["gainDb"]);
    assert_eq!(project.view().get::<Clip>(song.clip).unwrap().unwrap().start, Moment(700));
}

#[test]
fn a_commit_is_taken_back_in_part() {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    move_clip(&mut project, &song, "a", 500);
    let start = |project: &pulse_store::project::Project| {
        project.view().get::<Clip>(song.clip).unwrap().unwrap().start
    };
    project.commit("both", by("a")).unwrap();
    let rev = Rev::name("main");
    project.revert(&rev, &Scope::context(HistoryContext::Mixer), by("a")).unwrap();
    assert_eq!((gain(&project, &song), start(&project)), (0.0, Moment(500)));
    project.undo("a", None).unwrap();
    project.revert(&rev, &Scope::entity(song.clip), by("a")).unwrap();
    assert_eq!((gain(&project, &song), start(&project)), (-3.0, Moment(0)));
    project.undo("a", None).unwrap();
    project.revert(&rev, &Scope::subtree(song.track), by("a")).unwrap();
    assert_eq!((gain(&project, &song), start(&project)), (0.0, Moment(0)));
    project.undo("a", None).unwrap();
    set_gain(&mut project, &song, "a", -9.0);
    let taken = project.revert(&rev, &Scope::all(), by("a")).unwrap();
    assert_eq!((gain(&project, &song), start(&project)), (-9.0, Moment(0)));
    assert_eq!(taken.conflicts.len(), 1);
}

#[test]
fn a_commit_is_picked_from_another_branch() {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    project.branch("try", &Rev::working(), by("a")).unwrap();
    project.switch("try", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    move_clip(&mut project, &song, "a", 500);
    project.commit("both", by("a")).unwrap();
    project.switch("main", by("a")).unwrap();
    let scope = &Scope::context(HistoryContext::Timeline);
    let taken = project.pick(&Rev::name("try"), scope, by("a")).unwrap();
    assert_eq!(taken.committed.changes.list.len(), 1);
    assert_eq!(gain(&project, &song), 0.0);
}

#[test]
fn media_that_are_being_recorded_stay_out_of_commits() {
    let mut project = project();
    write_song(&mut project);
    let mut tx = project.begin(by("a"));
    let id = MediaId(tx.new_id());
    let lifecycle = pulse_schemas::entity::Lifecycle::Pending;
    tx.put(MediaItem { id, name: "take".into(), lifecycle, ..MediaItem::default() }).unwrap();
    tx.commit().unwrap();
    let root = project.root();
    project.commit("song", by("a")).unwrap();
    assert_eq!(project.root(), root);
    let committed = project.view_at(&Rev::name("main")).unwrap();
    assert!(committed.get::<MediaItem>(id).unwrap().is_none());
    assert!(committed.all::<Track>().unwrap().len() == 1);
}

#[test]
fn a_tempo_map_merges_point_by_point() {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    project.branch("b", &Rev::working(), by("a")).unwrap();
    let add = |project: &mut pulse_store::project::Project, at: i64, bpm: f64| {
        let mut tx = project.begin(by("a"));
        let id = TempoPointId(tx.new_id());
        let (arrangement, at) = (song.arrangement, Ticks(at));
        tx.put(TempoPoint { id, arrangement, at, bpm, ..TempoPoint::default() }).unwrap();
        tx.commit().unwrap();
        project.commit("tempo", by("a")).unwrap();
    };
    add(&mut project, 0, 120.0);
    project.switch("b", by("a")).unwrap();
    add(&mut project, 0, 90.0);
    add(&mut project, 1000, 100.0);
    project.switch("main", by("a")).unwrap();
    let outcome = project.merge(&Rev::name("b"), by("a")).unwrap();
    assert_eq!(outcome.conflicts.len(), 1);
    let bpm = |project: &pulse_store::project::Project| {
        let points = project.view().members::<TempoPoint>(song.arrangement).unwrap();
        points.iter().map(|point| point.bpm).collect::<Vec<_>>()
    };
    assert_eq!(bpm(&project), [120.0, 100.0]);
    project.resolve(outcome.conflicts[0].id, &Resolution::Theirs, by("a")).unwrap();
    assert_eq!(bpm(&project), [90.0, 100.0]);
}

#[test]
fn a_deleted_track_comes_back_whole_when_the_other_side_worked_on_it() {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    let full = project.root();
    project.branch("b", &Rev::working(), by("a")).unwrap();
    let mut tx = project.begin(by("a"));
    tx.remove_cascade(song.track).unwrap();
    tx.commit().unwrap();
    project.commit("removed", by("a")).unwrap();
    project.switch("b", by("a")).unwrap();
    let mut tx = project.begin(by("a"));
    tx.update_owned::<Note>(song.clip.0, song.notes[1], |note| note.pitch = 3).unwrap();
    tx.commit().unwrap();
    project.commit("worked", by("a")).unwrap();
    project.switch("main", by("a")).unwrap();
    let outcome = project.merge(&Rev::name("b"), by("a")).unwrap();
    let subjects: Vec<_> = outcome.conflicts.iter().filter_map(|it| it.subject).collect();
    assert_eq!(subjects, [song.track.any()]);
    let view = project.view();
    assert_eq!(view.get::<Note>(song.notes[1]).unwrap().unwrap().pitch, 3);
    assert_eq!(view.members::<Note>(song.clip).unwrap().len(), 4);
    assert_eq!(view.referrers(song.track, EntityKind::Channel).unwrap().len(), 1);
    let original = project.view_of_root(full).unwrap();
    assert_eq!(diff::changes(&original, &view).unwrap().len(), 2);
    project.resolve(outcome.conflicts[0].id, &Resolution::Ours, by("a")).unwrap();
    assert!(project.view().get::<Channel>(song.channel).unwrap().is_none());
}

#[test]
fn an_unfinished_merge_can_be_aborted() {
    let (mut project, song) = conflicted();
    let merging = project.merging().unwrap().unwrap();
    assert!(project.merge(&Rev::name("mix"), by("a")).is_err());
    project.abort_merge(by("a")).unwrap();
    assert_eq!((project.root(), gain(&project, &song)), (merging.before, -3.0));
    assert_eq!(project.merging().unwrap(), None);
}

#[test]
fn a_part_is_restored_from_any_revision() {
    let mut project = project();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    set_gain(&mut project, &song, "a", -3.0);
    let mut tx = project.begin(by("a"));
    tx.remove_cascade(song.clip).unwrap();
    tx.commit().unwrap();
    let restored = project.restore(&Rev::name("main"), &Scope::subtree(song.clip), by("a"));
    assert_eq!(restored.unwrap().conflicts.len(), 0);
    assert_eq!(project.view().members::<Note>(song.clip).unwrap().len(), 4);
    assert_eq!(gain(&project, &song), -3.0);
}

#[test]
fn an_export_comes_back_byte_by_byte() {
    let mut project = project();
    let song = write_song(&mut project);
    let root = project.root();
    let mut text = Vec::new();
    let records = project.snapshot_export(&project.view(), &mut text).unwrap();
    let lines = String::from_utf8(text.clone()).unwrap();
    assert_eq!(lines.lines().count() as u64, records + 1);
    assert!(lines.contains("\n{\"track\":{"), "{lines}");
    let mut other = common::project();
    let imported = other.snapshot_import(&mut &text[..], by("a")).unwrap();
    assert!(imported.is_identical);
    assert_eq!(other.root(), root);
    let edited = lines.replace("\"Bass\"", "\"Sub\"");
    let imported = other.snapshot_import(&mut edited.as_bytes(), by("a")).unwrap();
    assert!(!imported.is_identical);
    assert_eq!(other.view().get::<Track>(song.track).unwrap().unwrap().name, "Sub");
    let check = |text: &str, expect: &str| {
        let mut project = common::project();
        let error = project.snapshot_import(&mut text.as_bytes(), by("a")).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    };
    check("", "does not begin like an export");
    check("{\"format\":\"pulse project\",\"version\":9}", "version 9");
    check(&lines.replace("\"track\":", "\"trick\":"), "no kind of entity is called");
    check(lines.lines().next().unwrap(), "ends after 0 of");
}

/// Lines are read and written by several threads; nobody can tell.
#[test]
fn a_long_export_is_in_order_and_its_first_bad_line_is_the_one_that_is_named() {
    let mut project = project();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    for at in 0..17_000 {
        let id = NoteId(tx.new_id());
        let (clip, start) = (song.clip, Ticks(at));
        tx.put(Note { id, clip, start, length: Ticks(9), ..Note::default() }).unwrap();
    }
    tx.commit().unwrap();
    let mut text = Vec::new();
    let records = project.snapshot_export(&project.view(), &mut text).unwrap();
    let mut other = common::project();
    let imported = other.snapshot_import(&mut &text[..], by("a")).unwrap();
    assert!(imported.is_identical && imported.records == records && records > 17_000);
    assert_eq!(other.root(), project.root());
    let mut again = Vec::new();
    other.snapshot_export(&other.view(), &mut again).unwrap();
    assert!(again == text, "the lines stand in key order");

    let lines = String::from_utf8(text).unwrap();
    let mut lines: Vec<&str> = lines.lines().collect();
    let check = |lines: &[&str], expect: &str| {
        let mut project = common::project();
        let text = lines.join("\n");
        let error = project.snapshot_import(&mut text.as_bytes(), by("a")).unwrap_err();
        assert!(error.to_string().starts_with(expect), "{error}");
    };
    lines[16_900] = "{";
    check(&lines, "line 16901: no JSON object");
    lines[9_000] = "[]";
    check(&lines, "line 9001: no JSON object");
    lines[9_000] = lines[12];
    check(&lines, "line 9001: the entity stands here twice");
}

#[test]
fn garbage_goes_and_what_has_a_name_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = pulse_store::project::Project::create(dir.path(), common::options()).unwrap();
    let song = write_song(&mut project);
    project.commit("song", by("a")).unwrap();
    for step in 1..50 {
        move_clip(&mut project, &song, "a", step);
    }
    project.branch("b", &Rev::working(), by("a")).unwrap();
    project.switch("b", by("a")).unwrap();
    project.gc().unwrap();
    project.compact().unwrap();
    project.switch("main", by("a")).unwrap();
    assert_eq!(project.view().get::<Clip>(song.clip).unwrap().unwrap().start, Moment(49));
    project.undo("a", None).unwrap();
    project.close().unwrap();
    let report = pulse_store::project::Project::fsck(dir.path(), false).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}
