//! A source that stays on disk: a fixed set of pages, filled by one loader and
//! read by any number of threads without a lock.
//!
//! A page is a sequence lock made of atomics: the loader empties its tag, writes
//! the samples, sets the tag; a reader copies and then looks at the tag again.
//! A page that was replaced meanwhile counts as missing, never as sound. So the
//! audio thread waits for nobody and nothing is freed under it, and no `unsafe`
//! is needed. Wishes travel back in a small table of atomics that the prefetch
//! thread polls; the audio thread makes no system call to wake it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{AudioBuffer, AudioSource, ReadError};
use crate::decode::{DecodeError, Decoder};

/// Frames in a page: a third of a second at 48 kHz.
pub const PAGE: usize = 16_384;
/// Pages after the one being read that are asked for.
const AHEAD: u64 = 2;
const WISHES: usize = 32;
/// Fewer pages could not hold what one reader is ahead of.
const MIN_PAGES: usize = 4;
/// How long the prefetch thread sleeps when nobody wishes for anything.
const IDLE: Duration = Duration::from_millis(2);

struct Page {
    /// Number of the page + 1; 0 while it is empty or being written.
    tag: AtomicU64,
    /// When it was last read, in reads of the source.
    used: AtomicU64,
    /// Bits of the samples, channel after channel.
    samples: Box<[AtomicU32]>,
}

/// Decodes on demand what its readers ask for.
pub struct StreamSource {
    rate: u32,
    channels: usize,
    frames: u64,
    pages: Vec<Page>,
    clock: AtomicU64,
    /// Pages asked for, + 1; 0 is a free entry. A lost wish is wished again.
    wishes: [AtomicU64; WISHES],
    loader: Mutex<Loader>,
    failures: AtomicU64,
}

struct Loader {
    decoder: Decoder,
    block: AudioBuffer,
}

impl StreamSource {
    /// A source with room for `pages` pages, filled by blocking reads only; to
    /// play in real time, open it through a `Prefetcher`.
    pub fn new(decoder: Decoder, pages: usize) -> StreamSource {
        let info = *decoder.info();
        let page = || Page {
            tag: AtomicU64::new(0),
            used: AtomicU64::new(0),
            samples: (0..PAGE * info.channels).map(|_| AtomicU32::new(0)).collect(),
        };
        let block = AudioBuffer::silent(info.rate, info.channels, PAGE);
        StreamSource {
            rate: info.rate,
            channels: info.channels,
            frames: info.frames,
            pages: (0..pages.max(MIN_PAGES)).map(|_| page()).collect(),
            clock: AtomicU64::new(0),
            wishes: [const { AtomicU64::new(0) }; WISHES],
            loader: Mutex::new(Loader { decoder, block }),
            failures: AtomicU64::new(0),
        }
    }

    /// Pages that could not be loaded so far (the medium failed).
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn loader(&self) -> MutexGuard<'_, Loader> {
        // A panic while loading leaves an empty page, which is consistent.
        self.loader.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn find(&self, number: u64) -> Option<&Page> {
        self.pages.iter().find(|page| page.tag.load(Ordering::Acquire) == number + 1)
    }

    fn wish(&self, number: u64) {
        if number.saturating_mul(PAGE as u64) < self.frames && self.find(number).is_none() {
            let entry = &self.wishes[(number % WISHES as u64) as usize];
            entry.store(number + 1, Ordering::Release);
        }
    }

    /// The part of a read that lies in one page: false when it isn't there.
    fn copy(&self, start: u64, done: usize, count: usize, out: &mut [&mut [f32]]) -> bool {
        let at = start + done as u64;
        let (number, offset) = (at / PAGE as u64, (at % PAGE as u64) as usize);
        let Some(page) = self.find(number) else { return false };
        for (channel, plane) in out.iter_mut().enumerate() {
            let target = &mut plane[done..done + count];
            if channel >= self.channels {
                target.fill(0.0);
                continue;
            }
            let first = channel * PAGE + offset;
            for (sample, cell) in target.iter_mut().zip(&page.samples[first..first + count]) {
                *sample = f32::from_bits(cell.load(Ordering::Relaxed));
            }
        }
        fence(Ordering::Acquire);
        page.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        page.tag.load(Ordering::Relaxed) == number + 1
    }

    fn wanted(&self, start: u64, out: &[&mut [f32]]) -> usize {
        let room = out.iter().map(|plane| plane.len()).min().unwrap_or(0);
        self.frames.saturating_sub(start).min(room as u64) as usize
    }

