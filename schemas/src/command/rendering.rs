//! Rendering: mixes, stems, freezes, and listening to differences.

use super::{prelude::*, transport::Place};

wire! {
    #[derive(Copy, Eq, Default)]
    enum SampleFormat {
        Int16,
        #[default]
        Int24,
        Float32,
    }
}

wire! {
    /// How a render is made and written.
    #[derive(Default)]
    struct RenderSettings {
        /// Hz; the project's when absent.
        rate: Option<u32>,
        #[serde(default)]
        format: SampleFormat,
        /// Both of `range`; the whole arrangement when absent.
        range: Option<TimeRange>,
        /// Where to start, where there is no `range`: `9.1`; the beginning when absent.
        from: Option<Place>,
        /// Where to end, where there is no `range`; where all is silent when absent.
        to: Option<Place>,
        /// Render on until all is silent, at most this long after the end.
        tail: Option<Flicks>,
        /// Leave the cache out.
        #[serde(default)]
        no_cache: bool,
        /// Render a sample of what the cache has again and compare.
        #[serde(default)]
        verify: bool,
        threads: Option<u16>,
        /// Round to the format without dither.
        #[serde(default)]
        no_dither: bool,
        /// One channel: the mean of left and right.
        #[serde(default)]
        mono: bool,
        /// Bring the mix (or the loudest stem, without a mix) to a level. Stems are turned
        /// by the same amount, so that they still sum to the mix.
        normalise: Option<Normalise>,
    }
}

wire! {
    /// The level that a render is brought to.
    #[derive(Copy)]
    enum Normalise {
        /// True peak in dBTP, −60 to 0.
        Peak(f64),
        /// Integrated loudness in LUFS, −60 to 0.
        Loudness(f64),
    }
}

impl RenderSettings {
    fn check(&self, field: &str, checker: &mut Checker) {
        let rate = f64::from(self.rate.unwrap_or(48_000));
        checker.range(&format!("{field}.rate"), rate, 8_000.0, 384_000.0);
        let threads = f64::from(self.threads.unwrap_or(1));
        checker.range(&format!("{field}.threads"), threads, 1.0, 1_024.0);
        if let Some(range) = &self.range {
            range.check(&format!("{field}.range"), checker);
        }
        for (name, place) in [("from", &self.from), ("to", &self.to)] {
            if let Some(place) = place {
                place.check(&format!("{field}.{name}"), checker);
            }
        }
        if let Some(Normalise::Peak(level) | Normalise::Loudness(level)) = self.normalise {
            checker.range(&format!("{field}.normalise"), level, -60.0, 0.0);
        }
    }
}

wire! {
    /// What a render did. It is the `result` of the job.
    struct RenderReport {
        /// Files that were written.
        files: Vec<RenderedFile>,
        frames: u64,
        rate: u32,
        /// Hash of the samples of the mix, before conversion to the file's format.
        pcm_hash: Hash,
        wall_ms: f64,
        x_realtime: f64,
        segments: SegmentCounts,
        clips: ClipCounts,
        /// Hits that were rendered again to compare, and those that were wrong.
        verified: u64,
        mismatched: u64,
        /// Pieces that the cache had noted and lost, or that were damaged there: made again.
        remade: u64,
        /// Media of clips in the range that were not there; they are silent.
        missing: Vec<MissingMedia>,
        /// Nodes that failed and were left out, and those that make other sound each time.
        failed_nodes: Vec<String>,
        volatile_nodes: Vec<String>,
        /// By how much everything was turned to reach the level of `normalise`.
        normalised_db: Option<f64>,
    }
}

wire! {
    struct MissingMedia {
        media: MediaId,
        name: String,
        path: String,
    }
}

wire! {
    struct RenderedFile {
        path: String,
        /// What it is of: a channel, or the mix when absent.
        source: Option<AnyId>,
        media: Option<MediaId>,
        frames: u64,
        /// True peak.
        peak_db: Option<f64>,
        loudness_lufs: Option<f64>,
        /// Samples beyond full scale that the file's format cut off.
        clipped_samples: u64,
        short_term_max_lufs: Option<f64>,
        range_lu: Option<f64>,
        /// Hash of its samples, before conversion to the file's format.
        pcm_hash: Hash,
    }
}

