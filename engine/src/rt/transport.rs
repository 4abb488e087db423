//! Play, stop, seek, loop, count-in and punch, as the audio thread keeps them.
//!
//! There are two clocks, as in [`crate::transport`]: the frame of the next block,
//! which never stands still, and the place in the song. While playing they are
//! one; a start, a seek or a wrap of the loop sets the first to the second, which
//! is a jump that executors have to be told of.

use super::song::Song;
use crate::transport::{Timeline, Transport as At};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    #[default]
    Stopped,
    /// Beats are counted; the song waits.
    CountIn,
    Playing,
    /// Nothing runs; tails and voices wait for the next play.
    Paused,
}

/// A stretch of the song in frames; the end is outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub start: i64,
    pub end: i64,
}

impl Range {
    pub fn new(start: i64, end: i64) -> Option<Range> {
        (start < end).then_some(Range { start, end })
    }

    pub fn contains(&self, frame: i64) -> bool {
        (self.start..self.end).contains(&frame)
    }
}

/// How to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Start {
    /// Where the transport stands, when absent.
    pub from: Option<i64>,
    /// Frames of the song that are played before it, to get into it.
    pub pre_roll: i64,
    /// Bars that are counted before anything plays.
    pub count_in: u8,
    pub record: bool,
}

/// What follows from a command, for who runs the executor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Jump {
    /// By how much the clock of blocks moved.
    pub by: i64,
    /// Notes of the song that still sound have lost their note-off.
    pub release: bool,
    /// The song goes on from another place: notes that are held there begin.
    pub landed: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Transport {
    mode: Mode,
    /// The frame of the next block.
    frame: i64,
    /// Where the song stands while it does not play.
    place: i64,
    /// Where play began, for the second stop.
    began: i64,
    record_from: Option<i64>,
    looped: Option<Range>,
    punch: Option<Range>,
    count_left: u64,
    count_length: u64,
    jumped: bool,
}

/// The transport during one block, asked by nodes at their own frames.
pub struct Now<'a> {
    song: &'a Song,
    playing: bool,
    place: i64,
    record_from: Option<i64>,
    punch: Option<Range>,
    jumped: bool,
}

impl Timeline for Now<'_> {
    fn at(&self, frame: i64) -> At {
        let song_frame = if self.playing { frame } else { self.place };
        let recording = self.playing
            && self.record_from.is_some_and(|from| song_frame >= from)
            && self.punch.is_none_or(|punch| punch.contains(song_frame));
        At { playing: self.playing, recording, jumped: self.jumped, ..self.song.at(song_frame) }
    }
}

/// All of it is called on the real-time thread.
impl Transport {
    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn frame(&self) -> i64 {
        self.frame
    }

    pub fn song_frame(&self) -> i64 {
        if self.mode == Mode::Playing { self.frame } else { self.place }
    }

    pub fn recording(&self) -> bool {
        self.mode == Mode::Playing
            && self.record_from.is_some_and(|from| self.frame >= from)
            && self.punch.is_none_or(|punch| punch.contains(self.frame))
    }

    pub fn set_loop(&mut self, range: Option<Range>) {
        self.looped = range;
    }

    pub fn set_punch(&mut self, range: Option<Range>) {
        self.punch = range;
    }

    pub fn play(&mut self, start: Start, song: &Song) -> Jump {
        // From where it stands: with the voices and tails that were kept.
        if self.mode == Mode::Paused && start.from.is_none_or(|from| from == self.place) {
            self.mode = Mode::Playing;
            return Jump::default();
        }
        let was_playing = self.mode == Mode::Playing;
        let from = start.from.unwrap_or(self.song_frame());
        self.record_from = start.record.then_some(from);
        if was_playing && start.from.is_none() {
            return Jump::default();
        }
        self.began = from;
        self.place = from - start.pre_roll.max(0);
        let beats = f64::from(song.at(self.place).signature_numerator) * f64::from(start.count_in);
        self.count_length = libm::rint(beats * song.beat_frames(self.place)) as u64;
        self.count_left = self.count_length;
        if self.count_left > 0 {
            self.mode = Mode::CountIn;
            return Jump { release: was_playing, ..Jump::default() };
        }
        self.mode = Mode::Playing;
        Jump { release: was_playing, ..self.jump_to(self.place) }
    }

    pub fn stop(&mut self) -> Jump {
        match self.mode {
            Mode::Stopped => {
                self.jumped = self.place != self.began;
                self.place = self.began;
                Jump::default()
            }
            _ => {
                self.place = self.song_frame();
                self.mode = Mode::Stopped;
                self.record_from = None;
                self.jumped = true;
                Jump { release: true, ..Jump::default() }
            }
        }
    }

