//! Editing while it plays: 64 tracks, 32 returns, random structural edits. What an edit doesn't touch
//! sounds as if nothing had happened, bit for bit; what it touches has no step; the callback allocates
//! nothing. By hand, and on a JACK server that plays to nobody (`--features jack`).
//!
//! A witness after each track's dynamics hashes what passes in windows of 100 ms of the engine's clock,
//! which is how the direct outs of a running engine are compared with those of an unedited one.

#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(clippy::disallowed_methods, reason = "devices play in real time")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

use pulse_engine::{
    device::DeviceConfig,
    material::{NoMedia, Slices},
    math,
    node::{Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail},
    param::{ParamDesc, Unit},
    registry::Registry,
    rt::{Config, Engine, ManualClock},
};
use pulse_schemas::{
    graph::{
        Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec, OutputKind,
        OutputSpec, Role,
    },
    id::{AnyId, EntityId, EntityKind},
};

const RATE: i64 = 48_000;
const BLOCK: usize = 128;
const TRACKS: u32 = 64;
/// Tracks from here on are edited, those before are not.
const EDITED: u32 = 33;
const RETURNS: u32 = 32;
/// Frames of one hash, and how many a run may fill.
const WINDOW: i64 = 4_800;
const WINDOWS: usize = 4_096;
/// −60 dBFS.
const STEP: f32 = 0.001;

// -- what allocates on an audio thread ----------------------------------------------------------

struct Counting;

