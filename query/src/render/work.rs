//! Doing the work: which segment of which unit is next, and who does it.
//!
//! Threads take ready segments from one table: a segment is ready when the one
//! before it is done and all that it hears is. Which thread does which and when
//! has no influence on any result, because a segment is a pure function of its
//! key's ingredients.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use pulse_engine::{
    material::MediaResolver,
    node::Made,
    plan::{Plan, PlanUnit, UnitInput},
    render::{Points, Profile, SegmentPort, SegmentRunner, SegmentSound, sum_signals},
};
use pulse_schemas::{graph::EdgeSpec, hash::Hash};
use pulse_store::cache::CacheStore;

use super::{
    Options, Piece, RenderError, Report, Song, UnitReport, compiler,
    derived::{Counts, Material},
    key::{Found, Hasher, INITIAL, SILENCE, found, segment_key, slice_hash, unit_hash},
    known::Known,
    pcm::{Recent, Sound, decode, encode, is_silent},
    wiring::{Outlet, Wiring},
};

/// Bytes of sound that a render keeps in memory.
const RECENT_BYTES: usize = 192 * 1024 * 1024;

/// Segments that workers may be ahead of the output.
const AHEAD: i64 = 6;

/// The same for units of which all was known so far: to look up is cheap, and long
/// rows of it cheaper still.
const AHEAD_OF_KNOWN: i64 = 96;

/// Bytes of a frame of sound.
const SAMPLES: usize = 8;

/// How far a render is: segments done of segments needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// One unit on its way through the song.
#[derive(Default)]
struct UnitWork {
    done: Vec<Known>,
    /// Segments that somebody needs.
    target: usize,
    busy: bool,
    /// Its last segment had to be rendered.
    missed: bool,
}

/// What of one unit stays as it is during a render.
struct Fixed<'a> {
    found: Found,
    edges: Vec<&'a EdgeSpec>,
    /// Part of the key that all segments share, worked out by whoever needs it first.
    base: OnceLock<Hash>,
    /// Its sound is made from what it hears faster than it is read: only its hash
    /// is kept.
    light: bool,
}

/// What a worker does next.
enum Job {
    Segment(usize, usize),
    Read(Load),
}

/// Sound that will be handed out, to be read and checked.
#[derive(Clone, Copy)]
struct Load {
    /// In segments of the render.
    segment: i64,
    unit: usize,
    hash: Hash,
}

struct Table {
    units: Vec<UnitWork>,
    /// Sound to read for the output, by its segment, and what is being read.
    loads: VecDeque<Load>,
    loading: BTreeSet<Hash>,
    report: Report,
    failed: Option<RenderError>,
    /// The first segment that the output still waits for.
    wanted: i64,
    finished: bool,
}

impl Table {
    fn count_rendered(&mut self, unit: usize) {
        self.report.rendered += 1;
        self.report.units[unit].rendered += 1;
    }
}

