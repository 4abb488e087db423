//! Media items with availability and who plays them.

use std::collections::BTreeSet;

use pulse_schemas::{
    command::view::Window,
    entity::{AudioRegion, Availability, MediaItem},
    id::ClipId,
};
use serde::Serialize;

use super::{Ctx, Row, Sheet, cut};
use crate::{availability, source::SourceExt};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemRow<'a> {
    #[serde(flatten)]
    item: &'a MediaItem,
    /// What is true now, which the stored field only remembers.
    found: Availability,
    clips: Vec<ClipId>,
}

pub fn sheet(ctx: &Ctx<'_>, window: &Window) -> Sheet {
    let mut items = ctx.source.all::<MediaItem>();
    items.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let summary = availability::summary(ctx.ambient, &items);
    let count = items.len();
    let row = |item: &MediaItem| {
        let regions = ctx.source.referring::<AudioRegion>(item.id);
        let clips: BTreeSet<ClipId> = regions.iter().map(|region| region.clip).collect();
        let found = availability::of_media(ctx.ambient, item);
        Row::new(item.id, &ItemRow { item, found, clips: clips.into_iter().collect() })
    };
    Sheet::default()
        .field("rows", &count)
        .field("availability", &summary)
        .list("items", cut(items, window).iter().map(row).collect())
}
