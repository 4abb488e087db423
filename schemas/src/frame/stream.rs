//! Binary stream frames: gestures, meters and spectra, where an envelope would
//! cost more than what it carries.
//!
//! A stream frame is the body of an ordinary frame. Its first byte, 0xc1, is
//! the one that MessagePack never uses and no JSON text starts with, so the
//! three kinds of body need no further tag. The header is big-endian like the
//! length in front; the samples are little-endian and start at a multiple of
//! four, so that a reader can lay a float array over them.

pub const MAGIC: u8 = 0xc1;
pub const VERSION: u8 = 1;
pub const HEADER: usize = 24;
/// No position: the frame belongs to no moment of the timeline.
pub const NO_POSITION: i64 = i64::MIN;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum StreamKind {
    Gesture = 1,
    Meter = 2,
    Spectrum = 3,
    Waveform = 4,
}

impl StreamKind {
    pub const ALL: [StreamKind; 4] =
        [StreamKind::Gesture, StreamKind::Meter, StreamKind::Spectrum, StreamKind::Waveform];

    fn from_number(number: u8) -> Option<StreamKind> {
        StreamKind::ALL.into_iter().find(|&kind| kind as u8 == number)
    }
}

/// One frame of a stream that a command opened.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamFrame {
    pub kind: StreamKind,
    /// The id from the reply that opened the stream; unique per connection.
    pub stream: u32,
    /// Counts up by one per frame of the stream; a gap says how many were lost.
    pub sequence: u64,
    /// Flicks on the project's timeline, or [`NO_POSITION`].
    pub position: i64,
    pub samples: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    #[error("a stream frame starts with {MAGIC:#04x} and has {HEADER} bytes of header")]
    Header,
    #[error("stream frames of version {found} aren't spoken here; this is version {VERSION}")]
    Version { found: u8 },
    #[error("{found} is no kind of stream")]
    Kind { found: u8 },
    #[error("the header announces {announced} samples, the frame has {bytes} bytes of them")]
    Length { announced: u16, bytes: usize },
    #[error("sample {index} is not finite")]
    NotFinite { index: usize },
    #[error("{samples} samples are more than one frame may carry ({})", u16::MAX)]
    TooMany { samples: usize },
}

/// Whether the body of a frame is a stream frame.
pub fn is_stream(body: &[u8]) -> bool {
    body.first() == Some(&MAGIC)
}

impl StreamFrame {
    /// Appends the body (without the length in front) to `out`.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), StreamError> {
        let count = u16::try_from(self.samples.len())
            .map_err(|_| StreamError::TooMany { samples: self.samples.len() })?;
        all_finite(&self.samples)?;
        out.reserve(HEADER + 4 * self.samples.len());
        out.extend_from_slice(&[MAGIC, VERSION, self.kind as u8, 0]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes()[2..]);
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
        for sample in &self.samples {
            out.extend_from_slice(&sample.to_le_bytes());
        }
        Ok(())
    }

    pub fn read(body: &[u8]) -> Result<StreamFrame, StreamError> {
        let (header, bytes) = body.split_first_chunk::<HEADER>().ok_or(StreamError::Header)?;
        let [magic, version, kind, _flags, s0, s1, s2, s3, rest @ ..] = *header;
        let [q0, q1, q2, q3, q4, q5, n0, n1, position @ ..] = rest;
        if magic != MAGIC {
            return Err(StreamError::Header);
        }
        if version != VERSION {
            return Err(StreamError::Version { found: version });
        }
        let kind = StreamKind::from_number(kind).ok_or(StreamError::Kind { found: kind })?;
        let announced = u16::from_be_bytes([n0, n1]);
        if bytes.len() != 4 * usize::from(announced) {
            return Err(StreamError::Length { announced, bytes: bytes.len() });
        }
        let (chunks, _) = bytes.as_chunks::<4>();
        let samples: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
        all_finite(&samples)?;
        Ok(StreamFrame {
            kind,
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            sequence: u64::from_be_bytes([0, 0, q0, q1, q2, q3, q4, q5]),
            position: i64::from_be_bytes(position),
            samples,
        })
    }
}

fn all_finite(samples: &[f32]) -> Result<(), StreamError> {
    match samples.iter().position(|sample| !sample.is_finite()) {
        Some(index) => Err(StreamError::NotFinite { index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(samples: Vec<f32>) -> StreamFrame {
        StreamFrame { kind: StreamKind::Meter, stream: 7, sequence: 1 << 40, position: -5, samples }
    }

    #[test]
    fn the_layout_is_what_the_protocol_says() {
        let mut bytes = Vec::new();
        frame(vec![1.0]).write(&mut bytes).unwrap();
        let expect = [
            &[0xc1, 1, 2, 0][..],
            &[0, 0, 0, 7],
            &[1, 0, 0, 0, 0, 0],
            &[0, 1],
            &(-5i64).to_be_bytes(),
            &1f32.to_le_bytes(),
        ];
        assert_eq!(bytes, expect.concat());
        assert_eq!(StreamFrame::read(&bytes), Ok(frame(vec![1.0])));
    }

    #[test]
    fn a_bad_frame_says_what_is_wrong() {
        let mut good = Vec::new();
        frame(vec![0.5, 0.25]).write(&mut good).unwrap();
        let check = |change: &dyn Fn(&mut Vec<u8>), expect: StreamError| {
            let mut bytes = good.clone();
            change(&mut bytes);
            assert_eq!(StreamFrame::read(&bytes), Err(expect));
        };
        check(&|bytes| bytes.truncate(5), StreamError::Header);
        check(&|bytes| bytes[1] = 9, StreamError::Version { found: 9 });
        check(&|bytes| bytes[2] = 0, StreamError::Kind { found: 0 });
        check(&|bytes| bytes.truncate(HEADER + 7), StreamError::Length { announced: 2, bytes: 7 });
        check(
            &|bytes| bytes[HEADER + 4..].copy_from_slice(&f32::NAN.to_le_bytes()),
            StreamError::NotFinite { index: 1 },
        );
        let not_finite = frame(vec![f32::INFINITY]).write(&mut Vec::new());
        assert_eq!(not_finite, Err(StreamError::NotFinite { index: 0 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(frame) = StreamFrame::read(&bytes) {
                let mut again = Vec::new();
                frame.write(&mut again).unwrap();
                prop_assert_eq!(StreamFrame::read(&again), Ok(frame));
            }
        }
    }
}
