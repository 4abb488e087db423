//! The inside of one channel as engine nodes: lanes, processors, strip.
//!
//! A chain is derived channel by channel, apart from the routing between
//! channels, so that an edit of one channel derives one chain again.

use std::collections::BTreeMap;

use pulse_engine::{node::Descriptor, registry::Registry};
use pulse_schemas::{
    entity::{Channel, Connection, DspNode, Lane, LaneKind, ModulationRoute, NodeStack, Track},
    graph::{Cohort, Depth, EdgeKind, EdgeSpec, Inlet, NodeKey, NodeSpec},
    id::{EntityKind, NodeId},
    order::OrderKey,
};

use crate::source::{Source, SourceExt};

/// Sums what arrives; the input of every channel that others feed.
pub const SUM: &str = "pulse.sum";
pub const STRIP: &str = "pulse.strip";
pub const LANE: &str = "pulse.lane";

/// A port that something leaves from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outlet {
    pub node: NodeKey,
    pub port: u16,
}

/// The nodes of one channel and where it meets the others.
#[derive(Clone, PartialEq, Debug)]
pub struct Chain {
    pub channel: Channel,
    pub nodes: Vec<NodeSpec>,
    pub edges: Vec<EdgeSpec>,
    /// Where audio from other channels enters.
    pub input: NodeKey,
    /// Nodes that play what the track's MIDI clips say.
    pub players: Vec<NodeKey>,
    /// What feeds the strip: the pre-fader signal.
    pub pre_fader: Vec<Outlet>,
    pub strip: NodeKey,
}

impl Chain {
    pub fn post_fader(&self) -> Outlet {
        Outlet { node: self.strip, port: 0 }
    }
}

pub fn node_key(id: NodeId) -> NodeKey {
    NodeKey::new(id, "node")
}

pub fn strip_key(channel: &Channel) -> NodeKey {
    NodeKey::new(channel.id, "strip")
}

pub fn lane_key(lane: &Lane) -> NodeKey {
    NodeKey::new(lane.id, "lane")
}

pub fn frozen_key(track: &Track) -> NodeKey {
    NodeKey::new(track.id, "frozen")
}

/// What a chain needs to know of a kind, also of one that it has never heard of.
#[derive(Clone, Copy)]
struct Shape {
    audio_in: u16,
    audio_out: u16,
    event_in: bool,
    event_out: bool,
}

impl Shape {
    /// An unknown kind passes audio and events through.
    const PLACEHOLDER: Shape =
        Shape { audio_in: 1, audio_out: 1, event_in: false, event_out: false };

    fn of(descriptor: &Descriptor) -> Shape {
        Shape {
            audio_in: descriptor.inputs.len() as u16,
            audio_out: descriptor.outputs.len() as u16,
            event_in: descriptor.event_input,
            event_out: descriptor.event_output,
        }
    }
}

/// Derives the chain of one channel.
pub fn chain(source: &dyn Source, registry: &Registry, channel: &Channel) -> Chain {
    let mut builder = Builder::new(registry, channel);
    let track = channel.track.and_then(|track| source.get::<Track>(track.0));
    // The render of a frozen track holds what others feed it, too: without an input, what they
    // go on playing for the rest of the mix ends there.
    if let Some(track) = track.as_ref().filter(|track| track.frozen.is_some()) {
        let render = builder.add(frozen_key(track), LANE, BTreeMap::new());
        return builder.finish(vec![render]);
    }
    let mut audio = vec![builder.add_input()];
    if let Some(track) = &track {
        audio.extend(
            lanes(source, track)
                .iter()
                .map(|lane| builder.add(lane_key(lane), LANE, BTreeMap::new())),
        );
    }
    let nodes = playing_nodes(source, channel);
    let connections = connections(source, channel);
    let pre_fader = if connections.is_empty() {
        builder.in_order(&nodes, audio)
    } else {
        builder.by_wire(&nodes, &connections, audio)
    };
    builder.modulate(source, &nodes);
    builder.finish(pre_fader)
}

/// The audible audio lanes of a track, in order.
fn lanes(source: &dyn Source, track: &Track) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = source
        .referring::<Lane>(track.id)
        .into_iter()
        .filter(|lane| lane.lane_kind == LaneKind::Audio && !lane.mute)
        .collect();
    lanes.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
    lanes
}

