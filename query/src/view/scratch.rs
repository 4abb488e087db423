//! A view of any revision, derived from nothing.
//!
//! For revisions other than the working copy, which never change, and as the
//! reference that the incremental host is tested against.

use std::{collections::BTreeMap, sync::Arc};

use pulse_engine::{plan::Compiler, registry::Registry};
use pulse_schemas::{
    command::view::{ViewName, Window},
    entity::Channel,
    graph::{Cohort, GraphSpec},
    id::{AnyId, ArrangementId, ChannelId, ClipId, TrackId},
};

use super::{
    Ctx, Sheet, ViewError, arrangement, arrangement_of, automation, clip, cohorts, cut, media,
    mixer, name, routing, routing::Latencies, subject_of, timeline, track,
};
use crate::{
    chain::{Chain, chain},
    cohort::{self, Cohorts, Ground},
    content::{audible, tempo_map},
    graph::{Scope, join, side_inputs},
    routing::{Routing, routing as routes},
    source::SourceExt,
};

pub fn sheet(
    ctx: &Ctx<'_>,
    view: ViewName,
    subject: Option<AnyId>,
    window: &Window,
) -> Result<Sheet, ViewError> {
    let of = || arrangement_of(ctx.source, view, subject);
    match view {
        ViewName::Arrangement => arrangement_sheet(ctx, of()?, window),
        ViewName::Mixer => Ok(mixer_sheet(ctx, of()?, window)),
        ViewName::Track => track_sheet(ctx, TrackId(subject_of(view, subject)?.id), window),
        ViewName::Clip => clip::sheet(ctx, ClipId(subject_of(view, subject)?.id), window),
        ViewName::Automation => {
            let subject = subject_of(view, subject)?;
            let tempo = tempo_of(ctx, subject);
            automation::sheet(ctx, &tempo, subject, window)
        }
        ViewName::Routing => Ok(routing_sheet(ctx, of()?)),
        ViewName::Cohorts => Ok(cohorts_sheet(ctx, of()?)),
        ViewName::Media => Ok(media::sheet(ctx, window)),
        ViewName::Timeline => {
            let id = of()?;
            timeline::sheet(ctx, &tempo_map(ctx.source, id), id, window)
        }
        ViewName::History | ViewName::Branches | ViewName::Diff => {
            Err(ViewError::NotOfARevision { view: name(view) })
        }
    }
}

fn arrangement_sheet(
    ctx: &Ctx<'_>,
    id: ArrangementId,
    window: &pulse_schemas::command::view::Window,
) -> Result<Sheet, ViewError> {
    let tempo = tempo_map(ctx.source, id);
    let places = arrangement::places(ctx.source, id);
    let cuts: Vec<_> = arrangement::visible(&places, window)
        .iter()
        .filter_map(|place| arrangement::track_part(ctx, &tempo, *place))
        .map(|part| Arc::new(arrangement::cut_of(&part, window)))
        .collect();
    Ok(arrangement::sheet(id, places.len(), &cuts))
}

fn mixer_sheet(ctx: &Ctx<'_>, id: ArrangementId, window: &Window) -> Sheet {
    let places = arrangement::places(ctx.source, id);
    let mut channels = ctx.source.referring::<Channel>(id);
    channels.retain(|channel| channel.arrangement == id);
    let heard = audible(ctx.source, id);
    let order = mixer::order(&channels, &places);
    let count = order.len();
    let by_id: BTreeMap<ChannelId, &Channel> =
        channels.iter().map(|channel| (channel.id, channel)).collect();
    let shown = cut(order, window);
    let row = |id: &ChannelId| {
        by_id.get(id).map(|channel| mixer::channel_row(ctx, channel, heard.0.contains(id)))
    };
    mixer::sheet(id, count, shown.iter().filter_map(row).collect())
}

fn track_sheet(ctx: &Ctx<'_>, id: TrackId, window: &Window) -> Result<Sheet, ViewError> {
    let gone = ViewError::SubjectGone { subject: id.any() };
    let found: pulse_schemas::entity::Track = ctx.source.get(id.0).ok_or(gone)?;
    let heard = audible(ctx.source, found.arrangement);
    let channel = ctx.source.channel_of(id);
    let heard = channel.is_some_and(|channel| heard.0.contains(&channel.id));
    track::sheet(ctx, &tempo_map(ctx.source, found.arrangement), id, heard, window)
}

