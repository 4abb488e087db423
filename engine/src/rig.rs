//! Runs one node by hand, for tests of nodes: any block cut, moving parameters,
//! events, content, state saved and restored between blocks. It cuts calls as
//! the executor does, so a node that passes [`check_cuts`] keeps the contract.

#[cfg(test)]
pub mod cost;
#[cfg(test)]
pub mod lanes;
#[cfg(test)]
mod sweep;

use crate::{
    event::{Event, EventBuffer},
    node::{
        AudioIn, AudioOut, Content, ControlOut, Descriptor, Io, MAX_CHANNELS, Node, NodeKind,
        Setup, grid_count,
    },
    param::{GRID, Ramp, cell_start},
    state::{load_state, save_state},
    transport::Transport,
};

/// A parameter as a function of the absolute frame, read at grid points.
pub type Motion = Box<dyn Fn(i64) -> f64>;

pub struct Rig {
    pub kind: &'static NodeKind,
    pub node: Box<dyn Node>,
    pub setup: Setup,
    /// One constant or moving value per parameter.
    pub params: Vec<Motion>,
    /// All events by absolute frame (in `offset` the frame is ignored).
    pub events: Vec<(i64, Event)>,
    pub content: Content,
    pub transport: Transport,
    pub frame: i64,
    /// Emitted events by absolute frame.
    pub emitted: Vec<(i64, Event)>,
    /// Control values at grid points, per control output.
    pub controls: Vec<Vec<f64>>,
    /// Whether any parameter was ever given a motion: then calls end at cell edges.
    moving: bool,
    last: Option<Vec<f64>>,
}

impl Rig {
    pub fn new(kind: &'static NodeKind, sample_rate: u32) -> Rig {
        Rig::with_setup(kind, Setup::new(kind.descriptor, sample_rate, 4096))
    }

    pub fn with_setup(kind: &'static NodeKind, setup: Setup) -> Rig {
        let mut node = (kind.make)();
        node.prepare(&setup);
        let params = setup.params.iter().map(|&value| -> Motion { Box::new(move |_| value) });
        Rig {
            kind,
            node,
            params: params.collect(),
            setup,
            events: vec![],
            content: Content::default(),
            transport: Transport::default(),
            frame: 0,
            emitted: vec![],
            controls: vec![vec![]; kind.descriptor.controls.len()],
            moving: false,
            last: None,
        }
    }

