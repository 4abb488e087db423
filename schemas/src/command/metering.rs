//! Metering: levels, loudness and spectra as binary streams.

use super::prelude::*;

wire! {
    #[derive(Copy, Eq, Hash)]
    enum MeterKind {
        /// Peak and RMS per audio channel, linear.
        Level,
        /// Momentary, short-term and integrated loudness, in LUFS.
        Loudness,
        /// Magnitudes per band, linear.
        Spectrum,
        /// Correlation and balance, −1 to 1.
        Phase,
        /// Where the song stands: six samples and no channels. State (0 stopped,
        /// 1 playing, 2 paused, 3 recording, 4 counting in), quarter notes per
        /// minute, bar and beat counted from 1, part of the beat, whether the loop
        /// is on.
        Transport,
    }
}

wire! {
    /// What one stretch of a frame's samples means.
    struct MeterSlot {
        channel: ChannelId,
        /// Index of the first sample.
        first: u32,
        samples: u32,
    }
}

wire! {
    struct ChannelLevel {
        channel: ChannelId,
        /// Per audio channel, linear.
        peak: Vec<f64>,
        rms: Vec<f64>,
    }
}

commands! {
    /// Metering: levels, loudness and spectra as binary streams.
    domain Metering;

    /// Opens a stream of meters. A frame has the samples of all channels; the
    /// layout says where each is. Frames may be lost; the sequence shows it.
    put Open emits ["metering.layout"] {
        kind: MeterKind,
        /// All channels of the arrangement when empty.
        #[serde(default)]
        channels: Vec<ChannelId>,
        /// Frames per second, 1 to 60; 30 when absent.
        rate: Option<u8>,
        /// Bands of a spectrum, 16 to 4,096.
        bands: Option<u16>,
    } -> MeterOpened {
        stream: u32,
        layout: Vec<MeterSlot>,
    }
    check |payload, checker| {
        checker.range("rate", f64::from(payload.rate.unwrap_or(30)), 1.0, 60.0);
        checker.range("bands", f64::from(payload.bands.unwrap_or(512)), 16.0, 4_096.0);
    };
    example r#"{"kind": "level", "channels": ["chn_1"], "rate": 30}"#;

    /// Closes a stream of meters.
    put Close {
        stream: u32,
    } -> Done
    example r#"{"stream": 1}"#;

    /// Takes held peaks and integrated loudness back to nothing.
    put Reset {
        #[serde(default)]
        channels: Vec<ChannelId>,
    } -> Done
    example r#"{}"#;

    /// Gives levels once.
    ask Read {
        #[serde(default)]
        channels: Vec<ChannelId>,
    } -> Levels {
        levels: Vec<ChannelLevel>,
    }
    example r#"{"channels": ["chn_1"]}"#;
}
