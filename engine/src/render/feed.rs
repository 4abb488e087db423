//! The node through which a segment hears what other units have rendered.

use crate::{
    node::{Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail},
    param::{ParamDesc, Unit},
};

pub const KIND_NAME: &str = "pulse.feed";

const PARAMS: &[ParamDesc] = &[
    ParamDesc::new("index", "Index", Unit::None, (0.0, 65_535.0), 0.0).stepped().layout(),
    ParamDesc::new("latency", "Latency", Unit::Frames, (0.0, 4e9), 0.0).stepped().layout(),
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument(KIND_NAME, "Feed", PARAMS);
    descriptor.event_input = false;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::<Feed>::default());

#[derive(Default)]
struct Feed {
    index: usize,
    latency: u32,
}

impl Node for Feed {
    fn prepare(&mut self, setup: &Setup) {
        self.index = setup.param(0) as usize;
        self.latency = setup.param(1) as u32;
    }

    fn process(&mut self, io: &mut Io<'_>) {
        for channel in 0..io.output_channels(0) {
            match io.device_input(self.index * 2 + channel) {
                Some(samples) => io.output(0, channel).copy_from_slice(samples),
                None => io.output(0, channel).fill(0.0),
            }
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}

    fn reset(&mut self) {}

    fn latency(&self) -> u32 {
        self.latency
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}