wire! {
    /// What had to be made of clips; what is not counted was known.
    #[derive(Copy, Default)]
    struct ClipCounts {
        /// Pieces that were decoded from compressed files.
        decoded: u64,
        resampled: u64,
        stretched: u64,
    }
}

wire! {
    /// Pieces of work: all, taken from the cache, computed.
    #[derive(Copy, Default)]
    struct SegmentCounts {
        total: u64,
        hit: u64,
        rendered: u64,
    }
}

wire! {
    /// A stretch where two revisions sound different.
    struct AudibleRange {
        start: Flicks,
        end: Flicks,
        /// The channel; the mix when absent.
        channel: Option<ChannelId>,
        /// Its name.
        name: Option<String>,
        /// Peak of the difference.
        peak_db: f64,
        /// What was changed and may be heard there, nearest first.
        causes: Vec<AudibleCause>,
    }
}

wire! {
    /// A change between two revisions that is heard.
    struct AudibleCause {
        entity: AnyId,
        /// "Bass ▸ clip 3: gain 0.0 dB → −3.0 dB".
        text: String,
    }
}

commands! {
    /// Rendering: mixes, stems, freezes, and listening to differences. A render
    /// is a job: the reply names it, `job.progress` tells how far it is.
    domain Rendering;

    /// Renders the mix to a file.
    act Render emits ["job.progress"] {
        /// Absolute path.
        path: String,
        rev: Option<Rev>,
        arrangement: Option<ArrangementId>,
        #[serde(default)]
        settings: RenderSettings,
    } -> RenderStarted {
        job: JobId,
    }
    check |payload, checker| {
        checker.required("path", &payload.path);
        payload.settings.check("settings", checker);
    };
    example r#"{"path": "/home/ada/mix.wav", "settings": {"rate": 48000, "format": "int24"}}"#;

    /// Renders channels to one file each.
    act Stems emits ["job.progress"] {
        /// Absolute path of the folder.
        folder: String,
        rev: Option<Rev>,
        arrangement: Option<ArrangementId>,
        /// All track channels when empty.
        #[serde(default)]
        channels: Vec<ChannelId>,
        /// Before the channel's fader.
        #[serde(default)]
        pre_fader: bool,
        /// Only channels that feed the master themselves: without groups in groups they
        /// sum to what reaches it.
        #[serde(default)]
        top: bool,
        /// FLAC instead of WAV.
        #[serde(default)]
        flac: bool,
        /// The mix as well, from the same pass, into this file.
        mix: Option<String>,
        #[serde(default)]
        settings: RenderSettings,
    } -> StemsStarted {
        job: JobId,
    }
    check |payload, checker| {
        checker.required("folder", &payload.folder);
        payload.settings.check("settings", checker);
    };
    example r#"{"folder": "/home/ada/stems"}"#;

    /// Renders tracks and plays the render in their place, until `unfreeze`.
    act Freeze emits ["job.progress"] {
        tracks: Vec<TrackId>,
        /// Longest ring-out to keep behind the end of the song; 10 s when absent.
        tail: Option<Flicks>,
    } -> FreezeStarted {
        job: JobId,
    }
    check |payload, checker| check_list("tracks", &payload.tracks, checker);
    example r#"{"tracks": ["trk_1"]}"#;

    /// Plays tracks themselves again. The render stays in the media pool.
    edit Unfreeze [mixer media] {
        tracks: Vec<TrackId>,
    } -> Done
    check |payload, checker| check_list("tracks", &payload.tracks, checker);
    example r#"{"tracks": ["trk_1"]}"#;

    /// Renders clips or tracks, before the fader, to new audio clips. One undo
    /// takes the clips back; the media stay in the pool.
    act Bounce emits ["job.progress"] {
        /// Clips or tracks; each becomes a clip.
        sources: Vec<AnyId>,
        /// What of the sources; all, and what rings out behind it, when absent.
        range: Option<TimeRange>,
        /// An audio lane; when absent a new track behind the source's, with the
        /// strip and the sends of that.
        lane: Option<LaneId>,
        /// With the channel's nodes, else only with those that make sound of notes.
        #[serde(default)]
        with_effects: bool,
        /// Mute what was bounced: the clip, the track, or the track's clips in the
        /// range.
        #[serde(default)]
        mute_sources: bool,
        /// Longest ring-out to keep behind the source; 10 s when absent, none behind a
        /// `range`.
        tail: Option<Flicks>,
    } -> BounceStarted {
        job: JobId,
    }
    check |payload, checker| check_list("sources", &payload.sources, checker);
    example r#"{"sources": ["clp_1"], "withEffects": true}"#;

    /// Renders a clip, a track or the mix to listen to: at half the rate, in pieces
    /// of a second, 30 s at most. A newer preview of the same client stops an
    /// older one.
    act Preview emits ["job.progress"] {
        /// Absolute path.
        path: String,
        /// A clip or a track, alone and after the fader; the mix when absent.
        source: Option<AnyId>,
        /// The whole source when absent.
        range: Option<TimeRange>,
        /// Hz; half of the project's when absent.
        rate: Option<u32>,
    } -> PreviewStarted {
        job: JobId,
    }
    check |payload, checker| {
        checker.required("path", &payload.path);
        let rate = f64::from(payload.rate.unwrap_or(48_000));
        checker.range("rate", rate, 8_000.0, 384_000.0);
        if let Some(range) = &payload.range {
            range.check("range", checker);
        }
    };
    example r#"{"path": "/home/ada/preview.wav", "source": "clp_1"}"#;

    /// Renders two revisions and writes A, B and A − B, only where they differ.
    act AudibleDiff emits ["job.progress"] {
        /// Absolute path of the folder.
        folder: String,
        /// The last commit when absent.
        from: Option<Rev>,
        /// The working copy when absent.
        to: Option<Rev>,
        /// Compare these channels as well; what differs of them gets files of its
        /// own, from the first difference on.
        #[serde(default)]
        channels: Vec<ChannelId>,
        /// Compare every channel that either revision has.
        #[serde(default)]
        each: bool,
        #[serde(default)]
        settings: RenderSettings,
    } -> DiffStarted {
        job: JobId,
    }
    check |payload, checker| {
        checker.required("folder", &payload.folder);
        payload.settings.check("settings", checker);
    };
    example r#"{"folder": "/home/ada/diff", "from": "main", "to": "@"}"#;

    /// Tells where two revisions sound different, without writing files.
    act CompareAudio emits ["job.progress"] {
        from: Option<Rev>,
        to: Option<Rev>,
        #[serde(default)]
        channels: Vec<ChannelId>,
        /// Compare every channel that either revision has.
        #[serde(default)]
        each: bool,
    } -> CompareStarted {
        job: JobId,
    }
    example r#"{"from": "@~1"}"#;

    /// Stops a render. Segments that are done stay in the cache.
    put Cancel emits ["job.finished"] {
        job: JobId,
    } -> Done
    example r#"{"job": "job_1"}"#;

    /// Tells how far a render is, and what it made.
    ask Progress {
        job: JobId,
    } -> RenderProgress {
        job: Job,
        /// Set once it is done.
        report: Option<RenderReport>,
        /// Of `audibleDiff` and `compareAudio`.
        audible: Vec<AudibleRange>,
    }
    example r#"{"job": "job_1"}"#;

    /// Tells how full the render cache is.
    ask CacheInfo {} -> CacheInfoReply {
        bytes: u64,
        limit: u64,
        segments: u64,
        hits: u64,
        misses: u64,
    }
    example r#"{}"#;

    /// Empties the render cache. It is rebuilt as it is needed.
    put ClearCache {} -> Cleared {
        bytes: u64,
    }
    example r#"{}"#;
}
