//! A disk that fails on demand: it loses power at a chosen write, or fills up.
//!
//! Each file keeps what a program sees apart from what survives a power cut. At the cut every
//! write since the last sync is, independently of the others, lost, whole or torn. It carries
//! redb (as its storage) and the journal, so both are tested by the same rules.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, ErrorKind},
    sync::{Arc, Mutex},
};

use crate::{journal::file::JournalFile, tree::lock};

/// What goes wrong, and at which operation (writes, length changes and syncs are counted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// From this operation on everything fails; [`Disk::reboot`] shows what survived.
    PowerCut { at: u64 },
    /// From this operation on no file grows.
    Full { at: u64 },
}

/// A disk with a few files on it.
#[derive(Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<&'static str, Image>,
    operations: u64,
    fault: Fault,
}

#[derive(Clone, Default)]
struct Image {
    live: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Write>,
}

#[derive(Clone)]
enum Write {
    Bytes { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

impl Disk {
    pub fn set_fault(&self, fault: Fault) {
        let mut state = lock(&self.state);
        (state.fault, state.operations) = (fault, 0);
    }

    /// Operations since the fault was set.
    pub fn operations(&self) -> u64 {
        lock(&self.state).operations
    }

    pub fn file(&self, name: &'static str) -> DiskImage {
        lock(&self.state).files.entry(name).or_default();
        DiskImage { disk: self.clone(), name }
    }

    /// What a file holds as programs see it.
    pub fn bytes(&self, name: &'static str) -> Vec<u8> {
        lock(&self.state).files.get(name).map_or(Vec::new(), |image| image.live.clone())
    }

    /// Puts a file on the disk, whole and durable.
    pub fn put(&self, name: &'static str, bytes: Vec<u8>) {
        let image = Image { synced: bytes.clone(), live: bytes, unsynced: Vec::new() };
        lock(&self.state).files.insert(name, image);
    }

    /// The disk after the power came back; `seed` decides what became of unsynced writes.
    pub fn reboot(&self, seed: u64) -> Disk {
        let mut dice = Dice(seed);
        let disk = Disk::default();
        for (name, image) in &lock(&self.state).files {
            disk.put(name, image.survivors(&mut dice));
        }
        disk
    }
}

impl State {
    /// Counts one operation; fails if the fault says so. `grows` marks one that needs space.
    fn operate(&mut self, grows: bool) -> io::Result<()> {
        self.operations += 1;
        match self.fault {
            Fault::PowerCut { at } if self.operations >= at => {
                Err(io::Error::other("the power was cut"))
            }
            Fault::Full { at } if grows && self.operations >= at => {
                Err(ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn image(&mut self, name: &'static str) -> &mut Image {
        self.files.entry(name).or_default()
    }
}

impl Image {
    fn survivors(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for write in &self.unsynced {
            match (dice.roll(3), write) {
                (0, _) => {}
                (1, Write::Bytes { offset, bytes: written }) => {
                    tear(&mut bytes, *offset as usize, written, dice);
                }
                (_, write) => write.apply(&mut bytes),
            }
        }
        bytes
    }
}

/// Writes a random selection of pieces: bytes are atomic, nothing larger is.
fn tear(bytes: &mut Vec<u8>, offset: usize, written: &[u8], dice: &mut Dice) {
    let mut at = 0;
    while at < written.len() {
        let end = (at + 1 + dice.roll(700) as usize).min(written.len());
        if dice.roll(2) == 0 {
            let piece =
                Write::Bytes { offset: (offset + at) as u64, bytes: written[at..end].into() };
            piece.apply(bytes);
        }
        at = end;
    }
}

impl Write {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Write::Length(length) => file.resize(*length as usize, 0),
            Write::Bytes { offset, bytes } => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[start..end].copy_from_slice(bytes);
            }
        }
    }
}

/// SplitMix64: the same seed tears the same way.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % sides
    }
}

/// One file of a [`Disk`].
pub struct DiskImage {
    disk: Disk,
    name: &'static str,
}

impl DiskImage {
    fn change(&self, write: Write) -> io::Result<()> {
        let mut state = lock(&self.disk.state);
        let length = state.image(self.name).live.len() as u64;
        let grows = match &write {
            Write::Bytes { offset, bytes } => offset + bytes.len() as u64 > length,
            Write::Length(new) => *new > length,
        };
        // A write that the cut hits may have reached the disk in part.
        let result = state.operate(grows);
        let first_after_cut =
            matches!(state.fault, Fault::PowerCut { at } if state.operations == at);
        let image = state.image(self.name);
        if result.is_ok() {
            write.apply(&mut image.live);
        }
        if result.is_ok() || first_after_cut {
            image.unsynced.push(write);
        }
        result
    }

    fn sync_now(&self) -> io::Result<()> {
        let mut state = lock(&self.disk.state);
        state.operate(false)?;
        let image = state.image(self.name);
        image.synced.clone_from(&image.live);
        image.unsynced.clear();
        Ok(())
    }

    fn length(&self) -> u64 {
        lock(&self.disk.state).image(self.name).live.len() as u64
    }
}

impl redb::StorageBackend for DiskImage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = lock(&self.disk.state);
        let live = &state.image(self.name).live;
        let start = usize::try_from(offset).map_err(|_| ErrorKind::UnexpectedEof)?;
        let bytes = start.checked_add(out.len()).and_then(|end| live.get(start..end));
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Write::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_now()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Write::Bytes { offset, bytes: data.into() })
    }
}

impl JournalFile for DiskImage {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.disk.bytes(self.name))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Write::Bytes { offset, bytes: bytes.into() })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.change(Write::Length(len))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_now()
    }
}

impl fmt::Debug for DiskImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskImage({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_is_sure_to_survive() {
        let disk = Disk::default();
        let mut file = disk.file("f");
        file.write_at(0, b"safe").unwrap();
        file.sync().unwrap();
        disk.set_fault(Fault::PowerCut { at: 2 });
        file.write_at(4, &[b'p'; 2000]).unwrap();
        assert!(file.write_at(2004, b"never seen").is_err());
        assert!(file.sync().is_err());
        let mut outcomes: Vec<_> = (0..64).map(|seed| disk.reboot(seed).bytes("f")).collect();
        assert!(outcomes.iter().all(|bytes| bytes.starts_with(b"safe")));
        outcomes.sort();
        outcomes.dedup();
        assert!(outcomes.len() > 4, "lost, whole and torn writes occur");
    }

    #[test]
    fn a_full_disk_still_overwrites() {
        let disk = Disk::default();
        let mut file = disk.file("f");
        file.write_at(0, b"abc").unwrap();
        disk.set_fault(Fault::Full { at: 0 });
        file.write_at(1, b"x").unwrap();
        assert_eq!(file.write_at(2, b"yz").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(disk.bytes("f"), b"axc");
    }
}
