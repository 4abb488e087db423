//! The rows of tracks as they were derived last, and what may differ by now.
//!
//! Purely a saving: what is derived from an older part and what has changed
//! since is what a derivation from nothing gives. It spares an edit of one clip
//! the other clips of its track.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pulse_schemas::id::TrackId;

use crate::view::arrangement::{Dirt, TrackPart};

/// Changed clips of one track, until starting anew is cheaper.
const MOST: usize = 256;

struct Kept {
    part: Arc<TrackPart>,
    /// The label of the time that it lies in.
    tempo: u64,
    dirt: Dirt,
}

#[derive(Default)]
pub struct Parts(Mutex<BTreeMap<TrackId, Kept>>);

impl Parts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TrackId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last part of a track, if it lies in the same time.
    pub fn last(&self, track: TrackId, tempo: u64) -> Option<(Arc<TrackPart>, Dirt)> {
        let parts = self.lock();
        let kept = parts.get(&track).filter(|kept| kept.tempo == tempo)?;
        Some((Arc::clone(&kept.part), kept.dirt.clone()))
    }

    /// Takes in what is true of a track now.
    pub fn keep(&self, track: TrackId, tempo: u64, part: Option<&Arc<TrackPart>>) {
        let kept = |part: &Arc<TrackPart>| {
            let (part, dirt) = (Arc::clone(part), Dirt::default());
            Kept { part, tempo, dirt }
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
        if kept.dirt.clips.len() > MOST {
            parts.remove(&track);
        }
    }

    /// Starts from nothing with the next derivation of each track.
    pub fn clear(&self) {
        self.lock().clear();
    }

    pub fn held(&self) -> usize {
        self.lock().len()
    }
}
