//! Clips as playback hears them: what a render or an earlier load made of their media
//! is taken from the render cache where it is there. Nobody waits for it: what is not
//! there is stretched or read as ever, on the thread that derives.

use std::{
    cell::{Cell, OnceCell},
    sync::Arc,
};

use pulse_engine::{
    buffer::{AudioBuffer, AudioSource},
    material::MediaResolver,
    node::{Derived, Made},
};
use pulse_query::render::{Counts, Material};
use pulse_schemas::hash::Hash;
use pulse_store::cache::DiskCache;

use crate::rendering::{CacheSlot, ProjectMedia};

pub struct KeptClips<'a> {
    media: &'a ProjectMedia,
    slot: Option<&'a CacheSlot>,
    /// Opened for the first clip that could be in it.
    cache: OnceCell<Option<Arc<DiskCache>>>,
    counts: Counts,
    taken: Cell<u64>,
}

impl<'a> KeptClips<'a> {
    pub fn new(media: &'a ProjectMedia, slot: Option<&'a CacheSlot>) -> KeptClips<'a> {
        let (cache, counts, taken) = Default::default();
        KeptClips { media, slot, cache, counts, taken }
    }

    /// Pieces of clips, and stretched clips, that were found.
    pub fn taken(&self) -> u64 {
        self.taken.get()
    }

    fn cache(&self) -> Option<&DiskCache> {
        let open = || {
            let opened = self.slot?.try_open();
            opened.inspect_err(|error| tracing::debug!(%error, "playback has no cache")).ok()
        };
        self.cache.get_or_init(open).as_deref()
    }
}

impl MediaResolver for KeptClips<'_> {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        self.media.open(media)
    }

    fn derived(&self) -> Option<&dyn Derived> {
        self.slot.is_some().then_some(self)
    }
}

impl Derived for KeptClips<'_> {
    fn get(&self, key: &Hash) -> Option<AudioBuffer> {
        let found = Material::new(self.media, self.cache()?, &self.counts).get(key);
        self.taken.set(self.taken.get() + u64::from(found.is_some()));
        found
    }

    fn put(&self, made: Made, key: &Hash, audio: &AudioBuffer) {
        if let Some(cache) = self.cache() {
            Material::new(self.media, cache, &self.counts).put(made, key, audio);
        }
    }

    /// Resampled while it plays, a clip is heard sooner.
    fn makes(&self, made: Made) -> bool {
        made == Made::Stretched
    }
}
