//! Who is rendered live and who ahead of time, and why.

use pulse_schemas::{
    graph::Cohort,
    id::{AnyId, ArrangementId},
};
use serde::Serialize;

use super::{Row, Sheet};
use crate::{
    cohort::{self, Cohorts},
    routing::Routing,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    cohort: Cohort,
    reason: String,
    /// The reasons from here back to the seed.
    because: Vec<String>,
    name: Option<String>,
    channel: AnyId,
}

pub fn sheet(arrangement: ArrangementId, routing: &Routing, cohorts: &Cohorts) -> Sheet {
    let row = |id: AnyId, channel: pulse_schemas::id::ChannelId, member: cohort::Member| {
        let named = routing.channel(channel).filter(|channel| channel.id.any() == id);
        let because = cohorts.chain(channel).into_iter().map(|(_, reason)| reason.to_string());
        let shown = Member {
            cohort: member.cohort,
            reason: member.reason.to_string(),
            because: because.collect(),
            name: named.map(|channel| channel.name.clone()),
            channel: channel.any(),
        };
        Row::new(id, &shown)
    };
    let channels = cohorts.channels().map(|(id, member)| row(id.any(), id, member));
    let nodes = cohorts
        .nodes()
        .iter()
        .filter_map(|(id, channel)| Some(row(id.any(), *channel, cohorts.of_node(*id)?)));
    Sheet::default()
        .field("arrangement", &arrangement)
        .field("assignment", &cohorts.hash())
        .field("live", &cohorts.count(Cohort::Live))
        .field("anticipative", &cohorts.count(Cohort::Anticipative))
        .list("members", channels.chain(nodes).collect())
}
