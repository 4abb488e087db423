//! What instruments and effects have in common: the walk through the events and grid
//! points of a call, and the way from a sum of voices to the output.

use crate::{
    event::Event,
    math,
    node::Io,
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
