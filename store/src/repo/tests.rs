use std::path::Path;

use super::*;
use crate::tree::tests::project_like;

fn options() -> Options {
    Options { store_id: [7; 16], ..Options::default() }
}

fn put(repo: &mut Repo, key: &str, value: &str) -> Committed {
    let edits = [Edit::put(key, value)];
    let info = format!("put {key}").into_bytes();
    repo.commit(Transaction { edits: &edits, info, ..Transaction::default() }).unwrap()
}

fn value(snapshot: &Snapshot, key: &str) -> Option<String> {
    let value = snapshot.get(key.as_bytes()).unwrap()?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn reopen(dir: &Path) -> Repo {
    Repo::open(dir, &options()).unwrap()
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let mut repo = Repo::create(dir.path(), &options()).unwrap();
    for round in 0..50 {
        put(&mut repo, &format!("key {}", round % 7), &format!("a longer value, round {round}"));
    }
    let root = put(&mut repo, "last", "one").after.root();
    repo.flush().unwrap();
    repo.abandon();
    let repo = reopen(dir.path());
    assert_eq!(repo.recovered().rows, 51);
    assert_eq!(repo.head().root(), root);
    assert_eq!(value(repo.head(), "key 3").as_deref(), Some("a longer value, round 45"));
    assert_eq!(repo.history(1, 100).unwrap().len(), 51);
}

#[test]
fn a_closed_store_opens_from_its_checkpoint_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut repo = Repo::create(dir.path(), &options()).unwrap();
    put(&mut repo, "a", "1");
    put(&mut repo, "b", "2");
    repo.close().unwrap();
    let mut repo = reopen(dir.path());
    assert_eq!(*repo.recovered(), Recovered::default());
    assert_eq!((repo.seq(), value(repo.head(), "b").as_deref()), (2, Some("2")));
    put(&mut repo, "b", "3");
    drop(repo);
    let repo = reopen(dir.path());
    assert_eq!(value(&repo.version_at(2).unwrap(), "b").as_deref(), Some("2"));
    assert_eq!(value(&repo.version_at(1).unwrap(), "b"), None);
    assert_eq!(repo.history_row(3).unwrap().info, b"put b");
}

#[test]
fn content_and_metadata_change_in_one_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut repo = Repo::create(dir.path(), &options()).unwrap();
    let (edits, meta) = ([Edit::put(*b"k", *b"v")], [Edit::put(*b"ref/main", *b"v1")]);
    let transaction = Transaction { edits: &edits, meta: &meta, ..Transaction::default() };
    repo.commit(transaction).unwrap().ticket.wait().unwrap();
    repo.abandon();
    let repo = reopen(dir.path());
    assert_eq!(value(repo.head(), "k").as_deref(), Some("v"));
    assert_eq!(value(repo.meta(), "ref/main").as_deref(), Some("v1"));
}

#[test]
fn kept_versions_are_trees_after_a_crash_and_a_large_change_is_a_jump() {
    let dir = tempfile::tempdir().unwrap();
    let mut repo = Repo::create(dir.path(), &options()).unwrap();
    let import = project_like(5_000);
    let large = Transaction { edits: &import, ..Transaction::default() };
    let large = repo.commit(large).unwrap().after.root();
    let edits = [Edit::put(*b"k", *b"v")];
    let kept = Transaction { edits: &edits, keep: true, ..Transaction::default() };
    let kept = repo.commit(kept).unwrap().after.root();
    put(&mut repo, "k", "w");
    repo.flush().unwrap();
    repo.abandon();
    let mut repo = reopen(dir.path());
    assert!(repo.history_row(1).unwrap().is_jump());
    assert_eq!(repo.snapshot(large).unwrap().iter().count(), 5_000);
    assert_eq!(value(&repo.snapshot(kept).unwrap(), "k").as_deref(), Some("v"));
    let back = repo.snapshot(large).unwrap();
    repo.commit_version(&back, Transaction::default()).unwrap();
    assert_eq!(repo.head().root(), large);
    assert!(repo.version_at(0).unwrap().is_empty());
    assert_eq!(repo.version_at(2).unwrap().root(), kept);
}

