//! All units of what plays: made from a graph, told what happens, replaced by an
//! edit where it touches them and nowhere else.

// An error here names nodes and edges in full and is made once, off the audio thread.
#![allow(clippy::result_large_err)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pulse_schemas::graph::{GraphSpec, NodeKey};

use super::{
    ring::Ring,
    shelf::{News, Shelf},
    source::{Tap, Taps},
    split::Split,
    unit::{Inlet, Notice, POINT, Run, Segments, Shape, Signal, Stamped, Unit, What, Wire},
};
use crate::{
    exec::{Executor, Fragment},
    material::{Bound, Material, MediaResolver, NoMedia, NodeMaterial, Slices},
    node::Content,
    plan::{CompileError, Compiler, Plan},
    registry::Registry,
    render::Part,
    rt::{course::Course, song::Song},
};

/// Ports by node, each with its ring.
type Rings = BTreeMap<(NodeKey, u16), Arc<Ring>>;

/// The units of one graph.
pub struct Field {
    pub plan: Arc<Plan>,
    pub material: Arc<Material>,
    /// No unit hears a later one.
    pub units: Vec<Arc<Unit>>,
    rings: Rings,
    unit_of: BTreeMap<NodeKey, usize>,
    segments: Vec<u64>,
}

/// Where an edit or an act takes hold.
#[derive(Clone)]
pub struct Moment {
    /// The course there, before it.
    pub course: Course,
    pub song: Arc<Song>,
    /// The number of the edit.
    pub revision: u64,
}

/// The state of nodes that the audio thread ran, and what happened since.
pub struct Captured {
    pub course: Course,
    pub nodes: Fragment,
    pub since: Vec<Stamped>,
}

impl Captured {
    /// Gives the nodes of a unit what was captured of them. Where that is all of
    /// it, the unit goes on from there, and this is the course.
    fn give(&self, shape: &Shape, executor: &mut Executor) -> Option<&Course> {
        executor.continue_from(&self.nodes, &shape.nodes).then_some(&self.course)
    }
}

/// What becomes of a unit.
enum Fate {
    /// As it is.
    Stay(usize),
    /// With other content.
    Change(usize, Arc<Material>),
    Begin(Box<Executor>),
}

/// A field under construction, before its moment is known.
pub struct Draft {
    /// The graph with its live part.
    pub whole: Plan,
    plan: Arc<Plan>,
    material: Arc<Material>,
    units: Vec<(Shape, Fate)>,
    /// By unit: frames of a segment; none where none are rounded.
    segments: Vec<u64>,
}

/// Makes fields. Remembers what it learned about kinds.
pub struct Maker {
    compiler: Compiler,
    ring_frames: usize,
    shelf: Option<Arc<dyn Shelf>>,
}

impl Maker {
    pub fn new(
        registry: Registry,
        rate: u32,
        max_block: usize,
        look_ahead: u64,
        shelf: Option<Arc<dyn Shelf>>,
    ) -> Result<Maker, CompileError> {
        let compiler = Compiler::new(registry, rate, max_block)?.lanes(false);
        // What lies behind is kept for whoever goes back to a point.
        let ring_frames = look_ahead as usize + 2 * POINT as usize + 2 * max_block;
        Ok(Maker { compiler, ring_frames, shelf })
    }

    /// All that takes long: compiling, opening media, making nodes. What `before`
    /// holds of the content of a node is taken over unless `changed` has it.
    pub fn draft(
        &mut self,
        whole: &GraphSpec,
        spec: &GraphSpec,
        slices: &Slices,
        media: &dyn MediaResolver,
        before: &Bound<'_>,
        field: Option<&Field>,
    ) -> Result<Draft, CompileError> {
        // The order of sums is that of the whole graph.
        let whole = self.compiler.compile(whole)?;
        let plan = Arc::new(self.compiler.compile_within(spec, Some(&whole))?);
        let material = Arc::new(before.bind(&plan, slices, media));
        let mut units = Vec::with_capacity(plan.units.len());
        for unit in 0..plan.units.len() {
            units.push(self.draft_unit(spec, &plan, &material, unit, field)?);
        }
        let segment =
            |unit| self.shelf.as_ref().map_or(0, |shelf| shelf.frames(&plan, unit, slices));
        let segments = (0..units.len()).map(segment).collect();
        Ok(Draft { whole, plan, material, units, segments })
    }

