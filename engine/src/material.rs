//! What a plan plays, bound to its nodes: the content slices with names resolved
//! to indices and media opened. Immutable and made off the audio thread; a new
//! one replaces the old between two blocks, sharing all that didn't change.

use std::{collections::BTreeSet, sync::Arc};

use pulse_schemas::{
    graph::{
        AutomationSegment, AutomationSlice, ClipSlice, NodeKey, ParamSlice, SegmentShape, ZoneSlice,
    },
    hash::Hash,
};

use crate::{
    buffer::AudioSource,
    node::{BindContext, Content, Derived, OpenClip, OpenZone},
    plan::Plan,
};

mod events;
mod patch;

pub use events::{EventSlice, Events, Score, Window};
pub use patch::{Differences, Patch};

/// The id under which every node can be bypassed in a [`ParamSlice`].
pub const BYPASS: &str = "bypass";

/// All content of a revision.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Slices {
    pub params: ParamSlice,
    pub automation: AutomationSlice,
    pub events: EventSlice,
    pub clips: ClipSlice,
    pub zones: ZoneSlice,
}

/// Opens media by content. What is missing plays as silence.
pub trait MediaResolver {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>>;

    /// Whether `open` would give it: asked far more often.
    fn has(&self, media: Hash) -> bool {
        self.open(media).is_some()
    }

    /// Whether something could not be read that `has` had promised: what was made of
    /// it is not what it should be.
    fn has_failed(&self) -> bool {
        false
    }

    /// Where what is made of media is kept beyond one binding.
    fn derived(&self) -> Option<&dyn Derived> {
        None
    }
}

/// For graphs that play nothing from files.
pub struct NoMedia;

impl MediaResolver for NoMedia {
    fn open(&self, _: Hash) -> Option<Arc<dyn AudioSource>> {
        None
    }
}

/// Content of one node.
#[derive(Clone, Default)]
pub struct NodeMaterial {
    /// Every parameter of the descriptor, in range.
    pub params: Vec<f64>,
    pub bypass: bool,
    /// Sorted by parameter.
    pub automation: Vec<(u32, Vec<AutomationSegment>)>,
    pub events: Score,
    pub content: Content,
}

/// Content of every node of one plan.
#[derive(Clone, Default)]
pub struct Material {
    pub nodes: Vec<Arc<NodeMaterial>>,
}

impl Material {
    pub fn bind(plan: &Plan, slices: &Slices, media: &dyn MediaResolver) -> Material {
        let nodes = 0..plan.nodes.len() as u32;
        let bind = |node| Arc::new(NodeMaterial::bind(plan, node, slices, media));
        Material { nodes: nodes.map(bind).collect() }
    }

    /// The same but for some nodes, which are bound anew: what a moved note costs.
    pub fn rebind(
        &self,
        plan: &Plan,
        changed: &BTreeSet<NodeKey>,
        slices: &Slices,
        media: &dyn MediaResolver,
    ) -> Material {
        let mut material = self.clone();
        for node in changed.iter().filter_map(|&key| plan.find(key)) {
            let bound = Arc::new(NodeMaterial::bind(plan, node, slices, media));
            material.nodes[node as usize] = bound;
        }
        material
    }
}

/// Content that is bound already, by node.
pub struct Bound<'a> {
    pub known: Vec<(&'a Plan, &'a Material)>,
    pub changed: &'a BTreeSet<NodeKey>,
}

impl Bound<'_> {
    /// Binds what is new or has changed and takes over the rest.
    pub fn bind(&self, plan: &Plan, slices: &Slices, media: &dyn MediaResolver) -> Material {
        let bind = |node: u32| {
            let key = plan.state_key(node);
            if plan.class(node).kind_name == crate::anticipate::source::KIND_NAME {
                return Arc::default();
            }
            let kept = self.known.iter().find_map(|(known, material)| {
                let at = known.find(key.node).filter(|&at| known.state_key(at) == key)?;
                material.nodes.get(at as usize).cloned()
            });
            match kept.filter(|_| !self.changed.contains(&key.node)) {
                Some(kept) => kept,
                None => Arc::new(NodeMaterial::bind(plan, node, slices, media)),
            }
        };
        Material { nodes: (0..plan.nodes.len() as u32).map(bind).collect() }
    }
}

