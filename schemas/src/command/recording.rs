//! Recording: takes of audio and MIDI.

use super::prelude::*;

wire! {
    /// What a pass does with what is there.
    #[derive(Copy, Eq, Default)]
    enum RecordMode {
        /// A take beside the others.
        #[default]
        Takes,
        /// On top: notes are added to the clip.
        Overdub,
        /// In place of what is there.
        Replace,
    }
}

commands! {
    /// Recording: takes of audio and MIDI onto armed tracks.
    domain Recording;

    /// Starts to record on all armed tracks, with count-in and punch as set.
    act Start emits ["recording.changed" "transport.state"] {
        #[serde(default)]
        mode: RecordMode,
    } -> RecordingStarted {
        tracks: Vec<TrackId>,
        /// Reserved for what comes.
        media: Vec<MediaId>,
    }
    example r#"{"mode": "takes"}"#;

    /// Ends the recording; what was recorded becomes clips and takes.
    act Stop emits ["recording.changed" "transport.state"] {
        /// Throw it away.
        #[serde(default)]
        discard: bool,
    } -> RecordingStopped {
        clips: Vec<ClipId>,
        takes: Vec<TakeId>,
    }
    example r#"{}"#;

    /// Keeps what was played lately although nothing was recording.
    edit Capture [timeline media] {
        tracks: Vec<TrackId>,
    } -> Captured {
        clips: Vec<ClipId>,
    }
    check |payload, checker| check_list("tracks", &payload.tracks, checker);
    example r#"{"tracks": ["trk_1"]}"#;

    /// Sets how automation is written: from moved parameters, while playing.
    put SetAutomationMode emits ["recording.changed"] {
        track: TrackId,
        mode: AutomationMode,
    } -> Done
    example r#"{"track": "trk_1", "mode": "touch"}"#;

    /// Tells what is being recorded.
    ask Status {} -> RecordingStatus {
        active: bool,
        tracks: Vec<TrackId>,
        started: Option<Ticks>,
        /// Seconds for which there is room on the disk.
        room_seconds: Option<f64>,
    }
    example r#"{}"#;
}

wire! {
    #[derive(Copy, Eq)]
    enum AutomationMode { Off, Read, Touch, Latch, Write }
}
