//! How the parameters of one node move: smoothing, automation and modulation, all
//! decided at the edges of the absolute 16-frame grid.

use crate::{
    material::{NodeMaterial, automation_at},
    node::{Descriptor, StateVisitor},
    param::{Curve, GRID, Ramp, cell_start},
};

/// The cell of parameters that have to be looked at before anything else.
const UNKNOWN: i64 = i64::MIN;
/// That of parameters of which nothing moves: whichever was looked at last.
const STEADY: i64 = i64::MIN + 1;

/// What is left of the way when a smoothed value snaps to its target, in parts of
/// the range: below any audible step, and soon reached.
const SNAP: f64 = 1e-6;

#[derive(Clone, Copy, Default)]
struct Param {
    /// Smoothed, before modulation.
    base: f64,
    target: f64,
    /// At the end of the current cell.
    end: f64,
    /// Share of the way that one cell covers.
    pace: f64,
    stepped: bool,
    automated: bool,
    modulated: bool,
}

pub(crate) struct Params {
    list: Vec<Param>,
    pub ramps: Vec<Ramp>,
    /// The cell that `ramps` describes, by its first frame.
    cell: i64,
    /// Whether any value differs from what the node saw last.
    pub changed: bool,
    /// Whether the next cell has to be looked at.
    restless: bool,
    /// Whether calls must end with the cell.
    per_cell: bool,
    /// The frame until which nothing can change by itself.
    steady_until: i64,
    any_modulated: bool,
}

/// Where automation stands: the song is not the clock while stopped.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub playing: bool,
    pub song_frame: i64,
}

impl Params {
    pub fn new(descriptor: Option<&Descriptor>, modulated: &[u32], rate: u32) -> Params {
        let descs = descriptor.map_or(&[][..], |descriptor| descriptor.params);
        let mut list: Vec<Param> = (descs.iter())
            .map(|desc| {
                let frames = desc.smoothing_ms * 0.001 * f64::from(rate);
                let pace =
                    if frames <= 0.0 { 1.0 } else { 1.0 - crate::math::exp(-GRID as f64 / frames) };
                let stepped = desc.curve == Curve::Stepped;
                Param { pace, stepped, ..Param::default() }
            })
            .collect();
        modulated.iter().for_each(|&param| list[param as usize].modulated = true);
        Params {
            ramps: vec![Ramp::default(); list.len()],
            any_modulated: !modulated.is_empty(),
            list,
            cell: UNKNOWN,
            changed: true,
            restless: true,
            per_cell: true,
            steady_until: i64::MIN,
        }
    }

    /// Takes every value at once, without smoothing.
    pub fn start(&mut self, material: &NodeMaterial) {
        for (param, &value) in self.list.iter_mut().zip(&material.params) {
            (param.base, param.target, param.end) = (value, value, value);
        }
        self.follow(material);
    }

    /// Takes new targets and automation, smoothly.
    pub fn follow(&mut self, material: &NodeMaterial) {
        self.list.iter_mut().for_each(|param| param.automated = false);
        for (index, _) in &material.automation {
            self.list[*index as usize].automated = true;
        }
        for index in 0..self.list.len().min(material.params.len()) {
            self.aim(index, material.params[index]);
        }
        self.restless = true;
        self.per_cell = true;
    }

    /// A new target. A stepped value is there at once.
    pub fn aim(&mut self, index: usize, value: f64) {
        let Some(param) = self.list.get_mut(index) else { return };
        if param.target == value && param.base == value {
            return;
        }
        param.target = value;
        self.restless = true;
        self.per_cell = true;
        if param.stepped && !param.automated && !param.modulated {
            param.base = value;
            if param.end != value {
                param.end = value;
                self.ramps[index] = Ramp::constant(value);
                self.changed = true;
            }
        }
    }

    /// Called before every run of frames, with the first frame of it.
    pub fn enter(
        &mut self,
        frame: i64,
        descriptor: &Descriptor,
        material: &NodeMaterial,
        clock: Clock,
        modulation: impl Fn(u32, i64) -> f64,
    ) {
        let cell = cell_start(frame);
        let phase = (frame - cell) as u32;
        if cell == self.cell {
            if self.per_cell {
                self.ramps.iter_mut().filter(|ramp| !ramp.is_constant()).for_each(|ramp| {
                    ramp.phase = phase;
                });
            }
            return;
        }
        // Who is only now told of a change in a cell that began without being looked
        // at hears of it with the next one, as do those who looked.
        let still = self.ramps.iter().all(Ramp::is_constant);
        let late = phase > 0 && self.cell != UNKNOWN && still;
        let follows = self.cell > STEADY && cell == self.cell + GRID;
        self.cell = cell;
        if late {
            return;
        }
        if !self.restless && frame < self.steady_until {
            return;
        }
        self.next_cell(cell, phase, follows, descriptor, material, clock, modulation);
    }

