//! Where sound goes and what happens to it on the way.

use std::collections::BTreeMap;

use super::{BlobRef, Checker, Entity, HistoryContext, Reference, data, timeline::GAIN_RANGE};
use crate::{
    id::{
        AnyId, ArrangementId, ChannelId, ConnectionId, EntityId, EntityKind, HardwareRoleId, KitId,
        ModulationRouteId, NodeId, NodeStackId, ParameterGroupId, ParameterLinkId, SendId,
        SidechainRouteId, TrackId,
    },
    order::OrderKey,
};

/// Shortest and longest fixed delay of a feedback route, in frames.
pub const FEEDBACK_RANGE: (f64, f64) = (1.0, 192_000.0);

data! {
    /// The only mixer object: track, bus, return and master channels are its kinds.
    pub struct Channel {
        pub id: ChannelId,
        pub arrangement: ArrangementId,
        /// The track that owns it; buses, returns and the master have none.
        pub track: Option<TrackId>,
        pub channel_kind: ChannelKind,
        pub order: OrderKey,
        pub name: String,
        /// dB, −144 (silence) to +24.
        pub gain_db: f64,
        /// −1 (left) to 1 (right).
        pub pan: f64,
        pub pan_law: PanLaw,
        /// 0 (mono) to 2; 1 leaves the width alone.
        pub width: f64,
        pub mute: bool,
        pub invert_left: bool,
        pub invert_right: bool,
        pub input: ChannelInput,
        /// Where its signal goes; none is nowhere. The master's goes to the hardware.
        pub output: Option<ChannelId>,
        /// Delay in frames that makes a loop through this output legal.
        pub output_feedback: Option<u32>,
        /// 1 or 2 audio channels.
        pub channels: u8,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum ChannelKind {
        #[default]
        Track,
        Bus,
        Return,
        Master,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum PanLaw {
        /// Constant power, −3 dB in the centre.
        #[default]
        Minus3,
        /// −4.5 dB in the centre.
        Minus4_5,
        /// Constant gain, −6 dB in the centre.
        Minus6,
        /// 0 dB in the centre; turns one side down only.
        Balance,
    }
}

data! {
    pub enum ChannelInput {
        #[default]
        None,
        /// Audio of a hardware input.
        Audio { role: HardwareRoleId, first_channel: u16 },
        /// MIDI of a hardware input; no `channel` is all channels.
        Midi { role: Option<HardwareRoleId>, channel: Option<u8> },
        /// The output of another channel, before or after its strip.
        Channel { source: ChannelId, tap: SignalTap },
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum SignalTap {
        PreFader,
        #[default]
        PostFader,
    }
}

impl Entity for Channel {
    const KIND: EntityKind = EntityKind::Channel;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Mixer;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = vec![Reference::cascade("arrangement", self.arrangement)];
        references.extend(self.track.map(|id| Reference::cascade("track", id)));
        references.extend(self.output.map(|id| Reference::clear("output", id)));
        match self.input {
            ChannelInput::Audio { role, .. } => references.push(Reference::keep("input", role)),
            ChannelInput::Midi { role: Some(role), .. } => {
                references.push(Reference::keep("input", role));
            }
            ChannelInput::Channel { source, .. } => {
                references.push(Reference::clear("input", source));
            }
            ChannelInput::Midi { role: None, .. } | ChannelInput::None => {}
        }
        references
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("arrangement", self.arrangement.0);
        checker.name("name", &self.name);
        checker.order("order", &self.order);
        checker.range("gainDb", self.gain_db, GAIN_RANGE.0, GAIN_RANGE.1);
        checker.range("pan", self.pan, -1.0, 1.0);
        checker.range("width", self.width, 0.0, 2.0);
        checker.range("channels", f64::from(self.channels), 1.0, 2.0);
        feedback(checker, "outputFeedback", self.output_feedback);
        let owned = self.channel_kind == ChannelKind::Track;
        checker.form("track", owned == self.track.is_some(), "set for a track channel, else null");
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn field_context(field: &str) -> HistoryContext {
        match field {
            "input" | "output" | "outputFeedback" | "channels" => HistoryContext::Routing,
            _ => Self::CONTEXT,
        }
    }
}

fn feedback(checker: &mut Checker, field: &str, frames: Option<u32>) {
    if let Some(frames) = frames {
        checker.range(field, f64::from(frames), FEEDBACK_RANGE.0, FEEDBACK_RANGE.1);
    }
}

data! {
    /// One processor in a channel's graph.
    pub struct DspNode {
        pub id: NodeId,
        pub channel: ChannelId,
        /// Place in the channel's chain; connections add to the chain's order.
        pub order: OrderKey,
        pub name: String,
        /// Kind of processor, such as `pulse.eq`; one that is unknown passes audio through.
        pub node_kind: String,
        pub node_version: u32,
        pub bypass: bool,
        /// Parameter name to value in the parameter's own unit; absent is the default.
        pub params: BTreeMap<String, f64>,
        /// Opaque state of the processor, where it has any.
        pub state: Option<BlobRef>,
        /// The kit whose samples a sampler plays.
        pub kit: Option<KitId>,
    }
}

impl Entity for DspNode {
    const KIND: EntityKind = EntityKind::DspNode;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Mixer;
    const MAP_FIELDS: &'static [&'static str] = &["params"];

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = vec![Reference::cascade("channel", self.channel)];
        references.extend(self.kit.map(|id| Reference::clear("kit", id)));
        references
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("channel", self.channel.0);
        checker.name("name", &self.name);
        checker.required("nodeKind", &self.node_kind);
        checker.order("order", &self.order);
        checker.length("params", self.params.len(), 10_000);
        for (name, value) in &self.params {
            checker.finite(&format!("params.{name}"), *value);
        }
    }

    fn label(&self) -> Option<&str> {
        Some(if self.name.is_empty() { &self.node_kind } else { &self.name })
    }

    fn field_context(field: &str) -> HistoryContext {
        if field == "order" || field == "channel" { HistoryContext::Routing } else { Self::CONTEXT }
    }
}

data! {
    /// Alternatives for one place in a chain: one of them sounds.
    pub struct NodeStack {
        pub id: NodeStackId,
        pub channel: ChannelId,
        pub order: OrderKey,
        pub name: String,
        pub alternatives: Vec<StackAlternative>,
        /// Index of the alternative that sounds.
        pub active: u16,
    }
}

data! {
    pub struct StackAlternative {
        pub name: String,
        pub nodes: Vec<NodeId>,
    }
}

impl Entity for NodeStack {
    const KIND: EntityKind = EntityKind::NodeStack;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Mixer;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let nodes = self.alternatives.iter().flat_map(|alternative| &alternative.nodes);
        std::iter::once(Reference::cascade("channel", self.channel))
            .chain(nodes.map(|node| Reference::keep("alternatives", *node)))
            .collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("channel", self.channel.0);
        checker.name("name", &self.name);
        checker.order("order", &self.order);
        checker.length("alternatives", self.alternatives.len(), 64);
        let inside = usize::from(self.active) < self.alternatives.len().max(1);
        checker.form("active", inside, "the index of an alternative");
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// A port of a node, by number.
    #[derive(Copy, Eq)]
    pub struct PortRef {
        /// None is the channel itself: its input as a source, its strip as a target.
        pub node: Option<NodeId>,
        pub port: u16,
    }
}

data! {
    /// A wire inside a channel's graph; a channel without wires runs its nodes in order.
    pub struct Connection {
        pub id: ConnectionId,
        pub channel: ChannelId,
        pub from: PortRef,
        pub to: PortRef,
        /// Delay in frames that makes a loop legal.
        pub feedback: Option<u32>,
    }
}

impl Entity for Connection {
    const KIND: EntityKind = EntityKind::Connection;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Routing;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = vec![Reference::cascade("channel", self.channel)];
        references.extend(self.from.node.map(|id| Reference::cascade("from", id)));
        references.extend(self.to.node.map(|id| Reference::cascade("to", id)));
        references
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("channel", self.channel.0);
        checker.form("to", self.from != self.to, "another port than `from`");
        feedback(checker, "feedback", self.feedback);
    }
}

