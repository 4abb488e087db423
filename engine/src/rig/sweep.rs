//! Every effect with random settings, motions, cuts and restores, against one uncut run. What the
//! tests of each node check by hand, this checks for settings nobody thought of.

use super::{Rig, bits, noise};
use crate::{
    math::random_unit,
    node::{NodeKind, Setup},
    nodes::NODES,
};

const FRAMES: usize = 2500;

/// Numbers of one case, in order.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn unit(&mut self) -> f64 {
        self.thrown += 1;
        random_unit(self.seed, self.thrown)
    }

    fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n - 1)
    }
}

fn random_rig(kind: &'static NodeKind, seed: u64) -> Rig {
    let mut dice = Dice { seed, thrown: 0 };
    let rate = [44_100, 48_000, 96_000, 192_000][dice.below(4)];
    let mut setup = Setup::new(kind.descriptor, rate, 4096);
    setup.channels = 1 + dice.below(2);
    for (value, param) in setup.params.iter_mut().zip(kind.descriptor.params) {
        let at = dice.unit();
        if dice.unit() < 0.6 {
            *value = param.denormalise(at);
        }
    }
    let mut rig = Rig::with_setup(kind, setup);
    for param in kind.descriptor.params.iter().filter(|param| !param.layout) {
        let (from, to, length) = (dice.unit(), dice.unit(), 1 + dice.below(FRAMES));
        if dice.unit() < 0.15 {
            let path = move |frame: i64| {
                let t = (frame as f64 / length as f64).min(1.0);
                param.denormalise(from + (to - from) * t)
            };
            rig.set_motion(param.id, Box::new(path));
        }
    }
    rig
}

fn check(kind: &'static NodeKind, seed: u64) {
    let mut whole = random_rig(kind, seed);
    let channels = whole.setup.channels;
    let inputs: Vec<_> = (kind.descriptor.inputs.iter().enumerate())
        .map(|(port, shape)| noise(seed ^ port as u64, shape.count(channels), FRAMES))
        .collect();
    let expect = bits(&whole.run(&inputs, FRAMES, &[4096]));
    let mut cut = random_rig(kind, seed);
    let mut dice = Dice { seed: !seed, thrown: 0 };
    let mut planes: Vec<Vec<Vec<f32>>> = Vec::new();
    let mut at = 0;
    while at < FRAMES {
        let most = [1, 7, 16, 64, 333, 2000][dice.below(6)];
        let frames = (1 + dice.below(most)).min(FRAMES - at);
        let part: Vec<Vec<Vec<f32>>> = (inputs.iter())
            .map(|port| port.iter().map(|plane| plane[at..at + frames].to_vec()).collect())
            .collect();
        let out = cut.block(&part, frames);
        if planes.is_empty() {
            planes = out;
        } else {
            for (plane, more) in planes.iter_mut().flatten().zip(out.into_iter().flatten()) {
                plane.extend(more);
            }
        }
        if dice.unit() < 0.2 {
            cut.save_and_restore();
        }
        at += frames;
    }
    let found = bits(&planes);
    assert!(found == expect, "{} with seed {seed} depends on cuts", kind.descriptor.kind);
    let loud = planes.iter().flatten().flatten().any(|x| !x.is_finite());
    assert!(!loud, "{} with seed {seed} gives numbers that are none", kind.descriptor.kind);
}

#[test]
fn effects_with_random_settings_and_cuts_give_the_same_bits() {
    let cases = if std::env::var_os("PULSE_SOAK").is_some() { 400 } else { 8 };
    for kind in NODES.iter().filter(|kind| !kind.descriptor.inputs.is_empty()) {
        for case in 0..cases {
            check(kind, case);
        }
    }
}
