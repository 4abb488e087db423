//! What happens when: tracks, lanes, clips, notes and automation.

use std::collections::BTreeMap;

use super::{Checker, Entity, HistoryContext, Reference, data};
use crate::{
    id::{
        AnyId, ArrangementId, AudioRegionId, AutomationEnvelopeId, AutomationPointId, ClipId,
        CompId, EntityId, EntityKind, LaneId, MediaId, MidiEventId, NoteId, TakeId, TrackId,
        VariantId,
    },
    order::OrderKey,
    time::{Moment, Ticks, Timebase},
};

/// Quietest and loudest gain of anything, in dB; the quietest is silence.
pub const GAIN_RANGE: (f64, f64) = (-144.0, 24.0);

data! {
    /// A row of the arrangement; tracks nest.
    pub struct Track {
        pub id: TrackId,
        pub arrangement: ArrangementId,
        /// The folder or group that holds it.
        pub parent: Option<TrackId>,
        pub order: OrderKey,
        pub name: String,
        pub track_kind: TrackKind,
        pub mute: bool,
        pub solo: bool,
        /// Takes part in solo of others without being silenced.
        pub solo_safe: bool,
        pub armed: bool,
        pub monitor: Monitor,
        /// Who renders the track: the live engine or the one that works ahead.
        pub policy: ProcessingPolicy,
        /// The render that stands in for the track while it is frozen.
        pub frozen: Option<MediaId>,
        /// The variant that plays; none is the track itself.
        pub active_variant: Option<VariantId>,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum TrackKind {
        #[default]
        Audio,
        Instrument,
        /// Groups tracks for the eye only.
        Folder,
        /// Groups tracks and sums them in its channel.
        Group,
        Video,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum Monitor {
        Off,
        /// While armed and not playing back.
        #[default]
        Auto,
        On,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum ProcessingPolicy {
        #[default]
        Auto,
        Live,
        Anticipative,
    }
}

impl Entity for Track {
    const KIND: EntityKind = EntityKind::Track;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = vec![Reference::cascade("arrangement", self.arrangement)];
        references.extend(self.parent.map(|id| Reference::cascade("parent", id)));
        references.extend(self.frozen.map(|id| Reference::keep("frozen", id)));
        references.extend(self.active_variant.map(|id| Reference::clear("activeVariant", id)));
        references
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("arrangement", self.arrangement.0);
        checker.required("name", &self.name);
        checker.order("order", &self.order);
        checker.form("parent", self.parent != Some(self.id), "another track");
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn field_context(field: &str) -> HistoryContext {
        match field {
            "mute" | "solo" | "soloSafe" | "armed" | "monitor" => HistoryContext::Mixer,
            "policy" => HistoryContext::Routing,
            "frozen" => HistoryContext::Media,
            _ => Self::CONTEXT,
        }
    }
}

data! {
    /// One layer of a track's content: clips side by side, or takes to choose from.
    pub struct Lane {
        pub id: LaneId,
        pub track: TrackId,
        pub order: OrderKey,
        pub name: String,
        pub lane_kind: LaneKind,
        pub mute: bool,
        /// Timebase of new clips and envelopes on this lane.
        pub timebase: Timebase,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum LaneKind {
        #[default]
        Audio,
        Midi,
        Automation,
        Video,
        Device,
    }
}

impl Entity for Lane {
    const KIND: EntityKind = EntityKind::Lane;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::cascade("track", self.track)]
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("track", self.track.0);
        checker.name("name", &self.name);
        checker.order("order", &self.order);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name).filter(|name| !name.is_empty()).map(String::as_str)
    }
}

data! {
    /// One recording pass over a stretch of a lane.
    pub struct Take {
        pub id: TakeId,
        pub lane: LaneId,
        pub order: OrderKey,
        pub name: String,
        pub clip: ClipId,
        /// 0 (unrated) to 5.
        pub rating: u8,
    }
}

impl Entity for Take {
    const KIND: EntityKind = EntityKind::Take;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::cascade("lane", self.lane), Reference::cascade("clip", self.clip)]
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("lane", self.lane.0);
        checker.identity("clip", self.clip.0);
        checker.name("name", &self.name);
        checker.order("order", &self.order);
        checker.range("rating", f64::from(self.rating), 0.0, 5.0);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// A choice of stretches from several takes.
    pub struct Comp {
        pub id: CompId,
        pub lane: LaneId,
        pub name: String,
        pub active: bool,
        /// In ascending order of `start`; each runs to the start of the next.
        pub segments: Vec<CompSegment>,
    }
}