    /// Loads a page into the one that was not read for longest.
    fn load(&self, loader: &mut Loader, number: u64) -> Result<(), ReadError> {
        if self.find(number).is_some() {
            return Ok(());
        }
        loader.fetch(number).inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        let idle = |page: &&Page| match page.tag.load(Ordering::Relaxed) {
            0 => 0,
            _ => page.used.load(Ordering::Relaxed).saturating_add(1),
        };
        let Some(page) = self.pages.iter().min_by_key(idle) else { return Ok(()) };
        page.tag.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        for channel in 0..self.channels {
            let cells = &page.samples[channel * PAGE..(channel + 1) * PAGE];
            for (cell, sample) in cells.iter().zip(loader.block.channel(channel)) {
                cell.store(sample.to_bits(), Ordering::Relaxed);
            }
        }
        page.used.store(self.clock.load(Ordering::Relaxed), Ordering::Relaxed);
        page.tag.store(number + 1, Ordering::Release);
        Ok(())
    }

    /// Serves one round of wishes; false when there was none.
    fn serve(&self) -> bool {
        let mut served = false;
        for entry in &self.wishes {
            let wish = entry.swap(0, Ordering::AcqRel);
            if wish > 0 {
                served |= self.load(&mut self.loader(), wish - 1).is_ok();
            }
        }
        served
    }
}

impl Loader {
    /// A whole page; what the file doesn't give is silence.
    fn fetch(&mut self, number: u64) -> Result<(), ReadError> {
        let frame = number * PAGE as u64;
        let count = self
            .decoder
            .seek(frame)
            .and_then(|()| self.decoder.read(&mut self.block.planes_mut()))
            .map_err(|error| read_error(frame, &error))?;
        for plane in self.block.planes_mut() {
            plane[count..].fill(0.0);
        }
        Ok(())
    }
}

fn read_error(frame: u64, error: &DecodeError) -> ReadError {
    match error {
        DecodeError::Io { frame, reason, .. } => {
            ReadError::Io { frame: *frame, reason: reason.clone() }
        }
        other => ReadError::Decode { frame, reason: other.to_string() },
    }
}

impl AudioSource for StreamSource {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn frames(&self) -> u64 {
        self.frames
    }

    fn read(&self, start: u64, out: &mut [&mut [f32]]) -> usize {
        let wanted = self.wanted(start, out);
        let mut done = 0;
        while done < wanted {
            let at = start + done as u64;
            let count = (PAGE - (at % PAGE as u64) as usize).min(wanted - done);
            if !self.copy(start, done, count, out) {
                self.wish(at / PAGE as u64);
                break;
            }
            done += count;
        }
        let last = (start + done as u64) / PAGE as u64;
        (1..=AHEAD).for_each(|ahead| self.wish(last + ahead));
        done
    }

    fn read_blocking(&self, start: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError> {
        let wanted = self.wanted(start, out);
        let mut done = 0;
        while done < wanted {
            let at = start + done as u64;
            let count = (PAGE - (at % PAGE as u64) as usize).min(wanted - done);
            if !self.copy(start, done, count, out) {
                // Copied under the loader's lock, so that no one can replace it.
                let mut loader = self.loader();
                self.load(&mut loader, at / PAGE as u64)?;
                self.copy(start, done, count, out);
            }
            done += count;
        }
        Ok(done)
    }

    fn prefetch(&self, start: u64, frames: u64) {
        let last = start.saturating_add(frames.saturating_sub(1)) / PAGE as u64;
        // Never more than fit beside what is being read.
        let first = start / PAGE as u64;
        let most = first + self.pages.len() as u64 / 2;
        (first..=last.min(most)).for_each(|number| self.wish(number));
    }

    fn resident(&self, start: u64, frames: u64) -> bool {
        let end = start.saturating_add(frames).min(self.frames);
        let last = end.saturating_sub(1) / PAGE as u64;
        start >= end || (start / PAGE as u64..=last).all(|number| self.find(number).is_some())
    }
}

/// The thread that loads what real-time readers wish for, for many sources.
pub struct Prefetcher {
    sources: Arc<Mutex<Vec<Weak<StreamSource>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetcher {
    pub fn start() -> std::io::Result<Prefetcher> {
        let sources: Arc<Mutex<Vec<Weak<StreamSource>>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (sources.clone(), stop.clone());
        let work = move || {
            while !stopped.load(Ordering::Acquire) {
                if !serve_all(&seen) {
                    std::thread::park_timeout(IDLE);
                }
            }
        };
        let thread = std::thread::Builder::new().name("pulse-prefetch".into()).spawn(work)?;
        Ok(Prefetcher { sources, stop, thread: Some(thread) })
    }

    /// A source whose wishes this thread serves for as long as someone holds it.
    pub fn open(&self, decoder: Decoder, pages: usize) -> Arc<StreamSource> {
        let source = Arc::new(StreamSource::new(decoder, pages));
        lock(&self.sources).push(Arc::downgrade(&source));
        source
    }
}

impl Drop for Prefetcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there has been reported by its own hook.
            let _ = thread.join();
        }
    }
}

