//! `fsck --repair` on damage that a person meets: what comes back, what is said to be lost, and
//! that what was there before stays beside it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use common::{by, options, write_song};
use pulse_schemas::{
    entity::{Clip, Note},
    hash::Hash,
    id::{ClipId, NoteId},
    time::{Moment, Ticks},
};
use pulse_store::{
    backend::{BackingStore, Batch, redb::RedbBackend},
    fsck::{Finding, Report},
    journal::{FRAME, HEADER},
    node::Node,
    project::{OpenOptions, Project, STORE_DIR},
    tx::TxMeta,
};

const DATABASE: &str = "project.redb";
const JOURNAL: &str = "project.journal";

fn fsck(dir: &Path, repair: bool) -> Report {
    Project::fsck(dir, repair).unwrap()
}

fn open(dir: &Path) -> Project {
    Project::open(dir, OpenOptions::default()).unwrap()
}

/// A closed project with `edits` moves of one note behind a commit.
fn made(dir: &Path, edits: u32) {
    let mut project = Project::create(dir, options()).unwrap();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    for at in 0..80 {
        let id = ClipId(tx.new_id());
        let (lane, start, length) = (song.lane, Moment(at * 2_000), Moment(1_000));
        tx.put(Clip { id, lane, start, length, ..Clip::default() }).unwrap();
    }
    for at in 0..300 {
        let id = NoteId(tx.new_id());
        let (clip, start) = (song.clip, Ticks(at));
        tx.put(Note { id, clip, start, length: Ticks(9), ..Note::default() }).unwrap();
    }
    tx.commit().unwrap();
    project.commit("first", by("a")).unwrap();
    for number in 0..edits {
        let note = project.view().all::<Note>().unwrap().swap_remove(7);
        let mut tx = project.begin(TxMeta::new(format!("edit {number}"), "a"));
        tx.update::<Note>(note.id, |note| note.pitch = 1 + (number % 100) as u8).unwrap();
        tx.commit().unwrap();
        if number == 5 {
            project.commit("second", by("a")).unwrap();
        }
    }
    project.close().unwrap();
}

/// Writes the database anew, changed, so that no page of the old one is left to find.
fn rewrite(dir: &Path, change: impl FnOnce(&mut Batch)) {
    let file = dir.join(STORE_DIR).join(DATABASE);
    let mut batch = Batch::default();
    let backend = RedbBackend::open(&file, 1 << 20).unwrap();
    let nodes = &mut batch.nodes;
    let take = &mut |_, bytes: &[u8]| nodes.push(Arc::new(Node::parse(bytes.into()).unwrap()));
    backend.visit_nodes(take).unwrap();
    batch.rows = backend.rows(0, u64::MAX).unwrap();
    batch.head = backend.head().unwrap();
    drop(backend);
    change(&mut batch);
    fs::remove_file(&file).unwrap();
    RedbBackend::open(&file, 1 << 20).unwrap().write(&batch).unwrap();
}

fn spoil(bytes: &mut [u8]) {
    bytes.iter_mut().skip(2).step_by(5).for_each(|byte| *byte ^= 0x5a);
}

/// What must be the same after a repair as before the damage.
fn state(dir: &Path) -> (Hash, Vec<(Hash, Hash, String)>) {
    let mut project = open(dir);
    let history = project.history(0..u64::MAX).unwrap();
    let rows = history.into_iter().map(|row| (row.before, row.after, row.info.label)).collect();
    let root = project.root();
    let records = project.view().state().iter().filter(|entry| entry.is_ok()).count();
    assert_eq!(records as u64, project.view().len());
    project.abandon();
    (root, rows)
}

#[test]
fn a_lost_head_comes_back_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 30);
    let before = state(dir.path());
    for lose in [
        |head: &mut Option<Vec<u8>>| *head = None,
        |head: &mut Option<Vec<u8>>| {
            spoil(head.as_mut().unwrap());
        },
    ] {
        rewrite(dir.path(), |batch| lose(&mut batch.head));
        assert!(Project::open(dir.path(), OpenOptions::default()).is_err());
        let report = fsck(dir.path(), true);
        assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
        assert!(report.repaired[0].contains("took the head"), "{report:?}");
        assert_eq!(state(dir.path()), before);
    }
    assert!(dir.path().join(STORE_DIR).join("project.redb.damaged-2").exists());
}

