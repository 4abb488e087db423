//! One part of the graph that is rendered ahead, and how far it has come.
//!
//! A unit lives through the same course as the audio thread, only earlier. When
//! somebody acts at a frame that it has passed already, it goes back to a point
//! that it kept and lives through it again: everything up to that frame comes out
//! as before, everything after as if the act had always been known. So what is
//! heard never depends on how far ahead anybody was.

mod segments;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Instant,
};

use pulse_schemas::{graph::NodeKey, hash::Hash};

use super::ring::{Found, Ring};
use crate::{
    event::EventBody,
    exec::{Block, Checkpoint, Executor, profile::Profile},
    material::Material,
    node::MAX_CHANNELS,
    plan::Plan,
    rt::{
        callback::tell,
        course::{Course, Effect},
        events::Act,
        song::Song,
    },
};
use segments::ShelvedState;
pub use segments::{Notice, Segments};

/// Frames that a worker renders before it looks at another unit.
const CHUNK: u64 = 1_024;
/// Turns of a quarter of a millisecond that a unit gets to come to its end.
const PATIENCE: u32 = 4_000;
/// Frames between two points that a unit can go back to; as far apart as those within
/// segments that were rendered.
pub const POINT: u64 = crate::render::points::EVERY;

/// What happens to a unit at a frame.
#[derive(Clone)]
pub enum What {
    Act(Act),
    Material(Arc<Material>),
    Song(Arc<Song>),
    /// What it plays or hears is that of another revision, with segments of so many
    /// frames.
    Revision(u64, u64),
}

/// Something that happens at a frame of the clock.
#[derive(Clone)]
pub struct Stamped {
    pub at: u64,
    pub what: What,
}

/// A signal from another unit.
pub struct Signal {
    pub ring: Arc<Ring>,
    pub channels: u8,
    /// Added to a position of the reader to get one of the ring.
    pub shift: i64,
}

/// One input: signals of a group are summed in their order, then the groups.
pub struct Inlet {
    pub channels: u8,
    pub groups: Vec<Vec<Signal>>,
}

struct Point {
    course: Course,
    song: Arc<Song>,
    next: usize,
    state: State,
    since: Option<u64>,
    revision: u64,
    frames: u64,
}

/// What there is to go on from.
enum State {
    Whole(Checkpoint),
    Shelved(ShelvedState),
}

/// An executor on its way through the course.
pub struct Run {
    pub executor: Executor,
    course: Course,
    song: Arc<Song>,
    inlets: Vec<Inlet>,
    outlets: Vec<Arc<Ring>>,
    acts: VecDeque<Stamped>,
    /// Acts that no point needs any more, and the first that has not been done.
    dropped: usize,
    next: usize,
    points: VecDeque<Point>,
    /// What nodes were told while they stood still.
    waiting: Vec<Act>,
    feeds: Vec<[Vec<f32>; MAX_CHANNELS]>,
    scratch: [[Vec<f32>; MAX_CHANNELS]; 2],
    /// Frames of input that had been overwritten.
    pub lost: u64,
    /// Where segments may be taken from a shelf.
    segments: Option<Segments>,
}

impl Run {
    pub fn new(
        executor: Executor,
        course: Course,
        song: Arc<Song>,
        inlets: Vec<Inlet>,
        outlets: Vec<Arc<Ring>>,
        segments: Option<Segments>,
    ) -> Run {
        let frames = executor.plan().max_block;
        let pair = || [vec![0.0; frames], vec![0.0; frames]];
        let feeds = inlets.iter().map(|_| pair()).collect();
        let mut run = Run {
            executor,
            course,
            song,
            inlets,
            outlets,
            acts: VecDeque::new(),
            dropped: 0,
            next: 0,
            points: VecDeque::new(),
            waiting: vec![],
            feeds,
            scratch: [pair(), pair()],
            lost: 0,
            segments,
        };
        run.outlets.iter().for_each(|ring| ring.mark_as_rendered(None));
        run.mark();
        run
    }

    /// Acts that are known from the start.
    pub fn know(&mut self, acts: &[Stamped]) {
        self.acts.extend(acts.iter().cloned());
    }

    pub fn ran(&self) -> u64 {
        self.course.ran()
    }

    /// Paused, and nothing is known that ends it.
    fn rests(&self) -> bool {
        self.next - self.dropped == self.acts.len() && !self.course.runs()
    }

    /// How far the inputs reach. Who hears ahead may come before the end of what is
    /// paused and go on in silence: what would have come there is not known, and when
    /// it is, all of this is run again.
    fn reach(&self) -> u64 {
        let signals = self.inlets.iter().flat_map(|inlet| inlet.groups.iter().flatten());
        let signals = signals.filter(|signal| !signal.ring.rests());
        let ends = signals.map(|signal| (signal.ring.end() as i64 - signal.shift).max(0) as u64);
        ends.min().unwrap_or(u64::MAX)
    }

