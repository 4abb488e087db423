//! Envelopes of a lane, a clip or a track, with their points in a window.

use pulse_schemas::{
    command::view::Window,
    entity::{AutomationEnvelope, AutomationPoint, EnvelopeOwner, Track},
    id::{AnyId, EntityKind},
    time::{TempoMap, Ticks},
};
use serde::Serialize;

use super::{Ctx, Row, Sheet, ViewError, span};
use crate::source::SourceExt;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeRow<'a> {
    #[serde(flatten)]
    envelope: &'a AutomationEnvelope,
    /// Who is moved, as people named it.
    target_name: Option<String>,
    points: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PointRow<'a> {
    #[serde(flatten)]
    point: &'a AutomationPoint,
    /// Where it lies in musical time: of the song, or of the clip that owns it.
    tick: Ticks,
}

/// The row of an envelope, if it is the owner's.
pub fn envelope_row(ctx: &Ctx<'_>, owner: AnyId, envelope: &AutomationEnvelope) -> Option<Row> {
    let named = match envelope.owner {
        EnvelopeOwner::Lane { lane } => lane.any(),
        EnvelopeOwner::Clip { clip } => clip.any(),
        EnvelopeOwner::None => return None,
    };
    if named != owner {
        return None;
    }
    let target = envelope
        .target
        .and_then(|target| ctx.source.entity(pulse_schemas::record::EntityKey::standalone(target)));
    let row = EnvelopeRow {
        envelope,
        target_name: target.as_ref().and_then(|target| target.label()).map(str::to_owned),
        points: ctx.source.members_of::<AutomationPoint>(envelope.id.0).len(),
    };
    Some(Row::new(envelope.id, &row))
}

/// Derives the view of the envelopes of a lane, a clip or a whole track.
pub fn sheet(
    ctx: &Ctx<'_>,
    tempo: &TempoMap,
    subject: AnyId,
    window: &Window,
) -> Result<Sheet, ViewError> {
    let key = pulse_schemas::record::EntityKey::standalone(subject);
    ctx.source.entity(key).ok_or(ViewError::SubjectGone { subject })?;
    let owners = match subject.kind {
        EntityKind::Track => owners(ctx, subject),
        _ => vec![subject],
    };
    let (mut envelopes, mut points) = (Vec::new(), Vec::new());
    for owner in owners {
        let mut of_owner = ctx.source.referring::<AutomationEnvelope>(owner);
        of_owner.sort_by_key(|envelope| envelope.id);
        for envelope in of_owner {
            if let Some(row) = envelope_row(ctx, owner, &envelope) {
                envelopes.push(row);
                points.extend(point_rows(ctx, tempo, &envelope, window));
            }
        }
    }
    Ok(Sheet::default()
        .field("subject", &subject)
        .list("envelopes", envelopes)
        .list("points", points))
}

fn owners(ctx: &Ctx<'_>, track: AnyId) -> Vec<AnyId> {
    let Some(track) = ctx.source.get::<Track>(track.id) else { return Vec::new() };
    let lanes = crate::content::sorted_lanes(ctx.source, &track);
    lanes.iter().map(|lane| lane.id.any()).collect()
}

/// The points in the window, and the neighbour on either side: the curve that
/// crosses the edge begins there.
fn point_rows(
    ctx: &Ctx<'_>,
    tempo: &TempoMap,
    envelope: &AutomationEnvelope,
    window: &Window,
) -> Vec<Row> {
    let span = span(window);
    let mut points = ctx.source.members_of::<AutomationPoint>(envelope.id.0);
    points.sort_by_key(|point| (point.at, point.id));
    let tick = |point: &AutomationPoint| tempo.ticks_of(envelope.timebase, point.at);
    let first = points.partition_point(|point| tick(point) < span.start).saturating_sub(1);
    let last = points.partition_point(|point| tick(point) < span.end).saturating_add(1);
    points[first..last.min(points.len())]
        .iter()
        .map(|point| Row::new(point.id, &PointRow { point, tick: tick(point) }))
        .collect()
}
