use std::{fs, path::Path, sync::Arc};

use super::*;
use crate::{
    backend::failing::Disk,
    repo::Transaction,
    tree::{Edit, tests::project_like},
};

const DATABASE: &str = "project.redb";
const JOURNAL: &str = "project.journal";

fn options() -> Options {
    Options { store_id: [3; 16], ..Options::default() }
}

fn open(disk: &Disk) -> Result<Repo, OpenError> {
    let backend = RedbBackend::open_on(Path::new("disk"), disk.file(DATABASE), 1 << 20)?;
    let options = Options { create: false, ..options() };
    Repo::open_on(Path::new("disk"), Arc::new(backend), Box::new(disk.file(JOURNAL)), &options)
}

fn put(repo: &mut Repo, number: u32) {
    let edits =
        [Edit::put((number % 40).to_be_bytes(), format!("value {number}, somewhat longer"))];
    let meta = [Edit::put(*b"refs/heads/main", number.to_le_bytes())];
    let (info, meta) = (format!("row {number}").into_bytes(), &meta[..]);
    repo.commit(Transaction { edits: &edits, meta, info, ..Transaction::default() }).unwrap();
}

/// A store with an import, history, checkpointed rows and rows in the journal only.
fn fill(repo: &mut Repo) {
    repo.commit(Transaction { edits: &project_like(2_800), ..Transaction::default() }).unwrap();
    (0..60).for_each(|number| put(repo, number));
    repo.checkpoint().unwrap();
    for number in 60..75 {
        put(repo, number);
        repo.flush().unwrap();
    }
}

#[derive(PartialEq)]
struct Content {
    head: Vec<(Vec<u8>, Vec<u8>)>,
    meta: Vec<(Vec<u8>, Vec<u8>)>,
    history: Vec<HistoryRow>,
}

/// All that a store holds, or the first complaint.
fn content(repo: &Repo) -> Result<Content, String> {
    let entries = |snapshot: &crate::tree::Snapshot| {
        let entries = snapshot.iter().map(|entry| entry.map(|(k, v)| (k.to_vec(), v.to_vec())));
        entries.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())
    };
    let history = repo.history(0, u64::MAX).map_err(|error| error.to_string())?;
    Ok(Content {
        head: entries(repo.head())?,
        meta: entries(repo.meta())?,
        history: history.iter().map(|row| (**row).clone()).collect(),
    })
}