    fn mark(&mut self) {
        let state = State::Whole(self.executor.checkpoint());
        let point = self.point(state);
        self.points.push_back(point);
    }

    fn point(&self, state: State) -> Point {
        let own = self.segments.as_ref();
        Point {
            course: self.course.clone(),
            song: self.song.clone(),
            next: self.next,
            state,
            since: own.and_then(|own| own.since),
            revision: own.map_or(0, |own| own.revision),
            frames: own.map_or(0, |own| own.frames),
        }
    }

    /// Forgets what lies so far back that nobody returns there.
    fn forget(&mut self, now: u64) {
        while self.points.get(1).is_some_and(|point| point.course.ran() <= now) {
            self.points.pop_front();
        }
        let needed = self.points.front().map_or(self.next, |point| point.next);
        while self.dropped < needed && self.acts.pop_front().is_some() {
            self.dropped += 1;
        }
        let first = self.points.front().map_or(0, |point| point.course.ran());
        self.forget_disturbances(first);
    }

    /// Goes back, if it has come further.
    pub fn rewind(&mut self, to: u64) {
        if self.course.ran() <= to {
            return;
        }
        self.return_to(to);
    }

    /// Renders up to `limit` frames; returns how many. None come while the course
    /// is paused and nothing is known to end the pause.
    pub fn step(&mut self, limit: u64) -> u64 {
        self.acts_due();
        if !self.course.runs() {
            return 0;
        }
        self.pass_disturbances();
        self.ask();
        if self.is_taking() {
            return self.take(limit);
        }
        let plan = self.executor.plan().clone();
        let mut frames = limit.min(plan.max_block as u64).min(self.course.span());
        frames = frames.min(self.to_edge());
        frames = frames.min(POINT - self.course.ran() % POINT);
        if let Some(act) = self.acts.get(self.next - self.dropped) {
            frames = frames.min(act.at - self.course.clock());
        }
        if !self.hear(frames as usize) {
            return 0;
        }
        // From here on some frames are run: what comes to be known of this very place
        // later finds it as it was before the edge.
        let took = self.takes();
        self.edge();
        if self.takes() {
            return self.take(limit);
        }
        if took {
            // It has gone back, perhaps to an edge.
            return 0;
        }
        self.render(frames as usize);
        let turns = frames == self.course.span();
        let effect = self.course.advance(frames);
        self.follow(effect);
        if turns {
            self.break_off();
        }
        self.pass_disturbances();
        if self.course.ran().is_multiple_of(POINT) {
            self.mark();
        }
        frames
    }

    fn acts_due(&mut self) {
        while let Some(act) = self.acts.get(self.next - self.dropped) {
            if act.at > self.course.clock() {
                if self.course.runs() {
                    return;
                }
                if self.course.run_to(act.at) {
                    self.executor.reset();
                }
            }
            if self.takes() {
                self.compute_again();
                continue;
            }
            let what = act.what.clone();
            self.next += 1;
            match what {
                What::Act(act) if !act.is_transport() && !self.course.runs() => {
                    self.waiting.push(act);
                }
                what => self.do_what(what),
            }
            if self.course.runs() {
                let waiting = std::mem::take(&mut self.waiting);
                waiting.into_iter().for_each(|act| self.do_what(What::Act(act)));
            }
        }
    }

    fn do_what(&mut self, what: What) {
        match what {
            What::Act(act) if act.is_transport() => {
                let effect = self.course.act(act, &self.song);
                self.follow(effect);
            }
            // A node that is not of this unit, or one that is full.
            What::Act(act) => _ = tell(&mut self.executor, act, self.course.transport().frame()),
            What::Material(mut material) => self.executor.swap_material(&mut material),
            What::Song(song) => self.song = song,
            What::Revision(revision, frames) => self.follow_revision(revision, frames),
        }
    }

    fn follow(&mut self, effect: Effect) {
        self.executor.jump(effect.jump.by);
        if effect.jump.release {
            self.executor.tell_players(EventBody::AllNotesOff, self.course.transport().frame());
        }
        if effect.reset {
            self.executor.reset();
        }
        if effect.jump.landed {
            self.executor.chase(self.course.transport().frame());
        }
    }

