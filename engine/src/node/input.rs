//! `pulse.input`: what an audio device hears, as the source of a channel.
//!
//! It monitors: heard while it is on, or while it is on by itself, which is
//! whenever the song stands or is recorded, so that a player hears neither
//! nothing nor himself twice. Off, it fades instead of cutting.

use crate::{
    node::{Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail, parameters::parameters},
    param::{ParamDesc, Unit},
};

/// How long a change of monitoring takes.
const FADE_SECONDS: f64 = 0.005;

parameters!(PARAMS, P {
    Monitor => ParamDesc::choice("monitor", "Monitor", &["off", "auto", "on"], 0),
    First => ParamDesc::new("first", "First input", Unit::None, (0.0, 63.0), 0.0).stepped(),
    Width => ParamDesc::choice("width", "Width", &["mono", "stereo"], 1),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.input", "Input", PARAMS);
    descriptor.event_input = false;
    descriptor.reads_transport = true;
    descriptor.follows_tempo = crate::node::FollowsTempo::Never;
    descriptor
};

pub static KIND: NodeKind = NodeKind::new(&DESCRIPTOR, || Box::new(Input::default()));

#[derive(Default)]
struct Input {
    step: f64,
    gain: f64,
}

impl Node for Input {
    fn prepare(&mut self, setup: &Setup) {
        self.step = 1.0 / (FADE_SECONDS * setup.rate());
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let transport = io.transport();
        let open = match io.param_index(P::Monitor as usize) {
            0 => false,
            1 => !transport.playing || transport.recording,
            _ => true,
        };
        let step = if open { self.step } else { -self.step };
        let first = io.param_index(P::First as usize);
        let stereo = io.param_index(P::Width as usize) == 1;
        let (frames, start) = (io.frames(), self.gain);
        for channel in 0..io.output_channels(0) {
            let heard = io.device_input(first + if stereo { channel } else { 0 });
            let mut gain = start;
            for frame in 0..frames {
                gain = (gain + step).clamp(0.0, 1.0);
                let sample = heard.map_or(0.0, |heard| heard[frame]);
                // A device may say anything; what is no number is silence.
                let sample = if sample.is_finite() { f64::from(sample) } else { 0.0 };
                io.output(0, channel)[frame] = (sample * gain) as f32;
            }
            self.gain = gain;
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.f64(&mut self.gain);
    }

    fn reset(&mut self) {
        self.gain = 0.0;
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}
