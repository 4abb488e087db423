//! The project and the time it lives in: arrangements, tempo, signatures, keys.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Entity, HistoryContext, Reference, data};
use crate::{
    id::{
        AnyId, ArrangementId, EntityId, EntityKind, GrooveId, HardwareRoleId, KeyPointId, MarkerId,
        ProjectId, SectionId, SignaturePointId, TempoPointId,
    },
    order::OrderKey,
    time::{
        Moment, Signature, SignatureMark, TempoMark, TempoShape, Ticks, Timebase,
        tempo::{MAX_BPM, MIN_BPM},
    },
};

data! {
    /// The project itself: one of these in every store.
    pub struct Project {
        pub id: ProjectId,
        /// Title of the work.
        pub name: String,
        pub artist: String,
        pub comment: String,
        /// Preferred rate of playback and render, in Hz (8,000 to 384,000).
        pub sample_rate: u32,
        /// The arrangement that plays.
        pub active_arrangement: Option<ArrangementId>,
        /// Free key and value pairs: genre, ISRC, copyright.
        pub metadata: BTreeMap<String, String>,
        pub tags: BTreeSet<String>,
    }
}

impl Entity for Project {
    const KIND: EntityKind = EntityKind::Project;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Global;
    const MAP_FIELDS: &'static [&'static str] = &["metadata"];
    const SET_FIELDS: &'static [&'static str] = &["tags"];

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        self.active_arrangement
            .map(|id| Reference::clear("activeArrangement", id))
            .into_iter()
            .collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.name("name", &self.name);
        checker.name("artist", &self.artist);
        checker.text("comment", &self.comment);
        checker.range("sampleRate", f64::from(self.sample_rate), 8_000.0, 384_000.0);
        checker.length("metadata", self.metadata.len(), 10_000);
        checker.length("tags", self.tags.len(), 10_000);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// A timeline of tracks with its own tempo map: a song, a version of one, a cue.
    pub struct Arrangement {
        pub id: ArrangementId,
        pub name: String,
        pub order: OrderKey,
        /// Where the arrangement ends when nothing plays longer.
        pub end: Option<Ticks>,
        pub notes: String,
    }
}