    fn draft_unit(
        &mut self,
        spec: &GraphSpec,
        plan: &Arc<Plan>,
        material: &Material,
        unit: usize,
        field: Option<&Field>,
    ) -> Result<(Shape, Fate), CompileError> {
        let part = Part::cut(spec, plan, unit);
        let shape = shape_of(plan, unit, &part);
        let known = field.and_then(|field| {
            let at = *field.unit_of.get(shape.nodes.first()?)?;
            (field.units[at].shape == shape).then_some((field, at))
        });
        if let Some((field, at)) = known {
            let same = shape.nodes.iter().all(|key| {
                let (new, old) = (plan.find(*key), field.plan.find(*key));
                let (Some(new), Some(old)) = (new, old) else { return false };
                let (new, old) =
                    (&material.nodes[new as usize], &field.material.nodes[old as usize]);
                Arc::ptr_eq(new, old)
            });
            if same {
                return Ok((shape, Fate::Stay(at)));
            }
        }
        let mut compiled = self.compiler.compile_task_within(&part.spec, Some(plan))?;
        for node in &mut compiled.nodes {
            if let Some(whole) = plan.find(node.key) {
                node.wiring = plan.nodes[whole as usize].wiring;
            }
        }
        let compiled = Arc::new(compiled);
        let bound = Arc::new(part_material(&compiled, plan, material));
        let fate = match known {
            // The plan that runs was compiled from the same part.
            Some((_, at)) => Fate::Change(at, bound),
            None => {
                let mut executor = Box::new(Executor::new(compiled, bound));
                if field.is_some() {
                    executor.enter_lines();
                }
                Fate::Begin(executor)
            }
        };
        Ok((shape, fate))
    }
}

/// The content of a part: that of its nodes, and nothing for its feeds.
fn part_material(part: &Plan, plan: &Plan, material: &Material) -> Material {
    let bind = |node: u32| match plan.find(part.nodes[node as usize].key) {
        Some(whole) => material.nodes[whole as usize].clone(),
        None => Arc::new(NodeMaterial::bind(part, node, &Slices::default(), &NoMedia)),
    };
    Material { nodes: (0..part.nodes.len() as u32).map(bind).collect() }
}

fn shape_of(plan: &Plan, unit: usize, part: &Part) -> Shape {
    let planned = &plan.units[unit];
    let mut nodes: Vec<NodeKey> =
        planned.nodes.iter().map(|&node| plan.nodes[node as usize].key).collect();
    nodes.sort_unstable();
    let wiring = |key: &NodeKey| plan.find(*key).map_or(0, |at| plan.nodes[at as usize].wiring);
    let wires = planned.inputs.iter().map(|input| {
        let to = plan.nodes[input.to as usize].key;
        let feed =
            part.inputs.iter().position(|port| (port.node, port.port) == (to, input.to_port));
        Wire {
            from: plan.nodes[input.node as usize].key,
            port: input.port,
            channels: plan.outputs_of(input.node)[usize::from(input.port)].channels,
            feed: feed.unwrap_or(0) as u32,
            group: input.group,
            shift: input.shift,
        }
    });
    let outlets = part.outputs.iter().map(|port| (port.node, port.port));
    Shape {
        wiring: nodes.iter().map(wiring).collect(),
        spec: part.spec.hash(),
        wires: wires.collect(),
        feeds: part.inputs.iter().map(|port| port.channels).collect(),
        outlets: outlets.collect(),
        nodes,
    }
}

impl Draft {
    /// Frames by which anything is read ahead at most.
    pub fn latency(&self) -> u64 {
        u64::from(self.plan.latency())
    }

    /// Whether a unit begins or ends.
    fn is_other(&self, field: &Field) -> bool {
        self.units.len() != field.units.len()
            || self.units.iter().any(|(_, fate)| matches!(fate, Fate::Begin(_)))
    }
}

impl Maker {
    /// Puts a draft in the place of what was there, from `moment` on. Units that
    /// it doesn't touch go on as they are. `live` takes over the state of nodes
    /// that are not rendered ahead any more.
    pub fn commit(
        &self,
        draft: Draft,
        before: Option<&Field>,
        moment: &Moment,
        live: Option<&mut Executor>,
        captured: Option<&Captured>,
    ) -> Field {
        let from = moment.course.ran();
        let Some(before) = before else {
            return self.put(draft, None, moment, &mut [], captured);
        };
        if !draft.is_other(before) {
            return change(draft, before, moment);
        }
        let stays: BTreeSet<usize> = (draft.units.iter())
            .filter_map(|(_, fate)| match fate {
                Fate::Stay(at) | Fate::Change(at, _) => Some(*at),
                Fate::Begin(_) => None,
            })
            .collect();
        let mut donors: Vec<Run> = (before.units.iter().enumerate())
            .filter(|(at, _)| !stays.contains(at))
            .filter_map(|(_, unit)| unit.retire(from))
            .collect();
        if let Some(live) = live {
            donors.iter_mut().for_each(|donor| live.adopt(&mut donor.executor));
        }
        self.put(draft, Some(before), moment, &mut donors, captured)
    }