impl NodeMaterial {
    pub fn bind(
        plan: &Plan,
        node: u32,
        slices: &Slices,
        media: &dyn MediaResolver,
    ) -> NodeMaterial {
        let key = plan.nodes[node as usize].key;
        let class = plan.class(node);
        let mut bound = NodeMaterial { params: class.params.clone(), ..NodeMaterial::default() };
        let given = slices.params.0.get(&key);
        bound.bypass = given.and_then(|params| params.get(BYPASS)).is_some_and(|&on| on >= 0.5);
        let Some(kind) = class.kind else { return bound };
        for (index, param) in kind.descriptor.params.iter().enumerate() {
            if let Some(&value) = given.and_then(|params| params.get(param.id))
                && !param.layout
            {
                bound.params[index] = param.clamp(value);
            }
            let segments = slices.automation.0.get(&key).and_then(|node| node.get(param.id));
            if let Some(segments) = segments
                && param.automatable
                && !segments.is_empty()
            {
                bound.automation.push((index as u32, segments.clone()));
            }
        }
        bound.events = slices.events.0.get(&key).map(Score::of).unwrap_or_default();
        bound.content = content(key, slices, media);
        if let Some(bind) = kind.bind {
            let context = BindContext {
                node: key,
                sample_rate: plan.sample_rate,
                channels: class.channels,
                layout: class.layout.iter().cloned().collect(),
                derived: media.derived(),
            };
            bind(&context, &mut bound.content);
        }
        bound
    }
}

fn content(key: NodeKey, slices: &Slices, media: &dyn MediaResolver) -> Content {
    let clips = slices.clips.0.get(&key).map(Vec::as_slice).unwrap_or_default();
    let zones = slices.zones.0.get(&key).map(Vec::as_slice).unwrap_or_default();
    let mut content = Content::default();
    content.clips.extend(clips.iter().map(|clip| OpenClip {
        source: media.open(clip.media),
        spec: clip.clone(),
        prepared: None,
    }));
    content.clips.sort_by_key(|clip| (clip.spec.start_frame, clip.spec.id));
    content.zones.extend(zones.iter().map(|zone| OpenZone {
        source: media.open(zone.media),
        spec: zone.clone(),
        prepared: None,
    }));
    content.zones.sort_by_key(|zone| zone.spec.id);
    content
}

/// The value of automation at a frame, and the frame until which it stays there.
pub fn automation_at(segments: &[AutomationSegment], frame: i64) -> (f64, i64) {
    let next = segments.partition_point(|segment| segment.start_frame <= frame);
    let until = segments.get(next).map_or(i64::MAX, |segment| segment.start_frame);
    let Some(segment) = next.checked_sub(1).map(|at| &segments[at]) else {
        return (segments.first().map_or(0.0, |segment| segment.from), until);
    };
    if frame >= segment.end_frame {
        return (segment.to, until);
    }
    let steady = segment.shape == SegmentShape::Hold || segment.from == segment.to;
    (value_within(segment, frame), if steady { segment.end_frame.min(until) } else { frame })
}

fn value_within(segment: &AutomationSegment, frame: i64) -> f64 {
    let span = (segment.end_frame - segment.start_frame) as f64;
    let x = (frame - segment.start_frame) as f64 / span;
    let (from, to) = (segment.from, segment.to);
    let linear = |x: f64| from + (to - from) * x;
    match segment.shape {
        SegmentShape::Hold => from,
        SegmentShape::Linear => linear(x),
        SegmentShape::Bezier { bend } => linear(x + bend.clamp(-1.0, 1.0) * x * (1.0 - x)),
        SegmentShape::Exponential if from * to > 0.0 => from * crate::math::pow(to / from, x),
        SegmentShape::Exponential => linear(x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automation_is_closed_form_and_knows_how_long_it_stands_still() {
        let segment = |start, end, from, to, shape| AutomationSegment {
            start_frame: start,
            end_frame: end,
            from,
            to,
            shape,
        };
        let segments = [
            segment(100, 200, 1.0, 3.0, SegmentShape::Linear),
            segment(200, 300, 4.0, 9.0, SegmentShape::Hold),
            segment(400, 500, 1.0, 16.0, SegmentShape::Exponential),
        ];
        let check = |frame, value, until| {
            assert_eq!(automation_at(&segments, frame), (value, until), "at {frame}");
        };
        check(-5, 1.0, 100);
        check(150, 2.0, 150);
        check(200, 4.0, 300);
        check(299, 4.0, 300);
        check(350, 9.0, 400);
        check(450, 4.0, 450);
        check(500, 16.0, i64::MAX);
    }
}
