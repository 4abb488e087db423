//! Nodes: the processors of a channel, stacks of alternatives, wires.

use super::prelude::*;

wire! {
    /// A kind of processor that this Pulse can host.
    struct NodeKindInfo {
        /// `pulse.eq`.
        kind: String,
        version: u32,
        name: String,
        /// `effect`, `instrument`, `modulator`, `utility`.
        category: String,
        doc: String,
        /// The same input gives the same output on every machine.
        deterministic: bool,
        inputs: Vec<PortInfo>,
        outputs: Vec<PortInfo>,
        parameters: Vec<ParameterInfo>,
    }
}

wire! {
    struct PortInfo {
        name: String,
        /// `audio`, `midi`, `control`.
        signal: String,
        /// Audio channels.
        channels: u8,
    }
}

wire! {
    /// A parameter as a client shows it.
    struct ParameterInfo {
        /// `freq`: the key in a node's `params`.
        id: String,
        name: String,
        /// `Hz`, `dB`, `ms`; empty for a plain number.
        unit: String,
        min: f64,
        max: f64,
        default: f64,
        /// How a control moves through the range: `linear`, `log`, `toggle`, `choice`.
        curve: String,
        /// Names of the values of a `choice`, from `min` on.
        choices: Vec<String>,
        automatable: bool,
        /// Changing it compiles the graph anew.
        layout: bool,
    }
}

commands! {
    /// Nodes: the processors of a channel, stacks of alternatives, wires.
    domain Node;

    /// Adds a processor to a channel.
    edit Add [mixer routing] {
        channel: ChannelId,
        /// `pulse.eq`; `node.kinds` lists them.
        kind: String,
        name: Option<String>,
        /// It comes before this node; last when absent.
        before: Option<NodeId>,
        /// Values that differ from the defaults, in the parameter's own unit.
        #[serde(default)]
        params: BTreeMap<String, f64>,
        #[serde(default)]
        bypass: bool,
        /// The kit of a sampler.
        kit: Option<KitId>,
    } -> Added {
        node: NodeId,
    }
    check |payload, checker| checker.required("kind", &payload.kind);
    example r#"{"channel": "chn_1", "kind": "pulse.eq", "params": {"band1Frequency": 120, "band1Gain": -3}}"#;

    /// Removes nodes with their wires, side chains and envelopes.
    edit Remove [mixer routing] {
        nodes: Vec<NodeId>,
    } -> Deleted
    check |payload, checker| check_list("nodes", &payload.nodes, checker);
    example r#"{"nodes": ["nod_1"]}"#;

    /// Moves a node within its channel or to another one.
    edit Move [routing] {
        node: NodeId,
        channel: Option<ChannelId>,
        before: Option<NodeId>,
    } -> Done
    example r#"{"node": "nod_2", "before": "nod_1"}"#;

    /// Copies nodes with their settings.
    edit Duplicate [mixer routing] {
        nodes: Vec<NodeId>,
        /// Where to; their own channel when absent.
        channel: Option<ChannelId>,
    } -> Copied
    check |payload, checker| check_list("nodes", &payload.nodes, checker);
    example r#"{"nodes": ["nod_1"], "channel": "chn_2"}"#;

    /// Renames a node.
    set Rename [mixer] {
        node: NodeId,
        name: String,
    } -> Done
    check |payload, checker| checker.name("name", &payload.name);
    example r#"{"node": "nod_1", "name": "Low cut"}"#;

    /// Lets the signal pass nodes by, or through them again.
    set SetBypass [mixer] {
        nodes: Vec<NodeId>,
        bypass: bool,
    } -> Done
    check |payload, checker| check_list("nodes", &payload.nodes, checker);
    example r#"{"nodes": ["nod_1"], "bypass": true}"#;

    /// Puts another kind in a node's place. Parameters of the same name stay.
    edit Replace [mixer routing] {
        node: NodeId,
        kind: String,
    } -> Replaced {
        /// Parameters that the new kind doesn't have.
        dropped: Vec<String>,
    }
    check |payload, checker| checker.required("kind", &payload.kind);
    example r#"{"node": "nod_1", "kind": "pulse.filter"}"#;

    /// Chooses the kit that a sampler plays.
    set SetKit [mixer] {
        node: NodeId,
        kit: Option<KitId>,
    } -> Done
    example r#"{"node": "nod_1", "kit": "kit_1"}"#;

    /// Takes a node's settings back to the defaults.
    edit Reset [mixer] {
        node: NodeId,
    } -> Done
    example r#"{"node": "nod_1"}"#;

    /// Makes a stack: alternatives for one place in a chain, of which one sounds.
    edit CreateStack [mixer routing] {
        channel: ChannelId,
        name: Option<String>,
        alternatives: Vec<StackAlternative>,
        before: Option<NodeId>,
    } -> StackCreated {
        stack: NodeStackId,
    }
    example r#"{"channel": "chn_1", "name": "Amp",
                "alternatives": [{"name": "Clean", "nodes": ["nod_1"]}, {"name": "Drive"}]}"#;

    /// Deletes a stack. The nodes of the alternative that sounds stay in the chain.
    edit DeleteStack [mixer routing] {
        stack: NodeStackId,
    } -> Deleted
    example r#"{"stack": "stk_1"}"#;

    /// Renames a stack or replaces its alternatives.
    set UpdateStack [mixer routing] {
        stack: NodeStackId,
        name: Option<String>,
        alternatives: Option<Vec<StackAlternative>>,
    } -> Done
    example r#"{"stack": "stk_1", "name": "Amps"}"#;

    /// Chooses the alternative of a stack that sounds.
    set SetActive [mixer] {
        stack: NodeStackId,
        /// From 0.
        active: u16,
    } -> Done
    example r#"{"stack": "stk_1", "active": 1}"#;

    /// Draws a wire inside a channel. With wires, the order of nodes no longer
    /// says how the signal runs.
    edit Connect [routing] {
        channel: ChannelId,
        from: PortRef,
        to: PortRef,
        /// Delay in frames that makes a loop legal.
        feedback: Option<u32>,
    } -> Connected {
        connection: ConnectionId,
    }
    example r#"{"channel": "chn_1", "from": {"node": "nod_1"}, "to": {"node": "nod_2", "port": 0}}"#;

    /// Removes a wire.
    edit Disconnect [routing] {
        connection: ConnectionId,
    } -> Done
    example r#"{"connection": "con_1"}"#;

    /// Lists the kinds of processor that this Pulse can host.
    ask Kinds {
        category: Option<String>,
    } -> KindList {
        kinds: Vec<NodeKindInfo>,
    }
    example r#"{"category": "effect"}"#;

    /// Describes one node: its kind, its values, its latency.
    ask Describe {
        node: NodeId,
    } -> Described {
        node: DspNode,
        /// None if the kind isn't known here.
        kind: Option<NodeKindInfo>,
        /// Frames, as the engine runs it now.
        latency: Option<u32>,
    }
    example r#"{"node": "nod_1"}"#;

    /// Lists the nodes of a channel, with stacks and wires.
    ask List {
        channel: ChannelId,
    } -> Nodes {
        nodes: Vec<DspNode>,
        stacks: Vec<NodeStack>,
        connections: Vec<Connection>,
    }
    example r#"{"channel": "chn_1"}"#;
}
