//! The engine as the rest of the program has it: loads projects, turns knobs,
//! presses play and reads meters, from any thread but the audio thread.

#![allow(clippy::disallowed_methods, reason = "patience is time; it never reaches audio")]

mod ahead;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pulse_schemas::{
    graph::{GraphSpec, NodeKey, OutputKind},
    hash::Hash,
};
use rtrb::{Producer, RingBuffer};

use super::{
    callback::{Callback, Parts, Place},
    events::{self, Act, Message},
    feedback::{self, Feedback},
    handoff::{self, Parcel, Program},
    inlet::Inlet,
    log,
    outlet::{self, Outlet},
    params::{self, ParamError},
    retire::Collector,
    scope::{self, Listener, SCOPES},
    song::Song,
    transport::{Mode, Range, Start},
};
use crate::{
    anticipate::{Anticipation, field::Field, shelf::Shelf, source},
    device::{self, DeviceConfig, DeviceError, DeviceState, keeper::Keeper},
    event::{Event, EventBody},
    exec::{
        Executor, FaultReport,
        profile::{Cost, Profile},
    },
    material::{Bound, Material, MediaResolver, Patch, Slices},
    parallel::Crew,
    plan::{CompileError, Compiler, Plan},
    registry::Registry,
    render::feed,
};

/// MIDI ports that can be open at once, and messages of each that
/// may be on their way.
const MIDI_PORTS: usize = 32;
const MIDI_WAITING: usize = 1_024;

/// How long a parcel may wait for the audio thread to take earlier ones.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Config {
    pub device: DeviceConfig,
    pub registry: Registry,
    /// The longest run of frames between two looks at what changed.
    pub max_block: usize,
    /// Cores that play, the device's own thread among them.
    pub threads: usize,
    /// Whether and how what is not live is rendered ahead; None computes all of it
    /// when the device asks.
    pub anticipation: Option<Anticipation>,
    /// Where what is rendered ahead may find what renders have made already.
    pub shelf: Option<Arc<dyn Shelf>>,
    /// Called on the audio thread as each of its turns begins (true) and ends (false), so that a
    /// test can watch what happens between. Has to be real-time safe itself.
    pub tripwire: Option<fn(bool)>,
}

