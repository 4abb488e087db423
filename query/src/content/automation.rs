//! Envelopes as segments at frames.

use pulse_schemas::{
    entity::{
        AutomationEnvelope, AutomationPoint, Clip, EnvelopeOwner, Lane, ParameterRef, PointShape,
        Track,
    },
    graph::{AutomationSegment, AutomationSlice, SegmentShape},
    id::{ArrangementId, TrackId},
    time::{Moment, Timebase},
};

use super::{
    Ctx,
    params::{EngineParam, engine_param},
    repeat::{Pass, passes},
    sorted_lanes,
};
use crate::source::SourceExt;

/// The automation of a whole arrangement. Where several envelopes move one
/// parameter, the one with the lowest id wins: two hands on one knob have no
/// other order that survives a merge.
pub fn automation(ctx: &Ctx<'_>, arrangement: ArrangementId) -> AutomationSlice {
    let mut slice = AutomationSlice::default();
    for track in ctx.source.referring::<Track>(arrangement) {
        track_automation(ctx, track.id).iter().for_each(|curve| curve.add_to(&mut slice));
    }
    slice
}

/// One envelope at frames, for the parameter that it moves.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve {
    param: EngineParam,
    segments: Vec<AutomationSegment>,
}

/// The envelopes of one track, in order.
pub fn track_automation(ctx: &Ctx<'_>, track: TrackId) -> Vec<Curve> {
    let mut curves = Vec::new();
    let Some(track) = ctx.source.get::<Track>(track.0) else { return curves };
    for lane in sorted_lanes(ctx.source, &track) {
        if !lane.mute {
            lane_automation(ctx, &lane, &mut curves);
        }
    }
    curves
}

fn lane_automation(ctx: &Ctx<'_>, lane: &Lane, curves: &mut Vec<Curve>) {
    for envelope in envelopes(ctx, lane.id) {
        let points = points(ctx, &envelope);
        let at = |moment: Moment| ctx.tempo.frame_of(envelope.timebase, moment, ctx.rate);
        curves.extend(Curve::of(&envelope, segments(&points, at)));
    }
    for clip in ctx.source.referring::<Clip>(lane.id) {
        if clip.lane == lane.id && !clip.mute {
            for envelope in envelopes(ctx, clip.id) {
                let points = points(ctx, &envelope);
                let segments = clip_segments(ctx, &clip, envelope.timebase, &points);
                curves.extend(Curve::of(&envelope, segments));
            }
        }
    }
}

fn envelopes(ctx: &Ctx<'_>, owner: impl Into<pulse_schemas::id::AnyId>) -> Vec<AutomationEnvelope> {
    let owner = owner.into();
    let mut envelopes = ctx.source.referring::<AutomationEnvelope>(owner);
    envelopes.retain(|envelope| envelope.enabled && envelope_owner(envelope) == Some(owner));
    envelopes.sort_by_key(|envelope| envelope.id);
    envelopes
}

fn envelope_owner(envelope: &AutomationEnvelope) -> Option<pulse_schemas::id::AnyId> {
    match envelope.owner {
        EnvelopeOwner::Lane { lane } => Some(lane.any()),
        EnvelopeOwner::Clip { clip } => Some(clip.any()),
        EnvelopeOwner::None => None,
    }
}

fn points(ctx: &Ctx<'_>, envelope: &AutomationEnvelope) -> Vec<AutomationPoint> {
    let mut points = ctx.source.members_of::<AutomationPoint>(envelope.id.0);
    points.sort_by_key(|point| (point.at, point.id));
    points
}

impl Curve {
    fn of(envelope: &AutomationEnvelope, mut segments: Vec<AutomationSegment>) -> Option<Curve> {
        let (target, parameter) = (envelope.target, envelope.parameter.clone());
        let param = engine_param(&ParameterRef { target, parameter })?;
        for segment in &mut segments {
            segment.from *= param.unit;
            segment.to *= param.unit;
        }
        (!segments.is_empty()).then_some(Curve { param, segments })
    }

    pub fn points(&self) -> usize {
        self.segments.len()
    }

    /// Moves the parameter where nothing moves it yet.
    pub fn add_to(&self, slice: &mut AutomationSlice) {
        let node = slice.0.entry(self.param.node).or_default();
        let taken = node.entry(self.param.name.clone()).or_default();
        for segment in &self.segments {
            let free = |other: &AutomationSegment| {
                other.end_frame <= segment.start_frame || segment.end_frame <= other.start_frame
            };
            if taken.iter().all(free) {
                taken.push(*segment);
            }
        }
        taken.sort_by_key(|segment| segment.start_frame);
    }
}

/// Segments between neighbours; a single point holds its value.
fn segments(points: &[AutomationPoint], at: impl Fn(Moment) -> i64) -> Vec<AutomationSegment> {
    let segment = |from: &AutomationPoint, to: &AutomationPoint, shape| AutomationSegment {
        start_frame: at(from.at),
        end_frame: at(to.at),
        from: from.value,
        to: to.value,
        shape,
    };
    let mut segments: Vec<AutomationSegment> = points
        .windows(2)
        .map(|pair| segment(&pair[0], &pair[1], shape(&pair[0].shape)))
        .filter(|segment| segment.start_frame < segment.end_frame)
        .collect();
    if let Some(last) = points.last() {
        let mut hold = segment(last, last, SegmentShape::Hold);
        hold.end_frame += 1;
        segments.push(hold);
    }
    segments
}

fn shape(shape: &PointShape) -> SegmentShape {
    match shape {
        PointShape::Hold => SegmentShape::Hold,
        PointShape::Linear => SegmentShape::Linear,
        PointShape::Bezier { bend } => SegmentShape::Bezier { bend: *bend },
        PointShape::Exponential => SegmentShape::Exponential,
    }
}

/// An envelope inside a clip, once for each pass of the clip's loop.
fn clip_segments(
    ctx: &Ctx<'_>,
    clip: &Clip,
    timebase: Timebase,
    points: &[AutomationPoint],
) -> Vec<AutomationSegment> {
    let whole = |pass: &Pass| {
        let inside: Vec<AutomationPoint> = points
            .iter()
            .filter(|point| (pass.from..=pass.to).contains(&point.at.0))
            .cloned()
            .collect();
        let start = match timebase {
            Timebase::Musical => Moment(ctx.tempo.ticks_of(clip.timebase, clip.start).0),
            Timebase::Absolute => Moment(ctx.tempo.flicks_of(clip.timebase, clip.start).0),
        };
        let at = |moment: Moment| {
            let place = start.saturating_add(Moment(moment.0 + pass.shift));
            ctx.tempo.frame_of(timebase, place, ctx.rate)
        };
        segments(&inside, at)
    };
    passes(ctx, clip, timebase).iter().flat_map(whole).collect()
}
