//! Power cuts at every operation of a blob store.
//!
//! At the cut, each name that was made, moved or removed since its folder was synced is there or
//! not, independently of the others, and a file has of what was not synced a part, or nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::*;
use crate::tree::lock;

type Content = Arc<Mutex<Image>>;

#[derive(Default)]
struct Image {
    live: Vec<u8>,
    synced: usize,
}

#[derive(Clone, Default)]
struct Names {
    folders: BTreeMap<PathBuf, ()>,
    files: BTreeMap<PathBuf, Content>,
}

#[derive(Default)]
struct Disk {
    live: Names,
    durable: Names,
    operations: u64,
    cut_at: u64,
}

#[derive(Clone, Default)]
struct FakeFiles(Arc<Mutex<Disk>>);

fn cut() -> io::Error {
    io::Error::other("the power is gone")
}

impl FakeFiles {
    fn operate(&self) -> io::Result<std::sync::MutexGuard<'_, Disk>> {
        let mut disk = lock(&self.0);
        disk.operations += 1;
        if disk.cut_at != 0 && disk.operations >= disk.cut_at { Err(cut()) } else { Ok(disk) }
    }

    /// What a machine finds that starts again.
    fn reboot(&self, seed: u64) -> FakeFiles {
        let disk = lock(&self.0);
        let mut state = seed;
        let mut chance = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as usize
        };
        let mut names = disk.durable.clone();
        for path in disk.live.folders.keys() {
            if !disk.durable.folders.contains_key(path) && chance() % 2 == 0 {
                names.folders.insert(path.clone(), ());
            }
        }
        let all: Vec<&PathBuf> = disk.live.files.keys().chain(disk.durable.files.keys()).collect();
        for path in all {
            let (now, then) = (disk.live.files.get(path), disk.durable.files.get(path));
            match if chance() % 2 == 0 { now } else { then } {
                Some(content) => drop(names.files.insert(path.clone(), content.clone())),
                None => drop(names.files.remove(path)),
            }
        }
        // What lies in a folder that is not there is not there.
        let folders = names.folders.clone();
        let holds = |path: &Path| {
            path.ancestors().skip(1).all(|it| folders.contains_key(it) || it == Path::new(""))
        };
        names.files.retain(|path, _| holds(path));
        names.folders.retain(|path, ()| holds(path));
        for content in names.files.values_mut() {
            let image = lock(content);
            let torn = image.synced + chance() % (image.live.len() - image.synced + 1);
            let live = image.live[..torn].to_vec();
            drop(image);
            *content = Arc::new(Mutex::new(Image { synced: live.len(), live }));
        }
        let disk = Disk { live: names.clone(), durable: names, ..Disk::default() };
        FakeFiles(Arc::new(Mutex::new(disk)))
    }
}

struct FakeSink {
    files: FakeFiles,
    content: Content,
}

impl Write for FakeSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        drop(self.files.operate()?);
        lock(&self.content).live.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for FakeSink {
    fn sync(&self) -> io::Result<()> {
        drop(self.files.operate()?);
        let mut image = lock(&self.content);
        image.synced = image.live.len();
        Ok(())
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Files for FakeFiles {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.operate()?;
        let all = path.ancestors().filter(|it| *it != Path::new(""));
        disk.live.folders.extend(all.map(|it| (it.to_owned(), ())));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.operate()?;
        let Disk { live, durable, .. } = &mut *disk;
        let inside = |it: &Path| it.parent() == Some(path);
        durable.files.retain(|it, _| !inside(it));
        let files = live.files.iter().filter(|(it, _)| inside(it));
        durable.files.extend(files.map(|(it, content)| (it.clone(), content.clone())));
        let folders = live.folders.keys().filter(|it| inside(it));
        durable.folders.extend(folders.map(|it| (it.clone(), ())));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        let content = Content::default();
        self.operate()?.live.files.insert(path.to_owned(), content.clone());
        Ok(Box::new(FakeSink { files: self.clone(), content }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let disk = lock(&self.0);
        let content = disk.live.files.get(path).ok_or_else(missing)?;
        let bytes = lock(content).live.clone();
        Ok(Box::new(io::Cursor::new(bytes)))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let disk = self.operate()?;
        let mut image = lock(disk.live.files.get(path).ok_or_else(missing)?);
        image.synced = image.live.len();
        Ok(())
    }

    fn length(&self, path: &Path) -> Option<u64> {
        let disk = lock(&self.0);
        disk.live.files.get(path).map(|content| lock(content).live.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.operate()?;
        let content = disk.live.files.remove(from).ok_or_else(missing)?;
        disk.live.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate()?.live.files.remove(path).map(drop).ok_or_else(missing)
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let disk = lock(&self.0);
        let all = disk.live.files.keys().chain(disk.live.folders.keys());
        Ok(all.filter(|it| it.parent() == Some(folder)).cloned().collect())
    }
}

/// A disk with the folder that the store goes into.
fn fresh() -> FakeFiles {
    let files = FakeFiles::default();
    let mut disk = lock(&files.0);
    disk.live.folders.insert("top".into(), ());
    disk.durable.folders.insert("top".into(), ());
    drop(disk);
    files
}

fn open(files: &FakeFiles) -> Result<BlobStore, BlobError> {
    BlobStore::open_on(Path::new("top/blobs"), Box::new(files.clone()))
}

/// Puts blobs until the power goes; what was acknowledged.
fn work(files: &FakeFiles) -> Vec<(Hash, Vec<u8>)> {
    let mut known = Vec::new();
    let Ok(store) = open(files) else { return known };
    for number in 0..6u8 {
        // Every other one is content that is there already.
        let bytes: Vec<u8> = (0..200).map(|at| at ^ (number / 2)).collect();
        match store.put(&bytes) {
            Ok(hash) => known.push((hash, bytes)),
            Err(_) => break,
        }
    }
    known
}

/// Everything acknowledged is there and right; nothing is served that is not right.
fn check(files: &FakeFiles, known: &[(Hash, Vec<u8>)]) {
    let store = open(files).unwrap();
    for (hash, bytes) in known {
        assert_eq!(store.read(hash).unwrap().as_ref(), Some(bytes), "acknowledged and not there");
    }
    for hash in store.list().unwrap() {
        match store.read(&hash) {
            Ok(Some(bytes)) => assert_eq!(Hash::of(&bytes), hash),
            Ok(None) | Err(BlobError::Corrupt { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_cut_at_any_operation() {
    let whole = fresh();
    let all = work(&whole);
    assert_eq!(all.len(), 6);
    let operations = lock(&whole.0).operations;
    let seeds = if std::env::var_os("PULSE_SOAK").is_some() { 200 } else { 8 };
    for at in 1..=operations + 1 {
        for seed in 0..seeds {
            let files = fresh();
            lock(&files.0).cut_at = at;
            let known = work(&files);
            let found = files.reboot(seed * 7_919 + at);
            check(&found, &known);
            // A process that ends between two syncs leaves names that are not durable yet; who
            // finds them there and is told "stored" can rely on that as well.
            lock(&files.0).cut_at = 0;
            let again = work(&files);
            assert_eq!(again.len(), 6);
            check(&files.reboot(seed * 104_729 + at), &again);
        }
    }
}
