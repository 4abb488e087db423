//! A render cache in a folder of this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use pulse_schemas::hash::Hash;

use super::{
    CacheError, CacheStats, CacheStore, Sampled,
    index::{Action, Content, Index},
    policy::{victims, worth},
    segment::{self, Place, Segments, failed},
};
use crate::tree::lock;

/// The index is saved at the latest after this many changes.
const SAVE_AFTER: usize = 512;
/// What an action takes beyond its value, roughly.
const ACTION_OVERHEAD: u64 = 96;
/// The share of the limit, and the most, that actions may take in memory.
const ACTION_SHARE: u64 = 64;
const ACTION_MOST: u64 = 64 << 20;

/// A cache below one folder, for one process at a time.
pub struct DiskCache {
    dir: PathBuf,
    state: Mutex<State>,
}

struct State {
    index: Index,
    segments: Segments,
    content_bytes: u64,
    action_bytes: u64,
    limit: u64,
    floor: u64,
    stats: CacheStats,
}

fn action_bytes(action: &Action) -> u64 {
    action.value.len() as u64 + ACTION_OVERHEAD
}

impl DiskCache {
    pub fn open(dir: &Path, limit_bytes: u64) -> Result<DiskCache, CacheError> {
        fs::create_dir_all(dir).map_err(|source| failed(dir, "creating", source))?;
        let mut index = Index::open(&dir.join("index.redb"))?;
        let mut segments = Segments::open(&dir.join("segments"))?;
        // After a crash the index may name bytes that never reached the disk.
        let lost: Vec<Hash> = (index.content.iter())
            .filter_map(|(hash, content)| (!segments.claim(content.place)).then_some(*hash))
            .collect();
        for hash in lost {
            index.content.remove(&hash);
            index.touch_content(hash);
        }
        let worths = index.content.values().map(|content| content.worth);
        let mut state = State {
            content_bytes: index.content.values().map(|content| content.place.length).sum(),
            action_bytes: index.actions.values().map(action_bytes).sum(),
            floor: worths.min().unwrap_or(0),
            index,
            segments,
            limit: limit_bytes,
            stats: CacheStats::default(),
        };
        state.make_room(0)?;
        Ok(DiskCache { dir: dir.to_owned(), state: Mutex::new(state) })
    }

    fn set_aside(&self, hash: &Hash, bytes: &[u8]) -> Result<(), CacheError> {
        let dir = self.dir.join("quarantine");
        let path = dir.join(hash.hex());
        fs::create_dir_all(&dir)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|source| failed(&path, "setting aside", source))?;
        let mut state = lock(&self.state);
        state.drop_content(hash);
        state.stats.quarantined += 1;
        Ok(())
    }

    fn find(&self, hash: &Hash) -> Option<(Arc<fs::File>, Place)> {
        let mut state = lock(&self.state);
        let floor = state.floor;
        let content = state.index.content.get_mut(hash)?;
        content.worth = worth(floor, content.cost, content.place.length);
        let place = content.place;
        state.index.touch_content(*hash);
        Some((state.segments.file(place)?, place))
    }

    /// The bytes an object's place holds, be they right or wrong.
    fn raw(&self, hash: &Hash) -> Option<Vec<u8>> {
        let (file, place) = self.find(hash)?;
        Some(segment::read(&file, place).unwrap_or_default())
    }
}

impl CacheStore for DiskCache {
    fn get_action(&self, key: &Hash) -> Result<Option<Arc<[u8]>>, CacheError> {
        let mut state = lock(&self.state);
        let floor = state.floor;
        let Some(action) = state.index.actions.get_mut(key) else {
            state.stats.action_misses += 1;
            return Ok(None);
        };
        action.worth = worth(floor, action.cost, action_bytes(action));
        let value = action.value.clone();
        state.stats.action_hits += 1;
        Ok(Some(value))
    }

    fn put_action(&self, key: &Hash, value: &[u8], cost: u64) -> Result<(), CacheError> {
        let mut state = lock(&self.state);
        let mut action = Action { value: value.into(), cost, worth: 0 };
        action.worth = worth(state.floor, cost, action_bytes(&action));
        let added = action_bytes(&action);
        let replaced = state.index.actions.insert(*key, action).map_or(0, |old| action_bytes(&old));
        state.action_bytes = state.action_bytes + added - replaced;
        state.index.touch_action(*key);
        state.trim_actions();
        state.save_when_due()
    }

    fn has_content(&self, hash: &Hash) -> Result<bool, CacheError> {
        Ok(lock(&self.state).index.content.contains_key(hash))
    }

    fn get_content(&self, hash: &Hash) -> Result<Option<Vec<u8>>, CacheError> {
        let Some(bytes) = self.raw(hash) else {
            lock(&self.state).stats.content_misses += 1;
            return Ok(None);
        };
        if Hash::of(&bytes) != *hash {
            lock(&self.state).stats.content_misses += 1;
            self.set_aside(hash, &bytes)?;
            return Ok(None);
        }
        lock(&self.state).stats.content_hits += 1;
        Ok(Some(bytes))
    }

    fn put_content(&self, bytes: &[u8], cost: u64) -> Result<Hash, CacheError> {
        let hash = Hash::of(bytes);
        let mut state = lock(&self.state);
        if state.index.content.contains_key(&hash) {
            return Ok(hash);
        }
        let length = bytes.len() as u64;
        if length > state.limit {
            return Ok(hash);
        }
        state.make_room(length)?;
        let place = state.segments.append(bytes)?;
        let worth = worth(state.floor, cost, length);
        state.index.content.insert(hash, Content { place, cost, worth });
        state.index.touch_content(hash);
        state.content_bytes += length;
        state.save_when_due()?;
        Ok(hash)
    }

