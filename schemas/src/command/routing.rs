//! Routing: sends, side chains, the master, hardware.

use super::prelude::*;

wire! {
    /// One edge of the graph of channels.
    struct RouteEdge {
        /// A channel, or the node that a side chain feeds.
        from: AnyId,
        to: AnyId,
        kind: RouteKind,
        /// The entity that makes the edge, where it has one of its own.
        id: Option<AnyId>,
        /// Delay in frames, of an explicit loop.
        feedback: Option<u32>,
    }
}

wire! {
    #[derive(Copy, Eq)]
    enum RouteKind { Output, Send, Sidechain, Modulation, Input }
}

commands! {
    /// Routing: sends, side chains, the master, hardware.
    ///
    /// A route that would close a loop is refused with the path of the loop,
    /// unless `feedback` gives it a delay.
    domain Routing;

    /// Sends a copy of a channel's signal to another channel.
    edit AddSend [mixer routing] {
        from: ChannelId,
        to: ChannelId,
        /// dB; 0 when absent.
        gain_db: Option<f64>,
        pan: Option<f64>,
        #[serde(default)]
        tap: SignalTap,
        #[serde(default)]
        mode: SendMode,
        before: Option<SendId>,
        feedback: Option<u32>,
    } -> SendAdded {
        send: SendId,
    }
    check |payload, checker| {
        checker.range("gainDb", payload.gain_db.unwrap_or(0.0), -144.0, 24.0);
        checker.range("pan", payload.pan.unwrap_or(0.0), -1.0, 1.0);
        checker.form("to", payload.from != payload.to, "another channel than `from`");
    };
    example r#"{"from": "chn_1", "to": "chn_2", "gainDb": -12, "tap": "preFader"}"#;

    /// Changes a send.
    set UpdateSend [mixer] {
        send: SendId,
        gain_db: Option<f64>,
        pan: Option<f64>,
        tap: Option<SignalTap>,
        mute: Option<bool>,
        to: Option<ChannelId>,
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        feedback: Patch<u32>,
    } -> Done
    check |payload, checker| {
        checker.range("gainDb", payload.gain_db.unwrap_or(0.0), -144.0, 24.0);
        checker.range("pan", payload.pan.unwrap_or(0.0), -1.0, 1.0);
    };
    example r#"{"send": "snd_1", "gainDb": -9, "mute": false}"#;

    /// Removes a send.
    edit RemoveSend [mixer routing] {
        send: SendId,
    } -> Deleted
    example r#"{"send": "snd_1"}"#;

    /// Moves a send among those of its channel.
    edit MoveSend [mixer] {
        send: SendId,
        before: Option<SendId>,
    } -> Done
    example r#"{"send": "snd_2", "before": "snd_1"}"#;

    /// Lets a node listen to a channel beside its own input.
    edit AddSidechain [routing] {
        from: ChannelId,
        to: NodeId,
        #[serde(default)]
        tap: SignalTap,
        /// Input port of the node; 1, its first side input, when absent.
        port: Option<u16>,
        feedback: Option<u32>,
    } -> SidechainAdded {
        route: SidechainRouteId,
    }
    example r#"{"from": "chn_1", "to": "nod_1"}"#;

    /// Changes a side chain.
    set UpdateSidechain [routing] {
        route: SidechainRouteId,
        from: Option<ChannelId>,
        tap: Option<SignalTap>,
        port: Option<u16>,
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        feedback: Patch<u32>,
    } -> Done
    example r#"{"route": "sdc_1", "tap": "preFader"}"#;

    /// Removes a side chain.
    edit RemoveSidechain [routing] {
        route: SidechainRouteId,
    } -> Deleted
    example r#"{"route": "sdc_1"}"#;

    /// Makes another bus the master of its arrangement; the old one becomes a bus.
    set SetMaster [routing] {
        channel: ChannelId,
    } -> Done
    example r#"{"channel": "chn_2"}"#;

    /// Makes a hardware role: a job for a device ("vocal mic"), by name.
    edit CreateRole [routing] {
        name: String,
        direction: HardwareDirection,
        /// Audio channels; 0 for MIDI.
        #[serde(default)]
        channels: u8,
    } -> RoleCreated {
        role: HardwareRoleId,
    }
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"name": "Vocal mic", "direction": "audioInput", "channels": 1}"#;

    /// Renames a role, or says which device filled it last.
    set UpdateRole [routing] {
        role: HardwareRoleId,
        name: Option<String>,
        device: Option<String>,
        first_channel: Option<u16>,
    } -> Done
    example r#"{"role": "hwr_1", "device": "jack:system", "firstChannel": 0}"#;

    /// Deletes a role.
    edit DeleteRole [routing] {
        role: HardwareRoleId,
    } -> Deleted
    example r#"{"role": "hwr_1"}"#;

    /// Gives the graph of channels.
    ask Graph {
        arrangement: Option<ArrangementId>,
    } -> GraphReply {
        channels: Vec<ChannelId>,
        edges: Vec<RouteEdge>,
        /// The order in which channels are computed.
        order: Vec<ChannelId>,
    }
    example r#"{}"#;

    /// Tells whether a route would be legal, and else which loop it closes.
    ask Check {
        from: ChannelId,
        to: ChannelId,
    } -> Checked {
        legal: bool,
        /// The channels of the loop, in order.
        cycle: Vec<ChannelId>,
    }
    example r#"{"from": "chn_2", "to": "chn_1"}"#;

    /// Lists sends, side chains and roles.
    ask List {
        /// Only what starts or ends at this channel.
        channel: Option<ChannelId>,
    } -> Routes {
        sends: Vec<Send>,
        sidechains: Vec<SidechainRoute>,
        roles: Vec<HardwareRole>,
    }
    example r#"{"channel": "chn_1"}"#;
}
