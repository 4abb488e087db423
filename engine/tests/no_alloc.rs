//! The executor does nothing while it runs that an audio thread must not do: every block of a session
//! with every kind of node, of a plan swap and of a content swap is watched.

use std::sync::Arc;

use pulse_engine::{
    exec::{Block, Executor},
    material::Material,
    plan::Compiler,
    registry::Registry,
    transport::SteadyTempo,
};

#[path = "shared/session.rs"]
mod session;
#[path = "shared/tripwire.rs"]
mod tripwire;

use session::{MASTER, Tone, content, key, session};
use tripwire::offences;

#[test]
fn a_session_runs_without_allocating_locking_or_calling_the_system() {
    let timeline = SteadyTempo { tempo: 120.0, sample_rate: 48_000 };
    let mut compiler = Compiler::new(Registry::standard(), 48_000, 256).unwrap();
    let plan = Arc::new(compiler.compile(&session(7)).unwrap());
    let slices = content(10, 0.0);
    let material = Arc::new(Material::bind(&plan, &slices, &Tone));
    let mut executor = Executor::new(plan.clone(), material.clone());
    let first = offences(|| {
        for block in 0..40 {
            executor.process(&Block::live(block * 256, 256, &timeline, &[]));
        }
    });
    assert_eq!(first, 0, "while playing");

    let mut louder = slices.clone();
    louder.params.set(key(MASTER), "gain", -6.0);
    let mut material = Arc::new(material.rebind(&plan, &[key(MASTER)].into(), &louder, &Tone));
    let swapped = offences(|| {
        executor.swap_material(&mut material);
        executor.set_bypass(0, true);
        executor.set_param(3, 0, 1.0, 10_240);
        for block in 40..60 {
            executor.process(&Block::live(block * 256, 250, &timeline, &[]));
        }
    });
    assert_eq!(swapped, 0, "while content changes");

    let next = Arc::new(compiler.compile(&session(10)).unwrap());
    let material = Arc::new(Material::bind(&next, &slices, &Tone));
    let mut successor = Executor::successor(next, material, &plan);
    let adopted = offences(|| {
        successor.adopt(&mut executor);
        for block in 60..80 {
            successor.process(&Block::live(block * 256, 256, &timeline, &[]));
        }
    });
    assert_eq!(adopted, 0, "while plans change");
    assert_eq!(successor.faults(), []);
}
