//! Stores written by earlier versions of the format: each stays readable for ever.
//!
//! `PULSE_WRITE_FIXTURE=1 cargo test -p pulse-store fixture` writes the current version's, which
//! is done once per version, never to make a test pass.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::tree::tests::project_like;

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/compat/v{version}/store"))
}

fn options() -> Options {
    Options { store_id: *b"pulse-fixture-v1", ..Options::default() }
}

fn commit(repo: &mut Repo, edits: &[Edit], meta: &[Edit], info: &str, keep: bool) {
    let info = info.as_bytes().to_vec();
    let transaction = Transaction { edits, meta, info, keep, ..Transaction::default() };
    repo.commit(transaction).unwrap().ticket.wait().unwrap();
}

/// Trees, a jump, kept versions, metadata, removed keys, spliced values, and rows that only the
/// journal has.
fn write(dir: &Path) {
    let mut repo = Repo::create(dir, &options()).unwrap();
    commit(&mut repo, &project_like(500), &[], "import", false);
    let large: Vec<Edit> =
        project_like(400).into_iter().map(|edit| Edit::remove(edit.key)).collect();
    commit(&mut repo, &large, &[Edit::put(*b"refs/heads/main", *b"1")], "remove", true);
    let whole = [Edit::put(*b"blob", vec![7; 300 << 10])];
    commit(&mut repo, &whole, &[], "a jump", false);
    repo.gc(&[]).unwrap();
    repo.compact().unwrap();
    for number in 0..5u8 {
        let edit = [Edit::put(*b"key", format!("a value of some length, number {number}"))];
        commit(&mut repo, &edit, &[Edit::put(*b"n", [number])], "row", number == 2);
    }
    repo.abandon();
    fs::remove_file(dir.join(layout::LOCK_FILE)).unwrap();
}

fn copy(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

#[test]
fn the_fixture_of_format_1_opens_with_all_that_was_in_it() {
    if std::env::var_os("PULSE_WRITE_FIXTURE").is_some() {
        fs::create_dir_all(fixture(1)).unwrap();
        write(&fixture(1));
    }
    let dir = copy(&fixture(1));
    let repo = Repo::open(dir.path(), &options()).unwrap();
    assert_eq!((repo.seq(), repo.recovered().rows, repo.head().len()), (8, 5, 102));
    expect_test::expect!["b3:7db1e7ee93d582487062af591c8170547ed186b8946c78722d7c76d2877db7d6"]
        .assert_eq(&repo.head().root().to_string());
    expect_test::expect!["b3:118326e9c801248c34d20cc3a950ffe8038e75e434a9e2f5789c2311a23c5148"]
        .assert_eq(&repo.meta().root().to_string());
    let blob = repo.head().get(b"blob").unwrap().unwrap();
    assert!(blob.len() == 300 << 10 && blob.iter().all(|byte| *byte == 7));
    let history = repo.history(1, 9).unwrap();
    let labels: Vec<_> = history.iter().map(|row| String::from_utf8_lossy(&row.info)).collect();
    assert_eq!(labels, ["import", "remove", "a jump", "row", "row", "row", "row", "row"]);
    assert_eq!(repo.version_at(1).unwrap().len(), 500);
    assert_eq!(repo.version_at(0).unwrap().len(), 0);
    repo.close().unwrap();
    let report = crate::fsck::fsck(dir.path(), false, &|_| Vec::new()).unwrap();
    assert!(report.is_clean(), "{report:?}");
}