    fn put(
        &self,
        draft: Draft,
        before: Option<&Field>,
        moment: &Moment,
        donors: &mut [Run],
        captured: Option<&Captured>,
    ) -> Field {
        let (from, at) = (moment.course.ran(), moment.course.clock());
        let nothing = (Vec::new(), Rings::new());
        let (old_units, old_rings) =
            before.map_or((&nothing.0, &nothing.1), |field| (&field.units, &field.rings));
        let latency = draft.latency() as usize;
        let mut field = Field {
            plan: draft.plan,
            material: draft.material,
            units: Vec::with_capacity(draft.units.len()),
            rings: Rings::new(),
            unit_of: BTreeMap::new(),
            segments: draft.segments,
        };
        let mut dirty = Vec::new();
        for (shape, fate) in draft.units {
            let segment = field.segments[field.units.len()];
            let unit = match fate {
                Fate::Stay(known) => old_units[known].clone(),
                Fate::Change(known, material) => {
                    let what = What::Material(material);
                    dirty.push((field.units.len(), Some(Stamped { at, what })));
                    old_units[known].clone()
                }
                Fate::Begin(mut executor) => {
                    donors.iter_mut().for_each(|donor| executor.adopt(&mut donor.executor));
                    let start = captured.and_then(|from| from.give(&shape, &mut executor));
                    let course = start.unwrap_or(&moment.course).clone();
                    let from = course.ran();
                    let frames = self.ring_frames + latency;
                    let rings = shape.outlets.iter().map(|key| match old_rings.get(key) {
                        Some(ring) => {
                            if start.is_some() {
                                ring.restart(from);
                            }
                            ring.truncate(from);
                            ring.clone()
                        }
                        None => Arc::new(Ring::new(frames, from)),
                    });
                    let rings = rings.collect();
                    let inlets = field.inlets(&shape);
                    dirty.push((field.units.len(), None));
                    let song = moment.song.clone();
                    let segments = self.segments(&shape, segment, moment.revision);
                    let mut run = Run::new(*executor, course, song, inlets, rings, segments);
                    if let (Some(captured), true) = (captured, start.is_some()) {
                        run.know(&captured.since);
                    }
                    Arc::new(Unit::new(shape, run))
                }
            };
            field.add(unit);
        }
        let dirty: BTreeMap<usize, Option<Stamped>> = dirty.into_iter().collect();
        field.edit(from, at, moment.revision, |unit| dirty.get(&unit).cloned());
        field
    }

    fn segments(&self, shape: &Shape, frames: u64, revision: u64) -> Option<Segments> {
        let (shelf, &unit) = (self.shelf.clone()?, shape.nodes.first()?);
        let notice = Arc::new(Notice::default());
        Some(Segments::new(shelf, unit, notice, frames, revision))
    }

    /// Tells the shelf that the song has another time.
    pub fn tell_shelf_of_time(&self, revision: u64) {
        if let Some(shelf) = &self.shelf {
            shelf.follow(revision, None);
        }
    }

    /// Tells the shelf of a field that has been put up.
    pub fn tell_shelf(
        &self,
        revision: u64,
        field: &Field,
        spec: &Arc<GraphSpec>,
        slices: &Slices,
        changed: Option<&BTreeSet<NodeKey>>,
    ) {
        let (plan, material) = (&field.plan, &field.material);
        if let Some(shelf) = &self.shelf {
            shelf.follow(revision, Some(News { plan, spec, material, slices, changed }));
        }
    }
}

/// The same units, some of them with other content.
fn change(draft: Draft, before: &Field, moment: &Moment) -> Field {
    let at = moment.course.clock();
    let mut changes = BTreeMap::new();
    // A draft without a beginning has the units that there are, in their order
    // or another.
    let mut units = Vec::with_capacity(draft.units.len());
    for (_, fate) in draft.units {
        match fate {
            Fate::Stay(known) => units.push(before.units[known].clone()),
            Fate::Change(known, material) => {
                changes.insert(units.len(), Stamped { at, what: What::Material(material) });
                units.push(before.units[known].clone());
            }
            Fate::Begin(_) => {}
        }
    }
    let (plan, material) = (draft.plan, draft.material);
    let (rings, unit_of) = Default::default();
    let segments = draft.segments;
    let mut field = Field { plan, material, units: Vec::new(), rings, unit_of, segments };
    units.into_iter().for_each(|unit| field.add(unit));
    let changed = |unit: usize| changes.get(&unit).cloned().map(Some);
    field.edit(moment.course.ran(), at, moment.revision, changed);
    field
}

