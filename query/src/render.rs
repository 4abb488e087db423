//! A song as sound, rendering only what is not known yet.
//!
//! Time is cut into segments; a unit of the plan (a chain, a loop, a bus) for
//! one segment is the piece of work. Its key is the hash of everything that it
//! can hear or read, so equal keys mean equal sound, whichever edit, branch or
//! undo led there. Keys go by the *content* of inputs: where an edit makes no
//! difference to the sound of a unit, everything behind it is a hit. State is
//! part of the key too: once it is equal again, all later segments are hits.
//!
//! The rounding of state at the edges of segments is part of what a render is
//! (profile `render`), so a render that is put together from the cache equals a
//! whole one bit for bit.

mod derived;
mod key;
mod known;
mod length;
mod pcm;
pub mod shelf;
mod wiring;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, atomic::AtomicBool},
};

use pulse_engine::{
    material::{MediaResolver, Slices},
    plan::{CompileError, Compiler, Plan},
    registry::Registry,
};
use pulse_schemas::{
    graph::{GraphSpec, NodeKey, OutputKind},
    hash::Hash,
    id::ArrangementId,
};
use pulse_store::cache::{CacheError, CacheStore};

use crate::{
    content::content,
    graph::{Scope, graph},
    routing::RoutingCycle,
    source::Source,
    timeline::SongTime,
};

pub use derived::{Counts, Material};
pub use key::SILENCE;
pub use work::Progress;

/// Version of keys and of what is stored under them.
pub const FORMAT: u32 = 4;

/// Seconds of a segment, where nobody says otherwise.
pub const SEGMENT_SECONDS: u32 = 4;

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error(transparent)]
    Cycle(#[from] RoutingCycle),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("the render cache failed: {0}; render with --no-cache, or delete the cache")]
    Cache(#[from] CacheError),
    #[error("a state in the cache does not fit its unit; it was set aside, render again")]
    State,
    #[error("the render was cancelled")]
    Cancelled,
    #[error("the project has no master channel to render; add one, or render stems")]
    NoOutput,
    #[error(
        "a media file is not what it was any more; look at it with `pulse media list`, and render again"
    )]
    Media,
    #[error("a worker of the render panicked")]
    Worker,
}

/// All that a render depends on, derived from one revision.
pub struct Song {
    pub spec: GraphSpec,
    pub plan: Arc<Plan>,
    pub slices: Slices,
    pub time: SongTime,
    /// Artefacts that stand for what volatile nodes made once: their sound is found
    /// by these ids and by nothing else. A volatile node without one is made anew
    /// in every render.
    pub pins: BTreeMap<NodeKey, Hash>,
    /// By unit: how many of the render's segments are one of it.
    multiples: Vec<u32>,
    registry: Registry,
}

/// Frames per call of the engine; the sound does not depend on it.
const BLOCK: usize = 1_024;

impl Song {
    pub fn derive(
        source: &dyn Source,
        registry: &Registry,
        arrangement: ArrangementId,
        rate: u32,
        scope: &Scope,
    ) -> Result<Song, RenderError> {
        let mut spec = graph(source, registry, arrangement, scope)?;
        spec.canonicalise();
        let slices = content(source, registry, arrangement, rate);
        let time = SongTime::of(source, arrangement, rate);
        Song::of(spec, slices, time, registry.clone())
    }

    /// From parts that were derived elsewhere.
    pub fn of(
        spec: GraphSpec,
        slices: Slices,
        time: SongTime,
        registry: Registry,
    ) -> Result<Song, RenderError> {
        let plan = Arc::new(compiler(&registry, time.rate)?.compile(&spec)?);
        if plan.outputs.is_empty() {
            return Err(RenderError::NoOutput);
        }
        let multiple = |unit| length::multiple(&plan, unit, &slices);
        let multiples = plan.units.iter().map(multiple).collect();
        Ok(Song { spec, plan, slices, time, pins: BTreeMap::new(), multiples, registry })
    }

    /// How many of the render's segments are one of this unit of the plan: more where
    /// sound circulates for long.
    pub fn multiple(&self, unit: usize) -> u32 {
        self.multiples.get(unit).copied().unwrap_or(1)
    }