/// The nodes of a channel in order, without those of alternatives that rest.
pub fn playing_nodes(source: &dyn Source, channel: &Channel) -> Vec<DspNode> {
    let stacks = source.referring::<NodeStack>(channel.id);
    let mut place: BTreeMap<NodeId, Option<(OrderKey, usize)>> = BTreeMap::new();
    for stack in &stacks {
        for (index, alternative) in stack.alternatives.iter().enumerate() {
            for (at, node) in alternative.nodes.iter().enumerate() {
                let playing = index == usize::from(stack.active);
                place.insert(*node, playing.then(|| (stack.order.clone(), at)));
            }
        }
    }
    let mut nodes: Vec<((OrderKey, usize), DspNode)> = source
        .referring::<DspNode>(channel.id)
        .into_iter()
        .filter_map(|node| match place.get(&node.id) {
            Some(None) => None,
            Some(Some(place)) => Some((place.clone(), node)),
            None => Some(((node.order.clone(), 0), node)),
        })
        .collect();
    nodes.sort_by(|(a, a_node), (b, b_node)| (a, a_node.id).cmp(&(b, b_node.id)));
    nodes.into_iter().map(|(_, node)| node).collect()
}

fn connections(source: &dyn Source, channel: &Channel) -> Vec<Connection> {
    let mut connections = source.referring::<Connection>(channel.id);
    connections.sort_by_key(|connection| connection.id);
    connections
}

struct Builder<'a> {
    registry: &'a Registry,
    channel: &'a Channel,
    nodes: Vec<NodeSpec>,
    edges: Vec<EdgeSpec>,
    input: NodeKey,
    players: Vec<NodeKey>,
}

