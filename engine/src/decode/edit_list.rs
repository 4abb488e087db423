//! The edit list of an MP4 file: which part of its audio is meant to be heard.
//!
//! AAC encoders put about a thousand frames of priming first and say so here;
//! symphonia doesn't read it, and without it every M4A clip starts late.

use std::io::{self, SeekFrom};

use super::Media;

/// Boxes looked at before a file counts as hostile.
const MAX_BOXES: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EditList {
    /// Frames to skip, in the time scale of the track.
    pub(super) skip: u64,
    /// The length, in the time scale of the movie; 0 is up to the end.
    duration: u64,
    movie_scale: u32,
}

impl EditList {
    pub(super) fn frames_at(&self, rate: u32) -> Option<u64> {
        let known = self.duration > 0 && self.movie_scale > 0;
        let scaled = u128::from(self.duration) * u128::from(rate);
        // The movie's clock is coarse (often 1 ms): round up, never cut audio.
        known.then(|| scaled.div_ceil(u128::from(self.movie_scale)).min(1 << 62) as u64)
    }
}

/// The edit list of the first audio track, when it is one plain cut.
/// Leaves the reader at its start.
pub(super) fn find(media: &mut dyn Media) -> io::Result<Option<EditList>> {
    let mut head = [0u8; 8];
    let length = media.seek(SeekFrom::End(0))?;
    media.seek(SeekFrom::Start(0))?;
    let is_mp4 = media.read_exact(&mut head).is_ok() && &head[4..8] == b"ftyp";
    let mut walk = Walk { media, boxes_left: MAX_BOXES };
    let found = if is_mp4 { walk.movie(length).unwrap_or(None) } else { None };
    walk.media.seek(SeekFrom::Start(0))?;
    Ok(found)
}

struct Walk<'a> {
    media: &'a mut dyn Media,
    boxes_left: usize,
}

#[derive(Debug, Clone, Copy)]
struct Atom {
    kind: [u8; 4],
    start: u64,
    end: u64,
}

impl Walk<'_> {
    fn movie(&mut self, length: u64) -> io::Result<Option<EditList>> {
        let Some(movie) = self.child(0, length, b"moov")? else { return Ok(None) };
        let Some(header) = self.child(movie.start, movie.end, b"mvhd")? else { return Ok(None) };
        let movie_scale = self.movie_scale(header)?;
        let mut at = movie.start;
        while let Some(atom) = self.atom(at, movie.end)? {
            if &atom.kind == b"trak" && self.is_audio(atom)? {
                let cut = self.cut(atom)?;
                return Ok(cut.map(|(skip, duration)| EditList { skip, duration, movie_scale }));
            }
            at = atom.end;
        }
        Ok(None)
    }

    fn movie_scale(&mut self, header: Atom) -> io::Result<u32> {
        let version = self.number(header.start, 1)?;
        // Two dates come first: 4 bytes each, 8 in version 1.
        let at = header.start + if version == 1 { 20 } else { 12 };
        Ok(self.number(at, 4)? as u32)
    }

    fn is_audio(&mut self, track: Atom) -> io::Result<bool> {
        let Some(media) = self.child(track.start, track.end, b"mdia")? else { return Ok(false) };
        let Some(handler) = self.child(media.start, media.end, b"hdlr")? else { return Ok(false) };
        Ok(self.number(handler.start + 8, 4)? == u64::from(u32::from_be_bytes(*b"soun")))
    }

    /// Skip and duration of the one entry with audio; leading empty entries and
    /// anything that cuts the audio up are left to the arrangement.
    fn cut(&mut self, track: Atom) -> io::Result<Option<(u64, u64)>> {
        let Some(edits) = self.child(track.start, track.end, b"edts")? else { return Ok(None) };
        let Some(list) = self.child(edits.start, edits.end, b"elst")? else { return Ok(None) };
        let wide = self.number(list.start, 1)? == 1;
        let entries = self.number(list.start + 4, 4)?;
        let width = if wide { 8 } else { 4 };
        if entries != 1 {
            return Ok(None);
        }
        let duration = self.number(list.start + 8, width)?;
        let skip = self.number(list.start + 8 + width as u64, width)?;
        let negative = skip >> (width * 8 - 1) == 1;
        Ok((!negative).then_some((skip, duration)))
    }

    fn child(&mut self, start: u64, end: u64, kind: &[u8; 4]) -> io::Result<Option<Atom>> {
        let mut at = start;
        while let Some(atom) = self.atom(at, end)? {
            if &atom.kind == kind {
                return Ok(Some(atom));
            }
            at = atom.end;
        }
        Ok(None)
    }

    /// The atom at `at`, with `start` behind its header; none at the end, in a
    /// damaged size and when the allowance is used up.
    fn atom(&mut self, at: u64, end: u64) -> io::Result<Option<Atom>> {
        if at.saturating_add(8) > end || self.boxes_left == 0 {
            return Ok(None);
        }
        self.boxes_left -= 1;
        let size = self.number(at, 4)?;
        let kind = (self.number(at + 4, 4)? as u32).to_be_bytes();
        let (size, header) = match size {
            0 => (end - at, 8),
            1 => (self.number(at + 8, 8)?, 16),
            size => (size, 8),
        };
        let stop = at.saturating_add(size).min(end);
        let start = at + header;
        Ok((size >= header && start <= stop).then_some(Atom { kind, start, end: stop }))
    }

    fn number(&mut self, at: u64, bytes: usize) -> io::Result<u64> {
        let mut raw = [0u8; 8];
        self.media.seek(SeekFrom::Start(at))?;
        self.media.read_exact(&mut raw[8 - bytes..])?;
        Ok(u64::from_be_bytes(raw))
    }
}
