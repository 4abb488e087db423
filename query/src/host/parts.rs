//! What was derived last of each track (its rows, what it plays), and what may
//! differ by now.
//!
//! Purely a saving: what is derived from an older part and what has changed
//! since is what a derivation from nothing gives. It spares an edit of one clip
//! the other clips of its track.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pulse_schemas::id::TrackId;

use crate::view::arrangement::Dirt;

/// Changed clips of one track, until starting anew is cheaper.
const MOST: usize = 256;

/// The same for changed windows of its notes.
const MOST_WINDOWS: usize = 65_536;

/// The time that a part lies in: the label of the tempo, and the frames of a
/// second where it counts frames.
pub type Time = (u64, u32);

struct Kept<T> {
    part: Arc<T>,
    time: Time,
    dirt: Dirt,
}

pub struct Parts<T>(Mutex<BTreeMap<TrackId, Kept<T>>>);

impl<T> Default for Parts<T> {
    fn default() -> Parts<T> {
        Parts(Mutex::default())
    }
}

impl<T> Parts<T> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TrackId, Kept<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last part of a track, if it lies in the same time.
    pub fn last(&self, track: TrackId, time: Time) -> Option<(Arc<T>, Dirt)> {
        let parts = self.lock();
        let kept = parts.get(&track).filter(|kept| kept.time == time)?;
        Some((Arc::clone(&kept.part), kept.dirt.clone()))
    }

    /// Takes in what is true of a track now.
    pub fn keep(&self, track: TrackId, time: Time, part: Option<&Arc<T>>) {
        let kept = |part: &Arc<T>| {
            let (part, dirt) = (Arc::clone(part), Dirt::default());
            Kept { part, time, dirt }
        };
        match part.map(kept) {
            Some(kept) => self.lock().insert(track, kept),
            None => self.lock().remove(&track),
        };
    }

    /// Notes what may differ from now on.
    pub fn soil(&self, track: TrackId, dirt: &Dirt) {
        let mut parts = self.lock();
        let Some(kept) = parts.get_mut(&track) else { return };
        kept.dirt.add(dirt);
        if kept.dirt.clips.len() > MOST || kept.dirt.windows.len() > MOST_WINDOWS {
            parts.remove(&track);
        }
    }

    /// Starts from nothing with the next derivation of each track.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Windows that differ from those of the last part.
    pub fn dirty_windows(&self, track: TrackId) -> BTreeSet<i64> {
        let parts = self.lock();
        parts.get(&track).map(|kept| kept.dirt.windows.clone()).unwrap_or_default()
    }

    pub fn has(&self, track: TrackId) -> bool {
        self.lock().contains_key(&track)
    }

    pub fn held(&self) -> usize {
        self.lock().len()
    }
}
