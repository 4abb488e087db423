//! What the controllers of a MIDI channel last said, for every instrument alike.
//!
//! Volume, expression and panorama are gains that fall on sounding notes, so they slide to a new
//! value at the points of the absolute grid; what moves pitch and tone is smoothed by the voices.

use crate::{dsp::smooth, node::StateVisitor, param::GRID};

pub const CHANNELS: usize = 16;

/// Time constant of the slide to a new volume.
const SLIDE_SECONDS: f64 = 0.005;
/// A gain this close is there.
const THERE: f64 = 1e-6;

/// What an instrument has to do after a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Nothing,
    /// Notes that only the pedal holds end.
    PedalUp,
    /// Every sound of the channel ends at once.
    SoundOff,
    /// Every held key of the channel is let go.
    NotesOff,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controllers {
    /// −1..1.
    pub bend: f64,
    pub wheel: f64,
    pub pressure: f64,
    /// Brightness, 0..1; the middle changes nothing.
    pub timbre: f64,
    pub pedal: bool,
    volume: f64,
    expression: f64,
    /// 0 left, 1 right.
    pan: f64,
    /// Gains of both sides as they are now, on their way to what the three above ask for.
    pub sides: [f64; 2],
}

impl Default for Controllers {
    fn default() -> Controllers {
        Controllers {
            bend: 0.0,
            wheel: 0.0,
            pressure: 0.0,
            timbre: 0.5,
            pedal: false,
            volume: 1.0,
            expression: 1.0,
            pan: 0.5,
            sides: [1.0; 2],
        }
    }
}

impl Controllers {
    pub fn hear(&mut self, controller: u8, value: f32) -> Order {
        let value = f64::from(value).clamp(0.0, 1.0);
        match controller {
            1 => self.wheel = value,
            7 => self.volume = value,
            10 => self.pan = value,
            11 => self.expression = value,
            64 => {
                let was_down = self.pedal;
                self.pedal = value >= 0.5;
                if was_down && !self.pedal {
                    return Order::PedalUp;
                }
            }
            74 => self.timbre = value,
            120 => return Order::SoundOff,
            // As the standard has it: volume and panorama stay, what a hand holds is let go.
            121 => {
                let Controllers { volume, pan, sides, pedal, .. } = *self;
                *self = Controllers { volume, pan, sides, ..Controllers::default() };
                if pedal {
                    return Order::PedalUp;
                }
            }
            123..=127 => return Order::NotesOff,
            _ => {}
        }
        Order::Nothing
    }

    /// Seven bits have no middle: 64 of 127, and what is nearest to it, is the middle.
    fn goal(&self) -> [f64; 2] {
        let loud = self.volume * self.volume * self.expression * self.expression;
        let pan = if (self.pan - 0.5).abs() < 0.005 { 0.5 } else { self.pan };
        [loud * (2.0 - 2.0 * pan).min(1.0), loud * (2.0 * pan).min(1.0)]
    }

    /// The brightness as a push in either direction.
    pub fn brightness(&self) -> f64 {
        push(self.timbre)
    }

    /// At every point of the absolute grid. `keep` is [`keep`] of the rate.
    pub fn slide(&mut self, keep: f64) {
        let goal = self.goal();
        for (now, goal) in self.sides.iter_mut().zip(goal) {
            let next = smooth::step(*now, goal, keep);
            *now = if (next - goal).abs() < THERE { goal } else { next };
        }
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        for value in [
            &mut self.bend,
            &mut self.wheel,
            &mut self.pressure,
            &mut self.timbre,
            &mut self.volume,
            &mut self.expression,
            &mut self.pan,
        ] {
            visitor.f64(value);
        }
        visitor.bool(&mut self.pedal);
        visitor.f64s(&mut self.sides);
    }
}

/// −1..1 of a controller whose middle changes nothing.
pub fn push(value: f64) -> f64 {
    if (value - 0.5).abs() < 0.005 { 0.0 } else { 2.0 * value - 1.0 }
}

/// What is left of a slide after one cell of the grid.
pub fn keep(rate: f64) -> f64 {
    smooth::coefficient(SLIDE_SECONDS, rate / GRID as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(said: &[(u8, f32)]) -> [f64; 2] {
        let mut controllers = Controllers::default();
        said.iter().for_each(|(controller, value)| {
            controllers.hear(*controller, *value);
        });
        (0..1000).for_each(|_| controllers.slide(keep(48_000.0)));
        controllers.sides
    }

    #[test]
    fn volume_and_expression_are_squares_and_the_middle_is_the_middle() {
        assert_eq!(settled(&[]), [1.0, 1.0]);
        assert_eq!(settled(&[(10, 64.0 / 127.0)]), [1.0, 1.0]);
        assert_eq!(settled(&[(7, 0.5), (11, 0.5)]), [0.0625, 0.0625]);
        assert_eq!(settled(&[(10, 0.0)]), [1.0, 0.0]);
        assert_eq!(settled(&[(10, 1.0)]), [0.0, 1.0]);
    }

    #[test]
    fn reset_all_controllers_leaves_volume_and_lifts_the_pedal() {
        let mut controllers = Controllers::default();
        for controller in [1, 7, 11, 64, 74] {
            controllers.hear(controller, 0.9);
        }
        controllers.bend = 0.5;
        assert_eq!(controllers.hear(121, 0.0), Order::PedalUp);
        let expect = Controllers { volume: f64::from(0.9f32), ..Controllers::default() };
        assert_eq!(controllers, expect);
    }
}
