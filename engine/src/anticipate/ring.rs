//! The sound of one port, written ahead of time by a worker and read by the audio
//! thread and by other workers.
//!
//! A position is a frame of the course ([`crate::rt::course::Course::ran`]), so
//! reader and writer never have to agree on where the other is. Samples are
//! atomics: a reader that comes too late or too early hears the wrong sound and
//! can tell, and nothing worse happens.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

pub struct Ring {
    samples: [Box<[AtomicU32]>; 2],
    mask: u64,
    /// Sound is there before this position.
    end: AtomicU64,
    /// One past the highest position that was ever written.
    high: AtomicU64,
    /// Before this there was no sound.
    origin: AtomicU64,
    /// Frames that the audio thread asked for in vain.
    missed: AtomicU64,
    /// Its writer stands still and knows of nothing that would end that.
    rests: AtomicBool,
    /// From here on it is what a render would give, until something happens.
    as_rendered: AtomicU64,
}

/// What a reader found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    All,
    /// Only so many frames are there yet.
    Part(usize),
    /// The frames have been overwritten.
    Gone,
}

impl Ring {
    /// Room for at least so many frames; silent before `origin`.
    pub fn new(frames: usize, origin: u64) -> Ring {
        let size = frames.next_power_of_two().max(16);
        let side = || (0..size).map(|_| AtomicU32::new(0)).collect();
        Ring {
            samples: [side(), side()],
            mask: size as u64 - 1,
            end: AtomicU64::new(origin),
            high: AtomicU64::new(origin),
            origin: AtomicU64::new(origin),
            missed: AtomicU64::new(0),
            rests: AtomicBool::new(false),
            as_rendered: AtomicU64::new(u64::MAX),
        }
    }

    pub fn frames(&self) -> usize {
        self.mask as usize + 1
    }

    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub fn miss(&self, frames: usize) {
        self.missed.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Whether it is useless to wait for what lies behind the end.
    pub fn rests(&self) -> bool {
        self.rests.load(Ordering::Acquire)
    }

    pub fn set_rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::Release);
    }

    /// Whether the sound at and behind a position is what a render gives. To be asked
    /// once it is there.
    pub fn is_as_rendered(&self, at: i64) -> bool {
        let since = self.as_rendered.load(Ordering::Acquire);
        since != u64::MAX && at >= since as i64
    }

    pub fn mark_as_rendered(&self, since: Option<u64>) {
        self.as_rendered.store(since.unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Writes one channel; [`Ring::publish`] makes it heard. One writer at a time.
    pub fn write(&self, at: u64, channel: usize, samples: &[f32]) {
        let ring = &self.samples[channel];
        for (i, sample) in samples.iter().enumerate() {
            let place = ((at + i as u64) & self.mask) as usize;
            ring[place].store(sample.to_bits(), Ordering::Relaxed);
        }
        self.high.fetch_max(at + samples.len() as u64, Ordering::Release);
    }

    /// The same of silence.
    pub fn silence(&self, at: u64, channel: usize, frames: usize) {
        let ring = &self.samples[channel];
        for i in 0..frames as u64 {
            ring[((at + i) & self.mask) as usize].store(0, Ordering::Relaxed);
        }
        self.high.fetch_max(at + frames as u64, Ordering::Release);
    }

    /// Sound is there up to `end`.
    pub fn publish(&self, end: u64) {
        self.end.fetch_max(end, Ordering::Release);
    }

    /// What lies at and after `end` is not what will be heard.
    pub fn truncate(&self, end: u64) {
        self.end.fetch_min(end, Ordering::Release);
    }

    /// Nothing that was written counts: sound begins again at `origin`.
    pub fn restart(&self, origin: u64) {
        self.end.store(origin, Ordering::Release);
        self.origin.store(origin, Ordering::Release);
    }

    /// One channel of a stretch. Frames that are not there are silence. Real-time
    /// safe.
    pub fn read(&self, at: i64, channel: usize, out: &mut [f32]) -> Found {
        let (origin, end) = (self.origin.load(Ordering::Acquire) as i64, self.end() as i64);
        let frames = out.len() as i64;
        let first = (origin - at).clamp(0, frames);
        let last = (end - at).clamp(first, frames);
        let ring = &self.samples[channel];
        for (i, sample) in out.iter_mut().enumerate() {
            let i = i as i64;
            *sample = if i >= first && i < last {
                let place = ((at + i) as u64 & self.mask) as usize;
                f32::from_bits(ring[place].load(Ordering::Relaxed))
            } else {
                0.0
            };
        }
        let oldest = self.high.load(Ordering::Acquire).saturating_sub(self.mask + 1) as i64;
        if first < last && at + first < oldest {
            out.fill(0.0);
            return Found::Gone;
        }
        if last < frames { Found::Part(last as usize) } else { Found::All }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ring: &Ring, at: i64, found: Found, expect: &[f32]) {
        let mut out = vec![9.0; expect.len()];
        assert_eq!((ring.read(at, 0, &mut out), &out[..]), (found, expect), "at {at}");
    }

    #[test]
    fn a_reader_knows_what_it_got() {
        let ring = Ring::new(16, 100);
        let samples: Vec<f32> = (0..20).map(|i| i as f32).collect();
        ring.write(100, 0, &samples[..10]);
        check(&ring, 100, Found::Part(0), &[0.0]);
        ring.publish(110);
        check(&ring, 98, Found::All, &[0.0, 0.0, 0.0, 1.0]);
        check(&ring, 108, Found::Part(2), &[8.0, 9.0, 0.0]);
        ring.truncate(105);
        check(&ring, 103, Found::Part(2), &[3.0, 4.0, 0.0]);
        ring.write(105, 0, &samples[5..]);
        ring.publish(120);
        check(&ring, 103, Found::Gone, &[0.0, 0.0]);
        check(&ring, 104, Found::All, &[4.0, 5.0]);
    }
}