/// Flips one byte. What then opens and reads without a complaint must be what was written, or
/// say that it cut a tail.
fn survives(files: &[(&'static str, Vec<u8>)], whole: &Content, file: usize, at: usize) -> bool {
    let disk = Disk::default();
    for (name, bytes) in files {
        disk.put(name, bytes.clone());
    }
    let (name, bytes) = &files[file];
    let mut bytes = bytes.clone();
    bytes[at] ^= 1 << (at % 8);
    disk.put(name, bytes);
    let Ok(repo) = open(&disk) else { return false };
    let found = content(&repo);
    let torn = repo.recovered().torn_bytes > 0;
    repo.abandon();
    match found {
        Err(_) => false,
        Ok(found) => {
            assert!(found == *whole || torn, "byte {at} of {name}: other data, and no word of it");
            found == *whole
        }
    }
}

#[test]
fn a_flipped_byte_is_reported_or_changes_nothing() {
    let disk = Disk::default();
    let backend = RedbBackend::open_on(Path::new("disk"), disk.file(DATABASE), 1 << 20).unwrap();
    let journal = Box::new(disk.file(JOURNAL));
    let mut repo =
        Repo::open_on(Path::new("disk"), Arc::new(backend), journal, &options()).unwrap();
    fill(&mut repo);
    let whole = content(&repo).unwrap();
    repo.abandon();
    let files = [DATABASE, JOURNAL].map(|name| (name, disk.bytes(name)));
    let used: Vec<(usize, usize)> = (files.iter().enumerate())
        .flat_map(|(file, (_, bytes))| {
            let used = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
            used.map(move |(at, _)| (file, at))
        })
        .collect();
    let soak = std::env::var_os("PULSE_SOAK").is_some();
    let samples = if soak { 20_000 } else { 300 };
    let mut places: Vec<_> = (0..samples).map(|index| used[index * used.len() / samples]).collect();
    // redb's own header and page tables, where a byte means most.
    places.extend(used.iter().filter(|(file, at)| soak && *file == 0 && *at < 16_384));
    std::panic::set_hook(Box::new(|_| {}));
    let (mut unaffected, mut failures) = (0, Vec::new());
    for (file, at) in places.iter().copied() {
        let work = || survives(&files, &whole, file, at);
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            Ok(same) => unaffected += usize::from(same),
            Err(panic) => failures.push((file, at, panic.downcast::<String>().ok())),
        }
    }
    let _ = std::panic::take_hook();
    assert!(failures.is_empty(), "{} failures: {failures:?}", failures.len());
    let (flips, used) = (places.len(), used.len());
    println!("{unaffected} of {flips} flips changed nothing, out of {used} used bytes");
}

fn no_roots(_: &crate::tree::Snapshot) -> Vec<Named> {
    Vec::new()
}

fn made(dir: &Path) -> Hash {
    let mut repo = Repo::create(dir, &options()).unwrap();
    fill(&mut repo);
    let root = repo.head().root();
    repo.flush().unwrap();
    repo.abandon();
    root
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_healthy_store_is_clean_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = made(dir.path());
    let report = fsck(dir.path(), true, &no_roots).unwrap();
    assert!(report.is_clean() && report.repaired.is_empty(), "{report:?}");
    assert!(report.nodes > 100 && report.rows == 61 && report.journal_rows == 15, "{report:?}");
    assert_eq!(Repo::open(dir.path(), &options()).unwrap().head().root(), root);
}

#[test]
fn a_damaged_journal_header_and_a_lost_format_file_are_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let root = made(dir.path());
    flip(&dir.path().join(JOURNAL), 20);
    fs::remove_file(dir.path().join(FORMAT_FILE)).unwrap();
    assert!(matches!(Repo::open(dir.path(), &options()), Err(OpenError::NotAStore { .. })));
    assert!(matches!(Repo::create(dir.path(), &options()), Err(OpenError::FormatMissing { .. })));
    let before = fsck(dir.path(), false, &no_roots).unwrap();
    assert_eq!(before.findings.len(), 2, "{before:?}");
    let after = fsck(dir.path(), true, &no_roots).unwrap();
    assert!(after.is_clean() && after.repaired.len() == 2, "{after:?}");
    assert_eq!(Repo::open(dir.path(), &options()).unwrap().head().root(), root);
}

#[test]
fn a_damaged_acknowledged_row_is_named_and_the_rows_before_it_are_saved() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path());
    let journal = dir.path().join(JOURNAL);
    let middle = fs::metadata(&journal).unwrap().len() as usize / 2;
    flip(&journal, middle);
    let error = Repo::open(dir.path(), &options()).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Journal(JournalError::Damaged { .. })), "{error}");
    assert!(error.to_string().contains("project.journal: acknowledged row 6"), "{error}");
    let report = fsck(dir.path(), true, &no_roots).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(report.journal_rows >= 5, "{report:?}");
    assert!(dir.path().join("project.journal.damaged-1").exists());
    Repo::open(dir.path(), &options()).unwrap();
}

/// Replaces stored nodes by wrong ones, as bit rot would.
fn rot(dir: &Path, choose: impl Fn(&Node) -> bool) -> Vec<Hash> {
    let backend = RedbBackend::open(&dir.join(DATABASE), 1 << 20).unwrap();
    let mut hashes = Vec::new();
    backend
        .visit_nodes(&mut |hash, bytes| {
            if choose(&Node::parse(bytes.into()).unwrap()) {
                hashes.push(hash);
            }
        })
        .unwrap();
    backend.sweep(&|hash| !hashes.contains(hash)).unwrap();
    hashes
}