#[test]
fn lost_history_entries_are_made_again_and_undo_goes_across_them() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 12);
    let (root, rows) = state(dir.path());
    let last = rows.len() as u64;
    let (one, from, until) = (last - 1, last - 10, last - 9);
    rewrite(dir.path(), |batch| {
        let lost = |seq: u64| seq == one || (from..=until).contains(&seq);
        batch.rows.iter_mut().filter(|(seq, _)| lost(*seq)).for_each(|(_, row)| spoil(row));
    });
    let found = fsck(dir.path(), false);
    assert!(found.findings.iter().any(|it| matches!(it, Finding::Row { .. })), "{found:?}");
    let report = fsck(dir.path(), true);
    assert!(report.is_clean(), "{report:?}");
    let told = report.repaired.join("\n");
    assert!(told.contains(&format!("history entry {one} again")), "{told}");
    assert!(told.contains(&format!("entries {from} to {until} as one")), "{told}");
    let (root_now, rows_now) = state(dir.path());
    assert_eq!(root_now, root);
    for (at, (old, new)) in rows.iter().zip(&rows_now).enumerate() {
        let seq = at as u64 + 1;
        match seq {
            _ if seq == one => assert_eq!((old.0, old.1), (new.0, new.1)),
            _ if (from..=until).contains(&seq) => {}
            _ => assert_eq!(old, new),
        }
    }
    let mut project = open(dir.path());
    for _ in 0..11 {
        project.undo("a", None).unwrap();
    }
    // Two entries are one now: eleven steps take twelve edits (and a commit) back.
    assert_eq!(project.root(), rows[rows.len() - 14].1);
}

#[test]
fn two_gaps_with_nothing_known_between_them_become_one_entry() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 20);
    let (root, rows) = state(dir.path());
    let last = rows.len() as u64;
    rewrite(dir.path(), |batch| {
        let lost = |seq: u64| seq == last - 1 || seq == last - 3;
        batch.rows.iter_mut().filter(|(seq, _)| lost(*seq)).for_each(|(_, row)| spoil(row));
    });
    let report = fsck(dir.path(), true);
    assert!(report.is_clean(), "{report:?}");
    let told = report.repaired.join("\n");
    assert!(told.contains(&format!("entries {} to {} as one", last - 3, last - 1)), "{told}");
    let mut project = open(dir.path());
    assert_eq!(project.root(), root);
    project.undo("a", None).unwrap();
    assert_eq!(project.root(), rows[rows.len() - 2].1);
}

/// Takes the nodes away that `choose` picks from the tree below `root`.
fn lose(dir: &Path, root: Hash, choose: impl Fn(&Node) -> bool) -> usize {
    let project = open(dir);
    let tree = project.repo().tree().clone();
    let mut lost = BTreeSet::new();
    let mut open = vec![tree.node(&root).unwrap()];
    while let Some(node) = open.pop() {
        (0..if node.is_leaf() { 0 } else { node.len() })
            .for_each(|slot| open.push(tree.node(&node.link(slot).hash).unwrap()));
        if choose(&node) {
            lost.insert(node.hash());
        }
    }
    drop(tree);
    project.abandon();
    rewrite(dir, |batch| batch.nodes.retain(|node| !lost.contains(&node.hash())));
    lost.len()
}

fn index_root(dir: &Path) -> Hash {
    let bytes = fs::read(dir.join(STORE_DIR).join("index")).unwrap();
    Hash(bytes[32..64].try_into().unwrap())
}

#[test]
fn a_damaged_index_is_made_again_from_the_content() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 3);
    let before = state(dir.path());
    let index = index_root(dir.path());
    let nodes = lose(dir.path(), index, |node| node.is_leaf() && node.hash() != index);
    assert!(nodes > 0);
    let found = fsck(dir.path(), false);
    assert!(found.findings.iter().any(|it| it.to_string().contains("the index")), "{found:?}");
    let report = fsck(dir.path(), true);
    assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
    assert!(report.repaired.iter().any(|it| it.contains("the index")), "{report:?}");
    assert_eq!((state(dir.path()), index_root(dir.path())), (before, index));
}

#[test]
fn lost_metadata_and_content_come_back_from_the_history_where_it_has_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 3);
    let before = state(dir.path());
    let root = before.0;
    assert!(lose(dir.path(), root, |node| node.is_leaf()) > 3);
    let report = fsck(dir.path(), true);
    assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
    assert_eq!(state(dir.path()), before);
}

