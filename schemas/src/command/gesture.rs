//! Gesture streams: many values per second over binary frames.

use super::prelude::*;

commands! {
    /// Gesture streams: many values per second over binary frames, for
    /// controllers that move several parameters. Single turns of a knob are
    /// gestures of the `parameter` domain.
    domain Gesture;

    /// Opens a stream from the client: binary frames of kind `gesture`, with one
    /// sample per target, in this order.
    act Open {
        targets: Vec<ParameterRef>,
        /// Frames per second that are to be expected.
        rate_hint: Option<u16>,
        /// Device and control, for people.
        source: Option<String>,
    } -> StreamOpened {
        /// Stream id of the frames.
        stream: u32,
    }
    check |payload, checker| {
        check_list("targets", &payload.targets, checker);
        checker.length("targets", payload.targets.len(), 256);
    };
    example r#"{"targets": [{"target": "nod_1", "parameter": "freq"}], "rateHint": 250}"#;

    /// Adds and removes targets of an open stream.
    put Bind {
        stream: u32,
        targets: Vec<ParameterRef>,
    } -> Done
    check |payload, checker| check_list("targets", &payload.targets, checker);
    example r#"{"stream": 1, "targets": [{"target": "nod_1", "parameter": "q"}]}"#;

    /// Ends a stretch of movement: the last values become one edit.
    edit Commit [mixer] {
        stream: u32,
        #[serde(default)]
        cancel: bool,
    } -> Done
    example r#"{"stream": 1}"#;

    /// Closes a stream, committing what was moved.
    act Close {
        stream: u32,
    } -> Done
    example r#"{"stream": 1}"#;

    /// Plays notes straight into a track, as a keyboard on the screen does.
    act Play {
        track: TrackId,
        /// 0 to 127.
        #[schemars(range(max = 127))]
        pitch: u8,
        /// 16 bits; 0 releases.
        velocity: u16,
        #[serde(default)]
        channel: u8,
    } -> Done
    check |payload, checker| {
        checker.range("pitch", f64::from(payload.pitch), 0.0, 127.0);
        checker.range("channel", f64::from(payload.channel), 0.0, 15.0);
    };
    example r#"{"track": "trk_1", "pitch": 60, "velocity": 51200}"#;
}
