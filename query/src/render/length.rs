//! How long the segments of a unit are: one, two, four or eight of the render's.
//!
//! State at the end of a segment is rounded. What circulates in a loop comes back to
//! the known bits only where a segment lets it fall by far more than rounding gives
//! back, and a step of the grid in one place of a line becomes parts of a step in
//! many. So a unit whose loops are slow has longer segments: as long as sound takes
//! in them to fall by 60 dB, where eight suffice. The rule goes by kind and
//! parameters alone, with segments of four seconds in mind, so that the lengths of a
//! song are the same in every render of it.

use pulse_engine::{
    material::Slices,
    plan::{Plan, PlanUnit},
};

/// What the rule counts in, whatever the segments of a render last.
const SECONDS: f64 = 4.0;

/// The most that a unit has.
pub const MOST: u32 = 8;

/// How long echoes in tempo count, whatever the tempo: it may change in mid-song.
const IN_TEMPO: f64 = 0.5;

/// How many of the render's segments are one of this unit.
pub fn multiple(plan: &Plan, unit: &PlanUnit, slices: &Slices) -> u32 {
    let decays = unit.nodes.iter().map(|node| decay(plan, *node, slices));
    let decay = decays.fold(0.0, f64::max);
    let fits = |multiple: &u32| f64::from(*multiple) * SECONDS >= decay;
    [1, 2, 4].into_iter().find(fits).unwrap_or(MOST)
}

/// Seconds in which what circulates in a node falls by 60 dB, at most; none for
/// nodes without loops that outlast a segment.
fn decay(plan: &Plan, node: u32, slices: &Slices) -> f64 {
    let Some(kind) = plan.class(node).kind else { return 0.0 };
    let most = |id| most(plan, node, slices, id);
    match kind.descriptor.kind {
        "pulse.reverb" | "pulse.delay" if most("freeze") >= 0.5 => f64::INFINITY,
        "pulse.reverb" => most("decay") * most("lowDecay").max(1.0),
        "pulse.delay" => {
            let time = if most("sync") >= 0.5 { IN_TEMPO } else { most("time") * 0.001 };
            let longest = time * (1.0 + most("offset").max(0.0));
            -3.0 * longest / libm::log10(most("feedback").clamp(1e-9, 0.999))
        }
        _ => 0.0,
    }
}

/// The largest value that a parameter is given or drawn.
fn most(plan: &Plan, node: u32, slices: &Slices, id: &str) -> f64 {
    let Some(kind) = plan.class(node).kind else { return 0.0 };
    let Some(param) = kind.descriptor.params.iter().find(|param| param.id == id) else {
        return 0.0;
    };
    let key = plan.nodes[node as usize].key;
    let given = slices.params.0.get(&key).and_then(|given| given.get(id)).copied();
    let curve = slices.automation.0.get(&key).and_then(|curves| curves.get(id));
    let drawn = curve.into_iter().flatten().flat_map(|segment| [segment.from, segment.to]);
    let drawn = drawn.map(|value| param.clamp(value)).reduce(f64::max);
    drawn.unwrap_or_else(|| param.clamp(given.unwrap_or(param.default)))
}
