//! The media of a project as sound, by content.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use pulse_engine::{
    buffer::{AudioBuffer, AudioSource},
    decode::{Decoder, Info},
    material::MediaResolver,
};
use pulse_query::source::{Source, SourceExt};
use pulse_schemas::{entity::MediaItem, hash::Hash};

use crate::places::Places;

/// Bytes of one decoded file that are held in memory.
const LARGEST: u64 = 4 << 30;

/// Opens each file once. A file that is not there, or is not what it was, is
/// missing: silence, never another sound.
pub struct ProjectMedia {
    paths: BTreeMap<Hash, PathBuf>,
    opened: Mutex<BTreeMap<Hash, Option<Arc<dyn AudioSource>>>>,
}

impl ProjectMedia {
    pub fn of(source: &dyn Source, project: Option<&Path>) -> ProjectMedia {
        ProjectMedia { paths: paths(source, project), opened: Mutex::default() }
    }

    /// Takes over what was opened for an earlier revision, as far as it is here.
    pub fn keeping(self, before: ProjectMedia) -> ProjectMedia {
        let opened = before.opened.into_inner().unwrap_or_else(PoisonError::into_inner);
        let known = opened
            .into_iter()
            .filter(|(media, source)| source.is_some() && self.paths.contains_key(media));
        ProjectMedia { opened: Mutex::new(known.collect()), ..self }
    }

    fn read(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        let (audio, _) = read(self.paths.get(&media)?, media)?;
        Some(Arc::new(audio))
    }
}

/// The paths of media, by content.
pub fn paths(source: &dyn Source, project: Option<&Path>) -> BTreeMap<Hash, PathBuf> {
    let (items, places) = (source.all::<MediaItem>(), Places::of(project));
    let place = |item: &MediaItem| Some((item.content?, places.path(item)?));
    items.iter().filter_map(place).collect()
}

/// The sound of a file, if it is the one that it should be.
pub fn read(path: &Path, media: Hash) -> Option<(AudioBuffer, Info)> {
    let file = std::fs::File::open(path)
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "media missing"))
        .ok()?;
    let hint = path.extension().and_then(|extension| extension.to_str());
    let decoded = Decoder::open(Box::new(std::io::BufReader::new(file)), hint)
        .map_err(|error| error.to_string())
        .and_then(|mut decoder| {
            let decoded = decoder.decode_all(LARGEST).map_err(|error| error.to_string())?;
            Ok((decoded, *decoder.info()))
        });
    match decoded {
        Ok((decoded, info)) if decoded.content_id == media => Some((decoded.audio, info)),
        Ok(_) => {
            tracing::warn!(path = %path.display(), "the file is not what it was; not played");
            None
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), error, "media can't be read");
            None
        }
    }
}

impl MediaResolver for ProjectMedia {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.entry(media).or_insert_with(|| self.read(media)).clone()
    }
}
