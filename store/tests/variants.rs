//! Variants A, B and C of tracks and clips.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{by, project, set_gain, write_song};
use pulse_schemas::{
    entity::{Channel, Clip, Note, Track, Variant},
    order::OrderKey,
};
use pulse_store::{rev::Rev, tx::TxError, variant::VariantError};

#[test]
fn switching_a_variant_is_one_field_and_keeps_both_contents() {
    let mut project = project();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    let b = tx.create_variant(song.track.any(), "B", OrderKey::default()).unwrap();
    tx.in_variant(b, |staging| {
        let view = staging.view()?.clone();
        for note in view.members::<Note>(song.clip)?.into_iter().skip(1) {
            staging.remove(&pulse_schemas::record::EntityKey::of(&note.into()))?;
        }
        let mut channel = view.get::<Channel>(song.channel)?.unwrap();
        channel.gain_db = -12.0;
        Ok(staging.put(&channel.into())?)
    })
    .unwrap();
    tx.commit().unwrap();
    let notes = |view: &pulse_store::view::View| view.members::<Note>(song.clip).unwrap().len();
    assert_eq!(notes(&project.view().resolved().unwrap()), 4);
    let before = project.stored();
    let mut tx = project.begin(by("a"));
    tx.activate_variant(song.track.any(), Some(b)).unwrap();
    tx.commit().unwrap();
    assert_eq!(pulse_store::diff::changes(&before, &project.stored()).unwrap().len(), 1);
    let resolved = project.view().resolved().unwrap();
    assert_eq!(notes(&resolved), 1);
    let gain = |view: &pulse_store::view::View| {
        view.get::<Channel>(song.channel).unwrap().unwrap().gain_db
    };
    assert_eq!((gain(&resolved), gain(&project.stored())), (-12.0, 0.0));
    let mut tx = project.begin(by("a"));
    tx.activate_variant(song.track.any(), None).unwrap();
    tx.commit().unwrap();
    // Work on the original does not leak into the variant; where the track stands does.
    set_gain(&mut project, &song, "a", 3.0);
    let mut tx = project.begin(by("a"));
    tx.update::<Track>(song.track, |track| track.order = OrderKey("a7".into())).unwrap();
    tx.commit().unwrap();
    let mut tx = project.begin(by("a"));
    tx.activate_variant(song.track.any(), Some(b)).unwrap();
    tx.commit().unwrap();
    let resolved = project.view();
    assert_eq!(gain(&resolved), -12.0);
    let track = resolved.get::<Track>(song.track).unwrap().unwrap();
    assert_eq!((track.order.0.as_str(), track.active_variant), ("a7", Some(b)));
    (0..5).for_each(|_| drop(project.undo("a", None).unwrap()));
    assert_eq!(notes(&project.view().resolved().unwrap()), 4);
}

#[test]
fn a_variant_reaches_no_further_than_its_subject() {
    let mut project = project();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    let b = tx.create_variant(song.clip.any(), "B", OrderKey::default()).unwrap();
    let error = tx.in_variant(b, |staging| {
        let mut track = staging.view()?.get::<Track>(song.track)?.unwrap();
        track.mute = true;
        Ok::<(), TxError>(staging.put(&track.into())?)
    });
    assert!(matches!(error, Err(VariantError::Outside { .. })));
}

#[test]
fn a_variant_becomes_the_original_or_a_branch_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = pulse_store::project::Project::create(dir.path(), common::options()).unwrap();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    let b = tx.create_variant(song.clip.any(), "B", OrderKey::default()).unwrap();
    tx.in_variant(b, |staging| {
        let mut clip = staging.view()?.get::<Clip>(song.clip)?.unwrap();
        clip.gain_db = -9.0;
        Ok(staging.put(&clip.into())?)
    })
    .unwrap();
    tx.commit().unwrap();
    project.commit("with variant", by("a")).unwrap();
    project.promote_variant(b, "loud", by("a")).unwrap();
    project.gc().unwrap();
    project.close().unwrap();
    let open = pulse_store::project::OpenOptions::default;
    let mut project = pulse_store::project::Project::open(dir.path(), open()).unwrap();
    assert!(project.index_was_found());
    let scratch = pulse_store::index::build(project.view().state()).unwrap();
    assert_eq!(project.view().index().unwrap().root(), scratch.root());
    let gain =
        |view: &pulse_store::view::View| view.get::<Clip>(song.clip).unwrap().unwrap().gain_db;
    let loud = project.view_at(&Rev::name("loud")).unwrap();
    assert_eq!((gain(&loud), gain(&project.view())), (-9.0, 0.0));
    let mut tx = project.begin(by("a"));
    tx.apply_variant(b).unwrap();
    tx.commit().unwrap();
    assert_eq!(gain(&project.view()), -9.0);
    assert_eq!(project.view().members::<Note>(song.clip).unwrap().len(), 4);
    assert_eq!(project.view().all::<Variant>().unwrap().len(), 1);
}