impl Field {
    fn add(&mut self, unit: Arc<Unit>) {
        let index = self.units.len();
        let margin = self.plan.units.get(index).map_or(0, |planned| u64::from(planned.arrival));
        unit.notice.margin.store(margin, Ordering::Release);
        unit.shape.nodes.iter().for_each(|&node| _ = self.unit_of.insert(node, index));
        for (key, ring) in unit.shape.outlets.iter().zip(&unit.rings) {
            self.rings.insert(*key, ring.clone());
        }
        self.units.push(unit);
    }

    /// All sources of a unit are there before it.
    fn inlets(&self, shape: &Shape) -> Vec<Inlet> {
        let mut inlets: Vec<BTreeMap<u32, Vec<Signal>>> = vec![];
        inlets.resize_with(shape.feeds.len(), BTreeMap::new);
        for wire in &shape.wires {
            let Some(ring) = self.rings.get(&(wire.from, wire.port)) else { continue };
            let signal = Signal { ring: ring.clone(), channels: wire.channels, shift: wire.shift };
            inlets[wire.feed as usize].entry(wire.group).or_default().push(signal);
        }
        let inlet = |(groups, &channels): (BTreeMap<u32, Vec<Signal>>, &u8)| Inlet {
            channels,
            groups: groups.into_values().collect(),
        };
        inlets.into_iter().zip(&shape.feeds).map(inlet).collect()
    }

    pub fn unit_of(&self, node: NodeKey) -> Option<usize> {
        self.unit_of.get(&node).copied()
    }

    /// Something happens at position `from` to those units for which `what` is
    /// there. They go back to it, and so do those that hear them, by as much more
    /// as they hear ahead. All others are left alone.
    pub fn spread(&self, from: u64, what: impl Fn(usize) -> Option<Option<Stamped>>) {
        self.spread_each(from, what, |_, _| {});
    }

    /// The same of an edit, which happens at `at` on the clock: all whom it concerns
    /// live by its revision from there on.
    pub fn edit(
        &self,
        from: u64,
        at: u64,
        revision: u64,
        what: impl Fn(usize) -> Option<Option<Stamped>>,
    ) {
        self.spread_each(from, what, |index, unit| {
            let frames = self.segments.get(index).copied().unwrap_or(0);
            unit.notice.changed.store(revision, Ordering::Release);
            unit.tell(Stamped { at, what: What::Revision(revision, frames) });
        });
    }

    fn spread_each(
        &self,
        from: u64,
        what: impl Fn(usize) -> Option<Option<Stamped>>,
        then: impl Fn(usize, &Unit),
    ) {
        let mut dirty: Vec<Option<u64>> = vec![None; self.units.len()];
        for (index, unit) in self.units.iter().enumerate() {
            let told = what(index);
            let mut since = told.as_ref().map(|_| from);
            for wire in &unit.shape.wires {
                let Some(source) = self.unit_of.get(&wire.from).and_then(|&at| dirty[at]) else {
                    continue;
                };
                let heard = (source as i64 - wire.shift).max(0) as u64;
                since = Some(since.map_or(heard, |since| since.min(heard)));
            }
            if let Some(since) = since {
                unit.order(since, told.flatten());
                then(index, unit);
            }
            dirty[index] = since;
        }
    }

    /// How a node of the live part hears this field.
    pub fn taps(&self, heard: &BTreeSet<u16>, node: NodeKey) -> Vec<Tap> {
        let shift = || {
            let at = self.plan.find(node)?;
            let unit = self.plan.units.iter().find(|unit| unit.nodes.contains(&at))?;
            let late = self.plan.nodes[at as usize].arrival + self.plan.class(at).latency;
            Some(i64::from(late) - i64::from(unit.arrival))
        };
        let shift = shift().unwrap_or(0);
        let taps = heard.iter().filter_map(|&port| {
            let ring = self.rings.get(&(node, port))?.clone();
            Some(Tap { port, ring, shift })
        });
        taps.collect()
    }

    /// The content of every source of a live graph.
    #[allow(clippy::field_reassign_with_default, reason = "other fields are private")]
    pub fn sources(&self, split: &Split, now: &Arc<AtomicU64>) -> BTreeMap<NodeKey, NodeMaterial> {
        let sources = split.heard.iter().map(|(&node, ports)| {
            let taps = Taps { taps: self.taps(ports, node), now: now.clone() };
            let content = Content { extra: Some(Arc::new(taps)), ..Content::default() };
            let mut material = NodeMaterial::default();
            material.content = content;
            (node, material)
        });
        sources.collect()
    }
}