data! {
    /// A copy of a channel's signal to another channel.
    pub struct Send {
        pub id: SendId,
        pub from: ChannelId,
        pub to: ChannelId,
        pub order: OrderKey,
        /// dB, −144 (silence) to +24.
        pub gain_db: f64,
        /// −1 to 1.
        pub pan: f64,
        pub tap: SignalTap,
        pub mode: SendMode,
        pub mute: bool,
        /// Delay in frames that makes a loop legal.
        pub feedback: Option<u32>,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum SendMode {
        #[default]
        Audio,
        Midi,
    }
}

impl Entity for Send {
    const KIND: EntityKind = EntityKind::Send;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Mixer;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::cascade("from", self.from), Reference::cascade("to", self.to)]
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("from", self.from.0);
        checker.identity("to", self.to.0);
        checker.order("order", &self.order);
        checker.form("to", self.from != self.to, "another channel than `from`");
        checker.range("gainDb", self.gain_db, GAIN_RANGE.0, GAIN_RANGE.1);
        checker.range("pan", self.pan, -1.0, 1.0);
        feedback(checker, "feedback", self.feedback);
    }

    fn field_context(field: &str) -> HistoryContext {
        match field {
            "from" | "to" | "feedback" => HistoryContext::Routing,
            _ => Self::CONTEXT,
        }
    }
}

