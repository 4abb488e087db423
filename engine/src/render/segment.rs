//! One unit for one segment: state and sound in, sound and state out. A pure
//! function of its arguments, which is what makes its results worth keeping.
//!
//! All frames here are in the unit's own time (see [`PlanUnit::arrival`]), so a
//! segment doesn't know what latency lies before it.
//!
//! [`PlanUnit::arrival`]: crate::plan::PlanUnit::arrival

// An error here names nodes and edges in full and is made once, off the audio thread.
#![allow(clippy::result_large_err)]

use std::sync::Arc;

use pulse_schemas::graph::{
    Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec, OutputKind, OutputSpec, Role,
};

use super::{Points, Profile, feed, points::EVERY};
use crate::{
    exec::{Block, Executor, RestoreError},
    material::{Material, MediaResolver, Slices},
    plan::{CompileError, Compiler, Plan},
    transport::Timeline,
};

/// Bytes of a state from which on it is not kept within segments: lines of echoes
/// and rooms, which cost more to keep than to compute.
const LARGE: usize = 64 * 1_024;

/// A place where sound enters or leaves a unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SegmentPort {
    pub node: NodeKey,
    pub port: u16,
    pub channels: u8,
}

/// What a segment makes.
#[derive(Clone, PartialEq, Debug)]
pub struct SegmentSound {
    /// Per output of the runner, left then right. A mono output fills both.
    pub outputs: Vec<[Vec<f32>; 2]>,
    /// State for the next segment, rounded under the render profile.
    pub state: Vec<u8>,
    /// States on the way there; none where they are large.
    pub points: Points,
}

/// Runs segments of one unit, one after the other or in any order.
pub struct SegmentRunner {
    executor: Executor,
    inputs: Vec<SegmentPort>,
    outputs: Vec<SegmentPort>,
}

impl SegmentRunner {
    /// For unit `unit` of `plan`, which was compiled from `spec`.
    pub fn new(
        compiler: &mut Compiler,
        spec: &GraphSpec,
        plan: &Plan,
        unit: usize,
        slices: &Slices,
        media: &dyn MediaResolver,
    ) -> Result<SegmentRunner, CompileError> {
        let part = Part::cut(spec, plan, unit);
        let compiled = Arc::new(compiler.compile_task_within(&part.spec, Some(plan))?);
        let material = Arc::new(Material::bind(&compiled, slices, media));
        let executor = Executor::new(compiled, material);
        Ok(SegmentRunner { executor, inputs: part.inputs, outputs: part.outputs })
    }

    /// The ports that want sound, in the order in which `run` takes it. Each is
    /// the finished sum of its signals, see [`sum_signals`].
    pub fn inputs(&self) -> &[SegmentPort] {
        &self.inputs
    }

    /// The ports that others listen to, in the order in which `run` gives them.
    pub fn outputs(&self) -> &[SegmentPort] {
        &self.outputs
    }

    /// Runs one segment. Without `state` the unit has never heard anything.
    /// Inputs hold `frames` frames each, right after left; where one is missing
    /// there is silence.
    pub fn run(
        &mut self,
        state: Option<&[u8]>,
        inputs: &[[&[f32]; 2]],
        start: i64,
        frames: usize,
        profile: Profile,
        timeline: &dyn Timeline,
    ) -> Result<SegmentSound, RestoreError> {
        match state {
            Some(bytes) => self.executor.restore_bytes(bytes)?,
            None => self.executor.reset(),
        }
        let mut sound = SegmentSound {
            outputs: self.outputs.iter().map(|_| Default::default()).collect(),
            state: vec![],
            points: Points::default(),
        };
        let max_block = self.executor.plan().max_block;
        let every = EVERY as usize;
        let mut states = Vec::with_capacity(frames / every);
        let (mut at, mut large) = (0, false);
        while at < frames {
            if at > 0 && at.is_multiple_of(every) && !large {
                states.push(self.executor.save_state().to_bytes());
                large = states[0].len() > LARGE;
            }
            let length = max_block.min(frames - at).min(every - at % every);
            let cut = |channel: &[f32]| at.min(channel.len())..(at + length).min(channel.len());
            let feeds: Vec<&[f32]> =
                (inputs.iter().flatten()).map(|channel| &channel[cut(channel)]).collect();
            let mut block = Block::offline(start + at as i64, length, timeline);
            block.device_inputs = &feeds;
            self.executor.process(&block);
            for (index, out) in sound.outputs.iter_mut().enumerate() {
                let pair = self.executor.output_pair(index);
                for (out, samples) in out.iter_mut().zip(pair) {
                    out.extend_from_slice(&samples[..length]);
                }
            }
            at += length;
        }
        if let Profile::Render { .. } = profile {
            self.executor.round_all();
        }
        sound.state = self.executor.save_state().to_bytes();
        if !large {
            sound.points = Points::of(&states);
        }
        Ok(sound)
    }