    /// Fills the feeds with the finished sums of their signals; false when one of
    /// them was taken back just now.
    fn hear(&mut self, frames: usize) -> bool {
        let at = self.course.ran() as i64;
        let [group_sum, heard] = &mut self.scratch;
        for (inlet, feed) in self.inlets.iter().zip(&mut self.feeds) {
            let channels = usize::from(inlet.channels);
            feed.iter_mut().for_each(|side| side[..frames].fill(0.0));
            for (index, group) in inlet.groups.iter().enumerate() {
                for (order, signal) in group.iter().enumerate() {
                    for (channel, side) in heard.iter_mut().enumerate() {
                        let found =
                            signal.ring.read(at + signal.shift, channel, &mut side[..frames]);
                        if matches!(found, Found::Part(_)) && !signal.ring.rests() {
                            return false;
                        }
                        self.lost += u64::from(found == Found::Gone);
                    }
                    for (channel, sum) in group_sum.iter_mut().enumerate().take(channels) {
                        add(sum, heard, signal.channels, channels, channel, order == 0, frames);
                    }
                }
                for (sum, part) in feed.iter_mut().zip(&*group_sum).take(channels) {
                    let pairs = sum[..frames].iter_mut().zip(&part[..frames]);
                    match index {
                        0 => pairs.for_each(|(sum, part)| *sum = *part),
                        _ => pairs.for_each(|(sum, part)| *sum += *part),
                    }
                }
            }
        }
        true
    }

    fn render(&mut self, frames: usize) {
        let feeds: Vec<&[f32]> = self.feeds.iter().flatten().map(|side| &side[..frames]).collect();
        let now = self.course.now(&self.song);
        let mut block = Block::live(self.course.transport().frame(), frames, &now, &feeds);
        // Nobody waits for this thread.
        block.may_wait = true;
        self.executor.process(&block);
        self.executor.played(frames);
        let at = self.course.ran();
        for (index, ring) in self.outlets.iter().enumerate() {
            for (channel, samples) in self.executor.output_pair(index).into_iter().enumerate() {
                ring.write(at, channel, &samples[..frames]);
            }
        }
    }
}

/// As a plan adds: mono into stereo sounds on both sides, stereo into mono is the
/// mean. A ring of a mono port holds it twice.
fn add(
    sum: &mut [f32],
    heard: &[Vec<f32>; MAX_CHANNELS],
    from: u8,
    to: usize,
    channel: usize,
    first: bool,
    frames: usize,
) {
    let mean = from == 2 && to == 1;
    let [left, right] = heard;
    for i in 0..frames {
        let value = if mean { (left[i] + right[i]) * 0.5 } else { heard[channel][i] };
        sum[i] = if first { value } else { sum[i] + value };
    }
}

/// What a unit is asked to do before it goes on.
#[derive(Default)]
struct Orders {
    acts: Vec<Stamped>,
    rewind: Option<u64>,
    disturbances: Vec<u64>,
}

/// Where a signal of a unit comes from.
#[derive(Clone, PartialEq, Debug)]
pub struct Wire {
    pub from: NodeKey,
    pub port: u16,
    pub channels: u8,
    /// The feed that it goes into, and its group there.
    pub feed: u32,
    pub group: u32,
    pub shift: i64,
}

/// What a unit is, apart from content: the same as long as this is equal.
#[derive(Clone, PartialEq, Debug)]
pub struct Shape {
    pub nodes: Vec<NodeKey>,
    pub spec: Hash,
    /// Of each node, which edges end there.
    pub wiring: Vec<u64>,
    /// Channels of each feed.
    pub feeds: Vec<u8>,
    pub wires: Vec<Wire>,
    pub outlets: Vec<(NodeKey, u16)>,
}

