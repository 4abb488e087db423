//! One hit while it sounds.

use super::recipe::{NoiseFilter, Piece, Recipe};
use crate::{
    dsp::{
        oscillator::{Shape, Wavetables, wrap},
        svf,
    },
    math,
    node::StateVisitor,
};

/// A hit whose envelopes are all below this is over (−100 dB).
const OVER: f64 = 1e-5;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Voice {
    pub piece: Piece,
    /// The frame at which it was hit.
    pub born: i64,
    recipe: Recipe,
    seed: u64,
    age: u64,
    phases: [f64; super::recipe::TONES],
    sweep: f64,
    tone: f64,
    noise: f64,
    attack: f64,
    metal: svf::State,
    filters: [svf::State; 2],
    /// 1 while sounding; falls by `fade_step` per frame once choked.
    fade: f64,
    fade_step: f64,
}

impl Voice {
    pub fn start(piece: Piece, recipe: Recipe, seed: u64, born: i64) -> Voice {
        Voice {
            piece,
            born,
            recipe,
            seed,
            sweep: recipe.sweep,
            tone: 1.0,
            noise: 1.0,
            fade: 1.0,
            ..Voice::default()
        }
    }

    pub fn is_active(&self) -> bool {
        self.fade > 0.0
    }

    pub fn is_choked(&self) -> bool {
        self.fade_step > 0.0
    }

    /// Those that fade out come first, and of these the ones that are nearly over.
    pub fn softness(&self) -> (bool, u64) {
        (!self.is_choked(), (self.fade * 1e9) as u64)
    }

    /// Ends the hit within a few milliseconds.
    pub fn choke(&mut self, fade_step: f64) {
        if self.is_active() && self.fade_step == 0.0 {
            self.fade_step = fade_step;
        }
    }

    /// On the absolute grid: filters never dwell in denormal numbers.
    pub fn settle(&mut self) {
        self.metal.settle();
        self.filters.iter_mut().for_each(svf::State::settle);
    }

    pub fn render(&mut self, out: &mut [[f64; 2]]) {
        let metal = svf::Coefficients::from_gain(self.recipe.metal_g, 0.9);
        let filter = svf::Coefficients::from_gain(self.recipe.noise_g, self.recipe.noise_q);
        for frame in out {
            if !self.is_active() {
                return;
            }
            let [left, right] = self.next(&metal, &filter);
            frame[0] += left * self.fade;
            frame[1] += right * self.fade;
            self.fade = (self.fade - self.fade_step).max(0.0);
            if self.tone < OVER && self.noise < OVER {
                self.fade = 0.0;
            }
            if !self.is_active() {
                *self = Voice::default();
            }
        }
    }

    fn next(&mut self, metal: &svf::Coefficients, filter: &svf::Coefficients) -> [f64; 2] {
        self.attack += (1.0 - self.attack) * self.recipe.attack;
        let mut tone = self.tones() * self.tone;
        if self.recipe.metal {
            tone = self.metal.step(metal, tone).high;
        }
        if self.recipe.drive > 0.0 {
            tone = saturate(tone, self.recipe.drive);
        }
        let noise = self.noises(filter);
        self.envelopes();
        self.age += 1;
        [0, 1].map(|side| (tone + noise[side]) * self.attack * self.recipe.gains[side])
    }

    fn tones(&mut self) -> f64 {
        let tables = Wavetables::shared();
        let bend = 1.0 + self.sweep;
        let mut sum = 0.0;
        for (phase, (increment, gain)) in self.phases.iter_mut().zip(self.recipe.tones) {
            if gain == 0.0 {
                break;
            }
            let value = if self.recipe.metal {
                tables.sample(Shape::Pulse, tables.level(increment), *phase, 0.5)
            } else {
                tables.sample(Shape::Sine, 0, *phase, 0.5)
            };
            sum += value * gain;
            *phase = wrap(*phase + increment * bend);
        }
        sum
    }

