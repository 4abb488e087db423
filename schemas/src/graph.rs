//! The sound of a revision, as the engine reads it: a graph of nodes and, apart
//! from it, the content that flows through.
//!
//! Two parts, because they change at different speeds. A [`GraphSpec`] holds only
//! what a plan is compiled from (topology, channel layouts, parameters that change
//! latency or buffers); equal hashes mean that nothing needs compiling. The
//! slices ([`ParamSlice`], [`AutomationSlice`], [`ClipSlice`],
//! [`ZoneSlice`], and the windows of events that the engine keeps) hold the rest and are swapped under a running plan, so that a
//! turned knob or a moved note never recompiles.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    hash::Hash,
    id::{AnyId, ParseIdError},
};

pub mod clip;
pub mod slice;

pub use clip::{
    ClipLoop, ClipSlice, Fade, FadeShape, PlacedClip, Stretch, StretchMode, WarpAnchor, ZoneLoop,
    ZoneSlice, ZoneSpec,
};
pub use slice::{
    AutomationSegment, AutomationSlice, ParamSlice, SegmentShape, SpecEvent, SpecEventBody,
};

/// The version of everything in this module. It is part of every hash and key.
pub const GRAPH_VERSION: u32 = 1;

/// What a node does for its entity: one entity may need several nodes ("strip",
/// "meter"). Up to eight ASCII characters, packed so that keys are `Copy` and
/// compare fast.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Role(u64);

impl Role {
    /// Takes the first eight bytes of `name`; a role is chosen by the program,
    /// never by a user.
    pub const fn new(name: &str) -> Role {
        let bytes = name.as_bytes();
        let mut packed = 0u64;
        let mut at = 0;
        while at < 8 {
            packed <<= 8;
            if at < bytes.len() {
                packed |= bytes[at] as u64;
            }
            at += 1;
        }
        Role(packed)
    }

    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes()
            .iter()
            .filter(|&&byte| byte != 0)
            .try_for_each(|&byte| fmt::Write::write_char(f, byte as char))
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The stable identity of a node: it survives every recompile, and its order is
/// the order in which signals are summed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    pub entity: AnyId,
    pub role: Role,
}

impl NodeKey {
    pub fn new(entity: impl Into<AnyId>, role: &str) -> NodeKey {
        NodeKey { entity: entity.into(), role: Role::new(role) }
    }

    /// Kind, id, role: 25 bytes which order like the key itself.
    pub fn to_bytes(self) -> [u8; 25] {
        let mut bytes = [0; 25];
        bytes[0] = self.entity.kind as u8;
        bytes[1..17].copy_from_slice(&self.entity.id.to_bytes());
        bytes[17..].copy_from_slice(&self.role.to_bytes());
        bytes
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.entity, self.role)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseNodeKeyError {
    #[error("a node key looks like `trk_…/strip`, found {found:?}")]
    Shape { found: String },
    #[error("a role has 1 to 8 ASCII characters, found {found:?}")]
    Role { found: String },
    #[error(transparent)]
    Id(#[from] ParseIdError),
}

impl FromStr for NodeKey {
    type Err = ParseNodeKeyError;

    fn from_str(text: &str) -> Result<NodeKey, ParseNodeKeyError> {
        let Some((entity, role)) = text.split_once('/') else {
            return Err(ParseNodeKeyError::Shape { found: text.chars().take(48).collect() });
        };
        if role.is_empty() || role.len() > 8 || !role.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ParseNodeKeyError::Role { found: role.chars().take(16).collect() });
        }
        Ok(NodeKey { entity: entity.parse()?, role: Role::new(role) })
    }
}

impl Serialize for NodeKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NodeKey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Whether a node must answer what is happening now, or may be rendered ahead.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Cohort {
    #[default]
    Anticipative,
    Live,
}

/// One node of the graph, without what can change under a running plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    pub key: NodeKey,
    /// The registered kind, such as `pulse.eq`. An unknown kind passes audio
    /// through and keeps its state.
    pub kind: String,
    /// The version of the kind's sound that the project asks for.
    pub dsp_version: u32,
    /// Parameters which change latency, ports or buffers, by parameter id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layout: BTreeMap<String, f64>,
    /// Channels of its main audio ports: 1 or 2.
    pub channels: u8,
    #[serde(default)]
    pub cohort: Cohort,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EdgeKind {
    Audio,
    Event,
    /// Modulation: the value is added to a parameter, in parts of its range.
    Control,
}