    fn quarantine(&self, content: &Hash) -> Result<(), CacheError> {
        match self.raw(content) {
            Some(bytes) => self.set_aside(content, &bytes),
            None => Ok(()),
        }
    }

    fn forget_action(&self, key: &Hash) -> Result<(), CacheError> {
        lock(&self.state).drop_action(key);
        Ok(())
    }

    fn verify_sample(&self, count: u64, seed: u64) -> Result<Sampled, CacheError> {
        let hashes: Vec<Hash> = lock(&self.state).index.content.keys().copied().collect();
        let mut sampled = Sampled::default();
        // Hashes are uniform: every n-th, from a place the seed chooses, is a fair sample.
        let step = (hashes.len() as u64 / count.max(1)).max(1);
        let first = seed % step;
        for hash in hashes.iter().skip(first as usize).step_by(step as usize) {
            let Some(bytes) = self.raw(hash) else { continue };
            sampled.checked += 1;
            if Hash::of(&bytes) != *hash {
                self.set_aside(hash, &bytes)?;
                sampled.damaged.push(*hash);
            }
        }
        Ok(sampled)
    }

    fn set_limit(&self, bytes: u64) -> Result<(), CacheError> {
        let mut state = lock(&self.state);
        state.limit = bytes;
        state.trim_actions();
        state.make_room(0)
    }

    fn flush(&self) -> Result<(), CacheError> {
        lock(&self.state).save()
    }

    fn clear(&self) -> Result<(), CacheError> {
        let mut state = lock(&self.state);
        let hashes: Vec<Hash> = state.index.content.keys().copied().collect();
        let keys: Vec<Hash> = state.index.actions.keys().copied().collect();
        hashes.iter().for_each(|hash| state.drop_content(hash));
        keys.iter().for_each(|key| state.drop_action(key));
        state.index.save()?;
        state.segments.remove_all()
    }

    fn stats(&self) -> CacheStats {
        let state = lock(&self.state);
        CacheStats {
            actions: state.index.actions.len() as u64,
            objects: state.index.content.len() as u64,
            content_bytes: state.content_bytes,
            file_bytes: state.segments.file_bytes(),
            limit_bytes: state.limit,
            ..state.stats
        }
    }
}

impl State {
    /// Evicts until `bytes` more fit; a tenth more than needed, so that it is not done each time.
    fn make_room(&mut self, bytes: u64) -> Result<(), CacheError> {
        if self.content_bytes + bytes <= self.limit {
            return Ok(());
        }
        let target = (self.limit - self.limit / 10).min(self.limit.saturating_sub(bytes));
        let entries = self.index.content.iter();
        let entries = entries.map(|(hash, content)| (content.worth, *hash, content.place.length));
        let (gone, floor) = victims(entries.collect(), self.content_bytes, target, self.floor);
        self.floor = floor;
        self.stats.evicted += gone.len() as u64;
        gone.iter().for_each(|hash| self.drop_content(hash));
        self.reclaim()
    }

    /// Moves what is live out of mostly dead segments, then deletes them. The index is saved in
    /// between: a crash leaves an object in two places, never in none.
    fn reclaim(&mut self) -> Result<(), CacheError> {
        let sparse = self.segments.sparse();
        if sparse.is_empty() {
            return Ok(());
        }
        let inside = |(hash, content): (&Hash, &Content)| {
            sparse.contains(&content.place.segment).then_some((*hash, content.place))
        };
        let moving: Vec<(Hash, Place)> = self.index.content.iter().filter_map(inside).collect();
        for (hash, place) in moving {
            let bytes = self.segments.file(place).and_then(|file| segment::read(&file, place).ok());
            let Some(bytes) = bytes.filter(|bytes| Hash::of(bytes) == hash) else {
                self.drop_content(&hash);
                continue;
            };
            let place = self.segments.append(&bytes)?;
            if let Some(content) = self.index.content.get_mut(&hash) {
                content.place = place;
            }
            self.index.touch_content(hash);
        }
        self.save()?;
        sparse.into_iter().try_for_each(|number| self.segments.remove(number))
    }

    fn trim_actions(&mut self) {
        let most = (self.limit / ACTION_SHARE).min(ACTION_MOST);
        if self.action_bytes <= most {
            return;
        }
        let entries = self.index.actions.iter();
        let entries = entries.map(|(key, action)| (action.worth, *key, action_bytes(action)));
        let target = most - most / 10;
        let (gone, _) = victims(entries.collect(), self.action_bytes, target, self.floor);
        gone.iter().for_each(|key| self.drop_action(key));
    }

    fn drop_content(&mut self, hash: &Hash) {
        if let Some(content) = self.index.content.remove(hash) {
            self.content_bytes -= content.place.length;
            self.segments.release(content.place);
            self.index.touch_content(*hash);
        }
    }

    fn drop_action(&mut self, key: &Hash) {
        if let Some(action) = self.index.actions.remove(key) {
            self.action_bytes -= action_bytes(&action);
            self.index.touch_action(*key);
        }
    }

    fn save_when_due(&mut self) -> Result<(), CacheError> {
        if self.index.changes() >= SAVE_AFTER { self.save() } else { Ok(()) }
    }

    /// Content first: the index never durably names bytes that are not.
    fn save(&mut self) -> Result<(), CacheError> {
        self.segments.sync()?;
        self.index.save()
    }
}

impl Drop for DiskCache {
    fn drop(&mut self) {
        drop(lock(&self.state).save());
    }
}