impl Entity for Arrangement {
    const KIND: EntityKind = EntityKind::Arrangement;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn check(&self, checker: &mut Checker) {
        checker.required("name", &self.name);
        checker.order("order", &self.order);
        checker.at_least("end", self.end.map_or(0, |end| end.0), 0);
        checker.text("notes", &self.notes);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// A named stretch of an arrangement: verse, chorus.
    pub struct Section {
        pub id: SectionId,
        pub arrangement: ArrangementId,
        pub name: String,
        pub start: Ticks,
        /// More than 0 ticks.
        pub length: Ticks,
    }
}

data! {
    /// A named place on the timeline.
    pub struct Marker {
        pub id: MarkerId,
        pub arrangement: ArrangementId,
        pub name: String,
        pub timebase: Timebase,
        /// Ticks or flicks, as `timebase` says.
        pub at: Moment,
        pub marker_kind: MarkerKind,
    }
}

data! {
    pub enum MarkerKind {
        #[default]
        Cue,
        Locator,
        LoopStart,
        LoopEnd,
        Chapter,
    }
}

data! {
    /// A tempo that holds from here, or moves linearly in ticks to the next point.
    pub struct TempoPoint {
        pub id: TempoPointId,
        pub arrangement: ArrangementId,
        pub at: Ticks,
        /// Quarter notes per minute, 1 to 1,000.
        pub bpm: f64,
        pub shape: TempoShape,
    }
}

data! {
    /// A time signature that holds from here.
    pub struct SignaturePoint {
        pub id: SignaturePointId,
        pub arrangement: ArrangementId,
        pub at: Ticks,
        /// 1 to 64.
        pub numerator: u8,
        /// A power of two from 1 to 64.
        pub denominator: u8,
    }
}

data! {
    /// A musical key that holds from here.
    pub struct KeyPoint {
        pub id: KeyPointId,
        pub arrangement: ArrangementId,
        pub at: Ticks,
        /// Pitch class of the tonic: 0 = C to 11 = B.
        pub tonic: u8,
        /// Name of the scale: `major`, `minor`, `dorian`.
        pub scale: String,
    }
}

macro_rules! owned_by_arrangement {
    ($entity:ident, $context:ident, |$this:ident, $checker:ident| $check:block $(, label $label:ident)?) => {
        impl Entity for $entity {
            const KIND: EntityKind = EntityKind::$entity;
            const VERSION: u16 = 1;
            const CONTEXT: HistoryContext = HistoryContext::$context;

            fn id(&self) -> EntityId {
                self.id.0
            }

            fn owner(&self) -> Option<AnyId> {
                Some(self.arrangement.any())
            }

            fn references(&self) -> Vec<Reference> {
                vec![Reference::cascade("arrangement", self.arrangement)]
            }

            fn check(&self, $checker: &mut Checker) {
                let $this = self;
                $checker.identity("arrangement", self.arrangement.0);
                $check
            }

            $(fn label(&self) -> Option<&str> {
                Some(&self.$label)
            })?
        }
    };
}

owned_by_arrangement!(Section, Timeline, |this, checker| {
    checker.required("name", &this.name);
    checker.at_least("start", this.start.0, 0);
    checker.at_least("length", this.length.0, 1);
}, label name);

owned_by_arrangement!(Marker, Timeline, |this, checker| {
    checker.name("name", &this.name);
    checker.at_least("at", this.at.0, 0);
}, label name);

owned_by_arrangement!(TempoPoint, Timebase, |this, checker| {
    checker.at_least("at", this.at.0, 0);
    checker.range("bpm", this.bpm, MIN_BPM, MAX_BPM);
});

owned_by_arrangement!(SignaturePoint, Timebase, |this, checker| {
    checker.at_least("at", this.at.0, 0);
    checker.range("numerator", f64::from(this.numerator), 1.0, f64::from(Signature::MAX_NUMERATOR));
    let power =
        this.denominator.is_power_of_two() && this.denominator <= Signature::MAX_DENOMINATOR;
    checker.form("denominator", power, "a power of two from 1 to 64");
});

owned_by_arrangement!(KeyPoint, Timebase, |this, checker| {
    checker.at_least("at", this.at.0, 0);
    checker.range("tonic", f64::from(this.tonic), 0.0, 11.0);
    checker.required("scale", &this.scale);
});

impl From<&TempoPoint> for TempoMark {
    fn from(point: &TempoPoint) -> TempoMark {
        TempoMark { at: point.at, bpm: point.bpm, shape: point.shape }
    }
}

impl From<&SignaturePoint> for SignatureMark {
    fn from(point: &SignaturePoint) -> SignatureMark {
        let SignaturePoint { at, numerator, denominator, .. } = *point;
        SignatureMark { at, signature: Signature { numerator, denominator } }
    }
}

data! {
    /// A feel that can be laid over notes: how far each step of a cycle is moved.
    pub struct GrooveTemplate {
        pub id: GrooveId,
        pub name: String,
        /// Length of one step.
        pub step: Ticks,
        /// How much later (or earlier) each step of the cycle falls.
        pub offsets: Vec<Ticks>,
        /// Velocity factor per step (0 to 2), or empty.
        pub accents: Vec<f64>,
    }
}

impl Entity for GrooveTemplate {
    const KIND: EntityKind = EntityKind::GrooveTemplate;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timebase;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn check(&self, checker: &mut Checker) {
        checker.required("name", &self.name);
        checker.at_least("step", self.step.0, 1);
        checker.length("offsets", self.offsets.len(), 1_024);
        checker.length("accents", self.accents.len(), 1_024);
        for (at, offset) in self.offsets.iter().enumerate() {
            let inside = offset.0.unsigned_abs() < self.step.0.unsigned_abs().max(1);
            checker.form(&format!("offsets[{at}]"), inside, "shorter than one step");
        }
        for (at, accent) in self.accents.iter().enumerate() {
            checker.range(&format!("accents[{at}]"), *accent, 0.0, 2.0);
        }
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// A job that hardware does for the project ("vocal mic"), so that a
    /// project opens on another machine and asks once what fills it.
    pub struct HardwareRole {
        pub id: HardwareRoleId,
        pub name: String,
        pub direction: HardwareDirection,
        /// 1 to 64 audio channels; 0 for MIDI.
        pub channels: u8,
        /// What filled the role last: host, device, first channel.
        pub device: String,
        pub first_channel: u16,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum HardwareDirection {
        #[default]
        AudioInput,
        AudioOutput,
        MidiInput,
        MidiOutput,
    }
}

impl Entity for HardwareRole {
    const KIND: EntityKind = EntityKind::HardwareRole;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Routing;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn check(&self, checker: &mut Checker) {
        checker.required("name", &self.name);
        checker.range("channels", f64::from(self.channels), 0.0, 64.0);
        checker.name("device", &self.device);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}