pub struct Render<'a> {
    song: &'a Song,
    media: &'a (dyn MediaResolver + Sync),
    cache: &'a dyn CacheStore,
    range: Range<i64>,
    options: &'a Options,
    wiring: Wiring,
    /// By unit.
    fixed: Vec<Fixed<'a>>,
    /// A segment of nothing.
    silence: Vec<f32>,
    /// By unit: ports that leave the plan, read ahead of whoever takes them.
    leaving: Vec<Vec<usize>>,
    table: Mutex<Table>,
    /// For workers: something may be ready.
    wake: Condvar,
    /// For whoever takes the sound: some of it is there.
    out: Condvar,
    recent: Mutex<Recent>,
    /// One runner a unit, made when its first miss comes.
    runners: Vec<Mutex<Option<SegmentRunner>>>,
    verified: AtomicU64,
    made: Counts,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Render<'a> {
    pub fn new(
        song: &'a Song,
        media: &'a (dyn MediaResolver + Sync),
        cache: &'a dyn CacheStore,
        range: Range<i64>,
        options: &'a Options,
    ) -> Result<Render<'a>, RenderError> {
        let plan = &song.plan;
        let wiring = Wiring::of(plan);
        let units = plan.units.iter().map(|_| UnitWork::default()).collect();
        let mut leaving = vec![Vec::new(); plan.units.len()];
        for output in &plan.outputs {
            if let Some(outlet) = wiring.outlet(output.node, output.port) {
                leaving[outlet.unit].push(outlet.port);
            }
        }
        let longest = (0..plan.units.len()).map(|unit| song.multiple(unit)).max().unwrap_or(1);
        let edges = wiring.edges_within(&song.spec, plan);
        let fixed = plan.units.iter().zip(edges).zip(&leaving);
        let fixed = fixed.map(|((unit, edges), leaving)| Fixed {
            found: found(plan, unit, &song.pins),
            edges,
            base: OnceLock::new(),
            light: leaving.is_empty() && is_light(plan, unit),
        });
        let fixed = fixed.collect();
        let mut render = Render {
            song,
            media,
            cache,
            range,
            options,
            wiring,
            fixed,
            silence: vec![0.0; (options.segment_frames.max(1) * longest) as usize],
            leaving,
            table: Mutex::new(Table {
                units,
                loads: VecDeque::new(),
                loading: BTreeSet::new(),
                report: Report::default(),
                failed: None,
                wanted: 0,
                finished: false,
            }),
            wake: Condvar::new(),
            out: Condvar::new(),
            recent: Mutex::new(Recent::new(RECENT_BYTES)),
            runners: plan.units.iter().map(|_| Mutex::new(None)).collect(),
            verified: AtomicU64::new(0),
            made: Counts::default(),
        };
        render.aim();
        Ok(render)
    }

    fn segment(&self) -> i64 {
        i64::from(self.options.segment_frames.max(1))
    }

    /// Frames of a segment of this unit.
    fn length(&self, unit: usize) -> i64 {
        self.segment() * i64::from(self.song.multiple(unit))
    }

    /// How many segments of each unit are needed: what the outputs need, and
    /// what those need in turn. Units come before their readers.
    fn aim(&mut self) {
        let lengths: Vec<i64> = (0..self.fixed.len()).map(|unit| self.length(unit)).collect();
        let plan = &self.song.plan;
        let end = self.range.end;
        let table = self.table.get_mut().unwrap_or_else(PoisonError::into_inner);
        for output in &plan.outputs {
            if let Some(unit) = self.wiring.unit_of(output.node) {
                let late = i64::from(output.latency) - i64::from(plan.units[unit].arrival);
                let need = segments(end + late, lengths[unit]);
                table.units[unit].target = table.units[unit].target.max(need);
            }
        }
        for reader in (0..plan.units.len()).rev() {
            let until = table.units[reader].target as i64 * lengths[reader];
            for input in &plan.units[reader].inputs {
                if let Some(unit) = self.wiring.unit_of(input.node) {
                    let need = segments(until + input.shift, lengths[unit]);
                    table.units[unit].target = table.units[unit].target.max(need);
                }
            }
        }
        table.report.total = table.units.iter().map(|unit| unit.target as u64).sum();
        let key = |node: &u32| plan.nodes[*node as usize].key;
        let units = plan.units.iter().zip(&table.units);
        let report = |(unit, work): (&PlanUnit, &UnitWork)| UnitReport {
            nodes: unit.nodes.iter().map(key).collect(),
            total: work.target as u64,
            rendered: 0,
        };
        table.report.units = units.map(report).collect();
        table.report.volatile = self.song.volatile().map(|key| key.to_string()).collect();
    }

    /// Renders and hands out pieces in order.
    pub fn run(self, sink: &mut dyn FnMut(Piece<'_>) -> bool) -> Result<Report, RenderError> {
        let threads = self.options.threads.max(1);
        let result = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.work())).collect();
            let handed = self.hand_out(sink);
            self.finish();
            let fine = workers.into_iter().all(|worker| worker.join().is_ok());
            handed.and(if fine { Ok(()) } else { Err(RenderError::Worker) })
        });
        result?;
        let mut table = self.table.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = table.failed.take() {
            return Err(error);
        }
        table.report.verified = self.verified.load(Ordering::Relaxed);
        table.report.decoded = self.made.read(Made::Decoded);
        table.report.resampled = self.made.read(Made::Resampled);
        table.report.stretched = self.made.read(Made::Stretched);
        // What was only read needs no disk to wait for.
        if table.report.rendered + table.report.remade > 0 {
            self.cache.flush()?;
        }
        Ok(table.report)
    }

    fn finish(&self) {
        lock(&self.table).finished = true;
        self.wake.notify_all();
    }

    fn cancelled(&self) -> bool {
        self.options.cancel.load(Ordering::Relaxed)
    }

    // Output

    fn hand_out(&self, sink: &mut dyn FnMut(Piece<'_>) -> bool) -> Result<(), RenderError> {
        let segment = self.segment();
        let mut at = self.range.start;
        while at < self.range.end {
            let until = ((at.div_euclid(segment) + 1) * segment).min(self.range.end);
            for index in 0..self.song.plan.outputs.len() {
                self.hand_out_one(index, at..until, sink)?;
            }
            at = until;
        }
        Ok(())
    }

    /// One output over a stretch: as it lies in memory, cut where the segments of
    /// its own unit end, which is elsewhere where the output is late.
    fn hand_out_one(
        &self,
        index: usize,
        range: Range<i64>,
        sink: &mut dyn FnMut(Piece<'_>) -> bool,
    ) -> Result<(), RenderError> {
        let plan = &self.song.plan;
        let output = &plan.outputs[index];
        let Some(outlet) = self.wiring.outlet(output.node, output.port) else { return Ok(()) };
        let segment = self.length(outlet.unit);
        let late = i64::from(output.latency) - i64::from(plan.units[outlet.unit].arrival);
        let need = segments(range.end + late, segment);
        self.wait_for(outlet.unit, need, range.start.div_euclid(self.segment()))?;
        let mut at = range.start;
        while at < range.end {
            let own = (at + late).div_euclid(segment);
            let until = ((own + 1) * segment - late).min(range.end);
            let inside = (at + late - own * segment) as usize;
            let part = inside..inside + (until - at) as usize;
            let sound = match usize::try_from(own) {
                Ok(own) => {
                    self.await_load(outlet, own)?;
                    self.sound(outlet, own)?
                }
                Err(_) => None,
            };
            let [left, right] = match &sound {
                Some(sound) => [&sound[0][part.clone()], &sound[1][part]],
                None => [&self.silence[part.clone()], &self.silence[part]],
            };
            if !sink(Piece { output: index, frame: at, left, right }) {
                return Err(RenderError::Cancelled);
            }
            at = until;
        }
        Ok(())
    }

    /// Waits for a worker that is reading just this; what none has begun to read is
    /// left to the caller.
    fn await_load(&self, outlet: Outlet, segment: usize) -> Result<(), RenderError> {
        let mut table = lock(&self.table);
        let known = table.units[outlet.unit].done.get(segment);
        let hash = known.and_then(|known| known.ports.get(outlet.port)).copied();
        let Some(hash) = hash.filter(|hash| *hash != SILENCE) else { return Ok(()) };
        table.loads.retain(|load| load.hash != hash);
        while table.loading.contains(&hash) && !self.cancelled() && table.failed.is_none() {
            let wait = std::time::Duration::from_millis(100);
            table = self.out.wait_timeout(table, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Waits until a unit has so many segments.
    fn wait_for(&self, unit: usize, need: usize, wanted: i64) -> Result<(), RenderError> {
        let mut table = lock(&self.table);
        table.wanted = wanted;
        self.wake.notify_all();
        loop {
            if let Some(error) = table.failed.take() {
                return Err(error);
            }
            if table.units[unit].done.len() >= need {
                return Ok(());
            }
            if self.cancelled() {
                return Err(RenderError::Cancelled);
            }
            let wait = std::time::Duration::from_millis(100);
            table = self.out.wait_timeout(table, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    // Workers

    fn work(&self) {
        while let Some(job) = self.take() {
            match job {
                Job::Segment(unit, segment) => self.row(unit, segment),
                Job::Read(load) => {
                    let loaded = self.load(&load.hash, self.length(load.unit));
                    let mut table = lock(&self.table);
                    table.loading.remove(&load.hash);
                    if let Err(error) = loaded {
                        table.failed.get_or_insert(error);
                        table.finished = true;
                    }
                    drop(table);
                    self.out.notify_all();
                }
            }
        }
    }

    /// Segments of one unit, as long as they are known and ready: to choose anew and
    /// to tell the others costs more than to look one up.
    fn row(&self, unit: usize, from: usize) {
        let mut next = Some(from);
        while let Some(segment) = next {
            let result = self.one(unit, segment);
            let mut table = lock(&self.table);
            let mut on = false;
            match result {
                Ok((known, was_known)) => {
                    if was_known {
                        self.plan_loads(&mut table, unit, segment, &known);
                    }
                    table.report.hit += u64::from(was_known);
                    let work = &mut table.units[unit];
                    work.done.push(known);
                    work.missed = !was_known;
                    work.busy = false;
                    on = was_known && !table.finished && !self.cancelled();
                    on = on && self.is_ready(&table, unit);
                    table.units[unit].busy = on;
                }
                Err(error) => {
                    table.units[unit].busy = false;
                    table.failed.get_or_insert(error);
                    table.finished = true;
                }
            }
            next = on.then(|| table.units[unit].done.len());
            let loads = !table.loads.is_empty();
            drop(table);
            if !on || loads {
                self.wake.notify_all();
            }
            if !on || !self.leaving[unit].is_empty() {
                self.out.notify_all();
            }
        }
    }

    /// Has read and checked, by whichever worker is free, what will be handed out.
    fn plan_loads(&self, table: &mut Table, unit: usize, segment: usize, known: &Known) {
        if (segment as i64 + 1) * self.length(unit) <= self.range.start {
            return;
        }
        for port in &self.leaving[unit] {
            let hash = known.ports.get(*port).copied().unwrap_or(SILENCE);
            if hash != SILENCE && lock(&self.recent).get(&hash).is_none() {
                table.loads.push_back(Load {
                    segment: segment as i64 * i64::from(self.song.multiple(unit)),
                    unit,
                    hash,
                });
            }
        }
    }

    /// The next job that can be done: sound that is soon handed out, or the segment
    /// that is the earliest in time, then the first in the plan's order.
    fn take(&self) -> Option<Job> {
        let mut table = lock(&self.table);
        loop {
            if table.finished || self.cancelled() {
                return None;
            }
            if let Some(load) = next_load(&mut table) {
                return Some(Job::Read(load));
            }
            // Long segments may need more than lies within reach: when nobody works,
            // whatever comes first is done.
            let mut best = self.first(&table, &|unit| self.is_ready(&table, unit));
            if best.is_none() && table.units.iter().all(|unit| !unit.busy) {
                best = self.first(&table, &|unit| self.could(&table, unit));
            }
            if let Some(unit) = best {
                table.units[unit].busy = true;
                return Some(Job::Segment(unit, table.units[unit].done.len()));
            }
            let over = table.units.iter().all(|unit| unit.done.len() >= unit.target);
            if over && table.loads.is_empty() {
                return None;
            }
            let wait = std::time::Duration::from_millis(100);
            table = self.wake.wait_timeout(table, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The first that may: by the time where it goes on, then in the plan's order.
    fn first(&self, table: &Table, may: &dyn Fn(usize) -> bool) -> Option<usize> {
        let mut best: Option<(i64, usize)> = None;
        for unit in 0..table.units.len() {
            let place = (self.next_at(table, unit), unit);
            if best.is_none_or(|best| place < best) && may(unit) {
                best = Some(place);
            }
        }
        best.map(|(_, unit)| unit)
    }

    /// Where a unit goes on, in segments of the render.
    fn next_at(&self, table: &Table, unit: usize) -> i64 {
        table.units[unit].done.len() as i64 * i64::from(self.song.multiple(unit))
    }

    /// Whether its next segment can be done and is not too early.
    fn is_ready(&self, table: &Table, unit: usize) -> bool {
        let ahead = if table.units[unit].missed { AHEAD } else { AHEAD_OF_KNOWN };
        self.next_at(table, unit) <= table.wanted + ahead && self.could(table, unit)
    }

    fn could(&self, table: &Table, unit: usize) -> bool {
        let work = &table.units[unit];
        let next = work.done.len();
        if work.busy || next >= work.target {
            return false;
        }
        let until = (next as i64 + 1) * self.length(unit);
        self.song.plan.units[unit].inputs.iter().all(|input| {
            self.wiring.unit_of(input.node).is_none_or(|source| {
                let need = segments(until + input.shift, self.length(source));
                table.units[source].done.len() >= need
            })
        })
    }

    /// Finds one segment in the cache, which it says, or renders it.
    fn one(&self, unit: usize, segment: usize) -> Result<(Known, bool), RenderError> {
        let key = self.key(unit, segment);
        let ports = self.wiring.kept(unit).len();
        let found = self.fixed[unit].found;
        let known = match found {
            Found::Never => None,
            Found::ByInput | Found::ByArtefact(_) => self.look_up(&key, ports)?,
        };
        if let Some(known) = known {
            // What is pinned would be made otherwise: there is nothing to compare.
            if found != Found::ByInput || !self.picked(&key) {
                return Ok((known, true));
            }
            let fresh = self.render(unit, segment, key)?;
            self.verified.fetch_add(1, Ordering::Relaxed);
            if fresh == known {
                return Ok((known, true));
            }
            for (old, new) in known.ports.iter().zip(&fresh.ports) {
                if old != new && *old != SILENCE {
                    self.cache.quarantine(old)?;
                }
            }
            self.note(&fresh, 0)?;
            let mut table = lock(&self.table);
            table.report.mismatched.push(key);
            table.count_rendered(unit);
            return Ok((fresh, false));
        }
        let known = self.render(unit, segment, key)?;
        lock(&self.table).count_rendered(unit);
        Ok((known, false))
    }

    /// Sound of the cache, checked; none where it is gone.
    fn load(&self, hash: &Hash, frames: i64) -> Result<Option<Sound>, RenderError> {
        let stored = self.cache.get_content(hash)?;
        let sound = stored.and_then(|bytes| decode(&bytes, frames as usize));
        let Some(sound) = sound else { return Ok(None) };
        let sound: Sound = Arc::new(sound);
        lock(&self.recent).put(*hash, Arc::clone(&sound));
        Ok(Some(sound))
    }

    /// Whether a hit is among those that are rendered again: decided by its key,
    /// so that two renders check the same ones.
    fn picked(&self, key: &Hash) -> bool {
        let draw = f64::from(u32::from_le_bytes([key.0[0], key.0[1], key.0[2], key.0[3]]));
        draw < self.options.verify * f64::from(u32::MAX) || self.options.verify >= 1.0
    }

    fn key(&self, unit: usize, segment: usize) -> Hash {
        if let Found::ByArtefact(artefact) = self.fixed[unit].found {
            let mut hasher = Hasher::new();
            hasher.hash(&artefact);
            hasher.signed(self.length(unit));
            hasher.number(u64::from(self.song.rate()));
            hasher.number(segment as u64);
            return hasher.finish();
        }
        let plan = &self.song.plan;
        let start = segment as i64 * self.length(unit);
        let present = |media: &Hash| self.media.has(*media);
        let slice = slice_hash(
            plan,
            &plan.units[unit],
            &self.song.slices,
            &self.song.time,
            &present,
            start,
            self.length(unit),
        );
        let base = self.base(unit);
        let table = lock(&self.table);
        let before = segment.checked_sub(1).and_then(|at| table.units[unit].done.get(at));
        let state = before.map_or(INITIAL, |known| known.state);
        let heard = plan.units[unit].inputs.iter().flat_map(|input| {
            let segments = self.heard(unit, input, start);
            segments.map(|at| self.sound_hash(&table, input, at))
        });
        segment_key(&base, &slice, &state, heard)
    }

    fn base(&self, unit: usize) -> Hash {
        let Song { plan, slices, .. } = self.song;
        let Fixed { base, edges, .. } = &self.fixed[unit];
        let (frames, kept) = (self.length(unit), self.wiring.kept(unit));
        *base.get_or_init(|| unit_hash(edges, plan, &plan.units[unit], kept, slices, frames))
    }

    /// Hash of what an input hears in a segment; before the start there is silence.
    fn sound_hash(&self, table: &Table, input: &UnitInput, segment: i64) -> Hash {
        let find = || {
            let outlet = self.wiring.outlet(input.node, input.port)?;
            let known = table.units[outlet.unit].done.get(usize::try_from(segment).ok()?)?;
            known.ports.get(outlet.port).copied()
        };
        find().unwrap_or(SILENCE)
    }

    /// The segments of an input's source that a segment of `unit` hears.
    fn heard(&self, unit: usize, input: &UnitInput, start: i64) -> Range<i64> {
        let source = self.wiring.unit_of(input.node).unwrap_or(unit);
        let (own, segment) = (self.length(unit), self.length(source));
        let from = start + input.shift;
        from.div_euclid(segment)..(from + own - 1).div_euclid(segment) + 1
    }

    fn look_up(&self, key: &Hash, ports: usize) -> Result<Option<Known>, RenderError> {
        let Some(value) = self.cache.get_action(key)? else { return Ok(None) };
        let known = Known::from_bytes(*key, &value, ports);
        if known.is_none() {
            self.cache.forget_action(key)?;
        }
        Ok(known)
    }

    fn note(&self, known: &Known, cost: u64) -> Result<(), RenderError> {
        Ok(self.cache.put_action(&known.key, &known.to_bytes(), cost)?)
    }

    /// Runs one segment and keeps what it made.
    fn render(&self, unit: usize, segment: usize, key: Hash) -> Result<Known, RenderError> {
        if self.cancelled() {
            return Err(RenderError::Cancelled);
        }
        let state = match segment.checked_sub(1) {
            None => None,
            Some(before) => Some(self.state(unit, before)?),
        };
        let made = self.run_segment(unit, segment, state.as_deref())?;
        if self.media.has_failed() {
            return Err(RenderError::Media);
        }
        // Only ratios of costs matter, and work grows with frames and nodes.
        let nodes = self.song.plan.units[unit].nodes.len() as u64;
        let cost = nodes * self.length(unit) as u64 / 100;
        let mut ports = Vec::with_capacity(made.outputs.len());
        for sound in made.outputs {
            ports.push(self.keep(unit, sound, cost)?);
        }
        let state = self.cache.put_content(&made.state, cost)?;
        let points = self.keep_points(unit, &ports, &made.points)?;
        let known = Known { key, ports, state, points };
        let kept = self.fixed[unit].found != Found::Never;
        if kept && !self.has_failed(unit) {
            self.note(&known, cost)?;
        }
        Ok(known)
    }

    fn keep(&self, unit: usize, sound: [Vec<f32>; 2], cost: u64) -> Result<Hash, RenderError> {
        if is_silent(&sound) {
            return Ok(SILENCE);
        }
        let form = encode(&sound);
        let light = self.fixed[unit].light;
        let hash = if light { Hash::of(&form) } else { self.cache.put_content(&form, cost)? };
        lock(&self.recent).put(hash, Arc::new(sound));
        Ok(hash)
    }

    /// States on the way are worth little beside the sound, which they are for: they
    /// are dropped first, and kept only where they are small.
    fn keep_points(
        &self,
        unit: usize,
        ports: &[Hash],
        points: &Points,
    ) -> Result<Hash, RenderError> {
        let heard = ports.iter().filter(|hash| **hash != SILENCE).count();
        let sound = heard * self.length(unit) as usize * SAMPLES;
        let small = points.as_bytes().len() * 2 <= sound;
        if self.fixed[unit].light || points.is_empty() || !small {
            return Ok(SILENCE);
        }
        Ok(self.cache.put_content(points.as_bytes(), 1)?)
    }

    fn run_segment(
        &self,
        unit: usize,
        segment: usize,
        state: Option<&[u8]>,
    ) -> Result<SegmentSound, RenderError> {
        let start = segment as i64 * self.length(unit);
        let wanted = self.wiring.heard(unit);
        let mut sums = Vec::with_capacity(wanted.len());
        for port in wanted {
            sums.push(self.port_sum(unit, port, start)?);
        }
        let inputs: Vec<[&[f32]; 2]> =
            sums.iter().map(|[left, right]| [&left[..], &right[..]]).collect();
        let mut slot = lock(&self.runners[unit]);
        let runner = match &mut *slot {
            Some(runner) => runner,
            empty => empty.insert(self.runner(unit)?),
        };
        let profile = Profile::Render { segment_frames: self.length(unit) as u32 };
        let frames = self.length(unit) as usize;
        let ran = runner.run(state, &inputs, start, frames, profile, &self.song.time);
        ran.map_err(|_| RenderError::State)
    }

    fn runner(&self, unit: usize) -> Result<SegmentRunner, RenderError> {
        let Song { spec, plan, slices, registry, .. } = self.song;
        let mut compiler = compiler(registry, self.song.rate())?;
        let media = Material::new(self.media, self.cache, &self.made);
        Ok(SegmentRunner::new(&mut compiler, spec, plan, unit, slices, &media)?)
    }

    fn has_failed(&self, unit: usize) -> bool {
        let failed = lock(&self.runners[unit]).as_mut().is_some_and(SegmentRunner::has_failed);
        if failed {
            let plan = &self.song.plan;
            let keys = plan.units[unit].nodes.iter();
            let keys = keys.map(|node| plan.nodes[*node as usize].key.to_string());
            lock(&self.table).report.failed.extend(keys);
        }
        failed
    }

    // What was made before

    /// The finished sum at an input port, groups and all, as the plan sums.
    fn port_sum(
        &self,
        unit: usize,
        port: &SegmentPort,
        start: i64,
    ) -> Result<[Vec<f32>; 2], RenderError> {
        let plan = &self.song.plan;
        let mut groups: BTreeMap<u32, Vec<Signal>> = BTreeMap::new();
        for input in &plan.units[unit].inputs {
            let to = plan.nodes[input.to as usize].key;
            if to != port.node || input.to_port != port.port {
                continue;
            }
            if self.wiring.unit_of(input.node).is_none() {
                continue;
            }
            let outlet = self.wiring.outlet(input.node, input.port);
            let outputs = plan.outputs_of(input.node);
            let channels = outputs.get(usize::from(input.port)).map_or(2, |port| port.channels);
            let sound = self.stretch(outlet, start + input.shift, self.length(unit))?;
            groups.entry(input.group).or_default().push((sound, channels));
        }
        let sums: Vec<[Vec<f32>; 2]> =
            groups.values().map(|signals| sum_signals(&borrowed(signals), port.channels)).collect();
        let sums: Vec<([&[f32]; 2], u8)> =
            sums.iter().map(|[left, right]| ([&left[..], &right[..]], port.channels)).collect();
        Ok(sum_signals(&sums, port.channels))
    }

    /// Sound of a port over any stretch of its unit's own time; before the start
    /// there is silence.
    fn stretch(
        &self,
        outlet: Option<Outlet>,
        from: i64,
        frames: i64,
    ) -> Result<[Vec<f32>; 2], RenderError> {
        let length = usize::try_from(frames).unwrap_or(0);
        let mut out = [vec![0.0; length], vec![0.0; length]];
        let Some(outlet) = outlet else { return Ok(out) };
        let segment = self.length(outlet.unit);
        for at in from.div_euclid(segment)..(from + frames - 1).div_euclid(segment) + 1 {
            let Ok(number) = usize::try_from(at) else { continue };
            let Some(sound) = self.sound(outlet, number)? else { continue };
            let begin = at * segment;
            let (first, last) = (from.max(begin), (from + frames).min(begin + segment));
            let to = (first - from) as usize..(last - from) as usize;
            let part = (first - begin) as usize..(last - begin) as usize;
            for (out, sound) in out.iter_mut().zip(sound.iter()) {
                out[to.clone()].copy_from_slice(&sound[part.clone()]);
            }
        }
        Ok(out)
    }

    /// Sound of one port and segment; none is silence. What the cache has lost
    /// is made again.
    fn sound(&self, outlet: Outlet, segment: usize) -> Result<Option<Sound>, RenderError> {
        let hash = {
            let table = lock(&self.table);
            let known = table.units[outlet.unit].done.get(segment);
            known.and_then(|known| known.ports.get(outlet.port)).copied().unwrap_or(SILENCE)
        };
        if hash == SILENCE {
            return Ok(None);
        }
        if let Some(sound) = lock(&self.recent).get(&hash) {
            return Ok(Some(sound));
        }
        if let Some(sound) = self.load(&hash, self.length(outlet.unit))? {
            return Ok(Some(sound));
        }
        self.remake(outlet.unit, segment)?;
        Ok(lock(&self.recent).get(&hash))
    }

    /// The state after a segment.
    fn state(&self, unit: usize, segment: usize) -> Result<Vec<u8>, RenderError> {
        let hash = lock(&self.table).units[unit].done.get(segment).map(|known| known.state);
        let Some(hash) = hash else { return Err(RenderError::State) };
        if let Some(bytes) = self.cache.get_content(&hash)? {
            return Ok(bytes);
        }
        self.remake(unit, segment)?;
        self.cache.get_content(&hash)?.ok_or(RenderError::State)
    }

    /// Renders a segment again whose results were noted and then lost.
    fn remake(&self, unit: usize, segment: usize) -> Result<(), RenderError> {
        let known = lock(&self.table).units[unit].done.get(segment).cloned();
        let Some(known) = known else { return Err(RenderError::State) };
        let fresh = self.render(unit, segment, known.key)?;
        if !self.fixed[unit].light {
            lock(&self.table).report.remade += 1;
        }
        if fresh.ports == known.ports && fresh.state == known.state {
            return Ok(());
        }
        // The note was wrong: later keys stand on it, so the render starts over.
        self.cache.forget_action(&known.key)?;
        lock(&self.table).report.mismatched.push(known.key);
        Err(RenderError::State)
    }
}

/// Sound that is handed out soon; what comes later waits, for memory's sake.
fn next_load(table: &mut Table) -> Option<Load> {
    if table.loads.front()?.segment > table.wanted + AHEAD {
        return None;
    }
    let load = table.loads.pop_front()?;
    table.loading.insert(load.hash);
    Some(load)
}

/// Gain, pan and sums: a frame of them costs a nanosecond, less than to read one.
fn is_light(plan: &Plan, unit: &PlanUnit) -> bool {
    let light = ["pulse.strip", "pulse.sum"];
    unit.nodes.iter().all(|node| {
        plan.class(*node).kind.is_some_and(|kind| light.contains(&kind.descriptor.kind))
    })
}

/// Sound and how many channels it has.
type Signal = ([Vec<f32>; 2], u8);

fn borrowed(signals: &[Signal]) -> Vec<([&[f32]; 2], u8)> {
    signals.iter().map(|([left, right], channels)| ([&left[..], &right[..]], *channels)).collect()
}

/// How many whole segments cover so many frames.
fn segments(frames: i64, segment: i64) -> usize {
    usize::try_from((frames.max(0) + segment - 1) / segment).unwrap_or(0)
}