impl<'a> Builder<'a> {
    fn new(registry: &'a Registry, channel: &'a Channel) -> Builder<'a> {
        let input = NodeKey::new(channel.id, "in");
        Builder { registry, channel, nodes: vec![], edges: vec![], input, players: vec![] }
    }

    fn add_input(&mut self) -> Outlet {
        self.add(self.input, SUM, BTreeMap::new())
    }

    fn add(&mut self, key: NodeKey, kind: &str, layout: BTreeMap<String, f64>) -> Outlet {
        let dsp_version = self.registry.get(kind).map_or(1, |kind| kind.descriptor.dsp_version);
        self.nodes.push(NodeSpec {
            key,
            kind: kind.to_owned(),
            dsp_version,
            layout,
            channels: self.channel.channels.clamp(1, 2),
            cohort: Cohort::Anticipative,
        });
        Outlet { node: key, port: 0 }
    }

    fn add_node(&mut self, node: &DspNode) -> Shape {
        let kind = self.registry.get(&node.node_kind);
        let layout = kind.map_or_else(BTreeMap::new, |kind| layout(kind.descriptor, node));
        self.add(node_key(node.id), &node.node_kind, layout);
        kind.map_or(Shape::PLACEHOLDER, |kind| Shape::of(kind.descriptor))
    }

    fn wire(&mut self, from: Outlet, to: NodeKey, to_port: u16, kind: EdgeKind) {
        self.edges.push(EdgeSpec {
            from: from.node,
            from_port: from.port,
            to,
            to_port: Inlet::Port(to_port),
            kind,
            feedback_frames: None,
            compensated: true,
            depth: Depth::FULL,
        });
    }

    /// The usual chain: each node takes what came before it.
    fn in_order(&mut self, nodes: &[DspNode], mut audio: Vec<Outlet>) -> Vec<Outlet> {
        let mut events: Option<NodeKey> = None;
        for node in nodes {
            let shape = self.add_node(node);
            let key = node_key(node.id);
            if shape.event_in {
                match events {
                    Some(from) => {
                        self.wire(Outlet { node: from, port: 0 }, key, 0, EdgeKind::Event)
                    }
                    None => self.players.push(key),
                }
            }
            if shape.event_out {
                events = Some(key);
            }
            if shape.audio_in > 0 {
                audio.iter().for_each(|from| self.wire(*from, key, 0, EdgeKind::Audio));
                audio.clear();
            }
            if shape.audio_out > 0 {
                audio.push(Outlet { node: key, port: 0 });
            }
        }
        audio
    }

    /// A chain with wires of its own. Ports count audio first, then events.
    fn by_wire(
        &mut self,
        nodes: &[DspNode],
        connections: &[Connection],
        inputs: Vec<Outlet>,
    ) -> Vec<Outlet> {
        let shapes: BTreeMap<NodeId, Shape> =
            nodes.iter().map(|node| (node.id, self.add_node(node))).collect();
        let mut pre_fader = Vec::new();
        for connection in connections {
            self.connect(connection, &shapes, &inputs, &mut pre_fader);
        }
        pre_fader
    }

    fn connect(
        &mut self,
        connection: &Connection,
        shapes: &BTreeMap<NodeId, Shape>,
        inputs: &[Outlet],
        pre_fader: &mut Vec<Outlet>,
    ) {
        let first_edge = self.edges.len();
        let (from, to) = (connection.from, connection.to);
        match (from.node, to.node) {
            (None, None) => pre_fader.extend(inputs),
            (None, Some(to_node)) if from.port == 0 => {
                inputs
                    .iter()
                    .for_each(|from| self.wire(*from, node_key(to_node), to.port, EdgeKind::Audio));
            }
            (None, Some(to_node)) => self.players.push(node_key(to_node)),
            (Some(from_node), None) if shapes.contains_key(&from_node) => {
                pre_fader.push(Outlet { node: node_key(from_node), port: from.port });
            }
            (Some(from_node), Some(to_node)) => {
                let (Some(source), Some(target)) = (shapes.get(&from_node), shapes.get(&to_node))
                else {
                    return;
                };
                let outlet = |port| Outlet { node: node_key(from_node), port };
                if from.port < source.audio_out && to.port < target.audio_in {
                    self.wire(outlet(from.port), node_key(to_node), to.port, EdgeKind::Audio);
                } else if source.event_out && target.event_in {
                    self.wire(outlet(0), node_key(to_node), 0, EdgeKind::Event);
                }
            }
            (Some(_), None) => {}
        }
        for edge in &mut self.edges[first_edge..] {
            edge.feedback_frames = connection.feedback;
        }
    }

    /// Modulators reach parameters of nodes that play; others rest with theirs.
    fn modulate(&mut self, source: &dyn Source, nodes: &[DspNode]) {
        for node in nodes {
            for route in source.referring::<ModulationRoute>(node.id) {
                if route.from == node.id && route.enabled {
                    let kind = self.registry.get(&node.node_kind);
                    let port = kind.map_or(route.port, |kind| {
                        kind.descriptor.control(route.port, route.bipolar)
                    });
                    self.edges.extend(modulation_edge(&route, port));
                }
            }
        }
    }

    fn finish(mut self, pre_fader: Vec<Outlet>) -> Chain {
        let strip = strip_key(self.channel);
        self.add(strip, STRIP, BTreeMap::new());
        pre_fader.iter().for_each(|from| self.wire(*from, strip, 0, EdgeKind::Audio));
        Chain {
            channel: self.channel.clone(),
            nodes: self.nodes,
            edges: self.edges,
            input: self.input,
            players: self.players,
            pre_fader,
            strip,
        }
    }
}

fn modulation_edge(route: &ModulationRoute, port: u16) -> Option<EdgeSpec> {
    let target = route.to.target?;
    let to = match target.kind {
        EntityKind::DspNode => NodeKey::new(target, "node"),
        EntityKind::Channel => NodeKey::new(target, "strip"),
        EntityKind::Send => NodeKey::new(target, "send"),
        _ => return None,
    };
    Some(EdgeSpec {
        from: node_key(route.from),
        from_port: port,
        to,
        to_port: Inlet::Param(route.to.parameter.clone()),
        kind: EdgeKind::Control,
        feedback_frames: None,
        compensated: true,
        depth: Depth(route.depth.clamp(-1.0, 1.0)),
    })
}

/// The parameters of a node that a plan is compiled from.
fn layout(descriptor: &Descriptor, node: &DspNode) -> BTreeMap<String, f64> {
    descriptor
        .params
        .iter()
        .filter(|param| param.layout)
        .filter_map(|param| {
            node.params.get(param.id).map(|value| (param.id.to_owned(), param.clamp(*value)))
        })
        .collect()
}
