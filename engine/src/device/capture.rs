//! From the stream that hears to the stream that plays.
//!
//! A device has one callback for each way, and which comes first is its own
//! affair. What was heard waits in a ring for the side that plays; that side
//! begins once two of its blocks are there and then takes as much as it plays, so
//! that one callback that comes a period later is not heard. What was heard can
//! be late by at most two blocks; when it gets later, because the clocks of two
//! devices drift, it skips, and when there is nothing, it is silent and begins
//! again.

use rtrb::{Consumer, Producer, RingBuffer};

/// Channels that are heard; a device with more is heard in part.
pub const MAX_INPUTS: usize = 32;
/// Most frames that a device may play at once and still be heard.
const MOST_FRAMES: usize = 8_192;

/// The side that hears.
pub struct Feed {
    ring: Producer<f32>,
    channels: usize,
}

/// The side that plays.
pub struct Capture {
    ring: Option<Consumer<f32>>,
    channels: usize,
    planes: Vec<Vec<f32>>,
    flowing: bool,
}

pub fn pair(channels: usize, rate: u32) -> (Feed, Capture) {
    let channels = channels.max(1);
    // Half a second: a side that waits longer has stopped.
    let frames = (rate as usize / 2).max(4 * MOST_FRAMES);
    let (ring, consumer) = RingBuffer::new(frames * channels);
    let planes = vec![vec![0.0; MOST_FRAMES]; channels.min(MAX_INPUTS)];
    let capture = Capture { ring: Some(consumer), channels, planes, flowing: false };
    (Feed { ring, channels }, capture)
}

impl Feed {
    /// Interleaved samples as they come. Real-time safe; drops what finds no room,
    /// by whole frames.
    pub fn push(&mut self, samples: impl Iterator<Item = f32>, count: usize) {
        let room = self.ring.slots() / self.channels * self.channels;
        let Ok(chunk) = self.ring.write_chunk_uninit(count.min(room)) else { return };
        chunk.fill_from_iter(samples);
    }
}

impl Capture {
    /// Of a device that isn't listened to.
    pub fn none() -> Capture {
        Capture { ring: None, channels: 0, planes: Vec::new(), flowing: false }
    }

    pub fn channels(&self) -> usize {
        self.planes.len()
    }

    /// Hands `play` a slice per channel, or none. Real-time safe.
    pub fn hear(&mut self, frames: usize, play: impl FnOnce(&[&[f32]])) {
        if !self.fill(frames) {
            return play(&[]);
        }
        let mut inputs: [&[f32]; MAX_INPUTS] = [&[]; MAX_INPUTS];
        for (input, plane) in inputs.iter_mut().zip(&self.planes) {
            *input = &plane[..frames];
        }
        play(&inputs[..self.planes.len()]);
    }

    fn fill(&mut self, frames: usize) -> bool {
        let Some(ring) = &mut self.ring else { return false };
        let waiting = ring.slots() / self.channels;
        let fits = (1..=MOST_FRAMES).contains(&frames);
        let enough = if self.flowing { frames } else { 2 * frames };
        self.flowing = fits && waiting >= enough;
        if !self.flowing {
            return false;
        }
        if waiting > 4 * frames
            && let Ok(old) = ring.read_chunk((waiting - 2 * frames) * self.channels)
        {
            old.commit_all();
        }
        let Ok(chunk) = ring.read_chunk(frames * self.channels) else { return false };
        let (first, second) = chunk.as_slices();
        let samples = first.iter().chain(second).enumerate();
        for (at, sample) in samples {
            if let Some(plane) = self.planes.get_mut(at % self.channels) {
                plane[at / self.channels] = *sample;
            }
        }
        chunk.commit_all();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(feed: &mut Feed, from: usize, frames: usize) {
        let samples = (from..from + frames).flat_map(|at| [at as f32, -(at as f32)]);
        feed.push(samples, 2 * frames);
    }

    fn hear(capture: &mut Capture, frames: usize) -> Option<(f32, f32)> {
        let mut found = None;
        capture.hear(frames, |inputs| {
            if let [left, right] = inputs {
                assert!(left.windows(2).all(|pair| pair[1] == pair[0] + 1.0), "no frame is lost");
                assert_eq!(left.len(), frames);
                found = Some((left[0], right[0]));
            }
        });
        found
    }

    #[test]
    fn what_is_heard_arrives_whole_whichever_side_comes_first() {
        let (mut feed, mut capture) = pair(2, 48_000);
        push(&mut feed, 0, 64);
        assert_eq!(hear(&mut capture, 64), None, "one block is not enough to begin");
        push(&mut feed, 64, 64);
        assert_eq!(hear(&mut capture, 64), Some((0.0, 0.0)));
        assert_eq!(hear(&mut capture, 64), Some((64.0, -64.0)));
        push(&mut feed, 128, 64);
        push(&mut feed, 192, 64);
        assert_eq!(hear(&mut capture, 64), Some((128.0, -128.0)));
    }

    #[test]
    fn nothing_is_silence_and_too_much_is_skipped() {
        let (mut feed, mut capture) = pair(2, 48_000);
        push(&mut feed, 0, 128);
        assert!(hear(&mut capture, 64).is_some() && hear(&mut capture, 64).is_some());
        assert_eq!(hear(&mut capture, 64), None);
        push(&mut feed, 128, 64);
        assert_eq!(hear(&mut capture, 64), None, "it begins again with two blocks");
        push(&mut feed, 192, 640);
        assert_eq!(hear(&mut capture, 64), Some((704.0, -704.0)));
        assert_eq!(hear(&mut Capture::none(), 64), None);
    }
}
