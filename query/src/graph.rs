//! The graph of nodes that the engine compiles: the chains of an arrangement,
//! joined by its routing.

use std::collections::{BTreeMap, BTreeSet};

use pulse_engine::registry::Registry;
use pulse_schemas::{
    entity::{Channel, ChannelKind, DspNode, Send, SidechainRoute, SignalTap},
    graph::{
        Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec, OutputKind,
        OutputSpec,
    },
    id::{AnyId, ArrangementId, ChannelId, SidechainRouteId},
};

use crate::{
    chain::{Chain, Outlet, STRIP, SUM, chain, node_key},
    cohort::{self, Cohorts, Seeds},
    routing::{Route, RouteKind, Routing, RoutingCycle, routing},
    source::{Source, SourceExt},
};

/// What leaves the graph, and which part of it must sound.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    /// Channels that are rendered to outputs of their own, beside the master.
    pub stems: BTreeSet<ChannelId>,
    /// Leaves out everything that these and the master do not need.
    pub only: Option<BTreeSet<ChannelId>>,
    /// Stems are what reaches the fader, not what leaves it.
    pub pre_fader: bool,
}

impl Scope {
    pub fn mix() -> Scope {
        Scope::default()
    }

    pub fn with_stems(stems: impl IntoIterator<Item = ChannelId>) -> Scope {
        Scope { stems: stems.into_iter().collect(), ..Scope::default() }
    }

    /// One channel alone, and what feeds it.
    pub fn channel(channel: ChannelId) -> Scope {
        let only = BTreeSet::from([channel]);
        Scope { stems: only.clone(), only: Some(only), pre_fader: false }
    }
}

pub fn send_key(id: AnyId) -> NodeKey {
    NodeKey::new(id, "send")
}

/// Derives the graph of an arrangement from scratch.
pub fn graph(
    source: &dyn Source,
    registry: &Registry,
    arrangement: ArrangementId,
    scope: &Scope,
) -> Result<GraphSpec, RoutingCycle> {
    let routing = routing(source, arrangement);
    let chains: BTreeMap<ChannelId, Chain> = routing
        .channels
        .iter()
        .map(|channel| (channel.id, chain(source, registry, channel)))
        .collect();
    let side_inputs = side_inputs(source, &routing);
    join(registry, &routing, &chains, &side_inputs, scope)
}

/// The same with every node in the cohort of its channel. A send is of the channel
/// that it takes from.
pub fn cohort_graph(
    source: &dyn Source,
    registry: &Registry,
    arrangement: ArrangementId,
    scope: &Scope,
    seeds: &Seeds,
) -> Result<GraphSpec, RoutingCycle> {
    let routing = routing(source, arrangement);
    let chain = |channel: &Channel| (channel.id, chain(source, registry, channel));
    let chains: BTreeMap<ChannelId, Chain> = routing.channels.iter().map(chain).collect();
    let side_inputs = side_inputs(source, &routing);
    let mut spec = join(registry, &routing, &chains, &side_inputs, scope)?;
    let cohorts = cohort::cohorts(source, arrangement, seeds);
    let live = live_nodes(&routing, &cohorts, |channel| chains.get(&channel));
    live.iter().for_each(|node| put_into(&mut spec, *node, Cohort::Live));
    Ok(spec)
}

/// The nodes of live channels, and the sends that take from these.
pub fn live_nodes<C: std::ops::Deref<Target = Chain>>(
    routing: &Routing,
    cohorts: &Cohorts,
    chain: impl Fn(ChannelId) -> Option<C>,
) -> BTreeSet<NodeKey> {
    let mut keys = BTreeSet::new();
    for channel in cohorts.live() {
        let nodes = chain(channel);
        keys.extend(nodes.iter().flat_map(|chain| chain.nodes.iter().map(|node| node.key)));
        let sends = routing.from(channel).iter().filter(|route| route.kind == RouteKind::Send);
        keys.extend(sends.map(|route| send_key(route.by)));
    }
    keys
}

