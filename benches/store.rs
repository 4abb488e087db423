//! The store's promises beside a raw 4 KiB append + fdatasync of the same
//! seconds: `cargo bench -p pulse-benches --bench store [-- --full | --notes=N]`.
//!
//! Corpus: 100 tracks with a channel and a lane each, clips of 50 notes,
//! 100,000 notes (1,000,000 with `--full`), in a folder under `target/`, so that
//! it is the disk of the workspace and not memory.
//!
//! Caveats: the disk is shared with whatever else runs, so durable rows are
//! medians of raw and edit taken in turn and the promise is their ratio. A crash
//! is modelled by letting the project go without closing it; the file cache
//! of the system stays warm.

#![allow(clippy::unwrap_used, reason = "a measuring program stops at the first error")]

#[path = "../store/examples/measure_project/corpus.rs"]
mod corpus;

use std::{fs::File, hint::black_box, os::unix::fs::FileExt, path::Path, time::Duration};

use corpus::{import, meta, move_clip, transpose};
use pulse_benches::{Folder, Times, full, heading, number, promise, row, show, time};
use pulse_schemas::{
    entity::Clip,
    id::{ActorId, ClipId},
};
use pulse_store::{
    diff,
    project::{CreateOptions, OpenOptions, Project},
    rev::Rev,
};

const MERGED: usize = 1_000;

fn journal_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(".pulse/project.journal")).unwrap().len()
}

/// Raw appends and durable edits in turn, so that both see the same disk.
fn durable(project: &mut Project, dir: &Path, clips: &[ClipId]) {
    let file = File::create(dir.join("raw")).unwrap();
    let (mut raw, mut edits) = (Vec::new(), Vec::new());
    let before = journal_bytes(dir);
    let rounds = 400u64;
    for round in 0..rounds {
        let page = [round as u8; 4096];
        let append = || {
            file.write_all_at(&page, round * 4096).unwrap();
            file.sync_data().unwrap();
        };
        raw.push(time(append).0);
        let clip = clips[round as usize * 7 % clips.len()];
        edits.push(time(|| move_clip(project, clip, 1).ticket.wait().unwrap()).0);
    }
    let bytes = journal_bytes(dir).saturating_sub(before) / rounds;
    let (raw, edits) = (Times::of(raw), Times::of(edits));
    let ratio = edits.median().as_secs_f64() / raw.median().as_secs_f64();
    let measured = format!(
        "{} = {ratio:.2} × raw ({}); p99 {} against {}",
        show(edits.median()),
        show(raw.median()),
        show(edits.within(0.99)),
        show(raw.within(0.99)),
    );
    promise("durable one-clip edit", &measured, "≤ 2 × raw 4 KiB append + fdatasync", ratio <= 2.0);
    promise("journal of such an edit", &format!("{bytes} B"), "≤ 300 B", bytes <= 300);
}

fn in_memory(project: &mut Project, clips: &[ClipId]) {
    let edit = |round: usize| time(|| move_clip(project, clips[round * 7 % clips.len()], 1)).0;
    let edits = Times::of((0..300).map(edit).collect::<Vec<_>>());
    row("one-clip edit, without the disk", &show(edits.median()));
    let mut undo = || time(|| project.undo("client-1", None).unwrap()).0;
    let undo = Times::of((0..300).map(|_| undo()).collect::<Vec<_>>()).median();
    promise("undo, without the disk", &show(undo), "≤ 50 µs", undo <= Duration::from_micros(50));
}

fn diff_of_ten(project: &mut Project, clips: &[ClipId]) {
    let before = project.view();
    for clip in clips.iter().step_by(clips.len() / 10).take(10) {
        move_clip(project, *clip, 3);
    }
    let after = project.view();
    let changes = || {
        let (took, found) = time(|| diff::changes(&before, &after).unwrap());
        assert_eq!(black_box(found).len(), 10);
        took
    };
    let found = Times::of((0..300).map(|_| changes())).median();
    let budget = Duration::from_micros(100);
    promise("diff of 10 changes", &show(found), "≤ 0.1 ms", found <= budget);
    let words = || time(|| black_box(diff::diff(&before, &after).unwrap())).0;
    row("the same diff in words", &show(Times::of((0..100).map(|_| words())).median()));
}

fn merge(project: &mut Project, clips: &[ClipId]) {
    project.commit("edits", meta("")).unwrap();
    project.branch("b", &Rev::working(), meta("")).unwrap();
    let half = clips.len() / 2;
    transpose(project, &clips[..half], MERGED, 12);
    project.commit("ours", meta("")).unwrap();
    project.switch("b", meta("")).unwrap();
    transpose(project, &clips[half..], MERGED, 13);
    project.commit("theirs", meta("")).unwrap();
    project.switch("main", meta("")).unwrap();
    let theirs = Rev::name("b");
    let preview = || time(|| black_box(project.merge_preview(&theirs).unwrap())).0;
    let preview = Times::of((0..20).map(|_| preview())).median();
    let budget = Duration::from_millis(50);
    promise("merge of 1,000 + 1,000 edits", &show(preview), "≤ 50 ms", preview <= budget);
    let (took, outcome) = time(|| project.merge(&theirs, meta("")).unwrap());
    assert!(outcome.conflicts.is_empty());
    row("the same merge applied, with its commit", &show(took));
}

/// Opens again what was let go with rows in the journal.
fn reopen(mut project: Project, dir: &Path, clips: &[ClipId], records: u64) {
    project.repo_mut().checkpoint().unwrap();
    for round in 0..2_000 {
        move_clip(&mut project, clips[round * 7 % clips.len()], 5);
    }
    project.flush().unwrap();
    project.abandon();
    let again = || {
        let open = || {
            let project = Project::open(dir, OpenOptions::default()).unwrap();
            black_box(project.view().get::<Clip>(clips[0]).unwrap());
            project
        };
        let (took, project) = time(open);
        project.abandon();
        took
    };
    let times = Times::of((0..7).map(|_| again()).collect::<Vec<_>>());
    let what =
        format!("reopen after a crash, {records} records, 2,000 journal rows, first clip read");
    let budget = Duration::from_millis(50);
    promise(&what, &show(times.median()), "≤ 50 ms (at 1M)", times.median() <= budget);
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let notes = number("notes").unwrap_or(if full() { 1_000_000 } else { 100_000 });
    let dir = Folder::on_disk("store").unwrap();
    let options = CreateOptions { actor: Some(ActorId(1)), ..CreateOptions::named("Bench") };
    let mut project = Project::create(dir.path(), options).unwrap();
    heading(&format!("store, {notes} notes"));
    let (took, (clips, _)) = time(|| import(&mut project, notes));
    let records = project.view().len();
    let what = format!("import of {records} records in one durable transaction");
    let rate = took.as_secs_f64() / records as f64 * 1e5;
    let measured = format!("{} ({rate:.2} s per 100k)", show(took));
    promise(&what, &measured, "≤ 0.3 s per 100k", rate <= 0.3);
    project.commit("song", meta("")).unwrap();
    project.repo_mut().checkpoint().unwrap();
    durable(&mut project, dir.path(), &clips);
    in_memory(&mut project, &clips);
    diff_of_ten(&mut project, &clips);
    merge(&mut project, &clips);
    reopen(project, dir.path(), &clips, records);
}
