//! The node through which the audio thread hears what was rendered ahead of it.
//!
//! It stands in the live graph under the key of the node that it speaks for, so
//! that sums keep their order and meters their place. Sound lies ready without
//! latency: the reading place is moved by whatever latency lay before.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::ring::{Found, Ring};
use crate::node::{Channels, Descriptor, Io, MAX_PORTS, Node, NodeKind, Port, StateVisitor, Tail};

pub const KIND_NAME: &str = "pulse.ahead";

const OUTPUTS: &[Port] = &[Port { id: "main", channels: Channels::Stereo }; MAX_PORTS];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument(KIND_NAME, "Rendered ahead", &[]);
    descriptor.event_input = false;
    descriptor.outputs = OUTPUTS;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::<Source>::default());

/// Frames over which sound that is not there falls silent and comes back.
const FADE: u32 = 64;

/// One port of the node that is spoken for.
#[derive(Clone)]
pub struct Tap {
    pub port: u16,
    pub ring: Arc<Ring>,
    /// Frames by which the ring is read ahead.
    pub shift: i64,
}

impl PartialEq for Tap {
    fn eq(&self, other: &Tap) -> bool {
        (self.port, self.shift) == (other.port, other.shift) && Arc::ptr_eq(&self.ring, &other.ring)
    }
}

/// What a source reads: its content.
pub struct Taps {
    pub taps: Vec<Tap>,
    /// Where the course stands at the first frame of the block.
    pub now: Arc<AtomicU64>,
}

#[derive(Default)]
struct Source {
    /// Per port, how far its sound has faded out, and the sample it faded from.
    gone: [u32; MAX_PORTS],
    held: [[f32; 2]; MAX_PORTS],
}

impl Source {
    /// Hides the edges of a gap.
    fn mend(&mut self, port: usize, found: usize, sides: [&mut [f32]; 2]) {
        let frames = sides[0].len();
        let gone = self.gone[port];
        if gone == 0 && found == frames {
            for (held, side) in self.held[port].iter_mut().zip(&sides) {
                *held = side[frames - 1];
            }
            return;
        }
        for (side, samples) in sides.into_iter().enumerate() {
            let mut position = gone;
            for (i, sample) in samples.iter_mut().enumerate() {
                let there = i < found;
                position =
                    if there { position.saturating_sub(1) } else { (position + 1).min(FADE) };
                let gain = (FADE - position) as f32 / FADE as f32;
                if there {
                    self.held[port][side] = *sample;
                    *sample *= gain;
                } else {
                    *sample = self.held[port][side] * gain;
                }
            }
            if side == 1 {
                self.gone[port] = position;
            }
        }
    }
}

impl Node for Source {
    fn prepare(&mut self, _: &crate::node::Setup) {
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let content = io.content().extra.as_ref();
        let taps = content.and_then(|extra| extra.downcast_ref::<Taps>());
        let offset = io.device_offset as i64;
        let mut filled = [false; MAX_PORTS];
        for tap in taps.into_iter().flat_map(|taps| &taps.taps) {
            let now = taps.map_or(0, |taps| taps.now.load(Ordering::Relaxed)) as i64;
            let port = usize::from(tap.port).min(MAX_PORTS - 1);
            let at = now + offset + tap.shift;
            let (left, right) = io.output_pair(port);
            let frames = left.len();
            let found = match (tap.ring.read(at, 0, left), tap.ring.read(at, 1, right)) {
                (Found::All, Found::All) => frames,
                (Found::Part(a), Found::Part(b)) => a.min(b),
                (Found::Part(part), _) | (_, Found::Part(part)) => part,
                _ => 0,
            };
            // What is paused has been heard to its end.
            if found < frames && !tap.ring.rests() {
                tap.ring.miss(frames - found);
            }
            self.mend(port, found, [left, right]);
            filled[port] = true;
        }
        for (port, _) in filled.iter().enumerate().filter(|(_, filled)| !**filled) {
            let (left, right) = io.output_pair(port);
            left.fill(0.0);
            right.fill(0.0);
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}

    fn reset(&mut self) {
        *self = Source::default();
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}
