//! What is not a whole store of this version: an error that names file, cause and next step.

use std::{fs, io, path::Path};

use super::{
    layout::{DATABASE_FILE, FORMAT_FILE, JOURNAL_FILE},
    *,
};
use crate::{backend::redb::RedbBackend, journal};

fn options() -> Options {
    Options { store_id: [5; 16], ..Options::default() }
}

fn put(repo: &mut Repo, value: &str) {
    let edits = [Edit::put(*b"key", value)];
    let transaction = Transaction { edits: &edits, ..Transaction::default() };
    repo.commit(transaction).unwrap().ticket.wait().unwrap();
}

fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut repo = Repo::create(dir.path(), &options()).unwrap();
    put(&mut repo, "one");
    repo.checkpoint().unwrap();
    put(&mut repo, "two");
    repo.abandon();
    dir
}

/// Damages one file, and expects an error with all of `words` and with a next step.
fn check(file: &str, damage: impl Fn(Vec<u8>) -> Vec<u8>, words: &[&str]) {
    let dir = store();
    let path = dir.path().join(file);
    let damaged = damage(fs::read(&path).unwrap());
    fs::write(&path, &damaged).unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let error = Repo::open(dir.path(), &options()).map(|_| ()).unwrap_err().to_string();
    std::panic::set_hook(hook);
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    assert!(
        ["run `pulse fsck`", "update pulse", "put back"].iter().any(|step| error.contains(step)),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), damaged, "opening must not make it worse");
}

#[test]
fn truncated_empty_and_foreign_files_are_named() {
    check(DATABASE_FILE, |_| Vec::new(), &["project.redb", "head is missing"]);
    check(DATABASE_FILE, |bytes| bytes[..5_000].to_vec(), &["project.redb"]);
    check(DATABASE_FILE, |_| b"RIFF....WAVEfmt ".repeat(600), &["project.redb"]);
    check(JOURNAL_FILE, |_| Vec::new(), &["project.journal", "header is damaged"]);
    check(JOURNAL_FILE, |bytes| bytes[..40].to_vec(), &["project.journal", "header is damaged"]);
    check(JOURNAL_FILE, |_| b"RIFF....WAVEfmt ".repeat(6), &["project.journal", "not a journal"]);
    check(FORMAT_FILE, |_| Vec::new(), &["format", "not the format file"]);
    check(FORMAT_FILE, |_| vec![0xff; 90], &["format", "not the format file"]);
}

#[test]
fn a_store_from_the_future_is_left_alone() {
    check(FORMAT_FILE, |_| b"pulse store 99\n".to_vec(), &["format 99", "newer pulse"]);
    let future_journal = |bytes: Vec<u8>| {
        let mut header = journal::header(&[5; 16]).to_vec();
        header[8] = 2;
        let check = journal::check_sum(&[&header[..56]]);
        header[56..].copy_from_slice(&check);
        [&header[..], &bytes[journal::HEADER..]].concat()
    };
    check(JOURNAL_FILE, future_journal, &["project.journal", "format 2", "newer pulse"]);
}

/// The `format` file may be the one that was put back from elsewhere.
#[test]
fn a_head_from_the_future_is_left_alone_by_opening_and_by_repair() {
    let dir = store();
    let database = dir.path().join(DATABASE_FILE);
    let backend = RedbBackend::open(&database, 1 << 20).unwrap();
    let mut head = backend.head().unwrap().unwrap();
    head[4] = 2;
    let body = head.len() - 8;
    let check = journal::check_sum(&[&head[..body]]);
    head[body..].copy_from_slice(&check);
    backend.write(&Batch { head: Some(head), ..Batch::default() }).unwrap();
    drop(backend);
    let error = Repo::open(dir.path(), &options()).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Future { found: 2, .. }), "{error}");
    let before = fs::read(&database).unwrap();
    let report = crate::fsck::fsck(dir.path(), true, &|_| Vec::new()).unwrap();
    assert!(report.repaired.is_empty() && !report.is_clean(), "{report:?}");
    assert!(report.findings[0].to_string().contains("update pulse"), "{report:?}");
    assert!(fs::read(&database).unwrap() == before);
}

