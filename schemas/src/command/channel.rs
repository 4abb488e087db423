//! Channels: the only mixer objects. Track, bus, return and master are kinds.

use super::prelude::*;

commands! {
    /// Channels: the only mixer objects. Track, bus, return and master are kinds.
    domain Channel;

    /// Creates a bus or a return. Track channels come with their tracks.
    edit Create [mixer routing] {
        arrangement: Option<ArrangementId>,
        /// `bus` or `return`.
        kind: ChannelKind,
        name: Option<String>,
        /// Where it feeds; the master when absent.
        output: Option<ChannelId>,
        before: Option<ChannelId>,
        /// 1 or 2; 2 when absent.
        channels: Option<u8>,
        colour: Option<String>,
        /// Processors to put in, such as `pulse.reverb`.
        #[serde(default)]
        nodes: Vec<String>,
    } -> Created {
        channel: ChannelId,
        nodes: Vec<NodeId>,
    }
    check |payload, checker| {
        let kind = matches!(payload.kind, ChannelKind::Bus | ChannelKind::Return);
        checker.form("kind", kind, "`bus` or `return`");
        checker.range("channels", f64::from(payload.channels.unwrap_or(2)), 1.0, 2.0);
        if let Some(colour) = &payload.colour {
            check_colour("colour", colour, checker);
        }
    };
    example r#"{"kind": "return", "name": "Hall", "nodes": ["pulse.reverb"]}"#;

    /// Deletes a bus or a return. What fed it feeds the master, or nothing.
    edit Delete [mixer routing] {
        channel: ChannelId,
        /// Where its feeders go; nowhere when absent.
        reroute: Option<ChannelId>,
    } -> Deleted
    example r#"{"channel": "chn_2", "reroute": "chn_1"}"#;

    /// Copies a bus or a return with its nodes.
    edit Duplicate [mixer routing] {
        channel: ChannelId,
    } -> Copied
    example r#"{"channel": "chn_2"}"#;

    /// Renames a channel.
    set Rename [mixer] {
        channel: ChannelId,
        name: String,
    } -> Done
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"channel": "chn_2", "name": "Drum bus"}"#;

    /// Moves a channel among the others.
    edit Move [mixer] {
        channel: ChannelId,
        before: Option<ChannelId>,
    } -> Done
    example r#"{"channel": "chn_3", "before": "chn_2"}"#;

    /// Sets the fader, in dB.
    set SetGain [mixer] {
        channel: ChannelId,
        /// −144 (silence) to +24.
        gain_db: f64,
    } -> Done
    check |payload, checker| checker.range("gainDb", payload.gain_db, -144.0, 24.0);
    example r#"{"channel": "chn_1", "gainDb": -6}"#;

    /// Sets place and width in the stereo image.
    set SetPan [mixer] {
        channel: ChannelId,
        /// −1 (left) to 1 (right).
        pan: Option<f64>,
        law: Option<PanLaw>,
        /// 0 (mono) to 2.
        width: Option<f64>,
    } -> Done
    check |payload, checker| {
        checker.range("pan", payload.pan.unwrap_or(0.0), -1.0, 1.0);
        checker.range("width", payload.width.unwrap_or(1.0), 0.0, 2.0);
    };
    example r#"{"channel": "chn_1", "pan": -0.3}"#;

    /// Mutes channels.
    set SetMute [mixer] {
        channels: Vec<ChannelId>,
        mute: bool,
    } -> Done
    check |payload, checker| check_list("channels", &payload.channels, checker);
    example r#"{"channels": ["chn_1"], "mute": true}"#;

    /// Turns the polarity of one side or both.
    set SetPolarity [mixer] {
        channel: ChannelId,
        invert_left: Option<bool>,
        invert_right: Option<bool>,
    } -> Done
    example r#"{"channel": "chn_1", "invertLeft": true, "invertRight": true}"#;

    /// Chooses what a channel hears.
    set SetInput [routing] {
        channel: ChannelId,
        input: ChannelInput,
    } -> Done
    example r#"{"channel": "chn_1", "input": {"audio": {"role": "hwr_1", "firstChannel": 0}}}"#;

    /// Chooses where a channel goes.
    set SetOutput [routing] {
        channel: ChannelId,
        /// Null is nowhere.
        output: Option<ChannelId>,
        /// Delay in frames that makes a loop legal; 64 to 192,000.
        feedback: Option<u32>,
    } -> Done
    example r#"{"channel": "chn_2", "output": "chn_1"}"#;

    /// Sets the number of audio channels.
    set SetLayout [routing] {
        channel: ChannelId,
        /// 1 or 2.
        channels: u8,
    } -> Done
    check |payload, checker| {
        checker.range("channels", f64::from(payload.channels), 1.0, 2.0);
    };
    example r#"{"channel": "chn_1", "channels": 1}"#;

    /// Removes all wires, so that the channel runs its nodes in their order.
    edit ResetGraph [routing] {
        channel: ChannelId,
    } -> Deleted
    example r#"{"channel": "chn_1"}"#;

    /// Lists the channels of an arrangement in mixer order.
    ask List {
        arrangement: Option<ArrangementId>,
    } -> Channels {
        channels: Vec<Channel>,
    }
    example r#"{}"#;
}
