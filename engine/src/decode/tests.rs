use std::io::{self, Cursor};

use super::*;

mod formats;
mod hostile;
mod wave;

fn open(bytes: &[u8]) -> Result<Decoder, OpenError> {
    Decoder::open(Box::new(Cursor::new(bytes.to_vec())), None)
}

fn decode(bytes: &[u8]) -> Decoded {
    open(bytes).unwrap().decode_all(1 << 28).unwrap()
}

/// A WAV file, by its parts.
struct Wave<'a> {
    tag: u16,
    bits: u16,
    channels: u16,
    rate: u32,
    data: &'a [u8],
}

impl Wave<'_> {
    fn format(&self) -> Vec<u8> {
        let block = self.channels * self.bits.div_ceil(8);
        let mut out = Vec::new();
        out.extend(self.tag.to_le_bytes());
        out.extend(self.channels.to_le_bytes());
        out.extend(self.rate.to_le_bytes());
        out.extend((self.rate.wrapping_mul(u32::from(block))).to_le_bytes());
        out.extend(block.to_le_bytes());
        out.extend(self.bits.to_le_bytes());
        out
    }

    fn file(&self) -> Vec<u8> {
        riff(&[(b"fmt ", &self.format()), (b"data", self.data)])
    }
}

fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut out = b"RIFF\0\0\0\0WAVE".to_vec();
    for (name, data) in chunks {
        out.extend(*name);
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(*data);
        out.extend(vec![0; data.len() % 2]);
    }
    let size = (out.len() - 8) as u32;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    out
}

/// A reader whose medium goes away after some bytes.
struct Failing {
    inner: Cursor<Vec<u8>>,
    good: u64,
}

impl Read for Failing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.inner.position() >= self.good {
            return Err(io::Error::other("the drive was pulled out"));
        }
        let room = (self.good - self.inner.position()).min(out.len() as u64) as usize;
        self.inner.read(&mut out[..room])
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
