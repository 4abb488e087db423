//! Scenes and clip slots: what the launcher starts together.

use super::prelude::*;

commands! {
    /// Scenes and clip slots: what the launcher starts together.
    domain Scene;

    /// Creates a scene.
    edit Create [timeline] {
        arrangement: Option<ArrangementId>,
        name: Option<String>,
        before: Option<SceneId>,
        /// Tempo that launching sets.
        bpm: Option<f64>,
    } -> Created {
        scene: SceneId,
    }
    check |payload, checker| checker.range("bpm", payload.bpm.unwrap_or(120.0), 1.0, 1_000.0);
    example r#"{"name": "Intro"}"#;

    /// Deletes a scene with its slots; clips in them go too.
    edit Delete [timeline] {
        scene: SceneId,
    } -> Deleted
    example r#"{"scene": "scn_1"}"#;

    /// Copies a scene with its slots and clips.
    edit Duplicate [timeline] {
        scene: SceneId,
    } -> Copied
    example r#"{"scene": "scn_1"}"#;

    /// Changes a scene.
    set Update [timeline] {
        scene: SceneId,
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        bpm: Patch<f64>,
    } -> Done
    check |payload, checker| {
        checker.range("bpm", payload.bpm.as_set().copied().unwrap_or(120.0), 1.0, 1_000.0);
    };
    example r#"{"scene": "scn_1", "name": "Build", "bpm": 126}"#;

    /// Moves a scene among the others.
    edit Move [timeline] {
        scene: SceneId,
        before: Option<SceneId>,
    } -> Done
    example r#"{"scene": "scn_2", "before": "scn_1"}"#;

    /// Puts a clip into the slot of a scene and a track, or changes the slot.
    set SetSlot [timeline] {
        scene: SceneId,
        track: TrackId,
        /// Null empties the slot; absent leaves it.
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        clip: Patch<ClipId>,
        quantise: Option<LaunchQuantise>,
        stop_when_empty: Option<bool>,
    } -> SlotSet {
        slot: ClipSlotId,
    }
    example r#"{"scene": "scn_1", "track": "trk_1", "clip": "clp_1"}"#;

    /// Removes a slot; its clip goes too.
    edit ClearSlot [timeline] {
        slot: ClipSlotId,
    } -> Deleted
    example r#"{"slot": "slt_1"}"#;

    /// Writes the clips of a scene onto the timeline.
    edit Place [timeline] {
        scene: SceneId,
        at: Ticks,
        /// The longest clip's length when absent.
        length: Option<Ticks>,
    } -> Copied
    check |payload, checker| {
        checker.at_least("length", payload.length.map_or(1, |length| length.0), 1);
    };
    example r#"{"scene": "scn_1", "at": 0}"#;

    /// Lists scenes and slots.
    ask List {
        arrangement: Option<ArrangementId>,
    } -> Scenes {
        scenes: Vec<Scene>,
        slots: Vec<ClipSlot>,
    }
    example r#"{}"#;
}