    fn descriptor(&self) -> &'static Descriptor {
        self.kind.descriptor
    }

    pub fn set(&mut self, id: &str, value: f64) -> &mut Rig {
        let index = self.descriptor().param_index(id).expect("a parameter of the node");
        self.params[index] = Box::new(move |_| value);
        self
    }

    pub fn set_motion(&mut self, id: &str, motion: Motion) -> &mut Rig {
        let index = self.descriptor().param_index(id).expect("a parameter of the node");
        self.params[index] = motion;
        self.moving = true;
        self
    }

    /// Runs one block. `inputs[port][channel]`, all of one length; a missing port
    /// is unconnected. Returns `[port][channel]`.
    pub fn block(&mut self, inputs: &[Vec<Vec<f32>>], frames: usize) -> Vec<Vec<Vec<f32>>> {
        let channels = self.setup.channels;
        let mut outputs: Vec<Vec<Vec<f32>>> = (self.descriptor().outputs.iter())
            .map(|port| vec![vec![f32::NAN; frames]; port.count(channels)])
            .collect();
        if self.descriptor().in_place {
            outputs[0].clone_from(&inputs[0]);
        }
        let mut at = 0;
        while at < frames {
            let left = frames - at;
            let length = if self.moving {
                left.min((cell_start(self.frame) + GRID - self.frame) as usize)
            } else {
                left.min(self.setup.max_block)
            };
            self.call(inputs, &mut outputs, at, length);
            at += length;
        }
        outputs
    }

    fn ramps(&self) -> Vec<Ramp> {
        let cell = cell_start(self.frame);
        let phase = (self.frame - cell) as u32;
        (self.params.iter().zip(self.descriptor().params))
            .map(|(motion, desc)| {
                let (from, to) = (desc.clamp(motion(cell)), desc.clamp(motion(cell + GRID)));
                match desc.curve {
                    crate::param::Curve::Stepped => Ramp::constant(from),
                    _ if from == to => Ramp::constant(from),
                    _ => Ramp::cell(from, to, phase),
                }
            })
            .collect()
    }

    fn call(
        &mut self,
        inputs: &[Vec<Vec<f32>>],
        outputs: &mut [Vec<Vec<f32>>],
        at: usize,
        frames: usize,
    ) {
        let ramps = self.ramps();
        let values: Vec<f64> = ramps.iter().map(|ramp| ramp.end).collect();
        let changed = self.last.as_ref() != Some(&values);
        self.last = Some(values);
        let ports: Vec<AudioIn<'_>> = (self.descriptor().inputs.iter().enumerate())
            .map(|(port, _)| match inputs.get(port) {
                Some(planes) if !(port == 0 && self.descriptor().in_place) => {
                    let mut input = AudioIn { count: planes.len(), ..AudioIn::default() };
                    for (channel, plane) in planes.iter().enumerate().take(MAX_CHANNELS) {
                        input.channels[channel] = &plane[at..at + frames];
                    }
                    input
                }
                _ => AudioIn::default(),
            })
            .collect();
        let mut outs: Vec<AudioOut<'_>> = (outputs.iter_mut())
            .map(|planes| {
                let mut out = AudioOut { count: planes.len(), ..AudioOut::default() };
                for (channel, plane) in planes.iter_mut().enumerate() {
                    out.channels[channel] = &mut plane[at..at + frames];
                }
                out
            })
            .collect();
        let range = self.frame..self.frame + frames as i64;
        let mut events: Vec<Event> = (self.events.iter())
            .filter(|(frame, _)| range.contains(frame))
            .map(|(frame, event)| Event { offset: (frame - range.start) as u32, ..*event })
            .collect();
        events.sort_by_key(Event::order);
        let mut emitted = EventBuffer::new(4096);
        let points = grid_count(self.frame, frames);
        let mut values: Vec<Vec<f64>> = self.controls.iter().map(|_| vec![0.0; points]).collect();
        let mut controls: Vec<ControlOut<'_>> =
            values.iter_mut().map(|values| ControlOut { values }).collect();
        let transport = Transport { song_frame: self.frame, ..self.transport };
        let mut io = Io {
            frames,
            frame: self.frame,
            inputs: &ports,
            outputs: &mut outs,
            events: &events,
            emitted: &mut emitted,
            transport: &transport,
            ramps: &ramps,
            params_changed: changed,
            controls: &mut controls,
            content: &self.content,
            may_wait: true,
            device_inputs: &[],
            device_offset: 0,
        };
        assert_no_alloc::assert_no_alloc(|| self.node.process(&mut io));
        let frame = self.frame;
        self.emitted.extend(
            emitted.as_slice().iter().map(|event| (frame + i64::from(event.offset), *event)),
        );
        for (all, new) in self.controls.iter_mut().zip(values) {
            all.extend(new);
        }
        self.frame += frames as i64;
    }

    /// Runs everything in blocks of the given lengths, over and over.
    pub fn run(
        &mut self,
        inputs: &[Vec<Vec<f32>>],
        frames: usize,
        cuts: &[usize],
    ) -> Vec<Vec<Vec<f32>>> {
        let mut all: Vec<Vec<Vec<f32>>> = (self.descriptor().outputs.iter())
            .map(|port| vec![vec![]; port.count(self.setup.channels)])
            .collect();
        let (mut at, mut turn) = (0, 0);
        while at < frames {
            let length = cuts[turn % cuts.len()].clamp(1, frames - at);
            let part: Vec<Vec<Vec<f32>>> = (inputs.iter())
                .map(|port| port.iter().map(|plane| plane[at..at + length].to_vec()).collect())
                .collect();
            for (all, new) in all.iter_mut().zip(self.block(&part, length)) {
                for (all, new) in all.iter_mut().zip(new) {
                    all.extend(new);
                }
            }
            at += length;
            turn += 1;
        }
        all
    }

    /// The state as it would be saved.
    pub fn state(&mut self) -> Vec<u8> {
        save_state(&mut *self.node)
    }

    /// Saves the state, makes a new node, and loads the state into it.
    pub fn save_and_restore(&mut self) {
        let bytes = save_state(&mut *self.node);
        let mut node = (self.kind.make)();
        node.prepare(&self.setup);
        load_state(&mut *node, &bytes).expect("the state that was just saved");
        self.node = node;
        self.last = None;
    }
}

