//! Parameters: what they are ([`ParamDesc`]) and how one moves within a call
//! ([`Ramp`]).
//!
//! Values move on an absolute grid of 16 frames: linear inside a cell, decided at
//! its edges. That makes a value a pure function of the frame, so that no cut of
//! the blocks can be heard.

/// Frames of one cell of the parameter grid.
pub const GRID: i64 = 16;

/// How a control maps 0..1 to the range. Modulation moves along the curve.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Curve {
    Linear,
    /// Equal ratios: frequencies, times. `min` is above zero.
    Exponential,
    /// `min + (max − min) · x^power`.
    Power(f64),
    /// Whole steps: switches and choices. Never smoothed.
    Stepped,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    None,
    Decibel,
    Hertz,
    Milliseconds,
    Seconds,
    Percent,
    Semitones,
    Cents,
    Ratio,
    Beats,
    Frames,
    Degrees,
    /// The value is an index into these names.
    Choice(&'static [&'static str]),
    Switch,
}

/// One parameter of a node kind. Ids are file format: never renamed, only added.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ParamDesc {
    pub id: &'static str,
    pub name: &'static str,
    pub unit: Unit,
    pub min: f64,
    pub max: f64,
    pub default: f64,
    pub curve: Curve,
    /// Time constant of the smoothing of unautomated changes; 0 is none.
    pub smoothing_ms: f64,
    /// Changes latency, ports or buffers: a new value means a new plan, and the
    /// node reads it in `prepare`.
    pub layout: bool,
    pub automatable: bool,
}

impl ParamDesc {
    /// A continuous, automatable, smoothed (5 ms) parameter.
    pub const fn new(
        id: &'static str,
        name: &'static str,
        unit: Unit,
        range: (f64, f64),
        default: f64,
    ) -> ParamDesc {
        ParamDesc {
            id,
            name,
            unit,
            min: range.0,
            max: range.1,
            default,
            curve: Curve::Linear,
            smoothing_ms: 5.0,
            layout: false,
            automatable: true,
        }
    }

    /// An automatable choice between names; the default is an index.
    pub const fn choice(
        id: &'static str,
        name: &'static str,
        names: &'static [&'static str],
        default: usize,
    ) -> ParamDesc {
        let max = (names.len() - 1) as f64;
        let desc = ParamDesc::new(id, name, Unit::Choice(names), (0.0, max), default as f64);
        desc.stepped()
    }

    pub const fn switch(id: &'static str, name: &'static str, default: bool) -> ParamDesc {
        let value = if default { 1.0 } else { 0.0 };
        ParamDesc::new(id, name, Unit::Switch, (0.0, 1.0), value).stepped()
    }

    pub const fn exponential(mut self) -> ParamDesc {
        self.curve = Curve::Exponential;
        self
    }

    pub const fn power(mut self, power: f64) -> ParamDesc {
        self.curve = Curve::Power(power);
        self
    }

    pub const fn stepped(mut self) -> ParamDesc {
        self.curve = Curve::Stepped;
        self.smoothing_ms = 0.0;
        self
    }

    pub const fn smoothing(mut self, ms: f64) -> ParamDesc {
        self.smoothing_ms = ms;
        self
    }

    pub const fn layout(mut self) -> ParamDesc {
        self.layout = true;
        self.automatable = false;
        self.smoothing_ms = 0.0;
        self
    }

    /// The rule for values out of range: the nearest in range; not a number is
    /// the default; stepped values are rounded to the nearest step.
    pub fn clamp(&self, value: f64) -> f64 {
        if value.is_nan() {
            return self.default;
        }
        let inside = value.clamp(self.min, self.max);
        if self.curve == Curve::Stepped { libm::rint(inside) } else { inside }
    }

    /// Native value → 0..1.
    pub fn normalise(&self, value: f64) -> f64 {
        let span = self.max - self.min;
        if span <= 0.0 {
            return 0.0;
        }
        match self.curve {
            Curve::Exponential if self.min > 0.0 => {
                crate::math::ln(value / self.min) / crate::math::ln(self.max / self.min)
            }
            Curve::Power(power) => crate::math::pow((value - self.min) / span, 1.0 / power),
            _ => (value - self.min) / span,
        }
    }

    /// 0..1 → native value.
    pub fn denormalise(&self, position: f64) -> f64 {
        let position = position.clamp(0.0, 1.0);
        let span = self.max - self.min;
        match self.curve {
            Curve::Exponential if self.min > 0.0 => {
                self.clamp(self.min * crate::math::pow(self.max / self.min, position))
            }
            Curve::Power(power) => self.clamp(self.min + span * crate::math::pow(position, power)),
            _ => self.clamp(self.min + span * position),
        }
    }
}

/// A value during one call: `base + slope · (phase + i)`, where `phase` counts
/// from the cell's first frame, so that a value depends on the frame alone.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Ramp {
    pub base: f64,
    /// Per frame.
    pub slope: f64,
    /// Frames from the start of the cell to the start of the call.
    pub phase: u32,
    /// The value at the end of the cell.
    pub end: f64,
}

impl Ramp {
    pub const fn constant(value: f64) -> Ramp {
        Ramp { base: value, slope: 0.0, phase: 0, end: value }
    }

    /// The ramp over one cell, from its `phase`-th frame on.
    pub fn cell(from: f64, to: f64, phase: u32) -> Ramp {
        Ramp { base: from, slope: (to - from) * (1.0 / GRID as f64), phase, end: to }
    }

    pub fn is_constant(&self) -> bool {
        self.slope == 0.0
    }

    /// The value at frame `i` of the call.
    #[inline(always)]
    pub fn at(&self, i: usize) -> f64 {
        self.base + self.slope * (self.phase as usize + i) as f64
    }
}

/// The first frame of the cell that holds `frame`.
pub fn cell_start(frame: i64) -> i64 {
    frame.div_euclid(GRID) * GRID
}
