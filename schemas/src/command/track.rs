//! Tracks: the rows of an arrangement.

use super::prelude::*;

commands! {
    /// Tracks: the rows of an arrangement.
    domain Track;

    /// Creates a track with its channel (a folder has none) and a first lane.
    edit Create [timeline mixer routing] {
        /// The active arrangement when absent.
        arrangement: Option<ArrangementId>,
        /// `Track 3` and so on when absent.
        name: Option<String>,
        #[serde(default)]
        kind: TrackKind,
        /// The folder or group to put it in.
        parent: Option<TrackId>,
        /// It comes before this sibling; last when absent.
        before: Option<TrackId>,
        /// `#rrggbb`.
        colour: Option<String>,
        /// Where its channel feeds; the parent group or the master when absent.
        output: Option<ChannelId>,
        /// Processors to put in its channel, such as `pulse.eq`.
        #[serde(default)]
        nodes: Vec<String>,
    } -> Created {
        track: TrackId,
        channel: Option<ChannelId>,
        lane: Option<LaneId>,
        nodes: Vec<NodeId>,
    }
    check |payload, checker| {
        checker.name("name", payload.name.as_deref().unwrap_or_default());
        if let Some(colour) = &payload.colour {
            check_colour("colour", colour, checker);
        }
    };
    example r#"{"name": "Bass", "kind": "instrument", "nodes": ["pulse.eq"]}"#;

    /// Deletes tracks with lanes, clips, channels and sends. What pointed at them
    /// is reported, not deleted.
    edit Delete [timeline mixer routing] {
        tracks: Vec<TrackId>,
        /// Move what a folder holds one level up instead of deleting it.
        #[serde(default)]
        keep_children: bool,
    } -> Deleted
    check |payload, checker| check_list("tracks", &payload.tracks, checker);
    example r#"{"tracks": ["trk_1"]}"#;

    /// Copies tracks with channel, nodes, automation and clips, next to the
    /// originals. Routes among the copied tracks lead to the copies.
    edit Duplicate [timeline mixer routing] {
        tracks: Vec<TrackId>,
        /// Leave clips out.
        #[serde(default)]
        without_content: bool,
    } -> Copied
    check |payload, checker| check_list("tracks", &payload.tracks, checker);
    example r#"{"tracks": ["trk_1"]}"#;

    /// Renames a track, and its channel if that had the same name.
    set Rename [timeline] {
        track: TrackId,
        name: String,
    } -> Done
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"track": "trk_1", "name": "Bass DI"}"#;

    /// Moves tracks among siblings or into a folder, in the order given.
    edit Move [timeline] {
        tracks: Vec<TrackId>,
        /// The folder or group; null is the top level; absent leaves it.
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        parent: Patch<TrackId>,
        /// They come before this sibling; last when absent.
        before: Option<TrackId>,
    } -> Done
    check |payload, checker| check_list("tracks", &payload.tracks, checker);
    example r#"{"tracks": ["trk_3"], "parent": "trk_1", "before": "trk_2"}"#;

    /// Puts tracks together in a new folder or group.
    edit Group [timeline mixer routing] {
        tracks: Vec<TrackId>,
        name: Option<String>,
        /// `group` sums them in its channel, `folder` only holds them.
        #[serde(default)]
        sum: bool,
    } -> Grouped {
        track: TrackId,
        channel: Option<ChannelId>,
    }
    check |payload, checker| check_list("tracks", &payload.tracks, checker);
    example r#"{"tracks": ["trk_1", "trk_2"], "name": "Drums", "sum": true}"#;

    /// Changes mute, solo, arm and monitoring.
    set SetFlags [mixer] {
        tracks: Vec<TrackId>,
        mute: Option<bool>,
        solo: Option<bool>,
        /// Never silenced by the solo of others.
        solo_safe: Option<bool>,
        armed: Option<bool>,
        monitor: Option<Monitor>,
        /// Set `solo` or `armed` on these tracks only, and clear it on all others.
        #[serde(default)]
        exclusive: bool,
    } -> Done
    check |payload, checker| check_list("tracks", &payload.tracks, checker);
    example r#"{"tracks": ["trk_1"], "solo": true, "exclusive": true}"#;

    /// Says who renders a track: the live engine or the one that works ahead.
    set SetPolicy [mixer] emits ["cohort.changed"] {
        track: TrackId,
        policy: ProcessingPolicy,
    } -> Done
    example r#"{"track": "trk_1", "policy": "anticipative"}"#;

    /// Gives a folder a channel, which sums what it holds, or takes it away.
    edit SetChannel [routing mixer] {
        track: TrackId,
        enabled: bool,
    } -> ChannelSet {
        channel: Option<ChannelId>,
    }
    example r#"{"track": "trk_1", "enabled": true}"#;

    /// Lists the tracks of an arrangement in the order shown, parents first.
    ask List {
        arrangement: Option<ArrangementId>,
    } -> Tracks {
        tracks: Vec<Track>,
    }
    example r#"{}"#;
}
