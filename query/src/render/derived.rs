//! Decoded, resampled and stretched audio of clips in the render cache, under what it
//! is made of and not under where a clip lies: a moved clip finds its own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use pulse_engine::{
    buffer::{AudioBuffer, AudioSource},
    material::MediaResolver,
    node::{Derived, Made},
};
use pulse_schemas::hash::Hash;
use pulse_store::cache::{CacheError, CacheStore};

use super::key::{Hasher, machine};

/// Bytes before the samples: rate, channels, frames.
const HEAD: usize = 16;

/// What of clips had to be made.
#[derive(Default)]
pub struct Counts {
    decoded: AtomicU64,
    resampled: AtomicU64,
    stretched: AtomicU64,
}

impl Counts {
    fn of(&self, made: Made) -> &AtomicU64 {
        match made {
            Made::Decoded => &self.decoded,
            Made::Resampled => &self.resampled,
            Made::Stretched => &self.stretched,
        }
    }

    pub fn read(&self, made: Made) -> u64 {
        self.of(made).load(Ordering::Relaxed)
    }
}

/// The media of a render, with a place for what is made of them.
pub struct Material<'a> {
    media: &'a (dyn MediaResolver + Sync),
    cache: &'a dyn CacheStore,
    made: &'a Counts,
}

impl<'a> Material<'a> {
    /// Counts in `made` what had to be made.
    pub fn new(
        media: &'a (dyn MediaResolver + Sync),
        cache: &'a dyn CacheStore,
        made: &'a Counts,
    ) -> Material<'a> {
        Material { media, cache, made }
    }

    fn find(&self, key: &Hash) -> Result<Option<AudioBuffer>, CacheError> {
        let Some(content) = self.cache.get_action(&action(key))? else { return Ok(None) };
        let Ok(content) = <[u8; 32]>::try_from(&content[..]) else { return Ok(None) };
        Ok(self.cache.get_content(&Hash(content))?.and_then(|bytes| decode(&bytes)))
    }

    fn keep(&self, key: &Hash, audio: &AudioBuffer) -> Result<(), CacheError> {
        // A stretched or resampled frame is dear beside a filtered one.
        let cost = audio.frames() as u64;
        let content = self.cache.put_content(&encode(audio), cost)?;
        self.cache.put_action(&action(key), &content.0, cost)
    }
}

impl MediaResolver for Material<'_> {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        self.media.open(media)
    }

    fn has(&self, media: Hash) -> bool {
        self.media.has(media)
    }

    fn derived(&self) -> Option<&dyn Derived> {
        Some(self)
    }
}

impl Derived for Material<'_> {
    /// A cache that fails costs time and no sound: the audio is made again.
    fn get(&self, key: &Hash) -> Option<AudioBuffer> {
        self.find(key).ok().flatten()
    }

    fn put(&self, made: Made, key: &Hash, audio: &AudioBuffer) {
        self.made.of(made).fetch_add(1, Ordering::Relaxed);
        drop(self.keep(key, audio));
    }
}

/// Stretching is bound to the machine, so the machine is part of its key.
fn action(key: &Hash) -> Hash {
    let mut hasher = Hasher::new();
    hasher.text("stretched");
    hasher.text(&machine());
    hasher.hash(key);
    hasher.finish()
}

fn encode(audio: &AudioBuffer) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + audio.channels() * audio.frames() * 4);
    bytes.extend(audio.rate().to_le_bytes());
    bytes.extend((audio.channels() as u32).to_le_bytes());
    bytes.extend((audio.frames() as u64).to_le_bytes());
    bytes.extend(audio.planes().into_iter().flatten().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

fn decode(bytes: &[u8]) -> Option<AudioBuffer> {
    let (head, samples) = bytes.split_at_checked(HEAD)?;
    let rate = u32::from_le_bytes(head[..4].try_into().ok()?);
    let channels = u32::from_le_bytes(head[4..8].try_into().ok()?) as usize;
    let frames = usize::try_from(u64::from_le_bytes(head[8..].try_into().ok()?)).ok()?;
    if channels == 0 || samples.len() != channels.checked_mul(frames)?.checked_mul(4)? {
        return None;
    }
    let (words, _) = samples.as_chunks::<4>();
    let samples: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let planes: Vec<&[f32]> =
        (0..channels).map(|channel| &samples[channel * frames..(channel + 1) * frames]).collect();
    AudioBuffer::from_channels(rate, &planes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_comes_back_as_it_went_and_damaged_bytes_do_not() {
        let audio = AudioBuffer::from_channels(44_100, &[[0.5f32, -1.0], [0.25, 0.0]]).unwrap();
        let bytes = encode(&audio);
        let back = decode(&bytes).unwrap();
        assert_eq!((back.rate(), back.planes()), (44_100, audio.planes()));
        assert!(decode(&bytes[..bytes.len() - 1]).is_none() && decode(&[]).is_none());
    }
}
