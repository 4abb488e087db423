//! A database file that can be written to without being changed: what is written lies over it in
//! memory. redb repairs a file in place as soon as it is opened; a check must leave evidence as
//! it is, and must also work where nothing may be written.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Mutex, MutexGuard},
};

use redb::StorageBackend;

use crate::tree::lock;

const PAGE: u64 = 4096;

#[derive(Debug)]
pub struct Overlay {
    file: File,
    /// Bytes of the file below; what a longer overlay adds is zero until it is written.
    file_len: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub fn new(file: File) -> io::Result<Overlay> {
        let len = file.metadata()?.len();
        let state = Mutex::new(State { len, pages: BTreeMap::new() });
        Ok(Overlay { file, file_len: len, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A page of the overlay, taken over from the file where it is not there yet.
    fn page<'s>(&self, state: &'s mut State, page: u64) -> io::Result<&'s mut Vec<u8>> {
        match state.pages.entry(page) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let mut bytes = vec![0; PAGE as usize];
                self.below(page * PAGE, &mut bytes)?;
                Ok(entry.insert(bytes))
            }
        }
    }

    fn below(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let there = self.file_len.saturating_sub(offset).min(out.len() as u64) as usize;
        self.file.read_exact_at(&mut out[..there], offset)
    }
}

/// The pages that `length` bytes from `offset` touch, with the range of each.
fn pages(offset: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let end = offset + length as u64;
    (offset / PAGE..end.div_ceil(PAGE)).map(move |page| {
        let from = offset.max(page * PAGE) - page * PAGE;
        let until = end.min((page + 1) * PAGE) - page * PAGE;
        (page, from as usize..until as usize)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if offset + out.len() as u64 > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.below(offset, out)?;
        for (page, range) in pages(offset, out.len()) {
            if let Some(bytes) = state.pages.get(&page) {
                let at = (page * PAGE + range.start as u64 - offset) as usize;
                out[at..at + range.len()].copy_from_slice(&bytes[range]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if len < state.len {
            // What comes back by growing again is zero, also where the file below is longer.
            let old = state.len.max(self.file_len);
            for (page, range) in pages(len, (old - len) as usize) {
                self.page(&mut state, page)?[range].fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        for (page, range) in pages(offset, data.len()) {
            let at = (page * PAGE + range.start as u64 - offset) as usize;
            let length = range.len();
            self.page(&mut state, page)?[range].copy_from_slice(&data[at..at + length]);
        }
        state.len = state.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_over_a_file_reads_back_and_leaves_the_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let below: Vec<u8> = (0..10_000u32).map(|at| at as u8).collect();
        std::fs::write(&path, &below).unwrap();
        let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
        let mut model = below.clone();
        let steps = [(5usize, 3usize), (4_090, 20), (0, 9_000), (9_990, 4_000)];
        for (at, length) in steps {
            let bytes = vec![at as u8 ^ 0xff; length];
            overlay.write(at as u64, &bytes).unwrap();
            model.resize(model.len().max(at + length), 0);
            model[at..at + length].copy_from_slice(&bytes);
        }
        for length in [5_000usize, 12_000] {
            overlay.set_len(length as u64).unwrap();
            model.resize(length, 0);
            let mut found = vec![1; model.len()];
            overlay.read(0, &mut found).unwrap();
            assert_eq!(found, model);
        }
        assert!(overlay.read(11_999, &mut [0; 2]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), below);
    }
}