#[test]
fn lost_inner_nodes_are_rebuilt_from_their_children() {
    let dir = tempfile::tempdir().unwrap();
    let root = made(dir.path());
    let lost = rot(dir.path(), |node| node.level() == 1 && node.hash().0[0] % 4 == 0);
    assert!(!lost.is_empty());
    let before = fsck(dir.path(), false, &no_roots).unwrap();
    assert!(before.findings.iter().any(|found| matches!(found, Finding::Unreadable { .. })));
    let after = fsck(dir.path(), true, &no_roots).unwrap();
    assert!(after.is_clean(), "{after:?}");
    assert_eq!(Repo::open(dir.path(), &options()).unwrap().head().root(), root);
}

#[test]
fn lost_leaves_are_made_again_from_a_history_without_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let mut repo = Repo::create(dir.path(), &options()).unwrap();
    (0..300).for_each(|number| put(&mut repo, number));
    let root = repo.head().root();
    repo.close().unwrap();
    let kept = fs::read(dir.path().join(JOURNAL)).unwrap();
    assert!(!rot(dir.path(), |node| node.is_leaf() && node.entries() > 1).is_empty());
    assert!(Repo::open(dir.path(), &options()).is_ok_and(|repo| content(&repo).is_err()));
    let report = fsck(dir.path(), true, &no_roots).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(fs::read(dir.path().join(JOURNAL)).unwrap(), kept);
    let repo = Repo::open(dir.path(), &options()).unwrap();
    assert_eq!(repo.head().root(), root);
    content(&repo).map(drop).unwrap();
}

/// All that a store in a folder holds; `None` for what can't be read.
fn read_back(dir: &Path) -> Option<Content> {
    let repo = Repo::open(dir, &Options { access: Access::ReadOnly, ..options() }).ok()?;
    content(&repo).ok()
}

fn copy_of(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

/// Flips one byte of a copy, has it repaired: what is then called clean is what was written, bit
/// for bit, and the damaged file lies beside it. Says whether there was something to repair.
fn repairs(store: &Path, whole: &Content, file: &str, at: usize) -> bool {
    let dir = copy_of(store);
    flip(&dir.path().join(file), at);
    let damaged = fs::read(dir.path().join(file)).unwrap();
    let before = fsck(dir.path(), false, &no_roots).unwrap();
    assert_eq!(fs::read(dir.path().join(file)).unwrap(), damaged, "a check writes nothing");
    if before.is_clean() {
        return false;
    }
    let after = fsck(dir.path(), true, &no_roots).unwrap();
    assert!(after.is_clean(), "byte {at} of {file}: {before:?}, then {after:?}");
    assert!(!after.repaired.is_empty() && after.lost.is_empty(), "byte {at} of {file}: {after:?}");
    let kept = after.set_aside.iter().any(|path| fs::read(path).unwrap() == damaged);
    assert!(kept || file == FORMAT_FILE, "byte {at} of {file}: {after:?}");
    let found = read_back(dir.path()).unwrap_or_else(|| panic!("byte {at} of {file}: {after:?}"));
    assert!(found == *whole, "byte {at} of {file}: {after:?}");
    true
}

#[test]
fn a_flipped_byte_is_repaired_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path());
    let whole = read_back(dir.path()).unwrap();
    let samples = if std::env::var_os("PULSE_SOAK").is_some() { 3_000 } else { 24 };
    let mut repaired = 0;
    for file in [DATABASE, JOURNAL] {
        let bytes = fs::read(dir.path().join(file)).unwrap();
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        for index in 0..samples {
            let at = used[index * used.len() / samples];
            repaired += usize::from(repairs(dir.path(), &whole, file, at));
        }
    }
    println!("{repaired} of {} flips had to be repaired", 2 * samples);
    assert!(repaired > samples, "{repaired}");
}