/// The last file of a new store is the one that finds no space.
#[test]
#[cfg(target_os = "linux")]
fn a_format_file_without_space_is_a_typed_error_and_the_store_can_be_made_later() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = dir.path().join("format.new");
    std::os::unix::fs::symlink("/dev/full", &fresh).unwrap();
    let error = Repo::create(dir.path(), &options()).map(|_| ()).unwrap_err();
    let is_full = |source: &io::Error| source.kind() == io::ErrorKind::StorageFull;
    assert!(matches!(&error, OpenError::Io { source, .. } if is_full(source)), "{error}");
    let text = error.to_string();
    assert!(text.contains("format: writing failed"), "{text}");
    assert!(text.contains("free some space on the disk"), "{text}");
    let opened = Repo::open(dir.path(), &options()).map(|_| ());
    assert!(matches!(opened, Err(OpenError::NotAStore { .. })), "{opened:?}");
    fs::remove_file(&fresh).unwrap();
    let mut repo = Repo::create(dir.path(), &options()).unwrap();
    put(&mut repo, "one");
    repo.close().unwrap();
    Repo::open(dir.path(), &options()).unwrap();
}

#[test]
fn the_journal_of_another_store_is_not_replayed() {
    let other =
        |bytes: Vec<u8>| [&journal::header(&[6; 16])[..], &bytes[journal::HEADER..]].concat();
    check(JOURNAL_FILE, other, &["project.journal", "belongs to another project"]);
}

#[test]
fn missing_files_are_not_made_anew() {
    let missing = |file: &str| {
        let dir = store();
        fs::remove_file(dir.path().join(file)).unwrap();
        Repo::open(dir.path(), &options()).map(|_| ()).unwrap_err().to_string()
    };
    let text = missing(DATABASE_FILE);
    assert!(text.contains("project.redb: the store's head is missing; run `pulse fsck`"), "{text}");
    let text = missing(JOURNAL_FILE);
    assert!(text.contains("project.journal: the journal's header is damaged"), "{text}");
    assert!(missing(FORMAT_FILE).contains("there is no project here"));
    let nowhere = Repo::open(Path::new("/nonexistent/place"), &options()).map(|_| ()).unwrap_err();
    assert!(matches!(nowhere, OpenError::NotAStore { .. }), "{nowhere}");
}

#[test]
fn a_second_writer_and_a_reader_beside_a_writer_learn_who_holds_the_store() {
    let dir = store();
    let mut repo = Repo::open(dir.path(), &options()).unwrap();
    repo.set_socket(Some("/run/pulse.sock".into())).unwrap();
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let second = Repo::open(dir.path(), &Options { access, ..options() });
        let text = second.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains(&format!("open in process {}", std::process::id())), "{text}");
        assert!(text.contains("/run/pulse.sock"), "{text}");
    }
}

#[test]
fn a_store_opened_read_only_shows_all_and_takes_nothing() {
    let dir = store();
    let files =
        || [DATABASE_FILE, JOURNAL_FILE].map(|file| fs::read(dir.path().join(file)).unwrap());
    let before = files();
    let read_only = Options { access: Access::ReadOnly, ..options() };
    let mut repo = Repo::open(dir.path(), &read_only).unwrap();
    assert_eq!(&*repo.head().get(b"key").unwrap().unwrap(), b"two");
    assert_eq!(repo.history(0, 9).unwrap().len(), 2);
    let refused = repo.commit(Transaction::default()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, RepoError::ReadOnly { .. }), "{refused}");
    assert!(matches!(repo.gc(&[]), Err(RepoError::ReadOnly { .. })));
    drop(repo);
    assert!(files() == before);
}

#[test]
fn a_folder_may_move_while_the_store_is_open() {
    let dir = store();
    let mut repo = Repo::open(dir.path(), &options()).unwrap();
    let parent = tempfile::tempdir().unwrap();
    let moved = parent.path().join("moved");
    fs::rename(dir.path(), &moved).unwrap();
    put(&mut repo, "three");
    repo.close().unwrap();
    let repo = Repo::open(&moved, &options()).unwrap();
    assert_eq!(&*repo.head().get(b"key").unwrap().unwrap(), b"three");
}

#[test]
fn a_database_that_was_put_back_from_an_older_copy_is_noticed() {
    let dir = store();
    let database = dir.path().join(DATABASE_FILE);
    let mut repo = Repo::open(dir.path(), &options()).unwrap();
    put(&mut repo, "three");
    repo.close().unwrap();
    let older = fs::read(&database).unwrap();
    let mut repo = Repo::open(dir.path(), &options()).unwrap();
    put(&mut repo, "four");
    repo.close().unwrap();
    fs::write(&database, older).unwrap();
    let error = Repo::open(dir.path(), &options()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("knows 3 rows, the journal says it had 4"), "{error}");
}