    #[allow(clippy::too_many_arguments)]
    fn next_cell(
        &mut self,
        cell: i64,
        phase: u32,
        follows: bool,
        descriptor: &Descriptor,
        material: &NodeMaterial,
        clock: Clock,
        modulation: impl Fn(u32, i64) -> f64,
    ) {
        let mut steady = i64::MAX;
        let (mut unsettled, mut moving) = (false, false);
        for index in 0..self.list.len() {
            let param = &mut self.list[index];
            if !param.automated && !param.modulated && param.base == param.target {
                // Standing still: the common case.
                self.ramps[index] = Ramp::constant(param.end);
                if param.end != param.base {
                    param.end = param.base;
                    self.ramps[index] = Ramp::constant(param.end);
                    self.changed = true;
                }
                continue;
            }
            let desc = &descriptor.params[index];
            let mut start = param.base;
            if param.automated {
                let (from, to, until) = automated(material, index as u32, cell, clock);
                start = desc.clamp(from);
                param.base = if param.stepped { start } else { desc.clamp(to) };
                steady = steady.min(until);
            } else if param.base != param.target {
                let left = param.target - param.base;
                let snap = SNAP * (desc.max - desc.min);
                param.base =
                    if left.abs() <= snap { param.target } else { param.base + left * param.pace };
                unsettled |= param.base != param.target;
            }
            let mut end = param.base;
            if param.modulated {
                let moved = desc.normalise(end) + modulation(index as u32, cell);
                end = desc.denormalise(moved);
                start = if follows && !param.stepped { param.end } else { end };
            }
            if param.stepped {
                start = end;
            }
            self.changed |= end != param.end;
            param.end = end;
            moving |= start != end;
            self.ramps[index] =
                if start == end { Ramp::constant(end) } else { Ramp::cell(start, end, phase) };
        }
        self.restless = unsettled || moving || self.any_modulated;
        self.per_cell = self.restless;
        self.steady_until = cell_start(steady);
    }

    /// How many frames may be run from `frame` before `enter` has to be called.
    pub fn span(&self, frame: i64) -> usize {
        let cell_end = self.cell + GRID;
        let until = if self.per_cell { cell_end } else { self.steady_until.max(cell_end) };
        usize::try_from(until.saturating_sub(frame)).unwrap_or(usize::MAX)
    }

    /// Looks at everything again, as after a jump or a restored state.
    pub fn disturb(&mut self) {
        self.cell = UNKNOWN;
        self.restless = true;
        self.per_cell = true;
    }

    /// Not for rounding: values have closed forms or settle by themselves.
    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        for param in &mut self.list {
            visitor.f64(&mut param.base);
            visitor.f64(&mut param.target);
            visitor.f64(&mut param.end);
        }
        for ramp in &mut self.ramps {
            visitor.f64(&mut ramp.base);
            visitor.f64(&mut ramp.slope);
            visitor.f64(&mut ramp.end);
        }
        // Where nothing moves, the last cell looked at depends on the cut of the
        // blocks, and nothing depends on it.
        let mut cell = if self.per_cell { self.cell } else { STEADY };
        visitor.i64(&mut cell);
        self.cell = cell;
    }

    /// Another plan may modulate other parameters.
    pub fn rewire(&mut self, placed: &Params) {
        for (param, placed) in self.list.iter_mut().zip(&placed.list) {
            param.modulated = placed.modulated;
        }
        self.any_modulated = placed.any_modulated;
        self.restless = true;
        self.per_cell = true;
    }

    /// After a load: the flags follow from what was loaded.
    pub fn loaded(&mut self) {
        self.restless = true;
        self.per_cell = true;
        self.changed = true;
    }
}

fn automated(material: &NodeMaterial, index: u32, cell: i64, clock: Clock) -> (f64, f64, i64) {
    let found = material.automation.binary_search_by_key(&index, |(param, _)| *param);
    let Ok(at) = found else { return (0.0, 0.0, i64::MAX) };
    let segments = &material.automation[at].1;
    if !clock.playing {
        let (value, _) = automation_at(segments, clock.song_frame);
        return (value, value, i64::MAX);
    }
    let (from, until) = automation_at(segments, cell);
    let (to, _) = automation_at(segments, cell + GRID);
    // Steady only as long as the end of a cell is, too.
    (from, to, until.saturating_sub(GRID))
}
