//! Tempo, signatures, keys, markers and sections of an arrangement.

use std::ops::Range;

use pulse_schemas::{
    command::view::Window,
    entity::{Arrangement, Entity, KeyPoint, Marker, Section, SignaturePoint, TempoPoint},
    id::ArrangementId,
    time::{TempoMap, Ticks},
};
use serde::Serialize;

use super::{Ctx, Row, Sheet, ViewError, span};
use crate::source::SourceExt;

pub fn sheet(
    ctx: &Ctx<'_>,
    tempo: &TempoMap,
    id: ArrangementId,
    window: &Window,
) -> Result<Sheet, ViewError> {
    let gone = ViewError::SubjectGone { subject: id.any() };
    let arrangement: Arrangement = ctx.source.get(id.0).ok_or(gone)?;
    let span = span(window);
    let marker = |marker: &Marker| tempo.ticks_of(marker.timebase, marker.at);
    Ok(Sheet::default()
        .field("arrangement", &arrangement)
        .list("tempo", holding(ctx, id, &span, |point: &TempoPoint| point.at))
        .list("signatures", holding(ctx, id, &span, |point: &SignaturePoint| point.at))
        .list("keys", holding(ctx, id, &span, |point: &KeyPoint| point.at))
        .list("markers", between(ctx, id, &span, |found: &Marker| marker(found)..marker(found)))
        .list(
            "sections",
            between(ctx, id, &span, |section: &Section| {
                section.start..section.start.saturating_add(section.length)
            }),
        ))
}

/// Points that hold until the next: those in the window and the one before it.
fn holding<E>(
    ctx: &Ctx<'_>,
    owner: ArrangementId,
    span: &Range<Ticks>,
    at: impl Fn(&E) -> Ticks,
) -> Vec<Row>
where
    E: Entity + Serialize + TryFrom<pulse_schemas::entity::AnyEntity>,
{
    let mut points = ctx.source.members_of::<E>(owner.0);
    points.sort_by_key(|point| (at(point), point.id()));
    let first = points.partition_point(|point| at(point) <= span.start).saturating_sub(1);
    points[first..].iter().take_while(|point| at(point) < span.end).map(row).collect()
}

fn between<E>(
    ctx: &Ctx<'_>,
    owner: ArrangementId,
    span: &Range<Ticks>,
    range: impl Fn(&E) -> Range<Ticks>,
) -> Vec<Row>
where
    E: Entity + Serialize + TryFrom<pulse_schemas::entity::AnyEntity>,
{
    let mut found = ctx.source.members_of::<E>(owner.0);
    found.retain(|entity| {
        let range = range(entity);
        range.start < span.end && range.end >= span.start
    });
    found.sort_by_key(|entity| (range(entity).start, entity.id()));
    found.iter().map(row).collect()
}

fn row<E: Entity + Serialize>(entity: &E) -> Row {
    Row::new(pulse_schemas::id::AnyId { kind: E::KIND, id: entity.id() }, entity)
}
