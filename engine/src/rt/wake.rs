//! Where the course stood lately, for acts that come too late.
//!
//! An act on what is rendered ahead has a frame, and those who render ahead keep
//! it. Where the thread that sends it was held up, the audio thread has passed
//! that frame: doing the act then and there would put it behind everybody else
//! until the next seek. It goes by what would be if the act had come in time.

use std::collections::VecDeque;

use super::{course::Course, events::Act, song::Song};

/// Courses that are kept, and the least frames between two.
const KEPT: usize = 256;
const APART: u64 = 128;

/// Sorted by clock; allocates nothing once it is made.
pub struct Wake {
    courses: VecDeque<Course>,
}

impl Default for Wake {
    fn default() -> Wake {
        Wake { courses: VecDeque::with_capacity(KEPT) }
    }
}

/// All of it is called on the real-time thread.
impl Wake {
    /// A course on its way.
    pub fn pass(&mut self, course: &Course) {
        let last = self.courses.back();
        if last.is_none_or(|last| course.clock() >= last.clock() + APART) {
            self.keep(course);
        }
    }

    /// A course on which somebody acted just now.
    pub fn keep(&mut self, course: &Course) {
        if self.courses.len() == KEPT {
            self.courses.pop_front();
        }
        self.courses.push_back(course.clone());
    }

    /// The course that stands where `now` stands, if the act had been done at `at`,
    /// and whether everything has to be silent. None where that is forgotten.
    pub fn as_if(&mut self, at: u64, act: Act, song: &Song, now: u64) -> Option<(Course, bool)> {
        while self.courses.back().is_some_and(|last| last.clock() > at) {
            self.courses.pop_back();
        }
        let mut course = self.courses.back()?.clone();
        course.run_to(at);
        let mut reset = course.act(act, song).reset;
        self.keep(&course);
        reset |= course.run_to(now);
        Some((course, reset))
    }
}