/// Where an edge ends: a port, or the parameter that it modulates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Inlet {
    Port(u16),
    Param(String),
}

/// How far a control edge moves its parameter: the share of the range that an
/// output of 1 stands for. Ordered and hashed by its exact value.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Depth(pub f64);

impl Depth {
    pub const FULL: Depth = Depth(1.0);

    pub fn is_full(&self) -> bool {
        *self == Depth::FULL
    }
}

impl Default for Depth {
    fn default() -> Depth {
        Depth::FULL
    }
}

impl PartialEq for Depth {
    fn eq(&self, other: &Depth) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Depth {}

impl PartialOrd for Depth {
    fn partial_cmp(&self, other: &Depth) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Depth {
    fn cmp(&self, other: &Depth) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Depth {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// One connection. Several edges into one port are summed in the order of the
/// source keys. An audio edge has no gain: a send level is a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeSpec {
    pub from: NodeKey,
    pub from_port: u16,
    pub to: NodeKey,
    pub to_port: Inlet,
    pub kind: EdgeKind,
    /// The delay of a feedback edge. Only such an edge may close a loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback_frames: Option<u32>,
    /// Whether the edge waits for later parallel paths. False on a live
    /// monitoring path, which takes what there is.
    #[serde(default = "yes")]
    pub compensated: bool,
    /// Of a control edge; other edges leave it full.
    #[serde(default, skip_serializing_if = "Depth::is_full")]
    pub depth: Depth,
}

fn yes() -> bool {
    true
}

/// What leaves the graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputKind {
    Master,
    /// The output of a track or bus, rendered to its own file.
    Stem(AnyId),
    /// A point that someone listens to or measures.
    Tap(AnyId),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputSpec {
    pub kind: OutputKind,
    pub node: NodeKey,
    pub port: u16,
}

/// Topology, layouts and latency parameters: all that a plan is compiled from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphSpec {
    pub version: u32,
    pub nodes: Vec<NodeSpec>,
    pub edges: Vec<EdgeSpec>,
    pub outputs: Vec<OutputSpec>,
}

impl Default for GraphSpec {
    fn default() -> GraphSpec {
        GraphSpec { version: GRAPH_VERSION, nodes: vec![], edges: vec![], outputs: vec![] }
    }
}

impl GraphSpec {
    /// Sorts nodes, edges and outputs and drops exact duplicates of the latter
    /// two. The order of a spec carries no meaning; its canonical form does.
    pub fn canonicalise(&mut self) {
        self.nodes.sort_by_key(|node| node.key);
        self.edges.sort();
        self.edges.dedup();
        self.outputs.sort();
        self.outputs.dedup();
    }

    pub fn is_canonical(&self) -> bool {
        self.nodes.is_sorted_by_key(|node| node.key)
            && self.edges.is_sorted_by(|a, b| a < b)
            && self.outputs.is_sorted_by(|a, b| a < b)
    }

    /// The same for every order of the same nodes, edges and outputs.
    pub fn hash(&self) -> Hash {
        if self.is_canonical() {
            return self.hash_as_it_stands();
        }
        let mut canonical = self.clone();
        canonical.canonicalise();
        canonical.hash_as_it_stands()
    }