data! {
    /// A channel's signal heard by a node's side input.
    pub struct SidechainRoute {
        pub id: SidechainRouteId,
        pub from: ChannelId,
        pub tap: SignalTap,
        pub to: NodeId,
        /// Input port of the node; 1 is its first side input.
        pub port: u16,
        pub feedback: Option<u32>,
    }
}

impl Entity for SidechainRoute {
    const KIND: EntityKind = EntityKind::SidechainRoute;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Routing;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::cascade("from", self.from), Reference::cascade("to", self.to)]
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("from", self.from.0);
        checker.identity("to", self.to.0);
        checker.range("port", f64::from(self.port), 1.0, 64.0);
        feedback(checker, "feedback", self.feedback);
    }
}

data! {
    /// A parameter of one node, channel or send.
    pub struct ParameterRef {
        pub target: Option<AnyId>,
        pub parameter: String,
    }
}

data! {
    /// A modulator's output added to a parameter.
    pub struct ModulationRoute {
        pub id: ModulationRouteId,
        pub from: NodeId,
        /// Control output of the modulator.
        pub port: u16,
        pub to: ParameterRef,
        /// Share of the parameter's range, −1 to 1.
        pub depth: f64,
        pub bipolar: bool,
        pub enabled: bool,
    }
}

impl Entity for ModulationRoute {
    const KIND: EntityKind = EntityKind::ModulationRoute;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Routing;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = vec![Reference::cascade("from", self.from)];
        references.extend(self.to.target.map(|id| Reference::cascade("to", id)));
        references
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("from", self.from.0);
        checker.form("to.target", self.to.target.is_some(), "the id of a node, channel or send");
        checker.required("to.parameter", &self.to.parameter);
        checker.range("depth", self.depth, -1.0, 1.0);
    }
}

data! {
    /// One parameter follows another.
    pub struct ParameterLink {
        pub id: ParameterLinkId,
        pub source: ParameterRef,
        pub target: ParameterRef,
        /// target = source × scale + offset, in normalised range; −10 to 10 each.
        pub scale: f64,
        pub offset: f64,
        pub enabled: bool,
    }
}

impl Entity for ParameterLink {
    const KIND: EntityKind = EntityKind::ParameterLink;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Mixer;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let source = self.source.target.map(|id| Reference::cascade("source", id));
        let target = self.target.target.map(|id| Reference::cascade("target", id));
        source.into_iter().chain(target).collect()
    }

    fn check(&self, checker: &mut Checker) {
        for (field, parameter) in [("source", &self.source), ("target", &self.target)] {
            let named = parameter.target.is_some() && !parameter.parameter.is_empty();
            checker.form(field, named, "a target and a parameter");
        }
        checker.form("target", self.source != self.target, "another parameter than the source");
        checker.range("scale", self.scale, -10.0, 10.0);
        checker.range("offset", self.offset, -10.0, 10.0);
    }
}

data! {
    /// Parameters that move together by the same amount.
    pub struct ParameterGroup {
        pub id: ParameterGroupId,
        pub name: String,
        pub members: Vec<ParameterRef>,
        pub enabled: bool,
    }
}

impl Entity for ParameterGroup {
    const KIND: EntityKind = EntityKind::ParameterGroup;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Mixer;
    const SET_FIELDS: &'static [&'static str] = &["members"];

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        self.members
            .iter()
            .filter_map(|member| member.target)
            .map(|target| Reference::keep("members", target))
            .collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.required("name", &self.name);
        checker.length("members", self.members.len(), 1_000);
        for (at, member) in self.members.iter().enumerate() {
            let named = member.target.is_some() && !member.parameter.is_empty();
            checker.form(&format!("members[{at}]"), named, "a target and a parameter");
        }
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}
