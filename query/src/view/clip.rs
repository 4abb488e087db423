//! One clip and its notes, events or regions: what an editor shows.

use pulse_schemas::{
    command::view::Window,
    entity::{AudioRegion, AutomationEnvelope, Availability, Clip, MediaItem},
    id::ClipId,
};
use serde::Serialize;

use super::{Ctx, Looks, Row, Rows, Sheet, ViewError, automation::envelope_row, looks, span};
use crate::{availability, source::SourceExt};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionRow<'a> {
    #[serde(flatten)]
    region: &'a AudioRegion,
    media_name: Option<String>,
    frames: u64,
    sample_rate: u32,
    availability: Availability,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClipField<'a> {
    #[serde(flatten)]
    clip: &'a Clip,
    #[serde(flatten)]
    looks: Looks,
}

/// Derives the view of one clip; the window counts from the clip's content.
pub fn sheet(ctx: &Ctx<'_>, id: ClipId, window: &Window) -> Result<Sheet, ViewError> {
    let gone = ViewError::SubjectGone { subject: id.any() };
    let clip: Clip = ctx.source.get(id.0).ok_or(gone)?;
    let looks = looks(ctx.source, id.any());
    let mut envelopes = ctx.source.referring::<AutomationEnvelope>(id);
    envelopes.sort_by_key(|envelope| envelope.id);
    let score = ctx.source.score(id);
    let envelopes =
        envelopes.iter().filter_map(|envelope| envelope_row(ctx, id.any(), envelope)).collect();
    Ok(Sheet::default()
        .field("clip", &ClipField { clip: &clip, looks })
        .rows("notes", Rows::of_runs(score.note_rows(span(window))))
        .rows("events", Rows::of_runs(score.event_rows(span(window))))
        .list("regions", regions(ctx, id))
        .list("envelopes", envelopes))
}

fn regions(ctx: &Ctx<'_>, clip: ClipId) -> Vec<Row> {
    let mut regions = ctx.source.members_of::<AudioRegion>(clip.0);
    regions.sort_by_key(|region| region.id);
    let row = |region: &AudioRegion| {
        let media: Option<MediaItem> = ctx.source.get(region.media.0);
        let row = RegionRow {
            region,
            media_name: media.as_ref().map(|media| media.name.clone()),
            frames: media.as_ref().map_or(0, |media| media.format.frames),
            sample_rate: media.as_ref().map_or(0, |media| media.format.sample_rate),
            availability: availability::of_id(ctx.source, ctx.ambient, region.media),
        };
        Row::new(region.id, &row)
    };
    regions.iter().map(row).collect()
}