/// Noise for tests: `[channel]`, a function of the seed.
pub fn noise(seed: u64, channels: usize, frames: usize) -> Vec<Vec<f32>> {
    (0..channels)
        .map(|channel| {
            (0..frames)
                .map(|at| {
                    let counter = (channel as u64) << 40 | at as u64;
                    crate::math::random_bipolar(seed, counter) as f32 * 0.5
                })
                .collect()
        })
        .collect()
}

pub fn bits(output: &[Vec<Vec<f32>>]) -> Vec<u32> {
    output.iter().flatten().flatten().map(|sample| sample.to_bits()).collect()
}

/// Every cut of the blocks, and saving and restoring between blocks, gives the
/// same bits as one cut. `make` sets up a fresh rig.
pub fn check_cuts(make: impl Fn() -> Rig, inputs: &[Vec<Vec<f32>>], frames: usize) {
    let expect = bits(&make().run(inputs, frames, &[4096]));
    for cuts in [&[1][..], &[16], &[64], &[511], &[7, 300, 1, 64, 33], &[1024]] {
        let found = bits(&make().run(inputs, frames, cuts));
        assert!(found == expect, "blocks of {cuts:?} differ from blocks of 4096");
    }
    let mut rig = make();
    let middle = frames / 3;
    let part = |from: usize, to: usize| -> Vec<Vec<Vec<f32>>> {
        let cut = |plane: &Vec<f32>| plane[from..to].to_vec();
        inputs.iter().map(|port| port.iter().map(cut).collect()).collect()
    };
    let first = rig.run(&part(0, middle), middle, &[500]);
    rig.save_and_restore();
    let second = rig.run(&part(middle, frames), frames - middle, &[500]);
    let mut joined = first;
    for (port, more) in joined.iter_mut().zip(second) {
        for (plane, more) in port.iter_mut().zip(more) {
            plane.extend(more);
        }
    }
    assert!(bits(&joined) == expect, "saved and restored state differs");
}

/// Plays `sound` frames of noise and then nothing. Sound that is louder than `loud` at frame `at`
/// is not over: the node never says that it may be put to sleep, which ends all that it holds,
/// before it has fallen to −100 dB.
#[cfg(test)]
pub fn check_sleep(rig: &mut Rig, sound: usize, at: usize, loud: f32) {
    const STEP: usize = 64;
    let peak = |out: &[Vec<Vec<f32>>]| {
        out.iter().flatten().flatten().fold(0.0f32, |peak, x| peak.max(x.abs()))
    };
    rig.run(&[noise(7, rig.setup.channels, sound)], sound, &[STEP]);
    let silence = vec![vec![vec![0.0; STEP]; rig.setup.channels]];
    let mut was_loud = false;
    for quiet in (STEP..).step_by(STEP) {
        let heard = peak(&rig.run(&silence, STEP, &[STEP]));
        was_loud |= sound + quiet >= at && heard > loud;
        if let crate::node::Tail::Frames(tail) = rig.node.tail()
            && quiet as u64 >= tail
        {
            assert!(was_loud, "nothing was to be cut off at frame {at}");
            return assert!(heard < 1e-5, "cut off at {heard}, {quiet} frames after all sound");
        }
    }
}
