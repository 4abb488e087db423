//! Audio that nodes play: clips placed on a timeline and zones of a sampler.
//! Media is named by the hash of its content, never by a path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::NodeKey;
use crate::{hash::Hash, id::AnyId};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FadeShape {
    #[default]
    Linear,
    /// Constant power: for crossfades of unrelated material.
    EqualPower,
    /// Slow at both ends.
    SCurve,
    Exponential,
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fade {
    pub frames: u64,
    pub shape: FadeShape,
}

/// The part of a clip that repeats, in frames from the start of the content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClipLoop {
    pub start: u64,
    pub length: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StretchMode {
    /// Plays as recorded; only the sample rate is converted.
    #[default]
    None,
    /// Speed and pitch change together, like a tape.
    Repitch,
    /// Length changes, pitch stays.
    Elastic,
}

/// This source frame sounds at this frame after the start of the content.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WarpAnchor {
    pub source_frame: f64,
    pub content_frame: f64,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stretch {
    pub mode: StretchMode,
    /// Source frames per output frame before rate conversion, where there are
    /// fewer than two anchors: 2.0 plays twice as fast.
    pub ratio: f64,
    /// Semitones, for [`StretchMode::Elastic`].
    #[serde(default)]
    pub pitch: f64,
    /// Sorted in both coordinates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<WarpAnchor>,
}

/// One audio clip on the timeline of a lane stream. Frames count at the rate of
/// the render, source frames at the rate of the media.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacedClip {
    pub id: AnyId,
    pub media: Hash,
    pub start_frame: i64,
    pub frames: u64,
    /// The range of the media that the clip may show.
    pub source_start: u64,
    pub source_frames: u64,
    /// Moves the content under the clip's edges, in frames; positive is later
    /// material first.
    #[serde(default)]
    pub slip: i64,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "loop")]
    pub repeat: Option<ClipLoop>,
    /// Linear.
    pub gain: f64,
    /// −1 left, 0 centre, 1 right.
    #[serde(default)]
    pub pan: f64,
    #[serde(default)]
    pub fade_in: Fade,
    #[serde(default)]
    pub fade_out: Fade,
    #[serde(default)]
    pub reverse: bool,
    #[serde(default)]
    pub stretch: Stretch,
}

/// Clips per lane stream node, sorted by start, then id.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ClipSlice(pub BTreeMap<NodeKey, Vec<PlacedClip>>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneLoop {
    pub start: u64,
    pub end: u64,
    /// Frames over which the end fades into the start.
    #[serde(default)]
    pub crossfade: u64,
    pub ping_pong: bool,
    /// Whether the loop goes on through the release.
    pub through_release: bool,
}

/// One sample of a sampler and when it sounds. Ranges include both ends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneSpec {
    pub id: AnyId,
    pub media: Hash,
    pub source_start: u64,
    pub source_frames: u64,
    pub key_low: u8,
    pub key_high: u8,
    /// 0..1.
    pub velocity_low: f32,
    pub velocity_high: f32,
    /// The key at which the sample plays as recorded.
    pub root_key: f64,
    /// How much the pitch follows the key: 1 is chromatic, 0 a drum.
    pub key_tracking: f64,
    pub tune_cents: f64,
    /// Linear.
    pub gain: f64,
    pub pan: f64,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "loop")]
    pub repeat: Option<ZoneLoop>,
    /// Plays to the end whatever the note does.
    pub one_shot: bool,
    pub reverse: bool,
    /// Zones of one group other than 0 cut each other off.
    pub choke_group: u16,
    /// Zones of one group other than 0 take turns, by `round_robin_index`.
    pub round_robin_group: u16,
    pub round_robin_index: u16,
}

/// Zones per sampler node, sorted by id.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ZoneSlice(pub BTreeMap<NodeKey, Vec<ZoneSpec>>);