thread_local! {
    static AUDIO: Cell<bool> = const { Cell::new(false) };
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn count() {
    if AUDIO.with(Cell::get) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// -- a source and a witness ---------------------------------------------------------------------

const INDEX: &[ParamDesc] =
    &[ParamDesc::new("index", "Index", Unit::None, (0.0, 4_095.0), 0.0).stepped().layout()];

static TONE: NodeKind = {
    static DESCRIPTOR: Descriptor = {
        let mut descriptor = Descriptor::instrument("load.tone", "Tone", INDEX);
        descriptor.event_input = false;
        descriptor
    };
    NodeKind::new(&DESCRIPTOR, || Box::<Tone>::default())
};

/// A sine of 20 to 40 Hz at −36 dBFS, a function of the frame: nothing in it steps.
#[derive(Default)]
struct Tone {
    hz: f64,
}

impl Node for Tone {
    fn prepare(&mut self, setup: &Setup) {
        self.hz = 20.0 + 0.31 * setup.param(0);
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let (start, frames, hz) = (io.frame(), io.frames(), self.hz);
        for channel in 0..io.output_channels(0) {
            for (i, sample) in io.output(0, channel)[..frames].iter_mut().enumerate() {
                let phase = (start + i as i64) as f64 * hz / RATE as f64;
                *sample =
                    (math::sin((phase - phase.floor()) * std::f64::consts::TAU) / 64.0) as f32;
            }
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}

    fn reset(&mut self) {}

    fn latency(&self) -> u32 {
        0
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

static WITNESS: NodeKind = {
    static DESCRIPTOR: Descriptor = Descriptor::effect("load.witness", "Witness", INDEX);
    NodeKind::new(&DESCRIPTOR, || Box::<Witness>::default())
};

/// Hashes by run, track and window; 0 is "not heard whole".
static HEARD: [[AtomicU64; WINDOWS]; 3 * TRACKS as usize] =
    [const { [const { AtomicU64::new(0) }; WINDOWS] }; 3 * TRACKS as usize];
/// The first frame that any witness of a run heard.
static FIRST: [AtomicI64; 3] = [const { AtomicI64::new(i64::MAX) }; 3];

#[derive(Default)]
struct Witness {
    index: usize,
    hash: u64,
    frames: u64,
}

impl Node for Witness {
    fn prepare(&mut self, setup: &Setup) {
        self.index = setup.param(0) as usize;
    }

    /// Marks the thread as one that must not allocate.
    fn process(&mut self, io: &mut Io<'_>) {
        AUDIO.with(|audio| audio.set(true));
        let start = io.frame();
        FIRST[self.index / TRACKS as usize].fetch_min(start, Ordering::Relaxed);
        let (left, right) = io.output_pair(0);
        for (i, (left, right)) in left.iter().zip(&*right).enumerate() {
            let frame = start + i as i64;
            if frame % WINDOW == 0 {
                (self.hash, self.frames) = (0xcbf2_9ce4_8422_2325, 0);
            }
            for bits in [left.to_bits(), right.to_bits()] {
                self.hash = (self.hash ^ u64::from(bits)).wrapping_mul(0x100_0000_01b3);
            }
            self.frames += 1;
            if frame % WINDOW == WINDOW - 1 && self.frames == WINDOW as u64 {
                let window = (frame / WINDOW) as usize;
                if let Some(heard) = HEARD[self.index].get(window) {
                    heard.store(self.hash | 1, Ordering::Relaxed);
                }
            }
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.u64(&mut self.hash);
        visitor.u64(&mut self.frames);
    }

    fn reset(&mut self) {
        self.frames = 0;
    }

    fn latency(&self) -> u32 {
        0
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }
}

// -- the session and its edits ------------------------------------------------------------------

fn key(number: u32) -> NodeKey {
    let id = AnyId { kind: EntityKind::DspNode, id: EntityId(u128::from(number)) };
    NodeKey { entity: id, role: Role::new("node") }
}

fn node(number: u32, kind: &str, index: Option<u32>) -> NodeSpec {
    let layout = index.map(|index| ("index".to_owned(), f64::from(index)));
    NodeSpec {
        key: key(number),
        kind: kind.to_owned(),
        dsp_version: 1,
        layout: layout.into_iter().collect(),
        channels: 2,
        cohort: Cohort::Live,
    }
}

fn edge(from: u32, to: u32) -> EdgeSpec {
    EdgeSpec {
        from: key(from),
        from_port: 0,
        to: key(to),
        to_port: Inlet::Port(0),
        kind: EdgeKind::Audio,
        feedback_frames: None,
        compensated: true,
        depth: Depth::FULL,
    }
}

const MASTER: u32 = 1;
/// Nodes of a track: tone, EQ, compressor, witness, then inserts, then the strip.
const STRIP: u32 = 50;
const INSERTS: [&str; 5] =
    ["pulse.eq", "pulse.filter", "pulse.delay", "pulse.compressor", "pulse.gate"];

fn track(number: u32) -> u32 {
    number * 100
}

fn aux(number: u32) -> u32 {
    100_000 + number * 100
}

/// What edits change.
#[derive(Clone)]
struct Project {
    run: u32,
    present: BTreeSet<u32>,
    /// (track, place) of inserts.
    inserts: BTreeSet<(u32, usize)>,
    /// Track → return.
    sends: BTreeMap<u32, u32>,
    /// Tracks that reach the master only through a return.
    detour: BTreeSet<u32>,
}

impl Project {
    fn new(run: u32) -> Project {
        Project {
            run,
            present: (1..=TRACKS).collect(),
            inserts: BTreeSet::new(),
            sends: (1..=TRACKS).map(|number| (number, 1 + number % RETURNS)).collect(),
            detour: BTreeSet::new(),
        }
    }

    fn spec(&self) -> GraphSpec {
        let mut spec = GraphSpec::default();
        spec.nodes.push(node(MASTER, "pulse.strip", None));
        for number in 1..=RETURNS {
            spec.nodes.push(node(aux(number), "pulse.filter", None));
            spec.nodes.push(node(aux(number) + 1, "pulse.strip", None));
            spec.edges.push(edge(aux(number), aux(number) + 1));
            spec.edges.push(edge(aux(number) + 1, MASTER));
        }
        for &number in &self.present {
            self.add_track(&mut spec, number);
        }
        spec.outputs.push(OutputSpec { kind: OutputKind::Master, node: key(MASTER), port: 0 });
        spec.canonicalise();
        spec
    }

    fn add_track(&self, spec: &mut GraphSpec, number: u32) {
        let base = track(number);
        let witness = self.run * TRACKS + number - 1;
        spec.nodes.push(node(base, "load.tone", Some(number)));
        spec.nodes.push(node(base + 1, "pulse.eq", None));
        spec.nodes.push(node(base + 2, "pulse.compressor", None));
        spec.nodes.push(node(base + 3, "load.witness", Some(witness)));
        spec.nodes.push(node(base + STRIP, "pulse.strip", None));
        let mut last = base;
        let inserts = (0..INSERTS.len()).filter(|&at| self.inserts.contains(&(number, at)));
        let inserts: Vec<u32> = inserts
            .map(|at| {
                spec.nodes.push(node(base + 10 + at as u32, INSERTS[at], None));
                base + 10 + at as u32
            })
            .collect();
        for next in (1..=3).map(|at| base + at).chain(inserts).chain([base + STRIP]) {
            spec.edges.push(edge(last, next));
            last = next;
        }
        if !self.detour.contains(&number) {
            spec.edges.push(edge(last, MASTER));
        }
        if let Some(&to) = self.sends.get(&number) {
            spec.edges.push(edge(last, aux(to)));
        }
        // A direct out.
        let kind = OutputKind::Tap(key(base + 3).entity);
        spec.outputs.push(OutputSpec { kind, node: key(base + 3), port: 0 });
    }

    /// The `at`th random edit. The first tracks keep their chain, but not their sends.
    fn edit(&mut self, at: u64) {
        let pick = |what: u64, among: u32| (math::random_u64(what, at) % u64::from(among)) as u32;
        let number = EDITED + pick(1, TRACKS - EDITED + 1);
        match pick(2, 5) {
            0 => toggle(&mut self.present, number),
            1 | 2 => toggle(&mut self.inserts, (number, pick(3, INSERTS.len() as u32) as usize)),
            3 => {
                let number = 1 + pick(4, TRACKS);
                match self.sends.remove(&number) {
                    Some(_) => _ = self.detour.remove(&number),
                    None => _ = self.sends.insert(number, 1 + pick(5, RETURNS)),
                }
            }
            _ if self.sends.contains_key(&number) => toggle(&mut self.detour, number),
            _ => _ = self.sends.insert(number, 1 + pick(6, RETURNS)),
        }
    }
}

fn toggle<T: Ord>(set: &mut BTreeSet<T>, item: T) {
    if !set.remove(&item) {
        set.insert(item);
    }
}

/// Two bells and a compressor that works on every track.
fn settings() -> Slices {
    let mut slices = Slices::default();
    for number in 1..=TRACKS {
        let (eq, compressor) = (key(track(number) + 1), key(track(number) + 2));
        for (band, gain) in [(1, 3.0), (2, -2.0)] {
            slices.params.set(eq, &format!("band{band}Type"), 1.0);
            slices.params.set(eq, &format!("band{band}Gain"), gain + 0.01 * f64::from(number));
        }
        slices.params.set(compressor, "threshold", -50.0);
        // The mix stays below half of full scale, or the fade of an edit would be the steepest thing.
        slices.params.set(key(track(number) + STRIP), "gain", -6.0);
    }
    slices
}

fn config(device: DeviceConfig) -> Config {
    let mut config = Config::new(device);
    config.registry = Registry::standard().with(&TONE).with(&WITNESS);
    config
}

fn manual() -> (Engine, ManualClock) {
    Engine::manual(config(DeviceConfig::null(RATE as u32))).unwrap()
}

fn load(engine: &Engine, project: &Project, slices: &Slices) {
    engine.load(&project.spec(), slices.clone(), &NoMedia).unwrap();
}

/// As an audio thread: no allocation goes unnoticed.
fn turn(clock: &mut ManualClock, heard: &mut Vec<f32>) {
    AUDIO.with(|audio| audio.set(true));
    heard.extend(clock.run(BLOCK).chunks_exact(2).map(|frame| frame[0]));
    AUDIO.with(|audio| audio.set(false));
}

fn steepest(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

/// The windows that both runs heard whole, for every unedited track; every one must agree.
fn compare(run: u32, unedited: u32, least: usize) {
    for number in 1..EDITED {
        let of = |run: u32| &HEARD[(run * TRACKS + number - 1) as usize];
        let heard: Vec<usize> =
            (0..WINDOWS).filter(|&at| of(run)[at].load(Ordering::Relaxed) != 0).collect();
        let (Some(&first), Some(&last)) = (heard.first(), heard.last()) else {
            panic!("nothing of track {number} was heard");
        };
        assert!(heard.len() >= least, "track {number}: {} windows", heard.len());
        assert_eq!(heard.len(), last - first + 1, "track {number} was interrupted");
        for at in heard {
            let hash = |run: u32| of(run)[at].load(Ordering::Relaxed);
            assert_eq!(hash(run), hash(unedited), "track {number}, {} ms", at * 100);
        }
    }
}

fn edits(short: u64) -> u64 {
    if std::env::var_os("PULSE_SOAK").is_some_and(|value| value != "0") { 1_000 } else { short }
}

// -- the runs -----------------------------------------------------------------------------------

#[test]
fn what_an_edit_does_not_touch_is_bit_equal_and_what_it_touches_has_no_step() {
    const BETWEEN: usize = 12;
    let count = edits(60);
    let slices = settings();
    let (engine, mut clock) = manual();
    let mut project = Project::new(0);
    load(&engine, &project, &slices);
    let (mut heard, mut at_edit) = (vec![], vec![]);
    heard.reserve((count as usize + 2) * BETWEEN * BLOCK * 2);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for at in 0..count {
        (0..BETWEEN).for_each(|_| turn(&mut clock, &mut heard));
        project.edit(at);
        load(&engine, &project, &slices);
        at_edit.push(heard.len());
    }
    (0..2 * BETWEEN).for_each(|_| turn(&mut clock, &mut heard));
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let (calm_engine, mut calm) = manual();
    load(&calm_engine, &Project::new(1), &slices);
    for _ in 0..heard.len() / BLOCK {
        calm.run(BLOCK);
    }
    AUDIO.with(|audio| audio.set(false));
    compare(0, 1, heard.len() / WINDOW as usize - 1);
    assert_eq!(allocated, 0, "allocations in the callback");
    let mut worst = 0.0f32;
    for edit in at_edit {
        // The sample before the edit and the fade, against the sound around it.
        let seam = steepest(&heard[edit - 1..edit + 4 * BLOCK]);
        let before = steepest(&heard[edit.saturating_sub(8 * BLOCK)..edit]);
        let after = steepest(&heard[edit + 4 * BLOCK..edit + 10 * BLOCK]);
        worst = worst.max(seam - before.max(after));
        assert!(worst <= STEP, "a step of {worst} beyond the material, at frame {edit}");
    }
    eprintln!("{count} edits: worst step {worst:.6} beyond the material, 0 allocations");
}

#[cfg(feature = "jack")]
mod jack {
    use std::{
        process::{Child, Command, Stdio},
        time::Duration,
    };

    use pulse_engine::device::Host;

    use super::*;

    const SERVER: &str = "pulse-edit-test";

    struct Server(Child);

    impl Server {
        /// None where jackd is not installed.
        fn start() -> Option<Server> {
            let rates = ["--no-realtime", "-n", SERVER, "-d", "dummy", "-r", "48000", "-p", "512"];
            let mut command = Command::new("jackd");
            command.args(rates).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().ok()?;
            std::thread::sleep(Duration::from_millis(1_500));
            Some(Server(child))
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            // This very process, by its id.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// The name of the server is read from the environment, which a test can only set for another
    /// process: it runs itself again.
    #[test]
    fn a_device_plays_through_every_edit() {
        if std::env::var("JACK_DEFAULT_SERVER").as_deref() != Ok(SERVER) {
            let own = std::env::current_exe().unwrap();
            let status = Command::new(own)
                .args(["--exact", "jack::a_device_plays_through_every_edit", "--nocapture"])
                .env("JACK_DEFAULT_SERVER", SERVER)
                .env("JACK_NO_START_SERVER", "1")
                .status()
                .unwrap();
            assert!(status.success());
            return;
        }
        let Some(_server) = Server::start() else {
            eprintln!("skipped: jackd is not installed (apt-get install jackd2)");
            return;
        };
        let count = edits(12);
        let slices = settings();
        let device = DeviceConfig::of(Host::Jack, RATE as u32);
        // What a callback that does nothing has of late turns on this machine.
        let idle = Engine::start(config(device.clone())).unwrap();
        std::thread::sleep(Duration::from_millis(60 * count + 800));
        let calm = idle.feedback().xruns;
        drop(idle);
        let engine = Engine::start(config(device)).unwrap();
        let mut project = Project::new(2);
        load(&engine, &project, &slices);
        std::thread::sleep(Duration::from_millis(500));
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for at in 0..count {
            project.edit(at);
            load(&engine, &project, &slices);
            std::thread::sleep(Duration::from_millis(60));
        }
        std::thread::sleep(Duration::from_millis(300));
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
        let busy = engine.feedback().xruns;
        drop(engine);
        // The same from the same frame on, without edits and without a device.
        let (reference, mut clock) = manual();
        let first = FIRST[2].load(Ordering::Relaxed);
        for _ in 0..first / BLOCK as i64 {
            clock.run(BLOCK);
        }
        load(&reference, &Project::new(1), &slices);
        let last =
            HEARD[2 * TRACKS as usize].iter().rposition(|at| at.load(Ordering::Relaxed) != 0);
        let until = (last.unwrap() as i64 + 1) * WINDOW;
        for _ in 0..(until - first) / BLOCK as i64 + 1 {
            clock.run(BLOCK);
        }
        AUDIO.with(|audio| audio.set(false));
        compare(2, 1, 5);
        eprintln!("{count} edits under JACK: {allocated} allocations, {busy} xruns, idle {calm}");
        assert_eq!(allocated, 0, "allocations in the callback");
    }
}