    fn hash_as_it_stands(&self) -> Hash {
        let mut out = Vec::with_capacity(64 + 64 * (self.nodes.len() + self.edges.len()));
        out.extend_from_slice(&self.version.to_be_bytes());
        put_len(&mut out, self.nodes.len());
        self.nodes.iter().for_each(|node| put_node(&mut out, node));
        put_len(&mut out, self.edges.len());
        self.edges.iter().for_each(|edge| put_edge(&mut out, edge));
        put_len(&mut out, self.outputs.len());
        self.outputs.iter().for_each(|output| put_output(&mut out, output));
        let mut hasher = blake3::Hasher::new_derive_key("pulse graph spec v1");
        hasher.update(&out);
        hasher.finalize().into()
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u64).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_node(out: &mut Vec<u8>, node: &NodeSpec) {
    out.extend_from_slice(&node.key.to_bytes());
    put_text(out, &node.kind);
    out.extend_from_slice(&node.dsp_version.to_be_bytes());
    put_len(out, node.layout.len());
    for (id, value) in &node.layout {
        put_text(out, id);
        out.extend_from_slice(&value.to_bits().to_be_bytes());
    }
    out.push(node.channels);
    out.push(node.cohort as u8);
}

fn put_edge(out: &mut Vec<u8>, edge: &EdgeSpec) {
    out.extend_from_slice(&edge.from.to_bytes());
    out.extend_from_slice(&edge.from_port.to_be_bytes());
    out.extend_from_slice(&edge.to.to_bytes());
    match &edge.to_port {
        Inlet::Port(port) => {
            out.push(0);
            out.extend_from_slice(&port.to_be_bytes());
        }
        Inlet::Param(id) => {
            out.push(1);
            put_text(out, id);
        }
    }
    out.push(edge.kind as u8);
    out.push(u8::from(edge.feedback_frames.is_some()));
    out.extend_from_slice(&edge.feedback_frames.unwrap_or(0).to_be_bytes());
    let partial = !edge.depth.is_full();
    out.push(u8::from(edge.compensated) | u8::from(partial) << 1);
    if partial {
        out.extend_from_slice(&edge.depth.0.to_bits().to_be_bytes());
    }
}

fn put_output(out: &mut Vec<u8>, output: &OutputSpec) {
    let (tag, entity) = match output.kind {
        OutputKind::Master => (0, None),
        OutputKind::Stem(entity) => (1, Some(entity)),
        OutputKind::Tap(entity) => (2, Some(entity)),
    };
    out.push(tag);
    if let Some(entity) = entity {
        out.push(entity.kind as u8);
        out.extend_from_slice(&entity.id.to_bytes());
    }
    out.extend_from_slice(&output.node.to_bytes());
    out.extend_from_slice(&output.port.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ActorId, EntityId, NodeId};

    fn key(ordinal: u32) -> NodeKey {
        NodeKey::new(NodeId(EntityId::derive(ActorId(1), 1, ordinal)), "node")
    }

    fn node(ordinal: u32) -> NodeSpec {
        NodeSpec {
            key: key(ordinal),
            kind: "pulse.eq".to_owned(),
            dsp_version: 1,
            layout: BTreeMap::new(),
            channels: 2,
            cohort: Cohort::Anticipative,
        }
    }

    fn edge(from: u32, to: u32) -> EdgeSpec {
        EdgeSpec {
            from: key(from),
            from_port: 0,
            to: key(to),
            to_port: Inlet::Port(0),
            kind: EdgeKind::Audio,
            feedback_frames: None,
            compensated: true,
            depth: Depth::FULL,
        }
    }

    fn graph() -> GraphSpec {
        GraphSpec {
            nodes: vec![node(1), node(2), node(3)],
            edges: vec![edge(1, 3), edge(2, 3)],
            outputs: vec![OutputSpec { kind: OutputKind::Master, node: key(3), port: 0 }],
            ..GraphSpec::default()
        }
    }

    #[test]
    fn a_graph_survives_json() {
        let json = serde_json::to_string(&graph()).unwrap();
        assert_eq!(serde_json::from_str::<GraphSpec>(&json).unwrap(), graph());
    }

    #[test]
    fn the_hash_ignores_order_and_sees_every_field() {
        let check = |change: &dyn Fn(&mut GraphSpec), equal: bool| {
            let mut changed = graph();
            change(&mut changed);
            assert_eq!(changed.hash() == graph().hash(), equal);
        };
        check(&|g| g.nodes.reverse(), true);
        check(&|g| g.edges.reverse(), true);
        check(&|g| g.nodes[0].dsp_version = 2, false);
        check(&|g| g.nodes[0].channels = 1, false);
        check(&|g| g.nodes[0].cohort = Cohort::Live, false);
        check(&|g| g.nodes[0].kind = "pulse.gate".to_owned(), false);
        check(&|g| _ = g.nodes[0].layout.insert("lookahead".to_owned(), 5.0), false);
        check(&|g| g.edges[0].compensated = false, false);
        check(&|g| g.edges[0].feedback_frames = Some(0), false);
        check(&|g| g.edges[0].depth = Depth(0.5), false);
        check(&|g| g.edges[0].to_port = Inlet::Param("gain".to_owned()), false);
        check(&|g| g.outputs[0].kind = OutputKind::Stem(key(1).entity), false);
        check(&|g| g.version += 1, false);
    }

    #[test]
    fn a_node_key_survives_its_text_form() {
        assert_eq!(key(9).to_string().parse(), Ok(key(9)));
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<NodeKey>().unwrap_err().to_string(), expect);
        };
        check("strip", "a node key looks like `trk_…/strip`, found \"strip\"");
        check(&format!("{}/", key(1).entity), "a role has 1 to 8 ASCII characters, found \"\"");
    }
}