    /// Nodes that make other sound each time and of which nothing is pinned.
    pub fn volatile(&self) -> impl Iterator<Item = NodeKey> {
        let nodes = 0..self.plan.nodes.len() as u32;
        let nodes = nodes.filter(|node| key::is_volatile(&self.plan, *node));
        let keys = nodes.map(|node| self.plan.nodes[node as usize].key);
        keys.filter(|key| !self.pins.contains_key(key))
    }

    pub fn rate(&self) -> u32 {
        self.time.rate
    }

    /// The outputs in the order in which blocks name them.
    pub fn outputs(&self) -> Vec<OutputKind> {
        self.plan.outputs.iter().map(|output| output.kind).collect()
    }

    /// The last frame at which anything in the arrangement begins or plays.
    pub fn end(&self) -> i64 {
        let events = self.slices.events.0.values().flatten().map(|event| event.frame);
        let clips = self.slices.clips.0.values().flatten();
        let clips = clips.map(|clip| clip.start_frame + clip.frames as i64);
        events.chain(clips).max().unwrap_or(0)
    }
}

fn compiler(registry: &Registry, rate: u32) -> Result<Compiler, CompileError> {
    Compiler::new(registry.clone(), rate, BLOCK)
}

/// How to render.
#[derive(Clone)]
pub struct Options {
    /// Frames of a segment; part of what the render is.
    pub segment_frames: u32,
    pub threads: usize,
    /// Share of hits, 0 to 1, that are rendered again and compared.
    pub verify: f64,
    /// Set to true from anywhere to stop.
    pub cancel: Arc<AtomicBool>,
}

impl Options {
    /// Segments of the usual length on one thread.
    pub fn new(rate: u32) -> Options {
        Options {
            segment_frames: rate * SEGMENT_SECONDS,
            threads: 1,
            verify: 0.0,
            cancel: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// What a render did with one unit of the plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitReport {
    /// The nodes that are rendered and kept together.
    pub nodes: Vec<NodeKey>,
    /// Segments needed.
    pub total: u64,
    pub rendered: u64,
}

/// What a render did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// By unit, in the order of the plan.
    pub units: Vec<UnitReport>,
    /// Segments of units that the render needed.
    pub total: u64,
    pub hit: u64,
    pub rendered: u64,
    /// Pieces of clips that were decoded from compressed files, and pieces that were
    /// resampled; others were found.
    pub decoded: u64,
    pub resampled: u64,
    /// Clips that were stretched; others were found stretched.
    pub stretched: u64,
    /// Results that were noted and whose content had to be made again.
    pub remade: u64,
    /// Hits that were rendered again to compare.
    pub verified: u64,
    /// Keys whose hit was wrong; it was set aside and rendered.
    pub mismatched: Vec<Hash>,
    /// Nodes that failed while rendering, by key.
    pub failed: BTreeSet<String>,
    /// Nodes that make other sound in every render, by key, of which nothing is kept.
    pub volatile: BTreeSet<String>,
}

impl Report {
    /// Segments times nodes: all, and those that were rendered.
    pub fn node_segments(&self) -> (u64, u64) {
        let weigh = |count: fn(&UnitReport) -> u64| {
            self.units.iter().map(|unit| unit.nodes.len() as u64 * count(unit)).sum()
        };
        (weigh(|unit| unit.total), weigh(|unit| unit.rendered))
    }
}

/// A piece of one output; pieces come in order.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Index into [`Song::outputs`].
    pub output: usize,
    pub frame: i64,
    pub left: &'a [f32],
    pub right: &'a [f32],
}

/// Renders `range` (frames of the song), from the cache where it can.
pub fn render(
    song: &Song,
    media: &(dyn MediaResolver + Sync),
    cache: &dyn CacheStore,
    range: Range<i64>,
    options: &Options,
    sink: &mut dyn FnMut(Piece<'_>) -> bool,
) -> Result<Report, RenderError> {
    work::Render::new(song, media, cache, range, options)?.run(sink)
}

#[cfg(test)]
mod tests;