    /// Nodes that failed since the runner was made: their sound must not be kept.
    pub fn has_failed(&mut self) -> bool {
        !self.executor.faults().is_empty()
    }
}

/// A unit as a graph of its own, with feeds for what comes from outside.
pub(crate) struct Part {
    pub spec: GraphSpec,
    pub inputs: Vec<SegmentPort>,
    pub outputs: Vec<SegmentPort>,
}

impl Part {
    pub fn cut(spec: &GraphSpec, plan: &Plan, unit: usize) -> Part {
        let unit = &plan.units[unit];
        let mut inside: Vec<NodeKey> =
            unit.nodes.iter().map(|&node| plan.nodes[node as usize].key).collect();
        inside.sort_unstable();
        let contains = |key: NodeKey| inside.binary_search(&key).is_ok();
        let mut part = Part {
            spec: GraphSpec::default(),
            inputs: vec![],
            outputs: outputs(spec, plan, &contains),
        };
        part.spec.nodes.extend(spec.nodes.iter().filter(|node| contains(node.key)).cloned());
        let internal = |edge: &&EdgeSpec| contains(edge.from) && contains(edge.to);
        part.spec.edges.extend(spec.edges.iter().filter(internal).cloned());
        let mut ports: Vec<(u32, u16)> =
            unit.inputs.iter().map(|input| (input.to, input.to_port)).collect();
        ports.sort_unstable();
        ports.dedup();
        for (index, (node, port)) in ports.into_iter().enumerate() {
            part.feed(plan, unit.arrival, index, node, port);
        }
        for (index, output) in part.outputs.iter().enumerate() {
            // The kind only tells outputs apart and keeps them in this order.
            let kind = OutputKind::Tap(pulse_schemas::id::AnyId {
                kind: output.node.entity.kind,
                id: pulse_schemas::id::EntityId(index as u128),
            });
            part.spec.outputs.push(OutputSpec { kind, node: output.node, port: output.port });
        }
        part.spec.outputs.sort_by_key(|output| match output.kind {
            OutputKind::Tap(id) => id.id,
            _ => Default::default(),
        });
        part
    }

    /// A feed that is as late as its reader, which keeps the unit's inner times.
    fn feed(&mut self, plan: &Plan, arrival: u32, index: usize, node: u32, port: u16) {
        let reader = &plan.nodes[node as usize];
        let channels = plan.inputs(node)[usize::from(port)].channels;
        let key =
            NodeKey { entity: reader.key.entity, role: Role::new(&format!("~feed{index:03}")) };
        let late = f64::from(reader.arrival - arrival);
        let layout = [("index".to_owned(), index as f64), ("latency".to_owned(), late)];
        self.spec.nodes.push(NodeSpec {
            key,
            kind: feed::KIND_NAME.to_owned(),
            dsp_version: 1,
            layout: layout.into_iter().collect(),
            channels,
            cohort: reader.cohort,
        });
        self.spec.edges.push(EdgeSpec {
            from: key,
            from_port: 0,
            to: reader.key,
            to_port: Inlet::Port(port),
            kind: EdgeKind::Audio,
            feedback_frames: None,
            compensated: true,
            depth: Depth::FULL,
        });
        self.inputs.push(SegmentPort { node: reader.key, port, channels });
    }
}