impl Config {
    pub fn new(device: DeviceConfig) -> Config {
        let registry = Registry::standard();
        Config {
            device,
            registry,
            max_block: 512,
            threads: 1,
            anticipation: None,
            shelf: None,
            tripwire: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Compile(#[from] Box<CompileError>),
    #[error(transparent)]
    Param(#[from] ParamError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("the audio thread takes nothing; stop the engine and start it again")]
    Stuck,
    #[error("too many messages at once; send fewer")]
    Crowded,
    #[error("nothing is loaded; load a project first")]
    NothingLoaded,
    #[error("{SCOPES} outputs are looked at already; close a meter first")]
    Looked,
    #[error("a thread could not be started: {reason}; free some memory")]
    Thread { reason: String },
}

/// What was loaded last: the plan that runs as soon as parcels have arrived.
struct Loaded {
    plan: Arc<Plan>,
    material: Arc<Material>,
    slices: Slices,
    spec: Hash,
}

/// What was sent last.
#[derive(Clone)]
struct Current {
    plan: Arc<Plan>,
    material: Arc<Material>,
    /// What is rendered ahead.
    ahead: Option<Arc<Field>>,
}

impl Current {
    /// What the project says that a parameter is.
    fn value(&self, node: NodeKey, param: &str) -> Result<f64, ParamError> {
        let (plan, material) = self.home(node);
        let at = plan.find(node).ok_or(ParamError::UnknownNode { node })?;
        let class = plan.class(at);
        let descriptor = class.kind.map(|kind| kind.descriptor);
        let index = descriptor.and_then(|descriptor| descriptor.param_index(param));
        let value = index.and_then(|index| material.nodes[at as usize].params.get(index));
        value.copied().ok_or_else(|| ParamError::UnknownParam {
            kind: class.kind_name.clone(),
            param: param.to_owned(),
        })
    }
}

/// Whoever loads: holds its lock for as long as compiling and opening media take.
struct Loader {
    compiler: Compiler,
    sender: handoff::Sender,
    loaded: Option<Loaded>,
    serial: u64,
    threads: usize,
    profiling: bool,
    scopes: [bool; SCOPES],
    ahead: Option<ahead::AheadLoader>,
}

/// What commands and meters need: never held for long, and locked after the
/// loader where both are.
struct Control {
    messages: Producer<Message>,
    feedback: feedback::Reader,
    log: log::Reader,
    current: Option<Current>,
    outputs: BTreeMap<u64, Arc<[OutputKind]>>,
    last: Feedback,
    sent: u64,
    /// Where a transport act that may still be under way puts the song, and its
    /// number.
    told: Option<Told>,
    ahead: Option<ahead::Ahead>,
    place: Arc<Place>,
    profile: Option<(Arc<Plan>, Arc<Profile>)>,
}

/// An output that is looked at; see [`Engine::look_at`].
pub struct Look {
    slot: usize,
    pub listener: Listener,
}

/// What a node of the plan that plays has cost since it was asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeCost {
    pub node: NodeKey,
    pub kind: String,
    pub cost: Cost,
    /// Part of the time that there was.
    pub share: f64,
}

/// A transport act that may still be under way.
#[derive(Clone, Copy)]
struct Told {
    number: u64,
    at: u64,
    song_frame: i64,
}

/// A running engine. Dropping it stops the sound and every thread.
pub struct Engine {
    loader: Mutex<Loader>,
    control: Mutex<Control>,
    /// Rings for MIDI ports that nobody has.
    midi: Mutex<Vec<Producer<Message>>>,
    /// What is played elsewhere, until somebody takes it.
    outlet: Mutex<Option<Outlet>>,
    epoch: Instant,
    xruns: Arc<AtomicU64>,
    place: Arc<Place>,
    rate: u32,
    // Before the collector, so that what the callback held is freed there.
    keeper: Option<Keeper>,
    collector: Collector,
}

/// Drives an engine by hand, for tests and for measuring: as many frames as it
/// is told, at once.
pub struct ManualClock {
    callback: Box<Callback>,
    buffer: Vec<f32>,
}

impl ManualClock {
    /// The next frames, interleaved in stereo.
    pub fn run(&mut self, frames: usize) -> &[f32] {
        self.run_with(frames, &[])
    }

    /// For a device of a test's own.
    #[cfg(test)]
    pub(crate) fn into_callback(self) -> Box<Callback> {
        self.callback
    }

    /// The same, hearing inputs.
    pub fn run_with(&mut self, frames: usize, inputs: &[&[f32]]) -> &[f32] {
        self.buffer.resize(frames * 2, 0.0);
        self.callback.run(inputs, &mut self.buffer, 2);
        &self.buffer
    }
}

impl Engine {
    /// Starts with a device. Where it can't be had this fails; where it goes
    /// away later the null device takes over until it is back.
    pub fn start(config: Config) -> Result<Engine, EngineError> {
        let device = config.device.clone();
        let (mut engine, callback) = Engine::assemble(config)?;
        engine.keeper = Some(Keeper::start(device, callback)?);
        Ok(engine)
    }

    /// Starts without a device.
    pub fn manual(config: Config) -> Result<(Engine, ManualClock), EngineError> {
        let frames = config.max_block.max(8_192);
        let (engine, callback) = Engine::assemble(config)?;
        let buffer = Vec::with_capacity(frames * 2);
        Ok((engine, ManualClock { callback, buffer }))
    }

    fn assemble(config: Config) -> Result<(Engine, Box<Callback>), EngineError> {
        let rate = config.device.sample_rate;
        let place = Arc::new(Place::default());
        let now = place.ran.clone();
        let ahead = (config.anticipation).map(|how| ahead::assemble(&config, how, now));
        let (ahead, ahead_loader) = ahead.transpose()?.unzip();
        let compiler = Compiler::new(config.registry, rate, config.max_block).map_err(Box::new)?;
        let compiler = compiler.parallel(config.threads > 1);
        let (sender, receiver, returns) = handoff::channel();
        let (messages, queue) = RingBuffer::new(events::CAPACITY);
        let (midi, midi_queues): (Vec<_>, Vec<_>) =
            (0..MIDI_PORTS).map(|_| RingBuffer::new(MIDI_WAITING)).unzip();
        let epoch = Instant::now();
        let (writer, reader) = feedback::channel(rate);
        let (log_writer, log_reader) = log::channel();
        let xruns = Arc::new(AtomicU64::new(0));
        let (outlet, outside) = outlet::channel(place.clone(), epoch);
        let callback = Callback::new(Parts {
            rate,
            max_block: config.max_block,
            receiver,
            queues: std::iter::once(queue).chain(midi_queues).collect(),
            feedback: writer,
            log: log_writer,
            song: Arc::new(Song::plain(rate)),
            xruns: xruns.clone(),
            place: place.clone(),
            epoch,
            tripwire: config.tripwire,
            keeps_frames: ahead.is_some(),
            outlet,
        });
        let collector = Collector::start(returns)
            .map_err(|error| EngineError::Thread { reason: error.to_string() })?;
        let loader = Loader {
            compiler,
            sender,
            loaded: None,
            serial: 0,
            threads: config.threads.max(1),
            profiling: false,
            scopes: [false; SCOPES],
            ahead: ahead_loader,
        };
        let control = Control {
            messages,
            feedback: reader,
            log: log_reader,
            current: None,
            outputs: BTreeMap::new(),
            last: Feedback::default(),
            sent: 0,
            told: None,
            profile: None,
            ahead,
            place: place.clone(),
        };
        let engine = Engine {
            loader: Mutex::new(loader),
            control: Mutex::new(control),
            midi: Mutex::new(midi),
            outlet: Mutex::new(Some(outside)),
            epoch,
            xruns,
            place,
            rate,
            keeper: None,
            collector,
        };
        Ok((engine, Box::new(callback)))
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loader(&self) -> MutexGuard<'_, Loader> {
        self.loader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Result<Current, EngineError> {
        self.control().current.clone().ok_or(EngineError::NothingLoaded)
    }

    pub fn sample_rate(&self) -> u32 {
        self.rate
    }

    /// Makes a graph and its content sound. Where the graph is the one that
    /// plays, only what changed of the content is bound; state is kept of every
    /// node that both plans have.
    pub fn load(
        &self,
        spec: &GraphSpec,
        slices: Slices,
        media: &dyn MediaResolver,
    ) -> Result<(), EngineError> {
        let mut loader = self.loader();
        let before = loader.loaded.as_ref().map(|loaded| changed(&loaded.slices, &slices));
        let result = loader.load(self, spec, &slices, &before.unwrap_or_default(), media);
        if let (Ok(()), Some(loaded)) = (&result, &mut loader.loaded) {
            loaded.slices = slices;
        }
        result
    }

    /// The same, where only what differs from what was loaded last is given. What
    /// fails changes nothing.
    pub fn load_patch(
        &self,
        spec: &GraphSpec,
        patch: Patch,
        media: &dyn MediaResolver,
    ) -> Result<(), EngineError> {
        let mut loader = self.loader();
        let Some(loaded) = &mut loader.loaded else { return Err(EngineError::NothingLoaded) };
        let mut slices = std::mem::take(&mut loaded.slices);
        let back = slices.patch(patch);
        let result = loader.load(self, spec, &slices, &back.nodes(), media);
        if result.is_err() {
            slices.patch(back);
        }
        if let Some(loaded) = &mut loader.loaded {
            loaded.slices = slices;
        }
        result
    }

    /// New content for the graph that plays.
    pub fn update(&self, slices: Slices, media: &dyn MediaResolver) -> Result<(), EngineError> {
        let mut loader = self.loader();
        if loader.ahead.is_some() {
            return loader.update_ahead(self, slices, media);
        }
        let loaded = loader.loaded.take().ok_or(EngineError::NothingLoaded)?;
        let changed = changed(&loaded.slices, &slices);
        let result = loader.rebind(self, loaded, &slices, &changed, media);
        if let Some(loaded) = &mut loader.loaded {
            loaded.slices = slices;
        }
        result
    }

    pub fn set_song(&self, song: Song) -> Result<(), EngineError> {
        let song = Arc::new(song);
        let mut loader = self.loader();
        let clock = self.place.clock.load(Ordering::Acquire);
        if let Some(own) = &mut loader.ahead {
            let revision = own.next_revision();
            if let Some(ahead) = &mut self.control().ahead {
                ahead.set_song(clock, &song, revision);
            }
            own.tell_time(revision);
        }
        loader.send(Parcel::Song(song))
    }

    /// Turns a knob, by the id of the parameter, in native units.
    pub fn set_param(&self, node: NodeKey, param: &str, value: f64) -> Result<(), EngineError> {
        let act = params::resolve(self.current()?.home(node).0, node, param, value)?;
        self.act(act)
    }

    pub fn set_bypass(&self, node: NodeKey, on: bool) -> Result<(), EngineError> {
        self.act(Act::Bypass { node, on })
    }

    /// Sends a note or any other event to a node, as soon as possible. `id` is
    /// the identity that note-on and note-off share.
    pub fn send_event(&self, node: NodeKey, id: u128, body: EventBody) -> Result<(), EngineError> {
        self.act(Act::Event { node, event: Event { offset: 0, id, body } })
    }

    /// Gives a parameter back to the project, after `set_param`.
    pub fn release_param(&self, node: NodeKey, param: &str) -> Result<(), EngineError> {
        let value = self.current()?.value(node, param)?;
        self.set_param(node, param, value)
    }

    /// Frames by which the master is late.
    pub fn latency(&self) -> u32 {
        self.current().map_or(0, |current| current.plan.latency())
    }

    /// Nodes that play.
    pub fn nodes(&self) -> usize {
        let Ok(current) = self.current() else { return 0 };
        // A node that is rendered ahead may have a source in the live plan.
        let ahead = current.ahead.as_ref();
        let live = current.plan.nodes.iter();
        let live = live.filter(|node| ahead.is_none_or(|field| field.unit_of(node.key).is_none()));
        live.count() + ahead.map_or(0, |field| field.plan.nodes.len())
    }

    /// Where the song stands, to the block; what was just told counts as done.
    pub fn song_frame(&self) -> i64 {
        let mut control = self.control();
        if let Some(told) = control.told {
            let taken = self.place.taken.load(Ordering::Acquire) >= told.number;
            if !taken || self.place.clock.load(Ordering::Acquire) <= told.at {
                return told.song_frame;
            }
            control.told = None;
        }
        self.place.song_frame.load(Ordering::Relaxed)
    }

    /// What the transport does and whether it records, to the block.
    pub fn mode(&self) -> (Mode, bool) {
        let bits = self.place.mode.load(Ordering::Relaxed);
        let mode = match bits & 3 {
            1 => Mode::CountIn,
            2 => Mode::Playing,
            3 => Mode::Paused,
            _ => Mode::Stopped,
        };
        (mode, bits & 4 != 0)
    }

    pub fn play(&self, start: Start) -> Result<(), EngineError> {
        self.act(Act::Play(start))
    }

    pub fn stop(&self) -> Result<(), EngineError> {
        self.act(Act::Stop)
    }

    pub fn pause(&self) -> Result<(), EngineError> {
        self.act(Act::Pause)
    }

    /// To a frame of the song.
    pub fn seek(&self, to: i64) -> Result<(), EngineError> {
        self.act(Act::Seek(to))
    }

    pub fn set_loop(&self, range: Option<Range>) -> Result<(), EngineError> {
        self.act(Act::Loop(range))
    }

    pub fn set_punch(&self, range: Option<Range>) -> Result<(), EngineError> {
        self.act(Act::Punch(range))
    }

    pub fn set_metronome(&self, on: bool, gain: f32) -> Result<(), EngineError> {
        self.act(Act::Metronome { on, gain })
    }

    pub fn panic(&self) -> Result<(), EngineError> {
        self.act(Act::Panic)
    }

    pub fn act(&self, act: Act) -> Result<(), EngineError> {
        self.control().act(0, act)
    }

    /// Does something at a frame of the device's clock, see [`Feedback::clock`].
    pub fn act_at(&self, clock: u64, act: Act) -> Result<(), EngineError> {
        self.control().act(clock, act)
    }

    /// What `pulse.midi` nodes say, for the one who sends it to ports; None once
    /// it was taken.
    pub fn outlet(&self) -> Option<Outlet> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes back the way in of a port that was closed.
    pub fn return_inlet(&self, inlet: Inlet) {
        self.midi.lock().unwrap_or_else(PoisonError::into_inner).push(inlet.into_queue());
    }

    /// The way in for a MIDI port, which sends without waiting for anyone. None
    /// while too many are given out.
    pub fn inlet(&self) -> Option<Inlet> {
        let queue = self.midi.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Inlet::new(queue, self.place.clone(), self.epoch, self.rate))
    }

    /// What sounds now. Peaks are the highest since the last call.
    pub fn feedback(&self) -> Feedback {
        let mut control = self.control();
        let control = &mut *control;
        let outputs = &control.outputs;
        if let Some(latest) = control.feedback.latest(|serial| outputs.get(&serial).cloned()) {
            control.last = latest;
        }
        let mut feedback = control.last.clone();
        feedback.xruns =
            self.xruns.load(Ordering::Relaxed) + self.keeper.as_ref().map_or(0, Keeper::xruns);
        control.last.faults.clear();
        control.last.fresh = false;
        feedback.faults.extend(control.ahead.iter().flat_map(ahead::Ahead::faults));
        feedback
    }

    /// Magnitudes of the master from 0 Hz to half the rate.
    pub fn spectrum(&self, out: &mut Vec<f32>) {
        self.control().feedback.spectrum(out);
    }

    /// Begins to listen to one output, wherever later plans have it; `loud` where
    /// loudness will be asked for.
    pub fn look_at(&self, of: OutputKind, loud: bool) -> Result<Look, EngineError> {
        let mut loader = self.loader();
        let free = loader.scopes.iter().position(|taken| !taken);
        let slot = free.ok_or(EngineError::Looked)?;
        let (scope, listener) = scope::pair(of, self.rate, loud);
        loader.send(Parcel::Scope(slot, Some(scope)))?;
        loader.scopes[slot] = true;
        Ok(Look { slot, listener })
    }

    pub fn look_away(&self, look: Look) -> Result<(), EngineError> {
        let mut loader = self.loader();
        loader.send(Parcel::Scope(look.slot, None))?;
        loader.scopes[look.slot] = false;
        Ok(())
    }

    /// Measures what each node costs, from now on or no longer.
    pub fn set_profiling(&self, on: bool) -> Result<(), EngineError> {
        let mut loader = self.loader();
        loader.profiling = on;
        let plan = loader.loaded.as_ref().map(|loaded| loaded.plan.clone());
        let profile = plan.filter(|_| on).map(|plan| (plan.clone(), profile_of(&plan)));
        let field = {
            let mut control = self.control();
            control.profile = profile.clone();
            control.ahead.as_ref().and_then(|ahead| ahead.field.clone())
        };
        field.iter().flat_map(|field| &field.units).for_each(|unit| unit.measure(on));
        loader.send(Parcel::Profile(profile.map(|(_, profile)| profile)))
    }

    /// The nodes that were measured, by key; none while nobody measures.
    pub fn node_costs(&self) -> Option<Vec<NodeCost>> {
        let (measured, field) = {
            let control = self.control();
            let field = control.ahead.as_ref().and_then(|ahead| ahead.field.clone());
            (control.profile.clone()?, field)
        };
        let ahead = field.iter().flat_map(|field| &field.units).filter_map(|unit| unit.measured());
        let all = std::iter::once(measured).chain(ahead);
        Some(all.flat_map(|(plan, profile)| costs(&plan, &profile)).collect())
    }

    /// What the audio thread noted since the last call.
    pub fn notes(&self) -> Vec<log::Note> {
        self.control().log.drain()
    }

    /// What failed nodes of plans that are gone had to say.
    pub fn retired_faults(&self) -> Vec<FaultReport> {
        self.collector.take_faults()
    }

    /// What plays, and how it fares; None where frames are asked for by hand.
    pub fn device(&self) -> Option<DeviceState> {
        self.keeper.as_ref().map(Keeper::state)
    }

    /// Goes to another device without a gap in anything but sound.
    pub fn open_device(&self, device: DeviceConfig) -> Result<(), EngineError> {
        match &self.keeper {
            Some(keeper) => Ok(keeper.open(device)?),
            None => Err(EngineError::Device(DeviceError::Closed)),
        }
    }

    /// Every device of every host of this build.
    pub fn devices() -> Vec<device::DeviceEntry> {
        device::list()
    }
}

impl Control {
    fn act(&mut self, at: u64, act: Act) -> Result<(), EngineError> {
        let clock = self.place.clock.load(Ordering::Acquire);
        let routed = self.ahead.as_mut().map(|ahead| ahead.route(clock, at, act));
        let at = routed.as_ref().map_or(at, |routed| routed.at);
        if routed.as_ref().is_none_or(|routed| routed.heard) {
            self.messages.push(Message { at, act }).map_err(|_| EngineError::Crowded)?;
            self.sent += 1;
        }
        if let (Some(ahead), Some(routed)) = (&mut self.ahead, routed) {
            ahead.done(&routed, act);
        }
        match act {
            Act::Seek(frame) => {
                self.told = Some(Told { number: self.sent, at, song_frame: frame });
            }
            Act::Play(Start { from: Some(frame), pre_roll, .. }) => {
                let song_frame = frame - pre_roll.max(0);
                self.told = Some(Told { number: self.sent, at, song_frame });
            }
            _ => {}
        }
        Ok(())
    }

    /// What the levels of a program will be of. Those of programs that can't
    /// sound any more are forgotten.
    fn announce(&mut self, serial: u64, kinds: Arc<[OutputKind]>) {
        self.outputs.insert(serial, kinds);
        while self.outputs.len() > handoff::CAPACITY {
            self.outputs.pop_first();
        }
    }
}

impl Loader {
    /// Waits, shortly, while the audio thread is busy with earlier parcels.
    fn send(&mut self, mut parcel: Parcel) -> Result<(), EngineError> {
        let began = Instant::now();
        loop {
            match self.sender.send(parcel) {
                Ok(()) => return Ok(()),
                Err(_) if began.elapsed() > PATIENCE => return Err(EngineError::Stuck),
                Err(refused) => parcel = refused,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Makes content sound; the caller keeps it. `changed` are the nodes whose
    /// content is not what it was.
    fn load(
        &mut self,
        engine: &Engine,
        spec: &GraphSpec,
        slices: &Slices,
        changed: &BTreeSet<NodeKey>,
        media: &dyn MediaResolver,
    ) -> Result<(), EngineError> {
        if self.ahead.is_some() {
            return self.load_ahead(engine, spec, slices, changed, media);
        }
        let hash = spec.hash();
        match self.loaded.take() {
            Some(loaded) if loaded.spec == hash => {
                self.rebind(engine, loaded, slices, changed, media)
            }
            running => self.recompile(engine, spec, hash, running, (slices, changed), media),
        }
    }

    fn rebind(
        &mut self,
        engine: &Engine,
        mut loaded: Loaded,
        slices: &Slices,
        changed: &BTreeSet<NodeKey>,
        media: &dyn MediaResolver,
    ) -> Result<(), EngineError> {
        let result = if changed.is_empty() {
            Ok(())
        } else {
            let material = loaded.material.rebind(&loaded.plan, changed, slices, media);
            loaded.material = Arc::new(material);
            let current = loaded.current(None);
            engine.control().current = Some(current);
            self.send(Parcel::Material(0, loaded.material.clone()))
        };
        self.loaded = Some(loaded);
        result
    }

    fn recompile(
        &mut self,
        engine: &Engine,
        spec: &GraphSpec,
        hash: Hash,
        running: Option<Loaded>,
        (slices, changed): (&Slices, &BTreeSet<NodeKey>),
        media: &dyn MediaResolver,
    ) -> Result<(), EngineError> {
        let plan = match self.compiler.compile(spec) {
            Ok(plan) => Arc::new(plan),
            Err(error) => {
                // What plays goes on playing.
                self.loaded = running;
                return Err(Box::new(error).into());
            }
        };
        let known = running.iter().map(|running| (&*running.plan, &*running.material));
        let bound = Bound { known: known.collect(), changed };
        let material = Arc::new(bound.bind(&plan, slices, media));
        let executor = match &running {
            Some(loaded) => Executor::successor(plan.clone(), material.clone(), &loaded.plan),
            None => Executor::new(plan.clone(), material.clone()),
        };
        let crew =
            (self.threads > 1 && plan.tasks.len() > 1).then(|| Crew::new(&plan, self.threads));
        let kinds: Arc<[OutputKind]> = plan.outputs.iter().map(|output| output.kind).collect();
        let master = kinds.iter().position(|kind| *kind == OutputKind::Master);
        self.serial += 1;
        engine.control().announce(self.serial, kinds);
        let profile = self.profiling.then(|| (plan.clone(), profile_of(&plan)));
        let mut executor = executor;
        executor.swap_profile(profile.as_ref().map(|(_, profile)| profile.clone()));
        engine.control().profile = profile;
        let speakers = outlet::speakers(&plan);
        let program = Program { serial: self.serial, at: 0, executor, crew, master, speakers };
        let sent = self.send(Parcel::Program(Box::new(program)));
        self.loaded = match sent {
            Ok(()) => Some(Loaded { plan, material, slices: Slices::default(), spec: hash }),
            Err(_) => running,
        };
        engine.control().current = self.loaded.as_ref().map(|loaded| loaded.current(None));
        sent
    }
}

impl Loaded {
    fn current(&self, ahead: Option<Arc<Field>>) -> Current {
        Current { plan: self.plan.clone(), material: self.material.clone(), ahead }
    }
}

/// Without what stands in for others.
fn costs(plan: &Plan, profile: &Profile) -> Vec<NodeCost> {
    let available = profile.frames() as f64 / f64::from(plan.sample_rate) * 1e9;
    let costs = plan.nodes.iter().enumerate().map(|(index, node)| {
        let cost = profile.cost(index);
        NodeCost {
            node: node.key,
            kind: plan.class(index as u32).kind_name.clone(),
            cost,
            share: if available > 0.0 { cost.nanos as f64 / available } else { 0.0 },
        }
    });
    let stands_in = |kind: &str| kind == source::KIND_NAME || kind == feed::KIND_NAME;
    costs.filter(|cost| cost.cost.blocks > 0 && !stands_in(&cost.kind)).collect()
}

fn profile_of(plan: &Plan) -> Arc<Profile> {
    Arc::new(Profile::new(plan.nodes.len()))
}

/// Nodes whose content differs.
fn changed(old: &Slices, new: &Slices) -> BTreeSet<NodeKey> {
    let mut nodes = BTreeSet::new();
    differences(&old.params.0, &new.params.0, &mut nodes);
    differences(&old.automation.0, &new.automation.0, &mut nodes);
    differences(&old.events.0, &new.events.0, &mut nodes);
    differences(&old.clips.0, &new.clips.0, &mut nodes);
    differences(&old.zones.0, &new.zones.0, &mut nodes);
    nodes
}

fn differences<T: PartialEq>(
    old: &BTreeMap<NodeKey, T>,
    new: &BTreeMap<NodeKey, T>,
    nodes: &mut BTreeSet<NodeKey>,
) {
    let gone = old.keys().filter(|key| !new.contains_key(key));
    let other = new.iter().filter(|(key, value)| old.get(key) != Some(value));
    nodes.extend(gone.chain(other.map(|(key, _)| key)));
}
