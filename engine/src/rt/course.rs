//! The way of the engine through time, apart from sound: transport, fades and the
//! two counts of frames.
//!
//! The callback lives by a course, and so does everybody who computes what it
//! will play before it plays it: the same acts at the same frames of the clock
//! give the same course, whoever runs it and however it is cut.

use super::{
    events::Act,
    song::Song,
    transport::{Jump, Mode, Now, Transport},
};

/// How long pause and panic take to fall silent.
const FADE_SECONDS: f64 = 0.005;

/// Turns of a loop that are looked ahead.
const WRAPS: usize = 4_096;

/// What happens once a fade has ended: a pause and a panic of one moment share it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct AfterFade {
    pause: bool,
    silence: bool,
}

impl AfterFade {
    fn anything(self) -> bool {
        self.pause || self.silence
    }
}

/// What executors have to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effect {
    pub jump: Jump,
    /// Everything as if nothing had been heard, after the jump.
    pub reset: bool,
}

/// All of it is real-time safe.
#[derive(Clone, Debug)]
pub struct Course {
    transport: Transport,
    clock: u64,
    ran: u64,
    /// Frames of fade that are left until silence.
    level: u32,
    fade: u32,
    after_fade: AfterFade,
}

impl Course {
    pub fn new(rate: u32) -> Course {
        let fade = (libm::rint(FADE_SECONDS * f64::from(rate)) as u32).max(1);
        let transport = Transport::default();
        Course { transport, clock: 0, ran: 0, level: fade, fade, after_fade: AfterFade::default() }
    }

    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Frames since the engine started.
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// Frames that nodes have run: the clock without what was paused.
    pub fn ran(&self) -> u64 {
        self.ran
    }

    /// Whether nodes run.
    pub fn runs(&self) -> bool {
        self.transport.mode() != Mode::Paused
    }

