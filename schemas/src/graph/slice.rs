//! The content that nodes read, in native units and absolute frames: parameter
//! values, automation and events. Musical time has been resolved before this
//! point, so that the engine knows no tempo map and a slice can be hashed as is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::NodeKey;
use crate::id::AnyId;

/// Parameter values in native units: node, parameter id, value. What is not named
/// has its default.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ParamSlice(pub BTreeMap<NodeKey, BTreeMap<String, f64>>);

impl ParamSlice {
    pub fn get(&self, node: NodeKey, param: &str) -> Option<f64> {
        self.0.get(&node)?.get(param).copied()
    }

    pub fn set(&mut self, node: NodeKey, param: &str, value: f64) {
        self.0.entry(node).or_default().insert(param.to_owned(), value);
    }
}

/// How a value moves from the start of a segment to its end.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SegmentShape {
    /// Stays at the start value.
    Hold,
    Linear,
    /// A quadratic bend: 0 is linear, towards −1 late, towards 1 early.
    Bezier {
        bend: f64,
    },
    /// Equal ratios in equal times. Falls back to linear when the two values
    /// differ in sign or one of them is zero.
    Exponential,
}

/// One stretch of automation. Segments of a parameter don't overlap and are
/// sorted; between and after them the last end value holds, before the first
/// its start value.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutomationSegment {
    pub start_frame: i64,
    pub end_frame: i64,
    pub from: f64,
    pub to: f64,
    pub shape: SegmentShape,
}

/// Automation: node, parameter id, segments. An automated parameter ignores its
/// value in the [`ParamSlice`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct AutomationSlice(pub BTreeMap<NodeKey, BTreeMap<String, Vec<AutomationSegment>>>);

/// What happens at an instant. Pitch is in semitones (MIDI key numbers, with a
/// fraction), every other value in 0..1 unless said otherwise.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SpecEventBody {
    NoteOff {
        channel: u8,
        key: u8,
        velocity: f32,
    },
    /// −1..1 over the bend range of the receiver.
    PitchBend {
        channel: u8,
        value: f32,
    },
    Controller {
        channel: u8,
        controller: u8,
        value: f32,
    },
    Pressure {
        channel: u8,
        value: f32,
    },
    Program {
        channel: u8,
        program: u8,
    },
    /// Expression of the note with the same id: tuning in semitones.
    NoteTuning {
        semitones: f64,
    },
    NotePressure {
        value: f32,
    },
    NoteTimbre {
        value: f32,
    },
    /// Linear.
    NoteGain {
        value: f32,
    },
    /// −1..1.
    NotePan {
        value: f32,
    },
    NoteOn {
        channel: u8,
        key: u8,
        pitch: f64,
        velocity: f32,
    },
}

/// One event. The two ends of a note carry the id of the note.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpecEvent {
    pub frame: i64,
    pub id: AnyId,
    pub body: SpecEventBody,
}

impl SpecEventBody {
    /// The order at one frame: what ends comes before what begins, and a note before
    /// what is said of it.
    pub fn rank(&self) -> u8 {
        match self {
            SpecEventBody::NoteOff { .. } => 0,
            SpecEventBody::NoteOn { .. } => 2,
            SpecEventBody::NoteTuning { .. }
            | SpecEventBody::NotePressure { .. }
            | SpecEventBody::NoteTimbre { .. }
            | SpecEventBody::NoteGain { .. }
            | SpecEventBody::NotePan { .. } => 3,
            _ => 1,
        }
    }
}
