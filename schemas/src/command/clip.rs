//! Clips: pieces of content with a place and a length.

use super::prelude::*;
use super::note::NewNote;

wire! {
    /// Where a clip goes.
    struct ClipMove {
        clip: ClipId,
        /// New start, in the clip's timebase; unchanged when absent.
        start: Option<Moment>,
        lane: Option<LaneId>,
    }
}

wire! {
    /// What to do about clips that are in the way.
    #[derive(Copy, Eq, Default)]
    enum Overlap {
        /// Leave them; the later start is on top.
        #[default]
        Allow,
        /// Cut away what is covered.
        Trim,
        /// Do nothing and fail.
        Refuse,
    }
}

wire! {
    /// One of a clip's ends.
    #[derive(Copy, Eq)]
    enum Edge { Start, End }
}

wire! {
    /// The stretch of media that a new audio clip plays.
    struct NewRegion {
        media: MediaId,
        /// First frame, in frames of the media.
        #[serde(default)]
        source_start: u64,
        /// Frames; 0 is to the end.
        #[serde(default)]
        source_length: u64,
        source_bpm: Option<f64>,
    }
}

wire! {
    /// A strength and a raster for moving things onto it.
    struct QuantiseTo {
        /// Raster: 11,289,600 ticks are a sixteenth.
        grid: Ticks,
        /// 0 (nothing) to 1 (all the way); 1 when absent.
        strength: Option<f64>,
        /// Lateness of every second step, 0 to 1 of a step.
        swing: Option<f64>,
        /// A groove in place of the even raster.
        groove: Option<GrooveId>,
        /// Move ends onto the raster as well.
        #[serde(default)]
        ends: bool,
    }
}

impl QuantiseTo {
    pub(super) fn check(&self, field: &str, checker: &mut Checker) {
        checker.at_least(&format!("{field}.grid"), self.grid.0, 1);
        checker.range(&format!("{field}.strength"), self.strength.unwrap_or(1.0), 0.0, 1.0);
        checker.range(&format!("{field}.swing"), self.swing.unwrap_or(0.0), 0.0, 1.0);
    }
}

