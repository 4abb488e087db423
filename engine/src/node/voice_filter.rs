//! The filter that a voice of an instrument has: a state-variable filter whose cutoff moves at every
//! frame, behind a soft drive.

use crate::{
    dsp::{
        drive::{Amount, Drive},
        fade, svf,
    },
    math,
    node::StateVisitor,
    param::{ParamDesc, Unit},
};

/// Damping of the second stage of the 24 dB filter.
const SECOND_DAMPING: f64 = 1.44;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Low12,
    Low24,
    Band12,
    High12,
    Notch,
    Off,
}

/// A setting, apart from the cutoff.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    pub mode: Mode,
    damping: f64,
    /// Before the filter: resonance takes of its own what it adds.
    level: f64,
    drive: Amount,
}

impl Setting {
    pub fn new(mode: Mode, resonance: f64, drive_db: f64, rate: f64) -> Setting {
        let drive = if drive_db == 0.0 { 1.0 } else { math::db_to_gain(drive_db) };
        Setting {
            mode,
            damping: 1.44 * (1.0 - resonance) + 0.04,
            level: 1.0 - 0.5 * resonance,
            drive: Amount::new(drive, fade::length(rate)),
        }
    }
}

pub const fn drive(id: &'static str, name: &'static str) -> ParamDesc {
    ParamDesc::new(id, name, Unit::Decibel, (0.0, 36.0), 0.0)
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Filter {
    drive: Drive,
    stages: [svf::State; 2],
}

impl Filter {
    /// One frame; `g` is [`svf::integrator_gain`] of the cutoff.
    #[inline]
    pub fn run(&mut self, x: f64, g: f64, setting: &Setting) -> f64 {
        let x = self.drive.run(x, &setting.drive);
        if setting.mode == Mode::Off {
            return x;
        }
        let x = x * setting.level;
        let [first, second] = &mut self.stages;
        let out = first.step(&coefficients(g, setting.damping), x);
        match setting.mode {
            Mode::Low24 => second.step(&coefficients(g, SECOND_DAMPING), out.low).low,
            Mode::Band12 => out.band * setting.damping,
            Mode::High12 => out.high,
            Mode::Notch => out.high + out.low,
            _ => out.low,
        }
    }

    pub fn settle(&mut self) {
        self.drive.settle();
        self.stages.iter_mut().for_each(svf::State::settle);
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        self.drive.visit(visitor);
        for integrators in &mut self.stages {
            visitor.f64(&mut integrators.ic1);
            visitor.f64(&mut integrators.ic2);
        }
    }
}

#[inline]
fn coefficients(g: f64, k: f64) -> svf::Coefficients {
    let a1 = 1.0 / (1.0 + g * (g + k));
    let a2 = g * a1;
    svf::Coefficients { k, a1, a2, a3: g * a2 }
}
