//! AIFF and AIFC whose sizes claim more than the file holds.
//!
//! symphonia refuses a chunk that reaches past the end, which is what a copy that was cut off or a
//! recorder that crashed leaves behind. Its reader is good for everything else, so the file stays as
//! it is and is read through a [`Mended`] view, in which the two sizes that matter are true.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Media, OpenError, Truncation, read_up_to};

/// A file with more chunks than this is hostile.
const MAX_CHUNKS: usize = 4096;
/// The form's name, and the offset and block size before the samples.
const FORM_HEADER: u64 = 12;
const CHUNK_HEADER: u64 = 8;
const SOUND_HEADER: u64 = 8;

/// Passes media on; an AIFF that ends early in a form that reads to its end, and what is missing.
pub(super) fn mend(
    mut media: Box<dyn Media>,
) -> Result<(Box<dyn Media>, Option<Truncation>), OpenError> {
    let length = media.seek(SeekFrom::End(0))?;
    media.seek(SeekFrom::Start(0))?;
    let found = Scan { media: &mut *media, length, format: None }.run()?;
    media.seek(SeekFrom::Start(0))?;
    let Some(Repair { sizes, truncation }) = found else { return Ok((media, None)) };
    Ok((Box::new(Mended { media, at: 0, sizes }), truncation))
}

/// True sizes by their place in the file.
struct Repair {
    sizes: Vec<(u64, [u8; 4])>,
    truncation: Option<Truncation>,
}

/// What the common chunk says.
#[derive(Clone, Copy)]
struct Format {
    channels: u64,
    frames: u64,
    bits: u64,
}

impl Format {
    /// Codecs of AIFC may pack samples; where frames and bytes are both told, they say how.
    fn frame_bytes(&self, declared: u64) -> u64 {
        let told = declared.checked_div(self.frames).unwrap_or(0);
        if told > 0 && told * self.frames == declared {
            return told;
        }
        (self.channels * self.bits.div_ceil(8)).max(1)
    }
}

struct Scan<'a> {
    media: &'a mut dyn Media,
    length: u64,
    format: Option<Format>,
}

impl Scan<'_> {
    /// None if nothing has to be mended, or this is no AIFF.
    fn run(mut self) -> io::Result<Option<Repair>> {
        let mut form = [0u8; FORM_HEADER as usize];
        if read_up_to(self.media, &mut form)? < form.len() || form[..4] != *b"FORM" {
            return Ok(None);
        }
        if form[8..] != *b"AIFF" && form[8..] != *b"AIFC" {
            return Ok(None);
        }
        let unfinished = u32_at(&form, 4) == 0;
        let claimed = CHUNK_HEADER + u64::from(u32_at(&form, 4));
        if claimed <= self.length && !unfinished {
            return Ok(None);
        }
        let mut at = FORM_HEADER;
        for _ in 0..MAX_CHUNKS {
            let mut header = [0u8; CHUNK_HEADER as usize];
            self.media.seek(SeekFrom::Start(at))?;
            if read_up_to(self.media, &mut header)? < header.len() {
                break;
            }
            let (start, size) = (at + CHUNK_HEADER, u64::from(u32_at(&header, 4)));
            if header[..4] == *b"COMM" {
                self.read_format()?;
            }
            let open = unfinished && size == 0;
            if header[..4] == *b"SSND" && (start + size > self.length || open) {
                return self.mend_sound(at, size, open);
            }
            if start + size > self.length {
                break;
            }
            // Chunks are padded to even sizes.
            at = start + size + (size & 1);
        }
        // A last padding byte may be what is missing.
        let at = at.min(self.length);
        Ok(Some(Repair { sizes: vec![form_size(at)], truncation: None }))
    }

    fn read_format(&mut self) -> io::Result<()> {
        let mut common = [0u8; 8];
        if read_up_to(self.media, &mut common)? == common.len() {
            let two = |at: usize| u64::from(u16::from_be_bytes([common[at], common[at + 1]]));
            let frames = u64::from(u32_at(&common, 2));
            self.format = Some(Format { channels: two(0), frames, bits: two(6) });
        }
        Ok(())
    }

    /// The sound chunk ends with the last whole frame of the file, and the form with it.
    fn mend_sound(&mut self, at: u64, size: u64, open: bool) -> io::Result<Option<Repair>> {
        let mut header = [0u8; SOUND_HEADER as usize];
        let (Some(format), true) = (self.format, read_up_to(self.media, &mut header)? == 8) else {
            return Ok(Some(Repair { sizes: vec![form_size(at)], truncation: None }));
        };
        let before = SOUND_HEADER + u64::from(u32_at(&header, 0));
        let present = self.length.saturating_sub(at + CHUNK_HEADER + before);
        let declared = if open { present } else { size.saturating_sub(before) };
        let frame_bytes = format.frame_bytes(declared);
        let (readable, declared) = (present / frame_bytes, declared / frame_bytes);
        let sound = before + readable * frame_bytes;
        let sizes = vec![
            form_size(at + CHUNK_HEADER + sound),
            (at + 4, u32::try_from(sound).unwrap_or(u32::MAX).to_be_bytes()),
        ];
        let truncation = (declared > readable).then_some(Truncation { declared, readable });
        Ok(Some(Repair { sizes, truncation }))
    }
}

/// The size of a form that ends here.
fn form_size(end: u64) -> (u64, [u8; 4]) {
    (4, u32::try_from(end - CHUNK_HEADER).unwrap_or(u32::MAX).to_be_bytes())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Media with other bytes in a few places.
struct Mended {
    media: Box<dyn Media>,
    at: u64,
    sizes: Vec<(u64, [u8; 4])>,
}

impl Read for Mended {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.media.read(out)?;
        for (place, bytes) in &self.sizes {
            for (offset, byte) in bytes.iter().enumerate() {
                let target = (place + offset as u64).checked_sub(self.at);
                if let Some(target) = target.filter(|&target| target < count as u64) {
                    out[target as usize] = *byte;
                }
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Mended {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.media.seek(to)?;
        Ok(self.at)
    }
}