commands! {
    /// Clips: pieces of content with a place and a length.
    domain Clip;

    /// Creates a clip on a lane.
    edit Create [timeline] {
        lane: LaneId,
        name: Option<String>,
        /// That of the lane when absent.
        content: Option<ClipContent>,
        /// That of the lane when absent; `start` and `length` are in it.
        timebase: Option<Timebase>,
        start: Moment,
        length: Moment,
        /// Audio to play.
        region: Option<NewRegion>,
        /// Notes to put in.
        #[serde(default)]
        notes: Vec<NewNote>,
        /// Length of the loop inside the content.
        loop_length: Option<Moment>,
        #[serde(default)]
        overlap: Overlap,
        colour: Option<String>,
    } -> Created {
        clip: ClipId,
        region: Option<AudioRegionId>,
        notes: Vec<NoteId>,
        /// Clips that were cut or removed to make room.
        trimmed: Vec<ClipId>,
    }
    check |payload, checker| {
        checker.at_least("length", payload.length.0, 1);
        super::note::check_new("notes", &payload.notes, checker);
        if let Some(length) = payload.loop_length {
            checker.at_least("loopLength", length.0, 1);
        }
        if let Some(colour) = &payload.colour {
            check_colour("colour", colour, checker);
        }
    };
    example r#"{"lane": "lan_1", "start": 0, "length": 180633600,
                "notes": [{"pitch": 36, "start": 0, "length": 22579200}]}"#;

    /// Deletes clips with their content.
    edit Delete [timeline] {
        clips: Vec<ClipId>,
    } -> Deleted
    check |payload, checker| check_list("clips", &payload.clips, checker);
    example r#"{"clips": ["clp_1"]}"#;

    /// Moves clips in time or to other lanes. A clip that leaves a variant and is in
    /// the original too stays there as it is; what arrives on the other lane is
    /// another clip, which `copies` names.
    edit Move [timeline] {
        moves: Vec<ClipMove>,
        #[serde(default)]
        overlap: Overlap,
    } -> Trimmed {
        /// Clips that were cut or removed to make room.
        trimmed: Vec<ClipId>,
        /// What has a new id because it left a variant.
        copies: Vec<CopyOf>,
    }
    check |payload, checker| check_list("moves", &payload.moves, checker);
    example r#"{"moves": [{"clip": "clp_1", "start": 180633600}]}"#;

    /// Moves clips by the same amount of musical time.
    edit Nudge [timeline] {
        clips: Vec<ClipId>,
        by: Ticks,
        #[serde(default)]
        overlap: Overlap,
    } -> Nudged {
        trimmed: Vec<ClipId>,
    }
    check |payload, checker| check_list("clips", &payload.clips, checker);
    example r#"{"clips": ["clp_1", "clp_2"], "by": -45158400}"#;

    /// Moves one end of a clip. The content stays where it is in time.
    edit Resize [timeline] {
        clip: ClipId,
        edge: Edge,
        /// Where the end goes, in the clip's timebase.
        to: Moment,
        #[serde(default)]
        overlap: Overlap,
    } -> Resized {
        start: Moment,
        length: Moment,
        trimmed: Vec<ClipId>,
    }
    example r#"{"clip": "clp_1", "edge": "end", "to": 361267200}"#;

    /// Moves the content inside a clip, whose ends stay.
    edit Slip [timeline] {
        clip: ClipId,
        by: Moment,
    } -> Done
    example r#"{"clip": "clp_1", "by": 11289600}"#;

    /// Cuts clips in two at a place.
    edit Split [timeline] {
        clips: Vec<ClipId>,
        at: Ticks,
    } -> Copied
    check |payload, checker| check_list("clips", &payload.clips, checker);
    example r#"{"clips": ["clp_1"], "at": 90316800}"#;

    /// Joins clips of one lane into one. Audio clips must continue each other;
    /// others become one audio clip through `rendering.bounce`.
    edit Merge [timeline] {
        clips: Vec<ClipId>,
        name: Option<String>,
    } -> Merged {
        clip: ClipId,
    }
    check |payload, checker| {
        checker.form("clips", payload.clips.len() >= 2, "two clips or more");
    };
    example r#"{"clips": ["clp_1", "clp_2"]}"#;

    /// Copies clips with their content.
    edit Duplicate [timeline] {
        clips: Vec<ClipId>,
        /// Distance of the copies from the originals; right behind them when absent.
        offset: Option<Ticks>,
        lane: Option<LaneId>,
        /// How often; 1 when absent.
        count: Option<u32>,
        #[serde(default)]
        overlap: Overlap,
    } -> Copied
    check |payload, checker| {
        check_list("clips", &payload.clips, checker);
        checker.range("count", f64::from(payload.count.unwrap_or(1)), 1.0, 10_000.0);
    };
    example r#"{"clips": ["clp_1"], "count": 3}"#;

    /// Changes a clip's fields; absent ones stay as they are.
    set Update [timeline] {
        clips: Vec<ClipId>,
        name: Option<String>,
        mute: Option<bool>,
        /// −144 to 24.
        gain_db: Option<f64>,
        pan: Option<f64>,
        fade_in: Option<Fade>,
        fade_out: Option<Fade>,
        stretch: Option<StretchMode>,
        reverse: Option<bool>,
        /// Semitones.
        transpose: Option<f64>,
    } -> Done
    check |payload, checker| {
        check_list("clips", &payload.clips, checker);
        checker.range("gainDb", payload.gain_db.unwrap_or(0.0), -144.0, 24.0);
        checker.range("pan", payload.pan.unwrap_or(0.0), -1.0, 1.0);
        checker.range("transpose", payload.transpose.unwrap_or(0.0), -48.0, 48.0);
    };
    example r#"{"clips": ["clp_1"], "gainDb": -3, "fadeIn": {"length": 11289600}}"#;

    /// Sets or ends the loop inside a clip.
    set SetLoop [timeline] {
        clip: ClipId,
        /// Length of the loop, in the clip's timebase; null plays once.
        length: Option<Moment>,
        /// Where in the content it begins; unchanged when absent.
        start: Option<Moment>,
    } -> Done
    check |payload, checker| {
        checker.at_least("length", payload.length.map_or(1, |length| length.0), 1);
    };
    example r#"{"clip": "clp_1", "length": 180633600}"#;

    /// Lets a clip follow the tempo (`musical`) or stay where it is (`absolute`).
    edit SetTimebase [timeline] {
        clips: Vec<ClipId>,
        timebase: Timebase,
    } -> Done
    check |payload, checker| check_list("clips", &payload.clips, checker);
    example r#"{"clips": ["clp_1"], "timebase": "absolute"}"#;

    /// Changes a clip's length by stretching its content to fit.
    edit Stretch [timeline] {
        clip: ClipId,
        /// New length, in the clip's timebase.
        length: Moment,
    } -> Done
    check |payload, checker| checker.at_least("length", payload.length.0, 1);
    example r#"{"clip": "clp_1", "length": 361267200}"#;

    /// Moves clips onto a raster.
    edit Quantise [timeline] {
        clips: Vec<ClipId>,
        quantise: QuantiseTo,
    } -> Done
    check |payload, checker| {
        check_list("clips", &payload.clips, checker);
        payload.quantise.check("quantise", checker);
    };
    example r#"{"clips": ["clp_1"], "quantise": {"grid": 45158400}}"#;

    /// Lets two neighbouring clips cross-fade.
    edit Crossfade [timeline] {
        left: ClipId,
        right: ClipId,
        /// In the timebase of the left clip.
        length: Moment,
        shape: Option<FadeShape>,
    } -> Done
    check |payload, checker| checker.at_least("length", payload.length.0, 1);
    example r#"{"left": "clp_1", "right": "clp_2", "length": 5644800}"#;

    /// Adds audio to a clip.
    edit AddRegion [timeline] {
        clip: ClipId,
        region: NewRegion,
    } -> RegionAdded {
        region: AudioRegionId,
    }
    example r#"{"clip": "clp_1", "region": {"media": "med_1"}}"#;

    /// Changes which stretch of media a region plays, and how it is warped.
    set UpdateRegion [timeline] {
        region: AudioRegionId,
        media: Option<MediaId>,
        source_start: Option<u64>,
        source_length: Option<u64>,
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        source_bpm: Patch<f64>,
        /// Replaces all anchors; both sides ascend.
        warp: Option<Vec<WarpAnchor>>,
    } -> Done
    example r#"{"region": "reg_1", "sourceBpm": 120, "warp": [{"source": 0, "at": 0}]}"#;

    /// Takes audio out of a clip; the media item stays.
    edit DeleteRegion [timeline] {
        region: AudioRegionId,
    } -> Deleted
    example r#"{"region": "reg_1"}"#;

    /// Lists the clips of a lane or track, by start.
    ask List {
        lane: Option<LaneId>,
        track: Option<TrackId>,
        range: Option<TimeRange>,
        #[serde(default)]
        page: Page,
    } -> Clips {
        clips: Vec<Clip>,
        more: bool,
    }
    example r#"{"track": "trk_1"}"#;
}
