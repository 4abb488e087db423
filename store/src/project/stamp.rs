//! The index between two sessions: its tree lies among the other nodes, and a small file beside
//! the store says which state it belongs to. It is a hint. Where it is missing or its nodes are
//! gone the index is built anew; where the state moved on it is brought up to date at the cost
//! of the difference.

use std::{fs, path::PathBuf};

use pulse_schemas::hash::Hash;

use super::{Project, STORE_DIR};
use crate::{repo::RepoError, tree::Snapshot, view::View};

const FILE: &str = "index";
/// State root, index root, and a hash over both.
const LENGTH: usize = 96;
/// So many transactions are brought up to date in no time; beyond, a commit renews the stamp.
const RENEW_AFTER: u64 = 2_000;

/// The last stamp, held so that no collection takes its nodes.
pub(super) struct Stamp {
    seq: u64,
    pair: Option<(Snapshot, Snapshot)>,
}

impl Project {
    fn stamp_file(&self) -> Option<PathBuf> {
        Some(self.dir()?.join(STORE_DIR).join(FILE))
    }

    /// Gives the view an index to start from, if the last session left one.
    pub(super) fn load_stamp(&mut self) {
        let bytes = self.stamp_file().and_then(|path| fs::read(path).ok());
        let pair = bytes.as_deref().and_then(decode).and_then(|(state, index)| {
            Some((self.repo.snapshot(state).ok()?, self.repo.snapshot(index).ok()?))
        });
        if let Some((state, index)) = &pair {
            let known = View::new(state.clone(), index.clone(), self.view.owners().clone());
            self.view = known.sibling(self.repo.head().clone());
        }
        self.stamp = Stamp { seq: self.repo.seq(), pair };
    }

    /// Stores the index and says which state it belongs to. Failing to is no failure of the
    /// project: the next session builds the index anew.
    pub(super) fn save_stamp(&mut self) -> Result<(), RepoError> {
        let Some(path) = self.stamp_file().filter(|_| !self.is_read_only()) else { return Ok(()) };
        if !self.view.has_index() {
            return Ok(());
        }
        let index = self.view.index()?.clone();
        let state = self.view.state().clone();
        self.repo.keep(&index)?;
        self.repo.checkpoint()?;
        let bytes = encode(state.root(), index.root());
        let fresh = path.with_extension("new");
        if fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, &path)).is_ok() {
            self.stamp = Stamp { seq: self.repo.seq(), pair: Some((state, index)) };
        }
        Ok(())
    }

    pub(crate) fn renew_stamp(&mut self) -> Result<(), RepoError> {
        let since = self.repo.seq().saturating_sub(self.stamp.seq);
        if since > RENEW_AFTER { self.save_stamp() } else { Ok(()) }
    }

    /// Whether opening found the index of the last session.
    pub fn index_was_found(&self) -> bool {
        self.stamp.pair.is_some()
    }
}

/// The state and the index that the stamp in a store's folder names.
pub(crate) fn read(store: &std::path::Path) -> Option<(Hash, Hash)> {
    decode(&fs::read(store.join(FILE)).ok()?)
}

impl Stamp {
    pub(super) fn none() -> Stamp {
        Stamp { seq: 0, pair: None }
    }
}

fn encode(state: Hash, index: Hash) -> Vec<u8> {
    let mut bytes = [state.0, index.0].concat();
    let check = Hash::of(&bytes);
    bytes.extend(check.0);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(Hash, Hash)> {
    let (body, check) = bytes.split_at_checked(64).filter(|_| bytes.len() == LENGTH)?;
    let (state, index) = body.split_at(32);
    if Hash::of(body).0 != check {
        return None;
    }
    Some((Hash(state.try_into().ok()?), Hash(index.try_into().ok()?)))
}