/// A unit that several threads know.
pub struct Unit {
    pub shape: Shape,
    pub rings: Vec<Arc<Ring>>,
    pub notice: Arc<Notice>,
    orders: Mutex<Orders>,
    run: Mutex<Option<Run>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Unit {
    pub fn new(shape: Shape, run: Run) -> Unit {
        let rings = run.outlets.clone();
        let notice = run.segments.as_ref().map(|own| own.notice.clone()).unwrap_or_default();
        Unit { shape, rings, notice, orders: Mutex::default(), run: Mutex::new(Some(run)) }
    }

    /// Frames up to which every output is there.
    pub fn end(&self) -> u64 {
        self.rings.iter().map(|ring| ring.end()).min().unwrap_or(u64::MAX)
    }

    pub fn missed(&self) -> u64 {
        self.rings.iter().map(|ring| ring.missed()).max().unwrap_or(0)
    }

    /// From now on nothing at or after `from` counts.
    pub fn order(&self, from: u64, act: Option<Stamped>) {
        let mut orders = lock(&self.orders);
        self.rings.iter().for_each(|ring| ring.set_rest(false));
        orders.acts.extend(act);
        orders.disturbances.push(from);
        orders.rewind = Some(orders.rewind.map_or(from, |before| before.min(from)));
        self.rings.iter().for_each(|ring| ring.truncate(from));
    }

    /// Something that changes nothing that has been rendered, so far as is known.
    pub fn tell(&self, act: Stamped) {
        let mut orders = lock(&self.orders);
        self.rings.iter().for_each(|ring| ring.set_rest(false));
        orders.acts.push(act);
    }

    fn take_orders(&self, run: &mut Run) {
        let mut orders = lock(&self.orders);
        run.acts.extend(orders.acts.drain(..));
        orders.disturbances.drain(..).for_each(|at| run.disturb(at));
        if let Some(to) = orders.rewind.take() {
            drop(orders);
            run.rewind(to);
        }
    }

    fn publish(&self, run: &Run) {
        let orders = lock(&self.orders);
        let end = orders.rewind.map_or(run.ran(), |limit| limit.min(run.ran()));
        self.rings.iter().for_each(|ring| ring.publish(end));
        let rests = orders.acts.is_empty() && orders.rewind.is_none() && run.rests();
        self.rings.iter().for_each(|ring| ring.set_rest(rests));
    }

    /// Renders some frames towards `target`; returns how many.
    #[allow(clippy::disallowed_methods, reason = "what work costs is time; none reaches audio")]
    pub fn work(&self, now: u64, target: u64) -> u64 {
        let mut guard = match self.run.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return 0,
        };
        let Some(run) = guard.as_mut() else { return 0 };
        self.take_orders(run);
        run.forget(now);
        // Also where nothing comes to hear: it may stand still with its sources.
        run.acts_due();
        let before = run.ran();
        let until = target.min(run.reach()).min(before + CHUNK);
        let began = Instant::now();
        let computes = !run.takes();
        while run.ran() < until && run.step(until - run.ran()) > 0 {}
        if computes && let Some(own) = run.segments.as_mut().filter(|_| run.course.ran() > before) {
            own.measure(run.course.ran() - before, began.elapsed().as_nanos() as u64);
        }
        self.publish(run);
        run.ran().saturating_sub(before)
    }

    /// Whether everything that was asked for has been done up to `until`.
    pub fn is_ready(&self, until: u64) -> bool {
        let asked = { lock(&self.orders).rewind.is_some() };
        !asked && (self.end() >= until || self.is_paused())
    }

    /// Paused, as far as it knows.
    fn is_paused(&self) -> bool {
        let orders = lock(&self.orders);
        if !orders.acts.is_empty() {
            return false;
        }
        drop(orders);
        lock(&self.run).as_ref().is_none_or(Run::rests)
    }

    /// Takes the run out, standing at `at`; the unit is over. Where it can't get
    /// there within some turns it stands wherever it came.
    pub fn retire(&self, at: u64) -> Option<Run> {
        let mut run = lock(&self.run).take()?;
        self.take_orders(&mut run);
        run.rewind(at);
        run.compute_only();
        let mut patience = PATIENCE;
        while run.ran() < at && patience > 0 {
            let left = at.min(run.reach()).saturating_sub(run.ran());
            if left == 0 || run.step(left) == 0 {
                patience -= 1;
                std::thread::sleep(std::time::Duration::from_micros(250));
            }
            // It is heard until then, and others may wait for it.
            self.publish(&run);
        }
        run.acts_due();
        // Whoever takes the nodes over takes along what they were told.
        let waiting = std::mem::take(&mut run.waiting);
        waiting.into_iter().for_each(|act| run.do_what(What::Act(act)));
        Some(run)
    }

    /// Calls `report` with every node that failed since the last call, and whether
    /// it panicked.
    pub fn faults(&self, report: &mut dyn FnMut(NodeKey, bool)) {
        let Ok(mut guard) = self.run.try_lock() else { return };
        let Some(run) = guard.as_mut() else { return };
        let mut failed = vec![];
        run.executor.new_faults(|node| failed.push(node));
        for node in failed {
            let key = run.executor.plan().nodes[node as usize].key;
            report(key, run.executor.has_panicked(node).unwrap_or(false));
        }
    }

    /// Times what every node costs, from now on or no longer.
    pub fn measure(&self, on: bool) {
        let mut run = lock(&self.run);
        let Some(run) = run.as_mut().filter(|run| run.executor.profile().is_some() != on) else {
            return;
        };
        let profile = on.then(|| Arc::new(Profile::new(run.executor.plan().nodes.len())));
        run.executor.swap_profile(profile);
    }

    /// What was measured, where somebody wants to know.
    pub fn measured(&self) -> Option<(Arc<Plan>, Arc<Profile>)> {
        let run = lock(&self.run);
        let executor = &run.as_ref()?.executor;
        Some((executor.plan().clone(), executor.profile()?.clone()))
    }

    /// Signals that had been overwritten before they were heard.
    pub fn lost(&self) -> u64 {
        self.run.try_lock().ok().and_then(|run| run.as_ref().map(|run| run.lost)).unwrap_or(0)
    }
}
