//! What players of media have in common: reading a whole range, the panorama of a
//! recording, and keeping what was made of media while anything uses it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::buffer::{AudioBuffer, AudioSource};

/// Gains of the two channels: the balance law, which leaves the middle alone.
pub fn balance(pan: f64) -> [f64; 2] {
    let pan = if pan.is_nan() { 0.0 } else { pan.clamp(-1.0, 1.0) };
    [(1.0 - pan).min(1.0), (1.0 + pan).min(1.0)]
}

/// Reads a range at the source's rate, waiting for it. What is not a number is silence.
pub fn read_range(source: &dyn AudioSource, start: u64, frames: u64) -> Option<AudioBuffer> {
    const AT_ONCE: usize = 65_536;
    let frames = usize::try_from(frames).ok()?;
    let mut audio = AudioBuffer::silent(source.rate(), source.channels().clamp(1, 2), frames);
    let mut done = 0;
    while done < frames {
        let take = AT_ONCE.min(frames - done);
        let mut planes: Vec<&mut [f32]> =
            audio.planes_mut().into_iter().map(|plane| &mut plane[done..done + take]).collect();
        let found = source.read_blocking(start + done as u64, &mut planes).ok()?;
        for plane in planes {
            plane[found.min(take)..].fill(0.0);
            plane.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
        }
        if found == 0 {
            break;
        }
        done += take;
    }
    Some(audio)
}

/// Things that are shared for as long as someone holds them.
pub type Kept<K, V> = Mutex<Vec<(K, Weak<V>)>>;

pub fn cached<K: PartialEq, V>(kept: &Kept<K, V>, key: &K) -> Option<Arc<V>> {
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().find(|(other, _)| other == key).and_then(|(_, value)| value.upgrade())
}

pub fn keep<K, V>(kept: &Kept<K, V>, key: K, value: &Arc<V>) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(|(_, value)| value.strong_count() > 0);
    kept.push((key, Arc::downgrade(value)));
}
