//! Editing while it plays: 64 tracks, 32 returns, random structural edits. What an edit doesn't touch
//! sounds as if nothing had happened, bit for bit; what it touches has no step; the callback does
//! nothing that an audio thread must not do. By hand, and on a JACK server that plays to nobody
//! (`--features jack`), where it misses its time no more often than a callback that does nothing.
//!
//! A witness after each track's dynamics hashes what passes in windows of 100 ms of the engine's clock,
//! which is how the direct outs of a running engine are compared with those of an unedited one.

#![allow(clippy::disallowed_methods, reason = "devices play in real time")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

use std::{
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
use pulse_schemas::graph::GraphSpec;

#[cfg(feature = "jack")]
#[path = "shared/jack.rs"]
mod jack;
#[path = "shared/session.rs"]
mod session;
#[path = "shared/tripwire.rs"]
mod tripwire;
#[path = "shared/turns.rs"]
mod turns;

use session::{MASTER, edge, key, master, node, tap};

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

    fn process(&mut self, io: &mut Io<'_>) {
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

/// Nodes of a track: tone, EQ, compressor, witness, then inserts, then the strip.
const STRIP: u32 = 50;
/// The last two are late: the saturator oversamples and the limiter looks ahead.
const INSERTS: [&str; 7] = [
    "pulse.eq",
    "pulse.filter",
    "pulse.delay",
    "pulse.compressor",
    "pulse.gate",
    "pulse.saturator",
    "pulse.limiter",
];

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
        spec.outputs.push(master(MASTER));
        spec.canonicalise();
        spec
    }

    fn add_track(&self, spec: &mut GraphSpec, number: u32) {
        let base = track(number);
        let witness = self.run * TRACKS + number - 1;
        spec.nodes.push(node(base, "load.tone", Some(("index", number))));
        spec.nodes.push(node(base + 1, "pulse.eq", None));
        spec.nodes.push(node(base + 2, "pulse.compressor", None));
        spec.nodes.push(node(base + 3, "load.witness", Some(("index", witness))));
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
        spec.outputs.push(tap(base + 3));
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
    config.tripwire = Some(turns::watch);
    config.registry = Registry::standard().with(&TONE).with(&WITNESS);
    config
}

fn manual() -> (Engine, ManualClock) {
    Engine::manual(config(DeviceConfig::null(RATE as u32))).unwrap()
}

fn load(engine: &Engine, project: &Project, slices: &Slices) {
    engine.load(&project.spec(), slices.clone(), &NoMedia).unwrap();
}

fn turn(clock: &mut ManualClock, heard: &mut Vec<f32>) {
    heard.extend(clock.run(BLOCK).chunks_exact(2).map(|frame| frame[0]));
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
    let before = tripwire::counts();
    for at in 0..count {
        (0..BETWEEN).for_each(|_| turn(&mut clock, &mut heard));
        project.edit(at);
        load(&engine, &project, &slices);
        at_edit.push(heard.len());
    }
    (0..2 * BETWEEN).for_each(|_| turn(&mut clock, &mut heard));
    let after = tripwire::counts();
    let (calm_engine, mut calm) = manual();
    load(&calm_engine, &Project::new(1), &slices);
    for _ in 0..heard.len() / BLOCK {
        calm.run(BLOCK);
    }
    compare(0, 1, heard.len() / WINDOW as usize - 1);
    assert_eq!(after, before, "what the callback did");
    let mut worst = 0.0f32;
    for edit in at_edit {
        // The sample before the edit, the wait for what is late, and the fade, against the sound
        // around it.
        let seam = steepest(&heard[edit - 1..edit + 6 * BLOCK]);
        let before = steepest(&heard[edit.saturating_sub(6 * BLOCK)..edit]);
        let after = steepest(&heard[edit + 6 * BLOCK..edit + 12 * BLOCK]);
        worst = worst.max(seam - before.max(after));
        assert!(worst <= STEP, "a step of {worst} beyond the material, at frame {edit}");
    }
    eprintln!("{count} edits: worst step {worst:.6} beyond the material");
}

#[cfg(feature = "jack")]
mod on_jack {
    use std::time::Duration;

    use pulse_engine::{device::Host, rt::transport::Start};

    use super::*;

    const SERVER: &str = "pulse-edit-test";
    const PERIOD: u32 = 1_024;
    /// Edits between two rests.
    const AT_ONCE: u64 = 10;
    const BETWEEN: Duration = Duration::from_millis(60);
    /// How often the whole is tried again: what others do to the machine strikes rests and edits
    /// alike in the long run, and one of both in the short.
    const TRIES: u64 = 5;
    /// Microseconds that a turn may wait for its core before the window proves nothing: a callback
    /// that works needs the core, and without real-time priority it stands in line for it.
    const DISTURBED: u64 = 4_000;

    struct Run {
        engine: Engine,
        project: Project,
        edits: u64,
        /// Missed times while edited, and while nothing runs.
        missed: [u64; 2],
        disturbed: u64,
    }

    impl Run {
        /// Some edits, then as long a rest, in which the callback does nothing.
        fn window(&mut self, slices: &Slices) {
            let xruns = || self.engine.feedback().xruns;
            let before = xruns();
            turns::take_waited();
            for _ in 0..AT_ONCE {
                self.project.edit(self.edits);
                load(&self.engine, &self.project, slices);
                self.edits += 1;
                std::thread::sleep(BETWEEN);
            }
            self.engine.pause().unwrap();
            std::thread::sleep(BETWEEN);
            let between = xruns();
            std::thread::sleep(BETWEEN * AT_ONCE as u32);
            let after = xruns();
            self.engine.play(Start::default()).unwrap();
            std::thread::sleep(BETWEEN);
            if turns::take_waited() > DISTURBED {
                self.disturbed += 1;
                return;
            }
            self.missed[0] += between - before;
            self.missed[1] += after - between;
        }
    }

    #[test]
    fn a_device_plays_through_every_edit() {
        if !jack::within(SERVER, "on_jack::a_device_plays_through_every_edit") {
            return;
        }
        let Some(_server) = jack::Server::start(SERVER, PERIOD) else { return };
        let slices = settings();
        let before = tripwire::counts();
        let engine = Engine::start(config(DeviceConfig::of(Host::Jack, RATE as u32))).unwrap();
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let mut run =
            Run { engine, project: Project::new(2), edits: 0, missed: [0, 0], disturbed: 0 };
        load(&run.engine, &run.project, &slices);
        std::thread::sleep(Duration::from_millis(500));
        for _ in 0..TRIES {
            run.missed = [0, 0];
            let until = run.edits + edits(2 * AT_ONCE);
            while run.edits < until {
                run.window(&slices);
            }
            if run.missed[0] <= run.missed[1] {
                break;
            }
        }
        let Run { engine, edits, missed: [edited, resting], disturbed, .. } = run;
        let load = engine.feedback().load;
        drop(engine);
        let after = tripwire::counts();
        eprintln!(
            "{edits} edits under JACK: {edited} xruns while edited, {resting} while nothing ran, \
             {disturbed} windows of {AT_ONCE} disturbed by others; load {load:?}; {}",
            turns::histogram(),
        );
        compare_with_unedited(&slices);
        assert_eq!(after, before, "what the callback did");
        assert!(edited <= resting, "{edited} xruns while edited, {resting} while nothing ran");
    }

    /// The same from the same frame on, without edits and without a device.
    fn compare_with_unedited(slices: &Slices) {
        let (reference, mut clock) = manual();
        let first = FIRST[2].load(Ordering::Relaxed);
        for _ in 0..first / BLOCK as i64 {
            clock.run(BLOCK);
        }
        clock.run((first % BLOCK as i64) as usize);
        load(&reference, &Project::new(1), slices);
        let last =
            HEARD[2 * TRACKS as usize].iter().rposition(|at| at.load(Ordering::Relaxed) != 0);
        let until = (last.unwrap() as i64 + 1) * WINDOW;
        for _ in 0..(until - first) / BLOCK as i64 + 1 {
            clock.run(BLOCK);
        }
        compare(2, 1, 5);
    }
}
