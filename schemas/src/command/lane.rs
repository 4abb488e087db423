//! Lanes: the layers of a track, and the takes recorded on them.

use super::prelude::*;

commands! {
    /// Lanes: the layers of a track, and the takes recorded on them.
    domain Lane;

    /// Creates a lane.
    edit Create [timeline] {
        track: TrackId,
        #[serde(default)]
        kind: LaneKind,
        name: Option<String>,
        /// Timebase of new clips and envelopes on it.
        timebase: Option<Timebase>,
        before: Option<LaneId>,
    } -> Created {
        lane: LaneId,
    }
    example r#"{"track": "trk_1", "kind": "midi"}"#;

    /// Deletes a lane with its clips, takes and envelopes.
    edit Delete [timeline] {
        lane: LaneId,
    } -> Deleted
    example r#"{"lane": "lan_1"}"#;

    /// Copies a lane with its clips.
    edit Duplicate [timeline] {
        lane: LaneId,
    } -> Copied
    example r#"{"lane": "lan_1"}"#;

    /// Changes a lane.
    set Update [timeline] {
        lane: LaneId,
        name: Option<String>,
        mute: Option<bool>,
        timebase: Option<Timebase>,
    } -> Done
    example r#"{"lane": "lan_1", "mute": true}"#;

    /// Moves a lane among those of its track, or to another track.
    edit Move [timeline] {
        lane: LaneId,
        track: Option<TrackId>,
        before: Option<LaneId>,
    } -> Done
    example r#"{"lane": "lan_2", "before": "lan_1"}"#;

    /// Makes a take of a clip: one recording pass to choose from.
    edit AddTake [timeline] {
        clip: ClipId,
        name: Option<String>,
    } -> TakeAdded {
        take: TakeId,
    }
    example r#"{"clip": "clp_1", "name": "Second try"}"#;

    /// Changes a take.
    set UpdateTake [timeline] {
        take: TakeId,
        name: Option<String>,
        /// 0 (unrated) to 5.
        rating: Option<u8>,
    } -> Done
    check |payload, checker| {
        checker.range("rating", f64::from(payload.rating.unwrap_or(0)), 0.0, 5.0);
    };
    example r#"{"take": "tke_1", "rating": 4}"#;

    /// Deletes a take; its clip stays unless it is asked to go.
    edit DeleteTake [timeline] {
        take: TakeId,
        #[serde(default)]
        with_clip: bool,
    } -> Deleted
    example r#"{"take": "tke_1"}"#;

    /// Creates a comp: a choice of stretches from the takes of a lane.
    edit CreateComp [timeline] {
        lane: LaneId,
        name: Option<String>,
        #[serde(default)]
        segments: Vec<CompSegment>,
        /// Play it instead of the takes.
        #[serde(default)]
        active: bool,
    } -> CompCreated {
        comp: CompId,
    }
    example r#"{"lane": "lan_1", "segments": [{"start": 0, "take": "tke_1"}], "active": true}"#;

    /// Chooses which take sounds in a stretch of a comp.
    edit CompRange [timeline] {
        comp: CompId,
        range: TimeRange,
        /// The take; null is silence.
        take: Option<TakeId>,
    } -> Done
    check |payload, checker| payload.range.check("range", checker);
    example r#"{"comp": "cmp_1", "range": {"start": 0, "end": 180633600}, "take": "tke_2"}"#;

    /// Changes a comp.
    set UpdateComp [timeline] {
        comp: CompId,
        name: Option<String>,
        active: Option<bool>,
        segments: Option<Vec<CompSegment>>,
    } -> Done
    example r#"{"comp": "cmp_1", "active": true}"#;

    /// Deletes a comp; the takes stay.
    edit DeleteComp [timeline] {
        comp: CompId,
    } -> Deleted
    example r#"{"comp": "cmp_1"}"#;

    /// Turns a comp into plain clips.
    edit FlattenComp [timeline] {
        comp: CompId,
    } -> Flattened {
        clips: Vec<ClipId>,
    }
    example r#"{"comp": "cmp_1"}"#;
}