    pub fn now<'a>(&self, song: &'a Song) -> Now<'a> {
        self.transport.now(song)
    }

    pub fn act(&mut self, act: Act, song: &Song) -> Effect {
        let jump = match act {
            Act::Play(start) => {
                self.after_fade.pause = false;
                self.transport.play(start, song)
            }
            Act::Stop => self.transport.stop(),
            Act::Seek(to) => self.transport.seek(to),
            other => {
                self.quiet_act(other);
                Jump::default()
            }
        };
        Effect { jump, reset: false }
    }

    /// Acts that move nothing.
    fn quiet_act(&mut self, act: Act) {
        match act {
            Act::Pause if self.transport.mode() == Mode::Playing => {
                self.after_fade.pause = true;
            }
            Act::Pause => self.transport.pause(),
            Act::Loop(range) => self.transport.set_loop(range),
            Act::Punch(range) => self.transport.set_punch(range),
            Act::Panic => self.after_fade.silence = true,
            _ => {}
        }
    }

    /// Frames, at least one, until something happens by itself.
    pub fn span(&self) -> u64 {
        let span = self.transport.span();
        if self.after_fade.anything() {
            span.min(u64::from(self.level)).max(1)
        } else {
            span.max(1)
        }
    }

    fn fades_down(&self) -> bool {
        self.after_fade.anything() || !self.runs()
    }

    /// Whether the coming frames sound as they are.
    pub fn is_full(&self) -> bool {
        self.level == self.fade && !self.fades_down()
    }

    /// The gain of a frame of the coming span.
    pub fn gain(&self, offset: usize) -> f32 {
        self.level_after(offset as u64 + 1) as f32 / self.fade as f32
    }

    fn level_after(&self, frames: u64) -> u32 {
        let way = frames.min(u64::from(self.fade)) as u32;
        if self.fades_down() {
            self.level.saturating_sub(way)
        } else {
            (self.level + way).min(self.fade)
        }
    }

    /// After frames, at most a span, were run.
    pub fn advance(&mut self, frames: u64) -> Effect {
        self.level = self.level_after(frames);
        self.clock += frames;
        self.ran += if self.runs() { frames } else { 0 };
        let mut effect = Effect { jump: self.transport.advance(frames), reset: false };
        if self.level == 0 {
            let then = std::mem::take(&mut self.after_fade);
            if then.pause {
                self.transport.pause();
            }
            effect.reset = then.silence;
        }
        effect
    }

    /// The position from which on this course gives something else than another
    /// that stands where it stands, if nobody acts; none when that lies further
    /// than `most` frames.
    pub fn parts_from(&self, other: &Course, most: u64) -> Option<u64> {
        let (mut a, mut b) = (self.clone(), other.clone());
        let end = self.clock.saturating_add(most);
        for _ in 0..WRAPS {
            let frames = a.span().min(b.span()).min(end.saturating_sub(a.clock));
            if frames == 0 {
                return None;
            }
            let (left, right) = (a.advance(frames), b.advance(frames));
            let place = |course: &Course| {
                (course.ran, course.level, course.transport.mode(), course.transport.frame())
            };
            if left != right || place(&a) != place(&b) {
                return Some(a.ran.min(b.ran));
            }
        }
        Some(a.ran)
    }

    /// The same course at a later frame of the clock, if nobody acts; whether all
    /// falls silent on the way.
    pub fn run_to(&mut self, clock: u64) -> bool {
        let mut reset = false;
        while self.clock < clock {
            reset |= self.advance(self.span().min(clock - self.clock)).reset;
        }
        reset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::transport::{Range, Start};

    fn walk(cuts: &[u64]) -> Course {
        let song = Song::plain(48_000);
        let acts = [
            (10, Act::Loop(Range::new(500, 900))),
            (20, Act::Play(Start { from: Some(300), ..Start::default() })),
            (1_700, Act::Pause),
            (3_000, Act::Play(Start::default())),
            (3_100, Act::Panic),
            (5_000, Act::Seek(10_000)),
            (5_001, Act::Pause),
        ];
        let (mut course, mut turn) = (Course::new(48_000), 0);
        for (at, act) in acts {
            while course.clock() < at {
                let cut = cuts[turn % cuts.len()];
                course.advance(course.span().min(cut).min(at - course.clock()));
                turn += 1;
            }
            course.act(act, &song);
        }
        course.run_to(9_000);
        course
    }

    #[test]
    fn a_course_does_not_depend_on_its_cuts() {
        let expect = format!("{:?}", walk(&[u64::MAX]));
        for cuts in [&[1][..], &[64], &[7, 300, 1]] {
            assert_eq!(format!("{:?}", walk(cuts)), expect, "{cuts:?}");
        }
    }

    #[test]
    fn a_pause_and_a_panic_of_one_moment_both_happen() {
        let song = Song::plain(48_000);
        let check = |acts: &[Act], mode: Mode, expect_reset: bool| {
            let mut course = Course::new(48_000);
            course.act(Act::Play(Start { from: Some(0), ..Start::default() }), &song);
            course.run_to(1_000);
            acts.iter().for_each(|&act| _ = course.act(act, &song));
            let reset = course.run_to(2_000);
            assert_eq!((course.transport().mode(), reset), (mode, expect_reset), "{acts:?}");
        };
        let play = Act::Play(Start::default());
        check(&[Act::Pause, Act::Panic], Mode::Paused, true);
        check(&[Act::Panic, Act::Pause], Mode::Paused, true);
        check(&[Act::Pause], Mode::Paused, false);
        check(&[Act::Panic], Mode::Playing, true);
        check(&[Act::Pause, Act::Panic, play], Mode::Playing, true);
        check(&[Act::Pause, Act::Panic, Act::Stop], Mode::Stopped, true);
    }

    #[test]
    fn a_loop_is_another_course_from_where_it_ends() {
        let song = Song::plain(48_000);
        let playing = |range| {
            let mut course = Course::new(48_000);
            course.act(Act::Play(Start { from: Some(300), ..Start::default() }), &song);
            course.act(Act::Loop(range), &song);
            course
        };
        let check = |a: Option<Range>, b: Option<Range>, expect: Option<u64>| {
            assert_eq!(playing(a).parts_from(&playing(b), 10_000), expect, "{a:?} {b:?}");
        };
        check(None, Range::new(0, 900), Some(600));
        check(None, Range::new(0, 90_000), None);
        check(None, Range::new(0, 200), None);
        check(Range::new(100, 900), Range::new(100, 900), None);
        check(Range::new(100, 900), Range::new(200, 900), Some(600));
        check(Range::new(500, 900), Range::new(500, 1_400), Some(600));
        let stopped = Course::new(48_000);
        let mut looped = stopped.clone();
        looped.act(Act::Loop(Range::new(0, 10)), &song);
        assert_eq!(stopped.parts_from(&looped, 10_000), None);
    }

    #[test]
    fn frames_that_are_paused_are_not_run() {
        let course = walk(&[64]);
        // 240 frames of fade each, then silence until play and until the end.
        assert_eq!(course.clock() - course.ran(), (3_000 - 1_940) + (9_000 - 5_241));
    }
}