fn serve_all(sources: &Mutex<Vec<Weak<StreamSource>>>) -> bool {
    let mut live = Vec::new();
    lock(sources).retain(|source| match source.upgrade() {
        Some(source) => {
            live.push(source);
            true
        }
        None => false,
    });
    live.iter().fold(false, |served, source| source.serve() | served)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const FRAMES: usize = PAGE * 6 + 1_000;

    fn sample(channel: usize, frame: u64) -> f32 {
        crate::math::random_bipolar(channel as u64, frame) as f32
    }

    fn decoder() -> Decoder {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x03\0\x02\0".to_vec();
        bytes.extend(48_000u32.to_le_bytes());
        bytes.extend((48_000u32 * 8).to_le_bytes());
        bytes.extend([8, 0, 32, 0]);
        bytes.extend(b"data");
        bytes.extend((FRAMES as u32 * 8).to_le_bytes());
        for frame in 0..FRAMES as u64 {
            bytes.extend(sample(0, frame).to_le_bytes());
            bytes.extend(sample(1, frame).to_le_bytes());
        }
        Decoder::open(Box::new(Cursor::new(bytes)), None).unwrap()
    }

    fn check(left: &[f32], right: &[f32], start: u64) {
        for (n, (l, r)) in left.iter().zip(right).enumerate() {
            let frame = start + n as u64;
            assert_eq!((*l, *r), (sample(0, frame), sample(1, frame)), "frame {frame}");
        }
    }

    #[test]
    fn blocking_reads_give_the_file_in_any_order() {
        let source = StreamSource::new(decoder(), 4);
        let (mut left, mut right) = (vec![0.0; 20_000], vec![0.0; 20_000]);
        for start in [0u64, 90_000, 16_383, 50_000, 99_000, 1] {
            let count = source.read_blocking(start, &mut [&mut left, &mut right]).unwrap();
            assert_eq!(count, 20_000.min(FRAMES - start as usize));
            check(&left[..count], &right[..count], start);
        }
        assert_eq!(source.read_blocking(FRAMES as u64, &mut [&mut left]), Ok(0));
    }

    #[test]
    fn a_real_time_read_never_waits_and_says_what_is_missing() {
        let source = StreamSource::new(decoder(), 8);
        let (mut left, mut right) = (vec![0.0; 512], vec![0.0; 512]);
        assert_eq!(source.read(PAGE as u64 - 100, &mut [&mut left, &mut right]), 0);
        assert!(!source.resident(PAGE as u64 - 100, 512));
        assert!(source.serve());
        assert_eq!(source.read(PAGE as u64 - 100, &mut [&mut left, &mut right]), 512);
        check(&left, &right, PAGE as u64 - 100);
        assert!(source.resident(PAGE as u64 - 100, 512));
        assert!(!source.serve() || source.resident(0, 3 * PAGE as u64), "pages ahead are loaded");
    }

    #[test]
    fn a_prefetcher_brings_what_is_wished_for() {
        let prefetcher = Prefetcher::start().unwrap();
        let source = prefetcher.open(decoder(), 8);
        let start = 3 * PAGE as u64;
        source.prefetch(start, 2 * PAGE as u64);
        let mut tries = 0;
        while !source.resident(start, 2 * PAGE as u64) {
            tries += 1;
            assert!(tries < 5_000, "nothing was prefetched");
            std::thread::sleep(Duration::from_millis(1));
        }
        let (mut left, mut right) = (vec![0.0; 2 * PAGE], vec![0.0; 2 * PAGE]);
        assert_eq!(source.read(start, &mut [&mut left, &mut right]), 2 * PAGE);
        check(&left, &right, start);
    }

    #[test]
    fn readers_that_fight_for_pages_never_get_wrong_samples() {
        let prefetcher = Prefetcher::start().unwrap();
        let source = prefetcher.open(decoder(), 4);
        std::thread::scope(|scope| {
            for reader in 0..3u64 {
                let source = source.clone();
                scope.spawn(move || {
                    let (mut left, mut right) = (vec![0.0; 700], vec![0.0; 700]);
                    for n in 0..300u64 {
                        let start = crate::math::random_u64(reader, n) % (FRAMES as u64 - 700);
                        let mut out = [left.as_mut_slice(), right.as_mut_slice()];
                        let count = match reader {
                            0 => source.read_blocking(start, &mut out).unwrap(),
                            _ => source.read(start, &mut out),
                        };
                        check(&left[..count], &right[..count], start);
                    }
                });
            }
        });
    }
}
