//! What instruments and effects have in common: the walk through the events and grid
//! points of a call, and the way from a sum of voices to the output.

use crate::{
    event::{Event, EventBody},
    math,
    node::{Io, StateVisitor},
    param::{GRID, Ramp, cell_start},
};

/// Frames that are summed at once: none crosses a point of the parameter grid.
pub const MOST_FRAMES: usize = GRID as usize;

/// One stage of a call, in the order in which they happen.
pub enum Step<'a> {
    /// The next frame to render is this absolute frame, a point of the grid.
    GridPoint(i64),
    /// An event at this absolute frame.
    Event(&'a Event, i64),
    /// Frames `at..at + length` of the call, with nothing happening within them.
    Render { at: usize, length: usize },
}

/// Walks through a call. Grid points come before the events of their frame.
pub fn walk<'a>(frame: i64, frames: usize, events: &'a [Event], mut visit: impl FnMut(Step<'a>)) {
    let mut events = events.iter().peekable();
    let mut at = 0;
    while at < frames {
        let now = frame + at as i64;
        if cell_start(now) == now {
            visit(Step::GridPoint(now));
        }
        while let Some(event) = events.next_if(|event| event.offset as usize <= at) {
            visit(Step::Event(event, now));
        }
        let to_cell_end = (cell_start(now) + GRID - now) as usize;
        let to_event = events.peek().map_or(frames, |event| event.offset as usize) - at;
        let length = to_cell_end.min(to_event).min(frames - at);
        visit(Step::Render { at, length });
        at += length;
    }
}

/// A note as the player meant it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Note {
    pub id: u128,
    pub channel: u8,
    pub key: u8,
    pub pitch: f64,
    pub velocity: f64,
}

impl Note {
    /// What note-off names it by.
    pub fn identity(&self) -> (u128, u8, u8) {
        (self.id, self.channel, self.key)
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.u128(&mut self.id);
        let mut keys = u64::from(self.channel) << 8 | u64::from(self.key);
        visitor.u64(&mut keys);
        (self.channel, self.key) = ((keys >> 8) as u8, keys as u8);
        visitor.f64(&mut self.pitch);
        visitor.f64(&mut self.velocity);
    }
}

/// What is said of one note while it sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expression {
    /// Semitones.
    pub tuning: f64,
    pub pressure: f64,
    /// Brightness, 0..1; the middle changes nothing.
    pub timbre: f64,
    gain: f64,
    pan: f64,
}

impl Default for Expression {
    fn default() -> Expression {
        Expression { tuning: 0.0, pressure: 0.0, timbre: 0.5, gain: 1.0, pan: 0.0 }
    }
}

impl Expression {
    /// True if the event was about a note.
    pub fn hear(&mut self, body: &EventBody) -> bool {
        match *body {
            EventBody::NoteTuning { semitones } => self.tuning = semitones,
            EventBody::NotePressure { value } => self.pressure = f64::from(value),
            EventBody::NoteTimbre { value } => self.timbre = f64::from(value),
            EventBody::NoteGain { value } => self.gain = f64::from(value).clamp(0.0, 1.0),
            EventBody::NotePan { value } => self.pan = f64::from(value).clamp(-1.0, 1.0),
            _ => return false,
        }
        true
    }

    /// Gains of both sides; the middle is untouched.
    pub fn sides(&self) -> [f64; 2] {
        [self.gain * (1.0 - self.pan).min(1.0), self.gain * (1.0 + self.pan).min(1.0)]
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        let Expression { tuning, pressure, timbre, gain, pan } = self;
        [tuning, pressure, timbre, gain, pan].into_iter().for_each(|value| visitor.f64(value));
    }
}

/// A value on a straight line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    now: f64,
    step: f64,
}

impl Line {
    pub fn start(value: f64) -> Line {
        Line { now: value, step: 0.0 }
    }

    pub fn value(&self) -> f64 {
        self.now
    }

    /// Aims at a value for the next grid point. A line that is there stays there
    /// exactly.
    pub fn aim(&mut self, target: f64) {
        self.step = (target - self.now) * (1.0 / GRID as f64);
        if self.step.abs() < 1e-12 * target.abs() {
            *self = Line::start(target);
        }
    }

    #[inline]
    pub fn next(&mut self) -> f64 {
        self.now += self.step;
        self.now
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.f64(&mut self.now);
        visitor.f64(&mut self.step);
    }
}

/// Whether an event's note is this one: notes from a clip have ids of their own,
/// live keys without one go by channel and key.
pub fn is_same_note(of_event: (u128, u8, u8), note: (u128, u8, u8)) -> bool {
    if of_event.0 != 0 {
        of_event.0 == note.0
    } else {
        (of_event.1, of_event.2) == (note.1, note.2)
    }
}

/// Writes a sum of voices to the main output under a gain parameter in decibels.
/// A mono output takes the mean of both channels.
pub fn write(io: &mut Io<'_>, at: usize, sum: &[[f64; 2]], gain: usize) {
    let gain = decibel_ramp(io.param_ramp(gain));
    let mono = io.output_channels(0) < 2;
    let (left, right) = io.output_pair(0);
    for (i, frame) in sum.iter().enumerate() {
        let gain = gain.at(at + i);
        if mono {
            left[at + i] = ((frame[0] + frame[1]) * 0.5 * gain) as f32;
        } else {
            left[at + i] = (frame[0] * gain) as f32;
            right[at + i] = (frame[1] * gain) as f32;
        }
    }
}

/// A ramp in decibels as the straight line between the gains at its ends.
pub fn decibel_ramp(ramp: Ramp) -> Ramp {
    mapped(ramp, math::db_to_gain)
}

/// A curved function of a moving parameter: exact at the ends of a grid cell, straight
/// in between.
pub fn mapped(ramp: Ramp, map: impl Fn(f64) -> f64) -> Ramp {
    if ramp.is_constant() {
        return Ramp::constant(map(ramp.end));
    }
    Ramp::cell(map(ramp.base), map(ramp.end), ramp.phase)
}