/// Puts a node of a canonical graph into a cohort, if it is there.
pub fn put_into(spec: &mut GraphSpec, key: NodeKey, cohort: Cohort) {
    let first = spec.nodes.partition_point(|node| node.key < key);
    for node in spec.nodes[first..].iter_mut().take_while(|node| node.key == key) {
        node.cohort = cohort;
    }
}

/// The graph as it is played, from scratch: every node in its cohort, every
/// channel measured.
pub fn playing_graph(
    source: &dyn Source,
    registry: &Registry,
    arrangement: ArrangementId,
    seeds: &Seeds,
) -> Result<GraphSpec, RoutingCycle> {
    let scope = to_measure(&routing(source, arrangement));
    let mut spec = cohort_graph(source, registry, arrangement, &scope, seeds)?;
    tap(&mut spec);
    Ok(spec)
}

/// All of a mix, with every channel but the master's to be measured.
pub fn to_measure(routing: &Routing) -> Scope {
    let measured = routing.channels.iter();
    let measured = measured.filter(|channel| channel.channel_kind != ChannelKind::Master);
    Scope::with_stems(measured.map(|channel| channel.id))
}

/// Stems that are measured and rendered by nobody.
pub fn tap(spec: &mut GraphSpec) {
    for output in &mut spec.outputs {
        if let OutputKind::Stem(channel) = output.kind {
            output.kind = OutputKind::Tap(channel);
        }
    }
    spec.canonicalise();
}

/// Where side chains end: their routes name a channel, the engine a node.
pub type SideInputs = BTreeMap<SidechainRouteId, (NodeKey, u16)>;

pub fn side_inputs(source: &dyn Source, routing: &Routing) -> SideInputs {
    routing.channels.iter().flat_map(|channel| side_inputs_of(source, channel.id)).collect()
}

/// The side inputs of the nodes of one channel.
pub fn side_inputs_of(source: &dyn Source, channel: ChannelId) -> SideInputs {
    let of_node = |node: DspNode| {
        let routes = source.referring::<SidechainRoute>(node.id);
        routes.into_iter().map(|route| (route.id, (node_key(route.to), route.port)))
    };
    source.referring::<DspNode>(channel).into_iter().flat_map(of_node).collect()
}

/// Joins chains that were derived apart.
pub fn join(
    registry: &Registry,
    routing: &Routing,
    chains: &BTreeMap<ChannelId, Chain>,
    side_inputs: &SideInputs,
    scope: &Scope,
) -> Result<GraphSpec, RoutingCycle> {
    routing.check()?;
    let needed = needed(routing, scope);
    let mut spec = GraphSpec::default();
    for chain in chains.values().filter(|chain| needed.contains(&chain.channel.id)) {
        spec.nodes.extend(chain.nodes.iter().cloned());
        spec.edges.extend(chain.edges.iter().cloned());
    }
    let strip_version = registry.get(STRIP).map_or(1, |kind| kind.descriptor.dsp_version);
    for route in &routing.routes {
        if needed.contains(&route.from) && needed.contains(&route.to) {
            add_route(&mut spec, route, chains, side_inputs, strip_version);
        }
    }
    drop_loose_ends(&mut spec);
    spec.outputs = outputs(registry, &mut spec, routing, chains, &needed, scope);
    spec.canonicalise();
    Ok(spec)
}

/// The channels that the scope's outputs hear.
fn needed(routing: &Routing, scope: &Scope) -> BTreeSet<ChannelId> {
    let Some(only) = &scope.only else {
        return routing.channels.iter().map(|channel| channel.id).collect();
    };
    let mut needed = only.clone();
    loop {
        let feeders: Vec<ChannelId> = routing
            .routes
            .iter()
            .filter(|route| needed.contains(&route.to) && !needed.contains(&route.from))
            .map(|route| route.from)
            .collect();
        if feeders.is_empty() {
            return needed;
        }
        needed.extend(feeders);
    }
}