data! {
    pub struct CompSegment {
        pub start: Ticks,
        /// The take that sounds; none is silence.
        pub take: Option<TakeId>,
    }
}

impl Entity for Comp {
    const KIND: EntityKind = EntityKind::Comp;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let takes = self.segments.iter().filter_map(|segment| segment.take);
        std::iter::once(Reference::cascade("lane", self.lane))
            .chain(takes.map(|take| Reference::keep("segments", take)))
            .collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("lane", self.lane.0);
        checker.name("name", &self.name);
        checker.length("segments", self.segments.len(), 10_000);
        checker.ascending("segments", self.segments.iter().map(|segment| segment.start));
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// A piece of content with a place and a length on a lane.
    ///
    /// Places and lengths are ticks or flicks, as `timebase` says.
    pub struct Clip {
        pub id: ClipId,
        pub lane: LaneId,
        pub name: String,
        pub content: ClipContent,
        pub timebase: Timebase,
        pub start: Moment,
        /// More than 0.
        pub length: Moment,
        /// How far into the content the clip begins.
        pub slip: Moment,
        /// Length of the loop inside the content; none plays once.
        pub loop_length: Option<Moment>,
        /// Where in the content the loop begins.
        pub loop_start: Moment,
        /// dB, −144 (silence) to +24.
        pub gain_db: f64,
        /// −1 (left) to 1 (right).
        pub pan: f64,
        pub mute: bool,
        pub fade_in: Fade,
        pub fade_out: Fade,
        pub stretch: StretchMode,
        pub reverse: bool,
        /// Semitones, −48 to +48.
        pub transpose: f64,
        /// The variant that plays; none is the clip itself.
        pub active_variant: Option<VariantId>,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum ClipContent {
        #[default]
        Audio,
        Midi,
        Automation,
        Video,
    }
}

data! {
    /// A fade at one end of a clip; its length is in the clip's timebase.
    pub struct Fade {
        pub length: Moment,
        pub shape: FadeShape,
        /// Bend of the shape, −1 to 1.
        pub curve: f64,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum FadeShape {
        Linear,
        #[default]
        EqualPower,
        SCurve,
        Exponential,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum StretchMode {
        /// Plays at its own speed, whatever the tempo.
        #[default]
        Off,
        /// Follows the tempo by playing faster, which also moves the pitch.
        Repitch,
        /// Follows the tempo and keeps the pitch.
        Stretch,
    }
}

impl Entity for Clip {
    const KIND: EntityKind = EntityKind::Clip;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = vec![Reference::cascade("lane", self.lane)];
        references.extend(self.active_variant.map(|id| Reference::clear("activeVariant", id)));
        references
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("lane", self.lane.0);
        checker.name("name", &self.name);
        checker.at_least("start", self.start.0, 0);
        checker.at_least("length", self.length.0, 1);
        checker.at_least("loopLength", self.loop_length.map_or(1, |length| length.0), 1);
        checker.at_least("loopStart", self.loop_start.0, 0);
        checker.range("gainDb", self.gain_db, GAIN_RANGE.0, GAIN_RANGE.1);
        checker.range("pan", self.pan, -1.0, 1.0);
        checker.range("transpose", self.transpose, -48.0, 48.0);
        for (field, fade) in [("fadeIn", &self.fade_in), ("fadeOut", &self.fade_out)] {
            checker.at_least(&format!("{field}.length"), fade.length.0, 0);
            checker.range(&format!("{field}.curve"), fade.curve, -1.0, 1.0);
        }
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name).filter(|name| !name.is_empty()).map(String::as_str)
    }
}

data! {
    /// The stretch of media that an audio clip plays.
    pub struct AudioRegion {
        pub id: AudioRegionId,
        pub clip: ClipId,
        pub media: MediaId,
        /// First frame of the source range, in frames of the media.
        pub source_start: u64,
        /// Frames of the source range; 0 is to the end of the media.
        pub source_length: u64,
        /// Pairs of source and clip time between which the material is stretched.
        pub warp: Vec<WarpAnchor>,
        /// Tempo of the material, where it is known.
        pub source_bpm: Option<f64>,
    }
}

data! {
    pub struct WarpAnchor {
        /// Frames of the media from its start.
        pub source: u64,
        /// Place inside the clip's content, in its timebase.
        pub at: Moment,
    }
}

data! {
    /// One note of a MIDI clip; times are relative to the clip's content.
    pub struct Note {
        pub id: NoteId,
        pub clip: ClipId,
        /// Key number, 0 to 127; 60 is middle C.
        pub pitch: u8,
        /// Cents above the key, −100 to 100.
        pub tuning: f64,
        pub start: Ticks,
        /// More than 0.
        pub length: Ticks,
        /// 16 bits; 0 is not a note-off.
        pub velocity: u16,
        pub release_velocity: u16,
        /// 0 to 15.
        pub channel: u8,
        pub mute: bool,
        /// Chance that it plays, 0 to 1; decided by the note's id and the pass.
        pub probability: f64,
        pub expression: Vec<ExpressionPoint>,
    }
}

data! {
    /// One breakpoint of a note's own curve.
    pub struct ExpressionPoint {
        pub dimension: ExpressionDimension,
        /// From the start of the note.
        pub at: Ticks,
        /// Semitones for pitch (−48 to 48), else 0 to 1 (pan −1 to 1).
        pub value: f64,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum ExpressionDimension {
        #[default]
        Pitch,
        Pressure,
        Timbre,
        Gain,
        Pan,
    }
}

data! {
    /// Everything in a MIDI clip that is no note.
    pub struct MidiEvent {
        pub id: MidiEventId,
        pub clip: ClipId,
        pub at: Ticks,
        /// 0 to 15.
        pub channel: u8,
        pub message: MidiMessage,
    }
}

data! {
    pub enum MidiMessage {
        /// `value` 32 bits, as in MIDI 2.0.
        Controller { number: u8, value: u32 },
        /// −1 to 1.
        PitchBend { value: f64 },
        ChannelPressure { value: u32 },
        PolyPressure { key: u8, value: u32 },
        Program { number: u8, bank: Option<u16> },
        SysEx { bytes: Vec<u8> },
        #[default]
        AllNotesOff,
    }
}

macro_rules! owned_by_clip {
    ($entity:ident, |$this:ident| [$($reference:expr),*], |$checker:ident| $check:block) => {
        impl Entity for $entity {
            const KIND: EntityKind = EntityKind::$entity;
            const VERSION: u16 = 1;
            const CONTEXT: HistoryContext = HistoryContext::Timeline;

            fn id(&self) -> EntityId {
                self.id.0
            }

            fn owner(&self) -> Option<AnyId> {
                Some(self.clip.any())
            }

            fn references(&self) -> Vec<Reference> {
                let $this = self;
                let _ = $this;
                vec![Reference::cascade("clip", self.clip) $(, $reference)*]
            }

            fn check(&self, $checker: &mut Checker) {
                let $this = self;
                $checker.identity("clip", self.clip.0);
                $check
            }
        }
    };
}

owned_by_clip!(AudioRegion, |this| [Reference::keep("media", this.media)], |checker| {
    checker.identity("media", this.media.0);
    checker.length("warp", this.warp.len(), 10_000);
    checker.ascending("warp", this.warp.iter().map(|anchor| anchor.source));
    checker.ascending("warp", this.warp.iter().map(|anchor| anchor.at));
    checker.range("sourceBpm", this.source_bpm.unwrap_or(120.0), 1.0, 1_000.0);
});

owned_by_clip!(Note, |this| [], |checker| {
    checker.range("pitch", f64::from(this.pitch), 0.0, 127.0);
    checker.range("tuning", this.tuning, -100.0, 100.0);
    checker.at_least("length", this.length.0, 1);
    checker.range("channel", f64::from(this.channel), 0.0, 15.0);
    checker.range("probability", this.probability, 0.0, 1.0);
    checker.length("expression", this.expression.len(), 100_000);
    for (at, point) in this.expression.iter().enumerate() {
        let (min, max) = match point.dimension {
            ExpressionDimension::Pitch => (-48.0, 48.0),
            ExpressionDimension::Pan => (-1.0, 1.0),
            _ => (0.0, 1.0),
        };
        checker.at_least(&format!("expression[{at}].at"), point.at.0, 0);
        checker.range(&format!("expression[{at}].value"), point.value, min, max);
    }
});

owned_by_clip!(MidiEvent, |this| [], |checker| {
    checker.range("channel", f64::from(this.channel), 0.0, 15.0);
    match &this.message {
        MidiMessage::Controller { number, .. } | MidiMessage::Program { number, .. } => {
            checker.range("message.number", f64::from(*number), 0.0, 127.0);
        }
        MidiMessage::PolyPressure { key, .. } => {
            checker.range("message.key", f64::from(*key), 0.0, 127.0);
        }
        MidiMessage::PitchBend { value } => checker.range("message.value", *value, -1.0, 1.0),
        MidiMessage::SysEx { bytes } => checker.length("message.bytes", bytes.len(), 65_536),
        MidiMessage::ChannelPressure { .. } | MidiMessage::AllNotesOff => {}
    }
});

data! {
    /// A curve for one parameter, on a lane or inside a clip.
    pub struct AutomationEnvelope {
        pub id: AutomationEnvelopeId,
        pub owner: EnvelopeOwner,
        /// What it moves: a node, a channel, a send.
        pub target: Option<AnyId>,
        /// Name of the parameter of the target.
        pub parameter: String,
        pub timebase: Timebase,
        pub enabled: bool,
        /// Free pairs for what other programs attach; kept, never read.
        pub metadata: BTreeMap<String, String>,
    }
}

data! {
    pub enum EnvelopeOwner {
        Lane { lane: LaneId },
        Clip { clip: ClipId },
        #[default]
        None,
    }
}

impl Entity for AutomationEnvelope {
    const KIND: EntityKind = EntityKind::AutomationEnvelope;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;
    const MAP_FIELDS: &'static [&'static str] = &["metadata"];

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let owner = match self.owner {
            EnvelopeOwner::Lane { lane } => Some(Reference::cascade("owner", lane)),
            EnvelopeOwner::Clip { clip } => Some(Reference::cascade("owner", clip)),
            EnvelopeOwner::None => None,
        };
        let target = self.target.map(|target| Reference::cascade("target", target));
        owner.into_iter().chain(target).collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.form("owner", self.owner != EnvelopeOwner::None, "a lane or a clip");
        checker.required("parameter", &self.parameter);
        checker.form("target", self.target.is_some(), "the id of a node, channel or send");
        checker.length("metadata", self.metadata.len(), 1_000);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.parameter)
    }
}

data! {
    /// One point of an envelope, in the parameter's own unit.
    pub struct AutomationPoint {
        pub id: AutomationPointId,
        pub envelope: AutomationEnvelopeId,
        /// In the envelope's timebase; from the start of the clip where a clip owns it.
        pub at: Moment,
        pub value: f64,
        /// How the curve runs from here to the next point.
        pub shape: PointShape,
    }
}

data! {
    pub enum PointShape {
        Hold,
        #[default]
        Linear,
        /// A quadratic bend: 0 is linear, towards −1 late, towards 1 early.
        Bezier { bend: f64 },
        /// Equal ratios in equal times; linear where the two values differ in sign.
        Exponential,
    }
}

impl Entity for AutomationPoint {
    const KIND: EntityKind = EntityKind::AutomationPoint;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn owner(&self) -> Option<AnyId> {
        Some(self.envelope.any())
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::cascade("envelope", self.envelope)]
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("envelope", self.envelope.0);
        checker.at_least("at", self.at.0, 0);
        checker.finite("value", self.value);
        if let PointShape::Bezier { bend } = self.shape {
            checker.range("shape.bend", bend, -1.0, 1.0);
        }
    }
}
