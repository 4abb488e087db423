//! Length-prefixed frames: 4 bytes big-endian, then that many bytes.
//!
//! The decoder is fed whatever the transport read and never trusts a length:
//! a frame over the limit is skipped as it streams by, without being stored,
//! and the connection stays usable. Only a length that can't be one (the top
//! bit set: negative to a signed reader) means that framing is lost.

pub mod stream;

pub const PREFIX: usize = 4;
/// The limit when the configuration sets none: 16 MiB.
pub const DEFAULT_LIMIT: usize = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {length} bytes is over the limit of {limit}; it was skipped")]
    TooLong { length: u64, limit: u64 },
    #[error("an empty frame carries no message; it was skipped")]
    Empty,
    #[error("the length field is negative ({found}): where the next frame starts is lost")]
    Lost { found: i32 },
}

impl FrameError {
    /// Whether the connection has to be closed.
    pub fn is_fatal(&self) -> bool {
        matches!(self, FrameError::Lost { .. })
    }
}

/// Appends `body` with its length to `out`.
pub fn write(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let length = checked_length(body.len(), limit)?;
    out.reserve(PREFIX + body.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    Ok(())
}

/// Appends the frame whose body `fill` writes, without a second buffer. On an
/// error `out` is as it was.
pub fn write_with<E: From<FrameError>>(
    limit: usize,
    out: &mut Vec<u8>,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    let outcome = fill(out).and_then(|()| {
        let length = checked_length(out.len() - start - PREFIX, limit)?;
        out[start..start + PREFIX].copy_from_slice(&length.to_be_bytes());
        Ok(())
    });
    if outcome.is_err() {
        out.truncate(start);
    }
    outcome
}

fn checked_length(length: usize, limit: usize) -> Result<u32, FrameError> {
    if length == 0 {
        return Err(FrameError::Empty);
    }
    let too_long = FrameError::TooLong { length: length as u64, limit: limit as u64 };
    if length > limit {
        return Err(too_long);
    }
    i32::try_from(length).map(|length| length as u32).map_err(|_| too_long)
}

/// Cuts a byte stream into frames, however it arrives.
///
/// It holds what was pushed and not yet taken, so its memory is bounded by the
/// limit plus one chunk if `next` is drained after each `push`.
#[derive(Debug)]
pub struct FrameDecoder {
    limit: usize,
    buffer: Vec<u8>,
    /// Where the unread part of `buffer` starts.
    start: usize,
    /// Bytes of an over-long frame that are still to be dropped.
    skip: usize,
    lost: Option<FrameError>,
}

impl FrameDecoder {
    pub fn new(limit: usize) -> FrameDecoder {
        FrameDecoder { limit, buffer: Vec::new(), start: 0, skip: 0, lost: None }
    }

    /// Takes what the transport read. Bytes of a skipped frame are not stored.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if self.lost.is_some() {
            return;
        }
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            let dropped = self.skip.min(bytes.len());
            self.skip -= dropped;
            bytes = &bytes[dropped..];
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it has arrived. After a fatal error it repeats
    /// that error for ever.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        self.drop_skipped();
        let Some(length) = self.length()? else { return Ok(None) };
        let from = self.start + PREFIX;
        if self.buffer.len() - from < length {
            return Ok(None);
        }
        self.start = from + length;
        Ok(Some(&self.buffer[from..from + length]))
    }

    /// Bytes that wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn drop_skipped(&mut self) {
        let dropped = self.skip.min(self.pending());
        self.start += dropped;
        self.skip -= dropped;
    }

    fn length(&mut self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer[self.start..].first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let found = i32::from_be_bytes(*prefix);
        let Ok(length) = usize::try_from(found) else {
            let lost = FrameError::Lost { found };
            self.lost = Some(lost);
            return Err(lost);
        };
        if length == 0 {
            self.start += PREFIX;
            return Err(FrameError::Empty);
        }
        if length > self.limit {
            self.start += PREFIX;
            self.skip = length;
            return Err(FrameError::TooLong { length: length as u64, limit: self.limit as u64 });
        }
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 64;

    /// Every frame and error that `bytes` gives when it arrives in `chunks`.
    fn drain(bytes: &[u8], chunks: &[usize]) -> Vec<Result<Vec<u8>, FrameError>> {
        let mut decoder = FrameDecoder::new(LIMIT);
        let mut found = Vec::new();
        let mut rest = bytes;
        let mut sizes = chunks.iter().copied().cycle();
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
            let (chunk, after) = rest.split_at(size);
            decoder.push(chunk);
            rest = after;
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => found.push(Ok(frame.to_vec())),
                    Ok(None) => break,
                    Err(error) => {
                        found.push(Err(error));
                        if error.is_fatal() {
                            return found;
                        }
                    }
                }
            }
            assert!(decoder.pending() <= LIMIT + PREFIX + size, "the buffer grew past its bound");
        }
        found
    }

    #[test]
    fn an_over_long_frame_is_skipped_and_the_next_one_is_read() {
        let mut bytes = 1000u32.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[7; 1000]);
        write(b"after", LIMIT, &mut bytes).unwrap();
        let expect =
            vec![Err(FrameError::TooLong { length: 1000, limit: 64 }), Ok(b"after".to_vec())];
        for chunks in [&[1][..], &[3], &[1004], &[5000], &[17, 1, 900]] {
            assert_eq!(drain(&bytes, chunks), expect);
        }
    }

    #[test]
    fn a_negative_length_is_fatal_and_stays_so() {
        let mut decoder = FrameDecoder::new(LIMIT);
        decoder.push(&(-5i32).to_be_bytes());
        assert_eq!(decoder.next(), Err(FrameError::Lost { found: -5 }));
        decoder.push(b"\0\0\0\x01a");
        assert_eq!(decoder.next(), Err(FrameError::Lost { found: -5 }));
    }

    #[test]
    fn an_empty_frame_is_an_error_and_does_no_harm() {
        let found = drain(b"\0\0\0\0\0\0\0\x01a", &[2]);
        assert_eq!(found, vec![Err(FrameError::Empty), Ok(b"a".to_vec())]);
    }

    #[test]
    fn a_body_that_fails_leaves_the_output_untouched() {
        let mut out = b"before".to_vec();
        let failed = write_with::<FrameError>(LIMIT, &mut out, |out| {
            out.extend_from_slice(&[0; LIMIT + 1]);
            Ok(())
        });
        assert!(failed.is_err());
        assert_eq!(out, b"before");
    }

    /// A small generator of our own: ten million bytes through proptest would
    /// spend their time in its shrinking trees.
    fn noise(seed: u64, bytes: &mut [u8]) {
        let mut state = seed;
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    }

    #[test]
    fn ten_million_random_bytes_neither_panic_nor_pile_up() {
        let total: usize = if std::env::var_os("PULSE_SOAK").is_some() { 100 } else { 1 };
        let mut chunk = [0u8; 4096];
        let mut decoder = FrameDecoder::new(LIMIT);
        for round in 0..(total * 10_000_000 / chunk.len()) as u64 {
            noise(round, &mut chunk);
            // Half of the rounds get lengths that could be real ones.
            if round % 2 == 0 {
                for at in (0..chunk.len()).step_by(8) {
                    chunk[at..at + 3].fill(0);
                }
            }
            decoder.push(&chunk);
            while !matches!(decoder.next(), Ok(None)) {
                if decoder.lost.is_some() {
                    decoder = FrameDecoder::new(LIMIT);
                }
            }
            assert!(decoder.buffer.capacity() <= 4 * chunk.len());
        }
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..LIMIT), 0..20),
            chunks in prop::collection::vec(1usize..90, 1..8),
        ) {
            let mut bytes = Vec::new();
            for body in &bodies {
                write(body, LIMIT, &mut bytes).unwrap();
            }
            let expect: Vec<_> = bodies.into_iter().map(Ok).collect();
            prop_assert_eq!(drain(&bytes, &chunks), expect);
        }
    }
}