    /// Filtered noise, as wide as the recipe says.
    fn noises(&mut self, filter: &svf::Coefficients) -> [f64; 2] {
        if self.recipe.noise_gain == 0.0 {
            return [0.0; 2];
        }
        let level = self.noise * self.recipe.noise_gain;
        let middle = math::random_bipolar(self.seed, 2 * self.age);
        let side = math::random_bipolar(self.seed, 2 * self.age + 1) * self.recipe.width;
        let mut out = [middle + side, middle - side];
        for (sample, state) in out.iter_mut().zip(&mut self.filters) {
            let result = state.step(filter, *sample);
            *sample = level
                * match self.recipe.noise_filter {
                    NoiseFilter::Low => result.low,
                    NoiseFilter::Band => result.band * filter.k,
                    NoiseFilter::High => result.high,
                };
        }
        out
    }

    /// A clap is a few short bursts and then a long one.
    fn envelopes(&mut self) {
        self.sweep *= self.recipe.sweep_decay;
        self.tone =
            if self.recipe.tones[0].1 == 0.0 { 0.0 } else { self.tone * self.recipe.tone_decay };
        if self.recipe.noise_gain == 0.0 {
            self.noise = 0.0;
            return;
        }
        let burst = self.age.checked_div(self.recipe.burst_frames).unwrap_or(u64::MAX);
        if burst < self.recipe.bursts {
            self.noise *= self.recipe.burst_decay;
            if (self.age + 1).is_multiple_of(self.recipe.burst_frames) {
                self.noise = 1.0;
            }
        } else {
            self.noise *= self.recipe.noise_decay;
        }
    }

    pub fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        let mut piece = self.piece.to_number();
        visitor.u64(&mut piece);
        self.piece = Piece::from_number(piece);
        visitor.i64(&mut self.born);
        visit_recipe(&mut self.recipe, visitor);
        visitor.u64(&mut self.seed);
        visitor.u64(&mut self.age);
        visitor.f64s(&mut self.phases);
        for value in [&mut self.sweep, &mut self.tone, &mut self.noise, &mut self.attack] {
            visitor.f64(value);
        }
        for state in [&mut self.metal].into_iter().chain(&mut self.filters) {
            visitor.f64(&mut state.ic1);
            visitor.f64(&mut state.ic2);
        }
        visitor.f64(&mut self.fade);
        visitor.f64(&mut self.fade_step);
    }
}

fn visit_recipe(recipe: &mut Recipe, visitor: &mut dyn StateVisitor) {
    for (increment, gain) in &mut recipe.tones {
        visitor.f64(increment);
        visitor.f64(gain);
    }
    visitor.bool(&mut recipe.metal);
    let mut filter = recipe.noise_filter as u64;
    visitor.u64(&mut filter);
    recipe.noise_filter = match filter {
        0 => NoiseFilter::Low,
        1 => NoiseFilter::Band,
        _ => NoiseFilter::High,
    };
    for value in [
        &mut recipe.sweep,
        &mut recipe.sweep_decay,
        &mut recipe.tone_decay,
        &mut recipe.metal_g,
        &mut recipe.noise_g,
        &mut recipe.noise_q,
        &mut recipe.noise_decay,
        &mut recipe.noise_gain,
        &mut recipe.attack,
        &mut recipe.burst_decay,
        &mut recipe.drive,
        &mut recipe.width,
    ] {
        visitor.f64(value);
    }
    visitor.f64s(&mut recipe.gains);
    visitor.u64(&mut recipe.bursts);
    visitor.u64(&mut recipe.burst_frames);
}

/// A soft limit that leaves small signals alone and full level at full level.
fn saturate(x: f64, drive: f64) -> f64 {
    let x = x * (1.0 + drive);
    let normal = (1.0 + drive) / math::sqrt(1.0 + (1.0 + drive) * (1.0 + drive));
    x / math::sqrt(1.0 + x * x) / normal
}