    pub fn pause(&mut self) {
        match self.mode {
            Mode::Playing => {
                self.place = self.frame;
                self.mode = Mode::Paused;
            }
            Mode::CountIn => self.mode = Mode::Stopped,
            Mode::Stopped | Mode::Paused => {}
        }
    }

    pub fn seek(&mut self, to: i64) -> Jump {
        self.place = to;
        self.jumped = true;
        match self.mode {
            Mode::Playing => Jump { release: true, ..self.jump_to(to) },
            Mode::Paused => {
                self.mode = Mode::Stopped;
                self.began = to;
                Jump { release: true, ..Jump::default() }
            }
            Mode::Stopped | Mode::CountIn => {
                self.began = to;
                Jump::default()
            }
        }
    }

    fn jump_to(&mut self, to: i64) -> Jump {
        let by = to - self.frame;
        self.frame = to;
        self.jumped = true;
        Jump { by, release: false, landed: true }
    }

    /// Frames that may be run before something happens by itself.
    pub fn span(&self) -> u64 {
        match self.mode {
            Mode::CountIn => self.count_left,
            Mode::Playing => match self.looped {
                Some(range) if self.frame < range.end => (range.end - self.frame) as u64,
                _ => u64::MAX,
            },
            Mode::Stopped | Mode::Paused => u64::MAX,
        }
    }

    /// How many frames of the count-in are over, while it runs.
    pub fn counted(&self) -> Option<u64> {
        (self.mode == Mode::CountIn).then_some(self.count_length - self.count_left)
    }

    pub fn now<'a>(&self, song: &'a Song) -> Now<'a> {
        Now {
            song,
            playing: self.mode == Mode::Playing,
            place: self.place,
            record_from: self.record_from,
            punch: self.punch,
            jumped: self.jumped,
        }
    }

    /// After `frames`, at most a span, were run.
    pub fn advance(&mut self, frames: u64) -> Jump {
        self.jumped = false;
        if self.mode == Mode::Paused {
            return Jump::default();
        }
        self.frame += frames as i64;
        match (self.mode, self.looped) {
            (Mode::CountIn, _) => {
                self.count_left = self.count_left.saturating_sub(frames);
                if self.count_left > 0 {
                    return Jump::default();
                }
                self.mode = Mode::Playing;
                self.jump_to(self.place)
            }
            (Mode::Playing, Some(range)) if self.frame == range.end => {
                Jump { release: true, ..self.jump_to(range.start) }
            }
            _ => Jump::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(transport: &mut Transport, frames: u64) -> Vec<i64> {
        let mut left = frames;
        let mut seen = vec![];
        while left > 0 {
            let part = transport.span().min(left);
            seen.push(transport.song_frame());
            transport.advance(part);
            left -= part;
        }
        seen
    }

    #[test]
    fn stop_stays_and_a_second_stop_goes_back() {
        let song = Song::plain(48_000);
        let mut transport = Transport::default();
        transport.play(Start { from: Some(1_000), ..Start::default() }, &song);
        run(&mut transport, 500);
        assert_eq!(transport.stop(), Jump { release: true, ..Jump::default() });
        run(&mut transport, 77);
        assert_eq!((transport.mode(), transport.song_frame()), (Mode::Stopped, 1_500));
        transport.stop();
        assert_eq!(transport.song_frame(), 1_000);
    }

    #[test]
    fn the_loop_wraps_at_its_very_frame() {
        let song = Song::plain(48_000);
        let mut transport = Transport::default();
        transport.set_loop(Range::new(100, 130));
        transport.play(Start { from: Some(90), ..Start::default() }, &song);
        assert_eq!(run(&mut transport, 100), [90, 100, 100]);
        assert_eq!(transport.song_frame(), 100);
        transport.seek(500);
        assert_eq!(transport.span(), u64::MAX, "behind the loop there is no end");
    }

    #[test]
    fn a_count_in_takes_its_bars_and_then_plays() {
        let song = Song::plain(48_000);
        let mut transport = Transport::default();
        let start = Start { from: Some(7), count_in: 1, record: true, pre_roll: 0 };
        transport.play(start, &song);
        assert_eq!((transport.mode(), transport.span()), (Mode::CountIn, 96_000));
        run(&mut transport, 96_000);
        assert_eq!((transport.mode(), transport.song_frame()), (Mode::Playing, 7));
        assert!(transport.recording());
    }

    #[test]
    fn recording_waits_for_pre_roll_and_punch() {
        let song = Song::plain(48_000);
        let mut transport = Transport::default();
        transport.set_punch(Range::new(120, 140));
        let start = Start { from: Some(100), pre_roll: 50, record: true, count_in: 0 };
        transport.play(start, &song);
        let now = transport.now(&song);
        let recording = |frame| now.at(frame).recording;
        assert_eq!(transport.song_frame(), 50);
        assert_eq!(
            [50, 100, 119, 120, 139, 140].map(recording),
            [false, false, false, true, true, false]
        );
    }
}