/// A leaf that nothing leads to: what is gone is named, a text export brings it back.
#[test]
fn what_nothing_brings_back_is_named_and_an_export_brings_it_back() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 3);
    let mut project = open(dir.path());
    let mut export = Vec::new();
    project.snapshot_export(&project.stored(), &mut export).unwrap();
    // Without a past there is nothing to repeat.
    project.prune_history(1).unwrap();
    project.gc().unwrap();
    let notes = project.view().all::<Note>().unwrap().len();
    project.close().unwrap();
    let before = state(dir.path());
    let lost = lose(dir.path(), before.0, |node| {
        node.is_leaf()
            && node.entries() > 2
            && node.key(0)[0] == node.last_key().unwrap()[0]
            && node.key(0)[0] == pulse_schemas::id::EntityKind::Note as u8
    });
    assert!(lost > 0);
    let report = fsck(dir.path(), true);
    assert!(!report.is_clean(), "{report:?}");
    let told: Vec<String> =
        report.lost.iter().map(|loss| format!("{} of {}", loss.what, loss.of)).collect();
    let told = told.join("\n");
    assert!(told.contains("notes of clip") && told.contains("working copy"), "{told}");
    // Everything else can still be read.
    let project = open(dir.path());
    assert!(!project.view().all::<Clip>().unwrap().is_empty());
    assert!(project.view().all::<Note>().is_err());
    project.abandon();

    fs::write(dir.path().join("song.pulse.jsonl"), export).unwrap();
    let report = fsck(dir.path(), true);
    assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
    assert_eq!(state(dir.path()), before);
    assert_eq!(open(dir.path()).view().all::<Note>().unwrap().len(), notes);
}

/// A project that was killed behind these edits of notes' pitches, which only the journal has.
/// Labels are `edit 0`, `edit 1`…; the roots behind each.
fn killed(dir: &Path, edits: &[(usize, u8)]) -> Vec<Hash> {
    made(dir, 0);
    let mut project = open(dir);
    let notes: Vec<NoteId> = project.view().all::<Note>().unwrap().iter().map(|it| it.id).collect();
    let mut roots = vec![project.root()];
    for (number, (note, pitch)) in edits.iter().enumerate() {
        let command = br#"{"domain":"note","name":"update","payload":{}}"#.to_vec();
        let meta = TxMeta { command, ..TxMeta::new(format!("edit {number}"), "a") };
        let mut tx = project.begin(meta);
        tx.update::<Note>(notes[*note], |note| note.pitch = *pitch).unwrap();
        tx.commit().unwrap();
        // The next row knows that this one is durable.
        project.repo().flush().unwrap();
        roots.push(project.root());
    }
    project.abandon();
    roots
}

/// Spoils a part of the row with this label: what is found at `what`, from `skip` bytes on.
fn spoil_row(dir: &Path, label: &str, part: impl Fn(&mut [u8])) {
    let file = dir.join(STORE_DIR).join(JOURNAL);
    let mut bytes = fs::read(&file).unwrap();
    let mut at = HEADER;
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 2..at + 6].try_into().unwrap()) as usize;
        let row = &mut bytes[at..at + FRAME + length];
        if row.windows(label.len()).any(|it| it == label.as_bytes()) {
            part(row);
        }
        at += FRAME + length;
    }
    fs::write(&file, bytes).unwrap();
    assert!(!fsck(dir, false).is_clean());
}

fn spoil_all(row: &mut [u8]) {
    spoil(&mut row[FRAME..]);
}

#[test]
fn a_journal_row_whose_label_is_damaged_is_proved_by_its_root() {
    let dir = tempfile::tempdir().unwrap();
    let roots = killed(dir.path(), &[(1, 10), (2, 20), (3, 30), (4, 40)]);
    spoil_row(dir.path(), "edit 1", |row| {
        let at = row.windows(6).position(|it| it == b"edit 1").unwrap();
        row[at..at + 4].copy_from_slice(b"idet");
    });
    let report = fsck(dir.path(), true);
    assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
    assert!(report.repaired[0].contains("may be damaged"), "{report:?}");
    let (root, rows) = state(dir.path());
    assert_eq!(root, roots[4]);
    assert!(rows.iter().any(|row| row.2 == "idet 1 (damaged, kept by fsck)"), "{rows:?}");
}

#[test]
fn a_lost_journal_row_that_was_written_over_costs_nothing_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let roots = killed(dir.path(), &[(1, 10), (2, 20), (3, 30), (2, 40), (5, 50)]);
    spoil_row(dir.path(), "edit 1", spoil_all);
    let report = fsck(dir.path(), true);
    assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
    assert!(report.repaired[0].contains("as one"), "{report:?}");
    let (root, rows) = state(dir.path());
    assert_eq!(root, roots[5]);
    let labels: Vec<&str> = rows.iter().rev().take(4).map(|row| &row.2[..]).collect();
    let last = rows.len() as u64;
    let one = format!("Entries {} to {} (made again by fsck)", last - 3, last - 1);
    assert_eq!(labels, ["edit 4", "edit 3", "edit 2", &one]);
    let mut project = open(dir.path());
    project.undo("a", None).unwrap();
    assert_eq!(project.root(), roots[4]);
}

