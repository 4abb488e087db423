//! One track with all that belongs to it: lanes, clips, envelopes, its strip.

use pulse_schemas::{
    command::view::Window,
    entity::{AutomationEnvelope, Clip, Comp, Take, Track, Variant},
    id::TrackId,
    time::TempoMap,
};

use super::{
    Ctx, Row, Sheet, ViewError,
    arrangement::{self, Place},
    automation::envelope_row,
    mixer,
};
use crate::{content::sorted_lanes, source::SourceExt};

/// Derives the view of one track; `audible` is that of its channel.
pub fn sheet(
    ctx: &Ctx<'_>,
    tempo: &TempoMap,
    id: TrackId,
    audible: bool,
    window: &Window,
) -> Result<Sheet, ViewError> {
    let gone = || ViewError::SubjectGone { subject: id.any() };
    let track: Track = ctx.source.get(id.0).ok_or_else(gone)?;
    let place = Place { track: id, depth: 0 };
    let part = arrangement::track_part(ctx, tempo, place).ok_or_else(gone)?;
    let whole = Window { first_row: None, rows: None, ..window.clone() };
    let cut = std::sync::Arc::new(arrangement::cut_of(&part, &whole));
    let rows = arrangement::sheet(track.arrangement, 1, &[cut]);
    let channel = ctx.source.channel_of(id);
    let channels = channel.iter().map(|channel| mixer::channel_row(ctx, channel, audible));
    Ok(Sheet { lists: rows.lists, ..rows_fields(rows.fields) }
        .list("channels", channels.collect())
        .list("envelopes", envelopes(ctx, &track))
        .list("takes", takes(ctx, &track))
        .list("comps", comps(ctx, &track))
        .list("variants", variants(ctx, &track)))
}

fn rows_fields(mut fields: std::collections::BTreeMap<&'static str, serde_json::Value>) -> Sheet {
    fields.remove("rows");
    Sheet { fields, ..Sheet::default() }
}

/// The envelopes of a track: of its lanes, then of their clips.
pub fn envelopes(ctx: &Ctx<'_>, track: &Track) -> Vec<Row> {
    let mut rows = Vec::new();
    for lane in sorted_lanes(ctx.source, track) {
        let mut owners = vec![lane.id.any()];
        owners.extend(ctx.source.referring::<Clip>(lane.id).iter().map(|clip| clip.id.any()));
        for owner in owners {
            let mut envelopes = ctx.source.referring::<AutomationEnvelope>(owner);
            envelopes.sort_by_key(|envelope| envelope.id);
            rows.extend(envelopes.iter().filter_map(|envelope| envelope_row(ctx, owner, envelope)));
        }
    }
    rows
}

fn takes(ctx: &Ctx<'_>, track: &Track) -> Vec<Row> {
    let lanes = sorted_lanes(ctx.source, track);
    let of_lane = lanes.iter().flat_map(|lane| {
        let mut takes = ctx.source.referring::<Take>(lane.id);
        takes.retain(|take| take.lane == lane.id);
        takes.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
        takes
    });
    of_lane.map(|take| Row::new(take.id, &take)).collect()
}

fn comps(ctx: &Ctx<'_>, track: &Track) -> Vec<Row> {
    let lanes = sorted_lanes(ctx.source, track);
    let of_lane = lanes.iter().flat_map(|lane| {
        let mut comps = ctx.source.referring::<Comp>(lane.id);
        comps.retain(|comp| comp.lane == lane.id);
        comps.sort_by_key(|comp| comp.id);
        comps
    });
    of_lane.map(|comp| Row::new(comp.id, &comp)).collect()
}

fn variants(ctx: &Ctx<'_>, track: &Track) -> Vec<Row> {
    let mut variants = ctx.source.referring::<Variant>(track.id);
    variants.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
    variants.iter().map(|variant| Row::new(variant.id, variant)).collect()
}