/// Ports that someone outside reads.
fn outputs(spec: &GraphSpec, plan: &Plan, contains: &dyn Fn(NodeKey) -> bool) -> Vec<SegmentPort> {
    let edges = (spec.edges.iter())
        .filter(|edge| edge.kind == EdgeKind::Audio && contains(edge.from) && !contains(edge.to))
        .map(|edge| (edge.from, edge.from_port));
    let taps = (spec.outputs.iter())
        .filter(|output| contains(output.node))
        .map(|output| (output.node, output.port));
    let mut ports: Vec<SegmentPort> = (edges.chain(taps))
        .filter_map(|(node, port)| {
            let outputs = plan.outputs_of(plan.find(node)?);
            let channels = outputs.get(usize::from(port))?.channels;
            Some(SegmentPort { node, port, channels })
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Sums signals as a plan does within a group, and groups as a plan does. Each
/// signal has its channels; mono into stereo sounds on both sides, stereo into
/// mono is the mean.
pub fn sum_signals(signals: &[([&[f32]; 2], u8)], channels: u8) -> [Vec<f32>; 2] {
    let mut sum: [Vec<f32>; 2] = Default::default();
    for (index, (signal, from)) in signals.iter().enumerate() {
        for channel in 0..usize::from(channels) {
            let first = signal[channel.min(usize::from(*from) - 1)];
            let mean = *from == 2 && channels == 1;
            let value = |i: usize| if mean { (first[i] + signal[1][i]) * 0.5 } else { first[i] };
            if index == 0 {
                sum[channel] = (0..first.len()).map(value).collect();
            } else {
                sum[channel].iter_mut().enumerate().for_each(|(i, out)| *out += value(i));
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use crate::{
        material::Slices,
        testkit::{How, Sketch, check_segments, everything, render},
    };

    #[test]
    fn segments_put_together_are_the_whole_render() {
        let (sketch, slices) = everything();
        check_segments(&sketch, &slices, 9_000, 2_048);
    }

    /// One wobble moves two gains, which makes them one unit; what the second hears
    /// comes in part from inside, in part from outside, in no order of the ids.
    #[test]
    fn a_sum_of_signals_from_inside_and_outside_is_that_of_the_whole_render() {
        for outside in [1u32, 2, 5, 15, 16, 17, 40] {
            for inside in [1u32, 2, 17] {
                let (mut sketch, slices) = (Sketch::default(), Slices::default());
                sketch.node(500, "test.wobble").node(501, "test.gain").output(501);
                sketch.control(500, 501, "gain");
                for gain in 0..inside {
                    let (source, gain) = (9_000 + gain, [100, 600][gain as usize % 2] + gain);
                    sketch.node(source, "test.noise").node(gain, "test.gain").edge(source, gain);
                    sketch.control(500, gain, "gain").edge(gain, 501);
                }
                for source in 0..outside {
                    let source = [1, 2_000][source as usize % 2] + source;
                    sketch.node(source, "test.noise").edge(source, 501);
                }
                check_segments(&sketch, &slices, 1_500, 512);
            }
        }
    }

    #[test]
    fn a_render_does_not_depend_on_threads_or_blocks() {
        let (sketch, slices) = everything();
        let expect = render(&sketch, &slices, 9_000, 2_048, &How::default());
        for how in [
            How { threads: 3, ..How::default() },
            How { max_block: 4_096, ..How::default() },
            How { max_block: 100, lanes: false, ..How::default() },
        ] {
            assert!(render(&sketch, &slices, 9_000, 2_048, &how) == expect, "{how:?}");
        }
    }
}