#[test]
fn versions_of_the_past_are_proved_by_their_roots() {
    let mut repo = Repo::in_memory(&Options { checkpoint_rows: 8, ..options() }).unwrap();
    let mut roots = vec![repo.head().root()];
    for round in 0..100u32 {
        let edits = [Edit::put(vec![(round % 13) as u8], round.to_le_bytes())];
        let info = Vec::new();
        let keep = round % 10 == 3;
        let transaction = Transaction { edits: &edits, info, keep, ..Transaction::default() };
        roots.push(repo.commit(transaction).unwrap().after.root());
    }
    let named: Vec<Hash> = roots.iter().skip(4).step_by(20).copied().collect();
    for collected in [None, Some(&named[..]), Some(&[])] {
        collected.map(|live| repo.gc(live).unwrap());
        for (seq, root) in roots.iter().enumerate() {
            assert_eq!(repo.version_at(seq as u64).unwrap().root(), *root);
        }
    }
    repo.prune_history(50).unwrap();
    assert_eq!(repo.version_at(49).unwrap().root(), roots[49]);
    assert!(matches!(repo.version_at(48), Err(RepoError::NoSuchRow { seq: 48, .. })));
}

#[test]
fn a_look_into_the_past_reads_no_further_than_to_the_next_commit() {
    let mut repo = Repo::in_memory(&options()).unwrap();
    for round in 0..3_000u32 {
        let edits = [Edit::put(vec![(round % 13) as u8], round.to_le_bytes())];
        let keep = round == 20;
        repo.commit(Transaction { edits: &edits, keep, ..Transaction::default() }).unwrap();
    }
    let (rows, _) = repo.way_back(7, true).unwrap();
    assert_eq!(rows.len(), 14);
    let (rows, start) = repo.way_back(7, false).unwrap();
    assert_eq!((rows.len(), start.root()), (2_993, repo.head().root()));
}

#[test]
fn many_small_transactions_share_their_syncs_and_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let mut repo =
        Repo::create(dir.path(), &Options { checkpoint_rows: 100, ..options() }).unwrap();
    for round in 0..1_000 {
        put(&mut repo, &format!("{}", round % 50), &format!("{round}"));
    }
    repo.flush().unwrap();
    repo.abandon();
    let repo = reopen(dir.path());
    assert!(repo.recovered().rows < 1_000, "checkpoints came between");
    assert_eq!(value(repo.head(), "49").as_deref(), Some("999"));
    assert_eq!(repo.history(1, u64::MAX).unwrap().len(), 1_000);
}

#[test]
fn a_collected_version_is_gone_and_a_named_one_is_not() {
    let mut repo = Repo::in_memory(&options()).unwrap();
    let import = project_like(3_000);
    let keep = |edits| Transaction { edits, keep: true, ..Transaction::default() };
    let named = repo.commit(keep(&import[..1_000])).unwrap().after.root();
    let unnamed = repo.commit(keep(&import[1_000..1_500])).unwrap().after.root();
    repo.commit(keep(&import[1_500..1_700])).unwrap();
    let held = repo.commit(keep(&import[1_700..1_900])).unwrap().after;
    repo.commit(keep(&import[1_900..2_000])).unwrap();
    let swept = repo.gc(&[named]).unwrap();
    assert!(swept.nodes > 0 && swept.kept > 0, "{swept:?}");
    assert!(matches!(repo.snapshot(unnamed), Err(TreeError::Missing { .. })));
    assert_eq!(repo.snapshot(named).unwrap().iter().filter(Result::is_ok).count(), 1_000);
    assert_eq!(held.iter().filter(Result::is_ok).count(), 1_900);
    assert_eq!(repo.head().iter().filter(Result::is_ok).count(), 2_000);
    assert_eq!(repo.version_at(2).unwrap().root(), unnamed);
}

#[test]
fn many_edits_do_not_grow_the_file_for_ever() {
    let soak = std::env::var_os("PULSE_SOAK").is_some();
    let (entries, rounds) = if soak { (100_000, 10_000) } else { (4_000, 800) };
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_rows: 64, ..options() };
    let mut repo = Repo::create(dir.path(), &options).unwrap();
    let edits = project_like(entries);
    repo.commit(Transaction { edits: &edits, ..Transaction::default() }).unwrap();
    repo.prune_history(2).unwrap();
    repo.gc(&[]).unwrap();
    repo.compact().unwrap();
    let fresh = repo.size().unwrap();
    for round in 0..rounds {
        let edit = &edits[(round as usize * 7_919) % edits.len()];
        let edit = [Edit::put(edit.key.clone(), format!("{round:060}"))];
        repo.commit(Transaction { edits: &edit, ..Transaction::default() }).unwrap();
    }
    repo.prune_history(u64::MAX).unwrap();
    repo.gc(&[]).unwrap();
    repo.compact().unwrap();
    let size = repo.size().unwrap();
    assert!(size <= 2 * fresh, "{fresh} bytes became {size}");
    let journal = std::fs::metadata(dir.path().join(layout::JOURNAL_FILE)).unwrap().len();
    assert!(journal < crate::journal::HEADER as u64 + 192, "{journal} bytes are left");
}