/// The time that the subject of an automation view lives in.
fn tempo_of(ctx: &Ctx<'_>, subject: AnyId) -> pulse_schemas::time::TempoMap {
    let arrangement = arrangement_above(ctx, subject).or_else(|| ctx.source.active_arrangement());
    arrangement.map_or_else(
        || pulse_schemas::time::TempoMap::repaired(&[]).0,
        |id| tempo_map(ctx.source, id),
    )
}

/// The arrangement that a track, a lane or a clip lies in.
pub fn arrangement_above(ctx: &Ctx<'_>, subject: AnyId) -> Option<ArrangementId> {
    use pulse_schemas::{
        entity::{Clip, Lane, Track},
        id::EntityKind,
    };
    let track = match subject.kind {
        EntityKind::Track => TrackId(subject.id),
        EntityKind::Lane => ctx.source.get::<Lane>(subject.id)?.track,
        EntityKind::Clip => {
            let clip: Clip = ctx.source.get(subject.id)?;
            ctx.source.get::<Lane>(clip.lane.0)?.track
        }
        _ => return None,
    };
    Some(ctx.source.get::<Track>(track.0)?.arrangement)
}

/// The chains of all channels of a routing.
pub fn chains(ctx: &Ctx<'_>, routing: &Routing) -> BTreeMap<ChannelId, Chain> {
    let derive = |channel: &Channel| (channel.id, chain(ctx.source, ctx.registry, channel));
    routing.channels.iter().map(derive).collect()
}

/// The graph of an arrangement; none while its routing has a loop.
fn graph(ctx: &Ctx<'_>, routing: &Routing) -> Option<GraphSpec> {
    let chains = chains(ctx, routing);
    join(ctx.registry, routing, &chains, &side_inputs(ctx.source, routing), &Scope::mix()).ok()
}

fn cohorts_of(ctx: &Ctx<'_>, id: ArrangementId, routing: &Routing) -> Cohorts {
    let nodes = cohort::places(ctx.source, routing);
    let ground = Ground::of(routing, nodes, &cohort::speeches_of(ctx.source, routing));
    let gestures = cohort::gestures(ctx.source, id);
    cohort::assign(Arc::new(ground), &gestures, &ctx.ambient.seeds)
}

fn routing_sheet(ctx: &Ctx<'_>, id: ArrangementId) -> Sheet {
    let routing = routes(ctx.source, id);
    let rate = ctx.source.project().map_or(48_000, |project| project.sample_rate);
    let latencies = graph(ctx, &routing).and_then(|spec| latencies(ctx.registry, &spec, rate));
    routing::sheet(id, &routing, Some(&cohorts_of(ctx, id, &routing)), latencies.as_ref())
}

fn cohorts_sheet(ctx: &Ctx<'_>, id: ArrangementId) -> Sheet {
    let routing = routes(ctx.source, id);
    cohorts::sheet(id, &routing, &cohorts_of(ctx, id, &routing))
}

/// Latency does not depend on the block size that a plan is compiled for.
const BLOCK: usize = 512;

/// Latency and compensation, as the engine's plan has them. All cohorts are
/// taken as one: who renders a node does not change how late it is.
pub fn latencies(registry: &Registry, spec: &GraphSpec, rate: u32) -> Option<Latencies> {
    let mut spec = spec.clone();
    spec.nodes.iter_mut().for_each(|node| node.cohort = Cohort::Anticipative);
    let mut compiler = Compiler::new(registry.clone(), rate, BLOCK).ok()?;
    let plan = compiler.compile(&spec).ok()?;
    let strips = plan.nodes.iter().enumerate().filter_map(|(index, node)| {
        let is_strip = node.key == pulse_schemas::graph::NodeKey::new(node.key.entity, "strip");
        let at = node.arrival + plan.class(index as u32).latency;
        is_strip.then_some((ChannelId(node.key.entity.id), at))
    });
    Some(Latencies { channels: strips.collect(), mix: plan.latency() })
}