#[test]
fn what_lies_behind_a_lost_journal_row_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let roots = killed(dir.path(), &[(1, 10), (2, 20), (3, 30), (4, 40)]);
    spoil_row(dir.path(), "edit 1", spoil_all);
    let report = fsck(dir.path(), true);
    assert!(report.is_clean(), "{report:?}");
    assert!(report.lost[0].what.starts_with("3 edits behind entry"), "{report:?}");
    let text = fs::read_to_string(&report.written_down[0]).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["rows"]), (3, &serde_json::json!(2)));
    assert_eq!((&lines[1]["label"], &lines[2]["label"]), (&"edit 2".into(), &"edit 3".into()));
    assert_eq!(lines[1]["command"]["name"], "update");
    assert!(lines[1]["writes"][0]["id"].as_str().unwrap().starts_with("nte_"), "{text}");
    assert_eq!(state(dir.path()).0, roots[1], "the edits before the damage are there");
}

#[test]
fn a_jump_leads_on_whatever_was_lost_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let roots = killed(dir.path(), &[(1, 10), (2, 20)]);
    let mut project = open(dir.path());
    let clip = project.view().all::<Clip>().unwrap()[0].id;
    let mut tx = project.begin(TxMeta::new("edit 7", "a"));
    tx.update::<Clip>(clip, |clip| clip.gain_db = -3.0).unwrap();
    tx.commit().unwrap();
    let mut tx = project.begin(TxMeta::new("many", "a"));
    for at in 0..6_000 {
        let id = NoteId(tx.new_id());
        tx.put(Note { id, clip, start: Ticks(at), length: Ticks(9), ..Note::default() }).unwrap();
    }
    tx.commit().unwrap();
    let root = project.root();
    project.repo().flush().unwrap();
    project.abandon();
    assert!(!roots.contains(&root));
    // The jump's checkpoint may have taken the row along: then nothing is lost either.
    let file = dir.path().join(STORE_DIR).join(JOURNAL);
    if fs::read(&file).unwrap().windows(6).any(|it| it == b"edit 7") {
        spoil_row(dir.path(), "edit 7", spoil_all);
        let report = fsck(dir.path(), true);
        assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
    }
    assert_eq!(state(dir.path()).0, root);
}

/// Bytes, not bits, in leaves to which nothing else leads: the import is one entry, and what it
/// made stands nowhere else.
#[test]
fn many_nodes_with_a_wrong_byte_each_are_put_right() {
    let count = if std::env::var_os("PULSE_SOAK").is_some() { 1_000 } else { 6 };
    let dir = tempfile::tempdir().unwrap();
    let mut project = Project::create(dir.path(), options()).unwrap();
    let song = write_song(&mut project);
    let mut tx = project.begin(by("a"));
    for at in 0..40_000 {
        let id = NoteId(tx.new_id());
        let (clip, start) = (song.clip, Ticks(at));
        tx.put(Note { id, clip, start, length: Ticks(9), ..Note::default() }).unwrap();
    }
    tx.commit().unwrap();
    project.close().unwrap();
    let before = state(dir.path());
    let file = dir.path().join(STORE_DIR).join(DATABASE);
    let mut leaves = Vec::new();
    let backend = RedbBackend::open(&file, 1 << 20).unwrap();
    let take = &mut |_, bytes: &[u8]| leaves.push(Node::parse(bytes.into()).unwrap());
    backend.visit_nodes(take).unwrap();
    drop(backend);
    leaves.retain(|node| node.is_leaf() && (400..3_000).contains(&node.bytes().len()));
    let mut bytes = fs::read(&file).unwrap();
    let step = (leaves.len() / count).max(1);
    for (number, node) in leaves.iter().step_by(step).take(count).enumerate() {
        let at = number * 37 % node.bytes().len();
        let found = bytes.windows(node.bytes().len()).enumerate();
        let all: Vec<usize> =
            found.filter(|(_, it)| *it == node.bytes()).map(|(place, _)| place).collect();
        assert!(!all.is_empty());
        all.into_iter().for_each(|place| bytes[place + at] ^= 0x5b);
    }
    fs::write(&file, bytes).unwrap();
    assert!(!fsck(dir.path(), false).is_clean());
    let start = std::time::Instant::now();
    let report = fsck(dir.path(), true);
    println!("{count} nodes, {:?}", start.elapsed());
    assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
    let told = format!("put {count} nodes back, each proved by its hash: one wrong byte put right");
    assert!(report.repaired.contains(&told), "{:?}", report.repaired);
    assert_eq!(state(dir.path()), before);
}
