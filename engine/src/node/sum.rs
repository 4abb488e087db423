//! The input of a channel: a place where signals meet.
//!
//! Summing is the plan's own work, in a fixed order; the node only gives the sum
//! an identity that edges, taps and meters can name. Processed in place, it
//! costs nothing.

use crate::node::{Descriptor, Io, Node, NodeKind, Setup, StateVisitor};

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.sum", "Sum", &[]);
    descriptor.linear = true;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Sum));

struct Sum;

impl Node for Sum {
    fn prepare(&mut self, _: &Setup) {}

    fn process(&mut self, _: &mut Io<'_>) {}

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::Rig;

    #[test]
    fn a_sum_leaves_its_input_alone() {
        let input = vec![crate::rig::noise(7, 2, 500)];
        let out = Rig::new(&KIND, 48_000).run(&input, 500, &[1, 16, 100]);
        assert_eq!(out, input);
    }
}