fn add_route(
    spec: &mut GraphSpec,
    route: &Route,
    chains: &BTreeMap<ChannelId, Chain>,
    side_inputs: &SideInputs,
    strip_version: u32,
) {
    let (Some(from), Some(to)) = (chains.get(&route.from), chains.get(&route.to)) else {
        return;
    };
    let outlets = match route.tap {
        SignalTap::PostFader => vec![from.post_fader()],
        SignalTap::PreFader => from.pre_fader.clone(),
    };
    match route.kind {
        RouteKind::Output | RouteKind::Input => {
            audio_edges(spec, &outlets, to.input, 0, route.feedback);
        }
        RouteKind::Send => {
            let key = send_key(route.by);
            spec.nodes.push(NodeSpec {
                key,
                kind: STRIP.to_owned(),
                dsp_version: strip_version,
                layout: BTreeMap::new(),
                channels: to.channel.channels.clamp(1, 2),
                cohort: Cohort::Anticipative,
            });
            audio_edges(spec, &outlets, key, 0, None);
            audio_edges(spec, &[Outlet { node: key, port: 0 }], to.input, 0, route.feedback);
        }
        RouteKind::Sidechain => {
            let id = SidechainRouteId(route.by.id);
            if let Some((node, port)) = side_inputs.get(&id) {
                audio_edges(spec, &outlets, *node, *port, route.feedback);
            }
        }
    }
}

fn audio_edges(
    spec: &mut GraphSpec,
    outlets: &[Outlet],
    to: NodeKey,
    port: u16,
    feedback: Option<u32>,
) {
    spec.edges.extend(outlets.iter().map(|outlet| EdgeSpec {
        from: outlet.node,
        from_port: outlet.port,
        to,
        to_port: Inlet::Port(port),
        kind: EdgeKind::Audio,
        feedback_frames: feedback,
        compensated: true,
        depth: Depth::FULL,
    }));
}

/// Edges whose node rests (an alternative of a stack, a frozen track) go.
fn drop_loose_ends(spec: &mut GraphSpec) {
    let known: BTreeSet<NodeKey> = spec.nodes.iter().map(|node| node.key).collect();
    spec.edges.retain(|edge| known.contains(&edge.from) && known.contains(&edge.to));
}

fn outputs(
    registry: &Registry,
    spec: &mut GraphSpec,
    routing: &Routing,
    chains: &BTreeMap<ChannelId, Chain>,
    needed: &BTreeSet<ChannelId>,
    scope: &Scope,
) -> Vec<OutputSpec> {
    let mut outputs: Vec<OutputSpec> = routing
        .channels
        .iter()
        .filter(|channel| channel.channel_kind == ChannelKind::Master)
        .filter(|channel| needed.contains(&channel.id))
        .filter_map(|channel| chains.get(&channel.id))
        .map(|chain| OutputSpec { kind: OutputKind::Master, node: chain.strip, port: 0 })
        .collect();
    for chain in scope.stems.iter().filter_map(|channel| chains.get(channel)) {
        let kind = OutputKind::Stem(chain.channel.id.any());
        let outlet = match (scope.pre_fader, &chain.pre_fader[..]) {
            (false, _) => chain.post_fader(),
            (true, [outlet]) => *outlet,
            (true, outlets) => met(registry, spec, chain, outlets),
        };
        outputs.push(OutputSpec { kind, node: outlet.node, port: outlet.port });
    }
    outputs
}

/// Where the signals that reach a fader meet before it.
fn met(registry: &Registry, spec: &mut GraphSpec, chain: &Chain, outlets: &[Outlet]) -> Outlet {
    let key = NodeKey::new(chain.channel.id, "preFader");
    spec.nodes.push(NodeSpec {
        key,
        kind: SUM.to_owned(),
        dsp_version: registry.get(SUM).map_or(1, |kind| kind.descriptor.dsp_version),
        layout: BTreeMap::new(),
        channels: chain.channel.channels.clamp(1, 2),
        cohort: Cohort::Anticipative,
    });
    audio_edges(spec, outlets, key, 0, None);
    Outlet { node: key, port: 0 }
}

/// The nodes that belong to a send, by the channel that owns it.
pub fn sends_of(source: &dyn Source, channel: ChannelId) -> Vec<Send> {
    let sends = source.referring::<Send>(channel);
    sends.into_iter().filter(|send| send.from == channel).collect()
}
